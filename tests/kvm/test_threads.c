/* SPDX-License-Identifier: MIT */
/*
 * Everything at once, for ThreadSanitizer to watch: one thread makes every request that a vCPU has,
 * another creates, moves and deletes slots, takes the dirty log and creates vCPUs, and a third runs
 * a vCPU that reads, writes, broadcasts maintenance and gets its interrupts from a fourth. Without
 * it the test still wants each request to succeed, and the guest to go on.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define ELSEWHERE 0x50000000ull
#define ROUNDS    200 /* of each thread */
#define MAX_REGS  512

#define TRNG_VERSION 0x84000050u

/* Of the program of the vCPU that is asked everything, of the one that runs, from RAM's start. */
#define ASKED_CODE   0
#define RUNNING_CODE 0x1000

static struct machine_under_test *m, running;
static _Atomic bool done;

static void nothing(int sig)
{
}

/* ---- A vCPU that is asked everything ---- */

static void every_register(void)
{
	uint64_t list[1 + MAX_REGS] = {MAX_REGS}; /* struct kvm_reg_list */

	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_REG_LIST, list), 0);
	for (uint64_t i = 1; i <= list[0]; i++) {
		unsigned char value[256];

		assert_int_equal(get_id(m->vcpu, list[i], value), 0);
		/* Some are read-only in their value; the counter's moves all vCPUs'. */
		set_id(m->vcpu, list[i], value);
	}
}

static void every_attribute(void)
{
	int ppi;
	struct kvm_device_attr a = {.group = KVM_ARM_VCPU_TIMER_CTRL, .addr = (uintptr_t)&ppi};

	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_DEVICE_ATTR, &a), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_HAS_DEVICE_ATTR, &a), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_DEVICE_ATTR, &a), -EINVAL);
	a = (struct kvm_device_attr){.group = KVM_ARM_VCPU_PMU_V3_CTRL,
				     .attr = KVM_ARM_VCPU_PMU_V3_INIT};
	CALL_PTR(m->vcpu, KVM_SET_DEVICE_ATTR, &a);
}

static void every_other_request(void)
{
	struct kvm_mp_state state;
	struct kvm_vcpu_events events = {0};
	int fd = call(m->vcpu, KVM_GET_STATS_FD, 0), feature = 4;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_MP_STATE, &state), 0);
	state.mp_state = KVM_MP_STATE_STOPPED;
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_MP_STATE, &state), 0);
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_MP_STATE, &state), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_VCPU_EVENTS, &events), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_VCPU_EVENTS, &events), 0);
	assert_int_equal(call(m->vcpu, KVM_SET_SIGNAL_MASK, 0), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_ARM_VCPU_FINALIZE, &feature), -EINVAL);
}

/* The program: load from and store to the slot, or to nothing, then report. */
static void run_a_little(void)
{
	int ret;

	assert_int_equal(set_u64(m->vcpu, PC, RAM + ASKED_CODE), 0);
	assert_int_equal(set_u64(m->vcpu, X(1), ELSEWHERE), 0);
	assert_int_equal(set_u64(m->vcpu, X(10), MMIO), 0);
	do {
		ret = run_vcpu(m);
		assert_true(!ret || ret == -EINTR);
	} while (ret || m->run->exit_reason != KVM_EXIT_MMIO || m->run->mmio.phys_addr != MMIO);
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	m->run->immediate_exit = 0;
}

static void *ask_everything(void *arg)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		every_register();
		every_attribute();
		every_other_request();
		assert_int_equal(init_vcpu(m->vcpu, PSCI_FEATURE | PMU_FEATURE), 0);
		run_a_little();
	}
	return NULL;
}

/* ---- Slots and vCPUs ---- */

static void *change_slots(void *arg)
{
	uintptr_t hva = (uintptr_t)m->ram + 0x20000;
	uint64_t bits;
	struct kvm_dirty_log log = {.slot = 1, .dirty_bitmap = &bits};

	for (unsigned int i = 0; i < ROUNDS; i++) {
		assert_int_equal(set_region(m->vm, 1, 0, ELSEWHERE, PAGE, hva), 0);
		assert_int_equal(set_region(m->vm, 1, 0, ELSEWHERE + PAGE, PAGE, hva), 0);
		assert_int_equal(
			set_region(m->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, ELSEWHERE, PAGE, hva), 0);
		for (unsigned int k = 0; k < 3; k++) {
			sched_yield();
			assert_int_equal(CALL_PTR(m->vm, KVM_GET_DIRTY_LOG, &log), 0);
		}
		assert_int_equal(set_region(m->vm, 1, 0, 0, 0, 0), 0);
	}
	return NULL;
}

static void *create_vcpus(void *arg)
{
	for (unsigned long id = 2; id < 32; id++) {
		int fd = call(m->vm, KVM_CREATE_VCPU, id);

		assert_true(fd >= 0);
		assert_int_equal(init_vcpu(fd, PSCI_FEATURE), 0);
		assert_int_equal(armature_close(fd), 0);
		sched_yield();
	}
	return NULL;
}

static void *drive_pins(void *arg)
{
	while (!done) {
		for (unsigned int i = 0; i < 4; i++) {
			/* Type CPU, vCPU 0 or 1, IRQ. */
			struct kvm_irq_level l = {.irq = (i & 1) << KVM_ARM_IRQ_VCPU_SHIFT,
						  .level = i >> 1};

			assert_int_equal(CALL_PTR(m->vm, KVM_IRQ_LINE, &l), 0);
		}
		usleep(100);
	}
	return NULL;
}

/* ---- The vCPU that runs ---- */

static void *run_until_done(void *arg)
{
	while (!done) {
		int ret = run_vcpu(&running);

		/* The slot is gone: its accesses leave, and come back. */
		assert_true(ret == -EINTR || (!ret && running.run->exit_reason == KVM_EXIT_MMIO));
	}
	return NULL;
}

static void put_programs(void)
{
	static const uint32_t calls[] = {TRNG_VERSION, PSCI_0_2_FN_PSCI_VERSION,
					 PSCI_0_2_FN64_AFFINITY_INFO, PSCI_0_2_FN64_CPU_ON};
	struct prog asked = {0}, runs = {0};
	unsigned int loop;

	a_ldr(&asked, 3, 0, 1);
	a_str(&asked, 3, 0, 1);
	a_str(&asked, 3, 0, 10);
	memcpy(m->ram + ASKED_CODE, asked.word, asked.n * 4);
	loop = a_here(&runs);
	a_addi(&runs, 9, 9, 1);
	a_str(&runs, 3, 9, 11); /* how far it is */
	a_ldr(&runs, 3, 0, 21);
	a_str(&runs, 3, 9, 21);
	/* The other vCPU may be stopped at the moment: then it is started, and reset. */
	for (unsigned int i = 0; i < COUNT(calls); i++) {
		a_movi(&runs, 0, calls[i]);
		a_movi(&runs, 1, 0);
		a_movi(&runs, 2, RAM + ASKED_CODE);
		a_hvc(&runs, 0);
	}
	a_mrs(&runs, 0, A_SYSREG(3, 0, 0, 4, 0)); /* ID_AA64PFR0_EL1, of which two fields are set */
	a_mrs(&runs, 0, A_CNTVCT_EL0);
	a_emit(&runs, 0xd508831f); /* TLBI VMALLE1IS */
	a_dsb(&runs);
	a_emit(&runs, 0xd508711f);      /* IC IALLUIS */
	a_emit(&runs, 0xd50b7520 | 12); /* IC IVAU, X12 */
	a_dsb(&runs);
	a_isb(&runs);
	a_b(&runs, loop);
	memcpy(m->ram + RUNNING_CODE, runs.word, runs.n * 4);
}

static void start_running(void)
{
	running = *m;
	running.vcpu = call(m->vm, KVM_CREATE_VCPU, 1);
	assert_true(running.vcpu >= 0);
	running.run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, running.vcpu, 0);
	assert_ptr_not_equal(running.run, MAP_FAILED);
	assert_int_equal(init_vcpu(running.vcpu, PSCI_FEATURE), 0);
	assert_int_equal(set_u64(running.vcpu, PC, RAM + RUNNING_CODE), 0);
	assert_int_equal(set_u64(running.vcpu, X(21), ELSEWHERE), 0);
	assert_int_equal(set_u64(running.vcpu, X(11), RAM + 0x30000), 0);
	assert_int_equal(set_u64(running.vcpu, X(12), RAM + RUNNING_CODE), 0);
}

static void everything(void **state)
{
	void *(*const bodies[])(void *) = {ask_everything, change_slots, create_vcpus};
	struct sigaction sa = {.sa_handler = nothing};
	pthread_t threads[COUNT(bodies)], runner, driver;

	m = *state;
	done = false;
	armature_sigaction(SIGUSR1, &sa, NULL);
	assert_int_equal(init_vcpu(m->vcpu, PSCI_FEATURE | PMU_FEATURE), 0);
	put_programs();
	start_running();
	assert_int_equal(pthread_create(&runner, NULL, run_until_done, NULL), 0);
	assert_int_equal(pthread_create(&driver, NULL, drive_pins, NULL), 0);
	for (size_t i = 0; i < COUNT(bodies); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], NULL), 0);
	for (size_t i = 0; i < COUNT(bodies); i++)
		pthread_join(threads[i], NULL);
	done = true;
	pthread_join(driver, NULL);
	while (pthread_tryjoin_np(runner, NULL)) {
		pthread_kill(runner, SIGUSR1);
		usleep(1000);
	}
	assert_true(get_u64(running.vcpu, X(9)) > 0);
	munmap(running.run, PAGE);
	armature_close(running.vcpu);
}

/* ---- A number that is guessed ---- */

#define NO_GUESS -1

static _Atomic int guess, guessing;

/* KVM_RUN of whatever has the number: before anybody was told that it is a vCPU's. */
static void *run_guess(void *arg)
{
	uintptr_t wrong = 0;

	while (!done) {
		guessing = guess;
		if (guessing != NO_GUESS)
			wrong += armature_ioctl(guessing, KVM_RUN, 0) >= 0;
	}
	return (void *)wrong;
}

/* Only while a vCPU is made: whoever closes a number does so when nobody uses it. */
static int create_guessed(int vm, int number)
{
	int vcpu;

	guess = number;
	while (guessing != number)
		sched_yield();
	vcpu = call(vm, KVM_CREATE_VCPU, 0);
	guess = NO_GUESS;
	while (guessing != NO_GUESS)
		sched_yield();
	return vcpu;
}

/* A vCPU is all there before a request on it is served. */
static void guessed(void **state)
{
	struct machine_under_test *t = *state;
	int number = NO_GUESS;
	pthread_t thread;
	void *wrong;

	done = false;
	guess = NO_GUESS;
	assert_int_equal(pthread_create(&thread, NULL, run_guess, NULL), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		int vm = call(t->sys, KVM_CREATE_VM, 0);

		/* The same number each time: nobody else opens files. */
		number = create_guessed(vm, number);
		assert_true(number >= 0);
		armature_close(number);
		armature_close(vm);
	}
	done = true;
	pthread_join(thread, &wrong);
	assert_null(wrong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything, set_up_bare, tear_down),
		cmocka_unit_test_setup_teardown(guessed, set_up_bare, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
