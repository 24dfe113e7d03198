/* SPDX-License-Identifier: MIT */
/*
 * A big-endian kernel in small: data, page tables and the stack that exceptions use are big-endian,
 * devices are not, and at EL0 SCTLR_EL1.E0E decides. It says what it found on the serial port, as
 * TAP, and powers off.
 */
#include <stdbool.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_BIG_ENDIAN__
#error this is to be compiled with -mbig-endian
#endif

#define GICD       0x08000000ull
#define GICC       0x08010000ull
#define UART       0x09000000ull
#define ALIAS      (4ull << 30) /* memory's second virtual address */
#define MEMORY     (1ull << 30)
#define GIB        (1ull << 30)
#define SYSTEM_OFF 0x84000008u
#define VTIMER     27

#define SCTLR_M   (1ull << 0)
#define SCTLR_E0E (1ull << 24)

#define msr(reg, value) asm volatile("msr " #reg ", %0\n isb" ::"r"((uint64_t)(value)) : "memory")
#define mrs(reg)                                                 \
	({                                                       \
		uint64_t mrs_value;                              \
		asm volatile("mrs %0, " #reg : "=r"(mrs_value)); \
		mrs_value;                                       \
	})

uint64_t call_el0(const void *data);
void back_from_el0(void);
uint64_t trap(unsigned int vector, uint64_t x0);
void main(void);

/* ---- Devices: little-endian ------------------------------------------------------------- */

static uint32_t rd(uint64_t addr)
{
	return __builtin_bswap32(*(volatile uint32_t *)addr);
}

static void wr(uint64_t addr, uint32_t value)
{
	*(volatile uint32_t *)addr = __builtin_bswap32(value);
}

static void put(const char *text)
{
	while (*text)
		wr(UART, (uint8_t)*text++);
}

static void check(bool good, const char *what)
{
	put(good ? "ok - " : "not ok - ");
	put(what);
	put("\n");
}

/* ---- Tests ------------------------------------------------------------------------------ */

static union {
	uint8_t bytes[32];
	uint16_t halves[16];
	uint32_t words[8];
	uint64_t doubles[4];
} volatile data __attribute__((aligned(32)));

static void count_up(void)
{
	for (unsigned int i = 0; i < 32; i++)
		data.bytes[i] = (uint8_t)i;
}

static void memory(void)
{
	count_up();
	check(data.halves[1] == 0x0203 && data.words[1] == 0x04050607 &&
		      data.doubles[1] == 0x08090a0b0c0d0e0full,
	      "loads");
	check((int16_t)(data.halves[0] = 0xfedc) < 0 && data.bytes[0] == 0xfe, "a store");
	data.doubles[2] = 0x1122334455667788ull;
	check(data.bytes[16] == 0x11 && data.words[5] == 0x55667788, "a part of what was stored");
}

static void pairs_and_exclusives(void)
{
	uint64_t a, b;
	uint32_t c, d, status;

	count_up();
	asm volatile("ldp %0, %1, [%4]\n ldp %w2, %w3, [%4]"
		     : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d)
		     : "r"(&data)
		     : "memory");
	check(a == 0x0001020304050607ull && b == 0x08090a0b0c0d0e0full && c == 0x00010203 &&
		      d == 0x04050607,
	      "LDP");
	asm volatile("1: ldaxp %0, %1, [%4]\n stlxp %w2, %1, %0, [%4]\n cbnz %w2, 1b"
		     : "=&r"(a), "=&r"(b), "=&r"(status)
		     : "m"(data), "r"(&data)
		     : "memory");
	check(a == 0x0001020304050607ull && data.doubles[0] == b && data.doubles[1] == a,
	      "LDAXP and STLXP");
	count_up();
	asm volatile("1: ldaxp %w0, %w1, [%4]\n stlxp %w2, %w1, %w0, [%4]\n cbnz %w2, 1b"
		     : "=&r"(c), "=&r"(d), "=&r"(status)
		     : "m"(data), "r"(&data)
		     : "memory");
	check(c == 0x00010203 && d == 0x04050607 && data.bytes[0] == 4 && data.bytes[4] == 0,
	      "LDAXP and STLXP of words");
}

static void atomics(void)
{
	register uint64_t r0 asm("x4"), r1 asm("x5"), n0 asm("x6"), n1 asm("x7");
	uint64_t old;

	count_up();
	asm volatile("ldaddal %1, %0, [%2]" : "=&r"(old) : "r"(1ull), "r"(&data) : "memory");
	check(old == 0x0001020304050607ull && data.bytes[7] == 8, "LDADD");
	asm volatile("ldsetal %w1, %w0, [%2]" : "=&r"(old) : "r"(0x80), "r"(&data) : "memory");
	check(data.bytes[3] == 0x83, "LDSET of a word");
	r0 = data.doubles[0];
	r1 = data.doubles[1];
	n0 = 0xa1ull << 56;
	n1 = 0xb2;
	asm volatile("caspal x4, x5, x6, x7, [%4]"
		     : "+r"(r0), "+r"(r1)
		     : "r"(n0), "r"(n1), "r"(&data)
		     : "memory");
	check(data.bytes[0] == 0xa1 && data.bytes[15] == 0xb2, "CASP");
}

/* A whole register is one number of 128 bits; elements have their own order. */
static void vectors(void)
{
	uint64_t low, high, element;

	count_up();
	asm volatile("ldr q0, [%3]\n mov %0, v0.d[0]\n mov %1, v0.d[1]\n"
		     "ld1 {v1.4s}, [%3]\n umov %w2, v1.s[1]"
		     : "=&r"(low), "=&r"(high), "=&r"(element)
		     : "r"(&data)
		     : "v0", "v1", "memory");
	check(high == 0x0001020304050607ull && low == 0x08090a0b0c0d0e0full, "LDR of a Q register");
	check((uint32_t)element == 0x04050607, "LD1 of words");
	asm volatile("rev64 v1.16b, v0.16b\n st1 {v1.16b}, [%0]" ::"r"(&data.bytes[16])
		     : "v1", "memory");
	/* v0.b[0] is the last byte in memory; REV64 puts b[7] in its place. */
	check(data.bytes[16] == 8 && data.bytes[23] == 15 && data.bytes[31] == 7, "ST1 of bytes");
}

static uint64_t table[512] __attribute__((aligned(4096)));

static void mmu(void)
{
	table[0] = 0x0000000000000405ull | 3ull << 53;       /* devices: block, AF, MAIR 1 */
	table[1] = MEMORY | 0x701ull;                        /* Normal, inner shareable */
	table[ALIAS / GIB] = MEMORY | 0x741ull | 3ull << 53; /* also for EL0 */
	msr(mair_el1, 0x04ff);
	msr(tcr_el1, 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 1ull << 32);
	msr(ttbr0_el1, (uint64_t)table);
	asm volatile("dsb ish\n tlbi vmalle1\n dsb ish\n isb" ::: "memory");
	msr(sctlr_el1, mrs(sctlr_el1) | SCTLR_M | 1 << 2 | 1 << 12);
	check(true, "the tables are walked");
	count_up();
	check(*(volatile uint32_t *)((uint64_t)&data + ALIAS - MEMORY + 4) == 0x04050607,
	      "an alias of memory");
}

static volatile unsigned int calls, interrupts;

uint64_t trap(unsigned int vector, uint64_t x0)
{
	if (vector == 5) { /* IRQ from EL1 */
		const uint32_t iar = rd(GICC + 0xc);

		interrupts += (iar & 0x3ff) == VTIMER;
		msr(cntv_ctl_el0, 0);
		wr(GICC + 0x10, iar);
	} else if (vector == 8 && mrs(esr_el1) >> 26 == 0x15) { /* SVC from EL0 */
		calls++;
		msr(elr_el1, (uint64_t)back_from_el0);
		msr(spsr_el1, 0x3c5);
	} else if (vector == 4 && mrs(esr_el1) >> 26 == 0x15) { /* SVC from EL1 */
		calls++;
		return x0 + 1;
	} else {
		check(false, "an exception that nobody expects");
		asm volatile("mov w0, %w0\n hvc #0" ::"r"(SYSTEM_OFF) : "x0", "x1", "x2", "x3");
	}
	return x0;
}

static void exceptions(void)
{
	register uint64_t x0 asm("x0") = 0x1122334455667788ull;

	asm volatile("svc #0" : "+r"(x0)::"memory");
	check(x0 == 0x1122334455667789ull && calls == 1, "SVC, and registers on the stack");
	wr(GICD, 1);
	wr(GICD + 0x100, 1u << VTIMER);
	wr(GICC + 4, 0xff);
	wr(GICC, 1);
	msr(cntv_cval_el0, mrs(cntvct_el0) + 1000);
	msr(cntv_ctl_el0, 1);
	asm volatile("msr daifclr, #2");
	while (!interrupts)
		;
	check(interrupts == 1, "the timer's interrupt");
}

/* The code runs where the kernel has it, which EL0 may execute; the data is in the alias. */
static void user(bool little)
{
	uint64_t got;

	count_up();
	msr(sctlr_el1, little ? mrs(sctlr_el1) & ~SCTLR_E0E : mrs(sctlr_el1) | SCTLR_E0E);
	got = call_el0((const void *)((uint64_t)&data + ALIAS - MEMORY));
	if (little)
		check(got == 0x0706050403020100ull && data.bytes[8] == 0, "EL0, little-endian");
	else
		check(got == 0x0001020304050607ull && data.bytes[8] == 0, "EL0, big-endian");
	/* The kernel's own accesses are as they were. */
	check(data.words[1] == 0x04050607, "EL1 after that");
}

void main(void)
{
	check(rd(UART + 0xfe0) == 0x11 && rd(UART + 0xff0) == 0x0d, "devices are little-endian");
	memory();
	pairs_and_exclusives();
	atomics();
	vectors();
	mmu();
	memory();
	pairs_and_exclusives();
	atomics();
	vectors();
	exceptions();
	user(false);
	user(true);
	put("END\n");
	asm volatile("mov w0, %w0\n hvc #0" ::"r"(SYSTEM_OFF) : "x0", "x1", "x2", "x3");
}
