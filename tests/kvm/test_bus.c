/* SPDX-License-Identifier: MIT */
/*
 * The bus, from inside the library: accesses that the KVM serves itself, with ranges that are only
 * a test's.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform/asm.h"
#include "kvm/kvm.h"
#include "tests/kvm/common.h"

#define BASE       0x0a000000ull
#define SIZE       0x100ull
#define MDSCR_EL1  ARM64_SYS_REG(2, 0, 0, 2, 2)
#define SCTLR_EL1  ARM64_SYS_REG(3, 0, 1, 0, 0)
#define VBAR_EL1   ARM64_SYS_REG(3, 0, 12, 0, 0)
#define ESR_EL1    ARM64_SYS_REG(3, 0, 5, 2, 0)
#define ELR_EL1    CORE_ID(elr_el1)
#define PSTATE     CORE_ID(regs.pstate)
#define VECTORS    0x800
#define FROM_EL0   0x400 /* the vector of a synchronous exception from EL0, AArch64 */
#define SCTLR_EE   (1ull << 25)
#define SCTLR_RES1 0x30d00800ull
#define EC_STEP    0x32
#define EL0t_STEP  (1ull << 21) /* PSTATE.SS; nothing masked */

#define REMOVALS 300
#define STORERS  2
#define YIELDS   1000

static struct vm *vm_of(const struct machine_under_test *m)
{
	struct object *o = object_get(m->vm);
	struct vm *vm = (struct vm *)((char *)o - offsetof(struct vm, object));

	object_put(o);
	return vm;
}

static void load(struct machine_under_test *m, const struct prog *p)
{
	memcpy(m->ram, p->word, p->n * 4);
	set_u64(m->vcpu, PC, RAM);
	set_u64(m->vcpu, X(10), MMIO);
	set_u64(m->vcpu, X(11), BASE + 0x10);
}

/* A range of bytes, which counts what it is asked. */
struct memory {
	struct bus_range range;
	unsigned char byte[SIZE];
	unsigned int asked;
	bool refuses;
};

static bool memory_access(struct bus_range *r, struct vcpu *vcpu, uint64_t offset,
			  unsigned int size, bool write, uint64_t *data)
{
	struct memory *mem = (struct memory *)r;

	mem->asked++;
	if (mem->refuses)
		return false;
	if (write)
		memcpy(mem->byte + offset, data, size);
	else
		memcpy(data, mem->byte + offset, size);
	return true;
}

static struct memory *memory_at(uint64_t base, uint64_t size)
{
	struct memory *mem = calloc(1, sizeof(*mem));

	assert_non_null(mem);
	mem->range = (struct bus_range){base, size, memory_access};
	return mem;
}

/* ---- Loads and stores ---- */

struct load_row {
	bool big_endian;
	unsigned int size_log2;
	int signed_to; /* 0: zero extension; 32 or 64 */
	uint64_t value;
};

static const unsigned char pattern[8] = {0xf1, 0xe2, 0xd3, 0xc4, 0xb5, 0xa6, 0x97, 0x88};

static const struct load_row load_rows[] = {
	{false, 0, 0, 0xf1},
	{false, 1, 0, 0xe2f1},
	{false, 2, 0, 0xc4d3e2f1},
	{false, 3, 0, 0x8897a6b5c4d3e2f1},
	{false, 0, 64, 0xfffffffffffffff1},
	{false, 1, 32, 0xffffe2f1},
	{false, 2, 64, 0xffffffffc4d3e2f1},
	{true, 1, 0, 0xf1e2},
	{true, 2, 64, 0xfffffffff1e2d3c4},
	{true, 3, 0, 0xf1e2d3c4b5a69788},
};

static void check_load(struct machine_under_test *m, const struct load_row *row)
{
	struct prog p = {0};

	if (row->signed_to)
		a_ldrs(&p, row->size_log2, 0, 11, row->signed_to == 64);
	else
		a_ldr(&p, row->size_log2, 0, 11);
	a_str(&p, 3, 0, 10);
	load(m, &p);
	set_u64(m->vcpu, SCTLR_EL1, SCTLR_RES1 | (row->big_endian ? SCTLR_EE : 0));
	/* The one exit is the store after it. */
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(m->run->mmio.phys_addr, MMIO);
	assert_int_equal(get_u64(m->vcpu, X(0)), row->value);
	/* Let it be over before the next row. */
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	m->run->immediate_exit = 0;
}

static void loads(void **state)
{
	struct machine_under_test *m = *state;
	struct memory *mem = memory_at(BASE, SIZE);
	struct vm *vm = vm_of(m);
	unsigned int i;

	memcpy(mem->byte + 0x10, pattern, sizeof(pattern));
	assert_int_equal(bus_add(vm, &mem->range), 0);
	for (i = 0; i < COUNT(load_rows); i++)
		check_load(m, &load_rows[i]);
	assert_int_equal(mem->asked, COUNT(load_rows));
	assert_int_equal(vm->vcpus[0]->stats[VCPU_STAT_MMIO_KERNEL], COUNT(load_rows));
	assert_int_equal(vm->vcpus[0]->stats[VCPU_STAT_MMIO_USER], COUNT(load_rows));
	bus_remove(vm, &mem->range);
	free(mem);
}

/* A store's bytes arrive in the order of memory, whatever the guest's is. */
static void stores(void **state)
{
	struct machine_under_test *m = *state;
	struct memory *mem = memory_at(BASE, SIZE);
	struct vm *vm = vm_of(m);
	struct prog p = {0};
	int big;

	assert_int_equal(bus_add(vm, &mem->range), 0);
	a_str(&p, 2, 0, 11);
	a_str(&p, 3, A_XZR, 10);
	for (big = 0; big < 2; big++) {
		load(m, &p);
		set_u64(m->vcpu, X(0), 0x8897a6b5c4d3e2f1);
		set_u64(m->vcpu, SCTLR_EL1, SCTLR_RES1 | (big ? SCTLR_EE : 0));
		assert_int_equal(run_vcpu(m), 0);
		assert_int_equal(m->run->mmio.phys_addr, MMIO);
		assert_memory_equal(mem->byte + 0x10, big ? "\xc4\xd3\xe2\xf1" : "\xf1\xe2\xd3\xc4",
				    4);
		assert_int_equal(mem->byte[0x14], 0);
		m->run->immediate_exit = 1;
		assert_int_equal(run_vcpu(m), -EINTR);
		m->run->immediate_exit = 0;
	}
	bus_remove(vm, &mem->range);
	free(mem);
}

/* Software Step: one access is one step, whoever serves it. */
static void software_step(void **state)
{
	struct machine_under_test *m = *state;
	struct memory *mem = memory_at(BASE, SIZE);
	struct vm *vm = vm_of(m);
	struct prog p = {0};

	assert_int_equal(bus_add(vm, &mem->range), 0);
	a_str(&p, 3, 0, 11);
	a_nop(&p);
	a_org(&p, VECTORS + FROM_EL0);
	a_str(&p, 3, 0, 10);
	load(m, &p);
	set_u64(m->vcpu, VBAR_EL1, RAM + VECTORS);
	set_u64(m->vcpu, MDSCR_EL1, 1);
	set_u64(m->vcpu, PSTATE, EL0t_STEP);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(mem->asked, 1);
	assert_int_equal(get_u64(m->vcpu, ESR_EL1) >> 26, EC_STEP);
	assert_int_equal(get_u64(m->vcpu, ELR_EL1), RAM + 4);
	bus_remove(vm, &mem->range);
	free(mem);
}

/* ---- Which range ---- */

static bool served(struct vm *vm, uint64_t pa, unsigned int size)
{
	uint64_t data = 0;

	return bus_access(vm->vcpus[0], pa, size, false, &data);
}

static void edges(void **state)
{
	struct machine_under_test *m = *state;
	struct memory *mem = memory_at(BASE, SIZE), *top = memory_at(-SIZE, SIZE);
	struct vm *vm = vm_of(m);

	assert_false(served(vm, BASE, 1));
	assert_int_equal(bus_add(vm, &mem->range), 0);
	assert_int_equal(bus_add(vm, &top->range), 0);
	assert_false(served(vm, BASE - 1, 1));
	assert_false(served(vm, BASE - 4, 8));
	assert_true(served(vm, BASE, 8));
	assert_true(served(vm, BASE + SIZE - 8, 8));
	assert_true(served(vm, BASE + SIZE - 1, 1));
	assert_false(served(vm, BASE + SIZE - 4, 8));
	assert_false(served(vm, BASE + SIZE, 1));
	assert_false(served(vm, 0, 1));
	assert_true(served(vm, -8ull, 8));
	assert_false(served(vm, -4ull, 8));
	bus_remove(vm, &mem->range);
	assert_false(served(vm, BASE, 8));
	bus_remove(vm, &top->range);
	assert_false(served(vm, -8ull, 8));
	free(mem);
	free(top);
}

static void overlaps(void **state)
{
	static const struct {
		uint64_t base, size;
		int ret;
	} rows[] = {
		{BASE, SIZE, -EEXIST},
		{BASE + SIZE - 1, 1, -EEXIST},
		{BASE - 1, 2, -EEXIST},
		{BASE - 1, SIZE + 2, -EEXIST},
		{BASE + 8, 8, -EEXIST},
		{-SIZE, SIZE + 1, -EINVAL},
		{1, UINT64_MAX, -EEXIST},
		{BASE - SIZE, SIZE, 0},
		{BASE + SIZE, SIZE, 0},
		{BASE + 8, 0, 0},
		{BASE, 0, 0},
		{0, 1, 0},
		{UINT64_MAX, 1, 0},
		{UINT64_MAX, 0, 0},
		{UINT64_MAX, UINT64_MAX, -EINVAL},
	};
	struct machine_under_test *m = *state;
	struct memory *mem = memory_at(BASE, SIZE), *other[COUNT(rows)];
	struct vm *vm = vm_of(m);
	unsigned int i;

	assert_int_equal(bus_add(vm, &mem->range), 0);
	for (i = 0; i < COUNT(rows); i++) {
		other[i] = memory_at(rows[i].base, rows[i].size);
		assert_int_equal(bus_add(vm, &other[i]->range), rows[i].ret);
		if (!rows[i].ret)
			bus_remove(vm, &other[i]->range);
		free(other[i]);
	}
	assert_true(served(vm, BASE, 8));
	bus_remove(vm, &mem->range);
	free(mem);
}

/* Points are asked before the range that they lie in, all of one address, in their order. */
static void points(void **state)
{
	struct machine_under_test *m = *state;
	struct memory *mem = memory_at(BASE, SIZE), *point[4];
	struct vm *vm = vm_of(m);
	unsigned int i;

	assert_int_equal(bus_add(vm, &mem->range), 0);
	for (i = 0; i < COUNT(point); i++) {
		point[i] = memory_at(i < 3 ? BASE + 8 : 0, 0);
		point[i]->refuses = i != 1;
		assert_int_equal(bus_add(vm, &point[i]->range), 0);
	}
	assert_true(served(vm, BASE + 8, 4));
	assert_int_equal(point[0]->asked, 1);
	assert_int_equal(point[1]->asked, 1);
	assert_int_equal(point[2]->asked, 0);
	assert_int_equal(mem->asked, 0);
	point[1]->refuses = true;
	assert_true(served(vm, BASE + 8, 4));
	assert_int_equal(point[2]->asked, 1);
	assert_int_equal(mem->asked, 1);
	assert_true(served(vm, BASE + 7, 4)); /* begins elsewhere */
	assert_int_equal(point[0]->asked, 2);
	assert_false(served(vm, 0, 1));
	assert_int_equal(point[3]->asked, 1);
	for (i = 0; i < COUNT(point); i++) {
		bus_remove(vm, &point[i]->range);
		free(point[i]);
	}
	assert_true(served(vm, BASE + 8, 4));
	bus_remove(vm, &mem->range);
	free(mem);
}

/* ---- Removal ---- */

/* An access that takes its time, and adds a range meanwhile. */
struct slow {
	struct bus_range range;
	struct vm *vm;
	struct bus_range *adds;
	_Atomic bool inside, removing, left;
};

static bool slow_access(struct bus_range *r, struct vcpu *vcpu, uint64_t offset, unsigned int size,
			bool write, uint64_t *data)
{
	struct slow *s = (struct slow *)r;
	unsigned int i;

	assert_int_equal(bus_add(s->vm, s->adds), 0);
	atomic_store(&s->inside, true);
	while (!atomic_load(&s->removing))
		sched_yield();
	/* bus_remove() has every chance to return too early. */
	for (i = 0; i < YIELDS; i++)
		sched_yield();
	atomic_store(&s->left, true);
	return true;
}

static void *remove_it(void *arg)
{
	struct slow *s = arg;

	while (!atomic_load(&s->inside))
		sched_yield();
	atomic_store(&s->removing, true);
	bus_remove(s->vm, &s->range);
	return (void *)(uintptr_t)atomic_load(&s->left);
}

/* Whoever removes a range waits for who is inside; whoever adds one does not. */
static void removal_waits(void **state)
{
	struct machine_under_test *m = *state;
	struct memory *mem = memory_at(BASE + SIZE, SIZE);
	struct slow s = {{BASE, SIZE, slow_access}, vm_of(m), &mem->range};
	struct prog p = {0};
	pthread_t thread;
	void *left;

	assert_int_equal(bus_add(s.vm, &s.range), 0);
	a_str(&p, 3, 0, 11);
	a_str(&p, 3, 0, 10);
	load(m, &p);
	assert_int_equal(pthread_create(&thread, NULL, remove_it, &s), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->mmio.phys_addr, MMIO);
	pthread_join(thread, &left);
	assert_true(left);
	bus_remove(s.vm, &mem->range);
	free(mem);
}

/* Ranges come and go while vCPUs store there; an access after bus_remove() meets freed memory. */
struct storer {
	struct machine_under_test *m;
	pthread_t thread;
	int vcpu;
	struct kvm_run *run;
	_Atomic bool *stop;
	uint64_t exits;
};

#define ALIVE 0x616c697665ull

struct passing {
	struct bus_range range;
	uint64_t alive;
	_Atomic unsigned int asked;
};

static bool passing_access(struct bus_range *r, struct vcpu *vcpu, uint64_t offset,
			   unsigned int size, bool write, uint64_t *data)
{
	struct passing *p = (struct passing *)r;

	assert_int_equal(p->alive, ALIVE);
	atomic_fetch_add_explicit(&p->asked, 1, memory_order_relaxed);
	sched_yield();
	assert_int_equal(p->alive, ALIVE);
	return true;
}

static void *store(void *arg)
{
	struct storer *s = arg;

	while (!atomic_load(s->stop)) {
		assert_int_equal(call(s->vcpu, KVM_RUN, 0), 0);
		assert_int_equal(s->run->exit_reason, KVM_EXIT_MMIO);
		s->exits++;
	}
	return NULL;
}

static void pass(struct vm *vm, struct passing *p)
{
	*p = (struct passing){{BASE, SIZE, passing_access}, ALIVE};
	assert_int_equal(bus_add(vm, &p->range), 0);
	while (atomic_load(&p->asked) < 2)
		sched_yield();
	bus_remove(vm, &p->range);
	p->alive = 0;
}

static void removal_storm(void **state)
{
	struct machine_under_test *m = *state;
	struct storer s[STORERS] = {{m, .vcpu = m->vcpu, .run = m->run}};
	struct passing *p = calloc(1, sizeof(*p));
	_Atomic bool stop = false;
	struct vm *vm = vm_of(m);
	struct prog prog = {0};
	unsigned int i;

	a_str(&prog, 3, 0, 11);
	a_str(&prog, 3, 0, 11);
	a_str(&prog, 3, 0, 11);
	a_str(&prog, 3, 0, 10);
	a_b(&prog, 0);
	load(m, &prog);
	create_vcpu(m, 1, &s[1].vcpu, &s[1].run);
	set_u64(s[1].vcpu, PC, RAM);
	set_u64(s[1].vcpu, X(10), MMIO);
	set_u64(s[1].vcpu, X(11), BASE + 0x10);
	for (i = 0; i < STORERS; i++) {
		s[i].stop = &stop;
		assert_int_equal(pthread_create(&s[i].thread, NULL, store, &s[i]), 0);
	}
	for (i = 0; i < REMOVALS; i++)
		pass(vm, p);
	atomic_store(&stop, true);
	for (i = 0; i < STORERS; i++)
		pthread_join(s[i].thread, NULL);
	close_vcpu(s[1].vcpu, s[1].run);
	free(p);
}

/* Adding and removing in any order: what is there is served, what is not is not. */
static void many(void **state)
{
	enum { N = 64, ROUNDS = 4000 };
	struct machine_under_test *m = *state;
	struct memory *mem[N];
	bool there[N] = {false};
	struct vm *vm = vm_of(m);
	unsigned int i, k, seed = 1;

	for (i = 0; i < N; i++)
		mem[i] = memory_at(BASE + i / 2 * SIZE, i % 2 ? SIZE : 0);
	for (k = 0; k < ROUNDS; k++) {
		seed = seed * 1103515245 + 12345;
		i = (seed >> 16) % N;
		if (there[i])
			bus_remove(vm, &mem[i]->range);
		else
			assert_int_equal(bus_add(vm, &mem[i]->range), 0);
		there[i] = !there[i];
		i = (seed >> 8) % (N / 2);
		assert_int_equal(served(vm, BASE + i * SIZE, 4), there[2 * i] || there[2 * i + 1]);
		assert_int_equal(served(vm, BASE + i * SIZE + 4, 4), there[2 * i + 1]);
	}
	for (i = 0; i < N; i++) {
		if (there[i])
			bus_remove(vm, &mem[i]->range);
		free(mem[i]);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(loads),  T(stores),        T(software_step), T(edges), T(overlaps),
		T(points), T(removal_waits), T(removal_storm), T(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
