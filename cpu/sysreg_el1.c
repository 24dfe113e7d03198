/* SPDX-License-Identifier: MIT */
/*
 * Handlers of the EL1 system registers: identification, control and translation, self-hosted debug.
 */
#include <errno.h>

#include "cpu/access.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/sysreg_rows.h"

static uint64_t *slot_of(struct cpu *cpu, const struct sysreg *r)
{
	return (uint64_t *)((char *)cpu + r->slot);
}

int read_undefined(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	return sysreg_undefined(cpu);
}

int write_undefined(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	return sysreg_undefined(cpu);
}

int write_ignored(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	return CPU_EXIT_NONE;
}

int get_raz(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = 0;
	return 0;
}

int get_slot(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = *slot_of(cpu, r);
	return 0;
}

int set_slot(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	*slot_of(cpu, r) = value;
	return 0;
}

int set_ignored(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	return 0;
}

/* --- Identification --- */

int read_mpidr(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = cpu->mpidr;
	return CPU_EXIT_NONE;
}

int set_mpidr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->mpidr = value;
	return 0;
}

#define PFR0_CSV2_SHIFT 56
#define PFR0_CSV3_SHIFT 60

int read_pfr0(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = r->reset | (uint64_t)cpu->machine->csv2 << PFR0_CSV2_SHIFT |
		 (uint64_t)cpu->machine->csv3 << PFR0_CSV3_SHIFT;
	return CPU_EXIT_NONE;
}

/* CSV2 and CSV3 may promise less than the CPU has; all else must be as it is. */
int set_pfr0(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	unsigned int csv2 = FIELD64(value, 59, 56), csv3 = FIELD64(value, 63, 60);

	if (csv2 > 1 || csv3 > 1 || (value & BITS64(55, 0)) != r->reset)
		return -EINVAL;
	cpu->machine->csv2 = (uint8_t)csv2;
	cpu->machine->csv3 = (uint8_t)csv3;
	return 0;
}

#define DFR0_PMUVER_8_1 (4ull << 8)

int read_dfr0(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = r->reset | (cpu->features & CPU_FEATURE_PMU ? DFR0_PMUVER_8_1 : 0);
	return CPU_EXIT_NONE;
}

/* The caches that CLIDR_EL1 tells of; CCSIDR_EL1 without CCIDX: sets - 1, ways - 1, log2 of line
 * words - 2. */
#define CCSIDR(sets, ways) (((uint64_t)(sets)-1) << 13 | ((uint64_t)(ways)-1) << 3 | 2)
#define CSSELR_ICACHE      1u

int sysreg_ccsidr(unsigned int csselr, uint64_t *value)
{
	static const struct {
		uint8_t csselr;
		uint64_t ccsidr;
	} caches[] = {
		{0 << 1, CCSIDR(128, 4)},                 /* L1D, 32 KiB */
		{0 << 1 | CSSELR_ICACHE, CCSIDR(128, 4)}, /* L1I, 32 KiB */
		{1 << 1, CCSIDR(1024, 16)},               /* L2, 1 MiB */
	};

	for (unsigned int i = 0; i < sizeof(caches) / sizeof(caches[0]); i++) {
		if (caches[i].csselr == csselr) {
			*value = caches[i].ccsidr;
			return 0;
		}
	}
	return -ENOENT;
}

int read_ccsidr(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	if (sysreg_ccsidr(cpu->sys.csselr & 0xf, value))
		*value = 0; /* UNKNOWN */
	return CPU_EXIT_NONE;
}

int read_ctr(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	if (!cpu->ps.el && !(cpu->sys.sctlr & SCTLR_UCT))
		return sysreg_trap(cpu, r->enc, true);
	*value = r->reset;
	return CPU_EXIT_NONE;
}

#define DCZID_DZP BIT64(4)

int read_dczid(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = r->reset;
	if (!cpu->ps.el && !(cpu->sys.sctlr & SCTLR_DZE))
		*value |= DCZID_DZP;
	return CPU_EXIT_NONE;
}

#define ISR_A BIT64(8)
#define ISR_I BIT64(7)
#define ISR_F BIT64(6)

int read_isr(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	uint32_t pins = atomic_load_explicit(&cpu->remote.pins, memory_order_acquire);

	*value = (pins & CPU_PIN_IRQ ? ISR_I : 0) | (pins & CPU_PIN_FIQ ? ISR_F : 0) |
		 (pins & CPU_PIN_SERROR ? ISR_A : 0);
	return CPU_EXIT_NONE;
}

/* --- Control and translation --- */

/* A register that the mode word, the banks or pending exceptions depend on. */
int write_context(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	uint64_t *slot = slot_of(cpu, r);

	*slot = r->mask ? (*slot & ~r->mask) | (value & r->mask) : value;
	cpu_update_mode(cpu);
	return CPU_EXIT_NONE;
}

int write_sctlr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.sctlr = (value & SCTLR_RW) | SCTLR_RES1;
	cpu_update_mode(cpu);
	return CPU_EXIT_NONE;
}

int set_sctlr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	return write_sctlr(cpu, r, value);
}

int write_csselr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.csselr = value & 0xf;
	return CPU_EXIT_NONE;
}

/* SP_EL0 is UNDEFINED while it is the stack pointer in use. */
int read_sp_el0(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	if (!cpu->ps.spsel)
		return sysreg_undefined(cpu);
	*value = cpu->sp_el[0];
	return CPU_EXIT_NONE;
}

int write_sp_el0(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	if (!cpu->ps.spsel)
		return sysreg_undefined(cpu);
	cpu->sp_el[0] = value;
	return CPU_EXIT_NONE;
}

/* --- Debug (D2, D8) --- */

#define OSLAR_OSLK 1u

int read_oslsr(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = OSLSR_OSLM1 | (cpu->sys.oslar & OSLAR_OSLK ? OSLSR_OSLK : 0);
	return CPU_EXIT_NONE;
}

int write_oslar(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.oslar = value & OSLAR_OSLK;
	cpu_update_mode(cpu);
	return CPU_EXIT_NONE;
}

int set_oslsr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	if ((value ^ OSLSR_OSLM1) & ~OSLSR_OSLK)
		return -EINVAL;
	return write_oslar(cpu, r, value & OSLSR_OSLK ? OSLAR_OSLK : 0);
}

#define CLAIM_TAGS 0xffull

int read_claimset(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	*value = CLAIM_TAGS;
	return CPU_EXIT_NONE;
}

int write_claimset(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.dbgclaim |= value & CLAIM_TAGS;
	return CPU_EXIT_NONE;
}

int write_claimclr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.dbgclaim &= ~value;
	return CPU_EXIT_NONE;
}

/* The debug communications channel has no other end: empty, and MDSCR_EL1.TDCC traps EL0. */
int read_dcc(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	if (!cpu->ps.el && (cpu->sys.mdscr & MDSCR_TDCC))
		return sysreg_trap(cpu, r->enc, true);
	*value = 0;
	return CPU_EXIT_NONE;
}

int write_dcc(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	if (!cpu->ps.el && (cpu->sys.mdscr & MDSCR_TDCC))
		return sysreg_trap(cpu, r->enc, false);
	return CPU_EXIT_NONE;
}
