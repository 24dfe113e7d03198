/* SPDX-License-Identifier: MIT */
/* CPUID and XGETBV, and ARMATURE_CPUID. */
#include <cpuid.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/back/x64/features.h"

enum reg { EAX, EBX, ECX, EDX };

static const struct feature {
	const char *name;
	unsigned int leaf, reg, bit;
	uint32_t needs;
} rows[X64_NR_FEATURES] = {
#define ROW(name, text, leaf, reg, bit, needs) {text, leaf, reg, bit, needs},
	X64_FEATURES(ROW)
#undef ROW
};

#define OSXSAVE  (1u << 27) /* CPUID.1:ECX: there is XGETBV, and the system uses XSAVE */
#define XCR0_SSE (1u << 1)
#define XCR0_YMM (1u << 2)

/* Does the system save what AVX needs? */
static bool saves_ymm(void)
{
	uint32_t regs[4], low, high;

	if (!__get_cpuid(1, &regs[EAX], &regs[EBX], &regs[ECX], &regs[EDX]) ||
	    !(regs[ECX] & OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return !(~low & (XCR0_SSE | XCR0_YMM));
}

static bool cpu_has(const struct feature *f)
{
	uint32_t regs[4];

	/* A leaf that the CPU does not have is told by the result, not by zeros. */
	return __get_cpuid_count(f->leaf, 0, &regs[EAX], &regs[EBX], &regs[ECX], &regs[EDX]) &&
	       (regs[f->reg] >> f->bit & 1);
}

/* Drop what lacks what it needs. */
static uint32_t consistent(uint32_t features)
{
	for (unsigned int i = 0; i < X64_NR_FEATURES; i++)
		if (rows[i].needs & ~features)
			features &= ~(1u << i);
	return features;
}

static uint32_t of_host(void)
{
	uint32_t features = 0;

	for (unsigned int i = 0; i < X64_NR_FEATURES; i++)
		if (cpu_has(&rows[i]))
			features |= 1u << i;
	if (!saves_ymm())
		features &= ~(uint32_t)X64_HAS_AVX;
	return consistent(features);
}

/* The feature whose name is the @length characters at @name, or X64_NR_FEATURES. */
static unsigned int find(const char *name, size_t length)
{
	unsigned int i = 0;

	while (i < X64_NR_FEATURES &&
	       (strlen(rows[i].name) != length || memcmp(rows[i].name, name, length)))
		i++;
	return i;
}

const char *x64_features_without(uint32_t *features, const char *list)
{
	uint32_t left = *features;

	while (list && *list) {
		size_t length = strcspn(list, ",");
		unsigned int i = *list == '-' ? find(list + 1, length - 1) : X64_NR_FEATURES;

		if (i == X64_NR_FEATURES)
			return list;
		left &= ~(1u << i);
		list += length;
		/* A comma has something behind it. */
		if (*list && !*++list)
			return list - 1;
	}
	*features = consistent(left);
	return NULL;
}

int x64_features(uint32_t *features)
{
	const char *wrong;

	*features = of_host();
	wrong = x64_features_without(features, getenv("ARMATURE_CPUID"));
	if (!wrong)
		return 0;
	fprintf(stderr, "armature: ARMATURE_CPUID: \"%s\" is no list of", wrong);
	for (unsigned int i = 0; i < X64_NR_FEATURES; i++)
		fprintf(stderr, " -%s", rows[i].name);
	fprintf(stderr, ", with commas between them\n");
	return -EINVAL;
}
