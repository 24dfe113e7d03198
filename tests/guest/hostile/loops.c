/* SPDX-License-Identifier: MIT */
/*
 * Loops without end: interrupts, maintenance and PSCI of others get through whatever a CPU is
 * spinning in.
 */
#include "guest.h"

#define NOP      0xd503201fu
#define B(words) (0x14000000u | ((uint32_t)(words)&0x3ffffff))

static uint64_t out_of_loop;

static void leave_loop(struct frame *f, unsigned int intid)
{
	f->elr = out_of_loop;
	msr(cntv_ctl_el0, 0);
}

/* Into the loop; the interrupt leads out of it. */
static void spin_in(const void *loop)
{
	gic_enable(PPI_VTIMER);
	this_cpu()->irq = leave_loop;
	this_cpu()->irqs = 0;
	msr(cntv_tval_el0, ns_to_ticks(200000));
	msr(cntv_ctl_el0, 1);
	asm volatile(
		"adr x1, 1f\n str x1, [%1]\n msr daifclr, #2\n br %0\n 1: msr daifset, #2" ::"r"(
			loop),
		"r"(&out_of_loop)
		: "x1", "x2", "x3", "memory");
	CHECK_EQ(this_cpu()->irqs, 1);
}

static void *code_at(uint64_t va, const uint32_t *words, unsigned int n)
{
	memcpy((void *)va, words, 4 * n);
	sync_code((void *)va, 4 * n);
	return (void *)va;
}

static void tight(void)
{
	static const uint32_t self[] = {B(0)};
	static const uint32_t two[] = {NOP, B(-1)};
	static const uint32_t forth[] = {B(2), B(-1), B(-1)};
	static const uint32_t indirect[] = {0x10000002 /* adr x2, . */, 0xd61f0040 /* br x2 */};
	static const uint32_t call[] = {0x10000002, 0xd63f0040 /* blr x2 */};
	static const uint32_t count[] = {0xf1000442 /* subs x2, x2, #1 */, 0x54ffffe1 /* b.ne -1 */,
					 B(-2)};

	for (unsigned int i = 0; i < 20; i++) {
		uint64_t at = (uint64_t)page(0) + 64 * i;

		spin_in(code_at(at, self, 1));
		spin_in(code_at(at, two, 2));
		spin_in(code_at(at, forth, 3));
		spin_in(code_at(at, indirect, 2));
		spin_in(code_at(at, call, 2));
		spin_in(code_at(at, count, 3));
	}
}

/* Sixty-four pages of straight line, then all over again. */
static void long_loop(void)
{
	uint32_t *p = big_page(0);
	unsigned int n = 64 * 1024;

	for (unsigned int i = 0; i < n; i++)
		p[i] = NOP;
	p[n - 1] = B(-(int)(n - 1));
	sync_code(p, 4 * n);
	for (unsigned int i = 0; i < 10; i++)
		spin_in(p);
}

/* From page to page, each a block of one branch. */
static void hops(void)
{
	uint32_t *p = big_page(0);

	for (unsigned int i = 0; i < 512; i++)
		p[i * 1024] = i == 511 ? B(-511 * 1024) : B(1024);
	sync_code(p, 2 << 20);
	for (unsigned int i = 0; i < 10; i++)
		spin_in(p);
}

/* A fault that its handler only tries again: the interrupt comes when the handler returns. */
static void try_again(struct frame *f)
{
}

static void faults_for_ever(void)
{
	static const uint32_t words[] = {0xf9400042 /* ldr x2, [x2] */, B(-1)};

	this_cpu()->sync = try_again;
	code_at((uint64_t)page(0), words, 2);
	gic_enable(PPI_VTIMER);
	this_cpu()->irq = leave_loop;
	this_cpu()->irqs = 0;
	msr(cntv_tval_el0, ns_to_ticks(500000));
	msr(cntv_ctl_el0, 1);
	asm volatile("adr x1, 1f\n str x1, [%1]\n mov x2, %2\n msr daifclr, #2\n br %0\n 1: msr "
		     "daifset, #2" ::"r"(page(0)),
		     "r"(&out_of_loop), "r"(W(9))
		     : "x1", "x2", "memory");
	CHECK_EQ(this_cpu()->irqs, 1);
	CHECK(this_cpu()->faults > 1);
}

/*
 * Another CPU spins for ever with its interrupts masked: it must still serve maintenance and code
 * changes of ours.
 */
static volatile bool stop;

static void spinner(void *arg)
{
	asm volatile("1: ldrb w0, [%0]\n cbz w0, 1b" ::"r"(&stop) : "x0", "memory");
}

static void masked_neighbour(void)
{
	uint64_t t = now();

	if (nr_cpus() < 2)
		return;
	stop = false;
	run_on(1, spinner, NULL);
	for (unsigned int i = 0; i < 3000; i++) {
		uint32_t *p = page(1);

		map(W(0), page(0), NORMAL);
		(void)read64(W(0));
		unmap(W(0));
		p[0] = 0xd2800000 | (i & 0xffff) << 5;
		p[1] = RET;
		sync_code(p, 8);
		CHECK_EQ(((uint64_t(*)(void))p)(), i);
	}
	CHECK(now() - t < ns_to_ticks(20000000000ull));
	stop = true;
	join(1);
}

/* The timer's interrupt is never later than a little while. */
static uint64_t latest;

static void measure(struct frame *f, unsigned int intid)
{
	uint64_t late = mrs(cntvct_el0) - mrs(cntv_cval_el0);

	if (late > latest)
		latest = late;
	msr(cntv_cval_el0, mrs(cntvct_el0) + ns_to_ticks(100000));
}

static void latency(void)
{
	gic_enable(PPI_VTIMER);
	this_cpu()->irq = measure;
	this_cpu()->irqs = 0;
	latest = 0;
	msr(cntv_cval_el0, mrs(cntvct_el0) + ns_to_ticks(100000));
	msr(cntv_ctl_el0, 1);
	irqs_on();
	while (this_cpu()->irqs < 3000)
		asm volatile("mov x3, #1000\n 1: sub x3, x3, #1\n cbnz x3, 1b" ::: "x3");
	irqs_off();
	msr(cntv_ctl_el0, 0);
	CHECK(latest < ns_to_ticks(1000000000));
}

const struct test group_loops[] = {{"tight", tight},
				   {"long-loop", long_loop},
				   {"hops", hops},
				   {"faults-for-ever", faults_for_ever},
				   {"masked-neighbour", masked_neighbour},
				   {"latency", latency},
				   {NULL, NULL}};
