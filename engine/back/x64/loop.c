/* SPDX-License-Identifier: MIT */
/*
 * Blocks that lead to their own beginning: slots that stay in registers from one round to the next.
 *
 *   near entry   loads what is carried
 *   loop head    each carried slot is in its register; those that the block PUTs count as dirty
 *   ...
 *   back edge    what the slots hold now moves to those registers; other dirty slots are stored
 *
 * A carried slot's value at the loop head is a temp of its own, behind the block's ops, with which
 * the GETs that read it are replaced.
 *
 * The jump of the back edge is that of an exit: it leads to the loop head while the exit is linked
 * to its own block, so that dropping the block ends the loop as it ends every other way there.
 */
#include "engine/back/x64/x64.h"

#define MOST_GPRS 5
#define MOST_XMMS 9

static const uint8_t head_gprs[MOST_GPRS] = {RBX, RSI, RDI, R8, R9};

/* Does the op lead to the block's beginning, and nowhere else? */
bool x64_is_back_edge(const struct ir_op *o)
{
	switch (o->opc) {
	case IR_BCC:
	case IR_CBZ:
	case IR_CBNZ:
	case IR_TBZ:
	case IR_TBNZ:
	case IR_JUMP:
		return o->imm == 0;
	default:
		return false;
	}
}

struct candidate {
	uint16_t offset;
	uint8_t type;
	bool put, bad;
	uint16_t weight;
};

static bool suits(const struct x64_compiler *g)
{
	const struct ir_block *b = &g->w->b;
	bool back = false;

	if (g->w->plain || (b->mode & CPU_MODE_STEP))
		return false;
	for (unsigned int i = 0; i < b->nr_ops; i++) {
		if (g->w->dead[i])
			continue;
		if (ir_props(b, &b->op[i]) & IRP_WRITES)
			return false;
		back |= x64_is_back_edge(&b->op[i]);
	}
	return back && b->nr_ops + MOST_GPRS + MOST_XMMS < IR_MAX_OPS;
}

/* All slots of general and vector registers that the block names, with how often. */
static unsigned int gather(struct x64_compiler *g, struct candidate *c)
{
	struct ir_work *w = g->w;
	unsigned int nr = 0;

	forget_slot_notes(&w->notes);
	for (unsigned int i = 0; i < w->b.nr_ops; i++) {
		const struct ir_op *o = &w->b.op[i];
		uint16_t n;

		if (w->dead[i] || (o->opc != IR_GET && o->opc != IR_PUT) || o->type == IR_FLAGS)
			continue;
		n = slot_note(&w->notes, (unsigned int)o->imm, X64_NOTHING);
		if (n == X64_NOTHING) {
			if (nr == X64_MAX_SLOTS)
				return 0;
			n = (uint16_t)nr++;
			set_slot_note(&w->notes, (unsigned int)o->imm, n);
			c[n] = (struct candidate){
				.offset = (uint16_t)o->imm,
				.type = o->type == IR_V128 ? IR_V128 : IR_I64,
				/* Only the registers' slots are sure to have 64 bits. */
				.bad = o->type != IR_V128 && o->imm >= CPU_SLOT_X(32)};
		}
		c[n].put |= o->opc == IR_PUT;
		c[n].bad |= (o->type == IR_V128) != (c[n].type == IR_V128);
		c[n].weight = (uint16_t)(c[n].weight + 1 + (o->opc == IR_GET ? w->uses[i] : 0));
	}
	return nr;
}

static void choose(struct x64_compiler *g, struct candidate *c, unsigned int nr, bool xmm,
		   unsigned int most)
{
	for (unsigned int k = 0; k < most; k++) {
		struct candidate *best = NULL;

		for (unsigned int n = 0; n < nr; n++)
			if (!c[n].bad && (c[n].type == IR_V128) == xmm &&
			    (!best || c[n].weight > best->weight))
				best = &c[n];
		if (!best)
			return;
		best->bad = true;
		g->carried[g->nr_carried] = (struct x64_carried){
			.slot = best->offset,
			.reg = xmm ? (uint8_t)k : head_gprs[k],
			.xmm = xmm,
			.put = best->put,
			.val = (uint16_t)(g->w->b.nr_ops + g->nr_carried),
		};
		g->nr_carried++;
	}
}

static bool widens(const struct ir_op *o, ir_val v)
{
	return o->a == v && o->type == IR_I64 && (o->opc == IR_MOV || o->opc == IR_PUT);
}

/* Can every use of the GET at @i take 64 bits, of which it looks at the low half? */
static bool replaceable(const struct ir_block *b, unsigned int i, unsigned int last)
{
	if (b->op[i].type != IR_I32)
		return true;
	for (unsigned int u = i + 1; u <= last; u++)
		if (!ir_has_k(&b->op[u]) && widens(&b->op[u], (ir_val)i))
			return false;
	return true;
}

static void replace_operand(ir_val *v, unsigned int was, unsigned int is)
{
	if (*v == was)
		*v = (ir_val)is;
}

/* The GETs of the value at the loop head become the carried temp. */
static void replace_gets(struct x64_compiler *g, const struct x64_carried *k)
{
	struct ir_work *w = g->w;
	struct ir_block *b = &w->b;

	b->op[k->val] = (struct ir_op){.opc = IR_GET,
				       .type = k->xmm ? IR_V128 : IR_I64,
				       .a = IR_NONE,
				       .b = IR_NONE,
				       .c = IR_NONE,
				       .imm = k->slot};
	w->dead[k->val] = false;
	w->uses[k->val] = w->last_use[k->val] = 0;
	for (unsigned int i = 0; i < b->nr_ops; i++) {
		const struct ir_op *o = &b->op[i];

		if (w->dead[i] || (o->opc != IR_GET && o->opc != IR_PUT) || o->imm != k->slot)
			continue;
		if (o->opc == IR_PUT)
			break;
		if (!replaceable(b, i, w->last_use[i]))
			continue;
		for (unsigned int u = i + 1; u <= w->last_use[i]; u++) {
			if (ir_has_k(&b->op[u]))
				continue;
			replace_operand(&b->op[u].a, i, k->val);
			replace_operand(&b->op[u].b, i, k->val);
			replace_operand(&b->op[u].c, i, k->val);
		}
		w->dead[i] = true;
		w->uses[k->val] = (uint16_t)(w->uses[k->val] + w->uses[i]);
		if (w->last_use[k->val] < w->last_use[i])
			w->last_use[k->val] = w->last_use[i];
	}
}

void x64_loop_find(struct x64_compiler *g)
{
	struct candidate c[X64_MAX_SLOTS];
	unsigned int nr;

	g->nr_carried = 0;
	if (!suits(g))
		return;
	x64_pair_find(g);
	nr = gather(g, c);
	choose(g, c, nr, false, MOST_GPRS);
	choose(g, c, nr, true, MOST_XMMS);
	for (unsigned int n = 0; n < g->nr_carried; n++)
		replace_gets(g, &g->carried[n]);
}

void x64_loop_head(struct x64_compiler *g)
{
	for (unsigned int n = 0; n < g->nr_carried; n++)
		x64_carry(g, &g->carried[n]);
	g->head = g->b.p;
}

/* --- the back edge: all moves at once --- */

struct move {
	struct x64_loc from;
	const struct x64_carried *to;
	bool done;
};

static bool reads(const struct move *m, const struct x64_carried *to)
{
	return !m->done && m->from.kind == (to->xmm ? X64_LOC_XMM : X64_LOC_GPR) &&
	       m->from.n == to->reg;
}

static bool still_read(const struct move *m, unsigned int nr, const struct move *by)
{
	for (unsigned int n = 0; n < nr; n++)
		if (&m[n] != by && reads(&m[n], by->to))
			return true;
	return false;
}

static void emit_move(struct x64_compiler *g, struct move *m)
{
	unsigned int reg = m->to->reg;
	struct x64_mem at = x64_at(X64_CPU, (int32_t)m->from.n - X64_BIAS);

	m->done = true;
	switch (m->from.kind) {
	case X64_LOC_XMM:
		x64_rr(&g->b, X64_VMOVDQA, 0, reg, m->from.n);
		break;
	case X64_LOC_GPR:
		x64_rr(&g->b, X64_MOV, 1, reg, m->from.n);
		break;
	case X64_LOC_CONST:
		x64_mov_imm(&g->b, reg, g->consts[m->from.n]);
		break;
	default:
		if (m->to->xmm)
			x64_rm(&g->b, X64_VMOVDQU, 0, reg, at);
		else
			x64_rm(&g->b, X64_MOV, m->from.wide, reg, at);
	}
}

/* A circle of registers: one of them waits in a scratch register. */
static void break_circle(struct x64_compiler *g, struct move *m, unsigned int nr,
			 const struct x64_carried *to)
{
	unsigned int scratch = to->xmm ? X64_XSCRATCH : RAX;

	x64_rr(&g->b, to->xmm ? X64_VMOVDQA : X64_MOV, to->xmm ? 0 : 1, scratch, to->reg);
	for (unsigned int n = 0; n < nr; n++)
		if (reads(&m[n], to))
			m[n].from.n = (uint16_t)scratch;
}

static bool in_register(const struct move *m)
{
	return m->from.kind == X64_LOC_GPR || m->from.kind == X64_LOC_XMM;
}

void x64_loop_back(struct x64_compiler *g)
{
	struct move m[MOST_GPRS + MOST_XMMS];
	unsigned int nr = 0;
	bool moved;

	for (unsigned int n = 0; n < g->nr_carried; n++) {
		const struct x64_carried *k = &g->carried[n];
		struct x64_loc at = x64_slot_at(g, k->slot);

		if (at.kind == (k->xmm ? X64_LOC_XMM : X64_LOC_GPR) && at.n == k->reg)
			continue;
		m[nr++] = (struct move){at, k, false};
	}
	do {
		moved = false;
		for (unsigned int n = 0; n < nr; n++) {
			if (m[n].done || !in_register(&m[n]) || still_read(m, nr, &m[n]))
				continue;
			emit_move(g, &m[n]);
			moved = true;
		}
		for (unsigned int n = 0; n < nr && !moved; n++) {
			if (m[n].done || !in_register(&m[n]))
				continue;
			break_circle(g, m, nr, m[n].to);
			moved = true;
		}
	} while (moved);
	for (unsigned int n = 0; n < nr; n++)
		if (!m[n].done)
			emit_move(g, &m[n]);
}

/* What is dirty at the loop head goes to its slots, from the registers that it is in there. */
void x64_loop_store(struct x64_compiler *g)
{
	for (unsigned int n = 0; n < g->nr_carried; n++) {
		const struct x64_carried *k = &g->carried[n];
		struct x64_mem slot = x64_at(X64_CPU, X64_DISP(k->slot));

		if (k->put)
			x64_rm(&g->b, k->xmm ? X64_VMOVDQU_ST : X64_MOV_ST, !k->xmm, k->reg, slot);
	}
}
