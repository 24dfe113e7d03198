/* SPDX-License-Identifier: MIT */
/*
 * A micro-operation of the portable executor: a handler, slots, an immediate, in 16 bytes.
 *
 * Slots are byte offsets in struct cpu. Some micro-operations are followed by an extension word: a
 * 64-bit constant, a function pointer, a link, or more operands.
 */
#ifndef ENGINE_EXEC_UOP_H
#define ENGINE_EXEC_UOP_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/ir/ir.h"

struct tb;

/* Where an exit leads. The list is guarded by cache.lock. */
struct link {
	_Atomic(struct tb *) tb; /* NULL: not yet known */
	struct link *next_incoming;
};

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
	struct link link; /* extension: of an exit */
	uint16_t more[8]; /* extension: operands */
};
_Static_assert(sizeof(union uop) == 16, "a micro-operation is 16 bytes");

#endif
