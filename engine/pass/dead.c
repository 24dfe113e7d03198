/* SPDX-License-Identifier: MIT */
/*
 * Dead code: a PUT whose slot is PUT again before anything can see the first value, and ops whose
 * result nobody uses. Counts uses on the way. Memory accesses are never dead: they may fault.
 */
#include <string.h>

#include "engine/pass/pass.h"

/* Notes say, walking backwards: 1 = this slot will be overwritten before anyone looks. */
static void dead_puts(struct ir_work *w)
{
	struct ir_block *b = &w->b;

	forget_slot_notes(&w->notes);
	for (unsigned int i = b->nr_ops; i-- > 0;) {
		struct ir_op *o = &b->op[i];

		if (w->dead[i])
			continue;
		if (o->opc == IR_PUT) {
			if (slot_note(&w->notes, (unsigned int)o->imm, 0))
				w->dead[i] = true;
			else
				set_slot_note(&w->notes, (unsigned int)o->imm, 1);
		} else if (o->opc == IR_GET) {
			set_slot_note(&w->notes, (unsigned int)o->imm, 0);
		} else if (ir_props(b, o) &
			   (IRP_FAULT | IRP_SIDE | IRP_END | IRP_READS | IRP_WRITES)) {
			forget_slot_notes(&w->notes);
		}
	}
}

static bool removable(const struct ir_block *b, const struct ir_op *o)
{
	const struct ir_op_info *info = ir_op_info(o->opc);

	return info->operands[4] != '-' &&
	       !(ir_props(b, o) &
		 (IRP_FAULT | IRP_SIDE | IRP_END | IRP_WRITES | IRP_FP | IRP_MEM)) &&
	       o->opc != IR_CALL;
}

static void count(struct ir_work *w, ir_val v, unsigned int i, int delta)
{
	if (v == IR_NONE)
		return;
	w->uses[v] = (uint16_t)(w->uses[v] + delta);
	if (w->last_use[v] < i)
		w->last_use[v] = (uint16_t)i;
}

void pass_dead(struct ir_work *w)
{
	struct ir_block *b = &w->b;

	if (!w->plain)
		dead_puts(w);
	memset(w->uses, 0, b->nr_ops * sizeof(w->uses[0]));
	memset(w->last_use, 0, b->nr_ops * sizeof(w->last_use[0]));
	/*
	 * Uses come after definitions: one walk backwards sees all uses of a temp before the temp.
	 */
	for (unsigned int i = b->nr_ops; i-- > 0;) {
		struct ir_op *o = &b->op[i];

		if (w->dead[i])
			continue;
		if (removable(b, o) && !w->uses[i] && !w->plain) {
			w->dead[i] = true;
			continue;
		}
		if (ir_has_k(o))
			continue;
		count(w, o->a, i, 1);
		count(w, o->b, i, 1);
		count(w, o->c, i, 1);
	}
}
