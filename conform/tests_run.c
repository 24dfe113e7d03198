/* SPDX-License-Identifier: MIT */
/* KVM_RUN itself: the order of what it checks, and the field on every kind of return. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform/conform.h"

#define VTIMER KVM_ARM_DEV_EL1_VTIMER
#define STALE_FIELD                                                           \
	"the field is left as it was by immediate_exit and by errors before " \
	"the run loop"

/* A guest whose virtual timer is high, as the field does not yet say. */
static struct guest *high_but_untold(struct prog *p)
{
	struct guest *g = guest_new(1, 0);

	guest_load(g, p, 0);
	guest_start(g, 0, 0);
	raise_vtimer(g, 0);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level, 0);
	return g;
}

/* ---- The field is fresh ---- */

static void fresh_mmio(unsigned int write)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;
	int n = 0;

	devices[DEV_VTIMER].raise(&p);
	if (write)
		a_str(&p, 2, 0, REPORT_BASE);
	else
		a_ldr(&p, 2, 0, REPORT_BASE);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	do {
		o = run(g, 0);
		CHECK_EQ(o.level & ALL_BITS, VTIMER);
	} while (o.ret < 0 && n++ < 10);
	CHECK_EQ(o.reason, KVM_EXIT_MMIO);
}

static void fresh_signal(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;
	bool late;

	devices[DEV_VTIMER].raise(&p);
	p_report_imm(&p, 1);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	CHECK_EQ(run_to_report(g, 0), 1);
	o = run_for(g, 0, 20, &late);
	CHECK(late);
	CHECK_EQ(o.ret, -1);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.reason, KVM_EXIT_INTR);
	CHECK_EQ(o.level & ALL_BITS, VTIMER);
}

static void fresh_system_event(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;
	int n = 0;

	devices[DEV_VTIMER].raise(&p);
	p_power_off(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	do {
		o = run(g, 0);
		CHECK_EQ(o.level & ALL_BITS, VTIMER);
	} while (o.ret < 0 && n++ < 10);
	CHECK_EQ(o.ret, 0);
	CHECK_EQ(o.reason, KVM_EXIT_SYSTEM_EVENT);
}

static void fresh_immediate_exit(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;
	struct outcome o;

	p_spin(&p);
	g = high_but_untold(&p);
	g->run[0]->immediate_exit = 1;
	o = run(g, 0);
	CHECK_EQ(o.ret, -1);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.level & ALL_BITS, VTIMER);
	set_reg(g, 0, KVM_REG_ARM_TIMER_CTL, 0);
	o = run(g, 0);
	CHECK_EQ(o.level & ALL_BITS, 0);
}

static void fresh_bad_argument(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;

	p_spin(&p);
	g = high_but_untold(&p);
	CHECK_EQ(kvm(g->vcpu[0], KVM_RUN, 1), -EINVAL);
	CHECK_EQ(g->run[0]->s.regs.device_irq_level & ALL_BITS, VTIMER);
}

static void fresh_no_syndrome(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;
	int n = 0;

	devices[DEV_VTIMER].raise(&p);
	a_emit(&p, 0xa9000000 | REPORT_BASE << 5); /* STP X0, X0, [X20] */
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	do {
		o = run(g, 0);
		CHECK_EQ(o.level & ALL_BITS, VTIMER);
	} while (o.err == EINTR && n++ < 10);
	CHECK_EQ(o.ret, -1);
	CHECK_EQ(o.err, ENOSYS);
}

/* ---- Order ---- */

static void order_argument(unsigned int arg)
{
	struct guest *g = guest_bare(1);

	CHECK_EQ(kvm(g->vcpu[0], KVM_RUN, 1), -EINVAL);
	CHECK_EQ(kvm(g->vcpu[0], KVM_RUN, 0), -ENOEXEC);
}

static void order_initialised(unsigned int arg)
{
	struct guest *g = guest_bare(1);

	g->run[0]->immediate_exit = 1;
	CHECK_EQ(kvm(g->vcpu[0], KVM_RUN, 0), -ENOEXEC);
}

static void order_pmu(unsigned int arg)
{
	struct guest *g = guest_bare(1);

	CHECK_EQ(vcpu_init(g, 0, 1u << KVM_ARM_VCPU_PSCI_0_2 | 1u << KVM_ARM_VCPU_PMU_V3), 0);
	g->run[0]->immediate_exit = 1;
	CHECK_EQ(kvm(g->vcpu[0], KVM_RUN, 0), -EINVAL);
	CHECK_EQ(vcpu_attr(g, 0, KVM_SET_DEVICE_ATTR, KVM_ARM_VCPU_PMU_V3_CTRL,
			   KVM_ARM_VCPU_PMU_V3_INIT, NULL),
		 0);
	CHECK_EQ(kvm(g->vcpu[0], KVM_RUN, 0), -EINTR);
}

static void other_process(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		int a, b;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		a = kvm(g->vcpu[0], KVM_RUN, 0);
		b = kvm(g->vm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY);

		_exit(a == -EIO && b == -EIO ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
}

static void order_mmio(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;

	a_movi(&p, 5, 0);
	a_ldr(&p, 2, 5, REPORT_BASE);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	o = run(g, 0);
	CHECK_EQ(o.reason, KVM_EXIT_MMIO);
	CHECK_EQ(get_reg(g, 0, PC_REG), RAM_BASE + 4);
	memcpy(g->run[0]->mmio.data, "\x78\x56\x34\x12", 4);
	g->run[0]->immediate_exit = 1;
	o = run(g, 0);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(get_reg(g, 0, X_REG(5)), 0x12345678);
	CHECK_EQ(get_reg(g, 0, PC_REG), RAM_BASE + 8);
}

static void stale_reason(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;

	p_report_imm(&p, 1);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	CHECK_EQ(run_to_report(g, 0), 1);
	g->run[0]->immediate_exit = 1;
	o = run(g, 0);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.reason, KVM_EXIT_MMIO);
}

static volatile sig_atomic_t handled;

static void on_usr1(int sig)
{
	handled++;
}

/* SIGUSR1 blocked in the thread and let through by KVM_SET_SIGNAL_MASK, and pending. */
static void pend_usr1(struct guest *g)
{
	struct {
		uint32_t len; /* struct kvm_signal_mask, with its set */
		uint64_t mask;
	} __attribute__((packed)) m = {.len = 8, .mask = 0};
	struct sigaction sa = {.sa_handler = on_usr1};
	sigset_t set;

	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK_EQ(kvm(g->vcpu[0], KVM_SET_SIGNAL_MASK, (uintptr_t)&m), 0);
	kill(getpid(), SIGUSR1);
}

/* Signals come before the guest; immediate_exit before signals, so that the reason stays stale. */
static void order_signal(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;

	p_report_imm(&p, 1);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	pend_usr1(g);
	o = run(g, 0);
	CHECK_EQ(o.ret, -1);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.reason, KVM_EXIT_INTR);
	CHECK_EQ(get_reg(g, 0, PC_REG), RAM_BASE);
	CHECK_EQ(handled, 0);
	g->run[0]->exit_reason = KVM_EXIT_UNKNOWN;
	g->run[0]->immediate_exit = 1;
	o = run(g, 0);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.reason, KVM_EXIT_UNKNOWN);
}

/* ---- Signals ---- */

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LATE_HANDLERS
#endif
#elif defined(__SANITIZE_THREAD__)
#define LATE_HANDLERS
#endif

/* Under ThreadSanitizer a handler waits for the next call that may block. */
static void let_handlers_run(void)
{
#ifdef LATE_HANDLERS
	usleep(1);
#endif
}

static void signal_spinning(unsigned int restart)
{
	struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = restart ? SA_RESTART : 0};
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;
	int i, before;

	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	signal_me_in(1000000);
	signal_none();
	sigaction(SIGALRM, &sa, NULL);
	signal_me_every(2000);
	for (i = 0; i < 20; i++) {
		before = handled;
		o = run(g, 0);
		CHECK_EQ(o.ret, -1);
		CHECK_EQ(o.err, EINTR);
		CHECK_EQ(o.reason, KVM_EXIT_INTR);
		/* The handler has run when KVM_RUN is over. */
		let_handlers_run();
		CHECK(handled > before);
	}
	signal_none();
}

static void signal_in_wfi(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;
	uint64_t begin;
	bool late;

	a_wfi(&p);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	begin = now_us();
	o = run_for(g, 0, 30, &late);
	CHECK(late);
	CHECK(now_us() - begin < 1000000);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(o.reason, KVM_EXIT_INTR);
}

static void signal_ignored(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;
	uint64_t begin, value;
	unsigned int wfi;

	devices[DEV_VTIMER].setup(&p);
	a_movi(&p, ARM_TICKS, counter_frequency() / 20);
	devices[DEV_VTIMER].arm(&p);
	wfi = a_here(&p);
	a_wfi(&p);
	p_report_imm(&p, 1);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	signal_me_in(1000000);
	signal_none();
	signal(SIGALRM, SIG_IGN);
	begin = now_us();
	signal_me_in(5000);
	o = run(g, 0);
	CHECK_EQ(o.level & ALL_BITS, VTIMER);
	CHECK(now_us() - begin > 30000);
	/* On a busy host it may not have come to WFI, which would wait for something new. */
	if (get_reg(g, 0, PC_REG) <= RAM_BASE + 4 * wfi)
		skip("the host is too busy: the guest did not come to wait");
	o = run(g, 0);
	CHECK(is_report(g, 0, &o, &value));
}

static const struct conform_test tests[] = {
	{"fresh/mmio-read", "the field is the actual level on every return: MMIO read", fresh_mmio,
	 0, 0, NULL},
	{"fresh/mmio-write", "the field is the actual level on every return: MMIO write",
	 fresh_mmio, 1, 0, NULL},
	{"fresh/signal", "the field is the actual level on every return: signal", fresh_signal, 0,
	 0, NULL},
	{"fresh/system-event", "the field is the actual level on every return: SYSTEM_EVENT",
	 fresh_system_event, 0, 0, NULL},
	{"fresh/immediate-exit", "the field is the actual level on every return: immediate_exit",
	 fresh_immediate_exit, 0, 0, STALE_FIELD},
	{"fresh/bad-argument",
	 "the field is the actual level on every return: an argument that is not 0",
	 fresh_bad_argument, 0, 0, STALE_FIELD},
	{"fresh/no-syndrome", "the field is the actual level on every return: -ENOSYS",
	 fresh_no_syndrome, 0, 0, NULL},
	{"order/argument", "an argument that is not 0 is -EINVAL before anything else",
	 order_argument, 0, 0, NULL},
	{"order/initialised", "a vCPU that was not initialised is -ENOEXEC before immediate_exit",
	 order_initialised, 0, 0, NULL},
	{"order/pmu", "at the first run a PMU without INIT is -EINVAL before immediate_exit",
	 order_pmu, 0, NEEDS_PMU, NULL},
	{"order/mmio", "a pending MMIO is completed before immediate_exit", order_mmio, 0, 0, NULL},
	{"order/signal", "a pending signal comes before the guest, and after immediate_exit",
	 order_signal, 0, 0, NULL},
	{"other-process", "another process gets -EIO", other_process, 0, 0, NULL},
	{"stale-reason", "after immediate_exit the exit_reason is that of the return before",
	 stale_reason, 0, 0, NULL},
	{"signal/spinning", "a signal interrupts KVM_RUN with -EINTR", signal_spinning, 0, 0, NULL},
	{"signal/restart", "… also when its handler was installed with SA_RESTART", signal_spinning,
	 1, 0, NULL},
	{"signal/wfi", "a signal interrupts a WFI", signal_in_wfi, 0, 0, NULL},
	{"signal/ignored", "an ignored signal does not", signal_ignored, 0, 0, NULL},
};

const struct conform_group group_run = {tests, ARRAY_SIZE(tests)};
