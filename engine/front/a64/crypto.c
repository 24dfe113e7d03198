/* SPDX-License-Identifier: MIT */
/*
 * AES, SHA-1 and SHA-256 (Arm ARM C4.1.95: cryptographic AES, three-register SHA, two-register
 * SHA). One op each.
 */
#include "engine/front/a64/simd.h"

#define AES_OPCODE(insn)  BITS(insn, 13, 12)
#define SHA3_OPCODE(insn) BITS(insn, 14, 12)
#define SHA2_OPCODE(insn) BITS(insn, 13, 12)

static bool crypto_aes(struct a64 *t, uint32_t insn)
{
	static const uint16_t ops[4] = {IR_V_AESE, IR_V_AESD, IR_V_AESMC, IR_V_AESIMC};
	unsigned int opc = ops[AES_OPCODE(insn)], rd = SIMD_RD(insn);
	ir_val n;

	if (!a64_fp_enabled(t))
		return true;
	n = a64_v(t, SIMD_RN(insn));
	if (opc == IR_V_AESMC || opc == IR_V_AESIMC)
		n = simd_op1(t, opc, IR_B, IR_FULL, n, 0);
	else
		n = simd_op2(t, opc, IR_B, IR_FULL, a64_v(t, rd), n);
	a64_set_v(t, rd, n);
	return true;
}

static bool crypto_sha3(struct a64 *t, uint32_t insn)
{
	static const uint16_t ops[8] = {
		IR_V_SHA1C,   IR_V_SHA1P,    IR_V_SHA1M,     IR_V_SHA1SU0,
		IR_V_SHA256H, IR_V_SHA256H2, IR_V_SHA256SU1,
	};
	unsigned int opc = ops[SHA3_OPCODE(insn)], rd = SIMD_RD(insn);

	if (!opc)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	a64_set_v(t, rd,
		  simd_op3(t, opc, IR_S, IR_FULL, a64_v(t, rd), a64_v(t, SIMD_RN(insn)),
			   a64_v(t, SIMD_RM(insn))));
	return true;
}

static bool crypto_sha2(struct a64 *t, uint32_t insn)
{
	static const uint16_t ops[4] = {IR_V_SHA1H, IR_V_SHA1SU1, IR_V_SHA256SU0};
	unsigned int opc = ops[SHA2_OPCODE(insn)], rd = SIMD_RD(insn);
	ir_val n;

	if (!opc)
		return false;
	if (!a64_fp_enabled(t))
		return true;
	n = a64_v(t, SIMD_RN(insn));
	if (opc == IR_V_SHA1H)
		n = simd_op1(t, opc, IR_S, IR_SCALAR, n, 0);
	else
		n = simd_op2(t, opc, IR_S, IR_FULL, a64_v(t, rd), n);
	a64_set_v(t, rd, n);
	return true;
}

const struct a64_row a64_crypto[] = {
	{0xffffcc00, 0x4e284800, crypto_aes, "aese aesd aesmc aesimc"},
	{0xffe08c00, 0x5e000000, crypto_sha3, "sha, three registers"},
	{0xffffcc00, 0x5e280800, crypto_sha2, "sha, two registers"},
	{0, 0, NULL, NULL},
};
