/* SPDX-License-Identifier: MIT */
/*
 * Private to the system register files: the handlers that rows of the table name, and how accesses
 * fail.
 */
#ifndef CPU_SYSREG_ROWS_H
#define CPU_SYSREG_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "cpu/sysreg.h"

/*
 * The access is UNDEFINED, or trapped to EL1 (EC 0x18; cpu_take_fault() adds Rt). Both return
 * CPU_FAULT.
 */
int sysreg_undefined(struct cpu *cpu);
int sysreg_trap(struct cpu *cpu, uint16_t enc, bool read);

static inline uint64_t *sysreg_slot(struct cpu *cpu, const struct sysreg *r)
{
	return (uint64_t *)((char *)cpu + r->slot);
}

typedef int sysreg_access_fn(struct cpu *cpu, const struct sysreg *r, bool read);
typedef uint64_t sysreg_read_fn(struct cpu *cpu, const struct sysreg *r);
typedef void sysreg_write_fn(struct cpu *cpu, const struct sysreg *r, uint64_t value);
typedef int sysreg_set_fn(struct cpu *cpu, const struct sysreg *r, uint64_t value);

/* sysreg_el1.c: identification, control, translation, debug */
sysreg_access_fn access_nobody, access_ctr, access_sp_el0, access_dcc;
sysreg_read_fn read_zero, read_mpidr, read_pfr0, read_dfr0, read_ccsidr, read_dczid, read_isr;
sysreg_read_fn read_oslsr, read_claimset;
sysreg_write_fn write_ignored, write_context, write_sctlr, write_oslar, write_claimset;
sysreg_write_fn write_claimclr, write_csselr;
sysreg_set_fn set_mpidr, set_pfr0, set_oslsr, set_sctlr;

/* sysreg_el0.c: PSTATE, FPCR and FPSR, timers */
sysreg_access_fn access_daif, access_fp, access_counter, access_timer;
sysreg_read_fn read_current_el, read_spsel, read_pan, read_uao, read_ssbs, read_nzcv, read_daif;
sysreg_write_fn write_spsel, write_pan, write_uao, write_ssbs, write_nzcv, write_daif;
sysreg_read_fn read_fpcr, read_fpsr;
sysreg_write_fn write_fpcr, write_fpsr;
sysreg_read_fn read_cntfrq, read_cntpct, read_cntvct, read_tval, read_ctl, read_cval;
sysreg_write_fn write_tval, write_ctl, write_cval, write_cntkctl;

/* sysreg_pmu.c: performance monitors */
sysreg_access_fn access_pmu;
sysreg_read_fn read_pmu;
sysreg_write_fn write_pmu;
sysreg_set_fn set_pmu;

#endif
