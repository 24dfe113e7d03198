/* SPDX-License-Identifier: MIT */
/* What the tests of libarmature share. */
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/kvm/common.h"

__attribute__((constructor)) static void promise(void)
{
	if (getenv("TELL") && armature_promise(ARMATURE_TELLS_SIGNALS | ARMATURE_TELLS_DESCRIPTORS))
		abort();
}

/* cmocka's, too: its handlers are to be told, as all others are. */
__attribute__((visibility("default"))) void (*signal(int sig, void (*handler)(int)))(int)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;

	return armature_sigaction(sig, &sa, &old) ? SIG_ERR : old.sa_handler;
}

int told_close(int fd)
{
	int ret;

	armature_fds_begin((unsigned int)fd, (unsigned int)fd);
	ret = close(fd);
	armature_fds_end((unsigned int)fd, (unsigned int)fd);
	return ret;
}

int told_dup2(int fd, int onto)
{
	int ret;

	armature_fds_begin((unsigned int)onto, (unsigned int)onto);
	ret = dup2(fd, onto);
	armature_fds_end((unsigned int)onto, (unsigned int)onto);
	return ret;
}

int call(int fd, unsigned long request, unsigned long arg)
{
	int ret = armature_ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int init_vcpu(int vcpu, uint32_t features)
{
	struct kvm_vcpu_init init = {.target = KVM_ARM_TARGET_GENERIC_V8, .features[0] = features};

	return CALL_PTR(vcpu, KVM_ARM_VCPU_INIT, &init);
}

int set_region(int vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, uint64_t hva)
{
	struct kvm_userspace_memory_region r = {slot, flags, gpa, size, hva};

	return CALL_PTR(vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static struct kvm_run *map_run(struct machine_under_test *m, int vcpu)
{
	struct kvm_run *run = mmap(NULL, (size_t)call(m->sys, KVM_GET_VCPU_MMAP_SIZE, 0),
				   PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);

	assert_ptr_not_equal(run, MAP_FAILED);
	return run;
}

void create_vcpu(struct machine_under_test *m, unsigned int id, int *vcpu, struct kvm_run **run)
{
	*vcpu = call(m->vm, KVM_CREATE_VCPU, id);
	assert_true(*vcpu >= 0);
	*run = map_run(m, *vcpu);
	assert_int_equal(init_vcpu(*vcpu, PSCI_FEATURE), 0);
}

void close_vcpu(int vcpu, struct kvm_run *run)
{
	munmap(run, 4096);
	armature_close(vcpu);
}

int set_up_bare(void **state)
{
	struct machine_under_test *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->sys = armature_open();
	assert_true(m->sys >= 0);
	m->vm = call(m->sys, KVM_CREATE_VM, 0);
	assert_true(m->vm >= 0);
	m->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(m->ram, MAP_FAILED);
	assert_int_equal(set_region(m->vm, 0, 0, RAM, RAM_BYTES, (uintptr_t)m->ram), 0);
	m->vcpu = call(m->vm, KVM_CREATE_VCPU, 0);
	assert_true(m->vcpu >= 0);
	m->run = map_run(m, m->vcpu);
	*state = m;
	return 0;
}

int set_up(void **state)
{
	struct machine_under_test *m;

	set_up_bare(state);
	m = *state;
	assert_int_equal(init_vcpu(m->vcpu, PSCI_FEATURE), 0);
	return 0;
}

int set_up_pmu(void **state)
{
	struct kvm_device_attr a = {.group = KVM_ARM_VCPU_PMU_V3_CTRL,
				    .attr = KVM_ARM_VCPU_PMU_V3_INIT};
	struct machine_under_test *m;

	set_up_bare(state);
	m = *state;
	assert_int_equal(init_vcpu(m->vcpu, PSCI_FEATURE | PMU_FEATURE), 0);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_DEVICE_ATTR, &a), 0);
	return 0;
}

int tear_down(void **state)
{
	struct machine_under_test *m = *state;

	close_vcpu(m->vcpu, m->run);
	armature_close(m->vm);
	armature_close(m->sys);
	munmap(m->ram, RAM_BYTES);
	free(m);
	return 0;
}

int get_id(int vcpu, uint64_t id, void *value)
{
	struct kvm_one_reg r = {id, (uintptr_t)value};

	return CALL_PTR(vcpu, KVM_GET_ONE_REG, &r);
}

int set_id(int vcpu, uint64_t id, const void *value)
{
	struct kvm_one_reg r = {id, (uintptr_t)value};

	return CALL_PTR(vcpu, KVM_SET_ONE_REG, &r);
}

int set_u64(int vcpu, uint64_t id, uint64_t value)
{
	return set_id(vcpu, id, &value);
}

uint64_t get_u64(int vcpu, uint64_t id)
{
	uint64_t value = 0;

	assert_int_equal(get_id(vcpu, id, &value), 0);
	return value;
}

void mmu_on(int vcpu, uint64_t table, uint64_t tcr)
{
	assert_int_equal(set_u64(vcpu, ARM64_SYS_REG(3, 0, 10, 2, 0), 0xff00), 0); /* MAIR_EL1 */
	assert_int_equal(set_u64(vcpu, ARM64_SYS_REG(3, 0, 2, 0, 0), table), 0);   /* TTBR0_EL1 */
	assert_int_equal(set_u64(vcpu, ARM64_SYS_REG(3, 0, 2, 0, 2), tcr), 0);     /* TCR_EL1 */
	/* SCTLR_EL1: M, C, I */
	assert_int_equal(set_u64(vcpu, ARM64_SYS_REG(3, 0, 1, 0, 0), 0x30d01805), 0);
}

int run_vcpu(struct machine_under_test *m)
{
	return call(m->vcpu, KVM_RUN, 0);
}

unsigned int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
