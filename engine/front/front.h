/* SPDX-License-Identifier: MIT */
/*
 * A front end: what turns the guest's words into IR. It says what each instruction means; nothing
 * after it knows which instruction set a block came from.
 */
#ifndef ENGINE_FRONT_FRONT_H
#define ENGINE_FRONT_FRONT_H

#include "engine/ir/ir.h"

struct front {
	const char *name;

	/*
	 * Translate the block at @offset of @page into @b, all of it filled in, with at most
	 * @max_insns instructions (1..IR_MAX_INSNS). @page is a whole page (MEM_PAGE_SIZE bytes)
	 * that nobody writes meanwhile; what lies before @offset is not looked at.
	 */
	void (*translate)(struct ir_block *b, const void *page, uint32_t offset, uint32_t mode,
			  unsigned int max_insns);

	/*
	 * Translate the instructions of @path, at most IR_MAX_INSNS, as one block: branches between
	 * runs are followed, and leave the block where they lead elsewhere. All of @page is looked
	 * at. False: this is no path through that code, or it does not fit.
	 */
	bool (*translate_path)(struct ir_block *b, const void *page, const struct ir_path *path,
			       uint32_t mode);

	unsigned int insn_align; /* of each instruction, bytes */

	/* What its CALLs name. */
	const struct ir_helper *helpers;
	unsigned int nr_helpers;

	/* A name for the instruction at @bytes, for dumps. */
	const char *(*insn_name)(const void *bytes);
};

/* A64: front/a64/. */
extern const struct front front_a64;

/* The front end for code that runs under @mode (CPU_MODE_*). */
const struct front *front_of(uint32_t mode);

#endif
