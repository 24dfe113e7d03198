/* SPDX-License-Identifier: MIT */
/*
 * The global exclusive monitor (Arm ARM B2.9): does a store exclusive of one vCPU succeed although
 * another one wrote to the marked granule?
 *
 * A store exclusive is a compare-and-swap with the value that the load exclusive read. That alone
 * does not see a write of the same value, nor a change that was undone. So every granule has, by a
 * hash of its host address, a word that counts the exclusives and atomics that wrote:
 *
 *   even   nobody is writing; the count of writes, times two
 *   odd    somebody is: one atomic, or one store exclusive
 *
 *   load exclusive    note the word; load
 *   atomic            make the word odd; operate; make it the next even number
 *   store exclusive   make the word odd if it is what was noted, else fail; compare and swap; make
 *                     it the next even number, or what it was if nothing was stored
 *
 * Whoever makes the word odd is alone with the granule, as far as atomics and exclusives go. So if
 * a store exclusive finds the word that its load noted, even, then none of them wrote between the
 * two, nor will one before the swap is done. (Counting without exclusion would not do: two atomics
 * that had counted before the load exclusive could both write, there and back, after it.)
 *
 * What must hold:
 *  - The word is noted before the value is loaded.
 *  - Nobody sleeps, and nothing but the one access is done, while he has the word odd. Who waits
 *    for him yields the processor after a while, and goes back to a kick point if asked to.
 *  - Plain stores do not count, see docs/memory-model.md.
 *
 * Atomics of granules that no exclusive was ever used on need none of this: they are the host's
 * alone, in generated code. So a load exclusive counts its granule (a byte, by another hash), for
 * good, and when it is the first one it has every vCPU in the guest pass a kick point before it
 * loads: who has seen the granule not counted has done its atomic by then.
 *
 * A machine with one vCPU does nothing of this. When it gets its second one, a mark that was made
 * before is lost, which is always allowed.
 */
#ifndef CPU_MONITOR_H
#define CPU_MONITOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"

#define MONITOR_GRANULE_SHIFT 4 /* 16 bytes, the largest exclusive; CTR_EL0.ERG may say more */
#define MONITOR_NONE          1 /* noted: a store exclusive fails */

/** monitor_word() - The word of the granule that @host, an address of guest memory, lies in. */
static inline _Atomic uint64_t *monitor_word(struct machine *m, const void *host)
{
	uint64_t granule = (uintptr_t)host >> MONITOR_GRANULE_SHIFT;

	return &m->monitor[(granule ^ granule >> MONITOR_BITS) % (1u << MONITOR_BITS)].word;
}

/** monitor_counted() - Not 0 once an exclusive was used on the granule of @host. */
static inline _Atomic uint8_t *monitor_counted(struct machine *m, const void *host)
{
	return &m->counted[(uintptr_t)host >> MONITOR_GRANULE_SHIFT & (MONITOR_COUNTED - 1)];
}

/** monitor_shared() - Are there other vCPUs that could write? */
static inline bool monitor_shared(const struct machine *m)
{
	return __atomic_load_n(&m->nr_cpus, __ATOMIC_RELAXED) > 1;
}

/* A writer at work: the word that it holds, NULL in a machine with one vCPU, and what it was. */
struct monitor_hold {
	_Atomic uint64_t *word;
	uint64_t count;
};

/**
 * monitor_try() - Hold the granule of @host for an atomic, unless somebody else does.
 *
 * Return: false: try again.
 */
static inline bool monitor_try(struct machine *m, const void *host, struct monitor_hold *h)
{
	h->word = NULL;
	if (!monitor_shared(m))
		return true;
	h->word = monitor_word(m, host);
	h->count = atomic_load_explicit(h->word, memory_order_relaxed);
	return !(h->count & 1) && atomic_compare_exchange_strong(h->word, &h->count, h->count + 1);
}

/** monitor_release() - The access is done. @wrote: it stored something. */
static inline void monitor_release(const struct monitor_hold *h, bool wrote)
{
	if (h->word)
		atomic_store_explicit(h->word, h->count + (wrote ? 2 : 0), memory_order_release);
}

/**
 * monitor_hold() - Hold the granule of @host for an atomic.
 *
 * Return: CPU_EXIT_NONE, or CPU_EXIT_KICK: @cpu is wanted elsewhere; start the instruction again
 * afterwards.
 */
int monitor_hold(struct cpu *cpu, const void *host, struct monitor_hold *h);

/* Private to monitor_mark(). */
int monitor_note(struct cpu *cpu, const void *host);

/**
 * monitor_mark() - Note the granule of @host for a load exclusive, before it loads.
 *
 * Return: CPU_EXIT_NONE, or CPU_EXIT_KICK: the granule is counted now, and TLB maintenance may have
 * been done meanwhile; start the instruction again.
 */
static inline int monitor_mark(struct cpu *cpu, const void *host)
{
	cpu->excl_count = MONITOR_NONE;
	return monitor_shared(cpu->machine) ? monitor_note(cpu, host) : CPU_EXIT_NONE;
}

/**
 * monitor_claim() - Hold the granule of @host for a store exclusive.
 *
 * Return: false: it fails, because somebody wrote since monitor_mark(), or is about to.
 */
static inline bool monitor_claim(struct cpu *cpu, const void *host, struct monitor_hold *h)
{
	h->word = NULL;
	if (!monitor_shared(cpu->machine))
		return true;
	h->word = monitor_word(cpu->machine, host);
	h->count = cpu->excl_count;
	return cpu->excl_host == (uintptr_t)host && !(h->count & 1) &&
	       atomic_compare_exchange_strong(h->word, &h->count, h->count + 1);
}

#endif
