/* SPDX-License-Identifier: MIT */
/*
 * Rows: what generated code has C do, on the registers that the thunk has saved.
 *
 * A row that may fault has a map of the state that is not stored yet. It is stored when the guest
 * leaves the block here, and before a helper that may look at it.
 */
#include <stddef.h>
#include <string.h>

#include "cpu/host_rmw.h"
#include "cpu/monitor.h"
#include "engine/back/x64/x64.h"
#include "engine/ir/int_ops.h"
#include "engine/vec/vec.h"

static const union vreg zero;

static uint32_t flags(struct cpu *cpu, const struct x64_block *b, const struct x64_flags *f);
static const void *vector(struct cpu *cpu, struct x64_loc at);

static uint64_t integer(struct cpu *cpu, const struct x64_block *b, struct x64_loc at)
{
	const char *state = (const char *)cpu;

	switch (at.kind) {
	case X64_LOC_GPR:
		return x64_cpu(cpu)->gpr[at.n];
	case X64_LOC_CONST:
		return b->consts[at.n];
	case X64_LOC_FLAGS:
		return flags(cpu, b, &b->flags[at.n]);
	case X64_LOC_MEM:
		return at.wide ? *(const uint64_t *)(state + at.n)
			       : *(const uint32_t *)(state + at.n);
	default:
		return 0;
	}
}

/* N Z C V of an FCMP that has raised what it had to. */
static uint32_t compared(bool wide, const void *a, const void *b)
{
	float a32, b32;
	double x, y;

	if (wide) {
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
	} else {
		memcpy(&a32, a, sizeof(a32));
		memcpy(&b32, b, sizeof(b32));
		x = a32;
		y = b32;
	}
	if (__builtin_isless(x, y))
		return FLAG_N;
	if (__builtin_isgreater(x, y))
		return FLAG_C;
	return __builtin_isunordered(x, y) ? FLAG_C | FLAG_V : FLAG_Z | FLAG_C;
}

static uint32_t flags(struct cpu *cpu, const struct x64_block *b, const struct x64_flags *f)
{
	uint64_t a, c;

	if (f->opc == IR_FCMP)
		return compared(f->wide, vector(cpu, f->a), vector(cpu, f->b));
	a = integer(cpu, b, f->a);
	c = integer(cpu, b, f->b);
	switch (f->opc) {
	case IR_CMP:
		return f->wide ? op_flags_sub64(a, c) : op_flags_sub32(a, c);
	case IR_CMN:
		return f->wide ? op_flags_add64(a, c, 0) : op_flags_add32(a, c, 0);
	case IR_TST:
		return f->wide ? op_flags_logic64(a) : op_flags_logic32(a);
	default: /* FSEL */
		return op_cond((uint32_t)a, COND_MASK(f->cond)) ? (uint32_t)c
								: (uint32_t)f->imm << 28;
	}
}

/* In two general registers' slots it is on a boundary of 8 bytes only. */
static const void *vector(struct cpu *cpu, struct x64_loc at)
{
	if (at.kind == X64_LOC_XMM)
		return &x64_cpu(cpu)->xmm[at.n];
	return at.kind == X64_LOC_MEM ? (const void *)((const char *)cpu + at.n) : &zero;
}

static void set_integer(struct cpu *cpu, struct x64_loc at, uint64_t v)
{
	if (at.kind == X64_LOC_GPR)
		x64_cpu(cpu)->gpr[at.n] = v;
}

static union vreg *result_vector(struct cpu *cpu, struct x64_loc at)
{
	return &x64_cpu(cpu)->xmm[at.n];
}

void x64_settle(struct cpu *cpu)
{
	struct x64_cpu *x = x64_cpu(cpu);
	uint64_t a = x->lazy_a, b = x->lazy_b;

	switch (x->lazy) {
	case 0:
		return;
	case X64_LAZY(IR_CMP, 0):
		cpu->nzcv = op_flags_sub32(a, b);
		break;
	case X64_LAZY(IR_CMP, 1):
		cpu->nzcv = op_flags_sub64(a, b);
		break;
	case X64_LAZY(IR_CMN, 0):
		cpu->nzcv = op_flags_add32(a, b, 0);
		break;
	case X64_LAZY(IR_CMN, 1):
		cpu->nzcv = op_flags_add64(a, b, 0);
		break;
	case X64_LAZY(IR_TST, 0):
		cpu->nzcv = op_flags_logic32(a);
		break;
	default:
		cpu->nzcv = op_flags_logic64(a);
	}
	x->lazy = 0;
}

static void store_state(struct cpu *cpu, const struct x64_block *b, const struct x64_row *r)
{
	const struct x64_dirty *d = b->dirty + r->first_dirty;

	for (const struct x64_dirty *end = d + r->nr_dirty; d < end; d++) {
		char *slot = (char *)cpu + d->slot;

		if (d->size == 16)
			memcpy(slot, vector(cpu, d->value), 16);
		else if (d->size == 8)
			*(uint64_t *)slot = integer(cpu, b, d->value);
		else
			*(uint32_t *)slot = (uint32_t)integer(cpu, b, d->value);
		if (d->slot == CPU_SLOT(nzcv))
			x64_cpu(cpu)->lazy = 0;
	}
	x64_settle(cpu);
}

/* The block is left at the row's instruction. */
static const uint8_t *leave_at(struct cpu *cpu, const struct x64_block *b, const struct x64_row *r,
			       int rc)
{
	const uint64_t *gpr = x64_cpu(cpu)->gpr;

	store_state(cpu, b, r);
	cpu->pc = gpr[X64_PAGE] + r->offset;
	cpu->icount = gpr[X64_ICOUNT] + r->retired;
	if (rc != CPU_FAULT)
		return x64_stop(cpu, (enum cpu_exit_reason)rc);
	cpu_take_fault(cpu);
	return x64_dispatch(cpu);
}

static void set_loaded(struct cpu *cpu, const struct mem_desc *d, struct x64_loc at,
		       const uint64_t *v)
{
	if (at.kind == X64_LOC_NONE)
		return;
	if (at.kind == X64_LOC_GPR)
		set_integer(cpu, at, v[0]);
	else
		*result_vector(cpu, at) = (union vreg){.d = {v[0], d->size_log2 == 4 ? v[1] : 0}};
}

/* A pair of general registers in one vector register (pair.c). */
static bool is_joined(const struct mem_desc *d, struct x64_loc at)
{
	return at.kind == X64_LOC_XMM && d->pair && !d->vec;
}

static int load(struct cpu *cpu, const struct x64_row *r, uint64_t va)
{
	const struct mem_desc *d = &r->mem;
	uint64_t out[4] = {0};
	int rc = access_load(cpu, va, d, out);

	if (rc)
		return rc;
	if (is_joined(d, r->d)) {
		*result_vector(cpu, r->d) = (union vreg){.d = {out[0], out[1]}};
		return CPU_EXIT_NONE;
	}
	set_loaded(cpu, d, r->d, out);
	if (d->pair)
		set_loaded(cpu, d, r->d2, out + (d->size_log2 == 4 ? 2 : 1));
	return CPU_EXIT_NONE;
}

static int store(struct cpu *cpu, const struct x64_block *b, const struct x64_row *r, uint64_t va)
{
	const struct mem_desc *d = &r->mem;
	uint64_t in[4] = {0};

	if (r->a.kind == X64_LOC_GPR) {
		in[0] = integer(cpu, b, r->a);
		in[1] = integer(cpu, b, r->b);
	} else {
		unsigned int words = d->size_log2 == 4 || is_joined(d, r->a) ? 2 : 1;

		memcpy(in, vector(cpu, r->a), 8 * words);
		if (!is_joined(d, r->a))
			memcpy(in + words, vector(cpu, r->b), 8 * words);
	}
	return access_store(cpu, va, d, in);
}

static int store_exclusive(struct cpu *cpu, const struct x64_block *b, const struct x64_row *r,
			   uint64_t va)
{
	uint64_t in[2] = {integer(cpu, b, r->c), integer(cpu, b, r->b)};
	uint32_t status = 1;
	int rc = access_store_excl(cpu, va, &r->mem, in, &status);

	if (!rc)
		set_integer(cpu, r->d, status);
	return rc;
}

/* The host's address, if the TLB line serves an aligned write there; NULL: the slow way. */
static void *written(struct cpu *cpu, const struct x64_row *r, uint64_t va)
{
	const struct tlb_entry *e = &cpu->bank->e[tlb_index(va)];
	uint64_t size = 1ull << r->mem.size_log2;

	if (r->mem.be || (va & (size - 1)) || e->write_tag != (va & TLB_PAGE_MASK))
		return NULL;
	return (void *)(uintptr_t)(va + e->addend);
}

#define EACH_SIZE(X) X(0, 8) X(1, 16) X(2, 32) X(3, 64)

static int compare_and_swap(struct cpu *cpu, const struct x64_block *b, const struct x64_row *r,
			    uint64_t va)
{
	uint64_t expect[2] = {integer(cpu, b, r->b)}, value[2] = {integer(cpu, b, r->c)};
	uint64_t old[2] = {0};
	void *host = written(cpu, r, va);
	struct monitor_hold hold;
	int rc;

	if (host && monitor_try(cpu->machine, host, &hold)) {
		bool there = false, done = false;

		switch (r->mem.size_log2) {
#define CAS(log2, n)                                                         \
	case log2: {                                                         \
		uint##n##_t e = (uint##n##_t)expect[0];                      \
                                                                             \
		there = host_cas##n(host, &e, (uint##n##_t)value[0], &done); \
		old[0] = e;                                                  \
		break;                                                       \
	}
			EACH_SIZE(CAS)
#undef CAS
		}
		monitor_release(&hold, there && done);
		if (there) {
			set_integer(cpu, r->d, old[0]);
			return CPU_EXIT_NONE;
		}
	}
	rc = access_cas(cpu, va, &r->mem, expect, value, old);
	if (!rc)
		set_integer(cpu, r->d, old[0]);
	return rc;
}

static int read_modify_write(struct cpu *cpu, const struct x64_block *b, const struct x64_row *r,
			     uint64_t va)
{
	uint64_t old = 0, value = integer(cpu, b, r->c);
	void *host = written(cpu, r, va);
	struct monitor_hold hold;
	int rc;

	if (host && monitor_try(cpu->machine, host, &hold)) {
		bool there = false;

		switch (r->mem.size_log2) {
#define RMW(log2, n)                                                                     \
	case log2: {                                                                     \
		uint##n##_t v = 0;                                                       \
                                                                                         \
		there = host_rmw##n(host, (enum mem_rmw)r->imm, (uint##n##_t)value, &v); \
		old = v;                                                                 \
		break;                                                                   \
	}
			EACH_SIZE(RMW)
#undef RMW
		}
		monitor_release(&hold, there);
		if (there) {
			set_integer(cpu, r->d, old);
			return CPU_EXIT_NONE;
		}
	}
	rc = access_rmw(cpu, va, &r->mem, (enum mem_rmw)r->imm, value, &old);
	if (!rc)
		set_integer(cpu, r->d, old);
	return rc;
}

static int call(struct cpu *cpu, const struct x64_block *b, const struct x64_row *r)
{
	ir_helper_fn *fn = (ir_helper_fn *)(uintptr_t)r->fn;
	uint64_t a[3] = {integer(cpu, b, r->a), integer(cpu, b, r->b), integer(cpu, b, r->c)};
	uint64_t result = 0;

	store_state(cpu, b, r);
	/* A helper may look at the count of retired instructions. */
	cpu->icount = x64_cpu(cpu)->gpr[X64_ICOUNT] + r->retired;
	int rc = fn(cpu, a[0], a[1], a[2], &result);

	x64_limit_changed(cpu);
	if (!rc)
		set_integer(cpu, r->d, result);
	return rc;
}

static int run(struct cpu *cpu, const struct x64_block *b, const struct x64_row *r)
{
	uint64_t va = x64_cpu(cpu)->gpr[RAX];

	switch ((enum x64_row_kind)r->kind) {
	case X64_ROW_LOAD:
		return load(cpu, r, va);
	case X64_ROW_STORE:
		return store(cpu, b, r, va);
	case X64_ROW_STX:
		return store_exclusive(cpu, b, r, va);
	case X64_ROW_RMW:
		return read_modify_write(cpu, b, r, va);
	case X64_ROW_CAS:
		return compare_and_swap(cpu, b, r, va);
	case X64_ROW_PROBE_R:
	case X64_ROW_PROBE_W:
		return access_probe(cpu, va, (uint64_t)r->imm, &r->mem, r->kind == X64_ROW_PROBE_W);
	case X64_ROW_SPCHECK:
		cpu->fault = (struct cpu_fault){.esr = ESR(EC_SP_ALIGN, 0)};
		return CPU_FAULT;
	case X64_ROW_CALL:
		return call(cpu, b, r);
	case X64_ROW_STEP:
		store_state(cpu, b, r);
		cpu_step_done(cpu, r->aux);
		return CPU_EXIT_NONE;
	case X64_ROW_VEC:
		((vec_fn *)(uintptr_t)r->fn)(cpu, result_vector(cpu, r->d), vector(cpu, r->a),
					     vector(cpu, r->b), vector(cpu, r->c), r->imm);
		return CPU_EXIT_NONE;
	case X64_ROW_FTOI:
		set_integer(cpu, r->d,
			    vec_ftoi(cpu, vector(cpu, r->a), IR_LANE(r->aux), r->type == IR_I64,
				     r->imm));
		return CPU_EXIT_NONE;
	case X64_ROW_ITOF:
		vec_itof(cpu, result_vector(cpu, r->d), integer(cpu, b, r->a), IR_LANE(r->aux),
			 r->imm);
		return CPU_EXIT_NONE;
	case X64_ROW_FCMP:
		set_integer(cpu, r->d,
			    vec_fcmp(cpu, vector(cpu, r->a),
				     r->imm & VEC_FCMP_ZERO ? NULL : vector(cpu, r->b),
				     IR_LANE(r->aux), r->imm));
		return CPU_EXIT_NONE;
	case X64_ROW_ZVA:
		return access_dc_zva(cpu, va);
	case X64_ROW_FLAGS:
		x64_settle(cpu);
		return CPU_EXIT_NONE;
	case X64_ROW_CRC32:
		set_integer(cpu, r->d,
			    op_crc32((uint32_t)integer(cpu, b, r->a), integer(cpu, b, r->b),
				     (unsigned int)r->imm, r->aux));
		return CPU_EXIT_NONE;
	}
	return CPU_EXIT_NONE;
}

const uint8_t *x64_run_row(struct cpu *cpu, const uint8_t *start, uint32_t n)
{
	const struct x64_block *b = x64_block_at(start);
	const struct x64_row *r = &b->rows[n];

	x64_cpu(cpu)->rows_run[x64_row_name(r)]++;
	/* While a block runs PC is where it began. */
	cpu->pc = x64_cpu(cpu)->gpr[X64_PAGE] + b->common.offset;
	int rc = run(cpu, b, r);

	return rc ? leave_at(cpu, b, r, rc) : NULL;
}
