/* SPDX-License-Identifier: MIT */
/*
 * Signals and sleep.
 *
 * To the VMM a signal interrupts KVM_RUN as it interrupts ioctl(2) on Linux: -EINTR, with the
 * handler run on the way out, whatever the handler does and however it was installed. So during
 * KVM_RUN the thread blocks every asynchronous signal and looks for pending ones instead:
 *
 *  - at entry, when KVM_SET_SIGNAL_MASK lets through what the thread blocks;
 *  - asleep in WFI, by a signalfd in the same ppoll() as the event that ends the sleep: exact;
 *  - in the guest, when the clock thread asks for it, every CLOCK_SIGNAL_PERIOD_NS.
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

#define SIGBIT(n) (1ull << ((n)-1))

#define HOST_FAULTS (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS))
/* Synchronous; and glibc's own (cancellation, setuid in all threads). */
#define KEPT_SIGNALS                                                                        \
	(HOST_FAULTS | SIGBIT(SIGFPE) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGSYS) | \
	 SIGBIT(SIGABRT) | SIGBIT(32) | SIGBIT(33))
#define IGNORED_BY_DEFAULT (SIGBIT(SIGCHLD) | SIGBIT(SIGCONT) | SIGBIT(SIGURG) | SIGBIT(SIGWINCH))

uint64_t signals_block(void)
{
	uint64_t set = ~KEPT_SIGNALS, old = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, SIGSET_SIZE);
	/* A fault in guest memory that met a blocked signal would end the process. */
	set = HOST_FAULTS;
	if (old & set)
		syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, SIGSET_SIZE);
	host_fault_arm();
	return old;
}

void signals_restore(uint64_t mask)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, SIGSET_SIZE);
}

void signals_enter(struct vcpu *vcpu, uint64_t mask)
{
	vcpu->interrupting = ~(vcpu->has_sigmask ? vcpu->sigmask : mask) & ~KEPT_SIGNALS;
	if (vcpu->has_sigmask)
		atomic_fetch_or(&vcpu->requests, VCPU_REQ_SIGNAL);
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

void signals_sleep(struct vcpu *vcpu, uint64_t deadline)
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
