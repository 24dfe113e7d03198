/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of AArch64 floating point, bit exact, in integer C.
 *
 * Every function is one function of the Arm ARM's shared pseudocode (DDI 0487, "Shared
 * Pseudocode", shared/functions/float) for half, single and double precision. The architecture
 * level is Armv8.2-A with FEAT_FP16 and FEAT_JSCVT; FEAT_AFP, FEAT_RPRES, FEAT_FRINTTS, FEAT_BF16
 * and FEAT_FHM are not there, and exceptions are never trapped (FPCR.{IDE..IOE} are RAZ).
 *
 * What always holds:
 *  - operands and results are bit patterns of the format in the name (fp16, fp32, fp64);
 *  - rounding, flushing, default NaN and alternative half precision come from env->fpcr, except
 *    where a rounding is passed (rounding fixed by the instruction; otherwise pass fp_rmode(env));
 *  - env->fpsr only ever gains the cumulative bits IOC, DZC, OFC, UFC, IXC, IDC;
 *  - nothing depends on the host's floating point, and there is no other state.
 *
 * Scalar and Advanced SIMD instructions of AArch64 use the same FPCR, so they use the same calls,
 * one per lane, in any order (only the sticky bits are shared). Advanced SIMD does not force the
 * default NaN here; AArch32 Advanced SIMD does, and gets it by passing an env with the standard
 * FPSCR value.
 *
 * How instructions map to calls when the name does not say it:
 *
 *   FABD              abs(sub(n, m))                     FNMUL       neg(mul(n, m))
 *   FMADD d,n,m,a     muladd(a, n, m)                    FMSUB       muladd(a, neg(n), m)
 *   FNMADD            muladd(neg(a), neg(n), m)          FNMSUB      muladd(neg(a), n, m)
 *   FMLA              muladd(d, n, m)                    FMLS        muladd(d, neg(n), m)
 *   FCADD #90         d[0] = add(n[0], neg(m[1])), d[1] = add(n[1], m[0]); #270 negates the other
 *   FCMLA             muladd(d, n[i], m[j]) with m[j] negated as the rotation says
 *   FCMP, FCCMP       compare(n, m, false)               FCMPE       compare(n, m, true)
 *   FCMEQ/FCMGE/FCMGT compare_eq/ge/gt (FCMLE/FCMLT #0 with the operands exchanged)
 *   FACGE/FACGT       compare_ge/gt of the absolute values
 *   FRINTN/P/M/Z/A    round_int(rounding, false)         FRINTI      round_int(fp_rmode, false)
 *   FRINTX            round_int(fp_rmode, true)
 *   FCVTZS/ZU #fbits  to_sint/to_uint with FP_RZ         FCVT{N,P,M,A}{S,U}  with FP_RN.. FP_RA
 *   SCVTF/UCVTF       from_sint/from_uint (operand extended to 64 bits)
 *   FCVT, FCVTN, FCVTL  the conversions, narrowing ones with fp_rmode(env)
 *   FCVTXN            fp64_to_fp32 with FP_RO
 *   FRECPE/FRSQRTE    recip_estimate/rsqrt_estimate      FRECPX      recpx
 *   FRECPS/FRSQRTS    recip_step/rsqrt_step
 *   pairwise and across-vector forms are chains of the two-operand calls
 *
 * Only scalar instructions: FNMUL, FMADD and its like, FCMP and FCCMP, FJCVTZS, conversions whose
 * integer and floating-point widths differ. Only Advanced SIMD ones (which have scalar forms of
 * their own): FABD, FMULX, FCM*, FAC*, estimates and steps, FRECPX, URECPE, URSQRTE, FCVTXN,
 * 16-bit integers from and to half precision. All else is in both.
 */
#ifndef CPU_FP_FP_H
#define CPU_FP_FP_H

#include <stdbool.h>
#include <stdint.h>

/* FPCR (Arm ARM, C5.2.8) */
#define FP_CR_FZ16        (1u << 19)
#define FP_CR_RMODE_SHIFT 22
#define FP_CR_RMODE       (3u << FP_CR_RMODE_SHIFT)
#define FP_CR_FZ          (1u << 24)
#define FP_CR_DN          (1u << 25)
#define FP_CR_AHP         (1u << 26)
#define FP_CR_ALL         (FP_CR_FZ16 | FP_CR_RMODE | FP_CR_FZ | FP_CR_DN | FP_CR_AHP)

/* FPSR (Arm ARM, C5.2.9): the cumulative exception bits */
#define FP_SR_IOC (1u << 0)
#define FP_SR_DZC (1u << 1)
#define FP_SR_OFC (1u << 2)
#define FP_SR_UFC (1u << 3)
#define FP_SR_IXC (1u << 4)
#define FP_SR_IDC (1u << 7)
#define FP_SR_ALL (FP_SR_IOC | FP_SR_DZC | FP_SR_OFC | FP_SR_UFC | FP_SR_IXC | FP_SR_IDC)

/**
 * struct fp_env - What a floating-point operation reads and accumulates
 * @fpcr: FPCR as the guest wrote it; bits outside FP_CR_ALL are ignored
 * @fpsr: FPSR; cumulative bits are set here, never cleared; other bits are left alone
 */
struct fp_env {
	uint32_t fpcr;
	uint32_t fpsr;
};

/**
 * enum fp_round - A rounding; the first four have the values of FPCR.RMode
 * @FP_RN: to nearest, ties to even
 * @FP_RP: towards plus infinity
 * @FP_RM: towards minus infinity
 * @FP_RZ: towards zero
 * @FP_RA: to nearest, ties away from zero (round_int, to_sint and to_uint only)
 * @FP_RO: to odd (narrowing conversions only: FCVTXN)
 */
enum fp_round { FP_RN = 0, FP_RP = 1, FP_RM = 2, FP_RZ = 3, FP_RA = 4, FP_RO = 5 };

/** fp_rmode() - The rounding that FPCR.RMode selects (FPRoundingMode). */
static inline enum fp_round fp_rmode(const struct fp_env *env)
{
	return (enum fp_round)((env->fpcr & FP_CR_RMODE) >> FP_CR_RMODE_SHIFT);
}

/* NZCV of a comparison, as the nibble N:Z:C:V (FPCompare) */
#define FP_NZCV_LESS      0x8u
#define FP_NZCV_EQUAL     0x6u
#define FP_NZCV_GREATER   0x2u
#define FP_NZCV_UNORDERED 0x3u

/*
 * For N of 16, 32 and 64, with T = uintN_t:
 *
 *   T fpN_abs(T a), fpN_neg(T a)              FPAbs, FPNeg: the sign bit only, no flag, no flush
 *   T fpN_add(env, a, b), sub, mul, div       FPAdd, FPSub, FPMul, FPDiv
 *   T fpN_mulx(env, a, b)                     FPMulX
 *   T fpN_max(env, a, b), min                 FPMax, FPMin
 *   T fpN_maxnum(env, a, b), minnum           FPMaxNum, FPMinNum
 *   T fpN_sqrt(env, a)                        FPSqrt
 *   T fpN_muladd(env, addend, a, b)           FPMulAdd: addend + a * b, rounded once
 *   T fpN_recip_estimate(env, a)              FPRecipEstimate
 *   T fpN_rsqrt_estimate(env, a)              FPRSqrtEstimate
 *   T fpN_recip_step(env, a, b)               FPRecipStepFused: 2 - a * b
 *   T fpN_rsqrt_step(env, a, b)               FPRSqrtStepFused: (3 - a * b) / 2
 *   T fpN_recpx(env, a)                       FPRecpX
 *   T fpN_round_int(env, a, round, exact)     FPRoundInt; @exact: inexact is signalled (FRINTX)
 *   unsigned fpN_compare(env, a, b, signal)   FPCompare: NZCV nibble; @signal: quiet NaNs too
 *   bool fpN_compare_eq(env, a, b), ge, gt    FPCompareEQ (quiet), FPCompareGE, FPCompareGT
 *   uint64_t fpN_to_sint(env, a, width, fbits, round), to_uint
 *                                             FPToFixed: @width is 16, 32 or 64, @fbits 0 to
 *                                             @width; the saturated integer, zero-extended
 *   T fpN_from_sint(env, v, fbits, round), from_uint
 *                                             FixedToFP of v / 2^fbits, @fbits 0 to 64; @v is the
 *                                             source register's value extended to 64 bits
 */
#define FP_DECLARE(N)                                                                            \
	static inline uint##N##_t fp##N##_abs(uint##N##_t a)                                     \
	{                                                                                        \
		return (uint##N##_t)(a & ~((uint##N##_t)1 << (N - 1)));                          \
	}                                                                                        \
	static inline uint##N##_t fp##N##_neg(uint##N##_t a)                                     \
	{                                                                                        \
		return (uint##N##_t)(a ^ ((uint##N##_t)1 << (N - 1)));                           \
	}                                                                                        \
	uint##N##_t fp##N##_add(struct fp_env *env, uint##N##_t a, uint##N##_t b);               \
	uint##N##_t fp##N##_sub(struct fp_env *env, uint##N##_t a, uint##N##_t b);               \
	uint##N##_t fp##N##_mul(struct fp_env *env, uint##N##_t a, uint##N##_t b);               \
	uint##N##_t fp##N##_div(struct fp_env *env, uint##N##_t a, uint##N##_t b);               \
	uint##N##_t fp##N##_mulx(struct fp_env *env, uint##N##_t a, uint##N##_t b);              \
	uint##N##_t fp##N##_max(struct fp_env *env, uint##N##_t a, uint##N##_t b);               \
	uint##N##_t fp##N##_min(struct fp_env *env, uint##N##_t a, uint##N##_t b);               \
	uint##N##_t fp##N##_maxnum(struct fp_env *env, uint##N##_t a, uint##N##_t b);            \
	uint##N##_t fp##N##_minnum(struct fp_env *env, uint##N##_t a, uint##N##_t b);            \
	uint##N##_t fp##N##_sqrt(struct fp_env *env, uint##N##_t a);                             \
	uint##N##_t fp##N##_muladd(struct fp_env *env, uint##N##_t addend, uint##N##_t a,        \
				   uint##N##_t b);                                               \
	uint##N##_t fp##N##_recip_estimate(struct fp_env *env, uint##N##_t a);                   \
	uint##N##_t fp##N##_rsqrt_estimate(struct fp_env *env, uint##N##_t a);                   \
	uint##N##_t fp##N##_recip_step(struct fp_env *env, uint##N##_t a, uint##N##_t b);        \
	uint##N##_t fp##N##_rsqrt_step(struct fp_env *env, uint##N##_t a, uint##N##_t b);        \
	uint##N##_t fp##N##_recpx(struct fp_env *env, uint##N##_t a);                            \
	uint##N##_t fp##N##_round_int(struct fp_env *env, uint##N##_t a, enum fp_round round,    \
				      bool exact);                                               \
	unsigned fp##N##_compare(struct fp_env *env, uint##N##_t a, uint##N##_t b, bool signal); \
	bool fp##N##_compare_eq(struct fp_env *env, uint##N##_t a, uint##N##_t b);               \
	bool fp##N##_compare_ge(struct fp_env *env, uint##N##_t a, uint##N##_t b);               \
	bool fp##N##_compare_gt(struct fp_env *env, uint##N##_t a, uint##N##_t b);               \
	uint64_t fp##N##_to_sint(struct fp_env *env, uint##N##_t a, unsigned width,              \
				 unsigned fbits, enum fp_round round);                           \
	uint64_t fp##N##_to_uint(struct fp_env *env, uint##N##_t a, unsigned width,              \
				 unsigned fbits, enum fp_round round);                           \
	uint##N##_t fp##N##_from_sint(struct fp_env *env, int64_t v, unsigned fbits,             \
				      enum fp_round round);                                      \
	uint##N##_t fp##N##_from_uint(struct fp_env *env, uint64_t v, unsigned fbits,            \
				      enum fp_round round)

FP_DECLARE(16);
FP_DECLARE(32);
FP_DECLARE(64);

#undef FP_DECLARE

/*
 * FPConvert between formats. Half precision is the alternative format when FPCR.AHP is set, and is
 * never flushed by FPCR.FZ16. Widening is exact, so takes no rounding.
 */
uint32_t fp16_to_fp32(struct fp_env *env, uint16_t a);
uint64_t fp16_to_fp64(struct fp_env *env, uint16_t a);
uint64_t fp32_to_fp64(struct fp_env *env, uint32_t a);
uint16_t fp32_to_fp16(struct fp_env *env, uint32_t a, enum fp_round round);
uint16_t fp64_to_fp16(struct fp_env *env, uint64_t a, enum fp_round round);
uint32_t fp64_to_fp32(struct fp_env *env, uint64_t a, enum fp_round round);

/**
 * fp64_to_js() - FPToFixedJS: to a 32-bit integer modulo 2^32, as JavaScript converts (FJCVTZS).
 * @env:  control and status
 * @a:    the double
 * @nzcv: set to the new flags as a nibble: Z when the conversion was exact, all else clear
 */
uint32_t fp64_to_js(struct fp_env *env, uint64_t a, unsigned *nzcv);

/*
 * UnsignedRecipEstimate and UnsignedRSqrtEstimate (URECPE, URSQRTE): fixed point with the binary
 * point above bit 31; no control, no flags.
 */
uint32_t fp_urecpe(uint32_t a);
uint32_t fp_ursqrte(uint32_t a);

#endif
