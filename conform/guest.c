/* SPDX-License-Identifier: MIT */
/* VMs and vCPUs for a test: made with few words, and every unexpected refusal is a failure. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "conform/conform.h"

#define LEVEL_PATIENCE_US 2000000u

int kvm(int fd, unsigned long request, unsigned long arg)
{
	int ret = door->ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static int sys_open(void)
{
	int fd = door->open(door->path);

	if (fd < 0)
		FAIL("open: %s", strerror(errno));
	return fd;
}

bool has_cap(unsigned int cap)
{
	int fd = sys_open();
	int ret = kvm(fd, KVM_CHECK_EXTENSION, cap);

	door->close(fd);
	return ret > 0;
}

/* ---- Making ---- */

static void add_ram(struct guest *g)
{
	struct kvm_userspace_memory_region r = {.guest_phys_addr = RAM_BASE,
						.memory_size = RAM_SIZE};

	g->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(g->ram != MAP_FAILED);
	r.userspace_addr = (uintptr_t)g->ram;
	CHECK_EQ(kvm(g->vm, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&r), 0);
}

static void add_vcpu(struct guest *g, int i, int id)
{
	int size = kvm(g->sys, KVM_GET_VCPU_MMAP_SIZE, 0);

	g->vcpu[i] = kvm(g->vm, KVM_CREATE_VCPU, (unsigned long)id);
	if (g->vcpu[i] < 0)
		FAIL("KVM_CREATE_VCPU: %s", strerror(-g->vcpu[i]));
	CHECK(size > 0);
	g->run[i] = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu[i], 0);
	CHECK(g->run[i] != MAP_FAILED);
}

struct guest *guest_with_ids(const int *ids, int nr)
{
	struct guest *g = calloc(1, sizeof(*g));
	int i;

	CHECK(g && nr <= MAX_VCPUS);
	g->sys = sys_open();
	g->vm = kvm(g->sys, KVM_CREATE_VM, 0);
	if (g->vm < 0)
		FAIL("KVM_CREATE_VM: %s", strerror(-g->vm));
	g->nr = nr;
	add_ram(g);
	for (i = 0; i < nr; i++)
		add_vcpu(g, i, ids[i]);
	return g;
}

struct guest *guest_bare(int nr)
{
	static const int ids[MAX_VCPUS] = {0, 1, 2, 3};

	return guest_with_ids(ids, nr);
}

int vcpu_init(struct guest *g, int i, unsigned int features)
{
	struct kvm_vcpu_init init;

	CHECK_EQ(kvm(g->vm, KVM_ARM_PREFERRED_TARGET, (uintptr_t)&init), 0);
	init.features[0] = features;
	return kvm(g->vcpu[i], KVM_ARM_VCPU_INIT, (uintptr_t)&init);
}

int vcpu_attr(struct guest *g, int i, unsigned long request, unsigned int group, uint64_t attr,
	      void *addr)
{
	struct kvm_device_attr a = {.group = group, .attr = attr, .addr = (uintptr_t)addr};

	return kvm(g->vcpu[i], request, (uintptr_t)&a);
}

struct guest *guest_new(int nr, unsigned int features)
{
	struct guest *g = guest_bare(nr);
	int i;

	features |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	for (i = 0; i < nr; i++) {
		CHECK_EQ(vcpu_init(g, i, features), 0);
		if (features & (1u << KVM_ARM_VCPU_PMU_V3))
			CHECK_EQ(vcpu_attr(g, i, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL,
					   KVM_ARM_VCPU_PMU_V3_INIT, NULL),
				 0);
	}
	return g;
}

void guest_load(struct guest *g, const struct prog *p, unsigned int offset)
{
	char *to = (char *)g->ram + offset;

	CHECK(offset + p->n * sizeof(p->word[0]) <= RAM_SIZE);
	memcpy(to, p->word, p->n * sizeof(p->word[0]));
	__builtin___clear_cache(to, to + p->n * sizeof(p->word[0]));
}

void guest_start(struct guest *g, int i, unsigned int offset)
{
	set_reg(g, i, PC_REG, RAM_BASE + offset);
	set_reg(g, i, PSTATE_REG, PSTATE_EL1H_MASKED);
	set_reg(g, i, X_REG(REPORT_BASE), REPORT_ADDR);
}

/* ---- Registers and pins ---- */

int try_get_reg(struct guest *g, int i, uint64_t id, uint64_t *value)
{
	struct kvm_one_reg r = {.id = id, .addr = (uintptr_t)value};

	return kvm(g->vcpu[i], KVM_GET_ONE_REG, (uintptr_t)&r);
}

int try_set_reg(struct guest *g, int i, uint64_t id, uint64_t value)
{
	struct kvm_one_reg r = {.id = id, .addr = (uintptr_t)&value};

	return kvm(g->vcpu[i], KVM_SET_ONE_REG, (uintptr_t)&r);
}

uint64_t get_reg(struct guest *g, int i, uint64_t id)
{
	uint64_t value = 0;
	int ret = try_get_reg(g, i, id, &value);

	if (ret)
		FAIL("KVM_GET_ONE_REG of 0x%llx: %s", (unsigned long long)id, strerror(-ret));
	return value;
}

void set_reg(struct guest *g, int i, uint64_t id, uint64_t value)
{
	int ret = try_set_reg(g, i, id, value);

	if (ret)
		FAIL("KVM_SET_ONE_REG of 0x%llx: %s", (unsigned long long)id, strerror(-ret));
}

void raise_vtimer(struct guest *g, int i)
{
	set_reg(g, i, KVM_REG_ARM_TIMER_CVAL, 0);
	set_reg(g, i, KVM_REG_ARM_TIMER_CTL, 1);
}

int irq_line(struct guest *g, uint32_t irq, int level)
{
	struct kvm_irq_level l = {.irq = irq, .level = (uint32_t)level};

	return kvm(g->vm, KVM_IRQ_LINE, (uintptr_t)&l);
}

void set_pin(struct guest *g, int i, unsigned int pin, int level)
{
	CHECK_EQ(irq_line(g,
			  KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
				  (uint32_t)i << KVM_ARM_IRQ_VCPU_SHIFT | pin,
			  level),
		 0);
}

/* ---- Running ---- */

struct outcome run(struct guest *g, int i)
{
	struct outcome o = {0};

	o.ret = door->ioctl(g->vcpu[i], KVM_RUN, 0);
	o.err = o.ret < 0 ? errno : 0;
	o.reason = g->run[i]->exit_reason;
	o.level = g->run[i]->s.regs.device_irq_level;
	return o;
}

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void nothing(int sig)
{
}

static timer_t timer_of_thread(void)
{
	static _Thread_local timer_t timer;
	static _Thread_local bool made;
	struct sigaction sa = {.sa_handler = nothing};
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};

	if (made)
		return timer;
	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	CHECK(!sigaction(SIGALRM, &sa, NULL));
	CHECK(!timer_create(CLOCK_MONOTONIC, &ev, &timer));
	made = true;
	return timer;
}

void signal_me_in(unsigned int us)
{
	struct itimerspec it = {.it_value = {us / 1000000, us % 1000000 * 1000L}};

	CHECK(!timer_settime(timer_of_thread(), 0, &it, NULL));
}

void signal_me_every(unsigned int us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000L};
	struct itimerspec it = {t, t};

	CHECK(!timer_settime(timer_of_thread(), 0, &it, NULL));
}

void signal_none(void)
{
	struct itimerspec it = {.it_value = {0, 0}};

	CHECK(!timer_settime(timer_of_thread(), 0, &it, NULL));
}

struct outcome run_for(struct guest *g, int i, unsigned int ms, bool *late)
{
	uint64_t end = now_us() + ms * 1000;
	struct outcome o;

	/* Again and again: the first may come before KVM_RUN begins, on a busy host. */
	signal_me_every(ms * 1000);
	o = run(g, i);
	signal_none();
	*late = now_us() >= end;
	return o;
}

bool is_report(struct guest *g, int i, const struct outcome *o, uint64_t *value)
{
	const struct kvm_run *r = g->run[i];

	if (o->ret || o->reason != KVM_EXIT_MMIO || r->mmio.phys_addr != REPORT_ADDR ||
	    !r->mmio.is_write || r->mmio.len != sizeof(*value))
		return false;
	memcpy(value, r->mmio.data, sizeof(*value));
	return true;
}

uint64_t run_to_report(struct guest *g, int i)
{
	uint64_t value, end = now_us() + LEVEL_PATIENCE_US;
	struct outcome o;

	while (now_us() < end) {
		o = run(g, i);
		if (is_report(g, i, &o, &value))
			return value;
		if (o.ret != -1 || o.err != EINTR)
			FAIL("KVM_RUN gave %d, errno %d (%s), exit reason %u, PC 0x%llx", o.ret,
			     o.err, strerror(o.err), o.reason,
			     (unsigned long long)get_reg(g, i, PC_REG));
	}
	FAIL("the guest makes no progress: KVM_RUN keeps returning EINTR");
}

struct outcome run_to_level(struct guest *g, int i, uint64_t mask, uint64_t want)
{
	uint64_t value, end = now_us() + LEVEL_PATIENCE_US;
	struct outcome o;
	bool late;

	do {
		o = run_for(g, i, LEVEL_PATIENCE_US / 1000, &late);
		if (is_report(g, i, &o, &value))
			FAIL("the guest went on (and reported %llu) before the level was published",
			     (unsigned long long)value);
		if (o.ret < 0 && o.err != EINTR)
			FAIL("KVM_RUN: %s", strerror(o.err));
		if ((o.level & mask) == want && !late)
			return o;
	} while (now_us() < end);
	FAIL("device_irq_level is 0x%llx after %u ms, no return brought 0x%llx",
	     (unsigned long long)o.level, LEVEL_PATIENCE_US / 1000, (unsigned long long)want);
}

uint64_t counter_frequency(void)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);

	a_mrs(&p, 0, A_CNTFRQ_EL0);
	p_report(&p, 0);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	return run_to_report(g, 0);
}
