/* SPDX-License-Identifier: MIT */
/* The portable executor as a back end: see back.h for what each function promises. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/back/back.h"
#include "engine/back/exec/exec.h"

static int vcpu_init(struct cpu *cpu)
{
	/* EXEC_SLOT_ZERO is zero from now on, and no line holds. */
	memset(exec_cpu(cpu), 0, sizeof(struct exec_cpu));
	return 0;
}

static void forget(struct cpu *cpu)
{
	memset(exec_cpu(cpu)->lines, 0, sizeof(exec_cpu(cpu)->lines));
}

static void *compiler_create(struct code_cache *c)
{
	return calloc(1, sizeof(struct exec_compiler));
}

static void dump_places(const struct exec_compiler *e)
{
	const struct ir_work *w = e->w;

	if (!pass_dumps(w, 'p'))
		return;
	fprintf(stderr, "--- after place\n");
	ir_dump(&w->b, stderr);
	for (unsigned int i = 0; i < w->b.nr_ops; i++)
		fprintf(stderr, "\t%%%u:%s uses %u slot %#x%s\n", i, w->dead[i] ? " dead" : "",
			w->uses[i], e->loc[i], e->elided[i] ? " elided" : "");
}

/* An extension word is printed as a micro-operation if it happens to look like one. */
static void dump_code(const struct exec_compiler *e)
{
	if (!pass_dumps(e->w, 'l'))
		return;
	fprintf(stderr, "--- after lower\n");
	for (unsigned int i = 0; i < e->nr_code; i++) {
		const union uop *u = &e->code[i];
		const char *name = exec_uop_name(u->handler);

		fprintf(stderr, "\t%-10s a %#x b %#x c %#x d %#x imm %d\n", name ? name : "", u->a,
			u->b, u->c, u->d, u->imm);
	}
}

/* The block, then its code, then its rows. */
static struct exec_block *make_block(const struct exec_compiler *e, const uint8_t *guest)
{
	size_t code = e->nr_code * sizeof(union uop), rows = e->nr_rows * sizeof(struct exec_row);
	struct translation *t = translation_create(
		&e->w->b, guest, sizeof(struct exec_block) + code + rows, e->nr_exits);
	struct exec_block *b = exec_block_of(t);

	if (!t)
		return NULL;
	memcpy(b->code, e->code, code);
	memcpy(b->code + e->nr_code, e->rows, rows);
	b->rows = (const struct exec_row *)(b->code + e->nr_code);
	for (unsigned int i = 0; i < e->nr_exits; i++) {
		t->exits[i].delta = e->exits[i].delta;
		t->exits[i].site = e->exits[i].site;
		b->code[e->exits[i].site].exit = &t->exits[i];
	}
	return b;
}

static int compile(void *compiler, struct ir_work *w, const uint8_t *guest, struct translation **t)
{
	struct exec_compiler *e = compiler;

	e->w = w;
	if (!exec_place(e))
		return -E2BIG;
	dump_places(e);
	if (!exec_lower(e))
		return -E2BIG;
	dump_code(e);
	struct exec_block *b = make_block(e, guest);

	if (!b)
		return -ENOMEM;
	*t = &b->common;
	return 0;
}

static void release(struct code_cache *c, struct translation *t)
{
	free(t);
}

/* The extension word of an exit is what running code looks at. */
static void set_target(struct exit *x, struct exec_block *to)
{
	atomic_store_explicit(&exec_block_of(x->from)->code[x->site].to, to, memory_order_release);
}

static void link(struct exit *x)
{
	set_target(x, exec_block_of(x->to));
}

static void unlink(struct exit *x)
{
	set_target(x, NULL);
}

static enum cpu_exit_reason enter(struct cpu *cpu)
{
	return exec_run(cpu, NULL);
}

static enum cpu_exit_reason run_block(struct cpu *cpu, struct translation *t)
{
	/* None of its exits is linked, and every other way on is a kick point. */
	cpu_kick(cpu);
	return exec_run(cpu, exec_block_of(t));
}

const struct backend back_exec = {
	.name = "portable",
	.area = sizeof(struct exec_cpu),
	.vcpu_init = vcpu_init,
	.forget = forget,
	.compiler_create = compiler_create,
	.compiler_destroy = free,
	.compile = compile,
	.release = release,
	.link = link,
	.unlink = unlink,
	.enter = enter,
	.run_block = run_block,
};
