/* SPDX-License-Identifier: MIT */
/*
 * cpu/fp/fp_fast.h against cpu/fp/fp.h: the same results and the same flags, operation by
 * operation, with the flags of both the exact functions and the host counted.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/fp/fp.h"
#include "cpu/fp/fp_fast.h"
#include "operands.h"

#define DEFAULT_COUNT 40000

/* FZ16 and AHP are not about single and double, so they do not keep the host from being used. */
static const uint32_t usable[] = {0, FP_CR_FZ16, FP_CR_AHP};

static bool has_fma;

#define FP_OPS_OF(N, k)                                                                          \
	FP_OP(add##N, k, k, o, fp_fast##N##_add(env, a, b), fp##N##_add(env, a, b))              \
	FP_OP(sub##N, k, k, o, fp_fast##N##_sub(env, a, b), fp##N##_sub(env, a, b))              \
	FP_OP(mul##N, k, k, o, fp_fast##N##_mul(env, a, b), fp##N##_mul(env, a, b))              \
	FP_OP(div##N, k, k, o, fp_fast##N##_div(env, a, b), fp##N##_div(env, a, b))              \
	FP_OP(max##N, k, k, o, fp_fast##N##_max(env, a, b), fp##N##_max(env, a, b))              \
	FP_OP(min##N, k, k, o, fp_fast##N##_min(env, a, b), fp##N##_min(env, a, b))              \
	FP_OP(maxnum##N, k, k, o, fp_fast##N##_maxnum(env, a, b), fp##N##_maxnum(env, a, b))     \
	FP_OP(minnum##N, k, k, o, fp_fast##N##_minnum(env, a, b), fp##N##_minnum(env, a, b))     \
	FP_OP(sqrt##N, k, o, o, fp_fast##N##_sqrt(env, a), fp##N##_sqrt(env, a))                 \
	FP_OP(fused##N, k, k, k, fp_fast##N##_muladd(env, c, a, b, has_fma),                     \
	      fp##N##_muladd(env, c, a, b))                                                      \
	FP_OP(unfused##N, k, k, k, fp_fast##N##_muladd(env, c, a, b, false),                     \
	      fp##N##_muladd(env, c, a, b))                                                      \
	FP_OP(compare##N, k, k, o, fp_fast##N##_compare(env, a, b, false),                       \
	      fp##N##_compare(env, a, b, false))                                                 \
	FP_OP(compare_signal##N, k, k, o, fp_fast##N##_compare(env, a, b, true),                 \
	      fp##N##_compare(env, a, b, true))                                                  \
	FP_OP(eq##N, k, k, o, fp_fast##N##_compare_eq(env, a, b), fp##N##_compare_eq(env, a, b)) \
	FP_OP(ge##N, k, k, o, fp_fast##N##_compare_ge(env, a, b), fp##N##_compare_ge(env, a, b)) \
	FP_OP(gt##N, k, k, o, fp_fast##N##_compare_gt(env, a, b), fp##N##_compare_gt(env, a, b)) \
	FP_OP(sint32_##N, k, o, o, fp_fast##N##_to_sint32(env, a),                               \
	      fp##N##_to_sint(env, a, 32, 0, FP_RZ))                                             \
	FP_OP(sint64_##N, k, o, o, fp_fast##N##_to_sint64(env, a),                               \
	      fp##N##_to_sint(env, a, 64, 0, FP_RZ))                                             \
	FP_OP(uint32_##N, k, o, o, fp_fast##N##_to_uint32(env, a),                               \
	      fp##N##_to_uint(env, a, 32, 0, FP_RZ))                                             \
	FP_OP(uint64_##N, k, o, o, fp_fast##N##_to_uint64(env, a),                               \
	      fp##N##_to_uint(env, a, 64, 0, FP_RZ))                                             \
	FP_OP(from_sint##N, x, o, o, fp_fast##N##_from_sint(env, (int64_t)a),                    \
	      fp##N##_from_sint(env, (int64_t)a, 0, FP_RN))                                      \
	FP_OP(from_uint##N, x, o, o, fp_fast##N##_from_uint(env, a),                             \
	      fp##N##_from_uint(env, a, 0, FP_RN))

#define FP_OPS                                                                 \
	FP_OPS_OF(32, s)                                                       \
	FP_OPS_OF(64, d)                                                       \
	FP_OP(widen, s, o, o, fp_fast32_to_fp64(env, a), fp32_to_fp64(env, a)) \
	FP_OP(narrow, d, o, o, fp_fast64_to_fp32(env, a), fp64_to_fp32(env, a, FP_RN))

/* The operands of single precision fit: they are zero-extended. */
typedef uint64_t (*fp_call)(struct fp_env *env, uint64_t a64, uint64_t b64, uint64_t c64);

typedef uint32_t type_s;
typedef uint64_t type_d;
typedef uint64_t type_x;
typedef uint64_t type_o;

#undef FP_OP
#define FP_OP(name, ka, kb, kc, fast, exact)                                                       \
	static uint64_t fast_##name(struct fp_env *env, uint64_t a64, uint64_t b64, uint64_t c64)  \
	{                                                                                          \
		type_##ka a = (type_##ka)a64;                                                      \
		type_##kb b = (type_##kb)b64;                                                      \
		type_##kc c = (type_##kc)c64;                                                      \
                                                                                                   \
		(void)a, (void)b, (void)c;                                                         \
		return fast;                                                                       \
	}                                                                                          \
	static uint64_t exact_##name(struct fp_env *env, uint64_t a64, uint64_t b64, uint64_t c64) \
	{                                                                                          \
		type_##ka a = (type_##ka)a64;                                                      \
		type_##kb b = (type_##kb)b64;                                                      \
		type_##kc c = (type_##kc)c64;                                                      \
                                                                                                   \
		(void)a, (void)b, (void)c;                                                         \
		return exact;                                                                      \
	}
FP_OPS

static const struct {
	const char *name;
	const char *kinds;
	fp_call fast, exact;
} ops[] = {
#undef FP_OP
#define FP_OP(name, ka, kb, kc, fast, exact) {#name, #ka #kb #kc, fast_##name, exact_##name},
	FP_OPS};

/* An operand that makes a sum cancel, or a result land on the smallest normal, now and then. */
static void relate(struct fp_random *random, const char *kinds, uint64_t operand[3])
{
	unsigned at = 1 + fp_random_below(random, 2);
	uint64_t near = operand[0] + fp_random_below(random, 5) - 2;

	if (kinds[at] == kinds[0])
		operand[at] =
			kinds[0] == 's' ? (uint32_t)near ^ (uint32_t)operand[0] >> 31 << 31 : near;
}

static bool same(unsigned op, uint32_t fpcr, const uint64_t operand[3], bool show)
{
	struct fp_env fast = {fpcr, 0}, exact = {fpcr, 0};
	/* volatile: stored before the flags are read */
	volatile uint64_t result;
	uint64_t saved = fp_fast_begin(), expected;
	uint32_t flags;

	result = ops[op].fast(&fast, operand[0], operand[1], operand[2]);
	flags = fast.fpsr | fp_fast_flags();
	fp_fast_end(saved);
	expected = ops[op].exact(&exact, operand[0], operand[1], operand[2]);
	if (result == expected && flags == exact.fpsr)
		return true;
	if (show)
		print_error("%s %" PRIx64 " %" PRIx64 " %" PRIx64 ": fast %" PRIx64
			    " fpsr %02" PRIx32 ", exact %" PRIx64 " fpsr %02" PRIx32 "\n",
			    ops[op].name, operand[0], operand[1], operand[2], result, flags,
			    expected, exact.fpsr);
	return false;
}

static void test_same_as_exact(void **state)
{
	unsigned count = (unsigned)env_number("FP_COUNT", DEFAULT_COUNT), failed = 0;
	struct fp_random random = {env_number("FP_SEED", DEFAULT_SEED)};

	if (!fp_fast_usable(0))
		skip();
	has_fma = fp_fast_has_fma();
	if (!has_fma)
		print_message("no fused multiply-add on this processor: not tested\n");
	for (unsigned op = 0; op < sizeof(ops) / sizeof(ops[0]); op++) {
		unsigned wrong = 0;

		for (unsigned i = 0; i < count; i++) {
			uint32_t fpcr = usable[fp_random_below(&random, 3)];
			uint64_t operand[3];

			for (unsigned j = 0; j < 3; j++)
				operand[j] = fp_random_operand(&random, ops[op].kinds[j]);
			if (fp_random_below(&random, 8) == 0)
				relate(&random, ops[op].kinds, operand);
			if (!same(op, fpcr, operand, wrong < MISMATCHES_SHOWN))
				wrong++;
		}
		failed += wrong;
	}
	assert_int_equal(failed, 0);
}

/*
 * Products and narrowed numbers at the smallest normal, where the architecture and x86 differ about
 * underflow: x * y with y next to 1 / x, both scaled so that the product is at 2^-126 or 2^-1022.
 */
static void test_edge_of_tininess(void **state)
{
	struct fp_random random = {DEFAULT_SEED};

	if (!fp_fast_usable(0))
		skip();
	has_fma = fp_fast_has_fma();
	for (unsigned i = 0; i < 4000; i++) {
		uint64_t x32 = 0x3f800000 + (fp_random_next(&random) & 0x7fffff);
		uint64_t x64 = 0x3ff0000000000000 + (fp_random_next(&random) >> 12);
		int64_t delta = (int64_t)(i % 5) - 2;
		struct fp_env env = {0, 0};
		uint64_t y32 = fp32_div(&env, 0x3f800000, (uint32_t)x32) + (uint64_t)delta;
		uint64_t y64 = fp64_div(&env, 0x3ff0000000000000, x64) + (uint64_t)delta;
		const uint64_t single[3] = {x32 - (63ull << 23), y32 - (63ull << 23)};
		const uint64_t twice[3] = {x64 - (511ull << 52), y64 - (511ull << 52)};
		const uint64_t narrow[3] = {0x3810000000000000 - (x64 & 0x3fffffff)};

		for (unsigned op = 0; op < sizeof(ops) / sizeof(ops[0]); op++) {
			if (ops[op].kinds[1] == 's')
				assert_true(same(op, 0, single, true));
			else if (ops[op].kinds[1] == 'd')
				assert_true(same(op, 0, twice, true));
			else if (ops[op].kinds[0] == 'd')
				assert_true(same(op, 0, narrow, true));
		}
	}
}

static void test_begin_and_end(void **state)
{
	struct fp_env env = {0, 0};
	volatile uint64_t result;
	uint64_t outer, inner;

	if (!fp_fast_usable(0))
		skip();
	outer = fp_fast_begin();
	assert_int_equal(fp_fast_flags(), 0);
	result = fp_fast64_div(&env, 0x3ff0000000000000, 0);
	assert_int_equal(result, 0x7ff0000000000000);
	assert_int_equal(fp_fast_flags(), FP_SR_DZC);
	inner = fp_fast_begin();
	assert_int_equal(fp_fast_flags(), 0);
	result = fp_fast32_div(&env, 0x3f800000, 0x40400000);
	assert_int_equal(result, 0x3eaaaaab);
	assert_int_equal(fp_fast_flags(), FP_SR_IXC);
	fp_fast_clear();
	assert_int_equal(fp_fast_flags(), 0);
	fp_fast_end(inner);
	assert_int_equal(fp_fast_flags(), FP_SR_DZC);
	fp_fast_end(outer);
	assert_int_equal(env.fpsr, 0);
	assert_false(fp_fast_usable(FP_CR_FZ));
	assert_false(fp_fast_usable(FP_CR_DN));
	assert_false(fp_fast_usable(1u << FP_CR_RMODE_SHIFT));
	assert_false(fp_fast_usable(2u << FP_CR_RMODE_SHIFT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_exact),
		cmocka_unit_test(test_edge_of_tininess),
		cmocka_unit_test(test_begin_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
