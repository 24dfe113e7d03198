/* SPDX-License-Identifier: MIT */
/*
 * The MMIO bus: finds whose an address is.
 *
 * Regions never overlap. They are mapped while the machine is built and not changed while it runs,
 * so look-ups take no lock; each device has its own.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define VMM_BUS_REGIONS 48

struct vmm_region {
	const char *name;
	uint64_t base;
	uint64_t size;
	void *opaque;
	/* @cpu: whose access; @offset within the region; @size 1, 2, 4 or 8, wholly inside. */
	uint64_t (*read)(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size);
	void (*write)(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size,
		      uint64_t value);
};

struct vmm_bus {
	struct vmm_region regions[VMM_BUS_REGIONS]; /* by ascending base */
	unsigned int nr;
};

/**
 * vmm_bus_map() - Puts a region on the bus.
 * Return: 0, -EEXIST when it overlaps another, -ENOSPC, or -EINVAL for an empty or wrapping one.
 */
int vmm_bus_map(struct vmm_bus *bus, const struct vmm_region *region);

/**
 * vmm_bus_find() - The index of the region that holds all of an access, or -1.
 */
int vmm_bus_find(const struct vmm_bus *bus, uint64_t addr, unsigned int size);

#endif
