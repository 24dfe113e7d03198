/* SPDX-License-Identifier: MIT */
/*
 * Instructions that change: what user space wrote into guest memory before it called KVM_RUN is
 * what that KVM_RUN executes, with nothing else done about it. Each test is made with one vCPU and
 * with two that execute the same code.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define VBAR            ARM64_SYS_REG(3, 0, 12, 0, 0)
#define MOVZ(rd, k)     (0xd2800000u | (uint32_t)(k) << 5 | (rd))
#define STR(rt, rn)     (0xf9000000u | (rn) << 5 | (rt))
#define STR_W(rt, rn)   (0xb9000000u | (rn) << 5 | (rt))
#define ADDI(rd, rn, k) (0x91000000u | (uint32_t)(k) << 10 | (rn) << 5 | (rd))
#define BLR(rn)         (0xd63f0000u | (rn) << 5)
#define RET             0xd65f03c0u
#define BRK             0xd4200000u
#define B(words)        (0x14000000u | ((uint32_t)(words)&0x3ffffff))
#define DC_CVAU(rt)     (0xd50b7b20u | (rt))
#define IC_IVAU(rt)     (0xd50b7520u | (rt))
#define DSB             0xd5033f9fu
#define ISB             0xd5033fdfu
#define EC_BRK          0x3c

/* Where things are, from the start of RAM: a main program, a function, an exception vector. */
#define MAIN     0
#define FUNCTION 0x2000
#define VECTORS  0x4000

struct guest {
	struct machine_under_test *m;
	struct machine_under_test cpu[2]; /* the same but for vcpu and run */
	unsigned int n;
};

#define FOR_EACH_VCPU(c, g) \
	for (struct machine_under_test *c = (g)->cpu; c < (g)->cpu + (g)->n; c++)

static int set_up_vcpus(void **state, unsigned int n)
{
	struct guest *g = calloc(1, sizeof(*g));
	void *m;

	assert_non_null(g);
	set_up(&m);
	g->m = m;
	g->n = n;
	g->cpu[0] = *g->m;
	if (n == 2) {
		g->cpu[1] = *g->m;
		g->cpu[1].vcpu = call(g->m->vm, KVM_CREATE_VCPU, 1);
		assert_true(g->cpu[1].vcpu >= 0);
		assert_int_equal(init_vcpu(g->cpu[1].vcpu, PSCI_FEATURE), 0);
		g->cpu[1].run =
			mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, g->cpu[1].vcpu, 0);
		assert_ptr_not_equal(g->cpu[1].run, MAP_FAILED);
	}
	*state = g;
	return 0;
}

static int set_up_one(void **state)
{
	return set_up_vcpus(state, 1);
}

static int set_up_two(void **state)
{
	return set_up_vcpus(state, 2);
}

static int tear_down_vcpus(void **state)
{
	struct guest *g = *state;
	void *m = g->m;

	if (g->n == 2) {
		munmap(g->cpu[1].run, PAGE);
		armature_close(g->cpu[1].vcpu);
	}
	tear_down(&m);
	free(g);
	return 0;
}

static void put_n(const struct guest *g, unsigned int offset, const uint32_t *words, size_t n)
{
	memcpy(g->m->ram + offset, words, n * sizeof(*words));
}

#define PUT(g, offset, ...)                               \
	put_n(g, offset, (const uint32_t[]){__VA_ARGS__}, \
	      sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* X10: where numbers are reported. X20: the function. */
static void start(struct machine_under_test *c, uint64_t function)
{
	assert_int_equal(set_u64(c->vcpu, PC, RAM + MAIN), 0);
	assert_int_equal(set_u64(c->vcpu, X(10), MMIO), 0);
	assert_int_equal(set_u64(c->vcpu, X(20), function), 0);
	assert_int_equal(set_u64(c->vcpu, VBAR, RAM + VECTORS), 0);
}

static void start_all(struct guest *g, uint64_t function)
{
	FOR_EACH_VCPU(c, g)
	start(c, function);
}

/* Run until the guest reports a number. */
static uint64_t report(struct machine_under_test *c)
{
	uint64_t value;
	int ret;

	do
		ret = run_vcpu(c);
	while (ret == -EINTR);
	assert_int_equal(ret, 0);
	assert_int_equal(c->run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(c->run->mmio.is_write, 1);
	memcpy(&value, c->run->mmio.data, 8);
	return value;
}

static void expect(struct guest *g, uint64_t value)
{
	FOR_EACH_VCPU(c, g)
	assert_int_equal(report(c), value);
}

/* Complete what waits, so that registers can be set. */
static void settle(struct guest *g)
{
	FOR_EACH_VCPU(c, g)
	{
		c->run->immediate_exit = 1;
		assert_int_equal(run_vcpu(c), -EINTR);
		c->run->immediate_exit = 0;
	}
}

/* A main program that reports what the function returns, for ever. */
static void put_caller(const struct guest *g)
{
	PUT(g, MAIN, BLR(20), STR(0, 10), B(-2));
}

static void same_block(void **state)
{
	struct guest *g = *state;

	PUT(g, MAIN, MOVZ(0, 1), STR(0, 10), B(-2));
	start_all(g, 0);
	expect(g, 1);
	expect(g, 1);
	for (unsigned int i = 2; i < 20; i++) {
		PUT(g, MAIN, MOVZ(0, i));
		expect(g, i);
		expect(g, i);
	}
}

static void same_pc(void **state)
{
	struct guest *g = *state;

	for (unsigned int i = 1; i < 20; i++) {
		PUT(g, MAIN, MOVZ(0, i), STR(0, 10), B(-2));
		start_all(g, 0);
		expect(g, i);
		settle(g);
	}
}

static void another_page(void **state)
{
	struct guest *g = *state;

	put_caller(g);
	start_all(g, RAM + FUNCTION);
	for (unsigned int i = 1; i < 20; i++) {
		PUT(g, FUNCTION, MOVZ(0, i), RET);
		expect(g, i);
		expect(g, i);
	}
}

/* The exit left a block in its middle; what follows in it changes. */
static void behind_an_exit(void **state)
{
	struct guest *g = *state;

	PUT(g, MAIN, MOVZ(0, 1), STR(0, 10), MOVZ(0, 2), STR(0, 10), MOVZ(0, 3), STR(0, 10), B(-6));
	start_all(g, 0);
	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int k = 1; k <= 3; k++)
			expect(g, k);
	for (unsigned int i = 1; i < 20; i++) {
		expect(g, 1);
		PUT(g, MAIN + 8, MOVZ(0, 100 + i));
		expect(g, 100 + i);
		PUT(g, MAIN + 16, MOVZ(0, 200 + i));
		expect(g, 200 + i);
	}
}

/* A debugger's breakpoint: put there, hit, taken away, gone. */
static void breakpoint(void **state)
{
	struct guest *g = *state;
	struct prog p = {0};

	a_mrs(&p, 1, A_ESR_EL1);
	a_str(&p, 3, 1, 10);
	memcpy(g->m->ram + VECTORS + 0x200, p.word, p.n * 4);
	PUT(g, FUNCTION, ADDI(2, 2, 1), MOVZ(0, 7), RET);
	put_caller(g);
	for (unsigned int i = 0; i < 10; i++) {
		start_all(g, RAM + FUNCTION);
		expect(g, 7);
		PUT(g, FUNCTION + 4, BRK);
		FOR_EACH_VCPU(c, g)
		assert_int_equal(report(c) >> 26, EC_BRK);
		PUT(g, FUNCTION + 4, MOVZ(0, 7));
		settle(g);
	}
	FOR_EACH_VCPU(c, g)
	assert_int_equal(get_u64(c->vcpu, X(2)), 20);
}

/* Other memory in the place of the page, at the same host address. */
static void mapped_over(void **state)
{
	struct guest *g = *state;
	void *at = g->m->ram + FUNCTION;

	put_caller(g);
	start_all(g, RAM + FUNCTION);
	for (unsigned int i = 1; i < 20; i++) {
		assert_ptr_equal(mmap(at, PAGE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
				 at);
		PUT(g, FUNCTION, MOVZ(0, i), RET);
		expect(g, i);
		expect(g, i);
	}
}

#define ELSEWHERE      0x50000000ull
#define HVA(g, offset) ((uintptr_t)(g)->m->ram + (offset))

/*
 * The function is in a slot of its own, which is taken away and made again: with other content, in
 * another place of the host's, moved to another address.
 */
static void slot_again(void **state)
{
	struct guest *g = *state;
	unsigned int i;

	put_caller(g);
	start_all(g, ELSEWHERE);
	for (i = 1; i < 20; i++) {
		unsigned int place = i % 3 ? FUNCTION : FUNCTION + PAGE;

		assert_int_equal(set_region(g->m->vm, 1, 0, ELSEWHERE, PAGE, HVA(g, place)), 0);
		PUT(g, place, MOVZ(0, i), RET);
		expect(g, i);
		assert_int_equal(set_region(g->m->vm, 1, 0, 0, 0, 0), 0);
	}
	assert_int_equal(set_region(g->m->vm, 1, 0, ELSEWHERE, PAGE, HVA(g, FUNCTION)), 0);
	PUT(g, FUNCTION, MOVZ(0, i), RET);
	expect(g, i);
	assert_int_equal(set_region(g->m->vm, 1, 0, ELSEWHERE + PAGE, PAGE, HVA(g, FUNCTION)), 0);
	assert_int_equal(set_region(g->m->vm, 2, 0, ELSEWHERE, PAGE, HVA(g, FUNCTION + PAGE)), 0);
	PUT(g, FUNCTION + PAGE, MOVZ(0, 99), RET);
	expect(g, 99);
}

/* A program that is put into a VM which was used before. */
static void reset_vcpu(void **state)
{
	struct guest *g = *state;

	for (unsigned int i = 1; i < 20; i++) {
		PUT(g, MAIN, MOVZ(0, i), BLR(20), STR(0, 10), B(-2));
		PUT(g, FUNCTION, ADDI(0, 0, i), RET);
		start_all(g, RAM + FUNCTION);
		expect(g, 2 * i);
		settle(g);
		FOR_EACH_VCPU(c, g)
		assert_int_equal(init_vcpu(c->vcpu, PSCI_FEATURE), 0);
	}
}

/*
 * Two slots over the same memory. The guest writes an instruction through one, does its maintenance
 * there or by the other's address, and executes it through either, all within a KVM_RUN:
 * instruction caches are indexed by physical address, to which both lead.
 */
static void aliases(void **state)
{
	struct guest *g = *state;
	const uint64_t alias[2] = {RAM + FUNCTION, ELSEWHERE};

	assert_int_equal(set_region(g->m->vm, 1, 0, ELSEWHERE, PAGE, HVA(g, FUNCTION)), 0);
	PUT(g, FUNCTION, MOVZ(0, 1), RET);
	/* Call; write W5 through X6; maintenance by X7; call again; report both. */
	PUT(g, MAIN, BLR(20), ADDI(3, 0, 0), STR_W(5, 6), DC_CVAU(7), DSB, IC_IVAU(7), DSB, ISB,
	    BLR(20), STR(3, 10), STR(0, 10));
	for (unsigned int i = 1; i < 40; i++) {
		start_all(g, alias[i & 1]);
		FOR_EACH_VCPU(c, g)
		{
			PUT(g, FUNCTION, MOVZ(0, i), RET);
			assert_int_equal(set_u64(c->vcpu, X(5), MOVZ(0, i + 1)), 0);
			assert_int_equal(set_u64(c->vcpu, X(6), alias[i >> 1 & 1]), 0);
			assert_int_equal(set_u64(c->vcpu, X(7), alias[i >> 2 & 1]), 0);
			assert_int_equal(report(c), i);
			assert_int_equal(report(c), i + 1);
		}
		settle(g);
	}
}

/* More pages are entered in one KVM_RUN than a vCPU remembers one by one. */
static void many_entries(void **state)
{
	struct guest *g = *state;

	/* The function's and the main program's lines of the execute TLB are the same one. */
	assert_int_equal(set_region(g->m->vm, 1, 0, ELSEWHERE, PAGE, HVA(g, FUNCTION)), 0);
	PUT(g, MAIN, MOVZ(0, 0), MOVZ(4, 400), /* again: */ BLR(20), BLR(21),
	    0xf1000484 /* SUBS X4, X4, #1 */, 0x54ffffa1 /* B.NE again */, STR(0, 10), B(-7));
	start_all(g, ELSEWHERE);
	for (unsigned int i = 1; i < 16; i++) {
		FOR_EACH_VCPU(c, g)
		assert_int_equal(set_u64(c->vcpu, X(21), RAM + FUNCTION + PAGE), 0);
		PUT(g, FUNCTION, ADDI(0, 0, i), RET);
		PUT(g, FUNCTION + PAGE, ADDI(0, 0, 2 * i), RET);
		expect(g, 400 * 3 * i);
		settle(g);
	}
}

/* ---- With a vCPU that stays inside ---- */

struct runner {
	struct machine_under_test *c;
	pthread_t thread;
	_Atomic bool stop;
};

static void nothing(int sig)
{
}

static void *run_until_stopped(void *arg)
{
	struct runner *r = arg;

	while (!r->stop)
		assert_int_equal(run_vcpu(r->c), -EINTR);
	return NULL;
}

static void start_runner(struct runner *r, struct machine_under_test *c)
{
	struct sigaction sa = {.sa_handler = nothing};

	sigaction(SIGUSR1, &sa, NULL);
	r->c = c;
	r->stop = false;
	assert_int_equal(pthread_create(&r->thread, NULL, run_until_stopped, r), 0);
}

static void stop_runner(struct runner *r)
{
	r->stop = true;
	while (pthread_tryjoin_np(r->thread, NULL)) {
		pthread_kill(r->thread, SIGUSR1);
		usleep(100);
	}
}

static void wait_for(const struct guest *g, unsigned int offset, uint64_t value)
{
	const uint64_t *at = (const uint64_t *)(g->m->ram + offset);

	while (__atomic_load_n(at, __ATOMIC_ACQUIRE) != value)
		sched_yield();
}

#define RESULT 0x8000
#define FLAG   0x9000

/* A device's write, seen by the guest: it does the maintenance, and does not leave meanwhile. */
static void written_by_a_device(void **state)
{
	struct guest *g = *state;
	struct machine_under_test *c = &g->cpu[g->n - 1];
	struct runner r;
	struct prog p = {0};
	unsigned int spin;

	PUT(g, FUNCTION, MOVZ(0, 0), RET);
	a_movi(&p, 5, 0);
	a_emit(&p, BLR(20));
	a_str(&p, 3, 0, 11);
	a_addi(&p, 5, 5, 1);
	spin = a_here(&p);
	a_ldr(&p, 3, 6, 12);
	a_sub(&p, 7, 6, 5);
	a_cbnz(&p, 7, spin);
	a_emit(&p, IC_IVAU(20));
	a_dsb(&p);
	a_isb(&p);
	a_b(&p, 1);
	memcpy(g->m->ram + MAIN, p.word, p.n * 4);
	start(c, RAM + FUNCTION);
	set_u64(c->vcpu, X(11), RAM + RESULT);
	set_u64(c->vcpu, X(12), RAM + FLAG);
	*(uint64_t *)(g->m->ram + RESULT) = UINT64_MAX;
	start_runner(&r, c);
	/* The guest has called it as it was: from now on it waits for each flag. */
	wait_for(g, RESULT, 0);
	for (unsigned int i = 1; i < 200; i++) {
		__atomic_store_n((uint32_t *)(g->m->ram + FUNCTION), MOVZ(0, i), __ATOMIC_RELEASE);
		__atomic_store_n((uint64_t *)(g->m->ram + FLAG), i, __ATOMIC_RELEASE);
		wait_for(g, RESULT, i);
	}
	stop_runner(&r);
}

/*
 * One vCPU executes the function all the time, and another one each time that it was written. The
 * first sees what was written at the latest when it is run again.
 */
static void other_runs_on(void **state)
{
	struct guest *g = *state;
	struct machine_under_test *stays = &g->cpu[1], *c = &g->cpu[0];
	struct runner r;

	put_caller(g);
	PUT(g, FUNCTION, MOVZ(0, 1), RET);
	start(c, RAM + FUNCTION);
	start(stays, RAM + FUNCTION);
	set_u64(stays->vcpu, X(10), RAM + RESULT);
	start_runner(&r, stays);
	wait_for(g, RESULT, 1);
	for (unsigned int i = 2; i < 200; i++) {
		__atomic_store_n((uint32_t *)(g->m->ram + FUNCTION), MOVZ(0, i), __ATOMIC_RELEASE);
		assert_int_equal(report(c), i);
		if (i % 8)
			continue;
		stop_runner(&r);
		start_runner(&r, stays);
		wait_for(g, RESULT, i);
	}
	stop_runner(&r);
}

#define T(f)                                                         \
	{#f ", 1 vCPU", f, set_up_one, tear_down_vcpus, NULL},       \
	{                                                            \
#f ", 2 vCPUs", f, set_up_two, tear_down_vcpus, NULL \
	}
#define T2(f)                                            \
	{                                                \
#f, f, set_up_two, tear_down_vcpus, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(same_block), T(same_pc),      T(another_page),        T(behind_an_exit),
		T(breakpoint), T(mapped_over),  T(slot_again),          T(reset_vcpu),
		T(aliases),    T(many_entries), T(written_by_a_device), T2(other_runs_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
