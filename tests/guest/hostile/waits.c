/* SPDX-License-Identifier: MIT */
/*
 * Sleep: what must end it does, at its time, and nothing is lost at the moment of falling asleep.
 */
#include "guest.h"

#define wfi() asm volatile("wfi" ::: "memory")
#define wfe() asm volatile("wfe" ::: "memory")
#define sev() asm volatile("sev" ::: "memory")

static volatile unsigned int ticks;

static void on_tick(struct frame *f, unsigned int intid)
{
	ticks++;
	if (intid == PPI_VTIMER)
		msr(cntv_ctl_el0, 0);
	else
		msr(cntp_ctl_el0, 0);
}

static void arm_timer(bool physical, uint64_t in_ticks)
{
	if (physical) {
		msr(cntp_cval_el0, mrs(cntpct_el0) + in_ticks);
		msr(cntp_ctl_el0, 1);
	} else {
		msr(cntv_cval_el0, mrs(cntvct_el0) + in_ticks);
		msr(cntv_ctl_el0, 1);
	}
	isb();
}

/* Thousands of deadlines from 0 to 60 us; each ends a WFI, with interrupts enabled. */
static void short_deadlines(void)
{
	uint64_t began = now();

	gic_enable(PPI_VTIMER);
	gic_enable(PPI_PTIMER);
	this_cpu()->irq = on_tick;
	ticks = 0;
	for (unsigned int i = 0; i < 4000; i++) {
		uint64_t deadline;

		irqs_off();
		arm_timer(i & 1, ns_to_ticks(rnd() % 60000));
		deadline = i & 1 ? mrs(cntp_cval_el0) : mrs(cntv_cval_el0);
		while (ticks == i) {
			wfi();
			irqs_on();
			isb();
			irqs_off();
		}
		CHECK_EQ(ticks, i + 1);
		CHECK((i & 1 ? mrs(cntpct_el0) : mrs(cntvct_el0)) >= deadline);
	}
	CHECK(now() - began < ns_to_ticks(20000000000ull));
}

/* Masked, the interrupt stays pending and ends WFI all the same. */
static void masked(void)
{
	gic_enable(PPI_VTIMER);
	this_cpu()->irq = on_tick;
	ticks = 0;
	irqs_off();
	for (unsigned int i = 0; i < 1000; i++) {
		arm_timer(false, ns_to_ticks(rnd() % 30000));
		while (!(mrs(cntv_ctl_el0) & 4))
			wfi();
		CHECK_EQ(ticks, i);
		while (!(mrs(isr_el1) & 1 << 7))
			;
		irqs_on();
		isb();
		irqs_off();
		CHECK_EQ(ticks, i + 1);
	}
}

/* A long sleep really is one; the time passes meanwhile. */
static void sleeps(void)
{
	uint64_t t = now();
	unsigned int woken = 0;

	gic_enable(PPI_VTIMER);
	this_cpu()->irq = on_tick;
	ticks = 0;
	irqs_off();
	arm_timer(false, ns_to_ticks(300000000));
	while (!(mrs(cntv_ctl_el0) & 4)) {
		wfi();
		woken++;
	}
	CHECK(now() - t >= ns_to_ticks(300000000));
	CHECK(woken < 1000);
	irqs_on();
	isb();
	irqs_off();
	CHECK_EQ(ticks, 1);
}

/* SEVL, SEV and an exception return set the event register; WFE clears it. */
static void event_register(void)
{
	uint64_t t = now();

	for (unsigned int i = 0; i < 1000; i++) {
		asm volatile("sevl");
		wfe();
		sev();
		wfe();
	}
	CHECK(now() - t < ns_to_ticks(2000000000));
}

static struct {
	volatile uint64_t turn __attribute__((aligned(64)));
	volatile unsigned int sgis, ready __attribute__((aligned(64)));
} ping;

#define EVENTS 20000u

static void wfe_pong(void *arg)
{
	for (unsigned int i = 0; i < EVENTS; i++) {
		while (ping.turn != 2 * i + 1)
			wfe();
		ping.turn = 2 * i + 2;
		dsb();
		sev();
	}
}

static void wfe_ping(void)
{
	uint64_t t = now();

	if (nr_cpus() < 2)
		return;
	ping.turn = 0;
	run_on(1, wfe_pong, NULL);
	for (unsigned int i = 0; i < EVENTS; i++) {
		ping.turn = 2 * i + 1;
		dsb();
		sev();
		while (ping.turn != 2 * i + 2)
			wfe();
	}
	join(1);
	CHECK(now() - t < ns_to_ticks(30000000000ull));
}

/* Without SEV: the store that another CPU makes to what an exclusive load watches ends the wait. */
static void wfe_store_pong(void *arg)
{
	uint64_t v;

	for (unsigned int i = 0; i < EVENTS / 20; i++) {
		for (;;) {
			asm volatile("ldaxr %0, [%1]" : "=r"(v) : "r"(&ping.turn) : "memory");
			if (v == 2 * i + 1)
				break;
			wfe();
		}
		__atomic_store_n(&ping.turn, 2 * i + 2, __ATOMIC_RELEASE);
	}
}

static void wfe_store(void)
{
	uint64_t t = now(), v;

	if (nr_cpus() < 2)
		return;
	ping.turn = 0;
	run_on(1, wfe_store_pong, NULL);
	for (unsigned int i = 0; i < EVENTS / 20; i++) {
		__atomic_store_n(&ping.turn, 2 * i + 1, __ATOMIC_RELEASE);
		for (;;) {
			asm volatile("ldaxr %0, [%1]" : "=r"(v) : "r"(&ping.turn) : "memory");
			if (v == 2 * i + 2)
				break;
			wfe();
		}
	}
	join(1);
	CHECK(now() - t < ns_to_ticks(10000000000ull));
}

/* SGIs between sleepers: none is lost between the test and the WFI. */
static void on_sgi(struct frame *f, unsigned int intid)
{
	__atomic_fetch_add(&ping.sgis, 1, __ATOMIC_RELAXED);
}

#define SGIS 4000u

static void sgi_pong(void *arg)
{
	this_cpu()->irq = on_sgi;
	this_cpu()->irqs = 0;
	__atomic_store_n(&ping.ready, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < SGIS; i++) {
		irqs_off();
		while (this_cpu()->irqs == i) {
			wfi();
			irqs_on();
			isb();
			irqs_off();
		}
		send_sgi(0, 2);
	}
	this_cpu()->irq = NULL;
}

static void sgi_ping(void)
{
	if (nr_cpus() < 2)
		return;
	this_cpu()->irq = on_sgi;
	this_cpu()->irqs = 0;
	ping.sgis = ping.ready = 0;
	run_on(1, sgi_pong, NULL);
	while (!__atomic_load_n(&ping.ready, __ATOMIC_ACQUIRE))
		;
	for (unsigned int i = 0; i < SGIS; i++) {
		send_sgi(1, 3);
		irqs_off();
		while (this_cpu()->irqs == i) {
			wfi();
			irqs_on();
			isb();
			irqs_off();
		}
	}
	join(1);
	CHECK_EQ(this_cpu()->irqs, SGIS);
	CHECK_EQ(ping.sgis, 2 * SGIS);
}

/* Off and on again, many times; what runs last is seen. */
static volatile unsigned int up;
extern char secondary[];

#define PSCI_CPU_OFF       0x84000002u
#define PSCI_AFFINITY_INFO 0xc4000004u
#define PSCI_ALREADY_ON    -4

static void switch_off(void *arg)
{
	percpu[1].work = NULL;
	dsb();
	psci(PSCI_CPU_OFF, 0, 0, 0);
	CHECK(!"CPU_OFF came back");
}

static void comes_up(void *arg)
{
	up++;
}

static void off_and_on(void)
{
	if (nr_cpus() < 2)
		return;
	up = 0;
	for (unsigned int i = 0; i < 300; i++) {
		int64_t on;

		CHECK_EQ(psci(PSCI_CPU_ON, 1, (uint64_t)secondary, 0), PSCI_ALREADY_ON);
		run_on(1, switch_off, NULL);
		while (psci(PSCI_AFFINITY_INFO, 1, 0, 0) != 1)
			;
		percpu[1].work = comes_up;
		on = psci(PSCI_CPU_ON, 1, (uint64_t)secondary, (uint64_t)&percpu[1]);
		CHECK_EQ(on, 0);
		join(1);
		CHECK_EQ(up, i + 1);
	}
}

/* CNTVCT never goes back, on one CPU or seen from another. */
static volatile uint64_t shared_time;

static void time_giver(void *arg)
{
	for (unsigned int i = 0; i < 100000; i++)
		__atomic_store_n(&shared_time, now(), __ATOMIC_RELEASE);
	__atomic_store_n(&shared_time, ~0ull, __ATOMIC_RELEASE);
}

static void one_time(void)
{
	if (nr_cpus() < 2)
		return;
	shared_time = 0;
	run_on(1, time_giver, NULL);
	for (;;) {
		uint64_t there = __atomic_load_n(&shared_time, __ATOMIC_ACQUIRE), here = now();

		if (there == ~0ull)
			break;
		CHECK(here >= there);
	}
	join(1);
}

const struct test group_waits[] = {{"short-deadlines", short_deadlines},
				   {"masked", masked},
				   {"sleeps", sleeps},
				   {"event-register", event_register},
				   {"wfe-ping", wfe_ping},
				   {"wfe-store", wfe_store},
				   {"sgi-ping", sgi_ping},
				   {"off-and-on", off_and_on},
				   {"one-time", one_time},
				   {NULL, NULL}};
