/* SPDX-License-Identifier: MIT */
/*
 * What the hostile guests stand on: a machine with its MMU on, exceptions that a test may expect,
 * vCPUs that run what they are given, a GICv2 and a serial port. Nothing of it is the system under
 * test's.
 *
 * A test is a function that CHECKs; a group is a table of them, chosen by "group=NAME" on the
 * kernel command line.
 */
#ifndef HOSTILE_GUEST_H
#define HOSTILE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE     4096ull
#define MAX_CPUS 8

/* The board (docs/architecture.md). */
#define GICD        0x08000000ull
#define GICC        0x08010000ull
#define UART        0x09000000ull
#define NOTHING     0x0a800000ull /* no device, no memory */
#define PPI_VTIMER  27
#define PPI_PTIMER  30
#define PSCI_CPU_ON 0xc4000003u

/* --- Exceptions --- */

struct frame {
	uint64_t x[31];
	uint64_t elr, spsr, esr, far, vector, pad[2];
};

struct percpu {
	uint64_t stack_top, el0_sp;
	/*
	 * Who handles exceptions. NULL: with @skip, the instruction is counted and skipped; else
	 * the guest ends.
	 */
	void (*sync)(struct frame *f);
	void (*irq)(struct frame *f, unsigned int intid);
	bool skip;
	volatile unsigned int faults, irqs; /* counted */
	uint64_t esr, far, elr, spsr;       /* of the last synchronous exception */
	/* Work for a secondary CPU */
	void (*volatile work)(void *arg);
	void *work_arg;
	unsigned int index;
};
extern struct percpu percpu[MAX_CPUS];

static inline struct percpu *this_cpu(void)
{
	struct percpu *p;

	asm volatile("mrs %0, tpidr_el1" : "=r"(p));
	return p;
}

#define EC(esr)  ((unsigned int)((esr) >> 26))
#define FSC(esr) ((unsigned int)((esr)&0x3f))
enum {
	EC_ILLEGAL = 0x0e,
	EC_SVC = 0x15,
	EC_SYSREG = 0x18,
	EC_IABT_LOW = 0x20,
	EC_IABT,
	EC_PC,
	EC_DABT_LOW = 0x24,
	EC_DABT,
	EC_SP,
	EC_BREAK_LOW = 0x30,
	EC_BREAK,
	EC_STEP_LOW,
	EC_STEP,
	EC_WATCH_LOW,
	EC_WATCH,
	EC_BRK = 0x3c
};
enum {
	FSC_TRANSLATION = 4,
	FSC_ACCESS = 8,
	FSC_PERMISSION = 12,
	FSC_EXTERNAL = 16,
	FSC_ALIGNMENT = 33
};
#define WNR    (1u << 6)
#define SPSR_D (1ull << 9)

/* Instructions that several files build programs from. */
#define RET   0xd65f03c0u
#define SVC_0 0xd4000001u

/* Forget what was counted; from here on faults are skipped, or not. */
void catch_faults(bool skip);

struct code_state {
	uint64_t x[16], b[4], nzcv, pad;
	uint8_t v[8][16];
};
void call_code(struct code_state *state, const void *code);

/*
 * precise.c: a random program that needs X20 to X23 in the middle of pages; at most @max words.
 * Returns how many.
 */
#define RANDOM_BASES 4
unsigned int random_program(uint32_t *to, unsigned int max);
uint64_t call_el0(uint64_t pc, uint64_t sp, uint64_t arg);

/* --- Memory --- */

#define D_VALID  1ull
#define D_TABLE  2ull
#define D_PAGE   3ull
#define D_BLOCK  1ull
#define D_DEVICE (1ull << 2)
#define D_EL0    (1ull << 6)
#define D_RO     (1ull << 7)
#define D_SH     (3ull << 8)
#define D_AF     (1ull << 10)
#define D_NG     (1ull << 11)
#define D_DBM    (1ull << 51)
#define D_CONT   (1ull << 52)
#define D_PXN    (1ull << 53)
#define D_UXN    (1ull << 54)
#define NORMAL   (D_AF | D_SH)

/* A window of page table entries, and its mirror in the upper half; all invalid between tests. */
#define WINDOW       0x80000000ull
#define WINDOW_PAGES 2048ull
#define W(n)         (WINDOW + (n)*PAGE)
#define HIGH         0xffffff8080000000ull
#define H(n)         (HIGH + (n)*PAGE)

void mmu_init(void);
void mmu_on(void);
uint64_t *pte(uint64_t va);
uint64_t *pmd(uint64_t va); /* of a 2 MiB region of the window */
void mmu_reset_window(void);
void set_pte(uint64_t va, uint64_t desc);                   /* and DSB, ISB */
void map(uint64_t va, const void *pa, uint64_t attributes); /* set_pte() */
void unmap(uint64_t va); /* broken before made: TLBI VAAE1IS, DSB */
void tlbi_va(uint64_t va);
void tlbi_all(void);
void *page(unsigned int n); /* RAM, 64 pages, 2 MiB-aligned base; zeroed by mmu_reset_window() */
void *big_page(unsigned int n); /* 2 MiB, n < 2 */
void sync_code(const void *at, size_t len);

#define dsb()       asm volatile("dsb ish" ::: "memory")
#define dmb()       asm volatile("dmb ish" ::: "memory")
#define isb()       asm volatile("isb" ::: "memory")
#define msr(reg, v) asm volatile("msr " #reg ", %0" ::"r"((uint64_t)(v)) : "memory")
#define mrs(reg)                                                    \
	({                                                          \
		uint64_t v_;                                        \
		asm volatile("mrs %0, " #reg : "=r"(v_)::"memory"); \
		v_;                                                 \
	})

static inline uint64_t read64(uint64_t va)
{
	uint64_t v;

	asm volatile("ldr %0, [%1]" : "=r"(v) : "r"(va) : "memory");
	return v;
}

static inline void write64(uint64_t va, uint64_t v)
{
	asm volatile("str %0, [%1]" ::"r"(v), "r"(va) : "memory");
}

static inline uint32_t read32(uint64_t va)
{
	uint32_t v;

	asm volatile("ldr %w0, [%1]" : "=r"(v) : "r"(va) : "memory");
	return v;
}

static inline void write32(uint64_t va, uint32_t v)
{
	asm volatile("str %w0, [%1]" ::"r"(v), "r"(va) : "memory");
}

/* --- vCPUs --- */

unsigned int nr_cpus(void); /* brings all up */
void run_on(unsigned int cpu, void (*fn)(void *arg), void *arg);
void join(unsigned int cpu);
int64_t psci(uint32_t fn, uint64_t a, uint64_t b, uint64_t c);
void power_off(void) __attribute__((noreturn));

/* --- Interrupts and time --- */

void gic_init_cpu(void);
void gic_enable(unsigned int intid);
void send_sgi(unsigned int cpu, unsigned int sgi);
#define irqs_on()  asm volatile("msr daifclr, #2" ::: "memory")
#define irqs_off() asm volatile("msr daifset, #2" ::: "memory")
uint64_t now(void); /* CNTVCT_EL0 */
uint64_t ns_to_ticks(uint64_t ns);

/* --- Tests --- */

struct test {
	const char *name;
	void (*run)(void);
};
/* Each group is defined in the file of its name, and ends with a test without a name. */
extern const struct test group_precise[], group_code[], group_tables[], group_smp[],
	group_atomics[], group_waits[], group_nested[], group_access[], group_loops[],
	group_debug[], group_fuzz[], group_counts[], group_fatal[];

void say(const char *format, ...); /* %s %u %x %c; u and x take 64 bits */
void check_failed(const char *file, int line, const char *what, uint64_t a, uint64_t b);
#define CHECK(cond)                                                    \
	do {                                                           \
		if (!(cond))                                           \
			check_failed(__FILE__, __LINE__, #cond, 0, 0); \
	} while (0)
#define CHECK_EQ(a, b)                                                          \
	do {                                                                    \
		uint64_t a_ = (uint64_t)(a), b_ = (uint64_t)(b);                \
		if (a_ != b_)                                                   \
			check_failed(__FILE__, __LINE__, #a " == " #b, a_, b_); \
	} while (0)
uint64_t rnd(void);

void *memset(void *to, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
