/* SPDX-License-Identifier: MIT */
/*
 * Exception entry and return: vectors, SPSR, what PSTATE becomes, illegal returns, interrupts,
 * software step.
 */
#include "cpu_test.h"

#define VBAR    0x40001000ull
#define R_OSLAR SYSREG(2, 0, 1, 0, 4)

static struct rig *one_cpu(void)
{
	struct rig *rig = rig_new(1);

	msr(rig->cpu[0], R_VBAR, VBAR | 0x7ff);
	assert_int_equal(mrs(rig->cpu[0], R_VBAR), VBAR);
	return rig;
}

static void test_reset(void **state)
{
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];

	assert_int_equal(cpu_pstate(cpu), 0x3c5);
	assert_int_equal(cpu->pc, 0);
	assert_int_equal(cpu->icount_limit, UINT64_MAX);
	rig_free(rig);
}

static void test_vectors(void **state)
{
	static const struct {
		uint64_t pstate;
		uint64_t offset;
	} from[] = {{0x0, 0x400}, {0x4, 0x000}, {0x5, 0x200}};
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];

	for (unsigned int i = 0; i < 3; i++) {
		cpu_set_pstate(cpu, from[i].pstate);
		cpu_take_exception(cpu, ESR(EC_SVC64, 7), 0x1004, 0x99, false);
		assert_int_equal(cpu->pc, VBAR + from[i].offset);
		assert_int_equal(cpu->sys.spsr, from[i].pstate);
		assert_int_equal(cpu->sys.elr, 0x1004);
		assert_int_equal(cpu->sys.esr, ESR(EC_SVC64, 7));
		assert_int_equal(cpu->sys.far, 0);
		assert_int_equal(cpu_pstate(cpu) & 0x3df, 0x3c5);
		for (unsigned int pin = 0; pin < 2; pin++) {
			cpu_set_pstate(cpu, from[i].pstate);
			cpu->pc = 0x2000;
			atomic_store(&cpu->remote.pins, 1u << pin);
			assert_true(cpu_take_interrupt(cpu));
			assert_int_equal(cpu->pc, VBAR + from[i].offset + 0x80 + 0x80 * pin);
			assert_int_equal(cpu->sys.elr, 0x2000);
			/* Masked now. */
			assert_false(cpu_take_interrupt(cpu));
		}
	}
	cpu_take_exception(cpu, ESR(EC_DABT, 7), 0x1004, 0x99, true);
	assert_int_equal(cpu->sys.far, 0x99);
	rig_free(rig);
}

static void test_pstate_on_entry(void **state)
{
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];
	uint64_t all = SPSR_NZCV | SPSR_UAO | SPSR_IL | SPSR_SSBS;

	/* SPAN = 0: PAN is set; DSSBS = 0: SSBS is cleared. */
	msr(cpu, R_SCTLR, 0);
	cpu_set_pstate(cpu, all);
	cpu_take_exception(cpu, ESR(EC_SVC64, 0), 0, 0, false);
	assert_int_equal(cpu->sys.spsr, all);
	assert_int_equal(cpu_pstate(cpu), SPSR_NZCV | SPSR_PAN | 0x3c5);
	/* SPAN = 1: PAN stays; DSSBS = 1. */
	msr(cpu, R_SCTLR, SCTLR_SPAN | SCTLR_DSSBS);
	cpu_set_pstate(cpu, all & ~SPSR_SSBS);
	cpu_take_exception(cpu, ESR(EC_SVC64, 0), 0, 0, false);
	assert_int_equal(cpu_pstate(cpu), SPSR_NZCV | SPSR_SSBS | 0x3c5);
	cpu_set_pstate(cpu, SPSR_PAN);
	cpu_take_exception(cpu, ESR(EC_SVC64, 0), 0, 0, false);
	assert_int_equal(cpu_pstate(cpu), SPSR_PAN | SPSR_SSBS | 0x3c5);
	rig_free(rig);
}

static void test_stack_pointers(void **state)
{
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];

	cpu->x[31] = 0x1111;
	set_el(cpu, 0);
	cpu->x[31] = 0x2222;
	cpu_take_exception(cpu, ESR(EC_SVC64, 0), 0, 0, false);
	assert_int_equal(cpu->x[31], 0x1111);
	assert_int_equal(cpu->sp_el[0], 0x2222);
	cpu_set_spsel(cpu, 0);
	assert_int_equal(cpu->x[31], 0x2222);
	cpu->x[31] = 0x3333;
	cpu_take_exception(cpu, ESR(EC_SVC64, 0), 0, 0, false);
	assert_int_equal(cpu->x[31], 0x1111);
	cpu->sys.spsr = 0;
	cpu_eret(cpu);
	assert_int_equal(cpu->x[31], 0x3333);
	rig_free(rig);
}

static void test_eret(void **state)
{
	static const uint64_t legal[] = {0x0, 0x4, 0x5};
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];

	for (unsigned int i = 0; i < 3; i++) {
		uint64_t spsr = legal[i] | 0x140 | SPSR_NZCV | SPSR_UAO | SPSR_PAN | SPSR_SSBS;

		cpu_set_pstate(cpu, 0x3c5);
		cpu->excl_size = 8;
		cpu->sys.spsr = spsr;
		cpu->sys.elr = 0x123456789abc;
		cpu_eret(cpu);
		assert_int_equal(cpu_pstate(cpu), spsr);
		assert_int_equal(cpu->pc, 0x123456789abc);
		assert_int_equal(cpu->excl_size, 0);
		assert_int_equal(cpu->remote.event, 1);
	}
	rig_free(rig);
}

/* Every other value of M[4:0]: EL and SP stay, IL is set, NZCV, DAIF and PAN come from SPSR. */
static void test_illegal_returns(void **state)
{
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];
	struct xtlb_entry *x;

	for (uint64_t m = 0; m < 32; m++) {
		if (m == 0x0 || m == 0x4 || m == 0x5)
			continue;
		cpu_set_pstate(cpu, 0x3c5 | SPSR_SSBS);
		cpu->sys.spsr = m | SPSR_NZCV | SPSR_PAN | SPSR_UAO | 0x80;
		cpu->sys.elr = RAM_BASE;
		cpu_eret(cpu);
		assert_int_equal(cpu_pstate(cpu),
				 SPSR_NZCV | SPSR_PAN | SPSR_IL | SPSR_SSBS | 0x85);
		assert_int_equal(cpu->pc, RAM_BASE);
		/* The next instruction is an Illegal State exception, whatever the TLB knows. */
		assert_int_equal(cpu->bank->x[xtlb_index(cpu->pc)].tag, TLB_NO_MATCH);
		assert_int_equal(access_fetch(cpu, &x), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(EC_ILLEGAL_STATE, 0));
		assert_false(cpu->fault.far_valid);
		cpu_take_fault(cpu);
		assert_int_equal(cpu->ps.il, 0);
		assert_true(cpu->sys.spsr & SPSR_IL);
		assert_int_equal(cpu->sys.elr, RAM_BASE);
		cpu->pc = RAM_BASE;
		assert_int_equal(access_fetch(cpu, &x), CPU_EXIT_NONE);
	}
	/* SPSR.IL restores IL on a legal return. */
	cpu->sys.spsr = 0x3c5 | SPSR_IL;
	cpu_eret(cpu);
	assert_int_equal(access_fetch(cpu, &x), CPU_FAULT);
	rig_free(rig);
}

static void test_interrupt_masks(void **state)
{
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];

	for (unsigned int daif = 0; daif < 16; daif++) {
		for (uint32_t pins = 0; pins < 8; pins++) {
			bool serror = (pins & CPU_PIN_SERROR) && !(daif & 4);
			bool fiq = (pins & CPU_PIN_FIQ) && !(daif & 1);
			bool irq = (pins & CPU_PIN_IRQ) && !(daif & 2);

			cpu_set_pstate(cpu, 5 | daif << 6);
			atomic_store(&cpu->remote.pins, pins);
			assert_int_equal(mrs(cpu, SYSREG(3, 0, 12, 1, 0)),
					 (pins & 1 ? 0x80 : 0) | (pins & 2 ? 0x40 : 0) |
						 (pins & 4 ? 0x100 : 0));
			assert_int_equal(cpu_take_interrupt(cpu), serror || fiq || irq);
			if (serror) {
				assert_int_equal(cpu->pc, VBAR + 0x380);
				assert_int_equal(ESR_EC(cpu->sys.esr), EC_SERROR);
				assert_int_equal(cpu->remote.pins, pins & 3);
			} else if (fiq) {
				assert_int_equal(cpu->pc, VBAR + 0x300);
			} else if (irq) {
				assert_int_equal(cpu->pc, VBAR + 0x280);
			}
		}
	}
	rig_free(rig);
}

/* cpu_take_fault() completes the syndrome of a trapped access with Rt. */
static void test_trap_knows_rt(void **state)
{
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];
	uint64_t v;

	*(uint32_t *)ram(rig, RAM_BASE + 0x100) = 0xd53b0020 | 17; /* mrs x17, ctr_el0 */
	msr(cpu, R_SCTLR, 0);
	set_el(cpu, 0);
	cpu->pc = RAM_BASE + 0x100;
	assert_int_equal(sysreg_read(cpu, sysreg_find(SYSREG(3, 3, 0, 0, 1)), &v), CPU_FAULT);
	cpu_take_fault(cpu);
	assert_int_equal(cpu->sys.esr, ESR(EC_SYSREG, 3 << 20 | 1 << 17 | 3 << 14 | 17 << 5 | 1));
	assert_int_equal(cpu->sys.elr, RAM_BASE + 0x100);
	rig_free(rig);
}

static void test_wfx_traps(void **state)
{
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];

	msr(cpu, R_SCTLR, SCTLR_NTWI);
	assert_int_equal(cpu_wfx_trap(cpu, false), 0);
	assert_int_equal(cpu_wfx_trap(cpu, true), 0);
	set_el(cpu, 0);
	assert_int_equal(cpu_wfx_trap(cpu, false), 0);
	assert_int_equal(cpu_wfx_trap(cpu, true), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, 0x07e00001);
	set_el(cpu, 1);
	msr(cpu, R_SCTLR, SCTLR_NTWE);
	set_el(cpu, 0);
	assert_int_equal(cpu_wfx_trap(cpu, false), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, 0x07e00000);
	rig_free(rig);
}

/* As a kernel steps a process: MDSCR.SS, SPSR.SS, ERET to EL0, one instruction, the exception. */
static void test_software_step(void **state)
{
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];
	struct xtlb_entry *x;

	msr(cpu, R_MDSCR, MDSCR_SS);
	assert_false(cpu->mode & CPU_MODE_STEP);
	cpu->sys.spsr = SPSR_SS;
	cpu->sys.elr = RAM_BASE;
	cpu_eret(cpu);
	assert_true(cpu->mode & CPU_MODE_STEP);
	assert_int_equal(cpu->ps.ss, 1);
	assert_int_equal(access_fetch(cpu, &x), CPU_EXIT_NONE);
	cpu->pc += 4;
	cpu_step_done(cpu, false);
	assert_int_equal(cpu->bank->x[xtlb_index(cpu->pc)].tag, TLB_NO_MATCH);
	assert_int_equal(access_fetch(cpu, &x), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_STEP_LOW, 1 << 24 | 0x22));
	cpu_take_fault(cpu);
	assert_int_equal(cpu->sys.elr, RAM_BASE + 4);
	assert_int_equal(cpu->sys.spsr & SPSR_SS, 0);
	/* A load exclusive says so. */
	cpu->sys.spsr = SPSR_SS;
	cpu_eret(cpu);
	cpu_step_done(cpu, true);
	access_fetch(cpu, &x);
	assert_int_equal(cpu->fault.esr, ESR(EC_STEP_LOW, 1 << 24 | 1 << 6 | 0x22));
	cpu_take_fault(cpu);
	/* SPSR.SS = 0: the exception comes at once, nothing was stepped. */
	cpu->sys.spsr = 0;
	cpu_eret(cpu);
	assert_int_equal(access_fetch(cpu, &x), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_STEP_LOW, 0x22));
	cpu_take_fault(cpu);
	/* An SVC is stepped over; a fault is not. */
	cpu->sys.spsr = SPSR_SS;
	cpu_eret(cpu);
	cpu_take_exception(cpu, ESR(EC_SVC64, 0), RAM_BASE + 8, 0, false);
	assert_int_equal(cpu->sys.spsr & SPSR_SS, 0);
	assert_int_equal(cpu->ps.ss, 0);
	cpu->sys.spsr = SPSR_SS;
	cpu_eret(cpu);
	cpu_take_exception(cpu, ESR(EC_DABT_LOW, 7), RAM_BASE + 8, 0, false);
	assert_int_equal(cpu->sys.spsr & SPSR_SS, SPSR_SS);
	/* Not with the OS lock, and at EL1 only with KDE and D clear. */
	msr(cpu, R_OSLAR, 1);
	cpu->sys.spsr = SPSR_SS;
	cpu_eret(cpu);
	assert_int_equal(cpu->ps.ss, 0);
	assert_false(cpu->mode & CPU_MODE_STEP);
	set_el(cpu, 1);
	msr(cpu, R_OSLAR, 0);
	cpu->sys.spsr = SPSR_SS | 5;
	cpu_eret(cpu);
	assert_false(cpu->mode & CPU_MODE_STEP);
	cpu_set_pstate(cpu, 0x3c5);
	msr(cpu, R_MDSCR, MDSCR_SS | MDSCR_KDE);
	cpu->sys.spsr = SPSR_SS | 5;
	cpu_eret(cpu);
	assert_true(cpu->mode & CPU_MODE_STEP);
	assert_int_equal(cpu->ps.ss, 1);
	/* Already being stepped (D clear): an ERET does not set SS. */
	cpu->sys.spsr = SPSR_SS | 5;
	cpu_eret(cpu);
	assert_int_equal(cpu->ps.ss, 0);
	assert_int_equal(access_fetch(cpu, &x), CPU_FAULT);
	assert_int_equal(ESR_EC(cpu->fault.esr), EC_STEP);
	rig_free(rig);
}

static uint64_t random64(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

struct derived {
	uint32_t mode;
	bool watching;
	uint64_t limit;
	struct tlb_bank *bank;
	bool el0_is_empty;
};

static struct derived derived(const struct cpu *cpu)
{
	return (struct derived){cpu->mode, cpu->watching, cpu->icount_limit, cpu->bank,
				cpu->bank_el0 == &cpu->tlb.banks[TLB_BANKS]};
}

/* cpu_pstate_changed() comes to what cpu_update_mode() does, whatever the registers say. */
static void test_pstate_alone(void **state)
{
	static const struct {
		uint16_t enc;
		uint64_t mask;
	} regs[] = {
		{R_SCTLR, SCTLR_RW & ~SCTLR_M},
		{R_CPACR, CPACR_FPEN},
		{R_TTBR0, 0xfull << 48},
		{R_TCR, 0},
		{R_MDSCR, MDSCR_SS | MDSCR_KDE | MDSCR_MDE},
		{SYSREG(3, 3, 4, 4, 0), FPCR_RW}, /* FPCR */
		{R_OSLAR, 1},
		{SYSREG(2, 0, 0, 0, 6), BITS64(12, 0)}, /* DBGWCR0_EL1 */
		{SYSREG(2, 0, 0, 0, 5), BITS64(13, 0)}, /* DBGBCR0_EL1 */
	};
	static const uint8_t modes[] = {0x0, 0x4, 0x5};
	struct rig *rig = one_cpu();
	struct cpu *cpu = rig->cpu[0];

	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int r = (unsigned int)(random64() % (4 * sizeof(regs) / sizeof(regs[0])));
		uint64_t spsr =
			random64() & (SPSR_PAN | SPSR_UAO | SPSR_SSBS | 0xfull << SPSR_DAIF_SHIFT);
		struct derived got, want;

		if (r < sizeof(regs) / sizeof(regs[0]) && cpu->ps.el)
			sysreg_msr(cpu, regs[r].enc, random64() & regs[r].mask);
		spsr |= modes[random64() % 3] | (i % 64 ? 0 : SPSR_IL);
		if (i % 3)
			cpu_set_pstate(cpu, spsr);
		else
			cpu_take_exception(cpu, ESR(EC_SVC64, 7), 0x1004, 0, false);
		got = derived(cpu);
		cpu_update_mode(cpu);
		want = derived(cpu);
		assert_int_equal(got.mode, want.mode);
		assert_int_equal(got.watching, want.watching);
		assert_int_equal(got.limit, want.limit);
		assert_ptr_equal(got.bank, want.bank);
		assert_int_equal(got.el0_is_empty, want.el0_is_empty);
	}
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_pstate_on_entry),
		cmocka_unit_test(test_stack_pointers),
		cmocka_unit_test(test_eret),
		cmocka_unit_test(test_illegal_returns),
		cmocka_unit_test(test_interrupt_masks),
		cmocka_unit_test(test_trap_knows_rt),
		cmocka_unit_test(test_wfx_traps),
		cmocka_unit_test(test_software_step),
		cmocka_unit_test(test_pstate_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
