/* SPDX-License-Identifier: MIT */
/*
 * The portable executor, for its own files and tests: the lists that its micro-operations are made
 * from, what it has of each vCPU, and what it compiles with. Others see it as back_exec (back.h).
 */
#ifndef ENGINE_EXEC_EXEC_H
#define ENGINE_EXEC_EXEC_H

#include "engine/back/exec/uop.h"
#include "engine/ir/int_ops.h"
#include "engine/pass/pass.h"

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

/* --- what lies behind struct cpu: the executor's part of a vCPU --- */

#define EXEC_SCRATCH_SLOTS 512
#define EXEC_SCRATCH_TEMPS 64 /* the first ones: temps; the others: constants */
#define EXEC_LINE_BITS     11

/* A PC that was dispatched to lately. It holds only while the page behind PC is still the same. */
struct exec_line {
	uint64_t pc;
	uint32_t mode;
	struct exec_block *block;
};

struct exec_cpu {
	union vreg scratch[EXEC_SCRATCH_SLOTS];
	struct exec_line lines[1 << EXEC_LINE_BITS];
};

static inline struct exec_cpu *exec_cpu(struct cpu *cpu)
{
	return (struct exec_cpu *)cpu->area;
}

/* A scratch slot as micro-operations name it: handlers have one base for state and scratch. */
#define EXEC_SLOT(n) ((uint16_t)(offsetof(struct cpu, area) + 16 * (n)))
_Static_assert(offsetof(struct cpu, area) + 16 * EXEC_SCRATCH_SLOTS <= CPU_SLOT_LIMIT,
	       "scratch slots have 16-bit names");

#define EXEC_SLOT_ZERO     EXEC_SLOT(0) /* always zero */
#define EXEC_SLOT_DISCARD  EXEC_SLOT(1)
#define EXEC_SCRATCH_FIRST 2

/* --- compiling: place.c, then lower.c --- */

#define EXEC_MAX_UOPS  (IR_MAX_OPS * 2)
#define EXEC_MAX_EXITS 64
#define NO_LOC         0xffff

struct exec_compiler {
	struct ir_work *w;

	/*
	 * place.c: where each temp lives (a slot), and which PUTs are done by the op that defines
	 * their value
	 */
	uint16_t loc[IR_MAX_OPS];
	bool elided[IR_MAX_OPS];
	uint16_t scratch_used; /* first scratch slot free for the whole block */

	/* lower.c */
	union uop code[EXEC_MAX_UOPS];
	struct exec_row rows[IR_MAX_OPS];
	struct {
		int32_t delta;
		uint16_t site;
	} exits[EXEC_MAX_EXITS];
	unsigned int nr_code, nr_rows, nr_exits;
	/* instructions of the block that a CALL before has counted as retired */
	unsigned int counted;
	bool full; /* no scratch slot was left for a constant */
};

bool exec_place(struct exec_compiler *e); /* slots for temps; false: too many live at once */
bool exec_lower(struct exec_compiler *e); /* micro-operations; false: no room */

/* --- the executor --- */

/* Offset of each micro-operation's handler. */
const int32_t *exec_handlers(void);

/* The micro-operation of a handler, or NULL: an extension word. For dumps. */
const char *exec_uop_name(int32_t handler);

/* Run from cpu->pc, which is @first's if there is one (back.h: enter(), run_block()). */
enum cpu_exit_reason exec_run(struct cpu *cpu, struct exec_block *first);

#endif
