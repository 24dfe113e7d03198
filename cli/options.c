/* SPDX-License-Identifier: MIT */
/* Command-line options from a table. */
#include "cli/options.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAME    32 /* longer names are near to none */
#define HELP_INDENT 26

int complain(const char *fmt, ...)
{
	va_list ap;

	fputs("armature: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	putc('\n', stderr);
	return -1;
}

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
	const unsigned int ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many insertions, deletions and changes of a letter lie between two words (Levenshtein). */
static unsigned int distance(const char *a, const char *b)
{
	const size_t n = strlen(a), m = strlen(b);
	unsigned int row[MAX_NAME + 1];

	if (n > MAX_NAME || m > MAX_NAME)
		return MAX_NAME;
	for (unsigned int j = 0; j <= m; j++)
		row[j] = j;
	for (unsigned int i = 1; i <= n; i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= m; j++) {
			const unsigned int above = row[j];

			row[j] =
				least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[m];
}

const char *nearest_name(const char *typed, unsigned int nr,
			 const char *(*name)(const void *names, unsigned int i), const void *names)
{
	const char *best = NULL;
	unsigned int best_distance = MAX_NAME;

	for (unsigned int i = 0; i < nr; i++) {
		const unsigned int d = distance(typed, name(names, i));

		if (d < best_distance) {
			best_distance = d;
			best = name(names, i);
		}
	}
	return best_distance <= 1 + strlen(typed) / 3 ? best : NULL;
}

static const char *row_name(const void *names, unsigned int i)
{
	return ((const struct option_row *)names)[i].name;
}

static int unknown_option(const struct option_row *rows, const char *name)
{
	unsigned int nr = 0;
	const char *near;

	while (rows[nr].name)
		nr++;
	near = nearest_name(name, nr, row_name, rows);
	if (near)
		return complain("unknown option '--%s'; did you mean '--%s'?", name, near);
	return complain("unknown option '--%s'; --help lists them", name);
}

/* The next argument is an option's value, whatever it looks like. */
static int take_value(const struct option_row *row, const char *attached, int argc, char **argv,
		      int *i, const char **value)
{
	*value = NULL;
	if (!row->value)
		return attached ? complain("option '--%s' has no value", row->name) : 0;
	*value = attached;
	if (!attached) {
		if (*i + 1 >= argc)
			return complain("option '--%s' needs a value: --%s %s", row->name,
					row->name, row->value);
		*value = argv[++*i];
	}
	return 0;
}

static int parse_long(const struct option_row *rows, int argc, char **argv, int *i, void *opaque)
{
	const char *text = argv[*i] + 2;
	const char *equals = strchr(text, '=');
	const size_t len = equals ? (size_t)(equals - text) : strlen(text);
	const char *value;
	char name[128];

	for (const struct option_row *row = rows; row->name; row++) {
		if (strlen(row->name) != len || strncmp(row->name, text, len))
			continue;
		if (take_value(row, equals ? equals + 1 : NULL, argc, argv, i, &value))
			return -1;
		return row->set(opaque, value);
	}
	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	return unknown_option(rows, name);
}

static int parse_short(const struct option_row *rows, int argc, char **argv, int *i, void *opaque)
{
	const char *text = argv[*i] + 1;
	const char *value;

	for (; rows->name; rows++) {
		if (rows->letter != text[0])
			continue;
		if (take_value(rows, text[1] ? text + 1 : NULL, argc, argv, i, &value))
			return -1;
		return rows->set(opaque, value);
	}
	return complain("unknown option '-%c'; --help lists them", text[0]);
}

int options_parse(const struct option_row *rows, int argc, char **argv, void *opaque,
		  int (*operand)(void *opaque, const char *text))
{
	bool options = true;
	int err = 0;

	for (int i = 0; !err && i < argc; i++) {
		if (options && !strcmp(argv[i], "--"))
			options = false;
		else if (options && !strncmp(argv[i], "--", 2))
			err = parse_long(rows, argc, argv, &i, opaque);
		else if (options && argv[i][0] == '-' && argv[i][1])
			err = parse_short(rows, argc, argv, &i, opaque);
		else if (operand)
			err = operand(opaque, argv[i]);
		else
			err = complain("'%s' is no option, and nothing else is expected here",
				       argv[i]);
	}
	return err;
}

void options_print(const struct option_row *rows)
{
	char left[64];

	for (; rows->name; rows++) {
		if (rows->letter)
			snprintf(left, sizeof(left), "  -%c, --%s %s", rows->letter, rows->name,
				 rows->value ? rows->value : "");
		else
			snprintf(left, sizeof(left), "      --%s %s", rows->name,
				 rows->value ? rows->value : "");
		printf("%-*s %s\n", HELP_INDENT, left, rows->help);
	}
}
