/* SPDX-License-Identifier: MIT */
/* Tiny guests on our KVM: how they end, what is said, and what the options leave behind. */
#include "spawn.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct result r;

static int setup(void **state)
{
	make_files();
	return 0;
}

static int teardown(void **state)
{
	drop_files();
	return 0;
}

#define GUEST(input, guest, ...) \
	RUN(&r, input, "run", "--kvm", "soft", "-m", "64", "-k", guest_option(guest), ##__VA_ARGS__)

static void powers_off(void **state)
{
	GUEST(NULL, GUEST_POWEROFF);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.out, "Hi");
	has(r.err, "KVM: soft (as asked)");
	has(r.err, "powered off after");
	has(r.err, "returns of KVM_RUN   3: mmio 2, system-event 1");
	has(r.err, "device-level changes 0");
	has(r.err, "interrupts delivered 0");
}

static void every_standard_input(void **state)
{
	GUEST(CLOSED, GUEST_POWEROFF);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.out, "Hi");
	GUEST("", GUEST_POWEROFF);
	assert_int_equal(r.status, 0);
	GUEST("input that nobody reads", GUEST_POWEROFF);
	assert_int_equal(r.status, 0);
}

/* Piped input comes whole, more than any FIFO holds, and Ctrl-A is nothing special in it. */
static void piped_input(void **state)
{
	static char text[9001];

	for (unsigned int i = 0; i < sizeof(text) - 2; i++)
		text[i] = "abcde\001xh\n"[i % 9];
	text[sizeof(text) - 2] = 'q';
	GUEST(text, GUEST_ECHO);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.out, text);
}

static void reboots(void **state)
{
	GUEST(NULL, GUEST_REBOOT, "--stats");
	assert_int_equal(r.status, 0);
	has(r.err, "and 2 boots");
	has(r.err, "system-event 2");
	GUEST(NULL, GUEST_REBOOT, "-c", "8");
	assert_int_equal(r.status, 0);
	has(r.err, "and 2 boots");
}

static void access_without_syndrome(void **state)
{
	GUEST(NULL, GUEST_PAIR);
	assert_int_equal(r.status, 1);
	has(r.err, "the instruction 0xa9400c22 at PC 0x40080004 reads 0x9000000 (pl011)");
	has(r.err, "stopped by an error");
}

static void nothing_there(void **state)
{
	GUEST(NULL, GUEST_NOWHERE);
	assert_int_equal(r.status, 0);
	has(r.err, "read of 4 bytes at 0x20000000, where nothing is");
	has(r.err, "write of 4 bytes at 0x20000000, where nothing is");
}

static void statistics(void **state)
{
	GUEST(NULL, GUEST_POWEROFF, "--stats", "-c", "2");
	assert_int_equal(r.status, 0);
	has(r.err, "MMIO exits           pl011 2");
	has(r.err, "instructions         8,");
	has(r.err, "vCPU 1 ");
}

static void trace(void **state)
{
	char line[256], event[32];
	unsigned long long time, last = 0;
	unsigned int n = 0, exits = 0;
	FILE *file;

	/* A trace that cannot be written is a failure, of the guest none. */
	GUEST(NULL, GUEST_POWEROFF, "--trace", "/dev/full");
	assert_int_equal(r.status, 1);
	has(r.err, "--trace '/dev/full': No space left");
	GUEST(NULL, GUEST_POWEROFF, "--trace", file_path("trace"));
	assert_int_equal(r.status, 0);
	file = fopen(file_path("trace"), "re");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	has(line, " - start\n");
	while (fgets(line, sizeof(line), file)) {
		assert_int_equal(sscanf(line, "%llu vcpu0 %31s", &time, event), 2);
		assert_true(time >= last);
		last = time;
		exits += !strcmp(event, "exit");
		if (!n++)
			has(line, " vcpu0 exit mmio write pl011 0x9000000 1 0x48\n");
	}
	fclose(file);
	assert_int_equal(exits, 3);
}

static void dumps_the_tree(void **state)
{
	struct stat st;

	RUN(&r, NULL, "run", "--kvm", "soft", "-c", "3", "-a", "words", "--dump-dtb",
	    file_path("dtb"));
	assert_int_equal(r.status, 0);
	assert_int_equal(lines(r.err), 1); /* which KVM; nothing ran */
	assert_int_equal(stat(file_path("dtb"), &st), 0);
	assert_true(st.st_size > 1000);
	GUEST(NULL, GUEST_POWEROFF, "--dtb", file_path("dtb"), "--dump-dtb", file_path("dtb2"));
	assert_int_equal(r.status, 0);
	assert_string_equal(r.out, "Hi");
	assert_int_equal(stat(file_path("dtb2"), &st), 0);
	assert_true(st.st_size > 1000);
}

/* Firmware finds the device tree at the start of memory, kernels where x0 says. */
static void firmware_finds_the_tree(void **state)
{
	GUEST(NULL, GUEST_TREE);
	assert_int_equal(r.status, 0);
	assert_string_equal(r.out, "1");
}

static void big_endian_image(void **state)
{
	RUN(&r, NULL, "run", "--kvm", "soft", "-m", "64", "-k", guest_path(GUEST_BIG_ENDIAN));
	assert_int_equal(r.status, 0);
	assert_string_equal(r.out, "BEad");
}

/*
 * From now on preadv(2) waits for ever in this process and in what it executes, as on a disk that
 * does not answer: for what who listens on a descriptor says to it, and nobody does.
 * Return: whether this machine can do that.
 */
static bool make_disks_stuck(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_preadv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = {ARRAY_SIZE(code), code};
	int fd;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			  &filter);
	return fd >= 0 && !fcntl(fd, F_SETFD, 0);
}

#define CANNOT 126 /* exit status: this machine cannot do that */

static bool disks_are_stuck;

/* Starts a guest with the three descriptors given; -1 stands for /dev/null. */
static pid_t start_kernel(const char *kernel, int in, int out, int err, const char *option,
			  const char *value)
{
	const pid_t pid = fork();

	if (!pid) {
		const int null = open("/dev/null", O_RDWR);

		dup2(in < 0 ? null : in, STDIN_FILENO);
		dup2(out < 0 ? null : out, STDOUT_FILENO);
		dup2(err < 0 ? null : err, STDERR_FILENO);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		if (disks_are_stuck && !make_disks_stuck())
			_exit(CANNOT);
		alarm(100); /* what hangs fails */
		execl(armature, armature, "run", "--kvm", "soft", "-m", "64", "-c", "2", "-k",
		      kernel, option, value, NULL);
		_exit(127);
	}
	return pid;
}

static pid_t start_with(enum guest guest, int in, int out, int err, const char *option,
			const char *value)
{
	return start_kernel(guest_option(guest), in, out, err, option, value);
}

static pid_t start(enum guest guest, int *out)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = start_with(guest, -1, fds[1], fds[1], NULL, NULL);
	close(fds[1]);
	*out = fds[0];
	return pid;
}

/* Waits until the VMM has said which KVM it uses, and then a moment for the guest. */
static void wait_started(int out)
{
	char byte;

	while (read(out, &byte, 1) == 1 && byte != '\n')
		;
	usleep(100000);
}

/* In a loop and asleep, by each signal that asks for the end: it ends by that signal. */
static void ends_by_signals(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	static const enum guest all[] = {GUEST_SPIN, GUEST_SLEEP};

	for (size_t g = 0; g < ARRAY_SIZE(all); g++) {
		for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
			char text[4096] = {0};
			size_t len = 0;
			ssize_t n;
			int out;
			const pid_t pid = start(all[g], &out);

			wait_started(out);
			kill(pid, signals[i]);
			while ((n = read(out, text + len, sizeof(text) - 1 - len)) > 0)
				len += (size_t)n;
			close(out);
			assert_int_equal(wait_status(pid), 128 + signals[i]);
			has(text, "ended after");
		}
	}
}

static void output_whose_reader_is_gone(void **state)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	pid = start_with(GUEST_POWEROFF, -1, fds[1], -1, NULL, NULL);
	close(fds[1]);
	assert_int_equal(wait_status(pid), 0);
}

/* Everything that there is in a descriptor, to its end. */
static void read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = 0;
	close(fd);
}

/*
 * Standard output is a pipe that nobody reads, and full. Input and a signal, in this order: the
 * first must not keep the second from being seen.
 */
static void ends_while_output_is_stuck(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT};
	static char text[65536];

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		int in[2], out[2], err[2];
		pid_t pid;

		assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
		pid = start_with(GUEST_FLOOD, in[0], out[1], err[1], NULL, NULL);
		close(in[0]);
		close(err[1]);
		wait_full(out[1]);
		assert_int_equal(write(in[1], "k", 1), 1);
		usleep(100000);
		kill(pid, signals[i]);
		assert_int_equal(wait_status(pid), 128 + signals[i]);
		read_all(err[0], text, sizeof(text));
		has(text, "ended after");
		has(text, "standard output: nobody reads it");
		/* The pipe's own flags are as they were: others share them. */
		assert_int_equal(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
		close(in[1]);
		close(out[0]);
		close(out[1]);
	}
}

/* A guest's power-off does not wait for the reader either. */
static void powers_off_while_output_is_stuck(void **state)
{
	static char text[65536];
	int out[2], err[2];
	pid_t pid;

	make_full_pipe(out);
	assert_int_equal(pipe(err), 0);
	pid = start_with(GUEST_POWEROFF, -1, out[1], err[1], NULL, NULL);
	close(err[1]);
	assert_int_equal(wait_status(pid), 0);
	read_all(err[0], text, sizeof(text));
	has(text, "powered off after");
	has(text, "standard output: nobody reads it; 2 bytes that the guest sent are lost");
	close(out[0]);
	close(out[1]);
}

/* Also a guest's own reset is done while one of its vCPUs waits for the reader. */
static void resets_while_output_is_stuck(void **state)
{
	static char text[65536];
	int out[2], err[2];
	pid_t pid;

	assert_int_equal(pipe(out) | pipe(err), 0);
	pid = start_with(GUEST_STUCK, -1, out[1], err[1], NULL, NULL);
	close(err[1]);
	assert_int_equal(wait_status(pid), 0);
	read_all(err[0], text, sizeof(text));
	has(text, "powered off after");
	has(text, "and 2 boots");
	close(out[0]);
	close(out[1]);
}

/* A reader that comes late gets everything, in order. */
static void a_late_reader_gets_all(void **state)
{
	static char text[COUNT_BYTES + 1];
	int out[2];
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = start_with(GUEST_COUNT, -1, out[1], -1, NULL, NULL);
	wait_full(out[1]);
	close(out[1]);
	read_all(out[0], text, sizeof(text));
	assert_int_equal(wait_status(pid), 0);
	assert_int_equal(strlen(text), COUNT_BYTES);
	for (unsigned int i = 0; i < COUNT_BYTES; i++)
		assert_int_equal(text[i], COUNT_BYTE(i));
}

/* That of a trace, too: a line for each byte that the guest sends. */
static void a_late_reader_gets_all_of_the_trace(void **state)
{
	unsigned int bytes = 0;
	char line[256];
	FILE *fifo;
	pid_t pid;
	int fd;

	assert_int_equal(mkfifo(file_path("late"), 0600), 0);
	fd = open(file_path("late"), O_RDWR);
	pid = start_with(GUEST_COUNT, -1, -1, -1, "--trace", file_path("late"));
	wait_full(fd);
	fifo = fopen(file_path("late"), "re");
	assert_non_null(fifo);
	close(fd);
	while (fgets(line, sizeof(line), fifo)) {
		unsigned int value;
		const char *write = strstr(line, "exit mmio write pl011 0x9000000 1 ");

		if (!write)
			continue;
		assert_int_equal(sscanf(write, "exit mmio write pl011 0x9000000 1 %x", &value), 1);
		assert_int_equal(value, COUNT_BYTE(bytes));
		bytes++;
	}
	fclose(fifo);
	assert_int_equal(bytes, COUNT_BYTES);
	assert_int_equal(wait_status(pid), 0);
}

/* Messages and the summary have nowhere to go: nobody is told, and nothing hangs. */
static void ends_while_messages_are_stuck(void **state)
{
	static const enum guest all[] = {GUEST_SPIN, GUEST_NOWHERE, GUEST_PAIR};
	static const int statuses[] = {128 + SIGTERM, 0, 1};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		int out[2], err[2];
		pid_t pid;

		make_full_pipe(err);
		assert_int_equal(pipe(out), 0);
		pid = start_with(all[i], -1, out[1], err[1], NULL, NULL);
		close(out[1]);
		usleep(200000);
		if (all[i] == GUEST_SPIN)
			kill(pid, SIGTERM);
		assert_int_equal(wait_status(pid), statuses[i]);
		close(out[0]);
		close(err[0]);
		close(err[1]);
	}
}

static void ends_while_the_trace_is_stuck(void **state)
{
	static char text[65536];
	int fifo, err[2];
	pid_t pid;

	assert_int_equal(mkfifo(file_path("fifo"), 0600), 0);
	fifo = open(file_path("fifo"), O_RDWR);
	assert_int_equal(pipe(err), 0);
	pid = start_with(GUEST_FLOOD, -1, -1, err[1], "--trace", file_path("fifo"));
	close(err[1]);
	wait_full(fifo);
	kill(pid, SIGTERM);
	assert_int_equal(wait_status(pid), 128 + SIGTERM);
	read_all(err[0], text, sizeof(text));
	has(text, "ended after");
	has(text, "its reader takes no more");
	close(fifo);
}

/* A tree that nobody takes from the FIFO: signals end the program, as before a guest runs. */
static void ends_while_the_tree_is_stuck(void **state)
{
	int fds[2], fifo;
	char path[64];
	pid_t pid;

	make_full_pipe(fds);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fds[1]);
	fifo = open(path, O_WRONLY);
	assert_true(fifo >= 0);
	pid = start_with(GUEST_SPIN, -1, -1, -1, "--dump-dtb", path);
	usleep(500000);
	kill(pid, SIGTERM);
	assert_int_equal(wait_status(pid), 128 + SIGTERM);
	close(fifo);
	close(fds[0]);
	close(fds[1]);
}

/*
 * The host does not finish what a disk asked of it, whether the guest waits for that or not, or is
 * in the middle of its reset, or of the device's: a signal ends the program.
 */
static void ends_while_the_disk_is_stuck(void **state)
{
	static const enum guest all[] = {GUEST_DISK, GUEST_DISK_REBOOT, GUEST_DISK_RESET};
	static const uint8_t sectors[1024];
	static char text[65536];

	make_named("disk", sectors, sizeof(sectors));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		int err[2], status;
		pid_t pid;

		/* Each comes to its end on a disk that works. */
		if (all[i] != GUEST_DISK) {
			GUEST(NULL, all[i], "-d", file_path("disk"));
			assert_int_equal(r.status, 0);
		}
		assert_int_equal(pipe(err), 0);
		disks_are_stuck = true;
		pid = start_with(all[i], -1, -1, err[1], "-d", file_path("disk"));
		disks_are_stuck = false;
		close(err[1]);
		wait_started(err[0]);
		usleep(900000); /* for the guest to be where it is stuck */
		kill(pid, SIGTERM);
		read_all(err[0], text, sizeof(text));
		status = wait_status(pid);
		if (status == CANNOT)
			skip();
		assert_int_equal(status, 128 + SIGTERM);
		has(text, "disk0: the host does not finish a request");
	}
}

/* A kernel that was ended before it said anything: how to hear more, unless that was asked for. */
static void hints_at_earlycon(void **state)
{
	static const struct {
		enum guest guest;
		bool flat;
		const char *append;
		bool hint;
	} table[] = {
		{GUEST_SILENT, false, "quiet", true},
		{GUEST_SILENT, false, "console=ttyAMA0 earlycon", false},
		{GUEST_SILENT, true, "quiet", false},
		{GUEST_FLOOD, true, "quiet", false},
	};
	static char text[65536];

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *kernel =
			table[i].flat ? guest_option(table[i].guest) : guest_path(table[i].guest);
		int err[2];
		pid_t pid;

		assert_int_equal(pipe(err), 0);
		pid = start_kernel(kernel, -1, -1, err[1], "-a", table[i].append);
		close(err[1]);
		wait_started(err[0]);
		kill(pid, SIGTERM);
		read_all(err[0], text, sizeof(text));
		assert_int_equal(wait_status(pid), 128 + SIGTERM);
		has(text, "ended after");
		assert_int_equal(!!strstr(text, "with 'earlycon' on its command line"),
				 table[i].hint);
	}
}

/* Output that the host cannot keep is told once, and is a failure. */
static void output_to_a_full_disk(void **state)
{
	static char text[65536];
	const int full = open("/dev/full", O_WRONLY);
	int err[2];
	pid_t pid;

	assert_int_equal(pipe(err), 0);
	pid = start_with(GUEST_COUNT, -1, full, err[1], NULL, NULL);
	close(err[1]);
	read_all(err[0], text, sizeof(text));
	assert_int_equal(wait_status(pid), 1);
	has(text, "powered off after");
	has(text, "standard output: No space left on device; 262144 bytes");
	close(full);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(powers_off),
		cmocka_unit_test(every_standard_input),
		cmocka_unit_test(piped_input),
		cmocka_unit_test(reboots),
		cmocka_unit_test(access_without_syndrome),
		cmocka_unit_test(nothing_there),
		cmocka_unit_test(statistics),
		cmocka_unit_test(trace),
		cmocka_unit_test(dumps_the_tree),
		cmocka_unit_test(firmware_finds_the_tree),
		cmocka_unit_test(big_endian_image),
		cmocka_unit_test(ends_by_signals),
		cmocka_unit_test(output_whose_reader_is_gone),
		cmocka_unit_test(ends_while_output_is_stuck),
		cmocka_unit_test(powers_off_while_output_is_stuck),
		cmocka_unit_test(resets_while_output_is_stuck),
		cmocka_unit_test(a_late_reader_gets_all),
		cmocka_unit_test(a_late_reader_gets_all_of_the_trace),
		cmocka_unit_test(ends_while_messages_are_stuck),
		cmocka_unit_test(ends_while_the_trace_is_stuck),
		cmocka_unit_test(ends_while_the_tree_is_stuck),
		cmocka_unit_test(ends_while_the_disk_is_stuck),
		cmocka_unit_test(output_to_a_full_disk),
		cmocka_unit_test(hints_at_earlycon),
	};

	default_signals();
	armature = argv[1];
	return cmocka_run_group_tests_name("guest", tests, setup, teardown);
}
