/* SPDX-License-Identifier: MIT */
/*
 * The IR by itself: the verifier finds each broken invariant, the printer prints, the table of
 * operations says what ops do.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/front/a64/a64.h"
#include "tests/engine/guest.h"
#include "tests/engine/make_ir.h"
#include "tests/engine/random_words.h"

#define END JUMP_TO(4)

static struct ir_block block;

static void make(const struct ir_op *ops, unsigned int n)
{
	memset(&block, 0, sizeof(block));
	block.nr_insns = 2;
	block.insn_offset[1] = 4;
	block.insn_offset[2] = 8;
	block.helpers = a64_helpers;
	block.nr_helpers = A64_NR_HELPERS;
	block.nr_ops = (uint16_t)n;
	block.nr_mem = 2;
	block.mem[1].pair = 1;
	memcpy(block.op, ops, n * sizeof(*ops));
}

/* What each of these breaks, and the verifier's word for it; NULL: nothing. */
static const struct {
	const char *message;
	struct ir_op op[5];
	unsigned int n;
} broken[] = {
	{NULL, {KONST(I64, 1), PUT_X(I64, 0, 0), END}, 3},
	{"no such operation", {{.opc = IR_NR_OPS}, END}, 2},
	{"no such operation", {{.opc = IR_SCALAR_OPS, .type = IR_V128}, END}, 2},
	{"no such type", {{.opc = IR_CONST, .type = IR_FLAGS + 1, .a = NONE}, END}, 2},
	{"no such slot", {OP0(GET, I64, 0, CPU_STATE_SIZE), END}, 2},
	{"no such slot", {OP0(GET, I64, 0, CPU_SLOT_X(0) + 4), END}, 2},
	{"no such slot", {OP0(COUNT, I64, 1, CPU_STATE_SIZE), END}, 2},
	{"COUNT's alone", {OP0(GET, I64, 0, CPU_SLOT(pmu.br_retired)), END}, 2},
	{"COUNT's alone", {KONST(I64, 1), OP1(PUT, I64, 0, CPU_SLOT(pmu.mem_access), 0), END}, 3},
	{NULL, {OP0(COUNT, I64, 1, CPU_SLOT(pmu.mem_access)), END}, 2},
	{"no such slot", {OP0(GET, V128, 0, CPU_SLOT_V(0) + 8), END}, 2},
	{"no such slot", {KONST(I64, 1), OP1(PUT, I64, 0, -8, 0), END}, 3},
	{"no such helper", {OP0(CALL, I64, 0, A64_NR_HELPERS), END}, 2},
	{"no such memory descriptor", {KONST(I64, 1), OP1(LD, I64, 2, 0, 0), END}, 3},
	{"no such lanes", {GET_V(0), OP2(V_FADD, V128, IR_LANES(IR_B, IR_FULL), 0, 0, 0), END}, 3},
	{"follows the end of its path", {END, KONST(I64, 1)}, 2},
	{"the block has no end", {KONST(I64, 1)}, 1},
	{"the block has no end", {{0}}, 0},
	{"instruction index goes back or is too large", {KONST(I64, 1, .insn = 2), END}, 2},
	{"instruction index goes back or is too large",
	 {KONST(I64, 1, .insn = 1), KONST(I64, 1), END},
	 3},
	{"an operand is missing", {KONST(I64, 1), OP1(ADD, I64, 0, 0, 0), END}, 3},
	{"an operand too many", {KONST(I64, 1), OP2(CLZ, I64, 0, 0, 0, 0), END}, 3},
	{"an operand is used before it is defined",
	 {KONST(I64, 1), OP1(CLZ, I64, 0, 0, 1), END},
	 3},
	{"an operand is used before it is defined",
	 {OP1(CLZ, I64, 0, 0, 1), KONST(I64, 1), END},
	 3},
	{"an operand is an op without result",
	 {KONST(I64, 1), PUT_X(I64, 0, 0), OP1(CLZ, I64, 0, 0, 1), END},
	 4},
	{"an operand is of the wrong type", {GET_V(0), OP1(CLZ, I64, 0, 0, 0), END}, 3},
	{"an operand is of the wrong type", {KONST(I64, 1), OP1(BCC, FLAGS, 0, 0, 0), END}, 3},
	{"an operand is of the wrong type", {KONST(I64, 1), OP1(VGETU, I64, 0, 0, 0), END}, 3},
	{"result of the wrong type", {KONST(I64, 1), OP1(CLZ, V128, 0, 0, 0), END}, 3},
	{"the value is not of the slot's type", {KONST(I64, 1), PUT_V(0, 0), END}, 3},
	{"the value is not of the slot's type", {KONST(I64, 1), PUT_F(0), END}, 3},
	{"is not right after a load of a pair",
	 {KONST(I64, 1), OP1(LD, I64, 0, 0, 0), OP1(LDHI, I64, 0, 0, 1), END},
	 4},
	{"is not right after a load of a pair",
	 {KONST(I64, 1), OP1(LD, I64, 1, 0, 0), KONST(I64, 1), OP1(LDHI, I64, 0, 0, 1), END},
	 5},
	{NULL, {KONST(I64, 1), OP1(LD, I64, 1, 0, 0), OP1(LDHI, I64, 0, 0, 1), END}, 4},
	{"may fault after a PUT of its instruction",
	 {KONST(I64, 1), PUT_X(I64, 0, 0), OP1(LD, I64, 0, 0, 0), END},
	 4},
	{"may fault after a PUT of its instruction",
	 {KONST(I64, 1), PUT_X(I64, 0, 0), OP1(CALL, I64, 0, A64_H_mrs, 0), END},
	 4},
	{"may fault after a PUT of its instruction",
	 {KONST(I64, 1), PUT_X(I64, 0, 0), OP0(EXCEPTION, I32, 0, 0)},
	 3},
	{NULL, {KONST(I64, 1), PUT_X(I64, 0, 0), OP1(CALL, I64, 0, A64_H_sev, 0), END}, 4},
	/* The next instruction may fault. */
	{NULL,
	 {KONST(I64, 1), PUT_X(I64, 0, 0), OP1(LD, I64, 0, 0, 0, .insn = 1), JUMP_TO(8, .insn = 1)},
	 4},
	/* The type of a comparison is that of its operands. */
	{NULL, {KONST(I64, 1), OP2(CMP, I64, 0, 0, 0, 0), PUT_F(1), END}, 4},
};

static void test_verifier(void **state)
{
	char why[128];

	for (unsigned int i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		make(broken[i].op, broken[i].n);
		const char *said = ir_verify(&block, why, sizeof(why));

		if (!broken[i].message) {
			if (said)
				fail_msg("block %u: %s", i, said);
			continue;
		}
		if (!said || !strstr(said, broken[i].message))
			fail_msg("block %u: \"%s\" where \"%s\" was expected", i,
				 said ? said : "(nothing)", broken[i].message);
	}
}

/* What the front end makes is what the verifier allows: any word, in any mode. */
static void test_front_end_is_verified(void **state)
{
	static const uint32_t modes[] = {
		CPU_MODE_FP,
		CPU_MODE_FP | CPU_MODE_EL1,
		0,
		CPU_MODE_FP | CPU_MODE_BE,
		CPU_MODE_FP | CPU_MODE_ALIGN | CPU_MODE_SP_ALIGN,
		CPU_MODE_FP | CPU_MODE_EL1 | CPU_MODE_STEP,
		CPU_MODE_FP | CPU_MODE_EL1 | CPU_MODE_UAO | CPU_MODE_EL1T,
	};
	static uint32_t words[MEM_PAGE_SIZE / 4];
	uint64_t seed = 7;
	char why[128];

	for (unsigned int n = 0; n < 60000; n++) {
		for (unsigned int i = 0; i < 8; i++)
			words[i] = decode_space_word(&seed);
		a64_translate_block(&block, words, 0, modes[n % (sizeof(modes) / sizeof(modes[0]))],
				    8);
		if (ir_verify(&block, why, sizeof(why)))
			fail_msg("%08x %08x...: %s", words[0], words[1], why);
	}
}

static void test_printer(void **state)
{
	static const struct ir_op ops[] = {
		GET_X(I64, 3),
		KONST(I64, 0x1234),
		OP2(ADD, I64, 0, 0, 0, 1),
		OP1(LD, I32, 1, 0, 2),
		PUT_X(I32, 4, 3),
		GET_V(2, .insn = 1),
		OP2(V_AND, V128, IR_LANES(IR_B, IR_FULL), 0, 5, 5, .insn = 1),
		PUT_V(31, 6, .insn = 1),
		GET_F(.insn = 1),
		OP1(BCC, FLAGS, IR_HI, -8, 8, .insn = 1),
		OP1(CALL, I64, 0, A64_H_mrs, 0, .insn = 1),
		OP0(JUMP, I64, IR_CALLS, 64, .insn = 1),
	};
	static const char *const expected[] = {
		"block at page offset 0x40, mode 0x4, 2 instructions\n",
		" +0:\n",
		"%0 = GET.i64 x3\n",
		"%1 = CONST.i64 0x1234\n",
		"%2 = ADD.i64 %0 %1\n",
		"%3 = LD.i32 aux=0x1 %2 {16 pair signed offset -4 scale 0 ext 0}\n",
		"PUT.i32 %3 x4\n",
		" +4:\n",
		"%5 = GET.v128 v2\n",
		"%6 = V_AND.v128 aux=0x20 %5 %5\n",
		"PUT.v128 %6 v31\n",
		"%8 = GET.flags nzcv\n",
		"BCC.flags aux=0x8 %8 imm=-8\n",
		"%10 = CALL.i64 %0 mrs\n",
		"JUMP.i64 aux=0x1 imm=64\n",
	};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	make(ops, sizeof(ops) / sizeof(ops[0]));
	block.pc_offset = 0x40;
	block.mode = CPU_MODE_FP;
	block.mem[1] = (struct mem_desc){.size_log2 = 1, .pair = 1, .sign = 1, .offset = -4};
	ir_dump(&block, f);
	fclose(f);
	const char *at = text;

	for (unsigned int i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		const char *found = strstr(at, expected[i]);

		if (!found)
			fail_msg("no \"%s\" in the rest of:\n%s", expected[i], at);
		at = found + strlen(expected[i]);
	}
	assert_int_equal(*at, 0);
	free(text);
}

/* Properties are what the passes trust: an op that leaves, touches memory or runs C says so. */
static void test_properties(void **state)
{
	static const struct {
		unsigned int opc, props;
	} rows[] = {
		{IR_CONST, 0},
		{IR_GET, 0},
		{IR_PUT, 0},
		{IR_ADD, 0},
		{IR_CMP, 0},
		{IR_LDHI, 0},
		{IR_CLREX, 0},
		{IR_FENCE, 0},
		{IR_COUNT, 0},
		{IR_STEP, IRP_READS | IRP_WRITES},
		{IR_LD, IRP_FAULT | IRP_MEM},
		{IR_ST, IRP_FAULT | IRP_MEM},
		{IR_STX, IRP_FAULT | IRP_MEM},
		{IR_RMW, IRP_FAULT | IRP_MEM},
		{IR_CAS, IRP_FAULT | IRP_MEM},
		{IR_PROBE_R, IRP_FAULT | IRP_MEM},
		{IR_PROBE_W, IRP_FAULT | IRP_MEM},
		{IR_SPCHECK, IRP_FAULT},
		{IR_CALL, IRP_FAULT | IRP_READS | IRP_WRITES},
		{IR_BCC, IRP_SIDE},
		{IR_CBZ, IRP_SIDE},
		{IR_CBNZ, IRP_SIDE},
		{IR_TBZ, IRP_SIDE},
		{IR_TBNZ, IRP_SIDE},
		{IR_JUMP, IRP_END},
		{IR_JUMP_IND, IRP_END},
		{IR_EXCEPTION, IRP_END | IRP_FAULT},
		{IR_LEAVE, IRP_END},
		{IR_FCMP, IRP_FP},
		{IR_FTOI, IRP_FP},
		{IR_ITOF, IRP_FP},
		{IR_V_FADD, IRP_FP},
		{IR_V_AND, 0},
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ir_op_info(rows[i].opc)->props, rows[i].props);
	assert_null(ir_op_info(IR_SCALAR_OPS));
	assert_null(ir_op_info(IR_NR_OPS));
	for (unsigned int i = 0; i < IR_NR_OPS; i++) {
		const struct ir_op_info *info = ir_op_info(i);

		if (!info)
			continue;
		/* a b c = r */
		assert_int_equal(strlen(info->operands), 5);
		assert_int_equal(info->operands[3], '=');
		assert_int_equal(strspn(info->operands, "ifvxo-="), 5);
		/*
		 * Only the last op of a path ends it; a temp's value never comes from one that
		 * ends.
		 */
		if (info->props & IRP_END)
			assert_int_equal(info->operands[4], '-');
	}
}

/* A helper that may fault or writes state must not be taken for one that does not. */
static void test_helpers(void **state)
{
	for (unsigned int i = 0; i < A64_NR_HELPERS; i++) {
		assert_non_null(a64_helpers[i].fn);
		assert_int_equal(a64_helpers[i].props & ~(IRP_FAULT | IRP_READS | IRP_WRITES), 0);
		/* What a helper faults on is delivered from struct cpu: it sees state. */
		if (a64_helpers[i].props & IRP_FAULT)
			assert_true(a64_helpers[i].props & IRP_READS);
	}
	assert_int_equal(a64_helpers[A64_H_msr].props, IRP_FAULT | IRP_READS | IRP_WRITES);
	assert_int_equal(a64_helpers[A64_H_casp].props, IRP_FAULT | IRP_READS | IRP_WRITES);
	assert_int_equal(a64_helpers[A64_H_mrs].props, IRP_FAULT | IRP_READS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verifier), cmocka_unit_test(test_front_end_is_verified),
		cmocka_unit_test(test_printer),  cmocka_unit_test(test_properties),
		cmocka_unit_test(test_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
