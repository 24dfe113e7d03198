/* SPDX-License-Identifier: MIT */
/*
 * The generic timers of one vCPU: EL1 virtual and physical timer and the counters (Arm ARM D11).
 *
 * The counter runs at TIMER_FREQ and is the host's CLOCK_MONOTONIC in nanoseconds; the guest's
 * virtual and physical counters are behind it by the machine's cntoff (CNTVOFF_EL2, CNTPOFF_EL2),
 * which stand there once for all vCPUs. Levels are computed live from CTL, CVAL and the counter.
 */
#ifndef CPU_TIMER_H
#define CPU_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct machine;

#define TIMER_FREQ 1000000000u /* CNTFRQ_EL0, Hz */

/* CNTP_CTL_EL0, CNTV_CTL_EL0 */
#define TIMER_ENABLE  1u
#define TIMER_IMASK   2u
#define TIMER_ISTATUS 4u

enum timer_id { TIMER_VIRT, TIMER_PHYS, NR_TIMERS };

struct timer {
	uint64_t ctl; /* ENABLE, IMASK; ISTATUS is computed */
	uint64_t cval;
};

struct timers {
	struct timer t[NR_TIMERS];
	uint64_t frq; /* CNTFRQ_EL0 as reset */
};

/** timer_may_fire() - Whether the output of @t is more than low for ever: ENABLE, not IMASK. */
static inline bool timer_may_fire(const struct timer *t)
{
	return (t->ctl & (TIMER_ENABLE | TIMER_IMASK)) == TIMER_ENABLE;
}

/** timer_count() - The host's counter now, in ticks, which are nanoseconds. Any thread. */
uint64_t timer_count(void);

/**
 * timer_rebase() - Let a counter of all vCPUs be behind the host's.
 * @m:      their machine
 * @id:     the timer whose counter it is
 * @offset: by how many ticks, modulo 2^64
 *
 * Any thread, also while vCPUs run: each read of the counter sees the one offset or the other.
 * Levels and deadlines change with it; the caller makes running vCPUs look at theirs again.
 */
void timer_rebase(struct machine *m, enum timer_id id, uint64_t offset);

/** timer_now() - The counter as timer @id sees it, in ticks. Any thread. */
uint64_t timer_now(const struct cpu *cpu, enum timer_id id);

/**
 * timer_level() - The output of a timer: ENABLE, not IMASK, and the counter has reached CVAL.
 * @cpu: the vCPU, which no other thread runs
 * @id:  the timer
 */
bool timer_level(const struct cpu *cpu, enum timer_id id);

/**
 * timer_deadline() - When the output of a timer will rise.
 * @cpu: the vCPU, which no other thread runs
 * @id:  the timer
 *
 * Return: in nanoseconds of CLOCK_MONOTONIC; UINT64_MAX if it is high, or will not rise unless a
 * register is written.
 */
uint64_t timer_deadline(const struct cpu *cpu, enum timer_id id);

/** timer_event_deadline() - When the event stream sends its next event; UINT64_MAX: it is off. */
uint64_t timer_event_deadline(const struct cpu *cpu);

/** timer_reset() - Both timers off, comparators 0. The counters go on. */
void timer_reset(struct cpu *cpu);

#endif
