/* SPDX-License-Identifier: MIT */
/*
 * Floating point: conversions, rounding to integers, the larger and the smaller of two.
 *
 * As in gen_fp.c what the host has raised when the exact function is called is a subset of what
 * that raises. So a number that will not fit is found before it is converted wherever the host
 * would signal more than Invalid Operation for it.
 */
#include <stddef.h>

#include "cpu/fp/fp.h"
#include "engine/back/x64/gen_fp.h"
#include "engine/vec/vec.h"

/* Immediate of VROUND..., by enum fp_round. */
static const uint8_t host_rounding[] = {[FP_RN] = 0, [FP_RP] = 2, [FP_RM] = 1, [FP_RZ] = 3};
#define ROUND_QUIETLY 8 /* no Precision exception */

/* FPCR is the default one where this matters. */
static enum fp_round rounding(const struct ir_op *o)
{
	unsigned int round = VEC_IMM_ROUND(o->imm);

	return round == VEC_ROUND_FPCR ? FP_RN : (enum fp_round)round;
}

/* --- to an integer --- */

/* The host has no exponent above this for numbers that it converts here; 0: it finds out. */
static unsigned int limit_of(const struct ir_op *o)
{
	unsigned int bits = o->type == IR_I64 ? 63 : o->imm & VEC_IMM_SIGNED ? 31 : 32;

	switch (rounding(o)) {
	case FP_RZ:
		return o->imm & VEC_IMM_SIGNED ? 0 : bits;
	case FP_RN:
		return o->imm & VEC_IMM_SIGNED ? 0 : bits - 1;
	default: /* rounded, with Inexact, before it is converted */
		return bits - 1;
	}
}

/* Jump if the magnitude of lane 0 of @a has @bits or more, or it is negative and may not be. */
static void check_range(struct x64_compiler *g, struct x64_rare *rare, bool wide, bool is_signed,
			unsigned int bits, unsigned int a)
{
	x64_rr(&g->b, X64_VMOVD_ST, wide, a, RCX);
	x64_ri(&g->b, X64_SHR_I, wide, RCX, wide ? 52 : 23);
	if (is_signed)
		x64_ri(&g->b, X64_AND_I, 0, RCX, wide ? 0x7ff : 0xff);
	x64_ri(&g->b, X64_CMP_I, 0, RCX, (int32_t)((wide ? 1023 : 127) + bits));
	x64_rare_if(g, rare, X64_AE);
}

void x64_gen_ftoi(struct x64_compiler *g, const struct ir_op *o)
{
	static const uint16_t truncate[2] = {X64_VCVTTSS2SI, X64_VCVTTSD2SI},
			      convert[2] = {X64_VCVTSS2SI, X64_VCVTSD2SI},
			      round[2] = {X64_VROUNDSS, X64_VROUNDSD};
	bool wide = IR_LANE(o->aux) == IR_D, is_signed = o->imm & VEC_IMM_SIGNED;
	enum fp_round by = rounding(o);
	struct x64_rare rare = {0};
	unsigned int a, d, w, limit;

	if (!x64_fp_by_host(g, o) || VEC_IMM_FBITS(o->imm) || by > FP_RZ) {
		x64_gen_fp_row(g, o);
		return;
	}
	x64_flags_clobber(g);
	a = x64_use_xmm(g, o->a);
	rare.r = x64_new_row(g, X64_ROW_FTOI);
	rare.r->a = x64_where(g, o->a);
	d = x64_def(g);
	rare.r->d = (struct x64_loc){X64_LOC_GPR, 1, (uint16_t)d};
	limit = limit_of(o);
	if (limit)
		check_range(g, &rare, wide, is_signed, limit, a);
	if (by == FP_RP || by == FP_RM) {
		x64_rvri(&g->b, (enum x64_op)round[wide], 0, X64_XSCRATCH, a, a, host_rounding[by]);
		a = X64_XSCRATCH;
	}
	w = o->type == IR_I64 || !is_signed;
	x64_rr(&g->b, (enum x64_op)(by == FP_RN ? convert[wide] : truncate[wide]), w, d, a);
	if (!limit) {
		/* What the host answers when it does not fit. */
		x64_ri(&g->b, X64_CMP_I, w, d, 1);
		x64_rare_if(g, &rare, X64_O);
	}
	x64_rare_end(g, &rare);
}

/* --- from an integer --- */

void x64_gen_itof(struct x64_compiler *g, const struct ir_op *o)
{
	bool wide = IR_LANE(o->aux) == IR_D, is_signed = o->imm & VEC_IMM_SIGNED;
	struct x64_rare rare = {0};
	unsigned int a, d;

	if (!x64_fp_by_host(g, o) || VEC_IMM_FBITS(o->imm)) {
		x64_gen_fp_row(g, o);
		return;
	}
	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	rare.r = x64_new_row(g, X64_ROW_ITOF);
	rare.r->a = x64_where(g, o->a);
	d = x64_def_xmm(g);
	rare.r->d = (struct x64_loc){X64_LOC_XMM, 1, (uint16_t)d};
	if (!is_signed) {
		x64_rr(&g->b, X64_TEST, 1, a, a);
		x64_rare_if(g, &rare, X64_S);
	}
	x64_rvr(&g->b, X64_VPXOR, 0, d, d, d);
	x64_rvr(&g->b, wide ? X64_VCVTSI2SD : X64_VCVTSI2SS, 1, d, d, a);
	if (rare.nr)
		x64_rare_end(g, &rare);
}

/* --- to another precision --- */

/* Scalars: FCVTL from single precision, FCVTN from double. */
void x64_gen_fp_precision(struct x64_compiler *g, const struct ir_op *o)
{
	bool widens = o->opc == IR_V_FCVTL;
	const struct x64_shape to = {
		.wide = widens, .scalar = true, .shape = IR_SCALAR, .bytes = widens ? 8 : 4};
	struct x64_rare rare;
	unsigned int a, d;

	if (IR_LANE(o->aux) != IR_S || IR_SHAPE(o->aux) != IR_SCALAR || !x64_fp_by_host(g, o)) {
		x64_gen_vec(g, o);
		return;
	}
	x64_flags_clobber(g);
	a = x64_use_xmm(g, o->a);
	rare = x64_fp_exact(g, o, &d);
	x64_rvr(&g->b, X64_VPXOR, 0, X64_XSCRATCH, X64_XSCRATCH, X64_XSCRATCH);
	x64_rvr(&g->b, widens ? X64_VCVTSS2SD : X64_VCVTSD2SS, 0, d, X64_XSCRATCH, a);
	x64_fp_look(g, &rare, to, widens ? X64_OF_NAN : X64_OF_NAN_OR_MIN, d);
	x64_rare_end(g, &rare);
}

/* --- to an integral number --- */

void x64_gen_fp_round(struct x64_compiler *g, const struct ir_op *o)
{
	struct x64_shape s = x64_fp_shape(o);
	enum fp_round by = rounding(o);
	struct x64_rare rare;
	unsigned int a, d, imm;

	if (!x64_fp_by_host(g, o) || by > FP_RZ) {
		x64_gen_vec(g, o);
		return;
	}
	x64_flags_clobber(g);
	a = x64_use_xmm(g, o->a);
	rare = x64_fp_exact(g, o, &d);
	imm = host_rounding[by] | (o->imm & VEC_IMM_EXACT ? 0 : ROUND_QUIETLY);
	if (s.scalar) {
		x64_rvr(&g->b, X64_VPXOR, 0, X64_XSCRATCH, X64_XSCRATCH, X64_XSCRATCH);
		x64_rvri(&g->b, s.wide ? X64_VROUNDSD : X64_VROUNDSS, 0, d, X64_XSCRATCH, a, imm);
	} else {
		a = x64_fp_narrow(g, s.bytes, o->a, a, X64_XSCRATCH);
		x64_rri(&g->b, s.wide ? X64_VROUNDPD : X64_VROUNDPS, 0, d, a, (int32_t)imm);
	}
	x64_fp_look(g, &rare, s, X64_OF_NAN, d);
	x64_rare_end(g, &rare);
}

/* --- the larger, the smaller --- */

/*
 * The host gives the second operand where both are equal, or one is a NaN. NaNs are rare. Done both
 * ways round and joined bit by bit, zeros of two signs are +0 for FMAX and -0 for FMIN, and nothing
 * else changes.
 */
void x64_gen_fp_max(struct x64_compiler *g, const struct ir_op *o)
{
	static const uint16_t ops[2][4] = {
		{X64_VMAXSS, X64_VMAXSD, X64_VMAXPS, X64_VMAXPD},
		{X64_VMINSS, X64_VMINSD, X64_VMINPS, X64_VMINPD},
	};
	bool min = o->opc == IR_V_FMIN || o->opc == IR_V_FMINNM;
	struct x64_shape s = x64_fp_shape(o);
	enum x64_op op = (enum x64_op)ops[min][(s.scalar ? 0 : 2) + s.wide];
	struct x64_rare rare;
	unsigned int a, b, d;

	if (!x64_fp_by_host(g, o)) {
		x64_gen_vec(g, o);
		return;
	}
	x64_flags_clobber(g);
	a = x64_use_xmm(g, o->a);
	b = x64_use_xmm(g, o->b);
	rare = x64_fp_exact(g, o, &d);
	if (!s.scalar) {
		a = x64_fp_narrow(g, s.bytes, o->a, a, X64_XSCRATCH);
		b = x64_fp_narrow(g, s.bytes, o->b, b, X64_XSCRATCH - 1);
	}
	x64_fp_compare_nan(g, &rare, s, a, b);
	x64_rvr(&g->b, op, 0, X64_XSCRATCH - 2, a, b);
	x64_rvr(&g->b, op, 0, d, b, a);
	x64_rvr(&g->b, min ? X64_VORPS : X64_VANDPS, 0, d, d, X64_XSCRATCH - 2);
	if (s.scalar && (x64_fp_bytes(g, o->a) > s.bytes || x64_fp_bytes(g, o->b) > s.bytes))
		x64_fp_narrow_to(g, s.bytes, d, d);
	x64_rare_end(g, &rare);
}
