/* SPDX-License-Identifier: MIT */
/*
 * The performance monitors: events, filters, overflow, chains, horizon.
 */
#include "cpu_test.h"

#define R_PMCR       SYSREG(3, 3, 9, 12, 0)
#define R_CNTENSET   SYSREG(3, 3, 9, 12, 1)
#define R_CNTENCLR   SYSREG(3, 3, 9, 12, 2)
#define R_OVSCLR     SYSREG(3, 3, 9, 12, 3)
#define R_SWINC      SYSREG(3, 3, 9, 12, 4)
#define R_SELR       SYSREG(3, 3, 9, 12, 5)
#define R_CEID0      SYSREG(3, 3, 9, 12, 6)
#define R_CEID1      SYSREG(3, 3, 9, 12, 7)
#define R_CCNTR      SYSREG(3, 3, 9, 13, 0)
#define R_XEVTYPER   SYSREG(3, 3, 9, 13, 1)
#define R_XEVCNTR    SYSREG(3, 3, 9, 13, 2)
#define R_OVSSET     SYSREG(3, 3, 9, 14, 3)
#define R_INTENSET   SYSREG(3, 0, 9, 14, 1)
#define R_INTENCLR   SYSREG(3, 0, 9, 14, 2)
#define R_CCFILTR    SYSREG(3, 3, 14, 15, 7)
#define R_EVCNTR(n)  SYSREG(3, 3, 14, 8, n)
#define R_EVTYPER(n) SYSREG(3, 3, 14, 12, n)
#define NOT_EL1      (1ull << 31)
#define NOT_EL0      (1ull << 30)

static struct rig *pmu_rig(void)
{
	struct rig *rig = rig_new(1);

	msr(rig->cpu[0], R_PMCR, 7);
	return rig;
}

static void count(struct cpu *cpu, unsigned int n, uint64_t type)
{
	msr(cpu, R_EVTYPER(n), type);
	msr(cpu, R_CNTENSET, 1u << n);
}

static void test_identification(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	uint64_t pmcr = mrs(cpu, R_PMCR);

	assert_int_equal(pmcr >> 11 & 31, PMU_COUNTERS);
	assert_int_equal(pmcr & 0x47, 0x40); /* LC is RES1 without AArch32 */
	assert_int_equal(mrs(cpu, R_CEID0),
			 1u << 0 | 1u << 8 | 1u << 9 | 1u << 0x11 | 1u << 0x13 | 1u << 0x1e);
	assert_int_equal(mrs(cpu, R_CEID1), 1u << 1 | 1u << 3 | 1u << 4);
	msr(cpu, R_CNTENSET, ~0ull);
	assert_int_equal(mrs(cpu, R_CNTENSET), 0x8000003f);
	msr(cpu, R_CNTENCLR, 1);
	assert_int_equal(mrs(cpu, R_CNTENCLR), 0x8000003e);
	rig_free(rig);
}

static void test_inst_retired(void **state)
{
	struct rig *rig = pmu_rig();
	struct cpu *cpu = rig->cpu[0];

	cpu->icount = 1000;
	count(cpu, 0, PMU_INST_RETIRED);
	cpu->icount += 123;
	assert_int_equal(mrs(cpu, R_EVCNTR(0)), 123);
	/* Not while disabled: counter, then PMU. */
	msr(cpu, R_CNTENCLR, 1);
	cpu->icount += 50;
	assert_int_equal(mrs(cpu, R_EVCNTR(0)), 123);
	msr(cpu, R_CNTENSET, 1);
	cpu->icount += 7;
	msr(cpu, R_PMCR, 0);
	cpu->icount += 50;
	assert_int_equal(mrs(cpu, R_EVCNTR(0)), 130);
	msr(cpu, R_PMCR, 1);
	cpu->icount += 1;
	assert_int_equal(mrs(cpu, R_EVCNTR(0)), 131);
	msr(cpu, R_PMCR, 3);
	assert_int_equal(mrs(cpu, R_EVCNTR(0)), 0);
	rig_free(rig);
}

/* Instructions at EL1, then at EL0, then at EL1, through the exception entry and return. */
static void test_filters(void **state)
{
	struct rig *rig = pmu_rig();
	struct cpu *cpu = rig->cpu[0];

	count(cpu, 0, PMU_INST_RETIRED);
	count(cpu, 1, PMU_INST_RETIRED | NOT_EL0);
	count(cpu, 2, PMU_INST_RETIRED | NOT_EL1);
	count(cpu, 3, PMU_INST_RETIRED | NOT_EL0 | NOT_EL1);
	cpu->icount += 10;
	cpu->sys.spsr = 0;
	cpu_eret(cpu);
	cpu->icount += 200;
	cpu_take_exception(cpu, ESR(EC_SVC64, 0), 0, 0, false);
	cpu->icount += 3000;
	assert_int_equal(mrs(cpu, R_EVCNTR(0)), 3210);
	assert_int_equal(mrs(cpu, R_EVCNTR(1)), 3010);
	assert_int_equal(mrs(cpu, R_EVCNTR(2)), 200);
	assert_int_equal(mrs(cpu, R_EVCNTR(3)), 0);
	rig_free(rig);
}

static void test_other_events(void **state)
{
	struct rig *rig = pmu_rig();
	struct cpu *cpu = rig->cpu[0];
	uint64_t a, b;

	assert_false(cpu->mode & CPU_MODE_PMU_BR);
	count(cpu, 0, PMU_EXC_TAKEN);
	assert_false(cpu->mode & CPU_MODE_PMU_BR);
	count(cpu, 1, PMU_BR_RETIRED);
	assert_true(cpu->mode & CPU_MODE_PMU_BR);
	count(cpu, 2, PMU_MEM_ACCESS);
	count(cpu, 3, PMU_CPU_CYCLES);
	count(cpu, 4, PMU_SW_INCR);
	count(cpu, 5, 0x3fff); /* no such event */
	for (int i = 0; i < 5; i++)
		cpu_take_exception(cpu, ESR(EC_SVC64, 0), 0, 0, false);
	cpu->pmu.br_retired += 11;
	cpu->pmu.mem_access += 22;
	msr(cpu, R_SWINC, 0x3f);
	msr(cpu, R_SWINC, 0x10);
	msr(cpu, R_SWINC, 0x0f);
	assert_int_equal(mrs(cpu, R_EVCNTR(0)), 5);
	assert_int_equal(mrs(cpu, R_EVCNTR(1)), 11);
	assert_int_equal(mrs(cpu, R_EVCNTR(2)), 22);
	assert_int_equal(mrs(cpu, R_EVCNTR(4)), 2);
	assert_int_equal(mrs(cpu, R_EVCNTR(5)), 0);
	a = mrs(cpu, R_EVCNTR(3));
	b = mrs(cpu, R_EVCNTR(3));
	assert_true(b >= a && a > 0);
	msr(cpu, R_PMCR, 0);
	assert_false(cpu->mode & CPU_MODE_PMU_BR);
	rig_free(rig);
}

static void test_cycle_counter(void **state)
{
	struct rig *rig = pmu_rig();
	struct cpu *cpu = rig->cpu[0];
	uint64_t a, b, t[5];

	msr(cpu, R_CNTENSET, 1u << 31);
	t[0] = timer_count();
	msr(cpu, R_PMCR, 5);
	t[1] = timer_count();
	a = mrs(cpu, R_CCNTR);
	t[2] = timer_count();
	while (timer_count() < t[2] + 1000000)
		;
	t[3] = timer_count();
	b = mrs(cpu, R_CCNTR);
	t[4] = timer_count();
	/* It counts what the timer counts, however long the host lets this wait in between. */
	assert_true(a <= t[2] - t[0] && b >= t[3] - t[1] && b <= t[4] - t[0]);
	assert_true(b - a >= t[3] - t[2] && b - a <= t[4] - t[1]);
	/* 64 bits, and the overflow of bit 31 is none. */
	msr(cpu, R_CCNTR, 0xfffffff0);
	assert_true(mrs(cpu, R_CCNTR) >= 0xfffffff0);
	while (mrs(cpu, R_CCNTR) <= 0xffffffff)
		;
	assert_int_equal(mrs(cpu, R_OVSSET), 0);
	msr(cpu, R_CCNTR, ~0ull - 10);
	while (!mrs(cpu, R_OVSSET))
		;
	assert_int_equal(mrs(cpu, R_OVSSET), 1u << 31);
	assert_true(mrs(cpu, R_CCNTR) < 1000000000);
	/* Filtered out at EL1. */
	msr(cpu, R_CCFILTR, NOT_EL1);
	msr(cpu, R_CCNTR, 5);
	assert_int_equal(mrs(cpu, R_CCNTR), 5);
	rig_free(rig);
}

static void test_overflow_and_line(void **state)
{
	struct rig *rig = pmu_rig();
	struct cpu *cpu = rig->cpu[0];
	unsigned int changed;

	count(cpu, 1, PMU_INST_RETIRED);
	msr(cpu, R_EVCNTR(1), 0xffffff9c); /* 100 to go */
	assert_int_equal(mrs(cpu, R_EVCNTR(1)), 0xffffff9c);
	assert_int_equal(pmu_horizon(cpu), UINT64_MAX);
	msr(cpu, R_INTENSET, 2);
	assert_int_equal(pmu_horizon(cpu), 100);
	assert_int_equal(cpu->icount_limit, cpu->icount + 100);
	cpu->icount += 99;
	assert_false(pmu_level(cpu));
	assert_int_equal(pmu_horizon(cpu), 1);
	changed = rig->pmu_changed;
	cpu->icount += 6;
	assert_true(pmu_level(cpu));
	assert_true(rig->pmu_changed > changed);
	assert_int_equal(mrs(cpu, R_EVCNTR(1)), 5);
	assert_int_equal(mrs(cpu, R_OVSCLR), 2);
	assert_int_equal(pmu_horizon(cpu), UINT64_MAX);
	/* The level is PMCR.E and (PMOVSSET & PMINTENSET), whatever PMCNTENSET. */
	msr(cpu, R_CNTENCLR, 2);
	assert_true(pmu_level(cpu));
	msr(cpu, R_PMCR, 0);
	assert_false(pmu_level(cpu));
	msr(cpu, R_PMCR, 1);
	assert_true(pmu_level(cpu));
	msr(cpu, R_INTENCLR, 2);
	assert_false(pmu_level(cpu));
	msr(cpu, R_INTENSET, 2);
	msr(cpu, R_OVSCLR, 2);
	assert_false(pmu_level(cpu));
	msr(cpu, R_OVSSET, 2);
	assert_true(pmu_level(cpu));
	rig_free(rig);
}

static void test_chain(void **state)
{
	struct rig *rig = pmu_rig();
	struct cpu *cpu = rig->cpu[0];

	count(cpu, 2, PMU_INST_RETIRED);
	count(cpu, 3, PMU_CHAIN);
	msr(cpu, R_EVCNTR(2), 0xfffffff0);
	cpu->icount += 0x20;
	assert_int_equal(mrs(cpu, R_EVCNTR(2)), 0x10);
	assert_int_equal(mrs(cpu, R_EVCNTR(3)), 1);
	assert_int_equal(mrs(cpu, R_OVSSET), 1 << 2);
	/*
	 * Several wraps at once; the odd counter overflows as well, and its interrupt has a
	 * horizon.
	 */
	cpu->icount += 3ull << 32;
	assert_int_equal(mrs(cpu, R_EVCNTR(3)), 4);
	msr(cpu, R_OVSCLR, ~0ull);
	msr(cpu, R_EVCNTR(3), 0xffffffff);
	msr(cpu, R_EVCNTR(2), 0xfffffff0);
	msr(cpu, R_INTENSET, 1 << 3);
	assert_int_equal(pmu_horizon(cpu), 0x10);
	cpu->icount += 0x10;
	assert_true(pmu_level(cpu));
	assert_int_equal(mrs(cpu, R_OVSSET), 3 << 2);
	assert_int_equal(mrs(cpu, R_EVCNTR(3)), 0);
	/* A software increment chains, too; an odd counter does not chain on. */
	count(cpu, 4, PMU_SW_INCR);
	count(cpu, 5, PMU_CHAIN);
	msr(cpu, R_EVCNTR(4), 0xffffffff);
	msr(cpu, R_SWINC, 1 << 4);
	assert_int_equal(mrs(cpu, R_EVCNTR(5)), 1);
	count(cpu, 1, PMU_INST_RETIRED);
	count(cpu, 2, PMU_CHAIN);
	msr(cpu, R_EVCNTR(2), 0);
	msr(cpu, R_EVCNTR(1), 0xffffffff);
	cpu->icount += 1;
	assert_int_equal(mrs(cpu, R_EVCNTR(1)), 0);
	assert_int_equal(mrs(cpu, R_EVCNTR(2)), 0);
	rig_free(rig);
}

static void test_deadline(void **state)
{
	struct rig *rig = pmu_rig();
	struct cpu *cpu = rig->cpu[0];
	uint64_t now;

	assert_int_equal(pmu_deadline(cpu), UINT64_MAX);
	msr(cpu, R_CCNTR, ~0ull - 999999999);
	msr(cpu, R_CNTENSET, 1u << 31);
	assert_int_equal(pmu_deadline(cpu), UINT64_MAX);
	msr(cpu, R_INTENSET, 1u << 31);
	now = timer_count();
	assert_true(pmu_deadline(cpu) > now + 900000000 && pmu_deadline(cpu) < now + 1000000000);
	count(cpu, 0, PMU_CPU_CYCLES);
	msr(cpu, R_INTENSET, 1);
	msr(cpu, R_EVCNTR(0), 0xffffffff - 1000000);
	assert_true(pmu_deadline(cpu) < timer_count() + 2000000);
	rig_free(rig);
}

static void test_selected(void **state)
{
	struct rig *rig = pmu_rig();
	struct cpu *cpu = rig->cpu[0];

	for (unsigned int n = 0; n < PMU_COUNTERS; n++) {
		msr(cpu, R_SELR, n);
		msr(cpu, R_XEVTYPER, 0x10 + n);
		msr(cpu, R_XEVCNTR, 0x100000000 + n);
	}
	for (unsigned int n = 0; n < PMU_COUNTERS; n++) {
		assert_int_equal(mrs(cpu, R_EVTYPER(n)), 0x10 + n);
		assert_int_equal(mrs(cpu, R_EVCNTR(n)), n);
		msr(cpu, R_SELR, n);
		assert_int_equal(mrs(cpu, R_XEVTYPER), 0x10 + n);
		assert_int_equal(mrs(cpu, R_XEVCNTR), n);
	}
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identification), cmocka_unit_test(test_inst_retired),
		cmocka_unit_test(test_filters),        cmocka_unit_test(test_other_events),
		cmocka_unit_test(test_cycle_counter),  cmocka_unit_test(test_overflow_and_line),
		cmocka_unit_test(test_chain),          cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_selected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
