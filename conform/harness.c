/* SPDX-License-Identifier: MIT */
/*
 * The command: chooses a KVM and tests, runs each test in a child, and prints TAP.
 *
 * A child leaves with 0 (passed), EXIT_FAILED or EXIT_SKIPPED, and its message through a pipe. A
 * crash or a test that takes longer than TEST_SECONDS has failed, whatever is known of the KVM.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <armature/armature.h>
#include "conform/conform.h"

#define EXIT_FAILED  1 /* a check did not hold */
#define EXIT_BROKEN  2 /* the test crashed, or came to no end */
#define EXIT_SKIPPED 77
#define TEST_SECONDS 60
#define LONG_SECONDS 270 /* of a LONG test, with a KVM on an emulated host */
#define MESSAGE_MAX  512

const struct kvm_door *door;
static int message_fd = -1;

/* ---- Inside a test ---- */

static void say(const char *format, va_list ap)
{
	char text[MESSAGE_MAX];
	int n = vsnprintf(text, sizeof(text), format, ap);

	if (n > 0 && write(message_fd, text, n < MESSAGE_MAX ? (size_t)n : MESSAGE_MAX - 1) < 0)
		perror("conform");
}

void fail_at(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	va_list ap;

	dprintf(message_fd, "%s:%d: ", base ? base + 1 : file, line);
	va_start(ap, format);
	say(format, ap);
	va_end(ap);
	_exit(EXIT_FAILED);
}

void skip(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
	_exit(EXIT_SKIPPED);
}

/* ---- Doors ---- */

static int soft_open(const char *path)
{
	return armature_open();
}

static const struct kvm_door soft_door = {
	.name = "soft",
	.soft = true,
	.open = soft_open,
	.ioctl = armature_ioctl,
	.close = armature_close,
};

static int linux_open(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC);
}

static int linux_ioctl(int fd, unsigned long request, unsigned long arg)
{
	return ioctl(fd, request, arg);
}

static struct kvm_door linux_door = {
	.open = linux_open,
	.ioctl = linux_ioctl,
	.close = close,
};

/* ---- The runner ---- */

struct result {
	int status; /* exit status, EXIT_BROKEN for a crash */
	char message[MESSAGE_MAX];
};

static void check_requirements(const struct conform_test *t)
{
	if ((t->flags & SOFT_ONLY) && !door->soft)
		skip("asks more than the text does");
	if ((t->flags & NO_IRQCHIP) && has_cap(KVM_CAP_IRQCHIP))
		skip("this KVM has an in-kernel irqchip to offer");
	if ((t->flags & NEEDS_IRQCHIP) && !has_cap(KVM_CAP_IRQCHIP))
		skip("this KVM has no in-kernel irqchip to offer");
	if ((t->flags & NEEDS_PMU) && !has_cap(KVM_CAP_ARM_PMU_V3))
		skip("this KVM has no PMU for guests");
}

static void child(const struct conform_test *t, int fd)
{
	message_fd = fd;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	check_requirements(t);
	t->run(t->arg);
	_exit(0);
}

/* Read what the child says until it is gone or late. */
static bool listen_to(int fd, unsigned int seconds, struct result *r)
{
	uint64_t end = now_us() + seconds * 1000000ull;
	size_t n = 0;
	ssize_t got;

	for (;;) {
		struct pollfd p = {fd, POLLIN, 0};

		if (now_us() >= end || (poll(&p, 1, 1000) < 0 && errno != EINTR))
			return false;
		if (!p.revents)
			continue;
		got = read(fd, r->message + n, sizeof(r->message) - 1 - n);
		if (got <= 0)
			return true;
		n += (size_t)got;
		r->message[n] = '\0';
	}
}

static void run_test(const struct conform_test *t, struct result *r)
{
	unsigned int seconds = t->flags & LONG ? LONG_SECONDS : TEST_SECONDS;
	int fds[2], status;
	pid_t pid;

	memset(r, 0, sizeof(*r));
	r->status = EXIT_BROKEN;
	if (pipe2(fds, O_CLOEXEC)) {
		snprintf(r->message, sizeof(r->message), "pipe: %s", strerror(errno));
		return;
	}
	fflush(NULL);
	pid = fork();
	if (!pid)
		child(t, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		snprintf(r->message, sizeof(r->message), "fork: %s", strerror(errno));
	} else {
		if (!listen_to(fds[0], seconds, r)) {
			snprintf(r->message, sizeof(r->message), "took longer than %u s", seconds);
			kill(pid, SIGKILL);
		}
		waitpid(pid, &status, 0);
		if (WIFEXITED(status))
			r->status = WEXITSTATUS(status);
		else if (!r->message[0])
			snprintf(r->message, sizeof(r->message), "died by signal %d",
				 WTERMSIG(status));
	}
	close(fds[0]);
}

struct tally {
	int passed, failed, skipped, todo;
};

static void print_result(int n, const struct conform_test *t, const struct result *r,
			 struct tally *sum)
{
	/* Not every version of Linux deviates: a row that passes is no TODO. */
	bool ok = !r->status, todo = r->status == EXIT_FAILED && t->linux_todo && !door->soft;

	if (r->status == EXIT_SKIPPED) {
		sum->skipped++;
		printf("ok %d - %s # SKIP %s\n", n, t->name, r->message);
		return;
	}
	printf("%sok %d - %s: %s", ok ? "" : "not ", n, t->name, t->sentence);
	if (todo)
		printf(" # TODO known Linux deviation: %s", t->linux_todo);
	printf("\n");
	if (!ok)
		printf("# %s\n", r->message);
	if (ok)
		sum->passed++;
	else if (todo)
		sum->todo++;
	else
		sum->failed++;
}

static const struct conform_group *const groups[] = {
	&group_api,  &group_level,  &group_run,  &group_pin,
	&group_psci, &group_memory, &group_vgic, &group_eventfd,
};

/* A test is meant by its name, or by the part of it before a '/'. */
static bool is_meant(const struct conform_test *t, char **names, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		size_t n = strlen(names[i]);

		if (!strncmp(t->name, names[i], n) && (!t->name[n] || t->name[n] == '/'))
			return true;
	}
	return !nr;
}

static int for_each_test(char **names, int nr,
			 void (*fn)(int n, const struct conform_test *t, struct tally *sum),
			 struct tally *sum)
{
	unsigned int i, j;
	int n = 0;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (j = 0; j < groups[i]->nr; j++)
			if (is_meant(&groups[i]->tests[j], names, nr)) {
				n++;
				if (fn)
					fn(n, &groups[i]->tests[j], sum);
			}
	return n;
}

static void list_one(int n, const struct conform_test *t, struct tally *sum)
{
	printf("%-28s %s\n", t->name, t->sentence);
}

static void run_one(int n, const struct conform_test *t, struct tally *sum)
{
	struct result r;

	run_test(t, &r);
	print_result(n, t, &r, sum);
	fflush(stdout);
}

static int help(void)
{
	printf("usage: armature conform [--kvm soft|PATH] [--list] [TEST...]\n\n"
	       "Test a KVM against the user-space interrupt ABI; prints TAP.\n\n"
	       "  --kvm soft    armature's own KVM (the default)\n"
	       "  --kvm PATH    Linux's, usually /dev/kvm, on an arm64 host\n"
	       "  --list        the tests, each with the sentence that it checks\n\n"
	       "Exit status: 0 if all that could run passed, 1 if not, 2 if none was started.\n");
	return 0;
}

static int usage(const char *wrong, const char *what)
{
	fprintf(stderr, "armature: conform: %s '%s'; 'armature conform --help' tells more\n", wrong,
		what);
	return 2;
}

/* A name that no test has, or NULL. */
static const char *unknown_test(char **names, int nr)
{
	for (int i = 0; i < nr; i++)
		if (!for_each_test(&names[i], 1, NULL, NULL))
			return names[i];
	return NULL;
}

/* What is wrong with the KVM behind @fd, or NULL. A KVM of arm64 always has PSCI. */
static const char *no_arm64_kvm(int fd)
{
	if (door->ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return "is no KVM";
	if (door->ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PSCI_0_2) < 1)
		return "is a KVM of another architecture than arm64";
	if (door->ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ) < 1)
		return "has no KVM_CAP_ARM_USER_IRQ, so there is nothing to test";
	return NULL;
}

static int choose_door(const char *name)
{
	const char *wrong;
	int fd;

	door = &soft_door;
	if (strcmp(name, "soft")) {
		linux_door.name = linux_door.path = name;
		door = &linux_door;
	}
	fd = door->open(door->path);
	if (fd < 0) {
		fprintf(stderr,
			"armature: conform: cannot open %s: %s; '--kvm soft' works everywhere\n",
			name, strerror(errno));
		return 2;
	}
	wrong = no_arm64_kvm(fd);
	door->close(fd);
	if (!wrong)
		return 0;
	fprintf(stderr, "armature: conform: %s %s; '--kvm soft' works everywhere\n", name, wrong);
	return 2;
}

int conform_main(int argc, char **argv)
{
	const char *kvm_name = "soft";
	struct tally sum = {0};
	bool list = false;
	int i, n;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return help();
		if (!strcmp(argv[i], "--list"))
			list = true;
		else if (!strcmp(argv[i], "--kvm") && i + 1 == argc)
			return usage("a value is missing after", argv[i]);
		else if (!strcmp(argv[i], "--kvm"))
			kvm_name = argv[++i];
		else if (!strncmp(argv[i], "--kvm=", 6))
			kvm_name = argv[i] + 6;
		else
			return usage("unknown option", argv[i]);
	}
	if (!kvm_name[0] || !strcmp(kvm_name, "auto"))
		return usage("give soft or a path after --kvm, not", kvm_name);
	argc -= i;
	argv += i;
	n = for_each_test(argv, argc, NULL, NULL);
	if (unknown_test(argv, argc))
		return usage("no such test:", unknown_test(argv, argc));
	if (list)
		return for_each_test(argv, argc, list_one, NULL) ? 0 : 1;
	if (choose_door(kvm_name))
		return 2;
	printf("TAP version 13\n1..%d\n", n);
	for_each_test(argv, argc, run_one, &sum);
	printf("# %d passed, %d failed, %d skipped, %d known deviations (%s)\n", sum.passed,
	       sum.failed, sum.skipped, sum.todo, door->name);
	return sum.failed ? 1 : 0;
}
