/* SPDX-License-Identifier: MIT */
/*
 * KVM_RUN.
 *
 *     vcpu_run ── checks, pending MMIO, immediate_exit
 *        └─ run_loop ── signals, requests, levels ── enter_guest ── handle_exit ─┐
 *              ▲                                                                 │
 *              └────────────────────────── 1: go on ─────────────────────────────┘
 *
 * What must hold:
 *  - The order inside KVM_RUN is Linux's: argument, initialised, first run, pending MMIO,
 *    immediate_exit, signals, requests, level compare, entry.
 *  - The field is published on every return, failed ones included.
 *  - No change is slept over. A round of run_loop() (1) takes CPU_REQ_EXIT back, (2) looks at what
 *    it may stand for: requests, power state, levels, and (3) enters the guest. Another thread that
 *    changes one of these first makes the change and then sets CPU_REQ_EXIT. If the request is made
 *      - before (1): so was the change, and (2) sees it;
 *      - between (1) and (3): (2) may have looked too early, but the request is still there at
 *        (3), engine_run() returns before the first instruction, and the next round sees it;
 *      - after (3): the vCPU leaves the guest at its next kick point, and the next round sees it.
 *  - Time changes levels without a request. So the deadline, when the clock thread is to make one,
 *    is computed before the levels are compared: if it passes before the comparison, that sees
 *    the new level; if later, the clock thread, told of it in enter_guest(), kicks.
 */
#include <sched.h>
#include <string.h>

#include "cpu/arch.h"
#include "cpu/pmu.h"
#include "cpu/timer.h"
#include "engine/engine.h"
#include "kvm/kvm.h"

#define INSN_SIZE 4

/* A WFE's longest sleep without an event: the guest may wait for a store, which nobody reports. */
#define WFE_SLEEP_NS 50000u
#define WFE_YIELDS   16 /* in a row, before it sleeps */

/* Where a walk of stage 2 tables, which are not there, would have ended. */
#define STAGE_2_LEVEL 3

#define PINS_OF_VMM (CPU_PIN_IRQ | CPU_PIN_FIQ)

/* ---- Deadlines and limits ---- */

static uint64_t deadline_of(const struct cpu *cpu, enum timer_id id)
{
	return timer_may_fire(&cpu->timers.t[id]) ? timer_deadline(cpu, id) : NEVER;
}

/* Tells the clock thread when this vCPU's levels change next. */
static void update_deadline(struct vcpu *vcpu)
{
	const struct cpu *cpu = vcpu->cpu;
	uint64_t d = min64(deadline_of(cpu, TIMER_VIRT), deadline_of(cpu, TIMER_PHYS));

	if (cpu->features & CPU_FEATURE_PMU)
		d = min64(d, pmu_deadline(vcpu->cpu));
	if (d != atomic_load_explicit(&vcpu->deadline, memory_order_relaxed))
		atomic_store(&vcpu->deadline, d);
}

/* machine_ops: a device's output may have changed, inside the guest. */
static void output_changed(struct cpu *cpu)
{
	struct vcpu *vcpu = cpu->owner;

	if (!atomic_load_explicit(&vcpu->in_guest, memory_order_relaxed))
		return; /* a reset, or ONE_REG: the next entry looks */
	update_deadline(vcpu);
	if (device_lines_must_exit(vcpu))
		cpu_request(cpu, CPU_REQ_EXIT);
	else
		clock_watch(vcpu);
}

static void pmu_output_changed(struct cpu *cpu)
{
	pmu_update_limit(cpu);
	output_changed(cpu);
}

/* machine_ops: an event for a vCPU that may sleep in WFE. */
static void event_sent(struct cpu *cpu)
{
	vcpu_wake(cpu->owner);
}

/* machine_ops: an access outside memory. What is not on the bus is the VMM's. */
static bool serve_mmio(struct cpu *cpu, uint64_t pa, unsigned int size, bool write, uint64_t *data)
{
	struct vcpu *vcpu = cpu->owner;

	if (!bus_access(vcpu, pa, size, write, data))
		return false;
	vcpu->stats[VCPU_STAT_MMIO_KERNEL]++;
	return true;
}

const struct machine_ops vcpu_machine_ops = {
	.mmio = serve_mmio,
	.timers_changed = output_changed,
	.pmu_changed = pmu_output_changed,
	.event = event_sent,
	.icache_invalidate = engine_icache_invalidate,
};

/* ---- Exceptions that the KVM injects ---- */

/*
 * A synchronous external abort, at the address of the last MMIO (KVM_SET_VCPU_EVENTS). An MMIO that
 * waits has come to its end by it: PC is at the vector now, and there is nothing to complete.
 */
static void take_pending_abort(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;

	if (!vcpu->abort_pending)
		return;
	vcpu->abort_pending = false;
	vcpu->mmio_pending = false;
	cpu_take_exception(cpu, ESR(cpu->ps.el ? EC_DABT : EC_DABT_LOW, FSC_EXTERNAL), cpu->pc,
			   cpu->exit.mmio.va, true);
}

/* The instruction at PC is done by someone else. */
static void skip_instruction(struct cpu *cpu)
{
	cpu->pc += INSN_SIZE;
	cpu->icount++;
	if (cpu->ps.ss) {
		cpu->ps.ss = 0;
		cpu_update_mode(cpu);
	}
}

/* ---- MMIO ---- */

static void begin_mmio(struct vcpu *vcpu)
{
	const struct cpu_mmio *m = &vcpu->cpu->exit.mmio;
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = m->pa;
	run->mmio.len = m->size;
	run->mmio.is_write = m->write;
	if (m->write)
		memcpy(run->mmio.data, &m->data, m->size);
	vcpu->mmio_pending = true;
}

/* The data of a read, as the load instruction puts it into its register. */
static uint64_t extend_load(uint64_t data, const struct cpu_mmio *m)
{
	unsigned int bits = m->size * 8;

	if (m->be)
		data = __builtin_bswap64(data) >> (64 - bits);
	if (m->sign_extend && bits < 64)
		data = (uint64_t)((int64_t)(data << (64 - bits)) >> (64 - bits));
	return m->reg64 ? data : (uint32_t)data;
}

/* The VMM has done what KVM_EXIT_MMIO asked for. */
static void complete_mmio(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	const struct cpu_mmio *m = &cpu->exit.mmio;
	uint64_t data = 0;

	if (!vcpu->mmio_pending || vcpu->abort_pending)
		return;
	vcpu->mmio_pending = false;
	if (!m->write) {
		memcpy(&data, vcpu->run->mmio.data, m->size);
		if (m->reg != 31)
			cpu->x[m->reg] = extend_load(data, m);
	}
	skip_instruction(cpu);
}

/* ---- Sleep ---- */

/* A signal waits that interrupts; ignored ones do not end a sleep. */
static bool signal_waits(struct vcpu *vcpu)
{
	if (!atomic_load(&vcpu->masked))
		return signals_pending(vcpu);
	if (!(atomic_load(&vcpu->requests) & VCPU_REQ_SIGNAL))
		return false;
	if (signals_pending(vcpu))
		return true;
	/* What comes after the look above, the signalfd shows. */
	atomic_fetch_and(&vcpu->requests, ~VCPU_REQ_SIGNAL);
	return false;
}

static bool has_request(struct vcpu *vcpu)
{
	return signal_waits(vcpu) || (atomic_load(&vcpu->requests) & ~VCPU_REQ_SIGNAL);
}

/* As Linux: whatever PSTATE masks. The lines come first: their sink may drive the pins. */
static bool is_runnable(struct vcpu *vcpu)
{
	return device_lines_must_exit(vcpu) ||
	       (atomic_load(&vcpu->cpu->remote.pins) & PINS_OF_VMM) || vcpu_stopped(vcpu);
}

void vcpu_wfi(struct vcpu *vcpu)
{
	for (;;) {
		signals_lie_down(vcpu);
		update_deadline(vcpu);
		if (is_runnable(vcpu) || has_request(vcpu))
			break;
		signals_sleep(vcpu, atomic_load(&vcpu->deadline));
	}
	atomic_store(&vcpu->sleeping, AWAKE);
}

/* WFE: wait for an event, the event stream, an interrupt; but never long. */
static void wait_for_event(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	uint64_t deadline;

	if (vcpu->spins++ < WFE_YIELDS) {
		sched_yield();
		return;
	}
	signals_lie_down(vcpu);
	update_deadline(vcpu);
	deadline = min64(atomic_load(&vcpu->deadline), clock_now() + WFE_SLEEP_NS);
	deadline = min64(deadline, timer_event_deadline(cpu));
	if (!atomic_load(&cpu->remote.event) && !is_runnable(vcpu) && !has_request(vcpu))
		signals_sleep(vcpu, deadline);
	atomic_store(&cpu->remote.event, 0);
	atomic_store(&vcpu->sleeping, AWAKE);
}

/* Stopped by PSCI or by the VMM: until it is started, or a signal comes. */
static void sleep_while_stopped(struct vcpu *vcpu)
{
	for (;;) {
		signals_lie_down(vcpu);
		if (!vcpu_stopped(vcpu) || signal_waits(vcpu))
			break;
		signals_sleep(vcpu, NEVER);
	}
	atomic_store(&vcpu->sleeping, AWAKE);
}

/* ---- Exits ---- */

static int exit_kick(struct vcpu *vcpu)
{
	return 1;
}

static int exit_smc(struct vcpu *vcpu)
{
	vcpu->cpu->x[0] = UINT64_MAX;
	skip_instruction(vcpu->cpu);
	return 1;
}

static int exit_wfi(struct vcpu *vcpu)
{
	vcpu_wfi(vcpu);
	return 1;
}

static int exit_wfe(struct vcpu *vcpu)
{
	wait_for_event(vcpu);
	return 1;
}

static int exit_mmio(struct vcpu *vcpu)
{
	begin_mmio(vcpu);
	return 0;
}

/* An access that nobody can complete without decoding the instruction (api.rst 6.20). */
static int exit_no_syndrome(struct vcpu *vcpu)
{
	const struct cpu_mmio *m = &vcpu->cpu->exit.mmio;
	struct kvm_run *run = vcpu->run;

	if (!atomic_load(&vcpu->vm->nisv_to_user))
		return -ENOSYS;
	run->exit_reason = KVM_EXIT_ARM_NISV;
	run->arm_nisv.esr_iss = FSC_TRANSLATION | STAGE_2_LEVEL | (m->write ? ISS_WNR : 0);
	run->arm_nisv.fault_ipa = m->pa;
	return 0;
}

/* The engine is at the end of what it can do. */
static int exit_error(struct vcpu *vcpu)
{
	uint32_t error = vcpu->cpu->exit.imm;

	if (error == ENOMEM || error == EFAULT)
		return -(int)error;
	vcpu->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	vcpu->run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	vcpu->run->internal.ndata = 1;
	vcpu->run->internal.data[0] = vcpu->cpu->pc;
	return 0;
}

/* 1: go on in the guest; 0: leave, exit_reason is set; -errno. */
static int (*const exit_handlers[])(struct vcpu *vcpu) = {
	[CPU_EXIT_NONE] = exit_kick,   [CPU_EXIT_KICK] = exit_kick,
	[CPU_EXIT_HVC] = hypercall,    [CPU_EXIT_SMC] = exit_smc,
	[CPU_EXIT_WFI] = exit_wfi,     [CPU_EXIT_WFE] = exit_wfe,
	[CPU_EXIT_MMIO] = exit_mmio,   [CPU_EXIT_NOSYNDROME] = exit_no_syndrome,
	[CPU_EXIT_ERROR] = exit_error,
};

/* ---- The loop ---- */

/* The stop protocol of vm.c, this side. */
static void outside(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	atomic_store(&vcpu->in_guest, 0);
	if (atomic_load(&vm->stopping)) {
		pthread_mutex_lock(&vm->machine.lock);
		pthread_cond_broadcast(&vm->machine.passed);
		pthread_mutex_unlock(&vm->machine.lock);
	}
}

static void inside(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	for (;;) {
		atomic_store(&vcpu->in_guest, 1);
		if (!atomic_load(&vm->stopping))
			return;
		outside(vcpu);
		pthread_mutex_lock(&vm->machine.lock);
		while (atomic_load(&vm->stopping))
			pthread_cond_wait(&vm->resumed, &vm->machine.lock);
		pthread_mutex_unlock(&vm->machine.lock);
	}
}

static void count_exit(struct vcpu *vcpu, enum cpu_exit_reason reason)
{
	static const uint8_t stat_of[] = {
		[CPU_EXIT_HVC] = VCPU_STAT_HVC,
		[CPU_EXIT_WFE] = VCPU_STAT_WFE,
		[CPU_EXIT_WFI] = VCPU_STAT_WFI,
		[CPU_EXIT_MMIO] = VCPU_STAT_MMIO_USER,
	};

	vcpu->stats[VCPU_STAT_EXITS]++;
	if (reason < ARRAY_SIZE(stat_of) && stat_of[reason])
		vcpu->stats[stat_of[reason]]++;
}

static enum cpu_exit_reason enter_guest(struct vcpu *vcpu)
{
	enum cpu_exit_reason reason;

	inside(vcpu);
	clock_watch(vcpu);
	reason = engine_run(vcpu->cpu);
	outside(vcpu);
	count_exit(vcpu, reason);
	if (reason != CPU_EXIT_WFE && reason != CPU_EXIT_KICK)
		vcpu->spins = 0;
	return reason;
}

static int interrupted(struct vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

/* What must be looked at before the guest is entered. 1: nothing is in the way. */
static int check_requests(struct vcpu *vcpu)
{
	uint32_t requests = atomic_load(&vcpu->requests);

	if (requests & VCPU_REQ_SIGNAL) {
		atomic_fetch_and(&vcpu->requests, ~VCPU_REQ_SIGNAL);
		if (signals_pending(vcpu)) {
			vcpu->stats[VCPU_STAT_SIGNAL]++;
			return interrupted(vcpu);
		}
	}
	if (vcpu_stopped(vcpu)) {
		sleep_while_stopped(vcpu);
		if (vcpu_stopped(vcpu))
			return 0; /* a signal; look again */
	}
	vcpu_check_reset(vcpu);
	return 1;
}

static int run_loop(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	int ret = 1;

	while (ret > 0) {
		if (atomic_load(&cpu->remote.requests) & CPU_REQ_EXIT)
			atomic_fetch_and(&cpu->remote.requests, ~CPU_REQ_EXIT);
		update_deadline(vcpu);
		ret = check_requests(vcpu);
		if (!ret) {
			ret = 1;
			continue;
		}
		if (ret > 0 && device_lines_must_exit(vcpu))
			ret = interrupted(vcpu);
		pmu_update_limit(cpu);
		if (ret > 0)
			ret = exit_handlers[enter_guest(vcpu)](vcpu);
	}
	return ret;
}

/* A PMU is set up, and has an interrupt if the VM has a vgic. */
static int check_pmu(const struct vcpu *vcpu)
{
	if (!vcpu_has_feature(vcpu, KVM_ARM_VCPU_PMU_V3))
		return 0;
	return !vcpu->pmu_created || (vgic_exists(vcpu->vm) && !vcpu->pmu_irq) ? -EINVAL : 0;
}

/* The checks of the first run. */
static int check_first_run(struct vcpu *vcpu)
{
	int ret;

	if (!vcpu->initialised)
		return -ENOEXEC;
	if (vcpu->has_run)
		return 0;
	/*
	 * Under the lock: whoever sets a firmware register or makes an interrupt controller
	 * (vm_set_irqchip()) is done, or is refused.
	 */
	pthread_mutex_lock(&vcpu->vm->lock);
	ret = vgic_first_run(vcpu);
	if (!ret)
		ret = check_pmu(vcpu);
	if (!ret) {
		vgic_wire(vcpu);
		vcpu->has_run = true;
		vcpu->vm->has_run = true;
	}
	pthread_mutex_unlock(&vcpu->vm->lock);
	return ret;
}

static int run_checked(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint32_t runs;
	int ret;

	if (run->exit_reason == KVM_EXIT_MMIO)
		complete_mmio(vcpu);
	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_RELAXED)) {
		take_pending_abort(vcpu);
		return -EINTR;
	}
	ret = clock_start(vcpu->vm);
	if (ret)
		return ret;
	take_pending_abort(vcpu);
	engine_user_wrote(vcpu->cpu);
	/* Nobody else counts. */
	runs = atomic_load_explicit(&vcpu->runs, memory_order_relaxed);
	atomic_store_explicit(&vcpu->runs, runs + 1, memory_order_relaxed);
	signals_enter(vcpu);
	run->exit_reason = KVM_EXIT_UNKNOWN;
	run->flags = 0;
	ret = run_loop(vcpu);
	signals_leave(vcpu);
	return ret;
}

/**
 * vcpu_run() - KVM_RUN.
 * @arg: must be 0
 *
 * Return: 0 with an exit reason for the VMM, or -EINTR, -ENOEXEC, -EINVAL, -ENOSYS (an access
 * outside memory that has no syndrome, and KVM_CAP_ARM_NISV_TO_USER is not enabled), -EFAULT (a
 * memslot's memory is not there, or not writable, in the VMM's address space; PC is at the
 * instruction), -ENOMEM. Source: api.rst 4.10, 8.5.
 */
long vcpu_run(struct vcpu *vcpu, unsigned long arg)
{
	int ret;

	if (arg)
		ret = -EINVAL;
	else
		ret = check_first_run(vcpu);
	if (!ret)
		ret = run_checked(vcpu);
	device_lines_update_run(vcpu);
	vcpu_stats_update(vcpu);
	return ret;
}
