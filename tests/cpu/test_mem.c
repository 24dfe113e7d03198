/* SPDX-License-Identifier: MIT */
/*
 * The map of memslots: what is found, against an array; and how deep it gets, which is what
 * look-ups and changes cost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/mem.h"

static uint64_t seed = 1;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* --- Against an array: the place of a page is its number --- */

#define PLACES 300

static struct mem_slot place[PLACES]; /* size 0: not in the map */

static const struct mem_slot *expected(uint64_t pa)
{
	for (unsigned int i = 0; i < PLACES; i++)
		if (place[i].size && pa >= place[i].gpa && pa - place[i].gpa < place[i].size)
			return &place[i];
	return NULL;
}

static void compare(const struct mem_map *map)
{
	const struct mem_slot *s = mem_next(map, 0);

	for (unsigned int i = 0; i < PLACES; i++) {
		if (!place[i].size)
			continue;
		assert_ptr_equal(s, &place[i]);
		s = mem_next(map, mem_slot_end(s));
	}
	assert_null(s);
	for (uint64_t pa = 0; pa < (PLACES + 8) * MEM_PAGE_SIZE; pa += MEM_PAGE_SIZE / 2)
		assert_ptr_equal(mem_find(map, pa), expected(pa));
	assert_ptr_equal(mem_find(map, UINT64_MAX), NULL);
}

/* A slot of up to 4 pages at place @i, if there is room. */
static void add(struct mem_map *map, unsigned int i)
{
	uint64_t gpa = i * MEM_PAGE_SIZE, size = (1 + next_random() % 4) * MEM_PAGE_SIZE;
	const struct mem_slot *behind = mem_next(map, gpa);

	if (behind && behind->gpa < gpa + size)
		return;
	place[i] = (struct mem_slot){.gpa = gpa, .size = size};
	mem_insert(map, &place[i]);
}

static void test_against_array(void **state)
{
	struct mem_map map = {0};

	compare(&map);
	for (unsigned int round = 0; round < 3000; round++) {
		unsigned int i = (unsigned int)(next_random() % PLACES);

		if (place[i].size) {
			mem_remove(&map, &place[i]);
			place[i].size = 0;
		} else {
			add(&map, i);
		}
		if (round % 10 == 0)
			compare(&map);
	}
	for (unsigned int i = 0; i < PLACES; i++)
		if (place[i].size)
			mem_remove(&map, &place[i]);
	assert_null(map.root);
}

/* --- Depth --- */

#define MANY    32767u
#define DEEPEST 60 /* of so many in random order: 45 is what one meets */

static unsigned int depth(const struct mem_slot *s)
{
	if (!s)
		return 0;
	unsigned int left = depth(s->left), right = depth(s->right);

	return 1 + (left > right ? left : right);
}

/* In the order in which VMMs make their slots, from below, from above, and with gaps. */
static void test_depth(void **state)
{
	static const uint64_t stride[] = {MEM_PAGE_SIZE, 2 * MEM_PAGE_SIZE, 3 * MEM_PAGE_SIZE,
					  1 << 21,       1 << 26,           0x7fff000};
	struct mem_slot *slot = calloc(MANY, sizeof(*slot));

	assert_non_null(slot);
	for (unsigned int k = 0; k < 2 * sizeof(stride) / sizeof(stride[0]); k++) {
		uint64_t step = stride[k / 2];
		struct mem_map map = {0};

		for (unsigned int i = 0; i < MANY; i++) {
			slot[i] = (struct mem_slot){.gpa = (k & 1 ? MANY - i : i) * step,
						    .size = MEM_PAGE_SIZE};
			mem_insert(&map, &slot[i]);
		}
		assert_in_range(depth(map.root), 15, DEEPEST);
		for (unsigned int i = 0; i < MANY - 1000; i++)
			mem_remove(&map, &slot[i]);
		assert_in_range(depth(map.root), 10, DEEPEST);
	}
	free(slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_array),
		cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
