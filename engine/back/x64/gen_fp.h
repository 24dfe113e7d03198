/* SPDX-License-Identifier: MIT */
/* What the files that generate floating point share; gen_fp.c has the rules. */
#ifndef ENGINE_X64_GEN_FP_H
#define ENGINE_X64_GEN_FP_H

#include "engine/back/x64/x64.h"

/* What an op works on. */
struct x64_shape {
	bool wide;   /* double precision */
	bool scalar; /* one lane: HALF of a double is that, too */
	unsigned int shape, bytes;
};
struct x64_shape x64_fp_shape(const struct ir_op *o);
/* Is its lane of single or double precision? */
bool x64_fp_is_sd(const struct ir_op *o);
/* And may the host do it? */
bool x64_fp_by_host(const struct x64_compiler *g, const struct ir_op *o);

/* How many bytes of @v are not known to be zero, from the lowest. */
unsigned int x64_fp_bytes(const struct x64_compiler *g, ir_val v);
/* d = the lowest bytes of a, zero above. */
void x64_fp_narrow_to(struct x64_compiler *g, unsigned int bytes, unsigned int d, unsigned int a);
/* A register with @v, which is in @reg, zero above: that one, or @scratch. */
unsigned int x64_fp_narrow(struct x64_compiler *g, unsigned int bytes, ir_val v, unsigned int reg,
			   unsigned int scratch);

/* A row for rare cases, and the jumps that lead to it. */
struct x64_rare {
	struct x64_row *r;
	uint8_t *from[3];
	unsigned int nr;
};
void x64_rare_if(struct x64_compiler *g, struct x64_rare *rare, enum x64_cc cc);
void x64_rare_end(struct x64_compiler *g, const struct x64_rare *rare);
/* The row that calls the op's function. Operands are in use; the result's register is *d. */
struct x64_rare x64_fp_exact(struct x64_compiler *g, const struct ir_op *o, unsigned int *d);

/* Jump if a lane of @d needs the second look. */
enum x64_second_look { X64_OF_NAN, X64_OF_NAN_OR_MIN };
void x64_fp_look(struct x64_compiler *g, struct x64_rare *rare, struct x64_shape s,
		 enum x64_second_look of, unsigned int d);
/* Jump if a lane of @a or @b is a NaN. By way of xmm13. */
void x64_fp_compare_nan(struct x64_compiler *g, struct x64_rare *rare, struct x64_shape s,
			unsigned int a, unsigned int b);

#endif
