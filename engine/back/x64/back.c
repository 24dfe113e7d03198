/* SPDX-License-Identifier: MIT */
/* The code generator as a back end: see back.h for what each function promises. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/back/back.h"
#include "engine/back/x64/features.h"
#include "engine/back/x64/memory.h"
#include "engine/back/x64/x64.h"
#include "engine/private.h"

static struct x64_machine *machine_of(const struct code_cache *c)
{
	return c->back_data;
}

static int x64_machine_init(struct code_cache *c)
{
	struct x64_machine *m = calloc(1, sizeof(*m));
	uint32_t features;
	int rc = x64_features(&features);

	if (!rc && !x64_usable(features))
		rc = -ENOTSUP;
	if (rc || !m) {
		free(m);
		return rc ? rc : -ENOMEM;
	}
	rc = code_memory_create(&m->memory, CODE_MEMORY_SIZE, X64_THUNKS_SIZE);
	if (rc) {
		free(m);
		return rc;
	}
	x64_make_thunks(m);
	x64_faults_arm();
	c->back_data = m;
	return 0;
}

static void x64_machine_destroy(struct code_cache *c)
{
	code_memory_destroy(machine_of(c)->memory);
	free(c->back_data);
	c->back_data = NULL;
}

static int vcpu_init(struct cpu *cpu)
{
	struct x64_cpu *x = x64_cpu(cpu);

	memset(x, 0, sizeof(*x));
	memcpy(x->thunk, machine_of(cache_of(cpu))->thunk, sizeof(x->thunk));
	x64_simd_init(x->simd);
	memcpy(x->constant, x64_constants, sizeof(x->constant));
	x->pext_flags = 0xc101;
	x->counted = cpu->machine->counted;
	x64_counters_reset(x);
	return 0;
}

static void vcpu_destroy(struct cpu *cpu)
{
	if (engine_dumps('s'))
		x64_print_rows(machine_of(cache_of(cpu)), cpu);
}

static void forget(struct cpu *cpu)
{
	tlb_forget_fetches(cpu);
}

struct compiler {
	struct x64_machine *machine;
	struct x64_compiler g;
	uint8_t code[X64_MAX_HOT + X64_MAX_COLD] __attribute__((aligned(64)));
};

static void *compiler_create(struct code_cache *c)
{
	struct compiler *k = aligned_alloc(64, (sizeof(*k) + 63) & ~(size_t)63);

	if (!k)
		return NULL;
	memset(&k->g, 0, sizeof(k->g));
	k->machine = machine_of(c);
	k->g.code = k->code;
	return k;
}

static const uint8_t *unlinked(const struct exit *x)
{
	const struct x64_block *b = x64_block_of(x->from);

	return b->code + (b->exit_stubs[x - x->from->exits] & ~X64_EXIT_FAR);
}

/* Others may be running through the jump: one aligned store changes it. */
static void set_target(struct code_memory *m, const struct exit *x, const uint8_t *to)
{
	const uint8_t *at = x64_block_of(x->from)->code + x->site;
	int32_t *rw = code_memory_rw(m, at);

	__atomic_store_n(rw, (int32_t)(to - (at + 4)), __ATOMIC_RELEASE);
}

static struct code_memory *memory_of(const struct exit *x)
{
	return code_memory_of((uintptr_t)x64_block_of(x->from)->code);
}

static void link_to(struct exit *x)
{
	const struct x64_block *from = x64_block_of(x->from), *to = x64_block_of(x->to);
	bool far = from->exit_stubs[x - x->from->exits] & X64_EXIT_FAR;

	set_target(memory_of(x), x, to->code + (far ? 0 : x->to == x->from ? to->head : to->near));
}

static void unlink_from(struct exit *x)
{
	set_target(memory_of(x), x, unlinked(x));
}

/* The tables behind the block's structure. */
static size_t tables_size(const struct x64_compiler *g)
{
	return g->nr_consts * sizeof(uint64_t) + g->nr_flags * sizeof(struct x64_flags) +
	       g->nr_rows * sizeof(struct x64_row) + g->nr_dirty * sizeof(struct x64_dirty) +
	       g->nr_leaves * sizeof(struct x64_leave) +
	       g->nr_exits * (sizeof(uint32_t) + sizeof(uint16_t));
}

static void *take(char **at, const void *from, size_t size)
{
	void *to = *at;

	if (from)
		memcpy(to, from, size);
	*at += size;
	return to;
}

static void fill_tables(struct x64_block *b, const struct x64_compiler *g)
{
	char *at = (char *)(b + 1);
	uint32_t *stubs;
	uint16_t *counters;

	b->consts = take(&at, g->consts, g->nr_consts * sizeof(uint64_t));
	b->rows = take(&at, g->rows, g->nr_rows * sizeof(struct x64_row));
	b->dirty = take(&at, g->dirty, g->nr_dirty * sizeof(struct x64_dirty));
	b->leaves = take(&at, g->leaves, g->nr_leaves * sizeof(struct x64_leave));
	b->exit_stubs = stubs = take(&at, NULL, g->nr_exits * sizeof(uint32_t));
	/* The last ones: the tables go by their alignment. */
	b->exit_counters = counters = take(&at, NULL, g->nr_exits * sizeof(uint16_t));
	b->flags = take(&at, g->flags, g->nr_flags * sizeof(struct x64_flags));
	b->nr_rows = g->nr_rows;
	for (unsigned int n = 0; n < g->nr_exits; n++) {
		b->common.exits[n].delta = g->exits[n].delta;
		b->common.exits[n].site = (uint32_t)(g->exits[n].jump - g->code);
		stubs[n] = (uint32_t)(g->exits[n].unlinked - g->code) |
			   (g->exits[n].far ? X64_EXIT_FAR : 0);
		counters[n] = g->exits[n].counter;
	}
}

static int compile(void *compiler, struct ir_work *w, const uint8_t *guest, struct translation **t)
{
	struct compiler *k = compiler;
	struct x64_compiler *g = &k->g;
	struct code_memory *m = k->machine->memory;
	struct code_block *code, *rw;
	struct x64_block *b;

	if (!x64_generate(g, w))
		return -E2BIG;
	code = code_memory_alloc(m, g->size);
	if (!code)
		return -ENOSPC;
	*t = translation_create(&w->b, guest, sizeof(struct x64_block) + tables_size(g),
				g->nr_exits);
	if (!*t) {
		code_memory_free(m, code);
		return -ENOMEM;
	}
	b = x64_block_of(*t);
	fill_tables(b, g);
	b->code = code->code;
	b->code_size = (uint32_t)g->size;
	b->near = (uint32_t)(g->near - g->code);
	b->head = (uint32_t)(g->head - g->code);
	b->common.size += code->size;
	rw = code_memory_rw(m, code);
	memcpy(rw->code, g->code, g->size);
	rw->owner = b;
	atomic_store_explicit(&b->made, true, memory_order_release);
	x64_dump(g, b);
	x64_count_rows(k->machine, g);
	return 0;
}

static void release(struct code_cache *c, struct translation *t)
{
	struct x64_block *b = x64_block_of(t);

	code_memory_free(machine_of(c)->memory,
			 (struct code_block *)(b->code - offsetof(struct code_block, code)));
	free(t);
}

static enum cpu_exit_reason enter(struct cpu *cpu)
{
	const struct x64_machine *m = machine_of(cache_of(cpu));

	return (enum cpu_exit_reason)m->enter(cpu, x64_dispatch(cpu));
}

static enum cpu_exit_reason run_block(struct cpu *cpu, struct translation *t)
{
	const struct x64_machine *m = machine_of(cache_of(cpu));
	const struct x64_block *b = x64_block_of(t);

	/* None of its exits is linked, and every other way on is a kick point. */
	cpu_kick(cpu);
	return (enum cpu_exit_reason)m->enter(cpu, b->code + b->near);
}

const struct backend back_x64 = {
	.name = "x64",
	.area = sizeof(struct x64_cpu),
	.machine_init = x64_machine_init,
	.machine_destroy = x64_machine_destroy,
	.vcpu_init = vcpu_init,
	.vcpu_destroy = vcpu_destroy,
	.forget = forget,
	.compiler_create = compiler_create,
	.compiler_destroy = free,
	.compile = compile,
	.release = release,
	.link = link_to,
	.unlink = unlink_from,
	.enter = enter,
	.run_block = run_block,
};
