/* SPDX-License-Identifier: MIT */
/*
 * The meaning of the IR's vector and floating-point operations, as C functions.
 *
 * vec_function() of engine/ir/ir.h finds the function of a vector op. Here are those ops of
 * ir_ops.def that work under FPCR, which have integer operands or results. All of them accumulate
 * exceptions in cpu->fpsr, or in the host's sticky flags as cpu/fp/fp_fast.h says.
 */
#ifndef ENGINE_VEC_VEC_H
#define ENGINE_VEC_VEC_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"

/* A rounding in an immediate is one of enum fp_round, or this: FPCR.RMode's. */
#define VEC_ROUND_FPCR 7

/* FPSR.QC: an integer operation has saturated */
#define VEC_FPSR_QC (1u << 27)

/* Fields of the immediates of FTOI, ITOF, FTOS, FTOU, STOF, UTOF */
#define VEC_IMM_SIGNED      (1 << 4)
#define VEC_IMM_FBITS_SHIFT 8
#define VEC_IMM_FBITS(imm)  ((unsigned int)(imm) >> VEC_IMM_FBITS_SHIFT)
#define VEC_IMM_ROUND(imm)  ((unsigned int)(imm)&7)

/* Immediate of FRINT: inexact is signalled */
#define VEC_IMM_EXACT (1 << 4)

/* Immediate of FCMP */
#define VEC_FCMP_SIGNAL 1
#define VEC_FCMP_ZERO   2

/**
 * vec_ftoi() - FTOI: lane 0 of @a to an integer, saturating.
 * @lane: IR_H, IR_S, IR_D
 * @is64: the op's type is I64; else the result is 32 bits, zero-extended
 * @imm:  the op's: rounding | signed << 4 | fbits << 8
 */
uint64_t vec_ftoi(struct cpu *cpu, const union vreg *a, unsigned int lane, bool is64, int32_t imm);

/**
 * vec_itof() - ITOF: a 64-bit integer to lane 0 of @d, zero above. FPCR's rounding.
 * @x:    64 bits; whoever converts 32 bits has extended them
 * @lane: IR_H, IR_S, IR_D
 * @imm:  the op's: signed << 4 | fbits << 8
 */
void vec_itof(struct cpu *cpu, union vreg *d, uint64_t x, unsigned int lane, int32_t imm);

/**
 * vec_fcmp() - FCMP: compare lane 0 of @a and @b.
 * @b:   NULL when @imm says that it is zero
 * @imm: VEC_FCMP_SIGNAL, VEC_FCMP_ZERO
 *
 * Return: N Z C V in bits 31:28, others 0.
 */
uint32_t vec_fcmp(struct cpu *cpu, const union vreg *a, const union vreg *b, unsigned int lane,
		  int32_t imm);

#endif
