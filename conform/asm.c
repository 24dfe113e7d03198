/* SPDX-License-Identifier: MIT */
/*
 * A small A64 assembler: see asm.h. One function an instruction; encodings from the Arm ARM, C4.1.
 */
#include <assert.h>

#include "conform/asm.h"

#define NOP         0xd503201fu
#define MOVZ_X      0xd2800000u
#define MOVK_X      0xf2800000u
#define ORR_X       0xaa000000u
#define ADD_X       0x8b000000u
#define SUB_X       0xcb000000u
#define ADD_IMM_X   0x91000000u
#define SUB_IMM_X   0xd1000000u
#define LDR_UIMM    0x39400000u
#define STR_UIMM    0x39000000u
#define LDRS64_UIMM 0x39800000u
#define LDRS32_UIMM 0x39c00000u
#define B           0x14000000u
#define CBZ_X       0xb4000000u
#define CBNZ_X      0xb5000000u
#define BR          0xd61f0000u
#define MRS         0xd5200000u
#define MSR         0xd5000000u
#define DAIFSET     0xd50340dfu
#define DAIFCLR     0xd50340ffu
#define HVC         0xd4000002u
#define SMC         0xd4000003u
#define WFE         0xd503205fu
#define WFI         0xd503207fu
#define SEV         0xd503209fu
#define DSB_SY      0xd5033f9fu
#define ISB         0xd5033fdfu
#define ERET        0xd69f03e0u

#define RN(r)      ((uint32_t)(r) << 5)
#define RM(r)      ((uint32_t)(r) << 16)
#define IMM12(i)   ((uint32_t)((i)&0xfff) << 10)
#define IMM16(i)   ((uint32_t)((i)&0xffff) << 5)
#define SIZE(s)    ((uint32_t)(s) << 30)
#define IMM19_MASK (0x7ffffu << 5)
#define IMM26_MASK 0x3ffffffu
#define IS_B(w)    (((w)&0xfc000000u) == B)

void a_emit(struct prog *p, uint32_t word)
{
	assert(p->n < PROG_WORDS);
	p->word[p->n++] = word;
}

void a_org(struct prog *p, unsigned int offset)
{
	assert(p->n <= offset / 4);
	while (p->n < offset / 4)
		a_emit(p, NOP);
}

void a_movi(struct prog *p, unsigned int rd, uint64_t value)
{
	unsigned int hw;

	a_emit(p, MOVZ_X | IMM16(value) | rd);
	for (hw = 1; hw < 4; hw++)
		if ((value >> (16 * hw)) & 0xffff)
			a_emit(p, MOVK_X | hw << 21 | IMM16(value >> (16 * hw)) | rd);
}

void a_mov(struct prog *p, unsigned int rd, unsigned int rm)
{
	a_emit(p, ORR_X | RM(rm) | RN(A_XZR) | rd);
}

void a_add(struct prog *p, unsigned int rd, unsigned int rn, unsigned int rm)
{
	a_emit(p, ADD_X | RM(rm) | RN(rn) | rd);
}

void a_sub(struct prog *p, unsigned int rd, unsigned int rn, unsigned int rm)
{
	a_emit(p, SUB_X | RM(rm) | RN(rn) | rd);
}

void a_addi(struct prog *p, unsigned int rd, unsigned int rn, unsigned int imm12)
{
	a_emit(p, ADD_IMM_X | IMM12(imm12) | RN(rn) | rd);
}

void a_subi(struct prog *p, unsigned int rd, unsigned int rn, unsigned int imm12)
{
	a_emit(p, SUB_IMM_X | IMM12(imm12) | RN(rn) | rd);
}

void a_ldr(struct prog *p, unsigned int size_log2, unsigned int rt, unsigned int rn)
{
	a_emit(p, LDR_UIMM | SIZE(size_log2) | RN(rn) | rt);
}

void a_str(struct prog *p, unsigned int size_log2, unsigned int rt, unsigned int rn)
{
	a_emit(p, STR_UIMM | SIZE(size_log2) | RN(rn) | rt);
}

void a_ldrs(struct prog *p, unsigned int size_log2, unsigned int rt, unsigned int rn, int to64)
{
	a_emit(p, (to64 ? LDRS64_UIMM : LDRS32_UIMM) | SIZE(size_log2) | RN(rn) | rt);
}

/* Point the branch at word @at to @target. */
static void aim(struct prog *p, unsigned int at, unsigned int target)
{
	uint32_t w = p->word[at], delta = target - at;

	if (IS_B(w))
		w |= delta & IMM26_MASK;
	else
		w |= (delta << 5) & IMM19_MASK;
	p->word[at] = w;
}

static unsigned int branch(struct prog *p, uint32_t word)
{
	a_emit(p, word);
	return p->n - 1;
}

void a_b(struct prog *p, unsigned int target)
{
	aim(p, branch(p, B), target);
}

void a_cbz(struct prog *p, unsigned int rt, unsigned int target)
{
	aim(p, branch(p, CBZ_X | rt), target);
}

void a_cbnz(struct prog *p, unsigned int rt, unsigned int target)
{
	aim(p, branch(p, CBNZ_X | rt), target);
}

void a_br(struct prog *p, unsigned int rn)
{
	a_emit(p, BR | RN(rn));
}

void a_mrs(struct prog *p, unsigned int rt, unsigned int sysreg)
{
	a_emit(p, MRS | sysreg << 5 | rt);
}

void a_msr(struct prog *p, unsigned int sysreg, unsigned int rt)
{
	a_emit(p, MSR | sysreg << 5 | rt);
}

void a_msri(struct prog *p, unsigned int sysreg, uint64_t value, unsigned int scratch)
{
	a_movi(p, scratch, value);
	a_msr(p, sysreg, scratch);
}

void a_daifset(struct prog *p, unsigned int bits)
{
	a_emit(p, DAIFSET | bits << 8);
}

void a_daifclr(struct prog *p, unsigned int bits)
{
	a_emit(p, DAIFCLR | bits << 8);
}

void a_hvc(struct prog *p, unsigned int imm)
{
	a_emit(p, HVC | IMM16(imm));
}

void a_smc(struct prog *p, unsigned int imm)
{
	a_emit(p, SMC | IMM16(imm));
}

void a_wfi(struct prog *p)
{
	a_emit(p, WFI);
}

void a_wfe(struct prog *p)
{
	a_emit(p, WFE);
}

void a_sev(struct prog *p)
{
	a_emit(p, SEV);
}

void a_isb(struct prog *p)
{
	a_emit(p, ISB);
}

void a_dsb(struct prog *p)
{
	a_emit(p, DSB_SY);
}

void a_nop(struct prog *p)
{
	a_emit(p, NOP);
}

void a_eret(struct prog *p)
{
	a_emit(p, ERET);
}
