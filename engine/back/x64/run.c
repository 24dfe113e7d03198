/* SPDX-License-Identifier: MIT */
/* Running generated code: what its thunks call when it needs to know where to go on. */
#include <stddef.h>

#include "cpu/arch.h"
#include "engine/back/x64/memory.h"
#include "engine/back/x64/x64.h"
#include "engine/code/dispatch.h"
#include "engine/code/links.h"
#include "engine/private.h"

struct x64_block *x64_block_at(const uint8_t *start)
{
	const uint8_t *owner =
		start - offsetof(struct code_block, code) + offsetof(struct code_block, owner);
	struct x64_block *b = *(struct x64_block *const *)owner;

	/*
	 * Another vCPU may have made the block, and what led here is a jump in generated code,
	 * which orders by itself on x86 but tells no one.
	 */
	(void)atomic_load_explicit(&b->made, memory_order_acquire);
	return b;
}

static const struct x64_machine *machine_of(const struct cpu *cpu)
{
	return cache_of(cpu)->back_data;
}

/*
 * remote.stop is icount_limit while there is no kick. The exchange comes before the look at the
 * kick: whoever kicks in between writes 0 behind it.
 */
static void arm(struct cpu *cpu)
{
	atomic_exchange(&cpu->remote.stop, cpu->icount_limit);
	if (atomic_load(&cpu->remote.kick))
		atomic_store(&cpu->remote.stop, 0);
}

void x64_limit_changed(struct cpu *cpu)
{
	if (atomic_load_explicit(&cpu->remote.stop, memory_order_relaxed) != cpu->icount_limit)
		arm(cpu);
}

static bool kicked(struct cpu *cpu)
{
	if (atomic_load_explicit(&cpu->remote.kick, memory_order_relaxed) ||
	    cpu->icount >= cpu->icount_limit)
		return true;
	x64_limit_changed(cpu);
	return false;
}

const uint8_t *x64_stop(struct cpu *cpu, enum cpu_exit_reason reason)
{
	x64_settle(cpu);
	x64_cpu(cpu)->reason = reason;
	return machine_of(cpu)->stop;
}

static struct x64_line *line_of(struct cpu *cpu)
{
	return &x64_cpu(cpu)->lines[(cpu->pc >> 2) & ((1 << X64_LINE_BITS) - 1)];
}

static uint64_t key_of(const struct cpu *cpu)
{
	return X64_LINE_KEY(cpu->bank->fetches, cpu->mode);
}

/* dispatch_find(), remembered. */
static struct x64_block *find(struct cpu *cpu)
{
	x64_settle(cpu);
	struct x64_block *b = x64_block_of(dispatch_find(cpu));

	/*
	 * A step's fetch has to be made each time: it finds the Software Step exception. While
	 * accesses are watched, the fetch has no line of the execute TLB.
	 */
	if (b && !(cpu->mode & CPU_MODE_STEP) && !cpu->watching)
		*line_of(cpu) = (struct x64_line){
			.pc = cpu->pc, .key = key_of(cpu), .entry = b->code + b->near};
	return b;
}

const uint8_t *x64_dispatch(struct cpu *cpu)
{
	const struct x64_line *l;
	struct x64_block *b;

	x64_settle(cpu);
	if (x64_cpu(cpu)->recording)
		return x64_stop(cpu, (enum cpu_exit_reason)X64_RECORDED);
	do {
		if (kicked(cpu))
			return x64_stop(cpu, CPU_EXIT_KICK);
		l = line_of(cpu);
		if (l->pc == cpu->pc && l->key == key_of(cpu))
			return l->entry;
		b = find(cpu);
	} while (!b);
	return b->code + b->near;
}

/* The first time through an exit: find where it leads and remember it. */
const uint8_t *x64_link(struct cpu *cpu, const uint8_t *start, uint32_t n)
{
	struct x64_block *from = x64_block_at(start), *to;
	struct exit *x = &from->common.exits[n];
	uint16_t counter = from->exit_counters[n];

	cpu->pc = x64_cpu(cpu)->gpr[X64_PAGE] +
		  (((uint64_t)from->common.offset + (uint64_t)(int64_t)x->delta) & ~TLB_PAGE_MASK);
	if (x64_cpu(cpu)->recording)
		return x64_stop(cpu, (enum cpu_exit_reason)X64_RECORDED);
	if (kicked(cpu))
		return x64_stop(cpu, CPU_EXIT_KICK);
	if (counter != X64_NO_COUNTER && !x64_cpu(cpu)->counter[counter])
		return x64_record(cpu, counter);
	to = find(cpu);
	if (!to)
		return x64_dispatch(cpu);
	if (!(cpu->mode & CPU_MODE_STEP))
		link_exit(cache_of(cpu), x, &to->common);
	return to->code + to->near;
}

const uint8_t *x64_miss(struct cpu *cpu, const uint8_t *start)
{
	cpu->pc = x64_cpu(cpu)->gpr[X64_PAGE] + x64_block_at(start)->common.offset;
	return x64_dispatch(cpu);
}

static const uint8_t *context_changed(struct cpu *cpu)
{
	if (cpu->ps.il)
		cpu_take_exception(cpu, ESR(EC_ILLEGAL_STATE, 0), cpu->pc, 0, false);
	if (atomic_load_explicit(&cpu->remote.pins, memory_order_relaxed))
		cpu_take_interrupt(cpu);
	return x64_dispatch(cpu);
}

const uint8_t *x64_leave(struct cpu *cpu, const uint8_t *start, uint32_t n)
{
	const struct x64_leave *l = &x64_block_at(start)->leaves[n];

	x64_settle(cpu);
	cpu->pc = x64_cpu(cpu)->gpr[X64_PAGE] + (uint64_t)(int64_t)l->delta;
	if (l->opc == IR_EXCEPTION) {
		cpu_take_exception(cpu, l->imm, cpu->pc, 0, false);
		return x64_dispatch(cpu);
	}
	switch ((enum ir_leave)l->aux) {
	case IR_LEAVE_ERET:
		cpu_eret(cpu);
		return context_changed(cpu);
	case IR_LEAVE_DAIF:
		cpu_update_mode(cpu);
		return context_changed(cpu);
	case IR_LEAVE_SYNC:
	case IR_LEAVE_YIELD:
		return context_changed(cpu);
	case IR_LEAVE_HVC:
		cpu->exit.imm = l->imm;
		return x64_stop(cpu, CPU_EXIT_HVC);
	case IR_LEAVE_SMC:
		cpu->exit.imm = l->imm;
		return x64_stop(cpu, CPU_EXIT_SMC);
	case IR_LEAVE_WFI:
		return x64_stop(cpu, CPU_EXIT_WFI);
	case IR_LEAVE_WFE:
		break;
	}
	/* An event that has come already is used up. */
	if (atomic_exchange_explicit(&cpu->remote.event, 0, memory_order_acq_rel))
		return x64_dispatch(cpu);
	return x64_stop(cpu, CPU_EXIT_WFE);
}
