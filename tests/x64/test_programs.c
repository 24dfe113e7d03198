/* SPDX-License-Identifier: MIT */
/*
 * Whole random programs with loops on both back ends: links, loops that keep registers, traces,
 * grouped accesses and flags between blocks, none of which a test block by block sees. All state,
 * memory and the count of instructions must be the same at the end.
 */
#include <stdlib.h>

#include "cpu/arch.h"
#include "tests/engine/guest.h"
#include "tests/engine/random_words.h"

#define CODE      (RAM_BASE + 0x80000)
#define DATA      (RAM_BASE + 0x40000)
#define DATA_SIZE 0x4000
#define MIDDLE    (DATA + 0x2000)
#define MAX_BODY  48
#define MAX_WORDS 400

/* Registers that the program's frame has for itself; all words keep off them. */
enum { FIRST_OWN = 20, INNER = 20, OUTER, BASE, INDEX, KEPT };

/* How many, and from which seed: test-x64-programs [N [SEED]]. */
static unsigned int programs = 2000;
static uint64_t first_seed = 0x5eed1234;

static struct guest portable, generated;

static int setup(void **state)
{
	setenv("ARMATURE_ENGINE", "portable", 1);
	guest_start(&portable, 1);
	setenv("ARMATURE_ENGINE", "x64", 1);
	guest_start(&generated, 1);
	unsetenv("ARMATURE_ENGINE");
	return 0;
}

static int teardown(void **state)
{
	guest_stop(&portable);
	guest_stop(&generated);
	return 0;
}

static bool is_branch_or_system(uint32_t w)
{
	return (w & 0x1c000000) == 0x14000000;
}

/* Names of registers from 20 on become others: in every field that may be one. */
static uint32_t keep_off(uint32_t w)
{
	static const unsigned int fields[4] = {0, 5, 10, 16};

	for (unsigned int f = 0; f < 4; f++)
		if ((w >> fields[f] & 31) >= FIRST_OWN)
			w &= ~(16u << fields[f]);
	return w;
}

/* An access off the base, or indexed; to either side of a page's end. */
static uint32_t access_word(uint64_t *seed)
{
	static const uint32_t forms[] = {
		0xf9400000, 0xf9000000, /* LDR, STR X, unsigned offset */
		0xb9400000, 0xb9000000, /* W */
		0x39400000, 0x39000000, /* bytes */
		0x79c00000, 0x79000000, /* LDRSH W, STRH */
		0xa9400000, 0xa9000000, /* LDP, STP X */
		0x3dc00000, 0x3d800000, /* Q */
		0xfd400000, 0xfd000000, /* D */
		0xad400000, 0xad000000, /* LDP, STP Q */
		0xf8400000, 0xf8000000, /* LDUR, STUR X */
	};
	unsigned int n = random_word(seed) % (sizeof(forms) / sizeof(forms[0]));
	uint32_t t = random_word(seed) % 16, t2 = t ^ 1, offset = random_word(seed) % 24;
	bool pair = (forms[n] & 0x3a000000) == 0x28000000;

	if (random_word(seed) % 4 == 0)
		return 0xf8606800u | (random_word(seed) % 2 ? 0x400000u : 0) | INDEX << 16 |
		       BASE << 5 | t;
	if (pair)
		return forms[n] | t2 << 10 | BASE << 5 | t | (offset % 8) << 15;
	return forms[n] | offset << ((forms[n] >> 24) == 0xf8 ? 12 : 10) | BASE << 5 | t;
}

/* Does it do what it does without an exception? */
static bool is_quiet(uint32_t w)
{
	const uint32_t words[] = {w, SVC(1)};

	guest_code_n(&portable, CODE, words, 2);
	guest_reset(&portable, 0, CODE, 0);
	guest_run(&portable, 0);
	return EC_OF(portable.cpu[0]) == EC_SVC64;
}

static uint32_t random_insn(uint64_t *seed)
{
	if (random_word(seed) % 3 == 0)
		return access_word(seed);
	for (;;) {
		uint32_t w = keep_off(decode_space_word(seed));
		const struct a64_row *row = a64_decode(w);

		/* Loads and stores of any base would fault and end the program. */
		if (!row || is_branch_or_system(w) || (w & 0x0a000000) == 0x08000000 ||
		    !is_quiet(w))
			continue;
		return w;
	}
}

/* A side way over some of what follows. */
static uint32_t forward_branch(unsigned int words, uint64_t *seed)
{
	uint32_t offset = 4 * (2 + random_word(seed) % 6), reg = random_word(seed) % 8;

	if (offset > 4 * words)
		offset = 4 * words;
	switch (random_word(seed) % 4) {
	case 0:
		return CBZ(reg, offset);
	case 1:
		return 0x36000000u | (random_word(seed) % 32) << 19 | offset / 4 << 5 | reg;
	case 2:
		return B(offset);
	default:
		return BCOND(random_word(seed) % 14, offset);
	}
}

struct program {
	uint32_t word[MAX_WORDS];
	unsigned int nr;
};

static void put(struct program *p, uint32_t w)
{
	p->word[p->nr++] = w;
}

/* for (OUTER...) { BASE = ...; for (INNER...) { body } some more } */
static void make(struct program *p, uint64_t *seed)
{
	unsigned int body = 4 + random_word(seed) % MAX_BODY, outer, inner;

	p->nr = 0;
	put(p, MOVZ(OUTER, 1 + random_word(seed) % 4, 0));
	outer = p->nr;
	put(p, MOV(BASE, KEPT));
	put(p, ADDI(BASE, BASE, 8 * (random_word(seed) % 64)));
	put(p, MOVZ(INNER, 1 + random_word(seed) % 600, 0));
	inner = p->nr;
	for (unsigned int n = 0; n < body; n++)
		put(p, random_word(seed) % 8 ? random_insn(seed) : forward_branch(body - n, seed));
	put(p, ADDI(BASE, BASE, random_word(seed) % 3 ? 0 : 4));
	put(p, SUBSI(INNER, INNER, 1));
	put(p, BCOND(NE, -4 * (int)(p->nr - inner)));
	for (unsigned int n = 0; n < 6; n++)
		put(p, random_insn(seed));
	put(p, SUBSI(OUTER, OUTER, 1));
	put(p, BCOND(NE, -4 * (int)(p->nr - outer)));
	put(p, SVC(1));
}

static void run(struct guest *g, const struct program *p, uint64_t seed)
{
	struct cpu *cpu = g->cpu[0];

	guest_code_n(g, CODE, p->word, p->nr);
	guest_reset(g, 0, CODE, 0);
	cpu->icount = 0;
	for (unsigned int n = 0; n < DATA_SIZE; n += 4)
		*(uint32_t *)guest_host(g, DATA + n) = random_word(&seed);
	for (unsigned int n = 0; n < 20; n++)
		cpu->x[n] = (uint64_t)random_word(&seed) << 32 | random_word(&seed);
	for (unsigned int n = 0; n < 64; n++)
		cpu->v[n / 2].d[n % 2] = (uint64_t)random_word(&seed) << 32 | random_word(&seed);
	cpu->x[KEPT] = MIDDLE - 0x180;
	cpu->x[INDEX] = random_word(&seed) % 0x300;
	cpu->nzcv = random_word(&seed) & 0xf0000000;
	assert_int_equal(guest_run(g, 0), CPU_EXIT_HVC);
}

static void compare(const struct program *p, unsigned int number)
{
	const struct cpu *a = portable.cpu[0], *b = generated.cpu[0];
	bool same = a->icount == b->icount && a->pc == b->pc && a->nzcv == b->nzcv &&
		    a->fpsr == b->fpsr && !memcmp(a->x, b->x, sizeof(a->x)) &&
		    !memcmp(a->v, b->v, sizeof(a->v)) && a->sys.elr == b->sys.elr &&
		    a->sys.esr == b->sys.esr && a->sys.spsr == b->sys.spsr &&
		    !memcmp(guest_host(&portable, DATA), guest_host(&generated, DATA), DATA_SIZE);

	if (same)
		return;
	for (unsigned int n = 0; n < p->nr; n++)
		print_message("%08x%c", p->word[n], n % 8 == 7 || n + 1 == p->nr ? '\n' : ' ');
	for (unsigned int n = 0; n < 32; n++)
		if (a->x[n] != b->x[n])
			print_message("x%u: %#llx, the generator has %#llx\n", n,
				      (unsigned long long)a->x[n], (unsigned long long)b->x[n]);
	for (unsigned int n = 0; n < 32; n++)
		if (memcmp(&a->v[n], &b->v[n], 16))
			print_message("v%u differs\n", n);
	fail_msg("program %u: count %llu and %llu, PC %#llx and %#llx, NZCV %#x and %#x", number,
		 (unsigned long long)a->icount, (unsigned long long)b->icount,
		 (unsigned long long)a->sys.elr, (unsigned long long)b->sys.elr, a->nzcv, b->nzcv);
}

static void test_programs(void **state)
{
	uint64_t seed = first_seed, counted = 0;
	struct program p;

	for (unsigned int n = 0; n < programs; n++) {
		uint64_t data = seed;

		make(&p, &seed);
		run(&portable, &p, data);
		run(&generated, &p, data);
		compare(&p, n);
		counted += portable.cpu[0]->icount;
	}
	/* They did run round. */
	assert_true(counted > 1000ull * programs);
}

/* --- loops that move by two --- */

#define FROM    (RAM_BASE + 0x60000)
#define TO      (RAM_BASE + 0x70000)
#define MOVED   0x10000
#define HOLE    (FROM + MOVED - 0x1000) /* nothing is mapped there, nor at the end of TO */
#define TO_HOLE (TO + MOVED - 0x1000)
enum { SOURCE = 20, TARGET, COUNT };

static uint32_t move_word(uint64_t *seed)
{
	uint32_t t = random_word(seed) % 15, t2 = t + 1, offset = random_word(seed) % 4 * 2;
	bool load = random_word(seed) % 2;

	switch (random_word(seed) % 40) {
	case 0:
		return ADDI(t, t, 1);
	case 1:
		return ADD_W(t, t, t2);
	case 2:
		return (load ? 0xf9400000u | SOURCE << 5 : 0xf9000000u | TARGET << 5) |
		       offset << 10 | t;
	case 3:
		t2 = (t + 1 + random_word(seed) % 14) % 15;
		break;
	case 4: /* in a circle */
		return 0xa9000000u | TARGET << 5 | t << 10 | t2 | offset << 15;
	case 5: /* D registers */
		return (load ? 0x6d400000u | SOURCE << 5 : 0x6d000000u | TARGET << 5) | t2 << 10 |
		       t | offset << 15;
	}
	return (load ? 0xa9400000u | SOURCE << 5 : 0xa9000000u | TARGET << 5) | t2 << 10 | t |
	       offset << 15;
}

/* memcpy(), more or less; it may run into the hole. */
static void make_moves(struct program *p, uint64_t *seed)
{
	unsigned int body = 2 + random_word(seed) % 8, head, step = 8 * (1 + random_word(seed) % 8);

	p->nr = 0;
	put(p, MOVZ(COUNT, 300 + random_word(seed) % 2000, 0));
	head = p->nr;
	for (unsigned int n = 0; n < body; n++)
		put(p, random_word(seed) % 16 ? move_word(seed) : forward_branch(body - n, seed));
	put(p, ADDI(SOURCE, SOURCE, step));
	put(p, ADDI(TARGET, TARGET, random_word(seed) % 8 ? step : 0));
	put(p, SUBSI(COUNT, COUNT, 1));
	put(p, BCOND(NE, -4 * (int)(p->nr - head)));
	put(p, SVC(1));
}

static void run_moves(struct guest *g, const struct program *p, uint64_t seed)
{
	struct cpu *cpu = g->cpu[0];

	guest_code_n(g, CODE, p->word, p->nr);
	guest_reset(g, 0, CODE, 0);
	cpu->icount = 0;
	for (unsigned int n = 0; n < 2 * MOVED; n += 4)
		*(uint32_t *)guest_host(g, FROM + n) = random_word(&seed);
	for (unsigned int n = 0; n < 20; n++)
		cpu->x[n] = (uint64_t)random_word(&seed) << 32 | random_word(&seed);
	for (unsigned int n = 0; n < 64; n++)
		cpu->v[n / 2].d[n % 2] = (uint64_t)random_word(&seed) << 32 | random_word(&seed);
	cpu->x[SOURCE] = FROM + random_word(&seed) % 64;
	cpu->x[TARGET] = TO + random_word(&seed) % 64;
	assert_int_equal(guest_run(g, 0), CPU_EXIT_HVC);
}

static void test_moves(void **state)
{
	uint64_t seed = first_seed;
	unsigned int faults = 0;
	struct program p;

	for (unsigned int n = 0; n < 2; n++) {
		struct guest *g = n ? &generated : &portable;

		guest_map(g, HOLE, 0, 0);
		guest_map(g, TO_HOLE, 0, 0);
		tlb_flush(g->cpu[0]);
	}
	for (unsigned int n = 0; n < programs; n++) {
		uint64_t data = seed;

		make_moves(&p, &seed);
		run_moves(&portable, &p, data);
		run_moves(&generated, &p, data);
		faults += EC_OF(portable.cpu[0]) != EC_SVC64;
		compare(&p, n);
		assert_memory_equal(guest_host(&portable, FROM), guest_host(&generated, FROM),
				    2 * MOVED);
	}
	assert_in_range(faults, programs / 16, programs - programs / 16);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		programs = (unsigned int)strtoul(argv[1], NULL, 0);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 0);

	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_programs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
