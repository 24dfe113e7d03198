/* SPDX-License-Identifier: MIT */
/*
 * From pending to the pins and back: priorities, preemption, groups, targets, acknowledge, priority
 * drop and deactivation (ARM IHI 0048B, chapter 3 and section 4.4).
 */
#include "tests/gic/gic_test.h"

static void set_priority(struct bench *b, unsigned int cpu, unsigned int intid, uint8_t priority)
{
	dist_write8(b, cpu, GICD_IPRIORITYR + intid, priority);
}

static bool irq_pin(const struct bench *b, unsigned int cpu)
{
	assert_int_equal(armature_gic_pin(b->gic, cpu, ARMATURE_GIC_IRQ),
			 b->pin[cpu][ARMATURE_GIC_IRQ]);
	return b->pin[cpu][ARMATURE_GIC_IRQ];
}

static bool fiq_pin(const struct bench *b, unsigned int cpu)
{
	assert_int_equal(armature_gic_pin(b->gic, cpu, ARMATURE_GIC_FIQ),
			 b->pin[cpu][ARMATURE_GIC_FIQ]);
	return b->pin[cpu][ARMATURE_GIC_FIQ];
}

/* An interrupt is signalled if its priority is strictly higher than the mask (section 3.3.2). */
static void priority_mask(void **unused)
{
	struct bench b;
	unsigned int priority, mask;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	set_line(&b, 0, 40, true);
	for (priority = 0; priority < 256; priority += 8) {
		set_priority(&b, 0, 40, priority);
		for (mask = 0; mask < 256; mask += 8) {
			cpu_write(&b, 0, GICC_PMR, mask);
			assert_int_equal(irq_pin(&b, 0), priority < mask);
			/* The mask hides nothing from this register. */
			assert_int_equal(cpu_read(&b, 0, GICC_HPPIR), 40);
			if (priority >= mask)
				assert_int_equal(cpu_read(&b, 0, GICC_IAR), SPURIOUS);
		}
	}
	bench_free(&b);
}

/* How many low bits of a priority are not group priority: sections 3.3.3 and 3.5. */
static const unsigned int subpriority_bits[2][8] = {
	{3, 3, 3, 4, 5, 6, 7, 8}, /* GICC_BPR 0 to 7; less than 2 is 2 */
	{3, 3, 3, 3, 4, 5, 6, 7}, /* GICC_ABPR 0 to 7; less than 3 is 3 */
};

/* Every running priority against every pending one. */
static void preempt_all(struct bench *b, unsigned int group, unsigned int bits)
{
	unsigned int running, pending;

	for (running = 0; running < 0xf8; running += 8) {
		set_priority(b, 0, 40, running);
		set_line(b, 0, 40, true);
		assert_int_equal(cpu_read(b, 0, GICC_IAR), 40);
		set_line(b, 0, 40, false);
		assert_int_equal(cpu_read(b, 0, GICC_RPR), running >> bits << bits);
		assert_int_equal(cpu_read(b, 0, group ? GICC_NSAPR0 : GICC_APR0),
				 1u << ((running >> bits << bits) / 8));
		assert_int_equal(cpu_read(b, 0, group ? GICC_APR0 : GICC_NSAPR0), 0);
		set_line(b, 0, 41, true);
		for (pending = 0; pending < 0x100; pending += 8) {
			bool preempts = pending >> bits < running >> bits && pending < 0xf8;

			set_priority(b, 0, 41, pending);
			assert_int_equal(irq_pin(b, 0), preempts);
			if (!preempts)
				assert_int_equal(cpu_read(b, 0, GICC_IAR), SPURIOUS);
		}
		set_line(b, 0, 41, false);
		cpu_write(b, 0, GICC_EOIR, 40);
		assert_int_equal(cpu_read(b, 0, GICC_RPR), IDLE_PRIORITY);
	}
}

static void preemption(void **unused)
{
	struct bench b;
	unsigned int group, point;

	for (group = 0; group < 2; group++) {
		bench_make(&b, 1, 64);
		bench_enable(&b);
		if (group)
			dist_write(&b, 0, GICD_IGROUPR + 4, ~0u);
		for (point = 0; point < 8; point++) {
			/* The other group's binary point is far away. */
			cpu_write(&b, 0, GICC_BPR, group ? 7 - point : point);
			cpu_write(&b, 0, GICC_ABPR, group ? point : 7 - point);
			preempt_all(&b, group, subpriority_bits[group][point]);
		}
		bench_free(&b);
	}
}

/* With CBPR, GICC_BPR counts for Group 1 too. */
static void common_binary_point(void **unused)
{
	struct bench b;
	unsigned int point;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	dist_write(&b, 0, GICD_IGROUPR + 4, ~0u);
	cpu_write(&b, 0, GICC_CTLR, GICC_GRP0 | GICC_GRP1 | GICC_ACKCTL | GICC_CBPR);
	for (point = 0; point < 8; point++) {
		cpu_write(&b, 0, GICC_BPR, point);
		cpu_write(&b, 0, GICC_ABPR, 7 - point);
		preempt_all(&b, 1, subpriority_bits[0][point]);
	}
	bench_free(&b);
}

/* The binary point of the interrupt that would preempt counts, and it may have changed since. */
static void binary_point_of_the_pending(void **unused)
{
	struct bench b;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	dist_assign_bit(&b, 0, GICD_IGROUPR, 41, true);
	set_priority(&b, 0, 40, 0x98);
	set_priority(&b, 0, 41, 0x90);
	cpu_write(&b, 0, GICC_BPR, 2);
	cpu_write(&b, 0, GICC_ABPR, 6);
	set_line(&b, 0, 40, true);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 40);
	assert_int_equal(cpu_read(&b, 0, GICC_RPR), 0x98);
	set_line(&b, 0, 41, true);
	assert_false(irq_pin(&b, 0)); /* 0x90 and 0x80 are one group priority to Group 1 */
	cpu_write(&b, 0, GICC_ABPR, 3);
	assert_true(irq_pin(&b, 0));
	cpu_write(&b, 0, GICC_ABPR, 7);
	assert_false(irq_pin(&b, 0));
	cpu_write(&b, 0, GICC_CTLR, GICC_GRP0 | GICC_GRP1 | GICC_ACKCTL | GICC_CBPR);
	assert_true(irq_pin(&b, 0));
	bench_free(&b);
}

/* Nine interrupts on top of each other, and down again. */
static void nesting(void **unused)
{
	struct bench b;
	unsigned int i;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	dist_write(&b, 0, GICD_IGROUPR + 4, 0x55555555);
	for (i = 0; i < 9; i++) {
		set_priority(&b, 0, 40 + i, 0x80 - 0x10 * i);
		set_line(&b, 0, 40 + i, true);
		assert_true(irq_pin(&b, 0));
		assert_int_equal(cpu_read(&b, 0, GICC_IAR), 40 + i);
		assert_false(irq_pin(&b, 0));
		assert_int_equal(cpu_read(&b, 0, GICC_RPR), 0x80 - 0x10 * i);
	}
	assert_int_equal(cpu_read(&b, 0, GICC_NSAPR0), 0x00011111);
	assert_int_equal(cpu_read(&b, 0, GICC_APR0), 0x00004444);
	for (i = 9; i-- > 0;) {
		assert_int_equal(cpu_read(&b, 0, GICC_RPR), 0x80 - 0x10 * i);
		set_line(&b, 0, 40 + i, false);
		cpu_write(&b, 0, GICC_EOIR, 40 + i);
		assert_int_equal(cpu_read(&b, 0, GICC_IAR), SPURIOUS);
	}
	assert_int_equal(cpu_read(&b, 0, GICC_RPR), IDLE_PRIORITY);
	assert_int_equal(dist_read(&b, 0, GICD_ISACTIVER + 4), 0);
	bench_free(&b);
}

/* Among many, the highest priority; among equals, the lowest INTID; each once. */
static void order_of_service(void **unused)
{
	struct bench b;
	unsigned int intid, expected, level;

	bench_make(&b, 1, 1020);
	bench_enable(&b);
	for (intid = 32; intid < 1020; intid++) {
		set_edge(&b, 0, intid, true);
		set_priority(&b, 0, intid, (intid * 7 % 31) << 3);
		dist_assign_bit(&b, 0, GICD_IGROUPR, intid, intid % 3 == 0);
		set_line(&b, 0, intid, true);
	}
	for (level = 0; level < 31; level++) {
		for (expected = 32; expected < 1020; expected++) {
			if (expected * 7 % 31 != level)
				continue;
			assert_int_equal(cpu_read(&b, 0, GICC_HPPIR), expected);
			assert_int_equal(cpu_read(&b, 0, GICC_IAR), expected);
			cpu_write(&b, 0, GICC_EOIR, expected);
		}
	}
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), SPURIOUS);
	assert_false(irq_pin(&b, 0));
	bench_free(&b);
}

/* All enables and GICC_CTLR's AckCtl, FIQEn and CBPR against one interrupt of either group. */
static void check_group(struct bench *b, unsigned int group, uint32_t dist, uint32_t ctlr)
{
	bool on = dist >> group & 1 && ctlr >> group & 1;
	bool fiq = on && group == 0 && ctlr & GICC_FIQEN;
	bool hidden = group == 1 && !(ctlr & GICC_ACKCTL);
	uint32_t iar = !on ? SPURIOUS : hidden ? SPURIOUS_GRP1 : 40;
	uint32_t aiar = on && group == 1 ? 40 : SPURIOUS;

	dist_write(b, 0, GICD_CTLR, dist);
	cpu_write(b, 0, GICC_CTLR, ctlr);
	assert_int_equal(fiq_pin(b, 0), fiq);
	assert_int_equal(irq_pin(b, 0), on && !fiq);
	assert_int_equal(cpu_read(b, 0, GICC_HPPIR), iar);
	assert_int_equal(cpu_read(b, 0, GICC_AHPPIR), aiar);
	/* One of the two acknowledges, at most; what does not acknowledge has no effect. */
	if (iar != 40)
		assert_int_equal(cpu_read(b, 0, GICC_IAR), iar);
	assert_int_equal(dist_bit(b, 0, GICD_ISACTIVER, 40), false);
	assert_int_equal(cpu_read(b, 0, GICC_AIAR), aiar);
	if (aiar != 40 && iar == 40)
		assert_int_equal(cpu_read(b, 0, GICC_IAR), iar);
	assert_int_equal(dist_bit(b, 0, GICD_ISACTIVER, 40), iar == 40 || aiar == 40);
	cpu_write(b, 0, aiar == 40 ? GICC_AEOIR : GICC_EOIR, 40);
	assert_int_equal(cpu_read(b, 0, GICC_RPR), IDLE_PRIORITY);
	assert_int_equal(dist_bit(b, 0, GICD_ISACTIVER, 40), false);
}

static void groups(void **unused)
{
	struct bench b;
	unsigned int group, dist, ctlr;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	set_line(&b, 0, 40, true);
	for (group = 0; group < 2; group++) {
		dist_assign_bit(&b, 0, GICD_IGROUPR, 40, group);
		for (dist = 0; dist < 4; dist++) {
			for (ctlr = 0; ctlr < 0x200; ctlr++)
				check_group(&b, group, dist, ctlr);
		}
	}
	bench_free(&b);
}

/*
 * GICD_CTLR's enables come before the choice of the highest priority, GICC_CTLR's after: an
 * interrupt that its CPU interface does not enable keeps those below it waiting.
 */
static void group_enables_and_choice(void **unused)
{
	struct bench b;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	dist_assign_bit(&b, 0, GICD_IGROUPR, 41, true);
	set_priority(&b, 0, 40, 0x40);
	set_priority(&b, 0, 41, 0x80);
	set_line(&b, 0, 40, true);
	set_line(&b, 0, 41, true);

	cpu_write(&b, 0, GICC_CTLR, GICC_GRP1 | GICC_ACKCTL);
	assert_false(irq_pin(&b, 0));
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), SPURIOUS);
	assert_int_equal(cpu_read(&b, 0, GICC_HPPIR), SPURIOUS);
	dist_write(&b, 0, GICD_CTLR, GICD_GRP1);
	assert_true(irq_pin(&b, 0));
	assert_int_equal(cpu_read(&b, 0, GICC_HPPIR), 41);
	dist_write(&b, 0, GICD_CTLR, GICD_GRP0 | GICD_GRP1);
	assert_false(irq_pin(&b, 0));

	/* Group 0 is FIQ, and wins by priority alone. */
	cpu_write(&b, 0, GICC_CTLR, GICC_GRP0 | GICC_GRP1 | GICC_FIQEN);
	assert_true(fiq_pin(&b, 0));
	assert_false(irq_pin(&b, 0));
	set_priority(&b, 0, 41, 0x20);
	assert_false(fiq_pin(&b, 0));
	assert_true(irq_pin(&b, 0));
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), SPURIOUS_GRP1);
	assert_int_equal(cpu_read(&b, 0, GICC_AIAR), 41);
	assert_int_equal(cpu_read(&b, 0, GICC_AIAR), SPURIOUS);
	cpu_write(&b, 0, GICC_AEOIR, 41);
	set_line(&b, 0, 41, false);
	assert_true(fiq_pin(&b, 0));
	assert_int_equal(cpu_read(&b, 0, GICC_AIAR), SPURIOUS);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 40);
	bench_free(&b);
}

/* Regrouping, reprioritising and retargeting what is pending acts at once. */
static void changes_while_pending(void **unused)
{
	struct bench b;

	bench_make(&b, 2, 64);
	bench_enable(&b);
	cpu_write(&b, 0, GICC_CTLR, GICC_GRP0 | GICC_GRP1 | GICC_FIQEN);
	set_line(&b, 0, 40, true);
	assert_true(fiq_pin(&b, 0));
	dist_assign_bit(&b, 0, GICD_IGROUPR, 40, true);
	assert_true(irq_pin(&b, 0));
	assert_false(fiq_pin(&b, 0));
	set_priority(&b, 0, 40, 0xf8);
	assert_false(irq_pin(&b, 0));
	set_priority(&b, 0, 40, 0x10);
	assert_true(irq_pin(&b, 0));
	dist_write8(&b, 0, GICD_ITARGETSR + 40, 2);
	assert_false(irq_pin(&b, 0));
	assert_true(irq_pin(&b, 1));
	dist_write8(&b, 0, GICD_ITARGETSR + 40, 0);
	assert_false(irq_pin(&b, 1));
	assert_true(dist_bit(&b, 0, GICD_ISPENDR, 40));
	bench_free(&b);
}

/* An SPI with several targets is signalled to all, and taken by one (section 3.2.3). */
static void one_of_n(void **unused)
{
	struct bench b;
	unsigned int cpu, taker;

	bench_make(&b, 8, 64);
	bench_enable(&b);
	dist_write8(&b, 0, GICD_ITARGETSR + 50, 0xb7);
	for (taker = 0; taker < 8; taker++) {
		set_line(&b, 0, 50, true);
		for (cpu = 0; cpu < 8; cpu++)
			assert_int_equal(irq_pin(&b, cpu), 0xb7 >> cpu & 1);
		if (!(0xb7 >> taker & 1)) {
			assert_int_equal(cpu_read(&b, taker, GICC_IAR), SPURIOUS);
			continue;
		}
		assert_int_equal(cpu_read(&b, taker, GICC_IAR), 50);
		for (cpu = 0; cpu < 8; cpu++) {
			assert_false(irq_pin(&b, cpu));
			assert_int_equal(cpu_read(&b, cpu, GICC_IAR), SPURIOUS);
			assert_true(dist_bit(&b, cpu, GICD_ISACTIVER, 50));
		}
		cpu_write(&b, taker, GICC_EOIR, 50);
		for (cpu = 0; cpu < 8; cpu++)
			assert_int_equal(irq_pin(&b, cpu), 0xb7 >> cpu & 1);
	}
	bench_free(&b);
}

/* One CPU gets all SPIs; of several, only those that are targets. */
static void no_target(void **unused)
{
	struct bench b;
	unsigned int cpus;

	for (cpus = 1; cpus <= 2; cpus++) {
		bench_make(&b, cpus, 64);
		bench_enable(&b);
		dist_write(&b, 0, GICD_ITARGETSR + 40, 0);
		set_line(&b, 0, 40, true);
		assert_int_equal(irq_pin(&b, 0), cpus == 1);
		assert_int_equal(cpu_read(&b, 0, GICC_IAR), cpus == 1 ? 40 : SPURIOUS);
		bench_free(&b);
	}
}

static void ppis_are_private(void **unused)
{
	struct bench b;
	unsigned int intid, cpu;

	bench_make(&b, 4, 32);
	bench_enable(&b);
	for (intid = 16; intid < 32; intid++) {
		set_line(&b, 2, intid, true);
		for (cpu = 0; cpu < 4; cpu++)
			assert_int_equal(irq_pin(&b, cpu), cpu == 2);
		assert_int_equal(cpu_read(&b, 2, GICC_IAR), intid);
		set_line(&b, 3, intid, true);
		assert_true(irq_pin(&b, 3));
		assert_int_equal(cpu_read(&b, 3, GICC_IAR), intid);
		set_line(&b, 2, intid, false);
		set_line(&b, 3, intid, false);
		cpu_write(&b, 2, GICC_EOIR, intid);
		assert_true(dist_bit(&b, 3, GICD_ISACTIVER, intid));
		cpu_write(&b, 3, GICC_EOIR, intid);
	}
	bench_free(&b);
}

/* GICD_SGIR: every filter, every sender, every list (section 4.3.15). */
static void sgi_filters(void **unused)
{
	struct bench b;
	unsigned int from, list, filter, cpu;

	bench_make(&b, 5, 32);
	bench_enable(&b);
	for (filter = 0; filter < 4; filter++) {
		for (from = 0; from < 5; from++) {
			for (list = 0; list < 256; list += filter ? 51 : 1) {
				const unsigned int to[] = {list, ~(1u << from), 1u << from, 0};

				dist_write(&b, from, GICD_SGIR,
					   filter << 24 | list << 16 | 0xfff0 | 9);
				for (cpu = 0; cpu < 5; cpu++) {
					bool gets = to[filter] >> cpu & 1;
					uint32_t iar = from << 10 | 9;

					assert_int_equal(irq_pin(&b, cpu), gets);
					assert_int_equal(cpu_read(&b, cpu, GICC_HPPIR),
							 gets ? iar : SPURIOUS);
					assert_int_equal(cpu_read(&b, cpu, GICC_IAR),
							 gets ? iar : SPURIOUS);
					if (gets)
						cpu_write(&b, cpu, GICC_EOIR, iar);
				}
			}
		}
	}
	bench_free(&b);
}

/* One SGI from all eight CPUs is eight interrupts, in the order of their sources. */
static void sgi_sources(void **unused)
{
	struct bench b;
	unsigned int from, i;

	bench_make(&b, 8, 32);
	bench_enable(&b);
	for (i = 0; i < 2; i++) {
		for (from = 8; from-- > 0;)
			dist_write(&b, from, GICD_SGIR, 1u << (16 + 6) | 4);
	}
	for (from = 0; from < 8; from++) {
		assert_int_equal(dist_read8(&b, 6, GICD_SPENDSGIR + 4), 0xff & ~0u << from);
		assert_true(irq_pin(&b, 6));
		assert_int_equal(cpu_read(&b, 6, GICC_IAR), from << 10 | 4);
		assert_false(irq_pin(&b, 6));
		cpu_write(&b, 6, GICC_EOIR, from << 10 | 4);
	}
	assert_int_equal(cpu_read(&b, 6, GICC_IAR), SPURIOUS);
	bench_free(&b);
}

/* With EOImode the priority drops at GICC_EOIR, and the state ends at GICC_DIR (section 3.2.1). */
static void split_end_of_interrupt(void **unused)
{
	struct bench b;

	bench_make(&b, 2, 64);
	bench_enable(&b);
	cpu_write(&b, 0, GICC_CTLR, GICC_GRP0 | GICC_EOIMODE);
	set_priority(&b, 0, 40, 0x80);
	set_priority(&b, 0, 41, 0x80);
	set_line(&b, 0, 40, true);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 40);
	cpu_write(&b, 0, GICC_EOIR, 40);
	assert_int_equal(cpu_read(&b, 0, GICC_RPR), IDLE_PRIORITY);
	assert_true(dist_bit(&b, 0, GICD_ISACTIVER, 40));
	assert_false(irq_pin(&b, 0)); /* active and pending is not signalled */
	set_line(&b, 0, 41, true);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 41);
	cpu_write(&b, 0, GICC_EOIR, 41);
	/* In any order, and an SPI from any CPU whose EOImode is 1. */
	cpu_write(&b, 0, GICC_DIR, 40);
	assert_false(dist_bit(&b, 0, GICD_ISACTIVER, 40));
	assert_true(dist_bit(&b, 0, GICD_ISACTIVER, 41));
	assert_true(irq_pin(&b, 0));
	cpu_write(&b, 1, GICC_DIR, 41);
	assert_true(dist_bit(&b, 0, GICD_ISACTIVER, 41));
	cpu_write(&b, 1, GICC_CTLR, GICC_GRP0 | GICC_EOIMODE);
	cpu_write(&b, 1, GICC_DIR, 41);
	assert_false(dist_bit(&b, 0, GICD_ISACTIVER, 41));
	bench_free(&b);
}

static void ignored_ends(void **unused)
{
	static const uint32_t ids[] = {64, 100, 1019, 1020, 1021, 1022, 1023, 0xfc00 | 1023};
	struct bench b;
	unsigned int i;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	set_line(&b, 0, 40, true);
	set_priority(&b, 0, 40, 0x50);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 40);
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		cpu_write(&b, 0, GICC_EOIR, ids[i]);
		cpu_write(&b, 0, GICC_AEOIR, ids[i]);
		cpu_write(&b, 0, GICC_CTLR, GICC_GRP0 | GICC_EOIMODE);
		cpu_write(&b, 0, GICC_DIR, ids[i]);
		cpu_write(&b, 0, GICC_CTLR, GICC_GRP0);
		cpu_write(&b, 0, GICC_DIR, 40); /* EOImode is 0 */
		assert_int_equal(cpu_read(&b, 0, GICC_RPR), 0x50);
		assert_true(dist_bit(&b, 0, GICD_ISACTIVER, 40));
	}
	/* GICC_AEOIR drops nothing of Group 0. */
	cpu_write(&b, 0, GICC_AEOIR, 40);
	assert_int_equal(cpu_read(&b, 0, GICC_RPR), 0x50);
	/* Deactivated behind its back: GICC_EOIR still drops the priority. */
	dist_set_bit(&b, 0, GICD_ICACTIVER, 40);
	cpu_write(&b, 0, GICC_EOIR, 40);
	assert_int_equal(cpu_read(&b, 0, GICC_RPR), IDLE_PRIORITY);
	bench_free(&b);
}

/* Active priorities belong to software too, which saves and restores them (section 4.4.12). */
static void active_priorities(void **unused)
{
	struct bench b;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	set_priority(&b, 0, 40, 0x80);
	set_line(&b, 0, 40, true);
	cpu_write(&b, 0, GICC_APR0, 1u << 16);
	assert_false(irq_pin(&b, 0));
	assert_int_equal(cpu_read(&b, 0, GICC_RPR), 0x80);
	cpu_write(&b, 0, GICC_APR0, 1u << 17);
	assert_true(irq_pin(&b, 0));
	cpu_write(&b, 0, GICC_NSAPR0, 1u << 3);
	assert_false(irq_pin(&b, 0));
	assert_int_equal(cpu_read(&b, 0, GICC_RPR), 0x18);
	cpu_write(&b, 0, GICC_EOIR, 40);
	assert_int_equal(cpu_read(&b, 0, GICC_NSAPR0), 0);
	assert_int_equal(cpu_read(&b, 0, GICC_APR0), 1u << 17);
	assert_true(irq_pin(&b, 0));
	cpu_write(&b, 0, GICC_NSAPR0, 1u << 20);
	cpu_write(&b, 0, GICC_AEOIR, 40);
	assert_int_equal(cpu_read(&b, 0, GICC_NSAPR0), 0);
	assert_int_equal(cpu_read(&b, 0, GICC_APR0), 1u << 17);
	bench_free(&b);
}

/* What Linux does: boot, then a timer whose line falls while the interrupt is handled. */
static void linux_timer(void **unused)
{
	struct bench b;
	unsigned int cpu, i, mask;

	bench_make(&b, 2, 288);
	mask = dist_read(&b, 0, GICD_ITARGETSR) & 0xff;
	assert_int_equal(mask, 1);
	dist_write(&b, 0, GICD_CTLR, 0);
	for (i = 32; i < 288; i += 4) {
		dist_write(&b, 0, GICD_ITARGETSR + i, mask * 0x01010101);
		dist_write(&b, 0, GICD_IPRIORITYR + i, 0xa0a0a0a0);
	}
	for (i = 32; i < 288; i += 32) {
		dist_write(&b, 0, GICD_ICACTIVER + i / 8, ~0u);
		dist_write(&b, 0, GICD_ICENABLER + i / 8, ~0u);
	}
	dist_write(&b, 0, GICD_CTLR, 1);
	for (cpu = 0; cpu < 2; cpu++) {
		dist_write(&b, cpu, GICD_ICACTIVER, ~0u);
		dist_write(&b, cpu, GICD_ICENABLER, 0xffff0000);
		dist_write(&b, cpu, GICD_ISENABLER, 0x0000ffff);
		for (i = 0; i < 32; i += 4)
			dist_write(&b, cpu, GICD_IPRIORITYR + i, 0xa0a0a0a0);
		cpu_write(&b, cpu, GICC_PMR, 0xf0);
		for (i = 0; i < 16; i += 4)
			cpu_write(&b, cpu, GICC_APR0 + i, 0);
		cpu_write(&b, cpu, GICC_CTLR, (cpu_read(&b, cpu, GICC_CTLR) & 0x1e0) | 1);
		dist_set_bit(&b, cpu, GICD_ISENABLER, 27);
	}
	for (i = 0; i < 3; i++) {
		b.pin_changes = 0;
		b.nr_events = 0;
		set_line(&b, 1, 27, true);
		set_line(&b, 1, 27, true);
		assert_int_equal(b.pin_changes, 1);
		assert_true(irq_pin(&b, 1));
		assert_int_equal(cpu_read(&b, 1, GICC_IAR), 27);
		assert_false(irq_pin(&b, 1));
		set_line(&b, 1, 27, false);
		cpu_write(&b, 1, GICC_EOIR, 27);
		assert_int_equal(cpu_read(&b, 1, GICC_IAR), SPURIOUS);
		assert_int_equal(b.pin_changes, 2);
		assert_int_equal(b.nr_events, 2);
	}
	/* Still high at its end, it comes again at once. */
	set_line(&b, 1, 27, true);
	assert_int_equal(cpu_read(&b, 1, GICC_IAR), 27);
	cpu_write(&b, 1, GICC_EOIR, 27);
	assert_true(irq_pin(&b, 1));
	assert_int_equal(cpu_read(&b, 1, GICC_IAR), 27);
	bench_free(&b);
}

/* An IPI handler that ends its interrupt through GICD_ICACTIVER only. */
static void end_by_icactiver(void **unused)
{
	struct bench b;

	bench_make(&b, 2, 64);
	bench_enable(&b);
	dist_write(&b, 1, GICD_SGIR, 2u << 24 | 1);
	assert_int_equal(cpu_read(&b, 1, GICC_IAR), 1u << 10 | 1);
	dist_write(&b, 1, GICD_ICACTIVER, 2);
	assert_int_equal(dist_read(&b, 1, GICD_ISACTIVER), 0);
	assert_int_equal(cpu_read(&b, 1, GICC_IAR), SPURIOUS);
	assert_false(irq_pin(&b, 1));
	bench_free(&b);
}

static void check_event(const struct bench *b, unsigned int i, unsigned int cpu,
			enum armature_gic_event event, uint32_t intid)
{
	assert_int_equal(b->events[i].cpu, cpu);
	assert_int_equal(b->events[i].event, event);
	assert_int_equal(b->events[i].intid, intid);
}

static void events(void **unused)
{
	struct bench b;

	bench_make(&b, 2, 64);
	bench_enable(&b);
	assert_int_equal(cpu_read(&b, 1, GICC_IAR), SPURIOUS);
	cpu_write(&b, 1, GICC_EOIR, SPURIOUS);
	assert_int_equal(b.nr_events, 0);
	dist_write(&b, 0, GICD_SGIR, 2u << 16 | 5);
	dist_assign_bit(&b, 1, GICD_IGROUPR, 20, true);
	assert_int_equal(cpu_read(&b, 1, GICC_IAR), 5);
	cpu_write(&b, 1, GICC_EOIR, 5);
	cpu_write(&b, 1, GICC_CTLR, GICC_GRP0 | GICC_GRP1 | GICC_EOIMODE);
	set_line(&b, 1, 20, true);
	assert_int_equal(cpu_read(&b, 1, GICC_AIAR), 20);
	cpu_write(&b, 1, GICC_AEOIR, 20);
	cpu_write(&b, 1, GICC_DIR, 20);
	cpu_write(&b, 1, GICC_DIR, 20);
	assert_int_equal(b.nr_events, 5);
	check_event(&b, 0, 1, ARMATURE_GIC_ACK, 5);
	check_event(&b, 1, 1, ARMATURE_GIC_EOI, 5);
	check_event(&b, 2, 1, ARMATURE_GIC_ACK, 20);
	check_event(&b, 3, 1, ARMATURE_GIC_EOI, 20);
	check_event(&b, 4, 1, ARMATURE_GIC_DEACTIVATE, 20);
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(priority_mask),
		cmocka_unit_test(preemption),
		cmocka_unit_test(common_binary_point),
		cmocka_unit_test(binary_point_of_the_pending),
		cmocka_unit_test(nesting),
		cmocka_unit_test(order_of_service),
		cmocka_unit_test(groups),
		cmocka_unit_test(group_enables_and_choice),
		cmocka_unit_test(changes_while_pending),
		cmocka_unit_test(one_of_n),
		cmocka_unit_test(no_target),
		cmocka_unit_test(ppis_are_private),
		cmocka_unit_test(sgi_filters),
		cmocka_unit_test(sgi_sources),
		cmocka_unit_test(split_end_of_interrupt),
		cmocka_unit_test(ignored_ends),
		cmocka_unit_test(active_priorities),
		cmocka_unit_test(linux_timer),
		cmocka_unit_test(end_by_icactiver),
		cmocka_unit_test(events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
