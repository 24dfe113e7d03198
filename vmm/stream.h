/* SPDX-License-Identifier: MIT */
/*
 * An output stream: bytes for a descriptor that may be slow, stuck or broken.
 *
 *	putters --> ring of bytes --> the stream's thread, in blocking write(2) --> descriptor
 *
 * Who puts never waits for the descriptor, and so may hold any lock: the stream's own is the
 * innermost of all. Only the stream's thread is inside write(), and it holds no lock there. The
 * descriptor stays as it was inherited: O_NONBLOCK would be set for every process that shares it.
 *
 * A stream does not hold its putters back. One that may produce without end asks
 * vmm_stream_has_room() first, where it holds no lock, and waits for the room callback; the half of
 * the ring above that mark is for what is put meanwhile.
 */
#ifndef VMM_STREAM_H
#define VMM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmm_stream;

struct vmm_stream_config {
	int fd;       /* stays the caller's; not closed before the stream */
	size_t size;  /* of the ring, in bytes */
	size_t batch; /* that many bytes are waited for before they are written; 1: none wait */
	/* There is room again. On the stream's thread, with no lock held; or NULL. */
	void (*room)(void *opaque);
	void *opaque;
};

/* What became of a stream. */
struct vmm_stream_end {
	int error;     /* of the first write that failed, as -errno, or 0 */
	uint64_t lost; /* bytes that were not written, for whatever reason */
};

/**
 * vmm_stream_open() - Starts a stream and its thread.
 * Return: 0 or -errno.
 */
int vmm_stream_open(const struct vmm_stream_config *config, struct vmm_stream **stream);

/**
 * vmm_stream_put() - Appends bytes, all of them or, when they do not fit the ring, none.
 * Return: whether they were taken; if not, they are counted as lost. Thread-safe; never waits.
 */
bool vmm_stream_put(struct vmm_stream *stream, const void *bytes, size_t len);

/** vmm_stream_has_room() - Whether less than half of the ring waits to be written. Thread-safe. */
bool vmm_stream_has_room(struct vmm_stream *stream);

/**
 * vmm_stream_finish() - Writes what waits, and ends the stream's thread.
 *
 * It goes on for as long as the reader takes bytes: only when nothing was taken for three seconds
 * the rest is given up. What other threads still put then is never written.
 */
void vmm_stream_finish(struct vmm_stream *stream);

/**
 * vmm_stream_close() - As vmm_stream_finish(), and ends the stream itself.
 * @end: what became of it; or NULL
 *
 * No other thread may use the stream any more.
 */
void vmm_stream_close(struct vmm_stream *stream, struct vmm_stream_end *end);

#endif
