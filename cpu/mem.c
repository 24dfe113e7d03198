/* SPDX-License-Identifier: MIT */
/*
 * Guest physical memory: finding the memslot of an address, and the dirty log.
 *
 * The map is a treap: a binary search tree by address, and at the same time a heap by a number that
 * is a hash of the address. Such a tree looks as if its slots had come in random order, in whatever
 * order they came, so it is 2 ln n deep or so: 20 steps for the 32,767 slots that a VM may have,
 * and a change costs no more than a look-up.
 *
 * What must hold: slots do not overlap, and none ends at 2^64 (guest addresses have 52 bits); the
 * map does not change while a vCPU is in the guest.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "cpu/mem.h"

/* A slot's place in the heap: the larger, the nearer to the root. */
static uint64_t rank(const struct mem_slot *s)
{
	uint64_t h = (s->gpa >> MEM_PAGE_SHIFT) * 0x9e3779b97f4a7c15ull;

	return (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
}

/* Take the tree @t apart: what lies below @gpa to *@low, the rest to *@high. */
static void split(struct mem_slot *t, uint64_t gpa, struct mem_slot **low, struct mem_slot **high)
{
	while (t) {
		if (t->gpa < gpa) {
			*low = t;
			low = &t->right;
			t = t->right;
		} else {
			*high = t;
			high = &t->left;
			t = t->left;
		}
	}
	*low = *high = NULL;
}

void mem_insert(struct mem_map *map, struct mem_slot *s)
{
	struct mem_slot **at = &map->root;

	while (*at && rank(*at) >= rank(s))
		at = s->gpa < (*at)->gpa ? &(*at)->left : &(*at)->right;
	split(*at, s->gpa, &s->left, &s->right);
	*at = s;
}

void mem_remove(struct mem_map *map, struct mem_slot *s)
{
	struct mem_slot **at = &map->root, *low = s->left, *high = s->right;

	while (*at != s)
		at = s->gpa < (*at)->gpa ? &(*at)->left : &(*at)->right;
	/* Join its two trees in its place. */
	while (low && high) {
		if (rank(low) >= rank(high)) {
			*at = low;
			at = &low->right;
			low = low->right;
		} else {
			*at = high;
			at = &high->left;
			high = high->left;
		}
	}
	*at = low ? low : high;
}

const struct mem_slot *mem_find(const struct mem_map *map, uint64_t pa)
{
	const struct mem_slot *s = map->root;

	while (s && pa - s->gpa >= s->size)
		s = pa < s->gpa ? s->left : s->right;
	return s;
}

struct mem_slot *mem_next(const struct mem_map *map, uint64_t pa)
{
	struct mem_slot *s = map->root, *found = NULL;

	while (s) {
		if (mem_slot_end(s) > pa) {
			found = s;
			s = s->left;
		} else {
			s = s->right;
		}
	}
	return found;
}

void mem_mark_dirty(const struct mem_slot *s, uint64_t pa)
{
	uint64_t page = (pa - s->gpa) >> MEM_PAGE_SHIFT;
	uint64_t bit = 1ull << (page & 63);
	_Atomic uint64_t *word;

	if (!s->dirty)
		return;
	word = &s->dirty[page / 64];
	if (!(atomic_load_explicit(word, memory_order_relaxed) & bit))
		atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
}
