/* SPDX-License-Identifier: MIT */
/*
 * The loop around the back end: kicks, interrupts, safe points, and the engine's parts of a machine
 * and of a vCPU.
 *
 * A kick is a flag that anyone may set; what it asks for is in remote.requests. The vCPU clears the
 * flag before it takes the requests, so that one which comes in between sets it again: neither is
 * ever lost. While the flag is down nothing is taken: a request whose flag is about to rise is
 * found at the next kick point.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/fp/fp_fast.h"
#include "engine/private.h"

#define MAX_FAILURES 100 /* times, 1 ms apart, that the host had no memory */

/* ARMATURE_CODE_CACHE: bytes, or with K or M behind. False: it is nothing of the kind. */
static bool read_limit(uint64_t *limit)
{
	const char *text = getenv("ARMATURE_CODE_CACHE");
	unsigned long long n;
	char *end;

	*limit = CODE_CACHE_LIMIT;
	if (!text || !*text)
		return true;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-' || n > CODE_CACHE_MOST)
		return false;
	if (*end == 'K')
		n <<= 10;
	else if (*end == 'M')
		n <<= 20;
	*limit = n;
	return !end[*end == 'K' || *end == 'M'] && n >= CODE_CACHE_MIN && n <= CODE_CACHE_MOST;
}

int engine_vm_init_with(struct machine *m, const struct backend *back)
{
	struct code_cache *c;
	uint64_t limit;
	int rc;

	if (!read_limit(&limit)) {
		fprintf(stderr, "armature: ARMATURE_CODE_CACHE: '%s'; give %lluK to %lluM\n",
			getenv("ARMATURE_CODE_CACHE"), CODE_CACHE_MIN >> 10, CODE_CACHE_MOST >> 20);
		return -EINVAL;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	rc = cache_init(c, m, back, limit);
	if (rc) {
		free(c);
		return rc;
	}
	snprintf(c->engine, sizeof(c->engine), "%s", back->name);
	m->code = c;
	return 0;
}

static const char *why_not(int error)
{
	switch (-error) {
	case ENOTSUP:
		return "the host's CPU lacks what it needs";
	case EACCES:
	case EPERM:
		return "the host forbids executable memory";
	default:
		return strerror(-error);
	}
}

/* The best one that works here. */
static int init_best(struct machine *m)
{
	const struct backend *best = back_nth(0), *back;
	int first = 0, rc = -EINVAL;

	for (unsigned int n = 0; (back = back_nth(n)); n++) {
		rc = engine_vm_init_with(m, back);
		if (!rc)
			break;
		if (!n)
			first = rc;
	}
	if (!rc && first) {
		struct code_cache *c = m->code;

		snprintf(c->engine, sizeof(c->engine), "%s (no %s: %s)", back->name, best->name,
			 why_not(first));
	}
	return rc;
}

int engine_vm_init(struct machine *m)
{
	const char *name = getenv("ARMATURE_ENGINE");
	const struct backend *back;
	int rc;

	if (!name || !*name || !strcmp(name, "auto"))
		return init_best(m);
	back = back_find(name);
	if (!back) {
		fprintf(stderr, "armature: ARMATURE_ENGINE: there is no engine '%s'; give auto",
			name);
		for (unsigned int n = 0; (back = back_nth(n)); n++)
			fprintf(stderr, "%s%s", back_nth(n + 1) ? ", " : " or ", back->name);
		fprintf(stderr, "\n");
		return -EINVAL;
	}
	rc = engine_vm_init_with(m, back);
	if (rc)
		fprintf(stderr, "armature: the engine %s cannot be used: %s\n", name, why_not(rc));
	return rc;
}

const char *engine_name(const struct machine *m)
{
	return ((const struct code_cache *)m->code)->engine;
}

static const struct backend *back_of(const struct machine *m)
{
	return ((const struct code_cache *)m->code)->back;
}

struct cpu *engine_cpu_alloc(const struct machine *m)
{
	size_t size = (sizeof(struct cpu) + back_of(m)->area + 63) & ~(size_t)63;
	struct cpu *cpu = aligned_alloc(64, size);

	if (cpu)
		memset(cpu, 0, size);
	return cpu;
}

static void print_stats(struct machine *m)
{
	const struct code_cache *c = m->code;
	struct engine_stats s;

	engine_stats(m, &s);
	fprintf(stderr,
		"engine: %s\n"
		"code: %" PRIu64 " translations of %" PRIu64 " instructions in %" PRIu64
		" KiB, %" PRIu64 " dropped, %" PRIu64 " evictions, %" PRIu64 " flushes\n",
		c->engine, s.translations, s.guest_insns, s.code_bytes >> 10, s.invalidated,
		c->nr_evictions, c->nr_flushes);
}

void engine_vm_destroy(struct machine *m)
{
	if (!m->code)
		return;
	if (engine_dumps('s'))
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
	e->translator = translator_create(cache_of(cpu));
	int rc = e->translator ? back_of(cpu->machine)->vcpu_init(cpu) : -ENOMEM;

	if (rc) {
		translator_destroy(e->translator);
		free(e);
		return rc;
	}
	cpu->engine = e;
	return 0;
}

void engine_vcpu_destroy(struct cpu *cpu)
{
	struct engine_cpu *e = engine_of(cpu);

	if (!e)
		return;
	if (engine_dumps('s'))
		fprintf(stderr, "vCPU %u: %" PRIu64 " instructions\n", cpu->index, cpu->icount);
	translator_destroy(e->translator);
	if (back_of(cpu->machine)->vcpu_destroy)
		back_of(cpu->machine)->vcpu_destroy(cpu);
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

void engine_user_wrote(struct cpu *cpu)
{
	struct code_cache *c = cpu->machine->code;
	struct engine_cpu *e = cpu->engine;

	if (e->nr_entered > ENTERED_LINES)
		forget_pages(cpu);
	else
		for (unsigned int i = 0; i < e->nr_entered; i++)
			e->entered[i]->page = NULL;
	if (e->nr_entered)
		tlb_forget_fetches(cpu);
	e->nr_entered = 0;
	e->run = atomic_fetch_add(&c->runs, 1) + 1;
}

/* What this vCPU remembers of translations is forgotten if any was retired since it last did so. */
static void pass_safe_point(struct cpu *cpu)
{
	struct engine_cpu *e = engine_of(cpu);
	struct code_cache *c = cache_of(cpu);
	uint64_t epoch = atomic_load(&c->epoch);

	if (atomic_load(&e->epoch) == epoch)
		return;
	c->back->forget(cpu);
	if (atomic_load(&c->flush_epoch) > atomic_load(&e->epoch))
		forget_pages(cpu);
	atomic_store(&e->epoch, epoch);
	cache_reclaim(c);
}

/* Serve what the kick asked for. True: the KVM wants the vCPU back. */
static bool serve(struct cpu *cpu)
{
	if (!atomic_load(&cpu->remote.kick))
		return false;
	atomic_exchange(&cpu->remote.kick, 0);
	uint32_t requests = atomic_exchange(&cpu->remote.requests, 0);

	if (requests & CPU_REQ_TLB)
		tlb_serve(cpu);
	if (requests & CPU_REQ_SAFE)
		pass_safe_point(cpu);
	return requests & CPU_REQ_EXIT;
}

/*
 * Drop what is old, or (@all, and where there is nothing that is) everything, and free what this
 * vCPU does not hold any more, nor any other.
 */
static void make_room(struct cpu *cpu, bool all)
{
	if (all || !cache_evict(cache_of(cpu)))
		cache_flush(cache_of(cpu));
	pass_safe_point(cpu);
	cache_reclaim(cache_of(cpu));
}

/*
 * The code at PC could not be entered. Make room; true: try again.
 *
 * Of a full cache the oldest part is dropped, and goes as soon as every vCPU has passed a safe
 * point. Where the host has no memory that helps for a while; if it does not, the machine cannot go
 * on.
 */
static bool recover(struct cpu *cpu)
{
	static const struct timespec wait = {.tv_nsec = 1000000};
	struct engine_cpu *e = engine_of(cpu);
	struct code_cache *c = cache_of(cpu);
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
		make_room(cpu, false);
		if (cache_full(c))
			sched_yield();
		return true;
	case -ENOMEM:
		if (e->failures++ >= MAX_FAILURES)
			break;
		make_room(cpu, true);
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
	const struct backend *back = back_of(cpu->machine);
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
		reason = back->enter(cpu);
		if (reason != CPU_EXIT_KICK)
			break;
		if (engine_of(cpu)->error && !recover(cpu)) {
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
	/*
	 * All lines: walks that gave others may have read tables in that memory. Linux does the
	 * same.
	 */
	tlb_post(m, &(struct tlb_op){.kind = TLB_OP_ALL});
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
	*s = (struct engine_stats){.translations = c->nr_translations,
				   .guest_insns = c->nr_insns,
				   .invalidated = c->nr_invalidated,
				   .code_bytes = c->bytes};
	pthread_mutex_unlock(&c->lock);
}
