/* SPDX-License-Identifier: MIT */
/* The trace file, written in large pieces. */
#include "vmm/trace.h"
#include "vmm/files.h"
#include "vmm/report.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (256 * 1024)

struct vmm_trace {
	pthread_mutex_t lock;
	FILE *file;
	uint64_t start;
	int error; /* of the first line that could not be written */
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

	trace->file = trace ? fdopen(fd, "we") : NULL;
	if (!trace || !trace->file) {
		vmm_report("--trace: %s", strerror(ENOMEM));
		free(trace);
		close(fd);
		return -ENOMEM;
	}
	setvbuf(trace->file, NULL, _IOFBF, BUFFER);
	pthread_mutex_init(&trace->lock, NULL);
	trace->start = start;
	*out = trace;
	return 0;
}

void vmm_trace_begin(struct vmm_trace *trace)
{
	vmm_output_begin(fileno(trace->file));
}

int vmm_trace_close(struct vmm_trace *trace)
{
	int err;

	if (!trace)
		return 0;
	err = trace->error;
	if (fclose(trace->file) && !err)
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
	if (!trace->error && ferror(trace->file))
		trace->error = errno ? -errno : -EIO;
	pthread_mutex_unlock(&trace->lock);
}
