/* SPDX-License-Identifier: MIT */
/*
 * SYS instructions (op0 = 1): cache maintenance, address translation, TLB maintenance (Arm ARM
 * C5.3 to C5.5).
 *
 * Caches are coherent and instructions are fetched from translations, so data cache maintenance
 * does its checks and nothing else, and instruction cache maintenance goes to
 * machine_ops.icache_invalidate. Outer shareable forms act like inner shareable ones. TTL hints are
 * ignored: that drops more than was asked for.
 */
#include "cpu/access.h"
#include "cpu/access_place.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/mmu.h"
#include "cpu/sysreg_rows.h"

/* TLBI operands */
#define TLBI_ASID(x) ((uint16_t)FIELD64(x, 63, 48))
#define TLBI_VA(x) \
	((uint64_t)((int64_t)((x) << 20) >> 8)) /* VA[55:12] in bits 43:0, sign-extended */
#define RANGE_TG(x)     FIELD64(x, 47, 46)
#define RANGE_SCALE(x)  FIELD64(x, 45, 44)
#define RANGE_NUM(x)    FIELD64(x, 43, 39)
#define RANGE_BASE_BITS 37

struct sysinsn {
	uint16_t enc;
	bool el0;
	int (*run)(struct cpu *cpu, const struct sysinsn *i, uint64_t value);
	unsigned int arg;
	bool broadcast;
};

static int run_tlbi(struct cpu *cpu, const struct sysinsn *i, uint64_t value)
{
	struct tlb_op op = {.kind = i->arg, .asid = TLBI_ASID(value)};

	if (!(cpu->sys.tcr & TCR_AS))
		op.asid &= 0xff;
	if (i->arg == TLB_OP_VA || i->arg == TLB_OP_VA_ALL_ASID) {
		op.va = TLBI_VA(value);
		op.len = MEM_PAGE_SIZE;
	}
	tlb_maintain(cpu, &op, i->broadcast);
	return CPU_EXIT_NONE;
}

/* FEAT_TLBIRANGE: [base, base + (NUM + 1) * 2^(5 * SCALE + 1) granules) */
static int run_tlbi_range(struct cpu *cpu, const struct sysinsn *i, uint64_t value)
{
	static const uint8_t grain[4] = {0, 12, 14, 16};
	struct tlb_op op = {.kind = i->arg, .asid = TLBI_ASID(value)};
	unsigned int shift = grain[RANGE_TG(value)];

	if (!(cpu->sys.tcr & TCR_AS))
		op.asid &= 0xff;
	if (shift) {
		int64_t base = (int64_t)(value << (64 - RANGE_BASE_BITS)) >> (64 - RANGE_BASE_BITS);

		op.va = (uint64_t)base << shift;
		op.len = (RANGE_NUM(value) + 1) << (5 * RANGE_SCALE(value) + 1 + shift);
	} else {
		op.kind = TLB_OP_ALL; /* a reserved granule: any entry may go */
	}
	tlb_maintain(cpu, &op, i->broadcast);
	return CPU_EXIT_NONE;
}

enum at_kind { AT_EL1 = 0, AT_EL0 = 1, AT_WRITE = 2, AT_PAN = 4 };

static int run_at(struct cpu *cpu, const struct sysinsn *i, uint64_t value)
{
	unsigned int el = i->arg & AT_EL0 ? 0 : 1;
	unsigned int flags = MMU_NO_UPDATE | (i->arg & AT_PAN ? 0 : MMU_NO_PAN);
	struct mmu_result r;

	if (!mmu_walk(cpu, mmu_canonical(cpu, value), el, i->arg & AT_WRITE ? MMU_WRITE : MMU_READ,
		      flags, &r)) {
		cpu->sys.par = PAR_RES1 | PAR_NS | (uint64_t)r.attr << PAR_ATTR_SHIFT |
			       (r.pa & TLB_INFO_PA) | (uint64_t)r.sh << PAR_SH_SHIFT;
		return CPU_EXIT_NONE;
	}
	/* An external abort on the walk is taken, all else is reported (D5.2.14). */
	if (r.fsc == FSC_EXTERNAL || r.fsc == MMU_FSC_GONE)
		return access_data_fault(cpu, value, r.fsc, ISS_CM | ISS_WNR);
	cpu->sys.par = PAR_F | PAR_RES1 | (uint64_t)r.fsc << PAR_FST_SHIFT;
	return CPU_EXIT_NONE;
}

static int run_cache(struct cpu *cpu, const struct sysinsn *i, uint64_t value)
{
	if (!cpu->ps.el && !(cpu->sys.sctlr & SCTLR_UCI))
		return sysreg_trap(cpu, i->enc, false);
	return access_cache(cpu, value, i->arg);
}

static int run_zva(struct cpu *cpu, const struct sysinsn *i, uint64_t value)
{
	return access_dc_zva(cpu, value);
}

static int run_iall(struct cpu *cpu, const struct sysinsn *i, uint64_t value)
{
	const struct machine_ops *ops = cpu->machine->ops;

	if (ops && ops->icache_invalidate)
		ops->icache_invalidate(cpu->machine, 0, 0);
	return CPU_EXIT_NONE;
}

static int run_nothing(struct cpu *cpu, const struct sysinsn *i, uint64_t value)
{
	return CPU_EXIT_NONE;
}

/* clang-format off */
/* The six forms by VA and ASID at CRm, and the four by range. */
#define TLBI(crm, shared)                                                                          \
	{ SYSREG(1, 0, 8, crm, 0), false, run_tlbi, TLB_OP_ALL, shared },                          \
	{ SYSREG(1, 0, 8, crm, 1), false, run_tlbi, TLB_OP_VA, shared },                           \
	{ SYSREG(1, 0, 8, crm, 2), false, run_tlbi, TLB_OP_ASID, shared },                         \
	{ SYSREG(1, 0, 8, crm, 3), false, run_tlbi, TLB_OP_VA_ALL_ASID, shared },                  \
	{ SYSREG(1, 0, 8, crm, 5), false, run_tlbi, TLB_OP_VA, shared },                           \
	{ SYSREG(1, 0, 8, crm, 7), false, run_tlbi, TLB_OP_VA_ALL_ASID, shared }
#define TLBI_RANGE(crm, shared)                                                                    \
	{ SYSREG(1, 0, 8, crm, 1), false, run_tlbi_range, TLB_OP_RANGE, shared },                  \
	{ SYSREG(1, 0, 8, crm, 3), false, run_tlbi_range, TLB_OP_RANGE_ALL_ASID, shared },         \
	{ SYSREG(1, 0, 8, crm, 5), false, run_tlbi_range, TLB_OP_RANGE, shared },                  \
	{ SYSREG(1, 0, 8, crm, 7), false, run_tlbi_range, TLB_OP_RANGE_ALL_ASID, shared }

/* Sorted by encoding. */
static const struct sysinsn insns[] = {
	{ SYSREG(1, 0, 7, 1, 0), false, run_iall },				/* IC IALLUIS */
	{ SYSREG(1, 0, 7, 5, 0), false, run_iall },				/* IC IALLU */
	{ SYSREG(1, 0, 7, 6, 1), false, run_cache, CACHE_DC_INVALIDATE },	/* DC IVAC */
	{ SYSREG(1, 0, 7, 6, 2), false, run_nothing },				/* DC ISW */
	{ SYSREG(1, 0, 7, 8, 0), false, run_at, AT_EL1 },			/* AT S1E1R */
	{ SYSREG(1, 0, 7, 8, 1), false, run_at, AT_EL1 | AT_WRITE },		/* AT S1E1W */
	{ SYSREG(1, 0, 7, 8, 2), false, run_at, AT_EL0 },			/* AT S1E0R */
	{ SYSREG(1, 0, 7, 8, 3), false, run_at, AT_EL0 | AT_WRITE },		/* AT S1E0W */
	{ SYSREG(1, 0, 7, 9, 0), false, run_at, AT_EL1 | AT_PAN },		/* AT S1E1RP */
	{ SYSREG(1, 0, 7, 9, 1), false, run_at, AT_EL1 | AT_WRITE | AT_PAN },	/* AT S1E1WP */
	{ SYSREG(1, 0, 7, 10, 2), false, run_nothing },				/* DC CSW */
	{ SYSREG(1, 0, 7, 14, 2), false, run_nothing },				/* DC CISW */
	TLBI(1, true),								/* ...OS */
	TLBI_RANGE(2, true),							/* R...IS */
	TLBI(3, true),								/* ...IS */
	TLBI_RANGE(5, true),							/* R...OS */
	TLBI_RANGE(6, false),
	TLBI(7, false),
	{ SYSREG(1, 3, 7, 4, 1), true, run_zva },				/* DC ZVA */
	{ SYSREG(1, 3, 7, 5, 1), true, run_cache, CACHE_IC_IVAU },		/* IC IVAU */
	{ SYSREG(1, 3, 7, 10, 1), true, run_cache, CACHE_DC_CLEAN },		/* DC CVAC */
	{ SYSREG(1, 3, 7, 11, 1), true, run_cache, CACHE_DC_CLEAN },		/* DC CVAU */
	{ SYSREG(1, 3, 7, 12, 1), true, run_cache, CACHE_DC_CLEAN },		/* DC CVAP */
	{ SYSREG(1, 3, 7, 14, 1), true, run_cache, CACHE_DC_CLEAN_INVALIDATE },	/* DC CIVAC */
};

/* clang-format on */

static const struct sysinsn *find(uint16_t enc)
{
	size_t lo = 0, hi = sizeof(insns) / sizeof(insns[0]);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (insns[mid].enc == enc)
			return &insns[mid];
		if (insns[mid].enc < enc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

bool sysinsn_exists(uint16_t enc, bool el0)
{
	const struct sysinsn *i = find(enc);

	return i && (i->el0 || !el0);
}

int sysinsn_execute(struct cpu *cpu, uint16_t enc, uint64_t value)
{
	const struct sysinsn *i = find(enc);

	if (!i || (!i->el0 && !cpu->ps.el))
		return sysreg_undefined(cpu);
	return i->run(cpu, i, value);
}
