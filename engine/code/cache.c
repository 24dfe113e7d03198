/* SPDX-License-Identifier: MIT */
/* The code cache: see cache.h for terms, invariants and locks. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cpu/host_mem.h"
#include "engine/code/links.h"
#include "engine/private.h"

#define MOST_YIELDS 100

/* --- the lock --- */

void cache_lock(struct code_cache *c)
{
	atomic_fetch_add_explicit(&c->arrived, 1, memory_order_relaxed);
	pthread_mutex_lock(&c->lock);
	atomic_fetch_add_explicit(&c->served, 1, memory_order_relaxed);
	c->work = 0;
}

void cache_unlock(struct code_cache *c)
{
	if (c->work > c->most_work)
		c->most_work = c->work;
	c->total_work += c->work;
	pthread_mutex_unlock(&c->lock);
}

/*
 * Under both locks, in a walk: when a slice is done, let those have the lock who wait for it. A
 * mutex that is released and taken again at once goes to the one who runs, not to the one who
 * waits, so this waits until as many have had it as had come. (Not for ever: one of them may not be
 * scheduled at all while this thread runs.)
 */
static void cache_breathe(struct code_cache *c)
{
	if (c->work < c->slice)
		return;
	cache_unlock(c);
	uint32_t arrived = atomic_load(&c->arrived);

	for (unsigned int i = 0;
	     i < MOST_YIELDS && (int32_t)(arrived - atomic_load(&c->served)) > 0; i++)
		sched_yield();
	cache_lock(c);
}

static void account(struct code_cache *c, int64_t bytes)
{
	atomic_fetch_add_explicit(&c->bytes, (uint64_t)bytes, memory_order_relaxed);
}

/* --- pages --- */

/* Of a page without translations. */
static struct code_copy no_copy;

/*
 * The secret keeps a guest from choosing pages that all go to one chain: every vCPU that looks for
 * any of them would walk it, and under the lock.
 */
static unsigned int page_hash(const struct code_cache *c, const uint8_t *host)
{
	return (unsigned int)(((uintptr_t)host >> MEM_PAGE_SHIFT) * c->secret >>
			      (64 - CODE_HASH_BITS));
}

static struct code_page *find_page(struct code_cache *c, const uint8_t *host)
{
	struct code_page *p =
		atomic_load_explicit(&c->hash[page_hash(c, host)], memory_order_acquire);

	while (p && p->host != host)
		p = p->hash_next;
	return p;
}

struct code_page *cache_page(struct code_cache *c, const uint8_t *host)
{
	struct code_page *p = find_page(c, host);

	if (p)
		return p;
	cache_lock(c);
	p = find_page(c, host);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (p) {
			_Atomic(struct code_page *) *head = &c->hash[page_hash(c, host)];

			p->host = host;
			atomic_store_explicit(&p->copy, &no_copy, memory_order_relaxed);
			p->hash_next = atomic_load_explicit(head, memory_order_relaxed);
			atomic_store_explicit(head, p, memory_order_release);
			account(c, sizeof(*p));
		}
	}
	cache_unlock(c);
	return p;
}

/* --- entering --- */

/*
 * Has the guest changed any byte that @t was made from? It may be writing them now. What is gone
 * is changed, too.
 */
static bool differs(const struct code_page *p, const struct translation *t)
{
	return !host_same(p->host + t->first, t->guest, t->guest_size);
}

static size_t copy_size(uint64_t lines)
{
	return sizeof(struct code_copy) + CODE_LINE * (unsigned int)__builtin_popcountll(lines);
}

/*
 * Let @p have another copy. Another vCPU may be reading the old one: it goes when all have passed a
 * safe point for the next epoch. None is asked to pass one for it, see expire_copies(). Under the
 * lock.
 */
static void copy_replace(struct code_cache *c, struct code_page *p, struct code_copy *copy)
{
	struct code_copy *old = atomic_exchange(&p->copy, copy);

	if (!old || old == &no_copy)
		return;
	old->retired_epoch = atomic_load(&c->epoch) + 1;
	old->retired_next = NULL;
	*c->retired_copies_end = old;
	c->retired_copies_end = &old->retired_next;
	c->new_copies += copy_size(old->lines);
}

/* Under the lock. NULL: entered; else the one that stands. *@stale: neither. */
static struct translation *enter(struct code_cache *c, struct code_page *p, struct translation *t,
				 bool *stale)
{
	_Atomic(struct translation *) *head = &p->bucket[cache_bucket(t->offset, t->mode)];
	struct translation *first = cache_find(p, t->offset, t->mode);

	/*
	 * The page's copy goes before memory is read: who finds it there still, cache_verify(),
	 * began before that, and what user space wrote before that is what is read here.
	 */
	if (!first)
		copy_replace(c, p, NULL);
	atomic_thread_fence(memory_order_seq_cst);
	/* Maintenance that came while it was made found nothing to drop; so did a flush. */
	*stale = !first &&
		 (atomic_load_explicit(&p->dropped, memory_order_relaxed) || differs(p, t));
	if (first || *stale)
		return first;
	atomic_store_explicit(&t->page, p, memory_order_relaxed);
	atomic_store_explicit(&t->next, atomic_load_explicit(head, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(head, t, memory_order_release);
	p->entered++;
	t->newer = NULL;
	t->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = t;
	c->newest = t;
	c->nr_translations++;
	c->nr_insns += t->nr_insns;
	c->entered_bytes += t->size;
	account(c, t->size);
	return NULL;
}

struct translation *cache_insert(struct code_cache *c, struct code_page *p, struct translation *t)
{
	bool stale;

	cache_lock(c);
	struct translation *first = enter(c, p, t, &stale);

	cache_unlock(c);
	if (!first && !stale)
		return t;
	c->back->release(c, t);
	return first;
}

/* --- dropping: under both locks --- */

static void retire(struct code_cache *c, struct translation *t, uint64_t epoch)
{
	*(t->older ? &t->older->newer : &c->oldest) = t->newer;
	*(t->newer ? &t->newer->older : &c->newest) = t->older;
	t->retired_epoch = epoch;
	t->retired_next = NULL;
	*c->retired_end = t;
	c->retired_end = &t->retired_next;
	c->nr_translations--;
	c->nr_insns -= t->nr_insns;
	c->entered_bytes -= t->size;
	c->nr_invalidated++;
}

/*
 * Drop @t, which is in no table any more. Its next stays as it is: another vCPU may be walking the
 * chain through it. @epoch is one that no vCPU has seen yet, and none will before the end.
 */
static void drop(struct code_cache *c, struct translation *t, uint64_t epoch)
{
	atomic_store(&t->page, NULL);
	for (unsigned int i = 0; i < t->nr_exits; i++)
		if (t->exits[i].to)
			unlink_exit(c, &t->exits[i]);
	while (t->incoming) {
		unlink_exit(c, t->incoming);
		cache_breathe(c);
	}
	retire(c, t, epoch);
}

/* Drop what lies in [first, last] and differs from memory, or all of it with @always. */
static unsigned int invalidate_page(struct code_cache *c, struct code_page *p, uintptr_t first,
				    uintptr_t last, bool always, uint64_t epoch)
{
	unsigned int dropped = 0;

	for (unsigned int i = 0; i < CODE_PAGE_BUCKETS; i++) {
		_Atomic(struct translation *) *at = &p->bucket[i];

		c->work++;
		for (struct translation *t = atomic_load(at); t; t = atomic_load(at)) {
			uintptr_t start = (uintptr_t)p->host + t->first;

			c->work++;
			if (start + t->guest_size <= first || start > last ||
			    (!always && !differs(p, t))) {
				at = &t->next;
			} else {
				atomic_store(at, atomic_load(&t->next));
				drop(c, t, epoch);
				dropped++;
			}
			cache_breathe(c);
		}
	}
	return dropped;
}

static unsigned int invalidate(struct code_cache *c, uintptr_t first, uintptr_t last, bool always,
			       uint64_t epoch)
{
	uintptr_t page = first & TLB_PAGE_MASK;
	unsigned int dropped = 0;

	/* Page by page, or all that there are, whichever is less. */
	if ((last - page) >> MEM_PAGE_SHIFT < 1u << CODE_HASH_BITS) {
		for (uintptr_t nr = ((last - page) >> MEM_PAGE_SHIFT) + 1; nr;
		     nr--, page += MEM_PAGE_SIZE) {
			struct code_page *p = find_page(c, (const uint8_t *)page);

			c->work++;
			if (p)
				dropped += invalidate_page(c, p, first, last, always, epoch);
			cache_breathe(c);
		}
		return dropped;
	}
	for (unsigned int i = 0; i < 1u << CODE_HASH_BITS; i++) {
		for (struct code_page *p = atomic_load(&c->hash[i]); p; p = p->hash_next) {
			uintptr_t start = (uintptr_t)p->host;

			c->work++;
			if (start + (MEM_PAGE_SIZE - 1) >= first && start <= last)
				dropped += invalidate_page(c, p, first, last, always, epoch);
			cache_breathe(c);
		}
	}
	return dropped;
}

static struct cpu *nth_cpu(const struct code_cache *c, unsigned int i)
{
	return __atomic_load_n(&c->machine->cpus[i], __ATOMIC_ACQUIRE);
}

static unsigned int nr_cpus(const struct code_cache *c)
{
	return __atomic_load_n(&c->machine->nr_cpus, __ATOMIC_ACQUIRE);
}

/*
 * Have every vCPU pass a safe point: what it remembers may have been retired. Before the
 * maintenance lock is free: who comes second relies on it as well.
 */
static void kick_all(const struct code_cache *c)
{
	for (unsigned int i = 0, nr = nr_cpus(c); i < nr; i++) {
		struct cpu *cpu = nth_cpu(c, i);

		if (cpu)
			cpu_request(cpu, CPU_REQ_SAFE);
	}
}

void cache_invalidate(struct code_cache *c, const uint8_t *host, uint64_t len, bool always)
{
	uintptr_t first = len ? (uintptr_t)host : 0, last = len ? first + len - 1 : UINTPTR_MAX;
	/*
	 * One walk over everything serves all who asked before it began: many vCPUs that do IC
	 * IALLU all the time wait for two walks each, not for one another's in turn.
	 */
	bool all = !len && !always;
	uint64_t ticket = all ? atomic_fetch_add(&c->all_asked, 1) + 1 : 0;

	pthread_mutex_lock(&c->maintenance);
	if (all && c->all_done >= ticket) {
		pthread_mutex_unlock(&c->maintenance);
		return;
	}
	uint64_t asked = atomic_load(&c->all_asked);

	cache_lock(c);
	uint64_t epoch = atomic_load(&c->epoch) + 1;
	unsigned int dropped = invalidate(c, first, last, always, epoch);

	if (dropped)
		atomic_store(&c->epoch, epoch);
	cache_unlock(c);
	if (dropped)
		kick_all(c);
	if (all)
		c->all_done = asked;
	pthread_mutex_unlock(&c->maintenance);
}

struct translation *cache_replace(struct code_cache *c, struct code_page *p, struct translation *t)
{
	_Atomic(struct translation *) *at = &p->bucket[cache_bucket(t->offset, t->mode)];
	struct translation *first;
	bool stale, dropped = false;
	uint64_t epoch;

	pthread_mutex_lock(&c->maintenance);
	cache_lock(c);
	epoch = atomic_load(&c->epoch) + 1;
	for (struct translation *old = atomic_load(at); old; old = atomic_load(at)) {
		if (old->offset != t->offset || old->mode != t->mode) {
			at = &old->next;
			continue;
		}
		atomic_store(at, atomic_load(&old->next));
		drop(c, old, epoch);
		atomic_store(&c->epoch, epoch);
		dropped = true;
		break;
	}
	first = enter(c, p, t, &stale);
	cache_unlock(c);
	if (dropped)
		kick_all(c);
	pthread_mutex_unlock(&c->maintenance);
	if (!first && !stale)
		return t;
	c->back->release(c, t);
	return first;
}

/* --- verifying: has user space changed what was translated? --- */

static uint64_t lines_of(const struct translation *t)
{
	unsigned int first = t->first / CODE_LINE;
	unsigned int last = (t->first + t->guest_size - 1u) / CODE_LINE;

	return ~0ull >> (63 - last) & ~0ull << first;
}

static bool copy_differs(const struct code_copy *copy, const uint8_t *page)
{
	const uint8_t *then = copy->bytes;

	for (uint64_t m = copy->lines; m; m &= m - 1, then += CODE_LINE)
		if (!host_same(page + CODE_LINE * (unsigned int)__builtin_ctzll(m), then,
			       CODE_LINE))
			return true;
	return false;
}

/* A copy of @lines of @page; NULL when out of memory. */
static struct code_copy *copy_make(struct code_cache *c, uint64_t lines, const uint8_t *page)
{
	struct code_copy *copy;
	uint8_t *to;

	if (!lines)
		return &no_copy;
	copy = malloc(copy_size(lines));
	if (!copy)
		return NULL;
	copy->lines = lines;
	to = copy->bytes;
	for (uint64_t m = lines; m; m &= m - 1, to += CODE_LINE)
		memcpy(to, page + CODE_LINE * (unsigned int)__builtin_ctzll(m), CODE_LINE);
	account(c, (int64_t)copy_size(lines));
	return copy;
}

static void copy_free(struct code_cache *c, struct code_copy *copy)
{
	if (!copy || copy == &no_copy)
		return;
	account(c, -(int64_t)copy_size(copy->lines));
	free(copy);
}

/* Which lines of @p its translations cover. False: one of them is not what @page has there. */
static bool compare_all(const struct code_page *p, const uint8_t *page, uint64_t *lines)
{
	*lines = 0;
	for (unsigned int i = 0; i < CODE_PAGE_BUCKETS; i++) {
		for (const struct translation *t = atomic_load(&p->bucket[i]); t;
		     t = atomic_load(&t->next)) {
			if (memcmp(page + t->first, t->guest, t->guest_size))
				return false;
			*lines |= lines_of(t);
		}
	}
	return true;
}

/*
 * Begin another epoch for the sake of the copies that wait for one, if they are many. Only under
 * the maintenance lock: who drops has chosen his epoch when he begins.
 */
static void expire_copies(struct code_cache *c)
{
	pthread_mutex_lock(&c->maintenance);
	cache_lock(c);
	bool many = c->new_copies > CODE_COPIES_LIMIT;

	if (many) {
		c->new_copies = 0;
		atomic_fetch_add(&c->epoch, 1);
	}
	cache_unlock(c);
	pthread_mutex_unlock(&c->maintenance);
	if (many)
		kick_all(c);
}

/*
 * Compare each translation of @p with memory, drop those that differ, or make a copy anew. The
 * chains are walked without the lock, as cache_find() does: the vCPU holds its epoch. What is
 * entered meanwhile was compared with memory after this began, because the lock was free in
 * between; only the copy would lack it, and so there is none.
 */
static __attribute__((noinline)) void verify_all(struct code_cache *c, struct code_page *p)
{
	_Alignas(8) uint8_t now[MEM_PAGE_SIZE];
	uint64_t entered, lines;

	cache_lock(c);
	entered = p->entered;
	cache_unlock(c);
	if (!host_copy_from(now, p->host, sizeof(now)) || !compare_all(p, now, &lines)) {
		cache_invalidate(c, p->host, MEM_PAGE_SIZE, false);
		return;
	}
	struct code_copy *copy = copy_make(c, lines, now);

	cache_lock(c);
	if (p->entered == entered && copy) {
		copy_replace(c, p, copy);
		copy = NULL;
	}
	bool many = c->new_copies > CODE_COPIES_LIMIT;

	cache_unlock(c);
	copy_free(c, copy);
	if (many)
		expire_copies(c);
}

void cache_verify(struct code_cache *c, struct code_page *p, uint64_t run)
{
	if (atomic_load(&p->verified) >= run)
		return;
	/* Who began a run after this one has to look again. */
	uint64_t now = atomic_load(&c->runs);
	const struct code_copy *copy = atomic_load(&p->copy);

	if (!copy || copy_differs(copy, p->host))
		verify_all(c, p);
	atomic_store_explicit(&p->verified, now, memory_order_release);
}

/* --- making room --- */

/* Take @t out of its table. */
static void take_out(struct code_cache *c, struct translation *t)
{
	struct code_page *p = atomic_load_explicit(&t->page, memory_order_relaxed);
	_Atomic(struct translation *) *at = &p->bucket[cache_bucket(t->offset, t->mode)];

	while (atomic_load(at) != t) {
		at = &atomic_load(at)->next;
		c->work++;
	}
	atomic_store(at, atomic_load(&t->next));
}

/*
 * By age alone. What is hot is made again, which costs less than to know what is hot; and a guest
 * cannot choose what is kept.
 */
bool cache_evict(struct code_cache *c)
{
	uint64_t epoch, dropped = 0;
	bool wanted, done;

	pthread_mutex_lock(&c->maintenance);
	cache_lock(c);
	epoch = atomic_load(&c->epoch) + 1;
	wanted = !c->retired && c->entered_bytes > c->limit / 2;
	done = c->retired || wanted;
	while (wanted && c->oldest && dropped < c->limit / 8) {
		struct translation *t = c->oldest;

		dropped += t->size;
		take_out(c, t);
		drop(c, t, epoch);
		cache_breathe(c);
	}
	if (dropped) {
		c->nr_evictions++;
		atomic_store(&c->epoch, epoch);
	}
	cache_unlock(c);
	if (dropped)
		kick_all(c);
	pthread_mutex_unlock(&c->maintenance);
	return done;
}

/* --- flushing --- */

/* Drop all of @p, into which nothing is entered any more, and @p. */
static void drop_page(struct code_cache *c, struct code_page *p, uint64_t epoch)
{
	for (unsigned int i = 0; i < CODE_PAGE_BUCKETS; i++) {
		struct translation *t;

		c->work++;
		while ((t = atomic_load(&p->bucket[i]))) {
			c->work++;
			atomic_store(&p->bucket[i], atomic_load(&t->next));
			drop(c, t, epoch);
			cache_breathe(c);
		}
	}
	p->retired_epoch = epoch;
	p->retired_next = NULL;
	*c->retired_pages_end = p;
	c->retired_pages_end = &p->retired_next;
}

/*
 * A chain of pages leaves the table as one, and all of its pages refuse translations from then on,
 * before anybody else has the lock. Their hash_next stay as they are: another vCPU may be walking
 * the chain.
 */
static struct code_page *take_chain(struct code_cache *c, unsigned int i)
{
	struct code_page *chain = atomic_load(&c->hash[i]);

	atomic_store(&c->hash[i], NULL);
	for (struct code_page *p = chain; p; p = p->hash_next) {
		c->work++;
		atomic_store_explicit(&p->dropped, true, memory_order_relaxed);
	}
	return chain;
}

static void flush(struct code_cache *c)
{
	uint64_t epoch = atomic_load(&c->epoch) + 1;

	for (unsigned int i = 0; i < 1u << CODE_HASH_BITS; i++) {
		for (struct code_page *p = take_chain(c, i); p; p = p->hash_next) {
			drop_page(c, p, epoch);
			cache_breathe(c);
		}
	}
	c->nr_flushes++;
	atomic_store(&c->flush_epoch, epoch);
	atomic_store(&c->epoch, epoch);
}

void cache_flush(struct code_cache *c)
{
	pthread_mutex_lock(&c->maintenance);
	cache_lock(c);
	/* Until what the last flush dropped is freed, another one would help nobody. */
	bool wanted = !c->retired_pages;

	if (wanted)
		flush(c);
	cache_unlock(c);
	if (wanted)
		kick_all(c);
	pthread_mutex_unlock(&c->maintenance);
}

/* --- freeing --- */

/*
 * The last epoch that every vCPU in the guest has seen. One that enters later sees the present one.
 * Under the lock.
 */
static uint64_t oldest_epoch(const struct code_cache *c)
{
	uint64_t oldest = atomic_load(&c->epoch);

	for (unsigned int i = 0, nr = nr_cpus(c); i < nr; i++) {
		struct cpu *cpu = nth_cpu(c, i);

		if (!cpu || !cpu->engine || !atomic_load(&cpu->tlb.in_guest))
			continue;
		uint64_t passed = atomic_load(&engine_of(cpu)->epoch);

		if (passed < oldest)
			oldest = passed;
	}
	return oldest;
}

static void free_translations(struct code_cache *c, struct translation *t)
{
	while (t) {
		struct translation *next = t->retired_next;

		account(c, -(int64_t)t->size);
		c->back->release(c, t);
		t = next;
	}
}

static void free_pages(struct code_cache *c, struct code_page *p)
{
	while (p) {
		struct code_page *next = p->retired_next;

		copy_free(c, atomic_load(&p->copy));
		account(c, -(int64_t)sizeof(*p));
		free(p);
		p = next;
	}
}

static void free_copies(struct code_cache *c, struct code_copy *copy)
{
	while (copy) {
		struct code_copy *next = copy->retired_next;

		copy_free(c, copy);
		copy = next;
	}
}

/* Take at most a slice of what may be freed out of the list, the oldest first. Under the lock. */
static struct translation *take_retired(struct code_cache *c, uint64_t oldest)
{
	struct translation *first = c->retired, **end = &first;

	while (c->retired && c->retired->retired_epoch <= oldest && c->work < c->slice) {
		end = &c->retired->retired_next;
		c->retired = *end;
		c->work++;
	}
	*end = NULL;
	if (!c->retired)
		c->retired_end = &c->retired;
	return first;
}

static struct code_page *take_retired_pages(struct code_cache *c, uint64_t oldest)
{
	struct code_page *first = c->retired_pages, **end = &first;

	while (c->retired_pages && c->retired_pages->retired_epoch <= oldest &&
	       c->work < c->slice) {
		end = &c->retired_pages->retired_next;
		c->retired_pages = *end;
		c->work++;
	}
	*end = NULL;
	if (!c->retired_pages)
		c->retired_pages_end = &c->retired_pages;
	return first;
}

static struct code_copy *take_retired_copies(struct code_cache *c, uint64_t oldest)
{
	struct code_copy *first = c->retired_copies, **end = &first;

	while (c->retired_copies && c->retired_copies->retired_epoch <= oldest &&
	       c->work < c->slice) {
		end = &c->retired_copies->retired_next;
		c->retired_copies = *end;
		c->work++;
	}
	*end = NULL;
	if (!c->retired_copies)
		c->retired_copies_end = &c->retired_copies;
	return first;
}

void cache_reclaim(struct code_cache *c)
{
	struct translation *t;
	struct code_page *p;
	struct code_copy *copy;

	do {
		cache_lock(c);
		uint64_t oldest = oldest_epoch(c);

		t = take_retired(c, oldest);
		p = take_retired_pages(c, oldest);
		copy = take_retired_copies(c, oldest);
		cache_unlock(c);
		free_translations(c, t);
		free_pages(c, p);
		free_copies(c, copy);
	} while (t || p || copy);
}

/* --- life --- */

int cache_init(struct code_cache *c, struct machine *m, const struct backend *back, uint64_t limit)
{
	uint64_t secret;

	c->machine = m;
	c->back = back;
	c->limit = limit;
	c->slice = CACHE_SLICE;
	/* A host without randomness right after its start has a hash that can be guessed. */
	if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) != sizeof(secret))
		secret = (uintptr_t)c * 0x9e3779b97f4a7c15ull;
	c->secret = secret | 1;
	c->retired_end = &c->retired;
	c->retired_pages_end = &c->retired_pages;
	c->retired_copies_end = &c->retired_copies;
	pthread_mutex_init(&c->maintenance, NULL);
	pthread_mutex_init(&c->lock, NULL);
	return back->machine_init ? back->machine_init(c) : 0;
}

void cache_destroy(struct code_cache *c)
{
	/* No vCPU is left. */
	cache_lock(c);
	flush(c);
	cache_unlock(c);
	free_translations(c, c->retired);
	free_pages(c, c->retired_pages);
	free_copies(c, c->retired_copies);
	if (c->back->machine_destroy)
		c->back->machine_destroy(c);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->maintenance);
}
