/* SPDX-License-Identifier: MIT */
/*
 * KVM_CAP_ARM_USER_IRQ: the output levels of in-kernel devices, for an interrupt controller in user
 * space (api.rst 8.5).
 *
 * The contract in two functions. user_irq_should_notify() is asked before each guest entry and
 * whenever a device's output may have changed: true forbids to enter, so every change that was
 * detected causes a return. user_irq_update_run() publishes on every return. KVM_RUN (run.c) asks
 * through the VM's sink (lines.c), which is this file's unless the VM has an interrupt controller
 * inside the KVM.
 *
 * The comparison is with the field itself, which the VMM may write: a level device's bit says what
 * the VMM has seen. An edge device's bit is set in exactly one return for each edge; edges are
 * counted, so that none is lost when two come together. Bits that no line owns are left as they
 * are.
 */
#include "kvm/kvm.h"

/* @field, with the bits of all level devices as their levels are. */
static uint64_t with_levels(struct vcpu *vcpu, uint64_t field)
{
	const struct device_line *l = vcpu->vm->lines, *end = l + vcpu->vm->nr_lines;

	for (; l < end; l++)
		if (l->level)
			field = l->level(vcpu) ? field | l->bit : field & ~l->bit;
	return field;
}

bool user_irq_should_notify(struct vcpu *vcpu)
{
	uint64_t field = __atomic_load_n(&vcpu->run->s.regs.device_irq_level, __ATOMIC_RELAXED);
	unsigned int i, n = vcpu->vm->nr_lines;

	if (with_levels(vcpu, field) != field)
		return true;
	for (i = 0; i < n; i++)
		if (atomic_load(&vcpu->edges[i]))
			return true;
	return false;
}

/* Uses up an edge of line @i, if there is one. */
static bool take_edge(struct vcpu *vcpu, unsigned int i)
{
	if (!atomic_load(&vcpu->edges[i]))
		return false;
	atomic_fetch_sub(&vcpu->edges[i], 1);
	return true;
}

void user_irq_update_run(struct vcpu *vcpu)
{
	uint64_t field = __atomic_load_n(&vcpu->run->s.regs.device_irq_level, __ATOMIC_RELAXED);
	unsigned int i, n = vcpu->vm->nr_lines;

	field = with_levels(vcpu, field);
	for (i = 0; i < n; i++) {
		const struct device_line *l = &vcpu->vm->lines[i];

		if (!l->level)
			field = take_edge(vcpu, i) ? field | l->bit : field & ~l->bit;
	}
	__atomic_store_n(&vcpu->run->s.regs.device_irq_level, field, __ATOMIC_RELAXED);
}

void user_irq_edge(struct vcpu *vcpu, unsigned int line)
{
	atomic_fetch_add(&vcpu->edges[line], 1);
	vcpu_kick(vcpu);
}
