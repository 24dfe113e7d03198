/* SPDX-License-Identifier: MIT */
/*
 * Conversions: to and from integers and fixed point, to an integral value, between formats, and
 * JavaScript's.
 */
#include "cpu/fp/fp_core.h"

/* The fraction that fp_split cuts off: half a unit. */
#define FP_SPLIT_HALF (1ull << 63)

/*
 * Cut |x| * 2^fbits into a whole part and a remainder in units of 2^-64 (jammed). False: the whole
 * part does not fit into 64 bits.
 */
FP_INLINE bool fp_split(struct fp_num n, unsigned fbits, uint64_t *whole, uint64_t *rem)
{
	int exp = n.exp + (int)fbits;

	*whole = 0;
	*rem = 0;
	if (n.class == FP_CLASS_ZERO)
		return true;
	if (n.class == FP_CLASS_INF || exp > 63)
		return false;
	if (exp < 0) {
		*rem = fp_shift_jam(n.frac, -1 - exp);
	} else {
		*whole = n.frac >> (63 - exp);
		*rem = exp == 63 ? 0 : n.frac << (exp + 1);
	}
	return true;
}

/* FPToFixed. @width counts the result's bits; the result is zero-extended. */
FP_INLINE uint64_t fp_to_fixed(const struct fp_format *f, struct fp_env *env, uint64_t a,
			       unsigned width, unsigned fbits, enum fp_round round, bool is_signed)
{
	struct fp_num n = fp_unpack(f, env, a);
	uint64_t max = ~0ull >> (64 - width), limit = max, whole, rem;
	bool fits;

	if (fp_is_nan(n)) {
		env->fpsr |= FP_SR_IOC;
		return 0;
	}
	fits = fp_split(n, fbits, &whole, &rem);
	/* A remainder means that exp < 63, so this never carries out of 64 bits. */
	whole += fp_round_up(round, n.sign, whole & 1, rem, FP_SPLIT_HALF);
	if (is_signed)
		limit = (max >> 1) + n.sign;
	else if (n.sign)
		limit = 0;
	if (!fits || whole > limit) {
		env->fpsr |= FP_SR_IOC;
		whole = limit;
	} else if (rem) {
		env->fpsr |= FP_SR_IXC;
	}
	return (n.sign ? -whole : whole) & max;
}

/* FixedToFP of a magnitude. */
FP_INLINE uint64_t fp_from_fixed(const struct fp_format *f, struct fp_env *env, bool sign,
				 uint64_t magnitude, unsigned fbits, enum fp_round round)
{
	int shift;

	if (!magnitude)
		return fp_zero(f, false);
	shift = __builtin_clzll(magnitude);
	return fp_round(f, env, sign, 63 - shift - (int)fbits, magnitude << shift, round);
}

/* FPRoundInt and FPRoundIntExact */
FP_INLINE uint64_t fp_round_int(const struct fp_format *f, struct fp_env *env, uint64_t a,
				enum fp_round round, bool exact)
{
	struct fp_num n = fp_unpack(f, env, a);
	uint64_t whole, rem;
	int shift;

	if (fp_is_nan(n))
		return fp_process_nan(f, env, n, a);
	if (n.class == FP_CLASS_ZERO)
		return fp_zero(f, n.sign);
	if (n.class == FP_CLASS_INF || n.exp >= f->frac_bits)
		return a;
	fp_split(n, 0, &whole, &rem);
	whole += fp_round_up(round, n.sign, whole & 1, rem, FP_SPLIT_HALF);
	if (rem && exact)
		env->fpsr |= FP_SR_IXC;
	if (!whole)
		return fp_zero(f, n.sign);
	shift = __builtin_clzll(whole);
	return fp_round(f, env, n.sign, 63 - shift, whole << shift, FP_RZ);
}

/* FPConvertNaN: the quiet NaN with the upper bits of the fraction. */
FP_INLINE uint64_t fp_convert_nan(const struct fp_format *to, const struct fp_format *from,
				  uint64_t a, bool sign)
{
	uint64_t frac = a << (64 - from->frac_bits) >> (64 - to->frac_bits);

	return fp_inf(to, sign) | fp_quiet_bit(to) | frac;
}

/* FPConvert */
FP_INLINE uint64_t fp_convert(const struct fp_format *to, const struct fp_format *from,
			      struct fp_env *env, uint64_t a, enum fp_round round)
{
	struct fp_num n = fp_unpack(from, env, a);

	if (fp_is_nan(n)) {
		if (n.class == FP_CLASS_SNAN || !to->ieee)
			env->fpsr |= FP_SR_IOC;
		if (!to->ieee)
			return fp_zero(to, n.sign);
		return env->fpcr & FP_CR_DN ? fp_default_nan(to)
					    : fp_convert_nan(to, from, a, n.sign);
	}
	if (n.class == FP_CLASS_INF)
		return to->ieee ? fp_inf(to, n.sign) : fp_overflow(to, env, n.sign, round);
	if (n.class == FP_CLASS_ZERO)
		return fp_zero(to, n.sign);
	return fp_round(to, env, n.sign, n.exp, n.frac, round);
}

FP_INLINE uint64_t fp_from_half(const struct fp_format *to, struct fp_env *env, uint16_t a)
{
	if (env->fpcr & FP_CR_AHP)
		return fp_convert(to, &fp_format16_alt, env, a, FP_RN);
	return fp_convert(to, &fp_format16_cv, env, a, FP_RN);
}

FP_INLINE uint16_t fp_to_half(const struct fp_format *from, struct fp_env *env, uint64_t a,
			      enum fp_round round)
{
	if (env->fpcr & FP_CR_AHP)
		return (uint16_t)fp_convert(&fp_format16_alt, from, env, a, round);
	return (uint16_t)fp_convert(&fp_format16_cv, from, env, a, round);
}

uint32_t fp16_to_fp32(struct fp_env *env, uint16_t a)
{
	return (uint32_t)fp_from_half(&fp_format32, env, a);
}

uint64_t fp16_to_fp64(struct fp_env *env, uint16_t a)
{
	return fp_from_half(&fp_format64, env, a);
}

uint64_t fp32_to_fp64(struct fp_env *env, uint32_t a)
{
	return fp_convert(&fp_format64, &fp_format32, env, a, FP_RN);
}

uint16_t fp32_to_fp16(struct fp_env *env, uint32_t a, enum fp_round round)
{
	return fp_to_half(&fp_format32, env, a, round);
}

uint16_t fp64_to_fp16(struct fp_env *env, uint64_t a, enum fp_round round)
{
	return fp_to_half(&fp_format64, env, a, round);
}

uint32_t fp64_to_fp32(struct fp_env *env, uint64_t a, enum fp_round round)
{
	return (uint32_t)fp_convert(&fp_format32, &fp_format64, env, a, round);
}

uint32_t fp64_to_js(struct fp_env *env, uint64_t a, unsigned *nzcv)
{
	const unsigned exact = 0x4; /* Z */
	struct fp_num n = fp_unpack(&fp_format64, env, a);
	uint64_t whole = 0, rem = 0;
	uint32_t low;

	*nzcv = 0;
	if (fp_is_nan(n) || n.class == FP_CLASS_INF) {
		env->fpsr |= FP_SR_IOC;
		return 0;
	}
	if (fp_split(n, 0, &whole, &rem))
		low = (uint32_t)whole;
	else
		low = n.exp < 63 + 32 ? (uint32_t)(n.frac << (n.exp - 63)) : 0;
	if (n.exp > 31 || whole > (1ull << 31) - !n.sign)
		env->fpsr |= FP_SR_IOC;
	else if (rem)
		env->fpsr |= FP_SR_IXC;
	else if (n.class != FP_CLASS_ZERO || a == 0)
		*nzcv = exact; /* neither minus zero nor a flushed denormal */
	return n.sign ? -low : low;
}

#define FP_EXPORT_CONVERT(N)                                                                   \
	uint64_t fp##N##_to_sint(struct fp_env *env, uint##N##_t a, unsigned width,            \
				 unsigned fbits, enum fp_round round)                          \
	{                                                                                      \
		return fp_to_fixed(&fp_format##N, env, a, width, fbits, round, true);          \
	}                                                                                      \
	uint64_t fp##N##_to_uint(struct fp_env *env, uint##N##_t a, unsigned width,            \
				 unsigned fbits, enum fp_round round)                          \
	{                                                                                      \
		return fp_to_fixed(&fp_format##N, env, a, width, fbits, round, false);         \
	}                                                                                      \
	uint##N##_t fp##N##_from_sint(struct fp_env *env, int64_t v, unsigned fbits,           \
				      enum fp_round round)                                     \
	{                                                                                      \
		uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;                       \
                                                                                               \
		return (uint##N##_t)fp_from_fixed(&fp_format##N, env, v < 0, magnitude, fbits, \
						  round);                                      \
	}                                                                                      \
	uint##N##_t fp##N##_from_uint(struct fp_env *env, uint64_t v, unsigned fbits,          \
				      enum fp_round round)                                     \
	{                                                                                      \
		return (uint##N##_t)fp_from_fixed(&fp_format##N, env, false, v, fbits, round); \
	}                                                                                      \
	uint##N##_t fp##N##_round_int(struct fp_env *env, uint##N##_t a, enum fp_round round,  \
				      bool exact)                                              \
	{                                                                                      \
		return (uint##N##_t)fp_round_int(&fp_format##N, env, a, round, exact);         \
	}

FP_EXPORT_CONVERT(16)
FP_EXPORT_CONVERT(32)
FP_EXPORT_CONVERT(64)
