/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV and SIGBUS at accesses to guest memory (cpu/host_mem.h): the handler, and how it lives
 * with the caller's own.
 */
#ifndef CPU_HOST_FAULT_H
#define CPU_HOST_FAULT_H

/**
 * host_fault_arm() - See to it that ours is the first handler of SIGSEGV and SIGBUS.
 *
 * Called before every entry to the guest, because the caller may have installed a handler of its
 * own since the last one: that becomes the one which ours hands on to. Any thread.
 */
void host_fault_arm(void);

#endif
