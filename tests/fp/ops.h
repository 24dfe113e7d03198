/* SPDX-License-Identifier: MIT */
/*
 * Every operation of cpu/fp/fp.h beside the instruction that does it: one row an operation, read by
 * the test (which calls the function) and by the program that executes the instruction.
 *
 *   FP_OP(name, kind of operand a, of b, of c, the call, the instruction)
 *
 * The call sees env, a, b, c. The instruction finds a in v1, x1, b in v2, c in v0, and leaves its
 * result in x0. The kinds: h, s, d are formats; w, x are integers in a general register; v is a
 * 32-bit integer in a vector register; o is no operand.
 */
#ifndef TESTS_FP_OPS_H
#define TESTS_FP_OPS_H

#include <stdint.h>

/* What goes to the executing program, and what comes back. */
struct fp_request {
	uint32_t op;
	uint32_t fpcr;
	uint64_t operand[3];
};

struct fp_reply {
	uint64_t result;
	uint64_t fpsr;
};

#define FP_FROM_V0 "\n\tfmov x0, d0"
#define FP_NZCV    "\n\tmrs x0, nzcv\n\tlsr x0, x0, #28"

/* clang-format off */
#define FP_OPS_OF(N, k)                                                                            \
	FP_OP(add##N, k, k, o, fp##N##_add(env, a, b), "fadd " #k "0, " #k "1, " #k "2" FP_FROM_V0) \
	FP_OP(sub##N, k, k, o, fp##N##_sub(env, a, b), "fsub " #k "0, " #k "1, " #k "2" FP_FROM_V0) \
	FP_OP(mul##N, k, k, o, fp##N##_mul(env, a, b), "fmul " #k "0, " #k "1, " #k "2" FP_FROM_V0) \
	FP_OP(div##N, k, k, o, fp##N##_div(env, a, b), "fdiv " #k "0, " #k "1, " #k "2" FP_FROM_V0) \
	FP_OP(mulx##N, k, k, o, fp##N##_mulx(env, a, b),                                           \
	      "fmulx " #k "0, " #k "1, " #k "2" FP_FROM_V0)                                        \
	FP_OP(nmul##N, k, k, o, fp##N##_neg(fp##N##_mul(env, a, b)),                               \
	      "fnmul " #k "0, " #k "1, " #k "2" FP_FROM_V0)                                        \
	FP_OP(abd##N, k, k, o, fp##N##_abs(fp##N##_sub(env, a, b)),                                \
	      "fabd " #k "0, " #k "1, " #k "2" FP_FROM_V0)                                         \
	FP_OP(max##N, k, k, o, fp##N##_max(env, a, b), "fmax " #k "0, " #k "1, " #k "2" FP_FROM_V0) \
	FP_OP(min##N, k, k, o, fp##N##_min(env, a, b), "fmin " #k "0, " #k "1, " #k "2" FP_FROM_V0) \
	FP_OP(maxnum##N, k, k, o, fp##N##_maxnum(env, a, b),                                       \
	      "fmaxnm " #k "0, " #k "1, " #k "2" FP_FROM_V0)                                       \
	FP_OP(minnum##N, k, k, o, fp##N##_minnum(env, a, b),                                       \
	      "fminnm " #k "0, " #k "1, " #k "2" FP_FROM_V0)                                       \
	FP_OP(recps##N, k, k, o, fp##N##_recip_step(env, a, b),                                    \
	      "frecps " #k "0, " #k "1, " #k "2" FP_FROM_V0)                                       \
	FP_OP(rsqrts##N, k, k, o, fp##N##_rsqrt_step(env, a, b),                                   \
	      "frsqrts " #k "0, " #k "1, " #k "2" FP_FROM_V0)                                      \
	FP_OP(abs##N, k, o, o, fp##N##_abs(a), "fabs " #k "0, " #k "1" FP_FROM_V0)                 \
	FP_OP(neg##N, k, o, o, fp##N##_neg(a), "fneg " #k "0, " #k "1" FP_FROM_V0)                 \
	FP_OP(sqrt##N, k, o, o, fp##N##_sqrt(env, a), "fsqrt " #k "0, " #k "1" FP_FROM_V0)         \
	FP_OP(recpe##N, k, o, o, fp##N##_recip_estimate(env, a),                                   \
	      "frecpe " #k "0, " #k "1" FP_FROM_V0)                                                \
	FP_OP(rsqrte##N, k, o, o, fp##N##_rsqrt_estimate(env, a),                                  \
	      "frsqrte " #k "0, " #k "1" FP_FROM_V0)                                               \
	FP_OP(recpx##N, k, o, o, fp##N##_recpx(env, a), "frecpx " #k "0, " #k "1" FP_FROM_V0)      \
	FP_OP(madd##N, k, k, k, fp##N##_muladd(env, c, a, b),                                      \
	      "fmadd " #k "0, " #k "1, " #k "2, " #k "0" FP_FROM_V0)                               \
	FP_OP(msub##N, k, k, k, fp##N##_muladd(env, c, fp##N##_neg(a), b),                         \
	      "fmsub " #k "0, " #k "1, " #k "2, " #k "0" FP_FROM_V0)                               \
	FP_OP(nmadd##N, k, k, k, fp##N##_muladd(env, fp##N##_neg(c), fp##N##_neg(a), b),           \
	      "fnmadd " #k "0, " #k "1, " #k "2, " #k "0" FP_FROM_V0)                              \
	FP_OP(nmsub##N, k, k, k, fp##N##_muladd(env, fp##N##_neg(c), a, b),                        \
	      "fnmsub " #k "0, " #k "1, " #k "2, " #k "0" FP_FROM_V0)                              \
	FP_OP(cmp##N, k, k, o, fp##N##_compare(env, a, b, false),                                  \
	      "fcmp " #k "1, " #k "2" FP_NZCV)                                                     \
	FP_OP(cmpe##N, k, k, o, fp##N##_compare(env, a, b, true), "fcmpe " #k "1, " #k "2" FP_NZCV) \
	FP_OP(cmeq##N, k, k, o, fp##N##_compare_eq(env, a, b),                                     \
	      "fcmeq " #k "0, " #k "1, " #k "2" FP_FROM_V0 "\n\tand x0, x0, #1")                   \
	FP_OP(cmge##N, k, k, o, fp##N##_compare_ge(env, a, b),                                     \
	      "fcmge " #k "0, " #k "1, " #k "2" FP_FROM_V0 "\n\tand x0, x0, #1")                   \
	FP_OP(cmgt##N, k, k, o, fp##N##_compare_gt(env, a, b),                                     \
	      "fcmgt " #k "0, " #k "1, " #k "2" FP_FROM_V0 "\n\tand x0, x0, #1")                   \
	FP_OP(acge##N, k, k, o, fp##N##_compare_ge(env, fp##N##_abs(a), fp##N##_abs(b)),           \
	      "facge " #k "0, " #k "1, " #k "2" FP_FROM_V0 "\n\tand x0, x0, #1")                   \
	FP_OP(acgt##N, k, k, o, fp##N##_compare_gt(env, fp##N##_abs(a), fp##N##_abs(b)),           \
	      "facgt " #k "0, " #k "1, " #k "2" FP_FROM_V0 "\n\tand x0, x0, #1")                   \
	FP_OP(rintn##N, k, o, o, fp##N##_round_int(env, a, FP_RN, false),                          \
	      "frintn " #k "0, " #k "1" FP_FROM_V0)                                                \
	FP_OP(rintp##N, k, o, o, fp##N##_round_int(env, a, FP_RP, false),                          \
	      "frintp " #k "0, " #k "1" FP_FROM_V0)                                                \
	FP_OP(rintm##N, k, o, o, fp##N##_round_int(env, a, FP_RM, false),                          \
	      "frintm " #k "0, " #k "1" FP_FROM_V0)                                                \
	FP_OP(rintz##N, k, o, o, fp##N##_round_int(env, a, FP_RZ, false),                          \
	      "frintz " #k "0, " #k "1" FP_FROM_V0)                                                \
	FP_OP(rinta##N, k, o, o, fp##N##_round_int(env, a, FP_RA, false),                          \
	      "frinta " #k "0, " #k "1" FP_FROM_V0)                                                \
	FP_OP(rinti##N, k, o, o, fp##N##_round_int(env, a, fp_rmode(env), false),                  \
	      "frinti " #k "0, " #k "1" FP_FROM_V0)                                                \
	FP_OP(rintx##N, k, o, o, fp##N##_round_int(env, a, fp_rmode(env), true),                   \
	      "frintx " #k "0, " #k "1" FP_FROM_V0)                                                \
	FP_OPS_TO_INT(N, k, w, 32)                                                                 \
	FP_OPS_TO_INT(N, k, x, 64)                                                                 \
	FP_OPS_FIXED(N, k, w, 32, 1)                                                               \
	FP_OPS_FIXED(N, k, w, 32, 15)                                                              \
	FP_OPS_FIXED(N, k, w, 32, 32)                                                              \
	FP_OPS_FIXED(N, k, x, 64, 1)                                                               \
	FP_OPS_FIXED(N, k, x, 64, 30)                                                              \
	FP_OPS_FIXED(N, k, x, 64, 64)                                                              \
	FP_OPS_FROM_INT(N, k, w, 32)                                                               \
	FP_OPS_FROM_INT(N, k, x, 64)

#define FP_OPS_TO_INT(N, k, r, W)                                                                  \
	FP_OPS_TO_INT_BY(N, k, r, W, n, FP_RN)                                                     \
	FP_OPS_TO_INT_BY(N, k, r, W, p, FP_RP)                                                     \
	FP_OPS_TO_INT_BY(N, k, r, W, m, FP_RM)                                                     \
	FP_OPS_TO_INT_BY(N, k, r, W, z, FP_RZ)                                                     \
	FP_OPS_TO_INT_BY(N, k, r, W, a, FP_RA)

#define FP_OPS_TO_INT_BY(N, k, r, W, mode, round)                                                  \
	FP_OP(cvt##mode##s##W##_##N, k, o, o, fp##N##_to_sint(env, a, W, 0, round),                \
	      "fcvt" #mode "s " #r "0, " #k "1")                                                   \
	FP_OP(cvt##mode##u##W##_##N, k, o, o, fp##N##_to_uint(env, a, W, 0, round),                \
	      "fcvt" #mode "u " #r "0, " #k "1")

#define FP_OPS_FIXED(N, k, r, W, fb)                                                               \
	FP_OP(cvtzs##W##_##N##_##fb, k, o, o, fp##N##_to_sint(env, a, W, fb, FP_RZ),               \
	      "fcvtzs " #r "0, " #k "1, #" #fb)                                                    \
	FP_OP(cvtzu##W##_##N##_##fb, k, o, o, fp##N##_to_uint(env, a, W, fb, FP_RZ),               \
	      "fcvtzu " #r "0, " #k "1, #" #fb)                                                    \
	FP_OP(scvtf##W##_##N##_##fb, r, o, o,                                                      \
	      fp##N##_from_sint(env, (int##W##_t)a, fb, fp_rmode(env)),                            \
	      "scvtf " #k "0, " #r "1, #" #fb FP_FROM_V0)                                          \
	FP_OP(ucvtf##W##_##N##_##fb, r, o, o,                                                      \
	      fp##N##_from_uint(env, (uint##W##_t)a, fb, fp_rmode(env)),                           \
	      "ucvtf " #k "0, " #r "1, #" #fb FP_FROM_V0)

#define FP_OPS_FROM_INT(N, k, r, W)                                                                \
	FP_OP(scvtf##W##_##N, r, o, o, fp##N##_from_sint(env, (int##W##_t)a, 0, fp_rmode(env)),    \
	      "scvtf " #k "0, " #r "1" FP_FROM_V0)                                                 \
	FP_OP(ucvtf##W##_##N, r, o, o, fp##N##_from_uint(env, (uint##W##_t)a, 0, fp_rmode(env)),   \
	      "ucvtf " #k "0, " #r "1" FP_FROM_V0)

/*
 * Half precision to and from 16-bit integers: Advanced SIMD only. QEMU 7.2 leaves copies of the
 * sign above a negative result of the scalar FCVTZS to fixed point; the architecture clears them.
 */
#define FP_OPS_INT16(mode, round)                                                                  \
	FP_OP(cvt##mode##s16_16, h, o, o, fp16_to_sint(env, a, 16, 0, round),                      \
	      "fcvt" #mode "s h0, h1" FP_FROM_V0)                                                  \
	FP_OP(cvt##mode##u16_16, h, o, o, fp16_to_uint(env, a, 16, 0, round),                      \
	      "fcvt" #mode "u h0, h1" FP_FROM_V0)

#define FP_OPS                                                                                     \
	FP_OPS_OF(16, h)                                                                           \
	FP_OPS_OF(32, s)                                                                           \
	FP_OPS_OF(64, d)                                                                           \
	FP_OPS_INT16(n, FP_RN)                                                                     \
	FP_OPS_INT16(p, FP_RP)                                                                     \
	FP_OPS_INT16(m, FP_RM)                                                                     \
	FP_OPS_INT16(z, FP_RZ)                                                                     \
	FP_OPS_INT16(a, FP_RA)                                                                     \
	FP_OP(cvtzs16_16_7, h, o, o, fp16_to_sint(env, a, 16, 7, FP_RZ),                           \
	      "fcvtzs h0, h1, #7" FP_FROM_V0 "\n\tand x0, x0, #0xffff")                               \
	FP_OP(cvtzu16_16_16, h, o, o, fp16_to_uint(env, a, 16, 16, FP_RZ),                         \
	      "fcvtzu h0, h1, #16" FP_FROM_V0)                                                     \
	FP_OP(scvtf16_16, h, o, o, fp16_from_sint(env, (int16_t)a, 0, fp_rmode(env)),              \
	      "scvtf h0, h1" FP_FROM_V0)                                                           \
	FP_OP(ucvtf16_16, h, o, o, fp16_from_uint(env, (uint16_t)a, 0, fp_rmode(env)),             \
	      "ucvtf h0, h1" FP_FROM_V0)                                                           \
	FP_OP(scvtf16_16_16, h, o, o, fp16_from_sint(env, (int16_t)a, 16, fp_rmode(env)),          \
	      "scvtf h0, h1, #16" FP_FROM_V0)                                                      \
	FP_OP(ucvtf16_16_9, h, o, o, fp16_from_uint(env, (uint16_t)a, 9, fp_rmode(env)),           \
	      "ucvtf h0, h1, #9" FP_FROM_V0)                                                       \
	FP_OP(cvt_h_s, h, o, o, fp16_to_fp32(env, a), "fcvt s0, h1" FP_FROM_V0)                    \
	FP_OP(cvt_h_d, h, o, o, fp16_to_fp64(env, a), "fcvt d0, h1" FP_FROM_V0)                    \
	FP_OP(cvt_s_d, s, o, o, fp32_to_fp64(env, a), "fcvt d0, s1" FP_FROM_V0)                    \
	FP_OP(cvt_s_h, s, o, o, fp32_to_fp16(env, a, fp_rmode(env)), "fcvt h0, s1" FP_FROM_V0)     \
	FP_OP(cvt_d_h, d, o, o, fp64_to_fp16(env, a, fp_rmode(env)), "fcvt h0, d1" FP_FROM_V0)     \
	FP_OP(cvt_d_s, d, o, o, fp64_to_fp32(env, a, fp_rmode(env)), "fcvt s0, d1" FP_FROM_V0)     \
	FP_OP(cvtxn, d, o, o, fp64_to_fp32(env, a, FP_RO), "fcvtxn s0, d1" FP_FROM_V0)             \
	FP_OP(jcvtzs, d, o, o, fp_js_and_flags(env, a),                                            \
	      "fjcvtzs w0, d1\n\tmrs x1, nzcv\n\tlsr x1, x1, #28\n\torr x0, x0, x1, lsl #32")      \
	FP_OP(urecpe, v, o, o, fp_urecpe(a), "urecpe v0.2s, v1.2s\n\tfmov w0, s0")                 \
	FP_OP(ursqrte, v, o, o, fp_ursqrte(a), "ursqrte v0.2s, v1.2s\n\tfmov w0, s0")
/* clang-format on */

#endif
