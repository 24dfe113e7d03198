/* SPDX-License-Identifier: MIT */
/*
 * A VM: its life, its capabilities, its requests, and the stop protocol.
 *
 * The stop protocol. Memslots and the list of vCPUs change only while no vCPU is inside the guest.
 * Two threads may have stopped the VM at the same time: that keeps vCPUs out, not each other. A
 * vCPU says in_guest before it enters and then looks at vm->stopping; vm_stop() sets stopping and
 * then looks at each in_guest: both orders are sequentially consistent, so that one of the two sees
 * the other. A vCPU that leaves while stopping is set signals machine.passed; one that would enter
 * waits for vm->resumed.
 */
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine.h"
#include "kvm/kvm.h"

/* ---- Capabilities ---- */

struct capability {
	unsigned int nr;
	int value;
};

/* Whatever is not here is 0. docs/abi.md has Linux's answers beside these, and a test compares. */
static const struct capability capabilities[] = {
	{KVM_CAP_IRQCHIP, 1},
	{KVM_CAP_USER_MEMORY, 1},
	{KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1},
	{KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1},
	{KVM_CAP_SYNC_MMU, 1},
	{KVM_CAP_IOEVENTFD, 1},
	{KVM_CAP_IOEVENTFD_ANY_LENGTH, 1},
	{KVM_CAP_IRQFD, 1},
	{KVM_CAP_IRQFD_RESAMPLE, 1},
	{KVM_CAP_IRQ_ROUTING, ROUTING_MAX},
	{KVM_CAP_SIGNAL_MSI, 1},
	{KVM_CAP_READONLY_MEM, 1},
	{KVM_CAP_NR_MEMSLOTS, KVM_NR_SLOTS},
	{KVM_CAP_MAX_VCPUS, KVM_MAX_VCPUS},
	{KVM_CAP_MAX_VCPU_ID, KVM_MAX_VCPUS},
	{KVM_CAP_MP_STATE, 1},
	{KVM_CAP_ONE_REG, 1},
	{KVM_CAP_ARM_PSCI, 1},
	{KVM_CAP_ARM_PSCI_0_2, 1},
	{KVM_CAP_ARM_SET_DEVICE_ADDR, 1},
	{KVM_CAP_DEVICE_CTRL, 1},
	{KVM_CAP_ENABLE_CAP_VM, 1},
	{KVM_CAP_CHECK_EXTENSION_VM, 1},
	{KVM_CAP_INTERNAL_ERROR_DATA, 1},
	{KVM_CAP_VCPU_EVENTS, 1},
	{KVM_CAP_ARM_PMU_V3, 1},
	{KVM_CAP_VCPU_ATTRIBUTES, 1},
	{KVM_CAP_IMMEDIATE_EXIT, 1},
	{KVM_CAP_ARM_USER_IRQ, 1}, /* virtual timer, physical timer, PMU */
	{KVM_CAP_ARM_VM_IPA_SIZE, KVM_IPA_LIMIT},
	{KVM_CAP_ARM_IRQ_LINE_LAYOUT_2, 1},
	{KVM_CAP_ARM_NISV_TO_USER, 1},
	{KVM_CAP_ARM_INJECT_EXT_DABT, 1},
	{KVM_CAP_HALT_POLL, 1},
	{KVM_CAP_PTP_KVM, 1},
	{KVM_CAP_SYSTEM_EVENT_DATA, 1},
	{KVM_CAP_BINARY_STATS_FD, 1},
	{KVM_CAP_USER_MEMORY2, 1},
};

long vm_check_extension(const struct vm *vm, unsigned long cap)
{
	size_t i;

	/* A property of a VM's ITS, and no question for the system descriptor. */
	if (cap == KVM_CAP_MSI_DEVID && !vm)
		return -EINVAL;
	if (cap == KVM_CAP_NR_VCPUS) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		return n < KVM_MAX_VCPUS ? n : KVM_MAX_VCPUS;
	}
	if (vm && vgic_exists(vm) && (cap == KVM_CAP_MAX_VCPUS || cap == KVM_CAP_MAX_VCPU_ID))
		return VGIC_MAX_VCPUS;
	for (i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].nr == cap)
			return capabilities[i].value;
	return 0;
}

/* ---- Life ---- */

static void vm_destroy(struct vm *vm)
{
	unsigned int i;

	clock_stop(vm);
	irqfds_destroy(vm);
	devices_destroy(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	vgic_destroy(vm);
	engine_vm_destroy(&vm->machine);
	machine_destroy(&vm->machine);
	memslot_destroy(vm);
	ioeventfds_destroy(vm);
	bus_destroy(vm);
	pthread_cond_destroy(&vm->resumed);
	pthread_mutex_destroy(&vm->slots_lock);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

void vm_put(struct vm *vm)
{
	if (atomic_fetch_sub(&vm->refs, 1) == 1)
		vm_destroy(vm);
}

static void vm_release(struct object *o)
{
	vm_put((struct vm *)((char *)o - offsetof(struct vm, object)));
}

/* @error: -errno, when there is none */
static struct vm *vm_alloc(unsigned int ipa_bits, int *error)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	*error = -ENOMEM;
	if (!vm)
		return NULL;
	if (machine_init(&vm->machine, &vcpu_machine_ops))
		goto free_vm;
	vm->machine.owner = vm;
	vm->machine.mem.pa_bits = ipa_bits;
	*error = engine_vm_init(&vm->machine);
	if (*error)
		goto destroy_machine;
	*error = -ENOMEM;
	if (memslot_init(vm))
		goto destroy_engine;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->slots_lock, NULL);
	pthread_cond_init(&vm->resumed, NULL);
	firmware_init(&vm->fw);
	bus_init(vm);
	ioeventfds_init(vm);
	irqfds_init(vm);
	device_lines_init(vm);
	vm->timer_ppi[0] = DEFAULT_VTIMER_PPI;
	vm->timer_ppi[1] = DEFAULT_PTIMER_PPI;
	devices_init(vm);
	atomic_store(&vm->refs, 1);
	vm->object.kind = OBJECT_VM;
	vm->object.release = vm_release;
	return vm;

destroy_engine:
	engine_vm_destroy(&vm->machine);
destroy_machine:
	machine_destroy(&vm->machine);
free_vm:
	free(vm);
	return NULL;
}

/**
 * vm_create() - KVM_CREATE_VM.
 * @type: bits 7:0 are the IPA size, 0 for 40 bits; other bits are refused
 *
 * Return: a VM descriptor or -errno. Source: api.rst 4.2.
 */
long vm_create(unsigned long type)
{
	unsigned int ipa_bits = KVM_VM_TYPE_ARM_IPA_SIZE(type);
	struct vm *vm;
	int fd, error;

	if (type & ~(unsigned long)KVM_VM_TYPE_ARM_IPA_SIZE_MASK)
		return -EINVAL;
	if (!ipa_bits)
		ipa_bits = KVM_IPA_DEFAULT;
	if (ipa_bits < KVM_IPA_MIN || ipa_bits > KVM_IPA_LIMIT)
		return -EINVAL;
	vm = vm_alloc(ipa_bits, &error);
	if (!vm)
		return error;
	fd = object_publish(&vm->object, "armature-vm");
	if (fd < 0)
		vm_put(vm);
	return fd;
}

/* ---- The stop protocol ---- */

static bool all_outside(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		if (atomic_load(&vm->vcpus[i]->in_guest)) {
			cpu_request(vm->vcpus[i]->cpu, CPU_REQ_EXIT);
			return false;
		}
	}
	return true;
}

void vm_stop(struct vm *vm)
{
	unsigned int i;

	pthread_mutex_lock(&vm->machine.lock);
	atomic_fetch_add(&vm->stopping, 1);
	for (i = 0; i < vm->nr_vcpus; i++)
		if (atomic_load(&vm->vcpus[i]->in_guest))
			cpu_request(vm->vcpus[i]->cpu, CPU_REQ_EXIT);
	while (!all_outside(vm))
		pthread_cond_wait(&vm->machine.passed, &vm->machine.lock);
	pthread_mutex_unlock(&vm->machine.lock);
}

void vm_resume(struct vm *vm)
{
	pthread_mutex_lock(&vm->machine.lock);
	if (atomic_fetch_sub(&vm->stopping, 1) == 1)
		pthread_cond_broadcast(&vm->resumed);
	pthread_mutex_unlock(&vm->machine.lock);
}

void vm_rebase_counter(struct vm *vm, enum timer_id id, uint64_t offset)
{
	unsigned int i;

	timer_rebase(&vm->machine, id, offset);
	/*
	 * A vCPU that sleeps has to sleep for another time now; one that runs, or is about to, has
	 * compared levels and told its deadline with the old offset.
	 */
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(vm->vcpus[i]);
}

/* ---- Requests ---- */

static long vm_create_vcpu(void *owner, void *arg, unsigned long raw)
{
	return vcpu_create(owner, raw);
}

/*
 * Both requests: the second's structure begins as the first's. What is behind that counts only with
 * KVM_MEM_GUEST_MEMFD, which no VM of arm64 can have: -EINVAL like any other unknown flag.
 */
static long vm_set_memory(void *owner, void *arg, unsigned long raw)
{
	_Static_assert(offsetof(struct kvm_userspace_memory_region2, guest_memfd_offset) ==
			       sizeof(struct kvm_userspace_memory_region),
		       "the beginning is the same");
	return memslot_set(owner, arg);
}

static long vm_get_dirty_log(void *owner, void *arg, unsigned long raw)
{
	return memslot_get_dirty_log(owner, arg);
}

static long vm_ask_extension(void *owner, void *arg, unsigned long raw)
{
	return vm_check_extension(owner, raw);
}

static long vm_preferred_target(void *owner, void *arg, unsigned long raw)
{
	struct kvm_vcpu_init *init = arg;

	init->target = KVM_ARM_TARGET_GENERIC_V8;
	return 0;
}

static unsigned int irq_field(uint32_t irq, unsigned int shift, unsigned int mask)
{
	return (irq >> shift) & mask;
}

/*
 * KVM_IRQ_LINE (api.rst 4.25): without a vgic it drives a pin of a vCPU, named by its creation
 * index; with one, the line of an interrupt.
 */
static long drive_pin(struct vm *vm, unsigned int index, unsigned int number, bool level)
{
	static const uint32_t pins[] = {
		[KVM_ARM_IRQ_CPU_IRQ] = CPU_PIN_IRQ,
		[KVM_ARM_IRQ_CPU_FIQ] = CPU_PIN_FIQ,
	};

	if (vgic_exists(vm))
		return -ENXIO;
	if (index >= vm->nr_vcpus || number >= ARRAY_SIZE(pins))
		return -EINVAL;
	vcpu_set_pin(vm->vcpus[index], pins[number], level);
	return 0;
}

static long drive_line(struct vm *vm, unsigned int type, unsigned int index, unsigned int number,
		       bool level)
{
	if (!vgic_exists(vm))
		return -ENXIO;
	if (type == KVM_ARM_IRQ_TYPE_PPI ? !INTID_IS_PPI(number) || index >= vm->nr_vcpus
					 : number < VGIC_NR_PRIVATE)
		return -EINVAL;
	return vgic_set_irq(vm, index, number, level);
}

static long vm_irq_line(void *owner, void *arg, unsigned long raw)
{
	const struct kvm_irq_level *l = arg;
	struct vm *vm = owner;
	unsigned int type = irq_field(l->irq, KVM_ARM_IRQ_TYPE_SHIFT, KVM_ARM_IRQ_TYPE_MASK);
	unsigned int index = irq_field(l->irq, KVM_ARM_IRQ_VCPU_SHIFT, KVM_ARM_IRQ_VCPU_MASK);
	unsigned int number = irq_field(l->irq, KVM_ARM_IRQ_NUM_SHIFT, KVM_ARM_IRQ_NUM_MASK);

	index += irq_field(l->irq, KVM_ARM_IRQ_VCPU2_SHIFT, KVM_ARM_IRQ_VCPU2_MASK) *
		 (KVM_ARM_IRQ_VCPU_MASK + 1);
	if (type == KVM_ARM_IRQ_TYPE_CPU)
		return drive_pin(vm, index, number, l->level);
	if (type == KVM_ARM_IRQ_TYPE_SPI || type == KVM_ARM_IRQ_TYPE_PPI)
		return drive_line(vm, type, index, number, l->level);
	return -EINVAL;
}

/* KVM_ENABLE_CAP: what a VMM may switch on (api.rst 4.37). */
struct switchable {
	unsigned int nr;
	long (*enable)(struct vm *vm, const struct kvm_enable_cap *cap);
};

/* The longest time that a vCPU may poll before it sleeps: here none ever does. */
static long enable_halt_poll(struct vm *vm, const struct kvm_enable_cap *cap)
{
	return cap->args[0] >> 32 ? -EINVAL : 0;
}

static long enable_nisv_to_user(struct vm *vm, const struct kvm_enable_cap *cap)
{
	atomic_store(&vm->nisv_to_user, true);
	return 0;
}

static long vm_enable_cap(void *owner, void *arg, unsigned long raw)
{
	static const struct switchable switchables[] = {
		{KVM_CAP_HALT_POLL, enable_halt_poll},
		{KVM_CAP_ARM_NISV_TO_USER, enable_nisv_to_user},
	};
	const struct kvm_enable_cap *cap = arg;
	size_t i;

	if (cap->flags)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(switchables); i++)
		if (switchables[i].nr == cap->cap)
			return switchables[i].enable(owner, cap);
	return -EINVAL;
}

static long vm_create_irqchip(void *owner, void *arg, unsigned long raw)
{
	struct vm *vm = owner;
	long ret;

	pthread_mutex_lock(&vm->lock);
	ret = vgic_create(vm);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static long vm_create_device(void *owner, void *arg, unsigned long raw)
{
	return device_create(owner, arg);
}

static long vm_set_device_addr(void *owner, void *arg, unsigned long raw)
{
	const struct kvm_arm_device_addr *a = arg;
	uint64_t device = (a->id & KVM_ARM_DEVICE_ID_MASK) >> KVM_ARM_DEVICE_ID_SHIFT;
	uint64_t type = (a->id & KVM_ARM_DEVICE_TYPE_MASK) >> KVM_ARM_DEVICE_TYPE_SHIFT;
	struct vm *vm = owner;
	long ret;

	/* The one device that has such addresses is the vgic. */
	if (device != KVM_ARM_DEVICE_VGIC_V2 || type >= VGIC_NR_FRAMES || !vgic_exists(vm))
		return -ENODEV;
	pthread_mutex_lock(&vm->lock);
	ret = vgic_set_addr(vm, (enum vgic_frame)type, a->addr);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static long vm_get_stats_fd(void *owner, void *arg, unsigned long raw)
{
	return vm_stats_open(owner);
}

static long vm_ioeventfd(void *owner, void *arg, unsigned long raw)
{
	return ioeventfd_request(owner, arg);
}

static long vm_irqfd(void *owner, void *arg, unsigned long raw)
{
	return irqfd_request(owner, arg);
}

static long vm_set_routing(void *owner, void *arg, unsigned long raw)
{
	return routing_request(owner, arg, raw + offsetof(struct kvm_irq_routing, entries));
}

static long vm_signal_msi(void *owner, void *arg, unsigned long raw)
{
	return msi_request(owner, arg);
}

static const struct request vm_requests[] = {
	{KVM_IRQ_LINE, REQ_IN, vm_irq_line},
	{KVM_IRQ_LINE_STATUS, REQ_IN | REQ_OUT, vm_irq_line},
	{KVM_CHECK_EXTENSION, 0, vm_ask_extension},
	{KVM_ENABLE_CAP, REQ_IN, vm_enable_cap},
	{KVM_CREATE_VCPU, 0, vm_create_vcpu},
	{KVM_SET_USER_MEMORY_REGION, REQ_IN, vm_set_memory},
	{KVM_SET_USER_MEMORY_REGION2, REQ_IN, vm_set_memory},
	{KVM_GET_DIRTY_LOG, REQ_IN, vm_get_dirty_log},
	{KVM_ARM_PREFERRED_TARGET, REQ_OUT, vm_preferred_target},
	{KVM_CREATE_IRQCHIP, 0, vm_create_irqchip},
	{KVM_IOEVENTFD, REQ_IN, vm_ioeventfd},
	{KVM_IRQFD, REQ_IN, vm_irqfd},
	{KVM_SET_GSI_ROUTING, REQ_IN, vm_set_routing},
	{KVM_SIGNAL_MSI, REQ_IN, vm_signal_msi},
	{KVM_CREATE_DEVICE, REQ_IN | REQ_OUT, vm_create_device},
	{KVM_GET_STATS_FD, 0, vm_get_stats_fd},
	{KVM_ARM_SET_DEVICE_ADDR, REQ_IN, vm_set_device_addr},
};

long vm_request(struct vm *vm, unsigned int nr, unsigned long arg)
{
	return request_dispatch(vm_requests, ARRAY_SIZE(vm_requests), nr, vm, arg);
}
