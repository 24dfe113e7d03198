/* SPDX-License-Identifier: MIT */
/* The code cache: see cache.h for terms, invariants and locks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/code/cache.h"
#include "engine/back/exec/exec.h"

/* Of a page without translations. */
static struct code_copy no_copy;

static unsigned int page_hash(const uint8_t *host)
{
	uint64_t p = (uintptr_t)host >> MEM_PAGE_SHIFT;

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

static struct code_page *find_page(struct code_cache *c, const uint8_t *host)
{
	struct code_page *p = atomic_load_explicit(&c->hash[page_hash(host)], memory_order_acquire);

	while (p && p->host != host)
		p = p->hash_next;
	return p;
}

struct code_page *cache_page(struct code_cache *c, const uint8_t *host)
{
	struct code_page *p = find_page(c, host);

	if (p)
		return p;
	pthread_mutex_lock(&c->lock);
	p = find_page(c, host);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (p) {
			_Atomic(struct code_page *) *head = &c->hash[page_hash(host)];

			p->host = host;
			atomic_store_explicit(&p->copy, &no_copy, memory_order_relaxed);
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

/* Is any word that @tb was made from another one in @page? The guest may be writing them now. */
static GUEST_MEMORY bool differs(const uint8_t *page, const struct tb *tb)
{
	const uint32_t *now = (const uint32_t *)(page + tb->offset), *words = tb_words(tb);

	for (unsigned int i = 0; i < tb->nr_insns; i++)
		if (__atomic_load_n(&now[i], __ATOMIC_RELAXED) != words[i])
			return true;
	return false;
}

/* --- Copies: has user space changed what was translated? --- */

static GUEST_MEMORY void read_line(uint64_t *to, const uint8_t *page, unsigned int line)
{
	const uint64_t *from = (const uint64_t *)(page + line * CODE_LINE);

	for (unsigned int i = 0; i < CODE_LINE / 8; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

/* Two words at a time, as every 64-bit host can; written so because it is done at each exit. */
typedef uint64_t word_pair __attribute__((vector_size(16), aligned(8), may_alias));

static GUEST_MEMORY bool copy_differs(const struct code_copy *copy, const uint8_t *page)
{
	const word_pair *then = (const word_pair *)copy->words;
	word_pair difference = {0, 0};

	for (uint64_t m = copy->lines; m; m &= m - 1) {
		unsigned int line = (unsigned int)__builtin_ctzll(m);
		const word_pair *now = (const word_pair *)(page + line * CODE_LINE);

		difference |= (then[0] ^ now[0]) | (then[1] ^ now[1]) | (then[2] ^ now[2]) |
			      (then[3] ^ now[3]);
		then += CODE_LINE / sizeof(*then);
	}
	return difference[0] | difference[1];
}

static uint64_t lines_of(const struct tb *tb)
{
	unsigned int first = tb->offset / CODE_LINE;
	unsigned int last = (tb->offset + 4u * tb->nr_insns - 1) / CODE_LINE;

	return ~0ull >> (63 - last) & ~0ull << first;
}

static size_t copy_size(const struct code_copy *copy)
{
	return sizeof(*copy) + CODE_LINE * (unsigned int)__builtin_popcountll(copy->lines);
}

/* A copy of what the translations of @p cover of @page; NULL when out of memory. */
static struct code_copy *copy_make(struct code_cache *c, const struct code_page *p,
				   const uint8_t *page)
{
	struct code_copy head = {0}, *copy;

	for (unsigned int i = 0; i < CODE_PAGE_BUCKETS; i++)
		for (const struct tb *tb = atomic_load(&p->bucket[i]); tb;
		     tb = atomic_load(&tb->next))
			head.lines |= lines_of(tb);
	if (!head.lines)
		return &no_copy;
	copy = malloc(copy_size(&head));
	if (!copy)
		return NULL;
	*copy = head;
	uint64_t *to = copy->words;

	for (uint64_t m = copy->lines; m; m &= m - 1, to += CODE_LINE / 8)
		read_line(to, page, (unsigned int)__builtin_ctzll(m));
	account(c, (int64_t)copy_size(copy));
	return copy;
}

static void copy_free(struct code_cache *c, struct code_copy *copy)
{
	if (!copy || copy == &no_copy)
		return;
	account(c, -(int64_t)copy_size(copy));
	free(copy);
}

/*
 * Let @p have another copy. Another vCPU may be reading the old one: it goes when all have passed a
 * safe point for the next retirement of a translation. None is asked to pass one for it.
 */
static void copy_replace(struct code_cache *c, struct code_page *p, struct code_copy *copy)
{
	struct code_copy *old = atomic_exchange(&p->copy, copy);

	if (!old || old == &no_copy)
		return;
	old->retired_epoch = atomic_load(&c->epoch) + 1;
	old->retired_next = c->retired_copies;
	c->retired_copies = old;
}

/* --- Entering, linking, dropping --- */

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
	/*
	 * The page's copy goes before memory is read: who finds it there still, cache_verify(), began
	 * before that, and what user space wrote before that is what is read here.
	 */
	copy_replace(c, p, NULL);
	atomic_thread_fence(memory_order_seq_cst);
	/* Maintenance that came while it was made found nothing to drop; so did a flush. */
	if (atomic_load_explicit(&p->dropped, memory_order_relaxed) || differs(p->host, tb)) {
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

/*
 * Drop what overlaps the bytes @first to @last of the page and is not what @now, a page of bytes,
 * has there. @now NULL: whatever it is.
 */
static unsigned int invalidate_page(struct code_cache *c, struct code_page *p, unsigned int first,
				    unsigned int last, const uint8_t *now, uint64_t epoch)
{
	unsigned int dropped = 0;

	for (unsigned int i = 0; i < CODE_PAGE_BUCKETS; i++) {
		_Atomic(struct tb *) *at = &p->bucket[i];

		for (struct tb *tb = atomic_load(at); tb; tb = atomic_load(at)) {
			unsigned int start = tb->offset, end = start + 4u * tb->nr_insns;

			if (end <= first || start > last || (now && !differs(now, tb))) {
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

/* Those of one page that lie in [first, last]. */
static unsigned int invalidate_part(struct code_cache *c, struct code_page *p, uintptr_t first,
				    uintptr_t last, bool always, uint64_t epoch)
{
	uintptr_t start = (uintptr_t)p->host, end = start + MEM_PAGE_SIZE - 1;

	if (end < first || start > last)
		return 0;
	return invalidate_page(c, p, first > start ? (unsigned int)(first - start) : 0,
			       last < end ? (unsigned int)(last - start) : MEM_PAGE_SIZE - 1,
			       always ? NULL : p->host, epoch);
}

void cache_invalidate(struct code_cache *c, const uint8_t *host, uint64_t len, bool always)
{
	uintptr_t first = len ? (uintptr_t)host : 0, last = len ? first + len - 1 : UINTPTR_MAX;
	uintptr_t page = first & ~(MEM_PAGE_SIZE - 1);
	unsigned int dropped = 0;

	pthread_mutex_lock(&c->lock);
	uint64_t epoch = atomic_load(&c->epoch) + 1;

	if ((last - page) >> MEM_PAGE_SHIFT < 1u << CODE_HASH_BITS) {
		for (; page <= last; page += MEM_PAGE_SIZE) {
			struct code_page *p = find_page(c, (const uint8_t *)page);

			if (p)
				dropped += invalidate_part(c, p, first, last, always, epoch);
		}
	} else {
		for (unsigned int i = 0; i < 1u << CODE_HASH_BITS; i++)
			for (struct code_page *p = atomic_load(&c->hash[i]); p; p = p->hash_next)
				dropped += invalidate_part(c, p, first, last, always, epoch);
	}
	if (dropped)
		atomic_store(&c->epoch, epoch);
	pthread_mutex_unlock(&c->lock);
	if (dropped)
		kick_all(c);
}

/* Compare each translation of @p with memory, drop those that differ, and make a copy anew. */
static __attribute__((noinline)) void verify_all(struct code_cache *c, struct code_page *p)
{
	_Alignas(8) uint8_t now[MEM_PAGE_SIZE];

	for (unsigned int line = 0; line < MEM_PAGE_SIZE / CODE_LINE; line++)
		read_line((uint64_t *)(now + line * CODE_LINE), p->host, line);
	pthread_mutex_lock(&c->lock);
	uint64_t epoch = atomic_load(&c->epoch) + 1;
	unsigned int dropped = invalidate_page(c, p, 0, MEM_PAGE_SIZE - 1, now, epoch);

	copy_replace(c, p, copy_make(c, p, now));
	if (dropped)
		atomic_store(&c->epoch, epoch);
	pthread_mutex_unlock(&c->lock);
	if (dropped)
		kick_all(c);
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

static void page_free(struct code_cache *c, struct code_page *p)
{
	copy_free(c, atomic_load(&p->copy));
	account(c, -(int64_t)sizeof(*p));
	free(p);
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
		page_free(c, p);
	}
	for (struct code_copy **at = &c->retired_copies; *at;) {
		struct code_copy *copy = *at;

		if (copy->retired_epoch > oldest) {
			at = &copy->retired_next;
			continue;
		}
		*at = copy->retired_next;
		copy_free(c, copy);
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
			page_free(c, p);
		}
	}
	for (struct tb *tb = c->retired, *after; tb; tb = after) {
		after = tb->retired_next;
		free(tb);
	}
	for (struct code_page *p = c->retired_pages, *after; p; p = after) {
		after = p->retired_next;
		page_free(c, p);
	}
	for (struct code_copy *copy = c->retired_copies, *after; copy; copy = after) {
		after = copy->retired_next;
		copy_free(c, copy);
	}
	pthread_mutex_destroy(&c->lock);
}
