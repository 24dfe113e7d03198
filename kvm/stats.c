/* SPDX-License-Identifier: MIT */
/*
 * Counters that a VMM reads: KVM_GET_STATS_FD (api.rst 4.133). The names are Linux's where Linux
 * has the counter; "instructions" is ours.
 *
 * The descriptor is a file laid out as the ABI says. Its data is as of the last return of KVM_RUN:
 * that is when the vCPU's thread writes it, through a mapping, and only if someone ever asked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm/kvm.h"

#define NAME_SIZE 48 /* KVM_STATS_NAME_SIZE */

static const char *const vcpu_stat_names[NR_VCPU_STATS] = {
	[VCPU_STAT_EXITS] = "exits",
	[VCPU_STAT_HVC] = "hvc_exit_stat",
	[VCPU_STAT_WFE] = "wfe_exit_stat",
	[VCPU_STAT_WFI] = "wfi_exit_stat",
	[VCPU_STAT_MMIO_USER] = "mmio_exit_user",
	[VCPU_STAT_MMIO_KERNEL] = "mmio_exit_kernel",
	[VCPU_STAT_SIGNAL] = "signal_exits",
	[VCPU_STAT_INSTRUCTIONS] = "instructions",
};

/* struct kvm_stats_desc with room for the name. */
struct named_desc {
	uint32_t flags;
	int16_t exponent;
	uint16_t size;
	uint32_t offset;
	uint32_t bucket_size;
	char name[NAME_SIZE];
};
_Static_assert(offsetof(struct named_desc, offset) == offsetof(struct kvm_stats_desc, offset) &&
		       offsetof(struct named_desc, name) == sizeof(struct kvm_stats_desc),
	       "as the ABI has it");

struct stats_file {
	struct kvm_stats_header header;
	char id[NAME_SIZE];
	struct named_desc desc[NR_VCPU_STATS];
	uint64_t data[NR_VCPU_STATS];
};

static void fill(struct stats_file *f, const char *id, const char *const *names, unsigned int nr)
{
	f->header = (struct kvm_stats_header){
		.name_size = NAME_SIZE,
		.num_desc = nr,
		.id_offset = offsetof(struct stats_file, id),
		.desc_offset = offsetof(struct stats_file, desc),
		.data_offset = offsetof(struct stats_file, data),
	};
	snprintf(f->id, sizeof(f->id), "%s", id);
	for (unsigned int i = 0; i < nr; i++) {
		f->desc[i] = (struct named_desc){
			.flags = KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE |
				 KVM_STATS_BASE_POW10,
			.size = 1,
			.offset = i * (uint32_t)sizeof(uint64_t),
		};
		snprintf(f->desc[i].name, NAME_SIZE, "%s", names[i]);
	}
}

/* A file that holds @f, mapped at *map; its descriptor, or -errno. */
static int make_file(const struct stats_file *f, struct stats_file **map)
{
	int fd = memfd_create("armature-stats", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, f, sizeof(*f)) != (ssize_t)sizeof(*f))
		goto failed;
	*map = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*map != MAP_FAILED)
		return fd;
failed:
	*map = NULL;
	number_close(fd);
	return -ENOMEM;
}

/* The VMM's: a file description of its own that cannot write. */
static long read_only(int fd)
{
	char path[64];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	return ro < 0 ? -errno : ro;
}

long vcpu_stats_open(struct vcpu *vcpu)
{
	struct stats_file f = {0};
	char id[NAME_SIZE];
	int fd;

	if (!vcpu->stats_file) {
		snprintf(id, sizeof(id), "kvm-%d/vcpu-%u", (int)getpid(), vcpu->id);
		fill(&f, id, vcpu_stat_names, NR_VCPU_STATS);
		fd = make_file(&f, &vcpu->stats_file);
		if (fd < 0)
			return fd;
		vcpu->stats_fd = fd;
		vcpu_stats_update(vcpu);
	}
	return read_only(vcpu->stats_fd);
}

void vcpu_stats_update(struct vcpu *vcpu)
{
	if (!vcpu->stats_file)
		return;
	vcpu->stats[VCPU_STAT_INSTRUCTIONS] = vcpu->cpu->icount;
	memcpy(vcpu->stats_file->data, vcpu->stats, sizeof(vcpu->stats));
}

void vcpu_stats_destroy(struct vcpu *vcpu)
{
	if (!vcpu->stats_file)
		return;
	munmap(vcpu->stats_file, sizeof(*vcpu->stats_file));
	number_close(vcpu->stats_fd);
}

/* Of a VM as a whole nothing is counted: a list without entries. */
long vm_stats_open(struct vm *vm)
{
	struct stats_file f = {0}, *map;
	char id[NAME_SIZE];
	long ro;
	int fd;

	snprintf(id, sizeof(id), "kvm-%d", (int)getpid());
	fill(&f, id, NULL, 0);
	fd = make_file(&f, &map);
	if (fd < 0)
		return fd;
	munmap(map, sizeof(*map));
	ro = read_only(fd);
	number_close(fd);
	return ro;
}
