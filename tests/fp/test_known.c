/* SPDX-License-Identifier: MIT */
/*
 * Results that follow from the Arm ARM's pseudocode by hand: one row for each rule that is easily
 * got wrong, and those where emulators are known to differ. Needs nothing but this machine.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "cpu/fp/fp.h"

#define RP (1u << FP_CR_RMODE_SHIFT)
#define RM (2u << FP_CR_RMODE_SHIFT)
#define RZ (3u << FP_CR_RMODE_SHIFT)

#define INF16   0x7c00u
#define ONE16   0x3c00u
#define INF32   0x7f800000u
#define NAN32   0x7fc00000u /* the default NaN */
#define QNAN32  0xffc12345u
#define SNAN32  0x7f854321u
#define MAX32   0x7f7fffffu
#define ONE32   0x3f800000u
#define MIN32   0x00800000u /* the smallest normal */
#define MINUS32 0x80000000u
#define INF64   0x7ff0000000000000u
#define ONE64   0x3ff0000000000000u
#define MINUS64 0x8000000000000000u

static uint64_t js(struct fp_env *env, uint64_t a)
{
	unsigned nzcv;
	uint32_t result = fp64_to_js(env, a, &nzcv);

	return (uint64_t)nzcv << 32 | result;
}

#define JS_EXACT (0x4ull << 32)

/* Checks the value of @call under @fpcr, and the flags that it leaves. */
#define EXPECT(control, call, value, flags)                                      \
	do {                                                                     \
		struct fp_env environment = {(control), 0}, *env = &environment; \
		uint64_t got = (call);                                           \
                                                                                 \
		if (got != (uint64_t)(value) || env->fpsr != (flags))            \
			fail_msg(#call " under %08" PRIx32 " is %" PRIx64        \
				       " with flags %02" PRIx32,                 \
				 (uint32_t)(control), got, env->fpsr);           \
	} while (0)

static void test_nans(void **state)
{
	/* Signalling before quiet, left before right; the quiet bit is set, the payload stays. */
	EXPECT(0, fp32_add(env, QNAN32, SNAN32), SNAN32 | 1 << 22, FP_SR_IOC);
	EXPECT(0, fp32_add(env, QNAN32, NAN32), QNAN32, 0);
	EXPECT(0, fp32_sub(env, ONE32, QNAN32), QNAN32, 0);
	EXPECT(FP_CR_DN, fp32_sub(env, ONE32, QNAN32), NAN32, 0);
	EXPECT(FP_CR_DN, fp32_mul(env, ONE32, SNAN32), NAN32, FP_SR_IOC);
	EXPECT(0, fp32_add(env, INF32, INF32 | MINUS32), NAN32, FP_SR_IOC);
	EXPECT(0, fp32_sqrt(env, ONE32 | MINUS32), NAN32, FP_SR_IOC);
	EXPECT(0, fp32_sqrt(env, MINUS32), MINUS32, 0);
	/*
	 * The addend comes first; an invalid product replaces a quiet addend, not a signalling one.
	 */
	EXPECT(0, fp32_muladd(env, QNAN32, NAN32, ONE32), QNAN32, 0);
	EXPECT(0, fp32_muladd(env, QNAN32, NAN32, SNAN32), SNAN32 | 1 << 22, FP_SR_IOC);
	EXPECT(0, fp32_muladd(env, QNAN32, INF32, 0), NAN32, FP_SR_IOC);
	EXPECT(0, fp32_muladd(env, SNAN32, INF32, 0), SNAN32 | 1 << 22, FP_SR_IOC);
	/* The steps negate their first operand, NaN or not. */
	EXPECT(0, fp32_recip_step(env, QNAN32, ONE32), QNAN32 ^ MINUS32, 0);
	EXPECT(0, fp32_rsqrt_step(env, ONE32, QNAN32), QNAN32, 0);
	/* A flushed operand counts even when the other one is a NaN. */
	EXPECT(FP_CR_FZ, fp32_compare(env, 1, NAN32, false), FP_NZCV_UNORDERED, FP_SR_IDC);
	EXPECT(0, fp32_compare(env, 0, NAN32, true), FP_NZCV_UNORDERED, FP_SR_IOC);
	EXPECT(0, fp32_compare_eq(env, NAN32, NAN32), false, 0);
	EXPECT(0, fp32_compare_ge(env, NAN32, 0), false, FP_SR_IOC);
}

static void test_max_and_min(void **state)
{
	EXPECT(0, fp32_max(env, MINUS32, 0), 0, 0);
	EXPECT(0, fp32_min(env, 0, MINUS32), MINUS32, 0);
	EXPECT(0, fp32_max(env, ONE32, QNAN32), QNAN32, 0);
	EXPECT(0, fp32_maxnum(env, ONE32, QNAN32), ONE32, 0);
	EXPECT(0, fp32_minnum(env, QNAN32, ONE32), ONE32, 0);
	EXPECT(0, fp32_maxnum(env, QNAN32, NAN32), QNAN32, 0);
	EXPECT(0, fp32_maxnum(env, ONE32, SNAN32), SNAN32 | 1 << 22, FP_SR_IOC);
	EXPECT(FP_CR_FZ, fp32_max(env, 1, MINUS32 | 2), 0, FP_SR_IDC);
	EXPECT(FP_CR_FZ16, fp16_max(env, 1, 0x8002), 0, 0);
}

static void test_rounding(void **state)
{
	/* 1 + 2^-24 is half-way; 2^-24 is exponent 127 - 24 */
	const uint32_t half_ulp = (127u - 24) << 23;

	EXPECT(0, fp32_add(env, ONE32, half_ulp), ONE32, FP_SR_IXC);
	EXPECT(0, fp32_add(env, ONE32 + 1, half_ulp), ONE32 + 2, FP_SR_IXC);
	EXPECT(RP, fp32_add(env, ONE32, 1), ONE32 + 1, FP_SR_IXC);
	EXPECT(RM, fp32_sub(env, ONE32, 1), ONE32 - 1, FP_SR_IXC);
	EXPECT(RZ, fp32_sub(env, ONE32, 1), ONE32 - 1, FP_SR_IXC);
	EXPECT(RP, fp32_sub(env, ONE32, 1), ONE32, FP_SR_IXC);
	EXPECT(0, fp32_sub(env, ONE32, ONE32), 0, 0);
	EXPECT(RM, fp32_sub(env, ONE32, ONE32), MINUS32, 0);
	EXPECT(RM, fp32_muladd(env, ONE32 | MINUS32, ONE32, ONE32), MINUS32, 0);
	/* Overflow: to infinity or to the largest, by rounding and sign. */
	EXPECT(0, fp32_add(env, MAX32, MAX32), INF32, FP_SR_OFC | FP_SR_IXC);
	EXPECT(RZ, fp32_add(env, MAX32, MAX32), MAX32, FP_SR_OFC | FP_SR_IXC);
	EXPECT(RM, fp32_add(env, MAX32, MAX32), MAX32, FP_SR_OFC | FP_SR_IXC);
	EXPECT(RM, fp32_add(env, MAX32 | MINUS32, MAX32 | MINUS32), INF32 | MINUS32,
	       FP_SR_OFC | FP_SR_IXC);
	EXPECT(0, fp32_div(env, ONE32, MINUS32), INF32 | MINUS32, FP_SR_DZC);
	EXPECT(0, fp32_div(env, INF32, 0), INF32, 0);
	EXPECT(0, fp32_div(env, 0, 0), NAN32, FP_SR_IOC);
	EXPECT(0, fp32_mulx(env, INF32, MINUS32), 0xc0000000, 0);
	EXPECT(0, fp32_rsqrt_step(env, INF32, 0), 0x3fc00000, 0);
	/* To odd: the double just above one; too large. */
	EXPECT(0, fp64_to_fp32(env, ONE64 + 1, FP_RO), ONE32 + 1, FP_SR_IXC);
	EXPECT(0, fp64_to_fp32(env, INF64 - 1, FP_RO), MAX32, FP_SR_OFC | FP_SR_IXC);
	EXPECT(0, fp64_to_fp32(env, 1, FP_RO), 1, FP_SR_UFC | FP_SR_IXC);
}

static void test_tiny_results(void **state)
{
	const uint32_t half = ONE32 - (1u << 23);

	/* Exact, so no underflow. */
	EXPECT(0, fp32_mul(env, MIN32, half), MIN32 >> 1, 0);
	/* Tiny before rounding, though it rounds to the smallest normal. */
	EXPECT(0, fp32_mul(env, MIN32 + (1u << 23) - 1, half), MIN32, FP_SR_UFC | FP_SR_IXC);
	EXPECT(RZ, fp32_mul(env, 1, half), 0, FP_SR_UFC | FP_SR_IXC);
	EXPECT(RP, fp32_mul(env, 1, half), 1, FP_SR_UFC | FP_SR_IXC);
	/* Flushed before rounding: underflow, and not inexact. */
	EXPECT(FP_CR_FZ, fp32_mul(env, MIN32 + (1u << 23) - 1, half | MINUS32), MINUS32, FP_SR_UFC);
	EXPECT(FP_CR_FZ, fp32_mul(env, MIN32 - 1, ONE32), 0, FP_SR_IDC);
	/* Half precision has a flush of its own, and no flag for operands. */
	EXPECT(FP_CR_FZ, fp16_add(env, 1, 1), 2, 0);
	EXPECT(FP_CR_FZ16, fp16_add(env, 1, 1), 0, 0);
	EXPECT(FP_CR_FZ16, fp16_mul(env, 0x400, 0x3800), 0, FP_SR_UFC);
	EXPECT(FP_CR_FZ16, fp32_add(env, 1, 1), 2, 0);
	/* Conversions never flush half precision. */
	EXPECT(FP_CR_FZ16 | FP_CR_FZ, fp16_to_fp32(env, 1), (127u - 24) << 23, 0);
	EXPECT(FP_CR_FZ16 | FP_CR_FZ, fp32_to_fp16(env, (127u - 24) << 23, FP_RN), 1, 0);
	EXPECT(FP_CR_FZ16, fp16_from_uint(env, 1, 24, FP_RN), 0, FP_SR_UFC);
	EXPECT(0, fp16_from_uint(env, 1, 24, FP_RN), 1, 0);
}

static void test_alternative_half(void **state)
{
	EXPECT(FP_CR_AHP, fp16_to_fp32(env, INF16), 0x47800000, 0); /* 2^16 */
	EXPECT(0, fp16_to_fp32(env, INF16), INF32, 0);
	EXPECT(FP_CR_AHP, fp32_to_fp16(env, INF32 | MINUS32, FP_RN), 0xffff, FP_SR_IOC);
	EXPECT(FP_CR_AHP, fp32_to_fp16(env, QNAN32, FP_RN), 0x8000, FP_SR_IOC);
	EXPECT(FP_CR_AHP, fp32_to_fp16(env, 0x48000000, FP_RN), 0x7fff, FP_SR_IOC); /* 2^17 */
	EXPECT(FP_CR_AHP, fp32_to_fp16(env, 0x47ffe000, FP_RZ), 0x7fff, 0);
	EXPECT(FP_CR_AHP, fp16_add(env, INF16, ONE16), INF16, 0);
	EXPECT(0, fp32_to_fp16(env, 0x47800000, FP_RN), INF16, FP_SR_OFC | FP_SR_IXC);
	EXPECT(0, fp16_to_fp64(env, 0x7d01), INF64 | 0x8000000000000 | 0x101ull << 42, FP_SR_IOC);
	EXPECT(FP_CR_DN, fp64_to_fp32(env, INF64 | 1, FP_RN), NAN32, FP_SR_IOC);
	EXPECT(0, fp64_to_fp32(env, INF64 | 1, FP_RN), NAN32, FP_SR_IOC);
}

static void test_integers(void **state)
{
	const uint64_t two_and_half = 0x4004000000000000;

	EXPECT(0, fp64_to_sint(env, two_and_half, 32, 0, FP_RN), 2, FP_SR_IXC);
	EXPECT(0, fp64_to_sint(env, two_and_half, 32, 0, FP_RA), 3, FP_SR_IXC);
	EXPECT(0, fp64_to_sint(env, two_and_half | MINUS64, 32, 0, FP_RA), 0xfffffffd, FP_SR_IXC);
	EXPECT(0, fp64_to_sint(env, two_and_half | MINUS64, 64, 0, FP_RM), -3ull, FP_SR_IXC);
	EXPECT(0, fp64_to_uint(env, two_and_half, 64, 1, FP_RZ), 5, 0);
	EXPECT(0, fp64_to_uint(env, ONE64 | MINUS64, 64, 0, FP_RZ), 0, FP_SR_IOC);
	EXPECT(0, fp64_to_uint(env, 0xbfe0000000000000, 64, 0, FP_RZ), 0, FP_SR_IXC);
	EXPECT(0, fp64_to_sint(env, 0xc1e0000000000000, 32, 0, FP_RZ), 0x80000000, 0);
	EXPECT(0, fp64_to_sint(env, 0xc1e0000000100000, 32, 0, FP_RZ), 0x80000000, FP_SR_IXC);
	EXPECT(0, fp64_to_sint(env, 0x41e0000000000000, 32, 0, FP_RZ), 0x7fffffff, FP_SR_IOC);
	EXPECT(0, fp64_to_sint(env, 0x41dfffffffe00000, 32, 0, FP_RN), 0x7fffffff, FP_SR_IOC);
	EXPECT(0, fp64_to_uint(env, 0x43efffffffffffff, 64, 0, FP_RZ), -2048ull, 0);
	EXPECT(0, fp64_to_uint(env, INF64, 64, 0, FP_RZ), ~0ull, FP_SR_IOC);
	EXPECT(0, fp64_to_sint(env, INF64 | 1, 64, 0, FP_RZ), 0, FP_SR_IOC);
	EXPECT(FP_CR_FZ, fp64_to_sint(env, 1, 64, 0, FP_RP), 0, FP_SR_IDC);
	/* Sixteen bits out of a half precision lane, without the copies of the sign above. */
	EXPECT(0, fp16_to_sint(env, 0xbc00, 16, 7, FP_RZ), 0xff80, 0);
	EXPECT(0, fp32_from_uint(env, ~0ull, 0, FP_RN), 0x5f800000, FP_SR_IXC);
	EXPECT(0, fp32_from_uint(env, ~0ull, 64, FP_RZ), ONE32 - 1, FP_SR_IXC);
	EXPECT(0, fp64_from_sint(env, INT64_MIN, 0, FP_RZ), 0xc3e0000000000000, 0);
	EXPECT(RM, fp64_from_sint(env, 0, 3, FP_RM), 0, 0);
	EXPECT(0, fp64_round_int(env, two_and_half, FP_RN, true), 0x4000000000000000, FP_SR_IXC);
	EXPECT(0, fp64_round_int(env, two_and_half, FP_RP, false), 0x4008000000000000, 0);
	EXPECT(0, fp64_round_int(env, MINUS64 | 1, FP_RN, true), MINUS64, FP_SR_IXC);
	EXPECT(FP_CR_FZ, fp64_round_int(env, MINUS64 | 1, FP_RM, true), MINUS64, FP_SR_IDC);
}

static void test_javascript(void **state)
{
	EXPECT(0, js(env, 0), JS_EXACT, 0);
	EXPECT(0, js(env, MINUS64), 0, 0);
	EXPECT(0, js(env, ONE64 | MINUS64), JS_EXACT | 0xffffffff, 0);
	EXPECT(0, js(env, 0x3ff8000000000000), 1, FP_SR_IXC);
	EXPECT(0, js(env, 0x41f0000000100000), 1, FP_SR_IOC);             /* 2^32 + 1 */
	EXPECT(0, js(env, 0xc1f0000000100000), 0xffffffff, FP_SR_IOC);    /* -(2^32 + 1) */
	EXPECT(0, js(env, 0xc1e0000000000000), JS_EXACT | 0x80000000, 0); /* -2^31 */
	EXPECT(0, js(env, 0xc1e0000000100000), 0x80000000, FP_SR_IXC);    /* -2^31 - 1/2 */
	EXPECT(0, js(env, 0x41e0000000000000), 0x80000000, FP_SR_IOC);    /* 2^31 */
	EXPECT(0, js(env, 0x4520000000000001), 0x80000000, FP_SR_IOC);    /* 2^83 + 2^31 */
	EXPECT(0, js(env, INF64), 0, FP_SR_IOC);
	EXPECT(0, js(env, INF64 | 1), 0, FP_SR_IOC);
	/* A denormal is inexact, or flushed: Z is clear either way. */
	EXPECT(0, js(env, 1), 0, FP_SR_IXC);
	EXPECT(FP_CR_FZ, js(env, 1), 0, FP_SR_IDC);
	EXPECT(FP_CR_FZ, js(env, MINUS64 | 1), 0, FP_SR_IDC);
}

static void test_estimates(void **state)
{
	/* RecipEstimate(256) is 511, RecipSqrtEstimate(256) 361 (0.5) and of 128 (0.25) 511. */
	EXPECT(0, fp32_recip_estimate(env, ONE32), 0x3f7f8000, 0);
	EXPECT(0, fp32_rsqrt_estimate(env, ONE32), 0x3f7f8000, 0);
	EXPECT(0, fp64_rsqrt_estimate(env, 0x4000000000000000), 0x3fe6900000000000, 0);
	EXPECT(0, fp_urecpe(0x80000000), 0xff800000, 0);
	EXPECT(0, fp_urecpe(0x7fffffff), 0xffffffff, 0);
	EXPECT(0, fp_ursqrte(0x40000000), 0xff800000, 0);
	EXPECT(0, fp_ursqrte(0x3fffffff), 0xffffffff, 0);
	EXPECT(0, fp32_recip_estimate(env, MINUS32), INF32 | MINUS32, FP_SR_DZC);
	EXPECT(0, fp32_recip_estimate(env, 0x001fffff), INF32, FP_SR_OFC | FP_SR_IXC);
	EXPECT(RM, fp32_recip_estimate(env, 0x001fffff), MAX32, FP_SR_OFC | FP_SR_IXC);
	EXPECT(RM, fp32_recip_estimate(env, 0x00200000), 0x7f7f8000, 0);
	EXPECT(0, fp32_recip_estimate(env, MAX32), 0x00200000, 0);
	EXPECT(FP_CR_FZ, fp32_recip_estimate(env, MAX32 | MINUS32), MINUS32, FP_SR_UFC);
	EXPECT(0, fp32_rsqrt_estimate(env, MINUS32), INF32 | MINUS32, FP_SR_DZC);
	EXPECT(0, fp32_rsqrt_estimate(env, MINUS32 | 1), NAN32, FP_SR_IOC);
	EXPECT(FP_CR_FZ, fp32_rsqrt_estimate(env, MINUS32 | 1), INF32 | MINUS32,
	       FP_SR_DZC | FP_SR_IDC);
	EXPECT(0, fp32_recpx(env, 0x3fc00000), 0x40000000, 0);
	EXPECT(0, fp32_recpx(env, MINUS32 | 1), 0xff000000, 0);
	EXPECT(FP_CR_FZ, fp32_recpx(env, MINUS32 | 1), 0xff000000, FP_SR_IDC);
	EXPECT(0, fp32_recpx(env, INF32), 0, 0);
}

/* Flags only accumulate, and bits that are not theirs are left alone. */
static void test_flags_accumulate(void **state)
{
	struct fp_env env = {0, FP_SR_DZC | 1u << 27};

	fp32_add(&env, MAX32, MAX32);
	fp32_add(&env, SNAN32, ONE32);
	assert_int_equal(env.fpsr, FP_SR_DZC | 1u << 27 | FP_SR_OFC | FP_SR_IXC | FP_SR_IOC);
	assert_int_equal(env.fpcr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nans),
		cmocka_unit_test(test_max_and_min),
		cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_tiny_results),
		cmocka_unit_test(test_alternative_half),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_javascript),
		cmocka_unit_test(test_estimates),
		cmocka_unit_test(test_flags_accumulate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
