/* SPDX-License-Identifier: MIT */
/*
 * Handlers of registers that EL0 may reach: PSTATE fields, floating-point control, timers.
 */
#include "cpu/access.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/fp/fp_fast.h"
#include "cpu/sysreg_rows.h"

/* --- PSTATE --- */

#define PSTATE_PAN_SHIFT  22
#define PSTATE_UAO_SHIFT  23
#define PSTATE_SSBS_SHIFT 12

uint64_t read_current_el(struct cpu *cpu, const struct sysreg *r)
{
	return (uint64_t)cpu->ps.el << SPSR_EL_SHIFT;
}

uint64_t read_spsel(struct cpu *cpu, const struct sysreg *r)
{
	return cpu->ps.spsel;
}

void write_spsel(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu_set_spsel(cpu, value & 1);
}

uint64_t read_pan(struct cpu *cpu, const struct sysreg *r)
{
	return (uint64_t)cpu->ps.pan << PSTATE_PAN_SHIFT;
}

void write_pan(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->ps.pan = (value >> PSTATE_PAN_SHIFT) & 1;
	cpu_pstate_changed(cpu);
}

uint64_t read_uao(struct cpu *cpu, const struct sysreg *r)
{
	return (uint64_t)cpu->ps.uao << PSTATE_UAO_SHIFT;
}

void write_uao(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->ps.uao = (value >> PSTATE_UAO_SHIFT) & 1;
	cpu_pstate_changed(cpu);
}

uint64_t read_ssbs(struct cpu *cpu, const struct sysreg *r)
{
	return (uint64_t)cpu->ps.ssbs << PSTATE_SSBS_SHIFT;
}

void write_ssbs(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->ps.ssbs = (value >> PSTATE_SSBS_SHIFT) & 1;
}

uint64_t read_nzcv(struct cpu *cpu, const struct sysreg *r)
{
	return cpu->nzcv;
}

void write_nzcv(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->nzcv = (uint32_t)(value & SPSR_NZCV);
}

int access_daif(struct cpu *cpu, const struct sysreg *r, bool read)
{
	if (cpu->ps.el || (cpu->sys.sctlr & SCTLR_UMA))
		return CPU_EXIT_NONE;
	return sysreg_trap(cpu, r->enc, read);
}

uint64_t read_daif(struct cpu *cpu, const struct sysreg *r)
{
	return (uint64_t)cpu->ps.daif << SPSR_DAIF_SHIFT;
}

void write_daif(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->ps.daif = FIELD64(value, 9, 6);
	cpu_pstate_changed(cpu);
}

/* --- FPCR, FPSR --- */

int access_fp(struct cpu *cpu, const struct sysreg *r, bool read)
{
	if (cpu->mode & CPU_MODE_FP)
		return CPU_EXIT_NONE;
	cpu->fault = (struct cpu_fault){.esr = ESR(EC_FP_ACCESS, ISS_COND_ALWAYS)};
	return CPU_FAULT;
}

uint64_t read_fpcr(struct cpu *cpu, const struct sysreg *r)
{
	return cpu->fpcr;
}

void write_fpcr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->fpcr = (uint32_t)(value & FPCR_RW);
	cpu_update_mode(cpu);
}

uint64_t read_fpsr(struct cpu *cpu, const struct sysreg *r)
{
	return cpu_fpsr(cpu);
}

void write_fpsr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	fp_fast_clear();
	cpu->fpsr = (uint32_t)(value & FPSR_RW);
}

/* --- Generic timer (D11.2.4: CNTKCTL_EL1 gives EL0 its rights) --- */

#define CNTKCTL_EL0PCTEN BIT64(0)
#define CNTKCTL_EL0VCTEN BIT64(1)
#define CNTKCTL_EL0VTEN  BIT64(8)
#define CNTKCTL_EL0PTEN  BIT64(9)
#define CNTPCT_EL0       SYSREG(3, 3, 14, 0, 1)
#define CNTVCT_EL0       SYSREG(3, 3, 14, 0, 2)

/* CPU_FAULT if at EL0 none of @allow is set. */
static int el0_may(struct cpu *cpu, const struct sysreg *r, uint64_t allow, bool read)
{
	if (cpu->ps.el || (cpu->sys.cntkctl & allow))
		return CPU_EXIT_NONE;
	return sysreg_trap(cpu, r->enc, read);
}

/* CNTFRQ_EL0, CNTPCT_EL0, CNTVCT_EL0. The frequency is for who may see either counter. */
int access_counter(struct cpu *cpu, const struct sysreg *r, bool read)
{
	uint64_t allow = CNTKCTL_EL0PCTEN | CNTKCTL_EL0VCTEN;

	if (r->enc == CNTPCT_EL0)
		allow = CNTKCTL_EL0PCTEN;
	else if (r->enc == CNTVCT_EL0)
		allow = CNTKCTL_EL0VCTEN;
	return el0_may(cpu, r, allow, read);
}

static enum timer_id timer_of(const struct sysreg *r)
{
	return r->enc >= SYSREG(3, 3, 14, 3, 0) ? TIMER_VIRT : TIMER_PHYS;
}

int access_timer(struct cpu *cpu, const struct sysreg *r, bool read)
{
	uint64_t allow = timer_of(r) == TIMER_VIRT ? CNTKCTL_EL0VTEN : CNTKCTL_EL0PTEN;

	return el0_may(cpu, r, allow, read);
}

static void timers_changed(struct cpu *cpu)
{
	const struct machine_ops *ops = cpu->machine->ops;

	if (ops && ops->timers_changed)
		ops->timers_changed(cpu);
}

uint64_t read_cntfrq(struct cpu *cpu, const struct sysreg *r)
{
	return cpu->timers.frq;
}

uint64_t read_cntpct(struct cpu *cpu, const struct sysreg *r)
{
	return timer_now(cpu, TIMER_PHYS);
}

uint64_t read_cntvct(struct cpu *cpu, const struct sysreg *r)
{
	return timer_now(cpu, TIMER_VIRT);
}

uint64_t read_tval(struct cpu *cpu, const struct sysreg *r)
{
	enum timer_id id = timer_of(r);

	return (uint32_t)(cpu->timers.t[id].cval - timer_now(cpu, id));
}

uint64_t read_ctl(struct cpu *cpu, const struct sysreg *r)
{
	enum timer_id id = timer_of(r);
	const struct timer *t = &cpu->timers.t[id];
	bool reached = (t->ctl & TIMER_ENABLE) && timer_now(cpu, id) >= t->cval;

	return t->ctl | (reached ? TIMER_ISTATUS : 0);
}

uint64_t read_cval(struct cpu *cpu, const struct sysreg *r)
{
	return cpu->timers.t[timer_of(r)].cval;
}

void write_tval(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	enum timer_id id = timer_of(r);

	cpu->timers.t[id].cval = timer_now(cpu, id) + (uint64_t)(int64_t)(int32_t)value;
	timers_changed(cpu);
}

void write_ctl(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->timers.t[timer_of(r)].ctl = value & (TIMER_ENABLE | TIMER_IMASK);
	timers_changed(cpu);
}

void write_cval(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->timers.t[timer_of(r)].cval = value;
	timers_changed(cpu);
}

void write_cntkctl(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.cntkctl = value & r->mask;
	timers_changed(cpu);
}
