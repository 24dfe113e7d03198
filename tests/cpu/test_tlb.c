/* SPDX-License-Identifier: MIT */
/*
 * TLB banks: which bank is chosen, what maintenance drops and what it leaves, broadcast between
 * threads.
 */
#include <pthread.h>
#include <sched.h>

#include "cpu_test.h"

#define TLBI(crm, op2) SYSREG(1, 0, 8, crm, op2)
enum { VMALL = 0, VA = 1, ASID = 2, VAA = 3, VAL = 5, VAAL = 7 };
enum { NSH = 7, IS = 3, OS = 1, R_NSH = 6, R_IS = 2, R_OS = 5 };

static bool in_bank(const struct tlb_bank *b, uint64_t va)
{
	return b->e[tlb_index(va)].read_tag == (va & TLB_PAGE_MASK);
}

static bool in_xbank(const struct tlb_bank *b, uint64_t va)
{
	return b->x[xtlb_index(va)].tag == (va & TLB_PAGE_MASK);
}

static void touch(struct cpu *cpu, uint64_t va)
{
	uint64_t v;

	assert_int_equal(load64(cpu, va, &v), CPU_EXIT_NONE);
	assert_true(in_bank(cpu->bank, va));
}

static void tlbi(struct cpu *cpu, unsigned int crm, unsigned int op2, uint64_t value)
{
	assert_true(sysinsn_exists(TLBI(crm, op2), false));
	assert_int_equal(sysinsn_execute(cpu, TLBI(crm, op2), value), CPU_EXIT_NONE);
}

static uint64_t by_va(uint64_t va, uint64_t asid)
{
	return ((va >> 12) & 0xfffffffffffull) | asid << 48;
}

/* Pages 1..8 of the lower half: EL0 read and write, non-global; of the upper half: EL1, global. */
static struct tables make_tables(struct rig *rig)
{
	struct tables t = tables_new(rig, 12, 48);

	for (uint64_t p = 1; p <= 8; p++)
		map(&t, p << 12, RAM_BASE + (p << 12), 3, D_AF | D_AP(1) | D_NG);
	return t;
}

static struct tables make_kernel(struct rig *rig)
{
	struct tables t = tables_new(rig, 12, 48);

	for (uint64_t p = 1; p <= 8; p++)
		map(&t, 0x10000 | p << 12, RAM_BASE + (p << 12), 3, D_AF);
	map(&t, 0x200000, RAM_BASE, 2, D_AF);
	map(&t, 0x400000, RAM_BASE, 2, D_AF | D_NG);
	return t;
}

#define KERNEL (~0ull << 48 | 0x10000) /* lines of the two halves must not share an index */

static struct rig *two_halves(struct tables *user, struct tables *kernel)
{
	struct rig *rig = rig_new(1);

	*user = make_tables(rig);
	*kernel = make_kernel(rig);
	mmu_on(rig->cpu[0], user, 0, 0);
	msr(rig->cpu[0], R_TTBR1, kernel->root);
	return rig;
}

static void test_process_switch(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];
	struct tables other = make_tables(rig);
	struct tlb_bank *first, *el1;

	msr(cpu, R_TTBR0, user.root | 1ull << 48);
	touch(cpu, KERNEL + 0x1000);
	touch(cpu, 0x2000);
	el1 = cpu->bank;
	set_el(cpu, 0);
	touch(cpu, 0x1000);
	first = cpu->bank;
	assert_ptr_equal(cpu->bank_el0, first);
	/*
	 * Another process: another bank, and what EL1 knew of the first one is gone; the kernel's
	 * lines stay.
	 */
	set_el(cpu, 1);
	msr(cpu, R_TTBR0, other.root | 2ull << 48);
	assert_ptr_equal(cpu->bank, el1);
	assert_false(in_bank(el1, 0x2000));
	assert_true(in_bank(el1, KERNEL + 0x1000));
	set_el(cpu, 0);
	assert_ptr_not_equal(cpu->bank, first);
	assert_false(in_bank(cpu->bank, 0x1000));
	touch(cpu, 0x3000);
	/* Back: nothing was flushed. */
	set_el(cpu, 1);
	msr(cpu, R_TTBR0, user.root | 1ull << 48);
	set_el(cpu, 0);
	assert_ptr_equal(cpu->bank, first);
	assert_true(in_bank(first, 0x1000));
	rig_free(rig);
}

/* Register values on the way between two processes take no bank away. */
static void test_no_bank_for_passing_values(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];

	set_el(cpu, 0);
	touch(cpu, 0x1000);
	set_el(cpu, 1);
	for (uint64_t asid = 1; asid < 3 * TLB_EL0_BANKS; asid++) {
		msr(cpu, R_TTBR0, user.root | asid << 48);
		assert_false(in_bank(cpu->bank_el0, 0x1000));
	}
	msr(cpu, R_TTBR0, user.root);
	set_el(cpu, 0);
	assert_true(in_bank(cpu->bank, 0x1000));
	rig_free(rig);
}

static void test_lru(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];

	for (uint64_t asid = 1; asid <= TLB_EL0_BANKS + 1; asid++) {
		set_el(cpu, 1);
		msr(cpu, R_TTBR0, user.root | asid << 48);
		set_el(cpu, 0);
		touch(cpu, 0x1000);
	}
	/* The first is the one that had to go. */
	for (uint64_t asid = TLB_EL0_BANKS + 1; asid; asid--) {
		set_el(cpu, 1);
		msr(cpu, R_TTBR0, user.root | asid << 48);
		set_el(cpu, 0);
		assert_int_equal(in_bank(cpu->bank, 0x1000), asid != 1);
	}
	rig_free(rig);
}

static void test_unprivileged_bank(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];
	struct mem_desc d = {.size_log2 = 3, .unpriv = 1};
	uint64_t out[4];

	msr(cpu, SYSREG(3, 0, 4, 2, 3), 1 << 22);
	assert_int_equal(cpu->ps.pan, 1);
	assert_int_equal(access_load(cpu, 0x1000, &d, out), 0);
	assert_true(in_bank(cpu->bank_el0, 0x1000));
	assert_false(in_bank(cpu->bank, 0x1000));
	assert_int_equal(access_load(cpu, KERNEL + 0x1000, &d, out), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x0f));
	/* The same bank serves EL0. */
	set_el(cpu, 0);
	assert_true(in_bank(cpu->bank, 0x1000));
	rig_free(rig);
}

static void test_pan_banks(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];
	uint64_t v;

	touch(cpu, 0x1000);
	sysreg_write_imm(cpu, 0, 4, 1);
	assert_false(in_bank(cpu->bank, 0x1000));
	assert_int_equal(load64(cpu, 0x1000, &v), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_DABT, 0x0f));
	sysreg_write_imm(cpu, 0, 4, 0);
	assert_true(in_bank(cpu->bank, 0x1000));
	rig_free(rig);
}

/* Each form of TLBI: which of four pages it drops (our ASID is 1). */
static void test_tlbi_forms(void **state)
{
	static const struct {
		unsigned int op2;
		uint64_t asid, va;
		bool user1, user2, kern1, kern2; /* survive */
	} t[] = {
		{VMALL, 0, 0, 0, 0, 0, 0},
		{VA, 1, 0x1000, 0, 1, 1, 1},
		{VA, 2, 0x1000, 1, 1, 1, 1},
		{VAL, 1, 0x2000, 1, 0, 1, 1},
		{VA, 2, KERNEL + 0x1000, 1, 1, 0, 1},
		{VAA, 9, 0x1000, 0, 1, 1, 1},
		{VAAL, 9, KERNEL + 0x2000, 1, 1, 1, 0},
		{ASID, 1, 0, 0, 0, 1, 1},
		{ASID, 2, 0, 1, 1, 1, 1},
	};
	static const unsigned int crms[] = {NSH, IS, OS};
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];
	struct tlb_bank *b;

	msr(cpu, R_TTBR0, user.root | 1ull << 48);
	for (unsigned int i = 0; i < 3 * sizeof(t) / sizeof(t[0]); i++) {
		unsigned int n = i / 3;

		touch(cpu, 0x1000);
		touch(cpu, 0x2000);
		touch(cpu, KERNEL + 0x1000);
		touch(cpu, KERNEL + 0x2000);
		b = cpu->bank;
		set_el(cpu, 0);
		touch(cpu, 0x1000);
		touch(cpu, 0x2000);
		set_el(cpu, 1);
		tlbi(cpu, crms[i % 3], t[n].op2, by_va(t[n].va, t[n].asid));
		assert_int_equal(in_bank(b, 0x1000), t[n].user1);
		assert_int_equal(in_bank(b, 0x2000), t[n].user2);
		assert_int_equal(in_bank(b, KERNEL + 0x1000), t[n].kern1);
		assert_int_equal(in_bank(b, KERNEL + 0x2000), t[n].kern2);
		set_el(cpu, 0);
		assert_int_equal(in_bank(cpu->bank, 0x1000), t[n].user1);
		assert_int_equal(in_bank(cpu->bank, 0x2000), t[n].user2);
		set_el(cpu, 1);
	}
	rig_free(rig);
}

static void test_tlbi_other_asids_bank(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];

	msr(cpu, R_TTBR0, user.root | 1ull << 48);
	set_el(cpu, 0);
	touch(cpu, 0x1000);
	touch(cpu, 0x2000);
	touch(cpu, 0x3000);
	set_el(cpu, 1);
	msr(cpu, R_TTBR0, user.root | 2ull << 48);
	set_el(cpu, 0);
	touch(cpu, 0x1000);
	touch(cpu, 0x2000);
	/* ASID 1 is not running, its bank is served all the same. */
	set_el(cpu, 1);
	tlbi(cpu, NSH, VA, by_va(0x1000, 1));
	tlbi(cpu, NSH, VAA, by_va(0x2000, 0));
	set_el(cpu, 0);
	assert_true(in_bank(cpu->bank, 0x1000));
	assert_false(in_bank(cpu->bank, 0x2000));
	set_el(cpu, 1);
	msr(cpu, R_TTBR0, user.root | 1ull << 48);
	set_el(cpu, 0);
	assert_false(in_bank(cpu->bank, 0x1000));
	assert_false(in_bank(cpu->bank, 0x2000));
	assert_true(in_bank(cpu->bank, 0x3000));
	rig_free(rig);
}

/* An address inside a block drops every line of the block, data and execute, and only those. */
static void test_tlbi_block(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];
	struct xtlb_entry *x;

	touch(cpu, KERNEL + 0x201000);
	touch(cpu, KERNEL + 0x3ef000);
	touch(cpu, KERNEL + 0x1000);
	cpu->pc = KERNEL + 0x202000;
	assert_int_equal(access_fetch(cpu, &x), 0);
	assert_true(in_xbank(cpu->bank, cpu->pc));
	tlbi(cpu, NSH, VAL, by_va(KERNEL + 0x2aa000, 0));
	assert_false(in_bank(cpu->bank, KERNEL + 0x201000));
	assert_false(in_bank(cpu->bank, KERNEL + 0x3ef000));
	assert_false(in_xbank(cpu->bank, cpu->pc));
	assert_true(in_bank(cpu->bank, KERNEL + 0x1000));
	/* A non-global block of another ASID stays, and so does a block beside it. */
	touch(cpu, KERNEL + 0x401000);
	touch(cpu, KERNEL + 0x202000);
	tlbi(cpu, NSH, VA, by_va(KERNEL + 0x402000, 5));
	assert_true(in_bank(cpu->bank, KERNEL + 0x401000));
	tlbi(cpu, NSH, VA, by_va(KERNEL + 0x402000, 0));
	assert_false(in_bank(cpu->bank, KERNEL + 0x401000));
	assert_true(in_bank(cpu->bank, KERNEL + 0x202000));
	rig_free(rig);
}

static void test_tlbi_contiguous_and_64k(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48), big = tables_new(rig, 16, 48);

	for (uint64_t p = 0; p < 32; p++)
		map(&t, p << 12, RAM_BASE + (p << 12), 3, D_AF | (p < 16 ? D_CONT : 0));
	mmu_on(cpu, &t, 0, 0);
	for (uint64_t p = 0; p < 32; p++)
		touch(cpu, p << 12);
	tlbi(cpu, NSH, VA, by_va(0x7000, 0));
	for (uint64_t p = 0; p < 32; p++)
		assert_int_equal(in_bank(cpu->bank, p << 12), p >= 16);

	map(&big, 0x10000, RAM_BASE, 3, D_AF);
	map(&big, 0x20000, RAM_BASE, 3, D_AF);
	mmu_on(cpu, &big, 0, 0);
	for (uint64_t p = 16; p < 48; p++)
		touch(cpu, p << 12);
	tlbi(cpu, NSH, VA, by_va(0x10000, 0));
	for (uint64_t p = 16; p < 48; p++)
		assert_int_equal(in_bank(cpu->bank, p << 12), p >= 32);
	rig_free(rig);
}

static uint64_t by_range(uint64_t va, unsigned int grain, unsigned int scale, unsigned int num,
			 uint64_t asid)
{
	uint64_t tg = grain == 12 ? 1 : grain == 14 ? 2 : 3;

	return ((va >> grain) & 0x1fffffffffull) | (uint64_t)num << 39 | (uint64_t)scale << 44 |
	       tg << 46 | asid << 48;
}

static void test_tlbi_range(void **state)
{
	static const unsigned int crms[] = {R_NSH, R_IS, R_OS};
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];

	msr(cpu, R_TTBR0, user.root | 1ull << 48);
	for (unsigned int i = 0; i < 3; i++) {
		for (uint64_t p = 1; p <= 8; p++) {
			touch(cpu, p << 12);
			touch(cpu, KERNEL + (p << 12));
		}
		/* (1 + 1) << 1 = 4 pages from 3: 3, 4, 5, 6 */
		tlbi(cpu, crms[i], VA, by_range(0x3000, 12, 0, 1, 1));
		for (uint64_t p = 1; p <= 8; p++) {
			assert_int_equal(in_bank(cpu->bank, p << 12), p < 3 || p > 6);
			assert_true(in_bank(cpu->bank, KERNEL + (p << 12)));
		}
		/*
		 * Another ASID's range leaves all; any ASID's does not. Upper half: the base is
		 * sign-extended.
		 */
		tlbi(cpu, crms[i], VAL, by_range(0x1000, 12, 0, 0, 2));
		assert_true(in_bank(cpu->bank, 0x1000));
		tlbi(cpu, crms[i], VAA, by_range(0x1000, 12, 0, 0, 2));
		assert_false(in_bank(cpu->bank, 0x1000));
		tlbi(cpu, crms[i], VAAL, by_range(KERNEL + 0x7000, 12, 0, 0, 0));
		assert_true(in_bank(cpu->bank, KERNEL + 0x6000));
		assert_false(in_bank(cpu->bank, KERNEL + 0x7000));
		assert_false(in_bank(cpu->bank, KERNEL + 0x8000));
		/* A long one: (31 + 1) << 16 pages. */
		tlbi(cpu, crms[i], VAA, by_range(KERNEL, 12, 3, 31, 0));
		for (uint64_t p = 1; p <= 8; p++)
			assert_false(in_bank(cpu->bank, KERNEL + (p << 12)));
		assert_true(in_bank(cpu->bank, 0x8000));
	}
	rig_free(rig);
}

/*
 * Random lines of all sizes, random maintenance by address: a line goes if its mapping overlaps the
 * addresses and it is global or of the ASID, and stays otherwise.
 */
static uint64_t random_state = 88172645463325252ull;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

struct line {
	uint64_t va;
	unsigned int shift;
	bool ng;
};

static void test_random_maintenance(void **state)
{
	static const uint8_t shifts[] = {12, 12, 12, 14, 16, 21, 21, 25, 30};
	static struct line lines[TLB_SIZE];
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	struct tables t = tables_new(rig, 12, 48);

	mmu_on(cpu, &t, 0, 0);
	msr(cpu, R_TTBR0, t.root | 1ull << 48);
	for (unsigned int round = 0; round < 400; round++) {
		unsigned int kinds = round % 4 ? 3 : sizeof(shifts);
		uint64_t half = random64() & 1 ? ~0ull << 48 : 0, first, last,
			 asid = 1 + random64() % 2;
		unsigned int survivors = 0;
		bool all_asids = random64() & 1, range = random64() & 1;

		tlb_flush(cpu);
		memset(lines, 0, sizeof(lines));
		for (unsigned int i = 0; i < 300; i++) {
			struct line l = {half | (random64() & 0x7fffff000),
					 shifts[random64() % kinds], random64() & 1};

			/* Mostly crowded into a few MiB, so that much overlaps. */
			if (i % 4)
				l.va &= ~0x7ffc00000ull;
			if (round % 4 == 1)
				l.shift = shifts[3 + random64() % 4];
			tlb_fill(cpu->bank, l.va, RAM_BASE, ram(rig, RAM_BASE), l.shift, l.ng, true,
				 true);
			lines[tlb_index(l.va)] = l;
		}
		first = half | (random64() & (round & 8 ? 0x7fffff000 : 0x3ff000));
		if (range) {
			unsigned int num = random64() % 32, scale = random64() % 3;

			last = first + ((num + 1ull) << (5 * scale + 1 + 12)) - 1;
			tlbi(cpu, R_NSH, all_asids ? VAA : VA,
			     by_range(first, 12, scale, num, asid));
		} else {
			last = first + 0xfff;
			tlbi(cpu, NSH, all_asids ? VAAL : VAL, by_va(first, asid));
		}
		for (unsigned int i = 0; i < TLB_SIZE; i++) {
			struct line *l = &lines[i];
			uint64_t mask = (1ull << l->shift) - 1;
			bool gone = (l->va & ~mask) <= last && (l->va | mask) >= first &&
				    (all_asids || !l->ng || asid == 1);

			if (!l->shift)
				continue;
			assert_int_equal(in_bank(cpu->bank, l->va), !gone);
			survivors += !gone;
		}
		assert_true(survivors > 0 || round % 4 == 0 || range);
	}
	rig_free(rig);
}

static uint64_t fetch(struct cpu *cpu, uint64_t va)
{
	struct xtlb_entry *x;

	cpu->pc = va;
	assert_int_equal(access_fetch(cpu, &x), 0);
	assert_true(in_xbank(cpu->bank, va));
	return cpu->bank->fetches;
}

/* Whatever was concluded from an execute line is void when the line goes, and only then. */
static void test_fetches(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];
	uint64_t was, page = KERNEL + 0x1000, block = KERNEL + 0x202000, global = by_va(page, 0);

	msr(cpu, R_TTBR0, user.root | 1ull << 48);
	was = fetch(cpu, page);
	assert_int_equal(fetch(cpu, block), was);
	tlbi(cpu, NSH, VAAL, by_va(KERNEL + 0x5000, 0));
	tlbi(cpu, NSH, ASID, 1ull << 48);
	touch(cpu, KERNEL + 0x4000);
	assert_int_equal(cpu->bank->fetches, was);
	for (unsigned int op = 0; op < 5; op++) {
		static const uint8_t ops[] = {VMALL, VA, VAA, VAL, VAAL};

		tlbi(cpu, NSH, ops[op], ops[op] == VMALL ? 0 : global);
		assert_int_not_equal(cpu->bank->fetches, was);
		was = fetch(cpu, page);
	}
	was = fetch(cpu, block);
	tlbi(cpu, NSH, VAAL, by_va(KERNEL + 0x3ef000, 0));
	assert_int_not_equal(cpu->bank->fetches, was);
	fetch(cpu, page);
	was = fetch(cpu, block);
	tlbi(cpu, R_NSH, VAA, by_range(KERNEL, 12, 3, 31, 0));
	assert_int_not_equal(cpu->bank->fetches, was);
	/* A block that is of one ASID. */
	was = fetch(cpu, KERNEL + 0x401000);
	tlbi(cpu, NSH, ASID, 2ull << 48);
	assert_int_equal(cpu->bank->fetches, was);
	tlbi(cpu, NSH, ASID, 1ull << 48);
	assert_int_not_equal(cpu->bank->fetches, was);
	/* Another page takes the line: maintenance would not find the first one any more. */
	was = fetch(cpu, page);
	tlb_fill_exec(cpu->bank, page + XTLB_SIZE * MEM_PAGE_SIZE, RAM_BASE, ram(rig, RAM_BASE), 12,
		      false);
	assert_int_not_equal(cpu->bank->fetches, was);
	for (unsigned int a = 0; a <= TLB_BANKS; a++) {
		assert_int_equal(cpu->tlb.banks[a].fetches & ((1 << TLB_FETCH_SHIFT) - 1), 0);
		for (unsigned int b = 0; b < a; b++)
			assert_int_not_equal(
				(cpu->tlb.banks[a].fetches >> TLB_FETCH_SHIFT) % (TLB_BANKS + 1),
				(cpu->tlb.banks[b].fetches >> TLB_FETCH_SHIFT) % (TLB_BANKS + 1));
		was = cpu->tlb.banks[a].fetches;
	}
	tlb_forget_fetches(cpu);
	assert_int_not_equal(cpu->tlb.banks[0].fetches, was);
	rig_free(rig);
}

static bool may_write(const struct tlb_bank *b, uint64_t va)
{
	return b->e[tlb_index(va)].write_tag == (va & TLB_PAGE_MASK);
}

/*
 * What the VMM does to memory, another thread posts: nothing happens to the banks until the vCPU
 * enters, and before that they may be chosen anew.
 */
static void test_physical_range(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];
	struct tlb_op op = {.kind = TLB_OP_CLEAN, .va = RAM_BASE + 0x1800, .len = 1};
	struct xtlb_entry *x;

	touch(cpu, KERNEL + 0x1000);
	touch(cpu, KERNEL + 0x2000);
	cpu->pc = KERNEL + 0x1000;
	assert_int_equal(access_fetch(cpu, &x), 0);
	assert_true(may_write(cpu->bank, KERNEL + 0x1000));
	tlb_post(&rig->m, &op);
	assert_true(may_write(cpu->bank, KERNEL + 0x1000));
	tlb_enter_guest(cpu);
	assert_false(may_write(cpu->bank, KERNEL + 0x1000));
	assert_true(may_write(cpu->bank, KERNEL + 0x2000));
	assert_true(in_bank(cpu->bank, KERNEL + 0x1000));
	assert_true(in_xbank(cpu->bank, KERNEL + 0x1000));
	tlb_leave_guest(cpu);
	op.kind = TLB_OP_ALL;
	tlb_post(&rig->m, &op);
	/* There and back: the bank of the old registers is chosen again, with its lines. */
	msr(cpu, R_TTBR1, user.root);
	msr(cpu, R_TTBR1, kernel.root);
	assert_true(in_bank(cpu->bank, KERNEL + 0x1000));
	tlb_enter_guest(cpu);
	assert_false(in_bank(cpu->bank, KERNEL + 0x1000));
	assert_false(in_xbank(cpu->bank, KERNEL + 0x1000));
	assert_false(in_bank(cpu->bank, KERNEL + 0x2000));
	rig_free(rig);
}

static void test_new_tables_are_seen(void **state)
{
	struct tables user, kernel;
	struct rig *rig = two_halves(&user, &kernel);
	struct cpu *cpu = rig->cpu[0];
	struct tables other = tables_new(rig, 12, 48);
	struct mmu_result r;
	uint64_t v;

	touch(cpu, KERNEL + 0x1000);
	/* Another TTBR1 without any TLBI: an EL1 line of the old one is not used. */
	msr(cpu, R_TTBR1, other.root);
	assert_int_equal(load64(cpu, KERNEL + 0x1000, &v), CPU_FAULT);
	msr(cpu, R_TTBR1, kernel.root);
	touch(cpu, KERNEL + 0x1000);
	/* The MMU off and on again. */
	msr(cpu, R_SCTLR, 0);
	assert_int_equal(load64(cpu, KERNEL + 0x1000, &v), CPU_FAULT);
	assert_int_equal(mmu_walk(cpu, RAM_BASE, 1, MMU_READ, 0, &r), 0);
	touch(cpu, RAM_BASE);
	msr(cpu, R_SCTLR, SCTLR_M);
	assert_int_equal(load64(cpu, RAM_BASE, &v), CPU_FAULT);
	rig_free(rig);
}

static void test_queue_is_served_at_entry(void **state)
{
	struct rig *rig = rig_new(2);
	struct tables t = make_kernel(rig);
	struct cpu *a = rig->cpu[0], *b = rig->cpu[1];

	mmu_on(a, &t, 0, 0);
	mmu_on(b, &t, 0, 0);
	touch(b, KERNEL + 0x1000);
	touch(b, KERNEL + 0x2000);
	tlb_enter_guest(a);
	/* Not broadcast: b keeps its lines. */
	tlbi(a, NSH, VMALL, 0);
	tlb_sync(a);
	tlb_enter_guest(b);
	assert_true(in_bank(b->bank, KERNEL + 0x1000));
	tlb_leave_guest(b);
	/* b is outside: a does not wait for it, and it catches up on its way in. */
	tlbi(a, IS, VAA, by_va(KERNEL + 0x1000, 0));
	assert_true(atomic_load(&b->remote.kick) && (b->remote.requests & CPU_REQ_TLB));
	tlb_sync(a);
	tlb_enter_guest(b);
	assert_false(in_bank(b->bank, KERNEL + 0x1000));
	assert_true(in_bank(b->bank, KERNEL + 0x2000));
	tlb_leave_guest(b);
	/* An overflow of the queue drops all. */
	for (unsigned int i = 0; i <= TLB_QUEUE; i++)
		tlbi(a, IS, VAA, by_va(KERNEL + 0x5000, 0));
	tlb_enter_guest(b);
	assert_false(in_bank(b->bank, KERNEL + 0x2000));
	rig_free(rig);
}

/* Two vCPUs that do nothing but broadcast and DSB: each serves while it waits, so neither hangs. */
struct racer {
	struct cpu *cpu;
	unsigned int rounds;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	tlb_enter_guest(r->cpu);
	for (unsigned int i = 0; i < r->rounds; i++) {
		tlbi(r->cpu, IS, VAA, by_va(KERNEL + 0x1000, 0));
		if (i % 3 == 0)
			tlbi(r->cpu, IS, VMALL, 0);
		tlb_sync(r->cpu);
		if (i % 7 == 0) {
			tlb_leave_guest(r->cpu);
			tlb_enter_guest(r->cpu);
		}
	}
	tlb_leave_guest(r->cpu);
	return NULL;
}

static void test_broadcast_race(void **state)
{
	struct rig *rig = rig_new(3);
	struct racer r[3];
	pthread_t thread[3];

	for (int i = 0; i < 3; i++) {
		r[i] = (struct racer){rig->cpu[i], 3000};
		assert_int_equal(pthread_create(&thread[i], NULL, race, &r[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	rig_free(rig);
}

/*
 * A page changes hands: the owner unmaps it, broadcasts, waits, writes a mark into it. The reader,
 * which serves at kicks only, must never see the mark through the old mapping after it served.
 */
static _Atomic bool reader_stop, reader_bad, reader_ready;

/* Until it has loaded once more. */
static void wait_for_reader(void)
{
	atomic_store(&reader_ready, false);
	while (!atomic_load(&reader_ready))
		sched_yield();
}

static void *read_on(void *arg)
{
	struct cpu *cpu = arg;
	uint64_t v;

	tlb_enter_guest(cpu);
	while (!atomic_load(&reader_stop)) {
		/* A long way between two kick points: whoever does not wait for us is found out. */
		for (int i = 0; i < 300; i++) {
			if (!load64(cpu, KERNEL + 0x1000, &v) && v == 0xdead)
				atomic_store(&reader_bad, true);
			atomic_store(&reader_ready, true);
		}
		if (atomic_exchange(&cpu->remote.kick, 0))
			tlb_serve(cpu);
	}
	tlb_leave_guest(cpu);
	return NULL;
}

static void test_unmap_is_complete(void **state)
{
	struct rig *rig = rig_new(2);
	struct tables t = make_kernel(rig);
	uint64_t *d = descriptor(&t, 0x11000, 3), desc = *d;
	uint64_t *page = ram(rig, RAM_BASE + 0x1000);
	pthread_t thread;

	mmu_on(rig->cpu[0], &t, 0, 0);
	mmu_on(rig->cpu[1], &t, 0, 0);
	tlb_enter_guest(rig->cpu[0]);
	assert_int_equal(pthread_create(&thread, NULL, read_on, rig->cpu[1]), 0);
	for (int i = 0; i < 200; i++) {
		wait_for_reader();
		__atomic_store_n(d, 0, __ATOMIC_SEQ_CST);
		tlbi(rig->cpu[0], IS, VAA, by_va(KERNEL + 0x1000, 0));
		tlb_sync(rig->cpu[0]);
		__atomic_store_n(page, 0xdead, __ATOMIC_SEQ_CST);
		wait_for_reader();
		__atomic_store_n(page, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(d, desc, __ATOMIC_SEQ_CST);
	}
	atomic_store(&reader_stop, true);
	pthread_join(thread, NULL);
	assert_false(reader_bad);
	tlb_leave_guest(rig->cpu[0]);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_switch),
		cmocka_unit_test(test_no_bank_for_passing_values),
		cmocka_unit_test(test_lru),
		cmocka_unit_test(test_unprivileged_bank),
		cmocka_unit_test(test_pan_banks),
		cmocka_unit_test(test_tlbi_forms),
		cmocka_unit_test(test_tlbi_other_asids_bank),
		cmocka_unit_test(test_tlbi_block),
		cmocka_unit_test(test_tlbi_contiguous_and_64k),
		cmocka_unit_test(test_tlbi_range),
		cmocka_unit_test(test_random_maintenance),
		cmocka_unit_test(test_fetches),
		cmocka_unit_test(test_physical_range),
		cmocka_unit_test(test_new_tables_are_seen),
		cmocka_unit_test(test_queue_is_served_at_entry),
		cmocka_unit_test(test_broadcast_race),
		cmocka_unit_test(test_unmap_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
