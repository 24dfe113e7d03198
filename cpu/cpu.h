/* SPDX-License-Identifier: MIT */
/*
 * The state of one virtual CPU and of the machine that its vCPUs share.
 *
 * What must hold:
 *  - Between two instructions the architectural state is in struct cpu, whole and exact. The engine
 *    addresses it by byte offsets ("slots"); every slot lies below CPU_SLOT_LIMIT.
 *  - Only the thread that runs a vCPU writes its state. What other threads write (kick, pins,
 *    maintenance requests) lies on cache lines of its own, in struct cpu_remote, and is atomic.
 *  - An I32 value in an X slot is held zero-extended to 64 bits; a V slot is always written whole.
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/mem.h"
#include "cpu/pmu.h"
#include "cpu/sysreg.h"
#include "cpu/timer.h"
#include "cpu/tlb.h"

#define CPU_MAX_VCPUS  64
#define CPU_SLOT_LIMIT 65536

/* A 128-bit SIMD&FP register, seen as lanes; lane 0 is the least significant. */
union vreg {
	uint8_t b[16];
	uint16_t h[8];
	uint32_t s[4];
	uint64_t d[2];
	int8_t sb[16];
	int16_t sh[8];
	int32_t ss[4];
	int64_t sd[2];
	float f[4];
	double df[2];
} __attribute__((aligned(16)));

/* PSTATE outside NZCV. */
struct pstate {
	uint64_t daif; /* D A I F in bits 3:0; a slot of the IR */
	uint8_t el;    /* 0 or 1 */
	uint8_t spsel; /* 1: SP_ELx is in use */
	uint8_t pan;
	uint8_t uao;
	uint8_t ssbs;
	uint8_t il;
	uint8_t ss;
};

/* Why engine_run() came back. Details are in cpu->exit. */
enum cpu_exit_reason {
	CPU_EXIT_NONE = 0, /* not an exit: go on */
	CPU_EXIT_KICK,     /* cpu->remote.kick was set: look at the requests */
	CPU_EXIT_HVC,      /* HVC at EL1; PC is after it; cpu->exit.imm has its immediate */
	CPU_EXIT_SMC,      /* SMC at EL1; PC is AT it (Linux skips it); cpu->exit.imm */
	CPU_EXIT_WFI,      /* PC is after it */
	CPU_EXIT_WFE,      /* PC is after it; the event register was clear */
	CPU_EXIT_MMIO,     /* cpu->exit.mmio; PC is AT the instruction */
	/* A data access outside memory without valid syndrome: exit.mmio.pa; PC is AT it. */
	CPU_EXIT_NOSYNDROME,
	/*
	 * The engine cannot go on at PC; exit.imm is an errno: ENOMEM; EFAULT: guest memory is not
	 * there, or not writable, on the host; E2BIG: a bug of ours.
	 */
	CPU_EXIT_ERROR,
};

/*
 * An access that left memory, with what its completion needs (in the ISS of a Data Abort: SAS,
 * SSE, SRT and SF).
 */
struct cpu_mmio {
	uint64_t va, pa;
	uint64_t data; /* of a write */
	uint8_t size;  /* 1, 2, 4, 8 bytes */
	uint8_t reg;   /* Xt; 31 is the zero register */
	bool write, sign_extend, reg64;
	/*
	 * The guest's data is big-endian. @data of a write is already in the VMM's byte order;
	 * what a read returns is still to be reversed.
	 */
	bool be;
};

struct cpu_exit {
	uint32_t imm;
	struct cpu_mmio mmio;
};

/*
 * An abort or other synchronous exception that a slow path found; the engine makes PC exact, then
 * delivers it.
 */
struct cpu_fault {
	/* The whole syndrome (EC, IL, ISS) of an exception taken to EL1 from the present EL. */
	uint32_t esr;
	uint64_t far;
	bool far_valid;
};

/* Words that other threads write. */
struct cpu_remote {
	/*
	 * Not 0 asks the vCPU to leave generated code at the next kick point. Set with a release
	 * store by anyone; cleared by the vCPU only, before it looks at what was asked for.
	 */
	_Atomic uint32_t kick;
	/*
	 * For generated code, which compares one word at its kick points: it leaves when icount has
	 * reached this. 0 once a kick is set; the vCPU makes it icount_limit again when it has
	 * taken the kick (or finds that there is none: a 0 without a kick only costs a look).
	 */
	_Atomic uint64_t stop;
	_Atomic uint32_t pins;     /* CPU_PIN_IRQ, CPU_PIN_FIQ */
	_Atomic uint32_t event;    /* the event register (SEV, and the event stream) */
	_Atomic uint32_t requests; /* CPU_REQ_* */
} __attribute__((aligned(64)));

#define CPU_PIN_IRQ    (1u << 0)
#define CPU_PIN_FIQ    (1u << 1)
#define CPU_PIN_SERROR (1u << 2) /* a pending SError: an edge, taking it clears the bit */

/* In remote.requests. */
#define CPU_REQ_TLB  (1u << 0) /* serve the maintenance queue (cpu/tlb.h) */
#define CPU_REQ_EXIT (1u << 1) /* back to the KVM: signals, immediate_exit, a level, a stop */
#define CPU_REQ_SAFE (1u << 2) /* pass a safe point (code memory, memslots) */

struct machine;

struct cpu {
	/* Hot state. x[31] is the stack pointer in use; XZR has no slot. */
	uint64_t x[32];
	uint64_t pc;
	uint32_t nzcv;         /* N Z C V in bits 31:28, other bits 0 */
	uint32_t mode;         /* translation mode word, CPU_MODE_*; kept by cpu_update_mode() */
	struct tlb_bank *bank; /* bank of ordinary data accesses and of fetches */
	struct tlb_bank *bank_el0; /* bank of unprivileged accesses (LDTR/STTR) */
	uint64_t icount;           /* instructions retired */
	/* Kick points also leave (CPU_EXIT_KICK) once icount has reached this: pmu_horizon(). */
	uint64_t icount_limit;
	struct pstate ps;
	uint32_t fpcr;
	uint32_t fpsr; /* without the host's sticky flags (see fp_fast.h); read with cpu_fpsr() */
	/*
	 * The exclusive monitor: virtual address, size in bytes (0: open), and the value that was
	 * read.
	 */
	uint64_t excl_addr;
	uint64_t excl_size;
	uint64_t excl_val[2];
	uint64_t excl_host;  /* where that was on the host, and */
	uint64_t excl_count; /* how often it had been written by then (cpu/monitor.h) */

	union vreg v[32];

	uint64_t sp_el[2];  /* the stack pointers that are NOT in use; see cpu_set_spsel() */
	struct sysregs sys; /* plain system registers, cpu/sysreg.h */
	struct timers timers;
	struct pmu pmu;

	struct cpu_exit exit;
	struct cpu_fault fault;

	/* Nothing below is guest state, nor a slot of the IR. */
	struct machine *machine;
	unsigned int index;     /* creation index */
	_Atomic uint64_t mpidr; /* other vCPUs' PSCI calls look for it */
	uint32_t features;      /* CPU_FEATURE_* chosen at VCPU_INIT */
	struct cpu_tlb tlb;     /* all banks and the maintenance queue */
	/* Rows that sysreg_mrs() and sysreg_msr() found last, by a hash of the encoding. */
	const struct sysreg *sysreg_cache[SYSREG_CACHE];
	/* Of the mode word at EL0 and EL1, what is from system registers: cpu_update_mode(). */
	uint32_t mode_at_el[2];
	bool mode_is_plain; /* nothing debugs or counts in a way that PSTATE has a say in */
	bool watching;      /* a watchpoint may match: accesses go through their slow paths */
	/* Software Step: an instruction was stepped; it was a load exclusive. */
	bool stepped, stepped_ex;
	void *engine; /* the engine's per-vCPU part */
	void *owner;  /* the KVM's vCPU */

	/*
	 * Hosts compare the low 12 bits of addresses to find the store that a load depends on: what
	 * is read and written beside the hot state all the time must not lie 4096 bytes from it.
	 */
	char apart[1536];

	struct cpu_remote remote;

	/*
	 * The engine's back end has its own part of the vCPU here, as many bytes as it asks for
	 * (engine_cpu_alloc()), so that its code reaches it from the pointer to the state. What
	 * lies in it nobody else knows.
	 */
	union vreg area[];
};

/* Guest state, in bytes from the beginning of struct cpu. */
#define CPU_STATE_SIZE offsetof(struct cpu, machine)
_Static_assert(CPU_STATE_SIZE <= CPU_SLOT_LIMIT, "slots have 16-bit names");

#define CPU_FEATURE_PMU  (1u << 0)
#define CPU_FEATURE_PSCI (1u << 1)

/*
 * The translation mode word: everything outside the instruction's bits that decides its
 * translation.
 */
#define CPU_MODE_EL1 (1u << 0)
#define CPU_MODE_UAO (1u << 1) /* LDTR/STTR are ordinary accesses */
#define CPU_MODE_FP  (1u << 2) /* FP/SIMD is not trapped at this EL */
/* FPCR is not 0 in RMode, FZ, DN, AHP and FZ16: no fast paths by the host's arithmetic. */
#define CPU_MODE_FP_DYNAMIC (1u << 3)
#define CPU_MODE_BE         (1u << 4) /* data accesses are big-endian */
/* Software Step or breakpoints: one instruction a block, each through access_fetch(). */
#define CPU_MODE_STEP     (1u << 5)
#define CPU_MODE_ALIGN    (1u << 6) /* SCTLR_EL1.A, or the MMU is off */
#define CPU_MODE_SP_ALIGN (1u << 7) /* SCTLR_EL1.SA or SA0, whichever is this EL's */
/* A PMU counter counts taken branches or memory accesses: blocks count them. */
#define CPU_MODE_PMU_BR (1u << 8)
#define CPU_MODE_EL1T   (1u << 9) /* EL1 with SPSel = 0: an access to SP_EL0 is UNDEFINED */

#define CPU_SLOT(field) ((uint16_t)offsetof(struct cpu, field))
#define CPU_SLOT_X(n)   ((uint16_t)(offsetof(struct cpu, x) + 8 * (n)))
#define CPU_SLOT_V(n)   ((uint16_t)(offsetof(struct cpu, v) + 16 * (n)))

/*
 * What the layers above give to a machine (libarmature's KVM fills this in). All are called on a
 * vCPU's thread unless said otherwise.
 */
struct machine_ops {
	/*
	 * A timer register changed, or its level may change at a new time: compute the host's
	 * deadline anew.
	 */
	void (*timers_changed)(struct cpu *cpu);
	/* The PMU's overflow line may have changed. */
	void (*pmu_changed)(struct cpu *cpu);
	/*
	 * A load or store of one general-purpose register, of @size bytes, that met no memory at
	 * guest physical address @pa. *@data is in the order of the guest's memory, the first byte
	 * in bits 7:0. True: it is done, with *@data if it was a load; false: CPU_EXIT_MMIO. The
	 * vCPU is inside the guest: it may not wait for what waits for vCPUs to be outside. May be
	 * NULL.
	 */
	bool (*mmio)(struct cpu *cpu, uint64_t pa, unsigned int size, bool write, uint64_t *data);
	/*
	 * The event register of @cpu was set by SEV of a vCPU of its machine: end its WFE. Called
	 * on the thread of the vCPU that executed SEV. May be NULL.
	 */
	void (*event)(struct cpu *cpu);
	/*
	 * Drop the translations of guest physical bytes [pa, pa + len) whose code words differ
	 * from memory; len 0: of all memory.
	 */
	void (*icache_invalidate)(struct machine *m, uint64_t pa, uint64_t len);
};

/* The exclusive monitor's words (cpu/monitor.h), each on a cache line of its own. */
#define MONITOR_BITS 9
struct monitor_word {
	_Atomic uint64_t word;
} __attribute__((aligned(64)));
#define MONITOR_COUNTED 65536 /* granules, by their number modulo this, that are told apart */

/* What the vCPUs of one VM share. */
struct machine {
	pthread_mutex_t lock;  /* guards cpus[]/nr_cpus changes and the safe-point protocol */
	pthread_cond_t passed; /* a vCPU passed a safe point or left the guest */
	struct cpu *cpus[CPU_MAX_VCPUS];
	unsigned int nr_cpus;
	struct mem_map mem; /* guest physical memory */
	const struct machine_ops *ops;
	/* Registers besides those that every CPU has, or NULL; see machine_add_sysregs(). */
	const struct sysreg_rows *_Atomic sysregs;
	_Atomic uint8_t csv2, csv3; /* of ID_AA64PFR0_EL1: 1 at first, the VMM may lower them */
	_Atomic uint64_t cntoff[NR_TIMERS]; /* by how much each counter is behind timer_count() */
	void *code;                         /* the engine's code cache */
	void *owner;                        /* the KVM's VM */
	struct monitor_word *monitor;       /* 1 << MONITOR_BITS of them */
	_Atomic uint8_t *counted;           /* MONITOR_COUNTED of them */
};

/* cpu.c */

/*
 * But for machine_init() and machine_destroy(), these are for the vCPU's own thread, or for a time
 * when no thread runs the vCPU.
 */

/**
 * cpu_reset() - Architectural reset to AArch64 EL1h, D A I F masked, everything else as the sysreg
 * table says.
 * @cpu: the vCPU; its machine, index, mpidr and features are kept, and so is cpu->exit, which is no
 *       architectural state: an MMIO that the VMM is still to complete survives a reset.
 */
void cpu_reset(struct cpu *cpu);

/**
 * cpu_init() - Make a vCPU usable and give it its TLB banks.
 * @cpu:   zeroed, aligned to a cache line
 * @m:     its machine, which must outlive it
 * @index: creation index, below CPU_MAX_VCPUS
 * @mpidr: MPIDR_EL1
 *
 * cpu_reset() is still to come. Return: 0, or -ENOMEM.
 */
int cpu_init(struct cpu *cpu, struct machine *m, unsigned int index, uint64_t mpidr);

/** cpu_destroy() - Undo cpu_init(). */
void cpu_destroy(struct cpu *cpu);

/**
 * machine_init() - Make a machine without vCPUs and memory.
 * @ops: what is called; must outlive the machine
 *
 * Return: 0, or a negative errno.
 */
int machine_init(struct machine *m, const struct machine_ops *ops);

/** machine_destroy() - Undo machine_init(); all vCPUs are gone. */
void machine_destroy(struct machine *m);

/**
 * cpu_update_mode() - Compute cpu->mode and the current TLB banks anew.
 *
 * To be called after PSTATE or a system register that they depend on has changed, before the next
 * instruction.
 */
void cpu_update_mode(struct cpu *cpu);

/** cpu_pstate_changed() - The same, where only PSTATE has changed since it was computed. */
void cpu_pstate_changed(struct cpu *cpu);

/** cpu_set_spsel() - Change PSTATE.SPSel (and exchange x[31] with the banked stack pointer). */
void cpu_set_spsel(struct cpu *cpu, unsigned int spsel);

/** cpu_pstate() - PSTATE in the format of SPSR_EL1. */
uint64_t cpu_pstate(const struct cpu *cpu);

/** cpu_set_pstate() - The reverse of cpu_pstate(); @spsr names EL0t, EL1t or EL1h. */
void cpu_set_pstate(struct cpu *cpu, uint64_t spsr);

/** cpu_fpsr() - FPSR with the host's sticky flags folded in. */
uint32_t cpu_fpsr(struct cpu *cpu);

static inline uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Have a vCPU leave generated code at the next kick point. Any thread. */
static inline void cpu_kick(struct cpu *cpu)
{
	atomic_store_explicit(&cpu->remote.kick, 1, memory_order_seq_cst);
	atomic_store_explicit(&cpu->remote.stop, 0, memory_order_release);
}

/* Ask a vCPU to leave generated code and look at @req (CPU_REQ_*). Any thread. */
static inline void cpu_request(struct cpu *cpu, uint32_t req)
{
	atomic_fetch_or_explicit(&cpu->remote.requests, req, memory_order_release);
	cpu_kick(cpu);
}

/* exception.c (Arm ARM D1.10) */

/**
 * cpu_take_exception() - Take a synchronous exception to EL1.
 * @esr:  whole ESR_EL1 value (EC is adjusted for the lower/current EL by the caller's choice of EC)
 * @elr:  preferred return address
 * @far:  FAR_EL1, written only if @far_valid
 */
void cpu_take_exception(struct cpu *cpu, uint32_t esr, uint64_t elr, uint64_t far, bool far_valid);

/** cpu_take_fault() - Deliver cpu->fault with the return address cpu->pc. */
void cpu_take_fault(struct cpu *cpu);

/**
 * cpu_take_interrupt() - Take FIQ or IRQ if a pin is high and PSTATE does not mask it.
 * Return: true if one was taken (PC, PSTATE and mode have changed).
 */
bool cpu_take_interrupt(struct cpu *cpu);

/**
 * cpu_step_pending() - Is a Software Step exception due before the next instruction?
 *
 * access_fetch() reports it.
 */
bool cpu_step_pending(const struct cpu *cpu);

/**
 * cpu_step_done() - An instruction was completed while CPU_MODE_STEP is set.
 * @load_excl: it was a load exclusive
 *
 * To be called after each such instruction that took no exception, ERET excepted.
 */
void cpu_step_done(struct cpu *cpu, bool load_excl);

/**
 * cpu_wfx_trap() - Is WFI (or @wfe: WFE) trapped here (EL0, SCTLR_EL1.nTWI/nTWE)?
 * Return: CPU_EXIT_NONE, or CPU_FAULT with cpu->fault filled in.
 */
int cpu_wfx_trap(struct cpu *cpu, bool wfe);

/**
 * cpu_eret() - Exception return from EL1: PSTATE and PC from SPSR_EL1 and ELR_EL1.
 *
 * An illegal return sets PSTATE.IL (Arm ARM D1.11.4).
 */
void cpu_eret(struct cpu *cpu);

/* Exception classes (ESR_EL1.EC) that the front end and slow paths use. */
enum esr_ec {
	EC_UNKNOWN = 0x00,
	EC_WFX = 0x01,
	EC_FP_ACCESS = 0x07,
	EC_ILLEGAL_STATE = 0x0e,
	EC_SVC64 = 0x15,
	EC_HVC64 = 0x16,
	EC_SMC64 = 0x17,
	EC_SYSREG = 0x18,
	EC_IABT_LOW = 0x20,
	EC_IABT = 0x21,
	EC_PC_ALIGN = 0x22,
	EC_DABT_LOW = 0x24,
	EC_DABT = 0x25,
	EC_SP_ALIGN = 0x26,
	EC_SERROR = 0x2f,
	EC_BREAK_LOW = 0x30,
	EC_BREAK = 0x31,
	EC_STEP_LOW = 0x32,
	EC_STEP = 0x33,
	EC_WATCH_LOW = 0x34,
	EC_WATCH = 0x35,
	EC_BRK64 = 0x3c,
};
#define ESR_IL       (1u << 25)
#define ESR(ec, iss) (((uint32_t)(ec) << 26) | ESR_IL | (uint32_t)(iss))

#endif
