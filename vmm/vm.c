/* SPDX-License-Identifier: MIT */
/* A virtual machine: memory, bus, devices, vCPUs, and who decides that it goes on. */
#include "vmm/vm.h"
#include "vmm/board.h"
#include "vmm/report.h"

#include <armature/kvm_arm64.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define DEFAULT_IPA_BITS 40 /* of KVM_CREATE_VM's type 0 */

/* How long the end waits for the host, and how often it looks at the devices then. */
#define PATIENCE_S 5
#define LOOK_NS    1000000L

static int vm_ioctl(struct vmm_vm *vm, unsigned long request, const void *arg)
{
	return vmm_kvm_ioctl_ptr(vm->kvm, vm->fd, request, arg);
}

static int check_extension(struct vmm_vm *vm, unsigned long cap)
{
	return vmm_kvm_ioctl(vm->kvm, vm->system_fd, KVM_CHECK_EXTENSION, cap);
}

/* Machines with fewer than 40 bits need to be asked for what they have. */
static int create_vm(struct vmm_vm *vm)
{
	const int bits = check_extension(vm, KVM_CAP_ARM_VM_IPA_SIZE);
	const bool small = bits > 0 && bits < DEFAULT_IPA_BITS;
	const uint64_t end = vm->memory->base + vm->memory->size;

	if (small && end > 1ull << bits) {
		vmm_report("--mem: this KVM has guest physical addresses of %d bits only", bits);
		return -E2BIG;
	}
	vm->fd = vmm_kvm_ioctl(vm->kvm, vm->system_fd, KVM_CREATE_VM,
			       small ? KVM_VM_TYPE_ARM_IPA_SIZE((unsigned int)bits) : 0);
	if (vm->fd < 0)
		vmm_report("the KVM cannot create a VM: %s", strerror(-vm->fd));
	return vm->fd < 0 ? vm->fd : 0;
}

/*
 * Asks to be told of accesses without a syndrome, where the KVM can: the VM ends by one all the
 * same, but the message has its address.
 */
static void ask_for_nisv(struct vmm_vm *vm)
{
	const struct kvm_enable_cap cap = {.cap = KVM_CAP_ARM_NISV_TO_USER};

	if (check_extension(vm, cap.cap) > 0)
		vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
}

static int add_memory(struct vmm_vm *vm)
{
	const struct kvm_userspace_memory_region region = {
		.slot = 0,
		.guest_phys_addr = vm->memory->base,
		.memory_size = vm->memory->size,
		.userspace_addr = (uintptr_t)vm->memory->host,
	};
	const int err = vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);

	if (err < 0)
		vmm_report("the KVM does not take the guest's memory: %s", strerror(-err));
	return err < 0 ? err : 0;
}

static void pin_driven(void *opaque, unsigned int cpu, bool level)
{
	vmm_vcpu_pin_driven(&((struct vmm_vm *)opaque)->vcpus[cpu], level);
}

static int set_pmu(struct vmm_vm *vm, uint64_t number, const void *value)
{
	const struct kvm_device_attr attr = {
		.group = KVM_ARM_VCPU_PMU_V3_CTRL, .attr = number, .addr = (uintptr_t)value};

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		const int err =
			vmm_kvm_ioctl_ptr(vm->kvm, vm->vcpus[i].fd, KVM_SET_DEVICE_ATTR, &attr);

		if (err < 0)
			return err;
	}
	return 0;
}

/* With a GIC in user space the PMU needs no interrupt, only to be told that all is set up. */
static int init_pmu(struct vmm_vm *vm)
{
	const int intid = (int)vmm_level_devices[VMM_LEVEL_PMU].intid;
	int err = 0;

	if (!vm->has_pmu)
		return 0;
	if (vmm_irqchip_in_kvm(&vm->irqchip))
		err = set_pmu(vm, KVM_ARM_VCPU_PMU_V3_IRQ, &intid);
	return err ? err : set_pmu(vm, KVM_ARM_VCPU_PMU_V3_INIT, NULL);
}

static int create_irqchip(struct vmm_vm *vm, unsigned int nr_cpus)
{
	int err;

	if (vm->vgic)
		err = vmm_vgic_create(&vm->irqchip, vm->kvm, vm->fd, nr_cpus, BOARD_GIC_DIST,
				      BOARD_GIC_CPU, vm->trace);
	else
		err = vmm_irqchip_create(&vm->irqchip, vm->kvm, vm->fd, nr_cpus, BOARD_GIC_DIST,
					 BOARD_GIC_CPU, vm->trace, &vm->bus);
	if (err == -ENODEV && vm->vgic)
		vmm_report("--irqchip kernel: this KVM has no GICv2 of its own (--irqchip user "
			   "needs none)");
	else if (err)
		vmm_report("the interrupt controller cannot be made: %s", strerror(-err));
	if (err)
		return err;
	vm->irqchip.driven = pin_driven;
	vm->irqchip.driven_opaque = vm;
	vmm_vm_add_device(vm, &vm->irqchip.device);
	return 0;
}

static int create_vcpus(struct vmm_vm *vm, unsigned int nr)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < nr; i++) {
		err = vmm_vcpu_create(&vm->vcpus[i], vm, i);
		vm->nr_vcpus = i + 1; /* also a half-made one is destroyed */
		if (!err)
			err = vmm_vcpu_reset(&vm->vcpus[i], 0, 0);
	}
	if (!err)
		err = vmm_vgic_init(&vm->irqchip);
	if (!err)
		err = init_pmu(vm);
	if (err)
		vmm_report("the KVM cannot create vCPU %u: %s", vm->nr_vcpus - 1, strerror(-err));
	return err;
}

static int check_cpus(struct vmm_vm *vm, unsigned int nr)
{
	int max = check_extension(vm, KVM_CAP_MAX_VCPUS);

	if (max <= 0)
		max = check_extension(vm, KVM_CAP_NR_VCPUS);
	if (max <= 0 || nr <= (unsigned int)max)
		return 0;
	vmm_report("--cpus %u: this KVM has up to %d", nr, max);
	return -E2BIG;
}

static void init_locks(struct vmm_vm *vm)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->unmapped.lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

int vmm_vm_create(struct vmm_vm *vm, const struct vmm_kvm *kvm, int system_fd,
		  struct vmm_memory *memory, unsigned int nr_vcpus, struct vmm_loop *loop,
		  struct vmm_trace *trace)
{
	int err;

	vm->kvm = kvm;
	vm->system_fd = system_fd;
	vm->fd = -1;
	vm->irqchip.vgic_fd = -1;
	vm->memory = memory;
	vm->loop = loop;
	vm->trace = trace;
	init_locks(vm);
	err = check_cpus(vm, nr_vcpus);
	if (!err)
		err = create_vm(vm);
	if (!err)
		err = add_memory(vm);
	if (err)
		return err;
	ask_for_nisv(vm);
	vm->has_pmu = check_extension(vm, KVM_CAP_ARM_PMU_V3) > 0;
	err = create_irqchip(vm, nr_vcpus);
	return err ? err : create_vcpus(vm, nr_vcpus);
}

void vmm_vm_add_device(struct vmm_vm *vm, struct vmm_device *device)
{
	struct vmm_device **last = &vm->devices;

	while (*last)
		last = &(*last)->next;
	device->next = NULL;
	device->loop = vm->loop;
	*last = device;
}

static void set_state(struct vmm_vm *vm, enum vmm_state state)
{
	__atomic_store_n(&vm->state, state, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&vm->changed);
}

static void kick_all(struct vmm_vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vmm_vcpu_kick(&vm->vcpus[i]);
}

void vmm_vm_request(struct vmm_vm *vm, enum vmm_request request)
{
	pthread_mutex_lock(&vm->lock);
	if (vm->state != VMM_STOPPED) {
		if (request > vm->request)
			vm->request = request;
		set_state(vm, VMM_PAUSING);
		kick_all(vm);
	}
	pthread_mutex_unlock(&vm->lock);
	vmm_loop_wake(vm->loop);
}

bool vmm_vm_may_run(struct vmm_vm *vm, struct vmm_vcpu *vcpu)
{
	bool run;

	if (__atomic_load_n(&vm->state, __ATOMIC_SEQ_CST) == VMM_RUNNING)
		return true;
	vmm_vcpu_complete_mmio(vcpu);
	pthread_mutex_lock(&vm->lock);
	vm->parked++;
	vmm_loop_wake(vm->loop);
	while (vm->state == VMM_PAUSING)
		pthread_cond_wait(&vm->changed, &vm->lock);
	vm->parked--;
	run = vm->state == VMM_RUNNING;
	pthread_mutex_unlock(&vm->lock);
	return run;
}

void vmm_vm_wait(struct vmm_vm *vm, bool (*ready)(void *opaque), void *opaque)
{
	if (ready(opaque))
		return;
	pthread_mutex_lock(&vm->lock);
	while (vm->state == VMM_RUNNING && !ready(opaque))
		pthread_cond_wait(&vm->changed, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

void vmm_vm_wake(void *opaque)
{
	struct vmm_vm *vm = opaque;

	pthread_mutex_lock(&vm->lock);
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

/* No vCPU runs, and none has an MMIO access under way. */
static int reset_all(struct vmm_vm *vm)
{
	int err = 0;

	for (struct vmm_device *d = vm->devices; d; d = d->next)
		d->reset(d);
	if (vm->reload)
		err = vm->reload(vm->reload_opaque);
	for (unsigned int i = 0; !err && i < vm->nr_vcpus; i++) {
		err = vmm_vcpu_reset(&vm->vcpus[i], vm->entry, vm->dtb);
		if (!err)
			err = vmm_irqchip_drive_pins(&vm->irqchip, i);
	}
	vm->boots++;
	return err;
}

int vmm_vm_start(struct vmm_vm *vm)
{
	int err = vmm_vcpu_prepare_kicks();

	vm->boots = 1;
	vmm_trace(vm->trace, VMM_TRACE_NO_CPU, "start");
	for (unsigned int i = 0; !err && i < vm->nr_vcpus; i++)
		err = vmm_vcpu_reset(&vm->vcpus[i], vm->entry, vm->dtb);
	/* All wait for the lock, so that none kicks one that is not there. */
	pthread_mutex_lock(&vm->lock);
	for (unsigned int i = 0; !err && i < vm->nr_vcpus; i++)
		err = vmm_vcpu_start(&vm->vcpus[i]);
	pthread_mutex_unlock(&vm->lock);
	if (err)
		vmm_report("the vCPUs cannot be started: %s", strerror(-err));
	return err;
}

static unsigned int running_threads(const struct vmm_vm *vm)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		nr += vm->vcpus[i].has_thread;
	return nr;
}

/* None begins anything more. Return: whether no device has anything under way on the host. */
static bool devices_are_quiet(struct vmm_vm *vm)
{
	bool quiet = true;

	for (struct vmm_device *d = vm->devices; d; d = d->next)
		quiet &= !d->quiesce || d->quiesce(d);
	return quiet;
}

/* Return: what is left of the request: NONE when the VM runs again, or will later. Lock held. */
static enum vmm_request serve_reset(struct vmm_vm *vm)
{
	int err;

	if (vm->parked < running_threads(vm) || !devices_are_quiet(vm))
		return VMM_REQUEST_NONE;
	vmm_trace(vm->trace, VMM_TRACE_NO_CPU, "reset");
	vm->request = VMM_REQUEST_NONE;
	err = reset_all(vm);
	if (err) {
		vmm_report("the guest cannot be reset: %s", strerror(-err));
		vm->request = VMM_REQUEST_ERROR;
	} else {
		set_state(vm, VMM_RUNNING);
	}
	return vm->request;
}

enum vmm_request vmm_vm_serve(struct vmm_vm *vm)
{
	enum vmm_request request;

	pthread_mutex_lock(&vm->lock);
	request = vm->request == VMM_REQUEST_RESET ? serve_reset(vm) : vm->request;
	if (request != VMM_REQUEST_NONE)
		set_state(vm, VMM_STOPPED);
	pthread_mutex_unlock(&vm->lock);
	return request;
}

void vmm_vm_thread_ends(struct vmm_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->ended++;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

/* Return: whether all have ended in time. */
static bool wait_for_threads(struct vmm_vm *vm, const struct timespec *until)
{
	bool ended;
	int err = 0;

	pthread_mutex_lock(&vm->lock);
	while (vm->ended < running_threads(vm) && !err)
		err = pthread_cond_timedwait(&vm->changed, &vm->lock, until);
	ended = vm->ended == running_threads(vm);
	pthread_mutex_unlock(&vm->lock);
	return ended;
}

static bool wait_for_devices(struct vmm_vm *vm, const struct timespec *until)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	struct timespec now;

	while (!devices_are_quiet(vm)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > until->tv_sec)
			return false;
		nanosleep(&look, NULL);
	}
	return true;
}

static int give_up(const struct vmm_vm *vm)
{
	for (struct vmm_device *d = vm->devices; d; d = d->next) {
		if (d->quiesce && !d->quiesce(d))
			vmm_report("%s: the host does not finish a request; the end does not wait "
				   "for it",
				   d->name);
	}
	return -ETIMEDOUT;
}

int vmm_vm_stop(struct vmm_vm *vm)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&vm->lock);
	set_state(vm, VMM_STOPPED);
	kick_all(vm);
	pthread_mutex_unlock(&vm->lock);
	if (!wait_for_threads(vm, &until) || !wait_for_devices(vm, &until))
		return give_up(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpus[i].has_thread)
			pthread_join(vm->vcpus[i].thread, NULL);
		vm->vcpus[i].has_thread = false;
	}
	vm->ended = 0;
	return 0;
}

void vmm_vm_remove_devices(struct vmm_vm *vm)
{
	struct vmm_device *next;

	vmm_vm_stop(vm);
	for (struct vmm_device *d = vm->devices; d; d = next) {
		next = d->next;
		if (d != &vm->irqchip.device)
			d->destroy(d); /* may still set its line */
	}
	if (vm->irqchip.gic || vmm_irqchip_in_kvm(&vm->irqchip))
		vm->irqchip.device.destroy(&vm->irqchip.device);
	vm->devices = NULL;
}

void vmm_vm_destroy(struct vmm_vm *vm)
{
	vmm_vm_remove_devices(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vmm_vcpu_destroy(&vm->vcpus[i]);
	vm->nr_vcpus = 0;
	if (vm->fd >= 0)
		vm->kvm->close(vm->fd);
	vm->fd = -1;
	pthread_mutex_destroy(&vm->unmapped.lock);
	pthread_cond_destroy(&vm->changed);
	pthread_mutex_destroy(&vm->lock);
}
