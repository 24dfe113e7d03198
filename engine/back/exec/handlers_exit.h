/* SPDX-License-Identifier: MIT */
/* Handlers: ways out of a block. Included in the executor's function. */

#define CMPB_ONE(label, U_, S_, b_expr, flags, expr)  \
	do_##label:                                   \
	{                                             \
		typedef U_ U;                         \
		typedef S_ S __attribute__((unused)); \
		U a = (U)X(u->a), b = (U)(b_expr);    \
                                                      \
		cpu->nzcv = flags(a, b);              \
		if (expr)                             \
			TAKE_EXIT;                    \
	}                                             \
	NEXT2;
#define CMPB(cc, expr)                                                            \
	CMPB_ONE(CMPB_##cc##32, uint32_t, int32_t, X(u->b), op_flags_sub32, expr) \
	CMPB_ONE(CMPB_##cc##64, uint64_t, int64_t, X(u->b), op_flags_sub64, expr) \
	CMPB_ONE(CMPBI_##cc##32, uint32_t, int32_t, u->b, op_flags_sub32, expr)   \
	CMPB_ONE(CMPBI_##cc##64, uint64_t, int64_t, u->b, op_flags_sub64, expr)
BRANCH_CONDS(CMPB)
#undef CMPB

#define SIDE(label, expr)                 \
	do_##label : if (expr) TAKE_EXIT; \
	NEXT2;
SIDE(BCC, op_cond(FLAGS(u->a), u->b))
SIDE(CBZ32, !(uint32_t)X(u->a))
SIDE(CBZ64, !X(u->a))
SIDE(CBNZ32, (uint32_t)X(u->a))
SIDE(CBNZ64, X(u->a))
SIDE(TBZ, !(X(u->a) >> u->b & 1))
SIDE(TBNZ, X(u->a) >> u->b & 1)
#undef SIDE

do_JUMP : TAKE_EXIT;

do_JUMP_IND : cpu->icount += u->c;
cpu->pc = X(u->a);
goto dispatch;

do_EXCEPTION : cpu->icount += u->c;
cpu_take_exception(cpu, (uint32_t)u->imm, cpu->pc + u->a, 0, false);
goto dispatch;

do_LEAVE : cpu->icount += u->c;
cpu->pc += u->b;
switch (u->a) {
case IR_LEAVE_ERET:
	cpu_eret(cpu);
	goto synchronise;
case IR_LEAVE_DAIF:
	cpu_update_mode(cpu);
	/* fall through */
synchronise:
case IR_LEAVE_SYNC:
case IR_LEAVE_YIELD:
	if (unlikely(cpu->ps.il))
		cpu_take_exception(cpu, ESR(EC_ILLEGAL_STATE, 0), cpu->pc, 0, false);
	if (unlikely(atomic_load_explicit(&cpu->remote.pins, memory_order_relaxed)))
		cpu_take_interrupt(cpu);
	goto dispatch;
case IR_LEAVE_HVC:
	cpu->exit.imm = (uint32_t)u->imm;
	return CPU_EXIT_HVC;
case IR_LEAVE_SMC:
	cpu->exit.imm = (uint32_t)u->imm;
	return CPU_EXIT_SMC;
case IR_LEAVE_WFI:
	return CPU_EXIT_WFI;
default:
	/* WFE: an event that has come already is used up. */
	if (atomic_exchange_explicit(&cpu->remote.event, 0, memory_order_acq_rel))
		goto dispatch;
	return CPU_EXIT_WFE;
}
