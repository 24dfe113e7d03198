/* SPDX-License-Identifier: MIT */
/*
 * Accesses off one base, at constant offsets: one TLB probe for all of them.
 *
 * The first one of a group probes the whole range and leaves the line's addend in a temp; the
 * others use it. If the range is not within one page, or the line does not match, the addend
 * becomes GROUP_NONE, and each access of the group makes a probe of its own, out of line, so that
 * faults are those of the instruction.
 *
 * What must hold:
 *  - Nothing that changes TLBs or banks comes between the first and the last access of a group.
 *  - A group is probed for stores only if each of its stores is reached whenever the first access
 *    is, or it was for stores before: a page that is not written must not be slow to read.
 */
#include "engine/back/x64/x64.h"

#define SPAN 1024 /* bytes that a group may cover */
#define OPEN 8

struct open {
	uint16_t root;
	int32_t min, max;
	uint16_t members, last, first;
	bool write, passed_exit;
	uint16_t group; /* in g->groups */
};

struct place {
	ir_val root;
	int32_t at;
};

static bool small(int64_t k)
{
	return k > -65536 && k < 65536;
}

/* The temp that an address is computed from, and how far from it. */
static struct place place_of(const struct ir_block *b, ir_val v, int32_t offset)
{
	int64_t at = offset;

	for (;;) {
		const struct ir_op *o = &b->op[v];
		int64_t k;

		if ((o->opc != IR_ADD && o->opc != IR_SUB) || o->type != IR_I64 ||
		    b->op[o->b].opc != IR_CONST)
			break;
		k = (int64_t)b->op[o->b].k;
		if (!small(k) || !small(at))
			break;
		at += o->opc == IR_ADD ? k : -k;
		v = o->a;
	}
	return (struct place){v, (int32_t)at};
}

static bool joins(const struct x64_compiler *g, const struct ir_op *o)
{
	const struct mem_desc *d;

	if (o->opc != IR_LD && o->opc != IR_ST)
		return false;
	d = &g->w->b.mem[o->aux];
	return !x64_general_only(g, o) && !d->order && !d->unpriv && !d->align &&
	       (d->pair ? o->opc == IR_ST || o->b == IR_NONE : o->b == IR_NONE);
}

static void close_group(struct x64_compiler *g, const struct open *w)
{
	struct x64_group *r = &g->groups[w->group];

	r->min = w->min;
	r->len = (uint16_t)(w->max - w->min);
	r->write = w->write;
	r->last = w->last;
	if (w->members < 2)
		r->addend = X64_NOTHING;
}

static void add(struct x64_compiler *g, struct open *w, unsigned int i, int32_t at, int32_t size,
		bool write)
{
	w->min = w->min < at ? w->min : at;
	w->max = w->max > at + size ? w->max : at + size;
	w->write |= write;
	w->members++;
	g->group[i] = (uint8_t)(w->group + 1);
	g->group_at[i] = at;
	if (w->members > 1)
		g->group_next[w->last] = (uint16_t)i;
	w->last = (uint16_t)i;
}

static bool fits(const struct open *w, int32_t at, int32_t size, bool write)
{
	int32_t min = w->min < at ? w->min : at, max = w->max > at + size ? w->max : at + size;

	return max - min <= SPAN && (!write || w->write || !w->passed_exit);
}

static bool ends_groups(const struct ir_block *b, const struct ir_op *o)
{
	return o->opc == IR_CALL || (ir_props(b, o) & (IRP_READS | IRP_WRITES));
}

void x64_group_find(struct x64_compiler *g)
{
	const struct ir_block *b = &g->w->b;
	struct open open[OPEN];
	unsigned int nr = 0;

	g->nr_groups = 0;
	for (unsigned int i = 0; i < b->nr_ops; i++) {
		const struct ir_op *o = &b->op[i];
		struct open *w = NULL;

		g->group[i] = 0;
		g->group_next[i] = X64_NOTHING;
		if (g->w->dead[i])
			continue;
		if (ends_groups(b, o)) {
			for (unsigned int n = 0; n < nr; n++)
				close_group(g, &open[n]);
			nr = 0;
		}
		if (ir_op_info(o->opc)->props & IRP_SIDE)
			for (unsigned int n = 0; n < nr; n++)
				open[n].passed_exit = true;
		if (!joins(g, o))
			continue;
		const struct mem_desc *d = &b->mem[o->aux];
		struct place p = place_of(b, o->a, d->offset);
		int32_t size = (1 << d->size_log2) << d->pair;

		for (unsigned int n = 0; n < nr; n++)
			if (open[n].root == p.root)
				w = &open[n];
		if (w && !fits(w, p.at, size, o->opc == IR_ST)) {
			close_group(g, w);
			*w = open[--nr];
			w = NULL;
		}
		if (!w) {
			if (g->nr_groups == X64_MAX_GROUPS)
				continue;
			if (nr == OPEN) {
				close_group(g, &open[0]);
				open[0] = open[--nr];
			}
			w = &open[nr++];
			*w = (struct open){.root = p.root,
					   .min = p.at,
					   .max = p.at + size,
					   .first = (uint16_t)i,
					   .group = (uint16_t)g->nr_groups++};
		}
		if (!w->members)
			g->groups[w->group] = (struct x64_group){.first = (uint16_t)i};
		add(g, w, i, p.at, size, o->opc == IR_ST);
	}
	for (unsigned int n = 0; n < nr; n++)
		close_group(g, &open[n]);
}

/* The temps of the groups that there are, behind those that a loop carries. */
void x64_group_temps(struct x64_compiler *g)
{
	for (unsigned int n = 0; n < g->nr_groups; n++) {
		struct x64_group *r = &g->groups[n];
		unsigned int v = g->w->b.nr_ops + g->nr_carried + g->nr_addends;

		if (r->addend == X64_NOTHING || v >= IR_MAX_OPS) {
			r->addend = X64_NOTHING;
			continue;
		}
		r->addend = (uint16_t)v;
		g->nr_addends++;
		g->w->b.op[v] = (struct ir_op){
			.opc = IR_GET, .type = IR_I64, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE};
		g->end[v] = r->last;
		g->first[v] = X64_NOTHING;
	}
}
