/* SPDX-License-Identifier: MIT */
/*
 * Lockstep: what an execution made of a block, held against the reference.
 *
 * The reference is a plain block (translate.c: nothing dropped, delayed or fused, every PUT at its
 * place) run by the portable executor on a vCPU of its own, over a copy of the machine's memory.
 * The other side, the subject, may be anything that runs the same guest words on a struct cpu: the
 * executor's optimised blocks, or another back end's code.
 *
 *   lockstep_before(l, cpu);
 *   reason = ... the subject runs one block at cpu->pc, of nr instructions ...
 *   wrong = lockstep_after(l, cpu, reason, nr, why, sizeof(why));
 *
 * What must hold: between two calls nothing but the subject changes the machine's memory, or
 * lockstep_memory() is called. One vCPU.
 */
#ifndef ENGINE_LOCKSTEP_H
#define ENGINE_LOCKSTEP_H

#include "cpu/cpu.h"

struct lockstep;
struct tb;

/* all of it is copied, and compared after each block */
#define LOCKSTEP_MAX_MEMORY (16ull << 20)

/**
 * lockstep_create() - Make a reference for the vCPUs of @m.
 *
 * Return: NULL if there is no memory, or @m has too much of it.
 */
struct lockstep *lockstep_create(const struct machine *m);
void lockstep_destroy(struct lockstep *l);

/** lockstep_memory() - Take the machine's memory over into the reference's. */
void lockstep_memory(struct lockstep *l);

/** lockstep_before() - Take the state over that the subject's block starts from. */
void lockstep_before(struct lockstep *l, struct cpu *cpu);

/**
 * lockstep_after() - Run the reference over the same block and compare.
 * @cpu:      the state in which the subject left the block
 * @reason:   CPU_EXIT_KICK if the block just ended (or took an exception), else the exit that it
 *            made
 * @nr_insns: guest instructions that the subject's block was made from
 * @why:      receives what differs
 *
 * Compared are all of the architectural state in struct cpu, the count of retired instructions and
 * what the PMU counts, the details of an exit, and memory. What a block reads of the time
 * (counters, the state of timers, cycles) differs, of course.
 *
 * Return: NULL if all is the same, else @why.
 */
const char *lockstep_after(struct lockstep *l, struct cpu *cpu, enum cpu_exit_reason reason,
			   unsigned int nr_insns, char *why, size_t size);

/**
 * lockstep_run() - Run one block of the portable executor, on the calling thread, as engine_run()
 * would.
 * @tb: from translate_block(), made for cpu->pc; entered nowhere, so that all its exits are
 *      unlinked
 *
 * The subject's side in tests of the executor itself. Return: CPU_EXIT_KICK when the block has
 * ended, or an exit.
 */
enum cpu_exit_reason lockstep_run(struct cpu *cpu, struct tb *tb);

#endif
