/* SPDX-License-Identifier: MIT */
/*
 * The passes over a block's IR, in the order that translate.c calls them, and what they leave for
 * the next.
 *
 * A pass marks an op dead instead of moving ops, so that temps keep their names.
 */
#ifndef ENGINE_PASS_PASS_H
#define ENGINE_PASS_PASS_H

#include <stdio.h>

#include "engine/ir/ir.h"

#define PASS_MAX_UOPS  (IR_MAX_OPS * 2)
#define PASS_MAX_LINKS 64
#define NO_LOC         0xffff

struct tb_row;
union uop;

struct translator {
	/*
	 * Lockstep's reference: every op is done by itself and every PUT is executed at its place.
	 * A pass may not drop, delay, advance or join anything in a plain block.
	 */
	bool plain;
	unsigned int max_insns; /* of a block, 1..IR_MAX_INSNS */
	const char *dumps;      /* letters, or NULL */
	bool verifies;

	struct ir_block b;
	bool dead[IR_MAX_OPS];

	/* dead.c */
	uint16_t uses[IR_MAX_OPS];
	uint16_t last_use[IR_MAX_OPS];

	/*
	 * place.c: where each temp lives (a slot), and which PUTs are done by the op that defines
	 * their value
	 */
	uint16_t loc[IR_MAX_OPS];
	bool elided[IR_MAX_OPS];
	uint16_t scratch_used; /* first scratch slot free for the whole block */

	/* lower.c */
	union uop *code;
	struct tb_row *rows;
	uint16_t links[PASS_MAX_LINKS];
	unsigned int nr_code, nr_rows, nr_links;
	/* instructions of the block that a CALL before has counted as retired */
	unsigned int counted;
	bool stepped, step_excl;
	bool full; /* no scratch slot was left for a constant */

	/* Per-slot notes, valid when the stamp is the present one. */
	uint32_t stamp;
	uint32_t slot_stamp[CPU_SLOT_LIMIT / 4];
	uint16_t slot_note[CPU_SLOT_LIMIT / 4];
};

static inline uint16_t slot_note(const struct translator *t, unsigned int slot, uint16_t none)
{
	return t->slot_stamp[slot / 4] == t->stamp ? t->slot_note[slot / 4] : none;
}

static inline void set_slot_note(struct translator *t, unsigned int slot, uint16_t note)
{
	t->slot_stamp[slot / 4] = t->stamp;
	t->slot_note[slot / 4] = note;
}

/* a GET of what the block knows becomes that temp */
void pass_forward(struct translator *t);
void pass_fold(struct translator *t); /* operations on constants */
/* PUTs that are overwritten unseen, temps that nobody uses; counts uses */
void pass_dead(struct translator *t);
bool pass_place(struct translator *t); /* slots for temps; false: too many live at once */
bool pass_lower(struct translator *t); /* micro-operations; false: no room */

#endif
