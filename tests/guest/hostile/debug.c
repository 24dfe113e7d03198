/* SPDX-License-Identifier: MIT */
/* Hardware breakpoints and watchpoints, on code that is hot already and on every kind of access. */
#include "guest.h"

#define INC_X0 0x91000400u /* add x0, x0, #1 */

#define MDSCR_KDE (1ull << 13)
#define MDSCR_MDE (1ull << 15)

/* DBGBCR, DBGWCR */
#define ENABLE   1ull
#define AT_EL1   (1ull << 1)
#define AT_EL0   (2ull << 1)
#define BAS_CODE (0xfull << 5)
#define LOADS    (1ull << 3)
#define STORES   (2ull << 3)
#define BAS(n)   ((uint64_t)(n) << 5)
#define MASK(n)  ((uint64_t)(n) << 24)
#define LINKED   (1ull << 20) /* of both; in DBGBCR it is BT */
#define LINK(n)  ((uint64_t)(n) << 16)
#define CONTEXT  (3ull << 20) /* BT: a context that others are linked to */

#define DEBUG_ESR(ec, more) ((uint64_t)(ec) << 26 | 1 << 25 | 0x22 | (more))

static unsigned int hits;
static uint64_t hit_esr, hit_elr, hit_far, hit_x0;

static void debug_on(void)
{
	msr(oslar_el1, 0);
	msr(mdscr_el1, MDSCR_KDE | MDSCR_MDE);
	asm volatile("msr daifclr, #8");
	isb();
}

static void debug_off(void)
{
	asm volatile("msr daifset, #8");
	msr(mdscr_el1, 0);
	msr(dbgbcr0_el1, 0);
	msr(dbgbcr1_el1, 0);
	msr(dbgbcr5_el1, 0);
	msr(dbgwcr0_el1, 0);
	msr(dbgwcr1_el1, 0);
	isb();
}

/* Once: note it, take the breakpoint or watchpoint away, go on. */
static void once(struct frame *f)
{
	hits++;
	hit_esr = f->esr;
	hit_elr = f->elr;
	hit_far = f->far;
	hit_x0 = f->x[0];
	msr(dbgbcr0_el1, 0);
	msr(dbgwcr0_el1, 0);
	isb();
}

static uint64_t call(const void *code)
{
	return ((uint64_t(*)(uint64_t))code)(0);
}

/* On each instruction of a function that ran before, and runs again without. */
static void breakpoints(void)
{
	uint32_t *p = page(0);

	for (unsigned int i = 0; i < 20; i++)
		p[i] = INC_X0;
	p[20] = RET;
	sync_code(p, 84);
	this_cpu()->sync = once;
	for (unsigned int i = 0; i < 100; i++)
		CHECK_EQ(call(p), 20);
	debug_on();
	for (unsigned int i = 0; i <= 20; i++) {
		hits = 0;
		msr(dbgbvr0_el1, (uint64_t)&p[i]);
		msr(dbgbcr0_el1, ENABLE | AT_EL1 | BAS_CODE);
		isb();
		CHECK_EQ(call(p), 20);
		CHECK_EQ(hits, 1);
		CHECK_EQ(hit_esr, DEBUG_ESR(EC_BREAK, 0));
		CHECK_EQ(hit_elr, (uint64_t)&p[i]);
		CHECK_EQ(hit_x0, i);
		CHECK_EQ(call(p), 20);
		CHECK_EQ(hits, 1);
	}
	/* For the other level, or with PSTATE.D set, or without MDE: nothing. */
	msr(dbgbvr0_el1, (uint64_t)&p[3]);
	msr(dbgbcr0_el1, ENABLE | AT_EL0 | BAS_CODE);
	isb();
	CHECK_EQ(call(p), 20);
	msr(dbgbcr0_el1, ENABLE | AT_EL1 | BAS_CODE);
	asm volatile("msr daifset, #8\n isb");
	CHECK_EQ(call(p), 20);
	msr(mdscr_el1, MDSCR_KDE);
	asm volatile("msr daifclr, #8\n isb");
	CHECK_EQ(call(p), 20);
	CHECK_EQ(hits, 1);
	debug_off();
}

/* The handler sends it on by stepping over the instruction in its own way, and leaves it armed. */
static void each_time(struct frame *f)
{
	hits++;
	f->x[0]++;
	f->elr += 4;
}

/* In a loop, entered from another page by a jump that is chained already. */
static void in_a_loop(void)
{
	uint32_t *p = page(0), *q = page(8);

	p[0] = INC_X0;                                     /* 1: */
	p[1] = 0xf1000421;                                 /* subs x1, x1, #1 */
	p[2] = 0x54000001 | (uint32_t)(-2 & 0x7ffff) << 5; /* b.ne 1b */
	p[3] = RET;
	q[0] = 0xd2801901; /* mov x1, #200 */
	q[1] = 0x14000000 | (uint32_t)((p - &q[1]) & 0x3ffffff);
	sync_code(p, 16);
	sync_code(q, 8);
	this_cpu()->sync = each_time;
	hits = 0;
	CHECK_EQ(call(q), 200);
	debug_on();
	for (unsigned int i = 0; i < 5; i++) {
		msr(dbgbvr1_el1, (uint64_t)p);
		msr(dbgbcr1_el1, ENABLE | AT_EL1 | BAS_CODE);
		isb();
		hits = 0;
		CHECK_EQ(call(q), 200);
		CHECK_EQ(hits, 200);
		msr(dbgbcr1_el1, 0);
		isb();
		CHECK_EQ(call(q), 200);
		CHECK_EQ(hits, 200);
	}
	debug_off();
}

/* A breakpoint for one process only: linked to a context breakpoint, of which the last is one. */
static void contexts(void)
{
	uint32_t *p = page(0);

	p[0] = INC_X0;
	p[1] = RET;
	sync_code(p, 8);
	this_cpu()->sync = each_time;
	hits = 0;
	CHECK_EQ(mrs(id_aa64dfr0_el1) >> 12 & 15, 5);
	debug_on();
	msr(dbgbvr5_el1, 77);
	msr(dbgbcr5_el1, ENABLE | AT_EL1 | BAS_CODE | CONTEXT);
	msr(dbgbvr0_el1, (uint64_t)p);
	msr(dbgbcr0_el1, ENABLE | AT_EL1 | BAS_CODE | LINKED | LINK(5));
	msr(contextidr_el1, 76);
	isb();
	CHECK_EQ(call(p), 1);
	CHECK_EQ(hits, 0);
	msr(contextidr_el1, 77);
	isb();
	CHECK_EQ(call(p), 1);
	CHECK_EQ(hits, 1);
	msr(contextidr_el1, 0);
	debug_off();
}

static void at_el0(void)
{
	uint32_t *p = page(0);

	p[0] = INC_X0;
	p[1] = INC_X0;
	p[2] = SVC_0;
	sync_code(p, 12);
	map(W(0), p, NORMAL | D_EL0 | D_RO | D_PXN);
	CHECK_EQ(call_el0(W(0), 0, 5), 7);
	debug_on();
	hits = 0;
	msr(dbgbvr0_el1, W(0) + 4);
	msr(dbgbcr0_el1, ENABLE | AT_EL0 | BAS_CODE);
	isb();
	for (unsigned int i = 0; i < 3; i++) {
		/* Not SVC, so that the handler sees it. */
		this_cpu()->sync = NULL;
		catch_faults(true);
		CHECK_EQ(call_el0(W(0), 0, 5), 6);
		CHECK_EQ(this_cpu()->faults, 2);
		CHECK_EQ(EC(this_cpu()->esr), EC_SVC);
	}
	debug_off();
}

/* FAR is the lowest watched byte, of what the architecture allows what debuggers look for. */
static void expect_watch(uint64_t far, bool write)
{
	CHECK_EQ(hits, 1);
	CHECK_EQ(hit_esr, DEBUG_ESR(EC_WATCH, write ? WNR : 0));
	CHECK_EQ(hit_far, far);
	hits = 0;
}

static void watch(uint64_t at, uint64_t control)
{
	hits = 0;
	msr(dbgwvr0_el1, at);
	msr(dbgwcr0_el1, ENABLE | AT_EL1 | control);
	isb();
}

/* Every size at every distance from one watched byte. */
static void watched_byte(void)
{
	this_cpu()->sync = once;
	map(W(0), page(0), NORMAL);
	debug_on();
	for (unsigned int byte = 0; byte < 8; byte++) {
		for (unsigned int at = 0; at < 24; at++) {
			uint64_t va = W(0) + 64 + at, target = W(0) + 72 + byte;
			bool hit8 = va <= target && target < va + 8, hit1 = va == target;

			watch(W(0) + 72, LOADS | BAS(1 << byte));
			(void)read64(va);
			if (hit8)
				expect_watch(target, false);
			CHECK_EQ(hits, 0);
			watch(W(0) + 72, STORES | BAS(1 << byte));
			(void)read64(va);
			CHECK_EQ(hits, 0);
			write64(va, 1);
			if (hit8)
				expect_watch(target, true);
			watch(W(0) + 72, STORES | LOADS | BAS(1 << byte));
			asm volatile("strb wzr, [%0]" ::"r"(va) : "memory");
			CHECK_EQ(hits, hit1);
		}
	}
	debug_off();
}

/* A watched store changes nothing before the handler has seen it. */
static uint64_t seen;

static void look(struct frame *f)
{
	seen = *(volatile uint64_t *)page(0);
	once(f);
}

#define ACCESS_TO(at, write, insn, ...)                                  \
	do {                                                             \
		watch(at, LOADS | STORES | BAS(0xff));                   \
		asm volatile(insn ::__VA_ARGS__ : "x1", "x2", "memory"); \
		expect_watch(at, write);                                 \
	} while (0)

#define ACCESS(write, insn, ...) ACCESS_TO(W(0), write, insn, __VA_ARGS__)

static void every_access(void)
{
	volatile uint64_t *p = page(0);

	map(W(0), page(0), NORMAL | D_EL0);
	this_cpu()->sync = look;
	debug_on();
	p[0] = 1;
	ACCESS(true, "str %0, [%1]", "r"(2ull), "r"(W(0)));
	CHECK_EQ(seen, 1);
	CHECK_EQ(p[0], 2);
	ACCESS(false, "ldp x1, x2, [%0]", "r"(W(0)));
	ACCESS(true, "stp xzr, xzr, [%0]", "r"(W(0)));
	ACCESS(false, "ldr q0, [%0]", "r"(W(0)));
	ACCESS(true, "st1 {v0.16b, v1.16b}, [%0]", "r"(W(0)));
	ACCESS(false, "ld4 {v0.16b-v3.16b}, [%0]", "r"(W(0)));
	ACCESS(false, "ldxr x1, [%0]", "r"(W(0)));
	ACCESS(false, "ldar x1, [%0]", "r"(W(0)));
	ACCESS(true, "stlr xzr, [%0]", "r"(W(0)));
	ACCESS(true, "dc zva, %0", "r"(W(0)));
	/* What begins below the watched doubleword. */
	ACCESS_TO(W(0) + 8, true, "stp xzr, xzr, [%0]", "r"(W(0)));
	ACCESS_TO(W(0) + 8, false, "ldp w1, w2, [%0]", "r"(W(0) + 4));
	ACCESS_TO(W(0) + 8, true, "str q0, [%0]", "r"(W(0)));
	ACCESS_TO(W(0) + 16, true, "stp q0, q1, [%0]", "r"(W(0)));
	ACCESS_TO(W(0) + 8, true, "str xzr, [%0]", "r"(W(0) + 1));
	ACCESS_TO(W(0) + 24, true, "st1 {v0.16b, v1.16b}, [%0]", "r"(W(0)));
	ACCESS_TO(W(0) + 40, true, "dc zva, %0", "r"(W(0)));
	ACCESS_TO(W(0) + 8, true, "dc zva, %0", "r"(W(0) + 40));
	/* Which of the two an atomic is said to be when both are watched is open (WnR). */
	watch(W(0), LOADS | STORES | BAS(0xff));
	asm volatile("ldadd x1, x1, [%0]" ::"r"(W(0)) : "x1", "memory");
	CHECK_EQ(hits, 1);
	watch(W(0), STORES | BAS(0xff));
	asm volatile("swp x1, x1, [%0]" ::"r"(W(0)) : "x1", "memory");
	CHECK_EQ(hits, 1);
	/* Not: cache maintenance, address translation, prefetch, fetches. */
	watch(W(0), LOADS | STORES | BAS(0xff));
	asm volatile("dc civac, %0\n at s1e1r, %0\n prfm pldl1keep, [%0]" ::"r"(W(0)) : "memory");
	CHECK_EQ(hits, 0);
	/* LDTR is an access of EL0. */
	asm volatile("ldtr x1, [%0]" ::"r"(W(0)) : "x1", "memory");
	CHECK_EQ(hits, 0);
	msr(dbgwcr0_el1, ENABLE | AT_EL0 | LOADS | BAS(0xff));
	isb();
	asm volatile("ldtr x1, [%0]" ::"r"(W(0)) : "x1", "memory");
	CHECK_EQ(hits, 1);
	debug_off();
}

/* A range of 2 KiB over the end of a page, and an access across it. */
static void watched_range(void)
{
	map(W(0), page(0), NORMAL);
	map(W(1), page(5), NORMAL);
	this_cpu()->sync = once;
	debug_on();
	for (unsigned int i = 0; i < 200; i++) {
		uint64_t at = W(0) + 1024 + rnd() % 6000, low = W(0) + 2048, high = low + 2047;
		bool hit = at + 7 >= low && at <= high;

		watch(low, LOADS | BAS(0xff) | MASK(11));
		(void)read64(at);
		CHECK_EQ(hits, hit);
	}
	watch(W(1), STORES | BAS(1));
	write64(W(1) - 3, 0);
	expect_watch(W(1), true);
	write64(W(1) - 3, 0);
	CHECK_EQ(hits, 0);
	/* A translation fault comes first. */
	unmap(W(0));
	watch(W(0), LOADS | BAS(0xff));
	this_cpu()->sync = NULL;
	catch_faults(true);
	(void)read64(W(0));
	CHECK_EQ(EC(this_cpu()->esr), EC_DABT);
	debug_off();
}

const struct test group_debug[] = {{"breakpoints", breakpoints},     {"in-a-loop", in_a_loop},
				   {"contexts", contexts},           {"at-el0", at_el0},
				   {"watched-byte", watched_byte},   {"every-access", every_access},
				   {"watched-range", watched_range}, {NULL, NULL}};
