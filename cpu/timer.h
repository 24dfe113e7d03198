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

/* The host's counter now, ticks. Any thread. */
uint64_t timer_count(void);

/**
 * timer_rebase() - Let the counter of timer @id of all vCPUs of @m be @offset ticks behind the
 * host's.
 *
 * Any thread, also while vCPUs run: each read of the counter sees the one offset or the other.
 * Levels and deadlines change with it; the caller makes running vCPUs look at theirs again.
 */
void timer_rebase(struct machine *m, enum timer_id id, uint64_t offset);
/* Counter as timer @id of @cpu sees it. */
uint64_t timer_now(const struct cpu *cpu, enum timer_id id);
/* Output level: ENABLE and not IMASK and count >= CVAL. */
bool timer_level(const struct cpu *cpu, enum timer_id id);
/* Nanoseconds of CLOCK_MONOTONIC when the level will next rise; UINT64_MAX: never without a
 * register write (or it is high now). */
uint64_t timer_deadline(const struct cpu *cpu, enum timer_id id);
/* Next instant (as above) of the event stream (CNTKCTL_EL1.EVNTEN), UINT64_MAX: off. */
uint64_t timer_event_deadline(const struct cpu *cpu);
void timer_reset(struct cpu *cpu);

#endif
