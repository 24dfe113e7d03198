/* SPDX-License-Identifier: MIT */
/*
 * Thunks: the code between C and generated code, made once for each machine.
 *
 *   enter      C enters at an entry; the callee-saved registers go on the stack
 *   stop       back to C
 *   row        all registers are saved, x64_run_row() works on what was saved, all are restored
 *   link, miss, dispatch, leave   C finds where to go on
 */
#include <stddef.h>

#include "engine/back/x64/memory.h"
#include "engine/back/x64/x64.h"

static const uint8_t callee_saved[] = {RBP, RBX, R12, R13, R14, R15};
#define NR_SAVED (sizeof(callee_saved))

static struct x64_mem gpr_slot(unsigned int reg)
{
	return x64_at(X64_CPU, X64_AREA(gpr) + 8 * (int32_t)reg);
}

static struct x64_mem xmm_slot(unsigned int reg)
{
	return x64_at(X64_CPU, X64_AREA(xmm) + 16 * (int32_t)reg);
}

static void call_c(struct x64_buf *b, const void *fn)
{
	x64_mov_imm(b, RAX, (uintptr_t)fn);
	x64_r(b, X64_CALL_IND, 1, RAX);
}

/* What generated code expects, from the state. */
static void load_pinned(struct x64_buf *b)
{
	x64_rm(b, X64_MOV, 1, X64_ICOUNT, x64_at(X64_CPU, X64_DISP(CPU_SLOT(icount))));
	x64_rm(b, X64_MOV, 1, X64_BANK, x64_at(X64_CPU, X64_DISP(CPU_SLOT(bank))));
	x64_rm(b, X64_MOV, 1, X64_PAGE, x64_at(X64_CPU, X64_DISP(CPU_SLOT(pc))));
	x64_ri(b, X64_AND_I, 1, X64_PAGE, -4096);
}

static void make_enter(struct x64_buf *b)
{
	for (unsigned int n = 0; n < NR_SAVED; n++)
		x64_push(b, callee_saved[n]);
	/* The stack is a multiple of 16 where code calls. */
	x64_ri(b, X64_SUB_I, 1, RSP, 8);
	x64_rm(b, X64_LEA, 1, X64_CPU, x64_at(RDI, X64_BIAS));
	load_pinned(b);
	x64_r(b, X64_JMP_IND, 1, RSI);
}

static void make_stop(struct x64_buf *b)
{
	x64_rm(b, X64_MOV, 1, RAX, x64_at(X64_CPU, X64_AREA(reason)));
	x64_ri(b, X64_ADD_I, 1, RSP, 8);
	for (unsigned int n = NR_SAVED; n-- > 0;)
		x64_pop(b, callee_saved[n]);
	x64_n(b, X64_RET, 0);
}

static void make_row(struct x64_buf *b)
{
	uint8_t *elsewhere;

	for (unsigned int reg = 0; reg < 16; reg++)
		if (reg != RSP && reg != RBP)
			x64_rm(b, X64_MOV_ST, 1, reg, gpr_slot(reg));
	for (unsigned int reg = 0; reg < 16; reg++)
		x64_rm(b, X64_VMOVAPS_ST, 0, reg, xmm_slot(reg));
	x64_rm(b, X64_LEA, 1, RDI, x64_at(X64_CPU, -X64_BIAS));
	x64_rr(b, X64_MOV, 1, RSI, RDX);
	x64_rr(b, X64_MOV, 0, RDX, RCX);
	x64_ri(b, X64_SUB_I, 1, RSP, 8);
	call_c(b, (const void *)(uintptr_t)x64_run_row);
	x64_ri(b, X64_ADD_I, 1, RSP, 8);
	x64_rr(b, X64_TEST, 1, RAX, RAX);
	elsewhere = x64_jcc(b, X64_NE);
	for (unsigned int reg = 0; reg < 16; reg++)
		x64_rm(b, X64_VMOVAPS, 0, reg, xmm_slot(reg));
	for (unsigned int reg = 0; reg < 16; reg++)
		if (reg != RSP && reg != RBP && reg != X64_BANK)
			x64_rm(b, X64_MOV, 1, reg, gpr_slot(reg));
	/* A helper, or a miss of another EL's bank, may have chosen another one. */
	x64_rm(b, X64_MOV, 1, X64_BANK, x64_at(X64_CPU, X64_DISP(CPU_SLOT(bank))));
	x64_n(b, X64_RET, 0);
	x64_patch(elsewhere, b->p);
	x64_ri(b, X64_ADD_I, 1, RSP, 8);
	load_pinned(b);
	x64_r(b, X64_JMP_IND, 1, RAX);
}

/* @fn(cpu, start, number) says where to go on. */
static void make_way(struct x64_buf *b, const void *fn)
{
	x64_rm(b, X64_MOV_ST, 1, X64_ICOUNT, x64_at(X64_CPU, X64_DISP(CPU_SLOT(icount))));
	x64_rm(b, X64_MOV_ST, 1, X64_PAGE, gpr_slot(X64_PAGE));
	x64_rm(b, X64_LEA, 1, RDI, x64_at(X64_CPU, -X64_BIAS));
	x64_rr(b, X64_MOV, 1, RSI, RDX);
	x64_rr(b, X64_MOV, 0, RDX, RCX);
	call_c(b, fn);
	load_pinned(b);
	x64_r(b, X64_JMP_IND, 1, RAX);
}

void x64_make_thunks(struct x64_machine *m)
{
	struct code_block *fixed = code_memory_fixed(m->memory);
	uint8_t *rx = fixed->code, *rw = code_memory_rw(m->memory, rx);
	struct x64_buf b = {.p = rw, .end = rw + X64_THUNKS_SIZE};

#define HERE (rx + (b.p - rw))
	m->enter = (uint64_t(*)(struct cpu *, const uint8_t *))(uintptr_t)HERE;
	make_enter(&b);
	m->stop = HERE;
	make_stop(&b);
	m->thunk[X64_THUNK_ROW] = HERE;
	make_row(&b);
	m->thunk[X64_THUNK_LINK] = HERE;
	make_way(&b, (const void *)(uintptr_t)x64_link);
	m->thunk[X64_THUNK_DISPATCH] = HERE;
	x64_rm(&b, X64_MOV_ST, 1, RAX, x64_at(X64_CPU, X64_DISP(CPU_SLOT(pc))));
	make_way(&b, (const void *)(uintptr_t)x64_dispatch);
	m->thunk[X64_THUNK_MISS] = HERE;
	make_way(&b, (const void *)(uintptr_t)x64_miss);
	m->thunk[X64_THUNK_LEAVE] = HERE;
	make_way(&b, (const void *)(uintptr_t)x64_leave);
#undef HERE
}
