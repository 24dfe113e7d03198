/* SPDX-License-Identifier: MIT */
/*
 * The engine: runs guest code.
 *
 *   guest words ──a64/──▶ IR ──forward, fold, dead──▶ IR ──place, lower──▶ micro-operations
 *   ──exec/──▶ executed
 *
 * a64/      the front end: what each instruction means, as IR
 * ir.*      the IR
 * pass/     one file a pass; translate.c calls them in order, with a dump letter for each
 * (ARMATURE_DUMP) vec/      the meaning of each vector operation exec/     the portable executor:
 * direct-threaded micro-operations cache.*   translations by physical page, links between them,
 * invalidation, reclamation run.c     the loop around it all: kicks, interrupts, safe points
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "cpu/cpu.h"

/** engine_vm_init() - Make the code cache of a machine. Return: 0 or -ENOMEM. */
int engine_vm_init(struct machine *m);
void engine_vm_destroy(struct machine *m);

/** engine_vcpu_init() - Make the engine's part of a vCPU. Return: 0 or -ENOMEM. */
int engine_vcpu_init(struct cpu *cpu);
void engine_vcpu_destroy(struct cpu *cpu);

/**
 * engine_run() - Execute guest code on the calling thread until something above the CPU has to act.
 * @cpu: a vCPU that no other thread runs
 *
 * Takes interrupts, serves TLB maintenance and safe points itself.
 *
 * Return: why it stopped; details in cpu->exit. CPU_EXIT_KICK for CPU_REQ_EXIT and for
 * icount_limit. State is exact: cpu->pc is where execution goes on (for MMIO, at the instruction to
 * be completed).
 */
enum cpu_exit_reason engine_run(struct cpu *cpu);

/**
 * engine_user_wrote() - What user space has written into guest memory until now is to be executed.
 * @cpu: a vCPU of the calling thread, outside the guest
 *
 * To be called when KVM_RUN begins. A VMM that writes instructions (or maps other memory) does the
 * instruction cache maintenance that its own CPU asks for; on hosts that ask for none nobody sees
 * it. So each page of code is compared with memory again when the vCPU enters it for the first time
 * after this call. What user space writes while the vCPU is inside is seen the next time, or after
 * the guest's own maintenance.
 */
void engine_user_wrote(struct cpu *cpu);

/**
 * engine_memory_changed() - Guest memory [gpa, gpa+len) is replaced or taken away.
 * @m: the machine; no vCPU of it is inside the guest, and the map has that memory still
 *
 * Drops the translations of those pages, and has every vCPU forget them before it runs again.
 */
void engine_memory_changed(struct machine *m, uint64_t gpa, uint64_t len);

/**
 * engine_icache_invalidate() - IC IVAU / IC IALLU(IS): drop translations that differ from memory.
 * @len: 0 means all of memory. Any vCPU thread. This is machine_ops.icache_invalidate.
 */
void engine_icache_invalidate(struct machine *m, uint64_t pa, uint64_t len);

struct engine_stats {
	uint64_t translations, guest_words, invalidated;
	uint64_t code_bytes;
};
void engine_stats(struct machine *m, struct engine_stats *s);

#endif
