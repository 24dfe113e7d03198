/* SPDX-License-Identifier: MIT */
/*
 * System registers: one table. MRS/MSR, ONE_REG, reset and the docs all read it.
 *
 * A register is a row: encoding, name, who may access it, where it lives (a slot of struct cpu) or
 * the functions that read and write it, its reset value, and how KVM shows it to the VMM.
 */
#ifndef CPU_SYSREG_H
#define CPU_SYSREG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu;

/* Encoding as in ONE_REG and in the MRS/MSR instruction: op0:2 op1:3 CRn:4 CRm:4 op2:3. */
#define SYSREG(op0, op1, crn, crm, op2) \
	((uint16_t)(((op0) << 14) | ((op1) << 11) | ((crn) << 7) | ((crm) << 3) | (op2)))

/* Registers that are plain storage. Every field is a slot. */
struct sysregs {
	uint64_t sctlr, cpacr, ttbr0, ttbr1, tcr, mair, amair, vbar, contextidr;
	uint64_t elr, spsr, esr, far, par, afsr0, afsr1;
	uint64_t tpidr_el0, tpidrro_el0, tpidr_el1;
	uint64_t csselr, actlr, mdscr, osdlr, oslar, cntkctl;
	uint64_t mdccint, dbgbvr[16], dbgbcr[16], dbgwvr[16], dbgwcr[16], dbgclaim;
	uint64_t disr;
	uint64_t osdtrrx, osdtrtx, oseccr;
	/* AArch32 state that KVM shows to the VMM although the CPU has none */
	uint64_t dbgvcr32, dacr32, ifsr32, fpexc32;
};

enum sysreg_flags {
	SR_EL0_R = 1 << 0, /* readable at EL0 (the access function may still trap) */
	SR_EL0_W = 1 << 1,
	SR_RO = 1 << 2, /* MSR is UNDEFINED */
	SR_WO = 1 << 3, /* MRS is UNDEFINED */
	/*
	 * Reads are a GET of the slot, without side effects or traps, at EL1 and where EL0_R says
	 * so. (SP_EL0 is plain unless CPU_MODE_EL1T is set.)
	 */
	SR_PLAIN = 1 << 4,
	SR_PLAIN_W = 1 << 5, /* writes are a PUT of the slot, likewise */
	/* A write may change mode word, banks or pending interrupts: it ends the block. */
	SR_CONTEXT = 1 << 6,
	SR_ONE_REG = 1 << 7, /* in KVM_GET_REG_LIST */
	/* ONE_REG: writing anything but the present value is -EINVAL (ID registers). */
	SR_INVARIANT = 1 << 8,
	/* Exists only with CPU_FEATURE_PMU, else it is UNDEFINED and not in ONE_REG. */
	SR_PMU = 1 << 9,
	/* ONE_REG: any value may be written, and changes nothing (as Linux without AArch32). */
	SR_USER_WI = 1 << 10,
};

struct sysreg {
	uint16_t enc;
	uint16_t slot; /* offset in struct cpu, 0 when there is none */
	uint32_t flags;
	const char *name;
	uint64_t reset; /* value at reset of the slot, or the constant of an ID register */
	/*
	 * The guest's rights at its present EL, beyond EL0_R and EL0_W: CPU_EXIT_NONE, or CPU_FAULT
	 * with cpu->fault filled in. NULL: none is missing.
	 */
	int (*access)(struct cpu *cpu, const struct sysreg *r, bool read);
	/*
	 * The value, whoever asks: rights are none of their business, so that ONE_REG can call them
	 * whatever the guest is at. NULL: the slot (or the constant).
	 */
	uint64_t (*read)(struct cpu *cpu, const struct sysreg *r);
	void (*write)(struct cpu *cpu, const struct sysreg *r, uint64_t value);
	/* ONE_REG's write: 0 or -errno. NULL: a slot takes any value, all else its own only. */
	int (*set_user)(struct cpu *cpu, const struct sysreg *r, uint64_t value);
	uint64_t mask; /* bits of the slot that MSR can change; 0: all */
};

/** sysreg_find() - The row of @enc among those that every CPU has, or NULL. O(log n). */
const struct sysreg *sysreg_find(uint16_t enc);

/** sysreg_table() - These rows, sorted by encoding; *@nr: how many. */
const struct sysreg *sysreg_table(size_t *nr);

/**
 * struct sysreg_rows - Registers that some machines have besides: those of an interrupt controller.
 * @row: sorted by encoding; none is one that every CPU has
 * @nr:  how many
 *
 * Their state is their owner's: they have no slots, and reads and writes go through their functions
 * always, so that a translation is the same whether a machine has them or not.
 */
struct sysreg_rows {
	const struct sysreg *row;
	size_t nr;
};

struct machine;

/**
 * machine_add_sysregs() - Give all vCPUs of a machine registers besides those that every CPU has.
 * @m:    the machine, before a vCPU of it has run; one caller at a time
 * @rows: stay where they are as long as the machine lives
 *
 * Return: 0; -EEXIST if it has such rows; -EINVAL for rows that are not as struct sysreg_rows says.
 */
int machine_add_sysregs(struct machine *m, const struct sysreg_rows *rows);

/** machine_sysregs() - What machine_add_sysregs() added, or NULL. Any thread. */
const struct sysreg_rows *machine_sysregs(const struct machine *m);

/**
 * machine_sysreg() - The row of a register in a machine.
 * @m:   the machine
 * @enc: the encoding
 *
 * Return: the row; or NULL, and an access is UNDEFINED. O(log n).
 */
const struct sysreg *machine_sysreg(const struct machine *m, uint16_t enc);

/* Rows that a vCPU remembers; a power of two. */
#define SYSREG_CACHE 128

/**
 * sysreg_mrs() / sysreg_msr() - MRS and MSR of any encoding at the present EL.
 * @cpu:   the vCPU, on its own thread
 * @enc:   the encoding, SYSREG()
 * @value: the register's value
 *
 * A register that was accessed lately is found at once: guests use few, and those often.
 *
 * Return: CPU_EXIT_NONE; or CPU_FAULT with cpu->fault filled in, if the access is UNDEFINED or
 * trapped to EL1.
 */
int sysreg_mrs(struct cpu *cpu, uint16_t enc, uint64_t *value);
int sysreg_msr(struct cpu *cpu, uint16_t enc, uint64_t value);

/** sysreg_read() / sysreg_write() - The same of a row: with all checks (EL, RO, WO, traps). */
int sysreg_read(struct cpu *cpu, const struct sysreg *r, uint64_t *value);
int sysreg_write(struct cpu *cpu, const struct sysreg *r, uint64_t value);

/**
 * sysreg_get_user() / sysreg_set_user() - KVM_GET_ONE_REG and KVM_SET_ONE_REG of a register.
 * @cpu:   the vCPU, which no other thread runs
 * @r:     the register
 * @value: its value
 *
 * They depend neither on what the guest may do nor on where it is.
 *
 * Return: 0; -ENOENT if the VMM has no such register; -EINVAL for a value that it cannot have.
 */
int sysreg_get_user(struct cpu *cpu, const struct sysreg *r, uint64_t *value);
int sysreg_set_user(struct cpu *cpu, const struct sysreg *r, uint64_t value);

/** sysreg_reset() - Give every register of a vCPU that has a slot its value at reset. */
void sysreg_reset(struct cpu *cpu);

/**
 * sysreg_write_imm() - MSR (immediate): DAIFSet, DAIFClr, SPSel, PAN, UAO, SSBS.
 * @cpu: the vCPU, on its own thread
 * @op1: with @op2, which field of PSTATE
 * @op2: see @op1
 * @imm: CRm, 0 to 15
 *
 * Return: CPU_EXIT_NONE, or CPU_FAULT (UNDEFINED, or trapped at EL0 by SCTLR_EL1.UMA).
 */
int sysreg_write_imm(struct cpu *cpu, unsigned int op1, unsigned int op2, unsigned int imm);

/** sysreg_imm_exists() - Is MSR (immediate) of this field allocated (at EL0, if @el0)? */
bool sysreg_imm_exists(unsigned int op1, unsigned int op2, bool el0);

/**
 * sysreg_ccsidr() - CCSIDR_EL1 of a cache, for KVM_REG_ARM_DEMUX_ID_CCSIDR.
 * @csselr: CSSELR_EL1: level in bits 3:1, instruction cache in bit 0
 * @value:  the register
 *
 * Return: 0, or -ENOENT if there is no such cache.
 */
int sysreg_ccsidr(unsigned int csselr, uint64_t *value);

/* sysinsn.c: SYS instructions, which are no registers (op0 = 1): TLBI, DC, IC, AT. */

/** sysinsn_exists() - Is @enc one (at EL0, if @el0)? Else it is UNDEFINED; traps come later. */
bool sysinsn_exists(uint16_t enc, bool el0);

/**
 * sysinsn_execute() - Execute one (Arm ARM C5.3 to C5.5).
 * @cpu:   the vCPU, on its own thread
 * @enc:   for which sysinsn_exists() at the present EL
 * @value: Xt
 *
 * Return: as the functions of cpu/access.h; CPU_FAULT also if it is trapped to EL1.
 */
int sysinsn_execute(struct cpu *cpu, uint16_t enc, uint64_t value);

#endif
