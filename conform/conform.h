/* SPDX-License-Identifier: MIT */
/*
 * armature conform: does a KVM do what the user-space interrupt ABI says?
 *
 * One test for each sentence (Linux, Documentation/virt/kvm/api.rst 8.5 and what docs/abi.md adds
 * to it). A test runs in a process of its own: it may hang or crash, and fails by leaving the
 * process. Its guest speaks to it through the registers of its vCPUs and by writing to an address
 * without memory, never through memory, so that it does not matter whether the guest's MMU and
 * caches are on.
 *
 * The KVM under test is reached by three calls; nothing else is known of it.
 */
#ifndef CONFORM_CONFORM_H
#define CONFORM_CONFORM_H

#include <stdbool.h>
#include <stdint.h>

#include <armature/kvm_arm64.h>
#include "conform/asm.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct kvm_door {
	const char *name;
	const char *path;
	bool soft; /* libarmature: known deviations of Linux are not excused */
	int (*open)(const char *path);
	int (*ioctl)(int fd, unsigned long request, unsigned long arg);
	int (*close)(int fd);
};

struct conform_test {
	const char *name;
	const char *sentence;
	void (*run)(unsigned int arg);
	unsigned int arg;
	unsigned int flags;
	const char *linux_todo; /* how Linux is known to deviate */
};

#define NEEDS_PMU     (1u << 0)
#define SOFT_ONLY     (1u << 1) /* demands more than the text does, of ours */
#define NO_IRQCHIP    (1u << 2) /* about a KVM that has no in-kernel irqchip to offer */
#define NEEDS_IRQCHIP (1u << 3)
#define LONG          (1u << 4) /* may take minutes */

struct conform_group {
	const struct conform_test *tests;
	unsigned int nr;
};

extern const struct conform_group group_api, group_level, group_run, group_pin, group_psci,
	group_memory, group_vgic;

/**
 * conform_main() - The command `armature conform`.
 *
 * Return: exit status: 0 if all that could run passed, 1 if not, 2 for bad arguments.
 */
int conform_main(int argc, char **argv);

/* ---- harness.c: inside a test ---- */

extern const struct kvm_door *door; /* of the test that runs in this process */

void fail_at(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define FAIL(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition)                                \
	do {                                            \
		if (!(condition))                       \
			FAIL("not so: %s", #condition); \
	} while (0)
#define CHECK_EQ(is, should)                                                                \
	do {                                                                                \
		long long is_ = (long long)(is), should_ = (long long)(should);             \
		if (is_ != should_)                                                         \
			FAIL("%s is %lld (0x%llx), should be %lld (0x%llx)", #is, is_, is_, \
			     should_, should_);                                             \
	} while (0)

/* ---- guest.c ---- */

/* The bits of device_irq_level that the text defines. */
#define ALL_BITS (KVM_ARM_DEV_EL1_VTIMER | KVM_ARM_DEV_EL1_PTIMER | KVM_ARM_DEV_PMU)

#define RAM_BASE     0x40000000ull
#define RAM_SIZE     0x200000ull
#define REPORT_ADDR  0x09000000ull /* no memory: a store there is KVM_EXIT_MMIO */
#define VECTORS      0x800         /* from RAM_BASE, and so in the program: where VBAR_EL1 points */
#define MAX_VCPUS    4
#define PMU_FEATURE  (1u << KVM_ARM_VCPU_PMU_V3)
#define PSCI_FEATURE (1u << KVM_ARM_VCPU_PSCI_0_2)
#define REPORT_BASE  20 /* the register that holds REPORT_ADDR in all programs */

#define PSTATE_EL1H_MASKED (PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT | PSR_MODE_EL1h)

struct guest {
	int sys, vm, nr;
	int vcpu[MAX_VCPUS];
	struct kvm_run *run[MAX_VCPUS];
	unsigned char *ram;
};

/* A vCPU's KVM_RUN, as it came back. */
struct outcome {
	int ret, err; /* err: errno, 0 when ret >= 0 */
	uint32_t reason;
	uint64_t level; /* device_irq_level */
};

int kvm(int fd, unsigned long request, unsigned long arg); /* with -errno */
bool has_cap(unsigned int cap);

/* A VM with RAM and @nr vCPUs that were initialised with PSCI and @features (bits). */
struct guest *guest_new(int nr, unsigned int features);
/* The same, without KVM_ARM_VCPU_INIT. */
struct guest *guest_bare(int nr);
/* … the vCPUs, in the order of their creation, having these ids. */
struct guest *guest_with_ids(const int *ids, int nr);
int vcpu_init(struct guest *g, int i, unsigned int features);
int vcpu_attr(struct guest *g, int i, unsigned long request, unsigned int group, uint64_t attr,
	      void *addr);
/* Put a program at @offset of RAM. */
void guest_load(struct guest *g, const struct prog *p, unsigned int offset);
/* Let vCPU @i begin at @offset of RAM, at EL1 with interrupts masked, X20 = REPORT_ADDR. */
void guest_start(struct guest *g, int i, unsigned int offset);

uint64_t get_reg(struct guest *g, int i, uint64_t id);
void set_reg(struct guest *g, int i, uint64_t id, uint64_t value);
int try_set_reg(struct guest *g, int i, uint64_t id, uint64_t value); /* 0 or -errno */
/* By ONE_REG: the virtual timer is on, and its deadline long past. */
void raise_vtimer(struct guest *g, int i);
int try_get_reg(struct guest *g, int i, uint64_t id, uint64_t *value);
#define CORE_REG(name) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))
#define SYS_REG(enc) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | (enc))
#define X_REG(n)     (CORE_REG(regs.regs) + 2 * (n))
#define PC_REG       CORE_REG(regs.pc)
#define PSTATE_REG   CORE_REG(regs.pstate)

void set_pin(struct guest *g, int i, unsigned int pin, int level);
int irq_line(struct guest *g, uint32_t irq, int level);

struct outcome run(struct guest *g, int i);
/* The same, interrupted by a signal every @ms; *late tells whether it lasted so long. */
struct outcome run_for(struct guest *g, int i, unsigned int ms, bool *late);
/*
 * Run until the guest reports a value (a store to REPORT_ADDR); level changes in between are let
 * pass.
 */
uint64_t run_to_report(struct guest *g, int i);
/* Is this the report of a value? */
bool is_report(struct guest *g, int i, const struct outcome *o, uint64_t *value);
/* Run until (field & mask) == want, at most a second; fails on a report. */
struct outcome run_to_level(struct guest *g, int i, uint64_t mask, uint64_t want);
/* Send the calling thread a signal after @us microseconds, once. */
void signal_me_in(unsigned int us);
/* … again and again. */
void signal_me_every(unsigned int us);
void signal_none(void);
uint64_t now_us(void);
uint64_t counter_frequency(void);

/* ---- devices.c: what has an output level ---- */

/*
 * Each function emits code; X21 to X23 are scratch. A device is set up once, then armed (its level
 * will rise in X24 counter ticks), raised or lowered at once.
 */
struct device {
	const char *name;
	uint64_t bit;
	unsigned int flags; /* NEEDS_PMU */
	bool counts_asleep; /* arm() also works across WFI, on every KVM */
	void (*setup)(struct prog *p);
	void (*arm)(struct prog *p);
	void (*raise)(struct prog *p);
	void (*lower)(struct prog *p);
};

enum { DEV_VTIMER, DEV_PTIMER, DEV_PMU_CYCLE, DEV_PMU_EVENT, NR_DEVICES };
extern const struct device devices[NR_DEVICES];
unsigned int device_features(const struct device *d);
#define ARM_TICKS 24 /* the register with the delay of arm() */

/* A program's common pieces. */
void p_report(struct prog *p, unsigned int reg); /* 8 bytes to REPORT_ADDR */
void p_report_imm(struct prog *p, uint64_t value);
void p_spin(struct prog *p);
void p_trap(struct prog *p); /* HVC that comes back; X0 to X3 are changed */
void p_power_off(struct prog *p);

/* Four rows, one for each device. */
#define DEVICE_ROWS(id, fn, text, more, todo)                                         \
	{id "/vtimer", text, fn, DEV_VTIMER, (more), todo},                           \
		{id "/ptimer", text, fn, DEV_PTIMER, (more), todo},                   \
		{id "/pmu-cycle", text, fn, DEV_PMU_CYCLE, (more) | NEEDS_PMU, todo}, \
	{                                                                             \
		id "/pmu-event", text, fn, DEV_PMU_EVENT, (more) | NEEDS_PMU, todo    \
	}

#endif
