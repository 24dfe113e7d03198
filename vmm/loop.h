/* SPDX-License-Identifier: MIT */
/*
 * The main thread's event loop: descriptors and what to do when they are ready.
 *
 * Callbacks run on the thread that calls vmm_loop_once(). Sources are added before the loop runs;
 * vmm_loop_wake() may be called by any thread at any time, the rest by the loop's thread only.
 */
#ifndef VMM_LOOP_H
#define VMM_LOOP_H

#include <poll.h>
#include <stdbool.h>

#define VMM_LOOP_SOURCES 16

struct vmm_loop {
	struct {
		int fd;
		bool enabled;
		void (*ready)(void *opaque);
		void *opaque;
	} sources[VMM_LOOP_SOURCES];
	unsigned int nr;
	int wake_fd;
};

int vmm_loop_init(struct vmm_loop *loop);
void vmm_loop_destroy(struct vmm_loop *loop);

/**
 * vmm_loop_add() - Calls @ready whenever @fd is readable, at its end or broken.
 * Return: an id for vmm_loop_enable(), or -ENOSPC.
 */
int vmm_loop_add(struct vmm_loop *loop, int fd, void (*ready)(void *opaque), void *opaque);

void vmm_loop_enable(struct vmm_loop *loop, int id, bool enabled);

/* Makes vmm_loop_once() return, now or the next time it is called. Async-signal-safe. */
void vmm_loop_wake(struct vmm_loop *loop);

/* Waits for something, serves it, and returns. */
void vmm_loop_once(struct vmm_loop *loop);

#endif
