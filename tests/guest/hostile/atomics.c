/* SPDX-License-Identifier: MIT */
/*
 * Contention: totals are exact, locks exclude, and the orders that the architecture forbids are not
 * seen.
 */
#include "guest.h"

#define EACH 200000u

static volatile uint64_t word __attribute__((aligned(64)));
static struct {
	uint64_t a, b;
} pair __attribute__((aligned(64)));
static uint32_t lock __attribute__((aligned(64)));
static volatile uint64_t guarded __attribute__((aligned(64)));

static void on_all(void (*fn)(void *), void *arg)
{
	unsigned int cpus = nr_cpus();

	CHECK(cpus > 1);
	for (unsigned int i = 1; i < cpus; i++)
		run_on(i, fn, arg);
	fn(arg);
	for (unsigned int i = 1; i < cpus; i++)
		join(i);
}

static void lse(void *arg)
{
	for (unsigned int i = 0; i < EACH; i++)
		asm volatile(".arch_extension lse\n stadd %0, [%1]" ::"r"(1ull), "r"(&word)
			     : "memory");
}

static void exclusive(void *arg)
{
	uint64_t v;
	uint32_t failed;

	for (unsigned int i = 0; i < EACH; i++)
		asm volatile("1: ldxr %0, [%2]\n add %0, %0, #1\n stxr %w1, %0, [%2]\n cbnz %w1, 1b"
			     : "=&r"(v), "=&r"(failed)
			     : "r"(&word)
			     : "memory");
}

static void cas(void *arg)
{
	uint64_t old = word, v;

	for (unsigned int i = 0; i < EACH; i++) {
		for (;;) {
			v = old;
			asm volatile("cas %0, %1, [%2]"
				     : "+r"(v)
				     : "r"(old + 1), "r"(&word)
				     : "memory");
			if (v == old)
				break;
			old = v;
		}
		old++;
	}
}

/* Bytes of one word, each with its own instruction. */
static void bytes(void *arg)
{
	uint64_t at = (uint64_t)&word + this_cpu()->index % 8;

	for (unsigned int i = 0; i < EACH; i++)
		asm volatile("ldaddb %w0, wzr, [%1]" ::"r"(1), "r"(at) : "memory");
}

/* Pairs: 128 bits as one. */
static void exclusive_pair(void *arg)
{
	uint64_t a, b;
	uint32_t failed;

	for (unsigned int i = 0; i < EACH / 4; i++)
		asm volatile("1: ldxp %0, %1, [%3]\n add %0, %0, #1\n sub %1, %1, #1\n stxp %w2, "
			     "%0, %1, [%3]\n cbnz %w2, 1b"
			     : "=&r"(a), "=&r"(b), "=&r"(failed)
			     : "r"(&pair)
			     : "memory");
}

static void casp(void *arg)
{
	register uint64_t x0 asm("x0") = 0;
	register uint64_t x1 asm("x1") = 0;

	for (unsigned int i = 0; i < EACH / 4; i++) {
		for (;;) {
			uint64_t a = x0, b = x1;
			register uint64_t x2 asm("x2") = a + 1;
			register uint64_t x3 asm("x3") = b - 1;

			asm volatile("casp x0, x1, x2, x3, [%2]"
				     : "+r"(x0), "+r"(x1)
				     : "r"(&pair), "r"(x2), "r"(x3)
				     : "memory");
			if (x0 == a && x1 == b)
				break;
		}
		x0++;
		x1--;
	}
}

static void total(void (*fn)(void *), uint64_t each)
{
	word = 0;
	on_all(fn, NULL);
	CHECK_EQ(word, each * nr_cpus());
}

static void lse_total(void)
{
	total(lse, EACH);
}

static void exclusive_total(void)
{
	total(exclusive, EACH);
}

static void cas_total(void)
{
	total(cas, EACH);
}

static void byte_totals(void)
{
	unsigned int cpus;

	word = 0;
	on_all(bytes, NULL);
	cpus = nr_cpus();
	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(((volatile uint8_t *)&word)[i], i < cpus ? EACH & 0xff : 0);
}

static void pair_totals(void)
{
	pair.a = pair.b = 0;
	on_all(exclusive_pair, NULL);
	CHECK_EQ(pair.a, (uint64_t)nr_cpus() * (EACH / 4));
	CHECK_EQ(pair.a + pair.b, 0);
	on_all(casp, NULL);
	CHECK_EQ(pair.a, (uint64_t)nr_cpus() * (EACH / 4) * 2);
	CHECK_EQ(pair.a + pair.b, 0);
}

/* The three ways of counting on one word. */
static void mixed(void *arg)
{
	static void (*const ways[])(void *) = {lse, exclusive, cas};

	ways[this_cpu()->index % 3](arg);
}

static void mixed_total(void)
{
	total(mixed, EACH);
}

/*
 * Lock and unlock as Linux did before LSE; the wait is WFE, ended by the store that clears the
 * monitor.
 */
static void locked(void *arg)
{
	uint32_t v, failed;

	for (unsigned int i = 0; i < EACH / 20; i++) {
		asm volatile("	sevl\n"
			     "1: wfe\n"
			     "2: ldaxr %w0, [%2]\n"
			     "	cbnz %w0, 1b\n"
			     "	stxr %w1, %w3, [%2]\n"
			     "	cbnz %w1, 2b\n"
			     : "=&r"(v), "=&r"(failed)
			     : "r"(&lock), "r"(1)
			     : "memory");
		guarded = guarded + 1;
		asm volatile("stlr wzr, [%0]" ::"r"(&lock) : "memory");
	}
}

static void lock_excludes(void)
{
	uint64_t began = now();

	lock = 0;
	guarded = 0;
	on_all(locked, NULL);
	CHECK_EQ(guarded, (uint64_t)nr_cpus() * (EACH / 20));
	CHECK(now() - began < ns_to_ticks(20000000000ull));
}

/* Litmus tests between CPU 0 and 1: rounds in step, so that the windows overlap. */
static struct {
	volatile uint64_t x __attribute__((aligned(64)));
	volatile uint64_t y __attribute__((aligned(64)));
	volatile uint64_t r0 __attribute__((aligned(64)));
	volatile uint64_t r1 __attribute__((aligned(64)));
	volatile uint64_t round[2] __attribute__((aligned(64)));
	unsigned int kind;
} litmus;

enum { SB_DMB, SB_SC, SB_SWP, NR_LITMUS };

static void meet(unsigned int me, uint64_t round)
{
	__atomic_store_n(&litmus.round[me], round, __ATOMIC_SEQ_CST);
	dmb();
	while (__atomic_load_n(&litmus.round[!me], __ATOMIC_ACQUIRE) < round)
		;
}

static uint64_t store_then_load(volatile uint64_t *to, volatile uint64_t *from)
{
	uint64_t v;

	switch (litmus.kind) {
	case SB_DMB:
		asm volatile("str %1, [%2]\n dmb ish\n ldr %0, [%3]"
			     : "=&r"(v)
			     : "r"(1ull), "r"(to), "r"(from)
			     : "memory");
		break;
	case SB_SC:
		asm volatile("stlr %1, [%2]\n ldar %0, [%3]"
			     : "=&r"(v)
			     : "r"(1ull), "r"(to), "r"(from)
			     : "memory");
		break;
	default:
		asm volatile("swpal %1, xzr, [%2]\n ldar %0, [%3]"
			     : "=&r"(v)
			     : "r"(1ull), "r"(to), "r"(from)
			     : "memory");
	}
	return v;
}

#define LITMUS_ROUNDS 30000

static void second(void *arg)
{
	for (uint64_t i = 1; i <= LITMUS_ROUNDS; i++) {
		meet(1, 2 * i - 1);
		litmus.r1 = store_then_load(&litmus.y, &litmus.x);
		meet(1, 2 * i);
	}
}

static void store_buffering(void)
{
	if (nr_cpus() < 2)
		return;
	for (litmus.kind = 0; litmus.kind < NR_LITMUS; litmus.kind++) {
		unsigned int both = 0;

		litmus.round[0] = litmus.round[1] = 0;
		run_on(1, second, NULL);
		for (uint64_t i = 1; i <= LITMUS_ROUNDS; i++) {
			litmus.x = litmus.y = 0;
			meet(0, 2 * i - 1);
			litmus.r0 = store_then_load(&litmus.x, &litmus.y);
			meet(0, 2 * i);
			both += !litmus.r0 && !litmus.r1;
		}
		join(1);
		CHECK_EQ(both, 0);
	}
}

/* Message passing, coherence, and no tearing of aligned accesses. */
static void stamper(void *arg)
{
	volatile uint64_t *p = page(0);

	for (uint64_t i = 1; i <= 200000; i++) {
		uint64_t both = i << 32 | i;

		p[0] = both;
		dmb();
		p[64] = both;
	}
	dmb();
	p[128] = 1;
}

static void message_passing(void)
{
	volatile uint64_t *p = page(0);
	uint64_t last = 0;

	if (nr_cpus() < 2)
		return;
	run_on(1, stamper, NULL);
	while (!p[128]) {
		uint64_t flag = p[64], data;

		dmb();
		data = p[0];
		CHECK(data >= flag);
		CHECK_EQ(data >> 32, data & 0xffffffff);
		CHECK(flag >= last);
		last = flag;
	}
	join(1);
}

/* What ends an exclusive sequence, and what does not. */
static uint32_t store_exclusive(uint64_t value)
{
	uint32_t failed;

	asm volatile("stxr %w0, %1, [%2]" : "=&r"(failed) : "r"(value), "r"(&word) : "memory");
	return failed;
}

static uint64_t load_exclusive(void)
{
	uint64_t v;

	asm volatile("ldxr %0, [%1]" : "=r"(v) : "r"(&word) : "memory");
	return v;
}

static void monitor(void)
{
	word = 5;
	asm volatile("clrex");
	CHECK_EQ(store_exclusive(6), 1);
	CHECK_EQ(word, 5);
	load_exclusive();
	CHECK_EQ(store_exclusive(7), 0);
	CHECK_EQ(word, 7);
	CHECK_EQ(store_exclusive(8), 1); /* once only */
	load_exclusive();
	asm volatile("clrex");
	CHECK_EQ(store_exclusive(8), 1);
	/* An exception return clears it. */
	load_exclusive();
	catch_faults(true);
	asm volatile("brk #0");
	CHECK_EQ(store_exclusive(8), 1);
	CHECK_EQ(word, 7);
	catch_faults(false);
}

const struct test group_atomics[] = {{"monitor", monitor},
				     {"lse", lse_total},
				     {"exclusive", exclusive_total},
				     {"cas", cas_total},
				     {"mixed", mixed_total},
				     {"bytes", byte_totals},
				     {"pairs", pair_totals},
				     {"lock", lock_excludes},
				     {"store-buffering", store_buffering},
				     {"message-passing", message_passing},
				     {NULL, NULL}};
