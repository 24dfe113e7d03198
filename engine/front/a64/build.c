/* SPDX-License-Identifier: MIT */
/*
 * The builder: what translation functions write IR with.
 *
 * What must hold:
 *  - Every op carries the index of the guest instruction that it belongs to.
 *  - sp_checked is true only while x[31] is known to be a multiple of 16 on the path being built.
 *  - One instruction never needs more than A64_OPS_RESERVE ops (decode.c ends the block in time).
 */
#include "cpu/arch.h"
#include "engine/front/a64/a64.h"

ir_val a64_op(struct a64 *t, unsigned int opc, unsigned int type, unsigned int aux, ir_val a,
	      ir_val b, ir_val c, int32_t imm)
{
	ir_val v = t->b->nr_ops++;

	t->b->op[v] = (struct ir_op){
		.opc = opc,
		.type = type,
		.aux = aux,
		.insn = t->index,
		.a = a,
		.b = b,
		.c = c,
		.imm = imm,
	};
	return v;
}

ir_val a64_k(struct a64 *t, unsigned int opc, unsigned int type, unsigned int aux, uint64_t k)
{
	ir_val v = t->b->nr_ops++;

	t->b->op[v] = (struct ir_op){
		.opc = opc,
		.type = type,
		.aux = aux,
		.insn = t->index,
		.a = IR_NONE,
		.k = k,
	};
	return v;
}

/* Registers. */

ir_val a64_x(struct a64 *t, bool sf, unsigned int n)
{
	if (n == A64_ZR)
		return a64_const(t, a64_type(sf), 0);
	return a64_get(t, a64_type(sf), CPU_SLOT_X(n));
}

ir_val a64_x_sp(struct a64 *t, bool sf, unsigned int n)
{
	return a64_get(t, a64_type(sf), CPU_SLOT_X(n));
}

void a64_set_x(struct a64 *t, bool sf, unsigned int n, ir_val v)
{
	if (n != A64_ZR)
		a64_put(t, a64_type(sf), CPU_SLOT_X(n), v);
}

/* Is @v, the next stack pointer, a multiple of 16? */
static bool sp_stays_aligned(const struct a64 *t, ir_val v)
{
	const struct ir_op *op = &t->b->op[v], *base, *k;

	if (op->opc != IR_ADD && op->opc != IR_SUB && op->opc != IR_AND)
		return false;
	k = &t->b->op[op->b];
	if (k->opc != IR_CONST || k->k % 16)
		return false;
	if (op->opc == IR_AND)
		return true;
	base = &t->b->op[op->a];
	return t->sp_checked && base->opc == IR_GET && base->imm == CPU_SLOT_X(A64_SP) &&
	       base->insn == t->index;
}

void a64_set_x_sp(struct a64 *t, bool sf, unsigned int n, ir_val v)
{
	if (n == A64_SP)
		t->sp_checked = sf && sp_stays_aligned(t, v);
	a64_put(t, a64_type(sf), CPU_SLOT_X(n), v);
}

ir_val a64_base(struct a64 *t, unsigned int n)
{
	ir_val v = a64_x_sp(t, true, n);

	if (n == A64_SP && (t->mode & CPU_MODE_SP_ALIGN) && !t->sp_checked) {
		a64_op(t, IR_SPCHECK, IR_I64, 0, v, IR_NONE, IR_NONE, 0);
		t->sp_checked = true;
	}
	return v;
}

ir_val a64_flags(struct a64 *t)
{
	return a64_get(t, IR_FLAGS, CPU_SLOT(nzcv));
}

void a64_set_flags(struct a64 *t, ir_val f)
{
	a64_put(t, IR_FLAGS, CPU_SLOT(nzcv), f);
}

ir_val a64_pcrel(struct a64 *t, int64_t delta)
{
	return a64_k(t, IR_PCREL, IR_I64, 0, (uint64_t)(t->at + delta));
}

/* Memory. */

uint8_t a64_mem(struct a64 *t, const struct mem_desc *d)
{
	struct mem_desc *m = &t->b->mem[t->b->nr_mem];

	*m = *d;
	m->be = (t->mode & CPU_MODE_BE) != 0;
	return t->b->nr_mem++;
}

ir_val a64_load(struct a64 *t, unsigned int type, const struct mem_desc *d, ir_val base,
		ir_val index)
{
	return a64_op(t, IR_LD, type, a64_mem(t, d), base, index, IR_NONE, 0);
}

ir_val a64_load_hi(struct a64 *t, ir_val load)
{
	return a64_op1(t, IR_LDHI, t->b->op[load].type, load);
}

void a64_store(struct a64 *t, const struct mem_desc *d, ir_val base, ir_val index_or_second,
	       ir_val value)
{
	a64_op(t, IR_ST, t->b->op[value].type, a64_mem(t, d), base, index_or_second, value, 0);
}

ir_val a64_call(struct a64 *t, unsigned int helper, ir_val a, ir_val b, ir_val c)
{
	if (a64_helpers[helper].props & IRP_WRITES)
		t->sp_checked = false;
	return a64_op(t, IR_CALL, IR_I64, 0, a, b, c, helper);
}

/* Ways out. */

void a64_jump(struct a64 *t, int64_t delta, enum ir_jump kind)
{
	a64_op(t, IR_JUMP, IR_I64, kind, IR_NONE, IR_NONE, IR_NONE, (int32_t)(t->at + delta));
	t->done = true;
}

void a64_jump_ind(struct a64 *t, ir_val target, enum ir_jump kind)
{
	a64_op(t, IR_JUMP_IND, IR_I64, kind, target, IR_NONE, IR_NONE, 0);
	t->done = true;
}

void a64_side(struct a64 *t, unsigned int opc, unsigned int type, unsigned int aux, ir_val a,
	      int64_t delta)
{
	a64_op(t, opc, type, aux, a, IR_NONE, IR_NONE, (int32_t)(t->at + delta));
}

void a64_exception(struct a64 *t, uint32_t esr, bool returns_to_next)
{
	a64_op(t, IR_EXCEPTION, IR_I32, returns_to_next, IR_NONE, IR_NONE, IR_NONE, (int32_t)esr);
	t->done = true;
}

void a64_leave(struct a64 *t, enum ir_leave kind, uint32_t imm)
{
	a64_op(t, IR_LEAVE, IR_I32, kind, IR_NONE, IR_NONE, IR_NONE, (int32_t)imm);
	t->done = true;
}

void a64_undefined(struct a64 *t)
{
	a64_exception(t, ESR(EC_UNKNOWN, 0), false);
}

bool a64_fp_enabled(struct a64 *t)
{
	if (t->mode & CPU_MODE_FP)
		return true;
	a64_exception(t, ESR(EC_FP_ACCESS, ISS_COND_ALWAYS), false);
	return false;
}
