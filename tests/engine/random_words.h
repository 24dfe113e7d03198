/* SPDX-License-Identifier: MIT */
/* Seeded random instruction words, some of them near what the tables hold. */
#ifndef TESTS_ENGINE_RANDOM_WORDS_H
#define TESTS_ENGINE_RANDOM_WORDS_H

#include "engine/front/a64/decode.h"

/* xorshift64*; *@seed is not 0. */
static inline uint32_t random_word(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)((*seed * 0x2545f4914f6cdd1dull) >> 32);
}

/* The @n-th row of all tables, modulo their number. */
static inline const struct a64_row *any_row(unsigned int n)
{
	unsigned int total = 0;

	for (unsigned int i = 0; i < A64_NR_TABLES; i++)
		for (const struct a64_row *r = a64_tables[i]; r->fn; r++)
			total++;
	n %= total;
	for (unsigned int i = 0; i < A64_NR_TABLES; i++)
		for (const struct a64_row *r = a64_tables[i]; r->fn; r++)
			if (!n--)
				return r;
	return NULL;
}

/*
 * A word of the decode space: one in three is uniform, one of a row, one a bit away from a row.
 * What looks reserved in many encodings (all ones in a register field, low bits 0) is made
 * likelier.
 */
static inline uint32_t decode_space_word(uint64_t *seed)
{
	uint32_t how = random_word(seed), insn = random_word(seed);
	const struct a64_row *row;

	if (how % 3) {
		row = any_row(random_word(seed));
		insn = (insn & ~row->mask) | row->value;
		if (how % 3 == 2)
			insn ^= 1u << random_word(seed) % 32;
	}
	if (how >> 29 == 0)
		insn |= 31u << 16;
	if (how >> 29 == 1)
		insn |= 31u << 10;
	if (how >> 29 == 2)
		insn |= 31u;
	return insn;
}

#endif
