// SPDX-License-Identifier: MIT
/* The global exclusive monitor: see monitor.h. */
#include <sched.h>

#include "cpu/monitor.h"

#define SPINS 100 /* looks, before the one who holds the word is taken to be off the processor */

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

int monitor_hold(struct cpu *cpu, const void *host, struct monitor_hold *h)
{
	for (unsigned int looks = 0; !monitor_try(cpu->machine, host, h); looks++) {
		if (looks < SPINS) {
			relax();
			continue;
		}
		if (atomic_load_explicit(&cpu->remote.kick, memory_order_relaxed))
			return CPU_EXIT_KICK;
		sched_yield();
	}
	return CPU_EXIT_NONE;
}

void monitor_mark(struct cpu *cpu, const void *host)
{
	_Atomic uint64_t *word = monitor_word(cpu->machine, host);

	cpu->excl_host = (uintptr_t)host;
	cpu->excl_count = MONITOR_NONE;
	if (!monitor_shared(cpu->machine))
		return;
	/* While somebody writes, a little patience saves the guest a round of its loop. */
	for (unsigned int looks = 0; looks < SPINS; looks++) {
		cpu->excl_count = atomic_load_explicit(word, memory_order_acquire);
		if (!(cpu->excl_count & 1))
			return;
		relax();
	}
}

bool monitor_claim(struct cpu *cpu, const void *host, struct monitor_hold *h)
{
	h->word = NULL;
	if (!monitor_shared(cpu->machine))
		return true;
	h->word = monitor_word(cpu->machine, host);
	h->count = cpu->excl_count;
	return cpu->excl_host == (uintptr_t)host && !(h->count & 1) &&
	       atomic_compare_exchange_strong(h->word, &h->count, h->count + 1);
}
