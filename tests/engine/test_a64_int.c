/* SPDX-License-Identifier: MIT */
/*
 * The front end's integer, branch, load/store and atomic instructions against an arm64 CPU
 * (qemu-aarch64, or a real one).
 *
 * usage: test_a64_int CASES_PER_ROW SEED ARM64_COMMAND...
 *
 * For each row of the tables: random words, registers and memory; the IR that the front end emits
 * is evaluated by the definitions of its ops, and the state after it compared with what the CPU
 * did. Loads and stores get a base register that makes them hit the window; what hits nothing that
 * both sides have is not a case.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/front/a64/decode.h"
#include "tests/engine/random_words.h"
#include "tests/engine/test_a64_int_eval.h"
#include "tests/engine/unpredictable.h"

#define MAX_SHOWN 20

static uint64_t seed;
static int to_cpu, from_cpu;

static uint64_t random64(void)
{
	return (uint64_t)random_word(&seed) << 32 | random_word(&seed);
}

static uint64_t random_value(void)
{
	static const uint64_t corners[] = {
		0,
		1,
		2,
		~0ull,
		1ull << 63,
		(1ull << 63) - 1,
		1ull << 31,
		(1ull << 31) - 1,
		0xffffffff,
		1ull << 32,
		0xffffffff80000000,
		0x80,
		0x7f,
		0xff,
		0x8000,
		0xffff,
	};
	uint64_t v = random64();

	switch (random_word(&seed) % 8) {
	case 0:
	case 1:
		return corners[v % 16];
	case 2:
		return v & 0xff;
	case 3:
		return (uint32_t)v;
	case 4:
		return 1ull << v % 64;
	}
	return v;
}

static void random_state(struct int_case *c)
{
	for (unsigned int i = 0; i < 32; i++) {
		c->x[i] = random_value();
		c->v[i][0] = random64();
		c->v[i][1] = random64();
	}
	c->x[31] &= ~15ull;
	c->nzcv = random_word(&seed) & 0xf0000000;
	for (unsigned int i = 0; i < CASE_WINDOW / 8; i++)
		memcpy(c->mem + 8 * i, &(uint64_t){random_value()}, 8);
	c->outcome = 0;
	c->pad = 0;
}

static bool is_access(const struct ir_op *op)
{
	return op->opc == IR_LD || op->opc == IR_ST || op->opc == IR_STX || op->opc == IR_RMW ||
	       op->opc == IR_CAS;
}

/* Make the access of @b hit the window, by its base register. */
static void aim(const struct ir_block *b, struct int_case *c)
{
	for (unsigned int i = 0; i < b->nr_ops; i++) {
		const struct ir_op *op = &b->op[i], *base;
		const struct mem_desc *d;
		uint64_t target = CASE_DATA + random_word(&seed) % (CASE_WINDOW - 32);

		if (!is_access(op))
			continue;
		d = &b->mem[op->aux];
		base = &b->op[op->a];
		if (d->align)
			target &= ~((1ull << (d->size_log2 + d->pair)) - 1);
		if (base->opc != IR_GET)
			return;
		c->x[(base->imm - CPU_SLOT_X(0)) / 8] += target - eval_address(b, i, c);
		if (base->imm == CPU_SLOT_X(31)) /* SP stays aligned: aim at what it can reach */
			c->x[31] &= ~15ull;
		return;
	}
}

/* Branches go to the one place where the CPU's side catches them; literals to the pool. */
static uint32_t bend(uint32_t insn, struct int_case *c)
{
	if ((insn & 0x7c000000) == 0x14000000) /* B BL */
		return (insn & 0xfc000000) | 2;
	if ((insn & 0xff000010) == 0x54000000 || (insn & 0x7e000000) == 0x34000000)
		return (insn & ~0x00ffffe0u) | 2 << 5;
	if ((insn & 0x7e000000) == 0x36000000)
		return (insn & ~0x0007ffe0u) | 2 << 5;
	if ((insn & 0x3b000000) == 0x18000000)
		return (insn & ~0x00ffffe0u) | (CASE_POOL / 4 + insn % 32) << 5;
	if ((insn & 0xff9ffc1f) == 0xd61f0000)
		c->x[BITS(insn, 9, 5)] = CASE_PC + 8;
	if ((insn & 0xffd00000) == 0xd5100000) /* MSR MRS: NZCV */
		return (insn & 0xfff0001f) | 0x000b4200;
	return insn;
}

/* A word of @row with which all implementations must do the same. */
static uint32_t row_word(const struct a64_row *row)
{
	uint32_t insn;

	do
		insn = as_it_should_be((random_word(&seed) & ~row->mask) | row->value);
	while (registers_clash(insn));
	return insn;
}

static bool make_case(const struct a64_row *row, struct int_case *before, struct int_case *ours)
{
	static uint32_t page[MEM_PAGE_SIZE / 4];
	static struct ir_block b;
	uint32_t insn = row_word(row);

	random_state(before);
	insn = bend(insn, before);
	page[1] = before->insn = insn;
	a64_translate_block(&b, page, 4, CPU_MODE_FP, 1);
	aim(&b, before);
	*ours = *before;
	return eval_block(&b, ours);
}

static bool ask_cpu(const struct int_case *before, struct int_case *after)
{
	char *p = (char *)after;

	if (write(to_cpu, before, sizeof(*before)) != sizeof(*before))
		return false;
	for (size_t n = 0; n < sizeof(*after);) {
		ssize_t got = read(from_cpu, p + n, sizeof(*after) - n);

		if (got <= 0)
			return false;
		n += (size_t)got;
	}
	return true;
}

static void show(const struct a64_row *row, const struct int_case *before,
		 const struct int_case *ours, const struct int_case *cpu)
{
	printf("%s: %08x nzcv %08x\n", row->name, before->insn, before->nzcv);
	if (ours->outcome != cpu->outcome)
		printf("  outcome %u, CPU %u\n", ours->outcome, cpu->outcome);
	if (ours->nzcv != cpu->nzcv)
		printf("  nzcv %08x, CPU %08x\n", ours->nzcv, cpu->nzcv);
	for (unsigned int i = 0; i < 32; i++) {
		if (ours->x[i] != cpu->x[i])
			printf("  x%u %016jx: %016jx, CPU %016jx\n", i, (uintmax_t)before->x[i],
			       (uintmax_t)ours->x[i], (uintmax_t)cpu->x[i]);
		if (memcmp(ours->v[i], cpu->v[i], 16))
			printf("  v%u %016jx%016jx, CPU %016jx%016jx\n", i,
			       (uintmax_t)ours->v[i][1], (uintmax_t)ours->v[i][0],
			       (uintmax_t)cpu->v[i][1], (uintmax_t)cpu->v[i][0]);
	}
	for (unsigned int i = 0; i < CASE_WINDOW; i++)
		if (ours->mem[i] != cpu->mem[i])
			printf("  mem[%u] %02x: %02x, CPU %02x\n", i, before->mem[i], ours->mem[i],
			       cpu->mem[i]);
}

static bool start_cpu(char **command)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe(in) || pipe(out))
		return false;
	pid = fork();
	if (!pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execvp(command[0], command);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	to_cpu = in[1];
	from_cpu = out[0];
	return pid > 0;
}

/* Returns the number of mismatches, or -1 when the other side is gone. */
static int run_row(const struct a64_row *row, unsigned int cases, unsigned int *done)
{
	struct int_case before, ours, cpu;
	int bad = 0;

	for (unsigned int n = 0; n < cases; n++) {
		if (!make_case(row, &before, &ours))
			continue;
		if (!ask_cpu(&before, &cpu)) {
			printf("%s: %08x: the CPU's side died\n", row->name, before.insn);
			return -1;
		}
		++*done;
		if (!memcmp(&ours, &cpu, sizeof(cpu)))
			continue;
		if (bad++ < MAX_SHOWN)
			show(row, &before, &ours, &cpu);
	}
	return bad;
}

int main(int argc, char **argv)
{
	static const struct a64_row *const tables[] = {
		a64_dp_imm, a64_dp_reg, a64_branch, a64_system, a64_ldst, a64_atomic,
	};
	unsigned int bad = 0, total = 0;

	if (argc < 4 || !start_cpu(argv + 3)) {
		fprintf(stderr, "usage: test_a64_int CASES_PER_ROW SEED ARM64_COMMAND...\n");
		return 2;
	}
	seed = strtoull(argv[2], NULL, 0) | 1ull << 63;
	for (unsigned int i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (const struct a64_row *r = tables[i]; r->fn; r++) {
			unsigned int done = 0;
			int n = run_row(r, (unsigned int)atoi(argv[1]), &done);

			if (n < 0)
				return 1;
			printf("%-24s %7u cases, %d wrong\n", r->name, done, n);
			bad += (unsigned int)n;
			total += done;
		}
	printf("%u cases, %u wrong\n", total, bad);
	close(to_cpu);
	wait(NULL);
	return bad || !total;
}
