/* SPDX-License-Identifier: MIT */
/*
 * Data processing with registers (Arm ARM C4.1.92): shifted and extended operands, carries,
 * conditional compare and select, one, two and three sources.
 */
#include "engine/front/a64/a64.h"

static const uint16_t shift_ops[4] = {IR_SHL, IR_SHR, IR_SAR, IR_ROR};

static ir_val invert(struct a64 *t, unsigned int type, ir_val v)
{
	return a64_op2(t, IR_XOR, type, v, a64_const(t, type, ~0ull));
}

static ir_val extend(struct a64 *t, unsigned int opc, unsigned int type, ir_val v,
		     unsigned int bits)
{
	return a64_op(t, opc, type, 0, v, IR_NONE, IR_NONE, (int32_t)bits);
}

/* Rm shifted by a constant. */
static ir_val shifted_rm(struct a64 *t, uint32_t insn, bool sf)
{
	unsigned int n = BITS(insn, 15, 10), type = a64_type(sf), rm = BITS(insn, 20, 16);
	ir_val v = a64_x(t, sf, rm);

	if (!n || rm == A64_ZR)
		return v;
	return a64_op2(t, shift_ops[BITS(insn, 23, 22)], type, v, a64_const(t, type, n));
}

/* AND BIC ORR ORN EOR EON ANDS BICS (shifted register) */
static bool logical(struct a64 *t, uint32_t insn)
{
	static const uint16_t ops[8] = {IR_AND, IR_BIC, IR_OR,  IR_ORN,
					IR_XOR, IR_EON, IR_AND, IR_BIC};
	bool sf = BIT(insn, 31);
	unsigned int opc = BITS(insn, 30, 29) << 1 | BIT(insn, 21), type = a64_type(sf);
	unsigned int rn = BITS(insn, 9, 5), rd = BITS(insn, 4, 0);
	ir_val a, v;

	if (!sf && BIT(insn, 15))
		return false;
	if (rn == A64_ZR && (opc == 2 || opc == 3)) { /* MOV, MVN */
		v = shifted_rm(t, insn, sf);
		a64_set_x(t, sf, rd, opc == 2 ? v : invert(t, type, v));
		return true;
	}
	a = a64_x(t, sf, rn);
	v = a64_op2(t, ops[opc], type, a, shifted_rm(t, insn, sf));
	if (opc >= 6)
		a64_set_flags(t, a64_op1(t, IR_TST, type, v));
	a64_set_x(t, sf, rd, v);
	return true;
}

/*
 * The common end of additions and subtractions. @sp: register 31 is SP as the destination that sets
 * no flags.
 */
static void add_sub(struct a64 *t, uint32_t insn, ir_val a, ir_val b, bool sp)
{
	bool sf = BIT(insn, 31), sub = BIT(insn, 30), set_flags = BIT(insn, 29);
	unsigned int rd = BITS(insn, 4, 0), type = a64_type(sf);
	ir_val v = IR_NONE;

	if (rd != A64_ZR || !set_flags)
		v = a64_op2(t, sub ? IR_SUB : IR_ADD, type, a, b);
	if (set_flags)
		a64_set_flags(t, a64_op2(t, sub ? IR_CMP : IR_CMN, type, a, b));
	if (v == IR_NONE)
		return;
	if (sp && !set_flags)
		a64_set_x_sp(t, sf, rd, v);
	else
		a64_set_x(t, sf, rd, v);
}

/* ADD ADDS SUB SUBS (shifted register) */
static bool add_sub_shifted(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);
	ir_val a, b;

	if (BITS(insn, 23, 22) == 3 || (!sf && BIT(insn, 15)))
		return false;
	a = a64_x(t, sf, BITS(insn, 9, 5));
	b = shifted_rm(t, insn, sf);
	add_sub(t, insn, a, b, false);
	return true;
}

/* ADD ADDS SUB SUBS (extended register) */
static bool add_sub_extended(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);
	unsigned int option = BITS(insn, 15, 13), n = BITS(insn, 12, 10), type = a64_type(sf);
	unsigned int bits = 8u << (option & 3);
	ir_val a, b;

	if (n > 4)
		return false;
	a = a64_x_sp(t, sf, BITS(insn, 9, 5));
	b = a64_x(t, sf, BITS(insn, 20, 16));
	if (bits < (sf ? 64 : 32))
		b = extend(t, option & 4 ? IR_SEXT : IR_ZEXT, type, b, bits);
	if (n)
		b = a64_op2(t, IR_SHL, type, b, a64_const(t, type, n));
	add_sub(t, insn, a, b, true);
	return true;
}

/* ADC ADCS SBC SBCS */
static bool add_sub_carry(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31), sub = BIT(insn, 30);
	unsigned int type = a64_type(sf);
	ir_val a = a64_x(t, sf, BITS(insn, 9, 5)), b = a64_x(t, sf, BITS(insn, 20, 16));
	ir_val f = a64_flags(t), v;

	v = a64_op(t, sub ? IR_SBC : IR_ADC, type, 0, a, b, f, 0);
	if (BIT(insn, 29))
		a64_set_flags(t, a64_op(t, sub ? IR_SBCF : IR_ADCF, type, 0, a, b, f, 0));
	a64_set_x(t, sf, BITS(insn, 4, 0), v);
	return true;
}

/* CCMN CCMP (register and immediate) */
static bool cond_compare(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);
	unsigned int type = a64_type(sf), cond = BITS(insn, 15, 12), rm = BITS(insn, 20, 16);
	ir_val old = IR_NONE, a, b, f;

	if (cond < IR_AL)
		old = a64_flags(t);
	a = a64_x(t, sf, BITS(insn, 9, 5));
	b = BIT(insn, 11) ? a64_const(t, type, rm) : a64_x(t, sf, rm);
	f = a64_op2(t, BIT(insn, 30) ? IR_CMP : IR_CMN, type, a, b);
	if (cond < IR_AL)
		f = a64_op(t, IR_FSEL, IR_FLAGS, cond, old, f, IR_NONE, (int32_t)BITS(insn, 3, 0));
	a64_set_flags(t, f);
	return true;
}

/* What CSEL CSINC CSINV CSNEG give when the condition is false. */
static ir_val cond_else(struct a64 *t, unsigned int opc, unsigned int type, unsigned int rm)
{
	static const uint64_t of_zero[4] = {0, 1, ~0ull, 0};
	ir_val v;

	if (rm == A64_ZR)
		return a64_const(t, type, of_zero[opc]);
	v = a64_x(t, type == IR_I64, rm);
	switch (opc) {
	case 1:
		return a64_op2(t, IR_ADD, type, v, a64_const(t, type, 1));
	case 2:
		return invert(t, type, v);
	case 3:
		return a64_op2(t, IR_SUB, type, a64_const(t, type, 0), v);
	}
	return v;
}

/* CSEL CSINC CSINV CSNEG */
static bool cond_select(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);
	unsigned int type = a64_type(sf), cond = BITS(insn, 15, 12);
	unsigned int opc = BIT(insn, 30) << 1 | BIT(insn, 10);
	ir_val f, a, b;

	if (cond >= IR_AL) {
		a64_set_x(t, sf, BITS(insn, 4, 0), a64_x(t, sf, BITS(insn, 9, 5)));
		return true;
	}
	a = a64_x(t, sf, BITS(insn, 9, 5));
	b = cond_else(t, opc, type, BITS(insn, 20, 16));
	f = a64_flags(t);
	a64_set_x(t, sf, BITS(insn, 4, 0), a64_op(t, IR_SEL, type, cond, f, a, b, 0));
	return true;
}

/* RBIT REV16 REV REV32 CLZ CLS */
static bool one_source(struct a64 *t, uint32_t insn)
{
	static const uint16_t ops[2][6] = {
		{IR_RBIT, IR_REV16, IR_BSWAP, 0, IR_CLZ, IR_CLS},
		{IR_RBIT, IR_REV16, IR_REV32, IR_BSWAP, IR_CLZ, IR_CLS},
	};
	bool sf = BIT(insn, 31);
	unsigned int opc = BITS(insn, 12, 10);

	if (opc > 5 || (!sf && opc == 3))
		return false;
	a64_set_x(t, sf, BITS(insn, 4, 0),
		  a64_op1(t, ops[sf][opc], a64_type(sf), a64_x(t, sf, BITS(insn, 9, 5))));
	return true;
}

static void two_source(struct a64 *t, uint32_t insn, unsigned int opc)
{
	bool sf = BIT(insn, 31);
	ir_val a = a64_x(t, sf, BITS(insn, 9, 5)), b = a64_x(t, sf, BITS(insn, 20, 16));

	a64_set_x(t, sf, BITS(insn, 4, 0), a64_op2(t, opc, a64_type(sf), a, b));
}

/* UDIV SDIV */
static bool divide(struct a64 *t, uint32_t insn)
{
	two_source(t, insn, BIT(insn, 10) ? IR_SDIV : IR_UDIV);
	return true;
}

/* LSLV LSRV ASRV RORV */
static bool shift_var(struct a64 *t, uint32_t insn)
{
	two_source(t, insn, shift_ops[BITS(insn, 11, 10)]);
	return true;
}

/* CRC32 CRC32C, B H W X */
static bool crc32(struct a64 *t, uint32_t insn)
{
	unsigned int size = BITS(insn, 11, 10);
	bool sf = BIT(insn, 31);
	ir_val acc, data;

	if (sf != (size == 3))
		return false;
	acc = a64_x(t, false, BITS(insn, 9, 5));
	data = a64_x(t, sf, BITS(insn, 20, 16));
	a64_set_x(t, false, BITS(insn, 4, 0),
		  a64_op(t, IR_CRC32, IR_I32, BIT(insn, 12), acc, data, IR_NONE, 1 << size));
	return true;
}

/*
 * Ra plus or minus @product, which is the whole result when Ra is the zero register and it is
 * added.
 */
static void accumulate(struct a64 *t, uint32_t insn, bool sf, ir_val product)
{
	unsigned int ra = BITS(insn, 14, 10), type = a64_type(sf);
	bool sub = BIT(insn, 15);

	if (ra != A64_ZR || sub)
		product = a64_op2(t, sub ? IR_SUB : IR_ADD, type, a64_x(t, sf, ra), product);
	a64_set_x(t, sf, BITS(insn, 4, 0), product);
}

/* MADD MSUB */
static bool multiply(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);
	ir_val a = a64_x(t, sf, BITS(insn, 9, 5)), b = a64_x(t, sf, BITS(insn, 20, 16));

	accumulate(t, insn, sf, a64_op2(t, IR_MUL, a64_type(sf), a, b));
	return true;
}

/* SMADDL SMSUBL UMADDL UMSUBL */
static bool multiply_long(struct a64 *t, uint32_t insn)
{
	unsigned int ext = BIT(insn, 23) ? IR_ZEXT : IR_SEXT;
	ir_val a = extend(t, ext, IR_I64, a64_x(t, true, BITS(insn, 9, 5)), 32);
	ir_val b = extend(t, ext, IR_I64, a64_x(t, true, BITS(insn, 20, 16)), 32);

	accumulate(t, insn, true, a64_op2(t, IR_MUL, IR_I64, a, b));
	return true;
}

/* SMULH UMULH. Ra is ignored. */
static bool multiply_high(struct a64 *t, uint32_t insn)
{
	two_source(t, insn, BIT(insn, 23) ? IR_UMULH : IR_SMULH);
	return true;
}

const struct a64_row a64_dp_reg[] = {
	{0x1f000000, 0x0a000000, logical, "logical reg"},
	{0x1f200000, 0x0b000000, add_sub_shifted, "ADD/SUB shifted"},
	{0x1fe00000, 0x0b200000, add_sub_extended, "ADD/SUB extended"},
	{0x1fe0fc00, 0x1a000000, add_sub_carry, "ADC/SBC"},
	{0x3fe00410, 0x3a400000, cond_compare, "CCMP"},
	{0x3fe00800, 0x1a800000, cond_select, "CSEL"},
	{0x7fffe000, 0x5ac00000, one_source, "RBIT/REV/CLZ"},
	{0x7fe0f800, 0x1ac00800, divide, "UDIV/SDIV"},
	{0x7fe0f000, 0x1ac02000, shift_var, "LSLV/RORV"},
	{0x7fe0e000, 0x1ac04000, crc32, "CRC32"},
	{0x7fe00000, 0x1b000000, multiply, "MADD"},
	{0xff600000, 0x9b200000, multiply_long, "MADDL"},
	{0xff608000, 0x9b400000, multiply_high, "MULH"},
	{0, 0, NULL, NULL},
};
