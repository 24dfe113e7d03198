/* SPDX-License-Identifier: MIT */
/*
 * Conversions between floating point and integer registers, and comparisons to flags: the ops of
 * ir_ops.def that work under FPCR.
 */
#include "cpu/fp/fp_fast.h"
#include "engine/vec/vec_impl.h"

/* Towards zero, without fraction bits, as C converts. */
static uint64_t ftoi_fast32(struct fp_env *env, uint32_t a, bool is64, bool is_signed)
{
	if (is64)
		return is_signed ? fp_fast32_to_sint64(env, a) : fp_fast32_to_uint64(env, a);
	return is_signed ? fp_fast32_to_sint32(env, a) : fp_fast32_to_uint32(env, a);
}

static uint64_t ftoi_fast64(struct fp_env *env, uint64_t a, bool is64, bool is_signed)
{
	if (is64)
		return is_signed ? fp_fast64_to_sint64(env, a) : fp_fast64_to_uint64(env, a);
	return is_signed ? fp_fast64_to_sint32(env, a) : fp_fast64_to_uint32(env, a);
}

uint64_t vec_ftoi(struct cpu *cpu, const union vreg *a, unsigned int lane, bool is64, int32_t imm)
{
	struct fp_env *env = vec_env(cpu);
	bool is_signed = imm & VEC_IMM_SIGNED;
	unsigned int width = is64 ? 64 : 32, fbits = VEC_IMM_FBITS(imm);
	enum fp_round round = vec_rounding(env, imm);

	if (vec_fast(cpu) && round == FP_RZ && !fbits) {
		if (lane == IR_D)
			return ftoi_fast64(env, a->d[0], is64, is_signed);
		if (lane == IR_S)
			return ftoi_fast32(env, a->s[0], is64, is_signed);
	}
	if (lane == IR_D)
		return is_signed ? fp64_to_sint(env, a->d[0], width, fbits, round)
				 : fp64_to_uint(env, a->d[0], width, fbits, round);
	if (lane == IR_S)
		return is_signed ? fp32_to_sint(env, a->s[0], width, fbits, round)
				 : fp32_to_uint(env, a->s[0], width, fbits, round);
	return is_signed ? fp16_to_sint(env, a->h[0], width, fbits, round)
			 : fp16_to_uint(env, a->h[0], width, fbits, round);
}

void vec_itof(struct cpu *cpu, union vreg *d, uint64_t x, unsigned int lane, int32_t imm)
{
	struct fp_env *env = vec_env(cpu);
	bool is_signed = imm & VEC_IMM_SIGNED, fast = vec_fast(cpu) && !VEC_IMM_FBITS(imm);
	unsigned int fbits = VEC_IMM_FBITS(imm);
	enum fp_round round = fp_rmode(env);
	uint64_t r;

	if (lane == IR_D && fast)
		r = is_signed ? fp_fast64_from_sint(env, (int64_t)x) : fp_fast64_from_uint(env, x);
	else if (lane == IR_S && fast)
		r = is_signed ? fp_fast32_from_sint(env, (int64_t)x) : fp_fast32_from_uint(env, x);
	else if (lane == IR_D)
		r = is_signed ? fp64_from_sint(env, (int64_t)x, fbits, round)
			      : fp64_from_uint(env, x, fbits, round);
	else if (lane == IR_S)
		r = is_signed ? fp32_from_sint(env, (int64_t)x, fbits, round)
			      : fp32_from_uint(env, x, fbits, round);
	else
		r = is_signed ? fp16_from_sint(env, (int64_t)x, fbits, round)
			      : fp16_from_uint(env, x, fbits, round);
	*d = (union vreg){.d = {r, 0}};
}

uint32_t vec_fcmp(struct cpu *cpu, const union vreg *a, const union vreg *b, unsigned int lane,
		  int32_t imm)
{
	static const union vreg zero;
	struct fp_env *env = vec_env(cpu);
	bool signal = imm & VEC_FCMP_SIGNAL, fast = vec_fast(cpu);
	unsigned int nzcv;

	if (imm & VEC_FCMP_ZERO)
		b = &zero;
	if (lane == IR_D)
		nzcv = fast ? fp_fast64_compare(env, a->d[0], b->d[0], signal)
			    : fp64_compare(env, a->d[0], b->d[0], signal);
	else if (lane == IR_S)
		nzcv = fast ? fp_fast32_compare(env, a->s[0], b->s[0], signal)
			    : fp32_compare(env, a->s[0], b->s[0], signal);
	else
		nzcv = fp16_compare(env, a->h[0], b->h[0], signal);
	return nzcv << 28;
}
