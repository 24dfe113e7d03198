/* SPDX-License-Identifier: MIT */
/*
 * Floating-point vector ops, lane by lane: by the host's arithmetic when the mode allows it and
 * cpu/fp/fp_fast.h has the operation, else by cpu/fp/fp.h.
 */
#include "cpu/fp/fp_fast.h"
#include "engine/vec/vec_impl.h"

#define TRUTH(condition) ((condition) ? ~(U)0 : (U)0)

/* Signs are the highest bits. */
VEC_OP(LANE1, HSD, FABS, (U)(x << 1) >> 1)
VEC_OP(LANE1, HSD, FNEG, x ^ (U)((U)1 << (W - 1)))

/* An expression for each width, over fpN_... functions. */
#define FP_EACH(kind, op, e16, e32, e64)                                     \
	VEC_##kind(op, H, e16) VEC_##kind(op, S, e32) VEC_##kind(op, D, e64) \
		VEC_TABLE(op, HSD, VEC_TABLE_##kind)

#define FP_UNARY(op, name) \
	FP_EACH(LANE1, op, fp16_##name(env, x), fp32_##name(env, x), fp64_##name(env, x))
#define FP_BINARY(op, name) \
	FP_EACH(LANE2, op, fp16_##name(env, x, y), fp32_##name(env, x, y), fp64_##name(env, x, y))
#define FP_BINARY_LANES(fp_each, op, name)                                   \
	fp_each(LANE2, op, fp16_##name(env, x, y),                           \
		fast ? fp_fast32_##name(env, x, y) : fp32_##name(env, x, y), \
		fast ? fp_fast64_##name(env, x, y) : fp64_##name(env, x, y))
#define FP_BINARY_FAST(op, name) FP_BINARY_LANES(FP_EACH, op, name)
#define FP_COMPARE(op, name, p, q)                                      \
	FP_EACH(LANE2, op, TRUTH(fp16_##name(env, p(16, x), q(16, y))), \
		TRUTH(fast ? fp_fast32_##name(env, p(32, x), q(32, y))  \
			   : fp32_##name(env, p(32, x), q(32, y))),     \
		TRUTH(fast ? fp_fast64_##name(env, p(64, x), q(64, y))  \
			   : fp64_##name(env, p(64, x), q(64, y))))
#define PLAIN(width, v)     (v)
#define MAGNITUDE(width, v) fp##width##_abs(v)

FP_BINARY_FAST(FMAX, max)
FP_BINARY_FAST(FMIN, min)
FP_BINARY_FAST(FMAXNM, maxnum)
FP_BINARY_FAST(FMINNM, minnum)
FP_BINARY(FMULX, mulx)
FP_BINARY(FRECPS, recip_step)
FP_BINARY(FRSQRTS, rsqrt_step)
FP_UNARY(FRECPE, recip_estimate)
FP_UNARY(FRSQRTE, rsqrt_estimate)
FP_UNARY(FRECPX, recpx)

FP_COMPARE(FCMEQ, compare_eq, PLAIN, PLAIN)
FP_COMPARE(FCMGE, compare_ge, PLAIN, PLAIN)
FP_COMPARE(FCMGT, compare_gt, PLAIN, PLAIN)
FP_COMPARE(FACGE, compare_ge, MAGNITUDE, MAGNITUDE)
FP_COMPARE(FACGT, compare_gt, MAGNITUDE, MAGNITUDE)

FP_EACH(LANE2, FABD, fp16_abs(fp16_sub(env, x, y)),
	fp32_abs(fast ? fp_fast32_sub(env, x, y) : fp32_sub(env, x, y)),
	fp64_abs(fast ? fp_fast64_sub(env, x, y) : fp64_sub(env, x, y)))

/*
 * What the host does on whole registers: tried at once, and lane by lane if a lane's result needs
 * a second look (as in fp_fast.h: a NaN, or of what rounds a tiny number, the smallest normal
 * one).
 */
#define FP_EACH_PACKED(kind, op, e16, e32, e64)                    \
	static vec_fn vec_##op##_S_FULL __attribute__((noinline)); \
	static vec_fn vec_##op##_D_FULL __attribute__((noinline)); \
	VEC_##kind(op, H, e16) VEC_##kind(op, S, e32) VEC_##kind(op, D, e64)

#define FUSED32(p, q, s) \
	(fast ? fp_fast32_muladd(env, p, q, s, fp_fast_has_fma()) : fp32_muladd(env, p, q, s))
#define FUSED64(p, q, s) \
	(fast ? fp_fast64_muladd(env, p, q, s, fp_fast_has_fma()) : fp64_muladd(env, p, q, s))

FP_BINARY_LANES(FP_EACH_PACKED, FADD, add)
FP_BINARY_LANES(FP_EACH_PACKED, FSUB, sub)
FP_BINARY_LANES(FP_EACH_PACKED, FMUL, mul)
FP_BINARY_LANES(FP_EACH_PACKED, FDIV, div)
FP_EACH_PACKED(LANE1, FSQRT, fp16_sqrt(env, x), fast ? fp_fast32_sqrt(env, x) : fp32_sqrt(env, x),
	       fast ? fp_fast64_sqrt(env, x) : fp64_sqrt(env, x))
FP_EACH_PACKED(LANE3, FMLA, fp16_muladd(env, x, y, z), FUSED32(x, y, z), FUSED64(x, y, z))
FP_EACH_PACKED(LANE3, FMLS, fp16_muladd(env, x, fp16_neg(y), z), FUSED32(x, fp32_neg(y), z),
	       FUSED64(x, fp64_neg(y), z))

#ifdef VEC_HOST_X86
VEC_INLINE bool has_nan32(__m128 r)
{
	return _mm_movemask_ps(_mm_cmpunord_ps(r, r));
}

VEC_INLINE bool has_nan64(__m128d r)
{
	return _mm_movemask_pd(_mm_cmpunord_pd(r, r));
}

VEC_INLINE bool has_nan_or_min32(__m128 r)
{
	__m128 min = _mm_cmpeq_ps(_mm_andnot_ps(_mm_set1_ps(-0.0f), r), _mm_set1_ps(FLT_MIN));

	return _mm_movemask_ps(_mm_or_ps(min, _mm_cmpunord_ps(r, r)));
}

VEC_INLINE bool has_nan_or_min64(__m128d r)
{
	__m128d min = _mm_cmpeq_pd(_mm_andnot_pd(_mm_set1_pd(-0.0), r), _mm_set1_pd(DBL_MIN));

	return _mm_movemask_pd(_mm_or_pd(min, _mm_cmpunord_pd(r, r)));
}

#define REG32(v)    _mm_load_ps((v)->f)
#define REG64(v)    _mm_load_pd((v)->df)
#define PUT32(v, r) _mm_store_ps((v)->f, r)
#define PUT64(v, r) _mm_store_pd((v)->df, r)

/*
 * @expr is in registers of @type; @bad says which results need the second look. Only try_ is
 * compiled for @target.
 */
#define PACKED(target, op, lane, type, put, bad, condition, expr)                               \
	target static bool try_##op##_##lane(union vreg *d, const union vreg *a,                \
					     const union vreg *b, const union vreg *c)          \
	{                                                                                       \
		type r = expr;                                                                  \
                                                                                                \
		if (FP_FAST_RARE(bad(r)))                                                       \
			return false;                                                           \
		put(d, r);                                                                      \
		return true;                                                                    \
	}                                                                                       \
	static void packed_##op##_##lane(struct cpu *cpu, union vreg *d, const union vreg *a,   \
					 const union vreg *b, const union vreg *c, int32_t imm) \
	{                                                                                       \
		if (!(vec_fast(cpu) && (condition) && try_##op##_##lane(d, a, b, c)))           \
			vec_##op##_##lane##_FULL(cpu, d, a, b, c, imm);                         \
	}
#define PACKED_PAIR(target, op, bad, condition, expr32, expr64)          \
	PACKED(target, op, S, __m128, PUT32, bad##32, condition, expr32) \
	PACKED(target, op, D, __m128d, PUT64, bad##64, condition, expr64)
#define ANY_HOST
#define FMA_HOST __attribute__((target("fma")))

PACKED_PAIR(ANY_HOST, FADD, has_nan, true, _mm_add_ps(REG32(a), REG32(b)),
	    _mm_add_pd(REG64(a), REG64(b)))
PACKED_PAIR(ANY_HOST, FSUB, has_nan, true, _mm_sub_ps(REG32(a), REG32(b)),
	    _mm_sub_pd(REG64(a), REG64(b)))
PACKED_PAIR(ANY_HOST, FMUL, has_nan_or_min, true, _mm_mul_ps(REG32(a), REG32(b)),
	    _mm_mul_pd(REG64(a), REG64(b)))
PACKED_PAIR(ANY_HOST, FDIV, has_nan_or_min, true, _mm_div_ps(REG32(a), REG32(b)),
	    _mm_div_pd(REG64(a), REG64(b)))
PACKED_PAIR(ANY_HOST, FSQRT, has_nan, true, _mm_sqrt_ps(REG32(a)), _mm_sqrt_pd(REG64(a)))
PACKED_PAIR(FMA_HOST, FMLA, has_nan_or_min, fp_fast_has_fma(),
	    _mm_fmadd_ps(REG32(b), REG32(c), REG32(a)), _mm_fmadd_pd(REG64(b), REG64(c), REG64(a)))
PACKED_PAIR(FMA_HOST, FMLS, has_nan_or_min, fp_fast_has_fma(),
	    _mm_fnmadd_ps(REG32(b), REG32(c), REG32(a)),
	    _mm_fnmadd_pd(REG64(b), REG64(c), REG64(a)))

#define PACKED_FULL(op, lane) packed_##op##_##lane
#else
#define PACKED_FULL(op, lane) vec_##op##_##lane##_FULL
#endif

#define PACKED_ROW(op, lane) \
	[IR_##lane] = {vec_##op##_##lane##_SCALAR, vec_##op##_##lane##_HALF, PACKED_FULL(op, lane)},
#define PACKED_TABLE(op)                      \
	const struct vec_fns vec_fns_##op = { \
		{VEC_ROW_SHF(op, H) PACKED_ROW(op, S) PACKED_ROW(op, D)}};

PACKED_TABLE(FADD)
PACKED_TABLE(FSUB)
PACKED_TABLE(FMUL)
PACKED_TABLE(FDIV)
PACKED_TABLE(FSQRT)
PACKED_TABLE(FMLA)
PACKED_TABLE(FMLS)

/* To integers and integral numbers. */
#define EXACT (imm & VEC_IMM_EXACT)
FP_EACH(LANE1, FRINT, fp16_round_int(env, x, vec_rounding(env, imm), EXACT),
	fp32_round_int(env, x, vec_rounding(env, imm), EXACT),
	fp64_round_int(env, x, vec_rounding(env, imm), EXACT))

#define FIXED(name) (env, x, W, VEC_IMM_FBITS(imm), vec_rounding(env, imm))
#define TO_INT(width, sign)                                               \
	(fast && imm == FP_RZ ? fp_fast##width##_to_##sign##width(env, x) \
			      : fp##width##_to_##sign FIXED())
FP_EACH(LANE1, FTOS, fp16_to_sint FIXED(), TO_INT(32, sint), TO_INT(64, sint))
FP_EACH(LANE1, FTOU, fp16_to_uint FIXED(), TO_INT(32, uint), TO_INT(64, uint))

#define FROM_INT(width, sign, v)                             \
	(fast && !imm ? fp_fast##width##_from_##sign(env, v) \
		      : fp##width##_from_##sign(env, v, VEC_IMM_FBITS(imm), fp_rmode(env)))
FP_EACH(LANE1, STOF, fp16_from_sint(env, (S)x, VEC_IMM_FBITS(imm), fp_rmode(env)),
	FROM_INT(32, sint, (S)x), FROM_INT(64, sint, (S)x))
FP_EACH(LANE1, UTOF, fp16_from_uint(env, x, VEC_IMM_FBITS(imm), fp_rmode(env)),
	FROM_INT(32, uint, x), FROM_INT(64, uint, x))

/* Between formats. */
VEC_WIDE1(FCVTL, H, fp16_to_fp32(env, x))
VEC_WIDE1(FCVTL, S, fast ? fp_fast32_to_fp64(env, x) : fp32_to_fp64(env, x))
VEC_TABLE(FCVTL, HS, VEC_ROW_SHF)
VEC_NARROW(FCVTN, H, fp32_to_fp16(env, x, fp_rmode(env)))
VEC_NARROW(FCVTN, S, fast ? fp_fast64_to_fp32(env, x) : fp64_to_fp32(env, x, fp_rmode(env)))
VEC_TABLE(FCVTN, HS, VEC_ROW_SH)
VEC_NARROW(FCVTXN, S, fp64_to_fp32(env, x, FP_RO))
VEC_TABLE(FCVTXN, S, VEC_ROW_SH)

VEC_HEAD(FCVTHD, H, SCALAR)
{
	*d = (union vreg){.d = {fp16_to_fp64(vec_env(cpu), a->h[0]), 0}};
}

VEC_HEAD(FCVTDH, H, SCALAR)
{
	struct fp_env *env = vec_env(cpu);

	*d = (union vreg){.h = {fp64_to_fp16(env, a->d[0], fp_rmode(env))}};
}

VEC_HEAD(FJCVTZS, D, SCALAR)
{
	unsigned int nzcv;
	uint32_t r = fp64_to_js(vec_env(cpu), a->d[0], &nzcv);

	*d = (union vreg){.s = {r, nzcv << 28}};
}

VEC_TABLE(FCVTHD, H, VEC_ROW_S)
VEC_TABLE(FCVTDH, H, VEC_ROW_S)
VEC_TABLE(FJCVTZS, D, VEC_ROW_S)

/*
 * Complex numbers: a lane pair is (real, imaginary). FCADD adds b turned by a quarter or by
 * three; FCMLA adds the products of one part of b with both parts of c, turned.
 */
#define COMPLEX(lane, shape, width)                                                                \
	VEC_HEAD(FCADD, lane, shape)                                                               \
	{                                                                                          \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                                        \
		for (unsigned int i = 0; i < N; i += 2) {                                          \
			U re = b->VEC_F_##lane[i], im = b->VEC_F_##lane[i + 1];                    \
                                                                                                   \
			if (imm)                                                                   \
				re = fp##width##_neg(re);                                          \
			else                                                                       \
				im = fp##width##_neg(im);                                          \
			r.VEC_F_##lane[i] = fp##width##_add(env, a->VEC_F_##lane[i], im);          \
			r.VEC_F_##lane[i + 1] = fp##width##_add(env, a->VEC_F_##lane[i + 1], re);  \
		}                                                                                  \
		VEC_EPILOGUE                                                                       \
	}                                                                                          \
	VEC_HEAD(FCMLA, lane, shape)                                                               \
	{                                                                                          \
		VEC_PROLOGUE(lane, VEC_COUNT_##shape(lane))                                        \
		unsigned int odd = imm & 1;                                                        \
                                                                                                   \
		for (unsigned int i = 0; i < N; i += 2) {                                          \
			U part = b->VEC_F_##lane[i + odd];                                         \
			U re = c->VEC_F_##lane[i + odd], im = c->VEC_F_##lane[i + !odd];           \
                                                                                                   \
			if (imm == 1 || imm == 2)                                                  \
				re = fp##width##_neg(re);                                          \
			if (imm & 2)                                                               \
				im = fp##width##_neg(im);                                          \
			r.VEC_F_##lane[i] = fp##width##_muladd(env, a->VEC_F_##lane[i], part, re); \
			r.VEC_F_##lane[i + 1] =                                                    \
				fp##width##_muladd(env, a->VEC_F_##lane[i + 1], part, im);         \
		}                                                                                  \
		VEC_EPILOGUE                                                                       \
	}
COMPLEX(H, HALF, 16)
COMPLEX(H, FULL, 16)
COMPLEX(S, HALF, 32)
COMPLEX(S, FULL, 32)
COMPLEX(D, FULL, 64)

#define COMPLEX_TABLE(op)                     \
	const struct vec_fns vec_fns_##op = { \
		{VEC_ROW_HF(op, H) VEC_ROW_HF(op, S) VEC_ROW_F(op, D)}};
COMPLEX_TABLE(FCADD)
COMPLEX_TABLE(FCMLA)
