/* SPDX-License-Identifier: MIT */
/* What a KVM needs of the GIC besides its public functions: see for_kvm.h. */
#include "gic/for_kvm.h"
#include "gic/internal.h"

#define WORD 4u

#define GICC_PMR  0x004u
#define GICC_APR0 0x0d0u

static uint32_t save_plain(struct armature_gic *gic, unsigned int cpu, uint64_t offset)
{
	return (uint32_t)armature_gic_cpu_read(gic, cpu, offset, WORD);
}

static void restore_plain(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
			  uint32_t value)
{
	armature_gic_cpu_write(gic, cpu, offset, WORD, value);
}

static uint32_t save_pmr(struct armature_gic *gic, unsigned int cpu, uint64_t offset)
{
	return save_plain(gic, cpu, offset) >> AGIC_PRIO_SHIFT;
}

static void restore_pmr(struct armature_gic *gic, unsigned int cpu, uint64_t offset, uint32_t value)
{
	restore_plain(gic, cpu, offset, value << AGIC_PRIO_SHIFT);
}

static uint32_t save_apr(struct armature_gic *gic, unsigned int cpu, uint64_t offset)
{
	uint32_t value;

	pthread_mutex_lock(&gic->lock);
	value = gic->cpu[cpu].apr[0] | gic->cpu[cpu].apr[1];
	pthread_mutex_unlock(&gic->lock);
	return value;
}

/* The group priorities, bit n for level n, that active interrupts of each group have on a CPU. */
static void active_levels(struct armature_gic *gic, unsigned int cpu, uint32_t levels[2])
{
	const struct cpu_if *c = &gic->cpu[cpu];
	unsigned int intid;

	for (intid = 0; intid < gic->config.nr_irqs; intid++) {
		const struct irq *irq = agic_irq(gic, cpu, intid);

		if (irq->active && irq->targets & agic_cpu_bit(cpu))
			levels[irq->group] |= 1u << ((irq->priority & agic_group_mask(c, irq)) >>
						     AGIC_PRIO_SHIFT);
	}
}

static void restore_apr(struct armature_gic *gic, unsigned int cpu, uint64_t offset, uint32_t value)
{
	uint32_t levels[2] = {0};

	pthread_mutex_lock(&gic->lock);
	active_levels(gic, cpu, levels);
	gic->cpu[cpu].apr[1] = value & levels[1] & ~levels[0];
	gic->cpu[cpu].apr[0] = value & ~gic->cpu[cpu].apr[1];
	gic->dirty |= agic_cpu_bit(cpu);
	agic_update_pins(gic);
	pthread_mutex_unlock(&gic->lock);
}

/* There are 32 levels: GICC_APR1 to 3 are RAZ/WI. */
static uint32_t save_zero(struct armature_gic *gic, unsigned int cpu, uint64_t offset)
{
	return 0;
}

static void restore_nothing(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
			    uint32_t value)
{
}

static const struct saved_reg {
	unsigned int offset, length;
	uint32_t (*save)(struct armature_gic *gic, unsigned int cpu, uint64_t offset);
	void (*restore)(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
			uint32_t value);
} saved_cpu_regs[] = {
	{0x000, WORD, save_plain, restore_plain},      /* GICC_CTLR */
	{GICC_PMR, WORD, save_pmr, restore_pmr},       /* GICC_PMR */
	{0x008, WORD, save_plain, restore_plain},      /* GICC_BPR */
	{0x01c, WORD, save_plain, restore_plain},      /* GICC_ABPR */
	{GICC_APR0, WORD, save_apr, restore_apr},      /* GICC_APR0 */
	{0x0d4, 3 * WORD, save_zero, restore_nothing}, /* GICC_APR1 to 3 */
	{0x0fc, WORD, save_plain, restore_nothing},    /* GICC_IIDR */
};

static const struct saved_reg *find(uint64_t offset)
{
	unsigned int i;

	for (i = 0; i < sizeof(saved_cpu_regs) / sizeof(saved_cpu_regs[0]); i++) {
		const struct saved_reg *reg = &saved_cpu_regs[i];

		if (offset >= reg->offset && offset - reg->offset < reg->length)
			return offset % WORD ? NULL : reg;
	}
	return NULL;
}

bool agic_cpu_exists(uint64_t offset)
{
	return find(offset);
}

uint32_t agic_save_cpu(struct armature_gic *gic, unsigned int cpu, uint64_t offset)
{
	const struct saved_reg *reg = find(offset);

	return reg ? reg->save(gic, cpu, offset) : 0;
}

void agic_restore_cpu(struct armature_gic *gic, unsigned int cpu, uint64_t offset, uint32_t value)
{
	const struct saved_reg *reg = find(offset);

	if (reg)
		reg->restore(gic, cpu, offset, value);
}

uint32_t agic_save_dist(struct armature_gic *gic, unsigned int cpu, uint64_t offset)
{
	return (uint32_t)armature_gic_dist_read(gic, cpu, offset, WORD);
}

void agic_restore_dist(struct armature_gic *gic, unsigned int cpu, uint64_t offset, uint32_t value)
{
	agic_dist_write(gic, cpu, offset, WORD, value, true);
}

bool agic_take_end(struct armature_gic *gic, unsigned int cpu, uint32_t intid)
{
	struct irq *irq = agic_irq(gic, cpu, intid);
	bool ended = irq->ended;

	irq->ended = false;
	return ended && !irq->edge;
}
