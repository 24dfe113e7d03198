/* SPDX-License-Identifier: MIT */
/*
 * Attributes of devices and of vCPUs: tables, and how KVM_SET, GET and HAS_DEVICE_ATTR are served
 * from them. Then the table of a vCPU: PMU_V3_CTRL and TIMER_CTRL
 * (Documentation/virt/kvm/devices/vcpu.rst). Interrupt numbers can be chosen, and must be for the
 * PMU, in a VM that has a vgic.
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

/* A PPI is the same on all vCPUs, an SPI another on each. Under vm->lock. */
static bool pmu_irq_fits(const struct vm *vm, uint32_t irq)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		uint32_t other = vm->vcpus[i]->pmu_irq;

		if (other && (INTID_IS_PPI(irq) ? other != irq : other == irq))
			return false;
	}
	return true;
}

static long pmu_choose_irq(struct vcpu *vcpu, uint32_t irq)
{
	if (!pmu_irq_fits(vcpu->vm, irq))
		return -EINVAL;
	if (vcpu->pmu_irq)
		return -EBUSY;
	vcpu->pmu_irq = irq;
	return 0;
}

static long pmu_set_irq(void *owner, const struct kvm_device_attr *a)
{
	struct vcpu *vcpu = owner;
	long ret = pmu_check(vcpu);
	uint32_t irq;

	if (ret)
		return ret;
	if (!vgic_exists(vcpu->vm))
		return -EINVAL;
	if (copy_in(&irq, a->addr, sizeof(irq)))
		return -EFAULT;
	if (!INTID_IS_PPI(irq) && !INTID_IS_SPI(irq))
		return -EINVAL;
	pthread_mutex_lock(&vcpu->vm->lock);
	ret = pmu_choose_irq(vcpu, irq);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return ret;
}

static long pmu_get_irq(void *owner, const struct kvm_device_attr *a)
{
	struct vcpu *vcpu = owner;

	if (!vgic_exists(vcpu->vm))
		return -EINVAL;
	if (!has_pmu(vcpu))
		return -ENODEV;
	if (!vcpu->pmu_irq)
		return -ENXIO;
	return copy_out(a->addr, &vcpu->pmu_irq, sizeof(vcpu->pmu_irq));
}

/* With a vgic the PMU's line is its own from now on. */
static long pmu_wire(struct vcpu *vcpu)
{
	long ret;

	if (!vgic_exists(vcpu->vm))
		return 0;
	if (!vgic_ready(vcpu->vm))
		return -ENODEV;
	if (!vcpu->pmu_irq)
		return -ENXIO;
	pthread_mutex_lock(&vcpu->vm->lock);
	ret = vgic_claim(vcpu, vcpu->pmu_irq);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return ret;
}

static long pmu_set_init(void *owner, const struct kvm_device_attr *a)
{
	struct vcpu *vcpu = owner;
	long ret = pmu_check(vcpu);

	if (!ret)
		ret = pmu_wire(vcpu);
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

/* Of all vCPUs, whichever it is set on. That the two differ is checked when a vCPU runs. */
static long timer_choose_ppi(struct vm *vm, uint64_t attr, uint32_t ppi)
{
	if (atomic_load(&vm->has_run))
		return -EBUSY;
	if (attr > KVM_ARM_VCPU_TIMER_IRQ_PTIMER)
		return -ENXIO;
	vm->timer_ppi[attr] = ppi;
	return 0;
}

static long timer_set(void *owner, const struct kvm_device_attr *a)
{
	struct vm *vm = ((struct vcpu *)owner)->vm;
	uint32_t ppi;
	long ret;

	if (!vgic_exists(vm))
		return -EINVAL;
	if (copy_in(&ppi, a->addr, sizeof(ppi)))
		return -EFAULT;
	if (!INTID_IS_PPI(ppi))
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	ret = timer_choose_ppi(vm, a->attr, ppi);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static long timer_get(void *owner, const struct kvm_device_attr *a)
{
	struct vm *vm = ((struct vcpu *)owner)->vm;
	uint32_t ppi;

	pthread_mutex_lock(&vm->lock);
	ppi = vm->timer_ppi[a->attr];
	pthread_mutex_unlock(&vm->lock);
	return copy_out(a->addr, &ppi, sizeof(ppi));
}

_Static_assert(KVM_ARM_VCPU_TIMER_IRQ_VTIMER == 0 && KVM_ARM_VCPU_TIMER_IRQ_PTIMER == 1,
	       "the attributes are the places in vm->timer_ppi");

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
