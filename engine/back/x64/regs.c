/* SPDX-License-Identifier: MIT */
/*
 * Where values are: registers, handed out in one pass over the block; whose value is needed last
 * gives way.
 *
 * A PUT emits nothing: it notes which temp its slot holds. The slot is "dirty" until that is stored
 * to it, which happens on the ways out (in stubs), in the C functions of rows (by the state map),
 * or when the register is needed for something else. A GET emits nothing either: the temp is in the
 * slot until somebody uses it.
 *
 * What must hold:
 *  - A temp whose value is needed (g->end) has it in a register, in memory at val.mem, or is a
 *    constant, or is what EFLAGS hold.
 *  - When a slot gets another value, temps whose only place is the slot's memory are loaded first.
 *  - Nothing here changes EFLAGS.
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "engine/back/x64/x64.h"

static const uint8_t gprs[] = {RBX, RSI, RDI, R8, R9, R10, R11, R15};
#define NR_XMMS 13

static bool is_xmm(const struct x64_compiler *g, ir_val v)
{
	const struct ir_op *o = &g->w->b.op[v];

	return ir_result_type(o) == IR_V128;
}

static bool is_const(const struct x64_compiler *g, ir_val v)
{
	return g->w->b.op[v].opc == IR_CONST;
}

/* The type of a value, which a PUT that narrows has, too. */
static unsigned int type_of(const struct x64_compiler *g, ir_val v)
{
	const struct ir_op *o = &g->w->b.op[v];

	return o->opc == IR_PUT ? (unsigned int)IR_I32 : ir_result_type(o);
}

static uint16_t *holders(struct x64_compiler *g, bool xmm)
{
	return xmm ? g->in_xmm : g->in_gpr;
}

static uint32_t *locks(struct x64_compiler *g, bool xmm)
{
	return xmm ? &g->locked_xmm : &g->locked_gpr;
}

static bool needed(const struct x64_compiler *g, ir_val v)
{
	return g->end[v] >= g->i;
}

bool x64_dies(const struct x64_compiler *g, ir_val v)
{
	return g->end[v] <= g->i;
}

/* --- slots --- */

static struct x64_slot *find_slot(struct x64_compiler *g, unsigned int offset)
{
	uint16_t n = slot_note(&g->w->notes, offset, X64_NOTHING);

	return n == X64_NOTHING ? NULL : &g->slots[n];
}

static struct x64_slot *slot_of(struct x64_compiler *g, unsigned int offset)
{
	struct x64_slot *s = find_slot(g, offset);

	if (s)
		return s;
	if (g->nr_slots == X64_MAX_SLOTS) {
		g->full = true;
		return &g->slots[0];
	}
	s = &g->slots[g->nr_slots];
	*s = (struct x64_slot){
		.offset = (uint16_t)offset, .val = X64_NOTHING, .memval = X64_NOTHING};
	set_slot_note(&g->w->notes, offset, (uint16_t)g->nr_slots++);
	return s;
}

static void mem_is_slot(struct x64_compiler *g, ir_val v, struct x64_slot *s)
{
	g->val[v].mem = X64_DISP(s->offset);
	g->val[v].mem_next = s->memval;
	s->memval = v;
}

/* --- moving values --- */

static void load(struct x64_compiler *g, unsigned int reg, ir_val v)
{
	struct x64_mem m = x64_at(X64_CPU, g->val[v].mem);

	assert(g->val[v].mem != X64_NO_MEM);
	switch (type_of(g, v)) {
	case IR_V128:
		x64_rm(&g->b, X64_VMOVDQU, 0, reg, m);
		break;
	case IR_I64:
		x64_rm(&g->b, X64_MOV, 1, reg, m);
		break;
	default:
		x64_rm(&g->b, X64_MOV, 0, reg, m);
	}
}

static void store(struct x64_compiler *g, int32_t mem, unsigned int reg, ir_val v,
		  unsigned int size)
{
	struct x64_mem m = x64_at(X64_CPU, mem);

	if (is_xmm(g, v))
		x64_rm(&g->b, X64_VMOVDQU_ST, 0, reg, m);
	else
		x64_rm(&g->b, X64_MOV_ST, size == 8, reg, m);
}

static unsigned int slot_size(const struct x64_slot *s)
{
	return s->type == IR_V128 ? 16 : s->type == IR_FLAGS ? 4 : 8;
}

static void spill(struct x64_compiler *g, ir_val v)
{
	struct x64_val *at = &g->val[v];

	for (unsigned int n = 0; n < X64_NR_SPILLS; n++) {
		if (g->spill_busy[n])
			continue;
		g->spill_busy[n] = 1;
		at->spill = (uint16_t)(n + 1);
		at->mem = X64_DISP(X64_SPILL_OFFSET(n));
		store(g, at->mem, at->reg, v, 8);
		return;
	}
	g->full = true;
}

/* The dirty slot that holds @v, or NULL. */
static struct x64_slot *dirty_slot(struct x64_compiler *g, ir_val v)
{
	for (unsigned int n = 0; n < g->nr_slots; n++)
		if (g->slots[n].dirty && g->slots[n].val == v)
			return &g->slots[n];
	return NULL;
}

/* The value in @reg moves to memory, if it is needed and is not there. */
static void evict(struct x64_compiler *g, unsigned int reg, bool xmm)
{
	ir_val v = holders(g, xmm)[reg];
	struct x64_slot *s;

	if (v == X64_NOTHING)
		return;
	if (needed(g, v) && !is_const(g, v) && g->val[v].mem == X64_NO_MEM) {
		s = dirty_slot(g, v);
		/* An I32 value in a slot of 64 bits is whole: its upper half is zero. */
		if (s && s->memval == X64_NOTHING && s->type != IR_FLAGS && !g->no_home) {
			store(g, X64_DISP(s->offset), reg, v, slot_size(s));
			s->dirty = false;
			mem_is_slot(g, v, s);
		} else {
			spill(g, v);
		}
	}
	g->val[v].reg = X64_IN_NO_REG;
	holders(g, xmm)[reg] = X64_NOTHING;
}

static unsigned int candidates(const struct x64_compiler *g, bool xmm, unsigned int n)
{
	return xmm ? n : gprs[n];
}

/* A register that nobody has locked, emptied. */
static unsigned int take(struct x64_compiler *g, bool xmm)
{
	unsigned int nr = xmm ? NR_XMMS : sizeof(gprs), best = X64_IN_NO_REG;
	uint32_t far = 0;

	for (unsigned int n = 0; n < nr; n++) {
		unsigned int reg = candidates(g, xmm, n);
		ir_val v = holders(g, xmm)[reg];

		if (*locks(g, xmm) >> reg & 1)
			continue;
		if (v == X64_NOTHING || !needed(g, v)) {
			best = reg;
			break;
		}
		uint32_t distance = 1 + g->next_use[v] + (g->val[v].mem != X64_NO_MEM);

		if (distance > far) {
			far = distance;
			best = reg;
		}
	}
	if (best == X64_IN_NO_REG) {
		g->full = true;
		return candidates(g, xmm, 0);
	}
	evict(g, best, xmm);
	return best;
}

static void put_in(struct x64_compiler *g, unsigned int reg, ir_val v, bool xmm)
{
	holders(g, xmm)[reg] = v;
	g->val[v].reg = (uint8_t)reg;
	*locks(g, xmm) |= 1u << reg;
}

/* --- for the generators --- */

void x64_regs_begin(struct x64_compiler *g)
{
	forget_slot_notes(&g->w->notes);
	g->nr_slots = 0;
	for (unsigned int i = 0; i < 16; i++)
		g->in_gpr[i] = g->in_xmm[i] = X64_NOTHING;
	for (unsigned int i = 0; i < g->w->b.nr_ops + g->nr_carried + g->nr_addends; i++)
		g->val[i] = (struct x64_val){.reg = X64_IN_NO_REG, .mem = X64_NO_MEM};
	memset(g->spill_busy, 0, sizeof(g->spill_busy));
	g->locked_gpr = g->locked_xmm = 0;
	g->eflags = X64_NOTHING;
}

static void forget(struct x64_compiler *g, ir_val v)
{
	struct x64_val *at = &g->val[v];

	if (at->reg != X64_IN_NO_REG)
		holders(g, is_xmm(g, v))[at->reg] = X64_NOTHING;
	at->reg = X64_IN_NO_REG;
	if (at->spill)
		g->spill_busy[at->spill - 1] = 0;
	at->spill = 0;
}

void x64_regs_end_op(struct x64_compiler *g)
{
	const struct ir_op *o = &g->w->b.op[g->i];

	g->locked_gpr = g->locked_xmm = 0;
	if (!ir_has_k(o)) {
		const ir_val v[3] = {o->a, o->b, o->c};

		for (unsigned int k = 0; k < 3; k++) {
			if (v[k] == IR_NONE)
				continue;
			if (o->opc != IR_PUT)
				g->next_use[v[k]] = g->next[g->i][k];
			if (g->end[v[k]] <= g->i)
				forget(g, v[k]);
		}
	}
	g->next_use[g->i] = g->first[g->i];
}

void x64_uses_next(struct x64_compiler *g, ir_val v, unsigned int i)
{
	g->next_use[v] = (uint16_t)i;
}

unsigned int x64_use(struct x64_compiler *g, ir_val v)
{
	struct x64_val *at = &g->val[v];

	if (at->reg == X64_IN_NO_REG) {
		unsigned int reg = take(g, false);

		if (is_const(g, v))
			x64_mov_imm(&g->b, reg, g->w->b.op[v].k);
		else
			load(g, reg, v);
		put_in(g, reg, v, false);
	}
	g->locked_gpr |= 1u << at->reg;
	return at->reg;
}

unsigned int x64_use_xmm(struct x64_compiler *g, ir_val v)
{
	struct x64_val *at = &g->val[v];

	if (at->reg == X64_IN_NO_REG) {
		unsigned int reg = take(g, true);

		load(g, reg, v);
		put_in(g, reg, v, true);
	}
	g->locked_xmm |= 1u << at->reg;
	return at->reg;
}

bool x64_imm32(const struct x64_compiler *g, ir_val v, unsigned int type, int32_t *imm)
{
	if (v == IR_NONE || !is_const(g, v))
		return false;
	uint64_t k = g->w->b.op[v].k;

	if (type != IR_I32 && (int64_t)k != (int32_t)k)
		return false;
	*imm = (int32_t)k;
	return true;
}

unsigned int x64_def_as(struct x64_compiler *g, ir_val v)
{
	unsigned int reg = take(g, false);

	put_in(g, reg, v, false);
	return reg;
}

unsigned int x64_def_xmm_as(struct x64_compiler *g, ir_val v)
{
	unsigned int reg = take(g, true);

	put_in(g, reg, v, true);
	return reg;
}

unsigned int x64_def(struct x64_compiler *g)
{
	return x64_def_as(g, (ir_val)g->i);
}

unsigned int x64_def_xmm(struct x64_compiler *g)
{
	return x64_def_xmm_as(g, (ir_val)g->i);
}

static unsigned int def_on(struct x64_compiler *g, ir_val a, bool xmm, bool *same)
{
	unsigned int reg = g->val[a].reg;

	*same = reg != X64_IN_NO_REG && (is_const(g, a) || x64_dies(g, a));
	if (!*same)
		return xmm ? x64_def_xmm(g) : x64_def(g);
	g->val[a].reg = X64_IN_NO_REG;
	put_in(g, reg, (ir_val)g->i, xmm);
	return reg;
}

unsigned int x64_def_on(struct x64_compiler *g, ir_val a, bool *same)
{
	return def_on(g, a, false, same);
}

unsigned int x64_def_xmm_on(struct x64_compiler *g, ir_val a, bool *same)
{
	return def_on(g, a, true, same);
}

struct x64_loc x64_where(struct x64_compiler *g, ir_val v)
{
	const struct x64_val *at;

	if (v == IR_NONE)
		return (struct x64_loc){.kind = X64_LOC_NONE};
	at = &g->val[v];
	if (is_const(g, v))
		return (struct x64_loc){.kind = X64_LOC_CONST,
					.n = x64_constant(g, g->w->b.op[v].k)};
	if (at->reg != X64_IN_NO_REG)
		return (struct x64_loc){.kind = is_xmm(g, v) ? X64_LOC_XMM : X64_LOC_GPR,
					.wide = type_of(g, v) != IR_I32 &&
						type_of(g, v) != IR_FLAGS,
					.n = at->reg};
	return (struct x64_loc){.kind = X64_LOC_MEM,
				.wide = type_of(g, v) != IR_I32 && type_of(g, v) != IR_FLAGS,
				.n = (uint16_t)(at->mem + X64_BIAS)};
}

/* --- state --- */

/* @s is about to get another value: temps that are only there move. */
static void rescue(struct x64_compiler *g, struct x64_slot *s)
{
	for (ir_val v = s->memval; v != X64_NOTHING; v = g->val[v].mem_next) {
		if (g->val[v].mem != X64_DISP(s->offset))
			continue;
		if (needed(g, v) && g->val[v].reg == X64_IN_NO_REG) {
			if (is_xmm(g, v))
				x64_use_xmm(g, v);
			else
				x64_use(g, v);
		}
		g->val[v].mem = X64_NO_MEM;
	}
	s->memval = X64_NOTHING;
}

/* The value that a dirty slot's memory is to get, if it is a constant. */
static uint64_t slot_constant(const struct x64_compiler *g, const struct x64_slot *s)
{
	uint64_t k = g->w->b.op[s->val].k;

	return s->type == IR_I32 ? (uint32_t)k : k;
}

void x64_carry(struct x64_compiler *g, const struct x64_carried *k)
{
	struct x64_slot *s = slot_of(g, k->slot);

	s->type = k->xmm ? IR_V128 : IR_I64;
	s->val = k->val;
	mem_is_slot(g, k->val, s);
	load(g, k->reg, k->val);
	put_in(g, k->reg, k->val, k->xmm);
	*locks(g, k->xmm) = 0;
	g->next_use[k->val] = g->first[k->val];
	if (!k->put)
		return;
	s->dirty = true;
	s->memval = X64_NOTHING;
	g->val[k->val].mem = X64_NO_MEM;
}

struct x64_loc x64_slot_at(struct x64_compiler *g, unsigned int offset)
{
	const struct x64_slot *s = find_slot(g, offset);
	struct x64_loc at = x64_where(g, s->val);

	if (is_const(g, s->val))
		at.n = x64_constant(g, slot_constant(g, s));
	return at;
}

void x64_rescue_all(struct x64_compiler *g)
{
	for (unsigned int n = 0; n < g->nr_slots; n++)
		rescue(g, &g->slots[n]);
	g->locked_gpr = g->locked_xmm = 0;
}

void x64_get(struct x64_compiler *g)
{
	const struct ir_op *o = &g->w->b.op[g->i];
	struct x64_slot *s = slot_of(g, (unsigned int)o->imm);
	ir_val v = s->val;

	if (v == X64_NOTHING || !s->dirty) {
		if (o->type == IR_FLAGS)
			x64_flags_settle(g);
		mem_is_slot(g, (ir_val)g->i, s);
		if (v == X64_NOTHING) {
			s->type = o->type;
			s->val = (uint16_t)g->i;
		}
		return;
	}
	/* What forward did not see: of another width. The slot has an I32 value zero-extended. */
	if (o->type == IR_V128) {
		unsigned int from = x64_use_xmm(g, v);

		x64_rr(&g->b, X64_VMOVDQA, 0, x64_def_xmm(g), from);
	} else if (o->type == IR_FLAGS) {
		/* Another name of the same flags: packed. */
		if (!x64_flags_again(&g->w->b, v) && g->eflags == v)
			x64_flags_clobber(g);
		if (x64_flags_again(&g->w->b, v)) {
			x64_flags_clobber(g);
			x64_flags_pack(g, v, x64_def(g));
		} else {
			unsigned int from = x64_use(g, v);

			x64_rr(&g->b, X64_MOV, 0, x64_def(g), from);
		}
	} else {
		unsigned int from = x64_use(g, v);

		x64_rr(&g->b, X64_MOV, o->type == IR_I64 && type_of(g, v) == IR_I64, x64_def(g),
		       from);
	}
}

void x64_put(struct x64_compiler *g)
{
	const struct ir_op *o = &g->w->b.op[g->i];
	struct x64_slot *s = slot_of(g, (unsigned int)o->imm);
	ir_val v = o->a;

	rescue(g, s);
	if (o->type == IR_I32 && g->w->b.op[v].type == IR_I64 && !is_const(g, v)) {
		unsigned int from = x64_use(g, v);

		v = (ir_val)g->i;
		x64_rr(&g->b, X64_MOV, 0, x64_def_as(g, v), from);
	}
	s->type = o->type;
	s->val = v;
	s->dirty = true;
}

static void store_constant(struct x64_compiler *g, struct x64_mem m, uint64_t k)
{
	if ((int64_t)k == (int32_t)k) {
		x64_mi(&g->b, X64_MOV_I, 1, m, (int32_t)k);
	} else {
		x64_mov_imm(&g->b, RAX, k);
		x64_rm(&g->b, X64_MOV_ST, 1, RAX, m);
	}
}

/* By way of rax and xmm15; flags that only EFLAGS hold are packed last. */
static bool carried(const struct x64_compiler *g, unsigned int offset)
{
	for (unsigned int n = 0; n < g->nr_carried; n++)
		if (g->carried[n].slot == offset)
			return true;
	return false;
}

void x64_store_dirty(struct x64_compiler *g, bool back)
{
	struct x64_slot *flags = NULL;

	for (unsigned int n = 0; n < g->nr_slots; n++) {
		struct x64_slot *s = &g->slots[n];
		struct x64_mem m = x64_at(X64_CPU, X64_DISP(s->offset));
		struct x64_val *at;

		if (!s->dirty || (back && carried(g, s->offset)))
			continue;
		if (s->type == IR_FLAGS) {
			flags = s;
			continue;
		}
		at = &g->val[s->val];
		if (is_const(g, s->val)) {
			store_constant(g, m, slot_constant(g, s));
		} else if (at->reg != X64_IN_NO_REG) {
			store(g, m.disp, at->reg, s->val, slot_size(s));
		} else if (at->mem != X64_NO_MEM && s->type == IR_V128) {
			x64_rm(&g->b, X64_VMOVDQU, 0, X64_XSCRATCH, x64_at(X64_CPU, at->mem));
			x64_rm(&g->b, X64_VMOVDQU_ST, 0, X64_XSCRATCH, m);
		} else {
			/* A spilled I32 value is zero-extended there, too. */
			x64_rm(&g->b, X64_MOV, s->type == IR_I64 && type_of(g, s->val) == IR_I64,
			       RAX, x64_at(X64_CPU, at->mem));
			x64_rm(&g->b, X64_MOV_ST, 1, RAX, m);
		}
	}
	if (flags)
		x64_flags_store(g, flags->val);
}

void x64_map_dirty(struct x64_compiler *g, uint32_t *first, uint16_t *nr)
{
	*first = g->nr_dirty;
	for (unsigned int n = 0; n < g->nr_slots; n++) {
		struct x64_slot *s = &g->slots[n];

		if (!s->dirty)
			continue;
		if (g->nr_dirty == X64_MAX_DIRTY) {
			g->full = true;
			break;
		}
		struct x64_dirty *d = &g->dirty[g->nr_dirty++];

		*d = (struct x64_dirty){.slot = s->offset,
					.size = (uint8_t)slot_size(s),
					.value = s->type == IR_FLAGS ? x64_flags_where(g, s->val)
								     : x64_where(g, s->val)};
		if (is_const(g, s->val))
			d->value.n = x64_constant(g, slot_constant(g, s));
	}
	*nr = (uint16_t)(g->nr_dirty - *first);
}

/* Memory has what the slots hold; registers keep it, too. */
void x64_stored(struct x64_compiler *g)
{
	for (unsigned int n = 0; n < g->nr_slots; n++) {
		struct x64_slot *s = &g->slots[n];

		if (s->dirty && s->type != IR_FLAGS && !is_const(g, s->val) &&
		    g->val[s->val].mem == X64_NO_MEM)
			mem_is_slot(g, s->val, s);
		s->dirty = false;
	}
}

void x64_forget_slots(struct x64_compiler *g)
{
	g->nr_slots = 0;
	forget_slot_notes(&g->w->notes);
}
