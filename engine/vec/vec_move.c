/* SPDX-License-Identifier: MIT */
/*
 * Vector ops that move lanes: zip, unzip, transpose, extract, table look-up, and the interleaving of three registers.
 */
#include <string.h>

#include "engine/vec/vec_impl.h"

/* A lane of the result as a lane of a or b. */
#define PERMUTE(op, lane, shape, from, index)                                                      \
	VEC_HEAD(op, lane, shape)                                                                  \
	{                                                                                          \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                                        \
		for (unsigned int i = 0; i < N; i++)                                               \
			r.VEC_F_##lane[i] = ((from) ? b : a)->VEC_F_##lane[index];                 \
		VEC_EPILOGUE                                                                       \
	}
#define PERMUTE_LANE(op, lane, from, index)                                                        \
	PERMUTE(op, lane, HALF, from, index) PERMUTE(op, lane, FULL, from, index)
#define PERMUTE_OP(op, from, index)                                                                \
	PERMUTE_LANE(op, B, from, index) PERMUTE_LANE(op, H, from, index)                          \
	PERMUTE_LANE(op, S, from, index) PERMUTE_LANE(op, D, from, index)                          \
	VEC_TABLE(op, BHSD, VEC_ROW_HF)

PERMUTE_OP(ZIP1, i & 1, i / 2)
PERMUTE_OP(ZIP2, i & 1, (N + i) / 2)
PERMUTE_OP(UZP1, 2 * i >= N, 2 * i % N)
PERMUTE_OP(UZP2, 2 * i >= N, (2 * i + 1) % N)
PERMUTE_OP(TRN1, i & 1, i & ~1u)
PERMUTE_OP(TRN2, i & 1, i | 1)

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

VEC_OP(LANE2, B, TBL, (U)(x - imm) < 16 ? b->b[(U)(x - imm)] : 0)
VEC_OP(LANE3, B, TBX, (U)(y - imm) < 16 ? c->b[(U)(y - imm)] : x)

/* Three registers to and from memory order. */
#define INTERLEAVE3(lane, shape)                                                                   \
	VEC_HEAD(DEINT3, lane, shape)                                                              \
	{                                                                                          \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                                        \
		VEC_U_##lane all[3 * 16 / sizeof(U)];                                              \
                                                                                                   \
		memcpy(all, a, 16);                                                                \
		memcpy((char *)all + 16, b, 16);                                                   \
		if (IR_##shape == IR_FULL)                                                         \
			memcpy((char *)all + 32, c, 16);                                           \
		for (unsigned int i = 0; i < N; i++)                                               \
			r.VEC_F_##lane[i] = all[3 * i + (unsigned int)imm];                        \
		VEC_EPILOGUE                                                                       \
	}                                                                                          \
	VEC_HEAD(INT3, lane, shape)                                                                \
	{                                                                                          \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                                        \
		VEC_U_##lane all[3 * 16 / sizeof(U)] = {0};                                        \
                                                                                                   \
		for (unsigned int i = 0; i < N; i++) {                                             \
			all[3 * i] = a->VEC_F_##lane[i];                                           \
			all[3 * i + 1] = b->VEC_F_##lane[i];                                       \
			all[3 * i + 2] = c->VEC_F_##lane[i];                                       \
		}                                                                                  \
		memcpy(&r, (char *)all + 16 * imm, 16);                                            \
		VEC_EPILOGUE                                                                       \
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
