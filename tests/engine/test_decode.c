/* SPDX-License-Identifier: MIT */
/*
 * The decode tables and the builder's rules that need no execution: logical immediates, rows, how
 * blocks are cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "engine/front/a64/decode.h"
#include "engine/front/front.h"
#include "tests/engine/random_words.h"
#include "tests/engine/unpredictable.h"

#define EL0        CPU_MODE_FP
#define EL1        (CPU_MODE_FP | CPU_MODE_EL1)
#define PAGE_WORDS (MEM_PAGE_SIZE / 4)
#define NOP        0xd503201f
#define SPREAD     20000 /* words tried for a row before it counts as out of reach */

/*
 * All 5,334 valid 64-bit logical immediates, made the other way round: from size, rotation and
 * length of the run.
 */
static void logical_immediates(void **state)
{
	unsigned int valid = 0, valid32 = 0;
	uint64_t v;

	for (unsigned int size = 2; size <= 64; size *= 2)
		for (unsigned int ones = 1; ones < size; ones++)
			for (unsigned int rot = 0; rot < size; rot++) {
				unsigned int n = size == 64,
					     imms = (~(2 * size - 1) & 0x3f) | (ones - 1);
				uint64_t expect = 0;

				for (unsigned int i = 0; i < ones; i++)
					for (unsigned int at = 0; at < 64; at += size)
						expect |= 1ull << (at + (i + size - rot) % size);
				assert_true(a64_logical_imm(true, n, imms, rot, &v));
				assert_int_equal(v, expect);
				if (n)
					continue;
				assert_true(a64_logical_imm(false, n, imms, rot, &v));
				assert_int_equal(v, (uint32_t)expect);
			}
	for (unsigned int bits = 0; bits < 1u << 13; bits++) {
		unsigned int n = bits >> 12, imms = bits & 0x3f, immr = (bits >> 6) & 0x3f;

		valid += a64_logical_imm(true, n, imms, immr, &v);
		valid32 += a64_logical_imm(false, n, imms, immr, &v);
	}
	/* Rotations above the element's size repeat those below it. */
	assert_int_equal(valid, (63 + 31 + 15 + 7 + 3 + 1) * 64);
	assert_int_equal(valid32, (31 + 15 + 7 + 3 + 1) * 64);
}

static const struct a64_row *first_match(uint32_t insn)
{
	for (unsigned int i = 0; i < A64_NR_TABLES; i++)
		for (const struct a64_row *r = a64_tables[i]; r->fn; r++)
			if ((insn & r->mask) == r->value)
				return r;
	return NULL;
}

static void index_is_the_tables(void **state)
{
	uint64_t seed = 1;

	for (unsigned int n = 0; n < 500000; n++) {
		uint32_t insn = random_word(&seed);

		assert_ptr_equal(a64_decode(insn), first_match(insn));
	}
}

static bool is_undefined(const struct ir_block *b)
{
	const struct ir_op *op = &b->op[0];

	return b->nr_ops == 1 && op->opc == IR_EXCEPTION && (uint32_t)op->imm == ESR(EC_UNKNOWN, 0);
}

/* Does any word reach @row, and does its function accept any? */
static void try_row(const struct a64_row *row, bool *reached, bool *accepted)
{
	static struct ir_block b;
	uint64_t seed = row->value | 1ull << 32;

	*reached = *accepted = false;
	for (unsigned int n = 0; n < SPREAD && !*accepted; n++) {
		uint32_t insn = (random_word(&seed) & ~row->mask) | row->value;

		if (a64_decode(insn) != row)
			continue;
		*reached = true;
		a64_translate_block(&b, &insn, 0, EL1, 1);
		*accepted = !is_undefined(&b);
	}
}

static void translate_word(struct ir_block *b, uint32_t insn)
{
	memset(b, 0, sizeof(*b));
	a64_translate_block(b, &insn, 0, EL1, 1);
}

static void assert_same_block(uint32_t insn, uint32_t other)
{
	static struct ir_block a, b;

	translate_word(&a, insn);
	translate_word(&b, other);
	if (is_undefined(&a) || memcmp(&a, &b, sizeof(a)))
		fail_msg("%08x is not what %08x is", insn, other);
}

/* What docs/architecture-choices.md says of fields that should be ones, or zeros: ignored. */
static void fields_that_should_be_are_ignored(void **state)
{
	uint64_t seed = 3;

	for (unsigned int i = 0; i < NR_SHOULD_BE; i++) {
		const struct should_be *s = &should_be[i];

		for (unsigned int n = 0; n < 2000; n++) {
			uint32_t insn = (random_word(&seed) & ~s->mask) | s->value;

			/* FCMP has types that are not allocated. */
			if (s->zeros)
				insn &= ~(3u << 22);
			assert_same_block(insn, as_it_should_be(insn));
		}
	}
}

/* DSB and DMB with reserved options act as those for the full system. */
static void reserved_barriers_are_full(void **state)
{
	static const uint32_t dsb = 0xd503309f, dmb = 0xd50330bf, sy = 15 << 8;

	for (uint32_t crm = 0; crm < 16; crm += 4) {
		assert_same_block(dmb | crm << 8, dmb | sy);
		if (crm >= 8) /* below are SSBB and PSSBB */
			assert_same_block(dsb | crm << 8, dsb | sy);
	}
}

static void every_row_is_reached(void **state)
{
	unsigned int bad = 0;

	for (unsigned int i = 0; i < A64_NR_TABLES; i++)
		for (const struct a64_row *r = a64_tables[i]; r->fn; r++) {
			bool reached, accepted;

			if (r->value & ~r->mask) {
				print_error("%s: value %#x has bits outside mask %#x\n", r->name,
					    r->value, r->mask);
				bad++;
				continue;
			}
			try_row(r, &reached, &accepted);
			if (!accepted) {
				print_error("%s (%#x/%#x): %s\n", r->name, r->mask, r->value,
					    reached ? "accepts nothing" : "never reached");
				bad++;
			}
		}
	assert_int_equal(bad, 0);
}

/* No instruction emits more than what translation keeps free for it. */
static void instructions_fit(void **state)
{
	static const uint32_t modes[] = {EL0, EL1,
					 EL1 | CPU_MODE_BE | CPU_MODE_ALIGN | CPU_MODE_SP_ALIGN};
	static struct ir_block b;
	unsigned int ops = 0, mem = 0;
	uint64_t seed = 3;

	for (unsigned int n = 0; n < 500000; n++) {
		uint32_t insn = decode_space_word(&seed);

		a64_translate_block(&b, &insn, 0, modes[n % 3], 1);
		ops = b.nr_ops > ops ? b.nr_ops : ops;
		mem = b.nr_mem > mem ? b.nr_mem : mem;
	}
	print_message("most ops %u, most accesses %u\n", ops, mem);
	assert_true(ops <= A64_OPS_RESERVE);
	assert_true(mem <= A64_MEM_RESERVE);
}

/* Blocks. */

static struct ir_block block;
static uint32_t page[PAGE_WORDS];

static const struct ir_op *translate(unsigned int first, uint32_t mode, unsigned int max)
{
	a64_translate_block(&block, page, 4 * first, mode, max);
	return &block.op[block.nr_ops - 1];
}

static void fill_nops(void)
{
	for (unsigned int i = 0; i < PAGE_WORDS; i++)
		page[i] = NOP;
}

static void blocks_are_cut(void **state)
{
	const struct ir_op *last;

	fill_nops();
	last = translate(0, EL0, IR_MAX_INSNS);
	assert_int_equal(block.nr_insns, IR_MAX_INSNS);
	assert_int_equal(last->opc, IR_JUMP);
	assert_int_equal(last->aux, IR_FALLTHROUGH);
	assert_int_equal(last->imm, 4 * IR_MAX_INSNS);
	assert_int_equal(last->insn, IR_MAX_INSNS - 1);

	translate(PAGE_WORDS - 3, EL0, IR_MAX_INSNS);
	assert_int_equal(block.nr_insns, 3);
	translate(0, EL0 | CPU_MODE_STEP, IR_MAX_INSNS);
	assert_int_equal(block.nr_insns, 1);

	page[2] = 0x54000080; /* b.eq forward: goes on */
	page[4] = 0xb4ffff80; /* cbz x0 backward: ends */
	last = translate(0, EL0, IR_MAX_INSNS);
	assert_int_equal(block.nr_insns, 5);
	assert_int_equal(last[-1].opc, IR_CBZ);
	assert_int_equal(last[-1].imm, 0);
	assert_int_equal(last->imm, 20);

	page[4] = 0x36000040; /* tbz w0, #0, forward */
	page[5] = 0x35000040; /* cbnz w0, forward: the third ends */
	last = translate(0, EL0, IR_MAX_INSNS);
	assert_int_equal(block.nr_insns, 6);
	assert_int_equal(last[-1].opc, IR_CBNZ);

	page[1] = 0x17ffffff; /* b -4 */
	last = translate(0, EL0, IR_MAX_INSNS);
	assert_int_equal(block.nr_insns, 2);
	assert_int_equal(last->opc, IR_JUMP);
	assert_int_equal(last->aux, IR_BRANCH);
	assert_int_equal(last->imm, 0);
}

/* What others see of this front end: a block with all that it names, sizes in bytes, names. */
static void front_end_describes_its_blocks(void **state)
{
	const struct front *front = front_of(EL0);

	assert_ptr_equal(front, &front_a64);
	fill_nops();
	front->translate(&block, page, 0, EL0, 3);
	assert_int_equal(block.nr_insns, 3);
	for (unsigned int i = 0; i <= 3; i++)
		assert_int_equal(block.insn_offset[i], (int)(i * front->insn_align));
	assert_ptr_equal(block.helpers, front->helpers);
	assert_int_equal(block.nr_helpers, front->nr_helpers);
	assert_string_equal(front->insn_name(page), "HINT");
	assert_string_equal(front->insn_name(&(uint32_t){0}), "UNDEFINED");
}

static void adrp_is_relative_to_its_page(void **state)
{
	fill_nops();
	page[9] = 0xb0000001; /* adrp x1, 1 page */
	translate(8, EL0, 2);
	assert_int_equal(block.op[0].opc, IR_PCREL);
	assert_int_equal(block.op[0].k, MEM_PAGE_SIZE - 4 * 8);
	page[9] = 0x90ffffe1; /* adrp x1, -4 pages */
	translate(8, EL0, 2);
	assert_int_equal(block.op[0].k, -4ull * MEM_PAGE_SIZE - 4 * 8);
}

static unsigned int count(unsigned int opc)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < block.nr_ops; i++)
		n += block.op[i].opc == opc;
	return n;
}

static void sp_is_checked_once(void **state)
{
	static const struct {
		uint32_t between;
		unsigned int checks;
	} rows[] = {
		{NOP, 1},        /* nothing of SP */
		{0xa9bf7bfd, 1}, /* stp x29, x30, [sp, #-16]! */
		{0xf81f8fe0, 2}, /* str x0, [sp, #-8]! */
		{0xd10103ff, 1}, /* sub sp, sp, #64 */
		{0xd10023ff, 2}, /* sub sp, sp, #8 */
		{0x9100001f, 2}, /* mov sp, x0 */
		{0x927cec1f, 1}, /* and sp, x0, #~15 */
		{0x1100001f, 2}, /* mov wsp, w0 */
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		fill_nops();
		page[0] = page[2] = 0xf94003e0; /* ldr x0, [sp] */
		page[1] = rows[i].between;
		translate(0, EL0 | CPU_MODE_SP_ALIGN, 3);
		assert_int_equal(count(IR_SPCHECK), rows[i].checks);
		translate(0, EL0, 3);
		assert_int_equal(count(IR_SPCHECK), 0);
	}
}

/* ISS.ISV: exactly the loads and stores of one general register without write-back. */
static void syndromes(void **state)
{
	static const struct {
		uint32_t insn;
		int rt; /* -1: no valid syndrome */
		uint8_t size_log2, sign, reg64;
	} rows[] = {
		{0xf9400041, 1, 3, 0, 1},  /* ldr x1, [x2] */
		{0xb900005f, 31, 2, 0, 0}, /* str wzr, [x2] */
		{0x38a36841, 1, 0, 1, 1},  /* ldrsb x1, [x2, x3] */
		{0x78e36841, 1, 1, 1, 0},  /* ldrsh w1, [x2, x3] */
		{0xb8401041, 1, 2, 0, 0},  /* ldur w1, [x2, #1] */
		{0xb8400841, 1, 2, 0, 0},  /* ldtr w1, [x2] */
		{0x98000041, 1, 2, 1, 1},  /* ldrsw x1, literal */
		{0x08dffc41, 1, 0, 0, 0},  /* ldarb w1, [x2] */
		{0xc89ffc41, 1, 3, 0, 1},  /* stlr x1, [x2] */
		{0xb8bfc041, 1, 2, 0, 0},  /* ldapr w1, [x2] */
		{0xf8408441, -1},          /* ldr x1, [x2], #8 */
		{0xf8008c41, -1},          /* str x1, [x2, #8]! */
		{0xa9400c41, -1},          /* ldp x1, x3, [x2] */
		{0xc85f7c41, -1},          /* ldxr x1, [x2] */
		{0xf8210041, -1},          /* ldadd x1, x1, [x2] */
		{0xc8a17c43, -1},          /* cas x1, x3, [x2] */
		{0xfd400041, -1},          /* ldr d1, [x2] */
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct mem_desc *d = &block.mem[0];

		page[0] = rows[i].insn;
		translate(0, EL1, 1);
		assert_int_equal(block.nr_mem, 1);
		assert_int_equal(d->isv, rows[i].rt >= 0);
		if (rows[i].rt < 0)
			continue;
		assert_int_equal(d->rt, rows[i].rt);
		assert_int_equal(d->size_log2, rows[i].size_log2);
		assert_int_equal(d->sign, rows[i].sign);
		assert_int_equal(d->reg64, rows[i].reg64);
	}
}

/* What each exception-generating instruction does at EL0 and EL1. */
static void exceptions(void **state)
{
	static const struct {
		uint32_t insn, mode;
		unsigned int opc, aux;
		uint32_t imm;
	} rows[] = {
		{0xd4024681, EL0, IR_EXCEPTION, 1, 0x56001234}, /* svc #0x1234 */
		{0xd4024681, EL1, IR_EXCEPTION, 1, 0x56001234},
		{0xd4024682, EL0, IR_EXCEPTION, 0, 0x02000000}, /* hvc */
		{0xd4024682, EL1, IR_LEAVE, IR_LEAVE_HVC, 0x1234},
		{0xd4024683, EL0, IR_EXCEPTION, 0, 0x02000000}, /* smc */
		{0xd4024683, EL1, IR_LEAVE, IR_LEAVE_SMC, 0x1234},
		{0xd43fffe0, EL0, IR_EXCEPTION, 0, 0xf200ffff}, /* brk #0xffff */
		{0xd4400000, EL1, IR_EXCEPTION, 0, 0x02000000}, /* hlt */
		{0xd4a00001, EL1, IR_EXCEPTION, 0, 0x02000000}, /* dcps1 */
		{0xd69f03e0, EL0, IR_EXCEPTION, 0, 0x02000000}, /* eret */
		{0xd69f03e0, EL1, IR_LEAVE, IR_LEAVE_ERET, 0},
		{0xd6bf03e0, EL1, IR_EXCEPTION, 0, 0x02000000}, /* drps */
		{0x00000000, EL1, IR_EXCEPTION, 0, 0x02000000}, /* udf */
		{0xd5033fdf, EL0, IR_LEAVE, IR_LEAVE_SYNC, 0},  /* isb */
		{0xd503207f, EL1, IR_LEAVE, IR_LEAVE_WFI, 0},   /* wfi */
		{0xd503205f, EL0, IR_LEAVE, IR_LEAVE_WFE, 0},   /* wfe */
		{0xd50342ff, EL1, IR_LEAVE, IR_LEAVE_SYNC, 0},  /* msr daifclr, #2 */
		{0xd50041bf, EL0, IR_EXCEPTION, 0, 0x02000000}, /* msr spsel, #1 */
		{0xd50041bf, EL1, IR_LEAVE, IR_LEAVE_SYNC, 0},
		{0x1e202820, CPU_MODE_EL1, IR_EXCEPTION, 0, 0x1fe00000}, /* fadd, trapped */
		{0xfd400041, 0, IR_EXCEPTION, 0, 0x1fe00000},            /* ldr d1, trapped */
		{0xd53b4400, 0, IR_EXCEPTION, 0, 0x1fe00000},            /* mrs x0, fpcr, trapped */
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct ir_op *last;

		page[0] = rows[i].insn;
		last = translate(0, rows[i].mode, 1);
		assert_int_equal(last->opc, rows[i].opc);
		assert_int_equal(last->aux, rows[i].aux);
		assert_int_equal((uint32_t)last->imm, rows[i].imm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logical_immediates),
		cmocka_unit_test(index_is_the_tables),
		cmocka_unit_test(every_row_is_reached),
		cmocka_unit_test(fields_that_should_be_are_ignored),
		cmocka_unit_test(reserved_barriers_are_full),
		cmocka_unit_test(instructions_fit),
		cmocka_unit_test(blocks_are_cut),
		cmocka_unit_test(front_end_describes_its_blocks),
		cmocka_unit_test(adrp_is_relative_to_its_page),
		cmocka_unit_test(sp_is_checked_once),
		cmocka_unit_test(syndromes),
		cmocka_unit_test(exceptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
