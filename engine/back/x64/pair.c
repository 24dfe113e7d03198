/* SPDX-License-Identifier: MIT */
/*
 * Pairs of general registers that a loop only moves from memory to memory, as memcpy() does with
 * LDP and STP, are one vector register each.
 *
 *   %2 = LD %0, %3 = LDHI      %2 = LD.v128 %0
 *   PUT %3 x7, PUT %2 x6       PUT.v128 %2 x6      the slots of x6 and x7, 16 bytes
 *   ST %1 lo=%2 hi=%3          ST %1 %2
 *
 * A slot takes part only if each GET and PUT of it in the block does, always with the same
 * neighbour, and a value only if each of its uses does. The descriptor of the access stays that of
 * two elements, which is what it is for C (rows.c).
 *
 * Only in loops: elsewhere the slots may have been stored one by one just now, and a load of both
 * would wait for them.
 */
#include "engine/back/x64/x64.h"

#define NR_SLOTS 31 /* not SP */
#define NO_SLOT  0xff

enum role { NOT_NAMED, LOW, HIGH, BAD };

struct pairs {
	const struct ir_block *b;
	uint8_t role[NR_SLOTS];
	bool joins[IR_MAX_OPS]; /* of an LD: so far */
	bool changed;
};

static unsigned int slot_x(const struct ir_op *o)
{
	unsigned int n = ((unsigned int)o->imm - CPU_SLOT_X(0)) / 8;

	return o->imm >= CPU_SLOT_X(0) && n < NR_SLOTS ? n : NO_SLOT;
}

static bool moves_two(const struct x64_compiler *g, const struct ir_op *o)
{
	const struct mem_desc *d;

	if ((o->opc != IR_LD && o->opc != IR_ST) || o->type != IR_I64)
		return false;
	d = &g->w->b.mem[o->aux];
	return d->pair && d->size_log2 == 3 && !d->vec && !d->order && !x64_general_only(g, o);
}

static void spoil_slot(struct pairs *p, unsigned int n)
{
	if (n == NO_SLOT || p->role[n] == BAD)
		return;
	if (p->role[n] == LOW)
		p->role[n + 1] = BAD;
	if (p->role[n] == HIGH)
		p->role[n - 1] = BAD;
	p->role[n] = BAD;
	p->changed = true;
}

/* The value is needed by itself. */
static void spoil(struct pairs *p, ir_val v)
{
	const struct ir_op *o;

	if (v == IR_NONE)
		return;
	o = &p->b->op[v];
	if (o->opc == IR_GET)
		spoil_slot(p, slot_x(o));
	if (o->opc == IR_LDHI)
		v = o->a;
	if (p->joins[v]) {
		p->joins[v] = false;
		p->changed = true;
	}
}

/* Slots @n and @n + 1 take part together, if they may. */
static void tie(struct pairs *p, unsigned int n, unsigned int m)
{
	if (n != NO_SLOT && m == n + 1 && (p->role[n] == LOW || p->role[n] == NOT_NAMED) &&
	    (p->role[m] == HIGH || p->role[m] == NOT_NAMED)) {
		p->role[n] = LOW;
		p->role[m] = HIGH;
		return;
	}
	spoil_slot(p, n);
	spoil_slot(p, m);
}

static bool is_high_of(const struct ir_block *b, ir_val high, ir_val low)
{
	return high == low + 1 && b->op[low].opc == IR_LD && b->op[high].opc == IR_LDHI;
}

/* The next live op behind @i. */
static unsigned int next_op(const struct x64_compiler *g, unsigned int i)
{
	while (++i < g->w->b.nr_ops && g->w->dead[i])
		;
	return i;
}

/* Do the PUTs at @i and @j put both values of an LD, the second one first? */
static bool puts_two(const struct ir_block *b, unsigned int i, unsigned int j)
{
	const struct ir_op *high = &b->op[i], *low = &b->op[j];

	return j < b->nr_ops && low->opc == IR_PUT && low->type == IR_I64 && high->type == IR_I64 &&
	       is_high_of(b, high->a, low->a);
}

static void note_store(struct pairs *p, const struct ir_op *o)
{
	const struct ir_op *low = &p->b->op[o->c], *high = &p->b->op[o->b];

	if (low->opc == IR_GET && high->opc == IR_GET && low->type == IR_I64 &&
	    high->type == IR_I64) {
		tie(p, slot_x(low), slot_x(high));
	} else if (!is_high_of(p->b, o->b, o->c) || !p->joins[o->c]) {
		spoil(p, o->c);
		spoil(p, o->b);
	}
}

/* What each op says of its operands. */
static void look(const struct x64_compiler *g, struct pairs *p)
{
	const struct ir_block *b = &g->w->b;

	for (unsigned int i = 0; i < b->nr_ops; i = next_op(g, i)) {
		const struct ir_op *o = &b->op[i];
		unsigned int j = next_op(g, i);

		if (g->w->dead[i] || ir_has_k(o) || o->opc == IR_LDHI)
			continue;
		if (o->opc == IR_LD)
			p->joins[i] = moves_two(g, o) && j == i + 1 && b->op[j].opc == IR_LDHI;
		if (o->opc == IR_GET) {
			if (o->type != IR_I64)
				spoil_slot(p, slot_x(o));
		} else if (o->opc == IR_PUT && puts_two(b, i, j) && p->joins[b->op[j].a]) {
			tie(p, slot_x(&b->op[j]), slot_x(o));
			i = j;
		} else if (o->opc == IR_ST && moves_two(g, o)) {
			note_store(p, o);
			spoil(p, o->a);
		} else {
			if (o->opc == IR_PUT)
				spoil_slot(p, slot_x(o));
			spoil(p, o->a);
			spoil(p, o->b);
			spoil(p, o->c);
		}
	}
}

/* What is spoilt spoils what it is put into, or comes from. */
static void spread(const struct x64_compiler *g, struct pairs *p)
{
	const struct ir_block *b = &g->w->b;

	do {
		p->changed = false;
		for (unsigned int i = 0; i < b->nr_ops; i = next_op(g, i)) {
			const struct ir_op *o = &b->op[i];
			unsigned int n = slot_x(o);

			if (g->w->dead[i] || o->opc != IR_PUT || n == NO_SLOT)
				continue;
			if (p->role[n] == BAD)
				spoil(p, o->a);
			else if (b->op[o->a].opc == IR_LD ? !p->joins[o->a]
							  : !p->joins[b->op[o->a].a])
				spoil_slot(p, n);
		}
	} while (p->changed);
}

static bool takes_part(const struct pairs *p, ir_val v)
{
	const struct ir_op *o = &p->b->op[v];

	return o->opc == IR_LD ? p->joins[v] : o->opc == IR_GET && p->role[slot_x(o)] == LOW;
}

static void join(struct x64_compiler *g, const struct pairs *p)
{
	struct ir_work *w = g->w;

	for (unsigned int i = 0; i < w->b.nr_ops; i++) {
		struct ir_op *o = &w->b.op[i];
		unsigned int n = o->opc == IR_GET || o->opc == IR_PUT ? slot_x(o) : NO_SLOT;

		if (w->dead[i])
			continue;
		if (o->opc == IR_LD && p->joins[i]) {
			o->type = IR_V128;
			w->dead[i + 1] = true;
		} else if (n != NO_SLOT && p->role[n] == LOW) {
			o->type = IR_V128;
		} else if (n != NO_SLOT && p->role[n] == HIGH) {
			w->dead[i] = true;
		} else if (o->opc == IR_ST && moves_two(g, o) && takes_part(p, o->c)) {
			o->b = IR_NONE;
		}
	}
}

void x64_pair_find(struct x64_compiler *g)
{
	struct pairs p = {.b = &g->w->b};
	bool loads = false, stores = false;

	for (unsigned int i = 0; i < g->w->b.nr_ops; i++) {
		const struct ir_op *o = &g->w->b.op[i];

		if (g->w->dead[i] || !moves_two(g, o))
			continue;
		loads |= o->opc == IR_LD;
		stores |= o->opc == IR_ST;
	}
	if (!loads || !stores)
		return;
	look(g, &p);
	spread(g, &p);
	join(g, &p);
}
