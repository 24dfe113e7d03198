/* SPDX-License-Identifier: MIT */
/*
 * One register at a time: KVM_GET_ONE_REG, KVM_SET_ONE_REG, KVM_GET_REG_LIST (api.rst 4.68
 * to 4.70).
 *
 * An id belongs to a class (core, firmware, timer, system, demultiplexed); each class has a
 * function to get and one to set. System registers come from the table of cpu/sysreg.c, so that
 * what the guest sees and what the VMM saves cannot differ. The list is in Linux's order: core,
 * firmware, timers, system, cache sizes.
 *
 * Values are moved as the id's size says; errors are Linux 6.1's: -EINVAL for an id of another
 * architecture or a core register of the wrong size, -ENOENT for what is not there.
 */
#include <string.h>

#include "cpu/pmu.h"
#include "cpu/sysreg.h"
#include "cpu/timer.h"
#include "kvm/kvm.h"

#define CORE_WORDS (sizeof(struct kvm_regs) / sizeof(uint32_t))
#define MODE_MASK  0x1f /* of PSTATE, with the AArch32 bit */
#define CACHES     14   /* CSSELR_EL1 values: 7 levels, data or instruction */

union value {
	uint32_t w;
	uint64_t d;
	union vreg v;
};

/* ---- Core registers ---- */

#define CORE(name)  KVM_REG_ARM_CORE_REG(name)
#define CORE_64_END (CORE(spsr) + 2 * KVM_NR_SPSR)

/* Bytes of the core register that begins at word @off of struct kvm_regs; 0: none does. */
static unsigned int core_size(uint64_t off)
{
	if (off < CORE_64_END)
		return off % 2 ? 0 : 8;
	if (off < CORE(fp_regs.vregs))
		return 0; /* padding */
	if (off < CORE(fp_regs.fpsr))
		return (off - CORE(fp_regs.vregs)) % 4 ? 0 : 16;
	return off <= CORE(fp_regs.fpcr) ? 4 : 0;
}

/* SP_EL0 or SP_EL1, wherever it is now. */
static uint64_t *stack_pointer(struct cpu *cpu, unsigned int el)
{
	unsigned int in_use = cpu->ps.el && cpu->ps.spsel;

	return el == in_use ? &cpu->x[31] : &cpu->sp_el[el];
}

/* Where a core register of 64 bits that is plain storage lies. */
static uint64_t *core_storage(struct vcpu *vcpu, uint64_t off)
{
	struct cpu *cpu = vcpu->cpu;
	uint64_t *const spsr[KVM_NR_SPSR] = {&cpu->sys.spsr, &vcpu->spsr_abt, &vcpu->spsr_und,
					     &vcpu->spsr_irq, &vcpu->spsr_fiq};

	if (off < CORE(regs.sp))
		return &cpu->x[off / 2];
	if (off == CORE(regs.sp))
		return stack_pointer(cpu, 0);
	if (off == CORE(regs.pc))
		return &cpu->pc;
	if (off == CORE(sp_el1))
		return stack_pointer(cpu, 1);
	if (off == CORE(elr_el1))
		return &cpu->sys.elr;
	return spsr[(off - CORE(spsr)) / 2];
}

static uint64_t core_offset(uint64_t id)
{
	return id & ~(KVM_REG_ARCH_MASK | KVM_REG_SIZE_MASK | KVM_REG_ARM_CORE);
}

static long core_check(uint64_t id)
{
	uint64_t off = core_offset(id);

	if (off >= CORE_WORDS || off + KVM_REG_SIZE(id) / sizeof(uint32_t) >= CORE_WORDS)
		return -ENOENT;
	return core_size(off) == KVM_REG_SIZE(id) ? 0 : -EINVAL;
}

static long core_get(struct vcpu *vcpu, uint64_t id, union value *value)
{
	uint64_t off = core_offset(id);
	struct cpu *cpu = vcpu->cpu;
	long ret = core_check(id);

	if (ret)
		return ret;
	if (off == CORE(regs.pstate))
		value->d = cpu_pstate(cpu);
	else if (off < CORE(fp_regs.vregs))
		value->d = *core_storage(vcpu, off);
	else if (off < CORE(fp_regs.fpsr))
		value->v = cpu->v[(off - CORE(fp_regs.vregs)) / 4];
	else
		value->w = off == CORE(fp_regs.fpsr) ? cpu_fpsr(cpu) : cpu->fpcr;
	return 0;
}

static long set_pstate(struct cpu *cpu, uint64_t pstate)
{
	switch (pstate & MODE_MASK) {
	case PSR_MODE_EL0t:
	case PSR_MODE_EL1t:
	case PSR_MODE_EL1h:
		break;
	default:
		return -EINVAL; /* no AArch32, no EL2 */
	}
	cpu_set_pstate(cpu, pstate);
	return 0;
}

static long core_set(struct vcpu *vcpu, uint64_t id, const union value *value)
{
	uint64_t off = core_offset(id);
	struct cpu *cpu = vcpu->cpu;

	if (off == CORE(regs.pstate))
		return set_pstate(cpu, value->d);
	if (off < CORE(fp_regs.vregs)) {
		*core_storage(vcpu, off) = value->d;
	} else if (off < CORE(fp_regs.fpsr)) {
		cpu->v[(off - CORE(fp_regs.vregs)) / 4] = value->v;
	} else if (off == CORE(fp_regs.fpsr)) {
		cpu->fpsr = value->w;
	} else {
		cpu->fpcr = value->w;
		cpu_update_mode(cpu);
	}
	return 0;
}

/* ---- Timers. Two ids have each other's encodings (see the header of the ABI). ---- */

enum timer_part { PART_CTL, PART_CNT, PART_CVAL };

/* The physical timer's are there from Linux 6.4 on, and without a capability. */
static const struct timer_reg {
	uint64_t id;
	enum timer_id timer;
	enum timer_part part;
} timer_regs[] = {
	{KVM_REG_ARM_TIMER_CTL, TIMER_VIRT, PART_CTL},
	{KVM_REG_ARM_TIMER_CNT, TIMER_VIRT, PART_CNT},
	{KVM_REG_ARM_TIMER_CVAL, TIMER_VIRT, PART_CVAL},
	{KVM_REG_ARM_PTIMER_CTL, TIMER_PHYS, PART_CTL},
	{KVM_REG_ARM_PTIMER_CNT, TIMER_PHYS, PART_CNT},
	{KVM_REG_ARM_PTIMER_CVAL, TIMER_PHYS, PART_CVAL},
};

static const struct timer_reg *timer_find(uint64_t id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(timer_regs); i++)
		if (timer_regs[i].id == id)
			return &timer_regs[i];
	return NULL;
}

static long timer_get(struct vcpu *vcpu, const struct timer_reg *r, union value *value)
{
	const struct timer *t = &vcpu->cpu->timers.t[r->timer];
	uint64_t now = timer_now(vcpu->cpu, r->timer);

	if (r->part == PART_CNT)
		value->d = now;
	else if (r->part == PART_CVAL)
		value->d = t->cval;
	else
		value->d = t->ctl | (now >= t->cval ? TIMER_ISTATUS : 0);
	return 0;
}

/* That counter of all vCPUs goes on from @value. */
static void set_counter(struct vm *vm, enum timer_id id, uint64_t value)
{
	pthread_mutex_lock(&vm->lock);
	vm_rebase_counter(vm, id, timer_count() - value);
	pthread_mutex_unlock(&vm->lock);
}

static long timer_set(struct vcpu *vcpu, const struct timer_reg *r, const union value *value)
{
	struct timer *t = &vcpu->cpu->timers.t[r->timer];

	if (r->part == PART_CNT)
		set_counter(vcpu->vm, r->timer, value->d);
	else if (r->part == PART_CVAL)
		t->cval = value->d;
	else
		t->ctl = value->d & (TIMER_ENABLE | TIMER_IMASK);
	return 0;
}

/* ---- System registers, and cache sizes by CSSELR ---- */

static long ccsidr_get(struct vcpu *vcpu, uint64_t id, union value *value)
{
	uint64_t known = KVM_REG_ARCH_MASK | KVM_REG_SIZE_MASK | KVM_REG_ARM_COPROC_MASK | 0xffff;
	uint64_t v = 0;

	if ((id & ~known) || (id & KVM_REG_ARM_DEMUX_ID_MASK) != KVM_REG_ARM_DEMUX_ID_CCSIDR ||
	    KVM_REG_SIZE(id) != sizeof(value->w) ||
	    sysreg_ccsidr(id & KVM_REG_ARM_DEMUX_VAL_MASK, &v))
		return -ENOENT;
	value->w = (uint32_t)v;
	return 0;
}

static const struct sysreg *system_find(struct vcpu *vcpu, uint64_t id)
{
	uint64_t fixed = KVM_REG_ARM64 | KVM_REG_ARM64_SYSREG | KVM_REG_SIZE_U64;
	const struct sysreg *r;

	if ((id & ~0xffffull) != fixed)
		return NULL;
	r = machine_sysreg(&vcpu->vm->machine, id & 0xffff);
	if (!r || !(r->flags & SR_ONE_REG))
		return NULL;
	if ((r->flags & SR_PMU) && !(vcpu->cpu->features & CPU_FEATURE_PMU))
		return NULL;
	return r;
}

static long system_get(struct vcpu *vcpu, uint64_t id, union value *value)
{
	const struct sysreg *r = system_find(vcpu, id);

	return r ? sysreg_get_user(vcpu->cpu, r, &value->d) : -ENOENT;
}

static long system_set(struct vcpu *vcpu, uint64_t id, const union value *value)
{
	const struct sysreg *r = system_find(vcpu, id);
	long ret;

	if (!r)
		return -ENOENT;
	pmu_sync(vcpu->cpu);
	ret = sysreg_set_user(vcpu->cpu, r, value->d);
	cpu_update_mode(vcpu->cpu);
	return ret;
}

/* ---- Requests ---- */

/* Ids of this architecture. */
static bool is_arm64(uint64_t id)
{
	return (id & ~KVM_REG_SIZE_MASK) >> 32 == KVM_REG_ARM64 >> 32;
}

static long get_value(struct vcpu *vcpu, uint64_t id, union value *value)
{
	const struct timer_reg *timer = timer_find(id);

	switch (id & KVM_REG_ARM_COPROC_MASK) {
	case KVM_REG_ARM_CORE:
		return core_get(vcpu, id, value);
	case KVM_REG_ARM_FW:
	case KVM_REG_ARM_FW_FEAT_BMAP:
		return firmware_get(vcpu, id, &value->d);
	case KVM_REG_ARM64_SVE:
		return -ENOENT;
	case KVM_REG_ARM_DEMUX:
		return ccsidr_get(vcpu, id, value);
	}
	return timer ? timer_get(vcpu, timer, value) : system_get(vcpu, id, value);
}

/** one_reg_get() - KVM_GET_ONE_REG: 0, -EINVAL, -ENOENT, -EFAULT. */
long one_reg_get(struct vcpu *vcpu, const struct kvm_one_reg *reg)
{
	union value value = {0};
	long ret;

	if (!is_arm64(reg->id))
		return -EINVAL;
	ret = get_value(vcpu, reg->id, &value);
	return ret ? ret : copy_out(reg->addr, &value, KVM_REG_SIZE(reg->id));
}

static long set_demux(struct vcpu *vcpu, uint64_t id, uint64_t addr)
{
	union value now = {0}, value = {0};
	long ret = ccsidr_get(vcpu, id, &now);

	if (ret)
		return ret;
	if (copy_in(&value, addr, sizeof(value.w)))
		return -EFAULT;
	return value.w == now.w ? 0 : -EINVAL;
}

/** one_reg_set() - KVM_SET_ONE_REG: 0, -EINVAL, -ENOENT, -EFAULT, -EBUSY. */
long one_reg_set(struct vcpu *vcpu, const struct kvm_one_reg *reg)
{
	uint64_t class = reg->id & KVM_REG_ARM_COPROC_MASK;
	const struct timer_reg *timer = timer_find(reg->id);
	size_t size = sizeof(uint64_t);
	union value value = {0};
	long ret;

	if (!is_arm64(reg->id))
		return -EINVAL;
	if (class == KVM_REG_ARM64_SVE)
		return -ENOENT;
	if (class == KVM_REG_ARM_DEMUX)
		return set_demux(vcpu, reg->id, reg->addr);
	if (class == KVM_REG_ARM_CORE) {
		ret = core_check(reg->id);
		if (ret)
			return ret;
		size = KVM_REG_SIZE(reg->id);
	}
	if ((class == KVM_REG_ARM_FW || class == KVM_REG_ARM_FW_FEAT_BMAP) &&
	    KVM_REG_SIZE(reg->id) != sizeof(uint64_t))
		return -ENOENT;
	if (copy_in(&value, reg->addr, size))
		return -EFAULT;
	if (class == KVM_REG_ARM_CORE)
		return core_set(vcpu, reg->id, &value);
	if (class == KVM_REG_ARM_FW || class == KVM_REG_ARM_FW_FEAT_BMAP)
		return firmware_set(vcpu, reg->id, value.d);
	return timer ? timer_set(vcpu, timer, &value) : system_set(vcpu, reg->id, &value);
}

/* ---- The list ---- */

struct list {
	uint64_t user; /* 0: only count */
	uint64_t n;
	bool fault;
};

static void list_add(struct list *l, uint64_t id)
{
	if (l->user && copy_out(l->user + l->n * sizeof(id), &id, sizeof(id)))
		l->fault = true;
	l->n++;
}

static void list_core(struct list *l)
{
	static const uint64_t size_bits[] = {
		[4] = KVM_REG_SIZE_U32, [8] = KVM_REG_SIZE_U64, [16] = KVM_REG_SIZE_U128};
	uint64_t off;

	for (off = 0; off < CORE_WORDS; off++)
		if (core_size(off))
			list_add(l, KVM_REG_ARM64 | KVM_REG_ARM_CORE | size_bits[core_size(off)] |
					    off);
}

static void list_system(struct vcpu *vcpu, struct list *l, const struct sysreg *r, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint64_t id = KVM_REG_ARM64 | KVM_REG_ARM64_SYSREG | KVM_REG_SIZE_U64 | r[i].enc;

		if (system_find(vcpu, id) && !timer_find(id))
			list_add(l, id);
	}
}

static void list_all(struct vcpu *vcpu, struct list *l)
{
	const struct sysreg_rows *more = machine_sysregs(&vcpu->vm->machine);
	const struct sysreg *r;
	uint64_t ccsidr;
	size_t i, n;

	list_core(l);
	for (i = 0; i < firmware_nr_regs; i++)
		list_add(l, firmware_regs[i]);
	for (i = 0; i < ARRAY_SIZE(timer_regs); i++)
		list_add(l, timer_regs[i].id);
	r = sysreg_table(&n);
	list_system(vcpu, l, r, n);
	if (more)
		list_system(vcpu, l, more->row, more->nr);
	for (i = 0; i < CACHES; i++)
		if (!sysreg_ccsidr(i, &ccsidr))
			list_add(l, KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX |
					    KVM_REG_ARM_DEMUX_ID_CCSIDR | i);
}

/**
 * one_reg_list() - KVM_GET_REG_LIST.
 * @user: the VMM's struct kvm_reg_list; n is always set to how many there are
 *
 * Return: 0, -E2BIG when there was no room for all, -EFAULT.
 */
long one_reg_list(struct vcpu *vcpu, unsigned long user)
{
	struct list l = {0};
	uint64_t room;

	if (copy_in(&room, user, sizeof(room)))
		return -EFAULT;
	list_all(vcpu, &l);
	if (copy_out(user, &l.n, sizeof(l.n)))
		return -EFAULT;
	if (room < l.n)
		return -E2BIG;
	l = (struct list){.user = user + offsetof(struct kvm_reg_list, reg)};
	list_all(vcpu, &l);
	return l.fault ? -EFAULT : 0;
}
