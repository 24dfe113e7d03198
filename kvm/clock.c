/* SPDX-License-Identifier: MIT */
/*
 * The clock thread of a VM: what happens while a vCPU is inside the guest and does not look itself.
 *
 *  - A deadline: the level of a timer or of the PMU changes. The vCPU is asked to leave and look.
 *  - A signal to the vCPU's thread that is blocked there and that nobody else can see: the vCPU is
 *    asked to look for one, when it has been in the same KVM_RUN for a whole period.
 *
 * A vCPU that sleeps keeps its own time; when none has run for two periods the thread sleeps
 * without end. Publishing costs a vCPU a store and a load: it wakes the thread only if the thread's
 * own time (armed) is later than what the vCPU needs. The thread sets armed to NEVER before it
 * looks at the vCPUs, so that whoever comes meanwhile wakes it; all these, and in_guest, are
 * sequentially consistent, and so need no fence between them.
 */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kvm/kvm.h"

#define SLICE_NS 100000u /* the least that Linux takes */

struct clock_state {
	struct vm *vm;
	uint64_t next_look; /* for signals */
	uint32_t runs[KVM_MAX_VCPUS];
	unsigned int idle; /* periods without a vCPU that ran */
};

uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

void futex_wait_until(_Atomic uint32_t *word, uint32_t value, uint64_t when)
{
	struct timespec ts = {(time_t)(when / NSEC), (long)(when % NSEC)};

	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, when == NEVER ? NULL : &ts, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void clock_poke(struct clock *c)
{
	atomic_fetch_add(&c->seq, 1);
	futex_wake(&c->seq);
}

void clock_watch(struct vcpu *vcpu)
{
	struct clock *c = &vcpu->vm->clock;
	uint64_t armed = atomic_load(&c->armed);

	if (atomic_load(&vcpu->deadline) < armed || (armed == NEVER && atomic_load(&vcpu->masked)))
		clock_poke(c);
}

/* Kick @vcpu if its deadline has come; when to look at it next. */
static uint64_t look_at_deadline(struct vcpu *vcpu, uint64_t now)
{
	uint64_t deadline = atomic_load(&vcpu->deadline);

	if (deadline > now)
		return deadline;
	/* Once: the vCPU makes itself a new one before it enters again. */
	if (atomic_compare_exchange_strong(&vcpu->deadline, &deadline, NEVER))
		cpu_request(vcpu->cpu, CPU_REQ_EXIT);
	return NEVER;
}

/* At the end of a period: who is in the same KVM_RUN as at its beginning looks for signals. */
static void look_for_signals(struct clock_state *s, uint64_t now)
{
	unsigned int i, n = s->vm->nr_vcpus;
	bool ran = false;

	for (i = 0; i < n; i++) {
		struct vcpu *vcpu = s->vm->vcpus[i];
		uint32_t runs = atomic_load(&vcpu->runs);

		if (!atomic_load(&vcpu->masked))
			continue;
		ran |= runs != s->runs[i] || atomic_load(&vcpu->in_guest);
		if (runs == s->runs[i] && atomic_load(&vcpu->in_guest)) {
			atomic_fetch_or(&vcpu->requests, VCPU_REQ_SIGNAL);
			cpu_request(vcpu->cpu, CPU_REQ_EXIT);
		}
		s->runs[i] = runs;
	}
	s->idle = ran ? 0 : s->idle + 1;
	s->next_look = now + CLOCK_SIGNAL_PERIOD_NS;
}

/* One look at everything; when to look next. */
static uint64_t look(struct clock_state *s)
{
	unsigned int i, n = s->vm->nr_vcpus;
	uint64_t now = clock_now(), next = NEVER, deadline;

	for (i = 0; i < n; i++) {
		struct vcpu *vcpu = s->vm->vcpus[i];

		if (!atomic_load(&vcpu->in_guest))
			continue;
		deadline = look_at_deadline(vcpu, now);
		if (deadline < next)
			next = deadline;
		if (atomic_load(&vcpu->masked))
			s->idle = 0;
	}
	if (now >= s->next_look)
		look_for_signals(s, now);
	if (s->idle < 2 && s->next_look < next)
		next = s->next_look;
	return next;
}

/* What sched_getattr(2) and sched_setattr(2) take, as far as version 0 of it goes. */
struct sched_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/*
 * The thread runs for microseconds, but at its time: a short slice lets it preempt, when it wakes,
 * threads that compute, as those of vCPUs do (Linux 6.12; what is older takes no notice). Nothing
 * depends on it.
 */
void thread_be_prompt(void)
{
	struct sched_attributes a = {.size = sizeof(a)};

	prctl(PR_SET_TIMERSLACK, 1);
	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) || a.policy != SCHED_OTHER)
		return;
	a.runtime = SLICE_NS;
	syscall(SYS_sched_setattr, 0, &a, 0);
}

static void *clock_thread(void *arg)
{
	struct clock_state s = {.vm = arg};
	struct clock *c = &s.vm->clock;
	uint32_t seq;
	uint64_t next;

	thread_be_prompt();
	prctl(PR_SET_NAME, "armature-clock");
	while (!atomic_load(&c->stop)) {
		seq = atomic_load(&c->seq);
		atomic_store(&c->armed, NEVER);
		next = look(&s);
		atomic_store(&c->armed, next);
		futex_wait_until(&c->seq, seq, next);
	}
	return NULL;
}

int thread_start(pthread_t *thread, void *(*body)(void *arg), void *arg)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(thread, NULL, body, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

/** clock_start() - Start the thread of @vm unless it runs. Return: 0 or -errno. */
int clock_start(struct vm *vm)
{
	int ret = 0;

	if (atomic_load_explicit(&vm->clock.running, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&vm->lock);
	if (!vm->clock.running) {
		atomic_store(&vm->clock.armed, NEVER);
		ret = thread_start(&vm->clock.thread, clock_thread, vm);
		vm->clock.running = !ret;
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

void clock_stop(struct vm *vm)
{
	if (!vm->clock.running)
		return;
	atomic_store(&vm->clock.stop, true);
	clock_poke(&vm->clock);
	pthread_join(vm->clock.thread, NULL);
	vm->clock.running = false;
}
