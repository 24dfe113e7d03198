/* SPDX-License-Identifier: MIT */
/*
 * virtio block on a raw image. Source: Virtual I/O Device (VIRTIO) Version 1.2, section 5.2.
 */
#ifndef VMM_VIRTIO_BLK_H
#define VMM_VIRTIO_BLK_H

#include "vmm/virtio.h"

#define VIRTIO_BLK_SECTOR 512

struct vmm_disk {
	int fd;
	uint64_t sectors;
	bool read_only;
};

/**
 * vmm_disk_open() - Opens and locks an image; says what is wrong when it cannot.
 *
 * A writable image is ours alone; a read-only one may be shared with others that only read.
 *
 * Return: 0 or -errno, after a message.
 */
int vmm_disk_open(struct vmm_disk *disk, const char *path, bool read_only);

/**
 * vmm_virtio_blk_create() - Makes the device and puts it on the bus.
 * @index: which disk it is; gives its name and its serial number
 * @disk:  its descriptor becomes the device's, also when this fails
 *
 * Return: 0 or -errno.
 */
int vmm_virtio_blk_create(unsigned int index, uint64_t base, const struct vmm_line *line,
			  const struct vmm_memory *mem, const struct vmm_disk *disk,
			  struct vmm_bus *bus, struct vmm_device **device);

#endif
