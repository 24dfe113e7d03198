/* SPDX-License-Identifier: MIT */
/*
 * The meaning of the IR's integer and flag operations, once: the executor's handlers and the
 * constant folder call these.
 *
 * I32 operands are passed zero-extended or not at all trusted above bit 31; I32 results are
 * zero-extended. Packed flags are N Z C V in bits 31:28.
 */
#ifndef ENGINE_INT_OPS_H
#define ENGINE_INT_OPS_H

#include <stdbool.h>
#include <stdint.h>

#define FLAG_N (1u << 31)
#define FLAG_Z (1u << 30)
#define FLAG_C (1u << 29)
#define FLAG_V (1u << 28)

/* X(name, expression over a and b of type U, signed type S, width W) */
#define INT2_OPS(X)                                                                   \
	X(ADD, a + b)                                                                 \
	X(SUB, a - b)                                                                 \
	X(MUL, a *b)                                                                  \
	X(AND, a &b)                                                                  \
	X(OR, a | b)                                                                  \
	X(XOR, a ^ b)                                                                 \
	X(BIC, a & ~b)                                                                \
	X(ORN, a | ~b)                                                                \
	X(EON, a ^ ~b)                                                                \
	X(SHL, a << (b & (W - 1)))                                                    \
	X(SHR, a >> (b & (W - 1)))                                                    \
	X(SAR, (U)((S)a >> (b & (W - 1))))                                            \
	X(ROR, (b & (W - 1)) ? (a >> (b & (W - 1))) | (a << (W - (b & (W - 1)))) : a) \
	X(UDIV, b ? a / b : 0)                                                        \
	X(SDIV, !b ? 0 : b == (U)-1 ? (U)0 - a : (U)((S)a / (S)b))

#define DEFINE_INT2(name, expr)                                        \
	static inline uint64_t op_##name##32(uint64_t va, uint64_t vb) \
	{                                                              \
		typedef uint32_t U;                                    \
		typedef int32_t S __attribute__((unused));             \
		enum { W __attribute__((unused)) = 32 };               \
		U a = (U)va, b = (U)vb;                                \
		return (U)(expr);                                      \
	}                                                              \
	static inline uint64_t op_##name##64(uint64_t va, uint64_t vb) \
	{                                                              \
		typedef uint64_t U;                                    \
		typedef int64_t S __attribute__((unused));             \
		enum { W __attribute__((unused)) = 64 };               \
		U a = va, b = vb;                                      \
		return (U)(expr);                                      \
	}
INT2_OPS(DEFINE_INT2)
#undef DEFINE_INT2

static inline uint64_t op_SMULH64(uint64_t a, uint64_t b)
{
	return (uint64_t)(((__int128)(int64_t)a * (int64_t)b) >> 64);
}

static inline uint64_t op_UMULH64(uint64_t a, uint64_t b)
{
	return (uint64_t)(((unsigned __int128)a * b) >> 64);
}

static inline uint64_t op_CLZ32(uint64_t a)
{
	return (uint32_t)a ? (uint64_t)__builtin_clz((uint32_t)a) : 32;
}

static inline uint64_t op_CLZ64(uint64_t a)
{
	return a ? (uint64_t)__builtin_clzll(a) : 64;
}

static inline uint64_t op_CLS32(uint64_t a)
{
	return (uint64_t)__builtin_clrsb((int32_t)a);
}

static inline uint64_t op_CLS64(uint64_t a)
{
	return (uint64_t)__builtin_clrsbll((int64_t)a);
}

static inline uint64_t op_BSWAP32(uint64_t a)
{
	return __builtin_bswap32((uint32_t)a);
}

static inline uint64_t op_BSWAP64(uint64_t a)
{
	return __builtin_bswap64(a);
}

static inline uint64_t op_REV1664(uint64_t a)
{
	return ((a & 0x00ff00ff00ff00ffull) << 8) | ((a >> 8) & 0x00ff00ff00ff00ffull);
}

static inline uint64_t op_REV1632(uint64_t a)
{
	return (uint32_t)op_REV1664(a);
}

static inline uint64_t op_REV3264(uint64_t a)
{
	a = __builtin_bswap64(a);
	return (a << 32) | (a >> 32);
}

static inline uint64_t op_RBIT64(uint64_t a)
{
	a = ((a & 0x5555555555555555ull) << 1) | ((a >> 1) & 0x5555555555555555ull);
	a = ((a & 0x3333333333333333ull) << 2) | ((a >> 2) & 0x3333333333333333ull);
	a = ((a & 0x0f0f0f0f0f0f0f0full) << 4) | ((a >> 4) & 0x0f0f0f0f0f0f0f0full);
	return __builtin_bswap64(a);
}

static inline uint64_t op_RBIT32(uint64_t a)
{
	return op_RBIT64(a) >> 32;
}

/* Bit fields: the low @width bits, 1..64. */
static inline uint64_t op_low_bits(uint64_t a, unsigned int width)
{
	return a & (~0ull >> (64 - width));
}

static inline uint64_t op_sext(uint64_t a, unsigned int width)
{
	return (uint64_t)((int64_t)(a << (64 - width)) >> (64 - width));
}

static inline uint64_t op_bfi(uint64_t a, uint64_t b, unsigned int lsb, unsigned int width)
{
	uint64_t mask = (~0ull >> (64 - width)) << lsb;

	return (a & ~mask) | ((b << lsb) & mask);
}

static inline uint64_t op_EXTR32(uint64_t a, uint64_t b, unsigned int n)
{
	return (uint32_t)((((a << 32) | (uint32_t)b)) >> n);
}

static inline uint64_t op_EXTR64(uint64_t a, uint64_t b, unsigned int n)
{
	return n ? (b >> n) | (a << (64 - n)) : b;
}

/* Flags. */
static inline uint32_t op_flags_add32(uint64_t va, uint64_t vb, unsigned int carry)
{
	uint32_t a = (uint32_t)va, b = (uint32_t)vb, r = a + b + carry;

	return (r & FLAG_N) | (r ? 0 : FLAG_Z) |
	       ((uint32_t)(((uint64_t)a + b + carry) >> 32) << 29) |
	       (((a ^ r) & (b ^ r)) >> 31 << 28);
}

static inline uint32_t op_flags_add64(uint64_t a, uint64_t b, unsigned int carry)
{
	uint64_t r = a + b + carry;
	uint32_t c = ((a & b) | ((a | b) & ~r)) >> 63;

	return ((uint32_t)(r >> 32) & FLAG_N) | (r ? 0 : FLAG_Z) | (c << 29) |
	       ((uint32_t)(((a ^ r) & (b ^ r)) >> 63) << 28);
}

static inline uint32_t op_flags_sub32(uint64_t va, uint64_t vb)
{
	uint32_t a = (uint32_t)va, b = (uint32_t)vb, r = a - b;

	return (r & FLAG_N) | (r ? 0 : FLAG_Z) | (a >= b ? FLAG_C : 0) |
	       (((a ^ b) & (a ^ r)) >> 31 << 28);
}

static inline uint32_t op_flags_sub64(uint64_t a, uint64_t b)
{
	uint64_t r = a - b;

	return ((uint32_t)(r >> 32) & FLAG_N) | (r ? 0 : FLAG_Z) | (a >= b ? FLAG_C : 0) |
	       ((uint32_t)(((a ^ b) & (a ^ r)) >> 63) << 28);
}

static inline uint32_t op_flags_logic32(uint64_t a)
{
	return ((uint32_t)a & FLAG_N) | ((uint32_t)a ? 0 : FLAG_Z);
}

static inline uint32_t op_flags_logic64(uint64_t a)
{
	return ((uint32_t)(a >> 32) & FLAG_N) | (a ? 0 : FLAG_Z);
}

/*
 * For each condition, the set of NZCV values for which it holds: bit n of the mask is for N Z C V =
 * n.
 */
#define COND_MASK(c)                     \
	((uint16_t)((c) == 0    ? 0xf0f0 \
		    : (c) == 1  ? 0x0f0f \
		    : (c) == 2  ? 0xcccc \
		    : (c) == 3  ? 0x3333 \
		    : (c) == 4  ? 0xff00 \
		    : (c) == 5  ? 0x00ff \
		    : (c) == 6  ? 0xaaaa \
		    : (c) == 7  ? 0x5555 \
		    : (c) == 8  ? 0x0c0c \
		    : (c) == 9  ? 0xf3f3 \
		    : (c) == 10 ? 0xaa55 \
		    : (c) == 11 ? 0x55aa \
		    : (c) == 12 ? 0x0a05 \
		    : (c) == 13 ? 0xf5fa \
				: 0xffff))

static inline bool op_cond(uint32_t flags, uint16_t mask)
{
	return (mask >> (flags >> 28)) & 1;
}

static inline uint32_t op_crc32(uint32_t crc, uint64_t data, unsigned int bytes, bool castagnoli)
{
	uint32_t poly = castagnoli ? 0x82f63b78u : 0xedb88320u;

	for (unsigned int i = 0; i < bytes; i++, data >>= 8) {
		crc ^= (uint8_t)data;
		for (int k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (poly & (0u - (crc & 1)));
	}
	return crc;
}

#endif
