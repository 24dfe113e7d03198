/* SPDX-License-Identifier: MIT */
/*
 * Which KVM: three system calls, or the three functions that stand for them.
 *
 * Nothing else differs between Linux's KVM and ours, but one fault of Linux's. What the VMM cannot
 * say with these three and mmap() does not exist.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct vmm_kvm {
	/* As the system calls: -1 and errno when they fail. @path may mean nothing. */
	int (*open)(const char *path);
	int (*ioctl)(int fd, unsigned long request, unsigned long arg);
	int (*close)(int fd);
	/* A pin that another thread drives may be lost: see "Pins and other threads", vcpu.h. */
	bool loses_pins;
	/* What runs the guest's code, of a VM; NULL: the processor. */
	const char *(*engine)(int vm_fd);
};

#define VMM_KVM_DEVICE "/dev/kvm"

/**
 * vmm_kvm_ioctl() - An ioctl with an error that can be returned.
 * Return: what the ioctl gives, or -errno.
 */
int vmm_kvm_ioctl(const struct vmm_kvm *kvm, int fd, unsigned long request, unsigned long arg);

static inline int vmm_kvm_ioctl_ptr(const struct vmm_kvm *kvm, int fd, unsigned long request,
				    const void *arg)
{
	return vmm_kvm_ioctl(kvm, fd, request, (unsigned long)(uintptr_t)arg);
}

/**
 * vmm_sigaction() - sigaction(2), which our KVM is told of.
 *
 * It was promised to it that there is no other call for that. For Linux's it is the system call.
 */
int vmm_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

/* Whether a KVM can run our guests, and if not, why. */
enum vmm_kvm_verdict {
	VMM_KVM_FITS,
	VMM_KVM_MISSING, /* no such file */
	VMM_KVM_NO_RIGHTS,
	VMM_KVM_CANNOT_OPEN, /* another error, in errno */
	VMM_KVM_NOT_KVM,     /* a file of another kind */
	VMM_KVM_OTHER_ARCH,
	VMM_KVM_NO_USER_IRQ, /* without KVM_CAP_ARM_USER_IRQ */
};

/**
 * vmm_kvm_probe() - Opens a KVM and asks whether it is one for us.
 * @kvm:     how to speak to it
 * @path:    its path
 * @fd:      its system descriptor, when it fits
 * @version: of KVM_CAP_ARM_USER_IRQ, when it fits
 */
enum vmm_kvm_verdict vmm_kvm_probe(const struct vmm_kvm *kvm, const char *path, int *fd,
				   int *version);

/**
 * vmm_kvm_choose() - Opens the KVM that the user asked for, and says in one line which and why.
 * @name: "auto", "soft" or a path
 * @fd:   its system descriptor
 *
 * Return: how to speak to it, or NULL after one line that says what is missing.
 */
const struct vmm_kvm *vmm_kvm_choose(const char *name, int *fd);

#endif
