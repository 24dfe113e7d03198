/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controller in the KVM (Documentation/virt/kvm/devices/arm-vgic.rst): made before
 * the vCPUs, initialised after them. The KVM knows its timers' lines, and serves the guest's
 * accesses; what is left to the VMM is its own devices' lines, and the reset of a reboot, which no
 * KVM does by itself.
 */
#include "vmm/irqchip.h"

#include <armature/kvm_arm64.h>
#include <stddef.h>

static int attr(struct vmm_irqchip *irqchip, uint32_t group, uint64_t number, const void *value)
{
	const struct kvm_device_attr a = {.group = group, .attr = number, .addr = (uintptr_t)value};

	return vmm_kvm_ioctl_ptr(irqchip->kvm, irqchip->vgic_fd, KVM_SET_DEVICE_ATTR, &a);
}

/* Registers as they are after reset: @bits for each interrupt, or one word. */
static const struct reset_reg {
	uint32_t group, offset, bits, value;
} reset_regs[] = {
	{KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x000, 0, 0},          /* GICD_CTLR */
	{KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x180, 1, 0xffffffff}, /* GICD_ICENABLER */
	{KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x080, 1, 0},          /* GICD_IGROUPR */
	{KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x280, 1, 0xffffffff}, /* GICD_ICPENDR */
	{KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x380, 1, 0xffffffff}, /* GICD_ICACTIVER */
	{KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x400, 8, 0},          /* GICD_IPRIORITYR */
	{KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x800, 8, 0},          /* GICD_ITARGETSR */
	{KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0xc00, 2, 0},          /* GICD_ICFGR */
	{KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 0x000, 0, 0},           /* GICC_CTLR */
	{KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 0x004, 0, 0},           /* GICC_PMR */
	{KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 0x008, 0, 0},           /* GICC_BPR */
	{KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 0x01c, 0, 0},           /* GICC_ABPR */
	{KVM_DEV_ARM_VGIC_GRP_CPU_REGS, 0x0d0, 0, 0},           /* GICC_APR0 */
};

/* No vCPU runs: it cannot fail. */
static void vgic_reset(struct vmm_device *device)
{
	struct vmm_irqchip *irqchip = vmm_container_of(device, struct vmm_irqchip, device);

	for (unsigned int i = 0; i < sizeof(reset_regs) / sizeof(*reset_regs); i++) {
		const struct reset_reg *r = &reset_regs[i];
		const uint32_t bytes = r->bits ? VMM_IRQCHIP_IRQS * r->bits / 8 : 4;

		for (uint64_t cpu = 0; cpu < irqchip->nr_cpus; cpu++) {
			for (uint32_t at = 0; at < bytes; at += 4)
				attr(irqchip, r->group,
				     cpu << KVM_DEV_ARM_VGIC_CPUID_SHIFT | (r->offset + at),
				     &r->value);
		}
	}
	/* SGIs are enabled again. */
	for (uint64_t cpu = 0; cpu < irqchip->nr_cpus; cpu++)
		attr(irqchip, KVM_DEV_ARM_VGIC_GRP_DIST_REGS,
		     cpu << KVM_DEV_ARM_VGIC_CPUID_SHIFT | 0x100, &(uint32_t){0xffff});
}

static void vgic_destroy(struct vmm_device *device)
{
	struct vmm_irqchip *irqchip = vmm_container_of(device, struct vmm_irqchip, device);

	irqchip->kvm->close(irqchip->vgic_fd);
	irqchip->vgic_fd = -1;
}

int vmm_vgic_create(struct vmm_irqchip *irqchip, const struct vmm_kvm *kvm, int vm_fd,
		    unsigned int nr_cpus, uint64_t dist_base, uint64_t cpu_base,
		    struct vmm_trace *trace)
{
	struct kvm_create_device create = {.type = KVM_DEV_TYPE_ARM_VGIC_V2};
	int err;

	vmm_irqchip_prepare(irqchip, kvm, vm_fd, nr_cpus, dist_base, cpu_base, trace);
	irqchip->device.reset = vgic_reset;
	irqchip->device.destroy = vgic_destroy;
	err = vmm_kvm_ioctl_ptr(kvm, vm_fd, KVM_CREATE_DEVICE, &create);
	if (err < 0)
		return err;
	irqchip->vgic_fd = (int)create.fd;
	err = attr(irqchip, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST, &dist_base);
	if (err >= 0)
		err = attr(irqchip, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU,
			   &cpu_base);
	if (err < 0)
		vgic_destroy(&irqchip->device);
	return err < 0 ? err : 0;
}

int vmm_vgic_init(struct vmm_irqchip *irqchip)
{
	const uint32_t nr_irqs = VMM_IRQCHIP_IRQS;
	int err;

	if (!vmm_irqchip_in_kvm(irqchip))
		return 0;
	err = attr(irqchip, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr_irqs);
	if (err >= 0)
		err = attr(irqchip, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return err < 0 ? err : 0;
}
