/* SPDX-License-Identifier: MIT */
/*
 * The emitters beside the table: constants, conditions, jumps and where they lead, NOPs, and what
 * they do when the buffer is full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <pthread.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "engine/back/x64/enc.h"
#include "tests/x64/zydis.h"

#ifdef HAVE_ZYDIS

/* In the order of their numbers, as Zydis names them. */
static const char *const conditions[] = {
	"o", "no", "b", "nb", "z", "nz", "be", "nbe", "s", "ns", "p", "np", "l", "nl", "le", "nle",
};

static uint8_t code[4096] __attribute__((aligned(64)));

static struct x64_buf buffer(uint8_t *at)
{
	return (struct x64_buf){at, code + sizeof(code), false};
}

/* The instruction at @p, which must be whole before @end. */
static struct decoded read_one(const uint8_t *p, const uint8_t *end)
{
	struct decoded d;

	assert_true(decode(p, (size_t)(end - p), &d));
	return d;
}

/* The one instruction from @p to @end, of which the mnemonic is that, and a condition if there. */
static struct decoded read_only(const uint8_t *p, const uint8_t *end, const char *name,
				const char *condition)
{
	struct decoded d = read_one(p, end);
	char want[16];

	snprintf(want, sizeof(want), "%s%s", name, condition ? condition : "");
	assert_string_equal(mnemonic(&d), want);
	assert_int_equal(d.i.length, end - p);
	return d;
}

/* Where the jump at @p leads. */
static const uint8_t *target(const uint8_t *p, const struct decoded *d)
{
	ZyanU64 to;

	assert_int_equal(d->op[0].type, ZYDIS_OPERAND_TYPE_IMMEDIATE);
	assert_true(d->op[0].imm.is_relative);
	assert_true(ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&d->i, &d->op[0], (uintptr_t)p, &to)));
	return (const uint8_t *)(uintptr_t)to;
}

static unsigned int gpr(const ZydisDecodedOperand *o, unsigned int bits)
{
	assert_int_equal(o->type, ZYDIS_OPERAND_TYPE_REGISTER);
	assert_int_equal(ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, o->reg.value), bits);
	return (unsigned int)ZydisRegisterGetId(o->reg.value);
}

static void constants_keep_flags(void **state)
{
	static const struct {
		uint64_t k;
		unsigned int bytes;
	} cases[] = {
		{0, 5},
		{1, 5},
		{0x7fffffff, 5},
		{0x80000000, 5},
		{0xffffffff, 5},
		{0x100000000, 10},
		{0x100000001, 10},
		{0x7fffffffffffffff, 10},
		{0x8000000000000000, 10},
		{0x123456789abcdef0, 10},
		{UINT64_MAX, 7},
		{(uint64_t)INT32_MIN, 7},
		{(uint64_t)INT32_MIN - 1, 10},
		{0xffffffff7fffffff, 10},
		{0xffffffff00000000, 10},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned int reg = 0; reg < 16; reg++) {
			struct x64_buf b = buffer(code);
			unsigned int rex = cases[i].bytes == 5 && reg >= R8;
			struct decoded d;
			uint64_t k;

			x64_mov_imm(&b, reg, cases[i].k);
			d = read_only(code, b.p, "mov", NULL);
			assert_int_equal(d.i.length, cases[i].bytes + rex);
			assert_int_equal(gpr(&d.op[0], cases[i].bytes == 5 ? 32 : 64), reg);
			/* A write of 32 bits clears the upper half. */
			k = cases[i].bytes == 5 ? (uint32_t)d.op[1].imm.value.u
						: d.op[1].imm.value.u;
			assert_true(k == cases[i].k);
			assert_true(!d.i.cpu_flags ||
				    !(d.i.cpu_flags->modified | d.i.cpu_flags->undefined));
		}
	}
}

static void registers_in_opcodes(void **state)
{
	(void)state;
	for (unsigned int reg = 0; reg < 16; reg++) {
		struct x64_buf b = buffer(code);
		struct decoded d;

		for (unsigned int w = 0; w < 2; w++) {
			b.p = code;
			x64_bswap(&b, w, reg);
			d = read_only(code, b.p, "bswap", NULL);
			assert_int_equal(gpr(&d.op[0], w ? 64 : 32), reg);
		}
		b.p = code;
		x64_push(&b, reg);
		d = read_only(code, b.p, "push", NULL);
		assert_int_equal(gpr(&d.op[0], 64), reg);
		assert_int_equal(d.i.length, reg < R8 ? 1 : 2);
		b.p = code;
		x64_pop(&b, reg);
		d = read_only(code, b.p, "pop", NULL);
		assert_int_equal(gpr(&d.op[0], 64), reg);
		assert_int_equal(d.i.length, reg < R8 ? 1 : 2);
	}
}

static void conditions_set_and_move(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 16 * 16 * 16 * 2; i++) {
		enum x64_cc cc = i % 16;
		unsigned int reg = i / 16 % 16, rm = i / 256 % 16, w = i / 4096, bits = w ? 64 : 32;
		struct x64_buf b = buffer(code);
		struct decoded d;

		x64_setcc(&b, cc, rm);
		d = read_only(code, b.p, "set", conditions[cc]);
		/* The low byte: neither AH to BH nor another size. */
		assert_int_equal(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
								  d.op[0].reg.value),
				 ZYDIS_REGISTER_RAX + rm);
		assert_int_equal(d.op[0].size, 8);
		assert_false(d.op[0].reg.value >= ZYDIS_REGISTER_AH &&
			     d.op[0].reg.value <= ZYDIS_REGISTER_BH);

		b.p = code;
		x64_cmovcc(&b, cc, w, reg, rm);
		d = read_only(code, b.p, "cmov", conditions[cc]);
		assert_int_equal(gpr(&d.op[0], bits), reg);
		assert_int_equal(gpr(&d.op[1], bits), rm);

		b.p = code;
		x64_cmovcc_m(&b, cc, w, reg, x64_at(rm, -129));
		d = read_only(code, b.p, "cmov", conditions[cc]);
		assert_int_equal(gpr(&d.op[0], bits), reg);
		assert_int_equal(d.op[1].size, bits);
		assert_int_equal(d.op[1].mem.base, ZYDIS_REGISTER_RAX + rm);
		assert_int_equal(d.op[1].mem.disp.value, -129);
	}
}

/* Only NOPs from @p to @end, and as few as can be. */
static void read_nops(const uint8_t *p, const uint8_t *end)
{
	unsigned int n = 0, fewest = (unsigned int)(end - p + 8) / 9;

	for (struct decoded d; p < end; p += d.i.length, n++) {
		d = read_one(p, end);
		assert_string_equal(mnemonic(&d), "nop");
	}
	assert_int_equal(n, fewest);
}

static void alignment(void **state)
{
	(void)state;
	for (unsigned int n = 1; n <= 64; n *= 2) {
		for (unsigned int at = 0; at < 64; at++) {
			struct x64_buf b = buffer(code + at);

			x64_align(&b, n);
			assert_false(b.full);
			assert_int_equal((uintptr_t)b.p % n, 0);
			assert_true(b.p - (code + at) < (ptrdiff_t)n);
			read_nops(code + at, b.p);
		}
	}
}

/* Displacements of 32 bits: unpatched they lead behind, then wherever they are told to. */
static void near_jumps(void **state)
{
	static const int64_t far[] = {0, 1, -1, 127, 128, -128, -129, INT32_MAX, INT32_MIN};

	(void)state;
	for (unsigned int i = 0; i < 18 * 64; i++) {
		unsigned int kind = i % 18;
		uint8_t *start = code + i / 18, *at;
		struct x64_buf b = buffer(start);
		const char *name = kind < 16 ? "j" : kind == 16 ? "jmp" : "call";
		const char *condition = kind < 16 ? conditions[kind] : NULL;
		struct decoded d;

		at = kind < 16 ? x64_jcc(&b, kind) : kind == 16 ? x64_jmp(&b, false) : x64_call(&b);
		d = read_only(start, b.p, name, condition);
		assert_ptr_equal(target(start, &d), b.p);
		for (unsigned int k = 0; k < sizeof(far) / sizeof(far[0]); k++) {
			const uint8_t *to = (const uint8_t *)((uintptr_t)b.p + (uintptr_t)far[k]);

			x64_patch(at, to);
			d = read_only(start, b.p, name, condition);
			assert_ptr_equal(target(start, &d), to);
		}
	}
}

static void aligned_jumps(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		uint8_t *start = code + i, *at;
		struct x64_buf b = buffer(start);
		struct decoded d;

		at = x64_jmp(&b, true);
		assert_int_equal((uintptr_t)at % 4, 0);
		read_nops(start, at - 1);
		x64_patch(at, code);
		d = read_only(at - 1, b.p, "jmp", NULL);
		assert_ptr_equal(target(at - 1, &d), code);
		assert_true(b.p - start <= 3 + 5);
	}
}

/* To places that are known, the shorter form exactly where it reaches. */
static void jumps_to_places(void **state)
{
	uint8_t *start = code + sizeof(code) / 2;

	(void)state;
	for (int64_t away = -300; away <= 300; away++) {
		const uint8_t *to = start + 2 + away;
		bool near = away < INT8_MIN || away > INT8_MAX;

		for (unsigned int kind = 0; kind < 17; kind++) {
			struct x64_buf b = buffer(start);
			struct decoded d;

			if (kind < 16)
				x64_jcc_to(&b, kind, to);
			else
				x64_jmp_to(&b, to);
			d = read_only(start, b.p, kind < 16 ? "j" : "jmp",
				      kind < 16 ? conditions[kind] : NULL);
			assert_ptr_equal(target(start, &d), to);
			assert_int_equal(d.i.length, !near ? 2 : kind < 16 ? 6 : 5);
		}
	}
}

static void short_jumps(void **state)
{
	(void)state;
	for (unsigned int over = 0; over <= INT8_MAX; over++) {
		for (unsigned int kind = 0; kind < 17; kind++) {
			struct x64_buf b = buffer(code);
			struct decoded d;
			uint8_t *at;

			at = kind < 16 ? x64_jcc_short(&b, kind) : x64_jmp_short(&b);
			assert_int_equal(b.p - code, 2);
			for (unsigned int i = 0; i < over; i++)
				x64_n(&b, X64_NOP, 0);
			x64_short_end(&b, at);
			d = read_only(code, code + 2, kind < 16 ? "j" : "jmp",
				      kind < 16 ? conditions[kind] : NULL);
			assert_ptr_equal(target(code, &d), b.p);
			assert_ptr_equal(b.p, code + 2 + over);
		}
	}
}

/* Each emitter, by number; @at is where jumps of known length are to lead. False: there is none. */
static bool emit_some(struct x64_buf *b, unsigned int kind, uint8_t *at, uint8_t **jump)
{
	*jump = at;
	switch (kind) {
	case 0:
		*jump = x64_jmp(b, false);
		return true;
	case 1:
		*jump = x64_call(b);
		return true;
	case 2:
		*jump = x64_jcc(b, X64_L);
		return true;
	case 3:
		*jump = x64_jcc_short(b, X64_L);
		return true;
	case 4:
		*jump = x64_jmp_short(b);
		return true;
	case 5:
		x64_jmp_to(b, at);
		return true;
	case 6:
		x64_jmp_to(b, at + 1000);
		return true;
	case 7:
		x64_jcc_to(b, X64_E, at);
		return true;
	case 8:
		x64_jcc_to(b, X64_E, at + 1000);
		return true;
	case 9:
		x64_mov_imm(b, R9, 1);
		return true;
	case 10:
		x64_mov_imm(b, R9, UINT64_MAX);
		return true;
	case 11:
		x64_mov_imm(b, R9, 1ull << 63);
		return true;
	case 12:
		x64_setcc(b, X64_E, RSI);
		return true;
	case 13:
		x64_cmovcc(b, X64_E, 1, RSI, R8);
		return true;
	case 14:
		x64_cmovcc_m(b, X64_E, 1, RSI, x64_at(R12, 1));
		return true;
	case 15:
		x64_bswap(b, 1, R8);
		return true;
	case 16:
		x64_push(b, R8);
		return true;
	case 17:
		x64_pop(b, R8);
		return true;
	default:
		return false;
	}
}

/* With every room that is too small: nothing written, no jump to patch, and so it stays. */
static void full_buffers(void **state)
{
	uint8_t whole[16], *jump;

	(void)state;
	for (unsigned int kind = 0;; kind++) {
		struct x64_buf b = buffer(code);
		unsigned int n;

		if (!emit_some(&b, kind, code, &jump))
			break;
		n = (unsigned int)(b.p - code);
		assert_in_range(n, 1, sizeof(whole));
		memcpy(whole, code, n);
		for (unsigned int size = 0; size <= n; size++) {
			memset(code, 0xa5, 32);
			b = (struct x64_buf){code, code + size, false};
			emit_some(&b, kind, code, &jump);
			assert_int_equal(b.full, size < n);
			assert_int_equal(b.p - code, size < n ? 0 : n);
			assert_memory_equal(code, whole, b.p - code);
			for (uint8_t *p = b.p; p < code + 32; p++)
				assert_int_equal(*p, 0xa5);
			if (size == n)
				continue;
			assert_true(!jump || jump == code);
			if (!jump) {
				x64_patch(jump, code);
				x64_short_end(&b, jump);
			}
			b.end = code + sizeof(code);
			for (unsigned int next = 0; emit_some(&b, next, code, &jump);)
				next++;
			x64_align(&b, 64);
			assert_true(b.full && b.p == code);
			assert_int_equal(*code, 0xa5);
		}
	}
}

/* NOPs that do not fit fill the buffer; an aligned jump that does not fit is none. */
static void full_buffers_of_nops(void **state)
{
	(void)state;
	for (unsigned int size = 0; size <= 16; size++) {
		uint8_t *start = code + 1, *at;
		struct x64_buf b = {start, start + size, false};

		memset(code, 0xa5, 64);
		at = x64_jmp(&b, true);
		assert_int_equal(b.full, size < 7);
		assert_int_equal(!at, size < 7);
		for (uint8_t *p = b.p; p < code + 64; p++)
			assert_int_equal(*p, 0xa5);

		memset(code, 0xa5, 64);
		b = (struct x64_buf){start, start + size, false};
		x64_align(&b, 16);
		assert_int_equal(b.full, size < 15);
		assert_true(b.p <= b.end);
		for (uint8_t *p = b.p; p < code + 64; p++)
			assert_int_equal(*p, 0xa5);
	}
}

/* A jump that is run while it is patched leads to its old place or to its new one. */
#define RUNS 200000

struct patched {
	uint8_t *at, *to[2];
	bool stop;
};

static void *patch_on(void *arg)
{
	struct patched *p = arg;

	for (unsigned int i = 0; !__atomic_load_n(&p->stop, __ATOMIC_RELAXED); i++)
		x64_patch(p->at, p->to[i % 2]);
	return NULL;
}

static void patched_while_run(void **state)
{
	/* Displacements of which no byte but the highest is the same. */
	enum { SIZE = 1 << 20, FIRST = 0x00100, SECOND = 0xf0f80 };
	uint8_t *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct patched p = {.to = {map + FIRST, map + SECOND}};
	struct x64_buf b = {map, map + SIZE, false};
	unsigned long seen[2] = {0, 0};
	pthread_t thread;
	int (*run)(void);

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	/* What lies between the places traps. */
	memset(map, 0xcc, SIZE);
	p.at = x64_jmp(&b, true);
	for (unsigned int i = 0; i < 2; i++) {
		b.p = p.to[i];
		x64_mov_imm(&b, RAX, i);
		x64_n(&b, X64_RET, 0);
	}
	assert_false(b.full);
	x64_patch(p.at, p.to[0]);
	memcpy(&run, &map, sizeof(run));
	assert_int_equal(pthread_create(&thread, NULL, patch_on, &p), 0);
	while (seen[0] + seen[1] < RUNS || !seen[0] || !seen[1]) {
		int which = run();

		assert_in_range(which, 0, 1);
		seen[which]++;
	}
	__atomic_store_n(&p.stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	munmap(map, SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants_keep_flags),
		cmocka_unit_test(registers_in_opcodes),
		cmocka_unit_test(conditions_set_and_move),
		cmocka_unit_test(alignment),
		cmocka_unit_test(near_jumps),
		cmocka_unit_test(aligned_jumps),
		cmocka_unit_test(jumps_to_places),
		cmocka_unit_test(short_jumps),
		cmocka_unit_test(full_buffers),
		cmocka_unit_test(full_buffers_of_nops),
		cmocka_unit_test(patched_while_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
SKIP_MAIN
#endif
