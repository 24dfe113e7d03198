/* SPDX-License-Identifier: MIT */
/*
 * Every row of the encoder's table with every register, every shape of an address and the edges of
 * displacements and immediates, as Zydis reads what was written: the mnemonic, the operands, the
 * length, and that no shorter encoding was missed. What a row should mean is said here by its name
 * (forms), not by the row's encoding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ctype.h>
#include <fnmatch.h>
#include <cmocka.h>

#include "engine/back/x64/enc.h"
#include "tests/x64/zydis.h"

#ifdef HAVE_ZYDIS

/* The words of enc.def that say which emitter takes a row, and with which operands. */
enum { RM, D, DI, RVM, VD, N };
enum { LEG, VEX };
enum {
	W0 = 1 << 0,
	W1 = 1 << 1,
	B = 1 << 2,
	BM = 1 << 3,
	M = 1 << 4,
	R = 1 << 5,
	L1 = 1 << 6,
	P66 = 1 << 7,
	LOCK = 1 << 8,
	IMM8 = 1 << 9,
	IMM16 = 1 << 10,
	SHORT = 1 << 11,
	IS4 = 1 << 12,
};

static const struct row {
	const char *name;
	uint8_t kind, encoding, map, pp, opcode, extension;
	uint16_t flags;
} rows[] = {
#define X64(name, ...) {#name, __VA_ARGS__},
#include "engine/back/x64/enc.def"
#undef X64
};

/*
 * What rows mean, by their names; the first that matches counts. Operands are in Intel's order:
 *
 *   first letter   r reg, m rm, v vvvv, s the fourth register, i immediate, c CL, 1 the constant
 *   second         its size: b w d q o (8 to 128), g (by w: d or q), x XMM, y YMM; memory of
 *                  vectors has whatever size the mnemonic implies
 *   third          the size in memory where it is another than the register's
 *
 * Without a mnemonic it is the name up to "_", in small letters. "a|b": a with w 0, b with w 1.
 */
static const struct form {
	const char *name, *mnemonic, *operands;
} forms[] = {
	{"MOV8_ST", "mov", "mb rb"},
	{"MOV16_ST", "mov", "mw rw"},
	{"MOV8_MI", "mov", "mb i"},
	{"MOV16_MI", "mov", "mw i"},
	{"MOVZX8", "movzx", "rg mb"},
	{"MOVSX8", "movsx", "rg mb"},
	{"MOVZX16", "movzx", "rg mw"},
	{"MOVSX16", "movsx", "rg mw"},
	{"MOVSXD", NULL, "rq md"},
	{"XCHG", NULL, "mg rg"},
	{"XCHG8", "xchg", "mb rb"},
	{"XCHG16", "xchg", "mw rw"},
	{"CMP8", "cmp", "rb mb"},
	{"CMP16", "cmp", "rw mw"},
	{"CMP8_MI", "cmp", "mb i"},
	{"CMP16_MI", "cmp", "mw i"},
	{"TEST8_MI", "test", "mb i"},
	{"TEST", NULL, "mg rg"},
	{"BT", NULL, "mg rg"},
	{"IMUL_I", NULL, "rg mg i"},
	{"IMUL1", "imul", "mg"},
	{"SH[LR]D_I", NULL, "mg rg i"},
	{"RC[LR]_1", NULL, "mg 1"},
	{"[RS][OHA][LR]_CL", NULL, "mg c"},
	{"S[HA][LR]X", NULL, "rg mg vg"},
	{"BEXTR", NULL, "rg mg vg"},
	{"BZHI", NULL, "rg mg vg"},
	{"RORX", NULL, "rg mg i"},
	{"CRC32_8", NULL, "rd mb"},
	{"CRC32_16", NULL, "rd mw"},
	{"CRC32_32", NULL, "rd md"},
	{"CRC32_64", NULL, "rq mq"},
	{"CQO", "cdq|cqo", ""},
	{"CMPXCHG8", "cmpxchg", "mb rb"},
	{"CMPXCHG16", "cmpxchg", "mw rw"},
	{"CMPXCHG", NULL, "mg rg"},
	{"CMPXCHG16B", NULL, "mo"},
	{"XADD8", "xadd", "mb rb"},
	{"XADD16", "xadd", "mw rw"},
	{"XADD", NULL, "mg rg"},
	{"LOCK_ADD_ST", "add", "mg rg"},
	{"LOCK_OR_ST", "or", "mg rg"},
	{"LOCK_AND_ST", "and", "mg rg"},
	{"LOCK_SUB_ST", "sub", "mg rg"},
	{"LOCK_XOR_ST", "xor", "mg rg"},
	{"CALL_IND", "call", "mq"},
	{"JMP_IND", "jmp", "mq"},
	{"LDMXCSR", "vldmxcsr", "md"},
	{"STMXCSR", "vstmxcsr", "md"},

	{"VMOVD", "vmovd|vmovq", "rx mg"},
	{"VMOVD_ST", "vmovd|vmovq", "mg rx"},
	{"VMOVHPS", NULL, "rx vx mx"},
	{"VMOVMSKP[SD]", NULL, "rd mx"},
	{"VPMOVMSKB", NULL, "rd mx"},
	{"VCVTSI2S[SD]", NULL, "rx vx mg"},
	{"VCVT*S[SD]2SI", NULL, "rg mx"},
	{"VCVTPS2PH", NULL, "mx rx i"},
	{"V*BLENDV*", NULL, "rx vx mx sx"},
	{"VPINSRB", NULL, "rx vx mdb i"},
	{"VPINSRW", NULL, "rx vx mdw i"},
	{"VPINSRD", NULL, "rx vx md i"},
	{"VPINSRQ", NULL, "rx vx mq i"},
	{"VPEXTRB", NULL, "mdb rx i"},
	{"VPEXTRW", NULL, "mdw rx i"},
	{"VPEXTRD", NULL, "md rx i"},
	{"VPEXTRQ", NULL, "mq rx i"},
	{"VEXTRACTPS", NULL, "md rx i"},
	{"VPERMQ", NULL, "ry my i"},
	{"VINSERTI128", NULL, "ry vy mx i"},
	{"VEXTRACTI128", NULL, "mx ry i"},
	{"VPS[LR]*DQ", NULL, "vx mx i"},
	{"V*_I", NULL, "vx mx i"},
	{"V*_ST", NULL, "mx rx"},
	{"*_ST", NULL, "mg rg"},
};

/* Rows that no form names: of general registers, of vectors, of vectors with an immediate. */
static const struct form general[][3] = {
	[RM] = {{NULL, NULL, "rg mg"}, {NULL, NULL, "rx mx"}, {NULL, NULL, "rx mx i"}},
	[D] = {{NULL, NULL, "mg"}},
	[DI] = {{NULL, NULL, "mg i"}},
	[RVM] = {{NULL, NULL, "rg vg mg"}, {NULL, NULL, "rx vx mx"}, {NULL, NULL, "rx vx mx i"}},
	[N] = {{NULL, NULL, ""}, {NULL, NULL, ""}},
};

/* One instruction that is asked for. */
struct sample {
	enum x64_op op;
	unsigned int w, reg, v, rm, fourth;
	bool direct;
	struct x64_mem m;
	int32_t imm;
	const char *mnemonic, *operands;
};

static bool is_vector(const char *name)
{
	return name[0] == 'V' || !strncmp(name, "SHA1", 4) || !strncmp(name, "SHA2", 4) ||
	       !strcmp(name, "MOVAPS");
}

static const struct form *form_of(const struct row *r)
{
	for (unsigned int i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (!fnmatch(forms[i].name, r->name, 0))
			return &forms[i];
	return &general[r->kind][is_vector(r->name) ? 1 + !!(r->flags & IMM8) : 0];
}

/* The form's mnemonic, or the name's. */
static void mnemonic_of(const struct row *r, const struct form *f, unsigned int w, char out[24])
{
	const char *from = f->mnemonic ? f->mnemonic : r->name, *bar = strchr(from, '|');
	unsigned int n;

	if (bar && w)
		from = bar + 1;
	for (n = 0; from[n] && from[n] != '|' && (f->mnemonic || from[n] != '_'); n++)
		out[n] = (char)tolower(from[n]);
	out[n] = 0;
}

static unsigned int imm_bits(const struct row *r)
{
	if (r->kind == VD || r->flags & IMM8)
		return 8;
	if (r->flags & IMM16)
		return 16;
	return r->kind == DI || r->flags & SHORT ? 32 : 0;
}

static void emit_rm(struct x64_buf *b, const struct sample *s, bool imm)
{
	if (s->direct && imm)
		x64_rri(b, s->op, s->w, s->reg, s->rm, s->imm);
	else if (s->direct)
		x64_rr(b, s->op, s->w, s->reg, s->rm);
	else if (imm)
		x64_rmi(b, s->op, s->w, s->reg, s->m, s->imm);
	else
		x64_rm(b, s->op, s->w, s->reg, s->m);
}

static void emit_rvm(struct x64_buf *b, const struct sample *s, bool imm)
{
	/* What takes an immediate of 8 bits as a number without a sign is given it so. */
	unsigned int byte = (uint8_t)s->imm;

	if (rows[s->op].flags & IS4)
		x64_rvrr(b, s->op, s->reg, s->v, s->rm, s->fourth);
	else if (s->direct && imm)
		x64_rvri(b, s->op, s->w, s->reg, s->v, s->rm, byte);
	else if (s->direct)
		x64_rvr(b, s->op, s->w, s->reg, s->v, s->rm);
	else if (imm)
		x64_rvmi(b, s->op, s->w, s->reg, s->v, s->m, byte);
	else
		x64_rvm(b, s->op, s->w, s->reg, s->v, s->m);
}

static void emit(struct x64_buf *b, const struct sample *s)
{
	const struct row *r = &rows[s->op];

	switch (r->kind) {
	case RM:
		emit_rm(b, s, imm_bits(r));
		break;
	case D:
		s->direct ? x64_r(b, s->op, s->w, s->rm) : x64_m(b, s->op, s->w, s->m);
		break;
	case DI:
		s->direct ? x64_ri(b, s->op, s->w, s->rm, s->imm)
			  : x64_mi(b, s->op, s->w, s->m, s->imm);
		break;
	case RVM:
		emit_rvm(b, s, imm_bits(r));
		break;
	case VD:
		x64_vri(b, s->op, s->v, s->rm, (uint8_t)s->imm);
		break;
	default:
		x64_n(b, s->op, s->w);
	}
}

/* The register @n of the size that a form's letter says. */
static ZydisRegister zydis_reg(char size, unsigned int w, unsigned int n)
{
	if (size == 'g')
		size = w ? 'q' : 'd';
	switch (size) {
	case 'b':
		/* Zydis has AH to BH between BL and SPL. */
		return (ZydisRegister)(ZYDIS_REGISTER_AL + (n < 4 ? n : n + 4));
	case 'w':
		return (ZydisRegister)(ZYDIS_REGISTER_AX + n);
	case 'd':
		return (ZydisRegister)(ZYDIS_REGISTER_EAX + n);
	case 'q':
		return (ZydisRegister)(ZYDIS_REGISTER_RAX + n);
	case 'x':
		return (ZydisRegister)(ZYDIS_REGISTER_XMM0 + n);
	case 'y':
		return (ZydisRegister)(ZYDIS_REGISTER_YMM0 + n);
	default:
		return ZYDIS_REGISTER_NONE;
	}
}

static bool is_reg(const ZydisDecodedOperand *o, ZydisRegister r)
{
	return o->type == ZYDIS_OPERAND_TYPE_REGISTER && o->reg.value == r &&
	       r != ZYDIS_REGISTER_NONE;
}

static bool is_mem(const ZydisDecodedOperand *o, const struct sample *s, char size)
{
	static const char letters[] = "bwdqo";
	const struct x64_mem *m = &s->m;
	bool base = m->base != X64_NO_REG, index = m->index != X64_NO_REG;
	const char *letter = strchr(letters, size == 'g' ? (s->w ? 'q' : 'd') : size);

	/* LEA accesses nothing, and has no size. */
	if (letter && o->mem.type == ZYDIS_MEMOP_TYPE_MEM && o->size != 8 << (letter - letters))
		return false;
	return o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       o->mem.base == (base ? zydis_reg('q', 1, m->base) : ZYDIS_REGISTER_NONE) &&
	       o->mem.index == (index ? zydis_reg('q', 1, m->index) : ZYDIS_REGISTER_NONE) &&
	       (!index || o->mem.scale == 1 << m->scale) &&
	       (o->mem.disp.has_displacement ? o->mem.disp.value : 0) == m->disp;
}

static bool is_imm(const ZydisDecodedOperand *o, const struct sample *s)
{
	unsigned int bits = imm_bits(&rows[s->op]);
	uint64_t differ = o->imm.value.u ^ (uint64_t)(int64_t)s->imm;

	if (bits == 32 && s->w)
		bits = 64;
	return o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && !(differ << (64 - bits));
}

/* Whether @o is what a form's word says. */
static bool is_operand(const ZydisDecodedOperand *o, const struct sample *s, const char *word)
{
	char size = word[1], in_memory = isalpha(word[1]) && isalpha(word[2]) ? word[2] : size;

	switch (word[0]) {
	case 'r':
		return is_reg(o, zydis_reg(size, s->w, s->reg));
	case 'v':
		return is_reg(o, zydis_reg(size, s->w, s->v));
	case 's':
		return is_reg(o, zydis_reg(size, s->w, s->fourth));
	case 'm':
		return s->direct ? is_reg(o, zydis_reg(size, s->w, s->rm))
				 : is_mem(o, s, in_memory);
	case 'i':
		return is_imm(o, s);
	case 'c':
		return is_reg(o, ZYDIS_REGISTER_CL);
	case '1':
		return o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && o->imm.value.u == 1;
	default:
		return false;
	}
}

static bool as_asked(const struct decoded *d, const struct sample *s)
{
	bool lock = d->i.attributes & ZYDIS_ATTRIB_HAS_LOCK;
	const char *word = s->operands;
	unsigned int n = 0;

	while (*word) {
		if (n == d->i.operand_count_visible || !is_operand(&d->op[n++], s, word))
			return false;
		word += strcspn(word, " ");
		word += strspn(word, " ");
	}
	return n == d->i.operand_count_visible && !strcmp(mnemonic(d), s->mnemonic) &&
	       lock == !!(rows[s->op].flags & LOCK);
}

/* Where there is a form of one byte less that the encoder does not have, but Zydis' own has. */
static bool known_longer(const struct sample *s)
{
	const struct row *r = &rows[s->op];

	/* Moves between registers, the other way round; of 64 bits, as moves between vectors. */
	if (!strncmp(s->mnemonic, "vmov", 4) && (s->direct ? s->rm >= 8 && s->reg < 8 : s->w))
		return true;
	if (s->op == X64_VPEXTRW)
		return s->direct;
	/* Of the accumulator and an absolute address. */
	if (!strcmp(s->mnemonic, "mov") && r->kind == RM && !s->direct)
		return s->reg == RAX && s->m.base == X64_NO_REG && s->m.index == X64_NO_REG;
	/* Of the accumulator with an immediate; of MOV to a register; shifts by 1; XCHG of RAX. */
	if (r->kind == DI && s->direct)
		return s->rm == RAX || !strcmp(s->mnemonic, "mov") ||
		       (r->opcode == 0xc1 && s->imm == 1);
	if (r->kind == DI)
		return r->opcode == 0xc1 && s->imm == 1;
	if (s->op == X64_XCHG || s->op == X64_XCHG16)
		return s->reg == RAX || s->rm == RAX;
	return false;
}

/* The length of what Zydis makes of its own reading. */
static unsigned int zydis_length(const struct decoded *d)
{
	uint8_t byte[ZYDIS_MAX_INSTRUCTION_LENGTH];
	ZyanUSize n = sizeof(byte);
	ZydisEncoderRequest request;

	if (!ZYAN_SUCCESS(ZydisEncoderDecodedInstructionToEncoderRequest(
		    &d->i, d->op, d->i.operand_count_visible, &request)) ||
	    !ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, byte, &n)))
		return 0;
	return (unsigned int)n;
}

static unsigned long nr_samples;
static unsigned int nr_faults;

static void tell(const struct sample *s, const uint8_t *byte, size_t n, const struct decoded *d)
{
	ZydisFormatter f;
	char text[128] = "nothing";

	ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
	if (d)
		ZydisFormatterFormatInstruction(&f, &d->i, d->op, d->i.operand_count_visible, text,
						sizeof(text), 0, NULL);
	print_message("%s: w %u reg %u v %u fourth %u imm %d ", rows[s->op].name, s->w, s->reg,
		      s->v, s->fourth, s->imm);
	if (s->direct)
		print_message("rm %u", s->rm);
	else
		print_message("[%d + %d << %d + %d]", (int8_t)s->m.base, (int8_t)s->m.index,
			      s->m.scale, s->m.disp);
	print_message(" should be %s %s; written:", s->mnemonic, s->operands);
	for (size_t i = 0; i < n; i++)
		print_message(" %02x", byte[i]);
	print_message(", which is %s\n", text);
}

/* False on a fault, which is told. */
static bool check(const struct sample *s)
{
	uint8_t byte[32] = {0};
	struct x64_buf b = {byte, byte + sizeof(byte), false};
	struct decoded d;
	unsigned int n, best;

	emit(&b, s);
	n = (unsigned int)(b.p - byte);
	nr_samples++;
	if (b.full || !decode(byte, n, &d)) {
		tell(s, byte, n, NULL);
		return false;
	}
	best = zydis_length(&d);
	if (d.i.length != n || !as_asked(&d, s) || !best || n > best + known_longer(s)) {
		tell(s, byte, n, &d);
		print_message("    %u bytes, of which Zydis reads %u, and writes %u\n", n,
			      d.i.length, best);
		return false;
	}
	return true;
}

static const int32_t displacements[] = {0, 1, -1, 127, 128, -128, -129, INT32_MAX, INT32_MIN};
static const int32_t immediates[] = {
	0, 1, -1, 127, -128, 128, 255, -129, 32767, -32768, 65535, 65536, INT32_MAX, INT32_MIN,
};

/* As many of the immediates as the row takes; one that does not count if it has none. */
static unsigned int nr_immediates(const struct row *r)
{
	switch (imm_bits(r)) {
	case 0:
		return 1;
	case 8:
		return 7;
	case 16:
		return 11;
	default:
		return sizeof(immediates) / sizeof(immediates[0]);
	}
}

/* Operands that a walk does not vary go round at random, always the same way. */
static uint32_t random_state;

static unsigned int any(unsigned int n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % n;
}

static void any_others(struct sample *s)
{
	const struct row *r = &rows[s->op];

	s->reg = any(16);
	s->v = any(16);
	s->fourth = any(16);
	s->imm = immediates[any(nr_immediates(r))];
}

/* Every register as every operand, and every immediate. */
static bool walk_registers(struct sample *s)
{
	const struct row *r = &rows[s->op];
	unsigned int regs = r->kind == RM || r->kind == RVM ? 16 : 1;
	unsigned int vs = r->kind == RVM || r->kind == VD ? 16 : 1;
	unsigned int k = nr_immediates(r);

	s->direct = true;
	for (unsigned int i = 0; i < regs * vs * 16 * k; i++) {
		s->fourth = any(16);
		s->imm = immediates[i % k];
		s->rm = i / k % 16;
		s->reg = i / k / 16 % regs;
		s->v = i / k / 16 / regs;
		if (!check(s))
			return false;
	}
	return true;
}

/* Every shape of an address: a base or none, an index of every scale or none, a displacement. */
static bool walk_addresses(struct sample *s)
{
	enum { DISPS = sizeof(displacements) / sizeof(displacements[0]) };

	s->direct = false;
	for (unsigned int i = 0; i < 17 * 16 * 4 * DISPS; i++) {
		unsigned int base = i / DISPS % 17, index = i / DISPS / 17 % 16;

		s->m = x64_at_index(base == 16 ? X64_NO_REG : base, index, i / DISPS / 17 / 16,
				    displacements[i % DISPS]);
		if (index == RSP)
			s->m = x64_at(s->m.base, s->m.disp);
		any_others(s);
		if (!check(s))
			return false;
	}
	return true;
}

/* The first fault of a row ends the row. */
static void test_row(enum x64_op op)
{
	const struct row *r = &rows[op];
	const struct form *f = form_of(r);
	char name[24];

	for (unsigned int w = 0; w < 2; w++) {
		struct sample s = {.op = op, .w = w, .mnemonic = name, .operands = f->operands};
		bool good = true;

		mnemonic_of(r, f, w, name);
		if (r->kind == N) {
			good = check(&s);
		} else {
			if (!(r->flags & (M | LOCK)))
				good = walk_registers(&s);
			if (good && !(r->flags & R) && r->kind != VD)
				good = walk_addresses(&s);
		}
		if (!good) {
			nr_faults++;
			return;
		}
	}
}

static void rows_read_as_asked(void **state)
{
	(void)state;
	for (unsigned int op = 0; op < X64_NR_OPS; op++)
		test_row(op);
	print_message("%lu instructions of %d rows\n", nr_samples, X64_NR_OPS);
	assert_int_equal(nr_faults, 0);
}

/* Each form is some row's: none is left behind by a name that changed. */
static void forms_have_rows(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		unsigned int n = 0;

		for (unsigned int op = 0; op < X64_NR_OPS; op++)
			n += form_of(&rows[op]) == &forms[i];
		if (!n)
			fail_msg("no row is a %s", forms[i].name);
	}
}

/* With every room that is too small nothing is written; with just enough everything. */
static void full_buffers_take_nothing(void **state)
{
	(void)state;
	for (unsigned int op = 0; op < X64_NR_OPS; op++) {
		struct sample s = {.op = op, .direct = !(rows[op].flags & (M | LOCK))};
		uint8_t whole[16], byte[16], clean[16];
		struct x64_buf b = {whole, whole + sizeof(whole), false};
		unsigned int n;

		s.m = x64_at_index(R12, R13, 2, 0x12345678);
		s.imm = imm_bits(&rows[op]) == 32 ? 0x12345678 : 0x12;
		s.reg = s.rm = s.v = s.fourth = R9;
		emit(&b, &s);
		n = (unsigned int)(b.p - whole);
		memset(clean, 0xa5, sizeof(clean));
		for (unsigned int size = 0; size <= n; size++) {
			memcpy(byte, clean, sizeof(byte));
			b = (struct x64_buf){byte, byte + size, false};
			emit(&b, &s);
			assert_int_equal(b.full, size < n);
			assert_ptr_equal(b.p, size < n ? byte : byte + n);
			assert_memory_equal(byte, size < n ? clean : whole, b.p - byte);
			assert_memory_equal(b.p, clean, byte + sizeof(byte) - b.p);
			/* Full is full, whatever room there may be. */
			b.end = byte + sizeof(byte);
			if (size == n)
				continue;
			x64_n(&b, X64_NOP, 0);
			assert_true(b.full && b.p == byte);
			assert_memory_equal(byte, clean, sizeof(byte));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_have_rows),
		cmocka_unit_test(rows_read_as_asked),
		cmocka_unit_test(full_buffers_take_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
SKIP_MAIN
#endif
