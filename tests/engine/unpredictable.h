/* SPDX-License-Identifier: MIT */
/*
 * Words whose effect the architecture leaves open (CONSTRAINED UNPREDICTABLE, Arm ARM K1.2). What
 * two implementations do with them may differ, so no test that compares ours with another draws
 * them. What ours does stands in docs/architecture-choices.md.
 */
#ifndef TESTS_ENGINE_UNPREDICTABLE_H
#define TESTS_ENGINE_UNPREDICTABLE_H

#include <stdbool.h>
#include <stdint.h>

#define SHOULD_RS  (31u << 16) /* Rs, or Rm */
#define SHOULD_RT2 (31u << 10) /* Rt2, or Ra */

/* A word that is @value under @mask should have ones at @ones and zeros at @zeros. */
struct should_be {
	uint32_t mask, value, ones, zeros;
	const char *what;
};

/* All fields that A64 has of this kind, of the instructions that guests have. */
static const struct should_be should_be[] = {
	{0x3fe00000, 0x08000000, SHOULD_RT2, 0, "STXR STLXR"},
	{0x3fe00000, 0x08400000, SHOULD_RS | SHOULD_RT2, 0, "LDXR LDAXR"},
	{0xbfe00000, 0x88600000, SHOULD_RS, 0, "LDXP LDAXP"},
	{0x3fa08000, 0x08808000, SHOULD_RS | SHOULD_RT2, 0, "LDAR STLR"},
	{0x3fe0fc00, 0x38a0c000, SHOULD_RS, 0, "LDAPR"},
	{0xff608000, 0x9b400000, SHOULD_RT2, 0, "SMULH UMULH"},
	{0xff20fc0f, 0x1e202008, 0, SHOULD_RS, "FCMP FCMPE, with zero"},
};

#define NR_SHOULD_BE (sizeof(should_be) / sizeof(*should_be))

/* @insn with its fields as they should be. */
static inline uint32_t as_it_should_be(uint32_t insn)
{
	for (unsigned int i = 0; i < NR_SHOULD_BE; i++)
		if ((insn & should_be[i].mask) == should_be[i].value)
			return (insn | should_be[i].ones) & ~should_be[i].zeros;
	return insn;
}

/* Does @insn name one register in two roles that exclude each other? */
static inline bool registers_clash(uint32_t insn)
{
	uint32_t rt = insn & 31, rn = insn >> 5 & 31, rt2 = insn >> 10 & 31, rs = insn >> 16 & 31;
	bool vector = insn >> 26 & 1, load = insn >> 22 & 1, write_back = insn >> 23 & 1;

	if ((insn & 0x3fe00000) == 0x08000000) /* STXR: the status and a source */
		return rs == rt || (rs == rn && rn != 31);
	if ((insn & 0xbfe00000) == 0x88200000) /* STXP: the same */
		return rs == rt || rs == rt2 || (rs == rn && rn != 31);
	if ((insn & 0xbfe00000) == 0x88600000) /* LDXP: twice the same destination */
		return rt == rt2;
	if ((insn & 0x3a000000) == 0x28000000) /* LDP: the same; LDP and STP: write-back */
		return (load && rt == rt2) ||
		       (!vector && write_back && rn != 31 && (rt == rn || rt2 == rn));
	if ((insn & 0x3f200400) == 0x38000400) /* LDR and STR: write-back */
		return rn != 31 && rt == rn;
	return false;
}

#endif
