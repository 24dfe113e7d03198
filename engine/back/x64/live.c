/* SPDX-License-Identifier: MIT */
/*
 * What register allocation needs to know of the future: when a temp is used next, and how long its
 * value is needed.
 *
 * A value is needed until its last use, and while it is what a slot holds that was PUT and not
 * stored yet: until the last op before the slot's next PUT that can show the slot to somebody.
 */
#include "engine/back/x64/x64.h"

#define OBSERVES (IRP_FAULT | IRP_SIDE | IRP_END | IRP_READS | IRP_WRITES)

/* Does the PUT make a value of its own, the low half of its operand? */
static bool narrows(const struct ir_block *b, const struct ir_op *o)
{
	return o->type == IR_I32 && b->op[o->a].type == IR_I64 && b->op[o->a].opc != IR_CONST;
}

struct put {
	uint16_t val;
	int at;
};

static void keep(struct x64_compiler *g, unsigned int v, unsigned int until)
{
	if (g->end[v] < until)
		g->end[v] = (uint16_t)until;
}

static void ends(struct x64_compiler *g)
{
	struct ir_work *w = g->w;
	struct put puts[X64_MAX_SLOTS];
	unsigned int nr_puts = 0, observer = 0;

	forget_slot_notes(&w->notes);
	for (unsigned int n = 0; n < g->nr_carried; n++) {
		const struct x64_carried *k = &g->carried[n];

		g->end[k->val] = w->last_use[k->val];
		if (!k->put)
			continue;
		set_slot_note(&w->notes, k->slot, (uint16_t)nr_puts);
		puts[nr_puts++] = (struct put){k->val, -1};
	}
	for (unsigned int i = 0; i < w->b.nr_ops; i++) {
		const struct ir_op *o = &w->b.op[i];

		g->end[i] = w->last_use[i] > i ? w->last_use[i] : (uint16_t)i;
		if (w->dead[i])
			continue;
		if (ir_props(&w->b, o) & OBSERVES)
			observer = i;
		if (o->opc != IR_PUT && o->opc != IR_GET)
			continue;
		uint16_t n = slot_note(&w->notes, (unsigned int)o->imm, X64_NOTHING);

		if (o->opc == IR_GET) {
			/* One that forward left, because it is of another width. */
			if (n != X64_NOTHING)
				keep(g, puts[n].val, i);
			continue;
		}
		if (n == X64_NOTHING) {
			if (nr_puts == X64_MAX_SLOTS)
				break;
			n = (uint16_t)nr_puts++;
			set_slot_note(&w->notes, (unsigned int)o->imm, n);
		} else if ((int)observer > puts[n].at) {
			keep(g, puts[n].val, observer);
		}
		puts[n] = (struct put){narrows(&w->b, o) ? (uint16_t)i : o->a, (int)i};
	}
	for (unsigned int n = 0; n < nr_puts; n++)
		keep(g, puts[n].val, observer);
}

static void uses(struct x64_compiler *g)
{
	struct ir_work *w = g->w;
	uint16_t *soon = g->next_use;

	for (unsigned int i = 0; i < w->b.nr_ops + g->nr_carried; i++)
		soon[i] = X64_NOTHING;
	for (unsigned int i = w->b.nr_ops; i-- > 0;) {
		const struct ir_op *o = &w->b.op[i];

		g->first[i] = soon[i];
		if (w->dead[i] || ir_has_k(o))
			continue;
		const ir_val v[3] = {o->a, o->b, o->c};

		for (unsigned int k = 0; k < 3; k++)
			g->next[i][k] = v[k] == IR_NONE ? X64_NOTHING : soon[v[k]];
		if (o->opc == IR_PUT && !narrows(&w->b, o))
			continue;
		for (unsigned int k = 0; k < 3; k++)
			if (v[k] != IR_NONE)
				soon[v[k]] = (uint16_t)i;
	}
	for (unsigned int n = 0; n < g->nr_carried; n++)
		g->first[g->carried[n].val] = soon[g->carried[n].val];
}

/* What flags are evaluated from is needed as long as they are. */
static void flags_operands(struct x64_compiler *g)
{
	const struct ir_block *b = &g->w->b;

	for (unsigned int i = b->nr_ops; i-- > 0;) {
		const struct ir_op *o = &b->op[i];

		if (g->w->dead[i] || ir_has_k(o) || ir_result_type(o) != IR_FLAGS ||
		    ir_op_info(o->opc)->operands[4] != 'f' || !x64_flags_again(b, (ir_val)i))
			continue;
		if (o->a != IR_NONE)
			keep(g, o->a, g->end[i]);
		if (o->b != IR_NONE)
			keep(g, o->b, g->end[i]);
	}
}

void x64_live(struct x64_compiler *g)
{
	ends(g);
	flags_operands(g);
	uses(g);
}
