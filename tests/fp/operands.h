/* SPDX-License-Identifier: MIT */
/*
 * Operands for the tests: numbers at the edges of a format and of its conversions, random bits, and
 * random numbers whose exponents meet. Deterministic from a seed.
 */
#ifndef TESTS_FP_OPERANDS_H
#define TESTS_FP_OPERANDS_H

#include <stdint.h>
#include <stdlib.h>

#define DEFAULT_SEED     1
#define MISMATCHES_SHOWN 4 /* of one operation */

/* A number from the environment: FP_COUNT, FP_SEED. */
static inline uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

struct fp_random {
	uint64_t state;
};

/* Steele and others' SplitMix64 step. */
static inline uint64_t fp_random_next(struct fp_random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline unsigned fp_random_below(struct fp_random *r, unsigned n)
{
	return (unsigned)((fp_random_next(r) >> 32) * n >> 32);
}

/* A fraction of @bits: runs of ones and zeros more often than not, where rounding is decided. */
static inline uint64_t fp_random_frac(struct fp_random *r, int bits)
{
	uint64_t mask = (1ull << bits) - 1, v = fp_random_next(r);
	unsigned at = fp_random_below(r, (unsigned)bits);

	switch (fp_random_below(r, 8)) {
	case 0:
		return 0;
	case 1:
		return mask;
	case 2:
		return 1ull << at;
	case 3:
		return mask & (~0ull << at);
	case 4:
		return mask >> at;
	case 5:
		return (v << at) & mask;
	default:
		return v & mask;
	}
}

static inline int fp_random_exp(struct fp_random *r, int frac_bits, int exp_max)
{
	int bias = exp_max >> 1;

	switch (fp_random_below(r, 8)) {
	case 0:
		return 0;
	case 1:
		return 1 + (int)fp_random_below(r, 3);
	case 2:
		return exp_max - (int)fp_random_below(r, 3);
	case 3: /* half the smallest: products at the edge of underflow */
		return bias / 2 + (int)fp_random_below(r, 8) - 4;
	case 4: /* around the places of integers and of the other formats' edges */
		return bias + (int)fp_random_below(r, 70) - 3 > exp_max
			       ? bias
			       : bias + (int)fp_random_below(r, (unsigned)exp_max / 2 + 1) % 67 - 3;
	case 5:
		return bias + (int)fp_random_below(r, (unsigned)frac_bits * 2) - frac_bits;
	default:
		return (int)fp_random_below(r, (unsigned)exp_max + 1);
	}
}

static inline uint64_t fp_random_number(struct fp_random *r, int frac_bits, int exp_max, int width)
{
	static const int narrower[] = {-14, -24, -25, -126, -127, -149, -150,
				       15,  16,  31,  32,   63,   64};
	int bias = exp_max >> 1, exp = fp_random_exp(r, frac_bits, exp_max);
	uint64_t sign = fp_random_next(r) >> 63 << (width - 1);

	if (fp_random_below(r, 8) == 0) {
		int at = bias + narrower[fp_random_below(r, 13)] - (int)fp_random_below(r, 2);

		if (at > 0 && at < exp_max)
			exp = at;
	}
	if (exp < 0 || exp > exp_max)
		exp = bias;
	return sign | (uint64_t)exp << frac_bits | fp_random_frac(r, frac_bits);
}

/* One of the numbers that have a name. */
static inline uint64_t fp_random_special(struct fp_random *r, int frac_bits, int exp_max, int width)
{
	uint64_t unit = 1ull << frac_bits, inf = (uint64_t)exp_max << frac_bits;
	uint64_t one = (uint64_t)(exp_max >> 1) << frac_bits, quiet = unit >> 1;
	const uint64_t special[] = {
		0,          0,
		1,          2,
		unit - 1,   unit,
		unit + 1,   one,
		one - 1,    one + 1,
		inf,        inf,
		inf - 1,    inf | quiet,
		inf | 1,    unit,
		inf - 1,    quiet,
		quiet - 1,  one - unit,
		one + unit, inf | quiet | 0x2a,
		inf | 0x55, one + unit / 2,
	};
	unsigned n = sizeof(special) / sizeof(special[0]);

	return special[fp_random_below(r, n)] | fp_random_next(r) >> 63 << (width - 1);
}

static inline uint64_t fp_random_integer(struct fp_random *r, int width)
{
	uint64_t mask = ~0ull >> (64 - width), v = fp_random_next(r);
	unsigned at = fp_random_below(r, (unsigned)width);

	switch (fp_random_below(r, 5)) {
	case 0:
		return v & mask;
	case 1:
		return (v & mask) >> at;
	case 2:
		return ((1ull << at) + fp_random_below(r, 3) - 1) & mask;
	case 3:
		return (-(1ull << at) + fp_random_below(r, 3) - 1) & mask;
	default:
		return -((v & mask) >> at) & mask;
	}
}

/* An operand of a kind as in ops.h. */
static inline uint64_t fp_random_operand(struct fp_random *r, char kind)
{
	bool special = fp_random_below(r, 3) == 0;

	switch (kind) {
	case 'h':
		return special ? fp_random_special(r, 10, 0x1f, 16)
			       : fp_random_number(r, 10, 0x1f, 16);
	case 's':
		return special ? fp_random_special(r, 23, 0xff, 32)
			       : fp_random_number(r, 23, 0xff, 32);
	case 'd':
		return special ? fp_random_special(r, 52, 0x7ff, 64)
			       : fp_random_number(r, 52, 0x7ff, 64);
	case 'w':
	case 'v':
		return fp_random_integer(r, 32);
	case 'x':
		return fp_random_integer(r, 64);
	default:
		return 0;
	}
}

#endif
