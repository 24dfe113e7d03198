/* SPDX-License-Identifier: MIT */
/*
 * Self-hosted debug: breakpoints and watchpoints (Arm ARM D2.8 to D2.10).
 *
 * While a watchpoint may match at the present EL, the vCPU runs on the empty TLB bank, so that
 * every access reaches its slow path; while a breakpoint may, each instruction is a block of its
 * own (CPU_MODE_STEP), and access_fetch() looks at each.
 */
#ifndef CPU_DEBUG_H
#define CPU_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;

/* As ID_AA64DFR0_EL1 claims; the registers beyond are storage, as KVM has them. */
#define DEBUG_BREAKPOINTS 6
#define DEBUG_CONTEXT     2 /* of them context-aware, the last ones */
#define DEBUG_WATCHPOINTS 4

/** debug_exceptions_enabled() - Can debug exceptions be taken from the present EL (D2.3)? */
bool debug_exceptions_enabled(const struct cpu *cpu);

/** debug_breaking(), debug_watching() - May a breakpoint (watchpoint) match at the present EL? */
bool debug_breaking(const struct cpu *cpu);
bool debug_watching(const struct cpu *cpu);

/** debug_breakpoint() - Does a breakpoint match the instruction at cpu->pc? */
bool debug_breakpoint(const struct cpu *cpu);

/**
 * debug_watchpoint() - Does a watchpoint match an access?
 * @va:    canonical address of its first byte
 * @len:   bytes
 * @el:    0 for an unprivileged access, else the present EL
 * @first: how far behind @va the lowest byte is that is watched, when one matches
 *
 * That byte is what FAR_ELx reports. The architecture allows more: any address from the lowest one
 * accessed to the highest one watched, in the same aligned block of at most DC ZVA's size as a
 * watched one (Arm ARM D2.10.5). Debuggers look for the watchpoint that holds the address.
 */
bool debug_watchpoint(const struct cpu *cpu, uint64_t va, uint64_t len, unsigned int el, bool write,
		      uint64_t *first);

#endif
