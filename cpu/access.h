/* SPDX-License-Identifier: MIT */
/*
 * Memory accesses of guest instructions that the inline TLB probe does not serve: misses, page
 * crossings, device memory, tagged pointers, faults, MMIO, and what is done by helpers (CASP, DC
 * ZVA, AT, cache maintenance).
 *
 * Every function returns CPU_EXIT_NONE when the access is done, or
 *   CPU_FAULT: cpu->fault says which abort to deliver at this instruction, nothing was changed; or
 *   CPU_EXIT_MMIO / CPU_EXIT_NOSYNDROME: the access left memory; cpu->exit.mmio is filled in (PC
 * not).
 */
#ifndef CPU_ACCESS_H
#define CPU_ACCESS_H

#include <stdint.h>

#include "cpu/cpu.h"

#define CPU_FAULT 0x100

enum mem_order { MEM_PLAIN, MEM_ACQUIRE, MEM_ACQUIRE_PC, MEM_RELEASE, MEM_ACQ_REL };

/*
 * What a memory operation of an instruction is, besides its address and data. In IR and slow paths
 * alike.
 */
struct mem_desc {
	uint8_t size_log2; /* of ONE element, bytes: 0..4 */
	uint8_t pair;      /* 1: two elements, consecutive */
	uint8_t sign;      /* sign-extend the element to reg64 ? 64 : 32 bits (integers) */
	uint8_t reg64;
	uint8_t order;  /* enum mem_order */
	uint8_t unpriv; /* LDTR/STTR: as EL0 (the front end leaves it 0 when UAO or at EL0) */
	uint8_t excl;   /* opens / passes the exclusive monitor */
	/* Exclusive, ordered, atomic: an alignment fault unless aligned to the whole access. */
	uint8_t align;
	/* Read-modify-write: an abort counts as a write (WnR = 1) unless a read would fault. */
	uint8_t atomic;
	uint8_t vec; /* data is a SIMD&FP register */
	/* The instruction's Data Abort has a valid syndrome (ISV): only then MMIO is emulated. */
	uint8_t isv;
	uint8_t rt;        /* SRT, when isv */
	uint8_t scale;     /* index << scale is added to the base */
	uint8_t index_ext; /* 0: index is 64-bit; 1: UXTW; 2: SXTW */
	uint8_t be;        /* data is big-endian: bytes of each element are reversed */
	uint8_t pad;
	int32_t offset; /* added to the base, bytes */
};

/*
 * Load at virtual address @va (not yet TBI-stripped). out[0], out[1]: first and second element; a
 * 16-byte element or pair of 8 fills both; pair of 16 fills 4 words. Integers are extended as the
 * descriptor says.
 */
int access_load(struct cpu *cpu, uint64_t va, const struct mem_desc *d, uint64_t out[4]);
int access_store(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t in[4]);

/*
 * Store exclusive: *status = 0 stored, 1 not. Compare-and-swap on the value that the load exclusive
 * read.
 */
int access_store_excl(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t in[2],
		      uint32_t *status);

/* Read-modify-write; *old is zero-extended. CAS: swap if memory equals *old. */
enum mem_rmw {
	RMW_ADD,
	RMW_CLR,
	RMW_EOR,
	RMW_SET,
	RMW_SMAX,
	RMW_SMIN,
	RMW_UMAX,
	RMW_UMIN,
	RMW_SWP
};
int access_rmw(struct cpu *cpu, uint64_t va, const struct mem_desc *d, enum mem_rmw op,
	       uint64_t value, uint64_t *old);
int access_cas(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t expect[2],
	       const uint64_t value[2], uint64_t old[2]);

/*
 * Make sure that [va, va+len) can be accessed (as a write if @write): for instructions with several
 * accesses.
 */
int access_probe(struct cpu *cpu, uint64_t va, uint64_t len, const struct mem_desc *d, bool write);

/* DC ZVA at @va (64-byte block). */
int access_dc_zva(struct cpu *cpu, uint64_t va);

/*
 * DC C*VA, DC IVAC, IC IVAU: permission checks and faults; IC IVAU calls
 * machine->ops->icache_invalidate.
 */
enum cache_op { CACHE_DC_CLEAN, CACHE_DC_INVALIDATE, CACHE_DC_CLEAN_INVALIDATE, CACHE_IC_IVAU };
int access_cache(struct cpu *cpu, uint64_t va, enum cache_op op);

/**
 * access_fetch() - Find the page of code at cpu->pc and enter it in the execute TLB.
 *
 * Checks PC alignment, canonicalises a tagged PC (changes cpu->pc), walks, checks execute
 * permission. Return: CPU_EXIT_NONE with *x the filled line (x->host is the page in host memory),
 * or CPU_FAULT (PC alignment, instruction abort; also for a fetch from outside memslots:
 * synchronous external abort).
 */
int access_fetch(struct cpu *cpu, struct xtlb_entry **x);

/* The instruction word at cpu->pc, without any effect. Return: false when it cannot be read. */
bool access_insn(struct cpu *cpu, uint32_t *insn);

#endif
