/* SPDX-License-Identifier: MIT */
/*
 * The bench of the GIC's tests.
 */
#include <string.h>
#include "tests/gic/gic_test.h"

static void record_pin(void *opaque, unsigned int cpu, enum armature_gic_pin pin, bool level)
{
	struct bench *b = opaque;

	assert_in_range(cpu, 0, b->nr_cpus - 1);
	assert_int_not_equal(b->pin[cpu][pin], level);
	b->pin[cpu][pin] = level;
	b->pin_changes++;
}

static void record_event(void *opaque, unsigned int cpu, enum armature_gic_event event,
			 uint32_t intid)
{
	struct bench *b = opaque;

	if (b->nr_events < BENCH_EVENTS) {
		b->events[b->nr_events].cpu = cpu;
		b->events[b->nr_events].event = event;
		b->events[b->nr_events].intid = intid;
	}
	b->nr_events++;
}

void bench_make(struct bench *b, unsigned int nr_cpus, unsigned int nr_irqs)
{
	const struct armature_gic_config config = {
		.nr_cpus = nr_cpus,
		.nr_irqs = nr_irqs,
		.set_pin = record_pin,
		.event = record_event,
		.opaque = b,
	};

	memset(b, 0, sizeof(*b));
	b->nr_cpus = nr_cpus;
	b->nr_irqs = nr_irqs;
	assert_int_equal(armature_gic_create(&config, &b->gic), 0);
	assert_int_equal(b->pin_changes, 0);
}

void bench_free(struct bench *b)
{
	armature_gic_destroy(b->gic);
	b->gic = NULL;
}

void bench_enable(struct bench *b)
{
	unsigned int cpu, i;

	dist_write(b, 0, GICD_CTLR, GICD_GRP0 | GICD_GRP1);
	for (i = 32; i < b->nr_irqs; i += 32)
		dist_write(b, 0, GICD_ISENABLER + i / 8, ~0u);
	for (i = 32; i < b->nr_irqs; i += 4)
		dist_write(b, 0, GICD_ITARGETSR + i, 0x01010101);
	for (cpu = 0; cpu < b->nr_cpus; cpu++) {
		dist_write(b, cpu, GICD_ISENABLER, ~0u);
		cpu_write(b, cpu, GICC_PMR, 0xff);
		cpu_write(b, cpu, GICC_CTLR, GICC_GRP0 | GICC_GRP1 | GICC_ACKCTL);
	}
}

uint32_t dist_read(struct bench *b, unsigned int cpu, unsigned int offset)
{
	uint64_t value = armature_gic_dist_read(b->gic, cpu, offset, 4);

	assert_true(value <= UINT32_MAX);
	return value;
}

void dist_write(struct bench *b, unsigned int cpu, unsigned int offset, uint32_t value)
{
	armature_gic_dist_write(b->gic, cpu, offset, 4, value);
}

uint32_t cpu_read(struct bench *b, unsigned int cpu, unsigned int offset)
{
	uint64_t value = armature_gic_cpu_read(b->gic, cpu, offset, 4);

	assert_true(value <= UINT32_MAX);
	return value;
}

void cpu_write(struct bench *b, unsigned int cpu, unsigned int offset, uint32_t value)
{
	armature_gic_cpu_write(b->gic, cpu, offset, 4, value);
}

uint8_t dist_read8(struct bench *b, unsigned int cpu, unsigned int offset)
{
	uint64_t value = armature_gic_dist_read(b->gic, cpu, offset, 1);

	assert_true(value <= UINT8_MAX);
	return value;
}

void dist_write8(struct bench *b, unsigned int cpu, unsigned int offset, uint8_t value)
{
	armature_gic_dist_write(b->gic, cpu, offset, 1, value);
}

bool dist_bit(struct bench *b, unsigned int cpu, unsigned int array, unsigned int intid)
{
	return dist_read(b, cpu, array + intid / 32 * 4) >> intid % 32 & 1;
}

void dist_set_bit(struct bench *b, unsigned int cpu, unsigned int array, unsigned int intid)
{
	dist_write(b, cpu, array + intid / 32 * 4, 1u << intid % 32);
}

void dist_assign_bit(struct bench *b, unsigned int cpu, unsigned int array, unsigned int intid,
		     bool value)
{
	unsigned int offset = array + intid / 32 * 4;
	uint32_t old = dist_read(b, cpu, offset) & ~(1u << intid % 32);

	dist_write(b, cpu, offset, old | (uint32_t)value << intid % 32);
}

void set_edge(struct bench *b, unsigned int cpu, unsigned int intid, bool edge)
{
	unsigned int offset = GICD_ICFGR + intid / 16 * 4;
	uint32_t bit = 2u << intid % 16 * 2;
	uint32_t old = dist_read(b, cpu, offset);

	dist_write(b, cpu, offset, edge ? old | bit : old & ~bit);
}

void set_line(struct bench *b, unsigned int cpu, unsigned int intid, bool level)
{
	if (intid < 32)
		assert_int_equal(armature_gic_set_ppi(b->gic, cpu, intid, level), 0);
	else
		assert_int_equal(armature_gic_set_spi(b->gic, intid, level), 0);
}

uint32_t random_u32(struct random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dull >> 32;
}

uint32_t random_below(struct random *r, uint32_t n)
{
	return (uint64_t)random_u32(r) * n >> 32;
}
