/* SPDX-License-Identifier: MIT */
/*
 * Performance Monitors, PMUv3 for Armv8.1 (Arm ARM D7).
 *
 * Counting is lazy. The sources are running totals (retired instructions, nanoseconds, branches,
 * accesses, exceptions); fold() adds to each enabled counter what its total gained since the last
 * time, if the present EL is not filtered out.
 *
 * What must hold:
 *  - pmu_sync() runs before EL, a filter, an enable or a counter changes; rebase() after something
 * was enabled.
 *  - CPU_CYCLES counts nanoseconds of CLOCK_MONOTONIC: a CPU of exactly 1 GHz, also while it sleeps
 * in WFI.
 *  - Without AArch32, PMCR_EL0.LC is RES1 and D is RES0: the cycle counter overflows at 64 bits,
 * the event counters at 32 (no PMCR_EL0.LP before Armv8.5).
 */
#include <string.h>

#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/pmu.h"

#define PMCR_E            BIT64(0)
#define PMCR_P            BIT64(1)
#define PMCR_C            BIT64(2)
#define PMCR_DP           BIT64(5)
#define PMCR_LC           BIT64(6)
#define PMCR_N            ((uint64_t)PMU_COUNTERS << 11)
#define PMCR_RW           (PMCR_E | PMCR_DP)
#define TYPE_P            BIT64(31)
#define TYPE_U            BIT64(30)
#define TYPE_EVENT        BITS64(15, 0)
#define TYPE_RW           (TYPE_P | TYPE_U | TYPE_EVENT)
#define FILTER_RW         (TYPE_P | TYPE_U)
#define COUNTER_BITS      32
#define ACCESSES_PER_INSN 8 /* at most: pairs and structure loads; for the horizon */

static bool enabled(const struct pmu *p, unsigned int n)
{
	return (p->pmcr & PMCR_E) && (p->cnten & BIT64(n));
}

static bool filtered(const struct cpu *cpu, uint64_t type)
{
	return type & (cpu->ps.el ? TYPE_P : TYPE_U);
}

static uint64_t type_of(const struct pmu *p, unsigned int n)
{
	return n == PMU_CYCLE ? p->ccfiltr : p->evtyper[n];
}

static bool counting(const struct cpu *cpu, unsigned int n)
{
	return enabled(&cpu->pmu, n) && !filtered(cpu, type_of(&cpu->pmu, n));
}

static void overflow(struct pmu *p, unsigned int n)
{
	if (!(p->ovs & BIT64(n)))
		p->nr_overflows++;
	p->ovs |= BIT64(n);
}

/* Add to an event counter; its overflows clock the CHAIN event of the odd counter above. */
static void count(struct cpu *cpu, unsigned int n, uint64_t add)
{
	struct pmu *p = &cpu->pmu;
	uint64_t sum = p->evcntr[n] + add;
	uint64_t wraps = sum >> COUNTER_BITS;

	p->evcntr[n] = (uint32_t)sum;
	if (!wraps)
		return;
	overflow(p, n);
	if (!(n & 1) && n + 1 < PMU_COUNTERS && (p->evtyper[n + 1] & TYPE_EVENT) == PMU_CHAIN &&
	    counting(cpu, n + 1))
		count(cpu, n + 1, wraps);
}

static void rebase(struct cpu *cpu, uint64_t cycles)
{
	struct pmu *p = &cpu->pmu;

	p->base_icount = cpu->icount;
	p->base_cycles = cycles;
	p->base_br = p->br_retired;
	p->base_mem = p->mem_access;
	p->base_exc = p->exc_taken;
}

/* What the event of counter @n gained since the bases were set. */
static uint64_t gained(const struct cpu *cpu, unsigned int n, uint64_t cycles)
{
	const struct pmu *p = &cpu->pmu;

	switch (p->evtyper[n] & TYPE_EVENT) {
	case PMU_INST_RETIRED:
		return cpu->icount - p->base_icount;
	case PMU_CPU_CYCLES:
		return cycles - p->base_cycles;
	case PMU_BR_RETIRED:
		return p->br_retired - p->base_br;
	case PMU_MEM_ACCESS:
		return p->mem_access - p->base_mem;
	case PMU_EXC_TAKEN:
		return p->exc_taken - p->base_exc;
	}
	return 0;
}

static void fold(struct cpu *cpu)
{
	struct pmu *p = &cpu->pmu;
	uint64_t cycles = timer_count(), before;

	if (counting(cpu, PMU_CYCLE)) {
		before = p->ccntr;
		p->ccntr += cycles - p->base_cycles;
		if (p->ccntr < before)
			overflow(p, PMU_CYCLE);
	}
	for (unsigned int n = 0; n < PMU_COUNTERS; n++) {
		uint64_t add = counting(cpu, n) ? gained(cpu, n, cycles) : 0;

		if (add)
			count(cpu, n, add);
	}
	rebase(cpu, cycles);
}

static void changed(struct cpu *cpu)
{
	const struct machine_ops *ops = cpu->machine ? cpu->machine->ops : NULL;

	if (ops && ops->pmu_changed)
		ops->pmu_changed(cpu);
}

void pmu_sync(struct cpu *cpu)
{
	struct pmu *p = &cpu->pmu;
	uint64_t overflows = p->nr_overflows;

	if (!(p->pmcr & PMCR_E) || !p->cnten)
		return;
	fold(cpu);
	if (p->nr_overflows != overflows)
		changed(cpu);
}

/* Before and after a register write. */
static void begin(struct cpu *cpu)
{
	struct pmu *p = &cpu->pmu;

	if ((p->pmcr & PMCR_E) && p->cnten)
		fold(cpu);
	else
		rebase(cpu, timer_count());
}

static void end(struct cpu *cpu)
{
	changed(cpu);
	cpu_update_mode(cpu);
}

bool pmu_level(struct cpu *cpu)
{
	struct pmu *p = &cpu->pmu;

	if (!(p->pmcr & PMCR_E) || !(cpu->features & CPU_FEATURE_PMU))
		return false;
	if (p->cnten & p->inten & ~p->ovs)
		pmu_sync(cpu);
	return (p->ovs & p->inten) != 0;
}

/* Will an overflow of event counter @n raise the line, itself or through a chain? */
static bool overflow_matters(const struct cpu *cpu, unsigned int n)
{
	const struct pmu *p = &cpu->pmu;

	if (p->inten & ~p->ovs & BIT64(n))
		return true;
	return !(n & 1) && n + 1 < PMU_COUNTERS && (p->inten & ~p->ovs & BIT64(n + 1)) &&
	       (p->evtyper[n + 1] & TYPE_EVENT) == PMU_CHAIN && counting(cpu, n + 1);
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t pmu_horizon(struct cpu *cpu)
{
	const struct pmu *p = &cpu->pmu;
	uint64_t horizon = UINT64_MAX;

	if (!(p->pmcr & PMCR_E) || !p->inten)
		return horizon;
	for (unsigned int n = 0; n < PMU_COUNTERS; n++) {
		uint64_t left = BIT64(COUNTER_BITS) - p->evcntr[n], done;

		if (!counting(cpu, n) || !overflow_matters(cpu, n))
			continue;
		done = gained(cpu, n, p->base_cycles);
		left = left > done ? left - done : 1;
		switch (p->evtyper[n] & TYPE_EVENT) {
		case PMU_INST_RETIRED:
		case PMU_BR_RETIRED:
			horizon = min64(horizon, left);
			break;
		case PMU_MEM_ACCESS:
			left /= ACCESSES_PER_INSN;
			horizon = min64(horizon, left ? left : 1);
			break;
		}
	}
	return horizon;
}

uint64_t pmu_deadline(struct cpu *cpu)
{
	const struct pmu *p = &cpu->pmu;
	uint64_t deadline = UINT64_MAX, at;

	if (!(p->pmcr & PMCR_E) || !p->inten)
		return deadline;
	if (counting(cpu, PMU_CYCLE) && (p->inten & ~p->ovs & BIT64(PMU_CYCLE)) &&
	    !__builtin_add_overflow(p->base_cycles, -p->ccntr, &at) && p->ccntr)
		deadline = at;
	for (unsigned int n = 0; n < PMU_COUNTERS; n++) {
		if ((p->evtyper[n] & TYPE_EVENT) != PMU_CPU_CYCLES || !counting(cpu, n) ||
		    !overflow_matters(cpu, n))
			continue;
		deadline = min64(deadline, p->base_cycles + (BIT64(COUNTER_BITS) - p->evcntr[n]));
	}
	return deadline;
}

void pmu_update_limit(struct cpu *cpu)
{
	uint64_t horizon = pmu_horizon(cpu);

	if (__builtin_add_overflow(cpu->icount, horizon, &cpu->icount_limit))
		cpu->icount_limit = UINT64_MAX;
}

bool pmu_counts_blocks(const struct cpu *cpu)
{
	if (!(cpu->pmu.pmcr & PMCR_E) || !cpu->pmu.cnten)
		return false;
	for (unsigned int n = 0; n < PMU_COUNTERS; n++) {
		uint64_t event = cpu->pmu.evtyper[n] & TYPE_EVENT;

		if (enabled(&cpu->pmu, n) && (event == PMU_BR_RETIRED || event == PMU_MEM_ACCESS))
			return true;
	}
	return false;
}

void pmu_reset(struct cpu *cpu)
{
	bool initialised = cpu->pmu.initialised;

	memset(&cpu->pmu, 0, sizeof(cpu->pmu));
	cpu->pmu.initialised = initialised;
	cpu->pmu.pmcr = PMCR_LC;
	cpu->icount_limit = UINT64_MAX;
}

/* --- Registers --- */

uint64_t pmu_read_pmcr(struct cpu *cpu)
{
	return (cpu->pmu.pmcr & PMCR_RW) | PMCR_LC | PMCR_N;
}

void pmu_write_pmcr(struct cpu *cpu, uint64_t value)
{
	begin(cpu);
	if (value & PMCR_P)
		memset(cpu->pmu.evcntr, 0, sizeof(cpu->pmu.evcntr));
	if (value & PMCR_C)
		cpu->pmu.ccntr = 0;
	cpu->pmu.pmcr = (value & PMCR_RW) | PMCR_LC;
	end(cpu);
}

uint64_t pmu_read_counter(struct cpu *cpu, unsigned int n)
{
	pmu_sync(cpu);
	return n == PMU_CYCLE ? cpu->pmu.ccntr : cpu->pmu.evcntr[n];
}

void pmu_write_counter(struct cpu *cpu, unsigned int n, uint64_t value)
{
	begin(cpu);
	if (n == PMU_CYCLE)
		cpu->pmu.ccntr = value;
	else
		cpu->pmu.evcntr[n] = (uint32_t)value;
	end(cpu);
}

uint64_t pmu_read_type(struct cpu *cpu, unsigned int n)
{
	return type_of(&cpu->pmu, n);
}

void pmu_write_type(struct cpu *cpu, unsigned int n, uint64_t value)
{
	begin(cpu);
	if (n == PMU_CYCLE)
		cpu->pmu.ccfiltr = value & FILTER_RW;
	else
		cpu->pmu.evtyper[n] = value & TYPE_RW;
	end(cpu);
}

void pmu_write_bits(struct cpu *cpu, uint64_t *field, uint64_t value, bool set)
{
	begin(cpu);
	value &= PMU_COUNTER_MASK;
	*field = set ? *field | value : *field & ~value;
	end(cpu);
}

void pmu_write_swinc(struct cpu *cpu, uint64_t value)
{
	begin(cpu);
	for (unsigned int n = 0; n < PMU_COUNTERS; n++) {
		if ((value & BIT64(n)) && counting(cpu, n) &&
		    (cpu->pmu.evtyper[n] & TYPE_EVENT) == PMU_SW_INCR)
			count(cpu, n, 1);
	}
	end(cpu);
}
