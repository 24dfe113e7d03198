/* SPDX-License-Identifier: MIT */
/*
 * The encoder of x86-64 instructions: a table of rows (enc.def) and a few emitters, one for each
 * kind of operands.
 *
 * An emitter writes one instruction at b->p, whole or not at all. A buffer that is full stays full
 * and takes nothing more: who emits looks at b->full once, at the end. Registers are numbers, of
 * general registers (enum x64_gpr) or XMM registers (0 to 15) as the row has them. @w chooses the
 * operand size of rows that have both: 0 for 32 bits (the upper half of the result is zero), 1 for
 * 64. What cannot be encoded is the caller's fault, and an assertion fails.
 *
 * A buffer is one thread's.
 *
 * Sources: AMD64 Architecture Programmer's Manual, volumes 3 and 4; Intel SDM volume 2.
 */
#ifndef ENGINE_X64_ENC_H
#define ENGINE_X64_ENC_H

#include <stdbool.h>
#include <stdint.h>

enum x64_gpr {
	RAX,
	RCX,
	RDX,
	RBX,
	RSP,
	RBP,
	RSI,
	RDI,
	R8,
	R9,
	R10,
	R11,
	R12,
	R13,
	R14,
	R15,
};

/* Conditions, as Jcc, SETcc and CMOVcc number them. */
enum x64_cc {
	X64_O,
	X64_NO,
	X64_B,
	X64_AE,
	X64_E,
	X64_NE,
	X64_BE,
	X64_A,
	X64_S,
	X64_NS,
	X64_P,
	X64_NP,
	X64_L,
	X64_GE,
	X64_LE,
	X64_G,
};

enum x64_op {
#define X64(name, ...) X64_##name,
#include "engine/back/x64/enc.def"
#undef X64
	X64_NR_OPS
};

struct x64_buf {
	uint8_t *p, *end;
	bool full;
};

#define X64_NO_REG 0xff

/*
 * [base + (index << scale) + disp], without a base or an index where that is X64_NO_REG; the
 * displacement is sign-extended. RSP cannot be an index.
 */
struct x64_mem {
	uint8_t base, index, scale;
	int32_t disp;
};

static inline struct x64_mem x64_at(unsigned int base, int32_t disp)
{
	return (struct x64_mem){(uint8_t)base, X64_NO_REG, 0, disp};
}

static inline struct x64_mem x64_at_index(unsigned int base, unsigned int index, unsigned int scale,
					  int32_t disp)
{
	return (struct x64_mem){(uint8_t)base, (uint8_t)index, (uint8_t)scale, disp};
}

/* [rip + disp]: from the end of the instruction, whose last bytes the displacement must be. */
#define X64_RIP 0xfe
static inline struct x64_mem x64_rip(int32_t disp)
{
	return (struct x64_mem){X64_RIP, X64_NO_REG, 0, disp};
}

/*
 * Two operands: the ModRM reg field's and the rm field's, which is a register (rr) or memory (rm).
 * Whether reg is written or rm is a matter of the row: MOV is "reg = rm", MOV_ST "rm = reg".
 * Rows of kind RM (and, with VEX, rows without a third operand).
 */
void x64_rr(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int rm);
void x64_rm(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, struct x64_mem m);

/* The same with an immediate of 8 bits behind (of 32 bits for IMUL_I; 8 where that is enough). */
void x64_rri(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int rm,
	     int32_t imm);
void x64_rmi(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, struct x64_mem m,
	     int32_t imm);

/* One operand, in rm; the reg field is part of the opcode (kind D): NOT, NEG, MUL, DIV, JMP *... */
void x64_r(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int rm);
void x64_m(struct x64_buf *b, enum x64_op op, unsigned int w, struct x64_mem m);

/* One operand and an immediate (kind DI): ADD_I ... CMP_I choose 8 or 32 bits; SHL_I ... BT_I 8. */
void x64_ri(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int rm, int32_t imm);
void x64_mi(struct x64_buf *b, enum x64_op op, unsigned int w, struct x64_mem m, int32_t imm);

/*
 * Three operands (VEX): reg = vvvv op rm, in the order of Intel's syntax but for the shifts by
 * register (SHLX, SHRX, SARX), BEXTR and BZHI, whose count is in vvvv; @v is always vvvv.
 */
void x64_rvr(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int v,
	     unsigned int rm);
void x64_rvm(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int v,
	     struct x64_mem m);
void x64_rvri(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int v,
	      unsigned int rm, unsigned int imm);
void x64_rvmi(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int v,
	      struct x64_mem m, unsigned int imm);
/* Shifts of vectors by an immediate: v = rm shifted (kind VD: opcode extension in reg). */
void x64_vri(struct x64_buf *b, enum x64_op op, unsigned int v, unsigned int rm, unsigned int imm);
/* Four registers: VPBLENDVB, VBLENDVPD: reg = mask ? rm : v. */
void x64_rvrr(struct x64_buf *b, enum x64_op op, unsigned int reg, unsigned int v, unsigned int rm,
	      unsigned int mask);

/* No operands: CQO, LAHF, SAHF, CMC, RET, MFENCE, LFENCE, UD2 ... (kind N) */
void x64_n(struct x64_buf *b, enum x64_op op, unsigned int w);

/*
 * Constants, by the shortest of the forms that keep the flags: mov r32, imm32; mov r64, simm32;
 * movabs.
 */
void x64_mov_imm(struct x64_buf *b, unsigned int reg, uint64_t k);

/* Conditions: SETcc r8 (the byte only), CMOVcc reg, rm. */
void x64_setcc(struct x64_buf *b, enum x64_cc cc, unsigned int rm);
void x64_cmovcc(struct x64_buf *b, enum x64_cc cc, unsigned int w, unsigned int reg,
		unsigned int rm);
void x64_cmovcc_m(struct x64_buf *b, enum x64_cc cc, unsigned int w, unsigned int reg,
		  struct x64_mem m);

/* The bytes of a register in the other order. */
void x64_bswap(struct x64_buf *b, unsigned int w, unsigned int reg);

void x64_push(struct x64_buf *b, unsigned int reg);
void x64_pop(struct x64_buf *b, unsigned int reg);

/*
 * Jumps with a displacement of 32 bits. They return where it is, for x64_patch(); NULL when the
 * buffer is full. @aligned: the displacement lies at a multiple of 4 (NOPs come before), so that
 * one store changes it while others run through it. Until then they lead to what follows them.
 */
uint8_t *x64_jmp(struct x64_buf *b, bool aligned);
uint8_t *x64_call(struct x64_buf *b);
uint8_t *x64_jcc(struct x64_buf *b, enum x64_cc cc);
/*
 * Let the jump whose displacement is at @at lead to @to, within 2 GB; where @at is aligned, with
 * one store. NULL, as a full buffer gave it, is no jump, and nothing is done.
 */
void x64_patch(uint8_t *at, const uint8_t *to);
/* Jumps to a place that is known: 8 bits where that is enough. */
void x64_jmp_to(struct x64_buf *b, const uint8_t *to);
void x64_jcc_to(struct x64_buf *b, enum x64_cc cc, const uint8_t *to);
/* Jumps of 8 bits forward over at most 127 bytes: x64_short_end() lets them lead to b->p. */
uint8_t *x64_jcc_short(struct x64_buf *b, enum x64_cc cc);
uint8_t *x64_jmp_short(struct x64_buf *b);
void x64_short_end(struct x64_buf *b, uint8_t *at);
/* NOPs up to a multiple of @n (a power of two). */
void x64_align(struct x64_buf *b, unsigned int n);

#endif
