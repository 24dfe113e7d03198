/* SPDX-License-Identifier: MIT */
/*
 * Memory accesses of guest instructions that the inline TLB probe does not serve: misses, page
 * crossings, device memory, tagged pointers, faults, MMIO, and what is done by helpers (CASP, DC
 * ZVA, AT, cache maintenance).
 *
 * Every function returns CPU_EXIT_NONE when the access is done, or
 *   CPU_FAULT: cpu->fault says which abort to deliver at this instruction, nothing was changed; or
 *   CPU_EXIT_MMIO / CPU_EXIT_NOSYNDROME: the access left memory; cpu->exit.mmio is filled in (PC
 *   not); or
 *   CPU_EXIT_ERROR: the host has no memory there, or not for writing; cpu->exit.imm is EFAULT; or
 *   CPU_EXIT_KICK: an atomic waits for another vCPU's, and this one is wanted elsewhere.
 *
 * Nothing of the guest's registers was changed then, and the instruction starts again afterwards.
 * An access of several parts (a pair, one that crosses a page, DC ZVA) may have stored some of them
 * when it finds the host's memory gone; it stores them again.
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
 * All functions are for the vCPU's own thread. @va is a virtual address as the instruction has it,
 * with its tag. Data is passed as words of 64 bits, in the guest's order of elements: one element
 * of up to 8 bytes, or each of a pair of such, is a word; one of 16 bytes is two, low half first.
 */

/**
 * access_load() - A load (Arm ARM, shared pseudocode Mem[], with the checks before it).
 * @cpu: the vCPU
 * @va:  the first byte's address
 * @d:   what is accessed
 * @out: the elements, 1 to 4 words; integers are extended as @d says
 *
 * Return: see the top of this file.
 */
int access_load(struct cpu *cpu, uint64_t va, const struct mem_desc *d, uint64_t out[4]);

/**
 * access_store() - A store.
 * @cpu: the vCPU
 * @va:  the first byte's address
 * @d:   what is accessed
 * @in:  the elements, 1 to 4 words; bits beyond an element's size do not count
 *
 * Return: see the top of this file.
 */
int access_store(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t in[4]);

/**
 * access_store_excl() - A store exclusive (Arm ARM B2.9; cpu/monitor.h).
 * @cpu:    the vCPU; its local monitor is open afterwards
 * @va:     the first byte's address
 * @d:      what is accessed, 1 to 16 bytes in all
 * @in:     the elements
 * @status: 0: stored; 1: not stored, because the monitor was open, was for another address or size,
 *          or another vCPU wrote in between
 *
 * Return: see the top of this file; *@status is set if it is CPU_EXIT_NONE.
 */
int access_store_excl(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t in[2],
		      uint32_t *status);

/* What an atomic of FEAT_LSE does to memory. */
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

/**
 * access_rmw() - An atomic read-modify-write: LD<op>, ST<op>, SWP.
 * @cpu:   the vCPU
 * @va:    the address, which @d wants aligned
 * @d:     one element of 1 to 8 bytes
 * @op:    what it does
 * @value: its operand
 * @old:   what was in memory, zero-extended
 *
 * Return: see the top of this file.
 */
int access_rmw(struct cpu *cpu, uint64_t va, const struct mem_desc *d, enum mem_rmw op,
	       uint64_t value, uint64_t *old);

/**
 * access_cas() - A compare-and-swap: CAS, CASP.
 * @cpu:    the vCPU
 * @va:     the address, which @d wants aligned
 * @d:      one element of 1 to 8 bytes, or a pair of 4 or 8
 * @expect: what must be in memory for @value to be stored
 * @value:  what is stored then
 * @old:    what was in memory, zero-extended
 *
 * Return: see the top of this file.
 */
int access_cas(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t expect[2],
	       const uint64_t value[2], uint64_t old[2]);

/**
 * access_probe() - Make sure that bytes can be accessed, before an instruction of several accesses.
 * @cpu:   the vCPU
 * @va:    the first byte's address
 * @len:   bytes
 * @d:     what is accessed
 * @write: by stores
 *
 * Return: see the top of this file; no data was read or written.
 */
int access_probe(struct cpu *cpu, uint64_t va, uint64_t len, const struct mem_desc *d, bool write);

/** access_dc_zva() - DC ZVA: zero the block of 64 bytes (BLOCK_ZVA) that holds @va. */
int access_dc_zva(struct cpu *cpu, uint64_t va);

enum cache_op { CACHE_DC_CLEAN, CACHE_DC_INVALIDATE, CACHE_DC_CLEAN_INVALIDATE, CACHE_IC_IVAU };

/**
 * access_cache() - Cache maintenance by address: DC C*VA, DC CI*VA, DC IVAC, IC IVAU.
 * @cpu: the vCPU
 * @va:  the address
 * @op:  which
 *
 * Checks permissions as the Arm ARM has them for these (D4.4.8). Data caches need nothing else; for
 * IC IVAU machine_ops.icache_invalidate is called with the line. An address outside memory is
 * skipped.
 *
 * Return: see the top of this file.
 */
int access_cache(struct cpu *cpu, uint64_t va, enum cache_op op);

/**
 * access_fetch() - Find the page of code at cpu->pc and enter it in the execute TLB.
 * @cpu: the vCPU; a tagged PC becomes canonical
 * @x:   the filled line; its host is the page in host memory
 *
 * Return: CPU_EXIT_NONE; or CPU_FAULT: by priority (Arm ARM D1.12.4) Software Step, PC alignment,
 * instruction abort (outside memslots: a synchronous external abort), breakpoint, illegal state; or
 * CPU_EXIT_ERROR.
 */
int access_fetch(struct cpu *cpu, struct xtlb_entry **x);

/** access_insn() - The word at cpu->pc, without any effect. Return: false if it cannot be read. */
bool access_insn(struct cpu *cpu, uint32_t *insn);

#endif
