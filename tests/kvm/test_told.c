/* SPDX-License-Identifier: MIT */
/*
 * A process that tells of its handlers and of its closes (armature_promise()): numbers that change
 * hands are never taken for what they were, exits make no system call, and dispositions are as the
 * caller told.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

#define ROUNDS  20000 /* changes of one number, by each of its threads */
#define NUMBERS 2     /* that change */
#define ASKERS  2     /* threads that ask, of each number */
#define EXITS   1000

static struct machine_under_test *m; /* NULL: there is none */

static int tear_down_told(void **state)
{
	m = NULL;
	return tear_down(state);
}

static void close_told(int fd)
{
	armature_fds_begin((unsigned int)fd, (unsigned int)fd);
	close(fd);
	armature_fds_end((unsigned int)fd, (unsigned int)fd);
}

/* ---- Numbers that change hands ---- */

/*
 * What a number may stand for: two vCPUs, which say which by X20, an open file that is nobody's, or
 * nothing.
 */
enum what { FIRST, SECOND, FOREIGN, CLOSED, WHATS };

static struct number {
	int fd;
	_Atomic unsigned int seq; /* odd: it is being changed; else what it is: seq / 2 */
} numbers[NUMBERS];

static int source[WHATS]; /* a descriptor of each */
static _Atomic bool all_changed;
static _Atomic int wrong;
static _Atomic unsigned int checked;

static void change(struct number *n, unsigned int to)
{
	atomic_fetch_add(&n->seq, 1);
	armature_fds_begin((unsigned int)n->fd, (unsigned int)n->fd);
	/* By the kernel's names: this race is meant, and ThreadSanitizer would tell of it. */
	if (to % WHATS == CLOSED)
		syscall(SYS_close, n->fd);
	else
		syscall(SYS_dup3, source[to % WHATS], n->fd, 0);
	armature_fds_end((unsigned int)n->fd, (unsigned int)n->fd);
	atomic_store(&n->seq, 2 * to);
}

static void *change_on(void *arg)
{
	struct number *n = arg;

	for (unsigned int to = 1; to <= ROUNDS; to++) {
		change(n, to);
		if (to % 8 == 0)
			sched_yield();
	}
	return NULL;
}

static bool answer_is(int ret, uint64_t x20, enum what what)
{
	if (what == CLOSED)
		return ret == -EBADF;
	if (what == FOREIGN)
		return ret == -ENOTTY;
	return !ret && x20 == what;
}

static void *ask_on(void *arg)
{
	struct number *n = arg;

	while (!all_changed) {
		unsigned int before = n->seq;
		uint64_t x20 = ~0ull;
		int ret = get_id(n->fd, X(20), &x20);

		if (before & 1 || n->seq != before)
			continue;
		checked++;
		wrong += !answer_is(ret, x20, before / 2 % WHATS);
	}
	return NULL;
}

/* Numbers that are reused at once, by threads, while others ask what they are. */
static void numbers_change(void **state)
{
	pthread_t changers[NUMBERS], askers[NUMBERS][ASKERS];
	struct kvm_run *run;

	m = *state;
	source[FIRST] = m->vcpu;
	create_vcpu(m, 1, &source[SECOND], &run);
	source[FOREIGN] = open("/dev/null", O_RDWR | O_CLOEXEC);
	set_u64(source[FIRST], X(20), FIRST);
	set_u64(source[SECOND], X(20), SECOND);
	for (unsigned int i = 0; i < NUMBERS; i++) {
		numbers[i].fd = fcntl(source[FIRST], F_DUPFD_CLOEXEC, 200 + 64 * i);
		numbers[i].seq = 0;
		for (unsigned int a = 0; a < ASKERS; a++)
			pthread_create(&askers[i][a], NULL, ask_on, &numbers[i]);
	}
	for (unsigned int i = 0; i < NUMBERS; i++)
		pthread_create(&changers[i], NULL, change_on, &numbers[i]);
	for (unsigned int i = 0; i < NUMBERS; i++)
		pthread_join(changers[i], NULL);
	while (checked < ROUNDS)
		sched_yield();
	all_changed = true;
	for (unsigned int i = 0; i < NUMBERS; i++) {
		for (unsigned int a = 0; a < ASKERS; a++)
			pthread_join(askers[i][a], NULL);
		armature_close(numbers[i].fd);
	}
	assert_int_equal(wrong, 0);
	close_vcpu(source[SECOND], run);
	armature_close(source[FOREIGN]);
}

/* A number whose object went, and that the next object gets. */
static void number_of_another(void **state)
{
	m = *state;
	for (unsigned int i = 0; i < 1000; i++) {
		int sys = armature_open(), vm = call(sys, KVM_CREATE_VM, 0), again;
		int vcpu = call(vm, KVM_CREATE_VCPU, 0);

		assert_true(armature_knows(sys) && armature_knows(vm) && armature_knows(vcpu));
		armature_fds_begin(0, ~0u);
		assert_true(armature_knows(vm));
		close(vcpu);
		close(vm);
		armature_fds_end(0, ~0u);
		assert_false(armature_knows(vm) || armature_knows(vcpu));
		again = armature_open();
		assert_int_equal(call(again, KVM_GET_API_VERSION, 0), 12);
		armature_close(again);
		armature_close(sys);
		assert_false(armature_knows(sys));
	}
}

/*
 * The library's own descriptors come and go as well: somebody asked about a number while it was an
 * eventfd that the library held, and then it is the VM's.
 */
static void number_of_ours(void **state)
{
	struct kvm_ioeventfd a = {.addr = MMIO, .len = 4};
	struct machine_under_test *t = *state;
	int ours, copy;

	a.fd = eventfd(0, EFD_CLOEXEC);
	ours = dup(a.fd); /* the number that is free next */
	close_told(ours);
	assert_int_equal(CALL_PTR(t->vm, KVM_IOEVENTFD, &a), 0);
	assert_true(fcntl(ours, F_GETFD) >= 0);
	assert_false(armature_knows(ours));
	a.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
	assert_int_equal(CALL_PTR(t->vm, KVM_IOEVENTFD, &a), 0);
	copy = dup(t->vm);
	assert_int_equal(copy, ours);
	assert_true(armature_knows(copy));
	close_told(copy);
	close_told(a.fd);
}

/* ---- No system call ---- */

static void load_stores(void)
{
	struct prog p = {0};

	a_ldr(&p, 3, 9, 10);
	a_str(&p, 3, 9, 10);
	a_b(&p, 0);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, X(10), MMIO), 0);
}

static bool exits_are_right(void)
{
	for (unsigned int i = 0; i < EXITS; i++)
		if (run_vcpu(m) || m->run->exit_reason != KVM_EXIT_MMIO ||
		    m->run->mmio.phys_addr != MMIO || get_u64(m->vcpu, X(10)) != MMIO)
			return false;
	return true;
}

/* From here on a system call, other than the one that ends a process, ends this one. */
static bool forbid_system_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = {COUNT(code), code};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

#define NO_FILTER 77

static void no_system_call(void **unused)
{
	pid_t pid;
	void *state;
	int status;

#ifdef LATE_HANDLERS
	print_message("skipped: signals are masked where ThreadSanitizer has handlers wait\n");
	skip();
#endif
#ifdef __SANITIZE_ADDRESS__
	print_message("skipped: AddressSanitizer's runtime makes system calls of its own\n");
	skip();
#endif
	pid = fork();
	if (!pid) {
		set_up(&state);
		m = state;
		load_stores();
		if (!exits_are_right())
			_exit(1);
		if (!forbid_system_calls())
			_exit(NO_FILTER);
		_exit(exits_are_right() ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTER) {
		print_message("skipped: no seccomp filter can be set here\n");
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Dispositions ---- */

static volatile sig_atomic_t calls_seen;

/* Also when the signal comes just before KVM_RUN, that does not wait. */
static void count_call(int sig)
{
	calls_seen++;
	if (m)
		m->run->immediate_exit = 1;
}

static void as_told(void **state)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGSEGV, SIGBUS, SIGFPE, SIGTERM};
	struct sigaction sa = {.sa_handler = count_call, .sa_flags = SA_NODEFER}, now, first;

	sigaddset(&sa.sa_mask, SIGHUP);
	for (size_t i = 0; i < COUNT(signals); i++) {
		assert_int_equal(armature_sigaction(signals[i], &sa, &first), 0);
		assert_int_equal(armature_sigaction(signals[i], NULL, &now), 0);
		assert_ptr_equal(now.sa_handler, count_call);
		assert_int_equal(now.sa_flags & ~0x04000000, SA_NODEFER);
		assert_memory_equal(&now.sa_mask, &sa.sa_mask, 8);
		calls_seen = 0;
		raise(signals[i]);
		assert_int_equal(calls_seen, 1);
		assert_int_equal(armature_sigaction(signals[i], &first, &now), 0);
		assert_ptr_equal(now.sa_handler, count_call);
		assert_int_equal(armature_sigaction(signals[i], NULL, &now), 0);
		assert_ptr_equal(now.sa_handler, first.sa_handler);
	}
	assert_int_equal(armature_sigaction(SIGKILL, &sa, NULL), -1);
	assert_int_equal(armature_sigaction(65, &sa, NULL), -1);
	assert_int_equal(armature_promise(4), -1);
	assert_int_equal(errno, EINVAL);
}

static void *raise_and_wait(void *arg)
{
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

/* SA_RESETHAND: in KVM_RUN, too, the handler runs, and once. */
static void once_only(void **state)
{
	struct sigaction sa = {.sa_handler = count_call, .sa_flags = (int)SA_RESETHAND}, now;
	pthread_t self = pthread_self(), thread;
	struct prog p = {0};

#ifdef LATE_HANDLERS
	print_message("skipped: the handler would wait while the guest computes\n");
	skip();
#endif
	m = *state;
	a_b(&p, 0);
	memcpy(m->ram, p.word, p.n * 4);
	set_u64(m->vcpu, PC, RAM);
	for (unsigned int i = 0; i < 200; i++) {
		calls_seen = 0;
		armature_sigaction(SIGUSR1, &sa, NULL);
		pthread_create(&thread, NULL, raise_and_wait, &self);
		while (!calls_seen)
			assert_int_equal(run_vcpu(m), -EINTR);
		m->run->immediate_exit = 0;
		pthread_join(thread, NULL);
		assert_int_equal(calls_seen, 1);
		armature_sigaction(SIGUSR1, NULL, &now);
		assert_ptr_equal(now.sa_handler, SIG_DFL);
	}
}

static void not_ours(int sig)
{
	calls_seen = -100;
}

/* What a child does, whose memory is ours, is none of our dispositions. */
static void child_of_vfork(void **state)
{
	struct sigaction sa = {.sa_handler = count_call}, other = {.sa_handler = not_ours}, now;
	volatile int failed = 0;
	pid_t pid;

	armature_sigaction(SIGUSR1, &sa, NULL);
	pid = (pid_t)vfork();
	if (!pid) {
		failed += armature_sigaction(SIGUSR1, NULL, &now) || now.sa_handler != count_call;
		failed += armature_sigaction(SIGUSR1, &other, NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	assert_int_equal(failed, 0);
	calls_seen = 0;
	raise(SIGUSR1);
	assert_int_equal(calls_seen, 1);
	armature_sigaction(SIGUSR1, NULL, &now);
	assert_ptr_equal(now.sa_handler, count_call);
}

/* SA_RESETHAND in such a child is spent there, and not here. */
static void once_in_each(void **state)
{
	struct sigaction sa = {.sa_handler = count_call, .sa_flags = (int)SA_RESETHAND}, now;
	int failed = 0, status;
	pid_t pid;

#ifdef LATE_HANDLERS
	print_message("skipped: the runtime of ThreadSanitizer keeps a table of its own\n");
	skip();
#endif
	armature_sigaction(SIGUSR1, &sa, NULL);
	calls_seen = 0;
	pid = (pid_t)vfork();
	if (!pid) {
		raise(SIGUSR1);
		failed += calls_seen != 1;
		failed += armature_sigaction(SIGUSR1, NULL, &now) || now.sa_handler != SIG_DFL;
		_exit(failed);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	armature_sigaction(SIGUSR1, NULL, &now);
	assert_ptr_equal(now.sa_handler, count_call);
	/* Whether the child counted in our memory: an emulator's does not. */
	calls_seen = 0;
	raise(SIGUSR1);
	assert_int_equal(calls_seen, 1);
	armature_sigaction(SIGUSR1, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
}

/* Its numbers are its own, and it remembers them in our memory no more than we find them there. */
static void numbers_of_vfork(void **unused)
{
	int sys = armature_open(), other = open("/dev/null", O_RDWR | O_CLOEXEC);
	volatile int failed = 0;
	pid_t pid;

	assert_true(armature_knows(sys) && !armature_knows(other));
	pid = (pid_t)vfork();
	if (!pid) {
		armature_fds_begin(0, ~0u);
		syscall(SYS_dup3, sys, 1000, 0);
		syscall(SYS_dup3, other, sys, 0);
		syscall(SYS_dup3, 1000, other, 0);
		armature_fds_end(0, ~0u);
		for (int i = 0; i < 2; i++)
			failed += armature_knows(sys) || !armature_knows(other);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	assert_int_equal(failed, 0);
	assert_true(armature_knows(sys));
	assert_int_equal(call(sys, KVM_GET_API_VERSION, 0), 12);
	assert_false(armature_knows(other));
	armature_close(sys);
	armature_close(other);
}

/* ---- The terminal ---- */

static void guest_on_terminal(const char *terminal, int ready)
{
	struct sigaction sa = {.sa_handler = count_call, .sa_flags = SA_RESTART};
	struct prog p = {0};
	void *state;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	if (open(terminal, O_RDWR) < 0)
		_exit(1);
	set_up(&state);
	m = state;
	a_wfi(&p);
	a_b(&p, 0);
	memcpy(m->ram, p.word, p.n * 4);
	set_u64(m->vcpu, PC, RAM);
	calls_seen = 0;
	armature_sigaction(SIGINT, &sa, NULL);
	for (int i = 1; i <= 100; i++) {
		if (write(ready, "", 1) != 1 || run_vcpu(m) != -EINTR || calls_seen != i)
			_exit(2);
		m->run->immediate_exit = 0;
	}
	_exit(0);
}

/* ^C, typed while the guest sleeps, or just before. */
static void typed(void **unused)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), ready[2], status;
	char c;
	pid_t pid;

#ifdef LATE_HANDLERS
	print_message("skipped: the handler would wait while the guest sleeps\n");
	skip();
#endif
	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master) && !pipe(ready));
	pid = fork();
	if (!pid)
		guest_on_terminal(ptsname(master), ready[1]);
	close(ready[1]);
	for (unsigned int i = 0; read(ready[0], &c, 1) == 1; i++) {
		if (i % 2)
			usleep(1000);
		assert_int_equal(write(master, "\3", 1), 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(ready[0]);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers_change, set_up, tear_down_told),
		cmocka_unit_test_setup_teardown(number_of_another, set_up, tear_down_told),
		cmocka_unit_test_setup_teardown(number_of_ours, set_up, tear_down),
		cmocka_unit_test(no_system_call),
		cmocka_unit_test(as_told),
		cmocka_unit_test_setup_teardown(once_only, set_up, tear_down_told),
		cmocka_unit_test(child_of_vfork),
		cmocka_unit_test(once_in_each),
		cmocka_unit_test(numbers_of_vfork),
		cmocka_unit_test(typed),
	};

	if (armature_promise(ARMATURE_TELLS_SIGNALS | ARMATURE_TELLS_DESCRIPTORS))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
