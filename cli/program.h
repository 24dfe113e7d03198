/* SPDX-License-Identifier: MIT */
/* What a program is, before it is executed: whether the door can be preloaded into it. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

struct program {
	char path[PATH_MAX]; /* of the file to execute */
	bool native;         /* the machine code is this host's */
	bool arm64;
	bool own_calls; /* makes its system calls itself: it imports no C library, or is Go's */
};

/**
 * program_search() - Finds a command as a shell does.
 * @name: a path, if it has a slash, or what is looked for in PATH
 * @path: PATH_MAX bytes
 *
 * Return: 0, or -ENOENT, or -EACCES for files that may not be executed.
 */
int program_search(const char *name, char *path);

/**
 * program_examine() - Finds a command and reads what kind of program it is.
 * @sysroot: where an arm64 program's loader is, or NULL
 *
 * A script is what its interpreter is. Return: 0, or the exit status after one line on standard
 * error: 127 for a command that is not there, 126 for what cannot be executed, 2 for a program that
 * cannot have a door.
 */
int program_examine(struct program *program, const char *name, const char *sysroot);

#endif
