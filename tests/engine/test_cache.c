/* SPDX-License-Identifier: MIT */
/*
 * The code cache, with translations that have words, exits and nothing else: what is found, what
 * maintenance drops, and how much of it is done at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/back/back.h"
#include "engine/code/links.h"
#include "engine/private.h"

#define BASE  0x40000000ull
#define WORDS 4
#define NOP   0xd503201fu

static struct machine machine;
static struct code_cache cache;

/* A back end whose code is nothing: where an exit leads, its site counts. */
static void count_link(struct exit *x)
{
	assert_non_null(x->to);
	x->site++;
}

static void release(struct code_cache *c, struct translation *t)
{
	free(t);
}

static const struct backend no_code = {
	.link = count_link, .unlink = count_link, .release = release};

static struct mem_slot slot;
static uint32_t memory[2 * MEM_PAGE_SIZE / 4] __attribute__((aligned(4096)));
#define HOST ((const uint8_t *)memory)

static int setup(void **state)
{
	memset(&machine, 0, sizeof(machine));
	memset(&cache, 0, sizeof(cache));
	slot = (struct mem_slot){.gpa = BASE, .size = sizeof(memory), .host = (uint8_t *)memory};
	mem_insert(&machine.mem, &slot);
	for (unsigned int i = 0; i < sizeof(memory) / 4; i++)
		memory[i] = NOP;
	return cache_init(&cache, &machine, &no_code, CODE_CACHE_LIMIT);
}

static int teardown(void **state)
{
	cache_destroy(&cache);
	return 0;
}

/* A translation of WORDS words at @offset, as memory has them now, with @nr_exits exits. */
static struct translation *make_with_exits(uint32_t offset, uint32_t mode, unsigned int nr_exits)
{
	static struct ir_block b;
	struct translation *t;

	b.pc_offset = offset % MEM_PAGE_SIZE;
	b.mode = mode;
	b.nr_insns = WORDS;
	b.insn_offset[WORDS] = 4 * WORDS;
	b.guest_first = 0;
	b.guest_size = 4 * WORDS;
	t = translation_create(&b, (uint8_t *)memory + offset, sizeof(*t), nr_exits);
	assert_non_null(t);
	return t;
}

static struct translation *make(uint32_t offset, uint32_t mode)
{
	return make_with_exits(offset, mode, 0);
}

static void test_found_by_offset_and_mode(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct translation *t = make(0x40, 1);

	assert_ptr_equal(cache_page(&cache, HOST), p);
	assert_ptr_not_equal(cache_page(&cache, HOST + MEM_PAGE_SIZE), p);
	assert_ptr_equal(cache_insert(&cache, p, t), t);
	assert_ptr_equal(cache_find(p, 0x40, 1), t);
	assert_null(cache_find(p, 0x40, 2));
	assert_null(cache_find(p, 0x44, 1));
	/* Another vCPU was first. */
	assert_ptr_equal(cache_insert(&cache, p, make(0x40, 1)), t);
}

static void test_maintenance_drops_what_differs(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct translation *same = cache_insert(&cache, p, make(0x100, 0)),
			   *other = cache_insert(&cache, p, make(0x110, 0));

	memory[0x11c / 4] = 0;
	cache_invalidate(&cache, HOST + 0x80, 64, false);
	assert_ptr_equal(cache_find(p, 0x110, 0), other);
	cache_invalidate(&cache, HOST + 0x100, 64, false);
	assert_null(cache_find(p, 0x110, 0));
	assert_ptr_equal(cache_find(p, 0x100, 0), same);
	assert_null(atomic_load(&other->page));
	cache_invalidate(&cache, HOST + 0x100, 64, true);
	assert_null(cache_find(p, 0x100, 0));
}

/*
 * One vCPU reads the words, another one changes them and does IC IVAU, the first one enters its
 * translation: nobody would ever drop it.
 */
static void test_maintenance_while_translating(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct translation *t = make(0x200, 0);

	memory[0x208 / 4] = 0;
	cache_invalidate(&cache, HOST + 0x200, 64, false);
	assert_null(cache_insert(&cache, p, t));
	assert_null(cache_find(p, 0x200, 0));
	t = make(0x200, 0);
	assert_ptr_equal(cache_insert(&cache, p, t), t);
}

/* A back end's code is counted as well, wherever it lies, until it is released. */
static void test_all_memory_is_counted(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct translation *t = make(0x40, 0), *late = make(0x40, 0);
	uint64_t empty = atomic_load(&cache.bytes);

	t->size += 100000;
	assert_ptr_equal(cache_insert(&cache, p, t), t);
	assert_int_equal(atomic_load(&cache.bytes), empty + t->size);
	/* What is not entered does not count. */
	assert_ptr_equal(cache_insert(&cache, p, late), t);
	assert_int_equal(atomic_load(&cache.bytes), empty + t->size);
	cache.limit = empty + 100000;
	assert_true(cache_full(&cache));
	cache_invalidate(&cache, HOST, MEM_PAGE_SIZE, true);
	assert_true(cache_full(&cache));
	cache_reclaim(&cache);
	assert_int_equal(atomic_load(&cache.bytes), empty);
	assert_false(cache_full(&cache));
}

/* --- age --- */

static struct translation *enter_at(struct code_page *p, uint32_t offset)
{
	struct translation *t = cache_insert(&cache, p, make(offset, 0));

	assert_non_null(t);
	return t;
}

/* What was entered first goes first, and no more than an eighth of the limit at a time. */
static void test_the_oldest_are_evicted(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct translation *t[64];

	for (unsigned int n = 0; n < 64; n++)
		t[n] = enter_at(p, 64 * n);
	cache.limit = 8 * (4ull * t[0]->size);
	/* One that is dropped for another reason is out of the order. */
	cache_invalidate(&cache, HOST + 64, 4, true);
	assert_null(cache_find(p, 64, 0));
	/* It is still to be freed: evicting more would not help. */
	assert_true(cache_evict(&cache));
	assert_int_equal(cache.nr_evictions, 0);
	cache_reclaim(&cache);
	/* While they fill more than half of it. */
	for (unsigned int n = 0; n < 64 - 16;) {
		unsigned int stays = n + (n ? 4 : 5);

		assert_true(cache_evict(&cache));
		for (; n < stays; n++)
			assert_null(cache_find(p, 64 * n, 0));
		for (unsigned int k = stays; k < 64; k++)
			assert_ptr_equal(cache_find(p, 64 * k, 0), t[k]);
		cache_reclaim(&cache);
	}
	assert_false(cache_evict(&cache));
	assert_ptr_equal(cache_find(p, 64 * 63, 0), t[63]);
	cache_flush(&cache);
	cache_reclaim(&cache);
	assert_null(cache.oldest);
	assert_null(cache.newest);
	assert_int_equal(cache.entered_bytes, 0);
	p = cache_page(&cache, HOST);
	enter_at(p, 0);
	assert_ptr_equal(cache.oldest, cache.newest);
}

/* --- what one guest can make long --- */

#define MODES   10
#define OFFSETS (MEM_PAGE_SIZE / 4 - WORDS)
#define MANY    (2 * MODES * OFFSETS)

/* As many translations as two pages and some modes give, each with an exit that leads to @to. */
static void make_many(struct translation *to)
{
	for (uint32_t mode = 1; mode <= MODES; mode++) {
		for (uint32_t i = 0; i < 2 * OFFSETS; i++) {
			uint32_t at = i / OFFSETS * MEM_PAGE_SIZE + i % OFFSETS * 4;
			struct code_page *p =
				cache_page(&cache, HOST + (at & ~(MEM_PAGE_SIZE - 1)));
			struct translation *t =
				cache_insert(&cache, p, make_with_exits(at, mode, 1));

			assert_non_null(t);
			link_exit(&cache, &t->exits[0], to);
			assert_ptr_equal(t->exits[0].to, to);
		}
	}
}

static struct translation *make_target(void)
{
	return cache_insert(&cache, cache_page(&cache, HOST), make(0x100, 0));
}

static void change_everything(void)
{
	for (unsigned int i = 0; i < sizeof(memory) / 4; i++)
		memory[i]++;
}

/* The most that one hold of the lock may do: a slice, and the last translation's exits. */
#define assert_slices() assert_in_range(cache.most_work, 1, CACHE_SLICE + 64)

/*
 * All exits lead to one place, and each is unlinked by itself. The work grows with their number,
 * not with its square.
 */
static void test_unlinking_is_one_step(void **state)
{
	struct translation *to = make_target();
	uint64_t before;

	make_many(to);
	change_everything();
	/* The target stays. */
	memcpy(to->guest, (uint8_t *)memory + to->offset, to->guest_size);
	before = cache.total_work;
	cache_invalidate(&cache, NULL, 0, false);
	assert_null(to->incoming);
	assert_int_equal(cache.nr_translations, 1);
	assert_int_equal(cache.nr_invalidated, MANY);
	assert_in_range(cache.total_work - before, MANY, 3 * MANY);
	assert_slices();
}

/* The target goes, and all exits stay: they are unlinked in slices. */
static void test_target_of_many(void **state)
{
	struct translation *to = make_target();

	make_many(to);
	memory[0x10c / 4]++;
	cache_invalidate(&cache, HOST + 0x100, 16, false);
	assert_null(to->incoming);
	assert_null(atomic_load(&to->page));
	assert_slices();
}

/* Nothing differs, or everything goes. */
static void test_walks_go_in_slices(void **state)
{
	make_many(make_target());
	cache_invalidate(&cache, NULL, 0, false);
	assert_int_equal(cache.nr_invalidated, 0);
	assert_slices();
	cache_invalidate(&cache, NULL, 0, true);
	assert_int_equal(cache.nr_invalidated, MANY + 1);
	assert_slices();
	make_many(make_target());
	cache_flush(&cache);
	assert_int_equal(cache.nr_translations, 0);
	assert_slices();
	cache_reclaim(&cache);
	assert_int_equal(atomic_load(&cache.bytes), 0);
	assert_slices();
}

/* While one vCPU passes no safe point, others that do do not look through all that is retired. */
static void test_reclaim_looks_at_the_oldest(void **state)
{
	struct cpu *cpu = calloc(1, sizeof(*cpu));
	struct engine_cpu e = {0};
	uint64_t before;

	assert_non_null(cpu);
	cpu->engine = &e;
	atomic_store(&cpu->tlb.in_guest, true);
	machine.cpus[0] = cpu;
	machine.nr_cpus = 1;
	make_many(make_target());
	cache_flush(&cache);
	before = cache.total_work;
	for (unsigned int i = 0; i < 100; i++)
		cache_reclaim(&cache);
	assert_in_range(cache.total_work - before, 0, 100);
	assert_non_null(cache.retired);
	atomic_store(&e.epoch, atomic_load(&cache.epoch));
	cache_reclaim(&cache);
	assert_null(cache.retired);
	assert_int_equal(atomic_load(&cache.bytes), 0);
	free(cpu);
}

/* Pages that a guest chose so that they would share a chain, if it knew the hash. */
static void test_chains_of_pages(void **state)
{
	unsigned int longest = 0;

	for (uint64_t k = 0; k < 5000; k++) {
		uint64_t pages[] = {(k << CODE_HASH_BITS) ^ k, k << CODE_HASH_BITS};

		for (unsigned int i = 0; i < 2; i++)
			assert_non_null(cache_page(
				&cache, (const uint8_t *)(uintptr_t)(pages[i] << MEM_PAGE_SHIFT)));
	}
	for (unsigned int i = 0; i < 1u << CODE_HASH_BITS; i++) {
		unsigned int length = 0;

		for (struct code_page *p = atomic_load(&cache.hash[i]); p; p = p->hash_next)
			length++;
		longest = length > longest ? length : longest;
	}
	/* Should be about 10; a bad secret is one in a million. */
	assert_in_range(longest, 1, 1000);
}

/* One instruction in all modes. */
static void test_chains_of_modes(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);

	for (uint32_t mode = 0; mode < 1024; mode++)
		assert_non_null(cache_insert(&cache, p, make(0x40, mode)));
	for (unsigned int i = 0; i < CODE_PAGE_BUCKETS; i++) {
		unsigned int length = 0;

		for (struct translation *t = atomic_load(&p->bucket[i]); t;
		     t = atomic_load(&t->next))
			length++;
		assert_in_range(length, 1, 2 * 1024 / CODE_PAGE_BUCKETS);
	}
}

static void *invalidate_all(void *arg)
{
	cache_invalidate(&cache, NULL, 0, false);
	return NULL;
}

/*
 * Two vCPUs do maintenance of the same code: whoever returns finds it done, also what the other one
 * has begun.
 */
#define EXITS 700

static void test_maintenance_by_two(void **state)
{
	cache.slice = 1;
	for (unsigned int i = 0; i < 40; i++) {
		struct translation *to = make_target(), *from[EXITS];
		pthread_t thread;

		for (unsigned int k = 0; k < EXITS; k++) {
			from[k] = cache_insert(&cache, cache_page(&cache, HOST),
					       make_with_exits(0x400 + 4 * k, 0, 1));
			link_exit(&cache, &from[k]->exits[0], to);
		}
		memory[0x104 / 4]++;
		assert_int_equal(pthread_create(&thread, NULL, invalidate_all, NULL), 0);
		/* Its thread has begun with the target. */
		while (atomic_load(&to->page))
			;
		if (i % 4)
			cache_invalidate(&cache, HOST + 0x100, i % 2 ? 16 : 64, false);
		else
			cache_invalidate(&cache, NULL, 0, false);
		cache_lock(&cache);
		assert_null(to->incoming);
		for (unsigned int k = 0; k < EXITS; k++)
			assert_null(from[k]->exits[0].to);
		cache_unlock(&cache);
		assert_int_equal(pthread_join(thread, NULL), 0);
		cache_flush(&cache);
		cache_reclaim(&cache);
	}
}

/* --- What user space writes --- */

/* A run begins, and the page is entered in it. */
static void enter(struct code_page *p)
{
	cache_verify(&cache, p, atomic_fetch_add(&cache.runs, 1) + 1);
}

static void test_verification_drops_what_differs(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct translation *same = cache_insert(&cache, p, make(0x300, 0)),
			   *last = cache_insert(&cache, p, make(0xff0, 0));

	for (unsigned int i = 0; i < 3; i++)
		enter(p);
	assert_ptr_equal(cache_find(p, 0x300, 0), same);
	assert_ptr_equal(cache_find(p, 0xff0, 0), last);
	/* Beside what was translated: nothing goes. On another line: nothing is looked at. */
	memory[0x310 / 4] = 0;
	memory[0x400 / 4] = 0;
	enter(p);
	memory[0xffc / 4] = 0;
	/* Not before another run begins. */
	cache_verify(&cache, p, atomic_load(&cache.runs));
	assert_ptr_equal(cache_find(p, 0xff0, 0), last);
	enter(p);
	assert_null(cache_find(p, 0xff0, 0));
	assert_null(atomic_load(&last->page));
	assert_ptr_equal(cache_find(p, 0x300, 0), same);
	memory[0x300 / 4] = 0;
	enter(p);
	assert_null(cache_find(p, 0x300, 0));
	enter(p);
}

/*
 * User space writes, and before the next run something that overlaps is translated: that one is
 * new, the one from before is not, though the copy that is made then has both.
 */
static void test_verification_after_translation(void **state)
{
	struct code_page *p = cache_page(&cache, HOST);
	struct translation *old = cache_insert(&cache, p, make(0x100, 0)), *new;

	enter(p);
	enter(p);
	memory[0x108 / 4] = 0;
	new = cache_insert(&cache, p, make(0x108, 0));
	assert_ptr_equal(cache_find(p, 0x100, 0), old);
	enter(p);
	assert_null(cache_find(p, 0x100, 0));
	assert_ptr_equal(cache_find(p, 0x108, 0), new);
	/* One on a line that the copy did not have. */
	enter(p);
	cache_insert(&cache, p, make(0x200, 0));
	memory[0x200 / 4] = 0;
	enter(p);
	assert_null(cache_find(p, 0x200, 0));
	assert_ptr_equal(cache_find(p, 0x108, 0), new);
}

/* Copies are counted, and go when the next translation does. */
static void test_copies_are_freed(void **state)
{
	uint64_t empty = atomic_load(&cache.bytes), page, one;
	struct code_page *p = cache_page(&cache, HOST);

	page = atomic_load(&cache.bytes);
	cache_insert(&cache, p, make(0x100, 0));
	enter(p);
	one = atomic_load(&cache.bytes);
	assert_true(one > page);
	for (unsigned int i = 0; i < 10; i++) {
		cache_insert(&cache, p, make(0x100, i + 1));
		enter(p);
		assert_true(atomic_load(&cache.bytes) > one);
	}
	memory[0x100 / 4] = 0;
	/* One drops the translations, the next makes the copy of none. */
	enter(p);
	enter(p);
	memory[0x200 / 4] = NOP;
	cache_insert(&cache, p, make(0x200, 0));
	cache_invalidate(&cache, HOST + 0x200, 4, true);
	cache_reclaim(&cache);
	assert_int_equal(atomic_load(&cache.bytes), page);
	memory[0x100 / 4] = NOP;
	cache_insert(&cache, p, make(0x100, 0));
	enter(p);
	cache_flush(&cache);
	cache_reclaim(&cache);
	assert_int_equal(atomic_load(&cache.bytes), empty);
}

/* Two memslots over the same memory: maintenance through one is maintenance of it. */
static void test_aliases_share(void **state)
{
	struct mem_slot alias = {.gpa = 2 * BASE, .size = sizeof(memory), .host = slot.host};
	struct code_page *p = cache_page(&cache, HOST);

	mem_insert(&machine.mem, &alias);
	machine.code = &cache;
	cache_insert(&cache, p, make(0x100, 0));
	memory[0x100 / 4] = 0;
	engine_icache_invalidate(&machine, 2 * BASE + 0x140, 64);
	assert_non_null(cache_find(p, 0x100, 0));
	engine_icache_invalidate(&machine, 2 * BASE + 0x100, 64);
	assert_null(cache_find(p, 0x100, 0));
}

int main(void)
{
#define T(n) cmocka_unit_test_setup_teardown(n, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_found_by_offset_and_mode),
		T(test_maintenance_drops_what_differs),
		T(test_maintenance_while_translating),
		T(test_all_memory_is_counted),
		T(test_the_oldest_are_evicted),
		T(test_unlinking_is_one_step),
		T(test_target_of_many),
		T(test_walks_go_in_slices),
		T(test_reclaim_looks_at_the_oldest),
		T(test_chains_of_pages),
		T(test_chains_of_modes),
		T(test_maintenance_by_two),
		T(test_verification_drops_what_differs),
		T(test_verification_after_translation),
		T(test_copies_are_freed),
		T(test_aliases_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
