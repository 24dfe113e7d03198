/* SPDX-License-Identifier: MIT */
/*
 * Translations of a machine, shared by its vCPUs.
 *
 * Terms: a code page is a page of the host's memory that code was fetched from (two memslots over
 * it share it); a translation belongs to one code page and is found by (page, offset, mode). To
 * drop a translation is to take it out of its table and to unlink it; it is retired then, and freed
 * when nobody can be in it any more.
 *
 * What must hold:
 *  - cache.lock guards pages, translations, exits and their lists; lookups of pages and
 *    translations also run without it, over atomic pointers to objects that are freed only by
 *    epoch.
 *  - A page's copy, if it has one, is what each of its translations was made of.
 *  - A link or a dispatch line says "this PC of that page of memory", never a virtual mapping:
 *    whoever follows one to another page compares the page with its execute TLB.
 *  - A translation that is being dropped has page == NULL from the beginning: no link to it or from
 *    it is made any more. When cache_invalidate() or cache_flush() is done, no table has it and no
 *    exit leads to it; what a back end remembers of it is for every vCPU behind a kick. It is freed
 *    once every vCPU has passed a safe point (or was outside the
 *    guest) since. So is a page that was dropped.
 *  - What is allocated stays below the limit, and one translation for each vCPU: who finds it
 *    exceeded evicts and goes to a safe point before it translates more. It is counted
 *    here whoever allocated it (struct translation.size).
 *
 * Work under the lock is bounded, because a guest decides how much there is: it may fill the cache
 * with translations that all lead to one, and then change all of them. Whatever walks does so in
 * slices of CACHE_SLICE units of work (a translation, an exit or a bucket looked at), and between
 * two slices lets everybody have the lock who is waiting for it (cache_breathe()). What makes that
 * right: only the holder of cache.maintenance takes anything out of the tables, and it keeps that
 * while it breathes. So the place where it stands in a chain stays valid. What is entered while it
 * breathes is compared with memory as it is entered, after the maintenance began; whether the walk
 * still comes by or not is all one.
 *
 * Lock order: cache.maintenance, cache.lock. The latter is a leaf but for malloc.
 */
#ifndef ENGINE_CACHE_H
#define ENGINE_CACHE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "engine/code/translation.h"

#define CODE_PAGE_BUCKET_BITS 5
#define CODE_PAGE_BUCKETS     (1 << CODE_PAGE_BUCKET_BITS)
#define CODE_HASH_BITS        12
#define CACHE_SLICE           1024

struct backend;

/*
 * What the translations of a page were made of, when they were last compared with memory. It never
 * changes: another one takes its place, and it is freed as translations are.
 */
struct code_copy {
	struct code_copy *retired_next;
	uint64_t retired_epoch;
	uint64_t lines;  /* which lines of the page, CODE_LINE bytes each, translations cover */
	uint8_t bytes[]; /* of those lines */
};

#define CODE_LINE (MEM_PAGE_SIZE / 64)

struct code_page {
	const uint8_t *host; /* its first byte */
	struct code_page *hash_next;
	/* NULL when translations were entered since it was made */
	_Atomic(struct code_copy *) copy;
	/* up to which of the cache's runs its translations are what memory had when it began */
	_Atomic uint64_t verified;
	uint64_t entered; /* how many translations were, ever; under the lock */
	/* by a flush: in no table, nothing may be entered */
	_Atomic bool dropped;
	struct code_page *retired_next;
	uint64_t retired_epoch;
	_Atomic(struct translation *) bucket[CODE_PAGE_BUCKETS];
};

struct code_cache {
	struct machine *machine;
	const struct backend *back;
	void *back_data; /* the back end's */
	char engine[96]; /* the back end's name, and why no better one was taken */

	/* Held by who drops, from beginning to end; never by who looks up, enters or links. */
	pthread_mutex_t maintenance;
	/* Invalidations of everything that were asked for, and how many of these are done. */
	_Atomic uint64_t all_asked;
	uint64_t all_done;

	pthread_mutex_t lock;
	_Atomic uint32_t arrived, served; /* who came to the lock, who got it */
	uint32_t work, most_work;         /* units in this hold of the lock; in any one hold */
	uint64_t total_work;
	uint32_t slice; /* CACHE_SLICE, but for tests */

	uint64_t secret; /* odd; makes the hash of pages another one in each machine */
	_Atomic(struct code_page *) hash[1 << CODE_HASH_BITS];
	_Atomic uint64_t epoch;              /* counts retirements */
	_Atomic uint64_t flush_epoch;        /* of the last flush: only then do code pages go */
	_Atomic uint64_t bytes;              /* allocated, retired ones too */
	uint64_t limit;                      /* of bytes */
	_Atomic uint64_t runs;               /* counts calls of engine_user_wrote() */
	struct translation *oldest, *newest; /* of those that are entered */
	/* Oldest first, by epoch. */
	struct translation *retired, **retired_end;
	struct code_page *retired_pages, **retired_pages_end;
	struct code_copy *retired_copies, **retired_copies_end;
	uint64_t new_copies;    /* bytes of copies retired since expire_copies() */
	uint64_t entered_bytes; /* of translations that are entered */
	uint64_t nr_translations, nr_insns, nr_invalidated, nr_evictions, nr_flushes;
};

/*
 * A translation takes some 55 bytes for each guest instruction, generated code and its tables 150;
 * a boot to the shell has 380,000 of them, a compiler as many. ARMATURE_CODE_CACHE has the last
 * word.
 */
#define CODE_CACHE_LIMIT (96ull << 20)
#define CODE_CACHE_MIN   (64ull << 10)
#define CODE_CACHE_MOST  (112ull << 20) /* what code memory has room for */

/*
 * Copies that are retired ask for no safe point until they are that many bytes: what user space
 * writes beside code makes a copy at every entry, and never drops a translation.
 */
#define CODE_COPIES_LIMIT (1ull << 20)

/* Where a page has a translation: by all of its key, as a guest may have many of one offset. */
static inline unsigned int cache_bucket(uint32_t offset, uint32_t mode)
{
	return (offset | mode << MEM_PAGE_SHIFT) * 0x9e3779b1u >> (32 - CODE_PAGE_BUCKET_BITS);
}

/*
 * The object of the page at @host (its first byte), made if need be; NULL when out of memory.
 * Without the lock.
 */
struct code_page *cache_page(struct code_cache *c, const uint8_t *host);

/*
 * Drop translations of @p that are not what memory has, unless that was done since @run began.
 * Costs a comparison of the lines that were translated if there are none, and no lock. By a vCPU
 * inside the guest.
 */
void cache_verify(struct code_cache *c, struct code_page *p, uint64_t run);

/* The translation, or NULL. Without the lock. */
static inline struct translation *cache_find(struct code_page *p, uint32_t offset, uint32_t mode)
{
	struct translation *t =
		atomic_load_explicit(&p->bucket[cache_bucket(offset, mode)], memory_order_acquire);

	while (t && (t->offset != offset || t->mode != mode))
		t = atomic_load_explicit(&t->next, memory_order_acquire);
	return t;
}

/* Is it time to evict, and for a safe point? */
static inline bool cache_full(struct code_cache *c)
{
	return atomic_load_explicit(&c->bytes, memory_order_relaxed) > c->limit;
}

/*
 * Enter @t (not yet visible) unless another vCPU was first; returns the one that stands. NULL, and
 * @t is freed, when the guest has changed its words since they were read, or @p was dropped. Takes
 * the lock.
 */
struct translation *cache_insert(struct code_cache *c, struct code_page *p, struct translation *t);

/*
 * As cache_insert(), but the one that stands gives way: @t is a better one of the same code. By a
 * vCPU inside the guest. Takes both locks.
 */
struct translation *cache_replace(struct code_cache *c, struct code_page *p, struct translation *t);

/*
 * Drop translations of the memory [host, host+len) that differ from it, or all of them with
 * @always. len 0: of all memory. When it returns, nobody finds or is led to any of them, whoever
 * dropped it. Takes both locks.
 */
void cache_invalidate(struct code_cache *c, const uint8_t *host, uint64_t len, bool always);

/*
 * Make room: drop the translations that were entered first, an eighth of the limit, unless those of
 * the last time are still to be freed. False: translations are not what fills it, and it takes a
 * flush. Any thread; nothing is freed here. Takes both locks.
 */
bool cache_evict(struct code_cache *c);

/*
 * Drop all translations and pages, unless those of the last flush are still to be freed. Any
 * thread; nothing is freed here. Takes both locks.
 */
void cache_flush(struct code_cache *c);

/* Free what was retired before every vCPU's last safe point. Takes the lock. */
void cache_reclaim(struct code_cache *c);

/* The lock, for code/. */
void cache_lock(struct code_cache *c);
void cache_unlock(struct code_cache *c);

/* Make the cache of @m for @back, with room for @limit bytes. 0 or -errno. */
int cache_init(struct code_cache *c, struct machine *m, const struct backend *back, uint64_t limit);
void cache_destroy(struct code_cache *c);

#endif
