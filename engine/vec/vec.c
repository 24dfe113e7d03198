/* SPDX-License-Identifier: MIT */
/*
 * The table of the vector operations' functions: a column for each lane type and shape.
 */
#include "engine/ir/ir.h"
#include "engine/vec/vec_impl.h"

/* An op without a table of its own does not link. */
static const struct vec_fns *const vec_table[] = {
#define VOP(name, operands, props) [IR_V_##name - IR_VEC_FIRST] = &vec_fns_##name,
#include "engine/vec/vec_ops.def"
#undef VOP
};

vec_fn *vec_function(unsigned int opc, unsigned int lane, unsigned int shape)
{
	if (opc < IR_VEC_FIRST || opc >= IR_NR_OPS || lane >= VEC_NR_LANES ||
	    shape >= VEC_NR_SHAPES)
		return NULL;
	return vec_table[opc - IR_VEC_FIRST]->fn[lane][shape];
}
