/* SPDX-License-Identifier: MIT */
/*
 * A back end: what turns the IR of a block into something that runs, and runs it.
 *
 * Only the back end knows what its code and its rows look like. The engine gives it a block (struct
 * ir_work) and gets a translation (code/translation.h) with its exits listed; it tells it to link
 * and unlink exits, to enter the guest, to forget what it remembers of translations and to release
 * them. A back end finds what comes next with dispatch_find() (code/dispatch.h), asks for links
 * with link_exit() (code/links.h), and calls cpu/access.h for memory accesses that it does not do
 * inline.
 *
 * What must hold of code that a back end runs:
 *  - cpu->pc is the PC at which the present block was entered, and is exact when enter() returns;
 *    so is cpu->icount.
 *  - At a kick point (a branch backwards or to the beginning of the present block, a page crossing,
 *    an indirect branch, an exception, an exit that is taken for the first time) it looks at
 *    cpu->remote.kick and at icount_limit, and returns CPU_EXIT_KICK if it has to; it never clears
 *    the kick.
 *  - It goes to another page only after it compared the physical page (struct code_page) behind the
 *    execute TLB's line for the new PC with the translation's.
 *  - It keeps no pointer to a translation across enter() and forget() but in exits.
 */
#ifndef ENGINE_BACK_BACK_H
#define ENGINE_BACK_BACK_H

#include "engine/code/translation.h"
#include "engine/pass/pass.h"

struct code_cache;

struct backend {
	const char *name; /* as ARMATURE_ENGINE has it */
	size_t area;      /* of cpu->area, bytes: the back end's part of each vCPU */

	/*
	 * Memory for code, tables: c->back_data is the back end's. 0 or -errno. The machine's part
	 * lives longer than its vCPUs and its translations. NULL: nothing to do. -ENOTSUP: the
	 * host's CPU lacks what the back end needs; -EACCES, -EPERM: the host forbids executable
	 * memory. After any error another back end may do.
	 */
	int (*machine_init)(struct code_cache *c);
	void (*machine_destroy)(struct code_cache *c);

	/* cpu->area has any content. 0 or -errno. vcpu_destroy may be NULL. */
	int (*vcpu_init)(struct cpu *cpu);
	void (*vcpu_destroy)(struct cpu *cpu);

	/*
	 * Forget what this vCPU remembers of translations outside of exits (dispatch lines, return
	 * stacks): some may be about to go. On its own thread, at a safe point.
	 */
	void (*forget)(struct cpu *cpu);

	/* What compile() works with; one for each thread that translates. NULL: no memory. */
	void *(*compiler_create)(struct code_cache *c);
	void (*compiler_destroy)(void *compiler);

	/*
	 * Translate @w, which it may use up; @guest is what the block was made from. 0 and *@t,
	 * -E2BIG when the block is too large (it comes again, shorter) or -ENOMEM.
	 */
	int (*compile)(void *compiler, struct ir_work *w, const uint8_t *guest,
		       struct translation **t);

	/* Free @t and its code. No vCPU can be in it any more. Any thread, without a lock. */
	void (*release)(struct code_cache *c, struct translation *t);

	/*
	 * Have @x lead to x->to from now on, or (unlink) to look for its way again. Other vCPUs may
	 * be running through it. Under cache.lock: a few stores.
	 */
	void (*link)(struct exit *x);
	void (*unlink)(struct exit *x);

	/* Run the guest from cpu->pc until an exit. */
	enum cpu_exit_reason (*enter)(struct cpu *cpu);

	/*
	 * Run one block: @t is for cpu->pc and was never entered in the cache, so that none of its
	 * exits is linked. CPU_EXIT_KICK: it has ended. The vCPU's kick stays set. For lockstep.
	 */
	enum cpu_exit_reason (*run_block)(struct cpu *cpu, struct translation *t);
};

/* The portable executor, and reference: back/exec/. */
extern const struct backend back_exec;

/* The code generator for x86-64: back/x64/. On such hosts only. */
extern const struct backend back_x64;

/** back_find() - A back end by name ("exec" is portable's old one). NULL: there is none. */
const struct backend *back_find(const char *name);

/** back_nth() - Back end @n, the best ones first. NULL: there are no more. */
const struct backend *back_nth(unsigned int n);

#endif
