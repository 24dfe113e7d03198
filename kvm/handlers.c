/* SPDX-License-Identifier: MIT */
/*
 * Handlers of a process that tells of them (ARMATURE_TELLS_SIGNALS): they run when no call into the
 * library is under way on their thread, and no system call is made for that.
 *
 * The kernel calls handle() for every asynchronous signal that the caller has a handler for. It
 * looks whether it has interrupted a call into the library:
 *
 *     no ──▶ call the caller's handler
 *     yes ─▶ send the signal again, to this thread, and go back with all signals blocked, as they
 *            stay until the call is over; then the mask is as it was, and the kernel delivers the
 *            signal anew, with its own idea of stack, mask and siginfo. A KVM_RUN that is under way
 *            is made to return.
 *
 * A signal so put off is pending meanwhile, as one is that is blocked: a standard signal that comes
 * once more is the same one; real-time signals stay in order, see struct late.
 *
 * What the caller has installed is what the kernel says, but for the handler itself and two flags,
 * which are in meanings[]. The table belongs to the process. In a child of vfork(), whose memory
 * is its parent's, it is left alone.
 *
 * What must hold:
 *  - A thread's struct calls is touched by that thread alone, and by handlers on it.
 *  - From when calls.put_off is set until calls_end() takes it back, the thread's signals are
 *    blocked; calls.mask is what they were before.
 *  - lock is held with all signals blocked.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "cpu/host_fault.h"
#include "kvm/kvm.h"

#define NSIG_KERNEL  64
#define FIRST_QUEUED 32 /* signals from here on are queued */
#define MAX_LATE     32 /* of a thread; of more the order is lost, but no signal */

/* A meaning: the caller's handler, and in the bits above all addresses its flags. */
#define HANDLER_MASK ((1ull << 56) - 1)
#define SIGINFO      (1ull << 56) /* SA_SIGINFO */
#define RESETHAND    (1ull << 57) /* SA_RESETHAND */
#define SPENT        (1ull << 58) /* … and it has run */

__thread struct calls calls __attribute__((tls_model("initial-exec")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t meanings[NSIG_KERNEL + 1];
static _Atomic bool told;
static pthread_key_t key; /* a thread's struct late */
static pid_t process;     /* that the table is of */
static uint64_t fork_mask;

bool handlers_told(void)
{
	return atomic_load_explicit(&told, memory_order_acquire);
}

static uint64_t block(uint64_t set)
{
	uint64_t old = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, SIGSET_SIZE);
	return old;
}

static void set_mask(uint64_t mask)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, SIGSET_SIZE);
}

static uint64_t lock_table(void)
{
	uint64_t mask = block(UINT64_MAX);

	pthread_mutex_lock(&lock);
	return mask;
}

static void unlock_table(uint64_t mask)
{
	pthread_mutex_unlock(&lock);
	set_mask(mask);
}

/* ---- Delivery ---- */

/*
 * Again to this thread. What another thread of this process has sent by tgkill(2) can be sent so
 * again, which sandboxes allow more often.
 */
static void send_again(int sig, siginfo_t *info)
{
	pid_t pid = getpid(), tid = (pid_t)syscall(SYS_gettid);

	if ((info->si_code == SI_TKILL && info->si_pid == pid) ||
	    syscall(SYS_rt_tgsigqueueinfo, pid, tid, sig, info))
		syscall(SYS_tgkill, pid, tid, sig);
}

/*
 * A real-time signal that was taken from the head of the kernel's queue cannot be put back there:
 * send_again() puts it behind those of its number that wait. So whatever comes out of the queue
 * takes the place of the one before it, and the place of the last is that of the one that was sent
 * again:
 *
 *     queue    1 2 3        1 comes, inside the library, and is sent again
 *              2 3 1'       due: 1, again: 1
 *              3 1'         2 comes, and the handler is told of 1; due: 2
 *              1'           3 comes, and the handler is told of 2; due: 3
 *                           1' comes, and the handler is told of 3; nothing is due
 *
 * Of each number there are as many in due as in again. Two that say the same are the same.
 */
struct late {
	siginfo_t due[MAX_LATE], again[MAX_LATE];
};

/* The first of @sig that says what @info does (NULL: whatever it says), or nr_late. */
static unsigned int find(const struct calls *t, const siginfo_t *list, int sig,
			 const siginfo_t *info)
{
	unsigned int i = 0;

	while (i < t->nr_late &&
	       (list[i].si_signo != sig || (info && memcmp(&list[i], info, sizeof(*info)))))
		i++;
	return i;
}

static void drop(siginfo_t *list, unsigned int nr, unsigned int i)
{
	memmove(&list[i], &list[i + 1], (nr - i - 1) * sizeof(*list));
}

/* @info has come out of the queue and goes back to its end. */
static void goes_back(struct calls *t, int sig, const siginfo_t *info)
{
	struct late *l = t->late;

	if (sig < FIRST_QUEUED || !l || t->nr_late == MAX_LATE ||
	    find(t, l->again, sig, info) < t->nr_late)
		return;
	l->due[t->nr_late] = *info;
	l->again[t->nr_late] = *info;
	t->nr_late++;
}

/* What the handler of @sig is to be told; @info has come out of the queue, and may change. */
static void in_order(struct calls *t, int sig, siginfo_t *info)
{
	struct late *l = t->late;
	unsigned int nr = t->nr_late, first = find(t, l->due, sig, NULL);
	unsigned int again = find(t, l->again, sig, info);
	siginfo_t due;

	if (first == nr)
		return;
	due = l->due[first];
	drop(l->due, nr, first);
	l->due[nr - 1] = *info;
	if (again < nr) {
		drop(l->again, nr, again);
		t->nr_late = nr - 1;
	}
	*info = due;
}

static unsigned int keep(siginfo_t *list, unsigned int nr, uint64_t signals)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < nr; i++)
		if (signals & SIGBIT(list[i].si_signo))
			list[kept++] = list[i];
	return kept;
}

/*
 * What is not blocked is not in the queue any more: a handler has jumped over the one that would
 * have been told.
 */
void calls_forget_late(void)
{
	struct calls *t = &calls;
	uint64_t mask = block(UINT64_MAX);

	keep(t->late->due, t->nr_late, mask);
	t->nr_late = keep(t->late->again, t->nr_late, mask);
	set_mask(mask);
}

/* The thread is inside the library. */
static void put_off(struct calls *t, int sig, siginfo_t *info, ucontext_t *uc)
{
	uint64_t mask, blocked;
	struct vcpu *vcpu;

	/* Before anything is noted: a handler that comes first notes less, and is done. */
	block(ASYNCHRONOUS);
	goes_back(t, sig, info);
	send_again(sig, info);
	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	blocked = mask | ASYNCHRONOUS;
	memcpy(&uc->uc_sigmask, &blocked, sizeof(blocked));
	t->mask = mask;
	t->put_off = 1;
	vcpu = t->running;
	if (vcpu)
		vcpu_interrupt(vcpu);
}

static void call(uint64_t meaning, int sig, siginfo_t *info, void *uc)
{
	uintptr_t handler = meaning & HANDLER_MASK;

	if (meaning & SIGINFO)
		((void (*)(int, siginfo_t *, void *))handler)(sig, info, uc);
	else
		((void (*)(int))handler)(sig);
}

/*
 * SA_RESETHAND: the first to come has the handler. A child of vfork(), which has one thread, spends
 * its own disposition, and leaves its parent's.
 */
static bool spend(int sig, uint64_t meaning)
{
	static const struct sigaction dfl = {.sa_handler = SIG_DFL};
	uint64_t mask;
	bool first;

	if (getpid() != process)
		return !sigaction(sig, &dfl, NULL);
	mask = lock_table();
	first = atomic_load(&meanings[sig]) == meaning && !(meaning & SPENT);
	if (first) {
		atomic_store(&meanings[sig], meaning | SPENT);
		sigaction(sig, &dfl, NULL);
	}
	unlock_table(mask);
	return first;
}

static void handle(int sig, siginfo_t *info, void *uc)
{
	uint64_t meaning = atomic_load(&meanings[sig]);
	struct calls *t = &calls;
	int saved = errno;

	if (t->inside) {
		put_off(t, sig, info, uc);
		errno = saved;
		return;
	}
	if ((meaning & RESETHAND) && !spend(sig, meaning)) {
		send_again(sig, info); /* to whatever is installed now */
		errno = saved;
		return;
	}
	if (sig >= FIRST_QUEUED && t->nr_late) {
		uint64_t mask = block(UINT64_MAX);

		in_order(t, sig, info);
		set_mask(mask);
	}
	errno = saved;
	call(meaning, sig, info, uc);
}

/* ---- Calls ---- */

void calls_block(void)
{
	struct calls *t = &calls;
	uint64_t mask = block(ASYNCHRONOUS);

	if (t->put_off)
		return;
	t->mask = mask;
	t->put_off = 1;
}

void calls_deliver(void)
{
	struct calls *t = &calls;
	uint64_t mask = t->mask;

	t->put_off = 0;
	set_mask(mask);
}

static void thread_ends(void *late)
{
	calls.nr_late = 0;
	calls.late = NULL;
	calls.prepared = false;
	free(late);
}

void calls_prepare(void)
{
	uint64_t set = HOST_FAULTS;
	struct late *late;

	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, NULL, SIGSET_SIZE);
	if (handlers_told() && !calls.late) {
		late = calloc(1, sizeof(*late));
		if (late && pthread_setspecific(key, late)) {
			free(late);
			late = NULL;
		}
		calls.late = late;
	}
	calls.prepared = handlers_told();
}

/* ---- Dispositions ---- */

static bool is_handler(const struct sigaction *sa)
{
	return sa->sa_handler != SIG_DFL && sa->sa_handler != SIG_IGN;
}

/* As the caller knows it: @sa is what the kernel has. */
static void as_told(int sig, uint64_t meaning, struct sigaction *sa)
{
	if (!(sa->sa_flags & SA_SIGINFO) || sa->sa_sigaction != handle)
		return;
	sa->sa_sigaction = (void (*)(int, siginfo_t *, void *))(uintptr_t)(meaning & HANDLER_MASK);
	if (!(meaning & SIGINFO))
		sa->sa_flags &= ~SA_SIGINFO;
	if (meaning & RESETHAND)
		sa->sa_flags |= (int)SA_RESETHAND;
}

static uint64_t meaning_of(const struct sigaction *sa)
{
	return (uintptr_t)sa->sa_sigaction | (sa->sa_flags & SA_SIGINFO ? SIGINFO : 0) |
	       ((unsigned int)sa->sa_flags & SA_RESETHAND ? RESETHAND : 0);
}

/* Under the lock. The meaning is there before the kernel calls handle() for it, and stays. */
static int change(int sig, const struct sigaction *act, struct sigaction *old)
{
	uint64_t before = atomic_load(&meanings[sig]);
	struct sigaction ours, was;

	if (act && is_handler(act)) {
		ours = *act;
		ours.sa_sigaction = handle;
		ours.sa_flags = (act->sa_flags | SA_SIGINFO) & ~(int)SA_RESETHAND;
		atomic_store(&meanings[sig], meaning_of(act));
		act = &ours;
	}
	if (sigaction(sig, act, &was)) {
		atomic_store(&meanings[sig], before);
		return -1;
	}
	as_told(sig, before, &was);
	if (old)
		*old = was;
	return 0;
}

/* In a child that shares the table with its parent: the kernel's disposition alone. */
static int change_own(int sig, const struct sigaction *act, struct sigaction *old)
{
	int ret = sigaction(sig, act, old);

	if (!ret && old)
		as_told(sig, atomic_load(&meanings[sig]), old);
	return ret;
}

int handlers_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	bool fault = sig == SIGSEGV || sig == SIGBUS;
	uint64_t mask;
	int ret;

	if (sig < 1 || sig > NSIG_KERNEL || !handlers_told() ||
	    (!fault && !(SIGBIT(sig) & ASYNCHRONOUS)))
		return sigaction(sig, act, old);
	if (getpid() != process)
		return fault ? sigaction(sig, act, old) : change_own(sig, act, old);
	mask = lock_table();
	ret = fault ? host_fault_sigaction(sig, act, old) : change(sig, act, old);
	unlock_table(mask);
	return ret;
}

static void fork_prepare(void)
{
	fork_mask = lock_table();
}

static void fork_parent(void)
{
	unlock_table(fork_mask);
}

static void fork_child(void)
{
	process = getpid();
	unlock_table(fork_mask);
}

static void begin(void)
{
	struct sigaction sa;

	if (pthread_key_create(&key, thread_ends))
		return;
	/* Its lock is taken inside ours: so it asks for fork() first, and is locked last. */
	host_fault_arm();
	pthread_atfork(fork_prepare, fork_parent, fork_child);
	process = getpid();
	atomic_store(&told, true);
	for (int sig = 1; sig <= NSIG_KERNEL; sig++)
		if ((SIGBIT(sig) & ASYNCHRONOUS) && !sigaction(sig, NULL, &sa) && is_handler(&sa))
			handlers_sigaction(sig, &sa, NULL);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LATE_HANDLERS
#endif
#elif defined(__SANITIZE_THREAD__)
#define LATE_HANDLERS
#endif

void handlers_promise(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	/*
	 * The runtime of ThreadSanitizer keeps a handler waiting until the thread's next call that
	 * may block: a guest that computes makes none, so its thread's signals are masked as ever.
	 */
#ifndef LATE_HANDLERS
	pthread_once(&once, begin);
#else
	(void)once;
	(void)begin;
#endif
}
