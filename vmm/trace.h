/* SPDX-License-Identifier: MIT */
/*
 * The trace: one line an event, on one time line.
 *
 *	<nanoseconds since the start> <vcpuN or -> <event> <details>
 *
 * The events are listed in armature(1). Times never go back from one line to the next: the time is
 * taken with the lock that orders the lines. That lock is the innermost of all.
 * Without a trace nothing is done but one test of a pointer.
 */
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

#include <stdint.h>

struct vmm_trace;

/* Host time in nanoseconds that never goes back. */
uint64_t vmm_now(void);

/**
 * vmm_trace_open() - Makes a trace of an open file, which is its own from now on. Complains itself.
 * @start: what vmm_now() gave when the time line began
 * Return: 0 or -errno.
 */
int vmm_trace_open(int fd, uint64_t start, struct vmm_trace **trace);

/* Nothing can go wrong any more: what the file had is dropped. Before the first line. */
void vmm_trace_begin(struct vmm_trace *trace);

/* Writes what is buffered, and closes. Return: 0, or -errno when a line could not be written. */
int vmm_trace_close(struct vmm_trace *trace);

#define VMM_TRACE_NO_CPU (-1)

void vmm_trace_line(struct vmm_trace *trace, int cpu, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

#define vmm_trace(trace, cpu, ...)                                        \
	do {                                                              \
		if (__builtin_expect((trace) != NULL, 0))                 \
			vmm_trace_line((trace), (int)(cpu), __VA_ARGS__); \
	} while (0)

#endif
