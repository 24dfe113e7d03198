/* SPDX-License-Identifier: MIT */
/*
 * What needs a running guest and is not the ABI's: services of the firmware, SError, and many
 * threads.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define TRNG_VERSION     0x84000050
#define TRNG_FEATURES    0x84000051
#define TRNG_RND32       0x84000053
#define TRNG_RND64       0xc4000053
#define PV_TIME_FEATURES 0xc5000020
#define PV_TIME_ST       0xc5000021
#define VENDOR_UID       0x8600ff01
#define VENDOR_FEAT      0x86000000
#define VENDOR_PTP       0x86000001
#define UNSUPPORTED      0xffffffffffffffff
#define INVALID_PARAM    0xfffffffffffffffe

/* One HVC; x0 to x3 afterwards. */
static void hvc(struct machine_under_test *m, uint64_t fn, uint64_t arg, uint64_t x[4])
{
	struct prog p = {0};
	int i;

	a_hvc(&p, 0);
	a_str(&p, 3, 0, 10);
	memcpy(m->ram, p.word, p.n * 4);
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	m->run->immediate_exit = 0;
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, X(0), fn), 0);
	assert_int_equal(set_u64(m->vcpu, X(1), arg), 0);
	assert_int_equal(set_u64(m->vcpu, X(10), MMIO), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	for (i = 0; i < 4; i++)
		x[i] = get_u64(m->vcpu, X(i));
}

static void entropy(void **state)
{
	struct machine_under_test *m = *state;
	uint64_t x[4], y[4];

	hvc(m, TRNG_VERSION, 0, x);
	assert_int_equal(x[0], 0x10000);
	hvc(m, TRNG_FEATURES, TRNG_RND64, x);
	assert_int_equal(x[0], 0);
	hvc(m, TRNG_FEATURES, 0x84000054, x);
	assert_int_equal(x[0], UNSUPPORTED);
	hvc(m, TRNG_RND64, 192, x);
	hvc(m, TRNG_RND64, 192, y);
	assert_int_equal(x[0], 0);
	assert_true(x[1] && x[2] && x[3]);
	assert_true(memcmp(x, y, sizeof(x)));
	hvc(m, TRNG_RND64, 8, x);
	assert_int_equal(x[0] | x[1] | x[2] | x[3] >> 8, 0);
	hvc(m, TRNG_RND64, 193, x);
	assert_int_equal(x[0], INVALID_PARAM);
	hvc(m, TRNG_RND32, 96, x);
	assert_int_equal(x[0], 0);
	assert_int_equal(x[1] >> 32 | x[2] >> 32 | x[3] >> 32, 0);
	hvc(m, TRNG_RND32, 97, x);
	assert_int_equal(x[0], INVALID_PARAM);
}

static void entropy_hidden(void **state)
{
	struct machine_under_test *m = *state;
	uint64_t x[4];

	assert_int_equal(set_u64(m->vcpu, KVM_REG_ARM_STD_BMAP, 0), 0);
	hvc(m, TRNG_VERSION, 0, x);
	assert_int_equal(x[0], UNSUPPORTED);
}

static void vendor(void **state)
{
	struct machine_under_test *m = *state;
	uint64_t x[4], before, ns;
	struct timespec ts;

	hvc(m, VENDOR_UID, 0, x);
	assert_int_equal(x[0], 0xb66fb428);
	hvc(m, VENDOR_FEAT, 0, x);
	assert_int_equal(x[0], 3);
	clock_gettime(CLOCK_REALTIME, &ts);
	before = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	hvc(m, VENDOR_PTP, 1, x);
	ns = x[0] << 32 | x[1];
	assert_in_range(ns, before, before + 1000000000);
	hvc(m, VENDOR_PTP, 7, x);
	assert_int_equal(x[0], UNSUPPORTED);
}

static void workarounds(void **state)
{
	static const struct {
		uint32_t fn;
		uint64_t value;
	} rows[] = {
		{0x80008000, 1},
		{0x80007fff, (uint64_t)-2},
		{0x80003fff, 1},
		{PV_TIME_FEATURES, 0},
	};
	struct machine_under_test *m = *state;
	uint64_t x[4];

	for (size_t i = 0; i < COUNT(rows); i++) {
		hvc(m, 0x80000001, rows[i].fn, x);
		assert_int_equal(x[0], rows[i].value);
	}
	/* There is the call, but no stolen time of this vCPU. */
	hvc(m, PV_TIME_FEATURES, PV_TIME_ST, x);
	assert_int_equal(x[0], UNSUPPORTED);
	hvc(m, PV_TIME_ST, 0, x);
	assert_int_equal(x[0], UNSUPPORTED);
}

static void stolen_time_hidden(void **state)
{
	struct machine_under_test *m = *state;
	uint64_t x[4];

	assert_int_equal(set_u64(m->vcpu, KVM_REG_ARM_STD_HYP_BMAP, 0), 0);
	hvc(m, 0x80000001, PV_TIME_FEATURES, x);
	assert_int_equal(x[0], UNSUPPORTED);
}

/* Accesses without a syndrome are the VMM's, if it has asked for them. */
static void no_syndrome_to_user(void **state)
{
	static const struct {
		uint32_t insn;
		bool write;
	} rows[] = {
		{0xa9000941, true},  /* STP X1, X2, [X10] */
		{0xa9400941, false}, /* LDP X1, X2, [X10] */
		{0xf8408541, false}, /* LDR X1, [X10], #8 */
	};
	struct kvm_enable_cap cap = {.cap = KVM_CAP_ARM_NISV_TO_USER};
	struct machine_under_test *m = *state;
	uint64_t x[4];

	for (unsigned int on = 0; on < 2; on++) {
		for (size_t i = 0; i < COUNT(rows); i++) {
			/* Nothing waits to be completed from the round before. */
			hvc(m, 0x80000000, 0, x);
			m->run->immediate_exit = 1;
			assert_int_equal(run_vcpu(m), -EINTR);
			m->run->immediate_exit = 0;
			memcpy(m->ram + 0x4000 + 4 * i, &rows[i].insn, 4);
			assert_int_equal(set_u64(m->vcpu, PC, RAM + 0x4000 + 4 * i), 0);
			assert_int_equal(set_u64(m->vcpu, X(10), MMIO + 0x18), 0);
			assert_int_equal(run_vcpu(m), on ? 0 : -ENOSYS);
			assert_int_equal(get_u64(m->vcpu, PC), RAM + 0x4000 + 4 * i);
			if (!on)
				continue;
			assert_int_equal(m->run->exit_reason, KVM_EXIT_ARM_NISV);
			assert_int_equal(m->run->arm_nisv.fault_ipa, MMIO + 0x18);
			assert_int_equal(!!(m->run->arm_nisv.esr_iss & 1 << 6), rows[i].write);
		}
		assert_int_equal(CALL_PTR(m->vm, KVM_ENABLE_CAP, &cap), 0);
	}
}

/* An SError waits for PSTATE.A, and then is taken once. */
static void serror(void **state)
{
	struct kvm_vcpu_events e = {.exception.serror_pending = 1};
	struct machine_under_test *m = *state;
	struct prog p = {0};
	uint64_t value;

	a_str(&p, 3, 10, 10);
	a_daifclr(&p, A_DAIF_A);
	a_str(&p, 3, A_XZR, 10);
	a_org(&p, 0x800 + 0x380);
	a_mrs(&p, 0, A_ESR_EL1);
	a_str(&p, 3, 0, 10);
	a_eret(&p);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, X(10), MMIO), 0);
	assert_int_equal(set_u64(m->vcpu, ARM64_SYS_REG(3, 0, 12, 0, 0), RAM + 0x800), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_VCPU_EVENTS, &e), 0);
	assert_int_equal(run_vcpu(m), 0);
	memcpy(&value, m->run->mmio.data, 8);
	assert_int_equal(value, MMIO);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
	assert_int_equal(e.exception.serror_pending, 1);
	assert_int_equal(run_vcpu(m), 0);
	memcpy(&value, m->run->mmio.data, 8);
	assert_int_equal(value >> 26, 0x2f);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
	assert_int_equal(e.exception.serror_pending, 0);
	assert_int_equal(run_vcpu(m), 0);
	memcpy(&value, m->run->mmio.data, 8);
	assert_int_equal(value, 0);
}

/* ---- Counting ---- */

#define INST_RETIRED 0x08

static void count_instructions(struct prog *p, uint64_t from)
{
	a_msri(p, A_PMCR_EL0, 0x41, 9);
	a_msri(p, A_PMEVTYPER0_EL0, INST_RETIRED, 9);
	a_msri(p, A_PMEVCNTR0_EL0, from, 9);
	a_msri(p, A_PMCNTENSET_EL0, 1, 9);
	a_isb(p);
}

/* Instructions counted between two reads of the counter, with one @insn between them. */
static uint64_t counted(struct machine_under_test *m, uint32_t insn)
{
	struct prog p = {0};
	unsigned int i = 0;

	count_instructions(&p, 0);
	a_mrs(&p, 11, A_PMEVCNTR0_EL0);
	a_emit(&p, insn);
	a_mrs(&p, 12, A_PMEVCNTR0_EL0);
	a_str(&p, 0, 0, 13);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, X(0), 0x84000000), 0);
	assert_int_equal(set_u64(m->vcpu, X(10), MMIO), 0);
	assert_int_equal(set_u64(m->vcpu, X(13), MMIO + 8), 0);
	do {
		assert_true(run_vcpu(m) == 0 && m->run->exit_reason == KVM_EXIT_MMIO);
	} while (m->run->mmio.phys_addr != MMIO + 8 && i++ < 5);
	m->run->immediate_exit = 1;
	run_vcpu(m);
	m->run->immediate_exit = 0;
	return get_u64(m->vcpu, X(12)) - get_u64(m->vcpu, X(11));
}

/* What the KVM or the VMM completes is an instruction like any other. */
static void every_instruction_counts(void **state)
{
	static const uint32_t insns[] = {
		0xf9000140, /* STR X0, [X10]: MMIO */
		0xf9400141, /* LDR X1, [X10] */
		0xd4000002, /* HVC #0 */
		0xd4000003, /* SMC #0 */
		0xd503207f, /* WFI, with a pin high */
		0xd503205f, /* WFE */
	};
	struct machine_under_test *m = *state;
	struct kvm_irq_level l = {.level = 1};
	uint64_t nop;

	assert_int_equal(CALL_PTR(m->vm, KVM_IRQ_LINE, &l), 0);
	nop = counted(m, 0xd503201f);
	for (size_t i = 0; i < COUNT(insns); i++)
		if (counted(m, insns[i]) != nop)
			fail_msg("instruction 0x%08x does not count as one", insns[i]);
}

/* An overflow of instructions is told where it happens, while the guest spins. */
static void instructions_overflow(void **state)
{
	struct machine_under_test *m = *state;
	struct prog p = {0};
	unsigned int loop;

	a_msri(&p, A_PMINTENCLR_EL1, 0xffffffff, 9);
	a_msri(&p, A_PMOVSCLR_EL0, 0xffffffff, 9);
	a_msri(&p, A_PMINTENSET_EL1, 1, 9);
	a_movi(&p, 8, 0);
	count_instructions(&p, (1ull << 32) - 100000);
	loop = a_here(&p);
	a_addi(&p, 8, 8, 1);
	a_b(&p, loop);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(m->run->s.regs.device_irq_level, KVM_ARM_DEV_PMU);
	/* Two instructions a round; the exit is at the next branch or so. */
	assert_in_range(get_u64(m->vcpu, X(8)), 49990, 50100);
}

/* ---- Threads ---- */

static void nothing(int sig)
{
}

static void catch_usr1(void)
{
	struct sigaction sa = {.sa_handler = nothing};

	sigaction(SIGUSR1, &sa, NULL);
}

struct runner {
	struct machine_under_test *m;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic unsigned int exits;
	int error;
};

static void *run_until_stopped(void *arg)
{
	struct runner *r = arg;
	int ret;

	while (!r->stop) {
		ret = run_vcpu(r->m);
		if (ret && ret != -EINTR)
			r->error = ret;
		r->exits++;
	}
	return NULL;
}

static void start_spinning(struct runner *r, struct machine_under_test *m)
{
	struct prog p = {0};
	unsigned int loop;

	memset(r, 0, sizeof(*r));
	r->m = m;
	loop = a_here(&p);
	a_addi(&p, 9, 9, 1);
	a_str(&p, 3, 9, 11);
	a_b(&p, loop);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, X(11), RAM + 0x8000), 0);
	assert_int_equal(pthread_create(&r->thread, NULL, run_until_stopped, r), 0);
}

static void stop_spinning(struct runner *r)
{
	r->stop = true;
	while (r->stop && pthread_tryjoin_np(r->thread, NULL)) {
		pthread_kill(r->thread, SIGUSR1);
		usleep(1000);
	}
	assert_int_equal(r->error, 0);
}

/* Slots come and go while the guest runs, and it neither stops nor leaves. */
static void slots_while_running(void **state)
{
	struct machine_under_test *m = *state;
	const uint64_t *counter = (const uint64_t *)(m->ram + 0x8000);
	uint64_t last;
	struct runner r;
	int i;

	catch_usr1();
	start_spinning(&r, m);
	for (i = 0; i < 100; i++) {
		assert_int_equal(
			set_region(m->vm, 1, 0, 0x10000000, 4096, (uintptr_t)m->ram + 0x10000), 0);
		assert_int_equal(
			set_region(m->vm, 1, 0, 0x20000000, 4096, (uintptr_t)m->ram + 0x10000), 0);
		assert_int_equal(set_region(m->vm, 1, 0, 0, 0, 0), 0);
	}
	last = __atomic_load_n(counter, __ATOMIC_RELAXED);
	while (__atomic_load_n(counter, __ATOMIC_RELAXED) == last)
		usleep(1000);
	assert_int_equal(r.exits, 0);
	stop_spinning(&r);
}

static void log_while_running(void **state)
{
	struct machine_under_test *m = *state;
	uint64_t bits[RAM_BYTES / 4096 / 64];
	struct kvm_dirty_log log = {.slot = 0, .dirty_bitmap = bits};
	struct runner r;
	int seen = 0;

	catch_usr1();
	assert_int_equal(
		set_region(m->vm, 0, KVM_MEM_LOG_DIRTY_PAGES, RAM, RAM_BYTES, (uintptr_t)m->ram),
		0);
	start_spinning(&r, m);
	/* It writes all the time, but may not be scheduled in each millisecond. */
	while (seen <= 10) {
		usleep(1000);
		assert_int_equal(CALL_PTR(m->vm, KVM_GET_DIRTY_LOG, &log), 0);
		assert_int_equal(bits[0] & ~(1ull << 8), 0);
		seen += bits[0] == 1ull << 8;
	}
	stop_spinning(&r);
}

/* Other threads' requests on a vCPU that runs wait for it; creating vCPUs does not. */
static void vcpus_while_running(void **state)
{
	struct machine_under_test *m = *state;
	struct runner r;
	int fd[10], i;

	catch_usr1();
	start_spinning(&r, m);
	for (i = 0; i < 10; i++) {
		fd[i] = call(m->vm, KVM_CREATE_VCPU, (unsigned long)i + 1);
		assert_true(fd[i] >= 0);
	}
	stop_spinning(&r);
	for (i = 0; i < 10; i++)
		armature_close(fd[i]);
}

struct mover {
	const struct machine_under_test *m;
	_Atomic bool stop;
	_Atomic unsigned int moves;
	bool failed;
};

static void *move_slot(void *arg)
{
	struct mover *v = arg;
	uint64_t hva = (uintptr_t)v->m->ram + 0x10000;

	for (; !v->stop; v->moves++) {
		v->failed |= set_region(v->m->vm, 1, 0, 0x10000000, 4096, hva) != 0;
		v->failed |= set_region(v->m->vm, 1, 0, 0x20000000, 4096, hva) != 0;
		v->failed |= set_region(v->m->vm, 1, 0, 0, 0, 0) != 0;
	}
	return NULL;
}

/* vCPUs come while slots move and a guest runs: both stop the VM, at the same time. */
static void vcpus_beside_slots(void **state)
{
	struct machine_under_test *m = *state;
	struct mover v = {.m = m};
	pthread_t thread;
	struct runner r;
	int fd[40];

	catch_usr1();
	start_spinning(&r, m);
	assert_int_equal(pthread_create(&thread, NULL, move_slot, &v), 0);
	while (!v.moves)
		usleep(100);
	for (size_t i = 0; i < COUNT(fd); i++) {
		fd[i] = call(m->vm, KVM_CREATE_VCPU, i + 1);
		assert_true(fd[i] >= 0);
	}
	v.stop = true;
	pthread_join(thread, NULL);
	assert_false(v.failed);
	stop_spinning(&r);
	for (size_t i = 0; i < COUNT(fd); i++)
		armature_close(fd[i]);
}

/* A descriptor that is closed while its vCPU runs: the vCPU runs on until it returns. */
static void closed_while_running(void **state)
{
	struct machine_under_test *m = *state;
	struct runner r;
	int other = dup(m->vcpu);

	catch_usr1();
	start_spinning(&r, m);
	usleep(5000);
	armature_close(other);
	armature_close(m->vm);
	m->vm = dup(m->vcpu);
	usleep(5000);
	stop_spinning(&r);
}

/* The handler of a signal jumps out of KVM_RUN: the vCPU can be run again. */
static sigjmp_buf back;

static void jump(int sig)
{
	siglongjmp(back, 1);
}

static void handler_jumps(void **state)
{
	struct machine_under_test *m = *state;
	struct sigaction sa = {.sa_handler = jump};
	struct itimerspec it = {.it_value.tv_nsec = 20000000};
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	struct prog p = {0};
	timer_t t;
	volatile int wfi;

	sigaction(SIGALRM, &sa, NULL);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
	for (wfi = 0; wfi < 2; wfi++) {
		p.n = 0;
		if (wfi)
			a_wfi(&p);
		else
			a_b(&p, 0);
		a_str(&p, 3, 10, 10);
		memcpy(m->ram + 0x4000 * (wfi + 1), p.word, p.n * 4);
		assert_int_equal(set_u64(m->vcpu, PC, RAM + 0x4000u * (wfi + 1)), 0);
		assert_int_equal(set_u64(m->vcpu, X(10), MMIO), 0);
		timer_settime(t, 0, &it, NULL);
		if (!sigsetjmp(back, 1)) {
			run_vcpu(m);
			fail_msg("KVM_RUN returned before the handler jumped");
		}
		if (!wfi)
			assert_int_equal(set_u64(m->vcpu, PC, RAM + 0x4000 + 4), 0);
		assert_int_equal(run_vcpu(m), 0);
		assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
		m->run->immediate_exit = 1;
		run_vcpu(m);
		m->run->immediate_exit = 0;
	}
	timer_delete(t);
}

/* The mask of the thread is the same after KVM_RUN as before. */
static void mask_is_restored(void **state)
{
	struct machine_under_test *m = *state;
	sigset_t set, before, after;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	assert_memory_equal(&before, &after, 8);
}

/* ---- The clock thread ---- */

struct sched_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* The slice that the scheduler gives thread @tid, ns; 0 where Linux does not tell (before 6.12). */
static uint64_t slice_of(long tid)
{
	struct sched_attributes a = {.size = sizeof(a)};

	assert_int_equal(syscall(SYS_sched_getattr, tid, &a, sizeof(a), 0), 0);
	return a.runtime;
}

/* The thread of this process that is called @name. */
static long find_thread(const char *name)
{
	DIR *d = opendir("/proc/self/task");
	const struct dirent *e;
	long found = 0;

	assert_non_null(d);
	while (!found && (e = readdir(d))) {
		char path[300], comm[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "r");
		if (f && fgets(comm, sizeof(comm), f)) {
			comm[strcspn(comm, "\n")] = '\0';
			if (!strcmp(comm, name))
				found = atol(e->d_name);
		}
		if (f)
			fclose(f);
	}
	closedir(d);
	return found;
}

/* When it wakes it is to run at once, though vCPUs' threads compute: its slice is shorter. */
static void clock_has_a_short_slice(void **state)
{
	uint64_t ours = slice_of(0);
	long clock;

	if (!ours)
		skip();
	/* When it has its name it has its slice. */
	while (!(clock = find_thread("armature-clock")))
		usleep(1000);
	assert_true(slice_of(clock) < ours);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(entropy),
		T(entropy_hidden),
		T(vendor),
		T(workarounds),
		T(stolen_time_hidden),
		T(no_syndrome_to_user),
		cmocka_unit_test_setup_teardown(every_instruction_counts, set_up_pmu, tear_down),
		cmocka_unit_test_setup_teardown(instructions_overflow, set_up_pmu, tear_down),
		T(serror),
		T(slots_while_running),
		T(log_while_running),
		T(vcpus_while_running),
		T(vcpus_beside_slots),
		T(closed_while_running),
		T(handler_jumps),
		T(mask_is_restored),
		T(clock_has_a_short_slice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
