/* SPDX-License-Identifier: MIT */
/*
 * Lowering: placed IR to the portable executor's micro-operations.
 *
 * One row an IR op says which function lowers it and to which micro-operations. Constants become
 * immediates where a handler has one. Neighbours are fused only when nothing is emitted between
 * them, since a temp's slot may be reused right after its last use.
 */
#include <string.h>

#include "engine/back/exec/exec.h"

struct lower_row {
	bool (*fn)(struct exec_compiler *e, unsigned int i, const struct lower_row *r);
	uint16_t u32, u64;     /* micro-operations for I32 and I64 */
	uint16_t imm32, imm64; /* with b an immediate; 0: none */
};

static union uop *emit(struct exec_compiler *e, unsigned int id)
{
	union uop *u = &e->code[e->nr_code++];

	memset(u, 0, sizeof(*u));
	u->handler = exec_handlers()[id];
	return u;
}

static union uop *extend(struct exec_compiler *e)
{
	union uop *u = &e->code[e->nr_code++];

	memset(u, 0, sizeof(*u));
	return u;
}

/* The extension word of the exit just emitted, which leads to @delta from the block's start. */
static void emit_exit(struct exec_compiler *e, int32_t delta)
{
	e->exits[e->nr_exits].delta = delta;
	e->exits[e->nr_exits++].site = (uint16_t)e->nr_code;
	extend(e);
}

static bool is_const(const struct exec_compiler *e, ir_val v)
{
	return v != IR_NONE && e->w->b.op[v].opc == IR_CONST;
}

/* Is @v a constant that an immediate field can hold (sign-extended from 32 bits)? */
static bool immediate(const struct exec_compiler *e, ir_val v, unsigned int type, int32_t *imm)
{
	if (!is_const(e, v) || e->w->plain)
		return false;
	uint64_t k = e->w->b.op[v].k;

	if (type == IR_I64 && (int64_t)k != (int32_t)k)
		return false;
	*imm = (int32_t)k;
	return true;
}

static void emit_const(struct exec_compiler *e, uint16_t slot, uint64_t k)
{
	bool small = (int64_t)k == (int32_t)k;
	union uop *u = emit(e, small ? UOP_LDI : UOP_LDI64);

	u->d = slot;
	if (small)
		u->imm = (int32_t)k;
	else
		extend(e)->k = k;
}

/* The slot of an operand; a constant that was not placed is materialised here, once a block. */
static uint16_t slot_of(struct exec_compiler *e, ir_val v)
{
	if (v == IR_NONE)
		return EXEC_SLOT_ZERO;
	if (e->loc[v] != NO_LOC)
		return e->loc[v];
	if (e->w->b.op[v].k == 0 || e->scratch_used >= EXEC_SCRATCH_SLOTS) {
		e->full |= e->w->b.op[v].k != 0;
		e->loc[v] = EXEC_SLOT_ZERO;
		return EXEC_SLOT_ZERO;
	}
	e->loc[v] = EXEC_SLOT(e->scratch_used++);
	emit_const(e, e->loc[v], e->w->b.op[v].k);
	return e->loc[v];
}

static unsigned int width_id(const struct lower_row *r, const struct ir_op *o)
{
	return o->type == IR_I32 ? r->u32 : r->u64;
}

/* Instructions retired when a path is left at @o. */
static uint16_t retired(const struct exec_compiler *e, const struct ir_op *o)
{
	return (uint16_t)(o->insn + 1 - e->counted);
}

static uint16_t new_row(struct exec_compiler *e, const struct ir_op *o)
{
	struct exec_row *row = &e->rows[e->nr_rows];

	memset(row, 0, sizeof(*row));
	row->offset = (uint16_t)e->w->b.insn_offset[o->insn];
	row->retired = (uint16_t)(o->insn - e->counted);
	if (ir_props(&e->w->b, o) & IRP_MEM)
		row->mem = e->w->b.mem[o->aux];
	return (uint16_t)e->nr_rows++;
}

/*
 * The next op after @i that emits something, or nr_ops. Whatever is fused is found by this, so that
 * a plain block has none.
 */
static unsigned int next_emitting(const struct exec_compiler *e, unsigned int i)
{
	if (e->w->plain)
		return e->w->b.nr_ops;
	for (i++; i < e->w->b.nr_ops; i++) {
		const struct ir_op *o = &e->w->b.op[i];

		if (e->w->dead[i] || (o->opc == IR_PUT && e->elided[i]) ||
		    (o->opc == IR_CONST && e->loc[i] == NO_LOC) ||
		    (o->opc == IR_GET && e->loc[i] == o->imm))
			continue;
		break;
	}
	return i;
}

/* --- constants and state --- */

static bool lower_const(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];

	if (e->loc[i] != NO_LOC)
		emit_const(e, e->loc[i], o->k);
	return true;
}

static bool lower_pcrel(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	emit(e, UOP_PCREL)->d = e->loc[i];
	extend(e)->k = e->w->b.op[i].k;
	return true;
}

static void emit_copy(struct exec_compiler *e, unsigned int id, uint16_t d, uint16_t a)
{
	union uop *u = emit(e, id);

	u->d = d;
	u->a = a;
}

static unsigned int copy_id(unsigned int type)
{
	return type == IR_V128 ? UOP_MOV128 : type == IR_I64 ? UOP_MOV64 : UOP_MOV32;
}

static bool lower_get(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];

	if (e->loc[i] != o->imm)
		emit_copy(e, copy_id(o->type), e->loc[i], (uint16_t)o->imm);
	return true;
}

/*
 * A PUT of flags writes the 32 bits of its slot; a PUT of an integer the whole 64 bits of a general
 * register's, an I32 value zero-extended. The IR has no PUT to any other slot of less than 64 bits.
 */
static bool lower_put(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	unsigned int have = e->w->b.op[o->a].type;

	if (e->elided[i])
		return true;
	if (o->type == IR_FLAGS)
		emit_copy(e, UOP_PUT32, (uint16_t)o->imm, slot_of(e, o->a));
	else if (is_const(e, o->a))
		emit_const(e, (uint16_t)o->imm,
			   o->type == IR_I32 ? (uint32_t)e->w->b.op[o->a].k : e->w->b.op[o->a].k);
	else
		emit_copy(e, o->type == IR_I64 && have == IR_I32 ? UOP_MOV32 : copy_id(o->type),
			  (uint16_t)o->imm, slot_of(e, o->a));
	return true;
}

/* --- integers --- */

static bool lower_int1(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a);
	union uop *u = emit(e, width_id(r, o));

	u->a = a;
	u->d = e->loc[i];
	u->imm = o->imm;
	return true;
}

static bool lower_mov(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	bool narrow = o->type == IR_I32 || e->w->b.op[o->a].type == IR_I32;

	emit_copy(e, narrow ? UOP_MOV32 : UOP_MOV64, e->loc[i], slot_of(e, o->a));
	return true;
}

static bool lower_int2(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	int32_t imm = 0;
	bool has_imm = r->imm32 && immediate(e, o->b, o->type, &imm);
	uint16_t a = slot_of(e, o->a), b = has_imm ? 0 : slot_of(e, o->b);
	union uop *u =
		emit(e, has_imm ? (o->type == IR_I32 ? r->imm32 : r->imm64) : width_id(r, o));

	u->a = a;
	u->b = b;
	u->d = e->loc[i];
	u->imm = has_imm ? imm : o->imm;
	return true;
}

/* SHL by a constant or MUL whose only user is the ADD right after it. */
static bool lower_feeds_add(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	unsigned int n = next_emitting(e, i);
	int32_t shift = 0;

	if (n == e->w->b.nr_ops || e->w->uses[i] != 1 || e->w->b.op[n].opc != IR_ADD ||
	    e->w->b.op[n].type != o->type)
		return lower_int2(e, i, r);
	const struct ir_op *add = &e->w->b.op[n];
	ir_val other = add->a == i ? add->b : add->a;

	if ((add->a != i && add->b != i) || is_const(e, other) ||
	    (o->opc == IR_SHL && !immediate(e, o->b, o->type, &shift)))
		return lower_int2(e, i, r);
	uint16_t a = slot_of(e, o->a), b = o->opc == IR_MUL ? slot_of(e, o->b) : 0,
		 c = slot_of(e, other);
	union uop *u;

	if (o->opc == IR_SHL) {
		u = emit(e, o->type == IR_I32 ? UOP_ADDSHL32 : UOP_ADDSHL64);
		u->a = c;
		u->b = a;
		u->imm = shift & (o->type == IR_I32 ? 31 : 63);
	} else {
		u = emit(e, o->type == IR_I32 ? UOP_MADD32 : UOP_MADD64);
		u->a = a;
		u->b = b;
		u->c = c;
	}
	u->d = e->loc[n];
	e->w->dead[n] = true;
	return true;
}

static bool lower_int3(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b), c = slot_of(e, o->c);
	union uop *u = emit(e, width_id(r, o));

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = e->loc[i];
	u->imm = o->opc == IR_CRC32 ? o->imm | (o->aux << 8) : o->imm;
	return true;
}

static bool lower_extend(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	bool wide = o->type == IR_I64, sign = o->opc == IR_SEXT;
	unsigned int id;

	if (o->imm == 8)
		id = sign ? (wide ? UOP_SEXT864 : UOP_SEXT832) : UOP_ZEXT8;
	else if (o->imm == 16)
		id = sign ? (wide ? UOP_SEXT1664 : UOP_SEXT1632) : UOP_ZEXT16;
	else
		id = sign && wide ? UOP_SEXT3264 : UOP_MOV32;
	emit_copy(e, id, e->loc[i], slot_of(e, o->a));
	return true;
}

/* --- flags --- */

static const struct {
	uint16_t rr[2], ri[2];
} cmp_branch[16] = {
#define ROW(cc, expr)                                        \
	[IR_##cc] = {{UOP_CMPB_##cc##32, UOP_CMPB_##cc##64}, \
		     {UOP_CMPBI_##cc##32, UOP_CMPBI_##cc##64}},
	BRANCH_CONDS(ROW)
#undef ROW
};

static bool lower_count(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	union uop *u = emit(e, UOP_COUNT);

	u->a = (uint16_t)e->w->b.op[i].imm;
	u->imm = e->w->b.op[i].aux;
	return true;
}

/* A comparison whose flags go to PSTATE and decide the branch right after it. */
static bool lower_cmp(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	unsigned int n = next_emitting(e, i), counted = 0;
	int32_t imm = 0;
	bool has_imm = immediate(e, o->b, o->type, &imm);

	/* Where branches are counted, that stands between the two, and may as well come first. */
	if (n < e->w->b.nr_ops && e->w->b.op[n].opc == IR_COUNT) {
		counted = n;
		n = next_emitting(e, n);
	}
	const struct ir_op *br = &e->w->b.op[n];

	if (n == e->w->b.nr_ops || br->opc != IR_BCC || br->a != i || e->loc[i] != CPU_SLOT(nzcv) ||
	    !cmp_branch[br->aux].rr[0] || (has_imm && (imm < 0 || imm > UINT16_MAX)))
		return lower_int2(e, i, r);
	if (counted) {
		lower_count(e, counted, NULL);
		e->w->dead[counted] = true;
	}
	bool wide = o->type == IR_I64;
	uint16_t a = slot_of(e, o->a), b = has_imm ? (uint16_t)imm : slot_of(e, o->b);
	union uop *u =
		emit(e, has_imm ? cmp_branch[br->aux].ri[wide] : cmp_branch[br->aux].rr[wide]);

	u->a = a;
	u->b = b;
	u->c = retired(e, br);
	u->imm = br->imm;
	emit_exit(e, br->imm);
	e->w->dead[n] = true;
	return true;
}

static bool lower_fsel(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b);
	union uop *u = emit(e, UOP_FSEL);

	u->a = a;
	u->b = COND_MASK(o->aux);
	u->c = b;
	u->d = e->loc[i];
	u->imm = (int32_t)((uint32_t)o->imm << 28);
	return true;
}

static bool lower_sel(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b), c = slot_of(e, o->c);
	union uop *u = emit(e, width_id(r, o));

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = e->loc[i];
	u->imm = COND_MASK(o->aux);
	return true;
}

/* --- memory --- */

enum { MODE_IMM, MODE_X, MODE_UX, MODE_SX };

static unsigned int address_mode(const struct ir_op *o, const struct mem_desc *d)
{
	return o->b == IR_NONE     ? MODE_IMM
	       : d->index_ext == 1 ? MODE_UX
	       : d->index_ext == 2 ? MODE_SX
				   : MODE_X;
}

/* The rows of LOAD_KINDS, STORE_KINDS and ORDERED_KINDS by name. */
enum load_kind {
	LOAD_ANY, /* only the general handler serves it */
#define KIND(n, ...) LOAD_##n,
	LOAD_KINDS(KIND)
#undef KIND
		NR_LOAD_KINDS
};

static enum load_kind load_kind(const struct mem_desc *d)
{
	static const uint8_t vectors[5] = {LOAD_V8, LOAD_V16, LOAD_V32, LOAD_V64, LOAD_V128};
	/* By sign, 64-bit result, and size. */
	static const uint8_t integers[2][2][5] = {
		{{LOAD_U8, LOAD_U16, LOAD_U32, LOAD_U64}, {LOAD_U8, LOAD_U16, LOAD_U32, LOAD_U64}},
		{{LOAD_S8W, LOAD_S16W, LOAD_U32, LOAD_U64},
		 {LOAD_S8X, LOAD_S16X, LOAD_S32X, LOAD_U64}},
	};

	return d->vec ? vectors[d->size_log2] : integers[d->sign][d->reg64][d->size_log2];
}

static const uint16_t load_ids[NR_LOAD_KINDS][4] = {
#define ROW(n, ...) [LOAD_##n] = {UOP_LD##n, UOP_LD##n##_X, UOP_LD##n##_UX, UOP_LD##n##_SX},
	LOAD_KINDS(ROW)
#undef ROW
};
static const uint16_t load_unpriv_ids[NR_LOAD_KINDS] = {
#define ROW(n, ...) [LOAD_##n] = UOP_LDT##n,
	LOAD_KINDS(ROW)
#undef ROW
};
/* By the logarithm of the size: the lists name sizes in bits. */
#define SIZE_LOG2(bits) (__builtin_ctz(bits) - 3)
static const uint16_t store_ids[5][4] = {
#define ROW(n, ...) [SIZE_LOG2(n)] = {UOP_ST##n, UOP_ST##n##_X, UOP_ST##n##_UX, UOP_ST##n##_SX},
	STORE_KINDS(ROW)
#undef ROW
};
static const uint16_t store_unpriv_ids[5] = {
#define ROW(n, ...) [SIZE_LOG2(n)] = UOP_STT##n,
	STORE_KINDS(ROW)
#undef ROW
};
static const uint16_t ordered_load_ids[4] = {
#define ROW(n, ...) [SIZE_LOG2(n)] = UOP_LDA##n,
	ORDERED_KINDS(ROW)
#undef ROW
};
static const uint16_t ordered_store_ids[4] = {
#define ROW(n, ...) [SIZE_LOG2(n)] = UOP_STL##n,
	ORDERED_KINDS(ROW)
#undef ROW
};
static const uint16_t rmw_ids[4] = {
#define ROW(n, ...) [SIZE_LOG2(n)] = UOP_RMW##n,
	ORDERED_KINDS(ROW)
#undef ROW
};
static const uint16_t cas_ids[4] = {
#define ROW(n, ...) [SIZE_LOG2(n)] = UOP_CAS##n,
	ORDERED_KINDS(ROW)
#undef ROW
};

/* Must the inline TLB probe leave this access alone? */
static bool general_only(const struct exec_compiler *e, const struct mem_desc *d)
{
	return d->be || d->excl || (e->w->b.mode & CPU_MODE_ALIGN);
}

static unsigned int load_pair_id(const struct mem_desc *d)
{
	if (d->vec)
		return d->size_log2 == 2   ? UOP_LDPV32
		       : d->size_log2 == 3 ? UOP_LDPV64
					   : UOP_LDPV128;
	return d->size_log2 == 3 ? UOP_LDPU64 : d->sign ? UOP_LDPS32X : UOP_LDPU32;
}

static bool lower_load_any(struct exec_compiler *e, unsigned int i, uint16_t second)
{
	const struct ir_op *o = &e->w->b.op[i];
	const struct mem_desc *d = &e->w->b.mem[o->aux];
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b);
	union uop *u = emit(e, UOP_LD_ANY), *x = extend(e);

	u->a = a;
	u->c = e->loc[i];
	u->d = new_row(e, o);
	u->imm = d->offset;
	x->more[0] = b;
	x->more[1] = second;
	return true;
}

static bool lower_load(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	const struct mem_desc *d = &e->w->b.mem[o->aux];
	unsigned int mode = address_mode(o, d);
	enum load_kind kind = load_kind(d);
	uint16_t second = EXEC_SLOT_DISCARD;
	unsigned int id;

	if (d->pair && i + 1 < e->w->b.nr_ops && e->w->b.op[i + 1].opc == IR_LDHI &&
	    !e->w->dead[i + 1])
		second = e->loc[i + 1];
	if (general_only(e, d) || kind == LOAD_ANY ||
	    (mode != MODE_IMM && (d->unpriv || d->order)) || (d->pair && (d->order || d->unpriv)) ||
	    (d->order && (d->vec || d->sign)))
		return lower_load_any(e, i, second);
	if (d->pair)
		id = load_pair_id(d);
	else if (d->unpriv)
		id = load_unpriv_ids[kind];
	else
		id = d->order ? ordered_load_ids[d->size_log2] : load_ids[kind][mode];
	uint16_t a = slot_of(e, o->a), b = d->pair ? second : slot_of(e, o->b);
	union uop *u = emit(e, id);

	u->a = a;
	u->b = b;
	u->c = e->loc[i];
	u->d = new_row(e, o);
	u->imm = mode == MODE_IMM ? d->offset : d->scale;
	return true;
}

/* The second result is written by the load itself. */
static bool lower_nothing(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	return true;
}

static bool lower_store(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	const struct mem_desc *d = &e->w->b.mem[o->aux];
	unsigned int mode = d->pair ? MODE_IMM : address_mode(o, d);
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b), c = slot_of(e, o->c);
	bool any = general_only(e, d) || (mode != MODE_IMM && (d->unpriv || d->order)) ||
		   (d->pair && (d->order || d->unpriv)) || (d->order && d->vec);
	unsigned int id;

	if (any)
		id = UOP_ST_ANY;
	else if (d->pair)
		id = d->size_log2 == 2 ? UOP_STP32 : d->size_log2 == 3 ? UOP_STP64 : UOP_STP128;
	else if (d->unpriv)
		id = store_unpriv_ids[d->size_log2];
	else
		id = d->order ? ordered_store_ids[d->size_log2] : store_ids[d->size_log2][mode];
	union uop *u = emit(e, id);

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = new_row(e, o);
	u->imm = mode == MODE_IMM ? d->offset : d->scale;
	if (any) {
		u->imm = d->offset;
		extend(e)->more[0] = b;
	}
	return true;
}

static bool lower_stx(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b), c = slot_of(e, o->c);

	union uop *u = emit(e, UOP_STX), *x = extend(e);

	u->a = a;
	u->c = c;
	u->d = new_row(e, o);
	u->imm = e->w->b.mem[o->aux].offset;
	x->more[0] = b;
	x->more[1] = e->loc[i];
	return true;
}

static bool lower_rmw(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	bool cas = o->opc == IR_CAS;
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b), c = slot_of(e, o->c);

	const struct mem_desc *d = &e->w->b.mem[o->aux];
	unsigned int any = cas ? UOP_CAS_ANY : UOP_RMW_ANY;
	union uop *u = emit(e, d->be ? any : (cas ? cas_ids : rmw_ids)[d->size_log2]);

	u->a = a;
	u->b = cas ? b : e->loc[i];
	u->c = c;
	u->d = new_row(e, o);
	u->imm = cas ? e->loc[i] : o->imm;
	return true;
}

static bool lower_checked(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a);
	union uop *u = emit(e, r->u64);

	u->a = a;
	u->d = new_row(e, o);
	u->imm = o->imm;
	return true;
}

static bool lower_simple(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	union uop *u = emit(e, r->u64);

	u->imm = e->w->b.op[i].aux;
	return true;
}

static bool lower_call(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b), c = slot_of(e, o->c);
	union uop *u = emit(e, UOP_CALL), *x = extend(e);

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = new_row(e, o);
	x->fn = e->w->b.helpers[o->imm].fn;
	x->result = e->loc[i] == NO_LOC ? EXEC_SLOT_DISCARD : e->loc[i];
	/*
	 * A helper may look at the count of retired instructions: what came before it in the block
	 * is counted first.
	 */
	x->counted = (uint16_t)(o->insn - e->counted);
	e->counted = o->insn;
	e->rows[u->d].retired = 0;
	return true;
}

/* --- ways out --- */

static bool lower_side(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a);

	union uop *u = emit(e, width_id(r, o));

	u->a = a;
	u->b = o->opc == IR_BCC ? COND_MASK(o->aux) : o->aux;
	u->c = retired(e, o);
	u->imm = o->imm;
	emit_exit(e, o->imm);
	return true;
}

static bool lower_jump(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];

	union uop *u = emit(e, UOP_JUMP);

	u->c = retired(e, o);
	u->imm = o->imm;
	emit_exit(e, o->imm);
	return true;
}

static bool lower_jump_ind(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a);

	union uop *u = emit(e, UOP_JUMP_IND);

	u->a = a;
	u->c = retired(e, o);
	return true;
}

static bool lower_exception(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	union uop *u = emit(e, UOP_EXCEPTION);

	u->a = (uint16_t)e->w->b.insn_offset[o->insn + (o->aux ? 1 : 0)];
	u->c = (uint16_t)(o->insn + (o->aux ? 1 : 0) - e->counted);
	u->imm = o->imm;
	return true;
}

static bool lower_leave(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	union uop *u = emit(e, UOP_LEAVE);
	bool stays = o->aux == IR_LEAVE_SMC;

	u->a = o->aux;
	u->b = (uint16_t)e->w->b.insn_offset[o->insn + !stays];
	/* Where PC stays at the instruction, whoever serves the exit completes and counts it. */
	u->c = (uint16_t)(retired(e, o) - stays);
	u->imm = o->imm;
	return true;
}

/* --- vectors --- */

static bool lower_vec(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	vec_fn *fn = vec_function(o->opc, IR_LANE(o->aux), IR_SHAPE(o->aux));
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b), c = slot_of(e, o->c);

	if (!fn)
		return false;
	union uop *u = emit(e, UOP_VEC);

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = e->loc[i];
	u->imm = o->imm;
	extend(e)->vec = fn;
	return true;
}

static bool lower_vec_inline(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];

	if (IR_SHAPE(o->aux) != IR_FULL)
		return lower_vec(e, i, r);
	return lower_int3(e, i, r);
}

/* Scalar single and double arithmetic in the default FP mode has handlers of its own. */
static bool lower_fp2(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];

	if (IR_SHAPE(o->aux) != IR_SCALAR || IR_LANE(o->aux) < IR_S ||
	    (e->w->b.mode & CPU_MODE_FP_DYNAMIC))
		return lower_vec(e, i, r);
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b);
	union uop *u = emit(e, IR_LANE(o->aux) == IR_S ? r->u32 : r->u64);

	u->a = a;
	u->b = b;
	u->d = e->loc[i];
	return true;
}

static bool lower_vconst(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	union uop *u = emit(e, UOP_VCONST);

	u->d = e->loc[i];
	u->imm = IR_SHAPE(e->w->b.op[i].aux);
	extend(e)->k = e->w->b.op[i].k;
	return true;
}

/*
 * Lane operations: aux goes along in b (lane | shape << 4), the type's width in c unless c is an
 * operand.
 */
static bool lower_lane(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	static const uint16_t get[4] = {UOP_VGET8, UOP_VGET16, UOP_VGET32, UOP_VGET64};
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a), b = o->b == IR_NONE ? o->aux : slot_of(e, o->b);
	union uop *u = emit(e, o->opc == IR_VGETU ? get[IR_LANE(o->aux)] : r->u64);

	u->a = a;
	u->b = b;
	u->c = o->b == IR_NONE ? o->type == IR_I64 : IR_LANE(o->aux);
	u->d = e->loc[i];
	u->imm = o->imm;
	return true;
}

static bool lower_fcmp(struct exec_compiler *e, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &e->w->b.op[i];
	uint16_t a = slot_of(e, o->a), b = slot_of(e, o->b);
	union uop *u = emit(e, UOP_FCMP);

	u->a = a;
	u->b = b;
	u->c = IR_LANE(o->aux);
	u->d = e->loc[i];
	u->imm = o->imm;
	return true;
}

#define W2(n)   UOP_##n##32, UOP_##n##64
#define W2I(n)  UOP_##n##32, UOP_##n##64, UOP_##n##I32, UOP_##n##I64
#define ONLY(n) UOP_##n, UOP_##n

static const struct lower_row rows[IR_NR_OPS] = {
#define ROW(name, expr) [IR_##name] = {lower_int2, W2I(name)},
	INT2_OPS(ROW)
#undef ROW
		[IR_CONST] = {lower_const},
	[IR_PCREL] = {lower_pcrel},
	[IR_GET] = {lower_get},
	[IR_PUT] = {lower_put},
	[IR_MOV] = {lower_mov},
	[IR_ADC] = {lower_int3, W2(ADC)},
	[IR_SBC] = {lower_int3, W2(SBC)},
	[IR_SMULH] = {lower_int2, ONLY(SMULH64)},
	[IR_UMULH] = {lower_int2, ONLY(UMULH64)},
	[IR_EXTR] = {lower_int3, W2(EXTR)},
	[IR_CLZ] = {lower_int1, W2(CLZ)},
	[IR_CLS] = {lower_int1, W2(CLS)},
	[IR_RBIT] = {lower_int1, W2(RBIT)},
	[IR_BSWAP] = {lower_int1, W2(BSWAP)},
	[IR_REV16] = {lower_int1, W2(REV16)},
	[IR_REV32] = {lower_int1, UOP_BSWAP32, UOP_REV3264},
	[IR_SEXT] = {lower_extend},
	[IR_ZEXT] = {lower_extend},
	[IR_UBFX] = {lower_int1, W2(UBFX)},
	[IR_SBFX] = {lower_int1, W2(SBFX)},
	[IR_UBFIZ] = {lower_int1, W2(UBFIZ)},
	[IR_SBFIZ] = {lower_int1, W2(SBFIZ)},
	[IR_BFI] = {lower_int3, W2(BFI)},
	[IR_CRC32] = {lower_int3, ONLY(CRC32)},
	[IR_CMN] = {lower_int2, W2(CMN), UOP_CMNI32, UOP_CMNI64},
	[IR_CMP] = {lower_cmp, W2(CMP), UOP_CMPI32, UOP_CMPI64},
	[IR_ADCF] = {lower_int3, W2(ADCF)},
	[IR_SBCF] = {lower_int3, W2(SBCF)},
	[IR_TST] = {lower_int1, W2(TST)},
	[IR_NZCV] = {lower_int1, ONLY(NZCV)},
	[IR_PACK] = {lower_int1, ONLY(PACK)},
	[IR_FSEL] = {lower_fsel},
	[IR_SEL] = {lower_sel, W2(SEL)},
	[IR_VSEL] = {lower_sel, ONLY(VSEL)},
	[IR_FCMP] = {lower_fcmp},
	[IR_LD] = {lower_load},
	[IR_LDHI] = {lower_nothing},
	[IR_ST] = {lower_store},
	[IR_STX] = {lower_stx},
	[IR_RMW] = {lower_rmw},
	[IR_CAS] = {lower_rmw},
	[IR_PROBE_R] = {lower_checked, ONLY(PROBE_R)},
	[IR_PROBE_W] = {lower_checked, ONLY(PROBE_W)},
	[IR_SPCHECK] = {lower_checked, ONLY(SPCHECK)},
	[IR_ZVA] = {lower_checked, ONLY(ZVA)},
	[IR_CLREX] = {lower_simple, ONLY(CLREX)},
	[IR_FENCE] = {lower_simple, ONLY(FENCE)},
	[IR_COUNT] = {lower_count},
	[IR_STEP] = {lower_simple, ONLY(STEP)},
	[IR_CALL] = {lower_call},
	[IR_BCC] = {lower_side, ONLY(BCC)},
	[IR_CBZ] = {lower_side, W2(CBZ)},
	[IR_CBNZ] = {lower_side, W2(CBNZ)},
	[IR_TBZ] = {lower_side, ONLY(TBZ)},
	[IR_TBNZ] = {lower_side, ONLY(TBNZ)},
	[IR_JUMP] = {lower_jump},
	[IR_JUMP_IND] = {lower_jump_ind},
	[IR_EXCEPTION] = {lower_exception},
	[IR_LEAVE] = {lower_leave},
	[IR_VCONST] = {lower_vconst},
	[IR_VGETU] = {lower_lane},
	[IR_VGETS] = {lower_lane, ONLY(VGETS)},
	[IR_VSET] = {lower_lane, ONLY(VSET)},
	[IR_VDUP] = {lower_lane, ONLY(VDUP)},
	[IR_VFROM] = {lower_lane, ONLY(VFROM)},
	[IR_VDUPL] = {lower_lane, ONLY(VDUPL)},
	[IR_VINSL] = {lower_lane, ONLY(VINSL)},
	[IR_VZEXT] = {lower_lane, ONLY(VZEXT)},
	[IR_FTOI] = {lower_lane, ONLY(FTOI)},
	[IR_ITOF] = {lower_lane, ONLY(ITOF)},
	[IR_V_AND] = {lower_vec_inline, ONLY(VAND)},
	[IR_V_ORR] = {lower_vec_inline, ONLY(VORR)},
	[IR_V_EOR] = {lower_vec_inline, ONLY(VEOR)},
	[IR_V_FADD] = {lower_fp2, UOP_FADD_F32, UOP_FADD_F64},
	[IR_V_FSUB] = {lower_fp2, UOP_FSUB_F32, UOP_FSUB_F64},
	[IR_V_FMUL] = {lower_fp2, UOP_FMUL_F32, UOP_FMUL_F64},
	[IR_V_FDIV] = {lower_fp2, UOP_FDIV_F32, UOP_FDIV_F64},
};

/*
 * SHL and MUL rows go through the fusing function; designated rows above come from the list of all
 * two-operand ops.
 */
static bool lower_op(struct exec_compiler *e, unsigned int i)
{
	const struct ir_op *o = &e->w->b.op[i];
	const struct lower_row *r = &rows[o->opc];

	if (o->opc == IR_SHL || o->opc == IR_MUL)
		return lower_feeds_add(e, i, r);
	if (o->opc > IR_VEC_FIRST && !r->fn)
		return lower_vec(e, i, r);
	return r->fn && r->fn(e, i, r);
}

bool exec_lower(struct exec_compiler *e)
{
	e->nr_code = 0;
	e->nr_rows = 0;
	e->nr_exits = 0;
	e->counted = 0;
	e->full = false;
	for (unsigned int i = 0; i < e->w->b.nr_ops; i++) {
		if (e->nr_code > EXEC_MAX_UOPS - 16 || e->nr_exits == EXEC_MAX_EXITS)
			return false;
		if (e->w->dead[i])
			continue;
		if (!lower_op(e, i) || e->full)
			return false;
	}
	return true;
}
