/* SPDX-License-Identifier: MIT */
/* Runs the built armature, and tiny guests in it. */
#ifndef TESTS_CLI_SPAWN_H
#define TESTS_CLI_SPAWN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_ARGS      24

extern const char *armature; /* path of the binary, from the command line of the test */

struct result {
	int status; /* exit status, or 128 and the signal */
	char out[65536], err[65536];
};

/**
 * run_args() - Runs armature to its end, within 30 s.
 * @input: standard input: bytes, or NULL for /dev/null, or CLOSED
 * @args:  ends with NULL
 */
void run_args(struct result *result, const char *input, const char *const args[]);

extern const char CLOSED[];

#define RUN(result, input, ...) run_args(result, input, (const char *const[]){__VA_ARGS__, NULL})

/* A guest: A64 instructions, to be started with -k PATH,flat. */
enum guest {
	GUEST_POWEROFF,
	GUEST_SLEEP,
	GUEST_SPIN,
	GUEST_PAIR,
	GUEST_REBOOT,
	GUEST_ECHO,
	GUEST_NOWHERE,
	GUEST_FLOOD,
	GUEST_COUNT,
	GUEST_STUCK,
	GUEST_TREE,
	GUEST_DISK,        /* asks a disk for a sector, and sleeps */
	GUEST_DISK_REBOOT, /* asks a disk for a sector, and reboots; then powers off */
	GUEST_DISK_RESET,  /* asks a disk for a sector, resets it, and powers off */
	GUEST_BIG_ENDIAN,  /* an Image, as the next one is */
	GUEST_SILENT,
	GUESTS
};

/* Files in a folder of the test's own: guests as guest_option(), and others by name. */
void make_files(void);
void drop_files(void);
const char *guest_option(enum guest guest); /* "PATH,flat" */
const char *guest_path(enum guest guest);

/* What GUEST_COUNT writes: bytes '@' to '_' over and over, more than a pipe and a stream hold. */
#define COUNT_BYTES   0x40000u
#define COUNT_BYTE(i) ('@' + (i) % 32)

/* A pipe that is full, and whose reader reads nothing. */
void make_full_pipe(int fds[2]);

/* Waits until no more fits into a pipe, and who writes into it must wait. @fd: its writing end */
void wait_full(int fd);
const char *file_path(const char *name);
void make_named(const char *name, const void *bytes, size_t len);

unsigned int lines(const char *text);
void has(const char *text, const char *part);

/*
 * What armature inherits is as a terminal's shell would have it. A shell without job control starts
 * background jobs with the keyboard's signals ignored, nohup does so with SIGHUP.
 */
void default_signals(void);

/* Waits for the end of a child. Return: as in struct result. */
int wait_status(pid_t pid);

#endif
