/* SPDX-License-Identifier: MIT */
/*
 * The board: where everything is, which device has which interrupt, and the device tree.
 *
 * Addresses are those of QEMU's "virt" machine, which every arm64 guest knows.
 */
#ifndef VMM_BOARD_H
#define VMM_BOARD_H

#include "vmm/virtio_blk.h"
#include "vmm/vm.h"

#define BOARD_GIC_DIST 0x08000000ull
#define BOARD_GIC_CPU  0x08010000ull
#define BOARD_PL011    0x09000000ull
#define BOARD_PL031    0x09010000ull
#define BOARD_VIRTIO   0x0a000000ull /* disk n is 0x200 * n further */
#define BOARD_RAM      0x40000000ull

/* INTIDs. */
#define BOARD_PL011_IRQ  33
#define BOARD_PL031_IRQ  34
#define BOARD_VIRTIO_IRQ 48 /* disk n has 48 + n */

struct vmm_board {
	struct vmm_device *uart;
};

/* The other side of the UART; each as in struct vmm_pl011_config. */
struct vmm_board_console {
	void (*pace)(void *opaque);
	void (*transmit)(void *opaque, uint8_t byte);
	void (*room)(void *opaque);
	void *opaque;
};

/**
 * vmm_board_create() - Puts the devices into a VM.
 * @console: the UART's other side
 * @disks:   become the devices', also when this fails
 *
 * Return: 0, or -errno after a message.
 */
int vmm_board_create(struct vmm_board *board, struct vmm_vm *vm,
		     const struct vmm_board_console *console, const struct vmm_disk *disks,
		     unsigned int nr_disks);

/* What the tree says beside the devices. */
struct vmm_board_tree {
	const char *append;                /* or NULL */
	uint64_t initrd_start, initrd_end; /* 0 and 0 without one */
};

/**
 * vmm_board_fdt() - Makes the device tree.
 * @buf: receives it
 *
 * Return: 0, or a negative libfdt error.
 */
int vmm_board_fdt(const struct vmm_vm *vm, const struct vmm_board_tree *tree, void *buf,
		  size_t size);

/**
 * vmm_board_patch_fdt() - Makes a tree that the user gave fit this boot: memory, and what /chosen
 * says of the command line (when one is given), the initrd and the seeds.
 * @buf: holds the tree
 *
 * Return: 0, or a negative libfdt error.
 */
int vmm_board_patch_fdt(const struct vmm_vm *vm, const struct vmm_board_tree *tree, void *buf,
			size_t size);

#endif
