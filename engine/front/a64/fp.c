/* SPDX-License-Identifier: MIT */
/*
 * Scalar floating point (Arm ARM C4.1.95: conversions, data processing with one to three sources,
 * comparison, immediate, conditional comparison and select), in half, single and double
 * precision.
 */
#include "engine/front/a64/simd.h"

#define FTYPE_TOP_HALF 2 /* FMOV between X and the upper half of V */

#define LANE_BAD 0xff

static const uint8_t ftype_lane[4] = {IR_S, IR_D, LANE_BAD, IR_H};

static unsigned int fp_lane(uint32_t insn)
{
	return ftype_lane[BITS(insn, 23, 22)];
}

static ir_val fp_op1(struct a64 *t, unsigned int opc, unsigned int lane, ir_val a, int32_t imm)
{
	return simd_op1(t, opc, lane, IR_SCALAR, a, imm);
}

/* One source. */

static bool fp_convert(struct a64 *t, uint32_t insn, unsigned int from, unsigned int to)
{
	static const uint16_t ops[4][4] = {
		[IR_H] = {[IR_S] = IR_V_FCVTL, [IR_D] = IR_V_FCVTHD},
		[IR_S] = {[IR_H] = IR_V_FCVTN, [IR_D] = IR_V_FCVTL},
		[IR_D] = {[IR_H] = IR_V_FCVTDH, [IR_S] = IR_V_FCVTN},
	};
	unsigned int opc = ops[from][to], narrow = from < to ? from : to;

	if (!opc)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	a64_set_v(t, SIMD_RD(insn), fp_op1(t, opc, narrow, a64_v(t, SIMD_RN(insn)), 0));
	return true;
}

struct fp_unary {
	uint16_t opc, imm;
};

static bool fp_dp1(struct a64 *t, uint32_t insn)
{
	static const struct fp_unary ops[64] = {
		[0x00] = {IR_VZEXT}, /* FMOV */
		[0x01] = {IR_V_FABS},
		[0x02] = {IR_V_FNEG},
		[0x03] = {IR_V_FSQRT},
		[0x08] = {IR_V_FRINT, FP_RN},
		[0x09] = {IR_V_FRINT, FP_RP},
		[0x0a] = {IR_V_FRINT, FP_RM},
		[0x0b] = {IR_V_FRINT, FP_RZ},
		[0x0c] = {IR_V_FRINT, FP_RA},
		[0x0e] = {IR_V_FRINT, VEC_ROUND_FPCR | VEC_IMM_EXACT},
		[0x0f] = {IR_V_FRINT, VEC_ROUND_FPCR},
	};
	unsigned int opcode = BITS(insn, 20, 15), lane = fp_lane(insn);

	if (lane == LANE_BAD)
		return false;
	/* FCVT: the opcode's low bits are the ftype of the result. */
	if (opcode >> 2 == 1)
		return ftype_lane[opcode & 3] != LANE_BAD &&
		       fp_convert(t, insn, lane, ftype_lane[opcode & 3]);
	if (!ops[opcode].opc)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	a64_set_v(t, SIMD_RD(insn),
		  fp_op1(t, ops[opcode].opc, lane, a64_v(t, SIMD_RN(insn)), ops[opcode].imm));
	return true;
}

/* Two sources. */
static bool fp_dp2(struct a64 *t, uint32_t insn)
{
	static const uint16_t ops[16] = {
		IR_V_FMUL, IR_V_FDIV,   IR_V_FADD,   IR_V_FSUB, IR_V_FMAX,
		IR_V_FMIN, IR_V_FMAXNM, IR_V_FMINNM, IR_V_FMUL, /* FNMUL */
	};
	unsigned int opcode = BITS(insn, 15, 12), lane = fp_lane(insn);
	ir_val v;

	if (lane == LANE_BAD || !ops[opcode])
		return false;
	if (!a64_fp_enabled(t))
		return true;
	v = simd_op2(t, ops[opcode], lane, IR_SCALAR, a64_v(t, SIMD_RN(insn)),
		     a64_v(t, SIMD_RM(insn)));
	if (opcode == 8)
		v = fp_op1(t, IR_V_FNEG, lane, v, 0);
	a64_set_v(t, SIMD_RD(insn), v);
	return true;
}

/*
 * Three sources: FMADD FMSUB FNMADD FNMSUB. o1 negates the addend; it and o0 differing negates
 * the product.
 */
static bool fp_dp3(struct a64 *t, uint32_t insn)
{
	unsigned int lane = fp_lane(insn), o1 = BIT(insn, 21), o0 = BIT(insn, 15);
	ir_val a;

	if (lane == LANE_BAD)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	a = a64_v(t, BITS(insn, 14, 10));
	if (o1)
		a = fp_op1(t, IR_V_FNEG, lane, a, 0);
	a = simd_op3(t, o1 != o0 ? IR_V_FMLS : IR_V_FMLA, lane, IR_SCALAR, a,
		     a64_v(t, SIMD_RN(insn)), a64_v(t, SIMD_RM(insn)));
	a64_set_v(t, SIMD_RD(insn), a);
	return true;
}

static bool fp_imm(struct a64 *t, uint32_t insn)
{
	unsigned int lane = fp_lane(insn);

	if (lane == LANE_BAD)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	a64_set_v(t, SIMD_RD(insn), simd_const(t, IR_HALF, simd_fp_imm(BITS(insn, 20, 13), lane)));
	return true;
}

/* Comparisons. Bit 4 signals on quiet NaNs too, bit 3 compares with zero. */
static ir_val fp_compare(struct a64 *t, unsigned int lane, ir_val n, ir_val m, int32_t imm)
{
	return a64_op(t, IR_FCMP, IR_V128, IR_LANES(lane, IR_SCALAR), n, m, IR_NONE, imm);
}

static bool fp_cmp(struct a64 *t, uint32_t insn)
{
	unsigned int lane = fp_lane(insn);
	bool zero = BIT(insn, 3);
	ir_val m = IR_NONE;

	if (lane == LANE_BAD)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	if (!zero)
		m = a64_v(t, SIMD_RM(insn));
	a64_set_flags(
		t, fp_compare(t, lane, a64_v(t, SIMD_RN(insn)), m,
			      (BIT(insn, 4) ? VEC_FCMP_SIGNAL : 0) | (zero ? VEC_FCMP_ZERO : 0)));
	return true;
}

/*
 * FCCMP: when the condition fails nothing is compared and no exception raised. Zero is compared
 * with zero then, which raises none, and the flags are the immediate's.
 */
static bool fp_ccmp(struct a64 *t, uint32_t insn)
{
	unsigned int lane = fp_lane(insn), cond = BITS(insn, 15, 12);
	ir_val f, zero, n, m;

	if (lane == LANE_BAD)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	f = a64_flags(t);
	zero = simd_zero(t);
	n = a64_op(t, IR_VSEL, IR_V128, cond, f, a64_v(t, SIMD_RN(insn)), zero, 0);
	m = a64_op(t, IR_VSEL, IR_V128, cond, f, a64_v(t, SIMD_RM(insn)), zero, 0);
	n = fp_compare(t, lane, n, m, BIT(insn, 4) ? VEC_FCMP_SIGNAL : 0);
	a64_set_flags(t, a64_op(t, IR_FSEL, IR_FLAGS, cond, f, n, IR_NONE, BITS(insn, 3, 0)));
	return true;
}

static bool fp_csel(struct a64 *t, uint32_t insn)
{
	unsigned int lane = fp_lane(insn);
	ir_val v;

	if (lane == LANE_BAD)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	v = a64_op(t, IR_VSEL, IR_V128, BITS(insn, 15, 12), a64_flags(t), a64_v(t, SIMD_RN(insn)),
		   a64_v(t, SIMD_RM(insn)), 0);
	a64_set_v(t, SIMD_RD(insn), simd_op1(t, IR_VZEXT, lane, IR_SCALAR, v, 0));
	return true;
}

/* Conversions between floating point and general registers. */

static void put_ftoi(struct a64 *t, uint32_t insn, unsigned int lane, int32_t imm)
{
	bool sf = BIT(insn, 31);

	a64_set_x(t, sf, SIMD_RD(insn),
		  a64_op(t, IR_FTOI, a64_type(sf), IR_LANES(lane, IR_SCALAR),
			 a64_v(t, SIMD_RN(insn)), IR_NONE, IR_NONE, imm));
}

/* The integer is 64 bits wide in IR. */
static void put_itof(struct a64 *t, uint32_t insn, unsigned int lane, int32_t imm)
{
	bool sf = BIT(insn, 31);
	ir_val x = a64_x(t, sf, SIMD_RN(insn));

	if (!sf)
		x = a64_op(t, imm & VEC_IMM_SIGNED ? IR_SEXT : IR_ZEXT, IR_I64, 0, x, IR_NONE,
			   IR_NONE, 32);
	a64_set_v(t, SIMD_RD(insn),
		  a64_op(t, IR_ITOF, IR_V128, IR_LANES(lane, IR_SCALAR), x, IR_NONE, IR_NONE, imm));
}

/* rmode:opcode of conversions; the opcode's low bit is unsigned. */
#define OPCODE_ITOF      2
#define OPCODE_FTOI_AWAY 4
#define OPCODE_FMOV      6

static bool fp_fixed(struct a64 *t, uint32_t insn)
{
	unsigned int lane = fp_lane(insn), rmode = BITS(insn, 20, 19), opcode = BITS(insn, 18, 16),
		     scale = BITS(insn, 15, 10);
	bool to_fp = rmode == FP_RN && (opcode & 6) == OPCODE_ITOF;
	int32_t imm =
		(int32_t)(64 - scale) << VEC_IMM_FBITS_SHIFT | (opcode & 1 ? 0 : VEC_IMM_SIGNED);

	if (lane == LANE_BAD || (!to_fp && (rmode != FP_RZ || opcode > 1)) ||
	    (!BIT(insn, 31) && scale < 32))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	if (to_fp)
		put_itof(t, insn, lane, imm);
	else
		put_ftoi(t, insn, lane, imm | FP_RZ);
	return true;
}

static bool emit_fmov(struct a64 *t, uint32_t insn, unsigned int lane, unsigned int index)
{
	unsigned int rd = SIMD_RD(insn), rn = SIMD_RN(insn);
	bool sf = BIT(insn, 31), to_fp = BIT(insn, 16);
	ir_val v;

	if (!a64_fp_enabled(t))
		return true;
	if (!to_fp) {
		v = a64_op(t, IR_VGETU, a64_type(sf), IR_LANES(lane, IR_FULL), a64_v(t, rn),
			   IR_NONE, IR_NONE, (int32_t)index);
		a64_set_x(t, sf, rd, v);
		return true;
	}
	v = a64_x(t, sf, rn);
	if (index)
		v = a64_vop(t, IR_VSET, lane, IR_FULL, a64_v(t, rd), v, IR_NONE, (int32_t)index);
	else
		v = simd_op1(t, IR_VFROM, lane, IR_FULL, v, 0);
	a64_set_v(t, rd, v);
	return true;
}

/*
 * FMOV between registers of the same width, of half precision and W or X, and of X and the upper
 * half of V.
 */
static bool fp_fmov(struct a64 *t, uint32_t insn)
{
	unsigned int ftype = BITS(insn, 23, 22), rmode = BITS(insn, 20, 19),
		     lane = ftype_lane[ftype];
	bool sf = BIT(insn, 31);

	if (ftype == FTYPE_TOP_HALF)
		return sf && rmode == 1 && emit_fmov(t, insn, IR_D, 1);
	if (rmode != 0 || (lane != IR_H && sf != (lane == IR_D)))
		return false;
	return emit_fmov(t, insn, lane, 0);
}

static bool fp_fjcvtzs(struct a64 *t, uint32_t insn)
{
	ir_val v, x, f;

	if (!a64_fp_enabled(t))
		return true;
	v = fp_op1(t, IR_V_FJCVTZS, IR_D, a64_v(t, SIMD_RN(insn)), 0);
	x = a64_op(t, IR_VGETU, IR_I32, IR_LANES(IR_S, IR_FULL), v, IR_NONE, IR_NONE, 0);
	f = a64_op(t, IR_VGETU, IR_I32, IR_LANES(IR_S, IR_FULL), v, IR_NONE, IR_NONE, 1);
	a64_set_x(t, false, SIMD_RD(insn), x);
	a64_set_flags(t, a64_op1(t, IR_NZCV, IR_I32, f));
	return true;
}

static bool fp_int(struct a64 *t, uint32_t insn)
{
	unsigned int lane = fp_lane(insn), rmode = BITS(insn, 20, 19), opcode = BITS(insn, 18, 16);
	int32_t is_signed = opcode & 1 ? 0 : VEC_IMM_SIGNED;

	if (opcode >= OPCODE_FMOV)
		return fp_fmov(t, insn);
	if (lane == LANE_BAD || (opcode >= OPCODE_ITOF && rmode != 0))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	if (opcode >= OPCODE_FTOI_AWAY)
		put_ftoi(t, insn, lane, FP_RA | is_signed);
	else if (opcode >= OPCODE_ITOF)
		put_itof(t, insn, lane, is_signed);
	else
		put_ftoi(t, insn, lane, (int32_t)rmode | is_signed);
	return true;
}

const struct a64_row a64_fp[] = {
	{0x7f200000, 0x1e000000, fp_fixed, "scvtf ucvtf fcvtz (fixed)"},
	{0xfffffc00, 0x1e7e0000, fp_fjcvtzs, "fjcvtzs"},
	{0x7f20fc00, 0x1e200000, fp_int, "scvtf ucvtf fcvt fmov (general)"},
	{0xff207c00, 0x1e204000, fp_dp1, "fp one source"},
	{0xff20fc07, 0x1e202000, fp_cmp, "fcmp fcmpe"},
	{0xff201fe0, 0x1e201000, fp_imm, "fmov (immediate)"},
	{0xff200c00, 0x1e200400, fp_ccmp, "fccmp fccmpe"},
	{0xff200c00, 0x1e200800, fp_dp2, "fp two sources"},
	{0xff200c00, 0x1e200c00, fp_csel, "fcsel"},
	{0xff000000, 0x1f000000, fp_dp3, "fmadd fmsub fnmadd fnmsub"},
	{0, 0, NULL, NULL},
};
