/* SPDX-License-Identifier: MIT */
/*
 * The devices inside a KVM that have an output: the two timers and the PMU, as code that drives
 * them.
 */
#include "conform/conform.h"

#define CTL_ENABLE       1
#define PMCR_START       0x47 /* E, P, C, LC */
#define EVENT_SW_INCR    0
#define EVENT_CPU_CYCLES 0x11
#define ALL_COUNTERS     0xffffffffull
#define CYCLE_BIT        (1ull << 31)
#define EVENT_BIT        (1ull << 0)

#define S1 21
#define S2 22

/* ---- Timers ---- */

static void none(struct prog *p)
{
}

static void timer_arm(struct prog *p, unsigned int cnt, unsigned int cval, unsigned int ctl)
{
	a_isb(p);
	a_mrs(p, S1, cnt);
	a_add(p, S1, S1, ARM_TICKS);
	a_msr(p, cval, S1);
	a_msri(p, ctl, CTL_ENABLE, S1);
	a_isb(p);
}

static void timer_raise(struct prog *p, unsigned int cval, unsigned int ctl)
{
	a_msr(p, cval, A_XZR);
	a_msri(p, ctl, CTL_ENABLE, S1);
	a_isb(p);
}

static void timer_lower(struct prog *p, unsigned int ctl)
{
	a_msr(p, ctl, A_XZR);
	a_isb(p);
}

static void vtimer_arm(struct prog *p)
{
	timer_arm(p, A_CNTVCT_EL0, A_CNTV_CVAL_EL0, A_CNTV_CTL_EL0);
}

static void vtimer_raise(struct prog *p)
{
	timer_raise(p, A_CNTV_CVAL_EL0, A_CNTV_CTL_EL0);
}

static void vtimer_lower(struct prog *p)
{
	timer_lower(p, A_CNTV_CTL_EL0);
}

static void ptimer_arm(struct prog *p)
{
	timer_arm(p, A_CNTPCT_EL0, A_CNTP_CVAL_EL0, A_CNTP_CTL_EL0);
}

static void ptimer_raise(struct prog *p)
{
	timer_raise(p, A_CNTP_CVAL_EL0, A_CNTP_CTL_EL0);
}

static void ptimer_lower(struct prog *p)
{
	timer_lower(p, A_CNTP_CTL_EL0);
}

/* ---- The PMU ---- */

/* The PMU's registers have no value that they are reset to. */
static void pmu_setup(struct prog *p)
{
	a_msri(p, A_PMCNTENCLR_EL0, ALL_COUNTERS, S1);
	a_msr(p, A_PMINTENCLR_EL1, S1);
	a_msr(p, A_PMOVSCLR_EL0, S1);
}

static void cycle_setup(struct prog *p)
{
	pmu_setup(p);
	a_msri(p, A_PMCR_EL0, PMCR_START, S1);
	a_msr(p, A_PMCCFILTR_EL0, A_XZR);
	a_msri(p, A_PMINTENSET_EL1, CYCLE_BIT, S1);
	a_isb(p);
}

/* A cycle is not a tick, but the delay is of that order; tests only need that it comes. */
static void cycle_arm(struct prog *p)
{
	a_sub(p, S1, A_XZR, ARM_TICKS);
	a_msr(p, A_PMCCNTR_EL0, S1);
	a_msri(p, A_PMCNTENSET_EL0, CYCLE_BIT, S1);
	a_isb(p);
}

static void cycle_raise(struct prog *p)
{
	a_msri(p, A_PMOVSSET_EL0, CYCLE_BIT, S1);
	a_isb(p);
}

static void cycle_lower(struct prog *p)
{
	a_msri(p, A_PMCNTENCLR_EL0, CYCLE_BIT, S1);
	a_msri(p, A_PMOVSCLR_EL0, CYCLE_BIT, S1);
	a_isb(p);
}

static void event_setup(struct prog *p)
{
	pmu_setup(p);
	a_msri(p, A_PMCR_EL0, PMCR_START, S1);
	a_msri(p, A_PMINTENSET_EL1, EVENT_BIT, S1);
	a_msri(p, A_PMCNTENSET_EL0, EVENT_BIT, S1);
	a_isb(p);
}

/* The counter overflows at the next software increment. */
static void event_raise(struct prog *p)
{
	a_msri(p, A_PMEVTYPER0_EL0, EVENT_SW_INCR, S1);
	a_msri(p, A_PMEVCNTR0_EL0, 0xffffffff, S1);
	a_isb(p);
	a_msri(p, A_PMSWINC_EL0, EVENT_BIT, S1);
	a_isb(p);
}

/* An event counter that counts cycles: 32 bits. */
static void event_arm(struct prog *p)
{
	a_movi(p, S2, 1ull << 32);
	a_sub(p, S1, S2, ARM_TICKS);
	a_msr(p, A_PMEVCNTR0_EL0, S1);
	a_msri(p, A_PMEVTYPER0_EL0, EVENT_CPU_CYCLES, S1);
	a_isb(p);
}

static void event_lower(struct prog *p)
{
	a_msri(p, A_PMOVSCLR_EL0, EVENT_BIT, S1);
	a_isb(p);
}

const struct device devices[NR_DEVICES] = {
	[DEV_VTIMER] = {"virtual timer", KVM_ARM_DEV_EL1_VTIMER, 0, true, none, vtimer_arm,
			vtimer_raise, vtimer_lower},
	[DEV_PTIMER] = {"physical timer", KVM_ARM_DEV_EL1_PTIMER, 0, true, none, ptimer_arm,
			ptimer_raise, ptimer_lower},
	[DEV_PMU_CYCLE] = {"PMU cycle counter", KVM_ARM_DEV_PMU, NEEDS_PMU, false, cycle_setup,
			   cycle_arm, cycle_raise, cycle_lower},
	[DEV_PMU_EVENT] = {"PMU event counter", KVM_ARM_DEV_PMU, NEEDS_PMU, false, event_setup,
			   event_arm, event_raise, event_lower},
};

unsigned int device_features(const struct device *d)
{
	return d->flags & NEEDS_PMU ? 1u << KVM_ARM_VCPU_PMU_V3 : 0;
}

/* ---- Common pieces ---- */

void p_report(struct prog *p, unsigned int reg)
{
	a_str(p, 3, reg, REPORT_BASE);
}

void p_report_imm(struct prog *p, uint64_t value)
{
	a_movi(p, S1, value);
	p_report(p, S1);
}

void p_spin(struct prog *p)
{
	a_b(p, a_here(p));
}

void p_trap(struct prog *p)
{
	a_movi(p, 0, PSCI_0_2_FN_PSCI_VERSION);
	a_hvc(p, 0);
}

void p_power_off(struct prog *p)
{
	a_movi(p, 0, PSCI_0_2_FN_SYSTEM_OFF);
	a_hvc(p, 0);
	p_spin(p);
}
