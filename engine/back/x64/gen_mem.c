/* SPDX-License-Identifier: MIT */
/*
 * Memory accesses: the TLB probe inline, everything else as a row.
 *
 * The probe is that of the executor (LINE() and READ_HIT() in back/exec/exec.c): a crossing access
 * does not match the tag of the page that its last byte is in. When the line does not match, or the
 * host has no memory there, the access is the row's.
 */
#include <stddef.h>

#include "cpu/arch.h"
#include "engine/back/x64/x64.h"

#define LINE_LOG2 5
_Static_assert(sizeof(struct tlb_entry) == 1 << LINE_LOG2, "the probe knows the size of a line");

/* What an access needs to know of itself, hot or cold. */
struct access {
	const struct ir_op *o;
	const struct mem_desc *d;
	struct x64_row *row;
	bool load, vec, second;
	bool joined;                   /* two general registers as one vector (pair.c) */
	bool index_is32;               /* its upper half is zero */
	unsigned int size;             /* of one element */
	unsigned int base, index;      /* registers; index: X64_NO_REG */
	unsigned int reg, reg2;        /* of the data */
	const struct x64_group *group; /* or NULL */
	unsigned int addend;           /* the group's register */
};

static unsigned int all_bytes(const struct access *x)
{
	return x->size << x->d->pair;
}

/* Emit the address to rax, if it is not in a register as it is. By way of rcx. */
static unsigned int address(struct x64_compiler *g, const struct access *x)
{
	const struct mem_desc *d = x->d;
	unsigned int index = x->index;

	if (index == X64_NO_REG) {
		if (!d->offset)
			return x->base;
		x64_rm(&g->b, X64_LEA, 1, RAX, x64_at(x->base, d->offset));
		return RAX;
	}
	if (d->index_ext == 2 || (d->index_ext == 1 && !x->index_is32)) {
		x64_rr(&g->b, d->index_ext == 2 ? X64_MOVSXD : X64_MOV, d->index_ext == 2, RCX,
		       index);
		index = RCX;
	}
	if (d->scale > 3) {
		x64_rri(&g->b, X64_RORX, 1, RCX, index, 64 - d->scale);
		x64_ri(&g->b, X64_AND_I, 1, RCX, -(1 << d->scale));
		x64_rm(&g->b, X64_LEA, 1, RAX, x64_at_index(x->base, RCX, 0, d->offset));
	} else {
		x64_rm(&g->b, X64_LEA, 1, RAX, x64_at_index(x->base, index, d->scale, d->offset));
	}
	return RAX;
}

unsigned int x64_probe(struct x64_compiler *g, const struct mem_desc *d, unsigned int va,
		       unsigned int size, bool write, unsigned int to, uint8_t **from)
{
	int32_t tag = write ? offsetof(struct tlb_entry, write_tag)
			    : offsetof(struct tlb_entry, read_tag);
	unsigned int nr = 0, base = X64_BANK;

	if (d->align && size > 1) {
		x64_ri(&g->b, X64_TEST_I, 0, va, (int32_t)size - 1);
		from[nr++] = x64_jcc(&g->b, X64_NE);
	}
	/* The index times the size of a line. */
	x64_rri(&g->b, X64_RORX, 1, RCX, va, 12 - LINE_LOG2);
	x64_ri(&g->b, X64_AND_I, 0, RCX, (TLB_SIZE - 1) << LINE_LOG2);
	if (d->unpriv) {
		x64_rm(&g->b, X64_ADD, 1, RCX, x64_at(X64_CPU, X64_DISP(CPU_SLOT(bank_el0))));
		base = RCX;
	}
	if (size > 1)
		x64_rm(&g->b, X64_LEA, 1, RDX, x64_at(va, (int32_t)size - 1));
	else
		x64_rr(&g->b, X64_MOV, 1, RDX, va);
	x64_ri(&g->b, X64_AND_I, 1, RDX, -4096);
	struct x64_mem line = base == RCX ? x64_at(RCX, 0) : x64_at_index(base, RCX, 0, 0);

	line.disp = tag;
	x64_rm(&g->b, X64_CMP, 1, RDX, line);
	from[nr++] = x64_jcc(&g->b, X64_NE);
	line.disp = offsetof(struct tlb_entry, addend);
	x64_rm(&g->b, X64_MOV, 1, to, line);
	return nr;
}

bool x64_general_only(const struct x64_compiler *g, const struct ir_op *o)
{
	const struct mem_desc *d = &g->w->b.mem[o->aux];
	bool indexed = o->opc == IR_LD ? o->b != IR_NONE : !d->pair && o->b != IR_NONE;

	return d->be || d->excl || (g->w->b.mode & CPU_MODE_ALIGN) ||
	       (indexed && (d->unpriv || d->order)) || (d->pair && (d->order || d->unpriv)) ||
	       (d->order && (d->vec || d->sign));
}

static void load_int(struct x64_compiler *g, const struct mem_desc *d, unsigned int reg,
		     struct x64_mem m)
{
	static const uint16_t narrow[2][2] = {{X64_MOVZX8, X64_MOVZX16}, {X64_MOVSX8, X64_MOVSX16}};

	if (d->size_log2 < 2)
		x64_rm(&g->b, (enum x64_op)narrow[d->sign][d->size_log2], d->sign && d->reg64, reg,
		       m);
	else if (d->size_log2 == 2 && d->sign && d->reg64)
		x64_rm(&g->b, X64_MOVSXD, 1, reg, m);
	else
		x64_rm(&g->b, X64_MOV, d->size_log2 == 3, reg, m);
}

static void load_vec(struct x64_compiler *g, unsigned int size_log2, unsigned int reg,
		     struct x64_mem m)
{
	switch (size_log2) {
	case 0:
	case 1:
		x64_rm(&g->b, size_log2 ? X64_MOVZX16 : X64_MOVZX8, 0, RCX, m);
		x64_rr(&g->b, X64_VMOVD, 0, reg, RCX);
		break;
	case 2:
		x64_rm(&g->b, X64_VMOVSS, 0, reg, m);
		break;
	case 3:
		x64_rm(&g->b, X64_VMOVSD, 0, reg, m);
		break;
	default:
		x64_rm(&g->b, X64_VMOVDQU, 0, reg, m);
	}
}

/*
 * Is the value a vector register's? A lane goes through an integer temp, whatever the instruction's
 * register is.
 */
static bool in_xmm(const struct x64_compiler *g, ir_val v)
{
	return ir_result_type(&g->w->b.op[v]) == IR_V128;
}

/* Of what one of the host's instructions accesses. */
static unsigned int log2_of(const struct access *x)
{
	return x->d->size_log2 + x->joined;
}

static void load_one(struct x64_compiler *g, const struct access *x, unsigned int reg,
		     struct x64_mem m)
{
	if (x->vec)
		load_vec(g, log2_of(x), reg, m);
	else
		load_int(g, x->d, reg, m);
}

static void store_one(struct x64_compiler *g, const struct access *x, unsigned int reg,
		      struct x64_mem m)
{
	static const uint16_t ints[4] = {X64_MOV8_ST, X64_MOV16_ST, X64_MOV_ST, X64_MOV_ST};
	unsigned int n = log2_of(x);

	if (!x->vec) {
		x64_rm(&g->b, (enum x64_op)ints[n], n == 3, reg, m);
		return;
	}
	switch (n) {
	case 0:
		x64_rmi(&g->b, X64_VPEXTRB, 0, reg, m, 0);
		break;
	case 1:
		x64_rmi(&g->b, X64_VPEXTRW, 0, reg, m, 0);
		break;
	case 2:
		x64_rm(&g->b, X64_VMOVSS_ST, 0, reg, m);
		break;
	case 3:
		x64_rm(&g->b, X64_VMOVSD_ST, 0, reg, m);
		break;
	default:
		x64_rm(&g->b, X64_VMOVDQU_ST, 0, reg, m);
	}
}

/* A store release: an exchange keeps it before the loads that follow. By way of rdx. */
static void store_release(struct x64_compiler *g, const struct access *x, struct x64_mem m)
{
	static const uint16_t exchanges[4] = {X64_XCHG8, X64_XCHG16, X64_XCHG, X64_XCHG};

	x64_rr(&g->b, X64_MOV, 1, RDX, x->reg);
	x->row->access[0] = x64_here(g);
	x64_rm(&g->b, (enum x64_op)exchanges[x->d->size_log2], x->d->size_log2 == 3, RDX, m);
}

/* The host's accesses, at @m; they are the row's access[first] and the one behind it. */
static void do_access(struct x64_compiler *g, const struct access *x, struct x64_mem m,
		      unsigned int first)
{
	if (!x->load && x->d->order) {
		store_release(g, x, m);
		return;
	}
	x->row->access[first] = x64_here(g);
	if (x->load)
		load_one(g, x, x->reg, m);
	else
		store_one(g, x, x->reg, m);
	if (!x->second)
		return;
	m.disp += (int32_t)x->size;
	x->row->access[first + 1] = x64_here(g);
	if (x->load)
		load_one(g, x, x->reg2, m);
	else
		store_one(g, x, x->reg2, m);
}

/* A probe of its own and what it leads to, in the hot part or in the cold one. */
static unsigned int probed_access(struct x64_compiler *g, const struct access *x,
				  unsigned int first, uint8_t **from)
{
	unsigned int va = address(g, x);
	unsigned int nr = x64_probe(g, x->d, va, all_bytes(x), !x->load, RCX, from);

	do_access(g, x, x64_at_index(va, RCX, 0, 0), first);
	return nr;
}

/* The row of the access in the cold part, which computes the address anew: the host may have
 * faulted. */
static void access_row(struct x64_compiler *g, const struct access *x, const uint8_t *back)
{
	unsigned int va;

	x->row->stub = x64_here(g);
	va = address(g, x);
	if (va != RAX)
		x64_rr(&g->b, X64_MOV, 1, RAX, va);
	x64_row_call_cold(g, x->row, back);
}

static void single_access(struct x64_compiler *g, const struct access *x)
{
	uint8_t *from[X64_MAX_FROM];
	unsigned int nr = probed_access(g, x, 0, from);
	const uint8_t *back = g->b.p;

	x64_cold(g);
	for (unsigned int n = 0; n < nr; n++)
		x64_cross(g, from[n], g->b.p);
	access_row(g, x, back);
	x64_hot(g);
}

/*
 * In the cold part: an access of a group whose probe did not match, by itself. The jumps at out[]
 * lead here.
 */
static void left_alone(struct x64_compiler *g, const struct access *x, uint8_t *const out[],
		       unsigned int nr_out, unsigned int addend, const uint8_t *back)
{
	uint8_t *from[X64_MAX_FROM];
	unsigned int nr;

	x64_cold(g);
	for (unsigned int n = 0; n < nr_out; n++)
		x64_cross(g, out[n], g->b.p);
	if (addend != X64_NO_REG)
		x64_mov_imm(&g->b, addend, X64_GROUP_NONE);
	nr = probed_access(g, x, 2, from);
	x64_cross(g, x64_jmp(&g->b, false), back);
	for (unsigned int n = 0; n < nr; n++)
		x64_patch(from[n], g->b.p);
	access_row(g, x, back);
	x64_hot(g);
}

static bool begins(const struct x64_compiler *g, const struct x64_group *r)
{
	return r->first == g->i;
}

/* The register of the group's addend, if the access is of one. */
static void use_group(struct x64_compiler *g, struct access *x)
{
	const struct x64_group *r;

	if (!g->group[g->i])
		return;
	r = &g->groups[g->group[g->i] - 1];
	if (r->addend == X64_NOTHING)
		return;
	x->group = r;
	x->addend = begins(g, r) ? x64_def_as(g, r->addend) : x64_use(g, r->addend);
	x64_uses_next(g, r->addend, g->group_next[g->i]);
}

static void grouped_access(struct x64_compiler *g, const struct access *x)
{
	const struct x64_group *r = x->group;
	uint8_t *out[X64_MAX_FROM];
	unsigned int nr = 0;

	if (begins(g, r)) {
		int32_t low = r->min - (g->group_at[g->i] - x->d->offset);

		x64_rm(&g->b, X64_LEA, 1, RAX, x64_at(x->base, low));
		nr = x64_probe(g, x->d, RAX, r->len, r->write, x->addend, out);
	} else {
		x64_ri(&g->b, X64_TEST_I, 0, x->addend, X64_GROUP_NONE);
		out[nr++] = x64_jcc(&g->b, X64_NE);
	}
	do_access(g, x, x64_at_index(x->base, x->addend, 0, x->d->offset), 0);
	left_alone(g, x, out, nr, begins(g, r) ? x->addend : X64_NO_REG, g->b.p);
}

/*
 * What gives way to a result or an addend is in memory when the row's map is made: their registers
 * may be overwritten before an access faults.
 */
static void emit_access(struct x64_compiler *g, struct access *x)
{
	unsigned int va;

	if (x64_general_only(g, x->o)) {
		va = address(g, x);
		if (va != RAX)
			x64_rr(&g->b, X64_MOV, 1, RAX, va);
		x64_call_row(g, x->row);
	} else if (x->group) {
		grouped_access(g, x);
	} else {
		single_access(g, x);
	}
}

static struct access new_access(struct x64_compiler *g, const struct ir_op *o, bool load, bool vec,
				bool indexed)
{
	const struct mem_desc *d = &g->w->b.mem[o->aux];
	struct access x = {.o = o,
			   .d = d,
			   .load = load,
			   .vec = vec,
			   .joined = vec && d->pair && !d->vec,
			   .size = 1u << d->size_log2};

	x.base = x64_use(g, o->a);
	x.index = indexed ? x64_use(g, o->b) : X64_NO_REG;
	x.index_is32 = indexed && g->w->b.op[o->b].type == IR_I32;
	return x;
}

static unsigned int def_loaded(struct x64_compiler *g, bool vec, ir_val v)
{
	return vec ? x64_def_xmm_as(g, v) : x64_def_as(g, v);
}

void x64_gen_load(struct x64_compiler *g, const struct ir_op *o)
{
	const struct ir_block *b = &g->w->b;
	bool vec = o->type == IR_V128;
	struct access x;

	x64_flags_clobber(g);
	x = new_access(g, o, true, vec, o->b != IR_NONE);
	x.second = x.d->pair && g->i + 1 < b->nr_ops && b->op[g->i + 1].opc == IR_LDHI &&
		   !g->w->dead[g->i + 1];
	x.reg = def_loaded(g, vec, (ir_val)g->i);
	if (x.second)
		x.reg2 = def_loaded(g, vec, (ir_val)(g->i + 1));
	use_group(g, &x);
	x.row = x64_new_row(g, X64_ROW_LOAD);
	x.row->d = x64_in_register(vec, x.reg);
	if (x.second)
		x.row->d2 = x64_in_register(vec, x.reg2);
	emit_access(g, &x);
}

/* c is stored; of a pair b is the second value, unless c is both. */
void x64_gen_store(struct x64_compiler *g, const struct ir_op *o)
{
	bool vec = in_xmm(g, o->c), pair = g->w->b.mem[o->aux].pair;
	bool second = pair && o->b != IR_NONE;
	struct access x;
	unsigned int reg, reg2 = 0;

	x64_flags_clobber(g);
	reg = vec ? x64_use_xmm(g, o->c) : x64_use(g, o->c);
	if (second)
		reg2 = vec ? x64_use_xmm(g, o->b) : x64_use(g, o->b);
	x = new_access(g, o, false, vec, !pair && o->b != IR_NONE);
	x.second = second;
	x.reg = reg;
	x.reg2 = reg2;
	use_group(g, &x);
	x.row = x64_new_row(g, X64_ROW_STORE);
	x.row->a = x64_in_register(vec, reg);
	if (second)
		x.row->b = x64_in_register(vec, reg2);
	emit_access(g, &x);
}

/* DC ZVA: four stores of zeroes to an aligned block. */
void x64_gen_zva(struct x64_compiler *g, const struct ir_op *o)
{
	static const struct mem_desc any;
	unsigned int a, nr = 0;
	uint8_t *from[X64_MAX_FROM + 1];
	const uint8_t *back;
	struct x64_row *r;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	r = x64_new_row(g, X64_ROW_ZVA);
	if (g->w->b.mode & CPU_MODE_ALIGN) {
		x64_rr(&g->b, X64_MOV, 1, RAX, a);
		x64_call_row(g, r);
		return;
	}
	if (!(g->w->b.mode & CPU_MODE_EL1)) {
		x64_mi(&g->b, X64_TEST_I, 0, x64_at(X64_CPU, X64_DISP(CPU_SLOT(sys.sctlr))),
		       SCTLR_DZE);
		from[nr++] = x64_jcc(&g->b, X64_E);
	}
	x64_rr(&g->b, X64_MOV, 1, RAX, a);
	x64_ri(&g->b, X64_AND_I, 1, RAX, -(int32_t)BLOCK_ZVA);
	nr += x64_probe(g, &any, RAX, BLOCK_ZVA, true, RCX, from + nr);
	x64_rvr(&g->b, X64_VPXOR, 0, X64_XSCRATCH, X64_XSCRATCH, X64_XSCRATCH);
	for (unsigned int n = 0; n < 4; n++) {
		r->access[n] = x64_here(g);
		x64_rm(&g->b, X64_VMOVDQU_ST, 0, X64_XSCRATCH,
		       x64_at_index(RAX, RCX, 0, 16 * (int32_t)n));
	}
	back = g->b.p;
	x64_cold(g);
	for (unsigned int n = 0; n < nr; n++)
		x64_cross(g, from[n], g->b.p);
	r->stub = x64_here(g);
	x64_rr(&g->b, X64_MOV, 1, RAX, a);
	x64_row_call_cold(g, r, back);
	x64_hot(g);
}

/* PROBE_R, PROBE_W, SPCHECK, STEP: nothing comes of them but that they may fault. */
void x64_gen_check(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int kind = o->opc == IR_PROBE_R ? X64_ROW_PROBE_R : X64_ROW_PROBE_W;
	struct x64_row *r;
	unsigned int a;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	x64_rm(&g->b, X64_LEA, 1, RAX, x64_at(a, g->w->b.mem[o->aux].offset));
	r = x64_new_row(g, kind);
	x64_call_row(g, r);
}

void x64_gen_spcheck(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int a;
	uint8_t *from[1];
	struct x64_row *r;

	x64_flags_clobber(g);
	a = x64_use(g, o->a);
	r = x64_new_row(g, X64_ROW_SPCHECK);
	x64_ri(&g->b, X64_TEST_I, 0, a, 15);
	from[0] = x64_jcc(&g->b, X64_NE);
	x64_row_stub(g, r, from, 1, g->b.p);
}

void x64_gen_clrex(struct x64_compiler *g, const struct ir_op *o)
{
	x64_mi(&g->b, X64_MOV_I, 1, x64_at(X64_CPU, X64_DISP(CPU_SLOT(excl_size))), 0);
}

/* The host keeps loads and stores in order but for a store before a load. */
void x64_gen_fence(struct x64_compiler *g, const struct ir_op *o)
{
	if (o->aux != IR_FENCE_FULL)
		return;
	/* What compilers take for a full barrier: cheaper than MFENCE. */
	x64_flags_clobber(g);
	x64_rm(&g->b, X64_LOCK_OR_ST, 0, RAX, x64_at(RSP, -8));
}

void x64_gen_count(struct x64_compiler *g, const struct ir_op *o)
{
	x64_flags_clobber(g);
	x64_mi(&g->b, X64_ADD_I, 1, x64_at(X64_CPU, X64_DISP(o->imm)), o->aux);
}
