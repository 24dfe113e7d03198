/* SPDX-License-Identifier: MIT */
/*
 * One instruction with the state before or after it: what test_a64_int.c sends to
 * test_a64_int_arm64.c (the same instruction on an arm64 CPU) and gets back. Little-endian on both
 * sides.
 */
#ifndef TESTS_ENGINE_TEST_A64_INT_CASE_H
#define TESTS_ENGINE_TEST_A64_INT_CASE_H

#include <stdint.h>

#define CASE_CODE     0x02000000ull /* the code page; the instruction is its second word */
#define CASE_PC       (CASE_CODE + 4)
#define CASE_POOL     0x100 /* offset in the code page of the words that literal loads read */
#define CASE_POOL_LEN 0x100
#define CASE_DATA     0x03000000ull /* the only data page */
#define CASE_WINDOW   512           /* bytes at its start */

enum case_outcome {
	CASE_NEXT,   /* went on behind the instruction */
	CASE_TAKEN,  /* branched 8 bytes on */
	CASE_ILL,    /* SIGILL: UNDEFINED */
	CASE_SIGNAL, /* any other signal */
};

struct int_case {
	uint32_t insn, nzcv;
	uint64_t x[32]; /* x[31] is SP */
	uint64_t v[32][2];
	uint8_t mem[CASE_WINDOW];
	uint32_t outcome, pad;
};

/* The pool's n-th 32-bit word. */
static inline uint32_t case_pool_word(unsigned int n)
{
	return (n + 1) * 0x9e3779b1u;
}

#endif
