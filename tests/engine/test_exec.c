/* SPDX-License-Identifier: MIT */
/*
 * The executor and the loop around it, on guest code: what a block retires on each way out, kick
 * points, limits, and programs that passes once got wrong. calloc() is wrapped at link time, so
 * that the host can run out of memory.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cpu/arch.h"
#include "tests/engine/guest.h"
#include "tests/engine/random_words.h"

#define CODE   (RAM_BASE + 0x10000)
#define DATA   (RAM_BASE + 0x40000)
#define PMCR_E 1

static struct guest g;

static int setup(void **state)
{
	guest_start(&g, 1);
	return 0;
}

static int teardown(void **state)
{
	guest_stop(&g);
	return 0;
}

/* Run @n words at EL0 until their BRK; registers as the caller set them after guest_reset(). */
static void run_to_brk(void)
{
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_equal(g.cpu[0]->exit.imm, VECTOR_LOWER_SYNC);
	assert_int_equal(EC_OF(g.cpu[0]), EC_BRK64);
}

#define RUN(...)                                           \
	do {                                               \
		guest_code(&g, CODE, __VA_ARGS__, BRK(0)); \
		run_to_brk();                              \
	} while (0)

/* --- regressions --- */

/* MOV Wn, Wn in whatever form, with the value used again: bits 63:32 become 0. */
static void test_mov_w_clears_upper_half(void **state)
{
	struct cpu *cpu = g.cpu[0];

	guest_reset(&g, 0, CODE, 0);
	cpu->x[8] = 0xdeadbeef12345678;
	RUN(CSEL_W(8, 8, 3, AL), MOV(1, 8), ADD(2, 8, 8), ADD_W(3, 8, 8));
	assert_int_equal(cpu->x[8], 0x12345678);
	assert_int_equal(cpu->x[1], 0x12345678);
	assert_int_equal(cpu->x[2], 0x2468acf0);
	assert_int_equal(cpu->x[3], 0x2468acf0);

	/* The same of a value that the block knows. */
	guest_reset(&g, 0, CODE, 0);
	cpu->x[7] = 0xffffffff00000001;
	RUN(ADDI(8, 7, 1), CSEL_W(8, 8, 8, AL), MOV(1, 8), CSEL_W(2, 8, 8, AL));
	assert_int_equal(cpu->x[8], 2);
	assert_int_equal(cpu->x[1], 2);
	assert_int_equal(cpu->x[2], 2);

	/* And used before it is cleared. */
	guest_reset(&g, 0, CODE, 0);
	cpu->x[8] = 0xdeadbeef12345678;
	RUN(ADDI(1, 8, 0), CSEL_W(8, 8, 3, AL), ADD_W(2, 8, 8), ADDI(3, 8, 0), ADDI(4, 1, 0));
	assert_int_equal(cpu->x[1], 0xdeadbeef12345678);
	assert_int_equal(cpu->x[2], 0x2468acf0);
	assert_int_equal(cpu->x[3], 0x12345678);
	assert_int_equal(cpu->x[4], 0xdeadbeef12345678);
}

/* Inserting into the low half of a constant that has a high one. */
static void test_movk_w_of_constant(void **state)
{
	struct cpu *cpu = g.cpu[0];

	guest_reset(&g, 0, CODE, 0);
	RUN(MOVZ(0, 1, 2), MOVK_W(0, 5, 0), MOVZ(1, 7, 3), MOVK(1, 8, 0), MOVK_W(1, 9, 1));
	assert_int_equal(cpu->x[0], 5);
	assert_int_equal(cpu->x[1], 0x90008);
}

/* Atomics on big-endian data that is in the TLB. */
static void test_big_endian_atomics(void **state)
{
	struct cpu *cpu = g.cpu[0];
	uint32_t *word = (uint32_t *)guest_host(&g, DATA);
	uint64_t *dword = (uint64_t *)guest_host(&g, DATA + 8);
	uint16_t *half = (uint16_t *)guest_host(&g, DATA + 16);

	*word = __builtin_bswap32(0x000000ff);
	*dword = __builtin_bswap64(0x00000000ffffffff);
	*half = __builtin_bswap16(0x0102);
	cpu->sys.sctlr |= SCTLR_E0E;
	guest_reset(&g, 0, CODE, 0);
	cpu->x[0] = DATA;
	cpu->x[1] = DATA + 8;
	cpu->x[2] = DATA + 16;
	cpu->x[3] = 1;
	cpu->x[4] = 0x0102;
	cpu->x[5] = 0x0304;
	/* The first store fills the TLB's line. */
	RUN(STR(31, 2) | 8 << 10, LDADD(3, 10, 0, 2), LDADD(3, 11, 1, 3), CAS_(4, 5, 2, 1),
	    SWP(5, 12, 2, 1), LDSET(4, 13, 0, 2));
	assert_int_equal(cpu->x[10], 0xff);
	assert_int_equal(cpu->x[11], 0xffffffff);
	assert_int_equal(cpu->x[4], 0x0102);
	assert_int_equal(cpu->x[12], 0x0304);
	assert_int_equal(cpu->x[13], 0x100);
	assert_int_equal(__builtin_bswap32(*word), 0x102);
	assert_int_equal(__builtin_bswap64(*dword), 0x100000000);
	assert_int_equal(__builtin_bswap16(*half), 0x0304);
}

/*
 * An access that crosses from a page into the next, for pages whose numbers are as different as a
 * carry makes them.
 */
static void test_crossing_access(void **state)
{
	struct cpu *cpu = g.cpu[0];

	for (unsigned int shift = 13; shift < 39; shift++) {
		uint64_t second = 1ull << shift, first = second - MEM_PAGE_SIZE;
		uint64_t a = DATA, b = DATA + 0x20000; /* where they are: not next to each other */

		if (second >= RAM_BASE && first < RAM_BASE + RAM_SIZE)
			continue;
		guest_map(&g, first, a, PAGE_EL0);
		guest_map(&g, second, b, PAGE_EL0);
		memset(guest_host(&g, a), 0x11, MEM_PAGE_SIZE);
		memset(guest_host(&g, b - MEM_PAGE_SIZE), 0xee, MEM_PAGE_SIZE);
		memset(guest_host(&g, b), 0x22, MEM_PAGE_SIZE);
		tlb_flush(cpu);
		guest_reset(&g, 0, CODE, 0);
		cpu->x[0] = second - 4;
		cpu->x[1] = first;
		cpu->x[2] = second;
		cpu->x[4] = 0x3333333344444444;
		/* Each page alone, the second one last; then across. */
		RUN(STR(31, 1), STR(31, 2), LDR(3, 0), STR(4, 0));
		assert_int_equal(cpu->x[3], 0x11111111);
		assert_int_equal(*(uint32_t *)guest_host(&g, a + MEM_PAGE_SIZE - 4), 0x44444444);
		assert_int_equal(*(uint32_t *)guest_host(&g, b), 0x33333333);
		assert_int_equal(*(uint32_t *)guest_host(&g, b - 4), 0xeeeeeeee);
	}
}

/* BR_RETIRED counts a branch that was fused with its comparison, and MEM_ACCESS what faults not. */
static void test_pmu_counts_in_blocks(void **state)
{
	struct cpu *cpu = g.cpu[0];
	uint64_t branches, accesses;

	cpu->features |= CPU_FEATURE_PMU;
	guest_reset(&g, 0, CODE, 0);
	cpu->pmu.pmcr |= PMCR_E;
	cpu->pmu.cnten = 3;
	cpu->pmu.evtyper[0] = PMU_BR_RETIRED;
	cpu->pmu.evtyper[1] = PMU_MEM_ACCESS;
	cpu_update_mode(cpu);
	assert_true(cpu->mode & CPU_MODE_PMU_BR);
	cpu->x[0] = 10;
	cpu->x[2] = DATA;
	branches = cpu->pmu.br_retired;
	accesses = cpu->pmu.mem_access;
	RUN(SUBSI(0, 0, 1), CMPI(0, 5), BCOND(EQ, 8), STR(3, 2), CBNZ(0, -16), LDR(3, 2));
	/* Ten rounds of two branches each, the store skipped once. */
	assert_int_equal(cpu->pmu.br_retired - branches, 20);
	assert_int_equal(cpu->pmu.mem_access - accesses, 10);
}

/* --- what is retired --- */

/*
 * A block with three side exits, a helper that looks at the count and a load, left by each way. MRS
 * reads the counter, by a helper.
 */
static void test_retired_on_each_way_out(void **state)
{
	struct cpu *cpu = g.cpu[0];
	static const struct {
		uint64_t x0, retired, pc;
	} ways[] = {{1, 2, 0x40}, {2, 6, 0x44}, {3, 9, 0x48}, {4, 10, 0x28}};

	for (unsigned int i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		uint64_t before;

		for (unsigned int again = 0; again < 3; again++) { /* unlinked, linked */
			guest_code(&g, CODE, CMPI(0, 1), BCOND(EQ, 0x3c), NOP, 0xd53be040 | 5,
				   CMPI(0, 2), BCOND(EQ, 0x30), LDR(6, 2), CMPI(0, 3),
				   BCOND(EQ, 0x28), NOP, BRK(0), NOP, NOP, NOP, NOP, NOP, BRK(0),
				   BRK(0), BRK(0));
			cpu->sys.cntkctl = 3;
			guest_reset(&g, 0, CODE, 0);
			cpu->x[0] = ways[i].x0;
			cpu->x[2] = DATA;
			before = cpu->icount;
			run_to_brk();
			assert_int_equal(cpu->sys.elr, CODE + ways[i].pc);
			/* and the vector's HVC */
			assert_int_equal(cpu->icount - before, ways[i].retired + 1);
		}
	}
}

/* The helper itself sees what came before it in its block. */
static void test_helper_sees_exact_count(void **state)
{
	struct cpu *cpu = g.cpu[0];
	uint64_t first;

	cpu->features |= CPU_FEATURE_PMU;
	guest_reset(&g, 0, EL1_BASE, 1);
	cpu->pmu.pmcr |= PMCR_E;
	cpu->pmu.cnten = 1;
	cpu->pmu.evtyper[0] = PMU_INST_RETIRED;
	cpu_update_mode(cpu);
	/* MRS X1, PMEVCNTR0_EL0 (3, 3, 14, 8, 0), twice, with three instructions between. */
	guest_code(&g, EL1_BASE, NOP, 0xd53be801, NOP, NOP, NOP, 0xd53be802, HVC(0));
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	first = cpu->x[1];
	assert_int_equal(cpu->x[2] - first, 4);
}

static void test_exceptions_count(void **state)
{
	static const struct {
		uint32_t word;
		unsigned int retired; /* of NOP, the word */
		uint64_t elr;
	} rows[] = {{SVC(7), 2, CODE + 8}, {BRK(1), 1, CODE + 4}, {UDF, 1, CODE + 4}};
	struct cpu *cpu = g.cpu[0];

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before;

		guest_code(&g, CODE, NOP, rows[i].word);
		guest_reset(&g, 0, CODE, 0);
		before = cpu->icount;
		assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
		assert_int_equal(cpu->icount - before, rows[i].retired + 1);
		assert_int_equal(cpu->sys.elr, rows[i].elr);
	}
}

/* --- kicks and limits --- */

static void *run_thread(void *arg)
{
	return (void *)(uintptr_t)guest_run(&g, 0);
}

/*
 * Runs what is at CODE, which never ends, in a thread; kicks it; it must come back, again and
 * again.
 */
static void kick_out(unsigned int el)
{
	static const struct timespec pause = {.tv_nsec = 3000000};
	uint64_t before = g.cpu[0]->icount;

	guest_reset(&g, 0, el ? EL1_BASE : CODE, el);
	/* On a busy machine a kick may come before the guest has started. */
	for (unsigned int i = 0; i < 10 || g.cpu[0]->icount < before + 1000; i++) {
		pthread_t thread;
		void *reason;

		assert_true(i < 2000);

		assert_int_equal(pthread_create(&thread, NULL, run_thread, NULL), 0);
		nanosleep(&pause, NULL);
		cpu_request(g.cpu[0], CPU_REQ_EXIT);
		/* A lost kick hangs here; the test's time limit tells. */
		assert_int_equal(pthread_join(thread, &reason), 0);
		assert_int_equal((uintptr_t)reason, CPU_EXIT_KICK);
	}
}

static void test_kick_points(void **state)
{
	/* b . */
	guest_code(&g, CODE, B(0));
	kick_out(0);
	/* A conditional loop, fused and not. */
	guest_code(&g, CODE, CMPI(0, 0), BCOND(EQ, -4));
	kick_out(0);
	guest_code(&g, CODE, CBZ(0, 0));
	kick_out(0);
	/* Two pages, forwards and back. */
	guest_code(&g, CODE, B(0x1000));
	guest_code(&g, CODE + 0x1000, B(-0x1000));
	kick_out(0);
	/* Into the middle of the block that it ends. */
	guest_code(&g, CODE, NOP, NOP, B(4), B(-12));
	kick_out(0);
	/* Indirect, on one page. */
	guest_code(&g, CODE, ADR(3), NOP, BR(3));
	kick_out(0);
	/* An exception that takes itself: SVC at EL1 to a vector that does SVC. */
	for (unsigned int v = 0; v < 16; v++)
		guest_code(&g, VECTORS + v * 0x80, SVC(0));
	guest_code(&g, EL1_BASE, SVC(0));
	kick_out(1);
	/* A fetch that aborts forever. */
	for (unsigned int v = 0; v < 16; v++)
		guest_code(&g, VECTORS + v * 0x80, HVC(v));
	guest_code(&g, CODE, ISB, B(-4));
	kick_out(0);
}

static void test_fetch_abort_loop(void **state)
{
	guest_code(&g, EL1_BASE, BR(0));
	guest_reset(&g, 0, EL1_BASE, 1);
	g.cpu[0]->sys.vbar = NOTHING;
	for (unsigned int i = 0; i < 3; i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, run_thread, NULL), 0);
		usleep(2000);
		cpu_request(g.cpu[0], CPU_REQ_EXIT);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
	g.cpu[0]->sys.vbar = VECTORS;
}

/*
 * A kick that comes before the guest is entered is not lost, and one that came is not seen twice.
 */
static void test_kick_before_entry(void **state)
{
	struct cpu *cpu = g.cpu[0];

	guest_code(&g, CODE, BRK(0));
	guest_reset(&g, 0, CODE, 0);
	cpu_request(cpu, CPU_REQ_EXIT);
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_KICK);
	assert_int_equal(cpu->pc, CODE);
	run_to_brk();
}

/*
 * The limit ends a loop at the first kick point at or after it: here a block is three instructions,
 * or several rounds of these when the loop has become hot.
 */
static void test_icount_limit(void **state)
{
	struct cpu *cpu = g.cpu[0];

	guest_code(&g, CODE, NOP, NOP, B(-8));
	for (unsigned int n = 1; n < 40; n++) {
		uint64_t start, ran;

		guest_reset(&g, 0, CODE, 0);
		start = cpu->icount;
		cpu->icount_limit = start + n;
		assert_int_equal(guest_run(&g, 0), CPU_EXIT_KICK);
		ran = cpu->icount - start;
		assert_in_range(ran, n, n + IR_MAX_INSNS - 1);
		if (n < 10)
			assert_int_equal(ran, (n + 2) / 3 * 3);
		assert_int_equal(ran % 3, 0);
		assert_int_equal(cpu->pc, CODE);
		/* Reached already: nothing is executed. */
		assert_int_equal(guest_run(&g, 0), CPU_EXIT_KICK);
		assert_int_equal(cpu->icount - start, ran);
	}
}

/* --- what may not fail, and what may --- */

/* No single instruction is too large for the passes, whatever the mode, with and without them. */
static void test_every_instruction_fits(void **state)
{
	static uint32_t page[MEM_PAGE_SIZE / 4];
	struct translator *t = translator_create(g.machine.code);
	uint64_t seed = 99;

	assert_non_null(t);
	for (unsigned int n = 0; n < 300000; n++) {
		uint32_t mode = random_word(&seed) & 0x3ff;
		struct translation *made = NULL;

		if (n % 4)
			mode |= CPU_MODE_FP;
		page[0] = decode_space_word(&seed);
		t->work.plain = n & 1;
		if (translate_block(t, (uint8_t *)page, 0, mode, 1, &made))
			fail_msg("%08x in mode %#x", page[0], mode);
		assert_int_equal(made->nr_insns, 1);
		back_exec.release(g.machine.code, made);
	}
	translator_destroy(t);
}

/* Blocks of the instructions that take most room are cut down, not refused. */
static void test_large_blocks(void **state)
{
	static const uint32_t heavy[] = {
		/* LD4 of 16 bytes each: 64 loads where each element is an access */
		0x4c400000 | 28 << 5,
		0x4c000000 | 28 << 5,           /* ST4 */
		0x4e000000 | 31 << 16,          /* TBL */
		0xa9400000 | 28 << 5 | 1 << 10, /* LDP */
		0xd5033fbf,                     /* DMB SY */
		0x1b037c41,                     /* MUL W1, W2, W3 */
	};
	static uint32_t page[MEM_PAGE_SIZE / 4];
	struct translator *t = translator_create(g.machine.code);

	assert_non_null(t);
	for (unsigned int n = 0; n < 64; n++) {
		struct translation *made = NULL;

		for (unsigned int i = 0; i < MEM_PAGE_SIZE / 4; i++)
			page[i] = heavy[(i * (n / 8 + 1) + n) % (sizeof(heavy) / 4)];
		t->work.plain = n & 1;
		assert_int_equal(translate_block(t, (uint8_t *)page, 0,
						 CPU_MODE_FP | (n & 2 ? CPU_MODE_BE : 0),
						 IR_MAX_INSNS, &made),
				 0);
		assert_true(made->nr_insns >= 1);
		back_exec.release(g.machine.code, made);
	}
	translator_destroy(t);
}

static int failing; /* calls of calloc() that fail; -1: all */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	if (failing) {
		failing -= failing > 0;
		return NULL;
	}
	return __real_calloc(n, size);
}

static void test_no_memory(void **state)
{
	struct cpu *cpu = g.cpu[0];
	uint64_t start;

	/* For a while: it goes on as if nothing had been. */
	for (int n = 1; n < 8; n++) {
		guest_code(&g, CODE + 0x1000 * (unsigned int)n, ADDI(0, 0, 1), BRK(0));
		guest_reset(&g, 0, CODE + 0x1000 * (uint64_t)n, 0);
		failing = n;
		run_to_brk();
		assert_int_equal(failing, 0);
		assert_int_equal(cpu->x[0], 1);
	}
	/* For good: an honest end, at the exact place. */
	guest_code(&g, CODE, ADDI(0, 0, 1), B(0x9000 - 4));
	guest_code(&g, CODE + 0x9000, ADDI(0, 0, 2), BRK(0));
	guest_reset(&g, 0, CODE, 0);
	start = cpu->icount;
	failing = -1;
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_ERROR);
	assert_int_equal(cpu->exit.imm, ENOMEM);
	assert_int_equal(cpu->pc, CODE);
	assert_int_equal(cpu->icount, start);
	/* And when there is memory again, it goes on. */
	failing = 0;
	run_to_brk();
	assert_int_equal(cpu->x[0], 3);
}

/*
 * A guest that makes new code without end: what the cache holds stays bounded, and its code still
 * runs right.
 */
static void test_growth_is_bounded(void **state)
{
	struct code_cache *c = g.machine.code;
	struct cpu *cpu = g.cpu[0];
	uint64_t most = 0;

	c->limit = 256 << 10;
	for (unsigned int n = 0; n < 20000; n++) {
		uint64_t pc = RAM_BASE + (n % 200) * MEM_PAGE_SIZE + (n / 200 % 32) * 128;

		guest_code(&g, pc, MOVZ(0, n & 0xffff, 0), MOVZ(1, n >> 16, 0), ADD(2, 0, 1),
			   EOR(3, 2, 1), BRK(0));
		guest_reset(&g, 0, pc, 0);
		run_to_brk();
		assert_int_equal(cpu->x[2], (n & 0xffff) + (n >> 16));
		if (atomic_load(&c->bytes) > most)
			most = atomic_load(&c->bytes);
	}
	assert_true(most > c->limit / 2);
	assert_true(most < c->limit + 2 * sizeof(struct code_page) + 8192);
	assert_true(c->nr_evictions > 20);
	assert_int_equal(c->nr_flushes, 0);
}

int main(void)
{
#define T(n) cmocka_unit_test_setup_teardown(n, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_mov_w_clears_upper_half),
		T(test_movk_w_of_constant),
		T(test_big_endian_atomics),
		T(test_crossing_access),
		T(test_pmu_counts_in_blocks),
		T(test_retired_on_each_way_out),
		T(test_helper_sees_exact_count),
		T(test_exceptions_count),
		T(test_kick_points),
		T(test_fetch_abort_loop),
		T(test_kick_before_entry),
		T(test_icount_limit),
		T(test_every_instruction_fits),
		T(test_large_blocks),
		T(test_no_memory),
		T(test_growth_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
