/* SPDX-License-Identifier: MIT */
/*
 * The vgic as the VMM sets it up: every attribute and its errors, orders of creation, what
 * KVM_IRQ_LINE answers, the interrupts of the timers and of the PMU. What guests make of it:
 * test_vgic_guest.c.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/kvm/vgic_test.h"

#define ADDR KVM_DEV_ARM_VGIC_GRP_ADDR
#define DIST KVM_VGIC_V2_ADDR_TYPE_DIST
#define CPU  KVM_VGIC_V2_ADDR_TYPE_CPU
#define IRQS KVM_DEV_ARM_VGIC_GRP_NR_IRQS
#define CTRL KVM_DEV_ARM_VGIC_GRP_CTRL
#define INIT KVM_DEV_ARM_VGIC_CTRL_INIT
#define SET  KVM_SET_DEVICE_ATTR
#define GET  KVM_GET_DEVICE_ATTR
#define HAS  KVM_HAS_DEVICE_ATTR

#define DIST_REGS        KVM_DEV_ARM_VGIC_GRP_DIST_REGS
#define CPU_REGS         KVM_DEV_ARM_VGIC_GRP_CPU_REGS
#define REG(cpu, offset) ((uint64_t)(cpu) << 32 | (offset))

#define PMU       KVM_ARM_VCPU_PMU_V3_CTRL
#define PMU_IRQ   KVM_ARM_VCPU_PMU_V3_IRQ
#define PMU_INIT  KVM_ARM_VCPU_PMU_V3_INIT
#define TIMER     KVM_ARM_VCPU_TIMER_CTRL
#define TIMER_V   KVM_ARM_VCPU_TIMER_IRQ_VTIMER
#define TIMER_P   KVM_ARM_VCPU_TIMER_IRQ_PTIMER
#define BAD_PLACE ((void *)8)
#define LOOKS     20000

static int set_up_vm(void **state)
{
	*state = vgic_vm_bare();
	return 0;
}

static int end_vm(void **state)
{
	vgic_vm_end(*state);
	return 0;
}

static int set_u32(struct vgic_vm *v, uint32_t group, uint64_t attr, uint32_t value)
{
	return vgic_attr(v, SET, group, attr, &value);
}

static int init_vgic(struct vgic_vm *v)
{
	return vgic_attr(v, SET, CTRL, INIT, NULL);
}

static int create_test(struct vgic_vm *v)
{
	struct kvm_create_device cd = {
		.type = KVM_DEV_TYPE_ARM_VGIC_V2, .fd = 77, .flags = KVM_CREATE_DEVICE_TEST};
	int ret = CALL_PTR(v->vm, KVM_CREATE_DEVICE, &cd);

	assert_int_equal(cd.fd, 77);
	return ret;
}

static int set_legacy(struct vgic_vm *v, uint64_t device, uint64_t type, uint64_t addr)
{
	struct kvm_arm_device_addr a = {device << KVM_ARM_DEVICE_ID_SHIFT | type, addr};

	return CALL_PTR(v->vm, KVM_ARM_SET_DEVICE_ADDR, &a);
}

/* A guest that does nothing but store to MMIO. */
static int run_once(struct vgic_vm *v, unsigned int cpu)
{
	struct prog p = {0};
	unsigned int i = TEXT / 4;

	a_org(&p, TEXT);
	a_str(&p, 3, A_XZR, R_MMIO);
	a_b(&p, i);
	vgic_load(v, cpu, &p);
	return call(v->vcpu[cpu], KVM_RUN, 0);
}

/* ---- Creation ---- */

static void capabilities(void **state)
{
	struct vgic_vm *v = *state;

	assert_int_equal(call(v->sys, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), 1);
	assert_int_equal(call(v->vm, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), 1);
	assert_int_equal(call(v->vm, KVM_CHECK_EXTENSION, KVM_CAP_DEVICE_CTRL), 1);
	assert_int_equal(call(v->vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS), 64);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(call(v->vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS), 8);
	assert_int_equal(call(v->vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID), 8);
	assert_int_equal(call(v->sys, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS), 64);
}

static void only_one(void **state)
{
	struct vgic_vm *v = *state;

	assert_int_equal(create_test(v), 0);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(vgic_vm_create(v), -EEXIST);
	assert_int_equal(call(v->vm, KVM_CREATE_IRQCHIP, 0), -EEXIST);
	assert_int_equal(create_test(v), 0);
	/* The descriptor goes, the vgic stays. */
	armature_close(v->dev);
	v->dev = -1;
	assert_int_equal(vgic_vm_create(v), -EEXIST);
}

static void only_one_legacy(void **state)
{
	struct vgic_vm *v = *state;

	assert_int_equal(call(v->vm, KVM_CREATE_IRQCHIP, 0), 0);
	assert_int_equal(call(v->vm, KVM_CREATE_IRQCHIP, 0), -EEXIST);
	assert_int_equal(vgic_vm_create(v), -EEXIST);
}

static void after_a_run(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(run_once(v, 0), 0);
	assert_int_equal(vgic_vm_create(v), -EBUSY);
	assert_int_equal(call(v->vm, KVM_CREATE_IRQCHIP, 0), -EBUSY);
	assert_int_equal(create_test(v), 0);
}

static void too_many_vcpus(void **state)
{
	struct vgic_vm *v = *state;
	int ninth;

	for (int i = 0; i < 8; i++)
		vgic_vm_add_vcpu(v, 0);
	ninth = call(v->vm, KVM_CREATE_VCPU, 8);
	assert_true(ninth >= 0);
	assert_int_equal(vgic_vm_create(v), -E2BIG);
	assert_int_equal(call(v->vm, KVM_CREATE_IRQCHIP, 0), -E2BIG);
	armature_close(ninth);
}

static void vcpus_afterwards(void **state)
{
	struct vgic_vm *v = *state;

	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(call(v->vm, KVM_CREATE_VCPU, 8), -EINVAL);
	for (int i = 0; i < 7; i++)
		vgic_vm_add_vcpu(v, 0);
	assert_int_equal(init_vgic(v), 0);
	assert_int_equal(call(v->vm, KVM_CREATE_VCPU, 7), -EBUSY);
	assert_int_equal(init_vgic(v), 0);
	assert_int_equal((dist_get(v, 0, GICD_TYPER) >> 5 & 7) + 1, 7);
}

static void eight_and_no_more(void **state)
{
	struct vgic_vm *v = *state;

	assert_int_equal(vgic_vm_create(v), 0);
	for (int i = 0; i < 8; i++)
		vgic_vm_add_vcpu(v, 0);
	assert_int_equal(call(v->vm, KVM_CREATE_VCPU, 7), -EINVAL);
	assert_int_equal(init_vgic(v), 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(dist_get(v, i, GICD_ITARGETSR), 0x01010101u << i);
}

/* ---- Attributes ---- */

static void what_there_is(void **state)
{
	static const struct {
		uint32_t group;
		uint64_t attr;
		int ret;
	} rows[] = {
		{ADDR, DIST, 0},
		{ADDR, CPU, 0},
		{ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, -ENXIO},
		{ADDR, 99, -ENXIO},
		{IRQS, 0, 0},
		{CTRL, INIT, 0},
		{CTRL, 1, -ENXIO},
		{KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, 0, -ENXIO},
		{KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, 0, -ENXIO},
		{99, 0, -ENXIO},
		{DIST_REGS, REG(0, 0), 0},
		{DIST_REGS, REG(0, 1), -ENXIO},
		{DIST_REGS, REG(0, GICD_TYPER), 0},
		{DIST_REGS, REG(0, 0x00c), -ENXIO},
		{DIST_REGS, REG(0, GICD_ISENABLER), 0},
		{DIST_REGS, REG(0, GICD_SPENDSGIR + 12), 0},
		{DIST_REGS, REG(0, GICD_SPENDSGIR + 16), -ENXIO},
		{DIST_REGS, REG(0, 0x1000), -ENXIO},
		{DIST_REGS, REG(1, 0), -EINVAL},
		{CPU_REGS, REG(0, GICC_CTLR), 0},
		{CPU_REGS, REG(0, GICC_PMR), 0},
		{CPU_REGS, REG(0, GICC_BPR), 0},
		{CPU_REGS, REG(0, GICC_IAR), -ENXIO},
		{CPU_REGS, REG(0, GICC_EOIR), -ENXIO},
		{CPU_REGS, REG(0, GICC_ABPR), 0},
		{CPU_REGS, REG(0, GICC_APR0), 0},
		{CPU_REGS, REG(0, GICC_APR0 + 12), 0},
		{CPU_REGS, REG(0, GICC_APR0 + 16), -ENXIO},
		{CPU_REGS, REG(0, GICC_APR0 + 2), -ENXIO},
		{CPU_REGS, REG(0, GICC_IIDR), 0},
		{CPU_REGS, REG(255, 0), -EINVAL},
	};
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(vgic_vm_create(v), 0);
	for (unsigned int i = 0; i < COUNT(rows); i++)
		if (vgic_attr(v, HAS, rows[i].group, rows[i].attr, NULL) != rows[i].ret)
			fail_msg("row %u", i);
	/* SPIs are there when their number is known. */
	assert_int_equal(vgic_attr(v, HAS, DIST_REGS, REG(0, GICD_ISENABLER + 4), NULL), -ENXIO);
	assert_int_equal(set_u32(v, IRQS, 0, 64), 0);
	assert_int_equal(vgic_attr(v, HAS, DIST_REGS, REG(0, GICD_ISENABLER + 4), NULL), 0);
	assert_int_equal(vgic_attr(v, HAS, DIST_REGS, REG(0, GICD_ISENABLER + 8), NULL), -ENXIO);
	assert_int_equal(vgic_attr(v, HAS, DIST_REGS, REG(0, GICD_IPRIORITYR + 63 / 4 * 4), NULL),
			 0);
	assert_int_equal(vgic_attr(v, HAS, DIST_REGS, REG(0, GICD_IPRIORITYR + 64), NULL), -ENXIO);
}

static void addresses(void **state)
{
	struct vgic_vm *v = *state;
	uint64_t addr = 0;

	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(set_legacy(v, KVM_ARM_DEVICE_VGIC_V2, DIST, DIST_BASE), -ENODEV);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(vgic_attr(v, GET, ADDR, DIST, &addr), 0);
	assert_int_equal(addr, UINT64_MAX);
	assert_int_equal(vgic_set_base(v, DIST, DIST_BASE + 0x800), -EINVAL);
	assert_int_equal(vgic_set_base(v, DIST, 0ull - 0x1000), -EINVAL);
	assert_int_equal(vgic_set_base(v, DIST, 1ull << 40), -E2BIG);
	assert_int_equal(vgic_set_base(v, CPU, (1ull << 40) - 0x1000), -E2BIG);
	assert_int_equal(vgic_attr(v, SET, ADDR, DIST, BAD_PLACE), -EFAULT);
	assert_int_equal(vgic_attr(v, SET, ADDR, 2, BAD_PLACE), -EFAULT);
	assert_int_equal(vgic_attr(v, GET, ADDR, DIST, BAD_PLACE), -EFAULT);
	assert_int_equal(vgic_set_base(v, 2, DIST_BASE), -ENXIO);
	assert_int_equal(vgic_attr(v, GET, ADDR, 2, &addr), -ENXIO);
	assert_int_equal(vgic_set_base(v, DIST, (1ull << 40) - 0x1000), 0);
	assert_int_equal(vgic_set_base(v, DIST, DIST_BASE), -EEXIST);
	assert_int_equal(set_legacy(v, KVM_ARM_DEVICE_VGIC_V2, DIST, DIST_BASE), -EEXIST);
	assert_int_equal(vgic_attr(v, GET, ADDR, DIST, &addr), 0);
	assert_int_equal(addr, (1ull << 40) - 0x1000);
	assert_int_equal(set_legacy(v, KVM_ARM_DEVICE_VGIC_V2, CPU, CPU_BASE + 1), -EINVAL);
	assert_int_equal(set_legacy(v, KVM_ARM_DEVICE_VGIC_V2, CPU, 1ull << 40), -E2BIG);
	assert_int_equal(set_legacy(v, KVM_ARM_DEVICE_VGIC_V2, 2, CPU_BASE), -ENODEV);
	assert_int_equal(set_legacy(v, 1, CPU, CPU_BASE), -ENODEV);
	assert_int_equal(set_legacy(v, KVM_ARM_DEVICE_VGIC_V2, CPU, CPU_BASE), 0);
	assert_int_equal(vgic_set_base(v, CPU, CPU_BASE), -EEXIST);
	assert_int_equal(run_once(v, 0), 0);
}

/* A VM whose frames cannot be mapped is dead. */
static void unset_address(void **state)
{
	struct vgic_vm *v = *state;
	uint32_t value = 64;

	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(vgic_set_base(v, CPU, CPU_BASE), 0);
	assert_int_equal(run_once(v, 0), -ENXIO);
	assert_int_equal(call(v->vcpu[0], KVM_RUN, 0), -EIO);
	assert_int_equal(call(v->vm, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), -EIO);
	assert_int_equal(vgic_attr(v, SET, IRQS, 0, &value), -EIO);
}

static void overlapping_frames(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(vgic_set_base(v, CPU, CPU_BASE), 0);
	assert_int_equal(vgic_set_base(v, DIST, CPU_BASE + 0x1000), 0);
	assert_int_equal(run_once(v, 0), -EINVAL);
	assert_int_equal(call(v->vcpu[0], KVM_RUN, 0), -EIO);
}

static void number_of_irqs(void **state)
{
	static const uint32_t bad[] = {0, 31, 32, 63, 65, 96 + 16, 1020, 1023, 1024, 0x10000040};
	struct vgic_vm *v = *state;
	uint32_t n = 0;

	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(vgic_attr(v, GET, IRQS, 0, &n), 0);
	assert_int_equal(n, 32);
	for (unsigned int i = 0; i < COUNT(bad); i++)
		assert_int_equal(set_u32(v, IRQS, 0, bad[i]), -EINVAL);
	assert_int_equal(vgic_attr(v, SET, IRQS, 0, BAD_PLACE), -EFAULT);
	assert_int_equal(set_u32(v, IRQS, 0, 992), 0);
	assert_int_equal(set_u32(v, IRQS, 0, 992), -EBUSY);
	assert_int_equal(set_u32(v, IRQS, 0, 64), -EBUSY);
	assert_int_equal(vgic_attr(v, GET, IRQS, 0, &n), 0);
	assert_int_equal(n, 992);
	assert_int_equal(init_vgic(v), 0);
	assert_int_equal((dist_get(v, 0, GICD_TYPER) & 0x1f) + 1, 992 / 32);
	assert_int_equal(SPI(v, 991, 1), 0);
	assert_int_equal(SPI(v, 992, 1), -EINVAL);
}

static void default_number_of_irqs(void **state)
{
	struct vgic_vm *v = *state;
	uint32_t n = 0;

	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(init_vgic(v), -ENODEV);
	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(init_vgic(v), 0);
	assert_int_equal(vgic_attr(v, GET, IRQS, 0, &n), 0);
	assert_int_equal(n, 256);
	assert_int_equal(set_u32(v, IRQS, 0, 64), -EBUSY);
	assert_int_equal(vgic_attr(v, SET, CTRL, 1, NULL), -ENXIO);
	assert_int_equal(vgic_attr(v, GET, CTRL, INIT, &n), -ENXIO);
}

/* ---- Registers ---- */

static void registers(void **state)
{
	struct vgic_vm *v = *state;
	uint32_t value = 0, iidr;

	vgic_vm_add_vcpu(v, 0);
	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(vgic_vm_create(v), 0);
	/* The first access initialises. */
	assert_int_equal(dist_get(v, 1, GICD_TYPER), 0x27);
	assert_int_equal(call(v->vm, KVM_CREATE_VCPU, 2), -EBUSY);
	assert_int_equal(vgic_attr(v, GET, DIST_REGS, REG(2, 0), &value), -EINVAL);
	assert_int_equal(vgic_attr(v, SET, CPU_REGS, REG(2, 0), BAD_PLACE), -EINVAL);
	assert_int_equal(vgic_attr(v, SET, DIST_REGS, REG(1, 0), BAD_PLACE), -EFAULT);
	assert_int_equal(vgic_attr(v, GET, DIST_REGS, REG(1, 0), BAD_PLACE), -EFAULT);
	iidr = dist_get(v, 0, GICD_IIDR);
	dist_set(v, 0, GICD_IIDR, iidr);
	value = iidr ^ 1;
	assert_int_equal(vgic_attr(v, SET, DIST_REGS, REG(0, GICD_IIDR), &value), -EINVAL);
	/* Where there is no register: 0, and nothing. */
	dist_set(v, 0, 0x00c, ~0u);
	assert_int_equal(dist_get(v, 0, 0x00c), 0);
	cpu_set(v, 0, GICC_IAR, ~0u);
	assert_int_equal(cpu_get(v, 0, GICC_IAR), 0);
	/* Banked or not. */
	dist_set(v, 0, GICD_IPRIORITYR + 20, 0x10203040);
	dist_set(v, 1, GICD_IPRIORITYR + 20, 0x50607080);
	assert_int_equal(dist_get(v, 0, GICD_IPRIORITYR + 20), 0x10203040);
	assert_int_equal(dist_get(v, 1, GICD_IPRIORITYR + 20), 0x50607080);
	dist_set(v, 0, GICD_IPRIORITYR + 40, 0x90a0b0c0);
	assert_int_equal(dist_get(v, 1, GICD_IPRIORITYR + 40), 0x90a0b0c0);
	cpu_set(v, 1, GICC_PMR, 0x1a);
	assert_int_equal(cpu_get(v, 1, GICC_PMR), 0x1a);
	assert_int_equal(cpu_get(v, 0, GICC_PMR), 0);
	cpu_set(v, 1, GICC_BPR, 5);
	cpu_set(v, 1, GICC_ABPR, 6);
	assert_int_equal(cpu_get(v, 1, GICC_BPR), 5);
	assert_int_equal(cpu_get(v, 1, GICC_ABPR), 6);
	cpu_set(v, 1, GICC_APR0, 0x8421);
	assert_int_equal(cpu_get(v, 1, GICC_APR0), 0x8421);
	assert_int_equal(cpu_get(v, 1, GICC_APR0 + 4), 0);
	assert_int_equal(cpu_get(v, 1, GICC_IIDR) >> 16 & 0xf, 2);
}

/* GICD_ISPENDR and ICPENDR of a VMM reach SGIs; their senders are in GICD_SPENDSGIR. */
static void saved_sgis(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, 0);
	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(vgic_vm_create(v), 0);
	dist_set(v, 1, GICD_ISPENDR, 0x0005);
	assert_int_equal(dist_get(v, 1, GICD_ISPENDR), 0x0005);
	assert_int_equal(dist_get(v, 1, GICD_SPENDSGIR), 0x00020002);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR), 0);
	dist_set(v, 1, GICD_CPENDSGIR, ~0u);
	dist_set(v, 1, GICD_SPENDSGIR, 0x00000300);
	assert_int_equal(dist_get(v, 1, GICD_SPENDSGIR), 0x00000300);
	assert_int_equal(dist_get(v, 1, GICD_ISPENDR), 0x0002);
	dist_set(v, 1, GICD_ICPENDR, ~0u);
	assert_int_equal(dist_get(v, 1, GICD_SPENDSGIR), 0);
	dist_set(v, 0, GICD_SGIR, 0x00020007);
	assert_int_equal(dist_get(v, 1, GICD_SPENDSGIR + 4), 0x01000000);
}

/* ---- KVM_IRQ_LINE ---- */

static void irq_line_answers(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(SPI(v, 40, 1), -ENXIO);
	assert_int_equal(PPI(v, 0, 20, 1), -ENXIO);
	assert_int_equal(irq_line(v, KVM_ARM_IRQ_TYPE_CPU, 0, 0, 1), 0);
	assert_int_equal(irq_line(v, KVM_ARM_IRQ_TYPE_CPU, 0, 0, 0), 0);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(irq_line(v, KVM_ARM_IRQ_TYPE_CPU, 0, 0, 1), -ENXIO);
	assert_int_equal(irq_line(v, KVM_ARM_IRQ_TYPE_CPU, 9, 9, 1), -ENXIO);
	assert_int_equal(irq_line(v, 3, 0, 40, 1), -EINVAL);
	assert_int_equal(SPI(v, 31, 1), -EINVAL);
	assert_int_equal(PPI(v, 0, 15, 1), -EINVAL);
	assert_int_equal(PPI(v, 0, 32, 1), -EINVAL);
	assert_int_equal(PPI(v, 1, 20, 1), -EINVAL);
	/* This one initialises. */
	assert_int_equal(SPI(v, 40, 1), 0);
	assert_int_equal(call(v->vm, KVM_CREATE_VCPU, 1), -EBUSY);
	assert_int_equal(SPI(v, 256, 1), -EINVAL);
	assert_int_equal(SPI(v, 0xffff, 1), -EINVAL);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 1u << 8);
	assert_int_equal(SPI(v, 40, 0), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 0);
	assert_int_equal(PPI(v, 0, 20, 1), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR), 1u << 20);
}

/* A level that was made pending by a write stays so when its line falls; an edge does always. */
static void pending_latch(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(SPI(v, 40, 1), 0);
	dist_set(v, 0, GICD_ISPENDR + 4, 1u << 8);
	assert_int_equal(SPI(v, 40, 0), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 1u << 8);
	dist_set(v, 0, GICD_ICPENDR + 4, 1u << 8);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 0);
	assert_int_equal(SPI(v, 40, 1), 0);
	dist_set(v, 0, GICD_ICPENDR + 4, 1u << 8);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 1u << 8);
	set_edge(v, 41);
	assert_int_equal(SPI(v, 41, 1), 0);
	assert_int_equal(SPI(v, 41, 0), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 3u << 8);
	/* For an edge each call with 1 is one, also if there was no 0 in between. */
	assert_int_equal(SPI(v, 41, 1), 0);
	dist_set(v, 0, GICD_ICPENDR + 4, 1u << 9);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 1u << 8);
	assert_int_equal(SPI(v, 41, 1), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 3u << 8);
}

/* ---- The interrupts of the timers and of the PMU ---- */

static int set_irq(int vcpu, uint32_t group, uint64_t attr, uint32_t irq)
{
	return vcpu_attr(vcpu, SET, group, attr, &irq);
}

static void place(struct vgic_vm *v)
{
	assert_int_equal(vgic_set_base(v, DIST, DIST_BASE), 0);
	assert_int_equal(vgic_set_base(v, CPU, CPU_BASE), 0);
}

static void timer_irqs(void **state)
{
	struct vgic_vm *v = *state;
	uint32_t irq = 0;

	vgic_vm_add_vcpu(v, 0);
	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(set_irq(v->vcpu[0], TIMER, TIMER_V, 20), -EINVAL);
	assert_int_equal(vgic_vm_create(v), 0);
	place(v);
	assert_int_equal(set_irq(v->vcpu[0], TIMER, TIMER_V, 15), -EINVAL);
	assert_int_equal(set_irq(v->vcpu[0], TIMER, TIMER_V, 32), -EINVAL);
	assert_int_equal(vcpu_attr(v->vcpu[0], SET, TIMER, TIMER_V, BAD_PLACE), -EFAULT);
	assert_int_equal(set_irq(v->vcpu[0], TIMER, 2, 20), -ENXIO);
	assert_int_equal(set_irq(v->vcpu[0], TIMER, TIMER_V, 20), 0);
	assert_int_equal(vcpu_attr(v->vcpu[1], GET, TIMER, TIMER_V, &irq), 0);
	assert_int_equal(irq, 20);
	assert_int_equal(vcpu_attr(v->vcpu[1], GET, TIMER, TIMER_P, &irq), 0);
	assert_int_equal(irq, 30);
	/* Both on one: no. Then it can be put right. */
	assert_int_equal(set_irq(v->vcpu[0], TIMER, TIMER_P, 20), 0);
	assert_int_equal(run_once(v, 0), -EINVAL);
	assert_int_equal(set_irq(v->vcpu[0], TIMER, TIMER_P, 21), 0);
	assert_int_equal(run_once(v, 0), 0);
	assert_int_equal(set_irq(v->vcpu[0], TIMER, TIMER_P, 22), -EBUSY);
	assert_int_equal(run_once(v, 1), 0);
	/* The line of a timer is the timer's. */
	assert_int_equal(PPI(v, 0, 20, 1), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR), 0);
	assert_int_equal(PPI(v, 0, 27, 1), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR), 1u << 27);
}

static void pmu_irq(void **state)
{
	struct vgic_vm *v = *state;
	uint32_t irq = 0;

	vgic_vm_add_vcpu(v, PMU_FEATURE);
	vgic_vm_add_vcpu(v, PMU_FEATURE);
	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(set_irq(v->vcpu[0], PMU, PMU_IRQ, 23), -EINVAL);
	assert_int_equal(vcpu_attr(v->vcpu[0], GET, PMU, PMU_IRQ, &irq), -EINVAL);
	assert_int_equal(vgic_vm_create(v), 0);
	place(v);
	assert_int_equal(vcpu_attr(v->vcpu[0], GET, PMU, PMU_IRQ, &irq), -ENXIO);
	assert_int_equal(vcpu_attr(v->vcpu[2], GET, PMU, PMU_IRQ, &irq), -ENODEV);
	assert_int_equal(set_irq(v->vcpu[2], PMU, PMU_IRQ, 23), -ENODEV);
	assert_int_equal(vcpu_attr(v->vcpu[0], SET, PMU, PMU_INIT, NULL), -ENODEV);
	assert_int_equal(init_vgic(v), 0);
	assert_int_equal(vcpu_attr(v->vcpu[0], SET, PMU, PMU_INIT, NULL), -ENXIO);
	assert_int_equal(set_irq(v->vcpu[0], PMU, PMU_IRQ, 15), -EINVAL);
	assert_int_equal(set_irq(v->vcpu[0], PMU, PMU_IRQ, 1020), -EINVAL);
	assert_int_equal(vcpu_attr(v->vcpu[0], SET, PMU, PMU_IRQ, BAD_PLACE), -EFAULT);
	assert_int_equal(set_irq(v->vcpu[0], PMU, PMU_IRQ, 23), 0);
	assert_int_equal(set_irq(v->vcpu[0], PMU, PMU_IRQ, 23), -EBUSY);
	assert_int_equal(set_irq(v->vcpu[0], PMU, PMU_IRQ, 24), -EINVAL);
	assert_int_equal(set_irq(v->vcpu[1], PMU, PMU_IRQ, 24), -EINVAL);
	assert_int_equal(set_irq(v->vcpu[1], PMU, PMU_IRQ, 23), 0);
	assert_int_equal(vcpu_attr(v->vcpu[1], GET, PMU, PMU_IRQ, &irq), 0);
	assert_int_equal(irq, 23);
	assert_int_equal(run_once(v, 0), -EINVAL);
	assert_int_equal(vcpu_attr(v->vcpu[0], SET, PMU, PMU_INIT, NULL), 0);
	assert_int_equal(vcpu_attr(v->vcpu[0], SET, PMU, PMU_INIT, NULL), -EBUSY);
	assert_int_equal(run_once(v, 0), 0);
}

/* An SPI is another on each vCPU, and must be one of the vgic's. */
static void pmu_spi(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, PMU_FEATURE);
	vgic_vm_add_vcpu(v, PMU_FEATURE);
	assert_int_equal(vgic_vm_create(v), 0);
	place(v);
	assert_int_equal(init_vgic(v), 0);
	assert_int_equal(set_irq(v->vcpu[0], PMU, PMU_IRQ, 40), 0);
	assert_int_equal(set_irq(v->vcpu[1], PMU, PMU_IRQ, 40), -EINVAL);
	assert_int_equal(set_irq(v->vcpu[1], PMU, PMU_IRQ, 300), 0);
	assert_int_equal(vcpu_attr(v->vcpu[0], SET, PMU, PMU_INIT, NULL), 0);
	assert_int_equal(vcpu_attr(v->vcpu[1], SET, PMU, PMU_INIT, NULL), -EINVAL);
	assert_int_equal(run_once(v, 0), 0);
	assert_int_equal(SPI(v, 40, 1), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 0);
}

/* The PMU on a timer's PPI: whoever comes second is refused. */
static void shared_irq(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, PMU_FEATURE);
	assert_int_equal(vgic_vm_create(v), 0);
	place(v);
	assert_int_equal(init_vgic(v), 0);
	assert_int_equal(set_irq(v->vcpu[0], PMU, PMU_IRQ, 27), 0);
	assert_int_equal(vcpu_attr(v->vcpu[0], SET, PMU, PMU_INIT, NULL), 0);
	assert_int_equal(run_once(v, 0), -EINVAL);
}

/* A PMU that was set up before there was a vgic has no interrupt. */
static void pmu_before_vgic(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, PMU_FEATURE);
	assert_int_equal(vcpu_attr(v->vcpu[0], SET, PMU, PMU_INIT, NULL), 0);
	assert_int_equal(vgic_vm_create(v), 0);
	place(v);
	assert_int_equal(run_once(v, 0), -EINVAL);
}

/* ---- Orders of creation ---- */

/* The guest can read the Distributor, and an SPI reaches it. */
static void expect_interrupt(struct vgic_vm *v, unsigned int nr_irqs)
{
	struct prog p = {0};

	a_org(&p, VECTOR_IRQ);
	a_ldr(&p, 2, 1, R_IAR);
	a_str(&p, 3, 1, R_MMIO);
	a_org(&p, TEXT);
	a_movi(&p, 2, DIST_BASE + GICD_TYPER);
	a_ldr(&p, 2, 1, 2);
	a_str(&p, 3, 1, R_MMIO);
	a_daifclr(&p, A_DAIF_I);
	a_wfi(&p);
	a_b(&p, a_here(&p) - 1);
	vgic_load(v, 0, &p);
	assert_int_equal(run_to_store(v, 0), (nr_irqs / 32 - 1) | (v->nr - 1) << 5);
	if (v->dev < 0)
		return;
	dist_set(v, 0, GICD_CTLR, 1);
	cpu_set(v, 0, GICC_CTLR, 1);
	cpu_set(v, 0, GICC_PMR, 0x1f);
	enable_irq(v, 0, 40);
	assert_int_equal(SPI(v, 40, 1), 0);
	assert_int_equal(run_to_store(v, 0), 40);
}

static void order_kvmtool(void **state)
{
	struct vgic_vm *v = *state;

	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(vgic_set_base(v, CPU, CPU_BASE), 0);
	assert_int_equal(vgic_set_base(v, DIST, DIST_BASE), 0);
	vgic_vm_add_vcpu(v, 0);
	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(vgic_attr(v, HAS, IRQS, 0, NULL), 0);
	assert_int_equal(set_u32(v, IRQS, 0, 128), 0);
	assert_int_equal(vgic_attr(v, HAS, CTRL, INIT, NULL), 0);
	assert_int_equal(init_vgic(v), 0);
	expect_interrupt(v, 128);
}

static void order_qemu(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, 0);
	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(create_test(v), 0);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(set_u32(v, IRQS, 0, 288), 0);
	assert_int_equal(init_vgic(v), 0);
	assert_int_equal(vgic_set_base(v, DIST, DIST_BASE), 0);
	assert_int_equal(vgic_set_base(v, CPU, CPU_BASE), 0);
	expect_interrupt(v, 288);
}

static void order_firecracker(void **state)
{
	struct vgic_vm *v = *state;

	vgic_vm_add_vcpu(v, 0);
	assert_int_equal(vgic_vm_create(v), 0);
	assert_int_equal(vgic_set_base(v, DIST, DIST_BASE), 0);
	assert_int_equal(vgic_set_base(v, CPU, CPU_BASE), 0);
	assert_int_equal(set_u32(v, IRQS, 0, 128), 0);
	assert_int_equal(init_vgic(v), 0);
	assert_int_equal(init_vcpu(v->vcpu[0], PSCI_FEATURE), 0);
	expect_interrupt(v, 128);
}

static void order_lazy(void **state)
{
	struct vgic_vm *v = *state;

	assert_int_equal(call(v->vm, KVM_CREATE_IRQCHIP, 0), 0);
	assert_int_equal(set_legacy(v, KVM_ARM_DEVICE_VGIC_V2, DIST, DIST_BASE), 0);
	assert_int_equal(set_legacy(v, KVM_ARM_DEVICE_VGIC_V2, CPU, CPU_BASE), 0);
	vgic_vm_add_vcpu(v, 0);
	expect_interrupt(v, 256);
}

/* ---- While vCPUs run ---- */

static void *run_thread(void *arg)
{
	struct vgic_vm *v = arg;

	return (void *)(uintptr_t)run_to_store(v, 1);
}

static void busy(void **state)
{
	struct vgic_vm *v = vgic_vm_new(2, 0);
	_Atomic uint64_t *flag = (_Atomic uint64_t *)(v->ram + 0x8000);
	struct prog p = {0};
	pthread_t thread;
	uint32_t value = 0;
	void *result;

	vgic_vm_end(*state);
	*state = v;
	a_org(&p, VECTOR_IRQ);
	a_ldr(&p, 2, 1, R_IAR);
	a_str(&p, 3, 1, R_MMIO);
	a_org(&p, TEXT);
	a_movi(&p, 2, RAM + 0x8000);
	a_movi(&p, 1, 1);
	a_str(&p, 3, 1, 2);
	a_daifclr(&p, A_DAIF_I);
	a_wfi(&p);
	a_b(&p, a_here(&p) - 1);
	vgic_load(v, 1, &p);
	enable_irq(v, 1, 40);
	assert_int_equal(pthread_create(&thread, NULL, run_thread, v), 0);
	while (!atomic_load(flag))
		sched_yield();
	assert_int_equal(vgic_attr(v, GET, DIST_REGS, REG(0, 0), &value), -EBUSY);
	assert_int_equal(vgic_attr(v, SET, DIST_REGS, REG(1, 0), &value), -EBUSY);
	assert_int_equal(vgic_attr(v, GET, CPU_REGS, REG(0, 0), &value), -EBUSY);
	assert_int_equal(vgic_attr(v, SET, CPU_REGS, REG(0, 0), &value), -EBUSY);
	assert_int_equal(vgic_attr(v, HAS, CPU_REGS, REG(0, 0), NULL), 0);
	assert_int_equal(SPI(v, 40, 1), 0);
	pthread_join(thread, &result);
	assert_int_equal((uintptr_t)result, 40);
	assert_int_equal(vgic_attr(v, GET, DIST_REGS, REG(0, 0), &value), 0);
	assert_int_equal(value, 1);
}

/* Threads that only look at registers are not in each other's way: no vCPU runs. */
static void *look(void *arg)
{
	uintptr_t refused = 0;
	uint32_t value;

	for (unsigned int i = 0; i < LOOKS; i++)
		refused += !!vgic_attr(arg, GET, DIST_REGS, REG(i % 2, GICD_TYPER), &value);
	return (void *)refused;
}

static void two_who_look(void **state)
{
	struct vgic_vm *v = vgic_vm_new(2, 0);
	pthread_t thread;
	void *refused;

	vgic_vm_end(*state);
	*state = v;
	assert_int_equal(pthread_create(&thread, NULL, look, v), 0);
	assert_null(look(v));
	pthread_join(thread, &refused);
	assert_null(refused);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_vm, end_vm)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(capabilities),
		TEST(only_one),
		TEST(only_one_legacy),
		TEST(after_a_run),
		TEST(too_many_vcpus),
		TEST(vcpus_afterwards),
		TEST(eight_and_no_more),
		TEST(what_there_is),
		TEST(addresses),
		TEST(unset_address),
		TEST(overlapping_frames),
		TEST(number_of_irqs),
		TEST(default_number_of_irqs),
		TEST(registers),
		TEST(saved_sgis),
		TEST(irq_line_answers),
		TEST(pending_latch),
		TEST(timer_irqs),
		TEST(pmu_irq),
		TEST(pmu_spi),
		TEST(shared_irq),
		TEST(pmu_before_vgic),
		TEST(order_kvmtool),
		TEST(order_qemu),
		TEST(order_firecracker),
		TEST(order_lazy),
		TEST(busy),
		TEST(two_who_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
