/* SPDX-License-Identifier: MIT */
/*
 * The virtio-mmio transport, version 2, for devices with one queue. Source: Virtual I/O Device
 * (VIRTIO) Version 1.2, sections 2.1 to 2.4 and 4.2.
 *
 * A device has one lock, over the transport's registers and the queue, and one thread that serves
 * requests; the thread holds the lock but for the time of a request's I/O. A reset waits until no
 * request is in the works, so that none completes into memory that the driver has taken back.
 */
#ifndef VMM_VIRTIO_H
#define VMM_VIRTIO_H

#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/memory.h"
#include "vmm/virtqueue.h"

#include <pthread.h>

#define VIRTIO_MMIO_SIZE 0x200
#define VIRTIO_MAX_TOLD  24 /* more than there are reasons */

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)

struct virtio;

struct virtio_class {
	uint32_t device_id;
	size_t config_size;
	/*
	 * Serves one request, without the lock. Return: bytes written into it, or -EINVAL with
	 * *@error, a constant, saying what no driver may do.
	 */
	int64_t (*serve)(struct virtio *virtio, const struct virtqueue_chain *chain,
			 const char **error);
	void (*destroy)(struct virtio *virtio);
};

struct virtio {
	struct vmm_device device;
	const struct virtio_class *class;
	const struct vmm_memory *mem;
	uint64_t base;
	struct vmm_line line;
	uint64_t features;  /* offered */
	const void *config; /* little-endian; constant */

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work;  /* there may be something to do for the thread */
	pthread_cond_t idle;  /* no request is in the works */
	bool kicked, busy, quit;
	struct virtqueue queue;
	uint64_t driver_features;
	uint32_t features_sel, driver_features_sel, queue_sel, status, interrupt;
	bool level;
	struct virtqueue_chain chain; /* of the request in the works */
	/* What broken() has told: each reason once, however often the guest resets the device. */
	const char *told[VIRTIO_MAX_TOLD];
	unsigned int nr_told;
};

/**
 * virtio_start() - Puts a device, whose fields down to config are set, on the bus and starts it.
 *
 * Return: 0, or -errno; the device is then still the caller's to free.
 */
int virtio_start(struct virtio *virtio, struct vmm_bus *bus);

#endif
