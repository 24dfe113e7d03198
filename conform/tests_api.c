/* SPDX-License-Identifier: MIT */
/* Requests without a guest: capabilities, errors, attributes, the timers' registers. */
#include <errno.h>
#include <limits.h>

#include "conform/conform.h"

#define OLD_CAP_NUMBER                 137 /* of KVM_CAP_ARM_USER_IRQ before it was merged */
#define UNKNOWN_IOCTL                  _IO(KVMIO, 0xee)
#define PMU_ATTR(g, req, attr, addr)   vcpu_attr(g, 0, req, KVM_ARM_VCPU_PMU_V3_CTRL, attr, addr)
#define TIMER_ATTR(g, req, attr, addr) vcpu_attr(g, 0, req, KVM_ARM_VCPU_TIMER_CTRL, attr, addr)

static void capability(unsigned int arg)
{
	struct guest *g = guest_bare(0);

	CHECK(kvm(g->sys, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ) >= 1);
	CHECK(kvm(g->vm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ) >= 1);
	CHECK_EQ(KVM_CAP_ARM_USER_IRQ, 144);
	CHECK_EQ(kvm(g->sys, KVM_CHECK_EXTENSION, OLD_CAP_NUMBER), 0);
}

#define HOST    INT_MIN /* whatever the host has */
#define NR_CAPS 1024    /* more than any kernel knows */

/* The table of docs/abi.md. */
static const struct capability {
	unsigned int cap;
	int linux_61, ours;
} capability_rows[] = {
#include "conform/capabilities.inc"
};

static const struct capability *find_capability(unsigned int cap)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(capability_rows); i++)
		if (capability_rows[i].cap == cap)
			return &capability_rows[i];
	return NULL;
}

static void capabilities(unsigned int arg)
{
	struct guest *g = guest_bare(0);

	for (unsigned int cap = 0; cap < NR_CAPS; cap++) {
		const struct capability *row = find_capability(cap);
		int wanted = 0;

		if (row)
			wanted = door->soft ? row->ours : row->linux_61;
		else if (!door->soft)
			continue; /* later kernels have more */
		if (wanted == HOST) {
			CHECK(kvm(g->sys, KVM_CHECK_EXTENSION, cap) >= 0);
			CHECK(kvm(g->vm, KVM_CHECK_EXTENSION, cap) >= 0);
		} else if (cap != KVM_CAP_MSI_DEVID) {
			CHECK_EQ(kvm(g->sys, KVM_CHECK_EXTENSION, cap), wanted);
			CHECK_EQ(kvm(g->vm, KVM_CHECK_EXTENSION, cap), wanted);
		}
	}
	CHECK_EQ(kvm(g->sys, KVM_CHECK_EXTENSION, KVM_CAP_MSI_DEVID), -EINVAL);
	CHECK(kvm(g->vm, KVM_CHECK_EXTENSION, KVM_CAP_MSI_DEVID) >= 0);
	CHECK(kvm(g->sys, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS) >= 1);
	CHECK_EQ(kvm(g->sys, KVM_CHECK_EXTENSION, ~0ul), 0);
}

static void not_there(unsigned int arg)
{
	struct kvm_create_device d = {.type = KVM_DEV_TYPE_ARM_VGIC_V2};
	struct guest *g = guest_bare(0);

	CHECK_EQ(kvm(g->sys, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP), 0);
	CHECK_EQ(kvm(g->vm, KVM_CREATE_IRQCHIP, 0), -ENXIO);
	CHECK_EQ(kvm(g->vm, KVM_CREATE_DEVICE, (uintptr_t)&d), -ENODEV);
}

static void unknown_ioctls(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);

	CHECK_EQ(kvm(g->sys, UNKNOWN_IOCTL, 0), -EINVAL);
	CHECK_EQ(kvm(g->vm, UNKNOWN_IOCTL, 0), -EINVAL);
	CHECK_EQ(kvm(g->vcpu[0], UNKNOWN_IOCTL, 0), -EINVAL);
	/* Requests of other descriptors are unknown as well. */
	CHECK_EQ(kvm(g->sys, KVM_RUN, 0), -EINVAL);
	CHECK_EQ(kvm(g->vm, KVM_GET_API_VERSION, 0), -EINVAL);
	CHECK_EQ(kvm(g->vcpu[0], KVM_CREATE_VCPU, 5), -EINVAL);
}

static void features(unsigned int arg)
{
	struct guest *g = guest_bare(1);

	CHECK_EQ(vcpu_init(g, 0, 1u << 31), -ENOENT);
	if (!has_cap(KVM_CAP_ARM_SVE))
		CHECK_EQ(vcpu_init(g, 0, 1u << KVM_ARM_VCPU_SVE), -EINVAL);
	if (!has_cap(KVM_CAP_ARM_EL1_32BIT))
		CHECK_EQ(vcpu_init(g, 0, 1u << KVM_ARM_VCPU_EL1_32BIT), -EINVAL);
	CHECK_EQ(vcpu_init(g, 0, PSCI_FEATURE), 0);
	CHECK_EQ(vcpu_init(g, 0, 0), -EINVAL);
	CHECK_EQ(vcpu_init(g, 0, PSCI_FEATURE), 0);
}

static void pmu_attributes(unsigned int arg)
{
	struct guest *g = guest_bare(1);
	int irq = 23;

	CHECK_EQ(vcpu_init(g, 0, PSCI_FEATURE | PMU_FEATURE), 0);
	CHECK_EQ(PMU_ATTR(g, KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_IRQ, NULL), 0);
	CHECK_EQ(PMU_ATTR(g, KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_INIT, NULL), 0);
	CHECK_EQ(PMU_ATTR(g, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_IRQ, &irq), -EINVAL);
	CHECK_EQ(PMU_ATTR(g, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_INIT, NULL), 0);
	CHECK_EQ(PMU_ATTR(g, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_INIT, NULL), -EBUSY);
}

static void pmu_without_feature(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);

	CHECK_EQ(PMU_ATTR(g, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_INIT, NULL), -ENODEV);
	CHECK_EQ(PMU_ATTR(g, KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_INIT, NULL), -ENXIO);
}

#define NO_SUCH_TIMER 99 /* later kernels have two more than 6.1 */

static void timer_attributes(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);
	int irq = 20;

	CHECK_EQ(TIMER_ATTR(g, KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_IRQ_VTIMER, NULL), 0);
	CHECK_EQ(TIMER_ATTR(g, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_IRQ_VTIMER, &irq), -EINVAL);
	CHECK_EQ(TIMER_ATTR(g, KVM_GET_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_IRQ_VTIMER, &irq), 0);
	CHECK_EQ(irq, 27);
	CHECK_EQ(TIMER_ATTR(g, KVM_GET_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_IRQ_PTIMER, &irq), 0);
	CHECK_EQ(irq, 30);
	CHECK_EQ(TIMER_ATTR(g, KVM_GET_DEVICE_ATTR, NO_SUCH_TIMER, &irq), -ENXIO);
	CHECK_EQ(vcpu_attr(g, 0, KVM_GET_DEVICE_ATTR, 77, 0, &irq), -ENXIO);
}

/* CVAL and CNT have each other's encodings. */
static void timer_swap(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);
	struct prog p = {0};
	uint64_t frequency = counter_frequency();

	set_reg(g, 0, KVM_REG_ARM_TIMER_CVAL, 0x123456789abcdef);
	a_mrs(&p, 0, A_CNTV_CVAL_EL0);
	p_report(&p, 0);
	a_mrs(&p, 0, A_CNTVCT_EL0);
	p_report(&p, 0);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	CHECK_EQ(run_to_report(g, 0), 0x123456789abcdef);
	set_reg(g, 0, KVM_REG_ARM_TIMER_CNT, frequency * 1000000);
	CHECK(run_to_report(g, 0) - frequency * 1000000 < frequency * 10);
	CHECK(get_reg(g, 0, KVM_REG_ARM_TIMER_CNT) - frequency * 1000000 < frequency * 10);
}

static void counter_rebase(unsigned int arg)
{
	struct guest *g = guest_new(2, 0);
	uint64_t f = counter_frequency();

	set_reg(g, 0, KVM_REG_ARM_TIMER_CNT, f * 1000000);
	CHECK(get_reg(g, 1, KVM_REG_ARM_TIMER_CNT) - f * 1000000 < f * 10);
	CHECK(kvm(g->vm, KVM_CREATE_VCPU, 2) >= 0);
	CHECK(get_reg(g, 0, KVM_REG_ARM_TIMER_CNT) < f * 10);
	CHECK(get_reg(g, 1, KVM_REG_ARM_TIMER_CNT) < f * 10);
}

#define CTL_IMASK 2 /* CNTP_CTL_EL0 */

static void ptimer(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);
	uint64_t value;

	CHECK_EQ(try_set_reg(g, 0, KVM_REG_ARM_PTIMER_CVAL, ~0ull), 0);
	CHECK_EQ(try_set_reg(g, 0, KVM_REG_ARM_PTIMER_CTL, CTL_IMASK), 0);
	CHECK_EQ(try_get_reg(g, 0, KVM_REG_ARM_PTIMER_CVAL, &value), 0);
	CHECK_EQ(value, ~0ull);
	CHECK_EQ(try_get_reg(g, 0, KVM_REG_ARM_PTIMER_CTL, &value), 0);
	CHECK_EQ(value, CTL_IMASK);
	CHECK_EQ(try_get_reg(g, 0, KVM_REG_ARM_PTIMER_CNT, &value), 0);
}

static const struct conform_test tests[] = {
	{"capability", "KVM_CAP_ARM_USER_IRQ is 144, at least 1 on system and VM; 137 is another",
	 capability, 0, 0, NULL},
	{"capabilities", "capabilities are as the table of them says", capabilities, 0, 0, NULL},
	{"not-there",
	 "what is not there: capability 0, CREATE_IRQCHIP -ENXIO, CREATE_DEVICE -ENODEV", not_there,
	 0, NO_IRQCHIP, NULL},
	{"unknown-ioctl", "unknown ioctls are -EINVAL on system, VM and vCPU descriptors",
	 unknown_ioctls, 0, 0, NULL},
	{"features", "unknown vCPU feature bits are -ENOENT, unsupported ones -EINVAL", features, 0,
	 0, NULL},
	{"pmu-attr", "PMU: attribute IRQ is -EINVAL, INIT needs none, INIT again -EBUSY",
	 pmu_attributes, 0, NEEDS_PMU, NULL},
	{"pmu-attr/no-feature", "PMU: without the feature -ENODEV", pmu_without_feature, 0,
	 NEEDS_PMU, NULL},
	{"timer-attr", "TIMER_CTRL set is -EINVAL, get gives 27 and 30", timer_attributes, 0, 0,
	 NULL},
	{"timer-swap", "TIMER_CVAL and TIMER_CNT have each other's encodings", timer_swap, 0, 0,
	 NULL},
	{"counter-rebase", "setting TIMER_CNT, and each CREATE_VCPU, rebases all vCPUs' counters",
	 counter_rebase, 0, 0, NULL},
	{"ptimer", "CNTP_CTL, CNTP_CVAL and CNTPCT are in ONE_REG (6.4)", ptimer, 0, 0,
	 "6.1 does not have them yet"},
};

const struct conform_group group_api = {tests, ARRAY_SIZE(tests)};
