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

static const struct sysreg *find(const struct sysreg *row, size_t nr, uint16_t enc)
{
	size_t lo = 0, hi = nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (row[mid].enc == enc)
			return &row[mid];
		if (row[mid].enc < enc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct sysreg *sysreg_find(uint16_t enc)
{
	size_t nr;
	const struct sysreg *rows = sysreg_table(&nr);

	return find(rows, nr, enc);
}

/* --- Rows from elsewhere --- */

static bool rows_valid(const struct sysreg_rows *rows)
{
	for (size_t i = 0; i < rows->nr; i++) {
		const struct sysreg *r = &rows->row[i];

		if (r->slot || sysreg_find(r->enc) || (i && r[-1].enc >= r->enc))
			return false;
	}
	return true;
}

const struct sysreg_rows *machine_sysregs(const struct machine *m)
{
	return atomic_load_explicit(&m->sysregs, memory_order_acquire);
}

int machine_add_sysregs(struct machine *m, const struct sysreg_rows *rows)
{
	if (machine_sysregs(m))
		return -EEXIST;
	if (!rows_valid(rows))
		return -EINVAL;
	atomic_store_explicit(&m->sysregs, rows, memory_order_release);
	return 0;
}

const struct sysreg *machine_sysreg(const struct machine *m, uint16_t enc)
{
	const struct sysreg *r = sysreg_find(enc);
	const struct sysreg_rows *more;

	if (r)
		return r;
	more = machine_sysregs(m);
	return more ? find(more->row, more->nr, enc) : NULL;
}

int sysreg_undefined(struct cpu *cpu)
{
	cpu->fault = (struct cpu_fault){.esr = ESR(EC_UNKNOWN, 0)};
	return CPU_FAULT;
}

/* ISS of a trapped MSR, MRS or System instruction (ESR_EL1, EC 0x18), Rt left 0. */
int sysreg_trap(struct cpu *cpu, uint16_t enc, bool read)
{
	uint32_t iss = (ENC_OP0(enc) << 20) | (ENC_OP2(enc) << 17) | (ENC_OP1(enc) << 14) |
		       (ENC_CRN(enc) << 10) | (ENC_CRM(enc) << 1) | read;

	cpu->fault = (struct cpu_fault){.esr = ESR(EC_SYSREG, iss)};
	return CPU_FAULT;
}

static bool present(const struct cpu *cpu, const struct sysreg *r)
{
	return !(r->flags & SR_PMU) || (cpu->features & CPU_FEATURE_PMU);
}

/* May the guest, at its present EL? CPU_EXIT_NONE or CPU_FAULT. */
static int guest_may(struct cpu *cpu, const struct sysreg *r, bool read)
{
	uint32_t never = read ? SR_WO : SR_RO, el0 = read ? SR_EL0_R : SR_EL0_W;

	if (!present(cpu, r) || (r->flags & never) || (!cpu->ps.el && !(r->flags & el0)))
		return sysreg_undefined(cpu);
	return r->access ? r->access(cpu, r, read) : CPU_EXIT_NONE;
}

static uint64_t value_of(struct cpu *cpu, const struct sysreg *r)
{
	if (r->read)
		return r->read(cpu, r);
	return r->slot ? *sysreg_slot(cpu, r) : r->reset;
}

int sysreg_read(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	int err = guest_may(cpu, r, true);

	if (!err)
		*value = value_of(cpu, r);
	return err;
}

int sysreg_write(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	int err = guest_may(cpu, r, false);
	uint64_t *slot;

	if (err)
		return err;
	if (r->write) {
		r->write(cpu, r, value);
		return CPU_EXIT_NONE;
	}
	if (!r->slot)
		return sysreg_undefined(cpu);
	slot = sysreg_slot(cpu, r);
	*slot = r->mask ? (*slot & ~r->mask) | (value & r->mask) : value;
	return CPU_EXIT_NONE;
}

/*
 * CRm and op2 lie in bits 6:0 of an encoding, and CRn and op1 above. A machine's rows never change,
 * they only become more: what was found stays right, and what was not is looked for again.
 */
static const struct sysreg *cached(struct cpu *cpu, uint16_t enc)
{
	const struct sysreg **line = &cpu->sysreg_cache[(enc ^ enc >> 7) % SYSREG_CACHE];

	if (!*line || (*line)->enc != enc) {
		const struct sysreg *r = machine_sysreg(cpu->machine, enc);

		if (!r)
			return NULL;
		*line = r;
	}
	return *line;
}

int sysreg_mrs(struct cpu *cpu, uint16_t enc, uint64_t *value)
{
	const struct sysreg *r = cached(cpu, enc);

	return r ? sysreg_read(cpu, r, value) : sysreg_undefined(cpu);
}

int sysreg_msr(struct cpu *cpu, uint16_t enc, uint64_t value)
{
	const struct sysreg *r = cached(cpu, enc);

	return r ? sysreg_write(cpu, r, value) : sysreg_undefined(cpu);
}

/* --- KVM's view: no rights, no EL, and so nothing that could fault --- */

static bool shown(const struct cpu *cpu, const struct sysreg *r)
{
	return (r->flags & SR_ONE_REG) && present(cpu, r);
}

int sysreg_get_user(struct cpu *cpu, const struct sysreg *r, uint64_t *value)
{
	if (!shown(cpu, r))
		return -ENOENT;
	*value = value_of(cpu, r);
	return 0;
}

int sysreg_set_user(struct cpu *cpu, const struct sysreg *r, uint64_t value)
{
	if (!shown(cpu, r))
		return -ENOENT;
	if (r->set_user)
		return r->set_user(cpu, r, value);
	if (r->flags & SR_USER_WI)
		return 0;
	if (r->flags & SR_INVARIANT || !r->slot)
		return value == value_of(cpu, r) ? 0 : -EINVAL;
	*sysreg_slot(cpu, r) = value;
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
			*sysreg_slot(cpu, &rows[i]) = rows[i].reset;
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
	cpu_pstate_changed(cpu);
	return CPU_EXIT_NONE;
}
