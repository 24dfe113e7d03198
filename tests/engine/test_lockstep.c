/* SPDX-License-Identifier: MIT */
/*
 * Lockstep: blocks of random instructions, as the passes make them, against the plain reference, at
 * EL0 and EL1 and in all modes; and that lockstep sees it when an execution is wrong.
 *
 * The subject's back end is the one that ARMATURE_ENGINE names.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/arch.h"
#include "engine/front/a64/a64.h"
#include "engine/lockstep.h"
#include "tests/engine/guest.h"
#include "tests/engine/random_words.h"

#define DATA      (RAM_BASE + 0x40000)
#define DATA_MID  (DATA + 0x800)
#define BASE      28
#define INDEX     27
#define MAX_WORDS 24
#define BLOCKS    4000

static struct guest g;
static struct lockstep *lockstep;

static int setup(void **state)
{
	guest_start(&g, 1);
	lockstep = lockstep_create(&g.machine, &back_exec);
	return !lockstep;
}

static int teardown(void **state)
{
	lockstep_destroy(lockstep);
	guest_stop(&g);
	return 0;
}

/* The subject: a block as the passes make it. */
static enum cpu_exit_reason run_subject(struct cpu *cpu, unsigned int *nr_insns)
{
	struct translator *translator = engine_of(cpu)->translator;
	enum cpu_exit_reason reason;
	struct xtlb_entry *x;
	struct translation *t;

	*nr_insns = 1;
	if (access_fetch(cpu, &x)) {
		cpu_take_fault(cpu);
		return CPU_EXIT_KICK;
	}
	translator->work.plain = false;
	assert_int_equal(
		translate_block(translator, x->host, cpu->pc & 0xfff, cpu->mode, IR_MAX_INSNS, &t),
		0);
	*nr_insns = t->nr_insns;
	reason = lockstep_run(cpu, t);
	cache_of(cpu)->back->release(cache_of(cpu), t);
	return reason;
}

/* --- random programs --- */

/* What depends on the time, or may not be started twice. */
static bool unsteady(uint32_t w)
{
	bool sysreg = (w & 0xffd00000) == 0xd5100000;
	unsigned int crn = w >> 12 & 15;

	return sysreg && (crn == 14 || crn == 9);
}

static uint32_t random_insn(uint64_t *seed)
{
	uint32_t w = decode_space_word(seed);
	const struct a64_row *row = a64_decode(w);

	if (!row || unsteady(w))
		return NOP;
	/* Half of the branches would leave after a few instructions. */
	if ((w & 0x7c000000) == 0x14000000 || (w & 0xfe000000) == 0xd6000000)
		return random_word(seed) % 4 ? NOP : w;
	/* Registers near each other, so that instructions see each other's results. */
	uint32_t near = w & ~(0x18u | 0x18u << 5 | 0x18u << 16);

	if (random_word(seed) % 4 && a64_decode(near) == row)
		w = near;
	if ((w & 0x0a000000) == 0x08000000) {
		if ((w & 0x3b000000) != 0x18000000 && random_word(seed) % 8)
			w = (w & ~(31u << 5)) | (random_word(seed) % 2 ? BASE : 31u) << 5;
		if ((w & 0x3b000000) == 0x39000000)
			w &= ~(0xfc0u << 10);
		if ((w & 0x3b200c00) == 0x38200800)
			w = (w & ~(31u << 16)) | INDEX << 16;
	}
	return w;
}

/* Back to the beginning of the program: a loop's end. */
static uint32_t back_edge(unsigned int words, uint64_t *seed)
{
	uint32_t offset = 0u - words, reg = random_word(seed) % 8;

	switch (random_word(seed) % 3) {
	case 0:
		return 0x54000000 | (offset & 0x7ffff) << 5 | random_word(seed) % 14;
	case 1:
		return 0xb4000000 | random_word(seed) % 2 << 24 | (offset & 0x7ffff) << 5 | reg;
	default:
		return 0x14000000 | (offset & 0x3ffffff);
	}
}

static uint64_t random64(uint64_t *seed)
{
	uint64_t v = (uint64_t)random_word(seed) << 32 | random_word(seed);

	return random_word(seed) % 3 ? v : v & 0xff;
}

static void start(struct cpu *cpu, uint64_t pc, unsigned int el, uint64_t *seed)
{
	static const uint64_t sctlr[8] = {
		0,         0,         0,        SCTLR_A,
		SCTLR_E0E, SCTLR_SA0, SCTLR_SA, SCTLR_UMA | SCTLR_DZE | SCTLR_UCT};
	static const uint32_t fpcr[8] = {0, 0, 0, 0, 0, 1u << 24, 1u << 25, 3u << 22 | 1u << 19};
	uint32_t k = random_word(seed);

	cpu->features = k >> 8 & CPU_FEATURE_PMU;
	cpu_reset(cpu);
	guest_reset(&g, 0, pc, el);
	for (unsigned int i = 0; i < 31; i++)
		cpu->x[i] = random64(seed);
	for (unsigned int i = 0; i < 64; i++)
		cpu->v[i / 2].d[i % 2] = random64(seed);
	cpu->x[BASE] = cpu->x[31] = cpu->sp_el[0] = DATA_MID;
	cpu->x[INDEX] = k & 0x3f;
	cpu->nzcv = k & 0xf0000000;
	cpu->fpcr = fpcr[k >> 4 & 7];
	cpu->sys.sctlr |= sctlr[k & 7];
	if ((k >> 12) % 8 == 0)
		cpu->sys.cpacr = 0;
	/* Events that blocks count; Software Step. */
	cpu->pmu.pmcr |= 1;
	cpu->pmu.cnten = 7;
	cpu->pmu.evtyper[0] = PMU_BR_RETIRED;
	cpu->pmu.evtyper[1] = PMU_INST_RETIRED;
	if ((k >> 16 & 15) == 0 && el == 0) {
		cpu->sys.mdscr |= MDSCR_SS;
		cpu->ps.ss = 1;
	}
	cpu_update_mode(cpu);
}

static void complain(const uint32_t *words, unsigned int n, const struct cpu *cpu,
		     const char *wrong)
{
	static char text[64 * MAX_WORDS];
	size_t at = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct a64_row *row = a64_decode(words[i]);

		at += (size_t)snprintf(text + at, sizeof(text) - at, " %08x (%s)", words[i],
				       row ? row->name : "none");
	}
	fail_msg("%s\n in mode %#x:%s", wrong, cpu->mode, text);
}

static void random_blocks(unsigned int el, uint64_t seed)
{
	struct cpu *cpu = g.cpu[0];
	uint64_t pc = el ? EL1_BASE : RAM_BASE + 0x80000;
	uint32_t words[MAX_WORDS];
	char why[160];

	for (unsigned int n = 0; n < BLOCKS; n++) {
		enum cpu_exit_reason reason = CPU_EXIT_KICK;

		for (unsigned int i = 0; i < MAX_WORDS; i++)
			words[i] = i > 4 && random_word(&seed) % 16 == 0 ? back_edge(i, &seed)
									 : random_insn(&seed);
		guest_code_n(&g, pc, words, MAX_WORDS);
		start(cpu, pc, el, &seed);
		lockstep_memory(lockstep);
		for (unsigned int block = 0; block < 4 && reason == CPU_EXIT_KICK; block++) {
			unsigned int nr_insns;
			uint32_t mode = cpu->mode;

			lockstep_before(lockstep, cpu);
			reason = run_subject(cpu, &nr_insns);
			const char *wrong =
				lockstep_after(lockstep, cpu, reason, nr_insns, why, sizeof(why));

			if (wrong) {
				cpu->mode = mode;
				complain(words, MAX_WORDS, cpu, wrong);
			}
		}
	}
}

static void test_random_el0(void **state)
{
	random_blocks(0, 0x1234);
}

static void test_random_el1(void **state)
{
	random_blocks(1, 0x987654321);
}

/* --- it can fail --- */

static void begin(struct cpu *cpu)
{
	guest_code(&g, RAM_BASE, ADDI(0, 0, 1), STR(0, 1), LDADD(2, 3, 1, 3), BRK(0));
	cpu_reset(cpu);
	guest_reset(&g, 0, RAM_BASE, 0);
	cpu->x[1] = DATA;
	lockstep_memory(lockstep);
	lockstep_before(lockstep, cpu);
}

/* Each field that an execution may get wrong, by one bit. */
static void test_wrong_state_is_seen(void **state)
{
#define AT(f)                               \
	{                                   \
#f, offsetof(struct cpu, f) \
	}
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {
		AT(pc),
		AT(x[0]),
		AT(x[30]),
		AT(x[31]),
		AT(nzcv),
		AT(v[0].d[0]),
		AT(v[31].d[1]),
		AT(sp_el[0]),
		AT(sp_el[1]),
		AT(mode),
		AT(ps.el),
		AT(ps.ss),
		AT(fpcr),
		AT(fpsr),
		AT(icount),
		AT(excl_size),
		AT(sys.sctlr),
		AT(sys.elr),
		AT(sys.esr),
		AT(sys.far),
		AT(sys.tpidr_el0),
		AT(timers.t[0].cval),
		AT(pmu.evcntr[0]),
		AT(pmu.br_retired),
	};
#undef AT
	struct cpu *cpu = g.cpu[0];
	char why[160];

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned int nr;

		begin(cpu);
		enum cpu_exit_reason reason = run_subject(cpu, &nr);

		assert_int_equal(nr, 4);
		((uint8_t *)cpu)[rows[i].offset] ^= 1;
		if (!lockstep_after(lockstep, cpu, reason, nr, why, sizeof(why)))
			fail_msg("%s", rows[i].name);
	}
}

static void test_wrong_memory_is_seen(void **state)
{
	struct cpu *cpu = g.cpu[0];
	char why[160];
	unsigned int nr;

	begin(cpu);
	enum cpu_exit_reason reason = run_subject(cpu, &nr);

	*guest_host(&g, DATA + 3) ^= 1;
	assert_non_null(lockstep_after(lockstep, cpu, reason, nr, why, sizeof(why)));
	assert_non_null(strstr(why, "memory at 0x40040003"));
}

static void test_wrong_exit_is_seen(void **state)
{
	struct cpu *cpu = g.cpu[0];
	char why[160];
	unsigned int nr;

	begin(cpu);
	run_subject(cpu, &nr);
	assert_non_null(lockstep_after(lockstep, cpu, CPU_EXIT_WFI, nr, why, sizeof(why)));
	/* Right, after all. */
	begin(cpu);
	assert_null(lockstep_after(lockstep, cpu, run_subject(cpu, &nr), nr, why, sizeof(why)));
	/* A block that is said to be shorter than it was. */
	begin(cpu);
	enum cpu_exit_reason reason = run_subject(cpu, &nr);

	assert_non_null(lockstep_after(lockstep, cpu, reason, nr - 1, why, sizeof(why)));
}

/* Exits with details: a load from where no memory is. */
static void test_mmio_exit_is_compared(void **state)
{
	struct cpu *cpu = g.cpu[0];
	char why[160];
	unsigned int nr;

	guest_map(&g, NOTHING, 0x9000000, PAGE_EL0);
	guest_code(&g, RAM_BASE, NOP, LDR_W(0, 1), BRK(0));
	for (unsigned int wrong = 0; wrong < 2; wrong++) {
		cpu_reset(cpu);
		guest_reset(&g, 0, RAM_BASE, 0);
		cpu->x[1] = NOTHING + 0x18;
		lockstep_memory(lockstep);
		lockstep_before(lockstep, cpu);
		enum cpu_exit_reason reason = run_subject(cpu, &nr);

		assert_int_equal(reason, CPU_EXIT_MMIO);
		cpu->exit.mmio.pa += wrong;
		assert_int_equal(!!lockstep_after(lockstep, cpu, reason, nr, why, sizeof(why)),
				 wrong);
	}
}

/* The environment's switch, on the engine as a whole. */
static void test_environment(void **state)
{
	static const struct {
		const char *value;
		bool plain;
		unsigned int max;
	} rows[] = {{NULL, false, IR_MAX_INSNS},
		    {"", false, IR_MAX_INSNS},
		    {"0", false, IR_MAX_INSNS},
		    {"1", true, IR_MAX_INSNS},
		    {"insn", true, 1}};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].value)
			setenv("ARMATURE_LOCKSTEP", rows[i].value, 1);
		else
			unsetenv("ARMATURE_LOCKSTEP");
		struct translator *t = translator_create(g.machine.code);

		assert_non_null(t);
		assert_int_equal(t->work.plain, rows[i].plain);
		assert_int_equal(t->max_insns, rows[i].max);
		translator_destroy(t);
	}
	unsetenv("ARMATURE_LOCKSTEP");
}

/* Back ends by name. */
static void test_choice_of_back_end(void **state)
{
	struct machine m = {0};
	const char *asked = getenv("ARMATURE_ENGINE");
	char *saved = asked ? strdup(asked) : NULL;

	/* The last resort is the one that works everywhere. */
	for (unsigned int n = 0; back_nth(n); n++) {
		assert_ptr_equal(back_find(back_nth(n)->name), back_nth(n));
		if (!back_nth(n + 1))
			assert_ptr_equal(back_nth(n), &back_exec);
	}
	assert_ptr_equal(back_find("exec"), &back_exec);
	assert_ptr_equal(back_find("portable"), &back_exec);
	assert_null(back_find("no such"));
	if (saved)
		assert_ptr_equal(((struct code_cache *)g.machine.code)->back, back_find(saved));
	setenv("ARMATURE_ENGINE", "no such", 1);
	assert_int_equal(engine_vm_init(&m), -EINVAL);
	assert_null(m.code);
#ifdef __x86_64__
	/* The best one cannot be had: another one is taken, and it says so; or it was asked for. */
	setenv("ARMATURE_CPUID", "-avx2", 1);
	setenv("ARMATURE_ENGINE", "x64", 1);
	assert_int_equal(engine_vm_init(&m), -ENOTSUP);
	assert_null(m.code);
	setenv("ARMATURE_ENGINE", "auto", 1);
	assert_int_equal(engine_vm_init(&m), 0);
	assert_string_equal(engine_name(&m),
			    "portable (no x64: the host's CPU lacks what it needs)");
	engine_vm_destroy(&m);
	unsetenv("ARMATURE_CPUID");
#endif
	if (saved)
		setenv("ARMATURE_ENGINE", saved, 1);
	else
		unsetenv("ARMATURE_ENGINE");
	free(saved);
}

int main(void)
{
#define T(n) cmocka_unit_test_setup_teardown(n, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_environment),         T(test_choice_of_back_end),
		T(test_random_el0),          T(test_random_el1),
		T(test_wrong_state_is_seen), T(test_wrong_memory_is_seen),
		T(test_wrong_exit_is_seen),  T(test_mmio_exit_is_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
