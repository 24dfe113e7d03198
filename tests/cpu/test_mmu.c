/* SPDX-License-Identifier: MIT */
/*
 * The translation table walker against the rules of the Arm ARM (D5), stated here a second time: as
 * truth tables.
 */
#include "cpu_test.h"

struct shape {
	unsigned int grain, va_bits, level;
	uint64_t size;
};

static const struct shape shapes[] = {
	{12, 48, 1, 1ull << 30}, {12, 48, 2, 1ull << 21}, {12, 48, 3, 1ull << 12},
	{12, 39, 2, 1ull << 21}, {12, 39, 3, 1ull << 12}, {12, 30, 3, 1ull << 12},
	{14, 48, 2, 1ull << 25}, {14, 48, 3, 1ull << 14}, {14, 47, 3, 1ull << 14},
	{14, 36, 3, 1ull << 14}, {16, 48, 2, 1ull << 29}, {16, 48, 3, 1ull << 16},
	{16, 42, 3, 1ull << 16}, {16, 25, 3, 1ull << 16}, {14, 25, 3, 1ull << 14},
};
#define EACH_SHAPE(s) for (s = shapes; s < shapes + sizeof(shapes) / sizeof(shapes[0]); s++)

/* Data access permissions, Table D5-28: index AP[2:1]. */
static const struct {
	bool el1_read, el1_write, el0_read, el0_write;
} ap_table[4] = {
	{1, 1, 0, 0},
	{1, 1, 1, 1},
	{1, 0, 0, 0},
	{1, 0, 1, 0},
};

struct combo {
	unsigned int ap, el;
	bool pxn, uxn, pan, wxn;
	enum mmu_use use;
};

static bool allowed(const struct combo *c)
{
	bool r = c->el ? ap_table[c->ap].el1_read : ap_table[c->ap].el0_read;
	bool w = c->el ? ap_table[c->ap].el1_write : ap_table[c->ap].el0_write;

	if (c->use == MMU_EXEC) {
		if (c->wxn && w)
			return false;
		if (c->el)
			return !c->pxn && !ap_table[c->ap].el0_write;
		return !c->uxn;
	}
	if (c->el && c->pan && ap_table[c->ap].el0_read)
		return false;
	return c->use == MMU_READ ? r : w;
}

static int walk(struct cpu *cpu, uint64_t va, unsigned int el, enum mmu_use use,
		struct mmu_result *r)
{
	memset(r, 0, sizeof(*r));
	return mmu_walk(cpu, mmu_canonical(cpu, va), el, use, 0, r);
}

static void check_combos(struct rig *rig, struct tables *t, const struct shape *s, uint64_t va)
{
	struct cpu *cpu = rig->cpu[0];
	struct combo c;

	for (unsigned int i = 0; i < 4 * 2 * 2 * 2 * 2 * 2 * 3; i++) {
		unsigned int n = i;
		struct mmu_result r;
		int err;

		c.use = n % 3, n /= 3;
		c.ap = n % 4, n /= 4;
		c.el = n % 2, n /= 2;
		c.pxn = n % 2, n /= 2;
		c.uxn = n % 2, n /= 2;
		c.pan = n % 2, n /= 2;
		c.wxn = n % 2;
		map(t, va, RAM_BASE, s->level,
		    D_AF | D_AP(c.ap) | (c.pxn ? D_PXN : 0) | (c.uxn ? D_UXN : 0));
		cpu->ps.pan = c.pan;
		msr(cpu, R_SCTLR, SCTLR_M | SCTLR_C | SCTLR_I | (c.wxn ? SCTLR_WXN : 0));
		err = walk(cpu, va + 0x123, c.el, c.use, &r);
		if (!!err == allowed(&c))
			fail_msg("grain %u level %u ap %u el %u pxn %u uxn %u pan %u wxn %u use %u",
				 s->grain, s->level, c.ap, c.el, c.pxn, c.uxn, c.pan, c.wxn, c.use);
		if (err) {
			assert_int_equal(r.fsc, 0x0c | s->level);
			continue;
		}
		assert_int_equal(r.pa, RAM_BASE + 0x123);
		assert_int_equal(1ull << r.size_shift, s->size);
	}
}

static void test_permissions(void **state)
{
	const struct shape *s;

	EACH_SHAPE(s)
	{
		struct rig *rig = rig_new(1);
		struct tables t = tables_new(rig, s->grain, s->va_bits);

		mmu_on(rig->cpu[0], &t, 0, 0);
		check_combos(rig, &t, s, 3 * s->size & ((1ull << s->va_bits) - 1));
		check_combos(rig, &t, s, ~0ull << s->va_bits | s->size);
		rig_free(rig);
	}
}

/* APTable, UXNTable and PXNTable at the level above; TCR_EL1.HPD switches them off. */
static void test_hierarchical(void **state)
{
	static const struct {
		uint64_t bits;
		unsigned int el;
		enum mmu_use use;
	} forbids[] = {
		{T_AP(1), 0, MMU_READ},  {T_AP(1), 0, MMU_WRITE}, {T_AP(2), 0, MMU_WRITE},
		{T_AP(2), 1, MMU_WRITE}, {T_UXN, 0, MMU_EXEC},
	};
	const struct shape *s;

	EACH_SHAPE(s)
	{
		if (s->level == start_level(s->grain, s->va_bits))
			continue;
		for (unsigned int i = 0; i < sizeof(forbids) / sizeof(forbids[0]); i++) {
			struct rig *rig = rig_new(1);
			struct tables t = tables_new(rig, s->grain, s->va_bits);
			struct mmu_result r;

			t.table_bits = forbids[i].bits;
			mmu_on(rig->cpu[0], &t, 0, 0);
			map(&t, s->size, RAM_BASE, s->level, D_AF | D_AP(1));
			assert_int_equal(
				walk(rig->cpu[0], s->size, forbids[i].el, forbids[i].use, &r), -1);
			assert_int_equal(r.fsc, 0x0c | s->level);
			mmu_on(rig->cpu[0], &t, TCR_HPD0, 0);
			assert_int_equal(
				walk(rig->cpu[0], s->size, forbids[i].el, forbids[i].use, &r), 0);
			rig_free(rig);
		}
	}
}

static void test_pxn_table(void **state)
{
	struct rig *rig = rig_new(1);
	struct tables t = tables_new(rig, 12, 48);
	struct mmu_result r;

	t.table_bits = T_PXN;
	mmu_on(rig->cpu[0], &t, 0, 0);
	map(&t, 0x1000, RAM_BASE, 3, D_AF | D_AP(2));
	assert_int_equal(walk(rig->cpu[0], 0x1000, 1, MMU_EXEC, &r), -1);
	assert_int_equal(r.fsc, 0x0f);
	assert_int_equal(walk(rig->cpu[0], 0x1000, 0, MMU_EXEC, &r), 0);
	rig_free(rig);
}

static void test_translation_faults(void **state)
{
	const struct shape *s;

	EACH_SHAPE(s)
	{
		struct rig *rig = rig_new(1);
		struct cpu *cpu = rig->cpu[0];
		struct tables t = tables_new(rig, s->grain, s->va_bits);
		uint64_t top = 1ull << s->va_bits, *d;
		struct mmu_result r;

		mmu_on(cpu, &t, 0, 0);
		map(&t, s->size, RAM_BASE, s->level, D_AF);
		assert_int_equal(walk(cpu, s->size, 1, MMU_READ, &r), 0);
		/* An invalid descriptor at the level of the leaf. */
		assert_int_equal(walk(cpu, 0, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x04 | s->level);
		/* The reserved encoding at level 3; at a level without blocks, level 0 for 4K. */
		d = descriptor(&t, s->size, s->level);
		if (s->level == 3) {
			*d &= ~D_TABLE;
			assert_int_equal(walk(cpu, s->size, 1, MMU_READ, &r), -1);
			assert_int_equal(r.fsc, 0x07);
			*d |= D_TABLE;
		}
		/* Outside the range of T0SZ and T1SZ: level 0. */
		assert_int_equal(walk(cpu, top, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x04);
		assert_int_equal(walk(cpu, ~0ull << s->va_bits ^ top, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x04);
		/* EPD: no walk. */
		mmu_on(cpu, &t, TCR_EPD0, 0);
		assert_int_equal(walk(cpu, s->size, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x04);
		assert_int_equal(walk(cpu, ~0ull << s->va_bits | s->size, 1, MMU_READ, &r), 0);
		mmu_on(cpu, &t, TCR_EPD1, 0);
		assert_int_equal(walk(cpu, ~0ull << s->va_bits | s->size, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x04);
		rig_free(rig);
	}
}

static void test_block_levels(void **state)
{
	static const struct {
		unsigned int grain, va_bits, level;
		bool block;
	} t[] = {{12, 48, 0, false}, {12, 48, 1, true}, {12, 48, 2, true},  {14, 48, 0, false},
		 {14, 47, 1, false}, {14, 47, 2, true}, {16, 48, 1, false}, {16, 48, 2, true}};

	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct rig *rig = rig_new(1);
		struct tables tab = tables_new(rig, t[i].grain, t[i].va_bits);
		struct mmu_result r;
		int err;

		mmu_on(rig->cpu[0], &tab, 0, 0);
		*descriptor(&tab, 0, t[i].level) = D_VALID | D_AF;
		err = walk(rig->cpu[0], 0, 1, MMU_READ, &r);
		assert_int_equal(err, t[i].block ? 0 : -1);
		if (err)
			assert_int_equal(r.fsc, 0x04 | t[i].level);
		rig_free(rig);
	}
}

static void test_e0pd(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48);
	uint64_t high = ~0ull << 48 | 0x5000;
	struct mmu_result r;

	map(&t, 0x5000, RAM_BASE, 3, D_AF | D_AP(1));
	mmu_on(cpu, &t, TCR_E0PD1, 0);
	assert_int_equal(walk(cpu, high, 0, MMU_READ, &r), -1);
	assert_int_equal(r.fsc, 0x04);
	assert_int_equal(walk(cpu, high, 1, MMU_READ, &r), 0);
	assert_int_equal(walk(cpu, 0x5000, 0, MMU_READ, &r), 0);
	mmu_on(cpu, &t, TCR_E0PD0, 0);
	assert_int_equal(walk(cpu, 0x5000, 0, MMU_READ, &r), -1);
	assert_int_equal(r.fsc, 0x04);
	assert_int_equal(walk(cpu, high, 0, MMU_READ, &r), 0);
	rig_free(rig);
}

static void test_address_size(void **state)
{
	static const unsigned int ips_bits[] = {32, 36, 40, 42, 44, 48};
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48);
	uint64_t tcr = tcr_for(12, 48) & ~(7ull << 32);
	struct mmu_result r;

	for (unsigned int ips = 0; ips < 6; ips++) {
		uint64_t limit = 1ull << ips_bits[ips];

		mmu_on(cpu, &t, 0, 0);
		msr(cpu, R_TCR, tcr | (uint64_t)ips << 32);
		map(&t, 0x1000, limit - 0x1000, 3, D_AF);
		assert_int_equal(walk(cpu, 0x1000, 1, MMU_READ, &r), 0);
		assert_int_equal(r.pa, limit - 0x1000);
		if (ips == 5)
			break;
		map(&t, 0x1000, limit, 3, D_AF);
		assert_int_equal(walk(cpu, 0x1000, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x03);
		/* The address of a table, reported at the level of its descriptor. */
		*descriptor(&t, 0x8000000000, 0) = limit | D_VALID | D_TABLE;
		assert_int_equal(walk(cpu, 0x8000000000, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x00);
		*descriptor(&t, 0x40000000, 1) = limit | D_VALID | D_TABLE;
		assert_int_equal(walk(cpu, 0x40000000, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x01);
		/* TTBR: level 0. */
		msr(cpu, R_TTBR0, limit);
		assert_int_equal(walk(cpu, 0x1000, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x00);
	}
	rig_free(rig);
}

static void test_external_abort_on_walk(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48);
	struct mmu_result r;
	uint64_t v;

	map(&t, 0x1000, RAM_BASE, 3, D_AF);
	mmu_on(cpu, &t, 0, 0);
	for (unsigned int level = 0; level < 3; level++) {
		*descriptor(&t, 0x1000, level) = NO_MEMORY | D_VALID | D_TABLE;
		assert_int_equal(walk(cpu, 0x1000, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x10);
		t = tables_new(rig, 12, 48);
		map(&t, 0x1000, RAM_BASE, 3, D_AF);
		msr(cpu, R_TTBR0, t.root);
	}
	msr(cpu, R_TTBR0, NO_MEMORY);
	assert_int_equal(load64(cpu, 0x1000, &v), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x10));
	assert_int_equal(cpu->fault.far, 0x1000);
	rig_free(rig);
}

static void test_access_flag(void **state)
{
	const struct shape *s;

	EACH_SHAPE(s)
	{
		struct rig *rig = rig_new(1);
		struct cpu *cpu = rig->cpu[0];
		struct tables t = tables_new(rig, s->grain, s->va_bits);
		struct mmu_result r;
		uint64_t *d;

		map(&t, s->size, RAM_BASE, s->level, 0);
		d = descriptor(&t, s->size, s->level);
		mmu_on(cpu, &t, 0, 0);
		assert_int_equal(walk(cpu, s->size, 1, MMU_READ, &r), -1);
		assert_int_equal(r.fsc, 0x08 | s->level);
		assert_int_equal(*d & D_AF, 0);
		mmu_on(cpu, &t, TCR_HA, 0);
		/* AT does not write, and does not fault either. */
		assert_int_equal(mmu_walk(cpu, s->size, 1, MMU_READ, MMU_NO_UPDATE, &r), 0);
		assert_int_equal(*d & D_AF, 0);
		assert_int_equal(walk(cpu, s->size, 1, MMU_READ, &r), 0);
		assert_int_equal(*d & D_AF, D_AF);
		rig_free(rig);
	}
}

static void test_dirty_state(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48);
	uint64_t *d = descriptor(&t, 0x1000, 3);
	struct mmu_result r;
	uint64_t v;

	map(&t, 0x1000, RAM_BASE, 3, D_AF | D_AP(2) | D_DBM);
	/* Without HD, or HD without HA, it is a read-only page. */
	mmu_on(cpu, &t, TCR_HA, 0);
	assert_int_equal(walk(cpu, 0x1000, 1, MMU_WRITE, &r), -1);
	assert_int_equal(r.fsc, 0x0f);
	mmu_on(cpu, &t, TCR_HD, 0);
	assert_int_equal(walk(cpu, 0x1000, 1, MMU_WRITE, &r), -1);
	mmu_on(cpu, &t, TCR_HA | TCR_HD, 0);
	/* A read leaves it clean and the write goes to the slow path once more. */
	assert_int_equal(load64(cpu, 0x1000, &v), 0);
	assert_int_equal(*d & D_AP(2), D_AP(2));
	assert_int_equal(cpu->bank->e[tlb_index(0x1000)].write_tag, TLB_NO_MATCH);
	assert_int_equal(store64(cpu, 0x1008, 77), 0);
	assert_int_equal(*d & D_AP(2), 0);
	assert_int_equal(cpu->bank->e[tlb_index(0x1000)].write_tag, 0x1000);
	/* APTable[1] makes it read-only for good. */
	t.table_bits = T_AP(2);
	map(&t, 0x8000000000, RAM_BASE, 3, D_AF | D_AP(2) | D_DBM);
	assert_int_equal(walk(cpu, 0x8000000000, 1, MMU_WRITE, &r), -1);
	assert_int_equal(r.fsc, 0x0f);
	/* AF and dirty in one go; an access that is not permitted sets neither. */
	map(&t, 0x1000, RAM_BASE, 3, D_AP(2) | D_DBM);
	assert_int_equal(walk(cpu, 0x1000, 0, MMU_WRITE, &r), -1);
	assert_int_equal(*d & (D_AF | D_AP(2)), D_AP(2));
	assert_int_equal(walk(cpu, 0x1000, 1, MMU_WRITE, &r), 0);
	assert_int_equal(*d & (D_AF | D_AP(2)), D_AF);
	rig_free(rig);
}

static void test_big_endian_tables(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48);
	struct mmu_result r;

	t.be = true;
	map(&t, 0x1000, RAM_BASE, 3, 0);
	mmu_on(cpu, &t, TCR_HA, SCTLR_EE);
	assert_int_equal(walk(cpu, 0x1000, 1, MMU_READ, &r), 0);
	assert_int_equal(r.pa, RAM_BASE);
	assert_int_equal(__builtin_bswap64(*descriptor(&t, 0x1000, 3)) & D_AF, D_AF);
	rig_free(rig);
}

static void test_top_byte(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48);
	uint64_t low = 0x5a00000000001000, high = 0x5aff000000001000;
	struct mmu_result r;

	map(&t, 0x1000, RAM_BASE, 3, D_AF);
	mmu_on(cpu, &t, 0, 0);
	assert_int_equal(walk(cpu, low, 1, MMU_READ, &r), -1);
	mmu_on(cpu, &t, TCR_TBI0, 0);
	assert_int_equal(walk(cpu, low, 1, MMU_READ, &r), 0);
	assert_int_equal(walk(cpu, high, 1, MMU_READ, &r), -1);
	mmu_on(cpu, &t, TCR_TBI1, 0);
	assert_int_equal(walk(cpu, low, 1, MMU_READ, &r), -1);
	assert_int_equal(walk(cpu, high, 1, MMU_READ, &r), 0);
	rig_free(rig);
}

static void test_mmu_off(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct mmu_result r;

	assert_int_equal(walk(cpu, RAM_BASE + 4, 1, MMU_WRITE, &r), 0);
	assert_int_equal(r.pa, RAM_BASE + 4);
	assert_true(r.device);
	assert_int_equal(walk(cpu, 1ull << 47, 1, MMU_READ, &r), 0);
	assert_int_equal(walk(cpu, 1ull << 48, 1, MMU_READ, &r), -1);
	assert_int_equal(r.fsc, 0x00);
	assert_int_equal(walk(cpu, 0x5a00000000000000 | RAM_BASE, 1, MMU_READ, &r), -1);
	msr(cpu, R_TCR, TCR_TBI0);
	assert_int_equal(walk(cpu, 0x5a00000000000000 | RAM_BASE, 1, MMU_READ, &r), 0);
	assert_int_equal(r.pa, RAM_BASE);
	rig_free(rig);
}

static void test_attributes(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48);
	struct mmu_result r;

	map(&t, 0x1000, RAM_BASE, 3, D_AF | D_ATTR(ATTR_NORMAL) | 3 << 8);
	map(&t, 0x2000, RAM_BASE, 3, D_AF | D_ATTR(ATTR_DEVICE));
	map(&t, 0x3000, RAM_BASE, 3, D_AF | D_ATTR(ATTR_NC));
	mmu_on(cpu, &t, 0, 0);
	assert_int_equal(walk(cpu, 0x1000, 1, MMU_READ, &r), 0);
	assert_int_equal(r.attr, 0xff);
	assert_int_equal(r.sh, 3);
	assert_false(r.device);
	assert_int_equal(walk(cpu, 0x2000, 1, MMU_READ, &r), 0);
	assert_int_equal(r.attr, 0x04);
	assert_true(r.device);
	assert_int_equal(walk(cpu, 0x3000, 1, MMU_READ, &r), 0);
	assert_int_equal(r.attr, 0x44);
	assert_false(r.device);
	/* Alignment comes before permission. */
	map(&t, 0x2000, RAM_BASE, 3, D_AF | D_ATTR(ATTR_DEVICE) | D_AP(2));
	assert_int_equal(mmu_walk(cpu, 0x2001, 1, MMU_WRITE, MMU_UNALIGNED, &r), -1);
	assert_int_equal(r.fsc, 0x21);
	rig_free(rig);
}

static void test_contiguous(void **state)
{
	static const struct {
		unsigned int grain, level, shift;
	} t[] = {{12, 3, 16}, {12, 2, 25}, {12, 1, 34}, {14, 3, 21},
		 {14, 2, 30}, {16, 3, 21}, {16, 2, 34}};

	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct rig *rig = rig_new(1);
		struct tables tab = tables_new(rig, t[i].grain, 48);
		struct mmu_result r;

		mmu_on(rig->cpu[0], &tab, 0, 0);
		map(&tab, 0, RAM_BASE, t[i].level, D_AF | D_CONT | D_NG);
		assert_int_equal(walk(rig->cpu[0], 0, 1, MMU_READ, &r), 0);
		assert_int_equal(r.size_shift, t[i].shift);
		assert_true(r.ng);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_hierarchical),
		cmocka_unit_test(test_pxn_table),
		cmocka_unit_test(test_translation_faults),
		cmocka_unit_test(test_block_levels),
		cmocka_unit_test(test_e0pd),
		cmocka_unit_test(test_address_size),
		cmocka_unit_test(test_external_abort_on_walk),
		cmocka_unit_test(test_access_flag),
		cmocka_unit_test(test_dirty_state),
		cmocka_unit_test(test_big_endian_tables),
		cmocka_unit_test(test_top_byte),
		cmocka_unit_test(test_mmu_off),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_contiguous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
