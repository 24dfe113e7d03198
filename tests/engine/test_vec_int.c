/* SPDX-License-Identifier: MIT */
/*
 * The integer vector ops against a second definition: each lane computed in 128-bit integers,
 * exactly as the Arm ARM's pseudocode for the instruction says, and then cut or saturated to its
 * width.
 *
 * A row says for which lanes and shapes an op exists; for all others there must be no function.
 */
#include "tests/engine/test_vec.h"

typedef __int128 wide;

/* One lane. s are the operands as signed, u as unsigned numbers; the result counts modulo 2^out. */
struct lane {
	wide s[3], u[3];
	unsigned int bits;
	int imm;
	bool saturated;
};

typedef wide lane_fn(struct lane *l);

enum kind {
	LANEWISE,
	WIDENING, /* out: lanes twice as wide, from the half that the shape names */
	NARROWING,
	NEIGHBOURS, /* operands are neighbours in b:a */
	FOLD,       /* operand 0 is what came before, 1 the next lane */
};

enum imm { IMM_NONE, IMM_LEFT, IMM_RIGHT };

struct row {
	unsigned int opc;
	enum kind kind;
	unsigned int lanes, shapes;
	lane_fn *fn;
	enum imm imm;
};

static wide power(unsigned int n)
{
	return (wide)1 << n;
}

static wide sat_signed(struct lane *l, wide v)
{
	wide max = power(l->bits - 1) - 1;

	if (v >= -max - 1 && v <= max)
		return v;
	l->saturated = true;
	return v < 0 ? -max - 1 : max;
}

static wide sat_unsigned(struct lane *l, wide v)
{
	wide max = power(l->bits) - 1;

	if (v >= 0 && v <= max)
		return v;
	l->saturated = true;
	return v < 0 ? 0 : max;
}

/* A shift by a signed count, modulo 2^64; rounding before it goes right. */
static wide shift(wide v, int count, bool round)
{
	if (count >= 64)
		return 0;
	if (count >= 0)
		return v * power((unsigned int)count);
	if (count < -64)
		return round || v >= 0 ? 0 : -1;
	return (v + (round ? power((unsigned int)-count - 1) : 0)) >> -count;
}

/* The same exactly, or if that is beyond the limits of every lane, something that is so too. */
static wide shift_exact(wide v, int count, bool round)
{
	if (count >= 64 && v)
		return v < 0 ? -power(100) : power(100);
	return shift(v, count, round);
}

#define COUNT(l) ((int8_t)(l)->u[1])
#define DEFINE(name, expr)               \
	static wide name(struct lane *l) \
	{                                \
		return expr;             \
	}

DEFINE(ref_and, l->u[0] & l->u[1])
DEFINE(ref_bic, l->u[0] & ~l->u[1])
DEFINE(ref_orr, l->u[0] | l->u[1])
DEFINE(ref_orn, l->u[0] | ~l->u[1])
DEFINE(ref_eor, l->u[0] ^ l->u[1])
DEFINE(ref_not, ~l->u[0])
DEFINE(ref_bsl, l->u[2] ^ ((l->u[2] ^ l->u[1]) & l->u[0]))
DEFINE(ref_add, l->u[0] + l->u[1])
DEFINE(ref_sub, l->u[0] - l->u[1])
DEFINE(ref_neg, -l->u[0])
DEFINE(ref_abs, l->s[0] < 0 ? -l->s[0] : l->s[0])
DEFINE(ref_mul, (uint64_t)l->u[0] * (uint64_t)l->u[1])
DEFINE(ref_mla, (uint64_t)l->u[0] + (uint64_t)l->u[1] * (uint64_t)l->u[2])
DEFINE(ref_mls, (uint64_t)l->u[0] - (uint64_t)l->u[1] * (uint64_t)l->u[2])
DEFINE(ref_smax, l->s[0] > l->s[1] ? l->s[0] : l->s[1])
DEFINE(ref_smin, l->s[0] < l->s[1] ? l->s[0] : l->s[1])
DEFINE(ref_umax, l->u[0] > l->u[1] ? l->u[0] : l->u[1])
DEFINE(ref_umin, l->u[0] < l->u[1] ? l->u[0] : l->u[1])
DEFINE(ref_sabd, l->s[0] > l->s[1] ? l->s[0] - l->s[1] : l->s[1] - l->s[0])
DEFINE(ref_uabd, l->u[0] > l->u[1] ? l->u[0] - l->u[1] : l->u[1] - l->u[0])
DEFINE(ref_shadd, (l->s[0] + l->s[1]) >> 1)
DEFINE(ref_uhadd, (l->u[0] + l->u[1]) >> 1)
DEFINE(ref_shsub, (l->s[0] - l->s[1]) >> 1)
DEFINE(ref_uhsub, (l->u[0] - l->u[1]) >> 1)
DEFINE(ref_srhadd, (l->s[0] + l->s[1] + 1) >> 1)
DEFINE(ref_urhadd, (l->u[0] + l->u[1] + 1) >> 1)
DEFINE(ref_cmeq, l->u[0] == l->u[1] ? -1 : 0)
DEFINE(ref_cmge, l->s[0] >= l->s[1] ? -1 : 0)
DEFINE(ref_cmgt, l->s[0] > l->s[1] ? -1 : 0)
DEFINE(ref_cmhs, l->u[0] >= l->u[1] ? -1 : 0)
DEFINE(ref_cmhi, l->u[0] > l->u[1] ? -1 : 0)
DEFINE(ref_cmtst, l->u[0] & l->u[1] ? -1 : 0)
DEFINE(ref_sqadd, sat_signed(l, l->s[0] + l->s[1]))
DEFINE(ref_uqadd, sat_unsigned(l, l->u[0] + l->u[1]))
DEFINE(ref_sqsub, sat_signed(l, l->s[0] - l->s[1]))
DEFINE(ref_uqsub, sat_unsigned(l, l->u[0] - l->u[1]))
DEFINE(ref_suqadd, sat_signed(l, l->s[0] + l->u[1]))
DEFINE(ref_usqadd, sat_unsigned(l, l->u[0] + l->s[1]))
DEFINE(ref_sqabs, sat_signed(l, l->s[0] < 0 ? -l->s[0] : l->s[0]))
DEFINE(ref_sqneg, sat_signed(l, -l->s[0]))
DEFINE(ref_sqdmulh, sat_signed(l, (2 * l->s[0] * l->s[1]) >> l->bits))
DEFINE(ref_sqrdmulh, sat_signed(l, (2 * l->s[0] * l->s[1] + power(l->bits - 1)) >> l->bits))
DEFINE(ref_sqrdmlah,
       sat_signed(l, (l->s[0] * power(l->bits) + 2 * l->s[1] * l->s[2] + power(l->bits - 1)) >>
			     l->bits))
DEFINE(ref_sqrdmlsh,
       sat_signed(l, (l->s[0] * power(l->bits) - 2 * l->s[1] * l->s[2] + power(l->bits - 1)) >>
			     l->bits))
DEFINE(ref_sshl, shift(l->s[0], COUNT(l), false))
DEFINE(ref_ushl, shift(l->u[0], COUNT(l), false))
DEFINE(ref_srshl, shift(l->s[0], COUNT(l), true))
DEFINE(ref_urshl, shift(l->u[0], COUNT(l), true))
DEFINE(ref_sqshl, sat_signed(l, shift_exact(l->s[0], COUNT(l), false)))
DEFINE(ref_uqshl, sat_unsigned(l, shift_exact(l->u[0], COUNT(l), false)))
DEFINE(ref_sqrshl, sat_signed(l, shift_exact(l->s[0], COUNT(l), true)))
DEFINE(ref_uqrshl, sat_unsigned(l, shift_exact(l->u[0], COUNT(l), true)))
DEFINE(ref_shli, shift(l->u[0], l->imm, false))
DEFINE(ref_sshri, shift(l->s[0], -l->imm, false))
DEFINE(ref_ushri, shift(l->u[0], -l->imm, false))
DEFINE(ref_srshri, shift(l->s[0], -l->imm, true))
DEFINE(ref_urshri, shift(l->u[0], -l->imm, true))
DEFINE(ref_sli, shift(l->u[1], l->imm, false) + l->u[0] % power((unsigned int)l->imm))
DEFINE(ref_sri,
       shift(l->u[1], -l->imm, false) +
	       (l->u[0] >> (l->bits - (unsigned int)l->imm) << (l->bits - (unsigned int)l->imm)))
DEFINE(ref_sqshli, sat_signed(l, shift(l->s[0], l->imm, false)))
DEFINE(ref_uqshli, sat_unsigned(l, shift(l->u[0], l->imm, false)))
DEFINE(ref_sqshlui, sat_unsigned(l, shift(l->s[0], l->imm, false)))
DEFINE(ref_sxtl, l->s[0])
DEFINE(ref_uxtl, l->u[0])
DEFINE(ref_smull, l->s[0] * l->s[1])
DEFINE(ref_umull, (uint64_t)l->u[0] * (uint64_t)l->u[1])
DEFINE(ref_sqxtn, sat_signed(l, l->s[0]))
DEFINE(ref_uqxtn, sat_unsigned(l, l->u[0]))
DEFINE(ref_sqxtun, sat_unsigned(l, l->s[0]))

static wide ref_sqdmull(struct lane *l)
{
	struct lane twice = {.bits = 2 * l->bits};
	wide r = sat_signed(&twice, 2 * l->s[0] * l->s[1]);

	l->saturated = twice.saturated;
	return r;
}

static wide ref_pmul(struct lane *l)
{
	wide r = 0;

	for (unsigned int i = 0; i < l->bits; i++)
		if (l->u[1] >> i & 1)
			r ^= (wide)((unsigned __int128)l->u[0] << i);
	return r;
}

static wide ref_clz(struct lane *l)
{
	unsigned int n = 0;

	while (n < l->bits && !(l->u[0] >> (l->bits - 1 - n) & 1))
		n++;
	return n;
}

/* How many bits below the sign are like it. */
static wide ref_cls(struct lane *l)
{
	unsigned int n = 0;

	while (n < l->bits - 1 && (l->u[0] >> (l->bits - 2 - n) & 1) == (l->s[0] < 0))
		n++;
	return n;
}

static wide ref_cnt(struct lane *l)
{
	wide n = 0;

	for (unsigned int i = 0; i < l->bits; i++)
		n += l->u[0] >> i & 1;
	return n;
}

static wide ref_rbit(struct lane *l)
{
	wide r = 0;

	for (unsigned int i = 0; i < l->bits; i++)
		r |= (l->u[0] >> i & 1) << (l->bits - 1 - i);
	return r;
}

static wide bytes_reversed(wide v, unsigned int unit, unsigned int of)
{
	wide r = 0;

	for (unsigned int i = 0; i < of; i += unit)
		r |= (v >> i & (power(unit) - 1)) << (of - unit - i);
	return r;
}

DEFINE(ref_rev8, bytes_reversed(l->u[0], 8, l->bits))
DEFINE(ref_rev16, bytes_reversed(l->u[0], 16, l->bits))
DEFINE(ref_rev32, bytes_reversed(l->u[0], 32, l->bits))

static wide dot(uint32_t acc, uint32_t x, uint32_t y, bool is_signed)
{
	for (int i = 0; i < 32; i += 8)
		acc += is_signed ? (uint32_t)((int8_t)(x >> i) * (int8_t)(y >> i))
				 : (x >> i & 255) * (y >> i & 255);
	return acc;
}

DEFINE(ref_sdot, dot((uint32_t)l->u[0], (uint32_t)l->u[1], (uint32_t)l->u[2], true))
DEFINE(ref_udot, dot((uint32_t)l->u[0], (uint32_t)l->u[1], (uint32_t)l->u[2], false))

static const struct row rows[] = {
	{IR_V_AND, LANEWISE, L_B, S_HF, ref_and},
	{IR_V_BIC, LANEWISE, L_B, S_HF, ref_bic},
	{IR_V_ORR, LANEWISE, L_B, S_HF, ref_orr},
	{IR_V_ORN, LANEWISE, L_B, S_HF, ref_orn},
	{IR_V_EOR, LANEWISE, L_B, S_HF, ref_eor},
	{IR_V_NOT, LANEWISE, L_B, S_HF, ref_not},
	{IR_V_BSL, LANEWISE, L_B, S_HF, ref_bsl},
	{IR_V_ADD, LANEWISE, L_BHSD, S_ALL, ref_add},
	{IR_V_SUB, LANEWISE, L_BHSD, S_ALL, ref_sub},
	{IR_V_NEG, LANEWISE, L_BHSD, S_ALL, ref_neg},
	{IR_V_ABS, LANEWISE, L_BHSD, S_ALL, ref_abs},
	{IR_V_MUL, LANEWISE, L_BHSD, S_ALL, ref_mul},
	{IR_V_MLA, LANEWISE, L_BHSD, S_ALL, ref_mla},
	{IR_V_MLS, LANEWISE, L_BHSD, S_ALL, ref_mls},
	{IR_V_PMUL, LANEWISE, L_B, S_ALL, ref_pmul},
	{IR_V_SMAX, LANEWISE, L_BHS, S_ALL, ref_smax},
	{IR_V_SMIN, LANEWISE, L_BHS, S_ALL, ref_smin},
	{IR_V_UMAX, LANEWISE, L_BHS, S_ALL, ref_umax},
	{IR_V_UMIN, LANEWISE, L_BHS, S_ALL, ref_umin},
	{IR_V_SABD, LANEWISE, L_BHSD, S_ALL, ref_sabd},
	{IR_V_UABD, LANEWISE, L_BHSD, S_ALL, ref_uabd},
	{IR_V_SHADD, LANEWISE, L_BHS, S_ALL, ref_shadd},
	{IR_V_UHADD, LANEWISE, L_BHS, S_ALL, ref_uhadd},
	{IR_V_SHSUB, LANEWISE, L_BHS, S_ALL, ref_shsub},
	{IR_V_UHSUB, LANEWISE, L_BHS, S_ALL, ref_uhsub},
	{IR_V_SRHADD, LANEWISE, L_BHS, S_ALL, ref_srhadd},
	{IR_V_URHADD, LANEWISE, L_BHS, S_ALL, ref_urhadd},
	{IR_V_CMEQ, LANEWISE, L_BHSD, S_ALL, ref_cmeq},
	{IR_V_CMGE, LANEWISE, L_BHSD, S_ALL, ref_cmge},
	{IR_V_CMGT, LANEWISE, L_BHSD, S_ALL, ref_cmgt},
	{IR_V_CMHS, LANEWISE, L_BHSD, S_ALL, ref_cmhs},
	{IR_V_CMHI, LANEWISE, L_BHSD, S_ALL, ref_cmhi},
	{IR_V_CMTST, LANEWISE, L_BHSD, S_ALL, ref_cmtst},
	{IR_V_SDOT, LANEWISE, L_S, S_HF, ref_sdot},
	{IR_V_UDOT, LANEWISE, L_S, S_HF, ref_udot},
	{IR_V_CLZ, LANEWISE, L_BHS, S_ALL, ref_clz},
	{IR_V_CLS, LANEWISE, L_BHS, S_ALL, ref_cls},
	{IR_V_CNT, LANEWISE, L_B, S_ALL, ref_cnt},
	{IR_V_RBIT, LANEWISE, L_B, S_ALL, ref_rbit},
	{IR_V_SQADD, LANEWISE, L_BHSD, S_ALL, ref_sqadd},
	{IR_V_UQADD, LANEWISE, L_BHSD, S_ALL, ref_uqadd},
	{IR_V_SQSUB, LANEWISE, L_BHSD, S_ALL, ref_sqsub},
	{IR_V_UQSUB, LANEWISE, L_BHSD, S_ALL, ref_uqsub},
	{IR_V_SUQADD, LANEWISE, L_BHSD, S_ALL, ref_suqadd},
	{IR_V_USQADD, LANEWISE, L_BHSD, S_ALL, ref_usqadd},
	{IR_V_SQABS, LANEWISE, L_BHSD, S_ALL, ref_sqabs},
	{IR_V_SQNEG, LANEWISE, L_BHSD, S_ALL, ref_sqneg},
	{IR_V_SQDMULH, LANEWISE, L_HS, S_ALL, ref_sqdmulh},
	{IR_V_SQRDMULH, LANEWISE, L_HS, S_ALL, ref_sqrdmulh},
	{IR_V_SQRDMLAH, LANEWISE, L_HS, S_ALL, ref_sqrdmlah},
	{IR_V_SQRDMLSH, LANEWISE, L_HS, S_ALL, ref_sqrdmlsh},
	{IR_V_SSHL, LANEWISE, L_BHSD, S_ALL, ref_sshl},
	{IR_V_USHL, LANEWISE, L_BHSD, S_ALL, ref_ushl},
	{IR_V_SRSHL, LANEWISE, L_BHSD, S_ALL, ref_srshl},
	{IR_V_URSHL, LANEWISE, L_BHSD, S_ALL, ref_urshl},
	{IR_V_SQSHL, LANEWISE, L_BHSD, S_ALL, ref_sqshl},
	{IR_V_UQSHL, LANEWISE, L_BHSD, S_ALL, ref_uqshl},
	{IR_V_SQRSHL, LANEWISE, L_BHSD, S_ALL, ref_sqrshl},
	{IR_V_UQRSHL, LANEWISE, L_BHSD, S_ALL, ref_uqrshl},
	{IR_V_SHLI, LANEWISE, L_BHSD, S_ALL, ref_shli, IMM_LEFT},
	{IR_V_SSHRI, LANEWISE, L_BHSD, S_ALL, ref_sshri, IMM_RIGHT},
	{IR_V_USHRI, LANEWISE, L_BHSD, S_ALL, ref_ushri, IMM_RIGHT},
	{IR_V_SRSHRI, LANEWISE, L_BHSD, S_ALL, ref_srshri, IMM_RIGHT},
	{IR_V_URSHRI, LANEWISE, L_BHSD, S_ALL, ref_urshri, IMM_RIGHT},
	{IR_V_SLI, LANEWISE, L_BHSD, S_ALL, ref_sli, IMM_LEFT},
	{IR_V_SRI, LANEWISE, L_BHSD, S_ALL, ref_sri, IMM_RIGHT},
	{IR_V_SQSHLI, LANEWISE, L_BHSD, S_ALL, ref_sqshli, IMM_LEFT},
	{IR_V_UQSHLI, LANEWISE, L_BHSD, S_ALL, ref_uqshli, IMM_LEFT},
	{IR_V_SQSHLUI, LANEWISE, L_BHSD, S_ALL, ref_sqshlui, IMM_LEFT},
	{IR_V_SXTL, WIDENING, L_BHS, S_ALL, ref_sxtl},
	{IR_V_UXTL, WIDENING, L_BHS, S_ALL, ref_uxtl},
	{IR_V_SMULL, WIDENING, L_BHS, S_ALL, ref_smull},
	{IR_V_UMULL, WIDENING, L_BHS, S_ALL, ref_umull},
	{IR_V_PMULL, WIDENING, L_B | L_D, S_ALL, ref_pmul},
	{IR_V_SQDMULL, WIDENING, L_HS, S_ALL, ref_sqdmull},
	{IR_V_XTN, NARROWING, L_BHS, S_SH, ref_uxtl},
	{IR_V_SQXTN, NARROWING, L_BHS, S_SH, ref_sqxtn},
	{IR_V_UQXTN, NARROWING, L_BHS, S_SH, ref_uqxtn},
	{IR_V_SQXTUN, NARROWING, L_BHS, S_SH, ref_sqxtun},
	{IR_V_ADDP, NEIGHBOURS, L_BHSD, S_HF, ref_add}, /* D: FULL only */
	{IR_V_SMAXP, NEIGHBOURS, L_BHS, S_HF, ref_smax},
	{IR_V_SMINP, NEIGHBOURS, L_BHS, S_HF, ref_smin},
	{IR_V_UMAXP, NEIGHBOURS, L_BHS, S_HF, ref_umax},
	{IR_V_UMINP, NEIGHBOURS, L_BHS, S_HF, ref_umin},
	{IR_V_ADDV, FOLD, L_BHS, S_HF, ref_add},
	{IR_V_SMAXV, FOLD, L_BHS, S_HF, ref_smax},
	{IR_V_SMINV, FOLD, L_BHS, S_HF, ref_smin},
	{IR_V_UMAXV, FOLD, L_BHS, S_HF, ref_umax},
	{IR_V_UMINV, FOLD, L_BHS, S_HF, ref_umin},
};

#define NR_ROWS   (sizeof(rows) / sizeof(rows[0]))
#define NR_RANDOM 400

static wide as_signed(uint64_t v, unsigned int bits)
{
	return v >> (bits - 1) & 1 ? (wide)v - power(bits) : (wide)v;
}

/* Operand @k as number @i of lanes of @bits. */
static void operand(struct lane *l, unsigned int k, const union vreg *v, unsigned int bits,
		    unsigned int i)
{
	uint64_t x = test_lane(v, bits, i);

	l->u[k] = (wide)x;
	l->s[k] = as_signed(x, bits);
}

static void set_wide(union vreg *v, unsigned int bits, unsigned int i, wide x)
{
	memcpy(&v->b[i * bits / 8], &x, bits / 8);
}

static bool want_lanes(const struct row *r, unsigned int bits, unsigned int nr, unsigned int first,
		       const union vreg in[3], int imm, union vreg *want)
{
	unsigned int in_bits = r->kind == NARROWING ? 2 * bits : bits,
		     out_bits = r->kind == WIDENING ? 2 * bits : bits;
	bool saturated = false;

	for (unsigned int i = 0; i < nr; i++) {
		struct lane l = {.bits = bits, .imm = imm};

		for (unsigned int k = 0; k < 3; k++) {
			if (r->kind != NEIGHBOURS)
				operand(&l, k, &in[k], in_bits, first + i);
			else if (k < 2)
				operand(&l, k, &in[2 * i >= nr], bits, (2 * i + k) % nr);
		}
		set_wide(want, out_bits, i, r->fn(&l));
		saturated |= l.saturated;
	}
	return saturated;
}

static void want_fold(const struct row *r, unsigned int bits, unsigned int nr, const union vreg *in,
		      union vreg *want)
{
	struct lane l = {.bits = bits};

	set_wide(want, bits, 0, (wide)test_lane(in, bits, 0));
	for (unsigned int i = 1; i < nr; i++) {
		operand(&l, 0, want, bits, 0);
		operand(&l, 1, in, bits, i);
		set_wide(want, bits, 0, r->fn(&l));
	}
}

static bool one_case(struct cpu *cpu, const struct row *r, unsigned int lane, unsigned int shape,
		     uint64_t *seed)
{
	unsigned int bits = 8u << lane, nr = test_count(lane, shape), first = 0;
	union vreg in[3], want = {.d = {0, 0}};
	bool saturated = false;
	int imm = 0;

	for (int k = 0; k < 3; k++)
		test_random_vreg(seed, &in[k], r->kind == NARROWING ? lane + 1 : lane);
	if (r->imm)
		imm = (int)(test_random(seed) % bits) + (r->imm == IMM_RIGHT);
	if (r->kind == WIDENING && shape == IR_FULL)
		first = nr /= 2;
	if (r->kind == FOLD)
		want_fold(r, bits, nr, &in[0], &want);
	else
		saturated = want_lanes(r, bits, nr, first, in, imm, &want);
	return test_call(cpu, r->opc, lane, shape, in, imm, &want, saturated ? VEC_FPSR_QC : 0);
}

static struct cpu test_cpu;

static void test_rows(void **state)
{
	uint64_t seed = 1;

	for (const struct row *r = rows; r < rows + NR_ROWS; r++)
		for (unsigned int lane = IR_B; lane <= IR_Q; lane++)
			for (unsigned int shape = IR_SCALAR; shape <= IR_FULL; shape++) {
				bool there = (r->lanes >> lane & 1) && (r->shapes >> shape & 1);

				if (r->kind == NEIGHBOURS && test_count(lane, shape) == 1)
					there = false;
				assert_int_equal(vec_function(r->opc, lane, shape) != NULL, there);
				for (int n = 0; there && n < NR_RANDOM; n++)
					assert_true(one_case(&test_cpu, r, lane, shape, &seed));
			}
}

/* REVn: lanes within containers of n bits. */
static void test_rev(void **state)
{
	static const struct {
		unsigned int opc, lane, container;
		lane_fn *fn;
	} revs[] = {
		{IR_V_REV16, IR_B, IR_H, ref_rev8},  {IR_V_REV32, IR_B, IR_S, ref_rev8},
		{IR_V_REV32, IR_H, IR_S, ref_rev16}, {IR_V_REV64, IR_B, IR_D, ref_rev8},
		{IR_V_REV64, IR_H, IR_D, ref_rev16}, {IR_V_REV64, IR_S, IR_D, ref_rev32},
	};
	uint64_t seed = 2;

	for (unsigned int n = 0; n < 6 * NR_RANDOM; n++) {
		unsigned int k = n % 6, bits = 8u << revs[k].container,
			     shape = n & 8 ? IR_FULL : IR_HALF;
		struct row r = {revs[k].opc, LANEWISE, 0, 0, revs[k].fn};
		union vreg in[3], want = {.d = {0, 0}};

		for (int i = 0; i < 3; i++)
			test_random_vreg(&seed, &in[i], IR_B);
		want_lanes(&r, bits, test_count(revs[k].container, shape), 0, in, 0, &want);
		assert_true(
			test_call(&test_cpu, revs[k].opc, revs[k].lane, shape, in, 0, &want, 0));
	}
}

/* SADDLP and its like: sums that are twice as wide as their terms. */
static void test_long_sums(void **state)
{
	static const struct {
		unsigned int opc;
		bool is_signed, across;
	} sums[] = {
		{IR_V_SADDLP, true, false},
		{IR_V_UADDLP, false, false},
		{IR_V_SADDLV, true, true},
		{IR_V_UADDLV, false, true},
	};
	uint64_t seed = 3;

	for (unsigned int n = 0; n < 24 * NR_RANDOM; n++) {
		unsigned int k = n % 4, lane = n / 4 % 3, shape = n / 12 % 2 ? IR_FULL : IR_HALF;
		unsigned int bits = 8u << lane, nr = test_count(lane, shape),
			     group = sums[k].across ? nr : 2;
		union vreg in[3], want = {.d = {0, 0}};

		for (int i = 0; i < 3; i++)
			test_random_vreg(&seed, &in[i], lane);
		for (unsigned int i = 0; i < nr / group; i++) {
			wide sum = 0;

			for (unsigned int j = 0; j < group; j++) {
				uint64_t x = test_lane(&in[0], bits, group * i + j);

				sum += sums[k].is_signed ? as_signed(x, bits) : (wide)x;
			}
			set_wide(&want, 2 * bits, i, sum);
		}
		assert_true(test_call(&test_cpu, sums[k].opc, lane, shape, in, 0, &want, 0));
	}
}

/*
 * Moves: by the instructions' definitions, over an array that holds the operands one after
 * another.
 */
static unsigned int source_of(unsigned int opc, unsigned int i, unsigned int nr)
{
	switch (opc) {
	case IR_V_ZIP1:
		return i / 2 + (i % 2) * nr;
	case IR_V_ZIP2:
		return nr / 2 + i / 2 + (i % 2) * nr;
	case IR_V_UZP1:
		return 2 * i;
	case IR_V_UZP2:
		return 2 * i + 1;
	case IR_V_TRN1:
		return i / 2 * 2 + (i % 2) * nr;
	default:
		return i / 2 * 2 + 1 + (i % 2) * nr;
	}
}

static void test_permute(void **state)
{
	static const unsigned int opcs[] = {IR_V_ZIP1, IR_V_ZIP2, IR_V_UZP1,
					    IR_V_UZP2, IR_V_TRN1, IR_V_TRN2};
	uint64_t seed = 4;

	for (unsigned int n = 0; n < 48 * 100; n++) {
		unsigned int opc = opcs[n % 6], lane = n / 6 % 4,
			     shape = n / 24 % 2 ? IR_FULL : IR_HALF;
		unsigned int bits = 8u << lane, nr = test_count(lane, shape);
		union vreg in[3], want = {.d = {0, 0}};

		if (nr == 1) {
			assert_null(vec_function(opc, lane, shape));
			continue;
		}
		for (int i = 0; i < 3; i++)
			test_random_vreg(&seed, &in[i], IR_B);
		for (unsigned int i = 0; i < nr; i++) {
			unsigned int from = source_of(opc, i, nr);

			test_set_lane(&want, bits, i, test_lane(&in[from / nr], bits, from % nr));
		}
		assert_true(test_call(&test_cpu, opc, lane, shape, in, 0, &want, 0));
	}
}

static void test_ext(void **state)
{
	uint64_t seed = 5;

	for (unsigned int n = 0; n < 24 * 50; n++) {
		unsigned int imm = n % 24, shape = imm < 16 ? IR_FULL : IR_HALF,
			     nr = test_count(IR_B, shape);
		union vreg in[3], want = {.d = {0, 0}};

		imm %= 16;
		for (int i = 0; i < 3; i++)
			test_random_vreg(&seed, &in[i], IR_B);
		for (unsigned int i = 0; i < nr; i++)
			want.b[i] = in[(imm + i) / nr].b[(imm + i) % nr];
		assert_true(
			test_call(&test_cpu, IR_V_EXT, IR_B, shape, in, (int32_t)imm, &want, 0));
	}
}

static void test_table(void **state)
{
	uint64_t seed = 6;

	for (unsigned int n = 0; n < 3000; n++) {
		unsigned int shape = n & 1 ? IR_FULL : IR_HALF, base = (n >> 1 & 3) * 16;
		union vreg in[3], tbl = {.d = {0, 0}}, tbx = {.d = {0, 0}}, index;

		for (int i = 0; i < 3; i++)
			test_random_vreg(&seed, &in[i], IR_B);
		for (int i = 0; i < 16; i++)
			if (n & 8)
				in[1].b[i] = in[0].b[i] &= 63;
		index = in[0];
		for (unsigned int i = 0; i < test_count(IR_B, shape); i++)
			if (index.b[i] >= base && index.b[i] < base + 16)
				tbl.b[i] = in[1].b[index.b[i] - base];
		assert_true(
			test_call(&test_cpu, IR_V_TBL, IR_B, shape, in, (int32_t)base, &tbl, 0));
		for (unsigned int i = 0; i < test_count(IR_B, shape); i++) {
			bool there = in[1].b[i] >= base && in[1].b[i] < base + 16;

			tbx.b[i] = there ? in[2].b[in[1].b[i] - base] : in[0].b[i];
		}
		assert_true(
			test_call(&test_cpu, IR_V_TBX, IR_B, shape, in, (int32_t)base, &tbx, 0));
	}
}

/* DEINT3 takes memory apart as LD3 does, INT3 puts it together as ST3 does. */
static void test_interleave3(void **state)
{
	uint64_t seed = 7;

	for (unsigned int n = 0; n < 8 * 100; n++) {
		unsigned int lane = n % 4, shape = n / 4 % 2 ? IR_FULL : IR_HALF,
			     bytes = 1u << lane;
		unsigned int nr = test_count(lane, shape);
		uint8_t memory[48] = {0};
		union vreg in[3], want[3] = {0};

		for (int i = 0; i < 3; i++)
			test_random_vreg(&seed, &in[i], IR_B);
		for (unsigned int e = 0; e < nr; e++)
			for (unsigned int k = 0; k < 3; k++)
				memcpy(&want[k].b[e * bytes], &in[0].b[0] + (3 * e + k) * bytes,
				       bytes);
		for (int k = 0; k < 3; k++)
			assert_true(
				test_call(&test_cpu, IR_V_DEINT3, lane, shape, in, k, &want[k], 0));
		for (unsigned int e = 0; e < nr; e++)
			for (unsigned int k = 0; k < 3; k++)
				memcpy(&memory[(3 * e + k) * bytes], &in[k].b[e * bytes], bytes);
		for (int k = 0; k < 3; k++) {
			memcpy(&want[0], &memory[16 * k], 16);
			assert_true(
				test_call(&test_cpu, IR_V_INT3, lane, shape, in, k, &want[0], 0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),        cmocka_unit_test(test_rev),
		cmocka_unit_test(test_long_sums),   cmocka_unit_test(test_permute),
		cmocka_unit_test(test_ext),         cmocka_unit_test(test_table),
		cmocka_unit_test(test_interleave3),
	};

	return cmocka_run_group_tests_name("vec_int", tests, NULL, NULL);
}
