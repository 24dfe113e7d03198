/* SPDX-License-Identifier: MIT */
/*
 * From the IR of a block to code: a table of generators, one row an op, and what they share: rows,
 * the hot and the cold part, the entries.
 */
#include <stddef.h>
#include <string.h>

#include "engine/back/x64/memory.h"
#include "engine/back/x64/x64.h"

/* --- two parts --- */

static void exchange(struct x64_compiler *g)
{
	struct x64_buf b = g->b;

	g->b = g->other;
	g->other = b;
}

void x64_cold(struct x64_compiler *g)
{
	exchange(g);
}

void x64_hot(struct x64_compiler *g)
{
	exchange(g);
}

void x64_cross(struct x64_compiler *g, uint8_t *at, const uint8_t *to)
{
	if (g->nr_cross == X64_MAX_CROSS || !at) {
		g->full = true;
		return;
	}
	g->cross[g->nr_cross++] = (struct x64_cross){at, to};
}

/* --- constants and rows --- */

uint16_t x64_constant(struct x64_compiler *g, uint64_t k)
{
	for (unsigned int n = g->nr_consts; n-- > 0 && n + 16 > g->nr_consts;)
		if (g->consts[n] == k)
			return (uint16_t)n;
	if (g->nr_consts == X64_MAX_CONSTS) {
		g->full = true;
		return 0;
	}
	g->consts[g->nr_consts] = k;
	return (uint16_t)g->nr_consts++;
}

struct x64_row *x64_new_row(struct x64_compiler *g, unsigned int kind)
{
	const struct ir_block *b = &g->w->b;
	const struct ir_op *o = &b->op[g->i];
	struct x64_row *r;

	if (g->nr_rows == X64_MAX_ROWS) {
		g->full = true;
		return &g->rows[0];
	}
	r = &g->rows[g->nr_rows++];
	*r = (struct x64_row){
		.kind = (uint8_t)kind,
		.opc = o->opc,
		.aux = o->aux,
		.type = o->type,
		.imm = ir_has_k(o) ? 0 : o->imm,
		.offset = (uint16_t)(b->pc_offset + b->insn_offset[o->insn]),
		.retired = o->insn,
	};
	if (ir_props(b, o) & IRP_MEM)
		r->mem = b->mem[o->aux];
	if (ir_props(b, o) & (IRP_FAULT | IRP_READS | IRP_WRITES))
		x64_map_dirty(g, &r->first_dirty, &r->nr_dirty);
	return r;
}

/* rdx = LEA or MOV of [rip + ...], which leads to @to in the end. */
static void rdx_rip(struct x64_compiler *g, enum x64_op op, const uint8_t *to)
{
	x64_rm(&g->b, op, 1, RDX, x64_rip(0));
	if (!g->b.full)
		x64_cross(g, g->b.p - 4, to);
}

void x64_thunk_args(struct x64_compiler *g, unsigned int n)
{
	rdx_rip(g, X64_LEA, g->code);
	x64_mov_imm(&g->b, RCX, n);
}

static void call_thunk(struct x64_compiler *g)
{
	x64_m(&g->b, X64_CALL_IND, 1, x64_at(X64_CPU, X64_AREA(thunk) + 8 * X64_THUNK_ROW));
}

static void def_result(struct x64_compiler *g, struct x64_row *r)
{
	const struct ir_op *o = &g->w->b.op[g->i];

	if (r->d.kind != X64_LOC_NONE || ir_op_info(o->opc)->operands[4] == '-')
		return;
	if (ir_result_type(o) == IR_V128)
		r->d = (struct x64_loc){X64_LOC_XMM, 1, (uint16_t)x64_def_xmm(g)};
	else
		r->d = (struct x64_loc){X64_LOC_GPR, 1, (uint16_t)x64_def(g)};
}

void x64_row_call(struct x64_compiler *g, struct x64_row *r)
{
	x64_thunk_args(g, (unsigned int)(r - g->rows));
	call_thunk(g);
}

void x64_call_row(struct x64_compiler *g, struct x64_row *r)
{
	def_result(g, r);
	x64_row_call(g, r);
}

static uint32_t part_offset(const struct x64_compiler *g, const uint8_t *p)
{
	return (uint32_t)(p - g->code);
}

uint32_t x64_here(const struct x64_compiler *g)
{
	return part_offset(g, g->b.p);
}

void x64_row_call_cold(struct x64_compiler *g, struct x64_row *r, const uint8_t *back)
{
	x64_row_call(g, r);
	x64_cross(g, x64_jmp(&g->b, false), back);
}

void x64_row_stub(struct x64_compiler *g, struct x64_row *r, uint8_t *const from[], unsigned int nr,
		  const uint8_t *back)
{
	x64_cold(g);
	for (unsigned int n = 0; n < nr; n++)
		x64_cross(g, from[n], g->b.p);
	r->stub = x64_here(g);
	x64_row_call_cold(g, r, back);
	x64_hot(g);
}

/* --- helpers of the front end --- */

void x64_gen_call(struct x64_compiler *g, const struct ir_op *o)
{
	unsigned int props = ir_props(&g->w->b, o);
	const ir_val v[3] = {o->a, o->b, o->c};
	struct x64_loc at[3];
	struct x64_row *r;
	bool result = g->w->uses[g->i];

	x64_flags_clobber(g);
	g->no_home = props & IRP_WRITES;
	if (g->no_home)
		x64_rescue_all(g);
	/*
	 * What gives way to the result is found where it was, too: a register keeps its content
	 * until the row writes to it.
	 */
	for (unsigned int k = 0; k < 3; k++)
		at[k] = x64_where(g, v[k]);
	r = x64_new_row(g, X64_ROW_CALL);
	r->a = at[0];
	r->b = at[1];
	r->c = at[2];
	r->fn = (const void *)(uintptr_t)g->w->b.helpers[o->imm].fn;
	if (result)
		r->d = (struct x64_loc){X64_LOC_GPR, 1, (uint16_t)x64_def(g)};
	x64_row_call(g, r);
	if (props & IRP_WRITES)
		x64_forget_slots(g);
	else if (props & (IRP_READS | IRP_FAULT))
		x64_stored(g);
	g->no_home = false;
}

void x64_gen_step(struct x64_compiler *g, const struct ir_op *o)
{
	x64_flags_clobber(g);
	g->no_home = true;
	x64_rescue_all(g);
	x64_call_row(g, x64_new_row(g, X64_ROW_STEP));
	x64_forget_slots(g);
	g->no_home = false;
}

void x64_gen_get(struct x64_compiler *g, const struct ir_op *o)
{
	x64_get(g);
}

void x64_gen_put(struct x64_compiler *g, const struct ir_op *o)
{
	x64_put(g);
}

void x64_gen_nothing(struct x64_compiler *g, const struct ir_op *o)
{
}

static x64_gen *const rows[IR_NR_OPS] = {
	[IR_CONST] = x64_gen_const,
	[IR_PCREL] = x64_gen_pcrel,
	[IR_GET] = x64_gen_get,
	[IR_PUT] = x64_gen_put,
	[IR_MOV] = x64_gen_mov,
	[IR_ADD] = x64_gen_alu,
	[IR_SUB] = x64_gen_alu,
	[IR_AND] = x64_gen_alu,
	[IR_OR] = x64_gen_alu,
	[IR_XOR] = x64_gen_alu,
	[IR_BIC] = x64_gen_complement,
	[IR_ORN] = x64_gen_complement,
	[IR_EON] = x64_gen_complement,
	[IR_ADC] = x64_gen_adc,
	[IR_SBC] = x64_gen_adc,
	[IR_MUL] = x64_gen_mul,
	[IR_SMULH] = x64_gen_mulh,
	[IR_UMULH] = x64_gen_mulh,
	[IR_SDIV] = x64_gen_div,
	[IR_UDIV] = x64_gen_div,
	[IR_SHL] = x64_gen_shift,
	[IR_SHR] = x64_gen_shift,
	[IR_SAR] = x64_gen_shift,
	[IR_ROR] = x64_gen_shift,
	[IR_EXTR] = x64_gen_extr,
	[IR_CLZ] = x64_gen_unary,
	[IR_CLS] = x64_gen_unary,
	[IR_RBIT] = x64_gen_unary,
	[IR_BSWAP] = x64_gen_unary,
	[IR_REV16] = x64_gen_unary,
	[IR_REV32] = x64_gen_unary,
	[IR_SEXT] = x64_gen_extend,
	[IR_ZEXT] = x64_gen_extend,
	[IR_UBFX] = x64_gen_field,
	[IR_SBFX] = x64_gen_field,
	[IR_UBFIZ] = x64_gen_field,
	[IR_SBFIZ] = x64_gen_field,
	[IR_BFI] = x64_gen_bfi,
	[IR_CRC32] = x64_gen_crc,
	[IR_CMN] = x64_gen_flags,
	[IR_CMP] = x64_gen_flags,
	[IR_ADCF] = x64_gen_adcf,
	[IR_SBCF] = x64_gen_adcf,
	[IR_TST] = x64_gen_flags,
	[IR_NZCV] = x64_gen_nzcv,
	[IR_PACK] = x64_gen_packed,
	[IR_FSEL] = x64_gen_flags,
	[IR_SEL] = x64_gen_sel,
	[IR_VSEL] = x64_gen_vsel,
	[IR_FCMP] = x64_gen_fcmp,
	[IR_LD] = x64_gen_load,
	[IR_LDHI] = x64_gen_nothing,
	[IR_ST] = x64_gen_store,
	[IR_STX] = x64_gen_atomic,
	[IR_RMW] = x64_gen_atomic,
	[IR_CAS] = x64_gen_atomic,
	[IR_PROBE_R] = x64_gen_check,
	[IR_PROBE_W] = x64_gen_check,
	[IR_SPCHECK] = x64_gen_spcheck,
	[IR_ZVA] = x64_gen_zva,
	[IR_CLREX] = x64_gen_clrex,
	[IR_FENCE] = x64_gen_fence,
	[IR_COUNT] = x64_gen_count,
	[IR_STEP] = x64_gen_step,
	[IR_CALL] = x64_gen_call,
	[IR_BCC] = x64_gen_side,
	[IR_CBZ] = x64_gen_side,
	[IR_CBNZ] = x64_gen_side,
	[IR_TBZ] = x64_gen_side,
	[IR_TBNZ] = x64_gen_side,
	[IR_JUMP] = x64_gen_jump,
	[IR_JUMP_IND] = x64_gen_jump_ind,
	[IR_EXCEPTION] = x64_gen_exception,
	[IR_LEAVE] = x64_gen_leave,
	[IR_VCONST] = x64_gen_vconst,
	[IR_VGETU] = x64_gen_lane,
	[IR_VGETS] = x64_gen_lane,
	[IR_VSET] = x64_gen_lane,
	[IR_VDUP] = x64_gen_lane,
	[IR_VFROM] = x64_gen_lane,
	[IR_VDUPL] = x64_gen_move_lane,
	[IR_VINSL] = x64_gen_move_lane,
	[IR_VZEXT] = x64_gen_lane,
	[IR_FTOI] = x64_gen_ftoi,
	[IR_ITOF] = x64_gen_itof,
	[IR_V_FABS] = x64_gen_fp_sign,
	[IR_V_FNEG] = x64_gen_fp_sign,
	[IR_V_FADD] = x64_gen_fp_arith,
	[IR_V_FSUB] = x64_gen_fp_arith,
	[IR_V_FMUL] = x64_gen_fp_arith,
	[IR_V_FDIV] = x64_gen_fp_arith,
	[IR_V_FABD] = x64_gen_fp_arith,
	[IR_V_FSQRT] = x64_gen_fp_sqrt,
	[IR_V_FMLA] = x64_gen_fp_fused,
	[IR_V_FMLS] = x64_gen_fp_fused,
	[IR_V_FMAX] = x64_gen_fp_max,
	[IR_V_FMIN] = x64_gen_fp_max,
	[IR_V_FMAXNM] = x64_gen_fp_max,
	[IR_V_FMINNM] = x64_gen_fp_max,
	[IR_V_FRINT] = x64_gen_fp_round,
	[IR_V_FCVTL] = x64_gen_fp_precision,
	[IR_V_FCVTN] = x64_gen_fp_precision,
	[IR_V_FCMEQ] = x64_gen_fp_mask,
	[IR_V_FCMGE] = x64_gen_fp_mask,
	[IR_V_FCMGT] = x64_gen_fp_mask,
};

#define XLINE_LOG2 5
_Static_assert(sizeof(struct xtlb_entry) == 1 << XLINE_LOG2, "the entry knows the size of a line");

/*
 * The far entry: r13 is the page that the code was found for, and the execute TLB says whether PC's
 * page is still this translation's.
 */
static void entries(struct x64_compiler *g)
{
	const int32_t line = offsetof(struct tlb_bank, x);
	uint8_t *miss[3];

	x64_rri(&g->b, X64_RORX, 1, RCX, X64_PAGE, 12 - XLINE_LOG2);
	x64_ri(&g->b, X64_AND_I, 0, RCX, (XTLB_SIZE - 1) << XLINE_LOG2);
	x64_rm(&g->b, X64_CMP, 1, X64_PAGE,
	       x64_at_index(X64_BANK, RCX, 0, line + (int32_t)offsetof(struct xtlb_entry, tag)));
	miss[0] = x64_jcc(&g->b, X64_NE);
	x64_rm(&g->b, X64_MOV, 1, RCX,
	       x64_at_index(X64_BANK, RCX, 0, line + (int32_t)offsetof(struct xtlb_entry, page)));
	rdx_rip(g, X64_MOV,
		g->code - offsetof(struct code_block, code) + offsetof(struct code_block, owner));
	x64_rr(&g->b, X64_TEST, 1, RCX, RCX);
	miss[1] = x64_jcc(&g->b, X64_E);
	x64_rm(&g->b, X64_CMP, 1, RCX, x64_at(RDX, offsetof(struct x64_block, common.page)));
	miss[2] = x64_jcc(&g->b, X64_NE);
	g->near = g->b.p;
	x64_cold(g);
	for (unsigned int n = 0; n < 3; n++)
		x64_cross(g, miss[n], g->b.p);
	x64_thunk_args(g, 0);
	x64_m(&g->b, X64_JMP_IND, 1, x64_at(X64_CPU, X64_AREA(thunk) + 8 * X64_THUNK_MISS));
	x64_hot(g);
}

static bool in_cold(const struct x64_compiler *g, const uint8_t *p)
{
	return p >= g->code + X64_MAX_HOT;
}

static uint8_t *moved(const struct x64_compiler *g, const uint8_t *p, size_t hot)
{
	return (uint8_t *)(uintptr_t)(in_cold(g, p) ? p - X64_MAX_HOT + hot : p);
}

/* The cold part moves behind the hot one, and what leads from one to the other finds its way. */
static void join(struct x64_compiler *g)
{
	size_t hot, cold;

	x64_align(&g->b, 16);
	hot = (size_t)(g->b.p - g->code);
	cold = (size_t)(g->other.p - (g->code + X64_MAX_HOT));
	memmove(g->code + hot, g->code + X64_MAX_HOT, cold);
	for (unsigned int n = 0; n < g->nr_cross; n++)
		x64_patch(moved(g, g->cross[n].at, hot), moved(g, g->cross[n].to, hot));
	for (unsigned int n = 0; n < g->nr_exits; n++) {
		g->exits[n].jump = moved(g, g->exits[n].jump, hot);
		g->exits[n].unlinked = moved(g, g->exits[n].unlinked, hot);
	}
	for (unsigned int n = 0; n < g->nr_rows; n++) {
		struct x64_row *r = &g->rows[n];

		r->stub = part_offset(g, moved(g, g->code + r->stub, hot));
		for (unsigned int k = 0; k < X64_ROW_ACCESSES; k++)
			r->access[k] = part_offset(g, moved(g, g->code + r->access[k], hot));
	}
	g->size = hot + cold;
}

bool x64_generate(struct x64_compiler *g, struct ir_work *w)
{
	g->w = w;
	g->b = (struct x64_buf){.p = g->code, .end = g->code + X64_MAX_HOT};
	g->other = (struct x64_buf){.p = g->code + X64_MAX_HOT,
				    .end = g->code + X64_MAX_HOT + X64_MAX_COLD};
	g->nr_rows = g->nr_dirty = g->nr_leaves = g->nr_consts = g->nr_exits = g->nr_cross = 0;
	g->nr_flags = 0;
	g->full = g->no_home = false;
	g->nr_addends = 0;
	x64_loop_find(g);
	x64_group_find(g);
	x64_live(g);
	x64_group_temps(g);
	g->i = 0;
	x64_regs_begin(g);
	entries(g);
	x64_loop_head(g);
	for (g->i = 0; g->i < w->b.nr_ops && !g->full; g->i++) {
		const struct ir_op *o = &w->b.op[g->i];

		if (w->dead[g->i])
			continue;
		if (rows[o->opc])
			rows[o->opc](g, o);
		else
			x64_gen_simd(g, o);
		x64_regs_end_op(g);
	}
	if (g->full || g->b.full || g->other.full)
		return false;
	join(g);
	return true;
}
