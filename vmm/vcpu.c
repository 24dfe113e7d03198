/* SPDX-License-Identifier: MIT */
/* A vCPU: its thread, and what is done after each return of KVM_RUN. */
#include "vmm/vcpu.h"
#include "vmm/counters.h"
#include "vmm/kvm.h"
#include "vmm/report.h"
#include "vmm/stage1.h"
#include "vmm/vm.h"

#include <armature/kvm_arm64.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KICK_SIGNAL SIGUSR1

#define MPIDR_EL1      ARM64_SYS_REG(3, 0, 0, 0, 5)
#define SCTLR_EL1      ARM64_SYS_REG(3, 0, 1, 0, 0)
#define TTBR0_EL1      ARM64_SYS_REG(3, 0, 2, 0, 0)
#define TTBR1_EL1      ARM64_SYS_REG(3, 0, 2, 0, 1)
#define TCR_EL1        ARM64_SYS_REG(3, 0, 2, 0, 2)
#define MPIDR_AFFINITY 0xff00ffffffull
#define ISS_WNR        (1ull << 6) /* of a data abort: a write */
#define CORE_REG(field) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))

/* The calling thread's vCPU; a signal handler has no other way to it. */
static _Thread_local struct vmm_vcpu *volatile own_vcpu;

/* Also when the signal comes just before KVM_RUN, that does not wait. */
static void kicked(int sig)
{
	struct vmm_vcpu *vcpu = own_vcpu;

	if (vcpu)
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
}

int vmm_vcpu_prepare_kicks(void)
{
	struct sigaction action = {.sa_handler = kicked};

	sigemptyset(&action.sa_mask);
	return vmm_sigaction(KICK_SIGNAL, &action, NULL) ? -errno : 0;
}

void vmm_vcpu_kick(struct vmm_vcpu *vcpu)
{
	if (vcpu->has_thread)
		pthread_kill(vcpu->thread, KICK_SIGNAL);
}

static int vcpu_ioctl(struct vmm_vcpu *vcpu, unsigned long request, const void *arg)
{
	return vmm_kvm_ioctl_ptr(vcpu->vm->kvm, vcpu->fd, request, arg);
}

static int set_reg(struct vmm_vcpu *vcpu, uint64_t id, uint64_t value)
{
	const struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	return vcpu_ioctl(vcpu, KVM_SET_ONE_REG, &reg);
}

static int get_reg(struct vmm_vcpu *vcpu, uint64_t id, uint64_t *value)
{
	const struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};

	return vcpu_ioctl(vcpu, KVM_GET_ONE_REG, &reg);
}

static uint64_t guest_pc(struct vmm_vcpu *vcpu)
{
	uint64_t pc = 0;

	get_reg(vcpu, CORE_REG(regs.pc), &pc);
	return pc;
}

int vmm_vcpu_create(struct vmm_vcpu *vcpu, struct vmm_vm *vm, unsigned int index)
{
	const int size = vmm_kvm_ioctl(vm->kvm, vm->system_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->fd = vcpu->counters_fd = -1;
	if (size < 0)
		return size;
	vcpu->fd = vmm_kvm_ioctl(vm->kvm, vm->fd, KVM_CREATE_VCPU, index);
	if (vcpu->fd < 0)
		return vcpu->fd;
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	vcpu->run = run;
	vcpu->run_size = (size_t)size;
	vcpu->counters_fd = vmm_counters_open(vm->kvm, vcpu->fd);
	return 0;
}

void vmm_vcpu_destroy(struct vmm_vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->counters_fd >= 0)
		close(vcpu->counters_fd);
	if (vcpu->fd >= 0)
		vcpu->vm->kvm->close(vcpu->fd);
	vcpu->run = NULL;
	vcpu->fd = vcpu->counters_fd = -1;
}

static int vcpu_init(struct vmm_vcpu *vcpu)
{
	struct vmm_vm *vm = vcpu->vm;
	struct kvm_vcpu_init init = {0};
	int err = vmm_kvm_ioctl_ptr(vm->kvm, vm->fd, KVM_ARM_PREFERRED_TARGET, &init);

	if (err < 0)
		return err;
	memset(init.features, 0, sizeof(init.features));
	init.features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (vm->has_pmu)
		init.features[0] |= 1u << KVM_ARM_VCPU_PMU_V3;
	if (vcpu->index)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	return vcpu_ioctl(vcpu, KVM_ARM_VCPU_INIT, &init);
}

int vmm_vcpu_reset(struct vmm_vcpu *vcpu, uint64_t entry, uint64_t dtb)
{
	const struct {
		uint64_t id, value;
	} boot[] = {
		{CORE_REG(regs.regs[0]), dtb},
		{CORE_REG(regs.regs[1]), 0},
		{CORE_REG(regs.regs[2]), 0},
		{CORE_REG(regs.regs[3]), 0},
		{CORE_REG(regs.pc), entry},
		{CORE_REG(regs.pstate),
		 PSR_MODE_EL1h | PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT},
	};
	int err = vcpu_init(vcpu);

	if (err < 0)
		return err;
	err = get_reg(vcpu, MPIDR_EL1, &vcpu->mpidr);
	vcpu->mpidr &= MPIDR_AFFINITY;
	for (unsigned int i = 0; err >= 0 && !vcpu->index && i < sizeof(boot) / sizeof(*boot); i++)
		err = set_reg(vcpu, boot[i].id, boot[i].value);
	return err < 0 ? err : 0;
}

/* Takes over what the KVM publishes. Return: whether anything changed. */
static bool sample_levels(struct vmm_vcpu *vcpu)
{
	const uint64_t levels =
		__atomic_load_n(&vcpu->run->s.regs.device_irq_level, __ATOMIC_RELAXED);
	const uint64_t changed = levels ^ vcpu->levels;
	bool known = false;

	if (!changed)
		return false;
	vcpu->levels = levels;
	for (unsigned int i = 0; i < VMM_LEVELS; i++) {
		const uint64_t bit = vmm_level_devices[i].bit;

		if (!(changed & bit))
			continue;
		known = true;
		if (levels & bit)
			vcpu->stats.rises[i]++;
		else
			vcpu->stats.falls[i]++;
	}
	if (known)
		vmm_irqchip_levels(&vcpu->vm->irqchip, vcpu->index, levels, changed);
	return known;
}

static void report_unmapped(struct vmm_vcpu *vcpu, uint64_t addr, unsigned int size, bool write)
{
	const enum vmm_unmapped_told told =
		vmm_unmapped_note(&vcpu->vm->unmapped, addr, size, write);

	vcpu->stats.unmapped++;
	if (told == VMM_UNMAPPED_FOLDED)
		return;
	vmm_report("vCPU %u: %s of %u bytes at 0x%llx, where nothing is (PC 0x%llx)%s", vcpu->index,
		   write ? "write" : "read", size, (unsigned long long)addr,
		   (unsigned long long)guest_pc(vcpu),
		   told == VMM_UNMAPPED_LAST ? "; more of these are not told" : "");
}

/* " 0x........", the instruction at a PC, or nothing where that cannot be found. */
static const char *instruction(struct vmm_vcpu *vcpu, uint64_t pc, char text[16])
{
	struct vmm_stage1 regs = {0};
	uint32_t word;

	text[0] = 0;
	if (get_reg(vcpu, SCTLR_EL1, &regs.sctlr) >= 0 && get_reg(vcpu, TCR_EL1, &regs.tcr) >= 0 &&
	    get_reg(vcpu, TTBR0_EL1, &regs.ttbr0) >= 0 &&
	    get_reg(vcpu, TTBR1_EL1, &regs.ttbr1) >= 0 &&
	    vmm_stage1_read32(vcpu->vm->memory, &regs, pc, &word))
		snprintf(text, 16, " 0x%08x", word);
	return text;
}

/*
 * The guest accesses what is no memory by an instruction that the CPU does not describe in its
 * syndrome. @access: what it does, as far as the KVM tells
 */
static bool no_syndrome(struct vmm_vcpu *vcpu, const char *access)
{
	const uint64_t pc = guest_pc(vcpu);
	char word[16];

	vmm_report("vCPU %u: the instruction%s at PC 0x%llx %s in a way that no machine tells a "
		   "hypervisor (a pair, write-back, vector, exclusive or atomic access); the VM is "
		   "stopped",
		   vcpu->index, instruction(vcpu, pc, word), (unsigned long long)pc, access);
	vmm_vm_request(vcpu->vm, VMM_REQUEST_ERROR);
	return false;
}

/* Where nothing is, reads give 0 and writes do nothing, as with QEMU and kvmtool. */
static bool handle_mmio(struct vmm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct vmm_trace *trace = vcpu->vm->trace;
	const uint64_t addr = run->mmio.phys_addr;
	const unsigned int size = run->mmio.len <= sizeof(uint64_t) ? run->mmio.len : 0;
	const bool write = run->mmio.is_write;
	const int index = vmm_bus_find(&vcpu->vm->bus, addr, size);
	const struct vmm_region *region = index < 0 ? NULL : &vcpu->vm->bus.regions[index];
	const char *name = region ? region->name : "nothing";
	uint64_t value = 0;

	vcpu->mmio_pending = true;
	if (region)
		vcpu->stats.mmio[index]++;
	else
		report_unmapped(vcpu, addr, size, write);
	if (write) {
		memcpy(&value, run->mmio.data, size);
		vmm_trace(trace, vcpu->index, "exit mmio write %s 0x%llx %u 0x%llx", name,
			  (unsigned long long)addr, size, (unsigned long long)value);
		if (region)
			region->write(region->opaque, vcpu->index, addr - region->base, size,
				      value);
		return true;
	}
	vmm_trace(trace, vcpu->index, "exit mmio read %s 0x%llx %u", name, (unsigned long long)addr,
		  size);
	if (region)
		value = region->read(region->opaque, vcpu->index, addr - region->base, size);
	memcpy(run->mmio.data, &value, size);
	vmm_trace(trace, vcpu->index, "data 0x%llx", (unsigned long long)value);
	return true;
}

static bool handle_system_event(struct vmm_vcpu *vcpu)
{
	const uint32_t type = vcpu->run->system_event.type;

	vmm_trace(vcpu->vm->trace, vcpu->index, "exit system-event %u", type);
	switch (type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vmm_vm_request(vcpu->vm, VMM_REQUEST_POWEROFF);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vmm_vm_request(vcpu->vm, VMM_REQUEST_RESET);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		vmm_report("vCPU %u: the guest says that it has crashed", vcpu->index);
		vmm_vm_request(vcpu->vm, VMM_REQUEST_ERROR);
		return false;
	default:
		vmm_report("vCPU %u: a system event of type %u, which is not known here",
			   vcpu->index, type);
		vmm_vm_request(vcpu->vm, VMM_REQUEST_ERROR);
		return false;
	}
	return true;
}

static bool handle_other(struct vmm_vcpu *vcpu)
{
	const uint32_t reason = vcpu->run->exit_reason;

	vmm_trace(vcpu->vm->trace, vcpu->index, "exit reason-%u", reason);
	if (reason == KVM_EXIT_INTR)
		return true;
	if (reason == KVM_EXIT_FAIL_ENTRY)
		vmm_report("vCPU %u: the KVM could not enter the guest (reason 0x%llx)",
			   vcpu->index,
			   (unsigned long long)vcpu->run->fail_entry.hardware_entry_failure_reason);
	else
		vmm_report("vCPU %u: an exit of reason %u, which is not known here (PC 0x%llx)",
			   vcpu->index, reason, (unsigned long long)guest_pc(vcpu));
	vmm_vm_request(vcpu->vm, VMM_REQUEST_ERROR);
	return false;
}

/* As KVM_CAP_ARM_NISV_TO_USER has it (KVM API, 7.20 and kvm_run's arm_nisv). */
static bool handle_nisv(struct vmm_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	const uint64_t addr = run->arm_nisv.fault_ipa;
	const int index = vmm_bus_find(&vcpu->vm->bus, addr, 1);
	char access[96];

	vmm_trace(vcpu->vm->trace, vcpu->index, "exit reason-%u", run->exit_reason);
	snprintf(access, sizeof(access), "%s 0x%llx (%s)",
		 run->arm_nisv.esr_iss & ISS_WNR ? "writes" : "reads", (unsigned long long)addr,
		 index < 0 ? "nothing is there" : vcpu->vm->bus.regions[index].name);
	return no_syndrome(vcpu, access);
}

/* KVM_RUN failed: nothing of the exit union may be looked at. */
static bool handle_failure(struct vmm_vcpu *vcpu, int err, bool changed)
{
	vmm_trace(vcpu->vm->trace, vcpu->index, "return %s", strerrorname_np(-err));
	switch (-err) {
	case EINTR:
		vcpu->stats.returns[changed ? VMM_RETURN_LEVEL : VMM_RETURN_INTR]++;
		return true;
	case EAGAIN:
		vcpu->stats.returns[VMM_RETURN_AGAIN]++;
		return true;
	case ENOSYS:
		vcpu->stats.returns[VMM_RETURN_OTHER]++;
		return no_syndrome(vcpu, "accesses a device or nothing at all");
	default:
		vmm_report("vCPU %u: KVM_RUN failed: %s (PC 0x%llx)", vcpu->index, strerror(-err),
			   (unsigned long long)guest_pc(vcpu));
	}
	vcpu->stats.returns[VMM_RETURN_OTHER]++;
	vmm_vm_request(vcpu->vm, VMM_REQUEST_ERROR);
	return false;
}

static const struct exit_handler {
	uint32_t reason;
	enum vmm_return counted;
	bool (*handle)(struct vmm_vcpu *vcpu);
} exit_handlers[] = {
	{KVM_EXIT_MMIO, VMM_RETURN_MMIO, handle_mmio},
	{KVM_EXIT_SYSTEM_EVENT, VMM_RETURN_SYSTEM_EVENT, handle_system_event},
	{KVM_EXIT_ARM_NISV, VMM_RETURN_OTHER, handle_nisv},
	{0, VMM_RETURN_OTHER, handle_other},
};

/*
 * See "Pins and other threads": either this finds the change, or the changer finds in_run, and
 * kicks.
 */
static int enter(struct vmm_vcpu *vcpu)
{
	int ret;

	__atomic_store_n(&vcpu->in_run, true, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vcpu->redrive, __ATOMIC_SEQ_CST) != VMM_REDRIVE_NONE) {
		__atomic_store_n(&vcpu->redrive, VMM_REDRIVE_NONE, __ATOMIC_SEQ_CST);
		vmm_irqchip_drive_pins(&vcpu->vm->irqchip, vcpu->index);
	}
	ret = vmm_kvm_ioctl(vcpu->vm->kvm, vcpu->fd, KVM_RUN, 0);
	/* Who does not see it at once kicks in vain. */
	__atomic_store_n(&vcpu->in_run, false, __ATOMIC_RELEASE);
	return ret;
}

void vmm_vcpu_pin_driven(struct vmm_vcpu *vcpu, bool level)
{
	int none = VMM_REDRIVE_NONE;

	if (vcpu == own_vcpu)
		return;
	if (!level) {
		__atomic_compare_exchange_n(&vcpu->redrive, &none, VMM_REDRIVE_FALL, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		return;
	}
	if (__atomic_exchange_n(&vcpu->redrive, VMM_REDRIVE_RISE, __ATOMIC_SEQ_CST) !=
		    VMM_REDRIVE_RISE &&
	    __atomic_load_n(&vcpu->in_run, __ATOMIC_SEQ_CST))
		vmm_vcpu_kick(vcpu);
}

bool vmm_vcpu_step(struct vmm_vcpu *vcpu)
{
	const struct exit_handler *handler = exit_handlers;
	const int ret = enter(vcpu);
	const bool changed = sample_levels(vcpu); /* always, and always first */

	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
	vcpu->mmio_pending = false;
	if (ret < 0)
		return handle_failure(vcpu, ret, changed);
	while (handler->reason && handler->reason != vcpu->run->exit_reason)
		handler++;
	vcpu->stats.returns[handler->counted]++;
	vcpu->stats.carried += changed;
	return handler->handle(vcpu);
}

/*
 * The KVM finishes an access at the next KVM_RUN, and before that a reset or a save would see it
 * half done: the read's register not written, the PC not advanced, or advanced over the reset's.
 */
void vmm_vcpu_complete_mmio(struct vmm_vcpu *vcpu)
{
	if (!vcpu->mmio_pending)
		return;
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
	vmm_kvm_ioctl(vcpu->vm->kvm, vcpu->fd, KVM_RUN, 0);
	sample_levels(vcpu);
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
	vcpu->stats.returns[VMM_RETURN_INTR]++;
	vcpu->mmio_pending = false;
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
/*
 * The runtime of LLVM 14 makes what it keeps of a thread's signals when the thread first needs it,
 * and loses a signal that comes just then. So it is made while they are blocked.
 */
#define prepare_for_signals() pthread_kill(pthread_self(), 0)
#endif
#endif
#ifndef prepare_for_signals
#define prepare_for_signals()
#endif

/* A kick that comes after vmm_vm_may_run() has looked is not lost: it sets immediate_exit. */
static void *vcpu_thread(void *opaque)
{
	struct vmm_vcpu *vcpu = opaque;
	sigset_t kick;

	pthread_mutex_lock(&vcpu->vm->lock); /* until all threads are there to be kicked */
	pthread_mutex_unlock(&vcpu->vm->lock);
	own_vcpu = vcpu;
	prepare_for_signals();
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	while (vmm_vm_may_run(vcpu->vm, vcpu)) {
		if (vcpu->vm->trace)
			vmm_vm_wait(vcpu->vm, vmm_trace_has_room, vcpu->vm->trace);
		vmm_vcpu_step(vcpu); /* when it fails, the VM has been told, and pauses */
	}
	vmm_vm_thread_ends(vcpu->vm);
	return NULL;
}

int vmm_vcpu_start(struct vmm_vcpu *vcpu)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	vcpu->has_thread = !err;
	return err;
}
