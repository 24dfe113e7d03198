/* SPDX-License-Identifier: MIT */
/*
 * What exits cost: a bare-metal guest for the "virt" machine, ours and QEMU's. It prints lines
 * "bench NAME VALUE UNIT" like guest.c, and powers the machine off. Values are the best of several
 * rounds.
 *
 * ONLY_TIMER leaves the first row, so that what the VMM counts is that row's.
 *
 * vCPU 1 answers: it counts the interrupts that it gets, spinning or, when it is told to, in WFI.
 */
#include <stdbool.h>
#include <stdint.h>

#define GICD            0x08000000ul
#define GICC            0x08010000ul
#define UART            0x09000000ul
#define UART_DR         0x000
#define UART_FR         0x018
#define GICD_CTLR       0x000
#define GICD_ISENABLER  0x100
#define GICD_SGIR       0xf00
#define GICC_CTLR       0x000
#define GICC_PMR        0x004
#define GICC_IAR        0x00c
#define GICC_EOIR       0x010
#define SPURIOUS        1023
#define SGIS            0xffffu
#define VTIMER          27
#define PSCI_VERSION    0x84000000ul
#define PSCI_SYSTEM_OFF 0x84000008ul
#define PSCI_CPU_ON     0xc4000003ul

#ifndef ONLY_TIMER
#define ONLY_TIMER 0
#endif

#define ROUNDS 9
#define STACK  4096

static volatile uint32_t answered, asleep_wanted, ready;
__attribute__((aligned(16), used)) static char stacks[2][STACK];

static inline void write32(unsigned long addr, uint32_t value)
{
	__asm__ volatile("str %w0, [%1]" ::"r"(value), "r"(addr) : "memory");
}

static inline uint32_t read32(unsigned long addr)
{
	uint32_t value;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(addr) : "memory");
	return value;
}

static uint64_t now(void)
{
	uint64_t t;

	__asm__ volatile("isb\n mrs %0, cntvct_el0" : "=r"(t)::"memory");
	return t;
}

static uint64_t frequency(void)
{
	uint64_t f;

	__asm__("mrs %0, cntfrq_el0" : "=r"(f));
	return f;
}

static long hvc(unsigned long fn, unsigned long a, unsigned long b, unsigned long c)
{
	register unsigned long x0 __asm__("x0") = fn;
	register unsigned long x1 __asm__("x1") = a;
	register unsigned long x2 __asm__("x2") = b;
	register unsigned long x3 __asm__("x3") = c;

	__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
	return (long)x0;
}

/* ---- Output ---- */

static void put(char c)
{
	write32(UART + UART_DR, (uint8_t)c);
}

static void print(const char *s)
{
	while (*s)
		put(*s++);
}

static void print_number(uint64_t n)
{
	if (n > 9)
		print_number(n / 10);
	put((char)('0' + n % 10));
}

/* ---- What is measured ---- */

static void mmio_read(unsigned long n)
{
	while (n--)
		read32(UART + UART_FR);
}

static void eoi(unsigned long n)
{
	while (n--)
		write32(GICC + GICC_EOIR, SPURIOUS);
}

static void hyp_call(unsigned long n)
{
	while (n--)
		hvc(PSCI_VERSION, 0, 0, 0);
}

static void vtimer_on(bool on)
{
	__asm__ volatile("msr cntv_ctl_el0, %0\n isb" ::"r"((uint64_t)on) : "memory");
}

/* An interrupt of the timer from its rise to the end of its handler, which turns the timer off. */
static void timer(unsigned long n)
{
	__asm__ volatile("msr cntv_cval_el0, xzr\n msr daifclr, #2" ::: "memory");
	while (n--) {
		uint32_t before = answered;

		vtimer_on(true);
		while (answered == before)
			;
	}
	__asm__ volatile("msr daifset, #2" ::: "memory");
}

static void ipi(unsigned long n)
{
	while (n--) {
		uint32_t before = answered;

		write32(GICD + GICD_SGIR, 2u << 16);
		while (answered == before)
			;
	}
}

static void ipi_running(unsigned long n)
{
	asleep_wanted = 0;
	ipi(n);
}

static void ipi_asleep(unsigned long n)
{
	asleep_wanted = 1;
	ipi(n);
	asleep_wanted = 0;
	ipi(1);
}

static void measure(const char *name, void (*fn)(unsigned long n), unsigned long n)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int r = 0; r < ROUNDS; r++) {
		uint64_t start = now();

		fn(n);
		uint64_t took = now() - start;

		if (took < best)
			best = took;
	}
	/* In hundredths of a nanosecond, for each. */
	best = best * (1000000000u / frequency()) * 100 / n;
	print("bench ");
	print(name);
	put(' ');
	print_number(best / 100);
	put('.');
	put((char)('0' + best / 10 % 10));
	put((char)('0' + best % 10));
	print(" ns\n");
}

/* ---- Start, and interrupts ---- */

__attribute__((used)) void on_interrupt(void);
void on_interrupt(void)
{
	uint32_t iar = read32(GICC + GICC_IAR);

	if ((iar & 0x3ff) == SPURIOUS)
		return;
	if (iar == VTIMER)
		vtimer_on(false);
	write32(GICC + GICC_EOIR, iar);
	answered = answered + 1;
}

static const struct {
	const char *name;
	void (*fn)(unsigned long n);
	unsigned long n;
} rows[] = {
	{"irq-timer", timer, 20000},
	{"exit-mmio", mmio_read, 20000},
	{"exit-eoi", eoi, 20000},
	{"exit-hvc", hyp_call, 20000},
};

#define NR_ROWS (ONLY_TIMER ? 1 : sizeof(rows) / sizeof(*rows))

static void cpu_init(void)
{
	extern char vectors[];

	__asm__ volatile("msr vbar_el1, %0\n isb" ::"r"(vectors));
	write32(GICD + GICD_ISENABLER, SGIS | 1u << VTIMER);
	write32(GICC + GICC_PMR, 0xff);
	write32(GICC + GICC_CTLR, 1);
}

__attribute__((used, noreturn)) void second(void);
void second(void)
{
	cpu_init();
	ready = 1;
	__asm__ volatile("msr daifclr, #2" ::: "memory");
	for (;;)
		if (asleep_wanted)
			__asm__ volatile("wfi" ::: "memory");
}

__attribute__((used, noreturn)) void first(void);
void first(void)
{
	extern char second_entry[];

	write32(GICD + GICD_CTLR, 1);
	cpu_init();
	for (unsigned int i = 0; i < NR_ROWS; i++)
		measure(rows[i].name, rows[i].fn, rows[i].n);
	if (!ONLY_TIMER && !hvc(PSCI_CPU_ON, 1, (unsigned long)second_entry, 0)) {
		while (!ready)
			;
		measure("ipi-running", ipi_running, 2000);
		measure("ipi-asleep", ipi_asleep, 500);
	}
	for (;;)
		hvc(PSCI_SYSTEM_OFF, 0, 0, 0);
}

/* The linker puts this section first, and what is first is where the machine begins. */
__asm__(".section .text.unlikely, \"ax\"\n"
	".globl _start\n"
	"_start:\n"
	"	mov	x1, #3 << 20\n" /* CPACR_EL1.FPEN */
	"	msr	cpacr_el1, x1\n"
	"	isb\n"
	"	adrp	x1, stacks + 4096\n"
	"	add	x1, x1, :lo12:stacks + 4096\n"
	"	mov	sp, x1\n"
	"	b	first\n"
	".globl second_entry\n"
	"second_entry:\n"
	"	mov	x1, #3 << 20\n"
	"	msr	cpacr_el1, x1\n"
	"	isb\n"
	"	adrp	x1, stacks + 8192\n"
	"	add	x1, x1, :lo12:stacks + 8192\n"
	"	mov	sp, x1\n"
	"	b	second\n"
	".balign 2048\n"
	".globl vectors\n"
	"vectors:\n"
	".rept 5\n"
	"	b	.\n"
	".balign 128\n"
	".endr\n"
	/* IRQ, from the same level with its own stack. */
	"	stp	x29, x30, [sp, #-176]!\n"
	"	stp	x0, x1, [sp, #16]\n"
	"	stp	x2, x3, [sp, #32]\n"
	"	stp	x4, x5, [sp, #48]\n"
	"	stp	x6, x7, [sp, #64]\n"
	"	stp	x8, x9, [sp, #80]\n"
	"	stp	x10, x11, [sp, #96]\n"
	"	stp	x12, x13, [sp, #112]\n"
	"	stp	x14, x15, [sp, #128]\n"
	"	stp	x16, x17, [sp, #144]\n"
	"	str	x18, [sp, #160]\n"
	"	bl	on_interrupt\n"
	"	ldr	x18, [sp, #160]\n"
	"	ldp	x16, x17, [sp, #144]\n"
	"	ldp	x14, x15, [sp, #128]\n"
	"	ldp	x12, x13, [sp, #112]\n"
	"	ldp	x10, x11, [sp, #96]\n"
	"	ldp	x8, x9, [sp, #80]\n"
	"	ldp	x6, x7, [sp, #64]\n"
	"	ldp	x4, x5, [sp, #48]\n"
	"	ldp	x2, x3, [sp, #32]\n"
	"	ldp	x0, x1, [sp, #16]\n"
	"	ldp	x29, x30, [sp], #176\n"
	"	eret\n"
	".balign 128\n"
	".rept 10\n"
	"	b	.\n"
	".balign 128\n"
	".endr\n");
