/* SPDX-License-Identifier: MIT */
/*
 * Translations that one CPU takes away while others use them. After TLBI and DSB no access goes to
 * the old page any more, whatever the others are doing; an access that finds no translation is
 * tried again.
 */
#include "guest.h"

#define POISON 0xdeadull
#define ROUNDS 400

static struct {
	volatile bool stop;
	volatile uint64_t poisoned, done;
	unsigned int started;
	unsigned int slot;
} race;

/* Try again: the page is on its way. */
static void retry(struct frame *f)
{
}

static void begin(void)
{
	this_cpu()->sync = retry;
	__atomic_fetch_add(&race.started, 1, __ATOMIC_SEQ_CST);
}

static void reader(void *arg)
{
	uint64_t va = (uint64_t)arg, n = 0;

	begin();
	while (!race.stop) {
		if (read64(va) == POISON)
			race.poisoned++;
		n++;
	}
	this_cpu()->sync = NULL;
	__atomic_fetch_add(&race.done, n, __ATOMIC_RELAXED);
}

static void writer(void *arg)
{
	uint64_t va = (uint64_t)arg, n = 0;

	begin();
	while (!race.stop)
		write64(va, ++n);
	this_cpu()->sync = NULL;
}

static void incrementer(void *arg)
{
	uint64_t n = 0;

	begin();
	while (!race.stop) {
		__atomic_fetch_add((uint64_t *)arg, 1, __ATOMIC_RELAXED);
		n++;
	}
	this_cpu()->sync = NULL;
	__atomic_fetch_add(&race.done, n, __ATOMIC_RELAXED);
}

static void exclusive_incrementer(void *arg)
{
	uint64_t n = 0, v;
	uint32_t failed;

	begin();
	while (!race.stop) {
		asm volatile("ldxr %0, [%2]\n add %0, %0, #1\n stxr %w1, %0, [%2]"
			     : "=&r"(v), "=&r"(failed)
			     : "r"(arg)
			     : "memory");
		n += !failed;
	}
	this_cpu()->sync = NULL;
	__atomic_fetch_add(&race.done, n, __ATOMIC_RELAXED);
}

static unsigned int start(void (*fn)(void *), uint64_t va)
{
	unsigned int cpus = nr_cpus();

	CHECK(cpus > 1);
	race.stop = false;
	race.poisoned = race.done = race.started = 0;
	for (unsigned int i = 1; i < cpus; i++)
		run_on(i, fn, (void *)va);
	while (__atomic_load_n(&race.started, __ATOMIC_SEQ_CST) < cpus - 1)
		;
	return cpus;
}

static void finish(unsigned int cpus)
{
	race.stop = true;
	for (unsigned int i = 1; i < cpus; i++)
		join(i);
}

static void delay(unsigned int n)
{
	for (volatile unsigned int i = 0; i < n; i++)
		;
}

enum how { BY_VA, BY_ASID_0, BY_ALL, NR_HOW };

static void take_away(uint64_t va, enum how how)
{
	set_pte(va, 0);
	if (how == BY_VA)
		tlbi_va(va);
	else if (how == BY_ALL)
		tlbi_all();
	else
		asm volatile("dsb ishst\n tlbi aside1is, %0\n dsb ish\n isb" ::"r"(0ull)
			     : "memory");
}

/* The old page is poisoned once it is nobody's: no reader may see that. */
static void readers(void)
{
	unsigned int cpus;

	map(W(0), page(0), NORMAL | D_NG);
	cpus = start(reader, W(0));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t *old = page(i & 1), *new = page(!(i & 1));

		delay(rnd() % 200);
		take_away(W(0), i % NR_HOW);
		*(volatile uint64_t *)old = POISON;
		*(volatile uint64_t *)new = i;
		map(W(0), new, NORMAL | D_NG);
	}
	finish(cpus);
	CHECK_EQ(race.poisoned, 0);
	CHECK(race.done > 0);
}

/* After it was taken away nobody writes to the page. */
static void writers(void)
{
	unsigned int cpus;

	map(W(0), page(0), NORMAL | D_NG);
	cpus = start(writer, W(0));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		volatile uint64_t *p = page(0);
		uint64_t v;

		delay(rnd() % 200);
		take_away(W(0), i % NR_HOW);
		v = *p;
		delay(300);
		CHECK_EQ(*p, v);
		map(W(0), page(0), NORMAL | D_NG);
	}
	finish(cpus);
}

/* Write permission goes and comes back: the count is exact, and stands still in between. */
static void counted(void (*fn)(void *))
{
	unsigned int cpus;
	volatile uint64_t *p = page(0);

	map(W(0), page(0), NORMAL);
	cpus = start(fn, W(0));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t v;

		delay(rnd() % 200);
		set_pte(W(0), (uint64_t)p | NORMAL | D_RO | D_PAGE);
		tlbi_va(W(0));
		v = *p;
		delay(100);
		CHECK_EQ(*p, v);
		set_pte(W(0), (uint64_t)p | NORMAL | D_PAGE);
		tlbi_va(W(0));
	}
	finish(cpus);
	CHECK_EQ(*p, race.done);
}

static void atomics_under_protection(void)
{
	counted(incrementer);
}

static void exclusives_under_protection(void)
{
	counted(exclusive_incrementer);
}

/* Everybody maintains at once: each waits for the others, and must serve them meanwhile. */
static void maintainer(void *arg)
{
	uint64_t index = this_cpu()->index;

	this_cpu()->sync = retry;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t va = W(16 + index);

		set_pte(va, (uint64_t)page(16 + (i & 7)) | NORMAL | D_PAGE);
		*(volatile uint64_t *)page(16 + (i & 7)) = 16 + (i & 7);
		CHECK_EQ(read64(va), 16 + (i & 7));
		set_pte(va, 0);
		switch (i % 3) {
		case 0:
			tlbi_va(va);
			break;
		case 1:
			tlbi_all();
			break;
		default:
			for (unsigned int k = 0; k < 40; k++) /* more than any queue */
				asm volatile("tlbi vaae1is, %0" ::"r"((W(100 + k) >> 12) &
								      0xfffffffffffull)
					     : "memory");
			tlbi_va(va);
		}
	}
	this_cpu()->sync = NULL;
}

static void everybody(void)
{
	unsigned int cpus = nr_cpus();

	for (unsigned int i = 1; i < cpus; i++)
		run_on(i, maintainer, NULL);
	maintainer(NULL);
	for (unsigned int i = 1; i < cpus; i++)
		join(i);
}

/*
 * A CPU that sleeps in WFI, or WFE, or spins with its interrupts masked, keeps nobody waiting; when
 * it wakes it has the new page.
 */
static volatile unsigned int awake;

static void sleeper(void *arg)
{
	uint64_t va = (uint64_t)arg;

	while (!race.stop) {
		uint64_t want;

		asm volatile("wfi" ::: "memory");
		want = __atomic_load_n(&race.slot, __ATOMIC_ACQUIRE);
		if (read64(va) < want)
			race.poisoned++;
		/* acknowledge the SGI */
		if ((read32(GICC + 0x0c) & 0x3ff) == 1)
			write32(GICC + 0x10, 1);
		awake++;
	}
}

static void sleepers(void)
{
	unsigned int cpus = nr_cpus();
	uint64_t began;

	if (cpus < 2)
		return;
	race.stop = false;
	race.poisoned = race.slot = 0;
	awake = 0;
	*(volatile uint64_t *)page(0) = 0;
	map(W(0), page(0), NORMAL);
	run_on(1, sleeper, (void *)W(0));
	began = now();
	for (unsigned int i = 1; i < 300; i++) {
		unsigned int before = awake;
		uint64_t *next = page(i & 1);

		*(volatile uint64_t *)next = i;
		/*
		 * Replaced at once: the old page keeps an old number, so that a stale translation
		 * shows.
		 */
		set_pte(W(0), 0);
		tlbi_va(W(0));
		set_pte(W(0), (uint64_t)next | NORMAL | D_PAGE);
		__atomic_store_n(&race.slot, i, __ATOMIC_RELEASE);
		send_sgi(1, 1);
		while (awake == before)
			;
	}
	CHECK(now() - began < ns_to_ticks(20000000000ull));
	race.stop = true;
	send_sgi(1, 1);
	join(1);
	CHECK_EQ(race.poisoned, 0);
}

const struct test group_smp[] = {{"readers", readers},
				 {"writers", writers},
				 {"atomics-under-protection", atomics_under_protection},
				 {"exclusives-under-protection", exclusives_under_protection},
				 {"everybody", everybody},
				 {"sleepers", sleepers},
				 {NULL, NULL}};
