/* SPDX-License-Identifier: MIT */
/* What the host's CPU has, against what Linux says; and what ARMATURE_CPUID takes away. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/back/x64/features.h"

static const char *const names[X64_NR_FEATURES] = {
#define NAME(name, text, ...) text,
	X64_FEATURES(NAME)
#undef NAME
};

/* As /proc/cpuinfo has it, where it has another name. */
static const char *const linux_names[X64_NR_FEATURES] = {
	[X64_BIT_SSE42] = "sse4_2",
	[X64_BIT_LZCNT] = "abm",
	[X64_BIT_PCLMUL] = "pclmulqdq",
	[X64_BIT_SHA] = "sha_ni",
	[X64_BIT_INVARIANT_TSC] = "nonstop_tsc",
};

static uint32_t of_linux(void)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	uint32_t features = 0;
	char line[8192];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) && strncmp(line, "flags", 5))
		;
	fclose(f);
	for (char *flag = strtok(line, " \t:\n"); flag; flag = strtok(NULL, " \t:\n"))
		for (unsigned int i = 0; i < X64_NR_FEATURES; i++)
			if (!strcmp(flag, linux_names[i] ? linux_names[i] : names[i]))
				features |= 1u << i;
	return features;
}

static void host(void **state)
{
	uint32_t features;

	unsetenv("ARMATURE_CPUID");
	assert_int_equal(x64_features(&features), 0);
	assert_int_equal(features, of_linux());
}

static void one_by_one(void **state)
{
	const uint32_t all = (1u << X64_NR_FEATURES) - 1;

	for (unsigned int i = 0; i < X64_NR_FEATURES; i++) {
		uint32_t left = all, goes = 1u << i;
		char list[32];

		snprintf(list, sizeof(list), "-%s", names[i]);
		assert_null(x64_features_without(&left, list));
		if (i == X64_BIT_AVX)
			goes |= X64_HAS_AVX2 | X64_HAS_FMA | X64_HAS_F16C | X64_HAS_VAES;
		if (i == X64_BIT_AES)
			goes |= X64_HAS_VAES;
		assert_int_equal(left, all & ~goes);
		assert_int_equal(x64_usable(left), !(goes & X64_MINIMUM));
	}
	assert_true(x64_usable(X64_MINIMUM));
}

static void lists(void **state)
{
	static const struct {
		const char *list;
		uint32_t goes;
		int wrong; /* offset of what is wrong; -1: nothing */
	} rows[] = {
		{NULL, 0, -1},
		{"", 0, -1},
		{"-sha", X64_HAS_SHA, -1},
		{"-sha,-fma", X64_HAS_SHA | X64_HAS_FMA, -1},
		{"sha", 0, 0},
		{"-shaa", 0, 0},
		{"-sh", 0, 0},
		{"-", 0, 0},
		{"-fma,", 0, 4},
		{"-fma,,-sha", 0, 5},
		{"-fma,-none", 0, 5},
		{",", 0, 0},
		{"-fma -sha", 0, 0},
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint32_t all = (1u << X64_NR_FEATURES) - 1;
		uint32_t left = all;
		const char *wrong = x64_features_without(&left, rows[i].list);

		assert_int_equal(left, all & ~rows[i].goes);
		assert_int_equal(wrong ? wrong - rows[i].list : -1, rows[i].wrong);
	}
}

/* What x64_features() returns with @list, and what it says. */
static int ask(const char *list, uint32_t *features, char *said, size_t size)
{
	int file = memfd_create("said", MFD_CLOEXEC), err = dup(STDERR_FILENO), rc;
	ssize_t n;

	setenv("ARMATURE_CPUID", list, 1);
	dup2(file, STDERR_FILENO);
	rc = x64_features(features);
	dup2(err, STDERR_FILENO);
	unsetenv("ARMATURE_CPUID");
	n = pread(file, said, size - 1, 0);
	assert_true(n >= 0);
	said[n] = '\0';
	close(file);
	close(err);
	return rc;
}

static void environment(void **state)
{
	uint32_t whole, features;
	char said[1024];

	assert_int_equal(x64_features(&whole), 0);
	assert_int_equal(ask("-popcnt", &features, said, sizeof(said)), 0);
	assert_int_equal(features, whole & ~(uint32_t)X64_HAS_POPCNT);
	assert_string_equal(said, "");

	assert_int_equal(ask("-popcnt,-avx3", &features, said, sizeof(said)), -EINVAL);
	assert_int_equal(features, whole);
	assert_non_null(strstr(said, "armature: ARMATURE_CPUID: \"-avx3\""));
	for (unsigned int i = 0; i < X64_NR_FEATURES; i++)
		assert_non_null(strstr(said, names[i]));
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host),
		cmocka_unit_test(one_by_one),
		cmocka_unit_test(lists),
		cmocka_unit_test(environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
