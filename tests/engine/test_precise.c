/* SPDX-License-Identifier: MIT */
/*
 * Precise state: an instruction that cannot complete, in the middle of a block, leaves exactly what
 * was there before it.
 *
 * Every form that accesses memory stands between instructions that change what it, and its
 * neighbours, read and write. Whatever stops it (unmapped page, second page of a crossing access,
 * read-only page, alignment, device address) the state must be that of the same program with a BRK
 * in its place: registers, flags, FPSR, memory, monitor, and the count of retired instructions.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cpu/arch.h"
#include "tests/engine/guest.h"
#include "tests/engine/random_words.h"

#define CODE     (RAM_BASE + 0x80000)
#define DATA     (RAM_BASE + 0x40000) /* writable, between two pages that are not there */
#define READONLY (RAM_BASE + 0x44000) /* before one that is not there */
/* Mapped to where no memslot is; the page before it is memory. */
#define DEVICE  (RAM_BASE + 0x48000)
#define NO_SLOT 0x9000000ull
#define BASE    28
#define INDEX   27

static struct guest g;

struct outcome {
	enum cpu_exit_reason reason;
	unsigned int ec;
	uint64_t pc, x[31], sp, icount, excl_size;
	union vreg v[32];
	uint32_t nzcv, fpsr;
	uint8_t data[3 * MEM_PAGE_SIZE];
};

static const uint64_t written_pages[3] = {DATA, READONLY, DEVICE - MEM_PAGE_SIZE};

static int setup(void **state)
{
	guest_start(&g, 1);
	guest_map(&g, DATA - MEM_PAGE_SIZE, 0, 0);
	guest_map(&g, DATA + MEM_PAGE_SIZE, 0, 0);
	guest_map(&g, READONLY, READONLY, PAGE_EL0 | PTE_RO);
	guest_map(&g, READONLY + MEM_PAGE_SIZE, 0, 0);
	guest_map(&g, DEVICE, NO_SLOT, PAGE_EL0);
	return 0;
}

static int teardown(void **state)
{
	guest_stop(&g);
	return 0;
}

/* --- one program --- */

static const uint32_t before[] = {
	ADDS(1, 2, 3),   MOV(4, 1),    FADD_D(5, 6, 7), ADDI(10, 10, 1),
	ADDI(10, 10, 2), EOR(9, 1, 4), CMPI(10, 3),
};
static const uint32_t after[] = {
	ADDS(1, 1, 10),       MOV(4, 9),      FADD_D(5, 5, 5), ADDI(10, 10, 4), MOV(9, 10),
	ADDI(BASE, BASE, 16), MOVZ(27, 3, 0), BRK(2),
};

struct program {
	/* The instruction, and what comes before it: the load exclusive that it needs, or 0. */
	uint32_t word, opening;
	uint64_t base, sctlr;
	uint64_t seed;
};

static void fill_registers(struct cpu *cpu, const struct program *p)
{
	uint64_t seed = p->seed;

	for (unsigned int i = 0; i < 31; i++)
		cpu->x[i] = (uint64_t)random_word(&seed) << 32 | random_word(&seed);
	for (unsigned int i = 0; i < 64; i++)
		cpu->v[i / 2].d[i % 2] = (uint64_t)random_word(&seed) << 32 | random_word(&seed);
	cpu->x[BASE] = p->base;
	cpu->x[31] = p->base;
	cpu->x[INDEX] = 0;
}

static unsigned int put_program(const struct program *p, uint32_t word)
{
	uint32_t words[32];
	unsigned int n = 0, at;

	memcpy(words, before, sizeof(before));
	n = sizeof(before) / 4;
	if (p->opening)
		words[n++] = p->opening;
	at = n;
	words[n++] = word;
	memcpy(words + n, after, sizeof(after));
	guest_code_n(&g, CODE, words, n + sizeof(after) / 4);
	return at;
}

static void take_outcome(struct outcome *o, enum cpu_exit_reason reason, uint64_t icount)
{
	struct cpu *cpu = g.cpu[0];
	bool taken = reason == CPU_EXIT_HVC;

	memset(o, 0, sizeof(*o));
	o->reason = reason;
	/* The vector's HVC is counted as well. */
	o->icount = cpu->icount - icount - taken;
	o->ec = taken ? EC_OF(cpu) : 0;
	o->pc = taken ? cpu->sys.elr : cpu->pc;
	o->sp = taken ? cpu->sp_el[0] : cpu->x[31];
	o->nzcv = taken ? (uint32_t)cpu->sys.spsr & 0xf0000000 : cpu->nzcv;
	o->fpsr = cpu->fpsr;
	o->excl_size = cpu->excl_size;
	memcpy(o->x, cpu->x, sizeof(o->x));
	memcpy(o->v, cpu->v, sizeof(o->v));
	for (unsigned int i = 0; i < 3; i++)
		memcpy(o->data + i * MEM_PAGE_SIZE, guest_host(&g, written_pages[i]),
		       MEM_PAGE_SIZE);
}

static unsigned int execute(const struct program *p, uint32_t word, struct outcome *o)
{
	struct cpu *cpu = g.cpu[0];
	unsigned int at = put_program(p, word);
	uint64_t icount;

	for (unsigned int i = 0; i < 3; i++)
		memset(guest_host(&g, written_pages[i]), 0x5a + (int)i, MEM_PAGE_SIZE);
	cpu->sys.sctlr &= ~(SCTLR_A | SCTLR_E0E | SCTLR_SA0);
	cpu->sys.sctlr |= p->sctlr;
	guest_reset(&g, 0, CODE, 0);
	fill_registers(cpu, p);
	icount = cpu->icount;
	take_outcome(o, guest_run(&g, 0), icount);
	return at;
}

/* --- words --- */

static bool is_store_exclusive(uint32_t w)
{
	return (w & 0x3fc00000) == 0x08000000 || (w & 0xbfe00000) == 0x88200000;
}

/* @row's word with a base that we choose; the index, if there is one, is 0. */
static uint32_t make_word(const struct a64_row *row, uint64_t *seed)
{
	uint32_t w = row->value | (random_word(seed) & ~row->mask);

	if (!(row->mask & 31u << 5) && (w & 0x3b000000) != 0x18000000)
		w = (w & ~(31u << 5)) | (random_word(seed) % 4 ? BASE : 31u) << 5;
	if ((w & 0x3b000000) == 0x39000000) /* unsigned offset: near */
		w &= ~(0xffeu << 10);
	if ((w & 0x3b200c00) == 0x38200800) /* register offset */
		w = (w & ~(31u << 16)) | INDEX << 16;
	return w;
}

static void make_program(struct program *p, const struct a64_row *row, uint64_t *seed)
{
	static const uint64_t sctlr[8] = {
		0, 0, 0, SCTLR_A, SCTLR_E0E, SCTLR_A | SCTLR_E0E, SCTLR_SA0, SCTLR_SA0};
	uint32_t k = random_word(seed);

	memset(p, 0, sizeof(*p));
	p->word = make_word(row, seed);
	p->seed = (uint64_t)k << 8 | 1;
	p->sctlr = sctlr[k >> 4 & 7];
	switch (k & 7) {
	case 0:
		p->base = NOTHING + (k >> 8 & 0xff0);
		break;
	case 1:
		p->base = DATA - (k >> 8 & 63);
		break;
	case 2:
	case 3:
		p->base = DATA + MEM_PAGE_SIZE - (k >> 8 & 63);
		break;
	case 4:
		p->base = READONLY + (k >> 8 & 0x7f0);
		break;
	case 5:
		p->base = READONLY + MEM_PAGE_SIZE - (k >> 8 & 63);
		break;
	case 6:
		p->base = DEVICE - (k >> 8 & 63);
		break;
	default:
		p->base = DEVICE + (k >> 8 & 0x7f0);
		break;
	}
	/*
	 * Without its monitor it fails before it looks at the address: open it where reading is
	 * allowed.
	 */
	if (is_store_exclusive(p->word) && (p->word >> 5 & 31) != (p->word & 31)) {
		p->base = READONLY + (k >> 8 & 0x7f0);
		p->opening = p->word | 1u << 22 | 31u << 16;
		p->opening = (p->opening & ~(31u | 31u << 10)) | 20 |
			     ((p->opening & 1u << 21) ? 21u : 31u) << 10;
	}
}

/* --- the comparison --- */

static void same_outcome(const struct program *p, const char *name, const struct outcome *o,
			 const struct outcome *b)
{
	const char *what = NULL;

	if (o->pc != b->pc)
		what = "pc";
	else if (memcmp(o->x, b->x, sizeof(o->x)))
		what = "x";
	else if (o->sp != b->sp)
		what = "sp";
	else if (memcmp(o->v, b->v, sizeof(o->v)))
		what = "v";
	else if (o->nzcv != b->nzcv)
		what = "nzcv";
	else if (o->fpsr != b->fpsr)
		what = "fpsr";
	else if (o->icount != b->icount)
		what = "count";
	else if (o->excl_size != b->excl_size)
		what = "monitor";
	else if (memcmp(o->data, b->data, sizeof(o->data)))
		what = "memory";
	if (what)
		fail_msg("%s %08x at base %#llx, sctlr %#llx: %s", name, p->word,
			 (unsigned long long)p->base, (unsigned long long)p->sctlr, what);
}

/* True if the instruction did not complete. */
static bool try(const struct program *p, const char *name)
{
	static struct outcome o, b;
	unsigned int at = execute(p, p->word, &o);

	if (o.pc != CODE + 4 * at || (o.reason == CPU_EXIT_HVC && o.ec == EC_UNKNOWN))
		return false;
	if (o.reason == CPU_EXIT_HVC)
		assert_true(o.ec == EC_DABT_LOW || o.ec == EC_SP_ALIGN);
	else
		assert_true(o.reason == CPU_EXIT_MMIO || o.reason == CPU_EXIT_NOSYNDROME);
	execute(p, BRK(1), &b);
	assert_int_equal(b.ec, EC_BRK64);
	assert_int_equal(b.icount, at);
	same_outcome(p, name, &o, &b);
	return true;
}

static const struct a64_row *const tables[] = {a64_ldst, a64_atomic, a64_simd_ldst};

/* Each row stops often, in every way. */
static void test_every_form(void **state)
{
	uint64_t seed = 0x1234567;

	for (unsigned int t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct a64_row *row = tables[t]; row->fn; row++) {
			unsigned int stopped = 0;

			for (unsigned int i = 0; i < 1200; i++) {
				struct program p;

				make_program(&p, row, &seed);
				if (a64_decode(p.word) == row)
					stopped += try(&p, row->name);
			}
			if (stopped < 100)
				fail_msg("%s stopped only %u times", row->name, stopped);
		}
	}
}

/* System instructions that access memory. */
static void test_cache_instructions(void **state)
{
	static const uint32_t words[] = {0xd50b7420 | BASE, DC_CVAU(BASE), IC_IVAU(BASE),
					 0xd50b7e20 | BASE};

	g.cpu[0]->sys.sctlr |= SCTLR_DZE;
	for (unsigned int i = 0; i < sizeof(words) / 4; i++) {
		struct program p = {.word = words[i], .base = NOTHING, .seed = 5};

		assert_true(try(&p, "SYS"));
		p.base = DATA + 0x40;
		assert_false(try(&p, "SYS"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_form, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache_instructions, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
