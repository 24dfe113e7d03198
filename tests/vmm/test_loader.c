/* SPDX-License-Identifier: MIT */
/*
 * Kernel and initrd into memory, from files made here; and what is said of those that are none.
 * Reference: Linux, Documentation/arm64/booting.rst.
 */
#include "support.h"
#include "vmm/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define RAM 0x40000000ull
#define MIB 0x100000ull
#define MEM (16 * MIB)

static struct vmm_memory mem;
static struct vmm_boot boot;
static uint8_t file[3 * 0x100000];

static int setup(void **state)
{
	return vmm_memory_create(&mem, RAM, MEM);
}

static int teardown(void **state)
{
	vmm_memory_destroy(&mem);
	return 0;
}

static void put(size_t offset, const void *value, size_t len)
{
	memcpy(file + offset, value, len);
}

static void put64(size_t offset, uint64_t value)
{
	put(offset, &value, 8);
}

static void put32(size_t offset, uint32_t value)
{
	put(offset, &value, 4);
}

/* An Image of @len bytes that gzip does not make smaller by much. */
static void make_image(size_t len, uint64_t text_offset, uint64_t image_size, uint64_t flags)
{
	uint32_t random = 1;

	for (size_t i = 64; i < len; i++) {
		random = random * 1664525 + 1013904223;
		file[i] = (uint8_t)(random >> 24) | 1;
	}
	memset(file, 0, 64);
	put32(0, 0x14000010);
	put64(8, text_offset);
	put64(16, image_size);
	put64(24, flags);
	put32(56, 0x644d5241);
}

/* Makes it an EFI image of one section that ends at @end. */
static void make_efi(uint32_t end)
{
	file[0] = 'M';
	file[1] = 'Z';
	put32(60, 64);
	memset(file + 64, 0, 24 + 40);
	put(64, "PE\0\0", 4);
	file[64 + 6] = 1;
	put32(64 + 24 + 16, end - 0x1000);
	put32(64 + 24 + 20, 0x1000);
}

static char *gzip_file(size_t len, size_t keep)
{
	char *path = make_file("", 0), *whole;
	gzFile gz = gzopen(path, "wb1");

	assert_int_equal(gzwrite(gz, file, (unsigned int)len), (int)len);
	gzclose(gz);
	if (keep) {
		whole = path;
		assert_int_equal(truncate(whole, (off_t)keep), 0);
	}
	return path;
}

static int load(const char *kernel, bool flat, const char *initrd)
{
	int err = vmm_boot_open(&boot, kernel, flat, initrd);

	if (!err)
		err = vmm_boot_load(&boot, &mem);
	vmm_boot_close(&boot);
	return err;
}

/* Loading fails, with one line that holds both texts. */
static void expect_refusal(const char *path, const char *initrd, const char *one, const char *two)
{
	const char *said;
	int err;

	capture_begin();
	err = load(path, false, initrd);
	said = capture_end();
	assert_true(err < 0);
	assert_int_equal(count_lines(said), 1);
	assert_int_equal(strncmp(said, "armature: ", 10), 0);
	if (!strstr(said, one) || !strstr(said, two))
		fail_msg("said: %s", said);
}

static void places_an_image(void **state)
{
	char *path, *initrd = make_file("initrd", 6);

	make_image(100000, 0x1000, 3 * MIB, 0);
	path = make_file(file, 100000);
	assert_int_equal(load(path, false, initrd), 0);
	assert_int_equal(boot.entry, RAM + 0x1000);
	assert_memory_equal(vmm_memory_at(&mem, boot.entry, 100000), file, 100000);
	assert_int_equal(boot.initrd_start, RAM + 8 * MIB); /* half of it */
	assert_int_equal(boot.initrd_end, RAM + 8 * MIB + 6);
	assert_int_equal(boot.dtb, RAM + 10 * MIB);
	assert_memory_equal(vmm_memory_at(&mem, boot.initrd_start, 6), "initrd", 6);
	assert_int_equal(boot.dtb_copy_max, 0);
	drop_file(path);
	drop_file(initrd);
}

static void places_by_the_file(void **state)
{
	char *path;

	make_image(2 * MIB + 1, 0, 1 * MIB, 0); /* a size smaller than the file */
	path = make_file(file, 2 * MIB + 1);
	assert_int_equal(load(path, false, NULL), 0);
	assert_int_equal(boot.entry, RAM);
	assert_int_equal(boot.initrd_end, 0);
	assert_int_equal(boot.dtb, RAM + 8 * MIB);
	drop_file(path);
}

static void places_an_old_image(void **state)
{
	char *path;

	make_image(1000, 0x123000, 0, 0); /* image_size 0: text_offset means nothing */
	path = make_file(file, 1000);
	assert_int_equal(load(path, false, NULL), 0);
	assert_int_equal(boot.entry, RAM + 0x80000);
	drop_file(path);
}

static void unpacks_gzip(void **state)
{
	char *path;

	make_image(1000000, 0, 2 * MIB, 0xa);
	path = gzip_file(1000000, 0);
	assert_int_equal(load(path, false, NULL), 0);
	assert_memory_equal(vmm_memory_at(&mem, RAM, 1000000), file, 1000000);
	drop_file(path);
}

static void unpacks_zboot(void **state)
{
	static uint8_t zboot[MIB];
	char *gz, *path;
	FILE *in;
	size_t n;

	make_image(500000, 0, 2 * MIB, 0xa);
	gz = gzip_file(500000, 0);
	in = fopen(gz, "re");
	n = fread(zboot + 512, 1, sizeof(zboot) - 512, in);
	fclose(in);
	memcpy(zboot, "MZ\0\0zimg", 8);
	memcpy(zboot + 8, &(uint32_t){512}, 4);
	memcpy(zboot + 12, &(uint32_t){(uint32_t)n}, 4);
	memcpy(zboot + 24, "gzip", 5);
	path = make_file(zboot, 512 + n);
	assert_int_equal(load(path, false, NULL), 0);
	assert_memory_equal(vmm_memory_at(&mem, RAM, 500000), file, 500000);
	assert_int_equal(truncate(path, 600), 0);
	expect_refusal(path, NULL, "truncated", "");
	memcpy(zboot + 24, "zstd", 5);
	drop_file(path);
	path = make_file(zboot, 512 + n);
	expect_refusal(path, NULL, "zboot", "gzip");
	drop_file(path);
	drop_file(gz);
}

static void loads_a_bare_binary(void **state)
{
	char *path = make_file("bare", 4);

	assert_int_equal(load(path, true, NULL), 0);
	assert_int_equal(boot.entry, RAM + 0x80000);
	assert_memory_equal(vmm_memory_at(&mem, boot.entry, 4), "bare", 4);
	assert_true(boot.dtb >= RAM + 8 * MIB); /* room for what it does not tell */
	assert_true(boot.dtb + 2 * MIB <= RAM + MEM);
	/* Firmware looks at the start of memory, in what is free below it. */
	assert_int_equal(boot.dtb_copy, RAM);
	assert_int_equal(boot.dtb_copy_max, 0x80000);
	drop_file(path);
}

#define CMA  (64 * MIB) /* of Debian's kernels */
#define LIFE (24 * MIB) /* what they need beside it */

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* One size of memory: all has a place of its own, and CMA never takes what is needed to live. */
static void check_size(uint64_t mib, const char *kernel, uint64_t kernel_end, const char *initrd,
		       uint64_t initrd_size)
{
	const uint64_t top = RAM + mib * MIB;
	uint64_t below, above;

	vmm_memory_destroy(&mem);
	assert_int_equal(vmm_memory_create(&mem, RAM, mib * MIB), 0);
	assert_int_equal(load(kernel, false, initrd), 0);
	assert_int_equal(boot.initrd_end - boot.initrd_start, initrd_size);
	assert_int_equal(boot.initrd_start % 4096, 0);
	assert_true(boot.initrd_start >= kernel_end);
	assert_true(boot.initrd_end <= boot.dtb);
	assert_int_equal(boot.dtb % (2 * MIB), 0);
	assert_true(boot.dtb + 2 * MIB <= top);
	assert_memory_equal(vmm_memory_at(&mem, boot.initrd_end - 3, 3), "end", 3);
	below = boot.initrd_start - kernel_end;
	above = top - boot.dtb;
	if (max64(below, above) >= CMA && below + above < CMA + LIFE)
		fail_msg("%llu MiB: %llu and %llu KiB are free", (unsigned long long)mib,
			 (unsigned long long)below >> 10, (unsigned long long)above >> 10);
}

/* As Debian's two kernels, and initrds of all sizes. */
static void places_for_every_size(void **state)
{
	static const uint64_t kernels[] = {27 * MIB, 37 * MIB + 0x10000};
	char *initrd = make_file("", 0);
	FILE *out;

	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		char *path;

		make_image(1000, 0, kernels[i], 0xa);
		path = make_file(file, 1000);
		for (uint64_t size = 23 * MIB + 123; size > 4096; size /= 3) {
			assert_int_equal(truncate(initrd, 0), 0);
			assert_int_equal(truncate(initrd, (off_t)size), 0);
			out = fopen(initrd, "r+e");
			fseek(out, -3, SEEK_END);
			fputs("end", out);
			fclose(out);
			for (uint64_t mib = 64; mib <= 256; mib++)
				check_size(mib, path, RAM + kernels[i], initrd, size);
		}
		drop_file(path);
	}
	drop_file(initrd);
}

/* To the last page: what the message names as enough is enough, and 1 MiB less is not. */
static void places_in_the_least_memory(void **state)
{
	static const uint64_t initrds[] = {1, 4096, MIB - 1, 5 * MIB, 30 * MIB + 1};
	char *path, *initrd = make_file("", 0);

	make_image(1000, 0, 9 * MIB + 5, 0xa);
	path = make_file(file, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(initrds); i++) {
		uint64_t mib = 16;
		const char *said;

		assert_int_equal(truncate(initrd, (off_t)initrds[i]), 0);
		for (;; mib++) {
			unsigned long long enough;
			int err;

			vmm_memory_destroy(&mem);
			assert_int_equal(vmm_memory_create(&mem, RAM, mib * MIB), 0);
			capture_begin();
			err = load(path, false, initrd);
			said = capture_end();
			if (!err)
				break;
			said = strstr(said, "--mem ");
			assert_non_null(said);
			assert_int_equal(sscanf(said, "--mem %llu", &enough), 1);
			assert_true(enough > mib);
			assert_true(enough * MIB >= (9 * MIB + 5 + initrds[i]));
		}
		assert_true(boot.initrd_start >= RAM + 9 * MIB + 5);
		assert_true(boot.initrd_end <= boot.dtb);
		assert_true(boot.dtb + 2 * MIB <= RAM + mib * MIB);
		assert_true(mib * MIB <= max64(16 * MIB, 9 * MIB + initrds[i] + 5 * MIB));
	}
	drop_file(path);
	drop_file(initrd);
}

/* However much memory there is, initrd and tree are near to the kernel. */
static void places_in_large_memory(void **state)
{
	char *path, *initrd = make_file("initrd", 6);

	make_image(1000, 0, MIB, 0xa);
	path = make_file(file, 1000);
	vmm_memory_destroy(&mem);
	assert_int_equal(vmm_memory_create(&mem, RAM, 40960 * MIB), 0);
	assert_int_equal(load(path, false, initrd), 0);
	assert_int_equal(boot.initrd_start, RAM + 128 * MIB);
	assert_int_equal(boot.dtb, RAM + 130 * MIB);
	drop_file(path);
	drop_file(initrd);
}

/* The header's fields are little-endian in every kernel, and so are A64's instructions. */
static void loads_a_big_endian_kernel(void **state)
{
	char *path;

	make_image(1000, 0x1000, MIB, 1 | 0xa);
	path = make_file(file, 1000);
	assert_int_equal(load(path, false, NULL), 0);
	assert_int_equal(boot.entry, RAM + 0x1000);
	drop_file(path);
}

static void refuses_what_is_missing(void **state)
{
	expect_refusal("/nonexistent/Image", NULL, "kernel '/nonexistent/Image'", "No such file");
	expect_refusal("/tmp", NULL, "kernel '/tmp'", "not a file");
	char *path;

	make_image(1000, 0, MIB, 0);
	path = make_file(file, 1000);
	expect_refusal(path, "/nonexistent/initrd", "initrd '/nonexistent/initrd'", "No such file");
	expect_refusal(path, "/dev/null", "initrd '/dev/null'", "not a file");
	drop_file(path);
}

static void refuses_what_is_no_image(void **state)
{
	static const struct {
		const char *start, *text;
	} table[] = {
		{"just text, no kernel at all", "not an arm64 Image"},
		{"\x7f"
		 "ELF\x02\x01\x01",
		 "an ELF file"},
		{"\xfd"
		 "7zXZ",
		 "xz"},
		{"\x28\xb5\x2f\xfd", "zstd"},
		{"BZh9", "bzip2"},
		{"", "not an arm64 Image"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char *path;

		memset(file, 0, 4096);
		put(0, table[i].start, strlen(table[i].start));
		path = make_file(file, 4096);
		expect_refusal(path, NULL, table[i].text, "");
		drop_file(path);
	}
	memset(file, 0, 4096); /* gzip around something else */
	char *path = gzip_file(4096, 0);

	expect_refusal(path, NULL, "not an arm64 Image", "");
	drop_file(path);
}

static void refuses_what_is_truncated(void **state)
{
	char *path;

	make_image(1000, 0, MIB, 0);
	for (size_t len = 0; len < 64; len += 21) {
		path = make_file(file, len);
		expect_refusal(path, NULL, len ? "truncated" : "empty", "");
		drop_file(path);
	}
	make_image(100000, 0, MIB, 0);
	make_efi(100000);
	path = make_file(file, 100000);
	assert_int_equal(load(path, false, NULL), 0);
	assert_int_equal(truncate(path, 99999), 0);
	expect_refusal(path, NULL, "truncated", "header says");
	assert_int_equal(truncate(path, 70), 0);
	expect_refusal(path, NULL, "truncated", "header says");
	drop_file(path);
	path = gzip_file(100000, 20000);
	expect_refusal(path, NULL, "truncated", "gzip");
	drop_file(path);
	path = gzip_file(100000, 30);
	expect_refusal(path, NULL, "truncated", "");
	drop_file(path);
}

static void refuses_broken_gzip(void **state)
{
	char *path;
	FILE *out;

	make_image(1000000, 0, 2 * MIB, 0);
	path = gzip_file(1000000, 0);
	out = fopen(path, "r+e");
	fseek(out, 5000, SEEK_SET);
	for (int i = 0; i < 200; i++)
		putc(0xff, out);
	fclose(out);
	expect_refusal(path, NULL, "gzip", "");
	drop_file(path);
}

static void refuses_what_is_too_large(void **state)
{
	char *path, *initrd;

	make_image(1000, 0, 15 * MIB, 0); /* no room for the device tree */
	path = make_file(file, 1000);
	expect_refusal(path, NULL, "too large for the memory of 16 MiB", "--mem 18");
	drop_file(path);
	make_image(1000, 0, 17 * MIB, 0);
	path = make_file(file, 1000);
	expect_refusal(path, NULL, "too large", "--mem 20"); /* with the device tree */
	drop_file(path);
	make_image(1000, 0, UINT64_MAX - 5, 0);
	path = make_file(file, 1000);
	expect_refusal(path, NULL, "too large", "and for any");
	drop_file(path);
	make_image(1000, 20 * MIB, MIB, 0);
	path = make_file(file, 1000);
	expect_refusal(path, NULL, "too large", "");
	drop_file(path);
	make_image(1000, UINT64_MAX - 100, MIB, 0);
	path = make_file(file, 1000);
	expect_refusal(path, NULL, "too large", "");
	drop_file(path);
	make_image(1000, 0, 10 * MIB, 0);
	path = make_file(file, 1000);
	initrd = make_file(file, 5 * MIB > sizeof(file) ? sizeof(file) : 5 * MIB);
	assert_int_equal(truncate(initrd, 5 * MIB), 0);
	expect_refusal(path, initrd, "initrd", "--mem 18");
	assert_int_equal(truncate(initrd, 7 * MIB), 0);
	expect_refusal(path, initrd, "initrd", "--mem 20");
	assert_int_equal(truncate(initrd, 0), 0);
	expect_refusal(path, initrd, "initrd", "empty");
	drop_file(path);
	drop_file(initrd);
}

/* A gzip stream far larger than the memory ends at its edge. */
static void stops_at_the_edge(void **state)
{
	char *path = make_file("", 0);
	gzFile gz = gzopen(path, "wb1");

	make_image(MIB, 0, 2 * MIB, 0);
	for (unsigned int i = 0; i < 40; i++)
		assert_int_equal(gzwrite(gz, file, MIB), MIB);
	gzclose(gz);
	memset((uint8_t *)mem.host + MEM - 16, 0, 16);
	expect_refusal(path, NULL, "too large", "");
	drop_file(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(places_an_image),
		TEST(places_by_the_file),
		TEST(places_an_old_image),
		TEST(unpacks_gzip),
		TEST(unpacks_zboot),
		TEST(loads_a_bare_binary),
		TEST(places_for_every_size),
		TEST(places_in_the_least_memory),
		TEST(places_in_large_memory),
		TEST(loads_a_big_endian_kernel),
		TEST(refuses_what_is_missing),
		TEST(refuses_what_is_no_image),
		TEST(refuses_what_is_truncated),
		TEST(refuses_broken_gzip),
		TEST(refuses_what_is_too_large),
		TEST(stops_at_the_edge),
	};

	return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
