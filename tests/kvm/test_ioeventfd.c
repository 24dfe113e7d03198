/* SPDX-License-Identifier: MIT */
/* KVM_IOEVENTFD: stores that signal an eventfd and make no exit. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define DOORBELL   0x0a000000ull
#define MATCH      KVM_IOEVENTFD_FLAG_DATAMATCH
#define REMOVE     KVM_IOEVENTFD_FLAG_DEASSIGN
#define SCTLR_EL1  ARM64_SYS_REG(3, 0, 1, 0, 0)
#define SCTLR_BE   (0x30d00800ull | 1ull << 25)
#define NO_SUCH_FD 1000
#define FULL       0xfffffffffffffffeull /* no eventfd counts further */
#define VALUE      0x1122334455667788ull
#define ROUNDS     300
#define STORERS    2

static int ioeventfd(int vm, int fd, uint64_t addr, uint32_t len, uint32_t flags, uint64_t match)
{
	struct kvm_ioeventfd a = {match, addr, len, fd, flags};

	return CALL_PTR(vm, KVM_IOEVENTFD, &a);
}

static int make_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* How often @fd was signalled since the last look. */
static uint64_t signals(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* The guest stores 1 << @size_log2 bytes of @value at @pa: whether the VMM was asked. */
static bool exits(struct machine_under_test *m, uint64_t pa, unsigned int size_log2, uint64_t value)
{
	struct prog p = {0};
	bool asked;

	a_str(&p, size_log2, 0, 11);
	a_str(&p, 3, A_XZR, 10);
	memcpy(m->ram, p.word, p.n * 4);
	set_u64(m->vcpu, PC, RAM);
	set_u64(m->vcpu, X(0), value);
	set_u64(m->vcpu, X(10), MMIO);
	set_u64(m->vcpu, X(11), pa);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	asked = m->run->mmio.phys_addr == pa;
	if (!asked)
		assert_int_equal(m->run->mmio.phys_addr, MMIO);
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	m->run->immediate_exit = 0;
	return asked;
}

/* ---- What matches ---- */

static void lengths(void **state)
{
	static const uint32_t lens[] = {0, 1, 2, 4, 8};
	struct machine_under_test *m = *state;
	int fd = make_eventfd();

	for (unsigned int i = 0; i < COUNT(lens); i++) {
		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, lens[i], 0, 0), 0);
		for (unsigned int log2 = 0; log2 < 4; log2++) {
			bool match = !lens[i] || lens[i] == 1u << log2;

			assert_int_equal(exits(m, DOORBELL, log2, VALUE), !match);
			assert_int_equal(signals(fd), match);
			assert_true(exits(m, DOORBELL + 8, log2, VALUE));
			assert_true(exits(m, DOORBELL - 8, log2, VALUE));
			assert_int_equal(signals(fd), 0);
		}
		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, lens[i], REMOVE, 0), 0);
		assert_true(exits(m, DOORBELL, 2, VALUE));
		assert_int_equal(signals(fd), 0);
	}
	close(fd);
}

/* A load of the same address is the VMM's. */
static void load_exits(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd();
	struct prog p = {0};

	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 0, 0, 0), 0);
	a_ldr(&p, 2, 0, 11);
	memcpy(m->ram, p.word, p.n * 4);
	set_u64(m->vcpu, PC, RAM);
	set_u64(m->vcpu, X(11), DOORBELL);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	assert_false(m->run->mmio.is_write);
	assert_int_equal(signals(fd), 0);
	close(fd);
}

/* A virtio queue's doorbell: one address, an eventfd for each value. */
static void datamatch(void **state)
{
	struct machine_under_test *m = *state;
	int fd[4];

	for (int i = 0; i < 4; i++) {
		fd[i] = make_eventfd();
		assert_int_equal(ioeventfd(m->vm, fd[i], DOORBELL, 4, MATCH, i), 0);
	}
	for (int i = 0; i < 6; i++) {
		assert_int_equal(exits(m, DOORBELL, 2, i), i >= 4);
		for (int k = 0; k < 4; k++)
			assert_int_equal(signals(fd[k]), k == i);
	}
	/* What is above a store's bytes does not matter; above those of datamatch it does. */
	assert_false(exits(m, DOORBELL, 2, 0xffffffff00000001));
	assert_int_equal(signals(fd[1]), 1);
	assert_int_equal(ioeventfd(m->vm, fd[0], DOORBELL, 2, MATCH, 0x10005), 0);
	assert_true(exits(m, DOORBELL, 1, 5));
	/* Another size has datamatches of its own. */
	assert_int_equal(ioeventfd(m->vm, fd[0], DOORBELL, 8, MATCH, VALUE), 0);
	assert_false(exits(m, DOORBELL, 3, VALUE));
	assert_true(exits(m, DOORBELL, 3, VALUE + 1));
	assert_int_equal(signals(fd[0]), 1);
	/* Gone is the one that is named. */
	assert_int_equal(ioeventfd(m->vm, fd[2], DOORBELL, 4, MATCH | REMOVE, 2), 0);
	assert_true(exits(m, DOORBELL, 2, 2));
	assert_false(exits(m, DOORBELL, 2, 3));
	assert_int_equal(signals(fd[2]), 0);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
}

/* The bytes are compared in the order of memory. */
static void big_endian(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd();

	set_u64(m->vcpu, SCTLR_EL1, SCTLR_BE);
	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, MATCH, 0x88776655), 0);
	assert_false(exits(m, DOORBELL, 2, 0x55667788));
	assert_int_equal(signals(fd), 1);
	assert_true(exits(m, DOORBELL, 2, 0x88776655));
	close(fd);
}

/* The buses that arm64 has not: the request is served, and nothing matches. */
static void other_buses(void **state)
{
	static const uint32_t flags[] = {KVM_IOEVENTFD_FLAG_PIO,
					 KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY};
	struct machine_under_test *m = *state;
	int fd = make_eventfd();

	for (unsigned int i = 0; i < COUNT(flags); i++) {
		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, flags[i], 0), 0);
		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, flags[i], 0), -EEXIST);
		assert_true(exits(m, DOORBELL, 2, 0));
		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, REMOVE, 0), -ENOENT);
	}
	/* Both flags: that is PIO. */
	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, flags[0] | flags[1], 0), -EEXIST);
	for (unsigned int i = 0; i < COUNT(flags); i++)
		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, REMOVE | flags[i], 0), 0);
	close(fd);
}

/* ---- Refusals ---- */

static void refused(void **state)
{
	struct machine_under_test *m = *state;
	const struct {
		uint64_t addr;
		uint32_t len, flags;
		int ret;
	} rows[] = {
		{DOORBELL, 3, 0, -EINVAL},          {DOORBELL, 16, 0, -EINVAL},
		{DOORBELL, 0x80000000, 0, -EINVAL}, {UINT64_MAX - 7, 8, 0, -EINVAL},
		{UINT64_MAX, 1, 0, -EINVAL},        {DOORBELL, 4, 1 << 5, -EINVAL},
		{DOORBELL, 4, 1u << 31, -EINVAL},   {DOORBELL, 0, MATCH, -EINVAL},
		{UINT64_MAX - 8, 8, 0, 0},          {UINT64_MAX, 0, 0, 0},
		{DOORBELL, 3, REMOVE, -ENOENT},     {DOORBELL, 4, REMOVE | 1u << 31, -ENOENT},
	};
	int fd = make_eventfd(), closed = NO_SUCH_FD;

	for (unsigned int i = 0; i < COUNT(rows); i++)
		assert_int_equal(ioeventfd(m->vm, fd, rows[i].addr, rows[i].len, rows[i].flags, 0),
				 rows[i].ret);
	for (uint32_t flags = 0; flags <= REMOVE; flags += REMOVE) {
		assert_int_equal(ioeventfd(m->vm, closed, DOORBELL, 4, flags, 0), -EBADF);
		assert_int_equal(ioeventfd(m->vm, -1, DOORBELL, 4, flags, 0), -EBADF);
		assert_int_equal(ioeventfd(m->vm, m->vm, DOORBELL, 4, flags, 0), -EINVAL);
	}
	/* The length comes before the descriptor. */
	assert_int_equal(ioeventfd(m->vm, -1, DOORBELL, 3, 0, 0), -EINVAL);
	assert_int_equal(call(m->vm, KVM_IOEVENTFD, 0), -EFAULT);
	close(fd);
}

/* No store may match two. */
static void collisions(void **state)
{
	static const struct {
		uint32_t len, flags;
		uint64_t match;
		uint32_t len2, flags2;
		uint64_t match2;
		int ret;
	} rows[] = {
		{4, 0, 0, 4, 0, 0, -EEXIST},
		{4, 0, 0, 4, MATCH, 7, -EEXIST},
		{4, MATCH, 7, 4, 0, 0, -EEXIST},
		{4, MATCH, 7, 4, MATCH, 7, -EEXIST},
		{4, MATCH, 7, 4, MATCH, 8, 0},
		{4, 0, 0, 2, 0, 0, 0},
		{4, MATCH, 7, 2, MATCH, 7, 0},
		{0, 0, 0, 4, 0, 0, -EEXIST},
		{4, MATCH, 7, 0, 0, 0, -EEXIST},
		{0, 0, 0, 0, 0, 0, -EEXIST},
		{4, 0, 0, 4, KVM_IOEVENTFD_FLAG_PIO, 0, 0},
	};
	struct machine_under_test *m = *state;
	int fd = make_eventfd(), other = make_eventfd();

	for (unsigned int i = 0; i < COUNT(rows); i++) {
		uint64_t at = DOORBELL + i * 64;

		assert_int_equal(
			ioeventfd(m->vm, fd, at, rows[i].len, rows[i].flags, rows[i].match), 0);
		/* Whoever's it is, the same eventfd's too. */
		for (int k = 0; k < 1 + !!rows[i].ret; k++)
			assert_int_equal(ioeventfd(m->vm, k ? fd : other, at, rows[i].len2,
						   rows[i].flags2, rows[i].match2),
					 rows[i].ret);
	}
	/* To deassign, all that it was assigned with must be named. */
	assert_int_equal(ioeventfd(m->vm, fd, 0x1000, 4, MATCH, 7), 0);
	assert_int_equal(ioeventfd(m->vm, other, 0x1000, 4, MATCH | REMOVE, 7), -ENOENT);
	assert_int_equal(ioeventfd(m->vm, fd, 0x1001, 4, MATCH | REMOVE, 7), -ENOENT);
	assert_int_equal(ioeventfd(m->vm, fd, 0x1000, 2, MATCH | REMOVE, 7), -ENOENT);
	assert_int_equal(ioeventfd(m->vm, fd, 0x1000, 4, REMOVE, 7), -ENOENT);
	assert_int_equal(ioeventfd(m->vm, fd, 0x1000, 4, MATCH | REMOVE, 8), -ENOENT);
	assert_int_equal(ioeventfd(m->vm, fd, 0x1000, 4, MATCH | REMOVE, 7), 0);
	assert_int_equal(ioeventfd(m->vm, fd, 0x1000, 4, MATCH | REMOVE, 7), -ENOENT);
	close(fd);
	close(other);
}

/* ---- Descriptors ---- */

/* The VMM may close its descriptor; any other of the same eventfd names it afterwards. */
static void closed_by_vmm(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd(), copy = dup(fd);

	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, 0, 0), 0);
	close(fd);
	assert_false(exits(m, DOORBELL, 2, 0));
	assert_int_equal(signals(copy), 1);
	/* The number is another eventfd's now. */
	fd = make_eventfd();
	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, REMOVE, 0), -ENOENT);
	assert_int_equal(ioeventfd(m->vm, copy, DOORBELL, 4, REMOVE, 0), 0);
	close(copy);
	close(fd);
}

/* Nothing is left behind by a deassignment, by a refusal, or by the end of the VM. */
static void lets_go(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd(), vm;
	unsigned int before = open_fds();

	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, 0, 0), 0);
	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, 0, 0), -EEXIST);
	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, REMOVE, 0), 0);
	assert_int_equal(open_fds(), before);
	vm = call(m->sys, KVM_CREATE_VM, 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(ioeventfd(vm, fd, DOORBELL + i, 0, 0, 0), 0);
	armature_close(vm);
	assert_int_equal(open_fds(), before);
	close(fd);
}

static void out_of_descriptors(void **state)
{
	struct machine_under_test *m = *state;
	struct rlimit old, none;
	int fd = make_eventfd();

	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){0, old.rlim_max};
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, 0, 0), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, 0, 0), 0);
	assert_false(exits(m, DOORBELL, 2, 0));
	close(fd);
}

/* A counter that is full neither blocks the guest nor makes it exit. */
static void full(void **state)
{
	static const int modes[] = {EFD_CLOEXEC, EFD_CLOEXEC | EFD_NONBLOCK};
	struct machine_under_test *m = *state;

	for (unsigned int i = 0; i < COUNT(modes); i++) {
		int fd = eventfd(0, modes[i]);
		uint64_t n = FULL;

		assert_int_equal(write(fd, &n, sizeof(n)), sizeof(n));
		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, 0, 0), 0);
		assert_false(exits(m, DOORBELL, 2, 0));
		assert_false(exits(m, DOORBELL, 2, 0));
		assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
		assert_true(n >= FULL);
		assert_false(exits(m, DOORBELL, 2, 0));
		assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
		assert_int_equal(n, 1);
		/* The descriptor's own mode is the VMM's. */
		assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK,
				 modes[i] & EFD_NONBLOCK ? O_NONBLOCK : 0);
		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, REMOVE, 0), 0);
		close(fd);
	}
}

/* A child has the parent's VM no more than on Linux; its end takes nothing from the parent. */
static void forked(void **state)
{
	struct machine_under_test *m = *state;
	int fd = make_eventfd(), status;
	pid_t child;

	assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, 0, 0), 0);
	child = fork();
	if (!child)
		_exit(ioeventfd(m->vm, fd, DOORBELL, 4, REMOVE, 0) != -EIO);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_false(exits(m, DOORBELL, 2, 0));
	assert_int_equal(signals(fd), 1);
	close(fd);
}

/* ---- Storms ---- */

struct storer {
	pthread_t thread;
	int vcpu;
	struct kvm_run *run;
	_Atomic bool *stop;
	uint64_t rounds, asked;
};

/* A round: one store to DOORBELL, which may exit, and one to MMIO, which does. */
static void *store(void *arg)
{
	struct storer *s = arg;

	while (!*s->stop) {
		assert_int_equal(call(s->vcpu, KVM_RUN, 0), 0);
		assert_int_equal(s->run->exit_reason, KVM_EXIT_MMIO);
		if (s->run->mmio.phys_addr == MMIO)
			s->rounds++;
		else
			s->asked++;
	}
	return NULL;
}

/*
 * ioeventfds come and go while vCPUs store there: each store either exits or signals, never both
 * and never neither. What was removed is not signalled any more.
 */
static void storm(void **state)
{
	struct machine_under_test *m = *state;
	struct storer s[STORERS] = {{.vcpu = m->vcpu, .run = m->run}};
	uint64_t stores = 0, asked = 0, signalled = 0;
	_Atomic bool stop = false;
	int fd = make_eventfd();
	struct prog p = {0};

	a_str(&p, 2, 0, 11);
	a_str(&p, 3, 0, 10);
	a_b(&p, 0);
	memcpy(m->ram, p.word, p.n * 4);
	create_vcpu(m, 1, &s[1].vcpu, &s[1].run);
	for (int i = 0; i < STORERS; i++) {
		set_u64(s[i].vcpu, PC, RAM);
		set_u64(s[i].vcpu, X(10), MMIO);
		set_u64(s[i].vcpu, X(11), DOORBELL);
		s[i].stop = &stop;
		assert_int_equal(pthread_create(&s[i].thread, NULL, store, &s[i]), 0);
	}
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t n;

		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, 0, 0), 0);
		for (n = 0; n < 2; n += signals(fd))
			sched_yield();
		signalled += n;
		assert_int_equal(ioeventfd(m->vm, fd, DOORBELL, 4, REMOVE, 0), 0);
		signalled += signals(fd);
		sched_yield();
		assert_int_equal(signals(fd), 0);
	}
	stop = true;
	for (int i = 0; i < STORERS; i++) {
		pthread_join(s[i].thread, NULL);
		/* The last exit was one of the two, and each round has a store before it. */
		stores += s[i].rounds + (s[i].run->mmio.phys_addr == DOORBELL);
		asked += s[i].asked;
	}
	assert_int_equal(stores, asked + signalled);
	close_vcpu(s[1].vcpu, s[1].run);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(lengths), T(load_exits),         T(datamatch),     T(big_endian), T(other_buses),
		T(refused), T(collisions),         T(closed_by_vmm), T(lets_go),    T(full),
		T(forked),  T(out_of_descriptors), T(storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
