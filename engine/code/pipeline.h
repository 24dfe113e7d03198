/* SPDX-License-Identifier: MIT */
/* From guest words to a translation that runs: see pipeline.c. */
#ifndef ENGINE_PIPELINE_H
#define ENGINE_PIPELINE_H

#include "engine/back/back.h"
#include "engine/code/cache.h"

/* What one thread translates with. */
struct translator {
	struct code_cache *cache;
	unsigned int max_insns; /* of a block, 1..IR_MAX_INSNS */
	bool verifies;
	void *compiler; /* the back end's */
	struct ir_work work;
};

/** translator_create() - A translator for the back end of @c. Return: NULL: no memory. */
struct translator *translator_create(struct code_cache *c);
void translator_destroy(struct translator *t);

/**
 * translate_block() - Make a translation that is entered nowhere (the back end's release() undoes
 * it).
 * @host:   the bytes of the page of code
 * @offset: of the block in it, bytes
 * @mode:   CPU_MODE_*
 * @max:    instructions at most, 1..IR_MAX_INSNS
 *
 * Return: 0 and *@made; -EFAULT: the host has no memory where the code is; -ENOMEM; or -E2BIG: one
 * instruction does not fit, which none may.
 */
int translate_block(struct translator *t, const uint8_t *host, uint32_t offset, uint32_t mode,
		    unsigned int max, struct translation **made);

/**
 * translate_path() - The same for a way through a page that was seen to be taken.
 * @host: the bytes of the page
 * @path: the way; its first instruction is the block's
 * @mode: CPU_MODE_*
 *
 * Return: as translate_block(); -E2BIG also when the code has changed and has no such way.
 */
int translate_path(struct translator *t, const uint8_t *host, const struct ir_path *path,
		   uint32_t mode, struct translation **made);

#endif
