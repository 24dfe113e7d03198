/* SPDX-License-Identifier: MIT */
/*
 * Exclusives between two vCPUs: a store exclusive fails if another vCPU's exclusive or atomic wrote
 * to what its load exclusive marked, even if the old value is back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/kvm/common.h"

#define TABLE (RAM + 0x10000)
#define DATA  (RAM + 0x20000) /* what is marked; both vCPUs' X0 */
#define CODE  (RAM + 0x40000) /* each piece of code at a place of its own */
#define OLD   0x0102030405060708ull

struct two {
	struct machine_under_test *m;
	int vcpu[2];
	struct kvm_run *run[2];
	unsigned int words; /* of code that were used */
};

static int two_set_up(void **state)
{
	struct two *t = calloc(1, sizeof(*t));
	uint64_t *table;

	set_up(state);
	t->m = *state;
	t->vcpu[0] = t->m->vcpu;
	t->run[0] = t->m->run;
	t->vcpu[1] = call(t->m->vm, KVM_CREATE_VCPU, 1);
	assert_true(t->vcpu[1] >= 0);
	t->run[1] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu[1], 0);
	assert_ptr_not_equal(t->run[1], MAP_FAILED);
	assert_int_equal(init_vcpu(t->vcpu[1], PSCI_FEATURE), 0);
	table = (uint64_t *)(t->m->ram + (TABLE - RAM));
	table[0] = BLOCK_DEVICE;
	table[1] = RAM | BLOCK_NORMAL;
	for (unsigned int n = 0; n < 2; n++)
		mmu_on(t->vcpu[n], TABLE, TCR_TEST);
	*state = t;
	return 0;
}

static int two_tear_down(void **state)
{
	struct two *t = *state;
	void *m = t->m;

	munmap(t->run[1], 4096);
	armature_close(t->vcpu[1]);
	tear_down(&m);
	free(t);
	return 0;
}

/* Run @words on vCPU @n up to the device access that ends them. */
static void run_words(struct two *t, unsigned int n, const uint32_t *words, unsigned int nr)
{
	uint32_t *code = (uint32_t *)(t->m->ram + (CODE - RAM)) + t->words;

	memcpy(code, words, nr * 4);
	code[nr] = STR_X9_X10;
	set_u64(t->vcpu[n], PC, CODE + 4 * t->words);
	set_u64(t->vcpu[n], X(10), MMIO);
	t->words += nr + 1;
	assert_int_equal(call(t->vcpu[n], KVM_RUN, 0), 0);
	assert_int_equal(t->run[n]->exit_reason, KVM_EXIT_MMIO);
	t->run[n]->immediate_exit = 1;
	assert_int_equal(call(t->vcpu[n], KVM_RUN, 0), -EINTR);
	t->run[n]->immediate_exit = 0;
}

/* What the other vCPU does between load and store exclusive. The value is OLD again after it. */
struct between {
	const char *name;
	uint32_t word[4];
	unsigned int nr;
	bool fails;          /* must the store exclusive */
	unsigned int offset; /* of its X0 from the marked address */
};

/* Its X1 is 1, X2 = X4 is OLD, X5 is X4 of the pair, X8 is something else. */
static const struct between betweens[] = {
	{"nothing", {0xd503201f}, 1, false, 0},
	{"ldadd +1, -1", {0xf8210003, 0xcb0103e6, 0xf8260003}, 3, true, 0},
	{"ldadd of 0", {0xf83f0003}, 1, true, 0},
	{"swp of the same value", {0xf8228003}, 1, true, 0},
	{"swp there and back", {0xf8288003, 0xf8238003}, 2, true, 0},
	{"ldeor twice", {0xf8212003, 0xf8212003}, 2, true, 0},
	{"ldsmax", {0xf8224003}, 1, true, 0},
	{"cas of the same value", {0xaa0203e3, 0xc8a37c02}, 2, true, 0},
	{"cas that fails", {0xaa0803e3, 0xc8a37c02}, 2, false, 0},
	{"ldxr, stxr", {0xc85f7c03, 0xc8067c03}, 2, true, 0},
	{"ldaxr, stlxr of a word", {0x885ffc03, 0x8806fc03}, 2, true, 4},
	{"ldxp, stxp", {0xc87f0c02, 0xc8260c02}, 2, true, 0},
	{"casp of the same value", {0xc87f0c02, 0xaa0203e6, 0xaa0303e7, 0x48267c02}, 4, true, 0},
	{"ldxr, stxr that fails", {0xc85f7c03, 0xd5033f5f, 0xc8067c03}, 3, false, 0},
	{"ldxr", {0xc85f7c03}, 1, false, 0},
	{"ldadd elsewhere", {0xf83f0003}, 1, false, 64},
};

/* Pairs of load and store exclusive: X3 is the status. */
static const struct {
	uint32_t load, store;
} pairs[] = {
	{0xc85f7c02, 0xc8037c02}, /* ldxr x2, stxr w3, x2 */
	{0xc85ffc02, 0xc803fc02}, /* ldaxr, stlxr */
	{0x885f7c02, 0x88037c02}, /* words */
	{0x085f7c02, 0x08037c02}, /* bytes */
	{0xc87f1402, 0xc8231402}, /* ldxp x2, x5, stxp w3, x2, x5 */
	{0x887f1402, 0x88231402}, /* of words */
};

static void there_and_back(void **state)
{
	struct two *t = *state;
	uint64_t *data = (uint64_t *)(t->m->ram + (DATA - RAM));

	for (size_t i = 0; i < COUNT(betweens); i++) {
		for (size_t k = 0; k < COUNT(pairs); k++) {
			const struct between *b = &betweens[i];

			memset(data, 0, 256);
			data[0] = OLD;
			set_u64(t->vcpu[0], X(0), DATA);
			set_u64(t->vcpu[1], X(0), DATA + b->offset);
			set_u64(t->vcpu[1], X(1), 1);
			set_u64(t->vcpu[1], X(2), OLD);
			set_u64(t->vcpu[1], X(4), OLD);
			set_u64(t->vcpu[1], X(8), ~OLD);
			run_words(t, 0, &pairs[k].load, 1);
			run_words(t, 1, b->word, b->nr);
			if (data[0] != OLD)
				fail_msg("%s: changed to %#llx", b->name,
					 (unsigned long long)data[0]);
			run_words(t, 0, &pairs[k].store, 1);
			if (get_u64(t->vcpu[0], X(3)) != b->fails)
				fail_msg("%s, pair %zu: status %llu", b->name, k,
					 (unsigned long long)get_u64(t->vcpu[0], X(3)));
		}
	}
}

/* With one vCPU, only its own store exclusive and CLREX end it. */
static void alone(void **state)
{
	static const uint32_t words[] = {0xc85f7c02, 0xf83f0004, 0xc8037c02};
	struct machine_under_test *m = *state;
	struct two t = {.m = m, .vcpu = {m->vcpu}, .run = {m->run}};
	uint64_t *table = (uint64_t *)(m->ram + (TABLE - RAM));

	table[0] = BLOCK_DEVICE;
	table[1] = RAM | BLOCK_NORMAL;
	mmu_on(m->vcpu, TABLE, TCR_TEST);
	set_u64(m->vcpu, X(0), DATA);
	run_words(&t, 0, words, COUNT(words));
	assert_int_equal(get_u64(m->vcpu, X(3)), 0);
	/* A mark from before the second vCPU is lost, not trusted. */
	run_words(&t, 0, words, 1);
	t.vcpu[1] = call(m->vm, KVM_CREATE_VCPU, 1);
	assert_true(t.vcpu[1] >= 0);
	run_words(&t, 0, words + 2, 1);
	assert_int_equal(get_u64(m->vcpu, X(3)), 1);
	armature_close(t.vcpu[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(there_and_back, two_set_up, two_tear_down),
		cmocka_unit_test_setup_teardown(alone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
