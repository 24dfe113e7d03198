/* SPDX-License-Identifier: MIT */
/*
 * Handlers of registers that EL0 may reach: PSTATE fields, floating-point control, timers,
 * performance monitors.
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

int read_current_el(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = (uint64_t)cpu->ps.el << SPSR_EL_SHIFT;
	return CPU_EXIT_NONE;
}

int read_spsel(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = cpu->ps.spsel;
	return CPU_EXIT_NONE;
}

int write_spsel(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu_set_spsel(cpu, value & 1);
	return CPU_EXIT_NONE;
}

int read_pan(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = (uint64_t)cpu->ps.pan << PSTATE_PAN_SHIFT;
	return CPU_EXIT_NONE;
}

int write_pan(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->ps.pan = (value >> PSTATE_PAN_SHIFT) & 1;
	cpu_update_mode(cpu);
	return CPU_EXIT_NONE;
}

int read_uao(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = (uint64_t)cpu->ps.uao << PSTATE_UAO_SHIFT;
	return CPU_EXIT_NONE;
}

int write_uao(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->ps.uao = (value >> PSTATE_UAO_SHIFT) & 1;
	cpu_update_mode(cpu);
	return CPU_EXIT_NONE;
}

int read_ssbs(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = (uint64_t)cpu->ps.ssbs << PSTATE_SSBS_SHIFT;
	return CPU_EXIT_NONE;
}

int write_ssbs(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->ps.ssbs = (value >> PSTATE_SSBS_SHIFT) & 1;
	return CPU_EXIT_NONE;
}

int read_nzcv(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = cpu->nzcv;
	return CPU_EXIT_NONE;
}

int write_nzcv(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->nzcv = (uint32_t)(value & SPSR_NZCV);
	return CPU_EXIT_NONE;
}

int read_daif(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	if (!cpu->ps.el && !(cpu->sys.sctlr & SCTLR_UMA))
		return sysreg_trap(cpu, r->enc, true);
	*value = (uint64_t)cpu->ps.daif << SPSR_DAIF_SHIFT;
	return CPU_EXIT_NONE;
}

int write_daif(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	if (!cpu->ps.el && !(cpu->sys.sctlr & SCTLR_UMA))
		return sysreg_trap(cpu, r->enc, false);
	cpu->ps.daif = FIELD64(value, 9, 6);
	cpu_update_mode(cpu);
	return CPU_EXIT_NONE;
}

/* --- FPCR, FPSR --- */

#define FP_ACCESS_ISS 0x1e00000u /* CV = 1, COND = 0b1110 */

static int fp_trapped(struct cpu *cpu)
{
	if (cpu->mode & CPU_MODE_FP)
		return CPU_EXIT_NONE;
	cpu->fault = (struct cpu_fault){.esr = ESR(EC_FP_ACCESS, FP_ACCESS_ISS)};
	return CPU_FAULT;
}

int read_fpcr(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = cpu->fpcr;
	return fp_trapped(cpu);
}

int write_fpcr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	int err = fp_trapped(cpu);

	if (err)
		return err;
	cpu->fpcr = (uint32_t)(value & FPCR_RW);
	cpu_update_mode(cpu);
	return CPU_EXIT_NONE;
}

int read_fpsr(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = cpu_fpsr(cpu);
	return fp_trapped(cpu);
}

int write_fpsr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	int err = fp_trapped(cpu);

	if (err)
		return err;
	fp_fast_clear();
	cpu->fpsr = (uint32_t)(value & FPSR_RW);
	return CPU_EXIT_NONE;
}

/* --- Generic timer (D11.2.4: CNTKCTL_EL1 gives EL0 its rights) --- */

#define CNTKCTL_EL0PCTEN BIT64(0)
#define CNTKCTL_EL0VCTEN BIT64(1)
#define CNTKCTL_EL0VTEN  BIT64(8)
#define CNTKCTL_EL0PTEN  BIT64(9)
#define CTL_ENABLE       BIT64(0)
#define CTL_IMASK        BIT64(1)
#define CTL_ISTATUS      BIT64(2)

/* CPU_FAULT if at EL0 none of @allow is set. */
static int timer_trapped(struct cpu *cpu, const struct sysreg *r, uint64_t allow, bool read)
{
	if (cpu->ps.el || (cpu->sys.cntkctl & allow))
		return CPU_EXIT_NONE;
	return sysreg_trap(cpu, r->enc, read);
}

static enum timer_id timer_of(const struct sysreg *r)
{
	return r->enc >= SYSREG(3, 3, 14, 3, 0) ? TIMER_VIRT : TIMER_PHYS;
}

static uint64_t timer_allow(const struct sysreg *r)
{
	return timer_of(r) == TIMER_VIRT ? CNTKCTL_EL0VTEN : CNTKCTL_EL0PTEN;
}

static void timers_changed(struct cpu *cpu)
{
	const struct machine_ops *ops = cpu->machine->ops;

	if (ops && ops->timers_changed)
		ops->timers_changed(cpu);
}

int read_cntfrq(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = cpu->timers.frq;
	return timer_trapped(cpu, r, CNTKCTL_EL0PCTEN | CNTKCTL_EL0VCTEN, true);
}

int read_cntpct(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = timer_now(cpu, TIMER_PHYS);
	return timer_trapped(cpu, r, CNTKCTL_EL0PCTEN, true);
}

int read_cntvct(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = timer_now(cpu, TIMER_VIRT);
	return timer_trapped(cpu, r, CNTKCTL_EL0VCTEN, true);
}

int read_tval(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	enum timer_id id = timer_of(r);

	*value = (uint32_t)(cpu->timers.t[id].cval - timer_now(cpu, id));
	return timer_trapped(cpu, r, timer_allow(r), true);
}

int read_ctl(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	enum timer_id id = timer_of(r);
	const struct timer *t = &cpu->timers.t[id];

	*value = t->ctl;
	if ((t->ctl & CTL_ENABLE) && timer_now(cpu, id) >= t->cval)
		*value |= CTL_ISTATUS;
	return timer_trapped(cpu, r, timer_allow(r), true);
}

int read_cval(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = cpu->timers.t[timer_of(r)].cval;
	return timer_trapped(cpu, r, timer_allow(r), true);
}

int write_tval(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	enum timer_id id = timer_of(r);
	int err = timer_trapped(cpu, r, timer_allow(r), false);

	if (err)
		return err;
	cpu->timers.t[id].cval = timer_now(cpu, id) + (uint64_t)(int64_t)(int32_t)value;
	timers_changed(cpu);
	return CPU_EXIT_NONE;
}

int write_ctl(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	int err = timer_trapped(cpu, r, timer_allow(r), false);

	if (err)
		return err;
	cpu->timers.t[timer_of(r)].ctl = value & (CTL_ENABLE | CTL_IMASK);
	timers_changed(cpu);
	return CPU_EXIT_NONE;
}

int write_cval(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	int err = timer_trapped(cpu, r, timer_allow(r), false);

	if (err)
		return err;
	cpu->timers.t[timer_of(r)].cval = value;
	timers_changed(cpu);
	return CPU_EXIT_NONE;
}

int write_cntkctl(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.cntkctl = value & r->mask;
	timers_changed(cpu);
	return CPU_EXIT_NONE;
}
