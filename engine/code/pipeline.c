/* SPDX-License-Identifier: MIT */
/*
 * From guest words to a translation that runs: the pipeline, one call a pass.
 *
 * ARMATURE_DUMP in the environment is a list of letters; each prints the block after its pass on
 * standard error:
 *
 *	t	the guest's instructions, and translate (front/)
 *	c	count
 *	f	forward
 *	k	fold
 *	d	dead
 *	p l	the back end's own: the portable executor's place and lower
 *	x	the code that the generator for x86-64 made, in bytes
 *
 * Two letters print something else: s the instructions retired at a vCPU's end and, by the code
 * generator, what it left to C most, and what the code cache holds at a machine's; h the addresses
 * of the executor's handlers, to read a profile with.
 *
 * ARMATURE_VERIFY in the environment has the IR of each block checked as the front end made it and
 * after each pass on it.
 *
 * ARMATURE_LOCKSTEP=1 makes plain blocks: what forwards, folds, drops, delays or fuses is off, and
 * every PUT is executed where the front end wrote it. With ARMATURE_LOCKSTEP=insn a block is one
 * guest instruction as well. This is the reference that lockstep.c holds other executions against.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/host_mem.h"
#include "engine/code/pipeline.h"
#include "engine/front/front.h"
#include "engine/private.h"

/* A switch in the environment: on with any value but none and 0. */
static bool is_on(const char *value)
{
	return value && *value && strcmp(value, "0");
}

struct translator *translator_create(struct code_cache *c)
{
	const char *lockstep = getenv("ARMATURE_LOCKSTEP");
	struct translator *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->cache = c;
	t->compiler = c->back->compiler_create(c);
	if (!t->compiler) {
		free(t);
		return NULL;
	}
	t->work.plain = is_on(lockstep);
	t->work.dumps = getenv("ARMATURE_DUMP");
	t->max_insns = lockstep && !strcmp(lockstep, "insn") ? 1 : IR_MAX_INSNS;
	t->verifies = is_on(getenv("ARMATURE_VERIFY"));
	return t;
}

void translator_destroy(struct translator *t)
{
	if (!t)
		return;
	t->cache->back->compiler_destroy(t->compiler);
	free(t);
}

bool engine_dumps(char letter)
{
	const char *letters = getenv("ARMATURE_DUMP");

	return letters && strchr(letters, letter);
}

bool pass_dumps(const struct ir_work *w, char letter)
{
	return w->dumps && strchr(w->dumps, letter);
}

static void dump_guest(const struct ir_work *w, const struct front *front, const uint8_t *guest)
{
	if (!pass_dumps(w, 't'))
		return;
	fprintf(stderr, "--- %s\n", front->name);
	for (unsigned int i = 0; i < w->b.nr_insns; i++)
		fprintf(stderr, " +%u: %s\n", w->b.insn_offset[i],
			front->insn_name(guest + w->b.insn_offset[i]));
}

/* What shows or checks a pass's work. */
static void passed(const struct translator *t, char letter, const char *pass)
{
	const struct ir_block *b = &t->work.b;
	char why[128];

	if (t->verifies && ir_verify(b, why, sizeof(why))) {
		fprintf(stderr, "armature: IR after %s: %s\n", pass, why);
		ir_dump(b, stderr);
		abort();
	}
	if (!pass_dumps(&t->work, letter))
		return;
	fprintf(stderr, "--- after %s\n", pass);
	ir_dump(b, stderr);
}

/* From IR to the back end. -E2BIG: the block is too large for a later pass. */
static int compile(struct translator *t, const struct front *front, const uint8_t *guest,
		   struct translation **made)
{
	struct ir_work *w = &t->work;

	dump_guest(w, front, guest);
	passed(t, 't', "translate");
	if (!pass_count(w))
		return -E2BIG;
	passed(t, 'c', "count");
	memset(w->dead, 0, w->b.nr_ops);
	if (!w->plain) {
		pass_forward(w);
		passed(t, 'f', "forward");
		pass_fold(w);
		passed(t, 'k', "fold");
	}
	pass_dead(w);
	passed(t, 'd', "dead");
	return t->cache->back->compile(t->compiler, w, guest, made);
}

int translate_block(struct translator *t, const uint8_t *host, uint32_t offset, uint32_t mode,
		    unsigned int max, struct translation **made)
{
	_Alignas(8) uint8_t copy[MEM_PAGE_SIZE];

	if (max > t->max_insns)
		max = t->max_insns;
	/* The guest may be writing: what is translated and what is remembered must be the same. */
	if (!host_copy_from(copy + offset, host + offset, MEM_PAGE_SIZE - offset))
		return -EFAULT;
	for (;;) {
		const struct front *front = front_of(mode);
		int rc;

		front->translate(&t->work.b, copy, offset, mode, max);
		rc = compile(t, front, copy + offset, made);
		if (rc != -E2BIG || max == 1)
			return rc;
		max /= 2;
	}
}

int translate_path(struct translator *t, const uint8_t *host, const struct ir_path *path,
		   uint32_t mode, struct translation **made)
{
	const struct front *front = front_of(mode);
	_Alignas(8) uint8_t copy[MEM_PAGE_SIZE];

	if (!host_copy_from(copy, host, sizeof(copy)))
		return -EFAULT;
	if (!front->translate_path(&t->work.b, copy, path, mode))
		return -E2BIG;
	return compile(t, front, copy + path->run[0].offset, made);
}
