/* SPDX-License-Identifier: MIT */
/*
 * A machine for the tests of cpu/: vCPUs at reset, one memslot, a page table builder and the ops
 * that record calls.
 */
#ifndef TESTS_CPU_TEST_H
#define TESTS_CPU_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/access.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/mmu.h"

#define RAM_BASE  0x40000000ull
#define RAM_SIZE  (4ull << 20)
#define ROM_BASE  0x8000000ull
#define ROM_SIZE  0x10000ull
#define NO_MEMORY 0x9000000ull
#define TABLES    (RAM_BASE + (2ull << 20)) /* tables are allocated upwards from here */
#define MAX_CPUS  4

/* Descriptor bits, as the Arm ARM has them (D5.3). */
#define D_VALID   1ull
#define D_TABLE   2ull
#define D_ATTR(n) ((uint64_t)(n) << 2)
#define D_AP(n)   ((uint64_t)(n) << 6) /* AP[2:1] */
#define D_AF      (1ull << 10)
#define D_NG      (1ull << 11)
#define D_DBM     (1ull << 51)
#define D_CONT    (1ull << 52)
#define D_PXN     (1ull << 53)
#define D_UXN     (1ull << 54)
#define T_PXN     (1ull << 59)
#define T_UXN     (1ull << 60)
#define T_AP(n)   ((uint64_t)(n) << 61)

/* MAIR_EL1 of the tests: 0 Normal write-back, 1 Device-nGnRE, 2 Normal non-cacheable */
#define MAIR_TEST 0x4404ffull
enum { ATTR_NORMAL, ATTR_DEVICE, ATTR_NC };

struct rig {
	struct machine m;
	struct machine_ops ops;
	struct mem_slot slots[2];
	struct cpu *cpu[MAX_CPUS];
	uint64_t next_table;
	_Atomic uint64_t dirty[RAM_SIZE / 4096 / 64];
	/* What the ops were called with */
	unsigned int timers_changed, pmu_changed, icache_calls;
	uint64_t icache_pa, icache_len;
};

static void rig_timers_changed(struct cpu *cpu)
{
	((struct rig *)cpu->machine->owner)->timers_changed++;
}

static void rig_pmu_changed(struct cpu *cpu)
{
	((struct rig *)cpu->machine->owner)->pmu_changed++;
}

static void rig_icache(struct machine *m, uint64_t pa, uint64_t len)
{
	struct rig *r = m->owner;

	r->icache_calls++;
	r->icache_pa = pa;
	r->icache_len = len;
}

static inline struct rig *rig_new(unsigned int nr_cpus)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->ops.timers_changed = rig_timers_changed;
	r->ops.pmu_changed = rig_pmu_changed;
	r->ops.icache_invalidate = rig_icache;
	assert_int_equal(machine_init(&r->m, &r->ops), 0);
	r->m.owner = r;
	r->slots[0] = (struct mem_slot){.gpa = ROM_BASE, .size = ROM_SIZE, .readonly = true};
	r->slots[1] = (struct mem_slot){.gpa = RAM_BASE, .size = RAM_SIZE};
	for (int i = 0; i < 2; i++) {
		r->slots[i].host = aligned_alloc(4096, r->slots[i].size);
		assert_non_null(r->slots[i].host);
		memset(r->slots[i].host, 0, r->slots[i].size);
		mem_insert(&r->m.mem, &r->slots[i]);
	}
	for (unsigned int i = 0; i < nr_cpus; i++) {
		size_t size = (sizeof(struct cpu) + 63) & ~63ull;

		r->cpu[i] = aligned_alloc(64, size);
		assert_non_null(r->cpu[i]);
		memset(r->cpu[i], 0, size);
		assert_int_equal(cpu_init(r->cpu[i], &r->m, i, 0x80000000 | i), 0);
		r->cpu[i]->features = CPU_FEATURE_PMU;
		cpu_reset(r->cpu[i]);
		r->m.cpus[i] = r->cpu[i];
	}
	r->m.nr_cpus = nr_cpus;
	r->next_table = TABLES;
	return r;
}

static inline void rig_free(struct rig *r)
{
	for (unsigned int i = 0; i < r->m.nr_cpus; i++) {
		cpu_destroy(r->cpu[i]);
		free(r->cpu[i]);
	}
	free(r->slots[0].host);
	free(r->slots[1].host);
	machine_destroy(&r->m);
	free(r);
}

static inline void *ram(struct rig *r, uint64_t pa)
{
	assert_true(pa >= RAM_BASE && pa < RAM_BASE + RAM_SIZE);
	return r->slots[1].host + (pa - RAM_BASE);
}

static inline uint64_t new_table(struct rig *r, unsigned int grain)
{
	uint64_t size = 1ull << grain, pa = (r->next_table + size - 1) & ~(size - 1);

	r->next_table = pa + size;
	memset(ram(r, pa), 0, size);
	return pa;
}

struct tables {
	struct rig *r;
	unsigned int grain; /* log2 of the granule */
	unsigned int va_bits;
	uint64_t root;
	uint64_t table_bits; /* or-ed into table descriptors that are made */
	bool be;
};

static inline unsigned int start_level(unsigned int grain, unsigned int va_bits)
{
	unsigned int level = 3, resolved = grain;

	/* Each level resolves grain - 3 bits, from the page upwards, until all are. */
	for (; resolved + (grain - 3) < va_bits; resolved += grain - 3)
		level--;
	return level;
}

static inline struct tables tables_new(struct rig *r, unsigned int grain, unsigned int va_bits)
{
	return (struct tables){r, grain, va_bits, new_table(r, grain), 0, false};
}

/* Where the descriptor of @va at @level is; tables on the way are made. */
static inline uint64_t *descriptor(struct tables *t, uint64_t va, unsigned int level)
{
	unsigned int l = start_level(t->grain, t->va_bits), stride = t->grain - 3;
	uint64_t pa = t->root;

	for (;; l++) {
		unsigned int shift = t->grain + (3 - l) * stride;
		unsigned int bits = shift + stride > t->va_bits ? t->va_bits - shift : stride;
		uint64_t *d = (uint64_t *)ram(t->r, pa) + ((va >> shift) & ((1ull << bits) - 1));

		if (l == level)
			return d;
		if (!*d) {
			uint64_t desc =
				new_table(t->r, t->grain) | D_TABLE | D_VALID | t->table_bits;

			*d = t->be ? __builtin_bswap64(desc) : desc;
		}
		pa = (t->be ? __builtin_bswap64(*d) : *d) & 0xfffffffff000ull;
		pa &= ~((1ull << t->grain) - 1);
	}
}

static inline void map(struct tables *t, uint64_t va, uint64_t pa, unsigned int level,
		       uint64_t attributes)
{
	uint64_t desc = pa | attributes | D_VALID | (level == 3 ? D_TABLE : 0);

	*descriptor(t, va, level) = t->be ? __builtin_bswap64(desc) : desc;
}

/* TCR_EL1 with the same granule and size for both halves, 48-bit output. */
static inline uint64_t tcr_for(unsigned int grain, unsigned int va_bits)
{
	uint64_t tg0 = grain == 12 ? 0 : grain == 16 ? 1 : 2;
	uint64_t tg1 = grain == 12 ? 2 : grain == 16 ? 3 : 1;
	uint64_t tsz = 64 - va_bits;

	return tsz | tsz << 16 | tg0 << 14 | tg1 << 30 | 5ull << 32 | 1ull << 36;
}

/* Write a register as MSR at EL1 does. */
static inline void msr(struct cpu *cpu, uint16_t enc, uint64_t value)
{
	const struct sysreg *reg = sysreg_find(enc);

	assert_non_null(reg);
	assert_int_equal(sysreg_write(cpu, reg, value), CPU_EXIT_NONE);
}

static inline uint64_t mrs(struct cpu *cpu, uint16_t enc)
{
	const struct sysreg *reg = sysreg_find(enc);
	uint64_t value = 0;

	assert_non_null(reg);
	assert_int_equal(sysreg_read(cpu, reg, &value), CPU_EXIT_NONE);
	return value;
}

#define R_SCTLR SYSREG(3, 0, 1, 0, 0)
#define R_CPACR SYSREG(3, 0, 1, 0, 2)
#define R_TTBR0 SYSREG(3, 0, 2, 0, 0)
#define R_TTBR1 SYSREG(3, 0, 2, 0, 1)
#define R_TCR   SYSREG(3, 0, 2, 0, 2)
#define R_MAIR  SYSREG(3, 0, 10, 2, 0)
#define R_PAR   SYSREG(3, 0, 7, 4, 0)
#define R_VBAR  SYSREG(3, 0, 12, 0, 0)
#define R_MDSCR SYSREG(2, 0, 0, 2, 2)

/* Turn the MMU on with @t in both halves. */
static inline void mmu_on(struct cpu *cpu, const struct tables *t, uint64_t tcr_more,
			  uint64_t sctlr_more)
{
	msr(cpu, R_MAIR, MAIR_TEST);
	msr(cpu, R_TCR, tcr_for(t->grain, t->va_bits) | tcr_more);
	msr(cpu, R_TTBR0, t->root);
	msr(cpu, R_TTBR1, t->root);
	msr(cpu, R_SCTLR, SCTLR_M | SCTLR_C | SCTLR_I | sctlr_more);
}

static inline void set_el(struct cpu *cpu, unsigned int el)
{
	cpu_set_pstate(cpu, el ? 0x3c5 : 0x3c0);
}

static inline int load64(struct cpu *cpu, uint64_t va, uint64_t *value)
{
	struct mem_desc d = {.size_log2 = 3, .isv = 1, .reg64 = 1};
	uint64_t out[4] = {0};
	int err = access_load(cpu, va, &d, out);

	*value = out[0];
	return err;
}

static inline int store64(struct cpu *cpu, uint64_t va, uint64_t value)
{
	struct mem_desc d = {.size_log2 = 3, .isv = 1, .reg64 = 1};
	uint64_t in[4] = {value};

	return access_store(cpu, va, &d, in);
}

#define ESR_EC(esr) ((esr) >> 26)

#endif
