/* SPDX-License-Identifier: MIT */
/*
 * Attributes of devices and of vCPUs: tables, and how KVM_SET, GET and HAS_DEVICE_ATTR are served
 * from them. Then the table of a vCPU: PMU_V3_CTRL and TIMER_CTRL
 * (Documentation/virt/kvm/devices/vcpu.rst), as they are for a VM without an in-kernel irqchip: no
 * interrupt number can be chosen.
 */
#include "kvm/kvm.h"

/* ---- Tables ---- */

static const struct attr *find(const struct attr *table, const struct kvm_device_attr *a)
{
	const struct attr *row;

	for (row = table; row->first <= row->last; row++)
		if (row->group == a->group && a->attr >= row->first && a->attr <= row->last)
			return row;
	return NULL;
}

long attrs_set(const struct attr *table, void *owner, const struct kvm_device_attr *a)
{
	const struct attr *row = find(table, a);

	return row && row->set ? row->set(owner, a) : -ENXIO;
}

long attrs_get(const struct attr *table, void *owner, const struct kvm_device_attr *a)
{
	const struct attr *row = find(table, a);

	return row && row->get ? row->get(owner, a) : -ENXIO;
}

long attrs_has(const struct attr *table, void *owner, const struct kvm_device_attr *a)
{
	const struct attr *row = find(table, a);

	return row && row->has ? row->has(owner, a) : -ENXIO;
}

long attr_is_there(void *owner, const struct kvm_device_attr *a)
{
	return 0;
}

/* ---- A vCPU's ---- */

/* The PPIs of the timers unless an in-kernel irqchip is told otherwise. */
#define DEFAULT_VTIMER_PPI 27
#define DEFAULT_PTIMER_PPI 30

static bool has_pmu(const struct vcpu *vcpu)
{
	return vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3);
}

/* Whether the PMU can be set up, whatever the attribute. */
static long pmu_check(const struct vcpu *vcpu)
{
	if (!has_pmu(vcpu))
		return -ENODEV;
	return vcpu->pmu_created ? -EBUSY : 0;
}

static long pmu_set_irq(void *owner, const struct kvm_device_attr *a)
{
	long ret = pmu_check(owner);

	return ret ? ret : -EINVAL;
}

static long pmu_get_irq(void *owner, const struct kvm_device_attr *a)
{
	return -EINVAL;
}

static long pmu_set_init(void *owner, const struct kvm_device_attr *a)
{
	struct vcpu *vcpu = owner;
	long ret = pmu_check(vcpu);

	if (ret)
		return ret;
	vcpu->pmu_created = true;
	vcpu->cpu->pmu.initialised = true;
	return 0;
}

static long pmu_set_unknown(void *owner, const struct kvm_device_attr *a)
{
	long ret = pmu_check(owner);

	return ret ? ret : -ENXIO;
}

static long pmu_has(void *owner, const struct kvm_device_attr *a)
{
	return has_pmu(owner) ? 0 : -ENXIO;
}

static long timer_set(void *owner, const struct kvm_device_attr *a)
{
	return -EINVAL;
}

static long timer_get(void *owner, const struct kvm_device_attr *a)
{
	int ppi =
		a->attr == KVM_ARM_VCPU_TIMER_IRQ_VTIMER ? DEFAULT_VTIMER_PPI : DEFAULT_PTIMER_PPI;

	return copy_out(a->addr, &ppi, sizeof(ppi));
}

#define PMU   KVM_ARM_VCPU_PMU_V3_CTRL
#define TIMER KVM_ARM_VCPU_TIMER_CTRL

const struct attr vcpu_attrs[] = {
	{PMU, ATTR(KVM_ARM_VCPU_PMU_V3_IRQ), pmu_set_irq, pmu_get_irq, pmu_has},
	{PMU, ATTR(KVM_ARM_VCPU_PMU_V3_INIT), pmu_set_init, NULL, pmu_has},
	{PMU, ATTR_ANY, pmu_set_unknown, NULL, NULL},
	{TIMER, ATTR(KVM_ARM_VCPU_TIMER_IRQ_VTIMER), timer_set, timer_get, attr_is_there},
	{TIMER, ATTR(KVM_ARM_VCPU_TIMER_IRQ_PTIMER), timer_set, timer_get, attr_is_there},
	{TIMER, ATTR_ANY, timer_set, NULL, NULL},
	ATTR_END,
};
