/* SPDX-License-Identifier: MIT */
/* Serial port, exceptions, vCPUs, interrupts, and the loop over the tests. */
#include <stdarg.h>

#include "guest.h"

#define STACK_SIZE 16384

#define UART_DR 0x00
#define UART_FR 0x18
#define FR_TXFF (1u << 5)

#define GICD_CTLR       0x000
#define GICD_ISENABLER  0x100
#define GICD_IPRIORITYR 0x400
#define GICD_SGIR       0xf00
#define GICC_CTLR       0x00
#define GICC_PMR        0x04
#define GICC_IAR        0x0c
#define GICC_EOIR       0x10
#define SPURIOUS        1020

#define PSCI_SYSTEM_OFF 0x84000008u

_Static_assert(sizeof(struct frame) == 304, "start.S");
_Static_assert(offsetof(struct frame, elr) == 248, "start.S");
_Static_assert(offsetof(struct frame, far) == 272, "start.S");
_Static_assert(offsetof(struct percpu, el0_sp) == 8, "start.S");
_Static_assert(offsetof(struct code_state, nzcv) == 160 && offsetof(struct code_state, v) == 176,
	       "start.S");

extern char secondary[];
void el0_done(uint64_t value) __attribute__((noreturn));

struct percpu percpu[MAX_CPUS];
static uint8_t stacks[MAX_CPUS][STACK_SIZE] __attribute__((aligned(16)));
static unsigned int cpus_up = 1, failures;
static const char *running;

/* --- Words --- */

void *memset(void *to, int c, size_t n)
{
	volatile uint8_t *p = to;

	while (n--)
		*p++ = (uint8_t)c;
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	volatile uint8_t *p = to;
	const uint8_t *q = from;

	while (n--)
		*p++ = *q++;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *p = a;
	const uint8_t *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p < *q ? -1 : 1;
	return 0;
}

static uint64_t random_state = 88172645463325252ull;

uint64_t rnd(void)
{
	uint64_t x = random_state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	random_state = x;
	return x * 0x2545f4914f6cdd1dull;
}

static void put(char c)
{
	while (read32(UART + UART_FR) & FR_TXFF)
		;
	write32(UART + UART_DR, (uint8_t)c);
}

static void put_number(uint64_t v, unsigned int base)
{
	char digits[20];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		put(digits[--n]);
}

void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	for (; *format; format++) {
		if (*format == '\n')
			put('\r');
		if (*format != '%') {
			put(*format);
			continue;
		}
		switch (*++format) {
		case 's':
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put(*s);
			break;
		case 'c':
			put((char)va_arg(ap, int));
			break;
		case 'u':
			put_number(va_arg(ap, uint64_t), 10);
			break;
		default:
			put_number(va_arg(ap, uint64_t), 16);
		}
	}
	va_end(ap);
}

void check_failed(const char *file, int line, const char *what, uint64_t a, uint64_t b)
{
	if (__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED) >= 5)
		return;
	for (const char *p = file; *p; p++)
		if (*p == '/')
			file = p + 1;
	say("# %s: %s:%u: %s (0x%x, 0x%x)\n", running, file, (uint64_t)line, what, a, b);
}

/* --- Exceptions --- */

void catch_faults(bool skip)
{
	struct percpu *p = this_cpu();

	p->skip = skip;
	p->sync = NULL;
	p->faults = 0;
	p->esr = p->far = p->elr = 0;
}

static void unexpected(const struct frame *f)
{
	say("# %s: CPU %u: unexpected exception, vector %u, ESR 0x%x ELR 0x%x FAR 0x%x SPSR 0x%x\n",
	    running, (uint64_t)this_cpu()->index, f->vector, f->esr, f->elr, f->far, f->spsr);
	say("not ok - %s\nEND\n", running);
	power_off();
}

static void interrupt(struct frame *f)
{
	struct percpu *p = this_cpu();
	uint32_t iar = read32(GICC + GICC_IAR), intid = iar & 0x3ff;

	if (intid >= SPURIOUS)
		return;
	p->irqs++;
	if (p->irq)
		p->irq(f, intid);
	else
		unexpected(f);
	write32(GICC + GICC_EOIR, iar);
}

void trap(struct frame *f)
{
	struct percpu *p = this_cpu();

	if ((f->vector & 3) == 1) {
		interrupt(f);
		return;
	}
	if ((f->vector & 3) != 0)
		unexpected(f);
	p->faults++;
	p->esr = f->esr;
	p->far = f->far;
	p->elr = f->elr;
	p->spsr = f->spsr;
	if (p->sync)
		p->sync(f);
	else if (f->vector >= 8 && EC(f->esr) == EC_SVC)
		el0_done(f->x[0]);
	else if (p->skip)
		f->elr += 4;
	else
		unexpected(f);
}

/* --- vCPUs --- */

int64_t psci(uint32_t fn, uint64_t a, uint64_t b, uint64_t c)
{
	register uint64_t x0 asm("x0") = fn;
	register uint64_t x1 asm("x1") = a;
	register uint64_t x2 asm("x2") = b;
	register uint64_t x3 asm("x3") = c;

	asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
	return (int64_t)x0;
}

void power_off(void)
{
	for (;;)
		psci(PSCI_SYSTEM_OFF, 0, 0, 0);
}

void secondary_main(void);
void secondary_main(void)
{
	struct percpu *p = this_cpu();

	mmu_on();
	gic_init_cpu();
	__atomic_fetch_add(&cpus_up, 1, __ATOMIC_SEQ_CST);
	asm volatile("sev");
	for (;;) {
		void (*fn)(void *) = __atomic_load_n(&p->work, __ATOMIC_ACQUIRE);

		if (!fn) {
			asm volatile("wfe");
			continue;
		}
		fn(p->work_arg);
		__atomic_store_n(&p->work, NULL, __ATOMIC_RELEASE);
		dsb();
		asm volatile("sev");
	}
}

unsigned int nr_cpus(void)
{
	for (unsigned int i = cpus_up; i < MAX_CPUS; i++) {
		percpu[i].index = i;
		percpu[i].stack_top = (uint64_t)stacks[i] + STACK_SIZE;
		dsb();
		if (psci(PSCI_CPU_ON, i, (uint64_t)secondary, (uint64_t)&percpu[i]))
			break;
		while (__atomic_load_n(&cpus_up, __ATOMIC_SEQ_CST) <= i)
			asm volatile("wfe");
	}
	return cpus_up;
}

void run_on(unsigned int cpu, void (*fn)(void *arg), void *arg)
{
	percpu[cpu].work_arg = arg;
	__atomic_store_n(&percpu[cpu].work, fn, __ATOMIC_RELEASE);
	dsb();
	asm volatile("sev");
}

void join(unsigned int cpu)
{
	while (__atomic_load_n(&percpu[cpu].work, __ATOMIC_ACQUIRE))
		asm volatile("wfe");
}

/* --- Interrupts and time --- */

void gic_enable(unsigned int intid)
{
	asm volatile("strb wzr, [%0]" ::"r"(GICD + GICD_IPRIORITYR + intid) : "memory");
	write32(GICD + GICD_ISENABLER + 4 * (intid / 32), 1u << intid % 32);
}

void gic_init_cpu(void)
{
	write32(GICD + GICD_CTLR, 1);
	write32(GICC + GICC_PMR, 0xf0);
	write32(GICC + GICC_CTLR, 1);
	for (unsigned int sgi = 0; sgi < 16; sgi++)
		gic_enable(sgi);
}

void send_sgi(unsigned int cpu, unsigned int sgi)
{
	dsb();
	write32(GICD + GICD_SGIR, 1u << (16 + cpu) | sgi);
}

uint64_t now(void)
{
	isb();
	return mrs(cntvct_el0);
}

uint64_t ns_to_ticks(uint64_t ns)
{
	return ns * (mrs(cntfrq_el0) / 1000000) / 1000;
}

/* --- The loop --- */

static const struct {
	const char *name;
	const struct test *tests;
} groups[] = {
	{"precise", group_precise}, {"code", group_code},       {"tables", group_tables},
	{"smp", group_smp},         {"atomics", group_atomics}, {"waits", group_waits},
	{"nested", group_nested},   {"access", group_access},   {"loops", group_loops},
	{"debug", group_debug},     {"fuzz", group_fuzz},       {"counts", group_counts},
	{"fatal", group_fatal},
};

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/*
 * "KEY=value" on the command line. The device tree is searched as text: nothing else in it looks
 * like that.
 */
static bool argument(const char *dtb, const char *key, char *value, size_t max)
{
	const uint8_t *h = (const uint8_t *)dtb;
	size_t size = (size_t)h[4] << 24 | h[5] << 16 | h[6] << 8 | h[7], k = 0, n = 0;

	while (key[k])
		k++;
	for (size_t i = 0; i + k < size; i++) {
		if (memcmp(dtb + i, key, k))
			continue;
		for (i += k; dtb[i] > ' ' && n < max - 1; i++)
			value[n++] = dtb[i];
		value[n] = 0;
		return true;
	}
	return false;
}

static void run(const struct test *t)
{
	running = t->name;
	failures = 0;
	mmu_reset_window();
	catch_faults(false);
	this_cpu()->irq = NULL;
	t->run();
	irqs_off();
	say("%s - %s\n", failures ? "not ok" : "ok", t->name);
}

int main(const char *dtb);
int main(const char *dtb)
{
	char group[32] = "", test[32] = "", seed[32] = "";

	argument(dtb, "group=", group, sizeof(group));
	argument(dtb, "test=", test, sizeof(test));
	argument(dtb, "seed=", seed, sizeof(seed));
	for (unsigned int i = 0; seed[i]; i++)
		random_state = (random_state ^ (uint8_t)seed[i]) * 1099511628211ull;
	mmu_init();
	mmu_on();
	gic_init_cpu();
	for (unsigned int i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (!same(groups[i].name, group))
			continue;
		for (const struct test *t = groups[i].tests; t->name; t++)
			if (test[0] ? same(test, t->name) : groups[i].tests != group_fatal)
				run(t);
	}
	say("END\n");
	power_off();
}
