/* SPDX-License-Identifier: MIT */
/*
 * Single-copy atomicity (Arm ARM B2.2.1), by its cause: how many host instructions touch the data
 * of an access. The page is taken away; each host instruction that wants it faults, is counted, and
 * gets it for one step. An aligned access that the architecture calls atomic must be one.
 *
 * Where the host cannot step (it is not x86-64), there is nothing to count.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/engine/guest.h"

#define CODE (EL1_BASE + 0x1000)
#define DATA (RAM_BASE + 0x40000)
#define AT   0x40

static struct guest g;

#if defined(__x86_64__)
#define TRAP_FLAG 0x100

static uint8_t *page;
static volatile unsigned int touches, outside;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint8_t *at = info->si_addr;

	if (at < page || at >= page + MEM_PAGE_SIZE) {
		outside++;
		signal(SIGSEGV, SIG_DFL);
		return;
	}
	touches++;
	mprotect(page, MEM_PAGE_SIZE, PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	mprotect(page, MEM_PAGE_SIZE, PROT_NONE);
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static const struct {
	uint32_t word, before; /* @before opens the monitor */
	unsigned int touches;
	const char *name;
} rows[] = {
	{0x39400001, 0, 1, "ldrb w1, [x0]"},
	{0x79400001, 0, 1, "ldrh w1, [x0]"},
	{0xb9400001, 0, 1, "ldr w1, [x0]"},
	{0xf9400001, 0, 1, "ldr x1, [x0]"},
	{0xb9800001, 0, 1, "ldrsw x1, [x0]"},
	{0x39800001, 0, 1, "ldrsb x1, [x0]"},
	{0xf8646801, 0, 1, "ldr x1, [x0, x4]"},
	{0xfd400000, 0, 1, "ldr d0, [x0]"},
	{0xa9400801, 0, 2, "ldp x1, x2, [x0]"},
	{0x29400801, 0, 2, "ldp w1, w2, [x0]"},
	{0xf8400801, 0, 1, "ldtr x1, [x0]"},
	{0xc8dffc01, 0, 1, "ldar x1, [x0]"},
	{0x48dffc01, 0, 1, "ldarh w1, [x0]"},
	{0xf8bfc001, 0, 1, "ldapr x1, [x0]"},
	{0xc85f7c01, 0, 1, "ldxr x1, [x0]"},
	{0x085ffc01, 0, 1, "ldaxrb w1, [x0]"},
	{0x887f0801, 0, 1, "ldxp w1, w2, [x0]"},
	{0x887f8801, 0, 1, "ldaxp w1, w2, [x0]"},
	{0xc87f8801, 0, 2, "ldaxp x1, x2, [x0]"},
	{0x39000001, 0, 1, "strb w1, [x0]"},
	{0x79000001, 0, 1, "strh w1, [x0]"},
	{0xb9000001, 0, 1, "str w1, [x0]"},
	{0xf9000001, 0, 1, "str x1, [x0]"},
	{0xf8246801, 0, 1, "str x1, [x0, x4]"},
	{0xfd000000, 0, 1, "str d0, [x0]"},
	{0xa9000801, 0, 2, "stp x1, x2, [x0]"},
	{0x29000801, 0, 2, "stp w1, w2, [x0]"},
	{0xf8000801, 0, 1, "sttr x1, [x0]"},
	{0xc89ffc01, 0, 1, "stlr x1, [x0]"},
	{0x489ffc01, 0, 1, "stlrh w1, [x0]"},
	{0xf8210002, 0, 1, "ldadd x1, x2, [x0]"},
	{0x38210002, 0, 1, "ldaddb w1, w2, [x0]"},
	{0xf8218002, 0, 1, "swp x1, x2, [x0]"},
	{0xc8a17c02, 0, 1, "cas x1, x2, [x0]"},
	{0x08a17c02, 0, 1, "casb w1, w2, [x0]"},
	{0x48247c06, 0, 1, "casp x4, x5, x6, x7, [x0]"},
	{0x08247c06, 0, 1, "casp w4, w5, w6, w7, [x0]"},
	{0xc8037c02, 0xc85f7c01, 1, "stxr w3, x2, [x0]"},
	{0xc8230801, 0xc87f8801, 1, "stxp w3, x1, x2, [x0]"},
	{0x88230801, 0x887f0801, 1, "stxp w3, w1, w2, [x0]"},
};

/* @words up to the HVC. */
static void run_words(struct cpu *cpu, uint64_t pc)
{
	cpu->x[0] = DATA + AT;
	cpu->x[4] = 0;
	cpu->pc = pc;
	assert_int_equal(guest_run(&g, 0), CPU_EXIT_HVC);
	assert_true(cpu->pc == pc + 8);
}

/* By the inline probe; or the slow way, because the TLB has no line. */
enum how { WARM, COLD, NR_HOW };

static void each(void **state)
{
	struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, old[2];
	struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
	struct cpu *cpu = g.cpu[0];

	page = guest_host(&g, DATA);
	sigaction(SIGSEGV, &fault, &old[0]);
	sigaction(SIGTRAP, &step, &old[1]);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		guest_code(&g, CODE, rows[i].before ? rows[i].before : NOP, HVC(1), rows[i].word,
			   HVC(2));
		for (unsigned int how = 0; how < NR_HOW; how++) {
			guest_reset(&g, 0, CODE, 1);
			memset(page, 0, MEM_PAGE_SIZE);
			run_words(cpu, CODE);
			run_words(cpu, CODE + 8);
			run_words(cpu, CODE);
			if (how == COLD)
				tlb_flush(cpu);
			touches = 0;
			mprotect(page, MEM_PAGE_SIZE, PROT_NONE);
			run_words(cpu, CODE + 8);
			mprotect(page, MEM_PAGE_SIZE, PROT_READ | PROT_WRITE);
			assert_int_equal(outside, 0);
			if (touches != rows[i].touches)
				fail_msg("%s, %s: %u host instructions", rows[i].name,
					 how == COLD ? "cold" : "warm", touches);
		}
	}
	sigaction(SIGSEGV, &old[0], NULL);
	sigaction(SIGTRAP, &old[1], NULL);
}
#else
static void each(void **state)
{
	skip();
}
#endif

static int setup(void **state)
{
	guest_start(&g, 1);
	return 0;
}

static int teardown(void **state)
{
	guest_stop(&g);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
