/* SPDX-License-Identifier: MIT */
/*
 * libarmature-gic: the life of a GIC, and its inputs.
 *
 *	set_spi, set_ppi
 *	      |
 *	      v
 *	struct irq: pending, active, enabled, ...	<---> dist.c, the guest's accesses
 *	      |  agic_irq_changed()
 *	      v
 *	struct ready: by CPU, group and priority
 *	      |  agic_highest_pending()
 *	      v
 *	struct cpu_if: masks, active priorities		<---> cpu_if.c, the guest's accesses
 *	      |  agic_update_pins()
 *	      v
 *	set_pin
 *
 * Locks, outermost first:
 *
 *	whatever the caller holds
 *	  gic->lock			all state of one GIC; taken once by each public function
 *	    what the callbacks take	set_pin() and event() run with gic->lock held
 *
 * So a callback must not call the library, and must not wait for a lock that some thread holds
 * while it calls the library. No two GICs' locks are ever held at once. There is no global state.
 *
 * What must always hold when the lock is free: every interrupt is in the ready sets it belongs in
 * (irq.c), and every pin is where the state demands and where set_pin() last put it.
 */
#include <errno.h>
#include <stdlib.h>
#include "gic/for_kvm.h"
#include "gic/internal.h"

_Static_assert(ARMATURE_GIC_MAX_CPUS <= AGIC_MAX_CPUS, "a CPU has a bit in a set of CPUs");
_Static_assert(ARMATURE_GIC_MAX_CPUS <= 8 * sizeof(((struct irq *)0)->sources), "of SGIs too");

/**
 * agic_uniprocessor() - Whether there is one CPU only, which all interrupts then target.
 * @gic: the GIC
 *
 * Return: true if so. GICD_ITARGETSR is RAZ/WI in such a GIC (section 4.3.12).
 */
bool agic_uniprocessor(const struct armature_gic *gic)
{
	return gic->config.nr_cpus == 1;
}

/*
 * SGIs are edge-triggered and start enabled, the rest is level-sensitive and disabled; all are
 * Group 0, priority 0, inactive. Inputs keep their level.
 */
static void reset_irq(struct irq *irq, unsigned int intid, uint64_t targets)
{
	bool sgi = intid < AGIC_NR_SGIS;

	*irq = (struct irq){
		.intid = intid,
		.targets = targets,
		.enabled = sgi,
		.edge = sgi,
		.line = irq->line,
	};
}

static void reset_cpu(struct armature_gic *gic, unsigned int cpu)
{
	struct cpu_if *c = &gic->cpu[cpu];
	unsigned int intid;

	for (intid = 0; intid < AGIC_NR_PRIVATE; intid++)
		reset_irq(&c->private[intid], intid, agic_cpu_bit(cpu));
	c->ctlr = 0;
	c->pmr = 0;
	c->bpr[0] = AGIC_BPR_MIN;
	c->bpr[1] = AGIC_ABPR_MIN;
	c->apr[0] = 0;
	c->apr[1] = 0;
}

static void reset(struct armature_gic *gic)
{
	uint64_t targets = agic_uniprocessor(gic) ? gic->all_cpus : 0;
	unsigned int i;

	agic_irq_forget_ready(gic);
	gic->ctlr = 0;
	for (i = 0; i < gic->config.nr_cpus; i++)
		reset_cpu(gic, i);
	for (i = 0; i < AGIC_NR_SPIS; i++)
		reset_irq(&gic->spi[i], AGIC_NR_PRIVATE + i, targets);
}

static bool config_valid(const struct armature_gic_config *config)
{
	if (config->nr_cpus < 1 || config->nr_cpus > AGIC_MAX_CPUS || !config->set_pin)
		return false;
	if (config->nr_irqs == ARMATURE_GIC_MAX_IRQS)
		return true;
	return config->nr_irqs >= AGIC_NR_PRIVATE && config->nr_irqs < ARMATURE_GIC_MAX_IRQS &&
	       config->nr_irqs % 32 == 0;
}

/**
 * agic_create() - Make a GIC of up to AGIC_MAX_CPUS CPUs.
 * @config: as for armature_gic_create()
 * @gic:    receives the GIC
 *
 * The registers of a GICv2 cannot name a CPU beyond ARMATURE_GIC_MAX_CPUS; all else can.
 *
 * Return: as armature_gic_create().
 */
int agic_create(const struct armature_gic_config *config, struct armature_gic **gic)
{
	struct armature_gic *g;
	int err;

	if (!config_valid(config))
		return -EINVAL;
	g = calloc(1, sizeof(*g) + config->nr_cpus * sizeof(g->cpu[0]));
	if (!g)
		return -ENOMEM;
	err = pthread_mutex_init(&g->lock, NULL);
	if (err) {
		free(g);
		return -err;
	}
	g->config = *config;
	g->all_cpus = UINT64_MAX >> (AGIC_MAX_CPUS - config->nr_cpus);
	reset(g);
	*gic = g;
	return 0;
}

int armature_gic_create(const struct armature_gic_config *config, struct armature_gic **gic)
{
	return config->nr_cpus > ARMATURE_GIC_MAX_CPUS ? -EINVAL : agic_create(config, gic);
}

void armature_gic_destroy(struct armature_gic *gic)
{
	if (!gic)
		return;
	pthread_mutex_destroy(&gic->lock);
	free(gic);
}

void armature_gic_reset(struct armature_gic *gic)
{
	pthread_mutex_lock(&gic->lock);
	reset(gic);
	agic_update_pins(gic);
	pthread_mutex_unlock(&gic->lock);
}

/*
 * A rise is latched only while the interrupt is edge-triggered, enabled or not (section 3.2.4).
 * @again: a line that is driven high is a rise, also if it was high.
 */
static void set_line(struct armature_gic *gic, struct irq *irq, bool level, bool again)
{
	pthread_mutex_lock(&gic->lock);
	if (level != irq->line || (again && level && irq->edge)) {
		irq->line = level;
		if (level && irq->edge)
			irq->latch = true;
		agic_irq_changed(gic, irq);
		agic_update_pins(gic);
	}
	pthread_mutex_unlock(&gic->lock);
}

int armature_gic_set_spi(struct armature_gic *gic, unsigned int intid, bool level)
{
	if (intid < AGIC_NR_PRIVATE || intid >= gic->config.nr_irqs)
		return -EINVAL;
	set_line(gic, agic_irq(gic, 0, intid), level, false);
	return 0;
}

int armature_gic_set_ppi(struct armature_gic *gic, unsigned int cpu, unsigned int intid, bool level)
{
	if (cpu >= gic->config.nr_cpus || intid < AGIC_NR_SGIS || intid >= AGIC_NR_PRIVATE)
		return -EINVAL;
	set_line(gic, agic_irq(gic, cpu, intid), level, false);
	return 0;
}

int agic_drive(struct armature_gic *gic, unsigned int cpu, unsigned int intid, bool level)
{
	if (intid < AGIC_NR_SGIS || intid >= gic->config.nr_irqs ||
	    (intid < AGIC_NR_PRIVATE && cpu >= gic->config.nr_cpus))
		return -EINVAL;
	set_line(gic, agic_irq(gic, cpu, intid), level, true);
	return 0;
}

bool armature_gic_pin(struct armature_gic *gic, unsigned int cpu, enum armature_gic_pin pin)
{
	bool level;

	if (cpu >= gic->config.nr_cpus || (pin != ARMATURE_GIC_IRQ && pin != ARMATURE_GIC_FIQ))
		return false;
	pthread_mutex_lock(&gic->lock);
	level = gic->cpu[cpu].pin[pin];
	pthread_mutex_unlock(&gic->lock);
	return level;
}
