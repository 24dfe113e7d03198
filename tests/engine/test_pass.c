/* SPDX-License-Identifier: MIT */
/*
 * Each pass on hand-made blocks: what goes in, and what must come out, as text.
 *
 * IR is shown op by op, dead ones left out: "%index NAME operands slot-or-immediate". Places are
 * shown as "%index place", with "elided" for a PUT that its value's op does. Micro-operations are
 * shown by name with the slots that matter.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/back/exec/exec.h"
#include "engine/front/a64/a64.h"
#include "tests/engine/guest.h"
#include "tests/engine/make_ir.h"

#define MAX_OPS 16
#define END     JUMP_TO(8)

static struct ir_work *w;
static struct exec_compiler *e;
static char text[4096];
static size_t length;

static int setup(void **state)
{
	w = calloc(1, sizeof(*w));
	e = calloc(1, sizeof(*e));
	assert_non_null(w);
	assert_non_null(e);
	e->w = w;
	return 0;
}

static int teardown(void **state)
{
	free(w);
	free(e);
	return 0;
}

/* --- blocks as text --- */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	length += (size_t)vsnprintf(text + length, sizeof(text) - length, format, args);
	va_end(args);
	assert_true(length < sizeof(text));
}

static void say_slot(unsigned int slot)
{
	if (slot - CPU_SLOT_X(0) < 32 * 8)
		say("x%u", (slot - CPU_SLOT_X(0)) / 8);
	else if (slot - CPU_SLOT_V(0) < 32 * 16)
		say("v%u", (slot - CPU_SLOT_V(0)) / 16);
	else if (slot == CPU_SLOT(nzcv))
		say("nzcv");
	else if (slot >= EXEC_SLOT(0))
		say("s%u", (slot - EXEC_SLOT(0)) / 16);
	else
		say("%#x", slot);
}

static void say_op(unsigned int i)
{
	const struct ir_op *o = &w->b.op[i];
	const ir_val v[3] = {o->a, o->b, o->c};

	say("%%%u %s", i, ir_op_info(o->opc)->name);
	if (ir_has_k(o)) {
		say(" %#" PRIx64 "; ", o->k);
		return;
	}
	for (unsigned int k = 0; k < 3; k++)
		if (v[k] != IR_NONE)
			say(" %%%u", v[k]);
	if (o->opc == IR_COUNT)
		say(o->imm == CPU_SLOT(pmu.br_retired) ? " branches" : " accesses");
	if (o->opc == IR_GET || o->opc == IR_PUT) {
		say(" ");
		say_slot((unsigned int)o->imm);
	}
	say("; ");
}

static const char *live_ops(void)
{
	length = 0;
	for (unsigned int i = 0; i < w->b.nr_ops; i++)
		if (!w->dead[i])
			say_op(i);
	text[length ? length - 2 : 0] = 0;
	return text;
}

static const char *places(void)
{
	length = 0;
	for (unsigned int i = 0; i < w->b.nr_ops; i++) {
		if (w->dead[i] || (e->loc[i] == NO_LOC && !e->elided[i]))
			continue;
		say("%%%u ", i);
		if (e->elided[i])
			say("elided");
		else
			say_slot(e->loc[i]);
		say("; ");
	}
	text[length ? length - 2 : 0] = 0;
	return text;
}

/*
 * Names of the micro-operations; extension words have none, unless by chance (constants here are
 * chosen not to).
 */
static const char *code(void)
{
	length = 0;
	text[0] = 0;
	for (unsigned int i = 0; i < e->nr_code; i++) {
		const char *name = exec_uop_name(e->code[i].handler);
		bool exit = false;

		for (unsigned int k = 0; k < e->nr_exits; k++)
			exit |= e->exits[k].site == i;
		if (name && !exit && (e->code[i].handler || !strcmp(name, "ADD32")) &&
		    e->code[i].handler + e->code[i].a)
			say("%s%s", length ? " " : "", name);
	}
	return text;
}

/* --- the tables --- */

struct row {
	const char *what, *expected;
	struct ir_op op[MAX_OPS];
	struct mem_desc mem;
	uint32_t mode;
};

/* What a front end says of a block besides its ops: here @nr instructions of four bytes. */
static void describe(struct ir_block *b, unsigned int nr)
{
	b->nr_insns = (uint16_t)nr;
	for (unsigned int i = 0; i <= nr; i++)
		b->insn_offset[i] = (int32_t)(4 * i);
	b->helpers = a64_helpers;
	b->nr_helpers = A64_NR_HELPERS;
}

static void load(const struct row *r)
{
	struct ir_block *b = &w->b;

	b->nr_ops = 0;
	while (b->nr_ops < MAX_OPS &&
	       (r->op[b->nr_ops].opc || r->op[b->nr_ops].a || r->op[b->nr_ops].k)) {
		b->op[b->nr_ops] = r->op[b->nr_ops];
		b->nr_ops++;
	}
	describe(b, b->op[b->nr_ops - 1].insn + 1u);
	b->mem[0] = r->mem;
	b->nr_mem = 1;
	b->mode = r->mode;
	memset(w->dead, 0, sizeof(w->dead));
	w->plain = false;
	char why[128];

	if (ir_verify(b, why, sizeof(why)))
		fail_msg("%s: %s", r->what, why);
}

static void compare(const struct row *r, const char *got)
{
	if (strcmp(got, r->expected))
		fail_msg("%s:\n  %s\nwhere expected was\n  %s", r->what, got, r->expected);
}

#define EACH(rows, r)                              \
	const struct row *r = rows;                \
	r < rows + sizeof(rows) / sizeof(rows[0]); \
	r++

static const struct row forward[] = {
	{"a GET of what was PUT",
	 "%0 GET x1; %1 ADD %0 %0; %2 PUT %1 x2; %4 PUT %1 x3; %5 JUMP",
	 {GET_X(I64, 1), OP2(ADD, I64, 0, 0, 0, 0), PUT_X(I64, 2, 1), GET_X(I64, 2),
	  PUT_X(I64, 3, 3), END}},
	{"two GETs of a slot",
	 "%0 GET x1; %2 ADD %0 %0; %3 PUT %2 x1; %4 JUMP",
	 {GET_X(I64, 1), GET_X(I64, 1), OP2(ADD, I64, 0, 0, 0, 1), PUT_X(I64, 1, 2), END}},
	{"W of a known X is its low half",
	 "%0 GET x1; %2 PUT %0 x2; %3 JUMP",
	 {GET_X(I64, 1), GET_X(I32, 1), PUT_X(I32, 2, 1), END}},
	{"X of a known W is not known",
	 "%0 GET x1; %1 GET x1; %2 PUT %1 x2; %3 JUMP",
	 {GET_X(I32, 1), GET_X(I64, 1), PUT_X(I64, 2, 1), END}},
	{"a W PUT of an X truncates",
	 "%0 GET x1; %1 PUT %0 x2; %2 GET x2; %3 PUT %2 x3; %4 JUMP",
	 {GET_X(I64, 1), PUT_X(I32, 2, 0), GET_X(I32, 2), PUT_X(I32, 3, 2), END}},
	{"a helper that writes state ends it",
	 "%0 GET x1; %1 CALL %0; %2 GET x1; %3 PUT %2 x2; %4 JUMP",
	 {GET_X(I64, 1), OP1(CALL, I64, 0, A64_H_msr, 0), GET_X(I64, 1), PUT_X(I64, 2, 2), END}},
	{"one that reads does not",
	 "%0 GET x1; %1 CALL %0; %3 PUT %0 x2; %4 JUMP",
	 {GET_X(I64, 1), OP1(CALL, I64, 0, A64_H_mrs, 0), GET_X(I64, 1), PUT_X(I64, 2, 2), END}},
	{"nor do a side exit or a store",
	 "%0 GET x1; %1 CBZ %0; %2 ST %0 %0; %4 PUT %0 x2; %5 JUMP",
	 {GET_X(I64, 1), OP1(CBZ, I64, 0, 64, 0), OP3(ST, I64, 0, 0, 0, NONE, 0), GET_X(I64, 1),
	  PUT_X(I64, 2, 3), END}},
	{"flags go to the branch",
	 "%0 GET x1; %1 CMP %0 %0; %2 PUT %1 nzcv; %4 BCC %1; %5 JUMP",
	 {GET_X(I64, 1), OP2(CMP, I64, 0, 0, 0, 0), PUT_F(1), GET_F(),
	  OP1(BCC, FLAGS, IR_EQ, 64, 3), END}},
	{"vectors",
	 "%0 GET v1; %2 PUT %0 v2; %4 PUT %0 v3; %5 JUMP",
	 {GET_V(1), GET_V(1), PUT_V(2, 1), GET_V(2), PUT_V(3, 3), END}},
};

static const struct row fold[] = {
	{"addition in 64 bits",
	 "%0 CONST 0xffffffff; %1 CONST 0x2; %2 CONST 0x100000001; %3 PUT %2 x0; %4 JUMP",
	 {KONST(I64, 0xffffffff), KONST(I64, 2), OP2(ADD, I64, 0, 0, 0, 1), PUT_X(I64, 0, 2), END}},
	{"addition in 32 bits",
	 "%0 CONST 0xffffffff; %1 CONST 0x2; %2 CONST 0x1; %3 PUT %2 x0; %4 JUMP",
	 {KONST(I32, 0xffffffff), KONST(I32, 2), OP2(ADD, I32, 0, 0, 0, 1), PUT_X(I32, 0, 2), END}},
	{"an address on the page and an offset",
	 "%0 PCREL 0x1000; %1 CONST 0x10; %2 PCREL 0x1010; %3 PUT %2 x0; %4 JUMP",
	 {{.opc = IR_PCREL, .type = IR_I64, .a = NONE, .k = 0x1000},
	  KONST(I64, 0x10),
	  OP2(ADD, I64, 0, 0, 0, 1),
	  PUT_X(I64, 0, 2),
	  END}},
	{"half of an address is not",
	 "%0 PCREL 0x1000; %1 CONST 0x10; %2 ADD %0 %1; %3 PUT %2 x0; %4 JUMP",
	 {{.opc = IR_PCREL, .type = IR_I64, .a = NONE, .k = 0x1000},
	  KONST(I32, 0x10),
	  OP2(ADD, I32, 0, 0, 0, 1),
	  PUT_X(I32, 0, 2),
	  END}},
	{"an insert into W drops the high half of X",
	 "%0 CONST 0x700000001; %1 CONST 0x5; %2 CONST 0x50001; %3 PUT %2 x0; %4 JUMP",
	 {KONST(I64, 0x700000001), KONST(I32, 5), OP2(BFI, I32, 0, 16 | 16 << 8, 0, 1),
	  PUT_X(I32, 0, 2), END}},
	{"an insert into X",
	 "%0 CONST 0x700000001; %1 CONST 0x5; %2 CONST 0x5000700000001; %3 PUT %2 x0; %4 JUMP",
	 {KONST(I64, 0x700000001), KONST(I64, 5), OP2(BFI, I64, 0, 48 | 16 << 8, 0, 1),
	  PUT_X(I64, 0, 2), END}},
	{"truncation",
	 "%0 CONST 0x700000001; %1 CONST 0x1; %2 PUT %1 x0; %3 JUMP",
	 {KONST(I64, 0x700000001), OP1(MOV, I32, 0, 0, 0), PUT_X(I32, 0, 1), END}},
	{"shift counts are modulo the width",
	 "%0 CONST 0x1; %1 CONST 0x21; %2 CONST 0x2; %3 PUT %2 x0; %4 JUMP",
	 {KONST(I32, 1), KONST(I32, 33), OP2(SHL, I32, 0, 0, 0, 1), PUT_X(I32, 0, 2), END}},
	{"division as the architecture has it",
	 "%0 CONST 0x8000000000000000; %1 CONST 0xffffffffffffffff; "
	 "%2 CONST 0x8000000000000000; %3 PUT %2 x0; %4 JUMP",
	 {KONST(I64, 1ull << 63), KONST(I64, ~0ull), OP2(SDIV, I64, 0, 0, 0, 1), PUT_X(I64, 0, 2),
	  END}},
	{"what comes of a fold is folded",
	 "%0 CONST 0x1; %1 CONST 0x2; %2 CONST 0x3; %3 PUT %2 x0; %4 JUMP",
	 {KONST(I64, 1), OP2(ADD, I64, 0, 0, 0, 0), OP2(ADD, I64, 0, 0, 1, 0), PUT_X(I64, 0, 2),
	  END}},
	{"what is not constant stays",
	 "%0 GET x1; %1 CONST 0x1; %2 ADD %0 %1; %3 PUT %2 x0; %4 JUMP",
	 {GET_X(I64, 1), KONST(I64, 1), OP2(ADD, I64, 0, 0, 0, 1), PUT_X(I64, 0, 2), END}},
};

static const struct row dead[] = {
	{"overwritten unseen",
	 "%0 CONST 0x2; %2 PUT %0 x0; %3 JUMP",
	 {KONST(I64, 2), PUT_X(I64, 0, 0), PUT_X(I64, 0, 0), END}},
	{"and what only it used",
	 "%2 CONST 0x3; %3 PUT %2 x0; %4 JUMP",
	 {KONST(I64, 2), PUT_X(I64, 0, 0), KONST(I64, 3), PUT_X(I64, 0, 2), END}},
	{"seen by a GET",
	 "%0 CONST 0x2; %1 PUT %0 x0; %2 GET x0; %3 PUT %2 x1; %4 PUT %0 x0; %5 JUMP",
	 {KONST(I64, 2), PUT_X(I64, 0, 0), GET_X(I64, 0), PUT_X(I64, 1, 2), PUT_X(I64, 0, 0), END}},
	{"seen by a fault",
	 "%0 CONST 0x2; %1 PUT %0 x0; %2 ST %0 %0; %3 PUT %0 x0; %4 JUMP",
	 {KONST(I64, 2), PUT_X(I64, 0, 0), OP3(ST, I64, 0, 0, 0, NONE, 0, .insn = 1),
	  PUT_X(I64, 0, 0, .insn = 1), JUMP_TO(8, .insn = 1)}},
	{"seen by a side exit",
	 "%0 CONST 0x2; %1 PUT %0 x0; %2 CBZ %0; %3 PUT %0 x0; %4 JUMP",
	 {KONST(I64, 2), PUT_X(I64, 0, 0), OP1(CBZ, I64, 0, 64, 0), PUT_X(I64, 0, 0), END}},
	{"seen by a helper that may not fault but reads",
	 "%0 CONST 0x2; %1 PUT %0 x0; %2 CALL %0; %3 PUT %0 x0; %4 JUMP",
	 {KONST(I64, 2), PUT_X(I64, 0, 0), OP1(CALL, I64, 0, A64_H_dsb, 0), PUT_X(I64, 0, 0), END}},
	{"seen by the end",
	 "%0 CONST 0x2; %1 PUT %0 x0; %2 JUMP",
	 {KONST(I64, 2), PUT_X(I64, 0, 0), END}},
	{"a load may fault",
	 "%0 CONST 0x2; %1 LD %0; %2 JUMP",
	 {KONST(I64, 2), OP1(LD, I64, 0, 0, 0), END}},
	{"floating point leaves flags",
	 "%0 GET v0; %1 V_FADD %0 %0; %2 JUMP",
	 {GET_V(0), OP2(V_FADD, V128, IR_LANES(IR_D, IR_SCALAR), 0, 0, 0), END}},
	{"a vector op does not",
	 "%2 JUMP",
	 {GET_V(0), OP2(V_AND, V128, IR_LANES(IR_B, IR_FULL), 0, 0, 0), END}},
	{"a helper is called for what it does",
	 "%0 CONST 0x2; %1 CALL %0; %2 JUMP",
	 {KONST(I64, 2), OP1(CALL, I64, 0, A64_H_sev, 0), END}},
	{"the unused half of a pair",
	 "%0 CONST 0x2; %1 LD %0; %3 PUT %1 x0; %4 JUMP",
	 {KONST(I64, 2), OP1(LD, I64, 0, 0, 0), OP1(LDHI, I64, 0, 0, 1), PUT_X(I64, 0, 1), END},
	 {.pair = 1, .size_log2 = 3}},
};

static const struct row place[] = {
	{"in the state's slots",
	 "%0 x1; %1 x2; %2 elided",
	 {GET_X(I64, 1), OP1(CLZ, I64, 0, 0, 0), PUT_X(I64, 2, 1), END}},
	{"the operand's own slot",
	 "%0 x1; %1 x1; %2 elided",
	 {GET_X(I64, 1), OP1(CLZ, I64, 0, 0, 0), PUT_X(I64, 1, 1), END}},
	{"an old value that is used after its slot is written",
	 "%0 s2; %1 x1; %2 elided; %3 x2; %4 elided",
	 {GET_X(I64, 1), OP1(CLZ, I64, 0, 0, 0), PUT_X(I64, 1, 1), OP1(RBIT, I64, 0, 0, 0),
	  PUT_X(I64, 2, 3), END}},
	{"a result may not come before a fault of its instruction",
	 "%0 x1; %1 s2",
	 {GET_X(I64, 1), OP1(CLZ, I64, 0, 0, 0), OP3(ST, I64, 0, 0, 0, NONE, 0), PUT_X(I64, 2, 1),
	  END}},
	{"nor before a side exit",
	 "%0 x1; %1 s2",
	 {GET_X(I64, 1), OP1(CLZ, I64, 0, 0, 0), OP1(CBZ, I64, 0, 64, 0), PUT_X(I64, 2, 1), END}},
	{"nor before someone wants the old value",
	 "%0 x1; %1 s2; %2 x2; %3 x3; %4 elided",
	 {GET_X(I64, 1), OP1(CLZ, I64, 0, 0, 0), GET_X(I64, 2), OP1(RBIT, I64, 0, 0, 2),
	  PUT_X(I64, 3, 3), PUT_X(I64, 2, 1), END}},
	{"MOV Wn, Wn", "%0 x1", {GET_X(I32, 1), PUT_X(I32, 1, 0), END}},
	{"MOV Wd, Wn", "%0 x1", {GET_X(I32, 1), PUT_X(I32, 2, 0), END}},
	{"a W PUT of an X is done by itself",
	 "%0 x1; %1 s2",
	 {GET_X(I64, 1), OP1(CLZ, I64, 0, 0, 0), PUT_X(I32, 2, 1), END}},
	{"a load's result: after the fault",
	 "%0 x1; %1 x1; %2 elided",
	 {GET_X(I64, 1), OP1(LD, I64, 0, 0, 0), PUT_X(I64, 1, 1), END}},
	{"two loads: the first one's result has to wait",
	 "%0 x1; %1 s2; %2 x3; %4 elided",
	 {GET_X(I64, 1), OP1(LD, I64, 0, 0, 0), OP1(LD, I64, 0, 0, 0), PUT_X(I64, 2, 1),
	  PUT_X(I64, 3, 2), END}},
	{"a constant goes to the slot itself",
	 "%0 x5; %1 elided",
	 {KONST(I64, 77), PUT_X(I64, 5, 0), END}},
	{"scratch slots are used again",
	 "%0 s2; %1 x1; %2 elided; %3 s3; %4 x2; %5 elided; %6 x3; %7 elided; %8 s2; %9 x3; %11 "
	 "elided",
	 {GET_X(I64, 1), OP1(CLZ, I64, 0, 0, 0), PUT_X(I64, 1, 1), OP1(RBIT, I64, 0, 0, 0),
	  OP2(ADD, I64, 0, 0, 3, 0), PUT_X(I64, 2, 4), OP2(SUB, I64, 0, 0, 3, 3), PUT_X(I64, 3, 6),
	  OP1(LD, I64, 0, 0, 6, .insn = 1), OP1(LD, I64, 0, 0, 8, .insn = 1),
	  PUT_X(I64, 4, 8, .insn = 1), PUT_X(I64, 3, 9, .insn = 1), JUMP_TO(8, .insn = 1)}},
};

#define LANES_D IR_LANES(IR_D, IR_SCALAR)
#define MEM64                              \
	{                                  \
		.size_log2 = 3, .reg64 = 1 \
	}

static const struct row lower[] = {
	{"immediates",
	 "ADDI64 JUMP",
	 {GET_X(I64, 1), KONST(I64, 5), OP2(ADD, I64, 0, 0, 0, 1), PUT_X(I64, 2, 2), END}},
	{"constants that are too large for one",
	 "LDI64 AND64 JUMP",
	 {GET_X(I64, 1), KONST(I64, 0x123456789abcull), OP2(AND, I64, 0, 0, 0, 1), PUT_X(I64, 2, 2),
	  END}},
	{"compare and branch",
	 "CMPBI_EQ64 JUMP",
	 {GET_X(I64, 1), KONST(I64, 5), OP2(CMP, I64, 0, 0, 0, 1), PUT_F(2),
	  OP1(BCC, FLAGS, IR_EQ, 64, 2), END}},
	{"compare two and branch",
	 "CMPB_HI32 JUMP",
	 {GET_X(I32, 1), GET_X(I32, 2), OP2(CMP, I32, 0, 0, 0, 1), PUT_F(2),
	  OP1(BCC, FLAGS, IR_HI, 64, 2), END}},
	{"not if something is between",
	 "CMPI64 ADD64 BCC JUMP",
	 {GET_X(I64, 1), KONST(I64, 5), OP2(CMP, I64, 0, 0, 0, 1), PUT_F(2),
	  OP2(ADD, I64, 0, 0, 0, 0), PUT_X(I64, 3, 4), OP1(BCC, FLAGS, IR_EQ, 64, 2), END}},
	{"not if the flags stay to be written",
	 "CMPI64 BCC MOV64 PUT32 JUMP",
	 {GET_X(I64, 1), KONST(I64, 5), OP2(CMP, I64, 0, 0, 0, 1), OP1(BCC, FLAGS, IR_EQ, 64, 2),
	  PUT_X(I64, 3, 0), PUT_F(2), END}},
	{"nor on overflow, which it does not know",
	 "CMPI64 BCC JUMP",
	 {GET_X(I64, 1), KONST(I64, 5), OP2(CMP, I64, 0, 0, 0, 1), PUT_F(2),
	  OP1(BCC, FLAGS, IR_VS, 64, 2), END}},
	{"counted branches",
	 "COUNT CMPBI_EQ64 COUNT JUMP",
	 {GET_X(I64, 1), KONST(I64, 5), OP2(CMP, I64, 0, 0, 0, 1), PUT_F(2),
	  OP1(BCC, FLAGS, IR_EQ, 64, 2), END},
	 {0},
	 CPU_MODE_PMU_BR},
	{"shifted addition",
	 "ADDSHL64 JUMP",
	 {GET_X(I64, 1), GET_X(I64, 2), KONST(I64, 3), OP2(SHL, I64, 0, 0, 1, 2),
	  OP2(ADD, I64, 0, 0, 0, 3), PUT_X(I64, 3, 4), END}},
	{"not if the shifted value is used twice",
	 "SHLI64 ADD64 JUMP",
	 {GET_X(I64, 1), GET_X(I64, 2), KONST(I64, 3), OP2(SHL, I64, 0, 0, 1, 2),
	  OP2(ADD, I64, 0, 0, 0, 3), PUT_X(I64, 3, 4), PUT_X(I64, 4, 3), END}},
	{"multiply and add",
	 "MADD32 JUMP",
	 {GET_X(I32, 1), GET_X(I32, 2), OP2(MUL, I32, 0, 0, 0, 1), GET_X(I32, 3),
	  OP2(ADD, I32, 0, 0, 3, 2), PUT_X(I32, 3, 4), END}},
	{"loads by how the address is made",
	 "LDU64_X JUMP",
	 {GET_X(I64, 1), GET_X(I64, 2), OP2(LD, I64, 0, 0, 0, 1), PUT_X(I64, 3, 2), END},
	 {.size_log2 = 3, .reg64 = 1, .scale = 3}},
	{"with a word index",
	 "LDS8W_SX JUMP",
	 {GET_X(I64, 1), GET_X(I64, 2), OP2(LD, I32, 0, 0, 0, 1), PUT_X(I32, 3, 2), END},
	 {.sign = 1, .index_ext = 2}},
	{"pairs",
	 "LDPU64 JUMP",
	 {GET_X(I64, 1), OP1(LD, I64, 0, 0, 0), OP1(LDHI, I64, 0, 0, 1), PUT_X(I64, 2, 1),
	  PUT_X(I64, 3, 2), END},
	 {.size_log2 = 3, .reg64 = 1, .pair = 1}},
	{"big-endian data goes the long way",
	 "LD_ANY JUMP",
	 {GET_X(I64, 1), OP1(LD, I64, 0, 0, 0), PUT_X(I64, 2, 1), END},
	 {.size_log2 = 3, .reg64 = 1, .be = 1}},
	{"so do atomics on it",
	 "RMW_ANY JUMP",
	 {GET_X(I64, 1), GET_X(I64, 2), OP3(RMW, I64, 0, RMW_ADD, 0, NONE, 1), PUT_X(I64, 3, 2),
	  END},
	 {.size_log2 = 3, .reg64 = 1, .be = 1}},
	{"counted accesses",
	 "COUNT LDU64 COUNT JUMP",
	 {GET_X(I64, 1), OP1(LD, I64, 0, 0, 0), PUT_X(I64, 2, 1), END},
	 MEM64,
	 CPU_MODE_PMU_BR},
	{"host floating point",
	 "FADD_F64 JUMP",
	 {GET_V(1), OP2(V_FADD, V128, LANES_D, 0, 0, 0), PUT_V(2, 1), END}},
	{"under a dynamic FPCR",
	 "VEC JUMP",
	 {GET_V(1), OP2(V_FADD, V128, LANES_D, 0, 0, 0), PUT_V(2, 1), END},
	 {0},
	 CPU_MODE_FP_DYNAMIC},
	{"a step is done before its way out", "STEP JUMP", {JUMP_TO(4)}, {0}, CPU_MODE_STEP},
};

/* Slots of the PMU's counters are said by name. */
static const struct row count[] = {
	{"nothing in other modes",
	 "%0 GET x1; %1 LD %0; %2 PUT %1 x2; %3 JUMP",
	 {GET_X(I64, 1), OP1(LD, I64, 0, 0, 0), PUT_X(I64, 2, 1), END}},
	{"accesses, right before they are done; temps get new names",
	 "%0 GET x1; %1 COUNT accesses; %2 LD %0; %3 LDHI %2; %4 COUNT accesses; %5 ST %0 %3; "
	 "%6 COUNT branches; %7 JUMP",
	 {GET_X(I64, 1), OP1(LD, I64, 0, 0, 0), OP1(LDHI, I64, 0, 0, 1),
	  OP3(ST, I64, 0, 0, 0, NONE, 2), END},
	 {.size_log2 = 3, .pair = 1},
	 CPU_MODE_PMU_BR},
	{"atomics, not probes",
	 "%0 GET x1; %1 PROBE_W %0; %2 COUNT accesses; %3 RMW %0 %0; %4 COUNT accesses; "
	 "%5 CAS %0 %3 %3; %6 COUNT accesses; %7 STX %0 %5; %8 EXCEPTION",
	 {GET_X(I64, 1), OP1(PROBE_W, I64, 0, 8, 0), OP3(RMW, I64, 0, 0, 0, NONE, 0),
	  OP3(CAS, I64, 0, 0, 0, 2, 2), OP3(STX, I64, 0, 0, 0, NONE, 3), OP0(EXCEPTION, I32, 0, 0)},
	 {0},
	 CPU_MODE_PMU_BR},
	{"branches, taken or not, but no fall-through",
	 "%0 GET x1; %1 COUNT branches; %2 CBZ %0; %3 JUMP",
	 {GET_X(I64, 1), OP1(CBZ, I64, 0, 64, 0), OP0(JUMP, I64, IR_FALLTHROUGH, 8)},
	 {0},
	 CPU_MODE_PMU_BR},
	{"indirect ones",
	 "%0 GET x1; %1 COUNT branches; %2 JUMP_IND %0",
	 {GET_X(I64, 1), OP1(JUMP_IND, I64, IR_RETURN, 0, 0)},
	 {0},
	 CPU_MODE_PMU_BR},
	{"a step ends once, before the first way out",
	 "%0 GET x1; %1 STEP; %2 CBZ %0; %3 JUMP",
	 {GET_X(I64, 1), OP1(CBZ, I64, 0, 64, 0), END},
	 {0},
	 CPU_MODE_STEP},
	{"it ends before its branch is counted",
	 "%0 STEP; %1 COUNT branches; %2 JUMP",
	 {END},
	 {0},
	 CPU_MODE_STEP | CPU_MODE_PMU_BR},
	{"an exception ends no step",
	 "%0 EXCEPTION",
	 {OP0(EXCEPTION, I32, 1, 0)},
	 {0},
	 CPU_MODE_STEP},
	{"nor does ERET", "%0 LEAVE", {OP0(LEAVE, I32, IR_LEAVE_ERET, 0)}, {0}, CPU_MODE_STEP},
	{"other ways to leave do",
	 "%0 STEP; %1 LEAVE",
	 {OP0(LEAVE, I32, IR_LEAVE_SYNC, 0)},
	 {0},
	 CPU_MODE_STEP},
};

static void test_count(void **state)
{
	for (EACH(count, r)) {
		char why[128];

		load(r);
		assert_true(pass_count(w));
		if (ir_verify(&w->b, why, sizeof(why)))
			fail_msg("%s: %s", r->what, why);
		compare(r, live_ops());
	}
}

/* The step of a load exclusive says so. */
static void test_count_load_exclusive(void **state)
{
	static const struct row r = {"LDXR",
				     "",
				     {GET_X(I64, 1), OP1(LD, I64, 0, 0, 0), PUT_X(I64, 2, 1), END},
				     {.size_log2 = 3, .excl = 1},
				     CPU_MODE_STEP};

	load(&r);
	assert_true(pass_count(w));
	assert_int_equal(w->b.op[3].opc, IR_STEP);
	assert_int_equal(w->b.op[3].aux, 1);
}

static void test_forward(void **state)
{
	for (EACH(forward, r)) {
		load(r);
		pass_forward(w);
		compare(r, live_ops());
	}
}

static void test_fold(void **state)
{
	for (EACH(fold, r)) {
		load(r);
		pass_fold(w);
		compare(r, live_ops());
	}
}

static void test_dead(void **state)
{
	for (EACH(dead, r)) {
		load(r);
		pass_dead(w);
		compare(r, live_ops());
	}
}

static void test_place(void **state)
{
	for (EACH(place, r)) {
		load(r);
		pass_dead(w);
		assert_true(exec_place(e));
		compare(r, places());
	}
}

static void test_lower(void **state)
{
	for (EACH(lower, r)) {
		load(r);
		assert_true(pass_count(w));
		memset(w->dead, 0, sizeof(w->dead));
		pass_forward(w);
		pass_fold(w);
		pass_dead(w);
		assert_true(exec_place(e));
		assert_true(exec_lower(e));
		compare(r, code());
	}
}

/*
 * A plain block: every op has a micro-operation of its own, every PUT is done, in the order of the
 * IR.
 */
static void test_plain(void **state)
{
	static const struct row rows[] = {
		{"nothing is forwarded, dropped or fused",
		 "MOV64 LDI CMP64 PUT32 MOV32 BCC JUMP",
		 {GET_X(I64, 1), KONST(I64, 5), OP2(CMP, I64, 0, 0, 0, 1), PUT_F(2), GET_F(),
		  OP1(BCC, FLAGS, IR_EQ, 64, 4), END}},
		{"every PUT",
		 "LDI LDI JUMP",
		 {KONST(I64, 5), PUT_X(I64, 1, 0), PUT_X(I64, 1, 0), END}},
		{"every GET",
		 "MOV64 MOV64 SHL64 MOV64 ADD64 MOV64 JUMP",
		 {GET_X(I64, 1), GET_X(I64, 2), OP2(SHL, I64, 0, 0, 0, 1), GET_X(I64, 3),
		  OP2(ADD, I64, 0, 0, 2, 3), PUT_X(I64, 1, 4), END}},
	};

	for (EACH(rows, r)) {
		load(r);
		w->plain = true;
		pass_dead(w);
		assert_true(exec_place(e));
		assert_true(exec_lower(e));
		compare(r, code());
	}
}

/* What each way out counts, and what a row says of an access. */
static void test_counts(void **state)
{
	static const struct row r = {"counts",
				     "",
				     {
					     GET_X(I64, 1),
					     OP1(CBZ, I64, 0, 64, 0, .insn = 1),
					     OP1(LD, I64, 0, 0, 0, .insn = 2),
					     OP1(CALL, I64, 0, A64_H_mrs, 0, .insn = 3),
					     OP1(LD, I64, 0, 0, 0, .insn = 5),
					     OP1(CBNZ, I64, 0, 68, 0, .insn = 6),
					     OP0(EXCEPTION, I32, 1, 0, .insn = 7),
				     },
				     MEM64};
	unsigned int exits[3] = {0}, n = 0;

	load(&r);
	pass_dead(w);
	assert_true(exec_place(e));
	assert_true(exec_lower(e));
	for (unsigned int i = 0; i < e->nr_code; i++) {
		const char *name = exec_uop_name(e->code[i].handler);

		if (name && (!strcmp(name, "CBZ64") || !strcmp(name, "CBNZ64") ||
			     !strcmp(name, "EXCEPTION")))
			exits[n++] = e->code[i].c;
	}
	assert_int_equal(n, 3);
	assert_int_equal(exits[0], 2);
	/* The helper's three have been counted before it was called. */
	assert_int_equal(exits[1], 4);
	assert_int_equal(exits[2], 5);
	assert_int_equal(e->nr_rows, 3);
	assert_int_equal(e->rows[0].offset, 8);
	assert_int_equal(e->rows[0].retired, 2);
	assert_int_equal(e->rows[1].offset, 12);
	assert_int_equal(e->rows[1].retired, 0);
	assert_int_equal(e->rows[2].offset, 20);
	assert_int_equal(e->rows[2].retired, 2);
}

/* --- limits --- */

static void start_large(void)
{
	w->b.nr_ops = 0;
	describe(&w->b, 1);
	w->b.nr_mem = 0;
	w->b.mode = 0;
	w->plain = false;
	memset(w->dead, 0, sizeof(w->dead));
}

static void add(struct ir_op o)
{
	w->b.op[w->b.nr_ops++] = o;
}

#define ADD_OP(...) add((struct ir_op)__VA_ARGS__)

/* More temps live at once than there are scratch slots: refused, not wrong. */
static void test_too_many_temps(void **state)
{
	for (unsigned int n = 60; n < 66; n++) {
		start_large();
		ADD_OP(GET_X(I64, 1));
		for (unsigned int i = 0; i < n; i++)
			ADD_OP(OP2(ADD, I64, 0, 0, 0, 0));
		ADD_OP(OP3(ST, I64, 0, 0, 0, NONE, 0));
		w->b.nr_mem = 1;
		for (unsigned int i = 0; i < n; i++)
			ADD_OP(OP1(CLZ, I64, 0, 0, (ir_val)(1 + i)));
		for (unsigned int i = 0; i < n; i++)
			ADD_OP(PUT_X(I64, 2, (ir_val)(n + 2 + i)));
		ADD_OP(JUMP_TO(4));
		w->plain = true; /* all are kept */
		pass_dead(w);
		assert_int_equal(exec_place(e), n + 1 <= 62);
	}
}

/* More constants than there are slots for them. */
static void test_too_many_constants(void **state)
{
	for (unsigned int n = 440; n < 460; n += 4) {
		start_large();
		ADD_OP(GET_X(I64, 1));
		for (unsigned int i = 0; i < n; i++) {
			ADD_OP(KONST(I64, 0x100000000000 + i));
			ADD_OP(OP2(AND, I64, 0, 0, 0, (ir_val)(2 * i + 1)));
		}
		ADD_OP(JUMP_TO(4));
		for (unsigned int i = 0; i < n; i++)
			w->uses[2 * i + 2] = 1;
		w->plain = true;
		pass_dead(w);
		assert_true(exec_place(e));
		assert_int_equal(exec_lower(e), n <= EXEC_SCRATCH_SLOTS - EXEC_SCRATCH_TEMPS);
	}
}

/* More code than there is room for. */
static void test_too_much_code(void **state)
{
	start_large();
	for (unsigned int i = 0; i + 1 < IR_MAX_OPS; i++)
		ADD_OP(OP2(V_ADD, V128, IR_LANES(IR_B, IR_FULL), 0, 0, 0));
	w->b.op[0] = (struct ir_op)GET_V(0);
	ADD_OP(JUMP_TO(4));
	w->plain = true;
	pass_dead(w);
	assert_true(exec_place(e));
	assert_false(exec_lower(e));
	assert_true(e->nr_code <= EXEC_MAX_UOPS);
}

int main(void)
{
#define T(n) cmocka_unit_test_setup_teardown(n, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_count),
		T(test_count_load_exclusive),
		T(test_forward),
		T(test_fold),
		T(test_dead),
		T(test_place),
		T(test_lower),
		T(test_plain),
		T(test_counts),
		T(test_too_many_temps),
		T(test_too_many_constants),
		T(test_too_much_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
