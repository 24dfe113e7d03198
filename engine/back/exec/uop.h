/* SPDX-License-Identifier: MIT */
/*
 * A micro-operation of the portable executor: a handler, slots, an immediate, in 16 bytes; and a
 * block of them.
 *
 * Slots are byte offsets from struct cpu: of guest state, or of the scratch slots behind it
 * (exec.h). Some micro-operations are followed by an extension word: a 64-bit constant, a function
 * pointer, an exit, or more operands.
 */
#ifndef ENGINE_EXEC_UOP_H
#define ENGINE_EXEC_UOP_H

#include "engine/code/translation.h"

struct exec_block;

union uop {
	struct {
		int32_t handler; /* offset of the handler from the executor's first one */
		uint16_t a, b, c, d;
		int32_t imm;
	};
	struct {
		uint64_t k;  /* extension: constant */
		vec_fn *vec; /* extension: function of a vector op */
	};
	/* extension: of a CALL */
	struct {
		ir_helper_fn *fn;
		uint16_t result;  /* slot */
		uint16_t counted; /* instructions retired before it that were not counted yet */
	};
	/* extension: of an exit, whose site it is */
	struct {
		_Atomic(struct exec_block *) to; /* where exit->to says; NULL: not linked */
		struct exit *exit;
	};
	uint16_t more[8]; /* extension: operands */
};
_Static_assert(sizeof(union uop) == 16, "a micro-operation is 16 bytes");

/* What the slow path of a micro-operation needs, and a fault: one for each op that may fault. */
struct exec_row {
	uint16_t offset;  /* of the guest instruction from the block's start, bytes */
	uint16_t retired; /* instructions to count when it is left here */
	struct mem_desc mem;
};

/* A translation as the executor has it. The rows lie behind the code. */
struct exec_block {
	struct translation common;
	const struct exec_row *rows;
	union uop code[];
};

static inline struct exec_block *exec_block_of(struct translation *t)
{
	return (struct exec_block *)t;
}

#endif
