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

#define BASE  0x40000000ull
#define WORDS 4
#define NOP   0xd503201fu

static struct machine machine;
static struct code_cache cache;
static struct mem_slot slot;
static uint32_t memory[2 * MEM_PAGE_SIZE / 4] __attribute__((aligned(4096)));

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
	struct code_page *p = cache_page(&cache, BASE);
	struct tb *tb = make(0x40, 1);

	assert_ptr_equal(cache_page(&cache, BASE), p);
	assert_ptr_not_equal(cache_page(&cache, BASE + MEM_PAGE_SIZE), p);
	assert_ptr_equal(cache_insert(&cache, p, tb), tb);
	assert_ptr_equal(cache_find(p, 0x40, 1), tb);
	assert_null(cache_find(p, 0x40, 2));
	assert_null(cache_find(p, 0x44, 1));
	/* Another vCPU was first. */
	assert_ptr_equal(cache_insert(&cache, p, make(0x40, 1)), tb);
}

static void test_maintenance_drops_what_differs(void **state)
{
	struct code_page *p = cache_page(&cache, BASE);
	struct tb *same = cache_insert(&cache, p, make(0x100, 0)),
		  *other = cache_insert(&cache, p, make(0x110, 0));

	memory[0x11c / 4] = 0;
	cache_invalidate(&cache, BASE + 0x80, 64, false);
	assert_ptr_equal(cache_find(p, 0x110, 0), other);
	cache_invalidate(&cache, BASE + 0x100, 64, false);
	assert_null(cache_find(p, 0x110, 0));
	assert_ptr_equal(cache_find(p, 0x100, 0), same);
	assert_null(atomic_load(&other->page));
	cache_invalidate(&cache, BASE + 0x100, 64, true);
	assert_null(cache_find(p, 0x100, 0));
}

/*
 * One vCPU reads the words, another one changes them and does IC IVAU, the first one enters its
 * translation: nobody would ever drop it.
 */
static void test_maintenance_while_translating(void **state)
{
	struct code_page *p = cache_page(&cache, BASE);
	struct tb *tb = make(0x200, 0);

	memory[0x208 / 4] = 0;
	cache_invalidate(&cache, BASE + 0x200, 64, false);
	assert_null(cache_insert(&cache, p, tb));
	assert_null(cache_find(p, 0x200, 0));
	tb = make(0x200, 0);
	assert_ptr_equal(cache_insert(&cache, p, tb), tb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_by_offset_and_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_maintenance_drops_what_differs, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_maintenance_while_translating, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
