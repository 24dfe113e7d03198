/* SPDX-License-Identifier: MIT */
/*
 * Save and restore: the whole state as a flat buffer, little-endian, the same on every host.
 *
 *	header		magic, version, nr_cpus, nr_irqs, GICD_CTLR		5 words
 *	each CPU	GICC_CTLR, { PMR, BPR, ABPR, 0 }, APR0, NSAPR0		4 words
 *			its 32 private interrupts				32 words
 *	each SPI	the interrupt						1 word
 *
 * An interrupt is four bytes: flags, priority, targets, sources.
 *
 * A buffer is checked as a whole before anything changes, so that restoring a bad one changes
 * nothing, and what comes from a good one is a state that the GIC could have reached by itself.
 */
#include <errno.h>
#include <string.h>
#include "gic/internal.h"

#define STATE_MAGIC   0x43494741u /* "AGIC" */
#define STATE_VERSION 1u

#define HEADER_WORDS 5
#define CPU_WORDS    4

#define FLAG_ENABLED 0x01u
#define FLAG_GROUP1  0x02u
#define FLAG_EDGE    0x04u
#define FLAG_LINE    0x08u
#define FLAG_LATCH   0x10u
#define FLAG_ACTIVE  0x20u
#define FLAG_ALL     0x3fu

#define TARGETS_SHIFT 16
#define SOURCES_SHIFT 24
#define ABPR_SHIFT    16

static void put(uint8_t **at, uint32_t word)
{
	(*at)[0] = word;
	(*at)[1] = word >> 8;
	(*at)[2] = word >> 16;
	(*at)[3] = word >> 24;
	*at += 4;
}

static uint32_t take(const uint8_t **at)
{
	const uint8_t *p = *at;

	*at += 4;
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static unsigned int nr_spis(const struct armature_gic *gic)
{
	return gic->config.nr_irqs - AGIC_NR_PRIVATE;
}

size_t armature_gic_state_size(const struct armature_gic *gic)
{
	return 4 *
	       (HEADER_WORDS + gic->config.nr_cpus * (CPU_WORDS + AGIC_NR_PRIVATE) + nr_spis(gic));
}

static uint32_t pack_irq(const struct irq *irq)
{
	uint32_t flags = (irq->enabled ? FLAG_ENABLED : 0) | (irq->group ? FLAG_GROUP1 : 0) |
			 (irq->edge ? FLAG_EDGE : 0) | (irq->line ? FLAG_LINE : 0) |
			 (irq->latch ? FLAG_LATCH : 0) | (irq->active ? FLAG_ACTIVE : 0);

	return flags | irq->priority << 8 | irq->targets << TARGETS_SHIFT |
	       (uint32_t)irq->sources << SOURCES_SHIFT;
}

static void unpack_irq(struct irq *irq, uint32_t word)
{
	irq->enabled = word & FLAG_ENABLED;
	irq->group = word & FLAG_GROUP1 ? 1 : 0;
	irq->edge = word & FLAG_EDGE;
	irq->line = word & FLAG_LINE;
	irq->latch = word & FLAG_LATCH;
	irq->active = word & FLAG_ACTIVE;
	irq->priority = word >> 8;
	irq->targets = word >> TARGETS_SHIFT;
	irq->sources = word >> SOURCES_SHIFT;
}

/* Whether an interrupt could be in a state: @irq says which one it is. */
static bool irq_valid(const struct armature_gic *gic, const struct irq *irq, uint32_t word)
{
	struct irq new = {0};

	unpack_irq(&new, word);
	if (word & 0xff & ~FLAG_ALL || new.priority & ~AGIC_PRIO_MASK)
		return false;
	if (irq->intid < AGIC_NR_PRIVATE ? new.targets != irq->targets
					 : new.targets & ~gic->all_cpus)
		return false;
	if (irq->intid >= AGIC_NR_SGIS)
		return !new.sources;
	return new.edge && !new.line && !new.latch && !(new.sources & ~gic->all_cpus);
}

int armature_gic_save(struct armature_gic *gic, void *buf, size_t size)
{
	uint8_t *at = buf;
	unsigned int cpu, i;

	if (size != armature_gic_state_size(gic))
		return -EINVAL;
	pthread_mutex_lock(&gic->lock);
	put(&at, STATE_MAGIC);
	put(&at, STATE_VERSION);
	put(&at, gic->config.nr_cpus);
	put(&at, gic->config.nr_irqs);
	put(&at, gic->ctlr);
	for (cpu = 0; cpu < gic->config.nr_cpus; cpu++) {
		const struct cpu_if *c = &gic->cpu[cpu];

		put(&at, c->ctlr);
		put(&at, c->pmr | c->bpr[0] << 8 | c->bpr[1] << ABPR_SHIFT);
		put(&at, c->apr[0]);
		put(&at, c->apr[1]);
		for (i = 0; i < AGIC_NR_PRIVATE; i++)
			put(&at, pack_irq(&c->private[i]));
	}
	for (i = 0; i < nr_spis(gic); i++)
		put(&at, pack_irq(&gic->spi[i]));
	pthread_mutex_unlock(&gic->lock);
	return 0;
}

static bool binary_point_valid(uint8_t value, uint8_t min)
{
	return value >= min && value <= AGIC_BPR_MAX;
}

static bool cpu_valid(const struct armature_gic *gic, unsigned int cpu, const uint8_t **at)
{
	uint32_t ctlr = take(at);
	uint32_t prio = take(at);
	unsigned int i;

	*at += 8; /* every value of the active priorities is one that software can write */
	if (ctlr & ~AGIC_GICC_CTLR_MASK || prio >> 24 || prio & 0xff & ~AGIC_PRIO_MASK ||
	    !binary_point_valid(prio >> 8, AGIC_BPR_MIN) ||
	    !binary_point_valid(prio >> ABPR_SHIFT, AGIC_ABPR_MIN))
		return false;
	for (i = 0; i < AGIC_NR_PRIVATE; i++) {
		if (!irq_valid(gic, &gic->cpu[cpu].private[i], take(at)))
			return false;
	}
	return true;
}

static bool state_valid(const struct armature_gic *gic, const uint8_t *at)
{
	unsigned int i;

	if (take(&at) != STATE_MAGIC || take(&at) != STATE_VERSION ||
	    take(&at) != gic->config.nr_cpus || take(&at) != gic->config.nr_irqs ||
	    take(&at) & ~AGIC_GICD_CTLR_MASK)
		return false;
	for (i = 0; i < gic->config.nr_cpus; i++) {
		if (!cpu_valid(gic, i, &at))
			return false;
	}
	for (i = 0; i < nr_spis(gic); i++) {
		if (!irq_valid(gic, &gic->spi[i], take(&at)))
			return false;
	}
	return true;
}

static void restore_irq(struct armature_gic *gic, struct irq *irq, const uint8_t **at)
{
	unpack_irq(irq, take(at));
	agic_irq_changed(gic, irq);
}

static void restore_cpu(struct armature_gic *gic, struct cpu_if *c, const uint8_t **at)
{
	uint32_t prio;
	unsigned int i;

	c->ctlr = take(at);
	prio = take(at);
	c->pmr = prio;
	c->bpr[0] = prio >> 8;
	c->bpr[1] = prio >> ABPR_SHIFT;
	c->apr[0] = take(at);
	c->apr[1] = take(at);
	for (i = 0; i < AGIC_NR_PRIVATE; i++)
		restore_irq(gic, &c->private[i], at);
}

int armature_gic_restore(struct armature_gic *gic, const void *buf, size_t size)
{
	const uint8_t *at = buf;
	unsigned int i;

	if (size != armature_gic_state_size(gic))
		return -EINVAL;
	pthread_mutex_lock(&gic->lock);
	if (!state_valid(gic, buf)) {
		pthread_mutex_unlock(&gic->lock);
		return -EINVAL;
	}
	agic_irq_forget_ready(gic);
	at += 4 * (HEADER_WORDS - 1);
	gic->ctlr = take(&at);
	for (i = 0; i < gic->config.nr_cpus; i++)
		restore_cpu(gic, &gic->cpu[i], &at);
	for (i = 0; i < nr_spis(gic); i++)
		restore_irq(gic, &gic->spi[i], &at);
	agic_update_pins(gic);
	pthread_mutex_unlock(&gic->lock);
	return 0;
}
