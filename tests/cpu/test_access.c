/* SPDX-License-Identifier: MIT */
/*
 * The slow paths of memory accesses: sizes and orders of bytes, crossings, faults and their
 * syndromes, MMIO, the dirty log, atomics, exclusives, cache maintenance, address translation,
 * fetches.
 */
#include <pthread.h>

#include "cpu_test.h"

#define PAGE 0x1000ull

/*
 * Pages 0x10..0x13 of RAM at VA 0x10000: read-write for EL0 and EL1; 0x14 Device; 0x15 read-only;
 * 0x16 no memory; 0x18 invalid.
 */
static struct rig *mapped(struct tables *out)
{
	struct rig *rig = rig_new(1);
	struct tables t = tables_new(rig, 12, 48);

	for (uint64_t p = 0x10; p < 0x14; p++)
		map(&t, p << 12, RAM_BASE + (p << 12), 3, D_AF | D_AP(1));
	map(&t, 0x14000, RAM_BASE + 0x14000, 3, D_AF | D_AP(1) | D_ATTR(ATTR_DEVICE));
	map(&t, 0x15000, RAM_BASE + 0x15000, 3, D_AF | D_AP(3));
	map(&t, 0x16000, NO_MEMORY, 3, D_AF | D_AP(1));
	map(&t, 0x17000, ROM_BASE, 3, D_AF | D_AP(1));
	map(&t, 0x19000, 1ull << 41, 3, D_AF | D_AP(1));
	mmu_on(rig->cpu[0], &t, TCR_TBI0, SCTLR_UCI | SCTLR_DZE);
	if (out)
		*out = t;
	return rig;
}

static uint64_t pattern(const uint8_t *bytes, unsigned int n, bool be)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < n; i++)
		v |= (uint64_t)bytes[be ? n - 1 - i : i] << (8 * i);
	return v;
}

/* Loads and stores of each size, pair, byte order and place, page crossings among them. */
static void test_sizes(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	uint8_t *host = ram(rig, RAM_BASE + 0x10000);

	for (unsigned int i = 0; i < 2 * PAGE; i++)
		host[i] = (uint8_t)(i * 7 + (i >> 8));
	for (unsigned int c = 0; c < 5 * 2 * 2; c++) {
		struct mem_desc d = {.size_log2 = c % 5, .pair = c / 5 % 2, .be = c / 10};
		unsigned int size = 1u << d.size_log2, nr = 1 + d.pair, words = size == 16 ? 2 : 1;

		for (unsigned int at = PAGE - 40; at < PAGE + 8; at++) {
			uint8_t before[4 * PAGE];
			uint64_t v[4] = {0}, out[4];

			assert_int_equal(access_load(cpu, 0x10000 + at, &d, out), 0);
			for (unsigned int e = 0; e < nr; e++) {
				const uint8_t *p = host + at + e * size;

				if (size < 16) {
					assert_int_equal(out[e], pattern(p, size, d.be));
					continue;
				}
				assert_int_equal(out[2 * e], pattern(p + 8 * d.be, 8, d.be));
				assert_int_equal(out[2 * e + 1], pattern(p + 8 * !d.be, 8, d.be));
			}
			for (unsigned int w = 0; w < nr * words; w++)
				v[w] = out[w] ^ 0x0123456789abcdef;
			memcpy(before, host, sizeof(before));
			assert_int_equal(access_store(cpu, 0x10000 + at, &d, v), 0);
			assert_int_equal(access_load(cpu, 0x10000 + at, &d, out), 0);
			for (unsigned int w = 0; w < nr * words; w++) {
				uint64_t mask = size < 8 ? (1ull << 8 * size) - 1 : ~0ull;

				assert_int_equal(out[w], v[w] & mask);
			}
			assert_memory_equal(host, before, at);
			assert_memory_equal(host + at + nr * size, before + at + nr * size, 64);
		}
	}
	rig_free(rig);
}

static void test_sign_extension(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	uint64_t out[4];

	memset(ram(rig, RAM_BASE + 0x10000), 0x80, 16);
	for (unsigned int size = 0; size < 3; size++) {
		struct mem_desc d = {.size_log2 = size, .sign = 1, .reg64 = 1};
		uint64_t raw = 0x8080808080808080 >> (64 - (8u << size));
		uint64_t high = ~0ull << (8u << size);

		assert_int_equal(access_load(cpu, 0x10000, &d, out), 0);
		assert_int_equal(out[0], raw | high);
		d.reg64 = 0;
		assert_int_equal(access_load(cpu, 0x10000, &d, out), 0);
		assert_int_equal(out[0], (uint32_t)(raw | high));
		d.sign = 0;
		assert_int_equal(access_load(cpu, 0x10000, &d, out), 0);
		assert_int_equal(out[0], raw);
	}
	rig_free(rig);
}

static void test_faults(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	struct mem_desc d = {.size_log2 = 3, .pair = 1};
	uint64_t v[4] = {1, 2}, out[4], *host = ram(rig, RAM_BASE + 0x13ff8);

	for (unsigned int el = 0; el < 2; el++) {
		unsigned int ec = el ? EC_DABT : EC_DABT_LOW;

		set_el(cpu, el);
		assert_int_equal(load64(cpu, 0x18008, out), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(ec, 0x07));
		assert_int_equal(cpu->fault.far, 0x18008);
		assert_true(cpu->fault.far_valid);
		assert_int_equal(store64(cpu, 0x18008, 0), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(ec, 0x47));
		assert_int_equal(store64(cpu, 0x15008, 0), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(ec, 0x4f));
		/* The tag is in FAR as the program gave it. */
		assert_int_equal(load64(cpu, 0xab00000000018008, out), CPU_FAULT);
		assert_int_equal(cpu->fault.far, 0xab00000000018008);
	}
	/*
	 * The second page of a crossing faults: its address, and nothing was stored on the first.
	 */
	assert_int_equal(access_store(cpu, 0x15ff8 - 2 * PAGE, &d, v), 0);
	*host = 0x77;
	map(&(struct tables){rig, 12, 48, cpu->sys.ttbr0, 0, false}, 0x14000, 0, 3, 0);
	assert_int_equal(access_store(cpu, 0x13ff8, &d, v), CPU_FAULT);
	assert_int_equal(cpu->fault.far, 0x14000);
	assert_int_equal(*host, 0x77);
	rig_free(rig);
}

static void test_tagged(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	uint64_t v;

	assert_int_equal(store64(cpu, 0xff00000000010010, 42), 0);
	assert_int_equal(load64(cpu, 0x10010, &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(cpu->bank->e[tlb_index(0x10000)].read_tag, 0x10000);
	rig_free(rig);
}

static void test_alignment(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	struct mem_desc d = {.size_log2 = 2, .pair = 1};
	uint64_t v[4] = {0};

	/* Normal memory: anything goes; Device: each element must be aligned. */
	assert_int_equal(access_load(cpu, 0x10001, &d, v), 0);
	assert_int_equal(access_load(cpu, 0x14004, &d, v), 0);
	assert_int_equal(access_load(cpu, 0x14002, &d, v), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x21));
	assert_int_equal(cpu->fault.far, 0x14002);
	assert_int_equal(access_store(cpu, 0x14002, &d, v), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x61));
	/* Device memory never enters the TLB. */
	assert_int_equal(cpu->bank->e[tlb_index(0x14000)].read_tag, TLB_NO_MATCH);
	/* Exclusive, ordered, atomic: the whole access, before the translation. */
	d.align = 1;
	assert_int_equal(access_load(cpu, 0x10004, &d, v), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x21));
	assert_int_equal(access_load(cpu, 0x18004, &d, v), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x21));
	assert_int_equal(access_load(cpu, 0x10008, &d, v), 0);
	/* SCTLR.A: each element. */
	d.align = 0;
	msr(cpu, R_SCTLR, cpu->sys.sctlr | SCTLR_A);
	assert_int_equal(access_load(cpu, 0x10004, &d, v), 0);
	assert_int_equal(access_load(cpu, 0x10002, &d, v), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x21));
	/* MMU off: all is Device. */
	msr(cpu, R_SCTLR, 0);
	assert_int_equal(access_load(cpu, RAM_BASE + 4, &d, v), 0);
	assert_int_equal(access_load(cpu, RAM_BASE + 2, &d, v), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x21));
	rig_free(rig);
}

static void test_mmio(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	struct mem_desc d = {.size_log2 = 1, .isv = 1, .rt = 9, .sign = 1, .reg64 = 1};
	uint64_t v[4] = {0x12345678}, out[4];

	assert_int_equal(access_load(cpu, 0x16012, &d, out), CPU_EXIT_MMIO);
	assert_int_equal(cpu->exit.mmio.pa, NO_MEMORY + 0x12);
	assert_int_equal(cpu->exit.mmio.va, 0x16012);
	assert_int_equal(cpu->exit.mmio.size, 2);
	assert_int_equal(cpu->exit.mmio.reg, 9);
	assert_true(cpu->exit.mmio.sign_extend && cpu->exit.mmio.reg64 && !cpu->exit.mmio.write);
	d.sign = 0;
	assert_int_equal(access_store(cpu, 0x16012, &d, v), CPU_EXIT_MMIO);
	assert_true(cpu->exit.mmio.write);
	assert_int_equal(cpu->exit.mmio.data, 0x5678);
	d.be = 1;
	assert_int_equal(access_store(cpu, 0x16012, &d, v), CPU_EXIT_MMIO);
	assert_int_equal(cpu->exit.mmio.data, 0x7856);
	assert_true(cpu->exit.mmio.be);
	/* Read-only memory: reads are reads, writes are MMIO. */
	d.be = 0;
	assert_int_equal(access_load(cpu, 0x17000, &d, out), 0);
	assert_int_equal(access_store(cpu, 0x17000, &d, v), CPU_EXIT_MMIO);
	assert_int_equal(cpu->exit.mmio.pa, ROM_BASE);
	assert_int_equal(cpu->bank->e[tlb_index(0x17000)].write_tag, TLB_NO_MATCH);
	/* Without a syndrome, and where an access crosses out of memory. */
	d.isv = 0;
	assert_int_equal(access_load(cpu, 0x16012, &d, out), CPU_EXIT_NOSYNDROME);
	assert_int_equal(cpu->exit.mmio.pa, NO_MEMORY + 0x12);
	d.isv = 1;
	assert_int_equal(access_load(cpu, 0x15fff, &d, out), CPU_EXIT_NOSYNDROME);
	assert_int_equal(cpu->exit.mmio.pa, NO_MEMORY);
	/* Beyond the VM's address space: an external abort for the guest. */
	assert_int_equal(access_load(cpu, 0x19000, &d, out), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x10));
	rig_free(rig);
}

static void test_dirty_log(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	uint64_t v;

	rig->slots[1].dirty = rig->dirty;
	assert_int_equal(load64(cpu, 0x10000, &v), 0);
	assert_int_equal(rig->dirty[0] & 0xff0000, 0);
	assert_int_equal(cpu->bank->e[tlb_index(0x10000)].write_tag, TLB_NO_MATCH);
	assert_int_equal(store64(cpu, 0x11008, 1), 0);
	assert_int_equal(rig->dirty[0] & 0xff0000, 0x20000);
	assert_int_equal(cpu->bank->e[tlb_index(0x11000)].write_tag, 0x11000);
	assert_int_equal(access_dc_zva(cpu, 0x12008), 0);
	assert_int_equal(rig->dirty[0] & 0xff0000, 0x60000);
	/* Descriptor updates are writes, too. */
	rig_free(rig);
}

static void test_walk_updates_are_logged(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48);
	uint64_t page = ((uint8_t *)descriptor(&t, 0x1000, 3) - rig->slots[1].host) / PAGE, v;

	map(&t, 0x1000, RAM_BASE, 3, 0);
	mmu_on(cpu, &t, TCR_HA, 0);
	rig->slots[1].dirty = rig->dirty;
	assert_int_equal(load64(cpu, 0x1000, &v), 0);
	assert_true(rig->dirty[page / 64] >> (page % 64) & 1);
	rig_free(rig);
}

static uint64_t model(enum mem_rmw op, uint64_t old, uint64_t v, unsigned int bits)
{
	uint64_t mask = bits < 64 ? (1ull << bits) - 1 : ~0ull;
	int64_t so = (int64_t)(old << (64 - bits)), sv = (int64_t)(v << (64 - bits));

	old &= mask;
	v &= mask;
	switch (op) {
	case RMW_ADD:
		return (old + v) & mask;
	case RMW_CLR:
		return old & ~v;
	case RMW_EOR:
		return old ^ v;
	case RMW_SET:
		return old | v;
	case RMW_SMAX:
		return so > sv ? old : v;
	case RMW_SMIN:
		return so < sv ? old : v;
	case RMW_UMAX:
		return old > v ? old : v;
	case RMW_UMIN:
		return old < v ? old : v;
	case RMW_SWP:
		return v;
	}
	return 0;
}

static void test_rmw(void **state)
{
	static const uint64_t values[] = {
		0,    1, 0x7f, 0x80, 0xff00ff00ff00ff00, 0x8000000000000000, 0x123456789abcdef0,
		~0ull};
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	unsigned int nr = sizeof(values) / sizeof(values[0]);

	for (unsigned int c = 0; c < 9 * 4 * 2 * nr * nr; c++) {
		unsigned int n = c;
		enum mem_rmw op = n % 9;
		struct mem_desc d = {.size_log2 = (n /= 9) % 4, .align = 1, .atomic = 1};
		uint64_t mem[4] = {0}, old, after[4], v;
		unsigned int bits = 8u << d.size_log2;
		uint64_t mask = bits < 64 ? (1ull << bits) - 1 : ~0ull;
		struct mem_desc plain = {.size_log2 = d.size_log2};

		n /= 4;
		d.be = plain.be = n % 2, n /= 2;
		mem[0] = values[n % nr] & mask;
		v = values[n / nr];
		assert_int_equal(access_store(cpu, 0x10040, &plain, mem), 0);
		assert_int_equal(access_rmw(cpu, 0x10040, &d, op, v, &old), 0);
		assert_int_equal(old, mem[0]);
		assert_int_equal(access_load(cpu, 0x10040, &plain, after), 0);
		assert_int_equal(after[0], model(op, mem[0], v, bits));
	}
	rig_free(rig);
}

static void test_cas(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];

	for (unsigned int c = 0; c < 6 * 2 * 2; c++) {
		/* Sizes 1, 2, 4, 8; pairs of 4 and of 8. */
		struct mem_desc d = {.size_log2 = c % 6 < 4 ? c % 6 : c % 6 - 2,
				     .pair = c % 6 >= 4,
				     .be = c / 6 % 2,
				     .align = 1,
				     .atomic = 1};
		struct mem_desc plain = {.size_log2 = d.size_log2, .pair = d.pair, .be = d.be};
		uint64_t mask = d.size_log2 < 3 ? (1ull << (8u << d.size_log2)) - 1 : ~0ull;
		uint64_t mem[4] = {0x1122334455667788 & mask, 0x99aabbccddeeff00 & mask};
		uint64_t want[2] = {mem[0], mem[1]}, v[2] = {~mem[0], ~mem[1]}, old[2], after[4];
		bool match = c / 12;

		if (!match)
			want[d.pair] ^= 1;
		assert_int_equal(access_store(cpu, 0x10040, &plain, mem), 0);
		assert_int_equal(access_cas(cpu, 0x10040, &d, want, v, old), 0);
		assert_int_equal(access_load(cpu, 0x10040, &plain, after), 0);
		for (unsigned int e = 0; e <= d.pair; e++) {
			assert_int_equal(old[e], mem[e]);
			assert_int_equal(after[e], match ? v[e] & mask : mem[e]);
		}
	}
	rig_free(rig);
}

/* WnR of an atomic's fault: 0 where a read would fault as well. */
static void test_atomic_faults(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	struct mem_desc d = {.size_log2 = 3, .align = 1, .atomic = 1};
	uint64_t old;

	assert_int_equal(access_rmw(cpu, 0x18000, &d, RMW_ADD, 1, &old), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x07));
	assert_int_equal(access_rmw(cpu, 0x15000, &d, RMW_ADD, 1, &old), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x4f));
	assert_int_equal(access_rmw(cpu, 0x10004, &d, RMW_ADD, 1, &old), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x21));
	assert_int_equal(access_rmw(cpu, 0x16000, &d, RMW_ADD, 1, &old), CPU_EXIT_NOSYNDROME);
	assert_int_equal(access_rmw(cpu, 0x17000, &d, RMW_ADD, 1, &old), CPU_EXIT_NOSYNDROME);
	rig_free(rig);
}

struct adder {
	struct cpu *cpu;
	bool excl;
};

#define ADDS 20000

static void *add(void *arg)
{
	struct adder *a = arg;
	struct mem_desc d = {.size_log2 = 3, .align = 1, .atomic = !a->excl};

	for (unsigned int i = 0; i < ADDS; i++) {
		struct mem_desc excl = {.size_log2 = 3, .pair = 1, .align = 1, .excl = 1};
		uint64_t v[4], old;
		uint32_t status = 1;

		if (!a->excl) {
			access_rmw(a->cpu, 0x10080, &d, RMW_ADD, 1, &old);
			continue;
		}
		while (status) {
			access_load(a->cpu, 0x10080, &excl, v);
			v[0]++;
			v[1] += 3;
			access_store_excl(a->cpu, 0x10080, &excl, v, &status);
		}
	}
	return NULL;
}

static void test_atomics_between_threads(void **state)
{
	struct rig *rig = rig_new(3);
	struct tables t = tables_new(rig, 12, 48);
	pthread_t thread[3];
	struct adder a[3];
	uint64_t *host = ram(rig, RAM_BASE + 0x10080);

	map(&t, 0x10000, RAM_BASE + 0x10000, 3, D_AF);
	for (int i = 0; i < 3; i++) {
		mmu_on(rig->cpu[i], &t, 0, 0);
		a[i] = (struct adder){rig->cpu[i], i > 0};
		assert_int_equal(pthread_create(&thread[i], NULL, add, &a[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(host[0], 3 * ADDS);
	assert_int_equal(host[1], 2 * 3 * ADDS);
	rig_free(rig);
}

static void test_exclusive(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	struct mem_desc d = {.size_log2 = 2, .align = 1, .excl = 1, .be = 1};
	uint64_t v[4], out[4];
	uint32_t status;

	/*
	 * Without a load exclusive, at another address, of another size: fails, and writes nothing.
	 */
	v[0] = 0xaabbccdd;
	assert_int_equal(access_store_excl(cpu, 0x10000, &d, v, &status), 0);
	assert_int_equal(status, 1);
	assert_int_equal(access_load(cpu, 0x10000, &d, out), 0);
	assert_int_equal(access_store_excl(cpu, 0x10004, &d, v, &status), 0);
	assert_int_equal(status, 1);
	assert_int_equal(access_store_excl(cpu, 0x10000, &d, v, &status), 0);
	assert_int_equal(status, 1);
	assert_int_equal(*(uint32_t *)ram(rig, RAM_BASE + 0x10000), 0);
	/* Success, in the guest's byte order; once only. */
	assert_int_equal(access_load(cpu, 0x10000, &d, out), 0);
	assert_int_equal(access_store_excl(cpu, 0x10000, &d, v, &status), 0);
	assert_int_equal(status, 0);
	assert_int_equal(*(uint32_t *)ram(rig, RAM_BASE + 0x10000), 0xddccbbaa);
	assert_int_equal(access_store_excl(cpu, 0x10000, &d, v, &status), 0);
	assert_int_equal(status, 1);
	/* Somebody wrote in between. */
	assert_int_equal(access_load(cpu, 0x10000, &d, out), 0);
	assert_int_equal(out[0], 0xaabbccdd);
	*(uint32_t *)ram(rig, RAM_BASE + 0x10000) = 5;
	assert_int_equal(access_store_excl(cpu, 0x10000, &d, v, &status), 0);
	assert_int_equal(status, 1);
	/* A page that may be read only: the store faults as a write. */
	assert_int_equal(access_load(cpu, 0x15000, &d, out), 0);
	assert_int_equal(access_store_excl(cpu, 0x15000, &d, v, &status), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x4f));
	rig_free(rig);
}

static void test_dc_zva(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	uint8_t *host = ram(rig, RAM_BASE + 0x10000);

	memset(host, 0xff, 256);
	assert_int_equal(access_dc_zva(cpu, 0x10055), 0);
	for (unsigned int i = 0; i < 256; i++)
		assert_int_equal(host[i], i >= 64 && i < 128 ? 0 : 0xff);
	assert_int_equal(access_dc_zva(cpu, 0x14000), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x61));
	assert_int_equal(access_dc_zva(cpu, 0x15010), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x4f));
	assert_int_equal(cpu->fault.far, 0x15010);
	assert_int_equal(access_dc_zva(cpu, 0x16000), CPU_EXIT_NOSYNDROME);
	/* At EL0 with DZE clear. */
	msr(cpu, R_SCTLR, SCTLR_M);
	set_el(cpu, 0);
	assert_int_equal(sysinsn_execute(cpu, SYSREG(1, 3, 7, 4, 1), 0x10000), CPU_FAULT);
	assert_int_equal(cpu->fault.esr,
			 ESR(EC_SYSREG, 1 << 20 | 1 << 17 | 3 << 14 | 7 << 10 | 4 << 1));
	rig_free(rig);
}

static void test_cache_maintenance(void **state)
{
	/* CRm of IC IVAU, DC CVAC, CVAU, CVAP, CIVAC */
	static const unsigned int by_va[] = {5, 10, 11, 12, 14};
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];

	for (unsigned int i = 0; i < 5; i++) {
		uint16_t enc = SYSREG(1, 3, 7, by_va[i], 1);

		assert_true(sysinsn_exists(enc, true));
		set_el(cpu, 1);
		rig->icache_calls = 0;
		assert_int_equal(sysinsn_execute(cpu, enc, 0x10077), 0);
		assert_int_equal(rig->icache_calls, i == 0);
		if (i == 0) {
			assert_int_equal(rig->icache_pa, RAM_BASE + 0x10040);
			assert_int_equal(rig->icache_len, 64);
		}
		/*
		 * Outside memory nothing happens; without a translation it faults, with CM and WnR.
		 */
		assert_int_equal(sysinsn_execute(cpu, enc, 0x16000), 0);
		assert_int_equal(sysinsn_execute(cpu, enc, 0x18004), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x147));
		assert_int_equal(cpu->fault.far, 0x18004);
		/* EL1 needs no permission (PAN is set here), EL0 must be able to read. */
		cpu->ps.pan = 1;
		assert_int_equal(sysinsn_execute(cpu, enc, 0x10000), 0);
		set_el(cpu, 0);
		assert_int_equal(sysinsn_execute(cpu, enc, 0x15000), 0);
		map(&(struct tables){rig, 12, 48, cpu->sys.ttbr0, 0, false}, 0x1a000, RAM_BASE, 3,
		    D_AF);
		assert_int_equal(sysinsn_execute(cpu, enc, 0x1a000), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(EC_DABT_LOW, 0x14f));
	}
	set_el(cpu, 1);
	assert_int_equal(sysinsn_execute(cpu, SYSREG(1, 0, 7, 6, 1), 0x15000), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x14f));
	assert_int_equal(sysinsn_execute(cpu, SYSREG(1, 0, 7, 6, 1), 0x10000), 0);
	rig->icache_calls = 0;
	assert_int_equal(sysinsn_execute(cpu, SYSREG(1, 0, 7, 1, 0), 0), 0);
	assert_int_equal(sysinsn_execute(cpu, SYSREG(1, 0, 7, 5, 0), 0), 0);
	assert_int_equal(rig->icache_calls, 2);
	assert_int_equal(rig->icache_len, 0);
	/* UCI clear. */
	msr(cpu, R_SCTLR, SCTLR_M);
	set_el(cpu, 0);
	assert_int_equal(sysinsn_execute(cpu, SYSREG(1, 3, 7, 11, 1), 0x10000), CPU_FAULT);
	assert_int_equal(ESR_EC(cpu->fault.esr), EC_SYSREG);
	assert_false(sysinsn_exists(SYSREG(1, 0, 7, 5, 0), true));
	assert_int_equal(sysinsn_execute(cpu, SYSREG(1, 0, 7, 5, 0), 0), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_UNKNOWN, 0));
	rig_free(rig);
}

enum { S1E1R = 0, S1E1W = 1, S1E0R = 2, S1E0W = 3 };

static uint64_t at(struct cpu *cpu, unsigned int crm, unsigned int op2, uint64_t va)
{
	assert_int_equal(sysinsn_execute(cpu, SYSREG(1, 0, 7, crm, op2), va), 0);
	return mrs(cpu, R_PAR);
}

static void test_address_translation(void **state)
{
	struct tables t;
	struct rig *rig = mapped(&t);
	struct cpu *cpu = rig->cpu[0];
	uint64_t ok = 0xffull << 56 | (RAM_BASE + 0x10000) | 0x800 | 1 << 9;

	assert_int_equal(at(cpu, 8, S1E1R, 0x10123), ok);
	assert_int_equal(at(cpu, 8, S1E0W, 0x10123), ok);
	/* Device attributes and shareability. */
	assert_int_equal(at(cpu, 8, S1E1R, 0x14000) >> 56, 0x04);
	assert_int_equal(at(cpu, 8, S1E1R, 0x14000) >> 7 & 3, 2);
	/* Faults: F, FST. */
	assert_int_equal(at(cpu, 8, S1E1R, 0x18000), 0x800 | 0x07 << 1 | 1);
	assert_int_equal(at(cpu, 8, S1E1W, 0x15000), 0x800 | 0x0f << 1 | 1);
	assert_int_equal(at(cpu, 8, S1E0W, 0x15000), 0x800 | 0x0f << 1 | 1);
	map(&t, 0x1a000, RAM_BASE, 3, D_AF);
	assert_int_equal(at(cpu, 8, S1E0R, 0x1a000), 0x800 | 0x0f << 1 | 1);
	assert_int_equal(at(cpu, 8, S1E1R, 0x1a000) & 1, 0);
	/* PAN counts in the P forms alone. */
	cpu->ps.pan = 1;
	assert_int_equal(at(cpu, 8, S1E1R, 0x10000) & 1, 0);
	assert_int_equal(at(cpu, 9, S1E1R, 0x10000), 0x800 | 0x0f << 1 | 1);
	assert_int_equal(at(cpu, 9, S1E1W, 0x10000), 0x800 | 0x0f << 1 | 1);
	assert_int_equal(at(cpu, 9, S1E1R, 0x1a000) & 1, 0);
	/* No memory at the result is no fault; a table outside memory is an abort. */
	assert_int_equal(at(cpu, 8, S1E1R, 0x16000) & 0xfffffffff001, NO_MEMORY);
	msr(cpu, R_TTBR0, NO_MEMORY);
	assert_int_equal(sysinsn_execute(cpu, SYSREG(1, 0, 7, 8, 0), 0x10000), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x10));
	rig_free(rig);
}

static void test_fetch(void **state)
{
	struct tables t;
	struct rig *rig = mapped(&t);
	struct cpu *cpu = rig->cpu[0];
	struct xtlb_entry *x;

	map(&t, 0x1a000, RAM_BASE + 0x2000, 3, D_AF);
	for (unsigned int el = 0; el < 2; el++) {
		unsigned int ec = el ? EC_IABT : EC_IABT_LOW;

		set_el(cpu, el);
		cpu->pc = 0x18004;
		assert_int_equal(access_fetch(cpu, &x), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(ec, 0x07));
		assert_int_equal(cpu->fault.far, 0x18004);
		/* Writable by EL0: not for EL1. */
		cpu->pc = 0x10004;
		assert_int_equal(access_fetch(cpu, &x), el ? CPU_FAULT : CPU_EXIT_NONE);
		if (el)
			assert_int_equal(cpu->fault.esr, ESR(ec, 0x0f));
		/* Outside memory. */
		map(&t, 0x1b000, NO_MEMORY, 3, D_AF | (el ? 0 : D_AP(1)));
		cpu->pc = 0x1b000;
		assert_int_equal(access_fetch(cpu, &x), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(ec, 0x10));
		/* PC alignment comes first. */
		cpu->pc = 0x18002;
		assert_int_equal(access_fetch(cpu, &x), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(EC_PC_ALIGN, 0));
		assert_int_equal(cpu->fault.far, 0x18002);
	}
	/* A tag goes from the PC, and the line is that of the address without it. */
	cpu->pc = 0xcd0000000001a008;
	assert_int_equal(access_fetch(cpu, &x), CPU_EXIT_NONE);
	assert_int_equal(cpu->pc, 0x1a008);
	assert_int_equal(x->tag, 0x1a000);
	assert_ptr_equal(x->host, ram(rig, RAM_BASE + 0x2000));
	assert_null(x->page);
	rig_free(rig);
}

static void test_probe(void **state)
{
	struct rig *rig = mapped(NULL);
	struct cpu *cpu = rig->cpu[0];
	struct mem_desc d = {.size_log2 = 3};

	assert_int_equal(access_probe(cpu, 0x10ff8, 64, &d, true), 0);
	assert_int_equal(cpu->bank->e[tlb_index(0x11000)].write_tag, 0x11000);
	assert_int_equal(access_probe(cpu, 0x14ff8, 64, &d, true), CPU_FAULT);
	assert_int_equal(cpu->fault.far, 0x15000);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x4f));
	assert_int_equal(access_probe(cpu, 0x14ff8, 64, &d, false), 0);
	assert_int_equal(access_probe(cpu, 0x15ff8, 64, &d, false), CPU_EXIT_NOSYNDROME);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sign_extension),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_tagged),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_mmio),
		cmocka_unit_test(test_dirty_log),
		cmocka_unit_test(test_walk_updates_are_logged),
		cmocka_unit_test(test_rmw),
		cmocka_unit_test(test_cas),
		cmocka_unit_test(test_atomic_faults),
		cmocka_unit_test(test_atomics_between_threads),
		cmocka_unit_test(test_exclusive),
		cmocka_unit_test(test_dc_zva),
		cmocka_unit_test(test_cache_maintenance),
		cmocka_unit_test(test_address_translation),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
