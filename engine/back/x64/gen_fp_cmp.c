/* SPDX-License-Identifier: MIT */
/*
 * Floating-point comparisons: to flags, and of vectors to masks.
 *
 * FCMP raises what it has to raise at its place, where a NaN goes to the exact function. Its flags
 * are evaluated again by who needs them, as those of integer comparisons are (gen_flags.c): a
 * second comparison raises nothing new. The host has CF for less and ZF for equal, and CF, ZF and
 * PF for unordered.
 */
#include <stddef.h>

#include "engine/back/x64/gen_fp.h"
#include "engine/ir/int_ops.h"
#include "engine/vec/vec.h"

/* Predicates of VCMPPS and VCMPPD; all are quiet. */
enum { EQ_OQ = 0x00, GE_OQ = 0x1d, GT_OQ = 0x1e };

/* --- to flags --- */

bool x64_fcmp_again(const struct ir_block *b, const struct ir_op *o)
{
	return x64_fp_is_sd(o) && !(b->mode & CPU_MODE_FP_DYNAMIC);
}

static bool is_wide(const struct ir_op *o)
{
	return IR_LANE(o->aux) == IR_D;
}

/* A register with the value: its own, or @scratch. */
static unsigned int fetch(struct x64_compiler *g, ir_val v, unsigned int scratch)
{
	struct x64_loc at;

	if (v == IR_NONE) {
		x64_rvr(&g->b, X64_VPXOR, 0, scratch, scratch, scratch);
		return scratch;
	}
	at = x64_where(g, v);
	if (at.kind == X64_LOC_XMM)
		return at.n;
	x64_rm(&g->b, X64_VMOVDQU, 0, scratch, x64_at(X64_CPU, (int32_t)at.n - X64_BIAS));
	return scratch;
}

/* Into EFLAGS; @swapped: of the second operand and the first. */
static void evaluate(struct x64_compiler *g, const struct ir_op *o, bool swapped)
{
	unsigned int a = fetch(g, o->a, X64_XSCRATCH);
	unsigned int b = fetch(g, o->imm & VEC_FCMP_ZERO ? IR_NONE : o->b, X64_XSCRATCH - 1);

	x64_rr(&g->b, is_wide(o) ? X64_VUCOMISD : X64_VUCOMISS, 0, swapped ? b : a,
	       swapped ? a : b);
	g->carry_inverted = swapped;
}

/* The condition after the comparison, or after that of the operands in the other order. */
static const struct {
	uint8_t cc, swapped;
} conditions[16] = {
	[IR_CS] = {X64_BE, 1}, [IR_CC] = {X64_A, 1},  [IR_MI] = {X64_A, 1}, [IR_PL] = {X64_BE, 1},
	[IR_VS] = {X64_P, 0},  [IR_VC] = {X64_NP, 0}, [IR_HI] = {X64_B, 1}, [IR_LS] = {X64_AE, 1},
	[IR_GE] = {X64_AE, 0}, [IR_LT] = {X64_B, 0},  [IR_GT] = {X64_A, 0}, [IR_LE] = {X64_BE, 0},
};

/* Equal and not unordered: a mask says it. By way of rcx. */
static enum x64_cc test_equal(struct x64_compiler *g, const struct ir_op *o, bool equal)
{
	unsigned int a = fetch(g, o->a, X64_XSCRATCH);
	unsigned int b = fetch(g, o->imm & VEC_FCMP_ZERO ? IR_NONE : o->b, X64_XSCRATCH - 1);

	x64_rvri(&g->b, is_wide(o) ? X64_VCMPSD : X64_VCMPSS, 0, X64_XSCRATCH, a, b, EQ_OQ);
	x64_rr(&g->b, X64_VMOVD_ST, 0, X64_XSCRATCH, RCX);
	x64_rr(&g->b, X64_TEST, 0, RCX, RCX);
	g->eflags = X64_NOTHING;
	return equal ? X64_NE : X64_E;
}

enum x64_cc x64_fcmp_test(struct x64_compiler *g, ir_val f, enum ir_cond cond)
{
	const struct ir_op *o = &g->w->b.op[f];

	if (cond == IR_EQ || cond == IR_NE) {
		x64_flags_clobber(g);
		return test_equal(g, o, cond == IR_EQ);
	}
	if (g->eflags != f || g->carry_inverted != conditions[cond].swapped) {
		x64_flags_clobber(g);
		evaluate(g, o, conditions[cond].swapped);
		g->eflags = f;
	}
	return (enum x64_cc)conditions[cond].cc;
}

void x64_fcmp_pack(struct x64_compiler *g, ir_val f, unsigned int d)
{
	unsigned int other = d == RAX ? RCX : RAX;

	evaluate(g, &g->w->b.op[f], false);
	x64_mov_imm(&g->b, d, FLAG_C);
	x64_mov_imm(&g->b, other, FLAG_N);
	x64_cmovcc(&g->b, X64_B, 0, d, other);
	x64_mov_imm(&g->b, other, FLAG_Z | FLAG_C);
	x64_cmovcc(&g->b, X64_E, 0, d, other);
	x64_mov_imm(&g->b, other, FLAG_C | FLAG_V);
	x64_cmovcc(&g->b, X64_P, 0, d, other);
}

void x64_gen_fcmp(struct x64_compiler *g, const struct ir_op *o)
{
	bool zero = o->imm & VEC_FCMP_ZERO;
	const uint8_t *back;
	struct x64_row *r;
	uint8_t *nan;

	if (!x64_fcmp_again(&g->w->b, o)) {
		x64_gen_fp_row(g, o);
		return;
	}
	x64_flags_clobber(g);
	x64_use_xmm(g, o->a);
	if (!zero)
		x64_use_xmm(g, o->b);
	r = x64_new_row(g, X64_ROW_FCMP);
	r->a = x64_where(g, o->a);
	r->b = x64_where(g, zero ? IR_NONE : o->b);
	evaluate(g, o, false);
	nan = x64_jcc(&g->b, X64_P);
	back = g->b.p;
	g->eflags = (uint16_t)g->i;
	/* The row raises what there is to raise. EFLAGS are the comparison's behind it, too. */
	x64_cold(g);
	x64_cross(g, nan, g->b.p);
	r->stub = x64_here(g);
	x64_row_call(g, r);
	evaluate(g, o, false);
	x64_cross(g, x64_jmp(&g->b, false), back);
	x64_hot(g);
}

/* --- to masks --- */

/* FCMEQ, FCMGE, FCMGT. The latter two signal quiet NaNs, too. */
void x64_gen_fp_mask(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int predicate = o->opc == IR_V_FCMEQ   ? EQ_OQ
				 : o->opc == IR_V_FCMGE ? GE_OQ
							: GT_OQ;
	struct x64_shape s = x64_fp_shape(o);
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
	if (predicate != EQ_OQ)
		x64_fp_compare_nan(g, &rare, s, a, b);
	if (s.scalar)
		x64_rvri(&g->b, s.wide ? X64_VCMPSD : X64_VCMPSS, 0, d, a, b, predicate);
	else
		x64_rvri(&g->b, s.wide ? X64_VCMPPD : X64_VCMPPS, 0, d, a, b, predicate);
	/* Zeros above are equal, and a scalar's come from the first operand. */
	if (s.scalar || s.bytes < 16)
		x64_fp_narrow_to(g, s.bytes, d, d);
	if (rare.nr)
		x64_rare_end(g, &rare);
}
