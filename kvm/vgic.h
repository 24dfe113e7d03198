/* SPDX-License-Identifier: MIT */
/* The interrupt controller inside the KVM: see vgic.c. */
#ifndef KVM_VGIC_H
#define KVM_VGIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <armature/gic.h>
#include "kvm/bus.h"

struct vm;
struct vcpu;
struct kvm_arm_device_addr;
struct device_type;

#define VGIC_MAX_VCPUS  ARMATURE_GIC_MAX_CPUS
#define VGIC_NR_PRIVATE 32
#define VGIC_MIN_IRQS   (VGIC_NR_PRIVATE + 32)
#define VGIC_MAX_IRQS   992 /* the last multiple of 32 */
#define VGIC_UNSET      UINT64_MAX

#define INTID_IS_PPI(n) ((n) >= 16 && (n) < VGIC_NR_PRIVATE)
#define INTID_IS_SPI(n) ((n) >= VGIC_NR_PRIVATE && (n) < ARMATURE_GIC_MAX_IRQS)

/* The two register frames. The numbers are those of KVM_VGIC_V2_ADDR_TYPE_*. */
enum vgic_frame { VGIC_DIST, VGIC_CPU, VGIC_NR_FRAMES };

/**
 * struct vgic - The GICv2 of a VM. Written under vm->lock, unless said otherwise.
 * @vm:      whose
 * @gic:     the GIC, from its initialisation on; NULL before
 * @ready:   its frames are on the bus
 * @nr_irqs: INTIDs, with the private ones; 0 until it is known
 * @base:    of each frame, or VGIC_UNSET
 * @range:   each frame on the bus
 * @owned:   INTIDs whose line belongs to a device inside the KVM: bit n % 64 of word n / 64, with
 *           the private ones of each vCPU apart. Read without the lock
 * @notify:  see vgic_set_eoi_notifier(). Read without the lock
 */
struct vgic {
	struct vm *vm;
	struct armature_gic *_Atomic gic;
	_Atomic bool ready;
	unsigned int nr_irqs;
	uint64_t base[VGIC_NR_FRAMES];
	struct bus_range range[VGIC_NR_FRAMES];
	_Atomic uint64_t owned[ARMATURE_GIC_MAX_IRQS / 64 + 1];
	_Atomic uint32_t owned_private[VGIC_MAX_VCPUS];
	void (*_Atomic notify)(struct vm *vm, unsigned int intid);
};

/** vgic_exists() - There is an interrupt controller in the KVM. Any thread. */
bool vgic_exists(const struct vm *vm);

/** vgic_ready() - It is initialised: the number of vCPUs and of INTIDs is settled. Any thread. */
bool vgic_ready(const struct vm *vm);

/**
 * vgic_create() - Make the GICv2 of a VM. The caller holds vm->lock.
 *
 * Return: 0; -EEXIST when there is one; -EBUSY after a vCPU has run; -E2BIG with more than eight
 * vCPUs; -ENOMEM.
 */
int vgic_create(struct vm *vm);

/** vgic_destroy() - It ends with its VM; no vCPU runs any more. */
void vgic_destroy(struct vm *vm);

/**
 * vgic_init() - Settle the number of vCPUs and INTIDs. The caller holds vm->lock.
 *
 * Return: 0, also when it was done before; -EBUSY while a vCPU is being made; -ENODEV without a
 * vCPU; -ENOMEM.
 */
int vgic_init(struct vm *vm);

/**
 * vgic_first_run() - Whether @vcpu may run for the first time. The caller holds vm->lock.
 *
 * The frames go on the bus. Nothing is done in a VM without a vgic.
 *
 * Return: 0; -ENXIO for a frame without an address; -EINVAL for frames that overlap, or for devices
 * that share an interrupt; what vgic_init() and bus_add() return.
 */
int vgic_first_run(struct vcpu *vcpu);

/** vgic_wire() - It may: the lines of its devices are wired for good. The caller holds vm->lock. */
void vgic_wire(struct vcpu *vcpu);

/**
 * vgic_set_irq() - Drive the line of an SPI or PPI, as KVM_IRQ_LINE does (api.rst 4.25).
 * @vm:    the VM
 * @cpu:   whose, of a PPI: the index of a vCPU
 * @intid: 16 or more
 * @level: of a level-sensitive interrupt; for an edge-triggered one each call with true is an edge
 *
 * Any thread, which holds no lock of the VM's. A vgic that is not initialised yet is. The line of a
 * device inside the KVM stays as it is.
 *
 * Return: 0; -ENXIO without a vgic; -EINVAL for an interrupt that is not there; what vgic_init()
 * returns.
 */
int vgic_set_irq(struct vm *vm, unsigned int cpu, unsigned int intid, bool level);

/**
 * vgic_set_eoi_notifier() - Tell of the end of SPIs that are level-sensitive.
 * @vm:     the VM, which has a vgic
 * @notify: called on the thread of the vCPU that deactivated the SPI by GICC_EOIR or, with EOImode
 *          1, by GICC_DIR; with vcpu->lock and no other lock held: it may call vgic_set_irq()
 *
 * As on Linux the level does not matter: a line that somebody lowered meanwhile has ended as well,
 * and its device waits to be told.
 */
void vgic_set_eoi_notifier(struct vm *vm, void (*notify)(struct vm *vm, unsigned int intid));

/**
 * vgic_claim() - The line of @intid of @vcpu belongs to a device inside the KVM from now on.
 *
 * The caller holds vm->lock. Return: 0; -EINVAL for an interrupt that is neither a PPI nor an SPI
 * of the vgic, which is initialised; -EEXIST when it belongs to another device.
 */
int vgic_claim(struct vcpu *vcpu, unsigned int intid);

/** vgic_set_addr() - Say where a frame is: 0, -EEXIST, -EINVAL, -E2BIG. Under vm->lock. */
int vgic_set_addr(struct vm *vm, enum vgic_frame frame, uint64_t addr);

/* vgic_attr.c */
extern const struct device_type vgic_v2_type;

#endif
