/* SPDX-License-Identifier: MIT */
/* Accesses of every size at every offset, across pages, to devices, and to nothing. */
#include "guest.h"

static uint8_t reference[2 * PAGE];

static void fill(void)
{
	for (unsigned int i = 0; i < 2 * PAGE; i++)
		reference[i] = (uint8_t)(i * 7 + (i >> 8));
	memcpy(page(0), reference, PAGE);
	memcpy(page(7), reference + PAGE, PAGE);
}

#define LOAD(insn, type, va)                                        \
	({                                                          \
		uint64_t v_;                                        \
		asm volatile(insn : "=r"(v_) : "r"(va) : "memory"); \
		(type) v_;                                          \
	})

static uint64_t expect(unsigned int at, unsigned int size)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < size; i++)
		v |= (uint64_t)reference[at + i] << 8 * i;
	return v;
}

/* Two pages that are not neighbours in memory. */
static void unaligned_loads(void)
{
	fill();
	map(W(0), page(0), NORMAL);
	map(W(1), page(7), NORMAL);
	for (unsigned int at = PAGE - 40; at < PAGE + 8; at++) {
		uint64_t va = W(0) + at, a, b;
		uint8_t q[32];

		CHECK_EQ(LOAD("ldrb %w0, [%1]", uint64_t, va), expect(at, 1));
		CHECK_EQ(LOAD("ldrh %w0, [%1]", uint64_t, va), expect(at, 2));
		CHECK_EQ(LOAD("ldr %w0, [%1]", uint64_t, va), expect(at, 4));
		CHECK_EQ(LOAD("ldr %0, [%1]", uint64_t, va), expect(at, 8));
		CHECK_EQ(LOAD("ldrsh %0, [%1]", uint64_t, va),
			 (uint64_t)(int64_t)(int16_t)expect(at, 2));
		CHECK_EQ(LOAD("ldrsw %0, [%1]", uint64_t, va),
			 (uint64_t)(int64_t)(int32_t)expect(at, 4));
		asm volatile("ldp %0, %1, [%2]" : "=&r"(a), "=&r"(b) : "r"(va) : "memory");
		CHECK_EQ(a, expect(at, 8));
		CHECK_EQ(b, expect(at + 8, 8));
		asm volatile("ldp %w0, %w1, [%2]" : "=&r"(a), "=&r"(b) : "r"(va) : "memory");
		CHECK_EQ(a, expect(at, 4));
		CHECK_EQ(b, expect(at + 4, 4));
		asm volatile("ldp q0, q1, [%0]\n stp q0, q1, [%1]" ::"r"(va), "r"(q) : "memory");
		CHECK(!memcmp(q, reference + at, 32));
		asm volatile("ld1 {v0.16b, v1.16b}, [%0]\n stp q0, q1, [%1]" ::"r"(va), "r"(q)
			     : "memory");
		CHECK(!memcmp(q, reference + at, 32));
	}
}

static void check_memory(void)
{
	CHECK(!memcmp(page(0), reference, PAGE));
	CHECK(!memcmp(page(7), reference + PAGE, PAGE));
}

static void put(unsigned int at, uint64_t v, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		reference[at + i] = (uint8_t)(v >> 8 * i);
}

static void unaligned_stores(void)
{
	fill();
	map(W(0), page(0), NORMAL);
	map(W(1), page(7), NORMAL);
	for (unsigned int at = PAGE - 40; at < PAGE + 8; at++) {
		uint64_t va = W(0) + at, a = rnd(), b = rnd();

		asm volatile("strh %w0, [%1]" ::"r"(a), "r"(va) : "memory");
		put(at, a, 2);
		asm volatile("str %w0, [%1, #3]" ::"r"(b), "r"(va) : "memory");
		put(at + 3, b, 4);
		asm volatile("str %0, [%1, #9]" ::"r"(a), "r"(va) : "memory");
		put(at + 9, a, 8);
		asm volatile("stp %0, %1, [%2, #16]" ::"r"(b), "r"(a), "r"(va) : "memory");
		put(at + 16, b, 8);
		put(at + 24, a, 8);
		check_memory();
		asm volatile("fmov d0, %0\n ins v0.d[1], %1\n str q0, [%2]" ::"r"(a), "r"(b),
			     "r"(va)
			     : "memory");
		put(at, a, 8);
		put(at + 8, b, 8);
		check_memory();
	}
}

/* What must be aligned, is checked before anything else. */
static void alignment(void)
{
	map(W(0), page(0), NORMAL);
	for (unsigned int mapped = 0; mapped < 2; mapped++) {
		uint64_t va = W(mapped ? 0 : 5) + 4, t = 0;

		catch_faults(true);
		asm volatile("ldxr %0, [%1]" : "+r"(t) : "r"(va) : "memory");
		CHECK_EQ(FSC(this_cpu()->esr), FSC_ALIGNMENT);
		asm volatile("ldar %0, [%1]" : "+r"(t) : "r"(va) : "memory");
		asm volatile("stlr %0, [%1]" ::"r"(t), "r"(va) : "memory");
		CHECK_EQ(this_cpu()->esr, (uint64_t)EC_DABT << 26 | 1 << 25 | WNR | FSC_ALIGNMENT);
		asm volatile("ldadd %0, %0, [%1]" : "+r"(t) : "r"(va) : "memory");
		CHECK_EQ(FSC(this_cpu()->esr), FSC_ALIGNMENT);
		asm volatile("swp %0, %0, [%1]" : "+r"(t) : "r"(va) : "memory");
		asm volatile("cas %0, %0, [%1]" : "+r"(t) : "r"(va) : "memory");
		CHECK_EQ(this_cpu()->faults, 6);
		CHECK_EQ(this_cpu()->far, va);
	}
	/* Device memory */
	catch_faults(true);
	map(W(2), page(0), D_AF | D_DEVICE);
	(void)read64(W(2));
	CHECK_EQ(this_cpu()->faults, 0);
	(void)read64(W(2) + 1);
	CHECK_EQ(this_cpu()->faults, 1);
	CHECK_EQ(FSC(this_cpu()->esr), FSC_ALIGNMENT);
	asm volatile("dc zva, %0" ::"r"(W(2)) : "memory");
	CHECK_EQ(this_cpu()->faults, 2);
	CHECK_EQ(FSC(this_cpu()->esr), FSC_ALIGNMENT);
	/* SCTLR_EL1.A */
	catch_faults(true);
	msr(sctlr_el1, mrs(sctlr_el1) | 2);
	isb();
	(void)read64(W(0) + 4);
	CHECK_EQ(this_cpu()->faults, 1);
	(void)read32(W(0) + 4);
	CHECK_EQ(this_cpu()->faults, 1);
	msr(sctlr_el1, mrs(sctlr_el1) & ~2ull);
	isb();
	(void)read64(W(0) + 4);
	CHECK_EQ(this_cpu()->faults, 1);
}

/* DC ZVA: a block, whatever the address within it, and what is in its way. */
static void zero(void)
{
	uint64_t block = 4ull << (mrs(dczid_el0) & 15);

	fill();
	map(W(0), page(0), NORMAL);
	asm volatile("dc zva, %0" ::"r"(W(0) + 1024 + 13) : "memory");
	memset(reference + 1024, 0, block);
	check_memory();
	catch_faults(true);
	map(W(1), page(0), NORMAL | D_RO);
	asm volatile("dc zva, %0" ::"r"(W(1) + 77) : "memory");
	CHECK_EQ(this_cpu()->faults, 1);
	CHECK_EQ(this_cpu()->far, W(1) + 77);
	CHECK_EQ(this_cpu()->esr, (uint64_t)EC_DABT << 26 | 1 << 25 | WNR | FSC_PERMISSION | 3);
	check_memory();
}

/*
 * Registers of a device by every size that has a syndrome, sign-extended and into XZR; with
 * write-back it would have none.
 */
static void device(void)
{
	uint64_t id = UART + 0xfe0; /* UARTPeriphID0: 0x11 */

	CHECK_EQ(LOAD("ldr %w0, [%1]", uint64_t, id), 0x11);
	CHECK_EQ(LOAD("ldrh %w0, [%1]", uint64_t, id), 0x11);
	CHECK_EQ(LOAD("ldrb %w0, [%1]", uint64_t, id), 0x11);
	CHECK_EQ(LOAD("ldrsb %0, [%1]", uint64_t, id), 0x11);
	CHECK_EQ(LOAD("ldrsw %0, [%1]", uint64_t, id + 16), 0x0d);
	CHECK_EQ(LOAD("ldrsb %0, [%1]", uint64_t, id + 28), (uint64_t)(int64_t)(int8_t)0xb1);
	CHECK_EQ(LOAD("ldrsb %w0, [%1]", uint64_t, id + 28), (uint32_t)(int8_t)0xb1);
	CHECK_EQ(LOAD("ldar %w0, [%1]", uint64_t, id), 0x11);
	asm volatile("ldr wzr, [%0]" ::"r"(id) : "memory");
	asm volatile("str wzr, [%0]" ::"r"(id) : "memory");
	CHECK_EQ(LOAD("ldr %w0, [%1]", uint64_t, id), 0x11);
	/* Nothing is there: reads as zero, or an abort; the guest goes on. */
	catch_faults(true);
	(void)read32(NOTHING);
	write32(NOTHING, 1);
	/* Cache maintenance of a device's address does nothing. */
	asm volatile("dc civac, %0\n dc cvac, %0\n ic ivau, %0\n dsb ish\n isb" ::"r"(UART)
		     : "memory");
}

const struct test group_access[] = {{"unaligned-loads", unaligned_loads},
				    {"unaligned-stores", unaligned_stores},
				    {"alignment", alignment},
				    {"zero", zero},
				    {"device", device},
				    {NULL, NULL}};
