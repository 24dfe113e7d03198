/* SPDX-License-Identifier: MIT */
/* Vectors and floating point. What has no code here is a row that calls the op's function. */
#include "engine/back/x64/x64.h"
#include "engine/vec/vec.h"

static void full_vec(struct x64_compiler *g, struct x64_row *r, const struct ir_op *o)
{
	r->a = x64_where(g, o->a);
	r->b = x64_where(g, o->b);
	r->c = x64_where(g, o->c);
}

void x64_gen_vec(struct x64_compiler *g, const struct ir_op *o)
{
	struct x64_row *r;
	vec_fn *fn = vec_function(o->opc, IR_LANE(o->aux), IR_SHAPE(o->aux));

	x64_flags_clobber(g);
	r = x64_new_row(g, X64_ROW_VEC);
	full_vec(g, r, o);
	r->fn = (const void *)(uintptr_t)fn;
	if (!fn)
		g->full = true;
	x64_call_row(g, r);
}

void x64_gen_vconst(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int d = x64_def_xmm(g);

	if (!o->k) {
		x64_rvr(&g->b, X64_VPXOR, 0, d, d, d);
		return;
	}
	x64_mov_imm(&g->b, RAX, o->k);
	x64_rr(&g->b, X64_VMOVD, 1, d, RAX);
	if (IR_SHAPE(o->aux) == IR_FULL)
		x64_rvr(&g->b, X64_VPUNPCKLQDQ, 0, d, d, d);
}

/* FTOI, ITOF and FCMP: rows. */
void x64_gen_fp_row(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int kind = o->opc == IR_FTOI   ? X64_ROW_FTOI
			    : o->opc == IR_ITOF ? X64_ROW_ITOF
						: X64_ROW_FCMP;
	struct x64_row *r;

	x64_flags_clobber(g);
	r = x64_new_row(g, kind);
	full_vec(g, r, o);
	x64_call_row(g, r);
}

/* --- lanes --- */

/* Lane @n of an XMM register to a general one, zero-extended. */
static void extract(struct x64_compiler *g, unsigned int lane, unsigned int d, unsigned int a,
		    unsigned int n)
{
	static const uint16_t ops[4] = {X64_VPEXTRB, X64_VPEXTRW, X64_VPEXTRD, X64_VPEXTRQ};

	if (lane >= IR_S && !n)
		x64_rr(&g->b, X64_VMOVD_ST, lane == IR_D, a, d);
	else
		x64_rri(&g->b, (enum x64_op)ops[lane], lane == IR_D, a, d, (int32_t)n);
}

static void insert(struct x64_compiler *g, unsigned int lane, unsigned int d, unsigned int a,
		   unsigned int reg, unsigned int n)
{
	static const uint16_t ops[4] = {X64_VPINSRB, X64_VPINSRW, X64_VPINSRD, X64_VPINSRQ};

	x64_rvri(&g->b, (enum x64_op)ops[lane], lane == IR_D, d, a, reg, n);
}

/* A general register's low bits as lane 0, zero above. By way of rcx. */
static void from_gpr(struct x64_compiler *g, unsigned int lane, unsigned int d, unsigned int a)
{
	if (lane < IR_S) {
		x64_rr(&g->b, lane == IR_B ? X64_MOVZX8 : X64_MOVZX16, 0, RCX, a);
		a = RCX;
	}
	x64_rr(&g->b, X64_VMOVD, lane == IR_D, d, a);
}

static void broadcast(struct x64_compiler *g, const struct ir_op *o, unsigned int d, unsigned int a)
{
	static const uint16_t ops[4] = {X64_VPBROADCASTB, X64_VPBROADCASTW, X64_VPBROADCASTD,
					X64_VPBROADCASTQ};

	x64_rr(&g->b, (enum x64_op)ops[IR_LANE(o->aux)], 0, d, a);
	if (IR_SHAPE(o->aux) == IR_HALF)
		x64_rr(&g->b, X64_VMOVQ, 0, d, d);
}

static void gen_get_lane(struct x64_compiler *g, const struct ir_op *o)
{
	static const uint8_t lanes[4] = {16, 8, 4, 2};
	unsigned int lane = IR_LANE(o->aux), a = x64_use_xmm(g, o->a), d = x64_def(g);

	extract(g, lane, d, a, (unsigned int)o->imm & (lanes[lane] - 1u));
	if (o->opc == IR_VGETU)
		return;
	if (lane == IR_B)
		x64_rr(&g->b, X64_MOVSX8, o->type == IR_I64, d, d);
	else if (lane == IR_H)
		x64_rr(&g->b, X64_MOVSX16, o->type == IR_I64, d, d);
	else if (lane == IR_S && o->type == IR_I64)
		x64_rr(&g->b, X64_MOVSXD, 1, d, d);
}

static void gen_dup_lane(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int lane = IR_LANE(o->aux), n = (unsigned int)o->imm & (15u >> lane);
	unsigned int a = x64_use_xmm(g, o->a), d;

	if (IR_SHAPE(o->aux) == IR_SCALAR) {
		extract(g, lane, RAX, a, n);
		from_gpr(g, lane, x64_def_xmm(g), RAX);
		return;
	}
	d = x64_def_xmm(g);
	if (n) {
		x64_vri(&g->b, X64_VPSRLDQ, X64_XSCRATCH, a, n << lane);
		a = X64_XSCRATCH;
	}
	broadcast(g, o, d, a);
}

static void gen_keep_shape(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int a = x64_use_xmm(g, o->a), d = x64_def_xmm(g), lane = IR_LANE(o->aux);

	if (IR_SHAPE(o->aux) == IR_FULL) {
		x64_rr(&g->b, X64_VMOVDQA, 0, d, a);
	} else if (IR_SHAPE(o->aux) == IR_HALF || lane == IR_D) {
		x64_rr(&g->b, X64_VMOVQ, 0, d, a);
	} else if (lane == IR_Q) {
		x64_rr(&g->b, X64_VMOVDQA, 0, d, a);
	} else {
		extract(g, lane, RAX, a, 0);
		x64_rr(&g->b, X64_VMOVD, 0, d, RAX);
	}
}

void x64_gen_lane(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int lane = IR_LANE(o->aux), a, b;

	switch (o->opc) {
	case IR_VGETU:
	case IR_VGETS:
		gen_get_lane(g, o);
		break;
	case IR_VSET:
		a = x64_use_xmm(g, o->a);
		b = x64_use(g, o->b);
		insert(g, lane, x64_def_xmm(g), a, b, (unsigned int)o->imm & (15u >> lane));
		break;
	case IR_VDUP:
		a = x64_use(g, o->a);
		x64_rr(&g->b, X64_VMOVD, lane == IR_D, X64_XSCRATCH, a);
		if (IR_SHAPE(o->aux) == IR_SCALAR)
			from_gpr(g, lane, x64_def_xmm(g), a);
		else
			broadcast(g, o, x64_def_xmm(g), X64_XSCRATCH);
		break;
	case IR_VFROM:
		a = x64_use(g, o->a);
		from_gpr(g, lane, x64_def_xmm(g), a);
		break;
	case IR_VDUPL:
		gen_dup_lane(g, o);
		break;
	case IR_VINSL:
		a = x64_use_xmm(g, o->a);
		b = x64_use_xmm(g, o->b);
		extract(g, lane, RAX, b, (unsigned int)o->imm >> 8);
		insert(g, lane, x64_def_xmm(g), a, RAX, o->imm & 0xff);
		break;
	default:
		gen_keep_shape(g, o);
	}
}
