/* SPDX-License-Identifier: MIT */
/* Vectors of integers: bits, arithmetic, comparisons, shifts, saturation. See simd.h. */
#include "engine/back/x64/simd.h"

/* --- one instruction --- */

void x64_simd_one(const struct simd *x)
{
	op3(x, x->r->op[x->lane], x->d, x->a, x->b);
}

void x64_simd_one_swapped(const struct simd *x)
{
	op3(x, x->r->op[x->lane], x->d, x->b, x->a);
}

static void one_of_one(const struct simd *x)
{
	op2(x, x->r->op[x->lane], x->d, x->a);
}

/* --- bits --- */

void x64_simd_not(const struct simd *x)
{
	complement(x, x->d, x->a);
}

void x64_simd_orn(const struct simd *x)
{
	complement(x, T2, x->b);
	op3(x, X64_VPOR, x->d, x->a, T2);
}

void x64_simd_bsl(const struct simd *x)
{
	op3(x, X64_VPAND, T0, x->a, x->b);
	op3(x, X64_VPANDN, T1, x->a, x->c);
	op3(x, X64_VPOR, x->d, T0, T1);
}

/* --- arithmetic --- */

void x64_simd_neg(const struct simd *x)
{
	zero(x, T0);
	op3(x, sub[x->lane], x->d, T0, x->a);
}

/* T0 = a's sign, all over each D. */
static void sign_of_d(const struct simd *x, unsigned int a)
{
	zero(x, T0);
	op3(x, X64_VPCMPGTQ, T0, T0, a);
}

void x64_simd_abs_d(const struct simd *x)
{
	if (x->lane != IR_D) {
		one_of_one(x);
		return;
	}
	sign_of_d(x, x->a);
	op3(x, X64_VPXOR, T1, x->a, T0);
	op3(x, X64_VPSUBQ, x->d, T1, T0);
}

/* T0 = p * q; by way of T1 and T2. */
static void product(const struct simd *x, unsigned int p, unsigned int q)
{
	if (x->lane != IR_B) {
		op3(x, x->lane == IR_H ? X64_VPMULLW : X64_VPMULLD, T0, p, q);
		return;
	}
	shift(x, X64_VPSRLW_I, T1, p, 8);
	shift(x, X64_VPSRLW_I, T2, q, 8);
	op3(x, X64_VPMULLW, T1, T1, T2);
	shift(x, X64_VPSLLW_I, T1, T1, 8);
	op3(x, X64_VPMULLW, T0, p, q);
	op3k(x, X64_VPAND, T0, T0, X64_SIMD_LOW + IR_H);
	op3(x, X64_VPOR, T0, T0, T1);
}

void x64_simd_mul(const struct simd *x)
{
	product(x, x->a, x->b);
	op2(x, X64_VMOVDQA, x->d, T0);
}

void x64_simd_mul_add(const struct simd *x)
{
	product(x, x->b, x->c);
	op3(x, x->r->op[x->lane], x->d, x->a, T0);
}

/* The larger less the smaller; arg: unsigned. */
void x64_simd_distance(const struct simd *x)
{
	BY_LANE(smax, VPMAXSB, VPMAXSW, VPMAXSD, VPMAXSD);
	BY_LANE(smin, VPMINSB, VPMINSW, VPMINSD, VPMINSD);
	BY_LANE(umax, VPMAXUB, VPMAXUW, VPMAXUD, VPMAXUD);
	BY_LANE(umin, VPMINUB, VPMINUW, VPMINUD, VPMINUD);
	unsigned int lane = x->lane;

	if (lane != IR_D) {
		op3(x, x->r->arg ? umax[lane] : smax[lane], T0, x->a, x->b);
		op3(x, x->r->arg ? umin[lane] : smin[lane], T1, x->a, x->b);
		op3(x, sub[lane], x->d, T0, T1);
		return;
	}
	op3(x, X64_VPSUBQ, T2, x->a, x->b);
	if (x->r->arg) {
		load_constant(x, T1, X64_SIMD_SIGN + IR_D);
		op3(x, X64_VPXOR, T0, x->a, T1);
		op3(x, X64_VPXOR, T1, x->b, T1);
		op3(x, X64_VPCMPGTQ, T0, T1, T0);
	} else {
		op3(x, X64_VPCMPGTQ, T0, x->b, x->a);
	}
	op3(x, X64_VPXOR, T2, T2, T0);
	op3(x, X64_VPSUBQ, x->d, T2, T0);
}

/* Comparisons that x86 does not have. */
void x64_simd_cmge(const struct simd *x)
{
	if (x->lane == IR_D) {
		op3(x, X64_VPCMPGTQ, T0, x->b, x->a);
		complement(x, x->d, T0);
		return;
	}
	op3(x, x->r->op[x->lane], T0, x->a, x->b);
	op3(x, equal[x->lane], x->d, T0, x->b);
}

/* T0, T1 = a, b with the signs turned, so that unsigned order is signed order. */
static void turn_signs(const struct simd *x)
{
	load_constant(x, T1, X64_SIMD_SIGN + x->lane);
	op3(x, X64_VPXOR, T0, x->a, T1);
	op3(x, X64_VPXOR, T1, x->b, T1);
}

void x64_simd_cmhs(const struct simd *x)
{
	if (x->lane == IR_D) {
		turn_signs(x);
		op3(x, X64_VPCMPGTQ, T0, T1, T0);
		complement(x, x->d, T0);
		return;
	}
	op3(x, x->r->op[x->lane], T0, x->a, x->b);
	op3(x, equal[x->lane], x->d, T0, x->a);
}

void x64_simd_cmhi(const struct simd *x)
{
	turn_signs(x);
	op3(x, greater[x->lane], x->d, T0, T1);
}

void x64_simd_cmtst(const struct simd *x)
{
	zero(x, T1);
	op3(x, X64_VPAND, T0, x->a, x->b);
	op3(x, equal[x->lane], T0, T0, T1);
	complement(x, x->d, T0);
}

/* Halves of sums. */
/* Bytes: by the host's rounding mean of unsigned ones. */
static void halving_bytes(const struct simd *x)
{
	unsigned int a = x->a, b = x->b;

	if (!(x->r->arg & UNSIGNED)) {
		turn_signs(x);
		a = T0;
		b = T1;
	}
	op3(x, X64_VPAVGB, T2, a, b);
	if (!(x->r->arg & ROUNDING)) {
		op3(x, X64_VPXOR, T0, a, b);
		op3k(x, X64_VPAND, T0, T0, X64_SIMD_ONE + IR_B);
		op3(x, X64_VPSUBB, T2, T2, T0);
	}
	if (x->r->arg & UNSIGNED)
		op2(x, X64_VMOVDQA, x->d, T2);
	else
		op3k(x, X64_VPXOR, x->d, T2, X64_SIMD_SIGN + IR_B);
}

void x64_simd_halving(const struct simd *x)
{
	bool rounding = x->r->arg & ROUNDING;

	if (x->lane == IR_B) {
		halving_bytes(x);
		return;
	}
	op3(x, X64_VPXOR, T1, x->a, x->b);
	shift(x, x->r->arg & UNSIGNED ? shr[x->lane] : sar[x->lane], T1, T1, 1);
	op3(x, rounding ? X64_VPOR : X64_VPAND, T0, x->a, x->b);
	op3(x, rounding ? sub[x->lane] : add[x->lane], x->d, T0, T1);
}

/* Halves of differences: of bytes, a mean with the complement is off by the highest bit. */
void x64_simd_halving_sub(const struct simd *x)
{
	unsigned int a = x->a, b = x->b;

	if (x->lane != IR_B) {
		const uint16_t *half = x->r->arg & UNSIGNED ? shr : sar;

		shift(x, half[x->lane], T0, a, 1);
		shift(x, half[x->lane], T1, b, 1);
		op3(x, sub[x->lane], T0, T0, T1);
		/* a is even and b is odd: a borrow */
		op3(x, X64_VPANDN, T1, a, b);
		op3k(x, X64_VPAND, T1, T1, X64_SIMD_ONE + x->lane);
		op3(x, sub[x->lane], x->d, T0, T1);
		return;
	}
	if (!(x->r->arg & UNSIGNED)) {
		turn_signs(x);
		a = T0;
		b = T1;
	}
	complement(x, T1, b);
	op3(x, X64_VPAVGB, T0, a, T1);
	op3k(x, X64_VPXOR, x->d, T0, X64_SIMD_SIGN + IR_B);
}

/* --- shifts by an immediate --- */

/* d = a << n or a >> n, lane by lane. By way of T2, which has the mask of B's. */
static void shift_left(const struct simd *x, unsigned int d, unsigned int a, unsigned int n)
{
	shift(x, shl[x->lane], d, a, n);
	if (x->lane != IR_B)
		return;
	splat(x, T2, 0xff << n & 0xff);
	op3(x, X64_VPAND, d, d, T2);
}

static void shift_right(const struct simd *x, unsigned int d, unsigned int a, unsigned int n)
{
	shift(x, shr[x->lane], d, a, n);
	if (x->lane != IR_B)
		return;
	splat(x, T2, 0xff >> n);
	op3(x, X64_VPAND, d, d, T2);
}

/* T0 = a >> n with the sign. By way of T1 and T2. */
static void shift_right_signed(const struct simd *x, unsigned int a, unsigned int n)
{
	switch (x->lane) {
	case IR_B:
		n = n > 7 ? 7 : n;
		shift_right(x, T0, a, n);
		splat(x, T1, 0x80 >> n);
		op3(x, X64_VPXOR, T0, T0, T1);
		op3(x, X64_VPSUBB, T0, T0, T1);
		break;
	case IR_D:
		sign_of_d(x, a);
		shift(x, X64_VPSRLQ_I, T1, a, n);
		shift(x, X64_VPSLLQ_I, T0, T0, 64 - n);
		op3(x, X64_VPOR, T0, T0, T1);
		break;
	default:
		shift(x, sar[x->lane], T0, a, n);
	}
}

void x64_simd_shli(const struct simd *x)
{
	shift_left(x, x->d, x->a, (unsigned int)x->imm);
}

void x64_simd_shri(const struct simd *x)
{
	unsigned int n = (unsigned int)x->imm;
	bool is_signed = !(x->r->arg & UNSIGNED);

	if (!is_signed) {
		shift_right(x, x->d, x->a, n);
	} else if (x->lane == IR_H || x->lane == IR_S) {
		shift(x, sar[x->lane], x->d, x->a, n);
	} else {
		shift_right_signed(x, x->a, n);
		op2(x, X64_VMOVDQA, x->d, T0);
	}
}

/* The last bit that is shifted out is added. */
void x64_simd_rshri(const struct simd *x)
{
	unsigned int n = (unsigned int)x->imm;

	if (x->r->arg & UNSIGNED)
		shift_right(x, T0, x->a, n);
	else
		shift_right_signed(x, x->a, n);
	shift(x, shr[x->lane], T1, x->a, n - 1);
	op3k(x, X64_VPAND, T1, T1, X64_SIMD_ONE + x->lane);
	op3(x, add[x->lane], x->d, T0, T1);
}

/* b shifted, into a; a count of the width leaves zero, as x86 has it, too. */
void x64_simd_sli(const struct simd *x)
{
	unsigned int n = (unsigned int)x->imm, rest = (8u << x->lane) - n;

	shift_left(x, T0, x->b, n);
	if (x->lane == IR_B) {
		op3(x, X64_VPANDN, T1, T2, x->a);
	} else {
		shift(x, shl[x->lane], T1, x->a, rest);
		shift(x, shr[x->lane], T1, T1, rest);
	}
	op3(x, X64_VPOR, x->d, T0, T1);
}

void x64_simd_sri(const struct simd *x)
{
	unsigned int n = (unsigned int)x->imm, rest = (8u << x->lane) - n;

	shift_right(x, T0, x->b, n);
	if (x->lane == IR_B) {
		op3(x, X64_VPANDN, T1, T2, x->a);
	} else {
		shift(x, shr[x->lane], T1, x->a, rest);
		shift(x, shl[x->lane], T1, T1, rest);
	}
	op3(x, X64_VPOR, x->d, T0, T1);
}

/* --- shifts by a register: the count's low byte, and its negative, as unsigned ones --- */

/* arg: ROUNDING, UNSIGNED. A count of the width or more leaves zero, or the sign. */
static enum x64_op right_op(const struct simd *x)
{
	if (x->r->arg & UNSIGNED)
		return x->lane == IR_D ? X64_VPSRLVQ : X64_VPSRLVD;
	return X64_VPSRAVD;
}

/*
 * d = @a >> @count for each S (or, unsigned, D), with the last bit that is shifted out added if the
 * op rounds: constant @bit is where it comes to. By way of T2.
 */
static void right(const struct simd *x, unsigned int d, unsigned int a, unsigned int count,
		  unsigned int bit)
{
	bool rounding = x->r->arg & ROUNDING;

	if (rounding) {
		ones(x, T2);
		op3(x, X64_VPADDD, T2, T2, count);
		op3(x, right_op(x), T2, a, T2);
		op3k(x, X64_VPAND, T2, T2, bit);
	}
	op3(x, right_op(x), d, a, count);
	if (rounding)
		op3(x, X64_VPADDD, d, d, T2);
}

static void count_left(const struct simd *x, unsigned int d)
{
	op3k(x, X64_VPAND, d, x->b, X64_SIMD_BYTE_OF_S + (x->lane == IR_D));
}

static void count_right(const struct simd *x, unsigned int d)
{
	zero(x, d);
	op3(x, sub[x->lane], d, d, x->b);
	op3k(x, X64_VPAND, d, d, X64_SIMD_BYTE_OF_S + (x->lane == IR_D));
}

/* d = @right where the count is negative (@up brings its sign to bit 31), else @left. */
static void choose(const struct simd *x, unsigned int d, unsigned int left, unsigned int right,
		   unsigned int up)
{
	shift(x, X64_VPSLLD_I, T2, x->b, up);
	x64_rvrr(&x->g->b, X64_VBLENDVPS, d, left, right, T2);
}

static void shift_s(const struct simd *x)
{
	count_right(x, T1);
	right(x, T0, x->a, T1, X64_SIMD_ONE + IR_S);
	count_left(x, T1);
	op3(x, X64_VPSLLVD, T1, x->a, T1);
	choose(x, x->d, T1, T0, 24);
}

/* A count that goes the other way is 128 or more: of the two results one is zero, or both are a. */
static void shift_d_unsigned(const struct simd *x)
{
	count_right(x, T1);
	right(x, T0, x->a, T1, 0);
	count_left(x, T1);
	op3(x, X64_VPSLLVQ, T1, x->a, T1);
	op3(x, X64_VPOR, x->d, T0, T1);
}

static void shift_d_signed(const struct simd *x)
{
	sign_of_d(x, x->a);
	count_right(x, T2);
	op3(x, X64_VPXOR, T1, x->a, T0);
	op3(x, X64_VPSRLVQ, T1, T1, T2);
	op3(x, X64_VPXOR, T1, T1, T0);
	count_left(x, T2);
	op3(x, X64_VPSLLVQ, T0, x->a, T2);
	shift(x, X64_VPSLLQ_I, T2, x->b, 56);
	x64_rvrr(&x->g->b, X64_VBLENDVPD, x->d, T0, T1, T2);
}

/* H as the halves of S, whose other half is shifted to where it is not looked at. APART. */
static void shift_h(const struct simd *x)
{
	/* even ones */
	count_right(x, T0);
	shift(x, X64_VPSLLD_I, T1, x->a, 16);
	shift(x, x->r->arg & UNSIGNED ? X64_VPSRLD_I : X64_VPSRAD_I, T1, T1, 16);
	right(x, T1, T1, T0, X64_SIMD_ONE + IR_S);
	count_left(x, T0);
	op3(x, X64_VPSLLVD, T0, x->a, T0);
	choose(x, x->d, T0, T1, 24);
	/* odd ones */
	zero(x, T1);
	op3(x, X64_VPSUBW, T1, T1, x->b);
	shift(x, X64_VPSRLD_I, T1, T1, 16);
	op3k(x, X64_VPAND, T1, T1, X64_SIMD_BYTE_OF_S);
	right(x, T0, x->a, T1, X64_SIMD_BIT16);
	shift(x, X64_VPSRLD_I, T2, x->b, 16);
	op3k(x, X64_VPAND, T2, T2, X64_SIMD_BYTE_OF_S);
	shift(x, X64_VPSRLD_I, T1, x->a, 16);
	shift(x, X64_VPSLLD_I, T1, T1, 16);
	op3(x, X64_VPSLLVD, T1, T1, T2);
	choose(x, T0, T1, T0, 8);
	op3i(x, X64_VPBLENDW, x->d, x->d, T0, 0xaa);
}

void x64_simd_shl(const struct simd *x)
{
	if (x->lane == IR_H)
		shift_h(x);
	else if (x->lane == IR_S)
		shift_s(x);
	else if (x->r->arg & UNSIGNED)
		shift_d_unsigned(x);
	else
		shift_d_signed(x);
}

/* --- bits within bytes, four at a time --- */

/* T0 = the entries of table @low for the low four bits of @a, T1 of @high for the high ones. */
static void look_up(const struct simd *x, unsigned int a, unsigned int low, unsigned int high)
{
	load_constant(x, T2, X64_SIMD_LOW + IR_B);
	shift(x, X64_VPSRLW_I, T1, a, 4);
	op3(x, X64_VPAND, T0, a, T2);
	op3(x, X64_VPAND, T1, T1, T2);
	load_constant(x, T2, low);
	op3(x, X64_VPSHUFB, T0, T2, T0);
	if (low != high)
		load_constant(x, T2, high);
	op3(x, X64_VPSHUFB, T1, T2, T1);
}

void x64_simd_cnt(const struct simd *x)
{
	look_up(x, x->a, X64_SIMD_POPCNT, X64_SIMD_POPCNT);
	op3(x, X64_VPADDB, x->d, T0, T1);
}

void x64_simd_rbit(const struct simd *x)
{
	look_up(x, x->a, X64_SIMD_RBIT_LO, X64_SIMD_RBIT_HI);
	op3(x, X64_VPOR, x->d, T0, T1);
}

/*
 * T0 = leading zeros of @a. What the low half of something has counts where the high half has no
 * bit set: four bits of bytes first, then bytes of H, H of S.
 */
static void leading_zeros(const struct simd *x, unsigned int a)
{
	look_up(x, a, X64_SIMD_CLZ, X64_SIMD_CLZ);
	/* The table begins with a four. */
	op2(x, X64_VPBROADCASTB, T2, T2);
	op3(x, X64_VPCMPEQB, T2, T2, T1);
	op3(x, X64_VPAND, T0, T0, T2);
	op3(x, X64_VPADDB, T0, T0, T1);
	for (unsigned int lane = IR_H; lane <= x->lane; lane++) {
		shift(x, shr[lane], T1, T0, 4u << lane);
		load_constant(x, T2, X64_SIMD_ONE + lane);
		shift(x, shl[lane], T2, T2, lane + 2);
		op3(x, equal[lane], T2, T2, T1);
		op3k(x, X64_VPAND, T2, T2, X64_SIMD_LOW + lane);
		op3(x, X64_VPAND, T0, T0, T2);
		op3(x, add[lane], T0, T0, T1);
	}
}

void x64_simd_clz(const struct simd *x)
{
	leading_zeros(x, x->a);
	op2(x, X64_VMOVDQA, x->d, T0);
}

/* Bits like the highest one are leading zeros of what has the sign taken out, but for that one. */
void x64_simd_cls(const struct simd *x)
{
	zero(x, T0);
	op3(x, greater[x->lane], T0, T0, x->a);
	op3(x, X64_VPXOR, T0, T0, x->a);
	leading_zeros(x, T0);
	ones(x, T1);
	op3(x, add[x->lane], x->d, T0, T1);
}

/* --- products of bytes, summed by fours --- */

/* d = the sums of two products each of the low (@n 0) or the high bytes of b and c. */
static void pair_products(const struct simd *x, unsigned int d, unsigned int t, unsigned int n)
{
	unsigned int b = x->b, c = x->c;

	if (n) {
		shift(x, X64_VPSRLDQ, d, b, n);
		shift(x, X64_VPSRLDQ, t, c, n);
		b = d;
		c = t;
	}
	op2(x, x->r->arg & UNSIGNED ? X64_VPMOVZXBW : X64_VPMOVSXBW, d, b);
	op2(x, x->r->arg & UNSIGNED ? X64_VPMOVZXBW : X64_VPMOVSXBW, t, c);
	op3(x, X64_VPMADDWD, d, d, t);
}

void x64_simd_dot(const struct simd *x)
{
	pair_products(x, T0, T2, 0);
	if (x->shape == IR_FULL)
		pair_products(x, T1, T2, 8);
	op3(x, X64_VPHADDD, T0, T0, x->shape == IR_FULL ? T1 : T0);
	op3(x, X64_VPADDD, x->d, x->a, T0);
}

/* --- saturation --- */

/* QC if anything within the shape is set in @t, which is not needed behind. */
static void qc_if_any(const struct simd *x, unsigned int t, unsigned int shape, unsigned int lane)
{
	struct x64_compiler *g = x->g;
	const uint8_t *back;
	uint8_t *any;

	x64_simd_trim(x, t, shape, lane);
	op2(x, X64_VPTEST, t, t);
	any = x64_jcc(&g->b, X64_NE);
	back = g->b.p;
	x64_cold(g);
	x64_cross(g, any, g->b.p);
	x64_mi(&g->b, X64_OR_I, 0, x64_at(X64_CPU, X64_DISP(offsetof(struct cpu, fpsr))),
	       VEC_FPSR_QC);
	x64_cross(g, x64_jmp(&g->b, false), back);
	x64_hot(g);
}

/* T1 = the highest or the lowest number, by the sign of each lane of @a. */
static void limits(const struct simd *x, unsigned int a, unsigned int lane)
{
	ones(x, T1);
	op3(x, greater[lane], T1, a, T1);
	op3k(x, X64_VPXOR, T1, T1, X64_SIMD_SIGN + lane);
}

/* It has saturated where shifting back does not give what there was. APART. */
void x64_simd_qshli(const struct simd *x)
{
	unsigned int n = (unsigned int)x->imm;

	shift_left(x, x->d, x->a, n);
	if (x->r->arg & UNSIGNED)
		shift_right(x, T0, x->d, n);
	else
		shift_right_signed(x, x->d, n);
	op3(x, equal[x->lane], T0, T0, x->a);
	complement(x, T0, T0);
	if (x->r->arg & UNSIGNED) {
		op3(x, X64_VPOR, x->d, x->d, T0);
	} else {
		limits(x, x->a, x->lane);
		x64_rvrr(&x->g->b, X64_VPBLENDVB, x->d, x->d, T1, T0);
	}
	qc_if_any(x, T0, x->shape, x->lane);
}

/* B and H: the host's, held against what wraps. */
static void saturate(const struct simd *x, unsigned int a, unsigned int b)
{
	op3(x, x->r->arg & SUBTRACT ? sub[x->lane] : add[x->lane], T1, a, b);
	op3(x, x->r->op[x->lane], x->d, a, b);
	op3(x, X64_VPXOR, T1, T1, x->d);
	qc_if_any(x, T1, x->shape, x->lane);
}

/* S and D: it has overflowed where the result's sign can be no sum's. */
static void sq_add_wide(const struct simd *x)
{
	bool d = x->lane == IR_D;

	op3(x, x->r->arg & SUBTRACT ? sub[x->lane] : add[x->lane], T0, x->a, x->b);
	op3(x, X64_VPXOR, T1, x->a, T0);
	op3(x, X64_VPXOR, T2, x->b, x->r->arg & SUBTRACT ? x->a : T0);
	op3(x, X64_VPAND, T1, T1, T2);
	if (d) {
		zero(x, T2);
		op3(x, X64_VPCMPGTQ, T2, T2, T0);
	} else {
		shift(x, X64_VPSRAD_I, T2, T0, 31);
	}
	op3k(x, X64_VPXOR, T2, T2, X64_SIMD_SIGN + x->lane);
	x64_rvrr(&x->g->b, d ? X64_VBLENDVPD : X64_VBLENDVPS, x->d, T0, T2, T1);
	op3k(x, X64_VPAND, T1, T1, X64_SIMD_SIGN + x->lane);
	qc_if_any(x, T1, x->shape, x->lane);
}

void x64_simd_sq_add(const struct simd *x)
{
	if (x->lane < IR_S)
		saturate(x, x->a, x->b);
	else
		sq_add_wide(x);
}

/* S: min(a, ~b) + b, max(a, b) - b. */
void x64_simd_uq_add(const struct simd *x)
{
	if (x->lane < IR_S) {
		saturate(x, x->a, x->b);
		return;
	}
	if (x->r->arg & SUBTRACT) {
		op3(x, X64_VPMAXUD, T0, x->a, x->b);
	} else {
		complement(x, T1, x->b);
		op3(x, X64_VPMINUD, T0, x->a, T1);
	}
	op3(x, X64_VPXOR, T1, T0, x->a);
	op3(x, x->r->arg & SUBTRACT ? X64_VPSUBD : X64_VPADDD, x->d, T0, x->b);
	qc_if_any(x, T1, x->shape, x->lane);
}

void x64_simd_sqneg(const struct simd *x)
{
	zero(x, T0);
	saturate(x, T0, x->a);
}

/* The lowest number's negative is itself. */
void x64_simd_sqabs(const struct simd *x)
{
	BY_LANE(abs, VPABSB, VPABSW, VPABSD, VPABSD);

	load_constant(x, T1, X64_SIMD_SIGN + x->lane);
	op3(x, equal[x->lane], T1, T1, x->a);
	op2(x, abs[x->lane], T0, x->a);
	op3(x, X64_VPXOR, x->d, T0, T1);
	qc_if_any(x, T1, x->shape, x->lane);
}

/* T0 = a * b * 2 / 2^16, for H. */
static void high_product_h(const struct simd *x)
{
	if (x->r->arg & ROUNDING) {
		op3(x, X64_VPMULHRSW, T0, x->a, x->b);
		return;
	}
	op3(x, X64_VPMULHW, T0, x->a, x->b);
	op3(x, X64_VPMULLW, T1, x->a, x->b);
	op3(x, X64_VPADDW, T0, T0, T0);
	shift(x, X64_VPSRLW_I, T1, T1, 15);
	op3(x, X64_VPOR, T0, T0, T1);
}

/* The same for S, of even and odd lanes. */
static void high_product_s(const struct simd *x)
{
	shift(x, X64_VPSRLQ_I, T0, x->a, 32);
	shift(x, X64_VPSRLQ_I, T1, x->b, 32);
	op3(x, X64_VPMULDQ, T1, T0, T1);
	op3(x, X64_VPMULDQ, T0, x->a, x->b);
	if (x->r->arg & ROUNDING) {
		load_constant(x, T2, X64_SIMD_ONE + IR_D);
		shift(x, X64_VPSLLQ_I, T2, T2, 30);
		op3(x, X64_VPADDQ, T0, T0, T2);
		op3(x, X64_VPADDQ, T1, T1, T2);
	}
	shift(x, X64_VPSRLQ_I, T0, T0, 31);
	shift(x, X64_VPSLLQ_I, T1, T1, 1);
	op3i(x, X64_VPBLENDD, T0, T0, T1, 0xa);
}

/* Only the square of the lowest number is too large; nothing else looks like it then. */
void x64_simd_sqdmulh(const struct simd *x)
{
	if (x->lane == IR_H)
		high_product_h(x);
	else
		high_product_s(x);
	load_constant(x, T1, X64_SIMD_SIGN + x->lane);
	op3(x, equal[x->lane], T1, T1, T0);
	op3(x, X64_VPXOR, x->d, T0, T1);
	qc_if_any(x, T1, x->shape, x->lane);
}

/* --- widening and narrowing --- */

/* T0 = the products, twice as wide, of the half that the shape names. By way of T1 and T2. */
static void wide_product(const struct simd *x, bool is_unsigned)
{
	bool high = x->shape == IR_FULL;
	unsigned int a = x->a, b = x->b;

	switch (x->lane) {
	case IR_B:
		if (high) {
			shift(x, X64_VPSRLDQ, T1, a, 8);
			shift(x, X64_VPSRLDQ, T2, b, 8);
			a = T1;
			b = T2;
		}
		op2(x, is_unsigned ? X64_VPMOVZXBW : X64_VPMOVSXBW, T1, a);
		op2(x, is_unsigned ? X64_VPMOVZXBW : X64_VPMOVSXBW, T2, b);
		op3(x, X64_VPMULLW, T0, T1, T2);
		break;
	case IR_H:
		op3(x, X64_VPMULLW, T1, a, b);
		op3(x, is_unsigned ? X64_VPMULHUW : X64_VPMULHW, T2, a, b);
		op3(x, high ? X64_VPUNPCKHWD : X64_VPUNPCKLWD, T0, T1, T2);
		break;
	default:
		shuffle(x, T1, a, high ? 0x32 : 0x10);
		shuffle(x, T2, b, high ? 0x32 : 0x10);
		op3(x, is_unsigned ? X64_VPMULUDQ : X64_VPMULDQ, T0, T1, T2);
	}
}

void x64_simd_mull(const struct simd *x)
{
	wide_product(x, x->r->arg & UNSIGNED);
	op2(x, X64_VMOVDQA, x->d, T0);
}

/* Twice the square of the lowest number looks like the lowest number, and nothing else does. */
void x64_simd_sqdmull(const struct simd *x)
{
	unsigned int wide = x->lane + 1;

	wide_product(x, false);
	op3(x, add[wide], T0, T0, T0);
	load_constant(x, T1, X64_SIMD_SIGN + wide);
	op3(x, equal[wide], T1, T1, T0);
	op3(x, X64_VPXOR, x->d, T0, T1);
	qc_if_any(x, T1, x->shape == IR_SCALAR ? IR_SCALAR : IR_FULL, wide);
}

void x64_simd_pmull(const struct simd *x)
{
	op3i(x, X64_VPCLMULQDQ, x->d, x->a, x->b, x->shape == IR_FULL ? 0x11 : 0);
}

void x64_simd_xtl(const struct simd *x)
{
	unsigned int a = x->a;

	if (x->shape == IR_FULL) {
		shift(x, X64_VPSRLDQ, T0, a, 8);
		a = T0;
	}
	op2(x, x->r->op[x->lane], x->d, a);
}

void x64_simd_xtn(const struct simd *x)
{
	op3k(x, X64_VPSHUFB, x->d, x->a, X64_SIMD_NARROW + x->lane);
}

/*
 * D to S: where what becomes of it is not the same when it is wide again, the limit of the sign's
 * side.
 */
static void narrow_d(const struct simd *x, enum x64_op widen, bool of_unsigned)
{
	op3k(x, X64_VPSHUFB, T2, x->a, X64_SIMD_NARROW + IR_S);
	op2(x, widen, T0, T2);
	op3(x, X64_VPCMPEQQ, T0, T0, x->a);
	ones(x, T1);
	op3(x, X64_VPXOR, T0, T0, T1);
	shuffle(x, T0, T0, 0x08);
	if (!of_unsigned) {
		/* The signs are in the upper halves. An unsigned limit is all ones or zero. */
		shuffle(x, T1, x->a, 0x0d);
		shift(x, X64_VPSRAD_I, T1, T1, 31);
		op3k(x, X64_VPXOR, T1, T1, widen == X64_VPMOVSXDQ ? X64_SIMD_MAX_S : X64_SIMD_ALL);
	}
	x64_rvrr(&x->g->b, X64_VBLENDVPS, x->d, T2, T1, T0);
	qc_if_any(x, T0, IR_HALF, IR_S);
}

/* B and H: what becomes of it when it is wide again tells whether it has saturated. */
void x64_simd_qxtn(const struct simd *x)
{
	BY_LANE(sign_extend, VPMOVSXBW, VPMOVSXWD, NOP, NOP);
	BY_LANE(zero_extend, VPMOVZXBW, VPMOVZXWD, NOP, NOP);

	if (x->lane == IR_S) {
		narrow_d(x, x->r->arg & UNSIGNED ? X64_VPMOVZXDQ : X64_VPMOVSXDQ, false);
		return;
	}
	op3(x, x->r->op[x->lane], T0, x->a, x->a);
	op2(x, x->r->arg & UNSIGNED ? zero_extend[x->lane] : sign_extend[x->lane], T1, T0);
	op3(x, X64_VPXOR, T1, T1, x->a);
	op2(x, X64_VMOVDQA, x->d, T0);
	qc_if_any(x, T1, IR_FULL, 0);
}

/* The host's narrowing takes its operand for signed. */
void x64_simd_uqxtn(const struct simd *x)
{
	if (x->lane == IR_S) {
		narrow_d(x, X64_VPMOVZXDQ, true);
		return;
	}
	load_constant(x, T0, X64_SIMD_LOW + x->lane + 1);
	op3(x, x->lane == IR_B ? X64_VPMINUW : X64_VPMINUD, T0, T0, x->a);
	op3(x, X64_VPXOR, T1, T0, x->a);
	op3(x, x->r->op[x->lane], x->d, T0, T0);
	qc_if_any(x, T1, IR_FULL, 0);
}
