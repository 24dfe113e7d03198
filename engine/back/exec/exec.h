/* SPDX-License-Identifier: MIT */
/*
 * The portable executor: what others see of it, and the lists that its micro-operations are made
 * from.
 */
#ifndef ENGINE_EXEC_EXEC_H
#define ENGINE_EXEC_EXEC_H

#include "engine/code/cache.h"
#include "engine/back/exec/uop.h"
#include "engine/ir/int_ops.h"

/* X(name, C type read from memory, type it is extended to as it goes to the 64-bit slot) */
#define LOAD_KINDS(X)              \
	X(U8, uint8_t, uint64_t)   \
	X(S8W, int8_t, uint32_t)   \
	X(S8X, int8_t, int64_t)    \
	X(U16, uint16_t, uint64_t) \
	X(S16W, int16_t, uint32_t) \
	X(S16X, int16_t, int64_t)  \
	X(U32, uint32_t, uint64_t) \
	X(S32X, int32_t, int64_t)  \
	X(U64, uint64_t, uint64_t) \
	X(V8, uint8_t, VEC)        \
	X(V16, uint16_t, VEC)      \
	X(V32, uint32_t, VEC)      \
	X(V64, uint64_t, VEC)      \
	X(V128, unsigned __int128, VEC)
#define STORE_KINDS(X)  \
	X(8, uint8_t)   \
	X(16, uint16_t) \
	X(32, uint32_t) \
	X(64, uint64_t) \
	X(128, unsigned __int128)
#define ORDERED_KINDS(X) \
	X(8, uint8_t)    \
	X(16, uint16_t)  \
	X(32, uint32_t)  \
	X(64, uint64_t)
#define LOAD_PAIR_KINDS(X)         \
	X(U32, uint32_t, uint64_t) \
	X(S32X, int32_t, int64_t)  \
	X(U64, uint64_t, uint64_t) \
	X(V32, uint32_t, VEC)      \
	X(V64, uint64_t, VEC)      \
	X(V128, unsigned __int128, VEC)
#define STORE_PAIR_KINDS(X) \
	X(32, uint32_t)     \
	X(64, uint64_t)     \
	X(128, unsigned __int128)
/* X(condition, what it says of unsigned a, b and signed sa, sb after a - b) */
#define BRANCH_CONDS(X)        \
	X(EQ, a == b)          \
	X(NE, a != b)          \
	X(CS, a >= b)          \
	X(CC, a < b)           \
	X(MI, (S)(a - b) < 0)  \
	X(PL, (S)(a - b) >= 0) \
	X(HI, a > b)           \
	X(LS, a <= b)          \
	X(GE, (S)a >= (S)b)    \
	X(LT, (S)a < (S)b)     \
	X(GT, (S)a > (S)b)     \
	X(LE, (S)a <= (S)b)
#define FP2_KINDS(X) \
	X(FADD, add) \
	X(FSUB, sub) \
	X(FMUL, mul) \
	X(FDIV, div)

enum uop_id {
#define UOP(n) UOP_##n,
#include "engine/back/exec/uops.def"
#undef UOP
	NR_UOPS
};

#define JUMP_CACHE_BITS 11
#define ENTERED_LINES   512

/* The engine's part of a vCPU. */
struct engine_cpu {
	_Atomic uint64_t epoch; /* of the code cache, at this vCPU's last safe point */
	struct dispatch_line {
		uint64_t pc;
		uint32_t mode;
		struct tb *tb;
	} lines[1 << JUMP_CACHE_BITS];
	/* Present KVM_RUN, in the order of the machine's: engine_user_wrote(). */
	uint64_t run;
	/* Lines of the execute TLB that got their page in it; more than fit: any may have. */
	struct xtlb_entry *entered[ENTERED_LINES];
	unsigned int nr_entered;
	struct translator *translator;
	/* why the code at PC cannot be entered (translate()); engine_run() sees to it */
	int error;
	unsigned int failures; /* times in a row that memory was short */
	/* times in a row that the words changed while they were translated */
	unsigned int changes;
};

/* Offset of each micro-operation's handler. */
const int32_t *exec_handlers(void);

/* The micro-operation of a handler, or NULL: an extension word. For dumps. */
const char *exec_uop_name(int32_t handler);

/*
 * Let @x have its code page, whose translations are what memory has (engine_user_wrote()). False:
 * the host has no memory.
 */
bool engine_enter_page(struct cpu *cpu, struct xtlb_entry *x);

/* Run from cpu->pc until an exit. */
enum cpu_exit_reason exec_run(struct cpu *cpu);

/*
 * Run one block: @tb is for cpu->pc and was never entered in the cache, so none of its exits is
 * linked. CPU_EXIT_KICK: it has ended. The vCPU's kick stays set.
 */
enum cpu_exit_reason exec_block(struct cpu *cpu, struct tb *tb);

/*
 * Make a translation, of at most @max instructions, that is entered nowhere (free() undoes it).
 * Return: 0 and *@tb, -E2BIG or -ENOMEM as translate().
 */
int translate_block(struct translator *t, const uint8_t *host, uint32_t offset, uint32_t mode,
		    unsigned int max, struct tb **tb);

/**
 * translate() - Make and enter the translation of the block at (@page, @offset).
 * @host: the page's bytes
 *
 * Return: 0 and *@tb, or
 *   -EAGAIN: the guest changed the words meanwhile: look again
 *   -ESTALE: a flush dropped @page: look again, from a safe point
 *   -ENOSPC: the cache is full
 *   -ENOMEM: the host has no memory
 *   -E2BIG:  one instruction's micro-operations do not fit, which no instruction's may
 */
int translate(struct cpu *cpu, struct code_page *page, const uint8_t *host, uint32_t offset,
	      uint32_t mode, struct tb **tb);

/* Is @letter in ARMATURE_DUMP? */
bool translator_dumps(char letter);

struct translator *translator_create(void);
void translator_destroy(struct translator *t);

/* The scratch slot that always holds zero. */
#define EXEC_SLOT_ZERO     ((uint16_t)offsetof(struct cpu, scratch[0]))
#define EXEC_SLOT_DISCARD  ((uint16_t)offsetof(struct cpu, scratch[1]))
#define EXEC_SCRATCH_FIRST 2

#endif
