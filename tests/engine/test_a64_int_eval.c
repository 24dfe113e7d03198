/* SPDX-License-Identifier: MIT */
/*
 * The evaluator of test_a64_int.c: every op in turn, results in an array, straight from their
 * definitions.
 */
#include <string.h>

#include "engine/ir/int_ops.h"
#include "tests/engine/test_a64_int_eval.h"

struct eval {
	const struct ir_block *b;
	struct int_case *c;
	uint64_t v[64][4]; /* results, 16-byte elements in pairs */
	bool bad;          /* outside memory, or an op that is not there */
	bool ended;
};

static uint64_t val(const struct eval *e, ir_val v)
{
	return v == IR_NONE ? 0 : e->v[v][0];
}

static uint64_t truncate(const struct ir_op *op, uint64_t v)
{
	return op->type == IR_I32 ? (uint32_t)v : v;
}

/* State. */

static void *slot(struct eval *e, const struct ir_op *op, unsigned int *len)
{
	uint32_t at = (uint32_t)op->imm;

	if (at - CPU_SLOT_X(0) < 32 * 8) {
		*len = 8;
		return (char *)e->c->x + at - CPU_SLOT_X(0);
	}
	if (at - CPU_SLOT_V(0) < 32 * 16) {
		*len = 16;
		return (char *)e->c->v + at - CPU_SLOT_V(0);
	}
	*len = 4;
	if (at == CPU_SLOT(nzcv))
		return &e->c->nzcv;
	e->bad = true;
	return &e->c->pad;
}

static void get(struct eval *e, const struct ir_op *op, uint64_t *r)
{
	unsigned int len;
	void *p = slot(e, op, &len);

	memcpy(r, p, len);
	r[0] = truncate(op, r[0]);
}

static void put(struct eval *e, const struct ir_op *op)
{
	unsigned int len;
	void *p = slot(e, op, &len);

	memcpy(p, e->v[op->a], len);
}

/* Memory. */

static uint64_t address(const struct ir_op *op, const struct mem_desc *d, uint64_t base,
			uint64_t index)
{
	if (op->opc == IR_ST && d->pair)
		index = 0;
	if (op->opc != IR_LD && op->opc != IR_ST)
		index = 0;
	if (d->index_ext == 1)
		index = (uint32_t)index;
	if (d->index_ext == 2)
		index = (uint64_t)(int32_t)index;
	return base + (index << d->scale) + (uint64_t)(int64_t)d->offset;
}

static uint8_t *memory(struct eval *e, uint64_t va, unsigned int len, bool write)
{
	static uint8_t pool[CASE_POOL_LEN];

	if (va >= CASE_DATA && va + len <= CASE_DATA + CASE_WINDOW)
		return e->c->mem + (va - CASE_DATA);
	if (!write && va >= CASE_CODE + CASE_POOL &&
	    va + len <= CASE_CODE + CASE_POOL + CASE_POOL_LEN) {
		for (unsigned int i = 0; i < CASE_POOL_LEN / 4; i++) {
			uint32_t w = case_pool_word(i);

			memcpy(pool + 4 * i, &w, 4);
		}
		return pool + (va - CASE_CODE - CASE_POOL);
	}
	e->bad = true;
	return NULL;
}

static uint64_t sized(const struct mem_desc *d, uint64_t v)
{
	return d->size_log2 < 3 ? op_low_bits(v, 8u << d->size_log2) : v;
}

static void load(struct eval *e, const struct ir_op *op, uint64_t *r)
{
	const struct mem_desc *d = &e->b->mem[op->aux];
	unsigned int size = 1u << d->size_log2;
	uint8_t *p =
		memory(e, address(op, d, val(e, op->a), val(e, op->b)), size << d->pair, false);

	if (!p)
		return;
	for (unsigned int i = 0; i <= d->pair; i++) {
		memcpy(&r[2 * i], p + i * size, size);
		if (d->sign)
			r[2 * i] = truncate(op, op_sext(r[2 * i], 8 * size));
	}
}

static void store(struct eval *e, const struct ir_op *op)
{
	const struct mem_desc *d = &e->b->mem[op->aux];
	unsigned int size = 1u << d->size_log2;
	uint8_t *p = memory(e, address(op, d, val(e, op->a), val(e, op->b)), size << d->pair, true);

	if (!p)
		return;
	memcpy(p, e->v[op->c], size);
	if (d->pair)
		memcpy(p + size, e->v[op->b], size);
}

static uint64_t modified(const struct mem_desc *d, int32_t how, uint64_t old, uint64_t v)
{
	unsigned int bits = 8u << d->size_log2;
	int64_t so = (int64_t)op_sext(old, bits), sv = (int64_t)op_sext(v, bits);

	switch (how) {
	case RMW_ADD:
		return old + v;
	case RMW_CLR:
		return old & ~v;
	case RMW_EOR:
		return old ^ v;
	case RMW_SET:
		return old | v;
	case RMW_SMAX:
		return so > sv ? old : v;
	case RMW_SMIN:
		return so < sv ? old : v;
	case RMW_UMAX:
		return old > v ? old : v;
	case RMW_UMIN:
		return old < v ? old : v;
	}
	return v;
}

static void atomic(struct eval *e, const struct ir_op *op, uint64_t *r)
{
	const struct mem_desc *d = &e->b->mem[op->aux];
	unsigned int size = 1u << d->size_log2;
	uint8_t *p = memory(e, address(op, d, val(e, op->a), 0), size << d->pair, true);
	uint64_t next = sized(d, val(e, op->c));

	if (!p)
		return;
	if (op->opc == IR_STX) { /* no exclusive is open */
		r[0] = 1;
		return;
	}
	memcpy(r, p, size);
	if (op->opc == IR_RMW)
		next = modified(d, op->imm, r[0], next);
	else if (r[0] != val(e, op->b))
		next = r[0];
	memcpy(p, &next, size);
}

uint64_t eval_address(const struct ir_block *b, unsigned int i, const struct int_case *c)
{
	const struct ir_op *op = &b->op[i];
	struct int_case copy = *c;
	struct eval e = {.b = b, .c = &copy};

	for (unsigned int k = 0; k < i; k++)
		if (b->op[k].opc == IR_GET)
			get(&e, &b->op[k], e.v[k]);
		else if (b->op[k].opc == IR_PCREL)
			e.v[k][0] = CASE_PC + b->op[k].k;
	return address(op, &b->mem[op->aux], val(&e, op->a), val(&e, op->b));
}

/* Integers. */

static void binary(struct eval *e, const struct ir_op *op, uint64_t *r)
{
	uint64_t a = val(e, op->a), b = val(e, op->b);

	switch (op->opc) {
#define CASE(name, expr)                                                               \
	case IR_##name:                                                                \
		r[0] = op->type == IR_I32 ? op_##name##32(a, b) : op_##name##64(a, b); \
		break;
		INT2_OPS(CASE)
#undef CASE
	case IR_SMULH:
		r[0] = op_SMULH64(a, b);
		break;
	case IR_UMULH:
		r[0] = op_UMULH64(a, b);
		break;
	case IR_EXTR:
		r[0] = op->type == IR_I32 ? op_EXTR32(a, b, (unsigned int)op->imm)
					  : op_EXTR64(a, b, (unsigned int)op->imm);
		break;
	case IR_CRC32:
		r[0] = op_crc32((uint32_t)a, b, (unsigned int)op->imm, op->aux);
		break;
	default:
		e->bad = true;
	}
}

static void unary(struct eval *e, const struct ir_op *op, uint64_t *r)
{
	bool w = op->type == IR_I32;
	unsigned int lsb = op->imm & 0xff, width = (unsigned int)op->imm >> 8;
	uint64_t a = val(e, op->a);

	switch (op->opc) {
	case IR_MOV:
		r[0] = a;
		break;
	case IR_CLZ:
		r[0] = w ? op_CLZ32(a) : op_CLZ64(a);
		break;
	case IR_CLS:
		r[0] = w ? op_CLS32(a) : op_CLS64(a);
		break;
	case IR_RBIT:
		r[0] = w ? op_RBIT32(a) : op_RBIT64(a);
		break;
	case IR_BSWAP:
		r[0] = w ? op_BSWAP32(a) : op_BSWAP64(a);
		break;
	case IR_REV16:
		r[0] = w ? op_REV1632(a) : op_REV1664(a);
		break;
	case IR_REV32:
		r[0] = op_REV3264(a);
		break;
	case IR_SEXT:
		r[0] = op_sext(a, (unsigned int)op->imm);
		break;
	case IR_ZEXT:
		r[0] = op_low_bits(a, (unsigned int)op->imm);
		break;
	case IR_UBFX:
		r[0] = op_low_bits(a >> lsb, width);
		break;
	case IR_SBFX:
		r[0] = op_sext(a >> lsb, width);
		break;
	case IR_UBFIZ:
		r[0] = op_low_bits(a, width) << lsb;
		break;
	case IR_SBFIZ:
		r[0] = op_sext(a, width) << lsb;
		break;
	case IR_BFI:
		r[0] = op_bfi(a, val(e, op->b), lsb, width);
		break;
	default:
		e->bad = true;
	}
	r[0] = truncate(op, r[0]);
}

/* Flags. */

static bool holds(const struct eval *e, const struct ir_op *op)
{
	return op_cond((uint32_t)val(e, op->a), COND_MASK(op->aux));
}

static void flags(struct eval *e, const struct ir_op *op, uint64_t *r)
{
	bool w = op->type == IR_I32;
	uint64_t a = val(e, op->a), b = val(e, op->b);
	unsigned int carry = (val(e, op->c) & FLAG_C) != 0;

	switch (op->opc) {
	case IR_CMN:
		r[0] = w ? op_flags_add32(a, b, 0) : op_flags_add64(a, b, 0);
		break;
	case IR_CMP:
		r[0] = w ? op_flags_sub32(a, b) : op_flags_sub64(a, b);
		break;
	case IR_ADCF:
		r[0] = w ? op_flags_add32(a, b, carry) : op_flags_add64(a, b, carry);
		break;
	case IR_SBCF:
		r[0] = w ? op_flags_add32(a, ~b, carry) : op_flags_add64(a, ~b, carry);
		break;
	case IR_ADC:
		r[0] = truncate(op, a + b + carry);
		break;
	case IR_SBC:
		r[0] = truncate(op, a - b - !carry);
		break;
	case IR_TST:
		r[0] = w ? op_flags_logic32(a) : op_flags_logic64(a);
		break;
	case IR_NZCV:
	case IR_PACK:
		r[0] = a & 0xf0000000;
		break;
	case IR_FSEL: /* cond aux of a ? b : imm */
		r[0] = holds(e, op) ? b : (uint64_t)(uint32_t)op->imm << 28;
		break;
	case IR_SEL:
		r[0] = truncate(op, holds(e, op) ? b : val(e, op->c));
		break;
	default:
		unary(e, op, r);
	}
}

/* Ways out. */

static void go(struct eval *e, uint64_t pc)
{
	e->ended = true;
	if (pc == CASE_PC + 4)
		e->c->outcome = CASE_NEXT;
	else if (pc == CASE_PC + 8)
		e->c->outcome = CASE_TAKEN;
	else
		e->bad = true;
}

static void leave(struct eval *e, const struct ir_op *op)
{
	uint64_t target = CASE_PC + (uint64_t)(int64_t)op->imm, a = truncate(op, val(e, op->a));
	bool taken = false;

	switch (op->opc) {
	case IR_BCC:
		taken = holds(e, op);
		break;
	case IR_CBZ:
	case IR_CBNZ:
		taken = (a == 0) == (op->opc == IR_CBZ);
		break;
	case IR_TBZ:
	case IR_TBNZ:
		taken = (a >> op->aux & 1) == (op->opc == IR_TBNZ);
		break;
	case IR_JUMP:
		taken = true;
		break;
	case IR_JUMP_IND:
		taken = true;
		target = a;
		break;
	case IR_EXCEPTION:
		e->ended = true;
		e->bad |= (uint32_t)op->imm != ESR(EC_UNKNOWN, 0);
		e->c->outcome = CASE_ILL;
		break;
	default:
		e->bad = true;
	}
	if (taken)
		go(e, target);
}

static void step(struct eval *e, unsigned int i)
{
	const struct ir_op *op = &e->b->op[i];
	uint64_t *r = e->v[i];

	switch (op->opc) {
	case IR_CONST:
		r[0] = op->k;
		break;
	case IR_PCREL:
		r[0] = CASE_PC + op->k;
		break;
	case IR_GET:
		get(e, op, r);
		break;
	case IR_PUT:
		put(e, op);
		break;
	case IR_LD:
		load(e, op, r);
		break;
	case IR_LDHI:
		memcpy(r, &e->v[op->a][2], 16);
		break;
	case IR_ST:
		store(e, op);
		break;
	case IR_STX:
	case IR_RMW:
	case IR_CAS:
		atomic(e, op, r);
		break;
	case IR_CLREX:
	case IR_FENCE:
		break;
	default:
		if (op->opc >= IR_BCC && op->opc <= IR_LEAVE)
			leave(e, op);
		else if (ir_op_info(op->opc)->operands[1] == 'i' &&
			 ir_op_info(op->opc)->operands[2] == '-' &&
			 ir_op_info(op->opc)->operands[4] == 'i' && op->opc != IR_BFI)
			binary(e, op, r);
		else
			flags(e, op, r);
	}
}

bool eval_block(const struct ir_block *b, struct int_case *c)
{
	struct eval e = {.b = b, .c = c};

	if (b->nr_ops > 64)
		return false;
	for (unsigned int i = 0; i < b->nr_ops && !e.bad && !e.ended; i++)
		step(&e, i);
	return !e.bad;
}
