/* SPDX-License-Identifier: MIT */
/* Tiny guests on our KVM: how they end, what is said, and what the options leave behind. */
#include "spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
	has(r.err, "PC 0x40080004");
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

static pid_t start(enum guest guest, int *out)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		dup2(open("/dev/null", O_RDWR), STDIN_FILENO);
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		execl(armature, armature, "run", "--kvm", "soft", "-m", "64", "-c", "2", "-k",
		      guest_option(guest), NULL);
		_exit(127);
	}
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

static void output_that_nobody_reads(void **state)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_RDWR), STDERR_FILENO);
		execl(armature, armature, "run", "--kvm", "soft", "-m", "64", "-k",
		      guest_option(GUEST_POWEROFF), NULL);
		_exit(127);
	}
	close(fds[1]);
	assert_int_equal(wait_status(pid), 0);
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
		cmocka_unit_test(ends_by_signals),
		cmocka_unit_test(output_that_nobody_reads),
	};

	default_signals();
	armature = argv[1];
	return cmocka_run_group_tests_name("guest", tests, setup, teardown);
}
