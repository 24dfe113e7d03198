/* SPDX-License-Identifier: MIT */
/*
 * The suite can fail: our KVM is broken in one way at a time, and `conform` must catch each.
 *
 * The library is linked from its parts with some of its functions wrapped (ld --wrap), so that
 * nothing of this is in the product. A fault is a row: what is broken, the tests that must catch
 * it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conform/conform.h"
#undef ARRAY_SIZE
#include "kvm/kvm.h"
#include "cpu/pmu.h"

enum fault {
	FAULT_NONE,
	UNPUBLISHED,
	STALE_BIT,
	CROSS_TALK,
	STALE_AT_IMMEDIATE_EXIT,
	STALE_AT_MMIO,
	UNKNOWN_BITS_CLEARED,
	EXIT_EVERY_ENTRY,
	PTIMER_FORGOTTEN,
	HIGH_IS_TOLD_AGAIN,
	PIN_STAYS_HIGH,
	PIN_OF_OTHER,
	PMU_NEEDS_ENABLE,
	LEVEL_EXIT_IS_0,
	TIMER_NOT_SWAPPED,
};

static const struct {
	enum fault fault;
	const char *what;
	const char *caught_by;
} faults[] = {
	{UNPUBLISHED, "a level is not published", "rise-spinning/vtimer"},
	{STALE_BIT, "a bit stays after the timer is lowered", "fall/vtimer"},
	{CROSS_TALK, "a vCPU shows the levels of another", "cross-talk/vtimer"},
	{STALE_AT_IMMEDIATE_EXIT, "immediate_exit does not publish", "fresh/immediate-exit"},
	{STALE_AT_MMIO, "an MMIO exit does not publish", "fresh/mmio-write"},
	{UNKNOWN_BITS_CLEARED, "bits of other versions are cleared", "unknown-bits"},
	{EXIT_EVERY_ENTRY, "every entry exits", "stays-low"},
	{PTIMER_FORGOTTEN, "the physical timer is not compared", "rise-spinning/ptimer"},
	{HIGH_IS_TOLD_AGAIN, "a level that stays high exits again", "stays-high/vtimer"},
	{PIN_STAYS_HIGH, "a pin stays high", "pin/irq-level"},
	{PIN_OF_OTHER, "a pin drives another vCPU as well", "pin/other-vcpu"},
	{PMU_NEEDS_ENABLE, "the PMU's level needs PMCNTENSET", "pmu-formula"},
	{LEVEL_EXIT_IS_0, "a level-change exit returns 0", "exit-is-intr/vtimer"},
	{TIMER_NOT_SWAPPED, "TIMER_CVAL and TIMER_CNT mean what their encodings say", "timer-swap"},
};
#define NR_FAULTS (sizeof(faults) / sizeof(faults[0]))

static enum fault fault;

/* ---- The wrapped functions ---- */

void __real_user_irq_update_run(struct vcpu *vcpu);
void __wrap_user_irq_update_run(struct vcpu *vcpu);
bool __real_user_irq_should_notify(struct vcpu *vcpu);
bool __wrap_user_irq_should_notify(struct vcpu *vcpu);
void __real_vcpu_set_pin(struct vcpu *vcpu, uint32_t pin, bool level);
void __wrap_vcpu_set_pin(struct vcpu *vcpu, uint32_t pin, bool level);
bool __real_pmu_level(struct cpu *cpu);
bool __wrap_pmu_level(struct cpu *cpu);
long __real_vcpu_run(struct vcpu *vcpu, unsigned long arg, uint64_t mask);
long __wrap_vcpu_run(struct vcpu *vcpu, unsigned long arg, uint64_t mask);
long __real_one_reg_set(struct vcpu *vcpu, const struct kvm_one_reg *reg);
long __wrap_one_reg_set(struct vcpu *vcpu, const struct kvm_one_reg *reg);

void __wrap_user_irq_update_run(struct vcpu *vcpu)
{
	__u64 *field = &vcpu->run->s.regs.device_irq_level, old = *field;

	if (fault == STALE_AT_IMMEDIATE_EXIT && vcpu->run->immediate_exit)
		return;
	if (fault == STALE_AT_MMIO && vcpu->run->exit_reason == KVM_EXIT_MMIO) {
		*field = 0;
		return;
	}
	__real_user_irq_update_run(vcpu);
	switch (fault) {
	case UNPUBLISHED:
		*field &= ~(__u64)KVM_ARM_DEV_EL1_VTIMER;
		break;
	case STALE_BIT:
		*field |= old;
		break;
	case CROSS_TALK:
		if (vcpu->index)
			*field |= vcpu->vm->vcpus[0]->run->s.regs.device_irq_level;
		break;
	case UNKNOWN_BITS_CLEARED:
		*field &= 7;
		break;
	default:
		break;
	}
}

bool __wrap_user_irq_should_notify(struct vcpu *vcpu)
{
	__u64 *field = &vcpu->run->s.regs.device_irq_level, old = *field;
	bool ret;

	if (fault == EXIT_EVERY_ENTRY)
		return true;
	if (fault == HIGH_IS_TOLD_AGAIN && (*field & KVM_ARM_DEV_EL1_VTIMER) &&
	    vcpu->cpu->icount % 3 == 0)
		return true;
	if (fault != PTIMER_FORGOTTEN)
		return __real_user_irq_should_notify(vcpu);
	*field &= ~(__u64)KVM_ARM_DEV_EL1_PTIMER;
	if (vcpu->vm->lines[1].level(vcpu))
		*field |= KVM_ARM_DEV_EL1_PTIMER;
	ret = __real_user_irq_should_notify(vcpu);
	*field = old;
	return ret;
}

void __wrap_vcpu_set_pin(struct vcpu *vcpu, uint32_t pin, bool level)
{
	unsigned int i;

	if (fault == PIN_STAYS_HIGH && !level)
		return;
	__real_vcpu_set_pin(vcpu, pin, level);
	for (i = 0; fault == PIN_OF_OTHER && i < vcpu->vm->nr_vcpus; i++)
		__real_vcpu_set_pin(vcpu->vm->vcpus[i], pin, level);
}

bool __wrap_pmu_level(struct cpu *cpu)
{
	if (fault == PMU_NEEDS_ENABLE && !(cpu->pmu.cnten & cpu->pmu.ovs))
		return false;
	return __real_pmu_level(cpu);
}

long __wrap_vcpu_run(struct vcpu *vcpu, unsigned long arg, uint64_t mask)
{
	long ret = __real_vcpu_run(vcpu, arg, mask);

	return fault == LEVEL_EXIT_IS_0 && ret == -EINTR ? 0 : ret;
}

long __wrap_one_reg_set(struct vcpu *vcpu, const struct kvm_one_reg *reg)
{
	struct kvm_one_reg other = *reg;

	if (fault == TIMER_NOT_SWAPPED && reg->id == KVM_REG_ARM_TIMER_CVAL)
		other.id = KVM_REG_ARM_TIMER_CNT;
	else if (fault == TIMER_NOT_SWAPPED && reg->id == KVM_REG_ARM_TIMER_CNT)
		other.id = KVM_REG_ARM_TIMER_CVAL;
	return __real_one_reg_set(vcpu, &other);
}

/* ---- The runner ---- */

/* Exit status of `conform TEST` with @f in force, its output thrown away. */
static int conform(enum fault f, const char *test)
{
	char name[] = "conform", which[64];
	char *argv[] = {name, which, NULL};
	int null = open("/dev/null", O_WRONLY), out = dup(STDOUT_FILENO), status;

	snprintf(which, sizeof(which), "%s", test);
	fflush(stdout);
	dup2(null, STDOUT_FILENO);
	fault = f;
	status = conform_main(2, argv);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(null);
	close(out);
	return status;
}

static int nr, failures;

static void result(bool ok, const char *what, const char *test)
{
	printf("%sok %d - %s (%s)\n", ok ? "" : "not ", ++nr, what, test);
	fflush(stdout);
	failures += !ok;
}

int main(void)
{
	printf("TAP version 13\n1..%d\n", (int)(2 * NR_FAULTS));
	for (size_t i = 0; i < NR_FAULTS; i++) {
		result(conform(faults[i].fault, faults[i].caught_by) == 1, faults[i].what,
		       faults[i].caught_by);
		result(conform(FAULT_NONE, faults[i].caught_by) == 0,
		       "… and it passes without that", faults[i].caught_by);
	}
	return failures != 0;
}
