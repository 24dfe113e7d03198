/* SPDX-License-Identifier: MIT */
/*
 * Code that changes: with the maintenance that the architecture asks for, by one CPU or another,
 * through aliases, and without.
 */
#include "guest.h"

#define MOVZ(x, v) (0xd2800000u | (uint32_t)(v) << 5 | (x))

typedef uint64_t fn(void);

static uint64_t call(uint64_t at)
{
	return ((fn *)at)();
}

/* A function that returns @v; its words lie anywhere. */
static void returns(volatile uint32_t *p, unsigned int v)
{
	p[0] = MOVZ(0, v);
	p[1] = RET;
}

static void patched(void)
{
	uint32_t *p = page(0);

	for (unsigned int i = 0; i < 3000; i++) {
		unsigned int at = rnd() % 1000;

		returns(p + at, i & 0xffff);
		sync_code(p + at, 8);
		CHECK_EQ(call((uint64_t)(p + at)), i & 0xffff);
	}
}

/*
 * A loop that counts itself in its own immediate: each round writes the next MOVZ, in the same
 * block.
 */
static void patches_itself(void)
{
	uint32_t *p = page(0);
	static const uint32_t text[] = {
		0xd2800000, /*	mov	x0, #0		patched */
		0x91000400, /*	add	x0, x0, #1 */
		0xd37be802, /*	lsl	x2, x0, #5 */
		0x52a01003, /*	mov	w3, #0x800000 */
		0x52ba5004, /*	mov	w4, #0xd2800000 */
		0x2a040044, /*	orr	w4, w2, w4 */
		0xb9000024, /*	str	w4, [x1] */
		0xd50b7b21, /*	dc	cvau, x1 */
		0xd5033b9f, /*	dsb	ish */
		0xd50b7521, /*	ic	ivau, x1 */
		0xd5033b9f, /*	dsb	ish */
		0xd5033fdf, /*	isb */
		0xf10fa01f, /*	cmp	x0, #1000 */
		0x54fffe61, /*	b.ne	-13 */
		0xd65f03c0, /*	ret */
	};
	struct code_state s = {0};

	memcpy(p, text, sizeof(text));
	p[13] = 0x54000001 | (uint32_t)(-13 & 0x7ffff) << 5;
	sync_code(p, sizeof(text));
	s.x[1] = (uint64_t)p;
	call_code(&s, p);
	CHECK_EQ(s.x[0], 1000);
	CHECK_EQ(p[0], MOVZ(0, 1000));
}

/* IC IALLU for all; and the address of another mapping of the same page, as PIPT allows. */
static void aliases(void)
{
	volatile uint32_t *p = page(0);

	map(W(0), page(0), NORMAL);
	map(W(5), page(0), NORMAL);
	map(H(9), page(0), NORMAL);
	for (unsigned int i = 0; i < 500; i++) {
		returns(p + 16, i);
		sync_code((void *)(W(5) + 64), 8);
		CHECK_EQ(call(W(0) + 64), i);
		CHECK_EQ(call(H(9) + 64), i);
		CHECK_EQ(call((uint64_t)(p + 16)), i);
		returns(p + 16, i + 1);
		dsb();
		asm volatile("ic iallu\n dsb ish\n isb" ::: "memory");
		CHECK_EQ(call(W(0) + 64), i + 1);
	}
}

/* The page under a virtual address changes: what ran before must not run again. */
static void remapped(void)
{
	for (unsigned int n = 0; n < 2; n++) {
		returns((uint32_t *)page(n) + 8, 100 + n);
		/* falls through into the next page */
		((uint32_t *)page(n))[1023] = MOVZ(0, 200 + n);
		returns((uint32_t *)page(4 + n), 300 + n);
		((uint32_t *)page(4 + n))[0] = 0x91002800; /* add x0, x0, #10 */
		sync_code(page(n), PAGE);
		sync_code(page(4 + n), PAGE);
	}
	((uint32_t *)page(5))[0] = 0x91005000; /* add x0, x0, #20 */
	sync_code(page(5), PAGE);
	for (unsigned int i = 0; i < 400; i++) {
		unsigned int a = rnd() & 1, b = rnd() & 1;

		map(W(0), page(a), NORMAL);
		map(W(1), page(4 + b), NORMAL);
		CHECK_EQ(call(W(0) + 32), 100 + a);
		CHECK_EQ(call(W(1) - 4), 200 + a + (b ? 20 : 10));
		unmap(W(0));
		unmap(W(1));
	}
}

/* Without maintenance either the old or the new instruction runs, and nothing else happens. */
static void unsynchronised(void)
{
	volatile uint32_t *p = page(0);

	returns(p, 1);
	sync_code((void *)p, 8);
	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t v;

		p[0] = MOVZ(0, i & 1 ? 1 : 2);
		v = call((uint64_t)p);
		CHECK(v == 1 || v == 2);
	}
}

static struct {
	volatile uint32_t *p;
	volatile uint64_t version, seen;
	volatile bool stop;
} other;

/*
 * Runs the code for as long as it is told to; what it returns must never be older than what was
 * announced.
 */
static void runner(void *arg)
{
	while (!other.stop) {
		uint64_t before = __atomic_load_n(&other.version, __ATOMIC_ACQUIRE), v;
		uint64_t at = (uint64_t)__atomic_load_n(&other.p, __ATOMIC_ACQUIRE);

		isb();
		v = call(at);
		if (v < before)
			CHECK_EQ(v, before);
		other.seen = v;
	}
}

/* One CPU runs what another one patches: after IC IVAU, DSB there and ISB here, only the new. */
static void patched_by_another(void)
{
	unsigned int cpus = nr_cpus();

	CHECK(cpus > 1);
	if (cpus < 2)
		return;
	other.p = page(0);
	other.version = 0;
	other.stop = false;
	returns(other.p, 0);
	sync_code((void *)other.p, 8);
	for (unsigned int i = 1; i < cpus; i++)
		run_on(i, runner, NULL);
	for (unsigned int i = 1; i < 20000; i++) {
		returns(other.p, i);
		sync_code((void *)other.p, 8);
		__atomic_store_n(&other.version, i, __ATOMIC_RELEASE);
	}
	other.stop = true;
	for (unsigned int i = 1; i < cpus; i++)
		join(i);
}

/* Each version at an address of its own page, so that translating is what races. */
static void patched_while_cold(void)
{
	if (nr_cpus() < 2)
		return;
	other.version = 0;
	other.stop = false;
	other.p = page(0);
	returns(other.p, 0);
	sync_code((void *)other.p, 8);
	run_on(1, runner, NULL);
	for (unsigned int i = 1; i < 30000; i++) {
		/* Longer code takes longer to translate. */
		volatile uint32_t *p = (uint32_t *)page(1 + i % 8);

		for (unsigned int k = 0; k < 30; k++)
			p[k] = MOVZ(0, i);
		p[30] = RET;
		sync_code((void *)p, 124);
		__atomic_store_n(&other.p, p, __ATOMIC_RELEASE);
		__atomic_store_n(&other.version, i, __ATOMIC_RELEASE);
		if (rnd() % 4 == 0)
			for (volatile unsigned int k = 0; k < rnd() % 256; k++)
				;
	}
	other.stop = true;
	join(1);
}

const struct test group_code[] = {{"patched", patched},
				  {"patches-itself", patches_itself},
				  {"aliases", aliases},
				  {"remapped", remapped},
				  {"unsynchronised", unsynchronised},
				  {"patched-by-another", patched_by_another},
				  {"patched-while-cold", patched_while_cold},
				  {NULL, NULL}};
