/* SPDX-License-Identifier: MIT */
/* Integers: one function for each kind of operation. engine/ir/int_ops.h says what they mean. */
#include "engine/back/x64/x64.h"
#include "engine/ir/int_ops.h"

static unsigned int wide(const struct ir_op *o)
{
	return o->type == IR_I64;
}

/* A result register with @a in it. */
static unsigned int def_copy(struct x64_compiler *g, ir_val v, unsigned int a, unsigned int w)
{
	bool same;
	unsigned int d = x64_def_on(g, v, &same);

	if (!same)
		x64_rr(&g->b, X64_MOV, w, d, a);
	return d;
}

/* Materialised by those who use it. */
void x64_gen_const(struct x64_compiler *g, const struct ir_op *o)
{
}

void x64_gen_pcrel(struct x64_compiler *g, const struct ir_op *o)
{
	int64_t k = (int64_t)(o->k + g->w->b.pc_offset);

	if (k == (int32_t)k) {
		x64_rm(&g->b, X64_LEA, 1, x64_def(g), x64_at(X64_PAGE, (int32_t)k));
		return;
	}
	unsigned int d = x64_def(g);

	x64_mov_imm(&g->b, d, (uint64_t)k);
	x64_rm(&g->b, X64_LEA, 1, d, x64_at_index(X64_PAGE, d, 0, 0));
}

void x64_gen_mov(struct x64_compiler *g, const struct ir_op *o)
{
	bool narrow = o->type == IR_I32 || g->w->b.op[o->a].type == IR_I32;
	unsigned int a = x64_use(g, o->a);

	x64_rr(&g->b, X64_MOV, !narrow, x64_def(g), a);
}

/* --- ADD to EON --- */

static const struct {
	uint16_t rr, ri;
	bool commutes;
} alu[IR_NR_OPS] = {
	[IR_ADD] = {X64_ADD, X64_ADD_I, true}, [IR_SUB] = {X64_SUB, X64_SUB_I, false},
	[IR_AND] = {X64_AND, X64_AND_I, true}, [IR_OR] = {X64_OR, X64_OR_I, true},
	[IR_XOR] = {X64_XOR, X64_XOR_I, true},
};

/* Sums that LEA does: EFLAGS stay, and no operand is lost. */
static bool by_lea(struct x64_compiler *g, const struct ir_op *o, int32_t imm, bool has_imm)
{
	unsigned int a, b;

	if (has_imm && (o->opc == IR_ADD || (o->opc == IR_SUB && imm != INT32_MIN))) {
		a = x64_use(g, o->a);
		x64_rm(&g->b, X64_LEA, wide(o), x64_def(g),
		       x64_at(a, o->opc == IR_ADD ? imm : -imm));
		return true;
	}
	if (o->opc != IR_ADD || has_imm)
		return false;
	a = x64_use(g, o->a);
	b = x64_use(g, o->b);
	x64_rm(&g->b, X64_LEA, wide(o), x64_def(g), x64_at_index(a, b, 0, 0));
	return true;
}

void x64_gen_alu(struct x64_compiler *g, const struct ir_op *o)
{
	ir_val va = o->a, vb = o->b;
	unsigned int a, b, d;
	int32_t imm = 0;
	bool same;

	if (alu[o->opc].commutes && x64_imm32(g, va, o->type, &imm)) {
		va = o->b;
		vb = o->a;
	}
	bool has_imm = x64_imm32(g, vb, o->type, &imm);

	if (va == o->a && by_lea(g, o, imm, has_imm))
		return;
	x64_flags_clobber(g);
	a = x64_use(g, va);
	if (has_imm) {
		x64_ri(&g->b, (enum x64_op)alu[o->opc].ri, wide(o), def_copy(g, va, a, wide(o)),
		       imm);
		return;
	}
	b = x64_use(g, vb);
	if (alu[o->opc].commutes && !x64_dies(g, va) && x64_dies(g, vb)) {
		d = x64_def_on(g, vb, &same);
		if (same) {
			x64_rr(&g->b, (enum x64_op)alu[o->opc].rr, wide(o), d, a);
			return;
		}
		x64_rr(&g->b, X64_MOV, wide(o), d, a);
	} else {
		d = def_copy(g, va, a, wide(o));
	}
	x64_rr(&g->b, (enum x64_op)alu[o->opc].rr, wide(o), d, b);
}

/* BIC, ORN, EON: by the complement of b. */
void x64_gen_complement(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int w = wide(o), a, b;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	b = x64_use(g, o->b);
	if (o->opc == IR_BIC) {
		x64_rvr(&g->b, X64_ANDN, w, x64_def(g), b, a);
		return;
	}
	x64_rr(&g->b, X64_MOV, w, RAX, b);
	x64_r(&g->b, X64_NOT, w, RAX);
	x64_rr(&g->b, o->opc == IR_ORN ? X64_OR : X64_XOR, w, RAX, a);
	x64_rr(&g->b, X64_MOV, w, x64_def(g), RAX);
}

void x64_gen_mul(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int a, b;
	int32_t imm;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	if (x64_imm32(g, o->b, o->type, &imm)) {
		x64_rri(&g->b, X64_IMUL_I, wide(o), x64_def(g), a, imm);
		return;
	}
	b = x64_use(g, o->b);
	x64_rr(&g->b, X64_IMUL, wide(o), def_copy(g, o->a, a, wide(o)), b);
}

void x64_gen_mulh(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int a, b;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	b = x64_use(g, o->b);
	x64_rr(&g->b, X64_MOV, 1, RAX, a);
	x64_r(&g->b, o->opc == IR_SMULH ? X64_IMUL1 : X64_MUL, 1, b);
	x64_rr(&g->b, X64_MOV, 1, x64_def(g), RDX);
}

/* x / 0 is 0, and MIN / -1 is MIN. */
void x64_gen_div(struct x64_compiler *g, const struct ir_op *o)
{
	bool sign = o->opc == IR_SDIV;
	unsigned int w = wide(o), a, b;
	uint8_t *zero, *ordinary = NULL, *done = NULL;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	b = x64_use(g, o->b);
	x64_rr(&g->b, X64_MOV, w, RCX, b);
	x64_rr(&g->b, X64_XOR, 0, RAX, RAX);
	x64_rr(&g->b, X64_TEST, w, RCX, RCX);
	zero = x64_jcc_short(&g->b, X64_E);
	x64_rr(&g->b, X64_MOV, w, RAX, a);
	if (sign) {
		x64_ri(&g->b, X64_CMP_I, w, RCX, -1);
		ordinary = x64_jcc_short(&g->b, X64_NE);
		x64_r(&g->b, X64_NEG, w, RAX);
		done = x64_jmp_short(&g->b);
		x64_short_end(&g->b, ordinary);
		x64_n(&g->b, X64_CQO, w);
	} else {
		x64_rr(&g->b, X64_XOR, 0, RDX, RDX);
	}
	x64_r(&g->b, sign ? X64_IDIV : X64_DIV, w, RCX);
	if (done)
		x64_short_end(&g->b, done);
	x64_short_end(&g->b, zero);
	x64_rr(&g->b, X64_MOV, w, x64_def(g), RAX);
}

void x64_gen_shift(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int w = wide(o), a, b;
	int32_t imm;
	enum x64_op by_imm, by_reg;

	switch (o->opc) {
	case IR_SHL:
		by_imm = X64_SHL_I;
		by_reg = X64_SHLX;
		break;
	case IR_SHR:
		by_imm = X64_SHR_I;
		by_reg = X64_SHRX;
		break;
	case IR_SAR:
		by_imm = X64_SAR_I;
		by_reg = X64_SARX;
		break;
	default:
		by_imm = X64_RORX;
		by_reg = X64_ROR_CL;
	}
	if (o->b != IR_NONE && g->w->b.op[o->b].opc == IR_CONST) {
		imm = (int32_t)(g->w->b.op[o->b].k & (w ? 63 : 31));
		if (by_imm == X64_RORX) {
			a = x64_use(g, o->a);
			x64_rri(&g->b, X64_RORX, w, x64_def(g), a, imm);
			return;
		}
		if (o->opc == IR_SHL && imm <= 3 && imm) {
			a = x64_use(g, o->a);
			x64_rm(&g->b, X64_LEA, w, x64_def(g),
			       (struct x64_mem){X64_NO_REG, (uint8_t)a, (uint8_t)imm, 0});
			return;
		}
		x64_flags_clobber(g);
		a = x64_use(g, o->a);
		x64_ri(&g->b, by_imm, w, def_copy(g, o->a, a, w), imm);
		return;
	}
	if (by_reg != X64_ROR_CL) {
		a = x64_use(g, o->a);
		b = x64_use(g, o->b);
		x64_rvr(&g->b, by_reg, w, x64_def(g), b, a);
		return;
	}
	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	b = x64_use(g, o->b);
	x64_rr(&g->b, X64_MOV, 0, RCX, b);
	x64_r(&g->b, X64_ROR_CL, w, def_copy(g, o->a, a, w));
}

/* (a:b) >> imm */
void x64_gen_extr(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int w = wide(o), a, b;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	b = x64_use(g, o->b);
	x64_rr(&g->b, X64_MOV, w, RAX, b);
	if (o->imm & (w ? 63 : 31))
		x64_rri(&g->b, X64_SHRD_I, w, a, RAX, o->imm);
	x64_rr(&g->b, X64_MOV, w, x64_def(g), RAX);
}

/* By way of rax and rcx; @k in rcx is and-ed with both halves of a swap by @n bits. */
static void swap_bits(struct x64_compiler *g, unsigned int w, uint64_t k, unsigned int n)
{
	x64_mov_imm(&g->b, RCX, w ? k : (uint32_t)k);
	x64_rr(&g->b, X64_MOV, w, RDX, RAX);
	x64_ri(&g->b, X64_SHR_I, w, RDX, (int32_t)n);
	x64_rr(&g->b, X64_AND, w, RDX, RCX);
	x64_rr(&g->b, X64_AND, w, RAX, RCX);
	x64_ri(&g->b, X64_SHL_I, w, RAX, (int32_t)n);
	x64_rr(&g->b, X64_OR, w, RAX, RDX);
}

void x64_gen_unary(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int w = wide(o), a;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	switch (o->opc) {
	case IR_CLZ:
		x64_rr(&g->b, X64_LZCNT, w, x64_def(g), a);
		return;
	case IR_CLS:
		/* Leading bits that are as the sign, without it: of a ^ (a >> 1), less one. */
		x64_rr(&g->b, X64_MOV, w, RAX, a);
		x64_ri(&g->b, X64_SAR_I, w, RAX, 1);
		x64_rr(&g->b, X64_XOR, w, RAX, a);
		x64_rr(&g->b, X64_LZCNT, w, RAX, RAX);
		x64_rm(&g->b, X64_LEA, w, x64_def(g), x64_at(RAX, -1));
		return;
	case IR_BSWAP:
		x64_bswap(&g->b, w, def_copy(g, o->a, a, w));
		return;
	case IR_REV32:
		x64_rr(&g->b, X64_MOV, w, RAX, a);
		x64_bswap(&g->b, w, RAX);
		if (w)
			x64_rri(&g->b, X64_RORX, 1, RAX, RAX, 32);
		break;
	case IR_REV16:
		x64_rr(&g->b, X64_MOV, w, RAX, a);
		swap_bits(g, w, 0x00ff00ff00ff00ffull, 8);
		break;
	default: /* RBIT */
		x64_rr(&g->b, X64_MOV, w, RAX, a);
		swap_bits(g, w, 0x5555555555555555ull, 1);
		swap_bits(g, w, 0x3333333333333333ull, 2);
		swap_bits(g, w, 0x0f0f0f0f0f0f0f0full, 4);
		x64_bswap(&g->b, w, RAX);
	}
	x64_rr(&g->b, X64_MOV, w, x64_def(g), RAX);
}

static void extend(struct x64_compiler *g, unsigned int w, bool sign, unsigned int bits,
		   unsigned int d, unsigned int a)
{
	if (bits == 8)
		x64_rr(&g->b, sign ? X64_MOVSX8 : X64_MOVZX8, sign && w, d, a);
	else if (bits == 16)
		x64_rr(&g->b, sign ? X64_MOVSX16 : X64_MOVZX16, sign && w, d, a);
	else if (sign && w && bits == 32)
		x64_rr(&g->b, X64_MOVSXD, 1, d, a);
	else
		x64_rr(&g->b, X64_MOV, 0, d, a);
}

void x64_gen_extend(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int a = x64_use(g, o->a);

	extend(g, wide(o), o->opc == IR_SEXT, (unsigned int)o->imm, x64_def(g), a);
}

/* UBFX, SBFX, UBFIZ, SBFIZ */
void x64_gen_field(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int w = wide(o), bits = w ? 64 : 32, lsb = o->imm & 0xff;
	unsigned int width = (unsigned int)o->imm >> 8, a, d;
	bool sign = o->opc == IR_SBFX || o->opc == IR_SBFIZ;
	bool insert = o->opc == IR_UBFIZ || o->opc == IR_SBFIZ;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	if (insert && lsb + width > bits)
		width = bits - lsb;
	if (!insert && !lsb && (width == 8 || width == 16 || (width == 32 && w))) {
		extend(g, w, sign, width, x64_def(g), a);
		return;
	}
	if (!insert && !sign && lsb + width >= bits) {
		d = def_copy(g, o->a, a, w);
		if (lsb)
			x64_ri(&g->b, X64_SHR_I, w, d, (int32_t)lsb);
		return;
	}
	if (!insert && !sign && !lsb && width < 32) {
		d = def_copy(g, o->a, a, 0);
		x64_ri(&g->b, X64_AND_I, 0, d, (int32_t)((1u << width) - 1));
		return;
	}
	if (!insert && !sign && width < 32) {
		d = def_copy(g, o->a, a, w);
		x64_ri(&g->b, X64_SHR_I, w, d, (int32_t)lsb);
		x64_ri(&g->b, X64_AND_I, 0, d, (int32_t)((1u << width) - 1));
		return;
	}
	/* To the top, then down to where it is wanted. */
	unsigned int up = insert ? bits - width : bits - width - lsb;
	unsigned int down = insert ? bits - width - lsb : bits - width;

	if (!insert && lsb + width > bits) {
		/* An SBFX that reaches beyond the top: bits above are zero before it extends. */
		up = 0;
		down = lsb;
		sign = false;
	}
	d = def_copy(g, o->a, a, w);
	if (up)
		x64_ri(&g->b, X64_SHL_I, w, d, (int32_t)up);
	if (down)
		x64_ri(&g->b, sign ? X64_SAR_I : X64_SHR_I, w, d, (int32_t)down);
}

/* a with the low @width bits of b at @lsb */
void x64_gen_bfi(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int w = wide(o), bits = w ? 64 : 32, lsb = o->imm & 0xff;
	unsigned int width = (unsigned int)o->imm >> 8, a, b;
	uint64_t mask = (width >= 64 ? ~0ull : (1ull << width) - 1) << lsb;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	b = x64_use(g, o->b);
	if (!lsb && width >= bits) {
		x64_rr(&g->b, X64_MOV, w, x64_def(g), b);
		return;
	}
	if (!w)
		mask = (uint32_t)mask;
	x64_mov_imm(&g->b, RAX, mask);
	x64_rr(&g->b, X64_MOV, w, RCX, b);
	if (lsb)
		x64_ri(&g->b, X64_SHL_I, w, RCX, (int32_t)lsb);
	x64_rr(&g->b, X64_AND, w, RCX, RAX);
	x64_rvr(&g->b, X64_ANDN, w, RAX, RAX, a);
	x64_rr(&g->b, X64_OR, w, RAX, RCX);
	x64_rr(&g->b, X64_MOV, w, x64_def(g), RAX);
}

/* CRC32C has an instruction of the host; CRC32 has not. */
void x64_gen_crc(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int a, b;
	struct x64_row *r;

	x64_flags_clobber(g);
	if (!o->aux) {
		r = x64_new_row(g, X64_ROW_CRC32);
		r->a = x64_where(g, o->a);
		r->b = x64_where(g, o->b);
		x64_call_row(g, r);
		return;
	}
	a = x64_use(g, o->a);
	b = x64_use(g, o->b);
	x64_rr(&g->b, X64_MOV, 0, RAX, a);
	x64_rr(&g->b,
	       o->imm == 1   ? X64_CRC32_8
	       : o->imm == 2 ? X64_CRC32_16
	       : o->imm == 4 ? X64_CRC32_32
			     : X64_CRC32_64,
	       o->imm == 8, RAX, b);
	x64_rr(&g->b, X64_MOV, 0, x64_def(g), RAX);
}
