/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: they behave as the kernel's would, and what they stand for goes when the last one
 * goes.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kvm/common.h"

static void closed_on_exec(void **state)
{
	struct machine_under_test *m = *state;

	assert_true(fcntl(m->sys, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(m->vm, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(m->vcpu, F_GETFD) & FD_CLOEXEC);
}

/*
 * Is the descriptor open in a program that is executed? The host's shell can tell: an emulated test
 * cannot execute itself.
 */
static bool open_after_exec(int fd)
{
	char look[64];
	int status;
	pid_t pid;

	snprintf(look, sizeof(look), "test ! -e /proc/self/fd/%d", fd);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", look, NULL);
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status);
}

/* As open(2) does it: with O_CLOEXEC the descriptor goes at exec, without it stays. */
static void open_flags(void **state)
{
	static const struct {
		int flags;
		bool cloexec;
	} rows[] = {{O_RDWR | O_CLOEXEC, true}, {O_RDWR, false}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int sys = armature_open_flags(rows[i].flags), vm, vcpu;

		assert_true(sys >= 0);
		assert_int_equal(fcntl(sys, F_GETFD), rows[i].cloexec ? FD_CLOEXEC : 0);
		assert_int_equal(fcntl(sys, F_GETFL) & O_ACCMODE, O_RDWR);
		assert_int_equal(open_after_exec(sys), !rows[i].cloexec);
		/* The VM's and the vCPU's go in any case, as those of Linux. */
		vm = call(sys, KVM_CREATE_VM, 0);
		vcpu = call(vm, KVM_CREATE_VCPU, 0);
		assert_int_equal(fcntl(vm, F_GETFD), FD_CLOEXEC);
		assert_int_equal(fcntl(vcpu, F_GETFD), FD_CLOEXEC);
		assert_false(open_after_exec(vm));
		assert_false(open_after_exec(vcpu));
		armature_close(vcpu);
		armature_close(vm);
		armature_close(sys);
	}
}

static void open_refuses(void **state)
{
	static const int flags[] = {O_RDONLY,
				    O_WRONLY,
				    O_ACCMODE,
				    O_RDWR | O_CREAT,
				    O_RDWR | O_APPEND,
				    O_RDWR | O_PATH,
				    O_RDWR | O_NONBLOCK,
				    O_CLOEXEC,
				    ~0};
	unsigned int before = open_fds();

	for (size_t i = 0; i < COUNT(flags); i++) {
		errno = 0;
		assert_int_equal(armature_open_flags(flags[i]), -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(open_fds(), before);
}

static void duplicates_work(void **state)
{
	struct machine_under_test *m = *state;
	int a = dup(m->vcpu), b = fcntl(m->vcpu, F_DUPFD_CLOEXEC, 100), c = dup2(m->vm, 200);

	assert_true(b >= 100);
	assert_int_equal(set_u64(a, PC, 0x1234), 0);
	assert_int_equal(get_u64(b, PC), 0x1234);
	assert_int_equal(call(c, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ), 1);
	close(a);
	close(b);
	close(c);
	assert_int_equal(get_u64(m->vcpu, PC), 0x1234);
}

/* A number that was closed and used again never means the old object. */
static void numbers_are_reused(void **state)
{
	struct machine_under_test *m = *state;
	int a = dup(m->vcpu), pipes[2];

	close(a);
	assert_int_equal(pipe(pipes), 0);
	assert_true(pipes[0] == a || pipes[1] == a);
	assert_int_equal(call(a, KVM_GET_MP_STATE, 0), -ENOTTY);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(call(a, KVM_GET_MP_STATE, 0), -EBADF);
	/* And one that means another object now means that one. */
	assert_int_equal(dup2(m->vm, a), a);
	assert_int_equal(call(a, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ), 1);
	close(a);
}

static void other_files(void **state)
{
	char path[] = "/tmp/armature-test-XXXXXX";
	int null = open("/dev/null", O_RDWR), file = mkstemp(path);

	assert_int_equal(call(null, KVM_GET_API_VERSION, 0), -ENOTTY);
	assert_int_equal(call(file, KVM_GET_API_VERSION, 0), -ENOTTY);
	assert_int_equal(call(-1, KVM_GET_API_VERSION, 0), -EBADF);
	assert_int_equal(armature_close(null), 0);
	assert_int_equal(armature_close(null), -1);
	assert_int_equal(errno, EBADF);
	close(file);
	unlink(path);
}

/* A VMM that moves the file position of a descriptor does not lose it. */
static void position_moved(void **state)
{
	struct machine_under_test *m = *state;

	assert_int_equal(lseek(m->vcpu, 0, SEEK_SET), 0);
	assert_int_equal(set_u64(m->vcpu, PC, 0x777), 0);
	assert_int_equal(get_u64(m->vcpu, PC), 0x777);
}

static void page_is_shared(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_run *again = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	struct stat st;

	assert_ptr_not_equal(again, MAP_FAILED);
	m->run->immediate_exit = 1;
	assert_int_equal(again->immediate_exit, 1);
	assert_int_equal(run_vcpu(m), -EINTR);
	munmap(again, 4096);
	assert_int_equal(fstat(m->vcpu, &st), 0);
	assert_int_equal(st.st_size, 4096);
	assert_int_equal(ftruncate(m->vcpu, 0), -1);
}

/* Generic requests reach the file itself. */
static void generic_ioctls(void **state)
{
	struct machine_under_test *m = *state;

	assert_int_equal(call(m->vcpu, 0x5450 /* FIONCLEX */, 0), 0);
	assert_false(fcntl(m->vcpu, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(call(m->vcpu, 0x5451 /* FIOCLEX */, 0), 0);
	assert_true(fcntl(m->vcpu, F_GETFD) & FD_CLOEXEC);
}

static void child_is_refused(void **state)
{
	struct machine_under_test *m = *state;
	int status;
	pid_t pid = fork();

	if (!pid) {
		bool ok = call(m->vm, KVM_CHECK_EXTENSION, 0) == -EIO &&
			  call(m->vcpu, KVM_RUN, 0) == -EIO &&
			  call(m->vcpu, KVM_GET_MP_STATE, 0) == -EIO;
		/* /dev/kvm itself is good in any process, and a new VM of its own as well. */
		int vm = call(m->sys, KVM_CREATE_VM, 0);

		ok = ok && call(m->sys, KVM_GET_API_VERSION, 0) == KVM_API_VERSION;
		ok = ok && vm >= 0 && call(vm, KVM_CREATE_VCPU, 0) >= 0;
		_exit(!ok);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(call(m->vm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ), 1);
}

/* ---- Forks while other threads are in the library ---- */

#define CALLERS 3
#define FORKS   60

struct caller {
	const struct machine_under_test *m;
	pthread_t thread;
	_Atomic bool *stop;
	bool creates; /* and closes, besides looking up */
	bool failed;
};

static void *call_on_and_on(void *arg)
{
	struct caller *c = arg;

	while (!*c->stop) {
		c->failed |= call(c->m->vm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ) != 1;
		if (c->creates)
			c->failed |= armature_close(call(c->m->sys, KVM_CREATE_VM, 0)) != 0;
	}
	return NULL;
}

/* A child can use the library whatever the parent's threads were about when it was made. */
static void child_of_many_threads(void **state)
{
	struct machine_under_test *m = *state;
	struct caller c[CALLERS];
	_Atomic bool stop = false;
	int status, i;

#ifdef __SANITIZE_ADDRESS__
	/* gcc's runtime does not take its allocator's locks for a fork: the child may hang. */
	skip();
#endif
	for (i = 0; i < CALLERS; i++) {
		c[i] = (struct caller){.m = m, .stop = &stop, .creates = !i};
		assert_int_equal(pthread_create(&c[i].thread, NULL, call_on_and_on, &c[i]), 0);
	}
	for (i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (!pid) {
			int vm = call(m->sys, KVM_CREATE_VM, 0);
			bool ok = vm >= 0 && call(vm, KVM_CREATE_VCPU, 0) >= 0 &&
				  call(m->vm, KVM_CHECK_EXTENSION, 0) == -EIO;
			pid_t grandchild = fork();

			if (!grandchild)
				_exit(call(m->sys, KVM_CREATE_VM, 0) < 0);
			ok = ok && waitpid(grandchild, &status, 0) == grandchild && !status;
			_exit(!ok || armature_close(vm));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	stop = true;
	for (i = 0; i < CALLERS; i++) {
		pthread_join(c[i].thread, NULL);
		assert_false(c[i].failed);
	}
}

/* ---- Letting go ---- */

/* A VM with a vCPU, its page mapped. */
static void make(int sys, int *vm, int *vcpu, void **page)
{
	*vm = call(sys, KVM_CREATE_VM, 0);
	*vcpu = call(*vm, KVM_CREATE_VCPU, 0);
	*page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, *vcpu, 0);
	assert_true(*vm >= 0 && *vcpu >= 0);
	assert_ptr_not_equal(*page, MAP_FAILED);
}

static void armature_close_lets_go(void **state)
{
	struct machine_under_test *m = *state;
	unsigned int before = open_fds();
	int vm, vcpu;
	void *page;

	make(m->sys, &vm, &vcpu, &page);
	munmap(page, 4096);
	/* The vCPU holds its VM. */
	assert_int_equal(armature_close(vm), 0);
	assert_int_equal(init_vcpu(vcpu, PSCI_FEATURE), 0);
	assert_int_equal(armature_close(vcpu), 0);
	assert_int_equal(open_fds(), before);
}

static void plain_close_lets_go(void **state)
{
	struct machine_under_test *m = *state;
	unsigned int before = open_fds();
	int vm, vcpu, i;
	void *page;

	for (i = 0; i < 50; i++) {
		make(m->sys, &vm, &vcpu, &page);
		munmap(page, 4096);
		close(vcpu);
		close(vm);
	}
	/* Found out by the next call that makes or closes a descriptor. */
	armature_close(armature_open());
	assert_int_equal(open_fds(), before);
}

static void mapping_holds(void **state)
{
	struct machine_under_test *m = *state;
	unsigned int before = open_fds();
	int vm, vcpu;
	void *page;

	make(m->sys, &vm, &vcpu, &page);
	armature_close(vm);
	armature_close(vcpu);
	assert_true(open_fds() > before);
	munmap(page, 4096);
	armature_close(armature_open());
	assert_int_equal(open_fds(), before);
}

static void send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(socket, &msg, 0), 1);
}

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd;

	assert_int_equal(recvmsg(socket, &msg, 0), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static void socket_holds(void **state)
{
	struct machine_under_test *m = *state;
	int vm = call(m->sys, KVM_CREATE_VM, 0), pair[2], again;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	send_fd(pair[0], vm);
	armature_close(vm);
	again = receive_fd(pair[1]);
	assert_int_equal(call(again, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ), 1);
	armature_close(again);
	close(pair[0]);
	close(pair[1]);
}

static void child_holds(void **state)
{
	struct machine_under_test *m = *state;
	unsigned int before = open_fds();
	int vm = call(m->sys, KVM_CREATE_VM, 0), sync[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(sync, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		close(sync[1]);
		_exit(read(sync[0], &byte, 1) ? 1 : 0);
	}
	armature_close(vm);
	assert_true(open_fds() > before + 2);
	close(sync[0]);
	close(sync[1]);
	waitpid(pid, NULL, 0);
	armature_close(armature_open());
	assert_int_equal(open_fds(), before);
}

/* Two VMs in one process never meet. */
static void two_vms(void **state)
{
	struct machine_under_test *m = *state;
	int vm, vcpu;
	void *page;

	make(m->sys, &vm, &vcpu, &page);
	assert_int_equal(init_vcpu(vcpu, PSCI_FEATURE), 0);
	assert_int_equal(set_u64(vcpu, PC, 1), 0);
	assert_int_equal(set_u64(m->vcpu, PC, 2), 0);
	assert_int_equal(get_u64(vcpu, PC), 1);
	munmap(page, 4096);
	armature_close(vcpu);
	armature_close(vm);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(open_flags),          T(open_refuses),     T(child_of_many_threads),
		T(closed_on_exec),      T(duplicates_work),  T(numbers_are_reused),
		T(other_files),         T(position_moved),   T(page_is_shared),
		T(generic_ioctls),      T(child_is_refused), T(armature_close_lets_go),
		T(plain_close_lets_go), T(mapping_holds),    T(socket_holds),
		T(child_holds),         T(two_vms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
