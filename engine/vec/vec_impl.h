/* SPDX-License-Identifier: MIT */
/*
 * How the functions of vector ops are made: VEC_OP() makes them for all lanes and shapes from one
 * expression, and the table of the op that vec.c collects. Private to vec/.
 *
 * What must hold: a function reads all its operands before it writes @d, which may be one of
 * them, and writes all of @d.
 *
 * An expression is over x, y, z (lanes of a, b, c as unsigned integers of type U), i (the lane's
 * number), imm, and
 *   U, S     the lane's unsigned and signed type; W its bits; N the lanes of the shape
 *   UU, SS   the types twice as wide (not for D)
 *   env      FPCR and FPSR;  fast: host arithmetic may be used
 *   qc       to be set to true when an integer saturates
 */
#ifndef ENGINE_VEC_VEC_IMPL_H
#define ENGINE_VEC_VEC_IMPL_H

#include <stddef.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/fp/fp.h"
#include "engine/ir/ir.h"
#include "engine/vec/vec.h"

#define VEC_NR_LANES  4 /* B H S D */
#define VEC_NR_SHAPES 3

struct vec_fns {
	vec_fn *fn[VEC_NR_LANES][VEC_NR_SHAPES];
};

#define VEC_INLINE static inline __attribute__((always_inline))
#define VEC_MAYBE  __attribute__((unused))

/*
 * Whether the host's processor has an extension for which there is a function of its own. Tests
 * define VEC_PORTABLE.
 */
#if defined(__x86_64__) && !defined(VEC_PORTABLE)
#define VEC_HOST_X86            1
#define VEC_HOST_HAS(extension) __builtin_cpu_supports(extension)
#define VEC_ON_HOST(call)       call
#else
#define VEC_HOST_HAS(extension) 0
#define VEC_ON_HOST(call)       (void)0
#endif

/* FPCR and FPSR stand next to each other, as in struct fp_env. */
_Static_assert(offsetof(struct cpu, fpsr) ==
		       offsetof(struct cpu, fpcr) + offsetof(struct fp_env, fpsr),
	       "cpu holds a struct fp_env");

VEC_INLINE struct fp_env *vec_env(struct cpu *cpu)
{
	return (struct fp_env *)&cpu->fpcr;
}

VEC_INLINE bool vec_fast(const struct cpu *cpu)
{
	return !(cpu->mode & CPU_MODE_FP_DYNAMIC);
}

VEC_INLINE enum fp_round vec_rounding(const struct fp_env *env, int32_t imm)
{
	unsigned int round = VEC_IMM_ROUND(imm);

	return round == VEC_ROUND_FPCR ? fp_rmode(env) : (enum fp_round)round;
}

/* Types and fields of lanes. */
#define VEC_U_B  uint8_t
#define VEC_U_H  uint16_t
#define VEC_U_S  uint32_t
#define VEC_U_D  uint64_t
#define VEC_S_B  int8_t
#define VEC_S_H  int16_t
#define VEC_S_S  int32_t
#define VEC_S_D  int64_t
#define VEC_F_B  b
#define VEC_F_H  h
#define VEC_F_S  s
#define VEC_F_D  d
#define VEC_UU_B uint16_t
#define VEC_UU_H uint32_t
#define VEC_UU_S uint64_t
#define VEC_UU_D uint64_t
#define VEC_SS_B int16_t
#define VEC_SS_H int32_t
#define VEC_SS_S int64_t
#define VEC_SS_D int64_t
#define VEC_FF_B h
#define VEC_FF_H s
#define VEC_FF_S d

#define VEC_COUNT_SCALAR(lane) 1
#define VEC_COUNT_HALF(lane)   (8 / sizeof(VEC_U_##lane))
#define VEC_COUNT_FULL(lane)   (16 / sizeof(VEC_U_##lane))

/* Widening ops read the half that the shape names. */
#define VEC_WIDE_COUNT_SCALAR(lane) 1
#define VEC_WIDE_COUNT_HALF(lane)   (8 / sizeof(VEC_U_##lane))
#define VEC_WIDE_COUNT_FULL(lane)   (8 / sizeof(VEC_U_##lane))
#define VEC_WIDE_FIRST_SCALAR(lane) 0
#define VEC_WIDE_FIRST_HALF(lane)   0
#define VEC_WIDE_FIRST_FULL(lane)   (8 / sizeof(VEC_U_##lane))

#define VEC_HEAD(op, lane, shape)                                                         \
	static void vec_##op##_##lane##_##shape(struct cpu *cpu, union vreg *d,           \
						const union vreg *a, const union vreg *b, \
						const union vreg *c, int32_t imm)

#define VEC_PROLOGUE(lane, count)                        \
	typedef VEC_U_##lane U VEC_MAYBE;                \
	typedef VEC_S_##lane S VEC_MAYBE;                \
	typedef VEC_UU_##lane UU VEC_MAYBE;              \
	typedef VEC_SS_##lane SS VEC_MAYBE;              \
	enum { W VEC_MAYBE = 8 * sizeof(U), N = count }; \
	struct fp_env *env VEC_MAYBE = vec_env(cpu);     \
	bool fast VEC_MAYBE = vec_fast(cpu), qc = false; \
	union vreg r = {.d = {0, 0}};

#define VEC_EPILOGUE \
	*d = r;      \
	if (qc)      \
		cpu->fpsr |= VEC_FPSR_QC;

/* Lane by lane, of one, two, three operands. */
#define VEC_LANEWISE(op, lane, shape, expr, load)           \
	VEC_HEAD(op, lane, shape)                           \
	{                                                   \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane)) \
		for (unsigned int i = 0; i < N; i++) {      \
			load(U, VEC_F_##lane, i);           \
			r.VEC_F_##lane[i] = (U)(expr);      \
		}                                           \
		VEC_EPILOGUE                                \
	}

/* Widening: results have lanes twice as wide. */
#define VEC_WIDENING(op, lane, shape, expr, load)                                \
	VEC_HEAD(op, lane, shape)                                                \
	{                                                                        \
		VEC_PROLOGUE(lane, VEC_WIDE_COUNT_##shape(lane))                 \
		for (unsigned int i = 0; i < N; i++) {                           \
			load(U, VEC_F_##lane, VEC_WIDE_FIRST_##shape(lane) + i); \
			r.VEC_FF_##lane[i] = (UU)(expr);                         \
		}                                                                \
		VEC_EPILOGUE                                                     \
	}

/* Narrowing: x has type UU. */
#define VEC_NARROWING(op, lane, shape, expr)                \
	VEC_HEAD(op, lane, shape)                           \
	{                                                   \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane)) \
		for (unsigned int i = 0; i < N; i++) {      \
			VEC_LOAD1(UU, VEC_FF_##lane, i);    \
			r.VEC_F_##lane[i] = (U)(expr);      \
		}                                           \
		VEC_EPILOGUE                                \
	}

/* Neighbours: x and y are lanes 2 i and 2 i + 1 of b:a. */
#define VEC_PAIRWISE(op, lane, shape, expr)                     \
	VEC_HEAD(op, lane, shape)                               \
	{                                                       \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))     \
		U both[2 * N] __attribute__((aligned(16)));     \
                                                                \
		memcpy(both, a, sizeof(both) / 2);              \
		memcpy(both + N, b, sizeof(both) / 2);          \
		for (unsigned int i = 0; i < N; i++) {          \
			U x = both[2 * i], y = both[2 * i + 1]; \
                                                                \
			r.VEC_F_##lane[i] = (U)(expr);          \
		}                                               \
		VEC_EPILOGUE                                    \
	}

/*
 * Across: of an operation that is associative and commutative; halves, then halves of what they
 * give.
 */
#define VEC_ACROSS(op, lane, shape, expr)                   \
	VEC_HEAD(op, lane, shape)                           \
	{                                                   \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane)) \
		U all[N] __attribute__((aligned(16)));      \
                                                            \
		memcpy(all, a, sizeof(all));                \
		VEC_HALVE(N / 2, expr)                      \
		VEC_HALVE(N / 4, expr)                      \
		VEC_HALVE(N / 8, expr)                      \
		VEC_HALVE(N / 16, expr)                     \
		r.VEC_F_##lane[0] = all[0];                 \
		VEC_EPILOGUE                                \
	}

#define VEC_HALVE(nr, expr)                      \
	for (int i = 0; i < (int)(nr); i++) {    \
		U x = all[i], y = all[i + (nr)]; \
                                                 \
		all[i] = (U)(expr);              \
	}

#define VEC_LOAD1(type, field, i) type x = a->field[i]
#define VEC_LOAD2(type, field, i) type x = a->field[i], y = b->field[i]
#define VEC_LOAD3(type, field, i) type x = a->field[i], y = b->field[i], z = c->field[i]

/* Kinds of ops: each makes the functions of one lane. */
#define VEC_LANE1(op, lane, expr)                       \
	VEC_LANEWISE(op, lane, SCALAR, expr, VEC_LOAD1) \
	VEC_LANEWISE(op, lane, HALF, expr, VEC_LOAD1)   \
	VEC_LANEWISE(op, lane, FULL, expr, VEC_LOAD1)
#define VEC_LANE2(op, lane, expr)                       \
	VEC_LANEWISE(op, lane, SCALAR, expr, VEC_LOAD2) \
	VEC_LANEWISE(op, lane, HALF, expr, VEC_LOAD2)   \
	VEC_LANEWISE(op, lane, FULL, expr, VEC_LOAD2)
#define VEC_LANE3(op, lane, expr)                       \
	VEC_LANEWISE(op, lane, SCALAR, expr, VEC_LOAD3) \
	VEC_LANEWISE(op, lane, HALF, expr, VEC_LOAD3)   \
	VEC_LANEWISE(op, lane, FULL, expr, VEC_LOAD3)
#define VEC_WIDE1(op, lane, expr)                       \
	VEC_WIDENING(op, lane, SCALAR, expr, VEC_LOAD1) \
	VEC_WIDENING(op, lane, HALF, expr, VEC_LOAD1)   \
	VEC_WIDENING(op, lane, FULL, expr, VEC_LOAD1)
#define VEC_WIDE2(op, lane, expr)                       \
	VEC_WIDENING(op, lane, SCALAR, expr, VEC_LOAD2) \
	VEC_WIDENING(op, lane, HALF, expr, VEC_LOAD2)   \
	VEC_WIDENING(op, lane, FULL, expr, VEC_LOAD2)
#define VEC_NARROW(op, lane, expr)            \
	VEC_NARROWING(op, lane, SCALAR, expr) \
	VEC_NARROWING(op, lane, HALF, expr)
#define VEC_PAIR(op, lane, expr)           \
	VEC_PAIRWISE(op, lane, HALF, expr) \
	VEC_PAIRWISE(op, lane, FULL, expr)
#define VEC_FOLD(op, lane, expr)         \
	VEC_ACROSS(op, lane, HALF, expr) \
	VEC_ACROSS(op, lane, FULL, expr)

/* What a table has for one lane. */
#define VEC_ROW_SHF(op, lane)                                                \
	[IR_##lane] = {vec_##op##_##lane##_SCALAR, vec_##op##_##lane##_HALF, \
		       vec_##op##_##lane##_FULL},
#define VEC_ROW_SH(op, lane) [IR_##lane] = {vec_##op##_##lane##_SCALAR, vec_##op##_##lane##_HALF},
#define VEC_ROW_HF(op, lane) \
	[IR_##lane] = {NULL, vec_##op##_##lane##_HALF, vec_##op##_##lane##_FULL},
#define VEC_ROW_S(op, lane) [IR_##lane] = {vec_##op##_##lane##_SCALAR},
#define VEC_ROW_F(op, lane) [IR_##lane] = {NULL, NULL, vec_##op##_##lane##_FULL},

#define VEC_TABLE_LANE1  VEC_ROW_SHF
#define VEC_TABLE_LANE2  VEC_ROW_SHF
#define VEC_TABLE_LANE3  VEC_ROW_SHF
#define VEC_TABLE_WIDE1  VEC_ROW_SHF
#define VEC_TABLE_WIDE2  VEC_ROW_SHF
#define VEC_TABLE_NARROW VEC_ROW_SH
#define VEC_TABLE_PAIR   VEC_ROW_HF
#define VEC_TABLE_FOLD   VEC_ROW_HF

#define VEC_EACH_B(m, op, e)    m(op, B, e)
#define VEC_EACH_S(m, op, e)    m(op, S, e)
#define VEC_EACH_D(m, op, e)    m(op, D, e)
#define VEC_EACH_BH(m, op, e)   m(op, B, e) m(op, H, e)
#define VEC_EACH_HS(m, op, e)   m(op, H, e) m(op, S, e)
#define VEC_EACH_BHS(m, op, e)  m(op, B, e) m(op, H, e) m(op, S, e)
#define VEC_EACH_HSD(m, op, e)  m(op, H, e) m(op, S, e) m(op, D, e)
#define VEC_EACH_BHSD(m, op, e) m(op, B, e) m(op, H, e) m(op, S, e) m(op, D, e)

#define VEC_ROWS_B(row, op)    row(op, B)
#define VEC_ROWS_H(row, op)    row(op, H)
#define VEC_ROWS_S(row, op)    row(op, S)
#define VEC_ROWS_D(row, op)    row(op, D)
#define VEC_ROWS_BD(row, op)   row(op, B) row(op, D)
#define VEC_ROWS_BH(row, op)   row(op, B) row(op, H)
#define VEC_ROWS_HS(row, op)   row(op, H) row(op, S)
#define VEC_ROWS_BHS(row, op)  row(op, B) row(op, H) row(op, S)
#define VEC_ROWS_HSD(row, op)  row(op, H) row(op, S) row(op, D)
#define VEC_ROWS_BHSD(row, op) row(op, B) row(op, H) row(op, S) row(op, D)

#define VEC_TABLE(op, lanes, row) const struct vec_fns vec_fns_##op = {{VEC_ROWS_##lanes(row, op)}};

/* The functions and the table of one op. */
#define VEC_OP(kind, lanes, op, expr) \
	VEC_EACH_##lanes(VEC_##kind, op, expr) VEC_TABLE(op, lanes, VEC_TABLE_##kind)

/* vec.c sees every table. */
#define VOP(name, operands, props) extern const struct vec_fns vec_fns_##name;
#include "engine/vec/vec_ops.def"
#undef VOP

#endif
