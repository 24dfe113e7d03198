/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD data processing (Arm ARM C4.1.95): the groups' rows, and what the groups' files
 * share. The instructions of a group are in the tables of its file.
 */
#include "engine/front/a64/simd.h"

/* More specific rows stand first: half precision lies in holes of the general groups. */
const struct a64_row a64_simd[] = {
	{0xbfe08400, 0x2e000000, simd_extract, "ext"},
	{0xbfe08c00, 0x0e000000, simd_table, "tbl tbx"},
	{0xbf208c00, 0x0e000800, simd_permute, "zip uzp trn"},
	{0x9fe08400, 0x0e000400, simd_copy, "dup ins smov umov"},
	{0x9f60c400, 0x0e400400, simd_three_same_half, "three same, half precision"},
	{0x9f208400, 0x0e008400, simd_three_same_extra, "three same, extra"},
	{0x9f7e0c00, 0x0e780800, simd_two_misc_half, "two-register, half precision"},
	{0x9f3e0c00, 0x0e200800, simd_two_misc, "two-register"},
	{0x9f3e0c00, 0x0e300800, simd_across, "across lanes"},
	{0x9f200c00, 0x0e200000, simd_three_different, "three different"},
	{0x9f200400, 0x0e200400, simd_three_same, "three same"},
	{0x9ff80400, 0x0f000400, simd_modified_imm, "modified immediate"},
	{0x9f800400, 0x0f000400, simd_shift_imm, "shift by immediate"},
	{0x9f000400, 0x0f000000, simd_by_element, "by element"},
	{0, 0, NULL, NULL},
};

const struct a64_row a64_simd_scalar[] = {
	{0xdfe08400, 0x5e000400, simd_copy, "scalar dup"},
	{0xdf60c400, 0x5e400400, simd_three_same_half, "scalar three same, half precision"},
	{0xdf208400, 0x5e008400, simd_three_same_extra, "scalar three same, extra"},
	{0xdf7e0c00, 0x5e780800, simd_two_misc_half, "scalar two-register, half precision"},
	{0xdf3e0c00, 0x5e200800, simd_two_misc, "scalar two-register"},
	{0xdf3e0c00, 0x5e300800, simd_scalar_pairwise, "scalar pairwise"},
	{0xdf200c00, 0x5e200000, simd_three_different, "scalar three different"},
	{0xdf200400, 0x5e200400, simd_three_same, "scalar three same"},
	{0xdf800400, 0x5f000400, simd_shift_imm, "scalar shift by immediate"},
	{0xdf000400, 0x5f000000, simd_by_element, "scalar by element"},
	{0, 0, NULL, NULL},
};

/* Sign, exponent's top bit, three more bits of exponent and four of fraction. */
uint64_t simd_fp_imm(unsigned int imm8, unsigned int lane)
{
	static const struct {
		unsigned int width, exponent;
	} format[] = {[IR_H] = {16, 5}, [IR_S] = {32, 8}, [IR_D] = {64, 11}};
	unsigned int width = format[lane].width, exponent = format[lane].exponent;
	uint64_t repeated = BIT(imm8, 6) ? (1ull << (exponent - 3)) - 1 : 0;
	uint64_t exp = (uint64_t)!BIT(imm8, 6) << (exponent - 1) | repeated << 2 | BITS(imm8, 5, 4);
	unsigned int fraction = width - 1 - exponent;

	return (uint64_t)BIT(imm8, 7) << (width - 1) | exp << fraction |
	       (uint64_t)BITS(imm8, 3, 0) << (fraction - 4);
}

void simd_put_form(struct a64 *t, uint32_t insn, unsigned int opc, enum simd_form form,
		   unsigned int lane, ir_val m, int32_t imm)
{
	unsigned int rd = SIMD_RD(insn), shape = simd_shape(insn);
	ir_val n = a64_v(t, SIMD_RN(insn)), v;

	switch (form) {
	case FORM_DNM:
		v = a64_vop(t, opc, lane, shape, a64_v(t, rd), n, m, imm);
		break;
	case FORM_ADD:
		v = simd_op2(t, opc, lane, shape, n, m);
		v = simd_op2(t, IR_V_ADD, lane, shape, a64_v(t, rd), v);
		break;
	case FORM_PAIR:
		v = simd_op2(t, IR_V_UZP1, lane, shape, n, m);
		v = simd_op2(t, opc, lane, shape, v, simd_op2(t, IR_V_UZP2, lane, shape, n, m));
		break;
	default:
		v = a64_vop(t, opc, lane, shape, n, m, IR_NONE, imm);
	}
	a64_set_v(t, rd, v);
}
