/* SPDX-License-Identifier: MIT */
/*
 * The Distributor's registers (section 4.3).
 *
 * Every register, or array of registers, is a row of a table. Most arrays have a field of 1, 2 or 8
 * bits for each interrupt: such a row says how wide the field is and how an interrupt's is read and
 * written. The others have functions for the whole word. A row also says which access sizes it
 * takes. What no row takes is RAZ/WI.
 */
#include <stddef.h>
#include "gic/for_kvm.h"
#include "gic/internal.h"

#define GICD_IIDR_VALUE 0x4100043bu /* product 0x41, variant 0, revision 0, implementer Arm */

#define TYPER_CPUS_SHIFT 5

#define SGIR_FILTER_SHIFT  24
#define SGIR_FILTER_MASK   0x3u
#define SGIR_TARGETS_SHIFT 16
#define SGIR_TARGETS_MASK  ((1u << ARMATURE_GIC_MAX_CPUS) - 1)
#define SGIR_INTID_MASK    0xfu

#define ICFGR_EDGE 0x2u

/* Sizes of accesses, as a set. */
#define WORD 4u
#define BYTE 1u

/**
 * struct dist_reg - A register or an array of them.
 * @offset: in the frame
 * @length: in bytes
 * @sizes:  of accesses that it takes
 * @bits:   width of the field of an interrupt, or 0 for a row with @read and @write
 * @get:    read an interrupt's field
 * @set:    write an interrupt's field; NULL if read-only
 * @restore: write the field of a saved state (for_kvm.h), where that is something else
 * @read:   read the word at a byte offset from the start of the row; NULL if write-only
 * @write:  write the first word; NULL if read-only
 */
struct dist_reg {
	unsigned int offset;
	unsigned int length;
	unsigned int sizes;
	unsigned int bits;
	uint32_t (*get)(const struct armature_gic *gic, const struct irq *irq);
	void (*set)(struct armature_gic *gic, struct irq *irq, uint32_t value);
	void (*restore)(struct armature_gic *gic, struct irq *irq, uint32_t value);
	uint32_t (*read)(struct armature_gic *gic, unsigned int at);
	void (*write)(struct armature_gic *gic, unsigned int cpu, uint32_t value);
};

static uint32_t ctlr_read(struct armature_gic *gic, unsigned int at)
{
	return gic->ctlr;
}

static void ctlr_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	gic->ctlr = value & AGIC_GICD_CTLR_MASK;
	gic->dirty = gic->all_cpus;
}

static uint32_t typer_read(struct armature_gic *gic, unsigned int at)
{
	unsigned int it_lines = (gic->config.nr_irqs + 31) / 32 - 1;

	return it_lines | (gic->config.nr_cpus - 1) << TYPER_CPUS_SHIFT;
}

static uint32_t iidr_read(struct armature_gic *gic, unsigned int at)
{
	return GICD_IIDR_VALUE;
}

static void sgir_write(struct armature_gic *gic, unsigned int cpu, uint32_t value)
{
	const uint64_t targets[] = {
		(value >> SGIR_TARGETS_SHIFT) & SGIR_TARGETS_MASK, /* the list */
		~agic_cpu_bit(cpu),                                /* all but the sender */
		agic_cpu_bit(cpu),                                 /* the sender */
		0,                                                 /* reserved */
	};

	agic_irq_send_sgi(gic, cpu, value & SGIR_INTID_MASK,
			  targets[(value >> SGIR_FILTER_SHIFT) & SGIR_FILTER_MASK]);
}

/*
 * ICPIDR4 to 7, 0 to 3 and ICCIDR0 to 3 (section 4.3.18), a byte in each word. ICPIDR2 has the
 * architecture revision, 2, in bits [7:4]; with ICPIDR1 and 4 it has Arm's JEP106 code.
 */
static uint32_t id_read(struct armature_gic *gic, unsigned int at)
{
	static const uint8_t ids[] = {0x04, 0x00, 0x00, 0x00, 0x41, 0xb0,
				      0x2b, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

	return ids[at / 4];
}

static uint32_t get_group(const struct armature_gic *gic, const struct irq *irq)
{
	return irq->group;
}

static void set_group(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	irq->group = value;
}

static uint32_t get_enabled(const struct armature_gic *gic, const struct irq *irq)
{
	return irq->enabled;
}

static void set_enabled(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	irq->enabled |= value;
}

static void clear_enabled(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	irq->enabled &= !value;
}

static uint32_t get_pending(const struct armature_gic *gic, const struct irq *irq)
{
	return agic_irq_pending(irq);
}

/* SGIs' bits are read-only here: they have GICD_SPENDSGIR and GICD_CPENDSGIR. */
static void set_pending(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	if (irq->intid >= AGIC_NR_SGIS)
		irq->latch |= value;
}

static void clear_pending(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	irq->latch &= !value;
}

/*
 * A saved state of GICD_ISPENDR does not say who sent an SGI: its own CPU, until GICD_SPENDSGIR is
 * restored, is taken for the sender, as Linux does.
 */
static void restore_pending(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	if (irq->intid >= AGIC_NR_SGIS)
		irq->latch |= value;
	else if (value)
		irq->sources |= irq->targets;
}

static void restore_not_pending(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	if (!value)
		return;
	irq->latch = false;
	irq->sources = 0;
}

static uint32_t get_active(const struct armature_gic *gic, const struct irq *irq)
{
	return irq->active;
}

static void set_active(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	irq->active |= value;
}

static void clear_active(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	irq->active &= !value;
}

static uint32_t get_priority(const struct armature_gic *gic, const struct irq *irq)
{
	return irq->priority;
}

static void set_priority(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	irq->priority = value & AGIC_PRIO_MASK;
}

static uint32_t get_targets(const struct armature_gic *gic, const struct irq *irq)
{
	return agic_uniprocessor(gic) ? 0 : irq->targets;
}

static void set_targets(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	if (irq->intid >= AGIC_NR_PRIVATE && !agic_uniprocessor(gic))
		irq->targets = value & gic->all_cpus;
}

static uint32_t get_config(const struct armature_gic *gic, const struct irq *irq)
{
	return irq->edge ? ICFGR_EDGE : 0;
}

static void set_config(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	if (irq->intid >= AGIC_NR_SGIS)
		irq->edge = value & ICFGR_EDGE;
}

static uint32_t get_sources(const struct armature_gic *gic, const struct irq *irq)
{
	return irq->sources;
}

static void set_sources(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	irq->sources |= value & gic->all_cpus;
}

static void clear_sources(struct armature_gic *gic, struct irq *irq, uint32_t value)
{
	irq->sources &= ~value;
}

/* Section 4.1.2, by offset. */
static const struct dist_reg dist_regs[] = {
	{0x000, 0x004, WORD, .read = ctlr_read, .write = ctlr_write},       /* GICD_CTLR */
	{0x004, 0x004, WORD, .read = typer_read},                           /* GICD_TYPER */
	{0x008, 0x004, WORD, .read = iidr_read},                            /* GICD_IIDR */
	{0x080, 0x080, WORD, 1, get_group, set_group},                      /* GICD_IGROUPR */
	{0x100, 0x080, WORD, 1, get_enabled, set_enabled},                  /* GICD_ISENABLER */
	{0x180, 0x080, WORD, 1, get_enabled, clear_enabled},                /* GICD_ICENABLER */
	{0x200, 0x080, WORD, 1, get_pending, set_pending, restore_pending}, /* GICD_ISPENDR */
	{0x280, 0x080, WORD, 1, get_pending, clear_pending, restore_not_pending}, /* GICD_ICPENDR */
	{0x300, 0x080, WORD, 1, get_active, set_active},            /* GICD_ISACTIVER */
	{0x380, 0x080, WORD, 1, get_active, clear_active},          /* GICD_ICACTIVER */
	{0x400, 0x400, WORD | BYTE, 8, get_priority, set_priority}, /* GICD_IPRIORITYR */
	{0x800, 0x400, WORD | BYTE, 8, get_targets, set_targets},   /* GICD_ITARGETSR */
	{0xc00, 0x100, WORD, 2, get_config, set_config},            /* GICD_ICFGR */
	{0xf00, 0x004, WORD, .write = sgir_write},                  /* GICD_SGIR */
	{0xf10, 0x010, WORD | BYTE, 8, get_sources, clear_sources}, /* GICD_CPENDSGIR */
	{0xf20, 0x010, WORD | BYTE, 8, get_sources, set_sources},   /* GICD_SPENDSGIR */
	{0xfd0, 0x030, WORD, .read = id_read},                      /* GICD_ICPIDR, ICCIDR */
};

static const struct dist_reg *find(uint64_t offset, unsigned int size)
{
	unsigned int i;

	if ((size != WORD && size != BYTE) || offset % size)
		return NULL;
	for (i = 0; i < sizeof(dist_regs) / sizeof(dist_regs[0]); i++) {
		const struct dist_reg *reg = &dist_regs[i];

		if (offset < reg->offset)
			return NULL;
		if (offset - reg->offset < reg->length)
			return reg->sizes & size ? reg : NULL;
	}
	return NULL;
}

/* The interrupts whose fields an access covers: *@first, and how many of them exist. */
static unsigned int covered(const struct armature_gic *gic, const struct dist_reg *reg,
			    uint64_t offset, unsigned int size, unsigned int *first)
{
	unsigned int count = size * 8 / reg->bits;

	*first = (offset - reg->offset) * 8 / reg->bits;
	if (*first >= gic->config.nr_irqs)
		return 0;
	if (count > gic->config.nr_irqs - *first)
		count = gic->config.nr_irqs - *first;
	return count;
}

static uint32_t read_fields(struct armature_gic *gic, unsigned int cpu, const struct dist_reg *reg,
			    uint64_t offset, unsigned int size)
{
	unsigned int first, i;
	unsigned int count = covered(gic, reg, offset, size, &first);
	uint32_t value = 0;

	for (i = 0; i < count; i++)
		value |= reg->get(gic, agic_irq(gic, cpu, first + i)) << i * reg->bits;
	return value;
}

static void write_fields(struct armature_gic *gic, unsigned int cpu, const struct dist_reg *reg,
			 uint64_t offset, unsigned int size, uint32_t value, bool restore)
{
	void (*set)(struct armature_gic * gic, struct irq * irq, uint32_t value) =
		restore && reg->restore ? reg->restore : reg->set;
	unsigned int first, i;
	unsigned int count = covered(gic, reg, offset, size, &first);
	uint32_t mask = (1u << reg->bits) - 1;

	for (i = 0; i < count; i++) {
		struct irq *irq = agic_irq(gic, cpu, first + i);

		set(gic, irq, value >> i * reg->bits & mask);
		agic_irq_changed(gic, irq);
	}
}

uint64_t armature_gic_dist_read(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
				unsigned int size)
{
	const struct dist_reg *reg = find(offset, size);
	uint32_t value = 0;

	if (!reg || cpu >= gic->config.nr_cpus)
		return 0;
	pthread_mutex_lock(&gic->lock);
	if (reg->get)
		value = read_fields(gic, cpu, reg, offset, size);
	else if (reg->read)
		value = reg->read(gic, offset - reg->offset);
	pthread_mutex_unlock(&gic->lock);
	return value;
}

/**
 * agic_dist_write() - Write to the Distributor's frame.
 * @restore: as who restores a saved state (for_kvm.h), not as a CPU
 *
 * The rest is as for armature_gic_dist_write(). Takes the lock.
 */
void agic_dist_write(struct armature_gic *gic, unsigned int cpu, uint64_t offset, unsigned int size,
		     uint64_t value, bool restore)
{
	const struct dist_reg *reg = find(offset, size);

	if (!reg || cpu >= gic->config.nr_cpus)
		return;
	pthread_mutex_lock(&gic->lock);
	if (reg->set)
		write_fields(gic, cpu, reg, offset, size, value, restore);
	else if (reg->write)
		reg->write(gic, cpu, value);
	agic_update_pins(gic);
	pthread_mutex_unlock(&gic->lock);
}

void armature_gic_dist_write(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
			     unsigned int size, uint64_t value)
{
	agic_dist_write(gic, cpu, offset, size, value, false);
}

bool agic_dist_exists(unsigned int nr_irqs, uint64_t offset)
{
	const struct dist_reg *reg = find(offset, WORD);

	return reg && (!reg->bits || (offset - reg->offset) * 8 / reg->bits < nr_irqs);
}
