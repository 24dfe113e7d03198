/* SPDX-License-Identifier: MIT */
/*
 * Handlers of the Performance Monitors registers: which register, EL0's rights by PMUSERENR_EL0
 * (Arm ARM D7.9), KVM's view.
 */
#include <errno.h>

#include "cpu/access.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/sysreg_rows.h"

#define USERENR_EN BIT64(0)
#define USERENR_SW BIT64(1)
#define USERENR_CR BIT64(2)
#define USERENR_ER BIT64(3)
#define USERENR_RW (USERENR_EN | USERENR_SW | USERENR_CR | USERENR_ER)
#define SELR_SEL   0x1full

enum pmu_reg {
	PMU_INTENSET = SYSREG(3, 0, 9, 14, 1),
	PMU_INTENCLR = SYSREG(3, 0, 9, 14, 2),
	PMU_PMCR = SYSREG(3, 3, 9, 12, 0),
	PMU_CNTENSET = SYSREG(3, 3, 9, 12, 1),
	PMU_CNTENCLR = SYSREG(3, 3, 9, 12, 2),
	PMU_OVSCLR = SYSREG(3, 3, 9, 12, 3),
	PMU_SWINC = SYSREG(3, 3, 9, 12, 4),
	PMU_SELR = SYSREG(3, 3, 9, 12, 5),
	PMU_CEID0 = SYSREG(3, 3, 9, 12, 6),
	PMU_CEID1 = SYSREG(3, 3, 9, 12, 7),
	PMU_CCNTR = SYSREG(3, 3, 9, 13, 0),
	PMU_XEVTYPER = SYSREG(3, 3, 9, 13, 1),
	PMU_XEVCNTR = SYSREG(3, 3, 9, 13, 2),
	PMU_USERENR = SYSREG(3, 3, 9, 14, 0),
	PMU_OVSSET = SYSREG(3, 3, 9, 14, 3),
	PMU_EVCNTR0 = SYSREG(3, 3, 14, 8, 0),
	PMU_EVTYPER0 = SYSREG(3, 3, 14, 12, 0),
	PMU_CCFILTR = SYSREG(3, 3, 14, 15, 7),
};

/* The bit of PMUSERENR_EL0, beside EN, that lets EL0 do this. */
static uint64_t user_right(uint16_t enc, bool read)
{
	switch (enc) {
	case PMU_SWINC:
		return read ? 0 : USERENR_SW;
	case PMU_CCNTR:
		return read ? USERENR_CR : 0;
	case PMU_SELR:
		return USERENR_ER;
	case PMU_USERENR:
		return read ? ~0ull : 0;
	case PMU_XEVCNTR:
		return read ? USERENR_ER : 0;
	}
	return read && enc >= PMU_EVCNTR0 && enc < PMU_EVTYPER0 ? USERENR_ER : 0;
}

static int trapped(struct cpu *cpu, const struct sysreg *r, bool read)
{
	uint64_t right = user_right(r->enc, read);

	if (cpu->ps.el || right == ~0ull || (cpu->pmu.userenr & (USERENR_EN | right)))
		return CPU_EXIT_NONE;
	return sysreg_trap(cpu, r->enc, read);
}

/* Counter number of PMEVCNTR<n>, PMEVTYPER<n>, PMCCFILTR, PMXEV*; *@type: the type register. */
static bool counter_of(const struct cpu *cpu, uint16_t enc, unsigned int *n, bool *type)
{
	*type = true;
	if (enc == PMU_XEVTYPER || enc == PMU_XEVCNTR) {
		*n = cpu->pmu.selr & SELR_SEL;
		*type = enc == PMU_XEVTYPER;
		return true;
	}
	if (enc < PMU_EVCNTR0)
		return false;
	*n = enc & 0x1f;
	*type = enc >= PMU_EVTYPER0;
	return true;
}

static bool exists(unsigned int n)
{
	return n < PMU_COUNTERS || n == PMU_CYCLE;
}

static uint64_t read_value(struct cpu *cpu, uint16_t enc)
{
	struct pmu *p = &cpu->pmu;

	switch (enc) {
	case PMU_PMCR:
		return pmu_read_pmcr(cpu);
	case PMU_CNTENSET:
	case PMU_CNTENCLR:
		return p->cnten;
	case PMU_INTENSET:
	case PMU_INTENCLR:
		return p->inten;
	case PMU_OVSSET:
	case PMU_OVSCLR:
		pmu_sync(cpu);
		return p->ovs;
	case PMU_SELR:
		return p->selr;
	case PMU_CEID0:
		return PMU_PMCEID0;
	case PMU_CEID1:
		return PMU_PMCEID1;
	case PMU_CCNTR:
		return pmu_read_counter(cpu, PMU_CYCLE);
	case PMU_USERENR:
		return p->userenr;
	}
	return 0;
}

static void write_value(struct cpu *cpu, uint16_t enc, uint64_t value)
{
	struct pmu *p = &cpu->pmu;

	switch (enc) {
	case PMU_PMCR:
		pmu_write_pmcr(cpu, value);
		break;
	case PMU_CNTENSET:
	case PMU_CNTENCLR:
		pmu_write_bits(cpu, &p->cnten, value, enc == PMU_CNTENSET);
		break;
	case PMU_INTENSET:
	case PMU_INTENCLR:
		pmu_write_bits(cpu, &p->inten, value, enc == PMU_INTENSET);
		break;
	case PMU_OVSSET:
	case PMU_OVSCLR:
		pmu_write_bits(cpu, &p->ovs, value, enc == PMU_OVSSET);
		break;
	case PMU_SWINC:
		pmu_write_swinc(cpu, value);
		break;
	case PMU_SELR:
		p->selr = value & SELR_SEL;
		break;
	case PMU_CCNTR:
		pmu_write_counter(cpu, PMU_CYCLE, value);
		break;
	case PMU_USERENR:
		p->userenr = value & USERENR_RW;
		break;
	}
}

int read_pmu(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	int err = trapped(cpu, r, true);
	unsigned int n;
	bool type;

	if (err)
		return err;
	if (!counter_of(cpu, r->enc, &n, &type)) {
		*value = read_value(cpu, r->enc);
		return CPU_EXIT_NONE;
	}
	if (!exists(n))
		return sysreg_undefined(cpu);
	*value = type ? pmu_read_type(cpu, n) : pmu_read_counter(cpu, n);
	return CPU_EXIT_NONE;
}

int write_pmu(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	int err = trapped(cpu, r, false);
	unsigned int n;
	bool type;

	if (err)
		return err;
	if (!counter_of(cpu, r->enc, &n, &type)) {
		write_value(cpu, r->enc, value);
		return CPU_EXIT_NONE;
	}
	if (!exists(n))
		return sysreg_undefined(cpu);
	if (type)
		pmu_write_type(cpu, n, value);
	else
		pmu_write_counter(cpu, n, value);
	return CPU_EXIT_NONE;
}

/* KVM lists counters up to 30, PMSWINC reads as zero; what the CPU has not is RAZ/WI. */
int get_pmu(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	unsigned int n;
	bool type;

	*value = 0;
	if (!counter_of(cpu, r->enc, &n, &type))
		*value = read_value(cpu, r->enc);
	else if (exists(n))
		*value = type ? pmu_read_type(cpu, n) : pmu_read_counter(cpu, n);
	return 0;
}

/* A VMM writes the value of a set or clear register as it is, not as a mask of changes. */
int set_pmu(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	struct pmu *p = &cpu->pmu;
	uint64_t *field = NULL;
	unsigned int n;
	bool type;

	switch (r->enc) {
	case PMU_SWINC:
		return 0;
	case PMU_CNTENSET:
	case PMU_CNTENCLR:
		field = &p->cnten;
		break;
	case PMU_INTENSET:
	case PMU_INTENCLR:
		field = &p->inten;
		break;
	case PMU_OVSSET:
	case PMU_OVSCLR:
		field = &p->ovs;
		break;
	}
	if (field) {
		pmu_write_bits(cpu, field, ~value, false);
		pmu_write_bits(cpu, field, value, true);
	} else if (!counter_of(cpu, r->enc, &n, &type)) {
		write_value(cpu, r->enc, value);
	} else if (exists(n)) {
		if (type)
			pmu_write_type(cpu, n, value);
		else
			pmu_write_counter(cpu, n, value);
	}
	return 0;
}
