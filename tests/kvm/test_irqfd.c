/* SPDX-License-Identifier: MIT */
/*
 * KVM_IRQFD, KVM_SET_GSI_ROUTING and KVM_SIGNAL_MSI, from inside the library: with an interrupt
 * controller that is only a test's, and notes what it is told.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "tests/kvm/common.h"

#define NR_SPIS    64u
#define SPI(n)     ((n) + 32u)
#define REMOVE     KVM_IRQFD_FLAG_DEASSIGN
#define RESAMPLE   KVM_IRQFD_FLAG_RESAMPLE
#define NO_SUCH_FD 1000
#define FIRST_PIN  0
#define LAST_PIN   987
#define LAST_GSI   4095
#define THREADS    4
#define SIGNALS    2000
#define ROUNDS     500
#define YIELDS     1000

/* ---- The interrupt controller ---- */

static struct {
	bool is_ready;
	_Atomic unsigned int rises[1020], falls[1020];
	_Atomic bool level[1020];
	void (*notify)(struct vm *vm, unsigned int intid);
} chip;

static bool chip_ready(const struct vm *vm)
{
	return chip.is_ready;
}

static int chip_set_irq(struct vm *vm, unsigned int cpu, unsigned int intid, bool level)
{
	assert_in_range(intid, 32, 1019);
	atomic_store(&chip.level[intid], level);
	atomic_fetch_add(level ? &chip.rises[intid] : &chip.falls[intid], 1);
	return 0;
}

static void chip_set_notifier(struct vm *vm, void (*notify)(struct vm *vm, unsigned int intid))
{
	chip.notify = notify;
}

static const struct irqchip fake_chip = {chip_ready, chip_set_irq, chip_set_notifier};

static struct vm *vm_of(const struct machine_under_test *m)
{
	struct object *o = object_get(m->vm);
	struct vm *vm = (struct vm *)((char *)o - offsetof(struct vm, object));

	object_put(o);
	return vm;
}

static int set_up_chip(void **state)
{
	struct vm *vm;

	set_up(state);
	memset(&chip, 0, sizeof(chip));
	chip.is_ready = true;
	vm = vm_of(*state);
	irqfds_set_irqchip(vm, &fake_chip);
	assert_int_equal(routing_set_default(vm, NR_SPIS), 0);
	return 0;
}

/* ---- Short calls ---- */

static int irqfd(int vm, int fd, uint32_t gsi, uint32_t flags, int resamplefd)
{
	struct kvm_irqfd a = {(uint32_t)fd, gsi, flags, (uint32_t)resamplefd};

	return CALL_PTR(vm, KVM_IRQFD, &a);
}

static int make_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static void signal_fd(int fd)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
}

static uint64_t signals(int fd)
{
	eventfd_t n;

	return eventfd_read(fd, &n) ? 0 : n;
}

static void await(_Atomic unsigned int *count, unsigned int n)
{
	while (atomic_load(count) < n)
		sched_yield();
}

/* Nothing that was signalled before is under way any more. */
static void settle(struct machine_under_test *m)
{
	int fd = make_eventfd();
	unsigned int before = atomic_load(&chip.falls[SPI(NR_SPIS - 1)]);

	assert_int_equal(irqfd(m->vm, fd, NR_SPIS - 1, 0, 0), 0);
	signal_fd(fd);
	await(&chip.falls[SPI(NR_SPIS - 1)], before + 1);
	assert_int_equal(irqfd(m->vm, fd, NR_SPIS - 1, REMOVE, 0), 0);
	close(fd);
}

static struct kvm_irq_routing_entry to_pin(uint32_t gsi, uint32_t pin)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = pin};
}

/* With a place more than there may be, which a table that is too long reads. */
static struct kvm_irq_routing *new_table(void)
{
	struct kvm_irq_routing *t;

	return calloc(1, sizeof(*t) + (ROUTING_MAX + 1) * sizeof(t->entries[0]));
}

static int set_routing(int vm, const struct kvm_irq_routing_entry *e, unsigned int n)
{
	struct kvm_irq_routing *t = new_table();
	int ret;

	t->nr = n;
	memcpy(t->entries, e, n * sizeof(*e));
	ret = CALL_PTR(vm, KVM_SET_GSI_ROUTING, t);
	free(t);
	return ret;
}

/* ---- Edges ---- */

static void edge(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd();

	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), 0);
	for (unsigned int i = 1; i <= 100; i++) {
		signal_fd(fd);
		await(&chip.falls[SPI(3)], i);
		assert_int_equal(chip.rises[SPI(3)], i);
	}
	assert_int_equal(signals(fd), 0);
	assert_int_equal(irqfd(m->vm, fd, 3, REMOVE, 0), 0);
	signal_fd(fd);
	settle(m);
	assert_int_equal(chip.rises[SPI(3)], 100);
	/* What was signalled before it is assigned is injected. */
	assert_int_equal(irqfd(m->vm, fd, 4, 0, 0), 0);
	await(&chip.falls[SPI(4)], 1);
	close(fd);
}

/* The id of the library's thread, which is there. */
static pid_t irqfd_thread(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *d;
	pid_t found = 0;

	assert_non_null(tasks);
	while (!found && (d = readdir(tasks))) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", d->d_name);
		f = fopen(path, "r");
		if (f && fgets(name, sizeof(name), f) && !strcmp(name, "armature-irqfd\n"))
			found = atoi(d->d_name);
		if (f)
			fclose(f);
	}
	closedir(tasks);
	assert_true(found);
	return found;
}

/*
 * What was signalled before a deassignment is injected when that returns, and nothing later. The
 * library's thread, which is on the same CPU and never preempts this one, has not come to it.
 */
static void deassigned(void **state)
{
	static const struct sched_param none;
	struct machine_under_test *m = *state;
	int fd = make_eventfd();
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	settle(m);
	assert_int_equal(sched_setscheduler(irqfd_thread(), SCHED_IDLE, &none), 0);
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), 0);
		signal_fd(fd);
		assert_int_equal(irqfd(m->vm, fd, 3, REMOVE, 0), 0);
		assert_int_equal(chip.falls[SPI(3)], i);
		assert_int_equal(signals(fd), 0);
	}
	sched_setaffinity(0, sizeof(all), &all);
	close(fd);
}

/*
 * The library does not block in a read of an eventfd that somebody else has read: while its thread,
 * told of a signal, waits for the lock.
 */
static void blocking(void **state)
{
	struct machine_under_test *m = *state;
	int fd = eventfd(0, EFD_CLOEXEC), other = make_eventfd();
	struct vm *vm = vm_of(m);

	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), 0);
	assert_int_equal(irqfd(m->vm, other, 4, 0, 0), 0);
	for (unsigned int i = 1; i <= 20; i++) {
		eventfd_t n;

		pthread_mutex_lock(&vm->irqfds.lock);
		signal_fd(fd);
		for (unsigned int k = 0; k < YIELDS; k++)
			sched_yield();
		assert_int_equal(eventfd_read(fd, &n), 0);
		pthread_mutex_unlock(&vm->irqfds.lock);
		signal_fd(other);
		await(&chip.falls[SPI(4)], i);
	}
	assert_int_equal(chip.rises[SPI(3)], 0);
	close(fd);
	close(other);
}

/* ---- Refusals ---- */

static void not_ready(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_msi msi = {.address_lo = 0x1000};
	int fd = make_eventfd();

	/* No interrupt controller at all: before the descriptor is looked at. */
	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), -EAGAIN);
	assert_int_equal(irqfd(m->vm, -1, 3, 0, 0), -EAGAIN);
	assert_int_equal(irqfd(m->vm, fd, 3, 4, 0), -EINVAL);
	assert_int_equal(irqfd(m->vm, fd, 3, REMOVE, 0), 0);
	assert_int_equal(CALL_PTR(m->vm, KVM_SIGNAL_MSI, &msi), -EINVAL);
	/* One that is not initialised. */
	memset(&chip, 0, sizeof(chip));
	irqfds_set_irqchip(vm_of(m), &fake_chip);
	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), -EAGAIN);
	chip.is_ready = true;
	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), 0);
	close(fd);
}

static void refused(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd(), copy = dup(fd), resample = make_eventfd();
	unsigned int before;

	assert_int_equal(call(m->vm, KVM_IRQFD, 0), -EFAULT);
	assert_int_equal(irqfd(m->vm, fd, 3, 4, 0), -EINVAL);
	assert_int_equal(irqfd(m->vm, fd, 3, REMOVE | 1u << 31, 0), -EINVAL);
	for (uint32_t flags = 0; flags <= REMOVE; flags += REMOVE) {
		assert_int_equal(irqfd(m->vm, NO_SUCH_FD, 3, flags, 0), -EBADF);
		assert_int_equal(irqfd(m->vm, -1, 3, flags, 0), -EBADF);
		assert_int_equal(irqfd(m->vm, m->vm, 3, flags, 0), -EINVAL);
	}
	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), 0);
	before = open_fds();
	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), -EBUSY);
	assert_int_equal(irqfd(m->vm, copy, 4, 0, 0), -EBUSY);
	assert_int_equal(irqfd(m->vm, fd, 3, RESAMPLE, resample), -EBUSY);
	assert_int_equal(irqfd(m->vm, resample, 3, RESAMPLE, NO_SUCH_FD), -EBADF);
	assert_int_equal(irqfd(m->vm, resample, 3, RESAMPLE, m->vm), -EINVAL);
	assert_int_equal(open_fds(), before);
	/* Another GSI, or another eventfd: nothing is deassigned, and that is no error. */
	assert_int_equal(irqfd(m->vm, fd, 4, REMOVE, 0), 0);
	assert_int_equal(irqfd(m->vm, resample, 3, REMOVE, 0), 0);
	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), -EBUSY);
	assert_int_equal(irqfd(m->vm, copy, 3, REMOVE, 0), 0);
	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), 0);
	/* A GSI without a route may be assigned: it may get one. */
	assert_int_equal(irqfd(m->vm, resample, UINT32_MAX, 0, 0), 0);
	signal_fd(resample);
	settle(m);
	close(fd);
	close(copy);
	close(resample);
}

static void msi(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_msi a = {.address_lo = 0x1000};

	assert_int_equal(CALL_PTR(m->vm, KVM_SIGNAL_MSI, &a), -ENODEV);
	a.flags = KVM_MSI_VALID_DEVID;
	assert_int_equal(CALL_PTR(m->vm, KVM_SIGNAL_MSI, &a), -ENODEV);
	a.flags = 2;
	assert_int_equal(CALL_PTR(m->vm, KVM_SIGNAL_MSI, &a), -EINVAL);
	assert_int_equal(call(m->vm, KVM_SIGNAL_MSI, 0), -EFAULT);
}

static void out_of_descriptors(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd(), other = make_eventfd();
	struct rlimit old, few;
	unsigned int i, failed = 0;

	/* At each number of descriptors that are left it fails as a whole, or works. */
	getrlimit(RLIMIT_NOFILE, &old);
	for (i = 0; i < 16; i++) {
		unsigned int before = open_fds();
		int ret;

		few = (struct rlimit){(rlim_t)other + i, old.rlim_max};
		setrlimit(RLIMIT_NOFILE, &few);
		ret = irqfd(m->vm, fd, 3, RESAMPLE, other);
		setrlimit(RLIMIT_NOFILE, &old);
		if (!ret)
			break;
		assert_int_equal(ret, -EMFILE);
		assert_int_equal(open_fds(), before);
		failed++;
	}
	assert_in_range(failed, 4, 15);
	signal_fd(fd);
	await(&chip.rises[SPI(3)], 1);
	close(fd);
	close(other);
}

/* ---- Resample ---- */

static void resample(void **state)
{
	struct machine_under_test *m = *state;
	int fd[2] = {make_eventfd(), make_eventfd()}, back[2] = {make_eventfd(), make_eventfd()};
	struct vm *vm = vm_of(m);

	for (int i = 0; i < 2; i++)
		assert_int_equal(irqfd(m->vm, fd[i], 5, RESAMPLE, back[i]), 0);
	signal_fd(fd[0]);
	await(&chip.rises[SPI(5)], 1);
	settle(m);
	assert_true(chip.level[SPI(5)]);
	assert_int_equal(chip.falls[SPI(5)], 0);
	assert_int_equal(signals(back[0]), 0);
	/* The end of another interrupt is nothing. */
	chip.notify(vm, SPI(6));
	chip.notify(vm, 27);
	chip.notify(vm, 1019);
	assert_int_equal(chip.falls[SPI(5)], 0);
	/* One fall, and all who share the line are told, after it. */
	chip.notify(vm, SPI(5));
	assert_int_equal(chip.falls[SPI(5)], 1);
	assert_int_equal(signals(back[0]), 1);
	assert_int_equal(signals(back[1]), 1);
	signal_fd(fd[1]);
	await(&chip.rises[SPI(5)], 2);
	/* The line is let go of by the last that shares it. */
	assert_int_equal(irqfd(m->vm, fd[1], 5, REMOVE, 0), 0);
	assert_int_equal(chip.falls[SPI(5)], 1);
	assert_int_equal(irqfd(m->vm, fd[0], 5, REMOVE, 0), 0);
	assert_int_equal(chip.falls[SPI(5)], 2);
	chip.notify(vm, SPI(5));
	assert_int_equal(chip.falls[SPI(5)], 2);
	assert_int_equal(signals(back[0]) + signals(back[1]), 0);
	for (int i = 0; i < 2; i++) {
		close(fd[i]);
		close(back[i]);
	}
}

/* ---- Routing ---- */

static void default_routing(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd();

	for (unsigned int gsi = 0; gsi <= NR_SPIS; gsi++) {
		assert_int_equal(irqfd(m->vm, fd, gsi, 0, 0), 0);
		signal_fd(fd);
		assert_int_equal(irqfd(m->vm, fd, gsi, REMOVE, 0), 0);
		assert_int_equal(chip.falls[SPI(gsi)], gsi < NR_SPIS);
	}
	close(fd);
}

static void routes(void **state)
{
	const struct kvm_irq_routing_entry rows[] = {
		to_pin(7, FIRST_PIN),
		to_pin(LAST_GSI, LAST_PIN),
		to_pin(0, 1),
		to_pin(1, 1),
		{.gsi = 9, .type = KVM_IRQ_ROUTING_MSI, .flags = KVM_MSI_VALID_DEVID},
	};
	struct machine_under_test *m = *state;
	int fd = make_eventfd();
	static const unsigned int gsis[] = {7, LAST_GSI, 0, 1, 9, 2, LAST_GSI + 1};

	assert_int_equal(set_routing(m->vm, rows, COUNT(rows)), 0);
	for (unsigned int i = 0; i < COUNT(gsis); i++) {
		assert_int_equal(irqfd(m->vm, fd, gsis[i], 0, 0), 0);
		signal_fd(fd);
		assert_int_equal(irqfd(m->vm, fd, gsis[i], REMOVE, 0), 0);
	}
	assert_int_equal(chip.falls[SPI(FIRST_PIN)], 1);
	assert_int_equal(chip.falls[SPI(LAST_PIN)], 1);
	assert_int_equal(chip.falls[SPI(1)], 2);
	for (unsigned int pin = 2; pin < LAST_PIN; pin++)
		assert_int_equal(chip.falls[SPI(pin)], 0);
	/* No routes at all. */
	assert_int_equal(set_routing(m->vm, NULL, 0), 0);
	assert_int_equal(irqfd(m->vm, fd, 7, 0, 0), 0);
	signal_fd(fd);
	assert_int_equal(irqfd(m->vm, fd, 7, REMOVE, 0), 0);
	assert_int_equal(chip.falls[SPI(FIRST_PIN)], 1);
	close(fd);
}

static void bad_routes(void **state)
{
	const struct kvm_irq_routing_entry rows[] = {
		to_pin(LAST_GSI + 1, 0),
		to_pin(0, LAST_PIN + 1),
		{.type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.irqchip = 1},
		{.type = KVM_IRQ_ROUTING_IRQCHIP, .flags = 1},
		{.type = KVM_IRQ_ROUTING_MSI, .flags = 2},
		{.type = 0},
		{.type = 3},
		to_pin(8, 1), /* GSI 8 again */
	};
	struct machine_under_test *m = *state;
	struct kvm_irq_routing *t = new_table();
	int fd = make_eventfd();

	for (unsigned int i = 0; i < COUNT(rows); i++) {
		const struct kvm_irq_routing_entry two[] = {to_pin(8, 20), rows[i]};

		assert_int_equal(set_routing(m->vm, two, 2), -EINVAL);
	}
	t->flags = 1;
	assert_int_equal(CALL_PTR(m->vm, KVM_SET_GSI_ROUTING, t), -EINVAL);
	*t = (struct kvm_irq_routing){.nr = LAST_GSI + 2};
	assert_int_equal(CALL_PTR(m->vm, KVM_SET_GSI_ROUTING, t), -EINVAL);
	assert_int_equal(call(m->vm, KVM_SET_GSI_ROUTING, 0), -EFAULT);
	for (unsigned int i = 0; i <= LAST_GSI; i++)
		t->entries[i] = to_pin(i, i % LAST_PIN);
	t->nr = LAST_GSI + 1;
	/* None of those that failed has changed anything: GSI 8 is still SPI 8. */
	assert_int_equal(irqfd(m->vm, fd, 8, 0, 0), 0);
	signal_fd(fd);
	await(&chip.falls[SPI(8)], 1);
	assert_int_equal(CALL_PTR(m->vm, KVM_SET_GSI_ROUTING, t), 0);
	free(t);
	close(fd);
}

/* ---- Lives ---- */

static void lets_go(void **state)
{
	struct machine_under_test *m = *state;
	unsigned int before = open_fds();
	int fd[40], vm = call(m->sys, KVM_CREATE_VM, 0);
	struct machine_under_test other = {.vm = vm};

	memset(&chip, 0, sizeof(chip));
	chip.is_ready = true;
	irqfds_set_irqchip(vm_of(&other), &fake_chip);
	for (unsigned int i = 0; i < COUNT(fd); i++) {
		fd[i] = make_eventfd();
		assert_int_equal(irqfd(vm, fd[i], i, i % 2 ? RESAMPLE : 0, fd[0]), 0);
	}
	/* Signalled or not, and whether or not the VMM has closed its own. */
	signal_fd(fd[7]);
	close(fd[8]);
	armature_close(vm);
	for (unsigned int i = 0; i < COUNT(fd); i++)
		if (i != 8)
			close(fd[i]);
	assert_int_equal(open_fds(), before);
}

/* The VMM closes its descriptor: who has another of the eventfd still signals. */
static void closed_by_vmm(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd(), copy = dup(fd), next;

	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), 0);
	close(fd);
	signal_fd(copy);
	await(&chip.falls[SPI(3)], 1);
	next = make_eventfd();
	assert_int_equal(irqfd(m->vm, next, 4, 0, 0), 0);
	signal_fd(next);
	await(&chip.falls[SPI(4)], 1);
	assert_int_equal(chip.falls[SPI(3)], 1);
	close(copy);
	close(next);
}

/* A child's signal reaches the parent's guest; the child has no say in the VM. */
static void forked(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd(), status;
	pid_t child;

	assert_int_equal(irqfd(m->vm, fd, 3, 0, 0), 0);
	child = fork();
	if (!child)
		_exit(irqfd(m->vm, fd, 3, REMOVE, 0) != -EIO || eventfd_write(fd, 1));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	await(&chip.falls[SPI(3)], 1);
	close(fd);
}

/* ---- Storms ---- */

struct sender {
	pthread_t thread;
	struct machine_under_test *m;
	unsigned int gsi;
	bool with_resample;
};

/*
 * None is lost: each signal, once no other is before it, is followed by a rise. With resample it is
 * the guest's answer that lets the line fall.
 */
static void *send(void *arg)
{
	struct sender *s = arg;
	unsigned int intid = SPI(s->gsi), before, i;
	int fd = make_eventfd(), back = make_eventfd();
	struct vm *vm = vm_of(s->m);

	assert_int_equal(irqfd(s->m->vm, fd, s->gsi, s->with_resample ? RESAMPLE : 0, back), 0);
	for (i = 0; i < SIGNALS; i++) {
		before = atomic_load(&chip.rises[intid]);
		signal_fd(fd);
		await(&chip.rises[intid], before + 1);
		if (!s->with_resample)
			continue;
		chip.notify(vm, intid);
		assert_true(signals(back) >= 1);
	}
	assert_int_equal(irqfd(s->m->vm, fd, s->gsi, REMOVE, 0), 0);
	close(fd);
	close(back);
	return NULL;
}

/* Beside them: routing is replaced, by what says the same, and other irqfds come and go. */
static void storm(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_irq_routing_entry same[NR_SPIS];
	struct sender s[THREADS];
	int fd = make_eventfd();

	for (unsigned int i = 0; i < NR_SPIS; i++)
		same[i] = to_pin(i, i);
	for (unsigned int i = 0; i < THREADS; i++) {
		s[i] = (struct sender){.m = m, .gsi = i, .with_resample = i % 2};
		assert_int_equal(pthread_create(&s[i].thread, NULL, send, &s[i]), 0);
	}
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		assert_int_equal(set_routing(m->vm, same, NR_SPIS), 0);
		assert_int_equal(irqfd(m->vm, fd, 20, 0, 0), 0);
		signal_fd(fd);
		assert_int_equal(irqfd(m->vm, fd, 20, REMOVE, 0), 0);
		assert_int_equal(chip.falls[SPI(20)], i);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(s[i].thread, NULL);
		assert_int_equal(chip.rises[SPI(i)], SIGNALS);
	}
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up_chip, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(not_ready, set_up, tear_down),
		T(edge),
		T(deassigned),
		T(blocking),
		T(refused),
		T(msi),
		T(out_of_descriptors),
		T(resample),
		T(default_routing),
		T(routes),
		T(bad_routes),
		T(lets_go),
		T(closed_by_vmm),
		T(forked),
		T(storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
