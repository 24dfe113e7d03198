/* SPDX-License-Identifier: MIT */
/*
 * Our KVM, broken in one way at a time: what `armature conform` must catch.
 *
 * Some functions of the library are wrapped (ld --wrap). Nothing of this is in the product, unless
 * it is built with -Dfault=NAME; the tests link it to a library of their own (tests/conform).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cpu/pmu.h"
#include "kvm/faults.h"
#include "kvm/kvm.h"

/* One in so many rises is lost by LOST_RISE. */
#define LOST_ONE_IN 1000

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
	LOST_RISE,
	LOST_SIGNAL,
};

const struct fault_row faults[] = {
	[FAULT_NONE] = {"", NULL, NULL},
	[UNPUBLISHED] = {"unpublished", "a level is not published", "rise-spinning/vtimer"},
	[STALE_BIT] = {"stale-bit", "a bit stays after the timer is lowered", "fall/vtimer"},
	[CROSS_TALK] = {"cross-talk", "a vCPU shows the levels of another", "cross-talk/vtimer"},
	[STALE_AT_IMMEDIATE_EXIT] = {"stale-at-immediate-exit", "immediate_exit does not publish",
				     "fresh/immediate-exit"},
	[STALE_AT_MMIO] = {"stale-at-mmio", "an MMIO exit does not publish", "fresh/mmio-write"},
	[UNKNOWN_BITS_CLEARED] = {"unknown-bits-cleared", "bits of other versions are cleared",
				  "unknown-bits"},
	[EXIT_EVERY_ENTRY] = {"exit-every-entry", "every entry exits", "stays-low"},
	[PTIMER_FORGOTTEN] = {"ptimer-forgotten", "the physical timer is not compared",
			      "rise-spinning/ptimer"},
	[HIGH_IS_TOLD_AGAIN] = {"high-is-told-again", "a level that stays high exits again",
				"stays-high/vtimer"},
	[PIN_STAYS_HIGH] = {"pin-stays-high", "a pin stays high", "pin/irq-level"},
	[PIN_OF_OTHER] = {"pin-of-other", "a pin drives another vCPU as well", "pin/other-vcpu"},
	[PMU_NEEDS_ENABLE] = {"pmu-needs-enable", "the PMU's level needs PMCNTENSET",
			      "pmu-formula"},
	[LEVEL_EXIT_IS_0] = {"level-exit-is-0", "a level-change exit returns 0",
			     "exit-is-intr/vtimer"},
	[TIMER_NOT_SWAPPED] = {"timer-not-swapped",
			       "TIMER_CVAL and TIMER_CNT mean what their encodings say",
			       "timer-swap"},
	[LOST_RISE] = {"lost-rise", "now and then a rise is lost", "none-lost"},
	[LOST_SIGNAL] = {"lost-signal", "a signal ends KVM_RUN, and its handler does not run",
			 "signal/spinning"},
};
const unsigned int nr_faults = sizeof(faults) / sizeof(faults[0]);

static enum fault fault;

void fault_choose(unsigned int nr)
{
	fault = (enum fault)nr;
}

#ifdef FAULT
__attribute__((constructor)) static void fault_of_the_build(void)
{
	unsigned int i;

	for (i = 0; i < nr_faults; i++)
		if (!strcmp(faults[i].name, FAULT)) {
			fault_choose(i);
			return;
		}
	fprintf(stderr, "armature: built with -Dfault=%s, which is none of:", FAULT);
	for (i = 1; i < nr_faults; i++)
		fprintf(stderr, " %s", faults[i].name);
	fprintf(stderr, "\n");
	exit(2);
}
#endif

/* ---- The wrapped functions ---- */

void __real_user_irq_update_run(struct vcpu *vcpu);
void __wrap_user_irq_update_run(struct vcpu *vcpu);
bool __real_user_irq_should_notify(struct vcpu *vcpu);
bool __wrap_user_irq_should_notify(struct vcpu *vcpu);
void __real_vcpu_set_pin(struct vcpu *vcpu, uint32_t pin, bool level);
void __wrap_vcpu_set_pin(struct vcpu *vcpu, uint32_t pin, bool level);
bool __real_pmu_level(struct cpu *cpu);
bool __wrap_pmu_level(struct cpu *cpu);
long __real_vcpu_run(struct vcpu *vcpu, unsigned long arg);
long __wrap_vcpu_run(struct vcpu *vcpu, unsigned long arg);
bool __real_signals_pending(struct vcpu *vcpu);
bool __wrap_signals_pending(struct vcpu *vcpu);
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
	static _Atomic unsigned int told;
	__u64 *field = &vcpu->run->s.regs.device_irq_level, old = *field;
	bool ret;

	if (fault == LOST_RISE && __real_user_irq_should_notify(vcpu) && !(old & 7) &&
	    ++told % LOST_ONE_IN == 0)
		__real_user_irq_update_run(vcpu); /* as if the VMM had seen it */
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

long __wrap_vcpu_run(struct vcpu *vcpu, unsigned long arg)
{
	long ret = __real_vcpu_run(vcpu, arg);

	return fault == LEVEL_EXIT_IS_0 && ret == -EINTR ? 0 : ret;
}

bool __wrap_signals_pending(struct vcpu *vcpu)
{
	static const struct timespec at_once;
	uint64_t set = vcpu->interrupting;
	bool pending = __real_signals_pending(vcpu);

	if (fault == LOST_SIGNAL && pending)
		syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, SIGSET_SIZE);
	return pending;
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
