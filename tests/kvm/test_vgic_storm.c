/* SPDX-License-Identifier: MIT */
/*
 * Everything of a vgic at once. Four vCPUs compute, store to a doorbell, and take interrupts, while
 * other threads assign, signal and deassign irqfds, resample, assign and deassign an ioeventfd,
 * replace the routing, drive lines, and look at the device's attributes.
 *
 * No interrupt is lost, none comes twice, each store to the doorbell either signals or exits, and
 * no request fails but for the -EBUSY of a register while vCPUs run. Most of all it is for
 * ThreadSanitizer to watch.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/kvm/vgic_test.h"

#define CPUS     4
#define ROUNDS   300
#define SHARED   (RAM + 0x8000) /* of each vCPU: how often it took each INTID; then a stop word */
#define PER_CPU  (1024 * 8)
#define STOP     (SHARED + CPUS * PER_CPU)
#define DOORBELL (MMIO + 0x1000)
#define INTID(n) (32u + (n))
/* GSIs, each also an SPI: four with edges, two that are sampled again, one whose route changes. */
#define EDGE     0u
#define LEVEL    8u
#define RESAMPLE 16u
#define ROUTED   24u
#define NR_GSIS  32u

enum { R_SHARED = 24, R_BELL, R_STOP, R_DIST, R_STORES = 4 };

static struct vgic_vm *v;

static _Atomic uint64_t *word(uint64_t pa)
{
	return (_Atomic uint64_t *)(v->ram + (pa - RAM));
}

static uint64_t taken(unsigned int cpu, unsigned int intid)
{
	return atomic_load(word(SHARED + cpu * PER_CPU + intid * 8ull));
}

static void await(unsigned int cpu, unsigned int intid, uint64_t n)
{
	while (taken(cpu, intid) < n)
		sched_yield();
}

/* ---- The guests ---- */

static void load(void)
{
	unsigned int again, cpu;
	struct prog p = {0};

	a_org(&p, VECTOR_IRQ);
	a_ldr(&p, 2, 1, R_IAR);
	a_add(&p, 2, 1, 1);
	a_add(&p, 2, 2, 2);
	a_add(&p, 2, 2, 2);
	a_add(&p, 2, 2, R_SHARED);
	a_ldr(&p, 3, 3, 2);
	a_addi(&p, 3, 3, 1);
	a_str(&p, 3, 3, 2);
	a_str(&p, 2, 1, R_EOIR);
	a_eret(&p);
	a_org(&p, TEXT);
	a_movi(&p, R_STORES, 0);
	a_daifclr(&p, A_DAIF_I);
	again = a_here(&p);
	a_str(&p, 2, A_XZR, R_BELL);
	a_addi(&p, R_STORES, R_STORES, 1);
	a_ldr(&p, 2, 5, R_DIST);
	a_ldr(&p, 3, 5, R_STOP);
	a_cbz(&p, 5, again);
	a_daifset(&p, A_DAIF_I);
	a_str(&p, 3, R_STORES, R_MMIO);
	for (cpu = 0; cpu < CPUS; cpu++) {
		vgic_load(v, cpu, &p);
		set_u64(v->vcpu[cpu], X(R_SHARED), SHARED + cpu * PER_CPU);
		set_u64(v->vcpu[cpu], X(R_BELL), DOORBELL);
		set_u64(v->vcpu[cpu], X(R_STOP), STOP);
		set_u64(v->vcpu[cpu], X(R_DIST), DIST_BASE + GICD_ISPENDR);
	}
}

/* ---- Threads: each returns how many of its requests failed ---- */

struct actor {
	pthread_t thread;
	void (*act)(struct actor *a);
	unsigned int n; /* which of its kind */
	unsigned int failed;
	uint64_t stores, asked, signalled;
};

static void *run_actor(void *arg)
{
	struct actor *a = arg;

	a->act(a);
	return NULL;
}

static void run(struct actor *a)
{
	struct kvm_run *run = v->run[a->n];

	for (;;) {
		if (call(v->vcpu[a->n], KVM_RUN, 0) || run->exit_reason != KVM_EXIT_MMIO) {
			a->failed++;
			return;
		}
		if (run->mmio.phys_addr == MMIO)
			break;
		a->asked++;
	}
	memcpy(&a->stores, run->mmio.data, sizeof(a->stores));
}

static bool irqfd(int fd, uint32_t gsi, uint32_t flags, int back)
{
	struct kvm_irqfd r = {(uint32_t)fd, gsi, flags, (uint32_t)back};

	return CALL_PTR(v->vm, KVM_IRQFD, &r);
}

static void edges(struct actor *a)
{
	int fd = eventfd(0, a->n % 2 ? EFD_NONBLOCK : 0);

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		a->failed += irqfd(fd, EDGE + a->n, 0, 0);
		eventfd_write(fd, 1);
		if (i % 2)
			await(a->n, INTID(EDGE + a->n), i);
		a->failed += irqfd(fd, EDGE + a->n, KVM_IRQFD_FLAG_DEASSIGN, 0);
		await(a->n, INTID(EDGE + a->n), i);
	}
	close(fd);
}

static void resample(struct actor *a)
{
	int fd = eventfd(0, 0), back = eventfd(0, 0);
	eventfd_t told;

	a->failed += irqfd(fd, RESAMPLE + a->n, KVM_IRQFD_FLAG_RESAMPLE, back);
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		eventfd_write(fd, 1);
		eventfd_read(back, &told);
		a->signalled += told;
		a->failed += taken(a->n, INTID(RESAMPLE + a->n)) != i;
	}
	a->failed += irqfd(fd, RESAMPLE + a->n, KVM_IRQFD_FLAG_DEASSIGN, 0);
	close(fd);
	close(back);
}

/* Its route is there, or not, or another: what it signals may go nowhere. */
static void routed(struct actor *a)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		a->failed += irqfd(fd, ROUTED, 0, 0);
		eventfd_write(fd, 1);
		a->failed += irqfd(fd, ROUTED, KVM_IRQFD_FLAG_DEASSIGN, 0);
	}
	close(fd);
}

static void routing(struct actor *a)
{
	struct kvm_irq_routing *t = calloc(1, sizeof(*t) + NR_GSIS * sizeof(t->entries[0]));

	for (unsigned int i = 0; i < ROUNDS; i++) {
		t->nr = ROUTED + i % 3;
		for (unsigned int k = 0; k < t->nr; k++) {
			t->entries[k].gsi = k;
			t->entries[k].type = KVM_IRQ_ROUTING_IRQCHIP;
			t->entries[k].u.irqchip.pin = k < ROUTED ? k : ROUTED + i % 2;
		}
		a->failed += !!CALL_PTR(v->vm, KVM_SET_GSI_ROUTING, t);
	}
	free(t);
}

static void doorbell(struct actor *a)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct kvm_ioeventfd r = {.addr = DOORBELL, .fd = fd};
	eventfd_t told;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		r.len = i % 2 ? 4 : 0;
		r.flags = 0;
		a->failed += !!CALL_PTR(v->vm, KVM_IOEVENTFD, &r);
		while (eventfd_read(fd, &told))
			sched_yield();
		a->signalled += told;
		r.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
		a->failed += !!CALL_PTR(v->vm, KVM_IOEVENTFD, &r);
		if (!eventfd_read(fd, &told))
			a->signalled += told;
	}
	close(fd);
}

static void lines(struct actor *a)
{
	unsigned int intid = INTID(LEVEL + a->n);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t before = taken(a->n, intid);

		a->failed += !!SPI(v, intid, 1);
		a->failed += !!PPI(v, (a->n + 1) % CPUS, 20, i & 1);
		await(a->n, intid, before + 1);
		a->failed += !!SPI(v, intid, 0);
	}
}

static void look(struct actor *a)
{
	uint64_t at = (uint64_t)a->n << KVM_DEV_ARM_VGIC_CPUID_SHIFT | GICD_ISPENDR, addr;
	uint32_t value;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		int ret = vgic_attr(v, KVM_GET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, at,
				    &value);

		a->failed += ret && ret != -EBUSY;
		a->failed += !!vgic_attr(v, KVM_HAS_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, at,
					 NULL);
		a->failed += !!vgic_attr(v, KVM_GET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_ADDR,
					 KVM_VGIC_V2_ADDR_TYPE_DIST, &addr);
		a->failed += !!vgic_attr(v, KVM_GET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0,
					 &value);
		a->failed += vgic_attr(v, KVM_SET_DEVICE_ATTR, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0,
				       &value) != -EBUSY;
	}
}

/* ---- All at once ---- */

static void set_up_lines(void)
{
	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		set_edge(v, INTID(EDGE + cpu));
		enable_irq(v, cpu, INTID(EDGE + cpu));
		enable_irq(v, cpu, INTID(LEVEL + cpu));
		enable_irq(v, cpu, INTID(RESAMPLE + cpu));
	}
	enable_irq(v, 0, INTID(ROUTED));
	enable_irq(v, 1, INTID(ROUTED + 1));
}

static void storm(void **state)
{
	struct actor actors[] = {
		{.act = edges, .n = 0},    {.act = edges, .n = 1},    {.act = edges, .n = 2},
		{.act = edges, .n = 3},    {.act = resample, .n = 0}, {.act = resample, .n = 2},
		{.act = lines, .n = 1},    {.act = lines, .n = 3},    {.act = look, .n = 0},
		{.act = look, .n = 3},     {.act = routed},           {.act = routing},
		{.act = doorbell, .n = 0},
	};
	struct actor guests[CPUS];
	uint64_t left = 0;
	unsigned int i;

	v = vgic_vm_new(CPUS, 0);
	set_up_lines();
	load();
	for (i = 0; i < CPUS; i++) {
		guests[i] = (struct actor){.act = run, .n = i};
		pthread_create(&guests[i].thread, NULL, run_actor, &guests[i]);
	}
	for (i = 0; i < COUNT(actors); i++)
		pthread_create(&actors[i].thread, NULL, run_actor, &actors[i]);
	for (i = 0; i < COUNT(actors); i++)
		pthread_join(actors[i].thread, NULL);
	atomic_store(word(STOP), 1);
	for (i = 0; i < CPUS; i++)
		pthread_join(guests[i].thread, NULL);

	for (i = 0; i < COUNT(actors); i++) {
		if (actors[i].failed)
			fail_msg("actor %u: %u requests failed", i, actors[i].failed);
		if (actors[i].act == resample)
			assert_int_equal(actors[i].signalled, ROUNDS);
		if (actors[i].act == doorbell)
			left -= actors[i].signalled;
	}
	for (i = 0; i < CPUS; i++) {
		assert_int_equal(guests[i].failed, 0);
		assert_int_equal(taken(i, INTID(EDGE + i)), ROUNDS);
		left += guests[i].stores - guests[i].asked;
	}
	assert_int_equal(left, 0);
	vgic_vm_end(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(storm)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
