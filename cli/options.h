/* SPDX-License-Identifier: MIT */
/*
 * Command-line options from a table, for all sub-commands.
 *
 * Accepted are --long VALUE, --long=VALUE, -s VALUE and -sVALUE, in any order; "--" ends the
 * options. An unknown option is refused with the name of the nearest one.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

struct option_row {
	const char *name;  /* without "--" */
	char letter;       /* or 0 */
	const char *value; /* what the help calls its value, or NULL when it has none */
	const char *help;
	/* Return: 0, or -1 after a message. */
	int (*set)(void *opaque, const char *value);
};

/**
 * options_parse() - Calls set() of each option given.
 * @rows:    the options; ends with a row without a name
 * @operand: called for what is no option, or NULL where there may be none
 *
 * Return: 0, or -1 after one line on standard error.
 */
int options_parse(const struct option_row *rows, int argc, char **argv, void *opaque,
		  int (*operand)(void *opaque, const char *text));

/* Prints the options, one a line and its help beside it. */
void options_print(const struct option_row *rows);

/**
 * nearest_name() - The name that a mistyped one most likely means.
 * @nr:   how many names there are
 * @name: gives the i-th
 *
 * Return: a name, or NULL when none is near.
 */
const char *nearest_name(const char *typed, unsigned int nr,
			 const char *(*name)(const void *names, unsigned int i), const void *names);

/* One line on standard error: "armature: " and the text. Return: -1. */
int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
