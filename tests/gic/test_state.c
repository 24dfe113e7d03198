/* SPDX-License-Identifier: MIT */
/*
 * Save and restore: what a buffer must be, and what restoring does to the pins. test_random.c has
 * the round trips at random states.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tests/gic/gic_test.h"

/* Where things are in the buffer, for two CPUs: see gic/state.c. */
#define HEADER            20
#define CPU(n)            (HEADER + (n) * (16 + 32 * 4))
#define PRIVATE(n, intid) (CPU(n) + 16 + (intid)*4)
#define SPI(intid)        (CPU(2) + ((intid)-32) * 4)

struct buffers {
	struct bench b;
	size_t size;
	uint8_t *good, *bad, *after;
};

static void make(struct buffers *s)
{
	bench_make(&s->b, 2, 96);
	bench_enable(&s->b);
	set_line(&s->b, 1, 27, true);
	set_line(&s->b, 0, 40, true);
	dist_write(&s->b, 0, GICD_SGIR, 0x03000a | 1u << 24);
	assert_int_equal(cpu_read(&s->b, 0, GICC_IAR), 40);
	s->size = armature_gic_state_size(s->b.gic);
	assert_int_equal(s->size, SPI(96));
	s->good = malloc(s->size);
	s->bad = malloc(s->size);
	s->after = malloc(s->size);
	assert_int_equal(armature_gic_save(s->b.gic, s->good, s->size), 0);
}

static void end(struct buffers *s)
{
	free(s->good);
	free(s->bad);
	free(s->after);
	bench_free(&s->b);
}

/* One byte of a good buffer replaced. */
static int restore_with(struct buffers *s, size_t at, uint8_t value)
{
	unsigned int changes = s->b.pin_changes;
	int result;

	memcpy(s->bad, s->good, s->size);
	s->bad[at] = value;
	result = armature_gic_restore(s->b.gic, s->bad, s->size);
	assert_int_equal(armature_gic_save(s->b.gic, s->after, s->size), 0);
	if (result)
		assert_int_equal(s->b.pin_changes, changes);
	assert_memory_equal(s->after, result ? s->good : s->bad, s->size);
	assert_int_equal(armature_gic_restore(s->b.gic, s->good, s->size), 0);
	return result;
}

static void sizes(void **unused)
{
	struct buffers s;

	make(&s);
	assert_int_equal(armature_gic_save(s.b.gic, s.bad, s.size - 1), -EINVAL);
	assert_int_equal(armature_gic_save(s.b.gic, s.bad, s.size + 1), -EINVAL);
	assert_int_equal(armature_gic_save(s.b.gic, NULL, 0), -EINVAL);
	assert_int_equal(armature_gic_restore(s.b.gic, s.good, s.size - 1), -EINVAL);
	assert_int_equal(armature_gic_restore(s.b.gic, s.good, s.size + 1), -EINVAL);
	assert_int_equal(armature_gic_restore(s.b.gic, NULL, 0), -EINVAL);
	end(&s);
}

/* What no GIC can be: each of these is refused, and nothing has changed. */
static void impossible_states(void **unused)
{
	static const struct {
		size_t at;
		uint8_t value;
	} cases[] = {
		{0, 'X'},                   /* magic */
		{4, 2},                     /* version */
		{7, 1},                     /* version */
		{8, 1},                     /* number of CPUs */
		{12, 64},                   /* number of INTIDs */
		{16, 4},                    /* GICD_CTLR */
		{19, 0x80},                 /* GICD_CTLR */
		{CPU(0) + 1, 0x04},         /* GICC_CTLR bit 10 */
		{CPU(1) + 3, 0x01},         /* GICC_CTLR */
		{CPU(0) + 4, 0xf9},         /* GICC_PMR */
		{CPU(0) + 5, 1},            /* GICC_BPR */
		{CPU(0) + 5, 8},            /* GICC_BPR */
		{CPU(1) + 6, 2},            /* GICC_ABPR */
		{CPU(1) + 6, 0xff},         /* GICC_ABPR */
		{CPU(1) + 7, 1},            /* nothing is there */
		{PRIVATE(0, 3), 0x01},      /* a level-sensitive SGI */
		{PRIVATE(0, 3), 0x0d},      /* an SGI with an input */
		{PRIVATE(0, 3), 0x15},      /* an SGI with a latch */
		{PRIVATE(0, 3), 0x45},      /* a flag without a meaning */
		{PRIVATE(0, 3) + 1, 0x04},  /* a priority bit that is not there */
		{PRIVATE(0, 3) + 2, 0x02},  /* an SGI of another CPU */
		{PRIVATE(1, 20) + 2, 0x03}, /* a PPI of two CPUs */
		{PRIVATE(1, 20) + 2, 0x00}, /* a PPI of none */
		{PRIVATE(1, 20) + 3, 0x01}, /* a PPI with a source */
		{PRIVATE(1, 3) + 3, 0x04},  /* an SGI from a CPU that does not exist */
		{SPI(95), 0x80},            /* a flag without a meaning */
		{SPI(95) + 1, 0x01},        /* a priority bit that is not there */
		{SPI(95) + 2, 0x04},        /* a target that does not exist */
		{SPI(95) + 3, 0x01},        /* an SPI with a source */
	};
	struct buffers s;
	unsigned int i;

	make(&s);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(restore_with(&s, cases[i].at, cases[i].value), -EINVAL);
	end(&s);
}

/* With one CPU an SPI's target is that CPU, whatever was written: no other state is one. */
static void uniprocessor_targets(void **unused)
{
	uint8_t state[4 * (5 + 4 + 32 + 32)];
	uint8_t *target = state + sizeof(state) - 4 * (64 - 40) + 2;
	struct bench b;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	dist_write8(&b, 0, GICD_ITARGETSR + 40, 0);
	assert_int_equal(armature_gic_save(b.gic, state, sizeof(state)), 0);
	assert_int_equal(*target, 1);
	*target = 0;
	assert_int_equal(armature_gic_restore(b.gic, state, sizeof(state)), -EINVAL);
	*target = 1;
	assert_int_equal(armature_gic_restore(b.gic, state, sizeof(state)), 0);
	set_line(&b, 0, 40, true);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 40);
	bench_free(&b);
}

static void possible_states(void **unused)
{
	static const struct {
		size_t at;
		uint8_t value;
	} cases[] = {
		{16, 0},
		{CPU(0), 0xff},
		{CPU(0) + 4, 0},
		{CPU(0) + 5, 7},
		{CPU(0) + 6, 7},
		{CPU(1) + 8, 0xff},
		{CPU(1) + 15, 0xff},
		{PRIVATE(0, 3), 0x27},
		{PRIVATE(0, 3) + 1, 0xf8},
		{PRIVATE(0, 3) + 3, 3},
		{PRIVATE(1, 20), 0x3f},
		{SPI(50), 0x3f},
		{SPI(50) + 2, 3},
		{SPI(95) + 2, 0},
	};
	struct buffers s;
	unsigned int i;

	make(&s);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(restore_with(&s, cases[i].at, cases[i].value), 0);
	end(&s);
}

/* The pins go where the restored state wants them, and what was under way goes on. */
static void pins_follow(void **unused)
{
	struct buffers s;
	struct bench fresh;

	make(&s);
	bench_make(&fresh, 2, 96);
	assert_int_equal(armature_gic_restore(fresh.gic, s.good, s.size), 0);
	assert_memory_equal(fresh.pin, s.b.pin, sizeof(fresh.pin));
	assert_true(fresh.pin[1][ARMATURE_GIC_IRQ]);
	assert_int_equal(fresh.pin_changes, 1);
	assert_int_equal(cpu_read(&fresh, 0, GICC_RPR), 0);
	assert_true(dist_bit(&fresh, 0, GICD_ISACTIVER, 40));
	assert_int_equal(cpu_read(&fresh, 1, GICC_IAR), 10);
	cpu_write(&fresh, 1, GICC_EOIR, 10);
	assert_int_equal(cpu_read(&fresh, 1, GICC_IAR), 27);
	cpu_write(&fresh, 0, GICC_EOIR, 40);
	assert_true(fresh.pin[0][ARMATURE_GIC_IRQ]); /* its input is still high */
	set_line(&fresh, 0, 40, false);
	assert_false(fresh.pin[0][ARMATURE_GIC_IRQ]);
	/* Back: what was high and should be low falls. */
	set_line(&fresh, 0, 41, true);
	assert_true(fresh.pin[0][ARMATURE_GIC_IRQ]);
	assert_int_equal(armature_gic_restore(fresh.gic, s.good, s.size), 0);
	assert_false(fresh.pin[0][ARMATURE_GIC_IRQ]);
	bench_free(&fresh);
	end(&s);
}

static void other_configurations(void **unused)
{
	struct buffers s;
	struct bench other;

	make(&s);
	bench_make(&other, 2, 64);
	assert_int_equal(armature_gic_restore(other.gic, s.good, s.size), -EINVAL);
	assert_int_equal(
		armature_gic_restore(other.gic, s.good, armature_gic_state_size(other.gic)),
		-EINVAL);
	bench_free(&other);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(impossible_states),
		cmocka_unit_test(uniprocessor_targets),
		cmocka_unit_test(possible_states),
		cmocka_unit_test(pins_follow),
		cmocka_unit_test(other_configurations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
