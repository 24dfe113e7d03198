/* SPDX-License-Identifier: MIT */
/*
 * A VM with a GICv2 inside the KVM: it is no part of the user-space interrupt ABI, and what that
 * says of such a VM is that it hears nothing. Then, how its lines and its saved registers behave.
 */
#include <errno.h>

#include "conform/conform.h"

#define DIST_BASE 0x08000000ull
#define CPU_BASE  0x08010000ull

#define GICD_CTLR       0x000
#define GICD_ISENABLER  0x100
#define GICD_ISPENDR    0x200
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR  0x800
#define GICC_CTLR       0x000
#define GICC_PMR        0x004
#define GICC_IAR        0x00c
#define GICC_EOIR       0x010

#define VECTORS    0x800
#define VECTOR_IRQ (VECTORS + 0x280)
#define SPI        40

#define ADDR KVM_DEV_ARM_VGIC_GRP_ADDR
#define CTRL KVM_DEV_ARM_VGIC_GRP_CTRL
#define DIST KVM_DEV_ARM_VGIC_GRP_DIST_REGS
#define CPU  KVM_DEV_ARM_VGIC_GRP_CPU_REGS

static int attr(int fd, unsigned long request, uint32_t group, uint64_t number, void *value)
{
	struct kvm_device_attr a = {.group = group, .attr = number, .addr = (uintptr_t)value};

	return kvm(fd, request, (uintptr_t)&a);
}

static int set_base(int fd, uint64_t frame, uint64_t base)
{
	return attr(fd, KVM_SET_DEVICE_ATTR, ADDR, frame, &base);
}

static int create(struct guest *g, int *fd)
{
	struct kvm_create_device d = {.type = KVM_DEV_TYPE_ARM_VGIC_V2};
	int ret = kvm(g->vm, KVM_CREATE_DEVICE, (uintptr_t)&d);

	*fd = (int)d.fd;
	return ret;
}

/* A VM with a vGICv2, which is initialised. */
static struct guest *new_guest(int *fd)
{
	struct guest *g = guest_new(1, 0);
	int ret = create(g, fd);

	if (ret == -ENODEV)
		skip("this KVM has no GICv2");
	CHECK_EQ(ret, 0);
	CHECK_EQ(set_base(*fd, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST_BASE), 0);
	CHECK_EQ(set_base(*fd, KVM_VGIC_V2_ADDR_TYPE_CPU, CPU_BASE), 0);
	CHECK_EQ(attr(*fd, KVM_SET_DEVICE_ATTR, CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0), 0);
	return g;
}

static void p_write(struct prog *p, uint64_t addr, uint32_t value)
{
	a_movi(p, 1, addr);
	a_movi(p, 2, value);
	a_str(p, 2, 2, 1);
}

/* The guest lets @intid through, and nothing else. */
static void p_enable(struct prog *p, unsigned int intid)
{
	p_write(p, DIST_BASE + GICD_CTLR, 1);
	if (intid >= 32)
		p_write(p, DIST_BASE + GICD_ITARGETSR + intid / 4 * 4, 0x01010101);
	p_write(p, DIST_BASE + GICD_ISENABLER + intid / 32 * 4, 1u << intid % 32);
	p_write(p, CPU_BASE + GICC_PMR, 0xf0);
	p_write(p, CPU_BASE + GICC_CTLR, 1);
}

/* X5 is the INTID that was acknowledged. */
static void p_acknowledge(struct prog *p)
{
	a_movi(p, 6, CPU_BASE + GICC_IAR);
	a_ldr(p, 2, 5, 6);
}

static void p_end(struct prog *p)
{
	a_movi(p, 6, CPU_BASE + GICC_EOIR);
	a_str(p, 2, 5, 6);
}

static void start(struct guest *g, const struct prog *p)
{
	guest_load(g, p, 0);
	guest_start(g, 0, 0);
	set_reg(g, 0, SYS_REG(A_VBAR_EL1), RAM_BASE + VECTORS);
}

/* The next return is a report of @value, and nothing is published with it. */
static void expect_report(struct guest *g, uint64_t value)
{
	struct outcome o = run(g, 0);
	uint64_t is;

	CHECK(is_report(g, 0, &o, &is));
	CHECK_EQ(is, value);
	CHECK_EQ(o.level, 0);
}

/* The guest's timer interrupts it, asleep; the VMM sees nothing of it. */
static void wired(unsigned int arg)
{
	const struct device *d = &devices[arg];
	const unsigned int ppi = arg == DEV_VTIMER ? 27 : 30;
	struct prog p = {0};
	struct guest *g;
	unsigned int again;
	int fd;

	p_enable(&p, ppi);
	d->setup(&p);
	a_daifclr(&p, A_DAIF_I);
	again = a_here(&p);
	a_movi(&p, 9, 0);
	d->arm(&p);
	a_daifset(&p, A_DAIF_I);
	a_wfi(&p);
	a_daifclr(&p, A_DAIF_I);
	a_isb(&p);
	a_cbz(&p, 9, a_here(&p));
	p_report(&p, 5);
	a_b(&p, again);
	a_org(&p, VECTOR_IRQ);
	p_acknowledge(&p);
	d->lower(&p);
	p_end(&p);
	a_movi(&p, 9, 1);
	a_eret(&p);
	g = new_guest(&fd);
	start(g, &p);
	set_reg(g, 0, X_REG(ARM_TICKS), counter_frequency() / 1000);
	for (int i = 0; i < 20; i++)
		expect_report(g, ppi);
}

static int line(struct guest *g, int level)
{
	return irq_line(g, KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | SPI, level);
}

/* Between interrupts the guest reports 1; in its handler the INTID. */
static void spi_level(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;
	unsigned int again;
	int fd;

	p_enable(&p, SPI);
	a_daifclr(&p, A_DAIF_I);
	again = a_here(&p);
	p_report_imm(&p, 1);
	for (int i = 0; i < 8; i++)
		a_nop(&p);
	a_b(&p, again);
	a_org(&p, VECTOR_IRQ);
	p_acknowledge(&p);
	p_report(&p, 5);
	p_end(&p);
	a_eret(&p);
	g = new_guest(&fd);
	start(g, &p);
	expect_report(g, 1);
	for (int i = 0; i < 10; i++) {
		uint64_t told = 1;

		CHECK_EQ(line(g, 1), 0);
		for (int n = 0; told == 1 && n < 4; n++)
			told = run_to_report(g, 0);
		CHECK_EQ(told, SPI);
		CHECK_EQ(line(g, 0), 0);
		told = run_to_report(g, 0);
		CHECK_EQ(told, 1);
		expect_report(g, 1);
	}
}

static uint32_t get(int fd, uint32_t group, uint64_t offset)
{
	uint32_t value = 0;

	CHECK_EQ(attr(fd, KVM_GET_DEVICE_ATTR, group, offset, &value), 0);
	return value;
}

static void set(int fd, uint32_t group, uint64_t offset, uint32_t value)
{
	CHECK_EQ(attr(fd, KVM_SET_DEVICE_ATTR, group, offset, &value), 0);
}

static void registers(unsigned int arg)
{
	static const struct {
		uint32_t group, offset, value;
	} regs[] = {
		{DIST, GICD_ISENABLER + 4, 0x00f00f01},
		{DIST, GICD_IPRIORITYR + 40, 0x08182838},
		{DIST, GICD_IPRIORITYR + 20, 0xf0e0d0c0},
		{DIST, GICD_ISPENDR + 4, 0x00000100},
		{CPU, GICC_PMR, 0x1e},
		{CPU, GICC_CTLR, 0x1},
		{DIST, GICD_CTLR, 1},
	};
	struct prog p = {0};
	struct guest *g;
	int fd;

	a_movi(&p, 6, DIST_BASE + GICD_IPRIORITYR + 40);
	a_ldr(&p, 2, 5, 6);
	p_report(&p, 5);
	a_movi(&p, 6, CPU_BASE + GICC_PMR);
	a_ldr(&p, 2, 5, 6);
	p_report(&p, 5);
	g = new_guest(&fd);
	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++)
		set(fd, regs[i].group, regs[i].offset, regs[i].value);
	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++)
		CHECK_EQ(get(fd, regs[i].group, regs[i].offset), regs[i].value);
	start(g, &p);
	expect_report(g, 0x08182838);
	expect_report(g, 0x1e << 3);
}

static void creation(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);
	struct prog p = {0};
	int fd, second;

	p_report_imm(&p, 1);
	start(g, &p);
	if (create(g, &fd) == -ENODEV)
		skip("this KVM has no GICv2");
	CHECK_EQ(create(g, &second), -EEXIST);
	CHECK_EQ(kvm(g->vm, KVM_CREATE_IRQCHIP, 0), -EEXIST);
	CHECK_EQ(set_base(fd, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST_BASE + 1), -EINVAL);
	CHECK_EQ(set_base(fd, KVM_VGIC_V2_ADDR_TYPE_DIST, 1ull << 50), -E2BIG);
	CHECK_EQ(set_base(fd, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST_BASE), 0);
	CHECK_EQ(set_base(fd, KVM_VGIC_V2_ADDR_TYPE_DIST, DIST_BASE), -EEXIST);
	CHECK_EQ(run(g, 0).err, ENXIO);
	CHECK_EQ(run(g, 0).err, EIO);
	g = guest_new(1, 0);
	start(g, &p);
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(create(g, &fd), -EBUSY);
}

static const struct conform_test tests[] = {
	{"vgic/creation",
	 "one vGIC, before a vCPU has run; a frame without address is -ENXIO from KVM_RUN, then "
	 "-EIO",
	 creation, 0, NEEDS_IRQCHIP, NULL},
	{"vgic/wired/vtimer",
	 "with a vGIC a timer interrupts by its PPI; no return for a level, device_irq_level is 0",
	 wired, DEV_VTIMER, NEEDS_IRQCHIP, NULL},
	{"vgic/wired/ptimer",
	 "with a vGIC a timer interrupts by its PPI; no return for a level, device_irq_level is 0",
	 wired, DEV_PTIMER, NEEDS_IRQCHIP, NULL},
	{"vgic/line", "an SPI's level is taken while it is high, and not after it fell", spi_level,
	 0, NEEDS_IRQCHIP, NULL},
	{"vgic/registers",
	 "what a VMM writes to DIST_REGS and CPU_REGS it reads, and the guest sees", registers, 0,
	 NEEDS_IRQCHIP, NULL},
};

const struct conform_group group_vgic = {tests, ARRAY_SIZE(tests)};
