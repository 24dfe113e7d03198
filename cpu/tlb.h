/* SPDX-License-Identifier: MIT */
/*
 * The software TLB that generated code probes inline, in banks.
 *
 * Terms: a bank is the set of translations of one (EL, PAN, live address space); an entry holds a
 * read tag, a write tag (TLB_NO_MATCH until the page is dirty and writable) and an addend: host
 * address = guest VA + addend. MMIO, device-attributed, watched and read-only-write pages never
 * match, so those accesses reach the slow path.
 *
 * What must hold:
 *  - An entry is in a bank only while a walk with that bank's registers would give it (or until the
 *    maintenance that the architecture asks for): no flush on a TTBR write, a bank is selected (or
 *    recycled) instead.
 *  - Only the thread that has the vCPU (in libarmature: holds vcpu->lock) touches its banks and
 *    what chooses among them, also while the vCPU is outside the guest: SET_ONE_REG, VCPU_INIT and
 *    PSCI choose banks there. Everybody else queues an operation, with tlb_maintain() or
 *    tlb_post(). The queue is served on the way into the guest, before the first instruction.
 *  - Tags are page addresses of canonical VAs (top byte already stripped when TBI applies); a
 *    tagged pointer misses and is found by the slow path.
 */
#ifndef CPU_TLB_H
#define CPU_TLB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct machine;
struct code_page;

#define TLB_BITS        12
#define TLB_SIZE        (1u << TLB_BITS)
#define XTLB_BITS       10
#define XTLB_SIZE       (1u << XTLB_BITS)
#define TLB_EL0_BANKS   6
#define TLB_EL1_WAYS    2 /* for each PAN: TTBR1 changes back and forth under KPTI */
#define TLB_BANKS       (TLB_EL0_BANKS + 2 * TLB_EL1_WAYS)
#define TLB_REGIONS     2048
#define TLB_FETCH_SHIFT 16 /* a mode word fits below */
#define TLB_PAGE_MASK   (~0xfffull)
#define TLB_NO_MATCH    1ull /* never equals a page address */

struct tlb_entry {
	uint64_t read_tag;
	uint64_t write_tag;
	uintptr_t addend;
	/* Private to tlb.c and access.c: physical page, log2 of the mapping's size, nG. */
	uint64_t info;
};

/* A page of code that may be fetched: tag -> the engine's object for the physical page. */
struct xtlb_entry {
	uint64_t tag;           /* page VA or TLB_NO_MATCH */
	struct code_page *page; /* NULL when the engine has not looked yet */
	uint64_t info;
	uint8_t *host; /* host address of the page's first byte, for the translator */
};

/* What a translation depends on, beside EL and PAN. */
struct tlb_bank_key {
	uint64_t ttbr0, ttbr1, tcr, mair, sctlr;
	uint16_t asid;
	bool valid;
};

struct tlb_bank {
	struct tlb_entry e[TLB_SIZE];
	struct xtlb_entry x[XTLB_SIZE];
	/*
	 * All below is private to tlb.c. The registers that the lines are for, and when the bank
	 * was used last; the least recently used one is taken for others.
	 */
	struct tlb_bank_key key;
	uint64_t used;
	/*
	 * What was concluded from execute lines of this bank holds while this is the same: it
	 * changes when one is dropped or replaced. Its low TLB_FETCH_SHIFT bits are 0, and no other
	 * bank of the vCPU ever has the same.
	 */
	uint64_t fetches;
	/*
	 * Lines that hold a non-global or lower-half translation: they go when ASID or TTBR0
	 * change.
	 */
	uint64_t ng[TLB_SIZE / 64];
	uint64_t xng[XTLB_SIZE / 64];
	/*
	 * Sizes (bit n: 2^n bytes) above 4 KiB of the mappings behind the lines, for each half of
	 * the VA space.
	 */
	uint64_t large[2];
	/*
	 * Which 2 MiB regions such lines lie in, by a hash: bits that are set too much only cost a
	 * search.
	 */
	uint64_t large_map[TLB_REGIONS / 64];
} __attribute__((aligned(64)));

/*
 * The index is plain, so that generated code finds a line with two instructions, and two pages in a
 * row never share one: an access that crosses into the next page is told by that page's tag not
 * being in the first one's line. Pages that are a multiple of 16 MiB apart do share one.
 */
static inline unsigned int tlb_index(uint64_t va)
{
	return (unsigned int)(va >> 12) & (TLB_SIZE - 1);
}

static inline unsigned int xtlb_index(uint64_t va)
{
	return (unsigned int)(va >> 12) & (XTLB_SIZE - 1);
}

/* One queued maintenance operation. */
struct tlb_op {
	enum tlb_op_kind {
		TLB_OP_ALL,         /* VMALLE1 */
		TLB_OP_ASID,        /* ASIDE1 */
		TLB_OP_VA,          /* VAE1, VALE1: asid and global */
		TLB_OP_VA_ALL_ASID, /* VAAE1, VAALE1 */
		TLB_OP_RANGE,       /* RVAE1…: va, pages */
		TLB_OP_RANGE_ALL_ASID,
		/* Not the guest's: */
		TLB_OP_NOTHING, /* tlb_pass() */
		TLB_OP_CLEAN,   /* write tags of the physical range: the dirty log begins anew */
	} kind;
	uint16_t asid;
	uint64_t va;  /* TLB_OP_CLEAN: a physical address */
	uint64_t len; /* bytes; 0 for kinds without an address */
};

#define TLB_QUEUE 32

struct cpu_tlb {
	struct tlb_bank *banks; /* TLB_BANKS of them, then one that stays empty */
	uint64_t clock;
	/* The banks of the present registers (EL1: for each PAN), or NULL: not chosen yet. */
	struct tlb_bank *el0, *el1[2];
	struct tlb_bank_key now;   /* the registers that tlb_select() saw last */
	struct xtlb_entry watched; /* the line of a fetch while nothing may be filled */
	bool unsynced;             /* broadcast since the last tlb_sync() */
	/* Maintenance from other vCPUs; the lock is a leaf. */
	pthread_mutex_t lock;
	struct tlb_op queue[TLB_QUEUE];
	unsigned int nr_queued;  /* TLB_QUEUE + 1 means: overflow, drop everything */
	_Atomic uint64_t posted; /* sequence of the last op queued */
	_Atomic uint64_t served; /* sequence of the last op done */
	_Atomic bool in_guest;   /* false: whoever waits need not; the queue is served at entry */
};

/* But for tlb_post(), these are for the thread that has the vCPU. */

/** tlb_init() - Give a vCPU its banks, empty: 0 or -ENOMEM. */
int tlb_init(struct cpu *cpu);
/** tlb_destroy() - Undo tlb_init(), if it was done. */
void tlb_destroy(struct cpu *cpu);

/**
 * tlb_select() - Choose the vCPU's present banks, by EL, PAN, ASID and translation registers.
 *
 * To be called when one of these has changed, before the next access: cpu_update_mode() does.
 */
void tlb_select(struct cpu *cpu);

/** tlb_switch() - The same where only PSTATE has changed since the last tlb_select(). */
void tlb_switch(struct cpu *cpu);

/**
 * tlb_fill_bank() - The bank that lines of an access may be filled into.
 * @cpu:    the vCPU
 * @unpriv: the access counts as EL0's (LDTR, STTR)
 *
 * An EL0 bank is chosen (maybe recycled) only now, so that register writes on the way to another
 * process cost no bank.
 *
 * Return: the bank; NULL: nothing may be filled, because accesses are being watched.
 */
struct tlb_bank *tlb_fill_bank(struct cpu *cpu, bool unpriv);

/**
 * tlb_fill() - Enter the translation of a page of data.
 * @bank:       from tlb_fill_bank()
 * @va:         a canonical address on the page
 * @pa:         its physical address
 * @host:       its host address
 * @size_shift: log2 of the size of the mapping that it is from, for maintenance by address
 * @ng:         the mapping is of one ASID
 * @read:       loads may match
 * @write:      stores may match: the page is writable, and dirty where that is noted
 */
void tlb_fill(struct tlb_bank *bank, uint64_t va, uint64_t pa, uint8_t *host,
	      unsigned int size_shift, bool ng, bool read, bool write);

/**
 * tlb_fill_exec() - The same for a page of code that may be executed.
 *
 * Return: the line; its page is NULL.
 */
struct xtlb_entry *tlb_fill_exec(struct tlb_bank *bank, uint64_t va, uint64_t pa, uint8_t *host,
				 unsigned int size_shift, bool ng);

/** tlb_forget_fetches() - What was concluded from any execute line does not hold any more. */
void tlb_forget_fetches(struct cpu *cpu);

/* Physical page of a line of either kind. */
#define TLB_INFO_PA 0xfffffffff000ull

/** tlb_flush() - Drop everything of this vCPU; for another's there is tlb_post(). */
void tlb_flush(struct cpu *cpu);

/**
 * tlb_maintain() - Maintenance that the guest asks for (Arm ARM D5.10, C5.5).
 * @cpu:       the vCPU, which has done @op when this returns
 * @op:        what to drop
 * @broadcast: queue it to the machine's other vCPUs, too; tlb_sync() waits for them
 */
void tlb_maintain(struct cpu *cpu, const struct tlb_op *op, bool broadcast);

/**
 * tlb_post() - Have every vCPU of @m do @op on its own thread.
 *
 * Each has done it before it executes the next instruction, provided that it is outside the guest
 * now; inside, at its next kick point. Any thread but a vCPU's inside the guest: that one has
 * tlb_maintain(), which does @op at once and lets tlb_sync() wait for the others.
 */
void tlb_post(struct machine *m, const struct tlb_op *op);

/** tlb_serve() - Do what is queued: at a kick with CPU_REQ_TLB, at guest entry, in tlb_sync(). */
void tlb_serve(struct cpu *cpu);

/**
 * tlb_sync() - DSB: wait until every vCPU has done what this one broadcast.
 *
 * It serves its own queue meanwhile, so that two vCPUs can wait for each other.
 */
void tlb_sync(struct cpu *cpu);

/**
 * tlb_pass() - Wait until every other vCPU has passed a kick point, or is outside the guest.
 *
 * It serves its own queue meanwhile: what was known of translations may not hold any more.
 */
void tlb_pass(struct cpu *cpu);

/** tlb_enter_guest() / tlb_leave_guest() - Around all that the vCPU executes; entry serves. */
void tlb_enter_guest(struct cpu *cpu);
void tlb_leave_guest(struct cpu *cpu);

#endif
