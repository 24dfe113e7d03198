/* SPDX-License-Identifier: MIT */
/*
 * System calls that the program makes itself are trapped: a seccomp filter turns those of calls.c
 * that come from the program's own code into SIGSYS, whose handler serves them.
 *
 * What is trapped. The filter looks at where a system call comes from. The machine code of the
 * program and of its libraries is listed; the C library, the loader and the door are not, so what
 * these do costs nothing and cannot come round again. A child inherits the filter, but is at other
 * addresses; until its own door is there (its C library's work), nothing of it is trapped, unless
 * the program is linked to a fixed address, as its static children may be.
 *
 * Stacks. The handler runs where the program wants its handlers: on its alternate stack, which may
 * be small. A request to the KVM therefore gets a stack of the door's, and with it another
 * alternate stack, or the next signal would start at the top of the one that holds our own frame.
 * A handler that runs in such a request and makes another gets the next level of both. sigreturn(2)
 * brings the program's alternate stack back; if a handler jumped away, the next call does.
 *
 * Threads that the program makes itself, too, have no C library's thread pointer: none, or that of
 * the thread that made them. Such a program has no C library, or, on x86-64, it has one and sets
 * its thread pointer itself before it has threads, as Go's do that are linked with the C library
 * but without Go's own support of it. Each thread gets the pointer of a thread that is made for it,
 * and does nothing else; the program's own handlers run with the program's.
 */
#include "door/trap.h"
#include "door/door.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <armature/armature.h>
#include <armature/kvm_arm64.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of <asm-generic/siginfo.h> */
#endif

#define MAGIC       0xa12 /* tells our filter's signals from others' */
#define MAX_RANGES  64
#define MAX_NUMBERS 65 /* those of calls.c, and one of this file */
#define LEVELS      4  /* of requests inside handlers inside requests */
#define STACK_SIZE  (512ul << 10)
#define ALT_SIZE    (64ul << 10)
#define AREA_SIZE   (LEVELS * (STACK_SIZE + ALT_SIZE))
#define MAX_RAW     4096 /* threads without a C library */

#ifdef __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE AUDIT_ARCH_X86_64
#endif

static bool on;
static bool raw_threads; /* the program's threads are its own, and no C library's */
static struct sigaction kept = {.sa_handler = SIG_DFL};

bool trap_on(void)
{
	return on;
}

int trap_sigaction(const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before = kept;

	if (act)
		kept = *act;
	if (old)
		*old = before;
	return 0;
}

/* ---- The filter -------------------------------------------------------------------------- */

/* Addresses of code, the last one included; never across a multiple of 4 GiB. */
struct range {
	uint64_t first, last;
};

static struct ranges {
	struct range row[MAX_RANGES];
	unsigned int nr;
} ranges;

static const char *const libraries[] = {
	"libc.so", "libc-",   "ld-linux", "libpthread",       "libdl",
	"librt",   "libm.so", "libgcc_s", "libarmature-door", "linux-vdso",
};

static bool is_listed(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name ? name + 1 : path;
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++)
		if (!strncmp(name, libraries[i], strlen(libraries[i])))
			return false;
	return true;
}

static void add_range(uint64_t first, uint64_t last)
{
	while (ranges.nr < MAX_RANGES && first <= last) {
		const uint64_t end = last < (first | UINT32_MAX) ? last : (first | UINT32_MAX);

		ranges.row[ranges.nr++] = (struct range){first, end};
		first = end + 1;
	}
}

static int add_object(struct dl_phdr_info *info, size_t size, void *opaque)
{
	for (unsigned int i = 0; is_listed(info->dlpi_name) && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const uint64_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && p->p_flags & PF_X && p->p_memsz)
			add_range(start, start + p->p_memsz - 1);
	}
	return 0;
}

static struct sock_filter program[MAX_NUMBERS * 2 + MAX_RANGES * 6 + 16];
static unsigned short length;

static void emit(unsigned short code, unsigned int k, unsigned char yes, unsigned char no)
{
	program[length++] = (struct sock_filter){code, yes, no, k};
}

#define LOAD(field, half)              \
	emit(BPF_LD | BPF_W | BPF_ABS, \
	     (unsigned int)offsetof(struct seccomp_data, field) + (half), 0, 0)
#define ALLOW() emit(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0)

/* A number of the table, a request of KVM if it is ioctl(), and an address of the list: trap. */
static void make_filter(void)
{
	long numbers[MAX_NUMBERS];
	unsigned int nr = call_numbers(numbers);

#ifdef SYS_arch_prctl
	numbers[nr++] = SYS_arch_prctl;
#endif
	LOAD(arch, 0);
	emit(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	ALLOW();
	LOAD(nr, 0);
	for (unsigned int i = 0; i < nr; i++) {
		const unsigned int left = nr - i - 1; /* then: allow, a test of ioctl, ranges */

		emit(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)numbers[i], 0, 1);
		emit(BPF_JMP | BPF_JA, 2 * left + 1, 0, 0);
	}
	ALLOW();
	emit(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5);
	LOAD(args[1], 0);
	emit(BPF_ALU | BPF_RSH | BPF_K, _IOC_TYPESHIFT, 0, 0);
	emit(BPF_ALU | BPF_AND | BPF_K, _IOC_TYPEMASK, 0, 0);
	emit(BPF_JMP | BPF_JEQ | BPF_K, KVMIO, 1, 0);
	ALLOW();
	for (unsigned int i = 0; i < ranges.nr; i++) {
		const struct range *r = &ranges.row[i];

		LOAD(instruction_pointer, 4);
		emit(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)(r->first >> 32), 0, 4);
		LOAD(instruction_pointer, 0);
		emit(BPF_JMP | BPF_JGE | BPF_K, (unsigned int)r->first, 0, 2);
		emit(BPF_JMP | BPF_JGT | BPF_K, (unsigned int)r->last, 1, 0);
		emit(BPF_RET | BPF_K, SECCOMP_RET_TRAP | MAGIC, 0, 0);
	}
	ALLOW();
}

/* ---- Threads without a C library --------------------------------------------------------- */

/*
 * Nothing here, and nothing in a handler before borrow(), may use the thread pointer. A compiler
 * takes it for a constant of a function: what runs with a borrowed one is a function of its own.
 */

struct raw_thread {
	_Atomic int tid;       /* changes when another thread inherits it */
	unsigned long pointer; /* the C library's thread pointer that it borrows */
	unsigned long own;     /* the program's, meanwhile */
};

static struct raw_thread raw[MAX_RAW];
static _Atomic unsigned int nr_raw;
static _Atomic unsigned long spare; /* the next one to borrow */
static struct sigaction program_handlers[NSIG], library_handlers[NSIG];

#ifdef __x86_64__
static inline long bare_call(long nr, long a, long b)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return ret;
}

#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003

static unsigned long get_pointer(void)
{
	unsigned long pointer;

	bare_call(SYS_arch_prctl, ARCH_GET_FS, (long)&pointer);
	return pointer;
}

static void set_pointer(unsigned long pointer)
{
	bare_call(SYS_arch_prctl, ARCH_SET_FS, (long)pointer);
}

#else
static inline long bare_call(long nr, long a, long b)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
	return x0;
}

static unsigned long get_pointer(void)
{
	unsigned long pointer;

	__asm__ volatile("mrs %0, tpidr_el0" : "=r"(pointer));
	return pointer;
}

static void set_pointer(unsigned long pointer)
{
	__asm__ volatile("msr tpidr_el0, %0" : : "r"(pointer) : "memory");
}
#endif

static int bare_tid(void)
{
	return (int)bare_call(SYS_gettid, 0, 0);
}

static void bare_yield(void)
{
	bare_call(SYS_sched_yield, 0, 0);
}

static struct raw_thread *find_raw(int tid)
{
	const unsigned int nr = nr_raw < MAX_RAW ? nr_raw : MAX_RAW;

	for (unsigned int i = 0; i < nr; i++)
		if (raw[i].tid == tid)
			return &raw[i];
	return NULL;
}

static struct raw_thread *add_raw(int tid, unsigned long pointer)
{
	const unsigned int i = atomic_fetch_add(&nr_raw, 1);

	if (i >= MAX_RAW)
		return NULL;
	raw[i].pointer = pointer;
	raw[i].tid = tid;
	return &raw[i];
}

static void *lend(void *opaque)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;)
		pause();
	return NULL;
}

/*
 * A thread's name in the C library and its pointer are as far apart as those of any other. It need
 * not have run: the child of a vfork()
 * may make one that ends with it, and leaves the memory.
 */
static __attribute__((noinline)) void make_spare(void)
{
	const unsigned long apart = get_pointer() - (unsigned long)pthread_self();
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN + (64u << 10));
	if (!pthread_create(&thread, &attr, lend, NULL))
		spare = (unsigned long)thread + apart;
	pthread_attr_destroy(&attr);
}

/* Takes over what a thread had borrowed that is no more. */
static struct raw_thread *inherit(int tid)
{
	const unsigned int nr = nr_raw < MAX_RAW ? nr_raw : MAX_RAW;

	for (unsigned int i = 0; i < nr; i++) {
		int other = raw[i].tid;

		if (other && bare_call(SYS_tkill, other, 0) == -ESRCH &&
		    atomic_compare_exchange_strong(&raw[i].tid, &other, tid))
			return &raw[i];
	}
	return NULL;
}

/* What the thread has borrowed, or borrows now; NULL if there is none to be had. */
static struct raw_thread *raw_thread(void)
{
	const int tid = bare_tid();
	struct raw_thread *t = find_raw(tid);
	unsigned long pointer;

	if (!t)
		t = inherit(tid);
	if (t)
		return t;
	while (!(pointer = atomic_exchange(&spare, 0)))
		bare_yield();
	t = add_raw(tid, pointer);
	if (!t)
		return NULL;
	t->own = get_pointer();
	set_pointer(t->pointer);
	make_spare();
	set_pointer(t->own);
	return t;
}

/* Puts a C library's thread pointer in place. Return: the present one, for give_back(). */
static unsigned long borrow(struct raw_thread *t)
{
	const unsigned long present = get_pointer();

	if (present != t->pointer) {
		t->own = present;
		set_pointer(t->pointer);
	}
	return present;
}

static void give_back(const struct raw_thread *t, unsigned long present)
{
	if (present != t->pointer)
		set_pointer(present);
}

static void call_handler(const struct sigaction *act, int sig, siginfo_t *info, void *context)
{
	if (act->sa_flags & SA_SIGINFO)
		act->sa_sigaction(sig, info, context);
	else
		act->sa_handler(sig);
}

/* A handler of the program's: it finds the program's thread pointer. */
static void on_program_signal(int sig, siginfo_t *info, void *context)
{
	const struct raw_thread *t = find_raw(bare_tid());
	const bool inside = t && t->own && get_pointer() == t->pointer;

	if (inside)
		set_pointer(t->own);
	call_handler(&program_handlers[sig], sig, info, context);
	if (inside)
		set_pointer(t->pointer);
}

/* A handler of the library's: it finds the C library's, wherever the signal came. */
static void on_library_signal(int sig, siginfo_t *info, void *context)
{
	struct raw_thread *t = raw_thread();
	unsigned long present;

	if (!t)
		return;
	present = borrow(t);
	call_handler(&library_handlers[sig], sig, info, context);
	give_back(t, present);
}

/* Installs @ours in place of a handler, which is noted in @noted. */
static int install(int sig, const struct sigaction *act, struct sigaction *old,
		   void (*ours)(int, siginfo_t *, void *), struct sigaction *noted,
		   int (*set)(int, const struct sigaction *, struct sigaction *))
{
	const struct sigaction before = *noted;
	struct sigaction mine;
	int ret;

	if (act) {
		mine = *act;
		if (act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN) {
			*noted = *act;
			mine.sa_sigaction = ours;
			mine.sa_flags |= SA_SIGINFO;
		}
	}
	ret = set(sig, act ? &mine : NULL, old);
	if (ret)
		*noted = before;
	else if (old && old->sa_sigaction == ours)
		*old = before;
	return ret;
}

static int next_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return NEXT_AS(sigaction,
		       int (*)(int, const struct sigaction *, struct sigaction *))(sig, act, old);
}

int trap_library_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	if (!raw_threads || sig == SIGSYS || sig < 1 || sig >= NSIG)
		return next_sigaction(sig, act, old);
	return install(sig, act, old, on_library_signal, &library_handlers[sig], next_sigaction);
}

int trap_program_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	if (!raw_threads || sig == SIGSYS)
		return kvm_sigaction(sig, act, old);
	return install(sig, act, old, on_program_signal, &program_handlers[sig], kvm_sigaction);
}

/* ---- The handler ------------------------------------------------------------------------- */

/* Of each thread: stacks and alternate stacks, a pair for each level. */
static __thread char *area;
static __thread stack_t program_alt;
static pthread_key_t area_key;

static void free_area(void *stacks)
{
	munmap(stacks, AREA_SIZE);
}

static char *stack_of(int level)
{
	return area + (size_t)level * (STACK_SIZE + ALT_SIZE);
}

static char *alt_of(int level)
{
	return stack_of(level) + STACK_SIZE;
}

static bool make_area(void)
{
	if (area)
		return true;
	area = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (area == MAP_FAILED) {
		area = NULL;
		return false;
	}
	pthread_setspecific(area_key, area);
	return true;
}

/* Calls a function on another stack. */
void trap_on_stack(void *top, void (*function)(void *), void *arg);
#ifdef __aarch64__
__asm__(".text\n"
	".hidden trap_on_stack\n"
	".globl trap_on_stack\n"
	".type trap_on_stack, %function\n"
	"trap_on_stack:\n"
	"	stp x29, x30, [sp, #-16]!\n"
	"	mov x29, sp\n"
	"	mov sp, x0\n"
	"	mov x0, x2\n"
	"	blr x1\n"
	"	mov sp, x29\n"
	"	ldp x29, x30, [sp], #16\n"
	"	ret\n"
	".size trap_on_stack, . - trap_on_stack\n");
#else
__asm__(".text\n"
	".hidden trap_on_stack\n"
	".globl trap_on_stack\n"
	".type trap_on_stack, @function\n"
	"trap_on_stack:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	mov %rdi, %rsp\n"
	"	mov %rdx, %rdi\n"
	"	call *%rsi\n"
	"	mov %rbp, %rsp\n"
	"	pop %rbp\n"
	"	ret\n"
	".size trap_on_stack, . - trap_on_stack\n");
#endif

struct deep {
	const struct call *call;
	stack_t alt;
	long ret;
};

static void serve_deep(void *arg)
{
	struct deep *d = arg;

	sigaltstack(&d->alt, NULL);
	d->ret = call_serve(d->call);
}

static uintptr_t stack_pointer(const ucontext_t *uc)
{
#ifdef __aarch64__
	return uc->uc_mcontext.sp;
#else
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#endif
}

/*
 * The level of stacks that is free: behind the one whose alternate stack is set, which this handler
 * may be on. Where a handler jumped away from that one's request, the program's is set again.
 */
static int free_level(ucontext_t *uc)
{
	const uintptr_t sp = stack_pointer(uc);

	for (int i = 0; i < LEVELS; i++) {
		if (uc->uc_stack.ss_sp != alt_of(i))
			continue;
		if (sp - (uintptr_t)area >= AREA_SIZE)
			uc->uc_stack = program_alt;
		return i + 1;
	}
	return 0;
}

static long serve_on_stack(const struct call *call, ucontext_t *uc)
{
	struct deep d = {.call = call};
	int level;

	if (!call_is_deep(call) || !make_area())
		return call_serve(call);
	level = free_level(uc);
	if (level >= LEVELS)
		return call_serve(call);
	if (!level)
		program_alt = uc->uc_stack;
	d.alt = (stack_t){.ss_sp = alt_of(level), .ss_size = ALT_SIZE};
	trap_on_stack(stack_of(level) + STACK_SIZE, serve_deep, &d);
	return d.ret;
}

static __attribute__((noinline)) long serve(const struct call *call, ucontext_t *uc)
{
	const int saved = errno;
	const long ret = serve_on_stack(call, uc);

	errno = saved;
	return ret;
}

static void take_call(struct call *call, ucontext_t *uc)
{
#ifdef __aarch64__
	call->nr = (long)uc->uc_mcontext.regs[8];
	for (int i = 0; i < 6; i++)
		call->arg[i] = uc->uc_mcontext.regs[i];
#else
	static const int registers[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};

	for (int i = 0; i < 6; i++)
		call->arg[i] = (unsigned long)uc->uc_mcontext.gregs[registers[i]];
#endif
	call->mask = &uc->uc_sigmask;
}

static void give_result(ucontext_t *uc, long ret)
{
#ifdef __aarch64__
	uc->uc_mcontext.regs[0] = (unsigned long)ret;
#else
	uc->uc_mcontext.gregs[REG_RAX] = ret;
#endif
}

/* A SIGSYS that is not our filter's does what the program wants it to. */
static void others_signal(int sig, siginfo_t *info, void *context)
{
	const struct sigaction act = kept;

	if (act.sa_handler == SIG_IGN)
		return;
	if (act.sa_handler == SIG_DFL) {
		const struct sigaction end = {.sa_handler = SIG_DFL};

		sigaction(SIGSYS, &end, NULL);
		raise(SIGSYS);
		return;
	}
	if (act.sa_flags & (int)SA_RESETHAND)
		kept = (struct sigaction){.sa_handler = SIG_DFL};
	call_handler(&act, sig, info, context);
}

static void start_raw_threads(void)
{
	raw_threads = true;
	add_raw(bare_tid(), get_pointer());
	make_spare();
}

#ifdef SYS_arch_prctl
/*
 * The program sets or asks for its thread pointer, which is in place here: nothing is borrowed yet.
 * One that does so before it has threads of the C library's will make its own.
 */
static long serve_pointer(const struct call *call)
{
	if (call->arg[0] == ARCH_SET_FS && !raw_threads && __libc_single_threaded)
		start_raw_threads();
	return bare_call(SYS_arch_prctl, (long)call->arg[0], (long)call->arg[1]);
}
#endif

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	struct raw_thread *t = NULL;
	unsigned long present = 0;
	struct call call;

	if (info->si_code != SYS_SECCOMP || info->si_errno != MAGIC) {
		others_signal(sig, info, context);
		return;
	}
	call.nr = info->si_syscall;
	take_call(&call, uc);
#ifdef SYS_arch_prctl
	if (call.nr == SYS_arch_prctl) {
		give_result(uc, serve_pointer(&call));
		return;
	}
#endif
	if (raw_threads) {
		t = raw_thread();
		if (!t) {
			give_result(uc, -ENOMEM);
			return;
		}
		present = borrow(t);
	}
	give_result(uc, serve(&call, uc));
	if (t)
		give_back(t, present);
}

/* ---- Setting up -------------------------------------------------------------------------- */

static void complain(const char *what)
{
	dprintf(STDERR_FILENO, "armature: system calls are not trapped: %s: %s\n", what,
		strerror(errno));
}

__attribute__((constructor(200))) static void start(void)
{
	const char *told = getenv(DOOR_TRAP);
	struct sigaction act = {.sa_sigaction = on_sigsys,
				.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	struct sock_fprog prog = {.filter = program};
	sigset_t set;

	if (!(told && !strcmp(told, "1")) && !self_makes_calls())
		return;
	dl_iterate_phdr(add_object, NULL);
	make_filter();
	prog.len = length;
	pthread_key_create(&area_key, free_area);
	if (!self_needs_libc())
		start_raw_threads();
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	if (sigaction(SIGSYS, &act, &kept)) {
		complain("sigaction");
		return;
	}
	on = true;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog)) {
		on = false;
		sigaction(SIGSYS, &kept, NULL);
		complain("seccomp");
	}
}
