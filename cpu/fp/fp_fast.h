/* SPDX-License-Identifier: MIT */
/*
 * Single and double precision on the host's floating-point unit.
 *
 * These compute what the functions of the same name in fp.h compute, for an FPCR that
 * fp_fast_usable() accepts, between fp_fast_begin() and fp_fast_end(). Exceptions of the host stay
 * in its sticky flags; the guest's FPSR is env->fpsr | fp_fast_flags(), and a guest's write to FPSR
 * needs fp_fast_clear() too. Results must have been stored to memory before the flags are read: a
 * compiler may move an operation whose result is still in a register past the read.
 *
 * Where the host could differ the exact function is called. What always holds is that the host's
 * flags of an abandoned attempt are a subset of those that the exact function raises:
 *  - A NaN result (propagation differs between hosts): an operand was signalling, or the operation
 *    was invalid, whenever the host has raised invalid, and both raise it.
 *  - Tininess: the Arm architecture detects it before rounding, x86 after. They differ only when a
 *    result is rounded up to the smallest normal number; then x86 has raised inexact alone and the
 *    exact function adds underflow. Sums are never tiny and inexact at once, so need no check.
 *  - Integers out of range are found before they are converted.
 *
 * Overflow, division by zero, exact zeros and denormal operands and results are the same on both.
 */
#ifndef CPU_FP_FP_FAST_H
#define CPU_FP_FP_FAST_H

#include <float.h>
#include <string.h>

#include "cpu/fp/fp.h"

#if defined(__x86_64__) && FLT_EVAL_METHOD == 0
#include <immintrin.h>
#define FP_FAST_X86 1
#elif defined(__aarch64__)
#define FP_FAST_ARM64 1
#endif

#define FP_FAST_INLINE   static inline __attribute__((always_inline))
#define FP_FAST_RARE(x)  __builtin_expect(!!(x), 0)
#define FP_FAST_OFTEN(x) __builtin_expect(!!(x), 1)

/* MXCSR (Intel SDM volume 1, 10.2.3): all exceptions masked, to nearest, no flush, no flag */
#define FP_FAST_MXCSR_DEFAULT 0x1f80u
#define FP_FAST_MXCSR_IE      (1u << 0)
#define FP_FAST_MXCSR_ZE      (1u << 2)
#define FP_FAST_MXCSR_OE      (1u << 3)
#define FP_FAST_MXCSR_UE      (1u << 4)
#define FP_FAST_MXCSR_PE      (1u << 5)
#define FP_FAST_MXCSR_FLAGS   0x3fu

/**
 * fp_fast_usable() - Can this host do arithmetic under @fpcr?
 *
 * Rounding to nearest, no flush, no default NaN. FZ16 and AHP are about half precision only.
 */
FP_FAST_INLINE bool fp_fast_usable(uint32_t fpcr)
{
#if defined(FP_FAST_X86) || defined(FP_FAST_ARM64)
	return !(fpcr & (FP_CR_RMODE | FP_CR_FZ | FP_CR_DN));
#else
	return false;
#endif
}

/** fp_fast_has_fma() - Does this processor fuse? Ask once and pass the answer to muladd. */
static inline bool fp_fast_has_fma(void)
{
#if defined(FP_FAST_X86)
	return __builtin_cpu_supports("fma");
#elif defined(FP_FAST_ARM64)
	return true;
#else
	return false;
#endif
}

/**
 * fp_fast_begin() - Set this thread's host rounding to the default and clear its sticky flags.
 *
 * Return: what fp_fast_end() takes to put the host's state back.
 */
FP_FAST_INLINE uint64_t fp_fast_begin(void)
{
#if defined(FP_FAST_X86)
	uint32_t saved, fresh = FP_FAST_MXCSR_DEFAULT;

	__asm__ volatile("stmxcsr %0" : "=m"(saved) : : "memory");
	__asm__ volatile("ldmxcsr %0" : : "m"(fresh) : "memory");
	return saved;
#elif defined(FP_FAST_ARM64)
	uint64_t fpcr, fpsr;

	__asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr\n\tmsr fpcr, xzr\n\tmsr fpsr, xzr"
			 : "=&r"(fpcr), "=&r"(fpsr)
			 :
			 : "memory");
	return fpcr << 32 | fpsr;
#else
	return 0;
#endif
}

/** fp_fast_flags() - This thread's sticky flags of the host, as bits of FPSR. */
FP_FAST_INLINE uint32_t fp_fast_flags(void)
{
#if defined(FP_FAST_X86)
	uint32_t mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : : "memory");
	/* DZC, OFC, UFC and IXC are ZE, OE, UE and PE, one bit lower. DE has no counterpart. */
	return (mxcsr & FP_FAST_MXCSR_IE ? FP_SR_IOC : 0) |
	       (mxcsr &
		(FP_FAST_MXCSR_ZE | FP_FAST_MXCSR_OE | FP_FAST_MXCSR_UE | FP_FAST_MXCSR_PE)) >>
		       1;
#elif defined(FP_FAST_ARM64)
	uint64_t fpsr;

	__asm__ volatile("mrs %0, fpsr" : "=r"(fpsr) : : "memory");
	return (uint32_t)fpsr & FP_SR_ALL;
#else
	return 0;
#endif
}

/** fp_fast_clear() - Clear this thread's sticky flags of the host. */
FP_FAST_INLINE void fp_fast_clear(void)
{
#if defined(FP_FAST_X86)
	uint32_t mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : : "memory");
	mxcsr &= ~FP_FAST_MXCSR_FLAGS;
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory");
#elif defined(FP_FAST_ARM64)
	__asm__ volatile("msr fpsr, xzr" : : : "memory");
#endif
}

/**
 * fp_fast_end() - Put the host's state back.
 * @saved: from fp_fast_begin(); read fp_fast_flags() before, they are lost
 */
FP_FAST_INLINE void fp_fast_end(uint64_t saved)
{
#if defined(FP_FAST_X86)
	uint32_t mxcsr = (uint32_t)saved;

	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory");
#elif defined(FP_FAST_ARM64)
	__asm__ volatile("msr fpcr, %0\n\tmsr fpsr, %1"
			 :
			 : "r"(saved >> 32), "r"(saved & 0xffffffff)
			 : "memory");
#endif
}

FP_FAST_INLINE float fp_fast_in32(uint32_t bits)
{
	float x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

FP_FAST_INLINE double fp_fast_in64(uint64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

FP_FAST_INLINE uint32_t fp_fast_out32(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

FP_FAST_INLINE uint64_t fp_fast_out64(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/*
 * Whether a rounded product, quotient or narrowed number is the architecture's, in value and flags:
 * not a NaN, and not a smallest normal that may have been rounded up to.
 */
FP_FAST_INLINE bool fp_fast_good32(float r)
{
	float magnitude = __builtin_fabsf(r);

	if (FP_FAST_OFTEN(__builtin_isgreater(magnitude, FLT_MIN)))
		return true;
	return __builtin_isless(magnitude, FLT_MIN);
}

FP_FAST_INLINE bool fp_fast_good64(double r)
{
	double magnitude = __builtin_fabs(r);

	if (FP_FAST_OFTEN(__builtin_isgreater(magnitude, DBL_MIN)))
		return true;
	return __builtin_isless(magnitude, DBL_MIN);
}

FP_FAST_INLINE float fp_fast_root32(float x)
{
#if defined(FP_FAST_X86)
	return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
#elif defined(FP_FAST_ARM64)
	float r;

	__asm__ volatile("fsqrt %s0, %s1" : "=w"(r) : "w"(x));
	return r;
#else
	return __builtin_nanf("");
#endif
}

FP_FAST_INLINE double fp_fast_root64(double x)
{
#if defined(FP_FAST_X86)
	return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(x)));
#elif defined(FP_FAST_ARM64)
	double r;

	__asm__ volatile("fsqrt %d0, %d1" : "=w"(r) : "w"(x));
	return r;
#else
	return __builtin_nan("");
#endif
}

/* addend + a * b by the fused instruction, which fp_fast_has_fma() has found. */
FP_FAST_INLINE float fp_fast_fused32(float addend, float a, float b)
{
#if defined(FP_FAST_X86)
	__asm__ volatile("vfmadd231ss %2, %1, %0" : "+x"(addend) : "x"(a), "x"(b));
	return addend;
#elif defined(FP_FAST_ARM64)
	__asm__ volatile("fmadd %s0, %s1, %s2, %s0" : "+w"(addend) : "w"(a), "w"(b));
	return addend;
#else
	return __builtin_nanf("");
#endif
}

FP_FAST_INLINE double fp_fast_fused64(double addend, double a, double b)
{
#if defined(FP_FAST_X86)
	__asm__ volatile("vfmadd231sd %2, %1, %0" : "+x"(addend) : "x"(a), "x"(b));
	return addend;
#elif defined(FP_FAST_ARM64)
	__asm__ volatile("fmadd %d0, %d1, %d2, %d0" : "+w"(addend) : "w"(a), "w"(b));
	return addend;
#else
	return __builtin_nan("");
#endif
}

/*
 * For N of 32 and 64, with T = uintN_t; the meaning is that of fp.h:
 *
 *   T fp_fastN_add(env, a, b), sub, mul, div, max, min, maxnum, minnum
 *   T fp_fastN_sqrt(env, a)
 *   unsigned fp_fastN_compare(env, a, b, signal)
 *   bool fp_fastN_compare_eq(env, a, b), ge, gt
 *   uint64_t fp_fastN_to_sint32(env, a), to_sint64, to_uint32, to_uint64
 *                                     towards zero, no fraction bits; zero-extended
 *   T fp_fastN_from_sint(env, v), from_uint
 *                                     no fraction bits
 */
#define FP_FAST_DEFINE(N, real)                                                                    \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_add(struct fp_env *env, uint##N##_t a,             \
						    uint##N##_t b)                                 \
	{                                                                                          \
		real r = fp_fast_in##N(a) + fp_fast_in##N(b);                                      \
                                                                                                   \
		return FP_FAST_RARE(__builtin_isnan(r)) ? fp##N##_add(env, a, b)                   \
							: fp_fast_out##N(r);                       \
	}                                                                                          \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_sub(struct fp_env *env, uint##N##_t a,             \
						    uint##N##_t b)                                 \
	{                                                                                          \
		real r = fp_fast_in##N(a) - fp_fast_in##N(b);                                      \
                                                                                                   \
		return FP_FAST_RARE(__builtin_isnan(r)) ? fp##N##_sub(env, a, b)                   \
							: fp_fast_out##N(r);                       \
	}                                                                                          \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_mul(struct fp_env *env, uint##N##_t a,             \
						    uint##N##_t b)                                 \
	{                                                                                          \
		real r = fp_fast_in##N(a) * fp_fast_in##N(b);                                      \
                                                                                                   \
		return FP_FAST_OFTEN(fp_fast_good##N(r)) ? fp_fast_out##N(r)                       \
							 : fp##N##_mul(env, a, b);                 \
	}                                                                                          \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_div(struct fp_env *env, uint##N##_t a,             \
						    uint##N##_t b)                                 \
	{                                                                                          \
		real r = fp_fast_in##N(a) / fp_fast_in##N(b);                                      \
                                                                                                   \
		return FP_FAST_OFTEN(fp_fast_good##N(r)) ? fp_fast_out##N(r)                       \
							 : fp##N##_div(env, a, b);                 \
	}                                                                                          \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_sqrt(struct fp_env *env, uint##N##_t a)            \
	{                                                                                          \
		real r = fp_fast_root##N(fp_fast_in##N(a));                                        \
                                                                                                   \
		return FP_FAST_RARE(__builtin_isnan(r)) ? fp##N##_sqrt(env, a)                     \
							: fp_fast_out##N(r);                       \
	}                                                                                          \
	/* Equal operands have equal bits, or are zeros whose signs are to be merged. */           \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_max(struct fp_env *env, uint##N##_t a,             \
						    uint##N##_t b)                                 \
	{                                                                                          \
		real x = fp_fast_in##N(a), y = fp_fast_in##N(b);                                   \
                                                                                                   \
		if (__builtin_isgreater(x, y))                                                     \
			return a;                                                                  \
		if (__builtin_isless(x, y))                                                        \
			return b;                                                                  \
		return FP_FAST_RARE(__builtin_isunordered(x, y)) ? fp##N##_max(env, a, b) : a & b; \
	}                                                                                          \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_min(struct fp_env *env, uint##N##_t a,             \
						    uint##N##_t b)                                 \
	{                                                                                          \
		real x = fp_fast_in##N(a), y = fp_fast_in##N(b);                                   \
                                                                                                   \
		if (__builtin_isless(x, y))                                                        \
			return a;                                                                  \
		if (__builtin_isgreater(x, y))                                                     \
			return b;                                                                  \
		return FP_FAST_RARE(__builtin_isunordered(x, y)) ? fp##N##_min(env, a, b) : a | b; \
	}                                                                                          \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_maxnum(struct fp_env *env, uint##N##_t a,          \
						       uint##N##_t b)                              \
	{                                                                                          \
		real x = fp_fast_in##N(a), y = fp_fast_in##N(b);                                   \
                                                                                                   \
		if (FP_FAST_RARE(__builtin_isunordered(x, y)))                                     \
			return fp##N##_maxnum(env, a, b);                                          \
		return fp_fast##N##_max(env, a, b);                                                \
	}                                                                                          \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_minnum(struct fp_env *env, uint##N##_t a,          \
						       uint##N##_t b)                              \
	{                                                                                          \
		real x = fp_fast_in##N(a), y = fp_fast_in##N(b);                                   \
                                                                                                   \
		if (FP_FAST_RARE(__builtin_isunordered(x, y)))                                     \
			return fp##N##_minnum(env, a, b);                                          \
		return fp_fast##N##_min(env, a, b);                                                \
	}                                                                                          \
	FP_FAST_INLINE unsigned fp_fast##N##_compare(struct fp_env *env, uint##N##_t a,            \
						     uint##N##_t b, bool signal)                   \
	{                                                                                          \
		real x = fp_fast_in##N(a), y = fp_fast_in##N(b);                                   \
                                                                                                   \
		if (FP_FAST_RARE(__builtin_isunordered(x, y)))                                     \
			return fp##N##_compare(env, a, b, signal);                                 \
		return __builtin_isless(x, y)      ? FP_NZCV_LESS                                  \
		       : __builtin_isgreater(x, y) ? FP_NZCV_GREATER                               \
						   : FP_NZCV_EQUAL;                                \
	}                                                                                          \
	FP_FAST_INLINE bool fp_fast##N##_compare_eq(struct fp_env *env, uint##N##_t a,             \
						    uint##N##_t b)                                 \
	{                                                                                          \
		real x = fp_fast_in##N(a), y = fp_fast_in##N(b);                                   \
                                                                                                   \
		if (FP_FAST_RARE(__builtin_isunordered(x, y)))                                     \
			return fp##N##_compare_eq(env, a, b);                                      \
		return x == y;                                                                     \
	}                                                                                          \
	FP_FAST_INLINE bool fp_fast##N##_compare_ge(struct fp_env *env, uint##N##_t a,             \
						    uint##N##_t b)                                 \
	{                                                                                          \
		real x = fp_fast_in##N(a), y = fp_fast_in##N(b);                                   \
                                                                                                   \
		if (FP_FAST_RARE(__builtin_isunordered(x, y)))                                     \
			return fp##N##_compare_ge(env, a, b);                                      \
		return __builtin_isgreaterequal(x, y);                                             \
	}                                                                                          \
	FP_FAST_INLINE bool fp_fast##N##_compare_gt(struct fp_env *env, uint##N##_t a,             \
						    uint##N##_t b)                                 \
	{                                                                                          \
		real x = fp_fast_in##N(a), y = fp_fast_in##N(b);                                   \
                                                                                                   \
		if (FP_FAST_RARE(__builtin_isunordered(x, y)))                                     \
			return fp##N##_compare_gt(env, a, b);                                      \
		return __builtin_isgreater(x, y);                                                  \
	}                                                                                          \
	FP_FAST_INLINE uint64_t fp_fast##N##_to_sint32(struct fp_env *env, uint##N##_t a)          \
	{                                                                                          \
		double x = (double)fp_fast_in##N(a);                                               \
                                                                                                   \
		if (FP_FAST_OFTEN(__builtin_isgreater(x, -0x1.00000002p31) &&                      \
				  __builtin_isless(x, 0x1p31)))                                    \
			return (uint32_t)(int32_t)x;                                               \
		return fp##N##_to_sint(env, a, 32, 0, FP_RZ);                                      \
	}                                                                                          \
	FP_FAST_INLINE uint64_t fp_fast##N##_to_sint64(struct fp_env *env, uint##N##_t a)          \
	{                                                                                          \
		double x = (double)fp_fast_in##N(a);                                               \
                                                                                                   \
		if (FP_FAST_OFTEN(__builtin_isgreaterequal(x, -0x1p63) &&                          \
				  __builtin_isless(x, 0x1p63)))                                    \
			return (uint64_t)(int64_t)x;                                               \
		return fp##N##_to_sint(env, a, 64, 0, FP_RZ);                                      \
	}                                                                                          \
	FP_FAST_INLINE uint64_t fp_fast##N##_to_uint32(struct fp_env *env, uint##N##_t a)          \
	{                                                                                          \
		double x = (double)fp_fast_in##N(a);                                               \
                                                                                                   \
		if (FP_FAST_OFTEN(__builtin_isgreater(x, -1.0) && __builtin_isless(x, 0x1p32)))    \
			return (uint64_t)(int64_t)x;                                               \
		return fp##N##_to_uint(env, a, 32, 0, FP_RZ);                                      \
	}                                                                                          \
	FP_FAST_INLINE uint64_t fp_fast##N##_to_uint64(struct fp_env *env, uint##N##_t a)          \
	{                                                                                          \
		double x = (double)fp_fast_in##N(a);                                               \
                                                                                                   \
		if (FP_FAST_OFTEN(__builtin_isgreater(x, -1.0) && __builtin_isless(x, 0x1p63)))    \
			return (uint64_t)(int64_t)x;                                               \
		return fp##N##_to_uint(env, a, 64, 0, FP_RZ);                                      \
	}                                                                                          \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_from_sint(struct fp_env *env, int64_t v)           \
	{                                                                                          \
		return fp_fast_out##N((real)v);                                                    \
	}                                                                                          \
	FP_FAST_INLINE uint##N##_t fp_fast##N##_from_uint(struct fp_env *env, uint64_t v)          \
	{                                                                                          \
		if (FP_FAST_OFTEN(v <= INT64_MAX))                                                 \
			return fp_fast_out##N((real)(int64_t)v);                                   \
		return fp##N##_from_uint(env, v, 0, FP_RN);                                        \
	}

FP_FAST_DEFINE(32, float)
FP_FAST_DEFINE(64, double)

#undef FP_FAST_DEFINE

/* addend + a * b, rounded once. @has_fma: what fp_fast_has_fma() said. */
FP_FAST_INLINE uint64_t fp_fast64_muladd(struct fp_env *env, uint64_t addend, uint64_t a,
					 uint64_t b, bool has_fma)
{
	if (FP_FAST_OFTEN(has_fma)) {
		double r = fp_fast_fused64(fp_fast_in64(addend), fp_fast_in64(a), fp_fast_in64(b));

		if (FP_FAST_OFTEN(fp_fast_good64(r)))
			return fp_fast_out64(r);
	}
	return fp64_muladd(env, addend, a, b);
}

/*
 * Without a fused instruction single precision goes by double: the product is exact there, and the
 * sum rounded to double rounds to the same single unless it lies half-way between two of them. That
 * is found before it is narrowed, which could raise overflow for a sum that does not. Otherwise
 * every flag that the attempt raises the exact function raises: what is inexact in double is so in
 * single, and nothing in the range of single overflows or underflows in double.
 */
FP_FAST_INLINE uint32_t fp_fast32_muladd(struct fp_env *env, uint32_t addend, uint32_t a,
					 uint32_t b, bool has_fma)
{
	if (FP_FAST_OFTEN(has_fma)) {
		float r = fp_fast_fused32(fp_fast_in32(addend), fp_fast_in32(a), fp_fast_in32(b));

		if (FP_FAST_OFTEN(fp_fast_good32(r)))
			return fp_fast_out32(r);
	} else {
		const uint64_t half = 1ull << (DBL_MANT_DIG - FLT_MANT_DIG - 1);
		double sum = (double)fp_fast_in32(a) * (double)fp_fast_in32(b) +
			     (double)fp_fast_in32(addend);

		if (FP_FAST_OFTEN((fp_fast_out64(sum) & (2 * half - 1)) != half &&
				  __builtin_isgreater(__builtin_fabs(sum), (double)FLT_MIN)))
			return fp_fast_out32((float)sum);
	}
	return fp32_muladd(env, addend, a, b);
}

/* FCVT between single and double, to nearest. */
FP_FAST_INLINE uint64_t fp_fast32_to_fp64(struct fp_env *env, uint32_t a)
{
	double r = (double)fp_fast_in32(a);

	return FP_FAST_RARE(__builtin_isnan(r)) ? fp32_to_fp64(env, a) : fp_fast_out64(r);
}

FP_FAST_INLINE uint32_t fp_fast64_to_fp32(struct fp_env *env, uint64_t a)
{
	float r = (float)fp_fast_in64(a);

	return FP_FAST_OFTEN(fp_fast_good32(r)) ? fp_fast_out32(r) : fp64_to_fp32(env, a, FP_RN);
}

#endif
