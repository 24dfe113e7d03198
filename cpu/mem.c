/* SPDX-License-Identifier: MIT */
/*
 * Guest physical memory: finding the memslot of an address, and the dirty log.
 *
 * What must hold: slots are sorted by gpa and do not overlap; the map does not change while a vCPU
 * is in the guest.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "cpu/mem.h"

const struct mem_slot *mem_find(const struct mem_map *map, uint64_t pa)
{
	unsigned int lo = 0, hi = map->nr;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;
		const struct mem_slot *s = &map->slots[mid];

		if (pa < s->gpa)
			hi = mid;
		else if (pa - s->gpa < s->size)
			return s;
		else
			lo = mid + 1;
	}
	return NULL;
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
