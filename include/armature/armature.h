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

#ifdef __cplusplus
}
#endif
#endif
