/* SPDX-License-Identifier: MIT */
/*
 * PL031: the real-time clock. Source: Arm PrimeCell Real Time Clock (PL031) Technical Reference
 * Manual (DDI 0224C).
 */
#ifndef VMM_PL031_H
#define VMM_PL031_H

#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/loop.h"

/**
 * vmm_pl031_create() - Makes the device, puts it on the bus and its alarm on the loop.
 * Return: 0 or -errno.
 */
int vmm_pl031_create(uint64_t base, const struct vmm_line *line, struct vmm_bus *bus,
		     struct vmm_loop *loop, struct vmm_device **device);

#endif
