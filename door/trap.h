/* SPDX-License-Identifier: MIT */
/* System calls that the program makes itself, as Go's programs do. */
#ifndef DOOR_TRAP_H
#define DOOR_TRAP_H

#include <signal.h>
#include <stdbool.h>

/* A system call: its number, and its arguments as registers hold them. */
struct call {
	long nr;
	unsigned long arg[6];
	sigset_t *mask; /* the caller's, to be changed; NULL where the kernel holds it */
};

/**
 * call_serve() - Does what a system call of the table of calls.c does, through the door.
 *
 * Return: as the kernel does, -errno for a failure.
 */
long call_serve(const struct call *call);

/* Whether the door has to do with a system call. */
bool call_known(long nr);

/* Whether a call ends in the KVM, which takes more stack than a handler may have. */
bool call_is_deep(const struct call *call);

/* The numbers of the table, for the filter; fewer than 64. */
unsigned int call_numbers(long *numbers);

/* Whether the program, this process's first object, names a C library as needed. */
bool self_needs_libc(void);

/*
 * Whether the program makes its system calls itself, and asks for the KVM by them: it needs no C
 * library or is Go's, and "/dev/kvm" is written in it. Others are let alone, for the filter stays
 * in what they execute, which gains no rights any more: Go's own compilers, which are static and
 * linked to the address of the go command, would be ended by it.
 */
bool self_makes_calls(void);

/* Whether system calls are trapped in this process. */
bool trap_on(void);

/*
 * rt_sigaction(2) as the program makes it itself: where its threads are its own, its handlers find
 * their own thread pointer. Else it is sigaction().
 */
int trap_program_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

/* sigaction(2) as the library makes it: its handlers find the C library's thread pointer. */
int trap_library_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

/* sigaction() of SIGSYS in such a process: the program's handler is kept, and gets what is its. */
int trap_sigaction(const struct sigaction *act, struct sigaction *old);

#endif
