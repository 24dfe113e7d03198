/* SPDX-License-Identifier: MIT */
/*
 * Kernel, initrd and device tree into guest memory.
 *
 * A kernel is an arm64 Image as it is, in gzip, or in gzip within an EFI "zboot" image. Nothing is
 * believed: what a header says is checked against the file and the memory.
 */
#include "vmm/loader.h"
#include "vmm/fdt.h"
#include "vmm/files.h"
#include "vmm/report.h"
#include "vmm/vmm.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define ALIGN_DOWN(value, to) ((value) & ~((to)-1))
#define ALIGN_UP(value, to)   ALIGN_DOWN((value) + (to)-1, to)
#define REGION                (2ull << 20)
#define MIB                   (1ull << 20)
#define PAGE                  (4ull << 10)

#define IMAGE_MAGIC     0x644d5241u /* "ARM\x64" */
#define OLD_TEXT_OFFSET 0x80000ull  /* of kernels before 3.17, with image_size 0 */
#define MIDDLE_MAX      (128ull << 20)
#define FLAT_OFFSET     0x80000ull   /* where QEMU's "virt" has such a binary */
#define FLAT_EXTRA      (8ull << 20) /* a bare binary does not say how large its BSS is */

/*
 * Linux, Documentation/arm64/booting.rst, section 4. Little-endian, also that of a kernel whose
 * flags say that it is big-endian: it makes the CPU so itself.
 */
struct image_header {
	uint32_t code0, code1;
	uint64_t text_offset;
	uint64_t image_size;
	uint64_t flags;
	uint64_t reserved[3];
	uint32_t magic;
	uint32_t pe_offset;
};

/* Linux, drivers/firmware/efi/libstub/zboot-header.S: what stands where an Image has its code. */
struct zboot_header {
	uint32_t mz;
	uint32_t magic;
	uint32_t payload_offset, payload_size;
	uint32_t reserved[2];
	char compression[8];
};

#define MZ          0x5a4du     /* of every PE file, in 16 bits */
#define ZBOOT_MAGIC 0x676d697au /* "zimg" */

/* Microsoft PE Format: the file header after "PE\0\0", and the section headers. */
#define PE_MAGIC         0x00004550u
#define PE_NR_SECTIONS   6
#define PE_OPTIONAL_SIZE 20
#define PE_HEADER_SIZE   24
#define PE_SECTION_SIZE  40
#define PE_SECTION_RAW   16 /* size, then offset of the section's bytes in the file */
#define PE_MAX_SECTIONS  96

static int complain(const struct vmm_boot *boot, const char *what, int err)
{
	vmm_report("kernel '%s': %s", boot->kernel, what);
	return err;
}

static uint64_t file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : (uint64_t)st.st_size;
}

/* Where initrd and device tree go when the kernel ends at @end. */
struct layout {
	uint64_t initrd, dtb;
	uint64_t needed; /* the least memory in which all has a place; the rest holds if there is */
};

static struct layout lay_out(const struct vmm_boot *boot, const struct vmm_memory *mem,
			     uint64_t end)
{
	const uint64_t used = ALIGN_UP(end - mem->base, boot->flat ? REGION : PAGE);
	const uint64_t initrd = boot->initrd ? ALIGN_UP(file_size(boot->initrd_fd), PAGE) : 0;
	const uint64_t middle = mem->size / 2 < MIDDLE_MAX ? mem->size / 2 : MIDDLE_MAX;
	const uint64_t highest = ALIGN_DOWN(mem->size, REGION) - VMM_FDT_MAX - initrd;
	struct layout layout = {.needed = UINT64_MAX};
	uint64_t at = used;

	/* What a header says may be anything, also more than 64 bits hold. */
	if (used > VMM_MAX_MEM || initrd > VMM_MAX_MEM)
		return layout;
	layout.needed = ALIGN_UP(used + initrd, REGION) + VMM_FDT_MAX;
	if (!boot->flat && at < middle)
		at = ALIGN_DOWN(middle < highest ? middle : highest, PAGE);
	layout.initrd = mem->base + at;
	layout.dtb = mem->base + ALIGN_UP(at + initrd, REGION);
	return layout;
}

/* @end: where what is being loaded would end. */
static int too_large(const struct vmm_boot *boot, const char *what, const char *path, uint64_t end,
		     const struct vmm_memory *mem)
{
	const uint64_t needed = lay_out(boot, mem, end).needed;

	if (needed <= mem->size || needed > VMM_MAX_MEM)
		vmm_report("%s '%s': too large for the memory of %llu MiB, and for any", what, path,
			   (unsigned long long)(mem->size / MIB));
	else
		vmm_report("%s '%s': too large for the memory of %llu MiB; --mem %llu would do",
			   what, path, (unsigned long long)(mem->size / MIB),
			   (unsigned long long)(ALIGN_UP(needed, MIB) / MIB));
	return -E2BIG;
}

int vmm_boot_open(struct vmm_boot *boot, const char *kernel, bool flat, const char *initrd)
{
	*boot = (struct vmm_boot){
		.kernel = kernel, .initrd = initrd, .flat = flat, .kernel_fd = -1, .initrd_fd = -1};
	if (kernel)
		boot->kernel_fd = vmm_input_open("kernel", kernel);
	if (kernel && boot->kernel_fd < 0)
		return boot->kernel_fd;
	if (initrd)
		boot->initrd_fd = vmm_input_open("initrd", initrd);
	return initrd && boot->initrd_fd < 0 ? boot->initrd_fd : 0;
}

void vmm_boot_close(struct vmm_boot *boot)
{
	if (boot->kernel_fd >= 0)
		close(boot->kernel_fd);
	if (boot->initrd_fd >= 0)
		close(boot->initrd_fd);
	boot->kernel_fd = boot->initrd_fd = -1;
}

/* Reads all of [offset, offset + len). Return: 0, -ENODATA at the end of the file, or -errno. */
static int read_at(int fd, void *to, uint64_t len, uint64_t offset)
{
	uint8_t *p = to;

	while (len) {
		const ssize_t n = pread(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		p += n;
		len -= (uint64_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* Where the kernel's bytes come from: the file, or the gzip stream from @offset on. */
struct source {
	int fd;
	gzFile gz;     /* or NULL */
	uint64_t size; /* of the file; unknown for gzip */
};

static int source_read(struct source *source, void *to, uint64_t len, uint64_t *got)
{
	uint8_t *p = to;

	*got = 0;
	while (*got < len) {
		const uint64_t left = len - *got;
		const ssize_t n =
			source->gz ? gzread(source->gz, p + *got,
					    left < (64u << 20) ? (unsigned int)left : 64u << 20)
				   : read(source->fd, p + *got, left);

		if (n < 0 && !source->gz && errno == EINTR)
			continue;
		if (n < 0)
			return -EIO;
		if (!n)
			return 0;
		*got += (uint64_t)n;
	}
	return 0;
}

/* gzread() calls it the end when the file ends within the stream; gzclose() knows better. */
static bool source_truncated(struct source *source)
{
	int err;

	if (!source->gz)
		return false;
	gzerror(source->gz, &err);
	return err == Z_BUF_ERROR;
}

static int source_open(const struct vmm_boot *boot, uint64_t offset, bool gzip,
		       struct source *source)
{
	int fd;

	*source = (struct source){.fd = boot->kernel_fd, .size = file_size(boot->kernel_fd)};
	if (lseek(boot->kernel_fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	if (!gzip)
		return 0;
	fd = fcntl(boot->kernel_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	source->gz = gzdopen(fd, "rb");
	if (!source->gz) {
		close(fd);
		return -ENOMEM;
	}
	gzbuffer(source->gz, 256 * 1024);
	return 0;
}

static void source_close(struct source *source)
{
	if (source->gz)
		gzclose(source->gz);
}

static int find_source(const struct vmm_boot *boot, struct source *source)
{
	uint8_t start[sizeof(struct zboot_header)] = {0};
	struct zboot_header zboot;
	uint64_t offset = 0;
	bool gzip;

	/* What is too short for a header gives zeros for the rest, and is refused later. */
	if (pread(boot->kernel_fd, start, sizeof(start), 0) < 0)
		return complain(boot, strerror(errno), -EIO);
	memcpy(&zboot, start, sizeof(zboot));
	gzip = start[0] == 0x1f && start[1] == 0x8b;
	if ((le32toh(zboot.mz) & 0xffff) == MZ && le32toh(zboot.magic) == ZBOOT_MAGIC) {
		if (strncmp(zboot.compression, "gzip", sizeof(zboot.compression)))
			return complain(boot,
					"an EFI zboot image that is not compressed with gzip; "
					"give the Image within",
					-EINVAL);
		offset = le32toh(zboot.payload_offset);
		gzip = true;
		if (offset + le32toh(zboot.payload_size) > file_size(boot->kernel_fd))
			return complain(boot, "truncated: shorter than its header says", -EINVAL);
	}
	return source_open(boot, offset, gzip && !boot->flat, source);
}

/* Images with an EFI header say how long the file must be; others do not. @len are in memory. */
static bool is_truncated(const uint8_t *image, uint64_t len, const struct image_header *header)
{
	const uint64_t pe = le32toh(header->pe_offset);
	uint64_t section;
	uint32_t magic, raw[2];
	uint16_t nr, optional;

	if ((le32toh(header->code0) & 0xffff) != MZ || !pe)
		return false;
	if (pe + PE_HEADER_SIZE > len)
		return true;
	memcpy(&magic, image + pe, sizeof(magic));
	if (le32toh(magic) != PE_MAGIC)
		return false;
	memcpy(&nr, image + pe + PE_NR_SECTIONS, sizeof(nr));
	memcpy(&optional, image + pe + PE_OPTIONAL_SIZE, sizeof(optional));
	section = pe + PE_HEADER_SIZE + le16toh(optional);
	for (unsigned int i = 0; i < le16toh(nr) && i < PE_MAX_SECTIONS; i++) {
		if (section + PE_SECTION_SIZE > len)
			return true;
		memcpy(raw, image + section + PE_SECTION_RAW, sizeof(raw));
		if ((uint64_t)le32toh(raw[0]) + le32toh(raw[1]) > len)
			return true;
		section += PE_SECTION_SIZE;
	}
	return false;
}

static const struct {
	const char *magic;
	size_t len;
	const char *what;
} other_formats[] = {
	{"\x7f"
	 "ELF",
	 4, "an ELF file, not an arm64 Image (vmlinux? give arch/arm64/boot/Image)"},
	{"\xfd"
	 "7zXZ",
	 5, "compressed with xz; only gzip is known here"},
	{"\x28\xb5\x2f\xfd", 4, "compressed with zstd; only gzip is known here"},
	{"BZh", 3, "compressed with bzip2; only gzip is known here"},
};

static int not_an_image(const struct vmm_boot *boot, const struct image_header *header)
{
	for (size_t i = 0; i < sizeof(other_formats) / sizeof(other_formats[0]); i++) {
		if (!memcmp(header, other_formats[i].magic, other_formats[i].len))
			return complain(boot, other_formats[i].what, -EINVAL);
	}
	return complain(boot,
			"not an arm64 Image, raw or gzip (its magic is missing; for a bare "
			"binary put ',flat' after the name)",
			-EINVAL);
}

/*
 * The rest of the kernel, after its header. The size in memory is the header's, or at least the
 * file's; where that does not fit, nothing is written beyond the memory.
 */
static int load_body(struct vmm_boot *boot, const struct vmm_memory *mem, struct source *source,
		     const struct image_header *header, uint64_t have, uint64_t *end)
{
	const uint64_t offset = boot->flat           ? FLAT_OFFSET
				: header->image_size ? le64toh(header->text_offset)
						     : OLD_TEXT_OFFSET;
	const uint64_t room = offset < mem->size ? mem->size - offset : 0;
	uint8_t *image, extra;
	uint64_t got, more = 0, size;

	if (room < have)
		return too_large(boot, "kernel", boot->kernel, mem->base + offset + source->size,
				 mem);
	image = mem->host + offset;
	memcpy(image, header, have);
	if (source_read(source, image + have, room - have, &got))
		return complain(boot, source->gz ? "broken gzip data" : strerror(errno), -EIO);
	if (source_truncated(source))
		return complain(boot, "truncated: its gzip data ends too early", -EINVAL);
	got += have;
	if (got == room && !source_read(source, &extra, 1, &more) && more)
		return too_large(boot, "kernel", boot->kernel,
				 mem->base + offset + (source->gz ? got + 1 : source->size), mem);
	if (!boot->flat && is_truncated(image, got, header))
		return complain(boot, "truncated: shorter than its header says", -EINVAL);
	size = le64toh(header->image_size);
	if (boot->flat)
		size = got + FLAT_EXTRA;
	else if (size < got)
		size = got;
	if (size > room)
		return too_large(boot, "kernel", boot->kernel, mem->base + offset + size, mem);
	boot->entry = mem->base + offset;
	*end = boot->entry + size;
	return 0;
}

static int load_kernel(struct vmm_boot *boot, const struct vmm_memory *mem, uint64_t *end)
{
	struct image_header header = {0};
	struct source source;
	uint64_t have;
	int err = find_source(boot, &source);

	if (err)
		return err;
	if (source_read(&source, &header, sizeof(header), &have))
		err = complain(boot, "broken gzip data", -EINVAL);
	else if (!have && !source.gz)
		err = complain(boot, "empty", -EINVAL);
	else if (have < sizeof(header) && !boot->flat)
		err = complain(boot, "truncated: shorter than an arm64 Image's header", -EINVAL);
	else if (!boot->flat && le32toh(header.magic) != IMAGE_MAGIC)
		err = not_an_image(boot, &header);
	else
		err = load_body(boot, mem, &source, &header, have, end);
	source_close(&source);
	return err;
}

static int load_initrd(struct vmm_boot *boot, const struct vmm_memory *mem, uint64_t at)
{
	const uint64_t size = file_size(boot->initrd_fd);
	void *to = vmm_memory_at(mem, at, size);
	/* It may have grown since it was measured. */
	const int err = to ? read_at(boot->initrd_fd, to, size, 0) : -EFBIG;

	if (err) {
		vmm_report("initrd '%s': %s", boot->initrd,
			   err == -ENODATA ? "became shorter while it was read" : strerror(-err));
		return err;
	}
	boot->initrd_start = at;
	boot->initrd_end = at + size;
	return 0;
}

int vmm_boot_load(struct vmm_boot *boot, const struct vmm_memory *mem)
{
	uint64_t end = mem->base;
	struct layout layout;
	int err = 0;

	if (boot->initrd && !file_size(boot->initrd_fd)) {
		vmm_report("initrd '%s': empty", boot->initrd);
		return -EINVAL;
	}
	if (boot->kernel)
		err = load_kernel(boot, mem, &end);
	if (err)
		return err;
	layout = lay_out(boot, mem, end);
	if (layout.needed > mem->size)
		return too_large(boot, boot->initrd ? "initrd" : "kernel",
				 boot->initrd ? boot->initrd : boot->kernel, end, mem);
	if (boot->initrd)
		err = load_initrd(boot, mem, layout.initrd);
	boot->dtb = layout.dtb;
	if (boot->flat) {
		boot->dtb_copy = mem->base;
		boot->dtb_copy_max = FLAT_OFFSET;
	}
	return err;
}
