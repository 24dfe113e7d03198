/* SPDX-License-Identifier: MIT */
/*
 * Code for vectors of integers and for cryptography against the ops' functions: each op, lane,
 * shape and immediate, on edges and random values, with operands that share registers and operands
 * that are needed afterwards or not.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "engine/code/pipeline.h"
#include "engine/lockstep.h"
#include "tests/engine/guest.h"
#include "tests/engine/make_ir.h"
#include "tests/engine/test_vec.h"

#define VALUES 16
#define CODE   (RAM_BASE + 0x10000)

static struct guest g;

/* Which registers the operands are, and the bits of those that are PUT elsewhere after the op. */
static const uint8_t shared[][3] = {{0, 1, 2}, {0, 0, 2}, {0, 1, 0}, {0, 1, 1}, {0, 0, 0}};
static const uint8_t kept[] = {0, 1, 2, 4, 7};

static const char *name_of(unsigned int opc)
{
	return ir_op_info(opc)->name;
}

/* The immediates that the op can have: first, last, step. */
struct range {
	int32_t first, last, step;
};

static struct range immediates(unsigned int opc, unsigned int lane, unsigned int shape)
{
	int32_t width = 8 << lane;

	switch (opc) {
	case IR_V_SHLI:
	case IR_V_SLI:
	case IR_V_SQSHLI:
	case IR_V_UQSHLI:
	case IR_V_SQSHLUI:
		return (struct range){0, width - 1, 1};
	case IR_V_SSHRI:
	case IR_V_USHRI:
	case IR_V_SRSHRI:
	case IR_V_URSHRI:
	case IR_V_SRI:
		return (struct range){1, width, 1};
	case IR_V_EXT:
		return (struct range){0, shape == IR_FULL ? 15 : 7, 1};
	case IR_V_TBL:
	case IR_V_TBX:
		return (struct range){0, 48, 16};
	case IR_V_INT3:
		return (struct range){0, 2, 1};
	case IR_V_DEINT3:
		return (struct range){0, 2, 1};
	default:
		return (struct range){0, 0, 1};
	}
}

/* A translation of @nr ops at CODE. */
static struct translation *translate(const struct ir_op *op, unsigned int nr, bool plain)
{
	struct translator *translator = engine_of(g.cpu[0])->translator;
	struct ir_work *w = &translator->work;
	static const uint8_t guest[4];
	struct translation *t;
	char why[128];

	w->b = (struct ir_block){.nr_insns = 1,
				 .pc_offset = CODE & 0xfff,
				 .mode = g.cpu[0]->mode,
				 .insn_offset = {0, 4},
				 .nr_ops = (uint16_t)nr};
	memcpy(w->b.op, op, nr * sizeof(*op));
	if (ir_verify(&w->b, why, sizeof(why)))
		fail_msg("%s", why);
	memset(w->dead, 0, nr);
	w->plain = plain;
	pass_dead(w);
	assert_int_equal(translator->cache->back->compile(translator->compiler, w, guest, &t), 0);
	w->plain = false;
	return t;
}

static void release(struct translation *t)
{
	cache_of(g.cpu[0])->back->release(cache_of(g.cpu[0]), t);
}

/*
 * V1 V2 V3 are the operands (@low: their low halves are), V0 the result, V4 V5 V6 what the kept
 * ones were; X0 + X1 + C is made before the op, and its flags are asked for behind. V7's bits are
 * counted before, which leaves something in each scratch register.
 */
static struct translation *compile(const struct ir_op *op, const uint8_t *share, unsigned int keep,
				   bool low)
{
	const char *operands = ir_op_info(op->opc)->operands;
	struct ir_op ops[24] = {
		GET_V(1),
		GET_V(2),
		GET_V(3),
		OP1(VZEXT, V128, IR_LANES(IR_D, IR_HALF), 0, 0),
		OP1(VZEXT, V128, IR_LANES(IR_D, IR_HALF), 0, 1),
		OP1(VZEXT, V128, IR_LANES(IR_D, IR_HALF), 0, 2),
		GET_X(I64, 0),
		GET_X(I64, 1),
		GET_F(),
		OP3(ADCF, I64, 0, 0, 6, 7, 8),
		GET_V(7),
		OP1(V_CNT, V128, IR_LANES(IR_B, IR_FULL), 0, 10),
		PUT_V(7, 11),
	};
	enum { FLAGS_OP = 9, OP = 13 };
	unsigned int nr = OP;
	ir_val v[3];

	for (unsigned int k = 0; k < 3; k++)
		v[k] = operands[k] == 'v' ? share[k] + 3 * low : NONE;
	ops[nr++] = (struct ir_op){.opc = op->opc,
				   .type = IR_V128,
				   .aux = op->aux,
				   .imm = op->imm,
				   .a = v[0],
				   .b = v[1],
				   .c = v[2]};
	ops[nr++] = (struct ir_op)PUT_V(0, OP);
	ops[nr++] = (struct ir_op)PUT_F(FLAGS_OP);
	for (unsigned int k = 0; k < 3; k++)
		if (keep >> k & 1)
			ops[nr++] = (struct ir_op)PUT_V(4 + k, k + 3 * low);
	ops[nr++] = (struct ir_op)JUMP_TO(4);
	return translate(ops, nr, false);
}

static void check(const struct ir_op *op, const uint8_t *share, unsigned int keep, bool low,
		  uint64_t *seed)
{
	unsigned int lane = IR_LANE(op->aux), shape = IR_SHAPE(op->aux);
	struct cpu *cpu = g.cpu[0];
	vec_fn *fn = vec_function(op->opc, lane, shape);
	static struct cpu before, expect;
	struct translation *t;

	guest_reset(&g, 0, CODE, 0);
	t = compile(op, share, keep, low);
	for (unsigned int n = 0; n < VALUES; n++) {
		guest_reset(&g, 0, CODE, 0);
		for (unsigned int i = 0; i < 8; i++)
			test_random_vreg(seed, &cpu->v[i], test_random(seed) % 4 ? lane : 3);
		cpu->x[0] = test_random(seed);
		cpu->x[1] = test_random(seed) % 3 ? test_random(seed) : 0 - cpu->x[0];
		cpu->nzcv = (uint32_t)test_random(seed) & 0xf0000000;
		cpu->fpsr = 0;
		memcpy(&before, cpu, CPU_STATE_SIZE);
		memcpy(&expect, cpu, CPU_STATE_SIZE);
		union vreg in[3];

		for (unsigned int k = 0; k < 3; k++)
			in[k] = (union vreg){
				.d = {before.v[1 + k].d[0], low ? 0 : before.v[1 + k].d[1]}};
		fn(&expect, &expect.v[0], &in[share[0]], &in[share[1]], &in[share[2]], op->imm);
		vec_function(IR_V_CNT, IR_B, IR_FULL)(&expect, &expect.v[7], &before.v[7], NULL,
						      NULL, 0);
		for (unsigned int k = 0; k < 3; k++)
			if (keep >> k & 1)
				expect.v[4 + k] = in[k];
		unsigned int c = before.nzcv >> 29 & 1;
		uint64_t sum;
		int64_t s;
		bool carry = __builtin_add_overflow(before.x[0], before.x[1], &sum);

		carry |= __builtin_add_overflow(sum, (uint64_t)c, &sum);
		bool over = __builtin_add_overflow((int64_t)before.x[0], (int64_t)before.x[1], &s);
		over ^= __builtin_add_overflow(s, (int64_t)c, &s);
		expect.nzcv = (uint32_t)(sum >> 63) << 31 | (uint32_t)!sum << 30 |
			      (uint32_t)carry << 29 | (uint32_t)over << 28;
		assert_int_equal(lockstep_run(cpu, t), CPU_EXIT_KICK);
		if (!memcmp(cpu->v, expect.v, sizeof(cpu->v)) && cpu->fpsr == expect.fpsr &&
		    cpu->nzcv == expect.nzcv)
			continue;
		for (unsigned int i = 0; i < 8; i++)
			print_error("V%u %016" PRIx64 " %016" PRIx64 " is %016" PRIx64
				    " %016" PRIx64 " expected %016" PRIx64 " %016" PRIx64 "\n",
				    i, before.v[i].d[1], before.v[i].d[0], cpu->v[i].d[1],
				    cpu->v[i].d[0], expect.v[i].d[1], expect.v[i].d[0]);
		fail_msg("%s lane %u shape %u imm %d, operands %u %u %u, kept %#x: fpsr %#x not "
			 "%#x, nzcv %#x not %#x",
			 name_of(op->opc), lane, shape, op->imm, share[0], share[1], share[2], keep,
			 cpu->fpsr, expect.fpsr, cpu->nzcv, expect.nzcv);
	}
	release(t);
}

static void check_op(unsigned int opc)
{
	uint64_t seed = 1 + opc;

	for (unsigned int lane = IR_B; lane <= IR_D; lane++) {
		for (unsigned int shape = IR_SCALAR; shape <= IR_FULL; shape++) {
			struct range r = immediates(opc, lane, shape);

			if (!vec_function(opc, lane, shape))
				continue;
			for (int32_t imm = r.first; imm <= r.last; imm += r.step) {
				struct ir_op op = {.opc = (uint16_t)opc,
						   .aux = IR_LANES(lane, shape),
						   .imm = imm};

				for (unsigned int n = 0; n < 50; n++)
					check(&op, shared[n % 5], kept[n / 5 % 5], n >= 25, &seed);
			}
		}
	}
}

static void test_integers(void **state)
{
	for (unsigned int opc = IR_V_AND; opc < IR_V_FABS; opc++)
		check_op(opc);
}

static void test_crypto(void **state)
{
	for (unsigned int opc = IR_V_AESE; opc < IR_NR_OPS; opc++)
		check_op(opc);
}

/* --- ops that have no function --- */

/* Run @t on random registers; V0 must be what fn(V1, V2) is. */
static void run_and_compare(struct translation *t, const struct ir_op *op, uint64_t *seed,
			    void (*fn)(const struct ir_op *op, union vreg *d, const union vreg *v))
{
	struct cpu *cpu = g.cpu[0];

	for (unsigned int n = 0; n < VALUES; n++) {
		union vreg expect;

		guest_reset(&g, 0, CODE, 0);
		for (unsigned int i = 0; i < 4; i++)
			test_random_vreg(seed, &cpu->v[i], IR_D);
		fn(op, &expect, cpu->v);
		assert_int_equal(lockstep_run(cpu, t), CPU_EXIT_KICK);
		if (memcmp(&cpu->v[0], &expect, sizeof(expect)))
			fail_msg("%s lane %u shape %u imm %#x: %016" PRIx64 " %016" PRIx64
				 " expected %016" PRIx64 " %016" PRIx64,
				 name_of(op->opc), IR_LANE(op->aux), IR_SHAPE(op->aux), op->imm,
				 cpu->v[0].d[1], cpu->v[0].d[0], expect.d[1], expect.d[0]);
	}
	release(t);
}

static void expect_lane(const struct ir_op *op, union vreg *d, const union vreg *v)
{
	unsigned int size = 1u << IR_LANE(op->aux), shape = IR_SHAPE(op->aux);
	unsigned int nr = shape == IR_SCALAR ? 1 : (shape == IR_HALF ? 8 : 16) / size;

	if (op->opc == IR_VINSL) {
		*d = v[1];
		memcpy(&d->b[size * ((unsigned int)op->imm & 0xff)],
		       &v[op->b == 0 ? 1 : 2].b[size * ((unsigned int)op->imm >> 8)], size);
		return;
	}
	*d = (union vreg){.d = {0, 0}};
	for (unsigned int i = 0; i < nr; i++)
		memcpy(&d->b[size * i], &v[1].b[size * (unsigned int)op->imm], size);
}

/* Each lane to each, and to all. The operand that is kept, or not, is the first. */
static void test_lanes(void **state)
{
	uint64_t seed = 1;

	for (unsigned int n = 0; n < 16 * 16 * 4 * 16; n++) {
		unsigned int lane = n & 3, to = n >> 2 & 15, from = n >> 6 & 15, how = n >> 10;
		unsigned int last = 15u >> lane, shape = how % 4;
		struct ir_op ops[8] = {GET_V(1), GET_V(2)};
		unsigned int nr = 3;

		if (to > last || from > last)
			continue;
		if (shape < 3 && to)
			continue;
		if (shape < 3)
			ops[2] = (struct ir_op)OP1(VDUPL, V128, IR_LANES(lane, shape),
						   (int32_t)from, 0);
		else
			ops[2] = (struct ir_op)OP2(VINSL, V128, IR_LANES(lane, IR_FULL),
						   (int32_t)(to | from << 8), 0, how / 8);
		ops[nr++] = (struct ir_op)PUT_V(0, 2);
		if (how / 4 % 2)
			ops[nr++] = (struct ir_op)PUT_V(3, 0);
		ops[nr++] = (struct ir_op)JUMP_TO(4);
		run_and_compare(translate(ops, nr, false), &ops[2], &seed, expect_lane);
	}
}

/* AES rounds and what mixes their columns, done as one where nobody sees it. */
static void expect_aes(const struct ir_op *op, union vreg *d, const union vreg *v)
{
	union vreg r;

	vec_function(op[0].opc, IR_B, IR_FULL)(g.cpu[0], &r, &v[1], &v[2], NULL, 0);
	vec_function(op[1].opc, IR_B, IR_FULL)(g.cpu[0], d, &r, NULL, NULL, 0);
}

static void test_aes_pairs(void **state)
{
	static const uint16_t rounds[] = {IR_V_AESE, IR_V_AESD},
			      mixes[] = {IR_V_AESMC, IR_V_AESIMC};
	uint64_t seed = 1;

	for (unsigned int n = 0; n < 64; n++) {
		struct ir_op ops[40] = {GET_V(1), GET_V(2)};
		unsigned int nr = 4;

		ops[2] = (struct ir_op)OP2(V_AESE, V128, IR_LANES(IR_B, IR_FULL), 0, 0, 1);
		ops[2].opc = rounds[n & 1];
		/* Ops between them, too few and too many for both to be done as one. */
		ops[3] = (struct ir_op)OP2(V_EOR, V128, IR_LANES(IR_B, IR_FULL), 0, 0, 1);
		if (n & 16)
			for (unsigned int k = 0; k < 20; k++, nr++)
				ops[nr] = (struct ir_op)OP2(V_EOR, V128, IR_LANES(IR_B, IR_FULL), 0,
							    nr - 1, 1);
		ops[nr] = (struct ir_op)OP1(V_AESMC, V128, IR_LANES(IR_B, IR_FULL), 0, 2);
		ops[nr].opc = mixes[n >> 1 & 1];
		const struct ir_op pair[2] = {ops[2], ops[nr]};

		ops[nr + 1] = (struct ir_op)PUT_V(0, nr);
		ops[nr + 2] = (struct ir_op)PUT_V(4, nr - 1);
		nr += 3;
		if (n & 4)
			ops[nr++] = (struct ir_op)PUT_V(3, 2);
		if (n & 8)
			ops[nr++] = (struct ir_op)PUT_V(5, 0);
		ops[nr++] = (struct ir_op)JUMP_TO(4);
		run_and_compare(translate(ops, nr, n & 32), pair, &seed, expect_aes);
		if (n & 4) {
			union vreg middle;
			struct cpu *cpu = g.cpu[0];

			vec_function(pair[0].opc, IR_B, IR_FULL)(cpu, &middle, &cpu->v[1],
								 &cpu->v[2], NULL, 0);
			assert_memory_equal(&cpu->v[3], &middle, sizeof(middle));
		}
	}
}

static int setup(void **state)
{
	setenv("ARMATURE_ENGINE", "x64", 1);
	guest_start(&g, 1);
	return 0;
}

static int teardown(void **state)
{
	guest_stop(&g);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_crypto),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_aes_pairs),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
