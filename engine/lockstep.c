/* SPDX-License-Identifier: MIT */
/* Lockstep: see lockstep.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/fp/fp_fast.h"
#include "engine/lockstep.h"
#include "engine/private.h"

struct lockstep {
	const struct machine *subject;
	struct machine machine;
	struct cpu *cpu;
};

/*
 * What is architectural, or visible to the guest in the end, but for what derives from time:
 * compared in units of @unit bytes.
 */
static const struct field {
	const char *name;
	size_t offset, size, unit;
} fields[] = {
#define FIELD(n, f, u)                                                      \
	{                                                                   \
		n, offsetof(struct cpu, f), sizeof(((struct cpu *)0)->f), u \
	}
	FIELD("pc", pc, 8),
	FIELD("x", x, 8),
	FIELD("nzcv", nzcv, 4),
	FIELD("v (halves)", v, 8),
	FIELD("sp_el", sp_el, 8),
	FIELD("mode", mode, 4),
	FIELD("pstate", ps, 1),
	FIELD("fpcr", fpcr, 4),
	FIELD("fpsr", fpsr, 4),
	FIELD("icount", icount, 8),
	FIELD("excl_size", excl_size, 8),
	FIELD("sysregs", sys, 8),
	FIELD("timers", timers, 8),
	FIELD("pmcr", pmu.pmcr, 8),
	FIELD("cnten", pmu.cnten, 8),
	FIELD("inten", pmu.inten, 8),
	FIELD("ovs", pmu.ovs, 8),
	FIELD("selr", pmu.selr, 8),
	FIELD("userenr", pmu.userenr, 8),
	FIELD("ccfiltr", pmu.ccfiltr, 8),
	FIELD("evcntr", pmu.evcntr, 8),
	FIELD("evtyper", pmu.evtyper, 8),
	FIELD("br_retired", pmu.br_retired, 8),
	FIELD("mem_access", pmu.mem_access, 8),
	FIELD("exc_taken", pmu.exc_taken, 8),
#undef FIELD
};

static const struct field monitor[] = {
	{"excl_addr", offsetof(struct cpu, excl_addr), 8, 8},
	{"excl_val", offsetof(struct cpu, excl_val), 16, 8},
};

static void nothing(struct cpu *cpu)
{
}

static void no_invalidate(struct machine *m, uint64_t pa, uint64_t len)
{
}

static const struct machine_ops quiet = {
	.timers_changed = nothing,
	.pmu_changed = nothing,
	.icache_invalidate = no_invalidate,
};

static uint64_t memory_size(const struct machine *m)
{
	uint64_t size = 0;

	for (const struct mem_slot *s = mem_next(&m->mem, 0); s;
	     s = mem_next(&m->mem, mem_slot_end(s)))
		size += s->size;
	return size;
}

/* The same memslots, over memory of our own. */
static bool copy_slots(struct lockstep *l)
{
	const struct mem_map *from = &l->subject->mem;

	l->machine.mem.pa_bits = from->pa_bits;
	for (const struct mem_slot *s = mem_next(from, 0); s; s = mem_next(from, mem_slot_end(s))) {
		struct mem_slot *copy = malloc(sizeof(*copy));
		uint8_t *host = aligned_alloc(MEM_PAGE_SIZE, s->size);

		if (!copy || !host) {
			free(copy);
			free(host);
			return false;
		}
		*copy = *s;
		copy->host = host;
		copy->dirty = NULL;
		mem_insert(&l->machine.mem, copy);
	}
	return true;
}

static bool make_cpu(struct lockstep *l)
{
	l->cpu = engine_cpu_alloc(&l->machine);
	if (!l->cpu)
		return false;
	if (cpu_init(l->cpu, &l->machine, 0, 0))
		return false;
	l->machine.cpus[0] = l->cpu;
	l->machine.nr_cpus = 1;
	return !engine_vcpu_init(l->cpu);
}

struct lockstep *lockstep_create(const struct machine *m, const struct backend *back)
{
	struct lockstep *l;

	if (memory_size(m) > LOCKSTEP_MAX_MEMORY)
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->subject = m;
	if (machine_init(&l->machine, &quiet) || engine_vm_init_with(&l->machine, back) ||
	    !copy_slots(l) || !make_cpu(l)) {
		lockstep_destroy(l);
		return NULL;
	}
	engine_of(l->cpu)->translator->work.plain = true;
	lockstep_memory(l);
	return l;
}

void lockstep_destroy(struct lockstep *l)
{
	if (!l)
		return;
	if (l->cpu) {
		engine_vcpu_destroy(l->cpu);
		cpu_destroy(l->cpu);
		free(l->cpu);
	}
	engine_vm_destroy(&l->machine);
	while (l->machine.mem.root) {
		struct mem_slot *s = l->machine.mem.root;

		mem_remove(&l->machine.mem, s);
		free(s->host);
		free(s);
	}
	machine_destroy(&l->machine);
	free(l);
}

void lockstep_memory(struct lockstep *l)
{
	const struct mem_map *map = &l->machine.mem;

	for (struct mem_slot *s = mem_next(map, 0); s; s = mem_next(map, mem_slot_end(s)))
		memcpy(s->host, mem_find(&l->subject->mem, s->gpa)->host, s->size);
}

void lockstep_before(struct lockstep *l, struct cpu *cpu)
{
	struct cpu *ref = l->cpu;

	cpu_fpsr(cpu);
	memcpy(ref, cpu, CPU_STATE_SIZE);
	ref->mpidr = cpu->mpidr;
	ref->features = cpu->features;
	ref->stepped = cpu->stepped;
	ref->stepped_ex = cpu->stepped_ex;
	atomic_store(&ref->remote.event, atomic_load(&cpu->remote.event));
	atomic_store(&ref->remote.pins, atomic_load(&cpu->remote.pins));
	l->machine.csv2 = cpu->machine->csv2;
	l->machine.csv3 = cpu->machine->csv3;
	tlb_flush(ref);
	cpu_update_mode(ref);
}

enum cpu_exit_reason lockstep_run(struct cpu *cpu, struct translation *t)
{
	uint64_t fp = fp_fast_begin();

	tlb_enter_guest(cpu);
	enum cpu_exit_reason reason = cache_of(cpu)->back->run_block(cpu, t);

	cpu_fpsr(cpu);
	tlb_leave_guest(cpu);
	fp_fast_end(fp);
	return reason;
}

/* One block of the reference, of at most @max instructions; *@nr, *@bytes: what it has of them. */
static enum cpu_exit_reason run_plain(struct cpu *ref, unsigned int max, unsigned int *nr,
				      unsigned int *bytes)
{
	struct code_cache *c = cache_of(ref);
	enum cpu_exit_reason reason;
	struct xtlb_entry *x;
	struct translation *t;

	*nr = max;
	*bytes = 0;
	if (access_fetch(ref, &x)) {
		cpu_take_fault(ref);
		return CPU_EXIT_KICK;
	}
	if (translate_block(engine_of(ref)->translator, x->host, ref->pc & ~TLB_PAGE_MASK,
			    ref->mode, max, &t))
		return CPU_EXIT_ERROR;
	*nr = t->nr_insns;
	*bytes = t->guest_size;
	reason = lockstep_run(ref, t);
	c->back->release(c, t);
	return reason;
}

/* The reference over the subject's block: in parts if it takes more room without the passes. */
static enum cpu_exit_reason run_reference(struct cpu *ref, unsigned int nr_insns)
{
	for (;;) {
		uint64_t pc = ref->pc, count = ref->icount;
		unsigned int nr, bytes;
		enum cpu_exit_reason reason = run_plain(ref, nr_insns, &nr, &bytes);

		nr_insns -= nr;
		if (reason != CPU_EXIT_KICK || !nr_insns || ref->icount - count != nr ||
		    ref->pc != pc + bytes)
			return reason;
	}
}

/* The first unit that differs is printed. */
static bool differs(const struct cpu *cpu, const struct cpu *ref, const struct field *f, char *why,
		    size_t size)
{
	const char *a = (const char *)cpu + f->offset, *b = (const char *)ref + f->offset;

	for (size_t at = 0; at < f->size; at += f->unit) {
		uint64_t ours = 0, theirs = 0;

		memcpy(&ours, a + at, f->unit);
		memcpy(&theirs, b + at, f->unit);
		if (ours == theirs)
			continue;
		snprintf(why, size, "%s[%zu] is %#" PRIx64 ", the reference has %#" PRIx64, f->name,
			 at / f->unit, ours, theirs);
		return true;
	}
	return false;
}

static bool memory_differs(const struct lockstep *l, char *why, size_t size)
{
	const struct mem_map *map = &l->machine.mem;

	for (const struct mem_slot *b = mem_next(map, 0); b; b = mem_next(map, mem_slot_end(b))) {
		const struct mem_slot *a = mem_find(&l->subject->mem, b->gpa);

		if (!memcmp(a->host, b->host, a->size))
			continue;
		for (uint64_t at = 0; at < a->size; at++) {
			if (a->host[at] == b->host[at])
				continue;
			snprintf(why, size, "memory at %#" PRIx64 " is %#x, the reference has %#x",
				 a->gpa + at, a->host[at], b->host[at]);
			return true;
		}
	}
	return false;
}

static bool exits_differ(const struct cpu_exit *a, const struct cpu_exit *b,
			 enum cpu_exit_reason reason)
{
	const struct cpu_mmio *m = &a->mmio, *n = &b->mmio;

	if (reason == CPU_EXIT_HVC || reason == CPU_EXIT_SMC)
		return a->imm != b->imm;
	if (reason == CPU_EXIT_NOSYNDROME)
		return m->va != n->va || m->pa != n->pa || m->write != n->write;
	return reason == CPU_EXIT_MMIO &&
	       (m->va != n->va || m->pa != n->pa || m->write != n->write || m->size != n->size ||
		m->reg != n->reg || m->sign_extend != n->sign_extend || m->reg64 != n->reg64 ||
		m->be != n->be || (m->write && m->data != n->data));
}

const char *lockstep_after(struct lockstep *l, struct cpu *cpu, enum cpu_exit_reason reason,
			   unsigned int nr_insns, char *why, size_t size)
{
	struct cpu *ref = l->cpu;
	enum cpu_exit_reason wanted = run_reference(ref, nr_insns);

	cpu_fpsr(cpu);
	if (reason != wanted) {
		snprintf(why, size, "exit %d, the reference made %d", reason, wanted);
		return why;
	}
	for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (differs(cpu, ref, &fields[i], why, size))
			return why;
	for (unsigned int i = 0; cpu->excl_size && i < sizeof(monitor) / sizeof(monitor[0]); i++)
		if (differs(cpu, ref, &monitor[i], why, size))
			return why;
	if (exits_differ(&cpu->exit, &ref->exit, reason)) {
		snprintf(why, size, "details of exit %d", reason);
		return why;
	}
	return memory_differs(l, why, size) ? why : NULL;
}
