/* SPDX-License-Identifier: MIT */
/*
 * For an AArch64 processor: executes the instruction of each request on standard input and writes
 * its result and FPSR to standard output. Ends at the end of input.
 */
#include <stdio.h>

#include "ops.h"

static struct fp_reply reply;

#define FP_OP(name, ka, kb, kc, call, insn)                                             \
	static void execute_##name(const struct fp_request *r)                          \
	{                                                                               \
		__asm__ volatile("ldr	w9, [%[r], #4]\n\t"                               \
				 "ldr	d1, [%[r], #8]\n\t"                               \
				 "ldr	x1, [%[r], #8]\n\t"                               \
				 "ldr	d2, [%[r], #16]\n\t"                              \
				 "ldr	d0, [%[r], #24]\n\t"                              \
				 "msr	fpcr, x9\n\t"                                     \
				 "msr	fpsr, xzr\n\t" insn "\n\t"                      \
				 "mrs	x9, fpsr\n\t"                                     \
				 "msr	fpcr, xzr\n\t"                                    \
				 "stp	x0, x9, [%[o]]"                                   \
				 :                                                      \
				 : [r] "r"(r), [o] "r"(&reply)                          \
				 : "x0", "x1", "x9", "v0", "v1", "v2", "cc", "memory"); \
	}
FP_OPS
#undef FP_OP

static void (*const execute[])(const struct fp_request *) = {
#define FP_OP(name, ka, kb, kc, call, insn) execute_##name,
	FP_OPS
#undef FP_OP
};

int main(void)
{
	struct fp_request request;

	while (fread(&request, sizeof(request), 1, stdin) == 1) {
		if (request.op >= sizeof(execute) / sizeof(execute[0]))
			return 1;
		execute[request.op](&request);
		if (fwrite(&reply, sizeof(reply), 1, stdout) != 1)
			return 1;
	}
	return fflush(stdout) ? 1 : 0;
}
