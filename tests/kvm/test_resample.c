/* SPDX-License-Identifier: MIT */
/* Irqfds and the interrupt controller inside the KVM together, from outside: resampling. */
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/kvm/vgic_test.h"

#define GSI    8
#define INTID  (32 + GSI)
#define NONE   1023
#define ROUNDS 50

static void irqfd(struct vgic_vm *v, int fd, int back, uint32_t flags)
{
	struct kvm_irqfd a = {(uint32_t)fd, GSI, KVM_IRQFD_FLAG_RESAMPLE | flags, (uint32_t)back};

	assert_int_equal(CALL_PTR(v->vm, KVM_IRQFD, &a), 0);
}

static bool pending(struct vgic_vm *v)
{
	return dist_get(v, 0, GICD_ISPENDR + INTID / 32 * 4) & 1u << INTID % 32;
}

static uint64_t signals(int fd)
{
	eventfd_t n;

	return eventfd_read(fd, &n) ? 0 : n;
}

/* The guest acknowledges and ends what is pending, without its IRQ being taken, and reports it. */
static void load(struct vgic_vm *v)
{
	struct prog p = {0};

	a_movi(&p, 1, CPU_BASE + GICC_IAR);
	a_movi(&p, 2, CPU_BASE + GICC_EOIR);
	a_movi(&p, 3, MMIO);
	unsigned int loop = a_here(&p);

	a_ldr(&p, 2, 0, 1);
	a_str(&p, 2, 0, 3); /* acknowledged, not ended */
	a_str(&p, 2, 0, 2);
	a_str(&p, 2, 0, 3);
	a_b(&p, loop);
	memcpy(v->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(v->vcpu[0], PC, RAM), 0);
}

static uint32_t reported(struct vgic_vm *v)
{
	uint32_t value;

	assert_int_equal(call(v->vcpu[0], KVM_RUN, 0), 0);
	assert_int_equal(v->run[0]->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(v->run[0]->mmio.phys_addr, MMIO);
	memcpy(&value, v->run[0]->mmio.data, sizeof(value));
	return value;
}

static void resample(void **state)
{
	struct vgic_vm *v = vgic_vm_new(1, PSCI_FEATURE);
	int fd = eventfd(0, EFD_NONBLOCK), back = eventfd(0, EFD_NONBLOCK);

	enable_irq(v, 0, INTID);
	irqfd(v, fd, back, 0);
	load(v);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		assert_int_equal(eventfd_write(fd, 1), 0);
		while (!pending(v))
			sched_yield();
		assert_int_equal(reported(v), INTID);
		/* The line is high until the end of the interrupt. */
		assert_true(pending(v));
		assert_int_equal(signals(back), 0);
		assert_int_equal(reported(v), INTID);
		assert_false(pending(v));
		assert_int_equal(signals(back), 1);
		assert_int_equal(reported(v), NONE);
		assert_int_equal(reported(v), NONE);
		assert_int_equal(signals(back), 0);
	}
	/* A deassignment lets go of the line. */
	assert_int_equal(eventfd_write(fd, 1), 0);
	irqfd(v, fd, back, KVM_IRQFD_FLAG_DEASSIGN);
	assert_false(pending(v));
	close(fd);
	close(back);
	vgic_vm_end(v);
}

/* The guest's next access: a store of @value to, or a load from, @at in the GIC's frames. */
static uint32_t access_gic(struct vgic_vm *v, bool write, uint64_t at, uint32_t value)
{
	struct prog p = {0};

	a_org(&p, TEXT);
	a_movi(&p, 1, at);
	a_movi(&p, 2, value);
	if (write)
		a_str(&p, 2, 2, 1);
	else
		a_ldr(&p, 2, 2, 1);
	a_str(&p, 2, 2, R_MMIO);
	vgic_load(v, 0, &p);
	return (uint32_t)run_to_store(v, 0);
}

#define LOAD(v, at)         access_gic(v, false, at, 0)
#define STORE(v, at, value) access_gic(v, true, at, value)

static void assert_again(struct vgic_vm *v, int fd)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
	while (!pending(v))
		sched_yield();
}

/* With EOImode 1 the priority drop is not the end: GICC_DIR is. */
static void split_end(void **state)
{
	struct vgic_vm *v = vgic_vm_new(1, PSCI_FEATURE);
	int fd = eventfd(0, EFD_NONBLOCK), back = eventfd(0, EFD_NONBLOCK);

	enable_irq(v, 0, INTID);
	cpu_set(v, 0, GICC_CTLR, 1 | 1u << 9);
	irqfd(v, fd, back, 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		assert_again(v, fd);
		assert_int_equal(LOAD(v, CPU_BASE + GICC_IAR), INTID);
		STORE(v, CPU_BASE + GICC_EOIR, INTID);
		assert_true(pending(v));
		assert_int_equal(signals(back), 0);
		STORE(v, CPU_BASE + GICC_DIR, INTID);
		assert_false(pending(v));
		assert_int_equal(signals(back), 1);
		/* Nothing is active any more: nothing ends. */
		STORE(v, CPU_BASE + GICC_DIR, INTID);
		STORE(v, CPU_BASE + GICC_EOIR, INTID);
		assert_int_equal(signals(back), 0);
		assert_int_equal(LOAD(v, CPU_BASE + GICC_IAR), NONE);
	}
	close(fd);
	close(back);
	vgic_vm_end(v);
}

/* A write of GICC_EOIR ends what is active alone: what is only pending stays so. */
static void end_of_nothing(void **state)
{
	struct vgic_vm *v = vgic_vm_new(1, PSCI_FEATURE);
	int fd = eventfd(0, EFD_NONBLOCK), back = eventfd(0, EFD_NONBLOCK);

	enable_irq(v, 0, INTID);
	irqfd(v, fd, back, 0);
	assert_again(v, fd);
	STORE(v, CPU_BASE + GICC_EOIR, INTID);
	assert_true(pending(v));
	assert_int_equal(signals(back), 0);
	assert_int_equal(LOAD(v, CPU_BASE + GICC_IAR), INTID);
	STORE(v, CPU_BASE + GICC_EOIR, INTID);
	assert_int_equal(signals(back), 1);
	/* An edge has no level to be sampled again. */
	set_edge(v, INTID);
	assert_again(v, fd);
	assert_int_equal(LOAD(v, CPU_BASE + GICC_IAR), INTID);
	STORE(v, CPU_BASE + GICC_EOIR, INTID);
	assert_int_equal(signals(back), 0);
	close(fd);
	close(back);
	vgic_vm_end(v);
}

/*
 * Somebody lowers the line while the interrupt is active: its end is told all the same, as on
 * Linux. Else the device would never assert again.
 */
static void lowered_meanwhile(void **state)
{
	struct vgic_vm *v = vgic_vm_new(1, PSCI_FEATURE);
	int fd = eventfd(0, EFD_NONBLOCK), back = eventfd(0, EFD_NONBLOCK);

	enable_irq(v, 0, INTID);
	irqfd(v, fd, back, 0);
	assert_again(v, fd);
	assert_int_equal(LOAD(v, CPU_BASE + GICC_IAR), INTID);
	assert_int_equal(SPI(v, INTID, 0), 0);
	STORE(v, CPU_BASE + GICC_EOIR, INTID);
	assert_int_equal(signals(back), 1);
	close(fd);
	close(back);
	vgic_vm_end(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resample),
		cmocka_unit_test(split_end),
		cmocka_unit_test(end_of_nothing),
		cmocka_unit_test(lowered_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
