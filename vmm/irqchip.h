/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controller. In user space it is libarmature-gic, between the devices and the KVM:
 *
 *	devices of the board ---- vmm_line_set() ----+
 *	                                             v
 *	device_irq_level ---- vmm_irqchip_levels() -> GIC --- pins ---> KVM_IRQ_LINE, type CPU
 *	                                             ^
 *	KVM_EXIT_MMIO ---- the bus ------------------+
 *
 * Or it is in the KVM (vgic.c), and then the VMM has the devices' lines only:
 *
 *	devices of the board ---- vmm_line_set() ----> KVM_IRQ_LINE, type SPI
 *
 * A pin is driven from within the GIC's lock, so the KVM sees the changes in their order.
 * KVM_IRQ_LINE never comes back to the GIC, so that is free of deadlock. Within the GIC's lock is
 * one more for each vCPU's pins, so that they can be driven again without the GIC.
 */
#ifndef VMM_IRQCHIP_H
#define VMM_IRQCHIP_H

#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/kvm.h"
#include "vmm/trace.h"

#include <armature/gic.h>
#include <pthread.h>

#define VMM_IRQCHIP_CPUS ARMATURE_GIC_MAX_CPUS
#define VMM_IRQCHIP_IRQS 128 /* INTIDs */

/* The devices inside a KVM whose levels it publishes in device_irq_level. */
enum vmm_level { VMM_LEVEL_VTIMER, VMM_LEVEL_PTIMER, VMM_LEVEL_PMU, VMM_LEVELS };

struct vmm_level_device {
	const char *name;
	uint64_t bit;       /* of device_irq_level */
	unsigned int intid; /* the PPI that its output is wired to */
};

extern const struct vmm_level_device vmm_level_devices[VMM_LEVELS];

struct vmm_irqchip {
	struct vmm_device device;
	struct armature_gic *gic; /* in user space; else NULL, */
	int vgic_fd;              /* and this is the KVM's, or -1 */
	const struct vmm_kvm *kvm;
	int vm_fd;
	unsigned int nr_cpus;
	uint64_t dist_base, cpu_base;
	struct vmm_trace *trace;
	const char *names[VMM_IRQCHIP_IRQS]; /* of who is wired to an INTID, or NULL */
	/* A pin was driven. Called with the GIC's lock and the pins' lock held; may be NULL. */
	void (*driven)(void *opaque, unsigned int cpu, bool level);
	void *driven_opaque;
	struct vmm_pins {
		pthread_mutex_t lock;
		bool level[2]; /* by enum armature_gic_pin */
	} pins[VMM_IRQCHIP_CPUS];
	/* Under the GIC's lock. */
	uint64_t delivered[VMM_IRQCHIP_IRQS]; /* acknowledges */
	uint64_t pin_changes;
	int error; /* of the first KVM_IRQ_LINE that failed, or 0 */
};

/**
 * vmm_irqchip_create() - Makes the GIC and puts its two frames on the bus.
 * Return: 0 or -errno.
 */
int vmm_irqchip_create(struct vmm_irqchip *irqchip, const struct vmm_kvm *kvm, int vm_fd,
		       unsigned int nr_cpus, uint64_t dist_base, uint64_t cpu_base,
		       struct vmm_trace *trace, struct vmm_bus *bus);

/**
 * vmm_vgic_create() - Makes the KVM's GIC instead.
 * Return: 0 or -errno; -ENODEV from a KVM that has none.
 */
int vmm_vgic_create(struct vmm_irqchip *irqchip, const struct vmm_kvm *kvm, int vm_fd,
		    unsigned int nr_cpus, uint64_t dist_base, uint64_t cpu_base,
		    struct vmm_trace *trace);

/* Initialises it, when all vCPUs are there. Return: 0 or -errno. */
int vmm_vgic_init(struct vmm_irqchip *irqchip);

/* What both kinds have in common: names, addresses, the device-tree node. */
void vmm_irqchip_prepare(struct vmm_irqchip *irqchip, const struct vmm_kvm *kvm, int vm_fd,
			 unsigned int nr_cpus, uint64_t dist_base, uint64_t cpu_base,
			 struct vmm_trace *trace);

static inline bool vmm_irqchip_in_kvm(const struct vmm_irqchip *irqchip)
{
	return irqchip->vgic_fd >= 0;
}

/* The input @intid (an SPI), for a device called @name. */
struct vmm_line vmm_irqchip_line(struct vmm_irqchip *irqchip, unsigned int intid, const char *name);

/**
 * vmm_irqchip_levels() - The levels that a vCPU's run structure shows have changed.
 * @levels:  device_irq_level
 * @changed: the bits that differ from before; those that we do not know are ignored
 */
void vmm_irqchip_levels(struct vmm_irqchip *irqchip, unsigned int cpu, uint64_t levels,
			uint64_t changed);

/**
 * vmm_irqchip_drive_pins() - Tells the KVM the level of both pins of a vCPU once more.
 *
 * After KVM_ARM_VCPU_INIT, which has lowered them, and where a change may have been lost.
 *
 * Return: 0 or -errno.
 */
int vmm_irqchip_drive_pins(struct vmm_irqchip *irqchip, unsigned int cpu);

#endif
