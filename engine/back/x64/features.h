/* SPDX-License-Identifier: MIT */
/*
 * What the host's CPU has of what generated code can use.
 *
 * A feature counts as there when CPUID says so and, where it needs registers that the operating
 * system saves, XCR0 does, too (Intel SDM volume 1, 13.3). ARMATURE_CPUID takes features away, for
 * tests: a list of names with a minus, such as "-fma,-sha".
 */
#ifndef ENGINE_BACK_X64_FEATURES_H
#define ENGINE_BACK_X64_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Name in C, name in ARMATURE_CPUID, leaf of CPUID (its subleaf is 0), register, bit, features that
 * it is nothing without.
 */
#define X64_FEATURES(X)                                       \
	X(SSE42, "sse4.2", 1, ECX, 20, 0)                     \
	X(AVX, "avx", 1, ECX, 28, 0)                          \
	X(AVX2, "avx2", 7, EBX, 5, X64_HAS_AVX)               \
	X(BMI1, "bmi1", 7, EBX, 3, 0)                         \
	X(BMI2, "bmi2", 7, EBX, 8, 0)                         \
	X(LZCNT, "lzcnt", 0x80000001, ECX, 5, 0)              \
	X(POPCNT, "popcnt", 1, ECX, 23, 0)                    \
	X(FMA, "fma", 1, ECX, 12, X64_HAS_AVX)                \
	X(F16C, "f16c", 1, ECX, 29, X64_HAS_AVX)              \
	X(AES, "aes", 1, ECX, 25, 0)                          \
	X(PCLMUL, "pclmul", 1, ECX, 1, 0)                     \
	X(SHA, "sha", 7, EBX, 29, 0)                          \
	X(VAES, "vaes", 7, ECX, 9, X64_HAS_AVX | X64_HAS_AES) \
	X(MOVBE, "movbe", 1, ECX, 22, 0)                      \
	X(CX16, "cx16", 1, ECX, 13, 0)                        \
	X(ERMS, "erms", 7, EBX, 9, 0)                         \
	X(INVARIANT_TSC, "tsc", 0x80000007, EDX, 8, 0)

enum {
#define BIT_OF(name, ...) X64_BIT_##name,
	X64_FEATURES(BIT_OF)
#undef BIT_OF
		X64_NR_FEATURES
};

/* X64_HAS_AVX2 and so on: bits of a mask. */
enum {
#define MASK_OF(name, ...) X64_HAS_##name = 1u << X64_BIT_##name,
	X64_FEATURES(MASK_OF)
#undef MASK_OF
};

/* The least that the generator works with. */
#define X64_MINIMUM                                                                 \
	(X64_HAS_SSE42 | X64_HAS_AVX | X64_HAS_AVX2 | X64_HAS_BMI1 | X64_HAS_BMI2 | \
	 X64_HAS_LZCNT | X64_HAS_POPCNT | X64_HAS_FMA | X64_HAS_F16C | X64_HAS_CX16)

/**
 * x64_features() - What the host has, less what ARMATURE_CPUID takes away.
 * @features: a mask of X64_...; on error as if ARMATURE_CPUID were not set
 *
 * Return: 0, or -EINVAL if ARMATURE_CPUID names what is no feature: a line on standard error says
 * which ones there are. Any thread; takes microseconds, for CPUID may leave a virtual machine.
 */
int x64_features(uint32_t *features);

/**
 * x64_features_without() - Take features away.
 * @features: from this mask; those that are nothing without one that goes, go with it
 * @list: "-NAME", separated by commas; NULL or "": nothing
 *
 * Return: NULL, or what is wrong: the first place in @list that is no "-NAME". *@features is as it
 * was then.
 */
const char *x64_features_without(uint32_t *features, const char *list);

/* Is @features enough for the generator? */
static inline bool x64_usable(uint32_t features)
{
	return (features & X64_MINIMUM) == X64_MINIMUM;
}

#endif
