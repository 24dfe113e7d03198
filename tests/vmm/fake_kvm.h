/* SPDX-License-Identifier: MIT */
/*
 * A scripted KVM: struct vmm_kvm's three calls, played by the test.
 *
 * KVM_RUN of a vCPU plays the next row of that vCPU's script: the levels that it publishes, then
 * how it comes back. Everything else that the VMM asks for is recorded. A script that is at its end
 * sleeps until immediate_exit is set, as a vCPU in WFI does.
 */
#ifndef TESTS_VMM_FAKE_KVM_H
#define TESTS_VMM_FAKE_KVM_H

#include "vmm/kvm.h"

#include <armature/kvm_arm64.h>
#include <pthread.h>
#include <stdbool.h>

#define FAKE_CPUS 8
#define FAKE_ROWS 64
#define FAKE_LOG  256

/* How a KVM_RUN comes back. */
struct fake_row {
	uint64_t levels; /* device_irq_level at the return */
	int error;       /* errno of a failure, or 0 */
	uint32_t reason; /* exit_reason, when it does not fail */
	/*
	 * MMIO: address, bytes, and what is written (a write if is_write). Without a syndrome:
	 * address, and the ISS as data.
	 */
	uint64_t addr, data;
	uint32_t len;
	bool is_write;
	uint32_t event;    /* of a system event */
	bool after_others; /* only when the others' scripts are at their end */
	bool after_sleep;  /* only when the others sleep */
};

enum fake_what { FAKE_INIT, FAKE_SET_PC, FAKE_PIN, FAKE_RUN, FAKE_FINISH };

struct fake_entry {
	enum fake_what what;
	unsigned int cpu;
	uint64_t a, b; /* INIT: features; SET_PC: PC; PIN: irq/fiq, level; RUN: immediate_exit */
};

struct fake_kvm {
	pthread_mutex_t lock;
	struct fake_row rows[FAKE_CPUS][FAKE_ROWS];
	unsigned int nr_rows[FAKE_CPUS], next[FAKE_CPUS];
	struct fake_entry log[FAKE_LOG];
	unsigned int nr_log;
	int pins[FAKE_CPUS][2];
	unsigned int pin_changes[FAKE_CPUS][2];
	uint64_t read_data[FAKE_CPUS]; /* what the VMM gave to the last MMIO read */
	bool mmio_open[FAKE_CPUS];     /* an MMIO exit that was not completed */
	struct kvm_run *run[FAKE_CPUS];
	unsigned int nr_cpus;
	bool running[FAKE_CPUS];
	int init_while_running; /* KVM_ARM_VCPU_INIT of one that runs, or has an MMIO access open */
	bool lose_pins_of_others; /* KVM_IRQ_LINE for a vCPU that is in KVM_RUN has no effect */
	unsigned int lost_pins;
	/* How it answers a probe. */
	int nisv; /* KVM_CAP_ARM_NISV_TO_USER was enabled */
	int open_errno, api_version, user_irq, psci, ipa_bits, max_vcpus;
	int create_device_errno; /* how KVM_CREATE_DEVICE fails: it has no devices */
};

extern struct fake_kvm fake;
extern const struct vmm_kvm fake_kvm;

/* Everything as on a KVM that fits, nothing in the scripts. */
void fake_reset(void);

void fake_add(unsigned int cpu, struct fake_row row);

#endif
