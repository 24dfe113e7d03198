/* SPDX-License-Identifier: MIT */
/*
 * What the tests of vector ops share: random registers, and calls that check what holds of every
 * vector function.
 */
#ifndef TESTS_ENGINE_TEST_VEC_H
#define TESTS_ENGINE_TEST_VEC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "cpu/fp/fp_fast.h"
#include "engine/ir/ir.h"
#include "engine/vec/vec.h"
#include "tests/engine/random_words.h"

/* Lanes as a set, for tables. */
#define L_B    (1u << IR_B)
#define L_H    (1u << IR_H)
#define L_S    (1u << IR_S)
#define L_D    (1u << IR_D)
#define L_HS   (L_H | L_S)
#define L_BHS  (L_B | L_HS)
#define L_BHSD (L_BHS | L_D)

/* Shapes likewise. */
#define S_SCALAR (1u << IR_SCALAR)
#define S_HALF   (1u << IR_HALF)
#define S_FULL   (1u << IR_FULL)
#define S_HF     (S_HALF | S_FULL)
#define S_SH     (S_SCALAR | S_HALF)
#define S_ALL    (S_SCALAR | S_HF)

static inline uint64_t test_random(uint64_t *seed)
{
	return (uint64_t)random_word(seed) << 32 | random_word(seed);
}

/* Lanes that matter: limits, small numbers, and any. */
static inline void test_random_vreg(uint64_t *seed, union vreg *v, unsigned int lane)
{
	unsigned int bits = 8u << lane;

	for (unsigned int i = 0; i < 2; i++)
		v->d[i] = test_random(seed);
	for (unsigned int i = 0; i < 128 / bits; i++) {
		uint64_t x, k = test_random(seed);

		switch (k & 7) {
		case 0:
			x = 1ull << (bits - 1);
			break;
		case 1:
			x = (1ull << (bits - 1)) - 1;
			break;
		case 2:
			x = (k >> 8 & 15) - 8;
			break;
		case 3:
			x = 1ull << (k >> 8 & (bits - 1));
			break;
		default:
			continue;
		}
		memcpy(&v->b[i * bits / 8], &x, bits / 8);
	}
}

/* Lane @i of @v, of @bits, zero-extended; and the reverse. */
static inline uint64_t test_lane(const union vreg *v, unsigned int bits, unsigned int i)
{
	uint64_t x = 0;

	memcpy(&x, &v->b[i * bits / 8], bits / 8);
	return x;
}

static inline void test_set_lane(union vreg *v, unsigned int bits, unsigned int i, uint64_t x)
{
	memcpy(&v->b[i * bits / 8], &x, bits / 8);
}

static inline unsigned int test_count(unsigned int lane, unsigned int shape)
{
	return shape == IR_SCALAR ? 1 : (shape == IR_HALF ? 64u : 128u) / (8u << lane);
}

static inline void test_show(const char *what, const union vreg *v)
{
	print_error("  %s %016llx%016llx\n", what, (unsigned long long)v->d[1],
		    (unsigned long long)v->d[0]);
}

/*
 * Call a vector op on @in, into another register and into each operand in turn: all must give the
 * same. Returns true if the result and the FPSR that accumulates, with the host's flags, are
 * @want and @fpsr.
 */
static inline bool test_call(struct cpu *cpu, unsigned int opc, unsigned int lane,
			     unsigned int shape, const union vreg in[3], int32_t imm,
			     const union vreg *want, uint32_t fpsr)
{
	vec_fn *fn = vec_function(opc, lane, shape);
	bool ok = fn != NULL;

	for (int into = 0; ok && into < 4; into++) {
		union vreg v[4] = {in[0], in[1], in[2], {.d = {~0ull, 0x5555555555555555ull}}};

		uint64_t host = fp_fast_begin();

		cpu->fpsr = 0;
		fn(cpu, &v[into], &v[0], &v[1], &v[2], imm);
		cpu->fpsr |= fp_fast_flags();
		fp_fast_end(host);
		ok = !memcmp(&v[into], want, sizeof(*want)) && cpu->fpsr == fpsr;
		if (!ok) {
			print_error("%s lane %u shape %u imm %d into %d: fpsr %#x, should be %#x\n",
				    ir_op_info(opc)->name, lane, shape, imm, into, cpu->fpsr, fpsr);
			test_show("a", &in[0]);
			test_show("b", &in[1]);
			test_show("c", &in[2]);
			test_show("is", &v[into]);
			test_show("should be", want);
		}
	}
	return ok;
}

#endif
