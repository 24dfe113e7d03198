/* SPDX-License-Identifier: MIT */
/*
 * PMUv3 of one vCPU: cycle counter and six event counters (Arm ARM D7).
 *
 * INST_RETIRED is exact. Counters are derived lazily: each holds a value and the totals (cpu->icount…) when it was last brought up to date;
 * pmu_sync() folds the difference in according to the filters, whenever EL, a PMU register or an observer asks.
 */
#ifndef CPU_PMU_H
#define CPU_PMU_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;

#define PMU_COUNTERS 6		/* event counters; the cycle counter is number 31 */
#define PMU_CYCLE    31

struct pmu {
	uint64_t pmcr, cnten, inten, ovs, selr, userenr;
	uint64_t ccntr, ccfiltr;
	uint64_t evcntr[PMU_COUNTERS], evtyper[PMU_COUNTERS];
	uint64_t base_icount, base_cycles;	/* totals at the last pmu_sync() */
	/* Events that the engine counts only while CPU_MODE_PMU_BR is set, and exceptions taken. */
	uint64_t br_retired, mem_access, exc_taken;
	uint64_t base_br, base_mem, base_exc;
	bool initialised;			/* KVM_ARM_VCPU_PMU_V3_INIT was done */
};

/* Bring counters up to date; call before EL, PSTATE or a PMU register changes. Cheap when nothing is enabled. */
void pmu_sync(struct cpu *cpu);
/* PMCR.E and (PMOVSSET & PMINTENSET) != 0. */
bool pmu_level(struct cpu *cpu);
/* Instructions until the next enabled counter may overflow with its interrupt, UINT64_MAX: none; the engine stops by then. */
uint64_t pmu_horizon(struct cpu *cpu);
/* CLOCK_MONOTONIC ns when the cycle counter will overflow with its interrupt enabled, UINT64_MAX: never. */
uint64_t pmu_deadline(struct cpu *cpu);
void pmu_reset(struct cpu *cpu);

#endif
