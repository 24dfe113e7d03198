/* SPDX-License-Identifier: MIT */
/*
 * The vgic as guests use it: wired timers and PMU, levels that rise and fall, edges, SGIs, sleep,
 * and storms of KVM_IRQ_LINE. No run returns but by a store to MMIO (run_to_store()): so no level
 * makes KVM_RUN return, and device_irq_level stays 0.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/kvm/vgic_test.h"

#define SHARED     (RAM + 0x8000) /* words of guests and of the test */
#define R_SHARED   24
#define R_COUNT    3
#define A_ISR_EL1  A_SYSREG(3, 0, 12, 1, 0)
#define PMU_CYCLES (1ull << 31)
#define REPEATS    1000
#define STORM      2000

static struct vgic_vm *v;

static int end_vm(void **state)
{
	vgic_vm_end(v);
	return 0;
}

static _Atomic uint64_t *shared(unsigned int word)
{
	return (_Atomic uint64_t *)(v->ram + (SHARED - RAM)) + word;
}

/* ---- Devices inside the KVM ---- */

/* The handler: acknowledge, make @off lower the line, end; it counts. */
static void count_handler(struct prog *p, unsigned int off, uint64_t value)
{
	a_org(p, VECTOR_IRQ);
	a_ldr(p, 2, 1, R_IAR);
	a_msri(p, off, value, 2);
	a_str(p, 2, 1, R_EOIR);
	a_addi(p, R_COUNT, R_COUNT, 1);
	a_subi(p, 4, 4, 1);
	a_mov(p, 5, 1);
	a_eret(p);
}

/* Arm @on again and again, sleep or spin until the handler has been there; then tell, twice. */
static void arm_loop(struct prog *p, unsigned int tval_reg, unsigned int ctl, bool wfi)
{
	unsigned int again, wait;

	a_org(p, TEXT);
	a_daifclr(p, A_DAIF_I);
	again = a_here(p);
	a_msri(p, tval_reg, 200, 2);
	a_movi(p, 6, 1);
	a_mov(p, 7, 4);
	a_msr(p, ctl, 6);
	wait = a_here(p);
	if (wfi) {
		a_daifset(p, A_DAIF_I);
		a_sub(p, 8, 7, 4);
		a_cbnz(p, 8, a_here(p) + 4);
		a_wfi(p);
		a_nop(p);
		a_nop(p);
		a_daifclr(p, A_DAIF_I);
		a_isb(p);
	}
	a_sub(p, 8, 7, 4);
	a_cbz(p, 8, wait);
	a_cbnz(p, 4, again);
	a_str(p, 3, R_COUNT, R_MMIO);
	a_str(p, 3, 5, R_MMIO);
}

static void timer(unsigned int tval, unsigned int ctl, unsigned int intid, bool wfi)
{
	struct prog p = {0};

	count_handler(&p, ctl, 0);
	arm_loop(&p, tval, ctl, wfi);
	vgic_load(v, 0, &p);
	set_u64(v->vcpu[0], X(R_COUNT), 0);
	set_u64(v->vcpu[0], X(4), REPEATS);
	enable_irq(v, 0, intid);
	assert_int_equal(run_to_store(v, 0), REPEATS);
	assert_int_equal(run_to_store(v, 0), intid);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISACTIVER), 0);
}

static void wired_vtimer(void **state)
{
	v = vgic_vm_new(1, 0);
	timer(A_CNTV_TVAL_EL0, A_CNTV_CTL_EL0, 27, false);
	timer(A_CNTV_TVAL_EL0, A_CNTV_CTL_EL0, 27, true);
}

static void wired_ptimer(void **state)
{
	v = vgic_vm_new(1, 0);
	timer(A_CNTP_TVAL_EL0, A_CNTP_CTL_EL0, 30, false);
	timer(A_CNTP_TVAL_EL0, A_CNTP_CTL_EL0, 30, true);
}

static void rewired_timers(void **state)
{
	uint32_t virt = 20, phys = 27;

	v = vgic_vm_new(1, 0);
	assert_int_equal(vcpu_attr(v->vcpu[0], KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_CTRL,
				   KVM_ARM_VCPU_TIMER_IRQ_VTIMER, &virt),
			 0);
	assert_int_equal(vcpu_attr(v->vcpu[0], KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_TIMER_CTRL,
				   KVM_ARM_VCPU_TIMER_IRQ_PTIMER, &phys),
			 0);
	timer(A_CNTV_TVAL_EL0, A_CNTV_CTL_EL0, 20, true);
	timer(A_CNTP_TVAL_EL0, A_CNTP_CTL_EL0, 27, true);
}

static void pmu_overflow(uint32_t intid)
{
	struct prog p = {0};

	v = vgic_vm_new(1, PMU_FEATURE);
	assert_int_equal(vcpu_attr(v->vcpu[0], KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL,
				   KVM_ARM_VCPU_PMU_V3_IRQ, &intid),
			 0);
	assert_int_equal(vcpu_attr(v->vcpu[0], KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL,
				   KVM_ARM_VCPU_PMU_V3_INIT, NULL),
			 0);
	count_handler(&p, A_PMOVSCLR_EL0, PMU_CYCLES);
	a_org(&p, TEXT);
	a_msri(&p, A_PMCR_EL0, 1, 2);
	a_msri(&p, A_PMINTENSET_EL1, PMU_CYCLES, 2);
	a_daifclr(&p, A_DAIF_I);
	a_msri(&p, A_PMOVSSET_EL0, PMU_CYCLES, 2);
	a_cbnz(&p, 4, a_here(&p));
	a_str(&p, 3, 5, R_MMIO);
	vgic_load(v, 0, &p);
	set_u64(v->vcpu[0], X(4), 1);
	enable_irq(v, 0, intid);
	assert_int_equal(run_to_store(v, 0), intid);
}

static void wired_pmu(void **state)
{
	pmu_overflow(23);
}

static void wired_pmu_spi(void **state)
{
	pmu_overflow(50);
}

/* A timer that is high and masked in the GIC: the guest makes progress, and WFI sleeps no more. */
static void masked_timer(void **state)
{
	struct prog p = {0};

	v = vgic_vm_new(1, 0);
	a_org(&p, VECTOR_IRQ);
	a_str(&p, 3, A_XZR, R_MMIO);
	a_org(&p, TEXT);
	a_daifclr(&p, A_DAIF_I);
	a_msri(&p, A_CNTV_CVAL_EL0, 0, 2);
	a_msri(&p, A_CNTV_CTL_EL0, 1, 2);
	a_movi(&p, 1, 5);
	a_str(&p, 3, 1, R_MMIO);
	a_str(&p, 3, 1, R_MMIO);
	vgic_load(v, 0, &p);
	assert_int_equal(run_to_store(v, 0), 5);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR), 1u << 27);
	assert_int_equal(run_to_store(v, 0), 5);
	enable_irq(v, 0, 27);
	assert_int_equal(run_to_store(v, 0), 0);
}

/* KVM_ARM_VCPU_INIT stops a timer; the pin stays what the vgic says. */
static void vcpu_init_keeps_pins(void **state)
{
	struct prog p = {0};

	v = vgic_vm_new(1, 0);
	a_org(&p, TEXT);
	a_mrs(&p, 1, A_ISR_EL1);
	a_str(&p, 3, 1, R_MMIO);
	enable_irq(v, 0, 40);
	assert_int_equal(SPI(v, 40, 1), 0);
	vgic_load(v, 0, &p);
	assert_int_equal(run_to_store(v, 0), 0x80);
	assert_int_equal(init_vcpu(v->vcpu[0], PSCI_FEATURE), 0);
	vgic_load(v, 0, &p);
	assert_int_equal(run_to_store(v, 0), 0x80);
	assert_int_equal(SPI(v, 40, 0), 0);
	vgic_load(v, 0, &p);
	assert_int_equal(run_to_store(v, 0), 0);
}

/* ---- Lines from outside ---- */

/* The handler tells what it acknowledged, and ends it; in between the guest tells 1 for ever. */
static void load_teller(unsigned int cpu)
{
	struct prog p = {0};

	a_org(&p, VECTOR_IRQ);
	a_ldr(&p, 2, 1, R_IAR);
	a_str(&p, 3, 1, R_MMIO);
	a_str(&p, 2, 1, R_EOIR);
	a_eret(&p);
	a_org(&p, TEXT);
	a_daifclr(&p, A_DAIF_I);
	a_movi(&p, 2, 1);
	a_str(&p, 3, 2, R_MMIO);
	a_b(&p, a_here(&p) - 1);
	vgic_load(v, cpu, &p);
}

/* Until an interrupt is told, at most as often as the guest needs to come to a kick point. */
static uint64_t next_told(void)
{
	unsigned int i;
	uint64_t told = 1;

	for (i = 0; i < 4 && told == 1; i++)
		told = run_to_store(v, 0);
	return told;
}

static void level(void **state)
{
	unsigned int i;

	v = vgic_vm_new(1, 0);
	load_teller(0);
	enable_irq(v, 0, 40);
	assert_int_equal(next_told(), 1);
	for (i = 0; i < 10; i++) {
		assert_int_equal(SPI(v, 40, 1), 0);
		assert_int_equal(next_told(), 40);
		/* It is still asserted: again. */
		assert_int_equal(next_told(), 40);
		assert_int_equal(SPI(v, 40, 0), 0);
		assert_int_equal(next_told(), 1);
	}
	/* It rises and falls before the guest looks: nothing. */
	assert_int_equal(SPI(v, 40, 1), 0);
	assert_int_equal(SPI(v, 40, 0), 0);
	assert_int_equal(next_told(), 1);
	/* A PPI likewise. */
	enable_irq(v, 0, 20);
	assert_int_equal(PPI(v, 0, 20, 1), 0);
	assert_int_equal(next_told(), 20);
	assert_int_equal(PPI(v, 0, 20, 0), 0);
	assert_int_equal(next_told(), 1);
}

static void edge(void **state)
{
	v = vgic_vm_new(1, 0);
	load_teller(0);
	enable_irq(v, 0, 41);
	set_edge(v, 41);
	assert_int_equal(SPI(v, 41, 1), 0);
	assert_int_equal(SPI(v, 41, 0), 0);
	assert_int_equal(next_told(), 41);
	/* While it is active another comes, without a 0 in between. */
	assert_int_equal(SPI(v, 41, 1), 0);
	assert_int_equal(SPI(v, 41, 1), 0);
	assert_int_equal(next_told(), 41);
	assert_int_equal(next_told(), 1);
}

/* ---- Accesses of other kinds ---- */

#define OTHER 10 /* register of the address */

/* The guest's next instruction is @insn, with @at in X10 and 40 in X1 and V1; then what X1 is. */
static void place_insn(uint32_t insn, uint64_t at)
{
	struct prog p = {0};

	a_org(&p, TEXT);
	a_movi(&p, OTHER, at);
	a_movi(&p, 1, 40);
	a_emit(&p, insn);
	a_str(&p, 3, 1, R_MMIO);
	vgic_load(v, 0, &p);
}

/*
 * What has no syndrome is the VMM's, and it never is half done: GICC_IAR acknowledges nothing, and
 * GICC_EOIR ends nothing.
 */
static void no_syndrome(void **state)
{
	static const struct {
		uint32_t insn;
		bool write;
	} rows[] = {
		{0x29400941, false}, /* LDP W1, W2, [X10] */
		{0x29000941, true},  /* STP W1, W2, [X10] */
		{0xb8404541, false}, /* LDR W1, [X10], #4 */
		{0xb8004541, true},  /* STR W1, [X10], #4 */
		{0xbd400141, false}, /* LDR S1, [X10] */
		{0xbd000141, true},  /* STR S1, [X10] */
		{0x0d408141, false}, /* LD1 {V1.S}[0], [X10] */
		{0x885f7d41, false}, /* LDXR W1, [X10] */
		{0xb8220141, false}, /* LDADD W2, W1, [X10] */
		{0x88a27d41, false}, /* CAS W2, W1, [X10] */
	};

	v = vgic_vm_new(1, 0);
	enable_irq(v, 0, 40);
	set_u64(v->vcpu[0], ARM64_SYS_REG(3, 0, 1, 0, 2), 3u << 20); /* CPACR_EL1.FPEN */
	assert_int_equal(SPI(v, 40, 1), 0);
	for (unsigned int i = 0; i < COUNT(rows); i++) {
		place_insn(rows[i].insn, CPU_BASE + (rows[i].write ? GICC_EOIR : GICC_IAR));
		assert_int_equal(call(v->vcpu[0], KVM_RUN, 0), -ENOSYS);
		assert_int_equal(dist_get(v, 0, GICD_ISACTIVER + 4), 0);
	}
	/* A prefetch is no access at all. */
	place_insn(0xf9800140, CPU_BASE + GICC_IAR); /* PRFM PLDL1KEEP, [X10] */
	assert_int_equal(run_to_store(v, 0), 40);
	assert_int_equal(dist_get(v, 0, GICD_ISACTIVER + 4), 0);
	/* Acquire and release have a syndrome. */
	place_insn(0x88dffd41, CPU_BASE + GICC_IAR); /* LDAR W1, [X10] */
	assert_int_equal(run_to_store(v, 0), 40);
	assert_int_equal(dist_get(v, 0, GICD_ISACTIVER + 4), 1u << 8);
	place_insn(0x889ffd41, CPU_BASE + GICC_EOIR); /* STLR W1, [X10] */
	assert_int_equal(run_to_store(v, 0), 40);
	assert_int_equal(dist_get(v, 0, GICD_ISACTIVER + 4), 0);
}

/* Sizes that a register does not have are RAZ/WI, as is what lies between registers. */
static void sizes(void **state)
{
	static const struct {
		unsigned int log2;
		uint32_t at;
		uint64_t value;
	} rows[] = {
		{2, GICD_IPRIORITYR + 40, 0x88888888},
		{0, GICD_IPRIORITYR + 41, 0x88},
		{1, GICD_IPRIORITYR + 40, 0},
		{3, GICD_IPRIORITYR + 40, 0},
		{0, GICD_ITARGETSR + 40, 2},
		{0, GICD_ISENABLER + 5, 0},
		{1, GICD_ISENABLER + 4, 0},
		{3, GICD_ISENABLER, 0},
		{2, GICD_ISENABLER + 4, 0x100},
		{0, 0xfff, 0},
		{3, 0xff8, 0},
	};
	struct prog p;

	v = vgic_vm_new(2, 0);
	enable_irq(v, 1, 40);
	dist_set(v, 0, GICD_IPRIORITYR + 40, 0x88888888);
	for (unsigned int write = 0; write < 2; write++) {
		for (unsigned int i = 0; i < COUNT(rows); i++) {
			memset(&p, 0, sizeof(p));
			a_org(&p, TEXT);
			a_movi(&p, 1, DIST_BASE + rows[i].at);
			if (write && !rows[i].value)
				a_str(&p, rows[i].log2, 1, 1);
			a_ldr(&p, rows[i].log2, 2, 1);
			a_str(&p, 3, 2, R_MMIO);
			vgic_load(v, 0, &p);
			if (run_to_store(v, 0) != rows[i].value)
				fail_msg("row %u", i);
		}
		assert_int_equal(dist_get(v, 0, GICD_ISENABLER + 4), 0x100);
		assert_int_equal(dist_get(v, 0, GICD_IPRIORITYR + 40), 0x88888888);
	}
}

/* The frames end where they end: what is beyond is the VMM's. */
static void ends_of_frames(void **state)
{
	static const uint64_t beyond[] = {DIST_BASE - 8, DIST_BASE + 0x1000, CPU_BASE - 8,
					  CPU_BASE + 0x2000};
	struct kvm_run *run;

	v = vgic_vm_new(1, 0);
	run = v->run[0];
	for (unsigned int i = 0; i < COUNT(beyond); i++) {
		place_insn(0xf9400141, beyond[i]); /* LDR X1, [X10] */
		assert_int_equal(call(v->vcpu[0], KVM_RUN, 0), 0);
		assert_int_equal(run->exit_reason, KVM_EXIT_MMIO);
		assert_int_equal(run->mmio.phys_addr, beyond[i]);
		assert_int_equal(run_to_store(v, 0), 0);
	}
}

/* ---- Threads ---- */

struct runner {
	pthread_t thread;
	unsigned int cpu;
	uint64_t value;
};

static void *run_thread(void *arg)
{
	struct runner *r = arg;

	r->value = run_to_store(v, r->cpu);
	return NULL;
}

static void start(struct runner *r, unsigned int cpu)
{
	set_u64(v->vcpu[cpu], X(R_SHARED), SHARED + 64 * cpu);
	r->cpu = cpu;
	assert_int_equal(pthread_create(&r->thread, NULL, run_thread, r), 0);
}

static uint64_t finish(struct runner *r)
{
	pthread_join(r->thread, NULL);
	return r->value;
}

/* From another thread into a guest that sleeps, and one that computes. */
static void from_another_thread(bool wfi)
{
	struct prog p = {0};
	struct runner r;

	v = vgic_vm_new(1, 0);
	a_org(&p, VECTOR_IRQ);
	a_ldr(&p, 2, 1, R_IAR);
	a_str(&p, 3, 1, R_MMIO);
	a_org(&p, TEXT);
	a_daifclr(&p, A_DAIF_I);
	a_movi(&p, 1, 1);
	a_str(&p, 3, 1, R_SHARED);
	if (wfi)
		a_wfi(&p);
	a_b(&p, a_here(&p) - wfi);
	vgic_load(v, 0, &p);
	enable_irq(v, 0, 40);
	start(&r, 0);
	while (!atomic_load(shared(0)))
		sched_yield();
	assert_int_equal(SPI(v, 40, 1), 0);
	assert_int_equal(finish(&r), 40);
}

static void wakes(void **state)
{
	from_another_thread(true);
}

static void interrupts(void **state)
{
	from_another_thread(false);
}

/*
 * Two vCPUs send each other SGIs in turn: whoever gets one sends the next, until the ball has gone
 * to and fro REPEATS times.
 */
static void ping_pong(void **state)
{
	struct prog p = {0};
	struct runner r[2];
	unsigned int i;

	v = vgic_vm_new(2, 0);
	a_org(&p, VECTOR_IRQ);
	a_ldr(&p, 2, 1, R_IAR);
	a_str(&p, 2, 1, R_EOIR);
	a_str(&p, 2, 6, R_SGIR);
	a_subi(&p, 4, 4, 1);
	a_eret(&p);
	a_org(&p, TEXT);
	a_daifclr(&p, A_DAIF_I);
	a_cbnz(&p, 4, a_here(&p));
	a_str(&p, 3, 1, R_MMIO);
	for (i = 0; i < 2; i++) {
		vgic_load(v, i, &p);
		set_u64(v->vcpu[i], X(4), REPEATS);
		set_u64(v->vcpu[i], X(6), 1u << (16 + !i) | 3); /* the other, SGI 3 */
	}
	dist_set(v, 1, GICD_SGIR, 1u << 16 | 3);
	for (i = 0; i < 2; i++)
		start(&r[i], i);
	assert_int_equal(finish(&r[0]), 3 | 1 << 10);
	assert_int_equal(finish(&r[1]), 3);
}

/*
 * The storm: four threads raise and lower a level each, four vCPUs take and end them. The handler
 * counts, and waits before it ends the interrupt until the thread has lowered the line: so it is
 * taken exactly once for each rise. Each thread also raises and lowers an edge that nobody takes,
 * of the next vCPU.
 */
static void *storm_thread(void *arg)
{
	unsigned int n = (unsigned int)(uintptr_t)arg, i;

	for (i = 1; i <= STORM; i++) {
		irq_line(v, KVM_ARM_IRQ_TYPE_SPI, 0, 40 + n, 1);
		irq_line(v, KVM_ARM_IRQ_TYPE_PPI, (n + 1) % 4, 20, i & 1);
		while (atomic_load(shared(8 * n)) != i)
			sched_yield();
		irq_line(v, KVM_ARM_IRQ_TYPE_SPI, 0, 40 + n, 0);
		atomic_store(shared(8 * n + 1), i);
	}
	return NULL;
}

static void storm(void **state)
{
	pthread_t threads[4];
	struct runner r[4];
	struct prog p = {0};
	unsigned int i, wait;

	v = vgic_vm_new(4, 0);
	a_org(&p, VECTOR_IRQ);
	a_ldr(&p, 2, 1, R_IAR);
	a_addi(&p, R_COUNT, R_COUNT, 1);
	a_str(&p, 3, R_COUNT, R_SHARED);
	a_addi(&p, 7, R_SHARED, 8);
	wait = a_here(&p);
	a_ldr(&p, 3, 8, 7);
	a_sub(&p, 8, 8, R_COUNT);
	a_cbnz(&p, 8, wait);
	a_str(&p, 2, 1, R_EOIR);
	a_subi(&p, 4, 4, 1);
	a_eret(&p);
	a_org(&p, TEXT);
	a_daifclr(&p, A_DAIF_I);
	a_cbnz(&p, 4, a_here(&p));
	a_str(&p, 3, R_COUNT, R_MMIO);
	for (i = 0; i < 4; i++) {
		vgic_load(v, i, &p);
		set_u64(v->vcpu[i], X(R_COUNT), 0);
		set_u64(v->vcpu[i], X(4), STORM);
		enable_irq(v, i, 40 + i);
	}
	for (i = 0; i < 4; i++)
		start(&r[i], i);
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, storm_thread, (void *)(uintptr_t)i);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < 4; i++)
		assert_int_equal(finish(&r[i]), STORM);
	for (i = 0; i < 4; i++)
		assert_int_equal(dist_get(v, i, GICD_ISPENDR), 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 0);
}

/* A line that a thread of the VMM drives while the vgic is not made yet, and while it is being. */
static void *early_thread(void *arg)
{
	int ret;

	do
		ret = SPI(v, 40, 1);
	while (ret == -ENXIO || ret == -ENODEV || ret == -EBUSY);
	return (void *)(intptr_t)ret;
}

static void early_line(void **state)
{
	pthread_t thread;
	void *ret;

	v = vgic_vm_bare();
	assert_int_equal(pthread_create(&thread, NULL, early_thread, NULL), 0);
	assert_int_equal(vgic_vm_create(v), 0);
	v->vcpu[0] = call(v->vm, KVM_CREATE_VCPU, 0);
	assert_true(v->vcpu[0] >= 0);
	pthread_join(thread, &ret);
	assert_int_equal((intptr_t)ret, 0);
	assert_int_equal(dist_get(v, 0, GICD_ISPENDR + 4), 1u << 8);
	armature_close(v->vcpu[0]);
}

#define TEST(f) cmocka_unit_test_teardown(f, end_vm)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wired_vtimer),
		TEST(wired_ptimer),
		TEST(rewired_timers),
		TEST(wired_pmu),
		TEST(wired_pmu_spi),
		TEST(masked_timer),
		TEST(vcpu_init_keeps_pins),
		TEST(level),
		TEST(edge),
		TEST(no_syndrome),
		TEST(sizes),
		TEST(ends_of_frames),
		TEST(wakes),
		TEST(interrupts),
		TEST(ping_pong),
		TEST(storm),
		TEST(early_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
