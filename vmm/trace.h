/* SPDX-License-Identifier: MIT */
/*
 * The trace: one line an event, on one time line.
 *
 *	<nanoseconds since the start> <vcpuN or -> <event> <details>
 *
 * The events are listed in armature(1). Times never go back from one line to the next: the time is
 * taken with the lock that orders the lines. Inside that lock is only the stream's (stream.h): a
 * line never waits for the file, and may be written with any lock held. What waits is a vCPU, where
 * it holds none, before it enters the guest: the trace of a slow reader is slow, but whole.
 * Without a trace nothing is done but one test of a pointer.
 */
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

#include <stdbool.h>
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

/**
 * vmm_trace_begin() - Nothing else can go wrong any more: what the file had is dropped.
 * @room: called when vmm_trace_has_room() is true again; on a thread of its own, no lock held
 *
 * Before the first line. Return: 0, or -errno after a message.
 */
int vmm_trace_begin(struct vmm_trace *trace, void (*room)(void *opaque), void *opaque);

/* Whether the file keeps up. While it does not, no vCPU enters the guest. @opaque is the trace. */
bool vmm_trace_has_room(void *opaque);

/**
 * vmm_trace_close() - Writes what waits, as far as it is taken, and closes.
 * Return: 0, or -errno when a line could not be written; -ETIMEDOUT when the reader took no more.
 */
int vmm_trace_close(struct vmm_trace *trace);

/* Writes what waits, as far as it is taken, where threads may still trace. @trace may be NULL. */
void vmm_trace_finish(struct vmm_trace *trace);

#define VMM_TRACE_NO_CPU (-1)

void vmm_trace_line(struct vmm_trace *trace, int cpu, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

#define vmm_trace(trace, cpu, ...)                                        \
	do {                                                              \
		if (__builtin_expect((trace) != NULL, 0))                 \
			vmm_trace_line((trace), (int)(cpu), __VA_ARGS__); \
	} while (0)

#endif
