/* SPDX-License-Identifier: MIT */
/*
 * What a block of one instruction means, by the letter of ir_ops.def: no passes, no executor, flat
 * memory.
 */
#ifndef TESTS_ENGINE_TEST_A64_INT_EVAL_H
#define TESTS_ENGINE_TEST_A64_INT_EVAL_H

#include <stdbool.h>

#include "engine/ir/ir.h"
#include "tests/engine/test_a64_int_case.h"

/*
 * Execute @b, whose one instruction is at CASE_PC, on @c. false: it reaches outside memory or needs
 * what is not there.
 */
bool eval_block(const struct ir_block *b, struct int_case *c);

/* The address that memory op number @i uses, with the registers of @c. */
uint64_t eval_address(const struct ir_block *b, unsigned int i, const struct int_case *c);

#endif
