/* SPDX-License-Identifier: MIT */
/* What the tests of the vgic share. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/kvm/vgic_test.h"

struct vgic_vm *vgic_vm_bare(void)
{
	struct vgic_vm *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	v->dev = -1;
	v->sys = armature_open();
	v->vm = call(v->sys, KVM_CREATE_VM, 0);
	assert_true(v->vm >= 0);
	v->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(v->ram, MAP_FAILED);
	assert_int_equal(set_region(v->vm, 0, 0, RAM, RAM_BYTES, (uintptr_t)v->ram), 0);
	return v;
}

void vgic_vm_end(struct vgic_vm *v)
{
	while (v->nr--)
		close_vcpu(v->vcpu[v->nr], v->run[v->nr]);
	if (v->dev >= 0)
		armature_close(v->dev);
	armature_close(v->vm);
	armature_close(v->sys);
	munmap(v->ram, RAM_BYTES);
	free(v);
}

void vgic_vm_add_vcpu(struct vgic_vm *v, uint32_t features)
{
	unsigned int n = v->nr++;

	v->vcpu[n] = call(v->vm, KVM_CREATE_VCPU, n);
	assert_true(v->vcpu[n] >= 0);
	v->run[n] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v->vcpu[n], 0);
	assert_ptr_not_equal(v->run[n], MAP_FAILED);
	assert_int_equal(init_vcpu(v->vcpu[n], PSCI_FEATURE | features), 0);
}

int vgic_vm_create(struct vgic_vm *v)
{
	struct kvm_create_device cd = {.type = KVM_DEV_TYPE_ARM_VGIC_V2};
	int ret = CALL_PTR(v->vm, KVM_CREATE_DEVICE, &cd);

	if (!ret)
		v->dev = (int)cd.fd;
	return ret;
}

int vgic_set_base(struct vgic_vm *v, uint64_t type, uint64_t base)
{
	return vgic_attr(v, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &base);
}

struct vgic_vm *vgic_vm_new(unsigned int nr, uint32_t features)
{
	struct vgic_vm *v = vgic_vm_bare();
	uint32_t irqs = NR_IRQS;
	unsigned int i;

	for (i = 0; i < nr; i++)
		vgic_vm_add_vcpu(v, features);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(vgic_set_base(v, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST_BASE), 0);
	assert_int_equal(vgic_set_base(v, KVM_VGIC_V2_ADDR_TYPE_CPU, CPU_BASE), 0);
	assert_int_equal(vgic_attr(v, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs),
			 0);
	assert_int_equal(vgic_attr(v, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_CTRL,
				   KVM_DEV_ARM_VGIC_CTRL_INIT, NULL),
			 0);
	dist_set(v, 0, GICD_CTLR, 1);
	for (i = 0; i < nr; i++) {
		cpu_set(v, i, GICC_CTLR, 1);
		cpu_set(v, i, GICC_PMR, 0x1f);
	}
	return v;
}

int vcpu_attr(int vcpu, unsigned long request, uint32_t group, uint64_t attr, void *value)
{
	struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)value};

	return CALL_PTR(vcpu, request, &a);
}

int vgic_attr(struct vgic_vm *v, unsigned long request, uint32_t group, uint64_t attr, void *value)
{
	return vcpu_attr(v->dev, request, group, attr, value);
}

static uint64_t reg_attr(unsigned int cpu, uint32_t offset)
{
	return (uint64_t)cpu << KVM_DEV_ARM_VGIC_CPUID_SHIFT | offset;
}

static uint32_t get(struct vgic_vm *v, uint32_t group, unsigned int cpu, uint32_t offset)
{
	uint32_t value = 0;

	assert_int_equal(vgic_attr(v, KVM_GET_DEVICE_ATTR, group, reg_attr(cpu, offset), &value),
			 0);
	return value;
}

static void set(struct vgic_vm *v, uint32_t group, unsigned int cpu, uint32_t offset,
		uint32_t value)
{
	assert_int_equal(vgic_attr(v, KVM_SET_DEVICE_ATTR, group, reg_attr(cpu, offset), &value),
			 0);
}

uint32_t dist_get(struct vgic_vm *v, unsigned int cpu, uint32_t offset)
{
	return get(v, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, cpu, offset);
}

void dist_set(struct vgic_vm *v, unsigned int cpu, uint32_t offset, uint32_t value)
{
	set(v, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, cpu, offset, value);
}

uint32_t cpu_get(struct vgic_vm *v, unsigned int cpu, uint32_t offset)
{
	return get(v, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, cpu, offset);
}

void cpu_set(struct vgic_vm *v, unsigned int cpu, uint32_t offset, uint32_t value)
{
	set(v, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, cpu, offset, value);
}

void enable_irq(struct vgic_vm *v, unsigned int cpu, unsigned int intid)
{
	unsigned int shift = intid % 4 * 8;
	uint32_t targets;

	if (intid >= 32) {
		targets = dist_get(v, cpu, GICD_ITARGETSR + intid / 4 * 4) & ~(0xffu << shift);
		dist_set(v, cpu, GICD_ITARGETSR + intid / 4 * 4, targets | 1u << cpu << shift);
	}
	dist_set(v, cpu, GICD_ISENABLER + intid / 32 * 4, 1u << intid % 32);
}

void set_edge(struct vgic_vm *v, unsigned int intid)
{
	uint32_t at = GICD_ICFGR + intid / 16 * 4;

	dist_set(v, 0, at, dist_get(v, 0, at) | 2u << intid % 16 * 2);
}

int irq_line(struct vgic_vm *v, unsigned int type, unsigned int cpu, unsigned int number,
	     unsigned int level)
{
	struct kvm_irq_level l = {.irq = type << KVM_ARM_IRQ_TYPE_SHIFT |
					 cpu << KVM_ARM_IRQ_VCPU_SHIFT | number,
				  .level = level};

	return CALL_PTR(v->vm, KVM_IRQ_LINE, &l);
}

void vgic_load(struct vgic_vm *v, unsigned int cpu, const struct prog *p)
{
	const struct {
		unsigned int reg;
		uint64_t value;
	} regs[] = {{R_MMIO, MMIO},
		    {R_IAR, CPU_BASE + GICC_IAR},
		    {R_EOIR, CPU_BASE + GICC_EOIR},
		    {R_SGIR, DIST_BASE + GICD_SGIR}};
	unsigned int i;

	memcpy(v->ram, p->word, p->n * 4);
	for (i = 0; i < COUNT(regs); i++)
		set_u64(v->vcpu[cpu], X(regs[i].reg), regs[i].value);
	set_u64(v->vcpu[cpu], ARM64_SYS_REG(3, 0, 12, 0, 0), RAM);
	set_u64(v->vcpu[cpu], PC, RAM + TEXT);
}

uint64_t run_to_store(struct vgic_vm *v, unsigned int cpu)
{
	struct kvm_run *run = v->run[cpu];
	uint64_t value = 0;

	assert_int_equal(call(v->vcpu[cpu], KVM_RUN, 0), 0);
	assert_int_equal(run->exit_reason, KVM_EXIT_MMIO);
	assert_true(run->mmio.is_write);
	assert_int_equal(run->mmio.phys_addr, MMIO);
	assert_int_equal(run->s.regs.device_irq_level, 0);
	memcpy(&value, run->mmio.data, run->mmio.len);
	/* The store is over: its completion shall not meet what the test sets next. */
	run->immediate_exit = 1;
	assert_int_equal(call(v->vcpu[cpu], KVM_RUN, 0), -EINTR);
	run->immediate_exit = 0;
	return value;
}
