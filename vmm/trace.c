/* SPDX-License-Identifier: MIT */
/* The trace file: lines that go through a stream, in large pieces. */
#include "vmm/trace.h"
#include "vmm/files.h"
#include "vmm/report.h"
#include "vmm/stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE        512
#define STREAM_SIZE (1u << 20)
#define BATCH       (64u << 10)

struct vmm_trace {
	pthread_mutex_t lock; /* orders the lines */
	int fd;
	struct vmm_stream *stream; /* NULL until vmm_trace_begin() */
	uint64_t start;
};

uint64_t vmm_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

int vmm_trace_open(int fd, uint64_t start, struct vmm_trace **out)
{
	struct vmm_trace *trace = calloc(1, sizeof(*trace));

	if (!trace) {
		vmm_report("--trace: %s", strerror(ENOMEM));
		close(fd);
		return -ENOMEM;
	}
	pthread_mutex_init(&trace->lock, NULL);
	trace->fd = fd;
	trace->start = start;
	*out = trace;
	return 0;
}

int vmm_trace_begin(struct vmm_trace *trace, void (*room)(void *opaque), void *opaque)
{
	const struct vmm_stream_config config = {.fd = trace->fd,
						 .size = STREAM_SIZE,
						 .batch = BATCH,
						 .room = room,
						 .opaque = opaque};
	int err;

	vmm_output_begin(trace->fd);
	err = vmm_stream_open(&config, &trace->stream);
	if (err)
		vmm_report("--trace: %s", strerror(-err));
	return err;
}

bool vmm_trace_has_room(void *opaque)
{
	return vmm_stream_has_room(((struct vmm_trace *)opaque)->stream);
}

void vmm_trace_finish(struct vmm_trace *trace)
{
	if (trace && trace->stream)
		vmm_stream_finish(trace->stream);
}

int vmm_trace_close(struct vmm_trace *trace)
{
	struct vmm_stream_end end = {0};

	if (!trace)
		return 0;
	if (trace->stream)
		vmm_stream_close(trace->stream, &end);
	if (close(trace->fd) && !end.error)
		end.error = -errno;
	if (end.lost && !end.error)
		end.error = -ETIMEDOUT; /* its reader took no more */
	pthread_mutex_destroy(&trace->lock);
	free(trace);
	return end.error;
}

void vmm_trace_line(struct vmm_trace *trace, int cpu, const char *fmt, ...)
{
	char line[LINE];
	va_list ap;
	int len;

	pthread_mutex_lock(&trace->lock);
	len = snprintf(line, sizeof(line), "%llu ", (unsigned long long)(vmm_now() - trace->start));
	if (cpu == VMM_TRACE_NO_CPU)
		len += snprintf(line + len, sizeof(line) - (size_t)len, "- ");
	else
		len += snprintf(line + len, sizeof(line) - (size_t)len, "vcpu%d ", cpu);
	va_start(ap, fmt);
	len += vsnprintf(line + len, sizeof(line) - (size_t)len, fmt, ap);
	va_end(ap);
	if (len > LINE - 1)
		len = LINE - 1;
	line[len++] = '\n';
	vmm_stream_put(trace->stream, line, (size_t)len);
	pthread_mutex_unlock(&trace->lock);
}
