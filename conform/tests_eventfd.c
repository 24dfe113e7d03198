/* SPDX-License-Identifier: MIT */
/* Events in and out by eventfd: ioeventfds and irqfds. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "conform/conform.h"

#define DOORBELL    0x0a000000ull
#define VALUE       0x1234
#define NR_IRQS     64
#define GSI         5
#define SPI         (32 + GSI)
#define GICD_ISPEND (0x200 + SPI / 32 * 4)
#define GICD_ICPEND (0x280 + SPI / 32 * 4)
#define GICD_ICFG   (0xc00 + SPI / 16 * 4)
#define ALL_EDGE    0xaaaaaaaau
#define ROUNDS      2000

static uint64_t signals(int fd)
{
	eventfd_t n;

	return eventfd_read(fd, &n) ? 0 : n;
}

/* ---- ioeventfd ---- */

static int ioeventfd(struct guest *g, int fd, uint32_t len, uint32_t flags)
{
	struct kvm_ioeventfd a = {
		.addr = DOORBELL, .len = len, .fd = fd, .flags = flags, .datamatch = VALUE};

	return kvm(g->vm, KVM_IOEVENTFD, (uintptr_t)&a);
}

/* A guest that stores 4 bytes of each of @values to DOORBELL, and then reports. */
static struct guest *doorbell_guest(const uint32_t *values, unsigned int n)
{
	struct guest *g = guest_new(1, 0);
	struct prog p = {0};

	a_movi(&p, 2, DOORBELL);
	for (unsigned int i = 0; i < n; i++) {
		a_movi(&p, 3, values[i]);
		a_str(&p, 2, 3, 2);
	}
	p_report_imm(&p, 1);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	return g;
}

static void expect_doorbell(struct guest *g)
{
	struct outcome o = run(g, 0);

	CHECK_EQ(o.ret, 0);
	CHECK_EQ(o.reason, KVM_EXIT_MMIO);
	CHECK_EQ(g->run[0]->mmio.phys_addr, DOORBELL);
}

/* @arg: the length, or 0 for any. */
static void match_makes_no_exit(unsigned int arg)
{
	static const uint32_t values[] = {VALUE, 0, VALUE};
	struct guest *g = doorbell_guest(values, ARRAY_SIZE(values));
	int fd = eventfd(0, EFD_NONBLOCK);

	CHECK_EQ(ioeventfd(g, fd, arg, 0), 0);
	CHECK_EQ(ioeventfd(g, fd, arg, 0), -EEXIST);
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(signals(fd), 3);
}

static void other_data_exits(unsigned int arg)
{
	static const uint32_t values[] = {VALUE, VALUE + 1, VALUE};
	struct guest *g = doorbell_guest(values, ARRAY_SIZE(values));
	int fd = eventfd(0, EFD_NONBLOCK);

	CHECK_EQ(ioeventfd(g, fd, 4, KVM_IOEVENTFD_FLAG_DATAMATCH), 0);
	expect_doorbell(g);
	CHECK_EQ(signals(fd), 1);
	CHECK_EQ(ioeventfd(g, fd, 4, KVM_IOEVENTFD_FLAG_DEASSIGN), -ENOENT);
	CHECK_EQ(ioeventfd(g, fd, 4, KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_DEASSIGN),
		 0);
	expect_doorbell(g);
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(signals(fd), 0);
}

static void bad_ioeventfds(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);
	int fd = eventfd(0, EFD_NONBLOCK);

	CHECK_EQ(ioeventfd(g, fd, 3, 0), -EINVAL);
	CHECK_EQ(ioeventfd(g, fd, 16, 0), -EINVAL);
	CHECK_EQ(ioeventfd(g, fd, 4, 1u << 31), -EINVAL);
	CHECK_EQ(ioeventfd(g, fd, 0, KVM_IOEVENTFD_FLAG_DATAMATCH), -EINVAL);
	CHECK_EQ(ioeventfd(g, -1, 4, 0), -EBADF);
	CHECK_EQ(ioeventfd(g, g->vm, 4, 0), -EINVAL);
	CHECK_EQ(ioeventfd(g, fd, 4, KVM_IOEVENTFD_FLAG_DEASSIGN), -ENOENT);
	/* To the port bus, which arm64 has not. */
	CHECK_EQ(ioeventfd(g, fd, 4, KVM_IOEVENTFD_FLAG_PIO), 0);
}

/* ---- irqfd ---- */

static int irqfd(struct guest *g, int fd, uint32_t flags)
{
	struct kvm_irqfd a = {.fd = (uint32_t)fd, .gsi = GSI, .flags = flags};

	return kvm(g->vm, KVM_IRQFD, (uintptr_t)&a);
}

static int dist_reg(int dev, unsigned long request, uint32_t offset, uint32_t *value)
{
	struct kvm_device_attr a = {
		.group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS, .attr = offset, .addr = (uintptr_t)value};

	return kvm(dev, request, (uintptr_t)&a);
}

/* A GICv2 with edge-triggered SPIs. */
static int make_vgic(struct guest *g)
{
	struct kvm_create_device d = {.type = KVM_DEV_TYPE_ARM_VGIC_V2};
	uint32_t nr = NR_IRQS, edge = ALL_EDGE;
	struct kvm_device_attr a = {.group = KVM_DEV_ARM_VGIC_GRP_NR_IRQS, .addr = (uintptr_t)&nr};

	if (kvm(g->vm, KVM_CREATE_DEVICE, (uintptr_t)&d) < 0)
		skip("this KVM has no GICv2 to offer");
	CHECK_EQ(kvm((int)d.fd, KVM_SET_DEVICE_ATTR, (uintptr_t)&a), 0);
	a = (struct kvm_device_attr){.group = KVM_DEV_ARM_VGIC_GRP_CTRL,
				     .attr = KVM_DEV_ARM_VGIC_CTRL_INIT};
	CHECK_EQ(irqfd(g, 0, 0), -EAGAIN);
	CHECK_EQ(kvm((int)d.fd, KVM_SET_DEVICE_ATTR, (uintptr_t)&a), 0);
	CHECK_EQ(dist_reg((int)d.fd, KVM_SET_DEVICE_ATTR, GICD_ICFG, &edge), 0);
	return (int)d.fd;
}

static bool take_pending(int dev)
{
	uint32_t pending = 0;

	CHECK_EQ(dist_reg(dev, KVM_GET_DEVICE_ATTR, GICD_ISPEND, &pending), 0);
	CHECK_EQ(dist_reg(dev, KVM_SET_DEVICE_ATTR, GICD_ICPEND, &pending), 0);
	return pending & 1u << SPI % 32;
}

/* A deassignment returns when what was signalled before it is injected: nothing to wait for. */
static void signal_is_interrupt(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);
	int dev = make_vgic(g), fd = eventfd(0, EFD_NONBLOCK);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(irqfd(g, fd, 0), 0);
		CHECK(!take_pending(dev));
		CHECK_EQ(eventfd_write(fd, 1), 0);
		CHECK_EQ(irqfd(g, fd, KVM_IRQFD_FLAG_DEASSIGN), 0);
		CHECK(take_pending(dev));
		CHECK_EQ(signals(fd), 0);
	}
	CHECK_EQ(eventfd_write(fd, 1), 0);
	CHECK(!take_pending(dev));
}

static void bad_irqfds(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);
	int fd = eventfd(0, EFD_NONBLOCK);
	struct kvm_msi msi = {.address_lo = 0x1000};

	CHECK_EQ(kvm(g->vm, KVM_SIGNAL_MSI, (uintptr_t)&msi), -EINVAL);
	make_vgic(g);
	CHECK_EQ(irqfd(g, fd, 1u << 31), -EINVAL);
	CHECK_EQ(irqfd(g, -1, 0), -EBADF);
	CHECK_EQ(irqfd(g, g->vm, 0), -EINVAL);
	CHECK_EQ(irqfd(g, fd, KVM_IRQFD_FLAG_DEASSIGN), 0);
	CHECK_EQ(irqfd(g, fd, 0), 0);
	CHECK_EQ(irqfd(g, fd, 0), -EBUSY);
	CHECK_EQ(kvm(g->vm, KVM_SIGNAL_MSI, (uintptr_t)&msi), -ENODEV);
}

static const struct conform_test tests[] = {
	{"ioeventfd/match", "a store that an ioeventfd matches signals it and makes no exit",
	 match_makes_no_exit, 4, 0, NULL},
	{"ioeventfd/any-length", "… of any size, when it was assigned with length 0",
	 match_makes_no_exit, 0, 0, NULL},
	{"ioeventfd/datamatch",
	 "a store of other data than datamatch exits, and so do all once it "
	 "is deassigned",
	 other_data_exits, 0, 0, NULL},
	{"ioeventfd/errors",
	 "lengths, flags and descriptors of ioeventfds that are not allowed are refused",
	 bad_ioeventfds, 0, 0, NULL},
	{"irqfd/signal", "each signal of an irqfd is an interrupt, GSI n being SPI n",
	 signal_is_interrupt, 0, NEEDS_IRQCHIP, NULL},
	{"irqfd/errors", "one eventfd is one irqfd, of an interrupt controller that is initialised",
	 bad_irqfds, 0, NEEDS_IRQCHIP, NULL},
};

const struct conform_group group_eventfd = {tests, ARRAY_SIZE(tests)};
