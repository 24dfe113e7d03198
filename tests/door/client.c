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
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
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

static void make_calls(int sig)
{
	in_handler++;
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
		{"masked", masked},
		{"version", version},
	};
	const char *name = argc > 1 ? argv[1] : "";
	bool found = true;

	if (!strcmp(name, "children"))
		children(argv[0]);
	else if (!strcmp(name, "executed") && argc > 2)
		executed(argv[2]);
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
