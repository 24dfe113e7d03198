/* SPDX-License-Identifier: MIT */
/*
 * A translation: what one block of guest code became, as far as everybody may know it.
 *
 * This is the common part: the cache finds a translation by page, offset and mode, compares its
 * guest bytes with memory, and links exits. The code, and the rows that make state precise, are a
 * back end's own and lie where only that back end knows: it makes its translations as structures
 * that begin with this one.
 *
 * What must hold:
 *  - An exit leads to @delta bytes from the PC at which the block was entered; no virtual address
 *    stands in a translation.
 *  - Exits and their lists are guarded by cache.lock. What running code reads of them instead (a
 *    cell, a patched jump) is written by the back end's link() and unlink(), under that lock.
 */
#ifndef ENGINE_TRANSLATION_H
#define ENGINE_TRANSLATION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/ir/ir.h"

struct code_page;
struct translation;

/* A way out of a block to a place that is known when it is translated. */
struct exit {
	struct translation *to;   /* NULL: not linked */
	struct exit *next;        /* the next exit that leads to @to */
	struct exit **prev;       /* what points to this one in that list */
	struct translation *from; /* whose exit it is */
	int32_t delta;            /* where it leads, bytes from the block's first instruction */
	uint32_t site;            /* the back end's: where in its code the exit is */
};

struct translation {
	_Atomic(struct code_page *) page;   /* NULL once invalidated */
	_Atomic(struct translation *) next; /* in the page's bucket */
	/* of those that are entered, in that order */
	struct translation *older, *newer;
	struct translation *retired_next;
	uint64_t retired_epoch;
	struct exit *incoming; /* exits that lead here */
	struct exit *exits;
	uint8_t *guest; /* copy of the bytes that were translated */
	uint32_t mode;
	uint32_t size;       /* of all memory it takes, code wherever it lies included, bytes */
	uint16_t offset;     /* of the first instruction in its page, bytes */
	uint16_t first;      /* of the first of its bytes in the page: @guest */
	uint16_t guest_size; /* bytes */
	uint16_t nr_insns;
	uint16_t nr_exits;
};

/**
 * translation_create() - Allocate a translation of @b with what a back end puts around it.
 * @b:        the block
 * @guest:    the bytes at the block's first instruction, with all around that it was made from
 * @own:      size of the back end's structure, which begins with struct translation; bytes
 * @nr_exits: whose delta and site the caller fills in
 *
 * All else of the common part is filled in, the rest is zero. Return: NULL if there is no memory.
 * Undone by free().
 */
struct translation *translation_create(const struct ir_block *b, const uint8_t *guest, size_t own,
				       unsigned int nr_exits);

#endif
