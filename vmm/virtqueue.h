/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue, seen from the device. Source: Virtual I/O Device (VIRTIO) Version 1.2,
 * section 2.7.
 *
 * The driver's side is never trusted: every address, length, index and flag that is read from guest
 * memory is read once and checked before it is used. What no driver may do is an error with a text
 * that says what it was; the device then stops until it is reset.
 * A queue has no lock; its device's lock covers it.
 */
#ifndef VMM_VIRTQUEUE_H
#define VMM_VIRTQUEUE_H

#include "vmm/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define VIRTQUEUE_MAX 256 /* entries; also the longest chain of descriptors */

struct virtqueue {
	/* As the driver wrote them. */
	uint32_t num;
	uint64_t desc_addr, driver_addr, device_addr;
	bool ready;
	/* Features. */
	bool indirect, event_idx;
	/* Host views, valid while ready. */
	void *desc, *avail, *used;
	uint16_t last_avail; /* next entry of the available ring to take */
	uint16_t used_idx;   /* next entry of the used ring to fill */
	uint16_t signalled;  /* used_idx when the driver was interrupted last */
	const char *error;   /* what the driver did wrong, or NULL */
};

/* One request: what the device reads (iov[0..nr_in]) and then what it writes (the rest). */
struct virtqueue_chain {
	uint16_t head;
	unsigned int nr_in, nr_out;
	struct iovec iov[VIRTQUEUE_MAX];
};

/**
 * virtqueue_start() - Checks the addresses and makes the queue ready.
 * Return: 0, or -EINVAL with the queue's error text set.
 */
int virtqueue_start(struct virtqueue *queue, const struct vmm_memory *mem);

/* Back to the state after reset. */
void virtqueue_reset(struct virtqueue *queue);

/**
 * virtqueue_pop() - Takes the next request.
 * Return: 1 with @chain filled, 0 when there is none, -EINVAL with the queue's error text set.
 */
int virtqueue_pop(struct virtqueue *queue, const struct vmm_memory *mem,
		  struct virtqueue_chain *chain);

/**
 * virtqueue_push() - Gives a request back.
 * @written: bytes that the device wrote into it
 */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

/* Whether the driver wants an interrupt for what was pushed since the last one. */
bool virtqueue_should_signal(struct virtqueue *queue);

/* Asks the driver for a notification of the next request; it may have come already: pop again. */
void virtqueue_enable_notify(struct virtqueue *queue);

#endif
