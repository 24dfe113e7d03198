/* SPDX-License-Identifier: MIT */
/*
 * Random operations on the GIC and on the obvious one of model.c: every value read and every pin
 * must agree after each. Some operations are what guests do, often enough that interrupts nest,
 * share priorities and change under way; some are garbage. Now and then the GIC is saved and a new
 * one goes on from there, or it is restored from a damaged buffer, which must change nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/gic/gic_test.h"
#include "tests/gic/model.h"

#define HOT_IRQS 12 /* interrupts that most operations are about */
#define STACK    40

struct run {
	struct bench b;
	struct model m;
	struct random r;
	unsigned int hot[HOT_IRQS];
	uint32_t taken[MODEL_CPUS][STACK]; /* acknowledged, not ended */
	unsigned int nr_taken[MODEL_CPUS];
};

static unsigned int pick(struct run *run, unsigned int n)
{
	return random_below(&run->r, n);
}

static unsigned int pick_irq(struct run *run)
{
	return pick(run, 16) ? run->hot[pick(run, HOT_IRQS)] : pick(run, run->m.nr_irqs);
}

static uint8_t pick_priority(struct run *run)
{
	static const uint8_t usual[] = {0x00, 0x20, 0x40, 0x48, 0x50, 0x80, 0x88, 0xa0, 0xf0};

	return pick(run, 3) ? usual[pick(run, ARRAY_SIZE(usual))] : random_u32(&run->r);
}

static void compare_pins(struct run *run)
{
	unsigned int cpu;

	for (cpu = 0; cpu < run->m.nr_cpus; cpu++) {
		bool irq, fiq;

		model_pins(&run->m, cpu, &irq, &fiq);
		assert_int_equal(run->b.pin[cpu][ARMATURE_GIC_IRQ], irq);
		assert_int_equal(run->b.pin[cpu][ARMATURE_GIC_FIQ], fiq);
		assert_int_equal(armature_gic_pin(run->b.gic, cpu, ARMATURE_GIC_IRQ), irq);
		assert_int_equal(armature_gic_pin(run->b.gic, cpu, ARMATURE_GIC_FIQ), fiq);
	}
}

static void both_dist_read(struct run *run, unsigned int cpu, uint64_t offset, unsigned int size)
{
	uint64_t expected = model_dist_read(&run->m, cpu, offset, size);

	assert_int_equal(armature_gic_dist_read(run->b.gic, cpu, offset, size), expected);
}

static void both_dist_write(struct run *run, unsigned int cpu, uint64_t offset, unsigned int size,
			    uint64_t value)
{
	model_dist_write(&run->m, cpu, offset, size, value);
	armature_gic_dist_write(run->b.gic, cpu, offset, size, value);
}

static uint64_t both_cpu_read(struct run *run, unsigned int cpu, uint64_t offset, unsigned int size)
{
	uint64_t expected = model_cpu_read(&run->m, cpu, offset, size);

	assert_int_equal(armature_gic_cpu_read(run->b.gic, cpu, offset, size), expected);
	return expected;
}

static void both_cpu_write(struct run *run, unsigned int cpu, uint64_t offset, unsigned int size,
			   uint64_t value)
{
	model_cpu_write(&run->m, cpu, offset, size, value);
	armature_gic_cpu_write(run->b.gic, cpu, offset, size, value);
}

/* Every register that can be read without an effect, for every CPU. */
static void compare_registers(struct run *run)
{
	unsigned int cpu, offset;

	for (cpu = 0; cpu < run->m.nr_cpus; cpu++) {
		for (offset = 0; offset < ARMATURE_GIC_DIST_SIZE; offset += 4)
			both_dist_read(run, cpu, offset, 4);
		for (offset = 0; offset < 0x100; offset += 4) {
			if (offset != GICC_IAR && offset != GICC_AIAR)
				both_cpu_read(run, cpu, offset, 4);
		}
	}
}

static void op_line(struct run *run)
{
	unsigned int cpu = pick(run, run->m.nr_cpus);
	unsigned int intid = pick_irq(run);
	bool level = pick(run, 2);

	if (intid < 16)
		return;
	model_input(&run->m, cpu, intid, level);
	set_line(&run->b, cpu, intid, level);
}

static void op_ack(struct run *run)
{
	unsigned int cpu = pick(run, run->m.nr_cpus);
	uint32_t value = both_cpu_read(run, cpu, pick(run, 4) ? GICC_IAR : GICC_AIAR, 4);

	if ((value & 0x3ff) < 1020 && run->nr_taken[cpu] < STACK)
		run->taken[cpu][run->nr_taken[cpu]++] = value;
}

static void op_end(struct run *run)
{
	static const unsigned int regs[] = {GICC_EOIR, GICC_EOIR, GICC_EOIR, GICC_AEOIR, GICC_DIR};
	unsigned int cpu = pick(run, run->m.nr_cpus);
	unsigned int reg = regs[pick(run, ARRAY_SIZE(regs))];
	uint32_t value = pick_irq(run);

	if (run->nr_taken[cpu] && pick(run, 8)) {
		value = run->taken[cpu][run->nr_taken[cpu] - 1];
		if (reg != GICC_DIR)
			run->nr_taken[cpu]--;
	} else if (!pick(run, 4)) {
		value = random_u32(&run->r);
	}
	both_cpu_write(run, cpu, reg, 4, value);
}

static void op_sgi(struct run *run)
{
	unsigned int cpu = pick(run, run->m.nr_cpus);
	uint32_t value = random_u32(&run->r);

	if (pick(run, 4))
		value = (value & 0x03ff0000) | run->hot[pick(run, 3)];
	if (pick(run, 2))
		both_dist_write(run, cpu, GICD_SGIR, 4, value);
	else
		both_dist_write(run, cpu,
				(pick(run, 2) ? GICD_SPENDSGIR : GICD_CPENDSGIR) +
					run->hot[pick(run, 3)],
				1, value);
}

/* One interrupt's field, or a whole word now and then. */
static void op_dist(struct run *run)
{
	static const unsigned int arrays[] = {
		GICD_IGROUPR,   GICD_ISENABLER,  GICD_ISENABLER, GICD_ICENABLER,
		GICD_ISPENDR,   GICD_ICPENDR,    GICD_ISACTIVER, GICD_ICACTIVER,
		GICD_ICACTIVER, GICD_IPRIORITYR, GICD_ITARGETSR, GICD_ICFGR,
	};
	unsigned int array = arrays[pick(run, ARRAY_SIZE(arrays))];
	unsigned int cpu = pick(run, run->m.nr_cpus);
	unsigned int intid = pick_irq(run);

	if (array == GICD_IPRIORITYR)
		both_dist_write(run, cpu, array + intid, 1, pick_priority(run));
	else if (array == GICD_ITARGETSR)
		both_dist_write(run, cpu, array + intid, 1, random_u32(&run->r));
	else if (array == GICD_ICFGR)
		both_dist_write(run, cpu, array + intid / 16 * 4, 4, random_u32(&run->r));
	else if (array == GICD_IGROUPR || !pick(run, 16))
		both_dist_write(run, cpu, array + intid / 32 * 4, 4,
				random_u32(&run->r) & random_u32(&run->r));
	else
		both_dist_write(run, cpu, array + intid / 32 * 4, 4, 1u << intid % 32);
}

static void op_control(struct run *run)
{
	unsigned int cpu = pick(run, run->m.nr_cpus);

	switch (pick(run, 7)) {
	case 0:
		both_dist_write(run, cpu, GICD_CTLR, 4, pick(run, 4) ? 3 : random_u32(&run->r));
		break;
	case 1:
		both_cpu_write(run, cpu, GICC_CTLR, 4,
			       pick(run, 3) ? 3 | (random_u32(&run->r) & 0x21c)
					    : random_u32(&run->r));
		break;
	case 2:
		both_cpu_write(run, cpu, GICC_PMR, 4, pick(run, 4) ? 0xff : pick_priority(run));
		break;
	case 3:
		both_cpu_write(run, cpu, GICC_BPR, 4, random_u32(&run->r));
		break;
	case 4:
		both_cpu_write(run, cpu, GICC_ABPR, 4, random_u32(&run->r));
		break;
	case 5:
		both_cpu_write(run, cpu, GICC_APR0, 4, pick(run, 4) ? 0 : random_u32(&run->r));
		break;
	default:
		both_cpu_write(run, cpu, GICC_NSAPR0, 4, pick(run, 4) ? 0 : random_u32(&run->r));
	}
}

/* Any offset, size, value and CPU at all. */
static void op_garbage(struct run *run)
{
	static const unsigned int sizes[] = {1, 2, 4, 4, 4, 8, 0, 3, 255};
	unsigned int size = sizes[pick(run, ARRAY_SIZE(sizes))];
	unsigned int cpu = pick(run, 32) ? pick(run, run->m.nr_cpus) : random_u32(&run->r);
	uint64_t value = (uint64_t)random_u32(&run->r) << 32 | random_u32(&run->r);
	uint64_t offset = pick(run, 0x2100);

	if (!pick(run, 16))
		offset = value;
	else if (pick(run, 2))
		offset &= ~3ull;
	switch (pick(run, 4)) {
	case 0:
		if (size)
			both_dist_read(run, cpu, offset, size);
		break;
	case 1:
		if (size)
			both_dist_write(run, cpu, offset, size, value);
		break;
	case 2:
		both_cpu_read(run, cpu, offset, size);
		break;
	default:
		both_cpu_write(run, cpu, offset, size, value);
	}
}

/* A new GIC goes on from the saved state; only the pins that are high change. */
static void op_migrate(struct run *run)
{
	size_t size = armature_gic_state_size(run->b.gic);
	uint8_t *state = malloc(size), *again = malloc(size);
	struct bench old = run->b;

	assert_int_equal(armature_gic_save(old.gic, state, size), 0);
	bench_free(&old);
	bench_make(&run->b, run->m.nr_cpus, run->m.nr_irqs);
	if (pick(run, 2)) { /* into a GIC that has a state of its own */
		bench_enable(&run->b);
		dist_write(&run->b, 0, GICD_SGIR, 0xff0001);
		set_line(&run->b, 0, 20, true);
		cpu_read(&run->b, 0, GICC_IAR);
	}
	assert_int_equal(armature_gic_restore(run->b.gic, state, size), 0);
	assert_int_equal(armature_gic_save(run->b.gic, again, size), 0);
	assert_memory_equal(state, again, size);
	free(state);
	free(again);
}

/* A damaged state is refused without an effect, or it is a state, and is saved again as it was. */
static void op_damage(struct run *run)
{
	size_t size = armature_gic_state_size(run->b.gic);
	uint8_t *before = malloc(size), *bad = malloc(size), *after = malloc(size);
	unsigned int i, changes = 1 + pick(run, 3);
	int result;

	assert_int_equal(armature_gic_save(run->b.gic, before, size), 0);
	memcpy(bad, before, size);
	for (i = 0; i < changes; i++)
		bad[pick(run, pick(run, 2) ? size : 64)] ^= 1u << pick(run, 8);
	result = armature_gic_restore(run->b.gic, bad, size);
	assert_true(result == 0 || result == -EINVAL);
	assert_int_equal(armature_gic_save(run->b.gic, after, size), 0);
	assert_memory_equal(after, result ? before : bad, size);
	assert_int_equal(armature_gic_restore(run->b.gic, before, size), 0);
	free(before);
	free(bad);
	free(after);
}

static void op_reset(struct run *run)
{
	armature_gic_reset(run->b.gic);
	model_reset(&run->m);
	memset(run->nr_taken, 0, sizeof(run->nr_taken));
}

/* Both GICs switched on, so that operations have something to work on. */
static void start(struct run *run)
{
	unsigned int cpu, i;

	both_dist_write(run, 0, GICD_CTLR, 4, 3);
	for (cpu = 0; cpu < run->m.nr_cpus; cpu++) {
		both_cpu_write(run, cpu, GICC_CTLR, 4, 0x7);
		both_cpu_write(run, cpu, GICC_PMR, 4, 0xff);
	}
	for (i = 0; i < HOT_IRQS; i++) {
		unsigned int intid = run->hot[i];

		for (cpu = 0; cpu < run->m.nr_cpus; cpu++) {
			both_dist_write(run, cpu, GICD_ISENABLER + intid / 32 * 4, 4,
					1u << intid % 32);
			both_dist_write(run, cpu, GICD_IPRIORITYR + intid, 1, pick_priority(run));
		}
		both_dist_write(run, 0, GICD_ITARGETSR + intid, 1, random_u32(&run->r));
	}
}

static void step(struct run *run)
{
	unsigned int what = pick(run, 1000);

	if (what < 200)
		op_line(run);
	else if (what < 450)
		op_ack(run);
	else if (what < 650)
		op_end(run);
	else if (what < 730)
		op_sgi(run);
	else if (what < 870)
		op_dist(run);
	else if (what < 920)
		op_control(run);
	else if (what < 990)
		op_garbage(run);
	else if (what < 995)
		op_migrate(run);
	else if (what < 999)
		op_damage(run);
	else if (!pick(run, 4))
		op_reset(run);
	else
		start(run);
}

static void random_run(unsigned int nr_cpus, unsigned int nr_irqs, unsigned int steps,
		       uint64_t seed)
{
	struct run *run = calloc(1, sizeof(*run));
	unsigned int i;

	run->r.state = seed;
	run->m.nr_cpus = nr_cpus;
	run->m.nr_irqs = nr_irqs;
	bench_make(&run->b, nr_cpus, nr_irqs);
	model_reset(&run->m);
	for (i = 0; i < HOT_IRQS; i++) {
		if (i < 3)
			run->hot[i] = pick(run, 16);
		else if (i < 6 || nr_irqs == 32)
			run->hot[i] = 16 + pick(run, 16);
		else
			run->hot[i] = 32 + pick(run, nr_irqs - 32);
	}
	start(run);
	for (i = 0; i < steps; i++) {
		step(run);
		compare_pins(run);
		if (i % 500 == 0)
			compare_registers(run);
	}
	compare_registers(run);
	bench_free(&run->b);
	free(run);
}

static uint64_t seed(void)
{
	const char *text = getenv("GIC_SEED");

	return text ? strtoull(text, NULL, 0) | 1 : 0x9e3779b97f4a7c15;
}

/* GIC_ROUNDS and GIC_SEED in the environment make more runs, and others. */
static void against_the_model(void **unused)
{
	static const unsigned int irqs[] = {32, 64, 96, 288};
	const char *text = getenv("GIC_ROUNDS");
	unsigned int rounds = text ? strtoul(text, NULL, 0) : 1, i;

	for (i = 0; i < 32 * rounds; i++)
		random_run(1 + i % 8, irqs[i / 8 % 4], 8000, seed() + 2 * i);
}

static void against_the_model_at_full_size(void **unused)
{
	random_run(8, 1020, 8000, seed());
	random_run(1, 1020, 8000, seed() + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_the_model),
		cmocka_unit_test(against_the_model_at_full_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
