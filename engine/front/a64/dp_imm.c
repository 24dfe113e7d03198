/* SPDX-License-Identifier: MIT */
/*
 * Data processing with an immediate (Arm ARM C4.1.86).
 *
 * Where the register that an instruction reads was just PUT as a known constant or PC-relative
 * address (MOVZ+MOVK, ADRP+ADD), the result is emitted as one constant.
 */
#include "engine/front/a64/a64.h"
#include "engine/front/a64/decode.h"

/* The CONST or PCREL that the last op of the block PUT in Xn, else NULL. */
static const struct ir_op *just_put(const struct a64 *t, unsigned int n)
{
	const struct ir_op *last = t->b->nr_ops ? &t->b->op[t->b->nr_ops - 1] : NULL;
	const struct ir_op *v;

	if (!last || last->opc != IR_PUT || n == A64_SP || last->imm != CPU_SLOT_X(n))
		return NULL;
	v = &t->b->op[last->a];
	return v->opc == IR_CONST || v->opc == IR_PCREL ? v : NULL;
}

/* ADR, ADRP */
static bool adr(struct a64 *t, uint32_t insn)
{
	int64_t imm = a64_sext(BITS(insn, 23, 5) << 2 | BITS(insn, 30, 29), 21);
	uint32_t in_page = (uint32_t)(t->b->pc_offset + (uint64_t)(int64_t)t->at) % MEM_PAGE_SIZE;

	if (BIT(insn, 31))
		imm = (int64_t)((uint64_t)imm << 12) - in_page;
	a64_set_x(t, true, BITS(insn, 4, 0), a64_pcrel(t, imm));
	return true;
}

/* ADD, ADDS, SUB, SUBS (immediate) */
static bool add_sub_imm(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31), sub = BIT(insn, 30), set_flags = BIT(insn, 29);
	unsigned int rd = BITS(insn, 4, 0), rn = BITS(insn, 9, 5), type = a64_type(sf);
	uint64_t imm = (uint64_t)BITS(insn, 21, 10) << (BIT(insn, 22) ? 12 : 0);
	const struct ir_op *known = just_put(t, rn);
	ir_val a, k, v;

	if (known && sf && !set_flags && rd != A64_SP) {
		v = a64_k(t, known->opc, IR_I64, 0, known->k + (sub ? -imm : imm));
		a64_set_x(t, true, rd, v);
		return true;
	}
	a = a64_x_sp(t, sf, rn);
	if (!imm && !set_flags) { /* MOV to or from SP */
		a64_set_x_sp(t, sf, rd, a);
		return true;
	}
	k = a64_const(t, type, imm);
	if (!set_flags) {
		a64_set_x_sp(t, sf, rd, a64_op2(t, sub ? IR_SUB : IR_ADD, type, a, k));
		return true;
	}
	v = rd == A64_ZR ? IR_NONE : a64_op2(t, sub ? IR_SUB : IR_ADD, type, a, k);
	a64_set_flags(t, a64_op2(t, sub ? IR_CMP : IR_CMN, type, a, k));
	if (v != IR_NONE)
		a64_set_x(t, sf, rd, v);
	return true;
}

/* The element size is the highest set bit of N:NOT(imms); an element of all ones is reserved. */
bool a64_logical_imm(bool sf, unsigned int n, unsigned int imms, unsigned int immr, uint64_t *value)
{
	unsigned int sizes = n << 6 | (~imms & 0x3f), size, ones, rotate;
	uint64_t element, mask;

	if (sizes < 2 || (!sf && n))
		return false;
	size = 1u << (31 - __builtin_clz(sizes));
	ones = (imms & (size - 1)) + 1;
	rotate = immr & (size - 1);
	if (ones == size)
		return false;
	mask = ~0ull >> (64 - size);
	element = (1ull << ones) - 1;
	if (rotate)
		element = (element >> rotate | element << (size - rotate)) & mask;
	for (; size < 64; size *= 2)
		element |= element << size;
	*value = sf ? element : (uint32_t)element;
	return true;
}

/* AND, ORR, EOR, ANDS (immediate) */
static bool logical_imm(struct a64 *t, uint32_t insn)
{
	static const uint16_t ops[4] = {IR_AND, IR_OR, IR_XOR, IR_AND};
	bool sf = BIT(insn, 31);
	unsigned int opc = BITS(insn, 30, 29), rd = BITS(insn, 4, 0), rn = BITS(insn, 9, 5);
	unsigned int type = a64_type(sf);
	uint64_t imm;
	ir_val v, k;

	if (!a64_logical_imm(sf, BIT(insn, 22), BITS(insn, 15, 10), BITS(insn, 21, 16), &imm))
		return false;
	if (opc == 1 && rn == A64_ZR) { /* MOV (bitmask immediate) */
		a64_set_x_sp(t, sf, rd, a64_const(t, type, imm));
		return true;
	}
	v = a64_x(t, sf, rn);
	k = a64_const(t, type, imm);
	v = a64_op2(t, ops[opc], type, v, k);
	if (opc != 3) {
		a64_set_x_sp(t, sf, rd, v);
		return true;
	}
	a64_set_flags(t, a64_op1(t, IR_TST, type, v));
	a64_set_x(t, sf, rd, v);
	return true;
}

/* MOVN, MOVZ, MOVK */
static bool move_wide(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);
	unsigned int opc = BITS(insn, 30, 29), rd = BITS(insn, 4, 0), lsb = 16 * BITS(insn, 22, 21);
	uint64_t imm = BITS(insn, 20, 5);
	const struct ir_op *known;
	ir_val v, k;

	if (opc == 1 || (!sf && lsb > 16))
		return false;
	if (opc != 3) {
		imm <<= lsb;
		a64_set_x(t, sf, rd, a64_const(t, a64_type(sf), opc == 0 ? ~imm : imm));
		return true;
	}
	known = just_put(t, rd);
	if (known && known->opc == IR_CONST) {
		imm = (known->k & ~(0xffffull << lsb)) | imm << lsb;
		a64_set_x(t, sf, rd, a64_const(t, a64_type(sf), imm));
		return true;
	}
	v = a64_x(t, sf, rd);
	k = a64_const(t, a64_type(sf), imm);
	v = a64_op(t, IR_BFI, a64_type(sf), 0, v, k, IR_NONE, (int32_t)(lsb | 16 << 8));
	a64_set_x(t, sf, rd, v);
	return true;
}

static ir_val shift_imm(struct a64 *t, unsigned int opc, unsigned int type, ir_val v,
			unsigned int n)
{
	return n ? a64_op2(t, opc, type, v, a64_const(t, type, n)) : v;
}

/* SBFM (@is_signed) and UBFM, in the form that says most. */
static ir_val extract(struct a64 *t, bool is_signed, unsigned int type, ir_val v, unsigned int immr,
		      unsigned int imms)
{
	unsigned int bits = type == IR_I64 ? 64 : 32, field;

	if (imms == bits - 1)
		return shift_imm(t, is_signed ? IR_SAR : IR_SHR, type, v, immr);
	if (imms < immr) {
		if (imms + 1 == immr && !is_signed)
			return shift_imm(t, IR_SHL, type, v, bits - immr);
		field = (bits - immr) | (imms + 1) << 8;
		return a64_op(t, is_signed ? IR_SBFIZ : IR_UBFIZ, type, 0, v, IR_NONE, IR_NONE,
			      (int32_t)field);
	}
	if (!immr && (imms == 7 || imms == 15 || imms == 31))
		return a64_op(t, is_signed ? IR_SEXT : IR_ZEXT, type, 0, v, IR_NONE, IR_NONE,
			      (int32_t)imms + 1);
	field = immr | (imms - immr + 1) << 8;
	return a64_op(t, is_signed ? IR_SBFX : IR_UBFX, type, 0, v, IR_NONE, IR_NONE,
		      (int32_t)field);
}

/* SBFM, BFM, UBFM */
static bool bitfield(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);
	unsigned int opc = BITS(insn, 30, 29), immr = BITS(insn, 21, 16), imms = BITS(insn, 15, 10);
	unsigned int rd = BITS(insn, 4, 0), rn = BITS(insn, 9, 5), type = a64_type(sf);
	unsigned int bits = sf ? 64 : 32, lsb = 0, width;
	ir_val v, old;

	if (opc == 3 || BIT(insn, 22) != sf || (!sf && (immr >= 32 || imms >= 32)))
		return false;
	if (opc != 1) {
		v = extract(t, opc == 0, type, a64_x(t, sf, rn), immr, imms);
		a64_set_x(t, sf, rd, v);
		return true;
	}
	old = a64_x(t, sf, rd);
	v = a64_x(t, sf, rn);
	if (imms >= immr) { /* BFXIL */
		width = imms - immr + 1;
		v = shift_imm(t, IR_SHR, type, v, immr);
	} else { /* BFI, BFC */
		lsb = bits - immr;
		width = imms + 1;
	}
	if (width < bits)
		v = a64_op(t, IR_BFI, type, 0, old, v, IR_NONE, (int32_t)(lsb | width << 8));
	a64_set_x(t, sf, rd, v);
	return true;
}

/* EXTR, ROR (immediate) */
static bool extr(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);
	unsigned int rn = BITS(insn, 9, 5), rm = BITS(insn, 20, 16), lsb = BITS(insn, 15, 10);
	unsigned int type = a64_type(sf);
	ir_val hi, lo;

	if (BIT(insn, 22) != sf || (!sf && lsb >= 32))
		return false;
	if (!lsb || rn == rm) {
		lo = shift_imm(t, IR_ROR, type, a64_x(t, sf, rm), lsb);
	} else {
		hi = a64_x(t, sf, rn);
		lo = a64_x(t, sf, rm);
		lo = a64_op(t, IR_EXTR, type, 0, hi, lo, IR_NONE, (int32_t)lsb);
	}
	a64_set_x(t, sf, BITS(insn, 4, 0), lo);
	return true;
}

const struct a64_row a64_dp_imm[] = {
	{0x1f000000, 0x10000000, adr, "ADR"},
	{0x1f800000, 0x11000000, add_sub_imm, "ADD/SUB imm"},
	{0x1f800000, 0x12000000, logical_imm, "logical imm"},
	{0x1f800000, 0x12800000, move_wide, "MOV wide"},
	{0x1f800000, 0x13000000, bitfield, "bitfield"},
	{0x7fa00000, 0x13800000, extr, "EXTR"},
	{0, 0, NULL, NULL},
};
