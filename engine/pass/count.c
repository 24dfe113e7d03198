/* SPDX-License-Identifier: MIT */
/*
 * Counting: in the modes that ask for it, what the PMU counts within blocks and the end of a
 * stepped instruction become ops of their own, so that no back end needs to know of either.
 *
 * What must hold:
 *  - A branch and a memory access are counted right before they are done, each time that they are
 *    begun: an access that faults and is started again is counted again. A fall-through from block
 *    to block is no branch.
 *  - Under Software Step a block is one instruction. It is done (STEP) right before its first way
 *    out that takes no exception; ERET sets PSTATE.SS from SPSR_EL1 itself.
 *
 * This is the only pass that inserts ops, and temps get new names: it is the first one.
 */
#include <string.h>

#include "engine/pass/pass.h"

/* What one op may become: STEP, COUNT and the op itself. */
#define MOST_OPS 3

static ir_val append(struct ir_block *b, struct ir_op o)
{
	b->op[b->nr_ops] = o;
	return b->nr_ops++;
}

static void append_plain(struct ir_block *b, unsigned int opc, uint16_t insn, uint8_t aux,
			 int32_t imm)
{
	append(b, (struct ir_op){.opc = (uint16_t)opc,
				 .type = IR_I64,
				 .aux = aux,
				 .insn = insn,
				 .a = IR_NONE,
				 .b = IR_NONE,
				 .c = IR_NONE,
				 .imm = imm});
}

/* The counter that @o makes count, a slot; 0: none. */
static uint16_t counter_of(const struct ir_op *o)
{
	switch (o->opc) {
	case IR_LD:
	case IR_ST:
	case IR_STX:
	case IR_RMW:
	case IR_CAS:
		return CPU_SLOT(pmu.mem_access);
	case IR_JUMP:
		return o->aux == IR_FALLTHROUGH ? 0 : CPU_SLOT(pmu.br_retired);
	case IR_JUMP_IND:
		return CPU_SLOT(pmu.br_retired);
	default:
		return ir_op_info(o->opc)->props & IRP_SIDE ? CPU_SLOT(pmu.br_retired) : 0;
	}
}

static bool ends_step(const struct ir_op *o)
{
	return (ir_op_info(o->opc)->props & (IRP_SIDE | IRP_END)) && o->opc != IR_EXCEPTION &&
	       !(o->opc == IR_LEAVE && o->aux == IR_LEAVE_ERET);
}

static void rename_operands(struct ir_op *o, const ir_val *name)
{
	ir_val *v[3] = {&o->a, &o->b, &o->c};

	if (ir_has_k(o))
		return;
	for (unsigned int k = 0; k < 3; k++)
		if (*v[k] != IR_NONE)
			*v[k] = name[*v[k]];
}

bool pass_count(struct ir_work *w)
{
	struct ir_block *b = &w->b;
	bool counts = b->mode & CPU_MODE_PMU_BR, steps = b->mode & CPU_MODE_STEP;
	bool load_excl = false;

	if (!counts && !steps)
		return true;
	struct ir_op old[IR_MAX_OPS];
	ir_val name[IR_MAX_OPS];
	unsigned int nr = b->nr_ops;

	memcpy(old, b->op, nr * sizeof(old[0]));
	b->nr_ops = 0;
	for (unsigned int i = 0; i < nr; i++) {
		struct ir_op *o = &old[i];
		uint16_t counter = counts ? counter_of(o) : 0;

		if (b->nr_ops > IR_MAX_OPS - MOST_OPS)
			return false;
		load_excl |= o->opc == IR_LD && b->mem[o->aux].excl;
		if (steps && ends_step(o)) {
			append_plain(b, IR_STEP, o->insn, load_excl, 0);
			steps = false;
		}
		if (counter)
			append_plain(b, IR_COUNT, o->insn, 1, counter);
		rename_operands(o, name);
		name[i] = append(b, *o);
	}
	return true;
}
