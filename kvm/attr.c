/* SPDX-License-Identifier: MIT */
/*
 * Attributes of a vCPU: PMU_V3_CTRL and TIMER_CTRL (Documentation/virt/kvm/devices/vcpu.rst), as
 * they are for a VM without an in-kernel irqchip: no interrupt number can be chosen.
 */
#include "kvm/kvm.h"

/* The PPIs of the timers unless an in-kernel irqchip is told otherwise. */
#define DEFAULT_VTIMER_PPI 27
#define DEFAULT_PTIMER_PPI 30

static bool has_pmu(struct vcpu *vcpu)
{
	return vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3);
}

static long pmu_set(struct vcpu *vcpu, const struct kvm_device_attr *a)
{
	if (!has_pmu(vcpu))
		return -ENODEV;
	if (vcpu->pmu_created)
		return -EBUSY;
	switch (a->attr) {
	case KVM_ARM_VCPU_PMU_V3_IRQ:
		return -EINVAL;
	case KVM_ARM_VCPU_PMU_V3_INIT:
		vcpu->pmu_created = true;
		vcpu->cpu->pmu.initialised = true;
		return 0;
	}
	return -ENXIO;
}

static long pmu_get(struct vcpu *vcpu, const struct kvm_device_attr *a)
{
	return a->attr == KVM_ARM_VCPU_PMU_V3_IRQ ? -EINVAL : -ENXIO;
}

static long pmu_has(struct vcpu *vcpu, const struct kvm_device_attr *a)
{
	if (a->attr != KVM_ARM_VCPU_PMU_V3_IRQ && a->attr != KVM_ARM_VCPU_PMU_V3_INIT)
		return -ENXIO;
	return has_pmu(vcpu) ? 0 : -ENXIO;
}

static long timer_set(struct vcpu *vcpu, const struct kvm_device_attr *a)
{
	return -EINVAL;
}

static int timer_ppi(const struct kvm_device_attr *a)
{
	switch (a->attr) {
	case KVM_ARM_VCPU_TIMER_IRQ_VTIMER:
		return DEFAULT_VTIMER_PPI;
	case KVM_ARM_VCPU_TIMER_IRQ_PTIMER:
		return DEFAULT_PTIMER_PPI;
	}
	return -ENXIO;
}

static long timer_get(struct vcpu *vcpu, const struct kvm_device_attr *a)
{
	int ppi = timer_ppi(a);

	return ppi < 0 ? ppi : copy_out(a->addr, &ppi, sizeof(ppi));
}

static long timer_has(struct vcpu *vcpu, const struct kvm_device_attr *a)
{
	int ppi = timer_ppi(a);

	return ppi < 0 ? ppi : 0;
}

struct attr_group {
	long (*set)(struct vcpu *vcpu, const struct kvm_device_attr *a);
	long (*get)(struct vcpu *vcpu, const struct kvm_device_attr *a);
	long (*has)(struct vcpu *vcpu, const struct kvm_device_attr *a);
};

static const struct attr_group groups[] = {
	[KVM_ARM_VCPU_PMU_V3_CTRL] = {pmu_set, pmu_get, pmu_has},
	[KVM_ARM_VCPU_TIMER_CTRL] = {timer_set, timer_get, timer_has},
};

/** attr_set() / attr_get() / attr_has() - KVM_*_DEVICE_ATTR on a vCPU: 0 or -errno. */
long attr_set(struct vcpu *vcpu, const struct kvm_device_attr *a)
{
	return a->group < ARRAY_SIZE(groups) ? groups[a->group].set(vcpu, a) : -ENXIO;
}

long attr_get(struct vcpu *vcpu, const struct kvm_device_attr *a)
{
	return a->group < ARRAY_SIZE(groups) ? groups[a->group].get(vcpu, a) : -ENXIO;
}

long attr_has(struct vcpu *vcpu, const struct kvm_device_attr *a)
{
	return a->group < ARRAY_SIZE(groups) ? groups[a->group].has(vcpu, a) : -ENXIO;
}
