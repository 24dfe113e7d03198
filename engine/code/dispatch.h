/* SPDX-License-Identifier: MIT */
/*
 * Dispatch: from a guest PC to the translation that is to run there, found or made.
 *
 * This is the slow way, the same for every back end. What a back end remembers in front of it
 * (dispatch lines, a return stack) is its own: whatever it remembers it compares with the PC, the
 * mode and, for the physical page, the execute TLB, and drops in forget().
 */
#ifndef ENGINE_DISPATCH_H
#define ENGINE_DISPATCH_H

#include "engine/code/translation.h"

/**
 * dispatch_find() - The translation at cpu->pc in the present mode, made if need be.
 * @cpu: the calling thread's vCPU, in the guest
 *
 * Return: NULL when an abort was taken (PC, mode and bank have changed), or when the code cannot be
 * entered; then a kick is pending, and engine_run() does what is needed or gives up. Either way, go
 * on with whatever cpu->pc and the kick say.
 */
struct translation *dispatch_find(struct cpu *cpu);

/**
 * translate() - Make and enter the translation of the block at (@page, @offset).
 * @host: the page's bytes
 *
 * Return: 0 and *@made, or
 *   -EAGAIN: the guest changed the words meanwhile: look again
 *   -ESTALE: a flush dropped @page: look again, from a safe point
 *   -ENOSPC: the cache is full
 *   -ENOMEM: the host has no memory
 *   -EFAULT: nor has it any where the guest's code is
 *   -E2BIG:  one instruction's code does not fit, which no instruction's may
 */
int translate(struct cpu *cpu, struct code_page *page, const uint8_t *host, uint32_t offset,
	      struct translation **made);

#endif
