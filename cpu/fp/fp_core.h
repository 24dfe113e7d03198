/* SPDX-License-Identifier: MIT */
/*
 * Taking floating-point numbers apart and putting them together: FPUnpack, FPRound and the rules
 * for NaNs, once for all formats. Private to cpu/fp.
 *
 * A number is unpacked to a sign, an exponent and a 64-bit fraction whose bit 63 is set:
 * |x| = frac / 2^63 * 2^exp, so 1 <= frac / 2^63 < 2. Intermediate results are exact (struct
 * fp_wide), or exact but for their last bit, which then is the OR of all bits beyond it ("jam");
 * rounding looks at no more than that. Functions take a format as a constant and are always
 * inlined, so each exported function is compiled for its format.
 */
#ifndef CPU_FP_FP_CORE_H
#define CPU_FP_FP_CORE_H

#include "cpu/fp/fp.h"

#define FP_INLINE static inline __attribute__((always_inline))

/**
 * struct fp_format - A floating-point format, and how FPCR and FPSR treat it
 * @width: bits in all
 * @frac_bits: stored bits of the fraction (F of the pseudocode)
 * @exp_max: the exponent field of all ones
 * @flush: the FPCR bit that flushes denormals of this format; 0 for none
 * @input_denorm: the FPSR bit for a flushed operand; 0 for none
 * @ieee: the largest exponent means infinity or NaN (not so in alternative half precision)
 */
struct fp_format {
	int width;
	int frac_bits;
	int exp_max;
	uint32_t flush;
	uint32_t input_denorm;
	bool ieee;
};

static const struct fp_format fp_format16 = {16, 10, 0x1f, FP_CR_FZ16, 0, true};
static const struct fp_format fp_format32 = {32, 23, 0xff, FP_CR_FZ, FP_SR_IDC, true};
static const struct fp_format fp_format64 = {64, 52, 0x7ff, FP_CR_FZ, FP_SR_IDC, true};
/* Half precision in conversions between formats: FZ16 does not apply (FPUnpackCV, FPRoundCV). */
static const struct fp_format fp_format16_cv = {16, 10, 0x1f, 0, 0, true};
static const struct fp_format fp_format16_alt = {16, 10, 0x1f, 0, 0, false};

enum fp_class { FP_CLASS_ZERO, FP_CLASS_FINITE, FP_CLASS_INF, FP_CLASS_QNAN, FP_CLASS_SNAN };

struct fp_num {
	enum fp_class class;
	bool sign;
	int exp;
	uint64_t frac;
};

typedef unsigned __int128 fp_u128;

/*
 * An exact intermediate: |x| = frac / 2^126 * 2^exp. An operand of fp_wide_sum() has bit 126 as the
 * highest that is set; frac is 0 for zero, and then exp means nothing.
 */
struct fp_wide {
	bool sign;
	int exp;
	fp_u128 frac;
};

FP_INLINE int fp_bias(const struct fp_format *f)
{
	return f->exp_max >> 1;
}

FP_INLINE uint64_t fp_sign_bit(const struct fp_format *f)
{
	return 1ull << (f->width - 1);
}

FP_INLINE uint64_t fp_quiet_bit(const struct fp_format *f)
{
	return 1ull << (f->frac_bits - 1);
}

FP_INLINE uint64_t fp_zero(const struct fp_format *f, bool sign)
{
	return sign ? fp_sign_bit(f) : 0;
}

FP_INLINE uint64_t fp_inf(const struct fp_format *f, bool sign)
{
	return fp_zero(f, sign) | (uint64_t)f->exp_max << f->frac_bits;
}

FP_INLINE uint64_t fp_max_normal(const struct fp_format *f, bool sign)
{
	return fp_inf(f, sign) - 1;
}

FP_INLINE uint64_t fp_default_nan(const struct fp_format *f)
{
	return fp_inf(f, false) | fp_quiet_bit(f);
}

/* The default NaN of an invalid operation. */
FP_INLINE uint64_t fp_invalid(const struct fp_format *f, struct fp_env *env)
{
	env->fpsr |= FP_SR_IOC;
	return fp_default_nan(f);
}

FP_INLINE bool fp_is_nan(struct fp_num n)
{
	return n.class >= FP_CLASS_QNAN;
}

/* FPUnpack, with the flush of denormal operands. */
FP_INLINE struct fp_num fp_unpack(const struct fp_format *f, struct fp_env *env, uint64_t bits)
{
	uint64_t frac = bits & ((1ull << f->frac_bits) - 1);
	int exp = (int)(bits >> f->frac_bits) & f->exp_max;
	struct fp_num n = {FP_CLASS_FINITE, (bits & fp_sign_bit(f)) != 0, exp - fp_bias(f),
			   (1ull << 63) | frac << (63 - f->frac_bits)};

	if (exp == 0) {
		if (frac && (env->fpcr & f->flush)) {
			env->fpsr |= f->input_denorm;
			frac = 0;
		}
		if (!frac) {
			n.class = FP_CLASS_ZERO;
			n.frac = 0;
		} else {
			int shift = __builtin_clzll(frac);

			n.frac = frac << shift;
			n.exp = 1 - fp_bias(f) - (shift - (63 - f->frac_bits));
		}
	} else if (exp == f->exp_max && f->ieee) {
		n.class = !frac                    ? FP_CLASS_INF
			  : frac & fp_quiet_bit(f) ? FP_CLASS_QNAN
						   : FP_CLASS_SNAN;
	}
	return n;
}

FP_INLINE uint64_t fp_shift_jam(uint64_t frac, int shift)
{
	if (shift > 63)
		return frac != 0;
	return frac >> shift | ((frac & ((1ull << shift) - 1)) != 0);
}

FP_INLINE fp_u128 fp_shift_jam128(fp_u128 frac, int shift)
{
	if (shift > 127)
		return frac != 0;
	return frac >> shift | ((frac & (((fp_u128)1 << shift) - 1)) != 0);
}

/*
 * Is a magnitude that was cut off to an integer to go up by one? @odd is the integer's last bit,
 * @rem what was cut off, in the unit of which @half is a half.
 */
FP_INLINE bool fp_round_up(enum fp_round round, bool sign, bool odd, uint64_t rem, uint64_t half)
{
	switch (round) {
	case FP_RN:
		return rem > half || (rem == half && odd);
	case FP_RP:
		return rem && !sign;
	case FP_RM:
		return rem && sign;
	case FP_RA:
		return rem >= half;
	default:
		return false;
	}
}

/* The result of an overflow, by FPRoundBase. */
FP_INLINE uint64_t fp_overflow(const struct fp_format *f, struct fp_env *env, bool sign,
			       enum fp_round round)
{
	if (!f->ieee) {
		env->fpsr |= FP_SR_IOC;
		return fp_zero(f, sign) | (fp_sign_bit(f) - 1);
	}
	env->fpsr |= FP_SR_OFC | FP_SR_IXC;
	if (round == FP_RN || round == (sign ? FP_RM : FP_RP))
		return fp_inf(f, sign);
	return fp_max_normal(f, sign);
}

/* FPRound of frac / 2^63 * 2^exp, which is not zero: bit 63 of @frac is set, bit 0 is jammed. */
FP_INLINE uint64_t fp_round(const struct fp_format *f, struct fp_env *env, bool sign, int exp,
			    uint64_t frac, enum fp_round round)
{
	int shift = 63 - f->frac_bits, biased = exp + fp_bias(f);
	uint64_t mant, error, half = 1ull << (shift - 1);

	if (biased < 1) {
		if (env->fpcr & f->flush) {
			env->fpsr |= FP_SR_UFC;
			return fp_zero(f, sign);
		}
		frac = fp_shift_jam(frac, 1 - biased);
		biased = 0;
	}
	mant = frac >> shift;
	error = frac & ((1ull << shift) - 1);
	if (error && biased == 0)
		env->fpsr |= FP_SR_UFC;
	if (biased > f->exp_max)
		return fp_overflow(f, env, sign, round);
	mant += fp_round_up(round, sign, mant & 1, error, half);
	if (round == FP_RO)
		mant |= error != 0;
	/* A carry out of the fraction is a carry into the exponent. */
	if (biased)
		mant += (uint64_t)(biased - 1) << f->frac_bits;
	if (mant >> f->frac_bits >= (uint64_t)f->exp_max + !f->ieee)
		return fp_overflow(f, env, sign, round);
	if (error)
		env->fpsr |= FP_SR_IXC;
	return fp_zero(f, sign) | mant;
}

/* FPRound of an exact value; zero has the sign that the rounding gives to an exact difference. */
FP_INLINE uint64_t fp_round_wide(const struct fp_format *f, struct fp_env *env, struct fp_wide w)
{
	enum fp_round round = fp_rmode(env);
	uint64_t hi = (uint64_t)(w.frac >> 64), lo = (uint64_t)w.frac;
	int shift;

	if (!w.frac)
		return fp_zero(f, round == FP_RM);
	shift = hi ? __builtin_clzll(hi) : 64 + __builtin_clzll(lo);
	w.frac <<= shift;
	hi = (uint64_t)(w.frac >> 64) | ((uint64_t)w.frac != 0);
	return fp_round(f, env, w.sign, w.exp + 1 - shift, hi, round);
}

FP_INLINE struct fp_wide fp_widen(struct fp_num n)
{
	return (struct fp_wide){n.sign, n.exp, (fp_u128)n.frac << 63};
}

/* The exact product: the factors have 53 bits at most, so the low bits are zero. */
FP_INLINE struct fp_wide fp_wide_product(struct fp_num a, struct fp_num b)
{
	struct fp_wide w = {a.sign != b.sign, a.exp + b.exp, (fp_u128)a.frac * b.frac};

	if (w.frac >> 127) {
		w.frac >>= 1;
		w.exp++;
	}
	return w;
}

/*
 * The sum, jammed at bit 0. Bits are lost only when the exponents differ by far more than one, and
 * then bit 125 or a higher one of the sum is set.
 */
FP_INLINE struct fp_wide fp_wide_sum(struct fp_wide a, struct fp_wide b)
{
	if (!a.frac)
		return b;
	if (!b.frac)
		return a;
	if (a.exp < b.exp || (a.exp == b.exp && a.frac < b.frac)) {
		struct fp_wide t = a;

		a = b;
		b = t;
	}
	b.frac = fp_shift_jam128(b.frac, a.exp - b.exp);
	a.frac = a.sign == b.sign ? a.frac + b.frac : a.frac - b.frac;
	return a;
}

/* FPProcessNaN */
FP_INLINE uint64_t fp_process_nan(const struct fp_format *f, struct fp_env *env, struct fp_num n,
				  uint64_t bits)
{
	if (n.class == FP_CLASS_SNAN)
		env->fpsr |= FP_SR_IOC;
	return env->fpcr & FP_CR_DN ? fp_default_nan(f) : bits | fp_quiet_bit(f);
}

/* FPProcessNaNs: signalling NaNs first, then quiet ones, each from the left. */
FP_INLINE bool fp_process_nans(const struct fp_format *f, struct fp_env *env, struct fp_num na,
			       struct fp_num nb, uint64_t a, uint64_t b, uint64_t *result)
{
	if (!fp_is_nan(na) && !fp_is_nan(nb))
		return false;
	if (na.class == FP_CLASS_SNAN || (na.class == FP_CLASS_QNAN && nb.class != FP_CLASS_SNAN))
		*result = fp_process_nan(f, env, na, a);
	else
		*result = fp_process_nan(f, env, nb, b);
	return true;
}

/* The exported functions of each shape: each calls the one that takes the format. */
#define FP_EXPORT_UNARY(N, name, generic)                             \
	uint##N##_t fp##N##_##name(struct fp_env *env, uint##N##_t a) \
	{                                                             \
		return (uint##N##_t)generic(&fp_format##N, env, a);   \
	}

#define FP_EXPORT_BINARY(N, name, generic)                                           \
	uint##N##_t fp##N##_##name(struct fp_env *env, uint##N##_t a, uint##N##_t b) \
	{                                                                            \
		return (uint##N##_t)generic(&fp_format##N, env, a, b);               \
	}

#endif
