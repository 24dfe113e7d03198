/* SPDX-License-Identifier: MIT */
/*
 * The generic timers: registers, levels, deadlines, the event stream.
 */
#include "cpu_test.h"

#define R_TVAL(t) SYSREG(3, 3, 14, (t) == TIMER_VIRT ? 3 : 2, 0)
#define R_CTL(t)  SYSREG(3, 3, 14, (t) == TIMER_VIRT ? 3 : 2, 1)
#define R_CVAL(t) SYSREG(3, 3, 14, (t) == TIMER_VIRT ? 3 : 2, 2)
#define R_CNTPCT  SYSREG(3, 3, 14, 0, 1)
#define R_CNTVCT  SYSREG(3, 3, 14, 0, 2)
#define R_CNTKCTL SYSREG(3, 0, 14, 1, 0)
#define FAR_AWAY  (1ull << 40)

static void test_counters(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	uint64_t p, v;

	assert_int_equal(mrs(cpu, SYSREG(3, 3, 14, 0, 0)), TIMER_FREQ);
	timer_rebase(&rig->m, TIMER_VIRT, 1000000);
	v = mrs(cpu, R_CNTVCT);
	p = mrs(cpu, R_CNTPCT);
	assert_true(p - v >= 1000000);
	assert_true(mrs(cpu, R_CNTVCT) + 1000000 >= p);
	rig_free(rig);
}

static void test_level(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];

	timer_rebase(&rig->m, TIMER_VIRT, 12345678);
	for (enum timer_id t = 0; t < NR_TIMERS; t++) {
		assert_false(timer_level(cpu, t));
		msr(cpu, R_CVAL(t), 0);
		assert_int_equal(mrs(cpu, R_CTL(t)), 0);
		msr(cpu, R_CTL(t), 1);
		assert_true(timer_level(cpu, t));
		assert_int_equal(mrs(cpu, R_CTL(t)), 5);
		assert_int_equal(timer_deadline(cpu, t), UINT64_MAX);
		/* Masked: ISTATUS is still there. */
		msr(cpu, R_CTL(t), ~0ull);
		assert_false(timer_level(cpu, t));
		assert_int_equal(mrs(cpu, R_CTL(t)), 7);
		msr(cpu, R_CTL(t), 2);
		assert_int_equal(mrs(cpu, R_CTL(t)), 2);
		msr(cpu, R_CTL(t), 1);
		msr(cpu, R_CVAL(t), timer_now(cpu, t) + FAR_AWAY);
		assert_false(timer_level(cpu, t));
		assert_int_equal(mrs(cpu, R_CTL(t)), 1);
	}
	assert_int_equal(rig->timers_changed, 2 * 6);
	rig_free(rig);
}

static void test_tval(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];

	for (enum timer_id t = 0; t < NR_TIMERS; t++) {
		uint64_t before = timer_now(cpu, t), cval;

		/* Only 32 bits count, and they are signed. */
		msr(cpu, R_TVAL(t), 0xabcdef0010000000);
		cval = mrs(cpu, R_CVAL(t));
		assert_true(cval >= before + 0x10000000 && cval <= timer_now(cpu, t) + 0x10000000);
		msr(cpu, R_TVAL(t), 0xfffffffe);
		assert_true(mrs(cpu, R_CVAL(t)) < timer_now(cpu, t));
		assert_true((int32_t)mrs(cpu, R_TVAL(t)) < 0);
		assert_int_equal(mrs(cpu, R_TVAL(t)) >> 32, 0);
	}
	rig_free(rig);
}

static void test_deadline(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];

	timer_rebase(&rig->m, TIMER_VIRT, 500);
	for (enum timer_id t = 0; t < NR_TIMERS; t++) {
		uint64_t at = timer_count() + FAR_AWAY;
		uint64_t deadline;

		assert_int_equal(timer_deadline(cpu, t), UINT64_MAX);
		msr(cpu, R_CVAL(t), at - (t == TIMER_VIRT ? 500 : 0));
		assert_int_equal(timer_deadline(cpu, t), UINT64_MAX);
		msr(cpu, R_CTL(t), 1);
		deadline = timer_deadline(cpu, t);
		assert_int_equal(deadline, at);
		msr(cpu, R_CTL(t), 3);
		assert_int_equal(timer_deadline(cpu, t), UINT64_MAX);
		msr(cpu, R_CTL(t), 1);
		msr(cpu, R_CVAL(t), UINT64_MAX);
		assert_true(timer_deadline(cpu, t) >= UINT64_MAX - 500);
	}
	/* A virtual counter that is nearly at its end. */
	timer_rebase(&rig->m, TIMER_VIRT, timer_count() + 1000);
	msr(cpu, R_CVAL(TIMER_VIRT), UINT64_MAX);
	assert_false(timer_level(cpu, TIMER_VIRT) && timer_deadline(cpu, TIMER_VIRT) != UINT64_MAX);
	rig_free(rig);
}

static void test_event_stream(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];

	assert_int_equal(timer_event_deadline(cpu), UINT64_MAX);
	for (unsigned int dir = 0; dir < 2; dir++) {
		for (uint64_t i = 10; i < 16; i++) {
			uint64_t before = timer_count(), at, after, v;

			timer_rebase(&rig->m, TIMER_VIRT, 777);
			msr(cpu, R_CNTKCTL, 4 | dir << 3 | i << 4);
			at = timer_event_deadline(cpu);
			after = timer_count();
			v = at - 777;
			/*
			 * There the bit has just become what the direction says, within one period.
			 */
			assert_int_equal(v >> i & 1, !dir);
			assert_int_equal((v - 1) >> i & 1, dir);
			assert_true(at > before && at <= after + (2ull << i));
		}
	}
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters),     cmocka_unit_test(test_level),
		cmocka_unit_test(test_tval),         cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_event_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
