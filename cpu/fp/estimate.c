/* SPDX-License-Identifier: MIT */
/*
 * Reciprocal and reciprocal square root estimates, and the exponent's reciprocal. The architecture
 * fixes their 8 bits of result exactly: they are computed here by its own integer recipes.
 */
#include "cpu/fp/fp_core.h"

/* An estimate is 256..511 for 1.0..2.0: a leading one and this many bits. */
#define FP_ESTIMATE_BITS 8
/* The part of a normalised fraction that the recipes look at: a leading one and 8 bits. */
#define FP_SCALED_SHIFT (63 - FP_ESTIMATE_BITS)

/* RecipEstimate: @a is 256..511 for 0.5..1.0; returns 256..511. */
static unsigned fp_recip_estimate_fixed(unsigned a)
{
	unsigned b = (1u << 19) / (a * 2 + 1);

	return (b + 1) / 2;
}

/* RecipSqrtEstimate: @a is 128..511 for 0.25..1.0; returns 256..511. */
static unsigned fp_rsqrt_estimate_fixed(unsigned a)
{
	unsigned low = 512, high = 1024;

	if (a < 256)
		a = a * 2 + 1;
	else
		a = ((a >> 1 << 1) + 1) * 2;
	/* The largest b from 512 up with a * b^2 < 2^28: that of 512 is below, that of 1024 not. */
	while (high - low > 1) {
		unsigned mid = (low + high) / 2;

		if ((uint64_t)a * mid * mid < 1u << 28)
			low = mid;
		else
			high = mid;
	}
	return (low + 1) / 2;
}

/* A positive result from a biased exponent, which may be 0 or -1 (denormal), and an estimate. */
FP_INLINE uint64_t fp_estimate_pack(const struct fp_format *f, int biased, unsigned estimate)
{
	uint64_t mant = (uint64_t)estimate << (f->frac_bits - FP_ESTIMATE_BITS);

	if (biased < 1)
		return mant >> (1 - biased);
	return mant + ((uint64_t)(biased - 1) << f->frac_bits);
}

/* FPRecipEstimate */
FP_INLINE uint64_t fp_recip_estimate(const struct fp_format *f, struct fp_env *env, uint64_t a)
{
	struct fp_num n = fp_unpack(f, env, a);
	int biased = 2 * fp_bias(f) - 1 - (n.exp + fp_bias(f));

	if (fp_is_nan(n))
		return fp_process_nan(f, env, n, a);
	if (n.class == FP_CLASS_INF)
		return fp_zero(f, n.sign);
	if (n.class == FP_CLASS_ZERO) {
		env->fpsr |= FP_SR_DZC;
		return fp_inf(f, n.sign);
	}
	if (biased < 1 && (env->fpcr & f->flush)) {
		env->fpsr |= FP_SR_UFC;
		return fp_zero(f, n.sign);
	}
	if (biased >= f->exp_max)
		return fp_overflow(f, env, n.sign, fp_rmode(env));
	return fp_zero(f, n.sign) |
	       fp_estimate_pack(f, biased,
				fp_recip_estimate_fixed((unsigned)(n.frac >> FP_SCALED_SHIFT)));
}

/* FPRSqrtEstimate */
FP_INLINE uint64_t fp_rsqrt_estimate(const struct fp_format *f, struct fp_env *env, uint64_t a)
{
	struct fp_num n = fp_unpack(f, env, a);
	int biased = n.exp + fp_bias(f);
	unsigned scaled;

	if (fp_is_nan(n))
		return fp_process_nan(f, env, n, a);
	if (n.class == FP_CLASS_ZERO) {
		env->fpsr |= FP_SR_DZC;
		return fp_inf(f, n.sign);
	}
	if (n.sign)
		return fp_invalid(f, env);
	if (n.class == FP_CLASS_INF)
		return fp_zero(f, false);
	/* The evenness of the exponent stays, so that the rest of it can be halved. */
	scaled = (unsigned)(n.frac >> (FP_SCALED_SHIFT + (biased & 1)));
	/* Never negative, as 3 * bias exceeds the largest exponent: the division truncates. */
	biased = (3 * fp_bias(f) - 1 - biased) / 2;
	return fp_estimate_pack(f, biased, fp_rsqrt_estimate_fixed(scaled));
}

/* FPRecpX */
FP_INLINE uint64_t fp_recpx(const struct fp_format *f, struct fp_env *env, uint64_t a)
{
	struct fp_num n = fp_unpack(f, env, a);
	int exp = (int)(a >> f->frac_bits) & f->exp_max;

	if (fp_is_nan(n))
		return fp_process_nan(f, env, n, a);
	exp = exp ? exp ^ f->exp_max : f->exp_max - 1;
	return fp_zero(f, n.sign) | (uint64_t)exp << f->frac_bits;
}

uint32_t fp_urecpe(uint32_t a)
{
	if (!(a >> 31))
		return ~0u;
	return fp_recip_estimate_fixed(a >> 23) << 23;
}

uint32_t fp_ursqrte(uint32_t a)
{
	if (!(a >> 30))
		return ~0u;
	return fp_rsqrt_estimate_fixed(a >> 23) << 23;
}

#define FP_EXPORT_ESTIMATE(N)                                 \
	FP_EXPORT_UNARY(N, recip_estimate, fp_recip_estimate) \
	FP_EXPORT_UNARY(N, rsqrt_estimate, fp_rsqrt_estimate) \
	FP_EXPORT_UNARY(N, recpx, fp_recpx)

FP_EXPORT_ESTIMATE(16)
FP_EXPORT_ESTIMATE(32)
FP_EXPORT_ESTIMATE(64)
