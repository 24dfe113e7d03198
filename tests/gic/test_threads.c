/* SPDX-License-Identifier: MIT */
/*
 * CPUs, devices and a migrating VMM on one GIC at once. What must come out right whatever the
 * interleaving: an SPI is handled by one CPU at a time; every request of a device is handled, none
 * twice; no SGI is left over; a pin is told exactly when it changes, and high while there is work.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "tests/gic/gic_test.h"

#define NR_CPUS  4
#define NR_IRQS  96
#define DEVICES  3
#define REQUESTS 20000 /* of each device */
#define SGIS     20000 /* from each CPU */

struct device {
	struct stress *stress;
	unsigned int intid;
	bool edge;
	unsigned int raised;
	unsigned int handled;
	int handlers; /* CPUs between acknowledge and end */
};

struct stress {
	struct armature_gic *gic;
	struct device device[DEVICES];
	bool pin[NR_CPUS][2];
	unsigned int bad_pins;
	unsigned int sgis_sent, sgis_taken;
	unsigned int errors;
	bool stop;
};

struct cpu_thread {
	struct stress *stress;
	unsigned int cpu;
};

static void bad(struct stress *s)
{
	__atomic_fetch_add(&s->errors, 1, __ATOMIC_SEQ_CST);
}

static void pin_changes(void *opaque, unsigned int cpu, enum armature_gic_pin pin, bool level)
{
	struct stress *s = opaque;

	if (s->pin[cpu][pin] == level)
		s->bad_pins++;
	s->pin[cpu][pin] = level;
}

/* Raise, and wait until a CPU has handled it; an edge falls at once, a level when it is handled. */
static void *device_main(void *arg)
{
	struct device *d = arg;
	unsigned int i;

	for (i = 0; i < REQUESTS; i++) {
		__atomic_store_n(&d->raised, i + 1, __ATOMIC_SEQ_CST);
		armature_gic_set_spi(d->stress->gic, d->intid, true);
		if (d->edge)
			armature_gic_set_spi(d->stress->gic, d->intid, false);
		while (__atomic_load_n(&d->handled, __ATOMIC_SEQ_CST) != i + 1) {
			if (__atomic_load_n(&d->stress->errors, __ATOMIC_SEQ_CST))
				return NULL;
			sched_yield();
		}
	}
	return NULL;
}

static void handle_device(struct stress *s, struct device *d)
{
	if (__atomic_add_fetch(&d->handlers, 1, __ATOMIC_SEQ_CST) != 1)
		bad(s);
	if (!d->edge)
		armature_gic_set_spi(s->gic, d->intid, false);
	if (__atomic_load_n(&d->handled, __ATOMIC_SEQ_CST) + 1 !=
	    __atomic_load_n(&d->raised, __ATOMIC_SEQ_CST))
		bad(s);
	__atomic_sub_fetch(&d->handlers, 1, __ATOMIC_SEQ_CST);
}

static void take_one(struct stress *s, unsigned int cpu)
{
	uint32_t iar = armature_gic_cpu_read(s->gic, cpu, GICC_IAR, 4);
	struct device *d = NULL;
	unsigned int i;

	if ((iar & 0x3ff) >= 1020)
		return;
	for (i = 0; i < DEVICES; i++) {
		if (s->device[i].intid == iar)
			d = &s->device[i];
	}
	if (d)
		handle_device(s, d);
	else if ((iar & 0x3ff) < 16 && (iar >> 10 & 7) < NR_CPUS)
		__atomic_fetch_add(&s->sgis_taken, 1, __ATOMIC_SEQ_CST);
	else
		bad(s);
	armature_gic_cpu_write(s->gic, cpu, GICC_EOIR, 4, iar);
	if (d)
		__atomic_fetch_add(&d->handled, 1, __ATOMIC_SEQ_CST);
}

static void *cpu_main(void *arg)
{
	struct cpu_thread *t = arg;
	struct stress *s = t->stress;
	unsigned int sgis = 0;

	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		if (armature_gic_pin(s->gic, t->cpu, ARMATURE_GIC_IRQ))
			take_one(s, t->cpu);
		else
			sched_yield();
		if (sgis < SGIS && !armature_gic_pin(s->gic, t->cpu, ARMATURE_GIC_IRQ)) {
			armature_gic_dist_write(s->gic, t->cpu, GICD_SGIR, 4,
						1u << 24 | (t->cpu + 3));
			__atomic_fetch_add(&s->sgis_sent, NR_CPUS - 1, __ATOMIC_SEQ_CST);
			sgis++;
		}
	}
	return NULL;
}

/* Reads the registers of all CPUs, saves, and switches priorities that matter to nobody. */
static void *observer_main(void *arg)
{
	struct stress *s = arg;
	size_t size = armature_gic_state_size(s->gic);
	void *state = malloc(size);
	unsigned int i = 0;

	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		if (armature_gic_save(s->gic, state, size))
			bad(s);
		armature_gic_dist_read(s->gic, i % NR_CPUS, i * 4 % 0x1000, 4);
		armature_gic_dist_write(s->gic, i % NR_CPUS, GICD_IPRIORITYR + 64 + i % 32, 1, i);
		armature_gic_set_ppi(s->gic, i % NR_CPUS, 16 + i % 16, i & 64);
		i++;
		sched_yield();
	}
	free(state);
	return NULL;
}

static void make(struct stress *s)
{
	struct armature_gic_config config = {
		.nr_cpus = NR_CPUS, .nr_irqs = NR_IRQS, .set_pin = pin_changes, .opaque = s};
	unsigned int cpu, i;

	memset(s, 0, sizeof(*s));
	assert_int_equal(armature_gic_create(&config, &s->gic), 0);
	armature_gic_dist_write(s->gic, 0, GICD_CTLR, 4, 1);
	for (cpu = 0; cpu < NR_CPUS; cpu++) {
		armature_gic_cpu_write(s->gic, cpu, GICC_CTLR, 4, 1);
		armature_gic_cpu_write(s->gic, cpu, GICC_PMR, 4, 0xff);
	}
	for (i = 0; i < DEVICES; i++) {
		struct device *d = &s->device[i];

		d->stress = s;
		d->intid = 40 + i;
		d->edge = i & 1;
		armature_gic_dist_write(s->gic, 0, GICD_ITARGETSR + d->intid, 1, 0xf);
		armature_gic_dist_write(s->gic, 0, GICD_ISENABLER + 4, 4, 1u << d->intid % 32);
	}
	armature_gic_dist_write(s->gic, 0, GICD_ICFGR + 8, 4, 2u << 41 % 16 * 2);
}

/* Devices are done; CPUs go on until nothing is pending. */
static void drain(struct stress *s)
{
	unsigned int cpu;
	bool more = true;

	while (more && !__atomic_load_n(&s->errors, __ATOMIC_SEQ_CST)) {
		more = false;
		for (cpu = 0; cpu < NR_CPUS; cpu++)
			more |= armature_gic_pin(s->gic, cpu, ARMATURE_GIC_IRQ);
		more |= __atomic_load_n(&s->sgis_sent, __ATOMIC_SEQ_CST) !=
			SGIS * NR_CPUS * (NR_CPUS - 1);
		sched_yield();
	}
	__atomic_store_n(&s->stop, true, __ATOMIC_SEQ_CST);
}

static void stress(void **unused)
{
	static struct stress s;
	struct cpu_thread cpus[NR_CPUS];
	pthread_t device_threads[DEVICES], cpu_threads[NR_CPUS], observer;
	unsigned int i;

	make(&s);
	for (i = 0; i < NR_CPUS; i++) {
		cpus[i] = (struct cpu_thread){&s, i};
		assert_int_equal(pthread_create(&cpu_threads[i], NULL, cpu_main, &cpus[i]), 0);
	}
	assert_int_equal(pthread_create(&observer, NULL, observer_main, &s), 0);
	for (i = 0; i < DEVICES; i++)
		assert_int_equal(
			pthread_create(&device_threads[i], NULL, device_main, &s.device[i]), 0);
	for (i = 0; i < DEVICES; i++)
		pthread_join(device_threads[i], NULL);
	drain(&s);
	for (i = 0; i < NR_CPUS; i++)
		pthread_join(cpu_threads[i], NULL);
	pthread_join(observer, NULL);

	assert_int_equal(s.errors, 0);
	assert_int_equal(s.bad_pins, 0);
	for (i = 0; i < DEVICES; i++)
		assert_int_equal(s.device[i].handled, REQUESTS);
	/* SGIs of one sender may merge while pending; none comes from nowhere, none stays. */
	assert_in_range(s.sgis_taken, 1, s.sgis_sent);
	for (i = 0; i < NR_CPUS; i++) {
		assert_int_equal(armature_gic_dist_read(s.gic, i, GICD_ISPENDR, 4) & 0xffff, 0);
		assert_int_equal(armature_gic_dist_read(s.gic, i, GICD_ISACTIVER, 4), 0);
		assert_int_equal(armature_gic_cpu_read(s.gic, i, GICC_RPR, 4), IDLE_PRIORITY);
		assert_false(s.pin[i][ARMATURE_GIC_IRQ]);
	}
	assert_int_equal(armature_gic_dist_read(s.gic, 0, GICD_ISPENDR + 4, 4), 0);
	assert_int_equal(armature_gic_dist_read(s.gic, 0, GICD_ISACTIVER + 4, 4), 0);
	armature_gic_destroy(s.gic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
