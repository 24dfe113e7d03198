/* SPDX-License-Identifier: MIT */
/*
 * Stage 1 of the EL1&0 translation regime (Arm ARM D5).
 */
#ifndef CPU_MMU_H
#define CPU_MMU_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;

enum mmu_use { MMU_READ, MMU_WRITE, MMU_EXEC };

enum mmu_flags {
	MMU_NO_PAN = 1 << 0,  /* PSTATE.PAN does not count (AT, data cache maintenance) */
	MMU_NO_PERM = 1 << 1, /* permissions do not count (cache maintenance at EL1) */
	/* The walk must not write descriptors; where it would set AF, AF counts as set (AT). */
	MMU_NO_UPDATE = 1 << 2,
	MMU_UNALIGNED = 1 << 3, /* an alignment fault if the memory is Device */
};

struct mmu_result {
	uint64_t pa;        /* of the byte at @va */
	uint8_t fsc;        /* fault status code, when the walk fails */
	uint8_t size_shift; /* log2 of the mapping's size, the contiguous set included */
	uint8_t attr;       /* MAIR byte: memory attributes as after SCTLR.C/I */
	uint8_t sh;         /* shareability field */
	bool ng, device;
	bool read, write, exec; /* allowed at the EL that was asked for */
	bool clean;             /* writable, but the descriptor must be marked dirty first */
};

/**
 * mmu_walk() - Translate an address, with updates of access flag and dirty state.
 * @va:    canonical address (mmu_canonical())
 * @el:	   0 or 1: whose permissions count
 * @use:   what the access does
 * @flags: MMU_*
 * @r:     result; only @fsc when the return is not 0
 *
 * The EL's rights are those of cpu->sys and PSTATE as they are. On the vCPU's thread.
 * Return: 0, or -1 with the fault status code in @r->fsc.
 */
int mmu_walk(struct cpu *cpu, uint64_t va, unsigned int el, enum mmu_use use, unsigned int flags,
	     struct mmu_result *r);

/** mmu_canonical() - @va without its tag, if TCR_EL1.TBI0 or TBI1 ignores the tag in its half. */
uint64_t mmu_canonical(const struct cpu *cpu, uint64_t va);

/** mmu_asid() - The ASID in use. */
uint16_t mmu_asid(const struct cpu *cpu);

#endif
