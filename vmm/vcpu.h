/* SPDX-License-Identifier: MIT */
/*
 * A vCPU: its thread, and what is done after each return of KVM_RUN.
 *
 * The consumer's side of the ABI is in vmm_vcpu_step(): after every return, also a failed one, and
 * before the exit is handled, device_irq_level is sampled and its changes go to the GIC. (The exit
 * of the guest's write to GICC_EOIR may carry the fall of the level; handled first, the PPI would
 * be made pending once more.) After a failed KVM_RUN exit_reason is stale and is not looked at.
 *
 * Pins and other threads: Linux (6.1, arch/arm64/kvm) keeps a vCPU's pins in a word, HCR_EL2, that
 * KVM_IRQ_LINE changes atomically, but the loading of the vCPU in KVM_RUN does not: a change made
 * by another thread just then is lost, and a guest that waits for it waits for ever. So a change by
 * another thread (an SGI, an SPI) is told to the vCPU's own thread, which drives its pins again
 * before its next entry, and is kicked when the pin rose while it was in KVM_RUN. A pin that stays
 * high by the loss of a fall only makes the guest look, and then it is put right. Our KVM loses
 * none, and needs none of this.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include "vmm/stats.h"

#include <pthread.h>

struct kvm_run;
struct vmm_vm;

enum vmm_redrive { VMM_REDRIVE_NONE, VMM_REDRIVE_FALL, VMM_REDRIVE_RISE };

struct vmm_vcpu {
	struct vmm_vm *vm;
	unsigned int index; /* also the KVM's creation index */
	int fd;
	int counters_fd; /* the KVM's own counters, or negative */
	struct kvm_run *run;
	size_t run_size;
	uint64_t mpidr; /* affinity fields */
	pthread_t thread;
	bool has_thread;
	uint64_t levels;   /* as last sampled */
	bool mmio_pending; /* an MMIO exit was handled and the KVM has not been entered since */
	bool in_run;       /* atomic: within KVM_RUN, or about to be */
	int redrive;       /* atomic, enum vmm_redrive: what other threads did to the pins */
	struct vmm_vcpu_stats stats;
};

/**
 * vmm_vcpu_create() - KVM_CREATE_VCPU and its run structure.
 * Return: 0 or -errno.
 */
int vmm_vcpu_create(struct vmm_vcpu *vcpu, struct vmm_vm *vm, unsigned int index);
void vmm_vcpu_destroy(struct vmm_vcpu *vcpu);

/**
 * vmm_vcpu_reset() - KVM_ARM_VCPU_INIT, and the boot protocol's registers on vCPU 0.
 * @entry: where vCPU 0 starts (others wait for PSCI CPU_ON)
 * @dtb:   what it has in x0
 *
 * Only while the vCPU does not run. Lowers the vCPU's pins. Return: 0 or -errno.
 * Source: Linux, Documentation/arm64/booting.rst.
 */
int vmm_vcpu_reset(struct vmm_vcpu *vcpu, uint64_t entry, uint64_t dtb);

/**
 * vmm_vcpu_step() - Enters the guest once, and does everything that its return asks for.
 * Return: whether to go on; when not, the VM has been told why.
 */
bool vmm_vcpu_step(struct vmm_vcpu *vcpu);

/* Lets the KVM finish an MMIO access that was handled, without running the guest. */
void vmm_vcpu_complete_mmio(struct vmm_vcpu *vcpu);

/* A pin of the vCPU was driven, by whatever thread. */
void vmm_vcpu_pin_driven(struct vmm_vcpu *vcpu, bool level);

/* Starts the thread. Return: 0 or -errno. */
int vmm_vcpu_start(struct vmm_vcpu *vcpu);

/* Makes a vCPU's thread return from KVM_RUN, or not wait in the next one. Any thread. */
void vmm_vcpu_kick(struct vmm_vcpu *vcpu);

/* Installs the handler of the signal that kicks vCPUs; once a process. Return: 0 or -errno. */
int vmm_vcpu_prepare_kicks(void);

#endif
