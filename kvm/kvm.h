/* SPDX-License-Identifier: MIT */
/*
 * libarmature inside: the objects behind the descriptors, and who may touch what.
 *
 *     descriptor ──> struct object ──> struct vm ──> struct vcpu (one for each CREATE_VCPU)
 *        fd.c                            vm.c           vcpu.c, run.c
 *
 * Terms: a request is what ioctl(2) calls its second argument; a handler serves one request of one
 * kind of descriptor; "the field" is run->s.regs.device_irq_level, which the VMM reads.
 *
 * Locks, outermost first. Whoever needs two takes them in this order:
 *
 *     vcpu->lock            one KVM request at a time on a vCPU (held for a whole KVM_RUN)
 *       vm->slots_lock      memslots and the dirty log
 *         vm->lock          vCPU list, PSCI power states, firmware registers
 *           machine.lock    stop protocol (vm.c); conditions machine.passed, vm->resumed
 *             fd table      fd.c, a leaf
 *
 * What must hold:
 *  - The state of a vCPU (struct cpu, its TLB banks too) is touched only by the thread that holds
 *    vcpu->lock: another one may hold it while the machine is stopped, for the vCPU is outside the
 *    guest then, not idle. What others want of it they post (tlb_post(), cpu_request(), requests).
 *  - Errors are negative errno; armature_ioctl() alone turns them into -1 and errno.
 *  - A vCPU lives as long as its VM, a VM as long as any descriptor of it or of its vCPUs.
 */
#ifndef KVM_KVM_H
#define KVM_KVM_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <armature/kvm_arm64.h>
#include "cpu/cpu.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KVM_PAGE_SIZE 4096u
#define NEVER         UINT64_MAX /* a deadline that does not come */

/* ---- fd.c: descriptors ---- */

enum object_kind { OBJECT_SYSTEM, OBJECT_VM, OBJECT_VCPU };

/* What a descriptor stands for. Embedded in the thing itself. */
struct object {
	enum object_kind kind;
	_Atomic unsigned int refs; /* one for its descriptors, one for each request under way */
	void (*release)(struct object *o); /* when refs reach 0 */
	void *page;                        /* the library's own mapping of the descriptor's page */

	/* Private to fd.c. */
	struct object *next;
	int64_t cookie; /* file position of its descriptors */
	dev_t dev;
	ino_t ino;
	int probe;        /* a description of its own, to see whether the VMM's is gone */
	uint64_t process; /* that made it */
};

/**
 * object_publish() - Give an object a descriptor.
 * @o:    its kind and release are set; the rest is filled in
 * @name: of the memfd, seen in /proc/self/fd
 *
 * Return: the descriptor (close-on-exec), or -errno; then the object is the caller's still.
 */
int object_publish(struct object *o, const char *name);

/** object_get() - The object of @fd with a reference for the caller, or NULL. */
struct object *object_get(int fd);
void object_put(struct object *o);

/** object_foreign() - The object was made by a process that this one was forked from. */
bool object_foreign(const struct object *o);

/** object_reap() - Let go of objects whose last descriptor was closed. */
void object_reap(void);

/* ---- uaccess.c: pointers that a VMM gave ---- */

/** copy_in() / copy_out() - Copy from and to the VMM's memory: 0, or -EFAULT if it is not there. */
int copy_in(void *to, uint64_t user, size_t n);
int copy_out(uint64_t user, const void *from, size_t n);

/* ---- dispatch (system.c) ---- */

#define REQ_IN   (1 << 0) /* the argument points to a structure that is read … */
#define REQ_OUT  (1 << 1) /* … or written */
#define REQ_INIT (1 << 2) /* -ENOEXEC before KVM_ARM_VCPU_INIT (vCPU only) */

#define REQ_ARG_MAX 64 /* largest structure that the tables move */

/* One row for each request of a kind of descriptor. */
struct request {
	unsigned int nr;
	unsigned int flags;
	/* @arg: the moved structure, when the flags say so; @raw: the argument itself. */
	long (*handle)(void *owner, void *arg, unsigned long raw);
};

/** request_dispatch() - Find the row of @nr and serve it; -EINVAL when there is none. */
long request_dispatch(const struct request *table, size_t rows, unsigned int nr, void *owner,
		      unsigned long raw);

/* ---- memslot.c ---- */

#define KVM_NR_SLOTS       32767u             /* KVM_CAP_NR_MEMSLOTS */
#define KVM_MAX_SLOT_PAGES ((1ull << 31) - 1) /* as Linux: KVM_MEM_MAX_NR_PAGES */

struct memslot {
	struct mem_slot mem;
	uint32_t flags; /* KVM_MEM_* */
};

/* ---- user_irq.c: levels of in-kernel devices, for an interrupt controller in user space ---- */

struct vcpu;

/* A device output that is published in the field. */
struct device_line {
	uint64_t bit;
	/* A level device: its level now. NULL for an edge device, see user_irq_edge(). */
	bool (*level)(struct vcpu *vcpu);
};

#define MAX_DEVICE_LINES 8

/** user_irq_should_notify() - Some line differs from what was last published. */
bool user_irq_should_notify(struct vcpu *vcpu);

/** user_irq_update_run() - Publish all lines; on every return to user space. */
void user_irq_update_run(struct vcpu *vcpu);

/** user_irq_edge() - Edge device @line of @vcpu fires. Any thread. */
void user_irq_edge(struct vcpu *vcpu, unsigned int line);

/* ---- clock.c: the thread that watches what the guest cannot ---- */

#define CLOCK_SIGNAL_PERIOD_NS 500000ull /* how late a signal to a running vCPU may be noticed */

struct clock {
	pthread_t thread;
	_Atomic bool running;
	_Atomic bool stop;
	_Atomic uint32_t seq;   /* futex: counts requests to look again */
	_Atomic uint64_t armed; /* when the thread will look by itself */
};

/* ---- vm.c ---- */

#define KVM_MAX_VCPUS   CPU_MAX_VCPUS
#define KVM_IPA_LIMIT   48
#define KVM_IPA_MIN     32
#define KVM_IPA_DEFAULT 40

struct firmware {
	uint64_t psci_version;
	uint64_t std_bmap, std_hyp_bmap, vendor_hyp_bmap;
};

struct vm {
	struct object object;
	_Atomic unsigned int refs; /* descriptors of the VM and of its vCPUs */
	struct machine machine;

	pthread_mutex_t lock;
	struct vcpu *vcpus[KVM_MAX_VCPUS]; /* by creation index; written under lock */
	_Atomic unsigned int nr_vcpus;
	unsigned int nr_creating; /* with those whose creation is under way */
	_Atomic bool has_run;
	struct firmware fw;

	pthread_mutex_t slots_lock;
	struct memslot **slots; /* by slot number */

	_Atomic unsigned int stopping; /* vm_stop() in force; written under machine.lock */
	pthread_cond_t resumed;

	struct clock clock;
	struct device_line lines[MAX_DEVICE_LINES];
	unsigned int nr_lines;
};

long vm_create(unsigned long type);
long vm_request(struct vm *vm, unsigned int nr, unsigned long arg);
long vm_check_extension(struct vm *vm, unsigned long cap);
void vm_put(struct vm *vm);

/**
 * vm_stop() / vm_resume() - No vCPU of @vm is inside the guest in between.
 *
 * Never from inside a guest entry (a machine_ops call).
 */
void vm_stop(struct vm *vm);
void vm_resume(struct vm *vm);

/** vm_rebase_counter() - Let the virtual counter of all vCPUs be behind the physical one by
 * @offset. */
void vm_rebase_counter(struct vm *vm, struct vcpu *also, uint64_t offset);

/* memslot.c */
int memslot_set(struct vm *vm, const struct kvm_userspace_memory_region *r);
int memslot_get_dirty_log(struct vm *vm, const struct kvm_dirty_log *log);
int memslot_init(struct vm *vm);
void memslot_destroy(struct vm *vm);

/* clock.c */
int clock_start(struct vm *vm);
void clock_stop(struct vm *vm);
/** clock_watch() - @vcpu wants attention at its deadline, and for signals while in the guest. */
void clock_watch(struct vcpu *vcpu);
uint64_t clock_now(void);

/* ---- vcpu.c ---- */

/* Who a stopped vCPU is started by: PSCI CPU_ON leaves the entry point here. Under vm->lock. */
struct vcpu_reset {
	bool pending;
	bool be;
	uint64_t pc, x0;
};

/* Counters of a vCPU, stats.c. */
enum vcpu_stat {
	VCPU_STAT_EXITS, /* from the guest, for whatever reason */
	VCPU_STAT_HVC,
	VCPU_STAT_WFE,
	VCPU_STAT_WFI,
	VCPU_STAT_MMIO_USER,
	VCPU_STAT_SIGNAL, /* returns to user space because of one */
	VCPU_STAT_INSTRUCTIONS,
	NR_VCPU_STATS
};

struct stats_file;

/* Why a vCPU's thread must look at something before the next guest entry. */
#define VCPU_REQ_SIGNAL (1u << 0) /* ask the host for pending signals */
#define VCPU_REQ_RESET  (1u << 1) /* vcpu->reset */

struct vcpu {
	struct object object;
	struct vm *vm;
	struct cpu *cpu;
	struct kvm_run *run;
	unsigned int id;    /* as the VMM chose */
	unsigned int index; /* of creation */

	pthread_mutex_t lock;
	bool initialised;
	uint32_t features;  /* bits of kvm_vcpu_init.features[0] */
	bool has_run;       /* the checks of the first run are done */
	bool pmu_created;   /* KVM_ARM_VCPU_PMU_V3_INIT */
	bool mmio_pending;  /* cpu->exit.mmio waits for the VMM */
	bool abort_pending; /* an external abort, before anything else */
	uint64_t spsr_abt, spsr_und, spsr_irq, spsr_fiq; /* AArch32's; only ONE_REG sees them */
	unsigned int spins;                              /* WFE in a row */

	uint64_t stats[NR_VCPU_STATS];
	struct stats_file *stats_file; /* NULL: nobody has asked */
	int stats_fd;

	/* Signals: run.c. */
	bool has_sigmask;
	uint64_t sigmask;      /* of KVM_SET_SIGNAL_MASK */
	uint64_t interrupting; /* the signals that interrupt the KVM_RUN under way */
	uint64_t watched;      /* the signals that signalfd shows */
	int signalfd, eventfd;

	struct vcpu_reset reset;

	/* What other threads write or poll. */
	_Atomic uint32_t mp_state; /* written under vm->lock */
	_Atomic uint32_t requests;
	_Atomic uint32_t in_guest;
	_Atomic uint32_t runs; /* counts KVM_RUNs */
	_Atomic uint32_t sleeping;
	_Atomic uint64_t deadline; /* when the clock thread must kick */
	_Atomic uint32_t edges[MAX_DEVICE_LINES];
};

long vcpu_create(struct vm *vm, unsigned long id);
void vcpu_destroy(struct vcpu *vcpu);
/* @mask: the caller's signal mask, for KVM_RUN. */
long vcpu_request(struct vcpu *vcpu, unsigned int nr, unsigned long arg, uint64_t mask);

/** vcpu_kick() - Make @vcpu leave the guest or wake up, and look. Any thread. */
void vcpu_kick(struct vcpu *vcpu);
/** vcpu_wake() - End a sleep of @vcpu. Any thread. */
void vcpu_wake(struct vcpu *vcpu);
/** vcpu_set_pin() - Drive CPU_PIN_IRQ or CPU_PIN_FIQ. Any thread. */
void vcpu_set_pin(struct vcpu *vcpu, uint32_t pin, bool level);
void vcpu_reset_state(struct vcpu *vcpu);
/** vcpu_check_reset() - Serve a reset that PSCI CPU_ON asked for. */
void vcpu_check_reset(struct vcpu *vcpu);
void vcpu_power_off(struct vcpu *vcpu);

static inline bool vcpu_stopped(struct vcpu *vcpu)
{
	return atomic_load_explicit(&vcpu->mp_state, memory_order_acquire) == KVM_MP_STATE_STOPPED;
}

static inline bool vcpu_has_feature(const struct vcpu *vcpu, unsigned int bit)
{
	return vcpu->features & (1u << bit);
}

/* run.c */
long vcpu_run(struct vcpu *vcpu, unsigned long arg, uint64_t mask);
/** vcpu_wfi() - Sleep until a pin is high, a level differs from the field, or a signal waits. */
void vcpu_wfi(struct vcpu *vcpu);
/** vcpu_update_deadline() - Tell the clock thread when this vCPU's levels change next. */
void vcpu_update_deadline(struct vcpu *vcpu);
extern const struct machine_ops vcpu_machine_ops;

/* signals.c */
uint64_t signals_block(void);
void signals_restore(uint64_t mask);
/** signals_pending() - One that interrupts KVM_RUN waits; ignored ones are thrown away. */
bool signals_pending(struct vcpu *vcpu);
/** signals_sleep() - Until an event, a signal or @deadline (ns of CLOCK_MONOTONIC). */
void signals_sleep(struct vcpu *vcpu, uint64_t deadline);
/** signals_enter() - KVM_RUN begins; the caller's mask is @mask. */
void signals_enter(struct vcpu *vcpu, uint64_t mask);

/* stats.c */
/** vcpu_stats_open() / vm_stats_open() - KVM_GET_STATS_FD: a descriptor or -errno. */
long vcpu_stats_open(struct vcpu *vcpu);
long vm_stats_open(struct vm *vm);
/** vcpu_stats_update() - On every return of KVM_RUN. */
void vcpu_stats_update(struct vcpu *vcpu);
void vcpu_stats_destroy(struct vcpu *vcpu);

/* one_reg.c */
long one_reg_get(struct vcpu *vcpu, const struct kvm_one_reg *reg);
long one_reg_set(struct vcpu *vcpu, const struct kvm_one_reg *reg);
long one_reg_list(struct vcpu *vcpu, unsigned long user);

/* hypercall.c, psci.c: what HVC means. 1: go on in the guest, 0: leave to user space. */
int hypercall(struct vcpu *vcpu);
int psci_call(struct vcpu *vcpu, uint32_t fn);
void smccc_return(struct vcpu *vcpu, uint64_t x0, uint64_t x1, uint64_t x2, uint64_t x3);
void firmware_init(struct firmware *fw);
long firmware_get(struct vcpu *vcpu, uint64_t id, uint64_t *value);
long firmware_set(struct vcpu *vcpu, uint64_t id, uint64_t value);
extern const uint64_t firmware_regs[];
extern const size_t firmware_nr_regs;

#define KVM_PSCI_0_1 PSCI_VERSION(0, 1)
#define KVM_PSCI_0_2 PSCI_VERSION(0, 2)
#define KVM_PSCI_1_0 PSCI_VERSION(1, 0)
#define KVM_PSCI_1_1 PSCI_VERSION(1, 1)

/* attr.c: attributes of a vCPU */
long attr_set(struct vcpu *vcpu, const struct kvm_device_attr *a);
long attr_get(struct vcpu *vcpu, const struct kvm_device_attr *a);
long attr_has(struct vcpu *vcpu, const struct kvm_device_attr *a);

#endif
