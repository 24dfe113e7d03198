/* SPDX-License-Identifier: MIT */
/*
 * What the files of libarmature-gic share: the state, its limits, and the functions between them.
 *
 *	gic.c		life of a GIC, the lines in, the lock
 *	irq.c		one interrupt's state; what is ready for each CPU; the pins out
 *	dist.c		the Distributor's registers
 *	cpu_if.c	the CPU interfaces' registers
 *	state.c		save and restore
 *	for_kvm.c	what a KVM needs besides
 *
 * Everything here is guarded by struct armature_gic's lock, and every function here wants it held.
 */
#ifndef GIC_INTERNAL_H
#define GIC_INTERNAL_H

#include <pthread.h>
#include <armature/gic.h>

/*
 * A set of CPUs is a uint64_t in which bit n stands for CPU n. That is the one limit on their
 * number outside dist.c, whose registers have room for fewer (ARMATURE_GIC_MAX_CPUS).
 */
#define AGIC_MAX_CPUS 64

#define AGIC_NR_SGIS     16
#define AGIC_NR_PRIVATE  32 /* SGIs and PPIs */
#define AGIC_NR_SPIS     (ARMATURE_GIC_MAX_IRQS - AGIC_NR_PRIVATE)
#define AGIC_INTID_GRP1  1022 /* "the pending interrupt is in Group 1", section 3.2.5 */
#define AGIC_INTID_NONE  1023 /* spurious */
#define AGIC_INTID_MASK  0x3ff
#define AGIC_CPUID_SHIFT 10 /* of an SGI's source in GICC_IAR, GICC_HPPIR */

/* Priorities: five bits at the top of a byte; the smaller, the more urgent. */
#define AGIC_PRIO_SHIFT 3
#define AGIC_PRIO_MASK  0xf8
#define AGIC_NR_LEVELS  32
#define AGIC_PRIO_IDLE  0xff
#define AGIC_BPR_MIN    2
#define AGIC_ABPR_MIN   3
#define AGIC_BPR_MAX    7

/* GICD_CTLR, and the low bits of GICC_CTLR: a bit for each group. */
#define AGIC_ENABLE(group)  (1u << (group))
#define AGIC_GICD_CTLR_MASK 0x3u

#define AGIC_GICC_ACKCTL    (1u << 2)
#define AGIC_GICC_FIQEN     (1u << 3)
#define AGIC_GICC_CBPR      (1u << 4)
#define AGIC_GICC_EOIMODE   (1u << 9)
#define AGIC_GICC_CTLR_MASK 0x3ffu /* with the four bypass-disable bits [8:5] */

/**
 * struct irq - One interrupt of any kind. SGIs and PPIs have one for each CPU.
 * @targets:     the CPUs that it may be signalled to: GICD_ITARGETSR; of a private interrupt, the
 *               CPU it belongs to; with one CPU, that CPU
 * @ready_cpus:  the CPUs in whose ready sets it is,
 * @ready_level: at this level,
 * @ready_group: in this group's set
 * @intid:       its number
 * @sources:     a GICv2 SGI's pending state: the CPUs that sent it; 0 for others
 * @priority:    GICD_IPRIORITYR
 * @group:       GICD_IGROUPR, 0 or 1
 * @enabled:     GICD_ISENABLER
 * @edge:        GICD_ICFGR; always set for an SGI
 * @line:        level of its input; false for an SGI
 * @latch:       pending by an edge or by a write of GICD_ISPENDR; false for a GICv2 SGI
 * @active:      GICD_ISACTIVER
 * @ended:       a CPU interface deactivated it, and agic_take_end() has not told yet
 */
struct irq {
	uint64_t targets;
	uint64_t ready_cpus;
	uint8_t ready_level;
	uint8_t ready_group;
	uint8_t sources;
	uint8_t priority;
	uint32_t intid;
	uint8_t group;
	bool enabled;
	bool edge;
	bool line;
	bool latch;
	bool active;
	bool ended;
};

#define AGIC_WORD_BITS 64
#define AGIC_NR_WORDS  ((ARMATURE_GIC_MAX_IRQS + AGIC_WORD_BITS - 1) / AGIC_WORD_BITS)

/**
 * struct ready - What could be signalled to one CPU: the interrupts of one group that are pending,
 *                not active, enabled, and target it.
 * @levels: bit n: words[n] is not 0
 * @words:  of each priority level; bit n: bits[level][n] is not 0
 * @bits:   of each priority level; the set itself, by INTID
 *
 * The most urgent member is three find-first-set away, whatever the number of interrupts.
 */
struct ready {
	uint32_t levels;
	uint64_t words[AGIC_NR_LEVELS];
	uint64_t bits[AGIC_NR_LEVELS][AGIC_NR_WORDS];
};

/**
 * struct cpu_if - A CPU interface, and what the Distributor banks for its CPU.
 * @private: SGIs and PPIs
 * @ready:   what could be signalled to it, by group
 * @ctlr:    GICC_CTLR
 * @pmr:     GICC_PMR
 * @bpr:     GICC_BPR and GICC_ABPR: the binary points of Group 0 and 1
 * @apr:     GICC_APR0 and GICC_NSAPR0: active group priorities of Group 0 and 1, bit n for level n
 * @pin:     level of its pins, as last told
 */
struct cpu_if {
	struct irq private[AGIC_NR_PRIVATE];
	struct ready ready[2];
	uint32_t ctlr;
	uint8_t pmr;
	uint8_t bpr[2];
	uint32_t apr[2];
	bool pin[2];
};

/**
 * struct armature_gic - A GIC.
 * @lock:     guards all that follows, except @config and @all_cpus, which never change
 * @config:   what it was made with
 * @all_cpus: the CPUs that exist
 * @dirty:    the CPUs whose pins may have to change before the lock is released
 * @ctlr:     GICD_CTLR
 * @spi:      shared interrupts; those beyond the configured number are never touched
 * @cpu:      CPU interfaces
 */
struct armature_gic {
	pthread_mutex_t lock;
	struct armature_gic_config config;
	uint64_t all_cpus;
	uint64_t dirty;
	uint32_t ctlr;
	struct irq spi[AGIC_NR_SPIS];
	struct cpu_if cpu[];
};

/* The set of one CPU. */
static inline uint64_t agic_cpu_bit(unsigned int cpu)
{
	return 1ull << cpu;
}

/* The first CPU of a set that is not empty, */
static inline unsigned int agic_first_cpu(uint64_t cpus)
{
	return __builtin_ctzll(cpus);
}

/* and the set without it. */
static inline uint64_t agic_other_cpus(uint64_t cpus)
{
	return cpus & (cpus - 1);
}

/* irq.c */
struct irq *agic_irq(struct armature_gic *gic, unsigned int cpu, unsigned int intid);
bool agic_irq_pending(const struct irq *irq);
void agic_irq_changed(struct armature_gic *gic, struct irq *irq);
void agic_irq_forget_ready(struct armature_gic *gic);
void agic_irq_send_sgi(struct armature_gic *gic, unsigned int from, unsigned int intid,
		       uint64_t to);
struct irq *agic_highest_pending(struct armature_gic *gic, unsigned int cpu);
bool agic_enabled_at_cpu(const struct cpu_if *c, const struct irq *irq);
bool agic_priority_suffices(const struct cpu_if *c, const struct irq *irq);
uint8_t agic_group_mask(const struct cpu_if *c, const struct irq *irq);
uint8_t agic_running_priority(const struct cpu_if *c);
void agic_update_pins(struct armature_gic *gic);

/* dist.c */
void agic_dist_write(struct armature_gic *gic, unsigned int cpu, uint64_t offset, unsigned int size,
		     uint64_t value, bool restore);

/* gic.c */
int agic_create(const struct armature_gic_config *config, struct armature_gic **gic);
bool agic_uniprocessor(const struct armature_gic *gic);

#endif
