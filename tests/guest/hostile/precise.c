/* SPDX-License-Identifier: MIT */
/*
 * Exceptions in the middle of blocks. Random programs of integer and vector instructions with loads
 * and stores in between are run where memory is mapped, where each page faults at its first access,
 * and under interrupts at random moments: results, memory, and the state that each fault shows must
 * be those of the plain run.
 */
#include "guest.h"

#define MAX_WORDS 120
#define BASES     RANDOM_BASES /* X20 to X23 point into pages of their own */

static uint32_t program[MAX_WORDS + 1], code[MAX_WORDS + 8] __attribute__((aligned(64)));
static unsigned int words;

struct fault {
	unsigned int index;
	struct code_state s;
};
static struct fault log[64];
static unsigned int nr_faults;

static uint32_t pick(uint32_t n)
{
	return (uint32_t)(rnd() >> 33) % n;
}

static uint32_t rd(void)
{
	return pick(16);
}

static uint32_t rn(void)
{
	uint32_t r = pick(17);

	return r == 16 ? 31 : r;
}

static uint32_t v(void)
{
	return pick(8);
}

static uint32_t alu(void)
{
	uint32_t sf = pick(2) << 31, r = rd() | rn() << 5 | rn() << 16, cond = pick(16) << 12;

	switch (pick(18)) {
	case 0: /* ADD ADDS SUB SUBS, shifted register */
		return 0x0b000000 | sf | pick(4) << 29 | pick(3) << 22 | pick(32) << 10 | r;
	case 1: /* AND ORR EOR ANDS and their inversions */
		return 0x0a000000 | sf | pick(4) << 29 | pick(4) << 22 | pick(2) << 21 |
		       pick(32) << 10 | r;
	case 2: /* ADC ADCS SBC SBCS */
		return 0x1a000000 | sf | pick(4) << 29 | r;
	case 3: /* CSEL CSINC CSINV CSNEG */
		return 0x1a800000 | sf | pick(2) << 30 | pick(2) << 10 | cond | r;
	case 4: /* CCMP CCMN, register and immediate */
		return 0x3a400000 | sf | pick(2) << 30 | pick(2) << 11 | rn() << 5 |
		       pick(16) << 16 | cond | pick(16);
	case 5: /* MADD MSUB */
		return 0x1b000000 | sf | pick(2) << 15 | rn() << 10 | r;
	case 6: /* UDIV SDIV LSLV LSRV ASRV RORV */
		return 0x1ac00000 | sf | (pick(2) ? 2 + pick(2) : 8 + pick(4)) << 10 | r;
	case 7: /* ADDS SUBS ..., immediate; Rd and Rn not 31, which is SP */
		return 0x11000000 | sf | pick(4) << 29 | pick(2) << 22 | pick(4096) << 10 |
		       rd() << 5 | rd();
	case 8: /* UBFM SBFM */
		return (sf ? 0x93400000 | pick(2) << 30 : 0x13000000 | pick(2) << 30) |
		       pick(32) << 16 | pick(32) << 10 | rn() << 5 | rd();
	case 9: /* MOVZ MOVN MOVK */
		return (pick(3) == 0 ? 0x12800000
			: pick(2)    ? 0x52800000
				     : 0x72800000) |
		       sf | pick(2) << 21 | pick(65536) << 5 | rd();
	case 10: /* CLZ CLS RBIT REV16 */
		return 0x5ac00000 | sf | (pick(2) ? 4 + pick(2) : pick(2)) << 10 | rn() << 5 | rd();
	case 11: /* SMULH UMULH, SMADDL UMADDL */
		return 0x9b000000 | (pick(2) ? 0x407c00 : 0x207c00) | pick(2) << 23 | r;
	case 12: /* EXTR */
		return (sf ? 0x93c00000 : 0x13800000) | pick(32) << 10 | r;
	case 13: /* ADD SUB MUL CMEQ ORR of vectors */
		return 0x4e208400 | pick(3) << 22 | pick(2) << 29 | v() | v() << 5 | v() << 16;
	case 14: /* DUP, element to general register (UMOV), INS */
		return (pick(2) ? 0x4e080c00 : 0x4e081c00) | rd() << 5 | v();
	case 15:
		return 0x4e083c00 | v() << 5 | rd();
	case 16: /* EOR3-like mix: EOR vector, EXT */
		return pick(2) ? 0x6e201c00 | v() | v() << 5 | v() << 16
			       : 0x6e000000 | pick(16) << 11 | v() | v() << 5 | v() << 16;
	default: /* NOP */
		return 0xd503201f;
	}
}

/* A load or store by one of X20 to X23, which stay in the middle of their pages. */
static uint32_t memory_access(void)
{
	uint32_t n = (20 + pick(BASES)) << 5, r = rd(), other = (r + 1 + pick(14)) % 16,
		 size = pick(4) << 30;
	uint32_t simm = (pick(128) - 64) & 0x1ff, pair = (pick(16) & 0x7f) << 15;

	switch (pick(16)) {
	case 0: /* STR LDR, unsigned offset */
		return 0x39000000 | size | pick(2) << 22 | pick(32) << 10 | n | r;
	case 1: /* post-index, pre-index */
		return 0x38000400 | size | pick(2) << 22 | pick(2) << 11 | simm << 12 | n | r;
	case 2: /* LDUR STUR */
		return 0x38000000 | size | pick(2) << 22 | simm << 12 | n | r;
	case 3: /* STP LDP, offset */
		return 0xa9000000 | pick(2) << 22 | pair | other << 10 | n | r;
	case 4: /* post-index and pre-index, 32 and 64 bits */
		return 0x28800000 | pick(2) << 31 | pick(2) << 24 | pick(2) << 22 | pair |
		       other << 10 | n | r;
	case 5: /* LDRSB LDRSH LDRSW */
		return (pick(2)   ? 0x39800000
			: pick(2) ? 0x79800000
				  : 0xb9800000) |
		       pick(32) << 10 | n | r;
	case 6: /* LDR STR Q */
		return 0x3d800000 | pick(2) << 22 | pick(16) << 10 | n | v();
	case 7: /* LDP STP Q */
		return 0xad000000 | pick(2) << 22 | pair | 7 << 10 | n | pick(7);
	case 8: /* LD1 ST1, two registers, post-index */
		return 0x4c9fa000 | pick(2) << 22 | pick(4) << 10 | n | pick(7);
	case 9: /* LD4 ST4 */
		return 0x4c000000 | pick(2) << 22 | pick(4) << 10 | n | pick(4);
	case 10: /* LDADD CLR EOR SET SMAX ... */
		return 0xb8200000 | pick(2) << 30 | pick(4) << 22 | pick(8) << 12 | other << 16 |
		       n | r;
	case 11: /* SWP */
		return 0xb8208000 | pick(2) << 30 | other << 16 | n | r;
	case 12: /* CAS */
		return 0x88a07c00 | pick(2) << 30 | other << 16 | n | r;
	case 13: /* LDXR; STLR LDAR */
		return pick(2) ? 0xc85f7c00 | n | r : 0xc89ffc00 | pick(2) << 22 | n | r;
	case 14: /* LDTR STTR */
		return 0x38000800 | size | pick(2) << 22 | simm << 12 | n | r;
	default: /* STR LDR, register offset, from a register that is zero */
		return 0x38200800 | size | pick(2) << 22 | 31 << 16 | 3 << 13 | n | r;
	}
}

unsigned int random_program(uint32_t *to, unsigned int max)
{
	unsigned int length = 8 + pick(max - 8);

	for (unsigned int i = 0; i < length; i++) {
		uint32_t w, n;

		if (i + 1 == length || pick(4)) {
			to[i] = alu();
			continue;
		}
		/* Atomics and exclusives want alignment, and bases move: AND Xn, Xn, #~15 first. */
		w = memory_access();
		n = w >> 5 & 31;
		to[i++] = 0x927cec00 | n << 5 | n;
		to[i] = w;
	}
	return length;
}

static void set_code(unsigned int n)
{
	memcpy(code, program, 4 * n);
	code[n] = RET;
	sync_code(code, 4 * (n + 1));
}

static void start_state(struct code_state *s, uint64_t seed)
{
	for (unsigned int i = 0; i < 16; i++)
		s->x[i] = (seed * (2 * i + 1) * 6364136223846793005ull) ^ seed >> i;
	for (unsigned int i = 0; i < BASES; i++)
		s->b[i] = W(2 * i) + 2048;
	s->nzcv = seed & 0xf0000000;
	s->pad = 0;
	for (unsigned int i = 0; i < 8 * 16; i++)
		s->v[i / 16][i % 16] = (uint8_t)(seed >> i % 57);
	for (unsigned int i = 0; i < BASES; i++) {
		uint64_t *p = page(i);

		for (unsigned int k = 0; k < 512; k++)
			p[k] = seed * (k + 1) ^ i;
	}
}

static void map_all(bool present)
{
	for (unsigned int i = 0; i < BASES; i++) {
		if (present)
			map(W(2 * i), page(i), NORMAL | D_EL0 | D_PXN | D_UXN);
		else
			unmap(W(2 * i));
	}
	tlbi_all();
}

/* A data abort of the program: note the state, map the page, go on. */
static void on_fault(struct frame *f)
{
	unsigned int i = (unsigned int)((f->far - WINDOW) / (2 * PAGE));
	struct fault *at = &log[nr_faults];

	CHECK_EQ(EC(f->esr), EC_DABT);
	CHECK_EQ(FSC(f->esr), FSC_TRANSLATION | 3);
	CHECK(i < BASES && nr_faults < 64);
	if (i >= BASES || nr_faults >= 64) {
		f->elr = (uint64_t)&code[words];
		return;
	}
	nr_faults++;
	at->index = (unsigned int)(f->elr - (uint64_t)code) / 4;
	memcpy(at->s.x, f->x, sizeof(at->s.x));
	memcpy(at->s.b, &f->x[20], sizeof(at->s.b));
	at->s.nzcv = f->spsr & 0xf0000000;
	asm volatile("stp q0, q1, [%0]\n stp q2, q3, [%0, #32]\n stp q4, q5, [%0, #64]\n stp q6, "
		     "q7, [%0, #96]" ::"r"(at->s.v)
		     : "memory");
	map(W(2 * i), page(i), NORMAL | D_EL0 | D_PXN | D_UXN);
}

static uint64_t checksum(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < BASES; i++) {
		const uint64_t *p = page(i);

		for (unsigned int k = 0; k < 512; k++)
			sum = (sum ^ p[k]) * 0x9e3779b97f4a7c15ull;
	}
	return sum;
}

/* The first program that fails, once. */
static void show(const char *what, unsigned int at)
{
	static bool shown;

	if (shown)
		return;
	shown = true;
	say("# %s at %u of %u\n#", what, (uint64_t)at, (uint64_t)words);
	for (unsigned int i = 0; i <= at && i < words; i++)
		say(" %x", (uint64_t)program[i]);
	say("\n");
}

/* The registers in which @got differs from what it should be. */
static void show_state(const struct code_state *got, const struct code_state *want)
{
	for (unsigned int i = 0; i < 16; i++)
		if (got->x[i] != want->x[i])
			say("# x%u 0x%x, not 0x%x\n", (uint64_t)i, got->x[i], want->x[i]);
	for (unsigned int i = 0; i < BASES; i++)
		if (got->b[i] != want->b[i])
			say("# x%u 0x%x, not 0x%x\n", (uint64_t)(20 + i), got->b[i], want->b[i]);
	if (got->nzcv != want->nzcv)
		say("# NZCV 0x%x, not 0x%x\n", got->nzcv, want->nzcv);
	for (unsigned int i = 0; i < 8; i++)
		if (memcmp(got->v[i], want->v[i], 16))
			say("# v%u differs\n", (uint64_t)i);
}

static bool equal(const struct code_state *a, const struct code_state *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void compare_faults(uint64_t seed)
{
	for (unsigned int i = 0; i < nr_faults; i++) {
		struct fault *at = &log[i];
		struct code_state s;

		map_all(true);
		start_state(&s, seed);
		set_code(at->index);
		call_code(&s, code);
		if (!equal(&s, &at->s)) {
			CHECK(!"state at a fault");
			show_state(&at->s, &s);
			show("fault", at->index);
			return;
		}
	}
}

static void one_program(void)
{
	struct code_state plain, faulting;
	uint64_t seed = rnd() | 1, sum;

	words = random_program(program, MAX_WORDS);
	map_all(true);
	start_state(&plain, seed);
	set_code(words);
	call_code(&plain, code);
	sum = checksum();

	nr_faults = 0;
	start_state(&faulting, seed);
	map_all(false);
	call_code(&faulting, code);
	if (!equal(&plain, &faulting) || sum != checksum()) {
		CHECK(!"result with faults");
		show_state(&faulting, &plain);
		show("result", words - 1);
	}
	compare_faults(seed);
}

static void faults(void)
{
	catch_faults(false);
	this_cpu()->sync = on_fault;
	for (unsigned int i = 0; i < 1500; i++)
		one_program();
}

static void rearm(struct frame *f, unsigned int intid)
{
	msr(cntv_tval_el0, ns_to_ticks(1000 + rnd() % 10000));
}

static void interrupts(void)
{
	struct code_state plain, s;
	unsigned int taken = 0;

	gic_enable(PPI_VTIMER);
	this_cpu()->irq = rearm;
	for (unsigned int i = 0; i < 60; i++) {
		uint64_t seed = rnd() | 1, sum;

		words = random_program(program, MAX_WORDS);
		map_all(true);
		set_code(words);
		start_state(&plain, seed);
		call_code(&plain, code);
		sum = checksum();
		this_cpu()->irqs = 0;
		msr(cntv_tval_el0, 1000);
		msr(cntv_ctl_el0, 1);
		irqs_on();
		for (unsigned int k = 0; k < 20; k++) {
			start_state(&s, seed);
			call_code(&s, code);
			if (!equal(&plain, &s) || sum != checksum()) {
				CHECK(!"result with interrupts");
				show_state(&s, &plain);
				show("result", words - 1);
			}
		}
		irqs_off();
		msr(cntv_ctl_el0, 0);
		taken += this_cpu()->irqs;
	}
	CHECK(taken > 100);
}

/* Write-back forms whose second part faults change nothing: base, first register, first page. */
static void crossing(void)
{
	struct code_state s = {0};
	uint64_t *p = page(0);

	map(W(0), page(0), NORMAL);
	p[511] = 0x1111;
	catch_faults(true);
	s.b[0] = W(1) - 8;
	s.x[0] = 5;
	s.x[1] = 6;
	program[0] = 0xa8c10680; /* ldp x0, x1, [x20], #16 */
	program[1] = 0xa9bf0680; /* stp x0, x1, [x20, #-16]! */
	program[2] = 0xf8004682; /* str x2, [x20], #4, after x20 += 4 */
	set_code(1);
	call_code(&s, code);
	CHECK_EQ(this_cpu()->faults, 1);
	CHECK_EQ(this_cpu()->far, W(1));
	CHECK_EQ(this_cpu()->esr, (uint64_t)EC_DABT << 26 | 1 << 25 | FSC_TRANSLATION | 3);
	CHECK_EQ(s.x[0], 5);
	CHECK_EQ(s.b[0], W(1) - 8);
	program[0] = program[1];
	set_code(1);
	s.b[0] = W(1) + 8;
	call_code(&s, code);
	CHECK_EQ(this_cpu()->faults, 2);
	CHECK_EQ(this_cpu()->far, W(1));
	CHECK_EQ(this_cpu()->esr, (uint64_t)EC_DABT << 26 | 1 << 25 | WNR | FSC_TRANSLATION | 3);
	CHECK_EQ(s.b[0], W(1) + 8);
	CHECK_EQ(p[511], 0x1111);
	program[0] = program[2];
	set_code(1);
	s.b[0] = W(1) - 4;
	call_code(&s, code);
	CHECK_EQ(this_cpu()->far, W(1));
	CHECK_EQ(s.b[0], W(1) - 4);
	CHECK_EQ(p[511], 0x1111);
	/* From the unmapped page into the mapped one: the first byte is at fault. */
	unmap(W(0));
	map(W(1), page(0), NORMAL);
	p[0] = 0x2222;
	s.b[0] = W(1) - 4;
	call_code(&s, code);
	CHECK_EQ(this_cpu()->faults, 4);
	CHECK_EQ(this_cpu()->far, W(1) - 4);
	CHECK_EQ(p[0], 0x2222);
	CHECK_EQ(s.b[0], W(1) - 4);
}

const struct test group_precise[] = {
	{"crossing", crossing}, {"faults", faults}, {"interrupts", interrupts}, {NULL, NULL}};
