/* SPDX-License-Identifier: MIT */
/*
 * Vectors of integers and cryptography: a table of rules, one for each op that has code. What has
 * none, or not for that lane or shape, is a row that calls the op's function.
 */
#include <string.h>

#include "engine/back/x64/features.h"
#include "engine/back/x64/simd.h"

#define TWICE(v)              \
	{                     \
		.d = { v, v } \
	}
#define BYTES(...)                   \
	{                            \
		.b = { __VA_ARGS__ } \
	}
#define Z     0x80
#define ZERO8 Z, Z, Z, Z, Z, Z, Z, Z
#define SHA1_K(k)                   \
	{                           \
		.s = { k, k, k, k } \
	}

static const union vreg constants[X64_SIMD_SPLIT3] = {
	[X64_SIMD_SIGN] = TWICE(0x8080808080808080),
	TWICE(0x8000800080008000),
	TWICE(0x8000000080000000),
	TWICE(0x8000000000000000),
	[X64_SIMD_ONE] = TWICE(0x0101010101010101),
	TWICE(0x0001000100010001),
	TWICE(0x0000000100000001),
	TWICE(1),
	[X64_SIMD_LOW] = TWICE(0x0f0f0f0f0f0f0f0f),
	TWICE(0x00ff00ff00ff00ff),
	TWICE(0x0000ffff0000ffff),
	TWICE(0x00000000ffffffff),
	[X64_SIMD_UNZIP] = BYTES(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15),
	BYTES(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15),
	[X64_SIMD_NARROW] = BYTES(0, 2, 4, 6, 8, 10, 12, 14, ZERO8),
	BYTES(0, 1, 4, 5, 8, 9, 12, 13, ZERO8),
	BYTES(0, 1, 2, 3, 8, 9, 10, 11, ZERO8),
	[X64_SIMD_REV16] = BYTES(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14),
	[X64_SIMD_REV32] = BYTES(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12),
	BYTES(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13),
	[X64_SIMD_REV64] = BYTES(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8),
	BYTES(6, 7, 4, 5, 2, 3, 0, 1, 14, 15, 12, 13, 10, 11, 8, 9),
	BYTES(4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11),
	[X64_SIMD_BYTE_OF_S] = TWICE(0x000000ff000000ff),
	[X64_SIMD_BYTE_OF_D] = TWICE(0xff),
	[X64_SIMD_BIT16] = TWICE(0x0001000000010000),
	[X64_SIMD_MAX_S] = TWICE(0x7fffffff7fffffff),
	[X64_SIMD_ALL] = TWICE(~0ull),
	[X64_SIMD_70] = TWICE(0x7070707070707070),
	[X64_SIMD_POPCNT] = BYTES(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4),
	[X64_SIMD_RBIT_LO] = BYTES(0x00, 0x80, 0x40, 0xc0, 0x20, 0xa0, 0x60, 0xe0, 0x10, 0x90, 0x50,
				   0xd0, 0x30, 0xb0, 0x70, 0xf0),
	[X64_SIMD_RBIT_HI] = BYTES(0x0, 0x8, 0x4, 0xc, 0x2, 0xa, 0x6, 0xe, 0x1, 0x9, 0x5, 0xd, 0x3,
				   0xb, 0x7, 0xf),
	[X64_SIMD_CLZ] = BYTES(4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0),
	[X64_SIMD_SHA1_K] = SHA1_K(0x5a827999),
	SHA1_K(0x6ed9eba1),
	SHA1_K(0x8f1bbcdc),
};

/* Zero above what the result is. */
void x64_simd_trim(const struct simd *x, unsigned int d, unsigned int shape, unsigned int lane)
{
	if (shape == IR_FULL)
		return;
	if (shape == IR_HALF || lane == IR_D) {
		op2(x, X64_VMOVQ, d, d);
	} else if (lane == IR_S) {
		op3i(x, X64_VINSERTPS, d, d, d, 0xe);
	} else {
		shift(x, X64_VPSLLDQ, d, d, 16 - (1u << lane));
		shift(x, X64_VPSRLDQ, d, d, 16 - (1u << lane));
	}
}

/* --- the table --- */

#define L_B    (1u << IR_B)
#define L_H    (1u << IR_H)
#define L_S    (1u << IR_S)
#define L_D    (1u << IR_D)
#define L_BH   (L_B | L_H)
#define L_HS   (L_H | L_S)
#define L_HSD  (L_HS | L_D)
#define L_SD   (L_S | L_D)
#define L_BHS  (L_B | L_HS)
#define L_BHSD (L_BHS | L_D)
#define S_F    (1u << IR_FULL)
#define S_H    (1u << IR_HALF)
#define S_S    (1u << IR_SCALAR)
#define S_HF   (S_H | S_F)
#define S_ALL  (S_S | S_HF)

#define OPS(b, h, s, d) .op = {X64_##b, X64_##h, X64_##s, X64_##d}
#define OP_B(b)         .op = {X64_##b}
#define OP_BHS(op)      OPS(op##B, op##W, op##D, NOP)
#define OP_BHSD(op)     OPS(op##B, op##W, op##D, op##Q)
#define RULE(name, lanes, shapes, fn, ...) \
	[IR_V_##name - IR_VEC_FIRST] = {x64_simd_##fn, L_##lanes, S_##shapes, ##__VA_ARGS__},

static const struct rule rules[IR_NR_OPS - IR_VEC_FIRST] = {
	/* clang-format off */
	RULE(AND, B, HF, one, OP_B(VPAND))
	RULE(BIC, B, HF, one_swapped, OP_B(VPANDN))
	RULE(ORR, B, HF, one, OP_B(VPOR))
	RULE(ORN, B, HF, orn, BY_SHAPE, FILLS)
	RULE(EOR, B, HF, one, OP_B(VPXOR))
	RULE(NOT, B, HF, not, BY_SHAPE, FILLS)
	RULE(BSL, B, HF, bsl)

	RULE(ADD, BHSD, ALL, one, OP_BHSD(VPADD))
	RULE(SUB, BHSD, ALL, one, OP_BHSD(VPSUB))
	RULE(NEG, BHSD, ALL, neg)
	RULE(ABS, BHSD, ALL, abs_d, OP_BHS(VPABS))
	RULE(MUL, BHS, ALL, mul)
	RULE(MLA, BHS, ALL, mul_add, OP_BHSD(VPADD))
	RULE(MLS, BHS, ALL, mul_add, OP_BHSD(VPSUB))
	RULE(SMAX, BHS, ALL, one, OP_BHS(VPMAXS))
	RULE(SMIN, BHS, ALL, one, OP_BHS(VPMINS))
	RULE(UMAX, BHS, ALL, one, OP_BHS(VPMAXU))
	RULE(UMIN, BHS, ALL, one, OP_BHS(VPMINU))
	RULE(SABD, BHSD, ALL, distance)
	RULE(UABD, BHSD, ALL, distance, .arg = UNSIGNED)
	RULE(CMEQ, BHSD, ALL, one, BY_SHAPE, FILLS, OP_BHSD(VPCMPEQ))
	RULE(CMGT, BHSD, ALL, one, OP_BHSD(VPCMPGT))
	RULE(CMGE, BHSD, ALL, cmge, BY_SHAPE, FILLS, OP_BHS(VPMINS))
	RULE(CMHS, BHSD, ALL, cmhs, BY_SHAPE, FILLS, OP_BHS(VPMAXU))
	RULE(CMHI, BHSD, ALL, cmhi)
	RULE(CMTST, BHSD, ALL, cmtst)

	RULE(SHADD, BHS, ALL, halving, .arg = 0)
	RULE(SRHADD, BHS, ALL, halving, .arg = ROUNDING)
	RULE(UHADD, BHS, ALL, halving, .arg = UNSIGNED)
	RULE(URHADD, BHS, ALL, halving, .arg = ROUNDING | UNSIGNED)
	RULE(SHSUB, BHS, ALL, halving_sub)
	RULE(UHSUB, BHS, ALL, halving_sub, .arg = UNSIGNED)
	RULE(SDOT, S, HF, dot, BY_SHAPE, FILLS)
	RULE(UDOT, S, HF, dot, BY_SHAPE, FILLS, .arg = UNSIGNED)

	RULE(CLZ, BHS, ALL, clz, BY_SHAPE, FILLS)
	RULE(CLS, BHS, ALL, cls, BY_SHAPE, FILLS)
	RULE(CNT, B, ALL, cnt)
	RULE(RBIT, B, ALL, rbit)
	RULE(REV16, B, HF, rev, .arg = X64_SIMD_REV16)
	RULE(REV32, BH, HF, rev, .arg = X64_SIMD_REV32)
	RULE(REV64, BHS, HF, rev, .arg = X64_SIMD_REV64)

	RULE(SQADD, BHSD, ALL, sq_add, BY_SHAPE, FLAGS, OPS(VPADDSB, VPADDSW, NOP, NOP))
	RULE(SQSUB, BHSD, ALL, sq_add, BY_SHAPE, FLAGS, OPS(VPSUBSB, VPSUBSW, NOP, NOP), SUBTRACT)
	RULE(UQADD, BHS, ALL, uq_add, BY_SHAPE, FLAGS, OPS(VPADDUSB, VPADDUSW, NOP, NOP))
	RULE(UQSUB, BHS, ALL, uq_add, BY_SHAPE, FLAGS, OPS(VPSUBUSB, VPSUBUSW, NOP, NOP), SUBTRACT)
	RULE(SQABS, BHS, ALL, sqabs, BY_SHAPE, FLAGS)
	RULE(SQNEG, BH, ALL, sqneg, BY_SHAPE, FLAGS, OPS(VPSUBSB, VPSUBSW, NOP, NOP), SUBTRACT)
	RULE(SQDMULH, HS, ALL, sqdmulh, BY_SHAPE, FLAGS)
	RULE(SQRDMULH, HS, ALL, sqdmulh, BY_SHAPE, FLAGS, .arg = ROUNDING)

	RULE(USHL, HSD, ALL, shl, BY_SHAPE, APART, .arg = UNSIGNED)
	RULE(SSHL, HSD, ALL, shl, BY_SHAPE, APART)
	RULE(URSHL, HS, ALL, shl, BY_SHAPE, APART, .arg = UNSIGNED | ROUNDING)
	RULE(SRSHL, HS, ALL, shl, BY_SHAPE, APART, .arg = ROUNDING)
	RULE(SHLI, BHSD, ALL, shli)
	RULE(SSHRI, BHSD, ALL, shri)
	RULE(USHRI, BHSD, ALL, shri, .arg = UNSIGNED)
	RULE(SRSHRI, BHSD, ALL, rshri)
	RULE(URSHRI, BHSD, ALL, rshri, .arg = UNSIGNED)
	RULE(SLI, BHSD, ALL, sli)
	RULE(SRI, BHSD, ALL, sri)

	RULE(SQSHLI, BHSD, ALL, qshli, BY_SHAPE, APART | FLAGS)
	RULE(UQSHLI, BHSD, ALL, qshli, BY_SHAPE, APART | FLAGS, .arg = UNSIGNED)

	RULE(SXTL, BHS, ALL, xtl, WIDENED, 0, OPS(VPMOVSXBW, VPMOVSXWD, VPMOVSXDQ, NOP))
	RULE(UXTL, BHS, ALL, xtl, WIDENED, 0, OPS(VPMOVZXBW, VPMOVZXWD, VPMOVZXDQ, NOP))
	RULE(SMULL, BHS, ALL, mull, WIDENED)
	RULE(UMULL, BHS, ALL, mull, WIDENED, .arg = UNSIGNED)
	RULE(PMULL, D, ALL, pmull, WHOLE, .needs = X64_HAS_PCLMUL)
	RULE(SQDMULL, HS, ALL, sqdmull, WIDENED, FLAGS)
	RULE(SADDLP, BHS, HF, addlp)
	RULE(UADDLP, BHS, HF, addlp, .arg = UNSIGNED)
	RULE(XTN, BHS, H, xtn, WHOLE)
	RULE(SQXTN, BHS, H, qxtn, LOW, FLAGS, OPS(VPACKSSWB, VPACKSSDW, NOP, NOP))
	RULE(SQXTUN, BHS, H, qxtn, LOW, FLAGS, OPS(VPACKUSWB, VPACKUSDW, NOP, NOP), UNSIGNED)
	RULE(UQXTN, BHS, H, uqxtn, LOW, FLAGS, OPS(VPACKUSWB, VPACKUSDW, NOP, NOP))

	RULE(ADDP, BHSD, HF, pairwise, BY_SHAPE, FILLS, OP_BHSD(VPADD))
	RULE(SMAXP, BHS, HF, pairwise, BY_SHAPE, FILLS, OP_BHS(VPMAXS))
	RULE(SMINP, BHS, HF, pairwise, BY_SHAPE, FILLS, OP_BHS(VPMINS))
	RULE(UMAXP, BHS, HF, pairwise, BY_SHAPE, FILLS, OP_BHS(VPMAXU))
	RULE(UMINP, BHS, HF, pairwise, BY_SHAPE, FILLS, OP_BHS(VPMINU))
	RULE(ADDV, BHS, HF, across, LANE0, 0, OP_BHSD(VPADD))
	RULE(SMAXV, BHS, HF, across, LANE0, 0, OP_BHS(VPMAXS))
	RULE(SMINV, BHS, HF, across, LANE0, 0, OP_BHS(VPMINS))
	RULE(UMAXV, BHS, HF, across, LANE0, 0, OP_BHS(VPMAXU))
	RULE(UMINV, BHS, HF, across, LANE0, 0, OP_BHS(VPMINU))
	RULE(SADDLV, BHS, HF, addlv, WIDE0)
	RULE(UADDLV, BHS, HF, addlv, WIDE0, .arg = UNSIGNED)

	RULE(ZIP1, BHSD, HF, one, BY_SHAPE, FILLS,
	     OPS(VPUNPCKLBW, VPUNPCKLWD, VPUNPCKLDQ, VPUNPCKLQDQ))
	RULE(ZIP2, BHSD, HF, zip2, BY_SHAPE, 0,
	     OPS(VPUNPCKHBW, VPUNPCKHWD, VPUNPCKHDQ, VPUNPCKHQDQ))
	RULE(UZP1, BHSD, HF, uzp1, BY_SHAPE, FILLS)
	RULE(UZP2, BHSD, HF, uzp2)
	RULE(TRN1, BHSD, HF, trn1)
	RULE(TRN2, BHSD, HF, trn2)
	RULE(EXT, B, HF, ext, BY_SHAPE, FILLS)
	RULE(TBL, B, HF, tbl, BY_SHAPE, FILLS)
	RULE(TBX, B, HF, tbx, BY_SHAPE, FILLS)
	RULE(DEINT3, BHSD, HF, three, WHOLE, .arg = X64_SIMD_SPLIT3)
	RULE(INT3, BHSD, HF, three, WHOLE, .arg = X64_SIMD_JOIN3)

	RULE(AESE, B, F, aes_round, WHOLE, .needs = X64_HAS_AES)
	RULE(AESD, B, F, aes_round, WHOLE, .needs = X64_HAS_AES)
	RULE(AESMC, B, F, aes_mix, WHOLE, .needs = X64_HAS_AES)
	RULE(AESIMC, B, F, aes_mix, WHOLE, .needs = X64_HAS_AES)
	RULE(SHA1C, S, F, sha1_rounds, WHOLE, .arg = 0, .needs = X64_HAS_SHA)
	RULE(SHA1P, S, F, sha1_rounds, WHOLE, .arg = 1, .needs = X64_HAS_SHA)
	RULE(SHA1M, S, F, sha1_rounds, WHOLE, .arg = 2, .needs = X64_HAS_SHA)
	RULE(SHA1H, S, S, sha1h)
	RULE(SHA1SU0, S, F, sha1su0, WHOLE)
	RULE(SHA1SU1, S, F, sha1su1, WHOLE)
	RULE(SHA256H, S, F, sha256_rounds, WHOLE, .needs = X64_HAS_SHA)
	RULE(SHA256H2, S, F, sha256_rounds, WHOLE, .arg = 1, .needs = X64_HAS_SHA)
	RULE(SHA256SU0, S, F, sha256su0, WHOLE, .needs = X64_HAS_SHA)
	RULE(SHA256SU1, S, F, sha256su1, WHOLE, .needs = X64_HAS_SHA)
	/* clang-format on */
};

void x64_simd_init(union vreg simd[X64_NR_SIMD])
{
	memcpy(simd, constants, sizeof(constants));
	x64_simd_masks(simd + X64_SIMD_SPLIT3, simd + X64_SIMD_JOIN3);
}

/* The host's features; asked for once, for CPUID may leave a virtual machine. */
static bool host_has(uint32_t needs)
{
	static _Atomic uint32_t known;
	uint32_t has = known;

	if (!needs)
		return true;
	if (!has) {
		x64_features(&has);
		known = has;
	}
	return (has & needs) == needs;
}

/* An operand's register that the result may have: of one that is not needed any more. */
static unsigned int result_register(struct x64_compiler *g, const struct ir_op *o)
{
	ir_val v = o->b != IR_NONE && !x64_dies(g, o->a) ? o->b : o->a;
	bool same;

	return x64_def_xmm_on(g, v, &same);
}

static unsigned int operand(struct x64_compiler *g, ir_val v)
{
	return v == IR_NONE ? 0 : x64_use_xmm(g, v);
}

/* Is @v known to be zero above its low half? */
static bool is_low(const struct x64_compiler *g, ir_val v)
{
	const struct ir_op *o = &g->w->b.op[v];
	const struct rule *r;

	switch (o->opc) {
	case IR_VFROM:
		return true;
	case IR_VZEXT:
	case IR_VDUP:
	case IR_VDUPL:
		return IR_SHAPE(o->aux) != IR_FULL && IR_LANE(o->aux) <= IR_D;
	case IR_LD:
		return g->w->b.mem[o->aux].size_log2 < 4;
	default:
		if (o->opc <= IR_VEC_FIRST)
			return false;
		r = &rules[o->opc - IR_VEC_FIRST];
		return r->fn && r->result == BY_SHAPE && IR_SHAPE(o->aux) != IR_FULL;
	}
}

/* Is the result zero above without being trimmed? */
static bool stays_low(const struct simd *x)
{
	const ir_val v[3] = {x->o->a, x->o->b, x->o->c};

	if (x->r->is & FILLS ||
	    !(x->shape == IR_HALF || (x->shape == IR_SCALAR && x->lane == IR_D)))
		return false;
	for (unsigned int k = 0; k < 3; k++)
		if (v[k] != IR_NONE && !is_low(x->g, v[k]))
			return false;
	return true;
}

void x64_gen_simd(struct x64_compiler *g, const struct ir_op *o)
{
	const struct rule *r = &rules[o->opc - IR_VEC_FIRST];
	struct simd x = {
		g, o, r, .lane = IR_LANE(o->aux), .shape = IR_SHAPE(o->aux), .imm = o->imm};

	if (!r->fn || !(r->lanes >> x.lane & 1) || !(r->shapes >> x.shape & 1) ||
	    !vec_function(o->opc, x.lane, x.shape) || !host_has(r->needs)) {
		x64_gen_vec(g, o);
		return;
	}
	if (r->is & FLAGS)
		x64_flags_clobber(g);
	x.a = operand(g, o->a);
	x.b = operand(g, o->b);
	x.c = operand(g, o->c);
	x.d = r->is & APART ? x64_def_xmm(g) : result_register(g, o);
	r->fn(&x);
	switch ((enum result)r->result) {
	case BY_SHAPE:
		if (!stays_low(&x))
			x64_simd_trim(&x, x.d, x.shape, x.lane);
		break;
	case WHOLE:
		break;
	case LOW:
		x64_simd_trim(&x, x.d, IR_HALF, x.lane);
		break;
	case LANE0:
		x64_simd_trim(&x, x.d, IR_SCALAR, x.lane);
		break;
	case WIDE0:
		x64_simd_trim(&x, x.d, IR_SCALAR, x.lane + 1);
		break;
	case WIDENED:
		x64_simd_trim(&x, x.d, x.shape == IR_SCALAR ? IR_SCALAR : IR_FULL, x.lane + 1);
	}
}
