/* SPDX-License-Identifier: MIT */
/*
 * A program that knows nothing of armature, run by armature exec: everything that it does to
 * /dev/kvm and its descriptors has to come out as on Linux. Its argument names what is done; it
 * prints what did not come out so, and its exit status is 1 then.
 */
#include <armature/kvm_arm64.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define KVM     "/dev/kvm"
#define RAM     0x40000000
#define PAGE    4096
#define THREADS 4
#define ROUNDS  200

static int failures;

#define CHECK(what)                                                                 \
	do {                                                                        \
		if (!(what)) {                                                      \
			printf("line %d: %s (errno %d)\n", __LINE__, #what, errno); \
			failures++;                                                 \
		}                                                                   \
	} while (0)

/* Whether it is the KVM of arm64 guests: the host's, on another machine, lacks that capability. */
static bool is_kvm(int fd)
{
	return fd >= 0 && ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION &&
	       ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ) > 0;
}

/* A VM of one vCPU whose guest does nothing for ever, or writes to nowhere for ever. */
struct vm {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	void *ram;
};

#define SPIN 0x14000000 /* b . */

static void make_vm(struct vm *v, unsigned int instruction)
{
	struct kvm_userspace_memory_region region = {.guest_phys_addr = RAM, .memory_size = PAGE};
	struct kvm_one_reg pc = {.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
				       KVM_REG_ARM_CORE_REG(regs.pc)};
	struct kvm_vcpu_init init;
	__u64 start = RAM;

	v->kvm = open(KVM, O_RDWR | O_CLOEXEC);
	v->vm = ioctl(v->kvm, KVM_CREATE_VM, 0);
	v->vcpu = ioctl(v->vm, KVM_CREATE_VCPU, 0);
	v->ram = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(v->ram, &instruction, sizeof(instruction));
	region.userspace_addr = (uintptr_t)v->ram;
	CHECK(!ioctl(v->vm, KVM_SET_USER_MEMORY_REGION, &region));
	CHECK(!ioctl(v->vm, KVM_ARM_PREFERRED_TARGET, &init));
	CHECK(!ioctl(v->vcpu, KVM_ARM_VCPU_INIT, &init));
	pc.addr = (uintptr_t)&start;
	CHECK(!ioctl(v->vcpu, KVM_SET_ONE_REG, &pc));
	v->run = mmap(NULL, (size_t)ioctl(v->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
		      PROT_READ | PROT_WRITE, MAP_SHARED, v->vcpu, 0);
	CHECK(v->run != MAP_FAILED);
}

/* ---- Paths ------------------------------------------------------------------------------- */

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

static void opens(void)
{
	const int dev = open("/dev", O_PATH | O_DIRECTORY), root = open("/dev/..", O_PATH);
	FILE *f;
	int fd;

	CHECK(is_kvm(open(KVM, O_RDWR)));
	CHECK(is_kvm(open(KVM, O_RDONLY)));
	CHECK(is_kvm(open64(KVM, O_WRONLY | O_NOFOLLOW | O_NOCTTY)));
	CHECK(is_kvm(openat(dev, "kvm", O_RDWR)));
	CHECK(is_kvm(openat64(root, "dev/kvm", O_RDWR)));
	CHECK(is_kvm(__open_2(KVM, O_RDWR)));
	CHECK(is_kvm(__open64_2(KVM, O_RDWR)));
	CHECK(is_kvm(__openat_2(dev, KVM, O_RDWR)));
	CHECK(is_kvm(__openat64_2(dev, "./kvm", O_RDWR)));
	CHECK(is_kvm(open("//dev//kvm", O_RDWR)));
	CHECK(is_kvm(open("/dev/../dev/./kvm", O_RDWR)));
	CHECK(is_kvm((int)syscall(SYS_openat, dev, "kvm", O_RDWR)));
	CHECK(!chdir("/dev") && is_kvm(open("kvm", O_RDWR)) && !chdir("/"));
	CHECK(open("kvm", O_RDWR) < 0 && errno == ENOENT);
	CHECK(open("/tmp/kvm", O_RDWR) < 0 && errno == ENOENT);
	CHECK(open("/dev/kvm/", O_RDWR) < 0);
	CHECK(open("/dev/xkvm", O_RDWR) < 0 && errno == ENOENT);
	CHECK(open(KVM, O_RDWR | O_CREAT | O_EXCL, 0600) < 0 && errno == EEXIST);
	CHECK(open(KVM, O_RDWR | O_DIRECTORY) < 0 && errno == ENOTDIR);
	CHECK(is_kvm(open(KVM, O_RDWR | O_CREAT, 0600)));
	fd = open(KVM, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) & O_NONBLOCK);
	fd = open(KVM, O_RDWR);
	CHECK(fcntl(fd, F_GETFD) == 0 && !(fcntl(fd, F_GETFL) & O_NONBLOCK));
	f = fopen(KVM, "r+");
	CHECK(f && is_kvm(fileno(f)));
	fd = f ? fileno(f) : -1;
	CHECK(f && !fclose(f) && ioctl(fd, KVM_GET_API_VERSION, 0) < 0 && errno == EBADF);
	f = fopen64(KVM, "re");
	CHECK(f && is_kvm(fileno(f)) && fcntl(fileno(f), F_GETFD) == FD_CLOEXEC);
	CHECK(!fopen(KVM, "q") && errno == EINVAL);
	/* A new file has the mode that it is made with. */
	fd = open("client-file", O_RDWR | O_CREAT | O_EXCL, 0640);
	if (fd < 0 && !chdir("/tmp")) {
		unlink("client-file");
		fd = open("client-file", O_RDWR | O_CREAT | O_EXCL, 0640);
	}
	struct stat st;
	CHECK(!fstat(fd, &st) && (st.st_mode & 0777) == 0640 && !unlink("client-file"));
}

static bool is_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(10, 232);
}

int __xstat(int version, const char *path, struct stat *st);
int __fxstat(int version, int fd, struct stat *st);

static void stats(void)
{
	const int dev = open("/dev", O_PATH | O_DIRECTORY), fd = open(KVM, O_RDWR);
	struct stat st;
	struct stat64 st64;
	struct statx stx;
	char path[4096];

	CHECK(!stat(KVM, &st) && is_device(&st));
	CHECK(!lstat(KVM, &st) && is_device(&st));
	CHECK(!fstat(fd, &st) && is_device(&st));
	CHECK(!stat64(KVM, &st64) && S_ISCHR(st64.st_mode));
	CHECK(!fstatat(dev, "kvm", &st, 0) && is_device(&st));
	CHECK(!fstatat(fd, "", &st, AT_EMPTY_PATH) && is_device(&st));
	CHECK(!syscall(SYS_newfstatat, dev, "kvm", &st, 0) && is_device(&st));
	CHECK(!statx(dev, "kvm", 0, STATX_BASIC_STATS, &stx) && S_ISCHR(stx.stx_mode) &&
	      stx.stx_rdev_major == 10 && stx.stx_rdev_minor == 232);
	CHECK(!statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) && S_ISCHR(stx.stx_mode));
	CHECK(!access(KVM, R_OK | W_OK) && !access(KVM, F_OK));
	CHECK(access(KVM, X_OK) && errno == EACCES);
	CHECK(!faccessat(dev, "kvm", R_OK | W_OK, AT_EACCESS));
	CHECK(!euidaccess(KVM, R_OK) && !eaccess(KVM, W_OK));
	CHECK(readlink(KVM, path, sizeof(path)) < 0 && errno == EINVAL);
	CHECK(realpath("/dev/../dev/kvm", path) && !strcmp(path, KVM));
	CHECK(stat("/tmp/kvm", &st) && errno == ENOENT);
	CHECK(!stat("/dev/null", &st) && st.st_rdev == makedev(1, 3));
	/* A VM's descriptor is no device. */
	CHECK(!fstat(ioctl(fd, KVM_CREATE_VM, 0), &st) && !S_ISCHR(st.st_mode));
}

/* ---- Descriptors ------------------------------------------------------------------------- */

static bool is_closed(int fd)
{
	return ioctl(fd, KVM_GET_API_VERSION, 0) < 0 && errno == EBADF;
}

/* A descriptor over a socket: the number that it gets there is made by no call that names it. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void send_descriptor(int socket, int fd)
{
	struct iovec byte = {.iov_base = "x", .iov_len = 1};
	union control c = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS}};
	struct msghdr m = {
		.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};

	memcpy(CMSG_DATA(&c.header), &fd, sizeof(fd));
	CHECK(sendmsg(socket, &m, 0) == 1);
}

static int receive_descriptor(int socket)
{
	char text;
	struct iovec byte = {.iov_base = &text, .iov_len = 1};
	union control c;
	struct msghdr m = {
		.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	int fd = -1;

	CHECK(recvmsg(socket, &m, 0) == 1);
	memcpy(&fd, CMSG_DATA(&c.header), sizeof(fd));
	return fd;
}

static void descriptors(void)
{
	const int fd = open(KVM, O_RDWR), null = open("/dev/null", O_RDWR);
	struct kvm_stats_header header;
	int a, b, pair[2];
	DIR *directory;
	FILE *f;

	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));

	CHECK(ioctl(null, KVM_GET_API_VERSION, 0) < 0 && errno == ENOTTY);
	a = dup(fd);
	CHECK(is_kvm(a));
	CHECK(!close(a) && is_closed(a) && close(a) && errno == EBADF);
	CHECK(is_kvm(dup2(fd, 100)) && is_kvm(dup3(fd, 101, O_CLOEXEC)));
	CHECK(dup2(null, 100) == 100 && ioctl(100, KVM_GET_API_VERSION, 0) && errno == ENOTTY);
	CHECK(dup2(fd, 100) == 100 && is_kvm(100));
	CHECK(dup3(null, 101, 0) == 101 && ioctl(101, KVM_GET_API_VERSION, 0) && errno == ENOTTY);
	a = fcntl(fd, F_DUPFD, 200);
	b = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	CHECK(a == 200 && b == 201 && is_kvm(a) && is_kvm(b));
	CHECK(fcntl(a, F_GETFD) == 0 && fcntl(b, F_GETFD) == FD_CLOEXEC);
	CHECK(!fcntl(a, F_SETFD, FD_CLOEXEC) && fcntl(a, F_GETFD) == FD_CLOEXEC);
	CHECK(!close_range(201, 300, 0) && is_kvm(200) && is_closed(201));
	CHECK(!close_range(200, 200, CLOSE_RANGE_CLOEXEC) && is_kvm(200));
	/* The number of a directory that its library closes, then a KVM's. */
	directory = opendir("/");
	a = dirfd(directory);
	CHECK(ioctl(a, KVM_GET_API_VERSION, 0) < 0 && errno == ENOTTY);
	closedir(directory);
	CHECK(dup(fd) == a && is_kvm(a));
	CHECK((int)syscall(SYS_close, a) == 0 && is_closed(a));
	/* The same, when nobody tells of the number's new file. */
	directory = opendir("/");
	a = dirfd(directory);
	CHECK(ioctl(a, KVM_GET_API_VERSION, 0) < 0 && errno == ENOTTY);
	send_descriptor(pair[0], fd);
	closedir(directory);
	CHECK(receive_descriptor(pair[1]) == a && is_kvm(a) && !close(a));
	f = popen("true", "r");
	a = fileno(f);
	CHECK(ioctl(a, KVM_GET_API_VERSION, 0) < 0 && errno == ENOTTY);
	send_descriptor(pair[0], fd);
	pclose(f);
	CHECK(receive_descriptor(pair[1]) == a && is_kvm(a) && !close(a));
	f = fopen("/dev/null", "r");
	a = fileno(f);
	CHECK(ioctl(a, KVM_GET_API_VERSION, 0) < 0 && errno == ENOTTY);
	send_descriptor(pair[0], fd);
	fclose(f);
	CHECK(receive_descriptor(pair[1]) == a && is_kvm(a) && !close(a));
	CHECK(open("/dev/null", O_RDWR) == a && !is_kvm(a));
	/* A file of statistics is the program's, which closes it. */
	b = ioctl(fd, KVM_CREATE_VM, 0);
	a = ioctl(b, KVM_GET_STATS_FD, NULL);
	CHECK(a == b + 1 && read(a, &header, sizeof(header)) == sizeof(header));
	CHECK(!close(a) && is_closed(a));
}

/* Streams: what the C library closes and opens by itself. */
static void streams(void)
{
	const int fd = open(KVM, O_RDWR), null = open("/dev/null", O_RDWR);
	int a, pair[2];
	FILE *f;

	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	/* A stream of the KVM's, by its path and by a descriptor. */
	f = fopen(KVM, "r+");
	a = fileno(f);
	CHECK(is_kvm(a) && !fclose(f) && is_closed(a));
	a = dup(fd);
	f = fdopen(a, "r+");
	CHECK(f && is_kvm(fileno(f)) && !fclose(f) && is_closed(a) && is_kvm(fd));
	/* To the KVM, from it, and from one file to the next, with the number that it had. */
	f = fopen("/dev/null", "r+");
	a = fileno(f);
	CHECK(!is_kvm(a));
	CHECK(freopen(KVM, "r+", f) == f && fileno(f) == a && is_kvm(a) && !fcntl(a, F_GETFD));
	CHECK(freopen64("/dev/kvm", "r+e", f) == f && is_kvm(fileno(f)) &&
	      fcntl(fileno(f), F_GETFD) == FD_CLOEXEC);
	CHECK(freopen(NULL, "r+", f) == f && is_kvm(fileno(f)));
	a = fileno(f);
	CHECK(freopen("/dev/null", "r+", f) == f);
	CHECK(ioctl(fileno(f), KVM_GET_API_VERSION, 0) < 0 && errno == ENOTTY);
	CHECK(fileno(f) == a || is_closed(a));
	/* Where that fails, the stream is closed, and its number free for another. */
	CHECK(freopen(KVM, "r+", f) == f);
	a = fileno(f);
	CHECK(is_kvm(a) && !freopen("/none/file", "r", f) && is_closed(a));
	f = fopen("/dev/null", "r+");
	a = fileno(f);
	CHECK(!is_kvm(a));
	send_descriptor(pair[0], fd);
	CHECK(!freopen("/none/file", "r", f));
	CHECK(receive_descriptor(pair[1]) == a && is_kvm(a) && !close(a));
	f = fopen("/dev/null", "r+");
	a = fileno(f);
	CHECK(!freopen(KVM, "q", f) && errno == EINVAL && is_closed(a));
	/* This closes no descriptor, whatever it is called. */
	f = fopen(KVM, "r+");
	a = fileno(f);
	fcloseall();
	CHECK(is_kvm(a) && !is_kvm(null));
	closelog();
}

/* A KVM as standard input, which becomes another file's number. */
static void detached(void)
{
	int status = -1, told[2], fd;
	char result;

	CHECK(!pipe(told));
	fd = open(KVM, O_RDWR);
	dup2(fd, STDIN_FILENO);
	CHECK(is_kvm(STDIN_FILENO) && is_kvm(fd));
	const pid_t pid = fork();
	if (!pid) {
		result = 'f';
		if (!daemon(0, 0) && is_kvm(fd) && ioctl(0, KVM_GET_API_VERSION, 0) < 0 &&
		    errno == ENOTTY)
			result = 'd';
		_exit(write(told[1], &result, 1) != 1);
	}
	close(told[1]);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(read(told[0], &result, 1) == 1 && result == 'd');
}

static void wake(int sig)
{
}

/* How many descriptors there are from a number on, but for the directory's that tells. */
static int count_descriptors(int from)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	int count = 0;

	while ((entry = readdir(directory)))
		count += atoi(entry->d_name) >= from && atoi(entry->d_name) != dirfd(directory);
	closedir(directory);
	return count;
}

/* What the KVM keeps for itself survives a program that closes all that it does not know. */
static void ranges(void)
{
	struct itimerspec soon = {{.tv_nsec = 10000000}, {.tv_nsec = 10000000}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct vm v;
	timer_t timer;
	int last, own;

	/* What this program has inherited is not the library's. */
	CHECK(!close_range(3, ~0u, 0));
	make_vm(&v, 0xd503207f); /* wfi */
	last = v.vcpu;
	own = count_descriptors(last + 1);
	CHECK(own > 0);
	CHECK(!close_range((unsigned int)last + 1, ~0u, 0));
	CHECK(!close_range((unsigned int)last + 1, ~0u, CLOSE_RANGE_UNSHARE));
	closefrom(last + 1);
	for (int fd = last + 1; fd < sysconf(_SC_OPEN_MAX) && fd < 65536; fd++)
		CHECK(close(fd) && errno == EBADF);
	CHECK(count_descriptors(last + 1) == own);
	signal(SIGUSR1, SIG_IGN);
	CHECK(is_kvm(v.kvm));
	CHECK(ioctl(v.kvm, KVM_CREATE_VM, 0) == last + 1);
	/* It sleeps in the guest, and wakes. */
	struct sigaction act = {.sa_handler = wake, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &act, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &soon, NULL);
	CHECK(ioctl(v.vcpu, KVM_RUN, 0) < 0 && errno == EINTR);
	CHECK(dup2(v.kvm, 100) == 100 && is_kvm(100));
	CHECK(!close_range(100, 100, CLOSE_RANGE_UNSHARE) && is_closed(100));
	CHECK(close_range(v.kvm, v.kvm, 1u << 30) && errno == EINVAL && is_kvm(v.kvm));
	/* All is gone, and a new one is a whole one. */
	close_range(3, ~0u, 0);
	CHECK(is_closed(v.kvm) && is_closed(v.vcpu));
	make_vm(&v, SPIN);
	CHECK(v.kvm == 3);
}

static void version(void)
{
	CHECK(is_kvm(open(KVM, O_RDWR)));
}

/* ---- Threads and children ---------------------------------------------------------------- */

static void *work(void *arg)
{
	int *failed = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int fd = open(KVM, O_RDWR | O_CLOEXEC), other = open("/dev/null", O_RDWR);
		int vm = ioctl(fd, KVM_CREATE_VM, 0);

		*failed += !is_kvm(fd) || vm < 0;
		*failed += ioctl(other, KVM_GET_API_VERSION, 0) != -1 || errno != ENOTTY;
		*failed += close(vm) || close(other) || close(fd);
	}
	return NULL;
}

static void threads(void)
{
	int failed[THREADS] = {0};
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, work, &failed[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		CHECK(!failed[i]);
	}
}

static int exit_status(pid_t pid)
{
	int status = 0;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void children(const char *self)
{
	struct vm v;
	char text[16];
	pid_t pid;
	int fd;

	make_vm(&v, SPIN);
	fd = open(KVM, O_RDWR);
	pid = fork();
	if (!pid) {
		int own = open(KVM, O_RDWR);

		/* As on Linux: the VM is the parent's, the device everybody's. */
		_exit(ioctl(v.vm, KVM_CREATE_VCPU, 1) < 0 && errno == EIO && is_kvm(fd) &&
				      ioctl(own, KVM_CREATE_VM, 0) >= 0
			      ? 11
			      : 1);
	}
	CHECK(exit_status(pid) == 11);
	pid = vfork();
	if (!pid) {
		dup2(v.kvm, v.vcpu);
		close(v.vm);
		_exit(12);
	}
	CHECK(exit_status(pid) == 12);
	CHECK(ioctl(v.vm, KVM_CREATE_VCPU, 1) >= 0);
	v.run->immediate_exit = 1;
	CHECK(ioctl(v.vcpu, KVM_RUN, 0) < 0 && errno == EINTR);
	pid = fork();
	if (!pid) {
		snprintf(text, sizeof(text), "%d", v.vm);
		execl(self, self, "executed", text, NULL);
		_exit(1);
	}
	CHECK(exit_status(pid) == 0);
	CHECK(system("test -c /dev/kvm && test -w /dev/kvm") == 0);
}

/* A command, which may be a program of another architecture. */
static void starts(const char *command)
{
	CHECK(is_kvm(open(KVM, O_RDWR)));
	CHECK(system(command) == 0);
}

/* The new program finds its parent's VMs closed, and opens its own. */
static void executed(const char *number)
{
	CHECK(is_closed(atoi(number)));
	opens();
}

/* ---- Signals ----------------------------------------------------------------------------- */

static struct vm guest;
static volatile int in_handler, nested;
static sigjmp_buf away;

/* A signal that comes before KVM_RUN is to end it as well. */
static void make_calls(int sig)
{
	in_handler++;
	if (guest.run)
		guest.run->immediate_exit = 1;
	nested += is_kvm(guest.kvm) && is_kvm(open(KVM, O_RDWR)) &&
		  ioctl(guest.kvm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG) == 1;
}

static void jump(int sig)
{
	in_handler++;
	siglongjmp(away, 1);
}

static void *kick(void *arg)
{
	const struct timespec a_moment = {.tv_nsec = 2000000};

	nanosleep(&a_moment, NULL);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void run_kicked(void)
{
	pthread_t self = pthread_self(), kicker;

	pthread_create(&kicker, NULL, kick, &self);
	CHECK(ioctl(guest.vcpu, KVM_RUN, 0) < 0 && errno == EINTR);
	pthread_join(kicker, NULL);
	guest.run->immediate_exit = 0;
}

static void handlers(void)
{
	struct sigaction act = {.sa_handler = make_calls, .sa_flags = SA_RESTART};
	__u64 value;
	struct kvm_one_reg pc = {.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
				       KVM_REG_ARM_CORE_REG(regs.pc),
				 .addr = (uintptr_t)&value};
	struct kvm_arm_device_addr addr = {.id = UINT32_MAX, .addr = RAM};

	make_vm(&guest, SPIN);
	/* One number; the log tells them apart. */
	CHECK(!ioctl(guest.vcpu, KVM_GET_ONE_REG, &pc) && value == RAM);
	CHECK(ioctl(guest.vm, KVM_ARM_SET_DEVICE_ADDR, &addr) == -1);
	CHECK(!sigaction(SIGUSR1, &act, NULL));
	for (int i = 1; i <= 20; i++) {
		run_kicked();
		CHECK(in_handler == i && nested == i);
	}
}

static volatile int rounds;

static void jumps(void)
{
	pthread_t self = pthread_self();
	static pthread_t kicker;

	make_vm(&guest, SPIN);
	signal(SIGUSR1, jump);
	for (rounds = 0; rounds < 20; rounds++) {
		if (!sigsetjmp(away, 1)) {
			pthread_create(&kicker, NULL, kick, &self);
			ioctl(guest.vcpu, KVM_RUN, 0);
			CHECK(!"KVM_RUN came back");
		}
		pthread_join(kicker, NULL);
		CHECK(is_kvm(guest.kvm) && in_handler == rounds + 1);
	}
	signal(SIGUSR1, make_calls);
	run_kicked();
	CHECK(in_handler == 21);
}

static volatile int came;

static void note(int sig)
{
	came++;
}

/* System calls that this program makes itself, while all signals are blocked. */
static long bare(long nr, long a, long b, long c)
{
#ifdef __aarch64__
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
			 x2 __asm__("x2") = c;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#else
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
#endif
}

static void masked(void)
{
	struct sigaction act = {.sa_handler = make_calls}, old;
	sigset_t all;
	long fd;

	CHECK(!sigaction(SIGSYS, &act, NULL) && !sigaction(SIGSYS, NULL, &old) &&
	      old.sa_handler == make_calls);
	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, NULL));
	fd = bare(SYS_openat, AT_FDCWD, (long)KVM, O_RDWR);
	CHECK(is_kvm((int)fd));
	CHECK(bare(SYS_ioctl, fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ) == 1);
	CHECK(!sigprocmask(SIG_BLOCK, &all, NULL));
	CHECK(!bare(SYS_close, fd, 0, 0) && bare(SYS_close, fd, 0, 0) == -EBADF);
	/* What is no call of ours is the program's own handler's. */
	guest.kvm = open(KVM, O_RDWR);
	raise(SIGSYS);
	CHECK(in_handler == 1 && nested == 1);
}

static volatile long made;

static void bare_calls(int sig)
{
	const long fd = bare(SYS_openat, AT_FDCWD, (long)KVM, O_RDWR);

	made += fd >= 0 && bare(SYS_ioctl, fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION &&
		!bare(SYS_close, fd, 0, 0);
}

static void *make_bare_calls(void *unused)
{
	bare_calls(0);
	return NULL;
}

/* Handlers that make system calls themselves, and that have all signals blocked meanwhile. */
static void masked_handlers(void)
{
	struct sigaction act = {.sa_handler = bare_calls};
	const int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;
	sigset_t all_but_one;
	pthread_attr_t attr;
	pthread_t thread;

	sigfillset(&act.sa_mask);
	CHECK(!sigaction(SIGUSR1, &act, NULL));
	raise(SIGUSR1);
	CHECK(made == 1);
	sigemptyset(&act.sa_mask);
	CHECK(!sigaction(SIGUSR1, &act, NULL));
	sigemptyset(&all_but_one);
	sigaddset(&all_but_one, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &all_but_one, NULL));
	sigfillset(&all_but_one);
	sigdelset(&all_but_one, SIGUSR1);
	raise(SIGUSR1);
	CHECK(sigsuspend(&all_but_one) < 0 && errno == EINTR && made == 2);
	raise(SIGUSR1);
	CHECK(ppoll(NULL, 0, NULL, &all_but_one) < 0 && errno == EINTR && made == 3);
	raise(SIGUSR1);
	CHECK(pselect(0, NULL, NULL, NULL, NULL, &all_but_one) < 0 && errno == EINTR && made == 4);
	raise(SIGUSR1);
	CHECK(epoll_pwait(epoll, &event, 1, -1, &all_but_one) < 0 && errno == EINTR && made == 5);
	/* A thread that begins with a mask of its own. */
	sigfillset(&all_but_one);
	pthread_attr_init(&attr);
	CHECK(!pthread_attr_setsigmask_np(&attr, &all_but_one));
	CHECK(!pthread_create(&thread, &attr, make_bare_calls, NULL));
	pthread_join(thread, NULL);
	CHECK(made == 6);
}

/* What each way to install a handler is to leave, also when a KVM is there. */
static void dispositions(void)
{
	struct sigaction old;

	make_vm(&guest, SPIN);
	CHECK(signal(SIGUSR1, note) == SIG_DFL);
	CHECK(!sigaction(SIGUSR1, NULL, &old) && old.sa_handler == note &&
	      old.sa_flags & SA_RESTART && !(old.sa_flags & (int)SA_RESETHAND));
	CHECK(!siginterrupt(SIGUSR1, 1) && !sigaction(SIGUSR1, NULL, &old) &&
	      !(old.sa_flags & SA_RESTART));
	CHECK(signal(SIGUSR1, note) == note && !sigaction(SIGUSR1, NULL, &old) &&
	      !(old.sa_flags & SA_RESTART));
	CHECK(!siginterrupt(SIGUSR1, 0) && !sigaction(SIGUSR1, NULL, &old) &&
	      old.sa_flags & SA_RESTART);
	raise(SIGUSR1);
	CHECK(came == 1);
	CHECK(sysv_signal(SIGUSR2, note) == SIG_DFL && !sigaction(SIGUSR2, NULL, &old) &&
	      old.sa_flags & (int)SA_RESETHAND && old.sa_flags & SA_NODEFER);
	raise(SIGUSR2);
	CHECK(came == 2 && !sigaction(SIGUSR2, NULL, &old) && old.sa_handler == SIG_DFL);
	CHECK(signal(0, note) == SIG_ERR && errno == EINVAL);
	CHECK(signal(SIGKILL, note) == SIG_ERR && errno == EINVAL);
	CHECK(signal(SIGUSR1, SIG_IGN) == note);
	raise(SIGUSR1);
	CHECK(came == 2 && signal(SIGUSR1, SIG_DFL) == SIG_IGN);
}

/* ---- A strict filter of the program's own ------------------------------------------------- */

/* What docs/clients.md says that a filter must let through when the VM is there; keep them one. */
static const unsigned int let_through[] = {
	/* a vCPU runs, sleeps, is woken */
	SYS_getpid, SYS_gettid, SYS_tgkill, SYS_rt_tgsigqueueinfo, SYS_rt_sigprocmask,
	SYS_rt_sigreturn, SYS_restart_syscall, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise,
	SYS_brk, SYS_futex,
	/* a handler is installed, a descriptor closed or seen for the first time */
	SYS_rt_sigaction, SYS_close, SYS_lseek, SYS_newfstatat, SYS_fstat, SYS_fcntl,
	/* this program's own */
	SYS_clock_nanosleep, SYS_write, SYS_timer_settime, SYS_exit, SYS_exit_group, SYS_dup};

#define FILTERED (sizeof(let_through) / sizeof(let_through[0]))

static void forbidden(int sig, siginfo_t *info, void *context)
{
	char text[] = "system call 000000\n";

	for (int i = 17, nr = info->si_syscall; i > 11; i--, nr /= 10)
		text[i] = (char)('0' + nr % 10);
	_exit(write(STDOUT_FILENO, text, sizeof(text) - 1) < 0 ? 3 : 2);
}

/* In all threads, the library's too: any other system call ends the process. */
static bool filter(void)
{
	struct sock_filter code[FILTERED * 2 + 2] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
	struct sock_fprog prog = {0, code};
	unsigned short n = 1;

	for (size_t i = 0; i < FILTERED; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, let_through[i],
							 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
	prog.len = n;
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
}

#define VCPUS     10 /* more than the C library has heaps for without a look at the host */
#define GUEST_RAM (64u << 10)
#define MMIO      0x09000000
#define PASSES    40

/* It says where it is, computes, sleeps, and says that it is done. */
static void load_guest(unsigned int *code)
{
	const unsigned int words = GUEST_RAM / 4;

	code[0] = 0xf9000149; /* str x9, [x10] */
	for (unsigned int i = 1; i < words; i++)
		code[i] = i % 16 ? 0x91000421 : 0x14000001; /* add x1, x1, #1; b .+4 */
	code[words - 3] = 0xd503207f;                       /* wfi */
	code[words - 2] = 0xf9000169;                       /* str x9, [x11] */
	code[words - 1] = SPIN;
}

static struct {
	int vm, fd[VCPUS];
	struct kvm_run *run[VCPUS];
	pthread_barrier_t start;
	unsigned int *code;
	_Atomic int left, wrong;
} g;

static int set_reg(int vcpu, __u64 id, __u64 value)
{
	struct kvm_one_reg reg = {.id = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | id,
				  .addr = (uintptr_t)&value};

	return ioctl(vcpu, KVM_SET_ONE_REG, &reg);
}

static void enter(int fd, const struct kvm_run *run, __u64 expected)
{
	int ret;

	while ((ret = ioctl(fd, KVM_RUN, 0)) < 0 && errno == EINTR)
		;
	g.wrong += ret || run->exit_reason != KVM_EXIT_MMIO || run->mmio.phys_addr != expected;
}

static void *run_filtered(void *arg)
{
	const unsigned int i = (unsigned int)(uintptr_t)arg;
	struct sigaction act = {.sa_handler = note, .sa_flags = SA_RESTART};

	pthread_barrier_wait(&g.start);
	pthread_barrier_wait(&g.start);
	for (int pass = 0; pass < PASSES; pass++) {
		/* The store that it said so by is over with the next entry. */
		g.run[i]->immediate_exit = 1;
		g.wrong += ioctl(g.fd[i], KVM_RUN, 0) != -1 || errno != EINTR;
		g.run[i]->immediate_exit = 0;
		g.wrong += set_reg(g.fd[i], KVM_REG_ARM_CORE_REG(regs.pc), RAM);
		enter(g.fd[i], g.run[i], MMIO);
		enter(g.fd[i], g.run[i], MMIO + PAGE);
		/* The code is other code from now on. */
		for (unsigned int w = 16 * i + 1; w < GUEST_RAM / 4 - 16; w += 16 * VCPUS)
			__atomic_fetch_xor(&g.code[w], 1u << 12, __ATOMIC_RELAXED);
		g.wrong += sigaction(SIGUSR1, &act, NULL) || close(dup(g.vm));
	}
	g.left--;
	pthread_barrier_wait(&g.start);
	return NULL;
}

static void make_filtered(void)
{
	struct kvm_userspace_memory_region region = {.guest_phys_addr = RAM,
						     .memory_size = GUEST_RAM};
	const int kvm = open(KVM, O_RDWR | O_CLOEXEC);
	struct kvm_vcpu_init init;

	g.vm = ioctl(kvm, KVM_CREATE_VM, 0);
	g.code = mmap(NULL, GUEST_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	load_guest(g.code);
	region.userspace_addr = (uintptr_t)g.code;
	CHECK(!ioctl(g.vm, KVM_SET_USER_MEMORY_REGION, &region));
	CHECK(!ioctl(g.vm, KVM_ARM_PREFERRED_TARGET, &init));
	for (int i = 0; i < VCPUS; i++) {
		g.fd[i] = ioctl(g.vm, KVM_CREATE_VCPU, i);
		g.run[i] = mmap(NULL, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
				PROT_READ | PROT_WRITE, MAP_SHARED, g.fd[i], 0);
		CHECK(!ioctl(g.fd[i], KVM_ARM_VCPU_INIT, &init));
		CHECK(!set_reg(g.fd[i], KVM_REG_ARM_CORE_REG(regs.regs[10]), MMIO));
		CHECK(!set_reg(g.fd[i], KVM_REG_ARM_CORE_REG(regs.regs[11]), MMIO + PAGE));
	}
}

/* The vCPUs' interrupts, which wake them. */
static void wake_all(unsigned int level)
{
	for (unsigned int i = 0; i < VCPUS; i++) {
		struct kvm_irq_level line = {.irq = KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
						    i << KVM_ARM_IRQ_VCPU_SHIFT,
					     .level = level};

		g.wrong += ioctl(g.vm, KVM_IRQ_LINE, &line);
	}
}

static void filtered(void)
{
	const struct timespec a_moment = {.tv_nsec = 1000000};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec often = {{.tv_nsec = 3000000}, {.tv_nsec = 3000000}};
	const struct sigaction act = {.sa_sigaction = forbidden, .sa_flags = SA_SIGINFO};
	pthread_t t[VCPUS];
	timer_t timer;

	make_filtered();
	sigaction(SIGSYS, &act, NULL);
	signal(SIGUSR1, note);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	g.left = VCPUS;
	pthread_barrier_init(&g.start, NULL, VCPUS + 1);
	for (int i = 0; i < VCPUS; i++)
		pthread_create(&t[i], NULL, run_filtered, (void *)(uintptr_t)i);
	pthread_barrier_wait(&g.start);
	if (!filter()) {
		printf("no filter can be set here\n");
		exit(77);
	}
	timer_settime(timer, 0, &often, NULL);
	pthread_barrier_wait(&g.start);
	for (unsigned int i = 0; g.left; i++) {
		nanosleep(&a_moment, NULL);
		pthread_kill(t[i % VCPUS], SIGUSR1);
		wake_all(i / 8 % 2);
	}
	pthread_barrier_wait(&g.start);
	CHECK(!g.wrong && came > 0);
	fflush(stdout);
	_exit(!!failures);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{"opens", opens},
		{"stats", stats},
		{"descriptors", descriptors},
		{"ranges", ranges},
		{"threads", threads},
		{"handlers", handlers},
		{"jumps", jumps},
		{"dispositions", dispositions},
		{"streams", streams},
		{"detached", detached},
		{"filtered", filtered},
		{"masked", masked},
		{"masked-handlers", masked_handlers},
		{"version", version},
	};
	const char *name = argc > 1 ? argv[1] : "";
	bool found = true;

	if (!strcmp(name, "children"))
		children(argv[0]);
	else if (!strcmp(name, "executed") && argc > 2)
		executed(argv[2]);
	else if (!strcmp(name, "starts") && argc > 2)
		starts(argv[2]);
	else
		found = false;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!strcmp(name, cases[i].name)) {
			cases[i].run();
			found = true;
		}
	}
	return !found || failures;
}
