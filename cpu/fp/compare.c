/* SPDX-License-Identifier: MIT */
/*
 * Comparisons, maximum and minimum: operands are put in order by their bit patterns, after the
 * flush of denormals.
 */
#include "cpu/fp/fp_core.h"

/* A number that orders as the operand does; both zeros are 0. Not for NaNs. */
FP_INLINE int64_t fp_order(const struct fp_format *f, struct fp_num n, uint64_t bits)
{
	int64_t magnitude = (int64_t)(bits & (fp_sign_bit(f) - 1));

	if (n.class == FP_CLASS_ZERO)
		return 0;
	return n.sign ? -magnitude : magnitude;
}

/* FPCompare */
FP_INLINE unsigned fp_compare(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b,
			      bool signal)
{
	struct fp_num na = fp_unpack(f, env, a), nb = fp_unpack(f, env, b);
	int64_t order_a = fp_order(f, na, a), order_b = fp_order(f, nb, b);

	if (fp_is_nan(na) || fp_is_nan(nb)) {
		if (signal || na.class == FP_CLASS_SNAN || nb.class == FP_CLASS_SNAN)
			env->fpsr |= FP_SR_IOC;
		return FP_NZCV_UNORDERED;
	}
	if (order_a == order_b)
		return FP_NZCV_EQUAL;
	return order_a < order_b ? FP_NZCV_LESS : FP_NZCV_GREATER;
}

/* FPMax and FPMin. Of two zeros the more positive (or more negative) one is the result. */
FP_INLINE uint64_t fp_max_min(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b,
			      bool min)
{
	struct fp_num na = fp_unpack(f, env, a), nb = fp_unpack(f, env, b);
	int64_t order_a = fp_order(f, na, a), order_b = fp_order(f, nb, b);
	uint64_t result;
	bool take_a;

	if (fp_process_nans(f, env, na, nb, a, b, &result))
		return result;
	take_a = min ? order_a < order_b : order_a > order_b;
	/* A zero may come from a flushed denormal, so it is made anew. */
	if (take_a)
		return na.class == FP_CLASS_ZERO ? fp_zero(f, na.sign) : a;
	if (nb.class != FP_CLASS_ZERO)
		return b;
	if (na.class != FP_CLASS_ZERO)
		return fp_zero(f, nb.sign);
	return fp_zero(f, min ? na.sign || nb.sign : na.sign && nb.sign);
}

FP_INLINE uint64_t fp_max(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b)
{
	return fp_max_min(f, env, a, b, false);
}

FP_INLINE uint64_t fp_min(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b)
{
	return fp_max_min(f, env, a, b, true);
}

/* FPMaxNum and FPMinNum: a single quiet NaN is an infinity that loses. */
FP_INLINE uint64_t fp_maxnum_minnum(const struct fp_format *f, struct fp_env *env, uint64_t a,
				    uint64_t b, bool min)
{
	struct fp_num na = fp_unpack(f, env, a), nb = fp_unpack(f, env, b);

	if (na.class == FP_CLASS_QNAN && nb.class != FP_CLASS_QNAN)
		a = fp_inf(f, !min);
	else if (na.class != FP_CLASS_QNAN && nb.class == FP_CLASS_QNAN)
		b = fp_inf(f, !min);
	return fp_max_min(f, env, a, b, min);
}

FP_INLINE uint64_t fp_maxnum(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b)
{
	return fp_maxnum_minnum(f, env, a, b, false);
}

FP_INLINE uint64_t fp_minnum(const struct fp_format *f, struct fp_env *env, uint64_t a, uint64_t b)
{
	return fp_maxnum_minnum(f, env, a, b, true);
}

#define FP_EXPORT_COMPARE(N)                                                                    \
	FP_EXPORT_BINARY(N, max, fp_max)                                                        \
	FP_EXPORT_BINARY(N, min, fp_min)                                                        \
	FP_EXPORT_BINARY(N, maxnum, fp_maxnum)                                                  \
	FP_EXPORT_BINARY(N, minnum, fp_minnum)                                                  \
	unsigned fp##N##_compare(struct fp_env *env, uint##N##_t a, uint##N##_t b, bool signal) \
	{                                                                                       \
		return fp_compare(&fp_format##N, env, a, b, signal);                            \
	}                                                                                       \
	bool fp##N##_compare_eq(struct fp_env *env, uint##N##_t a, uint##N##_t b)               \
	{                                                                                       \
		return fp_compare(&fp_format##N, env, a, b, false) == FP_NZCV_EQUAL;            \
	}                                                                                       \
	bool fp##N##_compare_ge(struct fp_env *env, uint##N##_t a, uint##N##_t b)               \
	{                                                                                       \
		unsigned nzcv = fp_compare(&fp_format##N, env, a, b, true);                     \
                                                                                                \
		return nzcv == FP_NZCV_EQUAL || nzcv == FP_NZCV_GREATER;                        \
	}                                                                                       \
	bool fp##N##_compare_gt(struct fp_env *env, uint##N##_t a, uint##N##_t b)               \
	{                                                                                       \
		return fp_compare(&fp_format##N, env, a, b, true) == FP_NZCV_GREATER;           \
	}

FP_EXPORT_COMPARE(16)
FP_EXPORT_COMPARE(32)
FP_EXPORT_COMPARE(64)
