/* SPDX-License-Identifier: MIT */
/*
 * Floating point, instruction by instruction on both back ends: each of all pairs of operands at
 * which something changes (limits of integers, NaNs of each kind, zeros, subnormal numbers), and
 * FPCR. Registers, flags and FPSR must be the same.
 */
#include <stdlib.h>

#include "cpu/arch.h"
#include "tests/engine/guest.h"
#include "tests/engine/random_words.h"

#define CODE (RAM_BASE + 0x80000)

static struct guest portable, generated;

static int setup(void **state)
{
	setenv("ARMATURE_ENGINE", "portable", 1);
	guest_start(&portable, 1);
	setenv("ARMATURE_ENGINE", "x64", 1);
	guest_start(&generated, 1);
	unsetenv("ARMATURE_ENGINE");
	return 0;
}

static int teardown(void **state)
{
	guest_stop(&portable);
	guest_stop(&generated);
	return 0;
}

/* --- operands --- */

static const uint32_t singles[] = {
	0,          0x3f800000, 0x3f000000, 0x3fc00000, 0x40200000, 0x3effffff,
	0x3f7fffff,                                                             /* up to 1 */
	1,          0x007fffff, 0x00800000, 0x00800001, 0x7f7fffff, 0x7f800000, /* tiny, huge */
	0x7fc00000, 0x7fc12345, 0x7f800001, 0x7fa54321, 0xffc00001, 0xff812345, /* NaNs */
	0x4effffff, 0x4f000000, 0x4f000001, 0x4f7fffff, 0x4f800000,             /* 2^31, 2^32 */
	0x5effffff, 0x5f000000, 0x5f7fffff, 0x5f800000, 0x4b000001, 0x4a800001, /* 2^63, 2^64 */
};

static const uint64_t doubles[] = {
	0,
	0x3ff0000000000000,
	0x3fe0000000000000,
	0x3ff8000000000000,
	0x4004000000000000,
	0x3fdfffffffffffff,
	0x3fefffffffffffff,
	1,
	0x000fffffffffffff,
	0x0010000000000000,
	0x0010000000000001,
	0x7fefffffffffffff,
	0x7ff0000000000000,
	/* rounded to single precision: tiny, the smallest normal number, too large */
	0x380fffffffffffff,
	0x3810000000000000,
	0x380ffffff0000000,
	0x36a0000000000001,
	0x47efffffffffffff,
	0x7ff8000000000000,
	0x7ff8000000012345,
	0x7ff0000000000001,
	0xfff8000000000001,
	0xfff4000000000001,
	0x41dfffffffc00000,
	0x41dfffffffe00000,
	0x41e0000000000000,
	0x41e0000000100000,
	0x41e0000000200000,
	0x41efffffffe00000,
	0x41effffffff00000,
	0x41f0000000000000,
	0x43dfffffffffffff,
	0x43e0000000000000,
	0x43efffffffffffff,
	0x43f0000000000000,
	0x4330000000000001,
	0x4320000000000001,
};

#define NR(a) (sizeof(a) / sizeof((a)[0]))

/* The operand of that number; of odd numbers the negative one. */
static uint64_t operand(bool wide, unsigned int n)
{
	return wide ? doubles[n / 2] ^ (uint64_t)(n & 1) << 63 : singles[n / 2] ^ (n & 1) << 31;
}

static unsigned int nr_operands(bool wide)
{
	return 2 * (unsigned int)(wide ? NR(doubles) : NR(singles));
}

/* --- instructions: on v1 and v2, x1, to v0 and x0 --- */

#define RM    (2u << 16)
#define RN    (1u << 5)
#define D_BIT (1u << 22)
#define MOST  24

struct insn {
	const char *name;
	uint32_t word;
	bool binary, vector;
};

static const struct insn insns[] = {
#define CONVERT(name, bits)                                                                  \
	{name "s w", bits}, {name "s x", (bits) | 1u << 31}, {name "u w", (bits) | 1 << 16}, \
	{                                                                                    \
		name "u x", (bits) | 1 << 16 | 1u << 31                                      \
	}
	CONVERT("fcvtn", 0x1e200000 | RN),
	CONVERT("fcvtp", 0x1e280000 | RN),
	CONVERT("fcvtm", 0x1e300000 | RN),
	CONVERT("fcvtz", 0x1e380000 | RN),
	CONVERT("fcvta", 0x1e240000 | RN),
	CONVERT("cvtf", 0x1e220000 | RN),
#undef CONVERT
	{"fcvtzs x, #7", 0x9e18e400 | RN},
	{"scvtf x, #7", 0x9e02e400 | RN},
	{"frintn", 0x1e244000 | RN},
	{"frintp", 0x1e24c000 | RN},
	{"frintm", 0x1e254000 | RN},
	{"frintz", 0x1e25c000 | RN},
	{"frinta", 0x1e264000 | RN},
	{"frintx", 0x1e274000 | RN},
	{"frinti", 0x1e27c000 | RN},
	{"fsqrt", 0x1e21c000 | RN},
	{"fadd", 0x1e202800 | RM | RN, true},
	{"fmul", 0x1e200800 | RM | RN, true},
	{"fdiv", 0x1e201800 | RM | RN, true},
	{"fmax", 0x1e204800 | RM | RN, true},
	{"fmin", 0x1e205800 | RM | RN, true},
	{"fmaxnm", 0x1e206800 | RM | RN, true},
	{"fminnm", 0x1e207800 | RM | RN, true},
	{"fcmeq", 0x5e20e400 | RM | RN, true},
	{"fcmge", 0x7e20e400 | RM | RN, true},
	{"fcmgt", 0x7ea0e400 | RM | RN, true},
	{"fmax v", 0x4e20f400 | RM | RN, true, true},
	{"fmin v", 0x4ea0f400 | RM | RN, true, true},
	{"fmaxnm v", 0x4e20c400 | RM | RN, true, true},
	{"fminnm v", 0x4ea0c400 | RM | RN, true, true},
	{"fcmeq v", 0x4e20e400 | RM | RN, true, true},
	{"fcmge v", 0x6e20e400 | RM | RN, true, true},
	{"fcmgt v", 0x6ea0e400 | RM | RN, true, true},
	{"frintn v", 0x4e218800 | RN, false, true},
	{"frintm v", 0x4e219800 | RN, false, true},
	{"frintp v", 0x4ea18800 | RN, false, true},
	{"frintz v", 0x4ea19800 | RN, false, true},
	{"frintx v", 0x6e219800 | RN, false, true},
	{"frinti v", 0x6ea19800 | RN, false, true},
	{"scvtf v", 0x4e21d800 | RN, false, true},
	{"fcvtzs v", 0x4ea1b800 | RN, false, true},
};

/* --- running --- */

static void run(struct guest *g, const uint32_t *words, unsigned int nr, uint32_t fpcr, uint64_t a,
		uint64_t b, uint64_t other)
{
	struct cpu *cpu = g->cpu[0];

	guest_reset(g, 0, CODE, 0);
	if (words)
		guest_code_n(g, CODE, words, nr);
	cpu->fpcr = fpcr;
	cpu_update_mode(cpu);
	cpu->v[1].d[0] = a;
	cpu->v[1].d[1] = other;
	cpu->v[2].d[0] = b;
	cpu->v[2].d[1] = ~other;
	cpu->x[1] = a;
	cpu->x[15] = other;
	cpu->nzcv = (uint32_t)other & 0xf0000000;
	cpu->icount = 0;
	assert_int_equal(guest_run(g, 0), CPU_EXIT_HVC);
	assert_int_equal(EC_OF(cpu), EC_SVC64);
}

static void compare(const char *name, bool wide, uint32_t fpcr, uint64_t a, uint64_t b)
{
	const struct cpu *p = portable.cpu[0], *x = generated.cpu[0];

	if (!memcmp(p->x, x->x, sizeof(p->x)) && !memcmp(p->v, x->v, sizeof(p->v)) &&
	    p->fpsr == x->fpsr && p->sys.spsr == x->sys.spsr && p->icount == x->icount)
		return;
	for (unsigned int n = 0; n < 32; n++)
		if (p->x[n] != x->x[n])
			print_message("x%u: %#llx, the generator has %#llx\n", n,
				      (unsigned long long)p->x[n], (unsigned long long)x->x[n]);
	fail_msg(
		"%s, %s: %#llx and %#llx with FPCR %#x: v0 %#llx and %#llx, FPSR %#x and %#x, SPSR "
		"%#llx and %#llx",
		name, wide ? "double" : "single", (unsigned long long)a, (unsigned long long)b,
		fpcr, (unsigned long long)p->v[0].d[0], (unsigned long long)x->v[0].d[0], p->fpsr,
		x->fpsr, (unsigned long long)p->sys.spsr, (unsigned long long)x->sys.spsr);
}

/* The program with each pair of operands, or (@some) a pair now and then. */
static void each_pair(const char *name, const uint32_t *words, unsigned int nr, bool wide,
		      bool binary, uint32_t fpcr, unsigned int some)
{
	static uint64_t seed = 0xfeed;
	unsigned int nr_a = nr_operands(wide), nr_b = binary ? nr_a : 4;
	bool first = true;

	for (unsigned int n = 0; n < nr_a * nr_b; n++) {
		uint64_t a = operand(wide, n % nr_a), b = operand(wide, n / nr_a % nr_a);
		uint64_t other = (uint64_t)random_word(&seed) << 32 | random_word(&seed);

		if (some && random_word(&seed) % some)
			continue;
		/* What lies above a scalar says nothing; of a vector they are operands, too. */
		if (!wide) {
			a |= other << 32;
			b |= (uint64_t)(uint32_t)operand(false, (unsigned int)(other % nr_a)) << 32;
		}
		if (other % 3 == 0)
			other = operand(wide, (unsigned int)(other % nr_a));
		run(&portable, first ? words : NULL, nr, fpcr, a, b, other);
		run(&generated, first ? words : NULL, nr, fpcr, a, b, other);
		compare(name, wide, fpcr, a, b);
		first = false;
	}
}

static const uint32_t fpcrs[] = {0, 1u << 22, 2u << 22, 3u << 22, 1u << 24, 1u << 25};

static void test_instructions(void **state)
{
	for (unsigned int n = 0; n < 2 * NR(insns); n++) {
		const struct insn *i = &insns[n / 2];
		uint32_t words[2] = {i->word | (n & 1 ? D_BIT : 0), SVC(1)};

		for (unsigned int f = 0; f < NR(fpcrs); f++)
			each_pair(i->name, words, 2, n & 1, i->binary, fpcrs[f], f ? 40 : 0);
		/* Two lanes. */
		words[0] &= ~(1u << 30);
		if (i->vector && !(n & 1))
			each_pair(i->name, words, 2, false, i->binary, 0, 4);
	}
}

static void test_precision(void **state)
{
	static const uint32_t to_double[] = {0x1e22c000 | RN, SVC(1)},
			      to_single[] = {0x1e624000 | RN, SVC(1)};

	for (unsigned int f = 0; f < NR(fpcrs); f++) {
		each_pair("fcvt d, s", to_double, 2, false, false, fpcrs[f], 0);
		each_pair("fcvt s, d", to_single, 2, true, false, fpcrs[f], 0);
	}
}

/* What uses the flags of a comparison. */
static void test_comparisons(void **state)
{
	for (unsigned int n = 0; n < 16; n++) {
		bool wide = n & 1;
		uint32_t d = wide ? D_BIT : 0;
		uint32_t fcmp = 0x1e202000 | d | RN | (n & 2 ? 0x10 : 0) | (n & 4 ? 8 : RM);
		uint32_t fccmp = 0x1e200400 | d | RM | RN | (n & 2 ? 0x10 : 0);
		uint32_t words[MOST], fcsel = 0x1e200c00 | d | RM | RN;
		unsigned int nr = 0;

		words[nr++] = fcmp;
		for (unsigned int cond = 0; cond < 14; cond++)
			words[nr++] = 0x9a9f07e0 | (cond ^ 1) << 12 | cond; /* CSET */
		words[nr++] = 0x9a0f01ee;                                   /* ADC x14, x15, x15 */
		words[nr++] = SVC(1);
		each_pair("fcmp, cset", words, nr, wide, true, 0, 0);
		for (unsigned int cond = 0; cond < 14; cond++) {
			nr = 0;
			words[nr++] = fcmp;
			words[nr++] = n & 8 ? NOP : fccmp | (cond ^ 5) % 14 << 12 | (n + cond) % 16;
			words[nr++] = fcsel | cond << 12;
			words[nr++] = BCOND(cond, 8);
			words[nr++] = ADDI(3, 3, 1);
			words[nr++] = 0xfa401820 | cond << 12 | 4; /* CCMP x1, #0, #4 */
			words[nr++] = BCOND(cond ^ 1, 8);
			words[nr++] = ADDI(3, 3, 2);
			words[nr++] = SVC(1);
			each_pair("fcmp, fccmp, fcsel, b", words, nr, wide, true, 0, 8);
			words[0] = NOP;
			each_pair("fccmp, fcsel, b", words, nr, wide, true, 0, 16);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_instructions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_precision, setup, teardown),
		cmocka_unit_test_setup_teardown(test_comparisons, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
