/* SPDX-License-Identifier: MIT */
/*
 * System instructions (Arm ARM C4.1.88): hints, barriers, MSR/MRS, SYS.
 *
 * What must hold: whatever changes the mode word, a TLB bank or what interrupts are taken ends the
 * block (LEAVE SYNC).
 */
#include "engine/front/a64/a64.h"

#define SYS_SP_EL0 SYSREG(3, 0, 4, 1, 0)
#define SYS_NZCV   SYSREG(3, 3, 4, 2, 0)
#define SYS_DAIF   SYSREG(3, 3, 4, 2, 1)
#define SYS_FPCR   SYSREG(3, 3, 4, 4, 0)

/* CRm:op2 of the hints that do something. */
#define HINT_YIELD 1
#define HINT_WFE   2
#define HINT_WFI   3
#define HINT_SEV   4
#define HINT_SEVL  5

/* CRm of DSB and DMB: domain in bits 3:2, accesses in bits 1:0. */
#define BARRIER_OSH    0
#define BARRIER_NSH    1
#define BARRIER_LOADS  1
#define BARRIER_STORES 2
#define BARRIER_ALL    3

/* op1:op2 of MSR (immediate), as helper msr_imm takes it. */
#define PSTATE_FIELD(op1, op2) ((op1) << 3 | (op2))
#define PSTATE_SSBS            PSTATE_FIELD(3, 1)
#define PSTATE_DAIFSET         PSTATE_FIELD(3, 6)
#define PSTATE_DAIFCLR         PSTATE_FIELD(3, 7)
#define DAIF_D                 8
#define DAIF_SHIFT             6 /* in the register */

#define SYS_DC_ZVA SYSREG(1, 3, 7, 4, 1)

/* CRn of SYS. */
#define SYS_CRN_CACHE_AT 7

static bool el0(const struct a64 *t)
{
	return !(t->mode & CPU_MODE_EL1);
}

static ir_val k64(struct a64 *t, uint64_t k)
{
	return a64_const(t, IR_I64, k);
}

static void wait(struct a64 *t, bool wfe)
{
	if (el0(t))
		a64_call(t, A64_H_wfx_trap, k64(t, wfe), IR_NONE, IR_NONE);
	a64_leave(t, wfe ? IR_LEAVE_WFE : IR_LEAVE_WFI, 0);
}

/* All hints; those that are not allocated or not implemented are NOPs. */
static bool hint(struct a64 *t, uint32_t insn)
{
	switch (BITS(insn, 11, 5)) {
	case HINT_YIELD:
		a64_leave(t, IR_LEAVE_YIELD, 0);
		break;
	case HINT_WFE:
		wait(t, true);
		break;
	case HINT_WFI:
		wait(t, false);
		break;
	case HINT_SEV:
		a64_call(t, A64_H_sev, k64(t, 0), IR_NONE, IR_NONE);
		break;
	case HINT_SEVL:
		a64_call(t, A64_H_sev, k64(t, 1), IR_NONE, IR_NONE);
		break;
	}
	return true;
}

static bool clrex(struct a64 *t, uint32_t insn)
{
	a64_op(t, IR_CLREX, IR_I64, 0, IR_NONE, IR_NONE, IR_NONE, 0);
	return true;
}

static void fence(struct a64 *t, enum ir_fence kind)
{
	a64_op(t, IR_FENCE, IR_I64, kind, IR_NONE, IR_NONE, IR_NONE, 0);
}

static bool dmb(struct a64 *t, uint32_t insn)
{
	static const uint8_t kinds[4] = {
		IR_FENCE_FULL,
		[BARRIER_LOADS] = IR_FENCE_LD,
		[BARRIER_STORES] = IR_FENCE_ST,
		[BARRIER_ALL] = IR_FENCE_FULL,
	};

	fence(t, kinds[BITS(insn, 9, 8)]);
	return true;
}

/*
 * DSB, SSBB, PSSBB. Only one for loads and stores, beyond this PE, waits for broadcast maintenance
 * (D8.13.5). Accesses 0 are SSBB and PSSBB in the first two domains, and reserved in the others,
 * where they must act as DSB SY (C6.2, DSB).
 */
static bool dsb(struct a64 *t, uint32_t insn)
{
	unsigned int domain = BITS(insn, 11, 10), accesses = BITS(insn, 9, 8);
	bool reserved = !accesses && domain != BARRIER_OSH && domain != BARRIER_NSH;

	fence(t, IR_FENCE_FULL);
	if (reserved || (accesses == BARRIER_ALL && domain != BARRIER_NSH))
		a64_call(t, A64_H_dsb, k64(t, 1), IR_NONE, IR_NONE);
	return true;
}

static bool isb(struct a64 *t, uint32_t insn)
{
	a64_leave(t, IR_LEAVE_SYNC, 0);
	return true;
}

static ir_val daif(struct a64 *t)
{
	return a64_get(t, IR_I64, CPU_SLOT(ps.daif));
}

static void set_daif(struct a64 *t, ir_val v)
{
	a64_put(t, IR_I64, CPU_SLOT(ps.daif), v);
}

/* DAIFSet and DAIFClr at EL1, where nothing traps them. D has a say in stepping. */
static bool mask_interrupts(struct a64 *t, unsigned int field, unsigned int imm)
{
	bool set = field == PSTATE_DAIFSET;

	if (el0(t) || (!set && field != PSTATE_DAIFCLR))
		return false;
	if (set)
		set_daif(t, a64_op2(t, IR_OR, IR_I64, daif(t), k64(t, imm)));
	else
		set_daif(t, a64_op2(t, IR_AND, IR_I64, daif(t), k64(t, ~(uint64_t)imm)));
	if (imm & DAIF_D)
		a64_leave(t, IR_LEAVE_DAIF, 0);
	else if (!set)
		a64_leave(t, IR_LEAVE_SYNC, 0);
	return true;
}

/* MSR (immediate). DAIFSet only masks more, so the block goes on; D may change stepping. */
static bool msr_imm(struct a64 *t, uint32_t insn)
{
	unsigned int op1 = BITS(insn, 18, 16), op2 = BITS(insn, 7, 5), imm = BITS(insn, 11, 8);
	unsigned int field = PSTATE_FIELD(op1, op2);

	if (!sysreg_imm_exists(op1, op2, el0(t)))
		return false;
	if (mask_interrupts(t, field, imm))
		return true;
	a64_call(t, A64_H_msr_imm, k64(t, field), k64(t, imm), IR_NONE);
	if (field != PSTATE_SSBS && (field != PSTATE_DAIFSET || (imm & DAIF_D)))
		a64_leave(t, IR_LEAVE_SYNC, 0);
	return true;
}

static uint16_t sys_enc(uint32_t insn)
{
	return BITS(insn, 20, 5);
}

/* DC IC AT TLBI. What changes translations or code ends the block. */
static bool sys(struct a64 *t, uint32_t insn)
{
	uint16_t enc = sys_enc(insn);
	unsigned int crn = BITS(insn, 15, 12), crm = BITS(insn, 11, 8);

	if (!sysinsn_exists(enc, el0(t)))
		return false;
	if (enc == SYS_DC_ZVA) {
		a64_op(t, IR_ZVA, IR_I64, 0, a64_x(t, true, BITS(insn, 4, 0)), IR_NONE, IR_NONE, 0);
		return true;
	}
	a64_call(t, A64_H_sys, k64(t, enc), a64_x(t, true, BITS(insn, 4, 0)), IR_NONE);
	/* TLBI, IC IALLUIS (CRm 1), IC IALLU and IC IVAU (CRm 5) */
	if (crn != SYS_CRN_CACHE_AT || crm == 1 || crm == 5)
		a64_leave(t, IR_LEAVE_SYNC, 0);
	return true;
}

/*
 * A register that not every CPU has, but this machine may (machine_add_sysregs()). Its row is
 * looked for when the access is executed, and where there is none the access is UNDEFINED.
 */
static const struct sysreg elsewhere = {.flags = SR_EL0_R | SR_EL0_W | SR_CONTEXT};

/* The row of a register that an access at the present EL may reach, or NULL: UNDEFINED. */
static const struct sysreg *accessible(const struct a64 *t, uint16_t enc, unsigned int el0_flag,
				       unsigned int never)
{
	const struct sysreg *r = sysreg_find(enc);

	if (!r)
		return &elsewhere;
	if ((r->flags & never) || (el0(t) && !(r->flags & el0_flag)))
		return NULL;
	if (enc == SYS_SP_EL0 && (t->mode & CPU_MODE_EL1T))
		return NULL;
	return r;
}

/*
 * At EL0 even a plain register may be trapped, if its row says who may access it; the vCPU decides
 * whether there is a PMU.
 */
static bool mrs(struct a64 *t, uint32_t insn)
{
	uint16_t enc = sys_enc(insn);
	unsigned int rt = BITS(insn, 4, 0);
	const struct sysreg *r = accessible(t, enc, SR_EL0_R, SR_WO);
	ir_val v;

	if (!r)
		return false;
	if (enc == SYS_NZCV) {
		a64_set_x(t, false, rt, a64_op1(t, IR_PACK, IR_I32, a64_flags(t)));
		return true;
	}
	if (enc == SYS_FPCR) {
		if (a64_fp_enabled(t))
			a64_set_x(t, false, rt, a64_get(t, IR_I32, CPU_SLOT(fpcr)));
		return true;
	}
	if (enc == SYS_DAIF && !el0(t))
		v = a64_op2(t, IR_SHL, IR_I64, daif(t), k64(t, DAIF_SHIFT));
	else if ((r->flags & SR_PLAIN) && !(r->flags & SR_PMU) && (!el0(t) || !r->access))
		v = r->slot ? a64_get(t, IR_I64, r->slot) : k64(t, r->reset);
	else
		v = a64_call(t, A64_H_mrs, k64(t, enc), IR_NONE, IR_NONE);
	a64_set_x(t, true, rt, v);
	return true;
}

static bool plain_write(const struct a64 *t, const struct sysreg *r)
{
	return (r->flags & SR_PLAIN_W) && !(r->flags & SR_PMU) && r->slot && !r->mask &&
	       (!el0(t) || !r->access);
}

static bool msr(struct a64 *t, uint32_t insn)
{
	uint16_t enc = sys_enc(insn);
	unsigned int rt = BITS(insn, 4, 0);
	const struct sysreg *r = accessible(t, enc, SR_EL0_W, SR_RO);
	ir_val v;

	if (!r)
		return false;
	if (enc == SYS_NZCV) {
		a64_set_flags(t, a64_op1(t, IR_NZCV, IR_I32, a64_x(t, false, rt)));
		return true;
	}
	v = a64_x(t, true, rt);
	if (enc == SYS_DAIF && !el0(t)) {
		v = a64_op2(t, IR_SHR, IR_I64, v, k64(t, DAIF_SHIFT));
		set_daif(t, a64_op2(t, IR_AND, IR_I64, v, k64(t, 15)));
		a64_leave(t, IR_LEAVE_DAIF, 0);
		return true;
	}
	if (plain_write(t, r))
		a64_put(t, IR_I64, r->slot, v);
	else
		a64_call(t, A64_H_msr, k64(t, enc), v, IR_NONE);
	if (r->flags & SR_CONTEXT)
		a64_leave(t, IR_LEAVE_SYNC, 0);
	return true;
}

const struct a64_row a64_system[] = {
	{0xfffff01f, 0xd503201f, hint, "HINT"}, {0xfffff0ff, 0xd503305f, clrex, "CLREX"},
	{0xfffff0ff, 0xd503309f, dsb, "DSB"},   {0xfffff0ff, 0xd50330bf, dmb, "DMB"},
	{0xfffff0ff, 0xd50330df, isb, "ISB"},   {0xfff8f01f, 0xd500401f, msr_imm, "MSR imm"},
	{0xfff80000, 0xd5080000, sys, "SYS"},   {0xfff00000, 0xd5100000, msr, "MSR"},
	{0xfff00000, 0xd5300000, mrs, "MRS"},   {0, 0, NULL, NULL},
};
