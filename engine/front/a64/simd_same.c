/* SPDX-License-Identifier: MIT */
/* Advanced SIMD three same, vector and scalar (Arm ARM C4.1.95: three same, FP16, extra). */
#include "engine/front/a64/simd.h"

struct same {
	uint16_t opc;
	uint8_t form;
	uint8_t vector, scalar; /* enum simd_lanes */
};

/* Integer operations by U and opcode. */
static const struct same same_int[2][24] = {
	{
		[0x00] = {IR_V_SHADD, FORM_NM, LANES_BHS},
		[0x01] = {IR_V_SQADD, FORM_NM, LANES_BHSD, LANES_BHSD},
		[0x02] = {IR_V_SRHADD, FORM_NM, LANES_BHS},
		[0x04] = {IR_V_SHSUB, FORM_NM, LANES_BHS},
		[0x05] = {IR_V_SQSUB, FORM_NM, LANES_BHSD, LANES_BHSD},
		[0x06] = {IR_V_CMGT, FORM_NM, LANES_BHSD, LANES_D},
		[0x07] = {IR_V_CMGE, FORM_NM, LANES_BHSD, LANES_D},
		[0x08] = {IR_V_SSHL, FORM_NM, LANES_BHSD, LANES_D},
		[0x09] = {IR_V_SQSHL, FORM_NM, LANES_BHSD, LANES_BHSD},
		[0x0a] = {IR_V_SRSHL, FORM_NM, LANES_BHSD, LANES_D},
		[0x0b] = {IR_V_SQRSHL, FORM_NM, LANES_BHSD, LANES_BHSD},
		[0x0c] = {IR_V_SMAX, FORM_NM, LANES_BHS},
		[0x0d] = {IR_V_SMIN, FORM_NM, LANES_BHS},
		[0x0e] = {IR_V_SABD, FORM_NM, LANES_BHS},
		[0x0f] = {IR_V_SABD, FORM_ADD, LANES_BHS},
		[0x10] = {IR_V_ADD, FORM_NM, LANES_BHSD, LANES_D},
		[0x11] = {IR_V_CMTST, FORM_NM, LANES_BHSD, LANES_D},
		[0x12] = {IR_V_MLA, FORM_DNM, LANES_BHS},
		[0x13] = {IR_V_MUL, FORM_NM, LANES_BHS},
		[0x14] = {IR_V_SMAXP, FORM_NM, LANES_BHS},
		[0x15] = {IR_V_SMINP, FORM_NM, LANES_BHS},
		[0x16] = {IR_V_SQDMULH, FORM_NM, LANES_HS, LANES_HS},
		[0x17] = {IR_V_ADDP, FORM_NM, LANES_BHSD},
	},
	{
		[0x00] = {IR_V_UHADD, FORM_NM, LANES_BHS},
		[0x01] = {IR_V_UQADD, FORM_NM, LANES_BHSD, LANES_BHSD},
		[0x02] = {IR_V_URHADD, FORM_NM, LANES_BHS},
		[0x04] = {IR_V_UHSUB, FORM_NM, LANES_BHS},
		[0x05] = {IR_V_UQSUB, FORM_NM, LANES_BHSD, LANES_BHSD},
		[0x06] = {IR_V_CMHI, FORM_NM, LANES_BHSD, LANES_D},
		[0x07] = {IR_V_CMHS, FORM_NM, LANES_BHSD, LANES_D},
		[0x08] = {IR_V_USHL, FORM_NM, LANES_BHSD, LANES_D},
		[0x09] = {IR_V_UQSHL, FORM_NM, LANES_BHSD, LANES_BHSD},
		[0x0a] = {IR_V_URSHL, FORM_NM, LANES_BHSD, LANES_D},
		[0x0b] = {IR_V_UQRSHL, FORM_NM, LANES_BHSD, LANES_BHSD},
		[0x0c] = {IR_V_UMAX, FORM_NM, LANES_BHS},
		[0x0d] = {IR_V_UMIN, FORM_NM, LANES_BHS},
		[0x0e] = {IR_V_UABD, FORM_NM, LANES_BHS},
		[0x0f] = {IR_V_UABD, FORM_ADD, LANES_BHS},
		[0x10] = {IR_V_SUB, FORM_NM, LANES_BHSD, LANES_D},
		[0x11] = {IR_V_CMEQ, FORM_NM, LANES_BHSD, LANES_D},
		[0x12] = {IR_V_MLS, FORM_DNM, LANES_BHS},
		[0x13] = {IR_V_PMUL, FORM_NM, LANES_B},
		[0x14] = {IR_V_UMAXP, FORM_NM, LANES_BHS},
		[0x15] = {IR_V_UMINP, FORM_NM, LANES_BHS},
		[0x16] = {IR_V_SQRDMULH, FORM_NM, LANES_HS, LANES_HS},
	},
};

#define OPCODE_LOGIC 0x03
#define OPCODE_FP    0x18

/* Floating point by U, bit 23 and the opcode's low three bits. */
static const struct same same_fp[2][2][8] = {
	{
		{
			{IR_V_FMAXNM, FORM_NM, LANES_HSD},
			{IR_V_FMLA, FORM_DNM, LANES_HSD},
			{IR_V_FADD, FORM_NM, LANES_HSD},
			{IR_V_FMULX, FORM_NM, LANES_HSD, LANES_HSD},
			{IR_V_FCMEQ, FORM_NM, LANES_HSD, LANES_HSD},
			{0},
			{IR_V_FMAX, FORM_NM, LANES_HSD},
			{IR_V_FRECPS, FORM_NM, LANES_HSD, LANES_HSD},
		},
		{
			{IR_V_FMINNM, FORM_NM, LANES_HSD},
			{IR_V_FMLS, FORM_DNM, LANES_HSD},
			{IR_V_FSUB, FORM_NM, LANES_HSD},
			{0},
			{0},
			{0},
			{IR_V_FMIN, FORM_NM, LANES_HSD},
			{IR_V_FRSQRTS, FORM_NM, LANES_HSD, LANES_HSD},
		},
	},
	{
		{
			{IR_V_FMAXNM, FORM_PAIR, LANES_HSD},
			{0},
			{IR_V_FADD, FORM_PAIR, LANES_HSD},
			{IR_V_FMUL, FORM_NM, LANES_HSD},
			{IR_V_FCMGE, FORM_NM, LANES_HSD, LANES_HSD},
			{IR_V_FACGE, FORM_NM, LANES_HSD, LANES_HSD},
			{IR_V_FMAX, FORM_PAIR, LANES_HSD},
			{IR_V_FDIV, FORM_NM, LANES_HSD},
		},
		{
			{IR_V_FMINNM, FORM_PAIR, LANES_HSD},
			{0},
			{IR_V_FABD, FORM_NM, LANES_HSD, LANES_HSD},
			{0},
			{IR_V_FCMGT, FORM_NM, LANES_HSD, LANES_HSD},
			{IR_V_FACGT, FORM_NM, LANES_HSD, LANES_HSD},
			{IR_V_FMIN, FORM_PAIR, LANES_HSD},
			{0},
		},
	},
};

static bool emit_same(struct a64 *t, uint32_t insn, const struct same *s, unsigned int lane)
{
	if (!simd_lane_ok(insn, lane, s->vector, s->scalar))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	simd_put_form(t, insn, s->opc, s->form, lane, a64_v(t, SIMD_RM(insn)), 0);
	return true;
}

/*
 * AND BIC ORR ORN, EOR BSL BIT BIF: the size field says which. MOV (vector) is ORR of a register
 * with itself.
 */
static bool emit_logic(struct a64 *t, uint32_t insn)
{
	static const uint16_t plain[8] = {IR_V_AND, IR_V_BIC, IR_V_ORR, IR_V_ORN, IR_V_EOR};
	enum { BSL = 5, BIT_IF_TRUE, BIT_IF_FALSE };
	unsigned int which = SIMD_U(insn) << 2 | SIMD_SIZE(insn), shape = simd_shape(insn);
	ir_val d = IR_NONE, n, m, v;

	if (SIMD_SCALAR(insn))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	n = a64_v(t, SIMD_RN(insn));
	if (which == 2 && SIMD_RM(insn) == SIMD_RN(insn)) {
		a64_set_v(t, SIMD_RD(insn),
			  shape == IR_FULL ? n : simd_op1(t, IR_VZEXT, IR_D, shape, n, 0));
		return true;
	}
	m = a64_v(t, SIMD_RM(insn));
	if (which >= BSL)
		d = a64_v(t, SIMD_RD(insn));
	if (which == BSL)
		v = simd_op3(t, IR_V_BSL, IR_B, shape, d, n, m);
	else if (which == BIT_IF_TRUE)
		v = simd_op3(t, IR_V_BSL, IR_B, shape, m, n, d);
	else if (which == BIT_IF_FALSE)
		v = simd_op3(t, IR_V_BSL, IR_B, shape, m, d, n);
	else
		v = simd_op2(t, plain[which], IR_B, shape, n, m);
	a64_set_v(t, SIMD_RD(insn), v);
	return true;
}

bool simd_three_same(struct a64 *t, uint32_t insn)
{
	unsigned int opcode = BITS(insn, 15, 11);

	if (opcode == OPCODE_LOGIC)
		return emit_logic(t, insn);
	if (opcode >= OPCODE_FP)
		return emit_same(t, insn, &same_fp[SIMD_U(insn)][BIT(insn, 23)][opcode & 7],
				 simd_fp_lane(insn, false));
	return emit_same(t, insn, &same_int[SIMD_U(insn)][opcode], SIMD_SIZE(insn));
}

bool simd_three_same_half(struct a64 *t, uint32_t insn)
{
	return emit_same(t, insn, &same_fp[SIMD_U(insn)][BIT(insn, 23)][BITS(insn, 13, 11)], IR_H);
}

/* Rounding doubling multiply-accumulate, dot products, complex numbers. */
bool simd_three_same_extra(struct a64 *t, uint32_t insn)
{
	static const struct same int_ops[2][16] = {
		{
			[0x2] = {IR_V_SDOT, FORM_DNM, LANES_S},
		},
		{
			[0x0] = {IR_V_SQRDMLAH, FORM_DNM, LANES_HS, LANES_HS},
			[0x1] = {IR_V_SQRDMLSH, FORM_DNM, LANES_HS, LANES_HS},
			[0x2] = {IR_V_UDOT, FORM_DNM, LANES_S},
			[0x8] = {IR_V_FCMLA, FORM_DNM, LANES_HSD},
			[0x9] = {IR_V_FCMLA, FORM_DNM, LANES_HSD},
			[0xa] = {IR_V_FCMLA, FORM_DNM, LANES_HSD},
			[0xb] = {IR_V_FCMLA, FORM_DNM, LANES_HSD},
			[0xc] = {IR_V_FCADD, FORM_NM, LANES_HSD},
			[0xe] = {IR_V_FCADD, FORM_NM, LANES_HSD},
		},
	};
	unsigned int opcode = BITS(insn, 14, 11), lane = SIMD_SIZE(insn);
	const struct same *s = &int_ops[SIMD_U(insn)][opcode];
	int32_t imm = 0;

	if (!simd_lane_ok(insn, lane, s->vector, s->scalar))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	/* The opcode's low bits are the rotation: of four quarters, or the first or third one. */
	if (s->opc == IR_V_FCMLA)
		imm = opcode & 3;
	else if (s->opc == IR_V_FCADD)
		imm = opcode >> 1 & 1;
	simd_put_form(t, insn, s->opc, s->form, lane, a64_v(t, SIMD_RM(insn)), imm);
	return true;
}
