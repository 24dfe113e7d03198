/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine: memory, bus, devices, vCPUs, and who decides that it goes on.
 *
 *	             request(reset)           all parked, devices quiet: reset, and on
 *	running ------------------------> pausing ----------------------------------> running
 *	                                     |
 *	                                     +---- any other request --> stopped
 *
 * Any thread may request; what is asked for is done by the thread in vmm_vm_serve(). vCPU threads
 * look at the state before each entry, and wait while it is not running; so while it is paused no
 * vCPU runs and none has an MMIO access under way.
 *
 * The thread in vmm_vm_serve() waits neither for vCPUs nor for devices: who is the last to be ready
 * wakes the loop. A host that does not finish what a disk asks of it thus keeps nobody from ending
 * the VM.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/irqchip.h"
#include "vmm/kvm.h"
#include "vmm/loader.h"
#include "vmm/loop.h"
#include "vmm/memory.h"
#include "vmm/trace.h"
#include "vmm/unmapped.h"
#include "vmm/vcpu.h"
#include "vmm/vmm.h"

#include <pthread.h>

/* What may be asked for; the greatest wins. */
enum vmm_request {
	VMM_REQUEST_NONE,
	VMM_REQUEST_RESET,
	VMM_REQUEST_POWEROFF,
	VMM_REQUEST_QUIT,  /* by the user */
	VMM_REQUEST_ERROR, /* after a message */
};

enum vmm_state { VMM_RUNNING, VMM_PAUSING, VMM_STOPPED };

struct vmm_vm {
	const struct vmm_kvm *kvm;
	int system_fd; /* the caller's */
	int fd;
	struct vmm_memory *memory; /* the caller's */
	struct vmm_bus bus;
	struct vmm_device *devices; /* in the order of the device tree */
	bool vgic;                  /* the GIC is to be the KVM's: set before vmm_vm_create() */
	struct vmm_irqchip irqchip;
	struct vmm_loop *loop;
	struct vmm_trace *trace;
	struct vmm_vcpu vcpus[VMM_MAX_CPUS];
	unsigned int nr_vcpus;
	bool has_pmu;
	uint64_t entry, dtb; /* where vCPU 0 starts, and its x0 */
	uint64_t boots;
	struct vmm_unmapped unmapped;

	/* Puts kernel, initrd and device tree into memory again, for a reset. 0 or -errno. */
	int (*reload)(void *opaque);
	void *reload_opaque;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	enum vmm_state state; /* also read without the lock, atomically */
	enum vmm_request request;
	unsigned int parked, ended; /* vCPU threads */
};

/**
 * vmm_vm_create() - The VM, its memory slot, its irqchip and its vCPUs.
 * @vm:      zeroed
 * @memory:  guest RAM
 *
 * Return: 0, or -errno after a message. vmm_vm_destroy() is due in either case.
 */
int vmm_vm_create(struct vmm_vm *vm, const struct vmm_kvm *kvm, int system_fd,
		  struct vmm_memory *memory, unsigned int nr_vcpus, struct vmm_loop *loop,
		  struct vmm_trace *trace);
void vmm_vm_destroy(struct vmm_vm *vm);

/* Appends a device to the board; the VM destroys it. */
void vmm_vm_add_device(struct vmm_vm *vm, struct vmm_device *device);

/* Stops the VM, and destroys its devices with their threads. May be called again. */
void vmm_vm_remove_devices(struct vmm_vm *vm);

/**
 * vmm_vm_start() - Resets all vCPUs and starts their threads.
 * Return: 0, or -errno after a message; threads may then run, and vmm_vm_destroy() ends them.
 */
int vmm_vm_start(struct vmm_vm *vm);

/* Asks for the end or for a reset. Any thread, also a vCPU's. */
void vmm_vm_request(struct vmm_vm *vm, enum vmm_request request);

/**
 * vmm_vm_serve() - Does what was requested, if anything was.
 * Return: the request that ended the VM, or VMM_REQUEST_NONE while it goes on.
 */
enum vmm_request vmm_vm_serve(struct vmm_vm *vm);

/**
 * vmm_vm_stop() - Ends the vCPUs' threads and what the devices do on the host.
 *
 * Return: 0, or -ETIMEDOUT after a message when the host does not finish what a device asked of it:
 * threads then still use the VM, and it cannot be destroyed any more.
 */
int vmm_vm_stop(struct vmm_vm *vm);

/* The last that a vCPU's thread does. */
void vmm_vm_thread_ends(struct vmm_vm *vm);

/* For vCPU threads: waits while the VM is paused. Return: false when it has stopped. */
bool vmm_vm_may_run(struct vmm_vm *vm, struct vmm_vcpu *vcpu);

/**
 * vmm_vm_wait() - For vCPU threads: waits until something is so, or the VM no longer runs.
 * @ready: whether it is; quick, and takes no lock that is held around vmm_vm_wake()
 *
 * With no lock held. A reset and every end of the VM end the wait.
 */
void vmm_vm_wait(struct vmm_vm *vm, bool (*ready)(void *opaque), void *opaque);

/* What a vCPU waits for in vmm_vm_wait() may have come true. Any thread. @opaque is the VM. */
void vmm_vm_wake(void *opaque);

#endif
