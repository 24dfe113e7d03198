/* SPDX-License-Identifier: MIT */
/*
 * The virtual counter is one for all vCPUs of a VM, whoever sets it, is reset or created meanwhile.
 *
 * The counter is the host's clock behind one offset, so of three reads one after the other, on any
 * vCPUs, none is less than the one before; if two vCPUs had offsets of their own, reading the one
 * between two reads of the other would show it. Nothing here depends on how long anything takes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define SETS      10000
#define MANY_VMS  60
#define TOGETHER  8
#define CNT       KVM_REG_ARM_TIMER_CNT
#define FAR_APART 40 /* log2 of the distance of one set from the next, ns: a quarter of an hour */

static bool agree(int a, int b)
{
	uint64_t first = get_u64(a, CNT), between = get_u64(b, CNT), last = get_u64(a, CNT);

	return first <= between && between <= last;
}

struct resetter {
	int vcpu;
	_Atomic bool stop;
	_Atomic unsigned int resets;
};

static void *reset_again_and_again(void *arg)
{
	struct resetter *r = arg;

	while (!r->stop) {
		if (init_vcpu(r->vcpu, PSCI_FEATURE))
			break;
		r->resets++;
	}
	return NULL;
}

/* A reset is of one vCPU, the counter is not: it undoes no set of it. */
static void set_beside_resets(void **state)
{
	struct machine_under_test *m = *state;
	struct resetter r = {.vcpu = call(m->vm, KVM_CREATE_VCPU, 1)};
	pthread_t thread;

	assert_int_equal(init_vcpu(r.vcpu, PSCI_FEATURE), 0);
	assert_int_equal(pthread_create(&thread, NULL, reset_again_and_again, &r), 0);
	while (!r.resets)
		usleep(100);
	for (uint64_t i = 0; i < SETS; i++) {
		assert_int_equal(set_u64(m->vcpu, CNT, i << FAR_APART), 0);
		if (!agree(m->vcpu, r.vcpu))
			fail_msg("set %llu is seen by one vCPU only", (unsigned long long)i);
	}
	r.stop = true;
	pthread_join(thread, NULL);
	armature_close(r.vcpu);
}

struct creator {
	int vm, vcpu;
	unsigned long id;
	pthread_barrier_t *together;
};

static void *create(void *arg)
{
	struct creator *c = arg;

	pthread_barrier_wait(c->together);
	c->vcpu = call(c->vm, KVM_CREATE_VCPU, c->id);
	return NULL;
}

/* vCPUs that threads of the VMM create at the same time: each rebases the counter of all. */
static void created_together(void **state)
{
	struct machine_under_test *m = *state;
	pthread_t thread[TOGETHER];
	struct creator c[TOGETHER];
	pthread_barrier_t together;

	for (unsigned int round = 0; round < MANY_VMS; round++) {
		int vm = call(m->sys, KVM_CREATE_VM, 0);

		pthread_barrier_init(&together, NULL, TOGETHER);
		for (unsigned long i = 0; i < TOGETHER; i++) {
			c[i] = (struct creator){.vm = vm, .id = i, .together = &together};
			assert_int_equal(pthread_create(&thread[i], NULL, create, &c[i]), 0);
		}
		for (unsigned int i = 0; i < TOGETHER; i++)
			pthread_join(thread[i], NULL);
		for (unsigned int i = 0; i < TOGETHER; i++)
			assert_int_equal(init_vcpu(c[i].vcpu, PSCI_FEATURE), 0);
		for (unsigned int i = 1; i < TOGETHER; i++)
			if (!agree(c[0].vcpu, c[i].vcpu) || !agree(c[i].vcpu, c[0].vcpu))
				fail_msg("VM %u: vCPUs 0 and %u disagree", round, i);
		for (unsigned int i = 0; i < TOGETHER; i++)
			armature_close(c[i].vcpu);
		armature_close(vm);
		pthread_barrier_destroy(&together);
	}
}

/* Each creation starts the counter again from 0, one that fails as on Linux too. */
static void creation_rebases(void **state)
{
	struct machine_under_test *m = *state;
	static const int results[] = {0, -EEXIST};

	for (unsigned int i = 0; i < COUNT(results); i++) {
		int vcpu;

		assert_int_equal(set_u64(m->vcpu, CNT, 1ull << 60), 0);
		vcpu = call(m->vm, KVM_CREATE_VCPU, 1);
		assert_true(results[i] ? vcpu == results[i] : vcpu >= 0);
		assert_true(get_u64(m->vcpu, CNT) < 1ull << 60);
	}
}

/* ---- While guests run ---- */

#define GUESTS    2
#define ROUNDS    200
#define THRESHOLD (1ull << 62)

struct guest {
	int vcpu;
	struct kvm_run *run;
	pthread_t thread;
	_Atomic unsigned int rises;
	_Atomic int error;
	_Atomic bool *stop;
};

/* The guest's timer has THRESHOLD as its CVAL: a rise and a fall for each pair of sets. */
static void *follow_level(void *arg)
{
	struct guest *g = arg;
	uint64_t level = 0;

	while (!*g->stop) {
		int ret = call(g->vcpu, KVM_RUN, 0);
		uint64_t now = g->run->s.regs.device_irq_level & KVM_ARM_DEV_EL1_VTIMER;

		if (ret && ret != -EINTR)
			g->error = ret;
		g->rises += now > level;
		level = now;
	}
	return NULL;
}

/* A set of the counter reaches vCPUs that are inside the guest: each sees each rise. */
static void set_reaches_running(void **state)
{
	struct machine_under_test *m = *state;
	struct guest g[GUESTS] = {{.vcpu = m->vcpu, .run = m->run}};
	_Atomic bool stop = false;
	struct prog p = {0};

	a_b(&p, a_here(&p));
	memcpy(m->ram, p.word, p.n * 4);
	for (unsigned int i = 0; i < GUESTS; i++) {
		if (i)
			create_vcpu(m, i, &g[i].vcpu, &g[i].run);
		assert_int_equal(set_u64(g[i].vcpu, PC, RAM), 0);
		assert_int_equal(set_u64(g[i].vcpu, KVM_REG_ARM_TIMER_CVAL, THRESHOLD), 0);
		assert_int_equal(set_u64(g[i].vcpu, KVM_REG_ARM_TIMER_CTL, 1), 0);
		g[i].stop = &stop;
	}
	for (unsigned int i = 0; i < GUESTS; i++)
		assert_int_equal(pthread_create(&g[i].thread, NULL, follow_level, &g[i]), 0);
	/* A third vCPU, which does not run, can be asked to set the counter at any time. */
	struct machine_under_test other = {0};
	create_vcpu(m, GUESTS, &other.vcpu, &other.run);
	for (unsigned int n = 1; n <= ROUNDS; n++) {
		assert_int_equal(set_u64(other.vcpu, CNT, THRESHOLD), 0);
		for (unsigned int i = 0; i < GUESTS; i++)
			while (g[i].rises < n && !g[i].error)
				usleep(10);
		assert_int_equal(set_u64(other.vcpu, CNT, 0), 0);
		for (unsigned int i = 0; i < GUESTS; i++)
			while ((__atomic_load_n(&g[i].run->s.regs.device_irq_level,
						__ATOMIC_RELAXED) &
				KVM_ARM_DEV_EL1_VTIMER) &&
			       !g[i].error)
				usleep(10);
	}
	stop = true;
	/* Once more, to get them out. */
	assert_int_equal(set_u64(other.vcpu, CNT, THRESHOLD), 0);
	for (unsigned int i = 0; i < GUESTS; i++) {
		pthread_join(g[i].thread, NULL);
		assert_int_equal(g[i].error, 0);
		assert_true(g[i].rises >= ROUNDS && g[i].rises <= ROUNDS + 1);
	}
	close_vcpu(other.vcpu, other.run);
	for (unsigned int i = 1; i < GUESTS; i++)
		close_vcpu(g[i].vcpu, g[i].run);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(set_beside_resets),
		T(created_together),
		T(creation_rebases),
		T(set_reaches_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
