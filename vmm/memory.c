/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM. The host's and the guest's address are equal modulo 2 MiB, so that a KVM can map huge
 * pages at stage 2.
 */
#include "vmm/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (2ull << 20)

int vmm_memory_create(struct vmm_memory *mem, uint64_t base, uint64_t size)
{
	const uint64_t mapped = size + HUGE_PAGE;
	void *p;

	memset(mem, 0, sizeof(*mem));
	if (mapped < size || mapped != (size_t)mapped)
		return -ENOMEM;
	p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	mem->mapping = p;
	mem->mapped = mapped;
	mem->host = (uint8_t *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	mem->base = base;
	mem->size = size;
	/* A wish, not a need: a host without huge pages runs the guest as well. */
	madvise(mem->host, size, MADV_HUGEPAGE);
	madvise(mem->host, size, MADV_DONTDUMP);
	return 0;
}

void vmm_memory_destroy(struct vmm_memory *mem)
{
	if (mem->mapping)
		munmap(mem->mapping, mem->mapped);
	memset(mem, 0, sizeof(*mem));
}
