/* SPDX-License-Identifier: MIT */
/*
 * The translation table walker (Arm ARM D5.2 to D5.5; shared pseudocode aarch64/translation).
 *
 * What must hold:
 *  - Tables are read through host memory with single-copy atomic loads; access flag and dirty state
 *    are written by compare-and-swap on the descriptor that the walk read, else the walk starts
 *    again.
 *  - Faults come in the architecture's order: translation, address size, access flag, alignment
 *    (Device), permission; the level is that of the last descriptor read.
 */
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/mmu.h"

/* Descriptor fields (D5.3) */
#define DESC_VALID       BIT64(0)
#define DESC_TABLE       BIT64(1) /* table at levels 0 to 2, page at level 3 */
#define DESC_ATTRINDX(d) FIELD64(d, 4, 2)
#define DESC_AP1         BIT64(6) /* EL0 may access */
#define DESC_AP2         BIT64(7) /* read-only */
#define DESC_SH(d)       FIELD64(d, 9, 8)
#define DESC_AF          BIT64(10)
#define DESC_NG          BIT64(11)
#define DESC_DBM         BIT64(51)
#define DESC_CONT        BIT64(52)
#define DESC_PXN         BIT64(53)
#define DESC_UXN         BIT64(54)
#define DESC_PXNTABLE    BIT64(59)
#define DESC_UXNTABLE    BIT64(60)
#define DESC_APTABLE0    BIT64(61) /* no access from EL0 */
#define DESC_APTABLE1    BIT64(62) /* read-only */
#define DESC_OA          BITS64(47, 12)

#define ATTR_DEVICE_NGNRNE 0x00
#define ATTR_NORMAL_NC     0x44
#define SH_OUTER           2
#define LAST_LEVEL         3

/* What TCR_EL1 says about one half of the address space. */
struct regime {
	uint64_t ttbr;
	unsigned int tsz, grain; /* grain: log2 of the granule */
	bool epd, hpd, e0pd;
};

struct walk {
	struct cpu *cpu;
	uint64_t va;
	unsigned int level, grain, oa_bits;
	uint64_t table;      /* address of the table being read */
	uint64_t table_bits; /* APTable, UXNTable and PXNTable, gathered */
	bool hpd;
};

uint64_t mmu_canonical(const struct cpu *cpu, uint64_t va)
{
	uint64_t tbi = va & BIT64(55) ? TCR_TBI1 : TCR_TBI0;

	if (!(cpu->sys.tcr & tbi))
		return va;
	return (uint64_t)((int64_t)(va << 8) >> 8);
}

uint16_t mmu_asid(const struct cpu *cpu)
{
	uint64_t ttbr = cpu->sys.tcr & TCR_A1 ? cpu->sys.ttbr1 : cpu->sys.ttbr0;
	uint16_t asid = (uint16_t)(ttbr >> TTBR_ASID_SHIFT);

	return cpu->sys.tcr & TCR_AS ? asid : asid & 0xff;
}

static int fault(struct mmu_result *r, unsigned int fsc, unsigned int level)
{
	r->fsc = (uint8_t)(fsc | level);
	return -1;
}

/*
 * TCR_EL1 for the half of @va. Reserved granules are 4K; sizes out of range are clamped (D5.2.5
 * permits both).
 */
static void read_regime(const struct cpu *cpu, uint64_t va, struct regime *g)
{
	static const uint8_t tg0[4] = {12, 16, 14, 12};
	static const uint8_t tg1[4] = {12, 14, 12, 16};
	uint64_t tcr = cpu->sys.tcr;

	if (va & BIT64(55)) {
		g->ttbr = cpu->sys.ttbr1;
		g->tsz = FIELD64(tcr, 21, 16);
		g->grain = tg1[FIELD64(tcr, 31, 30)];
		g->epd = tcr & TCR_EPD1;
		g->hpd = tcr & TCR_HPD1;
		g->e0pd = tcr & TCR_E0PD1;
	} else {
		g->ttbr = cpu->sys.ttbr0;
		g->tsz = FIELD64(tcr, 5, 0);
		g->grain = tg0[FIELD64(tcr, 15, 14)];
		g->epd = tcr & TCR_EPD0;
		g->hpd = tcr & TCR_HPD0;
		g->e0pd = tcr & TCR_E0PD0;
	}
	if (g->tsz < 16)
		g->tsz = 16;
	if (g->tsz > 39)
		g->tsz = 39;
}

/* Physical address bits that TCR_EL1.IPS allows, at most what the CPU has. */
static unsigned int output_bits(const struct cpu *cpu)
{
	static const uint8_t ips[8] = {32, 36, 40, 42, 44, 48, 48, 48};

	return ips[FIELD64(cpu->sys.tcr, 34, 32)];
}

static bool beyond(uint64_t pa, unsigned int bits)
{
	return (pa & BITS64(47, 0)) >> bits;
}

static uint64_t desc_order(const struct cpu *cpu, uint64_t d)
{
	return cpu->sys.sctlr & SCTLR_EE ? __builtin_bswap64(d) : d;
}

/* The place in host memory of the descriptor at @pa, or NULL. */
static uint64_t *desc_host(struct cpu *cpu, uint64_t pa, const struct mem_slot **slot)
{
	*slot = mem_find(&cpu->machine->mem, pa);
	return *slot ? (uint64_t *)mem_slot_host(*slot, pa) : NULL;
}

/* SCTLR_EL1.M = 0: flat, Device for data, Normal for instructions (D5.2.9). */
static int walk_flat(struct cpu *cpu, uint64_t va, enum mmu_use use, unsigned int flags,
		     struct mmu_result *r)
{
	uint64_t tbi = va & BIT64(55) ? TCR_TBI1 : TCR_TBI0;
	uint64_t pa = cpu->sys.tcr & tbi ? va & BITS64(55, 0) : va;

	if (pa >> PA_BITS)
		return fault(r, FSC_ADDRESS_SIZE, 0);
	r->pa = pa;
	r->size_shift = MEM_PAGE_SHIFT;
	r->ng = r->clean = false;
	r->read = r->write = r->exec = true;
	r->sh = SH_OUTER;
	r->device = use != MMU_EXEC;
	r->attr = ATTR_DEVICE_NGNRNE;
	if (!r->device)
		r->attr = cpu->sys.sctlr & SCTLR_I ? 0xaa : ATTR_NORMAL_NC;
	if (r->device && (flags & MMU_UNALIGNED))
		return fault(r, FSC_ALIGNMENT, 0);
	return 0;
}

static void set_permissions(const struct cpu *cpu, unsigned int el, unsigned int flags,
			    uint64_t desc, struct mmu_result *r)
{
	bool ap2 = desc & DESC_AP2, ap1 = desc & DESC_AP1;
	bool hd = (cpu->sys.tcr & TCR_HD) && (cpu->sys.tcr & TCR_HA);
	bool wxn = cpu->sys.sctlr & SCTLR_WXN;

	r->clean = ap2 && hd && (desc & DESC_DBM);
	if (r->clean)
		ap2 = false;
	if (el == 0) {
		r->read = ap1;
		r->write = ap1 && !ap2;
		r->exec = !(desc & DESC_UXN) && !(wxn && r->write);
	} else {
		r->read = true;
		r->write = !ap2;
		r->exec = !(desc & DESC_PXN) && !(wxn && r->write) && !(ap1 && !ap2);
		if (ap1 && cpu->ps.pan && !(flags & MMU_NO_PAN))
			r->read = r->write = false;
	}
}

/* MAIR_EL1 attributes; with the data cache off, cacheable is non-cacheable. */
static void set_attributes(const struct cpu *cpu, enum mmu_use use, uint64_t desc,
			   struct mmu_result *r)
{
	uint64_t enable = use == MMU_EXEC ? SCTLR_I : SCTLR_C;

	r->attr = (uint8_t)(cpu->sys.mair >> (8 * DESC_ATTRINDX(desc)));
	r->device = !(r->attr & 0xf0);
	r->sh = DESC_SH(desc);
	if (r->device) {
		r->attr &= 0x0c;
		r->sh = SH_OUTER;
	} else {
		if (!(cpu->sys.sctlr & enable))
			r->attr = ATTR_NORMAL_NC;
		if (r->attr == ATTR_NORMAL_NC)
			r->sh = SH_OUTER;
	}
}

/* log2 of the number of entries that the contiguous bit joins (D5.3.2). */
static unsigned int contiguous_shift(unsigned int grain, unsigned int level)
{
	if (grain == 14)
		return level == LAST_LEVEL ? 7 : 5;
	return grain == 16 ? 5 : 4;
}

/* 1: a table was entered; 0: @desc is a block or page; -1: fault. */
static int walk_step(struct walk *w, uint64_t desc, struct mmu_result *r)
{
	unsigned int block_level = w->grain == 12 ? 1 : 2;

	if (!(desc & DESC_VALID))
		return fault(r, FSC_TRANSLATION, w->level);
	if (w->level == LAST_LEVEL)
		return desc & DESC_TABLE ? 0 : fault(r, FSC_TRANSLATION, w->level);
	if (!(desc & DESC_TABLE))
		return w->level >= block_level ? 0 : fault(r, FSC_TRANSLATION, w->level);
	w->table = desc & DESC_OA & ~(BIT64(w->grain) - 1);
	if (beyond(w->table, w->oa_bits))
		return fault(r, FSC_ADDRESS_SIZE, w->level);
	if (!w->hpd)
		w->table_bits |= desc;
	w->level++;
	return 1;
}

/* Hierarchical permissions, folded into the leaf's own (D5.4.5). */
static uint64_t apply_table_bits(uint64_t desc, uint64_t table_bits)
{
	if (table_bits & DESC_APTABLE1)
		desc = (desc | DESC_AP2) & ~DESC_DBM;
	if (table_bits & DESC_APTABLE0)
		desc &= ~DESC_AP1;
	if (table_bits & DESC_UXNTABLE)
		desc |= DESC_UXN;
	if (table_bits & DESC_PXNTABLE)
		desc |= DESC_PXN;
	return desc;
}

static bool permitted(enum mmu_use use, const struct mmu_result *r)
{
	return use == MMU_READ ? r->read : use == MMU_WRITE ? r->write : r->exec;
}

/* Write the access flag and the dirty state. 1: somebody changed the descriptor, walk again. */
static int update_descriptor(struct walk *w, uint64_t pa, uint64_t raw, uint64_t set,
			     uint64_t clear, struct mmu_result *r)
{
	uint64_t expect = desc_order(w->cpu, raw);
	uint64_t value = desc_order(w->cpu, (raw | set) & ~clear);
	const struct mem_slot *slot;
	uint64_t *host = desc_host(w->cpu, pa, &slot);

	if (slot->readonly)
		return fault(r, FSC_EXTERNAL, 0);
	if (!__atomic_compare_exchange_n(host, &expect, value, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return 1;
	mem_mark_dirty(slot, pa);
	return 0;
}

/* Checks of a block or page descriptor at @pa, and its updates. */
static int walk_leaf(struct walk *w, uint64_t pa, uint64_t raw, unsigned int el, enum mmu_use use,
		     unsigned int flags, struct mmu_result *r)
{
	unsigned int stride = w->grain - 3, shift = w->grain + (LAST_LEVEL - w->level) * stride;
	uint64_t desc = apply_table_bits(raw, w->table_bits);
	uint64_t base = raw & DESC_OA & ~(BIT64(shift) - 1);
	uint64_t set = 0, clear = 0;
	int err;

	if (beyond(base, w->oa_bits))
		return fault(r, FSC_ADDRESS_SIZE, w->level);
	if (!(raw & DESC_AF)) {
		if (!(w->cpu->sys.tcr & TCR_HA))
			return fault(r, FSC_ACCESS_FLAG, w->level);
		set |= DESC_AF;
	}
	r->pa = base | (w->va & (BIT64(shift) - 1));
	r->ng = raw & DESC_NG;
	r->size_shift = (uint8_t)shift;
	if (raw & DESC_CONT)
		r->size_shift += contiguous_shift(w->grain, w->level);
	set_attributes(w->cpu, use, desc, r);
	set_permissions(w->cpu, el, flags, desc, r);
	if (r->device && (flags & MMU_UNALIGNED))
		return fault(r, FSC_ALIGNMENT, 0);
	if (!(flags & MMU_NO_PERM) && !permitted(use, r))
		return fault(r, FSC_PERMISSION, w->level);
	if (flags & MMU_NO_UPDATE)
		return 0;
	if (use == MMU_WRITE && r->clean && !(flags & MMU_NO_PERM))
		clear |= DESC_AP2;
	if (!set && !clear)
		return 0;
	err = update_descriptor(w, pa, raw, set, clear, r);
	if (!err && clear)
		r->clean = false;
	return err;
}

static int walk_once(struct cpu *cpu, const struct regime *g, uint64_t va, unsigned int el,
		     enum mmu_use use, unsigned int flags, struct mmu_result *r)
{
	unsigned int stride = g->grain - 3, va_bits = 64 - g->tsz;
	unsigned int levels = (va_bits - g->grain + stride - 1) / stride;
	struct walk w = {cpu, va, 4 - levels, g->grain, output_bits(cpu), 0, 0, g->hpd};
	unsigned int shift = g->grain + (LAST_LEVEL - w.level) * stride;
	uint64_t index = FIELD64(va, va_bits - 1, shift);

	w.table = g->ttbr & TTBR_BADDR & ~(BIT64(va_bits - shift + 3) - 1);
	if (beyond(w.table, w.oa_bits))
		return fault(r, FSC_ADDRESS_SIZE, 0);
	for (;;) {
		const struct mem_slot *slot;
		uint64_t pa = w.table + 8 * index;
		const uint64_t *host = desc_host(cpu, pa, &slot);
		uint64_t desc;
		int step;

		/* As Linux's KVM: a table outside memory is no abort of a walk, but a plain one. */
		if (!host)
			return fault(r, FSC_EXTERNAL, 0);
		desc = desc_order(cpu, __atomic_load_n(host, __ATOMIC_ACQUIRE));
		step = walk_step(&w, desc, r);
		if (step < 0)
			return step;
		if (step == 0)
			return walk_leaf(&w, pa, desc, el, use, flags, r);
		shift -= stride;
		index = FIELD64(va, shift + stride - 1, shift);
	}
}

int mmu_walk(struct cpu *cpu, uint64_t va, unsigned int el, enum mmu_use use, unsigned int flags,
	     struct mmu_result *r)
{
	struct regime g;
	uint64_t top;
	int err;

	if (!(cpu->sys.sctlr & SCTLR_M))
		return walk_flat(cpu, va, use, flags, r);
	read_regime(cpu, va, &g);
	top = va >> (64 - g.tsz);
	if (top != (va & BIT64(55) ? ~0ull >> (64 - g.tsz) : 0) || g.epd || (g.e0pd && el == 0))
		return fault(r, FSC_TRANSLATION, 0);
	do {
		err = walk_once(cpu, &g, va, el, use, flags, r);
	} while (err > 0);
	return err;
}
