/* SPDX-License-Identifier: MIT */
/*
 * Branches, exception generation and exception return (Arm ARM C4.1.89).
 *
 * A conditional branch is a side exit; decode.c decides whether the block goes on behind it. HLT
 * and DCPS are UNDEFINED without halting debug, DRPS outside Debug state: they have no rows.
 */
#include "engine/front/a64/a64.h"

static void link(struct a64 *t)
{
	a64_set_x(t, true, 30, a64_pcrel(t, 4));
}

/* B BL */
static bool branch(struct a64 *t, uint32_t insn)
{
	int64_t delta = a64_sext((uint64_t)BITS(insn, 25, 0) << 2, 28);

	if (BIT(insn, 31))
		link(t);
	a64_jump(t, delta, BIT(insn, 31) ? IR_CALLS : IR_BRANCH);
	return true;
}

static int64_t offset19(uint32_t insn)
{
	return a64_sext((uint64_t)BITS(insn, 23, 5) << 2, 21);
}

/* B.cond */
static bool branch_cond(struct a64 *t, uint32_t insn)
{
	unsigned int cond = BITS(insn, 3, 0);

	if (cond >= IR_AL)
		a64_jump(t, offset19(insn), IR_BRANCH);
	else
		a64_side(t, IR_BCC, IR_FLAGS, cond, a64_flags(t), offset19(insn));
	return true;
}

/* CBZ CBNZ */
static bool compare_branch(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);

	a64_side(t, BIT(insn, 24) ? IR_CBNZ : IR_CBZ, a64_type(sf), 0,
		 a64_x(t, sf, BITS(insn, 4, 0)), offset19(insn));
	return true;
}

/* TBZ TBNZ */
static bool test_branch(struct a64 *t, uint32_t insn)
{
	bool sf = BIT(insn, 31);
	unsigned int bit = sf << 5 | BITS(insn, 23, 19);

	a64_side(t, BIT(insn, 24) ? IR_TBNZ : IR_TBZ, a64_type(sf), bit,
		 a64_x(t, sf, BITS(insn, 4, 0)), a64_sext((uint64_t)BITS(insn, 18, 5) << 2, 16));
	return true;
}

/* BR BLR RET */
static bool branch_reg(struct a64 *t, uint32_t insn)
{
	static const uint8_t kinds[3] = {IR_BRANCH, IR_CALLS, IR_RETURN};
	unsigned int opc = BITS(insn, 22, 21);
	ir_val target;

	if (opc == 3)
		return false;
	target = a64_x(t, true, BITS(insn, 9, 5));
	if (opc == 1)
		link(t);
	a64_jump_ind(t, target, kinds[opc]);
	return true;
}

static bool eret(struct a64 *t, uint32_t insn)
{
	if (!(t->mode & CPU_MODE_EL1))
		return false;
	a64_leave(t, IR_LEAVE_ERET, 0);
	return true;
}

static bool svc(struct a64 *t, uint32_t insn)
{
	a64_exception(t, ESR(EC_SVC64, BITS(insn, 20, 5)), true);
	return true;
}

static bool brk(struct a64 *t, uint32_t insn)
{
	a64_exception(t, ESR(EC_BRK64, BITS(insn, 20, 5)), false);
	return true;
}

/* HVC SMC: to the KVM. UNDEFINED at EL0. */
static bool hypercall(struct a64 *t, uint32_t insn)
{
	if (!(t->mode & CPU_MODE_EL1))
		return false;
	a64_leave(t, BIT(insn, 0) ? IR_LEAVE_SMC : IR_LEAVE_HVC, BITS(insn, 20, 5));
	return true;
}

const struct a64_row a64_branch[] = {
	{0x7c000000, 0x14000000, branch, "B/BL"},
	{0xff000010, 0x54000000, branch_cond, "B.cond"},
	{0x7e000000, 0x34000000, compare_branch, "CBZ/CBNZ"},
	{0x7e000000, 0x36000000, test_branch, "TBZ/TBNZ"},
	{0xff9ffc1f, 0xd61f0000, branch_reg, "BR/BLR/RET"},
	{0xffffffff, 0xd69f03e0, eret, "ERET"},
	{0xffe0001f, 0xd4000001, svc, "SVC"},
	{0xffe0001f, 0xd4000002, hypercall, "HVC"},
	{0xffe0001f, 0xd4000003, hypercall, "SMC"},
	{0xffe0001f, 0xd4200000, brk, "BRK"},
	{0, 0, NULL, NULL},
};
