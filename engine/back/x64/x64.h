/* SPDX-License-Identifier: MIT */
/*
 * The code generator for x86-64, for its own files and tests. Others see it as back_x64 (back.h).
 *
 * A block becomes straight-line code with cold stubs behind it. What running code knows:
 *
 *   rbp   the vCPU (struct cpu), plus X64_BIAS, so that the general registers have short
 *         displacements
 *   r12   instructions retired before the present block
 *   r13   virtual address of the page that PC is in
 *   r14   the present TLB bank
 *   rax, rcx, rdx, xmm13 to xmm15   scratch within one op
 *   others                          values of the block, as regs.c has them
 *
 * Whatever has no code of its own is a row (struct x64_row): data that says what is to be done and
 * where its operands are. The code calls one thunk that saves every register, and a C function does
 * it on what was saved (rows.c). A memory access that misses the TLB or faults is a row, too. Each
 * row that may fault has the state map: where the values are that were PUT and not stored yet.
 *
 * What must hold:
 *  - When code leaves for the thunks (row, dispatch, leave), rsp is what it was at entry.
 *  - cpu->pc and cpu->icount are exact only outside; rows and thunks make them so.
 *  - Code is position-independent: it reaches the thunks through pointers in struct x64_cpu.
 */
#ifndef ENGINE_X64_X64_H
#define ENGINE_X64_X64_H

#include <stdatomic.h>
#include <stdbool.h>

#include "engine/back/x64/enc.h"
#include "engine/code/translation.h"
#include "engine/pass/pass.h"

struct code_memory;

#define X64_BIAS         128
#define X64_CPU          RBP
#define X64_ICOUNT       R12
#define X64_PAGE         R13
#define X64_BANK         R14
#define X64_XSCRATCH     15 /* and 14, 13 */
#define X64_NR_GPRS      16
#define X64_NR_SPILLS    256
#define X64_NR_CONSTANTS 24

/*
 * A PC that was dispatched to lately. It still leads there while the bank's fetches are what they
 * were (cpu/tlb.h) and the mode is the same. A translation that is dropped kicks every vCPU, and
 * between a look at the kick and one at a line there is nothing: forget() comes before the line is
 * used again.
 */
struct x64_line {
	uint64_t pc;
	const uint8_t *entry; /* near entry */
	uint64_t key;         /* X64_LINE_KEY */
	uint64_t unused;
};
#define X64_LINE_BITS               13
#define X64_LINE_KEY(fetches, mode) ((fetches) | (mode))

#define X64_NR_COUNTERS 4096
#define X64_NO_COUNTER  0xffff

/* What the code of integer vectors has in memory (gen_simd.c). Four in a row: by lane. */
enum x64_simd {
	X64_SIMD_SIGN,           /* each lane's highest bit */
	X64_SIMD_ONE = 4,        /* each lane 1 */
	X64_SIMD_LOW = 8,        /* each lane's low half; B: of its bits */
	X64_SIMD_UNZIP = 12,     /* PSHUFB: even lanes to the low half, odd ones to the high */
	X64_SIMD_NARROW = 14,    /* PSHUFB: the low halves of lanes twice as wide, zero above */
	X64_SIMD_REV16 = 17,     /* PSHUFB; B, and so on */
	X64_SIMD_REV32 = 18,     /* B H */
	X64_SIMD_REV64 = 20,     /* B H S */
	X64_SIMD_BYTE_OF_S = 23, /* 0xff in each S */
	X64_SIMD_BYTE_OF_D,
	X64_SIMD_BIT16,   /* in each S */
	X64_SIMD_MAX_S,   /* each S the highest number */
	X64_SIMD_ALL,     /* every bit */
	X64_SIMD_70,      /* each byte */
	X64_SIMD_POPCNT,  /* by four bits: how many are set */
	X64_SIMD_RBIT_LO, /* reversed: of the low four, where they go */
	X64_SIMD_RBIT_HI,
	X64_SIMD_CLZ,
	X64_SIMD_SHA1_K,                       /* each S, three of them: what SHA1RNDS4 adds */
	X64_SIMD_SPLIT3 = X64_SIMD_SHA1_K + 3, /* PSHUFB: DEINT3's and INT3's */
	X64_SIMD_JOIN3 = X64_SIMD_SPLIT3 + 36,
	X64_NR_SIMD = X64_SIMD_JOIN3 + 36,
};

/* Rows are counted by op, those of vectors by lane and shape, too, and CALLs by helper. */
#define X64_ROW_NAME(opc, lane, shape) ((unsigned int)(opc) << 4 | (shape) << 2 | (lane))
#define X64_ROW_HELPER(n)              (X64_ROW_NAME(IR_NR_OPS, 0, 0) + (n))
#define X64_MAX_HELPERS                256
#define X64_NR_ROW_NAMES               X64_ROW_HELPER(X64_MAX_HELPERS)

/* What generated code calls, in struct x64_cpu. */
enum x64_thunk {
	X64_THUNK_ROW,      /* rdx: the block's start; ecx: row */
	X64_THUNK_LINK,     /* rdx: the block's start; ecx: exit; r13 of where it leads */
	X64_THUNK_DISPATCH, /* rax: the new PC; icount is counted */
	X64_THUNK_MISS,     /* a far entry that does not match: rdx the block's start */
	X64_THUNK_LEAVE,    /* rdx: the block's start; ecx: the leave row; everything is stored */
	NR_X64_THUNKS
};

/* The generator's part of a vCPU. */
struct x64_cpu {
	const void *thunk[NR_X64_THUNKS];
	const void *counted; /* machine.counted, for atomics */
	uint64_t pext_flags; /* the mask that takes N Z C V out of LAHF and SETO */
	uint64_t reason;     /* why enter() returns */
	/*
	 * Flags that were left unpacked: what they are of (X64_LAZY()), and the operands. 0:
	 * cpu->nzcv has them, as it always has outside of generated code.
	 */
	uint64_t lazy, lazy_a, lazy_b;
	bool recording; /* trace.c: whatever leads on leaves enter() instead */
	uint64_t gpr[X64_NR_GPRS];
	union vreg xmm[16];
	union vreg constant[X64_NR_CONSTANTS]; /* x64_constants */
	union vreg spill[X64_NR_SPILLS];
	struct x64_line lines[1 << X64_LINE_BITS];
	/* How often exits that lead backwards are to be taken before x64_record() looks at them. */
	uint32_t counter[X64_NR_COUNTERS];
	union vreg simd[X64_NR_SIMD]; /* enum x64_simd */
	uint64_t rows_run[X64_NR_ROW_NAMES];
};

static inline struct x64_cpu *x64_cpu(struct cpu *cpu)
{
	return (struct x64_cpu *)cpu->area;
}

/* Displacement from rbp of a byte offset in struct cpu. */
#define X64_DISP(offset) ((int32_t)(offset)-X64_BIAS)
#define X64_AREA(field)  X64_DISP(offsetof(struct cpu, area) + offsetof(struct x64_cpu, field))
#define X64_SPILL_OFFSET(n) \
	((uint32_t)(offsetof(struct cpu, area) + offsetof(struct x64_cpu, spill) + 16 * (n)))

#define X64_LAZY(opc, wide) (2 * ((opc)-IR_CMN) + (wide) + 1)

/* Where a value is while a row is executed. */
enum x64_loc_kind {
	X64_LOC_NONE,
	X64_LOC_GPR,
	X64_LOC_XMM,
	X64_LOC_MEM,
	X64_LOC_CONST,
	X64_LOC_FLAGS, /* to be evaluated */
};
struct x64_loc {
	uint8_t kind;
	uint8_t wide; /* XMM, MEM: 16 bytes */
	uint16_t n;   /* register; offset in struct cpu; index of the block's constants or flags */
};

/* Flags that nobody has evaluated: of CMP, CMN, TST, or FSEL of a and b. */
struct x64_flags {
	uint16_t opc;
	uint8_t wide, cond, imm;
	struct x64_loc a, b;
};

/* A slot that is to be written before its state can be seen. */
struct x64_dirty {
	uint16_t slot;
	uint8_t size; /* bytes: 4, 8, 16 */
	uint8_t unused;
	struct x64_loc value;
};

enum x64_row_kind {
	X64_ROW_LOAD,
	X64_ROW_STORE,
	X64_ROW_STX,
	X64_ROW_RMW,
	X64_ROW_CAS,
	X64_ROW_PROBE_R,
	X64_ROW_PROBE_W,
	X64_ROW_SPCHECK,
	X64_ROW_ZVA,
	X64_ROW_CALL,
	X64_ROW_STEP,
	X64_ROW_VEC,
	X64_ROW_FTOI,
	X64_ROW_ITOF,
	X64_ROW_FCMP,
	X64_ROW_CRC32,
	X64_ROW_FLAGS, /* pack what is lazy */
};

#define X64_ROW_ACCESSES 4
struct x64_row {
	uint8_t kind, aux, type, is_mem;
	uint16_t opc;
	uint16_t offset;  /* of the guest instruction in its page */
	uint16_t retired; /* instructions to count when it is left here */
	uint16_t nr_dirty;
	uint32_t first_dirty;
	struct x64_loc a, b, c, d, d2;
	int32_t imm;
	struct mem_desc mem;
	const void *fn;
	/* Offsets in the code: of the host's accesses, and of the stub that runs the row. */
	uint32_t access[X64_ROW_ACCESSES], stub;
};

static inline unsigned int x64_row_name(const struct x64_row *r)
{
	if (r->kind == X64_ROW_CALL)
		return X64_ROW_HELPER((unsigned int)r->imm % X64_MAX_HELPERS);
	return r->kind == X64_ROW_VEC ? X64_ROW_NAME(r->opc, IR_LANE(r->aux) & 3, IR_SHAPE(r->aux))
				      : X64_ROW_NAME(r->opc, 0, 0);
}

/* A way out that C does: everything is stored, icount counted. */
struct x64_leave {
	uint16_t opc;  /* IR_EXCEPTION or IR_LEAVE */
	uint16_t aux;  /* enum ir_leave */
	int32_t delta; /* of the PC from the page's beginning */
	uint32_t imm;
};

/* A translation as the generator has it. The code is in code memory, with a pointer to this before
 * it. */
struct x64_block {
	struct translation common;
	uint8_t *code; /* where it runs; its far entry */
	uint32_t code_size;
	/* How often a way round from its beginning was recorded, by any vCPU (trace.c). */
	_Atomic uint32_t tries;
	/* Written when all of this is: x64_block_at() reads it. */
	atomic_bool made;
	uint32_t near; /* offset of the near entry */
	uint32_t head; /* where an exit to the block itself leads: its loop head or near entry */
	uint32_t nr_rows, nr_dirty, nr_leaves, nr_consts;
	const struct x64_row *rows;
	const struct x64_dirty *dirty;
	const struct x64_leave *leaves;
	const uint64_t *consts;
	const struct x64_flags *flags;
	/* of each exit: where its jump leads while it is not linked; X64_EXIT_FAR */
	const uint32_t *exit_stubs;
	const uint16_t *exit_counters;
};

#define X64_EXIT_FAR (1u << 31)

static inline struct x64_block *x64_block_of(struct translation *t)
{
	return (struct x64_block *)t;
}

/* --- the compiler --- */

#define X64_MAX_HOT    (128 << 10)
#define X64_MAX_COLD   (256 << 10)
#define X64_MAX_ROWS   2048
#define X64_MAX_DIRTY  32768
#define X64_MAX_EXITS  128
#define X64_MAX_LEAVES 64
#define X64_MAX_CONSTS 4096
#define X64_MAX_SLOTS  256
#define X64_MAX_CROSS  8192
#define X64_MAX_FLAGS  2048
#define X64_NOTHING    0xffff

#define X64_IN_NO_REG 0xff
#define X64_NO_MEM    INT32_MIN

/* A slot of guest state that the block knows something of. */
struct x64_slot {
	uint16_t offset;
	uint8_t type; /* enum ir_type of the last PUT or GET */
	bool dirty;
	uint16_t val;    /* the temp that it holds now, or X64_NOTHING */
	uint16_t memval; /* the temps whose only place may be this slot: first of a list */
};

/* Where a temp is. */
struct x64_val {
	uint8_t reg; /* general or XMM register by its type, or X64_IN_NO_REG */
	uint8_t fixed;
	uint16_t spill;    /* scratch slot + 1; 0: none */
	int32_t mem;       /* displacement from rbp of a valid copy, or X64_NO_MEM */
	uint16_t mem_next; /* the next temp whose mem is the same state slot */
};

/* A jump between the hot and the cold part of the code; its displacement is patched at the end. */
struct x64_cross {
	uint8_t *at;
	const uint8_t *to; /* as the parts lie while they are emitted */
};

struct x64_exit_info {
	int32_t delta;
	bool far;          /* to the other translation's far entry */
	uint16_t counter;  /* or X64_NO_COUNTER */
	uint8_t *jump;     /* the displacement to patch */
	uint8_t *unlinked; /* where it leads while the exit is not linked */
};

/* A slot that stays in a register around a block's back edge. */
struct x64_carried {
	uint16_t slot, val; /* val: the temp that is its value at the loop head */
	uint8_t reg;
	bool xmm;
	bool put; /* the block PUTs it: memory does not have its value */
};
#define X64_MAX_CARRIED 16

/* Accesses off one base that one probe serves (group.c). */
struct x64_group {
	uint16_t addend;      /* the temp that has it; X64_NOTHING: there is one access only */
	uint16_t first, last; /* ops */
	uint16_t len;         /* bytes from the lowest to the highest */
	int32_t min;          /* of the lowest, from the base */
	bool write;
};
#define X64_MAX_GROUPS 255
#define X64_GROUP_NONE 1 /* instead of an addend, which is a multiple of the page size */

struct x64_compiler {
	struct ir_work *w;
	struct x64_buf b;     /* where code goes: the hot part, or (x64_cold()) the cold one */
	struct x64_buf other; /* the other one */
	uint8_t *code;        /* X64_MAX_HOT bytes, then X64_MAX_COLD */
	unsigned int i;       /* the op that is being emitted */

	/* live.c */
	uint16_t end[IR_MAX_OPS];     /* the last op at which the temp's value is needed */
	uint16_t next[IR_MAX_OPS][3]; /* the next op that uses the operand, after this one */
	uint16_t first[IR_MAX_OPS];   /* the first op that uses the temp */

	/* regs.c */
	struct x64_val val[IR_MAX_OPS];
	uint16_t next_use[IR_MAX_OPS]; /* of live temps */
	uint16_t in_gpr[16], in_xmm[16];
	uint32_t locked_gpr, locked_xmm;
	uint8_t spill_busy[X64_NR_SPILLS];
	struct x64_slot slots[X64_MAX_SLOTS];
	unsigned int nr_slots;
	/* Flags: the temp that EFLAGS hold, and whether the carry is inverted (as after CMP). */
	uint16_t eflags;
	bool carry_inverted;
	/* What gives way may not go to its slot: the op writes state that it does not name. */
	bool no_home;

	/* loop.c */
	struct x64_carried carried[X64_MAX_CARRIED];
	unsigned int nr_carried; /* 0: no loop */
	uint8_t *head;           /* the loop head */

	/* group.c */
	struct x64_group groups[X64_MAX_GROUPS];
	unsigned int nr_groups, nr_addends;
	uint8_t group[IR_MAX_OPS];       /* of an access: its group's index + 1, or 0 */
	int32_t group_at[IR_MAX_OPS];    /* where it is from the group's base */
	uint16_t group_next[IR_MAX_OPS]; /* the group's next access */

	/* what the block is made of */
	struct x64_row rows[X64_MAX_ROWS];
	struct x64_dirty dirty[X64_MAX_DIRTY];
	struct x64_leave leaves[X64_MAX_LEAVES];
	uint64_t consts[X64_MAX_CONSTS];
	struct x64_flags flags[X64_MAX_FLAGS];
	struct x64_exit_info exits[X64_MAX_EXITS];
	struct x64_cross cross[X64_MAX_CROSS];
	unsigned int nr_rows, nr_dirty, nr_leaves, nr_consts, nr_exits, nr_cross, nr_flags;
	uint8_t *near;
	size_t size; /* of the finished code */
	bool full;   /* something did not fit */
	uint16_t next_counter;
};

/* live.c: what allocation needs to know of the future. */
void x64_live(struct x64_compiler *g);

/* --- regs.c: where values are --- */

void x64_regs_begin(struct x64_compiler *g);
/* The end of op g->i: registers are unlocked, what nobody needs any more is forgotten. */
void x64_regs_end_op(struct x64_compiler *g);
/* A register with the temp's value, locked for this op. The IR's constants are made on demand. */
unsigned int x64_use(struct x64_compiler *g, ir_val v);
unsigned int x64_use_xmm(struct x64_compiler *g, ir_val v);
/* Is it a constant that an immediate of 32 bits, sign-extended, can be, for an op of @type? */
bool x64_imm32(const struct x64_compiler *g, ir_val v, unsigned int type, int32_t *imm);
/* A register for the result of op g->i. Operands are in use already. */
unsigned int x64_def(struct x64_compiler *g);
unsigned int x64_def_xmm(struct x64_compiler *g);
/*
 * The same, but if operand @a is not needed after this op, its register. *copied: it is; else the
 * register's content is not a's.
 */
unsigned int x64_def_on(struct x64_compiler *g, ir_val a, bool *same);
unsigned int x64_def_xmm_on(struct x64_compiler *g, ir_val a, bool *same);
/* A register for the value named @v (an op of this block, for LDHI and PUTs that convert). */
unsigned int x64_def_as(struct x64_compiler *g, ir_val v);
unsigned int x64_def_xmm_as(struct x64_compiler *g, ir_val v);
/* Where it is, without changing that. */
struct x64_loc x64_where(struct x64_compiler *g, ir_val v);
/* GET and PUT. */
void x64_get(struct x64_compiler *g);
void x64_put(struct x64_compiler *g);
/* Is there anything left to do with @v after this op? */
bool x64_dies(const struct x64_compiler *g, ir_val v);
/*
 * Emit stores of all dirty slots, but (@back) of those that are carried around the back edge. They
 * stay dirty for the allocator.
 */
void x64_store_dirty(struct x64_compiler *g, bool back);
/* The state map for a row: first and number in g->dirty. */
void x64_map_dirty(struct x64_compiler *g, uint32_t *first, uint16_t *nr);
/* After a CALL: what it has READ is in memory; what it may have WRITTEN is unknown. */
void x64_stored(struct x64_compiler *g);
void x64_forget_slots(struct x64_compiler *g);
/* Before an op that may write slots: temps whose only place is a slot's memory get a register. */
void x64_rescue_all(struct x64_compiler *g);

/* The slot's value is in its register, at the loop head. */
void x64_carry(struct x64_compiler *g, const struct x64_carried *k);
/* Where the slot's value is now. */
struct x64_loc x64_slot_at(struct x64_compiler *g, unsigned int offset);

/* --- loop.c --- */

/* Before allocation: what is carried, and the IR that says so. */
void x64_loop_find(struct x64_compiler *g);
/* Emit the loads in front of the loop, which begins behind them. */
void x64_loop_head(struct x64_compiler *g);
bool x64_is_back_edge(const struct ir_op *o);
/* Emit the moves of a back edge: each carried slot to its register. EFLAGS stay. */
void x64_loop_back(struct x64_compiler *g);
/* Emit stores of what is carried and dirty. */
void x64_loop_store(struct x64_compiler *g);

/* --- pair.c --- */

/* Before the slots are looked at: what is only moved by two becomes one. */
void x64_pair_find(struct x64_compiler *g);

/* --- group.c --- */

void x64_group_find(struct x64_compiler *g);
void x64_group_temps(struct x64_compiler *g);
/* gen_mem.c: must the inline probe leave this access alone? */
bool x64_general_only(const struct x64_compiler *g, const struct ir_op *o);

/* --- gen_flags.c --- */

/* gen_fp_cmp.c: the same for those of an FCMP. */
bool x64_fcmp_again(const struct ir_block *b, const struct ir_op *o);
enum x64_cc x64_fcmp_test(struct x64_compiler *g, ir_val f, enum ir_cond cond);
void x64_fcmp_pack(struct x64_compiler *g, ir_val f, unsigned int d);
/* Can the flags be evaluated at any time, from values that are kept as long as they are needed? */
bool x64_flags_again(const struct ir_block *b, ir_val f);
/* EFLAGS are about to change: keep what they hold if somebody needs it. Before scratch is used. */
void x64_flags_clobber(struct x64_compiler *g);
/* The producer g->i has just set EFLAGS. */
void x64_flags_set(struct x64_compiler *g, bool carry_inverted);
/* Emit what is needed so that @cond of flags @f can be asked for; the condition of the host's. */
enum x64_cc x64_flags_test(struct x64_compiler *g, ir_val f, enum ir_cond cond);
/* Leave C of @f in the host's carry (@inverted: its complement); EFLAGS are changed then. */
void x64_flags_carry(struct x64_compiler *g, ir_val f, bool inverted);
/* Store them to the state, unpacked if that is less. By way of rax and rcx. */
void x64_flags_store(struct x64_compiler *g, ir_val f);
/* Before the slot is read: see to it that it has them, packed. */
void x64_flags_settle(struct x64_compiler *g);
/* Pack flags that are in EFLAGS, or can be evaluated, into @d. What is known of EFLAGS stays so. */
void x64_flags_pack(struct x64_compiler *g, ir_val f, unsigned int d);
/* Where a row finds them. */
struct x64_loc x64_flags_where(struct x64_compiler *g, ir_val f);

/* --- gen*.c --- */

typedef void x64_gen(struct x64_compiler *g, const struct ir_op *o);
x64_gen x64_gen_const, x64_gen_pcrel, x64_gen_mov, x64_gen_alu, x64_gen_mul, x64_gen_mulh,
	x64_gen_div, x64_gen_shift, x64_gen_extr, x64_gen_unary, x64_gen_extend, x64_gen_field,
	x64_gen_bfi, x64_gen_crc, x64_gen_flags, x64_gen_adc, x64_gen_adcf, x64_gen_nzcv,
	x64_gen_packed, x64_gen_sel, x64_gen_vsel, x64_gen_load, x64_gen_store, x64_gen_atomic,
	x64_gen_zva, x64_gen_check, x64_gen_spcheck, x64_gen_step, x64_gen_clrex, x64_gen_fence,
	x64_gen_count, x64_gen_call, x64_gen_side, x64_gen_jump, x64_gen_jump_ind,
	x64_gen_exception, x64_gen_leave, x64_gen_vec, x64_gen_vconst, x64_gen_lane, x64_gen_fp_row,
	x64_gen_simd, x64_gen_move_lane, x64_gen_complement, x64_gen_get, x64_gen_put,
	x64_gen_nothing, x64_gen_fp_arith, x64_gen_fp_sqrt, x64_gen_fp_fused, x64_gen_fp_sign,
	x64_gen_fcmp, x64_gen_ftoi, x64_gen_itof, x64_gen_fp_precision, x64_gen_fp_round,
	x64_gen_fp_max, x64_gen_fp_mask;

/* gen_fp.c: what its code has in memory, in struct x64_cpu. */
extern const union vreg x64_constants[X64_NR_CONSTANTS];

/*
 * gen_mem.c: leave the addend of the line for @size bytes at the address in @va in @to, which is
 * not rcx if it is @va. Jumps that a miss takes go to from[], at most X64_MAX_FROM; how many is
 * returned. rcx and rdx.
 */
#define X64_MAX_FROM 3
unsigned int x64_probe(struct x64_compiler *g, const struct mem_desc *d, unsigned int va,
		       unsigned int size, bool write, unsigned int to, uint8_t **from);

static inline struct x64_loc x64_in_register(bool vec, unsigned int reg)
{
	return (struct x64_loc){
		.kind = vec ? X64_LOC_XMM : X64_LOC_GPR, .wide = 1, .n = (uint16_t)reg};
}

/* The row of op g->i, with everything but its operands' places. */
struct x64_row *x64_new_row(struct x64_compiler *g, unsigned int kind);
/* rcx and rdx for a thunk: number @n, and the block's start. */
void x64_thunk_args(struct x64_compiler *g, unsigned int n);
/* Call the row here and now. Operands' places are filled in; the result's is, too. */
void x64_call_row(struct x64_compiler *g, struct x64_row *r);
/*
 * Emit to the cold part from here on, or (x64_hot()) back to the hot one. Nothing that the
 * allocator knows may change in the cold part.
 */
void x64_cold(struct x64_compiler *g);
void x64_hot(struct x64_compiler *g);
/* The jump whose displacement is at @at leads to @to in the other part. */
void x64_cross(struct x64_compiler *g, uint8_t *at, const uint8_t *to);
/* The call of the row alone. */
void x64_row_call(struct x64_compiler *g, struct x64_row *r);
/* In the cold part: the call of the row, from the jumps at from[], then on at @back. */
void x64_row_call_cold(struct x64_compiler *g, struct x64_row *r, const uint8_t *back);
/* A whole stub, for the jumps at from[]; it goes on at @back, with all registers but the result's
 * as they were. */
void x64_row_stub(struct x64_compiler *g, struct x64_row *r, uint8_t *const from[], unsigned int nr,
		  const uint8_t *back);
/* The next use of @v is at op @i. */
void x64_uses_next(struct x64_compiler *g, ir_val v, unsigned int i);
/* The place in the code where the next instruction goes, for a row. */
uint32_t x64_here(const struct x64_compiler *g);
uint16_t x64_constant(struct x64_compiler *g, uint64_t k);

/* gen_simd.c: fill in what the code of vectors has in memory. */
void x64_simd_init(union vreg simd[X64_NR_SIMD]);

/* dump.c: with the letter x, the code as the host has it. */
void x64_dump(const struct x64_compiler *g, const struct x64_block *b);
/* With the letter s: count the block's rows; at a vCPU's end, print which ones it ran most. */
struct x64_machine;
void x64_count_rows(struct x64_machine *m, const struct x64_compiler *g);
void x64_print_rows(const struct x64_machine *m, const struct cpu *cpu);

/* The whole block; false: it is too large. */
bool x64_generate(struct x64_compiler *g, struct ir_work *w);

/* --- running --- */

/* The generator's part of a machine. */
struct x64_machine {
	struct code_memory *memory;
	const void *thunk[NR_X64_THUNKS];
	uint64_t (*enter)(struct cpu *cpu, const uint8_t *entry);
	const uint8_t *stop; /* leaves enter() with x64_cpu(cpu)->reason */
	_Atomic uint64_t rows_made[X64_NR_ROW_NAMES];
	const struct ir_helper *_Atomic helpers; /* the front end's, for their names */
};

/* thunks.c: emit them to the fixed block of @m->memory, of X64_THUNKS_SIZE bytes. */
#define X64_THUNKS_SIZE 4096
void x64_make_thunks(struct x64_machine *m);

/*
 * run.c and rows.c: what the thunks call. @start: the code of a block; @n: which of its rows, exits
 * or leaves. They return where the code is to go on: of x64_run_row() NULL means behind the call.
 */
const uint8_t *x64_run_row(struct cpu *cpu, const uint8_t *start, uint32_t n);
const uint8_t *x64_link(struct cpu *cpu, const uint8_t *start, uint32_t n);
const uint8_t *x64_miss(struct cpu *cpu, const uint8_t *start);
const uint8_t *x64_leave(struct cpu *cpu, const uint8_t *start, uint32_t n);
/* icount_limit may have changed: so does what kick points compare with. */
void x64_limit_changed(struct cpu *cpu);
/* Have cpu->nzcv what code left lazy. */
void x64_settle(struct cpu *cpu);
/* trace.c: an exit whose counter is that one has led to cpu->pc often. */
const uint8_t *x64_record(struct cpu *cpu, uint32_t counter);
void x64_counters_reset(struct x64_cpu *x);
#define X64_RECORDED 0x1000 /* why enter() returns while it is recording */
/* From cpu->pc, whatever that is now. */
const uint8_t *x64_dispatch(struct cpu *cpu);
/* Leave enter() with @reason. */
const uint8_t *x64_stop(struct cpu *cpu, enum cpu_exit_reason reason);

/* fault.c: have the handler of SIGSEGV and SIGBUS know of generated code. */
void x64_faults_arm(void);

/* The block whose code is at @start. */
struct x64_block *x64_block_at(const uint8_t *start);

#endif
