/* SPDX-License-Identifier: MIT */
/*
 * A vCPU as a whole: making one, resetting it, PSTATE, stack pointers, the mode word.
 *
 * What must hold: after any change of PSTATE, SCTLR, CPACR, FPCR, MDSCR or a translation register,
 * cpu_update_mode() runs before the next instruction.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/fp/fp_fast.h"

_Static_assert(offsetof(struct cpu, machine) <= CPU_SLOT_LIMIT, "slots fit in 16 bits");

int machine_init(struct machine *m, const struct machine_ops *ops)
{
	memset(m, 0, sizeof(*m));
	if (pthread_mutex_init(&m->lock, NULL))
		return -ENOMEM;
	if (pthread_cond_init(&m->passed, NULL)) {
		pthread_mutex_destroy(&m->lock);
		return -ENOMEM;
	}
	m->monitor = aligned_alloc(64, sizeof(*m->monitor) << MONITOR_BITS);
	m->counted = calloc(MONITOR_COUNTED, sizeof(*m->counted));
	if (!m->monitor || !m->counted) {
		free(m->monitor);
		free(m->counted);
		pthread_cond_destroy(&m->passed);
		pthread_mutex_destroy(&m->lock);
		return -ENOMEM;
	}
	memset(m->monitor, 0, sizeof(*m->monitor) << MONITOR_BITS);
	m->ops = ops;
	m->mem.pa_bits = 40;
	m->csv2 = m->csv3 = 1;
	return 0;
}

void machine_destroy(struct machine *m)
{
	free(m->monitor);
	free(m->counted);
	pthread_cond_destroy(&m->passed);
	pthread_mutex_destroy(&m->lock);
}

int cpu_init(struct cpu *cpu, struct machine *m, unsigned int index, uint64_t mpidr)
{
	cpu->machine = m;
	cpu->index = index;
	cpu->mpidr = mpidr;
	cpu->icount_limit = UINT64_MAX;
	return tlb_init(cpu);
}

void cpu_destroy(struct cpu *cpu)
{
	tlb_destroy(cpu);
}

void cpu_reset(struct cpu *cpu)
{
	memset(cpu->x, 0, sizeof(cpu->x));
	memset(cpu->v, 0, sizeof(cpu->v));
	memset(cpu->sp_el, 0, sizeof(cpu->sp_el));
	memset(&cpu->fault, 0, sizeof(cpu->fault));
	cpu->pc = 0;
	cpu->nzcv = 0;
	cpu->fpcr = 0;
	cpu->fpsr = 0;
	cpu->excl_size = 0;
	cpu->ps = (struct pstate){
		.el = 1, .spsel = 1, .daif = PSTATE_D | PSTATE_A | PSTATE_I | PSTATE_F};
	cpu->stepped = cpu->stepped_ex = false;
	atomic_store(&cpu->remote.event, 0);
	timer_reset(cpu);
	pmu_reset(cpu);
	sysreg_reset(cpu);
	tlb_flush(cpu);
	cpu_update_mode(cpu);
}

uint32_t cpu_fpsr(struct cpu *cpu)
{
	/* The host's flags are the guest's only while this thread runs guest code. */
	if (atomic_load_explicit(&cpu->tlb.in_guest, memory_order_relaxed))
		cpu->fpsr |= fp_fast_flags();
	return cpu->fpsr & FPSR_RW;
}

/* Software Step is switched on for the present EL (D2.12.3). */
static bool stepping(const struct cpu *cpu)
{
	return (cpu->sys.mdscr & MDSCR_SS) && debug_exceptions_enabled(cpu);
}

bool cpu_step_pending(const struct cpu *cpu)
{
	return !cpu->ps.ss && stepping(cpu);
}

void cpu_step_done(struct cpu *cpu, bool load_excl)
{
	/* The bit also means one instruction a block for breakpoints: nothing is stepped then. */
	if (!stepping(cpu))
		return;
	cpu->ps.ss = 0;
	cpu->stepped = true;
	cpu->stepped_ex = load_excl;
	cpu_update_mode(cpu);
}

/* Of the mode word at @el, what is from system registers. */
static uint32_t mode_at(const struct cpu *cpu, unsigned int el)
{
	uint64_t sctlr = cpu->sys.sctlr;
	unsigned int fpen = FIELD64(cpu->sys.cpacr, 21, 20);
	uint32_t mode = el ? CPU_MODE_EL1 : CPU_MODE_UAO;

	if (fpen == 3 || (fpen == 1 && el))
		mode |= CPU_MODE_FP;
	if (cpu->fpcr & FPCR_RW)
		mode |= CPU_MODE_FP_DYNAMIC;
	if (sctlr & (el ? SCTLR_EE : SCTLR_E0E))
		mode |= CPU_MODE_BE;
	/* With the MMU off all data is Device memory, which wants the same alignment. */
	if ((sctlr & SCTLR_A) || !(sctlr & SCTLR_M))
		mode |= CPU_MODE_ALIGN;
	if (sctlr & (el ? SCTLR_SA : SCTLR_SA0))
		mode |= CPU_MODE_SP_ALIGN;
	if ((cpu->features & CPU_FEATURE_PMU) && pmu_counts_blocks(cpu))
		mode |= CPU_MODE_PMU_BR;
	return mode;
}

/* And what is from PSTATE, but for debugging. */
static uint32_t mode_now(const struct cpu *cpu)
{
	uint32_t mode = cpu->mode_at_el[cpu->ps.el];

	if (cpu->ps.uao)
		mode |= CPU_MODE_UAO;
	if (cpu->ps.el && !cpu->ps.spsel)
		mode |= CPU_MODE_EL1T;
	return mode;
}

void cpu_update_mode(struct cpu *cpu)
{
	cpu->mode_at_el[0] = mode_at(cpu, 0);
	cpu->mode_at_el[1] = mode_at(cpu, 1);
	cpu->mode = mode_now(cpu);
	if (stepping(cpu) || debug_breaking(cpu))
		cpu->mode |= CPU_MODE_STEP;
	cpu->watching = debug_watching(cpu);
	pmu_update_limit(cpu);
	cpu->mode_is_plain = !(cpu->sys.mdscr & (MDSCR_SS | MDSCR_MDE)) && !cpu->pmu.inten;
	tlb_select(cpu);
}

void cpu_pstate_changed(struct cpu *cpu)
{
	if (!cpu->mode_is_plain) {
		cpu_update_mode(cpu);
		return;
	}
	cpu->mode = mode_now(cpu);
	tlb_switch(cpu);
}

static unsigned int sp_bank(const struct cpu *cpu)
{
	return cpu->ps.el && cpu->ps.spsel;
}

/* Enter @el with @spsel: exchange the stack pointers, nothing else. */
static void set_el_spsel(struct cpu *cpu, unsigned int el, unsigned int spsel)
{
	cpu->sp_el[sp_bank(cpu)] = cpu->x[31];
	cpu->ps.el = (uint8_t)el;
	cpu->ps.spsel = (uint8_t)spsel;
	cpu->x[31] = cpu->sp_el[sp_bank(cpu)];
}

void cpu_set_spsel(struct cpu *cpu, unsigned int spsel)
{
	set_el_spsel(cpu, cpu->ps.el, spsel);
	cpu_pstate_changed(cpu);
}

uint64_t cpu_pstate(const struct cpu *cpu)
{
	const struct pstate *ps = &cpu->ps;

	return cpu->nzcv | (ps->uao ? SPSR_UAO : 0) | (ps->pan ? SPSR_PAN : 0) |
	       (ps->ss ? SPSR_SS : 0) | (ps->il ? SPSR_IL : 0) | (ps->ssbs ? SPSR_SSBS : 0) |
	       ((uint64_t)ps->daif << SPSR_DAIF_SHIFT) | ((uint64_t)ps->el << SPSR_EL_SHIFT) |
	       (ps->el ? ps->spsel : 0);
}

void cpu_set_pstate(struct cpu *cpu, uint64_t spsr)
{
	struct pstate *ps = &cpu->ps;
	unsigned int el = FIELD64(spsr, 3, 2) ? 1 : 0;

	pmu_sync(cpu);
	set_el_spsel(cpu, el, el ? spsr & SPSR_SP : 0);
	cpu->nzcv = (uint32_t)(spsr & SPSR_NZCV);
	ps->uao = !!(spsr & SPSR_UAO);
	ps->pan = !!(spsr & SPSR_PAN);
	ps->ss = !!(spsr & SPSR_SS);
	ps->il = !!(spsr & SPSR_IL);
	ps->ssbs = !!(spsr & SPSR_SSBS);
	ps->daif = FIELD64(spsr, 9, 6);
	cpu_pstate_changed(cpu);
}
