/* SPDX-License-Identifier: MIT */
/*
 * C functions that IR CALLs (helpers.def): what no op says well.
 *
 * Each has the type ir_helper_fn: CPU_EXIT_NONE when done, else nothing of the guest's state was
 * changed and the instruction starts again after the exit or takes the exception in cpu->fault.
 */
#include "engine/front/a64/a64.h"

static int h_mrs(struct cpu *cpu, uint64_t enc, uint64_t b, uint64_t c, uint64_t *result)
{
	return sysreg_mrs(cpu, (uint16_t)enc, result);
}

static int h_msr(struct cpu *cpu, uint64_t enc, uint64_t value, uint64_t c, uint64_t *result)
{
	return sysreg_msr(cpu, (uint16_t)enc, value);
}

static int h_sys(struct cpu *cpu, uint64_t enc, uint64_t value, uint64_t c, uint64_t *result)
{
	return sysinsn_execute(cpu, (uint16_t)enc, value);
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
		{MEM_PLAIN, MEM_RELEASE},
		{MEM_ACQUIRE, MEM_ACQ_REL},
	};
	unsigned int rs = BITS(insn, 20, 16), rt = BITS(insn, 4, 0);
	bool sf = BIT(insn, 30);
	uint64_t mask = sf ? ~0ull : 0xffffffffull, old[2];
	/* Pairs start at even numbers: 30 is X30 with XZR. */
	uint64_t expect[2] = {cpu->x[rs] & mask, rs == 30 ? 0 : cpu->x[rs + 1] & mask};
	uint64_t value[2] = {cpu->x[rt] & mask, rt == 30 ? 0 : cpu->x[rt + 1] & mask};
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

static int h_msr_imm(struct cpu *cpu, uint64_t field, uint64_t imm, uint64_t c, uint64_t *result)
{
	return sysreg_write_imm(cpu, (unsigned int)field >> 3, (unsigned int)field & 7,
				(unsigned int)imm);
}

/* What ends WFI at once, masked or not. */
static bool interrupt_pending(struct cpu *cpu)
{
	return atomic_load_explicit(&cpu->remote.pins, memory_order_acquire) != 0;
}

/* Only an instruction that would wait is trapped (Arm ARM, pseudocode of WFE and WFI). */
static int h_wfx_trap(struct cpu *cpu, uint64_t wfe, uint64_t b, uint64_t c, uint64_t *result)
{
	if (wfe ? atomic_load_explicit(&cpu->remote.event, memory_order_acquire)
		: interrupt_pending(cpu))
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

const struct ir_helper a64_helpers[A64_NR_HELPERS] = {
#define HELPER(n, p) [A64_H_##n] = {.name = #n, .fn = h_##n, .props = (p)},
#include "engine/front/a64/helpers.def"
#undef HELPER
};
