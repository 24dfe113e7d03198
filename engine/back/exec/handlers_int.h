/* SPDX-License-Identifier: MIT */
/* Handlers: integers and flags. Included in the executor's function. */

#define INT2(n, expr)                                                           \
	do_##n##32 : X(u->d) = op_##n##32(X(u->a), X(u->b));                    \
	NEXT;                                                                   \
	do_##n##64 : X(u->d) = op_##n##64(X(u->a), X(u->b));                    \
	NEXT;                                                                   \
	do_##n##I32 : X(u->d) = op_##n##32(X(u->a), (uint64_t)(int64_t)u->imm); \
	NEXT;                                                                   \
	do_##n##I64 : X(u->d) = op_##n##64(X(u->a), (uint64_t)(int64_t)u->imm); \
	NEXT;
INT2_OPS(INT2)
#undef INT2

#define INT1(n, expr)              \
	do_##n : X(u->d) = (expr); \
	NEXT;

INT1(LDI, (uint64_t)(int64_t)u->imm)
do_LDI64 : X(u->d) = u[1].k;
NEXT2;
do_PCREL : X(u->d) = cpu->pc + u[1].k;
NEXT2;
INT1(MOV32, (uint32_t)X(u->a))
INT1(MOV64, X(u->a))
do_MOV128 : V(u->d) = V(u->a);
NEXT;
do_PUT32 : W(u->d) = W(u->a);
NEXT;
INT1(SMULH64, op_SMULH64(X(u->a), X(u->b)))
INT1(UMULH64, op_UMULH64(X(u->a), X(u->b)))
INT1(ADC32, (uint32_t)(X(u->a) + X(u->b) + (FLAGS(u->c) >> 29 & 1)))
INT1(ADC64, X(u->a) + X(u->b) + (FLAGS(u->c) >> 29 & 1))
INT1(SBC32, (uint32_t)(X(u->a) - X(u->b) - (~FLAGS(u->c) >> 29 & 1)))
INT1(SBC64, X(u->a) - X(u->b) - (~FLAGS(u->c) >> 29 & 1))
INT1(EXTR32, op_EXTR32(X(u->a), X(u->b), (unsigned int)u->imm))
INT1(EXTR64, op_EXTR64(X(u->a), X(u->b), (unsigned int)u->imm))
#define INT1_WIDTHS(n)                   \
	INT1(n##32, op_##n##32(X(u->a))) \
	INT1(n##64, op_##n##64(X(u->a)))
INT1_WIDTHS(CLZ)
INT1_WIDTHS(CLS)
INT1_WIDTHS(RBIT)
INT1_WIDTHS(BSWAP)
INT1_WIDTHS(REV16)
#undef INT1_WIDTHS
INT1(REV3264, op_REV3264(X(u->a)))
INT1(SEXT832, (uint32_t)(int8_t)X(u->a))
INT1(SEXT864, (uint64_t)(int8_t)X(u->a))
INT1(SEXT1632, (uint32_t)(int16_t)X(u->a))
INT1(SEXT1664, (uint64_t)(int16_t)X(u->a))
INT1(SEXT3264, (uint64_t)(int32_t)X(u->a))
INT1(ZEXT8, (uint8_t)X(u->a))
INT1(ZEXT16, (uint16_t)X(u->a))
#define LSB   (u->imm & 0xff)
#define WIDTH ((unsigned int)u->imm >> 8)
INT1(UBFX32, op_low_bits((uint32_t)X(u->a) >> LSB, WIDTH))
INT1(UBFX64, op_low_bits(X(u->a) >> LSB, WIDTH))
INT1(SBFX32, (uint32_t)op_sext((uint32_t)X(u->a) >> LSB, WIDTH))
INT1(SBFX64, op_sext(X(u->a) >> LSB, WIDTH))
INT1(UBFIZ32, (uint32_t)(op_low_bits(X(u->a), WIDTH) << LSB))
INT1(UBFIZ64, op_low_bits(X(u->a), WIDTH) << LSB)
INT1(SBFIZ32, (uint32_t)(op_sext(X(u->a), WIDTH) << LSB))
INT1(SBFIZ64, op_sext(X(u->a), WIDTH) << LSB)
INT1(BFI32, (uint32_t)op_bfi(X(u->a), X(u->b), LSB, WIDTH))
INT1(BFI64, op_bfi(X(u->a), X(u->b), LSB, WIDTH))
#undef LSB
#undef WIDTH
INT1(CRC32, op_crc32((uint32_t)X(u->a), X(u->b), u->imm & 0xff, u->imm >> 8))
INT1(ADDSHL32, (uint32_t)(X(u->a) + (X(u->b) << u->imm)))
INT1(ADDSHL64, X(u->a) + (X(u->b) << u->imm))
INT1(MADD32, (uint32_t)(X(u->c) + X(u->a) * X(u->b)))
INT1(MADD64, X(u->c) + X(u->a) * X(u->b))
#undef INT1

/* Results that are flags. */
#define FLAG1(n, expr)                 \
	do_##n : FLAGS(u->d) = (expr); \
	NEXT;
FLAG1(CMN32, op_flags_add32(X(u->a), X(u->b), 0))
FLAG1(CMN64, op_flags_add64(X(u->a), X(u->b), 0))
FLAG1(CMNI32, op_flags_add32(X(u->a), (uint64_t)(int64_t)u->imm, 0))
FLAG1(CMNI64, op_flags_add64(X(u->a), (uint64_t)(int64_t)u->imm, 0))
FLAG1(CMP32, op_flags_sub32(X(u->a), X(u->b)))
FLAG1(CMP64, op_flags_sub64(X(u->a), X(u->b)))
FLAG1(CMPI32, op_flags_sub32(X(u->a), (uint64_t)(int64_t)u->imm))
FLAG1(CMPI64, op_flags_sub64(X(u->a), (uint64_t)(int64_t)u->imm))
FLAG1(TST32, op_flags_logic32(X(u->a)))
FLAG1(TST64, op_flags_logic64(X(u->a)))
FLAG1(ADCF32, op_flags_add32(X(u->a), X(u->b), FLAGS(u->c) >> 29 & 1))
FLAG1(ADCF64, op_flags_add64(X(u->a), X(u->b), FLAGS(u->c) >> 29 & 1))
FLAG1(SBCF32, op_flags_add32(X(u->a), ~X(u->b), FLAGS(u->c) >> 29 & 1))
FLAG1(SBCF64, op_flags_add64(X(u->a), ~X(u->b), FLAGS(u->c) >> 29 & 1))
FLAG1(NZCV, (uint32_t)X(u->a) & 0xf0000000u)
FLAG1(FSEL, op_cond(FLAGS(u->a), u->b) ? FLAGS(u->c) : (uint32_t)u->imm)
#undef FLAG1

do_PACK : X(u->d) = FLAGS(u->a);
NEXT;
do_SEL32 : X(u->d) = (uint32_t)(op_cond(FLAGS(u->a), (uint16_t)u->imm) ? X(u->b) : X(u->c));
NEXT;
do_SEL64 : X(u->d) = op_cond(FLAGS(u->a), (uint16_t)u->imm) ? X(u->b) : X(u->c);
NEXT;
do_VSEL : V(u->d) = op_cond(FLAGS(u->a), (uint16_t)u->imm) ? V(u->b) : V(u->c);
NEXT;
