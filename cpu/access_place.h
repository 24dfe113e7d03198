/* SPDX-License-Identifier: MIT */
/*
 * Private to access.c, access_atomic.c and sysinsn.c: from a virtual address to a place in host
 * memory.
 */
#ifndef CPU_ACCESS_PLACE_H
#define CPU_ACCESS_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/access.h"

struct place_req {
	bool write, unpriv;
	bool atomic;        /* WnR is found out when it faults */
	unsigned int flags; /* MMU_* */
	uint32_t iss;       /* WnR and CM of a fault */
};

struct place {
	uint8_t *host; /* NULL: not memory (or read-only memory and a write) */
	uint64_t pa;
};

/* Translate, refill the TLB. CPU_EXIT_NONE with @p, or CPU_FAULT. */
int access_place(struct cpu *cpu, uint64_t va, const struct place_req *q, struct place *p);

/* Guest memory is not there, or not writable, on the host: the exit that says so. */
int access_gone(struct cpu *cpu);

int access_data_fault(struct cpu *cpu, uint64_t va, unsigned int fsc, uint32_t iss);
/* CPU_FAULT if a watchpoint matches an access that is otherwise fine. */
int access_watch(struct cpu *cpu, uint64_t va, uint64_t len, const struct mem_desc *d, bool write);
int access_no_syndrome(struct cpu *cpu, uint64_t va, uint64_t pa, bool write);
int access_check_align(struct cpu *cpu, uint64_t va, const struct mem_desc *d, bool write);

/* The low 2^@size_log2 bytes of @v in the other byte order, the others zero. */
static inline uint64_t swap(uint64_t v, unsigned int size_log2)
{
	return __builtin_bswap64(v) >> (64 - (8u << size_log2));
}

#endif
