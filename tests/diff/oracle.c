/* SPDX-License-Identifier: MIT */
/*
 * The oracle: an arm64 program that runs cases from standard input and writes the states they end
 * in to standard output. Started under qemu-aarch64 by diff.c. Cases come in batches of CASE_SLOTS.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "case.h"

static struct state state; /* what run_words() loads from and stores to */
uint64_t host_sp;

/* Load every register from @s, go to @code; the signal handler brings it back to case_back. */
void run_words(struct state *s, uint64_t code);
__asm__(".text\n .global run_words\n"
	"run_words:\n"
	"stp x29, x30, [sp, #-16]!\n stp x27, x28, [sp, #-16]!\n"
	"stp x25, x26, [sp, #-16]!\n stp x23, x24, [sp, #-16]!\n"
	"stp x21, x22, [sp, #-16]!\n stp x19, x20, [sp, #-16]!\n"
	"stp d8, d9, [sp, #-16]!\n stp d10, d11, [sp, #-16]!\n"
	"stp d12, d13, [sp, #-16]!\n stp d14, d15, [sp, #-16]!\n"
	"adrp x2, host_sp\n add x2, x2, :lo12:host_sp\n mov x3, sp\n"
	"str x3, [x2]\n add x2, x0, #256\n"
	"ldp q0, q1, [x2], #32\n ldp q2, q3, [x2], #32\n ldp q4, q5, [x2], #32\n"
	"ldp q6, q7, [x2], #32\n ldp q8, q9, [x2], #32\n ldp q10, q11, [x2], #32\n"
	"ldp q12, q13, [x2], #32\n ldp q14, q15, [x2], #32\n ldp q16, q17, [x2], #32\n"
	"ldp q18, q19, [x2], #32\n ldp q20, q21, [x2], #32\n ldp q22, q23, [x2], #32\n"
	"ldp q24, q25, [x2], #32\n ldp q26, q27, [x2], #32\n ldp q28, q29, [x2], #32\n"
	"ldp q30, q31, [x2], #32\n"
	"ldr w3, [x2]\n msr nzcv, x3\n ldr w3, [x2, #4]\n"
	"msr fpcr, x3\n msr fpsr, xzr\n ldr x3, [x0, #248]\n"
	"mov sp, x3\n"
	/* the code's address; X30 of the case is lost: it is this on both sides */
	"mov x30, x1\n"
	"ldp x2, x3, [x0, #16]\n ldp x4, x5, [x0, #32]\n ldp x6, x7, [x0, #48]\n"
	"ldp x8, x9, [x0, #64]\n ldp x10, x11, [x0, #80]\n ldp x12, x13, [x0, #96]\n"
	"ldp x14, x15, [x0, #112]\n ldp x16, x17, [x0, #128]\n ldp x18, x19, [x0, #144]\n"
	"ldp x20, x21, [x0, #160]\n ldp x22, x23, [x0, #176]\n ldp x24, x25, [x0, #192]\n"
	"ldp x26, x27, [x0, #208]\n ldp x28, x29, [x0, #224]\n"
	"ldr x1, [x0, #8]\n ldr x0, [x0]\n br x30\n"
	".global case_back\n"
	"case_back:\n"
	/*
	 * The signal handler (every case ends in one) has stored the guest's registers: only ours
	 * to restore.
	 */
	"adrp x2, host_sp\n add x2, x2, :lo12:host_sp\n ldr x3, [x2]\n"
	"mov sp, x3\n msr fpcr, xzr\n"
	"ldp d14, d15, [sp], #16\n ldp d12, d13, [sp], #16\n ldp d10, d11, [sp], #16\n"
	"ldp d8, d9, [sp], #16\n ldp x19, x20, [sp], #16\n ldp x21, x22, [sp], #16\n"
	"ldp x23, x24, [sp], #16\n ldp x25, x26, [sp], #16\n ldp x27, x28, [sp], #16\n"
	"ldp x29, x30, [sp], #16\n"
	"ret\n");

extern char case_back[];
static uint64_t case_start;

/* Every case ends here: its last word is a BRK, or an instruction before has faulted. */
static void handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	struct fpsimd_context *fp = (void *)uc->uc_mcontext.__reserved;

	for (int i = 0; i < 31; i++)
		state.x[i] = uc->uc_mcontext.regs[i];
	state.sp = uc->uc_mcontext.sp;
	state.nzcv = (uint32_t)uc->uc_mcontext.pstate & 0xf0000000u;
	while (fp->head.magic && fp->head.magic != FPSIMD_MAGIC)
		fp = (void *)((char *)fp + fp->head.size);
	memcpy(state.v, fp->vregs, sizeof(state.v));
	state.fpsr = fp->fpsr;
	state.fpcr = fp->fpcr;
	state.stop = (uint32_t)(uc->uc_mcontext.pc - case_start) / 4;
	if (sig == SIGSEGV || sig == SIGBUS)
		state.stop |= CASE_STOP_FAULT;
	else if (sig == SIGILL)
		state.stop |= CASE_STOP_UNDEF;
	uc->uc_mcontext.pc = (uint64_t)case_back;
	uc->uc_mcontext.sp = host_sp;
}

static void read_all(void *p, size_t n)
{
	while (n) {
		ssize_t k = read(0, p, n);

		if (k <= 0)
			exit(0);
		p = (char *)p + k;
		n -= (size_t)k;
	}
}

static void write_all(const void *p, size_t n)
{
	while (n) {
		ssize_t k = write(1, p, n);

		if (k <= 0)
			exit(1);
		p = (const char *)p + k;
		n -= (size_t)k;
	}
}

int main(void)
{
	static struct test_case cases[CASE_SLOTS];
	static struct state out[CASE_SLOTS];
	static char stack[1 << 16];
	int prot = PROT_READ | PROT_WRITE;
	uint8_t *data = mmap((void *)DATA_BASE, DATA_SIZE, prot,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	uint32_t *code = mmap((void *)CODE_BASE, CODE_SIZE, prot | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	struct sigaction sa = {.sa_sigaction = handler,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};

	sigaltstack(&ss, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	for (;;) {
		read_all(cases, sizeof(cases));
		mprotect(code, CODE_SIZE, prot | PROT_EXEC);
		for (int i = 0; i < CASE_SLOTS; i++) {
			uint32_t *w = code + i * CASE_SLOT_WORDS;

			for (int k = 0; k < CASE_SLOT_WORDS; k++)
				w[k] = 0xd4200000; /* BRK #0 */
			memcpy(w, cases[i].word, cases[i].nr * 4);
		}
		__builtin___clear_cache((char *)code, (char *)code + CODE_SIZE);
		/* A case that went astray must not change those after it. */
		mprotect(code, CODE_SIZE, PROT_READ | PROT_EXEC);
		for (int i = 0; i < CASE_SLOTS; i++) {
			state_init(&state, &cases[i]);
			data_init(data + DATA_SIZE / 2, &cases[i]);
			case_start = CODE_BASE + (uint64_t)i * CASE_SLOT_WORDS * 4;
			run_words(&state, case_start);
			state.memory = data_hash(data + DATA_SIZE / 2);
			out[i] = state;
		}
		write_all(out, sizeof(out));
	}
}
