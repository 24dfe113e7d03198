/* SPDX-License-Identifier: MIT */
/*
 * Add, multiply, divide, square root and the fused steps: exact values of the operands, special
 * cases in the order of the pseudocode, one rounding.
 */
#include "cpu/fp/fp_core.h"

FP_INLINE bool fp_is_inf_times_zero(struct fp_num a, struct fp_num b)
{
	return (a.class == FP_CLASS_INF && b.class == FP_CLASS_ZERO) ||
	       (a.class == FP_CLASS_ZERO && b.class == FP_CLASS_INF);
}

/* FPAdd; FPSub negates the second operand only after its NaN has been dealt with. */
FP_INLINE uint64_t fp_add_sub(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b,
			      bool subtract)
{
	struct fp_num na = fp_unpack(f, env, a), nb = fp_unpack(f, env, b);
	bool inf_a = na.class == FP_CLASS_INF, inf_b = nb.class == FP_CLASS_INF;
	uint64_t result;

	if (fp_process_nans(f, env, na, nb, a, b, &result))
		return result;
	nb.sign ^= subtract;
	if (inf_a && inf_b && na.sign != nb.sign)
		return fp_invalid(f, env);
	if (inf_a || inf_b)
		return fp_inf(f, inf_a ? na.sign : nb.sign);
	if (na.class == FP_CLASS_ZERO && nb.class == FP_CLASS_ZERO && na.sign == nb.sign)
		return fp_zero(f, na.sign);
	return fp_round_wide(f, env, fp_wide_sum(fp_widen(na), fp_widen(nb)));
}

FP_INLINE uint64_t fp_add(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b)
{
	return fp_add_sub(f, env, a, b, false);
}

FP_INLINE uint64_t fp_sub(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b)
{
	return fp_add_sub(f, env, a, b, true);
}

/* FPMul, and FPMulX where infinity times zero is two. */
FP_INLINE uint64_t fp_mul_mulx(const struct fp_format *f, struct fp_env *env, uint64_t a,
			       uint64_t b, bool extended)
{
	struct fp_num na = fp_unpack(f, env, a), nb = fp_unpack(f, env, b);
	bool sign = na.sign != nb.sign;
	uint64_t result;

	if (fp_process_nans(f, env, na, nb, a, b, &result))
		return result;
	if (fp_is_inf_times_zero(na, nb)) {
		if (!extended)
			return fp_invalid(f, env);
		return fp_zero(f, sign) | (uint64_t)(fp_bias(f) + 1) << f->frac_bits;
	}
	if (na.class == FP_CLASS_INF || nb.class == FP_CLASS_INF)
		return fp_inf(f, sign);
	if (na.class == FP_CLASS_ZERO || nb.class == FP_CLASS_ZERO)
		return fp_zero(f, sign);
	return fp_round_wide(f, env, fp_wide_product(na, nb));
}

FP_INLINE uint64_t fp_mul(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b)
{
	return fp_mul_mulx(f, env, a, b, false);
}

FP_INLINE uint64_t fp_mulx(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b)
{
	return fp_mul_mulx(f, env, a, b, true);
}

/* FPDiv */
FP_INLINE uint64_t fp_div(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b)
{
	struct fp_num na = fp_unpack(f, env, a), nb = fp_unpack(f, env, b);
	bool sign = na.sign != nb.sign;
	uint64_t result, quotient;
	fp_u128 dividend;

	if (fp_process_nans(f, env, na, nb, a, b, &result))
		return result;
	if (na.class == nb.class && na.class != FP_CLASS_FINITE)
		return fp_invalid(f, env);
	if (na.class == FP_CLASS_INF || nb.class == FP_CLASS_ZERO) {
		if (na.class != FP_CLASS_INF)
			env->fpsr |= FP_SR_DZC;
		return fp_inf(f, sign);
	}
	if (na.class == FP_CLASS_ZERO || nb.class == FP_CLASS_INF)
		return fp_zero(f, sign);

	/* Scale the dividend so that bit 63 is the quotient's highest. */
	na.exp -= nb.exp;
	dividend = (fp_u128)na.frac << 63;
	if (na.frac < nb.frac) {
		dividend <<= 1;
		na.exp--;
	}
	quotient = (uint64_t)(dividend / nb.frac);
	quotient |= (fp_u128)quotient * nb.frac != dividend;
	return fp_round(f, env, sign, na.exp, quotient, fp_rmode(env));
}

/* FPSqrt: the root by restoring digits, two more of them than the fraction has. */
FP_INLINE uint64_t fp_sqrt(const struct fp_format *f, struct fp_env *env, uint64_t a)
{
	struct fp_num n = fp_unpack(f, env, a);
	int i, digits = f->frac_bits + 2;
	uint64_t root = 0, rem = 0;

	if (fp_is_nan(n))
		return fp_process_nan(f, env, n, a);
	if (n.class == FP_CLASS_ZERO)
		return fp_zero(f, n.sign);
	if (n.sign)
		return fp_invalid(f, env);
	if (n.class == FP_CLASS_INF)
		return fp_inf(f, false);

	/* With an even exponent the radicand is frac / 2^62, two digits before the point. */
	if (!(n.exp & 1))
		n.frac >>= 1;
	for (i = 0; i < digits; i++) {
		uint64_t trial = root << 2 | 1, digit;

		rem = rem << 2 | n.frac >> 62;
		n.frac <<= 2;
		/* Without a branch: digits are as random as can be. */
		digit = rem >= trial;
		rem -= trial & -digit;
		root = root << 1 | digit;
	}
	root = root << (64 - digits) | (rem != 0);
	return fp_round(f, env, false, (n.exp - (n.exp & 1)) / 2, root, fp_rmode(env));
}

/* FPProcessNaNs3 */
FP_INLINE uint64_t fp_process_nans3(const struct fp_format *f, struct fp_env *env,
				    const struct fp_num n[3], const uint64_t bits[3])
{
	int i;

	for (i = 0; i < 3; i++)
		if (n[i].class == FP_CLASS_SNAN)
			return fp_process_nan(f, env, n[i], bits[i]);
	for (i = 0; i < 2; i++)
		if (n[i].class == FP_CLASS_QNAN)
			break;
	return fp_process_nan(f, env, n[i], bits[i]);
}

/* FPMulAdd */
FP_INLINE uint64_t fp_muladd(const struct fp_format *f, struct fp_env *env, uint64_t addend,
			     uint64_t a, uint64_t b)
{
	const struct fp_num n[3] = {fp_unpack(f, env, addend), fp_unpack(f, env, a),
				    fp_unpack(f, env, b)};
	const uint64_t bits[3] = {addend, a, b};
	bool inf_p = n[1].class == FP_CLASS_INF || n[2].class == FP_CLASS_INF;
	bool zero_p = n[1].class == FP_CLASS_ZERO || n[2].class == FP_CLASS_ZERO;
	bool sign_p = n[1].sign != n[2].sign;
	struct fp_wide product = {sign_p, 0, 0};

	if (fp_is_nan(n[0]) || fp_is_nan(n[1]) || fp_is_nan(n[2])) {
		/* An invalid product wins over a quiet addend. */
		if (n[0].class == FP_CLASS_QNAN && fp_is_inf_times_zero(n[1], n[2]))
			return fp_invalid(f, env);
		return fp_process_nans3(f, env, n, bits);
	}
	if (fp_is_inf_times_zero(n[1], n[2]) ||
	    (n[0].class == FP_CLASS_INF && inf_p && n[0].sign != sign_p))
		return fp_invalid(f, env);
	if (n[0].class == FP_CLASS_INF || inf_p)
		return fp_inf(f, inf_p ? sign_p : n[0].sign);
	if (n[0].class == FP_CLASS_ZERO && zero_p && n[0].sign == sign_p)
		return fp_zero(f, sign_p);
	if (!zero_p)
		product = fp_wide_product(n[1], n[2]);
	return fp_round_wide(f, env, fp_wide_sum(fp_widen(n[0]), product));
}

/*
 * FPRecipStepFused and FPRSqrtStepFused: @constant - a * b, the latter halved. The pseudocode
 * negates @a first, so a NaN comes out with its sign changed.
 */
FP_INLINE uint64_t fp_step(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b,
			   bool rsqrt)
{
	const uint64_t neg_a = a ^ fp_sign_bit(f);
	struct fp_num na = fp_unpack(f, env, neg_a), nb = fp_unpack(f, env, b);
	/* 2 is 1.0 * 2^1, 3 is 1.5 * 2^1 */
	struct fp_wide sum = {false, 1, (fp_u128)(rsqrt ? 3 : 2) << 125};
	uint64_t result;

	if (fp_process_nans(f, env, na, nb, neg_a, b, &result))
		return result;
	if (fp_is_inf_times_zero(na, nb)) {
		/* The constant itself: 2, or 3 / 2. */
		if (rsqrt)
			return (uint64_t)fp_bias(f) << f->frac_bits | fp_quiet_bit(f);
		return (uint64_t)(fp_bias(f) + 1) << f->frac_bits;
	}
	if (na.class == FP_CLASS_INF || nb.class == FP_CLASS_INF)
		return fp_inf(f, na.sign != nb.sign);
	if (na.class != FP_CLASS_ZERO && nb.class != FP_CLASS_ZERO)
		sum = fp_wide_sum(sum, fp_wide_product(na, nb));
	sum.exp -= rsqrt;
	return fp_round_wide(f, env, sum);
}

FP_INLINE uint64_t fp_recip_step(const struct fp_format *f, struct fp_env *env, uint64_t a,
				 uint64_t b)
{
	return fp_step(f, env, a, b, false);
}

FP_INLINE uint64_t fp_rsqrt_step(const struct fp_format *f, struct fp_env *env, uint64_t a,
				 uint64_t b)
{
	return fp_step(f, env, a, b, true);
}

#define FP_EXPORT_ARITH(N)                                                                \
	FP_EXPORT_BINARY(N, add, fp_add)                                                  \
	FP_EXPORT_BINARY(N, sub, fp_sub)                                                  \
	FP_EXPORT_BINARY(N, mul, fp_mul)                                                  \
	FP_EXPORT_BINARY(N, mulx, fp_mulx)                                                \
	FP_EXPORT_BINARY(N, div, fp_div)                                                  \
	FP_EXPORT_UNARY(N, sqrt, fp_sqrt)                                                 \
	FP_EXPORT_BINARY(N, recip_step, fp_recip_step)                                    \
	FP_EXPORT_BINARY(N, rsqrt_step, fp_rsqrt_step)                                    \
	uint##N##_t fp##N##_muladd(struct fp_env *env, uint##N##_t addend, uint##N##_t a, \
				   uint##N##_t b)                                         \
	{                                                                                 \
		return (uint##N##_t)fp_muladd(&fp_format##N, env, addend, a, b);          \
	}

FP_EXPORT_ARITH(16)
FP_EXPORT_ARITH(32)
FP_EXPORT_ARITH(64)
