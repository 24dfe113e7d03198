/* SPDX-License-Identifier: MIT */
/*
 * A small A64 assembler, for guest programs that are written as C.
 *
 *	struct prog p = { 0 };
 *	a_movi(&p, 0, 0x1234);
 *	unsigned int loop = a_here(&p);
 *	a_subi(&p, 0, 0, 1);
 *	a_cbnz(&p, 0, loop);
 *
 * Each function emits one instruction (a_movi: up to four). A label is the index of a word that is
 * there already: branches go back. Encodings: Arm ARM, C4 and C6.
 */
#ifndef CONFORM_ASM_H
#define CONFORM_ASM_H

#include <stdint.h>

#define PROG_WORDS 1024

struct prog {
	uint32_t word[PROG_WORDS];
	unsigned int n;
};

#define A_XZR 31

/* System registers, as MRS and MSR name them. */
#define A_SYSREG(op0, op1, crn, crm, op2) \
	(((op0) << 14) | ((op1) << 11) | ((crn) << 7) | ((crm) << 3) | (op2))
#define A_ID_AA64ISAR0_EL1 A_SYSREG(3, 0, 0, 6, 0)
#define A_VBAR_EL1         A_SYSREG(3, 0, 12, 0, 0)
#define A_ELR_EL1          A_SYSREG(3, 0, 4, 0, 1)
#define A_ESR_EL1          A_SYSREG(3, 0, 5, 2, 0)
#define A_FAR_EL1          A_SYSREG(3, 0, 6, 0, 0)
#define A_SCTLR_EL1        A_SYSREG(3, 0, 1, 0, 0)
#define A_CPACR_EL1        A_SYSREG(3, 0, 1, 0, 2)
#define A_TTBR0_EL1        A_SYSREG(3, 0, 2, 0, 0)
#define A_TCR_EL1          A_SYSREG(3, 0, 2, 0, 2)
#define A_CNTV_CTL_EL0     A_SYSREG(3, 3, 14, 3, 1)
#define A_CNTV_CVAL_EL0    A_SYSREG(3, 3, 14, 3, 2)
#define A_CNTV_TVAL_EL0    A_SYSREG(3, 3, 14, 3, 0)
#define A_CNTP_CTL_EL0     A_SYSREG(3, 3, 14, 2, 1)
#define A_CNTP_CVAL_EL0    A_SYSREG(3, 3, 14, 2, 2)
#define A_CNTP_TVAL_EL0    A_SYSREG(3, 3, 14, 2, 0)
#define A_CNTVCT_EL0       A_SYSREG(3, 3, 14, 0, 2)
#define A_CNTPCT_EL0       A_SYSREG(3, 3, 14, 0, 1)
#define A_CNTFRQ_EL0       A_SYSREG(3, 3, 14, 0, 0)
#define A_PMCR_EL0         A_SYSREG(3, 3, 9, 12, 0)
#define A_PMCNTENSET_EL0   A_SYSREG(3, 3, 9, 12, 1)
#define A_PMCNTENCLR_EL0   A_SYSREG(3, 3, 9, 12, 2)
#define A_PMOVSCLR_EL0     A_SYSREG(3, 3, 9, 12, 3)
#define A_PMSWINC_EL0      A_SYSREG(3, 3, 9, 12, 4)
#define A_PMCCNTR_EL0      A_SYSREG(3, 3, 9, 13, 0)
#define A_PMINTENSET_EL1   A_SYSREG(3, 0, 9, 14, 1)
#define A_PMINTENCLR_EL1   A_SYSREG(3, 0, 9, 14, 2)
#define A_PMOVSSET_EL0     A_SYSREG(3, 3, 9, 14, 3)
#define A_PMEVCNTR0_EL0    A_SYSREG(3, 3, 14, 8, 0)
#define A_PMEVTYPER0_EL0   A_SYSREG(3, 3, 14, 12, 0)
#define A_PMCCFILTR_EL0    A_SYSREG(3, 3, 14, 15, 7)

#define A_DAIF_D 8
#define A_DAIF_A 4
#define A_DAIF_I 2
#define A_DAIF_F 1

/* Any word; the assembler knows but a few. */
void a_emit(struct prog *p, uint32_t word);

static inline unsigned int a_here(const struct prog *p)
{
	return p->n;
}

/* Pad with NOPs to byte offset @offset of the program: vectors lie at fixed places. */
void a_org(struct prog *p, unsigned int offset);

void a_movi(struct prog *p, unsigned int rd, uint64_t value);
void a_mov(struct prog *p, unsigned int rd, unsigned int rm);
void a_add(struct prog *p, unsigned int rd, unsigned int rn, unsigned int rm);
void a_sub(struct prog *p, unsigned int rd, unsigned int rn, unsigned int rm);
void a_addi(struct prog *p, unsigned int rd, unsigned int rn, unsigned int imm12);
void a_subi(struct prog *p, unsigned int rd, unsigned int rn, unsigned int imm12);

/* Loads and stores of 1 << size_log2 bytes at [rn]; signed loads to 64 or 32 bits. */
void a_ldr(struct prog *p, unsigned int size_log2, unsigned int rt, unsigned int rn);
void a_str(struct prog *p, unsigned int size_log2, unsigned int rt, unsigned int rn);
void a_ldrs(struct prog *p, unsigned int size_log2, unsigned int rt, unsigned int rn, int to64);

void a_b(struct prog *p, unsigned int target);
void a_cbz(struct prog *p, unsigned int rt, unsigned int target);
void a_cbnz(struct prog *p, unsigned int rt, unsigned int target);
void a_br(struct prog *p, unsigned int rn);

void a_mrs(struct prog *p, unsigned int rt, unsigned int sysreg);
void a_msr(struct prog *p, unsigned int sysreg, unsigned int rt);
/* Write a constant; register @scratch is changed. */
void a_msri(struct prog *p, unsigned int sysreg, uint64_t value, unsigned int scratch);
void a_daifset(struct prog *p, unsigned int bits);
void a_daifclr(struct prog *p, unsigned int bits);

void a_hvc(struct prog *p, unsigned int imm);
void a_smc(struct prog *p, unsigned int imm);
void a_wfi(struct prog *p);
void a_wfe(struct prog *p);
void a_sev(struct prog *p);
void a_isb(struct prog *p);
void a_dsb(struct prog *p);
void a_nop(struct prog *p);
void a_eret(struct prog *p);

#endif
