/* SPDX-License-Identifier: MIT */
/*
 * From instruction words to rows, and from a run of words to a block.
 *
 * The index has a list of rows for each value of bits 31:21, made once, in the tables' order: a
 * look-up tests a handful of rows, the first that matches wins.
 *
 * How a block is cut: it follows the fall-through path past forward conditional branches (they are
 * side exits), and ends at an instruction that leaves, at a backward conditional branch (so that
 * loops chain to their heads), after A64_MAX_SIDE_EXITS branches, at the page's end, or when full.
 */
#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/front/a64/a64.h"
#include "engine/front/a64/decode.h"
#include "engine/front/front.h"

#define INDEX_SHIFT   21
#define INDEX_BUCKETS (1u << (32 - INDEX_SHIFT))

#define A64_MAX_SIDE_EXITS 3

const struct a64_row *const a64_tables[A64_NR_TABLES] = {
	a64_dp_imm, a64_dp_reg, a64_branch,      a64_system,    a64_ldst,   a64_atomic,
	a64_fp,     a64_simd,   a64_simd_scalar, a64_simd_ldst, a64_crypto,
};

/* Written once by index_make(), read only after. */
static struct {
	pthread_once_t once;
	uint32_t first[INDEX_BUCKETS + 1]; /* bucket n is row[first[n]] .. row[first[n + 1] - 1] */
	const struct a64_row **row;        /* NULL: no memory; the tables are searched instead */
} decode_index = {.once = PTHREAD_ONCE_INIT};

/* Call @visit for each bucket that has words which @row matches. */
static void each_bucket(const struct a64_row *row, void (*visit)(const struct a64_row *, uint32_t))
{
	uint32_t fixed = row->mask >> INDEX_SHIFT, open = ~fixed & (INDEX_BUCKETS - 1), n = 0;

	do {
		visit(row, (row->value >> INDEX_SHIFT) | n);
		n = (n - open) & open;
	} while (n);
}

static void each_row(void (*visit)(const struct a64_row *, uint32_t))
{
	for (unsigned int i = 0; i < A64_NR_TABLES; i++)
		for (const struct a64_row *r = a64_tables[i]; r->fn; r++)
			each_bucket(r, visit);
}

static void bucket_count(const struct a64_row *row, uint32_t bucket)
{
	decode_index.first[bucket]++;
}

static void bucket_fill(const struct a64_row *row, uint32_t bucket)
{
	decode_index.row[decode_index.first[bucket]++] = row;
}

static void index_make(void)
{
	uint32_t *first = decode_index.first, sum = 0;

	each_row(bucket_count);
	for (uint32_t n = 0; n <= INDEX_BUCKETS; n++) {
		uint32_t count = first[n];

		first[n] = sum;
		sum += count;
	}
	decode_index.row = malloc(sum * sizeof(*decode_index.row));
	if (!decode_index.row)
		return;
	/* Filling moves each bucket's start to its end, which is the next one's start. */
	each_row(bucket_fill);
	memmove(first + 1, first, INDEX_BUCKETS * sizeof(*first));
	first[0] = 0;
}

static const struct a64_row *search_tables(uint32_t insn)
{
	for (unsigned int i = 0; i < A64_NR_TABLES; i++)
		for (const struct a64_row *r = a64_tables[i]; r->fn; r++)
			if ((insn & r->mask) == r->value)
				return r;
	return NULL;
}

const struct a64_row *a64_decode(uint32_t insn)
{
	uint32_t n = insn >> INDEX_SHIFT;

	pthread_once(&decode_index.once, index_make);
	if (!decode_index.row)
		return search_tables(insn);
	for (uint32_t i = decode_index.first[n]; i < decode_index.first[n + 1]; i++)
		if ((insn & decode_index.row[i]->mask) == decode_index.row[i]->value)
			return decode_index.row[i];
	return NULL;
}

/* One instruction, whole, or the UNDEFINED exception. */
static void translate_insn(struct a64 *t, uint32_t insn)
{
	const struct a64_row *row = a64_decode(insn);
	struct a64 before = *t;
	uint16_t nr_ops = t->b->nr_ops, nr_mem = t->b->nr_mem;

	t->insn = insn;
	if (row && row->fn(t, insn))
		return;
	*t = before;
	t->b->nr_ops = nr_ops;
	t->b->nr_mem = nr_mem;
	a64_undefined(t);
}

static bool is_side_exit(const struct ir_op *op)
{
	return op->opc >= IR_BCC && op->opc <= IR_TBNZ;
}

/* Does the side exit that the present instruction ended with, if any, end the block? */
static bool side_exit_ends(const struct a64 *t, unsigned int *nr)
{
	const struct ir_op *last;

	if (!t->b->nr_ops)
		return false;
	last = &t->b->op[t->b->nr_ops - 1];
	if (last->insn != t->index || !is_side_exit(last))
		return false;
	return last->imm <= t->at || ++*nr >= A64_MAX_SIDE_EXITS;
}

static void begin(struct ir_block *b, uint32_t offset, uint32_t mode)
{
	b->pc_offset = offset;
	b->mode = mode;
	b->nr_ops = b->nr_mem = 0;
	b->path = false;
	b->helpers = a64_helpers;
	b->nr_helpers = A64_NR_HELPERS;
	b->guest_first = 0;
	b->guest_size = 0;
}

/* The instruction at @t->at. */
static void translate_next(struct a64 *t, const void *words)
{
	struct ir_block *b = t->b;
	uint32_t insn;

	memcpy(&insn, (const char *)words + b->pc_offset + t->at, sizeof(insn));
	b->insn_offset[t->index] = t->at;
	b->insn_offset[t->index + 1] = t->at + 4;
	translate_insn(t, le32toh(insn));
	if (b->nr_ops > IR_MAX_OPS - A64_OPS_RESERVE || b->nr_mem > IR_MAX_MEM - A64_MEM_RESERVE)
		t->full = true;
}

void a64_translate_block(struct ir_block *b, const void *words, uint32_t offset, uint32_t mode,
			 unsigned int max_insns)
{
	struct a64 t = {.b = b, .mode = mode};
	unsigned int nr_sides = 0, left = (MEM_PAGE_SIZE - offset) / 4;

	if (mode & CPU_MODE_STEP)
		max_insns = 1;
	if (max_insns > left)
		max_insns = left;
	begin(b, offset, mode);
	for (;;) {
		translate_next(&t, words);
		if (t.done)
			break;
		if (t.full || side_exit_ends(&t, &nr_sides) || t.index + 1u >= max_insns) {
			a64_jump(&t, 4, IR_FALLTHROUGH);
			break;
		}
		t.index++;
		t.at += 4;
	}
	b->nr_insns = t.index + 1;
	b->guest_size = (uint16_t)(4 * b->nr_insns);
}

/* --- along a path --- */

/* The side exit @o leads to where it does not lead now, and goes on where it led. */
static void invert(struct ir_op *o, int32_t elsewhere)
{
	static const uint8_t others[IR_SCALAR_OPS] = {
		[IR_BCC] = IR_BCC,  [IR_CBZ] = IR_CBNZ, [IR_CBNZ] = IR_CBZ,
		[IR_TBZ] = IR_TBNZ, [IR_TBNZ] = IR_TBZ,
	};

	if (o->opc == IR_BCC)
		o->aux ^= 1;
	o->opc = others[o->opc];
	o->imm = elsewhere;
}

/* Have the instruction that was translated last go on at @next. False: it cannot. */
static bool follow(struct a64 *t, int32_t next)
{
	struct ir_block *b = t->b;
	struct ir_op *last = b->nr_ops ? &b->op[b->nr_ops - 1] : NULL;
	bool own = last && last->insn == t->index, sequential = next == t->at + 4;

	if (t->done) {
		if (!own || last->opc != IR_JUMP || last->imm != next)
			return false;
		b->nr_ops--;
		t->done = false;
		return true;
	}
	if (sequential)
		return true;
	if (!own || !is_side_exit(last) || last->imm != next)
		return false;
	invert(last, t->at + 4);
	return true;
}

static void cover(struct ir_block *b)
{
	int32_t first = 0, end = 0;

	for (unsigned int i = 0; i < b->nr_insns; i++) {
		if (b->insn_offset[i] < first)
			first = b->insn_offset[i];
		if (b->insn_offset[i] + 4 > end)
			end = b->insn_offset[i] + 4;
	}
	b->guest_first = first;
	b->guest_size = (uint16_t)(end - first);
}

bool a64_translate_path(struct ir_block *b, const void *words, const struct ir_path *path,
			uint32_t mode)
{
	uint32_t start = path->run[0].offset;
	struct a64 t = {.b = b, .mode = mode};

	begin(b, start, mode);
	b->path = true;
	for (unsigned int n = 0; n < path->nr; n++) {
		t.at = (int32_t)(path->run[n].offset - start);
		for (unsigned int k = 0; k < path->run[n].nr_insns; k++) {
			bool ends = k + 1u == path->run[n].nr_insns;
			int32_t next = t.at + 4;

			if (t.index + 1u >= IR_MAX_INSNS || (uint32_t)next + start > MEM_PAGE_SIZE)
				return false;
			translate_next(&t, words);
			if (t.full || (t.done && !ends))
				return false;
			if (ends && n + 1 == path->nr)
				break;
			if (ends)
				next = (int32_t)(path->run[n + 1].offset - start);
			if (!follow(&t, next))
				return false;
			t.index++;
			t.at += 4;
		}
	}
	if (!t.done)
		a64_jump(&t, 4, IR_FALLTHROUGH);
	b->nr_insns = t.index + 1;
	cover(b);
	return true;
}

static const char *insn_name(const void *bytes)
{
	const struct a64_row *row;
	uint32_t insn;

	memcpy(&insn, bytes, sizeof(insn));
	row = a64_decode(le32toh(insn));
	return row ? row->name : "UNDEFINED";
}

const struct front front_a64 = {
	.name = "a64",
	.translate = a64_translate_block,
	.translate_path = a64_translate_path,
	.insn_align = 4,
	.helpers = a64_helpers,
	.nr_helpers = A64_NR_HELPERS,
	.insn_name = insn_name,
};
