/* SPDX-License-Identifier: MIT */
/*
 * The A64 front end: one table row for each instruction form, one function that says what it means
 * in IR.
 *
 * A row matches when (insn & mask) == value; rows of a table are tried in order, so a more specific
 * row stands first. A function returns false for an unallocated or unsupported encoding: the caller
 * then emits the UNDEFINED exception and drops whatever the function had emitted. It must decide so
 * before it emits anything with an effect.
 */
#ifndef ENGINE_A64_A64_H
#define ENGINE_A64_A64_H

#include "engine/ir/ir.h"

struct a64 {
	struct ir_block *b;
	uint32_t insn;
	uint16_t index; /* of the instruction in the block */
	int32_t at;     /* where it is, bytes from the block's first one */
	uint32_t mode;
	bool done;       /* the block ends after this instruction (set by exits) */
	bool sp_checked; /* SP is known to be 16-byte aligned here */
	bool full;       /* no room for another instruction: ends the block after this one */
};

typedef bool a64_fn(struct a64 *t, uint32_t insn);

struct a64_row {
	uint32_t mask, value;
	a64_fn *fn;
	const char *name;
};

/*
 * The tables, each in the file of its group; decode.c makes one index of all. The last row's fn is
 * NULL.
 */
extern const struct a64_row a64_dp_imm[]; /* dp_imm.c: data processing, immediate */
extern const struct a64_row a64_dp_reg[]; /* dp_reg.c: data processing, register */
extern const struct a64_row a64_branch[]; /* branch.c: branches, exceptions */
extern const struct a64_row a64_system[]; /* system.c: hints, barriers, MSR/MRS/SYS */
/* ldst.c: loads and stores of general registers, also FP ones of the same forms */
extern const struct a64_row a64_ldst[];
extern const struct a64_row a64_atomic[]; /* atomic.c: exclusive, ordered, LSE */
extern const struct a64_row a64_fp[];     /* fp.c: scalar floating point */
/* simd*.c: Advanced SIMD data processing (may be split further) */
extern const struct a64_row a64_simd[];
extern const struct a64_row a64_simd_scalar[];
extern const struct a64_row a64_simd_ldst[]; /* simd_ldst.c: LD1..ST4 */
extern const struct a64_row a64_crypto[];    /* crypto.c */

/* Row of @insn, or NULL: UNDEFINED. */
const struct a64_row *a64_decode(uint32_t insn);

/**
 * a64_translate_block() - Translate guest instructions into @b.
 * @b:         filled in
 * @words:     the code page, from its first byte (MEM_PAGE_SIZE bytes)
 * @offset:    of the first instruction in the page, bytes, a multiple of 4
 * @mode:      CPU_MODE_*
 * @max_insns: 1..IR_MAX_INSNS
 *
 * A block ends at an instruction that ends it, at the page's end, or when full; then with JUMP
 * (IR_FALLTHROUGH).
 */
void a64_translate_block(struct ir_block *b, const void *words, uint32_t offset, uint32_t mode,
			 unsigned int max_insns);

/* As struct front's translate_path(). */
bool a64_translate_path(struct ir_block *b, const void *words, const struct ir_path *path,
			uint32_t mode);

/* --- What a translation function writes with (builder, in build.c / inline here) --- */

#define BITS(v, hi, lo) (((uint32_t)(v) >> (lo)) & ((2u << ((hi) - (lo))) - 1))
#define BIT(v, n)       (((uint32_t)(v) >> (n)) & 1)
#define A64_SP          31
#define A64_ZR          31

static inline int64_t a64_sext(uint64_t v, unsigned int bits)
{
	return (int64_t)(v << (64 - bits)) >> (64 - bits);
}

/* Append an op for the present instruction; returns its temp. Unused operands: IR_NONE. */
ir_val a64_op(struct a64 *t, unsigned int opc, unsigned int type, unsigned int aux, ir_val a,
	      ir_val b, ir_val c, int32_t imm);
ir_val a64_k(struct a64 *t, unsigned int opc, unsigned int type, unsigned int aux, uint64_t k);

static inline unsigned int a64_type(bool sf)
{
	return sf ? IR_I64 : IR_I32;
}

static inline ir_val a64_const(struct a64 *t, unsigned int type, uint64_t k)
{
	return a64_k(t, IR_CONST, type, 0, type == IR_I32 ? (uint32_t)k : k);
}

static inline ir_val a64_op1(struct a64 *t, unsigned int opc, unsigned int type, ir_val a)
{
	return a64_op(t, opc, type, 0, a, IR_NONE, IR_NONE, 0);
}

static inline ir_val a64_op2(struct a64 *t, unsigned int opc, unsigned int type, ir_val a, ir_val b)
{
	return a64_op(t, opc, type, 0, a, b, IR_NONE, 0);
}

static inline ir_val a64_get(struct a64 *t, unsigned int type, uint16_t slot)
{
	return a64_op(t, IR_GET, type, 0, IR_NONE, IR_NONE, IR_NONE, slot);
}

static inline void a64_put(struct a64 *t, unsigned int type, uint16_t slot, ir_val v)
{
	a64_op(t, IR_PUT, type, 0, v, IR_NONE, IR_NONE, slot);
}

/*
 * General registers: @sf chooses X or W. Register 31 is the zero register, or the stack pointer in
 * the _sp forms.
 */
ir_val a64_x(struct a64 *t, bool sf, unsigned int n);
ir_val a64_x_sp(struct a64 *t, bool sf, unsigned int n);
/* W: upper half becomes 0 */
void a64_set_x(struct a64 *t, bool sf, unsigned int n, ir_val v);
void a64_set_x_sp(struct a64 *t, bool sf, unsigned int n, ir_val v);

/* Base register of a load or store: SP with its alignment check (SPCHECK) when n is 31. I64. */
ir_val a64_base(struct a64 *t, unsigned int n);

ir_val a64_flags(struct a64 *t);
void a64_set_flags(struct a64 *t, ir_val f);

static inline ir_val a64_v(struct a64 *t, unsigned int n)
{
	return a64_get(t, IR_V128, CPU_SLOT_V(n));
}

static inline void a64_set_v(struct a64 *t, unsigned int n, ir_val v)
{
	a64_put(t, IR_V128, CPU_SLOT_V(n), v);
}

/* A vector op over vec_ops.def (or VDUP… of ir_ops.def). */
static inline ir_val a64_vop(struct a64 *t, unsigned int opc, unsigned int lane, unsigned int shape,
			     ir_val a, ir_val b, ir_val c, int32_t imm)
{
	return a64_op(t, opc, IR_V128, IR_LANES(lane, shape), a, b, c, imm);
}

/* Guest address: this instruction's PC + @delta. */
ir_val a64_pcrel(struct a64 *t, int64_t delta);

/* Memory. The descriptor is copied (be is filled in from the mode). */
ir_val a64_load(struct a64 *t, unsigned int type, const struct mem_desc *d, ir_val base,
		ir_val index);
ir_val a64_load_hi(struct a64 *t, ir_val load);
void a64_store(struct a64 *t, const struct mem_desc *d, ir_val base, ir_val index_or_second,
	       ir_val value);
/* index for aux of RMW, CAS, STX, PROBE */
uint8_t a64_mem(struct a64 *t, const struct mem_desc *d);

/* Helpers: number in a64_helpers[] of helpers.c. */
ir_val a64_call(struct a64 *t, unsigned int helper, ir_val a, ir_val b, ir_val c);

/*
 * If FP/SIMD is trapped in this mode: emits the trap, ends the block and returns false; the caller
 * returns true at once.
 */
bool a64_fp_enabled(struct a64 *t);

/* Ways out; each ends the block (a64_side does not). @delta is from this instruction. */
void a64_jump(struct a64 *t, int64_t delta, enum ir_jump kind);
void a64_jump_ind(struct a64 *t, ir_val target, enum ir_jump kind);
void a64_side(struct a64 *t, unsigned int opc, unsigned int type, unsigned int aux, ir_val a,
	      int64_t delta);
void a64_exception(struct a64 *t, uint32_t esr, bool returns_to_next);
void a64_leave(struct a64 *t, enum ir_leave kind, uint32_t imm);
void a64_undefined(struct a64 *t);

/* helpers.c */
enum a64_helper {
#define HELPER(name, props) A64_H_##name,
#include "engine/front/a64/helpers.def"
#undef HELPER
	A64_NR_HELPERS
};
extern const struct ir_helper a64_helpers[A64_NR_HELPERS];

#endif
