/* SPDX-License-Identifier: MIT */
/*
 * Vector ops on integers that saturate (Arm ARM, shared/functions/vector: SignedSatQ,
 * UnsignedSatQ): arithmetic, shifts, doubling multiplies, narrowing. A function that saturates
 * says so in *qc.
 */
#include "engine/vec/vec_impl.h"

#define SX   ((S)x)
#define SY   ((S)y)
#define SZ   ((S)z)
#define UMAX ((U) ~(U)0)
#define SMAX ((S)(UMAX >> 1))
#define SMIN ((S)(-SMAX - 1))

/* The limit of the sign's side, with QC. */
#define SATURATED(negative) (qc = true, (negative) ? SMIN : SMAX)
#define CLAMPED(limit)      (qc = true, (limit))

/* Sums and differences. GCC's builtins work on the exact result whatever the operands' types. */
#define CHECKED(type, builtin, p, q, limit)                  \
	({                                                   \
		type sum_;                                   \
		builtin(p, q, &sum_) ? (type)(limit) : sum_; \
	})

VEC_OP(LANE2, BHSD, SQADD, CHECKED(S, __builtin_add_overflow, SX, SY, SATURATED(SX < 0)))
VEC_OP(LANE2, BHSD, SQSUB, CHECKED(S, __builtin_sub_overflow, SX, SY, SATURATED(SX < 0)))
VEC_OP(LANE2, BHSD, UQADD, CHECKED(U, __builtin_add_overflow, x, y, CLAMPED(UMAX)))
VEC_OP(LANE2, BHSD, UQSUB, CHECKED(U, __builtin_sub_overflow, x, y, CLAMPED(0)))
VEC_OP(LANE2, BHSD, SUQADD, CHECKED(S, __builtin_add_overflow, SX, y, CLAMPED(SMAX)))
VEC_OP(LANE2, BHSD, USQADD, CHECKED(U, __builtin_add_overflow, x, SY, CLAMPED(SY < 0 ? 0 : UMAX)))
VEC_OP(LANE1, BHSD, SQABS, SX == SMIN ? CLAMPED(UMAX >> 1) : SX < 0 ? (U)0 - x : x)
VEC_OP(LANE1, BHSD, SQNEG, SX == SMIN ? CLAMPED(UMAX >> 1) : (U)0 - x)

/*
 * Doubling multiplies: (2 x y + rounding) >> W, here without the factor 2, so that 64 bits hold
 * every intermediate.
 */
VEC_INLINE int64_t clamp_signed(int64_t v, int width, bool *qc)
{
	int64_t max = (int64_t)((1ull << (width - 1)) - 1);

	if (v > max || v < -max - 1) {
		*qc = true;
		return v < 0 ? -max - 1 : max;
	}
	return v;
}

#define PRODUCT(p, q) ((int64_t)(p) * (q))
#define ROUNDING      ((int64_t)1 << (W - 2))
#define HIGH(v)       clamp_signed((v) >> (W - 1), W, &qc)

VEC_OP(LANE2, HS, SQDMULH, HIGH(PRODUCT(SX, SY)))
VEC_OP(LANE2, HS, SQRDMULH, HIGH(PRODUCT(SX, SY) + ROUNDING))
VEC_OP(LANE3, HS, SQRDMLAH, HIGH((int64_t)((uint64_t)SX << (W - 1)) + PRODUCT(SY, SZ) + ROUNDING))
VEC_OP(LANE3, HS, SQRDMLSH, HIGH((int64_t)((uint64_t)SX << (W - 1)) - PRODUCT(SY, SZ) + ROUNDING))
VEC_OP(WIDE2, HS, SQDMULL,
       SX == SMIN && SY == SMIN ? CLAMPED((UU) ~(UU)0 >> 1) : (UU)PRODUCT(SX, SY) << 1)

/* Shifts to the left that saturate; a count of the width or more leaves only zero unharmed. */
VEC_INLINE int64_t shift_left_signed(int64_t x, int count, int width, bool *qc)
{
	int64_t min = (int64_t)(~0ull << (width - 1));
	int64_t r = 0;

	if (count < width) {
		r = (int64_t)((uint64_t)x << count << (64 - width)) >> (64 - width);
		if (r >> count == x)
			return r;
	} else if (!x) {
		return 0;
	}
	*qc = true;
	return x < 0 ? min : ~min;
}

VEC_INLINE uint64_t shift_left_unsigned(uint64_t x, int count, int width, bool *qc)
{
	uint64_t max = ~0ull >> (64 - width);
	uint64_t r = 0;

	if (count < width) {
		r = (x << count) & max;
		if (r >> count == x)
			return r;
	} else if (!x) {
		return 0;
	}
	*qc = true;
	return max;
}

/* Signed to unsigned: what is below zero becomes zero. */
VEC_INLINE uint64_t shift_left_positive(int64_t x, int count, int width, bool *qc)
{
	if (x < 0) {
		*qc = true;
		return 0;
	}
	return shift_left_unsigned((uint64_t)x, count, width, qc);
}

/* Shifts by a register; to the right they cannot saturate. */
VEC_INLINE int64_t shift_sat_signed(int64_t x, int8_t count, int width, bool round, bool *qc)
{
	if (count >= 0)
		return shift_left_signed(x, count, width, qc);
	if (-count >= width)
		return round ? 0 : x >> 63;
	return (x >> -count) + (round ? (x >> (-count - 1)) & 1 : 0);
}

VEC_INLINE uint64_t shift_sat_unsigned(uint64_t x, int8_t count, int width, bool round, bool *qc)
{
	if (count >= 0)
		return shift_left_unsigned(x, count, width, qc);
	if (-count > width)
		return 0;
	return (-count < width ? x >> -count : 0) + (round ? (x >> (-count - 1)) & 1 : 0);
}

VEC_OP(LANE1, BHSD, SQSHLI, shift_left_signed(SX, imm, W, &qc))
VEC_OP(LANE1, BHSD, UQSHLI, shift_left_unsigned(x, imm, W, &qc))
VEC_OP(LANE1, BHSD, SQSHLUI, shift_left_positive(SX, imm, W, &qc))
VEC_OP(LANE2, BHSD, SQSHL, shift_sat_signed(SX, (int8_t)y, W, false, &qc))
VEC_OP(LANE2, BHSD, UQSHL, shift_sat_unsigned(x, (int8_t)y, W, false, &qc))
VEC_OP(LANE2, BHSD, SQRSHL, shift_sat_signed(SX, (int8_t)y, W, true, &qc))
VEC_OP(LANE2, BHSD, UQRSHL, shift_sat_unsigned(x, (int8_t)y, W, true, &qc))

/* Narrowing: x is twice as wide as the result. */
#define WX ((SS)x)
VEC_OP(NARROW, BHS, SQXTN, WX == (S)WX ? (S)WX : SATURATED(WX < 0))
VEC_OP(NARROW, BHS, UQXTN, x <= UMAX ? (U)x : CLAMPED(UMAX))
VEC_OP(NARROW, BHS, SQXTUN, x <= UMAX ? (U)x : WX < 0 ? CLAMPED(0) : CLAMPED(UMAX))
