/* SPDX-License-Identifier: MIT */
/* Messages to people, one whole line at a time. */
#include "vmm/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE 1024

void vmm_report(const char *fmt, ...)
{
	static const char prefix[] = "armature: ";
	const int saved = errno;
	char line[LINE];
	va_list ap;
	size_t len = sizeof(prefix) - 1;
	int n;

	__builtin_memcpy(line, prefix, len);
	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		len += (size_t)n < sizeof(line) - len - 2 ? (size_t)n : sizeof(line) - len - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		len = 0; /* nobody is there to be told */
	errno = saved;
}
