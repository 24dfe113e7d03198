/* SPDX-License-Identifier: MIT */
/*
 * Memory for generated code.
 *
 *   segments    ... │ block │ free segment │ block │ block │ free segment │ not grown yet
 *   starts          1       0              1       1       0
 *
 * The part that has grown consists of blocks and free segments without gaps. Two free segments are
 * never side by side: whoever frees joins. A block's header says how much is free in front of it
 * (behind the last block that is m->tail), and a granule in which no block begins, behind a block,
 * begins a free segment, which has its length and its neighbours in the list in itself. So joining
 * takes no search.
 *
 * Free segments are in lists by size, eight sizes to each power of two. A block is cut from the
 * first segment of the first list in which all are large enough; a word for each 64 lists finds it.
 * Only if there is none is the list looked at in which some may be, and only then is more grown, so
 * that blocks stay close together. Long-lived blocks of mixed sizes waste little this way, and each
 * step is bounded.
 *
 * All of this is under m->lock but for the bits of blocks' beginnings, which lookups read: a bit is
 * set when the block's size is in its header, and cleared before anything else becomes of it.
 *
 * The pages are shared with a child of fork(), but no child uses its parent's machines.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/back/x64/memory.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 16u
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define PAGE       4096ul
#define GROWTH     (256u << 10) /* bytes that become usable at once, at least */
#define TRIED      16           /* segments looked at in a list where not all are large enough */
#define SLIVER     4            /* granules: what is left of a segment is left to the block */
#define WORD_BITS  64
#define NR_CLASSES 192

_Static_assert(CODE_MEMORY_MAX / CODE_GRANULE <= 1u << (NR_CLASSES / 8 + 2), "lists for all sizes");
_Static_assert(sizeof(struct code_block) == CODE_GRANULE, "a header takes one granule");

/* A free segment, at its beginning. Links are granules; 0 is none, for a block is there. */
struct segment {
	uint32_t next, previous, granules;
};

/* A row of the registry: where a code memory is. */
struct range {
	struct range *next; /* constant: rows are used again and never freed */
	_Atomic bool taken;
	_Atomic uint32_t version; /* odd: the row is changing */
	_Atomic uintptr_t rx;
	_Atomic size_t size;
	_Atomic(struct code_memory *) memory;
};

struct code_memory {
	struct code_memory_map map; /* first: code_memory_rw() */
	struct range *range;
	_Atomic uint64_t *starts; /* a bit for each granule: a block begins */
	_Atomic size_t used;

	pthread_mutex_t lock;
	uint32_t grown; /* granules */
	uint32_t tail;  /* of these, free ones behind the last block */
	uint32_t heads[NR_CLASSES];
	uint64_t filled[NR_CLASSES / WORD_BITS]; /* lists that are not empty */
};

/* The registry. Rows are taken and put in front by atomic operations: there is no lock to hold. */
static _Atomic(struct range *) ranges;

static void set_range(struct range *r, struct code_memory *m, uintptr_t rx, size_t size)
{
	uint32_t version = atomic_load(&r->version);

	atomic_store(&r->version, version + 1);
	atomic_store(&r->rx, rx);
	atomic_store(&r->size, size);
	atomic_store(&r->memory, m);
	atomic_store(&r->version, version + 2);
}

static struct range *take_range(void)
{
	struct range *r;

	for (r = atomic_load(&ranges); r; r = r->next)
		if (!atomic_exchange(&r->taken, true))
			return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	atomic_init(&r->taken, true);
	r->next = atomic_load(&ranges);
	while (!atomic_compare_exchange_weak(&ranges, &r->next, r))
		;
	return r;
}

static void drop_range(struct range *r)
{
	set_range(r, NULL, 0, 0);
	atomic_store(&r->taken, false);
}

struct code_memory *code_memory_of(uintptr_t pc)
{
	for (struct range *r = atomic_load(&ranges); r; r = r->next) {
		uint32_t version = atomic_load(&r->version);
		uintptr_t rx = atomic_load(&r->rx);
		size_t size = atomic_load(&r->size);
		struct code_memory *m = atomic_load(&r->memory);

		/* A row that changes is not that of a memory which somebody runs in. */
		if (pc - rx < size && !(version & 1) && atomic_load(&r->version) == version)
			return m;
	}
	return NULL;
}

/* Granules. */

static struct segment *segment_at(const struct code_memory *m, uint32_t at)
{
	return (struct segment *)(m->map.rw + (size_t)at * CODE_GRANULE);
}

static struct code_block *block_at(const struct code_memory *m, uint32_t at)
{
	return (struct code_block *)(m->map.rx + (size_t)at * CODE_GRANULE);
}

static uint32_t granule_of(const struct code_memory *m, const struct code_block *b)
{
	return (uint32_t)((size_t)((const uint8_t *)b - m->map.rx) / CODE_GRANULE);
}

static bool begins_block(const struct code_memory *m, uint32_t at)
{
	return atomic_load_explicit(&m->starts[at / WORD_BITS], memory_order_relaxed) >>
		       (at % WORD_BITS) &
	       1;
}

/* Where it stands how many granules are free in front of @at, where a block or nothing begins. */
static uint32_t *free_before(struct code_memory *m, uint32_t at)
{
	if (at == m->grown)
		return &m->tail;
	return &((struct code_block *)code_memory_rw(m, block_at(m, at)))->before;
}

/* Lists of free segments. */

/* The list of segments of @n granules: one for each n below 8, then eight to each power of two. */
static unsigned int class_of(uint32_t n)
{
	unsigned int log;

	if (n < 8)
		return n;
	log = 31 - (unsigned int)__builtin_clz(n);
	return (log - 2) * 8 + (n >> (log - 3) & 7);
}

/* The first list whose segments all have @n granules. */
static unsigned int class_above(uint32_t n)
{
	unsigned int c = class_of(n);

	return class_of(n) == class_of(n - 1) ? c + 1 : c;
}

static void insert(struct code_memory *m, uint32_t at, uint32_t n)
{
	unsigned int c = class_of(n);
	struct segment *s = segment_at(m, at);

	*s = (struct segment){.next = m->heads[c], .granules = n};
	if (s->next)
		segment_at(m, s->next)->previous = at;
	m->heads[c] = at;
	m->filled[c / WORD_BITS] |= 1ull << (c % WORD_BITS);
	*free_before(m, at + n) = n;
}

static void take_out(struct code_memory *m, uint32_t at)
{
	const struct segment *s = segment_at(m, at);
	unsigned int c = class_of(s->granules);

	if (s->next)
		segment_at(m, s->next)->previous = s->previous;
	if (s->previous)
		segment_at(m, s->previous)->next = s->next;
	else
		m->heads[c] = s->next;
	if (!m->heads[c])
		m->filled[c / WORD_BITS] &= ~(1ull << (c % WORD_BITS));
	*free_before(m, at + s->granules) = 0;
}

/* A segment of at least @n granules; 0: there is none, or none that is quickly found. */
static uint32_t find(const struct code_memory *m, uint32_t n)
{
	unsigned int c = class_above(n);
	uint32_t at;

	for (unsigned int w = c / WORD_BITS; w < NR_CLASSES / WORD_BITS; w++) {
		uint64_t filled = m->filled[w];

		if (w == c / WORD_BITS)
			filled &= ~0ull << (c % WORD_BITS);
		if (filled)
			return m->heads[w * WORD_BITS + (unsigned int)__builtin_ctzll(filled)];
	}
	at = m->heads[class_of(n)];
	for (unsigned int i = 0; at && i < TRIED; i++) {
		if (segment_at(m, at)->granules >= n)
			return at;
		at = segment_at(m, at)->next;
	}
	return 0;
}

/* Ask for the host's pages from @from to @to: one that it has not got is a SIGBUS at a write. */
static bool populate(const struct code_memory *m, size_t from, size_t to)
{
	size_t page = from & ~(PAGE - 1);

	/* Other errors say that it cannot be asked, as before Linux 5.14. */
	return !madvise(m->map.rw + page, to - page, MADV_POPULATE_WRITE) ||
	       (errno != ENOMEM && errno != EFAULT && errno != EHWPOISON);
}

/* Have @n free granules at the end. */
static bool grow(struct code_memory *m, uint32_t n)
{
	uint32_t first = m->grown - m->tail;
	size_t from = (size_t)m->grown * CODE_GRANULE;
	size_t to = ((size_t)first + n) * CODE_GRANULE;

	if (to > m->map.size)
		return false;
	to = (to + GROWTH - 1) & ~(size_t)(GROWTH - 1);
	if (to > m->map.size)
		to = m->map.size;
	if (!populate(m, from, to))
		return false;
	if (m->tail)
		take_out(m, first);
	m->grown = (uint32_t)(to / CODE_GRANULE);
	insert(m, first, m->grown - first);
	return true;
}

/* A block of @n granules at @at, where none is and nothing is free. */
static struct code_block *make_block(struct code_memory *m, uint32_t at, uint32_t n)
{
	struct code_block *b = block_at(m, at), *rw = code_memory_rw(m, b);

	rw->owner = NULL;
	rw->before = 0;
	__atomic_store_n(&rw->size, n * CODE_GRANULE, __ATOMIC_RELAXED);
	atomic_fetch_or(&m->starts[at / WORD_BITS], 1ull << (at % WORD_BITS));
	atomic_fetch_add(&m->used, n * CODE_GRANULE);
	return b;
}

/* Cut a block of @n granules from the segment at @at. */
static struct code_block *cut(struct code_memory *m, uint32_t at, uint32_t n)
{
	uint32_t have = segment_at(m, at)->granules;

	take_out(m, at);
	if (have - n < SLIVER)
		n = have;
	else
		insert(m, at + n, have - n);
	return make_block(m, at, n);
}

/* For a block with @size bytes of code. */
static uint32_t granules_for(size_t size)
{
	return (uint32_t)((size + sizeof(struct code_block) + CODE_GRANULE - 1) / CODE_GRANULE);
}

struct code_block *code_memory_alloc(struct code_memory *m, size_t size)
{
	struct code_block *b = NULL;
	uint32_t n, at;

	if (!size || size > CODE_BLOCK_MAX - sizeof(*b))
		return NULL;
	n = granules_for(size);
	pthread_mutex_lock(&m->lock);
	at = find(m, n);
	if (!at && grow(m, n))
		at = m->grown - m->tail;
	if (at)
		b = cut(m, at, n);
	pthread_mutex_unlock(&m->lock);
	return b;
}

void code_memory_free(struct code_memory *m, struct code_block *b)
{
	uint32_t at, n, before, behind;

	if (!b)
		return;
	pthread_mutex_lock(&m->lock);
	at = granule_of(m, b);
	n = b->size / CODE_GRANULE;
	before = b->before;
	behind = at + n;
	atomic_fetch_sub(&m->used, b->size);
	atomic_fetch_and(&m->starts[at / WORD_BITS], ~(1ull << (at % WORD_BITS)));
	if (before)
		take_out(m, at - before);
	if (behind < m->grown && !begins_block(m, behind)) {
		n += segment_at(m, behind)->granules;
		take_out(m, behind);
	}
	insert(m, at - before, before + n);
	pthread_mutex_unlock(&m->lock);
}

struct code_block *code_memory_fixed(const struct code_memory *m)
{
	return block_at(m, 0);
}

size_t code_memory_used(const struct code_memory *m)
{
	return atomic_load(&m->used);
}

struct code_block *code_memory_block(const struct code_memory *m, uintptr_t pc)
{
	uintptr_t offset = pc - (uintptr_t)m->map.rx;
	size_t at = offset / CODE_GRANULE, w = at / WORD_BITS;
	struct code_block *b;
	uint64_t starts;

	if (offset >= m->map.size)
		return NULL;
	starts = atomic_load(&m->starts[w]) & ~0ull >> (WORD_BITS - 1 - at % WORD_BITS);
	for (unsigned int i = 0; !starts; i++) {
		if (!w || i == CODE_BLOCK_MAX / CODE_GRANULE / WORD_BITS)
			return NULL;
		starts = atomic_load(&m->starts[--w]);
	}
	at = w * WORD_BITS + (WORD_BITS - 1) - (size_t)__builtin_clzll(starts);
	b = block_at(m, (uint32_t)at);
	/* Behind a block, something may be free. */
	return pc - (uintptr_t)b < __atomic_load_n(&b->size, __ATOMIC_RELAXED) ? b : NULL;
}

/*
 * A file in memory, of @size bytes, that may be mapped for execution. Since Linux 6.3 one says
 * whether a file may be executed, which some hosts forbid; mapping it is another matter.
 */
static int make_file(size_t size)
{
	static const unsigned int ways[] = {MFD_EXEC, 0, MFD_NOEXEC_SEAL};
	struct rlimit limit;
	int fd = -1;

	/* Past the limit, ftruncate() is a signal that ends the process. */
	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < size)
		return -EFBIG;
	for (unsigned int i = 0; fd < 0 && i < sizeof(ways) / sizeof(ways[0]); i++)
		fd = memfd_create("armature-code", MFD_CLOEXEC | ways[i]);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size)) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

/* The two mappings. */
static int map(struct code_memory_map *map, size_t size)
{
	int fd = make_file(size), rc = 0;
	void *rx, *rw;

	if (fd < 0)
		return fd;
	rx = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (rx == MAP_FAILED) {
		rc = -errno;
	} else {
		rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (rw == MAP_FAILED) {
			rc = -errno;
			munmap(rx, size);
		}
	}
	close(fd);
	if (!rc)
		*map = (struct code_memory_map){.rx = rx, .rw = rw, .size = size};
	return rc;
}

static int set_up(struct code_memory *m, size_t size, uint32_t fixed)
{
	int rc = map(&m->map, size);

	if (rc)
		return rc;
	if (!populate(m, 0, (size_t)fixed * CODE_GRANULE))
		return -ENOMEM;
	m->starts = calloc(size / CODE_GRANULE / WORD_BITS, sizeof(*m->starts));
	m->range = take_range();
	if (!m->starts || !m->range)
		return -ENOMEM;
	m->grown = fixed;
	make_block(m, 0, fixed);
	set_range(m->range, m, (uintptr_t)m->map.rx, size);
	return 0;
}

int code_memory_create(struct code_memory **out, size_t size, size_t fixed)
{
	struct code_memory *m;
	int rc;

	if (size < CODE_MEMORY_MIN || size > CODE_MEMORY_MAX ||
	    fixed > CODE_BLOCK_MAX - sizeof(struct code_block) || fixed > size / 2)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	pthread_mutex_init(&m->lock, NULL);
	rc = set_up(m, (size + PAGE - 1) & ~(PAGE - 1), granules_for(fixed));
	if (rc)
		code_memory_destroy(m);
	else
		*out = m;
	return rc;
}

void code_memory_destroy(struct code_memory *m)
{
	if (!m)
		return;
	if (m->range)
		drop_range(m->range);
	if (m->map.size) {
		munmap(m->map.rx, m->map.size);
		munmap(m->map.rw, m->map.size);
	}
	free(m->starts);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
