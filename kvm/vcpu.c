/* SPDX-License-Identifier: MIT */
/*
 * A vCPU: its life, its reset, its pins and power state, and its requests but for KVM_RUN.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cpu/arch.h"
#include "cpu/pmu.h"
#include "cpu/timer.h"
#include "engine/engine.h"
#include "kvm/kvm.h"

/*
 * MPIDR_EL1 as Linux makes it of the vCPU's id: Aff0 counts to 16, as a GICv3 wants (RES1: bit 31).
 */
#define MPIDR_RES1      (1u << 31)
#define MPIDR_OF_ID(id) (MPIDR_RES1 | ((id)&0xf) | (((id) >> 4) & 0xff) << 8)

#define KNOWN_FEATURES 7 /* as Linux 6.1: KVM_VCPU_MAX_FEATURES */
#define FEATURE(name)  (1u << KVM_ARM_VCPU_##name)
/* What this machine has. */
#define SUPPORTED_FEATURES (FEATURE(POWER_OFF) | FEATURE(PSCI_0_2) | FEATURE(PMU_V3))

/* ---- Life ---- */

/* Its descriptor is gone; the vCPU itself stays with the VM, and so does its index. */
static void vcpu_release(struct object *o)
{
	struct vcpu *vcpu = (struct vcpu *)((char *)o - offsetof(struct vcpu, object));

	vcpu->run = NULL;
	vm_put(vcpu->vm);
}

static int vcpu_make_fds(struct vcpu *vcpu)
{
	sigset_t none;

	sigemptyset(&none);
	vcpu->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vcpu->eventfd < 0)
		return -errno;
	vcpu->signalfd = signalfd(-1, &none, SFD_CLOEXEC | SFD_NONBLOCK);
	if (vcpu->signalfd < 0) {
		number_close(vcpu->eventfd);
		return -errno;
	}
	return 0;
}

static struct vcpu *vcpu_alloc(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	if (!vcpu)
		return NULL;
	vcpu->cpu = engine_cpu_alloc(&vm->machine);
	if (!vcpu->cpu || vcpu_make_fds(vcpu))
		goto free_vcpu;
	if (cpu_init(vcpu->cpu, &vm->machine, 0, MPIDR_OF_ID(id)))
		goto close_fds;
	vcpu->cpu->owner = vcpu;
	if (engine_vcpu_init(vcpu->cpu))
		goto destroy_cpu;
	pthread_mutex_init(&vcpu->lock, NULL);
	vcpu->vm = vm;
	vcpu->id = id;
	atomic_store(&vcpu->deadline, NEVER);
	vcpu->object.kind = OBJECT_VCPU;
	vcpu->object.release = vcpu_release;
	return vcpu;

destroy_cpu:
	cpu_destroy(vcpu->cpu);
close_fds:
	number_close(vcpu->eventfd);
	number_close(vcpu->signalfd);
free_vcpu:
	free(vcpu->cpu);
	free(vcpu);
	return NULL;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	vcpu_stats_destroy(vcpu);
	engine_vcpu_destroy(vcpu->cpu);
	cpu_destroy(vcpu->cpu);
	free(vcpu->cpu);
	number_close(vcpu->eventfd);
	number_close(vcpu->signalfd);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu);
}

/*
 * Make the vCPU visible: to the VMM by a descriptor, to the others by its index. Under vcpu->lock,
 * so that a request of a thread that guessed the number waits until all is there, and vm->lock.
 */
static int vcpu_publish(struct vm *vm, struct vcpu *vcpu)
{
	unsigned int i;
	int fd;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->id == vcpu->id)
			return -EEXIST;
	atomic_fetch_add(&vm->refs, 1); /* before somebody can close it */
	fd = object_publish(&vcpu->object, "armature-vcpu");
	if (fd < 0) {
		atomic_fetch_sub(&vm->refs, 1);
		return fd;
	}
	vcpu->run = vcpu->object.page;
	vcpu->index = vm->nr_vcpus;
	vcpu->cpu->index = vcpu->index;
	vm_stop(vm);
	vm->vcpus[vcpu->index] = vcpu;
	__atomic_store_n(&vm->machine.cpus[vcpu->index], vcpu->cpu, __ATOMIC_RELEASE);
	__atomic_store_n(&vm->machine.nr_cpus, vcpu->index + 1, __ATOMIC_RELEASE);
	atomic_store(&vm->nr_vcpus, vcpu->index + 1);
	vm_resume(vm);
	return fd;
}

/* As many as there may be, with a vgic fewer; and none any more when it has counted them. */
static int reserve_vcpu(struct vm *vm, unsigned long id)
{
	unsigned int max = vgic_exists(vm) ? VGIC_MAX_VCPUS : KVM_MAX_VCPUS;

	if (vm->nr_creating >= max)
		return -EINVAL;
	if (vgic_ready(vm))
		return -EBUSY;
	if (id >= max)
		return -EINVAL;
	vm->nr_creating++;
	return 0;
}

/**
 * vcpu_create() - KVM_CREATE_VCPU.
 * @id: the VMM's name for it, below KVM_CAP_MAX_VCPU_ID
 *
 * As on Linux the virtual counter of the whole VM starts again from 0 (api.rst 4.7) and the
 * physical one is the host's again, also when the vCPU cannot be published. This happens under
 * vm->lock with the publishing: of vCPUs that are created at the same time, the last to be seen is
 * the last that the counters were rebased for.
 *
 * Return: a vCPU descriptor; -EBUSY when the vgic is initialised; -EINVAL, -EEXIST, -ENOMEM,
 * -EMFILE.
 */
long vcpu_create(struct vm *vm, unsigned long id)
{
	struct vcpu *vcpu;
	int ret, fd = -ENOMEM;

	id = (uint32_t)id;
	if (id >= KVM_MAX_VCPUS)
		return -EINVAL;
	pthread_mutex_lock(&vm->lock);
	ret = reserve_vcpu(vm, id);
	pthread_mutex_unlock(&vm->lock);
	if (ret)
		return ret;
	vcpu = vcpu_alloc(vm, id);
	if (vcpu) {
		pthread_mutex_lock(&vcpu->lock);
		pthread_mutex_lock(&vm->lock);
		vm_rebase_counter(vm, TIMER_VIRT, timer_count());
		vm_rebase_counter(vm, TIMER_PHYS, 0);
		fd = vcpu_publish(vm, vcpu);
		pthread_mutex_unlock(&vm->lock);
		pthread_mutex_unlock(&vcpu->lock);
		if (fd < 0)
			vcpu_destroy(vcpu);
	}
	if (fd < 0) {
		pthread_mutex_lock(&vm->lock);
		vm->nr_creating--;
		pthread_mutex_unlock(&vm->lock);
		return fd;
	}
	/* The clock thread may find it hard to start: then it is tried again by the next vCPU. */
	clock_start(vm);
	return fd;
}

/* ---- Pins, kicks, power ---- */

void vcpu_wake(struct vcpu *vcpu)
{
	static const uint64_t one = 1;
	uint32_t sleep;

	atomic_thread_fence(memory_order_seq_cst);
	sleep = atomic_load(&vcpu->sleeping);
	if (sleep == SLEEP_FUTEX && atomic_compare_exchange_strong(&vcpu->sleeping, &sleep, AWAKE))
		futex_wake(&vcpu->sleeping);
	else if (sleep == SLEEP_POLL && write(vcpu->eventfd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake already */
}

void vcpu_interrupt(struct vcpu *vcpu)
{
	atomic_fetch_or(&vcpu->requests, VCPU_REQ_SIGNAL);
	cpu_request(vcpu->cpu, CPU_REQ_EXIT);
	/* It does not sleep, or the kernel will find that the word has changed. */
	atomic_store(&vcpu->sleeping, AWAKE);
}

void vcpu_kick(struct vcpu *vcpu)
{
	cpu_request(vcpu->cpu, CPU_REQ_EXIT);
	vcpu_wake(vcpu);
}

void vcpu_set_pin(struct vcpu *vcpu, uint32_t pin, bool level)
{
	struct cpu_remote *r = &vcpu->cpu->remote;
	uint32_t old;

	old = level ? atomic_fetch_or(&r->pins, pin) : atomic_fetch_and(&r->pins, ~pin);
	if (!!(old & pin) == level)
		return;
	/* The engine looks at the pins at its next kick point; a sleeper is woken. */
	cpu_request(vcpu->cpu, 0);
	vcpu_wake(vcpu);
}

void vcpu_power_off(struct vcpu *vcpu)
{
	atomic_store(&vcpu->mp_state, KVM_MP_STATE_STOPPED);
	vcpu_kick(vcpu);
}

/* Architectural reset, and what PSCI asked for besides. The caller holds vcpu->lock. */
static void reset_state(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	struct vcpu_reset reset;

	pthread_mutex_lock(&vcpu->vm->lock);
	reset = vcpu->reset;
	vcpu->reset.pending = false;
	pthread_mutex_unlock(&vcpu->vm->lock);

	cpu->features = 0;
	if (vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3))
		cpu->features |= CPU_FEATURE_PMU;
	if (vcpu_has_feature(vcpu, KVM_ARM_VCPU_PSCI_0_2))
		cpu->features |= CPU_FEATURE_PSCI;
	cpu_reset(cpu);
	cpu->pmu.initialised = vcpu->pmu_created;
	vcpu->spsr_abt = vcpu->spsr_und = vcpu->spsr_irq = vcpu->spsr_fiq = 0;
	if (reset.pending) {
		vcpu->abort_pending = false;
		cpu->pc = reset.pc;
		cpu->x[0] = reset.x0;
		if (reset.be)
			cpu->sys.sctlr |= SCTLR_EE;
	}
	cpu_update_mode(cpu);
}

void vcpu_check_reset(struct vcpu *vcpu)
{
	if (atomic_fetch_and(&vcpu->requests, ~VCPU_REQ_RESET) & VCPU_REQ_RESET)
		reset_state(vcpu);
}

/* ---- KVM_ARM_VCPU_INIT ---- */

/* -ENOENT for features that nobody knows, -EINVAL for what this machine lacks or what changed. */
static int check_features(struct vcpu *vcpu, const struct kvm_vcpu_init *init)
{
	unsigned int i;

	if (init->target != KVM_ARM_TARGET_GENERIC_V8)
		return -EINVAL;
	for (i = 0; i < KNOWN_FEATURES; i++)
		if (vcpu->initialised && ((init->features[0] ^ vcpu->features) & (1u << i)))
			return -EINVAL;
	if (init->features[0] >> KNOWN_FEATURES)
		return -ENOENT;
	for (i = 1; i < ARRAY_SIZE(init->features); i++)
		if (init->features[i])
			return -ENOENT;
	if (init->features[0] & ~SUPPORTED_FEATURES)
		return -EINVAL;
	return 0;
}

static long vcpu_init(void *owner, void *arg, unsigned long raw)
{
	const struct kvm_vcpu_init *init = arg;
	struct vcpu *vcpu = owner;
	int ret = check_features(vcpu, init);

	if (ret)
		return ret;
	vcpu->features = init->features[0];
	vcpu->initialised = true;
	reset_state(vcpu);
	/*
	 * No SError waits after a reset. Both pins are low, and the VMM drives them again; but
	 * those of a vgic are as it says.
	 */
	atomic_fetch_and(&vcpu->cpu->remote.pins,
			 vgic_exists(vcpu->vm) ? CPU_PIN_IRQ | CPU_PIN_FIQ : 0);
	pthread_mutex_lock(&vcpu->vm->lock);
	if (vcpu_has_feature(vcpu, KVM_ARM_VCPU_POWER_OFF))
		vcpu_power_off(vcpu);
	else
		atomic_store(&vcpu->mp_state, KVM_MP_STATE_RUNNABLE);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return 0;
}

/* ---- The other requests ---- */

static long vcpu_get_mp_state(void *owner, void *arg, unsigned long raw)
{
	struct vcpu *vcpu = owner;

	((struct kvm_mp_state *)arg)->mp_state = atomic_load(&vcpu->mp_state);
	return 0;
}

static long vcpu_set_mp_state(void *owner, void *arg, unsigned long raw)
{
	uint32_t state = ((struct kvm_mp_state *)arg)->mp_state;
	struct vcpu *vcpu = owner;
	long ret = 0;

	pthread_mutex_lock(&vcpu->vm->lock);
	if (state == KVM_MP_STATE_RUNNABLE)
		atomic_store(&vcpu->mp_state, state);
	else if (state == KVM_MP_STATE_STOPPED)
		vcpu_power_off(vcpu);
	else
		ret = -EINVAL;
	pthread_mutex_unlock(&vcpu->vm->lock);
	return ret;
}

static long vcpu_set_signal_mask(void *owner, void *arg, unsigned long raw)
{
	struct kvm_signal_mask head;
	struct vcpu *vcpu = owner;
	uint64_t mask;

	if (!raw) {
		vcpu->has_sigmask = false;
		return 0;
	}
	if (copy_in(&head, raw, sizeof(head)))
		return -EFAULT;
	if (head.len != sizeof(mask))
		return -EINVAL;
	if (copy_in(&mask, raw + offsetof(struct kvm_signal_mask, sigset), sizeof(mask)))
		return -EFAULT;
	vcpu->sigmask = mask;
	vcpu->has_sigmask = true;
	return 0;
}

/*
 * Events: this machine has no RAS extension, so an SError carries no syndrome of the VMM's choice;
 * an external abort is taken by the next KVM_RUN, in the place of a pending MMIO's completion
 * (api.rst 4.31, 4.32).
 */
static long vcpu_get_events(void *owner, void *arg, unsigned long raw)
{
	struct kvm_vcpu_events *e = arg;
	struct vcpu *vcpu = owner;

	e->exception.serror_pending = !!(atomic_load(&vcpu->cpu->remote.pins) & CPU_PIN_SERROR);
	return 0;
}

static long vcpu_set_events(void *owner, void *arg, unsigned long raw)
{
	static const struct kvm_vcpu_events zero;
	const struct kvm_vcpu_events *e = arg;
	struct vcpu *vcpu = owner;

	if (memcmp(e->reserved, zero.reserved, sizeof(zero.reserved)) ||
	    memcmp(e->exception.pad, zero.exception.pad, sizeof(zero.exception.pad)))
		return -EINVAL;
	if (e->exception.serror_pending && e->exception.serror_has_esr)
		return -EINVAL;
	if (e->exception.serror_pending)
		atomic_fetch_or(&vcpu->cpu->remote.pins, CPU_PIN_SERROR);
	if (e->exception.ext_dabt_pending)
		vcpu->abort_pending = true;
	return 0;
}

static long vcpu_get_one_reg(void *owner, void *arg, unsigned long raw)
{
	vcpu_check_reset(owner);
	return one_reg_get(owner, arg);
}

static long vcpu_set_one_reg(void *owner, void *arg, unsigned long raw)
{
	vcpu_check_reset(owner);
	return one_reg_set(owner, arg);
}

static long vcpu_reg_list(void *owner, void *arg, unsigned long raw)
{
	return one_reg_list(owner, raw);
}

static long vcpu_set_attr(void *owner, void *arg, unsigned long raw)
{
	return attrs_set(vcpu_attrs, owner, arg);
}

static long vcpu_get_attr(void *owner, void *arg, unsigned long raw)
{
	return attrs_get(vcpu_attrs, owner, arg);
}

static long vcpu_has_attr(void *owner, void *arg, unsigned long raw)
{
	return attrs_has(vcpu_attrs, owner, arg);
}

static long vcpu_finalize(void *owner, void *arg, unsigned long raw)
{
	return -EINVAL; /* no feature of this machine needs it */
}

static long vcpu_get_stats_fd(void *owner, void *arg, unsigned long raw)
{
	return vcpu_stats_open(owner);
}

static const struct request vcpu_requests[] = {
	{KVM_GET_ONE_REG, REQ_IN | REQ_INIT, vcpu_get_one_reg},
	{KVM_SET_ONE_REG, REQ_IN | REQ_INIT, vcpu_set_one_reg},
	{KVM_GET_REG_LIST, REQ_INIT, vcpu_reg_list},
	{KVM_ARM_VCPU_INIT, REQ_IN, vcpu_init},
	{KVM_GET_MP_STATE, REQ_OUT, vcpu_get_mp_state},
	{KVM_SET_MP_STATE, REQ_IN, vcpu_set_mp_state},
	{KVM_SET_SIGNAL_MASK, 0, vcpu_set_signal_mask},
	{KVM_GET_VCPU_EVENTS, REQ_OUT | REQ_INIT, vcpu_get_events},
	{KVM_SET_VCPU_EVENTS, REQ_IN | REQ_INIT, vcpu_set_events},
	{KVM_SET_DEVICE_ATTR, REQ_IN, vcpu_set_attr},
	{KVM_GET_DEVICE_ATTR, REQ_IN, vcpu_get_attr},
	{KVM_HAS_DEVICE_ATTR, REQ_IN, vcpu_has_attr},
	{KVM_GET_STATS_FD, 0, vcpu_get_stats_fd},
	{KVM_ARM_VCPU_FINALIZE, REQ_IN | REQ_INIT, vcpu_finalize},
};

static bool refused_before_init(struct vcpu *vcpu, unsigned int nr)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vcpu_requests) && !vcpu->initialised; i++)
		if (vcpu_requests[i].nr == nr)
			return vcpu_requests[i].flags & REQ_INIT;
	return false;
}

long vcpu_request(struct vcpu *vcpu, unsigned int nr, unsigned long arg)
{
	long ret;

	pthread_mutex_lock(&vcpu->lock);
	if (nr == KVM_RUN)
		ret = vcpu_run(vcpu, arg);
	else if (refused_before_init(vcpu, nr))
		ret = -ENOEXEC;
	else
		ret = request_dispatch(vcpu_requests, ARRAY_SIZE(vcpu_requests), nr, vcpu, arg);
	pthread_mutex_unlock(&vcpu->lock);
	return ret;
}
