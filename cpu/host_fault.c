/* SPDX-License-Identifier: MIT */
/*
 * The handler of SIGSEGV and SIGBUS.
 *
 *   fault ── at an instruction that armature_faults lists? ── yes ─▶ go on at its second place
 *              │ no
 *              └─ in code that a back end made? ── yes ─▶ go on where it says (host_fault_ask())
 *                   │ no
 *                   └─▶ the handler that was there before, as if ours were not
 *
 * Signal dispositions belong to the process, so this file has what the libraries have almost
 * nowhere else: global state. Nothing of it is about a VM.
 *
 * A caller can install a handler over ours at any time, put ours back later (it was the "old" one
 * for it), or call ours from its own. So each handler that we displace gets an instance of ours of
 * its own: a function that hands on to that one and to no other. Whoever reinstalls or calls an
 * instance means the handler that was behind it, and that is who gets the signal. A disposition
 * that was displaced before finds its instance again, so their number is that of the caller's
 * different dispositions. When there are no more instances, the caller's handler stays first: from
 * then on a fault in guest memory reaches ours only if it is handed on.
 *
 * What must hold: what an instance hands on to is set before it is installed, and changes only from
 * a handler with SA_RESETHAND to SIG_DFL.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "cpu/host_fault.h"
#include "cpu/host_mem.h"

#ifdef HOST_UNGUARDED

void host_fault_arm(void)
{
}

void host_fault_ask(host_fault_fix *fix)
{
}

int host_fault_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return sigaction(sig, act, old);
}

#else

struct row {
	int32_t from, to; /* each relative to its own place */
};

/* The linker makes these; each program or shared library that has armature in it has its own. */
extern const struct row __start_armature_faults[] __attribute__((visibility("hidden")));
extern const struct row __stop_armature_faults[] __attribute__((visibility("hidden")));

#if defined(__x86_64__)
#define UC_PC(uc) (*(uintptr_t *)&(uc)->uc_mcontext.gregs[REG_RIP])
#else
#define UC_PC(uc) (*(uintptr_t *)&(uc)->uc_mcontext.pc)
#endif

static _Atomic(host_fault_fix *) generated; /* NULL: there is no code but the program's */

void host_fault_ask(host_fault_fix *fix)
{
	atomic_store(&generated, fix);
}

/* Send a thread that faulted at one of our accesses to where that goes on. */
static bool fix_up(ucontext_t *uc)
{
	host_fault_fix *fix = atomic_load(&generated);
	uintptr_t pc = UC_PC(uc);

	for (const struct row *r = __start_armature_faults; r < __stop_armature_faults; r++) {
		if ((uintptr_t)&r->from + (uintptr_t)(intptr_t)r->from != pc)
			continue;
		UC_PC(uc) = (uintptr_t)&r->to + (uintptr_t)(intptr_t)r->to;
		return true;
	}
	return fix && fix(uc);
}

#define INSTANCES 16

enum which { SEGV, BUS, NR_SIGNALS };

static const int numbers[NR_SIGNALS] = {SIGSEGV, SIGBUS};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of changes; handlers take none */
static unsigned int nr_instances[NR_SIGNALS];
static struct sigaction displaced[NR_SIGNALS][INSTANCES];
static _Atomic bool spent[NR_SIGNALS][INSTANCES]; /* it had SA_RESETHAND, and has run */

/* A signal that was sent, not raised by an instruction: nothing repeats it. */
static bool was_sent(const siginfo_t *info)
{
	return info->si_code <= 0;
}

/* What the kernel does with the default disposition: end the process, with a core if it may. */
static void die(int sig, const siginfo_t *info)
{
	static const struct sigaction dfl = {.sa_handler = SIG_DFL};

	sigaction(sig, &dfl, NULL);
	if (was_sent(info))
		syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), sig);
	/* A fault happens again as soon as we return, at its own instruction. */
}

static void call_theirs(const struct sigaction *sa, int sig, siginfo_t *info, ucontext_t *uc)
{
	sigset_t mask = sa->sa_mask, old;

	if (!(sa->sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	if (sa->sa_flags & SA_SIGINFO)
		sa->sa_sigaction(sig, info, uc);
	else
		sa->sa_handler(sig);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void hand_on(enum which w, unsigned int n, int sig, siginfo_t *info, ucontext_t *uc)
{
	const struct sigaction *sa = &displaced[w][n];

	if (sa->sa_handler == SIG_IGN) {
		/* The kernel ignores no fault. */
		if (!was_sent(info))
			die(sig, info);
		return;
	}
	if (sa->sa_handler == SIG_DFL ||
	    ((sa->sa_flags & SA_RESETHAND) && atomic_exchange(&spent[w][n], true)))
		die(sig, info);
	else
		call_theirs(sa, sig, info, uc);
}

static void on_signal(unsigned int n, int sig, siginfo_t *info, void *uc)
{
	/* A failing memory that nobody accesses is news for the process, wherever a thread is. */
	bool elsewhere = sig == SIGBUS && info->si_code == BUS_MCEERR_AO;

	if (was_sent(info) || elsewhere || !fix_up(uc))
		hand_on(sig == SIGBUS ? BUS : SEGV, n, sig, info, uc);
}

/* The instances. */
#define FOR_EACH_INSTANCE(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define INSTANCE(n)                                                  \
	static void instance_##n(int sig, siginfo_t *info, void *uc) \
	{                                                            \
		on_signal(n, sig, info, uc);                         \
	}
FOR_EACH_INSTANCE(INSTANCE)

static void (*const instances[INSTANCES])(int, siginfo_t *, void *) = {
#define ADDRESS(n) instance_##n,
	FOR_EACH_INSTANCE(ADDRESS)
#undef ADDRESS
};

/* The instance that @sa is, or INSTANCES. */
static unsigned int instance_of(const struct sigaction *sa)
{
	unsigned int n = 0;

	while (n < INSTANCES && !((sa->sa_flags & SA_SIGINFO) && sa->sa_sigaction == instances[n]))
		n++;
	return n;
}

static bool is_ours(const struct sigaction *sa)
{
	return instance_of(sa) < INSTANCES;
}

/* The kernel has 64 signals: what glibc's larger set has behind them is what was on the stack. */
#define MASK_BYTES 8

static bool same(const struct sigaction *a, const struct sigaction *b)
{
	return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags &&
	       !memcmp(&a->sa_mask, &b->sa_mask, MASK_BYTES);
}

/* The instance for what is installed now, or INSTANCES. Under the lock. */
static unsigned int instance_for(enum which w, const struct sigaction *theirs)
{
	unsigned int n = 0;

	while (n < nr_instances[w] && !same(&displaced[w][n], theirs))
		n++;
	if (n < nr_instances[w]) {
		/* It was installed anew. */
		atomic_store(&spent[w][n], false);
	} else if (n < INSTANCES) {
		displaced[w][n] = *theirs;
		nr_instances[w]++;
	}
	return n;
}

/* Install instance @n, before @theirs; *was: what the kernel had until then. */
static void put_instance(enum which w, unsigned int n, const struct sigaction *theirs,
			 struct sigaction *was)
{
	/*
	 * Their mask and SA_NODEFER take effect when they are called. On the thread's alternate
	 * stack if it has one, for it may have no other left.
	 */
	struct sigaction ours = {
		.sa_sigaction = instances[n],
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | (theirs->sa_flags & SA_RESTART),
	};

	sigaction(numbers[w], &ours, was);
}

/*
 * Get before @theirs, which was installed a moment ago. Another thread of the caller's may have
 * installed something else since: then that is what was displaced, and what is to be behind ours.
 */
static void displace(enum which w, struct sigaction theirs)
{
	unsigned int n, last = INSTANCES;
	struct sigaction was;

	for (;; theirs = was, last = n) {
		n = instance_for(w, &theirs);
		if (n == INSTANCES)
			break;
		put_instance(w, n, &theirs, &was);
		if (last == INSTANCES ? same(&was, &theirs) : was.sa_sigaction == instances[last])
			return;
		/* One of ours that the caller has put back is what it means. */
		if (is_ours(&was)) {
			theirs = was;
			last = n;
			break;
		}
	}
	if (last != INSTANCES)
		sigaction(numbers[w], &theirs, NULL);
}

static void install(enum which w)
{
	struct sigaction now;

	pthread_mutex_lock(&lock);
	if (!sigaction(numbers[w], NULL, &now) && !is_ours(&now))
		displace(w, now);
	pthread_mutex_unlock(&lock);
}

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
	pthread_mutex_lock(&lock);
}

static void fork_done(void)
{
	pthread_mutex_unlock(&lock);
}

/* A child must not find the lock held by a thread that it does not have. */
static void watch_forks(void)
{
	pthread_atfork(fork_prepare, fork_done, fork_done);
}

void host_fault_arm(void)
{
	struct sigaction now;

	for (unsigned int w = 0; w < NR_SIGNALS; w++) {
		if (sigaction(numbers[w], NULL, &now) || is_ours(&now))
			continue;
		pthread_once(&fork_once, watch_forks);
		install((enum which)w);
	}
}

/* What the caller means by @was, which the kernel had. */
static struct sigaction as_told(enum which w, struct sigaction was)
{
	unsigned int n = instance_of(&was);
	struct sigaction told = n < INSTANCES ? displaced[w][n] : was;

	if (n < INSTANCES && (told.sa_flags & (int)SA_RESETHAND) && atomic_load(&spent[w][n]))
		told.sa_handler = SIG_DFL;
	return told;
}

int host_fault_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	enum which w = sig == SIGBUS ? BUS : SEGV;
	unsigned int n = INSTANCES;
	struct sigaction was;
	int ret = 0;

	pthread_mutex_lock(&lock);
	/* One of ours can be known to a caller that had called sigaction(2) before. */
	if (act && !is_ours(act))
		n = instance_for(w, act);
	if (n < INSTANCES)
		put_instance(w, n, act, &was);
	else
		ret = sigaction(sig, act, &was);
	if (!ret && old)
		*old = as_told(w, was);
	pthread_mutex_unlock(&lock);
	return ret;
}

#endif
