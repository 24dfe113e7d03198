/* SPDX-License-Identifier: MIT */
/*
 * Save and restore by DIST_REGS and CPU_REGS: a VM comes to an arbitrary state by random accesses
 * of its guest and random changes of lines; a new one is given what was saved of it, in the order
 * in which QEMU does that; from then on the same accesses and changes must do the same in both.
 *
 * Two things a saved state does not have, for Linux's ABI has no room for them. A level that is
 * asserted is saved as pending; so the first VM is restored in place as well, and then both have it
 * latched. The VMM knows its lines, and drives those of the new VM before it restores.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/kvm/vgic_test.h"

#define CPUS      3
#define STEPS     400
#define ROUNDS    25
#define A_ISR_EL1 A_SYSREG(3, 0, 12, 1, 0)

#define STORE_AT 0x000 /* the two programs: of an access, and what it does to the pins */
#define LOAD_AT  0x040

static uint32_t seed;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)seed * below) >> 32);
}

static struct vgic_vm *new_vm(void)
{
	struct vgic_vm *v = vgic_vm_new(CPUS, 0);
	struct prog p = {0};

	a_str(&p, 2, 2, 1);
	a_mrs(&p, 4, A_ISR_EL1);
	a_str(&p, 3, 4, R_MMIO);
	a_org(&p, LOAD_AT);
	a_ldr(&p, 2, 3, 1);
	a_mrs(&p, 4, A_ISR_EL1);
	a_str(&p, 3, 4, R_MMIO);
	for (unsigned int i = 0; i < CPUS; i++)
		vgic_load(v, i, &p);
	return v;
}

/* The vCPU's pins after it: ISR_EL1. What a load gave is *@value. */
static uint64_t guest_access(struct vgic_vm *v, unsigned int cpu, bool write, uint64_t addr,
			     uint32_t *value)
{
	uint64_t pins;

	set_u64(v->vcpu[cpu], X(1), addr);
	set_u64(v->vcpu[cpu], X(2), *value);
	set_u64(v->vcpu[cpu], PC, RAM + (write ? STORE_AT : LOAD_AT));
	pins = run_to_store(v, cpu);
	if (!write)
		*value = (uint32_t)get_u64(v->vcpu[cpu], X(3));
	return pins;
}

/* ---- What is done ---- */

struct op {
	enum { LINE, ACCESS } kind;
	unsigned int cpu;
	bool write;
	uint64_t addr; /* or INTID */
	uint32_t value;
};

/* Arrays of the Distributor; with how many bits for an interrupt. */
static const struct array {
	uint32_t offset, bits;
} arrays[] = {
	{GICD_IGROUPR, 1},   {GICD_ISENABLER, 1}, {GICD_ICENABLER, 1}, {GICD_ISPENDR, 1},
	{GICD_ICPENDR, 1},   {GICD_ISACTIVER, 1}, {GICD_ICACTIVER, 1}, {GICD_IPRIORITYR, 8},
	{GICD_ITARGETSR, 8}, {GICD_ICFGR, 2},     {GICD_ISENABLER, 1}, {GICD_ITARGETSR, 8},
};

static void any_dist(struct op *op)
{
	const struct array *a = &arrays[any(COUNT(arrays))];

	op->addr = DIST_BASE + a->offset + any(NR_IRQS * a->bits / 32) * 4;
	op->write = any(4);
	op->value = any(2) ? 1u << any(32) : any(UINT32_MAX);
}

static void any_cpu(struct op *op)
{
	static const uint32_t reads[] = {GICC_IAR,   GICC_IAR, GICC_IAR,
					 GICC_HPPIR, GICC_RPR, GICC_CTLR};
	static const struct {
		uint32_t offset, mask;
	} writes[] = {
		{GICC_EOIR, NR_IRQS - 1}, {GICC_EOIR, NR_IRQS - 1}, {GICC_DIR, NR_IRQS - 1},
		{GICC_CTLR, 0x21f},       {GICC_PMR, 0xff},         {GICC_BPR, 7},
		{GICC_ABPR, 7},
	};
	unsigned int i;

	op->write = any(2);
	if (op->write) {
		i = any(COUNT(writes));
		op->addr = CPU_BASE + writes[i].offset;
		op->value = any(UINT32_MAX) & writes[i].mask;
		if (writes[i].offset == GICC_PMR)
			op->value |= 0x80;
		if (writes[i].offset == GICC_CTLR)
			op->value |= 3;
	} else {
		op->addr = CPU_BASE + reads[any(COUNT(reads))];
	}
}

static struct op any_op(void)
{
	struct op op = {.kind = ACCESS, .cpu = any(CPUS)};

	switch (any(8)) {
	case 0:
	case 1:
		op.kind = LINE;
		op.addr = any(4) ? 32 + any(NR_IRQS - 32) : 16 + any(11); /* not the timers' */
		op.value = any(2);
		break;
	case 2:
		op.write = true;
		op.addr = DIST_BASE + GICD_SGIR;
		op.value = any(UINT32_MAX) & 0x0307000f;
		break;
	case 3:
	case 4:
	case 5:
		any_dist(&op);
		break;
	default:
		any_cpu(&op);
	}
	return op;
}

static bool lines[CPUS][NR_IRQS]; /* of SPIs: of vCPU 0 */

static uint64_t do_op(struct vgic_vm *v, const struct op *op, uint32_t *value)
{
	bool spi = op->addr >= 32;

	*value = op->value;
	if (op->kind == ACCESS)
		return guest_access(v, op->cpu, op->write, op->addr, value);
	lines[spi ? 0 : op->cpu][op->addr] = op->value;
	assert_int_equal(irq_line(v, spi ? KVM_ARM_IRQ_TYPE_SPI : KVM_ARM_IRQ_TYPE_PPI,
				  spi ? 0 : op->cpu, op->addr, op->value),
			 0);
	return 0;
}

/* ---- Save and restore, in QEMU's order ---- */

struct dist_step {
	uint32_t clear, offset, bits, irqs;
};

/* @clear: an array of the same shape that all ones are written to before; 0 for none. */
static const struct dist_step dist_steps[] = {
	{GICD_ICENABLER, GICD_ISENABLER, 1, NR_IRQS},
	{0, GICD_IGROUPR, 1, NR_IRQS},
	{0, GICD_ITARGETSR, 8, NR_IRQS},
	{0, GICD_ICFGR, 2, NR_IRQS},
	{GICD_ICPENDR, GICD_ISPENDR, 1, NR_IRQS},
	{GICD_ICACTIVER, GICD_ISACTIVER, 1, NR_IRQS},
	{0, GICD_IPRIORITYR, 8, NR_IRQS},
	{GICD_CPENDSGIR, GICD_SPENDSGIR, 8, 16},
};

static const uint32_t cpu_steps[] = {GICC_CTLR, GICC_PMR,      GICC_BPR,      GICC_ABPR,
				     GICC_APR0, GICC_APR0 + 4, GICC_APR0 + 8, GICC_APR0 + 12};

#define STEP_WORDS (NR_IRQS * 8 / 32)

struct saved {
	uint32_t ctlr;
	uint32_t dist[COUNT(dist_steps)][CPUS][STEP_WORDS];
	uint32_t cpu[CPUS][COUNT(cpu_steps)];
};

/* The words of a step; of those that are not banked, vCPU 0's are all. */
#define FOR_EACH_WORD(step, c, w)               \
	for (unsigned int c = 0; c < CPUS; c++) \
		for (unsigned int w = 0;        \
		     w < (step)->irqs * (step)->bits / 32 && (!c || w < (step)->bits); w++)

static void save(struct vgic_vm *v, struct saved *s)
{
	memset(s, 0, sizeof(*s));
	s->ctlr = dist_get(v, 0, GICD_CTLR);
	for (unsigned int i = 0; i < COUNT(dist_steps); i++)
		FOR_EACH_WORD(&dist_steps[i], c, w)
	s->dist[i][c][w] = dist_get(v, c, dist_steps[i].offset + 4 * w);
	for (unsigned int c = 0; c < CPUS; c++)
		for (unsigned int i = 0; i < COUNT(cpu_steps); i++)
			s->cpu[c][i] = cpu_get(v, c, cpu_steps[i]);
}

static void restore(struct vgic_vm *v, const struct saved *s)
{
	dist_set(v, 0, GICD_CTLR, s->ctlr);
	for (unsigned int i = 0; i < COUNT(dist_steps); i++) {
		const struct dist_step *d = &dist_steps[i];

		if (d->clear)
			FOR_EACH_WORD(d, c, w)
		dist_set(v, c, d->clear + 4 * w, ~0u);
		FOR_EACH_WORD(d, c, w)
		dist_set(v, c, d->offset + 4 * w, s->dist[i][c][w]);
	}
	for (unsigned int c = 0; c < CPUS; c++)
		for (unsigned int i = 0; i < COUNT(cpu_steps); i++)
			cpu_set(v, c, cpu_steps[i], s->cpu[c][i]);
}

static void drive_lines(struct vgic_vm *v)
{
	for (unsigned int c = 0; c < CPUS; c++)
		for (unsigned int i = 16; i < NR_IRQS; i++)
			if (lines[c][i])
				irq_line(v, i < 32 ? KVM_ARM_IRQ_TYPE_PPI : KVM_ARM_IRQ_TYPE_SPI, c,
					 i, 1);
}

static void same_state(struct vgic_vm *v, const struct saved *s)
{
	struct saved now;

	save(v, &now);
	assert_memory_equal(&now, s, sizeof(now));
}

static void compare(struct vgic_vm *a, struct vgic_vm *b, unsigned int round)
{
	for (unsigned int i = 0; i < STEPS; i++) {
		const struct op op = any_op();
		uint32_t va, vb;
		uint64_t pa = do_op(a, &op, &va), pb = do_op(b, &op, &vb);

		if (va != vb || pa != pb)
			fail_msg("round %u, step %u: %s of %#lx by %u: %#x, pins %#lx; restored "
				 "%#x, pins %#lx",
				 round, i,
				 op.kind == LINE ? "line"
				 : op.write      ? "write"
						 : "read",
				 (unsigned long)op.addr, op.cpu, va, (unsigned long)pa, vb,
				 (unsigned long)pb);
	}
}

static void random_walks(void **state)
{
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct vgic_vm *a = new_vm(), *b = new_vm();
		struct saved s, end;
		uint32_t value;

		seed = round;
		memset(lines, 0, sizeof(lines));
		for (unsigned int i = 0; i < STEPS; i++) {
			const struct op op = any_op();

			do_op(a, &op, &value);
		}
		save(a, &s);
		drive_lines(b);
		restore(a, &s);
		restore(b, &s);
		same_state(a, &s);
		same_state(b, &s);
		compare(a, b, round);
		save(a, &end);
		same_state(b, &end);
		vgic_vm_end(a);
		vgic_vm_end(b);
	}
}

/*
 * GICC_APR0 has the active priorities of both groups: restored, that of a Group 1 interrupt is of
 * Group 1 again, so that GICC_AEOIR ends it.
 */
static void groups_of_active_priorities(void **state)
{
	struct vgic_vm *a = new_vm(), *b = new_vm();
	uint32_t value = 0;
	struct saved s;

	dist_set(a, 0, GICD_CTLR, 3);
	dist_set(a, 0, GICD_IGROUPR + 4, 1u << 8);
	dist_set(a, 0, GICD_IPRIORITYR + 40, 0x40);
	dist_set(a, 0, GICD_IPRIORITYR + 44, 0x20);
	cpu_set(a, 0, GICC_CTLR, 7);
	enable_irq(a, 0, 40);
	enable_irq(a, 0, 44);
	dist_set(a, 0, GICD_ISPENDR + 4, 1u << 8);
	assert_int_equal(guest_access(a, 0, false, CPU_BASE + GICC_IAR, &value), 0);
	assert_int_equal(value, 40);
	dist_set(a, 0, GICD_ISPENDR + 4, 1u << 12);
	guest_access(a, 0, false, CPU_BASE + GICC_IAR, &value);
	assert_int_equal(value, 44);
	assert_int_equal(cpu_get(a, 0, GICC_APR0), 1u << 8 | 1u << 4);
	save(a, &s);
	restore(b, &s);
	/* GICC_AEOIR ends the highest of Group 1, which is not the highest. */
	value = 40;
	guest_access(b, 0, true, CPU_BASE + GICC_AEOIR, &value);
	assert_int_equal(cpu_get(b, 0, GICC_APR0), 1u << 4);
	value = 44;
	guest_access(b, 0, true, CPU_BASE + GICC_EOIR, &value);
	assert_int_equal(cpu_get(b, 0, GICC_APR0), 0);
	assert_int_equal(dist_get(b, 0, GICD_ISACTIVER + 4), 0);
	vgic_vm_end(a);
	vgic_vm_end(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_walks),
		cmocka_unit_test(groups_of_active_priorities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
