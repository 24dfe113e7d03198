/* SPDX-License-Identifier: MIT */
/* Accesses to nothing: ranges that grow by what is near to them. */
#include "vmm/unmapped.h"

#define NEAR 0x1000ull

/* Whether [first, last] is near to a range. Nothing is added to an address: it might wrap. */
static bool is_near(uint64_t first, uint64_t last, uint64_t from, uint64_t to)
{
	return (first <= to || first - to < NEAR) && (from <= last || from - last < NEAR);
}

enum vmm_unmapped_told vmm_unmapped_note(struct vmm_unmapped *unmapped, uint64_t addr,
					 unsigned int size, bool write)
{
	const uint64_t end = addr + (size ? size - 1 : 0);
	const uint64_t last = end < addr ? UINT64_MAX : end;
	enum vmm_unmapped_told told = VMM_UNMAPPED_FOLDED;
	unsigned int i;

	pthread_mutex_lock(&unmapped->lock);
	for (i = 0; i < unmapped->nr; i++) {
		if (unmapped->ranges[i].write == write &&
		    is_near(addr, last, unmapped->ranges[i].first, unmapped->ranges[i].last))
			break;
	}
	if (i < unmapped->nr) {
		if (addr < unmapped->ranges[i].first)
			unmapped->ranges[i].first = addr;
		if (last > unmapped->ranges[i].last)
			unmapped->ranges[i].last = last;
	} else if (i < VMM_UNMAPPED_RANGES) {
		unmapped->ranges[i].first = addr;
		unmapped->ranges[i].last = last;
		unmapped->ranges[i].write = write;
		unmapped->nr++;
		told = unmapped->nr == VMM_UNMAPPED_RANGES ? VMM_UNMAPPED_LAST : VMM_UNMAPPED_NEW;
	}
	pthread_mutex_unlock(&unmapped->lock);
	return told;
}
