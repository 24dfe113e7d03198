/* SPDX-License-Identifier: MIT */
/* The small machine: see guest.h. */
#include <stdlib.h>
#include <sys/mman.h>

#include "cpu/arch.h"
#include "tests/engine/guest.h"

#define TCR_T0SZ_39BIT 25ull
#define L1             TABLES
#define TABLE          3ull
#define FPEN_ALL       (3ull << 20)

static void no_op(struct cpu *cpu)
{
}

static const struct machine_ops ops = {
	.timers_changed = no_op,
	.pmu_changed = no_op,
	.icache_invalidate = engine_icache_invalidate,
};

static uint64_t *table_at(struct guest *g, uint64_t pa)
{
	return (uint64_t *)guest_host(g, pa);
}

/* The next level's table of @entry, made if need be. */
static uint64_t *next_level(struct guest *g, uint64_t *entry)
{
	if (!*entry) {
		assert_true(g->next_table < VECTORS);
		*entry = g->next_table | TABLE;
		g->next_table += MEM_PAGE_SIZE;
	}
	return table_at(g, *entry & ~0xfffull);
}

void guest_map(struct guest *g, uint64_t va, uint64_t pa, uint64_t attrs)
{
	uint64_t *l2 = next_level(g, &table_at(g, L1)[va >> 30]);
	uint64_t *l3 = next_level(g, &l2[va >> 21 & 511]);

	/* Walks of running vCPUs read it. */
	__atomic_store_n(&l3[va >> 12 & 511], attrs ? pa | attrs : 0, __ATOMIC_RELAXED);
}

static void make_cpu(struct guest *g, unsigned int n)
{
	g->cpu[n] = engine_cpu_alloc(&g->machine);
	assert_non_null(g->cpu[n]);
	assert_int_equal(cpu_init(g->cpu[n], &g->machine, n, 0x80000000 | n), 0);
	assert_int_equal(engine_vcpu_init(g->cpu[n]), 0);
	cpu_reset(g->cpu[n]);
	g->machine.cpus[n] = g->cpu[n];
	g->machine.nr_cpus = n + 1;
}

void guest_start(struct guest *g, unsigned int nr_cpus)
{
	memset(g, 0, sizeof(*g));
	g->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(g->ram != MAP_FAILED);
	g->slot = (struct mem_slot){.gpa = RAM_BASE, .size = RAM_SIZE, .host = g->ram};
	g->next_table = L1 + MEM_PAGE_SIZE;
	assert_int_equal(machine_init(&g->machine, &ops), 0);
	assert_int_equal(engine_vm_init(&g->machine), 0);
	mem_insert(&g->machine.mem, &g->slot);
	g->machine.mem.pa_bits = 40;
	for (uint64_t pa = RAM_BASE; pa < RAM_BASE + RAM_SIZE; pa += MEM_PAGE_SIZE)
		guest_map(g, pa, pa, pa < EL1_BASE ? PAGE_EL0 : PAGE_EL1);
	for (unsigned int v = 0; v < 16; v++)
		*(uint32_t *)guest_host(g, VECTORS + v * 0x80) = HVC(v);
	for (unsigned int n = 0; n < nr_cpus; n++)
		make_cpu(g, n);
}

void guest_stop(struct guest *g)
{
	for (unsigned int n = 0; n < GUEST_CPUS && g->cpu[n]; n++) {
		engine_vcpu_destroy(g->cpu[n]);
		cpu_destroy(g->cpu[n]);
		free(g->cpu[n]);
	}
	engine_vm_destroy(&g->machine);
	machine_destroy(&g->machine);
	munmap(g->ram, RAM_SIZE);
}

void guest_code_n(struct guest *g, uint64_t pa, const uint32_t *words, unsigned int n)
{
	memcpy(guest_host(g, pa), words, n * sizeof(*words));
	engine_icache_invalidate(&g->machine, pa, n * sizeof(*words));
}

void guest_reset(struct guest *g, unsigned int n, uint64_t pc, unsigned int el)
{
	struct cpu *cpu = g->cpu[n];

	memset(cpu->x, 0, sizeof(cpu->x));
	memset(cpu->v, 0, sizeof(cpu->v));
	memset(cpu->sp_el, 0, sizeof(cpu->sp_el));
	cpu->fpcr = cpu->fpsr = cpu->nzcv = 0;
	cpu->excl_size = 0;
	cpu->sys.ttbr0 = L1;
	cpu->sys.mair = 0xff;
	cpu->sys.tcr = TCR_T0SZ_39BIT | 1 << 8 | 1 << 10 | 3 << 12 | TCR_EPD1;
	cpu->sys.cpacr = FPEN_ALL;
	cpu->sys.vbar = VECTORS;
	cpu->sys.sctlr |= SCTLR_M | SCTLR_UCI;
	cpu_set_pstate(cpu, el ? 0x3c5 : 0);
	cpu->pc = pc;
	cpu->icount_limit = UINT64_MAX;
	cpu_update_mode(cpu);
}
