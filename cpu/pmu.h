/* SPDX-License-Identifier: MIT */
/*
 * PMUv3 of one vCPU: cycle counter and six event counters (Arm ARM D7).
 *
 * INST_RETIRED is exact. Counters are derived lazily: each holds a value and the totals
 * (cpu->icount…) when it was last brought up to date; pmu_sync() folds the difference in according
 * to the filters, whenever EL, a PMU register or an observer asks.
 */
#ifndef CPU_PMU_H
#define CPU_PMU_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;

#define PMU_COUNTERS 6 /* event counters; the cycle counter is number 31 */
#define PMU_CYCLE    31

struct pmu {
	uint64_t pmcr, cnten, inten, ovs, selr, userenr;
	uint64_t ccntr, ccfiltr;
	uint64_t evcntr[PMU_COUNTERS], evtyper[PMU_COUNTERS];
	uint64_t base_icount, base_cycles; /* totals at the last pmu_sync() */
	/* Events that the engine counts only while CPU_MODE_PMU_BR is set, and exceptions taken. */
	uint64_t br_retired, mem_access, exc_taken;
	uint64_t base_br, base_mem, base_exc;
	uint64_t nr_overflows; /* counts changes of ovs made by counting, for observers */
	uint8_t el;            /* that pmu_update_limit() saw last, with an interrupt enabled */
	bool initialised;      /* KVM_ARM_VCPU_PMU_V3_INIT was done */
};

/* All functions are for the vCPU's own thread, or for a time when no thread runs the vCPU. */

/**
 * pmu_sync() - Bring the counters up to date.
 *
 * To be called before EL or a PMU register changes. Cheap when nothing is enabled.
 */
void pmu_sync(struct cpu *cpu);

/** pmu_counts_blocks() - Is something counted that only blocks can count (CPU_MODE_PMU_BR)? */
bool pmu_counts_blocks(const struct cpu *cpu);

/**
 * pmu_update_limit() - Set cpu->icount_limit from pmu_horizon().
 *
 * To be called after EL or a PMU register changed. A counter of cycles that is filtered by EL
 * starts or stops with a change of it, so pmu_deadline() is another: machine_ops.pmu_changed is
 * told, if its overflow would interrupt.
 */
void pmu_update_limit(struct cpu *cpu);

/** pmu_level() - The overflow line: PMCR_EL0.E and (PMOVSSET_EL0 & PMINTENSET_EL1) != 0. */
bool pmu_level(struct cpu *cpu);

/**
 * pmu_horizon() - How many instructions may retire before an overflow may interrupt.
 *
 * Counters of cycles apart, for which there is pmu_deadline(). The engine stops by then.
 *
 * Return: 1 or more; UINT64_MAX: as many as there are.
 */
uint64_t pmu_horizon(struct cpu *cpu);

/**
 * pmu_deadline() - When a counter of cycles will overflow with its interrupt enabled.
 *
 * Return: in nanoseconds of CLOCK_MONOTONIC, if the EL stays as it is; UINT64_MAX: never.
 */
uint64_t pmu_deadline(struct cpu *cpu);

/** pmu_reset() - All registers as at reset; whether the VMM has initialised the PMU is kept. */
void pmu_reset(struct cpu *cpu);

/*
 * What PMU registers do, for sysreg_pmu.c. What is counted is folded in first; a write tells
 * machine_ops.pmu_changed afterwards. @n is 0 to PMU_COUNTERS - 1, or PMU_CYCLE.
 */
uint64_t pmu_read_pmcr(struct cpu *cpu);
void pmu_write_pmcr(struct cpu *cpu, uint64_t value);
uint64_t pmu_read_counter(struct cpu *cpu, unsigned int n);
void pmu_write_counter(struct cpu *cpu, unsigned int n, uint64_t value);
uint64_t pmu_read_type(struct cpu *cpu, unsigned int n);
void pmu_write_type(struct cpu *cpu, unsigned int n, uint64_t value);
/* PMCNTENSET/CLR, PMINTENSET/CLR, PMOVSSET/CLR: *@field |= or &= ~ @value. */
void pmu_write_bits(struct cpu *cpu, uint64_t *field, uint64_t value, bool set);
void pmu_write_swinc(struct cpu *cpu, uint64_t value);

#define PMU_COUNTER_MASK ((1ull << PMU_CYCLE) | ((1ull << PMU_COUNTERS) - 1))

/* Common events that are counted (D7.11.3); PMCEID0_EL0 and PMCEID1_EL0 list them. */
enum pmu_event {
	PMU_SW_INCR = 0x00,
	PMU_INST_RETIRED = 0x08,
	PMU_EXC_TAKEN = 0x09,
	PMU_CPU_CYCLES = 0x11,
	PMU_MEM_ACCESS = 0x13,
	PMU_CHAIN = 0x1e,
	PMU_BR_RETIRED = 0x21,
	/* PMUv3 of Armv8.1 must have these two; no pipeline stalls here, so they stay at 0. */
	PMU_STALL_FRONTEND = 0x23,
	PMU_STALL_BACKEND = 0x24,
};
#define PMU_PMCEID0                                                               \
	((1u << PMU_SW_INCR) | (1u << PMU_INST_RETIRED) | (1u << PMU_EXC_TAKEN) | \
	 (1u << PMU_CPU_CYCLES) | (1u << PMU_MEM_ACCESS) | (1u << PMU_CHAIN))
#define PMU_PMCEID1                                                          \
	((1u << (PMU_BR_RETIRED - 32)) | (1u << (PMU_STALL_FRONTEND - 32)) | \
	 (1u << (PMU_STALL_BACKEND - 32)))

#endif
