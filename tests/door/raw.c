/* SPDX-License-Identifier: MIT */
/*
 * A program as Go makes them: it needs no C library, makes its system calls and its threads itself,
 * and has handlers that make requests. Prints a line for each thing that works; its exit status is
 * 0 if all did.
 *
 *   raw          all of it
 *   raw COUNT    so many KVM_GET_API_VERSION, to be timed
 */
#include <armature/kvm_arm64.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>

#define SIGUSR1    10
#define SIGSYS     31
#define SA_SIGINFO 4ul
#define SA_ONSTACK 0x08000000ul
#define SA_NODEFER 0x40000000ul
#define RESTORER   0x04000000ul
#define SETMASK    2
#define STACK      65536
#define KVM_DEVICE 0x0ae8 /* 10:232 */

#if defined(__x86_64__)
static long call6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* The C library's setjmp() and longjmp(). */
int set_jump(long *to) __attribute__((returns_twice));
void long_jump(const long *to) __attribute__((noreturn));
__asm__(".text\n"
	".globl set_jump\n"
	"set_jump:\n"
	"	mov %rbx, (%rdi)\n"
	"	mov %rbp, 8(%rdi)\n"
	"	mov %r12, 16(%rdi)\n"
	"	mov %r13, 24(%rdi)\n"
	"	mov %r14, 32(%rdi)\n"
	"	mov %r15, 40(%rdi)\n"
	"	mov %rsp, 48(%rdi)\n"
	"	mov (%rsp), %rax\n"
	"	mov %rax, 56(%rdi)\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	".globl long_jump\n"
	"long_jump:\n"
	"	mov (%rdi), %rbx\n"
	"	mov 8(%rdi), %rbp\n"
	"	mov 16(%rdi), %r12\n"
	"	mov 24(%rdi), %r13\n"
	"	mov 32(%rdi), %r14\n"
	"	mov 40(%rdi), %r15\n"
	"	mov 48(%rdi), %rsp\n"
	"	mov 56(%rdi), %rax\n"
	"	mov %rax, (%rsp)\n"
	"	mov $1, %eax\n"
	"	ret\n");

/* A thread on a stack of its own, with a thread pointer that is nobody's. */
long make_thread(unsigned long flags, void *stack, void (*function)(void), void *pointer);
__asm__(".text\n"
	".globl make_thread\n"
	"make_thread:\n"
	"	mov %rdx, %r9\n"
	"	mov %rcx, %r8\n"
	"	mov $56, %eax\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jnz 1f\n"
	"	xor %ebp, %ebp\n"
	"	call *%r9\n"
	"	hlt\n"
	"1:	ret\n"
	".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start\n"
	"	hlt\n"
	".globl restore\n"
	"restore:\n"
	"	mov $15, %eax\n"
	"	syscall\n");
#else
#error this program has the system calls of x86-64 only
#endif

void restore(void);
void start(long *stack);

#define CALL(nr, a, b, c, d) call6(SYS_##nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

static void say(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	CALL(write, 1, text, n, 0);
}

static int failures;

static void check(bool good, const char *what)
{
	say(good ? "ok " : "not ok ");
	say(what);
	say("\n");
	failures += !good;
}

struct action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};

static int kvm;
static volatile int in_handler, other_sigsys, in_thread;
static volatile long handler_pointer;
static char stacks[2][STACK] __attribute__((aligned(16)));
static char pointers[2][256] __attribute__((aligned(16)));

static long pointer(void)
{
	long value;

	call6(SYS_arch_prctl, 0x1003, (long)&value, 0, 0, 0, 0);
	return value;
}

static void on_usr1(int sig)
{
	in_handler = (int)CALL(ioctl, kvm, KVM_GET_API_VERSION, 0, 0);
	handler_pointer = pointer();
}

static void on_sigsys(int sig)
{
	other_sigsys++;
}

static long install(int sig, void (*handler)(int))
{
	struct action act = {handler, RESTORER | SA_ONSTACK, restore, 0};

	return CALL(rt_sigaction, sig, &act, NULL, 8);
}

static bool whole_vm(void)
{
	const long vm = CALL(ioctl, kvm, KVM_CREATE_VM, 0, 0);
	const long vcpu = CALL(ioctl, vm, KVM_CREATE_VCPU, 0, 0);
	struct kvm_vcpu_init init = {0};
	bool good = vm >= 0 && vcpu >= 0 && !CALL(ioctl, vm, KVM_ARM_PREFERRED_TARGET, &init, 0) &&
		    !CALL(ioctl, vcpu, KVM_ARM_VCPU_INIT, &init, 0);

	/* A run that a signal which is pending ends at once; the handler has run by then. */
	struct kvm_run *run =
		(struct kvm_run *)call6(SYS_mmap, 0, 4096, 3, 1 /* MAP_SHARED */, vcpu, 0);
	const unsigned long all = ~0ul, none = 0;

	in_handler = 0;
	run->immediate_exit = 1;
	good = good && CALL(ioctl, vcpu, KVM_RUN, 0, 0) == -4 /* EINTR */;
	CALL(rt_sigprocmask, SETMASK, &all, NULL, 8);
	CALL(tgkill, CALL(getpid, 0, 0, 0, 0), CALL(gettid, 0, 0, 0, 0), SIGUSR1, 0);
	good = good && !in_handler;
	/* SIGSYS among those that are blocked: a call is served all the same. */
	good = good && CALL(ioctl, kvm, KVM_GET_API_VERSION, 0, 0) == KVM_API_VERSION;
	CALL(rt_sigprocmask, SETMASK, &none, NULL, 8);
	good = good && in_handler == KVM_API_VERSION;
	return good && !CALL(close, vcpu, 0, 0, 0) && !CALL(close, vm, 0, 0, 0) &&
	       CALL(ioctl, vm, KVM_CREATE_VCPU, 1, 0) == -9 /* EBADF */;
}

/* A handler on an alternate stack that makes requests, or jumps out of KVM_RUN, while it runs. */
static char alternate[32768];
static volatile int alarms, jump;
static long away[8];

static void on_alarm(int sig)
{
	const long vm = CALL(ioctl, kvm, KVM_CREATE_VM, 0, 0);

	alarms += vm >= 0 && !CALL(close, vm, 0, 0, 0);
	if (jump)
		long_jump(away);
}

static void set_alarm(long us)
{
	const long timer[4] = {0, us, 0, us};

	CALL(setitimer, 0, timer, NULL, 0);
}

static bool alternate_stacks(void)
{
	static struct {
		void *sp;
		long flags;
		unsigned long size;
	} stack = {alternate, 0, sizeof(alternate)}, now;
	struct action act = {on_alarm, RESTORER | SA_ONSTACK | SA_NODEFER, restore, 0};
	static unsigned int ram[1024] __attribute__((aligned(4096))) = {0x14000000};
	struct kvm_userspace_memory_region region = {.memory_size = sizeof(ram)};
	const long vm = CALL(ioctl, kvm, KVM_CREATE_VM, 0, 0);
	const long vcpu = CALL(ioctl, vm, KVM_CREATE_VCPU, 0, 0);
	static volatile int round;
	struct kvm_vcpu_init init;
	static volatile bool good;

	region.userspace_addr = (unsigned long)ram;
	good = !CALL(sigaltstack, &stack, NULL, 0, 0) &&
	       !CALL(ioctl, vm, KVM_SET_USER_MEMORY_REGION, &region, 0) &&
	       !CALL(ioctl, vm, KVM_ARM_PREFERRED_TARGET, &init, 0) &&
	       !CALL(ioctl, vcpu, KVM_ARM_VCPU_INIT, &init, 0) &&
	       !CALL(rt_sigaction, 14, &act, NULL, 8);
	for (round = 1; good && round <= 20; round++) {
		jump = round % 2 == 0;
		if (!set_jump(away)) {
			set_alarm(20000);
			good = CALL(ioctl, vcpu, KVM_RUN, 0, 0) == -4 && !jump;
		}
		set_alarm(0);
		/* One may come between the two calls; but each that came was right. */
		good = good && alarms >= round;
		good = good && CALL(ioctl, kvm, KVM_GET_API_VERSION, 0, 0) == KVM_API_VERSION;
		CALL(sigaltstack, NULL, &now, 0, 0);
		good = good && now.sp == alternate;
	}
	return good;
}

static void thread(void)
{
	const bool good = whole_vm();
	const long mine = pointer();

	in_thread = good && mine == (long)pointers[0] && handler_pointer == mine ? 1 : -1;
	CALL(exit, 0, 0, 0, 0);
}

static bool threads(void)
{
	const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
				    CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS;

	if (make_thread(flags, stacks[0] + STACK, thread, pointers[0]) < 0)
		return false;
	while (!in_thread)
		CALL(sched_yield, 0, 0, 0, 0);
	return in_thread > 0;
}

static bool child(void)
{
	const long pid = CALL(fork, 0, 0, 0, 0);
	int status = -1;

	if (!pid) {
		const long k = CALL(open, "/dev/kvm", O_RDWR, 0, 0);

		CALL(exit_group, CALL(ioctl, k, KVM_GET_API_VERSION, 0, 0), 0, 0, 0);
	}
	CALL(wait4, pid, &status, 0, 0);
	return status == KVM_API_VERSION << 8;
}

static bool shown(void)
{
	static struct {
		unsigned long dev, ino, nlink;
		unsigned int mode, uid, gid, pad;
		unsigned long rdev, more[16];
	} st;

	return !CALL(newfstatat, AT_FDCWD, "/dev/kvm", &st, 0) && st.rdev == KVM_DEVICE &&
	       !CALL(fstat, kvm, &st, 0, 0) && st.rdev == KVM_DEVICE &&
	       !CALL(access, "/dev/kvm", 6, 0, 0) && CALL(access, "/dev/kvm", 1, 0, 0) == -13 &&
	       !CALL(faccessat, AT_FDCWD, "/dev/kvm", 6, 0) &&
	       CALL(access, "/dev/none", 4, 0, 0) == -2;
}

static void time_it(const char *count)
{
	long n = 0;

	for (; *count; count++)
		n = 10 * n + *count - '0';
	while (n--)
		CALL(ioctl, kvm, KVM_GET_API_VERSION, 0, 0);
}

void start(long *stack)
{
	long duplicate;

	kvm = (int)CALL(openat, AT_FDCWD, "/dev/kvm", O_RDWR | O_CLOEXEC, 0);
	if (stack[0] > 1) {
		time_it((const char *)stack[2]);
		CALL(exit_group, 0, 0, 0, 0);
	}
	check(kvm >= 0, "open");
	/* The KVM of another host's own /dev/kvm lacks it. */
	check(CALL(ioctl, kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ, 0) == 1, "ioctl");
	check(shown(), "stat and access");
	duplicate = CALL(dup, kvm, 0, 0, 0);
	check(CALL(ioctl, duplicate, KVM_GET_API_VERSION, 0, 0) == KVM_API_VERSION, "dup");
	check(!CALL(dup2, 1, duplicate, 0, 0) ||
		      CALL(ioctl, duplicate, KVM_GET_API_VERSION, 0, 0) < 0,
	      "dup2");
	check(!install(SIGUSR1, on_usr1), "sigaction");
	check(whole_vm(), "requests in handlers");
	check(alternate_stacks(), "handlers in requests");
	check(threads(), "a thread");
	check(!install(SIGSYS, on_sigsys) &&
		      !CALL(tgkill, CALL(getpid, 0, 0, 0, 0), CALL(gettid, 0, 0, 0, 0), SIGSYS,
			    0) &&
		      other_sigsys == 1 &&
		      CALL(ioctl, kvm, KVM_GET_API_VERSION, 0, 0) == KVM_API_VERSION &&
		      other_sigsys == 1,
	      "a SIGSYS of its own");
	check(child(), "a child");
	check(CALL(ioctl, 1, KVM_GET_API_VERSION, 0, 0) < 0, "another file");
	CALL(exit_group, failures ? 1 : 0, 0, 0, 0);
}
