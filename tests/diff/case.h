/* SPDX-License-Identifier: MIT */
/*
 * What the differential test's two sides share: a case, the machine state, and how a seed becomes a
 * state.
 *
 * The oracle (oracle.c) is an arm64 Linux program under qemu-aarch64; the other side (diff.c) runs
 * the same words on our engine. Code and data have the same virtual addresses on both.
 */
#ifndef TESTS_DIFF_CASE_H
#define TESTS_DIFF_CASE_H

#include <stdint.h>
#include <string.h>

#define CASE_INSNS 8
/* Cases run in one batch, each in a slot of code of its own. */
#define CASE_SLOTS      256
#define CASE_SLOT_WORDS 32 /* room for a case, its end and what branches may skip to */

#define DATA_BASE   0x10000000ull
#define DATA_SIZE   0x10000ull /* base registers point to its middle */
#define DATA_MID    (DATA_BASE + DATA_SIZE / 2)
#define DATA_HASHED 0x2000ull /* around the middle; this part starts out random */
#define CODE_BASE   0x20000000ull
#define CODE_SIZE   0x10000ull

#define BASE_REG  28 /* holds DATA_MID at first, as does SP */
#define INDEX_REG 27 /* a small number at first */

struct state {
	uint64_t x[31], sp;
	uint64_t v[32][2];
	uint32_t nzcv, fpcr, fpsr;
	/* The number of instructions that completed, with CASE_STOP_* added. */
	uint32_t stop;
	uint64_t memory; /* hash of the data */
};

#define CASE_STOP_FAULT 0x100
#define CASE_STOP_UNDEF 0x200
#define CASE_STOP_ALIGN 0x400

struct test_case {
	uint64_t seed;
	uint32_t nr;
	uint32_t fpcr;
	uint32_t word[CASE_INSNS];
};

struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/*
 * Numbers that matter: small, powers of two and their neighbours, floating-point specials, random
 * ones.
 */
static inline uint64_t rng_value(struct rng *r)
{
	static const uint64_t special[] = {
		0,
		1,
		~0ull,
		0x7fffffffffffffffull,
		0x8000000000000000ull,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x3ff0000000000000ull,
		0x7ff0000000000000ull,
		0xfff0000000000000ull,
		0x7ff8000000000000ull,
		0x7ff0000000000001ull,
		0x0000000000000001ull,
		0x000fffffffffffffull,
		0x0010000000000000ull,
		0x3f8000003f800000ull,
		0x7f800000ff800000ull,
		0x7fc000007f800001ull,
		0x0000000180000001ull,
		0x007fffff00800000ull,
		0x7c003c007e017c01ull,
		0x00010400fc008000ull,
		0x4330000000000000ull,
		0x43e0000000000000ull,
		0xc3e0000000000000ull,
		0x41dfffffffc00000ull,
		0x4f0000005f000000ull,
		0x3fe0000000000000ull,
		0x3fdfffffffffffffull,
		0x7fefffffffffffffull,
		0x7f7fffff7bff7bffull,
	};
	uint64_t k = rng_next(r);

	switch (k & 7) {
	case 0:
		return special[(k >> 8) % (sizeof(special) / sizeof(special[0]))];
	case 1:
		return (1ull << ((k >> 8) & 63)) - ((k >> 16) & 1);
	case 2:
		return (k >> 8) & 0xff;
	case 3: {
		/* two singles of near exponents */
		uint64_t a = rng_next(r);

		return (a & 0x80ffffff80ffffffull) | 0x3e0000003e000000ull |
		       ((a >> 3) & 0x0180000001800000ull);
	}
	case 4: {
		uint64_t a = rng_next(r);

		return (a & 0x800fffffffffffffull) | ((0x3e0 + (k >> 8 & 0x3f)) << 52);
	}
	default:
		return rng_next(r);
	}
}

static inline void state_init(struct state *s, const struct test_case *c)
{
	struct rng r = {c->seed};

	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 31; i++)
		s->x[i] = rng_value(&r);
	s->x[BASE_REG] = DATA_MID;
	s->x[INDEX_REG] = rng_next(&r) & 0xff;
	s->sp = DATA_MID;
	for (int i = 0; i < 32; i++) {
		s->v[i][0] = rng_value(&r);
		s->v[i][1] = rng_value(&r);
	}
	s->nzcv = (uint32_t)rng_next(&r) & 0xf0000000u;
	s->fpcr = c->fpcr;
}

static inline void data_init(uint8_t *mid, const struct test_case *c)
{
	struct rng r = {c->seed ^ 0x5555};
	uint64_t *p = (uint64_t *)(mid - DATA_HASHED / 2);

	for (unsigned int i = 0; i < DATA_HASHED / 8; i += 4) {
		p[i] = rng_value(&r);
		p[i + 1] = p[i + 2] = p[i] * 3;
		p[i + 3] = ~p[i];
	}
}

static inline uint64_t data_hash(const uint8_t *mid)
{
	const uint64_t *p = (const uint64_t *)(mid - DATA_HASHED / 2);
	uint64_t h = 0;

	for (unsigned int i = 0; i < DATA_HASHED / 8; i++)
		h = (h ^ p[i]) * 0x100000001b3ull + (h >> 29);
	return h;
}

#endif
