/* SPDX-License-Identifier: MIT */
/*
 * Atomics and store exclusives.
 *
 * An atomic of a granule that no exclusive was ever used on is the host's (cpu/monitor.h); between
 * the look at that and the atomic there is no kick point. All others hold the granule's word of the
 * exclusive monitor, in C.
 */
#include <stddef.h>

#include "cpu/monitor.h"
#include "engine/back/x64/x64.h"

/* Has the host an instruction for it, or a short loop? */
static bool has_code(const struct x64_compiler *g, const struct ir_op *o)
{
	const struct mem_desc *d = &g->w->b.mem[o->aux];

	if (o->opc == IR_STX || d->be || d->pair || d->offset || (g->w->b.mode & CPU_MODE_ALIGN))
		return false;
	return o->opc == IR_CAS || o->imm == RMW_ADD || o->imm == RMW_SWP ||
	       (d->size_log2 >= 2 && o->imm <= RMW_SET);
}

/* The old value, in rax or @reg, to the result: zero-extended. */
static void old_value(struct x64_compiler *g, const struct mem_desc *d, unsigned int to,
		      unsigned int from)
{
	static const uint16_t ops[4] = {X64_MOVZX8, X64_MOVZX16, X64_MOV, X64_MOV};

	x64_rr(&g->b, (enum x64_op)ops[d->size_log2], d->size_log2 == 3, to, from);
}

/* CLR, EOR, SET: tried until nobody came between. */
static void emit_tries(struct x64_compiler *g, const struct ir_op *o, struct x64_row *r,
		       struct x64_mem m, unsigned int c)
{
	unsigned int w = g->w->b.mem[o->aux].size_log2 == 3;
	uint8_t *again;

	r->access[0] = x64_here(g);
	x64_rm(&g->b, X64_MOV, w, RAX, m);
	again = g->b.p;
	if (o->imm == RMW_CLR) {
		x64_rvr(&g->b, X64_ANDN, w, RDX, c, RAX);
	} else {
		x64_rr(&g->b, X64_MOV, w, RDX, RAX);
		x64_rr(&g->b, o->imm == RMW_EOR ? X64_XOR : X64_OR, w, RDX, c);
	}
	r->access[1] = x64_here(g);
	x64_rm(&g->b, X64_CMPXCHG, w, RDX, m);
	x64_jcc_to(&g->b, X64_NE, again);
}

static void emit_atomic(struct x64_compiler *g, const struct ir_op *o, struct x64_row *r,
			struct x64_mem m, unsigned int expect, unsigned int c, unsigned int d)
{
	static const uint16_t adds[4] = {X64_XADD8, X64_XADD16, X64_XADD, X64_XADD};
	static const uint16_t swaps[4] = {X64_XCHG8, X64_XCHG16, X64_XCHG, X64_XCHG};
	static const uint16_t cas[4] = {X64_CMPXCHG8, X64_CMPXCHG16, X64_CMPXCHG, X64_CMPXCHG};
	const struct mem_desc *desc = &g->w->b.mem[o->aux];
	unsigned int n = desc->size_log2, w = n == 3;

	if (o->opc == IR_CAS) {
		x64_rr(&g->b, X64_MOV, 1, RAX, expect);
		r->access[0] = x64_here(g);
		x64_rm(&g->b, (enum x64_op)cas[n], w, c, m);
		old_value(g, desc, d, RAX);
	} else if (o->imm == RMW_ADD || o->imm == RMW_SWP) {
		x64_rr(&g->b, X64_MOV, 1, RDX, c);
		r->access[0] = x64_here(g);
		x64_rm(&g->b, (enum x64_op)(o->imm == RMW_ADD ? adds[n] : swaps[n]), w, RDX, m);
		old_value(g, desc, d, RDX);
	} else {
		emit_tries(g, o, r, m, c);
		old_value(g, desc, d, RAX);
	}
}

/* Jump if the granule of the host's address a + rcx was used by an exclusive. rax, rdx. */
static uint8_t *test_counted(struct x64_compiler *g, unsigned int a)
{
	x64_rm(&g->b, X64_LEA, 1, RDX, x64_at_index(a, RCX, 0, 0));
	x64_ri(&g->b, X64_SHR_I, 1, RDX, MONITOR_GRANULE_SHIFT);
	x64_rr(&g->b, X64_MOVZX16, 0, RDX, RDX);
	x64_rm(&g->b, X64_MOV, 1, RAX, x64_at(X64_CPU, X64_AREA(counted)));
	x64_mi(&g->b, X64_CMP8_MI, 0, x64_at_index(RAX, RDX, 0, 0), 0);
	return x64_jcc(&g->b, X64_NE);
}
_Static_assert(MONITOR_COUNTED == 1 << 16, "the index is what MOVZX leaves");

static void emit_inline(struct x64_compiler *g, const struct ir_op *o)
{
	const struct mem_desc *desc = &g->w->b.mem[o->aux];
	unsigned int a = x64_use(g, o->a), c = x64_use(g, o->c), expect = 0, d, nr = 0;
	uint8_t *from[X64_MAX_FROM + 1];
	const uint8_t *back;
	struct x64_row *r;

	if (o->opc == IR_CAS)
		expect = x64_use(g, o->b);
	d = x64_def(g);
	r = x64_new_row(g, o->opc == IR_CAS ? X64_ROW_CAS : X64_ROW_RMW);
	r->b = o->opc == IR_CAS ? x64_in_register(false, expect)
				: (struct x64_loc){.kind = X64_LOC_NONE};
	r->c = x64_in_register(false, c);
	r->d = x64_in_register(false, d);
	nr += x64_probe(g, desc, a, 1u << desc->size_log2, true, RCX, from);
	from[nr++] = test_counted(g, a);
	emit_atomic(g, o, r, x64_at_index(a, RCX, 0, 0), expect, c, d);
	back = g->b.p;
	x64_cold(g);
	for (unsigned int n = 0; n < nr; n++)
		x64_cross(g, from[n], g->b.p);
	r->stub = x64_here(g);
	x64_rr(&g->b, X64_MOV, 1, RAX, a);
	x64_row_call_cold(g, r, back);
	x64_hot(g);
}

/* RMW, CAS, STX. A row finds the address in rax. */
void x64_gen_atomic(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int kind = o->opc == IR_RMW   ? X64_ROW_RMW
			    : o->opc == IR_CAS ? X64_ROW_CAS
					       : X64_ROW_STX;
	const struct mem_desc *d = &g->w->b.mem[o->aux];
	struct x64_row *r;
	unsigned int a;

	x64_flags_clobber(g);
	if (has_code(g, o)) {
		emit_inline(g, o);
		return;
	}
	a = x64_use(g, o->a);
	x64_rm(&g->b, X64_LEA, 1, RAX, x64_at(a, d->offset));
	r = x64_new_row(g, kind);
	r->b = x64_where(g, o->b);
	r->c = x64_where(g, o->c);
	x64_call_row(g, r);
}
