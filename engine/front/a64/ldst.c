/* SPDX-License-Identifier: MIT */
/*
 * Loads and stores, of general and of SIMD&FP registers (Arm ARM C4.1.91), but for exclusive,
 * ordered and atomic ones.
 *
 * What must hold: the access is emitted before any PUT of its instruction; a Data Abort has a valid
 * syndrome (isv) exactly when the instruction loads or stores one general register without
 * write-back (ESR_EL1, ISS encoding for a Data Abort).
 *
 * Write-back to a register that is also loaded (CONSTRAINED UNPREDICTABLE): the base's new value
 * wins; a store of the base stores its old value; of a load pair to one general register the first
 * element stays, to one SIMD&FP register the second.
 */
#include "engine/front/a64/a64.h"

enum ldst_kind { LDST_BAD, LDST_STORE, LDST_LOAD, LDST_PREFETCH };

/* What a load or store of one register is. */
struct ldst {
	enum ldst_kind kind;
	unsigned int type;
	struct mem_desc d;
};

/* size, opc and V of the single-register forms. Rows of opc; LDRS* to X is opc 2, to W opc 3. */
static struct ldst classify(uint32_t insn)
{
	unsigned int size = BITS(insn, 31, 30), opc = BITS(insn, 23, 22);
	bool vec = BIT(insn, 26), sign = opc & 2;
	struct ldst l = {.kind = opc == 0 ? LDST_STORE : LDST_LOAD};

	if (vec) {
		if (sign && size)
			return l.kind = LDST_BAD, l;
		l.kind = opc & 1 ? LDST_LOAD : LDST_STORE;
		l.type = IR_V128;
		l.d = (struct mem_desc){.size_log2 = sign ? 4 : size, .vec = 1};
		return l;
	}
	if (opc == 2 && size == 3)
		l.kind = LDST_PREFETCH;
	else if (opc == 3 && size >= 2)
		l.kind = LDST_BAD;
	l.d = (struct mem_desc){
		.size_log2 = size,
		.sign = sign,
		.reg64 = sign ? opc == 2 : size == 3,
		.rt = BITS(insn, 4, 0),
		.isv = 1,
	};
	l.type = a64_type(l.d.reg64);
	return l;
}

static void access_one(struct a64 *t, uint32_t insn, const struct ldst *l, ir_val base,
		       ir_val index)
{
	unsigned int rt = BITS(insn, 4, 0);
	ir_val v;

	if (l->kind == LDST_STORE) {
		v = l->d.vec ? a64_v(t, rt) : a64_x(t, l->d.reg64, rt);
		a64_store(t, &l->d, base, index, v);
		return;
	}
	v = a64_load(t, l->type, &l->d, base, index);
	if (l->d.vec)
		a64_set_v(t, rt, v);
	else
		a64_set_x(t, l->d.reg64, rt, v);
}

static void write_back(struct a64 *t, unsigned int n, ir_val base, int32_t offset)
{
	ir_val v = base;

	if (offset)
		v = a64_op2(t, IR_ADD, IR_I64, base,
			    a64_const(t, IR_I64, (uint64_t)(int64_t)offset));
	a64_set_x_sp(t, true, n, v);
}

/* LDR LDRSW PRFM (literal) */
static bool literal(struct a64 *t, uint32_t insn)
{
	unsigned int opc = BITS(insn, 31, 30);
	struct ldst l = {.kind = LDST_LOAD};

	if (BIT(insn, 26)) {
		if (opc == 3)
			return false;
		if (!a64_fp_enabled(t))
			return true;
		l.type = IR_V128;
		l.d = (struct mem_desc){.size_log2 = 2 + opc, .vec = 1};
	} else {
		if (opc == 3) /* PRFM */
			return true;
		l.type = a64_type(opc != 0);
		l.d = (struct mem_desc){
			.size_log2 = opc == 1 ? 3 : 2,
			.sign = opc == 2,
			.reg64 = opc != 0,
			.rt = BITS(insn, 4, 0),
			.isv = 1,
		};
	}
	access_one(t, insn, &l, a64_pcrel(t, a64_sext((uint64_t)BITS(insn, 23, 5) << 2, 21)),
		   IR_NONE);
	return true;
}

/* LDUR, LDTR, LDR with pre- and post-index, and their stores. */
static bool imm9(struct a64 *t, uint32_t insn)
{
	enum { UNSCALED, POST, UNPRIV, PRE } form = BITS(insn, 11, 10);
	int32_t imm = (int32_t)a64_sext(BITS(insn, 20, 12), 9);
	unsigned int rn = BITS(insn, 9, 5);
	struct ldst l = classify(insn);
	ir_val base;

	if (l.kind == LDST_BAD || (l.d.vec && form == UNPRIV))
		return false;
	if (l.kind == LDST_PREFETCH)
		return form == UNSCALED;
	if (l.d.vec && !a64_fp_enabled(t))
		return true;
	if (form == UNPRIV)
		l.d.unpriv = (t->mode & CPU_MODE_EL1) && !(t->mode & CPU_MODE_UAO);
	if (form == POST || form == PRE)
		l.d.isv = 0;
	if (form != POST)
		l.d.offset = imm;
	base = a64_base(t, rn);
	access_one(t, insn, &l, base, IR_NONE);
	if (form == POST || form == PRE)
		write_back(t, rn, base, imm);
	return true;
}

/* LDR and STR (unsigned offset) */
static bool unsigned_offset(struct a64 *t, uint32_t insn)
{
	struct ldst l = classify(insn);

	if (l.kind == LDST_BAD)
		return false;
	if (l.kind == LDST_PREFETCH)
		return true;
	if (l.d.vec && !a64_fp_enabled(t))
		return true;
	l.d.offset = (int32_t)(BITS(insn, 21, 10) << l.d.size_log2);
	access_one(t, insn, &l, a64_base(t, BITS(insn, 9, 5)), IR_NONE);
	return true;
}

/* LDR and STR (register offset) */
static bool register_offset(struct a64 *t, uint32_t insn)
{
	static const uint8_t index_ext[8] = {[2] = 1, [6] = 2}; /* UXTW, SXTW; LSL and SXTX: 0 */
	unsigned int option = BITS(insn, 15, 13), rm = BITS(insn, 20, 16);
	struct ldst l = classify(insn);
	ir_val base, index = IR_NONE;

	if (l.kind == LDST_BAD || !(option & 2))
		return false;
	if (l.kind == LDST_PREFETCH)
		return true;
	if (l.d.vec && !a64_fp_enabled(t))
		return true;
	base = a64_base(t, BITS(insn, 9, 5));
	if (rm != A64_ZR) {
		l.d.index_ext = index_ext[option];
		l.d.scale = BIT(insn, 12) ? l.d.size_log2 : 0;
		index = a64_x(t, true, rm);
	}
	access_one(t, insn, &l, base, index);
	return true;
}

static void load_pair(struct a64 *t, uint32_t insn, const struct ldst *l, ir_val base)
{
	ir_val v = a64_load(t, l->type, &l->d, base, IR_NONE);
	ir_val hi = a64_load_hi(t, v);

	if (l->d.vec) {
		a64_set_v(t, BITS(insn, 4, 0), v);
		a64_set_v(t, BITS(insn, 14, 10), hi);
	} else {
		a64_set_x(t, l->d.reg64, BITS(insn, 14, 10), hi);
		a64_set_x(t, l->d.reg64, BITS(insn, 4, 0), v);
	}
}

static void store_pair(struct a64 *t, uint32_t insn, const struct ldst *l, ir_val base)
{
	unsigned int rt = BITS(insn, 4, 0), rt2 = BITS(insn, 14, 10);
	ir_val v = l->d.vec ? a64_v(t, rt) : a64_x(t, l->d.reg64, rt);
	ir_val hi = l->d.vec ? a64_v(t, rt2) : a64_x(t, l->d.reg64, rt2);

	a64_store(t, &l->d, base, hi, v);
}

/* LDP STP LDPSW LDNP STNP */
static bool pair(struct a64 *t, uint32_t insn)
{
	enum { NO_ALLOCATE, POST, OFFSET, PRE } form = BITS(insn, 24, 23);
	unsigned int opc = BITS(insn, 31, 30), rn = BITS(insn, 9, 5);
	bool vec = BIT(insn, 26), load = BIT(insn, 22), ldpsw = !vec && opc == 1;
	unsigned int size = vec ? 2 + opc : opc == 2 ? 3 : 2;
	int32_t imm = (int32_t)a64_sext(BITS(insn, 21, 15), 7) * (1 << size);
	struct ldst l = {.type = vec ? IR_V128 : a64_type(opc != 0)};
	ir_val base;

	if (opc == 3 || (ldpsw && (!load || form == NO_ALLOCATE)))
		return false;
	if (vec && !a64_fp_enabled(t))
		return true;
	l.d = (struct mem_desc){
		.size_log2 = size,
		.pair = 1,
		.sign = ldpsw,
		.reg64 = !vec && opc != 0,
		.vec = vec,
		.offset = form == POST ? 0 : imm,
	};
	base = a64_base(t, rn);
	if (load)
		load_pair(t, insn, &l, base);
	else
		store_pair(t, insn, &l, base);
	if (form == POST || form == PRE)
		write_back(t, rn, base, imm);
	return true;
}

const struct a64_row a64_ldst[] = {
	{0x3b000000, 0x39000000, unsigned_offset, "LDR/STR unsigned offset"},
	{0x3b200000, 0x38000000, imm9, "LDR/STR imm9"},
	{0x3b200c00, 0x38200800, register_offset, "LDR/STR register"},
	{0x3a000000, 0x28000000, pair, "LDP/STP"},
	{0x3b000000, 0x18000000, literal, "LDR literal"},
	{0, 0, NULL, NULL},
};
