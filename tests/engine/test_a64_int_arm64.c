/* SPDX-License-Identifier: MIT */
/*
 * For arm64: executes instructions one by one with given registers and memory. Reads struct
 * int_case from standard input, writes the same with the state after it to standard output.
 *
 * The instruction stands in a page of its own, entered with every register loaded. What follows it
 * branches to the epilogue, which parks X0 in TPIDR_EL0 to gain a register; a signal's handler
 * sends the instruction there too.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "test_a64_int_case.h"

void run_case(struct int_case *c);
extern char landing_next[], landing_taken[], landing_signal[];
uint64_t run_saved[4] __attribute__((used)); /* SP, TPIDR_EL0, the case, outcome of a signal */

#define STRING(x)  #x
#define EXPAND(x)  STRING(x)
#define X_OFFSET   8
#define V_OFFSET   264
#define OUT_OFFSET 1288
_Static_assert(offsetof(struct int_case, x) == X_OFFSET, "");
_Static_assert(offsetof(struct int_case, v) == V_OFFSET, "");
_Static_assert(offsetof(struct int_case, outcome) == OUT_OFFSET, "");

/* clang-format off */
#define ALL_BUT_X0_X1 "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, " \
	"22, 23, 24, 25, 26, 27, 28, 29, 30"
asm(".text\n"
    ".macro landing name, code\n"
    ".global \\name\n"
    "\\name:\n"
    "	msr	tpidr_el0, x0\n"
    "	adrp	x0, run_saved\n"
    "	add	x0, x0, :lo12:run_saved\n"
    "	ldr	x0, [x0, #16]\n"
    "	str	x1, [x0, #" EXPAND(X_OFFSET) " + 8]\n"
    "	mov	w1, #\\code\n"
    "	b	landed\n"
    ".endm\n"
    ".global run_case\n"
    "run_case:\n"
    "	stp	x29, x30, [sp, #-160]!\n"
    "	stp	x19, x20, [sp, #16]\n"
    "	stp	x21, x22, [sp, #32]\n"
    "	stp	x23, x24, [sp, #48]\n"
    "	stp	x25, x26, [sp, #64]\n"
    "	stp	x27, x28, [sp, #80]\n"
    "	stp	d8, d9, [sp, #96]\n"
    "	stp	d10, d11, [sp, #112]\n"
    "	stp	d12, d13, [sp, #128]\n"
    "	stp	d14, d15, [sp, #144]\n"
    "	adrp	x9, run_saved\n"
    "	add	x9, x9, :lo12:run_saved\n"
    "	mov	x10, sp\n"
    "	str	x10, [x9]\n"
    "	mrs	x10, tpidr_el0\n"
    "	str	x10, [x9, #8]\n"
    "	str	x0, [x9, #16]\n"
    "	add	x2, x0, #" EXPAND(V_OFFSET) "\n"
    "	.irp	n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30\n"
    "	ldr	q\\n, [x2], #16\n"
    "	.inst	0x3cc10440 | (\\n + 1)\n"	/* ldr q(n + 1), [x2], #16 */
    "	.endr\n"
    "	ldr	x1, [x0, #" EXPAND(X_OFFSET) " + 31 * 8]\n"
    "	mov	sp, x1\n"
    "	ldr	w1, [x0, #4]\n"
    "	msr	nzcv, x1\n"
    "	clrex\n"
    "	add	x0, x0, #" EXPAND(X_OFFSET) "\n"
    "	.irp	n, " ALL_BUT_X0_X1 "\n"
    "	ldr	x\\n, [x0, #\\n * 8]\n"
    "	.endr\n"
    "	ldr	x1, =0x02000000\n"
    "	br	x1\n"
    "	landing landing_next, 0\n"
    "	landing landing_taken, 1\n"
    "	landing landing_signal, 3\n"
    "landed:\n"
    "	str	w1, [x0, #" EXPAND(OUT_OFFSET) "]\n"
    "	.irp	n, " ALL_BUT_X0_X1 "\n"
    "	str	x\\n, [x0, #" EXPAND(X_OFFSET) " + \\n * 8]\n"
    "	.endr\n"
    "	mov	x1, sp\n"
    "	str	x1, [x0, #" EXPAND(X_OFFSET) " + 31 * 8]\n"
    "	mrs	x1, nzcv\n"
    "	str	w1, [x0, #4]\n"
    "	mrs	x1, tpidr_el0\n"
    "	str	x1, [x0, #" EXPAND(X_OFFSET) "]\n"
    "	add	x2, x0, #" EXPAND(V_OFFSET) "\n"
    "	.irp	n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30\n"
    "	str	q\\n, [x2], #16\n"
    "	.inst	0x3c810440 | (\\n + 1)\n"	/* str q(n + 1), [x2], #16 */
    "	.endr\n"
    "	adrp	x9, run_saved\n"
    "	add	x9, x9, :lo12:run_saved\n"
    "	ldr	x10, [x9]\n"
    "	mov	sp, x10\n"
    "	ldr	x10, [x9, #8]\n"
    "	msr	tpidr_el0, x10\n"
    "	ldp	x19, x20, [sp, #16]\n"
    "	ldp	x21, x22, [sp, #32]\n"
    "	ldp	x23, x24, [sp, #48]\n"
    "	ldp	x25, x26, [sp, #64]\n"
    "	ldp	x27, x28, [sp, #80]\n"
    "	ldp	d8, d9, [sp, #96]\n"
    "	ldp	d10, d11, [sp, #112]\n"
    "	ldp	d12, d13, [sp, #128]\n"
    "	ldp	d14, d15, [sp, #144]\n"
    "	ldp	x29, x30, [sp], #160\n"
    "	ret\n");
/* clang-format on */

static void on_signal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)info;
	run_saved[3] = sig == SIGILL ? CASE_ILL : CASE_SIGNAL;
	uc->uc_mcontext.pc = (uintptr_t)landing_signal;
}

static void move(int fd, char *p, size_t n, ssize_t (*call)(int, void *, size_t))
{
	while (n) {
		ssize_t done = call(fd, p, n);

		if (done <= 0)
			_exit(done < 0);
		p += done;
		n -= (size_t)done;
	}
}

static ssize_t write_some(int fd, void *p, size_t n)
{
	return write(fd, p, n);
}

static void *map(uint64_t at, int prot)
{
	void *p = mmap((void *)at, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		       -1, 0);

	if (p != (void *)at)
		_exit(2);
	return p;
}

static uint32_t branch_to(const uint32_t *from, const char *to)
{
	return 0x14000000 | (((uint32_t)((intptr_t)to - (intptr_t)from) >> 2) & 0x3ffffff);
}

int main(void)
{
	static char stack[65536];
	static struct int_case c;
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	uint32_t *code = map(CASE_CODE, PROT_READ | PROT_WRITE | PROT_EXEC);
	uint8_t *data = map(CASE_DATA, PROT_READ | PROT_WRITE);
	static const int signals[] = {SIGILL, SIGBUS, SIGSEGV, SIGTRAP};

	sigaltstack(&ss, NULL);
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &sa, NULL);
	code[0] = 0xa9400400; /* ldp x0, x1, [x0] */
	code[2] = branch_to(&code[2], landing_next);
	code[3] = branch_to(&code[3], landing_taken);
	for (unsigned int i = 0; i < CASE_POOL_LEN / 4; i++)
		code[CASE_POOL / 4 + i] = case_pool_word(i);
	for (;;) {
		move(0, (char *)&c, sizeof(c), read);
		code[1] = c.insn;
		__builtin___clear_cache((char *)code, (char *)(code + 4));
		__builtin_memcpy(data, c.mem, sizeof(c.mem));
		run_case(&c);
		if (c.outcome == CASE_SIGNAL)
			c.outcome = (uint32_t)run_saved[3];
		__builtin_memcpy(c.mem, data, sizeof(c.mem));
		move(1, (char *)&c, sizeof(c), write_some);
	}
}
