/* SPDX-License-Identifier: MIT */
/*
 * The state of an interrupt, what is ready for each CPU, and the pins.
 *
 * An interrupt is in the ready set of a CPU exactly while it is pending, enabled, not active, and
 * targets that CPU; agic_irq_changed() makes that true again after any of these, its priority or
 * its group changed. The sets make the choice of the highest priority pending interrupt independent
 * of the number of interrupts.
 *
 * A pin is a function of the state (section 3.7's pseudocode, with interrupt grouping). Whoever
 * changes something that it depends on marks the CPU in gic->dirty; agic_update_pins() evaluates
 * the marked ones before the lock is released.
 */
#include <stddef.h>
#include "gic/internal.h"

/**
 * agic_irq() - The interrupt that a CPU knows by an INTID.
 * @gic:   the GIC
 * @cpu:   the CPU
 * @intid: below the configured number
 *
 * Return: the CPU's own SGI or PPI, or the SPI that all CPUs share.
 */
struct irq *agic_irq(struct armature_gic *gic, unsigned int cpu, unsigned int intid)
{
	if (intid < AGIC_NR_PRIVATE)
		return &gic->cpu[cpu].private[intid];
	return &gic->spi[intid - AGIC_NR_PRIVATE];
}

/**
 * agic_irq_pending() - Whether an interrupt's state includes pending.
 * @irq: the interrupt
 *
 * Return: true for a level-sensitive interrupt while its input is asserted or its latch is set; for
 * an edge-triggered one while its latch is; for an SGI while a source is (section 4.3.8).
 */
bool agic_irq_pending(const struct irq *irq)
{
	return irq->sources || irq->latch || (irq->line && !irq->edge);
}

static void ready_add(struct ready *ready, unsigned int level, unsigned int intid)
{
	unsigned int word = intid / AGIC_WORD_BITS;

	ready->bits[level][word] |= 1ull << intid % AGIC_WORD_BITS;
	ready->words[level] |= 1ull << word;
	ready->levels |= 1u << level;
}

static void ready_remove(struct ready *ready, unsigned int level, unsigned int intid)
{
	unsigned int word = intid / AGIC_WORD_BITS;

	ready->bits[level][word] &= ~(1ull << intid % AGIC_WORD_BITS);
	if (!ready->bits[level][word])
		ready->words[level] &= ~(1ull << word);
	if (!ready->words[level])
		ready->levels &= ~(1u << level);
}

/* The INTID of the most urgent member, or AGIC_INTID_NONE. */
static unsigned int ready_first(const struct ready *ready)
{
	unsigned int level, word;

	if (!ready->levels)
		return AGIC_INTID_NONE;
	level = __builtin_ctz(ready->levels);
	word = __builtin_ctzll(ready->words[level]);
	return word * AGIC_WORD_BITS + __builtin_ctzll(ready->bits[level][word]);
}

/**
 * agic_irq_changed() - Something of an interrupt changed: put it in the ready sets it belongs in.
 * @gic: the GIC
 * @irq: the interrupt
 */
void agic_irq_changed(struct armature_gic *gic, struct irq *irq)
{
	uint8_t level = irq->priority >> AGIC_PRIO_SHIFT;
	uint64_t cpus = 0;
	uint64_t left;

	if (irq->enabled && !irq->active && agic_irq_pending(irq))
		cpus = irq->targets;
	if (cpus == irq->ready_cpus &&
	    (!cpus || (level == irq->ready_level && irq->group == irq->ready_group)))
		return;

	gic->dirty |= cpus | irq->ready_cpus;
	for (left = irq->ready_cpus; left; left = agic_other_cpus(left))
		ready_remove(&gic->cpu[agic_first_cpu(left)].ready[irq->ready_group],
			     irq->ready_level, irq->intid);
	for (left = cpus; left; left = agic_other_cpus(left))
		ready_add(&gic->cpu[agic_first_cpu(left)].ready[irq->group], level, irq->intid);
	irq->ready_cpus = cpus;
	irq->ready_level = level;
	irq->ready_group = irq->group;
}

/**
 * agic_irq_send_sgi() - Make an SGI pending (section 4.3.15).
 * @gic:   the GIC
 * @from:  the CPU that sends it, below ARMATURE_GIC_MAX_CPUS
 * @intid: 0 to 15
 * @to:    the CPUs that receive it; those that do not exist are ignored
 */
void agic_irq_send_sgi(struct armature_gic *gic, unsigned int from, unsigned int intid, uint64_t to)
{
	uint64_t left;

	for (left = to & gic->all_cpus; left; left = agic_other_cpus(left)) {
		struct irq *irq = agic_irq(gic, agic_first_cpu(left), intid);

		irq->sources |= agic_cpu_bit(from);
		agic_irq_changed(gic, irq);
	}
}

/**
 * agic_highest_pending() - HighestPriorityPendingInterrupt() of section 3.7.
 * @gic: the GIC
 * @cpu: the CPU
 *
 * Return: of the interrupts ready for @cpu, in the groups that GICD_CTLR enables, the most urgent;
 * of several that are equal, that with the lowest INTID. NULL if there is none.
 */
struct irq *agic_highest_pending(struct armature_gic *gic, unsigned int cpu)
{
	struct irq *best = NULL;
	unsigned int group;

	for (group = 0; group < 2; group++) {
		unsigned int intid = AGIC_INTID_NONE;
		struct irq *irq;

		if (gic->ctlr & AGIC_ENABLE(group))
			intid = ready_first(&gic->cpu[cpu].ready[group]);
		if (intid == AGIC_INTID_NONE)
			continue;
		irq = agic_irq(gic, cpu, intid);
		if (!best || irq->priority < best->priority ||
		    (irq->priority == best->priority && irq->intid < best->intid))
			best = irq;
	}
	return best;
}

/**
 * agic_enabled_at_cpu() - Whether GICC_CTLR enables the group of an interrupt.
 * @c:   the CPU interface
 * @irq: the interrupt
 *
 * Return: true if so (section 4.4.1).
 */
bool agic_enabled_at_cpu(const struct cpu_if *c, const struct irq *irq)
{
	return c->ctlr & AGIC_ENABLE(irq->group);
}

/**
 * agic_group_mask() - GIC_PriorityMask() of section 3.7: which bits are the group priority.
 * @c:   the CPU interface
 * @irq: the interrupt whose group decides which binary point counts
 *
 * Return: the mask. A binary point n in GICC_BPR leaves bits [7:n+1]; one in GICC_ABPR, which
 * counts for Group 1 while CBPR is 0, leaves bits [7:n] (sections 3.3.3 and 3.5).
 */
uint8_t agic_group_mask(const struct cpu_if *c, const struct irq *irq)
{
	if (irq->group && !(c->ctlr & AGIC_GICC_CBPR))
		return 0xffu << c->bpr[1];
	return 0xfeu << c->bpr[0];
}

/**
 * agic_running_priority() - The running priority of a CPU interface (section 4.4.6).
 * @c: the CPU interface
 *
 * Return: the group priority of the most urgent active interrupt that had no priority drop yet, or
 * the idle priority.
 */
uint8_t agic_running_priority(const struct cpu_if *c)
{
	uint32_t active = c->apr[0] | c->apr[1];

	if (!active)
		return AGIC_PRIO_IDLE;
	return __builtin_ctz(active) << AGIC_PRIO_SHIFT;
}

/**
 * agic_priority_suffices() - Whether a pending interrupt is urgent enough to be signalled.
 * @c:   the CPU interface
 * @irq: the interrupt
 *
 * Return: true if it passes the priority mask and preempts what is running (sections 3.3.1 to
 * 3.3.3).
 */
bool agic_priority_suffices(const struct cpu_if *c, const struct irq *irq)
{
	if (irq->priority >= c->pmr)
		return false;
	if (!(c->apr[0] | c->apr[1]))
		return true;
	return irq->priority < (agic_running_priority(c) & agic_group_mask(c, irq));
}

/* The pin that has to be high, or -1: GenerateExceptions() of section 3.7. At most one is. */
static int wanted_pin(struct armature_gic *gic, unsigned int cpu)
{
	const struct cpu_if *c = &gic->cpu[cpu];
	const struct irq *irq = agic_highest_pending(gic, cpu);

	if (!irq || !agic_enabled_at_cpu(c, irq) || !agic_priority_suffices(c, irq))
		return -1;
	return irq->group == 0 && c->ctlr & AGIC_GICC_FIQEN ? ARMATURE_GIC_FIQ : ARMATURE_GIC_IRQ;
}

static void drive_pin(struct armature_gic *gic, unsigned int cpu, enum armature_gic_pin pin,
		      bool level)
{
	if (gic->cpu[cpu].pin[pin] == level)
		return;
	gic->cpu[cpu].pin[pin] = level;
	gic->config.set_pin(gic->config.opaque, cpu, pin, level);
}

/**
 * agic_update_pins() - Drive the pins of the CPUs in gic->dirty as the state demands.
 * @gic: the GIC
 */
void agic_update_pins(struct armature_gic *gic)
{
	for (; gic->dirty; gic->dirty = agic_other_cpus(gic->dirty)) {
		unsigned int cpu = agic_first_cpu(gic->dirty);
		int pin = wanted_pin(gic, cpu);

		drive_pin(gic, cpu, ARMATURE_GIC_IRQ, pin == ARMATURE_GIC_IRQ);
		drive_pin(gic, cpu, ARMATURE_GIC_FIQ, pin == ARMATURE_GIC_FIQ);
	}
}

/**
 * agic_irq_forget_ready() - Empty all ready sets, before the state is replaced as a whole.
 * @gic: the GIC
 *
 * The caller then calls agic_irq_changed() for every interrupt.
 */
void agic_irq_forget_ready(struct armature_gic *gic)
{
	unsigned int cpu, group, intid;

	for (cpu = 0; cpu < gic->config.nr_cpus; cpu++) {
		for (group = 0; group < 2; group++)
			gic->cpu[cpu].ready[group] = (struct ready){0};
		for (intid = 0; intid < AGIC_NR_PRIVATE; intid++)
			gic->cpu[cpu].private[intid].ready_cpus = 0;
	}
	for (intid = 0; intid < AGIC_NR_SPIS; intid++)
		gic->spi[intid].ready_cpus = 0;
	gic->dirty = gic->all_cpus;
}
