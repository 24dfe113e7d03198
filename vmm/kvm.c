/* SPDX-License-Identifier: MIT */
/* The choice of the KVM. */
#include "vmm/kvm.h"
#include "vmm/report.h"

#include <armature/armature.h>
#include <armature/kvm_arm64.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifdef __aarch64__
#define HOST_IS_ARM64 true
#else
#define HOST_IS_ARM64 false
#endif

static int linux_open(const char *path)
{
	return open(path, O_RDWR | O_CLOEXEC);
}

static int linux_ioctl(int fd, unsigned long request, unsigned long arg)
{
	return ioctl(fd, request, arg);
}

/* The system calls. */
static const struct vmm_kvm linux_kvm = {linux_open, linux_ioctl, close, .loses_pins = true};

/* Descriptors of the KVM are closed by its close() alone, so there is nothing else to tell. */
static int soft_open(const char *path)
{
	armature_promise(ARMATURE_TELLS_SIGNALS | ARMATURE_TELLS_DESCRIPTORS);
	return armature_open();
}

/* libarmature's. */
static const struct vmm_kvm soft_kvm = {soft_open, armature_ioctl, armature_close,
					.engine = armature_engine};

int vmm_kvm_ioctl(const struct vmm_kvm *kvm, int fd, unsigned long request, unsigned long arg)
{
	const int ret = kvm->ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int vmm_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return armature_sigaction(sig, act, old);
}

static enum vmm_kvm_verdict open_verdict(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case ENXIO: /* the node is there, the driver is not */
	case ENODEV:
		return VMM_KVM_MISSING;
	case EACCES:
	case EPERM:
		return VMM_KVM_NO_RIGHTS;
	default:
		return VMM_KVM_CANNOT_OPEN;
	}
}

enum vmm_kvm_verdict vmm_kvm_probe(const struct vmm_kvm *kvm, const char *path, int *fd,
				   int *version)
{
	enum vmm_kvm_verdict verdict = VMM_KVM_FITS;
	const int system = kvm->open(path);

	if (system < 0)
		return open_verdict(errno);
	*version = vmm_kvm_ioctl(kvm, system, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ);
	if (vmm_kvm_ioctl(kvm, system, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		verdict = VMM_KVM_NOT_KVM;
	else if (vmm_kvm_ioctl(kvm, system, KVM_CHECK_EXTENSION, KVM_CAP_ARM_PSCI_0_2) < 1)
		verdict = VMM_KVM_OTHER_ARCH;
	else if (*version < 1)
		verdict = VMM_KVM_NO_USER_IRQ;
	if (verdict == VMM_KVM_FITS)
		*fd = system;
	else
		kvm->close(system);
	return verdict;
}

/* What stands after the path, in the reason of "auto" and in the refusal of a path. */
static const char *const verdict_text[] = {
	[VMM_KVM_MISSING] = "is not there",
	[VMM_KVM_NO_RIGHTS] = "may not be opened by this user (group kvm?)",
	[VMM_KVM_NOT_KVM] = "is no KVM",
	[VMM_KVM_OTHER_ARCH] = "is a KVM of another architecture than arm64",
	[VMM_KVM_NO_USER_IRQ] = "has no KVM_CAP_ARM_USER_IRQ, which a GIC in user space needs",
};

static const char *why_not(enum vmm_kvm_verdict verdict)
{
	static _Thread_local char text[128];

	if (verdict != VMM_KVM_CANNOT_OPEN)
		return verdict_text[verdict];
	snprintf(text, sizeof(text), "cannot be opened: %s", strerror(errno));
	return text;
}

static const struct vmm_kvm *choose_soft(int *fd)
{
	*fd = soft_kvm.open(NULL);
	if (*fd >= 0)
		return &soft_kvm;
	vmm_report("--kvm soft: %s", strerror(errno));
	return NULL;
}

static const struct vmm_kvm *choose_auto(int *fd)
{
	enum vmm_kvm_verdict verdict;
	struct utsname host;
	int version;

	if (!HOST_IS_ARM64) {
		if (uname(&host))
			strcpy(host.machine, "not arm64");
		vmm_report("KVM: soft (this host is %s, so it has no KVM for arm64 guests)",
			   host.machine);
		return choose_soft(fd);
	}
	verdict = vmm_kvm_probe(&linux_kvm, VMM_KVM_DEVICE, fd, &version);
	if (verdict != VMM_KVM_FITS) {
		vmm_report("KVM: soft (%s %s)", VMM_KVM_DEVICE, why_not(verdict));
		return choose_soft(fd);
	}
	vmm_report("KVM: %s (an arm64 KVM with KVM_CAP_ARM_USER_IRQ, version %d)", VMM_KVM_DEVICE,
		   version);
	return &linux_kvm;
}

const struct vmm_kvm *vmm_kvm_choose(const char *name, int *fd)
{
	enum vmm_kvm_verdict verdict;
	int version;

	if (!strcmp(name, "auto"))
		return choose_auto(fd);
	if (!strcmp(name, "soft")) {
		vmm_report("KVM: soft (as asked)");
		return choose_soft(fd);
	}
	verdict = vmm_kvm_probe(&linux_kvm, name, fd, &version);
	if (verdict == VMM_KVM_FITS) {
		vmm_report("KVM: %s (as asked; KVM_CAP_ARM_USER_IRQ version %d)", name, version);
		return &linux_kvm;
	}
	vmm_report("--kvm %s: it %s; --kvm soft works everywhere", name, why_not(verdict));
	return NULL;
}
