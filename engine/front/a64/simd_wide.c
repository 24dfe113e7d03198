/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD three different, and multiplications by an element (Arm ARM C4.1.95), vector and
 * scalar.
 */
#include "engine/front/a64/simd.h"

/* What becomes of a long product: it is the result, or is added to Vd, or subtracted from it. */
enum accumulate { ACC_NONE, ACC_ADD, ACC_SUB };

/*
 * A long multiplication, saturating if @opc is SQDMULL: it reads the half of its operands that Q
 * names. In IR the lane of a widening op is the narrow one; what follows works on lanes twice as
 * wide, of the whole register.
 */
static void put_long(struct a64 *t, uint32_t insn, unsigned int opc, enum accumulate acc,
		     unsigned int lane, ir_val m)
{
	static const uint16_t plain[] = {[ACC_ADD] = IR_V_ADD, [ACC_SUB] = IR_V_SUB};
	static const uint16_t saturating[] = {[ACC_ADD] = IR_V_SQADD, [ACC_SUB] = IR_V_SQSUB};
	unsigned int rd = SIMD_RD(insn), shape = simd_shape(insn),
		     wide = shape == IR_SCALAR ? IR_SCALAR : IR_FULL;
	ir_val v = simd_op2(t, opc, lane, shape, a64_v(t, SIMD_RN(insn)), m);

	if (acc != ACC_NONE)
		v = simd_op2(t, opc == IR_V_SQDMULL ? saturating[acc] : plain[acc], lane + 1, wide,
			     a64_v(t, rd), v);
	a64_set_v(t, rd, v);
}

/* Operations of a three-different instruction. */
enum diff_kind {
	DIFF_NOT,
	DIFF_LONG,     /* both operands widened, then opc */
	DIFF_LONG_ADD, /* and the result added to Vd */
	DIFF_WIDE,     /* the second one widened */
	DIFF_HIGH,     /* wide opc, then the high halves of the lanes */
	DIFF_MUL,      /* opc widens by itself */
};

struct diff {
	uint8_t kind;
	uint8_t acc;     /* DIFF_MUL: enum accumulate */
	uint16_t opc[2]; /* by U; 0: reserved */
	uint8_t vector, scalar;
};

static const struct diff diffs[16] = {
	[0x0] = {DIFF_LONG, 0, {IR_V_ADD, IR_V_ADD}, LANES_BHS},
	[0x1] = {DIFF_WIDE, 0, {IR_V_ADD, IR_V_ADD}, LANES_BHS},
	[0x2] = {DIFF_LONG, 0, {IR_V_SUB, IR_V_SUB}, LANES_BHS},
	[0x3] = {DIFF_WIDE, 0, {IR_V_SUB, IR_V_SUB}, LANES_BHS},
	[0x4] = {DIFF_HIGH, 0, {IR_V_ADD, IR_V_ADD}, LANES_BHS},
	[0x5] = {DIFF_LONG_ADD, 0, {IR_V_SABD, IR_V_UABD}, LANES_BHS},
	[0x6] = {DIFF_HIGH, 0, {IR_V_SUB, IR_V_SUB}, LANES_BHS},
	[0x7] = {DIFF_LONG, 0, {IR_V_SABD, IR_V_UABD}, LANES_BHS},
	[0x8] = {DIFF_MUL, ACC_ADD, {IR_V_SMULL, IR_V_UMULL}, LANES_BHS},
	[0x9] = {DIFF_MUL, ACC_ADD, {IR_V_SQDMULL}, LANES_HS, LANES_HS},
	[0xa] = {DIFF_MUL, ACC_SUB, {IR_V_SMULL, IR_V_UMULL}, LANES_BHS},
	[0xb] = {DIFF_MUL, ACC_SUB, {IR_V_SQDMULL}, LANES_HS, LANES_HS},
	[0xc] = {DIFF_MUL, ACC_NONE, {IR_V_SMULL, IR_V_UMULL}, LANES_BHS},
	[0xd] = {DIFF_MUL, ACC_NONE, {IR_V_SQDMULL}, LANES_HS, LANES_HS},
	[0xe] = {DIFF_MUL, ACC_NONE, {IR_V_PMULL}, LANES_B | LANES_D},
};

static void put_high(struct a64 *t, uint32_t insn, unsigned int opc, unsigned int lane)
{
	/* U rounds. */
	unsigned int shift = SIMD_U(insn) ? IR_V_URSHRI : IR_V_USHRI, wide = lane + 1;
	ir_val v =
		simd_op2(t, opc, wide, IR_FULL, a64_v(t, SIMD_RN(insn)), a64_v(t, SIMD_RM(insn)));

	v = simd_op1(t, shift, wide, IR_FULL, v, 8 << lane);
	simd_put_narrow(t, insn, simd_op1(t, IR_V_XTN, lane, IR_HALF, v, 0));
}

bool simd_three_different(struct a64 *t, uint32_t insn)
{
	unsigned int lane = SIMD_SIZE(insn), u = SIMD_U(insn), shape = simd_shape(insn);
	const struct diff *diff = &diffs[BITS(insn, 15, 12)];
	unsigned int widen = u ? IR_V_UXTL : IR_V_SXTL, opc = diff->opc[u];
	ir_val n, m, v;

	if (!opc || !((SIMD_SCALAR(insn) ? diff->scalar : diff->vector) >> lane & 1))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	if (diff->kind == DIFF_HIGH) {
		put_high(t, insn, opc, lane);
		return true;
	}
	m = a64_v(t, SIMD_RM(insn));
	if (diff->kind == DIFF_MUL) {
		put_long(t, insn, opc, diff->acc, lane, m);
		return true;
	}
	n = a64_v(t, SIMD_RN(insn));
	m = simd_op1(t, widen, lane, shape, m, 0);
	if (diff->kind != DIFF_WIDE)
		n = simd_op1(t, widen, lane, shape, n, 0);
	v = simd_op2(t, opc, lane + 1, IR_FULL, n, m);
	if (diff->kind == DIFF_LONG_ADD)
		v = simd_op2(t, IR_V_ADD, lane + 1, IR_FULL, a64_v(t, SIMD_RD(insn)), v);
	a64_set_v(t, SIMD_RD(insn), v);
	return true;
}

/*
 * By element: the second operand is one lane (of four bytes for dot products, a pair of lanes for
 * complex numbers).
 */
enum elem_kind { ELEM_NOT, ELEM_SAME, ELEM_LONG, ELEM_FP };

struct elem {
	uint8_t kind;
	uint8_t form; /* enum simd_form, or enum accumulate of ELEM_LONG */
	uint16_t opc;
	uint8_t vector, scalar;
};

static const struct elem elems[2][16] = {
	{
		[0x1] = {ELEM_FP, FORM_DNM, IR_V_FMLA, LANES_HSD, LANES_HSD},
		[0x2] = {ELEM_LONG, ACC_ADD, IR_V_SMULL, LANES_HS},
		[0x3] = {ELEM_LONG, ACC_ADD, IR_V_SQDMULL, LANES_HS, LANES_HS},
		[0x5] = {ELEM_FP, FORM_DNM, IR_V_FMLS, LANES_HSD, LANES_HSD},
		[0x6] = {ELEM_LONG, ACC_SUB, IR_V_SMULL, LANES_HS},
		[0x7] = {ELEM_LONG, ACC_SUB, IR_V_SQDMULL, LANES_HS, LANES_HS},
		[0x8] = {ELEM_SAME, FORM_NM, IR_V_MUL, LANES_HS},
		[0x9] = {ELEM_FP, FORM_NM, IR_V_FMUL, LANES_HSD, LANES_HSD},
		[0xa] = {ELEM_LONG, ACC_NONE, IR_V_SMULL, LANES_HS},
		[0xb] = {ELEM_LONG, ACC_NONE, IR_V_SQDMULL, LANES_HS, LANES_HS},
		[0xc] = {ELEM_SAME, FORM_NM, IR_V_SQDMULH, LANES_HS, LANES_HS},
		[0xd] = {ELEM_SAME, FORM_NM, IR_V_SQRDMULH, LANES_HS, LANES_HS},
		[0xe] = {ELEM_SAME, FORM_DNM, IR_V_SDOT, LANES_S},
	},
	{
		[0x0] = {ELEM_SAME, FORM_DNM, IR_V_MLA, LANES_HS},
		[0x2] = {ELEM_LONG, ACC_ADD, IR_V_UMULL, LANES_HS},
		[0x4] = {ELEM_SAME, FORM_DNM, IR_V_MLS, LANES_HS},
		[0x6] = {ELEM_LONG, ACC_SUB, IR_V_UMULL, LANES_HS},
		[0x9] = {ELEM_FP, FORM_NM, IR_V_FMULX, LANES_HSD, LANES_HSD},
		[0xa] = {ELEM_LONG, ACC_NONE, IR_V_UMULL, LANES_HS},
		[0xd] = {ELEM_SAME, FORM_DNM, IR_V_SQRDMLAH, LANES_HS, LANES_HS},
		[0xe] = {ELEM_SAME, FORM_DNM, IR_V_UDOT, LANES_S},
		[0xf] = {ELEM_SAME, FORM_DNM, IR_V_SQRDMLSH, LANES_HS, LANES_HS},
	},
};

/*
 * H:L:M of an H lane with four bits of register number, H:L of an S lane, H of a D lane; false:
 * reserved.
 */
static bool elem_index(uint32_t insn, unsigned int lane, unsigned int *index, unsigned int *rm)
{
	unsigned int h = BIT(insn, 11), l = BIT(insn, 21), m = BIT(insn, 20);

	*rm = SIMD_RM(insn);
	*index = h << 1 | l;
	if (lane == IR_H) {
		*index = *index << 1 | m;
		*rm &= 15;
	} else if (lane == IR_D) {
		*index = h;
		return !l;
	}
	return true;
}

/*
 * FCMLA by element: opcode 0 rot 1. A complex number is a pair of lanes, so an element is one
 * lane of twice the size.
 */
static bool emit_fcmla_elem(struct a64 *t, uint32_t insn)
{
	unsigned int lane = SIMD_SIZE(insn), h = BIT(insn, 11), l = BIT(insn, 21);
	unsigned int index = lane == IR_H ? h << 1 | l : h;
	ir_val m;

	if (SIMD_SCALAR(insn) || (lane != IR_H && lane != IR_S))
		return false;
	if (lane == IR_H ? h && !SIMD_Q(insn) : l || !SIMD_Q(insn))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	m = simd_dup_lane(t, lane + 1, a64_v(t, SIMD_RM(insn)), index);
	simd_put_form(t, insn, IR_V_FCMLA, FORM_DNM, lane, m, BITS(insn, 14, 13));
	return true;
}

bool simd_by_element(struct a64 *t, uint32_t insn)
{
	static const uint8_t fp_lane[4] = {IR_H, IR_B, IR_S, IR_D};
	const struct elem *e = &elems[SIMD_U(insn)][BITS(insn, 15, 12)];
	unsigned int lane = e->kind == ELEM_FP ? fp_lane[SIMD_SIZE(insn)] : SIMD_SIZE(insn), index,
		     rm;
	bool is_long = e->kind == ELEM_LONG;
	ir_val m;

	if (SIMD_U(insn) && !BIT(insn, 15) && BIT(insn, 12))
		return emit_fcmla_elem(t, insn);
	if (!simd_lane_ok(insn, lane, e->vector, e->scalar) || !elem_index(insn, lane, &index, &rm))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	m = simd_dup_lane(t, lane, a64_v(t, rm), index);
	if (is_long)
		put_long(t, insn, e->opc, e->form, lane, m);
	else
		simd_put_form(t, insn, e->opc, e->form, lane, m, 0);
	return true;
}
