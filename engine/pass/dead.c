/* SPDX-License-Identifier: MIT */
/*
 * Dead code: a PUT whose slot is PUT again before anything can see the first value, and ops whose
 * result nobody uses. Counts uses on the way. Memory accesses are never dead: they may fault.
 */
#include <string.h>

#include "engine/pass/pass.h"

/* Notes say, walking backwards: 1 = this slot will be overwritten before anyone looks. */
static void dead_puts(struct translator *t)
{
	struct ir_block *b = &t->b;

	t->stamp++;
	for (unsigned int i = b->nr_ops; i-- > 0;) {
		struct ir_op *o = &b->op[i];

		if (t->dead[i])
			continue;
		if (o->opc == IR_PUT) {
			if (slot_note(t, (unsigned int)o->imm, 0))
				t->dead[i] = true;
			else
				set_slot_note(t, (unsigned int)o->imm, 1);
		} else if (o->opc == IR_GET) {
			set_slot_note(t, (unsigned int)o->imm, 0);
		} else if (ir_props(b, o) &
			   (IRP_FAULT | IRP_SIDE | IRP_END | IRP_READS | IRP_WRITES)) {
			t->stamp++;
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

static void count(struct translator *t, ir_val v, unsigned int i, int delta)
{
	if (v == IR_NONE)
		return;
	t->uses[v] = (uint16_t)(t->uses[v] + delta);
	if (t->last_use[v] < i)
		t->last_use[v] = (uint16_t)i;
}

void pass_dead(struct translator *t)
{
	struct ir_block *b = &t->b;

	if (!t->plain)
		dead_puts(t);
	memset(t->uses, 0, b->nr_ops * sizeof(t->uses[0]));
	memset(t->last_use, 0, b->nr_ops * sizeof(t->last_use[0]));
	/*
	 * Uses come after definitions: one walk backwards sees all uses of a temp before the temp.
	 */
	for (unsigned int i = b->nr_ops; i-- > 0;) {
		struct ir_op *o = &b->op[i];

		if (t->dead[i])
			continue;
		if (removable(b, o) && !t->uses[i] && !t->plain) {
			t->dead[i] = true;
			continue;
		}
		if (ir_has_k(o))
			continue;
		count(t, o->a, i, 1);
		count(t, o->b, i, 1);
		count(t, o->c, i, 1);
	}
}
