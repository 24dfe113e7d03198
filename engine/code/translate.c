/* SPDX-License-Identifier: MIT */
/*
 * From guest words to a translation that runs: the pipeline, one call a pass.
 *
 * ARMATURE_DUMP in the environment is a list of letters; each prints the block after its pass on
 * standard error:
 *   t translate   f forward   k fold   d dead   p place    l lower
 * and s instructions retired at a vCPU's end, what the code cache holds at a machine's; h addresses
 * of the executor's handlers, to read a profile with
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

#include "engine/front/a64/a64.h"
#include "engine/back/exec/exec.h"
#include "engine/pass/pass.h"

/* A switch in the environment: on with any value but none and 0. */
static bool is_on(const char *value)
{
	return value && *value && strcmp(value, "0");
}

struct translator *translator_create(void)
{
	struct translator *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->code = calloc(PASS_MAX_UOPS, sizeof(*t->code));
	t->rows = calloc(IR_MAX_OPS, sizeof(*t->rows));
	if (!t->code || !t->rows) {
		translator_destroy(t);
		return NULL;
	}
	const char *lockstep = getenv("ARMATURE_LOCKSTEP");

	t->plain = is_on(lockstep);
	t->max_insns = lockstep && !strcmp(lockstep, "insn") ? 1 : IR_MAX_INSNS;
	t->dumps = getenv("ARMATURE_DUMP");
	t->verifies = is_on(getenv("ARMATURE_VERIFY"));
	return t;
}

void translator_destroy(struct translator *t)
{
	if (!t)
		return;
	free(t->code);
	free(t->rows);
	free(t);
}

bool translator_dumps(char letter)
{
	const char *letters = getenv("ARMATURE_DUMP");

	return letters && strchr(letters, letter);
}

static void dump(struct translator *t, char letter, const char *pass)
{
	if (!t->dumps || !strchr(t->dumps, letter))
		return;
	fprintf(stderr, "--- after %s\n", pass);
	ir_dump(&t->b, stderr);
	if (letter != 'p')
		return;
	for (unsigned int i = 0; i < t->b.nr_ops; i++)
		fprintf(stderr, "\t%%%u:%s uses %u slot %#x%s\n", i, t->dead[i] ? " dead" : "",
			t->uses[i], t->loc[i], t->elided[i] ? " elided" : "");
}

/* An extension word is printed as a micro-operation if it happens to look like one. */
static void dump_code(const struct translator *t)
{
	if (!t->dumps || !strchr(t->dumps, 'l'))
		return;
	fprintf(stderr, "--- after lower\n");
	for (unsigned int i = 0; i < t->nr_code; i++) {
		const union uop *u = &t->code[i];
		const char *name = exec_uop_name(u->handler);

		fprintf(stderr, "\t%-10s a %#x b %#x c %#x d %#x imm %d\n", name ? name : "", u->a,
			u->b, u->c, u->d, u->imm);
	}
}

static void check(const struct translator *t, const char *pass)
{
	char why[128];

	if (t->verifies && ir_verify(&t->b, why, sizeof(why))) {
		fprintf(stderr, "armature: IR after %s: %s\n", pass, why);
		ir_dump(&t->b, stderr);
		abort();
	}
}

/* What shows or checks a pass's work. */
static void passed(struct translator *t, char letter, const char *pass)
{
	check(t, pass);
	dump(t, letter, pass);
}

/* The whole pipeline. False: the block is too large for a later pass. */
static bool pipeline(struct translator *t, const uint8_t *host, uint32_t offset, uint32_t mode,
		     unsigned int max_insns)
{
	a64_translate_block(&t->b, host, offset, mode, max_insns);
	memset(t->dead, 0, t->b.nr_ops);
	passed(t, 't', "translate");
	if (!t->plain) {
		pass_forward(t);
		passed(t, 'f', "forward");
		pass_fold(t);
		passed(t, 'k', "fold");
	}
	pass_dead(t);
	passed(t, 'd', "dead");
	if (!pass_place(t))
		return false;
	dump(t, 'p', "place");
	if (!pass_lower(t))
		return false;
	dump_code(t);
	return true;
}

static struct tb *make_tb(const struct translator *t, const uint8_t *host, uint32_t offset)
{
	size_t size = sizeof(struct tb) + t->nr_code * sizeof(union uop) +
		      t->nr_rows * sizeof(struct tb_row) + t->b.nr_insns * sizeof(uint32_t) +
		      t->nr_links * sizeof(uint16_t);
	struct tb *tb = calloc(1, size);

	if (!tb)
		return NULL;
	tb->mode = t->b.mode;
	tb->size = (uint32_t)size;
	tb->offset = (uint16_t)offset;
	tb->nr_insns = t->b.nr_insns;
	tb->nr_uops = (uint16_t)t->nr_code;
	tb->nr_rows = (uint16_t)t->nr_rows;
	tb->nr_links = (uint16_t)t->nr_links;
	memcpy(tb->code, t->code, t->nr_code * sizeof(union uop));
	tb->rows = (struct tb_row *)(tb->code + t->nr_code);
	memcpy(tb->rows, t->rows, t->nr_rows * sizeof(struct tb_row));
	memcpy(tb_words(tb), host + offset, t->b.nr_insns * sizeof(uint32_t));
	memcpy(tb_links(tb), t->links, t->nr_links * sizeof(uint16_t));
	return tb;
}

/* The guest may be writing: what is translated and what is remembered must be the same words. */
static GUEST_MEMORY void copy_words(uint8_t *copy, const uint8_t *host, uint32_t offset)
{
	for (offset &= ~7u; offset < MEM_PAGE_SIZE; offset += 8)
		*(uint64_t *)(copy + offset) =
			__atomic_load_n((const uint64_t *)(host + offset), __ATOMIC_RELAXED);
}

int translate_block(struct translator *t, const uint8_t *host, uint32_t offset, uint32_t mode,
		    unsigned int max, struct tb **tb)
{
	_Alignas(8) uint8_t copy[MEM_PAGE_SIZE];

	if (max > t->max_insns)
		max = t->max_insns;
	copy_words(copy, host, offset);
	while (!pipeline(t, copy, offset, mode, max)) {
		if (max == 1)
			return -E2BIG;
		max /= 2;
	}
	*tb = make_tb(t, copy, offset);
	return *tb ? 0 : -ENOMEM;
}

#define SHORTEST 7 /* IR_MAX_INSNS halved so often is nothing */

int translate(struct cpu *cpu, struct code_page *page, const uint8_t *host, uint32_t offset,
	      uint32_t mode, struct tb **tb)
{
	struct code_cache *c = cpu->machine->code;
	struct engine_cpu *e = cpu->engine;
	unsigned int shorter = e->changes < SHORTEST ? e->changes : SHORTEST;

	if (cache_full(c))
		return -ENOSPC;
	/*
	 * Another vCPU that keeps writing behind this instruction must not keep it from being
	 * executed.
	 */
	int rc = translate_block(e->translator, host, offset, mode, (IR_MAX_INSNS >> shorter) | 1,
				 tb);

	if (rc)
		return rc;
	*tb = cache_insert(c, page, *tb);
	if (*tb)
		return 0;
	return atomic_load_explicit(&page->dropped, memory_order_relaxed) ? -ESTALE : -EAGAIN;
}
