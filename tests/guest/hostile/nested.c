/* SPDX-License-Identifier: MIT */
/* Exceptions within exceptions, at both levels, and states from which there is no good return. */
#include "guest.h"

#define SVC(n) (0xd4000001u | (uint32_t)(n) << 5)
#define BRK(n) (0xd4200000u | (uint32_t)(n) << 5)
#define UDF    0x00000000u

#define SPSR_A   (1ull << 8)
#define SPSR_I   (1ull << 7)
#define SPSR_F   (1ull << 6)
#define SPSR_IL  (1ull << 20)
#define SPSR_PAN (1ull << 22)
#define EL1H     5

static unsigned int depth, deepest;

/* Each level takes one more exception of another kind, and finds its own frame untouched. */
static void deeper(struct frame *f)
{
	struct frame copy = *f;
	uint64_t esr = f->esr;

	if (EC(esr) == EC_BRK || EC(esr) == EC_DABT || EC(esr) == 0)
		f->elr += 4, copy.elr += 4;
	if (++depth > deepest)
		deepest = depth;
	if (depth < 10) {
		switch (depth % 4) {
		case 0:
			asm volatile("svc #5");
			break;
		case 1:
			(void)read64(W(depth));
			break;
		case 2:
			asm volatile("brk #7");
			break;
		default:
			asm volatile(".inst 0");
		}
	}
	depth--;
	CHECK(!memcmp(&copy, f, sizeof(copy)));
}

static void nested(void)
{
	this_cpu()->sync = deeper;
	depth = deepest = 0;
	asm volatile("svc #1");
	CHECK_EQ(deepest, 10);
	CHECK_EQ(depth, 0);
}

/* Interrupts within exceptions within interrupts. */
static void on_irq(struct frame *f, unsigned int intid)
{
	if (depth++ < 3) {
		asm volatile("brk #1");
		(void)read64(W(1));
	}
	depth--;
	/* On a slow machine they come without a pause; then it must end here. */
	if (this_cpu()->irqs < 2000)
		msr(cntv_tval_el0, ns_to_ticks(3000));
	else
		msr(cntv_ctl_el0, 0);
}

static void skip(struct frame *f)
{
	f->elr += 4;
	irqs_on();
	for (volatile int i = 0; i < 5; i++)
		;
	irqs_off();
}

static void interrupted(void)
{
	unsigned int loops = 0;

	depth = 0;
	gic_enable(PPI_VTIMER);
	this_cpu()->irq = on_irq;
	this_cpu()->sync = skip;
	this_cpu()->irqs = 0;
	msr(cntv_tval_el0, 1000);
	msr(cntv_ctl_el0, 1);
	irqs_on();
	while (this_cpu()->irqs < 2000 && loops++ < 100000000)
		asm volatile("brk #2");
	irqs_off();
	msr(cntv_ctl_el0, 0);
	CHECK(this_cpu()->irqs >= 2000);
}

static uint64_t el0_code(const uint32_t *words, unsigned int n)
{
	uint32_t *p = page(0);

	memcpy(p, words, 4 * n);
	sync_code(p, 4 * n);
	map(W(0), p, NORMAL | D_EL0 | D_PXN | D_RO);
	map(W(1), page(1), NORMAL | D_EL0 | D_PXN);
	return W(0);
}

static uint64_t el0_esr, el0_elr, el0_far, el0_spsr;

/* Any exception from EL0 but SVC #0: note it, end. */
static void from_el0(struct frame *f)
{
	extern void el0_done(uint64_t value) __attribute__((noreturn));

	if (f->vector < 8) {
		CHECK(!"from EL0");
		f->elr += 4;
		return;
	}
	el0_esr = f->esr;
	el0_elr = f->elr;
	el0_far = f->far;
	el0_spsr = f->spsr;
	el0_done(f->x[0]);
}

static void el0(uint32_t word, uint64_t esr)
{
	uint32_t words[] = {word, SVC(9)};

	el0_esr = 0;
	call_el0(el0_code(words, 2), W(2), W(1));
	if (el0_esr != esr) {
		CHECK_EQ(el0_esr, esr);
		say("# word 0x%x\n", (uint64_t)word);
	}
	if (EC(esr) != EC_SVC)
		CHECK_EQ(el0_elr, W(0));
}

#define DONE      ((uint64_t)EC_SVC << 26 | 1 << 25 | 9)
#define UNDEFINED (1ull << 25)
#define TRAP(op0, op1, crn, crm, op2, rt, read)                                          \
	((uint64_t)EC_SYSREG << 26 | 1 << 25 | (op0) << 20 | (op2) << 17 | (op1) << 14 | \
	 (crn) << 10 | (rt) << 5 | (crm) << 1 | (read))

/* What EL0 may not do. */
static void user(void)
{
	this_cpu()->sync = from_el0;
	el0(0xd503201f, DONE); /* nop */
	el0(SVC(1), (uint64_t)EC_SVC << 26 | 1 << 25 | 1);
	el0(BRK(3), (uint64_t)EC_BRK << 26 | 1 << 25 | 3);
	el0(UDF, UNDEFINED);
	el0(0xd4000002, UNDEFINED);                  /* hvc */
	el0(0xd4000003, UNDEFINED);                  /* smc */
	el0(0xd5381000, UNDEFINED);                  /* mrs sctlr_el1 */
	el0(0xd5181000, UNDEFINED);                  /* msr sctlr_el1 */
	el0(0xd508871f, UNDEFINED);                  /* tlbi vmalle1 */
	el0(0xd508751f, UNDEFINED);                  /* ic iallu */
	el0(0xd69f03e0, UNDEFINED);                  /* eret */
	el0(0xd5032fff, DONE);                       /* hint #127 */
	el0(0xd53be020, TRAP(3, 3, 14, 0, 1, 0, 1)); /* mrs cntpct_el0, CNTKCTL 0 */
	el0(0xd53be320, TRAP(3, 3, 14, 3, 1, 0, 1)); /* mrs cntv_ctl_el0 */
	el0(0xd50b7521, TRAP(1, 3, 7, 5, 1, 1, 0));  /* ic ivau, x1: UCI */
	el0(0xd50b7420, TRAP(1, 3, 7, 4, 1, 0, 0));  /* dc zva: DZE */
	el0(0xd53b0020, TRAP(3, 3, 0, 0, 1, 0, 1));  /* mrs ctr_el0: UCT */
	el0(0xd50342df, TRAP(0, 3, 4, 2, 6, 31, 0)); /* msr daifset, #2: UMA */
	el0(0xd53b4220, TRAP(3, 3, 4, 2, 1, 0, 1));  /* mrs daif */
	el0(0xf9400000, DONE);                       /* ldr x0, [x0]: the stack's page */
	/* ldr x1, [x1, #8]: the next page */
	el0(0xf9400421, (uint64_t)EC_DABT_LOW << 26 | 1 << 25 | FSC_TRANSLATION | 3);
}

/* The kernel's memory from EL0, and EL0's code at EL1. */
static void protection(void)
{
	uint32_t words[] = {0xf9400000 /* ldr x0, [x0] */, SVC(9)};

	this_cpu()->sync = from_el0;
	el0_code(words, 2);
	map(W(3), page(3), NORMAL);
	call_el0(W(0), W(2), W(3) + 16);
	CHECK_EQ(el0_esr, (uint64_t)EC_DABT_LOW << 26 | 1 << 25 | FSC_PERMISSION | 3);
	CHECK_EQ(el0_far, W(3) + 16);
	call_el0((uint64_t)protection, W(2), 0);
	CHECK_EQ(el0_esr, (uint64_t)EC_IABT_LOW << 26 | 1 << 25 | FSC_PERMISSION | 2);
	CHECK_EQ(el0_elr, (uint64_t)protection);
	call_el0(W(0) + 2, W(2), 0);
	CHECK_EQ(EC(el0_esr), EC_PC);
	CHECK_EQ(el0_far, W(0) + 2);
	/* SP alignment */
	words[0] = 0xf94003e0; /* ldr x0, [sp] */
	el0_code(words, 2);
	call_el0(W(0), W(2) - 24, 0);
	CHECK_EQ(EC(el0_esr), EC_SP);
	call_el0(W(0), W(2) - 32, 0);
	CHECK_EQ(el0_esr, DONE);
}

/*
 * ERET with an SPSR that no state has: PSTATE.IL, and the next instruction is an Illegal Execution
 * state exception.
 */
static uint64_t illegal_to;

static void on_illegal(struct frame *f)
{
	CHECK_EQ(f->esr, (uint64_t)EC_ILLEGAL << 26 | 1 << 25);
	CHECK_EQ(f->elr, illegal_to);
	CHECK(f->spsr & SPSR_IL);
	CHECK_EQ(f->vector, 4);
	f->spsr &= ~SPSR_IL;
}

static void illegal_return(void)
{
	static const uint64_t modes[] = {0x9, 0xc, 0xd, 0x1, 0x13, 0x1f, 0x6, 0x7, 0x10};
	unsigned int n = sizeof(modes) / sizeof(modes[0]) -
			 ((mrs(id_aa64pfr0_el1) & 15) != 1); /* AArch32 at EL0 */

	this_cpu()->sync = on_illegal;
	for (unsigned int i = 0; i < n; i++) {
		this_cpu()->faults = 0;
		asm volatile("adr x1, 1f\n str x1, [%1]\n msr elr_el1, x1\n msr spsr_el1, %0\n "
			     "eret\n 1: nop"
			     :
			     : "r"(modes[i] | SPSR_D | SPSR_A | SPSR_I | SPSR_F), "r"(&illegal_to)
			     : "x1", "memory");
		CHECK_EQ(this_cpu()->faults, 1);
	}
	/* IL set in the SPSR of a legal mode, too. */
	this_cpu()->faults = 0;
	asm volatile(
		"adr x1, 1f\n str x1, [%1]\n msr elr_el1, x1\n msr spsr_el1, %0\n eret\n 1: nop"
		:
		: "r"(EL1H | SPSR_IL | SPSR_D | SPSR_A | SPSR_I | SPSR_F), "r"(&illegal_to)
		: "x1", "memory");
	CHECK_EQ(this_cpu()->faults, 1);
}

/* EL1t: the other vectors, the other stack pointer. */
static void on_el1t(struct frame *f)
{
	CHECK_EQ(f->vector, 0);
	CHECK_EQ(f->spsr & 0xf, 4);
	f->elr += 4;
}

static void other_stack(void)
{
	uint64_t sp0, sp1, back;

	this_cpu()->sync = on_el1t;
	asm volatile("mov %0, sp\n msr sp_el0, %0\n msr spsel, #0\n sub sp, sp, #1024\n brk #0\n "
		     "mov %1, sp\n msr spsel, #1\n mov %2, sp"
		     : "=&r"(sp1), "=&r"(sp0), "=&r"(back)::"memory");
	CHECK_EQ(sp0, sp1 - 1024);
	CHECK_EQ(back, sp1);
	CHECK_EQ(this_cpu()->faults, 1);
}

/* Software step: each instruction of a loop, also one that faults, and SVC. */
static unsigned int steps, others;

static void on_step(struct frame *f)
{
	extern void el0_done(uint64_t value) __attribute__((noreturn));

	if (EC(f->esr) == EC_STEP_LOW) {
		steps++;
		f->spsr |= 1 << 21;
		return;
	}
	others++;
	if (EC(f->esr) == EC_DABT_LOW)
		map(f->far & ~(PAGE - 1), page(5), NORMAL | D_EL0);
	else
		el0_done(f->x[0]);
	f->spsr |= 1 << 21;
}

static void stepped(void)
{
	static const uint32_t words[] = {
		0xd2800141, /* mov x1, #10 */
		0xf1000421, /* subs x1, x1, #1 */
		0x54ffffe1, /* b.ne -1 */
		0xf9400002, /* ldr x2, [x0] */
		0x91000400, /* add x0, x0, #1 */
		SVC(0),
	};

	this_cpu()->sync = on_step;
	steps = others = 0;
	el0_code(words, 6);
	msr(mdscr_el1, mrs(mdscr_el1) | 1);
	msr(oslar_el1, 0);
	isb();
	CHECK_EQ(call_el0(W(0), W(2), W(7)), W(7) + 1);
	/* PSTATE.SS was 0: a step exception before the first instruction, too. */
	CHECK_EQ(steps, 1 + 1 + 20 + 1 + 1);
	CHECK_EQ(others, 2);
	msr(mdscr_el1, mrs(mdscr_el1) & ~1ull);
	isb();
}

const struct test group_nested[] = {{"nested", nested},
				    {"interrupted", interrupted},
				    {"user", user},
				    {"protection", protection},
				    {"illegal-return", illegal_return},
				    {"other-stack", other_stack},
				    {"stepped", stepped},
				    {NULL, NULL}};
