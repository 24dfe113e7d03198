/* SPDX-License-Identifier: MIT */
/*
 * libarmature: the KVM/arm64 API in user space.
 *
 * The interface is the one of /dev/kvm: descriptors, ioctl requests, a mapped struct kvm_run. Every
 * descriptor is a real file descriptor, so mmap(), dup() and fcntl() work on it directly; only the
 * calls below stand for the three system calls that the kernel would have to serve.
 * Requests, structures and register encodings are in <armature/kvm_arm64.h>.
 *
 * Signals. A signal interrupts KVM_RUN with EINTR as on Linux, and a caller need do nothing for it:
 * it does not matter how the handler was installed (SA_RESTART or not) or what it does. During
 * KVM_RUN the library keeps the thread's asynchronous signals blocked, so a handler runs when
 * KVM_RUN is over, before armature_ioctl() returns; it may even jump away. A guest that sleeps is
 * interrupted at once. In one that runs the library looks for signals every half millisecond: while
 * the host has a CPU to spare, one is seen after a quarter of a millisecond on average and within a
 * whole one; where threads compete for CPUs, the host's scheduler adds what it makes them wait.
 * KVM_SET_SIGNAL_MASK and immediate_exit mean what they mean on Linux.
 *
 * Promises. All this costs system calls in each KVM_RUN, for the library knows neither when the
 * caller changes a disposition nor when it closes a descriptor. A process that tells it of both
 * (armature_promise()) has exits without any: the meaning stays the same, and a guest that runs is
 * interrupted at once, too.
 *
 * Memory. When a page of a memslot is not there, or not writable, in the caller's address space
 * (unmapped, protected, behind the end of a file), KVM_RUN gives EFAULT as on Linux; the guest's PC
 * is at the instruction, which is done again once the mapping is mended. For that the library has
 * handlers of SIGSEGV and SIGBUS. KVM_RUN installs them, and again whenever it finds others in
 * their place; these get every fault that is not one of the guest's accesses, and every such signal
 * that is sent, with siginfo and context, as if they were installed themselves, but on the
 * alternate signal stack if the thread has one. So sigaction(SIGSEGV, NULL, &old) shows a handler
 * of the library once a vCPU has run; to reinstall it, or to call it from a handler of one's own,
 * does what the handler that it stands for would do. A handler that the caller installs while a
 * vCPU runs on another thread comes first until the next KVM_RUN: it has to hand on what it does
 * not know to the one that was there. KVM_RUN unblocks the two signals while it lasts.
 *
 * Descriptors. What a descriptor stands for goes when its last duplicate, its last copy in a child
 * process and its last mapping are gone; armature_close() sees that at once, after a plain close(2)
 * it is seen by the next call that makes or closes a descriptor. The library needs /proc, and keeps
 * descriptors of its own (close-on-exec), which a caller must not close. In a child process, VMs
 * and vCPUs of the parent give EIO, as on Linux; a process that is not a child knows no descriptor
 * of another (ENOTTY).
 */
#ifndef ARMATURE_ARMATURE_H
#define ARMATURE_ARMATURE_H

#include <signal.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * armature_open_flags() - What open("/dev/kvm", flags) is to Linux's KVM.
 * @flags: O_RDWR of <fcntl.h>, and O_CLOEXEC or not
 *
 * Without O_CLOEXEC the descriptor stays open across execve(2), but the new program's libarmature
 * does not know it (ENOTTY), as it knows none of another process. The descriptors that
 * KVM_CREATE_VM and KVM_CREATE_VCPU make are close-on-exec always, as on Linux.
 *
 * Return: a system descriptor, or -1 with errno set: EINVAL for other flags or another access mode,
 * EMFILE, ENFILE, ENOMEM.
 *
 * Thread-safe.
 */
int armature_open_flags(int flags);

/** armature_open() - armature_open_flags(O_RDWR | O_CLOEXEC). */
int armature_open(void);

/**
 * armature_ioctl() - ioctl(2) on a system, VM or vCPU descriptor.
 * @fd:      a descriptor from armature_open() or from one of these requests, or a dup() of one
 * @request: a KVM_* request of <armature/kvm_arm64.h>
 * @arg:     its argument: a value, or a pointer cast to unsigned long
 *
 * Return: what the same request returns on Linux: 0 or a non-negative value, or -1 with errno set.
 * A descriptor that is not armature's gives ENOTTY.
 *
 * Thread-safe; a vCPU runs on one thread at a time, as on Linux.
 * Source: Documentation/virt/kvm/api.rst.
 */
int armature_ioctl(int fd, unsigned long request, unsigned long arg);

/**
 * armature_close() - close(2) on an armature descriptor.
 * @fd: the descriptor
 *
 * What the descriptor stands for goes when its last duplicate is closed and nothing else holds it
 * (a vCPU holds its VM). On any other descriptor this is close(2).
 *
 * Return: 0, or -1 with errno set. Thread-safe.
 */
int armature_close(int fd);

/* What a process promises to tell the library: armature_promise(). */
#define ARMATURE_TELLS_SIGNALS     (1u << 0)
#define ARMATURE_TELLS_DESCRIPTORS (1u << 1)

/**
 * armature_promise() - Promise, for the whole process and its life, to tell the library of changes.
 * @what: ARMATURE_TELLS_SIGNALS: from now on every disposition of a signal is changed by
 *        armature_sigaction(), and by no other call. Handlers that are installed already are taken
 *        over. ARMATURE_TELLS_DESCRIPTORS: from now on every close(2), dup2(2), close_range(2) and
 *        whatever else takes a number from its open file stands between armature_fds_begin() and
 *        armature_fds_end(); it need not for a file that no call of this header, but
 *        armature_close(), has been given while it was open. Both may be given.
 *
 * A child process inherits the promise. What a program that it executes does, is not part of it.
 *
 * Return: 0, or -1 with errno set: EINVAL for other bits. Thread-safe; best called before there are
 * other threads, for what they change meanwhile may go untold.
 */
int armature_promise(unsigned int what);

/**
 * armature_sigaction() - sigaction(2), told to the library.
 * @sig: the signal
 * @act: the new disposition, or NULL
 * @old: where the present one is left, or NULL: as it was told, whatever the library has made of it
 *
 * A handler runs as the kernel would have it run, with its flags, mask and siginfo, but never
 * inside a call into the library: one that is due then runs when that call is over, before it
 * returns. So it may make calls into the library itself, or jump away. Handlers of synchronous
 * signals (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS and SIGABRT) do not wait: they may not
 * jump out of such a call. In the child of vfork(2) the call changes the child's disposition alone.
 *
 * Return: 0, or -1 with errno set, as sigaction(2). Thread-safe and async-signal-safe. Without the
 * promise it is sigaction(2).
 */
int armature_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

/**
 * armature_fds_begin() - Descriptors are about to be closed or replaced.
 * @first: the first number
 * @last:  the last one, included; ~0u for all
 *
 * Until armature_fds_end() of the same range the numbers stand for what the kernel says at each
 * call. Calls may nest and overlap. armature_close() makes both calls itself.
 *
 * Thread-safe and async-signal-safe.
 */
void armature_fds_begin(unsigned int first, unsigned int last);

/** armature_fds_end() - They have been. Leaves errno as it is. */
void armature_fds_end(unsigned int first, unsigned int last);

/**
 * armature_knows() - Whether a descriptor stands for an object of the library now.
 * @fd: any number
 *
 * Under ARMATURE_TELLS_DESCRIPTORS this is a look into a table, but for the first time that a
 * number is asked for. It leaves errno as it is. Thread-safe.
 */
bool armature_knows(int fd);

/**
 * armature_engine() - What runs the guest code of a VM.
 * @fd: the VM's descriptor
 *
 * "x64": the code generator for x86-64, "portable": the executor in C that works everywhere; behind
 * it in brackets why no better one was taken. ARMATURE_ENGINE in the environment chooses for the
 * VMs that a process makes: auto (the default), x64, portable. Where that one cannot be used
 * KVM_CREATE_VM fails: with -EINVAL for a name that is none.
 *
 * Return: a string that stays as long as the VM; NULL: @fd is no VM's. Thread-safe.
 */
const char *armature_engine(int fd);

#ifdef __cplusplus
}
#endif
#endif
