/* SPDX-License-Identifier: MIT */
/* The pins of a vCPU: KVM_IRQ_LINE of type CPU, what it wakes, and what VCPU_INIT does to it. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "conform/conform.h"

#define VECTOR_IRQ  0x280 /* from EL1 with SP_EL1 */
#define VECTOR_FIQ  0x300
#define TOOK_IRQ    100
#define TOOK_FIQ    101
#define IRQ_TYPE(t) ((uint32_t)(t) << KVM_ARM_IRQ_TYPE_SHIFT)
#define IRQ_VCPU(v) ((uint32_t)(v) << KVM_ARM_IRQ_VCPU_SHIFT)

/* Vectors that report which interrupt was taken, and stay there. */
static void add_vectors(struct prog *p)
{
	a_org(p, VECTORS + VECTOR_IRQ);
	p_report_imm(p, TOOK_IRQ);
	p_spin(p);
	a_org(p, VECTORS + VECTOR_FIQ);
	p_report_imm(p, TOOK_FIQ);
	p_spin(p);
}

/* All vCPUs of @g at the program's beginning. */
static struct guest *start_all(struct guest *g, struct prog *p)
{
	add_vectors(p);
	guest_load(g, p, 0);
	for (int i = 0; i < g->nr; i++) {
		guest_start(g, i, 0);
		set_reg(g, i, SYS_REG(A_VBAR_EL1), RAM_BASE + VECTORS);
	}
	return g;
}

static struct guest *start(struct prog *p, int nr)
{
	return start_all(guest_new(nr, 0), p);
}

struct driver {
	struct guest *g;
	unsigned int pin;
	unsigned int us;
};

static void *drive_later(void *arg)
{
	struct driver *d = arg;

	usleep(d->us);
	set_pin(d->g, 0, d->pin, 1);
	return NULL;
}

/* Drive @pin of vCPU 0 from another thread while it runs, and see what it reports. */
static uint64_t report_after_pin(struct guest *g, unsigned int pin)
{
	struct driver d = {g, pin, 10000};
	pthread_t thread;
	uint64_t value;

	CHECK(!pthread_create(&thread, NULL, drive_later, &d));
	value = run_to_report(g, 0);
	pthread_join(thread, NULL);
	return value;
}

static void pin_spinning(unsigned int pin)
{
	struct prog p = {0};

	a_daifclr(&p, A_DAIF_I | A_DAIF_F);
	p_spin(&p);
	CHECK_EQ(report_after_pin(start(&p, 1), pin),
		 pin == KVM_ARM_IRQ_CPU_IRQ ? TOOK_IRQ : TOOK_FIQ);
}

static void pin_wfi(unsigned int pin)
{
	struct prog p = {0};

	a_daifclr(&p, A_DAIF_I | A_DAIF_F);
	a_wfi(&p);
	p_spin(&p);
	CHECK_EQ(report_after_pin(start(&p, 1), pin),
		 pin == KVM_ARM_IRQ_CPU_IRQ ? TOOK_IRQ : TOOK_FIQ);
}

static void pin_wfi_masked(unsigned int pin)
{
	struct prog p = {0};

	a_wfi(&p);
	p_report_imm(&p, 1);
	p_spin(&p);
	CHECK_EQ(report_after_pin(start(&p, 1), pin), 1);
}

/*
 * Level-sensitive: masked it waits; when it is lowered before the mask is lifted, nothing is taken.
 */
static void pin_level(unsigned int pin)
{
	struct prog p = {0};
	struct guest *g;

	p_report_imm(&p, 1);
	a_daifclr(&p, A_DAIF_I | A_DAIF_F);
	a_nop(&p);
	p_report_imm(&p, 2);
	a_daifset(&p, A_DAIF_I | A_DAIF_F);
	p_report_imm(&p, 3);
	a_daifclr(&p, A_DAIF_I | A_DAIF_F);
	p_spin(&p);
	g = start(&p, 1);
	set_pin(g, 0, pin, 1);
	CHECK_EQ(run_to_report(g, 0), 1);
	set_pin(g, 0, pin, 0);
	CHECK_EQ(run_to_report(g, 0), 2);
	CHECK_EQ(run_to_report(g, 0), 3);
	set_pin(g, 0, pin, 1);
	CHECK_EQ(run_to_report(g, 0), pin == KVM_ARM_IRQ_CPU_IRQ ? TOOK_IRQ : TOOK_FIQ);
}

/* While the line is high the interrupt is taken again and again. */
static void pin_again(unsigned int pin)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	int i;

	a_daifclr(&p, A_DAIF_I | A_DAIF_F);
	p_spin(&p);
	a_org(&p, VECTORS + (pin == KVM_ARM_IRQ_CPU_IRQ ? VECTOR_IRQ : VECTOR_FIQ));
	p_report_imm(&p, TOOK_IRQ);
	a_eret(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	set_reg(g, 0, SYS_REG(A_VBAR_EL1), RAM_BASE + VECTORS);
	set_pin(g, 0, pin, 1);
	for (i = 0; i < 5; i++)
		CHECK_EQ(run_to_report(g, 0), TOOK_IRQ);
}

static void pin_other_vcpu(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;
	bool late;

	a_daifclr(&p, A_DAIF_I | A_DAIF_F);
	p_spin(&p);
	g = start(&p, 2);
	set_pin(g, 1, KVM_ARM_IRQ_CPU_IRQ, 1);
	CHECK(run_for(g, 0, 20, &late).err == EINTR && late);
	CHECK_EQ(run_to_report(g, 1), TOOK_IRQ);
}

static void irq_line_errors(unsigned int arg)
{
	static const struct {
		uint32_t irq;
		int ret;
	} rows[] = {
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_CPU) | KVM_ARM_IRQ_CPU_IRQ, 0},
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_CPU) | KVM_ARM_IRQ_CPU_FIQ, 0},
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_CPU) | 2, -EINVAL},
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_CPU) | 0xffff, -EINVAL},
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_CPU) | IRQ_VCPU(1), 0},
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_CPU) | IRQ_VCPU(2), -EINVAL},
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_CPU) | IRQ_VCPU(255), -EINVAL},
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_CPU) | 1u << KVM_ARM_IRQ_VCPU2_SHIFT, -EINVAL},
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_SPI) | 32, -ENXIO},
		{IRQ_TYPE(KVM_ARM_IRQ_TYPE_PPI) | 27, -ENXIO},
		{IRQ_TYPE(3), -EINVAL},
	};
	struct guest *g = guest_new(2, 0);

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		int ret = irq_line(g, rows[i].irq, 0);

		if (ret != rows[i].ret)
			FAIL("KVM_IRQ_LINE of 0x%08x: %d, should be %d", rows[i].irq, ret,
			     rows[i].ret);
	}
}

/* The vCPU field is the index of creation, not the id. */
static void creation_index(unsigned int arg)
{
	static const int ids[] = {3, 0};
	struct prog p = {0};
	struct guest *g;
	bool late;

	a_daifclr(&p, A_DAIF_I | A_DAIF_F);
	p_spin(&p);
	g = guest_with_ids(ids, ARRAY_SIZE(ids));
	CHECK_EQ(vcpu_init(g, 0, 1u << KVM_ARM_VCPU_PSCI_0_2), 0);
	CHECK_EQ(vcpu_init(g, 1, 1u << KVM_ARM_VCPU_PSCI_0_2), 0);
	start_all(g, &p);
	/* Index 3 does not exist although an id 3 does. */
	CHECK_EQ(irq_line(g, IRQ_VCPU(3), 1), -EINVAL);
	CHECK_EQ(irq_line(g, IRQ_VCPU(0), 1), 0);
	CHECK(run_for(g, 1, 20, &late).err == EINTR && late);
	CHECK_EQ(run_to_report(g, 0), TOOK_IRQ);
}

/* With an in-kernel irqchip, a vCPU's pins are not the VMM's. */
static void irqchip_pins(unsigned int arg)
{
	struct kvm_create_device d = {.type = KVM_DEV_TYPE_ARM_VGIC_V3};
	struct guest *g = guest_new(1, 0);

	if (kvm(g->vm, KVM_CREATE_DEVICE, (uintptr_t)&d) < 0) {
		d.type = KVM_DEV_TYPE_ARM_VGIC_V2;
		CHECK_EQ(kvm(g->vm, KVM_CREATE_DEVICE, (uintptr_t)&d), 0);
	}
	CHECK_EQ(irq_line(g, IRQ_TYPE(KVM_ARM_IRQ_TYPE_CPU) | KVM_ARM_IRQ_CPU_IRQ, 1), -ENXIO);
	CHECK_EQ(kvm((int)d.fd, _IO(KVMIO, 0xfe), 0), -ENOTTY);
}

static void init_lowers_pins(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;
	bool late;

	a_daifclr(&p, A_DAIF_I | A_DAIF_F);
	p_spin(&p);
	g = start(&p, 1);
	set_pin(g, 0, KVM_ARM_IRQ_CPU_IRQ, 1);
	set_pin(g, 0, KVM_ARM_IRQ_CPU_FIQ, 1);
	CHECK_EQ(vcpu_init(g, 0, 1u << KVM_ARM_VCPU_PSCI_0_2), 0);
	guest_start(g, 0, 0);
	set_reg(g, 0, SYS_REG(A_VBAR_EL1), RAM_BASE + VECTORS);
	CHECK(run_for(g, 0, 20, &late).err == EINTR && late);
	set_pin(g, 0, KVM_ARM_IRQ_CPU_IRQ, 1);
	CHECK_EQ(run_to_report(g, 0), TOOK_IRQ);
}

static void init_stale_field(unsigned int arg)
{
	const struct device *d = &devices[DEV_VTIMER];
	struct prog p = {0};
	struct guest *g;
	struct outcome o;

	d->raise(&p);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = start(&p, 1);
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level, d->bit);
	/* The pending MMIO is completed first. */
	g->run[0]->immediate_exit = 1;
	run(g, 0);
	g->run[0]->immediate_exit = 0;
	CHECK_EQ(vcpu_init(g, 0, 1u << KVM_ARM_VCPU_PSCI_0_2), 0);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level, d->bit);
	guest_start(g, 0, 0);
	o = run(g, 0);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.reason, KVM_EXIT_INTR);
	CHECK_EQ(o.level & d->bit, 0);
}

static void init_pending_mmio(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;

	a_ldr(&p, 3, 0, REPORT_BASE);
	p_spin(&p);
	g = start(&p, 1);
	CHECK_EQ(run(g, 0).reason, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu_init(g, 0, 1u << KVM_ARM_VCPU_PSCI_0_2), 0);
	guest_start(g, 0, 0);
	set_reg(g, 0, X_REG(0), 0x1234);
	memcpy(g->run[0]->mmio.data, "\x78\x56\0\0\0\0\0\0", 8);
	g->run[0]->immediate_exit = 1;
	CHECK_EQ(run(g, 0).err, EINTR);
	CHECK_EQ(get_reg(g, 0, PC_REG), RAM_BASE + 4);
	CHECK_EQ(get_reg(g, 0, X_REG(0)), 0x5678);
}

static void wfe_goes_on(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;
	unsigned int loop;

	a_movi(&p, 9, 100);
	loop = a_here(&p);
	a_wfe(&p);
	a_subi(&p, 9, 9, 1);
	a_cbnz(&p, 9, loop);
	a_sev(&p);
	a_wfe(&p);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = start(&p, 1);
	CHECK_EQ(run_to_report(g, 0), 1);
}

static const struct conform_test tests[] = {
	{"pin/irq-spinning", "irq 0 is the IRQ pin: it interrupts a guest that runs", pin_spinning,
	 KVM_ARM_IRQ_CPU_IRQ, 0, NULL},
	{"pin/fiq-spinning", "irq 1 is the FIQ pin: it interrupts a guest that runs", pin_spinning,
	 KVM_ARM_IRQ_CPU_FIQ, 0, NULL},
	{"pin/irq-wfi", "the IRQ pin wakes WFI", pin_wfi, KVM_ARM_IRQ_CPU_IRQ, 0, NULL},
	{"pin/fiq-wfi", "the FIQ pin wakes WFI", pin_wfi, KVM_ARM_IRQ_CPU_FIQ, 0, NULL},
	{"pin/irq-wfi-masked", "the IRQ pin wakes WFI whatever PSTATE.I says", pin_wfi_masked,
	 KVM_ARM_IRQ_CPU_IRQ, 0, NULL},
	{"pin/fiq-wfi-masked", "the FIQ pin wakes WFI whatever PSTATE.F says", pin_wfi_masked,
	 KVM_ARM_IRQ_CPU_FIQ, 0, NULL},
	{"pin/irq-level", "the IRQ pin is level-sensitive: lowered in time, nothing is taken",
	 pin_level, KVM_ARM_IRQ_CPU_IRQ, 0, NULL},
	{"pin/fiq-level", "the FIQ pin is level-sensitive: lowered in time, nothing is taken",
	 pin_level, KVM_ARM_IRQ_CPU_FIQ, 0, NULL},
	{"pin/irq-again", "the IRQ pin is level-sensitive: while it is high it is taken again",
	 pin_again, KVM_ARM_IRQ_CPU_IRQ, 0, NULL},
	{"pin/fiq-again", "the FIQ pin is level-sensitive: while it is high it is taken again",
	 pin_again, KVM_ARM_IRQ_CPU_FIQ, 0, NULL},
	{"pin/other-vcpu", "a pin is the one of the vCPU that is named", pin_other_vcpu, 0, 0,
	 NULL},
	{"irq-line/errors", "an unknown vCPU or irq > 1 is -EINVAL; SPI and PPI are -ENXIO",
	 irq_line_errors, 0, 0, NULL},
	{"irq-line/creation-index", "the vCPU field is the creation index", creation_index, 0, 0,
	 "later kernels take the id"},
	{"irq-line/irqchip",
	 "with an in-kernel irqchip the CPU type is -ENXIO; unknown ioctls on its device are "
	 "-ENOTTY",
	 irqchip_pins, 0, NEEDS_IRQCHIP, NULL},
	{"init/pins", "VCPU_INIT lowers both pins", init_lowers_pins, 0, 0, NULL},
	{"init/stale-field", "VCPU_INIT leaves the field stale, so the first run exits INTR",
	 init_stale_field, 0, 0, NULL},
	{"init/pending-mmio",
	 "a pending MMIO survives VCPU_INIT: its data and 4 for the PC go to the new state",
	 init_pending_mmio, 0, 0, NULL},
	{"wfe", "WFE does not block", wfe_goes_on, 0, 0, NULL},
};

const struct conform_group group_pin = {tests, ARRAY_SIZE(tests)};
