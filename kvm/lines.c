/* SPDX-License-Identifier: MIT */
/*
 * The output lines of in-kernel devices, and the one sink that they feed.
 *
 *     timers, PMU ──> vm->lines ──> vm->sink ──┬─> one for user space to read: user_irq.c
 *                                              └─> an interrupt controller inside the KVM
 *
 * A device says what its level is, or that it fired; it never asks where that goes. A VM begins
 * with the sink of user_irq.c, and vm_set_irqchip() is the one place where it gets another: when
 * its interrupt controller is made, which is before any vCPU has run.
 *
 * KVM_RUN has two questions for the sink: must it return before the guest is entered, and what does
 * it publish when it returns? The answers of user_irq.c are the whole contract of
 * KVM_CAP_ARM_USER_IRQ.
 */
#include <string.h>

#include "cpu/timer.h"
#include "kvm/kvm.h"

static bool level_of(const struct cpu *cpu, enum timer_id id)
{
	return timer_may_fire(&cpu->timers.t[id]) && timer_level(cpu, id);
}

static bool vtimer_level(struct vcpu *vcpu)
{
	return level_of(vcpu->cpu, TIMER_VIRT);
}

static bool ptimer_level(struct vcpu *vcpu)
{
	return level_of(vcpu->cpu, TIMER_PHYS);
}

static bool pmu_line_level(struct vcpu *vcpu)
{
	return (vcpu->cpu->features & CPU_FEATURE_PMU) && pmu_level(vcpu->cpu);
}

/* The devices of version 1 of KVM_CAP_ARM_USER_IRQ. */
static const struct device_line device_lines[] = {
	[LINE_VTIMER] = {KVM_ARM_DEV_EL1_VTIMER, vtimer_level},
	[LINE_PTIMER] = {KVM_ARM_DEV_EL1_PTIMER, ptimer_level},
	[LINE_PMU] = {KVM_ARM_DEV_PMU, pmu_line_level},
};

static const struct irq_sink user_irq_sink = {
	.edge = user_irq_edge,
	.must_exit = user_irq_should_notify,
	.update_run = user_irq_update_run,
};

void device_lines_init(struct vm *vm)
{
	memcpy(vm->lines, device_lines, sizeof(device_lines));
	vm->nr_lines = ARRAY_SIZE(device_lines);
	atomic_store(&vm->sink, &user_irq_sink);
}

int vm_set_irqchip(struct vm *vm, const struct irq_sink *sink, const struct sysreg_rows *rows)
{
	int ret = 0;

	if (atomic_load(&vm->sink) != &user_irq_sink)
		return -EEXIST;
	if (atomic_load(&vm->has_run))
		return -EBUSY;
	if (rows)
		ret = machine_add_sysregs(&vm->machine, rows);
	if (!ret)
		atomic_store(&vm->sink, sink);
	return ret;
}

static void tell_level(struct vcpu *vcpu, const struct irq_sink *sink, unsigned int i)
{
	const struct device_line *l = &vcpu->vm->lines[i];
	uint32_t bit = 1u << i;
	bool level;

	if (!l->level)
		return;
	level = l->level(vcpu);
	if (level == !!(vcpu->told_levels & bit))
		return;
	vcpu->told_levels ^= bit;
	sink->level(vcpu, i, level);
}

bool device_lines_must_exit(struct vcpu *vcpu)
{
	const struct irq_sink *sink = atomic_load_explicit(&vcpu->vm->sink, memory_order_acquire);
	unsigned int i;

	if (sink->level)
		for (i = 0; i < vcpu->vm->nr_lines; i++)
			tell_level(vcpu, sink, i);
	return sink->must_exit && sink->must_exit(vcpu);
}

void device_lines_update_run(struct vcpu *vcpu)
{
	const struct irq_sink *sink = atomic_load_explicit(&vcpu->vm->sink, memory_order_acquire);

	if (sink->update_run)
		sink->update_run(vcpu);
}

void device_line_edge(struct vcpu *vcpu, unsigned int line)
{
	const struct irq_sink *sink = atomic_load_explicit(&vcpu->vm->sink, memory_order_acquire);

	sink->edge(vcpu, line);
}
