/* SPDX-License-Identifier: MIT */
/*
 * SIMD&FP instructions of the A64 front end: that every op they emit has a function, that they
 * trap when the mode says so, and that loads and stores of structures do what the Arm ARM's
 * pseudocode does, in every mode in which they are translated differently, also when they cannot
 * complete. (tests/diff compares what they compute with another implementation.)
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/engine.h"
#include "tests/engine/test_vec.h"

/* Guest memory: data, then code. The page tables and vectors are elsewhere. */
#define DATA_BASE 0x10000000ull
#define DATA_SIZE 0x2000u
#define CODE_BASE 0x20000000ull
#define CODE_SIZE 0x1000u
#define SYS_BASE  0x40000000ull
#define SYS_SIZE  0x2000u
#define VECTORS   (SYS_BASE + 0x1000)

#define HVC_0 0xd4000002u
#define BRK_0 0xd4200000u

#define SCTLR_M   (1ull << 0)
#define SCTLR_A   (1ull << 1)
#define SCTLR_E0E (1ull << 24)
#define CPACR_FP  (3ull << 20)

#define EC_OF(esr)     ((esr) >> 26)
#define DFSC_ALIGNMENT 0x21

static struct machine machine;
static struct cpu *cpu;
static uint8_t *data, *code, *sys;

static void no_op(struct cpu *c)
{
}

static const struct machine_ops ops = {.timers_changed = no_op,
				       .pmu_changed = no_op,
				       .icache_invalidate = engine_icache_invalidate};

static uint8_t *ram(size_t size)
{
	uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static int setup(void **state)
{
	static struct mem_slot slots[3];
	uint64_t *table;

	data = ram(DATA_SIZE);
	code = ram(CODE_SIZE);
	sys = ram(SYS_SIZE);
	slots[0] = (struct mem_slot){.gpa = DATA_BASE, .size = DATA_SIZE, .host = data};
	slots[1] = (struct mem_slot){.gpa = CODE_BASE, .size = CODE_SIZE, .host = code};
	slots[2] = (struct mem_slot){.gpa = SYS_BASE, .size = SYS_SIZE, .host = sys};
	assert_int_equal(machine_init(&machine, &ops), 0);
	assert_int_equal(engine_vm_init(&machine), 0);
	for (unsigned int i = 0; i < 3; i++)
		mem_insert(&machine.mem, &slots[i]);
	machine.mem.pa_bits = 40;
	cpu = engine_cpu_alloc(&machine);
	assert_non_null(cpu);
	assert_int_equal(cpu_init(cpu, &machine, 0, 0x80000000), 0);
	assert_int_equal(engine_vcpu_init(cpu), 0);
	machine.cpus[0] = cpu;
	machine.nr_cpus = 1;

	/*
	 * Blocks of 1 GiB, identity: the first for EL0, read, write and execute; the second for
	 * EL1. Attribute 0 is normal memory.
	 */
	table = (uint64_t *)sys;
	table[0] = 0 | 1 << 10 | 3 << 8 | 1 << 6 | 1;
	table[1] = SYS_BASE | 1 << 10 | 3 << 8 | 1;
	for (unsigned int v = 0; v < 0x800; v += 0x80)
		*(uint32_t *)(sys + (VECTORS - SYS_BASE) + v) = HVC_0;
	return 0;
}

static int teardown(void **state)
{
	engine_vcpu_destroy(cpu);
	cpu_destroy(cpu);
	engine_vm_destroy(&machine);
	machine_destroy(&machine);
	free(cpu);
	return 0;
}

/* Run one word at EL0; registers are what the caller has put into cpu->x and cpu->v. */
static enum cpu_exit_reason run_word(uint32_t word, uint64_t sctlr)
{
	uint64_t x[32];
	union vreg v[32];

	memcpy(x, cpu->x, sizeof(x));
	memcpy(v, cpu->v, sizeof(v));
	cpu_reset(cpu);
	cpu->sys.ttbr0 = SYS_BASE;
	cpu->sys.mair = 0xff;
	cpu->sys.tcr = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23;
	cpu->sys.cpacr = CPACR_FP;
	cpu->sys.vbar = VECTORS;
	cpu->sys.sctlr |= SCTLR_M | sctlr;
	cpu_set_pstate(cpu, 0);
	memcpy(cpu->x, x, sizeof(x));
	memcpy(cpu->v, v, sizeof(v));
	cpu->pc = CODE_BASE;
	cpu->icount_limit = UINT64_MAX;
	((uint32_t *)code)[0] = word;
	((uint32_t *)code)[1] = BRK_0;
	engine_icache_invalidate(&machine, CODE_BASE, 8);
	tlb_flush(cpu);
	cpu_update_mode(cpu);
	return engine_run(cpu);
}

/* What stopped it, of those that come by an exception to EL1. */
static unsigned int exception_class(enum cpu_exit_reason why)
{
	assert_int_equal(why, CPU_EXIT_HVC);
	return EC_OF((uint32_t)cpu->sys.esr);
}

/* --- The pseudocode of structure loads and stores --- */

struct model {
	uint64_t x[32];
	union vreg v[32];
	uint8_t data[DATA_SIZE];
};

struct form {
	unsigned int q, load, post, rm, rn, rt;
	unsigned int lane;
	unsigned int rpt, selem, elements; /* multiple */
	bool single, replicate;
	unsigned int index;
};

static uint64_t memory_read(const struct model *m, uint64_t va, unsigned int bytes, bool be)
{
	uint64_t x = 0;

	for (unsigned int i = 0; i < bytes; i++)
		x |= (uint64_t)m->data[va - DATA_BASE + i] << 8 * (be ? bytes - 1 - i : i);
	return x;
}

static void memory_write(struct model *m, uint64_t va, unsigned int bytes, bool be, uint64_t x)
{
	for (unsigned int i = 0; i < bytes; i++)
		m->data[va - DATA_BASE + i] = (uint8_t)(x >> 8 * (be ? bytes - 1 - i : i));
}

static void move_element(struct model *m, const struct form *f, uint64_t va, union vreg *v,
			 unsigned int index, bool be)
{
	unsigned int bits = 8u << f->lane;

	if (f->load)
		test_set_lane(v, bits, index, memory_read(m, va, bits / 8, be));
	else
		memory_write(m, va, bits / 8, be, test_lane(v, bits, index));
}

static void replicate(const struct model *m, const struct form *f, uint64_t va, union vreg *v,
		      bool be)
{
	unsigned int bits = 8u << f->lane;
	uint64_t x = memory_read(m, va, bits / 8, be);

	*v = (union vreg){.d = {0, 0}};
	for (unsigned int i = 0; i < (f->q ? 128 : 64) / bits; i++)
		test_set_lane(v, bits, i, x);
}

static void execute(struct model *m, const struct form *f, bool be)
{
	uint64_t address = m->x[f->rn], at = address, bytes = 1u << f->lane;

	if (f->single) {
		for (unsigned int s = 0; s < f->selem; s++, at += bytes) {
			if (f->replicate)
				replicate(m, f, at, &m->v[(f->rt + s) % 32], be);
			else
				move_element(m, f, at, &m->v[(f->rt + s) % 32], f->index, be);
		}
	} else {
		for (unsigned int r = 0; r < f->rpt; r++)
			for (unsigned int e = 0; e < f->elements; e++)
				for (unsigned int s = 0; s < f->selem; s++, at += bytes)
					move_element(m, f, at, &m->v[(f->rt + r + s) % 32], e, be);
		for (unsigned int i = 0; f->load && !f->q && i < f->rpt * f->selem; i++)
			m->v[(f->rt + i) % 32].d[1] = 0;
	}
	if (f->post)
		m->x[f->rn] = f->rm == 31 ? at : address + m->x[f->rm];
}

/* --- Encodings --- */

static const struct {
	unsigned int opcode, rpt, selem;
} multiples[] = {{0, 1, 4}, {2, 4, 1}, {4, 1, 3}, {6, 3, 1}, {7, 1, 1}, {8, 1, 2}, {10, 2, 1}};

static uint32_t word_of(const struct form *f, unsigned int opcode, unsigned int r, unsigned int s,
			unsigned int size)
{
	uint32_t w = 0x0c000000 | f->q << 30 | (uint32_t)f->single << 24 | f->post << 23 |
		     f->load << 22 | f->rn << 5 | f->rt;

	if (f->post)
		w |= f->rm << 16;
	if (f->single)
		return w | r << 21 | opcode << 13 | s << 12 | size << 10;
	return w | opcode << 12 | size << 10;
}

static uint32_t multiple_word(struct form *f, unsigned int kind, unsigned int size)
{
	f->lane = size;
	f->rpt = multiples[kind].rpt;
	f->selem = multiples[kind].selem;
	f->elements = (f->q ? 16u : 8u) >> size;
	return word_of(f, multiples[kind].opcode, 0, 0, size);
}

static uint32_t single_word(struct form *f, unsigned int lane, unsigned int index)
{
	static const unsigned int opcodes[] = {[IR_B] = 0, [IR_H] = 2, [IR_S] = 4, [IR_D] = 4};
	unsigned int q_s_size = index << (lane == IR_D ? 3 : lane) | (lane == IR_D ? 1 : 0);

	f->single = true;
	f->lane = lane;
	f->index = index;
	f->q = q_s_size >> 3;
	return word_of(f, opcodes[lane] | (f->selem - 1) >> 1, (f->selem - 1) & 1,
		       q_s_size >> 2 & 1, q_s_size & 3);
}

static uint32_t replicate_word(struct form *f, unsigned int size)
{
	f->single = f->replicate = true;
	f->load = 1;
	f->lane = size;
	return word_of(f, 6 | (f->selem - 1) >> 1, (f->selem - 1) & 1, 0, size);
}

/* A random one of all the forms. */
static uint32_t random_form(uint64_t *seed, struct form *f)
{
	uint32_t k = random_word(seed), r = random_word(seed);
	unsigned int lane = k >> 4 & 3;

	*f = (struct form){
		.q = k & 1, .load = k >> 1 & 1, .post = k >> 2 & 1, .selem = 1 + (k >> 6 & 3)};
	f->rt = r & 31;
	f->rn = r >> 5 & 31;
	f->rm = r >> 10 & 1 ? 31 : r >> 11 & 31;
	if (k >> 8 & 1) {
		unsigned int kind = (k >> 9) % 7;

		if (lane == IR_D && multiples[kind].selem > 1)
			f->q = 1;
		return multiple_word(f, kind, lane);
	}
	if (k >> 16 & 3)
		return single_word(f, lane, (k >> 20) & (15 >> lane));
	return replicate_word(f, lane);
}

/* --- The tests --- */

static void random_state(uint64_t *seed, struct model *m, const struct form *f, uint64_t base)
{
	for (unsigned int i = 0; i < DATA_SIZE; i += 8) {
		uint64_t x = test_random(seed);

		memcpy(&m->data[i], &x, 8);
	}
	for (int i = 0; i < 32; i++) {
		m->x[i] = test_random(seed);
		test_random_vreg(seed, &m->v[i], IR_B);
	}
	m->x[f->rn] = base;
	memcpy(data, m->data, DATA_SIZE);
	memcpy(cpu->x, m->x, sizeof(m->x));
	memcpy(cpu->v, m->v, sizeof(m->v));
}

static bool same_state(const struct model *m, uint32_t word)
{
	uint64_t x[32];
	bool same;

	memcpy(x, cpu->x, sizeof(x));
	/* The exception to EL1 has changed stack pointers. */
	if (cpu->ps.el)
		x[31] = cpu->sp_el[0];
	same = !memcmp(x, m->x, sizeof(x)) && !memcmp(cpu->v, m->v, sizeof(m->v)) &&
	       !memcmp(data, m->data, DATA_SIZE);
	if (!same)
		print_error("%08x: state differs\n", word);
	for (int i = 0; !same && i < 32; i++) {
		if (x[i] != m->x[i])
			print_error("  x%d %llx, should be %llx\n", i, (unsigned long long)x[i],
				    (unsigned long long)m->x[i]);
		if (memcmp(&cpu->v[i], &m->v[i], 16)) {
			test_show("is", &cpu->v[i]);
			test_show("should be", &m->v[i]);
		}
	}
	return same;
}

static void test_structures(void **state)
{
	static const uint64_t modes[] = {0, SCTLR_A, SCTLR_E0E, SCTLR_E0E | SCTLR_A};
	static struct model m;
	uint64_t seed = 31;

	for (unsigned int n = 0; n < 12000; n++) {
		uint64_t sctlr = modes[n & 3], base;
		struct form f;
		uint32_t word = random_form(&seed, &f);

		/*
		 * across the pages' border, often; aligned to the element when that is checked;
		 * SP to 16 bytes
		 */
		base = DATA_BASE + 0x1000 - (random_word(&seed) & 127);
		if (sctlr & SCTLR_A)
			base &= ~((1ull << f.lane) - 1);
		if (f.rn == 31)
			base &= ~15ull;
		random_state(&seed, &m, &f, base);
		execute(&m, &f, sctlr & SCTLR_E0E);
		assert_int_equal(exception_class(run_word(word, sctlr)), EC_BRK64);
		assert_true(same_state(&m, word));
	}
}

/* Each element is checked for its own alignment, and nothing has changed when it is wrong. */
static void test_misaligned(void **state)
{
	static struct model m;
	uint64_t seed = 32;

	for (unsigned int n = 0; n < 2000; n++) {
		struct form f;
		uint32_t word = random_form(&seed, &f);

		if (f.lane == IR_B || f.rn == 31)
			continue;
		random_state(&seed, &m, &f, DATA_BASE + 0x801);
		assert_int_equal(exception_class(run_word(word, SCTLR_A)), EC_DABT_LOW);
		assert_int_equal(cpu->sys.esr & 0x3f, DFSC_ALIGNMENT);
		assert_int_equal(cpu->sys.far, DATA_BASE + 0x801);
		assert_true(same_state(&m, word));
	}
}

/* The last element is outside memory: nothing has changed, and the PC is at the instruction. */
static void test_outside(void **state)
{
	static const uint64_t modes[] = {0, SCTLR_A, SCTLR_E0E};
	static struct model m;
	uint64_t seed = 33;

	for (unsigned int n = 0; n < 3000; n++) {
		struct form f;
		uint32_t word = random_form(&seed, &f);
		unsigned int bytes =
			f.single ? f.selem << f.lane : f.rpt * f.selem * f.elements << f.lane;

		if (f.rn == 31)
			continue;
		random_state(&seed, &m, &f, DATA_BASE + DATA_SIZE - bytes + (1u << f.lane));
		assert_int_equal(run_word(word, modes[n % 3]), CPU_EXIT_NOSYNDROME);
		assert_int_equal(cpu->pc, CODE_BASE);
		assert_true(same_state(&m, word));
	}
}

/* One word, with and without the trap. Returns the number of vector ops. */
static unsigned int check_word(uint32_t w)
{
	static struct ir_block b, off;
	unsigned int seen = 0;
	bool undefined, trapped;

	a64_translate_block(&b, &w, 0, CPU_MODE_FP, 1);
	a64_translate_block(&off, &w, 0, 0, 1);
	undefined = b.op[0].opc == IR_EXCEPTION && EC_OF((uint32_t)b.op[0].imm) == EC_UNKNOWN;
	trapped = off.op[0].opc == IR_EXCEPTION && EC_OF((uint32_t)off.op[0].imm) == EC_FP_ACCESS;
	/* What is allocated traps; what is not is UNDEFINED first. */
	if (undefined == trapped)
		fail_msg("%08x: %s", w, trapped ? "trapped, but UNDEFINED" : "not trapped");
	for (unsigned int i = 0; i < b.nr_ops; i++) {
		const struct ir_op *o = &b.op[i];

		if (o->opc < IR_VEC_FIRST)
			continue;
		seen++;
		if (!vec_function(o->opc, IR_LANE(o->aux), IR_SHAPE(o->aux)))
			fail_msg("%08x: no %s of lane %d, shape %d", w, ir_op_info(o->opc)->name,
				 IR_LANE(o->aux), IR_SHAPE(o->aux));
	}
	return seen;
}

static void test_ops_exist(void **state)
{
	static const struct a64_row *const tables[] = {a64_fp, a64_simd, a64_simd_scalar,
						       a64_simd_ldst, a64_crypto};
	uint64_t seed = 34;
	unsigned int seen = 0;

	for (unsigned int i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct a64_row *r = tables[i]; r->fn; r++)
			for (int n = 0; n < 8000; n++)
				seen += check_word(r->value | (random_word(&seed) & ~r->mask));
	assert_true(seen > 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ops_exist),
		cmocka_unit_test(test_structures),
		cmocka_unit_test(test_misaligned),
		cmocka_unit_test(test_outside),
	};

	return cmocka_run_group_tests_name("a64_simd", tests, setup, teardown);
}
