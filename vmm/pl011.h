/* SPDX-License-Identifier: MIT */
/*
 * PL011: the UART. Source: Arm PrimeCell UART (PL011) Technical Reference Manual, r1p5 (DDI 0183G).
 */
#ifndef VMM_PL011_H
#define VMM_PL011_H

#include "vmm/bus.h"
#include "vmm/device.h"

#include <stddef.h>

struct vmm_pl011_config {
	uint64_t base;
	struct vmm_line line;
	/* A byte is about to be sent: waits until there is room. With no lock held; or NULL. */
	void (*pace)(void *opaque);
	/* A byte leaves the UART. Called with the device's lock held, so it may not wait. */
	void (*transmit)(void *opaque, uint8_t byte);
	/* There is room for input again, after vmm_pl011_receive() had refused some. Likewise. */
	void (*room)(void *opaque);
	void *opaque;
};

/**
 * vmm_pl011_create() - Makes the device and puts it on the bus.
 * Return: 0 or -errno.
 */
int vmm_pl011_create(const struct vmm_pl011_config *config, struct vmm_bus *bus,
		     struct vmm_device **device);

/**
 * vmm_pl011_receive() - Bytes arrive at the UART.
 *
 * None is lost: what does not fit the FIFO, or comes before the guest listens, is not taken.
 *
 * Return: how many were taken. Thread-safe.
 */
size_t vmm_pl011_receive(struct vmm_device *device, const uint8_t *bytes, size_t len);

#endif
