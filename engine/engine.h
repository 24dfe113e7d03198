/* SPDX-License-Identifier: MIT */
/*
 * The engine: runs guest code.
 *
 *    guest words
 *         |      front/     what each instruction means: a64/
 *         v
 *         IR     ir/        the operations, their meaning, dump and verification; vec/ for vectors
 *         |      pass/      count, forward, fold, dead: IR to IR, one file a pass
 *         v
 *         IR
 *         |      back/      a back end compiles it, links its exits and runs it: exec/, the
 *         v                 portable executor in C
 *    translation  code/     the pipeline (one call a pass), translations by physical page, links,
 *                           dispatch, invalidation and reclamation
 *
 * run.c is the loop around it all: kicks, interrupts, safe points. lockstep.c holds what a back end
 * did against the reference. What the files of the engine share stands in private.h; docs/engine.md
 * is the guide.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "cpu/cpu.h"

/**
 * engine_vm_init() - Make the engine's part of a machine: the code cache, and its back end.
 *
 * ARMATURE_ENGINE in the environment names the back end: x64 (on x86-64 hosts) or portable; without
 * it, or with auto, the best one is taken that works on this host.
 *
 * Return: 0 or -errno; after a name, with a message: -EINVAL when there is no engine of that name,
 * -ENOTSUP, -EACCES or -EPERM when it cannot be used here.
 */
int engine_vm_init(struct machine *m);

/** engine_name() - The back end's name, and in brackets why no better one was taken. */
const char *engine_name(const struct machine *m);

/** engine_vm_destroy() - Undo engine_vm_init(); all vCPUs are gone. */
void engine_vm_destroy(struct machine *m);

/**
 * engine_cpu_alloc() - Allocate a vCPU with room for what the engine needs behind it.
 * @m: the machine, after engine_vm_init()
 *
 * Return: a zeroed, suitably aligned struct cpu for cpu_init(), to be freed by free(); NULL if
 * there is no memory.
 */
struct cpu *engine_cpu_alloc(const struct machine *m);

/**
 * engine_vcpu_init() - Make the engine's part of a vCPU, after cpu_init().
 * @cpu: from engine_cpu_alloc()
 *
 * Return: 0 or -errno.
 */
int engine_vcpu_init(struct cpu *cpu);

/** engine_vcpu_destroy() - Undo engine_vcpu_init(); no thread runs the vCPU, nor will one. */
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
 * @m:   the machine; no vCPU of it is inside the guest, and the map has that memory still
 * @gpa: guest physical address of the first byte
 * @len: bytes, not 0
 *
 * Drops the translations of those pages, and has every vCPU forget them before it runs again.
 */
void engine_memory_changed(struct machine *m, uint64_t gpa, uint64_t len);

/**
 * engine_icache_invalidate() - IC IVAU / IC IALLU(IS): drop translations that differ from memory.
 * @m:   the machine
 * @pa:  guest physical address of the first byte
 * @len: bytes, within one memslot; 0 means all of memory
 *
 * This is machine_ops.icache_invalidate; on any vCPU's thread.
 */
void engine_icache_invalidate(struct machine *m, uint64_t pa, uint64_t len);

/**
 * struct engine_stats - What a machine's code cache holds.
 * @translations: how many are in it
 * @guest_insns:  instructions in these
 * @invalidated:  translations that were dropped until now
 * @code_bytes:   memory that they take, with those that were dropped and cannot be freed yet
 */
struct engine_stats {
	uint64_t translations, guest_insns, invalidated;
	uint64_t code_bytes;
};

/** engine_stats() - Read them. Any thread. */
void engine_stats(struct machine *m, struct engine_stats *s);

#endif
