/* SPDX-License-Identifier: MIT */
/* Generated code as text: ARMATURE_DUMP with the letter x; what it leaves to C: s. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/back/x64/x64.h"

/* Bytes, as a disassembler reads them from a file. */
void x64_dump(const struct x64_compiler *g, const struct x64_block *b)
{
	if (!pass_dumps(g->w, 'x'))
		return;
	fprintf(stderr, "--- code at %p, %u bytes, near entry +%u\n", (const void *)b->code,
		b->code_size, b->near);
	for (uint32_t n = 0; n < b->code_size; n++)
		fprintf(stderr, "%02x%c", b->code[n],
			n % 32 == 31 || n + 1 == b->code_size ? '\n' : ' ');
}

void x64_count_rows(struct x64_machine *m, const struct x64_compiler *g)
{
	if (!pass_dumps(g->w, 's'))
		return;
	m->helpers = g->w->b.helpers;
	for (unsigned int n = 0; n < g->nr_rows; n++)
		atomic_fetch_add_explicit(&m->rows_made[x64_row_name(&g->rows[n])], 1,
					  memory_order_relaxed);
}

static void print_name(const struct x64_machine *m, unsigned int name)
{
	static const char shape[][8] = {"scalar", "half", "full", ""};
	unsigned int opc = name >> 4;

	if (name >= X64_ROW_HELPER(0))
		fprintf(stderr, "CALL %s",
			m->helpers ? m->helpers[name - X64_ROW_HELPER(0)].name : "");
	else if (opc > IR_VEC_FIRST)
		fprintf(stderr, "%s.%c %s", ir_op_info(opc)->name, "bhsd"[name & 3],
			shape[name >> 2 & 3]);
	else
		fputs(ir_op_info(opc)->name, stderr);
}

#define TOP 12

void x64_print_rows(const struct x64_machine *m, const struct cpu *cpu)
{
	const uint64_t *run = ((const struct x64_cpu *)cpu->area)->rows_run;
	unsigned int top[TOP + 1], nr = 0;

	for (unsigned int name = 0; name < X64_NR_ROW_NAMES; name++) {
		unsigned int at = nr < TOP ? nr++ : TOP;

		for (; at && run[top[at - 1]] < run[name]; at--)
			top[at] = top[at - 1];
		top[at] = name;
	}
	fprintf(stderr, "rows of cpu %u: run, made\n", (unsigned int)(cpu->mpidr & 0xff));
	for (unsigned int n = 0; n < nr && run[top[n]]; n++) {
		fprintf(stderr, "%14" PRIu64 " %8" PRIu64 "  ", run[top[n]],
			atomic_load(&m->rows_made[top[n]]));
		print_name(m, top[n]);
		fputc('\n', stderr);
	}
}
