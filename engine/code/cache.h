/* SPDX-License-Identifier: MIT */
/*
 * Translations of a machine, shared by its vCPUs.
 *
 * Terms: a code page is a page of memory that code was fetched from, known by its host address: two
 * memslots over the same memory share it, as they share the lines of a physically indexed
 * instruction cache. A translation (struct tb) belongs to one code page and is found by (page,
 * offset, mode). A link is the cell of an exit that remembers where it leads.
 *
 * What must hold:
 *  - cache.lock guards pages, translations, links' lists; lookups of pages and translations also
 *    run without it, over atomic pointers to objects that are freed only by epoch.
 *  - A link or a dispatch line says "this PC of that physical page", never a virtual mapping:
 *    whoever follows one to another page compares the page with its execute TLB.
 *  - A translation that was invalidated has page == NULL, is in no table, and no link leads to it.
 *    It is freed once every vCPU has passed a safe point (or was outside the guest) since. So is a
 *    page that was dropped.
 *  - A page's copy, if it has one, is what each of its translations was made of.
 *  - What is allocated stays below the limit, and one translation for each vCPU: who finds it
 *    exceeded flushes the cache and goes to a safe point before it translates more.
 *
 * Lock order: cache.lock is a leaf but for malloc.
 */
#ifndef ENGINE_CACHE_H
#define ENGINE_CACHE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "engine/back/exec/uop.h"

#define CODE_PAGE_BUCKETS 32
#define CODE_HASH_BITS    12

struct tb {
	_Atomic(struct code_page *) page; /* NULL once invalidated */
	_Atomic(struct tb *) next;        /* in the page's bucket */
	struct tb *retired_next;
	uint64_t retired_epoch;
	struct link *incoming; /* exits that lead here */
	uint32_t mode;
	uint32_t size;   /* of all this, bytes */
	uint16_t offset; /* of the first instruction in the page, bytes */
	uint16_t nr_insns;
	uint16_t nr_uops;
	uint16_t nr_rows;
	uint16_t nr_links;
	struct tb_row *rows; /* one for each op that may fault; after the code */
	union uop code[];    /* then the rows, the words, the links' places */
};

/* What the slow path of a micro-operation needs. */
struct tb_row {
	uint16_t insn;    /* index of the guest instruction */
	uint16_t retired; /* instructions to count when it is left here */
	struct mem_desc mem;
};

/* Copy of the guest words that were translated. */
static inline uint32_t *tb_words(const struct tb *tb)
{
	return (uint32_t *)(tb->rows + tb->nr_rows);
}

/* Which words of code[] are links. */
static inline uint16_t *tb_links(const struct tb *tb)
{
	return (uint16_t *)(tb_words(tb) + tb->nr_insns);
}

/*
 * What the translations of a page were made of, when they were last compared with memory. It never
 * changes: another one takes its place, and it is freed as translations are.
 */
struct code_copy {
	struct code_copy *retired_next;
	uint64_t retired_epoch;
	uint64_t lines;   /* which lines of the page, CODE_LINE bytes each, translations cover */
	uint64_t words[]; /* of those lines */
};

#define CODE_LINE (MEM_PAGE_SIZE / 64)

struct code_page {
	const uint8_t *host;
	struct code_page *hash_next;
	/* NULL when translations were entered since it was made */
	_Atomic(struct code_copy *) copy;
	/* Up to which of the cache's runs its translations are what memory had when it began */
	_Atomic uint64_t verified;
	/* by a flush: in no table, nothing may be entered */
	_Atomic bool dropped;
	struct code_page *retired_next;
	uint64_t retired_epoch;
	_Atomic(struct tb *) bucket[CODE_PAGE_BUCKETS];
};

struct code_cache {
	struct machine *machine;
	pthread_mutex_t lock;
	_Atomic(struct code_page *) hash[1 << CODE_HASH_BITS];
	_Atomic uint64_t epoch;       /* counts retirements */
	_Atomic uint64_t flush_epoch; /* of the last flush: only then do code pages go */
	/* allocated, retired ones too; written under the lock */
	_Atomic uint64_t bytes;
	uint64_t limit;        /* of bytes */
	_Atomic uint64_t runs; /* counts calls of engine_user_wrote() */
	struct tb *retired;
	struct code_page *retired_pages;
	struct code_copy *retired_copies;
	uint64_t nr_tbs, nr_words, nr_invalidated, nr_flushes;
};

/*
 * A translation takes some 45 bytes for each guest instruction; a boot to the shell has 380,000 of
 * them.
 */
#define CODE_CACHE_LIMIT (24ull << 20)

static inline unsigned int cache_bucket(uint32_t offset)
{
	return (offset >> 2) % CODE_PAGE_BUCKETS;
}

/*
 * The object of the page at @host (its first byte), made if need be; NULL when out of memory.
 * Without the lock.
 */
struct code_page *cache_page(struct code_cache *c, const uint8_t *host);

/*
 * Drop translations of @p that are not what memory has, unless that was done since @run began. Costs
 * a comparison of the lines that were translated if there are none, and no lock.
 */
void cache_verify(struct code_cache *c, struct code_page *p, uint64_t run);

/* The translation, or NULL. Without the lock. */
static inline struct tb *cache_find(struct code_page *p, uint32_t offset, uint32_t mode)
{
	struct tb *tb =
		atomic_load_explicit(&p->bucket[cache_bucket(offset)], memory_order_acquire);

	while (tb && (tb->offset != offset || tb->mode != mode))
		tb = atomic_load_explicit(&tb->next, memory_order_acquire);
	return tb;
}

/* Is it time for a flush and a safe point? */
static inline bool cache_full(struct code_cache *c)
{
	return atomic_load_explicit(&c->bytes, memory_order_relaxed) > c->limit;
}

/*
 * Enter @tb (not yet visible) unless another vCPU was first; returns the one that stands. NULL, and
 * @tb is freed, when the guest has changed its words since they were read, or @p was dropped. Takes
 * the lock.
 */
struct tb *cache_insert(struct code_cache *c, struct code_page *p, struct tb *tb);

/*
 * Remember that the exit @l leads to @tb, unless @tb or the exit's own translation was invalidated.
 * Takes the lock.
 */
void cache_link(struct code_cache *c, struct tb *from, struct link *l, struct tb *tb);

/*
 * Drop translations of the memory [host, host+len) whose words differ from it, or all of them with
 * @always. len 0: of all memory.
 */
void cache_invalidate(struct code_cache *c, const uint8_t *host, uint64_t len, bool always);

/*
 * Drop all translations and pages, unless those of the last flush are still to be freed. Any
 * thread; nothing is freed here.
 */
void cache_flush(struct code_cache *c);

/* Free what was retired before every vCPU's last safe point. */
void cache_reclaim(struct code_cache *c);

int cache_init(struct code_cache *c, struct machine *m);
void cache_destroy(struct code_cache *c);

#endif
