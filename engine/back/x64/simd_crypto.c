/* SPDX-License-Identifier: MIT */
/* Cryptography by the host's AES and SHA instructions. See simd.h. */
#include "engine/back/x64/simd.h"

/* --- AES: the host's rounds end with an addition of the key, the guest's begin with it --- */

/* How far behind an op its only use is looked for. */
#define NEAR 16

/* Is @v needed by the next op @opc only, so that both are done as one? */
static bool joined(const struct x64_compiler *g, ir_val v, unsigned int opc)
{
	const struct ir_work *w = g->w;

	if (w->plain || w->uses[v] != 1)
		return false;
	for (unsigned int i = v + 1u; i < w->b.nr_ops && i <= (unsigned int)v + NEAR; i++)
		if (!w->dead[i] && w->b.op[i].opc == opc && w->b.op[i].a == v)
			return true;
	return false;
}

void x64_simd_aes_round(const struct simd *x)
{
	bool encrypt = x->o->opc == IR_V_AESE;
	bool all = joined(x->g, (ir_val)x->g->i, encrypt ? IR_V_AESMC : IR_V_AESIMC);
	enum x64_op op = encrypt ? all ? X64_VAESENC : X64_VAESENCLAST
			 : all   ? X64_VAESDEC
				 : X64_VAESDECLAST;

	zero(x, T1);
	op3(x, X64_VPXOR, T0, x->a, x->b);
	op3(x, op, x->d, T0, T1);
}

/* Mixing alone: a whole round of what the last round's inverse makes of it. */
void x64_simd_aes_mix(const struct simd *x)
{
	bool encrypt = x->o->opc == IR_V_AESMC;
	unsigned int before = encrypt ? IR_V_AESE : IR_V_AESD;

	if (x->g->w->b.op[x->o->a].opc == before && joined(x->g, x->o->a, x->o->opc)) {
		if (x->d != x->a)
			op2(x, X64_VMOVDQA, x->d, x->a);
	} else if (encrypt) {
		zero(x, T1);
		op3(x, X64_VAESDECLAST, T0, x->a, T1);
		op3(x, X64_VAESENC, x->d, T0, T1);
	} else {
		op2(x, X64_VAESIMC, x->d, x->a);
	}
}

/* --- SHA-1 --- */

/* d = a turned left by n; d is not a. By way of T2. */
static void rotate_left(const struct simd *x, unsigned int d, unsigned int a, unsigned int n)
{
	shift(x, X64_VPSRLD_I, T2, a, 32 - n);
	shift(x, X64_VPSLLD_I, d, a, n);
	op3(x, X64_VPOR, d, d, T2);
}

/*
 * arg: which of the host's functions. The host has the words in the other order, e added to the
 * schedule already, and adds a constant that the guest's schedule has.
 */
void x64_simd_sha1_rounds(const struct simd *x)
{
	op3i(x, X64_VINSERTPS, T1, x->b, x->b, 0xe);
	op3(x, X64_VPADDD, T1, T1, x->c);
	load_constant(x, T2, X64_SIMD_SHA1_K + (unsigned int)x->r->arg);
	op3(x, X64_VPSUBD, T1, T1, T2);
	shuffle(x, T1, T1, 0x1b);
	shuffle(x, T0, x->a, 0x1b);
	x64_rri(&x->g->b, X64_SHA1RNDS4, 0, T0, T1, x->r->arg);
	shuffle(x, x->d, T0, 0x1b);
}

void x64_simd_sha1h(const struct simd *x)
{
	rotate_left(x, T0, x->a, 30);
	op2(x, X64_VMOVDQA, x->d, T0);
}

void x64_simd_sha1su0(const struct simd *x)
{
	op3i(x, X64_VSHUFPD, T0, x->a, x->b, 1);
	op3(x, X64_VPXOR, T0, T0, x->a);
	op3(x, X64_VPXOR, x->d, T0, x->c);
}

/* The last word needs the first one of this very schedule. */
void x64_simd_sha1su1(const struct simd *x)
{
	shift(x, X64_VPSRLDQ, T0, x->b, 4);
	op3(x, X64_VPXOR, T0, T0, x->a);
	rotate_left(x, T1, T0, 1);
	shift(x, X64_VPSLLDQ, T0, T1, 12);
	shift(x, X64_VPSRLD_I, T2, T0, 31);
	op3(x, X64_VPADDD, T0, T0, T0);
	op3(x, X64_VPOR, T0, T0, T2);
	op3(x, X64_VPXOR, x->d, T0, T1);
}

/* --- SHA-256: the host has a b e f and c d g h, and does two rounds --- */

/* arg: the result is the second half of the hash, which is a then. */
void x64_simd_sha256_rounds(const struct simd *x)
{
	unsigned int abcd = x->r->arg ? x->b : x->a, efgh = x->r->arg ? x->a : x->b;
	unsigned int order = x->r->arg ? 0x11 : 0xbb;

	op3i(x, X64_VSHUFPS, T0, efgh, abcd, 0x11);
	op3i(x, X64_VSHUFPS, T1, efgh, abcd, 0xbb);
	op2(x, X64_VMOVDQA, T2, 0);
	op2(x, X64_VMOVDQA, 0, x->c);
	x64_rr(&x->g->b, X64_SHA256RNDS2, 0, T1, T0);
	shuffle(x, 0, 0, 0x0e);
	x64_rr(&x->g->b, X64_SHA256RNDS2, 0, T0, T1);
	op2(x, X64_VMOVDQA, 0, T2);
	op3i(x, X64_VSHUFPS, x->d, T0, T1, order);
}

void x64_simd_sha256su0(const struct simd *x)
{
	op2(x, X64_VMOVDQA, T0, x->a);
	op2(x, X64_SHA256MSG1, T0, x->b);
	op2(x, X64_VMOVDQA, x->d, T0);
}

void x64_simd_sha256su1(const struct simd *x)
{
	op3i(x, X64_VPALIGNR, T0, x->c, x->b, 4);
	op3(x, X64_VPADDD, T0, T0, x->a);
	op2(x, X64_SHA256MSG2, T0, x->c);
	op2(x, X64_VMOVDQA, x->d, T0);
}
