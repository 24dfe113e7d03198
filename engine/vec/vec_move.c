/* SPDX-License-Identifier: MIT */
/*
 * Vector ops that move lanes: zip, unzip, transpose, extract, table look-up, and the interleaving
 * of three registers.
 */
#include "engine/vec/vec_impl.h"

/* Lanes of both operands in turn, from the halves that begin at lane `first`. */
#define ZIP(op, lane, shape, first)                                               \
	VEC_HEAD(op, lane, shape)                                                 \
	{                                                                         \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                       \
		for (int i = 0; i < N / 2; i++) {                                 \
			r.VEC_F_##lane[2 * i] = a->VEC_F_##lane[(first) + i];     \
			r.VEC_F_##lane[2 * i + 1] = b->VEC_F_##lane[(first) + i]; \
		}                                                                 \
		VEC_EPILOGUE                                                      \
	}

/* Every second lane of b:a, from lane `odd`. */
#define UZP(op, lane, shape, odd)                                \
	VEC_HEAD(op, lane, shape)                                \
	{                                                        \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))      \
		U both[2 * N] __attribute__((aligned(16)));      \
                                                                 \
		memcpy(both, a, sizeof(both) / 2);               \
		memcpy(both + N, b, sizeof(both) / 2);           \
		for (int i = 0; i < N; i++)                      \
			r.VEC_F_##lane[i] = both[2 * i + (odd)]; \
		VEC_EPILOGUE                                     \
	}

/* The even or the odd lanes of both operands, a's in even places and b's in odd ones. */
#define TRN(op, lane, shape, odd)                                                                 \
	VEC_HEAD(op, lane, shape)                                                                 \
	{                                                                                         \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                                       \
		for (int i = 0; i < N / 2; i++) {                                                 \
			U x = a->VEC_F_##lane[2 * i + (odd)], y = b->VEC_F_##lane[2 * i + (odd)]; \
                                                                                                  \
			r.VEC_F_##lane[2 * i] = x;                                                \
			r.VEC_F_##lane[2 * i + 1] = y;                                            \
		}                                                                                 \
		VEC_EPILOGUE                                                                      \
	}

/* There is no vector of one D. */
#define PERMUTE_LANE(op, lane, kind, arg) kind(op, lane, HALF, arg) kind(op, lane, FULL, arg)
#define PERMUTE_TABLE(op) \
	const struct vec_fns vec_fns_##op = {{VEC_ROWS_BHS(VEC_ROW_HF, op) VEC_ROW_F(op, D)}};
#define PERMUTE(op, kind, arg)         \
	PERMUTE_LANE(op, B, kind, arg) \
	PERMUTE_LANE(op, H, kind, arg) \
	PERMUTE_LANE(op, S, kind, arg) \
	kind(op, D, FULL, arg) PERMUTE_TABLE(op)

PERMUTE(ZIP1, ZIP, 0)
PERMUTE(ZIP2, ZIP, N / 2)
PERMUTE(UZP1, UZP, 0)
PERMUTE(UZP2, UZP, 1)
PERMUTE(TRN1, TRN, 0)
PERMUTE(TRN2, TRN, 1)

VEC_HEAD(EXT, B, HALF)
{
	uint64_t lo = a->d[0], hi = b->d[0];

	*d = (union vreg){.d = {imm ? lo >> 8 * imm | hi << (64 - 8 * imm) : lo, 0}};
}

VEC_HEAD(EXT, B, FULL)
{
	union vreg both[2] = {*a, *b};

	memcpy(d, (uint8_t *)both + imm, sizeof(*d));
}

VEC_TABLE(EXT, B, VEC_ROW_HF)

/* Table look-up: an index less the table's first one is in it when it is below 16. */
#define IN_TABLE(index) ((U)((index)-imm) < 16)
VEC_LANEWISE(TBL, B, HALF, IN_TABLE(x) ? b->b[(U)(x - imm)] : 0, VEC_LOAD2)
VEC_LANEWISE(TBL, B, FULL, IN_TABLE(x) ? b->b[(U)(x - imm)] : 0, VEC_LOAD2)
VEC_LANEWISE(TBX, B, HALF, IN_TABLE(y) ? c->b[(U)(y - imm)] : x, VEC_LOAD3)
VEC_LANEWISE(TBX, B, FULL, IN_TABLE(y) ? c->b[(U)(y - imm)] : x, VEC_LOAD3)

#ifdef VEC_HOST_X86
#include <immintrin.h>

/* PSHUFB gives 0 where bit 7 of the index is set: a saturating sum sets it for 16 and above. */
#define TABLE_HOST __attribute__((target("ssse3"))) static void

TABLE_HOST tbl_host(union vreg *d, const union vreg *index, const union vreg *table, int32_t first)
{
	__m128i at =
		_mm_sub_epi8(_mm_load_si128((const __m128i *)index), _mm_set1_epi8((char)first));

	at = _mm_adds_epu8(at, _mm_set1_epi8(0x70));
	_mm_store_si128((__m128i *)d, _mm_shuffle_epi8(_mm_load_si128((const __m128i *)table), at));
}

TABLE_HOST tbx_host(union vreg *d, const union vreg *other, const union vreg *index,
		    const union vreg *table, int32_t first)
{
	__m128i at =
		_mm_sub_epi8(_mm_load_si128((const __m128i *)index), _mm_set1_epi8((char)first));
	__m128i found, outside;

	at = _mm_adds_epu8(at, _mm_set1_epi8(0x70));
	found = _mm_shuffle_epi8(_mm_load_si128((const __m128i *)table), at);
	outside = _mm_cmplt_epi8(at, _mm_setzero_si128());
	outside = _mm_and_si128(outside, _mm_load_si128((const __m128i *)other));
	_mm_store_si128((__m128i *)d, _mm_or_si128(found, outside));
}
#endif

/* The host's where it has it, with zero above the shape. */
#define TABLE(op, shape, host, ...)                                                         \
	static void op##_any_##shape(struct cpu *cpu, union vreg *d, const union vreg *a,   \
				     const union vreg *b, const union vreg *c, int32_t imm) \
	{                                                                                   \
		if (!VEC_HOST_HAS("ssse3")) {                                               \
			vec_##op##_B_##shape(cpu, d, a, b, c, imm);                         \
			return;                                                             \
		}                                                                           \
		VEC_ON_HOST(host(d, __VA_ARGS__, imm));                                     \
		if (IR_##shape == IR_HALF)                                                  \
			d->d[1] = 0;                                                        \
	}

TABLE(TBL, HALF, tbl_host, a, b)
TABLE(TBL, FULL, tbl_host, a, b)
TABLE(TBX, HALF, tbx_host, a, b, c)
TABLE(TBX, FULL, tbx_host, a, b, c)
const struct vec_fns vec_fns_TBL = {{[IR_B] = {NULL, TBL_any_HALF, TBL_any_FULL}}};
const struct vec_fns vec_fns_TBX = {{[IR_B] = {NULL, TBX_any_HALF, TBX_any_FULL}}};

/* Three registers to and from memory order. */
#define INTERLEAVE3(lane, shape)                                            \
	VEC_HEAD(DEINT3, lane, shape)                                       \
	{                                                                   \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                 \
		VEC_U_##lane all[3 * 16 / sizeof(U)];                       \
                                                                            \
		memcpy(all, a, 16);                                         \
		memcpy((char *)all + 16, b, 16);                            \
		if (IR_##shape == IR_FULL)                                  \
			memcpy((char *)all + 32, c, 16);                    \
		for (unsigned int i = 0; i < N; i++)                        \
			r.VEC_F_##lane[i] = all[3 * i + (unsigned int)imm]; \
		VEC_EPILOGUE                                                \
	}                                                                   \
	VEC_HEAD(INT3, lane, shape)                                         \
	{                                                                   \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                 \
		VEC_U_##lane all[3 * 16 / sizeof(U)] = {0};                 \
                                                                            \
		for (unsigned int i = 0; i < N; i++) {                      \
			all[3 * i] = a->VEC_F_##lane[i];                    \
			all[3 * i + 1] = b->VEC_F_##lane[i];                \
			all[3 * i + 2] = c->VEC_F_##lane[i];                \
		}                                                           \
		memcpy(&r, (char *)all + 16 * imm, 16);                     \
		VEC_EPILOGUE                                                \
	}
INTERLEAVE3(B, HALF)
INTERLEAVE3(B, FULL)
INTERLEAVE3(H, HALF)
INTERLEAVE3(H, FULL)
INTERLEAVE3(S, HALF)
INTERLEAVE3(S, FULL)
INTERLEAVE3(D, HALF)
INTERLEAVE3(D, FULL)
VEC_TABLE(DEINT3, BHSD, VEC_ROW_HF)
VEC_TABLE(INT3, BHSD, VEC_ROW_HF)
