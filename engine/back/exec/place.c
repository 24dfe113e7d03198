/* SPDX-License-Identifier: MIT */
/*
 * Places: each temp gets a slot. Wherever it is exact, a GET's temp is the state slot itself, and
 * an op writes its result straight into the slot of the PUT that follows; other temps share scratch
 * slots.
 *
 * What must hold: a micro-operation reads all its operands before it writes its result.
 */
#include <string.h>

#include "engine/back/exec/exec.h"

#define OBSERVES (IRP_FAULT | IRP_SIDE | IRP_END | IRP_READS)

/* Nothing in (from, to) writes @slot. */
static bool unwritten(const struct exec_compiler *e, unsigned int from, unsigned int to, int slot)
{
	for (unsigned int i = from + 1; i < to; i++) {
		const struct ir_op *o = &e->w->b.op[i];

		if (e->w->dead[i])
			continue;
		if ((o->opc == IR_PUT && o->imm == slot) || (ir_props(&e->w->b, o) & IRP_WRITES))
			return false;
	}
	return true;
}

/* Notes hold, for a state slot, the last use of the temps that live in it. */
static void occupy(struct exec_compiler *e, unsigned int v, unsigned int slot)
{
	e->loc[v] = (uint16_t)slot;
	if (slot_note(&e->w->notes, slot, 0) < e->w->last_use[v])
		set_slot_note(&e->w->notes, slot, e->w->last_use[v]);
}

static bool place_get(struct exec_compiler *e, unsigned int v)
{
	int slot = e->w->b.op[v].imm;

	if (!unwritten(e, v, e->w->last_use[v], slot))
		return false;
	/*
	 * A temp that will be written early into this slot checks that we are done with it
	 * (early_put_ok).
	 */
	occupy(e, v, (unsigned int)slot);
	return true;
}

/*
 * Between the definition at @v and its PUT at @p nobody may see the slot's old value, or see the
 * new one too early.
 */
static bool early_put_ok(const struct exec_compiler *e, unsigned int v, unsigned int p, int slot)
{
	if (slot_note(&e->w->notes, (unsigned int)slot, 0) > v)
		return false;
	for (unsigned int i = v + 1; i < p; i++) {
		const struct ir_op *o = &e->w->b.op[i];

		if (e->w->dead[i])
			continue;
		if ((o->opc == IR_GET || o->opc == IR_PUT) && o->imm == slot)
			return false;
		if (ir_props(&e->w->b, o) & (OBSERVES | IRP_WRITES))
			return false;
	}
	return unwritten(e, p, e->w->last_use[v], slot);
}

static unsigned int first_put(const struct exec_compiler *e, unsigned int v)
{
	for (unsigned int i = v + 1; i <= e->w->last_use[v]; i++)
		if (!e->w->dead[i] && e->w->b.op[i].opc == IR_PUT && e->w->b.op[i].a == v)
			return i;
	return 0;
}

static bool place_put(struct exec_compiler *e, unsigned int v)
{
	const struct ir_op *o = &e->w->b.op[v];
	unsigned int p = first_put(e, v);

	/*
	 * MOV Wn, Wn: the GET and the PUT are of one slot, and yet the PUT clears the upper half.
	 */
	if (p && o->opc == IR_GET && o->type == IR_I32 && o->imm == e->w->b.op[p].imm)
		return false;
	if (!p || e->w->b.op[p].type != ir_result_type(&e->w->b.op[v]) ||
	    !early_put_ok(e, v, p, e->w->b.op[p].imm))
		return false;
	occupy(e, v, (unsigned int)e->w->b.op[p].imm);
	e->elided[p] = true;
	return true;
}

static bool place_scratch(struct exec_compiler *e, unsigned int v, uint16_t *busy)
{
	for (unsigned int s = EXEC_SCRATCH_FIRST; s < EXEC_SCRATCH_TEMPS; s++) {
		if (busy[s] > v)
			continue;
		busy[s] = e->w->last_use[v] > v ? e->w->last_use[v] : (uint16_t)(v + 1);
		e->loc[v] = EXEC_SLOT(s);
		return true;
	}
	return false;
}

bool exec_place(struct exec_compiler *e)
{
	const struct ir_block *b = &e->w->b;
	uint16_t busy[EXEC_SCRATCH_TEMPS] = {0};

	forget_slot_notes(&e->w->notes);
	e->scratch_used = EXEC_SCRATCH_TEMPS;
	memset(e->elided, 0, b->nr_ops);
	for (unsigned int i = 0; i < b->nr_ops; i++) {
		const struct ir_op *o = &b->op[i];

		e->loc[i] = NO_LOC;
		if (e->w->dead[i] || ir_op_info(o->opc)->operands[4] == '-')
			continue;
		if (o->opc == IR_CONST && !e->w->uses[i])
			continue;
		if (o->opc == IR_GET && !e->w->plain && place_get(e, i))
			continue;
		if (o->opc == IR_CONST) {
			/*
			 * Mostly folded into its users; written into a PUT's slot, or materialised
			 * on demand.
			 */
			if (!e->w->plain)
				place_put(e, i);
			continue;
		}
		if (e->w->uses[i] && !e->w->plain && place_put(e, i))
			continue;
		if (!place_scratch(e, i, busy))
			return false;
	}
	return true;
}
