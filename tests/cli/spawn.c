/* SPDX-License-Identifier: MIT */
/* Runs the built armature, and tiny guests in it. */
#include "spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIME_LIMIT 30 /* seconds */

const char *armature;
const char CLOSED[] = "closed";
static char folder[] = "/tmp/armature-cli-XXXXXX";

/* What the guests have in common: UART in x1, and PSCI SYSTEM_OFF at the end. */
#define UART    0xd2a12001 /* mov x1, #0x09000000 */
#define OFF     0x52800100, 0x72b08000, 0xd4000002, 0x14000000
#define RESTART 0x52800120, 0x72b08000, 0xd4000002, 0x14000000

/*
 * A disk's driver asks for its first sector, and counts for a while. In a second boot it goes
 * @second words on instead. Descriptors lie at 0x41000000, the available ring 0x100 further, the
 * used one 0x200, header, status and data 0x300, 0x700 and 0x800; 0x400 says that this is not the
 * first boot.
 *
 *	mov x1, #0x0a000000; mov x3, #0x41000000; ldr w4, [x3, #0x400]; cbnz w4, SECOND
 *	mov w4, #1; str w4, [x3, #0x400]
 *	add x5, x3, #0x300; str x5, [x3]; mov x6, #(16 | NEXT << 32 | 1 << 48); str x6, [x3, #8]
 *	add x7, x3, #0x800; str x7, [x3, #16]
 *	mov x6, #(512 | (NEXT | WRITE) << 32 | 2 << 48); str x6, [x3, #24]
 *	add x7, x3, #0x700; str x7, [x3, #32]; mov x6, #(1 | WRITE << 32); str x6, [x3, #40]
 *	strh w4, [x3, #0x102]
 *	mov w2, #3; str w2, [x1, #STATUS]; str w4, [x1, #DRIVER_FEATURES_SEL]
 *	str w4, [x1, #DRIVER_FEATURES]; mov w2, #11; str w2, [x1, #STATUS]
 *	mov w2, #4; str w2, [x1, #QUEUE_NUM]; str w3, [x1, #QUEUE_DESC_LOW]
 *	add w2, w3, #0x100; str w2, [x1, #QUEUE_DRIVER_LOW]
 *	add w2, w3, #0x200; str w2, [x1, #QUEUE_DEVICE_LOW]; str w4, [x1, #QUEUE_READY]
 *	mov w2, #15; str w2, [x1, #STATUS]; str wzr, [x1, #QUEUE_NOTIFY]
 *	mov x2, #0x1000000; 1: subs x2, x2, #1; b.ne 1b
 */
#define DISK_READ(second)                                                                  \
	0xd2a14001, 0xd2a82003, 0xb9440064, 0x35000004 | (41 + (second)) << 5, 0x52800024, \
		0xb9040064, 0x910c0065, 0xf9000065, 0xd2800206, 0xf2c00026, 0xf2e00026,    \
		0xf9000466, 0x91200067, 0xf9000867, 0xd2804006, 0xf2c00066, 0xf2e00046,    \
		0xf9000c66, 0x911c0067, 0xf9001067, 0xd2800026, 0xf2c00046, 0xf9001466,    \
		0x79020464, 0x52800062, 0xb9007022, 0xb9002424, 0xb9002024, 0x52800162,    \
		0xb9007022, 0x52800082, 0xb9003822, 0xb9008023, 0x11040062, 0xb9009022,    \
		0x11080062, 0xb900a022, 0xb9004424, 0x528001e2, 0xb9007022, 0xb900503f,    \
		0xd2a02002, 0xf1000442, 0x54ffffe1

static const struct {
	const char *name;
	uint32_t code[56];
} guests[GUESTS] = {
	/* mov w2, #'H'; strb w2, [x1]; mov w2, #'i'; strb w2, [x1] */
	[GUEST_POWEROFF] = {"off", {UART, 0x52800902, 0x39000022, 0x52800d22, 0x39000022, OFF}},
	/* wfi; b .-4 */
	[GUEST_SLEEP] = {"sleep", {0xd503207f, 0x17ffffff}},
	/* b . */
	[GUEST_SPIN] = {"spin", {0x14000000}},
	/* ldp x2, x3, [x1] */
	[GUEST_PAIR] = {"pair", {UART, 0xa9400c22, 0x14000000}},
	/*
	 * mov x3, #0x41000000; ldr w4, [x3]; cbnz w4, 1f; mov w4, #1; str w4, [x3]; restart; 1: off
	 */
	[GUEST_REBOOT] = {"reboot",
			  {0xd2a82003, 0xb9400064, 0x350000e4, 0x52800024, 0xb9000064, RESTART,
			   OFF}},
	/*
	 * mov w2, #0x301; str w2, [x1, #UARTCR]; 1: ldr w2, [x1, #UARTFR]; tbnz w2, #RXFE, 1b;
	 * ldr w2, [x1]; strb w2, [x1]; cmp w2, #'q'; b.ne 1b
	 */
	[GUEST_ECHO] = {"echo",
			{UART, 0x52806022, 0xb9003022, 0xb9401822, 0x3727ffe2, 0xb9400022,
			 0x39000022, 0x7101c45f, 0x54ffff61, OFF}},
	/* mov x1, #0x20000000; ldr w2, [x1]; str w2, [x1] */
	[GUEST_NOWHERE] = {"nowhere", {0xd2a40001, 0xb9400022, 0xb9000022, OFF}},
	/* mov w2, #'.'; 1: strb w2, [x1]; b 1b */
	[GUEST_FLOOD] = {"flood", {UART, 0x528005c2, 0x39000022, 0x17ffffff}},
	/*
	 * mov x3, #0; mov x4, #COUNT_BYTES; 1: ubfx w2, w3, #0, #5; add w2, w2, #'@';
	 * strb w2, [x1]; add x3, x3, #1; cmp x3, x4; b.ne 1b
	 */
	[GUEST_COUNT] = {"count",
			 {UART, 0xd2800003, 0xd2a00084, 0x53001062, 0x11010042, 0x39000022,
			  0x91000463, 0xeb04007f, 0x54ffff61, OFF}},
	/*
	 * vCPU 0 sends for ever and counts in memory; vCPU 1 resets the machine when the count
	 * stands still; the second boot powers off.
	 *
	 *	mov x6, #0x41000000; ldr w4, [x6]; cbnz w4, off; mov w4, #1; str w4, [x6]
	 *	CPU_ON(1, 2f)
	 *	UART; mov w4, #1; 1: strb w4, [x1]; add w4, w4, #1; str w4, [x6, #4]; b 1b
	 * 2:	mov x6, #0x41000000; 3: ldr w4, [x6, #4]; mov x5, #0x2000000
	 * 4:	subs x5, x5, #1; b.ne 4b; ldr w5, [x6, #4]; cmp w4, w5; b.ne 3b; restart; off: off
	 */
	[GUEST_STUCK] = {"stuck",
			 {0xd2a82006, 0xb94000c4, 0x35000344, 0x52800024, 0xb90000c4, 0x52800060,
			  0x72b88000, 0xd2800021, 0x10000102, 0xd4000002, UART,       0x52800024,
			  0x39000024, 0x11000484, 0xb90004c4, 0x17fffffd, 0xd2a82006, 0xb94004c4,
			  0xd2a04005, 0xf10004a5, 0x54ffffe1, 0xb94004c5, 0x6b05009f, 0x54ffff41,
			  RESTART,    OFF}},
	/*
	 * Sends 1 if memory begins as what x0 points to, else 0.
	 *
	 *	UART; ldr w3, [x0]; mov x4, #0x40000000; ldr w5, [x4]; cmp w3, w5; cset w2, eq
	 *	add w2, w2, #'0'; strb w2, [x1]; off
	 */
	[GUEST_TREE] = {"tree",
			{UART, 0xb9400003, 0xd2a80004, 0xb9400085, 0x6b05007f, 0x1a9f17e2,
			 0x1100c042, 0x39000022, OFF}},
	/* wfi; b .-4 */
	[GUEST_DISK] = {"disk-read", {DISK_READ(0), 0xd503207f, 0x17ffffff}},
	[GUEST_DISK_REBOOT] = {"disk-reboot", {DISK_READ(4), RESTART, OFF}},
	/* str wzr, [x1, #STATUS] */
	[GUEST_DISK_RESET] = {"disk-reset", {DISK_READ(1), 0xb900703f, OFF}},
	/* An Image of "b ." */
	[GUEST_SILENT] = {"silent",
			  {0x14000010, 0, 0, 0, 0x00010000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x644d5241,
			   0, 0x14000000}},
	/*
	 * An Image with the big-endian flag. It sets SCTLR_EL1.EE, sends 'B' as a byte and 'E' as
	 * the first byte of a word, and then "abcd" as its first byte and as a word's last: "BEad".
	 *
	 *	mrs x3, sctlr_el1; orr x3, x3, #(1 << 25); msr sctlr_el1, x3; isb
	 *	UART; mov w2, #'B'; strb w2, [x1]; mov w2, #('E' << 24); str w2, [x1]
	 *	adr x3, 1f; ldrb w2, [x3]; strb w2, [x1]; ldr w2, [x3]; strb w2, [x1]; off
	 * 1:	.ascii "abcd"
	 */
	[GUEST_BIG_ENDIAN] = {"big-endian",
			      {0x14000010, 0,          0,          0,          0x00010000,
			       0,          1,          0,          0,          0,
			       0,          0,          0,          0,          0x644d5241,
			       0,          0xd5381003, 0xb2670063, 0xd5181003, 0xd5033fdf,
			       UART,       0x52800842, 0x39000022, 0x52a8a002, 0xb9000022,
			       0x10000123, 0x39400062, 0x39000022, 0xb9400062, 0x39000022,
			       OFF,        0x64636261}},
};

const char *file_path(const char *name)
{
	static char paths[8][128];
	static unsigned int next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

const char *guest_path(enum guest guest)
{
	return file_path(guests[guest].name);
}

const char *guest_option(enum guest guest)
{
	static char option[128];

	snprintf(option, sizeof(option), "%s/%s,flat", folder, guests[guest].name);
	return option;
}

void make_named(const char *name, const void *bytes, size_t len)
{
	FILE *file = fopen(file_path(name), "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

void make_files(void)
{
	assert_non_null(mkdtemp(folder));
	for (unsigned int i = 0; i < GUESTS; i++)
		make_named(guests[i].name, guests[i].code, sizeof(guests[i].code));
}

void drop_files(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
}

unsigned int lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in: %s", part, text);
}

/* The non-blocking end is a file description of the test's own. */
void make_full_pipe(int fds[2])
{
	char path[64], byte = 0;
	int fd;

	assert_int_equal(pipe(fds), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
	fd = open(path, O_WRONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	while (write(fd, &byte, 1) == 1)
		;
	close(fd);
}

void wait_full(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	while (poll(&p, 1, 0))
		usleep(10000);
	usleep(300000); /* for what is buffered behind it to fill too */
}

int wait_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void default_signals(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
}

static void child(const char *input, const int in[2], const int out[2], const int err[2],
		  const char *const args[])
{
	const char *argv[MAX_ARGS] = {armature};

	for (unsigned int i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	dup2(out[1], STDOUT_FILENO);
	dup2(err[1], STDERR_FILENO);
	if (input == CLOSED)
		close(STDIN_FILENO);
	else if (input)
		dup2(in[0], STDIN_FILENO);
	else
		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	for (int fd = 3; fd < 64; fd++)
		close(fd);
	alarm(TIME_LIMIT);
	execv(armature, (char **)argv);
	_exit(127);
}

/* Collects both outputs until both are closed. */
static void collect(struct result *result, const int fds[2])
{
	char *const to[2] = {result->out, result->err};
	size_t len[2] = {0};
	bool open_[2] = {true, true};

	while (open_[0] || open_[1]) {
		struct pollfd p[2] = {{.fd = open_[0] ? fds[0] : -1, .events = POLLIN},
				      {.fd = open_[1] ? fds[1] : -1, .events = POLLIN}};

		poll(p, 2, -1);
		for (unsigned int i = 0; i < 2; i++) {
			ssize_t n;

			if (!open_[i] || !p[i].revents)
				continue;
			n = read(fds[i], to[i] + len[i], sizeof(result->out) - 1 - len[i]);
			open_[i] = n > 0;
			len[i] += n > 0 ? (size_t)n : 0;
		}
	}
	result->out[len[0]] = result->err[len[1]] = 0;
}

void run_args(struct result *result, const char *input, const char *const args[])
{
	int in[2], out[2], err[2];
	pid_t pid;

	assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
	if (input && input != CLOSED)
		assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
	close(in[1]);
	pid = fork();
	if (!pid)
		child(input, in, out, err, args);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	collect(result, (const int[]){out[0], err[0]});
	close(out[0]);
	close(err[0]);
	result->status = wait_status(pid);
}
