/* SPDX-License-Identifier: MIT */
/* Each request's successes and errors, as tables. */
#include <string.h>
#include <sys/mman.h>

#include "tests/kvm/common.h"

#define BAD_POINTER 0x1000ul

enum which { SYS, VM, VCPU };

static int fd_of(const struct machine_under_test *m, enum which w)
{
	return w == SYS ? m->sys : w == VM ? m->vm : m->vcpu;
}

struct row {
	enum which fd;
	unsigned long request, arg;
	int ret;
};

static void check_rows(const struct machine_under_test *m, const struct row *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int ret = call(fd_of(m, r[i].fd), r[i].request, r[i].arg);

		if (ret != r[i].ret)
			fail_msg("row %zu: request 0x%lx, argument 0x%lx: %d, should be %d", i,
				 r[i].request, r[i].arg, ret, r[i].ret);
	}
}

static void plain_values(void **state)
{
	static const struct row rows[] = {
		{SYS, KVM_GET_API_VERSION, 0, KVM_API_VERSION},
		{SYS, KVM_GET_API_VERSION, 1, -EINVAL},
		{SYS, KVM_GET_VCPU_MMAP_SIZE, 0, 4096},
		{SYS, KVM_GET_VCPU_MMAP_SIZE, 1, -EINVAL},
		{SYS, KVM_CREATE_VM, KVM_VM_TYPE_ARM_IPA_SIZE(31), -EINVAL},
		{SYS, KVM_CREATE_VM, KVM_VM_TYPE_ARM_IPA_SIZE(49), -EINVAL},
		{SYS, KVM_CREATE_VM, 0x100, -EINVAL},
		{SYS, KVM_CREATE_VM, 1ul << 40, -EINVAL},
		{VM, KVM_CREATE_VCPU, 0, -EEXIST},
		{VM, KVM_CREATE_VCPU, 64, -EINVAL},
		{VM, KVM_CREATE_VCPU, ~0ul, -EINVAL},
		{VCPU, KVM_RUN, 1, -EINVAL},
		{SYS, _IO(KVMIO, 0xee), 0, -EINVAL},
		{VM, _IO(KVMIO, 0xee), 0, -EINVAL},
		{VCPU, _IO(KVMIO, 0xee), 0, -EINVAL},
		{SYS, 0, 0, -EINVAL},
		{VM, KVM_IRQFD, 0, -EFAULT},
		{VM, KVM_IOEVENTFD, 0, -EFAULT},
		{VCPU, KVM_GET_REGS, 0, -EINVAL},
		{VCPU, KVM_SET_GUEST_DEBUG, 0, -EINVAL},
	};

	check_rows(*state, rows, COUNT(rows));
}

static void bad_pointers(void **state)
{
	static const struct row rows[] = {
		{VM, KVM_SET_USER_MEMORY_REGION, BAD_POINTER, -EFAULT},
		{VM, KVM_IRQ_LINE, 0, -EFAULT},
		{VM, KVM_IRQ_LINE, BAD_POINTER, -EFAULT},
		{VM, KVM_IRQ_LINE, ~0ul - 3, -EFAULT},
		{VM, KVM_GET_DIRTY_LOG, BAD_POINTER, -EFAULT},
		{VM, KVM_ARM_PREFERRED_TARGET, BAD_POINTER, -EFAULT},
		{VM, KVM_CREATE_DEVICE, BAD_POINTER, -EFAULT},
		{VCPU, KVM_ARM_VCPU_INIT, BAD_POINTER, -EFAULT},
		{VCPU, KVM_GET_ONE_REG, BAD_POINTER, -EFAULT},
		{VCPU, KVM_SET_ONE_REG, BAD_POINTER, -EFAULT},
		{VCPU, KVM_GET_REG_LIST, BAD_POINTER, -EFAULT},
		{VCPU, KVM_GET_MP_STATE, BAD_POINTER, -EFAULT},
		{VCPU, KVM_SET_MP_STATE, BAD_POINTER, -EFAULT},
		{VCPU, KVM_GET_VCPU_EVENTS, BAD_POINTER, -EFAULT},
		{VCPU, KVM_SET_VCPU_EVENTS, BAD_POINTER, -EFAULT},
		{VCPU, KVM_SET_DEVICE_ATTR, BAD_POINTER, -EFAULT},
		{VCPU, KVM_SET_SIGNAL_MASK, BAD_POINTER, -EFAULT},
	};

	check_rows(*state, rows, COUNT(rows));
}

/* A pointer to the last bytes of a page works; one byte further does not. */
static void pointers_at_the_edge(void **state)
{
	struct machine_under_test *m = *state;
	unsigned char *p =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_mp_state s = {0};
	struct kvm_irq_level l = {0};

	assert_int_equal(munmap(p + 4096, 4096), 0);
	memcpy(p + 4096 - sizeof(l), &l, sizeof(l));
	assert_int_equal(CALL_PTR(m->vm, KVM_IRQ_LINE, p + 4096 - sizeof(l)), 0);
	assert_int_equal(CALL_PTR(m->vm, KVM_IRQ_LINE, p + 4096 - sizeof(l) + 1), -EFAULT);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_MP_STATE, p + 4096 - sizeof(s)), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_MP_STATE, p + 4096 - sizeof(s) + 1), -EFAULT);
	assert_int_equal(mprotect(p, 4096, PROT_READ), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_MP_STATE, p), -EFAULT);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_MP_STATE, p), 0);
	munmap(p, 4096);
}

static void before_init(void **state)
{
	static const struct row rows[] = {
		{VCPU, KVM_RUN, 0, -ENOEXEC},
		{VCPU, KVM_GET_ONE_REG, 0, -ENOEXEC},
		{VCPU, KVM_SET_ONE_REG, BAD_POINTER, -ENOEXEC},
		{VCPU, KVM_GET_REG_LIST, 0, -ENOEXEC},
		{VCPU, KVM_GET_VCPU_EVENTS, 0, -ENOEXEC},
		{VCPU, KVM_SET_VCPU_EVENTS, 0, -ENOEXEC},
		{VCPU, KVM_ARM_VCPU_FINALIZE, 0, -ENOEXEC},
	};

	check_rows(*state, rows, COUNT(rows));
}

/* Every IPA size that is allowed can be had, and limits the memory. */
static void ipa_sizes(void **state)
{
	struct machine_under_test *m = *state;
	unsigned long bits;
	int vm;

	for (bits = 32; bits <= 48; bits++) {
		vm = call(m->sys, KVM_CREATE_VM, KVM_VM_TYPE_ARM_IPA_SIZE(bits));
		assert_true(vm >= 0);
		assert_int_equal(
			set_region(vm, 0, 0, (1ull << bits) - 4096, 4096, (uintptr_t)m->ram), 0);
		assert_int_equal(set_region(vm, 1, 0, 1ull << bits, 4096, (uintptr_t)m->ram),
				 -EFAULT);
		armature_close(vm);
	}
	assert_int_equal(call(m->sys, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE), 48);
}

static void capabilities(void **state)
{
	static const struct row rows[] = {
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ, 1},
		{VM, KVM_CHECK_EXTENSION, KVM_CAP_ARM_USER_IRQ, 1},
		{SYS, KVM_CHECK_EXTENSION, 137, 0},
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS, 32767},
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS, 64},
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP, 1},
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO, 0},
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_IRQFD, 1},
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_IOEVENTFD, 1},
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS, 0},
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_STEAL_TIME, 0},
		{SYS, KVM_CHECK_EXTENSION, KVM_CAP_ARM_INJECT_SERROR_ESR, 0},
		{SYS, KVM_CHECK_EXTENSION, ~0ul, 0},
	};

	check_rows(*state, rows, COUNT(rows));
	assert_true(call(((struct machine_under_test *)*state)->sys, KVM_CHECK_EXTENSION,
			 KVM_CAP_NR_VCPUS) >= 1);
}

static void enable_cap(void **state)
{
	static const struct {
		struct kvm_enable_cap cap;
		int ret;
	} rows[] = {
		{{.cap = KVM_CAP_HALT_POLL, .args = {500000}}, 0},
		{{.cap = KVM_CAP_HALT_POLL, .args = {0xffffffff}}, 0},
		{{.cap = KVM_CAP_HALT_POLL, .args = {1ull << 32}}, -EINVAL},
		{{.cap = KVM_CAP_HALT_POLL, .flags = 1}, -EINVAL},
		{{.cap = KVM_CAP_ARM_NISV_TO_USER}, 0},
		{{.cap = KVM_CAP_ARM_NISV_TO_USER, .flags = 1}, -EINVAL},
		{{.cap = KVM_CAP_ARM_MTE}, -EINVAL},
		{{.cap = KVM_CAP_ARM_USER_IRQ}, -EINVAL},
		{{.cap = 9999}, -EINVAL},
	};
	struct machine_under_test *m = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		int ret = CALL_PTR(m->vm, KVM_ENABLE_CAP, &rows[i].cap);

		if (ret != rows[i].ret)
			fail_msg("row %zu: %d, should be %d", i, ret, rows[i].ret);
	}
	assert_int_equal(CALL_PTR(m->vm, KVM_ENABLE_CAP, BAD_POINTER), -EFAULT);
}

static void preferred_target(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_vcpu_init init;

	memset(&init, 0xff, sizeof(init));
	assert_int_equal(CALL_PTR(m->vm, KVM_ARM_PREFERRED_TARGET, &init), 0);
	assert_int_equal(init.target, KVM_ARM_TARGET_GENERIC_V8);
	for (size_t i = 0; i < COUNT(init.features); i++)
		assert_int_equal(init.features[i], 0);
}

static void init_rules(void **state)
{
	static const struct {
		uint32_t target, word, features;
		int ret;
	} rows[] = {
		{KVM_ARM_TARGET_CORTEX_A57, 0, PSCI_FEATURE, -EINVAL},
		{KVM_ARM_TARGET_GENERIC_V8, 0, 1u << KVM_ARM_VCPU_EL1_32BIT, -EINVAL},
		{KVM_ARM_TARGET_GENERIC_V8, 0, 1u << KVM_ARM_VCPU_SVE, -EINVAL},
		{KVM_ARM_TARGET_GENERIC_V8, 0, 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS, -EINVAL},
		{KVM_ARM_TARGET_GENERIC_V8, 0, 3u << KVM_ARM_VCPU_PTRAUTH_ADDRESS, -EINVAL},
		{KVM_ARM_TARGET_GENERIC_V8, 0, 1u << 7, -ENOENT},
		{KVM_ARM_TARGET_GENERIC_V8, 0, 1u << 31, -ENOENT},
		{KVM_ARM_TARGET_GENERIC_V8, 6, 1, -ENOENT},
		{KVM_ARM_TARGET_GENERIC_V8, 0, PSCI_FEATURE, 0},
		{KVM_ARM_TARGET_GENERIC_V8, 0, PSCI_FEATURE, 0},
		{KVM_ARM_TARGET_GENERIC_V8, 0, 0, -EINVAL},
		{KVM_ARM_TARGET_GENERIC_V8, 0, PSCI_FEATURE | PMU_FEATURE, -EINVAL},
	};
	struct machine_under_test *m = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kvm_vcpu_init init = {.target = rows[i].target};
		int ret;

		init.features[rows[i].word] = rows[i].features;
		ret = CALL_PTR(m->vcpu, KVM_ARM_VCPU_INIT, &init);
		if (ret != rows[i].ret)
			fail_msg("row %zu: %d, should be %d", i, ret, rows[i].ret);
	}
}

static void power_off_feature(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_mp_state s;

	assert_int_equal(init_vcpu(m->vcpu, PSCI_FEATURE | 1u << KVM_ARM_VCPU_POWER_OFF), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_MP_STATE, &s), 0);
	assert_int_equal(s.mp_state, KVM_MP_STATE_STOPPED);
}

static void mp_state(void **state)
{
	static const struct {
		uint32_t state;
		int ret;
	} rows[] = {
		{KVM_MP_STATE_STOPPED, 0},
		{KVM_MP_STATE_RUNNABLE, 0},
		{KVM_MP_STATE_SUSPENDED, -EINVAL},
		{KVM_MP_STATE_HALTED, -EINVAL},
		{77, -EINVAL},
	};
	struct machine_under_test *m = *state;
	struct kvm_mp_state s;
	uint32_t last = KVM_MP_STATE_RUNNABLE;

	for (size_t i = 0; i < COUNT(rows); i++) {
		s.mp_state = rows[i].state;
		assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_MP_STATE, &s), rows[i].ret);
		if (!rows[i].ret)
			last = rows[i].state;
		assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_MP_STATE, &s), 0);
		assert_int_equal(s.mp_state, last);
	}
}

static void events(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_vcpu_events e = {.exception.serror_pending = 1};

	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_VCPU_EVENTS, &e), 0);
	memset(&e, 0xff, sizeof(e));
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
	assert_int_equal(e.exception.serror_pending, 1);
	assert_int_equal(e.exception.serror_has_esr, 0);
	assert_int_equal(e.exception.ext_dabt_pending, 0);
	e = (struct kvm_vcpu_events){.exception = {.serror_pending = 1, .serror_has_esr = 1}};
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_VCPU_EVENTS, &e), -EINVAL);
	e = (struct kvm_vcpu_events){.reserved[11] = 1};
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_VCPU_EVENTS, &e), -EINVAL);
	e = (struct kvm_vcpu_events){.exception.pad[4] = 1};
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_VCPU_EVENTS, &e), -EINVAL);
	/* VCPU_INIT forgets it. */
	assert_int_equal(init_vcpu(m->vcpu, PSCI_FEATURE), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
	assert_int_equal(e.exception.serror_pending, 0);
}

static void device_attributes(void **state)
{
	static const struct {
		unsigned long request;
		uint32_t group;
		uint64_t attr;
		int ret;
	} rows[] = {
		{KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, 0},
		{KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, 0},
		{KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, 9, -ENXIO},
		{KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, -EBUSY},
		{KVM_GET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, -EINVAL},
		{KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_VTIMER, 0},
		{KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_CTRL, 2, -ENXIO},
		{KVM_GET_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_VTIMER,
		 -EFAULT},
		{KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_CTRL, KVM_ARM_VCPU_TIMER_IRQ_VTIMER,
		 -EINVAL},
		{KVM_HAS_DEVICE_ATTR, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, -ENXIO},
		{KVM_SET_DEVICE_ATTR, 99, 0, -ENXIO},
	};
	struct machine_under_test *m = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct kvm_device_attr a = {
			.group = rows[i].group, .attr = rows[i].attr, .addr = BAD_POINTER};
		int ret = CALL_PTR(m->vcpu, rows[i].request, &a);

		if (ret != rows[i].ret)
			fail_msg("row %zu: %d, should be %d", i, ret, rows[i].ret);
	}
}

static void signal_mask(void **state)
{
	struct machine_under_test *m = *state;
	struct {
		uint32_t len; /* struct kvm_signal_mask, with its set */
		uint64_t mask;
	} __attribute__((packed)) arg = {.len = 8};

	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_SIGNAL_MASK, &arg), 0);
	arg.len = 4;
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_SIGNAL_MASK, &arg), -EINVAL);
	assert_int_equal(call(m->vcpu, KVM_SET_SIGNAL_MASK, 0), 0);
}

/* 64 vCPUs, with ids in any order; not one more. */
static void many_vcpus(void **state)
{
	struct machine_under_test *m = *state;
	int vm = call(m->sys, KVM_CREATE_VM, 0), fd[64], i;

	for (i = 0; i < 64; i++) {
		fd[i] = call(vm, KVM_CREATE_VCPU, (unsigned long)(i * 37 % 64));
		assert_true(fd[i] >= 0);
	}
	assert_int_equal(call(vm, KVM_CREATE_VCPU, 5), -EINVAL);
	for (i = 0; i < 64; i++)
		armature_close(fd[i]);
	armature_close(vm);
}

#define T(f)    cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define BARE(f) cmocka_unit_test_setup_teardown(f, set_up_bare, tear_down)
#define PMU(f)  cmocka_unit_test_setup_teardown(f, set_up_pmu, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(plain_values),         T(bad_pointers),     T(pointers_at_the_edge),
		BARE(before_init),       T(ipa_sizes),        T(capabilities),
		T(enable_cap),           T(preferred_target), BARE(init_rules),
		BARE(power_off_feature), T(mp_state),         T(events),
		PMU(device_attributes),  T(signal_mask),      T(many_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
