/* SPDX-License-Identifier: MIT */
/*
 * The emitters put an instruction together by its row, aside (struct insn), and then copy it to the
 * buffer if it fits. What no x86-64 instruction can say (RSP as an index, LOCK with a register, an
 * immediate of too many bits) is a fault of the caller: assertions find it.
 *
 * Comments name sections of the AMD64 Architecture Programmer's Manual.
 */
#include "engine/back/x64/enc.h"

#include <assert.h>
#include <string.h>

/* The words of enc.def. */
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

struct row {
	uint8_t kind, encoding, map, pp, opcode, extension;
	uint16_t flags;
};

static const struct row rows[X64_NR_OPS] = {
#define X64(name, ...) [X64_##name] = {__VA_ARGS__},
#include "engine/back/x64/enc.def"
#undef X64
};

/* One instruction as it grows; no instruction of x86-64 is longer than 15 bytes. */
struct insn {
	unsigned int n;
	uint8_t byte[15];
};

/* A struct x64_mem whose scale is this is no memory, but the register that is its base. */
#define DIRECT 0xff

struct operands {
	unsigned int w, reg, v;
	struct x64_mem rm;
	int32_t imm;
};

static inline struct x64_mem direct(unsigned int reg)
{
	return (struct x64_mem){(uint8_t)reg, X64_NO_REG, DIRECT, 0};
}

static inline bool is_direct(struct x64_mem m)
{
	return m.scale == DIRECT;
}

static void put8(struct insn *i, unsigned int byte)
{
	assert(i->n < sizeof(i->byte));
	i->byte[i->n++] = (uint8_t)byte;
}

/* The low @bytes bytes of @k, the lowest first. */
static void put(struct insn *i, uint64_t k, unsigned int bytes)
{
	for (; bytes; bytes--, k >>= 8)
		put8(i, k & 0xff);
}

/* Room for @n bytes, or else the buffer is full, and NULL. */
static uint8_t *room(struct x64_buf *b, unsigned int n)
{
	uint8_t *p = b->p;

	if (b->full || (uintptr_t)(b->end - p) < n) {
		b->full = true;
		return NULL;
	}
	b->p += n;
	return p;
}

/* Returns where the instruction ends; NULL when the buffer is full. */
static uint8_t *finish(struct x64_buf *b, const struct insn *i)
{
	uint8_t *p = room(b, i->n);

	return p ? (uint8_t *)memcpy(p, i->byte, i->n) + i->n : NULL;
}

static bool fits8(int64_t k)
{
	return k == (int8_t)k;
}

static bool fits32(int64_t k)
{
	return k == (int32_t)k;
}

/* What registers' numbers have in their bit 3, 0 if there is none. */
static unsigned int high(unsigned int reg)
{
	return reg > R15 ? 0 : reg >> 3;
}

/* SPL, BPL, SIL and DIL are AH, CH, DH and BH where there is no REX. */
static bool byte_takes_rex(unsigned int reg)
{
	return reg >= RSP && reg <= RDI;
}

static void put_escape(struct insn *i, unsigned int map)
{
	static const uint8_t second[] = {0, 0, 0x38, 0x3a};

	if (map)
		put8(i, 0x0f);
	if (map > 1)
		put8(i, second[map]);
}

/* Prefixes and the bytes of the opcode's map; volume 3, 1.2 and 1.2.7 (REX). */
static void put_legacy(struct insn *i, const struct row *r, const struct operands *o)
{
	static const uint8_t prefix[] = {0, 0x66, 0xf3, 0xf2};
	unsigned int rex =
		o->w << 3 | high(o->reg) << 2 | high(o->rm.index) << 1 | high(o->rm.base);

	if (r->flags & LOCK)
		put8(i, 0xf0);
	if (r->flags & P66)
		put8(i, 0x66);
	if (r->pp)
		put8(i, prefix[r->pp]);
	if (rex || ((r->flags & B) && byte_takes_rex(o->reg)) ||
	    ((r->flags & BM) && is_direct(o->rm) && byte_takes_rex(o->rm.base)))
		put8(i, 0x40 | rex);
	put_escape(i, r->map);
}

/* Volume 4, 1.2.1: of two bytes where that says everything. All registers' bits are inverted. */
static void put_vex(struct insn *i, const struct row *r, const struct operands *o)
{
	unsigned int rxb = high(o->reg) << 2 | high(o->rm.index) << 1 | high(o->rm.base);
	unsigned int last = (~o->v & 15) << 3 | (r->flags & L1 ? 1 << 2 : 0) | r->pp;

	if (r->map == 1 && !o->w && !(rxb & 3)) {
		put8(i, 0xc5);
		put8(i, (~rxb & 4) << 5 | last);
	} else {
		put8(i, 0xc4);
		put8(i, (~rxb & 7) << 5 | r->map);
		put8(i, o->w << 7 | last);
	}
}

/*
 * ModRM, SIB and the displacement; volume 3, 1.4. RSP and R12 as bases take a SIB, as their number
 * in rm announces one; RBP and R13 take a displacement, as their number without means no base.
 */
static void put_modrm(struct insn *i, unsigned int reg, struct x64_mem m)
{
	bool has_base = m.base != X64_NO_REG, has_index = m.index != X64_NO_REG;
	unsigned int base = has_base ? m.base & 7 : RBP;
	bool sib = has_index || base == RSP || !has_base;
	unsigned int mod, bytes;

	if (is_direct(m)) {
		put8(i, 3 << 6 | (reg & 7) << 3 | base);
		return;
	}
	if (m.base == X64_RIP) {
		put8(i, (reg & 7) << 3 | RBP);
		put(i, (uint32_t)m.disp, 4);
		return;
	}
	assert(m.index != RSP && m.scale < 4);
	if (!has_base || (!m.disp && base != RBP))
		mod = 0;
	else
		mod = fits8(m.disp) ? 1 : 2;
	bytes = !has_base || mod == 2 ? 4 : mod;

	put8(i, mod << 6 | (reg & 7) << 3 | (sib ? RSP : base));
	if (sib)
		put8(i, (unsigned int)m.scale << 6 | (has_index ? m.index & 7 : RSP) << 3 | base);
	put(i, (uint32_t)m.disp, bytes);
}

/* The size of the row's immediates in bytes, but for the short form's. */
static unsigned int imm_bytes(const struct row *r)
{
	if (r->kind == VD || (r->flags & (IMM8 | IS4)))
		return 1;
	if (r->flags & IMM16)
		return 2;
	return r->kind == DI || (r->flags & SHORT) ? 4 : 0;
}

static bool is_reg(unsigned int reg)
{
	return reg < 16;
}

static void check(const struct row *r, const struct operands *o)
{
	unsigned int bits = imm_bytes(r) * 8;

	assert(o->w < 2 && is_reg(o->reg) && is_reg(o->v));
	assert(is_reg(o->rm.base) || (o->rm.base == X64_NO_REG && !is_direct(o->rm)) ||
	       (o->rm.base == X64_RIP && o->rm.index == X64_NO_REG));
	assert(is_reg(o->rm.index) || o->rm.index == X64_NO_REG);
	assert(!(r->flags & (is_direct(o->rm) ? M | LOCK : R)));
	/* As a number with a sign or without one. */
	assert(!bits || bits == 32 || (o->imm >= -(1 << (bits - 1)) && o->imm < 1 << bits));
}

/* One instruction of a row that has a ModRM byte. */
static void emit_row(struct x64_buf *b, const struct row *r, struct operands o)
{
	struct insn i = {0};
	unsigned int bytes = imm_bytes(r), opcode = r->opcode;
	int32_t imm = bytes == 2 ? (int16_t)o.imm : o.imm;

	if (r->flags & (W0 | W1))
		o.w = r->flags & W1 ? 1 : 0;
	if (r->kind != RM && r->kind != RVM)
		o.reg = r->extension;
	check(r, &o);
	if (r->flags & SHORT && fits8(imm)) {
		opcode += 2;
		bytes = 1;
	}
	(r->encoding == VEX ? put_vex : put_legacy)(&i, r, &o);
	put8(&i, opcode);
	put_modrm(&i, o.reg, o.rm);
	put(&i, (uint32_t)imm, bytes);
	finish(b, &i);
}

static void emit(struct x64_buf *b, enum x64_op op, unsigned int kind, bool imm, struct operands o)
{
	const struct row *r = &rows[op];

	assert(op < X64_NR_OPS && r->kind == kind && !imm == !imm_bytes(r));
	emit_row(b, r, o);
}

void x64_rr(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int rm)
{
	emit(b, op, RM, false, (struct operands){.w = w, .reg = reg, .rm = direct(rm)});
}

void x64_rm(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, struct x64_mem m)
{
	emit(b, op, RM, false, (struct operands){.w = w, .reg = reg, .rm = m});
}

void x64_rri(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int rm,
	     int32_t imm)
{
	emit(b, op, RM, true, (struct operands){.w = w, .reg = reg, .rm = direct(rm), .imm = imm});
}

void x64_rmi(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, struct x64_mem m,
	     int32_t imm)
{
	emit(b, op, RM, true, (struct operands){.w = w, .reg = reg, .rm = m, .imm = imm});
}

void x64_r(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int rm)
{
	emit(b, op, D, false, (struct operands){.w = w, .rm = direct(rm)});
}

void x64_m(struct x64_buf *b, enum x64_op op, unsigned int w, struct x64_mem m)
{
	emit(b, op, D, false, (struct operands){.w = w, .rm = m});
}

void x64_ri(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int rm, int32_t imm)
{
	emit(b, op, DI, true, (struct operands){.w = w, .rm = direct(rm), .imm = imm});
}

void x64_mi(struct x64_buf *b, enum x64_op op, unsigned int w, struct x64_mem m, int32_t imm)
{
	emit(b, op, DI, true, (struct operands){.w = w, .rm = m, .imm = imm});
}

void x64_rvr(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int v,
	     unsigned int rm)
{
	emit(b, op, RVM, false, (struct operands){.w = w, .reg = reg, .v = v, .rm = direct(rm)});
}

void x64_rvm(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int v,
	     struct x64_mem m)
{
	emit(b, op, RVM, false, (struct operands){.w = w, .reg = reg, .v = v, .rm = m});
}

void x64_rvri(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int v,
	      unsigned int rm, unsigned int imm)
{
	emit(b, op, RVM, true,
	     (struct operands){.w = w, .reg = reg, .v = v, .rm = direct(rm), .imm = (int32_t)imm});
}

void x64_rvmi(struct x64_buf *b, enum x64_op op, unsigned int w, unsigned int reg, unsigned int v,
	      struct x64_mem m, unsigned int imm)
{
	emit(b, op, RVM, true,
	     (struct operands){.w = w, .reg = reg, .v = v, .rm = m, .imm = (int32_t)imm});
}

void x64_vri(struct x64_buf *b, enum x64_op op, unsigned int v, unsigned int rm, unsigned int imm)
{
	emit(b, op, VD, true, (struct operands){.v = v, .rm = direct(rm), .imm = (int32_t)imm});
}

void x64_rvrr(struct x64_buf *b, enum x64_op op, unsigned int reg, unsigned int v, unsigned int rm,
	      unsigned int mask)
{
	assert(is_reg(mask) && (rows[op].flags & IS4));
	x64_rvri(b, op, 0, reg, v, rm, mask << 4);
}

void x64_n(struct x64_buf *b, enum x64_op op, unsigned int w)
{
	const struct row *r = &rows[op];
	struct operands o = {.w = r->flags & W0 ? 0 : w, .rm = direct(0)};
	struct insn i = {0};

	assert(op < X64_NR_OPS && r->kind == N && w < 2);
	(r->encoding == VEX ? put_vex : put_legacy)(&i, r, &o);
	put8(&i, r->opcode);
	if (r->extension)
		put8(&i, r->extension);
	finish(b, &i);
}

/* An instruction whose opcode has a register in its low three bits, and an immediate if @bytes. */
static void emit_plus(struct x64_buf *b, unsigned int w, unsigned int map, unsigned int opcode,
		      unsigned int reg, uint64_t imm, unsigned int bytes)
{
	const struct row r = {.map = (uint8_t)map};
	struct insn i = {0};

	assert(w < 2 && is_reg(reg));
	put_legacy(&i, &r, &(struct operands){.w = w, .rm = direct(reg)});
	put8(&i, opcode | (reg & 7));
	put(&i, imm, bytes);
	finish(b, &i);
}

void x64_mov_imm(struct x64_buf *b, unsigned int reg, uint64_t k)
{
	if (k <= UINT32_MAX)
		emit_plus(b, 0, 0, 0xb8, reg, k, 4);
	else if (fits32((int64_t)k))
		x64_ri(b, X64_MOV_I, 1, reg, (int32_t)k);
	else
		emit_plus(b, 1, 0, 0xb8, reg, k, 8);
}

void x64_bswap(struct x64_buf *b, unsigned int w, unsigned int reg)
{
	emit_plus(b, w, 1, 0xc8, reg, 0, 0);
}

void x64_push(struct x64_buf *b, unsigned int reg)
{
	emit_plus(b, 0, 0, 0x50, reg, 0, 0);
}

void x64_pop(struct x64_buf *b, unsigned int reg)
{
	emit_plus(b, 0, 0, 0x58, reg, 0, 0);
}

void x64_setcc(struct x64_buf *b, enum x64_cc cc, unsigned int rm)
{
	const struct row r = {D, LEG, 1, 0, (uint8_t)(0x90 | cc), 0, W0 | BM};

	emit_row(b, &r, (struct operands){.rm = direct(rm)});
}

static void emit_cmov(struct x64_buf *b, enum x64_cc cc, struct operands o)
{
	const struct row r = {RM, LEG, 1, 0, (uint8_t)(0x40 | cc), 0, 0};

	emit_row(b, &r, o);
}

void x64_cmovcc(struct x64_buf *b, enum x64_cc cc, unsigned int w, unsigned int reg,
		unsigned int rm)
{
	emit_cmov(b, cc, (struct operands){.w = w, .reg = reg, .rm = direct(rm)});
}

void x64_cmovcc_m(struct x64_buf *b, enum x64_cc cc, unsigned int w, unsigned int reg,
		  struct x64_mem m)
{
	emit_cmov(b, cc, (struct operands){.w = w, .reg = reg, .rm = m});
}

/* A jump or call, whose displacement of @bytes at the end is returned. */
static uint8_t *emit_jump(struct x64_buf *b, unsigned int map, unsigned int opcode, int64_t disp,
			  unsigned int bytes)
{
	struct insn i = {0};
	uint8_t *end;

	put_escape(&i, map);
	put8(&i, opcode);
	put(&i, (uint64_t)disp, bytes);
	end = finish(b, &i);
	return end ? end - bytes : NULL;
}

/* @n bytes that do nothing, in few instructions; volume 3, NOP. */
static void emit_nops(struct x64_buf *b, unsigned int n)
{
	static const uint8_t nops[][9] = {
		{0x90},
		{0x66, 0x90},
		{0x0f, 0x1f, 0x00},
		{0x0f, 0x1f, 0x40, 0x00},
		{0x0f, 0x1f, 0x44, 0x00, 0x00},
		{0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
		{0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
		{0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
		{0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
	};

	while (n) {
		unsigned int bytes = n < sizeof(nops[0]) ? n : sizeof(nops[0]);
		uint8_t *p = room(b, bytes);

		if (!p)
			return;
		memcpy(p, nops[bytes - 1], bytes);
		n -= bytes;
	}
}

void x64_align(struct x64_buf *b, unsigned int n)
{
	assert(n && !(n & (n - 1)));
	emit_nops(b, -(uintptr_t)b->p & (n - 1));
}

uint8_t *x64_jmp(struct x64_buf *b, bool aligned)
{
	/* The displacement is behind one byte of opcode. */
	if (aligned)
		emit_nops(b, -((uintptr_t)b->p + 1) & 3);
	return emit_jump(b, 0, 0xe9, 0, 4);
}

uint8_t *x64_call(struct x64_buf *b)
{
	return emit_jump(b, 0, 0xe8, 0, 4);
}

uint8_t *x64_jcc(struct x64_buf *b, enum x64_cc cc)
{
	return emit_jump(b, 1, 0x80 | cc, 0, 4);
}

void x64_patch(uint8_t *at, const uint8_t *to)
{
	int64_t disp = (int64_t)((uintptr_t)to - ((uintptr_t)at + 4));
	int32_t disp32 = (int32_t)disp;

	if (!at)
		return;
	assert(fits32(disp));
	if ((uintptr_t)at % 4)
		memcpy(at, &disp32, 4);
	else
		__atomic_store_n((int32_t *)at, disp32, __ATOMIC_RELEASE);
}

/* The displacement from the end of an instruction of @bytes to @to. */
static int64_t distance(const struct x64_buf *b, unsigned int bytes, const uint8_t *to)
{
	return (int64_t)((uintptr_t)to - ((uintptr_t)b->p + bytes));
}

void x64_jmp_to(struct x64_buf *b, const uint8_t *to)
{
	assert(b->full || fits32(distance(b, 5, to)));
	if (fits8(distance(b, 2, to)))
		emit_jump(b, 0, 0xeb, distance(b, 2, to), 1);
	else
		emit_jump(b, 0, 0xe9, distance(b, 5, to), 4);
}

void x64_jcc_to(struct x64_buf *b, enum x64_cc cc, const uint8_t *to)
{
	assert(b->full || fits32(distance(b, 6, to)));
	if (fits8(distance(b, 2, to)))
		emit_jump(b, 0, 0x70 | cc, distance(b, 2, to), 1);
	else
		emit_jump(b, 1, 0x80 | cc, distance(b, 6, to), 4);
}

uint8_t *x64_jcc_short(struct x64_buf *b, enum x64_cc cc)
{
	return emit_jump(b, 0, 0x70 | cc, 0, 1);
}

uint8_t *x64_jmp_short(struct x64_buf *b)
{
	return emit_jump(b, 0, 0xeb, 0, 1);
}

void x64_short_end(struct x64_buf *b, uint8_t *at)
{
	if (b->full)
		return;
	assert(at && b->p > at && b->p - (at + 1) <= INT8_MAX);
	*at = (uint8_t)(b->p - (at + 1));
}
