/* SPDX-License-Identifier: MIT */
/* A walk of the guest's stage 1 tables. Nothing in them is believed: each step stays in RAM. */
#include "vmm/stage1.h"

#include <endian.h>
#include <string.h>

#define SCTLR_M  (1ull << 0)
#define SCTLR_EE (1ull << 25)

#define TCR_TSZ    0x3full /* T0SZ, and T1SZ from bit 16 */
#define TCR_TG0    14
#define TCR_TG1    30
#define VA_SELECT  55 /* which TTBR translates an address */
#define MAX_TSZ    48
#define LAST_LEVEL 3

#define DESC_VALID   1ull
#define DESC_TABLE   2ull /* also that of a page at the last level */
#define DESC_ADDRESS 0x0000fffffffff000ull

#define BELOW(bit) ((1ull << (bit)) - 1)

/* log2 of the granule by TCR_EL1.TG0 and TG1; 0: reserved. */
static const uint8_t granules0[4] = {12, 16, 14, 0};
static const uint8_t granules1[4] = {0, 14, 12, 16};

static bool read_descriptor(const struct vmm_memory *mem, uint64_t at, bool big_endian,
			    uint64_t *desc)
{
	const void *p = vmm_memory_at(mem, at, sizeof(*desc));

	if (!p)
		return false;
	memcpy(desc, p, sizeof(*desc));
	*desc = big_endian ? be64toh(*desc) : le64toh(*desc);
	return *desc & DESC_VALID;
}

static bool translate(const struct vmm_memory *mem, const struct vmm_stage1 *regs, uint64_t va,
		      uint64_t *pa)
{
	const bool high = va >> VA_SELECT & 1;
	const unsigned int tsz = (unsigned int)(regs->tcr >> (high ? 16 : 0) & TCR_TSZ);
	const unsigned int page =
		high ? granules1[regs->tcr >> TCR_TG1 & 3] : granules0[regs->tcr >> TCR_TG0 & 3];
	const unsigned int bits = page - 3; /* that a level translates */
	const unsigned int va_bits = 64 - tsz;
	uint64_t table = (high ? regs->ttbr1 : regs->ttbr0) & DESC_ADDRESS;
	uint64_t left = va & BELOW(va_bits > VA_SELECT ? VA_SELECT : va_bits);
	unsigned int level, shift;
	uint64_t desc;

	if (!page || tsz > MAX_TSZ || va_bits > MAX_TSZ || va_bits <= page)
		return false;
	level = LAST_LEVEL + 1 - (va_bits - page + bits - 1) / bits;
	for (;; level++) {
		shift = page + (LAST_LEVEL - level) * bits;
		if (!read_descriptor(mem, table + (left >> shift) * sizeof(desc),
				     regs->sctlr & SCTLR_EE, &desc))
			return false;
		left &= BELOW(shift);
		if (level == LAST_LEVEL || !(desc & DESC_TABLE))
			break;
		table = desc & DESC_ADDRESS & ~BELOW(page);
	}
	if (level == LAST_LEVEL && !(desc & DESC_TABLE))
		return false;
	*pa = (desc & DESC_ADDRESS & ~BELOW(shift)) | left;
	return true;
}

bool vmm_stage1_read32(const struct vmm_memory *mem, const struct vmm_stage1 *regs, uint64_t va,
		       uint32_t *value)
{
	uint64_t pa = va;
	const void *p;

	if ((regs->sctlr & SCTLR_M) && !translate(mem, regs, va, &pa))
		return false;
	p = vmm_memory_at(mem, pa, sizeof(*value));
	if (!p)
		return false;
	memcpy(value, p, sizeof(*value));
	*value = le32toh(*value);
	return true;
}
