/* SPDX-License-Identifier: MIT */
/*
 * The cryptographic vector ops: whole ciphers and hashes made of them, against the examples of
 * the standards. Built twice, with the host's instructions and with the portable functions
 * (VEC_PORTABLE).
 */
#include "tests/engine/test_vec.h"

static struct cpu test_cpu;

static union vreg op(unsigned int opc, unsigned int lane, union vreg a, union vreg b, union vreg c)
{
	const union vreg in[3] = {a, b, c};
	union vreg r;

	vec_function(opc, lane, opc == IR_V_SHA1H ? IR_SCALAR : IR_FULL)(&test_cpu, &r, &a, &b, &c,
									 0);
	/* once more, through all the checks */
	assert_true(test_call(&test_cpu, opc, lane, opc == IR_V_SHA1H ? IR_SCALAR : IR_FULL, in, 0,
			      &r, 0));
	return r;
}

static const union vreg none;

static union vreg exclusive_or(union vreg a, union vreg b)
{
	return (union vreg){.d = {a.d[0] ^ b.d[0], a.d[1] ^ b.d[1]}};
}

/* FIPS 197, 5.2: SubWord is AESE of four equal columns. */
static void expand_key(union vreg key, union vreg round_key[11])
{
	uint32_t rcon = 1, *w = &round_key[0].s[0];

	round_key[0] = key;
	for (int i = 4; i < 44; i++) {
		uint32_t t = w[i - 1];

		if (i % 4 == 0) {
			union vreg column = {.s = {t, t, t, t}};

			t = op(IR_V_AESE, IR_B, column, none, none).s[0];
			t = (t >> 8 | t << 24) ^ rcon;
			rcon = (rcon << 1 ^ (rcon >> 7) * 0x1b) & 0xff;
		}
		w[i] = w[i - 4] ^ t;
	}
}

/* FIPS 197, appendix C.1 */
static void test_aes(void **state)
{
	static const uint8_t cipher[16] = {
		0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
		0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a,
	};
	union vreg plain, key, k[11], s;

	for (unsigned int i = 0; i < 16; i++) {
		plain.b[i] = (uint8_t)(i * 0x11);
		key.b[i] = (uint8_t)i;
	}
	expand_key(key, k);
	s = plain;
	for (int i = 0; i < 9; i++)
		s = op(IR_V_AESMC, IR_B, op(IR_V_AESE, IR_B, s, k[i], none), none, none);
	s = exclusive_or(op(IR_V_AESE, IR_B, s, k[9], none), k[10]);
	assert_memory_equal(s.b, cipher, 16);

	s = op(IR_V_AESD, IR_B, s, k[10], none);
	for (int i = 9; i > 0; i--) {
		s = op(IR_V_AESIMC, IR_B, s, none, none);
		s = op(IR_V_AESD, IR_B, s, op(IR_V_AESIMC, IR_B, k[i], none, none), none);
	}
	s = exclusive_or(s, k[0]);
	assert_memory_equal(s.b, plain.b, 16);
}

/*
 * MixColumns, of any state, undone by its inverse; and the column of FIPS 197's appendix B, round
 * 1.
 */
static void test_mix(void **state)
{
	const union vreg before = {.s = {0x305dbfd4}};
	uint64_t seed = 21;

	assert_int_equal(op(IR_V_AESMC, IR_B, before, none, none).s[0], 0xe5816604);
	for (int n = 0; n < 1000; n++) {
		union vreg s;

		test_random_vreg(&seed, &s, IR_B);
		assert_memory_equal(
			op(IR_V_AESIMC, IR_B, op(IR_V_AESMC, IR_B, s, none, none), none, none).b,
			s.b, 16);
	}
}

/* "abc", padded: the message words of both hashes. */
static void abc_block(union vreg w[4])
{
	memset(w, 0, 4 * sizeof(*w));
	w[0].s[0] = 0x61626380;
	w[3].s[3] = 24;
}

static union vreg add_constant(union vreg v, uint32_t k)
{
	for (int i = 0; i < 4; i++)
		v.s[i] += k;
	return v;
}

/* FIPS 180-4, 6.1.2 */
static void test_sha1(void **state)
{
	static const uint32_t constant[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
	static const unsigned int rounds[4] = {IR_V_SHA1C, IR_V_SHA1P, IR_V_SHA1M, IR_V_SHA1P};
	const union vreg start = {.s = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
	const union vreg start_e = {.s = {0xc3d2e1f0}};
	union vreg w[4], abcd = start, e = start_e;

	abc_block(w);
	for (int i = 0; i < 20; i++) {
		union vreg next_e = op(IR_V_SHA1H, IR_S, abcd, none, none), next;

		abcd = op(rounds[i / 5], IR_S, abcd, e, add_constant(w[0], constant[i / 5]));
		e = next_e;
		next = op(IR_V_SHA1SU1, IR_S, op(IR_V_SHA1SU0, IR_S, w[0], w[1], w[2]), w[3], none);
		w[0] = w[1];
		w[1] = w[2];
		w[2] = w[3];
		w[3] = next;
	}
	assert_int_equal(abcd.s[0] + start.s[0], 0xa9993e36);
	assert_int_equal(abcd.s[1] + start.s[1], 0x4706816a);
	assert_int_equal(abcd.s[2] + start.s[2], 0xba3e2571);
	assert_int_equal(abcd.s[3] + start.s[3], 0x7850c26c);
	assert_int_equal(e.s[0] + start_e.s[0], 0x9cd0d89d);
}

/*
 * FIPS 180-4, 4.2.2: the first 32 bits of the fractions of the cube roots of the first primes, in
 * integers.
 */
static void sha256_constants(uint32_t k[64])
{
	unsigned int nr = 0;

	for (unsigned int p = 2; nr < 64; p++) {
		unsigned int d = 2;
		uint64_t root = 0;

		while (d * d <= p && p % d)
			d++;
		if (d * d <= p)
			continue;
		/* The largest root with root^3 <= p * 2^96. */
		for (uint64_t bit = 1ull << 35; bit; bit >>= 1) {
			unsigned __int128 r = root | bit, square = r * r;

			if ((square >> 64) * r < ((unsigned __int128)p << 32) &&
			    (square >> 32) * r + ((square & 0xffffffff) * r >> 32) <
				    (unsigned __int128)p << 64)
				root |= bit;
		}
		k[nr++] = (uint32_t)root;
	}
}

/* FIPS 180-4, 6.2.2 */
static void test_sha256(void **state)
{
	const union vreg start[2] = {
		{.s = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a}},
		{.s = {0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}},
	};
	static const uint32_t want[8] = {
		0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223,
		0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad,
	};
	union vreg w[4], abcd = start[0], efgh = start[1];
	uint32_t k[64];

	sha256_constants(k);
	assert_int_equal(k[0], 0x428a2f98);
	assert_int_equal(k[63], 0xc67178f2);
	abc_block(w);
	for (int i = 0; i < 16; i++) {
		union vreg wk = w[0], before = abcd, next;

		for (int j = 0; j < 4; j++)
			wk.s[j] += k[4 * i + j];
		abcd = op(IR_V_SHA256H, IR_S, abcd, efgh, wk);
		efgh = op(IR_V_SHA256H2, IR_S, efgh, before, wk);
		next = op(IR_V_SHA256SU1, IR_S, op(IR_V_SHA256SU0, IR_S, w[0], w[1], none), w[2],
			  w[3]);
		w[0] = w[1];
		w[1] = w[2];
		w[2] = w[3];
		w[3] = next;
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(abcd.s[i] + start[0].s[i], want[i]);
		assert_int_equal(efgh.s[i] + start[1].s[i], want[4 + i]);
	}
}

static void test_pmull(void **state)
{
	uint64_t seed = 22;

	for (int n = 0; n < 3000; n++) {
		unsigned int shape = n & 1 ? IR_FULL : IR_HALF;
		union vreg in[3], want;
		unsigned __int128 r = 0;

		for (int i = 0; i < 3; i++)
			test_random_vreg(&seed, &in[i], IR_D);
		for (int i = 0; i < 64; i++)
			if (in[0].d[n & 1] >> i & 1)
				r ^= (unsigned __int128)in[1].d[n & 1] << i;
		memcpy(&want, &r, sizeof(want));
		assert_true(test_call(&test_cpu, IR_V_PMULL, IR_D, shape, in, 0, &want, 0));
	}
}

/* Each of these exists in one lane and shape only. */
static void test_only(void **state)
{
	for (unsigned int opc = IR_V_AESE; opc <= IR_V_SHA256SU1; opc++)
		for (unsigned int lane = IR_B; lane <= IR_Q; lane++)
			for (unsigned int shape = IR_SCALAR; shape <= IR_FULL; shape++) {
				bool there = lane == (opc <= IR_V_AESIMC ? IR_B : IR_S) &&
					     shape == (opc == IR_V_SHA1H ? IR_SCALAR : IR_FULL);

				assert_int_equal(vec_function(opc, lane, shape) != NULL, there);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aes),   cmocka_unit_test(test_mix),
		cmocka_unit_test(test_sha1),  cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_pmull), cmocka_unit_test(test_only),
	};

	return cmocka_run_group_tests_name("vec_crypto", tests, NULL, NULL);
}
