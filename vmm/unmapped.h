/* SPDX-License-Identifier: MIT */
/*
 * Accesses of the guest to addresses where nothing is, folded so that few messages tell of many: a
 * driver that probes for a device reads neighbouring addresses, or the same one again and again.
 */
#ifndef VMM_UNMAPPED_H
#define VMM_UNMAPPED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define VMM_UNMAPPED_RANGES 8

enum vmm_unmapped_told {
	VMM_UNMAPPED_FOLDED, /* a neighbour was told, or as many as are told at all */
	VMM_UNMAPPED_NEW,    /* to be told */
	VMM_UNMAPPED_LAST,   /* to be told, and that it is the last one */
};

struct vmm_unmapped {
	pthread_mutex_t lock; /* of all below */
	unsigned int nr;
	/* Reads and writes apart. A range grows with each access that folds into it. */
	struct {
		uint64_t first, last;
		bool write;
	} ranges[VMM_UNMAPPED_RANGES];
};

/**
 * vmm_unmapped_note() - Notes one access.
 * @addr: guest physical address
 * @size: bytes; 0 counts as 1
 *
 * Neighbours are less than 4 KiB away from what was told, or from what was folded into that.
 *
 * Return: whether a person is to be told. Thread-safe.
 */
enum vmm_unmapped_told vmm_unmapped_note(struct vmm_unmapped *unmapped, uint64_t addr,
					 unsigned int size, bool write);

#endif
