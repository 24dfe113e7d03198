/* SPDX-License-Identifier: MIT */
/* The scripted KVM. Its descriptors are memfds, so that the VMM can map kvm_run. */
#include "fake_kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RUN_SIZE 4096

#define PC (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc))

#define MPIDR   ARM64_SYS_REG(3, 0, 0, 0, 5)
#define FAKE_PC 0x40081234u

struct fake_kvm fake;
static int vcpu_fds[FAKE_CPUS];

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	pthread_mutex_init(&fake.lock, NULL);
	fake.api_version = KVM_API_VERSION;
	fake.user_irq = fake.psci = 1;
	fake.max_vcpus = FAKE_CPUS;
}

void fake_add(unsigned int cpu, struct fake_row row)
{
	fake.rows[cpu][fake.nr_rows[cpu]++] = row;
}

static void log_entry(enum fake_what what, unsigned int cpu, uint64_t a, uint64_t b)
{
	pthread_mutex_lock(&fake.lock);
	if (fake.nr_log < FAKE_LOG)
		fake.log[fake.nr_log++] = (struct fake_entry){what, cpu, a, b};
	pthread_mutex_unlock(&fake.lock);
}

static int fake_open(const char *path)
{
	if (fake.open_errno) {
		errno = fake.open_errno;
		return -1;
	}
	return memfd_create("fake-kvm", 0);
}

static int fail(int err)
{
	errno = err;
	return -1;
}

static int check_extension(unsigned long cap)
{
	switch (cap) {
	case KVM_CAP_ARM_USER_IRQ:
		return fake.user_irq;
	case KVM_CAP_ARM_PSCI_0_2:
		return fake.psci;
	case KVM_CAP_ARM_PMU_V3:
	case KVM_CAP_ARM_NISV_TO_USER:
		return 1;
	case KVM_CAP_ARM_VM_IPA_SIZE:
		return fake.ipa_bits;
	case KVM_CAP_MAX_VCPUS:
		return fake.max_vcpus;
	default:
		return 0;
	}
}

static int create_vcpu(unsigned int cpu)
{
	const int fd = memfd_create("fake-vcpu", 0);

	if (ftruncate(fd, RUN_SIZE))
		return -1;
	fake.run[cpu] = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	vcpu_fds[cpu] = fd;
	fake.nr_cpus = cpu + 1;
	return fd;
}

static unsigned int cpu_of(int fd)
{
	for (unsigned int i = 0; i < fake.nr_cpus; i++) {
		if (vcpu_fds[i] == fd)
			return i;
	}
	return 0;
}

static int irq_line(const struct kvm_irq_level *line)
{
	const unsigned int cpu = line->irq >> KVM_ARM_IRQ_VCPU_SHIFT & KVM_ARM_IRQ_VCPU_MASK;
	const unsigned int pin = line->irq & KVM_ARM_IRQ_NUM_MASK;

	if ((line->irq >> KVM_ARM_IRQ_TYPE_SHIFT & KVM_ARM_IRQ_TYPE_MASK) != KVM_ARM_IRQ_TYPE_CPU ||
	    cpu >= fake.nr_cpus || pin > 1)
		return fail(EINVAL);
	log_entry(FAKE_PIN, cpu, pin, line->level);
	if (fake.lose_pins_of_others && __atomic_load_n(&fake.running[cpu], __ATOMIC_ACQUIRE)) {
		__atomic_fetch_add(&fake.lost_pins, 1, __ATOMIC_RELEASE);
		return 0;
	}
	pthread_mutex_lock(&fake.lock);
	fake.pin_changes[cpu][pin] += fake.pins[cpu][pin] != (int)line->level;
	__atomic_store_n(&fake.pins[cpu][pin], (int)line->level, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

static int vcpu_init(unsigned int cpu, const struct kvm_vcpu_init *init)
{
	log_entry(FAKE_INIT, cpu, init->features[0], 0);
	fake.init_while_running += fake.running[cpu] || fake.mmio_open[cpu];
	fake.pins[cpu][0] = fake.pins[cpu][1] = 0;
	return 0;
}

static int one_reg(unsigned int cpu, const struct kvm_one_reg *reg, bool set)
{
	uint64_t *value = (uint64_t *)(uintptr_t)reg->addr;

	if (set && reg->id == PC)
		log_entry(FAKE_SET_PC, cpu, *value, 0);
	if (!set)
		*value = reg->id == MPIDR ? 0x80000000u | cpu : reg->id == PC ? FAKE_PC : 0;
	return 0;
}

static void finish_mmio(unsigned int cpu)
{
	if (!fake.mmio_open[cpu])
		return;
	fake.mmio_open[cpu] = false;
	memcpy(&fake.read_data[cpu], fake.run[cpu]->mmio.data, sizeof(uint64_t));
	log_entry(FAKE_FINISH, cpu, 0, 0);
}

static void wait_for_others(unsigned int cpu)
{
	const struct timespec nap = {.tv_nsec = 200000};

	for (unsigned int i = 0; i < fake.nr_cpus; i++) {
		while (i != cpu &&
		       __atomic_load_n(&fake.next[i], __ATOMIC_ACQUIRE) < fake.nr_rows[i])
			nanosleep(&nap, NULL);
	}
}

static int play(unsigned int cpu, const struct fake_row *row)
{
	struct kvm_run *run = fake.run[cpu];

	run->s.regs.device_irq_level = row->levels;
	if (row->error)
		return fail(row->error); /* exit_reason and the union stay as they were */
	run->exit_reason = row->reason;
	if (row->reason == KVM_EXIT_MMIO) {
		run->mmio.phys_addr = row->addr;
		run->mmio.len = row->len;
		run->mmio.is_write = row->is_write;
		memcpy(run->mmio.data, &row->data, sizeof(row->data));
		fake.mmio_open[cpu] = true;
	}
	if (row->reason == KVM_EXIT_ARM_NISV) {
		run->arm_nisv.fault_ipa = row->addr;
		run->arm_nisv.esr_iss = row->data;
	}
	if (row->reason == KVM_EXIT_SYSTEM_EVENT)
		run->system_event.type = row->event;
	return 0;
}

static int run_vcpu(unsigned int cpu)
{
	struct kvm_run *run = fake.run[cpu];
	const struct timespec nap = {.tv_nsec = 200000};
	int ret;

	log_entry(FAKE_RUN, cpu, run->immediate_exit, 0);
	finish_mmio(cpu);
	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_RELAXED))
		return fail(EINTR);
	__atomic_store_n(&fake.running[cpu], true, __ATOMIC_RELEASE);
	if (fake.next[cpu] < fake.nr_rows[cpu]) {
		const struct fake_row *row = &fake.rows[cpu][fake.next[cpu]];

		__atomic_store_n(&fake.next[cpu], fake.next[cpu] + 1, __ATOMIC_RELEASE);
		if (row->after_others || row->after_sleep)
			wait_for_others(cpu);
		while (row->after_sleep && !__atomic_load_n(&fake.running[!cpu], __ATOMIC_ACQUIRE))
			nanosleep(&nap, NULL);
		ret = play(cpu, row);
	} else {
		while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_RELAXED))
			nanosleep(&nap, NULL);
		ret = fail(EINTR);
	}
	__atomic_store_n(&fake.running[cpu], false, __ATOMIC_RELEASE);
	return ret;
}

static int fake_ioctl(int fd, unsigned long request, unsigned long arg)
{
	const unsigned int cpu = cpu_of(fd);
	const void *ptr = (const void *)arg;

	switch (request) {
	case KVM_GET_API_VERSION:
		return fake.api_version < 0 ? fail(ENOTTY) : fake.api_version;
	case KVM_CHECK_EXTENSION:
		return fake.api_version < 0 ? fail(ENOTTY) : check_extension(arg);
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_SIZE;
	case KVM_CREATE_VM:
		return memfd_create("fake-vm", 0);
	case KVM_CREATE_VCPU:
		return create_vcpu((unsigned int)arg);
	case KVM_CREATE_DEVICE:
		return fail(fake.create_device_errno);
	case KVM_ENABLE_CAP:
		fake.nisv += ((const struct kvm_enable_cap *)ptr)->cap == KVM_CAP_ARM_NISV_TO_USER;
		return 0;
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_DEVICE_ATTR:
	case KVM_ARM_PREFERRED_TARGET:
		return 0;
	case KVM_IRQ_LINE:
		return irq_line(ptr);
	case KVM_ARM_VCPU_INIT:
		return vcpu_init(cpu, ptr);
	case KVM_SET_ONE_REG:
		return one_reg(cpu, ptr, true);
	case KVM_GET_ONE_REG:
		return one_reg(cpu, ptr, false);
	case KVM_RUN:
		return run_vcpu(cpu);
	default:
		return fail(EINVAL);
	}
}

static int fake_close(int fd)
{
	for (unsigned int i = 0; i < fake.nr_cpus; i++) {
		if (vcpu_fds[i] == fd && fake.run[i]) {
			munmap(fake.run[i], RUN_SIZE);
			fake.run[i] = NULL;
		}
	}
	return close(fd);
}

const struct vmm_kvm fake_kvm = {fake_open, fake_ioctl, fake_close, .loses_pins = true};
