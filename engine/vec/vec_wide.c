/* SPDX-License-Identifier: MIT */
/*
 * Vector ops whose results have lanes of another width than their operands: widening, narrowing,
 * long sums, polynomial products.
 */
#include "engine/vec/vec_impl.h"

VEC_OP(WIDE1, BHS, SXTL, (SS)(S)x)
VEC_OP(WIDE1, BHS, UXTL, x)
VEC_OP(WIDE2, BHS, SMULL, ((SS)(S)x * (SS)(S)y))
VEC_OP(WIDE2, BHS, UMULL, (UU)x *(UU)y)
VEC_OP(NARROW, BHS, XTN, x)

/* Sums of neighbours, in lanes twice as wide. */
#define LONG_PAIR(op, lane, shape, type)                                                 \
	VEC_HEAD(op, lane, shape)                                                        \
	{                                                                                \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                              \
		for (unsigned int i = 0; i < N / 2; i++)                                 \
			r.VEC_FF_##lane[i] = (UU)((SS)(type)a->VEC_F_##lane[2 * i] +     \
						  (SS)(type)a->VEC_F_##lane[2 * i + 1]); \
		VEC_EPILOGUE                                                             \
	}
#define VEC_SIGNED_PAIR(op, lane, unused) LONG_PAIR(op, lane, HALF, S) LONG_PAIR(op, lane, FULL, S)
#define VEC_UNSIGNED_PAIR(op, lane, unused) \
	LONG_PAIR(op, lane, HALF, U) LONG_PAIR(op, lane, FULL, U)
#define VEC_TABLE_SIGNED_PAIR   VEC_ROW_HF
#define VEC_TABLE_UNSIGNED_PAIR VEC_ROW_HF

VEC_OP(SIGNED_PAIR, BHS, SADDLP, )
VEC_OP(UNSIGNED_PAIR, BHS, UADDLP, )

/* Sums of all lanes, twice as wide as a lane. */
#define LONG_SUM(op, lane, shape, type)                                 \
	VEC_HEAD(op, lane, shape)                                       \
	{                                                               \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))             \
		SS sum = 0;                                             \
                                                                        \
		for (unsigned int i = 0; i < N; i++)                    \
			sum = (SS)(sum + (SS)(type)a->VEC_F_##lane[i]); \
		r.VEC_FF_##lane[0] = (UU)sum;                           \
		VEC_EPILOGUE                                            \
	}
#define VEC_SIGNED_SUM(op, lane, unused)   LONG_SUM(op, lane, HALF, S) LONG_SUM(op, lane, FULL, S)
#define VEC_UNSIGNED_SUM(op, lane, unused) LONG_SUM(op, lane, HALF, U) LONG_SUM(op, lane, FULL, U)
#define VEC_TABLE_SIGNED_SUM               VEC_ROW_HF
#define VEC_TABLE_UNSIGNED_SUM             VEC_ROW_HF

VEC_OP(SIGNED_SUM, BHS, SADDLV, )
VEC_OP(UNSIGNED_SUM, BHS, UADDLV, )

/* Products of polynomials over {0, 1} (PolynomialMult). */
VEC_INLINE uint16_t poly_product8(uint8_t x, uint8_t y)
{
	uint16_t r = 0;

	for (int bit = 0; bit < 8; bit++)
		r ^= (uint16_t)(-(y >> bit & 1) & (x << bit));
	return r;
}

static void poly_product64(union vreg *d, uint64_t x, uint64_t y)
{
	uint64_t lo = 0, hi = 0;

	for (int bit = 0; bit < 64; bit++) {
		uint64_t take = -(y >> bit & 1);

		lo ^= take & (x << bit);
		hi ^= take & (x >> 1 >> (63 - bit));
	}
	d->d[0] = lo;
	d->d[1] = hi;
}

#ifdef VEC_HOST_X86
#include <immintrin.h>
/* The same by the host's carry-less multiplication. */
__attribute__((target("pclmul"))) static void poly_product64_host(union vreg *d, uint64_t x,
								  uint64_t y)
{
	__m128i r = _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)x),
					 _mm_set_epi64x(0, (int64_t)y), 0);

	_mm_store_si128((__m128i *)d, r);
}
#endif

VEC_OP(LANE2, B, PMUL, poly_product8(x, y))

#define POLY_LONG(shape)                                                                   \
	VEC_HEAD(PMULL, D, shape)                                                          \
	{                                                                                  \
		uint64_t x = a->d[IR_##shape == IR_FULL], y = b->d[IR_##shape == IR_FULL]; \
                                                                                           \
		if (VEC_HOST_HAS("pclmul"))                                                \
			VEC_ON_HOST(poly_product64_host(d, x, y));                         \
		else                                                                       \
			poly_product64(d, x, y);                                           \
	}

VEC_WIDE2(PMULL, B, poly_product8(x, y))
POLY_LONG(SCALAR)
POLY_LONG(HALF)
POLY_LONG(FULL)
VEC_TABLE(PMULL, BD, VEC_ROW_SHF)
