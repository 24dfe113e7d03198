/* SPDX-License-Identifier: MIT */
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

void monitor_note(struct cpu *cpu, const void *host)
{
	_Atomic uint64_t *word = monitor_word(cpu->machine, host);

	cpu->excl_host = (uintptr_t)host;
	/* While somebody writes, a little patience saves the guest a round of its loop. */
	for (unsigned int looks = 0; looks < SPINS; looks++) {
		cpu->excl_count = atomic_load_explicit(word, memory_order_acquire);
		if (!(cpu->excl_count & 1))
			return;
		relax();
	}
}
