/* SPDX-License-Identifier: MIT */
/*
 * Faults in generated code: who is asked, and who gets what is not the back end's.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "cpu/host_fault.h"
#include "cpu/host_mem.h"
#include "engine/back/x64/memory.h"

/* mov eax, [rdi]; ret; mov eax, 42; ret: what is read, or 42. */
static const uint8_t reads[] = {0x8b, 0x07, 0xc3, 0xb8, 42, 0, 0, 0, 0xc3};
#define FAULTS   0
#define RECOVERS 3

static _Atomic unsigned int asked, found;

static bool fix(ucontext_t *uc)
{
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	struct code_memory *m = code_memory_of(pc);
	struct code_block *b = m ? code_memory_block(m, pc) : NULL;

	asked++;
	if (!b || pc != (uintptr_t)b->code + FAULTS || b->owner != b)
		return false;
	found++;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)b->code + RECOVERS;
	return true;
}

static struct code_block *make_reader(struct code_memory *m, size_t size)
{
	struct code_block *b = code_memory_alloc(m, size), *rw;

	if (!b)
		return NULL;
	rw = code_memory_rw(m, b);
	rw->owner = b;
	memcpy(rw->code, reads, sizeof(reads));
	return b;
}

static int read_by(struct code_block *b, const void *from)
{
	return ((int (*)(const void *))(uintptr_t)b->code)(from);
}

static sigjmp_buf back;
static volatile sig_atomic_t theirs;

static void their_handler(int sig)
{
	theirs++;
	siglongjmp(back, 1);
}

static void sent_handler(int sig)
{
	theirs++;
}

static void *nowhere;

/* Tests arm for themselves, because cmocka puts a handler of its own there for each. */
static int setup(void **state)
{
	struct code_memory *m;

	nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (nowhere == MAP_FAILED || code_memory_create(&m, 1 << 20, 0))
		return -1;
	*state = m;
	asked = found = 0;
	theirs = 0;
	host_fault_ask(fix);
	return 0;
}

static int teardown(void **state)
{
	host_fault_ask(NULL);
	code_memory_destroy(*state);
	munmap(nowhere, 4096);
	return 0;
}

static void goes_on(void **state)
{
	struct code_block *b = make_reader(*state, sizeof(reads));
	int here = 5;

	host_fault_arm();
	assert_int_equal(read_by(b, &here), 5);
	assert_int_equal(read_by(b, nowhere), 42);
	/* No address at all: the kernel says less about this one. */
	assert_int_equal(read_by(b, (void *)0x8000000000000000), 42);
	assert_int_equal(asked, 2);
	assert_int_equal(found, 2);
}

/* What the table lists is not asked about. */
static void listed(void **state)
{
	uint32_t value;

	host_fault_arm();
	assert_false(host_load32(nowhere, &value));
	assert_int_equal(asked, 0);
}

/* A fault that is not the back end's, and one when it is not asked, are the process's own. */
static void not_ours(void **state)
{
	struct sigaction sa = {.sa_handler = their_handler}, old;
	struct code_block *b = make_reader(*state, sizeof(reads)), *rw = code_memory_rw(*state, b);

	host_fault_sigaction(SIGSEGV, &sa, &old);
	rw->owner = NULL;
	if (!sigsetjmp(back, 1))
		read_by(b, nowhere);
	assert_int_equal(theirs, 1);
	assert_int_equal(asked, 1);

	rw->owner = b;
	host_fault_ask(NULL);
	if (!sigsetjmp(back, 1))
		read_by(b, nowhere);
	assert_int_equal(theirs, 2);
	assert_int_equal(asked, 1);

	host_fault_ask(fix);
	assert_int_equal(read_by(b, nowhere), 42);
	assert_int_equal(theirs, 2);

	/* A signal that was sent is nobody's fault. */
	sa.sa_handler = sent_handler;
	host_fault_sigaction(SIGSEGV, &sa, NULL);
	raise(SIGSEGV);
	assert_int_equal(theirs, 3);
	assert_int_equal(asked, 2);
	host_fault_sigaction(SIGSEGV, &old, NULL);
}

/* Threads fault in blocks that they make and free, of which each is in use while it faults. */
#define THREADS     8
#define FAULTS_EACH 2000

static void *fault(void *data)
{
	struct code_memory *m = data;
	uintptr_t wrong = 0;

	for (unsigned int i = 0; i < FAULTS_EACH; i++) {
		struct code_block *b = make_reader(m, 20 + (i * 37) % 5000);

		wrong += !b || read_by(b, nowhere) != 42;
		code_memory_free(m, b);
	}
	return (void *)wrong;
}

static void *make_memories(void *data)
{
	_Atomic bool *stop = data;
	uintptr_t wrong = 0;

	while (!*stop) {
		struct code_memory *m;
		struct code_block *b;

		if (code_memory_create(&m, 64 << 10, 0))
			return (void *)1;
		b = make_reader(m, sizeof(reads));
		wrong += read_by(b, nowhere) != 42;
		code_memory_destroy(m);
		found--;
	}
	return (void *)wrong;
}

static void storm(void **state)
{
	_Atomic bool stop = false;
	pthread_t threads[THREADS], other;
	void *wrong;

	host_fault_arm();
	assert_int_equal(pthread_create(&other, NULL, make_memories, &stop), 0);
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fault, *state), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	stop = true;
	pthread_join(other, &wrong);
	assert_null(wrong);
	assert_int_equal(found, THREADS * FAULTS_EACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(listed, setup, teardown),
		cmocka_unit_test_setup_teardown(not_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(storm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
