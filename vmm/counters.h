/* SPDX-License-Identifier: MIT */
/*
 * Counters that a KVM keeps of a vCPU, by name. Source: Linux,
 * Documentation/virt/kvm/api.rst, 4.133 (KVM_GET_STATS_FD).
 *
 * Which there are is the KVM's affair: one without "instructions" does not count them.
 */
#ifndef VMM_COUNTERS_H
#define VMM_COUNTERS_H

#include "vmm/kvm.h"

#include <stdbool.h>

/* Return: a descriptor of the counters of a vCPU's descriptor, or -errno. */
int vmm_counters_open(const struct vmm_kvm *kvm, int vcpu_fd);

/**
 * vmm_counters_read() - Reads one counter.
 * @fd:   from vmm_counters_open(), or negative
 * @name: as the KVM calls it
 *
 * Return: whether there is one of that name; if not, *@value stays.
 */
bool vmm_counters_read(int fd, const char *name, uint64_t *value);

#endif
