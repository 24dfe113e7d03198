/* SPDX-License-Identifier: MIT */
/*
 * What is put into guest memory before vCPU 0 starts: kernel, initrd, device tree.
 *
 * A kernel stands at the bottom, the rest in the middle, as QEMU has it:
 *
 *	RAM base + text_offset	the kernel, with image_size bytes of its own
 *	half of the memory, or	the initrd, on 4 KiB; lower if it would not fit, and above the
 *	128 MiB if that is less	kernel in any case
 *	next 2 MiB boundary	the device tree, up to 2 MiB
 *
 * That satisfies Linux's Documentation/arm64/booting.rst: the kernel at text_offset from a 2 MiB
 * boundary, the device tree on 8 bytes within one 2 MiB region, the initrd in one window of 32 GiB
 * with the kernel. And it cuts a small memory in two. A kernel takes for its contiguous memory
 * allocator (CMA) what it is built with, 64 MiB in Debian's, wherever so much is free in one piece;
 * were what is free just a little more, in one piece, it would die before its console works, and
 * guests of about 100 MiB would not start while smaller ones do.
 *
 * A bare binary is most likely firmware, which moves itself to the top and looks for the device
 * tree at the start of memory, as on QEMU's "virt" machine, whatever x0 says. So it gets a copy
 * there, and the rest behind it:
 *
 *	RAM base		a copy of the device tree, if it fits
 *	RAM base + 512 KiB	the binary, and 8 MiB more for its BSS
 *	next 2 MiB boundary	the initrd
 *	next 2 MiB boundary	the device tree, up to 2 MiB
 *
 * Files stay open, so that a reboot finds what was there at the start.
 */
#ifndef VMM_LOADER_H
#define VMM_LOADER_H

#include "vmm/memory.h"

#include <stdbool.h>
#include <stddef.h>

struct vmm_boot {
	const char *kernel, *initrd; /* paths, or NULL */
	bool flat;
	int kernel_fd, initrd_fd;
	uint64_t entry;
	uint64_t initrd_start, initrd_end; /* 0 and 0 without one */
	uint64_t dtb;
	uint64_t dtb_copy, dtb_copy_max; /* where a second one goes if it fits; 0 and 0: nowhere */
};

/**
 * vmm_boot_open() - Opens the files.
 * @flat: the kernel is a bare binary without the Image header
 *
 * Return: 0, or -errno after a message; vmm_boot_close() is due in either case.
 */
int vmm_boot_open(struct vmm_boot *boot, const char *kernel, bool flat, const char *initrd);

/**
 * vmm_boot_load() - Puts kernel and initrd into memory, and decides where the device tree goes.
 *
 * Return: 0, or -errno after a message that says what is wrong with which file.
 */
int vmm_boot_load(struct vmm_boot *boot, const struct vmm_memory *mem);

void vmm_boot_close(struct vmm_boot *boot);

#endif
