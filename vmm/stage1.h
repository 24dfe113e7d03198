/* SPDX-License-Identifier: MIT */
/*
 * The guest's own view of its memory, for messages: what instruction is at an address.
 */
#ifndef VMM_STAGE1_H
#define VMM_STAGE1_H

#include "vmm/memory.h"

#include <stdbool.h>
#include <stdint.h>

/* The registers that say how EL1 and EL0 translate addresses. */
struct vmm_stage1 {
	uint64_t sctlr, tcr, ttbr0, ttbr1;
};

/**
 * vmm_stage1_read32() - Reads a little-endian word, as an instruction is, at a virtual address.
 * @regs: of the vCPU whose address it is
 * @va:   of EL1 or EL0, a multiple of 4
 *
 * Walks the tables as they are now, without looking at permissions; a TLB may hold older ones.
 * Tables with 52-bit addresses are not known. Source: Arm ARM (DDI 0487), D8.2.
 *
 * Return: whether there is memory; if not, *@value stays.
 */
bool vmm_stage1_read32(const struct vmm_memory *mem, const struct vmm_stage1 *regs, uint64_t va,
		       uint32_t *value);

#endif
