/* SPDX-License-Identifier: MIT */
/* The code cache: see cache.h for terms, invariants and locks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/host_mem.h"
#include "engine/code/cache.h"
#include "engine/back/exec/exec.h"

static unsigned int page_hash(uint64_t pa)
{
	uint64_t p = pa >> MEM_PAGE_SHIFT;

	return (unsigned int)(p ^ (p >> CODE_HASH_BITS)) & ((1u << CODE_HASH_BITS) - 1);
}

static void account(struct code_cache *c, int64_t bytes)
{
	uint64_t now = atomic_load_explicit(&c->bytes, memory_order_relaxed) + (uint64_t)bytes;

	atomic_store_explicit(&c->bytes, now, memory_order_relaxed);
}

static struct cpu *nth_cpu(const struct code_cache *c, unsigned int i)
{
	return __atomic_load_n(&c->machine->cpus[i], __ATOMIC_ACQUIRE);
}

static unsigned int nr_cpus(const struct code_cache *c)
{
	return __atomic_load_n(&c->machine->nr_cpus, __ATOMIC_ACQUIRE);
}

static struct code_page *find_page(struct code_cache *c, uint64_t pa)
{
	struct code_page *p = atomic_load_explicit(&c->hash[page_hash(pa)], memory_order_acquire);

	while (p && p->pa != pa)
		p = p->hash_next;
	return p;
}

struct code_page *cache_page(struct code_cache *c, uint64_t pa)
{
	struct code_page *p = find_page(c, pa);

	if (p)
		return p;
	pthread_mutex_lock(&c->lock);
	p = find_page(c, pa);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (p) {
			_Atomic(struct code_page *) *head = &c->hash[page_hash(pa)];

			p->pa = pa;
			p->hash_next = atomic_load_explicit(head, memory_order_relaxed);
			atomic_store_explicit(head, p, memory_order_release);
			account(c, sizeof(*p));
		}
	}
	pthread_mutex_unlock(&c->lock);
	return p;
}

static void tb_free(struct code_cache *c, struct tb *tb)
{
	account(c, -(int64_t)tb->size);
	free(tb);
}

/*
 * Has the guest changed any word that @tb was made from? It may be writing them now. What is gone
 * is changed, too.
 */
static bool differs(const struct code_cache *c, const struct code_page *p, const struct tb *tb)
{
	const struct mem_slot *slot = mem_find(&c->machine->mem, p->pa);

	return !slot || !host_same_words(mem_slot_host(slot, p->pa) + tb->offset, tb_words(tb),
					 tb->nr_insns);
}

struct tb *cache_insert(struct code_cache *c, struct code_page *p, struct tb *tb)
{
	_Atomic(struct tb *) *head = &p->bucket[cache_bucket(tb->offset)];

	pthread_mutex_lock(&c->lock);
	struct tb *first = cache_find(p, tb->offset, tb->mode);

	if (first) {
		pthread_mutex_unlock(&c->lock);
		free(tb);
		return first;
	}
	/* Maintenance that came while it was made found nothing to drop; so did a flush. */
	if (atomic_load_explicit(&p->dropped, memory_order_relaxed) || differs(c, p, tb)) {
		pthread_mutex_unlock(&c->lock);
		free(tb);
		return NULL;
	}
	atomic_store_explicit(&tb->page, p, memory_order_relaxed);
	atomic_store_explicit(&tb->next, atomic_load_explicit(head, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(head, tb, memory_order_release);
	c->nr_tbs++;
	c->nr_words += tb->nr_insns;
	account(c, tb->size);
	pthread_mutex_unlock(&c->lock);
	return tb;
}

void cache_link(struct code_cache *c, struct tb *from, struct link *l, struct tb *tb)
{
	pthread_mutex_lock(&c->lock);
	if (atomic_load(&from->page) && atomic_load(&tb->page) && !atomic_load(&l->tb)) {
		l->next_incoming = tb->incoming;
		tb->incoming = l;
		atomic_store_explicit(&l->tb, tb, memory_order_release);
	}
	pthread_mutex_unlock(&c->lock);
}

/* Take @l out of the incoming list of where it leads. */
static void unlink_exit(struct link *l)
{
	struct tb *to = atomic_load(&l->tb);

	for (struct link **at = &to->incoming; *at; at = &(*at)->next_incoming) {
		if (*at == l) {
			*at = l->next_incoming;
			break;
		}
	}
	atomic_store(&l->tb, NULL);
}

static void unlink_all(struct tb *tb)
{
	for (struct link *l = tb->incoming; l; l = l->next_incoming)
		atomic_store(&l->tb, NULL);
	tb->incoming = NULL;
	for (unsigned int i = 0; i < tb->nr_links; i++) {
		struct link *l = &tb->code[tb_links(tb)[i]].link;

		if (atomic_load(&l->tb))
			unlink_exit(l);
	}
}

static void retire(struct code_cache *c, struct tb *tb, uint64_t epoch)
{
	atomic_store(&tb->page, NULL);
	tb->retired_epoch = epoch;
	tb->retired_next = c->retired;
	c->retired = tb;
	c->nr_tbs--;
	c->nr_words -= tb->nr_insns;
	c->nr_invalidated++;
}

static unsigned int invalidate_page(struct code_cache *c, struct code_page *p, uint64_t first,
				    uint64_t last, bool always, uint64_t epoch)
{
	unsigned int dropped = 0;

	for (unsigned int i = 0; i < CODE_PAGE_BUCKETS; i++) {
		_Atomic(struct tb *) *at = &p->bucket[i];

		for (struct tb *tb = atomic_load(at); tb; tb = atomic_load(at)) {
			uint64_t start = p->pa + tb->offset, end = start + 4u * tb->nr_insns;

			if (end <= first || start > last || (!always && !differs(c, p, tb))) {
				at = &tb->next;
				continue;
			}
			/*
			 * tb->next stays as it is: another vCPU may be walking the chain through
			 * it.
			 */
			atomic_store(at, atomic_load(&tb->next));
			unlink_all(tb);
			retire(c, tb, epoch);
			dropped++;
		}
	}
	return dropped;
}

/* Have every vCPU pass a safe point: what it remembers may have been retired. */
static void kick_all(const struct code_cache *c)
{
	for (unsigned int i = 0, nr = nr_cpus(c); i < nr; i++) {
		struct cpu *cpu = nth_cpu(c, i);

		if (cpu)
			cpu_request(cpu, CPU_REQ_SAFE);
	}
}

void cache_invalidate(struct code_cache *c, uint64_t pa, uint64_t len, bool always)
{
	uint64_t last = len ? pa + len - 1 : UINT64_MAX;
	unsigned int dropped = 0;

	if (!len)
		pa = 0;
	pthread_mutex_lock(&c->lock);
	uint64_t epoch = atomic_load(&c->epoch) + 1;

	if (len && (pa ^ last) < MEM_PAGE_SIZE) {
		struct code_page *p = find_page(c, pa & ~(MEM_PAGE_SIZE - 1));

		if (p)
			dropped = invalidate_page(c, p, pa, last, always, epoch);
	} else {
		for (unsigned int i = 0; i < 1u << CODE_HASH_BITS; i++)
			for (struct code_page *p = atomic_load(&c->hash[i]); p; p = p->hash_next)
				if (p->pa + MEM_PAGE_SIZE > pa && p->pa <= last)
					dropped += invalidate_page(c, p, pa, last, always, epoch);
	}
	if (dropped)
		atomic_store(&c->epoch, epoch);
	pthread_mutex_unlock(&c->lock);
	if (dropped)
		kick_all(c);
}

/* Retire all of @p, and @p. Every link goes, so none has to be looked for in a list. */
static void drop_page(struct code_cache *c, struct code_page *p, uint64_t epoch)
{
	for (unsigned int i = 0; i < CODE_PAGE_BUCKETS; i++) {
		for (struct tb *tb = atomic_load(&p->bucket[i]); tb; tb = atomic_load(&tb->next)) {
			for (unsigned int k = 0; k < tb->nr_links; k++)
				atomic_store(&tb->code[tb_links(tb)[k]].link.tb, NULL);
			tb->incoming = NULL;
			retire(c, tb, epoch);
		}
		/* Whoever still has the page finds nothing in it, and may enter nothing. */
		atomic_store(&p->bucket[i], NULL);
	}
	atomic_store_explicit(&p->dropped, true, memory_order_relaxed);
	p->retired_epoch = epoch;
	p->retired_next = c->retired_pages;
	c->retired_pages = p;
}

void cache_flush(struct code_cache *c)
{
	pthread_mutex_lock(&c->lock);
	/* Until what the last flush dropped is freed, another one would help nobody. */
	if (c->retired_pages) {
		pthread_mutex_unlock(&c->lock);
		return;
	}
	uint64_t epoch = atomic_load(&c->epoch) + 1;

	for (unsigned int i = 0; i < 1u << CODE_HASH_BITS; i++) {
		/* Another vCPU may be walking the chain: hash_next stays as it is. */
		for (struct code_page *p = atomic_load(&c->hash[i]); p; p = p->hash_next)
			drop_page(c, p, epoch);
		atomic_store(&c->hash[i], NULL);
	}
	c->nr_flushes++;
	atomic_store(&c->flush_epoch, epoch);
	atomic_store(&c->epoch, epoch);
	pthread_mutex_unlock(&c->lock);
	kick_all(c);
}

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
		uint64_t passed = atomic_load(&((struct engine_cpu *)cpu->engine)->epoch);

		if (passed < oldest)
			oldest = passed;
	}
	return oldest;
}

void cache_reclaim(struct code_cache *c)
{
	pthread_mutex_lock(&c->lock);
	uint64_t oldest = oldest_epoch(c);

	for (struct code_page **at = &c->retired_pages; *at;) {
		struct code_page *p = *at;

		if (p->retired_epoch > oldest) {
			at = &p->retired_next;
			continue;
		}
		*at = p->retired_next;
		account(c, -(int64_t)sizeof(*p));
		free(p);
	}
	for (struct tb **at = &c->retired; *at;) {
		struct tb *tb = *at;

		if (tb->retired_epoch > oldest) {
			at = &tb->retired_next;
			continue;
		}
		*at = tb->retired_next;
		tb_free(c, tb);
	}
	pthread_mutex_unlock(&c->lock);
}

int cache_init(struct code_cache *c, struct machine *m)
{
	c->machine = m;
	c->limit = CODE_CACHE_LIMIT;
	pthread_mutex_init(&c->lock, NULL);
	return 0;
}

void cache_destroy(struct code_cache *c)
{
	for (unsigned int i = 0; i < 1u << CODE_HASH_BITS; i++) {
		for (struct code_page *p = atomic_load(&c->hash[i]), *next; p; p = next) {
			next = p->hash_next;
			for (unsigned int k = 0; k < CODE_PAGE_BUCKETS; k++) {
				for (struct tb *tb = atomic_load(&p->bucket[k]), *after; tb;
				     tb = after) {
					after = atomic_load(&tb->next);
					free(tb);
				}
			}
			free(p);
		}
	}
	for (struct tb *tb = c->retired, *after; tb; tb = after) {
		after = tb->retired_next;
		free(tb);
	}
	for (struct code_page *p = c->retired_pages, *after; p; p = after) {
		after = p->retired_next;
		free(p);
	}
	pthread_mutex_destroy(&c->lock);
}
