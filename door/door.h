/* SPDX-License-Identifier: MIT */
/*
 * The door: an unmodified program opens /dev/kvm and gets libarmature's KVM.
 *
 * libarmature-door.so is preloaded (LD_PRELOAD; armature exec does it). It holds a libarmature of
 * its own and defines the C library's functions that name files, make, copy or close descriptors,
 * make requests of them, and install signal handlers:
 *
 *	program ── open, stat, access ... ──> files.c        is the path /dev/kvm?
 *	        ── close, dup, ioctl ...  ──> descriptors.c  does the descriptor stand for a KVM?
 *	        ── sigaction, signal ...  ──> dispositions.c told to the library
 *	        ── a system call itself   ──> trap.c, calls.c by the same functions
 *	self.c tells which programs make system calls themselves; log.c writes what is asked of a
 *	KVM, ours or Linux's.
 *
 * Each does what the KVM needs and calls the next object's function of the same name: the C
 * library's, or that of whatever else is preloaded behind.
 *
 * What must hold: libarmature's own calls, and the door's, never come in by the door. The linker
 * turns each reference to a name that is defined here into one to __wrap_NAME (own.c), which is the
 * next object's.
 */
#ifndef DOOR_DOOR_H
#define DOOR_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "door/environment.h"

/*
 * DOOR(int, close, int fd) { ... } defines the C library's close() under the name door_close(), so
 * that no header's idea of it (an attribute, a macro, another name for large files) is in the way.
 */
#define DOOR(type, name, ...)                                                                \
	__attribute__((visibility("default"))) type door_##name(__VA_ARGS__) __asm__(#name); \
	type door_##name(__VA_ARGS__)

/* A function that another object has, behind the door. */
struct next {
	const char *name;
	void *function;
};

/* NEXT(close)(fd) is what close(fd) would be without the door. */
#define NEXT(name) NEXT_AS(name, __typeof__(&door_##name))
#define NEXT_AS(name, type)                                                          \
	({                                                                           \
		static struct next next_                                             \
			__attribute__((section("door_next"), used)) = {#name, NULL}; \
		(type) next_function(&next_);                                        \
	})

/* Looks it up at its first use, or when the door is loaded. One that is missing sets ENOSYS. */
void *next_function(struct next *next);

/**
 * is_kvm() - Whether a path names /dev/kvm.
 * @dirfd: what a relative path starts from, as for openat(2)
 * @path:  the path; may be NULL
 *
 * It does if its last component is "kvm" in the directory that is /dev, however it is spelled and
 * whether or not the host has a file of that name. errno stays as it is.
 */
bool is_kvm(int dirfd, const char *path);

/* open() of /dev/kvm: a descriptor of the KVM, or -1 with errno. */
int kvm_open(int flags);

/* What stat() shows of /dev/kvm: a character device 10:232 that everybody may use. */
void kvm_stat(struct stat *st);

/* The same as statx() shows it, and what access() says of it: 0, or -1 with errno. */
void kvm_statx(struct statx *stx);
int kvm_access(int mode);

/* Tells the library that a number stands for something new. Return: @fd. */
int fresh(int fd);

/* Whether fstat() of a descriptor must show that: it is a system descriptor of ours. */
bool is_kvm_descriptor(int fd);

/*
 * The descriptors that the library keeps for itself. They have high numbers, out of the program's
 * way, which it can neither close nor replace.
 */
bool is_own(int fd);
unsigned int next_own(unsigned int from); /* the lowest from there on, or ~0u */

/*
 * Makes a descriptor that the library opened for the program the program's, with a number as open()
 * gives. Return: that number, or -1 with errno.
 */
int give_own(int fd);

/* ioctl(): to our KVM if the descriptor is one of its, to the next object otherwise; logged. */
int kvm_ioctl(int fd, unsigned long request, unsigned long arg);

/* close() and close_range(), told to the library. */
int kvm_close(int fd);
int kvm_close_range(unsigned int first, unsigned int last, int flags);

/* sigaction(), told to the library. */
int kvm_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

#endif
