/* SPDX-License-Identifier: MIT */
/*
 * From inside the library: what an interrupt controller in the KVM will stand on, with one that is
 * only a test's.
 *
 *  - The devices' lines go to the sink of the VM, and then KVM_RUN publishes none.
 *  - System registers that one VM has and another has not.
 *  - Devices: types, attributes, descriptors, lives.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform/asm.h"
#include "kvm/kvm.h"
#include "tests/kvm/common.h"

#define VECTORS        0x800
#define VECTOR_SYNC    (VECTORS + 0x200) /* from EL1h */
#define VECTOR_IRQ     (VECTORS + 0x280)
#define VECTOR_EL0     (VECTORS + 0x400) /* synchronous, from EL0 */
#define MMIO_OTHER     (MMIO + 8)
#define EDGE_LINE      3
#define PSTATE_EL0t    0x3c0
#define PMU_CYCLES     (1ull << 31)
#define PMCR_E         1
#define UNDEFINED_ESR  0x02000000ull
#define INTR_LINES_ALL (KVM_ARM_DEV_EL1_VTIMER | KVM_ARM_DEV_EL1_PTIMER | KVM_ARM_DEV_PMU)

static struct vm *vm_of(int fd)
{
	struct object *o = object_get(fd);
	struct vm *vm = (struct vm *)((char *)o - offsetof(struct vm, object));

	object_put(o);
	return vm;
}

static struct vcpu *vcpu_of(const struct machine_under_test *m)
{
	return vm_of(m->vm)->vcpus[0];
}

static int set_irqchip(struct vm *vm, const struct irq_sink *sink, const struct sysreg_rows *rows)
{
	int ret;

	pthread_mutex_lock(&vm->lock);
	ret = vm_set_irqchip(vm, sink, rows);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static void load(struct machine_under_test *m, const struct prog *p)
{
	memcpy(m->ram, p->word, p->n * 4);
	set_u64(m->vcpu, PC, RAM);
	set_u64(m->vcpu, X(10), MMIO);
	set_u64(m->vcpu, X(11), MMIO_OTHER);
	set_u64(m->vcpu, ARM64_SYS_REG(3, 0, 12, 0, 0), RAM + VECTORS);
}

static uint64_t stored(const struct machine_under_test *m)
{
	uint64_t v;

	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	assert_true(m->run->mmio.is_write);
	memcpy(&v, m->run->mmio.data, sizeof(v));
	return v;
}

/* ---- The sink ---- */

/*
 * An interrupt controller that has one interrupt: the IRQ pin is high while a line is. What it was
 * told is written down as it was told; the test is the only one that looks.
 */
static struct {
	unsigned int rises[MAX_DEVICE_LINES], falls[MAX_DEVICE_LINES];
	uint32_t high;
	bool disabled; /* the interrupt: its pin stays low */
	_Atomic unsigned int edges;
} told;

static void sink_level(struct vcpu *vcpu, unsigned int line, bool level)
{
	assert_int_not_equal(!!(told.high & 1u << line), level);
	if (level)
		told.rises[line]++;
	else
		told.falls[line]++;
	told.high ^= 1u << line;
	if (!told.disabled)
		vcpu_set_pin(vcpu, CPU_PIN_IRQ, told.high);
}

static void sink_edge(struct vcpu *vcpu, unsigned int line)
{
	assert_int_equal(line, EDGE_LINE);
	atomic_fetch_add(&told.edges, 1);
	vcpu_set_pin(vcpu, CPU_PIN_IRQ, true);
}

static const struct irq_sink test_sink = {.level = sink_level, .edge = sink_edge};

static int set_up_sink(void **state)
{
	struct machine_under_test *m;
	struct vm *vm;

	set_up_pmu(state);
	m = *state;
	vm = vm_of(m->vm);
	memset(&told, 0, sizeof(told));
	assert_int_equal(vm->nr_lines, EDGE_LINE);
	vm->lines[EDGE_LINE] = (struct device_line){.bit = 1ull << EDGE_LINE};
	vm->nr_lines = EDGE_LINE + 1;
	assert_int_equal(set_irqchip(vm, &test_sink, NULL), 0);
	return 0;
}

/*
 * A program makes @line rise, at once or later; the guest's handler makes it fall and tells the
 * VMM. All that without a return of KVM_RUN, asleep or not.
 */
static void expect_line(struct machine_under_test *m, const struct prog *p, unsigned int line,
			unsigned int times)
{
	unsigned int i;

	load(m, p);
	for (i = 1; i <= times; i++) {
		assert_int_equal(run_vcpu(m), 0);
		assert_int_equal(stored(m), 0);
		assert_int_equal(m->run->mmio.phys_addr, MMIO);
		assert_int_equal(m->run->s.regs.device_irq_level, 0);
		assert_int_equal(told.rises[line], i);
		assert_int_equal(told.falls[line], i);
		assert_int_equal(told.high, 0);
	}
}

/* Ends a program whose interrupt handler quiets the device with @off and goes on. */
static void finish(struct prog *p, unsigned int off, uint64_t value)
{
	a_org(p, VECTOR_IRQ);
	a_msri(p, off, value, 1);
	a_str(p, 3, A_XZR, 10);
	a_eret(p);
}

static void timer_line(struct machine_under_test *m, unsigned int line, bool wfi, unsigned int tval,
		       unsigned int ctl)
{
	struct prog p = {0};
	unsigned int loop, wait;

	loop = a_here(&p);
	a_daifset(&p, A_DAIF_I);
	a_msri(&p, tval, 20000, 1);
	a_msri(&p, ctl, TIMER_ENABLE, 1);
	a_isb(&p);
	if (wfi)
		a_wfi(&p); /* ends by the pin, masked or not */
	a_daifclr(&p, A_DAIF_I);
	wait = a_here(&p);
	a_mrs(&p, 1, ctl);
	a_cbnz(&p, 1, wait);
	a_b(&p, loop);
	finish(&p, ctl, 0);
	expect_line(m, &p, line, 20);
}

static void vtimer(void **state)
{
	timer_line(*state, 0, false, A_CNTV_TVAL_EL0, A_CNTV_CTL_EL0);
}

static void vtimer_asleep(void **state)
{
	timer_line(*state, 0, true, A_CNTV_TVAL_EL0, A_CNTV_CTL_EL0);
}

static void ptimer(void **state)
{
	timer_line(*state, 1, false, A_CNTP_TVAL_EL0, A_CNTP_CTL_EL0);
}

static void ptimer_asleep(void **state)
{
	timer_line(*state, 1, true, A_CNTP_TVAL_EL0, A_CNTP_CTL_EL0);
}

static void pmu(void **state)
{
	struct prog p = {0};
	unsigned int loop;

	a_msri(&p, A_PMCR_EL0, PMCR_E, 1);
	a_msri(&p, A_PMINTENSET_EL1, PMU_CYCLES, 1);
	a_daifclr(&p, A_DAIF_I);
	loop = a_here(&p);
	a_msri(&p, A_PMOVSSET_EL0, PMU_CYCLES, 1);
	a_isb(&p);
	a_b(&p, loop);
	finish(&p, A_PMOVSCLR_EL0, PMU_CYCLES);
	expect_line(*state, &p, 2, 20);
}

/* A level that the VMM makes, while no vCPU runs, is told by the next KVM_RUN. */
static void level_by_one_reg(void **state)
{
	struct machine_under_test *m = *state;
	struct prog p = {0};

	a_daifclr(&p, A_DAIF_I);
	a_str(&p, 3, A_XZR, 11);
	finish(&p, A_CNTV_CTL_EL0, 0);
	load(m, &p);
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CVAL, 0);
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CTL, TIMER_ENABLE);
	assert_int_equal(told.rises[0], 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->mmio.phys_addr, MMIO);
	assert_int_equal(told.rises[0], 1);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->mmio.phys_addr, MMIO_OTHER);
	assert_int_equal(told.rises[0], 1);
}

/* The field is not this VM's: what stands there neither ends KVM_RUN nor is it changed. */
static void field_is_untouched(void **state)
{
	struct machine_under_test *m = *state;
	struct prog p = {0};
	int i;

	for (i = 0; i < 3; i++)
		a_str(&p, 3, A_XZR, 10);
	load(m, &p);
	m->run->s.regs.device_irq_level = INTR_LINES_ALL;
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->s.regs.device_irq_level, INTR_LINES_ALL);
	m->run->s.regs.device_irq_level = 0;
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CVAL, 0);
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CTL, TIMER_ENABLE);
	assert_int_equal(run_vcpu(m), 0); /* PSTATE.I is set */
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(m->run->s.regs.device_irq_level, 0);
	m->run->immediate_exit = 0;
	assert_int_equal(call(m->vcpu, KVM_RUN, 1), -EINVAL);
	assert_int_equal(m->run->s.regs.device_irq_level, 0);
	assert_int_equal(told.high, 1);
}

struct waker {
	struct vcpu *vcpu;
	_Atomic bool woken;
};

/* When the vCPU has been asleep at a hundred looks in a row, it sleeps. */
static void *wake_sleeper(void *arg)
{
	struct waker *w = arg;
	unsigned int asleep = 0;

	while (asleep < 100) {
		usleep(100);
		asleep = atomic_load(&w->vcpu->sleeping) ? asleep + 1 : 0;
	}
	atomic_store(&w->woken, true);
	vcpu_set_pin(w->vcpu, CPU_PIN_IRQ, true);
	return NULL;
}

/* A level that the interrupt controller does not signal ends no sleep: the pin does. */
static void level_without_pin(void **state)
{
	struct machine_under_test *m = *state;
	struct waker w = {.vcpu = vcpu_of(m)};
	pthread_t thread;
	struct prog p = {0};

	told.disabled = true;
	a_wfi(&p);
	a_str(&p, 3, A_XZR, 10);
	load(m, &p);
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CVAL, 0);
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CTL, TIMER_ENABLE);
	assert_int_equal(pthread_create(&thread, NULL, wake_sleeper, &w), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_true(atomic_load(&w.woken));
	pthread_join(thread, NULL);
	assert_int_equal(told.rises[0], 1);
	assert_int_equal(told.high, 1);
	assert_int_equal(m->run->s.regs.device_irq_level, 0);
}

#define EDGES 500

static void *fire(void *arg)
{
	unsigned int i;

	for (i = 0; i < EDGES; i++) {
		device_line_edge(arg, EDGE_LINE);
		if (i % 8 == 0)
			usleep(200);
	}
	return NULL;
}

/* Each edge arrives, whether the guest sleeps or runs, and none makes KVM_RUN return by itself. */
static void edges(void **state)
{
	struct machine_under_test *m = *state;
	unsigned int seen = 0, interrupts = 0;
	pthread_t thread;
	struct prog p = {0};

	a_daifclr(&p, A_DAIF_I);
	a_wfi(&p);
	a_b(&p, 1);
	a_org(&p, VECTOR_IRQ);
	a_str(&p, 3, A_XZR, 10);
	a_eret(&p);
	load(m, &p);
	assert_int_equal(pthread_create(&thread, NULL, fire, vcpu_of(m)), 0);
	while (seen < EDGES) {
		assert_int_equal(run_vcpu(m), 0);
		assert_int_equal(m->run->s.regs.device_irq_level, 0);
		/* As an acknowledge: down first, so that an edge from here on raises it again. */
		vcpu_set_pin(vcpu_of(m), CPU_PIN_IRQ, false);
		seen = atomic_load(&told.edges);
		interrupts++;
	}
	pthread_join(thread, NULL);
	assert_int_equal(told.edges, EDGES);
	assert_in_range(interrupts, 1, EDGES);
}

/* Who comes second, or too late. */
static void one_irqchip(void **state)
{
	struct machine_under_test *m = *state;
	struct prog p = {0};
	void *other;

	assert_int_equal(set_irqchip(vm_of(m->vm), &test_sink, NULL), -EEXIST);
	set_up(&other);
	m = other;
	a_str(&p, 3, A_XZR, 10);
	load(m, &p);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(set_irqchip(vm_of(m->vm), &test_sink, NULL), -EBUSY);
	/* And so its levels are published still. */
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CVAL, 0);
	set_u64(m->vcpu, KVM_REG_ARM_TIMER_CTL, TIMER_ENABLE);
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(m->run->s.regs.device_irq_level, KVM_ARM_DEV_EL1_VTIMER);
	assert_int_equal(told.rises[0], 0);
	tear_down(&other);
}

/* Many registers, none of which every CPU has: they take their time to be looked through. */
#define MANY_FIRST A_SYSREG(3, 5, 0, 0, 0)
#define MANY       6144

static struct sysreg many_row[MANY];
static const struct sysreg_rows many_rows = {many_row, MANY};

struct chooser {
	struct vm *vm;
	pthread_barrier_t start;
	int ret;
};

static void *choose(void *arg)
{
	struct chooser *c = arg;

	pthread_barrier_wait(&c->start);
	c->ret = set_irqchip(c->vm, &test_sink, &many_rows);
	return NULL;
}

/*
 * An interrupt controller that is made while a vCPU first runs comes in time, and then the level is
 * the sink's from the beginning, or too late, and then it is published.
 */
static void irqchip_races_run(void **state)
{
	unsigned int round, i;

	for (i = 0; i < MANY; i++)
		many_row[i].enc = (uint16_t)(MANY_FIRST + i);
	for (round = 0; round < 300; round++) {
		struct machine_under_test *m;
		struct chooser c;
		struct prog p = {0};
		pthread_t thread;
		void *fresh;
		int ret;

		memset(&told, 0, sizeof(told));
		set_up(&fresh);
		m = fresh;
		a_str(&p, 3, A_XZR, 10);
		load(m, &p);
		set_u64(m->vcpu, KVM_REG_ARM_TIMER_CVAL, 0);
		set_u64(m->vcpu, KVM_REG_ARM_TIMER_CTL, TIMER_ENABLE);
		c.vm = vm_of(m->vm);
		pthread_barrier_init(&c.start, NULL, 2);
		assert_int_equal(pthread_create(&thread, NULL, choose, &c), 0);
		pthread_barrier_wait(&c.start);
		ret = run_vcpu(m);
		pthread_join(thread, NULL);
		pthread_barrier_destroy(&c.start);
		assert_int_equal(ret, c.ret == -EBUSY ? -EINTR : 0);
		assert_int_equal(c.ret, c.ret == -EBUSY ? -EBUSY : 0);
		assert_int_equal(told.rises[0], c.ret ? 0 : 1);
		assert_int_equal(m->run->s.regs.device_irq_level,
				 c.ret ? KVM_ARM_DEV_EL1_VTIMER : 0);
		tear_down(&fresh);
	}
}

/* ---- System registers from elsewhere ---- */

#define A_TEST_PMR  A_SYSREG(3, 0, 4, 6, 0)   /* read, written, in ONE_REG */
#define A_TEST_IAR  A_SYSREG(3, 0, 12, 12, 0) /* read-only */
#define A_TEST_EOIR A_SYSREG(3, 0, 12, 12, 1) /* write-only */
#define ID_OF(enc)  (KVM_REG_ARM64 | KVM_REG_ARM64_SYSREG | KVM_REG_SIZE_U64 | (enc))

static uint64_t test_pmr, test_eoir;

static uint64_t read_test(struct cpu *cpu, const struct sysreg *r)
{
	return r->enc == A_TEST_PMR ? test_pmr : 27;
}

static void write_test(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	*(r->enc == A_TEST_PMR ? &test_pmr : &test_eoir) = value;
}

static int set_test(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	test_pmr = value;
	return 0;
}

static const struct sysreg test_row[] = {
	{.enc = A_TEST_PMR,
	 .flags = SR_ONE_REG,
	 .name = "TEST_PMR",
	 .read = read_test,
	 .write = write_test,
	 .set_user = set_test},
	{.enc = A_TEST_IAR, .flags = SR_RO, .name = "TEST_IAR", .read = read_test},
	{.enc = A_TEST_EOIR, .flags = SR_WO, .name = "TEST_EOIR", .write = write_test},
};

static const struct sysreg_rows test_rows = {test_row, COUNT(test_row)};

enum access {
	PMR_READ,
	PMR_WRITE,
	BEFORE_PMR_WRITE,
	IAR_READ,
	IAR_WRITE,
	EOIR_READ,
	EOIR_WRITE,
	AFTER_EOIR_READ,
	NR_ACCESSES
};

static const struct {
	unsigned int sysreg;
	bool write;
} accesses[NR_ACCESSES] = {
	[PMR_READ] = {A_TEST_PMR, false},
	[PMR_WRITE] = {A_TEST_PMR, true},
	[BEFORE_PMR_WRITE] = {A_TEST_PMR - 1, true},
	[IAR_READ] = {A_TEST_IAR, false},
	[IAR_WRITE] = {A_TEST_IAR, true},
	[EOIR_READ] = {A_TEST_EOIR, false},
	[EOIR_WRITE] = {A_TEST_EOIR, true},
	[AFTER_EOIR_READ] = {A_TEST_EOIR + 1, false},
};

#define ACCESS_BYTES 0x40

/* Each access at a place of its own: what it reads is stored to MMIO, ESR_EL1 to MMIO_OTHER. */
static void load_accesses(struct machine_under_test *m)
{
	struct prog p = {0};
	unsigned int i;

	for (i = 0; i < NR_ACCESSES; i++) {
		a_org(&p, i * ACCESS_BYTES);
		a_movi(&p, 2, 0x1234);
		if (accesses[i].write)
			a_msr(&p, accesses[i].sysreg, 2);
		else
			a_mrs(&p, 2, accesses[i].sysreg);
		a_str(&p, 3, 2, 10);
	}
	a_org(&p, VECTOR_SYNC);
	a_mrs(&p, 3, A_ESR_EL1);
	a_str(&p, 3, 3, 11);
	a_org(&p, VECTOR_EL0);
	a_mrs(&p, 3, A_ESR_EL1);
	a_str(&p, 3, 3, 11);
	load(m, &p);
}

static void expect_access(struct machine_under_test *m, enum access access, uint64_t pstate,
			  uint64_t address, uint64_t value)
{
	m->run->immediate_exit = 1; /* what came before ends here */
	assert_int_equal(run_vcpu(m), -EINTR);
	m->run->immediate_exit = 0;
	set_u64(m->vcpu, PC, RAM + access * ACCESS_BYTES);
	set_u64(m->vcpu, CORE_ID(regs.pstate), pstate);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->mmio.phys_addr, address);
	assert_int_equal(stored(m), value);
}

static void expect_undefined(struct machine_under_test *m, enum access access, uint64_t pstate)
{
	expect_access(m, access, pstate, MMIO_OTHER, UNDEFINED_ESR);
}

struct pair {
	struct machine_under_test *has, *lacks;
};

static int set_up_pair(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	set_up((void **)&p->has);
	set_up((void **)&p->lacks);
	assert_int_equal(set_irqchip(vm_of(p->has->vm), &test_sink, &test_rows), 0);
	load_accesses(p->has);
	load_accesses(p->lacks);
	test_pmr = test_eoir = 0;
	*state = p;
	return 0;
}

static int tear_down_pair(void **state)
{
	struct pair *p = *state;

	tear_down((void **)&p->has);
	tear_down((void **)&p->lacks);
	free(p);
	return 0;
}

#define EL1h 0x3c5

/* The same words in both VMs, in turn, so that what one translates would mislead the other. */
static void registers_of_one_vm(void **state)
{
	struct pair *p = *state;
	int i;

	for (i = 0; i < 3; i++) {
		expect_access(p->has, IAR_READ, EL1h, MMIO, 27);
		expect_undefined(p->lacks, IAR_READ, EL1h);
		expect_access(p->has, EOIR_WRITE, EL1h, MMIO, 0x1234);
		assert_int_equal(test_eoir, 0x1234);
		test_eoir = 0;
		expect_undefined(p->lacks, EOIR_WRITE, EL1h);
		expect_undefined(p->lacks, PMR_WRITE, EL1h);
		test_pmr = 0xf8;
		expect_access(p->has, PMR_READ, EL1h, MMIO, 0xf8);
		expect_access(p->has, PMR_WRITE, EL1h, MMIO, 0x1234);
		assert_int_equal(test_pmr, 0x1234);
		assert_int_equal(test_eoir, 0);
	}
}

/* Rights are checked as for every register; neighbours of a row are not there. */
static void register_rights(void **state)
{
	struct pair *p = *state;

	expect_undefined(p->has, IAR_WRITE, EL1h);
	expect_undefined(p->has, EOIR_READ, EL1h);
	expect_undefined(p->has, AFTER_EOIR_READ, EL1h);
	expect_undefined(p->has, BEFORE_PMR_WRITE, EL1h);
	expect_undefined(p->has, PMR_READ, PSTATE_EL0t);
	expect_undefined(p->has, PMR_WRITE, PSTATE_EL0t);
	assert_int_equal(test_pmr, 0);
	assert_int_equal(test_eoir, 0);
}

static unsigned int nr_listed(const struct machine_under_test *m, uint64_t id)
{
	struct kvm_reg_list *l = calloc(1, sizeof(*l) + 1000 * sizeof(l->reg[0]));
	unsigned int n = 0;
	uint64_t i;

	l->n = 1000;
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_REG_LIST, l), 0);
	for (i = 0; i < l->n; i++)
		n += !id || l->reg[i] == id;
	free(l);
	return n;
}

static void registers_in_one_reg(void **state)
{
	struct pair *p = *state;
	uint64_t v = 0;

	assert_int_equal(nr_listed(p->has, ID_OF(A_TEST_PMR)), 1);
	assert_int_equal(nr_listed(p->lacks, ID_OF(A_TEST_PMR)), 0);
	assert_int_equal(nr_listed(p->has, 0), nr_listed(p->lacks, 0) + 1);
	assert_int_equal(set_u64(p->has->vcpu, ID_OF(A_TEST_PMR), 0x98), 0);
	assert_int_equal(test_pmr, 0x98);
	assert_int_equal(get_u64(p->has->vcpu, ID_OF(A_TEST_PMR)), 0x98);
	assert_int_equal(set_u64(p->lacks->vcpu, ID_OF(A_TEST_PMR), 1), -ENOENT);
	assert_int_equal(get_id(p->lacks->vcpu, ID_OF(A_TEST_PMR), &v), -ENOENT);
	assert_int_equal(get_id(p->has->vcpu, ID_OF(A_TEST_IAR), &v), -ENOENT);
	assert_int_equal(set_u64(p->has->vcpu, ID_OF(A_TEST_EOIR), 1), -ENOENT);
	assert_int_equal(test_pmr, 0x98);
}

static void rows_refused(void **state)
{
	static const struct sysreg unsorted[] = {{.enc = A_TEST_IAR}, {.enc = A_TEST_PMR}},
				   twice[] = {{.enc = A_TEST_IAR}, {.enc = A_TEST_IAR}},
				   slot[] = {{.enc = A_TEST_IAR, .slot = CPU_SLOT(sys.vbar)}},
				   of_all[] = {{.enc = A_VBAR_EL1}};
	static const struct sysreg_rows bad[] = {{unsorted, 2}, {twice, 2}, {slot, 1}, {of_all, 1}};
	struct machine_under_test *m = *state;
	struct vm *vm = vm_of(m->vm);
	unsigned int i;

	for (i = 0; i < COUNT(bad); i++)
		assert_int_equal(set_irqchip(vm, &test_sink, &bad[i]), -EINVAL);
	assert_null(machine_sysregs(&vm->machine));
	assert_int_equal(set_irqchip(vm, &test_sink, &test_rows), 0);
	assert_int_equal(machine_add_sysregs(&vm->machine, &test_rows), -EEXIST);
}

/* ---- Devices ---- */

#define TEST_TYPE    77
#define GRP_STORE    3
#define GRP_NUMBERS  4
#define GRP_BUSY     5
#define FIRST_NUMBER 8
#define LAST_NUMBER  15

static unsigned int created, destroyed;
static uint64_t store;

static long test_create(struct device *dev)
{
	if (dev->vm->devices)
		return -EEXIST;
	created++;
	dev->state = &store;
	return 0;
}

static void test_destroy(struct device *dev)
{
	assert_ptr_equal(dev->state, &store);
	destroyed++;
}

static long store_set(void *owner, const struct kvm_device_attr *a)
{
	struct device *dev = owner;

	return copy_in(dev->state, a->addr, sizeof(store));
}

static long store_get(void *owner, const struct kvm_device_attr *a)
{
	struct device *dev = owner;

	return copy_out(a->addr, dev->state, sizeof(store));
}

static long number_get(void *owner, const struct kvm_device_attr *a)
{
	return copy_out(a->addr, &a->attr, sizeof(a->attr));
}

static long busy(void *owner, const struct kvm_device_attr *a)
{
	return -EBUSY;
}

static const struct attr test_attrs[] = {
	{GRP_STORE, ATTR(1), store_set, store_get, attr_is_there},
	{GRP_NUMBERS, ATTRS(FIRST_NUMBER, LAST_NUMBER), NULL, number_get, attr_is_there},
	{GRP_BUSY, ATTR_ANY, busy, busy, NULL},
	ATTR_END,
};

static const struct device_type test_type = {
	.nr = TEST_TYPE,
	.name = "armature-test",
	.create = test_create,
	.destroy = test_destroy,
	.attrs = test_attrs,
};

static const struct device_type *const test_types[] = {&test_type, NULL};

static int set_up_types(void **state)
{
	struct machine_under_test *m;

	set_up(state);
	m = *state;
	vm_of(m->vm)->device_types = test_types;
	created = destroyed = 0;
	store = 0;
	return 0;
}

static int create(const struct machine_under_test *m, uint32_t type, uint32_t flags, uint32_t *fd)
{
	struct kvm_create_device cd = {.type = type, .fd = ~0u, .flags = flags};
	int ret = CALL_PTR(m->vm, KVM_CREATE_DEVICE, &cd);

	*fd = cd.fd;
	return ret;
}

static int attr(int fd, unsigned long request, uint32_t group, uint64_t number, void *value)
{
	struct kvm_device_attr a = {.group = group, .attr = number, .addr = (uintptr_t)value};

	return CALL_PTR(fd, request, &a);
}

/* The product has one type, the vgic: test_vgic.c. */
static void no_other_types(void **state)
{
	uint32_t fd, type;

	for (type = 0; type < 100; type++) {
		if (type == KVM_DEV_TYPE_ARM_VGIC_V2)
			continue;
		assert_int_equal(create(*state, type, 0, &fd), -ENODEV);
		assert_int_equal(create(*state, type, KVM_CREATE_DEVICE_TEST, &fd), -ENODEV);
		assert_int_equal(fd, ~0u);
	}
}

static void create_device(void **state)
{
	struct machine_under_test *m = *state;
	unsigned int before = open_fds();
	uint32_t fd;

	assert_int_equal(create(m, TEST_TYPE, KVM_CREATE_DEVICE_TEST, &fd), 0);
	assert_int_equal(fd, ~0u);
	assert_int_equal(created, 0);
	assert_int_equal(create(m, TEST_TYPE + 1, 0, &fd), -ENODEV);
	assert_int_equal(create(m, TEST_TYPE, 0, &fd), 0);
	assert_int_equal(created, 1);
	assert_int_equal(fcntl((int)fd, F_GETFD), FD_CLOEXEC);
	before = open_fds();
	/* Only one, says the type; and nothing is left of the second. */
	assert_int_equal(create(m, TEST_TYPE, 0, &fd), -EEXIST);
	assert_int_equal(fd, ~0u);
	assert_int_equal(open_fds(), before);
	assert_int_equal(destroyed, 0);
	assert_int_equal(call(m->vm, KVM_CREATE_DEVICE, 8), -EFAULT);
}

static void attributes(void **state)
{
	static const unsigned long all[] = {KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR,
					    KVM_HAS_DEVICE_ATTR};
	uint64_t v = 0x1122334455667788, i;
	uint32_t fd;

	assert_int_equal(create(*state, TEST_TYPE, 0, &fd), 0);
	assert_int_equal(attr(fd, KVM_SET_DEVICE_ATTR, GRP_STORE, 1, &v), 0);
	assert_true(store == v);
	store = 42;
	assert_int_equal(attr(fd, KVM_GET_DEVICE_ATTR, GRP_STORE, 1, &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(attr(fd, KVM_HAS_DEVICE_ATTR, GRP_STORE, 1, NULL), 0);
	assert_int_equal(attr(fd, KVM_SET_DEVICE_ATTR, GRP_STORE, 1, (void *)8), -EFAULT);
	for (i = FIRST_NUMBER; i <= LAST_NUMBER; i++) {
		assert_int_equal(attr(fd, KVM_HAS_DEVICE_ATTR, GRP_NUMBERS, i, NULL), 0);
		assert_int_equal(attr(fd, KVM_GET_DEVICE_ATTR, GRP_NUMBERS, i, &v), 0);
		assert_int_equal(v, i);
		assert_int_equal(attr(fd, KVM_SET_DEVICE_ATTR, GRP_NUMBERS, i, &v), -ENXIO);
	}
	assert_int_equal(attr(fd, KVM_SET_DEVICE_ATTR, GRP_BUSY, UINT64_MAX, &v), -EBUSY);
	assert_int_equal(attr(fd, KVM_HAS_DEVICE_ATTR, GRP_BUSY, 0, NULL), -ENXIO);
	for (i = 0; i < COUNT(all); i++) {
		assert_int_equal(attr(fd, all[i], GRP_STORE, 0, &v), -ENXIO);
		assert_int_equal(attr(fd, all[i], GRP_STORE, 2, &v), -ENXIO);
		assert_int_equal(attr(fd, all[i], GRP_NUMBERS, FIRST_NUMBER - 1, &v), -ENXIO);
		assert_int_equal(attr(fd, all[i], GRP_NUMBERS, LAST_NUMBER + 1, &v), -ENXIO);
		assert_int_equal(attr(fd, all[i], 0, 1, &v), -ENXIO);
		assert_int_equal(attr(fd, all[i], 6, 1, &v), -ENXIO);
		assert_int_equal(call((int)fd, all[i], 8), -EFAULT);
	}
}

/* As Linux: -ENOTTY, where the other descriptors say -EINVAL. */
static void other_requests(void **state)
{
	static const unsigned long requests[] = {
		KVM_RUN,         KVM_GET_API_VERSION, KVM_CREATE_VCPU,
		KVM_GET_ONE_REG, KVM_CREATE_DEVICE,   0,
		0xae99};
	uint32_t fd;
	size_t i;

	assert_int_equal(create(*state, TEST_TYPE, 0, &fd), 0);
	for (i = 0; i < COUNT(requests); i++)
		assert_int_equal(call((int)fd, requests[i], 0), -ENOTTY);
}

/* In a child it is somebody else's. */
static void foreign_device(void **state)
{
	uint32_t fd;
	int status;
	pid_t pid;

	assert_int_equal(create(*state, TEST_TYPE, 0, &fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(attr(fd, KVM_HAS_DEVICE_ATTR, GRP_STORE, 1, NULL) == -EIO ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Its creation fails at the last step: what create() did is undone. */
static void no_descriptor_left(void **state)
{
	struct rlimit old, none;
	uint32_t fd;
	int top;

	top = dup(0);
	assert_true(top >= 0);
	close(top);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){.rlim_cur = (rlim_t)top, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(create(*state, TEST_TYPE, 0, &fd), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(created, 1);
	assert_int_equal(destroyed, 1);
	assert_int_equal(create(*state, TEST_TYPE, 0, &fd), 0);
	assert_int_equal(created, 2);
}

static const struct device_type many_type = {
	.nr = TEST_TYPE + 1,
	.name = "armature-many",
	.attrs = test_attrs,
};

static const struct device_type *const many_types[] = {&many_type, NULL};

static void *make_and_close(void *arg)
{
	struct machine_under_test *m = arg;
	uint32_t fd, other;
	int i;

	for (i = 0; i < 50; i++) {
		assert_int_equal(create(m, TEST_TYPE + 1, 0, &fd), 0);
		assert_int_equal(create(m, TEST_TYPE + 1, 0, &other), 0);
		assert_int_equal(attr(fd, KVM_HAS_DEVICE_ATTR, GRP_STORE, 1, NULL), 0);
		assert_int_equal(armature_close((int)fd), 0);
		assert_int_equal(attr(other, KVM_HAS_DEVICE_ATTR, GRP_STORE, 2, NULL), -ENXIO);
		assert_int_equal(armature_close((int)other), 0);
	}
	return NULL;
}

/* Four threads make devices and close them; all of these are the VM's at its end. */
static void many_at_once(void **state)
{
	struct machine_under_test *m = *state;
	struct device *dev;
	pthread_t thread[4];
	unsigned int i, n = 0;

	vm_of(m->vm)->device_types = many_types;
	for (i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, make_and_close, m), 0);
	for (i = 0; i < COUNT(thread); i++)
		pthread_join(thread[i], NULL);
	for (dev = vm_of(m->vm)->devices; dev; dev = dev->next)
		n++;
	assert_int_equal(n, 4 * 50 * 2);
	assert_int_equal(vm_of(m->vm)->refs, 2); /* its own descriptor, and the vCPU's */
}

/* A device lives as long as its VM, and its descriptor keeps that alive. */
static void lives(void **unused)
{
	struct machine_under_test *m;
	unsigned int before = open_fds();
	uint32_t fd;
	void *state;

	set_up_types(&state);
	m = state;
	assert_int_equal(create(m, TEST_TYPE, 0, &fd), 0);
	assert_int_equal(armature_close((int)fd), 0);
	assert_int_equal(destroyed, 0);
	tear_down(&state);
	assert_int_equal(destroyed, 1);
	assert_int_equal(open_fds(), before);

	set_up_types(&state);
	m = state;
	assert_int_equal(create(m, TEST_TYPE, 0, &fd), 0);
	tear_down(&state);
	assert_int_equal(destroyed, 0);
	assert_int_equal(attr(fd, KVM_HAS_DEVICE_ATTR, GRP_STORE, 1, NULL), 0);
	assert_int_equal(armature_close((int)fd), 0);
	assert_int_equal(destroyed, 1);
	assert_int_equal(open_fds(), before);
}

#define SINK(f)  cmocka_unit_test_setup_teardown(f, set_up_sink, tear_down)
#define PAIR(f)  cmocka_unit_test_setup_teardown(f, set_up_pair, tear_down_pair)
#define TYPES(f) cmocka_unit_test_setup_teardown(f, set_up_types, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SINK(vtimer),
		SINK(vtimer_asleep),
		SINK(ptimer),
		SINK(ptimer_asleep),
		SINK(pmu),
		SINK(level_by_one_reg),
		SINK(field_is_untouched),
		SINK(level_without_pin),
		SINK(edges),
		SINK(one_irqchip),
		cmocka_unit_test(irqchip_races_run),
		PAIR(registers_of_one_vm),
		PAIR(register_rights),
		PAIR(registers_in_one_reg),
		cmocka_unit_test_setup_teardown(rows_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_other_types, set_up, tear_down),
		TYPES(create_device),
		TYPES(attributes),
		TYPES(other_requests),
		TYPES(foreign_device),
		TYPES(no_descriptor_left),
		TYPES(many_at_once),
		cmocka_unit_test(lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
