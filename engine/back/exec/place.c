/* SPDX-License-Identifier: MIT */
/*
 * Places: each temp gets a slot. Wherever it is exact, a GET's temp is the state slot itself, and
 *         an op writes its result
 * straight into the slot of the PUT that follows; other temps share scratch slots.
 *
 * What must hold: a micro-operation reads all its operands before it writes its result.
 */
#include <string.h>

#include "engine/back/exec/exec.h"
#include "engine/pass/pass.h"

#define SCRATCH(n)    ((uint16_t)(offsetof(struct cpu, scratch[0]) + 16 * (n)))
#define SCRATCH_TEMPS 64

#define OBSERVES (IRP_FAULT | IRP_SIDE | IRP_END | IRP_READS)

/* Nothing in (from, to) writes @slot. */
static bool unwritten(const struct translator *t, unsigned int from, unsigned int to, int slot)
{
	for (unsigned int i = from + 1; i < to; i++) {
		const struct ir_op *o = &t->b.op[i];

		if (t->dead[i])
			continue;
		if ((o->opc == IR_PUT && o->imm == slot) || (ir_props(&t->b, o) & IRP_WRITES))
			return false;
	}
	return true;
}

/* Notes hold, for a state slot, the last use of the temps that live in it. */
static void occupy(struct translator *t, unsigned int v, unsigned int slot)
{
	t->loc[v] = (uint16_t)slot;
	if (slot_note(t, slot, 0) < t->last_use[v])
		set_slot_note(t, slot, t->last_use[v]);
}

static bool place_get(struct translator *t, unsigned int v)
{
	int slot = t->b.op[v].imm;

	if (!unwritten(t, v, t->last_use[v], slot))
		return false;
	/*
	 * A temp that will be written early into this slot checks that we are done with it
	 * (early_put_ok).
	 */
	occupy(t, v, (unsigned int)slot);
	return true;
}

/*
 * Between the definition at @v and its PUT at @p nobody may see the slot's old value, or see the
 * new one too early.
 */
static bool early_put_ok(const struct translator *t, unsigned int v, unsigned int p, int slot)
{
	if (slot_note(t, (unsigned int)slot, 0) > v)
		return false;
	for (unsigned int i = v + 1; i < p; i++) {
		const struct ir_op *o = &t->b.op[i];

		if (t->dead[i])
			continue;
		if ((o->opc == IR_GET || o->opc == IR_PUT) && o->imm == slot)
			return false;
		if (ir_props(&t->b, o) & (OBSERVES | IRP_WRITES))
			return false;
	}
	return unwritten(t, p, t->last_use[v], slot);
}

static unsigned int first_put(const struct translator *t, unsigned int v)
{
	for (unsigned int i = v + 1; i <= t->last_use[v]; i++)
		if (!t->dead[i] && t->b.op[i].opc == IR_PUT && t->b.op[i].a == v)
			return i;
	return 0;
}

static bool place_put(struct translator *t, unsigned int v)
{
	const struct ir_op *o = &t->b.op[v];
	unsigned int p = first_put(t, v);

	/*
	 * MOV Wn, Wn: the GET and the PUT are of one slot, and yet the PUT clears the upper half.
	 */
	if (p && o->opc == IR_GET && o->type == IR_I32 && o->imm == t->b.op[p].imm)
		return false;
	if (!p || t->b.op[p].type != ir_result_type(&t->b.op[v]) ||
	    !early_put_ok(t, v, p, t->b.op[p].imm))
		return false;
	occupy(t, v, (unsigned int)t->b.op[p].imm);
	t->elided[p] = true;
	return true;
}

static bool place_scratch(struct translator *t, unsigned int v, uint16_t *busy)
{
	for (unsigned int s = EXEC_SCRATCH_FIRST; s < SCRATCH_TEMPS; s++) {
		if (busy[s] > v)
			continue;
		busy[s] = t->last_use[v] > v ? t->last_use[v] : (uint16_t)(v + 1);
		t->loc[v] = SCRATCH(s);
		return true;
	}
	return false;
}

bool pass_place(struct translator *t)
{
	struct ir_block *b = &t->b;
	uint16_t busy[SCRATCH_TEMPS] = {0};

	t->stamp++;
	t->scratch_used = SCRATCH_TEMPS;
	memset(t->elided, 0, b->nr_ops);
	for (unsigned int i = 0; i < b->nr_ops; i++) {
		const struct ir_op *o = &b->op[i];

		t->loc[i] = NO_LOC;
		if (t->dead[i] || ir_op_info(o->opc)->operands[4] == '-')
			continue;
		if (o->opc == IR_CONST && !t->uses[i])
			continue;
		if (o->opc == IR_GET && !t->plain && place_get(t, i))
			continue;
		if (o->opc == IR_CONST) {
			/*
			 * Mostly folded into its users; written into a PUT's slot, or materialised
			 * on demand.
			 */
			if (!t->plain)
				place_put(t, i);
			continue;
		}
		if (t->uses[i] && !t->plain && place_put(t, i))
			continue;
		if (!place_scratch(t, i, busy))
			return false;
	}
	return true;
}
