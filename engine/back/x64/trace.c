/* SPDX-License-Identifier: MIT */
/*
 * Hot loops of several blocks become one block.
 *
 * An exit that leads backwards within its page counts. When it has been taken often, the next round
 * from where it leads is run block by block, each translated for this once, and the way that it
 * takes is noted. If it comes back to where it began, that way is translated as one block, whose
 * back edge leads to itself (loop.c), and takes the place of the block that was there. Where the
 * guest goes another way it leaves through a side exit as before. A short loop, be it of one block,
 * becomes several rounds of itself.
 */
#include "engine/back/x64/x64.h"
#include "engine/code/dispatch.h"
#include "engine/private.h"

#define MOST_INSNS     (IR_MAX_INSNS - 4)
#define UNROLLED_INSNS 40

/*
 * How often an exit is taken before somebody looks: at first, and how much longer after each try,
 * since the way that was taken then may have been a rare one. A loop that goes many ways is left in
 * peace in the end.
 */
#define HOT        200
#define PATIENCE   4 /* times 2 to this */
#define MOST_TRIES 3
#define NEVER      0x7fffffff

struct recording {
	uint64_t head;
	uint32_t mode;
	const struct xtlb_entry *line;
	struct ir_path path;
	unsigned int nr_insns;
};

void x64_counters_reset(struct x64_cpu *x)
{
	for (unsigned int n = 0; n < X64_NR_COUNTERS; n++)
		x->counter[n] = HOT;
}

/* Run the block at PC, and no further. X64_RECORDED: it has ended. */
static uint64_t run_once(struct cpu *cpu, const struct x64_machine *m, struct translation *t)
{
	const struct x64_block *b = x64_block_of(t);
	uint64_t reason;

	/* Ways on that are not exits lead to x64_dispatch(), too. */
	atomic_store(&cpu->remote.stop, 0);
	x64_cpu(cpu)->recording = true;
	reason = m->enter(cpu, b->code + b->near);
	x64_cpu(cpu)->recording = false;
	return reason;
}

/* One block of the way. *@reason is X64_RECORDED while the guest stays where it is. */
static bool record_block(struct cpu *cpu, struct recording *r, uint64_t *reason)
{
	struct code_cache *c = cache_of(cpu);
	uint64_t pc = cpu->pc, before = cpu->icount, ran;
	struct translation *t;

	if (r->path.nr == IR_MAX_RUNS || r->nr_insns >= MOST_INSNS ||
	    translate_block(engine_of(cpu)->translator, r->line->host, pc & ~TLB_PAGE_MASK,
			    cpu->mode, MOST_INSNS - r->nr_insns, &t))
		return false;
	*reason = run_once(cpu, c->back_data, t);
	c->back->release(c, t);
	ran = cpu->icount - before;
	if (*reason != X64_RECORDED || !ran || ran > MOST_INSNS - r->nr_insns ||
	    cpu->mode != r->mode || ((cpu->pc ^ r->head) & TLB_PAGE_MASK))
		return false;
	r->path.run[r->path.nr].offset = (uint16_t)(pc & ~TLB_PAGE_MASK);
	r->path.run[r->path.nr++].nr_insns = (uint16_t)ran;
	r->nr_insns += (unsigned int)ran;
	return true;
}

/*
 * Several rounds of a short loop: one probe serves the accesses of all, and the kick is looked at
 * once. False: there is one round of one block, which is what the loop is already.
 */
static bool unroll(struct recording *r)
{
	unsigned int runs = r->path.nr, insns = r->nr_insns;

	while (r->path.nr + runs <= IR_MAX_RUNS && r->nr_insns + insns <= UNROLLED_INSNS) {
		for (unsigned int n = 0; n < runs; n++)
			r->path.run[r->path.nr++] = r->path.run[n];
		r->nr_insns += insns;
	}
	return r->path.nr > 1;
}

/* The way was taken round: let it be one block. */
static void make(struct cpu *cpu, const struct recording *r, uint32_t tries)
{
	struct code_page *page = r->line->page;
	struct translation *t;

	if (!page ||
	    translate_path(engine_of(cpu)->translator, r->line->host, &r->path, r->mode, &t))
		return;
	atomic_store_explicit(&x64_block_of(t)->tries, tries, memory_order_relaxed);
	cache_replace(cache_of(cpu), page, t);
}

static bool may_record(const struct cpu *cpu)
{
	return !(cpu->mode & (CPU_MODE_STEP | CPU_MODE_PMU_BR)) &&
	       !engine_of(cpu)->translator->work.plain && !cache_full(cache_of(cpu));
}

const uint8_t *x64_record(struct cpu *cpu, uint32_t counter)
{
	struct recording r = {.head = cpu->pc, .mode = cpu->mode};
	uint64_t reason = X64_RECORDED;
	uint32_t tries;
	struct x64_block *now;

	x64_cpu(cpu)->counter[counter] = NEVER;
	if (!may_record(cpu))
		return x64_dispatch(cpu);
	/* And the page's line is there, which the guest's fetches go through. */
	now = x64_block_of(dispatch_find(cpu));
	if (!now || cpu->pc != r.head)
		return x64_dispatch(cpu);
	tries = atomic_load_explicit(&now->tries, memory_order_relaxed);
	if (tries >= MOST_TRIES)
		return x64_dispatch(cpu);
	/* Of two vCPUs that try at once one may not be counted. */
	atomic_store_explicit(&now->tries, ++tries, memory_order_relaxed);
	x64_cpu(cpu)->counter[counter] = HOT << PATIENCE * tries;
	r.line = &cpu->bank->x[xtlb_index(cpu->pc)];
	if (r.line->tag != (cpu->pc & TLB_PAGE_MASK))
		return x64_dispatch(cpu);
	while (record_block(cpu, &r, &reason)) {
		if (cpu->pc != r.head)
			continue;
		if (unroll(&r))
			make(cpu, &r, tries);
		break;
	}
	if (reason != X64_RECORDED)
		return x64_stop(cpu, (enum cpu_exit_reason)reason);
	return x64_dispatch(cpu);
}
