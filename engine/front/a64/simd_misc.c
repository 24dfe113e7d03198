/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD two-register miscellaneous, across lanes, and scalar pairwise (Arm ARM C4.1.95),
 * vector and scalar.
 */
#include "engine/front/a64/simd.h"

enum misc_kind {
	MISC_NOT,
	MISC_PLAIN,    /* opc(n) */
	MISC_DN,       /* opc(d, n) */
	MISC_ZERO,     /* opc(n, 0) */
	MISC_ZERO_REV, /* opc(0, n) */
	MISC_LONG_ADD, /* opc(n) has wide lanes and is added to d */
	MISC_NARROW,   /* opc narrows */
	MISC_SHLL,
};

struct misc {
	uint8_t kind;
	uint16_t opc;
	uint8_t vector, scalar;
	uint16_t imm;
};

/* Integer operations by U and opcode; the size field is the lane. */
static const struct misc misc_int[2][32] = {
	{
		[0x00] = {MISC_PLAIN, IR_V_REV64, LANES_BHS},
		[0x01] = {MISC_PLAIN, IR_V_REV16, LANES_B},
		[0x02] = {MISC_PLAIN, IR_V_SADDLP, LANES_BHS},
		[0x03] = {MISC_DN, IR_V_SUQADD, LANES_BHSD, LANES_BHSD},
		[0x04] = {MISC_PLAIN, IR_V_CLS, LANES_BHS},
		[0x05] = {MISC_PLAIN, IR_V_CNT, LANES_B},
		[0x06] = {MISC_LONG_ADD, IR_V_SADDLP, LANES_BHS},
		[0x07] = {MISC_PLAIN, IR_V_SQABS, LANES_BHSD, LANES_BHSD},
		[0x08] = {MISC_ZERO, IR_V_CMGT, LANES_BHSD, LANES_D},
		[0x09] = {MISC_ZERO, IR_V_CMEQ, LANES_BHSD, LANES_D},
		[0x0a] = {MISC_ZERO_REV, IR_V_CMGT, LANES_BHSD, LANES_D},
		[0x0b] = {MISC_PLAIN, IR_V_ABS, LANES_BHSD, LANES_D},
		[0x12] = {MISC_NARROW, IR_V_XTN, LANES_BHS},
		[0x14] = {MISC_NARROW, IR_V_SQXTN, LANES_BHS, LANES_BHS},
	},
	{
		[0x00] = {MISC_PLAIN, IR_V_REV32, LANES_BH},
		[0x02] = {MISC_PLAIN, IR_V_UADDLP, LANES_BHS},
		[0x03] = {MISC_DN, IR_V_USQADD, LANES_BHSD, LANES_BHSD},
		[0x04] = {MISC_PLAIN, IR_V_CLZ, LANES_BHS},
		[0x06] = {MISC_LONG_ADD, IR_V_UADDLP, LANES_BHS},
		[0x07] = {MISC_PLAIN, IR_V_SQNEG, LANES_BHSD, LANES_BHSD},
		[0x08] = {MISC_ZERO, IR_V_CMGE, LANES_BHSD, LANES_D},
		[0x09] = {MISC_ZERO_REV, IR_V_CMGE, LANES_BHSD, LANES_D},
		[0x0b] = {MISC_PLAIN, IR_V_NEG, LANES_BHSD, LANES_D},
		[0x12] = {MISC_NARROW, IR_V_SQXTUN, LANES_BHS, LANES_BHS},
		[0x13] = {MISC_SHLL, IR_V_UXTL, LANES_BHS},
		[0x14] = {MISC_NARROW, IR_V_UQXTN, LANES_BHS, LANES_BHS},
	},
};

#define EXACT (VEC_ROUND_FPCR | VEC_IMM_EXACT)

/* Floating point by U, bit 23 and opcode; bit 22 is the lane. */
static const struct misc misc_fp[2][2][32] = {
	{
		{
			[0x16] = {MISC_NARROW, IR_V_FCVTN, LANES_HS},
			[0x17] = {MISC_PLAIN, IR_V_FCVTL, LANES_HS},
			[0x18] = {MISC_PLAIN, IR_V_FRINT, LANES_HSD, 0, FP_RN},
			[0x19] = {MISC_PLAIN, IR_V_FRINT, LANES_HSD, 0, FP_RM},
			[0x1a] = {MISC_PLAIN, IR_V_FTOS, LANES_HSD, LANES_HSD, FP_RN},
			[0x1b] = {MISC_PLAIN, IR_V_FTOS, LANES_HSD, LANES_HSD, FP_RM},
			[0x1c] = {MISC_PLAIN, IR_V_FTOS, LANES_HSD, LANES_HSD, FP_RA},
			[0x1d] = {MISC_PLAIN, IR_V_STOF, LANES_HSD, LANES_HSD},
		},
		{
			[0x0c] = {MISC_ZERO, IR_V_FCMGT, LANES_HSD, LANES_HSD},
			[0x0d] = {MISC_ZERO, IR_V_FCMEQ, LANES_HSD, LANES_HSD},
			[0x0e] = {MISC_ZERO_REV, IR_V_FCMGT, LANES_HSD, LANES_HSD},
			[0x0f] = {MISC_PLAIN, IR_V_FABS, LANES_HSD},
			[0x18] = {MISC_PLAIN, IR_V_FRINT, LANES_HSD, 0, FP_RP},
			[0x19] = {MISC_PLAIN, IR_V_FRINT, LANES_HSD, 0, FP_RZ},
			[0x1a] = {MISC_PLAIN, IR_V_FTOS, LANES_HSD, LANES_HSD, FP_RP},
			[0x1b] = {MISC_PLAIN, IR_V_FTOS, LANES_HSD, LANES_HSD, FP_RZ},
			[0x1c] = {MISC_PLAIN, IR_V_URECPE, LANES_S},
			[0x1d] = {MISC_PLAIN, IR_V_FRECPE, LANES_HSD, LANES_HSD},
			[0x1f] = {MISC_PLAIN, IR_V_FRECPX, 0, LANES_HSD},
		},
	},
	{
		{
			[0x16] = {MISC_NARROW, IR_V_FCVTXN, LANES_S, LANES_S},
			[0x18] = {MISC_PLAIN, IR_V_FRINT, LANES_HSD, 0, FP_RA},
			[0x19] = {MISC_PLAIN, IR_V_FRINT, LANES_HSD, 0, EXACT},
			[0x1a] = {MISC_PLAIN, IR_V_FTOU, LANES_HSD, LANES_HSD, FP_RN},
			[0x1b] = {MISC_PLAIN, IR_V_FTOU, LANES_HSD, LANES_HSD, FP_RM},
			[0x1c] = {MISC_PLAIN, IR_V_FTOU, LANES_HSD, LANES_HSD, FP_RA},
			[0x1d] = {MISC_PLAIN, IR_V_UTOF, LANES_HSD, LANES_HSD},
		},
		{
			[0x0c] = {MISC_ZERO, IR_V_FCMGE, LANES_HSD, LANES_HSD},
			[0x0d] = {MISC_ZERO_REV, IR_V_FCMGE, LANES_HSD, LANES_HSD},
			[0x0f] = {MISC_PLAIN, IR_V_FNEG, LANES_HSD},
			[0x19] = {MISC_PLAIN, IR_V_FRINT, LANES_HSD, 0, VEC_ROUND_FPCR},
			[0x1a] = {MISC_PLAIN, IR_V_FTOU, LANES_HSD, LANES_HSD, FP_RP},
			[0x1b] = {MISC_PLAIN, IR_V_FTOU, LANES_HSD, LANES_HSD, FP_RZ},
			[0x1c] = {MISC_PLAIN, IR_V_URSQRTE, LANES_S},
			[0x1d] = {MISC_PLAIN, IR_V_FRSQRTE, LANES_HSD, LANES_HSD},
			[0x1f] = {MISC_PLAIN, IR_V_FSQRT, LANES_HSD},
		},
	},
};

/* The opcodes that are floating point, of both values of U. */
#define OPCODES_FP 0xffc0f000u

static void put_misc(struct a64 *t, uint32_t insn, const struct misc *m, unsigned int lane)
{
	unsigned int rd = SIMD_RD(insn), shape = simd_shape(insn);
	unsigned int wide = shape == IR_SCALAR ? IR_SCALAR : IR_FULL;
	ir_val n = a64_v(t, SIMD_RN(insn)), v;

	switch (m->kind) {
	case MISC_DN:
		v = simd_op2(t, m->opc, lane, shape, a64_v(t, rd), n);
		break;
	case MISC_ZERO:
		v = simd_op2(t, m->opc, lane, shape, n, simd_zero(t));
		break;
	case MISC_ZERO_REV:
		v = simd_op2(t, m->opc, lane, shape, simd_zero(t), n);
		break;
	case MISC_LONG_ADD:
		v = simd_op1(t, m->opc, lane, shape, n, 0);
		v = simd_op2(t, IR_V_ADD, lane + 1, shape, a64_v(t, rd), v);
		break;
	case MISC_NARROW:
		simd_put_narrow(
			t, insn,
			simd_op1(t, m->opc, lane, shape == IR_SCALAR ? IR_SCALAR : IR_HALF, n, 0));
		return;
	case MISC_SHLL:
		v = simd_op1(t, m->opc, lane, shape, n, 0);
		v = simd_op1(t, IR_V_SHLI, lane + 1, wide, v, 8 << lane);
		break;
	default:
		v = simd_op1(t, m->opc, lane, shape, n, m->imm);
	}
	a64_set_v(t, rd, v);
}

static bool emit_misc(struct a64 *t, uint32_t insn, const struct misc *m, unsigned int lane)
{
	if (m->kind == MISC_NOT || !simd_lane_ok(insn, lane, m->vector, m->scalar))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	put_misc(t, insn, m, lane);
	return true;
}

/* NOT and RBIT share an opcode; the size says which. Both work on bytes. */
static bool emit_not_rbit(struct a64 *t, uint32_t insn)
{
	static const struct misc ops[2] = {
		{MISC_PLAIN, IR_V_NOT, LANES_B},
		{MISC_PLAIN, IR_V_RBIT, LANES_B},
	};

	return SIMD_SIZE(insn) < 2 && emit_misc(t, insn, &ops[SIMD_SIZE(insn)], IR_B);
}

static bool is_fp_width_change(unsigned int opc)
{
	return opc == IR_V_FCVTN || opc == IR_V_FCVTL || opc == IR_V_FCVTXN;
}

bool simd_two_misc(struct a64 *t, uint32_t insn)
{
	unsigned int opcode = BITS(insn, 16, 12), u = SIMD_U(insn);
	const struct misc *m = &misc_fp[u][BIT(insn, 23)][opcode];

	if (u && opcode == 0x05)
		return emit_not_rbit(t, insn);
	if (!(OPCODES_FP >> opcode & 1))
		return emit_misc(t, insn, &misc_int[u][opcode], SIMD_SIZE(insn));
	/* Conversions between formats: bit 22 is one less than the narrow lane. */
	if (is_fp_width_change(m->opc))
		return emit_misc(t, insn, m, IR_H + BIT(insn, 22));
	return emit_misc(t, insn, m, simd_fp_lane(insn, false));
}

bool simd_two_misc_half(struct a64 *t, uint32_t insn)
{
	unsigned int opcode = BITS(insn, 16, 12);
	const struct misc *m = &misc_fp[SIMD_U(insn)][BIT(insn, 23)][opcode];

	if (is_fp_width_change(m->opc))
		return false;
	return emit_misc(t, insn, m, IR_H);
}

/*
 * Across lanes. The floating-point ones are a tree, op(op(0, 1), op(2, 3)) and so on (Arm ARM,
 * Reduce()): neighbours first.
 */
static void put_fp_across(struct a64 *t, uint32_t insn, unsigned int opc, unsigned int lane)
{
	unsigned int shape = simd_shape(insn), nr = (shape == IR_FULL ? 16 : 8) >> lane;
	ir_val v = a64_v(t, SIMD_RN(insn));

	for (; nr > 2; nr /= 2) {
		unsigned int from = nr << lane > 8 ? IR_FULL : IR_HALF;
		ir_val even = simd_op2(t, IR_V_UZP1, lane, from, v, v);
		ir_val odd = simd_op2(t, IR_V_UZP2, lane, from, v, v);

		/*
		 * Lanes beyond nr / 2 repeat the others, so they raise no exceptions of their
		 * own.
		 */
		v = simd_op2(t, opc, lane, IR_HALF, even, odd);
	}
	a64_set_v(t, SIMD_RD(insn),
		  simd_op2(t, opc, lane, IR_SCALAR, v, simd_dup_lane(t, lane, v, 1)));
}

/* FMAXNMV FMINNMV FMAXV FMINV: bit 23 is the minimum, U clear is half precision. */
static bool emit_fp_across(struct a64 *t, uint32_t insn, const uint16_t opc[2])
{
	bool half = !SIMD_U(insn);

	if (BIT(insn, 22) || (!half && !SIMD_Q(insn)))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	put_fp_across(t, insn, opc[BIT(insn, 23)], half ? IR_H : IR_S);
	return true;
}

bool simd_across(struct a64 *t, uint32_t insn)
{
	static const uint16_t ops[2][32] = {
		{[0x03] = IR_V_SADDLV,
		 [0x0a] = IR_V_SMAXV,
		 [0x1a] = IR_V_SMINV,
		 [0x1b] = IR_V_ADDV},
		{[0x03] = IR_V_UADDLV, [0x0a] = IR_V_UMAXV, [0x1a] = IR_V_UMINV},
	};
	static const uint16_t fp_num[2] = {IR_V_FMAXNM, IR_V_FMINNM},
			      fp[2] = {IR_V_FMAX, IR_V_FMIN};
	unsigned int opcode = BITS(insn, 16, 12), lane = SIMD_SIZE(insn),
		     opc = ops[SIMD_U(insn)][opcode];

	if (opcode == 0x0c)
		return emit_fp_across(t, insn, fp_num);
	if (opcode == 0x0f)
		return emit_fp_across(t, insn, fp);
	/* Two lanes are not many. */
	if (!opc || lane == IR_D || (lane == IR_S && !SIMD_Q(insn)))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	a64_set_v(t, SIMD_RD(insn),
		  simd_op1(t, opc, lane, simd_shape(insn), a64_v(t, SIMD_RN(insn)), 0));
	return true;
}

/* ADDP of two D; FADDP and the maxima and minima of two H (U clear), S or D. */
bool simd_scalar_pairwise(struct a64 *t, uint32_t insn)
{
	static const uint16_t fp_ops[2][32] = {
		{[0x0c] = IR_V_FMAXNM, [0x0d] = IR_V_FADD, [0x0f] = IR_V_FMAX},
		{[0x0c] = IR_V_FMINNM, [0x0f] = IR_V_FMIN},
	};
	unsigned int opcode = BITS(insn, 16, 12), u = SIMD_U(insn), lane, opc;
	ir_val n;

	if (opcode == 0x1b) {
		if (u || SIMD_SIZE(insn) != IR_D)
			return false;
		opc = IR_V_ADD;
		lane = IR_D;
	} else {
		opc = fp_ops[BIT(insn, 23)][opcode];
		lane = simd_fp_lane(insn, !u);
		if (!opc || (!u && BIT(insn, 22)))
			return false;
	}
	if (!a64_fp_enabled(t))
		return true;
	n = a64_v(t, SIMD_RN(insn));
	a64_set_v(t, SIMD_RD(insn),
		  simd_op2(t, opc, lane, IR_SCALAR, n, simd_dup_lane(t, lane, n, 1)));
	return true;
}
