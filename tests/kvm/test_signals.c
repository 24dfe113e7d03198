/* SPDX-License-Identifier: MIT */
/*
 * Signals of a process that tells of its handlers: none is lost, real-time ones stay in order, a
 * handler runs as the kernel would have it run, and never inside a call into the library: each one
 * here asks its own vCPU for a register, which would wait for ever for the KVM_RUN under way.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LATE_HANDLERS
#endif
#elif defined(__SANITIZE_THREAD__)
#define LATE_HANDLERS
#endif

#define EACH        12500 /* signals of each kind that is real-time: 100,000 in all */
#define FEW         200   /* of those that come with the host's tick */
#define JUMP_EVERY  5     /* of the signals whose handler jumps */
#define IN_FLIGHT   16    /* of a kind; SA_NODEFER stacks them */
#define MARK        0x5150
#define DOING       0x8000 /* in RAM: enum doing */
#define STACK_BYTES (1 << 20)

static struct machine_under_test *m;
static pthread_t runner;
static char *stack; /* the runner's alternate one */
static sigjmp_buf back;
static int terminal; /* its other end: what is written there has been typed */

/* ---- What is sent ---- */

enum way { TO_THREAD, TO_PROCESS, BY_KILL, BY_TGKILL, BY_TIMER, BY_ITIMER, BY_TERMINAL };

/*
 * One row for each kind of signal. Real-time ones count, each of them. Standard ones are one while
 * they wait, so the next is sent when the one before has been handled, and they count, too: none
 * is lost, and none comes twice.
 */
static const struct kind {
	enum way way;
	int flags;
	bool jumps;
	int each;
	int sig;   /* 0: a real-time one of its own */
	int timer; /* of setitimer(2) */
} kinds[] = {
	{TO_THREAD, SA_SIGINFO, false, EACH},
	{TO_THREAD, SA_SIGINFO | SA_RESTART | SA_ONSTACK, false, EACH},
	{TO_THREAD, SA_SIGINFO, true, EACH},
	{TO_THREAD, SA_SIGINFO | SA_NODEFER, false, EACH},
	{TO_PROCESS, SA_SIGINFO | SA_RESTART, false, EACH},
	{BY_KILL, 0, false, EACH},
	{BY_TGKILL, SA_SIGINFO | SA_RESTART, true, EACH},
	{BY_TIMER, SA_SIGINFO | SA_ONSTACK, false, EACH},
	{BY_ITIMER, SA_RESTART, true, EACH / 4, SIGALRM, ITIMER_REAL},
	{BY_ITIMER, 0, false, FEW, SIGVTALRM, ITIMER_VIRTUAL},
	{BY_ITIMER, SA_SIGINFO | SA_RESTART, true, FEW, SIGPROF, ITIMER_PROF},
	{BY_TERMINAL, SA_RESTART, false, EACH / 4, SIGINT},
	{BY_TERMINAL, SA_SIGINFO, true, EACH / 4, SIGQUIT},
	{BY_KILL, SA_RESTART, true, EACH / 4, SIGUSR1},
};
#define KINDS COUNT(kinds)

static _Atomic int handled[KINDS], wrong_order[KINDS], wrong_stack, wrong_mask, wrong_value;

static int number(unsigned int kind)
{
	return kinds[kind].sig ? kinds[kind].sig : SIGRTMIN + 1 + (int)kind;
}

static unsigned int kind_of(int sig)
{
	unsigned int kind = 0;

	while (number(kind) != sig)
		kind++;
	return kind;
}

static bool on_stack(void)
{
	char here;

	return &here >= stack && &here < stack + STACK_BYTES;
}

static void look_around(unsigned int kind, const siginfo_t *info)
{
	int flags = kinds[kind].flags;
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	wrong_mask += sigismember(&mask, number(kind)) != !(flags & SA_NODEFER);
	wrong_mask += !sigismember(&mask, SIGUSR2); /* in sa_mask */
	wrong_stack += (flags & SA_ONSTACK) && !on_stack();
	if (kinds[kind].way <= TO_PROCESS && !(flags & SA_NODEFER))
		wrong_order[kind] += info->si_value.sival_int != handled[kind];
	wrong_value += get_u64(m->vcpu, X(20)) != MARK;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	unsigned int kind = kind_of(sig);
	int n;

	look_around(kind, kinds[kind].flags & SA_SIGINFO ? info : NULL);
	n = ++handled[kind];
	if (kinds[kind].way == BY_TIMER)
		handled[kind] += info->si_overrun;
	if (kinds[kind].jumps && n % JUMP_EVERY == 0)
		siglongjmp(back, 1);
}

static void send_value(unsigned int kind, int value)
{
	union sigval v = {.sival_int = value};

	/* The host lets so many wait, and no more. */
	while (kinds[kind].way == TO_PROCESS ? sigqueue(getpid(), number(kind), v)
					     : pthread_sigqueue(runner, number(kind), v))
		sched_yield();
}

/* At the process's terminal: it is the kernel that sends. */
static void type(int sig)
{
	assert_int_equal(write(terminal, sig == SIGINT ? "\3" : "\34", 1), 1);
}

static void send_one(unsigned int kind, int value)
{
	const struct itimerval soon = {.it_value = {.tv_usec = 20}};

	switch (kinds[kind].way) {
	case BY_KILL:
		kill(getpid(), number(kind));
		return;
	case BY_TGKILL:
		pthread_kill(runner, number(kind));
		return;
	case BY_ITIMER:
		setitimer((__itimer_which_t)kinds[kind].timer, &soon, NULL);
		return;
	case BY_TERMINAL:
		type(number(kind));
		return;
	default:
		send_value(kind, value);
	}
}

static void *send(void *arg)
{
	unsigned int kind = (unsigned int)(uintptr_t)arg;
	const int in_flight = kinds[kind].sig ? 0 : IN_FLIGHT;

	for (int i = 0; i < kinds[kind].each; i++) {
		/* Without a place in the queue kill(2) sends one that is not counted. */
		while (i - handled[kind] > in_flight)
			sched_yield();
		send_one(kind, i);
	}
	return NULL;
}

static timer_t start_timer(unsigned int kind)
{
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number(kind)};
	struct itimerspec it = {{0, 50000}, {0, 50000}};
	timer_t t;

	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
	timer_settime(t, 0, &it, NULL);
	return t;
}

static void install(void)
{
	for (unsigned int k = 0; k < KINDS; k++) {
		struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = kinds[k].flags}, now;

		/* A handler that jumps leaves no other behind that has not counted yet. */
		for (unsigned int other = 0; other < KINDS; other++)
			if (kinds[other].jumps)
				sigaddset(&sa.sa_mask, number(other));
		sigaddset(&sa.sa_mask, SIGUSR2);
		assert_int_equal(armature_sigaction(number(k), &sa, NULL), 0);
		assert_int_equal(armature_sigaction(number(k), NULL, &now), 0);
		assert_true(now.sa_sigaction == on_signal);
		assert_int_equal(now.sa_flags & ~0x04000000, kinds[k].flags); /* SA_RESTORER */
		assert_memory_equal(&now.sa_mask, &sa.sa_mask, 8);
	}
	stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = STACK_BYTES}, NULL), 0);
}

enum doing { STORES, SLEEPS, COMPUTES, DOINGS };

/* The guest stores to MMIO, sleeps, or goes round, as the word at X22 says. */
static void load_guest(void)
{
	enum { STORE, SLEEP = 2, LOOP };
	struct prog p = {0};

	a_str(&p, 3, 9, 10);
	a_b(&p, LOOP);
	a_wfi(&p);
	a_ldr(&p, 2, 21, 22);
	a_cbz(&p, 21, STORE);
	a_subi(&p, 21, 21, 1);
	a_cbz(&p, 21, SLEEP);
	a_b(&p, LOOP);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM + 4 * LOOP), 0);
	assert_int_equal(set_u64(m->vcpu, X(10), MMIO), 0);
	assert_int_equal(set_u64(m->vcpu, X(20), MARK), 0);
	assert_int_equal(set_u64(m->vcpu, X(22), RAM + DOING), 0);
}

static int all_handled(void)
{
	int n = 0;

	for (unsigned int k = 0; k < KINDS; k++)
		n += handled[k];
	return n;
}

static bool done(void)
{
	for (unsigned int k = 0; k < KINDS; k++)
		if (handled[k] < kinds[k].each)
			return false;
	return true;
}

static void block_ours(int how)
{
	sigset_t set;

	sigemptyset(&set);
	for (unsigned int k = 0; k < KINDS; k++)
		sigaddset(&set, number(k));
	pthread_sigmask(how, &set, NULL);
}

/* KVM_RUN returns for an exit, or because of a signal, whose handler has run by then. */
static void enter(void)
{
	int before = all_handled(), ret = run_vcpu(m);

	if (ret == -EINTR) {
		assert_true(all_handled() > before);
		assert_int_equal(m->run->exit_reason, KVM_EXIT_INTR);
	} else {
		assert_int_equal(ret, 0);
		assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	}
}

static void run_guest(void)
{
	static volatile unsigned int round;

	sigsetjmp(back, 1);
	block_ours(SIG_UNBLOCK);
	while (!done()) {
		unsigned int doing = round++ / 64 % DOINGS;

		memcpy(m->ram + DOING, &doing, sizeof(doing));
		enter();
	}
}

static void storm(void **state)
{
	pthread_t threads[KINDS];
	sigset_t before, after;
	timer_t timer = NULL;

	m = *state;
#ifdef LATE_HANDLERS
	print_message("skipped: the runtime of ThreadSanitizer has handlers wait itself\n");
	skip();
#endif
	runner = pthread_self();
	load_guest();
	install();
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	block_ours(SIG_BLOCK);
	for (unsigned int k = 0; k < KINDS; k++)
		if (kinds[k].way == BY_TIMER)
			timer = start_timer(k);
		else
			assert_int_equal(
				pthread_create(&threads[k], NULL, send, (void *)(uintptr_t)k), 0);
	run_guest();
	timer_delete(timer);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	assert_memory_equal(&before, &after, 8);
	for (unsigned int k = 0; k < KINDS; k++) {
		if (kinds[k].way != BY_TIMER) {
			pthread_join(threads[k], NULL);
			assert_int_equal(handled[k], kinds[k].each);
		}
		if (wrong_order[k])
			print_message("kind %u: %d out of order\n", k, wrong_order[k]);
		/* QEMU's emulation of the kernel's queue does not keep the order. */
		if (!getenv("MESON_EXE_WRAPPER"))
			assert_int_equal(wrong_order[k], 0);
	}
	assert_int_equal(wrong_stack, 0);
	assert_int_equal(wrong_mask, 0);
	assert_int_equal(wrong_value, 0);
	sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
}

/* A session of its own, whose terminal sends its signals to this process. */
static bool get_terminal(void)
{
	int slave;

	if (setsid() < 0)
		return false;
	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0 || grantpt(terminal) || unlockpt(terminal))
		return false;
	slave = open(ptsname(terminal), O_RDWR | O_CLOEXEC);
	return slave >= 0 && !ioctl(slave, TIOCSCTTY, 0);
}

/* No leader of a group can begin a session, so it is a child that does. */
static void go_on_in_child(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(1);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(storm, set_up, tear_down),
	};

	go_on_in_child();
	if (!get_terminal())
		return 1;
	if (armature_promise(ARMATURE_TELLS_SIGNALS | ARMATURE_TELLS_DESCRIPTORS))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
