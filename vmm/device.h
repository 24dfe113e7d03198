/* SPDX-License-Identifier: MIT */
/*
 * What every device of the board is: something with a name that can be reset, described in the
 * device tree and destroyed. A device's registers, its MMIO handlers, its device-tree node and its
 * creation are together in one file; the board (board.c) is the list of them.
 *
 * Locks, outermost first: the VM's (vm.h), a device's own, the GIC's, that of one vCPU's pins
 * (irqchip.h), the trace's, a stream's (stream.h), which all output goes through. Never two of one
 * kind, and no descriptor that may keep one waiting is read or written with one held. A device sets
 * its interrupt line with its own lock held; the GIC calls back to drive vCPU pins with the GIC's
 * lock held.
 */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct vmm_loop;

struct vmm_device {
	const char *name;
	struct vmm_device *next; /* of the board's list */
	struct vmm_loop *loop;   /* the VM's, or NULL */
	/*
	 * Begins nothing more on the host until the reset. Return: whether nothing is under way
	 * there; if something is, the loop is woken when it is over. NULL for devices that wait for
	 * nothing.
	 */
	bool (*quiesce)(struct vmm_device *device);
	/* Back to the state after power-on; no vCPU runs, and the device is quiet. */
	void (*reset)(struct vmm_device *device);
	/* Adds the node with libfdt's sequential calls. Return: 0 or a libfdt error. */
	int (*fdt)(const struct vmm_device *device, void *fdt);
	void (*destroy)(struct vmm_device *device);
};

/* An interrupt line from a device to the interrupt controller. */
struct vmm_line {
	void (*set)(void *opaque, unsigned int intid, bool level);
	void *opaque;
	unsigned int intid;
};

static inline void vmm_line_set(const struct vmm_line *line, bool level)
{
	line->set(line->opaque, line->intid, level);
}

#define vmm_container_of(ptr, type, member) \
	((type *)((char *)(ptr) - __builtin_offsetof(type, member)))

#endif
