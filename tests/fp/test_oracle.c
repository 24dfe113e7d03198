/* SPDX-License-Identifier: MIT */
/*
 * cpu/fp against the instructions themselves, executed by qemu-aarch64: every operation, special
 * and random operands, all settings of FPCR; results and FPSR are compared.
 *
 * usage: test_oracle EMULATOR PROGRAM. Without an emulator that runs the program it is skipped
 * (77). FP_SEED and FP_COUNT (vectors an operation) in the environment ask for other vectors and
 * more.
 *
 * Where QEMU 7.2 is known to differ from the architecture its reply is put right by
 * correct_reply(); test_known.c has the value that the pseudocode gives.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu/fp/fp.h"
#include "operands.h"
#include "ops.h"

#define EXIT_SKIP         77
#define DEFAULT_COUNT     1500
#define NZCV_IN_JS_RESULT 32

struct op {
	const char *name;
	const char *kinds;
	uint64_t (*call)(struct fp_env *env, const uint64_t operand[3]);
};

static const char *emulator, *program;

static uint64_t fp_js_and_flags(struct fp_env *env, uint64_t a)
{
	unsigned nzcv;
	uint64_t result = fp64_to_js(env, a, &nzcv);

	return result | (uint64_t)nzcv << NZCV_IN_JS_RESULT;
}

/* The C type of each kind of operand. */
typedef uint16_t type_h;
typedef uint32_t type_s;
typedef uint64_t type_d;
typedef uint32_t type_w;
typedef uint64_t type_x;
typedef uint32_t type_v;
typedef uint64_t type_o;

#define FP_OP(name, ka, kb, kc, expr, insn)                                        \
	static uint64_t call_##name(struct fp_env *env, const uint64_t operand[3]) \
	{                                                                          \
		type_##ka a = (type_##ka)operand[0];                               \
		type_##kb b = (type_##kb)operand[1];                               \
		type_##kc c = (type_##kc)operand[2];                               \
                                                                                   \
		(void)a, (void)b, (void)c, (void)env;                              \
		return expr;                                                       \
	}
FP_OPS
#undef FP_OP

static const struct op ops[] = {
#define FP_OP(name, ka, kb, kc, expr, insn) {#name, #ka #kb #kc, call_##name},
	FP_OPS
#undef FP_OP
};

#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

static void make_requests(FILE *to, unsigned count, uint64_t seed)
{
	static const uint32_t bits[] = {FP_CR_FZ16, FP_CR_FZ, FP_CR_DN, FP_CR_AHP};
	struct fp_random random = {seed};

	for (unsigned i = 0; i < NR_OPS * count; i++) {
		struct fp_request request = {.op = i / count};

		request.fpcr = fp_random_below(&random, 4) << FP_CR_RMODE_SHIFT;
		/* The other bits are all clear half of the time. */
		for (unsigned j = 0, odds = fp_random_below(&random, 2); odds && j < 4; j++)
			request.fpcr |= fp_random_below(&random, 2) ? bits[j] : 0;
		for (unsigned j = 0; j < 3; j++)
			request.operand[j] = fp_random_operand(&random, ops[request.op].kinds[j]);
		assert_int_equal(fwrite(&request, sizeof(request), 1, to), 1);
	}
	rewind(to);
}

/* Runs the program with its standard input and output in files; returns its exit status. */
static int run_program(FILE *in, FILE *out)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fileno(in), STDIN_FILENO);
		dup2(fileno(out), STDOUT_FILENO);
		execlp(emulator, emulator, "-cpu", "max", program, (char *)NULL);
		_exit(EXIT_SKIP);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * FJCVTZS of a positive denormal that FPCR.FZ flushes: QEMU 7.2 leaves Z set, but FPToFixedJS
 * clears it for a zero value with a fraction that is not.
 */
static void correct_reply(const struct fp_request *request, struct fp_reply *reply)
{
	uint64_t a = request->operand[0], unit = 1ull << 52;

	if (!strcmp(ops[request->op].name, "jcvtzs") && (request->fpcr & FP_CR_FZ) && a && a < unit)
		reply->result &= (1ull << NZCV_IN_JS_RESULT) - 1;
}

static bool same(const struct fp_request *request, const struct fp_reply *reply, bool show)
{
	const struct op *op = &ops[request->op];
	struct fp_env env = {request->fpcr, 0};
	uint64_t result = op->call(&env, request->operand);

	if (result == reply->result && env.fpsr == reply->fpsr)
		return true;
	if (show)
		print_error("%s fpcr=%08" PRIx32 " %" PRIx64 " %" PRIx64 " %" PRIx64
			    ": ours %" PRIx64 " fpsr %02" PRIx32 ", theirs %" PRIx64
			    " fpsr %02" PRIx64 "\n",
			    op->name, request->fpcr, request->operand[0], request->operand[1],
			    request->operand[2], result, env.fpsr, reply->result, reply->fpsr);
	return false;
}

static void test_instructions(void **state)
{
	unsigned count = (unsigned)env_number("FP_COUNT", DEFAULT_COUNT), failed = 0, total = 0;
	unsigned wrong[NR_OPS] = {0};
	FILE *in = tmpfile(), *out = tmpfile();
	struct fp_request request;
	struct fp_reply reply;

	assert_non_null(in);
	assert_non_null(out);
	make_requests(in, count, env_number("FP_SEED", DEFAULT_SEED));
	assert_int_equal(run_program(in, out), 0);
	rewind(in);
	rewind(out);
	while (fread(&request, sizeof(request), 1, in) == 1) {
		assert_int_equal(fread(&reply, sizeof(reply), 1, out), 1);
		total++;
		correct_reply(&request, &reply);
		if (!same(&request, &reply, wrong[request.op] < MISMATCHES_SHOWN)) {
			wrong[request.op]++;
			failed++;
		}
	}
	assert_int_equal(total, NR_OPS * count);
	print_message("%u operations, %u vectors, %u differ\n", (unsigned)NR_OPS, total, failed);
	fclose(in);
	fclose(out);
	assert_int_equal(failed, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_instructions)};
	FILE *in, *out;

	if (argc != 3) {
		fprintf(stderr, "usage: test_oracle EMULATOR PROGRAM\n");
		return 2;
	}
	emulator = argv[1];
	program = argv[2];
	in = tmpfile();
	out = tmpfile();
	if (!in || !out || run_program(in, out) == EXIT_SKIP) {
		fprintf(stderr, "%s does not run here: skipped\n", emulator);
		return EXIT_SKIP;
	}
	fclose(in);
	fclose(out);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
