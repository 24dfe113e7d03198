/* SPDX-License-Identifier: MIT */
/*
 * Slow paths of memory accesses: translation and TLB refill, faults, page crossings, MMIO, cache
 * maintenance, fetches. Read-modify-write is in access_atomic.c.
 *
 *   access_*()  ->  access_place()  ->  TLB probe with the tag stripped
 *                                   ->  mmu_walk()  ->  memslot: fill the TLB, host address
 *                                                   ->  none: MMIO
 *
 * What must hold:
 *  - Nothing of the guest's memory or registers changes before every page of the access is known to
 *    be there.
 *  - A page enters the TLB for writing only when its descriptor is dirty, its slot is writable and
 *    its dirty bit is set.
 *  - Device memory never enters the TLB while the MMU is on: alignment must be checked on each
 *    access.
 */
#include <errno.h>

#include "cpu/access.h"
#include "cpu/access_place.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/host_mem.h"
#include "cpu/mmu.h"
#include "cpu/monitor.h"
#include "cpu/sysreg_rows.h"

#define PAGE_LEFT(va) (MEM_PAGE_SIZE - ((va) & ~TLB_PAGE_MASK))

int access_gone(struct cpu *cpu)
{
	cpu->exit.imm = EFAULT;
	return CPU_EXIT_ERROR;
}

int access_data_fault(struct cpu *cpu, uint64_t va, unsigned int fsc, uint32_t iss)
{
	if (fsc == MMU_FSC_GONE)
		return access_gone(cpu);
	/* What Linux's KVM injects (kvm_inject_dabt()) says nothing of the access. */
	if (fsc == FSC_EXTERNAL)
		iss = 0;
	cpu->fault.esr = ESR(cpu->ps.el ? EC_DABT : EC_DABT_LOW, fsc | iss);
	cpu->fault.far = va;
	cpu->fault.far_valid = true;
	return CPU_FAULT;
}

/* WnR of a fault of an atomic: 0 if a read would fault as well. */
static uint32_t atomic_wnr(struct cpu *cpu, uint64_t cva, unsigned int el)
{
	struct mmu_result r;

	return mmu_walk(cpu, cva, el, MMU_READ, MMU_NO_UPDATE, &r) ? 0 : ISS_WNR;
}

static bool probe(const struct tlb_bank *bank, uint64_t cva, bool write, struct place *p)
{
	const struct tlb_entry *e = &bank->e[tlb_index(cva)];

	if ((write ? e->write_tag : e->read_tag) != (cva & TLB_PAGE_MASK))
		return false;
	p->host = (uint8_t *)(e->addend + (uintptr_t)cva);
	p->pa = (e->info & TLB_INFO_PA) | (cva & ~TLB_PAGE_MASK);
	return true;
}

static void fill(struct cpu *cpu, const struct place_req *q, uint64_t cva, const struct place *p,
		 const struct mem_slot *slot, const struct mmu_result *r)
{
	bool write = r->write && !r->clean && !slot->readonly;
	struct tlb_bank *bank;

	/* The first write to a page must come here for the dirty log. */
	if (slot->dirty && !q->write)
		write = false;
	if (r->device && (cpu->sys.sctlr & SCTLR_M))
		return;
	bank = tlb_fill_bank(cpu, q->unpriv);
	if (bank)
		tlb_fill(bank, cva, p->pa, p->host, r->size_shift, r->ng, r->read, write);
}

int access_place(struct cpu *cpu, uint64_t va, const struct place_req *q, struct place *p)
{
	const struct tlb_bank *bank = q->unpriv ? cpu->bank_el0 : cpu->bank;
	unsigned int el = q->unpriv ? 0 : cpu->ps.el;
	uint64_t cva = mmu_canonical(cpu, va);
	const struct mem_slot *slot;
	struct mmu_result r;

	/* What is in the TLB is not Device memory, or alignment was checked already. */
	if (!(q->flags & ~MMU_UNALIGNED) && probe(bank, cva, q->write, p))
		return CPU_EXIT_NONE;
	if (mmu_walk(cpu, cva, el, q->write ? MMU_WRITE : MMU_READ, q->flags, &r)) {
		uint32_t iss = q->iss;

		if (q->atomic)
			iss |= atomic_wnr(cpu, cva, el);
		return access_data_fault(cpu, va, r.fsc, iss);
	}
	if (r.pa >> cpu->machine->mem.pa_bits)
		return access_data_fault(cpu, va, FSC_EXTERNAL, q->iss);
	p->pa = r.pa;
	p->host = NULL;
	slot = mem_find(&cpu->machine->mem, r.pa);
	if (!slot || (q->write && slot->readonly))
		return CPU_EXIT_NONE;
	p->host = mem_slot_host(slot, r.pa);
	if (q->flags & ~MMU_UNALIGNED)
		return CPU_EXIT_NONE;
	if (q->write)
		mem_mark_dirty(slot, r.pa);
	fill(cpu, q, cva, p, slot, &r);
	return CPU_EXIT_NONE;
}

int access_watch(struct cpu *cpu, uint64_t va, uint64_t len, const struct mem_desc *d, bool write)
{
	uint64_t first;

	if (!cpu->watching || !debug_watchpoint(cpu, mmu_canonical(cpu, va), len,
						d->unpriv ? 0 : cpu->ps.el, write, &first))
		return CPU_EXIT_NONE;
	cpu->fault = (struct cpu_fault){
		.esr = ESR(cpu->ps.el ? EC_WATCH : EC_WATCH_LOW, FSC_DEBUG | (write ? ISS_WNR : 0)),
		.far = va + first,
		.far_valid = true,
	};
	return CPU_FAULT;
}

int access_no_syndrome(struct cpu *cpu, uint64_t va, uint64_t pa, bool write)
{
	cpu->exit.mmio = (struct cpu_mmio){.va = va, .pa = pa, .write = write};
	return CPU_EXIT_NOSYNDROME;
}

/* The machine does the access itself, with *@data in the order of the guest's memory. */
static bool served(struct cpu *cpu, uint64_t pa, const struct mem_desc *d, bool write,
		   uint64_t *data)
{
	const struct machine_ops *ops = cpu->machine->ops;

	return ops->mmio && ops->mmio(cpu, pa, 1u << d->size_log2, write, data);
}

/*
 * A load or store of one general-purpose register that met no memory (KVM's io_mem_abort()):
 * @value goes out, or comes in zero-extended.
 */
static int mmio(struct cpu *cpu, uint64_t va, uint64_t pa, const struct mem_desc *d, bool write,
		uint64_t *value)
{
	uint64_t mask = d->size_log2 < 3 ? BIT64(8u << d->size_log2) - 1 : UINT64_MAX;
	uint64_t data = 0;

	if (!d->isv)
		return access_no_syndrome(cpu, va, pa, write);
	if (write)
		data = (d->be ? swap(*value, d->size_log2) : *value) & mask;
	if (served(cpu, pa, d, write, &data)) {
		if (!write)
			*value = d->be ? swap(data, d->size_log2) : data & mask;
		return CPU_EXIT_NONE;
	}
	cpu->exit.mmio = (struct cpu_mmio){
		.va = va,
		.pa = pa,
		.data = data,
		.size = (uint8_t)(1u << d->size_log2),
		.reg = d->rt,
		.write = write,
		.sign_extend = d->sign,
		.reg64 = d->reg64,
		.be = d->be,
	};
	return CPU_EXIT_MMIO;
}

/* Alignment that is checked before translation: exclusive, ordered, atomic; SCTLR_EL1.A. */
int access_check_align(struct cpu *cpu, uint64_t va, const struct mem_desc *d, bool write)
{
	uint64_t elem = 1ull << d->size_log2, total = elem << d->pair;
	bool bad = (d->align && (va & (total - 1))) ||
		   ((cpu->mode & CPU_MODE_ALIGN) && (va & (elem - 1)));

	if (!bad)
		return CPU_EXIT_NONE;
	return access_data_fault(cpu, va, FSC_ALIGNMENT, write && !d->atomic ? ISS_WNR : 0);
}

static struct place_req request(uint64_t va, const struct mem_desc *d, bool write)
{
	struct place_req q = {.write = write, .unpriv = d->unpriv, .atomic = d->atomic};

	if (write && !d->atomic)
		q.iss = ISS_WNR;
	if (va & ((1ull << d->size_log2) - 1))
		q.flags = MMU_UNALIGNED;
	return q;
}

/* Both pages of an access that crosses into the next one. */
static int place_crossing(struct cpu *cpu, uint64_t va, const struct mem_desc *d, bool write,
			  struct place p[2])
{
	struct place_req q = request(va, d, write);
	uint64_t second = va + PAGE_LEFT(va);
	int err = access_place(cpu, va, &q, &p[0]);

	if (!err)
		err = access_place(cpu, second, &q, &p[1]);
	if (!err)
		err = access_watch(cpu, va, (1ull << d->size_log2) << d->pair, d, write);
	if (err)
		return err;
	if (!p[0].host)
		return access_no_syndrome(cpu, va, p[0].pa, write);
	if (!p[1].host)
		return access_no_syndrome(cpu, second, p[1].pa, write);
	return CPU_EXIT_NONE;
}

/*
 * One element of up to 8 bytes, zero-extended. False: it is not there. Ordered accesses are
 * sequentially consistent among themselves, as LDAR and STLR are.
 */
static bool load_element(const uint8_t *host, const struct mem_desc *d, unsigned int size_log2,
			 uint64_t *value)
{
	uint8_t v8 = 0;
	uint16_t v16 = 0;
	uint32_t v32 = 0;
	uint64_t v = 0;
	bool ok;

	switch (size_log2) {
	case 0:
		ok = host_load8(host, &v8);
		v = v8;
		break;
	case 1:
		ok = host_load16(host, &v16);
		v = v16;
		break;
	case 2:
		ok = host_load32(host, &v32);
		v = v32;
		break;
	default:
		ok = host_load64(host, &v);
		break;
	}
	if (d->order != MEM_PLAIN)
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	*value = d->be ? swap(v, size_log2) : v;
	return ok;
}

static bool store_element(uint8_t *host, const struct mem_desc *d, unsigned int size_log2,
			  uint64_t v)
{
	bool ok;

	if (d->be)
		v = swap(v, size_log2);
	if (d->order != MEM_PLAIN)
		__atomic_thread_fence(__ATOMIC_RELEASE);
	switch (size_log2) {
	case 0:
		ok = host_store8(host, (uint8_t)v);
		break;
	case 1:
		ok = host_store16(host, (uint16_t)v);
		break;
	case 2:
		ok = host_store32(host, (uint32_t)v);
		break;
	default:
		ok = host_store64(host, v);
		break;
	}
	if (d->order != MEM_PLAIN)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ok;
}

/* LDXP of two words: they are one doubleword to other observers (Arm ARM B2.2.1). */
static bool load_word_pair(const uint8_t *host, const struct mem_desc *d, uint64_t out[4])
{
	struct mem_desc whole = *d;
	uint64_t v;

	whole.be = 0;
	if (!load_element(host, &whole, 3, &v))
		return false;
	for (unsigned int i = 0; i < 2; i++) {
		out[i] = (uint32_t)(v >> 32 * i);
		if (d->be)
			out[i] = swap(out[i], 2);
	}
	return true;
}

/* All elements of an access at @host, where they lie one after the other. False: not there. */
static bool load_elements(const uint8_t *host, const struct mem_desc *d, uint64_t out[4])
{
	unsigned int nr = 1u + d->pair;
	bool ok = true;

	if (!d->pair && d->size_log2 < 4)
		return load_element(host, d, d->size_log2, out);
	if (d->excl && d->size_log2 == 2)
		return load_word_pair(host, d, out);
	for (unsigned int i = 0; ok && i < nr; i++) {
		if (d->size_log2 < 4) {
			ok = load_element(host + ((size_t)i << d->size_log2), d, d->size_log2,
					  &out[i]);
			continue;
		}
		/* Sixteen bytes are two halves; big-endian, the first is the more significant. */
		ok = load_element(host + 16 * i, d, 3, &out[2 * i + d->be]) &&
		     load_element(host + 16 * i + 8, d, 3, &out[2 * i + !d->be]);
	}
	return ok;
}

static bool store_elements(uint8_t *host, const struct mem_desc *d, const uint64_t in[4])
{
	unsigned int nr = 1u + d->pair;
	bool ok = true;

	if (!d->pair && d->size_log2 < 4)
		return store_element(host, d, d->size_log2, in[0]);
	for (unsigned int i = 0; ok && i < nr; i++) {
		if (d->size_log2 < 4) {
			ok = store_element(host + ((size_t)i << d->size_log2), d, d->size_log2,
					   in[i]);
			continue;
		}
		ok = store_element(host + 16 * i, d, 3, in[2 * i + d->be]) &&
		     store_element(host + 16 * i + 8, d, 3, in[2 * i + !d->be]);
	}
	return ok;
}

static void extend(const struct mem_desc *d, uint64_t out[4])
{
	unsigned int unused = 64 - (8u << d->size_log2);

	if (!d->sign || d->size_log2 >= 3)
		return;
	for (unsigned int i = 0; i <= d->pair; i++) {
		out[i] = (uint64_t)((int64_t)(out[i] << unused) >> unused);
		if (!d->reg64)
			out[i] = (uint32_t)out[i];
	}
}

static void open_monitor(struct cpu *cpu, uint64_t va, uint64_t size, const uint64_t val[2])
{
	cpu->excl_addr = mmu_canonical(cpu, va);
	cpu->excl_size = size;
	cpu->excl_val[0] = val[0];
	cpu->excl_val[1] = val[1];
}

int access_load(struct cpu *cpu, uint64_t va, const struct mem_desc *d, uint64_t out[4])
{
	uint64_t total = (1ull << d->size_log2) << d->pair, left = PAGE_LEFT(va);
	uint8_t buf[32];
	struct place p[2];
	int err = access_check_align(cpu, va, d, false);

	if (err)
		return err;
	if (total <= left) {
		struct place_req q = request(va, d, false);

		err = access_place(cpu, va, &q, &p[0]);
		if (!err)
			err = access_watch(cpu, va, total, d, false);
		if (err)
			return err;
		if (!p[0].host) {
			err = mmio(cpu, va, p[0].pa, d, false, out);
			if (!err)
				extend(d, out);
			return err;
		}
		err = d->excl ? monitor_mark(cpu, p[0].host) : CPU_EXIT_NONE;
		if (err)
			return err;
		if (!load_elements(p[0].host, d, out))
			return access_gone(cpu);
	} else {
		err = place_crossing(cpu, va, d, false, p);
		if (err)
			return err;
		if (!host_copy_from(buf, p[0].host, left) ||
		    !host_copy_from(buf + left, p[1].host, total - left))
			return access_gone(cpu);
		load_elements(buf, d, out);
	}
	if (d->excl)
		open_monitor(cpu, va, total, out);
	extend(d, out);
	return CPU_EXIT_NONE;
}

int access_store(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t in[4])
{
	uint64_t total = (1ull << d->size_log2) << d->pair, left = PAGE_LEFT(va);
	uint64_t value = in[0];
	uint8_t buf[32];
	struct place p[2];
	int err = access_check_align(cpu, va, d, true);

	if (err)
		return err;
	if (total <= left) {
		struct place_req q = request(va, d, true);

		err = access_place(cpu, va, &q, &p[0]);
		if (!err)
			err = access_watch(cpu, va, total, d, true);
		if (err)
			return err;
		if (!p[0].host)
			return mmio(cpu, va, p[0].pa, d, true, &value);
		if (!store_elements(p[0].host, d, in))
			return access_gone(cpu);
	} else {
		err = place_crossing(cpu, va, d, true, p);
		if (err)
			return err;
		store_elements(buf, d, in);
		if (!host_copy_to(p[0].host, buf, left) ||
		    !host_copy_to(p[1].host, buf + left, total - left))
			return access_gone(cpu);
	}
	return CPU_EXIT_NONE;
}

int access_probe(struct cpu *cpu, uint64_t va, uint64_t len, const struct mem_desc *d, bool write)
{
	struct place_req q = request(va, d, write);
	uint64_t done = 0;

	while (done < len) {
		struct place p;
		int err = access_place(cpu, va + done, &q, &p);

		if (err)
			return err;
		if (!p.host)
			return access_no_syndrome(cpu, va + done, p.pa, write);
		done += PAGE_LEFT(va + done);
	}
	return access_watch(cpu, va, len, d, write);
}

int access_dc_zva(struct cpu *cpu, uint64_t va)
{
	static const uint64_t zeroes[BLOCK_ZVA / 8];
	struct place_req q = {.write = true, .iss = ISS_WNR, .flags = MMU_UNALIGNED};
	uint64_t block = va & ~(uint64_t)(BLOCK_ZVA - 1);
	struct place p;
	int err;

	if (!cpu->ps.el && !(cpu->sys.sctlr & SCTLR_DZE))
		return sysreg_trap(cpu, SYSREG(1, 3, 7, 4, 1), false);
	/* To Device memory it is always an alignment fault; with the MMU off all is Device. */
	if (!(cpu->sys.sctlr & SCTLR_M))
		return access_data_fault(cpu, va, FSC_ALIGNMENT, ISS_WNR);
	err = access_place(cpu, block, &q, &p);
	if (err) {
		cpu->fault.far = va;
		return err;
	}
	err = access_watch(cpu, block, BLOCK_ZVA, &(struct mem_desc){0}, true);
	if (err)
		return err;
	if (!p.host)
		return access_no_syndrome(cpu, va, p.pa, true);
	if (!host_copy_to(p.host, zeroes, BLOCK_ZVA))
		return access_gone(cpu);
	return CPU_EXIT_NONE;
}

int access_cache(struct cpu *cpu, uint64_t va, enum cache_op op)
{
	const struct machine_ops *ops = cpu->machine->ops;
	struct place_req q = {.iss = ISS_CM | ISS_WNR, .flags = MMU_NO_PAN};
	struct place p;
	uint8_t byte;
	int err;

	/*
	 * At EL0 a read must be allowed; invalidation destroys data, so a write must be (D4.4.8).
	 */
	if (op == CACHE_DC_INVALIDATE)
		q.write = true;
	else if (cpu->ps.el)
		q.flags |= MMU_NO_PERM;
	err = access_place(cpu, va, &q, &p);
	if (err)
		return err;
	/* Linux's KVM maps the page for it, too. */
	if (p.host && !host_load8(p.host, &byte))
		return access_gone(cpu);
	if (op == CACHE_IC_IVAU && p.host && ops && ops->icache_invalidate)
		ops->icache_invalidate(cpu->machine, p.pa & ~(uint64_t)(BLOCK_ZVA - 1), BLOCK_ZVA);
	return CPU_EXIT_NONE;
}

/* --- Fetches --- */

static int fetch_fault(struct cpu *cpu, unsigned int fsc)
{
	if (fsc == MMU_FSC_GONE)
		return access_gone(cpu);
	cpu->fault.esr = ESR(cpu->ps.el ? EC_IABT : EC_IABT_LOW, fsc);
	cpu->fault.far = cpu->pc;
	cpu->fault.far_valid = true;
	return CPU_FAULT;
}

static int plain_fault(struct cpu *cpu, uint32_t esr)
{
	cpu->fault = (struct cpu_fault){.esr = esr};
	return CPU_FAULT;
}

static int step_fault(struct cpu *cpu)
{
	uint32_t iss = FSC_DEBUG;

	if (cpu->stepped)
		iss |= STEP_ISV | (cpu->stepped_ex ? STEP_EX : 0);
	return plain_fault(cpu, ESR(cpu->ps.el ? EC_STEP : EC_STEP_LOW, iss));
}

int access_fetch(struct cpu *cpu, struct xtlb_entry **x)
{
	const struct mem_slot *slot;
	struct tlb_bank *bank;
	struct mmu_result r;
	uint8_t *host;

	/* In the order of their priority (D1.12.4). */
	if (cpu_step_pending(cpu))
		return step_fault(cpu);
	cpu->pc = mmu_canonical(cpu, cpu->pc);
	if (cpu->pc & 3) {
		cpu->fault = (struct cpu_fault){ESR(EC_PC_ALIGN, 0), cpu->pc, true};
		return CPU_FAULT;
	}
	if (mmu_walk(cpu, cpu->pc, cpu->ps.el, MMU_EXEC, 0, &r))
		return fetch_fault(cpu, r.fsc);
	slot = mem_find(&cpu->machine->mem, r.pa);
	if (!slot)
		return fetch_fault(cpu, FSC_EXTERNAL);
	if ((cpu->mode & CPU_MODE_STEP) && debug_breaking(cpu) && debug_breakpoint(cpu))
		return plain_fault(cpu, ESR(cpu->ps.el ? EC_BREAK : EC_BREAK_LOW, FSC_DEBUG));
	if (cpu->ps.il)
		return plain_fault(cpu, ESR(EC_ILLEGAL_STATE, 0));
	host = mem_slot_host(slot, r.pa);
	bank = tlb_fill_bank(cpu, false);
	if (bank) {
		*x = tlb_fill_exec(bank, cpu->pc, r.pa, host, r.size_shift, r.ng);
		return CPU_EXIT_NONE;
	}
	cpu->tlb.watched = (struct xtlb_entry){
		.tag = cpu->pc & TLB_PAGE_MASK,
		.info = r.pa & TLB_INFO_PA,
		.host = host - (cpu->pc & ~TLB_PAGE_MASK),
	};
	*x = &cpu->tlb.watched;
	return CPU_EXIT_NONE;
}

bool access_insn(struct cpu *cpu, uint32_t *insn)
{
	const struct mem_slot *slot;
	struct mmu_result r;

	if (mmu_walk(cpu, mmu_canonical(cpu, cpu->pc), cpu->ps.el, MMU_EXEC, MMU_NO_UPDATE, &r))
		return false;
	slot = mem_find(&cpu->machine->mem, r.pa);
	if (!slot)
		return false;
	return host_load32(mem_slot_host(slot, r.pa), insn);
}
