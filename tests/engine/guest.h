/* SPDX-License-Identifier: MIT */
/*
 * A small machine for tests that run guest code: one memslot, page tables that tests change,
 * vectors, and an assembler's worth of instruction words.
 *
 * All of RAM is mapped at its own address by pages: the lower half for EL0 and EL1 (not executable
 * at EL1), the upper half for EL1. The page tables come from the top of RAM. Every vector is an HVC
 * whose number is the vector's (0..15).
 */
#ifndef TESTS_ENGINE_GUEST_H
#define TESTS_ENGINE_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/front/a64/a64.h"
#include "engine/private.h"

#define RAM_BASE   0x40000000ull
#define RAM_SIZE   (2ull << 20)
#define EL1_BASE   (RAM_BASE + RAM_SIZE / 2)
#define VECTORS    (RAM_BASE + RAM_SIZE - 0x1000)
#define TABLES     (RAM_BASE + RAM_SIZE - 0x40000) /* upwards to the vectors */
#define NOTHING    0x50000000ull                   /* never mapped */
#define GUEST_CPUS 4

/* Attributes of a page. */
#define PTE_VALID 3ull
#define PTE_EL0   (1ull << 6)
#define PTE_RO    (1ull << 7)
#define PTE_SH    (3ull << 8)
#define PTE_AF    (1ull << 10)
#define PAGE_EL0  (PTE_VALID | PTE_EL0 | PTE_SH | PTE_AF)
#define PAGE_EL1  (PTE_VALID | PTE_SH | PTE_AF)

struct guest {
	struct machine machine;
	struct cpu *cpu[GUEST_CPUS];
	struct mem_slot slot;
	uint8_t *ram;
	uint64_t next_table;
};

void guest_start(struct guest *g, unsigned int nr_cpus);
void guest_stop(struct guest *g);

/* Map the page at @va to @pa (@attrs 0: nothing). No TLB maintenance. */
void guest_map(struct guest *g, uint64_t va, uint64_t pa, uint64_t attrs);

static inline uint8_t *guest_host(struct guest *g, uint64_t pa)
{
	return g->ram + (pa - RAM_BASE);
}

/* Write words to @pa, and have the engine look at them. */
void guest_code_n(struct guest *g, uint64_t pa, const uint32_t *words, unsigned int n);
#define guest_code(g, pa, ...)                               \
	guest_code_n(g, pa, (const uint32_t[]){__VA_ARGS__}, \
		     sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/*
 * Reset vCPU @n with the MMU on, FP enabled, at @pc in EL @el; what it knows of translations and
 * mappings is kept.
 */
void guest_reset(struct guest *g, unsigned int n, uint64_t pc, unsigned int el);

static inline enum cpu_exit_reason guest_run(struct guest *g, unsigned int n)
{
	return engine_run(g->cpu[n]);
}

#define VECTOR_LOWER_SYNC 8
#define EC_OF(cpu)        ((unsigned int)((cpu)->sys.esr >> 26))

/* --- instructions --- */

#define REG3(base, d, n, m) ((base) | (uint32_t)(d) | (uint32_t)(n) << 5 | (uint32_t)(m) << 16)

#define NOP      0xd503201fu
#define ISB      0xd5033fdfu
#define DSB_ISH  0xd5033b9fu
#define BRK(imm) (0xd4200000u | (uint32_t)(imm) << 5)
#define HVC(imm) (0xd4000002u | (uint32_t)(imm) << 5)
#define SVC(imm) (0xd4000001u | (uint32_t)(imm) << 5)
#define UDF      0u
#define RET      0xd65f03c0u
#define BR(n)    (0xd61f0000u | (uint32_t)(n) << 5)
#define BLR(n)   (0xd63f0000u | (uint32_t)(n) << 5)
#define ADR(d)   (0x10000000u | (uint32_t)(d)) /* its own address */
#define B(bytes) (0x14000000u | ((uint32_t)((bytes) / 4) & 0x3ffffffu))
#define BCOND(cond, bytes) \
	(0x54000000u | ((uint32_t)((bytes) / 4) & 0x7ffffu) << 5 | (uint32_t)(cond))
#define CBZ(t, bytes)    (0xb4000000u | ((uint32_t)((bytes) / 4) & 0x7ffffu) << 5 | (uint32_t)(t))
#define CBNZ(t, bytes)   (0xb5000000u | ((uint32_t)((bytes) / 4) & 0x7ffffu) << 5 | (uint32_t)(t))
#define MOVZ(d, imm, hw) (0xd2800000u | (uint32_t)(hw) << 21 | (uint32_t)(imm) << 5 | (uint32_t)(d))
#define MOVK(d, imm, hw) (0xf2800000u | (uint32_t)(hw) << 21 | (uint32_t)(imm) << 5 | (uint32_t)(d))
#define MOVK_W(d, imm, hw) \
	(0x72800000u | (uint32_t)(hw) << 21 | (uint32_t)(imm) << 5 | (uint32_t)(d))

#define ADDI(d, n, imm)  (0x91000000u | (uint32_t)(imm) << 10 | (uint32_t)(n) << 5 | (uint32_t)(d))
#define SUBSI(d, n, imm) (0xf1000000u | (uint32_t)(imm) << 10 | (uint32_t)(n) << 5 | (uint32_t)(d))

#define CMPI(n, imm)       SUBSI(31, n, imm)
#define CMP(n, m)          REG3(0xeb00001fu, 0, n, m)
#define ORR_W(d, n, m)     REG3(0x2a000000u, d, n, m)
#define ADD(d, n, m)       REG3(0x8b000000u, d, n, m)
#define ADD_W(d, n, m)     REG3(0x0b000000u, d, n, m)
#define ADDS(d, n, m)      REG3(0xab000000u, d, n, m)
#define EOR(d, n, m)       REG3(0xca000000u, d, n, m)
#define MOV(d, m)          REG3(0xaa0003e0u, d, 0, m)
#define CSEL_W(d, n, m, c) (REG3(0x1a800000u, d, n, m) | (uint32_t)(c) << 12)
#define FADD_D(d, n, m)    REG3(0x1e602800u, d, n, m)
#define LDR(t, n)          (0xf9400000u | (uint32_t)(n) << 5 | (uint32_t)(t))
#define STR(t, n)          (0xf9000000u | (uint32_t)(n) << 5 | (uint32_t)(t))
#define LDAR(t, n)         (0xc8dffc00u | (uint32_t)(n) << 5 | (uint32_t)(t))
#define STLR(t, n)         (0xc89ffc00u | (uint32_t)(n) << 5 | (uint32_t)(t))
#define STR_W(t, n)        (0xb9000000u | (uint32_t)(n) << 5 | (uint32_t)(t))
#define LDR_W(t, n)        (0xb9400000u | (uint32_t)(n) << 5 | (uint32_t)(t))
#define LDADD(s, t, n, sz)                                                               \
	(0x38200000u | (uint32_t)(sz) << 30 | (uint32_t)(s) << 16 | (uint32_t)(n) << 5 | \
	 (uint32_t)(t))
#define SWP(s, t, n, sz)   (LDADD(s, t, n, sz) | 1u << 15)
#define LDSET(s, t, n, sz) (LDADD(s, t, n, sz) | 3u << 12)
#define CAS_(s, t, n, sz)                                                                \
	(0x08a07c00u | (uint32_t)(sz) << 30 | (uint32_t)(s) << 16 | (uint32_t)(n) << 5 | \
	 (uint32_t)(t))
#define IC_IVAU(t)     (0xd50b7520u | (uint32_t)(t))
#define IC_IALLU       0xd508751fu
#define DC_CVAU(t)     (0xd50b7b20u | (uint32_t)(t))
#define TLBI_VMALLE1   0xd508871fu
#define TLBI_VMALLE1IS 0xd508831fu

enum { EQ, NE, CS, CC, MI, PL, VS, VC, HI, LS, GE, LT, GT, LE, AL };

#endif
