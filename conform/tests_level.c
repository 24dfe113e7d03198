/* SPDX-License-Identifier: MIT */
/*
 * Levels of in-kernel devices: that changes are told, that what stays is not, and that the field is
 * true.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conform/conform.h"

#define SPIN_COUNT     2000000
#define SHORT_DELAY_US 2000
#define LONG_DELAY_US  1024000
#define TICKS(us)      (counter_frequency() / 1000000 * (us))

static struct guest *start(const struct device *d, struct prog *p)
{
	struct guest *g = guest_new(1, device_features(d));

	guest_load(g, p, 0);
	guest_start(g, 0, 0);
	return g;
}

/* ---- Changes ---- */

static void rise_spinning(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0};
	struct guest *g;
	struct outcome o;

	a_movi(&p, ARM_TICKS, TICKS(SHORT_DELAY_US));
	d->setup(&p);
	d->arm(&p);
	p_spin(&p);
	g = start(d, &p);
	o = run_to_level(g, 0, d->bit, d->bit);
	CHECK_EQ(o.level & ALL_BITS, d->bit);
}

/*
 * The level rises @us after it was armed. False: the guest did not get as far as WFI in that time.
 * What was told already does not end the wait that it begins then.
 */
static bool rises_in_wfi(const struct device *d, uint64_t us)
{
	struct prog p = {0};
	struct guest *g;
	struct outcome o;
	unsigned int wfi;

	a_movi(&p, ARM_TICKS, TICKS(us));
	d->setup(&p);
	d->arm(&p);
	wfi = a_here(&p);
	a_wfi(&p);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = start(d, &p);
	o = run_to_level(g, 0, d->bit, d->bit);
	CHECK_EQ(o.level & ALL_BITS, d->bit);
	if (get_reg(g, 0, PC_REG) <= RAM_BASE + 4 * wfi)
		return false;
	/* WFI is over: the next thing that the guest does is its report. */
	CHECK_EQ(run_to_report(g, 0), 1);
	return true;
}

static void rise_in_wfi(unsigned int dev)
{
	const struct device *d = &devices[dev];
	uint64_t us = SHORT_DELAY_US;

	if (!d->counts_asleep && !door->soft)
		skip("whether this counter runs in WFI is the host's matter");
	/* On a busy host that may take a while. */
	while (!rises_in_wfi(d, us))
		if ((us *= 2) > LONG_DELAY_US)
			FAIL("the guest does not come to wait in %u us", LONG_DELAY_US);
}

static void rise_at_once(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0};
	struct guest *g;

	d->setup(&p);
	d->raise(&p);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = start(d, &p);
	/* The exit may be any; the first one that shows the guest past the rise must carry it. */
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS, d->bit);
}

static void fall_by_exit(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0};
	struct guest *g;

	d->setup(&p);
	d->raise(&p);
	p_report_imm(&p, 1);
	d->lower(&p);
	p_report_imm(&p, 2);
	p_spin(&p);
	g = start(d, &p);
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS, d->bit);
	CHECK_EQ(run_to_report(g, 0), 2);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS, 0);
}

static void fall_at_once(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0};
	struct guest *g;

	d->setup(&p);
	d->raise(&p);
	p_report_imm(&p, 1);
	d->lower(&p);
	p_spin(&p);
	g = start(d, &p);
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS, d->bit);
	run_to_level(g, 0, d->bit, 0);
}

static void exit_is_intr(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0};
	struct guest *g;
	struct outcome o;

	a_movi(&p, ARM_TICKS, TICKS(SHORT_DELAY_US));
	d->setup(&p);
	d->arm(&p);
	p_spin(&p);
	g = start(d, &p);
	o = run_to_level(g, 0, d->bit, d->bit);
	CHECK_EQ(o.ret, -1);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.reason, KVM_EXIT_INTR);
}

/* A fall and a new rise while the guest is in user space's hands are a change to what was seen. */
static void rise_again(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0};
	struct guest *g;
	int i;

	d->setup(&p);
	for (i = 0; i < 20; i++) {
		d->raise(&p);
		p_report_imm(&p, 2 * i);
		d->lower(&p);
		p_report_imm(&p, 2 * i + 1);
	}
	p_spin(&p);
	g = start(d, &p);
	for (i = 0; i < 40; i++) {
		CHECK_EQ(run_to_report(g, 0), i);
		CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS, i % 2 ? 0 : d->bit);
	}
}

/* ---- No change, no exit ---- */

static void stays_high(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0};
	struct guest *g;
	struct outcome o;
	unsigned int loop;
	uint64_t value;

	d->setup(&p);
	d->raise(&p);
	p_report_imm(&p, 1);
	a_movi(&p, 9, SPIN_COUNT);
	loop = a_here(&p);
	a_subi(&p, 9, 9, 1);
	a_cbnz(&p, 9, loop);
	p_trap(&p);
	p_report_imm(&p, 2);
	p_spin(&p);
	g = start(d, &p);
	CHECK_EQ(run_to_report(g, 0), 1);
	o = run(g, 0);
	CHECK(is_report(g, 0, &o, &value) && value == 2);
	CHECK_EQ(o.level & ALL_BITS, d->bit);
}

static void stays_low(unsigned int dev)
{
	struct prog p = {0};
	struct guest *g;
	struct outcome o;
	unsigned int loop;
	uint64_t value;

	a_movi(&p, 9, SPIN_COUNT);
	loop = a_here(&p);
	a_subi(&p, 9, 9, 1);
	a_cbnz(&p, 9, loop);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = guest_new(1, 0);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	o = run(g, 0);
	CHECK(is_report(g, 0, &o, &value) && value == 1);
	CHECK_EQ(o.level & ALL_BITS, 0);
}

/* CTL.IMASK makes the output low: no change, so no exit either. */
static void masked_timer(unsigned int dev)
{
	struct prog p = {0};
	struct guest *g;
	struct outcome o;
	unsigned int loop, ctl = dev == DEV_VTIMER ? A_CNTV_CTL_EL0 : A_CNTP_CTL_EL0;
	uint64_t value;

	a_msr(&p, dev == DEV_VTIMER ? A_CNTV_CVAL_EL0 : A_CNTP_CVAL_EL0, A_XZR);
	a_msri(&p, ctl, 3, 21);
	a_movi(&p, 9, SPIN_COUNT);
	loop = a_here(&p);
	a_subi(&p, 9, 9, 1);
	a_cbnz(&p, 9, loop);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = guest_new(1, 0);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	o = run(g, 0);
	CHECK(is_report(g, 0, &o, &value) && value == 1);
	CHECK_EQ(o.level & ALL_BITS, 0);
}

/*
 * The guest's own masks do not matter: with I clear and the pin low nothing is taken, and nothing
 * exits.
 */
static void unmasked_guest(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0};
	struct guest *g;
	struct outcome o;
	unsigned int loop;
	uint64_t value;

	d->setup(&p);
	a_daifclr(&p, A_DAIF_I | A_DAIF_F);
	d->raise(&p);
	p_report_imm(&p, 1);
	a_movi(&p, 9, SPIN_COUNT);
	loop = a_here(&p);
	a_subi(&p, 9, 9, 1);
	a_cbnz(&p, 9, loop);
	p_report_imm(&p, 2);
	p_spin(&p);
	g = start(d, &p);
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS, d->bit);
	o = run(g, 0);
	CHECK(is_report(g, 0, &o, &value) && value == 2);
}

/* ---- The PMU's formula ---- */

static void pmu_formula(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;

	devices[DEV_PMU_CYCLE].setup(&p);
	a_msri(&p, A_PMINTENCLR_EL1, 1u << 31, 21);
	/* No counter is enabled in PMCNTENSET. */
	a_msri(&p, A_PMCR_EL0, 0x41, 21);
	a_msri(&p, A_PMOVSSET_EL0, 1u << 31, 21);
	p_report_imm(&p, 1); /* overflow without interrupt enable: low */
	a_msri(&p, A_PMINTENSET_EL1, 1u << 31, 21);
	p_report_imm(&p, 2); /* high */
	a_msri(&p, A_PMCR_EL0, 0x40, 21);
	p_report_imm(&p, 3); /* E off: low */
	a_msri(&p, A_PMCR_EL0, 0x41, 21);
	p_report_imm(&p, 4); /* high */
	a_msri(&p, A_PMINTENCLR_EL1, 1u << 31, 21);
	p_report_imm(&p, 5); /* low */
	p_spin(&p);
	g = start(&devices[DEV_PMU_CYCLE], &p);
	for (unsigned int i = 1; i <= 5; i++) {
		CHECK_EQ(run_to_report(g, 0), i);
		CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS,
			 i == 2 || i == 4 ? KVM_ARM_DEV_PMU : 0);
	}
}

/* ---- Two vCPUs ---- */

struct other {
	struct guest *g;
	int returns;
	uint64_t seen;
};

static void *run_other(void *arg)
{
	struct other *t = arg;
	struct outcome o;
	bool late;

	do {
		o = run_for(t->g, 1, 200, &late);
		t->seen |= o.level & ALL_BITS;
		if (!late)
			t->returns++;
	} while (!late);
	return NULL;
}

static void no_cross_talk(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0}, idle = {0};
	struct guest *g = guest_new(2, device_features(d));
	struct other t = {.g = g};
	pthread_t thread;

	a_movi(&p, ARM_TICKS, TICKS(20000));
	d->setup(&p);
	d->arm(&p);
	p_spin(&p);
	p_spin(&idle);
	guest_load(g, &p, 0);
	guest_load(g, &idle, 0x10000);
	guest_start(g, 0, 0);
	guest_start(g, 1, 0x10000);
	CHECK(!pthread_create(&thread, NULL, run_other, &t));
	run_to_level(g, 0, ALL_BITS, d->bit);
	pthread_join(thread, NULL);
	CHECK_EQ(t.returns, 0);
	CHECK_EQ(t.seen, 0);
	CHECK_EQ(g->run[1]->s.regs.device_irq_level & ALL_BITS, 0);
}

#define ROUNDS 2000

struct both {
	struct guest *g;
	int i;
	uint64_t bit;
	pthread_barrier_t *together;
};

static void *run_one_of_both(void *arg)
{
	struct both *b = arg;
	int n;

	for (n = 0; n < ROUNDS; n++) {
		/* Now and then they meet, so that neither is done before the other begins. */
		if (n % 50 == 0)
			pthread_barrier_wait(b->together);
		CHECK_EQ(run_to_report(b->g, b->i), 1);
		CHECK_EQ(b->g->run[b->i]->s.regs.device_irq_level & ALL_BITS, b->bit);
		CHECK_EQ(run_to_report(b->g, b->i), 2);
		CHECK_EQ(b->g->run[b->i]->s.regs.device_irq_level & ALL_BITS, 0);
	}
	return NULL;
}

/* Each vCPU works its own device; each sees its own only. */
static void two_at_work(unsigned int arg)
{
	static const int dev[2] = {DEV_VTIMER, DEV_PTIMER};
	struct guest *g = guest_new(2, 0);
	struct both b[2];
	pthread_barrier_t together;
	pthread_t thread[2];
	int i;

	pthread_barrier_init(&together, NULL, 2);

	for (i = 0; i < 2; i++) {
		const struct device *d = &devices[dev[i]];
		struct prog p = {0};
		unsigned int loop = a_here(&p);

		d->raise(&p);
		p_report_imm(&p, 1);
		d->lower(&p);
		p_report_imm(&p, 2);
		a_b(&p, loop);
		guest_load(g, &p, 0x10000u * (unsigned int)i);
		guest_start(g, i, 0x10000u * (unsigned int)i);
		b[i] = (struct both){g, i, d->bit, &together};
		CHECK(!pthread_create(&thread[i], NULL, run_one_of_both, &b[i]));
	}
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

/* ---- None lost ---- */

#define DEADLINES 100000
#define MAX_DELAY 20 /* microseconds: longer than an entry takes */
/* Deadlines of even numbers are the virtual timer's, of odd ones the physical timer's. */
static const int turns[] = {DEV_VTIMER, DEV_PTIMER};
/* By this register user space says that it saw a rise, and the next delay in ticks. */
#define NEXT 9
/* A rise is lost when the vCPU has spun for so long, in its own processor time, without it. */
#define PATIENCE_S 1
#define WATCH_US   50000

struct watched {
	clockid_t clock; /* the vCPU thread's processor time */
	_Atomic unsigned int rises;
};

static time_t seconds_of(clockid_t clock)
{
	struct timespec t = {0};

	clock_gettime(clock, &t);
	return t.tv_sec;
}

/* A signal to the vCPU would make good what was lost, so it is watched from another thread. */
static void *watch(void *arg)
{
	struct watched *w = arg;
	unsigned int seen = 0, rises;
	time_t since = seconds_of(w->clock);

	for (;; usleep(WATCH_US)) {
		rises = w->rises;
		if (rises != seen)
			since = seconds_of(w->clock);
		else if (seconds_of(w->clock) > since + PATIENCE_S)
			FAIL("deadline %u: the rise was lost", rises);
		seen = rises;
	}
	return NULL;
}

/* Run until that timer is told to be high, and the other low. */
static void next_rise(struct guest *g, struct watched *w)
{
	const struct device *d = &devices[turns[w->rises % 2]];
	struct outcome o;

	do {
		o = run(g, 0);
		if (o.ret != -1 || o.err != EINTR)
			FAIL("deadline %u: KVM_RUN gave %d, errno %d, exit reason %u", w->rises,
			     o.ret, o.err, o.reason);
	} while ((o.level & ALL_BITS) != d->bit);
	w->rises++;
}

/*
 * The guest lowers one timer, arms the other, traps (so that KVM sees the fall, and the deadline
 * falls around an entry), and spins until it is told that user space has seen the rise. So a timer
 * is not armed again without a trap, and no rise is hidden by another's.
 */
static void none_lost(unsigned int arg)
{
	uint64_t max = TICKS(MAX_DELAY), seed = 0x853c49e6748fea9b;
	static struct watched w; /* the watcher goes on until the process ends */
	struct prog p = {0};
	struct guest *g;
	pthread_t thread;
	unsigned int loop, spin, i;

	devices[turns[1]].raise(&p);
	loop = a_here(&p);
	for (i = 0; i < 2; i++) {
		spin = a_here(&p);
		a_cbz(&p, NEXT, spin);
		devices[turns[!i]].lower(&p);
		a_mov(&p, ARM_TICKS, NEXT);
		a_movi(&p, NEXT, 0);
		devices[turns[i]].arm(&p);
		p_trap(&p);
	}
	a_b(&p, loop);
	g = start(&devices[turns[0]], &p);
	run_to_level(g, 0, ALL_BITS, devices[turns[1]].bit);
	CHECK(!pthread_getcpuclockid(pthread_self(), &w.clock));
	CHECK(!pthread_create(&thread, NULL, watch, &w));
	for (i = 0; i < DEADLINES; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		set_reg(g, 0, X_REG(NEXT), 1 + (seed >> 32) % max);
		next_rise(g, &w);
	}
}

/* ---- The field as such ---- */

static void sync_regs(unsigned int value)
{
	const struct device *d = &devices[DEV_VTIMER];
	uint64_t bits = value ? ~0ull : 0;
	struct prog p = {0};
	struct guest *g;

	d->raise(&p);
	p_report_imm(&p, 1);
	d->lower(&p);
	p_report_imm(&p, 2);
	p_spin(&p);
	g = start(d, &p);
	g->run[0]->kvm_valid_regs = bits;
	g->run[0]->kvm_dirty_regs = bits;
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS, d->bit);
	g->run[0]->kvm_valid_regs = bits;
	g->run[0]->kvm_dirty_regs = bits;
	CHECK_EQ(run_to_report(g, 0), 2);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS, 0);
}

/* The comparison is with the field: what the VMM writes there is what it "has seen". */
static void scribble_set(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;
	struct outcome o;

	p_report_imm(&p, 1);
	p_spin(&p);
	g = start(&devices[DEV_VTIMER], &p);
	g->run[0]->s.regs.device_irq_level = KVM_ARM_DEV_EL1_VTIMER;
	o = run(g, 0);
	CHECK_EQ(o.ret, -1);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.level & ALL_BITS, 0);
	CHECK_EQ(run_to_report(g, 0), 1);
}

static void scribble_clear(unsigned int arg)
{
	const struct device *d = &devices[DEV_VTIMER];
	struct prog p = {0};
	struct guest *g;
	struct outcome o;

	d->raise(&p);
	p_report_imm(&p, 1);
	p_report_imm(&p, 2);
	p_spin(&p);
	g = start(d, &p);
	CHECK_EQ(run_to_report(g, 0), 1);
	g->run[0]->s.regs.device_irq_level = 0;
	o = run(g, 0);
	CHECK_EQ(o.ret, -1);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.level & ALL_BITS, d->bit);
	CHECK_EQ(run_to_report(g, 0), 2);
}

/* The guest stands at the first of two reports, and then the VMM raised its virtual timer. */
static struct guest *raised_outside(void)
{
	struct prog p = {0};
	struct guest *g;

	p_report_imm(&p, 1);
	p_report_imm(&p, 2);
	p_spin(&p);
	g = start(&devices[DEV_VTIMER], &p);
	CHECK_EQ(run_to_report(g, 0), 1);
	raise_vtimer(g, 0);
	return g;
}

/* … and what it writes can hide a change, until a return for another reason. */
static void scribble_hides(unsigned int arg)
{
	struct guest *g = raised_outside();
	struct outcome o;
	uint64_t value;

	g->run[0]->s.regs.device_irq_level |= KVM_ARM_DEV_EL1_VTIMER;
	o = run(g, 0);
	CHECK(is_report(g, 0, &o, &value) && value == 2);
	CHECK_EQ(o.level & ALL_BITS, KVM_ARM_DEV_EL1_VTIMER);
}

static void unknown_bits(unsigned int arg)
{
	const uint64_t unknown = 0xabcd000000000ff0;
	const struct device *d = &devices[DEV_VTIMER];
	struct prog p = {0};
	struct guest *g;

	d->raise(&p);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = start(d, &p);
	g->run[0]->s.regs.device_irq_level = unknown;
	CHECK_EQ(run_to_report(g, 0), 1);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level, unknown | d->bit);
}

/* The guest stands at its first report. The level is told before it runs one instruction more. */
static void told_at_once(struct guest *g, uint64_t bit)
{
	uint64_t pc = get_reg(g, 0, PC_REG) + 4; /* the store is completed first */
	struct outcome o = run(g, 0);

	CHECK_EQ(o.ret, -1);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.level & ALL_BITS, bit);
	CHECK_EQ(get_reg(g, 0, PC_REG), pc);
	CHECK_EQ(run_to_report(g, 0), 2);
}

/* A level that the VMM made by ONE_REG is told before the guest runs one instruction. */
static void one_reg_level(unsigned int arg)
{
	told_at_once(raised_outside(), KVM_ARM_DEV_EL1_VTIMER);
}

/*
 * A deadline that passes while the VMM has the vCPU: levels are those of the moment, not of the
 * last exit.
 */
static void passed_outside(unsigned int dev)
{
	const struct device *d = &devices[dev];
	struct prog p = {0};
	struct guest *g;

	a_movi(&p, ARM_TICKS, TICKS(50000));
	d->arm(&p);
	p_report_imm(&p, 1);
	p_report_imm(&p, 2);
	p_spin(&p);
	g = start(d, &p);
	CHECK_EQ(run_to_report(g, 0), 1);
	usleep(60000);
	told_at_once(g, d->bit);
}

/* ---- WFI with a level that was told already ---- */

#define WFI_US 100000

static void wfi_published(unsigned int arg)
{
	const struct device *v = &devices[DEV_VTIMER], *h = &devices[DEV_PTIMER];
	struct prog p = {0};
	struct guest *g;
	struct outcome o;
	uint64_t begin;
	clock_t work;

	v->raise(&p);
	p_report_imm(&p, 1);
	a_movi(&p, ARM_TICKS, TICKS(WFI_US));
	h->arm(&p);
	a_wfi(&p);
	p_report_imm(&p, 2);
	p_spin(&p);
	g = start(v, &p);
	CHECK_EQ(run_to_report(g, 0), 1);
	begin = now_us();
	work = clock();
	/* The high timer was told; the other one ends the sleep, and it alone. */
	o = run_to_level(g, 0, ALL_BITS, v->bit | h->bit);
	CHECK(now_us() - begin > WFI_US * 4 / 5);
	CHECK((clock() - work) * 2 < WFI_US * (CLOCKS_PER_SEC / 1000000));
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(run_to_report(g, 0), 2);
}

static const struct conform_test tests[] = {
	DEVICE_ROWS(
		"rise-spinning", rise_spinning,
		"a change of level causes a return before the guest runs on: a rise while it spins",
		0, NULL),
	DEVICE_ROWS(
		"rise-in-wfi", rise_in_wfi,
		"a change of level causes a return before the guest runs on: a rise while it waits",
		0, NULL),
	DEVICE_ROWS("rise-by-guest", rise_at_once,
		    "the exit may be any: the return after the guest raised the level carries it",
		    0, NULL),
	DEVICE_ROWS("fall", fall_by_exit,
		    "on every return the field is the actual level: a fall is in the next exit", 0,
		    NULL),
	DEVICE_ROWS("fall-at-once", fall_at_once, "a fall is detected at once", SOFT_ONLY, NULL),
	DEVICE_ROWS("exit-is-intr", exit_is_intr,
		    "a level-change exit is -1/EINTR with exit_reason INTR", 0, NULL),
	DEVICE_ROWS("rise-again", rise_again, "each rise and each fall is told, again and again", 0,
		    NULL),
	DEVICE_ROWS("stays-high", stays_high,
		    "a level that stays as last published causes no exit: the guest makes progress",
		    0, NULL),
	{"stays-low", "without a change there is no exit", stays_low, 0, 0, NULL},
	{"imask/vtimer", "a timer with IMASK set is low, whatever it counts", masked_timer,
	 DEV_VTIMER, 0, NULL},
	{"imask/ptimer", "a timer with IMASK set is low, whatever it counts", masked_timer,
	 DEV_PTIMER, 0, NULL},
	DEVICE_ROWS("unmasked", unmasked_guest,
		    "the guest's interrupt masks do not matter to the published level", 0, NULL),
	{"pmu-formula", "the PMU's level is PMCR.E and (PMOVSSET & PMINTENSET), without PMCNTENSET",
	 pmu_formula, 0, NEEDS_PMU, "some kernels have PMCNTENSET take part"},
	DEVICE_ROWS("cross-talk", no_cross_talk,
		    "each vCPU has levels of its own: the other sees none", 0, NULL),
	{"two-at-work", "two vCPUs that change levels at the same time each see their own",
	 two_at_work, 0, 0, NULL},
	{"none-lost", "no rise is lost: 100,000 random deadlines around the moment of entry",
	 none_lost, 0, LONG, NULL},
	{"sync-regs/zero", "the field is there whatever kvm_valid_regs and kvm_dirty_regs say: 0",
	 sync_regs, 0, 0, NULL},
	{"sync-regs/ones",
	 "the field is there whatever kvm_valid_regs and kvm_dirty_regs say: all ones", sync_regs,
	 1, 0, NULL},
	{"scribble/set",
	 "a bit that the VMM set in the field causes an extra exit that corrects it", scribble_set,
	 0, 0, NULL},
	{"scribble/clear", "a bit that the VMM cleared in the field causes an extra exit",
	 scribble_clear, 0, 0, NULL},
	{"scribble/hide", "a bit that the VMM wrote there hides that change: no exit for it",
	 scribble_hides, 0, 0, NULL},
	{"unknown-bits", "bits that the version does not define are preserved", unknown_bits, 0, 0,
	 NULL},
	{"one-reg-level",
	 "a level made by ONE_REG shows at the next KVM_RUN, before any instruction", one_reg_level,
	 0, 0, NULL},
	{"passed-outside/vtimer",
	 "a deadline that passes between two KVM_RUNs shows in the second, before any instruction",
	 passed_outside, DEV_VTIMER, 0, NULL},
	{"passed-outside/ptimer",
	 "a deadline that passes between two KVM_RUNs shows in the second, before any instruction",
	 passed_outside, DEV_PTIMER, 0, NULL},
	{"wfi-published",
	 "WFI sleeps with a published-high timer, and the other timer still wakes it",
	 wfi_published, 0, SOFT_ONLY, NULL},
};

const struct conform_group group_level = {tests, ARRAY_SIZE(tests)};
