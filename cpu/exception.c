/* SPDX-License-Identifier: MIT */
/*
 * Exception entry and return between EL0 and EL1 (Arm ARM D1.10, D1.11; shared pseudocode
 * aarch64/exceptions).
 *
 * What must hold: every entry goes through enter(), every return through cpu_eret(); both leave
 * PSTATE, the stack pointers, the mode word and the PMU's filters in step.
 */
#include "cpu/access.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/debug.h"

enum vector { VECTOR_SYNC = 0x000, VECTOR_IRQ = 0x080, VECTOR_FIQ = 0x100, VECTOR_SERROR = 0x180 };
#define VECTOR_EL1H 0x200 /* from EL1 with SP_EL1 */
#define VECTOR_EL0  0x400 /* from EL0, AArch64 */
#define VBAR_BASE   BITS64(63, 11)

/* ISS fields */
#define SERROR_IDS      (1u << 24)
#define SYSREG_RT_SHIFT 5

/* PSTATE of an exception taken to EL1 (AArch64.TakeException). */
static void enter(struct cpu *cpu, enum vector vector, uint64_t elr)
{
	struct pstate *ps = &cpu->ps;
	uint64_t offset = vector;

	if (ps->el == 0)
		offset += VECTOR_EL0;
	else if (ps->spsel)
		offset += VECTOR_EL1H;
	cpu->pmu.exc_taken++;
	pmu_sync(cpu);
	cpu->sys.spsr = cpu_pstate(cpu);
	cpu->sys.elr = elr;

	cpu->sp_el[ps->el && ps->spsel] = cpu->x[31];
	cpu->x[31] = cpu->sp_el[1];
	ps->el = 1;
	ps->spsel = 1;
	ps->daif = PSTATE_D | PSTATE_A | PSTATE_I | PSTATE_F;
	ps->il = 0;
	ps->ss = 0;
	ps->uao = 0;
	if (!(cpu->sys.sctlr & SCTLR_SPAN))
		ps->pan = 1;
	ps->ssbs = !!(cpu->sys.sctlr & SCTLR_DSSBS);
	cpu->stepped = false;
	cpu->pc = (cpu->sys.vbar & VBAR_BASE) + offset;
	cpu_pstate_changed(cpu);
}

void cpu_take_exception(struct cpu *cpu, uint32_t esr, uint64_t elr, uint64_t far, bool far_valid)
{
	unsigned int ec = esr >> 26;

	/* These complete, so they are stepped over (SSAdvance). */
	if (ec == EC_SVC64 || ec == EC_HVC64 || ec == EC_SMC64)
		cpu->ps.ss = 0;
	cpu->sys.esr = esr;
	if (far_valid)
		cpu->sys.far = far;
	enter(cpu, VECTOR_SYNC, elr);
}

void cpu_take_fault(struct cpu *cpu)
{
	struct cpu_fault *f = &cpu->fault;
	uint32_t insn;

	/* The slow paths do not know Rt of a trapped MSR, MRS or SYS; the instruction does. */
	if (f->esr >> 26 == EC_SYSREG && access_insn(cpu, &insn))
		f->esr |= (insn & 0x1f) << SYSREG_RT_SHIFT;
	cpu_take_exception(cpu, f->esr, cpu->pc, f->far, f->far_valid);
}

bool cpu_take_interrupt(struct cpu *cpu)
{
	uint32_t pins = atomic_load_explicit(&cpu->remote.pins, memory_order_acquire);
	unsigned int daif = cpu->ps.daif;

	if (!pins)
		return false;
	if ((pins & CPU_PIN_SERROR) && !(daif & PSTATE_A)) {
		atomic_fetch_and(&cpu->remote.pins, ~CPU_PIN_SERROR);
		cpu->sys.esr = ESR(EC_SERROR, SERROR_IDS);
		enter(cpu, VECTOR_SERROR, cpu->pc);
	} else if ((pins & CPU_PIN_FIQ) && !(daif & PSTATE_F)) {
		enter(cpu, VECTOR_FIQ, cpu->pc);
	} else if ((pins & CPU_PIN_IRQ) && !(daif & PSTATE_I)) {
		enter(cpu, VECTOR_IRQ, cpu->pc);
	} else {
		return false;
	}
	return true;
}

/* IllegalExceptionReturn(): all that one can return to is EL0t, EL1t and EL1h in AArch64 state. */
static bool illegal_return(uint64_t spsr)
{
	unsigned int m = spsr & SPSR_M;

	return m != 0x0 && m != 0x4 && m != 0x5;
}

/* DebugExceptionReturnSS(): PSTATE.SS after a return with @spsr. */
static bool return_ss(const struct cpu *cpu, uint64_t spsr)
{
	bool source, dest, kde = cpu->sys.mdscr & MDSCR_KDE;
	unsigned int el = illegal_return(spsr) ? cpu->ps.el : FIELD64(spsr, 3, 2);

	if (!(cpu->sys.mdscr & MDSCR_SS) || (cpu->sys.oslar & 1))
		return false;
	source = debug_exceptions_enabled(cpu);
	dest = el == 0 || (kde && !(spsr & (PSTATE_D << SPSR_DAIF_SHIFT)));
	return !source && dest && (spsr & SPSR_SS);
}

void cpu_eret(struct cpu *cpu)
{
	uint64_t spsr = cpu->sys.spsr, pc = cpu->sys.elr;
	bool ss = return_ss(cpu, spsr);

	cpu->excl_size = 0;
	atomic_store_explicit(&cpu->remote.event, 1, memory_order_relaxed);
	cpu->stepped = false;
	if (illegal_return(spsr)) {
		uint64_t kept = cpu_pstate(cpu) & (SPSR_UAO | SPSR_SSBS | SPSR_M);

		spsr = (spsr & ~(SPSR_UAO | SPSR_SSBS | SPSR_M)) | kept | SPSR_IL;
	}
	spsr = ss ? spsr | SPSR_SS : spsr & ~SPSR_SS;
	cpu->pc = pc;
	cpu_set_pstate(cpu, spsr);
}

int cpu_wfx_trap(struct cpu *cpu, bool wfe)
{
	if (cpu->ps.el || (cpu->sys.sctlr & (wfe ? SCTLR_NTWE : SCTLR_NTWI)))
		return CPU_EXIT_NONE;
	cpu->fault = (struct cpu_fault){.esr = ESR(EC_WFX, ISS_COND_ALWAYS | wfe)};
	return CPU_FAULT;
}
