/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: one block of host memory, seen by the guest at one address.
 *
 * Nothing of the VMM reaches guest memory but through vmm_memory_at(), which hands out a pointer
 * only to what lies inside as a whole. The guest writes there at any time; whoever reads a value
 * that decides something reads it once.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <stdint.h>

struct vmm_memory {
	uint8_t *host; /* aligned to 2 MiB, as the guest's base is */
	uint64_t base; /* guest physical address */
	uint64_t size; /* bytes */
	void *mapping; /* what mmap() gave */
	uint64_t mapped;
};

/**
 * vmm_memory_create() - Reserves zeroed host memory; pages are taken when they are touched.
 * Return: 0 or -errno.
 */
int vmm_memory_create(struct vmm_memory *mem, uint64_t base, uint64_t size);

void vmm_memory_destroy(struct vmm_memory *mem);

/**
 * vmm_memory_at() - The host's view of guest memory.
 * @addr: guest physical address
 * @len:  bytes; 0 is allowed anywhere inside
 *
 * Return: a pointer to @len bytes, or NULL when any of them is not RAM.
 */
static inline void *vmm_memory_at(const struct vmm_memory *mem, uint64_t addr, uint64_t len)
{
	const uint64_t offset = addr - mem->base;

	if (offset > mem->size || len > mem->size - offset)
		return 0;
	return mem->host + offset;
}

#endif
