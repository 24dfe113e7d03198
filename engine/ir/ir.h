/* SPDX-License-Identifier: MIT */
/*
 * The intermediate representation: what a guest block means.
 *
 * Terms: an op is 16 bytes and defines at most one temp, named by the op's index; temps are
 * assigned once and live only within their block. A slot is a byte offset in struct cpu, read by
 * GET and written by PUT. A block starts at one guest PC and is position-independent: guest
 * addresses are relative to the PC at which it was entered (PCREL, exits).
 *
 * What must hold:
 *  - No PUT of a guest instruction comes before its last op with IRP_FAULT: starting it again is
 *    exact.
 *  - cpu->pc is the block's start PC while a block runs; each way out makes it exact.
 *  - A path retires the instructions up to the one that its last op belongs to, that one included;
 *    but an EXCEPTION that returns to its instruction (aux 0) and a fault do not count their own.
 *    For example, of a block LDR, CBZ, SVC: a fault of the LDR retires 0, the CBZ taken 2, the SVC
 *    (aux 1) 3; with BRK in its place (aux 0), 2.
 *  - Instruction semantics stand in the front end and in the ops' one definition each (int_ops.h,
 *    vec/, cpu/), nowhere else.
 */
#ifndef ENGINE_IR_H
#define ENGINE_IR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cpu/access.h"

typedef uint16_t ir_val; /* a temp: index of the op that defines it */
#define IR_NONE ((ir_val)0xffff)

enum ir_type { IR_I32, IR_I64, IR_V128, IR_FLAGS };

enum ir_opc {
#define OP(name, operands, props) IR_##name,
#include "engine/ir/ir_ops.def"
#undef OP
	IR_SCALAR_OPS,
	IR_VEC_FIRST = IR_SCALAR_OPS,
#define VOP(name, operands, props) IR_V_##name,
#include "engine/vec/vec_ops.def"
#undef VOP
	IR_NR_OPS
};

enum ir_cond {
	IR_EQ,
	IR_NE,
	IR_CS,
	IR_CC,
	IR_MI,
	IR_PL,
	IR_VS,
	IR_VC,
	IR_HI,
	IR_LS,
	IR_GE,
	IR_LT,
	IR_GT,
	IR_LE,
	IR_AL,
	IR_NV
};
enum ir_jump { IR_BRANCH, IR_CALLS, IR_RETURN, IR_FALLTHROUGH };
enum ir_fence { IR_FENCE_FULL, IR_FENCE_LD, IR_FENCE_ST };
enum ir_leave {
	/* context synchronisation: next instruction under the new mode; interrupts are looked at */
	IR_LEAVE_SYNC,
	IR_LEAVE_ERET,
	IR_LEAVE_HVC, /* imm */
	IR_LEAVE_SMC, /* imm; PC stays AT the instruction */
	IR_LEAVE_WFI,
	IR_LEAVE_WFE,
	IR_LEAVE_YIELD,
	/* PSTATE.DAIF was written, D too, which decides on the mode; then as SYNC */
	IR_LEAVE_DAIF,
};

/*
 * Lanes and shapes of vector ops. Float lanes share the numbers of the integer lanes of their size.
 */
enum ir_lane { IR_B, IR_H, IR_S, IR_D, IR_Q };
enum ir_shape { IR_SCALAR, IR_HALF, IR_FULL }; /* one lane; 64 bits; 128 bits */
#define IR_LANES(lane, shape) ((uint8_t)((lane) | (shape) << 4))
#define IR_LANE(aux)          ((aux)&15)
#define IR_SHAPE(aux)         ((aux) >> 4)

struct ir_op {
	uint16_t opc;
	/* of the result (of the operands, for flag producers and side exits) */
	uint8_t type;
	uint8_t aux;
	uint16_t insn; /* index of the guest instruction in the block */
	ir_val a;
	union {
		struct {
			ir_val b, c;
			int32_t imm;
		};
		uint64_t k; /* CONST, PCREL, VCONST: no operands */
	};
};
_Static_assert(sizeof(struct ir_op) == 16, "an op is 16 bytes");

#define IR_MAX_OPS   2048
#define IR_MAX_MEM   255
#define IR_MAX_INSNS 96

struct ir_block {
	uint64_t pc_offset; /* of the first instruction in its physical page, bytes */
	uint32_t mode;      /* CPU_MODE_* */
	uint16_t nr_insns;
	uint16_t nr_ops;
	uint16_t nr_mem;
	bool path; /* made of a struct ir_path */
	/*
	 * Where each instruction begins, in bytes from the first one. The entry behind the last
	 * instruction is the block's size.
	 */
	int32_t insn_offset[IR_MAX_INSNS + 1];
	/* The guest's bytes that it was made from: where they begin, from the first instruction. */
	int32_t guest_first;
	uint16_t guest_size;
	/* What CALLs name by their imm: the front end's table. */
	const struct ir_helper *helpers;
	unsigned int nr_helpers;
	struct ir_op op[IR_MAX_OPS];
	struct mem_desc mem[IR_MAX_MEM];
};

/*
 * A way through the code of a page that was seen to be taken: runs of instructions one behind the
 * other, each of which leads to the next one's beginning.
 */
#define IR_MAX_RUNS 24
struct ir_path {
	unsigned int nr;
	struct {
		uint16_t offset; /* of the first instruction in the page, bytes */
		uint16_t nr_insns;
	} run[IR_MAX_RUNS];
};

/*
 * C functions that ops CALL. Return CPU_EXIT_NONE, CPU_FAULT or an exit reason (then PC stays at
 * the instruction).
 */
typedef int ir_helper_fn(struct cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t *result);

enum ir_props {
	/* may fault or leave the guest: its instruction has not PUT anything before it */
	IRP_FAULT = 1 << 0,
	IRP_END = 1 << 1,    /* ends the path */
	IRP_SIDE = 1 << 2,   /* a side exit */
	IRP_READS = 1 << 3,  /* reads state slots that it does not name */
	IRP_WRITES = 1 << 4, /* writes such slots */
	IRP_FP = 1 << 5,     /* works under FPCR and accumulates FPSR */
	IRP_MEM = 1 << 6,    /* touches guest memory; aux is its descriptor */
};

struct ir_op_info {
	const char *name;
	const char *operands;
	unsigned int props;
};
const struct ir_op_info *ir_op_info(unsigned int opc);

/* Properties of an op of @b: a CALL's are its helper's. */
unsigned int ir_props(const struct ir_block *b, const struct ir_op *o);

/* Whether an op's second half is the constant k, so that a, b, c name no temps. */
static inline bool ir_has_k(const struct ir_op *o)
{
	return o->opc == IR_CONST || o->opc == IR_PCREL || o->opc == IR_VCONST;
}

/* Type of the temp that @o defines: a flag producer's type is that of its operands. */
unsigned int ir_result_type(const struct ir_op *o);

/*
 * Vector ops of vec/vec_ops.def: one C function for each (op, lane, shape), which is the op's
 * meaning for every executor.
 * @d may be the same register as an operand. imm is the op's. Writes all 16 bytes of @d.
 */
typedef void vec_fn(struct cpu *cpu, union vreg *d, const union vreg *a, const union vreg *b,
		    const union vreg *c, int32_t imm);
/* NULL: no such combination */
vec_fn *vec_function(unsigned int opc, unsigned int lane, unsigned int shape);

struct ir_helper {
	const char *name;
	ir_helper_fn *fn;
	unsigned int props; /* IRP_FAULT, IRP_READS, IRP_WRITES */
};

void ir_dump(const struct ir_block *b, FILE *f);
/*
 * Check the invariants (operand kinds, single assignment, precise-state rule); a message in @why or
 * NULL.
 */
const char *ir_verify(const struct ir_block *b, char *why, size_t size);

#endif
