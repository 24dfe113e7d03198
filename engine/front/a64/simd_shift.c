/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD shift by immediate, vector and scalar (Arm ARM C4.1.95). The highest bit of immh
 * is the lane.
 */
#include "engine/front/a64/simd.h"

enum shift_kind {
	SHIFT_NOT,
	SHIFT_RIGHT,        /* opc(n, shift) */
	SHIFT_RIGHT_ADD,    /* d + opc(n, shift) */
	SHIFT_RIGHT_INSERT, /* opc(d, n, shift) */
	SHIFT_LEFT,
	SHIFT_LEFT_INSERT,
	SHIFT_LEFT_LONG, /* opc widens, then the shift */
	SHIFT_NARROW,    /* shift of wide lanes by `right`, then opc narrows */
	SHIFT_FIXED,     /* conversions; the count is that of the fraction's bits */
};

struct shift {
	uint8_t kind;
	uint16_t opc;
	uint8_t vector, scalar;
	uint16_t right;
};

static const struct shift shifts[2][32] = {
	{
		[0x00] = {SHIFT_RIGHT, IR_V_SSHRI, LANES_BHSD, LANES_D},
		[0x02] = {SHIFT_RIGHT_ADD, IR_V_SSHRI, LANES_BHSD, LANES_D},
		[0x04] = {SHIFT_RIGHT, IR_V_SRSHRI, LANES_BHSD, LANES_D},
		[0x06] = {SHIFT_RIGHT_ADD, IR_V_SRSHRI, LANES_BHSD, LANES_D},
		[0x0a] = {SHIFT_LEFT, IR_V_SHLI, LANES_BHSD, LANES_D},
		[0x0e] = {SHIFT_LEFT, IR_V_SQSHLI, LANES_BHSD, LANES_BHSD},
		[0x10] = {SHIFT_NARROW, IR_V_XTN, LANES_BHS, 0, IR_V_USHRI},
		[0x11] = {SHIFT_NARROW, IR_V_XTN, LANES_BHS, 0, IR_V_URSHRI},
		[0x12] = {SHIFT_NARROW, IR_V_SQXTN, LANES_BHS, LANES_BHS, IR_V_SSHRI},
		[0x13] = {SHIFT_NARROW, IR_V_SQXTN, LANES_BHS, LANES_BHS, IR_V_SRSHRI},
		[0x14] = {SHIFT_LEFT_LONG, IR_V_SXTL, LANES_BHS},
		[0x1c] = {SHIFT_FIXED, IR_V_STOF, LANES_HSD, LANES_HSD},
		[0x1f] = {SHIFT_FIXED, IR_V_FTOS, LANES_HSD, LANES_HSD},
	},
	{
		[0x00] = {SHIFT_RIGHT, IR_V_USHRI, LANES_BHSD, LANES_D},
		[0x02] = {SHIFT_RIGHT_ADD, IR_V_USHRI, LANES_BHSD, LANES_D},
		[0x04] = {SHIFT_RIGHT, IR_V_URSHRI, LANES_BHSD, LANES_D},
		[0x06] = {SHIFT_RIGHT_ADD, IR_V_URSHRI, LANES_BHSD, LANES_D},
		[0x08] = {SHIFT_RIGHT_INSERT, IR_V_SRI, LANES_BHSD, LANES_D},
		[0x0a] = {SHIFT_LEFT_INSERT, IR_V_SLI, LANES_BHSD, LANES_D},
		[0x0c] = {SHIFT_LEFT, IR_V_SQSHLUI, LANES_BHSD, LANES_BHSD},
		[0x0e] = {SHIFT_LEFT, IR_V_UQSHLI, LANES_BHSD, LANES_BHSD},
		[0x10] = {SHIFT_NARROW, IR_V_SQXTUN, LANES_BHS, LANES_BHS, IR_V_SSHRI},
		[0x11] = {SHIFT_NARROW, IR_V_SQXTUN, LANES_BHS, LANES_BHS, IR_V_SRSHRI},
		[0x12] = {SHIFT_NARROW, IR_V_UQXTN, LANES_BHS, LANES_BHS, IR_V_USHRI},
		[0x13] = {SHIFT_NARROW, IR_V_UQXTN, LANES_BHS, LANES_BHS, IR_V_URSHRI},
		[0x14] = {SHIFT_LEFT_LONG, IR_V_UXTL, LANES_BHS},
		[0x1c] = {SHIFT_FIXED, IR_V_UTOF, LANES_HSD, LANES_HSD},
		[0x1f] = {SHIFT_FIXED, IR_V_FTOU, LANES_HSD, LANES_HSD},
	},
};

static int32_t fixed_imm(const struct shift *s, int32_t fbits)
{
	int32_t imm = fbits << VEC_IMM_FBITS_SHIFT;

	return s->opc == IR_V_FTOS || s->opc == IR_V_FTOU ? imm | FP_RZ : imm;
}

static void put_shift(struct a64 *t, uint32_t insn, const struct shift *s, unsigned int lane)
{
	unsigned int rd = SIMD_RD(insn), shape = simd_shape(insn),
		     wide = shape == IR_SCALAR ? IR_SCALAR : IR_FULL;
	int32_t bits = 8 << lane, coded = (int32_t)BITS(insn, 22, 16), right = 2 * bits - coded,
		left = coded - bits;
	ir_val n = a64_v(t, SIMD_RN(insn)), v;

	switch (s->kind) {
	case SHIFT_RIGHT_ADD:
		v = simd_op1(t, s->opc, lane, shape, n, right);
		v = simd_op2(t, IR_V_ADD, lane, shape, a64_v(t, rd), v);
		break;
	case SHIFT_RIGHT_INSERT:
	case SHIFT_LEFT_INSERT:
		v = a64_vop(t, s->opc, lane, shape, a64_v(t, rd), n, IR_NONE,
			    s->kind == SHIFT_LEFT_INSERT ? left : right);
		break;
	case SHIFT_LEFT:
		v = simd_op1(t, s->opc, lane, shape, n, left);
		break;
	case SHIFT_LEFT_LONG:
		v = simd_op1(t, s->opc, lane, shape, n, 0);
		if (left)
			v = simd_op1(t, IR_V_SHLI, lane + 1, IR_FULL, v, left);
		break;
	case SHIFT_NARROW:
		v = simd_op1(t, s->right, lane + 1, wide, n, right);
		simd_put_narrow(
			t, insn,
			simd_op1(t, s->opc, lane, shape == IR_SCALAR ? IR_SCALAR : IR_HALF, v, 0));
		return;
	case SHIFT_FIXED:
		v = simd_op1(t, s->opc, lane, shape, n, fixed_imm(s, right));
		break;
	default:
		v = simd_op1(t, s->opc, lane, shape, n, right);
	}
	a64_set_v(t, rd, v);
}

bool simd_shift_imm(struct a64 *t, uint32_t insn)
{
	const struct shift *s = &shifts[SIMD_U(insn)][BITS(insn, 15, 11)];
	unsigned int immh = BITS(insn, 22, 19), lane;

	if (!immh || s->kind == SHIFT_NOT)
		return false;
	lane = 31 - (unsigned int)__builtin_clz(immh);
	if (!simd_lane_ok(insn, lane, s->vector, s->scalar))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	put_shift(t, insn, s, lane);
	return true;
}
