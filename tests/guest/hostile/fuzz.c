/* SPDX-License-Identifier: MIT */
/*
 * Random words at EL0, every system register and system instruction at EL1, random accesses to all
 * devices. Nothing is known of the results but that the machine outlives them.
 */
#include "guest.h"

#define SVC_0     0xd4000001u
#define MRS       0xd5300000u
#define MSR       0xd5100000u
#define SYS       0xd5080000u
#define RET       0xd65f03c0u
#define UART_CR   0x30
#define UART_IMSC 0x38

void el0_done(uint64_t value) __attribute__((noreturn));

static uint64_t words_run, words_undefined;

static void from_el0(struct frame *f)
{
	if (EC(f->esr) == 0)
		words_undefined++;
	msr(cntv_ctl_el0, 0);
	el0_done(0);
}

static void give_up(struct frame *f, unsigned int intid)
{
	msr(cntv_ctl_el0, 0);
	write32(GICC + 0x10, intid);
	if (f->vector >= 8)
		el0_done(0);
}

/*
 * Random words, some of them near those that are instructions. Registers point into the window or
 * anywhere; a loop is ended by the timer.
 */
static void words(void)
{
	static const uint32_t near[] = {0xb8200000, 0xf8000000, 0x4e200400, 0x1e200000, 0x0c000000,
					0xa8000000, 0x08000000, 0xd53b0000, 0x6e200400, 0x5e000400};
	uint32_t *p = page(0);

	map(W(0), p, NORMAL | D_EL0 | D_RO | D_PXN | D_NG);
	for (unsigned int i = 1; i < 8; i++)
		map(W(i), page(i), NORMAL | D_EL0 | D_PXN | D_NG);
	gic_enable(PPI_VTIMER);
	this_cpu()->sync = from_el0;
	this_cpu()->irq = give_up;
	for (unsigned int round = 0; round < 20000; round++) {
		unsigned int n = 0, at = rnd() % 200;

		/* x1 to x4: into the window, small, anywhere */
		for (unsigned int x = 1; x < 5; x++) {
			uint64_t v = x == 1   ? W(1) + rnd() % (6 * PAGE)
				     : x == 2 ? W(1) + (rnd() % (6 * PAGE) & ~63ull)
				     : x == 3 ? rnd() % 64
					      : rnd();

			for (unsigned int hw = 0; hw < 4; hw++)
				p[at + n++] = (hw ? 0xf2800000u : 0xd2800000u) | hw << 21 |
					      (uint32_t)(v >> 16 * hw & 0xffff) << 5 | x;
		}
		for (unsigned int k = 0; k < 4; k++) {
			uint32_t w = (uint32_t)rnd();

			if (rnd() % 2)
				w = near[rnd() % 10] ^ (w & rnd() & 0xe0ffffff);
			if (rnd() % 4)
				w = (w & ~0x3e0u) | (uint32_t)(1 + rnd() % 2) << 5;
			p[at + n++] = w;
		}
		p[at + n++] = SVC_0;
		sync_code(p + at, 4 * n);
		msr(cntv_tval_el0, ns_to_ticks(300000));
		msr(cntv_ctl_el0, 1);
		/* SPSR 0: interrupts are taken at EL0. */
		call_el0(W(0) + 4 * at, W(5), rnd());
		words_run += 4;
	}
	CHECK(words_undefined > 0 && words_undefined < words_run);
}

static uint64_t run_word(uint32_t word, uint64_t x0)
{
	static uint32_t *p;

	p = page(0);
	p[0] = word;
	p[1] = RET;
	sync_code(p, 8);
	return ((uint64_t(*)(uint64_t))p)(x0);
}

/* Registers without which the guest is lost: op0:op1:CRn:CRm:op2 as in the instruction. */
#define REG(op0, op1, crn, crm, op2) \
	((uint32_t)(op0) << 19 | (op1) << 16 | (crn) << 12 | (crm) << 8 | (op2) << 5)

static bool vital(uint32_t reg)
{
	static const uint32_t keep[] = {
		REG(3, 0, 1, 0, 0),  /* SCTLR_EL1 */
		REG(3, 0, 2, 0, 0),  /* TTBR0_EL1 */
		REG(3, 0, 2, 0, 1),  /* TTBR1_EL1 */
		REG(3, 0, 2, 0, 2),  /* TCR_EL1 */
		REG(3, 0, 10, 2, 0), /* MAIR_EL1 */
		REG(3, 0, 12, 0, 0), /* VBAR_EL1 */
		REG(3, 0, 13, 0, 4), /* TPIDR_EL1 */
		REG(3, 0, 4, 2, 0),  /* SPSel */
		REG(3, 3, 4, 2, 1),  /* DAIF */
		REG(2, 0, 0, 2, 2),  /* MDSCR_EL1 */
	};

	for (unsigned int i = 0; i < sizeof(keep) / sizeof(keep[0]); i++)
		if (keep[i] == reg)
			return true;
	return false;
}

/* Every encoding that MRS and MSR have, read, written with something, and read again. */
static void registers(void)
{
	unsigned int there = 0;

	catch_faults(true);
	for (uint32_t reg = REG(2, 0, 0, 0, 0); reg <= REG(3, 7, 15, 15, 7); reg += 1 << 5) {
		unsigned int faults = this_cpu()->faults;
		uint64_t old = run_word(MRS | reg, 0);
		bool readable = this_cpu()->faults == faults;

		if (!readable && EC(this_cpu()->esr) != 0)
			CHECK_EQ(EC(this_cpu()->esr), 0);
		there += readable;
		if (vital(reg))
			continue;
		run_word(MSR | reg, rnd());
		run_word(MRS | reg, 0);
		if (readable)
			run_word(MSR | reg, old);
	}
	CHECK(there > 100 && there < 600);
	msr(cntv_ctl_el0, 0);
	msr(cntp_ctl_el0, 0);
	msr(cpacr_el1, 3 << 20);
	isb();
}

/* Every SYS encoding, on addresses of the window: mapped, not mapped, and a device's. */
static void instructions(void)
{
	uint64_t where[] = {W(1), W(2) + 77, W(3), W(9), H(1), rnd()};

	catch_faults(true);
	map(W(1), page(1), NORMAL);
	map(W(2), page(2), NORMAL | D_RO);
	map(W(3), (void *)UART, D_AF | D_DEVICE);
	for (uint32_t op = 0; op < 1 << 14; op++)
		run_word(SYS | op << 5, where[rnd() % 6]);
	/* Hints, barriers and PSTATE fields that do not mask or wait. */
	for (uint32_t hint = 6; hint < 128; hint++)
		run_word(0xd503201f | hint << 5, 0);
	for (uint32_t op = 0; op < 128; op++)
		run_word(0xd503301f | op << 5, 0);
	for (unsigned int i = 0; i < 20; i++)
		CHECK_EQ(run_word(0x91001400 /* add x0, x0, #5 */, i), i + 5);
	asm volatile("msr pan, #0\n msr uao, #0");
}

static void device_access(uint64_t at, bool write, unsigned int size, uint64_t v)
{
	if (write && size == 0)
		asm volatile("strb %w0, [%1]" ::"r"(v), "r"(at) : "memory");
	else if (write && size == 1)
		asm volatile("strh %w0, [%1]" ::"r"(v), "r"(at) : "memory");
	else if (write && size == 2)
		asm volatile("str %w0, [%1]" ::"r"(v), "r"(at) : "memory");
	else if (write)
		asm volatile("str %0, [%1]" ::"r"(v), "r"(at) : "memory");
	else if (size == 0)
		asm volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(at) : "memory");
	else if (size == 1)
		asm volatile("ldrh %w0, [%1]" : "=r"(v) : "r"(at) : "memory");
	else if (size == 2)
		asm volatile("ldr %w0, [%1]" : "=r"(v) : "r"(at) : "memory");
	else
		asm volatile("ldr %0, [%1]" : "=r"(v) : "r"(at) : "memory");
}

static uint64_t device_value(void)
{
	switch (rnd() % 5) {
	case 0:
		return rnd();
	case 1:
		return rnd() % 8;
	case 2:
		return 1ull << rnd() % 64;
	case 3:
		return (uint64_t)page(rnd() % 64) >> (rnd() % 2 ? 32 : 0);
	default:
		return ~0ull;
	}
}

static void quiet(void)
{
	for (unsigned int i = 0; i < 32; i++) {
		write32(GICD + 0x180 + 4 * i, ~0u); /* ICENABLER */
		write32(GICD + 0x280 + 4 * i, ~0u); /* ICPENDR */
		write32(GICD + 0x380 + 4 * i, ~0u); /* ICACTIVER */
	}
	for (unsigned int i = 0; i < 4; i++)
		write32(GICD + 0xf10 + 4 * i, ~0u); /* CPENDSGIR */
	write32(UART + UART_IMSC, 0);
	write32(UART + UART_CR, 0x301);
	gic_init_cpu();
}

static void devices(void)
{
	static const struct {
		uint64_t base, size;
	} regions[] = {
		{GICD, 0x1000},       {GICC, 0x2000},       {UART, 0x1000},
		{0x09010000, 0x1000}, {0x0a000000, 0x4000}, {0x0a000000, 0x200},
	};

	catch_faults(true);
	irqs_off();
	for (unsigned int i = 0; i < 60000; i++) {
		unsigned int r = rnd() % 6, size = rnd() % 8 ? 2 : rnd() % 4;
		uint64_t at = regions[r].base + rnd() % regions[r].size;
		bool write = rnd() & 1;

		/* Devices are Device memory: unaligned is a fault, so seldom. */
		if (rnd() % 32)
			at &= ~((1ull << size) - 1);
		/* What is sent would be seen as the results of tests. */
		if (write && (at & ~7ull) == UART)
			continue;
		device_access(at, write, size, device_value());
		if (i % 1000 == 0)
			quiet();
	}
	quiet();
	CHECK_EQ(read32(UART + 0xfe0), 0x11);
}

const struct test group_fuzz[] = {{"words", words},
				  {"registers", registers},
				  {"instructions", instructions},
				  {"devices", devices},
				  {NULL, NULL}};
