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

static bool line_pending(struct vcpu *vcpu, unsigned int i, uint64_t field)
{
	const struct device_line *l = &vcpu->vm->lines[i];

	if (l->level)
		return l->level(vcpu) != !!(field & l->bit);
	return atomic_load(&vcpu->edges[i]) != 0;
}

bool user_irq_should_notify(struct vcpu *vcpu)
{
	uint64_t field = __atomic_load_n(&vcpu->run->s.regs.device_irq_level, __ATOMIC_RELAXED);
	unsigned int i;

	for (i = 0; i < vcpu->vm->nr_lines; i++)
		if (line_pending(vcpu, i, field))
			return true;
	return false;
}

/* Whether the bit of line @i is to be set in this return; an edge is used up by it. */
static bool line_take(struct vcpu *vcpu, unsigned int i)
{
	const struct device_line *l = &vcpu->vm->lines[i];

	if (l->level)
		return l->level(vcpu);
	if (!atomic_load(&vcpu->edges[i]))
		return false;
	atomic_fetch_sub(&vcpu->edges[i], 1);
	return true;
}

void user_irq_update_run(struct vcpu *vcpu)
{
	uint64_t field = __atomic_load_n(&vcpu->run->s.regs.device_irq_level, __ATOMIC_RELAXED);
	unsigned int i;

	for (i = 0; i < vcpu->vm->nr_lines; i++) {
		uint64_t bit = vcpu->vm->lines[i].bit;

		field = line_take(vcpu, i) ? field | bit : field & ~bit;
	}
	__atomic_store_n(&vcpu->run->s.regs.device_irq_level, field, __ATOMIC_RELAXED);
}

void user_irq_edge(struct vcpu *vcpu, unsigned int line)
{
	atomic_fetch_add(&vcpu->edges[line], 1);
	vcpu_kick(vcpu);
}
