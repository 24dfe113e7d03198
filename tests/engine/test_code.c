/* SPDX-License-Identifier: MIT */
/*
 * The code cache under guests: who shares translations, what links may be followed after mappings
 * and code have changed, what is freed and when, also while other vCPUs run.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "cpu/arch.h"
#include "engine/code/dispatch.h"
#include "tests/engine/guest.h"

#define CODE  (RAM_BASE + 0x10000)
#define OTHER (RAM_BASE + 0x20000)
#define THIRD (RAM_BASE + 0x30000)
#define DATA  (RAM_BASE + 0x40000)

static struct guest g;

/* Words that guest.h has no macro for. */
#define UBFIZ_W13_W12_5_16 0x531b3d8du /* the number, as MOVZ has its immediate */
#define AND_X12_X12_FFH    0x92401d8cu
#define TST_X12_3          0xf240059fu
#define CMP_X12_3000H      0xf1400d9fu
#define TLBI_VAE1_X9       0xd5088729u
#define TLBI_VAAE1IS_X9    0xd5088369u

static int setup(void **state)
{
	guest_start(&g, 1);
	return 0;
}

static int setup2(void **state)
{
	guest_start(&g, 2);
	return 0;
}

static int teardown(void **state)
{
	guest_stop(&g);
	return 0;
}

static struct code_cache *cache(void)
{
	return g.machine.code;
}

static struct engine_stats stats(void)
{
	struct engine_stats s;

	engine_stats(&g.machine, &s);
	return s;
}

static uint64_t run(uint64_t pc, unsigned int el)
{
	guest_reset(&g, 0, pc, el);
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	return g.cpu[0]->x[0];
}

/* --- what is found --- */

static void test_shared_by_virtual_addresses(void **state)
{
	uint64_t made;

	guest_code(&g, CODE, MOVZ(0, 1, 0), B(4), ADDI(0, 0, 1), BRK(0));
	guest_map(&g, THIRD, CODE, PAGE_EL0);
	assert_int_equal(run(CODE, 0), 2);
	made = stats().translations;
	assert_int_equal(run(THIRD, 0), 2);
	assert_int_equal(stats().translations, made);
	/* ADR gives the address it was entered at. */
	guest_code(&g, CODE, ADR(0), BRK(0));
	assert_int_equal(run(CODE, 0), CODE);
	assert_int_equal(run(THIRD, 0), THIRD);
}

static void test_mode_is_part_of_the_key(void **state)
{
	struct code_page *p;
	uint32_t mode;

	/* FADD traps with CPACR.FPEN = 0. */
	guest_code(&g, CODE, FADD_D(0, 0, 0), BRK(0));
	run(CODE, 0);
	assert_int_equal(EC_OF(g.cpu[0]), EC_BRK64);
	guest_reset(&g, 0, CODE, 0);
	mode = g.cpu[0]->mode;
	g.cpu[0]->sys.cpacr = 0;
	cpu_update_mode(g.cpu[0]);
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_equal(EC_OF(g.cpu[0]), EC_FP_ACCESS);
	run(CODE, 0);
	assert_int_equal(EC_OF(g.cpu[0]), EC_BRK64);
	p = cache_page(cache(), guest_host(&g, CODE));
	assert_non_null(cache_find(p, 0, mode));
	assert_non_null(cache_find(p, 0, mode & ~CPU_MODE_FP));
	assert_null(cache_find(p, 4, mode));
	assert_null(cache_find(p, 0, mode ^ CPU_MODE_UAO));
}

/* --- links --- */

/*
 * A jump to another page, linked; the page's address is mapped to another page: the link leads
 * nowhere, or to the wrong place.
 */
static void links_after_remap(uint32_t tlbi, bool call)
{
	uint64_t to = EL1_BASE + 0x1000, other = EL1_BASE + 0x2000, remap = EL1_BASE + 0x4000;

	tlb_flush(g.cpu[0]);
	guest_code(&g, EL1_BASE, call ? BR(7) : B(0x1000));
	guest_code(&g, to, MOVZ(0, 1, 0), HVC(0));
	guest_code(&g, other, MOVZ(0, 2, 0), HVC(0));
	for (unsigned int i = 0; i < 4; i++) {
		guest_reset(&g, 0, EL1_BASE, 1);
		g.cpu[0]->x[7] = to;
		assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
		assert_int_equal(g.cpu[0]->x[0], 1);
	}
	guest_map(&g, to, other, PAGE_EL1);
	/* The guest drops the old mapping, then goes there. */
	guest_code(&g, remap, tlbi, DSB_ISH, ISB, BR(8));
	guest_reset(&g, 0, remap, 1);
	g.cpu[0]->x[7] = to;
	g.cpu[0]->x[8] = EL1_BASE;
	g.cpu[0]->x[9] = to >> 12;
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_equal(g.cpu[0]->x[0], 2);
	/* Now the execute TLB has the new page, and the link still leads to the old one. */
	guest_reset(&g, 0, EL1_BASE, 1);
	g.cpu[0]->x[7] = to;
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_equal(g.cpu[0]->x[0], 2);
	guest_map(&g, to, to, PAGE_EL1);
}

static void test_links_after_remap(void **state)
{
	links_after_remap(TLBI_VMALLE1, false);
	links_after_remap(TLBI_VMALLE1IS, true);
	links_after_remap(TLBI_VAE1_X9, false);
	links_after_remap(TLBI_VAAE1IS_X9, true);
}

/*
 * A conditional branch both ways to other pages, in a loop, while one of them is unmapped: an
 * abort, not the old code.
 */
static void test_link_to_unmapped_page(void **state)
{
	uint64_t to = EL1_BASE + 0x1000;

	guest_code(&g, EL1_BASE, B(0x1000));
	guest_code(&g, to, MOVZ(0, 1, 0), HVC(0));
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(run(EL1_BASE, 1), 1);
	guest_map(&g, to, 0, 0);
	guest_code(&g, EL1_BASE + 0x4000, TLBI_VMALLE1, DSB_ISH, ISB, B(-0x400c));
	run(EL1_BASE + 0x4000, 1);
	assert_int_equal(EC_OF(g.cpu[0]), EC_IABT);
	assert_int_equal(g.cpu[0]->sys.far, to);
	guest_map(&g, to, to, PAGE_EL1);
}

/* Invalidation unlinks both what leads to a translation and what it leads to. */
static void test_invalidation_unlinks(void **state)
{
	struct code_page *p;
	struct translation *a, *b;

	guest_code(&g, CODE, B(8), BRK(1), MOVZ(0, 1, 0), B(8), BRK(2), ADDI(0, 0, 1), BRK(0));
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(run(CODE, 0), 2);
	p = cache_page(cache(), guest_host(&g, CODE));
	a = NULL;
	for (unsigned int i = 0; i < CODE_PAGE_BUCKETS && !a; i++)
		for (struct translation *t = atomic_load(&p->bucket[i]); t;
		     t = atomic_load(&t->next))
			if (t->offset == (CODE & 0xfff))
				a = t;
	assert_non_null(a);
	assert_int_equal(a->nr_exits, 1);
	assert_int_equal(a->exits[0].delta, 8);
	b = a->exits[0].to;
	assert_non_null(b);
	assert_int_equal(b->offset, (CODE & 0xfff) + 8);
	assert_ptr_equal(b->incoming, &a->exits[0]);
	guest_code(&g, CODE + 8, MOVZ(0, 5, 0));
	assert_null(a->exits[0].to);
	assert_null(atomic_load(&b->page));
	assert_int_equal(run(CODE, 0), 6);
}

/* --- maintenance by the guest --- */

/*
 * IC IVAU of a line drops only what differs there; without it the old code may run, and here does.
 */
static void test_ic_ivau(void **state)
{
	uint64_t dropped;

	guest_code(&g, CODE, MOVZ(0, 1, 0), BRK(0));
	guest_code(&g, CODE + 0x40, MOVZ(0, 2, 0), BRK(0));
	assert_int_equal(run(CODE, 0), 1);
	assert_int_equal(run(CODE + 0x40, 0), 2);
	guest_code(&g, OTHER, IC_IVAU(3), DSB_ISH, ISB, BRK(0));
	dropped = stats().invalidated;
	/* Nothing has changed: nothing goes. */
	guest_reset(&g, 0, OTHER, 0);
	g.cpu[0]->x[3] = CODE;
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_equal(stats().invalidated, dropped);
	/* Memory changes behind the engine's back. */
	*(uint32_t *)guest_host(&g, CODE) = MOVZ(0, 11, 0);
	*(uint32_t *)guest_host(&g, CODE + 0x40) = MOVZ(0, 12, 0);
	assert_int_equal(run(CODE, 0), 1);
	guest_reset(&g, 0, OTHER, 0);
	g.cpu[0]->x[3] = CODE;
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_equal(stats().invalidated, dropped + 1);
	assert_int_equal(run(CODE, 0), 11);
	assert_int_equal(run(CODE + 0x40, 0), 2);
}

static void test_ic_iallu(void **state)
{
	guest_code(&g, CODE, MOVZ(0, 1, 0), BRK(0));
	guest_code(&g, OTHER, MOVZ(0, 2, 0), BRK(0));
	guest_code(&g, EL1_BASE, IC_IALLU, DSB_ISH, ISB, HVC(0));
	run(CODE, 0);
	run(OTHER, 0);
	run(EL1_BASE, 1);
	uint64_t dropped = stats().invalidated;

	*(uint32_t *)guest_host(&g, CODE) = MOVZ(0, 11, 0);
	run(EL1_BASE, 1);
	assert_int_equal(stats().invalidated, dropped + 1);
	assert_int_equal(run(CODE, 0), 11);
	assert_int_equal(run(OTHER, 0), 2);
}

/* The block that patches itself: the rest of it is what it was, the next time is new. */
/*
 * One instruction that drops 20,000 blocks, all of which lead to one: no hold of the lock does more
 * than a slice, and the work grows with their number, not with its square.
 */
static void test_ic_iallu_of_many(void **state)
{
	uint64_t many = 20000, first = RAM_BASE + 0x80000, before;
	uint32_t *words = (uint32_t *)guest_host(&g, first);

	for (uint64_t i = 0; i < many; i++)
		words[i] = B((int64_t)(OTHER - first) - 4 * (int64_t)i);
	/* X0 goes through all of them, each comes to OTHER, and from there back to X30. */
	guest_code(&g, OTHER, BR(30));
	guest_code(&g, CODE, 0x1000005e /* ADR X30, .+8 */, BR(0), ADDI(0, 0, 4), SUBSI(1, 1, 1),
		   BCOND(NE, -16), BRK(0));
	guest_code(&g, EL1_BASE, IC_IALLU, DSB_ISH, ISB, HVC(0));
	guest_reset(&g, 0, CODE, 0);
	g.cpu[0]->x[0] = first;
	g.cpu[0]->x[1] = many;
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_int_equal(g.cpu[0]->x[1], 0);
	assert_true(stats().translations > many);
	for (uint64_t i = 0; i < many; i++)
		words[i] = NOP;
	before = cache()->total_work;
	run(EL1_BASE, 1);
	assert_int_equal(stats().invalidated, many);
	assert_in_range(cache()->total_work - before, many, 4 * many);
	assert_in_range(cache()->most_work, 1, CACHE_SLICE + 64);
}

static void test_self_modifying_block(void **state)
{
	/* STR W1 over the MOVZ behind the ISB, then run it. */
	guest_code(&g, CODE, STR_W(1, 2), DC_CVAU(2), DSB_ISH, IC_IVAU(2), DSB_ISH, ISB,
		   MOVZ(0, 1, 0), BRK(0));
	for (unsigned int i = 2; i < 40; i++) {
		guest_reset(&g, 0, CODE, 0);
		g.cpu[0]->x[1] = MOVZ(0, i, 0);
		g.cpu[0]->x[2] = CODE + 24;
		assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
		assert_int_equal(g.cpu[0]->x[0], i);
	}
}

static void test_memory_changed(void **state)
{
	guest_code(&g, CODE, MOVZ(0, 1, 0), BRK(0));
	assert_int_equal(run(CODE, 0), 1);
	/*
	 * Another memory in the same place, with other words: all of the page goes, whatever it
	 * holds.
	 */
	*(uint32_t *)guest_host(&g, CODE) = MOVZ(0, 3, 0);
	engine_memory_changed(&g.machine, CODE, MEM_PAGE_SIZE);
	assert_int_equal(run(CODE, 0), 3);
	uint64_t dropped = stats().invalidated;

	engine_memory_changed(&g.machine, CODE, MEM_PAGE_SIZE);
	assert_true(stats().invalidated > dropped);
}

/*
 * Words behind an instruction that change whenever they are translated: only it is executed, in a
 * block of its own. (What memory has and what is fetched differ here for good; another vCPU would
 * have to be writing all the time.)
 */
static void test_hot_data_behind_code(void **state)
{
	uint8_t *changed = aligned_alloc(MEM_PAGE_SIZE, RAM_SIZE);

	assert_non_null(changed);
	guest_code(&g, CODE, MOVZ(0, 5, 0), CBZ(9, 12), NOP, NOP, BRK(0));
	guest_code(&g, CODE + 0x100, BRK(0));
	run(CODE + 0x100, 0);
	memcpy(changed, g.ram, RAM_SIZE);
	((uint32_t *)(changed + (CODE - RAM_BASE)))[2] = UDF;
	g.cpu[0]->bank->x[xtlb_index(CODE)].page = cache_page(cache(), changed + (CODE - RAM_BASE));
	assert_int_equal(run(CODE, 0), 5);
	assert_int_equal(EC_OF(g.cpu[0]), EC_BRK64);
	tlb_flush(g.cpu[0]);
	free(changed);
}

/* --- flush --- */

/* Links, dispatch lines and execute TLB lines all name what a flush took away. */
static void test_flush_while_outside(void **state)
{
	uint64_t empty = atomic_load(&cache()->bytes);

	guest_code(&g, CODE, MOVZ(0, 1, 0), B(0x10000 - 4));
	guest_code(&g, OTHER, ADDI(0, 0, 1), ADR(3), BRK(0));
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(run(CODE, 0), 2);
		cache_flush(cache());
		cache_reclaim(cache());
		assert_int_equal(atomic_load(&cache()->bytes), empty);
	}
	assert_int_equal(cache()->nr_flushes, 20);
}

/*
 * Data in the same line as code, that user space changes before every run: each run makes another
 * copy of the page's lines. The old ones go, though no translation is ever dropped.
 */
static void test_data_beside_code(void **state)
{
	enum { CODE_WORDS = 1000, DATA_WORD = 1005 };
	uint32_t words[CODE_WORDS];
	uint64_t copies = CODE_CACHE_LIMIT / MEM_PAGE_SIZE + 100;

	for (unsigned int i = 0; i < CODE_WORDS; i++)
		words[i] = i < CODE_WORDS - 1 ? ADDI(0, 0, 1) : BRK(0);
	guest_code_n(&g, CODE, words, CODE_WORDS);
	for (uint64_t i = 0; i < copies; i++) {
		((uint32_t *)guest_host(&g, CODE))[DATA_WORD] = (uint32_t)i;
		engine_user_wrote(g.cpu[0]);
		assert_int_equal(run(CODE, 0), CODE_WORDS - 1);
		assert_in_range(stats().code_bytes, 1, CODE_CACHE_LIMIT / 4);
	}
	assert_int_equal(cache()->nr_flushes, 0);
	assert_int_equal(stats().invalidated, 0);
}

/*
 * A page that a flush dropped is told from words that change: for those alone the next block is
 * shorter.
 */
static void test_flush_while_translating(void **state)
{
	struct code_page *page = cache_page(cache(), guest_host(&g, CODE));
	struct translation *t;

	guest_code(&g, CODE, MOVZ(0, 1, 0), HVC(0));
	guest_reset(&g, 0, CODE, 0);
	cache_flush(cache());
	assert_int_equal(translate(g.cpu[0], page, guest_host(&g, CODE), 0, &t), -ESTALE);
	page = cache_page(cache(), guest_host(&g, CODE));
	assert_int_equal(translate(g.cpu[0], page, guest_host(&g, CODE), 0, &t), 0);
}

/* --- with another vCPU --- */

/*
 * A number that a guest publishes, once it is @n, or after a time that no machine is too slow for.
 */
static uint64_t wait_for_number(uint64_t pa, uint64_t n)
{
	uint64_t *number = (uint64_t *)guest_host(&g, pa), now;

	for (unsigned int i = 0; i < 15000; i++) {
		now = __atomic_load_n(number, __ATOMIC_ACQUIRE);
		if (now >= n)
			return now;
		usleep(1000);
	}
	return now;
}

static _Atomic bool stop;

/* vCPU @arg runs until it is told to stop; whatever exits is entered again. */
static void *run_vcpu(void *arg)
{
	unsigned int n = (unsigned int)(uintptr_t)arg;

	while (!atomic_load(&stop)) {
		enum cpu_exit_reason reason = guest_run(&g, n);

		if (reason != CPU_EXIT_KICK)
			return (void *)(uintptr_t)reason;
	}
	return (void *)CPU_EXIT_KICK;
}

static void finish(pthread_t thread, unsigned int n, enum cpu_exit_reason expected)
{
	void *reason;

	atomic_store(&stop, true);
	cpu_request(g.cpu[n], CPU_REQ_EXIT);
	assert_int_equal(pthread_join(thread, &reason), 0);
	assert_int_equal((uintptr_t)reason, expected);
}

/* A loop over three pages, all of them being invalidated. X0 counts rounds, and is told at X16. */
static void loop_code(void)
{
	guest_code(&g, CODE, ADDI(0, 0, 1), B(0x10000 - 4));
	guest_code(&g, OTHER, ADDI(1, 1, 1), CMPI(1, 7), BCOND(EQ, 8), B(0x10000 - 12),
		   MOVZ(1, 0, 0), B(0x10000 - 20));
	guest_code(&g, THIRD, STLR(0, 16), BR(5));
}

static void start_loop(unsigned int n)
{
	guest_reset(&g, n, CODE, 0);
	g.cpu[n]->x[5] = CODE;
	g.cpu[n]->x[16] = DATA + 0x100 * n;
}

/*
 * What is retired is freed, though another vCPU never leaves the guest: bytes stay what they are.
 */
static void test_reclamation(void **state)
{
	pthread_t threads[2];
	uint64_t baseline, most = 0;

	/* Everybody gets in between whatever a walk does. */
	cache()->slice = 1;

	loop_code();
	atomic_store(&stop, false);
	for (unsigned int n = 0; n < 2; n++) {
		start_loop(n);
		assert_int_equal(pthread_create(&threads[n], NULL, run_vcpu, (void *)(uintptr_t)n),
				 0);
	}
	for (unsigned int n = 0; n < 2; n++)
		wait_for_number(DATA + 0x100 * n, 100);
	baseline = atomic_load(&cache()->bytes);
	assert_true(baseline > 0);
	for (unsigned int i = 0; i < 10000; i++) {
		uint64_t bytes;

		if (i % 16 == 15)
			cache_flush(cache());
		else
			cache_invalidate(
				cache(),
				guest_host(&g, (const uint64_t[]){CODE, OTHER, THIRD}[i % 3]), 64,
				true);
		bytes = atomic_load(&cache()->bytes);
		most = bytes > most ? bytes : most;
		/*
		 * The vCPUs need a moment of these two processors to find that something is gone.
		 */
		if (i % 50 == 0)
			usleep(100);
	}
	for (unsigned int n = 0; n < 2; n++)
		assert_true(wait_for_number(DATA + 0x100 * n, 100) >= 100);
	finish(threads[0], 0, CPU_EXIT_KICK);
	finish(threads[1], 1, CPU_EXIT_KICK);
	assert_true(cache()->nr_flushes > 0);
	assert_true(most < CODE_CACHE_LIMIT);
	/* Both are outside: whoever reclaims frees all that is retired. */
	cache_reclaim(cache());
	assert_null(cache()->retired);
	assert_null(cache()->retired_pages);
	assert_true(atomic_load(&cache()->bytes) <= baseline);
	cache_flush(cache());
	cache_reclaim(cache());
	assert_int_equal(atomic_load(&cache()->bytes), 0);
	assert_int_equal(stats().translations, 0);
}

#define ROUNDS 5000

/*
 * vCPU 1 rewrites a function, does the maintenance that the architecture asks for, tells its
 * number; vCPU 0 synchronises when it sees a new number, calls the function, must get that number
 * or a later one, and tells what it got. In three rounds of four vCPU 1 waits for that.
 */
static void test_code_patched_by_another(void **state)
{
	pthread_t threads[2];
	uint64_t told;

	/* The function: MOVZ X0, #n; RET. X10 its address, X11 the number's, X16 the answer's. */
	guest_code(&g, THIRD, MOVZ(0, 0, 0), RET);
	/* BRK 7 when the function's number is older than the one that was told. */
	guest_code(&g, CODE, LDAR(12, 11), ISB, BLR(10), CMP(0, 12), BCOND(CS, 8), BRK(7),
		   STLR(0, 16), B(-28));
	/* It ends before the number wraps. */
	guest_code(&g, OTHER, ADDI(12, 12, 1), UBFIZ_W13_W12_5_16, ORR_W(13, 13, 14), STR_W(13, 10),
		   DC_CVAU(10), DSB_ISH, IC_IVAU(10), DSB_ISH, ISB, STLR(12, 11), TST_X12_3,
		   BCOND(EQ, -44), LDAR(17, 16), CMP(17, 12), BCOND(CS, -56), CMP_X12_3000H,
		   BCOND(HI, 0), B(-20));
	atomic_store(&stop, false);
	for (unsigned int n = 0; n < 2; n++) {
		guest_reset(&g, n, n ? OTHER : CODE, 0);
		g.cpu[n]->x[10] = THIRD;
		g.cpu[n]->x[11] = DATA;
		g.cpu[n]->x[14] = MOVZ(0, 0, 0);
		g.cpu[n]->x[16] = DATA + 0x100;
		assert_int_equal(pthread_create(&threads[n], NULL, run_vcpu, (void *)(uintptr_t)n),
				 0);
	}
	told = wait_for_number(DATA + 0x100, ROUNDS);
	finish(threads[0], 0, CPU_EXIT_KICK);
	finish(threads[1], 1, CPU_EXIT_KICK);
	assert_true(told > 200);
	assert_true(stats().invalidated > 50);
}

/*
 * Both patch and run; the host flushes and maintains beside them; a limit makes them flush as well.
 */
static void test_everything_at_once(void **state)
{
	pthread_t threads[2];

	cache()->limit = 3000;
	cache()->slice = 1;
	guest_code(&g, OTHER, ADDI(12, 12, 1), AND_X12_X12_FFH, UBFIZ_W13_W12_5_16,
		   ORR_W(13, 13, 14), STR_W(13, 10), DC_CVAU(10), DSB_ISH, IC_IVAU(10), DSB_ISH,
		   ISB, BLR(10), CMP(0, 12), BCOND(EQ, 8), BRK(7), ADDI(20, 20, 1), STLR(20, 16),
		   B(-64));
	atomic_store(&stop, false);
	for (unsigned int n = 0; n < 2; n++) {
		/* Each has a function of its own, on the same page. */
		guest_code(&g, THIRD + 0x100 * n, MOVZ(0, 0, 0), RET);
		guest_reset(&g, n, OTHER, 0);
		g.cpu[n]->x[10] = THIRD + 0x100 * n;
		g.cpu[n]->x[14] = MOVZ(0, 0, 0);
		g.cpu[n]->x[16] = DATA + 0x100 * n;
		assert_int_equal(pthread_create(&threads[n], NULL, run_vcpu, (void *)(uintptr_t)n),
				 0);
	}
	for (unsigned int i = 0; i < 1500; i++) {
		cache_invalidate(cache(), NULL, 0, i % 7 == 0);
		if (i % 5 == 0)
			cache_flush(cache());
		if (i % 20 == 0)
			usleep(300);
	}
	wait_for_number(DATA, 50);
	wait_for_number(DATA + 0x100, 50);
	finish(threads[0], 0, CPU_EXIT_KICK);
	finish(threads[1], 1, CPU_EXIT_KICK);
	assert_true(g.cpu[0]->x[20] >= 50 && g.cpu[1]->x[20] >= 50);
}

int main(void)
{
#define T(n)  cmocka_unit_test_setup_teardown(n, setup, teardown)
#define T2(n) cmocka_unit_test_setup_teardown(n, setup2, teardown)
	const struct CMUnitTest tests[] = {
		T(test_shared_by_virtual_addresses),
		T(test_mode_is_part_of_the_key),
		T(test_links_after_remap),
		T(test_link_to_unmapped_page),
		T(test_invalidation_unlinks),
		T(test_ic_ivau),
		T(test_ic_iallu),
		T(test_ic_iallu_of_many),
		T(test_self_modifying_block),
		T(test_memory_changed),
		T(test_hot_data_behind_code),
		T(test_flush_while_outside),
		T(test_data_beside_code),
		T(test_flush_while_translating),
		T2(test_reclamation),
		T2(test_code_patched_by_another),
		T2(test_everything_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
