/* SPDX-License-Identifier: MIT */
/*
 * The system register table: its order, what KVM sees of it, who may access what, and the values of
 * identification.
 */
#include <errno.h>

#include "cpu_test.h"

static uint64_t field(uint64_t v, unsigned int lo)
{
	return (v >> lo) & 15;
}

static void test_sorted_and_unique(void **state)
{
	size_t nr;
	const struct sysreg *rows = sysreg_table(&nr);

	assert_true(nr > 200);
	for (size_t i = 0; i < nr; i++) {
		if (i && rows[i].enc <= rows[i - 1].enc)
			fail_msg("%s is out of order", rows[i].name);
		assert_ptr_equal(sysreg_find(rows[i].enc), &rows[i]);
		assert_non_null(rows[i].name);
		/* A plain register has a slot; nothing is read-only and write-only. */
		if (rows[i].flags & (SR_PLAIN | SR_PLAIN_W))
			assert_true(rows[i].slot > 0);
		assert_true((rows[i].flags & (SR_RO | SR_WO)) != (SR_RO | SR_WO));
		/* A plain write must be no different from the row's own. */
		if ((rows[i].flags & SR_PLAIN_W) && rows[i].enc != SYSREG(3, 0, 4, 1, 0))
			assert_true(!rows[i].write && !rows[i].mask);
	}
	assert_null(sysreg_find(SYSREG(3, 6, 1, 1, 0)));
	assert_null(sysreg_find(SYSREG(3, 0, 1, 0, 7)));
}

static void test_one_reg_write_back(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	size_t nr, listed = 0;
	const struct sysreg *rows = sysreg_table(&nr);

	for (int dirty = 0; dirty < 2; dirty++) {
		for (size_t i = 0; i < nr; i++) {
			uint64_t v, again;
			int err = sysreg_get_user(cpu, &rows[i], &v);

			if (!(rows[i].flags & SR_ONE_REG)) {
				assert_int_equal(err, -ENOENT);
				assert_int_equal(sysreg_set_user(cpu, &rows[i], 0), -ENOENT);
				continue;
			}
			listed++;
			assert_int_equal(err, 0);
			if (sysreg_set_user(cpu, &rows[i], v))
				fail_msg("%s refuses its own value", rows[i].name);
			assert_int_equal(sysreg_get_user(cpu, &rows[i], &again), 0);
			if (rows[i].enc != SYSREG(3, 3, 9, 13, 0))
				assert_int_equal(v, again);
			if (rows[i].flags & SR_INVARIANT)
				assert_int_equal(sysreg_set_user(cpu, &rows[i], v ^ 1), -EINVAL);
		}
		/* Once more with other values in all storage. */
		for (size_t i = 0; i < nr; i++) {
			if ((rows[i].flags & SR_ONE_REG) && rows[i].slot)
				sysreg_set_user(cpu, &rows[i], 0x55aa55aa00000000);
		}
	}
	assert_true(listed > 2 * 200);
	rig_free(rig);
}

static void test_without_pmu(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	size_t nr;
	const struct sysreg *rows = sysreg_table(&nr);
	uint64_t v;

	assert_int_equal(field(mrs(cpu, SYSREG(3, 0, 0, 5, 0)), 8), 4);
	cpu->features = 0;
	assert_int_equal(field(mrs(cpu, SYSREG(3, 0, 0, 5, 0)), 8), 0);
	for (size_t i = 0; i < nr; i++) {
		if (!(rows[i].flags & SR_PMU))
			continue;
		assert_int_equal(sysreg_get_user(cpu, &rows[i], &v), -ENOENT);
		assert_int_equal(sysreg_read(cpu, &rows[i], &v), CPU_FAULT);
		assert_int_equal(cpu->fault.esr, ESR(EC_UNKNOWN, 0));
	}
	rig_free(rig);
}

/* Identification claims what the design lists, field by field. */
static void test_identification(void **state)
{
	static const struct {
		uint16_t enc;
		uint64_t value;
	} t[] = {
		/* EL0, EL1 AArch64 only; FP16; CSV2, CSV3 */
		{SYSREG(3, 0, 0, 4, 0), 0x1100000000110011},
		{SYSREG(3, 0, 0, 4, 1), 0x20},
		/* 6 breakpoints, 2 context-aware, 4 watchpoints; PMUv3p1 */
		{SYSREG(3, 0, 0, 5, 0), 0x10305406},
		/* TLB range, DotProd, RDM, LSE, CRC32, SHA256, SHA1, AES and PMULL */
		{SYSREG(3, 0, 0, 6, 0), 0x0200100010211120},
		/* LRCPC, FCMA, JSCVT, DPB */
		{SYSREG(3, 0, 0, 6, 1), 0x111001},
		{SYSREG(3, 0, 0, 6, 2), 0},
		{SYSREG(3, 0, 0, 7, 0), 0x100125},
		{SYSREG(3, 0, 0, 7, 1), 0x1000000000201002},
		/* E0PD, TTL, UAO, CnP */
		{SYSREG(3, 0, 0, 7, 2), 0x1001000000000011},
	};
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];

	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(mrs(cpu, t[i].enc), t[i].value);
	/* The whole ID space is there, reads as zero where reserved, and is not writable. */
	for (unsigned int crm = 0; crm < 8; crm++) {
		for (unsigned int op2 = 0; op2 < 8; op2++) {
			const struct sysreg *r = sysreg_find(SYSREG(3, 0, 0, crm, op2));

			assert_non_null(r);
			assert_int_equal(sysreg_write(cpu, r, 0), CPU_FAULT);
			assert_int_equal(cpu->fault.esr, ESR(EC_UNKNOWN, 0));
			if (crm >= 1 && crm <= 3)
				assert_int_equal(mrs(cpu, r->enc), 0);
		}
	}
	/* CTR: IDC, not DIC. MPIDR as made. */
	assert_int_equal(mrs(cpu, SYSREG(3, 3, 0, 0, 1)) >> 28 & 3, 1);
	assert_int_equal(mrs(cpu, SYSREG(3, 0, 0, 0, 5)), 0x80000000);
	rig_free(rig);
}

static void test_csv_may_be_lowered(void **state)
{
	struct rig *rig = rig_new(2);
	const struct sysreg *r = sysreg_find(SYSREG(3, 0, 0, 4, 0));
	uint64_t v, plain;

	assert_int_equal(sysreg_get_user(rig->cpu[0], r, &v), 0);
	plain = v & ~(0xffull << 56);
	assert_int_equal(sysreg_set_user(rig->cpu[0], r, plain), 0);
	assert_int_equal(mrs(rig->cpu[1], r->enc), plain);
	assert_int_equal(sysreg_set_user(rig->cpu[0], r, plain | 2ull << 56), -EINVAL);
	assert_int_equal(sysreg_set_user(rig->cpu[0], r, plain | 2ull << 60), -EINVAL);
	assert_int_equal(sysreg_set_user(rig->cpu[0], r, v ^ 1ull << 32), -EINVAL);
	assert_int_equal(sysreg_set_user(rig->cpu[0], r, v), 0);
	rig_free(rig);
}

static void test_oslsr_user(void **state)
{
	struct rig *rig = rig_new(1);
	const struct sysreg *r = sysreg_find(SYSREG(2, 0, 1, 1, 4));
	uint64_t v;

	assert_int_equal(sysreg_get_user(rig->cpu[0], r, &v), 0);
	assert_int_equal(v, 0x8);
	assert_int_equal(sysreg_set_user(rig->cpu[0], r, 0xa), 0);
	assert_int_equal(mrs(rig->cpu[0], r->enc), 0xa);
	assert_int_equal(sysreg_set_user(rig->cpu[0], r, 0xb), -EINVAL);
	msr(rig->cpu[0], SYSREG(2, 0, 1, 0, 4), 0);
	assert_int_equal(mrs(rig->cpu[0], r->enc), 0x8);
	rig_free(rig);
}

static void expect_trap(struct cpu *cpu, uint16_t enc, bool read)
{
	const struct sysreg *r = sysreg_find(enc);
	uint32_t iss = (enc >> 14 & 3) << 20 | (enc & 7) << 17 | (enc >> 11 & 7) << 14 |
		       (enc >> 7 & 15) << 10 | (enc >> 3 & 15) << 1 | read;
	uint64_t v;

	assert_int_equal(read ? sysreg_read(cpu, r, &v) : sysreg_write(cpu, r, 0), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_SYSREG, iss));
	assert_false(cpu->fault.far_valid);
}

static void expect_undefined(struct cpu *cpu, uint16_t enc, bool read)
{
	const struct sysreg *r = sysreg_find(enc);
	uint64_t v;

	assert_int_equal(read ? sysreg_read(cpu, r, &v) : sysreg_write(cpu, r, 0), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_UNKNOWN, 0));
}

/* What EL0 reaches only when a control bit allows it. */
static void test_el0_traps(void **state)
{
	static const struct {
		uint16_t enc;
		bool read;
		uint16_t control;
		uint64_t bit;
	} t[] = {
		{SYSREG(3, 3, 0, 0, 1), true, R_SCTLR, SCTLR_UCT},
		{SYSREG(3, 3, 4, 2, 1), true, R_SCTLR, SCTLR_UMA},
		{SYSREG(3, 3, 4, 2, 1), false, R_SCTLR, SCTLR_UMA},
		{SYSREG(3, 3, 14, 0, 0), true, SYSREG(3, 0, 14, 1, 0), 1},
		{SYSREG(3, 3, 14, 0, 0), true, SYSREG(3, 0, 14, 1, 0), 2},
		{SYSREG(3, 3, 14, 0, 1), true, SYSREG(3, 0, 14, 1, 0), 1},
		{SYSREG(3, 3, 14, 0, 2), true, SYSREG(3, 0, 14, 1, 0), 2},
		{SYSREG(3, 3, 14, 2, 0), true, SYSREG(3, 0, 14, 1, 0), 1 << 9},
		{SYSREG(3, 3, 14, 2, 1), false, SYSREG(3, 0, 14, 1, 0), 1 << 9},
		{SYSREG(3, 3, 14, 2, 2), true, SYSREG(3, 0, 14, 1, 0), 1 << 9},
		{SYSREG(3, 3, 14, 3, 0), false, SYSREG(3, 0, 14, 1, 0), 1 << 8},
		{SYSREG(3, 3, 14, 3, 1), true, SYSREG(3, 0, 14, 1, 0), 1 << 8},
		{SYSREG(3, 3, 14, 3, 2), false, SYSREG(3, 0, 14, 1, 0), 1 << 8},
		{SYSREG(3, 3, 9, 12, 0), true, SYSREG(3, 3, 9, 14, 0), 1},
		{SYSREG(3, 3, 9, 12, 4), false, SYSREG(3, 3, 9, 14, 0), 2},
		{SYSREG(3, 3, 9, 12, 5), false, SYSREG(3, 3, 9, 14, 0), 8},
		{SYSREG(3, 3, 9, 13, 0), true, SYSREG(3, 3, 9, 14, 0), 4},
		{SYSREG(3, 3, 9, 13, 0), false, SYSREG(3, 3, 9, 14, 0), 1},
		{SYSREG(3, 3, 9, 13, 2), true, SYSREG(3, 3, 9, 14, 0), 8},
		{SYSREG(3, 3, 9, 13, 2), false, SYSREG(3, 3, 9, 14, 0), 1},
		{SYSREG(3, 3, 14, 8, 3), true, SYSREG(3, 3, 9, 14, 0), 8},
		{SYSREG(3, 3, 14, 12, 3), true, SYSREG(3, 3, 9, 14, 0), 1},
	};
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	uint64_t v;

	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		const struct sysreg *r = sysreg_find(t[i].enc);

		msr(cpu, t[i].control, 0);
		set_el(cpu, 0);
		expect_trap(cpu, t[i].enc, t[i].read);
		set_el(cpu, 1);
		msr(cpu, t[i].control, t[i].bit);
		set_el(cpu, 0);
		assert_int_equal(t[i].read ? sysreg_read(cpu, r, &v) : sysreg_write(cpu, r, 0),
				 CPU_EXIT_NONE);
		set_el(cpu, 1);
		msr(cpu, t[i].control, 0);
	}
	rig_free(rig);
}

static void test_el0_undefined(void **state)
{
	static const uint16_t t[] = {SYSREG(3, 0, 0, 0, 0),
				     SYSREG(3, 0, 0, 4, 0),
				     R_SCTLR,
				     R_TTBR0,
				     SYSREG(3, 0, 4, 0, 1),
				     SYSREG(3, 0, 4, 2, 2),
				     SYSREG(3, 0, 9, 14, 1),
				     R_MDSCR};
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];

	set_el(cpu, 0);
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		expect_undefined(cpu, t[i], true);
		expect_undefined(cpu, t[i], false);
	}
	expect_undefined(cpu, SYSREG(3, 3, 13, 0, 3), false);
	expect_undefined(cpu, SYSREG(3, 3, 9, 14, 0), false);
	set_el(cpu, 1);
	expect_undefined(cpu, SYSREG(3, 0, 4, 2, 2), false);
	expect_undefined(cpu, SYSREG(3, 4, 3, 0, 0), true);
	expect_undefined(cpu, SYSREG(3, 3, 9, 12, 4), true);
	expect_undefined(cpu, SYSREG(3, 3, 14, 0, 0), false);
	rig_free(rig);
}

static void test_sp_el0(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];

	msr(cpu, SYSREG(3, 0, 4, 1, 0), 0x1234);
	cpu->x[31] = 0x5678;
	assert_int_equal(mrs(cpu, SYSREG(3, 0, 4, 1, 0)), 0x1234);
	sysreg_write_imm(cpu, 0, 5, 0);
	assert_int_equal(cpu->x[31], 0x1234);
	assert_true(cpu->mode & CPU_MODE_EL1T);
	expect_undefined(cpu, SYSREG(3, 0, 4, 1, 0), true);
	expect_undefined(cpu, SYSREG(3, 0, 4, 1, 0), false);
	msr(cpu, SYSREG(3, 0, 4, 2, 0), 1);
	assert_int_equal(cpu->x[31], 0x5678);
	rig_free(rig);
}

static void test_pstate_registers(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];

	assert_int_equal(mrs(cpu, SYSREG(3, 0, 4, 2, 2)), 4);
	assert_int_equal(mrs(cpu, SYSREG(3, 3, 4, 2, 1)), 0x3c0);
	msr(cpu, SYSREG(3, 3, 4, 2, 1), 0x140);
	assert_int_equal(cpu->ps.daif, 5);
	assert_int_equal(sysreg_write_imm(cpu, 3, 6, 2), 0);
	assert_int_equal(cpu->ps.daif, 7);
	assert_int_equal(sysreg_write_imm(cpu, 3, 7, 5), 0);
	assert_int_equal(cpu->ps.daif, 2);
	msr(cpu, SYSREG(3, 3, 4, 2, 0), 0xa5ffffff);
	assert_int_equal(mrs(cpu, SYSREG(3, 3, 4, 2, 0)), 0xa0000000);
	msr(cpu, SYSREG(3, 0, 4, 2, 3), ~0ull);
	assert_int_equal(mrs(cpu, SYSREG(3, 0, 4, 2, 3)), 1 << 22);
	msr(cpu, SYSREG(3, 0, 4, 2, 4), ~0ull);
	assert_int_equal(mrs(cpu, SYSREG(3, 0, 4, 2, 4)), 1 << 23);
	assert_true(cpu->mode & CPU_MODE_UAO);
	msr(cpu, SYSREG(3, 3, 4, 2, 6), ~0ull);
	assert_int_equal(mrs(cpu, SYSREG(3, 3, 4, 2, 6)), 1 << 12);
	assert_int_equal(cpu_pstate(cpu), 0xa0c01085);
	/* MSR (immediate) at EL0: only DAIFSet and DAIFClr with UMA, and SSBS. */
	set_el(cpu, 0);
	assert_int_equal(sysreg_write_imm(cpu, 0, 4, 1), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_UNKNOWN, 0));
	assert_int_equal(sysreg_write_imm(cpu, 3, 6, 2), CPU_FAULT);
	assert_int_equal(cpu->fault.esr, ESR(EC_SYSREG, 6 << 17 | 3 << 14 | 4 << 10 | 2 << 1));
	assert_int_equal(sysreg_write_imm(cpu, 3, 1, 1), 0);
	assert_int_equal(cpu->ps.ssbs, 1);
	assert_false(sysreg_imm_exists(0, 4, true));
	assert_true(sysreg_imm_exists(3, 1, true));
	assert_false(sysreg_imm_exists(3, 2, false));
	rig_free(rig);
}

static void test_sctlr_bits(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];

	msr(cpu, R_SCTLR, ~0ull);
	assert_int_equal(mrs(cpu, R_SCTLR), SCTLR_RES1 | SCTLR_RW);
	assert_true(cpu->mode & CPU_MODE_BE);
	msr(cpu, R_SCTLR, 0);
	assert_int_equal(mrs(cpu, R_SCTLR), 0x30500980);
	assert_int_equal(cpu->mode & (CPU_MODE_BE | CPU_MODE_SP_ALIGN), 0);
	assert_true(cpu->mode & CPU_MODE_ALIGN);
	msr(cpu, R_SCTLR, SCTLR_M | SCTLR_SA | SCTLR_E0E);
	assert_int_equal(cpu->mode & (CPU_MODE_BE | CPU_MODE_ALIGN), 0);
	assert_true(cpu->mode & CPU_MODE_SP_ALIGN);
	set_el(cpu, 0);
	assert_true(cpu->mode & CPU_MODE_BE);
	assert_false(cpu->mode & CPU_MODE_SP_ALIGN);
	rig_free(rig);
}

static void test_fp_trap(void **state)
{
	static const struct {
		unsigned int fpen;
		bool el0, el1;
	} t[] = {{0, false, false}, {1, false, true}, {2, false, false}, {3, true, true}};
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	uint64_t v;

	for (unsigned int i = 0; i < 4; i++) {
		msr(cpu, R_CPACR, (uint64_t)t[i].fpen << 20);
		for (unsigned int el = 0; el < 2; el++) {
			bool ok = el ? t[i].el1 : t[i].el0;

			set_el(cpu, el);
			assert_int_equal(!!(cpu->mode & CPU_MODE_FP), ok);
			assert_int_equal(sysreg_read(cpu, sysreg_find(SYSREG(3, 3, 4, 4, 0)), &v),
					 ok ? CPU_EXIT_NONE : CPU_FAULT);
			if (!ok)
				assert_int_equal(cpu->fault.esr, ESR(EC_FP_ACCESS, 0x1e00000));
		}
	}
	msr(cpu, SYSREG(3, 3, 4, 4, 0), ~0ull);
	assert_int_equal(mrs(cpu, SYSREG(3, 3, 4, 4, 0)), 0x7c80000);
	assert_true(cpu->mode & CPU_MODE_FP_DYNAMIC);
	msr(cpu, SYSREG(3, 3, 4, 4, 1), ~0ull);
	assert_int_equal(mrs(cpu, SYSREG(3, 3, 4, 4, 1)), 0x800009f);
	rig_free(rig);
}

static void test_dczid_and_ccsidr(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	uint64_t v;

	assert_int_equal(mrs(cpu, SYSREG(3, 3, 0, 0, 7)), 4);
	msr(cpu, R_SCTLR, 0);
	set_el(cpu, 0);
	assert_int_equal(mrs(cpu, SYSREG(3, 3, 0, 0, 7)), 0x14);
	set_el(cpu, 1);
	for (unsigned int level = 1; level <= 7; level++) {
		unsigned int ctype = mrs(cpu, SYSREG(3, 1, 0, 0, 1)) >> (3 * (level - 1)) & 7;

		/* Each cache of CLIDR has a geometry, no other. */
		assert_int_equal(!sysreg_ccsidr((level - 1) << 1, &v), ctype >= 2);
		assert_int_equal(!sysreg_ccsidr((level - 1) << 1 | 1, &v),
				 ctype == 1 || ctype == 3);
	}
	msr(cpu, SYSREG(3, 2, 0, 0, 0), 0);
	assert_int_equal(mrs(cpu, SYSREG(3, 1, 0, 0, 0)) & 7, 2);
	rig_free(rig);
}

/* PMU registers of counters that are not there. */
static void test_pmu_counters_beyond(void **state)
{
	struct rig *rig = rig_new(1);
	struct cpu *cpu = rig->cpu[0];
	uint64_t v;

	expect_undefined(cpu, SYSREG(3, 3, 14, 8, 6), true);
	expect_undefined(cpu, SYSREG(3, 3, 14, 15, 6), false);
	assert_int_equal(sysreg_get_user(cpu, sysreg_find(SYSREG(3, 3, 14, 11, 6)), &v), 0);
	msr(cpu, SYSREG(3, 3, 9, 12, 5), 6);
	expect_undefined(cpu, SYSREG(3, 3, 9, 13, 1), true);
	msr(cpu, SYSREG(3, 3, 9, 12, 5), 31);
	msr(cpu, SYSREG(3, 3, 9, 13, 1), 1u << 31);
	assert_int_equal(mrs(cpu, SYSREG(3, 3, 14, 15, 7)), 1u << 31);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorted_and_unique),
		cmocka_unit_test(test_one_reg_write_back),
		cmocka_unit_test(test_without_pmu),
		cmocka_unit_test(test_identification),
		cmocka_unit_test(test_csv_may_be_lowered),
		cmocka_unit_test(test_oslsr_user),
		cmocka_unit_test(test_el0_traps),
		cmocka_unit_test(test_el0_undefined),
		cmocka_unit_test(test_sp_el0),
		cmocka_unit_test(test_pstate_registers),
		cmocka_unit_test(test_sctlr_bits),
		cmocka_unit_test(test_fp_trap),
		cmocka_unit_test(test_dczid_and_ccsidr),
		cmocka_unit_test(test_pmu_counters_beyond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
