/* SPDX-License-Identifier: MIT */
/*
 * Floating point on the host's unit, where the block's mode says that FPCR is the default one
 * (CPU_MODE_FP_DYNAMIC is clear). What is done, and why it is exact, is what cpu/fp/fp_fast.h says:
 * exceptions gather in MXCSR, and where a result needs a second look (a NaN; of what rounds tiny
 * numbers, the smallest normal one) a row in the cold part calls the op's exact function. What the
 * attempt has raised until then is a subset of what that raises.
 *
 * What must hold: a result is zero above its shape, and lanes above the shape raise nothing. An
 * instruction on one lane takes the lanes above from its first source, which therefore has zeros
 * there; one on whole registers works on operands that do.
 */
#include <stddef.h>

#include "cpu/fp/fp.h"
#include "engine/back/x64/gen_fp.h"
#include "engine/vec/vec.h"

/* Predicates of VCMPPS and VCMPPD; all are quiet. */
enum { UNORD_Q = 0x03, EQ_UQ = 0x08 };

/* --- constants --- */

#define SIGN32 0x80000000u
#define SIGN64 (1ull << 63)
#define ONE32  0x3f800000u

/* Pairs, of single and double precision. ABS and SIGN are of each shape. */
enum {
	ABS = 0,
	SIGN = ABS + 6,
	MIN = SIGN + 6,
	FILL = MIN + 2, /* the upper half 1.0 */
	NR_CONSTANTS,
};
_Static_assert(NR_CONSTANTS <= X64_NR_CONSTANTS, "there is room");

#define LOW_S(k)            \
	{                   \
		.s = {(k) } \
	}
#define HALF_S(k)                \
	{                        \
		.s = {(k), (k) } \
	}
#define ALL_S(k)                           \
	{                                  \
		.s = {(k), (k), (k), (k) } \
	}
#define LOW_D(k)            \
	{                   \
		.d = {(k) } \
	}
#define ALL_D(k)                 \
	{                        \
		.d = {(k), (k) } \
	}

const union vreg x64_constants[X64_NR_CONSTANTS] = {
	[ABS] = LOW_S(~SIGN32),
	LOW_D(~SIGN64),
	HALF_S(~SIGN32),
	LOW_D(~SIGN64),
	ALL_S(~SIGN32),
	ALL_D(~SIGN64),
	[SIGN] = LOW_S(SIGN32),
	LOW_D(SIGN64),
	HALF_S(SIGN32),
	LOW_D(SIGN64),
	ALL_S(SIGN32),
	ALL_D(SIGN64),
	[MIN] = ALL_S(0x00800000),
	ALL_D(1ull << 52),
	[FILL] = {.s = {0, 0, ONE32, ONE32}},
};

static struct x64_mem constant(unsigned int n)
{
	return x64_at(X64_CPU, X64_AREA(constant) + 16 * (int32_t)n);
}

/* --- what an op is --- */

struct x64_shape x64_fp_shape(const struct ir_op *o)
{
	unsigned int lane = IR_LANE(o->aux), shape = IR_SHAPE(o->aux);
	bool wide = lane == IR_D;

	if (wide && shape == IR_HALF)
		shape = IR_SCALAR;
	return (struct x64_shape){.wide = wide,
				  .scalar = shape == IR_SCALAR,
				  .shape = shape,
				  .bytes = shape == IR_SCALAR ? 1u << lane
					   : shape == IR_HALF ? 8
							      : 16};
}

bool x64_fp_is_sd(const struct ir_op *o)
{
	return IR_LANE(o->aux) == IR_S || IR_LANE(o->aux) == IR_D;
}

bool x64_fp_by_host(const struct x64_compiler *g, const struct ir_op *o)
{
	return x64_fp_is_sd(o) && !(g->w->b.mode & CPU_MODE_FP_DYNAMIC);
}

unsigned int x64_fp_bytes(const struct x64_compiler *g, ir_val v)
{
	const struct ir_block *b = &g->w->b;
	const struct ir_op *o = &b->op[v];

	switch (o->opc) {
	case IR_LDHI:
		o = &b->op[o->a];
		return 1u << b->mem[o->aux].size_log2;
	case IR_LD:
		return 1u << b->mem[o->aux].size_log2;
	case IR_VCONST:
		return IR_SHAPE(o->aux) == IR_FULL ? 16 : o->k >> 32 ? 8 : 4;
	case IR_VFROM:
	case IR_ITOF:
		return 1u << IR_LANE(o->aux);
	case IR_V_FCVTL:
		return IR_SHAPE(o->aux) == IR_SCALAR ? 2u << IR_LANE(o->aux) : 16;
	case IR_VZEXT:
	case IR_V_FABS ... IR_V_UTOF:
	case IR_V_FCVTN:
		return IR_SHAPE(o->aux) == IR_SCALAR ? 1u << IR_LANE(o->aux)
		       : IR_SHAPE(o->aux) == IR_HALF ? 8
						     : 16;
	default:
		return 16;
	}
}

void x64_fp_narrow_to(struct x64_compiler *g, unsigned int bytes, unsigned int d, unsigned int a)
{
	if (bytes == 4)
		x64_rvri(&g->b, X64_VINSERTPS, 0, d, a, a, 0x0e);
	else
		x64_rr(&g->b, bytes == 8 ? X64_VMOVQ : X64_VMOVDQA, 0, d, a);
}

unsigned int x64_fp_narrow(struct x64_compiler *g, unsigned int bytes, ir_val v, unsigned int reg,
			   unsigned int scratch)
{
	if (x64_fp_bytes(g, v) <= bytes)
		return reg;
	x64_fp_narrow_to(g, bytes, scratch, reg);
	return scratch;
}

/* --- rare cases --- */

void x64_rare_if(struct x64_compiler *g, struct x64_rare *rare, enum x64_cc cc)
{
	rare->from[rare->nr++] = x64_jcc(&g->b, cc);
}

void x64_rare_end(struct x64_compiler *g, const struct x64_rare *rare)
{
	x64_row_stub(g, rare->r, rare->from, rare->nr, g->b.p);
}

struct x64_rare x64_fp_exact(struct x64_compiler *g, const struct ir_op *o, unsigned int *d)
{
	struct x64_rare rare = {.r = x64_new_row(g, X64_ROW_VEC)};

	rare.r->a = x64_where(g, o->a);
	rare.r->b = x64_where(g, o->b);
	rare.r->c = x64_where(g, o->c);
	rare.r->fn =
		(const void *)(uintptr_t)vec_function(o->opc, IR_LANE(o->aux), IR_SHAPE(o->aux));
	*d = x64_def_xmm(g);
	rare.r->d = (struct x64_loc){X64_LOC_XMM, 1, (uint16_t)*d};
	return rare;
}

void x64_fp_look(struct x64_compiler *g, struct x64_rare *rare, struct x64_shape s,
		 enum x64_second_look of, unsigned int d)
{
	static const uint16_t compare[2] = {X64_VUCOMISS, X64_VUCOMISD},
			      lanes[2] = {X64_VCMPPS, X64_VCMPPD};
	unsigned int a = d;

	if (of == X64_OF_NAN_OR_MIN) {
		a = X64_XSCRATCH;
		x64_rvm(&g->b, X64_VANDPS, 0, a, d, constant(ABS + 2 * IR_FULL + s.wide));
	}
	if (!s.scalar) {
		if (of == X64_OF_NAN)
			x64_rvri(&g->b, (enum x64_op)lanes[s.wide], 0, X64_XSCRATCH, a, a, UNORD_Q);
		else
			x64_rvmi(&g->b, (enum x64_op)lanes[s.wide], 0, X64_XSCRATCH, a,
				 constant(MIN + s.wide), EQ_UQ);
		x64_rr(&g->b, X64_VPTEST, 0, X64_XSCRATCH, X64_XSCRATCH);
		x64_rare_if(g, rare, X64_NE);
	} else if (of == X64_OF_NAN) {
		x64_rr(&g->b, (enum x64_op)compare[s.wide], 0, a, a);
		x64_rare_if(g, rare, X64_P);
	} else {
		/* Equal or unordered. */
		x64_rm(&g->b, (enum x64_op)compare[s.wide], 0, a, constant(MIN + s.wide));
		x64_rare_if(g, rare, X64_E);
	}
}

void x64_fp_compare_nan(struct x64_compiler *g, struct x64_rare *rare, struct x64_shape s,
			unsigned int a, unsigned int b)
{
	if (s.scalar) {
		x64_rr(&g->b, s.wide ? X64_VUCOMISD : X64_VUCOMISS, 0, a, b);
		x64_rare_if(g, rare, X64_P);
		return;
	}
	x64_rvri(&g->b, s.wide ? X64_VCMPPD : X64_VCMPPS, 0, X64_XSCRATCH - 2, a, b, UNORD_Q);
	x64_rr(&g->b, X64_VPTEST, 0, X64_XSCRATCH - 2, X64_XSCRATCH - 2);
	x64_rare_if(g, rare, X64_NE);
}

/* --- arithmetic --- */

struct arithmetic {
	uint16_t scalar[2], packed[2]; /* of single and double precision */
	uint8_t look;
	bool commutes;
};

static const struct arithmetic arithmetic[] = {
#define ROW(op, name, ...)                                             \
	[IR_V_##op - IR_V_FABS] = {{X64_V##name##SS, X64_V##name##SD}, \
				   {X64_V##name##PS, X64_V##name##PD}, \
				   ##__VA_ARGS__}
	ROW(FADD, ADD, X64_OF_NAN, true),
	ROW(FSUB, SUB, X64_OF_NAN),
	ROW(FABD, SUB, X64_OF_NAN),
	ROW(FMUL, MUL, X64_OF_NAN_OR_MIN, true),
	ROW(FDIV, DIV, X64_OF_NAN_OR_MIN),
	ROW(FSQRT, SQRT, X64_OF_NAN),
	ROW(FMLA, FMADD231, X64_OF_NAN_OR_MIN),
	ROW(FMLS, FNMADD231, X64_OF_NAN_OR_MIN),
#undef ROW
};

static enum x64_op instruction(const struct ir_op *o, struct x64_shape s)
{
	const struct arithmetic *row = &arithmetic[o->opc - IR_V_FABS];

	return (enum x64_op)(s.scalar ? row->scalar[s.wide] : row->packed[s.wide]);
}

/* When a value was made, more or less: what a loop does not change was there first. */
static unsigned int age(const struct x64_compiler *g, ir_val v)
{
	unsigned int nr_ops = g->w->b.nr_ops;

	return v < nr_ops ? v + 2 : v - nr_ops < g->nr_carried && g->carried[v - nr_ops].put;
}

/* Of two operands in any order, which is to be the first: no zeros to be made, or off the path. */
static bool better_first(const struct x64_compiler *g, unsigned int bytes, ir_val v, ir_val than)
{
	bool zero[2] = {x64_fp_bytes(g, v) <= bytes, x64_fp_bytes(g, than) <= bytes};

	return zero[0] != zero[1] ? zero[0] : age(g, v) < age(g, than);
}

void x64_gen_fp_arith(struct x64_compiler *g, const struct ir_op *o)
{
	const struct arithmetic *row = &arithmetic[o->opc - IR_V_FABS];
	struct x64_shape s = x64_fp_shape(o);
	ir_val first = o->a, second = o->b;
	unsigned int a, b, d;
	struct x64_rare rare;

	if (!x64_fp_by_host(g, o)) {
		x64_gen_vec(g, o);
		return;
	}
	x64_flags_clobber(g);
	if (row->commutes && better_first(g, s.bytes, second, first)) {
		first = o->b;
		second = o->a;
	}
	a = x64_use_xmm(g, first);
	b = x64_use_xmm(g, second);
	rare = x64_fp_exact(g, o, &d);
	/* What lies above gets no sign, so is zero after FABD anyway. */
	if (!s.scalar || o->opc != IR_V_FABD)
		a = x64_fp_narrow(g, s.bytes, first, a, X64_XSCRATCH);
	if (!s.scalar)
		b = x64_fp_narrow(g, s.bytes, second, b, X64_XSCRATCH - 1);
	if (o->opc == IR_V_FDIV && s.shape == IR_HALF) {
		x64_rvm(&g->b, X64_VORPS, 0, X64_XSCRATCH - 1, b, constant(FILL));
		b = X64_XSCRATCH - 1;
	}
	x64_rvr(&g->b, instruction(o, s), 0, d, a, b);
	x64_fp_look(g, &rare, s, (enum x64_second_look)row->look, d);
	if (o->opc == IR_V_FABD)
		x64_rvm(&g->b, X64_VANDPS, 0, d, d, constant(ABS + 2 * s.shape + s.wide));
	x64_rare_end(g, &rare);
}

void x64_gen_fp_sqrt(struct x64_compiler *g, const struct ir_op *o)
{
	struct x64_shape s = x64_fp_shape(o);
	struct x64_rare rare;
	unsigned int a, d;

	if (!x64_fp_by_host(g, o)) {
		x64_gen_vec(g, o);
		return;
	}
	x64_flags_clobber(g);
	a = x64_use_xmm(g, o->a);
	rare = x64_fp_exact(g, o, &d);
	if (s.scalar) {
		x64_rvr(&g->b, X64_VPXOR, 0, X64_XSCRATCH, X64_XSCRATCH, X64_XSCRATCH);
		x64_rvr(&g->b, instruction(o, s), 0, d, X64_XSCRATCH, a);
	} else {
		a = x64_fp_narrow(g, s.bytes, o->a, a, X64_XSCRATCH);
		x64_rr(&g->b, instruction(o, s), 0, d, a);
	}
	x64_fp_look(g, &rare, s, X64_OF_NAN, d);
	x64_rare_end(g, &rare);
}

/* a + b * c, a - b * c */
void x64_gen_fp_fused(struct x64_compiler *g, const struct ir_op *o)
{
	struct x64_shape s = x64_fp_shape(o);
	unsigned int a, b, c, d;
	struct x64_rare rare;

	if (!x64_fp_by_host(g, o)) {
		x64_gen_vec(g, o);
		return;
	}
	x64_flags_clobber(g);
	a = x64_use_xmm(g, o->a);
	b = x64_use_xmm(g, o->b);
	c = x64_use_xmm(g, o->c);
	rare = x64_fp_exact(g, o, &d);
	x64_fp_narrow_to(g, x64_fp_bytes(g, o->a) <= s.bytes ? 16 : s.bytes, d, a);
	if (!s.scalar) {
		b = x64_fp_narrow(g, s.bytes, o->b, b, X64_XSCRATCH);
		c = x64_fp_narrow(g, s.bytes, o->c, c, X64_XSCRATCH - 1);
	}
	x64_rvr(&g->b, instruction(o, s), 0, d, b, c);
	x64_fp_look(g, &rare, s, X64_OF_NAN_OR_MIN, d);
	x64_rare_end(g, &rare);
}

/* FABS, FNEG: signs, whatever FPCR is. */
void x64_gen_fp_sign(struct x64_compiler *g, const struct ir_op *o)
{
	struct x64_shape s = x64_fp_shape(o);
	bool negate = o->opc == IR_V_FNEG;
	unsigned int a, d;

	if (!x64_fp_is_sd(o)) {
		x64_gen_vec(g, o);
		return;
	}
	a = x64_use_xmm(g, o->a);
	d = x64_def_xmm(g);
	if (negate)
		a = x64_fp_narrow(g, s.bytes, o->a, a, X64_XSCRATCH);
	x64_rvm(&g->b, negate ? X64_VXORPS : X64_VANDPS, 0, d, a,
		constant((negate ? SIGN : ABS) + 2 * s.shape + s.wide));
}
