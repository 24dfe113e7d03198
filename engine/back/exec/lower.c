/* SPDX-License-Identifier: MIT */
/*
 * Lowering: placed IR to the portable executor's micro-operations.
 *
 * One row an IR op says which function lowers it and to which micro-operations. Constants become
 * immediates where a handler has one. Neighbours are fused only when nothing is emitted between
 * them, since a temp's slot may be reused right after its last use.
 */
#include <string.h>

#include "engine/front/a64/a64.h"
#include "engine/back/exec/exec.h"
#include "engine/pass/pass.h"

#define SCRATCH_SLOT(n) ((uint16_t)(offsetof(struct cpu, scratch[0]) + 16 * (n)))

struct lower_row {
	bool (*fn)(struct translator *t, unsigned int i, const struct lower_row *r);
	uint16_t u32, u64;     /* micro-operations for I32 and I64 */
	uint16_t imm32, imm64; /* with b an immediate; 0: none */
};

static union uop *emit(struct translator *t, unsigned int id)
{
	union uop *u = &t->code[t->nr_code++];

	memset(u, 0, sizeof(*u));
	u->handler = exec_handlers()[id];
	return u;
}

static union uop *extend(struct translator *t)
{
	union uop *u = &t->code[t->nr_code++];

	memset(u, 0, sizeof(*u));
	return u;
}

/* The link of the exit just emitted. */
static void emit_link(struct translator *t)
{
	t->links[t->nr_links++] = (uint16_t)t->nr_code;
	extend(t);
}

static bool is_const(const struct translator *t, ir_val v)
{
	return v != IR_NONE && t->b.op[v].opc == IR_CONST;
}

/* Is @v a constant that an immediate field can hold (sign-extended from 32 bits)? */
static bool immediate(const struct translator *t, ir_val v, unsigned int type, int32_t *imm)
{
	if (!is_const(t, v) || t->plain)
		return false;
	uint64_t k = t->b.op[v].k;

	if (type == IR_I64 && (int64_t)k != (int32_t)k)
		return false;
	*imm = (int32_t)k;
	return true;
}

static void emit_const(struct translator *t, uint16_t slot, uint64_t k)
{
	bool small = (int64_t)k == (int32_t)k;
	union uop *u = emit(t, small ? UOP_LDI : UOP_LDI64);

	u->d = slot;
	if (small)
		u->imm = (int32_t)k;
	else
		extend(t)->k = k;
}

/* The slot of an operand; a constant that was not placed is materialised here, once a block. */
static uint16_t slot_of(struct translator *t, ir_val v)
{
	if (v == IR_NONE)
		return EXEC_SLOT_ZERO;
	if (t->loc[v] != NO_LOC)
		return t->loc[v];
	if (t->b.op[v].k == 0 || t->scratch_used >= CPU_SCRATCH_SLOTS) {
		t->full |= t->b.op[v].k != 0;
		t->loc[v] = EXEC_SLOT_ZERO;
		return EXEC_SLOT_ZERO;
	}
	t->loc[v] = SCRATCH_SLOT(t->scratch_used++);
	emit_const(t, t->loc[v], t->b.op[v].k);
	return t->loc[v];
}

static unsigned int width_id(const struct lower_row *r, const struct ir_op *o)
{
	return o->type == IR_I32 ? r->u32 : r->u64;
}

/* Instructions retired when a path is left at @o. */
static uint16_t retired(const struct translator *t, const struct ir_op *o)
{
	return (uint16_t)(o->insn + 1 - t->counted);
}

static uint16_t new_row(struct translator *t, const struct ir_op *o)
{
	struct tb_row *row = &t->rows[t->nr_rows];

	memset(row, 0, sizeof(*row));
	row->insn = o->insn;
	row->retired = (uint16_t)(o->insn - t->counted);
	if (pass_props(o) & IRP_MEM)
		row->mem = t->b.mem[o->aux];
	return (uint16_t)t->nr_rows++;
}

/*
 * The next op after @i that emits something, or nr_ops. Whatever is fused is found by this, so that
 * a plain block has none.
 */
static unsigned int next_emitting(const struct translator *t, unsigned int i)
{
	if (t->plain)
		return t->b.nr_ops;
	for (i++; i < t->b.nr_ops; i++) {
		const struct ir_op *o = &t->b.op[i];

		if (t->dead[i] || (o->opc == IR_PUT && t->elided[i]) ||
		    (o->opc == IR_CONST && t->loc[i] == NO_LOC) ||
		    (o->opc == IR_GET && t->loc[i] == o->imm))
			continue;
		break;
	}
	return i;
}

/* --- constants and state --- */

static bool lower_const(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];

	if (t->loc[i] != NO_LOC)
		emit_const(t, t->loc[i], o->k);
	return true;
}

static bool lower_pcrel(struct translator *t, unsigned int i, const struct lower_row *r)
{
	emit(t, UOP_PCREL)->d = t->loc[i];
	extend(t)->k = t->b.op[i].k;
	return true;
}

static void emit_copy(struct translator *t, unsigned int id, uint16_t d, uint16_t a)
{
	union uop *u = emit(t, id);

	u->d = d;
	u->a = a;
}

static unsigned int copy_id(unsigned int type)
{
	return type == IR_V128 ? UOP_MOV128 : type == IR_I64 ? UOP_MOV64 : UOP_MOV32;
}

static bool lower_get(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];

	if (t->loc[i] != o->imm)
		emit_copy(t, copy_id(o->type), t->loc[i], (uint16_t)o->imm);
	return true;
}

/*
 * Slots narrower than 64 bits (nzcv and PSTATE bytes) are PUT by their own size through row-less
 * stores below.
 */
static bool lower_put(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	unsigned int have = t->b.op[o->a].type;

	if (t->elided[i])
		return true;
	if (o->type == IR_FLAGS)
		emit_copy(t, UOP_PUT32, (uint16_t)o->imm, slot_of(t, o->a));
	else if (is_const(t, o->a))
		emit_const(t, (uint16_t)o->imm,
			   o->type == IR_I32 ? (uint32_t)t->b.op[o->a].k : t->b.op[o->a].k);
	else
		emit_copy(t, o->type == IR_I64 && have == IR_I32 ? UOP_MOV32 : copy_id(o->type),
			  (uint16_t)o->imm, slot_of(t, o->a));
	return true;
}

/* --- integers --- */

static bool lower_int1(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a);
	union uop *u = emit(t, width_id(r, o));

	u->a = a;
	u->d = t->loc[i];
	u->imm = o->imm;
	return true;
}

static bool lower_mov(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	bool narrow = o->type == IR_I32 || t->b.op[o->a].type == IR_I32;

	emit_copy(t, narrow ? UOP_MOV32 : UOP_MOV64, t->loc[i], slot_of(t, o->a));
	return true;
}

static bool lower_int2(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	int32_t imm = 0;
	bool has_imm = r->imm32 && immediate(t, o->b, o->type, &imm);
	uint16_t a = slot_of(t, o->a), b = has_imm ? 0 : slot_of(t, o->b);
	union uop *u =
		emit(t, has_imm ? (o->type == IR_I32 ? r->imm32 : r->imm64) : width_id(r, o));

	u->a = a;
	u->b = b;
	u->d = t->loc[i];
	u->imm = has_imm ? imm : o->imm;
	return true;
}

/* SHL by a constant or MUL whose only user is the ADD right after it. */
static bool lower_feeds_add(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	unsigned int n = next_emitting(t, i);
	int32_t shift = 0;

	if (n == t->b.nr_ops || t->uses[i] != 1 || t->b.op[n].opc != IR_ADD ||
	    t->b.op[n].type != o->type)
		return lower_int2(t, i, r);
	const struct ir_op *add = &t->b.op[n];
	ir_val other = add->a == i ? add->b : add->a;

	if ((add->a != i && add->b != i) || is_const(t, other) ||
	    (o->opc == IR_SHL && !immediate(t, o->b, o->type, &shift)))
		return lower_int2(t, i, r);
	uint16_t a = slot_of(t, o->a), b = o->opc == IR_MUL ? slot_of(t, o->b) : 0,
		 c = slot_of(t, other);
	union uop *u;

	if (o->opc == IR_SHL) {
		u = emit(t, o->type == IR_I32 ? UOP_ADDSHL32 : UOP_ADDSHL64);
		u->a = c;
		u->b = a;
		u->imm = shift & (o->type == IR_I32 ? 31 : 63);
	} else {
		u = emit(t, o->type == IR_I32 ? UOP_MADD32 : UOP_MADD64);
		u->a = a;
		u->b = b;
		u->c = c;
	}
	u->d = t->loc[n];
	t->dead[n] = true;
	return true;
}

static bool lower_int3(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b), c = slot_of(t, o->c);
	union uop *u = emit(t, width_id(r, o));

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = t->loc[i];
	u->imm = o->opc == IR_CRC32 ? o->imm | (o->aux << 8) : o->imm;
	return true;
}

static bool lower_extend(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	bool wide = o->type == IR_I64, sign = o->opc == IR_SEXT;
	unsigned int id;

	if (o->imm == 8)
		id = sign ? (wide ? UOP_SEXT864 : UOP_SEXT832) : UOP_ZEXT8;
	else if (o->imm == 16)
		id = sign ? (wide ? UOP_SEXT1664 : UOP_SEXT1632) : UOP_ZEXT16;
	else
		id = sign && wide ? UOP_SEXT3264 : UOP_MOV32;
	emit_copy(t, id, t->loc[i], slot_of(t, o->a));
	return true;
}

/* --- flags --- */

static void count_branch(struct translator *t)
{
	if (t->b.mode & CPU_MODE_PMU_BR) {
		union uop *u = emit(t, UOP_COUNT);

		u->a = CPU_SLOT(pmu.br_retired);
		u->imm = 1;
	}
}

static const struct {
	uint16_t rr[2], ri[2];
} cmp_branch[16] = {
#define ROW(cc, expr)                                        \
	[IR_##cc] = {{UOP_CMPB_##cc##32, UOP_CMPB_##cc##64}, \
		     {UOP_CMPBI_##cc##32, UOP_CMPBI_##cc##64}},
	BRANCH_CONDS(ROW)
#undef ROW
};

/* A comparison whose flags go to PSTATE and decide the branch right after it. */
static bool lower_cmp(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	unsigned int n = next_emitting(t, i);
	const struct ir_op *br = &t->b.op[n];
	int32_t imm = 0;
	bool has_imm = immediate(t, o->b, o->type, &imm);

	if (n == t->b.nr_ops || br->opc != IR_BCC || br->a != i || t->loc[i] != CPU_SLOT(nzcv) ||
	    !cmp_branch[br->aux].rr[0] || (has_imm && (imm < 0 || imm > UINT16_MAX)))
		return lower_int2(t, i, r);
	count_branch(t);
	bool wide = o->type == IR_I64;
	uint16_t a = slot_of(t, o->a), b = has_imm ? (uint16_t)imm : slot_of(t, o->b);
	union uop *u =
		emit(t, has_imm ? cmp_branch[br->aux].ri[wide] : cmp_branch[br->aux].rr[wide]);

	u->a = a;
	u->b = b;
	u->c = retired(t, br);
	u->imm = br->imm;
	emit_link(t);
	t->dead[n] = true;
	return true;
}

static bool lower_fsel(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b);
	union uop *u = emit(t, UOP_FSEL);

	u->a = a;
	u->b = COND_MASK(o->aux);
	u->c = b;
	u->d = t->loc[i];
	u->imm = (int32_t)((uint32_t)o->imm << 28);
	return true;
}

static bool lower_sel(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b), c = slot_of(t, o->c);
	union uop *u = emit(t, width_id(r, o));

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = t->loc[i];
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

/* Index into the *_KINDS lists, -1: only the general handler serves it. */
static int load_kind(const struct mem_desc *d)
{
	static const int8_t plain[2][2][5] = {
		/* unsigned, to 32 and 64 bits */
		{{0, 3, 6, 8, -1}, {0, 3, 6, 8, -1}},
		/* signed */
		{{1, 4, 6, 8, -1}, {2, 5, 7, 8, -1}},
	};

	return d->vec ? 9 + d->size_log2 : plain[d->sign][d->reg64][d->size_log2];
}

static const uint16_t load_ids[14][4] = {
#define ROW(n, ...) {UOP_LD##n, UOP_LD##n##_X, UOP_LD##n##_UX, UOP_LD##n##_SX},
	LOAD_KINDS(ROW)
#undef ROW
};
static const uint16_t load_unpriv_ids[14] = {
#define ROW(n, ...) UOP_LDT##n,
	LOAD_KINDS(ROW)
#undef ROW
};
static const uint16_t store_ids[5][4] = {
#define ROW(n, ...) {UOP_ST##n, UOP_ST##n##_X, UOP_ST##n##_UX, UOP_ST##n##_SX},
	STORE_KINDS(ROW)
#undef ROW
};
static const uint16_t store_unpriv_ids[5] = {
#define ROW(n, ...) UOP_STT##n,
	STORE_KINDS(ROW)
#undef ROW
};
static const uint16_t ordered_load_ids[4] = {
#define ROW(n, ...) UOP_LDA##n,
	ORDERED_KINDS(ROW)
#undef ROW
};
static const uint16_t ordered_store_ids[4] = {
#define ROW(n, ...) UOP_STL##n,
	ORDERED_KINDS(ROW)
#undef ROW
};
static const uint16_t rmw_ids[4] = {
#define ROW(n, ...) UOP_RMW##n,
	ORDERED_KINDS(ROW)
#undef ROW
};
static const uint16_t cas_ids[4] = {
#define ROW(n, ...) UOP_CAS##n,
	ORDERED_KINDS(ROW)
#undef ROW
};

/* Must the inline TLB probe leave this access alone? */
static bool general_only(const struct translator *t, const struct mem_desc *d)
{
	return d->be || d->excl || (t->b.mode & CPU_MODE_ALIGN);
}

static void count_access(struct translator *t, unsigned int n)
{
	if (t->b.mode & CPU_MODE_PMU_BR) {
		union uop *u = emit(t, UOP_COUNT);

		u->a = CPU_SLOT(pmu.mem_access);
		u->imm = (int32_t)n;
	}
}

static unsigned int load_pair_id(const struct mem_desc *d)
{
	if (d->vec)
		return d->size_log2 == 2   ? UOP_LDPV32
		       : d->size_log2 == 3 ? UOP_LDPV64
					   : UOP_LDPV128;
	return d->size_log2 == 3 ? UOP_LDPU64 : d->sign ? UOP_LDPS32X : UOP_LDPU32;
}

static bool lower_load_any(struct translator *t, unsigned int i, uint16_t second)
{
	const struct ir_op *o = &t->b.op[i];
	const struct mem_desc *d = &t->b.mem[o->aux];
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b);
	union uop *u = emit(t, UOP_LD_ANY), *x = extend(t);

	u->a = a;
	u->c = t->loc[i];
	u->d = new_row(t, o);
	u->imm = d->offset;
	x->more[0] = b;
	x->more[1] = second;
	return true;
}

static bool lower_load(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	const struct mem_desc *d = &t->b.mem[o->aux];
	unsigned int mode = address_mode(o, d);
	int kind = load_kind(d);
	uint16_t second = EXEC_SLOT_DISCARD;
	unsigned int id;

	if (d->pair && i + 1 < t->b.nr_ops && t->b.op[i + 1].opc == IR_LDHI && !t->dead[i + 1])
		second = t->loc[i + 1];
	count_access(t, 1);
	if (general_only(t, d) || kind < 0 || (mode != MODE_IMM && (d->unpriv || d->order)) ||
	    (d->pair && (d->order || d->unpriv)) || (d->order && (d->vec || d->sign)))
		return lower_load_any(t, i, second);
	if (d->pair)
		id = load_pair_id(d);
	else if (d->unpriv)
		id = load_unpriv_ids[kind];
	else
		id = d->order ? ordered_load_ids[d->size_log2] : load_ids[kind][mode];
	uint16_t a = slot_of(t, o->a), b = d->pair ? second : slot_of(t, o->b);
	union uop *u = emit(t, id);

	u->a = a;
	u->b = b;
	u->c = t->loc[i];
	u->d = new_row(t, o);
	u->imm = mode == MODE_IMM ? d->offset : d->scale;
	return true;
}

/* The second result is written by the load itself. */
static bool lower_nothing(struct translator *t, unsigned int i, const struct lower_row *r)
{
	return true;
}

static bool lower_store(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	const struct mem_desc *d = &t->b.mem[o->aux];
	unsigned int mode = d->pair ? MODE_IMM : address_mode(o, d);
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b), c = slot_of(t, o->c);
	bool any = general_only(t, d) || (mode != MODE_IMM && (d->unpriv || d->order)) ||
		   (d->pair && (d->order || d->unpriv)) || (d->order && d->vec);
	unsigned int id;

	count_access(t, 1);
	if (any)
		id = UOP_ST_ANY;
	else if (d->pair)
		id = d->size_log2 == 2 ? UOP_STP32 : d->size_log2 == 3 ? UOP_STP64 : UOP_STP128;
	else if (d->unpriv)
		id = store_unpriv_ids[d->size_log2];
	else
		id = d->order ? ordered_store_ids[d->size_log2] : store_ids[d->size_log2][mode];
	union uop *u = emit(t, id);

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = new_row(t, o);
	u->imm = mode == MODE_IMM ? d->offset : d->scale;
	if (any) {
		u->imm = d->offset;
		extend(t)->more[0] = b;
	}
	return true;
}

static bool lower_stx(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b), c = slot_of(t, o->c);

	count_access(t, 1);
	union uop *u = emit(t, UOP_STX), *x = extend(t);

	u->a = a;
	u->c = c;
	u->d = new_row(t, o);
	u->imm = t->b.mem[o->aux].offset;
	x->more[0] = b;
	x->more[1] = t->loc[i];
	return true;
}

static bool lower_rmw(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	bool cas = o->opc == IR_CAS;
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b), c = slot_of(t, o->c);

	count_access(t, 1);
	const struct mem_desc *d = &t->b.mem[o->aux];
	unsigned int any = cas ? UOP_CAS_ANY : UOP_RMW_ANY;
	union uop *u = emit(t, d->be ? any : (cas ? cas_ids : rmw_ids)[d->size_log2]);

	u->a = a;
	u->b = cas ? b : t->loc[i];
	u->c = c;
	u->d = new_row(t, o);
	u->imm = cas ? t->loc[i] : o->imm;
	return true;
}

static bool lower_checked(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a);
	union uop *u = emit(t, r->u64);

	u->a = a;
	u->d = new_row(t, o);
	u->imm = o->imm;
	return true;
}

static bool lower_simple(struct translator *t, unsigned int i, const struct lower_row *r)
{
	union uop *u = emit(t, r->u64);

	u->imm = t->b.op[i].aux;
	return true;
}

static bool lower_call(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b), c = slot_of(t, o->c);
	union uop *u = emit(t, UOP_CALL), *x = extend(t);

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = new_row(t, o);
	u->imm = o->imm;
	x->more[0] = t->loc[i] == NO_LOC ? EXEC_SLOT_DISCARD : t->loc[i];
	/*
	 * A helper may look at the count of retired instructions: what came before it in the block
	 * is counted first.
	 */
	x->more[1] = (uint16_t)(o->insn - t->counted);
	t->counted = o->insn;
	t->rows[u->d].retired = 0;
	return true;
}

/* --- ways out --- */

static bool lower_side(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a);

	count_branch(t);
	union uop *u = emit(t, width_id(r, o));

	u->a = a;
	u->b = o->opc == IR_BCC ? COND_MASK(o->aux) : o->aux;
	u->c = retired(t, o);
	u->imm = o->imm;
	emit_link(t);
	return true;
}

static bool lower_jump(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];

	if (o->aux != IR_FALLTHROUGH)
		count_branch(t);
	union uop *u = emit(t, UOP_JUMP);

	u->c = retired(t, o);
	u->imm = o->imm;
	emit_link(t);
	return true;
}

static bool lower_jump_ind(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a);

	count_branch(t);
	union uop *u = emit(t, UOP_JUMP_IND);

	u->a = a;
	u->c = retired(t, o);
	return true;
}

static bool lower_exception(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	union uop *u = emit(t, UOP_EXCEPTION);

	u->a = (uint16_t)(4 * (o->insn + (o->aux ? 1 : 0)));
	u->c = (uint16_t)(o->insn + (o->aux ? 1 : 0) - t->counted);
	u->imm = o->imm;
	return true;
}

static bool lower_leave(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	union uop *u = emit(t, UOP_LEAVE);
	bool stays = o->aux == IR_LEAVE_SMC;

	u->a = o->aux;
	u->b = (uint16_t)(4 * (o->insn + !stays));
	/* One that is left at is completed, and counted, by whoever serves the exit. */
	u->c = (uint16_t)(retired(t, o) - stays);
	u->imm = o->imm;
	return true;
}

/* --- vectors --- */

static bool lower_vec(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	vec_fn *fn = vec_function(o->opc, IR_LANE(o->aux), IR_SHAPE(o->aux));
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b), c = slot_of(t, o->c);

	if (!fn)
		return false;
	union uop *u = emit(t, UOP_VEC);

	u->a = a;
	u->b = b;
	u->c = c;
	u->d = t->loc[i];
	u->imm = o->imm;
	extend(t)->vec = fn;
	return true;
}

static bool lower_vec_inline(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];

	if (IR_SHAPE(o->aux) != IR_FULL)
		return lower_vec(t, i, r);
	return lower_int3(t, i, r);
}

/* Scalar single and double arithmetic in the default FP mode has handlers of its own. */
static bool lower_fp2(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];

	if (IR_SHAPE(o->aux) != IR_SCALAR || IR_LANE(o->aux) < IR_S ||
	    (t->b.mode & CPU_MODE_FP_DYNAMIC))
		return lower_vec(t, i, r);
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b);
	union uop *u = emit(t, IR_LANE(o->aux) == IR_S ? r->u32 : r->u64);

	u->a = a;
	u->b = b;
	u->d = t->loc[i];
	return true;
}

static bool lower_vconst(struct translator *t, unsigned int i, const struct lower_row *r)
{
	union uop *u = emit(t, UOP_VCONST);

	u->d = t->loc[i];
	u->imm = IR_SHAPE(t->b.op[i].aux);
	extend(t)->k = t->b.op[i].k;
	return true;
}

/*
 * Lane operations: aux goes along in b (lane | shape << 4), the type's width in c unless c is an
 * operand.
 */
static bool lower_lane(struct translator *t, unsigned int i, const struct lower_row *r)
{
	static const uint16_t get[4] = {UOP_VGET8, UOP_VGET16, UOP_VGET32, UOP_VGET64};
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a), b = o->b == IR_NONE ? o->aux : slot_of(t, o->b);
	union uop *u = emit(t, o->opc == IR_VGETU ? get[IR_LANE(o->aux)] : r->u64);

	u->a = a;
	u->b = b;
	u->c = o->b == IR_NONE ? o->type == IR_I64 : IR_LANE(o->aux);
	u->d = t->loc[i];
	u->imm = o->imm;
	return true;
}

static bool lower_fcmp(struct translator *t, unsigned int i, const struct lower_row *r)
{
	const struct ir_op *o = &t->b.op[i];
	uint16_t a = slot_of(t, o->a), b = slot_of(t, o->b);
	union uop *u = emit(t, UOP_FCMP);

	u->a = a;
	u->b = b;
	u->c = IR_LANE(o->aux);
	u->d = t->loc[i];
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
	[IR_CLREX] = {lower_simple, ONLY(CLREX)},
	[IR_FENCE] = {lower_simple, ONLY(FENCE)},
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
static bool lower_op(struct translator *t, unsigned int i)
{
	const struct ir_op *o = &t->b.op[i];
	const struct lower_row *r = &rows[o->opc];

	if (o->opc == IR_SHL || o->opc == IR_MUL)
		return lower_feeds_add(t, i, r);
	if (o->opc > IR_VEC_FIRST && !r->fn)
		return lower_vec(t, i, r);
	return r->fn && r->fn(t, i, r);
}

/*
 * Under Software Step the block is one instruction; it is done when the first way out is reached.
 */
static void mark_step(struct translator *t, const struct ir_op *o)
{
	bool leaves = (pass_props(o) & (IRP_SIDE | IRP_END)) && o->opc != IR_EXCEPTION &&
		      !(o->opc == IR_LEAVE && o->aux == IR_LEAVE_ERET);

	if ((pass_props(o) & IRP_MEM) && t->b.mem[o->aux].excl && o->opc == IR_LD)
		t->step_excl = true;
	if (t->stepped || !leaves)
		return;
	emit(t, UOP_STEP)->imm = t->step_excl;
	t->stepped = true;
}

bool pass_lower(struct translator *t)
{
	t->nr_code = 0;
	t->nr_rows = 0;
	t->nr_links = 0;
	t->counted = 0;
	t->stepped = !(t->b.mode & CPU_MODE_STEP);
	t->step_excl = false;
	t->full = false;
	for (unsigned int i = 0; i < t->b.nr_ops; i++) {
		if (t->nr_code > PASS_MAX_UOPS - 16 || t->nr_links == PASS_MAX_LINKS)
			return false;
		if (t->dead[i])
			continue;
		mark_step(t, &t->b.op[i]);
		if (!lower_op(t, i) || t->full)
			return false;
	}
	return true;
}
