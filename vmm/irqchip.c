/* SPDX-License-Identifier: MIT */
/* The interrupt controller in user space, and what one in the KVM has in common with it. */
#include "vmm/irqchip.h"
#include "vmm/fdt.h"

#include <armature/kvm_arm64.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

const struct vmm_level_device vmm_level_devices[VMM_LEVELS] = {
	[VMM_LEVEL_VTIMER] = {"vtimer", KVM_ARM_DEV_EL1_VTIMER, 27},
	[VMM_LEVEL_PTIMER] = {"ptimer", KVM_ARM_DEV_EL1_PTIMER, 30},
	[VMM_LEVEL_PMU] = {"pmu", KVM_ARM_DEV_PMU, 23},
};

static const char *const pin_names[] = {[ARMATURE_GIC_IRQ] = "irq", [ARMATURE_GIC_FIQ] = "fiq"};

static const char *const event_names[] = {
	[ARMATURE_GIC_ACK] = "ack",
	[ARMATURE_GIC_EOI] = "eoi",
	[ARMATURE_GIC_DEACTIVATE] = "deactivate",
};

static int drive_pin(struct vmm_irqchip *irqchip, unsigned int cpu, enum armature_gic_pin pin,
		     bool level)
{
	const struct kvm_irq_level line = {
		.irq = (cpu >> 8 & KVM_ARM_IRQ_VCPU2_MASK) << KVM_ARM_IRQ_VCPU2_SHIFT |
		       KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
		       (cpu & KVM_ARM_IRQ_VCPU_MASK) << KVM_ARM_IRQ_VCPU_SHIFT |
		       (pin == ARMATURE_GIC_FIQ ? KVM_ARM_IRQ_CPU_FIQ : KVM_ARM_IRQ_CPU_IRQ),
		.level = level,
	};

	return vmm_kvm_ioctl_ptr(irqchip->kvm, irqchip->vm_fd, KVM_IRQ_LINE, &line);
}

static void set_pin(void *opaque, unsigned int cpu, enum armature_gic_pin pin, bool level)
{
	struct vmm_irqchip *irqchip = opaque;
	struct vmm_pins *pins = &irqchip->pins[cpu];
	int err;

	pthread_mutex_lock(&pins->lock);
	pins->level[pin] = level;
	err = drive_pin(irqchip, cpu, pin, level);
	if (irqchip->driven)
		irqchip->driven(irqchip->driven_opaque, cpu, level);
	pthread_mutex_unlock(&pins->lock);
	if (err < 0 && !irqchip->error)
		irqchip->error = err;
	irqchip->pin_changes++;
	vmm_trace(irqchip->trace, cpu, "pin %s %d", pin_names[pin], level);
}

static void gic_event(void *opaque, unsigned int cpu, enum armature_gic_event event, uint32_t intid)
{
	struct vmm_irqchip *irqchip = opaque;

	if (event == ARMATURE_GIC_ACK && intid < VMM_IRQCHIP_IRQS)
		irqchip->delivered[intid]++;
	vmm_trace(irqchip->trace, cpu, "%s %u", event_names[event], intid);
}

int vmm_irqchip_drive_pins(struct vmm_irqchip *irqchip, unsigned int cpu)
{
	struct vmm_pins *pins = &irqchip->pins[cpu];
	int err;

	if (vmm_irqchip_in_kvm(irqchip))
		return 0;
	pthread_mutex_lock(&pins->lock);
	err = drive_pin(irqchip, cpu, ARMATURE_GIC_IRQ, pins->level[ARMATURE_GIC_IRQ]);
	if (err >= 0)
		err = drive_pin(irqchip, cpu, ARMATURE_GIC_FIQ, pins->level[ARMATURE_GIC_FIQ]);
	pthread_mutex_unlock(&pins->lock);
	return err < 0 ? err : 0;
}

void vmm_irqchip_levels(struct vmm_irqchip *irqchip, unsigned int cpu, uint64_t levels,
			uint64_t changed)
{
	for (unsigned int i = 0; i < VMM_LEVELS; i++) {
		const struct vmm_level_device *device = &vmm_level_devices[i];
		const bool level = levels & device->bit;

		if (!(changed & device->bit))
			continue;
		vmm_trace(irqchip->trace, cpu, "level %s %d", device->name, level);
		armature_gic_set_ppi(irqchip->gic, cpu, device->intid, level);
	}
}

static void drive_line(struct vmm_irqchip *irqchip, unsigned int intid, bool level)
{
	const struct kvm_irq_level line = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | intid,
		.level = level,
	};

	/* It cannot fail: the vgic is there, and has the INTID. */
	vmm_kvm_ioctl_ptr(irqchip->kvm, irqchip->vm_fd, KVM_IRQ_LINE, &line);
}

static void set_line(void *opaque, unsigned int intid, bool level)
{
	struct vmm_irqchip *irqchip = opaque;

	vmm_trace(irqchip->trace, VMM_TRACE_NO_CPU, "line %s %u %d", irqchip->names[intid], intid,
		  level);
	if (vmm_irqchip_in_kvm(irqchip))
		drive_line(irqchip, intid, level);
	else
		armature_gic_set_spi(irqchip->gic, intid, level);
}

struct vmm_line vmm_irqchip_line(struct vmm_irqchip *irqchip, unsigned int intid, const char *name)
{
	irqchip->names[intid] = name;
	return (struct vmm_line){.set = set_line, .opaque = irqchip, .intid = intid};
}

static uint64_t dist_read(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size)
{
	return armature_gic_dist_read(((struct vmm_irqchip *)opaque)->gic, cpu, offset, size);
}

static void dist_write(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size,
		       uint64_t value)
{
	armature_gic_dist_write(((struct vmm_irqchip *)opaque)->gic, cpu, offset, size, value);
}

static uint64_t cpu_read(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size)
{
	return armature_gic_cpu_read(((struct vmm_irqchip *)opaque)->gic, cpu, offset, size);
}

static void cpu_write(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	armature_gic_cpu_write(((struct vmm_irqchip *)opaque)->gic, cpu, offset, size, value);
}

static void irqchip_reset(struct vmm_device *device)
{
	armature_gic_reset(vmm_container_of(device, struct vmm_irqchip, device)->gic);
}

/* Binding: interrupt-controller/arm,gic.yaml. */
static int irqchip_fdt(const struct vmm_device *device, void *fdt)
{
	const struct vmm_irqchip *irqchip = vmm_container_of(device, struct vmm_irqchip, device);
	const uint64_t reg[] = {irqchip->dist_base, ARMATURE_GIC_DIST_SIZE, irqchip->cpu_base,
				ARMATURE_GIC_CPU_SIZE};
	char name[48];

	snprintf(name, sizeof(name), "interrupt-controller@%llx",
		 (unsigned long long)irqchip->dist_base);
	VMM_FDT_TRY(fdt_begin_node(fdt, name));
	VMM_FDT_TRY(vmm_fdt_reg(fdt, reg, 4));
	VMM_FDT_TRY(fdt_property_string(fdt, "compatible", "arm,cortex-a15-gic"));
	VMM_FDT_TRY(fdt_property_u32(fdt, "#interrupt-cells", 3));
	VMM_FDT_TRY(fdt_property_u32(fdt, "#address-cells", 0));
	VMM_FDT_TRY(fdt_property(fdt, "interrupt-controller", NULL, 0));
	VMM_FDT_TRY(fdt_property_u32(fdt, "phandle", VMM_PHANDLE_GIC));
	return fdt_end_node(fdt);
}

static void irqchip_destroy(struct vmm_device *device)
{
	struct vmm_irqchip *irqchip = vmm_container_of(device, struct vmm_irqchip, device);

	armature_gic_destroy(irqchip->gic);
	irqchip->gic = NULL;
	for (unsigned int i = 0; i < VMM_IRQCHIP_CPUS; i++)
		pthread_mutex_destroy(&irqchip->pins[i].lock);
}

void vmm_irqchip_prepare(struct vmm_irqchip *irqchip, const struct vmm_kvm *kvm, int vm_fd,
			 unsigned int nr_cpus, uint64_t dist_base, uint64_t cpu_base,
			 struct vmm_trace *trace)
{
	memset(irqchip, 0, sizeof(*irqchip));
	irqchip->device.name = "gic";
	irqchip->device.fdt = irqchip_fdt;
	irqchip->vgic_fd = -1;
	irqchip->kvm = kvm;
	irqchip->vm_fd = vm_fd;
	irqchip->nr_cpus = nr_cpus;
	irqchip->dist_base = dist_base;
	irqchip->cpu_base = cpu_base;
	irqchip->trace = trace;
	for (unsigned int i = 0; i < VMM_LEVELS; i++)
		irqchip->names[vmm_level_devices[i].intid] = vmm_level_devices[i].name;
}

int vmm_irqchip_create(struct vmm_irqchip *irqchip, const struct vmm_kvm *kvm, int vm_fd,
		       unsigned int nr_cpus, uint64_t dist_base, uint64_t cpu_base,
		       struct vmm_trace *trace, struct vmm_bus *bus)
{
	const struct vmm_region frames[] = {
		{"gic-dist", dist_base, ARMATURE_GIC_DIST_SIZE, irqchip, dist_read, dist_write},
		{"gic-cpu", cpu_base, ARMATURE_GIC_CPU_SIZE, irqchip, cpu_read, cpu_write},
	};
	int err;

	vmm_irqchip_prepare(irqchip, kvm, vm_fd, nr_cpus, dist_base, cpu_base, trace);
	irqchip->device.reset = irqchip_reset;
	irqchip->device.destroy = irqchip_destroy;
	for (unsigned int i = 0; i < VMM_IRQCHIP_CPUS; i++)
		pthread_mutex_init(&irqchip->pins[i].lock, NULL);
	err = armature_gic_create(&(struct armature_gic_config){.nr_cpus = nr_cpus,
								.nr_irqs = VMM_IRQCHIP_IRQS,
								.set_pin = set_pin,
								.event = gic_event,
								.opaque = irqchip},
				  &irqchip->gic);
	for (unsigned int i = 0; !err && i < 2; i++)
		err = vmm_bus_map(bus, &frames[i]);
	if (err && irqchip->gic)
		irqchip_destroy(&irqchip->device);
	return err;
}
