/* SPDX-License-Identifier: MIT */
/*
 * The loop around the executor: kicks, interrupts, safe points, translation caches of machine and
 * vCPU.
 *
 * A kick is a flag that anyone may set; what it asks for is in remote.requests. The vCPU clears the
 * flag before it takes the requests, so that one which comes in between sets it again: neither is
 * ever lost.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/fp/fp_fast.h"
#include "engine/engine.h"
#include "engine/back/exec/exec.h"

#define MAX_FAILURES 100 /* times, 1 ms apart, that the host had no memory */

int engine_vm_init(struct machine *m)
{
	struct code_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	cache_init(c, m);
	m->code = c;
	return 0;
}

static void print_stats(struct machine *m)
{
	const struct code_cache *c = m->code;
	struct engine_stats s;

	engine_stats(m, &s);
	fprintf(stderr,
		"code: %" PRIu64 " translations of %" PRIu64 " words in %" PRIu64 " KiB, %" PRIu64
		" dropped, %" PRIu64 " flushes\n",
		s.translations, s.guest_words, s.code_bytes >> 10, s.invalidated, c->nr_flushes);
}

void engine_vm_destroy(struct machine *m)
{
	if (!m->code)
		return;
	if (translator_dumps('s'))
		print_stats(m);
	cache_destroy(m->code);
	free(m->code);
	m->code = NULL;
}

int engine_vcpu_init(struct cpu *cpu)
{
	struct engine_cpu *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->translator = translator_create();
	if (!e->translator) {
		free(e);
		return -ENOMEM;
	}
	memset(cpu->scratch, 0, sizeof(cpu->scratch));
	cpu->engine = e;
	return 0;
}

void engine_vcpu_destroy(struct cpu *cpu)
{
	struct engine_cpu *e = cpu->engine;

	if (!e)
		return;
	if (translator_dumps('s'))
		fprintf(stderr, "vCPU %u: %" PRIu64 " instructions\n", cpu->index, cpu->icount);
	translator_destroy(e->translator);
	free(e);
	cpu->engine = NULL;
}

/* After a flush of the code cache the execute TLB's lines name pages that are gone. */
static void forget_pages(struct cpu *cpu)
{
	for (unsigned int b = 0; b < TLB_BANKS; b++)
		for (unsigned int i = 0; i < XTLB_SIZE; i++)
			cpu->tlb.banks[b].x[i].page = NULL;
}

bool engine_enter_page(struct cpu *cpu, struct xtlb_entry *x)
{
	struct code_cache *c = cpu->machine->code;
	struct engine_cpu *e = cpu->engine;
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

void engine_user_wrote(struct cpu *cpu)
{
	struct code_cache *c = cpu->machine->code;
	struct engine_cpu *e = cpu->engine;

	if (e->nr_entered > ENTERED_LINES)
		forget_pages(cpu);
	else
		for (unsigned int i = 0; i < e->nr_entered; i++)
			e->entered[i]->page = NULL;
	e->nr_entered = 0;
	e->run = atomic_fetch_add(&c->runs, 1) + 1;
}

/* What this vCPU remembers of translations is forgotten if any was retired since it last did so. */
static void pass_safe_point(struct cpu *cpu)
{
	struct engine_cpu *e = cpu->engine;
	struct code_cache *c = cpu->machine->code;
	uint64_t epoch = atomic_load(&c->epoch);

	if (atomic_load(&e->epoch) == epoch)
		return;
	memset(e->lines, 0, sizeof(e->lines));
	if (atomic_load(&c->flush_epoch) > atomic_load(&e->epoch))
		forget_pages(cpu);
	atomic_store(&e->epoch, epoch);
	cache_reclaim(c);
}

/* Serve what the kick asked for. True: the KVM wants the vCPU back. */
static bool serve(struct cpu *cpu)
{
	atomic_exchange(&cpu->remote.kick, 0);
	uint32_t requests = atomic_exchange(&cpu->remote.requests, 0);

	if (requests & CPU_REQ_TLB)
		tlb_serve(cpu);
	if (requests & CPU_REQ_SAFE)
		pass_safe_point(cpu);
	return requests & CPU_REQ_EXIT;
}

/* Flush, and free what this vCPU does not hold any more, nor any other. */
static void make_room(struct cpu *cpu)
{
	cache_flush(cpu->machine->code);
	pass_safe_point(cpu);
	cache_reclaim(cpu->machine->code);
}

/*
 * The code at PC could not be entered. Make room; true: try again.
 *
 * A full cache is flushed and empties as soon as every vCPU has passed a safe point. Where the host
 * has no memory that helps for a while; if it does not, the machine cannot go on.
 */
static bool recover(struct cpu *cpu)
{
	static const struct timespec wait = {.tv_nsec = 1000000};
	struct engine_cpu *e = cpu->engine;
	struct code_cache *c = cpu->machine->code;
	int error = e->error;

	e->error = 0;
	switch (error) {
	case -EAGAIN:
		e->changes++;
		return true;
	case -ESTALE:
		/*
		 * The safe point makes the vCPU forget the page. Its words did not change: the next
		 * block may be as long.
		 */
		return true;
	case -ENOSPC:
		make_room(cpu);
		if (cache_full(c))
			sched_yield();
		return true;
	case -ENOMEM:
		if (e->failures++ >= MAX_FAILURES)
			break;
		make_room(cpu);
		nanosleep(&wait, NULL);
		return true;
	default:
		break;
	}
	e->failures = 0;
	cpu->exit.imm = (uint32_t)-error;
	return false;
}

enum cpu_exit_reason engine_run(struct cpu *cpu)
{
	uint64_t fp = fp_fast_begin();
	enum cpu_exit_reason reason = CPU_EXIT_KICK;

	tlb_enter_guest(cpu);
	pass_safe_point(cpu);
	for (;;) {
		bool wanted = serve(cpu) || cpu->icount >= cpu->icount_limit;

		if (wanted && reason == CPU_EXIT_KICK)
			break;
		if (atomic_load_explicit(&cpu->remote.pins, memory_order_relaxed))
			cpu_take_interrupt(cpu);
		reason = exec_run(cpu);
		if (reason != CPU_EXIT_KICK)
			break;
		if (((struct engine_cpu *)cpu->engine)->error && !recover(cpu)) {
			reason = CPU_EXIT_ERROR;
			break;
		}
	}
	cpu_fpsr(cpu);
	tlb_leave_guest(cpu);
	fp_fast_end(fp);
	return reason;
}

void engine_memory_changed(struct machine *m, uint64_t gpa, uint64_t len)
{
	const struct mem_map *map = &m->mem;

	for (const struct mem_slot *s = mem_next(map, gpa); s && s->gpa < gpa + len;
	     s = mem_next(map, mem_slot_end(s))) {
		uint64_t first = gpa > s->gpa ? gpa : s->gpa;
		uint64_t end = gpa + len < mem_slot_end(s) ? gpa + len : mem_slot_end(s);

		cache_invalidate(m->code, mem_slot_host(s, first), end - first, true);
	}
	tlb_post(m, &(struct tlb_op){.kind = TLB_OP_PA, .va = gpa, .len = len});
}

void engine_icache_invalidate(struct machine *m, uint64_t pa, uint64_t len)
{
	const struct mem_slot *s = len ? mem_find(&m->mem, pa) : NULL;

	if (!len)
		cache_invalidate(m->code, NULL, 0, false);
	else if (s)
		cache_invalidate(m->code, mem_slot_host(s, pa), len, false);
}

void engine_stats(struct machine *m, struct engine_stats *s)
{
	struct code_cache *c = m->code;

	pthread_mutex_lock(&c->lock);
	*s = (struct engine_stats){.translations = c->nr_tbs,
				   .guest_words = c->nr_words,
				   .invalidated = c->nr_invalidated,
				   .code_bytes = c->bytes};
	pthread_mutex_unlock(&c->lock);
}
