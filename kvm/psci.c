/* SPDX-License-Identifier: MIT */
/*
 * PSCI, the power interface that the KVM is to its guest (Arm DEN 0022): versions 0.1,
 * 0.2, 1.0, 1.1.
 *
 * One table: each function with the versions that have it. A function that the VM's version lacks
 * is NOT_SUPPORTED. As on Linux, suspending is WFI, and a shutdown or reset stops all vCPUs until
 * the VMM has initialised them again.
 *
 * Locks: power states change under vm->lock.
 */
#include <string.h>

#include "cpu/arch.h"
#include "kvm/kvm.h"

#define MPIDR_AFFINITY     0xff00ffffffull /* Aff3, Aff2, Aff1, Aff0 */
#define MPIDR_LEVEL_BITS   8
#define SMCCC_VERSION_CALL 0x80000000u

/* The result of a function: for x0, and whether to leave to user space. */
struct psci_result {
	int64_t value;
	bool leave;
	bool keep_regs; /* x1 to x3 are not cleared */
};

struct psci_function {
	uint32_t fn;
	uint32_t since; /* version */
	bool in_features;
	void (*call)(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r);
};

static void psci_version(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	uint64_t version = 0;

	firmware_get(vcpu, KVM_REG_ARM_PSCI_VERSION, &version);
	r->value = (int64_t)version;
}

static void cpu_suspend(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	vcpu_wfi(vcpu);
	r->value = PSCI_RET_SUCCESS;
}

static void cpu_off(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	pthread_mutex_lock(&vcpu->vm->lock);
	vcpu_power_off(vcpu);
	pthread_mutex_unlock(&vcpu->vm->lock);
	r->value = PSCI_RET_SUCCESS;
}

static struct vcpu *find_mpidr(struct vm *vm, uint64_t affinity)
{
	unsigned int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if ((vm->vcpus[i]->cpu->mpidr & MPIDR_AFFINITY) == affinity)
			return vm->vcpus[i];
	return NULL;
}

static int start_cpu(struct vcpu *source, struct vcpu *target, const uint64_t arg[4])
{
	uint64_t version = 0;

	firmware_get(source, KVM_REG_ARM_PSCI_VERSION, &version);
	if (!vcpu_stopped(target))
		return version == KVM_PSCI_0_1 ? PSCI_RET_INVALID_PARAMS : PSCI_RET_ALREADY_ON;
	target->reset = (struct vcpu_reset){
		.pending = true,
		.be = source->cpu->sys.sctlr & SCTLR_EE,
		.pc = arg[2],
		.x0 = arg[3],
	};
	atomic_fetch_or(&target->requests, VCPU_REQ_RESET);
	atomic_store(&target->mp_state, KVM_MP_STATE_RUNNABLE);
	vcpu_wake(target);
	return PSCI_RET_SUCCESS;
}

static void cpu_on(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	struct vcpu *target = NULL;

	if (!(arg[1] & ~MPIDR_AFFINITY))
		target = find_mpidr(vcpu->vm, arg[1]);
	if (!target) {
		r->value = PSCI_RET_INVALID_PARAMS;
		return;
	}
	pthread_mutex_lock(&vcpu->vm->lock);
	r->value = start_cpu(vcpu, target, arg);
	pthread_mutex_unlock(&vcpu->vm->lock);
}

static void affinity_info(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	struct vm *vm = vcpu->vm;
	uint64_t mask, level = arg[2];
	unsigned int i;

	r->value = PSCI_RET_INVALID_PARAMS;
	if ((arg[1] & ~MPIDR_AFFINITY) || level > 3)
		return;
	mask = MPIDR_AFFINITY & ~((1ull << (level * MPIDR_LEVEL_BITS)) - 1);
	for (i = 0; i < vm->nr_vcpus; i++) {
		if ((vm->vcpus[i]->cpu->mpidr & mask) != (arg[1] & mask))
			continue;
		r->value = PSCI_0_2_AFFINITY_LEVEL_OFF;
		if (!vcpu_stopped(vm->vcpus[i])) {
			r->value = PSCI_0_2_AFFINITY_LEVEL_ON;
			return;
		}
	}
}

static void migrate_info_type(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	r->value = PSCI_0_2_TOS_MP;
}

/* All vCPUs stop; the VMM decides what comes of it. */
static void system_event(struct vcpu *vcpu, uint32_t type, uint64_t flags, struct psci_result *r)
{
	struct kvm_run *run = vcpu->run;
	struct vm *vm = vcpu->vm;
	unsigned int i;

	pthread_mutex_lock(&vm->lock);
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_power_off(vm->vcpus[i]);
	pthread_mutex_unlock(&vm->lock);
	memset(&run->system_event, 0, sizeof(run->system_event));
	run->system_event.type = type;
	run->system_event.ndata = 1;
	run->system_event.data[0] = flags;
	run->exit_reason = KVM_EXIT_SYSTEM_EVENT;
	/* What the guest sees should the VMM let it go on. */
	r->value = PSCI_RET_INTERNAL_FAILURE;
	r->leave = true;
}

static void system_off(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	system_event(vcpu, KVM_SYSTEM_EVENT_SHUTDOWN, 0, r);
}

static void system_reset(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	system_event(vcpu, KVM_SYSTEM_EVENT_RESET, 0, r);
}

static void system_reset2(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	uint32_t type = (uint32_t)arg[1];

	if (type > PSCI_1_1_RESET_TYPE_SYSTEM_WARM_RESET &&
	    type < PSCI_1_1_RESET_TYPE_VENDOR_START) {
		r->value = PSCI_RET_INVALID_PARAMS;
		return;
	}
	system_event(vcpu, KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2, r);
	r->keep_regs = true;
}

static const struct psci_function *find_function(uint32_t fn, uint64_t version);

static void psci_features(struct vcpu *vcpu, const uint64_t arg[4], struct psci_result *r)
{
	const struct psci_function *f;
	uint64_t version = 0;

	firmware_get(vcpu, KVM_REG_ARM_PSCI_VERSION, &version);
	f = find_function((uint32_t)arg[1], version);
	if ((uint32_t)arg[1] == SMCCC_VERSION_CALL || (f && f->in_features))
		r->value = 0;
}

static const struct psci_function functions[] = {
	{PSCI_0_2_FN_PSCI_VERSION, KVM_PSCI_0_2, true, psci_version},
	{PSCI_0_2_FN_CPU_SUSPEND, KVM_PSCI_0_2, true, cpu_suspend},
	{PSCI_0_2_FN64_CPU_SUSPEND, KVM_PSCI_0_2, true, cpu_suspend},
	{PSCI_0_2_FN_CPU_OFF, KVM_PSCI_0_2, true, cpu_off},
	{PSCI_0_2_FN_CPU_ON, KVM_PSCI_0_2, true, cpu_on},
	{PSCI_0_2_FN64_CPU_ON, KVM_PSCI_0_2, true, cpu_on},
	{PSCI_0_2_FN_AFFINITY_INFO, KVM_PSCI_0_2, true, affinity_info},
	{PSCI_0_2_FN64_AFFINITY_INFO, KVM_PSCI_0_2, true, affinity_info},
	{PSCI_0_2_FN_MIGRATE_INFO_TYPE, KVM_PSCI_0_2, true, migrate_info_type},
	{PSCI_0_2_FN_SYSTEM_OFF, KVM_PSCI_0_2, true, system_off},
	{PSCI_0_2_FN_SYSTEM_RESET, KVM_PSCI_0_2, true, system_reset},
	{PSCI_1_0_FN_PSCI_FEATURES, KVM_PSCI_1_0, true, psci_features},
	{PSCI_1_1_FN_SYSTEM_RESET2, KVM_PSCI_1_1, true, system_reset2},
	{PSCI_1_1_FN64_SYSTEM_RESET2, KVM_PSCI_1_1, true, system_reset2},
	/* 0.1: numbers of KVM's own, and nothing else. */
	{KVM_PSCI_FN_CPU_OFF, KVM_PSCI_0_1, false, cpu_off},
	{KVM_PSCI_FN_CPU_ON, KVM_PSCI_0_1, false, cpu_on},
};

static const struct psci_function *find_function(uint32_t fn, uint64_t version)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		const struct psci_function *f = &functions[i];

		if (f->fn != fn)
			continue;
		if (f->since == KVM_PSCI_0_1 || version == KVM_PSCI_0_1)
			return f->since == version ? f : NULL;
		return f->since <= version ? f : NULL;
	}
	return NULL;
}

/* Arguments; an SMC32 call has 32-bit ones (0.1 is older than that rule). */
static void read_args(const struct cpu *cpu, uint32_t fn, uint64_t arg[4])
{
	bool narrow = !(fn & PSCI_0_2_64BIT) && (fn & PSCI_0_2_FN_BASE) && fn < KVM_PSCI_FN_BASE;
	int i;

	for (i = 0; i < 4; i++)
		arg[i] = narrow ? (uint32_t)cpu->x[i] : cpu->x[i];
}

/** psci_call() - Serve PSCI function @fn. Return: 1 to go on in the guest, 0 to leave. */
int psci_call(struct vcpu *vcpu, uint32_t fn)
{
	struct psci_result r = {.value = PSCI_RET_NOT_SUPPORTED};
	const struct psci_function *f;
	uint64_t arg[4], version = 0;

	firmware_get(vcpu, KVM_REG_ARM_PSCI_VERSION, &version);
	f = find_function(fn, version);
	read_args(vcpu->cpu, fn, arg);
	if (f)
		f->call(vcpu, arg, &r);
	if (r.keep_regs)
		vcpu->cpu->x[0] = (uint64_t)r.value;
	else
		smccc_return(vcpu, (uint64_t)r.value, 0, 0, 0);
	return !r.leave;
}
