/* SPDX-License-Identifier: MIT */
/* The MMIO bus: a sorted table and a binary search. */
#include "vmm/bus.h"

#include <errno.h>
#include <string.h>

int vmm_bus_map(struct vmm_bus *bus, const struct vmm_region *region)
{
	const uint64_t last = region->base + region->size - 1;
	unsigned int i;

	if (!region->size || last < region->base)
		return -EINVAL;
	if (bus->nr == VMM_BUS_REGIONS)
		return -ENOSPC;
	for (i = 0; i < bus->nr && bus->regions[i].base <= last; i++) {
		if (bus->regions[i].base + (bus->regions[i].size - 1) >= region->base)
			return -EEXIST;
	}
	memmove(&bus->regions[i + 1], &bus->regions[i], (bus->nr - i) * sizeof(*region));
	bus->regions[i] = *region;
	bus->nr++;
	return 0;
}

int vmm_bus_find(const struct vmm_bus *bus, uint64_t addr, unsigned int size)
{
	unsigned int low = 0, high = bus->nr;

	while (low < high) {
		const unsigned int mid = (low + high) / 2;
		const struct vmm_region *region = &bus->regions[mid];
		const uint64_t offset = addr - region->base;

		if (addr < region->base)
			high = mid;
		else if (offset >= region->size)
			low = mid + 1;
		else
			return size <= region->size - offset ? (int)mid : -1;
	}
	return -1;
}
