/* SPDX-License-Identifier: MIT */
/*
 * Exclusive and ordered loads and stores, and the atomics of FEAT_LSE (Arm ARM C4.1.91, C3.2.6 to
 * C3.2.13).
 *
 * What must hold: each must be aligned to its whole size (no FEAT_LSE2); only the ordered
 * single-register loads and stores have a valid syndrome. LDLAR and STLLR (FEAT_LOR) are not
 * claimed and have no rows. Register fields that should be ones are ignored
 * (docs/architecture-choices.md).
 */
#include "engine/front/a64/a64.h"

static struct mem_desc ordered(uint32_t insn, enum mem_order order)
{
	unsigned int size = BITS(insn, 31, 30);

	return (struct mem_desc){
		.size_log2 = size,
		.reg64 = size == 3,
		.order = order,
		.align = 1,
	};
}

/* The order of an atomic with acquire bit @a and release bit @r. */
static enum mem_order order_of(bool a, bool r)
{
	static const uint8_t orders[2][2] = {
		{MEM_PLAIN, MEM_RELEASE},
		{MEM_ACQUIRE, MEM_ACQ_REL},
	};

	return orders[a][r];
}

/* LDXR LDAXR LDXP LDAXP */
static void load_exclusive(struct a64 *t, uint32_t insn, const struct mem_desc *d)
{
	bool sf = d->reg64;
	ir_val v = a64_load(t, a64_type(sf), d, a64_base(t, BITS(insn, 9, 5)), IR_NONE);
	ir_val hi = d->pair ? a64_load_hi(t, v) : IR_NONE;

	a64_set_x(t, sf, BITS(insn, 4, 0), v);
	if (d->pair)
		a64_set_x(t, sf, BITS(insn, 14, 10), hi);
}

/* STXR STLXR STXP STLXP */
static void store_exclusive(struct a64 *t, uint32_t insn, const struct mem_desc *d)
{
	ir_val base = a64_base(t, BITS(insn, 9, 5)), v = a64_x(t, d->reg64, BITS(insn, 4, 0));
	ir_val hi = d->pair ? a64_x(t, d->reg64, BITS(insn, 14, 10)) : IR_NONE;

	v = a64_op(t, IR_STX, IR_I32, a64_mem(t, d), base, hi, v, 0);
	a64_set_x(t, false, BITS(insn, 20, 16), v);
}

static bool exclusive(struct a64 *t, uint32_t insn)
{
	bool load = BIT(insn, 22), o0 = BIT(insn, 15);
	struct mem_desc d = ordered(insn, !o0 ? MEM_PLAIN : load ? MEM_ACQUIRE : MEM_RELEASE);

	d.excl = 1;
	d.pair = BIT(insn, 21);
	if (load)
		load_exclusive(t, insn, &d);
	else
		store_exclusive(t, insn, &d);
	return true;
}

/* LDAR STLR LDAPR: @order says which. */
static void access_ordered(struct a64 *t, uint32_t insn, bool load, enum mem_order order)
{
	struct mem_desc d = ordered(insn, order);
	unsigned int rt = BITS(insn, 4, 0);
	ir_val base = a64_base(t, BITS(insn, 9, 5));

	d.isv = 1;
	d.rt = rt;
	if (load)
		a64_set_x(t, d.reg64, rt, a64_load(t, a64_type(d.reg64), &d, base, IR_NONE));
	else
		a64_store(t, &d, base, IR_NONE, a64_x(t, d.reg64, rt));
}

static bool ldar_stlr(struct a64 *t, uint32_t insn)
{
	bool load = BIT(insn, 22);

	access_ordered(t, insn, load, load ? MEM_ACQUIRE : MEM_RELEASE);
	return true;
}

static bool ldapr(struct a64 *t, uint32_t insn)
{
	access_ordered(t, insn, true, MEM_ACQUIRE_PC);
	return true;
}

/* LDADD LDCLR LDEOR LDSET LDSMAX LDSMIN LDUMAX LDUMIN, their ST forms, SWP */
static bool rmw(struct a64 *t, uint32_t insn)
{
	unsigned int op = BIT(insn, 15) ? RMW_SWP : BITS(insn, 14, 12), rt = BITS(insn, 4, 0);
	bool acquire = BIT(insn, 23) && rt != A64_ZR; /* an ST form acquires nothing */
	struct mem_desc d = ordered(insn, order_of(acquire, BIT(insn, 22)));
	ir_val base, v;

	d.atomic = 1;
	base = a64_base(t, BITS(insn, 9, 5));
	v = a64_x(t, d.reg64, BITS(insn, 20, 16));
	v = a64_op(t, IR_RMW, a64_type(d.reg64), a64_mem(t, &d), base, IR_NONE, v, (int32_t)op);
	a64_set_x(t, d.reg64, rt, v);
	return true;
}

/* CAS CASB CASH; what is compared has the size of the memory operand. */
static bool cas(struct a64 *t, uint32_t insn)
{
	struct mem_desc d = ordered(insn, order_of(BIT(insn, 22), BIT(insn, 15)));
	unsigned int rs = BITS(insn, 20, 16), type = a64_type(d.reg64);
	ir_val base, expect, v;

	d.atomic = 1;
	base = a64_base(t, BITS(insn, 9, 5));
	expect = a64_x(t, d.reg64, rs);
	if (d.size_log2 < 2)
		expect = a64_op(t, IR_ZEXT, type, 0, expect, IR_NONE, IR_NONE, 8 << d.size_log2);
	v = a64_x(t, d.reg64, BITS(insn, 4, 0));
	v = a64_op(t, IR_CAS, type, a64_mem(t, &d), base, expect, v, 0);
	a64_set_x(t, d.reg64, rs, v);
	return true;
}

/*
 * CASP, by a helper that reads and writes the registers itself. Register pairs start at even
 * numbers.
 */
static bool casp(struct a64 *t, uint32_t insn)
{
	ir_val base, word;

	if (BIT(insn, 16) || BIT(insn, 0))
		return false;
	base = a64_base(t, BITS(insn, 9, 5));
	word = a64_const(t, IR_I64, insn);
	a64_call(t, A64_H_casp, base, word, IR_NONE);
	return true;
}

const struct a64_row a64_atomic[] = {
	{0x3fa00000, 0x08000000, exclusive, "LDXR/STXR"},
	{0xbfa00000, 0x88200000, exclusive, "LDXP/STXP"},
	{0x3fa08000, 0x08808000, ldar_stlr, "LDAR/STLR"},
	{0x3fa07c00, 0x08a07c00, cas, "CAS"},
	{0xbfa07c00, 0x08207c00, casp, "CASP"},
	{0x3f208c00, 0x38200000, rmw, "LD<op>"},
	{0x3f20fc00, 0x38208000, rmw, "SWP"},
	{0x3fe0fc00, 0x38a0c000, ldapr, "LDAPR"},
	{0, 0, NULL, NULL},
};
