/* SPDX-License-Identifier: MIT */
/*
 * What is counted, and how it is told.
 *
 * Each vCPU's thread counts its own, without a lock; they are added up when the threads are gone.
 * The interrupts delivered are counted by the irqchip.
 */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include "vmm/bus.h"
#include "vmm/irqchip.h"

#include <stdio.h>

/* Ways in which KVM_RUN comes back. */
enum vmm_return {
	VMM_RETURN_MMIO,
	VMM_RETURN_SYSTEM_EVENT,
	VMM_RETURN_LEVEL, /* -EINTR with a change of level */
	VMM_RETURN_INTR,  /* -EINTR without: a signal, or immediate_exit */
	VMM_RETURN_AGAIN, /* -EAGAIN */
	VMM_RETURN_OTHER,
	VMM_RETURNS
};

struct vmm_vcpu_stats {
	uint64_t returns[VMM_RETURNS];
	uint64_t mmio[VMM_BUS_REGIONS]; /* by region */
	uint64_t unmapped;
	uint64_t rises[VMM_LEVELS], falls[VMM_LEVELS];
	uint64_t carried; /* changes of level that came with another exit than -EINTR */
};

/* What the KVM itself counted, in all vCPUs together; 0 when it does not count that. */
struct vmm_kvm_counts {
	uint64_t exits; /* from the guest, to the KVM or beyond */
	uint64_t instructions;
};

struct vmm_summary {
	const struct vmm_vcpu_stats *const *vcpus;
	unsigned int nr_vcpus;
	const struct vmm_bus *bus;
	const struct vmm_irqchip *irqchip;
	struct vmm_kvm_counts counts;
	uint64_t wall_ns;   /* from the first entry to the end */
	uint64_t boots;     /* 1, and one more for each reboot */
	const char *ending; /* "powered off", ... */
};

/**
 * vmm_stats_print() - Tells what happened.
 * @all: everything, not only the short summary
 */
void vmm_stats_print(FILE *to, const struct vmm_summary *summary, bool all);

#endif
