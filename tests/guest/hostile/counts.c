/* SPDX-License-Identifier: MIT */
/*
 * The event counters are exact, whatever happens on the way: faults that are tried again,
 * interrupts, loops, programs that start in the middle of a block. Counted is EL0 alone.
 */
#include "guest.h"

#define PMU_PPI 23

#define PMCR_E    1ull
#define PMCR_P    2ull
#define PMCR_C    4ull
#define NOT_EL1   (1ull << 31)
#define NOT_EL0   (1ull << 30)
#define INST      0x08
#define EXC_TAKEN 0x09
#define BRANCH    0x21
#define CODE      W(100)
#define MAX_BODY  100

void el0_done(uint64_t value) __attribute__((noreturn));

static unsigned int faults;

static void start_counting(uint64_t inst)
{
	msr(pmcr_el0, PMCR_P | PMCR_C);
	msr(pmcntenclr_el0, ~0u);
	msr(pmintenclr_el1, ~0u);
	msr(pmovsclr_el0, ~0u);
	msr(pmevtyper0_el0, INST | NOT_EL1);
	msr(pmevtyper1_el0, BRANCH | NOT_EL1);
	msr(pmevtyper2_el0, EXC_TAKEN);
	msr(pmevcntr0_el0, inst);
	msr(pmcntenset_el0, 7);
	isb();
	msr(pmcr_el0, PMCR_E);
	isb();
}

static void stop_counting(void)
{
	msr(pmcr_el0, 0);
	isb();
}

/* Rounds of: the bases anew, a random body. Returns how many instructions that is, SVC with it. */
static uint64_t make(unsigned int rounds)
{
	uint32_t *p = page(20);
	unsigned int n = 0, loop;

	p[n++] = 0xd2800000 | rounds << 5 | 24; /* mov x24, #rounds */
	loop = n;
	for (unsigned int i = 0; i < RANDOM_BASES; i++) {
		uint64_t base = W(2 * i) + 2048;

		p[n++] = 0xd2800000 | (uint32_t)(base & 0xffff) << 5 | (20 + i);
		p[n++] = 0xf2a00000 | (uint32_t)(base >> 16 & 0xffff) << 5 | (20 + i);
	}
	n += random_program(p + n, MAX_BODY);
	p[n++] = 0xf1000718; /* subs x24, x24, #1 */
	p[n] = 0x54000001 | (uint32_t)((int)(loop - n) & 0x7ffff) << 5;
	n++;
	p[n++] = SVC_0;
	sync_code(p, 4 * n);
	map(CODE, p, NORMAL | D_EL0 | D_RO | D_PXN);
	return 1 + (uint64_t)rounds * (n - 2) + 1;
}

static void map_data(bool present)
{
	for (unsigned int i = 0; i < RANDOM_BASES; i++) {
		if (present)
			map(W(2 * i), page(i), NORMAL | D_EL0 | D_PXN | D_UXN);
		else
			unmap(W(2 * i));
	}
}

static void on_fault(struct frame *f)
{
	unsigned int i = (unsigned int)((f->far - WINDOW) / (2 * PAGE));

	if (EC(f->esr) == EC_SVC)
		el0_done(0);
	CHECK_EQ(EC(f->esr), EC_DABT_LOW);
	faults++;
	map(W(2 * i), page(i), NORMAL | D_EL0 | D_PXN | D_UXN);
}

static void check_counts(uint64_t instructions, unsigned int rounds)
{
	CHECK_EQ(mrs(pmevcntr0_el0), instructions);
	CHECK_EQ(mrs(pmevcntr1_el0), rounds);
	CHECK_EQ(mrs(pmovsset_el0), 0);
}

static void exact(void)
{
	this_cpu()->sync = on_fault;
	for (unsigned int i = 0; i < 600; i++) {
		unsigned int rounds = 1 + rnd() % 6;
		uint64_t n = make(rounds);

		for (unsigned int k = 0; k < 3; k++) {
			map_data(k != 1);
			faults = 0;
			start_counting(0);
			call_el0(CODE, 0, 0);
			stop_counting();
			check_counts(n, rounds);
			CHECK_EQ(mrs(pmevcntr2_el0), faults + 1);
		}
	}
}

static void rearm(struct frame *f, unsigned int intid)
{
	msr(cntv_tval_el0, ns_to_ticks(500 + rnd() % 8000));
}

static void interrupted(void)
{
	unsigned int taken = 0;

	gic_enable(PPI_VTIMER);
	this_cpu()->sync = on_fault;
	this_cpu()->irq = rearm;
	map_data(true);
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t n = make(100);

		this_cpu()->irqs = 0;
		msr(cntv_tval_el0, 500);
		msr(cntv_ctl_el0, 1);
		start_counting(0);
		call_el0(CODE, 0, 0);
		stop_counting();
		msr(cntv_ctl_el0, 0);
		check_counts(n, 100);
		taken += this_cpu()->irqs;
	}
	CHECK(taken > 100);
}

/* The overflow is noted with the instruction that makes it. */
static void overflow(void)
{
	this_cpu()->sync = on_fault;
	map_data(true);
	for (unsigned int i = 0; i < 300; i++) {
		uint64_t n = make(1 + rnd() % 4), left = n + 3 - rnd() % 6;

		start_counting((1ull << 32) - left);
		call_el0(CODE, 0, 0);
		stop_counting();
		CHECK_EQ(mrs(pmovsset_el0) & 1, n >= left);
		CHECK_EQ(mrs(pmevcntr0_el0), (n - left) & 0xffffffff);
	}
}

/* It interrupts a loop that nothing else ends. */
static void on_overflow(struct frame *f, unsigned int intid)
{
	CHECK_EQ(intid, PMU_PPI);
	msr(pmovsclr_el0, ~0u);
	msr(pmcr_el0, 0);
	isb();
	write32(GICC + 0x10, intid);
	if (f->vector >= 8)
		el0_done(0);
	CHECK(!"at EL0");
}

static void overflow_interrupt(void)
{
	uint32_t *p = page(20);

	p[0] = 0x14000000; /* b . */
	sync_code(p, 4);
	map(CODE, p, NORMAL | D_EL0 | D_RO | D_PXN);
	gic_enable(PMU_PPI);
	this_cpu()->irq = on_overflow;
	for (unsigned int i = 0; i < 200; i++) {
		uint64_t left = 1 + rnd() % 20000;

		this_cpu()->irqs = 0;
		start_counting((1ull << 32) - left);
		msr(pmintenset_el1, 1);
		call_el0(CODE, 0, 0);
		CHECK_EQ(this_cpu()->irqs, 1);
		/* Not long after. */
		CHECK(mrs(pmevcntr0_el0) < 1u << 30);
	}
	stop_counting();
}

const struct test group_counts[] = {{"exact", exact},
				    {"interrupted", interrupted},
				    {"overflow", overflow},
				    {"overflow-interrupt", overflow_interrupt},
				    {NULL, NULL}};
