/* SPDX-License-Identifier: MIT */
/*
 * Forwarding: within a block, a GET of a slot whose value is already in a temp becomes that temp.
 */
#include "engine/pass/pass.h"

/*
 * May a GET of @type take the place of temp @v? An I32 operand reads the low half of an I64 temp;
 * the reverse does not hold.
 */
static bool compatible(const struct ir_block *b, unsigned int type, ir_val v)
{
	unsigned int have = ir_result_type(&b->op[v]);

	return type == have || (type == IR_I32 && have == IR_I64);
}

static void rename_operand(ir_val *v, const ir_val *alias)
{
	if (*v != IR_NONE)
		*v = alias[*v];
}

void pass_forward(struct ir_work *w)
{
	struct ir_block *b = &w->b;
	ir_val alias[IR_MAX_OPS];

	forget_slot_notes(&w->notes);
	for (unsigned int i = 0; i < b->nr_ops; i++) {
		struct ir_op *o = &b->op[i];

		alias[i] = (ir_val)i;
		if (ir_has_k(o))
			continue;
		rename_operand(&o->a, alias);
		rename_operand(&o->b, alias);
		rename_operand(&o->c, alias);
		if (o->opc == IR_GET) {
			ir_val known = slot_note(&w->notes, (unsigned int)o->imm, IR_NONE);

			if (known != IR_NONE && compatible(b, o->type, known)) {
				alias[i] = known;
				w->dead[i] = true;
			} else if (known == IR_NONE) {
				set_slot_note(&w->notes, (unsigned int)o->imm, (uint16_t)i);
			}
		} else if (o->opc == IR_PUT) {
			/*
			 * An I32 PUT of an I64 temp truncates: what a later GET sees is not the
			 * temp.
			 */
			bool whole = o->type == ir_result_type(&b->op[o->a]);

			set_slot_note(&w->notes, (unsigned int)o->imm, whole ? o->a : IR_NONE);
		} else if (ir_props(b, o) & IRP_WRITES) {
			forget_slot_notes(&w->notes);
		}
	}
}
