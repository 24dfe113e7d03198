/* SPDX-License-Identifier: MIT */
/*
 * Guest physical memory: the memslots, as the CPU sees them.
 *
 * The map is changed only while no vCPU of the machine is inside the guest, so readers on vCPU
 * threads need no lock. Whoever else reads it holds off the changes himself.
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
	/* Private to mem.c: lower and higher addresses in the map. */
	struct mem_slot *left, *right;
};

struct mem_map {
	struct mem_slot *root;
	unsigned int pa_bits; /* IPA size of the VM */
};

/** mem_insert() - Let @s be in @map; it overlaps no slot that is there. O(log n), never fails. */
void mem_insert(struct mem_map *map, struct mem_slot *s);

/** mem_remove() - Take @s, which is in @map, out of it. O(log n). */
void mem_remove(struct mem_map *map, struct mem_slot *s);

/** mem_find() - The slot that holds @pa, or NULL: not memory (MMIO for data accesses). O(log n). */
const struct mem_slot *mem_find(const struct mem_map *map, uint64_t pa);

/**
 * mem_next() - The lowest slot that ends above @pa, or NULL. O(log n).
 *
 * To visit all slots in the order of their addresses, begin with 0 and go on with mem_slot_end().
 */
struct mem_slot *mem_next(const struct mem_map *map, uint64_t pa);

/** mem_slot_end() - The first guest physical address behind a slot. */
static inline uint64_t mem_slot_end(const struct mem_slot *s)
{
	return s->gpa + s->size;
}

/** mem_slot_host() - Host address of @pa, which the slot holds; good up to the end of its page. */
static inline uint8_t *mem_slot_host(const struct mem_slot *s, uint64_t pa)
{
	return s->host + (pa - s->gpa);
}

/** mem_mark_dirty() - Record a write to the page of @pa, if its slot has a log. Any thread. */
void mem_mark_dirty(const struct mem_slot *s, uint64_t pa);

#endif
