/* SPDX-License-Identifier: MIT */
/*
 * ONE_REG: whatever is listed can be read and written back, whatever the guest is at and may do;
 * what Linux refuses is refused.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define CORE32(word)  (KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | (word))
#define CORE64(word)  (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | (word))
#define CORE128(word) (KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE | (word))
#define W(name)       KVM_REG_ARM_CORE_REG(name)
#define PSTATE        CORE64(W(regs.pstate))
#define DEMUX(v)      (KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX | (v))
#define MIDR_EL1      ARM64_SYS_REG(3, 0, 0, 0, 0)
#define MPIDR_EL1     ARM64_SYS_REG(3, 0, 0, 0, 5)
#define ID_AA64ISAR0  ARM64_SYS_REG(3, 0, 0, 6, 0)
#define TTBR0_EL1     ARM64_SYS_REG(3, 0, 2, 0, 0)
#define PMCCNTR_EL0   ARM64_SYS_REG(3, 3, 9, 13, 0)

static struct kvm_reg_list *get_list(int vcpu)
{
	struct kvm_reg_list head = {.n = 0}, *l;

	assert_int_equal(CALL_PTR(vcpu, KVM_GET_REG_LIST, &head), -E2BIG);
	assert_true(head.n > 100);
	l = calloc(1, sizeof(*l) + head.n * sizeof(l->reg[0]));
	l->n = head.n - 1;
	assert_int_equal(CALL_PTR(vcpu, KVM_GET_REG_LIST, l), -E2BIG);
	l->n = head.n;
	assert_int_equal(CALL_PTR(vcpu, KVM_GET_REG_LIST, l), 0);
	assert_int_equal(l->n, head.n);
	return l;
}

static bool in_list(const struct kvm_reg_list *l, uint64_t id)
{
	for (uint64_t i = 0; i < l->n; i++)
		if (l->reg[i] == id)
			return true;
	return false;
}

/* They count meanwhile. */
static bool moves(uint64_t id)
{
	return id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_PTIMER_CNT || id == PMCCNTR_EL0;
}

static void write_back(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_reg_list *l = get_list(m->vcpu);
	unsigned char value[16], again[16];
	int ret;

	for (uint64_t i = 0; i < l->n; i++) {
		memset(value, 0, sizeof(value));
		memset(again, 0, sizeof(again));
		ret = get_id(m->vcpu, l->reg[i], value);
		if (ret)
			fail_msg("get of 0x%llx: %d", (unsigned long long)l->reg[i], ret);
		ret = set_id(m->vcpu, l->reg[i], value);
		if (ret)
			fail_msg("set of 0x%llx: %d", (unsigned long long)l->reg[i], ret);
		assert_int_equal(get_id(m->vcpu, l->reg[i], again), 0);
		if (!moves(l->reg[i]) && memcmp(value, again, sizeof(value)))
			fail_msg("0x%llx changed when it was written back",
				 (unsigned long long)l->reg[i]);
	}
	free(l);
}

static void list_is_sound(void **state)
{
	static const uint64_t wanted[] = {
		CORE64(W(regs.regs[0])),
		CORE64(W(regs.regs[30])),
		CORE64(W(regs.sp)),
		CORE64(W(regs.pc)),
		PSTATE,
		CORE64(W(sp_el1)),
		CORE64(W(elr_el1)),
		CORE64(W(spsr[0])),
		CORE64(W(spsr[4])),
		CORE128(W(fp_regs.vregs[0])),
		CORE128(W(fp_regs.vregs[31])),
		CORE32(W(fp_regs.fpsr)),
		CORE32(W(fp_regs.fpcr)),
		KVM_REG_ARM_PSCI_VERSION,
		KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1,
		KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2,
		KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3,
		KVM_REG_ARM_STD_BMAP,
		KVM_REG_ARM_STD_HYP_BMAP,
		KVM_REG_ARM_VENDOR_HYP_BMAP,
		KVM_REG_ARM_TIMER_CTL,
		KVM_REG_ARM_TIMER_CNT,
		KVM_REG_ARM_TIMER_CVAL,
		KVM_REG_ARM_PTIMER_CTL,
		KVM_REG_ARM_PTIMER_CNT,
		KVM_REG_ARM_PTIMER_CVAL,
		MIDR_EL1,
		MPIDR_EL1,
		ID_AA64ISAR0,
		TTBR0_EL1,
		DEMUX(0),
		DEMUX(1),
	};
	struct machine_under_test *m = *state;
	struct kvm_reg_list *l = get_list(m->vcpu);

	for (size_t i = 0; i < COUNT(wanted); i++)
		if (!in_list(l, wanted[i]))
			fail_msg("0x%llx is not listed", (unsigned long long)wanted[i]);
	for (uint64_t i = 0; i < l->n; i++)
		for (uint64_t j = 0; j < i; j++)
			assert_int_not_equal(l->reg[i], l->reg[j]);
	assert_false(in_list(l, PMCCNTR_EL0));
	free(l);
}

static void pmu_is_listed(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_reg_list *l = get_list(m->vcpu);

	assert_true(in_list(l, PMCCNTR_EL0));
	free(l);
}

/* A list that ends where memory ends. */
static void list_fault(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_reg_list *l;
	unsigned char *p =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(p + 4096, 4096);
	l = (struct kvm_reg_list *)(p + 4096 - 64);
	l->n = 10000;
	assert_int_equal(CALL_PTR(m->vcpu, KVM_GET_REG_LIST, l), -EFAULT);
	munmap(p, 4096);
}

/* ---- In every state of the guest ---- */

#define SCTLR_EL1     ARM64_SYS_REG(3, 0, 1, 0, 0)
#define CPACR_EL1     ARM64_SYS_REG(3, 0, 1, 0, 2)
#define CSSELR_EL1    ARM64_SYS_REG(3, 2, 0, 0, 0)
#define CNTKCTL_EL1   ARM64_SYS_REG(3, 0, 14, 1, 0)
#define MDSCR_EL1     ARM64_SYS_REG(2, 0, 0, 2, 2)
#define OSLSR_EL1     ARM64_SYS_REG(2, 0, 1, 1, 4)
#define PMUSERENR_EL0 ARM64_SYS_REG(3, 3, 9, 14, 0)
#define PMSELR_EL0    ARM64_SYS_REG(3, 3, 9, 12, 5)

/* The value of a register before and after another was written, and what that said. */
struct view {
	unsigned char value[16], changed[16];
	int get, set, put_back;
};

struct setting {
	const char *name;
	uint64_t id;
	uint64_t value[4]; /* each is tried */
	unsigned int n;
};

/* What decides on the guest's rights, and where it is. Registers of the PMU only where it is. */
static const struct setting settings[] = {
	/* EL1h, EL1t, EL0; illegal state, a step that is due, PAN and UAO, SSBS, masks off */
	{"PSTATE", PSTATE, {0x3c5, 0x3c4, 0x3c0, 0x1003c0}, 4},
	{"PSTATE", PSTATE, {0x1003c5, 0x2003c4, 0xc003c0, 0x1000}, 4},
	/* UCT, UMA, UCI, DZE, nTWI, nTWE, SA, SA0 and all else that is not MMU or caches */
	{"SCTLR_EL1", SCTLR_EL1, {0x30d50998, 0x30500980, 0x34d5db98, 0x37d5db9a}, 4},
	{"CPACR_EL1", CPACR_EL1, {0, 1 << 20, 2 << 20, 3 << 20}, 4},
	{"CNTKCTL_EL1", CNTKCTL_EL1, {0, 0x3ff, 0x303, 0x100}, 4},
	{"MDSCR_EL1", MDSCR_EL1, {0, 1, 1 << 12, 1 << 15 | 1 << 13 | 1}, 4},
	{"OSLSR_EL1", OSLSR_EL1, {8, 10}, 2},
	{"CSSELR_EL1", CSSELR_EL1, {0, 1, 15}, 3},
	{"PMUSERENR_EL0", PMUSERENR_EL0, {0, 15, 1, 8}, 4},
	{"PMSELR_EL0", PMSELR_EL0, {0, 5, 17, 31}, 4},
};

static bool is_setting(uint64_t id)
{
	for (size_t i = 0; i < COUNT(settings); i++)
		if (settings[i].id == id)
			return true;
	return false;
}

static void look(int vcpu, uint64_t id, struct view *v)
{
	unsigned char other[16];

	memset(v, 0, sizeof(*v));
	v->get = get_id(vcpu, id, v->value);
	for (size_t i = 0; i < sizeof(other); i++)
		other[i] = v->value[i] ^ 0x5a;
	v->set = set_id(vcpu, id, other);
	get_id(vcpu, id, v->changed);
	v->put_back = set_id(vcpu, id, v->value);
	if (moves(id)) {
		memset(v->value, 0, sizeof(v->value));
		memset(v->changed, 0, sizeof(v->changed));
	}
}

static void check_state(const struct machine_under_test *m, const struct kvm_reg_list *l,
			const struct view *at_reset, const struct setting *s, uint64_t value)
{
	struct view v;

	for (uint64_t i = 0; i < l->n; i++) {
		if (is_setting(l->reg[i]))
			continue;
		look(m->vcpu, l->reg[i], &v);
		if (v.get || v.put_back || memcmp(&v, &at_reset[i], sizeof(v)))
			fail_msg("0x%llx: get %d, set %d and %d, or other values than at reset, "
				 "with %s = 0x%llx",
				 (unsigned long long)l->reg[i], v.get, v.set, v.put_back, s->name,
				 (unsigned long long)value);
	}
}

/* The VMM's access to a register depends neither on the guest's rights nor on its present EL. */
static void every_state(void **state)
{
	static const uint64_t levels[] = {0x3c5, 0x3c4, 0x3c0};
	struct machine_under_test *m = *state;
	struct kvm_reg_list *l = get_list(m->vcpu);
	struct view *at_reset = calloc(l->n, sizeof(*at_reset));

	assert_non_null(at_reset);
	/* The two stack pointers, so that they cannot be taken for each other. */
	assert_int_equal(set_u64(m->vcpu, CORE64(W(regs.sp)), 0x1111), 0);
	assert_int_equal(set_u64(m->vcpu, CORE64(W(sp_el1)), 0x2222), 0);
	for (uint64_t i = 0; i < l->n; i++)
		if (!is_setting(l->reg[i]))
			look(m->vcpu, l->reg[i], &at_reset[i]);
	for (size_t el = 0; el < COUNT(levels); el++) {
		for (size_t i = 0; i < COUNT(settings); i++) {
			const struct setting *s = &settings[i];
			uint64_t before;

			if (!in_list(l, s->id))
				continue;
			assert_int_equal(set_u64(m->vcpu, PSTATE, levels[el]), 0);
			before = get_u64(m->vcpu, s->id);
			for (unsigned int n = 0; n < s->n; n++) {
				assert_int_equal(set_u64(m->vcpu, s->id, s->value[n]), 0);
				assert_int_equal(get_u64(m->vcpu, s->id), s->value[n]);
				check_state(m, l, at_reset, s, s->value[n]);
			}
			assert_int_equal(set_u64(m->vcpu, s->id, before), 0);
		}
	}
	free(at_reset);
	free(l);
}

/*
 * Without AArch32, its ID registers read as zero and take any value without effect; some among
 * their encodings belong to no such register, or are none that Linux hides so.
 */
static void aarch32_id_registers(void **state)
{
	struct machine_under_test *m = *state;

	for (unsigned int crm = 1; crm <= 3; crm++) {
		for (unsigned int op2 = 0; op2 < 8; op2++) {
			bool refused = (crm == 1 && op2 == 3) || (crm == 3 && op2 % 2 && op2 > 1);
			uint64_t id = ARM64_SYS_REG(3, 0, 0, crm, op2);

			assert_int_equal(get_u64(m->vcpu, id), 0);
			assert_int_equal(set_u64(m->vcpu, id, 0), 0);
			assert_int_equal(set_u64(m->vcpu, id, 0x1badc0de1badc0de),
					 refused ? -EINVAL : 0);
			assert_int_equal(get_u64(m->vcpu, id), 0);
		}
	}
}

struct refusal {
	uint64_t id;
	int get, set; /* set: of a value of zeros */
};

static void refusals(void **state)
{
	static const struct refusal rows[] = {
		{0, -EINVAL, -EINVAL},
		{KVM_REG_X86 | KVM_REG_SIZE_U64, -EINVAL, -EINVAL},
		{KVM_REG_ARM | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE, -EINVAL, -EINVAL},
		{CORE64(W(regs.pc)) | 1ull << 40, -EINVAL, -EINVAL},
		/* Core registers: of the wrong size, from the middle, behind the last. */
		{CORE32(W(regs.pc)), -EINVAL, -EINVAL},
		{CORE128(W(regs.pc)), -EINVAL, -EINVAL},
		{CORE64(1), -EINVAL, -EINVAL},
		{CORE64(W(spsr[4]) + 2), -EINVAL, -EINVAL},
		{CORE64(W(fp_regs.vregs[1])), -EINVAL, -EINVAL},
		{CORE128(W(fp_regs.vregs[1]) + 2), -EINVAL, -EINVAL},
		{CORE64(W(fp_regs.fpsr)), -EINVAL, -EINVAL},
		{CORE32(W(fp_regs.fpcr) + 1), -EINVAL, -EINVAL},
		{CORE32(sizeof(struct kvm_regs) / 4), -ENOENT, -ENOENT},
		{CORE64(0xffff), -ENOENT, -ENOENT},
		/* Others that are not there. */
		{KVM_REG_ARM_FW_REG(99), -ENOENT, -ENOENT},
		{KVM_REG_ARM_FW_FEAT_BMAP_REG(99), -ENOENT, -ENOENT},
		{KVM_REG_ARM64_SVE_ZREG(0, 0), -ENOENT, -ENOENT},
		{KVM_REG_ARM64_SVE_VLS, -ENOENT, -ENOENT},
		{ARM64_SYS_REG(3, 7, 15, 15, 7), -ENOENT, -ENOENT},
		{PMCCNTR_EL0, -ENOENT, -ENOENT},
		{DEMUX(13), -ENOENT, -ENOENT},
		{DEMUX(0x100), -ENOENT, -ENOENT},
		{KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_DEMUX, -ENOENT, -ENOENT},
		{DEMUX(0), 0, -EINVAL},
		{MIDR_EL1, 0, -EINVAL},
		{ID_AA64ISAR0, 0, -EINVAL},
	};
	struct machine_under_test *m = *state;
	unsigned char value[64] = {0};

	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned char got[256];
		int get = get_id(m->vcpu, rows[i].id, got),
		    set = set_id(m->vcpu, rows[i].id, value);

		if (get != rows[i].get || set != rows[i].set)
			fail_msg("row %zu (0x%llx): get %d, set %d; should be %d, %d", i,
				 (unsigned long long)rows[i].id, get, set, rows[i].get,
				 rows[i].set);
	}
}

static void bad_value_pointers(void **state)
{
	static const uint64_t ids[] = {PC,
				       CORE128(W(fp_regs.vregs[3])),
				       KVM_REG_ARM_PSCI_VERSION,
				       KVM_REG_ARM_TIMER_CVAL,
				       TTBR0_EL1,
				       DEMUX(0)};
	struct machine_under_test *m = *state;

	for (size_t i = 0; i < COUNT(ids); i++) {
		assert_int_equal(get_id(m->vcpu, ids[i], (void *)0x1000), -EFAULT);
		assert_int_equal(set_id(m->vcpu, ids[i], (void *)0x1000), -EFAULT);
	}
}

static void pstate(void **state)
{
	static const struct {
		uint64_t value;
		int ret;
	} rows[] = {
		{0x3c5, 0},       {0x3c4, 0},       {0x0, 0},         {0xf0000005, 0},
		{0x3c9, -EINVAL}, {0x3c8, -EINVAL}, {0x3cd, -EINVAL}, {0x10, -EINVAL},
		{0x1d3, -EINVAL}, {0x1, -EINVAL},
	};
	struct machine_under_test *m = *state;

	assert_int_equal(get_u64(m->vcpu, PSTATE), 0x3c5);
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t before = get_u64(m->vcpu, PSTATE);

		assert_int_equal(set_u64(m->vcpu, PSTATE, rows[i].value), rows[i].ret);
		assert_int_equal(get_u64(m->vcpu, PSTATE), rows[i].ret ? before : rows[i].value);
	}
}

/* SP_EL0 and SP_EL1 keep their names whichever is in use. */
static void stack_pointers(void **state)
{
	static const uint64_t modes[] = {0x3c5, 0x3c4, 0x3c0};
	struct machine_under_test *m = *state;

	for (size_t i = 0; i < COUNT(modes); i++) {
		assert_int_equal(set_u64(m->vcpu, PSTATE, modes[i]), 0);
		assert_int_equal(set_u64(m->vcpu, CORE64(W(regs.sp)), 0x1000 + i), 0);
		assert_int_equal(set_u64(m->vcpu, CORE64(W(sp_el1)), 0x2000 + i), 0);
		assert_int_equal(set_u64(m->vcpu, PSTATE, 0x3c5), 0);
		assert_int_equal(get_u64(m->vcpu, CORE64(W(regs.sp))), 0x1000 + i);
		assert_int_equal(get_u64(m->vcpu, CORE64(W(sp_el1))), 0x2000 + i);
	}
}

static void every_core_register(void **state)
{
	struct machine_under_test *m = *state;
	unsigned char v[16], got[16];
	uint64_t w;

	for (w = 0; w <= W(spsr[4]); w += 2) {
		if (w == W(regs.pstate))
			continue;
		assert_int_equal(set_u64(m->vcpu, CORE64(w), 0xabcd000000000000 + w), 0);
	}
	for (w = 0; w < 32; w++) {
		memset(v, (int)w + 1, sizeof(v));
		assert_int_equal(set_id(m->vcpu, CORE128(W(fp_regs.vregs[0]) + 4 * w), v), 0);
	}
	for (w = 0; w <= W(spsr[4]); w += 2)
		if (w != W(regs.pstate))
			assert_int_equal(get_u64(m->vcpu, CORE64(w)), 0xabcd000000000000 + w);
	for (w = 0; w < 32; w++) {
		memset(v, (int)w + 1, sizeof(v));
		assert_int_equal(get_id(m->vcpu, CORE128(W(fp_regs.vregs[0]) + 4 * w), got), 0);
		assert_memory_equal(v, got, sizeof(v));
	}
	/* VCPU_INIT resets them. */
	assert_int_equal(init_vcpu(m->vcpu, PSCI_FEATURE), 0);
	for (w = 0; w <= W(spsr[4]); w += 2)
		assert_int_equal(get_u64(m->vcpu, CORE64(w)), w == W(regs.pstate) ? 0x3c5 : 0);
}

static void firmware(void **state)
{
	static const struct {
		uint64_t id, value;
		int ret;
	} rows[] = {
		{KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(0, 1), -EINVAL},
		{KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(0, 2), 0},
		{KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(1, 0), 0},
		{KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(1, 1), 0},
		{KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(1, 2), -EINVAL},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1, 0, 0},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1, 2, 0},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1, 3, -EINVAL},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_1, 0x10, -EINVAL},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2, 3, 0},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2,
		 2 | KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_ENABLED, 0},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2,
		 3 | KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2_ENABLED, -EINVAL},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2, 4, -EINVAL},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_2, 0x20, -EINVAL},
		{KVM_REG_ARM_SMCCC_ARCH_WORKAROUND_3, 3, -EINVAL},
		{KVM_REG_ARM_STD_BMAP, 0, 0},
		{KVM_REG_ARM_STD_BMAP, 1, 0},
		{KVM_REG_ARM_STD_BMAP, 2, -EINVAL},
		{KVM_REG_ARM_STD_HYP_BMAP, 0, 0},
		{KVM_REG_ARM_STD_HYP_BMAP, 1, 0},
		{KVM_REG_ARM_STD_HYP_BMAP, 2, -EINVAL},
		{KVM_REG_ARM_VENDOR_HYP_BMAP, 3, 0},
		{KVM_REG_ARM_VENDOR_HYP_BMAP, 4, -EINVAL},
	};
	struct machine_under_test *m = *state;

	assert_int_equal(get_u64(m->vcpu, KVM_REG_ARM_PSCI_VERSION), PSCI_VERSION(1, 1));
	/* All that there is, at first: what Linux 6.1 says. */
	assert_int_equal(get_u64(m->vcpu, KVM_REG_ARM_STD_BMAP), 1);
	assert_int_equal(get_u64(m->vcpu, KVM_REG_ARM_STD_HYP_BMAP), 1);
	assert_int_equal(get_u64(m->vcpu, KVM_REG_ARM_VENDOR_HYP_BMAP), 3);
	for (size_t i = 0; i < COUNT(rows); i++) {
		int ret = set_u64(m->vcpu, rows[i].id, rows[i].value);

		if (ret != rows[i].ret)
			fail_msg("row %zu: %d, should be %d", i, ret, rows[i].ret);
	}
}

/* After a vCPU has run, what the guest may have seen stays. */
static void firmware_is_frozen(void **state)
{
	struct machine_under_test *m = *state;

	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(set_u64(m->vcpu, KVM_REG_ARM_STD_BMAP, 0), -EBUSY);
	assert_int_equal(set_u64(m->vcpu, KVM_REG_ARM_STD_BMAP, 1), 0);
	assert_int_equal(set_u64(m->vcpu, KVM_REG_ARM_VENDOR_HYP_BMAP, 0), -EBUSY);
}

static void old_psci(void **state)
{
	struct machine_under_test *m = *state;

	assert_int_equal(init_vcpu(m->vcpu, 0), 0);
	assert_int_equal(get_u64(m->vcpu, KVM_REG_ARM_PSCI_VERSION), PSCI_VERSION(0, 1));
	assert_int_equal(set_u64(m->vcpu, KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(0, 1)), 0);
	assert_int_equal(set_u64(m->vcpu, KVM_REG_ARM_PSCI_VERSION, PSCI_VERSION(1, 0)), -EINVAL);
}

/* MPIDR follows the id, sixteen to a cluster. */
static void mpidr(void **state)
{
	static const unsigned int ids[] = {1, 15, 16, 63};
	static const uint64_t should[] = {0x80000001, 0x8000000f, 0x80000100, 0x8000030f};
	struct machine_under_test *m = *state;

	assert_int_equal(get_u64(m->vcpu, MPIDR_EL1), 0x80000000);
	for (size_t i = 0; i < COUNT(ids); i++) {
		int vcpu = call(m->vm, KVM_CREATE_VCPU, ids[i]);

		assert_int_equal(init_vcpu(vcpu, PSCI_FEATURE), 0);
		assert_int_equal(get_u64(vcpu, MPIDR_EL1), should[i]);
		armature_close(vcpu);
	}
}

/* A timer's three registers in ONE_REG, and its counter as the guest has it. */
static const struct timer_ids {
	uint64_t ctl, cnt, cval;
	uint32_t counter;
} timer_ids[] = {
	{KVM_REG_ARM_TIMER_CTL, KVM_REG_ARM_TIMER_CNT, KVM_REG_ARM_TIMER_CVAL, A_CNTVCT_EL0},
	{KVM_REG_ARM_PTIMER_CTL, KVM_REG_ARM_PTIMER_CNT, KVM_REG_ARM_PTIMER_CVAL, A_CNTPCT_EL0},
};

static void timer(void **state)
{
	struct machine_under_test *m = *state;

	for (size_t i = 0; i < COUNT(timer_ids); i++) {
		const struct timer_ids *t = &timer_ids[i];

		/* ISTATUS tells that CVAL is reached, whatever ENABLE says; it is read-only. */
		assert_int_equal(set_u64(m->vcpu, t->cval, ~0ull), 0);
		assert_int_equal(get_u64(m->vcpu, t->cval), ~0ull);
		assert_int_equal(set_u64(m->vcpu, t->ctl, 7), 0);
		assert_int_equal(get_u64(m->vcpu, t->ctl), 3);
		assert_int_equal(set_u64(m->vcpu, t->cval, 0), 0);
		assert_int_equal(set_u64(m->vcpu, t->ctl, 0), 0);
		assert_int_equal(get_u64(m->vcpu, t->ctl), 4);
	}
}

/* A counter that the guest reads, by a store to a device. */
static uint64_t guest_counter(struct machine_under_test *m, const struct timer_ids *t)
{
	struct prog p = {0};
	uint64_t value;

	a_mrs(&p, 0, t->counter);
	a_str(&p, 3, 0, 2);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, CORE64(W(regs.regs[2])), MMIO), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	memcpy(&value, m->run->mmio.data, sizeof(value));
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	m->run->immediate_exit = 0;
	return value;
}

/* Each counter goes on from where it is set, and the other does not notice. */
static void counters(void **state)
{
	struct machine_under_test *m = *state;

	for (size_t i = 0; i < COUNT(timer_ids); i++) {
		const struct timer_ids *t = &timer_ids[i], *other = &timer_ids[!i];
		uint64_t far = 1ull << 60, before = get_u64(m->vcpu, other->cnt);

		assert_true(before < far);
		assert_int_equal(set_u64(m->vcpu, t->cnt, far), 0);
		assert_true(get_u64(m->vcpu, t->cnt) >= far);
		assert_true(guest_counter(m, t) >= far);
		assert_true(guest_counter(m, other) - before < far);
		assert_int_equal(set_u64(m->vcpu, t->cnt, 0), 0);
		assert_true(guest_counter(m, t) < far);
	}
	/* What creating a vCPU undoes. */
	assert_int_equal(set_u64(m->vcpu, KVM_REG_ARM_PTIMER_CNT, 1ull << 60), 0);
	assert_true(call(m->vm, KVM_CREATE_VCPU, 1) >= 0);
	assert_true(guest_counter(m, &timer_ids[1]) < 1ull << 60);
}

#define T(f)    cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define BARE(f) cmocka_unit_test_setup_teardown(f, set_up_bare, tear_down)
#define PMU(f)  cmocka_unit_test_setup_teardown(f, set_up_pmu, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(write_back),
		PMU(write_back),
		T(list_is_sound),
		PMU(pmu_is_listed),
		T(list_fault),
		T(refusals),
		T(bad_value_pointers),
		T(pstate),
		T(stack_pointers),
		T(every_state),
		PMU(every_state),
		T(aarch32_id_registers),
		T(every_core_register),
		T(firmware),
		T(firmware_is_frozen),
		BARE(old_psci),
		T(mpidr),
		T(timer),
		T(counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
