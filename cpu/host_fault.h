/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV and SIGBUS at accesses to guest memory (cpu/host_mem.h): the handler, and how it lives
 * with the caller's own.
 */
#ifndef CPU_HOST_FAULT_H
#define CPU_HOST_FAULT_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

/**
 * host_fault_arm() - See to it that ours is the first handler of SIGSEGV and SIGBUS.
 *
 * Called before every entry to the guest, because the caller may have installed a handler of its
 * own since the last one: that becomes the one which ours hands on to. Any thread.
 */
void host_fault_arm(void);

/* True: the thread goes on as @uc says now. It runs in a signal handler, and takes no lock. */
typedef bool host_fault_fix(ucontext_t *uc);

/**
 * host_fault_ask() - Whom to ask about a fault at an instruction that is not in the table.
 * @fix: asked about each SIGSEGV and SIGBUS that an instruction raised, also of other code than
 *       ours: it looks at the PC first. NULL: nobody
 *
 * For a back end that makes code; there is one such function in a process. Any thread, any number
 * of times.
 */
void host_fault_ask(host_fault_fix *fix);

/**
 * host_fault_sigaction() - sigaction(2) of SIGSEGV and SIGBUS, for a caller that tells of it.
 *
 * Ours stays the first handler, before what the caller has told: *@old, too, is what it told. All
 * signals are blocked meanwhile. Return: 0, or -1 with errno set. Any thread.
 */
int host_fault_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

#endif
