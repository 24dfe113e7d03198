/* SPDX-License-Identifier: MIT */
/*
 * Access to system registers through their rows (sysreg_table.c): checks that are common to all,
 * KVM's view, reset.
 */
#include <errno.h>

#include "cpu/access.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/sysreg.h"
#include "cpu/sysreg_rows.h"

/* Encoding fields */
#define ENC_OP0(e) (((e) >> 14) & 3)
#define ENC_OP1(e) (((e) >> 11) & 7)
#define ENC_CRN(e) (((e) >> 7) & 15)
#define ENC_CRM(e) (((e) >> 3) & 15)
#define ENC_OP2(e) ((e)&7)

const struct sysreg *sysreg_find(uint16_t enc)
{
	size_t lo = 0, hi;
	const struct sysreg *rows = sysreg_table(&hi);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (rows[mid].enc == enc)
			return &rows[mid];
		if (rows[mid].enc < enc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

int sysreg_undefined(struct cpu *cpu)
{
	cpu->fault = (struct cpu_fault){.esr = ESR(EC_UNKNOWN, 0)};
	return CPU_FAULT;
}

/* ISS of a trapped MSR, MRS or System instruction (D13.2.40), Rt left 0. */
int sysreg_trap(struct cpu *cpu, uint16_t enc, bool read)
{
	uint32_t iss = (ENC_OP0(enc) << 20) | (ENC_OP2(enc) << 17) | (ENC_OP1(enc) << 14) |
		       (ENC_CRN(enc) << 10) | (ENC_CRM(enc) << 1) | read;

	cpu->fault = (struct cpu_fault){.esr = ESR(EC_SYSREG, iss)};
	return CPU_FAULT;
}

static uint64_t *slot_of(struct cpu *cpu, const struct sysreg *r)
{
	return (uint64_t *)((char *)cpu + r->slot);
}

static bool present(const struct cpu *cpu, const struct sysreg *r)
{
	return !(r->flags & SR_PMU) || (cpu->features & CPU_FEATURE_PMU);
}

int sysreg_read(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	if (!present(cpu, r) || (r->flags & SR_WO) || (!cpu->ps.el && !(r->flags & SR_EL0_R)))
		return sysreg_undefined(cpu);
	if (r->read)
		return r->read(cpu, r, value);
	*value = r->slot ? *slot_of(cpu, r) : r->reset;
	return CPU_EXIT_NONE;
}

int sysreg_write(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	uint64_t *slot;

	if (!present(cpu, r) || (r->flags & SR_RO) || (!cpu->ps.el && !(r->flags & SR_EL0_W)))
		return sysreg_undefined(cpu);
	if (r->write)
		return r->write(cpu, r, value);
	if (!r->slot)
		return sysreg_undefined(cpu);
	slot = slot_of(cpu, r);
	*slot = r->mask ? (*slot & ~r->mask) | (value & r->mask) : value;
	return CPU_EXIT_NONE;
}

/* --- KVM's view --- */

int sysreg_get_user(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	if (!(r->flags & SR_ONE_REG) || !present(cpu, r))
		return -ENOENT;
	if (r->get_user)
		return r->get_user(cpu, r, value);
	if (r->slot)
		*value = *slot_of(cpu, r);
	else if (r->read)
		return r->read(cpu, r, value) ? -EINVAL : 0;
	else
		*value = r->reset;
	return 0;
}

int sysreg_set_user(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	uint64_t now;
	int err;

	if (!(r->flags & SR_ONE_REG) || !present(cpu, r))
		return -ENOENT;
	if (r->set_user)
		return r->set_user(cpu, r, value);
	if (r->flags & SR_INVARIANT || !r->slot) {
		err = sysreg_get_user(cpu, r, &now);
		return err ? err : value == now ? 0 : -EINVAL;
	}
	*slot_of(cpu, r) = value;
	if (r->flags & SR_CONTEXT)
		cpu_update_mode(cpu);
	return 0;
}

void sysreg_reset(struct cpu *cpu)
{
	size_t nr;
	const struct sysreg *rows = sysreg_table(&nr);

	for (size_t i = 0; i < nr; i++) {
		if (rows[i].slot)
			*slot_of(cpu, &rows[i]) = rows[i].reset;
	}
}

/* --- MSR (immediate) --- */

enum imm_field { IMM_UAO, IMM_PAN, IMM_SPSEL, IMM_SSBS, IMM_DAIFSET, IMM_DAIFCLR, NO_FIELD };

static enum imm_field imm_field(unsigned int op1, unsigned int op2)
{
	static const struct {
		uint8_t op1, op2, field;
	} fields[] = {
		{0, 3, IMM_UAO},  {0, 4, IMM_PAN},     {0, 5, IMM_SPSEL},
		{3, 1, IMM_SSBS}, {3, 6, IMM_DAIFSET}, {3, 7, IMM_DAIFCLR},
	};

	for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].op1 == op1 && fields[i].op2 == op2)
			return fields[i].field;
	}
	return NO_FIELD;
}

bool sysreg_imm_exists(unsigned int op1, unsigned int op2, bool el0)
{
	return imm_field(op1, op2) != NO_FIELD && (!el0 || op1 == 3);
}

int sysreg_write_imm(struct cpu *cpu, unsigned int op1, unsigned int op2, unsigned int imm)
{
	struct pstate *ps = &cpu->ps;
	enum imm_field field = imm_field(op1, op2);

	if (field == NO_FIELD || (!ps->el && op1 != 3))
		return sysreg_undefined(cpu);
	if (!ps->el && field != IMM_SSBS && !(cpu->sys.sctlr & SCTLR_UMA))
		return sysreg_trap(cpu, SYSREG(0, op1, 4, imm, op2), false);
	switch (field) {
	case IMM_UAO:
		ps->uao = imm & 1;
		break;
	case IMM_PAN:
		ps->pan = imm & 1;
		break;
	case IMM_SPSEL:
		cpu_set_spsel(cpu, imm & 1);
		return CPU_EXIT_NONE;
	case IMM_SSBS:
		ps->ssbs = imm & 1;
		return CPU_EXIT_NONE;
	case IMM_DAIFSET:
		ps->daif |= imm & 15;
		if (!(imm & PSTATE_D))
			return CPU_EXIT_NONE;
		break;
	default:
		ps->daif &= ~imm & 15;
		if (!(imm & PSTATE_D))
			return CPU_EXIT_NONE;
		break;
	}
	/* PSTATE.D decides on Software Step. */
	cpu_update_mode(cpu);
	return CPU_EXIT_NONE;
}
