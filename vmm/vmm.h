/* SPDX-License-Identifier: MIT */
/*
 * The VMM: boots an arm64 guest on a KVM, with the interrupt controller in user space.
 *
 * This is all that the command line sees of it. The VMM says everything that it has to say to a KVM
 * through the KVM API (kvm.h), so the same code runs on Linux's and on libarmature's.
 */
#ifndef VMM_VMM_H
#define VMM_VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMM_MIN_CPUS  1
#define VMM_MAX_CPUS  8 /* GICv2 has eight CPU interfaces */
#define VMM_MIN_MEM   (16ull << 20)
#define VMM_MAX_MEM   (255ull << 30)
#define VMM_MAX_DISKS 32

/* Exit statuses of the process. */
enum vmm_status {
	VMM_OK = 0,
	VMM_FAILED = 1, /* something went wrong while the guest was there */
	VMM_USAGE = 2,  /* what was asked for cannot be had; nothing was started */
};

struct vmm_disk_config {
	const char *path;
	bool read_only;
};

struct vmm_config {
	const char *kernel; /* arm64 Image, raw or gzip; may be NULL with dump_dtb */
	bool flat;          /* the kernel is a bare binary without the Image header */
	const char *initrd; /* or NULL */
	const char *append; /* kernel command line, or NULL */
	uint64_t mem;       /* bytes, VMM_MIN_MEM to VMM_MAX_MEM, a multiple of 1 MiB */
	unsigned int cpus;  /* VMM_MIN_CPUS to VMM_MAX_CPUS */
	const struct vmm_disk_config *disks;
	unsigned int nr_disks;
	const char *kvm;      /* "auto", "soft" or a path */
	const char *dtb;      /* a device tree instead of ours, or NULL */
	const char *dump_dtb; /* where to write the guest's device tree, or NULL */
	const char *trace;    /* where to write the trace, or NULL */
	bool vgic;            /* the GIC is the KVM's */
	bool stats;           /* the long statistics at the end */
};

/**
 * vmm_run() - Boots a guest and stays until it is powered off.
 * @config: what to boot; its ranges have been checked
 *
 * Takes the terminal, the process's signals and standard input and output for the time.
 *
 * Return: an exit status for the process (enum vmm_status). When a signal asked for the end, the
 * process ends by that signal instead, after everything was put back.
 */
int vmm_run(const struct vmm_config *config);

#endif
