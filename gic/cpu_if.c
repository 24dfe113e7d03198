/* SPDX-License-Identifier: MIT */
/*
 * The CPU interfaces' registers (section 4.4): acknowledge, priority drop, deactivation.
 *
 * Every register is a row of a table. Only aligned 32-bit accesses to a row's offset reach its
 * functions; all else is RAZ/WI.
 */
#include <stddef.h>
#include "gic/internal.h"

/* Product 0x041, architecture version 2, revision 0, implementer Arm (section 4.4.14). */
#define GICC_IIDR_VALUE 0x0412043bu
#define GICC_BPR_MASK   0x7u

static void tell(struct armature_gic *gic, unsigned int cpu, enum armature_gic_event event,
		 uint32_t intid)
{
	if (gic->config.event)
		gic->config.event(gic->config.opaque, cpu, event, intid);
}

/*
 * The interrupt that a read of GICC_IAR or GICC_HPPIR (@group 0), or of their aliases (@group 1),
 * is about; or NULL, and then *@special is what is to be read instead (sections 4.4.4 and 4.4.7,
 * for a GIC without the Security Extensions). @prioritised: for acknowledging, so that the priority
 * mask and the running priority count.
 */
static struct irq *visible_pending(struct armature_gic *gic, unsigned int cpu, unsigned int group,
				   bool prioritised, uint32_t *special)
{
	const struct cpu_if *c = &gic->cpu[cpu];
	struct irq *irq = agic_highest_pending(gic, cpu);

	*special = AGIC_INTID_NONE;
	if (!irq || !agic_enabled_at_cpu(c, irq))
		return NULL;
	if (prioritised && !agic_priority_suffices(c, irq))
		return NULL;
	if (group == 1)
		return irq->group == 1 ? irq : NULL;
	if (irq->group == 1 && !(c->ctlr & AGIC_GICC_ACKCTL)) {
		*special = AGIC_INTID_GRP1;
		return NULL;
	}
	return irq;
}

/* The value that names an interrupt to software: an SGI's with the source it will be taken from. */
static uint32_t named(const struct irq *irq)
{
	uint32_t value = irq->intid;

	if (irq->sources)
		value |= agic_first_cpu(irq->sources) << AGIC_CPUID_SHIFT;
	return value;
}

/* Pending to active, or to active and pending (section 3.2.4). */
static uint32_t acknowledge(struct armature_gic *gic, unsigned int cpu, unsigned int group)
{
	struct cpu_if *c = &gic->cpu[cpu];
	uint32_t value;
	struct irq *irq = visible_pending(gic, cpu, group, true, &value);

	if (!irq)
		return value;
	value = named(irq);
	c->apr[irq->group] |= 1u << ((irq->priority & agic_group_mask(c, irq)) >> AGIC_PRIO_SHIFT);
	irq->active = true;
	irq->latch = false;
	irq->sources = agic_other_cpus(irq->sources);
	agic_irq_changed(gic, irq);
	tell(gic, cpu, ARMATURE_GIC_ACK, irq->intid);
	return value;
}

/*
 * Clears the lowest bit of the active priorities: for GICC_EOIR (@group 0) that of whichever group
 * has the lowest, for GICC_AEOIR (@group 1) that of Group 1.
 */
static void drop_priority(struct armature_gic *gic, unsigned int cpu, unsigned int group)
{
	uint32_t *apr = gic->cpu[cpu].apr;
	uint32_t lowest = group == 1 ? apr[1] : apr[0] | apr[1];

	lowest &= -lowest;
	if (group == 0 && apr[0] & lowest)
		apr[0] &= ~lowest;
	else
		apr[1] &= ~lowest;
	gic->dirty |= agic_cpu_bit(cpu);
}

static void deactivate(struct armature_gic *gic, struct irq *irq)
{
	irq->ended = irq->active;
	irq->active = false;
	agic_irq_changed(gic, irq);
}

static void end_of_interrupt(struct armature_gic *gic, unsigned int cpu, unsigned int group,
			     uint32_t value)
{
	unsigned int intid = value & AGIC_INTID_MASK;

	if (intid >= gic->config.nr_irqs)
		return;
	drop_priority(gic, cpu, group);
	if (!(gic->cpu[cpu].ctlr & AGIC_GICC_EOIMODE))
		deactivate(gic, agic_irq(gic, cpu, intid));
	tell(gic, cpu, ARMATURE_GIC_EOI, intid);
}

static uint32_t ctlr_read(struct armature_gic *gic, unsigned int cpu)
{
	return gic->cpu[cpu].ctlr;
}

static void ctlr_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	gic->cpu[cpu].ctlr = value & AGIC_GICC_CTLR_MASK;
	gic->dirty |= agic_cpu_bit(cpu);
}

static uint32_t pmr_read(struct armature_gic *gic, unsigned int cpu)
{
	return gic->cpu[cpu].pmr;
}

static void pmr_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	gic->cpu[cpu].pmr = value & AGIC_PRIO_MASK;
	gic->dirty |= agic_cpu_bit(cpu);
}

static void set_binary_point(struct armature_gic *gic, unsigned int cpu, unsigned int group,
			     uint32_t value, uint8_t min)
{
	value &= GICC_BPR_MASK;
	gic->cpu[cpu].bpr[group] = value < min ? min : value;
	gic->dirty |= agic_cpu_bit(cpu);
}

static uint32_t bpr_read(struct armature_gic *gic, unsigned int cpu)
{
	return gic->cpu[cpu].bpr[0];
}

static void bpr_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	set_binary_point(gic, cpu, 0, value, AGIC_BPR_MIN);
}

static uint32_t abpr_read(struct armature_gic *gic, unsigned int cpu)
{
	return gic->cpu[cpu].bpr[1];
}

static void abpr_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	set_binary_point(gic, cpu, 1, value, AGIC_ABPR_MIN);
}

static uint32_t iar_read(struct armature_gic *gic, unsigned int cpu)
{
	return acknowledge(gic, cpu, 0);
}

static uint32_t aiar_read(struct armature_gic *gic, unsigned int cpu)
{
	return acknowledge(gic, cpu, 1);
}

static void eoir_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	end_of_interrupt(gic, cpu, 0, value);
}

static void aeoir_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	end_of_interrupt(gic, cpu, 1, value);
}

static void dir_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	unsigned int intid = value & AGIC_INTID_MASK;
	struct irq *irq;

	if (intid >= gic->config.nr_irqs || !(gic->cpu[cpu].ctlr & AGIC_GICC_EOIMODE))
		return;
	irq = agic_irq(gic, cpu, intid);
	if (!irq->active)
		return;
	deactivate(gic, irq);
	tell(gic, cpu, ARMATURE_GIC_DEACTIVATE, intid);
}

static uint32_t rpr_read(struct armature_gic *gic, unsigned int cpu)
{
	return agic_running_priority(&gic->cpu[cpu]);
}

static uint32_t hppir_read(struct armature_gic *gic, unsigned int cpu)
{
	uint32_t special;
	struct irq *irq = visible_pending(gic, cpu, 0, false, &special);

	return irq ? named(irq) : special;
}

static uint32_t ahppir_read(struct armature_gic *gic, unsigned int cpu)
{
	uint32_t special;
	struct irq *irq = visible_pending(gic, cpu, 1, false, &special);

	return irq ? named(irq) : special;
}

static uint32_t apr_read(struct armature_gic *gic, unsigned int cpu)
{
	return gic->cpu[cpu].apr[0];
}

static void apr_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	gic->cpu[cpu].apr[0] = value;
	gic->dirty |= agic_cpu_bit(cpu);
}

static uint32_t nsapr_read(struct armature_gic *gic, unsigned int cpu)
{
	return gic->cpu[cpu].apr[1];
}

static void nsapr_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	gic->cpu[cpu].apr[1] = value;
	gic->dirty |= agic_cpu_bit(cpu);
}

static uint32_t iidr_read(struct armature_gic *gic, unsigned int cpu)
{
	return GICC_IIDR_VALUE;
}

/* Section 4.1.3. What is read and written most comes first. */
static const struct cpu_reg {
	unsigned int offset;
	uint32_t (*read)(struct armature_gic *gic, unsigned int cpu);
	void (*write)(struct armature_gic *gic, unsigned int cpu, uint32_t value);
} cpu_regs[] = {
	{0x000c, iar_read, NULL},          /* GICC_IAR */
	{0x0010, NULL, eoir_write},        /* GICC_EOIR */
	{0x1000, NULL, dir_write},         /* GICC_DIR */
	{0x0000, ctlr_read, ctlr_write},   /* GICC_CTLR */
	{0x0004, pmr_read, pmr_write},     /* GICC_PMR */
	{0x0008, bpr_read, bpr_write},     /* GICC_BPR */
	{0x0014, rpr_read, NULL},          /* GICC_RPR */
	{0x0018, hppir_read, NULL},        /* GICC_HPPIR */
	{0x001c, abpr_read, abpr_write},   /* GICC_ABPR */
	{0x0020, aiar_read, NULL},         /* GICC_AIAR */
	{0x0024, NULL, aeoir_write},       /* GICC_AEOIR */
	{0x0028, ahppir_read, NULL},       /* GICC_AHPPIR */
	{0x00d0, apr_read, apr_write},     /* GICC_APR0 */
	{0x00e0, nsapr_read, nsapr_write}, /* GICC_NSAPR0 */
	{0x00fc, iidr_read, NULL},         /* GICC_IIDR */
};

static const struct cpu_reg *find(uint64_t offset, unsigned int size)
{
	unsigned int i;

	if (size != 4)
		return NULL;
	for (i = 0; i < sizeof(cpu_regs) / sizeof(cpu_regs[0]); i++) {
		if (cpu_regs[i].offset == offset)
			return &cpu_regs[i];
	}
	return NULL;
}

uint64_t armature_gic_cpu_read(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
			       unsigned int size)
{
	const struct cpu_reg *reg = find(offset, size);
	uint32_t value;

	if (!reg || !reg->read || cpu >= gic->config.nr_cpus)
		return 0;
	pthread_mutex_lock(&gic->lock);
	value = reg->read(gic, cpu);
	agic_update_pins(gic);
	pthread_mutex_unlock(&gic->lock);
	return value;
}

void armature_gic_cpu_write(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
			    unsigned int size, uint64_t value)
{
	const struct cpu_reg *reg = find(offset, size);

	if (!reg || !reg->write || cpu >= gic->config.nr_cpus)
		return;
	pthread_mutex_lock(&gic->lock);
	reg->write(gic, cpu, value);
	agic_update_pins(gic);
	pthread_mutex_unlock(&gic->lock);
}
