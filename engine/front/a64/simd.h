/* SPDX-License-Identifier: MIT */
/*
 * What the SIMD&FP files of the A64 front end share: fields of the encodings, and the functions
 * that the tables in simd.c name.
 *
 * Vector and scalar forms of a group differ in bit 28 only, so one function serves both: bit 28
 * clear is a vector of 64 or 128 bits (Q), bit 28 set is one lane.
 */
#ifndef ENGINE_A64_SIMD_H
#define ENGINE_A64_SIMD_H

#include "cpu/fp/fp.h"
#include "engine/front/a64/a64.h"
#include "engine/vec/vec.h"

/* Sets of lane sizes, indexed by the size field. */
enum simd_lanes {
	LANES_NONE = 0,
	LANES_B = 1 << IR_B,
	LANES_H = 1 << IR_H,
	LANES_S = 1 << IR_S,
	LANES_D = 1 << IR_D,
	LANES_BH = LANES_B | LANES_H,
	LANES_HS = LANES_H | LANES_S,
	LANES_BHS = LANES_BH | LANES_S,
	LANES_HSD = LANES_HS | LANES_D,
	LANES_BHSD = LANES_BHS | LANES_D,
};

#define SIMD_RD(insn)     BITS(insn, 4, 0)
#define SIMD_RN(insn)     BITS(insn, 9, 5)
#define SIMD_RM(insn)     BITS(insn, 20, 16)
#define SIMD_SIZE(insn)   BITS(insn, 23, 22)
#define SIMD_U(insn)      BIT(insn, 29)
#define SIMD_Q(insn)      BIT(insn, 30)
#define SIMD_SCALAR(insn) BIT(insn, 28)

static inline unsigned int simd_shape(uint32_t insn)
{
	if (SIMD_SCALAR(insn))
		return IR_SCALAR;
	return SIMD_Q(insn) ? IR_FULL : IR_HALF;
}

/* Is @lane among those of the form at hand? A vector of one D is reserved. */
static inline bool simd_lane_ok(uint32_t insn, unsigned int lane, unsigned int vector,
				unsigned int scalar)
{
	if (SIMD_SCALAR(insn))
		return scalar >> lane & 1;
	return (vector >> lane & 1) && (lane != IR_D || SIMD_Q(insn));
}

/*
 * Lane of a floating-point operation in a three-same or two-register group: half precision has
 * encodings of its own.
 */
static inline unsigned int simd_fp_lane(uint32_t insn, bool half)
{
	return half ? IR_H : BIT(insn, 22) ? IR_D : IR_S;
}

static inline ir_val simd_op1(struct a64 *t, unsigned int opc, unsigned int lane,
			      unsigned int shape, ir_val a, int32_t imm)
{
	return a64_vop(t, opc, lane, shape, a, IR_NONE, IR_NONE, imm);
}

static inline ir_val simd_op2(struct a64 *t, unsigned int opc, unsigned int lane,
			      unsigned int shape, ir_val a, ir_val b)
{
	return a64_vop(t, opc, lane, shape, a, b, IR_NONE, 0);
}

static inline ir_val simd_op3(struct a64 *t, unsigned int opc, unsigned int lane,
			      unsigned int shape, ir_val a, ir_val b, ir_val c)
{
	return a64_vop(t, opc, lane, shape, a, b, c, 0);
}

/* @k in each 64 bits of the shape. */
static inline ir_val simd_const(struct a64 *t, unsigned int shape, uint64_t k)
{
	return a64_k(t, IR_VCONST, IR_V128, IR_LANES(IR_D, shape), k);
}

static inline ir_val simd_zero(struct a64 *t)
{
	return simd_const(t, IR_FULL, 0);
}

static inline ir_val simd_dup_lane(struct a64 *t, unsigned int lane, ir_val v, unsigned int index)
{
	return simd_op1(t, IR_VDUPL, lane, IR_FULL, v, (int32_t)index);
}

/*
 * Put the narrow result @v into the half of Vd that Q names: the low one with zero above, or the
 * high one.
 */
static inline void simd_put_narrow(struct a64 *t, uint32_t insn, ir_val v)
{
	if (!SIMD_SCALAR(insn) && SIMD_Q(insn))
		v = a64_vop(t, IR_VINSL, IR_D, IR_FULL, a64_v(t, SIMD_RD(insn)), v, IR_NONE, 1);
	a64_set_v(t, SIMD_RD(insn), v);
}

/* VFPExpandImm (Arm ARM, shared/functions/float) for a lane of H, S or D. */
uint64_t simd_fp_imm(unsigned int imm8, unsigned int lane);

/* How an operation of Vn and Vm uses Vd. */
enum simd_form {
	FORM_NM,   /* op(n, m) */
	FORM_DNM,  /* op(d, n, m) */
	FORM_ADD,  /* d + op(n, m) */
	FORM_PAIR, /* op(even lanes, odd lanes) of m:n */
};
void simd_put_form(struct a64 *t, uint32_t insn, unsigned int opc, enum simd_form form,
		   unsigned int lane, ir_val m, int32_t imm);

/* simd_same.c */
a64_fn simd_three_same, simd_three_same_half, simd_three_same_extra;
/* simd_wide.c */
a64_fn simd_three_different, simd_by_element;
/* simd_misc.c */
a64_fn simd_two_misc, simd_two_misc_half, simd_across, simd_scalar_pairwise;
/* simd_shift.c */
a64_fn simd_shift_imm;
/* simd_move.c */
a64_fn simd_copy, simd_permute, simd_extract, simd_table, simd_modified_imm;

#endif
