/* SPDX-License-Identifier: MIT */
/*
 * The floating-point vector ops, and the conversions and comparisons of ir_ops.def, against
 * cpu/fp/fp.h lane by lane: under random FPCRs in exact arithmetic, and under FPCR 0 by the
 * host's, with the flags that both raise. (That fp.h is right is tests/fp's business.)
 */
#include "tests/engine/test_vec.h"

#define NR_RANDOM 300

static struct cpu test_cpu;

/* Zeros, infinities, NaNs, denormals, numbers around one and any bits. */
static uint64_t random_fp(uint64_t *seed, unsigned int bits)
{
	unsigned int frac = bits == 16 ? 10 : bits == 32 ? 23 : 52, exp_bits = bits - 1 - frac;
	uint64_t k = test_random(seed), any = test_random(seed),
		 mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
	uint64_t sign = (k >> 60 & 1) << (bits - 1), inf = ((1ull << exp_bits) - 1) << frac,
		 fraction = any & ((1ull << frac) - 1);
	uint64_t bias = (1ull << (exp_bits - 1)) - 1;

	switch (k & 15) {
	case 0:
		return sign;
	case 1:
		return sign | inf;
	case 2:
		return sign | inf | fraction;
	case 3:
		return sign | fraction;
	case 4:
		return sign | 1ull << frac;
	case 5:
		return sign | (inf - 1);
	case 6:
	case 7:
	case 8:
		return sign | (bias + (k >> 8 & 7) - 3) << frac | fraction;
	case 9:
		return sign | (bias + (k >> 8) % (frac + 2)) << frac;
	default:
		return any & mask;
	}
}

static void random_operands(uint64_t *seed, union vreg in[3], unsigned int bits)
{
	for (int k = 0; k < 3; k++)
		for (unsigned int i = 0; i < 128 / bits; i++)
			test_set_lane(&in[k], bits, i, random_fp(seed, bits));
	/* equal and opposite operands are rare otherwise */
	if (!(test_random(seed) & 7))
		in[1] = in[0];
}

/* A mode: exact under some FPCR, or by the host. */
static void random_mode(uint64_t *seed)
{
	uint32_t k = random_word(seed);

	test_cpu.fpcr = 0;
	test_cpu.mode = CPU_MODE_FP_DYNAMIC;
	if (k & 1)
		test_cpu.mode = 0;
	else if (k & 2)
		test_cpu.fpcr = random_word(seed) & FP_CR_ALL;
}

typedef uint64_t fp_lane_fn(struct fp_env *env, unsigned int bits, const uint64_t x[3],
			    int32_t imm);

#define EACH_WIDTH(call16, call32, call64) \
	(bits == 16 ? (uint64_t)(call16) : bits == 32 ? (uint64_t)(call32) : (uint64_t)(call64))
#define X16(k) ((uint16_t)x[k])
#define X32(k) ((uint32_t)x[k])
#define DEFINE(name, e16, e32, e64)                                                      \
	static uint64_t name(struct fp_env *env, unsigned int bits, const uint64_t x[3], \
			     int32_t imm)                                                \
	{                                                                                \
		return EACH_WIDTH(e16, e32, e64);                                        \
	}
#define UNARY(name)                                                            \
	DEFINE(ref_##name, fp16_##name(env, X16(0)), fp32_##name(env, X32(0)), \
	       fp64_##name(env, x[0]))
#define BINARY(name)                                                                           \
	DEFINE(ref_##name, fp16_##name(env, X16(0), X16(1)), fp32_##name(env, X32(0), X32(1)), \
	       fp64_##name(env, x[0], x[1]))
#define COMPARE(name, fn, a16, a32, a64)                          \
	DEFINE(name, -(uint64_t)fn(16, a16(X16(0)), a16(X16(1))), \
	       -(uint64_t)fn(32, a32(X32(0)), a32(X32(1))),       \
	       -(uint64_t)fn(64, a64(x[0]), a64(x[1])))
#define EQ(w, p, q) fp##w##_compare_eq(env, p, q)
#define GE(w, p, q) fp##w##_compare_ge(env, p, q)
#define GT(w, p, q) fp##w##_compare_gt(env, p, q)
#define SAME(v)     (v)

BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(mulx)
BINARY(max)
BINARY(min)
BINARY(maxnum)
BINARY(minnum)
BINARY(recip_step)
BINARY(rsqrt_step)
UNARY(sqrt)
UNARY(recip_estimate)
UNARY(rsqrt_estimate)
UNARY(recpx)
DEFINE(ref_abs, x[0] & 0x7fff, x[0] & 0x7fffffff, x[0] << 1 >> 1)
DEFINE(ref_neg, x[0] ^ 0x8000, x[0] ^ 0x80000000, x[0] ^ 1ull << 63)
DEFINE(ref_abd, fp16_sub(env, X16(0), X16(1)) & 0x7fff, fp32_sub(env, X32(0), X32(1)) & 0x7fffffff,
       fp64_sub(env, x[0], x[1]) << 1 >> 1)
DEFINE(ref_mla, fp16_muladd(env, X16(0), X16(1), X16(2)), fp32_muladd(env, X32(0), X32(1), X32(2)),
       fp64_muladd(env, x[0], x[1], x[2]))
DEFINE(ref_mls, fp16_muladd(env, X16(0), X16(1) ^ 0x8000, X16(2)),
       fp32_muladd(env, X32(0), X32(1) ^ 0x80000000, X32(2)),
       fp64_muladd(env, x[0], x[1] ^ 1ull << 63, x[2]))
COMPARE(ref_cmeq, EQ, SAME, SAME, SAME)
COMPARE(ref_cmge, GE, SAME, SAME, SAME)
COMPARE(ref_cmgt, GT, SAME, SAME, SAME)
COMPARE(ref_acge, GE, fp16_abs, fp32_abs, fp64_abs)
COMPARE(ref_acgt, GT, fp16_abs, fp32_abs, fp64_abs)

static enum fp_round round_of(const struct fp_env *env, int32_t imm)
{
	return (imm & 15) == VEC_ROUND_FPCR ? fp_rmode(env) : (enum fp_round)(imm & 15);
}

#define ROUND round_of(env, imm)
#define FBITS ((unsigned int)imm >> 8)
DEFINE(ref_rint, fp16_round_int(env, X16(0), ROUND, imm & 16),
       fp32_round_int(env, X32(0), ROUND, imm & 16), fp64_round_int(env, x[0], ROUND, imm & 16))
DEFINE(ref_tos, fp16_to_sint(env, X16(0), 16, FBITS, ROUND),
       fp32_to_sint(env, X32(0), 32, FBITS, ROUND), fp64_to_sint(env, x[0], 64, FBITS, ROUND))
DEFINE(ref_tou, fp16_to_uint(env, X16(0), 16, FBITS, ROUND),
       fp32_to_uint(env, X32(0), 32, FBITS, ROUND), fp64_to_uint(env, x[0], 64, FBITS, ROUND))
DEFINE(ref_sto, fp16_from_sint(env, (int16_t)x[0], FBITS, fp_rmode(env)),
       fp32_from_sint(env, (int32_t)x[0], FBITS, fp_rmode(env)),
       fp64_from_sint(env, (int64_t)x[0], FBITS, fp_rmode(env)))
DEFINE(ref_uto, fp16_from_uint(env, X16(0), FBITS, fp_rmode(env)),
       fp32_from_uint(env, X32(0), FBITS, fp_rmode(env)),
       fp64_from_uint(env, x[0], FBITS, fp_rmode(env)))

enum imm { IMM_NONE, IMM_ROUND, IMM_ROUND_EXACT, IMM_ROUND_FBITS, IMM_FBITS };

static const struct row {
	unsigned int opc;
	fp_lane_fn *fn;
	enum imm imm;
} rows[] = {
	{IR_V_FABS, ref_abs},
	{IR_V_FNEG, ref_neg},
	{IR_V_FADD, ref_add},
	{IR_V_FSUB, ref_sub},
	{IR_V_FMUL, ref_mul},
	{IR_V_FDIV, ref_div},
	{IR_V_FMULX, ref_mulx},
	{IR_V_FMAX, ref_max},
	{IR_V_FMIN, ref_min},
	{IR_V_FMAXNM, ref_maxnum},
	{IR_V_FMINNM, ref_minnum},
	{IR_V_FABD, ref_abd},
	{IR_V_FSQRT, ref_sqrt},
	{IR_V_FMLA, ref_mla},
	{IR_V_FMLS, ref_mls},
	{IR_V_FRECPE, ref_recip_estimate},
	{IR_V_FRSQRTE, ref_rsqrt_estimate},
	{IR_V_FRECPX, ref_recpx},
	{IR_V_FRECPS, ref_recip_step},
	{IR_V_FRSQRTS, ref_rsqrt_step},
	{IR_V_FCMEQ, ref_cmeq},
	{IR_V_FCMGE, ref_cmge},
	{IR_V_FCMGT, ref_cmgt},
	{IR_V_FACGE, ref_acge},
	{IR_V_FACGT, ref_acgt},
	{IR_V_FRINT, ref_rint, IMM_ROUND_EXACT},
	{IR_V_FTOS, ref_tos, IMM_ROUND_FBITS},
	{IR_V_FTOU, ref_tou, IMM_ROUND_FBITS},
	{IR_V_STOF, ref_sto, IMM_FBITS},
	{IR_V_UTOF, ref_uto, IMM_FBITS},
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static int32_t random_imm(uint64_t *seed, enum imm kind, unsigned int bits)
{
	static const int32_t roundings[] = {FP_RN, FP_RP,          FP_RM, FP_RZ,
					    FP_RA, VEC_ROUND_FPCR, FP_RZ, FP_RZ};
	uint32_t k = random_word(seed);
	int32_t round = roundings[k & 7], fbits = k & 8 ? 0 : (int32_t)((k >> 8) % (bits + 1)) << 8;

	switch (kind) {
	case IMM_ROUND:
		return round;
	case IMM_ROUND_EXACT:
		return round | (k >> 16 & 16);
	case IMM_ROUND_FBITS:
		return round | fbits;
	case IMM_FBITS:
		return fbits;
	default:
		return 0;
	}
}

static bool one_case(const struct row *r, unsigned int lane, unsigned int shape, uint64_t *seed)
{
	unsigned int bits = 8u << lane;
	union vreg in[3], want = {.d = {0, 0}};
	int32_t imm = random_imm(seed, r->imm, bits);
	struct fp_env env;

	random_mode(seed);
	random_operands(seed, in, bits);
	env = (struct fp_env){test_cpu.fpcr, 0};
	for (unsigned int i = 0; i < test_count(lane, shape); i++) {
		uint64_t x[3] = {test_lane(&in[0], bits, i), test_lane(&in[1], bits, i),
				 test_lane(&in[2], bits, i)};

		test_set_lane(&want, bits, i, r->fn(&env, bits, x, imm));
	}
	return test_call(&test_cpu, r->opc, lane, shape, in, imm, &want, env.fpsr);
}

static void test_rows(void **state)
{
	uint64_t seed = 11;

	for (const struct row *r = rows; r < rows + NR_ROWS; r++)
		for (unsigned int lane = IR_B; lane <= IR_Q; lane++)
			for (unsigned int shape = IR_SCALAR; shape <= IR_FULL; shape++) {
				bool there = lane >= IR_H && lane <= IR_D;

				assert_int_equal(vec_function(r->opc, lane, shape) != NULL, there);
				for (int n = 0; there && n < NR_RANDOM; n++)
					assert_true(one_case(r, lane, shape, &seed));
			}
}

/* FCVTL reads the half that the shape names, FCVTN and FCVTXN write the low one. */
static void test_formats(void **state)
{
	uint64_t seed = 12;

	for (int n = 0; n < 8000; n++) {
		unsigned int narrow = n & 1 ? IR_H : IR_S, bits = 8u << narrow,
			     shape = (unsigned int)n / 2 % 3;
		unsigned int nr = shape == IR_SCALAR ? 1 : 64 / bits,
			     first = shape == IR_FULL ? nr : 0;
		union vreg in[3], want = {.d = {0, 0}};
		struct fp_env env;

		random_mode(&seed);
		random_operands(&seed, in, bits);
		env = (struct fp_env){test_cpu.fpcr, 0};
		for (unsigned int i = 0; i < nr; i++) {
			if (narrow == IR_H)
				want.s[i] = fp16_to_fp32(&env, in[0].h[first + i]);
			else
				want.d[i] = fp32_to_fp64(&env, in[0].s[first + i]);
		}
		assert_true(
			test_call(&test_cpu, IR_V_FCVTL, narrow, shape, in, 0, &want, env.fpsr));
		if (shape == IR_FULL)
			continue;
		random_operands(&seed, in, 2 * bits);
		env.fpsr = 0;
		want = (union vreg){.d = {0, 0}};
		for (unsigned int i = 0; i < nr; i++) {
			if (narrow == IR_H)
				want.h[i] = fp32_to_fp16(&env, in[0].s[i], fp_rmode(&env));
			else
				want.s[i] = fp64_to_fp32(&env, in[0].d[i], fp_rmode(&env));
		}
		assert_true(
			test_call(&test_cpu, IR_V_FCVTN, narrow, shape, in, 0, &want, env.fpsr));
		if (narrow == IR_H)
			continue;
		env.fpsr = 0;
		for (unsigned int i = 0; i < nr; i++)
			want.s[i] = fp64_to_fp32(&env, in[0].d[i], FP_RO);
		assert_true(
			test_call(&test_cpu, IR_V_FCVTXN, narrow, shape, in, 0, &want, env.fpsr));
	}
}

static void test_half_double_js(void **state)
{
	uint64_t seed = 13;

	for (int n = 0; n < 3000; n++) {
		union vreg in[3], want;
		struct fp_env env;
		unsigned int nzcv;

		random_mode(&seed);
		env = (struct fp_env){test_cpu.fpcr, 0};
		random_operands(&seed, in, 16);
		want = (union vreg){.d = {fp16_to_fp64(&env, in[0].h[0]), 0}};
		assert_true(
			test_call(&test_cpu, IR_V_FCVTHD, IR_H, IR_SCALAR, in, 0, &want, env.fpsr));
		env.fpsr = 0;
		random_operands(&seed, in, 64);
		want = (union vreg){.h = {fp64_to_fp16(&env, in[0].d[0], fp_rmode(&env))}};
		assert_true(
			test_call(&test_cpu, IR_V_FCVTDH, IR_H, IR_SCALAR, in, 0, &want, env.fpsr));
		env.fpsr = 0;
		want = (union vreg){.s = {fp64_to_js(&env, in[0].d[0], &nzcv)}};
		want.s[1] = nzcv << 28;
		assert_true(test_call(&test_cpu, IR_V_FJCVTZS, IR_D, IR_SCALAR, in, 0, &want,
				      env.fpsr));
	}
}

static uint64_t fused(struct fp_env *env, unsigned int bits, uint64_t acc, uint64_t p, uint64_t q)
{
	const uint64_t x[3] = {acc, p, q};

	return ref_mla(env, bits, x, 0);
}

/* The Arm ARM's table of elements for each rotation (FCADD, FCMLA). */
static void want_complex(struct fp_env *env, unsigned int bits, const union vreg in[3],
			 unsigned int i, bool mla, int rot, union vreg *want)
{
	uint64_t sign = 1ull << (bits - 1), a[2], b[2], c[2], r[2];

	for (unsigned int k = 0; k < 2; k++) {
		a[k] = test_lane(&in[0], bits, i + k);
		b[k] = test_lane(&in[1], bits, i + k);
		c[k] = test_lane(&in[2], bits, i + k);
	}
	if (!mla) {
		const uint64_t re[3] = {a[0], rot ? b[1] : b[1] ^ sign},
			       im[3] = {a[1], rot ? b[0] ^ sign : b[0]};

		r[0] = ref_add(env, bits, re, 0);
		r[1] = ref_add(env, bits, im, 0);
	} else if (rot == 0) {
		r[0] = fused(env, bits, a[0], b[0], c[0]);
		r[1] = fused(env, bits, a[1], b[0], c[1]);
	} else if (rot == 1) {
		r[0] = fused(env, bits, a[0], b[1], c[1] ^ sign);
		r[1] = fused(env, bits, a[1], b[1], c[0]);
	} else if (rot == 2) {
		r[0] = fused(env, bits, a[0], b[0], c[0] ^ sign);
		r[1] = fused(env, bits, a[1], b[0], c[1] ^ sign);
	} else {
		r[0] = fused(env, bits, a[0], b[1], c[1]);
		r[1] = fused(env, bits, a[1], b[1], c[0] ^ sign);
	}
	test_set_lane(want, bits, i, r[0]);
	test_set_lane(want, bits, i + 1, r[1]);
}

static void test_complex(void **state)
{
	uint64_t seed = 14;

	for (int n = 0; n < 12000; n++) {
		unsigned int lane = IR_H + (unsigned int)n % 3, bits = 8u << lane,
			     shape = n & 8 || lane == IR_D ? IR_FULL : IR_HALF;
		bool mla = n & 16;
		int rot = n >> 5 & (mla ? 3 : 1);
		union vreg in[3], want = {.d = {0, 0}};
		struct fp_env env;

		random_mode(&seed);
		random_operands(&seed, in, bits);
		env = (struct fp_env){test_cpu.fpcr, 0};
		for (unsigned int i = 0; i < test_count(lane, shape); i += 2)
			want_complex(&env, bits, in, i, mla, rot, &want);
		assert_true(test_call(&test_cpu, mla ? IR_V_FCMLA : IR_V_FCADD, lane, shape, in,
				      rot, &want, env.fpsr));
	}
}

/* FTOI, ITOF, FCMP. */

static uint64_t want_ftoi(struct fp_env *env, unsigned int lane, uint64_t x, unsigned int width,
			  int32_t imm)
{
	unsigned int fbits = (unsigned int)imm >> 8;
	enum fp_round round = round_of(env, imm & 15);

	if (lane == IR_H)
		return imm & 16 ? fp16_to_sint(env, (uint16_t)x, width, fbits, round)
				: fp16_to_uint(env, (uint16_t)x, width, fbits, round);
	if (lane == IR_S)
		return imm & 16 ? fp32_to_sint(env, (uint32_t)x, width, fbits, round)
				: fp32_to_uint(env, (uint32_t)x, width, fbits, round);
	return imm & 16 ? fp64_to_sint(env, x, width, fbits, round)
			: fp64_to_uint(env, x, width, fbits, round);
}

static uint64_t want_itof(struct fp_env *env, unsigned int lane, uint64_t x, int32_t imm)
{
	unsigned int fbits = (unsigned int)imm >> 8;
	enum fp_round round = fp_rmode(env);

	if (lane == IR_H)
		return imm & 16 ? fp16_from_sint(env, (int64_t)x, fbits, round)
				: fp16_from_uint(env, x, fbits, round);
	if (lane == IR_S)
		return imm & 16 ? fp32_from_sint(env, (int64_t)x, fbits, round)
				: fp32_from_uint(env, x, fbits, round);
	return imm & 16 ? fp64_from_sint(env, (int64_t)x, fbits, round)
			: fp64_from_uint(env, x, fbits, round);
}

static unsigned int want_fcmp(struct fp_env *env, unsigned int lane, uint64_t x, uint64_t y,
			      bool signal)
{
	if (lane == IR_H)
		return fp16_compare(env, (uint16_t)x, (uint16_t)y, signal);
	if (lane == IR_S)
		return fp32_compare(env, (uint32_t)x, (uint32_t)y, signal);
	return fp64_compare(env, x, y, signal);
}

static uint32_t flags_since(uint64_t host)
{
	uint32_t flags = test_cpu.fpsr | fp_fast_flags();

	fp_fast_end(host);
	test_cpu.fpsr = 0;
	return flags;
}

static void test_scalar(void **state)
{
	uint64_t seed = 15;

	test_cpu.fpsr = 0;
	for (int n = 0; n < 60000; n++) {
		unsigned int lane = IR_H + (unsigned int)n % 3, bits = 8u << lane,
			     width = n & 64 ? 64 : 32;
		uint64_t x = test_random(&seed) >> (test_random(&seed) & 63), y, host, got;
		union vreg in[3], d = {.d = {~0ull, ~0ull}};
		int32_t imm, sign = n & 128 ? VEC_IMM_SIGNED : 0;
		struct fp_env env;
		uint32_t nzcv;

		random_mode(&seed);
		random_operands(&seed, in, bits);
		env = (struct fp_env){test_cpu.fpcr, 0};

		imm = random_imm(&seed, IMM_ROUND_FBITS, width) | sign;
		y = want_ftoi(&env, lane, test_lane(&in[0], bits, 0), width, imm);
		host = fp_fast_begin();
		got = vec_ftoi(&test_cpu, &in[0], lane, width == 64, imm);
		assert_int_equal(flags_since(host), env.fpsr);
		assert_int_equal(got, y);

		env.fpsr = 0;
		imm = random_imm(&seed, IMM_FBITS, 64) | sign;
		y = want_itof(&env, lane, x, imm);
		host = fp_fast_begin();
		vec_itof(&test_cpu, &d, x, lane, imm);
		assert_int_equal(flags_since(host), env.fpsr);
		assert_int_equal(d.d[0], y);
		assert_int_equal(d.d[1], 0);

		env.fpsr = 0;
		imm = n & 3;
		y = imm & VEC_FCMP_ZERO ? 0 : test_lane(&in[1], bits, 0);
		y = want_fcmp(&env, lane, test_lane(&in[0], bits, 0), y, imm & VEC_FCMP_SIGNAL);
		host = fp_fast_begin();
		nzcv = vec_fcmp(&test_cpu, &in[0], imm & VEC_FCMP_ZERO ? NULL : &in[1], lane, imm);
		assert_int_equal(flags_since(host), env.fpsr);
		assert_int_equal(nzcv, y << 28);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),           cmocka_unit_test(test_formats),
		cmocka_unit_test(test_half_double_js), cmocka_unit_test(test_complex),
		cmocka_unit_test(test_scalar),
	};

	return cmocka_run_group_tests_name("vec_fp", tests, NULL, NULL);
}
