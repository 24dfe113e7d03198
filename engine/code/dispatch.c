/* SPDX-License-Identifier: MIT */
/* Dispatch: see dispatch.h. */
#include <errno.h>

#include "engine/code/dispatch.h"
#include "engine/front/front.h"
#include "engine/private.h"

#define SHORTEST 7 /* IR_MAX_INSNS halved so often is nothing */

int translate(struct cpu *cpu, struct code_page *page, const uint8_t *host, uint32_t offset,
	      struct translation **made)
{
	struct code_cache *c = cache_of(cpu);
	struct engine_cpu *e = engine_of(cpu);
	unsigned int shorter = e->changes < SHORTEST ? e->changes : SHORTEST;

	if (cache_full(c))
		return -ENOSPC;
	/*
	 * Another vCPU that keeps writing behind this instruction must not keep it from being
	 * executed.
	 */
	int rc = translate_block(e->translator, host, offset, cpu->mode,
				 (IR_MAX_INSNS >> shorter) | 1, made);

	if (rc)
		return rc;
	*made = cache_insert(c, page, *made);
	if (*made)
		return 0;
	return atomic_load_explicit(&page->dropped, memory_order_relaxed) ? -ESTALE : -EAGAIN;
}

/*
 * The code at PC cannot be entered; engine_run() will see why, at the kick that is asked for here.
 */
static struct translation *fail(struct cpu *cpu, int error)
{
	engine_of(cpu)->error = error;
	cpu_request(cpu, CPU_REQ_SAFE);
	return NULL;
}

/*
 * The execute TLB's line for cpu->pc, or NULL: an abort was taken (PC has changed), or the host has
 * no memory where the page tables are.
 */
static struct xtlb_entry *fetch_line(struct cpu *cpu)
{
	struct xtlb_entry *x = &cpu->bank->x[xtlb_index(cpu->pc)];
	uint64_t misaligned = cpu->pc & (front_of(cpu->mode)->insn_align - 1);
	int rc;

	/* A pending Software Step exception is found by the fetch. */
	if (x->tag == (cpu->pc & TLB_PAGE_MASK) && !misaligned && !(cpu->mode & CPU_MODE_STEP))
		return x;
	rc = access_fetch(cpu, &x);
	if (rc == CPU_EXIT_NONE)
		return x;
	if (rc == CPU_EXIT_ERROR)
		fail(cpu, -(int)cpu->exit.imm);
	else
		cpu_take_fault(cpu);
	return NULL;
}

/*
 * Let @x have its code page, whose translations are what memory has (engine_user_wrote()). False:
 * the host has no memory.
 */
static bool enter_page(struct cpu *cpu, struct xtlb_entry *x)
{
	struct code_cache *c = cache_of(cpu);
	struct engine_cpu *e = engine_of(cpu);
	struct code_page *page = cache_page(c, x->host);

	if (!page)
		return false;
	cache_verify(c, page, e->run);
	if (e->nr_entered < ENTERED_LINES)
		e->entered[e->nr_entered] = x;
	if (e->nr_entered <= ENTERED_LINES)
		e->nr_entered++;
	x->page = page;
	return true;
}

struct translation *dispatch_find(struct cpu *cpu)
{
	struct xtlb_entry *x = fetch_line(cpu);
	uint32_t offset = cpu->pc & ~TLB_PAGE_MASK;

	if (!x)
		return NULL;
	/* A flush that is still going on has taken the page away; there will be another one. */
	if (x->page && atomic_load_explicit(&x->page->dropped, memory_order_relaxed))
		x->page = NULL;
	if (!x->page && !enter_page(cpu, x))
		return fail(cpu, -ENOMEM);
	struct translation *t = cache_find(x->page, offset, cpu->mode);

	if (t)
		return t;
	int error = translate(cpu, x->page, x->host, offset, &t);

	if (error)
		return fail(cpu, error);
	engine_of(cpu)->failures = engine_of(cpu)->changes = 0;
	return t;
}
