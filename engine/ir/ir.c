/* SPDX-License-Identifier: MIT */
/* What holds of the IR itself: the table of ops, the printer and the verifier. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "engine/ir/ir.h"

static const struct ir_op_info infos[IR_NR_OPS] = {
#define OP(n, o, p)  [IR_##n] = {#n, o, p},
#define VOP(n, o, p) [IR_V_##n] = {"V_" #n, o, p},
#include "engine/ir/ir_ops.def"
#include "engine/vec/vec_ops.def"
#undef OP
#undef VOP
};

const struct ir_op_info *ir_op_info(unsigned int opc)
{
	return opc < IR_NR_OPS && infos[opc].name ? &infos[opc] : NULL;
}

static const char *const type_names[] = {"i32", "i64", "v128", "flags"};

unsigned int ir_props(const struct ir_block *b, const struct ir_op *o)
{
	return o->opc == IR_CALL ? b->helpers[o->imm].props : ir_op_info(o->opc)->props;
}

static void dump_op(const struct ir_block *b, unsigned int i, FILE *f)
{
	const struct ir_op *o = &b->op[i];
	const struct ir_op_info *info = ir_op_info(o->opc);

	if (info->operands[4] != '-')
		fprintf(f, "\t%%%u = ", i);
	else
		fputc('\t', f);
	fprintf(f, "%s.%s", info->name, type_names[o->type]);
	if (o->aux)
		fprintf(f, " aux=%#x", o->aux);
	if (ir_has_k(o)) {
		fprintf(f, " %#" PRIx64 "\n", o->k);
		return;
	}
	const ir_val v[3] = {o->a, o->b, o->c};

	for (int k = 0; k < 3; k++)
		if (info->operands[k] != '-' && v[k] != IR_NONE)
			fprintf(f, " %%%u", v[k]);
	if (o->opc == IR_GET || o->opc == IR_PUT || o->opc == IR_COUNT) {
		if (o->imm >= CPU_SLOT_X(0) && o->imm < CPU_SLOT_X(32))
			fprintf(f, " x%u", (o->imm - CPU_SLOT_X(0)) / 8);
		else if (o->imm >= CPU_SLOT_V(0) && o->imm < CPU_SLOT_V(32))
			fprintf(f, " v%u", (o->imm - CPU_SLOT_V(0)) / 16);
		else if (o->imm == CPU_SLOT(nzcv))
			fprintf(f, " nzcv");
		else
			fprintf(f, " [%#x]", o->imm);
	} else if (o->opc == IR_CALL) {
		fprintf(f, " %s", b->helpers[o->imm].name);
	} else if (o->imm) {
		fprintf(f, " imm=%d", o->imm);
	}
	if (info->props & IRP_MEM) {
		const struct mem_desc *d = &b->mem[o->aux];

		fprintf(f, " {%u%s%s%s%s offset %d scale %u ext %u}", 8u << d->size_log2,
			d->pair ? " pair" : "", d->sign ? " signed" : "",
			d->order ? " ordered" : "", d->excl ? " exclusive" : "", d->offset,
			d->scale, d->index_ext);
	}
	fputc('\n', f);
}

void ir_dump(const struct ir_block *b, FILE *f)
{
	unsigned int insn = ~0u;

	fprintf(f, "block at page offset %#" PRIx64 ", mode %#x, %u instructions\n", b->pc_offset,
		b->mode, b->nr_insns);
	for (unsigned int i = 0; i < b->nr_ops; i++) {
		if (b->op[i].insn != insn) {
			insn = b->op[i].insn;
			fprintf(f, " %+d:\n", b->insn_offset[insn]);
		}
		dump_op(b, i, f);
	}
}

static const char *complain(char *why, size_t size, unsigned int i, const struct ir_op_info *info,
			    const char *what)
{
	snprintf(why, size, "op %u (%s): %s", i, info ? info->name : "?", what);
	return why;
}

/*
 * The type of what an op defines; for flag producers o->type is the width of their operands
 * instead.
 */
unsigned int ir_result_type(const struct ir_op *o)
{
	return ir_op_info(o->opc)->operands[4] == 'f' ? IR_FLAGS : o->type;
}

static bool kind_matches(char letter, unsigned int type)
{
	switch (letter) {
	case 'i':
		return type == IR_I32 || type == IR_I64;
	case 'f':
		return type == IR_FLAGS;
	case 'v':
		return type == IR_V128;
	default:
		return true;
	}
}

/* Operands: right kind, defined before, or absent where they may be. */
static const char *verify_operands(const struct ir_block *b, unsigned int i,
				   const struct ir_op_info *info)
{
	const struct ir_op *o = &b->op[i];
	const ir_val v[3] = {o->a, o->b, o->c};

	if (ir_has_k(o))
		return NULL;
	for (int k = 0; k < 3; k++) {
		char want = info->operands[k];

		if (v[k] == IR_NONE) {
			if (want != '-' && want != 'o' && !(o->opc == IR_FCMP && k == 1))
				return "an operand is missing";
			continue;
		}
		if (want == '-')
			return "an operand too many";
		if (v[k] >= i)
			return "an operand is used before it is defined";
		const struct ir_op_info *def = ir_op_info(b->op[v[k]].opc);

		if (def->operands[4] == '-')
			return "an operand is an op without result";
		if (!kind_matches(want, ir_result_type(&b->op[v[k]])))
			return "an operand is of the wrong type";
	}
	return NULL;
}

static bool slot_exists(const struct ir_op *o)
{
	unsigned int align = o->type == IR_V128 ? 16 : o->type == IR_I64 ? 8 : 4;

	return o->imm >= 0 && (size_t)o->imm < CPU_STATE_SIZE && !((unsigned int)o->imm % align);
}

static bool is_counter(int32_t slot)
{
	return slot == CPU_SLOT(pmu.br_retired) || slot == CPU_SLOT(pmu.mem_access);
}

/* What an op's own fields must be: type, slot, helper, descriptor, lanes. */
static const char *verify_fields(const struct ir_block *b, unsigned int i,
				 const struct ir_op_info *info)
{
	const struct ir_op *o = &b->op[i];

	if (o->type > IR_FLAGS)
		return "no such type";
	if ((o->opc == IR_GET || o->opc == IR_PUT || o->opc == IR_COUNT) && !slot_exists(o))
		return "no such slot";
	if ((o->opc == IR_GET || o->opc == IR_PUT) && is_counter(o->imm))
		return "a counter's slot is COUNT's alone";
	if (o->opc == IR_CALL && (unsigned int)o->imm >= b->nr_helpers)
		return "no such helper";
	if ((info->props & IRP_MEM) && o->aux >= b->nr_mem)
		return "no such memory descriptor";
	if (o->opc > IR_VEC_FIRST && !vec_function(o->opc, IR_LANE(o->aux), IR_SHAPE(o->aux)))
		return "no such lanes";
	return NULL;
}

/* What a PUT stores is of its slot's kind; LDHI comes right after the pair that it belongs to. */
static const char *verify_relations(const struct ir_block *b, unsigned int i)
{
	static const char letters[] = {
		[IR_I32] = 'i', [IR_I64] = 'i', [IR_V128] = 'v', [IR_FLAGS] = 'f'};
	const struct ir_op *o = &b->op[i];

	if (o->opc == IR_PUT && !kind_matches(letters[o->type], ir_result_type(&b->op[o->a])))
		return "the value is not of the slot's type";
	if (o->opc == IR_LDHI &&
	    (o->a + 1u != i || b->op[o->a].opc != IR_LD || !b->mem[b->op[o->a].aux].pair))
		return "is not right after a load of a pair";
	return NULL;
}

static const char *verify_op(const struct ir_block *b, unsigned int i,
			     const struct ir_op_info *info)
{
	const char *wrong = verify_fields(b, i, info);

	if (!wrong)
		wrong = verify_operands(b, i, info);
	if (!wrong && !kind_matches(info->operands[4], ir_result_type(&b->op[i])))
		wrong = "result of the wrong type";
	return wrong ? wrong : verify_relations(b, i);
}

const char *ir_verify(const struct ir_block *b, char *why, size_t size)
{
	unsigned int insn = 0;
	bool put = false, ended = false;

	for (unsigned int i = 0; i < b->nr_ops; i++) {
		const struct ir_op *o = &b->op[i];
		const struct ir_op_info *info = ir_op_info(o->opc);
		const char *wrong;

		if (!info)
			return complain(why, size, i, NULL, "no such operation");
		if (ended)
			return complain(why, size, i, info, "follows the end of its path");
		if (o->insn < insn || o->insn >= b->nr_insns)
			return complain(why, size, i, info,
					"instruction index goes back or is too large");
		if (o->insn != insn) {
			insn = o->insn;
			put = false;
		}
		wrong = verify_op(b, i, info);
		if (wrong)
			return complain(why, size, i, info, wrong);
		unsigned int props = ir_props(b, o);

		if ((props & IRP_FAULT) && put)
			return complain(why, size, i, info,
					"may fault after a PUT of its instruction");
		put |= o->opc == IR_PUT;
		ended = props & IRP_END;
	}
	return ended ? NULL : complain(why, size, b->nr_ops, NULL, "the block has no end");
}
