/* SPDX-License-Identifier: MIT */
/*
 * A second GICv2, written to be obviously right rather than fast: plain arrays, and a scan of all
 * interrupts wherever the specification's pseudocode has one. The real one is compared with it.
 */
#ifndef TESTS_GIC_MODEL_H
#define TESTS_GIC_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_CPUS  8
#define MODEL_IRQS  1020
#define MODEL_BANKS (MODEL_CPUS + 1) /* bank 8 has what is shared */

struct model {
	unsigned int nr_cpus, nr_irqs;
	uint32_t gicd_ctlr;
	bool enabled[MODEL_BANKS][MODEL_IRQS];
	bool group1[MODEL_BANKS][MODEL_IRQS];
	bool edge[MODEL_BANKS][MODEL_IRQS];
	bool input[MODEL_BANKS][MODEL_IRQS];
	bool latch[MODEL_BANKS][MODEL_IRQS];
	bool active[MODEL_BANKS][MODEL_IRQS];
	uint8_t priority[MODEL_BANKS][MODEL_IRQS];
	uint8_t targets[MODEL_BANKS][MODEL_IRQS];
	bool from[MODEL_CPUS][16][MODEL_CPUS]; /* SGIs: target, INTID, source */
	uint32_t gicc_ctlr[MODEL_CPUS];
	uint8_t pmr[MODEL_CPUS], bpr[MODEL_CPUS], abpr[MODEL_CPUS];
	uint32_t apr[MODEL_CPUS], nsapr[MODEL_CPUS];
};

void model_reset(struct model *m); /* keeps nr_cpus, nr_irqs and the inputs */
void model_input(struct model *m, unsigned int cpu, unsigned int intid, bool level);
uint64_t model_dist_read(struct model *m, unsigned int cpu, uint64_t offset, unsigned int size);
void model_dist_write(struct model *m, unsigned int cpu, uint64_t offset, unsigned int size,
		      uint64_t value);
uint64_t model_cpu_read(struct model *m, unsigned int cpu, uint64_t offset, unsigned int size);
void model_cpu_write(struct model *m, unsigned int cpu, uint64_t offset, unsigned int size,
		     uint64_t value);
void model_pins(struct model *m, unsigned int cpu, bool *irq, bool *fiq);

#endif
