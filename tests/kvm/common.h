/* SPDX-License-Identifier: MIT */
/* What the tests of libarmature share: cmocka, short calls, and a VM that every test gets fresh. */
#ifndef TESTS_KVM_COMMON_H
#define TESTS_KVM_COMMON_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <armature/armature.h>
#include <armature/kvm_arm64.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#define UNDER_TSAN __has_feature(thread_sanitizer)
#else
#define UNDER_TSAN 0
#endif

#define COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define RAM          0x40000000ull
#define RAM_BYTES    0x100000ull
#define PAGE         4096ull
#define MMIO         0x09000000ull
#define PSCI_FEATURE (1u << KVM_ARM_VCPU_PSCI_0_2)
#define PMU_FEATURE  (1u << KVM_ARM_VCPU_PMU_V3)
#define CORE_ID(name) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))
#define PC CORE_ID(regs.pc)

#define X(n) CORE_ID(regs.regs[n])

/* A translation regime of one table of level 1: 39 bits, 1 GiB an entry. */
#define BLOCK_DEVICE 0x401ull
#define BLOCK_NORMAL (0x401ull | 1 << 2 | 3 << 8)
#define TCR_TEST     (25 | 25ull << 16 | 2ull << 30 | 2ull << 32)

#define STR_X9_X10 0xf9000149u /* to MMIO, when X10 says so: the end of small programs */

struct machine_under_test {
	int sys, vm, vcpu;
	struct kvm_run *run;
	unsigned char *ram;
};

/* armature_ioctl() with -errno. */
int call(int fd, unsigned long request, unsigned long arg);
#define CALL_PTR(fd, request, ptr) call(fd, request, (unsigned long)(uintptr_t)(ptr))

/* cmocka set-up and tear-down: a VM with RAM and one vCPU that is initialised with *features. */
int set_up(void **state);
int set_up_pmu(void **state);
int set_up_bare(void **state); /* no KVM_ARM_VCPU_INIT */
int tear_down(void **state);

int set_region(int vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, uint64_t hva);
/* Another vCPU of @m, initialised; and its end. */
void create_vcpu(struct machine_under_test *m, unsigned int id, int *vcpu, struct kvm_run **run);
void close_vcpu(int vcpu, struct kvm_run *run);
int init_vcpu(int vcpu, uint32_t features);
int get_id(int vcpu, uint64_t id, void *value);
int set_id(int vcpu, uint64_t id, const void *value);
int set_u64(int vcpu, uint64_t id, uint64_t value);
uint64_t get_u64(int vcpu, uint64_t id);
/* The MMU on, with the table at @table. */
void mmu_on(int vcpu, uint64_t table, uint64_t tcr);
int run_vcpu(struct machine_under_test *m); /* 0 or -errno */
/* Descriptors of the process: VM and vCPU memfds and the library's own are among them. */
unsigned int open_fds(void);

#endif
