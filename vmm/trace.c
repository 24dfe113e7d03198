/* SPDX-License-Identifier: MIT */
/* The trace file, written in large pieces. */
#include "vmm/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BUFFER (256 * 1024)

struct vmm_trace {
	pthread_mutex_t lock;
	FILE *file;
	uint64_t start;
};

uint64_t vmm_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

int vmm_trace_open(const char *path, uint64_t start, struct vmm_trace **out)
{
	struct vmm_trace *trace = calloc(1, sizeof(*trace));

	if (!trace)
		return -ENOMEM;
	trace->file = fopen(path, "we");
	if (!trace->file) {
		const int err = -errno;

		free(trace);
		return err;
	}
	setvbuf(trace->file, NULL, _IOFBF, BUFFER);
	pthread_mutex_init(&trace->lock, NULL);
	trace->start = start;
	*out = trace;
	return 0;
}

int vmm_trace_close(struct vmm_trace *trace)
{
	int err = 0;

	if (!trace)
		return 0;
	if (ferror(trace->file))
		err = -EIO;
	if (fclose(trace->file))
		err = -errno;
	pthread_mutex_destroy(&trace->lock);
	free(trace);
	return err;
}

void vmm_trace_line(struct vmm_trace *trace, int cpu, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&trace->lock);
	fprintf(trace->file, "%llu ", (unsigned long long)(vmm_now() - trace->start));
	if (cpu == VMM_TRACE_NO_CPU)
		fputs("- ", trace->file);
	else
		fprintf(trace->file, "vcpu%d ", cpu);
	va_start(ap, fmt);
	vfprintf(trace->file, fmt, ap);
	va_end(ap);
	putc('\n', trace->file);
	pthread_mutex_unlock(&trace->lock);
}
