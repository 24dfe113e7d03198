/* SPDX-License-Identifier: MIT */
/* Folding: operations on constants become constants. Meanings come from int_ops.h. */
#include "engine/ir/int_ops.h"
#include "engine/pass/pass.h"

typedef uint64_t fold_fn(uint64_t a, uint64_t b);

static fold_fn *const int2[IR_NR_OPS][2] = {
#define ROW(name, expr) [IR_##name] = {op_##name##32, op_##name##64},
	INT2_OPS(ROW)
#undef ROW
};

static const struct ir_op *constant(const struct ir_block *b, ir_val v)
{
	return v != IR_NONE && b->op[v].opc == IR_CONST ? &b->op[v] : NULL;
}

static void set_const(struct ir_op *o, uint64_t k)
{
	o->opc = IR_CONST;
	o->a = IR_NONE;
	o->k = k;
}

static void fold_op(struct ir_block *b, struct ir_op *o)
{
	const struct ir_op *a = constant(b, o->a), *c = constant(b, o->b);

	if (o->opc == IR_ADD && o->type == IR_I64 && c && b->op[o->a].opc == IR_PCREL) {
		uint64_t k = b->op[o->a].k + c->k;

		o->opc = IR_PCREL;
		o->a = IR_NONE;
		o->k = k;
	} else if (a && c && int2[o->opc][0]) {
		set_const(o, int2[o->opc][o->type == IR_I64](a->k, c->k));
	} else if (a && c && o->opc == IR_BFI) {
		uint64_t k = op_bfi(a->k, c->k, o->imm & 0xff, (unsigned int)o->imm >> 8);

		/* @a may be an I64 constant of which an I32 operation takes the low half. */
		set_const(o, o->type == IR_I32 ? (uint32_t)k : k);
	} else if (a && o->opc == IR_MOV) {
		set_const(o,
			  o->type == IR_I32 || b->op[o->a].type == IR_I32 ? (uint32_t)a->k : a->k);
	}
}

void pass_fold(struct ir_work *w)
{
	for (unsigned int i = 0; i < w->b.nr_ops; i++) {
		struct ir_op *o = &w->b.op[i];

		if (!w->dead[i] && !ir_has_k(o) && o->a != IR_NONE)
			fold_op(&w->b, o);
	}
}
