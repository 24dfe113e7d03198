/* SPDX-License-Identifier: MIT */
/*
 * The portable executor: direct-threaded micro-operations.
 *
 * Every handler ends by jumping to the next one's. The handlers' bodies are macros in handlers_*.h,
 * made from the lists of exec.h; this file has what they share: operands, the TLB probe, exits,
 * dispatch.
 *
 * What must hold:
 *  - A handler reads its operands before it writes its result: their slots may be the same.
 *  - cpu->pc is the PC of the present block's start; cpu->icount counts what earlier blocks
 *    retired.
 *  - `bank` is cpu->bank, kept where the probe finds it at once. Only tlb_select() chooses another
 *    bank, and only these call it: helpers (CALL), the end of a step (STEP), exceptions and changes
 *    of context on the way to dispatch. Each of them reloads `bank`. An access's slow path fills
 *    lines of the bank that is chosen, and chooses none but cpu->bank_el0, which is read afresh.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpu/fp/fp.h"
#include "cpu/fp/fp_fast.h"
#include "cpu/host_rmw.h"
#include "cpu/monitor.h"
#include "engine/back/exec/exec.h"
#include "engine/code/dispatch.h"
#include "engine/code/links.h"
#include "engine/private.h"
#include "engine/vec/vec.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* What a handler is made with. */
#define X(slot)     (*(uint64_t *)(s + (slot)))
#define W(slot)     (*(uint32_t *)(s + (slot)))
#define V(slot)     (*(union vreg *)(s + (slot)))
#define FLAGS(slot) W(slot)

#define GO goto *(void *)((const char *)base + u->handler)
#define NEXT            \
	do {            \
		u += 1; \
		GO;     \
	} while (0)
#define NEXT2           \
	do {            \
		u += 2; \
		GO;     \
	} while (0)

#define ENTER(target)          \
	do {                   \
		tb = (target); \
		u = tb->code;  \
		GO;            \
	} while (0)

/* The kick point: another thread asks, or the retired-instruction limit is reached. */
#define KICKED                                                                    \
	unlikely(atomic_load_explicit(&cpu->remote.kick, memory_order_relaxed) || \
		 cpu->icount >= cpu->icount_limit)

/*
 * Leave by the exit that @u is: same page through the link alone, another page after comparing it
 * with the execute TLB. Backward jumps and page crossings are kick points.
 */
#define TAKE_EXIT                                                                               \
	do {                                                                                    \
		uint64_t from = cpu->pc, to = from + (uint64_t)(int64_t)u->imm;                 \
		struct exec_block *next = atomic_load_explicit(&u[1].to, memory_order_acquire); \
                                                                                                \
		cpu->pc = to;                                                                   \
		cpu->icount += u->c;                                                            \
		if (unlikely(!next))                                                            \
			goto link;                                                              \
		if (likely(!((from ^ to) & TLB_PAGE_MASK))) {                                   \
			if (to <= from && KICKED)                                               \
				goto kicked;                                                    \
			ENTER(next);                                                            \
		}                                                                               \
		goto far;                                                                       \
	} while (0)

/*
 * The line that may translate @va for an access of @size bytes that begins there: a crossing access
 * does not match its tag.
 */
#define LINE(b, va)            (&(b)->e[tlb_index(va)])
#define READ_HIT(e, va, size)  likely((e)->read_tag == (((va) + ((size)-1)) & TLB_PAGE_MASK))
#define WRITE_HIT(e, va, size) likely((e)->write_tag == (((va) + ((size)-1)) & TLB_PAGE_MASK))
#define HOST(e, va)            ((void *)((uintptr_t)(va) + (e)->addend))

/* One access of @size bytes, which is a constant. False: the host has no memory there. */
HOST_INLINE bool load_host(const void *host, void *v, size_t size)
{
	switch (size) {
	case 1:
		return host_load8(host, v);
	case 2:
		return host_load16(host, v);
	case 4:
		return host_load32(host, v);
	case 8:
		return host_load64(host, v);
	default:
		return host_load128(host, v);
	}
}

HOST_INLINE bool store_host(void *host, const void *v, size_t size)
{
	switch (size) {
	case 1:
		return host_store8(host, *(const uint8_t *)v);
	case 2:
		return host_store16(host, *(const uint16_t *)v);
	case 4:
		return host_store32(host, *(const uint32_t *)v);
	case 8:
		return host_store64(host, *(const uint64_t *)v);
	default:
		return host_store128(host, *(const host_u128 *)v);
	}
}

/* --- out of line --- */

/* A load that missed. Two results; integers go to 64-bit slots, vectors to whole registers. */
static __attribute__((noinline)) int load_slow(struct cpu *cpu, const struct exec_block *tb,
					       unsigned int row, uint64_t va, unsigned int first,
					       unsigned int second)
{
	const struct mem_desc *d = &tb->rows[row].mem;
	uint64_t out[4] = {0};
	int rc = access_load(cpu, va, d, out);
	char *s = (char *)cpu;

	if (rc)
		return rc;
	if (!d->vec) {
		X(first) = out[0];
		if (d->pair)
			X(second) = out[1];
		return CPU_EXIT_NONE;
	}
	unsigned int words = d->size_log2 == 4 ? 2 : 1;

	V(first) = (union vreg){.d = {out[0], words == 2 ? out[1] : 0}};
	if (d->pair)
		V(second) = (union vreg){.d = {out[words], words == 2 ? out[3] : 0}};
	return CPU_EXIT_NONE;
}

static __attribute__((noinline)) int store_slow(struct cpu *cpu, const struct exec_block *tb,
						unsigned int row, uint64_t va, unsigned int first,
						unsigned int second)
{
	const struct mem_desc *d = &tb->rows[row].mem;
	const char *s = (const char *)cpu;
	uint64_t in[4] = {*(const uint64_t *)(s + first)};

	if (d->size_log2 == 4) {
		memcpy(in, s + first, 16);
		if (d->pair)
			memcpy(in + 2, s + second, 16);
	} else if (d->pair) {
		memcpy(in + 1, s + second, 8);
	}
	return access_store(cpu, va, d, in);
}

static uint64_t index_value(const struct mem_desc *d, uint64_t index)
{
	if (d->index_ext == 1)
		index = (uint32_t)index;
	else if (d->index_ext == 2)
		index = (uint64_t)(int32_t)index;
	return index << d->scale;
}

static struct exec_line *line_of(struct cpu *cpu)
{
	/* A hash: where instructions have four bytes all lines serve. */
	return &exec_cpu(cpu)->lines[(cpu->pc >> 2) & ((1 << EXEC_LINE_BITS) - 1)];
}

/* dispatch_find(), remembered. */
static __attribute__((noinline)) struct exec_block *find(struct cpu *cpu)
{
	struct translation *t = dispatch_find(cpu);

	/* A step's fetch has to be made each time: it finds the Software Step exception. */
	if (t && !(cpu->mode & CPU_MODE_STEP))
		*line_of(cpu) = (struct exec_line){
			.pc = cpu->pc, .mode = cpu->mode, .block = exec_block_of(t)};
	return t ? exec_block_of(t) : NULL;
}

static __attribute__((noinline)) uint64_t call_vec_int(struct cpu *cpu, const union uop *u)
{
	const char *s = (const char *)cpu;

	return vec_ftoi(cpu, (const union vreg *)(s + u->a), IR_LANE(u->b), u->c, u->imm);
}

/* A lane of any width: moves of lanes are too rare for a handler for each width. */
static inline uint64_t lane_get(const union vreg *v, unsigned int lane, unsigned int i)
{
	switch (lane) {
	case IR_B:
		return v->b[i & 15];
	case IR_H:
		return v->h[i & 7];
	case IR_S:
		return v->s[i & 3];
	default:
		return v->d[i & 1];
	}
}

static inline void lane_set(union vreg *v, unsigned int lane, unsigned int i, uint64_t x)
{
	switch (lane) {
	case IR_B:
		v->b[i & 15] = (uint8_t)x;
		break;
	case IR_H:
		v->h[i & 7] = (uint16_t)x;
		break;
	case IR_S:
		v->s[i & 3] = (uint32_t)x;
		break;
	default:
		v->d[i & 1] = x;
	}
}

static inline union vreg lane_dup(uint64_t x, unsigned int lane, unsigned int shape)
{
	static const uint64_t ones[4] = {0x0101010101010101ull, 0x0001000100010001ull,
					 0x0000000100000001ull, 1};
	static const uint64_t low[4] = {0xff, 0xffff, 0xffffffff, ~0ull};
	uint64_t d = (x & low[lane]) * ones[lane];

	return (union vreg){
		.d = {shape == IR_SCALAR ? x & low[lane] : d, shape == IR_FULL ? d : 0}};
}

static const char *const uop_names[NR_UOPS] = {
#define UOP(n) #n,
#include "engine/back/exec/uops.def"
#undef UOP
};

/* clang's sanitizers take minutes over a function with hundreds of computed gotos. */
#ifdef __clang__
#define UNCHECKED __attribute__((no_sanitize("address", "undefined", "thread")))
#else
#define UNCHECKED
#endif

/* From cpu->pc, which is @first's if there is one. */
static UNCHECKED enum cpu_exit_reason run(struct cpu *cpu, struct exec_block *first,
					  const int32_t **table)
{
	static const int32_t handlers[NR_UOPS] = {
#define UOP(n) [UOP_##n] = (int32_t)((const char *)&&do_##n - (const char *)&&do_ADD32),
#include "engine/back/exec/uops.def"
#undef UOP
	};

	if (!cpu) {
		*table = handlers;
		if (engine_dumps('h'))
			for (unsigned int i = 0; i < NR_UOPS; i++)
				fprintf(stderr, "handler %p %s\n",
					(const void *)((const char *)&&do_ADD32 + handlers[i]),
					uop_names[i]);
		return CPU_EXIT_NONE;
	}

	const void *const base = &&do_ADD32;
	char *const s = (char *)cpu;
	struct tlb_bank *bank = cpu->bank;
	struct exec_block *tb = NULL;
	union uop *u = NULL;
	const struct exec_row *row;
	uint64_t va;
	int rc;

	if (unlikely(first))
		ENTER(first);
	goto dispatch;

#include "engine/back/exec/handlers_int.h"
#include "engine/back/exec/handlers_mem.h"
#include "engine/back/exec/handlers_vec.h"
#include "engine/back/exec/handlers_exit.h"

	/* --- what handlers jump to --- */

leave_at_row:
	/*
	 * An access left memory or faulted: PC at its instruction, what came before it has retired.
	 */
	cpu->pc += row->offset;
	cpu->icount += row->retired;
	if (rc != CPU_FAULT)
		return (enum cpu_exit_reason)rc;
	cpu_take_fault(cpu);
	goto dispatch;

link:
	/* The first time through an exit: find where it leads and remember it. */
	if (KICKED)
		goto kicked;
	{
		struct exit *exit = u[1].exit;
		struct exec_block *next = find(cpu);

		bank = cpu->bank;
		if (!next)
			goto dispatch;
		if (!(cpu->mode & CPU_MODE_STEP))
			link_exit(cache_of(cpu), exit, &next->common);
		ENTER(next);
	}

far:
	if (KICKED)
		goto kicked;
	{
		const struct xtlb_entry *x = &bank->x[xtlb_index(cpu->pc)];
		struct exec_block *next = atomic_load_explicit(&u[1].to, memory_order_acquire);

		if (likely(x->tag == (cpu->pc & TLB_PAGE_MASK) && next &&
			   x->page ==
				   atomic_load_explicit(&next->common.page, memory_order_relaxed) &&
			   x->page))
			ENTER(next);
	}
	goto lookup;

dispatch:
	/* PC, mode or bank may have changed. */
	bank = cpu->bank;
	if (KICKED)
		goto kicked;
lookup : {
	const struct exec_line *line = line_of(cpu);
	const struct xtlb_entry *x = &bank->x[xtlb_index(cpu->pc)];

	if (likely(line->pc == cpu->pc && line->block && line->mode == cpu->mode &&
		   x->tag == (cpu->pc & TLB_PAGE_MASK) && x->page &&
		   x->page ==
			   atomic_load_explicit(&line->block->common.page, memory_order_relaxed)))
		ENTER(line->block);
	struct exec_block *next = find(cpu);

	bank = cpu->bank;
	if (!next)
		goto dispatch;
	ENTER(next);
}

kicked:
	return CPU_EXIT_KICK;
}

const char *exec_uop_name(int32_t handler)
{
	const int32_t *handlers = exec_handlers();

	for (unsigned int i = 0; i < NR_UOPS; i++)
		if (handlers[i] == handler)
			return uop_names[i];
	return NULL;
}

const int32_t *exec_handlers(void)
{
	static const int32_t *table;
	const int32_t *t = __atomic_load_n(&table, __ATOMIC_RELAXED);

	if (!t) {
		run(NULL, NULL, &t);
		__atomic_store_n(&table, t, __ATOMIC_RELAXED);
	}
	return t;
}

enum cpu_exit_reason exec_run(struct cpu *cpu, struct exec_block *first)
{
	return run(cpu, first, NULL);
}
