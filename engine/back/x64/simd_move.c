/* SPDX-License-Identifier: MIT */
/* Vectors of integers: lanes moved about, neighbours, and across all lanes. See simd.h. */
#include <string.h>

#include "engine/back/x64/simd.h"

/* The even lanes of b:a to @even, the odd ones to @odd (X64_NO_REG: nowhere). */
static void unzip(const struct simd *x, unsigned int even, unsigned int odd)
{
	unsigned int mask = X64_SIMD_UNZIP + x->lane;

	if (x->shape == IR_HALF) {
		op3(x, X64_VPUNPCKLQDQ, T2, x->a, x->b);
		if (x->lane == IR_S)
			shuffle(x, T2, T2, 0xd8);
		else
			op3k(x, X64_VPSHUFB, T2, T2, mask);
		if (even != X64_NO_REG)
			op2(x, X64_VMOVDQA, even, T2);
		if (odd != X64_NO_REG)
			shift(x, X64_VPSRLDQ, odd, T2, 8);
	} else if (x->lane == IR_S) {
		if (even != X64_NO_REG)
			op3i(x, X64_VSHUFPS, even, x->a, x->b, 0x88);
		if (odd != X64_NO_REG)
			op3i(x, X64_VSHUFPS, odd, x->a, x->b, 0xdd);
	} else {
		unsigned int a = x->a, b = x->b;

		if (x->lane != IR_D) {
			op3k(x, X64_VPSHUFB, T2, a, mask);
			if (a != b)
				op3k(x, X64_VPSHUFB, T1, b, mask);
			b = a == b ? T2 : T1;
			a = T2;
		}
		if (even != X64_NO_REG)
			op3(x, X64_VPUNPCKLQDQ, even, a, b);
		if (odd != X64_NO_REG)
			op3(x, X64_VPUNPCKHQDQ, odd, a, b);
	}
}

void x64_simd_uzp1(const struct simd *x)
{
	unzip(x, x->d, X64_NO_REG);
}

void x64_simd_uzp2(const struct simd *x)
{
	unzip(x, X64_NO_REG, x->d);
}

/* An op on the two lanes of each pair. */
void x64_simd_pairwise(const struct simd *x)
{
	unzip(x, T0, T1);
	op3(x, x->r->op[x->lane], x->d, T0, T1);
}

void x64_simd_zip2(const struct simd *x)
{
	BY_LANE(low, VPUNPCKLBW, VPUNPCKLWD, VPUNPCKLDQ, VPUNPCKLQDQ);

	if (x->shape == IR_FULL) {
		op3(x, x->r->op[x->lane], x->d, x->a, x->b);
		return;
	}
	op3(x, low[x->lane], T0, x->a, x->b);
	shift(x, X64_VPSRLDQ, x->d, T0, 8);
}

/* Even lanes of @even and, in odd places, odd lanes of @odd. */
static void blend(const struct simd *x, unsigned int even, unsigned int odd)
{
	if (x->lane == IR_B) {
		load_constant(x, T2, X64_SIMD_LOW + IR_H);
		op3(x, X64_VPAND, T1, T2, even);
		op3(x, X64_VPANDN, T2, T2, odd);
		op3(x, X64_VPOR, x->d, T1, T2);
	} else {
		op3i(x, x->lane == IR_H ? X64_VPBLENDW : X64_VPBLENDD, x->d, even, odd, 0xaa);
	}
}

void x64_simd_trn1(const struct simd *x)
{
	BY_LANE(up, VPSLLW_I, VPSLLD_I, VPSLLQ_I, VPSLLDQ);

	if (x->lane == IR_D) {
		op3(x, X64_VPUNPCKLQDQ, x->d, x->a, x->b);
		return;
	}
	shift(x, up[x->lane], T0, x->b, 8u << x->lane);
	blend(x, x->a, T0);
}

void x64_simd_trn2(const struct simd *x)
{
	BY_LANE(down, VPSRLW_I, VPSRLD_I, VPSRLQ_I, VPSRLDQ);

	if (x->lane == IR_D) {
		op3(x, X64_VPUNPCKHQDQ, x->d, x->a, x->b);
		return;
	}
	shift(x, down[x->lane], T0, x->a, 8u << x->lane);
	blend(x, T0, x->b);
}

void x64_simd_ext(const struct simd *x)
{
	if (x->shape == IR_FULL) {
		op3i(x, X64_VPALIGNR, x->d, x->b, x->a, (unsigned int)x->imm);
		return;
	}
	op3(x, X64_VPUNPCKLQDQ, T0, x->a, x->b);
	shift(x, X64_VPSRLDQ, x->d, T0, (unsigned int)x->imm);
}

/* arg: the constant of lane B. */
void x64_simd_rev(const struct simd *x)
{
	op3k(x, X64_VPSHUFB, x->d, x->a, (unsigned int)x->r->arg + x->lane);
}

/* T0 = places in the table, or bytes with bit 7 set. */
static void places(const struct simd *x, unsigned int index)
{
	if (x->imm) {
		splat(x, T1, (unsigned int)x->imm & 0xff);
		op3(x, X64_VPSUBB, T0, index, T1);
		index = T0;
	}
	op3k(x, X64_VPADDUSB, T0, index, X64_SIMD_70);
}

void x64_simd_tbl(const struct simd *x)
{
	places(x, x->a);
	op3(x, X64_VPSHUFB, x->d, x->b, T0);
}

void x64_simd_tbx(const struct simd *x)
{
	places(x, x->b);
	op3(x, X64_VPSHUFB, T1, x->c, T0);
	x64_rvrr(&x->g->b, X64_VPBLENDVB, x->d, T1, x->a, T0);
}

/* --- three registers to and from memory order: a PSHUFB for each, zero where it has nothing --- */

#define NR_MASKS 9

static unsigned int mask_of(unsigned int lane, unsigned int part, unsigned int from)
{
	return NR_MASKS * lane + 3 * part + from;
}

void x64_simd_masks(union vreg *split, union vreg *join)
{
	memset(split, 0x80, 4 * NR_MASKS * sizeof(*split));
	memset(join, 0x80, 4 * NR_MASKS * sizeof(*join));
	for (unsigned int lane = 0; lane < 4; lane++) {
		for (unsigned int at = 0; at < 48; at++) {
			/* In memory byte @at is of register @r, and there byte @in. */
			unsigned int n = at >> lane, r = n % 3;
			unsigned int in = (n / 3 << lane) + (at & ((1u << lane) - 1));

			split[mask_of(lane, r, at / 16)].b[in] = at % 16;
			join[mask_of(lane, at / 16, r)].b[at % 16] = (uint8_t)in;
		}
	}
}

/* arg: where the masks begin. */
void x64_simd_three(const struct simd *x)
{
	unsigned int k = (unsigned int)x->r->arg + mask_of(x->lane, (unsigned int)x->imm, 0);

	if (x->shape == IR_HALF && x->imm == 2 && x->r->arg == X64_SIMD_JOIN3) {
		zero(x, x->d);
		return;
	}
	op3k(x, X64_VPSHUFB, T0, x->a, k);
	op3k(x, X64_VPSHUFB, T1, x->b, k + 1);
	op3(x, X64_VPOR, T0, T0, T1);
	/* Eight bytes of a register are split out of 24, which a and b have. */
	if (x->shape == IR_HALF && x->r->arg == X64_SIMD_SPLIT3) {
		op2(x, X64_VMOVQ, x->d, T0);
		return;
	}
	op3k(x, X64_VPSHUFB, T1, x->c, k + 2);
	op3(x, X64_VPOR, T0, T0, T1);
	op2(x, x->shape == IR_HALF && x->imm ? X64_VMOVQ : X64_VMOVDQA, x->d, T0);
}

/* --- across --- */

/* T0 = lane 0 of @from op the others', in the low @bytes of it. */
static void fold(const struct simd *x, unsigned int op, unsigned int from, unsigned int bytes,
		 unsigned int lane)
{
	while (bytes > 1u << lane) {
		bytes /= 2;
		shift(x, X64_VPSRLDQ, T1, from, bytes);
		op3(x, op, T0, from, T1);
		from = T0;
	}
}

static unsigned int bytes_of(const struct simd *x)
{
	return x->shape == IR_FULL ? 16 : 8;
}

void x64_simd_across(const struct simd *x)
{
	fold(x, x->r->op[x->lane], x->a, bytes_of(x), x->lane);
	op2(x, X64_VMOVDQA, x->d, T0);
}

/* T0 = sums of neighbours, twice as wide; by way of T1 and T2. */
static void long_pairs(const struct simd *x)
{
	bool is_unsigned = x->r->arg;

	switch (x->lane) {
	case IR_B:
		/* The first operand is unsigned, the second signed. */
		load_constant(x, T1, X64_SIMD_ONE + IR_B);
		op3(x, X64_VPMADDUBSW, T0, is_unsigned ? x->a : T1, is_unsigned ? T1 : x->a);
		break;
	case IR_H:
		if (!is_unsigned) {
			op3k(x, X64_VPMADDWD, T0, x->a, X64_SIMD_ONE + IR_H);
			break;
		}
		shift(x, X64_VPSRLD_I, T1, x->a, 16);
		op3k(x, X64_VPAND, T0, x->a, X64_SIMD_LOW + IR_S);
		op3(x, X64_VPADDD, T0, T0, T1);
		break;
	default:
		if (is_unsigned) {
			shift(x, X64_VPSRLQ_I, T1, x->a, 32);
			op3k(x, X64_VPAND, T0, x->a, X64_SIMD_LOW + IR_D);
		} else {
			shuffle(x, T0, x->a, 0x08);
			shuffle(x, T1, x->a, 0x0d);
			op2(x, X64_VPMOVSXDQ, T0, T0);
			op2(x, X64_VPMOVSXDQ, T1, T1);
		}
		op3(x, X64_VPADDQ, T0, T0, T1);
	}
}

void x64_simd_addlp(const struct simd *x)
{
	long_pairs(x);
	op2(x, X64_VMOVDQA, x->d, T0);
}

void x64_simd_addlv(const struct simd *x)
{
	BY_LANE(sum, VPADDW, VPADDD, VPADDQ, NOP);

	if (x->lane == IR_B && x->r->arg) {
		zero(x, T1);
		op3(x, X64_VPSADBW, T0, x->a, T1);
		fold(x, X64_VPADDQ, T0, bytes_of(x), IR_D);
	} else {
		long_pairs(x);
		fold(x, sum[x->lane], T0, bytes_of(x), x->lane + 1);
	}
	op2(x, X64_VMOVDQA, x->d, T0);
}

/* --- single lanes of S and D in vector registers; B and H go by way of general ones --- */

static void insert_d(struct x64_compiler *g, unsigned int d, unsigned int a, unsigned int b,
		     unsigned int to, unsigned int from)
{
	if (to)
		x64_rvri(&g->b, X64_VSHUFPD, 0, d, a, b, from << 1);
	else
		x64_rvri(&g->b, X64_VSHUFPD, 0, d, b, a, from | 2);
}

static void duplicate(struct x64_compiler *g, const struct ir_op *o, unsigned int d, unsigned int a,
		      unsigned int n)
{
	bool is_d = IR_LANE(o->aux) == IR_D;

	if (IR_SHAPE(o->aux) != IR_SCALAR) {
		x64_rri(&g->b, X64_VPSHUFD, 0, d, a, is_d ? n ? 0xee : 0x44 : (int32_t)(0x55 * n));
		if (IR_SHAPE(o->aux) == IR_HALF)
			x64_rr(&g->b, X64_VMOVQ, 0, d, d);
	} else if (!is_d) {
		x64_rvri(&g->b, X64_VINSERTPS, 0, d, a, a, n << 6 | 0xe);
	} else if (n) {
		x64_vri(&g->b, X64_VPSRLDQ, d, a, 8);
	} else {
		x64_rr(&g->b, X64_VMOVQ, 0, d, a);
	}
}

void x64_gen_move_lane(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int lane = IR_LANE(o->aux), a, b, d;
	bool same;

	if (lane != IR_S && lane != IR_D) {
		x64_gen_lane(g, o);
		return;
	}
	a = x64_use_xmm(g, o->a);
	b = o->opc == IR_VINSL ? x64_use_xmm(g, o->b) : 0;
	d = x64_def_xmm_on(g, o->a, &same);
	if (o->opc == IR_VDUPL)
		duplicate(g, o, d, a, (unsigned int)o->imm & (15u >> lane));
	else if (lane == IR_S)
		x64_rvri(&g->b, X64_VINSERTPS, 0, d, a, b,
			 ((unsigned int)o->imm >> 8 & 3) << 6 | ((unsigned int)o->imm & 3) << 4);
	else
		insert_d(g, d, a, b, o->imm & 1, o->imm >> 8 & 1);
}
