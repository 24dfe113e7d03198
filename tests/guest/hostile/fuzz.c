/* SPDX-License-Identifier: MIT */
/*
 * Random words at EL0, every system register and system instruction at EL1, random accesses to all
 * devices. Nothing is known of the results but that the machine outlives them.
 */
#include "guest.h"

#define MRS       0xd5300000u
#define MSR       0xd5100000u
#define SYS       0xd5080000u
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

/* --- A disk's queue --- */

#define VIRTIO             0x0a000000ull
#define VIRTIO_MAGIC       0x74726976u
#define VQ_SIZE            8u
#define DESC_NEXT          1
#define DESC_WRITE         2
#define STATUS_OK          15 /* acknowledge, driver, driver ok, features ok */
#define STATUS_NEEDS_RESET 0x40
#define NOT_DONE           0xaa

enum virtio_reg {
	V_MAGIC = 0x00,
	V_DEVICE = 0x08,
	V_FEATURES = 0x20,
	V_FEATURES_SEL = 0x24,
	V_QUEUE_SEL = 0x30,
	V_QUEUE_NUM = 0x38,
	V_QUEUE_READY = 0x44,
	V_NOTIFY = 0x50,
	V_INT_STATUS = 0x60,
	V_INT_ACK = 0x64,
	V_STATUS = 0x70,
	V_DESC = 0x80,
	V_AVAIL = 0x90,
	V_USED = 0xa0,
};

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static uint32_t v_read(enum virtio_reg reg)
{
	return read32(VIRTIO + reg);
}

static void v_write(enum virtio_reg reg, uint32_t v)
{
	write32(VIRTIO + reg, v);
}

static void v_address(enum virtio_reg reg, uint64_t at)
{
	v_write(reg, (uint32_t)at);
	v_write(reg + 4, (uint32_t)(at >> 32));
}

static void start_disk(uint64_t desc, uint64_t avail, uint64_t used, uint32_t num)
{
	v_write(V_STATUS, 0);
	v_write(V_STATUS, 1);
	v_write(V_STATUS, 3);
	v_write(V_FEATURES_SEL, 1);
	v_write(V_FEATURES, 1); /* version 1 */
	v_write(V_FEATURES_SEL, 0);
	v_write(V_FEATURES, 0);
	v_write(V_STATUS, 11);
	v_write(V_QUEUE_SEL, 0);
	v_write(V_QUEUE_NUM, num);
	v_address(V_DESC, desc);
	v_address(V_AVAIL, avail);
	v_address(V_USED, used);
	v_write(V_QUEUE_READY, 1);
	v_write(V_STATUS, STATUS_OK);
}

/* The queue and the data lie in the first big page; nothing else of ours may be written to. */
static uint64_t data_address(uint32_t *len)
{
	static const uint64_t bad[] = {0,          8,     GICD,        NOTHING,    UART,
				       0x3ffffff0, ~0ull, ~0ull - 511, 1ull << 40, 0x4ffff000};
	static const uint32_t lengths[] = {0,   1,    15,    16,      17,         511,       512,
					   513, 4096, 65536, 0x80000, 0xffffffff, 0x80000000};

	*len = lengths[rnd() % 11];
	if (rnd() % 6)
		return (uint64_t)big_page(0) + 0x10000 + rnd() % 0x100000;
	*len = lengths[rnd() % 13];
	if (rnd() % 2) {
		*len = 0xffffffff; /* begins in memory */
		return (uint64_t)big_page(0) + 0x10000;
	}
	return bad[rnd() % 10];
}

static void random_ring(struct desc *d, volatile uint16_t *avail)
{
	for (unsigned int i = 0; i < VQ_SIZE; i++) {
		d[i].addr = data_address(&d[i].len);
		d[i].flags = rnd() % 16 ? rnd() % 4 : (uint16_t)rnd();
		d[i].next = rnd() % 16 ? (i + 1) % VQ_SIZE : (uint16_t)rnd() % 12;
		/* Often what a request begins with: a header of 16 bytes. */
		if (i % 3 == 0 && rnd() % 4) {
			uint64_t *header = (uint64_t *)((uint8_t *)big_page(0) + 0x8000 + 64 * i);

			header[0] = rnd() % 4 ? rnd() % 2 : rnd() % 16;
			header[1] = rnd() % 4 ? rnd() % 2048 : rnd();
			d[i] = (struct desc){(uint64_t)header, 16, DESC_NEXT,
					     (uint16_t)((i + 1) % VQ_SIZE)};
		}
	}
	for (unsigned int i = 0; i < VQ_SIZE; i++)
		avail[2 + i] = rnd() % 8 ? (uint16_t)(rnd() % VQ_SIZE) : (uint16_t)rnd();
	dmb();
	avail[1] = rnd() % 8 ? (uint16_t)(avail[1] + rnd() % VQ_SIZE) : (uint16_t)rnd();
}

/* Read the first sector; the device must be as good as new after a reset. */
static bool reads_a_sector(void)
{
	uint8_t *base = big_page(0);
	struct desc *d = (struct desc *)base;
	volatile uint16_t *avail = (uint16_t *)(base + 0x1000), *used = (uint16_t *)(base + 0x2000);
	uint64_t *header = (uint64_t *)(base + 0x3000), t = now();
	volatile uint8_t *status = base + 0x4000;

	memset(base, 0, 0x5000);
	*status = NOT_DONE;
	header[0] = header[1] = 0;
	d[0] = (struct desc){(uint64_t)header, 16, DESC_NEXT, 1};
	d[1] = (struct desc){(uint64_t)base + 0x5000, 512, DESC_NEXT | DESC_WRITE, 2};
	d[2] = (struct desc){(uint64_t)status, 1, DESC_WRITE, 0};
	start_disk((uint64_t)d, (uint64_t)avail, (uint64_t)used, VQ_SIZE);
	avail[1] = 1;
	dsb();
	v_write(V_NOTIFY, 0);
	while (used[1] != 1 && now() - t < ns_to_ticks(5000000000ull))
		;
	v_write(V_INT_ACK, v_read(V_INT_STATUS));
	return used[1] == 1 && *status == 0;
}

static void disk(void)
{
	uint8_t *base = big_page(0);
	unsigned int needs_reset = 0, completed = 0;

	if (v_read(V_MAGIC) != VIRTIO_MAGIC || v_read(V_DEVICE) != 2)
		return;
	irqs_off();
	CHECK(reads_a_sector());
	for (unsigned int i = 0; i < 1500; i++) {
		volatile uint16_t *used = (uint16_t *)(base + 0x2000);

		memset(base, 0, 0x3000);
		start_disk((uint64_t)base, (uint64_t)base + 0x1000, (uint64_t)base + 0x2000,
			   rnd() % 16 ? VQ_SIZE : (uint32_t)rnd() % 2048);
		for (unsigned int k = 0; k < 3; k++) {
			random_ring((struct desc *)base, (uint16_t *)(base + 0x1000));
			v_write(V_NOTIFY, rnd() % 8 ? 0 : (uint32_t)rnd());
			for (volatile unsigned int w = rnd() % 300; w; w--)
				;
			v_write(V_INT_ACK, v_read(V_INT_STATUS));
		}
		completed += used[1] != 0;
		needs_reset += (v_read(V_STATUS) & STATUS_NEEDS_RESET) != 0;
		if (i % 100 == 0)
			CHECK(reads_a_sector());
	}
	CHECK(reads_a_sector());
	CHECK(needs_reset > 0 && completed > 0);
	v_write(V_STATUS, 0);
	quiet();
}

const struct test group_fuzz[] = {
	{"words", words},     {"registers", registers}, {"instructions", instructions},
	{"devices", devices}, {"disk", disk},           {NULL, NULL}};
