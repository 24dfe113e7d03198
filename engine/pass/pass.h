/* SPDX-License-Identifier: MIT */
/*
 * The passes over a block's IR, in the order that code/pipeline.c calls them, and what they leave
 * for the next and for the back end.
 *
 * A pass marks an op dead instead of moving ops, so that temps keep their names. Only the first
 * one, count, inserts ops.
 */
#ifndef ENGINE_PASS_PASS_H
#define ENGINE_PASS_PASS_H

#include "engine/ir/ir.h"

/* One number for each slot of guest state, all forgotten at once when the stamp moves on. */
struct slot_notes {
	uint32_t stamp;
	uint32_t stamped[CPU_STATE_SIZE / 4 + 1];
	uint16_t note[CPU_STATE_SIZE / 4 + 1];
};

/* A block on its way from the front end to the back end. */
struct ir_work {
	/*
	 * Lockstep's reference: every op is done by itself and every PUT is executed at its place.
	 * A pass, or the back end, may not drop, delay, advance or join anything in a plain block.
	 */
	bool plain;
	const char *dumps; /* letters of the passes to print the block after, or NULL */

	struct ir_block b;
	bool dead[IR_MAX_OPS];

	/* dead.c */
	uint16_t uses[IR_MAX_OPS];
	uint16_t last_use[IR_MAX_OPS];

	struct slot_notes notes;
};

static inline uint16_t slot_note(const struct slot_notes *n, unsigned int slot, uint16_t none)
{
	return n->stamped[slot / 4] == n->stamp ? n->note[slot / 4] : none;
}

static inline void set_slot_note(struct slot_notes *n, unsigned int slot, uint16_t note)
{
	n->stamped[slot / 4] = n->stamp;
	n->note[slot / 4] = note;
}

static inline void forget_slot_notes(struct slot_notes *n)
{
	n->stamp++;
}

/* Is the block to be printed after the pass with this letter? */
bool pass_dumps(const struct ir_work *w, char letter);

/* what the PMU counts and Software Step become ops; false: no room for them */
bool pass_count(struct ir_work *w);
/* a GET of what the block knows becomes that temp */
void pass_forward(struct ir_work *w);
/* operations on constants */
void pass_fold(struct ir_work *w);
/* PUTs that are overwritten unseen, temps that nobody uses; counts uses */
void pass_dead(struct ir_work *w);

#endif
