/* SPDX-License-Identifier: MIT */
/*
 * The terminal: raw while the guest runs, and as it was after every way out. Each test has a
 * pseudo-terminal with armature on one side and itself on the other.
 */
#include "spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

static struct {
	int master, slave;
	pid_t pid;
	char text[65536];
	size_t len;
	struct termios before;
} t;

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

/* @out: standard output, or -1 for the terminal */
static void start_to(enum guest guest, int out)
{
	memset(&t, 0, sizeof(t));
	assert_int_equal(openpty(&t.master, &t.slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(t.slave, &t.before), 0);
	t.before.c_cc[VERASE] = '!'; /* something of one's own, to be found again */
	assert_int_equal(tcsetattr(t.slave, TCSANOW, &t.before), 0);
	t.pid = fork();
	if (!t.pid) {
		close(t.master);
		login_tty(t.slave);
		if (out >= 0)
			dup2(out, STDOUT_FILENO);
		alarm(100);
		execl(armature, armature, "run", "--kvm", "soft", "-m", "64", "-c", "2", "-k",
		      guest_option(guest), NULL);
		_exit(127);
	}
}

static void start(enum guest guest)
{
	start_to(guest, -1);
}

static void drain(int timeout)
{
	struct pollfd p = {.fd = t.master, .events = POLLIN};

	while (poll(&p, 1, timeout) == 1) {
		const ssize_t n = read(t.master, t.text + t.len, sizeof(t.text) - 1 - t.len);

		if (n <= 0)
			return;
		t.len += (size_t)n;
	}
}

static bool is_raw(void)
{
	struct termios now;

	assert_int_equal(tcgetattr(t.slave, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG)) && (now.c_oflag & OPOST);
}

static void wait_raw(bool raw)
{
	for (unsigned int i = 0; i < 1500 && is_raw() != raw; i++)
		drain(20);
	assert_int_equal(is_raw(), raw);
}

static void wait_text(const char *text)
{
	for (unsigned int i = 0; i < 1500 && !strstr(t.text, text); i++)
		drain(20);
	has(t.text, text);
}

static void type(const char *keys)
{
	assert_int_equal(write(t.master, keys, strlen(keys)), strlen(keys));
}

/* The end has come: it has this status, and the terminal is as it was. */
static void expect_end(int status)
{
	struct termios after;

	for (unsigned int i = 0; i < 1500; i++) {
		siginfo_t info = {0};

		drain(20);
		if (!waitid(P_PID, (id_t)t.pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			break;
	}
	assert_int_equal(wait_status(t.pid), status);
	drain(0);
	assert_int_equal(tcgetattr(t.slave, &after), 0);
	assert_int_equal(after.c_iflag, t.before.c_iflag);
	assert_int_equal(after.c_oflag, t.before.c_oflag);
	assert_int_equal(after.c_cflag, t.before.c_cflag);
	assert_int_equal(after.c_lflag, t.before.c_lflag);
	assert_memory_equal(after.c_cc, t.before.c_cc, sizeof(after.c_cc));
	close(t.master);
	close(t.slave);
}

static void poweroff(void **state)
{
	start(GUEST_POWEROFF);
	expect_end(0);
	has(t.text, "Hi");
	has(t.text, "powered off");
}

static void error(void **state)
{
	start(GUEST_PAIR);
	expect_end(1);
}

static void usage_error(void **state)
{
	start(GUEST_POWEROFF); /* and one that does not come so far */
	expect_end(0);
	memset(&t, 0, sizeof(t));
	assert_int_equal(openpty(&t.master, &t.slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(t.slave, &t.before), 0);
	t.pid = fork();
	if (!t.pid) {
		login_tty(t.slave);
		execl(armature, armature, "run", "-k", "/nonexistent", NULL);
		_exit(127);
	}
	expect_end(2);
}

static void quits(void **state)
{
	static const enum guest all[] = {GUEST_SPIN, GUEST_SLEEP, GUEST_ECHO};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		start(all[i]);
		wait_raw(true);
		type("\001x");
		expect_end(0);
		has(t.text, "ended after");
	}
}

/* A guest that does not listen, and far more keys than anything holds: quitting still works. */
static void quits_a_deaf_guest(void **state)
{
	start(GUEST_SPIN);
	wait_raw(true);
	for (unsigned int i = 0; i < 200; i++) {
		type("some keys that nobody takes, fifty bytes of them..");
		if (i % 20 == 0)
			usleep(20000);
	}
	usleep(100000);
	type("\001x");
	expect_end(0);
}

/* Output that nobody reads, keys for the guest, and then our own. */
static void quits_while_output_is_stuck(void **state)
{
	int out[2];

	assert_int_equal(pipe(out), 0);
	start_to(GUEST_FLOOD, out[1]);
	wait_raw(true);
	wait_full(out[1]);
	type("k");
	usleep(100000);
	type("\001h");
	wait_text("Ctrl-A x");
	type("\001x");
	expect_end(0);
	has(t.text, "standard output: nobody reads it");
	close(out[0]);
	close(out[1]);
}

/* A terminal that is stopped, by Ctrl-S in another window or by its line. */
static void quits_a_stopped_terminal(void **state)
{
	start(GUEST_FLOOD);
	wait_raw(true);
	assert_int_equal(tcflow(t.slave, TCOOFF), 0);
	type("k\001x");
	usleep(300000);
	kill(t.pid, SIGTERM); /* the second one, while the rest of the output waits */
	expect_end(128 + SIGTERM);
}

static void helps(void **state)
{
	start(GUEST_ECHO);
	wait_raw(true);
	type("\001h");
	wait_text("Ctrl-A x");
	type("\001\001\001yq");
	expect_end(0);
	has(t.text, "\001\001yq"); /* one by Ctrl-A Ctrl-A, one with a key that is not ours */
}

/* Keys go to the guest as they are: no echo but the guest's, no signal by Ctrl-C, no erase. */
static void keys_are_the_guests(void **state)
{
	start(GUEST_ECHO);
	wait_raw(true);
	type("\003\032\034!\004ok");
	wait_text("\003\032\034!\004ok");
	type("q");
	expect_end(0);
}

/* Those that a sanitizer wants to explain are its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#define HAS_SANITIZER (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define HAS_SANITIZER 0
#endif

static void ends_by_signals(void **state)
{
	static const int signals[] = {
		SIGTERM,
		SIGINT,
		SIGHUP,
		SIGQUIT,
#if !HAS_SANITIZER
		SIGSEGV,
		SIGABRT,
		SIGBUS,
		SIGILL,
		SIGFPE,
		SIGTRAP,
		SIGSYS,
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		start(GUEST_SLEEP);
		wait_raw(true);
		kill(t.pid, signals[i]);
		expect_end(128 + signals[i]);
	}
}

static void stops_and_continues(void **state)
{
	int status;

	start(GUEST_ECHO);
	wait_raw(true);
	kill(t.pid, SIGTSTP);
	assert_int_equal(waitpid(t.pid, &status, WUNTRACED), t.pid);
	assert_true(WIFSTOPPED(status));
	assert_false(is_raw());
	kill(t.pid, SIGCONT);
	wait_raw(true);
	type("q");
	expect_end(0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(poweroff),
		cmocka_unit_test(error),
		cmocka_unit_test(usage_error),
		cmocka_unit_test(quits),
		cmocka_unit_test(quits_a_deaf_guest),
		cmocka_unit_test(quits_while_output_is_stuck),
		cmocka_unit_test(quits_a_stopped_terminal),
		cmocka_unit_test(helps),
		cmocka_unit_test(keys_are_the_guests),
		cmocka_unit_test(ends_by_signals),
		cmocka_unit_test(stops_and_continues),
	};

	default_signals();
	armature = argv[1];
	return cmocka_run_group_tests_name("terminal", tests, setup, teardown);
}
