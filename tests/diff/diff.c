/* SPDX-License-Identifier: MIT */
/*
 * Differential test: random A64 user-level instructions on our engine and under qemu-aarch64,
 * compared in registers, flags, FPSR and memory.
 *
 *   diff ORACLE [-e engine] [-n instructions] [-s seed] [-1] [-g name] [-v]
 *
 * -e names the back end that runs our side (back/back.h), -1 makes every case one instruction, -g
 * takes only forms whose name begins so, -v prints each difference (at most 40). Words are made
 * from the decoder's own rows; the decode space is another test's business.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "cpu/fp/fp.h"
#include "engine/front/a64/decode.h"
#include "engine/private.h"
#include "tests/engine/unpredictable.h"

#define SYS_BASE       0x40000000ull /* page table and vectors, EL1 only */
#define SYS_SIZE       0x10000ull
#define VECTORS        (SYS_BASE + 0x4000)
#define HVC_0          0xd4000002u
#define BRK_0          0xd4200000u
#define MAX_ROWS       4096
#define MAX_SHOWN      40
#define DFSC_ALIGNMENT 0x21

static struct machine machine;
static struct cpu *cpu;
static uint8_t *data, *code, *sys;
static const struct a64_row *form[MAX_ROWS];
static unsigned int nr_forms;
static struct {
	unsigned long n;
	unsigned int seed;
	bool single, verbose;
	const char *group, *engine;
} opt = {.n = 1000000, .seed = 1};

/* --- our side --- */

static uint8_t *ram(uint64_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void no_op(struct cpu *c)
{
}

static const struct machine_ops ops = {.timers_changed = no_op,
				       .pmu_changed = no_op,
				       .icache_invalidate = engine_icache_invalidate};

static int setup(void)
{
	static struct mem_slot slots[3];

	data = ram(DATA_SIZE);
	code = ram(CODE_SIZE);
	sys = ram(SYS_SIZE);
	slots[0] = (struct mem_slot){.gpa = DATA_BASE, .size = DATA_SIZE, .host = data};
	slots[1] = (struct mem_slot){
		.gpa = CODE_BASE, .size = CODE_SIZE, .host = code, .readonly = true};
	slots[2] = (struct mem_slot){.gpa = SYS_BASE, .size = SYS_SIZE, .host = sys};
	const struct backend *back = opt.engine ? back_find(opt.engine) : back_nth(0);

	if (!back || machine_init(&machine, &ops) || engine_vm_init_with(&machine, back))
		return -1;
	for (unsigned int i = 0; i < 3; i++)
		mem_insert(&machine.mem, &slots[i]);
	machine.mem.pa_bits = 40;
	cpu = engine_cpu_alloc(&machine);
	if (!cpu || cpu_init(cpu, &machine, 0, 0x80000000) || engine_vcpu_init(cpu))
		return -1;
	machine.cpus[0] = cpu;
	machine.nr_cpus = 1;

	/*
	 * Two blocks of 1 GiB, identity: EL0 read, write, execute; EL1 only. AF, inner shareable,
	 * attribute 0.
	 */
	uint64_t *table = (uint64_t *)sys;
	table[0] = 0 | 1 << 10 | 3 << 8 | 1 << 6 | 1;
	table[1] = SYS_BASE | 1 << 10 | 3 << 8 | 1;
	for (unsigned int v = 0; v < 0x800; v += 0x80)
		*(uint32_t *)(sys + (VECTORS - SYS_BASE) + v) = HVC_0;
	cpu_reset(cpu);
	cpu->sys.ttbr0 = SYS_BASE;
	cpu->sys.mair = 0xff;
	/* 39 bits below, nothing above; TBI0 (bit 37) as Linux, and so the oracle, has it. */
	cpu->sys.tcr = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 1ull << 37;
	cpu->sys.cpacr = 3 << 20;
	cpu->sys.vbar = VECTORS;
	cpu->sys.sctlr |= 1;
	return 0;
}

static void run_case(const struct test_case *c, unsigned int slot, struct state *s)
{
	uint64_t start = CODE_BASE + (uint64_t)slot * CASE_SLOT_WORDS * 4;

	state_init(s, c);
	data_init(data + DATA_SIZE / 2, c);
	cpu_set_pstate(cpu, 0);
	memcpy(cpu->x, s->x, sizeof(s->x));
	cpu->x[30] = start;
	cpu->x[31] = s->sp;
	memcpy(cpu->v, s->v, sizeof(s->v));
	cpu->nzcv = s->nzcv;
	cpu->fpcr = s->fpcr;
	cpu->fpsr = 0;
	cpu->excl_size = 0;
	cpu->pc = start;
	cpu->icount_limit = UINT64_MAX;
	cpu_update_mode(cpu);
	enum cpu_exit_reason why = engine_run(cpu);
	uint64_t pc = why == CPU_EXIT_HVC ? cpu->sys.elr : cpu->pc;

	memcpy(s->x, cpu->x, sizeof(s->x));
	s->sp = why == CPU_EXIT_HVC ? cpu->sp_el[0] : cpu->x[31];
	memcpy(s->v, cpu->v, sizeof(s->v));
	s->nzcv = why == CPU_EXIT_HVC ? (uint32_t)cpu->sys.spsr & 0xf0000000u : cpu->nzcv;
	s->fpsr = cpu_fpsr(cpu);
	s->stop = (uint32_t)(pc - start) / 4;
	if (why != CPU_EXIT_HVC)
		s->stop |= CASE_STOP_FAULT;
	else if (cpu->sys.esr >> 26 == EC_UNKNOWN)
		s->stop |= CASE_STOP_UNDEF;
	else if (cpu->sys.esr >> 26 == EC_SP_ALIGN ||
		 (cpu->sys.esr >> 26 == EC_DABT_LOW && (cpu->sys.esr & 0x3f) == DFSC_ALIGNMENT))
		s->stop |= CASE_STOP_ALIGN;
	else if (cpu->sys.esr >> 26 != EC_BRK64)
		s->stop |= CASE_STOP_FAULT;
	s->memory = data_hash(data + DATA_SIZE / 2);
}

/* --- words --- */

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* STXR, STXP and their like */
static bool is_store_exclusive(uint32_t w)
{
	return (w & 0x3fe00000) == 0x08000000 || (w & 0xbfe00000) == 0x88200000;
}

static bool is_branch(uint32_t w)
{
	return (w & 0xff000010) == 0x54000000 || (w & 0x7c000000) == 0x34000000;
}

static bool is_memory(uint32_t w)
{
	return (w & 0x0a000000) == 0x08000000;
}

/*
 * Where an instruction is CONSTRAINED UNPREDICTABLE or its address would be wild: make it tame, or
 * say no.
 */
static bool tame(uint32_t *word, struct rng *r)
{
	uint32_t w = *word, rt = w & 31, rt2 = w >> 10 & 31, rs = w >> 16 & 31;

	if (!is_memory(w)) {
		/* the base and index registers stay what they are */
		if (rt == BASE_REG || rt == INDEX_REG)
			*word = w & ~31u;
		return true;
	}
	if ((w & 0x3b000000) == 0x18000000) /* literal: within the slot */
		*word = (w & ~(0x7ffffu << 5)) | (uint32_t)(rng_next(r) & 7) << 5;
	else
		*word = w = (w & ~(31u << 5)) | ((rng_next(r) & 3) ? BASE_REG : 31u) << 5;
	if ((w & 0x3b000000) == 0x39000000) /* unsigned offset */
		*word = w = w & ~(0xfc0u << 10);
	if ((w & 0x3b200c00) == 0x38200800) /* register offset */
		*word = w = (w & ~(31u << 16)) | INDEX_REG << 16;
	/* structures, post-index by register */
	if ((w & 0xbe000000) == 0x0c000000 && (w >> 23 & 1) && rs != 31)
		*word = w = (w & ~(31u << 16)) | INDEX_REG << 16;
	bool simd = w >> 26 & 1;
	if (!simd && (rt == BASE_REG || rt == INDEX_REG))
		return false;
	if (registers_clash(w))
		return false;
	if ((w & 0x3a000000) == 0x28000000 && !simd && rt2 == BASE_REG)
		return false;
	if ((w & 0x3f000000) == 0x08000000 && (rs == BASE_REG || rt2 == BASE_REG))
		return false;
	if ((w & 0x3b200c00) == 0x38200000 && (rs == BASE_REG))
		return false;
	return true;
}

static uint32_t branch_word(struct rng *r)
{
	uint64_t k = rng_next(r);

	switch (k >> 60 & 3) {
	case 0:
		return 0x54000000 | 2 << 5 | ((uint32_t)k & 15);
	case 1:
		return 0x34000000 | ((uint32_t)k & 0x81000000) | 2 << 5 | ((uint32_t)k & 31);
	default:
		return 0x36000000 | ((uint32_t)k & 0x81f80000) | 2 << 5 | ((uint32_t)k & 31);
	}
}

/* Forms that the CPU does not have are UNDEFINED here, but may well run in the oracle. */
static bool allocated(uint32_t w)
{
	static struct ir_block b;

	a64_translate_block(&b, &w, 0, CPU_MODE_FP, 1);
	for (unsigned int i = 0; i < b.nr_ops; i++)
		if (b.op[i].opc == IR_EXCEPTION)
			return false;
	return true;
}

static uint32_t random_word(struct rng *r)
{
	for (;;) {
		uint64_t k = rng_next(r);

		if (!opt.single && !opt.group && (k >> 40 & 15) == 0)
			return branch_word(r);
		const struct a64_row *row = form[(k >> 32) % nr_forms];
		uint32_t w = as_it_should_be(row->value | ((uint32_t)k & ~row->mask));

		if (a64_decode(w) == row && tame(&w, r) && a64_decode(w) == row && allocated(w))
			return w;
	}
}

static void collect_forms(void)
{
	for (unsigned int t = 0; t < A64_NR_TABLES; t++) {
		if (!a64_tables[t] || a64_tables[t] == a64_branch || a64_tables[t] == a64_system)
			continue;
		for (const struct a64_row *row = a64_tables[t]; row->fn; row++)
			if (nr_forms < MAX_ROWS && (!opt.group || starts(row->name, opt.group)))
				form[nr_forms++] = row;
	}
}

static void make_case(struct test_case *c, struct rng *r)
{
	static const uint32_t modes[] = {0,        0,          0,         FP_CR_DN,
					 FP_CR_FZ, FP_CR_FZ16, FP_CR_AHP, FP_CR_FZ | FP_CR_DN};

	memset(c, 0, sizeof(*c));
	c->seed = rng_next(r);
	c->nr = opt.single ? 1 : CASE_INSNS;
	uint64_t k = rng_next(r);

	c->fpcr = (k & 1) ? 0 : modes[k >> 8 & 7] | ((uint32_t)(k >> 16) & 3) << 22;
	for (unsigned int i = 0; i < c->nr; i++) {
		uint32_t w = random_word(r);

		/*
		 * Alone it only ever fails; after an exclusive load of another size it is
		 * UNPREDICTABLE.
		 */
		if (is_store_exclusive(w) && c->nr > 1) {
			bool skipped = i && is_branch(c->word[i - 1]);
			uint32_t load = w | 1 << 22 | 31 << 16;

			if (i + 1 == c->nr || skipped || (w >> 5 & 31) == (w & 31) ||
			    registers_clash(load)) {
				i--;
				continue;
			}
			c->word[i++] = load;
		}
		c->word[i] = w;
	}
}

/* --- comparison --- */

struct tally {
	const char *name;
	unsigned int n;
};
static struct tally tallies[MAX_ROWS];
static unsigned int shown;

static void blame(const struct test_case *c)
{
	const struct a64_row *row = a64_decode(c->word[0]);
	const char *name = c->nr > 1 ? "(sequence)" : row ? row->name : "(none)";
	unsigned int i = 0;

	while (tallies[i].n && strcmp(tallies[i].name, name))
		i++;
	tallies[i].name = name;
	tallies[i].n++;
}

static void show(const struct test_case *c, const struct state *a, const struct state *b)
{
	if (!opt.verbose || shown++ >= MAX_SHOWN)
		return;
	printf("# case %#llx fpcr %#x:", (unsigned long long)c->seed, c->fpcr);
	for (unsigned int i = 0; i < c->nr; i++) {
		const struct a64_row *row = a64_decode(c->word[i]);

		printf(" %08x(%s)", c->word[i], row ? row->name : "?");
	}
	printf("\n#   (ours / oracle)");
	for (int i = 0; i < 31; i++)
		if (a->x[i] != b->x[i])
			printf(" x%d %llx/%llx", i, (unsigned long long)a->x[i],
			       (unsigned long long)b->x[i]);
	for (int i = 0; i < 32; i++)
		if (memcmp(a->v[i], b->v[i], 16))
			printf(" v%d %016llx%016llx/%016llx%016llx", i,
			       (unsigned long long)a->v[i][1], (unsigned long long)a->v[i][0],
			       (unsigned long long)b->v[i][1], (unsigned long long)b->v[i][0]);
	printf(" sp %llx/%llx nzcv %x/%x fpsr %x/%x stop %x/%x%s\n", (unsigned long long)a->sp,
	       (unsigned long long)b->sp, a->nzcv >> 28, b->nzcv >> 28, a->fpsr, b->fpsr, a->stop,
	       b->stop, a->memory != b->memory ? " memory" : "");
	if (c->nr == 1) {
		struct state s;

		state_init(&s, c);
		uint32_t w = c->word[0], n = w >> 5 & 31, m = w >> 16 & 31, d = w & 31;
		printf("#   vd %016llx%016llx vn %016llx%016llx vm %016llx%016llx\n",
		       (unsigned long long)s.v[d][1], (unsigned long long)s.v[d][0],
		       (unsigned long long)s.v[n][1], (unsigned long long)s.v[n][0],
		       (unsigned long long)s.v[m][1], (unsigned long long)s.v[m][0]);
	}
}

/*
 * Where QEMU 7.2 deviates from the architecture: a positive denormal that FZ flushed was not
 * converted exactly by FJCVTZS (FPToFixedJS(): Z = 0); FCVTZS to a fixed-point half leaves copies
 * of the sign above it.
 */
static bool oracle_is_wrong(const struct test_case *c)
{
	for (unsigned int i = 0; i < c->nr; i++)
		if (((c->word[i] & 0xfffffc00) == 0x1e7e0000 && (c->fpcr & FP_CR_FZ)) ||
		    (c->word[i] & 0xfff0fc00) == 0x5f10fc00)
			return true;
	return false;
}

static bool same(const struct test_case *c, const struct state *a, const struct state *b)
{
	if (oracle_is_wrong(c))
		return true;
	/* The oracle does not enforce the alignment that SP, exclusives and atomics need. */
	if (a->stop & CASE_STOP_ALIGN)
		return true;
	if (a->stop != b->stop)
		return false;
	return !memcmp(a->x, b->x, sizeof(a->x)) && a->sp == b->sp &&
	       !memcmp(a->v, b->v, sizeof(a->v)) && a->nzcv == b->nzcv && a->fpsr == b->fpsr &&
	       ((a->stop & CASE_STOP_FAULT) || a->memory == b->memory);
}

/* --- the oracle's process --- */

static int to_oracle, from_oracle;

static pid_t start_oracle(const char *path)
{
	int in[2], out[2];

	if (pipe(in) || pipe(out))
		return -1;
	pid_t pid = fork();

	if (!pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execlp("qemu-aarch64-static", "qemu-aarch64-static", "-cpu", "max", path,
		       (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	to_oracle = in[1];
	from_oracle = out[0];
	return pid;
}

static bool transfer(int fd, void *p, size_t n, bool out)
{
	while (n) {
		ssize_t k = out ? write(fd, p, n) : read(fd, p, n);

		if (k <= 0)
			return false;
		p = (char *)p + k;
		n -= (size_t)k;
	}
	return true;
}

static void place_words(const struct test_case *cases)
{
	for (int i = 0; i < CASE_SLOTS; i++) {
		uint32_t *w = (uint32_t *)code + i * CASE_SLOT_WORDS;

		for (int k = 0; k < CASE_SLOT_WORDS; k++)
			w[k] = BRK_0;
		memcpy(w, cases[i].word, cases[i].nr * 4);
	}
	engine_icache_invalidate(&machine, 0, 0);
}

int main(int argc, char **argv)
{
	static struct test_case cases[CASE_SLOTS];
	static struct state ours[CASE_SLOTS], theirs[CASE_SLOTS];
	unsigned long done = 0, wrong = 0;
	int c;

	while ((c = getopt(argc, argv, "e:n:s:1g:v")) != -1) {
		switch (c) {
		case 'e':
			opt.engine = optarg;
			break;
		case 'n':
			opt.n = strtoul(optarg, NULL, 0);
			break;
		case 's':
			opt.seed = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case '1':
			opt.single = true;
			break;
		case 'g':
			opt.group = optarg;
			break;
		case 'v':
			opt.verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (optind >= argc || setup()) {
		fprintf(stderr,
			"usage: diff [-e engine] [-n instructions] [-s seed] [-1] [-g name] [-v] "
			"ORACLE\n");
		return 2;
	}
	collect_forms();
	if (!nr_forms) {
		fprintf(stderr, "diff: no instruction form is named so\n");
		return 2;
	}
	pid_t pid = start_oracle(argv[optind]);
	struct rng r = {opt.seed};

	while (done < opt.n) {
		for (int i = 0; i < CASE_SLOTS; i++)
			make_case(&cases[i], &r);
		if (!transfer(to_oracle, cases, sizeof(cases), true)) {
			fprintf(stderr, "diff: the oracle has gone\n");
			return 77;
		}
		place_words(cases);
		for (int i = 0; i < CASE_SLOTS; i++)
			run_case(&cases[i], (unsigned int)i, &ours[i]);
		if (!transfer(from_oracle, theirs, sizeof(theirs), false)) {
			fprintf(stderr, "diff: the oracle has gone\n");
			return done ? 1 : 77;
		}
		for (int i = 0; i < CASE_SLOTS; i++) {
			done += cases[i].nr;
			if (same(&cases[i], &ours[i], &theirs[i]))
				continue;
			wrong++;
			blame(&cases[i]);
			show(&cases[i], &ours[i], &theirs[i]);
		}
	}
	close(to_oracle);
	waitpid(pid, NULL, 0);
	for (unsigned int i = 0; tallies[i].n; i++)
		printf("# %6u  %s\n", tallies[i].n, tallies[i].name);
	printf("%s 1 - %lu instructions in %u forms, %lu cases differ (seed %u)\n",
	       wrong ? "not ok" : "ok", done, nr_forms, wrong, opt.seed);
	printf("1..1\n");
	return wrong ? 1 : 0;
}
