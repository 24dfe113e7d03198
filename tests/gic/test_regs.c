/* SPDX-License-Identifier: MIT */
/*
 * The register frames: what is there, how wide, for whom; that nothing else is (ARM IHI 0048B,
 * chapter 4).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tests/gic/gic_test.h"

static void no_pin(void *opaque, unsigned int cpu, enum armature_gic_pin pin, bool level)
{
}

static void create_refuses(void **unused)
{
	static const struct {
		unsigned int nr_cpus, nr_irqs;
		int result;
	} cases[] = {
		{0, 64, -EINVAL},   {9, 64, -EINVAL},   {1, 0, -EINVAL},    {1, 31, -EINVAL},
		{1, 33, -EINVAL},   {1, 1019, -EINVAL}, {1, 1024, -EINVAL}, {1, ~0u, -EINVAL},
		{~0u, 64, -EINVAL}, {1, 32, 0},         {8, 1020, 0},       {3, 992, 0},
	};
	struct armature_gic_config config = {.nr_cpus = 1, .nr_irqs = 64};
	struct armature_gic *gic = NULL;
	unsigned int i;

	assert_int_equal(armature_gic_create(&config, &gic), -EINVAL);
	config.set_pin = no_pin;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		config.nr_cpus = cases[i].nr_cpus;
		config.nr_irqs = cases[i].nr_irqs;
		assert_int_equal(armature_gic_create(&config, &gic), cases[i].result);
		if (!cases[i].result)
			armature_gic_destroy(gic);
	}
	armature_gic_destroy(NULL);
}

static void inputs_refuse(void **unused)
{
	struct bench b;

	bench_make(&b, 2, 96);
	assert_int_equal(armature_gic_set_spi(b.gic, 31, true), -EINVAL);
	assert_int_equal(armature_gic_set_spi(b.gic, 96, true), -EINVAL);
	assert_int_equal(armature_gic_set_spi(b.gic, ~0u, true), -EINVAL);
	assert_int_equal(armature_gic_set_spi(b.gic, 95, true), 0);
	assert_int_equal(armature_gic_set_ppi(b.gic, 0, 15, true), -EINVAL);
	assert_int_equal(armature_gic_set_ppi(b.gic, 0, 32, true), -EINVAL);
	assert_int_equal(armature_gic_set_ppi(b.gic, 2, 16, true), -EINVAL);
	assert_int_equal(armature_gic_set_ppi(b.gic, 1, 16, true), 0);
	assert_false(armature_gic_pin(b.gic, 2, ARMATURE_GIC_IRQ));
	assert_false(armature_gic_pin(b.gic, 0, (enum armature_gic_pin)2));
	bench_free(&b);
}

static void reset_values(void **unused)
{
	struct bench b;
	unsigned int cpu, i;

	bench_make(&b, 3, 288);
	assert_int_equal(dist_read(&b, 0, GICD_CTLR), 0);
	for (cpu = 0; cpu < 3; cpu++) {
		assert_int_equal(dist_read(&b, cpu, GICD_ISENABLER), 0x0000ffff);
		assert_int_equal(dist_read(&b, cpu, GICD_ICFGR), 0xaaaaaaaa);
		for (i = 0; i < 32; i += 4)
			assert_int_equal(dist_read(&b, cpu, GICD_ITARGETSR + i),
					 0x01010101u << cpu);
		assert_int_equal(cpu_read(&b, cpu, GICC_CTLR), 0);
		assert_int_equal(cpu_read(&b, cpu, GICC_PMR), 0);
		assert_int_equal(cpu_read(&b, cpu, GICC_BPR), 2);
		assert_int_equal(cpu_read(&b, cpu, GICC_ABPR), 3);
		assert_int_equal(cpu_read(&b, cpu, GICC_RPR), IDLE_PRIORITY);
		assert_int_equal(cpu_read(&b, cpu, GICC_IAR), SPURIOUS);
		assert_int_equal(cpu_read(&b, cpu, GICC_AIAR), SPURIOUS);
		assert_int_equal(cpu_read(&b, cpu, GICC_HPPIR), SPURIOUS);
		assert_int_equal(cpu_read(&b, cpu, GICC_AHPPIR), SPURIOUS);
		assert_int_equal(cpu_read(&b, cpu, GICC_APR0), 0);
		assert_int_equal(cpu_read(&b, cpu, GICC_NSAPR0), 0);
	}
	for (i = 4; i < 0x80; i += 4) {
		assert_int_equal(dist_read(&b, 0, GICD_ISENABLER + i), 0);
		assert_int_equal(dist_read(&b, 0, GICD_IGROUPR + i), 0);
		assert_int_equal(dist_read(&b, 0, GICD_ISPENDR + i), 0);
		assert_int_equal(dist_read(&b, 0, GICD_ISACTIVER + i), 0);
		assert_int_equal(dist_read(&b, 0, GICD_ICFGR + i), 0);
	}
	for (i = 0; i < 0x400; i += 4)
		assert_int_equal(dist_read(&b, 0, GICD_IPRIORITYR + i), 0);
	for (i = 32; i < 0x400; i += 4)
		assert_int_equal(dist_read(&b, 0, GICD_ITARGETSR + i), 0);
	bench_free(&b);
}

/* Registers are there again as after reset, pins are low, inputs are as they were. */
static void reset_keeps_inputs(void **unused)
{
	struct bench b, fresh;
	size_t size;
	uint8_t *was, *is;

	bench_make(&fresh, 2, 64);
	bench_make(&b, 2, 64);
	set_line(&fresh, 1, 27, true);
	set_line(&fresh, 0, 40, true);
	bench_enable(&b);
	set_line(&b, 1, 27, true);
	set_line(&b, 0, 40, true);
	dist_write(&b, 0, GICD_SGIR, 0xff0003);
	cpu_write(&b, 1, GICC_BPR, 5);
	cpu_write(&b, 1, GICC_ABPR, 6);
	assert_int_equal(cpu_read(&b, 1, GICC_IAR), 3);
	assert_true(b.pin[0][ARMATURE_GIC_IRQ]);
	armature_gic_reset(b.gic);
	assert_false(b.pin[0][ARMATURE_GIC_IRQ]);
	assert_false(b.pin[1][ARMATURE_GIC_IRQ]);

	size = armature_gic_state_size(b.gic);
	was = malloc(size);
	is = malloc(size);
	assert_int_equal(armature_gic_save(fresh.gic, was, size), 0);
	assert_int_equal(armature_gic_save(b.gic, is, size), 0);
	assert_memory_equal(was, is, size);
	bench_enable(&b);
	assert_int_equal(cpu_read(&b, 1, GICC_IAR), 27);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 40);
	free(was);
	free(is);
	bench_free(&b);
	bench_free(&fresh);
}

static void identification(void **unused)
{
	static const unsigned int irqs[] = {32, 64, 288, 992, 1020};
	static const uint8_t ids[] = {4, 0, 0, 0, 0x41, 0xb0, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1};
	struct bench b;
	unsigned int cpus, i;

	for (cpus = 1; cpus <= 8; cpus++) {
		for (i = 0; i < ARRAY_SIZE(irqs); i++) {
			bench_make(&b, cpus, irqs[i]);
			assert_int_equal(dist_read(&b, cpus - 1, GICD_TYPER),
					 ((cpus - 1) << 5) | ((irqs[i] + 31) / 32 - 1));
			bench_free(&b);
		}
	}
	bench_make(&b, 2, 64);
	assert_int_equal(dist_read(&b, 1, GICD_IIDR), 0x4100043b);
	assert_int_equal(cpu_read(&b, 1, GICC_IIDR), 0x0412043b);
	assert_int_equal(dist_read(&b, 0, GICD_ICPIDR2), 0x2b);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		assert_int_equal(dist_read(&b, 1, 0xfd0 + 4 * i), ids[i]);
	bench_free(&b);
}

/* A range of registers: which sizes it takes, and whether it can be read and written. */
struct range {
	unsigned int start, end;
	bool bytes, reads, writes;
};

static const struct range dist_ranges[] = {
	{0x000, 0x004, false, true, true}, {0x004, 0x00c, false, true, false},
	{0x080, 0x400, false, true, true}, {0x400, 0xc00, true, true, true},
	{0xc00, 0xd00, false, true, true}, {0xf00, 0xf04, false, false, true},
	{0xf10, 0xf30, true, true, true},  {0xfd0, 0x1000, false, true, false},
};

static const struct range cpu_ranges[] = {
	{0x0000, 0x000c, false, true, true},  {0x000c, 0x0010, false, true, false},
	{0x0010, 0x0014, false, false, true}, {0x0014, 0x001c, false, true, false},
	{0x001c, 0x0020, false, true, true},  {0x0020, 0x0024, false, true, false},
	{0x0024, 0x0028, false, false, true}, {0x0028, 0x002c, false, true, false},
	{0x00d0, 0x00d4, false, true, true},  {0x00e0, 0x00e4, false, true, true},
	{0x00fc, 0x0100, false, true, false}, {0x1000, 0x1004, false, false, true},
};

static bool allowed(const struct range *ranges, unsigned int nr, uint64_t offset, unsigned int size,
		    bool write)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (offset < ranges[i].start || offset >= ranges[i].end)
			continue;
		if (write ? !ranges[i].writes : !ranges[i].reads)
			return false;
		return size == 4 ? offset % 4 == 0 : size == 1 && ranges[i].bytes;
	}
	return false;
}

/* A GIC with everything in use, so that a side effect would show. */
static void busy(struct bench *b)
{
	bench_enable(b);
	dist_write(b, 0, GICD_IGROUPR, 0x00f0);
	dist_write(b, 1, GICD_SGIR, 0x03000000 | 0xff0000 | 5);
	dist_write(b, 1, GICD_SGIR, 0xff0005);
	dist_write(b, 1, GICD_SGIR, 0xff0003);
	set_line(b, 0, 30, true);
	dist_write8(b, 0, GICD_IPRIORITYR + 30, 0x40);
	dist_write8(b, 0, GICD_IPRIORITYR + 3, 0x20);
	dist_write8(b, 0, GICD_IPRIORITYR + 5, 0x10);
	assert_int_equal(cpu_read(b, 0, GICC_IAR), 0x405);
}

typedef uint64_t (*read_fn)(struct armature_gic *, unsigned int, uint64_t, unsigned int);
typedef void (*write_fn)(struct armature_gic *, unsigned int, uint64_t, unsigned int, uint64_t);

static void check_nothing_there(read_fn read, write_fn write, const struct range *ranges,
				unsigned int nr_ranges, uint64_t frame_size)
{
	static const unsigned int sizes[] = {0, 1, 2, 3, 4, 8, 16};
	static const uint64_t far[] = {0x10000, 1ull << 32, 1ull << 63, ~0ull, ~3ull};
	struct bench b;
	uint8_t *before, *after;
	size_t size;
	uint64_t at;
	unsigned int i;

	bench_make(&b, 2, 1020);
	busy(&b);
	size = armature_gic_state_size(b.gic);
	before = malloc(size);
	after = malloc(size);
	assert_int_equal(armature_gic_save(b.gic, before, size), 0);
	for (at = 0; at < frame_size + ARRAY_SIZE(far); at++) {
		uint64_t offset = at < frame_size ? at : far[at - frame_size];

		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			if (!allowed(ranges, nr_ranges, offset, sizes[i], false))
				assert_int_equal(read(b.gic, 0, offset, sizes[i]), 0);
			if (!allowed(ranges, nr_ranges, offset, sizes[i], true))
				write(b.gic, 0, offset, sizes[i], ~0ull);
		}
	}
	/* A CPU that does not exist has no registers at all. */
	for (at = 0; at < frame_size; at += 4) {
		assert_int_equal(read(b.gic, 2, at, 4), 0);
		write(b.gic, 2, at, 4, ~0ull);
		assert_int_equal(read(b.gic, ~0u, at, 4), 0);
		write(b.gic, ~0u, at, 4, ~0ull);
	}
	assert_int_equal(armature_gic_save(b.gic, after, size), 0);
	assert_memory_equal(before, after, size);
	free(before);
	free(after);
	bench_free(&b);
}

static void nothing_else_is_there(void **unused)
{
	check_nothing_there(armature_gic_dist_read, armature_gic_dist_write, dist_ranges,
			    ARRAY_SIZE(dist_ranges), ARMATURE_GIC_DIST_SIZE);
	check_nothing_there(armature_gic_cpu_read, armature_gic_cpu_write, cpu_ranges,
			    ARRAY_SIZE(cpu_ranges), ARMATURE_GIC_CPU_SIZE);
}

/* Fields of interrupts beyond the configured number, in arrays that are there. */
static void nothing_beyond_the_last_interrupt(void **unused)
{
	static const unsigned int limits[] = {32, 64, 288, 992, 1020};
	struct bench b;
	unsigned int i, offset, intid;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		bench_make(&b, 2, limits[i]);
		for (offset = 0x80; offset < 0xd00; offset += 4) {
			unsigned int bits = offset < 0x400 ? 1 : offset < 0xc00 ? 8 : 2;
			unsigned int base = offset < 0x400   ? offset & ~0x7fu
					    : offset < 0xc00 ? offset & ~0x3ffu
							     : 0xc00;
			uint32_t got, beyond = 0;

			for (intid = 0; intid < 32 / bits; intid++) {
				if ((offset - base) * 8 / bits + intid >= limits[i])
					beyond |= ((1ull << bits) - 1) << intid * bits;
			}
			dist_write(&b, 0, offset, ~0u);
			got = dist_read(&b, 0, offset);
			assert_int_equal(got & beyond, 0);
			if (bits == 8 && beyond) {
				dist_write8(&b, 0, offset + 3, 0xff);
				assert_int_equal(dist_read8(&b, 0, offset + 3), 0);
			}
		}
		bench_free(&b);
	}
}

/*
 * One bit an interrupt: set by one register, cleared by the other, in word 0 for each CPU its own.
 */
static void set_and_clear(unsigned int set, unsigned int clear, uint32_t read_only)
{
	struct bench b;
	unsigned int intid, cpu;

	bench_make(&b, 2, 1020);
	for (cpu = 0; cpu < 2; cpu++)
		dist_write(&b, cpu, clear, ~0u);
	for (intid = 0; intid < 1020; intid++) {
		unsigned int word = intid / 32 * 4;
		uint32_t bit = 1u << intid % 32;

		if (intid < 32 && read_only & bit)
			continue;
		dist_write(&b, 0, set + word, bit);
		assert_int_equal(dist_read(&b, 0, set + word), bit);
		assert_int_equal(dist_read(&b, 0, clear + word), bit);
		assert_int_equal(dist_read(&b, 1, set + word), intid < 32 ? 0 : bit);
		dist_write(&b, 0, set + word, 0);
		dist_write(&b, 0, clear + word, ~bit);
		assert_int_equal(dist_read(&b, 0, set + word), bit);
		dist_write(&b, 0, clear + word, bit);
		assert_int_equal(dist_read(&b, 0, set + word), 0);
		assert_int_equal(dist_read(&b, 0, clear + word), 0);
	}
	dist_write(&b, 0, set, ~0u);
	assert_int_equal(dist_read(&b, 0, set), ~read_only);
	dist_write(&b, 1, clear, ~0u);
	assert_int_equal(dist_read(&b, 0, set), ~read_only);
	bench_free(&b);
}

static void bit_arrays(void **unused)
{
	set_and_clear(GICD_ISENABLER, GICD_ICENABLER, 0);
	set_and_clear(GICD_ISPENDR, GICD_ICPENDR, 0xffff);
	set_and_clear(GICD_ISACTIVER, GICD_ICACTIVER, 0);
}

static void group_registers(void **unused)
{
	struct bench b;

	bench_make(&b, 2, 1020);
	dist_write(&b, 0, GICD_IGROUPR, 0xa5a55a5a);
	dist_write(&b, 1, GICD_IGROUPR, 0x12345678);
	dist_write(&b, 0, GICD_IGROUPR + 4, 0xdeadbeef);
	dist_write(&b, 0, GICD_IGROUPR + 0x7c, ~0u);
	assert_int_equal(dist_read(&b, 0, GICD_IGROUPR), 0xa5a55a5a);
	assert_int_equal(dist_read(&b, 1, GICD_IGROUPR), 0x12345678);
	assert_int_equal(dist_read(&b, 1, GICD_IGROUPR + 4), 0xdeadbeef);
	assert_int_equal(dist_read(&b, 1, GICD_IGROUPR + 0x7c), 0x0fffffff);
	dist_write(&b, 1, GICD_CTLR, ~0u);
	assert_int_equal(dist_read(&b, 0, GICD_CTLR), GICD_GRP0 | GICD_GRP1);
	bench_free(&b);
}

static void priority_registers(void **unused)
{
	struct bench b;
	unsigned int intid;

	bench_make(&b, 2, 1020);
	for (intid = 0; intid < 1020; intid++) {
		unsigned int offset = GICD_IPRIORITYR + intid;

		dist_write8(&b, 0, offset, 0xff);
		assert_int_equal(dist_read8(&b, 0, offset), 0xf8);
		assert_int_equal(dist_read(&b, 0, offset & ~3u), 0xf8u << intid % 4 * 8);
		assert_int_equal(dist_read8(&b, 1, offset), intid < 32 ? 0 : 0xf8);
		dist_write8(&b, 0, offset, 0);
	}
	dist_write(&b, 0, GICD_IPRIORITYR + 40, 0xff7fbf3f);
	assert_int_equal(dist_read(&b, 0, GICD_IPRIORITYR + 40), 0xf878b838);
	/* The value's bits beyond the access do not matter. */
	armature_gic_dist_write(b.gic, 0, GICD_IPRIORITYR + 41, 1, ~0xffull | 0x50);
	assert_int_equal(dist_read(&b, 0, GICD_IPRIORITYR + 40), 0xf8785038);
	armature_gic_dist_write(b.gic, 0, GICD_IPRIORITYR + 40, 4, 0xffffffff10203040);
	assert_int_equal(dist_read(&b, 0, GICD_IPRIORITYR + 40), 0x10203040);
	bench_free(&b);
}

static void target_registers(void **unused)
{
	struct bench b;
	unsigned int cpus, intid;

	for (cpus = 2; cpus <= 8; cpus++) {
		uint8_t all = (1u << cpus) - 1;

		bench_make(&b, cpus, 1020);
		for (intid = 0; intid < 1020; intid++) {
			unsigned int offset = GICD_ITARGETSR + intid;

			dist_write8(&b, cpus - 1, offset, 0xff);
			assert_int_equal(dist_read8(&b, cpus - 1, offset),
					 intid < 32 ? 1u << (cpus - 1) : all);
			dist_write8(&b, cpus - 1, offset, 0);
			assert_int_equal(dist_read8(&b, cpus - 1, offset),
					 intid < 32 ? 1u << (cpus - 1) : 0);
		}
		dist_write(&b, 0, GICD_ITARGETSR, ~0u);
		assert_int_equal(dist_read(&b, 0, GICD_ITARGETSR), 0x01010101);
		dist_write(&b, 0, GICD_ITARGETSR + 32, 0x0103020f);
		assert_int_equal(dist_read(&b, 0, GICD_ITARGETSR + 32),
				 0x0103020f & (all * 0x01010101u));
		bench_free(&b);
	}
}

/* Section 4.3.12: with one CPU all of GICD_ITARGETSR is RAZ/WI; all interrupts go to that CPU. */
static void uniprocessor_targets(void **unused)
{
	struct bench b;
	unsigned int intid;

	bench_make(&b, 1, 1020);
	assert_int_equal(dist_read(&b, 0, GICD_TYPER), 31);
	for (intid = 0; intid < 1020; intid += 4) {
		assert_int_equal(dist_read(&b, 0, GICD_ITARGETSR + intid), 0);
		dist_write(&b, 0, GICD_ITARGETSR + intid, ~0u);
		assert_int_equal(dist_read(&b, 0, GICD_ITARGETSR + intid), 0);
		dist_write8(&b, 0, GICD_ITARGETSR + intid + 1, intid % 8 ? 0 : 1);
		assert_int_equal(dist_read8(&b, 0, GICD_ITARGETSR + intid + 1), 0);
	}
	bench_enable(&b);
	for (intid = 32; intid < 1020; intid++) {
		set_line(&b, 0, intid, true);
		assert_int_equal(cpu_read(&b, 0, GICC_IAR), intid);
		set_line(&b, 0, intid, false);
		cpu_write(&b, 0, GICC_EOIR, intid);
	}
	/* SGIs: to the CPU itself, by its bit or by the filter. There is no other CPU. */
	dist_write(&b, 0, GICD_SGIR, 0xfe << 16 | 3);
	dist_write(&b, 0, GICD_SGIR, 1 << 24 | 3);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), SPURIOUS);
	dist_write(&b, 0, GICD_SGIR, 0x01 << 16 | 3);
	dist_write(&b, 0, GICD_SGIR, 2 << 24 | 4);
	dist_write8(&b, 0, GICD_SPENDSGIR + 5, 0xfe);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 3);
	cpu_write(&b, 0, GICC_EOIR, 3);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 4);
	cpu_write(&b, 0, GICC_EOIR, 4);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), SPURIOUS);
	bench_free(&b);
}

static void config_registers(void **unused)
{
	struct bench b;
	unsigned int i;

	bench_make(&b, 2, 1020);
	for (i = 0; i < 0x100; i += 4) {
		uint32_t all = i == 0 ? 0xaaaaaaaa : i == 0xfc ? 0x00aaaaaa : 0xaaaaaaaa;

		dist_write(&b, 0, GICD_ICFGR + i, ~0u);
		assert_int_equal(dist_read(&b, 0, GICD_ICFGR + i), all);
		dist_write(&b, 0, GICD_ICFGR + i, 0x55555555);
		assert_int_equal(dist_read(&b, 0, GICD_ICFGR + i), i ? 0 : all);
	}
	/* PPIs' are banked. */
	dist_write(&b, 1, GICD_ICFGR + 4, 0x80000008);
	assert_int_equal(dist_read(&b, 1, GICD_ICFGR + 4), 0x80000008);
	assert_int_equal(dist_read(&b, 0, GICD_ICFGR + 4), 0);
	bench_free(&b);
}

static void sgi_pending_registers(void **unused)
{
	struct bench b;
	unsigned int sgi;

	bench_make(&b, 3, 64);
	for (sgi = 0; sgi < 16; sgi++) {
		uint32_t in_word = 0x05u << sgi % 4 * 8;

		dist_write8(&b, 1, GICD_SPENDSGIR + sgi, 0xfd);
		assert_int_equal(dist_read8(&b, 1, GICD_SPENDSGIR + sgi), 0x05);
		assert_int_equal(dist_read8(&b, 1, GICD_CPENDSGIR + sgi), 0x05);
		assert_int_equal(dist_read(&b, 1, GICD_SPENDSGIR + (sgi & ~3u)), in_word);
		assert_int_equal(dist_read(&b, 0, GICD_SPENDSGIR + (sgi & ~3u)), 0);
		dist_write8(&b, 1, GICD_CPENDSGIR + sgi, 0x04);
		assert_int_equal(dist_read8(&b, 1, GICD_SPENDSGIR + sgi), 0x01);
		dist_write(&b, 1, GICD_CPENDSGIR + (sgi & ~3u), 0xff);
		dist_write(&b, 1, GICD_CPENDSGIR + (sgi & ~3u), ~0u);
		assert_int_equal(dist_read8(&b, 1, GICD_SPENDSGIR + sgi), 0);
	}
	dist_write(&b, 1, GICD_SPENDSGIR + 8, 0x07060504);
	assert_int_equal(dist_read(&b, 1, GICD_ISPENDR), 0x0f00);
	bench_free(&b);
}

static void interface_registers(void **unused)
{
	struct bench b;
	unsigned int value;

	bench_make(&b, 2, 64);
	cpu_write(&b, 0, GICC_CTLR, ~0u);
	assert_int_equal(cpu_read(&b, 0, GICC_CTLR), 0x3ff);
	cpu_write(&b, 0, GICC_PMR, ~0u);
	assert_int_equal(cpu_read(&b, 0, GICC_PMR), 0xf8);
	for (value = 0; value < 16; value++) {
		unsigned int field = value & 7;

		cpu_write(&b, 0, GICC_BPR, value);
		assert_int_equal(cpu_read(&b, 0, GICC_BPR), field < 2 ? 2 : field);
		cpu_write(&b, 0, GICC_ABPR, value);
		assert_int_equal(cpu_read(&b, 0, GICC_ABPR), field < 3 ? 3 : field);
	}
	cpu_write(&b, 0, GICC_APR0, 0xa5a5a5a5);
	cpu_write(&b, 0, GICC_NSAPR0, 0x5a5a5a50);
	assert_int_equal(cpu_read(&b, 0, GICC_APR0), 0xa5a5a5a5);
	assert_int_equal(cpu_read(&b, 0, GICC_NSAPR0), 0x5a5a5a50);
	/* The other CPU has its own of each. */
	assert_int_equal(cpu_read(&b, 1, GICC_CTLR), 0);
	assert_int_equal(cpu_read(&b, 1, GICC_PMR), 0);
	assert_int_equal(cpu_read(&b, 1, GICC_BPR), 2);
	assert_int_equal(cpu_read(&b, 1, GICC_ABPR), 3);
	assert_int_equal(cpu_read(&b, 1, GICC_APR0), 0);
	assert_int_equal(cpu_read(&b, 1, GICC_NSAPR0), 0);
	bench_free(&b);
}

/* What a guest's conformance test does to find out about priorities and targets. */
static bool reads_back(struct bench *b, unsigned int offset, uint32_t expected)
{
	static const uint32_t patterns[] = {~0u, 0xa5a55a5a, 0};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(patterns); i++) {
		dist_write(b, 0, offset, patterns[i]);
		if (dist_read(b, 0, offset) != expected)
			return false;
	}
	return true;
}

static void probing_guest(void **unused)
{
	struct bench b;
	unsigned int cpus, irqs;

	for (cpus = 1; cpus <= 8; cpus++) {
		/* With one CPU there are no targets to choose. */
		uint32_t mask = cpus == 1 ? 0 : ((1u << cpus) - 1) * 0x01010101;
		uint32_t spi32 = GICD_ITARGETSR + 32;

		bench_make(&b, cpus, 288);
		irqs = ((dist_read(&b, 0, GICD_TYPER) & 0x1f) + 1) * 32;
		assert_int_equal(irqs, 288);
		assert_true(reads_back(&b, GICD_TYPER, dist_read(&b, 0, GICD_TYPER)));
		assert_true(reads_back(&b, GICD_IIDR, dist_read(&b, 0, GICD_IIDR)));
		assert_true(reads_back(&b, GICD_ICPIDR2, 0x2b));
		assert_true(reads_back(&b, GICD_IPRIORITYR + irqs, 0));
		assert_true(reads_back(&b, GICD_ITARGETSR + irqs, 0));
		dist_write(&b, 0, GICD_IPRIORITYR + irqs - 4, 0xff7fbf3f);
		assert_int_equal(dist_read(&b, 0, GICD_IPRIORITYR + irqs - 4), 0xf878b838);
		dist_write(&b, 0, spi32, 0x0103020f);
		assert_int_equal(dist_read(&b, 0, spi32), 0x0103020f & mask);
		assert_int_equal(dist_read8(&b, 0, spi32 + 1), 0x02 & mask);
		dist_write8(&b, 0, spi32 + 2, 0x1f);
		assert_int_equal(dist_read(&b, 0, spi32), 0x011f020f & mask);
		bench_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_refuses),
		cmocka_unit_test(inputs_refuse),
		cmocka_unit_test(reset_values),
		cmocka_unit_test(reset_keeps_inputs),
		cmocka_unit_test(identification),
		cmocka_unit_test(nothing_else_is_there),
		cmocka_unit_test(nothing_beyond_the_last_interrupt),
		cmocka_unit_test(bit_arrays),
		cmocka_unit_test(group_registers),
		cmocka_unit_test(priority_registers),
		cmocka_unit_test(target_registers),
		cmocka_unit_test(uniprocessor_targets),
		cmocka_unit_test(config_registers),
		cmocka_unit_test(sgi_pending_registers),
		cmocka_unit_test(interface_registers),
		cmocka_unit_test(probing_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
