/* SPDX-License-Identifier: MIT */
/*
 * The obvious GICv2: ARM IHI 0048B, the pseudocode of chapter 3 and the registers of chapter 4,
 * word by word. It shares no code and no data layout with the library.
 */
#include <string.h>
#include "tests/gic/gic_test.h"
#include "tests/gic/model.h"

static unsigned int bank(unsigned int cpu, unsigned int id)
{
	return id < 32 ? cpu : MODEL_CPUS;
}

void model_reset(struct model *m)
{
	struct model was = *m;
	unsigned int cpu, id;

	memset(m, 0, sizeof(*m));
	m->nr_cpus = was.nr_cpus;
	m->nr_irqs = was.nr_irqs;
	memcpy(m->input, was.input, sizeof(m->input));
	for (cpu = 0; cpu < MODEL_CPUS; cpu++) {
		for (id = 0; id < 32; id++) {
			m->targets[cpu][id] = 1 << cpu;
			m->enabled[cpu][id] = id < 16;
			m->edge[cpu][id] = id < 16;
		}
		m->bpr[cpu] = 2;
		m->abpr[cpu] = 3;
	}
}

static int sgi_source(struct model *m, unsigned int cpu, unsigned int id)
{
	for (unsigned int source = 0; source < MODEL_CPUS; source++) {
		if (m->from[cpu][id][source])
			return source;
	}
	return -1;
}

static bool state_pending(struct model *m, unsigned int cpu, unsigned int id)
{
	unsigned int k = bank(cpu, id);

	if (id < 16)
		return sgi_source(m, cpu, id) >= 0;
	if (m->edge[k][id])
		return m->latch[k][id];
	return m->latch[k][id] || m->input[k][id];
}

/* IsPending(), IsEnabled(), HighestPriorityPendingInterrupt() */
static unsigned int highest_pending(struct model *m, unsigned int cpu)
{
	unsigned int hppi = 1023, best = 256, id;

	for (id = 0; id < m->nr_irqs; id++) {
		unsigned int k = bank(cpu, id);
		bool targeted = m->targets[k][id] >> cpu & 1;
		bool group_enabled = m->gicd_ctlr >> m->group1[k][id] & 1;

		if (m->nr_cpus == 1)
			targeted = true;
		if (!state_pending(m, cpu, id) || m->active[k][id] || !targeted)
			continue;
		if (m->enabled[k][id] && group_enabled && m->priority[k][id] < best) {
			hppi = id;
			best = m->priority[k][id];
		}
	}
	return hppi;
}

static bool cpu_enables(struct model *m, unsigned int cpu, unsigned int id)
{
	return m->gicc_ctlr[cpu] & (m->group1[bank(cpu, id)][id] ? GICC_GRP1 : GICC_GRP0);
}

/* GIC_PriorityMask(), with the library's smallest binary point of 2 */
static uint8_t priority_mask(unsigned int n, bool ns)
{
	uint16_t mask = 0xff00;

	if (ns)
		n--;
	if (n < 2)
		n = 2;
	return mask >> (7 - n);
}

static uint8_t group_mask(struct model *m, unsigned int cpu, unsigned int id)
{
	bool group1 = m->group1[bank(cpu, id)][id];

	if (group1 && !(m->gicc_ctlr[cpu] & GICC_CBPR))
		return priority_mask(m->abpr[cpu], true);
	return priority_mask(m->bpr[cpu], false);
}

static unsigned int running(struct model *m, unsigned int cpu)
{
	unsigned int level;

	for (level = 0; level < 32; level++) {
		if (m->apr[cpu] >> level & 1 || m->nsapr[cpu] >> level & 1)
			return level * 8;
	}
	return 0xff;
}

/* UpdateExceptionState() */
static bool sufficient(struct model *m, unsigned int cpu, unsigned int id)
{
	uint8_t priority = m->priority[bank(cpu, id)][id];
	bool any_active = m->apr[cpu] || m->nsapr[cpu];

	if (priority >= m->pmr[cpu])
		return false;
	return !any_active || priority < (running(m, cpu) & group_mask(m, cpu, id));
}

/* GenerateExceptions() */
void model_pins(struct model *m, unsigned int cpu, bool *irq, bool *fiq)
{
	unsigned int id = highest_pending(m, cpu);

	*irq = false;
	*fiq = false;
	if (id == 1023 || !sufficient(m, cpu, id) || !cpu_enables(m, cpu, id))
		return;
	if (!m->group1[bank(cpu, id)][id] && m->gicc_ctlr[cpu] & GICC_FIQEN)
		*fiq = true;
	else
		*irq = true;
}

void model_input(struct model *m, unsigned int cpu, unsigned int intid, bool level)
{
	unsigned int k = bank(cpu, intid);

	if (m->edge[k][intid] && level && !m->input[k][intid])
		m->latch[k][intid] = true;
	m->input[k][intid] = level;
}

/* GICC_HPPIR, GICC_AHPPIR, and with @ack GICC_IAR, GICC_AIAR */
static uint32_t take(struct model *m, unsigned int cpu, bool alias, bool ack)
{
	unsigned int id = highest_pending(m, cpu);
	unsigned int k = bank(cpu, id);
	uint32_t value = id, level;

	if (id == 1023 || !cpu_enables(m, cpu, id))
		return 1023;
	if (ack && !sufficient(m, cpu, id))
		return 1023;
	if (alias && !m->group1[k][id])
		return 1023;
	if (!alias && m->group1[k][id] && !(m->gicc_ctlr[cpu] & GICC_ACKCTL))
		return 1022;
	if (id < 16)
		value |= sgi_source(m, cpu, id) << 10;
	if (!ack)
		return value;
	level = (m->priority[k][id] & group_mask(m, cpu, id)) / 8;
	if (m->group1[k][id])
		m->nsapr[cpu] |= 1u << level;
	else
		m->apr[cpu] |= 1u << level;
	m->active[k][id] = true;
	if (id < 16)
		m->from[cpu][id][value >> 10] = false;
	else
		m->latch[k][id] = false;
	return value;
}

static void end(struct model *m, unsigned int cpu, bool alias, uint32_t value)
{
	unsigned int id = value & 0x3ff, level;

	if (id >= m->nr_irqs)
		return;
	for (level = 0; level < 32; level++) {
		if (!alias && m->apr[cpu] >> level & 1) {
			m->apr[cpu] &= ~(1u << level);
			break;
		}
		if (m->nsapr[cpu] >> level & 1) {
			m->nsapr[cpu] &= ~(1u << level);
			break;
		}
	}
	if (!(m->gicc_ctlr[cpu] & GICC_EOIMODE))
		m->active[bank(cpu, id)][id] = false;
}

uint64_t model_cpu_read(struct model *m, unsigned int cpu, uint64_t offset, unsigned int size)
{
	if (size != 4 || cpu >= m->nr_cpus)
		return 0;
	switch (offset) {
	case GICC_CTLR:
		return m->gicc_ctlr[cpu];
	case GICC_PMR:
		return m->pmr[cpu];
	case GICC_BPR:
		return m->bpr[cpu];
	case GICC_IAR:
		return take(m, cpu, false, true);
	case GICC_RPR:
		return running(m, cpu);
	case GICC_HPPIR:
		return take(m, cpu, false, false);
	case GICC_ABPR:
		return m->abpr[cpu];
	case GICC_AIAR:
		return take(m, cpu, true, true);
	case GICC_AHPPIR:
		return take(m, cpu, true, false);
	case GICC_APR0:
		return m->apr[cpu];
	case GICC_NSAPR0:
		return m->nsapr[cpu];
	case GICC_IIDR:
		return 0x0412043b;
	}
	return 0;
}

void model_cpu_write(struct model *m, unsigned int cpu, uint64_t offset, unsigned int size,
		     uint64_t value)
{
	if (size != 4 || cpu >= m->nr_cpus)
		return;
	switch (offset) {
	case GICC_CTLR:
		m->gicc_ctlr[cpu] = value & 0x3ff;
		break;
	case GICC_PMR:
		m->pmr[cpu] = value & 0xf8;
		break;
	case GICC_BPR:
		m->bpr[cpu] = (value & 7) < 2 ? 2 : value & 7;
		break;
	case GICC_EOIR:
		end(m, cpu, false, value);
		break;
	case GICC_ABPR:
		m->abpr[cpu] = (value & 7) < 3 ? 3 : value & 7;
		break;
	case GICC_AEOIR:
		end(m, cpu, true, value);
		break;
	case GICC_APR0:
		m->apr[cpu] = value;
		break;
	case GICC_NSAPR0:
		m->nsapr[cpu] = value;
		break;
	case GICC_DIR:
		if ((value & 0x3ff) < m->nr_irqs && m->gicc_ctlr[cpu] & GICC_EOIMODE)
			m->active[bank(cpu, value & 0x3ff)][value & 0x3ff] = false;
		break;
	}
}

/* One interrupt's field of an array register. */
static uint32_t get_field(struct model *m, unsigned int cpu, unsigned int array, unsigned int id)
{
	unsigned int k = bank(cpu, id), source;
	uint32_t value = 0;

	switch (array) {
	case GICD_IGROUPR:
		return m->group1[k][id];
	case GICD_ISENABLER:
	case GICD_ICENABLER:
		return m->enabled[k][id];
	case GICD_ISPENDR:
	case GICD_ICPENDR:
		return state_pending(m, cpu, id);
	case GICD_ISACTIVER:
	case GICD_ICACTIVER:
		return m->active[k][id];
	case GICD_IPRIORITYR:
		return m->priority[k][id];
	case GICD_ITARGETSR:
		return m->targets[k][id];
	case GICD_ICFGR:
		return m->edge[k][id] ? 2 : 0;
	}
	for (source = 0; source < MODEL_CPUS; source++)
		value |= m->from[cpu][id][source] << source;
	return value;
}

static void set_field(struct model *m, unsigned int cpu, unsigned int array, unsigned int id,
		      uint32_t value)
{
	unsigned int k = bank(cpu, id), source;

	switch (array) {
	case GICD_IGROUPR:
		m->group1[k][id] = value;
		return;
	case GICD_ISENABLER:
	case GICD_ICENABLER:
		if (value)
			m->enabled[k][id] = array == GICD_ISENABLER;
		return;
	case GICD_ISPENDR:
	case GICD_ICPENDR:
		if (value && id >= 16)
			m->latch[k][id] = array == GICD_ISPENDR;
		return;
	case GICD_ISACTIVER:
	case GICD_ICACTIVER:
		if (value)
			m->active[k][id] = array == GICD_ISACTIVER;
		return;
	case GICD_IPRIORITYR:
		m->priority[k][id] = value & 0xf8;
		return;
	case GICD_ITARGETSR:
		if (id >= 32)
			m->targets[k][id] = value & ((1 << m->nr_cpus) - 1);
		return;
	case GICD_ICFGR:
		if (id >= 16)
			m->edge[k][id] = value & 2;
		return;
	}
	for (source = 0; source < m->nr_cpus; source++) {
		if (value >> source & 1)
			m->from[cpu][id][source] = array == GICD_SPENDSGIR;
	}
}

/* The array register that an offset is in, and the width of its fields; 0 if in none. */
static unsigned int array_at(uint64_t offset, unsigned int *array)
{
	if (offset >= 0x080 && offset < 0x400) {
		*array = offset & ~0x7full;
		return 1;
	}
	if (offset >= 0x400 && offset < 0xc00) {
		*array = offset & ~0x3ffull;
		return 8;
	}
	if (offset >= 0xc00 && offset < 0xd00) {
		*array = 0xc00;
		return 2;
	}
	if (offset >= 0xf10 && offset < 0xf30) {
		*array = offset & ~0xfull;
		return 8;
	}
	return 0;
}

uint64_t model_dist_read(struct model *m, unsigned int cpu, uint64_t offset, unsigned int size)
{
	static const uint8_t ids[] = {4, 0, 0, 0, 0x41, 0xb0, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1};
	unsigned int array = 0, bits = array_at(offset, &array), id, i;
	uint64_t value = 0;

	if (cpu >= m->nr_cpus || (size != 4 && !(size == 1 && bits == 8)) || offset % size)
		return 0;
	if (bits) {
		id = (offset - array) * 8 / bits;
		for (i = 0; i < size * 8 / bits && id + i < m->nr_irqs; i++)
			value |= (uint64_t)get_field(m, cpu, array, id + i) << i * bits;
		return value;
	}
	if (offset == GICD_CTLR)
		return m->gicd_ctlr;
	if (offset == GICD_TYPER)
		return (m->nr_cpus - 1) << 5 | ((m->nr_irqs + 31) / 32 - 1);
	if (offset == GICD_IIDR)
		return 0x4100043b;
	if (offset >= 0xfd0 && offset < 0x1000)
		return ids[(offset - 0xfd0) / 4];
	return 0;
}

static void send_sgi(struct model *m, unsigned int cpu, uint32_t value)
{
	for (unsigned int to = 0; to < m->nr_cpus; to++) {
		bool listed = value >> (16 + to) & 1;
		unsigned int filter = value >> 24 & 3;

		if ((filter == 0 && listed) || (filter == 1 && to != cpu) ||
		    (filter == 2 && to == cpu))
			m->from[to][value & 15][cpu] = true;
	}
}

void model_dist_write(struct model *m, unsigned int cpu, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	unsigned int array = 0, bits = array_at(offset, &array), id, i;

	if (cpu >= m->nr_cpus || (size != 4 && !(size == 1 && bits == 8)) || offset % size)
		return;
	if (bits) {
		id = (offset - array) * 8 / bits;
		for (i = 0; i < size * 8 / bits && id + i < m->nr_irqs; i++)
			set_field(m, cpu, array, id + i, value >> i * bits & ((1 << bits) - 1));
	} else if (offset == GICD_CTLR) {
		m->gicd_ctlr = value & 3;
	} else if (offset == GICD_SGIR) {
		send_sgi(m, cpu, value);
	}
}
