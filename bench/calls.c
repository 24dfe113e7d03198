/* SPDX-License-Identifier: MIT */
/*
 * What calls of libarmature cost a VMM that promises to tell of its handlers and closes, and how
 * long an interrupt takes that another thread raises, until the guest's handler runs: the best and
 * the median of many. Prints lines "bench NAME VALUE UNIT", like guest.c.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <armature/armature.h>
#include <armature/kvm_arm64.h>

#define RAM      0x40000000ul
#define VECTORS  0x800
#define ANSWERS  0x8000 /* the guest's handler counts here … */
#define MMIO     0x09000000ul
#define CALLS    200000
#define RAISES   300
#define NS       1000000000u
#define CORE(id) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(id))

static int vm, vcpu;
static struct kvm_run *run;
static unsigned char *ram;
static _Atomic bool done;

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static int ptr_ioctl(int fd, unsigned long request, const void *arg)
{
	return armature_ioctl(fd, request, (uintptr_t)arg);
}

static void set(uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {id, (uintptr_t)&value};

	check(!ptr_ioctl(vcpu, KVM_SET_ONE_REG, &reg), "KVM_SET_ONE_REG");
}

static void create(void)
{
	struct kvm_userspace_memory_region region = {0, 0, RAM, 1 << 20, 0};
	struct kvm_vcpu_init init = {.target = KVM_ARM_TARGET_GENERIC_V8};
	int sys = armature_open();

	vm = armature_ioctl(sys, KVM_CREATE_VM, 0);
	ram = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	region.userspace_addr = (uintptr_t)ram;
	check(!ptr_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "memory");
	vcpu = armature_ioctl(vm, KVM_CREATE_VCPU, 0);
	check(!ptr_ioctl(vcpu, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
	run = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	check(run != MAP_FAILED, "mmap");
}

static void start(const uint32_t *code, size_t bytes)
{
	memcpy(ram, code, bytes);
	set(CORE(regs.pc), RAM);
	set(CORE(regs.regs[10]), MMIO);
}

static void mmio_exit(void)
{
	static const uint32_t code[] = {
		0xf9000149, /* str x9, [x10] */
		0x17ffffff, /* b -4 */
	};
	uint64_t begin, took, best = UINT64_MAX;

	start(code, sizeof(code));
	for (int round = 0; round < 5; round++) {
		begin = now();
		for (int i = 0; i < CALLS; i++)
			check(!armature_ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
		took = now() - begin;
		best = took < best ? took : best;
	}
	run->immediate_exit = 1;
	armature_ioctl(vcpu, KVM_RUN, 0);
	run->immediate_exit = 0;
	printf("bench call-mmio-exit %.2f ns\n", (double)best / CALLS);
}

static void get_one_reg(void)
{
	uint64_t value, begin, took, best = UINT64_MAX;
	struct kvm_one_reg reg = {CORE(regs.pc), (uintptr_t)&value};

	for (int round = 0; round < 5; round++) {
		begin = now();
		for (int i = 0; i < CALLS; i++)
			check(!ptr_ioctl(vcpu, KVM_GET_ONE_REG, &reg), "KVM_GET_ONE_REG");
		took = now() - begin;
		best = took < best ? took : best;
	}
	printf("bench call-get-one-reg %.2f ns\n", (double)best / CALLS);
}

/* ---- Raising ---- */

static void nothing(int sig)
{
}

static void *run_on(void *unused)
{
	while (!done)
		armature_ioctl(vcpu, KVM_RUN, 0);
	return NULL;
}

static void drive(int level)
{
	struct kvm_irq_level irq = {.irq = KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT,
				    .level = (uint32_t)level};

	check(!ptr_ioctl(vm, KVM_IRQ_LINE, &irq), "KVM_IRQ_LINE");
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The guest's handler counts, and waits for the pin to fall: it stays masked until told. */
static void raise_from_thread(const char *name, uint32_t idle)
{
	const uint32_t code[] = {
		0xd50342ff, /* msr daifclr, #2 */
		idle,       /* nop or wfi */
		0x17ffffff, /* b -4 */
	};
	static const uint32_t handler[] = {
		0xf9400161, /* ldr x1, [x11] */
		0x91000421, /* add x1, x1, #1 */
		0xf9000161, /* str x1, [x11] */
		0xf9400562, /* ldr x2, [x11, #8] */
		0xeb01005f, /* cmp x2, x1 */
		0x54ffffc1, /* b.ne -8 */
		0xd69f03e0, /* eret */
	};
	volatile uint64_t *answers = (volatile uint64_t *)(ram + ANSWERS);
	static uint64_t took[RAISES];
	struct timespec pause = {0, 200000};
	pthread_t thread;

	start(code, sizeof(code));
	memcpy(ram + VECTORS + 0x280, handler, sizeof(handler));
	set(CORE(regs.regs[11]), RAM + ANSWERS);
	set(CORE(regs.pstate), 0x3c5);
	set(ARM64_SYS_REG(3, 0, 12, 0, 0), RAM + VECTORS); /* VBAR_EL1 */
	answers[0] = answers[1] = 0;
	done = false;
	pthread_create(&thread, NULL, run_on, NULL);
	for (int i = 0; i < RAISES; i++) {
		nanosleep(&pause, NULL);
		uint64_t begin = now();

		drive(1);
		while (answers[0] == (uint64_t)i)
			;
		took[i] = now() - begin;
		drive(0);
		answers[1] = answers[0];
	}
	done = true;
	pthread_kill(thread, SIGUSR1);
	while (pthread_tryjoin_np(thread, NULL)) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
	qsort(took, RAISES, sizeof(took[0]), compare);
	printf("bench raise-%s-best %.2f us\n", name, (double)took[0] / 1000);
	printf("bench raise-%s-median %.2f us\n", name, (double)took[RAISES / 2] / 1000);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = nothing};

	armature_promise(ARMATURE_TELLS_SIGNALS | ARMATURE_TELLS_DESCRIPTORS);
	armature_sigaction(SIGUSR1, &sa, NULL);
	create();
	mmio_exit();
	get_one_reg();
	raise_from_thread("computing", 0xd503201f);
	raise_from_thread("wfi", 0xd503207f);
	return 0;
}
