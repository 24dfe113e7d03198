/* SPDX-License-Identifier: MIT */
/* What an access outside memory becomes: an exit, an error, or an abort in the guest. */
#include <errno.h>
#include <string.h>

#include "conform/conform.h"

#define VECTOR_SYNC  0x200 /* from EL1 with SP_EL1 */
#define SCTLR_EE     (1ull << 25)
#define OUTSIDE      0x0a000000ull
#define EC(esr)      ((esr) >> 26 & 0x3f)
#define FSC(esr)     ((esr)&0x3f)
#define EC_IABT      0x21
#define EC_DABT      0x25
#define FSC_EXTERNAL 0x10

/* ---- MMIO exits ---- */

struct load_row {
	int size_log2, is_signed, to64;
	uint64_t expect;
};

static void mmio_loads(unsigned int arg)
{
	static const struct load_row rows[] = {
		{0, 0, 1, 0x88},
		{1, 0, 1, 0x9988},
		{2, 0, 1, 0xbbaa9988},
		{3, 0, 1, 0xffeeddccbbaa9988},
		{0, 1, 1, 0xffffffffffffff88},
		{1, 1, 1, 0xffffffffffff9988},
		{2, 1, 1, 0xffffffffbbaa9988},
		{0, 1, 0, 0xffffff88},
		{1, 1, 0, 0xffff9988},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct load_row *r = &rows[i];
		struct prog p = {0};
		struct guest *g = guest_new(1, 0);
		struct outcome o;

		/* Linux loses the sign; unsigned rows are for everyone. */
		if ((arg == 1) != r->is_signed)
			continue;
		a_movi(&p, 5, ~0ull);
		if (r->is_signed)
			a_ldrs(&p, (unsigned int)r->size_log2, 5, REPORT_BASE, r->to64);
		else
			a_ldr(&p, (unsigned int)r->size_log2, 5, REPORT_BASE);
		p_report(&p, 5);
		p_spin(&p);
		guest_load(g, &p, 0);
		guest_start(g, 0, 0);
		o = run(g, 0);
		CHECK_EQ(o.ret, 0);
		CHECK_EQ(o.reason, KVM_EXIT_MMIO);
		CHECK_EQ(g->run[0]->mmio.phys_addr, REPORT_ADDR);
		CHECK_EQ(g->run[0]->mmio.len, 1u << r->size_log2);
		CHECK_EQ(g->run[0]->mmio.is_write, 0);
		memcpy(g->run[0]->mmio.data, "\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 8);
		CHECK_EQ(run_to_report(g, 0), r->expect);
		door->close(g->vcpu[0]);
		door->close(g->vm);
	}
}

static void mmio_stores(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;
	unsigned int i;

	a_movi(&p, 5, 0xffeeddccbbaa9988);
	for (i = 0; i < 4; i++)
		a_str(&p, i, 5, REPORT_BASE);
	a_str(&p, 2, A_XZR, REPORT_BASE);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	for (i = 0; i < 4; i++) {
		memset(g->run[0]->mmio.data, 0x77, 8);
		o = run(g, 0);
		CHECK_EQ(o.reason, KVM_EXIT_MMIO);
		CHECK_EQ(g->run[0]->mmio.len, 1u << i);
		CHECK_EQ(g->run[0]->mmio.is_write, 1);
		CHECK(!memcmp(g->run[0]->mmio.data, "\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 1u << i));
	}
	o = run(g, 0);
	CHECK(!memcmp(g->run[0]->mmio.data, "\0\0\0\0", 4));
}

/* A big-endian guest's data is in the order of its memory. */
static void mmio_big_endian(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g = guest_new(1, 0);
	struct outcome o;

	a_ldr(&p, 2, 5, REPORT_BASE);
	a_str(&p, 2, 5, REPORT_BASE);
	a_str(&p, 0, 5, REPORT_BASE);
	p_spin(&p);
	guest_load(g, &p, 0);
	guest_start(g, 0, 0);
	set_reg(g, 0, SYS_REG(A_SCTLR_EL1), get_reg(g, 0, SYS_REG(A_SCTLR_EL1)) | SCTLR_EE);
	o = run(g, 0);
	CHECK_EQ(o.reason, KVM_EXIT_MMIO);
	memcpy(g->run[0]->mmio.data, "\x12\x34\x56\x78", 4);
	o = run(g, 0);
	CHECK_EQ(o.reason, KVM_EXIT_MMIO);
	CHECK_EQ(get_reg(g, 0, X_REG(5)), 0x12345678);
	CHECK(!memcmp(g->run[0]->mmio.data, "\x12\x34\x56\x78", 4));
	o = run(g, 0);
	CHECK_EQ(g->run[0]->mmio.len, 1);
	CHECK_EQ(g->run[0]->mmio.data[0], 0x78);
}

/* ---- No syndrome ---- */

#define FIELD_ATOMIC(isar0) ((isar0) >> 20 & 0xf)
#define NR_ATOMICS          3 /* of the rows below */

static void no_syndrome(unsigned int arg)
{
	/* All at [X20]. */
	static const struct {
		const char *name;
		uint32_t insn;
	} rows[] = {
		{"STP", 0xa9000000},
		{"LDP", 0xa9400400},
		{"STR post-index", 0xf8008400},
		{"LDR pre-index", 0xf8408c00},
		{"LDR Q", 0x3dc00000},
		{"STR S", 0xbd000000},
		{"LDXR", 0xc85f7c00},
		/* Not on Armv8.0: */
		{"CAS", 0xc8a07c01},
		{"LDADD", 0xf8200001},
		{"SWP", 0xf8208001},
	};
	struct guest *g = guest_new(1, 0);
	bool atomics = FIELD_ATOMIC(get_reg(g, 0, SYS_REG(A_ID_AA64ISAR0_EL1))) != 0;
	unsigned int nr = ARRAY_SIZE(rows) - (atomics ? 0 : NR_ATOMICS);

	for (unsigned int i = 0; i < nr; i++) {
		struct prog p = {0};
		struct outcome o;

		g = guest_new(1, 0);
		a_emit(&p, rows[i].insn | REPORT_BASE << 5);
		p_spin(&p);
		guest_load(g, &p, 0);
		guest_start(g, 0, 0);
		set_reg(g, 0, SYS_REG(A_CPACR_EL1), 3u << 20);
		o = run(g, 0);
		if (o.ret != -1 || o.err != ENOSYS)
			FAIL("%s outside memory: %d, errno %d, exit reason %u; should be ENOSYS",
			     rows[i].name, o.ret, o.err, o.reason);
		CHECK_EQ(get_reg(g, 0, PC_REG), RAM_BASE);
		door->close(g->vcpu[0]);
		door->close(g->vm);
	}
}

/* ---- Aborts ---- */

/* A vector that reports ESR_EL1. */
static struct guest *with_vector(struct prog *p)
{
	struct guest *g = guest_new(1, 0);

	a_org(p, VECTORS + VECTOR_SYNC);
	a_movi(p, REPORT_BASE, REPORT_ADDR);
	a_mrs(p, 0, A_ESR_EL1);
	a_mrs(p, 1, A_FAR_EL1);
	p_report(p, 0);
	p_report(p, 1);
	p_spin(p);
	guest_load(g, p, 0);
	guest_start(g, 0, 0);
	set_reg(g, 0, SYS_REG(A_VBAR_EL1), RAM_BASE + VECTORS);
	return g;
}

static void execute_outside(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;
	uint64_t esr;

	a_movi(&p, 1, OUTSIDE);
	a_br(&p, 1);
	g = with_vector(&p);
	esr = run_to_report(g, 0);
	CHECK_EQ(EC(esr), EC_IABT);
	CHECK_EQ(FSC(esr), FSC_EXTERNAL);
	CHECK_EQ(run_to_report(g, 0), OUTSIDE);
}

static void tables_outside(unsigned int arg)
{
	struct prog p = {0};
	struct guest *g;
	uint64_t esr = 0;

	/* 4K granule, 39 bits, tables where there is no memory. */
	a_msri(&p, A_TTBR0_EL1, OUTSIDE, 1);
	a_msri(&p, A_TCR_EL1, 25 | 1ull << 23 | 2ull << 32, 1);
	a_mrs(&p, 1, A_SCTLR_EL1);
	a_addi(&p, 1, 1, 1);
	a_msr(&p, A_SCTLR_EL1, 1);
	a_isb(&p);
	p_spin(&p);
	g = with_vector(&p);
	/*
	 * The walk for the next fetch aborts; so does the vector's, for ever: read the state from
	 * outside.
	 */
	for (int i = 0; i < 100; i++) {
		run_for(g, 0, 20, &(bool){false});
		esr = get_reg(g, 0, SYS_REG(A_ESR_EL1));
		if (EC(esr) == EC_IABT)
			break;
	}
	CHECK_EQ(EC(esr), EC_IABT);
	CHECK_EQ(FSC(esr), FSC_EXTERNAL);
}

static void maintenance_outside(unsigned int arg)
{
	static const uint32_t insns[] = {
		0xd50b7a20, /* DC CVAC, X0 */
		0xd50b7e20, /* DC CIVAC, X0 */
		0xd50b7b20, /* DC CVAU, X0 */
		0xd5087620, /* DC IVAC, X0 */
		0xd50b7520, /* IC IVAU, X0 */
	};
	struct prog p = {0};
	struct guest *g;

	a_movi(&p, 0, OUTSIDE);
	for (unsigned int i = 0; i < ARRAY_SIZE(insns); i++)
		a_emit(&p, insns[i]);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = with_vector(&p);
	CHECK_EQ(run_to_report(g, 0), 1);
}

/* KVM_SET_VCPU_EVENTS: the VMM answers an access with an external abort. */
static void inject_abort(unsigned int arg)
{
	struct kvm_vcpu_events e = {.exception.ext_dabt_pending = 1};
	struct prog p = {0};
	struct guest *g;
	struct outcome o;
	uint64_t esr;

	if (!has_cap(KVM_CAP_ARM_INJECT_EXT_DABT))
		skip("no KVM_CAP_ARM_INJECT_EXT_DABT");
	a_movi(&p, 2, OUTSIDE + 8);
	a_ldr(&p, 3, 3, 2);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = with_vector(&p);
	o = run(g, 0);
	CHECK_EQ(o.reason, KVM_EXIT_MMIO);
	CHECK_EQ(kvm(g->vcpu[0], KVM_SET_VCPU_EVENTS, (uintptr_t)&e), 0);
	esr = run_to_report(g, 0);
	CHECK_EQ(EC(esr), EC_DABT);
	CHECK_EQ(FSC(esr), FSC_EXTERNAL);
	CHECK_EQ(run_to_report(g, 0), OUTSIDE + 8);
}

#define UNTOUCHED 0x5e171e1

/* The same while the access waits for its data; @arg: immediate_exit lets the abort in. */
static void abort_replaces_mmio(unsigned int arg)
{
	struct kvm_vcpu_events e = {.exception.ext_dabt_pending = 1};
	struct prog p = {0};
	struct guest *g;
	struct outcome o;

	if (!has_cap(KVM_CAP_ARM_INJECT_EXT_DABT))
		skip("no KVM_CAP_ARM_INJECT_EXT_DABT");
	a_movi(&p, 2, OUTSIDE + 8);
	a_movi(&p, 3, UNTOUCHED);
	a_ldr(&p, 3, 3, 2);
	p_report_imm(&p, 1);
	p_spin(&p);
	g = with_vector(&p);
	o = run(g, 0);
	CHECK_EQ(o.reason, KVM_EXIT_MMIO);
	CHECK_EQ(kvm(g->vcpu[0], KVM_SET_VCPU_EVENTS, (uintptr_t)&e), 0);
	CHECK_EQ(kvm(g->vcpu[0], KVM_GET_VCPU_EVENTS, (uintptr_t)&e), 0);
	CHECK_EQ(e.exception.ext_dabt_pending, 0);
	if (arg) {
		g->run[0]->immediate_exit = 1;
		CHECK_EQ(run(g, 0).err, EINTR);
		g->run[0]->immediate_exit = 0;
		CHECK_EQ(get_reg(g, 0, PC_REG), get_reg(g, 0, SYS_REG(A_VBAR_EL1)) + 0x200);
	}
	CHECK_EQ(EC(run_to_report(g, 0)), EC_DABT);
	CHECK_EQ(get_reg(g, 0, X_REG(3)), UNTOUCHED);
}

static const struct conform_test tests[] = {
	{"mmio/loads",
	 "a load outside memory is KVM_EXIT_MMIO, its data put as the instruction says", mmio_loads,
	 0, 0, NULL},
	{"mmio/signed-loads", "sign extension and register width are done by the KVM", mmio_loads,
	 1, 0, "6.1 extends the sign and then cuts it off"},
	{"mmio/stores", "a store outside memory is KVM_EXIT_MMIO with the data in memory order",
	 mmio_stores, 0, 0, NULL},
	{"mmio/big-endian", "… also of a big-endian guest", mmio_big_endian, 0, 0, NULL},
	{"mmio/no-syndrome",
	 "pairs, write-back, SIMD, exclusives and atomics outside memory have no syndrome: -ENOSYS",
	 no_syndrome, 0, 0, NULL},
	{"abort/execute", "execution from outside memory is an abort in the guest", execute_outside,
	 0, 0, NULL},
	{"abort/tables", "page tables outside memory are an abort in the guest", tables_outside, 0,
	 0, NULL},
	{"abort/maintenance", "cache maintenance outside memory is skipped", maintenance_outside, 0,
	 0, NULL},
	{"abort/injected", "KVM_SET_VCPU_EVENTS injects an external abort", inject_abort, 0, 0,
	 NULL},
	{"abort/replaces-mmio", "… which takes the place of the completion of an access that waits",
	 abort_replaces_mmio, 0, 0, NULL},
	{"abort/replaces-mmio/immediate-exit", "… also when immediate_exit lets it in",
	 abort_replaces_mmio, 1, 0, "the KVM_RUN after that completes the access all the same"},
};

const struct conform_group group_memory = {tests, ARRAY_SIZE(tests)};
