/* SPDX-License-Identifier: MIT */
/*
 * What messages to people are made of: accesses to nothing, folded, and the instruction at a
 * virtual address, through tables that a guest may have made up.
 */
#include "support.h"
#include "vmm/stage1.h"
#include "vmm/unmapped.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define RAM     0x40000000ull
#define RAM_LEN 0x400000u

static struct vmm_memory mem;

static int setup(void **state)
{
	return vmm_memory_create(&mem, RAM, RAM_LEN);
}

static int teardown(void **state)
{
	vmm_memory_destroy(&mem);
	return 0;
}

static void neighbours_are_folded(void **state)
{
	static const struct {
		uint64_t addr;
		unsigned int size;
		bool write;
		enum vmm_unmapped_told told;
	} table[] = {
		{0x5000, 4, false, VMM_UNMAPPED_NEW},
		{0x5000, 4, false, VMM_UNMAPPED_FOLDED},
		{0x5000, 4, true, VMM_UNMAPPED_NEW}, /* a write is another thing */
		{0x6002, 4, false, VMM_UNMAPPED_FOLDED},
		{0x7004, 1, false, VMM_UNMAPPED_FOLDED}, /* near to what was folded */
		{0x4001, 1, false, VMM_UNMAPPED_FOLDED},
		{0x3001, 8, false, VMM_UNMAPPED_FOLDED},
		{0x2000, 1, false, VMM_UNMAPPED_NEW}, /* 4 KiB away */
		{0x9000, 1, false, VMM_UNMAPPED_NEW},
		{UINT64_MAX - 1, 8, false, VMM_UNMAPPED_NEW}, /* wraps */
		{UINT64_MAX, 1, false, VMM_UNMAPPED_FOLDED},
		{0, 0, false, VMM_UNMAPPED_NEW},
		{1, 1, false, VMM_UNMAPPED_FOLDED},
		{0x100000, 1, false, VMM_UNMAPPED_NEW},
		{0x200000, 1, false, VMM_UNMAPPED_LAST},
		{0x300000, 1, false, VMM_UNMAPPED_FOLDED}, /* and no more */
		{0x400000, 1, true, VMM_UNMAPPED_FOLDED},
	};
	struct vmm_unmapped unmapped = {.lock = PTHREAD_MUTEX_INITIALIZER};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const enum vmm_unmapped_told told =
			vmm_unmapped_note(&unmapped, table[i].addr, table[i].size, table[i].write);

		if (told != table[i].told)
			fail_msg("row %zu: %d", i, told);
	}
	assert_int_equal(unmapped.ranges[0].first, 0x3001);
	assert_int_equal(unmapped.ranges[0].last, 0x7004);
}

static void put64(uint64_t at, uint64_t value)
{
	memcpy(vmm_memory_at(&mem, at, 8), &value, 8);
}

#define TABLE(n) (RAM + 0x100000 + (n)*0x10000ull)
#define WORD     0xd503201fu
#define TARGET   (RAM + 0x200000)

/* With each granule, by either TTBR, through a page and through a block. */
static const struct {
	unsigned int page, tsz;
	uint64_t tg0, tg1;
	unsigned int levels; /* of tables */
} shapes[] = {
	{12, 16, 0, 2, 4}, {12, 25, 0, 2, 3}, {12, 34, 0, 2, 2}, {14, 17, 2, 1, 3},
	{14, 28, 2, 1, 2}, {16, 22, 1, 3, 2}, {16, 35, 1, 3, 1},
};

static void map(size_t shape, uint64_t va, bool block, bool big_endian)
{
	const unsigned int page = shapes[shape].page, bits = page - 3;
	const uint64_t low = va & ((1ull << (64 - shapes[shape].tsz)) - 1);

	for (unsigned int i = 0; i < shapes[shape].levels; i++) {
		const unsigned int left = shapes[shape].levels - 1 - i;
		const unsigned int shift = page + left * bits;
		uint64_t index = low >> shift, desc;

		if (i)
			index &= (1u << bits) - 1;
		desc = left ? TABLE(i + 1) | 3 : (TARGET & ~((1ull << shift) - 1)) | 0x403;
		if (left == 1 && block)
			desc = (TARGET & ~((1ull << shift) - 1)) | 0x401;
		put64(TABLE(i) + 8 * index, big_endian ? htobe64(desc) : desc);
	}
}

static void finds_instructions(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (unsigned int variant = 0; variant < 8; variant++) {
			const bool high = variant & 1, block = variant & 2, be = variant & 4;
			const uint64_t va = high ? ~0ull << (64 - shapes[i].tsz) : 0ull;
			/* A block has its target at the same offset. */
			const uint64_t offset = 0x40;
			const struct vmm_stage1 regs = {
				.sctlr = 1 | (be ? 1u << 25 : 0),
				.tcr = shapes[i].tsz | shapes[i].tsz << 16 | shapes[i].tg0 << 14 |
				       shapes[i].tg1 << 30,
				.ttbr0 = high ? 0 : TABLE(0) | 1 | 7ull << 48,
				.ttbr1 = high ? TABLE(0) | 1 | 7ull << 48 : 0,
			};
			uint32_t word = WORD, got = 0;

			if (block && (shapes[i].levels < 2 || shapes[i].page != 12))
				continue; /* larger than the memory here */
			memset(mem.host, 0, RAM_LEN);
			map(i, va, block, be);
			memcpy(vmm_memory_at(&mem, TARGET + offset, 4), &word, 4);
			assert_true(vmm_stage1_read32(&mem, &regs, va + offset, &got));
			assert_int_equal(got, WORD);
			/* Nothing is mapped a block further, nor by the other TTBR. */
			if (shapes[i].levels > 1)
				assert_false(vmm_stage1_read32(
					&mem, &regs, va + (1ull << (2 * shapes[i].page - 3)),
					&got));
			assert_false(vmm_stage1_read32(&mem, &regs, ~va & ~3ull, &got));
		}
	}
}

/* Whatever a guest has in its registers and tables, nothing outside its memory is read. */
static void hostile_tables(void **state)
{
	unsigned int seed = 1;
	uint64_t *words = (uint64_t *)(void *)mem.host;
	uint32_t got;

	for (unsigned int i = 0; i < RAM_LEN / 8; i++)
		words[i] = (RAM + ((uint64_t)rand_r(&seed) << 8) % (RAM_LEN * 2)) |
			   (unsigned int)rand_r(&seed) % 8;
	for (unsigned int i = 0; i < 200000; i++) {
		struct vmm_stage1 regs = {
			.sctlr = rand_r(&seed) % 16 ? 1 : (uint64_t)rand_r(&seed),
			.tcr = (uint64_t)rand_r(&seed) << 1 ^ (uint64_t)rand_r(&seed),
			.ttbr0 = RAM + (uint64_t)rand_r(&seed) % RAM_LEN,
			.ttbr1 = (uint64_t)rand_r(&seed) << 20,
		};

		vmm_stage1_read32(&mem, &regs,
				  (uint64_t)rand_r(&seed) << 33 ^ (uint64_t)rand_r(&seed) << 2,
				  &got);
	}
}

static void without_mmu(void **state)
{
	const struct vmm_stage1 off = {0};
	uint32_t word = WORD, got = 0;

	memcpy(vmm_memory_at(&mem, TARGET, 4), &word, 4);
	assert_true(vmm_stage1_read32(&mem, &off, TARGET, &got));
	assert_int_equal(got, WORD);
	assert_false(vmm_stage1_read32(&mem, &off, RAM - 4, &got));
	assert_false(vmm_stage1_read32(&mem, &off, RAM + RAM_LEN - 2, &got));
	assert_false(vmm_stage1_read32(&mem, &off, UINT64_MAX - 3, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_are_folded),
		cmocka_unit_test_setup_teardown(finds_instructions, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(without_mmu, setup, teardown),
	};

	return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
