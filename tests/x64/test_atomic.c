/* SPDX-License-Identifier: MIT */
/*
 * Atomics and exclusives of several vCPUs in generated code: nothing is lost, and a store exclusive
 * fails if an atomic wrote in between, although the value is what it was.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "cpu/monitor.h"
#include "tests/engine/guest.h"

#define CODE   (RAM_BASE + 0x80000)
#define APART  0x1000 /* from one vCPU's code to the next one's */
#define SHARED (RAM_BASE + 0x40000)
#define PASSED (RAM_BASE + 0x41000) /* counts what the vCPU with atomics did */

#define LSE(op, s, t, n) (0xf8200000u | (op) << 12 | (uint32_t)(s) << 16 | (n) << 5 | (t))
enum { ADD_OP = 0, CLR_OP = 1, EOR_OP = 2, SET_OP = 3, SWP_OP = 8 };
#define CAS(s, t, n)  (0xc8a07c00u | (uint32_t)(s) << 16 | (n) << 5 | (t))
#define LDXR(t, n)    (0xc85f7c00u | (n) << 5 | (t))
#define STXR(s, t, n) (0xc8007c00u | (uint32_t)(s) << 16 | (n) << 5 | (t))

static struct guest g;

static int setup(void **state)
{
	guest_start(&g, GUEST_CPUS);
	return 0;
}

static int teardown(void **state)
{
	guest_stop(&g);
	return 0;
}

static uint64_t *shared(uint64_t pa)
{
	return (uint64_t *)guest_host(&g, pa);
}

static void *run(void *n)
{
	return (void *)(uintptr_t)guest_run(&g, (unsigned int)(uintptr_t)n);
}

static void start(unsigned int n, pthread_t *thread)
{
	assert_int_equal(pthread_create(thread, NULL, run, (void *)(uintptr_t)n), 0);
}

static void finish(unsigned int n, pthread_t thread)
{
	void *reason;

	pthread_join(thread, &reason);
	assert_int_equal((uintptr_t)reason, CPU_EXIT_HVC);
	assert_int_equal(EC_OF(g.cpu[n]), EC_SVC64);
}

/* A round of what adds one to [x1]. */
static const uint32_t ldadd[] = {LSE(ADD_OP, 2, 3, 1)};
static const uint32_t cas[] = {LDR(4, 1),    ADDI(5, 4, 0), ADDI(6, 4, 1),
			       CAS(5, 6, 1), CMP(5, 4),     BCOND(NE, -20)};
static const uint32_t exclusive[] = {LDXR(4, 1), ADDI(4, 4, 1), STXR(5, 4, 1), CBNZ(5, -12)};

static void load_adder(unsigned int n, const uint32_t *round, unsigned int nr, unsigned int rounds)
{
	uint32_t words[16];
	unsigned int k = 0;

	for (unsigned int i = 0; i < nr; i++)
		words[k++] = round[i];
	words[k++] = SUBSI(0, 0, 1);
	words[k] = BCOND(NE, -4 * (int)k);
	words[k + 1] = SVC(0);
	guest_code_n(&g, CODE + n * APART, words, k + 2);
	guest_reset(&g, n, CODE + n * APART, 0);
	g.cpu[n]->x[0] = rounds;
	g.cpu[n]->x[1] = SHARED;
	g.cpu[n]->x[2] = 1;
}

static void test_counting(void **state)
{
	static const struct {
		const uint32_t *round;
		unsigned int nr;
	} kinds[] = {{ldadd, 1}, {cas, 6}, {exclusive, 4}};
	const unsigned int rounds = 20000;

	/* Each number in base three says what each vCPU does. */
	for (unsigned int mix = 0; mix < 81; mix++) {
		pthread_t thread[GUEST_CPUS];

		for (unsigned int n = 0, m = mix; n < GUEST_CPUS; n++, m /= 3)
			load_adder(n, kinds[m % 3].round, kinds[m % 3].nr, rounds);
		*shared(SHARED) = 0;
		for (unsigned int n = 0; n < GUEST_CPUS; n++)
			start(n, &thread[n]);
		for (unsigned int n = 0; n < GUEST_CPUS; n++)
			finish(n, thread[n]);
		assert_int_equal(*shared(SHARED), GUEST_CPUS * rounds);
		/* The exclusives that are to come shall be the first ones again. */
		memset(g.machine.counted, 0, MONITOR_COUNTED);
	}
}

/*
 * One vCPU changes the word and changes it back, and counts each. The other one marks the word,
 * looks at the count twice, and stores: if the count has moved by two, an atomic was done between
 * the two looks, and the store must fail.
 */
static void there_and_back(const uint32_t there[2], const uint32_t back[2], uint64_t *stored,
			   uint64_t *failed)
{
	static const uint32_t watch[] = {
		LDXR(4, 1),
		LDR(5, 2),
		LDR(6, 2),
		LDR(6, 2),
		LDR(7, 2),
		STXR(8, 4, 1),
		CBZ(8, 12),
		ADDI(11, 11, 1), /* not stored */
		B(24),
		ADDI(10, 10, 1), /* stored */
		REG3(0xcb000000u, 9, 7, 5),
		CMPI(9, 2),
		BCOND(CC, 8),
		SVC(1), /* although the word was written */
		SUBSI(0, 0, 1),
		BCOND(NE, -60),
		SVC(0),
	};
	const uint32_t move[] = {
		there[0],      there[1],  ADDI(9, 9, 1), STR(9, 2),    back[0], back[1],
		ADDI(9, 9, 1), STR(9, 2), LDR(10, 3),    CBZ(10, -36), SVC(0),
	};
	pthread_t thread[2];

	guest_code_n(&g, CODE, watch, sizeof(watch) / 4);
	guest_code_n(&g, CODE + APART, move, sizeof(move) / 4);
	*shared(SHARED) = *shared(PASSED) = *shared(PASSED + 64) = 0;
	for (unsigned int n = 0; n < 2; n++) {
		guest_reset(&g, n, CODE + n * APART, 0);
		g.cpu[n]->x[1] = SHARED;
		g.cpu[n]->x[2] = PASSED;
		g.cpu[n]->x[3] = PASSED + 64;
		g.cpu[n]->x[12] = 1;
		g.cpu[n]->x[13] = ~0ull;
	}
	g.cpu[0]->x[0] = 3000;
	start(1, &thread[1]);
	start(0, &thread[0]);
	pthread_join(thread[0], NULL);
	__atomic_store_n(shared(PASSED + 64), 1, __ATOMIC_RELEASE);
	finish(1, thread[1]);
	if (g.cpu[0]->sys.esr & 1)
		fail_msg("stored, although the count went from %llu to %llu meanwhile",
			 (unsigned long long)g.cpu[0]->x[5], (unsigned long long)g.cpu[0]->x[7]);
	assert_int_equal(EC_OF(g.cpu[0]), EC_SVC64);
	*stored += g.cpu[0]->x[10];
	*failed += g.cpu[0]->x[11];
}

static void test_value_comes_back(void **state)
{
	static const struct {
		uint32_t there[2], back[2];
	} ways[] = {
		{{LSE(ADD_OP, 12, 14, 1), NOP}, {LSE(ADD_OP, 13, 14, 1), NOP}},
		{{LSE(SWP_OP, 12, 14, 1), NOP}, {LSE(SWP_OP, 14, 15, 1), NOP}},
		{{LSE(EOR_OP, 12, 14, 1), NOP}, {LSE(EOR_OP, 12, 14, 1), NOP}},
		{{LSE(SET_OP, 12, 14, 1), NOP}, {LSE(CLR_OP, 12, 14, 1), NOP}},
		/* These write, and change nothing. */
		{{LSE(ADD_OP, 31, 14, 1), NOP}, {LSE(SET_OP, 31, 14, 1), NOP}},
		{{LDR(14, 1), CAS(14, 14, 1)}, {LDR(14, 1), CAS(14, 14, 1)}},
	};
	uint64_t stored = 0, failed = 0;

	for (unsigned int round = 0; round < 40; round++) {
		for (unsigned int n = 0; n < sizeof(ways) / sizeof(ways[0]); n++)
			there_and_back(ways[n].there, ways[n].back, &stored, &failed);
		/* The first exclusive comes while the other one's atomics are the host's. */
		memset(g.machine.counted, 0, MONITOR_COUNTED);
	}
	print_message("%llu stored, %llu not\n", (unsigned long long)stored,
		      (unsigned long long)failed);
	assert_true(failed > 0);
}

/* The granule is counted by the first exclusive, and by nothing else; with one vCPU by none. */
static void test_counted(void **state)
{
	const _Atomic uint8_t *counted = monitor_counted(&g.machine, shared(SHARED));

	load_adder(0, ldadd, 1, 100);
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_equal(*counted, 0);
	load_adder(0, exclusive, 4, 1);
	g.machine.nr_cpus = 1;
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_equal(*counted, 0);
	g.machine.nr_cpus = GUEST_CPUS;
	load_adder(0, exclusive, 4, 1);
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_not_equal(*counted, 0);
	assert_int_equal(*monitor_counted(&g.machine, shared(PASSED)), 0);
}

/* Before the first exclusive of a granule loads, who is in the guest has passed a kick point. */
static void test_all_pass(void **state)
{
	pthread_t thread;
	uint64_t before;

	load_adder(1, ldadd, 1, 0); /* for ever */
	start(1, &thread);
	while (!atomic_load(&g.cpu[1]->tlb.in_guest))
		sched_yield();
	for (unsigned int n = 0; n < 50; n++) {
		before = atomic_load(&g.cpu[1]->tlb.served);
		load_adder(0, exclusive, 4, 1);
		g.cpu[0]->x[1] = PASSED + 16 * n;
		assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
		assert_true(atomic_load(&g.cpu[1]->tlb.served) > before);
		/* No more for the next one. */
		before = atomic_load(&g.cpu[1]->tlb.posted);
		load_adder(0, exclusive, 4, 1);
		g.cpu[0]->x[1] = PASSED + 16 * n;
		assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
		assert_int_equal(atomic_load(&g.cpu[1]->tlb.posted), before);
	}
	cpu_request(g.cpu[1], CPU_REQ_EXIT);
	pthread_join(thread, NULL);
}

int main(void)
{
	setenv("ARMATURE_ENGINE", "x64", 1);

	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_value_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_pass, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
