/* SPDX-License-Identifier: MIT */
/*
 * Guest memory that is gone on the host, as generated code finds it: the signal's handler sends the
 * thread to the stub of the access's row, which does it in C and finds the same.
 *
 * This runs in a signal handler, for whatever fault the process has: it takes no lock, and looks at
 * nothing before it knows that the thread is in generated code. What the thread runs in stays.
 */
#include <stddef.h>

#include "cpu/host_fault.h"
#include "engine/back/x64/memory.h"
#include "engine/back/x64/x64.h"

static const struct x64_row *row_at(const struct x64_block *b, uintptr_t offset)
{
	for (uint32_t n = 0; n < b->nr_rows; n++)
		for (unsigned int k = 0; k < X64_ROW_ACCESSES; k++)
			if (b->rows[n].access[k] && b->rows[n].access[k] == offset)
				return &b->rows[n];
	return NULL;
}

static bool fix(ucontext_t *uc)
{
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	const struct code_memory *m = code_memory_of(pc);
	const struct code_block *code = m ? code_memory_block(m, pc) : NULL;
	const struct x64_block *b = code ? code->owner : NULL;
	const struct x64_row *r = b ? row_at(b, pc - (uintptr_t)b->code) : NULL;

	if (!r)
		return false;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(b->code + r->stub);
	return true;
}

void x64_faults_arm(void)
{
	host_fault_ask(fix);
}
