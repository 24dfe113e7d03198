/* SPDX-License-Identifier: MIT */
/*
 * The code cache, with translations that have words and nothing else: what is found, and what
 * maintenance drops.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/code/cache.h"
#include "engine/engine.h"

#define BASE  0x40000000ull
#define WORDS 4
#define NOP   0xd503201fu

static struct machine machine;
static struct code_cache cache;
static struct mem_slot slot;
static uint32_t memory[2 * MEM_PAGE_SIZE / 4] __attribute__((aligned(4096)));
#define HOST ((const uint8_t *)memory)

static int setup(void **state)
{
	memset(&machine, 0, sizeof(machine));
	memset(&cache, 0, sizeof(cache));
	slot = (struct mem_slot){.gpa = BASE, .size = sizeof(memory), .host = (uint8_t *)memory};
	mem_insert(&machine.mem, &slot);
	for (unsigned int i = 0; i < sizeof(memory) / 4; i++)
		memory[i] = NOP;
	return cache_init(&cache, &machine);
}

static int teardown(void **state)
{
	cache_destroy(&cache);
	return 0;
}

/* A translation of WORDS words at @offset, as memory has them now. */
static struct tb *make(uint32_t offset, uint32_t mode)
{
	struct tb *tb = calloc(1, sizeof(*tb) + WORDS * sizeof(uint32_t));

	assert_non_null(tb);
	tb->rows = (struct tb_row *)tb->code;
	tb->offset = (uint16_t)offset;
	tb->mode = mode;
	tb->nr_insns = WORDS;
	memcpy(tb_words(tb), (uint8_t *)memory + offset, WORDS * sizeof(uint32_t));
	return tb;
}

static void test_found_by_offset_and_mode(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct tb *tb = make(0x40, 1);

	assert_ptr_equal(cache_page(&cache, HOST), p);
	assert_ptr_not_equal(cache_page(&cache, HOST + MEM_PAGE_SIZE), p);
	assert_ptr_equal(cache_insert(&cache, p, tb), tb);
	assert_ptr_equal(cache_find(p, 0x40, 1), tb);
	assert_null(cache_find(p, 0x40, 2));
	assert_null(cache_find(p, 0x44, 1));
	/* Another vCPU was first. */
	assert_ptr_equal(cache_insert(&cache, p, make(0x40, 1)), tb);
}

static void test_maintenance_drops_what_differs(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct tb *same = cache_insert(&cache, p, make(0x100, 0)),
		  *other = cache_insert(&cache, p, make(0x110, 0));

	memory[0x11c / 4] = 0;
	cache_invalidate(&cache, HOST + 0x80, 64, false);
	assert_ptr_equal(cache_find(p, 0x110, 0), other);
	cache_invalidate(&cache, HOST + 0x100, 64, false);
	assert_null(cache_find(p, 0x110, 0));
	assert_ptr_equal(cache_find(p, 0x100, 0), same);
	assert_null(atomic_load(&other->page));
	cache_invalidate(&cache, HOST + 0x100, 64, true);
	assert_null(cache_find(p, 0x100, 0));
}

/*
 * One vCPU reads the words, another one changes them and does IC IVAU, the first one enters its
 * translation: nobody would ever drop it.
 */
static void test_maintenance_while_translating(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct tb *tb = make(0x200, 0);

	memory[0x208 / 4] = 0;
	cache_invalidate(&cache, HOST + 0x200, 64, false);
	assert_null(cache_insert(&cache, p, tb));
	assert_null(cache_find(p, 0x200, 0));
	tb = make(0x200, 0);
	assert_ptr_equal(cache_insert(&cache, p, tb), tb);
}

/* --- What user space writes --- */

/* A run begins, and the page is entered in it. */
static void enter(struct code_page *p)
{
	cache_verify(&cache, p, atomic_fetch_add(&cache.runs, 1) + 1);
}

static void test_verification_drops_what_differs(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct tb *same = cache_insert(&cache, p, make(0x300, 0)),
		  *last = cache_insert(&cache, p, make(0xff0, 0));

	for (unsigned int i = 0; i < 3; i++)
		enter(p);
	assert_ptr_equal(cache_find(p, 0x300, 0), same);
	assert_ptr_equal(cache_find(p, 0xff0, 0), last);
	/* Beside what was translated: nothing goes. On another line: nothing is looked at. */
	memory[0x310 / 4] = 0;
	memory[0x400 / 4] = 0;
	enter(p);
	memory[0xffc / 4] = 0;
	/* Not before another run begins. */
	cache_verify(&cache, p, atomic_load(&cache.runs));
	assert_ptr_equal(cache_find(p, 0xff0, 0), last);
	enter(p);
	assert_null(cache_find(p, 0xff0, 0));
	assert_null(atomic_load(&last->page));
	assert_ptr_equal(cache_find(p, 0x300, 0), same);
	memory[0x300 / 4] = 0;
	enter(p);
	assert_null(cache_find(p, 0x300, 0));
	enter(p);
}

/*
 * User space writes, and before the next run something that overlaps is translated: that one is new,
 * the one from before is not, though the copy that is made then has both.
 */
static void test_verification_after_translation(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct tb *old = cache_insert(&cache, p, make(0x100, 0)), *new;

	enter(p);
	enter(p);
	memory[0x108 / 4] = 0;
	new = cache_insert(&cache, p, make(0x108, 0));
	assert_ptr_equal(cache_find(p, 0x100, 0), old);
	enter(p);
	assert_null(cache_find(p, 0x100, 0));
	assert_ptr_equal(cache_find(p, 0x108, 0), new);
	/* One on a line that the copy did not have. */
	enter(p);
	cache_insert(&cache, p, make(0x200, 0));
	memory[0x200 / 4] = 0;
	enter(p);
	assert_null(cache_find(p, 0x200, 0));
	assert_ptr_equal(cache_find(p, 0x108, 0), new);
}

/* Copies are counted, and go when the next translation does. */
static void test_copies_are_freed(void **state)
{
	uint64_t empty = atomic_load(&cache.bytes), page, one;
	struct code_page *p = cache_page(&cache, HOST);

	page = atomic_load(&cache.bytes);
	cache_insert(&cache, p, make(0x100, 0));
	enter(p);
	one = atomic_load(&cache.bytes);
	assert_true(one > page);
	for (unsigned int i = 0; i < 10; i++) {
		cache_insert(&cache, p, make(0x100, i + 1));
		enter(p);
		assert_true(atomic_load(&cache.bytes) > one);
	}
	memory[0x100 / 4] = 0;
	enter(p);
	cache_reclaim(&cache);
	assert_int_equal(atomic_load(&cache.bytes), page);
	memory[0x100 / 4] = NOP;
	cache_insert(&cache, p, make(0x100, 0));
	enter(p);
	cache_flush(&cache);
	cache_reclaim(&cache);
	assert_int_equal(atomic_load(&cache.bytes), empty);
}

/* Two memslots over the same memory: maintenance through one is maintenance of it. */
static void test_aliases_share(void **state)
{
	struct mem_slot alias = {.gpa = 2 * BASE, .size = sizeof(memory), .host = slot.host};
	struct code_page *p = cache_page(&cache, HOST);

	mem_insert(&machine.mem, &alias);
	machine.code = &cache;
	cache_insert(&cache, p, make(0x100, 0));
	memory[0x100 / 4] = 0;
	engine_icache_invalidate(&machine, 2 * BASE + 0x140, 64);
	assert_non_null(cache_find(p, 0x100, 0));
	engine_icache_invalidate(&machine, 2 * BASE + 0x100, 64);
	assert_null(cache_find(p, 0x100, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_by_offset_and_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_maintenance_drops_what_differs, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_maintenance_while_translating, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_verification_drops_what_differs, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_verification_after_translation, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_copies_are_freed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aliases_share, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
