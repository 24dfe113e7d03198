/* SPDX-License-Identifier: MIT */
/*
 * Page tables of the hostile guests: 4 KiB granule, 39 bits in both halves, 16-bit ASIDs, access
 * flag and dirty state by software.
 *
 *   TTBR0   0 to 1 GiB  devices; 1 to 2 GiB  memory, 2 MiB blocks; from 2 GiB  the window
 *   TTBR1   the window's mirror: the same level 3 tables
 */
#include "guest.h"

#define NR_L3     (WINDOW_PAGES / 512)
#define NR_PAGES  64
#define MAIR      0x04ffull /* 0: Normal write-back, 1: Device-nGnRE */
#define TSZ       25ull
#define TCR_ORDER (1ull << 8 | 1ull << 10 | 3ull << 12 | 1ull << 24 | 1ull << 26 | 3ull << 28)
#define TCR       (TSZ | TSZ << 16 | 2ull << 30 | 2ull << 32 | 1ull << 36 | TCR_ORDER)

static uint64_t root0[512] __attribute__((aligned(4096)));
static uint64_t root1[512] __attribute__((aligned(4096)));
static uint64_t memory[512] __attribute__((aligned(4096)));
static uint64_t window[512] __attribute__((aligned(4096)));
static uint64_t l3[NR_L3][512] __attribute__((aligned(4096)));
static uint8_t pages[NR_PAGES][PAGE] __attribute__((aligned(2 << 20)));
static uint8_t big[2][2 << 20] __attribute__((aligned(2 << 20)));

void mmu_init(void)
{
	for (uint64_t i = 0; i < 512; i++)
		memory[i] = (0x40000000ull + (i << 21)) | NORMAL | D_BLOCK | D_UXN;
	root0[0] = D_BLOCK | D_AF | D_DEVICE | D_PXN | D_UXN;
	root0[1] = (uint64_t)memory | D_TABLE | D_VALID;
	root0[2] = (uint64_t)window | D_TABLE | D_VALID;
	root1[(HIGH >> 30) & 511] = (uint64_t)window | D_TABLE | D_VALID;
	mmu_reset_window();
}

void mmu_on(void)
{
	msr(mair_el1, MAIR);
	msr(tcr_el1, TCR);
	msr(ttbr0_el1, (uint64_t)root0);
	msr(ttbr1_el1, (uint64_t)root1);
	isb();
	asm volatile("tlbi vmalle1\n dsb nsh\n isb" ::: "memory");
	msr(sctlr_el1, mrs(sctlr_el1) | 1 | 1 << 2 | 1 << 12);
	isb();
}

uint64_t *pmd(uint64_t va)
{
	return &window[(va >> 21) & 511];
}

uint64_t *pte(uint64_t va)
{
	return &l3[(va >> 21) & 511][(va >> 12) & 511];
}

void *page(unsigned int n)
{
	return pages[n];
}

void *big_page(unsigned int n)
{
	return big[n];
}

void tlbi_va(uint64_t va)
{
	asm volatile(
		"dsb ishst\n tlbi vaae1is, %0\n dsb ish\n isb" ::"r"((va >> 12) & 0xfffffffffffull)
		: "memory");
}

void tlbi_all(void)
{
	asm volatile("dsb ishst\n tlbi vmalle1is\n dsb ish\n isb" ::: "memory");
}

void mmu_reset_window(void)
{
	memset(l3, 0, sizeof(l3));
	for (unsigned int i = 0; i < 512; i++)
		window[i] = i < NR_L3 ? (uint64_t)l3[i] | D_TABLE | D_VALID : 0;
	memset(pages, 0, sizeof(pages));
	tlbi_all();
}

void set_pte(uint64_t va, uint64_t desc)
{
	*(volatile uint64_t *)pte(va) = desc;
	dsb();
	isb();
}

void map(uint64_t va, const void *pa, uint64_t attributes)
{
	set_pte(va, (uint64_t)pa | attributes | D_PAGE);
}

void unmap(uint64_t va)
{
	*(volatile uint64_t *)pte(va) = 0;
	tlbi_va(va);
}

void sync_code(const void *at, size_t len)
{
	uint64_t p = (uint64_t)at & ~63ull, end = (uint64_t)at + len;

	for (uint64_t a = p; a < end; a += 64)
		asm volatile("dc cvau, %0" ::"r"(a) : "memory");
	dsb();
	for (uint64_t a = p; a < end; a += 64)
		asm volatile("ic ivau, %0" ::"r"(a) : "memory");
	dsb();
	isb();
}
