/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_VCPU_EVENTS while an MMIO waits for its completion, in every order of what a VMM can do:
 * the abort takes the place of the completion, an SError comes behind it (api.rst 4.31, 4.32).
 */
#include <string.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define PSTATE    CORE_ID(regs.pstate)
#define EL1H_A    0x2c5u /* EL1h, D I F masked: SErrors are taken */
#define VECTORS   (RAM + 0x800)
#define SYNC      0x200
#define SERROR    0x380
#define HERE      (MMIO + 0x100) /* what the code after the access writes to */
#define SENTINEL  0x5e171e1
#define DATA      0xda7a
#define EC(esr)   ((esr) >> 26)
#define EC_DABT   0x25
#define EC_SERROR 0x2f

/* What came first, and for the exception where it was taken. */
enum outcome {
	ABORTED, /* the access never happened to the guest */
	DONE_THEN_ABORT,
	DONE_THEN_SERROR,
	DONE,
};

struct order {
	/*
	 * After the exit for the MMIO. D, S: inject an abort, an SError; G: KVM_GET_VCPU_EVENTS;
	 * I: KVM_RUN with immediate_exit; R: KVM_RUN, to the next MMIO. The last is R.
	 */
	const char *steps;
	enum outcome outcome;
};

static const struct order orders[] = {
	{"R", DONE},
	{"IR", DONE},
	{"IIR", DONE},
	{"DR", ABORTED},
	{"DIR", ABORTED},
	{"DIIR", ABORTED},
	{"DGR", ABORTED},
	{"DGIR", ABORTED},
	{"DIGR", ABORTED},
	{"DIGIR", ABORTED},
	{"DDR", ABORTED},
	{"DDIR", ABORTED},
	{"GDIGR", ABORTED},
	{"IDR", DONE_THEN_ABORT},
	{"IDIR", DONE_THEN_ABORT},
	{"IGDIGR", DONE_THEN_ABORT},
	{"SR", DONE_THEN_SERROR},
	{"SIR", DONE_THEN_SERROR},
	{"SGIGR", DONE_THEN_SERROR},
	{"ISR", DONE_THEN_SERROR},
	{"ISIR", DONE_THEN_SERROR},
	/* The abort masks the SError, which stays pending. */
	{"SDR", ABORTED},
	{"DSR", ABORTED},
	{"DSIR", ABORTED},
	{"SDIGR", ABORTED},
	{"DISR", ABORTED},
};

/* The access, and a report of what became of it: from behind it, or from a vector. */
static void load_program(struct machine_under_test *m, bool store)
{
	static const unsigned int vectors[] = {SYNC, SERROR};
	struct prog p = {0};

	if (store)
		a_str(&p, 3, 1, 10);
	else
		a_ldr(&p, 3, 1, 10);
	a_str(&p, 3, 9, 11);
	for (unsigned int i = 0; i < COUNT(vectors); i++) {
		a_org(&p, 0x800 + vectors[i]);
		a_movi(&p, 9, vectors[i]);
		a_mrs(&p, 4, A_ESR_EL1);
		a_mrs(&p, 5, A_ELR_EL1);
		a_mrs(&p, 6, A_FAR_EL1);
		a_str(&p, 3, 9, 11);
	}
	memset(m->ram, 0, 0x2000);
	memcpy(m->ram, p.word, p.n * 4);
}

static void inject(struct machine_under_test *m, bool serror)
{
	struct kvm_vcpu_events e = {0};

	/* As a VMM does that restores events: the SError that is pending stays so. */
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
	if (serror)
		e.exception.serror_pending = 1;
	else
		e.exception.ext_dabt_pending = 1;
	assert_int_equal(CALL_PTR(m->vcpu, KVM_SET_VCPU_EVENTS, &e), 0);
}

static void one_step(struct machine_under_test *m, char step)
{
	struct kvm_vcpu_events e;

	switch (step) {
	case 'D':
	case 'S':
		inject(m, step == 'S');
		break;
	case 'G':
		/* An abort is delivered when it is set: it is never told as pending. */
		memset(&e, 0xff, sizeof(e));
		assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
		assert_int_equal(e.exception.ext_dabt_pending, 0);
		break;
	case 'I':
		m->run->immediate_exit = 1;
		assert_int_equal(run_vcpu(m), -EINTR);
		m->run->immediate_exit = 0;
		break;
	default:
		assert_int_equal(run_vcpu(m), 0);
		assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	}
}

static void check_outcome(struct machine_under_test *m, const struct order *o, bool store)
{
	bool completed = o->outcome != ABORTED;
	uint64_t vector = 0, esr = get_u64(m->vcpu, X(4)), at = get_u64(m->vcpu, X(5)), reported;
	struct kvm_vcpu_events e;

	memcpy(&reported, m->run->mmio.data, sizeof(reported));
	assert_int_equal(m->run->mmio.phys_addr, HERE);
	if (!store)
		assert_int_equal(get_u64(m->vcpu, X(1)), completed ? DATA : SENTINEL);
	if (o->outcome == ABORTED || o->outcome == DONE_THEN_ABORT)
		vector = SYNC;
	else if (o->outcome == DONE_THEN_SERROR)
		vector = SERROR;
	/* The first instruction of the vector was not skipped. */
	assert_int_equal(reported, vector);
	if (!vector)
		return;
	assert_int_equal(EC(esr), vector == SYNC ? EC_DABT : EC_SERROR);
	assert_int_equal(at, completed ? RAM + 4 : RAM);
	if (vector == SYNC)
		assert_int_equal(get_u64(m->vcpu, X(6)), MMIO);
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_VCPU_EVENTS, &e), 0);
	assert_int_equal(e.exception.serror_pending, vector == SYNC && strchr(o->steps, 'S'));
}

static void try_order(struct machine_under_test *m, const struct order *o, bool store)
{
	static const uint64_t data = DATA;

	/* Whatever the order before left pending is completed and forgotten. */
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	m->run->immediate_exit = 0;
	assert_int_equal(init_vcpu(m->vcpu, PSCI_FEATURE), 0);
	load_program(m, store);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, PSTATE, EL1H_A), 0);
	assert_int_equal(set_u64(m->vcpu, X(1), SENTINEL), 0);
	assert_int_equal(set_u64(m->vcpu, X(10), MMIO), 0);
	assert_int_equal(set_u64(m->vcpu, X(11), HERE), 0);
	assert_int_equal(set_u64(m->vcpu, ARM64_SYS_REG(3, 0, 12, 0, 0), VECTORS), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(m->run->mmio.phys_addr, MMIO);
	memcpy(m->run->mmio.data, &data, sizeof(data));
	for (const char *step = o->steps; *step; step++)
		one_step(m, *step);
	check_outcome(m, o, store);
}

static void beside_a_load(void **state)
{
	for (size_t i = 0; i < COUNT(orders); i++) {
		print_message("%s\n", orders[i].steps);
		try_order(*state, &orders[i], false);
	}
}

static void beside_a_store(void **state)
{
	for (size_t i = 0; i < COUNT(orders); i++) {
		print_message("%s\n", orders[i].steps);
		try_order(*state, &orders[i], true);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {T(beside_a_load), T(beside_a_store)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
