/* SPDX-License-Identifier: MIT */
/*
 * The vector ops of the cryptographic extensions: AES (FIPS 197), SHA-1 and SHA-256 (FIPS 180-4), as the Arm ARM cuts them into
 * instructions.
 */
#include "engine/vec/vec_impl.h"

#ifdef VEC_HOST_X86
#include <immintrin.h>
#endif

/* FIPS 197, 5.1.1 and 5.3.2 */
static const uint8_t aes_sub[256] = {
	0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76,
	0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0,
	0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15,
	0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2, 0x75,
	0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84,
	0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf,
	0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8,
	0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2,
	0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73,
	0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb,
	0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79,
	0xe7, 0xc8, 0x37, 0x6d, 0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08,
	0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a,
	0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e,
	0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
	0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb, 0x16,
};

static const uint8_t aes_inv_sub[256] = {
	0x52, 0x09, 0x6a, 0xd5, 0x30, 0x36, 0xa5, 0x38, 0xbf, 0x40, 0xa3, 0x9e, 0x81, 0xf3, 0xd7, 0xfb,
	0x7c, 0xe3, 0x39, 0x82, 0x9b, 0x2f, 0xff, 0x87, 0x34, 0x8e, 0x43, 0x44, 0xc4, 0xde, 0xe9, 0xcb,
	0x54, 0x7b, 0x94, 0x32, 0xa6, 0xc2, 0x23, 0x3d, 0xee, 0x4c, 0x95, 0x0b, 0x42, 0xfa, 0xc3, 0x4e,
	0x08, 0x2e, 0xa1, 0x66, 0x28, 0xd9, 0x24, 0xb2, 0x76, 0x5b, 0xa2, 0x49, 0x6d, 0x8b, 0xd1, 0x25,
	0x72, 0xf8, 0xf6, 0x64, 0x86, 0x68, 0x98, 0x16, 0xd4, 0xa4, 0x5c, 0xcc, 0x5d, 0x65, 0xb6, 0x92,
	0x6c, 0x70, 0x48, 0x50, 0xfd, 0xed, 0xb9, 0xda, 0x5e, 0x15, 0x46, 0x57, 0xa7, 0x8d, 0x9d, 0x84,
	0x90, 0xd8, 0xab, 0x00, 0x8c, 0xbc, 0xd3, 0x0a, 0xf7, 0xe4, 0x58, 0x05, 0xb8, 0xb3, 0x45, 0x06,
	0xd0, 0x2c, 0x1e, 0x8f, 0xca, 0x3f, 0x0f, 0x02, 0xc1, 0xaf, 0xbd, 0x03, 0x01, 0x13, 0x8a, 0x6b,
	0x3a, 0x91, 0x11, 0x41, 0x4f, 0x67, 0xdc, 0xea, 0x97, 0xf2, 0xcf, 0xce, 0xf0, 0xb4, 0xe6, 0x73,
	0x96, 0xac, 0x74, 0x22, 0xe7, 0xad, 0x35, 0x85, 0xe2, 0xf9, 0x37, 0xe8, 0x1c, 0x75, 0xdf, 0x6e,
	0x47, 0xf1, 0x1a, 0x71, 0x1d, 0x29, 0xc5, 0x89, 0x6f, 0xb7, 0x62, 0x0e, 0xaa, 0x18, 0xbe, 0x1b,
	0xfc, 0x56, 0x3e, 0x4b, 0xc6, 0xd2, 0x79, 0x20, 0x9a, 0xdb, 0xc0, 0xfe, 0x78, 0xcd, 0x5a, 0xf4,
	0x1f, 0xdd, 0xa8, 0x33, 0x88, 0x07, 0xc7, 0x31, 0xb1, 0x12, 0x10, 0x59, 0x27, 0x80, 0xec, 0x5f,
	0x60, 0x51, 0x7f, 0xa9, 0x19, 0xb5, 0x4a, 0x0d, 0x2d, 0xe5, 0x7a, 0x9f, 0x93, 0xc9, 0x9c, 0xef,
	0xa0, 0xe0, 0x3b, 0x4d, 0xae, 0x2a, 0xf5, 0xb0, 0xc8, 0xeb, 0xbb, 0x3c, 0x83, 0x53, 0x99, 0x61,
	0x17, 0x2b, 0x04, 0x7e, 0xba, 0x77, 0xd6, 0x26, 0xe1, 0x69, 0x14, 0x63, 0x55, 0x21, 0x0c, 0x7d,
};

/* A state is four columns of four bytes; row r is turned left by r columns (right in the inverse). */
static void aes_round(union vreg *d, const union vreg *a, const union vreg *b, const uint8_t sub[256], int turn)
{
	union vreg r;

	for (int i = 0; i < 16; i++) {
		int from = (i + 4 * turn * (i & 3)) & 15;

		r.b[i] = sub[a->b[from] ^ b->b[from]];
	}
	*d = r;
}

/* Doubling in GF(2^8), of each of four bytes. */
VEC_INLINE uint32_t aes_double(uint32_t x)
{
	return (x & 0x7f7f7f7f) << 1 ^ (x >> 7 & 0x01010101) * 0x1b;
}

VEC_INLINE uint32_t rotate_right(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

VEC_INLINE uint32_t rotate_left(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

/* Each byte: 2 of its own, 3 of the next, 1 of the two after. */
VEC_INLINE uint32_t aes_mix(uint32_t x)
{
	uint32_t next = rotate_right(x, 8);

	return aes_double(x ^ next) ^ next ^ rotate_right(x, 16) ^ rotate_right(x, 24);
}

/* The inverse matrix (14 11 13 9) is the matrix times (5 0 4 0). */
VEC_INLINE uint32_t aes_inv_mix(uint32_t x)
{
	uint32_t four = aes_double(aes_double(x ^ rotate_right(x, 16)));

	return aes_mix(x ^ four);
}

#ifdef VEC_HOST_X86
/* The host's rounds end with an addition of the key, ours begin with it. */
#define AES_HOST static __attribute__((target("aes"))) void
#define LOAD(v)	 _mm_load_si128((const __m128i *)(v))

AES_HOST host_aese(union vreg *d, const union vreg *a, const union vreg *b)
{
	__m128i r = _mm_aesenclast_si128(_mm_xor_si128(LOAD(a), LOAD(b)), _mm_setzero_si128());

	_mm_store_si128((__m128i *)d, r);
}

AES_HOST host_aesd(union vreg *d, const union vreg *a, const union vreg *b)
{
	__m128i r = _mm_aesdeclast_si128(_mm_xor_si128(LOAD(a), LOAD(b)), _mm_setzero_si128());

	_mm_store_si128((__m128i *)d, r);
}

AES_HOST host_aesimc(union vreg *d, const union vreg *a)
{
	_mm_store_si128((__m128i *)d, _mm_aesimc_si128(LOAD(a)));
}
#endif

VEC_HEAD(AESE, B, FULL)
{
	if (VEC_HOST_HAS("aes"))
		VEC_ON_HOST(host_aese(d, a, b));
	else
		aes_round(d, a, b, aes_sub, 1);
}

VEC_HEAD(AESD, B, FULL)
{
	if (VEC_HOST_HAS("aes"))
		VEC_ON_HOST(host_aesd(d, a, b));
	else
		aes_round(d, a, b, aes_inv_sub, -1);
}

VEC_HEAD(AESMC, B, FULL)
{
	union vreg r;

	for (int i = 0; i < 4; i++)
		r.s[i] = aes_mix(a->s[i]);
	*d = r;
}

VEC_HEAD(AESIMC, B, FULL)
{
	union vreg r;

	if (VEC_HOST_HAS("aes")) {
		VEC_ON_HOST(host_aesimc(d, a));
		return;
	}
	for (int i = 0; i < 4; i++)
		r.s[i] = aes_inv_mix(a->s[i]);
	*d = r;
}

VEC_TABLE(AESE, B, VEC_ROW_F)
VEC_TABLE(AESD, B, VEC_ROW_F)
VEC_TABLE(AESMC, B, VEC_ROW_F)
VEC_TABLE(AESIMC, B, VEC_ROW_F)

/* FIPS 180-4, 4.1 */
VEC_INLINE uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
	return ((y ^ z) & x) ^ z;
}

VEC_INLINE uint32_t parity(uint32_t x, uint32_t y, uint32_t z)
{
	return x ^ y ^ z;
}

VEC_INLINE uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
	return (x & y) | ((x | y) & z);
}

/* Four rounds of SHA-1: a is (a b c d), lane 0 of b is e, c the schedule with its constant. */
#define SHA1_ROUNDS(op, function)                                                                  \
	VEC_HEAD(op, S, FULL)                                                                      \
	{                                                                                          \
		union vreg x = *a, w = *c;                                                         \
		uint32_t e = b->s[0];                                                              \
                                                                                                   \
		for (int i = 0; i < 4; i++) {                                                      \
			uint32_t t = e + rotate_left(x.s[0], 5) +                                  \
				     function(x.s[1], x.s[2], x.s[3]) + w.s[i];                    \
                                                                                                   \
			e = x.s[3];                                                                \
			x.s[3] = x.s[2];                                                           \
			x.s[2] = rotate_left(x.s[1], 30);                                          \
			x.s[1] = x.s[0];                                                           \
			x.s[0] = t;                                                                \
		}                                                                                  \
		*d = x;                                                                            \
	}                                                                                          \
	VEC_TABLE(op, S, VEC_ROW_F)

SHA1_ROUNDS(SHA1C, choose)
SHA1_ROUNDS(SHA1P, parity)
SHA1_ROUNDS(SHA1M, majority)

VEC_HEAD(SHA1H, S, SCALAR)
{
	*d = (union vreg){.s = {rotate_left(a->s[0], 30)}};
}

VEC_HEAD(SHA1SU0, S, FULL)
{
	union vreg r = {.d = {a->d[1], b->d[0]}};

	r.d[0] ^= a->d[0] ^ c->d[0];
	r.d[1] ^= a->d[1] ^ c->d[1];
	*d = r;
}

VEC_HEAD(SHA1SU1, S, FULL)
{
	union vreg r;

	for (int i = 0; i < 3; i++)
		r.s[i] = rotate_left(a->s[i] ^ b->s[i + 1], 1);
	/* The last word needs the first one of this very schedule. */
	r.s[3] = rotate_left(a->s[3] ^ r.s[0], 1);
	*d = r;
}

VEC_TABLE(SHA1H, S, VEC_ROW_S)
VEC_TABLE(SHA1SU0, S, VEC_ROW_F)
VEC_TABLE(SHA1SU1, S, VEC_ROW_F)

/* Four rounds of SHA-256 on x = (a b c d) and y = (e f g h). */
static void sha256_rounds(union vreg *x, union vreg *y, const union vreg *w)
{
	for (int i = 0; i < 4; i++) {
		uint32_t e = y->s[0], a = x->s[0];
		uint32_t t = y->s[3] + choose(e, y->s[1], y->s[2]) + w->s[i] +
			     (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25));
		uint32_t u = t + majority(a, x->s[1], x->s[2]) +
			     (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22));
		uint32_t new_e = x->s[3] + t;

		*x = (union vreg){.s = {u, a, x->s[1], x->s[2]}};
		*y = (union vreg){.s = {new_e, e, y->s[1], y->s[2]}};
	}
}

VEC_HEAD(SHA256H, S, FULL)
{
	union vreg x = *a, y = *b, w = *c;

	sha256_rounds(&x, &y, &w);
	*d = x;
}

VEC_HEAD(SHA256H2, S, FULL)
{
	union vreg x = *b, y = *a, w = *c;

	sha256_rounds(&x, &y, &w);
	*d = y;
}

VEC_HEAD(SHA256SU0, S, FULL)
{
	uint32_t next[5] = {a->s[0], a->s[1], a->s[2], a->s[3], b->s[0]};
	union vreg r;

	for (int i = 0; i < 4; i++) {
		uint32_t x = next[i + 1];

		r.s[i] = next[i] + (rotate_right(x, 7) ^ rotate_right(x, 18) ^ x >> 3);
	}
	*d = r;
}

VEC_HEAD(SHA256SU1, S, FULL)
{
	uint32_t t[4] = {b->s[1], b->s[2], b->s[3], c->s[0]};
	uint32_t last[6] = {c->s[2], c->s[3]};
	union vreg r = *a;

	for (int i = 0; i < 4; i++) {
		uint32_t x = last[i];

		r.s[i] += t[i] + (rotate_right(x, 17) ^ rotate_right(x, 19) ^ x >> 10);
		last[i + 2] = r.s[i];
	}
	*d = r;
}

VEC_TABLE(SHA256H, S, VEC_ROW_F)
VEC_TABLE(SHA256H2, S, VEC_ROW_F)
VEC_TABLE(SHA256SU0, S, VEC_ROW_F)
VEC_TABLE(SHA256SU1, S, VEC_ROW_F)
