/* SPDX-License-Identifier: MIT */
/* The global exclusive monitor: see monitor.h. */
#include <sched.h>

#include "cpu/monitor.h"

/*
 * Of a granule. From the second one on no atomic begins without the monitor; in the last one none
 * that had begun before is under way.
 */
enum { NOT_COUNTED, BEING_COUNTED, COUNTED };

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

int monitor_note(struct cpu *cpu, const void *host)
{
	_Atomic uint64_t *word = monitor_word(cpu->machine, host);
	_Atomic uint8_t *counted = monitor_counted(cpu->machine, host);

	if (atomic_load_explicit(counted, memory_order_acquire) != COUNTED) {
		uint8_t was = NOT_COUNTED;

		atomic_compare_exchange_strong(counted, &was, BEING_COUNTED);
		tlb_pass(cpu);
		atomic_store(counted, COUNTED);
		return CPU_EXIT_KICK;
	}
	cpu->excl_host = (uintptr_t)host;
	/* While somebody writes, a little patience saves the guest a round of its loop. */
	for (unsigned int looks = 0; looks < SPINS; looks++) {
		cpu->excl_count = atomic_load_explicit(word, memory_order_acquire);
		if (!(cpu->excl_count & 1))
			break;
		relax();
	}
	return CPU_EXIT_NONE;
}
