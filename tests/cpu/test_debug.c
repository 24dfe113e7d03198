/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints and watchpoints: what matches, at which EL, and what the exception says.
 */
#include "cpu_test.h"
#include "cpu/debug.h"

#define R_BVR(n) SYSREG(2, 0, 0, n, 4)
#define R_BCR(n) SYSREG(2, 0, 0, n, 5)
#define R_WVR(n) SYSREG(2, 0, 0, n, 6)
#define R_WCR(n) SYSREG(2, 0, 0, n, 7)
#define R_OSLAR  SYSREG(2, 0, 1, 0, 4)
#define E        1ull
#define EL1      (1ull << 1)
#define EL0      (2ull << 1)
#define BAS(b)   ((uint64_t)(b) << 5)
#define LOAD     (1ull << 3)
#define STORE    (2ull << 3)
#define MASK(n)  ((uint64_t)(n) << 24)
#define BT(n)    ((uint64_t)(n) << 20)
#define LBN(n)   ((uint64_t)(n) << 16)

static struct rig *mapped(void)
{
	struct rig *rig = rig_new(1);
	struct tables t = tables_new(rig, 12, 48);

	for (uint64_t p = 0x10; p < 0x14; p++)
		map(&t, p << 12, RAM_BASE + (p << 12), 3, D_AF | D_AP(1));
	map(&t, 0x20000, RAM_BASE, 3, D_AF | D_AP(2));
	mmu_on(rig->cpu[0], &t, TCR_TBI0, SCTLR_DZE);
	return rig;
}

static int fetch(struct cpu *cpu, uint64_t pc)
{
	struct xtlb_entry *x = NULL;
	int err;

	cpu->pc = pc;
	err = access_fetch(cpu, &x);
	if (!err)
		assert_int_equal(x->tag, pc & TLB_PAGE_MASK);
	return err;
}

static void test_breakpoint(void **state)
{
	struct rig *rig = mapped();
	struct cpu *cpu = rig->cpu[0];

	msr(cpu, R_BVR(3), 0x10008);
	msr(cpu, R_BCR(3), E | EL0 | BAS(15));
	set_el(cpu, 0);
	assert_int_equal(fetch(cpu, 0x10008), 0);
	assert_false(cpu->mode & CPU_MODE_STEP);
	set_el(cpu, 1);
	msr(cpu, R_MDSCR, MDSCR_MDE);
	set_el(cpu, 0);
	/* One instruction a block; only its address matches. */
	assert_true(cpu->mode & CPU_MODE_STEP);
	assert_int_equal(fetch(cpu, 0x10004), 0);
	cpu_step_done(cpu, false);
	assert_int_equal(cpu->ps.ss, 0);
	assert_int_equal(fetch(cpu, 0x10008), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_BREAK_LOW, 0x22));
	assert_false(cpu->fault.far_valid);
	/* Not at EL1, not with the OS lock; at EL1 with KDE and D clear. */
	set_el(cpu, 1);
	assert_int_equal(fetch(cpu, 0x20008), 0);
	msr(cpu, R_OSLAR, 1);
	set_el(cpu, 0);
	assert_int_equal(fetch(cpu, 0x10008), 0);
	set_el(cpu, 1);
	msr(cpu, R_OSLAR, 0);
	msr(cpu, R_BVR(3), 0x20008);
	msr(cpu, R_BCR(3), E | EL1 | EL0);
	msr(cpu, R_MDSCR, MDSCR_MDE | MDSCR_KDE);
	assert_int_equal(fetch(cpu, 0x20008), 0);
	sysreg_write_imm(cpu, 3, 7, 8);
	assert_int_equal(fetch(cpu, 0x20008), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_BREAK, 0x22));
	/* An instruction abort comes first; the sixth is the last that works. */
	msr(cpu, R_BVR(3), 0x30000);
	assert_int_equal(fetch(cpu, 0x30000), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_IABT, 0x07));
	msr(cpu, R_BCR(3), 0);
	msr(cpu, R_BVR(6), 0x20008);
	msr(cpu, R_BCR(6), E | EL1);
	assert_int_equal(fetch(cpu, 0x20008), 0);
	rig_free(rig);
}

static void test_context(void **state)
{
	struct rig *rig = mapped();
	struct cpu *cpu = rig->cpu[0];

	msr(cpu, R_MDSCR, MDSCR_MDE);
	msr(cpu, SYSREG(3, 0, 13, 0, 1), 77);
	/* Unlinked: every instruction of the context. */
	msr(cpu, R_BVR(5), 77);
	msr(cpu, R_BCR(5), E | EL0 | BT(2));
	set_el(cpu, 0);
	assert_int_equal(fetch(cpu, 0x10000), CPU_FAULT);
	set_el(cpu, 1);
	msr(cpu, R_BVR(5), 78);
	set_el(cpu, 0);
	assert_int_equal(fetch(cpu, 0x10000), 0);
	/* Linked: address and context. */
	set_el(cpu, 1);
	msr(cpu, R_BCR(5), E | EL0 | BT(3));
	msr(cpu, R_BVR(0), 0x10000);
	msr(cpu, R_BCR(0), E | EL0 | BT(1) | LBN(5));
	set_el(cpu, 0);
	assert_int_equal(fetch(cpu, 0x10000), 0);
	set_el(cpu, 1);
	msr(cpu, R_BVR(5), 77);
	set_el(cpu, 0);
	assert_int_equal(fetch(cpu, 0x10004), 0);
	assert_int_equal(fetch(cpu, 0x10000), CPU_FAULT);
	rig_free(rig);
}

static int access(struct cpu *cpu, uint64_t va, unsigned int size_log2, bool write)
{
	struct mem_desc d = {.size_log2 = size_log2};
	uint64_t data[4] = {0};

	return write ? access_store(cpu, va, &d, data) : access_load(cpu, va, &d, data);
}

static void test_watchpoint(void **state)
{
	struct rig *rig = mapped();
	struct cpu *cpu = rig->cpu[0];

	assert_int_equal(access(cpu, 0x10010, 3, true), 0);
	msr(cpu, R_MDSCR, MDSCR_MDE);
	msr(cpu, R_WVR(1), 0x10010);
	msr(cpu, R_WCR(1), E | EL0 | STORE | BAS(0x30)); /* bytes 4 and 5 */
	set_el(cpu, 0);
	assert_int_equal(access(cpu, 0x10010, 3, false), 0);
	/* What was in the TLB does not hide it. */
	for (unsigned int size = 0; size < 4; size++) {
		for (uint64_t va = 0x10000; va < 0x10028; va++) {
			bool match = va + (1u << size) > 0x10014 && va <= 0x10015;

			assert_int_equal(access(cpu, va, size, true), match ? CPU_FAULT : 0);
			if (!match)
				continue;
			assert_int_equal(cpu->fault.esr, ESR(EC_WATCH_LOW, 0x62));
			assert_int_equal(cpu->fault.far, va);
		}
	}
	assert_int_equal(access_dc_zva(cpu, 0x10038), CPU_FAULT);
	assert_int_equal(access_dc_zva(cpu, 0x10048), 0);
	/* With a tag; atomics; an unprivileged store of EL1, whose own stores are free (no KDE). */
	assert_int_equal(access(cpu, 0x5500000000010014, 0, true), CPU_FAULT);
	assert_int_equal(access_rmw(cpu, 0x10010,
				    &(struct mem_desc){.size_log2 = 3, .align = 1, .atomic = 1},
				    RMW_ADD, 1, &(uint64_t){0}),
			 CPU_FAULT);
	set_el(cpu, 1);
	assert_int_equal(access(cpu, 0x10010, 3, true), 0);
	msr(cpu, R_MDSCR, MDSCR_MDE | MDSCR_KDE);
	sysreg_write_imm(cpu, 3, 7, 8);
	assert_int_equal(access(cpu, 0x10010, 3, true), 0);
	assert_int_equal(access_store(cpu, 0x10010, &(struct mem_desc){.size_log2 = 3, .unpriv = 1},
				      (uint64_t[4]){0}),
			 CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_WATCH, 0x62));
	/* A range: 2^5 bytes from 0x10020, loads only. */
	msr(cpu, R_WVR(1), 0x10020);
	msr(cpu, R_WCR(1), E | EL1 | LOAD | BAS(0xff) | MASK(5));
	assert_int_equal(access(cpu, 0x1001f, 0, false), 0);
	assert_int_equal(access(cpu, 0x10020, 0, false), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_WATCH, 0x22));
	assert_int_equal(access(cpu, 0x1003f, 0, false), CPU_FAULT);
	assert_int_equal(access(cpu, 0x1003f, 0, true), 0);
	assert_int_equal(access(cpu, 0x10040, 0, false), 0);
	/* An abort comes first. Off again: the TLB serves as before. */
	assert_int_equal(access(cpu, 0x15000, 0, false), CPU_FAULT);
	assert_int_equal(ESR_EC(cpu->fault.esr), EC_DABT);
	msr(cpu, R_WCR(1), 0);
	assert_int_equal(access(cpu, 0x10020, 0, false), 0);
	assert_int_equal(cpu->bank->e[tlb_index(0x10000)].read_tag, 0x10000);
	rig_free(rig);
}

/* While accesses are watched, fetches work without a TLB. */
static void test_fetch_while_watching(void **state)
{
	struct rig *rig = mapped();
	struct cpu *cpu = rig->cpu[0];

	msr(cpu, R_MDSCR, MDSCR_MDE);
	msr(cpu, R_WCR(0), E | EL0 | STORE | BAS(0xff));
	set_el(cpu, 0);
	assert_int_equal(fetch(cpu, 0x10004), 0);
	assert_ptr_equal(cpu->tlb.watched.host, ram(rig, RAM_BASE + 0x10000));
	assert_int_equal(cpu->bank->x[xtlb_index(0x10000)].tag, TLB_NO_MATCH);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_breakpoint),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_watchpoint),
		cmocka_unit_test(test_fetch_while_watching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
