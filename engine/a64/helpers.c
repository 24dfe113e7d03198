/* SPDX-License-Identifier: MIT */
/*
 * C functions that IR CALLs (helpers.def): what no op says well.
 *
 * Each has the type ir_helper_fn: CPU_EXIT_NONE when done, else nothing of the guest's state was changed and the instruction
 * starts again after the exit or takes the exception in cpu->fault.
 */
#include "engine/a64/a64.h"

#define SYS_FPCR SYSREG(3, 3, 4, 4, 0)
#define SYS_FPSR SYSREG(3, 3, 4, 4, 1)

/* Bits that are implemented: AHP DN FZ RMode FZ16, and QC IDC IXC UFC OFC DZC IOC. No exception can be trapped. */
#define FPCR_MASK 0x07c80000u
#define FPSR_MASK 0x0800009fu

#define SCTLR_UMA (1ull << 9)

/* ISS of a trapped MSR, MRS or SYS (Arm ARM D17.2.37, EC 0x18). */
#define ISS_SYS_RT(rt)	       ((uint32_t)(rt) << 5)
#define ISS_SYS_MSR_IMM(op1, op2, crm) \
	((uint32_t)(op2) << 17 | (uint32_t)(op1) << 14 | 4u << 10 | ISS_SYS_RT(31) | (uint32_t)(crm) << 1)

static int fault(struct cpu *cpu, uint32_t esr)
{
	cpu->fault = (struct cpu_fault){ .esr = esr };
	return CPU_FAULT;
}

/* The register table does not know which Xt the instruction has: complete the syndrome of a trap. */
static int trap_rt(struct cpu *cpu, int rc, uint64_t rt)
{
	if (rc == CPU_FAULT && cpu->fault.esr >> 26 == EC_SYSREG)
		cpu->fault.esr = (cpu->fault.esr & ~ISS_SYS_RT(31)) | ISS_SYS_RT(rt);
	return rc;
}

static int h_mrs(struct cpu *cpu, uint64_t enc, uint64_t b, uint64_t rt, uint64_t *result)
{
	if (enc == SYS_FPSR) {
		*result = cpu_fpsr(cpu);
		return CPU_EXIT_NONE;
	}
	return trap_rt(cpu, sysreg_read(cpu, sysreg_find((uint16_t)enc), result), rt);
}

static int h_msr(struct cpu *cpu, uint64_t enc, uint64_t value, uint64_t rt, uint64_t *result)
{
	switch (enc) {
	case SYS_FPCR:
		cpu->fpcr = (uint32_t)value & FPCR_MASK;
		cpu_update_mode(cpu);
		return CPU_EXIT_NONE;
	case SYS_FPSR:
		cpu_fpsr(cpu);		/* takes the host's sticky flags, which the new value replaces */
		cpu->fpsr = (uint32_t)value & FPSR_MASK;
		return CPU_EXIT_NONE;
	}
	return trap_rt(cpu, sysreg_write(cpu, sysreg_find((uint16_t)enc), value), rt);
}

static int h_sys(struct cpu *cpu, uint64_t enc, uint64_t value, uint64_t rt, uint64_t *result)
{
	return trap_rt(cpu, sysinsn_execute(cpu, (uint16_t)enc, value), rt);
}

static int h_dsb(struct cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t *result)
{
	if (a)
		tlb_sync(cpu);
	return CPU_EXIT_NONE;
}

static int h_casp(struct cpu *cpu, uint64_t va, uint64_t insn, uint64_t c, uint64_t *result)
{
	static const uint8_t orders[2][2] = {
		{ MEM_PLAIN, MEM_RELEASE },
		{ MEM_ACQUIRE, MEM_ACQ_REL },
	};
	unsigned int rs = BITS(insn, 20, 16), rt = BITS(insn, 4, 0);
	bool sf = BIT(insn, 30);
	uint64_t mask = sf ? ~0ull : 0xffffffffull, old[2];
	/* Pairs start at even numbers: 30 is X30 with XZR. */
	uint64_t expect[2] = { cpu->x[rs] & mask, rs == 30 ? 0 : cpu->x[rs + 1] & mask };
	uint64_t value[2] = { cpu->x[rt] & mask, rt == 30 ? 0 : cpu->x[rt + 1] & mask };
	struct mem_desc d = {
		.size_log2 = sf ? 3 : 2,
		.pair = 1,
		.reg64 = sf,
		.order = orders[BIT(insn, 22)][BIT(insn, 15)],
		.align = 1,
		.atomic = 1,
		.be = (cpu->mode & CPU_MODE_BE) != 0,
	};
	int rc = access_cas(cpu, va, &d, expect, value, old);

	if (rc)
		return rc;
	cpu->x[rs] = old[0] & mask;
	if (rs != 30)
		cpu->x[rs + 1] = old[1] & mask;
	return CPU_EXIT_NONE;
}

static int msr_daif(struct cpu *cpu, bool set, unsigned int imm)
{
	if (!cpu->ps.el && !(cpu->sys.sctlr & SCTLR_UMA))
		return fault(cpu, ESR(EC_SYSREG, ISS_SYS_MSR_IMM(3, set ? 6 : 7, imm)));
	if (set)
		cpu->ps.daif |= imm;
	else
		cpu->ps.daif &= ~imm;
	return CPU_EXIT_NONE;
}

static int h_msr_imm(struct cpu *cpu, uint64_t field, uint64_t imm, uint64_t c, uint64_t *result)
{
	int rc = CPU_EXIT_NONE;

	switch (field) {
	case 0 << 3 | 3:
		cpu->ps.uao = imm & 1;
		break;
	case 0 << 3 | 4:
		cpu->ps.pan = imm & 1;
		break;
	case 0 << 3 | 5:
		cpu_set_spsel(cpu, imm & 1);
		break;
	case 3 << 3 | 1:
		cpu->ps.ssbs = imm & 1;
		return CPU_EXIT_NONE;
	case 3 << 3 | 6:
		rc = msr_daif(cpu, true, (unsigned int)imm);
		if (!(imm & 8))
			return rc;
		break;
	case 3 << 3 | 7:
		rc = msr_daif(cpu, false, (unsigned int)imm);
		break;
	}
	if (rc == CPU_EXIT_NONE)
		cpu_update_mode(cpu);
	return rc;
}

/* What ends WFI at once, masked or not. */
static bool interrupt_pending(struct cpu *cpu)
{
	return atomic_load_explicit(&cpu->remote.pins, memory_order_acquire) != 0;
}

/* Only an instruction that would wait is trapped (Arm ARM, pseudocode of WFE and WFI). */
static int h_wfx_trap(struct cpu *cpu, uint64_t wfe, uint64_t b, uint64_t c, uint64_t *result)
{
	if (wfe ? atomic_load_explicit(&cpu->remote.event, memory_order_acquire) : interrupt_pending(cpu))
		return CPU_EXIT_NONE;
	return cpu_wfx_trap(cpu, wfe);
}

static void set_event(struct cpu *cpu)
{
	atomic_store_explicit(&cpu->remote.event, 1, memory_order_seq_cst);
	if (cpu->machine->ops && cpu->machine->ops->event)
		cpu->machine->ops->event(cpu);
}

static int h_sev(struct cpu *cpu, uint64_t local, uint64_t b, uint64_t c, uint64_t *result)
{
	struct machine *m = cpu->machine;
	struct cpu *cpus[CPU_MAX_VCPUS];
	unsigned int nr = 0;

	if (local) {
		atomic_store_explicit(&cpu->remote.event, 1, memory_order_release);
		return CPU_EXIT_NONE;
	}
	pthread_mutex_lock(&m->lock);
	for (unsigned int i = 0; i < CPU_MAX_VCPUS; i++)
		if (m->cpus[i])
			cpus[nr++] = m->cpus[i];
	pthread_mutex_unlock(&m->lock);
	for (unsigned int i = 0; i < nr; i++)
		set_event(cpus[i]);
	return CPU_EXIT_NONE;
}

#define F + IRP_FAULT
#define R + IRP_READS
#define W + IRP_WRITES
const struct ir_helper ir_helpers[] = {
#define HELPER(n, p) [A64_H_##n] = { .name = #n, .fn = h_##n, .props = (p) },
#include "engine/a64/helpers.def"
#undef HELPER
};
