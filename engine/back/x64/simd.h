/* SPDX-License-Identifier: MIT */
/*
 * Vectors of integers: what the functions of their rules (gen_simd.c) share.
 *
 * What must hold of a rule's function:
 *  - The result's register may be an operand's: it is written when all operands have been read.
 *    A rule that says APART has one of its own.
 *  - Operands have any content above the shape. Above the result, as the rule names it, may be
 *    anything: x64_gen_simd() makes it zero.
 *  - EFLAGS change only where the rule says FLAGS.
 */
#ifndef ENGINE_X64_SIMD_H
#define ENGINE_X64_SIMD_H

#include <stddef.h>

#include "engine/back/x64/x64.h"
#include "engine/vec/vec.h"

/* Scratch. */
enum { T0 = X64_XSCRATCH, T1 = 14, T2 = 13 };

/* What a result is: by the op's shape, all of the register, its low half, lane 0, lane 0 of twice
 * the width, that or (if the shape is more) all. */
enum result { BY_SHAPE, WHOLE, LOW, LANE0, WIDE0, WIDENED };

/* An op at work: registers of its operands and its result. */
struct simd {
	struct x64_compiler *g;
	const struct ir_op *o;
	const struct rule *r;
	unsigned int lane, shape, a, b, c, d;
	int32_t imm;
};

#define APART 1
#define FLAGS 2
#define FILLS 4 /* where operands are zero above the low half, the result need not be */

/* Bits of a rule's argument. */
#define ROUNDING 1
#define UNSIGNED 2
#define SUBTRACT 4

struct rule {
	void (*fn)(const struct simd *x);
	uint8_t lanes, shapes; /* what it has code for */
	uint8_t result, is;
	uint16_t op[4]; /* instructions by lane */
	int32_t arg;
	uint32_t needs; /* X64_HAS_... */
};

/* --- emitters --- */

static inline void op3(const struct simd *x, unsigned int op, unsigned int d, unsigned int v,
		       unsigned int rm)
{
	x64_rvr(&x->g->b, (enum x64_op)op, 0, d, v, rm);
}

static inline void op3i(const struct simd *x, unsigned int op, unsigned int d, unsigned int v,
			unsigned int rm, unsigned int imm)
{
	x64_rvri(&x->g->b, (enum x64_op)op, 0, d, v, rm, imm);
}

static inline struct x64_mem constant(unsigned int k)
{
	return x64_at(X64_CPU, X64_AREA(simd) + (int32_t)(sizeof(union vreg) * k));
}

static inline void op3k(const struct simd *x, unsigned int op, unsigned int d, unsigned int v,
			unsigned int k)
{
	x64_rvm(&x->g->b, (enum x64_op)op, 0, d, v, constant(k));
}

static inline void load_constant(const struct simd *x, unsigned int d, unsigned int k)
{
	x64_rm(&x->g->b, X64_VMOVDQU, 0, d, constant(k));
}

static inline void op2(const struct simd *x, unsigned int op, unsigned int d, unsigned int a)
{
	x64_rr(&x->g->b, (enum x64_op)op, 0, d, a);
}

static inline void shuffle(const struct simd *x, unsigned int d, unsigned int a, int32_t order)
{
	x64_rri(&x->g->b, X64_VPSHUFD, 0, d, a, order);
}

static inline void shift(const struct simd *x, unsigned int op, unsigned int d, unsigned int a,
			 unsigned int n)
{
	x64_vri(&x->g->b, (enum x64_op)op, d, a, n);
}

static inline void zero(const struct simd *x, unsigned int d)
{
	op3(x, X64_VPXOR, d, d, d);
}

static inline void ones(const struct simd *x, unsigned int d)
{
	op3(x, X64_VPCMPEQD, d, d, d);
}

/* d = a with every bit turned; by way of T2. */
static inline void complement(const struct simd *x, unsigned int d, unsigned int a)
{
	ones(x, T2);
	op3(x, X64_VPXOR, d, a, T2);
}

/* The same byte everywhere; by way of rax. */
static inline void splat(const struct simd *x, unsigned int d, unsigned int byte)
{
	x64_mov_imm(&x->g->b, RAX, byte * 0x01010101u);
	x64_rr(&x->g->b, X64_VMOVD, 0, d, RAX);
	op2(x, X64_VPBROADCASTD, d, d);
}

#define BY_LANE(name, b, h, s, d) \
	static const uint16_t name[4] __attribute__((unused)) = {X64_##b, X64_##h, X64_##s, X64_##d}
BY_LANE(add, VPADDB, VPADDW, VPADDD, VPADDQ);
BY_LANE(sub, VPSUBB, VPSUBW, VPSUBD, VPSUBQ);
BY_LANE(equal, VPCMPEQB, VPCMPEQW, VPCMPEQD, VPCMPEQQ);
BY_LANE(greater, VPCMPGTB, VPCMPGTW, VPCMPGTD, VPCMPGTQ);
/* Those of B shift 16 bits: what crosses over is masked. */
BY_LANE(shl, VPSLLW_I, VPSLLW_I, VPSLLD_I, VPSLLQ_I);
BY_LANE(shr, VPSRLW_I, VPSRLW_I, VPSRLD_I, VPSRLQ_I);
BY_LANE(sar, NOP, VPSRAW_I, VPSRAD_I, NOP);

typedef void x64_simd_fn(const struct simd *x);
x64_simd_fn x64_simd_abs_d, x64_simd_across, x64_simd_addlp, x64_simd_addlv, x64_simd_aes_mix,
	x64_simd_aes_round, x64_simd_bsl, x64_simd_clz, x64_simd_cmge, x64_simd_cmhi, x64_simd_cmhs,
	x64_simd_cmtst, x64_simd_cnt, x64_simd_distance, x64_simd_dot, x64_simd_ext,
	x64_simd_halving, x64_simd_mul, x64_simd_mul_add, x64_simd_mull, x64_simd_neg, x64_simd_not,
	x64_simd_one, x64_simd_one_swapped, x64_simd_orn, x64_simd_pairwise, x64_simd_pmull,
	x64_simd_qxtn, x64_simd_rbit, x64_simd_rev, x64_simd_rshri, x64_simd_sha1_rounds,
	x64_simd_sha1h, x64_simd_sha1su0, x64_simd_sha1su1, x64_simd_sha256_rounds,
	x64_simd_sha256su0, x64_simd_sha256su1, x64_simd_shli, x64_simd_shri, x64_simd_sli,
	x64_simd_sq_add, x64_simd_sqabs, x64_simd_sqdmulh, x64_simd_sqdmull, x64_simd_sqneg,
	x64_simd_sri, x64_simd_tbl, x64_simd_tbx, x64_simd_three, x64_simd_trn1, x64_simd_trn2,
	x64_simd_uq_add, x64_simd_uqxtn, x64_simd_shl, x64_simd_cls, x64_simd_qshli,
	x64_simd_halving_sub, x64_simd_uzp1, x64_simd_uzp2, x64_simd_xtl, x64_simd_xtn,
	x64_simd_zip2;

/* DEINT3's and INT3's constants. */
void x64_simd_masks(union vreg *split, union vreg *join);

/* Zero in @d above @shape and @lane. */
void x64_simd_trim(const struct simd *x, unsigned int d, unsigned int shape, unsigned int lane);

#endif
