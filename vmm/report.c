/* SPDX-License-Identifier: MIT */
/*
 * Messages to people, one whole line at a time.
 *
 * The process has one standard error: that is why the stream is not in a struct.
 */
#include "vmm/report.h"
#include "vmm/stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE        1024
#define STREAM_SIZE (64u << 10)

static const char prefix[] = "armature: ";
static const char no_more[] = "; more of these are not told";

static struct vmm_stream *stream; /* or NULL, while nothing but this thread can report */
static unsigned int missing;      /* atomic: messages that did not fit */

static void put(const char *text, size_t len)
{
	char line[LINE];
	unsigned int n;

	if (!stream) {
		if (write(STDERR_FILENO, text, len) < 0)
			return; /* nobody is there to be told */
		return;
	}
	n = __atomic_exchange_n(&missing, 0, __ATOMIC_RELAXED);
	if (n) {
		const int m = snprintf(line, sizeof(line),
				       "%s%u messages are missing here: standard error was full\n",
				       prefix, n);

		if (!vmm_stream_put(stream, line, (size_t)m))
			__atomic_fetch_add(&missing, n, __ATOMIC_RELAXED);
	}
	if (!vmm_stream_put(stream, text, len))
		__atomic_fetch_add(&missing, 1, __ATOMIC_RELAXED);
}

void vmm_report_text(const char *text, size_t len)
{
	const int saved = errno;

	put(text, len);
	errno = saved;
}

/* A line of prefix, text (cut where it is too long), suffix and newline. */
static void report(const char *fmt, va_list ap, const char *suffix)
{
	const int saved = errno;
	char line[LINE];
	const size_t room = sizeof(line) - sizeof(prefix) - strlen(suffix) - 1;
	size_t len = sizeof(prefix) - 1;
	int n;

	memcpy(line, prefix, len);
	n = vsnprintf(line + len, room, fmt, ap);
	if (n > 0)
		len += (size_t)n < room ? (size_t)n : room - 1;
	memcpy(line + len, suffix, strlen(suffix));
	len += strlen(suffix);
	line[len++] = '\n';
	put(line, len);
	errno = saved;
}

void vmm_report(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(fmt, ap, "");
	va_end(ap);
}

void vmm_report_limited(unsigned int *told, unsigned int max, const char *fmt, ...)
{
	unsigned int nr = __atomic_load_n(told, __ATOMIC_RELAXED);
	va_list ap;

	/* Not simply counted: a guest that is patient enough would make the count wrap. */
	do {
		if (nr >= max)
			return;
	} while (!__atomic_compare_exchange_n(told, &nr, nr + 1, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	va_start(ap, fmt);
	report(fmt, ap, max > 1 && nr == max - 1 ? no_more : "");
	va_end(ap);
}

int vmm_report_start(void)
{
	return vmm_stream_open(
		&(struct vmm_stream_config){.fd = STDERR_FILENO, .size = STREAM_SIZE, .batch = 1},
		&stream);
}

void vmm_report_stop(void)
{
	if (stream)
		vmm_stream_close(stream, NULL);
	stream = NULL;
}

void vmm_report_finish(void)
{
	if (stream)
		vmm_stream_finish(stream);
}
