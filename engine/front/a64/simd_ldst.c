/* SPDX-License-Identifier: MIT */
/*
 * Loads and stores of structures: LD1-LD4, ST1-ST4 (Arm ARM C4.1.91: Advanced SIMD load/store
 * multiple structures, single structure, and their post-indexed forms).
 *
 * Multiple structures are moved in pieces of 16 or 8 bytes, and interleaved in registers. Each
 * element is an access of its own to the architecture, which shows in two modes: big-endian data,
 * and alignment checking. There each element is accessed.
 */
#include "engine/front/a64/simd.h"

#define MAX_REGS 4

/* One instruction. */
struct structures {
	unsigned int rn, rt, rm;
	unsigned int nr;    /* registers */
	unsigned int selem; /* elements in a structure */
	unsigned int lane;
	unsigned int reg_bytes; /* of each register, 8 or 16; of single structures: an element's */
	bool load, post;
};

static unsigned int total_bytes(const struct structures *s)
{
	return s->nr * s->reg_bytes;
}

static void write_back(struct a64 *t, const struct structures *s, ir_val base)
{
	ir_val step;

	if (!s->post)
		return;
	if (s->rm == 31)
		step = a64_const(t, IR_I64, total_bytes(s));
	else
		step = a64_x(t, true, s->rm);
	a64_set_x_sp(t, true, s->rn, a64_op2(t, IR_ADD, IR_I64, base, step));
}

static void probe_stores(struct a64 *t, const struct structures *s, ir_val base)
{
	struct mem_desc d = {.size_log2 = (uint8_t)s->lane, .vec = 1};

	a64_op(t, IR_PROBE_W, IR_I64, a64_mem(t, &d), base, IR_NONE, IR_NONE,
	       (int32_t)total_bytes(s));
}

static void get_regs(struct a64 *t, const struct structures *s, ir_val v[MAX_REGS])
{
	for (unsigned int i = 0; i < s->nr; i++)
		v[i] = a64_v(t, (s->rt + i) % 32);
}

static void put_regs(struct a64 *t, const struct structures *s, const ir_val v[MAX_REGS])
{
	for (unsigned int i = 0; i < s->nr; i++)
		a64_set_v(t, (s->rt + i) % 32, v[i]);
}

/* --- Elements --- */

static ir_val load_element(struct a64 *t, unsigned int lane, ir_val base, unsigned int offset)
{
	struct mem_desc d = {.size_log2 = (uint8_t)lane,
			     .vec = 1,
			     .reg64 = lane == IR_D,
			     .offset = (int32_t)offset};

	return a64_load(t, a64_type(lane == IR_D), &d, base, IR_NONE);
}

static void store_element(struct a64 *t, unsigned int lane, ir_val base, unsigned int offset,
			  ir_val v, unsigned int index)
{
	struct mem_desc d = {.size_log2 = (uint8_t)lane,
			     .vec = 1,
			     .reg64 = lane == IR_D,
			     .offset = (int32_t)offset};
	ir_val x = a64_op(t, IR_VGETU, a64_type(lane == IR_D), IR_LANES(lane, IR_FULL), v, IR_NONE,
			  IR_NONE, (int32_t)index);

	a64_store(t, &d, base, IR_NONE, x);
}

/* One element of multiple structures: which register of the list, which lane of it, how far on. */
struct element {
	unsigned int reg, index, offset;
};

static unsigned int nr_elements(const struct structures *s)
{
	return total_bytes(s) >> s->lane;
}

/* The one that comes as number @at in memory. */
static struct element element_at(const struct structures *s, unsigned int at)
{
	unsigned int per_reg = s->reg_bytes >> s->lane;

	if (s->selem > 1)
		return (struct element){at % s->selem, at / s->selem, at << s->lane};
	return (struct element){at / per_reg, at % per_reg, at << s->lane};
}

static void load_by_element(struct a64 *t, const struct structures *s, ir_val base,
			    ir_val v[MAX_REGS])
{
	ir_val zero = simd_zero(t);

	for (unsigned int i = 0; i < s->nr; i++)
		v[i] = zero;
	for (unsigned int at = 0; at < nr_elements(s); at++) {
		struct element e = element_at(s, at);
		ir_val x = load_element(t, s->lane, base, e.offset);

		v[e.reg] = a64_vop(t, IR_VSET, s->lane, IR_FULL, v[e.reg], x, IR_NONE,
				   (int32_t)e.index);
	}
}

static void store_by_element(struct a64 *t, const struct structures *s, ir_val base,
			     const ir_val v[MAX_REGS])
{
	probe_stores(t, s, base);
	for (unsigned int at = 0; at < nr_elements(s); at++) {
		struct element e = element_at(s, at);

		store_element(t, s->lane, base, e.offset, v[e.reg], e.index);
	}
}

/* --- Pieces --- */

/*
 * How memory is cut: all pieces have 16 bytes (8 for LD1 of 64-bit registers), the last one of 24
 * bytes has 8.
 */
struct pieces {
	unsigned int nr;
	uint8_t size_log2[MAX_REGS];
};

static struct pieces cut(const struct structures *s)
{
	unsigned int total = total_bytes(s), size = s->selem == 1 && s->reg_bytes == 8 ? 3 : 4;
	struct pieces p = {0};

	for (unsigned int at = 0; at < total; at += 1u << size) {
		if (total - at < 16)
			size = 3;
		p.size_log2[p.nr++] = (uint8_t)size;
	}
	return p;
}

/* Can pieces @i and @i + 1 be one access? */
static bool is_pair(const struct pieces *p, unsigned int i)
{
	return i + 1 < p->nr && p->size_log2[i] == p->size_log2[i + 1];
}

static void load_pieces(struct a64 *t, const struct pieces *p, ir_val base, ir_val v[MAX_REGS])
{
	int32_t offset = 0;

	for (unsigned int i = 0; i < p->nr; i++) {
		struct mem_desc d = {.size_log2 = p->size_log2[i],
				     .pair = is_pair(p, i),
				     .vec = 1,
				     .offset = offset};

		v[i] = a64_load(t, IR_V128, &d, base, IR_NONE);
		offset += 1 << p->size_log2[i];
		if (d.pair) {
			v[i + 1] = a64_load_hi(t, v[i]);
			i++;
			offset += 1 << p->size_log2[i];
		}
	}
}

static void store_pieces(struct a64 *t, const struct structures *s, const struct pieces *p,
			 ir_val base, const ir_val v[MAX_REGS])
{
	int32_t offset = 0;

	/* One access is whole by itself. */
	if (p->nr > 2 || (p->nr == 2 && !is_pair(p, 0)))
		probe_stores(t, s, base);
	for (unsigned int i = 0; i < p->nr; i++) {
		struct mem_desc d = {.size_log2 = p->size_log2[i],
				     .pair = is_pair(p, i),
				     .vec = 1,
				     .offset = offset};

		a64_store(t, &d, base, d.pair ? v[i + 1] : IR_NONE, v[i]);
		offset += (1 + d.pair) << p->size_log2[i];
		i += d.pair;
	}
}

/*
 * Between memory order and registers. Pieces are whole 128-bit registers in all but LD1 and ST1;
 * registers of 64 bits come from, or fill, their low halves.
 */
static ir_val perm(struct a64 *t, const struct structures *s, unsigned int opc, ir_val a, ir_val b)
{
	return simd_op2(t, opc, s->lane, IR_FULL, a, b);
}

static void deinterleave2(struct a64 *t, const struct structures *s, ir_val v[MAX_REGS])
{
	/* 64-bit registers: both are in the one piece. */
	ir_val lo = v[0], hi = s->reg_bytes == 16 ? v[1] : v[0];

	v[0] = perm(t, s, IR_V_UZP1, lo, hi);
	v[1] = perm(t, s, IR_V_UZP2, lo, hi);
}

static void deinterleave3(struct a64 *t, const struct structures *s, ir_val v[MAX_REGS])
{
	unsigned int shape = s->reg_bytes == 16 ? IR_FULL : IR_HALF;
	ir_val in[3] = {v[0], v[1], shape == IR_FULL ? v[2] : v[1]};

	for (unsigned int i = 0; i < 3; i++)
		v[i] = a64_vop(t, IR_V_DEINT3, s->lane, shape, in[0], in[1], in[2], (int32_t)i);
}

static void deinterleave4(struct a64 *t, const struct structures *s, ir_val v[MAX_REGS])
{
	bool full = s->reg_bytes == 16;
	ir_val even[2], odd[2];

	for (unsigned int i = 0; i < (full ? 2 : 1); i++) {
		even[i] = perm(t, s, IR_V_UZP1, v[2 * i], v[2 * i + 1]);
		odd[i] = perm(t, s, IR_V_UZP2, v[2 * i], v[2 * i + 1]);
	}
	if (!full) {
		even[1] = even[0];
		odd[1] = odd[0];
	}
	v[0] = perm(t, s, IR_V_UZP1, even[0], even[1]);
	v[1] = perm(t, s, IR_V_UZP1, odd[0], odd[1]);
	v[2] = perm(t, s, IR_V_UZP2, even[0], even[1]);
	v[3] = perm(t, s, IR_V_UZP2, odd[0], odd[1]);
}

static void deinterleave(struct a64 *t, const struct structures *s, ir_val v[MAX_REGS])
{
	if (s->selem == 1)
		return;
	if (s->selem == 3) {
		deinterleave3(t, s, v);
		return;
	}
	if (s->selem == 2)
		deinterleave2(t, s, v);
	else
		deinterleave4(t, s, v);
	for (unsigned int i = 0; s->reg_bytes == 8 && i < s->nr; i++)
		v[i] = simd_op1(t, IR_VZEXT, IR_D, IR_HALF, v[i], 0);
}

static void interleave(struct a64 *t, const struct structures *s, ir_val v[MAX_REGS])
{
	bool full = s->reg_bytes == 16;
	ir_val a, b, c, d;

	if (s->selem == 2) {
		a = perm(t, s, IR_V_ZIP1, v[0], v[1]);
		if (full)
			v[1] = perm(t, s, IR_V_ZIP2, v[0], v[1]);
		v[0] = a;
	} else if (s->selem == 3) {
		ir_val in[3] = {v[0], v[1], v[2]};

		for (unsigned int i = 0; i < (full ? 3 : 2); i++)
			v[i] = a64_vop(t, IR_V_INT3, s->lane, full ? IR_FULL : IR_HALF, in[0],
				       in[1], in[2], (int32_t)i);
	} else if (s->selem == 4) {
		a = perm(t, s, IR_V_ZIP1, v[0], v[2]);
		b = perm(t, s, IR_V_ZIP1, v[1], v[3]);
		if (full) {
			c = perm(t, s, IR_V_ZIP2, v[0], v[2]);
			d = perm(t, s, IR_V_ZIP2, v[1], v[3]);
			v[2] = perm(t, s, IR_V_ZIP1, c, d);
			v[3] = perm(t, s, IR_V_ZIP2, c, d);
		}
		v[0] = perm(t, s, IR_V_ZIP1, a, b);
		v[1] = perm(t, s, IR_V_ZIP2, a, b);
	}
}

/* --- Multiple structures --- */

static void emit_multiple(struct a64 *t, const struct structures *s)
{
	bool by_element = t->mode & (CPU_MODE_BE | CPU_MODE_ALIGN);
	struct pieces p = cut(s);
	ir_val base = a64_base(t, s->rn), v[MAX_REGS];

	if (s->load) {
		if (by_element) {
			load_by_element(t, s, base, v);
		} else {
			load_pieces(t, &p, base, v);
			deinterleave(t, s, v);
		}
		put_regs(t, s, v);
	} else {
		get_regs(t, s, v);
		if (by_element) {
			store_by_element(t, s, base, v);
		} else {
			interleave(t, s, v);
			store_pieces(t, s, &p, base, v);
		}
	}
	write_back(t, s, base);
}

static bool ldst_multiple(struct a64 *t, uint32_t insn)
{
	/* Registers and elements of a structure, by opcode. */
	static const struct {
		uint8_t nr, selem;
	} kinds[16] = {
		[0x0] = {4, 4}, [0x2] = {4, 1}, [0x4] = {3, 3}, [0x6] = {3, 1},
		[0x7] = {1, 1}, [0x8] = {2, 2}, [0xa] = {2, 1},
	};
	unsigned int opcode = BITS(insn, 15, 12);
	struct structures s = {
		.rt = BITS(insn, 4, 0),
		.rn = BITS(insn, 9, 5),
		.rm = BITS(insn, 20, 16),
		.lane = BITS(insn, 11, 10),
		.nr = kinds[opcode].nr,
		.selem = kinds[opcode].selem,
		.reg_bytes = BIT(insn, 30) ? 16 : 8,
		.load = BIT(insn, 22),
		.post = BIT(insn, 23),
	};

	if (!s.nr || (s.lane == IR_D && s.reg_bytes == 8 && s.selem > 1))
		return false;
	if (!a64_fp_enabled(t))
		return true;
	emit_multiple(t, &s);
	return true;
}

/* --- Single structures --- */

static void emit_single(struct a64 *t, const struct structures *s, unsigned int index,
			unsigned int replicate_shape)
{
	bool replicate = replicate_shape != IR_SCALAR;
	ir_val base = a64_base(t, s->rn), v[MAX_REGS], x[MAX_REGS];

	if (!replicate)
		get_regs(t, s, v);
	if (!s->load) {
		if (s->nr > 1)
			probe_stores(t, s, base);
		for (unsigned int i = 0; i < s->nr; i++)
			store_element(t, s->lane, base, i << s->lane, v[i], index);
	} else {
		for (unsigned int i = 0; i < s->nr; i++)
			x[i] = load_element(t, s->lane, base, i << s->lane);
		for (unsigned int i = 0; i < s->nr; i++)
			v[i] = replicate ? simd_op1(t, IR_VDUP, s->lane, replicate_shape, x[i], 0)
					 : a64_vop(t, IR_VSET, s->lane, IR_FULL, v[i], x[i],
						   IR_NONE, (int32_t)index);
		put_regs(t, s, v);
	}
	write_back(t, s, base);
}

/* The scale is in the opcode; index bits that the lane does not need are in size. */
static bool single_lane(uint32_t insn, unsigned int *lane, unsigned int *index)
{
	unsigned int scale = BITS(insn, 15, 14), size = BITS(insn, 11, 10),
		     all = BIT(insn, 30) << 3 | BITS(insn, 12, 10);

	*lane = scale;
	*index = all >> scale;
	if (scale == IR_H)
		return !(size & 1);
	if (scale == IR_S && size == 1) {
		*lane = IR_D;
		*index = all >> 3;
		return !BIT(insn, 12);
	}
	return scale != IR_S || size == 0;
}

static bool ldst_single(struct a64 *t, uint32_t insn)
{
	bool replicate = BITS(insn, 15, 14) == 3;
	unsigned int lane, index = 0, shape = IR_SCALAR;
	struct structures s = {
		.rt = BITS(insn, 4, 0),
		.rn = BITS(insn, 9, 5),
		.rm = BITS(insn, 20, 16),
		.nr = (BIT(insn, 13) << 1 | BIT(insn, 21)) + 1,
		.load = BIT(insn, 22),
		.post = BIT(insn, 23),
	};

	if (replicate) {
		if (!s.load || BIT(insn, 12))
			return false;
		lane = BITS(insn, 11, 10);
		shape = BIT(insn, 30) ? IR_FULL : IR_HALF;
	} else if (!single_lane(insn, &lane, &index)) {
		return false;
	}
	if (!a64_fp_enabled(t))
		return true;
	s.lane = lane;
	s.selem = s.nr;
	s.reg_bytes = 1u << lane;
	emit_single(t, &s, index, shape);
	return true;
}

const struct a64_row a64_simd_ldst[] = {
	{0xbfbf0000, 0x0c000000, ldst_multiple, "ld1-4 st1-4 (multiple)"},
	{0xbfa00000, 0x0c800000, ldst_multiple, "ld1-4 st1-4 (multiple, post-indexed)"},
	{0xbf9f0000, 0x0d000000, ldst_single, "ld1-4 st1-4 ld1-4r (single)"},
	{0xbf800000, 0x0d800000, ldst_single, "ld1-4 st1-4 ld1-4r (single, post-indexed)"},
	{0, 0, NULL, NULL},
};
