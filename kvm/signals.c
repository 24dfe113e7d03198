/* SPDX-License-Identifier: MIT */
/*
 * Signals and sleep.
 *
 * To the VMM a signal interrupts KVM_RUN as it interrupts ioctl(2) on Linux: -EINTR, with the
 * handler run on the way out, whatever the handler does and however it was installed. There are two
 * ways to that.
 *
 * A process that tells of its handlers (handlers.c) has them put off by themselves: the one that
 * comes says so, and ends a sleep, which is on a futex. No system call is made but to sleep.
 *
 * Of any other process nothing is known, so the thread blocks every asynchronous signal during
 * KVM_RUN, and looks for pending ones instead:
 *
 *  - at entry, when KVM_SET_SIGNAL_MASK lets through what the thread blocks;
 *  - asleep in WFI, by a signalfd in the same ppoll() as the event that ends the sleep: exact;
 *  - in the guest, when the clock thread asks for it, every CLOCK_SIGNAL_PERIOD_NS.
 *
 * That is also the way when KVM_SET_SIGNAL_MASK lets through other signals than the thread does,
 * for these interrupt without being delivered.
 *
 * A signal that came just before it was blocked is found like one in the guest. What stays
 * unblocked are the synchronous ones (SIGSEGV and SIGBUS are how memory that is gone shows,
 * cpu/host_fault.c; a fault in the library must show as a crash) and the two that glibc needs. A
 * blocked signal becomes pending even when it is ignored; those are thrown away when seen, as the
 * kernel would have done.
 */
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cpu/host_fault.h"
#include "kvm/kvm.h"

#define IGNORED_BY_DEFAULT (SIGBIT(SIGCHLD) | SIGBIT(SIGCONT) | SIGBIT(SIGURG) | SIGBIT(SIGWINCH))

/* Of a process that tells nothing: block signals, and let faults in guest memory come. */
static void begin_untold(void)
{
	calls_block();
	if (calls.mask & HOST_FAULTS)
		calls_prepare();
	host_fault_arm();
}

void signals_begin(bool run)
{
	calls_begin();
	if (!handlers_told()) {
		if (run)
			begin_untold();
	} else {
		if (!calls.prepared)
			calls_prepare();
		if (calls.nr_late)
			calls_forget_late();
	}
}

void signals_end(void)
{
	calls_end();
}

void signals_enter(struct vcpu *vcpu)
{
	bool masked = !handlers_told() || vcpu->has_sigmask;

	if (masked != atomic_load_explicit(&vcpu->masked, memory_order_relaxed))
		atomic_store(&vcpu->masked, masked);
	if (!masked) {
		calls.running = vcpu;
		atomic_signal_fence(memory_order_seq_cst);
		if (calls.put_off)
			atomic_fetch_or(&vcpu->requests, VCPU_REQ_SIGNAL);
		return;
	}
	calls_block();
	vcpu->interrupting = ~(vcpu->has_sigmask ? vcpu->sigmask : calls.mask) & ~KEPT_SIGNALS;
	if (vcpu->has_sigmask)
		atomic_fetch_or(&vcpu->requests, VCPU_REQ_SIGNAL);
}

void signals_leave(struct vcpu *vcpu)
{
	calls.running = NULL;
}

static bool is_ignored(int sig)
{
	struct sigaction sa;

	if (sigaction(sig, NULL, &sa))
		return false;
	return sa.sa_handler == SIG_IGN ||
	       (sa.sa_handler == SIG_DFL && (SIGBIT(sig) & IGNORED_BY_DEFAULT));
}

static void throw_away(int sig)
{
	static const struct timespec at_once;
	uint64_t set = SIGBIT(sig);

	syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, SIGSET_SIZE);
}

bool signals_pending(struct vcpu *vcpu)
{
	uint64_t set = 0;
	int sig;

	if (!atomic_load_explicit(&vcpu->masked, memory_order_relaxed))
		return calls.put_off;
	if (syscall(SYS_rt_sigpending, &set, SIGSET_SIZE))
		return false;
	for (set &= vcpu->interrupting; set; set &= set - 1) {
		sig = __builtin_ctzll(set) + 1;
		if (!is_ignored(sig))
			return true;
		throw_away(sig);
	}
	return false;
}

/* Let the signalfd show what interrupts now. */
static void watch_signals(struct vcpu *vcpu)
{
	if (vcpu->watched == vcpu->interrupting)
		return;
	if (syscall(SYS_signalfd4, vcpu->signalfd, &vcpu->interrupting, SIGSET_SIZE, 0) >= 0)
		vcpu->watched = vcpu->interrupting;
}

void signals_lie_down(struct vcpu *vcpu)
{
	atomic_store(&vcpu->sleeping, atomic_load(&vcpu->masked) ? SLEEP_POLL : SLEEP_FUTEX);
}

/* Of a vCPU whose signals are blocked. */
static void sleep_masked(struct vcpu *vcpu, uint64_t deadline)
{
	struct pollfd p[] = {{vcpu->eventfd, POLLIN, 0}, {vcpu->signalfd, POLLIN, 0}};
	uint64_t now = clock_now(), left = deadline > now ? deadline - now : 0, count;
	struct timespec ts = {(time_t)(left / NSEC), (long)(left % NSEC)};

	watch_signals(vcpu);
	if (ppoll(p, ARRAY_SIZE(p), deadline == NEVER ? NULL : &ts, NULL) <= 0)
		return;
	if (p[0].revents && read(vcpu->eventfd, &count, sizeof(count)) < 0)
		return;
	if (p[1].revents)
		atomic_fetch_or(&vcpu->requests, VCPU_REQ_SIGNAL);
}

void signals_sleep(struct vcpu *vcpu, uint64_t deadline)
{
	if (atomic_load(&vcpu->masked))
		sleep_masked(vcpu, deadline);
	else
		futex_wait_until(&vcpu->sleeping, SLEEP_FUTEX, deadline);
}
