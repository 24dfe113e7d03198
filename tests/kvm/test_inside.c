/* SPDX-License-Identifier: MIT */
/*
 * From inside the library: the publisher of device levels with an edge device, which version 1 has
 * none of, and what must not come between a comparison of levels and the guest's entry.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform/asm.h"
#include "cpu/timer.h"
#include "kvm/kvm.h"
#include "tests/kvm/common.h"

#define EDGE_BIT  (1ull << 3)
#define LEVEL_BIT (1ull << 4)

/* The VM behind the descriptors, with an edge device as line 3 and a level device as line 4. */
static struct vcpu *add_lines(struct machine_under_test *m, bool (*level)(struct vcpu *))
{
	struct object *o = object_get(m->vcpu);
	struct vcpu *vcpu = (struct vcpu *)((char *)o - offsetof(struct vcpu, object));
	struct vm *vm = vcpu->vm;

	assert_int_equal(vm->nr_lines, 3);
	vm->lines[3] = (struct device_line){.bit = EDGE_BIT};
	vm->lines[4] = (struct device_line){.bit = LEVEL_BIT, .level = level};
	vm->nr_lines = level ? 5 : 4;
	object_put(o);
	return vcpu;
}

static void load(struct machine_under_test *m, bool wfi)
{
	struct prog p = {0};
	unsigned int loop = a_here(&p);

	if (wfi)
		a_wfi(&p);
	a_str(&p, 3, 0, 10);
	a_b(&p, loop);
	memcpy(m->ram, p.word, p.n * 4);
	set_u64(m->vcpu, PC, RAM);
	set_u64(m->vcpu, CORE_ID(regs.regs[10]), MMIO);
}

static uint64_t field(const struct machine_under_test *m)
{
	return m->run->s.regs.device_irq_level;
}

static void edge_once(void **state)
{
	struct machine_under_test *m = *state;
	struct vcpu *vcpu = add_lines(m, NULL);

	load(m, false);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(field(m), 0);
	device_line_edge(vcpu, 3);
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_INTR);
	assert_int_equal(field(m), EDGE_BIT);
	/* In exactly one exit. */
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(field(m), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(field(m), 0);
}

static void edge_each(void **state)
{
	struct machine_under_test *m = *state;
	struct vcpu *vcpu = add_lines(m, NULL);
	int i;

	load(m, false);
	for (i = 0; i < 3; i++)
		device_line_edge(vcpu, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(run_vcpu(m), -EINTR);
		assert_int_equal(field(m), EDGE_BIT);
	}
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(field(m), 0);
}

/* immediate_exit and failed returns are exits too: they show the edge, or end its one showing. */
static void edge_immediate_exit(void **state)
{
	struct machine_under_test *m = *state;
	struct vcpu *vcpu = add_lines(m, NULL);

	load(m, false);
	device_line_edge(vcpu, 3);
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(field(m), EDGE_BIT);
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(field(m), 0);
	device_line_edge(vcpu, 3);
	assert_int_equal(call(m->vcpu, KVM_RUN, 1), -EINVAL);
	assert_int_equal(field(m), EDGE_BIT);
	m->run->immediate_exit = 0;
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(field(m), 0);
}

/* What the VMM writes into the field neither makes an edge nor hides one. */
static void edge_scribble(void **state)
{
	struct machine_under_test *m = *state;
	struct vcpu *vcpu = add_lines(m, NULL);

	load(m, false);
	m->run->s.regs.device_irq_level = EDGE_BIT;
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(field(m), 0);
	device_line_edge(vcpu, 3);
	m->run->s.regs.device_irq_level = EDGE_BIT;
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(field(m), EDGE_BIT);
}

struct later {
	struct vcpu *vcpu;
	unsigned int n;
};

static void *fire_later(void *arg)
{
	struct later *l = arg;
	unsigned int i;

	for (i = 0; i < l->n; i++) {
		usleep(500);
		device_line_edge(l->vcpu, 3);
	}
	return NULL;
}

/* From another thread, with the guest running or asleep: one exit an edge, none lost. */
static void edge_threads(void **state)
{
	struct machine_under_test *m = *state;
	struct later l = {add_lines(m, NULL), 500};
	unsigned int seen = 0;
	pthread_t thread;
	struct prog p = {0};

	a_wfi(&p);
	a_b(&p, 0);
	memcpy(m->ram, p.word, p.n * 4);
	set_u64(m->vcpu, PC, RAM);
	assert_int_equal(pthread_create(&thread, NULL, fire_later, &l), 0);
	while (seen < l.n) {
		assert_int_equal(run_vcpu(m), -EINTR);
		assert_int_equal(field(m), EDGE_BIT);
		seen++;
	}
	pthread_join(thread, NULL);
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(field(m), 0);
}

static bool line_4;

static bool level_4(struct vcpu *vcpu)
{
	return line_4;
}

/* A level and an edge device side by side. */
static void level_beside_edge(void **state)
{
	struct machine_under_test *m = *state;
	struct vcpu *vcpu = add_lines(m, level_4);

	load(m, false);
	line_4 = true;
	device_line_edge(vcpu, 3);
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(field(m), EDGE_BIT | LEVEL_BIT);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(field(m), LEVEL_BIT);
	assert_int_equal(run_vcpu(m), 0);
	line_4 = false;
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(field(m), 0);
}

/* Two vCPUs' edges do not mix. */
static void edge_of_other(void **state)
{
	struct machine_under_test *m = *state;
	struct vcpu *vcpu = add_lines(m, NULL), *other;
	int fd = call(m->vm, KVM_CREATE_VCPU, 1);

	other = vcpu->vm->vcpus[1];
	load(m, false);
	device_line_edge(other, 3);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(field(m), 0);
	armature_close(fd);
}

/*
 * A set of the counter between the comparison of the timer's level and the entry: the line of this
 * test is compared behind the timer's, so that its function stands right there.
 */
static struct vcpu *rebased;
static unsigned int comparisons;

static bool rebase_behind_the_timer(struct vcpu *vcpu)
{
	if (++comparisons != 1)
		return false;
	pthread_mutex_lock(&vcpu->vm->lock);
	vm_rebase_counter(rebased->vm, TIMER_VIRT, 0);
	pthread_mutex_unlock(&vcpu->vm->lock);
	return false;
}

static void rebase_before_entry(void **state)
{
	struct machine_under_test *m = *state;
	struct prog p = {0};

	a_b(&p, 0);
	memcpy(m->ram, p.word, p.n * 4);
	set_u64(m->vcpu, PC, RAM);
	/* With the offset that the VM was made with the timer is far off; with 0 it is long due. */
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CNT, 0);
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CTL, 1);
	rebased = add_lines(m, rebase_behind_the_timer);
	rebased->cpu->timers.t[TIMER_VIRT].cval = timer_count();
	comparisons = 0;
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(field(m), KVM_ARM_DEV_EL1_VTIMER);
	/* It is seen before the first instruction, not when somebody looks the next time. */
	assert_int_equal(rebased->cpu->icount, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(edge_once),     T(edge_each),           T(edge_immediate_exit),
		T(edge_scribble), T(edge_threads),        T(level_beside_edge),
		T(edge_of_other), T(rebase_before_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
