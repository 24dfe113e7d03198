/* SPDX-License-Identifier: MIT */
/* PSCI, SMCCC and power states. */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "conform/conform.h"

#define FN(f)       ((uint64_t)(uint32_t)(f))
#define S32(v)      ((uint64_t)(int64_t)(v))
#define OFF_FEATURE (1u << KVM_ARM_VCPU_POWER_OFF)
#define SECOND      0x10000 /* where the other vCPU's program lies */

/* One HVC (or SMC) with arguments, and its x0. */
static uint64_t call(struct guest *g, bool smc, uint64_t fn, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct prog p = {0};
	int i;

	if (smc)
		a_smc(&p, 0);
	else
		a_hvc(&p, 0);
	p_report(&p, 0);
	p_spin(&p);
	guest_load(g, &p, 0);
	g->run[0]->immediate_exit = 1;
	run(g, 0);
	g->run[0]->immediate_exit = 0;
	guest_start(g, 0, 0);
	set_reg(g, 0, X_REG(0), fn);
	set_reg(g, 0, X_REG(1), a1);
	set_reg(g, 0, X_REG(2), a2);
	set_reg(g, 0, X_REG(3), a3);
	for (i = 4; i < 18; i++)
		set_reg(g, 0, X_REG(i), 0x1000 + (unsigned int)i);
	return run_to_report(g, 0);
}

static void version(unsigned int arg)
{
	static const uint64_t versions[] = {PSCI_VERSION(0, 2), PSCI_VERSION(1, 0),
					    PSCI_VERSION(1, 1)};
	struct guest *g = guest_new(1, 0);
	unsigned int i;

	CHECK(get_reg(g, 0, KVM_REG_ARM_PSCI_VERSION) >= PSCI_VERSION(1, 1));
	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		set_reg(g, 0, KVM_REG_ARM_PSCI_VERSION, versions[i]);
		CHECK_EQ(call(g, false, FN(PSCI_0_2_FN_PSCI_VERSION), 0, 0, 0), versions[i]);
		CHECK_EQ(call(g, false, FN(PSCI_1_0_FN_PSCI_FEATURES), FN(PSCI_0_2_FN64_CPU_ON), 0,
			      0),
			 i ? 0 : S32(PSCI_RET_NOT_SUPPORTED));
		if (i)
			CHECK_EQ(call(g, false, FN(PSCI_1_0_FN_PSCI_FEATURES),
				      FN(PSCI_1_1_FN64_SYSTEM_RESET2), 0, 0),
				 i == 2 ? 0 : S32(PSCI_RET_NOT_SUPPORTED));
	}
	CHECK_EQ(try_set_reg(g, 0, KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(0, 1)), -EINVAL);
	CHECK_EQ(try_set_reg(g, 0, KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(7, 0)), -EINVAL);
}

static void registers(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);
	int i;

	call(g, false, FN(PSCI_0_2_FN_PSCI_VERSION), 11, 12, 13);
	for (i = 1; i < 4; i++)
		CHECK_EQ(get_reg(g, 0, X_REG(i)), 0);
	for (i = 4; i < 18; i++)
		CHECK_EQ(get_reg(g, 0, X_REG(i)), 0x1000 + i);
}

static void smc(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);

	CHECK_EQ(call(g, true, FN(PSCI_0_2_FN_PSCI_VERSION), 0, 0, 0), ~0ull);
}

static void unknown_function(unsigned int arg)
{
	static const uint32_t fns[] = {0x8400001f, 0xc4000099, 0x12345678, 0x84000005, 0xc6000000};
	struct guest *g = guest_new(1, 0);

	for (unsigned int i = 0; i < ARRAY_SIZE(fns); i++)
		CHECK_EQ(call(g, false, fns[i], 0, 0, 0), S32(PSCI_RET_NOT_SUPPORTED));
}

static void smccc(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);

	CHECK_EQ(call(g, false, 0x80000000, 0, 0, 0), 0x10001);
	CHECK_EQ(call(g, false, 0x80000001, 0x12345678, 0, 0), S32(PSCI_RET_NOT_SUPPORTED));
}

static void affinity(unsigned int arg)
{
	struct guest *g = guest_new(2, 0);

	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_AFFINITY_INFO), 0, 0, 0),
		 PSCI_0_2_AFFINITY_LEVEL_ON);
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_AFFINITY_INFO), 1, 0, 0),
		 PSCI_0_2_AFFINITY_LEVEL_ON);
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_AFFINITY_INFO), 2, 0, 0),
		 S32(PSCI_RET_INVALID_PARAMS));
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_AFFINITY_INFO), 0, 4, 0),
		 S32(PSCI_RET_INVALID_PARAMS));
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_AFFINITY_INFO), 1ull << 31, 0, 0),
		 S32(PSCI_RET_INVALID_PARAMS));
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN_MIGRATE_INFO_TYPE), 0, 0, 0), PSCI_0_2_TOS_MP);
	CHECK_EQ(vcpu_init(g, 1, PSCI_FEATURE), 0);
}

/* ---- CPU_ON, CPU_OFF ---- */

static void *run_second(void *arg)
{
	struct guest *g = arg;
	uint64_t value = run_to_report(g, 1);

	CHECK_EQ(value, 0x5a5a);
	return NULL;
}

static struct guest *two_with_second_off(void)
{
	struct guest *g = guest_bare(2);
	struct prog second = {0};

	CHECK_EQ(vcpu_init(g, 0, PSCI_FEATURE), 0);
	CHECK_EQ(vcpu_init(g, 1, PSCI_FEATURE | OFF_FEATURE), 0);
	a_movi(&second, REPORT_BASE, REPORT_ADDR);
	p_report(&second, 0);
	a_movi(&second, 0, FN(PSCI_0_2_FN_CPU_OFF));
	a_hvc(&second, 0);
	p_report_imm(&second, 0xbad);
	p_spin(&second);
	guest_load(g, &second, SECOND);
	return g;
}

static uint32_t mp_state(struct guest *g, int i)
{
	struct kvm_mp_state s;

	CHECK_EQ(kvm(g->vcpu[i], KVM_GET_MP_STATE, (uintptr_t)&s), 0);
	return s.mp_state;
}

static void cpu_on(unsigned int arg)
{
	struct guest *g = two_with_second_off();
	pthread_t thread;
	bool late;
	struct outcome o;

	CHECK_EQ(mp_state(g, 1), KVM_MP_STATE_STOPPED);
	CHECK(!pthread_create(&thread, NULL, run_second, g));
	usleep(10000);
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_AFFINITY_INFO), 1, 0, 0),
		 PSCI_0_2_AFFINITY_LEVEL_OFF);
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_CPU_ON), 7, RAM_BASE + SECOND, 0),
		 S32(PSCI_RET_INVALID_PARAMS));
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_CPU_ON), 1, RAM_BASE + SECOND, 0x5a5a), 0);
	pthread_join(thread, NULL);
	CHECK_EQ(mp_state(g, 1), KVM_MP_STATE_RUNNABLE);
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_CPU_ON), 1, RAM_BASE + SECOND, 0),
		 S32(PSCI_RET_ALREADY_ON));
	/* It turns itself off: it neither reports nor returns. */
	o = run_for(g, 1, 50, &late);
	CHECK(late && o.err == EINTR);
	CHECK_EQ(mp_state(g, 1), KVM_MP_STATE_STOPPED);
	CHECK_EQ(call(g, false, FN(PSCI_0_2_FN64_AFFINITY_INFO), 1, 0, 0),
		 PSCI_0_2_AFFINITY_LEVEL_OFF);
}

/* Levels and pins do not wake a vCPU that is stopped. */
static void stopped_sleeps(unsigned int arg)
{
	struct guest *g = two_with_second_off();
	uint64_t begin, delay = counter_frequency() / 50;
	struct outcome o;
	bool late;

	g->run[1]->immediate_exit = 1;
	run(g, 1);
	g->run[1]->immediate_exit = 0;
	set_reg(g, 1, KVM_REG_ARM_TIMER_CNT, 0);
	set_reg(g, 1, KVM_REG_ARM_TIMER_CVAL, delay);
	set_reg(g, 1, KVM_REG_ARM_TIMER_CTL, 1);
	set_pin(g, 1, KVM_ARM_IRQ_CPU_IRQ, 1);
	begin = now_us();
	o = run_for(g, 1, 100, &late);
	CHECK(late);
	CHECK(now_us() - begin >= 90000);
	CHECK_EQ(o.err, EINTR);
	CHECK_EQ(mp_state(g, 1), KVM_MP_STATE_STOPPED);
}

static void mp_states(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct kvm_mp_state s = {.mp_state = KVM_MP_STATE_STOPPED};
	bool late;

	p_report_imm(&p, 1);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	CHECK_EQ(mp_state(g, 0), KVM_MP_STATE_RUNNABLE);
	CHECK_EQ(kvm(g->vcpu[0], KVM_SET_MP_STATE, (uintptr_t)&s), 0);
	CHECK_EQ(mp_state(g, 0), KVM_MP_STATE_STOPPED);
	CHECK(run_for(g, 0, 20, &late).err == EINTR && late);
	s.mp_state = KVM_MP_STATE_RUNNABLE;
	CHECK_EQ(kvm(g->vcpu[0], KVM_SET_MP_STATE, (uintptr_t)&s), 0);
	CHECK_EQ(run_to_report(g, 0), 1);
	s.mp_state = KVM_MP_STATE_HALTED;
	CHECK_EQ(kvm(g->vcpu[0], KVM_SET_MP_STATE, (uintptr_t)&s), -EINVAL);
}

/* ---- Events ---- */

struct event_row {
	uint32_t fn;
	uint64_t arg;
	uint32_t type;
	uint64_t flags;
};

static const struct event_row event_rows[] = {
	{PSCI_0_2_FN_SYSTEM_OFF, 0, KVM_SYSTEM_EVENT_SHUTDOWN, 0},
	{PSCI_0_2_FN_SYSTEM_RESET, 0, KVM_SYSTEM_EVENT_RESET, 0},
	{PSCI_1_1_FN64_SYSTEM_RESET2, 0, KVM_SYSTEM_EVENT_RESET,
	 KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2},
	{PSCI_1_1_FN64_SYSTEM_RESET2, 0x80000001, KVM_SYSTEM_EVENT_RESET,
	 KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2},
};

static void system_event(unsigned int row)
{
	const struct event_row *e = &event_rows[row];
	struct prog p = {0}, spin = {0};
	struct guest *g = guest_new(2, 0);
	struct outcome o;
	bool late;

	a_hvc(&p, 0);
	p_report(&p, 0);
	p_spin(&p);
	p_spin(&spin);
	guest_load(g, &p, 0);
	guest_load(g, &spin, SECOND);
	guest_start(g, 0, 0);
	guest_start(g, 1, SECOND);
	set_reg(g, 0, X_REG(0), FN(e->fn));
	set_reg(g, 0, X_REG(1), e->arg);
	o = run(g, 0);
	CHECK_EQ(o.ret, 0);
	CHECK_EQ(o.reason, KVM_EXIT_SYSTEM_EVENT);
	CHECK_EQ(g->run[0]->system_event.type, e->type);
	CHECK_EQ(g->run[0]->system_event.flags, e->flags);
	/* All vCPUs are stopped now, this one and the other. */
	CHECK_EQ(mp_state(g, 0), KVM_MP_STATE_STOPPED);
	CHECK_EQ(mp_state(g, 1), KVM_MP_STATE_STOPPED);
	CHECK(run_for(g, 1, 20, &late).err == EINTR && late);
	CHECK(run_for(g, 0, 20, &late).err == EINTR && late);
	CHECK_EQ(get_reg(g, 0, X_REG(0)), S32(PSCI_RET_INTERNAL_FAILURE));
	/* A reboot: VCPU_INIT on each. */
	CHECK_EQ(vcpu_init(g, 0, PSCI_FEATURE), 0);
	CHECK_EQ(mp_state(g, 0), KVM_MP_STATE_RUNNABLE);
	CHECK_EQ(mp_state(g, 1), KVM_MP_STATE_STOPPED);
	guest_start(g, 0, 4);
	CHECK_EQ(run_to_report(g, 0), 0);
}

static void reset2_invalid(unsigned int arg)
{
	struct guest *g = guest_new(1, 0);

	CHECK_EQ(call(g, false, FN(PSCI_1_1_FN64_SYSTEM_RESET2), 1, 0, 0),
		 S32(PSCI_RET_INVALID_PARAMS));
}

static void cpu_suspend(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	uint64_t begin;

	a_movi(&p, ARM_TICKS, counter_frequency() / 50);
	devices[DEV_VTIMER].arm(&p);
	a_movi(&p, 0, FN(PSCI_0_2_FN64_CPU_SUSPEND));
	a_movi(&p, 1, 0);
	a_hvc(&p, 0);
	p_report(&p, 0);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	begin = now_us();
	CHECK_EQ(run_to_report(g, 0), 0);
	CHECK(now_us() - begin > 15000);
}

static const struct conform_test tests[] = {
	{"psci/version", "PSCI 1.1 by HVC; the firmware register takes 0.2, 1.0, 1.1", version, 0,
	 0, NULL},
	{"psci/registers", "a call changes x0 to x3 and nothing else", registers, 0, 0, NULL},
	{"psci/smc", "an SMC gives x0 = -1", smc, 0, 0,
	 "later kernels answer PSCI calls by SMC too"},
	{"psci/unknown", "an unknown function is NOT_SUPPORTED", unknown_function, 0, 0, NULL},
	{"psci/smccc", "SMCCC is version 1.1", smccc, 0, 0, NULL},
	{"psci/affinity", "AFFINITY_INFO and MIGRATE_INFO_TYPE", affinity, 0, 0, NULL},
	{"psci/cpu-on", "CPU_ON starts a stopped vCPU at its entry point, CPU_OFF stops it", cpu_on,
	 0, 0, NULL},
	{"psci/suspend", "CPU_SUSPEND is WFI", cpu_suspend, 0, 0, NULL},
	{"psci/stopped", "levels and pins do not wake a vCPU that is stopped", stopped_sleeps, 0, 0,
	 NULL},
	{"psci/mp-state", "KVM_SET_MP_STATE stops and starts a vCPU", mp_states, 0, 0, NULL},
	{"event/off", "a shutdown stops all vCPUs", system_event, 0, 0, NULL},
	{"event/reset", "a reset stops all vCPUs; a reboot needs VCPU_INIT on each", system_event,
	 1, 0, NULL},
	{"event/reset2", "SYSTEM_RESET2 is a reset with its flag", system_event, 2, 0, NULL},
	{"event/reset2-vendor", "… also with a vendor's reset type", system_event, 3, 0, NULL},
	{"event/reset2-invalid", "… and refused with a type that is neither", reset2_invalid, 0, 0,
	 NULL},
};

const struct conform_group group_psci = {tests, ARRAY_SIZE(tests)};
