/* SPDX-License-Identifier: MIT */
/*
 * From inside the library: what lies under the registers of a GICv2 serves more CPUs than those can
 * name. Interrupts' targets, ready sets and pins with AGIC_MAX_CPUS CPUs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gic/internal.h"
#include "tests/gic/gic_test.h"

#define CPUS   AGIC_MAX_CPUS
#define SPI    900
#define PPI    27
#define SGI    5
#define SENDER 3

struct many {
	struct armature_gic *gic;
	uint64_t high; /* the CPUs whose IRQ pin is high */
};

static void record(void *opaque, unsigned int cpu, enum armature_gic_pin pin, bool level)
{
	struct many *m = opaque;

	assert_int_equal(pin, ARMATURE_GIC_IRQ);
	assert_in_range(cpu, 0, CPUS - 1);
	assert_int_not_equal(m->high >> cpu & 1, level);
	m->high ^= 1ull << cpu;
}

static int set_up(void **state)
{
	struct many *m = calloc(1, sizeof(*m));
	struct armature_gic_config config = {
		.nr_cpus = CPUS, .nr_irqs = 1020, .set_pin = record, .opaque = m};
	unsigned int cpu;

	assert_int_equal(agic_create(&config, &m->gic), 0);
	armature_gic_dist_write(m->gic, 0, GICD_CTLR, 4, GICD_GRP0);
	armature_gic_dist_write(m->gic, 0, GICD_ISENABLER + SPI / 32 * 4, 4, 1u << SPI % 32);
	for (cpu = 0; cpu < CPUS; cpu++) {
		armature_gic_dist_write(m->gic, cpu, GICD_ISENABLER, 4, ~0u);
		armature_gic_cpu_write(m->gic, cpu, GICC_CTLR, 4, GICC_GRP0);
		armature_gic_cpu_write(m->gic, cpu, GICC_PMR, 4, 0xff);
	}
	*state = m;
	return 0;
}

static int tear_down(void **state)
{
	struct many *m = *state;

	armature_gic_destroy(m->gic);
	free(m);
	return 0;
}

/* What a distributor with registers for it would do. */
static void set_targets(struct many *m, unsigned int intid, uint64_t targets)
{
	struct irq *irq = agic_irq(m->gic, 0, intid);

	pthread_mutex_lock(&m->gic->lock);
	irq->targets = targets;
	agic_irq_changed(m->gic, irq);
	agic_update_pins(m->gic);
	pthread_mutex_unlock(&m->gic->lock);
}

static uint32_t acknowledge(struct many *m, unsigned int cpu)
{
	return armature_gic_cpu_read(m->gic, cpu, GICC_IAR, 4);
}

static void end(struct many *m, unsigned int cpu, uint32_t value)
{
	armature_gic_cpu_write(m->gic, cpu, GICC_EOIR, 4, value);
}

static void limits(void **state)
{
	struct armature_gic_config config = {.nr_irqs = 64, .set_pin = record};
	struct armature_gic *gic;

	config.nr_cpus = CPUS + 1;
	assert_int_equal(agic_create(&config, &gic), -EINVAL);
	config.nr_cpus = ARMATURE_GIC_MAX_CPUS + 1;
	assert_int_equal(armature_gic_create(&config, &gic), -EINVAL);
}

static void ppi_of_each(void **state)
{
	struct many *m = *state;
	uint64_t high = 0;
	unsigned int cpu;

	for (cpu = 0; cpu < CPUS; cpu++) {
		assert_int_equal(armature_gic_set_ppi(m->gic, cpu, PPI, true), 0);
		high |= 1ull << cpu;
		assert_true(m->high == high);
	}
	for (cpu = 0; cpu < CPUS; cpu++) {
		assert_int_equal(acknowledge(m, cpu), PPI);
		high &= ~(1ull << cpu);
		assert_true(m->high == high);
		armature_gic_set_ppi(m->gic, cpu, PPI, false);
		end(m, cpu, PPI);
		assert_true(m->high == high);
	}
}

static void spi_to_each(void **state)
{
	struct many *m = *state;
	unsigned int cpu;

	armature_gic_set_spi(m->gic, SPI, true);
	assert_true(m->high == 0);
	for (cpu = 0; cpu < CPUS; cpu++) {
		set_targets(m, SPI, 1ull << cpu);
		assert_true(m->high == 1ull << cpu);
		assert_int_equal(acknowledge(m, (cpu + 1) % CPUS), SPURIOUS);
		assert_int_equal(acknowledge(m, cpu), SPI);
		assert_true(m->high == 0);
		end(m, cpu, SPI);
	}
}

/* One of several takes it, and then it is nobody else's. */
static void spi_to_several(void **state)
{
	static const unsigned int cpus[] = {0, 7, 8, 31, 32, 63};
	struct many *m = *state;
	uint64_t targets = 0;
	unsigned int i;

	for (i = 0; i < 6; i++)
		targets |= 1ull << cpus[i];
	set_targets(m, SPI, targets);
	armature_gic_set_spi(m->gic, SPI, true);
	for (i = 0; i < 6; i++) {
		assert_true(m->high == targets);
		assert_int_equal(acknowledge(m, cpus[i]), SPI);
		assert_true(m->high == 0);
		assert_int_equal(acknowledge(m, cpus[5 - i]), SPURIOUS);
		end(m, cpus[i], SPI);
	}
}

static void sgi_to_all(void **state)
{
	struct many *m = *state;
	unsigned int cpu;

	pthread_mutex_lock(&m->gic->lock);
	agic_irq_send_sgi(m->gic, SENDER, SGI, ~0ull);
	agic_update_pins(m->gic);
	pthread_mutex_unlock(&m->gic->lock);
	assert_true(m->high == ~0ull);
	for (cpu = 0; cpu < CPUS; cpu++)
		assert_int_equal(acknowledge(m, cpu), SENDER << AGIC_CPUID_SHIFT | SGI);
	assert_true(m->high == 0);
}

/* What concerns all CPUs reaches the last one. */
static void switched_off(void **state)
{
	struct many *m = *state;
	unsigned int cpu;

	for (cpu = 0; cpu < CPUS; cpu++)
		armature_gic_set_ppi(m->gic, cpu, PPI, true);
	assert_true(m->high == ~0ull);
	armature_gic_dist_write(m->gic, 0, GICD_CTLR, 4, 0);
	assert_true(m->high == 0);
	armature_gic_dist_write(m->gic, 0, GICD_CTLR, 4, GICD_GRP0);
	assert_true(m->high == ~0ull);
	armature_gic_reset(m->gic);
	assert_true(m->high == 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(limits),         T(ppi_of_each), T(spi_to_each),
		T(spi_to_several), T(sgi_to_all),  T(switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
