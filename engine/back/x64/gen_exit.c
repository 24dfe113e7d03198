/* SPDX-License-Identifier: MIT */
/*
 * Ways out of a block.
 *
 * An exit to a known place jumps there directly once it is linked. Within the page that is the near
 * entry of the other translation; to another page r13 becomes that page's address, and the far
 * entry compares the execute TLB's line with the translation's page. While an exit is not linked
 * its jump leads to a few instructions that call x64_link().
 */
#include <stddef.h>

#include "cpu/arch.h"
#include "engine/back/x64/x64.h"

static void thunk_jump(struct x64_compiler *g, enum x64_thunk thunk)
{
	x64_m(&g->b, X64_JMP_IND, 1, x64_at(X64_CPU, X64_AREA(thunk) + 8 * (int32_t)thunk));
}

static void count_retired(struct x64_compiler *g, unsigned int n)
{
	x64_rm(&g->b, X64_LEA, 1, X64_ICOUNT, x64_at(X64_ICOUNT, (int32_t)n));
}

/* The jump that is taken when the vCPU has to leave. */
static uint8_t *kick_test(struct x64_compiler *g)
{
	x64_rm(&g->b, X64_CMP, 1, X64_ICOUNT,
	       x64_at(X64_CPU, X64_DISP(offsetof(struct cpu, remote.stop))));
	return x64_jcc(&g->b, X64_AE);
}

/* Blocks share counters by chance. */
static uint16_t new_counter(struct x64_compiler *g)
{
	g->next_counter = (uint16_t)((g->next_counter + 1) % X64_NR_COUNTERS);
	return g->next_counter;
}

struct way {
	int32_t delta;        /* where it leads, bytes from the block's start */
	unsigned int retired; /* on the way */
	bool far;             /* mappings may have changed: the far entry, whatever the page */
	bool back;            /* the block's own back edge */
};

/*
 * All of an exit but the stores of state and the count, into whatever part is being emitted.
 */
static void emit_way(struct x64_compiler *g, const struct way *w)
{
	int64_t page = ((int64_t)g->w->b.pc_offset + w->delta) & ~(int64_t)0xfff;
	struct x64_exit_info *x;
	uint8_t *from = NULL;
	bool kicks = page || w->far || w->delta <= 0, counts;
	uint8_t *hot = NULL;

	if (g->nr_exits == X64_MAX_EXITS) {
		g->full = true;
		return;
	}
	x = &g->exits[g->nr_exits];
	x->delta = w->delta;
	x->far = page || w->far;
	counts = w->delta <= 0 && !x->far && !(w->back && g->w->b.path) && !g->w->plain &&
		 !(g->w->b.mode & (CPU_MODE_STEP | CPU_MODE_PMU_BR));
	x->counter = counts ? new_counter(g) : X64_NO_COUNTER;
	if (page)
		x64_rm(&g->b, X64_LEA, 1, X64_PAGE, x64_at(X64_PAGE, (int32_t)page));
	if (kicks)
		from = kick_test(g);
	if (counts) {
		x64_mi(&g->b, X64_SUB_I, 0,
		       x64_at(X64_CPU, X64_AREA(counter) + 4 * (int32_t)x->counter), 1);
		hot = x64_jcc(&g->b, X64_E);
	}
	x->jump = x64_jmp(&g->b, true);
	x->unlinked = g->b.p;
	x64_patch(x->jump, g->b.p);
	x64_patch(from, g->b.p);
	x64_patch(hot, g->b.p);
	if (w->back)
		x64_loop_store(g);
	x64_thunk_args(g, g->nr_exits++);
	thunk_jump(g, X64_THUNK_LINK);
}

static void emit_exit(struct x64_compiler *g, const struct ir_op *o)
{
	struct way w = {.delta = o->imm,
			.retired = o->insn + 1u,
			.back = g->nr_carried && x64_is_back_edge(o)};

	x64_store_dirty(g, w.back);
	if (w.back)
		x64_loop_back(g);
	count_retired(g, w.retired);
	emit_way(g, &w);
}

void x64_gen_side(struct x64_compiler *g, const struct ir_op *o)
{
	enum x64_cc cc;
	unsigned int a;
	uint8_t *jump;

	switch (o->opc) {
	case IR_BCC:
		cc = x64_flags_test(g, o->a, (enum ir_cond)o->aux);
		break;
	case IR_CBZ:
	case IR_CBNZ:
		x64_flags_clobber(g);
		a = x64_use(g, o->a);
		x64_rr(&g->b, X64_TEST, o->type == IR_I64, a, a);
		cc = o->opc == IR_CBZ ? X64_E : X64_NE;
		break;
	default:
		x64_flags_clobber(g);
		a = x64_use(g, o->a);
		x64_ri(&g->b, X64_BT_I, 1, a, o->aux);
		cc = o->opc == IR_TBZ ? X64_AE : X64_B;
	}
	jump = x64_jcc(&g->b, cc);
	x64_cold(g);
	x64_cross(g, jump, g->b.p);
	emit_exit(g, o);
	x64_hot(g);
}

void x64_gen_jump(struct x64_compiler *g, const struct ir_op *o)
{
	emit_exit(g, o);
}

/* By a line that remembers where a PC led. */
void x64_gen_jump_ind(struct x64_compiler *g, const struct ir_op *o)
{
	int32_t lines = X64_AREA(lines);
	uint8_t *from, *miss[2];
	unsigned int a;

	a = x64_use(g, o->a);
	x64_store_dirty(g, false);
	x64_rr(&g->b, X64_MOV, 1, RAX, a);
	count_retired(g, o->insn + 1u);
	from = kick_test(g);
	x64_rr(&g->b, X64_MOV, 0, RCX, RAX);
	x64_ri(&g->b, X64_AND_I, 0, RCX, 4 * ((1 << X64_LINE_BITS) - 1));
	x64_rm(&g->b, X64_CMP, 1, RAX,
	       x64_at_index(X64_CPU, RCX, 3, lines + (int32_t)offsetof(struct x64_line, pc)));
	miss[0] = x64_jcc(&g->b, X64_NE);
	x64_rm(&g->b, X64_MOV, 1, RDX, x64_at(X64_BANK, offsetof(struct tlb_bank, fetches)));
	x64_ri(&g->b, X64_OR_I, 1, RDX, (int32_t)g->w->b.mode);
	x64_rm(&g->b, X64_CMP, 1, RDX,
	       x64_at_index(X64_CPU, RCX, 3, lines + (int32_t)offsetof(struct x64_line, key)));
	miss[1] = x64_jcc(&g->b, X64_NE);
	x64_rr(&g->b, X64_MOV, 1, X64_PAGE, RAX);
	x64_ri(&g->b, X64_AND_I, 1, X64_PAGE, -4096);
	x64_m(&g->b, X64_JMP_IND, 1,
	      x64_at_index(X64_CPU, RCX, 3, lines + (int32_t)offsetof(struct x64_line, entry)));
	if (g->b.full)
		return;
	x64_patch(from, g->b.p);
	x64_patch(miss[0], g->b.p);
	x64_patch(miss[1], g->b.p);
	thunk_jump(g, X64_THUNK_DISPATCH);
}

/* Note the way out; false: there is no room. */
static bool new_leave(struct x64_compiler *g, const struct x64_leave *l)
{
	if (g->nr_leaves == X64_MAX_LEAVES) {
		g->full = true;
		return false;
	}
	g->leaves[g->nr_leaves++] = *l;
	return true;
}

static void leave(struct x64_compiler *g, const struct x64_leave *l, unsigned int retired)
{
	if (!new_leave(g, l))
		return;
	x64_store_dirty(g, false);
	count_retired(g, retired);
	x64_thunk_args(g, g->nr_leaves - 1);
	thunk_jump(g, X64_THUNK_LEAVE);
}

/*
 * A context synchronisation: where nothing has come of it (no interrupt, the same mode), the next
 * instruction follows as after an exit to another page. C looks at the rest.
 */
static void synchronise(struct x64_compiler *g, const struct x64_leave *l, const struct way *w)
{
	uint8_t *from[3];
	unsigned int nr = 0, n;

	if (!new_leave(g, l))
		return;
	n = g->nr_leaves - 1;
	x64_store_dirty(g, false);
	count_retired(g, w->retired);
	if (l->aux == IR_LEAVE_DAIF) {
		x64_mi(&g->b, X64_TEST_I, 0, x64_at(X64_CPU, X64_DISP(CPU_SLOT(sys.mdscr))),
		       MDSCR_SS | MDSCR_KDE | MDSCR_MDE);
		from[nr++] = x64_jcc(&g->b, X64_NE);
	}
	x64_mi(&g->b, X64_CMP_I, 0, x64_at(X64_CPU, X64_DISP(offsetof(struct cpu, remote.pins))),
	       0);
	from[nr++] = x64_jcc(&g->b, X64_NE);
	x64_mi(&g->b, X64_CMP_I, 0, x64_at(X64_CPU, X64_DISP(CPU_SLOT(mode))),
	       (int32_t)g->w->b.mode);
	from[nr++] = x64_jcc(&g->b, X64_NE);
	x64_cold(g);
	for (unsigned int k = 0; k < nr; k++)
		x64_cross(g, from[k], g->b.p);
	x64_thunk_args(g, n);
	thunk_jump(g, X64_THUNK_LEAVE);
	x64_hot(g);
	emit_way(g, w);
}

void x64_gen_exception(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int done = o->insn + (o->aux ? 1u : 0u);

	leave(g,
	      &(struct x64_leave){.opc = IR_EXCEPTION,
				  .delta = (int32_t)(g->w->b.pc_offset + g->w->b.insn_offset[done]),
				  .imm = (uint32_t)o->imm},
	      done);
}

void x64_gen_leave(struct x64_compiler *g, const struct ir_op *o)
{
	/* Where PC stays at the instruction, whoever serves the exit completes and counts it. */
	unsigned int done = o->insn + (o->aux == IR_LEAVE_SMC ? 0u : 1u);
	uint16_t offset = g->w->b.insn_offset[done];
	const struct x64_leave l = {.opc = IR_LEAVE,
				    .aux = o->aux,
				    .delta = (int32_t)(g->w->b.pc_offset + offset),
				    .imm = (uint32_t)o->imm};

	if ((o->aux == IR_LEAVE_SYNC || o->aux == IR_LEAVE_DAIF || o->aux == IR_LEAVE_YIELD) &&
	    !(g->w->b.mode & CPU_MODE_STEP))
		synchronise(g, &l, &(struct way){.delta = offset, .retired = done, .far = true});
	else
		leave(g, &l, done);
}
