/* SPDX-License-Identifier: MIT */
/*
 * libarmature inside: the objects behind the descriptors, and who may touch what.
 *
 *     descriptor ──> struct object ──> struct vm ─┬─> struct vcpu (one for each CREATE_VCPU)
 *        fd.c                            vm.c     │      vcpu.c, run.c
 *                                                 └─> struct device (one for each CREATE_DEVICE)
 *                                                        device.c
 *
 * Terms: a request is what ioctl(2) calls its second argument; a handler serves one request of one
 * kind of descriptor; "the field" is run->s.regs.device_irq_level, which the VMM reads.
 *
 * Locks, outermost first. Whoever needs two takes them in this order:
 *
 *     vcpu->lock            one KVM request at a time on a vCPU (held for a whole KVM_RUN)
 *       vm->slots_lock      memslots and the dirty log
 *         vm->lock          vCPU list, devices, the sink, PSCI power states, firmware registers
 *           machine.lock    stop protocol (vm.c); conditions machine.passed, vm->resumed
 *           irqfds.lock     irqfds, GSI routing (irqfd.c)
 *           ioeventfds.lock their list (ioeventfd.c)
 *             bus.lock      what is on the bus (bus.c)
 *             fd table      fd.c, a leaf
 *
 * What must hold:
 *  - The state of a vCPU (struct cpu, its TLB banks too) is touched only by the thread that holds
 *    vcpu->lock: another one may hold it while the machine is stopped, for the vCPU is outside the
 *    guest then, not idle. What others want of it they post (tlb_post(), cpu_request(), requests).
 *  - Errors are negative errno; armature_ioctl() alone turns them into -1 and errno.
 *  - vCPUs and devices live as long as their VM, a VM as long as any descriptor of it or of those.
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
#include "kvm/bus.h"
#include "kvm/eventfd.h"
#include "kvm/vgic.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KVM_PAGE_SIZE 4096u
#define NSEC          1000000000ull /* in a second */
#define SIGSET_SIZE   8u            /* bytes of the kernel's signal set */
#define NEVER         UINT64_MAX    /* a deadline that does not come */

/* ---- fd.c: descriptors ---- */

enum object_kind { OBJECT_SYSTEM, OBJECT_VM, OBJECT_VCPU, OBJECT_DEVICE };

/* What a descriptor stands for. Embedded in the thing itself. */
struct object {
	enum object_kind kind;
	void (*release)(struct object *o); /* when nobody has a reference any more */
	void *page;                        /* the library's own mapping of the descriptor's page */

	/* Private to fd.c. */
	struct handle *handle; /* counts the references */
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

/* ---- numbers.c: what each number of a descriptor stands for, where the process tells ---- */

#define NUMBER_OTHER ((uintptr_t)2) /* an open file, but none of the library's */

/** numbers_promise() - ARMATURE_TELLS_DESCRIPTORS holds from now on. */
void numbers_promise(void);
bool numbers_told(void);

/** numbers_of_this_process() - Who calls is the process whose numbers these are, from now on. */
void numbers_of_this_process(void);

/** number_entry() - The entry of @fd: a handle, NUMBER_OTHER, or 0 or odd when it is not known. */
uintptr_t number_entry(int fd);

/**
 * number_ask() - The kernel is going to be asked what @fd is.
 *
 * Return: what number_answer() wants, or 0: the answer cannot be kept.
 */
uintptr_t number_ask(int fd);

/** number_answer() - It is @entry: kept, unless @fd may have changed since number_ask(). */
void number_answer(int fd, uintptr_t ticket, uintptr_t entry);

/** numbers_forget() - Nothing is known of the numbers @first to @last. */
void numbers_forget(unsigned int first, unsigned int last);

/** numbers_begin() / numbers_end() - armature_fds_begin(), armature_fds_end(). */
void numbers_begin(unsigned int first, unsigned int last);
void numbers_end(unsigned int first, unsigned int last);

/** number_close() - close(2) of a descriptor of the library's own: told as a caller's are. */
int number_close(int fd);

/* ---- uaccess.c: pointers that a VMM gave ---- */

/** copy_in() / copy_out() - Copy from and to the VMM's memory: 0, or -EFAULT if it is not there. */
int copy_in(void *to, uint64_t user, size_t n);
int copy_out(uint64_t user, const void *from, size_t n);

/* ---- dispatch (system.c) ---- */

#define REQ_IN   (1 << 0) /* the argument points to a structure that is read … */
#define REQ_OUT  (1 << 1) /* … or written */
#define REQ_INIT (1 << 2) /* -ENOEXEC before KVM_ARM_VCPU_INIT (vCPU only) */

#define REQ_ARG_MAX 160 /* largest structure that the tables move */

/* One row for each request of a kind of descriptor. */
struct request {
	unsigned int nr;
	unsigned int flags;
	/* @arg: the moved structure, when the flags say so; @raw: the argument itself. */
	long (*handle)(void *owner, void *arg, unsigned long raw);
};

/** request_find() - The row of @nr, or NULL. */
const struct request *request_find(const struct request *table, size_t rows, unsigned int nr);

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

/* ---- lines.c: the output lines of in-kernel devices, and the one sink that they feed ---- */

struct vcpu;
struct vm;
struct device_type;
struct device;

/* An output of a device that each vCPU has. */
struct device_line {
	uint64_t bit; /* of the field, where user_irq.c publishes it */
	/* A level device: its level now. NULL for an edge device, see device_line_edge(). */
	bool (*level)(struct vcpu *vcpu);
};

#define MAX_DEVICE_LINES 8

/* The lines that every vCPU has, by their place in vm->lines. */
enum { LINE_VTIMER, LINE_PTIMER, LINE_PMU };

/**
 * struct irq_sink - Where the lines of a VM's devices go: one for each kind of irqchip.
 * @level:      the level of @line of @vcpu is another than was last told (at first: low). Whenever
 *              the lines are looked at, on @vcpu's thread; NULL for a sink that looks by itself
 * @edge:       edge device @line of @vcpu fires; any thread
 * @must_exit:  KVM_RUN must return before the guest is entered (again); NULL: never
 * @update_run: KVM_RUN returns; NULL: there is nothing to publish
 */
struct irq_sink {
	void (*level)(struct vcpu *vcpu, unsigned int line, bool level);
	void (*edge)(struct vcpu *vcpu, unsigned int line);
	bool (*must_exit)(struct vcpu *vcpu);
	void (*update_run)(struct vcpu *vcpu);
};

/** device_lines_init() - Give a new VM its devices' lines, and the sink of user_irq.c. */
void device_lines_init(struct vm *vm);

/**
 * vm_set_irqchip() - An interrupt controller was made inside the KVM.
 * @vm:   the VM, whose lock the caller holds
 * @sink: what takes its devices' lines from now on
 * @rows: the system registers that it brings along, or NULL
 *
 * Return: 0; -EEXIST if there is one already; -EBUSY after a vCPU has run; -EINVAL for rows that
 * machine_add_sysregs() refuses.
 */
int vm_set_irqchip(struct vm *vm, const struct irq_sink *sink, const struct sysreg_rows *rows);

/**
 * device_lines_must_exit() - Look at the lines of @vcpu, whose levels may have changed.
 * @vcpu: the vCPU, on its thread
 *
 * To be asked before each guest entry, before a sleep, and when a device's output may have changed.
 * Pins of the vCPU may change in it.
 *
 * Return: true if KVM_RUN must return before the guest is entered (again).
 */
bool device_lines_must_exit(struct vcpu *vcpu);

/** device_lines_update_run() - On every return of KVM_RUN. */
void device_lines_update_run(struct vcpu *vcpu);

/** device_line_edge() - Edge device @line of @vcpu fires. Any thread. */
void device_line_edge(struct vcpu *vcpu, unsigned int line);

/* ---- user_irq.c: the sink for an interrupt controller in user space ---- */

/** user_irq_should_notify() - Some line differs from what was last published. */
bool user_irq_should_notify(struct vcpu *vcpu);

/** user_irq_update_run() - Publish all lines; on every return to user space. */
void user_irq_update_run(struct vcpu *vcpu);

/** user_irq_edge() - Count an edge of @line of @vcpu, to be shown in one return. Any thread. */
void user_irq_edge(struct vcpu *vcpu, unsigned int line);

/* ---- clock.c: the thread that watches what the guest cannot ---- */

/*
 * How often a vCPU that stays in one KVM_RUN looks for signals. The first look is at the end of the
 * first whole period, so that a signal waits for less than two.
 */
#define CLOCK_SIGNAL_PERIOD_NS 500000ull

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

/*
 * What a vCPU's thread reads in a hypercall while another's may write: the version at any time, the
 * bitmaps until a vCPU has run.
 */
struct firmware {
	_Atomic uint64_t psci_version; /* 0: the newest */
	_Atomic uint64_t std_bmap, std_hyp_bmap, vendor_hyp_bmap;
};

struct vm {
	struct object object;
	_Atomic unsigned int refs; /* descriptors of the VM, of its vCPUs and devices */
	struct machine machine;

	pthread_mutex_t lock;
	struct vcpu *vcpus[KVM_MAX_VCPUS]; /* by creation index; written under lock */
	_Atomic unsigned int nr_vcpus;
	unsigned int nr_creating; /* with those whose creation is under way */
	_Atomic bool has_run;     /* some vCPU has been inside the guest; written under lock */
	struct firmware fw;
	_Atomic bool nisv_to_user; /* KVM_CAP_ARM_NISV_TO_USER is enabled */

	pthread_mutex_t slots_lock;
	struct memslot **slots; /* by slot number */

	_Atomic unsigned int stopping; /* vm_stop() in force; written under machine.lock */
	pthread_cond_t resumed;

	struct clock clock;
	struct device_line lines[MAX_DEVICE_LINES];
	unsigned int nr_lines;
	const struct device_type *const *device_types; /* what KVM_CREATE_DEVICE makes; NULL ends */
	struct device *devices;                        /* under lock */

	struct bus bus; /* what the KVM answers for outside memory */
	struct ioeventfds ioeventfds;
	struct irqfds irqfds;

	struct vgic *_Atomic vgic; /* the interrupt controller inside the KVM, or NULL */
	uint32_t timer_ppi[2];     /* of the virtual and the physical timer; under lock */
	_Atomic bool dead;         /* all requests are -EIO */

	const struct irq_sink *_Atomic sink; /* written under lock, before a vCPU has run */
};

long vm_create(unsigned long type);
long vm_request(struct vm *vm, unsigned int nr, unsigned long arg);
/* KVM_CHECK_EXTENSION on @vm or, with NULL, on the system descriptor. */
long vm_check_extension(const struct vm *vm, unsigned long cap);
void vm_put(struct vm *vm);

/**
 * vm_stop() / vm_resume() - No vCPU of @vm is inside the guest in between.
 *
 * Never from inside a guest entry (a machine_ops call).
 */
void vm_stop(struct vm *vm);
void vm_resume(struct vm *vm);

/**
 * vm_rebase_counter() - Let timer @id's counter of all vCPUs be @offset ticks behind the host's.
 *
 * Each vCPU looks at its timers again before it executes on: wherever it is, its level is as the
 * new counter says from the next guest entry on. The caller holds vm->lock.
 */
void vm_rebase_counter(struct vm *vm, enum timer_id id, uint64_t offset);

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
/** futex_wait_until() - While *@word is @value, until @when (ns of CLOCK_MONOTONIC; NEVER). */
void futex_wait_until(_Atomic uint32_t *word, uint32_t value, uint64_t when);
void futex_wake(_Atomic uint32_t *word);
/** thread_start() - A thread of the library's, which no signal of the VMM's is delivered to. */
int thread_start(pthread_t *thread, void *(*body)(void *arg), void *arg);
/** thread_be_prompt() - Of the calling thread: it runs for microseconds, but at its time. */
void thread_be_prompt(void);

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
	VCPU_STAT_MMIO_KERNEL,
	VCPU_STAT_SIGNAL, /* returns to user space because of one */
	VCPU_STAT_INSTRUCTIONS,
	NR_VCPU_STATS
};

struct stats_file;

/* Why a vCPU's thread must look at something before the next guest entry. */
#define VCPU_REQ_SIGNAL (1u << 0) /* ask the host for pending signals */
#define VCPU_REQ_RESET  (1u << 1) /* vcpu->reset */

/* Whether a vCPU sleeps, or is about to, and what wakes it: signals.c. */
enum sleep { AWAKE, SLEEP_FUTEX, SLEEP_POLL };

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
	bool abort_pending; /* an external abort, which takes the place of that MMIO's completion */
	uint64_t spsr_abt, spsr_und, spsr_irq, spsr_fiq; /* AArch32's; only ONE_REG sees them */
	unsigned int spins;                              /* WFE in a row */
	uint32_t pmu_irq; /* INTID that the PMU is wired to, or 0; under vm->lock */
	uint32_t line_intid[MAX_DEVICE_LINES]; /* where the vgic has each line */
	uint32_t ended_spi;   /* an SPI whose end the vgic's notifier is to hear of, or 0 */
	uint32_t told_levels; /* bit n: line n was high when the sink was last told (lines.c) */

	uint64_t stats[NR_VCPU_STATS];
	struct stats_file *stats_file; /* NULL: nobody has asked */
	int stats_fd;

	/* Signals: signals.c. */
	bool has_sigmask;
	_Atomic bool masked;   /* the KVM_RUN under way has blocked the thread's signals */
	uint64_t sigmask;      /* of KVM_SET_SIGNAL_MASK */
	uint64_t interrupting; /* the signals that interrupt the KVM_RUN under way */
	uint64_t watched;      /* the signals that signalfd shows */
	int signalfd, eventfd;

	struct vcpu_reset reset;

	/* What other threads write or poll. */
	_Atomic uint32_t mp_state; /* written under vm->lock */
	_Atomic uint32_t requests;
	_Atomic uint32_t in_guest;
	_Atomic uint32_t on_bus;   /* counts entries and departures: odd inside bus_access() */
	_Atomic uint32_t runs;     /* counts KVM_RUNs */
	_Atomic uint32_t sleeping; /* enum sleep */
	_Atomic uint64_t deadline; /* when the clock thread must kick */
	_Atomic uint32_t edges[MAX_DEVICE_LINES]; /* not yet shown: user_irq.c */
};

long vcpu_create(struct vm *vm, unsigned long id);
void vcpu_destroy(struct vcpu *vcpu);
long vcpu_request(struct vcpu *vcpu, unsigned int nr, unsigned long arg);

/** vcpu_kick() - Make @vcpu leave the guest or wake up, and look. Any thread. */
void vcpu_kick(struct vcpu *vcpu);
/** vcpu_wake() - End a sleep of @vcpu. Any thread. */
void vcpu_wake(struct vcpu *vcpu);
/** vcpu_interrupt() - A signal is put off: let KVM_RUN see it. In a handler, on @vcpu's thread. */
void vcpu_interrupt(struct vcpu *vcpu);
/** vcpu_set_pin() - Drive CPU_PIN_IRQ or CPU_PIN_FIQ. Any thread. */
void vcpu_set_pin(struct vcpu *vcpu, uint32_t pin, bool level);
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
long vcpu_run(struct vcpu *vcpu, unsigned long arg);
/** vcpu_wfi() - Sleep until a pin is high, a level differs from the field, or a signal waits. */
void vcpu_wfi(struct vcpu *vcpu);
extern const struct machine_ops vcpu_machine_ops;

/* signals.c */

#define SIGBIT(n) (1ull << ((n)-1))

#define HOST_FAULTS (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS))
/* Synchronous; and glibc's own (cancellation, setuid in all threads). */
#define KEPT_SIGNALS                                                                        \
	(HOST_FAULTS | SIGBIT(SIGFPE) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGSYS) | \
	 SIGBIT(SIGABRT) | SIGBIT(32) | SIGBIT(33))
#define ASYNCHRONOUS (~KEPT_SIGNALS)

/** signals_begin() - A request begins: for KVM_RUN (@run) and any other. */
void signals_begin(bool run);
/** signals_end() - It is over: the caller's handlers run. */
void signals_end(void);
/** signals_enter() / signals_leave() - @vcpu is in KVM_RUN in between; under vcpu->lock. */
void signals_enter(struct vcpu *vcpu);
void signals_leave(struct vcpu *vcpu);
/** signals_pending() - One that interrupts KVM_RUN waits; ignored ones are thrown away. */
bool signals_pending(struct vcpu *vcpu);
/** signals_lie_down() - Before the last look at what would end a sleep. */
void signals_lie_down(struct vcpu *vcpu);
/** signals_sleep() - Until an event, a signal or @deadline (ns of CLOCK_MONOTONIC). */
void signals_sleep(struct vcpu *vcpu, uint64_t deadline);

/* handlers.c: signals of a process that tells of its handlers */

/* Real-time signals that were put off, and are not with their handlers yet: handlers.c. */
struct late;

/* What a thread knows of its call into the library; for its signal handlers, too. */
struct calls {
	volatile uint32_t inside; /* calls under way: more than one in a handler of a fault */
	/* Signals are blocked until the call is over; they were as mask says. */
	volatile sig_atomic_t put_off;
	uint64_t mask;
	struct vcpu *volatile running; /* interrupted by a signal that is put off */
	bool prepared;                 /* calls_prepare() */
	volatile uint32_t nr_late;
	struct late *volatile late; /* so many in it; NULL: the host had no memory */
};

/* In the static block of each thread: a handler may not allocate. */
extern __thread struct calls calls __attribute__((tls_model("initial-exec")));

void handlers_promise(void);
bool handlers_told(void);
/** handlers_sigaction() - armature_sigaction(). */
int handlers_sigaction(int sig, const struct sigaction *act, struct sigaction *old);
/** calls_block() - Block the thread's signals, until the call is over. Return: none was yet. */
void calls_block(void);
/** calls_deliver() - The mask is as it was: handlers run, and may not come back. */
void calls_deliver(void);
/**
 * calls_prepare() - What a thread needs once, before its first call is under way.
 *
 * SIGSEGV and SIGBUS are unblocked: a fault in guest memory that met a blocked signal would end the
 * process.
 */
void calls_prepare(void);
/** calls_forget_late() - Drop signals that the handlers of calls that never came back left. */
void calls_forget_late(void);

/* Between these two no handler of the caller's runs on the thread, if the process tells of them. */
static inline void calls_begin(void)
{
	calls.inside++;
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void calls_end(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	calls.inside--;
	if (calls.put_off && !calls.inside)
		calls_deliver();
}

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

/* ---- attr.c: attributes of devices and of vCPUs ---- */

/**
 * struct attr - One attribute, or several in a row.
 * @group: KVM_DEV_*_GRP_* or KVM_ARM_VCPU_*_CTRL
 * @first: ATTR(a) for one attribute, ATTRS(a, b) for a range, both ends included, ATTR_ANY for all
 * @last:  not below @first, except in ATTR_END
 * @set:   KVM_SET_DEVICE_ATTR: 0 or -errno; @owner is the device, or the vCPU
 * @get:   KVM_GET_DEVICE_ATTR: likewise; it writes to @a->addr in the VMM's memory itself
 * @has:   KVM_HAS_DEVICE_ATTR: 0 or -ENXIO; attr_is_there() for what always is
 *
 * In a table the first row that covers an attribute counts, and ATTR_END is last. What is NULL, and
 * what no row covers, is -ENXIO.
 */
struct attr {
	uint32_t group;
	uint64_t first, last;
	long (*set)(void *owner, const struct kvm_device_attr *a);
	long (*get)(void *owner, const struct kvm_device_attr *a);
	long (*has)(void *owner, const struct kvm_device_attr *a);
};

#define ATTR(a)     (a), (a)
#define ATTRS(a, b) (a), (b)
#define ATTR_ANY    0, UINT64_MAX
#define ATTR_END                          \
	{                                 \
		0, 1, 0, NULL, NULL, NULL \
	}

/** attrs_set() / attrs_get() / attrs_has() - Serve KVM_*_DEVICE_ATTR from a table: 0 or -errno. */
long attrs_set(const struct attr *table, void *owner, const struct kvm_device_attr *a);
long attrs_get(const struct attr *table, void *owner, const struct kvm_device_attr *a);
long attrs_has(const struct attr *table, void *owner, const struct kvm_device_attr *a);

long attr_is_there(void *owner, const struct kvm_device_attr *a);

/* The PPIs of the timers, until they are told otherwise. */
#define DEFAULT_VTIMER_PPI 27
#define DEFAULT_PTIMER_PPI 30

extern const struct attr vcpu_attrs[];

/* ---- device.c: devices inside the KVM ---- */

struct device;

/**
 * struct device_type - A kind of device that KVM_CREATE_DEVICE makes.
 * @nr:      KVM_DEV_TYPE_*
 * @name:    of the memfd behind its descriptor
 * @create:  a device is made: 0 or -errno; under vm->lock; may be NULL
 * @destroy: it ends, with its VM or because its creation failed later; may be NULL
 * @attrs:   its attributes; their functions get the struct device
 */
struct device_type {
	uint32_t nr;
	const char *name;
	long (*create)(struct device *dev);
	void (*destroy)(struct device *dev);
	const struct attr *attrs;
};

struct device {
	struct object object;
	struct vm *vm;
	const struct device_type *type;
	void *state;         /* the type's */
	struct device *next; /* of the VM's */
};

void devices_init(struct vm *vm);
void devices_destroy(struct vm *vm);

/**
 * device_create() - KVM_CREATE_DEVICE.
 * @vm: the VM
 * @cd: the type and flags in, a descriptor out; with KVM_CREATE_DEVICE_TEST nothing is made
 *
 * Return: 0; -ENODEV for a type that is not there; what the type's create() returns; -ENOMEM,
 * -EMFILE. Source: api.rst 4.79.
 */
long device_create(struct vm *vm, struct kvm_create_device *cd);

/** device_request() - A request on a device's descriptor; -ENOTTY for what it does not know. */
long device_request(struct device *dev, unsigned int nr, unsigned long arg);

#endif
