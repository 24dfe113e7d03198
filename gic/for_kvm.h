/* SPDX-License-Identifier: MIT */
/*
 * What a KVM needs of the GIC besides <armature/gic.h>: registers as its VMM saves and restores
 * them (Documentation/virt/kvm/devices/arm-vgic.rst of Linux), and lines as KVM_IRQ_LINE drives
 * them.
 *
 * Such an access is of an aligned 32-bit word, and in most cases does what the guest's does. The
 * rest:
 *  - A write of GICD_ISPENDR makes SGIs pending, sent by their own CPU; one of GICD_ICPENDR takes
 *    all their sources back.
 *  - GICC_PMR is bits [7:3] of the mask, in bits [4:0].
 *  - GICC_APR0 has the active priorities of both groups, as a virtual CPU interface has them
 *    (GICH_APR). What is written goes to the group of the active interrupt that explains it; so the
 *    Distributor's registers and GICC_BPR and GICC_ABPR are restored before it.
 *  - Of the CPU interface there are the registers that have state, and GICC_IIDR.
 *
 * All may be called from any thread at any time.
 */
#ifndef GIC_FOR_KVM_H
#define GIC_FOR_KVM_H

#include <armature/gic.h>

/** agic_dist_exists() - A GIC of @nr_irqs INTIDs has a register at @offset of the Distributor. */
bool agic_dist_exists(unsigned int nr_irqs, uint64_t offset);

/** agic_cpu_exists() - There is a register at @offset of the CPU interface, for a VMM. */
bool agic_cpu_exists(uint64_t offset);

/** agic_save_dist() / agic_save_cpu() - Read a register of @cpu; 0 where there is none. */
uint32_t agic_save_dist(struct armature_gic *gic, unsigned int cpu, uint64_t offset);
uint32_t agic_save_cpu(struct armature_gic *gic, unsigned int cpu, uint64_t offset);

/** agic_restore_dist() / agic_restore_cpu() - Write one; nothing where there is none. */
void agic_restore_dist(struct armature_gic *gic, unsigned int cpu, uint64_t offset, uint32_t value);
void agic_restore_cpu(struct armature_gic *gic, unsigned int cpu, uint64_t offset, uint32_t value);

/**
 * agic_drive() - Drive the input of a PPI or SPI as KVM_IRQ_LINE does.
 * @gic:   the GIC
 * @cpu:   whose, of a PPI
 * @intid: 16 to nr_irqs - 1
 * @level: of a level-sensitive interrupt; for an edge-triggered one each call with true is an edge
 *
 * Return: 0, or -EINVAL for an interrupt that does not exist.
 */
int agic_drive(struct armature_gic *gic, unsigned int cpu, unsigned int intid, bool level);

/**
 * agic_take_end() - A CPU interface has deactivated a level-sensitive interrupt: told once.
 *
 * For the event callback alone, with whose @intid it asks whether that event was the end: the GIC's
 * lock is held. Whether the line is still high does not matter.
 */
bool agic_take_end(struct armature_gic *gic, unsigned int cpu, uint32_t intid);

#endif
