/* SPDX-License-Identifier: MIT */
/*
 * What no machine allows: the VM ends with a message, or only somebody from outside can end it. Run
 * one at a time (run.py knows what is to be seen); a test that comes back has failed.
 */
#include "guest.h"

static void pair(void)
{
	asm volatile("ldp x0, x1, [%0]" ::"r"(UART) : "x0", "x1", "memory");
}

static void pair_store(void)
{
	asm volatile("stp x0, x1, [%0]" ::"r"(NOTHING) : "memory");
}

static void vector(void)
{
	asm volatile("ldr q0, [%0]" ::"r"(UART) : "memory");
}

static void vector_store(void)
{
	asm volatile("st4 {v0.16b-v3.16b}, [%0]" ::"r"(UART) : "memory");
}

static void write_back(void)
{
	uint64_t at = UART;

	asm volatile("ldr w0, [%0], #4" : "+r"(at)::"x0", "memory");
}

static void exclusive(void)
{
	asm volatile("ldxr w0, [%0]" ::"r"(UART) : "x0", "memory");
}

static void atomic(void)
{
	asm volatile(".arch_extension lse\n ldadd w0, w0, [%0]" ::"r"(UART) : "x0", "memory");
}

static void cas(void)
{
	asm volatile("cas w0, w0, [%0]" ::"r"(UART) : "x0", "memory");
}

static void zero(void)
{
	map(W(0), (void *)UART, NORMAL);
	asm volatile("dc zva, %0" ::"r"(W(0)) : "memory");
}

/* Half memory, half device. */
static void crossing(void)
{
	map(W(0), page(0), NORMAL);
	map(W(1), (void *)UART, NORMAL);
	(void)read64(W(1) - 3);
}

static void crossing_store(void)
{
	map(W(0), (void *)NOTHING, NORMAL);
	map(W(1), page(0), NORMAL);
	write64(W(1) - 3, 0);
}

/* The vectors are not there: each exception's first instruction is the next exception. */
static void no_vectors(void)
{
	msr(vbar_el1, W(100));
	isb();
	asm volatile("svc #0");
}

/* The vectors are in a device. */
static void device_vectors(void)
{
	msr(vbar_el1, UART);
	isb();
	asm volatile("brk #0");
}

/* No stack: the handler's first push faults, for ever. */
static void no_stack(void)
{
	asm volatile("mov sp, %0\n str xzr, [sp]" ::"r"(W(100)) : "memory");
}

static void spin(void)
{
	irqs_off();
	asm volatile("b .");
}

static void all_spin_one(void *arg)
{
	spin();
}

static void all_spin(void)
{
	for (unsigned int i = 1; i < nr_cpus(); i++)
		run_on(i, all_spin_one, NULL);
	spin();
}

static void sleep(void)
{
	irqs_off();
	for (;;)
		asm volatile("wfi");
}

static void wait(void)
{
	for (;;)
		asm volatile("wfe");
}

/* PSCI SYSTEM_OFF while the others spin. */
static void off_while_spinning(void)
{
	for (unsigned int i = 1; i < nr_cpus(); i++)
		run_on(i, all_spin_one, NULL);
	power_off();
}

/* All CPUs off: nobody is left to do anything. */
static void off_one(void *arg)
{
	psci(0x84000002, 0, 0, 0);
}

static void all_off(void)
{
	for (unsigned int i = 1; i < nr_cpus(); i++)
		run_on(i, off_one, NULL);
	off_one(NULL);
}

/* PSCI SYSTEM_RESET, twenty times, while the others spin; the clock keeps the count over it. */
static void reset(void)
{
	uint64_t rtc_data = 0x09010000, rtc_load = 0x09010008;
	uint32_t count = read32(rtc_data);

	if (count > 100000)
		count = 0; /* a time: the first run */
	/* Seconds may pass; each run is a hundred further on. */
	count = count / 100 * 100 + 100;
	if (count > 2000)
		power_off();
	write32(rtc_load, count);
	for (unsigned int i = 1; i < nr_cpus(); i++)
		run_on(i, all_spin_one, NULL);
	psci(0x84000009, 0, 0, 0);
}

const struct test group_fatal[] = {{"pair", pair},
				   {"pair-store", pair_store},
				   {"vector", vector},
				   {"vector-store", vector_store},
				   {"write-back", write_back},
				   {"exclusive", exclusive},
				   {"atomic", atomic},
				   {"cas", cas},
				   {"zva", zero},
				   {"crossing", crossing},
				   {"crossing-store", crossing_store},
				   {"no-vectors", no_vectors},
				   {"device-vectors", device_vectors},
				   {"no-stack", no_stack},
				   {"spin", spin},
				   {"all-spin", all_spin},
				   {"sleep", sleep},
				   {"wait", wait},
				   {"off-while-spinning", off_while_spinning},
				   {"all-off", all_off},
				   {"reset", reset},
				   {NULL, NULL}};
