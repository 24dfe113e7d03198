/* SPDX-License-Identifier: MIT */
/*
 * Page tables that change, on one CPU: what the architecture promises after maintenance, and what
 * it says of each fault.
 */
#include "guest.h"

#define ESR_DATA(fsc)  ((uint64_t)EC_DABT << 26 | 1 << 25 | (fsc))
#define ASID(n)        ((uint64_t)(n) << 48)
#define TTBR_ASID_MASK 0xffff000000000000ull

static void *nth(unsigned int n, uint64_t value)
{
	uint64_t *p = page(n);

	for (unsigned int i = 0; i < 512; i++)
		p[i] = value;
	return p;
}

static void expect_read(uint64_t va, uint64_t value)
{
	CHECK_EQ(read64(va), value);
}

static void expect_fault(uint64_t va, bool write, unsigned int fsc)
{
	unsigned int before = this_cpu()->faults;

	this_cpu()->esr = 0;
	if (write)
		write64(va, 1);
	else
		(void)read64(va);
	CHECK_EQ(this_cpu()->faults, before + 1);
	CHECK_EQ(this_cpu()->esr, ESR_DATA(fsc | (write ? WNR : 0)));
	CHECK_EQ(this_cpu()->far, va);
}

static void break_before_make(void)
{
	catch_faults(true);
	for (unsigned int i = 0; i < 4; i++)
		nth(i, 100 + i);
	for (unsigned int i = 0; i < 2000; i++) {
		unsigned int n = rnd() % 4, slot = rnd() % WINDOW_PAGES;
		uint64_t va = rnd() & 1 ? W(slot) : H(slot);

		map(va, page(n), NORMAL);
		expect_read(va + (rnd() & 0xff8), 100 + n);
		expect_read((W(slot)), 100 + n);
		expect_read((H(slot)), 100 + n);
		unmap(W(slot));
		tlbi_va(H(slot));
		if (i % 16 == 0) {
			expect_fault(W(slot), false, FSC_TRANSLATION | 3);
			expect_fault(H(slot) + 8, true, FSC_TRANSLATION | 3);
		}
	}
}

/* A translation that faulted is not cached: making a valid entry needs no maintenance. */
static void invalid_is_not_cached(void)
{
	catch_faults(true);
	for (unsigned int i = 0; i < 500; i++) {
		expect_fault(W(i), i & 1, FSC_TRANSLATION | 3);
		map(W(i), nth(0, i), NORMAL);
		expect_read(W(i), i);
	}
}

static void permissions(void)
{
	static const struct {
		uint64_t attributes;
		unsigned int write; /* 0: allowed */
	} cases[] = {{NORMAL, 0},
		     {NORMAL | D_RO, FSC_PERMISSION | 3},
		     {NORMAL | D_EL0, 0},
		     {NORMAL | D_EL0 | D_RO, FSC_PERMISSION | 3}};

	catch_faults(true);
	nth(0, 7);
	for (unsigned int i = 0; i < 400; i++) {
		unsigned int c = rnd() % 4;

		*(volatile uint64_t *)pte(W(3)) = 0;
		tlbi_va(W(3));
		map(W(3), page(0), cases[c].attributes);
		expect_read(W(3), 7);
		if (cases[c].write)
			expect_fault(W(3), true, cases[c].write);
		else
			write64(W(3), 7);
	}
	/* Read-only without maintenance in between: a tightened permission holds after TLBI. */
	map(W(4), page(0), NORMAL);
	write64(W(4), 7);
	set_pte(W(4), (uint64_t)page(0) | NORMAL | D_RO | D_PAGE);
	tlbi_va(W(4));
	expect_fault(W(4), true, FSC_PERMISSION | 3);
	expect_read(W(4), 7);
	/* And a loosened one after another. */
	set_pte(W(4), (uint64_t)page(0) | NORMAL | D_PAGE);
	tlbi_va(W(4));
	write64(W(4), 7);
}

static void skip_to_lr(struct frame *f)
{
	f->elr = f->x[30];
}

static void fetch_faults(void)
{
	uint32_t *p = page(0);

	this_cpu()->sync = skip_to_lr;
	p[0] = 0xd65f03c0;
	sync_code(p, 4);
	map(W(0), p, NORMAL | D_PXN);
	((void (*)(void))W(0))();
	CHECK_EQ(this_cpu()->esr, (uint64_t)EC_IABT << 26 | 1 << 25 | FSC_PERMISSION | 3);
	CHECK_EQ(this_cpu()->far, W(0));
	CHECK_EQ(this_cpu()->elr, W(0));
	((void (*)(void))W(1))();
	CHECK_EQ(this_cpu()->esr, (uint64_t)EC_IABT << 26 | 1 << 25 | FSC_TRANSLATION | 3);
	CHECK_EQ(this_cpu()->far, W(1));
	/* Writable by EL0 implies PXN. */
	map(W(2), p, NORMAL | D_EL0);
	((void (*)(void))W(2))();
	CHECK_EQ(this_cpu()->esr, (uint64_t)EC_IABT << 26 | 1 << 25 | FSC_PERMISSION | 3);
	/* PC alignment comes first. */
	((void (*)(void))(W(1) + 2))();
	CHECK_EQ(EC(this_cpu()->esr), EC_PC);
	CHECK_EQ(this_cpu()->far, W(1) + 2);
	CHECK_EQ(this_cpu()->faults, 4);
	/* No memory, and a device, behind the page. */
	map(W(3), (void *)NOTHING, NORMAL);
	((void (*)(void))W(3))();
	CHECK_EQ(EC(this_cpu()->esr), EC_IABT);
	CHECK_EQ(FSC(this_cpu()->esr), FSC_EXTERNAL);
	map(W(4), (void *)UART, D_AF | D_DEVICE);
	((void (*)(void))W(4))();
	CHECK_EQ(EC(this_cpu()->esr), EC_IABT);
	CHECK_EQ(this_cpu()->faults, 6);
	/*
	 * A block that runs into the next page, which faults: the instructions before it are done.
	 */
	p[1022] = 0xd2800000; /* mov x0, #0 */
	p[1023] = 0x91001400; /* add x0, x0, #5 */
	sync_code(p, PAGE);
	map(W(5), p, NORMAL);
	CHECK_EQ(((uint64_t(*)(void))(W(6) - 8))(), 5);
	CHECK_EQ(this_cpu()->faults, 7);
	CHECK_EQ(this_cpu()->elr, W(6));
}

static void access_flag(void)
{
	catch_faults(true);
	nth(0, 9);
	set_pte(W(0), (uint64_t)page(0) | D_SH | D_PAGE);
	expect_fault(W(0), false, FSC_ACCESS | 3);
	expect_fault(W(0), true, FSC_ACCESS | 3);
	set_pte(W(0), (uint64_t)page(0) | NORMAL | D_PAGE);
	expect_read(W(0), 9);
	/* By hardware */
	msr(tcr_el1, mrs(tcr_el1) | 1ull << 39);
	isb();
	set_pte(W(1), (uint64_t)page(0) | D_SH | D_PAGE);
	expect_read(W(1), 9);
	CHECK(*pte(W(1)) & D_AF);
	/* Dirty state: RO with DBM is clean, the first write makes it RW. */
	msr(tcr_el1, mrs(tcr_el1) | 1ull << 40);
	isb();
	tlbi_all();
	set_pte(W(2), (uint64_t)page(0) | NORMAL | D_RO | D_DBM | D_PAGE);
	expect_read(W(2), 9);
	CHECK(*pte(W(2)) & D_RO);
	write64(W(2), 10);
	CHECK(!(*pte(W(2)) & D_RO));
	expect_read(W(2), 10);
	/* Cleaned again by software. */
	set_pte(W(2), (uint64_t)page(0) | NORMAL | D_RO | D_DBM | D_PAGE);
	tlbi_va(W(2));
	write64(W(2), 11);
	CHECK(!(*pte(W(2)) & D_RO));
	/* AF and dirty in one access, by an atomic. */
	set_pte(W(3), (uint64_t)page(0) | D_SH | D_RO | D_DBM | D_PAGE);
	__atomic_fetch_add((uint64_t *)W(3), 1, __ATOMIC_RELAXED);
	CHECK_EQ(*pte(W(3)) & (D_AF | D_RO), D_AF);
	expect_read(W(0), 12);
	/* A failed permission changes no dirty state. */
	set_pte(W(4), (uint64_t)page(0) | NORMAL | D_RO | D_PAGE);
	expect_fault(W(4), true, FSC_PERMISSION | 3);
	CHECK(*pte(W(4)) & D_RO);
	msr(tcr_el1, mrs(tcr_el1) & ~(3ull << 39));
	isb();
	tlbi_all();
}

/* A block is split into pages and put together again; one page of it differs. */
static void blocks(void)
{
	uint64_t *table = (uint64_t *)((uint64_t)pte(WINDOW) & ~0xfffull), saved = *pmd(WINDOW);
	uint64_t *big = big_page(0);

	catch_faults(true);
	for (unsigned int i = 0; i < 512; i++)
		big[i * 512] = i;
	nth(0, 0x5555);
	for (unsigned int round = 0; round < 10; round++) {
		unsigned int odd = rnd() % 512;

		*(volatile uint64_t *)pmd(WINDOW) = (uint64_t)big | NORMAL | D_BLOCK;
		dsb();
		isb();
		for (unsigned int i = 0; i < 512; i++)
			expect_read(W(i), i);
		*(volatile uint64_t *)pmd(WINDOW) = 0;
		tlbi_va(W(odd)); /* any address of the block drops it */
		expect_fault(W(0), false, FSC_TRANSLATION | 2);
		expect_fault(W(511), false, FSC_TRANSLATION | 2);
		for (unsigned int i = 0; i < 512; i++)
			table[i] = ((uint64_t)big + i * PAGE) | NORMAL | D_PAGE;
		table[odd] = (uint64_t)page(0) | NORMAL | D_PAGE;
		*(volatile uint64_t *)pmd(WINDOW) = saved;
		dsb();
		isb();
		for (unsigned int i = 0; i < 512; i++)
			expect_read(W(i), i == odd ? 0x5555 : i);
		*(volatile uint64_t *)pmd(WINDOW) = 0;
		tlbi_all();
	}
	*(volatile uint64_t *)pmd(WINDOW) = saved;
	dsb();
	isb();
}

/* Sixteen pages with the contiguous bit; maintenance of any one of them must not leave another. */
static void contiguous(void)
{
	uint64_t *big = big_page(1);

	catch_faults(true);
	for (unsigned int i = 0; i < 32; i++)
		big[i * 512] = i;
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < 16; i++)
			*(volatile uint64_t *)pte(W(i)) =
				((uint64_t)big + i * PAGE) | NORMAL | D_CONT | D_PAGE;
		dsb();
		isb();
		for (unsigned int i = 0; i < 16; i++)
			expect_read(W(i), i);
		for (unsigned int i = 0; i < 16; i++)
			*(volatile uint64_t *)pte(W(i)) = 0;
		for (unsigned int i = 0; i < 16; i++)
			tlbi_va(W(i));
		for (unsigned int i = 0; i < 16; i++)
			*(volatile uint64_t *)pte(W(i)) =
				((uint64_t)big + (16 + i) * PAGE) | NORMAL | D_PAGE;
		dsb();
		isb();
		for (unsigned int i = 0; i < 16; i++)
			expect_read(W(i), 16 + i);
		for (unsigned int i = 0; i < 16; i++)
			unmap(W(i));
	}
}

static void set_asid(unsigned int asid)
{
	msr(ttbr0_el1, (mrs(ttbr0_el1) & ~TTBR_ASID_MASK) | ASID(asid));
	isb();
}

static void tlbi_asid(unsigned int asid)
{
	asm volatile("dsb ishst\n tlbi aside1is, %0\n dsb ish\n isb" ::"r"(ASID(asid)) : "memory");
}

static void tlbi_va_asid(uint64_t va, unsigned int asid)
{
	asm volatile("dsb ishst\n tlbi vae1is, %0\n dsb ish\n isb" ::"r"(
			     ASID(asid) | ((va >> 12) & 0xfffffffffffull))
		     : "memory");
}

/*
 * The same tables with other entries for each ASID: an entry belongs to the ASID under which it was
 * used.
 */
static void asids(void)
{
	catch_faults(true);
	for (unsigned int i = 0; i < 4; i++)
		nth(i, 40 + i);
	for (unsigned int round = 0; round < 100; round++) {
		unsigned int a = 1 + rnd() % 500;

		set_asid(a);
		map(W(0), page(0), NORMAL | D_NG);
		expect_read(W(0), 40);
		/* Another address space with another page there: needs no maintenance. */
		set_asid(a + 1);
		set_pte(W(0), (uint64_t)page(1) | NORMAL | D_NG | D_PAGE);
		expect_read(W(0), 41);
		/* Back: by address, then by ASID. */
		set_asid(a);
		set_pte(W(0), (uint64_t)page(2) | NORMAL | D_NG | D_PAGE);
		tlbi_va_asid(W(0), a);
		expect_read(W(0), 42);
		set_pte(W(0), 0);
		tlbi_asid(a);
		expect_fault(W(0), false, FSC_TRANSLATION | 3);
		set_pte(W(0), (uint64_t)page(3) | NORMAL | D_NG | D_PAGE);
		tlbi_va_asid(W(0), a + 1);
		set_asid(a + 1);
		expect_read(W(0), 43);
		/* A global entry serves every ASID; maintenance with any of them drops it. */
		map(W(1), page(0), NORMAL);
		expect_read(W(1), 40);
		set_asid(a);
		expect_read(W(1), 40);
		set_pte(W(1), 0);
		tlbi_va_asid(W(1), 0x1234);
		expect_fault(W(1), false, FSC_TRANSLATION | 3);
		set_asid(a + 1);
		expect_fault(W(1), true, FSC_TRANSLATION | 3);
		unmap(W(0));
		unmap(W(1));
	}
	set_asid(0);
	tlbi_all();
}

/* By range, in both halves. */
static void ranges(void)
{
	catch_faults(true);
	nth(0, 1);
	nth(1, 2);
	for (unsigned int round = 0; round < 60; round++) {
		unsigned int scale = round % 2, num = rnd() % (scale ? 8 : 32),
			     pages = (num + 1) << (5 * scale + 1);
		unsigned int first = rnd() % 32;
		uint64_t base = round & 4 ? H(first) : W(first);

		for (unsigned int i = 0; i < pages; i++)
			*(volatile uint64_t *)pte(base + i * PAGE) =
				(uint64_t)page(0) | NORMAL | D_PAGE;
		dsb();
		isb();
		for (unsigned int i = 0; i < pages; i++)
			expect_read(base + i * PAGE, 1);
		for (unsigned int i = 0; i < pages; i++)
			*(volatile uint64_t *)pte(base + i * PAGE) = 0;
		register uint64_t x0 asm("x0") = (1ull << 46) | (uint64_t)scale << 44 |
						 (uint64_t)num << 39 |
						 ((base >> 12) & 0x1fffffffffull);
		asm volatile("sys #0, c8, c2, #3, %0\n dsb ish\n isb" ::"r"(x0) : "memory");
		expect_fault(base, false, FSC_TRANSLATION | 3);
		expect_fault(base + (pages - 1) * PAGE, false, FSC_TRANSLATION | 3);
		expect_fault(base + (rnd() % pages) * PAGE, false, FSC_TRANSLATION | 3);
	}
}

/* PAN, and unprivileged accesses that it does not concern. */
static void privileged_access_never(void)
{
	uint64_t v;

	catch_faults(true);
	nth(0, 21);
	map(W(0), page(0), NORMAL | D_EL0);
	map(W(1), page(0), NORMAL);
	for (unsigned int i = 0; i < 50; i++) {
		asm volatile(".arch_extension pan\n msr pan, #0");
		expect_read(W(0), 21);
		asm volatile("msr pan, #1");
		expect_fault(W(0), false, FSC_PERMISSION | 3);
		expect_fault(W(0) + 8, true, FSC_PERMISSION | 3);
		asm volatile("ldtr %0, [%1]" : "=r"(v) : "r"(W(0)) : "memory");
		CHECK_EQ(v, 21);
		expect_read(W(1), 21);
	}
	asm volatile("msr pan, #0");
	this_cpu()->faults = 0;
	asm volatile("ldtr %0, [%1]" : "=r"(v) : "r"(W(1)) : "memory");
	CHECK_EQ(this_cpu()->faults, 1);
	CHECK_EQ(this_cpu()->esr, ESR_DATA(FSC_PERMISSION | 3));
}

/* With top byte ignore a tag changes nothing, and FAR keeps it. */
static void tags(void)
{
	catch_faults(true);
	nth(0, 31);
	map(W(0), page(0), NORMAL);
	msr(tcr_el1, mrs(tcr_el1) | 3ull << 37);
	isb();
	tlbi_all();
	expect_read(W(0) | 0xabull << 56, 31);
	expect_read((H(0) & ~(0xffull << 56)) | 0x12ull << 56, 31);
	expect_fault(W(1) | 0x42ull << 56, false, FSC_TRANSLATION | 3);
	unmap(W(0));
	expect_fault(W(0) | 0x42ull << 56, true, FSC_TRANSLATION | 3);
	msr(tcr_el1, mrs(tcr_el1) & ~(3ull << 37));
	isb();
	tlbi_all();
	expect_fault(W(0) | 0x42ull << 56, false, FSC_TRANSLATION | 0);
	expect_fault(0x8000000000ull, false, FSC_TRANSLATION | 0);
}

/* A walk through a table that is not memory, and one whose output is beyond memory. */
static void broken_tables(void)
{
	uint64_t saved = *pmd(WINDOW);

	catch_faults(true);
	*(volatile uint64_t *)pmd(WINDOW) = NOTHING | D_TABLE | D_VALID;
	dsb();
	isb();
	(void)read64(W(0));
	CHECK_EQ(this_cpu()->esr, ESR_DATA(0x10)); /* external, as Linux's KVM injects it */
	*(volatile uint64_t *)pmd(WINDOW) = 0xf00000000000ull | D_TABLE | D_VALID;
	tlbi_all();
	(void)read64(W(0));
	CHECK_EQ(this_cpu()->esr, ESR_DATA(2)); /* address size, level 2: beyond IPS */
	CHECK_EQ(this_cpu()->faults, 2);
	*(volatile uint64_t *)pmd(WINDOW) = saved;
	tlbi_all();
}

/* The MMU goes off and on. */
static void mmu_off(void)
{
	uint64_t sctlr = mrs(sctlr_el1);
	volatile uint64_t *p = page(0);

	p[0] = 77;
	for (unsigned int i = 0; i < 50; i++) {
		msr(sctlr_el1, sctlr & ~1ull);
		isb();
		CHECK_EQ(p[0], 77 + i);
		p[0]++;
		msr(sctlr_el1, sctlr);
		isb();
		CHECK_EQ(p[0], 78 + i);
	}
}

static uint64_t at_s1e1r(uint64_t va)
{
	asm volatile("at s1e1r, %0\n isb" ::"r"(va) : "memory");
	return mrs(par_el1);
}

static void address_translation(void)
{
	map(W(0), page(3), NORMAL);
	CHECK_EQ(at_s1e1r(W(0) + 0x123) & 0xfffffffff000, (uint64_t)page(3));
	CHECK(!(mrs(par_el1) & 1));
	unmap(W(0));
	CHECK_EQ(at_s1e1r(W(0)) & 0x7f, 1 | (FSC_TRANSLATION | 3) << 1);
}

/*
 * All of it at random, against a model: two address spaces and a common part, pages and contiguous
 * groups, both halves, both levels' rights, PAN, every kind of maintenance.
 */
#define SPACES 3
#define MODEL  128 /* pages */
#define FRAMES 32

static struct {
	uint64_t desc; /* 0: none */
} model[MODEL];
static unsigned int space;

static uint64_t model_va(unsigned int i)
{
	return i & 1 ? H(i) : W(i);
}

/* An entry goes: maintenance by one of the ways that reach it. */
static void model_drop(unsigned int i)
{
	uint64_t va = model_va(i);
	bool ng = model[i].desc & D_NG;

	set_pte(va, 0);
	switch (rnd() % 6) {
	case 0:
		tlbi_va(va);
		break;
	case 1:
		tlbi_va_asid(va, ng ? 1 + space : 0x777);
		break;
	case 2:
		if (!ng) {
			tlbi_all();
			break;
		}
		tlbi_asid(1 + space);
		break;
	case 3: /* VMALLE1, this CPU's */
		asm volatile("dsb nshst\n tlbi vmalle1\n dsb nsh\n isb" ::: "memory");
		break;
	case 4: /* VALE1: the last level */
		asm volatile("dsb nshst\n tlbi vaale1, %0\n dsb nsh\n isb" ::"r"((va >> 12) &
										 0xfffffffffffull)
			     : "memory");
		break;
	default: /* RVAAE1IS, from somewhat before to somewhat behind */
		asm volatile("dsb ishst\n sys #0, c8, c2, #3, %0\n dsb ish\n isb" ::"r"(
				     1ull << 46 | 3ull << 39 |
				     (((va >> 12) - rnd() % 4) & 0x1fffffffffull))
			     : "memory");
	}
	model[i].desc = 0;
}

static void model_make(unsigned int i)
{
	static const uint64_t rights[] = {0, D_RO, D_EL0, D_EL0 | D_RO};
	uint64_t desc = (uint64_t)page(rnd() % FRAMES) | NORMAL | D_PAGE | rights[rnd() % 4];

	if (rnd() & 1)
		desc |= D_NG;
	if (model[i].desc)
		model_drop(i);
	model[i].desc = desc;
	set_pte(model_va(i), desc);
}

/* What the access should do: 0, or a fault status code. */
static unsigned int model_fault(unsigned int i, bool write, bool unprivileged, bool pan)
{
	uint64_t d = model[i].desc;

	if (!d)
		return FSC_TRANSLATION | 3;
	if (unprivileged && !(d & D_EL0))
		return FSC_PERMISSION | 3;
	if (!unprivileged && pan && (d & D_EL0))
		return FSC_PERMISSION | 3;
	return write && (d & D_RO) ? FSC_PERMISSION | 3 : 0;
}

static void model_access(unsigned int i)
{
	bool write = rnd() & 1, unprivileged = rnd() % 4 == 0, pan = rnd() & 1;
	unsigned int offset = rnd() & 0xff8, before = this_cpu()->faults, want;
	uint64_t va = model_va(i) + offset, v = rnd(), frame = model[i].desc & 0xfffffffff000ull;
	volatile uint64_t *there = (uint64_t *)(frame + offset);

	want = model_fault(i, write, unprivileged, pan);
	if (pan)
		asm volatile("msr pan, #1");
	if (write && unprivileged)
		asm volatile("sttr %0, [%1]" ::"r"(v), "r"(va) : "memory");
	else if (write)
		write64(va, v);
	else if (unprivileged)
		asm volatile("ldtr %0, [%1]" : "=r"(v) : "r"(va) : "memory");
	else
		v = read64(va);
	asm volatile("msr pan, #0");
	CHECK_EQ(this_cpu()->faults - before, want != 0);
	if (want && this_cpu()->faults != before)
		CHECK_EQ(this_cpu()->esr, ESR_DATA(want | (write ? WNR : 0)));
	if (!want && this_cpu()->faults == before)
		CHECK_EQ(*there, v);
}

/* To another ASID: its non-global entries are others, which the model has by making them anew. */
static void model_switch(void)
{
	for (unsigned int i = 0; i < MODEL; i++)
		if (model[i].desc & D_NG)
			model_drop(i);
	space = rnd() % SPACES;
	tlbi_asid(1 + space);
	set_asid(1 + space);
}

/*
 * The same without maintenance: the entries of the other address space lie in the TLB until it is
 * chosen again.
 */
static void model_switch_lazily(void)
{
	unsigned int other = (space + 1) % SPACES;

	/* Nothing of the other one may be there when its tables are the present ones. */
	tlbi_asid(1 + other);
	for (unsigned int i = 0; i < MODEL; i++) {
		if (!(model[i].desc & D_NG))
			continue;
		model[i].desc = (uint64_t)page(rnd() % FRAMES) | NORMAL | D_NG | D_PAGE;
		*(volatile uint64_t *)pte(model_va(i)) = model[i].desc;
	}
	dsb();
	space = other;
	set_asid(1 + space);
}

static void at_random(void)
{
	catch_faults(true);
	for (unsigned int i = 0; i < MODEL; i++)
		model[i].desc = 0;
	space = 0;
	set_asid(1);
	for (unsigned int n = 0; n < 60000; n++) {
		unsigned int i = rnd() % MODEL;

		switch (rnd() % 64) {
		case 0:
			if (rnd() % 4)
				model_switch_lazily();
			else
				model_switch();
			break;
		case 1:
		case 2:
		case 3:
		case 4:
			model_make(i);
			break;
		case 5:
		case 6:
			if (model[i].desc)
				model_drop(i);
			break;
		default:
			model_access(i);
		}
	}
	set_asid(0);
	tlbi_all();
}

const struct test group_tables[] = {{"break-before-make", break_before_make},
				    {"invalid-is-not-cached", invalid_is_not_cached},
				    {"permissions", permissions},
				    {"fetch-faults", fetch_faults},
				    {"access-flag", access_flag},
				    {"blocks", blocks},
				    {"contiguous", contiguous},
				    {"asids", asids},
				    {"ranges", ranges},
				    {"pan", privileged_access_never},
				    {"tags", tags},
				    {"broken-tables", broken_tables},
				    {"mmu-off", mmu_off},
				    {"address-translation", address_translation},
				    {"at-random", at_random},
				    {NULL, NULL}};
