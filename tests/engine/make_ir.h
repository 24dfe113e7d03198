/* SPDX-License-Identifier: MIT */
/*
 * Initialisers of IR operations, by their number of operands: OPn(name, type, aux, imm,
 * operands..., other fields). An operand is the index of the op that defines it.
 */
#ifndef TESTS_ENGINE_MAKE_IR_H
#define TESTS_ENGINE_MAKE_IR_H

#include "engine/ir/ir.h"

#define NONE IR_NONE
#define OP_(o, t, x, i, A, B, C, ...)                                                      \
	{                                                                                  \
		.opc = IR_##o, .type = IR_##t, .aux = x, .a = A, .b = B, .c = C, .imm = i, \
		##__VA_ARGS__                                                              \
	}
#define OP0(o, t, x, i, ...)             OP_(o, t, x, i, NONE, NONE, NONE, ##__VA_ARGS__)
#define OP1(o, t, x, i, a_, ...)         OP_(o, t, x, i, a_, NONE, NONE, ##__VA_ARGS__)
#define OP2(o, t, x, i, a_, b_, ...)     OP_(o, t, x, i, a_, b_, NONE, ##__VA_ARGS__)
#define OP3(o, t, x, i, a_, b_, c_, ...) OP_(o, t, x, i, a_, b_, c_, ##__VA_ARGS__)
#define KONST(t, value, ...)                                                          \
	{                                                                             \
		.opc = IR_CONST, .type = IR_##t, .a = NONE, .k = value, ##__VA_ARGS__ \
	}
#define GET_X(t, n, ...)    OP0(GET, t, 0, CPU_SLOT_X(n), ##__VA_ARGS__)
#define PUT_X(t, n, v, ...) OP1(PUT, t, 0, CPU_SLOT_X(n), v, ##__VA_ARGS__)
#define GET_V(n, ...)       OP0(GET, V128, 0, CPU_SLOT_V(n), ##__VA_ARGS__)
#define PUT_V(n, v, ...)    OP1(PUT, V128, 0, CPU_SLOT_V(n), v, ##__VA_ARGS__)
#define GET_F(...)          OP0(GET, FLAGS, 0, CPU_SLOT(nzcv), ##__VA_ARGS__)
#define PUT_F(v, ...)       OP1(PUT, FLAGS, 0, CPU_SLOT(nzcv), v, ##__VA_ARGS__)
#define JUMP_TO(bytes, ...) OP0(JUMP, I64, IR_BRANCH, bytes, ##__VA_ARGS__)

#endif
