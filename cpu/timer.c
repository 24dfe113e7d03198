/* SPDX-License-Identifier: MIT */
/*
 * The generic timers (Arm ARM D11.2): counters, levels, and when they will change.
 *
 * What must hold: TIMER_FREQ is 1 GHz, so a tick is a nanosecond of CLOCK_MONOTONIC and deadlines
 * need no conversion.
 */
#include <time.h>

#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/timer.h"

#define CNTKCTL_EVNTEN  BIT64(2)
#define CNTKCTL_EVNTDIR BIT64(3)

_Static_assert(TIMER_FREQ == 1000000000u, "ticks are nanoseconds");

uint64_t timer_count(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * TIMER_FREQ + (uint64_t)ts.tv_nsec;
}

void timer_rebase(struct machine *m, enum timer_id id, uint64_t offset)
{
	atomic_store(&m->cntoff[id], offset);
}

static uint64_t offset_of(const struct cpu *cpu, enum timer_id id)
{
	return atomic_load_explicit(&cpu->machine->cntoff[id], memory_order_relaxed);
}

uint64_t timer_now(const struct cpu *cpu, enum timer_id id)
{
	return timer_count() - offset_of(cpu, id);
}

bool timer_level(const struct cpu *cpu, enum timer_id id)
{
	const struct timer *t = &cpu->timers.t[id];

	return timer_may_fire(t) && timer_now(cpu, id) >= t->cval;
}

uint64_t timer_deadline(const struct cpu *cpu, enum timer_id id)
{
	const struct timer *t = &cpu->timers.t[id];
	uint64_t count, now, deadline;

	if (!timer_may_fire(t))
		return UINT64_MAX;
	count = timer_count();
	now = count - offset_of(cpu, id);
	if (now >= t->cval || __builtin_add_overflow(count, t->cval - now, &deadline))
		return UINT64_MAX;
	return deadline;
}

uint64_t timer_event_deadline(const struct cpu *cpu)
{
	uint64_t ctl = cpu->sys.cntkctl, count, now, half, phase;

	if (!(ctl & CNTKCTL_EVNTEN))
		return UINT64_MAX;
	/* An event when bit EVNTI of the virtual counter rises (EVNTDIR: falls). */
	half = BIT64(FIELD64(ctl, 7, 4));
	count = timer_count();
	now = count - offset_of(cpu, TIMER_VIRT);
	phase = (now + (ctl & CNTKCTL_EVNTDIR ? 0 : half)) & (2 * half - 1);
	return count + (2 * half - phase);
}

void timer_reset(struct cpu *cpu)
{
	for (unsigned int i = 0; i < NR_TIMERS; i++)
		cpu->timers.t[i] = (struct timer){0};
	cpu->timers.frq = TIMER_FREQ;
}
