/* SPDX-License-Identifier: MIT */
/*
 * Guest physical memory: the memslots, as the CPU sees them.
 *
 * The map is changed only while no vCPU of the machine is inside the guest (machine_stop()), so
 * readers on vCPU threads need no lock.
 */
#ifndef CPU_MEM_H
#define CPU_MEM_H

#include <stdbool.h>
#include <stdint.h>

#define MEM_PAGE_SHIFT 12
#define MEM_PAGE_SIZE  (1ull << MEM_PAGE_SHIFT)

struct mem_slot {
	uint64_t gpa, size; /* bytes, page-aligned */
	uint8_t *host;
	bool readonly;
	_Atomic uint64_t *dirty; /* one bit a 4 KiB page, or NULL when not logged */
	void *owner;
};

struct mem_map {
	struct mem_slot *slots; /* sorted by gpa */
	unsigned int nr;
	unsigned int pa_bits; /* IPA size of the VM */
};

/* The slot that holds @pa, or NULL: not memory (MMIO for data accesses). */
const struct mem_slot *mem_find(const struct mem_map *map, uint64_t pa);

/* Host address of @pa, or NULL. The page is contiguous on the host; beyond its end is not promised.
 */
static inline uint8_t *mem_slot_host(const struct mem_slot *s, uint64_t pa)
{
	return s->host + (pa - s->gpa);
}

/* Record a write to the page of @pa in the dirty log, if its slot has one. Any thread. */
void mem_mark_dirty(const struct mem_slot *s, uint64_t pa);

#endif
