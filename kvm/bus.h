/* SPDX-License-Identifier: MIT */
/*
 * Accesses of the guest that the KVM serves itself, inside KVM_RUN: see bus.c.
 */
#ifndef KVM_BUS_H
#define KVM_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct vcpu;

/**
 * struct bus_range - Guest physical addresses that somebody inside the KVM answers for.
 * @base:   the first of them
 * @size:   bytes: the range serves accesses that lie in it whole, and no other such range overlaps
 *          it. Or 0, a point: it is asked about every access that begins at @base, of any size;
 *          points may lie anywhere, several at one address, and are asked before other ranges
 * @access: an access of 1, 2, 4 or 8 bytes (@size) at @base + @offset. @data holds the bytes of the
 *          access in the order of the guest's memory, the first in bits 7:0: of a write when it is
 *          called, of a read when it returns. Returns false to let the next range, or at last the
 *          VMM, have the access. On the vCPU's thread, which holds vcpu->lock and no other lock,
 *          and is inside the guest: it waits for nothing that waits for vCPUs to be outside
 *
 * The owner keeps the memory, and changes nothing in it while the range is on the bus.
 */
struct bus_range {
	uint64_t base, size;
	bool (*access)(struct bus_range *r, struct vcpu *vcpu, uint64_t offset, unsigned int size,
		       bool write, uint64_t *data);
};

/* What is on the bus at one moment; bus.c. */
struct bus_map;

struct bus {
	pthread_mutex_t lock; /* changes of the map; a leaf */
	struct bus_map *_Atomic map;
	struct bus_map *retired; /* maps that a reader may still be in */
};

void bus_init(struct vm *vm);
/** bus_destroy() - When no vCPU runs any more. The ranges that are left are not touched. */
void bus_destroy(struct vm *vm);

/**
 * bus_add() - Put @r on the bus of @vm. Any thread, whatever locks it holds; it does not wait.
 *
 * Return: 0; -EEXIST when it overlaps another range (points aside); -EINVAL when it reaches beyond
 * the last address; -ENOMEM.
 */
int bus_add(struct vm *vm, struct bus_range *r);

/**
 * bus_remove() - Take @r, which is there, off the bus of @vm.
 *
 * When it returns no vCPU is inside r->access, and none will be. It waits for vCPUs that are: the
 * caller holds no lock that an access function takes, and is not inside one itself. Any thread.
 */
void bus_remove(struct vm *vm, struct bus_range *r);

/**
 * bus_access() - The guest accesses an address where there is no memory.
 * @vcpu:  the vCPU, on its thread
 * @pa:    guest physical address
 * @size:  1, 2, 4 or 8 bytes
 * @write: direction
 * @data:  see struct bus_range
 *
 * Return: true if it is done; false if it is the VMM's.
 */
bool bus_access(struct vcpu *vcpu, uint64_t pa, unsigned int size, bool write, uint64_t *data);

#endif
