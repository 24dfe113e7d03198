/* SPDX-License-Identifier: MIT */
/*
 * Vector ops on integers that neither saturate nor change the lanes' width. One expression each;
 * vec_impl.h says over what.
 */
#include "engine/vec/vec_impl.h"

#define TRUTH(condition) ((condition) ? ONES : (U)0)
#define ONES             ((U)(S)-1)
#define SX               ((S)x)
#define SY               ((S)y)

VEC_OP(LANE2, BHSD, ADD, x + y)
VEC_OP(LANE2, BHSD, SUB, x - y)
VEC_OP(LANE1, BHSD, NEG, (U)0 - x)
VEC_OP(LANE1, BHSD, ABS, SX < 0 ? (U)0 - x : x)
/* The factor 1u keeps the products of 16-bit lanes unsigned. */
VEC_OP(LANE2, BHSD, MUL, 1u * x * y)
VEC_OP(LANE3, BHSD, MLA, x + 1u * y * z)
VEC_OP(LANE3, BHSD, MLS, x - 1u * y * z)

VEC_OP(LANE2, BHS, SMAX, SX > SY ? x : y)
VEC_OP(LANE2, BHS, SMIN, SX < SY ? x : y)
VEC_OP(LANE2, BHS, UMAX, x > y ? x : y)
VEC_OP(LANE2, BHS, UMIN, x < y ? x : y)
VEC_OP(LANE2, BHSD, SABD, SX > SY ? x - y : y - x)
VEC_OP(LANE2, BHSD, UABD, x > y ? x - y : y - x)

/*
 * Halves of sums without a wider type: quick, and gcc 12 for arm64 makes UHADD of a widened SHADD.
 */
VEC_OP(LANE2, BHS, SHADD, (SX & SY) + ((SX ^ SY) >> 1))
VEC_OP(LANE2, BHS, UHADD, (x & y) + ((x ^ y) >> 1))
VEC_OP(LANE2, BHS, SHSUB, ((int64_t)SX - SY) >> 1)
VEC_OP(LANE2, BHS, UHSUB, ((uint64_t)x - y) >> 1)
VEC_OP(LANE2, BHS, SRHADD, (SX | SY) - ((SX ^ SY) >> 1))
VEC_OP(LANE2, BHS, URHADD, (x | y) - ((x ^ y) >> 1))

VEC_OP(LANE2, BHSD, CMEQ, TRUTH(x == y))
VEC_OP(LANE2, BHSD, CMGE, TRUTH(SX >= SY))
VEC_OP(LANE2, BHSD, CMGT, TRUTH(SX > SY))
VEC_OP(LANE2, BHSD, CMHS, TRUTH(x >= y))
VEC_OP(LANE2, BHSD, CMHI, TRUTH(x > y))
VEC_OP(LANE2, BHSD, CMTST, TRUTH((x & y) != 0))

/* There is no vector of one D. */
VEC_EACH_BHS(VEC_PAIR, ADDP, x + y)
VEC_PAIRWISE(ADDP, D, FULL, x + y)
const struct vec_fns vec_fns_ADDP = {{VEC_ROWS_BHS(VEC_ROW_HF, ADDP) VEC_ROW_F(ADDP, D)}};
VEC_OP(PAIR, BHS, SMAXP, SX > SY ? x : y)
VEC_OP(PAIR, BHS, SMINP, SX < SY ? x : y)
VEC_OP(PAIR, BHS, UMAXP, x > y ? x : y)
VEC_OP(PAIR, BHS, UMINP, x < y ? x : y)

VEC_OP(FOLD, BHS, ADDV, x + y)
VEC_OP(FOLD, BHS, SMAXV, SX > SY ? x : y)
VEC_OP(FOLD, BHS, SMINV, SX < SY ? x : y)
VEC_OP(FOLD, BHS, UMAXV, x > y ? x : y)
VEC_OP(FOLD, BHS, UMINV, x < y ? x : y)

/* Shifts by an immediate; those to the right go up to the whole width. */
VEC_OP(LANE1, BHSD, SHLI, x << imm)
VEC_OP(LANE1, BHSD, SSHRI, SX >> (imm < W ? imm : W - 1))
VEC_OP(LANE1, BHSD, USHRI, imm < W ? x >> imm : 0)
VEC_OP(LANE1, BHSD, SRSHRI, (SX >> (imm < W ? imm : W - 1)) + ((x >> (imm - 1)) & 1))
VEC_OP(LANE1, BHSD, URSHRI, (imm < W ? x >> imm : 0) + ((x >> (imm - 1)) & 1))
VEC_OP(LANE2, BHSD, SLI, (x & (((U)1 << imm) - 1)) | (U)(y << imm))
VEC_OP(LANE2, BHSD, SRI, imm < W ? (U)(x & ~(ONES >> imm)) | (y >> imm) : x)

/*
 * Shifts by a register: the count is the low byte of y, negative to the right. Rounding adds the
 * last bit that is shifted out.
 */
VEC_INLINE uint64_t shift_unsigned(uint64_t x, int8_t count, int width, bool round)
{
	if (count >= 0)
		return count < width ? x << count : 0;
	if (-count > width)
		return 0;
	return (-count < width ? x >> -count : 0) + (round ? (x >> (-count - 1)) & 1 : 0);
}

VEC_INLINE uint64_t shift_signed(int64_t x, int8_t count, int width, bool round)
{
	if (count >= 0)
		return count < width ? (uint64_t)x << count : 0;
	if (-count >= width)
		return (uint64_t)(round ? 0 : x >> 63);
	return (uint64_t)((x >> -count) + (round ? (x >> (-count - 1)) & 1 : 0));
}

VEC_OP(LANE2, BHSD, USHL, shift_unsigned(x, (int8_t)y, W, false))
VEC_OP(LANE2, BHSD, SSHL, shift_signed(SX, (int8_t)y, W, false))
VEC_OP(LANE2, BHSD, URSHL, shift_unsigned(x, (int8_t)y, W, true))
VEC_OP(LANE2, BHSD, SRSHL, shift_signed(SX, (int8_t)y, W, true))

/* Bits within a lane. */
VEC_INLINE unsigned int leading_zeros(uint32_t x, unsigned int width)
{
	return x ? (unsigned int)__builtin_clz(x) - (32 - width) : width;
}

VEC_INLINE uint8_t reverse_bits(uint8_t x)
{
	x = (uint8_t)((x & 0x0f) << 4 | x >> 4);
	x = (uint8_t)((x & 0x33) << 2 | (x >> 2 & 0x33));
	return (uint8_t)((x & 0x55) << 1 | (x >> 1 & 0x55));
}

VEC_INLINE uint8_t count_bits(uint8_t x)
{
	x = (uint8_t)(x - (x >> 1 & 0x55));
	x = (uint8_t)((x & 0x33) + (x >> 2 & 0x33));
	return (uint8_t)((x + (x >> 4)) & 0x0f);
}

VEC_OP(LANE1, BHS, CLZ, leading_zeros(x, W))
VEC_OP(LANE1, BHS, CLS, leading_zeros((U)((SX >> (W - 1)) ^ x), W) - 1)
VEC_OP(LANE1, B, CNT, count_bits(x))
VEC_OP(LANE1, B, RBIT, reverse_bits(x))
VEC_OP(LANE1, S, URECPE, fp_urecpe(x))
VEC_OP(LANE1, S, URSQRTE, fp_ursqrte(x))

/* x with its lanes of 8 bits (16, 32) reversed within 64 bits. */
VEC_INLINE uint64_t swap16(uint64_t x)
{
	return (x & 0x00ff00ff00ff00ffull) << 8 | (x >> 8 & 0x00ff00ff00ff00ffull);
}

VEC_INLINE uint64_t swap32(uint64_t x)
{
	return (x & 0x0000ffff0000ffffull) << 16 | (x >> 16 & 0x0000ffff0000ffffull);
}

VEC_INLINE uint64_t swap64(uint64_t x)
{
	return x << 32 | x >> 32;
}

/* An op on words of 64 bits whose lane is a parameter of the expression, not of the loop. */
#define WORDWISE(op, lane, load, expr)                 \
	VEC_HEAD(op, lane, HALF)                       \
	{                                              \
		load(uint64_t, d, 0);                  \
		*d = (union vreg){.d = {expr, 0}};     \
	}                                              \
	VEC_HEAD(op, lane, FULL)                       \
	{                                              \
		union vreg r;                          \
		for (unsigned int i = 0; i < 2; i++) { \
			load(uint64_t, d, i);          \
			r.d[i] = expr;                 \
		}                                      \
		*d = r;                                \
	}

WORDWISE(REV16, B, VEC_LOAD1, swap16(x))
WORDWISE(REV32, B, VEC_LOAD1, swap32(swap16(x)))
WORDWISE(REV32, H, VEC_LOAD1, swap32(x))
WORDWISE(REV64, B, VEC_LOAD1, swap64(swap32(swap16(x))))
WORDWISE(REV64, H, VEC_LOAD1, swap64(swap32(x)))
WORDWISE(REV64, S, VEC_LOAD1, swap64(x))
VEC_TABLE(REV16, B, VEC_ROW_HF)
VEC_TABLE(REV32, BH, VEC_ROW_HF)
VEC_TABLE(REV64, BHS, VEC_ROW_HF)

#define BITWISE(op, load, expr) WORDWISE(op, B, load, expr) VEC_TABLE(op, B, VEC_ROW_HF)
BITWISE(AND, VEC_LOAD2, (x & y))
BITWISE(BIC, VEC_LOAD2, x & ~y)
BITWISE(ORR, VEC_LOAD2, x | y)
BITWISE(ORN, VEC_LOAD2, x | ~y)
BITWISE(EOR, VEC_LOAD2, x ^ y)
BITWISE(NOT, VEC_LOAD1, ~x)
BITWISE(BSL, VEC_LOAD3, (y & x) | (z & ~x))

/* Dot products: the sum of four products of bytes, added to a lane of the accumulator. */
#define DOT(op, byte, shape)                                             \
	VEC_HEAD(op, S, shape)                                           \
	{                                                                \
		VEC_PROLOGUE(S, VEC_COUNT_##shape(S))                    \
		for (unsigned int i = 0; i < N; i++) {                   \
			r.s[i] = a->s[i];                                \
			for (unsigned int k = 4 * i; k < 4 * i + 4; k++) \
				r.s[i] += (U)(b->byte[k] * c->byte[k]);  \
		}                                                        \
		VEC_EPILOGUE                                             \
	}

DOT(SDOT, sb, HALF)
DOT(SDOT, sb, FULL)
DOT(UDOT, b, HALF)
DOT(UDOT, b, FULL)
VEC_TABLE(SDOT, S, VEC_ROW_HF)
VEC_TABLE(UDOT, S, VEC_ROW_HF)
