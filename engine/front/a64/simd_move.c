/* SPDX-License-Identifier: MIT */
/* Advanced SIMD copy, permute, extract, table look-up and modified immediate (Arm ARM C4.1.95). */
#include "engine/front/a64/simd.h"

#define COPY_DUP_LANE    0x0
#define COPY_DUP_GENERAL 0x1
#define COPY_INS_GENERAL 0x3
#define COPY_SMOV        0x5
#define COPY_UMOV        0x7

/* The lowest bit of imm5 that is set says the lane, what is above it the index. */
struct copy {
	unsigned int lane, index;
};

static bool emit_dup(struct a64 *t, uint32_t insn, struct copy c, bool general)
{
	unsigned int shape = simd_shape(insn);
	ir_val v;

	if (shape == IR_HALF && c.lane == IR_D)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	if (general)
		v = simd_op1(t, IR_VDUP, c.lane, shape, a64_x(t, c.lane == IR_D, SIMD_RN(insn)), 0);
	else
		v = simd_op1(t, IR_VDUPL, c.lane, shape, a64_v(t, SIMD_RN(insn)), (int32_t)c.index);
	a64_set_v(t, SIMD_RD(insn), v);
	return true;
}

/* INS: a lane of another register, or of a general one. */
static bool emit_ins(struct a64 *t, uint32_t insn, struct copy c, bool general)
{
	unsigned int rd = SIMD_RD(insn), from = BITS(insn, 14, 11) >> c.lane;
	ir_val d, v;

	if (!SIMD_Q(insn))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	d = a64_v(t, rd);
	if (general) {
		v = a64_x(t, c.lane == IR_D, SIMD_RN(insn));
		v = a64_vop(t, IR_VSET, c.lane, IR_FULL, d, v, IR_NONE, (int32_t)c.index);
	} else {
		v = a64_v(t, SIMD_RN(insn));
		v = a64_vop(t, IR_VINSL, c.lane, IR_FULL, d, v, IR_NONE,
			    (int32_t)(c.index | from << 8));
	}
	a64_set_v(t, rd, v);
	return true;
}

static bool emit_mov_to_general(struct a64 *t, uint32_t insn, struct copy c, bool is_signed)
{
	bool sf = SIMD_Q(insn);
	ir_val v;

	/* SMOV extends, to a wider register. UMOV to X is only there for D. */
	if (is_signed ? c.lane >= (sf ? IR_D : IR_S) : sf != (c.lane == IR_D))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	v = a64_op(t, is_signed ? IR_VGETS : IR_VGETU, a64_type(sf), IR_LANES(c.lane, IR_FULL),
		   a64_v(t, SIMD_RN(insn)), IR_NONE, IR_NONE, (int32_t)c.index);
	a64_set_x(t, sf, SIMD_RD(insn), v);
	return true;
}

bool simd_copy(struct a64 *t, uint32_t insn)
{
	unsigned int imm5 = BITS(insn, 20, 16), which = BITS(insn, 14, 11), op = SIMD_U(insn);
	struct copy c;

	if (!(imm5 & 15))
		return false;
	c.lane = (unsigned int)__builtin_ctz(imm5);
	c.index = imm5 >> (c.lane + 1);
	if (SIMD_SCALAR(insn))
		return !op && which == COPY_DUP_LANE && emit_dup(t, insn, c, false);
	if (op)
		return emit_ins(t, insn, c, false);
	switch (which) {
	case COPY_DUP_LANE:
	case COPY_DUP_GENERAL:
		return emit_dup(t, insn, c, which == COPY_DUP_GENERAL);
	case COPY_INS_GENERAL:
		return emit_ins(t, insn, c, true);
	case COPY_SMOV:
	case COPY_UMOV:
		return emit_mov_to_general(t, insn, c, which == COPY_SMOV);
	}
	return false;
}

bool simd_permute(struct a64 *t, uint32_t insn)
{
	static const uint16_t ops[8] = {
		[1] = IR_V_UZP1, [2] = IR_V_TRN1, [3] = IR_V_ZIP1,
		[5] = IR_V_UZP2, [6] = IR_V_TRN2, [7] = IR_V_ZIP2,
	};
	unsigned int opc = ops[BITS(insn, 14, 12)], lane = SIMD_SIZE(insn);

	if (!opc || !simd_lane_ok(insn, lane, LANES_BHSD, 0))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	simd_put_form(t, insn, opc, FORM_NM, lane, a64_v(t, SIMD_RM(insn)), 0);
	return true;
}

bool simd_extract(struct a64 *t, uint32_t insn)
{
	unsigned int imm4 = BITS(insn, 14, 11);

	if (!SIMD_Q(insn) && imm4 >= 8)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	simd_put_form(t, insn, IR_V_EXT, FORM_NM, IR_B, a64_v(t, SIMD_RM(insn)), (int32_t)imm4);
	return true;
}

/* TBL and TBX: of up to four consecutive registers; each takes the indices that fall into it. */
bool simd_table(struct a64 *t, uint32_t insn)
{
	unsigned int nr = BITS(insn, 14, 13) + 1, rn = SIMD_RN(insn), shape = simd_shape(insn),
		     i = 0;
	bool keep = BIT(insn, 12);
	ir_val index, v;

	if (!a64_fp_enabled(t))
		return true;
	index = a64_v(t, SIMD_RM(insn));
	if (keep)
		v = a64_v(t, SIMD_RD(insn));
	else
		v = simd_op2(t, IR_V_TBL, IR_B, shape, index, a64_v(t, (rn + i++) % 32));
	for (; i < nr; i++)
		v = a64_vop(t, IR_V_TBX, IR_B, shape, v, index, a64_v(t, (rn + i) % 32),
			    (int32_t)(16 * i));
	a64_set_v(t, SIMD_RD(insn), v);
	return true;
}

/* AdvSIMDExpandImm (Arm ARM, shared/functions/vector), without the forms of FMOV. */
static uint64_t expand_imm(unsigned int cmode, bool op, uint64_t imm8)
{
	uint64_t v = 0;

	switch (cmode >> 1) {
	case 0:
	case 1:
	case 2:
	case 3: /* 32 bits, shifted by bytes */
		return (imm8 << 8 * (cmode >> 1)) * 0x0000000100000001ull;
	case 4:
	case 5: /* 16 bits, shifted by bytes */
		return (imm8 << 8 * (cmode >> 1 & 1)) * 0x0001000100010001ull;
	case 6: /* 32 bits, ones shifted in */
		v = cmode & 1 ? imm8 << 16 | 0xffff : imm8 << 8 | 0xff;
		return v * 0x0000000100000001ull;
	}
	if (!op)
		return imm8 * 0x0101010101010101ull;
	for (int i = 0; i < 8; i++) /* each bit is a byte */
		v |= (imm8 >> i & 1) * (0xffull << 8 * i);
	return v;
}

/* FMOV: cmode 15; o2 is half precision, op double. */
static bool fmov_imm(uint32_t insn, unsigned int imm8, uint64_t *k)
{
	bool op = SIMD_U(insn), half = BIT(insn, 11);

	if (op && (half || !SIMD_Q(insn)))
		return false;
	if (half)
		*k = simd_fp_imm(imm8, IR_H) * 0x0001000100010001ull;
	else if (op)
		*k = simd_fp_imm(imm8, IR_D);
	else
		*k = simd_fp_imm(imm8, IR_S) * 0x0000000100000001ull;
	return true;
}

bool simd_modified_imm(struct a64 *t, uint32_t insn)
{
	unsigned int cmode = BITS(insn, 15, 12), imm8 = BITS(insn, 18, 16) << 5 | BITS(insn, 9, 5),
		     rd = SIMD_RD(insn);
	unsigned int shape = simd_shape(insn);
	bool op = SIMD_U(insn), bitwise = cmode < 12 && (cmode & 1);
	uint64_t k;
	ir_val v;

	if (cmode == 15) {
		if (!fmov_imm(insn, imm8, &k))
			return false;
	} else if (BIT(insn, 11)) {
		return false;
	} else {
		k = expand_imm(cmode, op, imm8);
	}
	if (!a64_fp_enabled(t))
		return true;
	if (bitwise) {
		v = simd_op2(t, op ? IR_V_BIC : IR_V_ORR, IR_B, shape, a64_v(t, rd),
			     simd_const(t, shape, k));
	} else {
		/* MVNI */
		if (op && cmode < 14)
			k = ~k;
		v = simd_const(t, shape, k);
	}
	a64_set_v(t, rd, v);
	return true;
}
