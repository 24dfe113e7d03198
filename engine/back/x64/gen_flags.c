/* SPDX-License-Identifier: MIT */
/*
 * Flags. What produces them from values that are at hand (CMP, CMN, TST, and FSEL of such) emits
 * nothing: the flags are evaluated into EFLAGS by who needs them, as often as that is. Their
 * operands are kept as long as the flags are needed (live.c). Other producers leave them in EFLAGS,
 * and when these change, packed (N Z C V in bits 31:28) in a register, as any other value.
 *
 * The guest's carry after a subtraction is the complement of the host's.
 *
 * What must hold: evaluation changes nothing that the allocator knows, so that stubs can do it. It
 * uses rax, rcx and EFLAGS.
 */
#include <stddef.h>
#include <string.h>

#include "engine/back/x64/x64.h"
#include "engine/ir/int_ops.h"

bool x64_flags_again(const struct ir_block *b, ir_val f)
{
	const struct ir_op *o = &b->op[f];

	switch (o->opc) {
	case IR_CMP:
	case IR_CMN:
	case IR_TST:
		return true;
	case IR_FCMP:
		return x64_fcmp_again(b, o);
	case IR_FSEL:
		return b->op[o->b].opc == IR_CMP || b->op[o->b].opc == IR_CMN;
	default:
		return false;
	}
}

static const struct ir_op *producer(const struct x64_compiler *g, ir_val f)
{
	return &g->w->b.op[f];
}

void x64_flags_set(struct x64_compiler *g, bool carry_inverted)
{
	g->eflags = (uint16_t)g->i;
	g->carry_inverted = carry_inverted;
}

/* From EFLAGS, by way of rax. */
static void pack(struct x64_compiler *g, unsigned int d)
{
	x64_n(&g->b, X64_LAHF, 0);
	x64_setcc(&g->b, X64_O, RAX);
	x64_rvm(&g->b, X64_PEXT, 0, RAX, RAX, x64_at(X64_CPU, X64_AREA(pext_flags)));
	x64_rri(&g->b, X64_RORX, 0, d, RAX, 4);
	if (g->carry_inverted)
		x64_ri(&g->b, X64_XOR_I, 0, d, (int32_t)FLAG_C);
}

static bool has_place(const struct x64_compiler *g, ir_val f)
{
	return g->val[f].reg != X64_IN_NO_REG || g->val[f].mem != X64_NO_MEM;
}

void x64_flags_clobber(struct x64_compiler *g)
{
	uint16_t f = g->eflags;

	if (f != X64_NOTHING && !x64_flags_again(&g->w->b, f) && !has_place(g, f) &&
	    g->end[f] >= g->i)
		pack(g, x64_def_as(g, f));
	g->eflags = X64_NOTHING;
}

/* --- into EFLAGS --- */

/* A register with the value: its own, or @scratch. */
static unsigned int fetch(struct x64_compiler *g, ir_val v, unsigned int scratch)
{
	struct x64_loc at = x64_where(g, v);

	if (at.kind == X64_LOC_GPR)
		return at.n;
	if (at.kind == X64_LOC_CONST)
		x64_mov_imm(&g->b, scratch, g->consts[at.n]);
	else
		x64_rm(&g->b, X64_MOV, at.wide, scratch, x64_at(X64_CPU, (int32_t)at.n - X64_BIAS));
	return scratch;
}

static void evaluate_compare(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int w = o->type == IR_I64, a = fetch(g, o->a, RAX), b = 0;
	bool add = o->opc == IR_CMN, has_imm;
	int32_t imm = 0;

	has_imm = x64_imm32(g, o->b, o->type, &imm);
	if (!has_imm)
		b = fetch(g, o->b, RCX);
	if (add && a != RAX) {
		x64_rr(&g->b, X64_MOV, w, RAX, a);
		a = RAX;
	}
	if (has_imm && !imm && !add)
		x64_ri(&g->b, X64_CMP_I, w, a, 0);
	else if (has_imm)
		x64_ri(&g->b, add ? X64_ADD_I : X64_CMP_I, w, a, imm);
	else
		x64_rr(&g->b, add ? X64_ADD : X64_CMP, w, a, b);
	g->carry_inverted = !add;
}

/* Flags that are a constant, N Z C V in bits 3:0. */
static void set_eflags(struct x64_compiler *g, unsigned int nzcv)
{
	unsigned int c = (nzcv >> 1 & 1) ^ g->carry_inverted, v = nzcv & 1;

	x64_mov_imm(&g->b, RAX, (nzcv & 8) << 12 | (nzcv & 4) << 12 | c << 8);
	/* The largest number and one overflows. */
	x64_mov_imm(&g->b, RCX, INT32_MAX);
	x64_ri(&g->b, X64_ADD_I, 0, RCX, (int32_t)v);
	x64_n(&g->b, X64_SAHF, 0);
}

/*
 * If the condition does not hold, EFLAGS become the constant out of line; they are what the second
 * comparison leaves otherwise.
 */
static void evaluate_select(struct x64_compiler *g, const struct ir_op *o)
{
	enum x64_cc cc = x64_flags_test(g, o->a, (enum ir_cond)o->aux);
	const struct ir_op *second = producer(g, o->b);
	uint8_t *past, *done;

	past = x64_jcc_short(&g->b, cc);
	g->carry_inverted = second->opc == IR_CMP;
	set_eflags(g, (unsigned int)o->imm & 15);
	done = x64_jmp_short(&g->b);
	x64_short_end(&g->b, past);
	evaluate_compare(g, second);
	x64_short_end(&g->b, done);
}

static void evaluate(struct x64_compiler *g, ir_val f)
{
	const struct ir_op *o = producer(g, f);

	if (o->opc == IR_FSEL) {
		evaluate_select(g, o);
	} else if (o->opc == IR_TST) {
		unsigned int a = fetch(g, o->a, RAX);

		x64_rr(&g->b, X64_TEST, o->type == IR_I64, a, a);
		g->carry_inverted = false;
	} else {
		evaluate_compare(g, o);
	}
	g->eflags = f;
}

/*
 * Conditions of the host, by the guest's: after an addition or a logical operation, a subtraction.
 */
static const uint8_t conditions[16][2] = {
	[IR_EQ] = {X64_E, X64_E},   [IR_NE] = {X64_NE, X64_NE}, [IR_CS] = {X64_B, X64_AE},
	[IR_CC] = {X64_AE, X64_B},  [IR_MI] = {X64_S, X64_S},   [IR_PL] = {X64_NS, X64_NS},
	[IR_VS] = {X64_O, X64_O},   [IR_VC] = {X64_NO, X64_NO}, [IR_HI] = {X64_A, X64_A},
	[IR_LS] = {X64_BE, X64_BE}, [IR_GE] = {X64_GE, X64_GE}, [IR_LT] = {X64_L, X64_L},
	[IR_GT] = {X64_G, X64_G},   [IR_LE] = {X64_LE, X64_LE},
};

/* Of packed flags: a bit, or by way of rax. */
static enum x64_cc test_packed(struct x64_compiler *g, unsigned int p, enum ir_cond cond)
{
	static const uint8_t bits[4] = {30, 29, 31, 28};

	switch (cond & ~1u) {
	case IR_EQ:
	case IR_CS:
	case IR_MI:
	case IR_VS:
		x64_ri(&g->b, X64_BT_I, 0, p, bits[cond >> 1]);
		return cond & 1 ? X64_AE : X64_B;
	case IR_HI:
		if (p != RAX)
			x64_rr(&g->b, X64_MOV, 0, RAX, p);
		x64_ri(&g->b, X64_AND_I, 0, RAX, (int32_t)(FLAG_C | FLAG_Z));
		x64_ri(&g->b, X64_CMP_I, 0, RAX, (int32_t)FLAG_C);
		return cond & 1 ? X64_NE : X64_E;
	case IR_GE:
		x64_rri(&g->b, X64_RORX, 0, RCX, p, 29);
		x64_rr(&g->b, X64_XOR, 0, RCX, p);
		return cond & 1 ? X64_S : X64_NS;
	default: /* GT: Z clear, N equal to V */
		x64_rri(&g->b, X64_RORX, 0, RCX, p, 29);
		x64_ri(&g->b, X64_AND_I, 0, RCX, (int32_t)FLAG_N);
		x64_rr(&g->b, X64_XOR, 0, RCX, p);
		x64_ri(&g->b, X64_TEST_I, 0, RCX, (int32_t)(FLAG_N | FLAG_Z));
		return cond & 1 ? X64_NE : X64_E;
	}
}

/* Is it one whose flags are evaluated again? */
static bool is_fcmp(const struct x64_compiler *g, ir_val f)
{
	return producer(g, f)->opc == IR_FCMP && x64_flags_again(&g->w->b, f);
}

enum x64_cc x64_flags_test(struct x64_compiler *g, ir_val f, enum ir_cond cond)
{
	if (cond >= IR_AL) {
		x64_flags_clobber(g);
		x64_rr(&g->b, X64_CMP, 0, RAX, RAX);
		return X64_E;
	}
	if (is_fcmp(g, f))
		return x64_fcmp_test(g, f, cond);
	if (g->eflags != f) {
		x64_flags_clobber(g);
		if (!x64_flags_again(&g->w->b, f))
			return test_packed(g, fetch(g, f, RAX), cond);
		evaluate(g, f);
	}
	if (!g->carry_inverted && (cond == IR_HI || cond == IR_LS)) {
		/* Everything else keeps its meaning. */
		x64_n(&g->b, X64_CMC, 0);
		g->carry_inverted = true;
	}
	return (enum x64_cc)conditions[cond][g->carry_inverted];
}

void x64_flags_carry(struct x64_compiler *g, ir_val f, bool inverted)
{
	bool again = x64_flags_again(&g->w->b, f);

	if (is_fcmp(g, f)) {
		x64_flags_clobber(g);
		x64_fcmp_pack(g, f, RAX);
		x64_ri(&g->b, X64_BT_I, 0, RAX, 29);
		if (inverted)
			x64_n(&g->b, X64_CMC, 0);
		return;
	}
	if (g->eflags != f && again) {
		x64_flags_clobber(g);
		evaluate(g, f);
	}
	if (g->eflags == f && (again || x64_dies(g, f) || has_place(g, f))) {
		if (g->carry_inverted != inverted)
			x64_n(&g->b, X64_CMC, 0);
		g->eflags = X64_NOTHING;
		return;
	}
	x64_flags_clobber(g);
	x64_ri(&g->b, X64_BT_I, 0, fetch(g, f, RAX), 29);
	if (inverted)
		x64_n(&g->b, X64_CMC, 0);
}

void x64_flags_pack(struct x64_compiler *g, ir_val f, unsigned int d)
{
	uint16_t was = g->eflags;
	bool inverted = g->carry_inverted;

	if (is_fcmp(g, f)) {
		x64_fcmp_pack(g, f, d);
	} else {
		if (g->eflags != f) {
			g->eflags = X64_NOTHING;
			evaluate(g, f);
		}
		pack(g, d);
	}
	g->eflags = was;
	g->carry_inverted = inverted;
}

/* --- in memory --- */

static struct x64_mem lazy(size_t field)
{
	return x64_at(X64_CPU, X64_DISP(offsetof(struct cpu, area) + field));
}

static void store_operand(struct x64_compiler *g, size_t field, ir_val v, unsigned int scratch)
{
	int32_t imm;

	if (x64_imm32(g, v, IR_I64, &imm))
		x64_mi(&g->b, X64_MOV_I, 1, lazy(field), imm);
	else
		x64_rm(&g->b, X64_MOV_ST, 1, fetch(g, v, scratch), lazy(field));
}

void x64_flags_store(struct x64_compiler *g, ir_val f)
{
	const struct ir_op *o = producer(g, f);
	uint64_t kind = 0;

	if (o->opc == IR_CMP || o->opc == IR_CMN || o->opc == IR_TST) {
		kind = X64_LAZY(o->opc, o->type == IR_I64);
		store_operand(g, offsetof(struct x64_cpu, lazy_a), o->a, RAX);
		if (o->opc != IR_TST)
			store_operand(g, offsetof(struct x64_cpu, lazy_b), o->b, RCX);
	} else {
		unsigned int from = RAX;

		if (has_place(g, f))
			from = fetch(g, f, RAX);
		else
			x64_flags_pack(g, f, RAX);
		x64_rm(&g->b, X64_MOV_ST, 0, from, x64_at(X64_CPU, X64_DISP(CPU_SLOT(nzcv))));
	}
	x64_mi(&g->b, X64_MOV_I, 0, lazy(offsetof(struct x64_cpu, lazy)), (int32_t)kind);
}

void x64_flags_settle(struct x64_compiler *g)
{
	struct x64_row *r;
	uint8_t *from[1];

	x64_flags_clobber(g);
	r = x64_new_row(g, X64_ROW_FLAGS);
	x64_mi(&g->b, X64_CMP_I, 0, lazy(offsetof(struct x64_cpu, lazy)), 0);
	from[0] = x64_jcc(&g->b, X64_NE);
	x64_row_stub(g, r, from, 1, g->b.p);
}

/* --- how a row finds them --- */

static uint16_t note(struct x64_compiler *g, ir_val f)
{
	const struct ir_op *o = producer(g, f);
	struct x64_flags r;
	uint16_t n;

	memset(&r, 0, sizeof(r));
	r.opc = o->opc;
	r.wide = o->opc == IR_FCMP ? IR_LANE(o->aux) == IR_D : o->type == IR_I64;
	r.cond = o->aux;
	r.imm = (uint8_t)(o->imm & 15);

	if (o->opc == IR_FSEL) {
		r.a = x64_flags_where(g, o->a);
		r.b = x64_flags_where(g, o->b);
	} else {
		r.a = x64_where(g, o->a);
		if (o->opc != IR_TST && o->b != IR_NONE)
			r.b = x64_where(g, o->b);
	}
	if (g->nr_flags && !memcmp(&g->flags[g->nr_flags - 1], &r, sizeof(r)))
		return (uint16_t)(g->nr_flags - 1);
	if (g->nr_flags == X64_MAX_FLAGS) {
		g->full = true;
		return 0;
	}
	n = (uint16_t)g->nr_flags++;
	g->flags[n] = r;
	return n;
}

struct x64_loc x64_flags_where(struct x64_compiler *g, ir_val f)
{
	if (!x64_flags_again(&g->w->b, f))
		return x64_where(g, f);
	return (struct x64_loc){.kind = X64_LOC_FLAGS, .n = note(g, f)};
}

/* --- producers and users --- */

/* CMP, CMN, TST, FSEL: evaluated by their users. */
void x64_gen_flags(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int b, d;
	enum x64_cc cc;

	if (x64_flags_again(&g->w->b, (ir_val)g->i)) {
		if (o->opc == IR_FSEL && g->eflags == o->a)
			x64_flags_clobber(g);
		return;
	}
	if (is_fcmp(g, o->b)) {
		x64_flags_clobber(g);
		d = x64_def(g);
		x64_flags_pack(g, o->b, d);
		cc = x64_flags_test(g, o->a, (enum ir_cond)o->aux);
		x64_mov_imm(&g->b, RAX, (uint64_t)(uint32_t)o->imm << 28);
		x64_cmovcc(&g->b, (enum x64_cc)(cc ^ 1), 0, d, RAX);
		return;
	}
	/* An FSEL of flags that are packed. */
	if (g->eflags == o->b)
		x64_flags_clobber(g);
	b = x64_use(g, o->b);
	cc = x64_flags_test(g, o->a, (enum ir_cond)o->aux);
	d = x64_def(g);
	x64_mov_imm(&g->b, d, (uint64_t)(uint32_t)o->imm << 28);
	x64_cmovcc(&g->b, cc, 0, d, b);
}

/* ADC, SBC: values. */
void x64_gen_adc(struct x64_compiler *g, const struct ir_op *o)
{
	bool sub = o->opc == IR_SBC, same;
	unsigned int w = o->type == IR_I64, a = x64_use(g, o->a), b = x64_use(g, o->b), d;

	x64_flags_carry(g, o->c, sub);
	d = x64_def_on(g, o->a, &same);
	if (!same)
		x64_rr(&g->b, X64_MOV, 1, d, a);
	x64_rr(&g->b, sub ? X64_SBB : X64_ADC, w, d, b);
}

/* ADCF, SBCF: their flags. */
void x64_gen_adcf(struct x64_compiler *g, const struct ir_op *o)
{
	bool sub = o->opc == IR_SBCF;
	unsigned int w = o->type == IR_I64, a = x64_use(g, o->a), b = x64_use(g, o->b);

	x64_flags_carry(g, o->c, sub);
	x64_rr(&g->b, X64_MOV, 1, RAX, a);
	x64_rr(&g->b, sub ? X64_SBB : X64_ADC, w, RAX, b);
	x64_flags_set(g, sub);
}

void x64_gen_nzcv(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int a, d;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	d = x64_def(g);
	x64_rr(&g->b, X64_MOV, 0, d, a);
	x64_ri(&g->b, X64_AND_I, 0, d, (int32_t)0xf0000000);
}

void x64_gen_packed(struct x64_compiler *g, const struct ir_op *o)
{
	if (x64_flags_again(&g->w->b, o->a)) {
		if (g->eflags != o->a)
			x64_flags_clobber(g);
		x64_flags_pack(g, o->a, x64_def(g));
		g->eflags = X64_NOTHING;
		return;
	}
	if (g->eflags == o->a)
		x64_flags_clobber(g);
	unsigned int p = x64_use(g, o->a);

	x64_rr(&g->b, X64_MOV, 0, x64_def(g), p);
}

void x64_gen_sel(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int w = o->type == IR_I64, b = x64_use(g, o->b), c = x64_use(g, o->c), d;
	enum x64_cc cc = x64_flags_test(g, o->a, (enum ir_cond)o->aux);
	bool same;

	d = x64_def_on(g, o->c, &same);
	if (!same)
		x64_rr(&g->b, X64_MOV, w, d, c);
	x64_cmovcc(&g->b, cc, w, d, b);
}

void x64_gen_vsel(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int b = x64_use_xmm(g, o->b), c = x64_use_xmm(g, o->c), d = x64_def_xmm(g);
	enum x64_cc cc = x64_flags_test(g, o->a, (enum ir_cond)o->aux);
	uint8_t *over;

	x64_rr(&g->b, X64_VMOVDQA, 0, X64_XSCRATCH, b);
	over = x64_jcc_short(&g->b, cc);
	x64_rr(&g->b, X64_VMOVDQA, 0, X64_XSCRATCH, c);
	x64_short_end(&g->b, over);
	x64_rr(&g->b, X64_VMOVDQA, 0, d, X64_XSCRATCH);
}
