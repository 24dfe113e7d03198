/* SPDX-License-Identifier: MIT */
/*
 * The vgic as a device: KVM_DEV_TYPE_ARM_VGIC_V2 and its attributes
 * (Documentation/virt/kvm/devices/arm-vgic.rst).
 *
 * Registers are read and written while no vCPU is in any request: all their locks are tried, and
 * if one is taken the answer is -EBUSY. That is done under vm->lock, so that two threads which only
 * look at registers are not in each other's way; nobody is waited for under it. vCPUs that hold
 * still cannot be added to either, for the vgic is initialised first.
 */
#include "gic/for_kvm.h"
#include "kvm/kvm.h"

/* kvm_device_attr.attr of a register */
#define REG_OFFSET(attr) ((uint32_t)((attr)&KVM_DEV_ARM_VGIC_OFFSET_MASK))
#define REG_CPU(attr) \
	((unsigned int)(((attr)&KVM_DEV_ARM_VGIC_CPUID_MASK) >> KVM_DEV_ARM_VGIC_CPUID_SHIFT))

#define GICD_IIDR 0x008u

static long create(struct device *dev)
{
	return vgic_create(dev->vm);
}

/* ---- Where it is, and how large ---- */

static long set_addr(void *owner, const struct kvm_device_attr *a)
{
	struct vm *vm = ((struct device *)owner)->vm;
	uint64_t addr;
	long ret;

	if (copy_in(&addr, a->addr, sizeof(addr)))
		return -EFAULT;
	pthread_mutex_lock(&vm->lock);
	ret = vgic_set_addr(vm, (enum vgic_frame)a->attr, addr);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static long get_addr(void *owner, const struct kvm_device_attr *a)
{
	struct vm *vm = ((struct device *)owner)->vm;
	uint64_t addr;

	pthread_mutex_lock(&vm->lock);
	addr = atomic_load(&vm->vgic)->base[a->attr];
	pthread_mutex_unlock(&vm->lock);
	return copy_out(a->addr, &addr, sizeof(addr));
}

/* Linux reads the address before it looks at which frame it is for. */
static long set_other_addr(void *owner, const struct kvm_device_attr *a)
{
	uint64_t addr;

	return copy_in(&addr, a->addr, sizeof(addr)) ? -EFAULT : -ENXIO;
}

static long set_nr_irqs(void *owner, const struct kvm_device_attr *a)
{
	struct vm *vm = ((struct device *)owner)->vm;
	struct vgic *vgic = atomic_load(&vm->vgic);
	uint32_t n;
	long ret = 0;

	if (copy_in(&n, a->addr, sizeof(n)))
		return -EFAULT;
	if (n < VGIC_MIN_IRQS || n > VGIC_MAX_IRQS || n % 32)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	if (vgic->nr_irqs)
		ret = -EBUSY;
	else
		vgic->nr_irqs = n;
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

/* The number of INTIDs that is settled: before that, of the private ones. */
static uint32_t nr_irqs(struct vm *vm)
{
	uint32_t n;

	pthread_mutex_lock(&vm->lock);
	n = atomic_load(&vm->vgic)->nr_irqs;
	pthread_mutex_unlock(&vm->lock);
	return n ? n : VGIC_NR_PRIVATE;
}

static long get_nr_irqs(void *owner, const struct kvm_device_attr *a)
{
	uint32_t n = nr_irqs(((struct device *)owner)->vm);

	return copy_out(a->addr, &n, sizeof(n));
}

static long set_init(void *owner, const struct kvm_device_attr *a)
{
	struct vm *vm = ((struct device *)owner)->vm;
	long ret;

	pthread_mutex_lock(&vm->lock);
	ret = vgic_init(vm);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

/* ---- Registers ---- */

/* As on Linux the attribute names a vCPU by its id. */
static struct vcpu *find_vcpu(struct vm *vm, uint64_t attr)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->id == REG_CPU(attr))
			return vm->vcpus[i];
	return NULL;
}

static void unlock_vcpus(struct vm *vm, unsigned int n)
{
	while (n)
		pthread_mutex_unlock(&vm->vcpus[--n]->lock);
}

static bool trylock_vcpus(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (pthread_mutex_trylock(&vm->vcpus[i]->lock)) {
			unlock_vcpus(vm, i);
			return false;
		}
	return true;
}

/* What an access to a register does, while all vCPUs hold still. */
typedef long access_fn(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
		       uint32_t *value);

/* Under vm->lock. */
static long access_settled(struct vm *vm, const struct kvm_device_attr *a, unsigned int cpu,
			   access_fn *access, uint32_t *value)
{
	long ret = vgic_init(vm);

	if (ret)
		return ret;
	if (!trylock_vcpus(vm))
		return -EBUSY;
	ret = access(atomic_load(&atomic_load(&vm->vgic)->gic), cpu, REG_OFFSET(a->attr), value);
	unlock_vcpus(vm, vm->nr_vcpus);
	return ret;
}

static long access_reg(struct vm *vm, const struct kvm_device_attr *a, access_fn *access,
		       uint32_t *value)
{
	struct vcpu *vcpu = find_vcpu(vm, a->attr);
	long ret;

	if (!vcpu)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	ret = access_settled(vm, a, vcpu->index, access, value);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static long set_reg(struct vm *vm, const struct kvm_device_attr *a, access_fn *access)
{
	uint32_t value;

	if (!find_vcpu(vm, a->attr))
		return -EINVAL;
	if (copy_in(&value, a->addr, sizeof(value)))
		return -EFAULT;
	return access_reg(vm, a, access, &value);
}

static long get_reg(struct vm *vm, const struct kvm_device_attr *a, access_fn *access)
{
	uint32_t value;
	long ret = access_reg(vm, a, access, &value);

	return ret ? ret : copy_out(a->addr, &value, sizeof(value));
}

static long save_dist(struct armature_gic *gic, unsigned int cpu, uint64_t offset, uint32_t *value)
{
	*value = agic_save_dist(gic, cpu, offset);
	return 0;
}

/* GICD_IIDR says which GIC a state was saved from: it must be one like this. */
static long restore_dist(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
			 uint32_t *value)
{
	if (offset == GICD_IIDR && *value != agic_save_dist(gic, cpu, offset))
		return -EINVAL;
	agic_restore_dist(gic, cpu, offset, *value);
	return 0;
}

static long save_cpu(struct armature_gic *gic, unsigned int cpu, uint64_t offset, uint32_t *value)
{
	*value = agic_save_cpu(gic, cpu, offset);
	return 0;
}

static long restore_cpu(struct armature_gic *gic, unsigned int cpu, uint64_t offset,
			uint32_t *value)
{
	agic_restore_cpu(gic, cpu, offset, *value);
	return 0;
}

static long set_dist_reg(void *owner, const struct kvm_device_attr *a)
{
	return set_reg(((struct device *)owner)->vm, a, restore_dist);
}

static long get_dist_reg(void *owner, const struct kvm_device_attr *a)
{
	return get_reg(((struct device *)owner)->vm, a, save_dist);
}

static long has_dist_reg(void *owner, const struct kvm_device_attr *a)
{
	struct vm *vm = ((struct device *)owner)->vm;

	if (!find_vcpu(vm, a->attr))
		return -EINVAL;
	return agic_dist_exists(nr_irqs(vm), REG_OFFSET(a->attr)) ? 0 : -ENXIO;
}

static long set_cpu_reg(void *owner, const struct kvm_device_attr *a)
{
	return set_reg(((struct device *)owner)->vm, a, restore_cpu);
}

static long get_cpu_reg(void *owner, const struct kvm_device_attr *a)
{
	return get_reg(((struct device *)owner)->vm, a, save_cpu);
}

static long has_cpu_reg(void *owner, const struct kvm_device_attr *a)
{
	if (!find_vcpu(((struct device *)owner)->vm, a->attr))
		return -EINVAL;
	return agic_cpu_exists(REG_OFFSET(a->attr)) ? 0 : -ENXIO;
}

/* ---- The type ---- */

#define ADDR KVM_DEV_ARM_VGIC_GRP_ADDR

static const struct attr attrs[] = {
	{ADDR, ATTRS(KVM_VGIC_V2_ADDR_TYPE_DIST, KVM_VGIC_V2_ADDR_TYPE_CPU), set_addr, get_addr,
	 attr_is_there},
	{ADDR, ATTR_ANY, set_other_addr, NULL, NULL},
	{KVM_DEV_ARM_VGIC_GRP_NR_IRQS, ATTR_ANY, set_nr_irqs, get_nr_irqs, attr_is_there},
	{KVM_DEV_ARM_VGIC_GRP_CTRL, ATTR(KVM_DEV_ARM_VGIC_CTRL_INIT), set_init, NULL,
	 attr_is_there},
	{KVM_DEV_ARM_VGIC_GRP_DIST_REGS, ATTR_ANY, set_dist_reg, get_dist_reg, has_dist_reg},
	{KVM_DEV_ARM_VGIC_GRP_CPU_REGS, ATTR_ANY, set_cpu_reg, get_cpu_reg, has_cpu_reg},
	ATTR_END,
};

_Static_assert(VGIC_DIST == KVM_VGIC_V2_ADDR_TYPE_DIST && VGIC_CPU == KVM_VGIC_V2_ADDR_TYPE_CPU,
	       "a frame's number is that of its address");

const struct device_type vgic_v2_type = {
	.nr = KVM_DEV_TYPE_ARM_VGIC_V2,
	.name = "kvm-arm-vgic-v2",
	.create = create,
	.attrs = attrs,
};
