/* SPDX-License-Identifier: MIT */
/*
 * TLB banks: choosing one, filling lines, and maintenance, local and broadcast.
 *
 *   bank 0 .. 5   EL0, one for each live (ASID, TTBR0, TTBR1, TCR, ...); the one that was chosen
 *                 longest ago is recycled
 *   bank 6, 7     EL1 with PAN = 0   keyed without ASID and TTBR0: lines that depend on those
 *   bank 8, 9     EL1 with PAN = 1   are in the maps ng and xng, and are dropped when they change
 *   bank 10       never filled: every probe misses
 *
 * The empty bank is cpu->bank while the next fetch must reach access_fetch() for an exception
 * (Illegal State, Software Step) or accesses are watched, and cpu->bank_el0 while nobody has needed
 * the EL0 bank of the present registers.
 *
 * What must hold:
 *  - A bank whose key is not valid is reset before it is used again.
 *  - A line whose mapping is larger than a page has its size in bank->large, and a line that is
 *    non-global or in the lower half is in bank->ng or xng.
 *
 * Locks: cpu_tlb.lock is a leaf, held for a few instructions, never two at once.
 *
 * Broadcast. The poster enters the operation in the target's queue under its lock, then kicks it. A
 * target in the guest serves the queue at its next kick point; one that is outside serves it on its
 * way in, after it has set in_guest. The poster's DSB, tlb_sync(), looks at in_guest after it
 * posted, so either it sees the target outside or the target sees the queue. Who changes memslots
 * posts while no vCPU is in the guest, and so need not wait: each serves before it runs again.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/mmu.h"

#define INFO_NG       BIT64(0)
#define INFO_SHIFT(i) FIELD64(i, 6, 1)
#define EL1_FIRST     TLB_EL0_BANKS
#define EMPTY_BANK    TLB_BANKS
#define SCAN_PAGES    384 /* looking for that many pages costs as much as looking at every line */
#define REGION_SHIFT  21
#define MAX_REGIONS   32 /* more are not looked up one by one */
#define SPINS         200

int tlb_init(struct cpu *cpu)
{
	struct cpu_tlb *t = &cpu->tlb;

	t->banks = aligned_alloc(64, sizeof(struct tlb_bank) * (TLB_BANKS + 1));
	if (!t->banks)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	for (unsigned int i = 0; i <= TLB_BANKS; i++)
		t->banks[i].fetches = (uint64_t)i << TLB_FETCH_SHIFT;
	tlb_flush(cpu);
	return 0;
}

void tlb_destroy(struct cpu *cpu)
{
	if (!cpu->tlb.banks)
		return;
	pthread_mutex_destroy(&cpu->tlb.lock);
	free(cpu->tlb.banks);
	cpu->tlb.banks = NULL;
}

/* Each bank counts in steps of the number of banks (and of the empty one), from its own index. */
static void fetches_changed(struct tlb_bank *b)
{
	b->fetches += (uint64_t)(TLB_BANKS + 1) << TLB_FETCH_SHIFT;
}

void tlb_forget_fetches(struct cpu *cpu)
{
	for (unsigned int i = 0; i < TLB_BANKS; i++)
		fetches_changed(&cpu->tlb.banks[i]);
}

static void bank_clear(struct tlb_bank *b)
{
	fetches_changed(b);
	for (unsigned int i = 0; i < TLB_SIZE; i++)
		b->e[i].read_tag = b->e[i].write_tag = TLB_NO_MATCH;
	for (unsigned int i = 0; i < XTLB_SIZE; i++)
		b->x[i].tag = TLB_NO_MATCH;
	memset(b->ng, 0, sizeof(b->ng));
	memset(b->xng, 0, sizeof(b->xng));
	memset(b->large, 0, sizeof(b->large));
	memset(b->large_map, 0, sizeof(b->large_map));
}

static inline void drop(struct tlb_entry *e)
{
	e->read_tag = e->write_tag = TLB_NO_MATCH;
}

/*
 * Drop the lines that ng and xng list; with @only_ng, not those that are listed for their half
 * alone.
 */
static void bank_drop_listed(struct tlb_bank *b, bool only_ng)
{
	for (unsigned int w = 0; w < TLB_SIZE / 64; w++) {
		for (uint64_t m = b->ng[w]; m; m &= m - 1) {
			unsigned int i = w * 64 + (unsigned int)__builtin_ctzll(m);

			if (only_ng && !(b->e[i].info & INFO_NG))
				continue;
			drop(&b->e[i]);
			b->ng[w] &= ~BIT64(i % 64);
		}
	}
	for (unsigned int w = 0; w < XTLB_SIZE / 64; w++) {
		for (uint64_t m = b->xng[w]; m; m &= m - 1) {
			unsigned int i = w * 64 + (unsigned int)__builtin_ctzll(m);

			if (only_ng && !(b->x[i].info & INFO_NG))
				continue;
			b->x[i].tag = TLB_NO_MATCH;
			b->xng[w] &= ~BIT64(i % 64);
			fetches_changed(b);
		}
	}
}

/* --- Choosing banks --- */

static void read_key(const struct cpu *cpu, struct tlb_bank_key *k)
{
	k->ttbr0 = cpu->sys.ttbr0;
	k->ttbr1 = cpu->sys.ttbr1;
	k->tcr = cpu->sys.tcr;
	k->mair = cpu->sys.mair;
	k->sctlr = cpu->sys.sctlr & SCTLR_WALK;
}

static bool same_key(const struct tlb_bank_key *a, const struct tlb_bank_key *b)
{
	return a->ttbr0 == b->ttbr0 && a->ttbr1 == b->ttbr1 && a->tcr == b->tcr &&
	       a->mair == b->mair && a->sctlr == b->sctlr;
}

/* The key of a bank: table addresses without ASID and CnP. */
static struct tlb_bank_key bank_key(const struct cpu *cpu)
{
	struct tlb_bank_key k = cpu->tlb.now;

	k.ttbr0 &= TTBR_BADDR;
	k.ttbr1 &= TTBR_BADDR;
	k.asid = mmu_asid(cpu);
	k.valid = true;
	return k;
}

/* The bank among @n from @first that was chosen longest ago, cleared for @k. */
static struct tlb_bank *recycle(struct cpu *cpu, unsigned int first, unsigned int n,
				const struct tlb_bank_key *k)
{
	struct tlb_bank *b = &cpu->tlb.banks[first];

	for (unsigned int i = first; i < first + n; i++) {
		struct tlb_bank *c = &cpu->tlb.banks[i];

		if (!c->key.valid) {
			b = c;
			break;
		}
		if (c->used < b->used)
			b = c;
	}
	bank_clear(b);
	b->key = *k;
	return b;
}

static struct tlb_bank *find_el0(struct cpu *cpu, const struct tlb_bank_key *k)
{
	for (unsigned int i = 0; i < TLB_EL0_BANKS; i++) {
		struct tlb_bank *b = &cpu->tlb.banks[i];

		if (b->key.valid && b->key.asid == k->asid && same_key(&b->key, k)) {
			b->used = ++cpu->tlb.clock;
			return b;
		}
	}
	return NULL;
}

static struct tlb_bank *choose_el0(struct cpu *cpu)
{
	struct tlb_bank_key k = bank_key(cpu);

	if (!cpu->tlb.el0) {
		cpu->tlb.el0 = find_el0(cpu, &k);
		if (!cpu->tlb.el0)
			cpu->tlb.el0 = recycle(cpu, 0, TLB_EL0_BANKS, &k);
		cpu->tlb.el0->used = ++cpu->tlb.clock;
	}
	return cpu->tlb.el0;
}

static struct tlb_bank *choose_el1(struct cpu *cpu, unsigned int pan)
{
	struct tlb_bank_key k = bank_key(cpu);
	unsigned int first = EL1_FIRST + pan * TLB_EL1_WAYS;
	struct tlb_bank *found = NULL;

	for (unsigned int i = first; i < first + TLB_EL1_WAYS; i++) {
		struct tlb_bank *b = &cpu->tlb.banks[i];

		if (b->key.valid && b->key.ttbr1 == k.ttbr1 && b->key.tcr == k.tcr &&
		    b->key.mair == k.mair && b->key.sctlr == k.sctlr)
			found = b;
	}
	if (!found)
		found = recycle(cpu, first, TLB_EL1_WAYS, &k);
	else if (found->key.ttbr0 != k.ttbr0 || found->key.asid != k.asid)
		bank_drop_listed(found, false);
	found->key = k;
	found->used = ++cpu->tlb.clock;
	return found;
}

void tlb_select(struct cpu *cpu)
{
	struct cpu_tlb *t = &cpu->tlb;
	struct tlb_bank_key k;

	read_key(cpu, &k);
	if (!same_key(&k, &t->now) || !t->now.valid) {
		t->now = k;
		t->now.valid = true;
		k = bank_key(cpu);
		t->el0 = find_el0(cpu, &k);
		t->el1[0] = t->el1[1] = NULL;
	}
	tlb_switch(cpu);
}

void tlb_switch(struct cpu *cpu)
{
	struct cpu_tlb *t = &cpu->tlb;
	struct tlb_bank *empty = &t->banks[EMPTY_BANK];

	if (cpu->ps.el == 0) {
		if (!t->el0)
			choose_el0(cpu);
		cpu->bank = cpu->bank_el0 = t->el0;
	} else {
		if (!t->el1[cpu->ps.pan])
			t->el1[cpu->ps.pan] = choose_el1(cpu, cpu->ps.pan);
		cpu->bank = t->el1[cpu->ps.pan];
		cpu->bank_el0 = t->el0 ? t->el0 : empty;
	}
	if (cpu->ps.il || cpu->watching || cpu_step_pending(cpu))
		cpu->bank = empty;
	if (cpu->watching)
		cpu->bank_el0 = empty;
}

struct tlb_bank *tlb_fill_bank(struct cpu *cpu, bool unpriv)
{
	if (cpu->watching)
		return NULL;
	if (!unpriv)
		return cpu->bank;
	cpu->bank_el0 = choose_el0(cpu);
	return cpu->bank_el0;
}

/* --- Filling --- */

static uint64_t line_info(uint64_t pa, unsigned int size_shift, bool ng)
{
	return (pa & TLB_INFO_PA) | ((uint64_t)size_shift << 1) | (ng ? INFO_NG : 0);
}

static unsigned int region_bit(uint64_t region)
{
	return (unsigned int)((region * 0x9e3779b97f4a7c15) >> 53) % TLB_REGIONS;
}

static void note_large(struct tlb_bank *b, uint64_t va, unsigned int size_shift)
{
	unsigned int bit = region_bit(va >> REGION_SHIFT);

	b->large[va >> 63] |= BIT64(size_shift);
	b->large_map[bit / 64] |= BIT64(bit % 64);
}

static void note_line(struct tlb_bank *b, uint64_t *map, unsigned int i, uint64_t va,
		      unsigned int size_shift, bool ng)
{
	bool high = va >> 63;

	if (ng || !high)
		map[i / 64] |= BIT64(i % 64);
	else
		map[i / 64] &= ~BIT64(i % 64);
	if (size_shift > MEM_PAGE_SHIFT)
		note_large(b, va, size_shift);
}

void tlb_fill(struct tlb_bank *bank, uint64_t va, uint64_t pa, uint8_t *host,
	      unsigned int size_shift, bool ng, bool read, bool write)
{
	uint64_t page = va & TLB_PAGE_MASK;
	unsigned int i = tlb_index(va);
	struct tlb_entry *e = &bank->e[i];

	e->read_tag = read ? page : TLB_NO_MATCH;
	e->write_tag = write ? page : TLB_NO_MATCH;
	e->addend = (uintptr_t)host - (uintptr_t)va;
	e->info = line_info(pa, size_shift, ng);
	note_line(bank, bank->ng, i, va, size_shift, ng);
}

struct xtlb_entry *tlb_fill_exec(struct tlb_bank *bank, uint64_t va, uint64_t pa, uint8_t *host,
				 unsigned int size_shift, bool ng)
{
	unsigned int i = xtlb_index(va);
	struct xtlb_entry *x = &bank->x[i];

	/* Maintenance of the page that had the line would not find it any more. */
	if (x->tag != TLB_NO_MATCH)
		fetches_changed(bank);
	x->tag = va & TLB_PAGE_MASK;
	x->page = NULL;
	x->host = host - (va & ~TLB_PAGE_MASK);
	x->info = line_info(pa, size_shift, ng);
	note_line(bank, bank->xng, i, va, size_shift, ng);
	return x;
}

/* --- Maintenance --- */

/* A bank that is in use is cleared; of another one only the key goes. */
static void bank_flush(struct cpu *cpu, struct tlb_bank *b)
{
	struct cpu_tlb *t = &cpu->tlb;

	if (b == t->el0 || b == t->el1[0] || b == t->el1[1])
		bank_clear(b);
	else
		b->key.valid = false;
}

void tlb_flush(struct cpu *cpu)
{
	struct cpu_tlb *t = &cpu->tlb;

	for (unsigned int i = 0; i < TLB_BANKS; i++)
		t->banks[i].key.valid = false;
	bank_clear(&t->banks[EMPTY_BANK]);
	t->now.valid = false;
	t->el0 = t->el1[0] = t->el1[1] = NULL;
	cpu->bank = cpu->bank_el0 = &t->banks[EMPTY_BANK];
	if (cpu->machine)
		tlb_select(cpu);
}

/* Drop the write tags of the physical range of @op. */
static void bank_clean(struct tlb_bank *b, const struct tlb_op *op)
{
	uint64_t first = op->va & TLB_INFO_PA, last = (op->va + op->len - 1) & TLB_INFO_PA;

	for (unsigned int i = 0; i < TLB_SIZE; i++) {
		uint64_t p = b->e[i].info & TLB_INFO_PA;

		if (p >= first && p <= last)
			b->e[i].write_tag = TLB_NO_MATCH;
	}
}

/*
 * Pages [first, last] by address, and which lines of them: what a maintenance by address looks for.
 */
struct target {
	uint64_t first, last;
	bool globals_only;
};

/* Does the mapping behind a line (@page is its tag) overlap the target? */
static bool hit(uint64_t page, uint64_t info, const struct target *t)
{
	uint64_t mask;

	if (page == TLB_NO_MATCH || (t->globals_only && (info & INFO_NG)))
		return false;
	mask = BIT64(INFO_SHIFT(info)) - 1;
	return (page & ~mask) <= t->last && (page | mask) >= t->first;
}

static void check_line(struct tlb_entry *e, const struct target *t)
{
	if (hit(e->read_tag, e->info, t))
		drop(e);
}

static void check_xline(struct tlb_bank *b, struct xtlb_entry *x, const struct target *t)
{
	if (!hit(x->tag, x->info, t))
		return;
	x->tag = TLB_NO_MATCH;
	fetches_changed(b);
}

/*
 * The size of the largest mapping that may overlap the target, less one; 0 when none is larger than
 * a page.
 */
static uint64_t largest_mask(const struct tlb_bank *b, const struct target *t)
{
	uint64_t large = b->large[t->first >> 63], mask;
	uint64_t region = t->first >> REGION_SHIFT, last = t->last >> REGION_SHIFT;

	if (!large)
		return 0;
	mask = BIT64(63 - __builtin_clzll(large)) - 1;
	if (mask >> REGION_SHIFT || last - region >= MAX_REGIONS)
		return mask;
	for (; region <= last; region++) {
		unsigned int bit = region_bit(region);

		if (b->large_map[bit / 64] & BIT64(bit % 64))
			return mask;
	}
	return 0;
}

/* Look at every line, and learn anew where the large ones are. */
static void bank_scan(struct tlb_bank *b, const struct target *t)
{
	memset(b->large, 0, sizeof(b->large));
	memset(b->large_map, 0, sizeof(b->large_map));
	for (unsigned int i = 0; i < TLB_SIZE; i++) {
		struct tlb_entry *e = &b->e[i];

		check_line(e, t);
		if (e->read_tag != TLB_NO_MATCH && INFO_SHIFT(e->info) > MEM_PAGE_SHIFT)
			note_large(b, e->read_tag, INFO_SHIFT(e->info));
	}
	for (unsigned int i = 0; i < XTLB_SIZE; i++) {
		struct xtlb_entry *x = &b->x[i];

		check_xline(b, x, t);
		if (x->tag != TLB_NO_MATCH && INFO_SHIFT(x->info) > MEM_PAGE_SHIFT)
			note_large(b, x->tag, INFO_SHIFT(x->info));
	}
}

static void bank_drop_range(struct tlb_bank *b, const struct target *t)
{
	uint64_t mask = largest_mask(b, t);
	uint64_t from = t->first & ~mask & TLB_PAGE_MASK;
	uint64_t pages = (((t->last | mask) - from) >> MEM_PAGE_SHIFT) + 1;

	if (pages > SCAN_PAGES) {
		bank_scan(b, t);
		return;
	}
	for (uint64_t va = from; pages--; va += MEM_PAGE_SIZE) {
		check_line(&b->e[tlb_index(va)], t);
		check_xline(b, &b->x[xtlb_index(va)], t);
	}
}

static void bank_apply(struct cpu *cpu, struct tlb_bank *b, const struct tlb_op *op)
{
	struct target t = {op->va, op->va + (op->len ? op->len - 1 : MEM_PAGE_SIZE - 1), false};

	switch (op->kind) {
	case TLB_OP_ALL:
		bank_flush(cpu, b);
		return;
	case TLB_OP_ASID:
		if (b->key.asid == op->asid)
			bank_drop_listed(b, true);
		return;
	case TLB_OP_VA:
	case TLB_OP_RANGE:
		t.globals_only = b->key.asid != op->asid;
		break;
	case TLB_OP_VA_ALL_ASID:
	case TLB_OP_RANGE_ALL_ASID:
		break;
	case TLB_OP_NOTHING:
		return;
	case TLB_OP_CLEAN:
		bank_clean(b, op);
		return;
	}
	if (t.last < t.first)
		t.last = ~0ull;
	bank_drop_range(b, &t);
}

static void apply(struct cpu *cpu, const struct tlb_op *op)
{
	for (unsigned int i = 0; i < TLB_BANKS; i++) {
		if (cpu->tlb.banks[i].key.valid)
			bank_apply(cpu, &cpu->tlb.banks[i], op);
	}
}

/* --- Broadcast --- */

static void post_to(struct cpu *to, const struct tlb_op *op)
{
	struct cpu_tlb *t = &to->tlb;

	pthread_mutex_lock(&t->lock);
	if (t->nr_queued < TLB_QUEUE)
		t->queue[t->nr_queued++] = *op;
	else
		t->nr_queued = TLB_QUEUE + 1;
	atomic_fetch_add_explicit(&t->posted, 1, memory_order_relaxed);
	pthread_mutex_unlock(&t->lock);
	cpu_request(to, CPU_REQ_TLB);
}

void tlb_maintain(struct cpu *cpu, const struct tlb_op *op, bool broadcast)
{
	struct machine *m = cpu->machine;
	unsigned int nr = __atomic_load_n(&m->nr_cpus, __ATOMIC_ACQUIRE);

	apply(cpu, op);
	if (!broadcast)
		return;
	for (unsigned int i = 0; i < nr; i++) {
		struct cpu *to = __atomic_load_n(&m->cpus[i], __ATOMIC_ACQUIRE);

		if (to && to != cpu) {
			post_to(to, op);
			cpu->tlb.unsynced = true;
		}
	}
}

void tlb_post(struct machine *m, const struct tlb_op *op)
{
	unsigned int nr = __atomic_load_n(&m->nr_cpus, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < nr; i++) {
		struct cpu *to = __atomic_load_n(&m->cpus[i], __ATOMIC_ACQUIRE);

		if (to)
			post_to(to, op);
	}
}

void tlb_serve(struct cpu *cpu)
{
	struct cpu_tlb *t = &cpu->tlb;
	struct tlb_op queue[TLB_QUEUE];
	unsigned int nr;
	uint64_t seq;

	atomic_fetch_and_explicit(&cpu->remote.requests, ~CPU_REQ_TLB, memory_order_acq_rel);
	pthread_mutex_lock(&t->lock);
	nr = t->nr_queued;
	if (nr <= TLB_QUEUE)
		memcpy(queue, t->queue, nr * sizeof(queue[0]));
	t->nr_queued = 0;
	seq = atomic_load_explicit(&t->posted, memory_order_relaxed);
	pthread_mutex_unlock(&t->lock);

	if (nr > TLB_QUEUE)
		apply(cpu, &(struct tlb_op){.kind = TLB_OP_ALL});
	else
		for (unsigned int i = 0; i < nr; i++)
			apply(cpu, &queue[i]);
	atomic_store_explicit(&t->served, seq, memory_order_release);
}

static bool behind(const struct cpu_tlb *t)
{
	return atomic_load_explicit(&t->posted, memory_order_relaxed) !=
	       atomic_load_explicit(&t->served, memory_order_relaxed);
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

static void wait_for(struct cpu *cpu, struct cpu *other)
{
	struct cpu_tlb *t = &other->tlb;
	uint64_t seq = atomic_load(&t->posted);

	for (unsigned int spins = 0; atomic_load(&t->served) < seq && atomic_load(&t->in_guest);
	     spins++) {
		if (behind(&cpu->tlb))
			tlb_serve(cpu);
		if (spins < SPINS)
			relax();
		else
			sched_yield();
	}
}

void tlb_sync(struct cpu *cpu)
{
	struct machine *m = cpu->machine;
	unsigned int nr;

	atomic_thread_fence(memory_order_seq_cst);
	if (!cpu->tlb.unsynced)
		return;
	cpu->tlb.unsynced = false;
	nr = __atomic_load_n(&m->nr_cpus, __ATOMIC_ACQUIRE);
	for (unsigned int i = 0; i < nr; i++) {
		struct cpu *other = __atomic_load_n(&m->cpus[i], __ATOMIC_ACQUIRE);

		if (other && other != cpu)
			wait_for(cpu, other);
	}
}

void tlb_pass(struct cpu *cpu)
{
	tlb_maintain(cpu, &(struct tlb_op){.kind = TLB_OP_NOTHING}, true);
	tlb_sync(cpu);
}

void tlb_enter_guest(struct cpu *cpu)
{
	atomic_store_explicit(&cpu->tlb.in_guest, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (behind(&cpu->tlb))
		tlb_serve(cpu);
}

void tlb_leave_guest(struct cpu *cpu)
{
	atomic_store_explicit(&cpu->tlb.in_guest, false, memory_order_release);
}
