/* SPDX-License-Identifier: MIT */
/* The decoder's list of tables, for decode.c and for the tests that check them. */
#ifndef ENGINE_A64_DECODE_H
#define ENGINE_A64_DECODE_H

#include "engine/front/a64/a64.h"

#define A64_NR_TABLES 11

/*
 * Not less than any one instruction and the end of its block emit (the most: LD4 and ST4 by
 * elements).
 */
#define A64_OPS_RESERVE 224
#define A64_MEM_RESERVE 80

extern const struct a64_row *const a64_tables[A64_NR_TABLES];

/*
 * The value of a logical immediate (Arm ARM, DecodeBitMasks()); false: the encoding is reserved.
 * dp_imm.c
 */
bool a64_logical_imm(bool sf, unsigned int n, unsigned int imms, unsigned int immr,
		     uint64_t *value);

#endif
