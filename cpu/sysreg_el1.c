/* SPDX-License-Identifier: MIT */
/*
 * Handlers of the EL1 system registers: identification, control and translation, self-hosted debug.
 */
#include <errno.h>

#include "cpu/access.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/sysreg_rows.h"

/* What only the VMM sees. */
int access_nobody(struct cpu *cpu, const struct sysreg *r, bool read)
{
	return sysreg_undefined(cpu);
}

uint64_t read_zero(struct cpu *cpu, const struct sysreg *r)
{
	return 0;
}

void write_ignored(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
}

/* --- Identification --- */

uint64_t read_mpidr(struct cpu *cpu, const struct sysreg *r)
{
	return cpu->mpidr;
}

int set_mpidr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->mpidr = value;
	return 0;
}

#define PFR0_CSV2_SHIFT 56
#define PFR0_CSV3_SHIFT 60

uint64_t read_pfr0(struct cpu *cpu, const struct sysreg *r)
{
	return r->reset | (uint64_t)cpu->machine->csv2 << PFR0_CSV2_SHIFT |
	       (uint64_t)cpu->machine->csv3 << PFR0_CSV3_SHIFT;
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

uint64_t read_dfr0(struct cpu *cpu, const struct sysreg *r)
{
	return r->reset | (cpu->features & CPU_FEATURE_PMU ? DFR0_PMUVER_8_1 : 0);
}

/*
 * The caches that CLIDR_EL1 tells of; CCSIDR_EL1 without CCIDX: sets - 1, ways - 1, log2 of line
 * words - 2.
 */
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

uint64_t read_ccsidr(struct cpu *cpu, const struct sysreg *r)
{
	uint64_t value;

	return sysreg_ccsidr(cpu->sys.csselr & 0xf, &value) ? 0 /* UNKNOWN */ : value;
}

int access_ctr(struct cpu *cpu, const struct sysreg *r, bool read)
{
	if (cpu->ps.el || (cpu->sys.sctlr & SCTLR_UCT))
		return CPU_EXIT_NONE;
	return sysreg_trap(cpu, r->enc, read);
}

#define DCZID_DZP BIT64(4)

uint64_t read_dczid(struct cpu *cpu, const struct sysreg *r)
{
	bool prohibited = !cpu->ps.el && !(cpu->sys.sctlr & SCTLR_DZE);

	return r->reset | (prohibited ? DCZID_DZP : 0);
}

#define ISR_A BIT64(8)
#define ISR_I BIT64(7)
#define ISR_F BIT64(6)

uint64_t read_isr(struct cpu *cpu, const struct sysreg *r)
{
	uint32_t pins = atomic_load_explicit(&cpu->remote.pins, memory_order_acquire);

	return (pins & CPU_PIN_IRQ ? ISR_I : 0) | (pins & CPU_PIN_FIQ ? ISR_F : 0) |
	       (pins & CPU_PIN_SERROR ? ISR_A : 0);
}

/* --- Control and translation --- */

/* A register that the mode word, the banks or pending exceptions depend on. */
void write_context(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	uint64_t *slot = sysreg_slot(cpu, r);

	*slot = r->mask ? (*slot & ~r->mask) | (value & r->mask) : value;
	cpu_update_mode(cpu);
}

void write_sctlr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.sctlr = (value & SCTLR_RW) | SCTLR_RES1;
	cpu_update_mode(cpu);
}

int set_sctlr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	write_sctlr(cpu, r, value);
	return 0;
}

void write_csselr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.csselr = value & 0xf;
}

/* SP_EL0 is UNDEFINED while it is the stack pointer in use. */
int access_sp_el0(struct cpu *cpu, const struct sysreg *r, bool read)
{
	return cpu->ps.spsel ? CPU_EXIT_NONE : sysreg_undefined(cpu);
}

/* --- Debug (D2, D8) --- */

#define OSLAR_OSLK 1u

uint64_t read_oslsr(struct cpu *cpu, const struct sysreg *r)
{
	return OSLSR_OSLM1 | (cpu->sys.oslar & OSLAR_OSLK ? OSLSR_OSLK : 0);
}

void write_oslar(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.oslar = value & OSLAR_OSLK;
	cpu_update_mode(cpu);
}

int set_oslsr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	if ((value ^ OSLSR_OSLM1) & ~OSLSR_OSLK)
		return -EINVAL;
	write_oslar(cpu, r, value & OSLSR_OSLK ? OSLAR_OSLK : 0);
	return 0;
}

#define CLAIM_TAGS 0xffull

uint64_t read_claimset(struct cpu *cpu, const struct sysreg *r)
{
	return CLAIM_TAGS;
}

void write_claimset(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.dbgclaim |= value & CLAIM_TAGS;
}

void write_claimclr(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	cpu->sys.dbgclaim &= ~value;
}

/* The debug communications channel has no other end: empty, and MDSCR_EL1.TDCC traps EL0. */
int access_dcc(struct cpu *cpu, const struct sysreg *r, bool read)
{
	if (cpu->ps.el || !(cpu->sys.mdscr & MDSCR_TDCC))
		return CPU_EXIT_NONE;
	return sysreg_trap(cpu, r->enc, read);
}
