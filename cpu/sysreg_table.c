/* SPDX-License-Identifier: MIT */
/*
 * The table of system registers: an ARMv8.2-A CPU without EL2, EL3 and AArch32 (Arm ARM D13).
 *
 * What must hold: rows are sorted by encoding, each encoding is there once (a test checks both); an
 * ID register claims what is implemented and nothing else. SR_ONE_REG is set where Linux 6.1's KVM
 * lists the register on such a host.
 */
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/sysreg_rows.h"

#define SLOT(f) ((uint16_t)offsetof(struct cpu, f))
#define USER    SR_ONE_REG
#define ID      (SR_RO | SR_ONE_REG | SR_INVARIANT)
#define EL0_RW  (SR_EL0_R | SR_EL0_W)

/*
 * Identification. MIDR: implementer 0 (reserved for software use), architecture 0xf (by ID
 * registers), part 0xa64.
 */
#define MIDR    0x000fa640ull
#define CTR     0x9444c004ull /* lines of 64 bytes, CWG and ERG 64 bytes, PIPT, IDC = 1, DIC = 0 */
#define CLIDR   0x02000023ull /* L1 split, L2 unified, LoC = 2, LoUIS = LoUU = 0 (IDC) */
#define DCZID   4ull          /* 2^4 words: BLOCK_ZVA */
#define DBGAUTH 0x0aull       /* NSID, NSNID: implemented, disabled */

/* Fields of ID registers */
#define F(value, lo) ((uint64_t)(value) << (lo))
#define PFR0                                                                             \
	(F(1, 0) /* EL0: AArch64 only */ | F(1, 4) /* EL1 */ | F(1, 16) /* FP, FP16 */ | \
	 F(1, 20) /* AdvSIMD, FP16 */) /* CSV2 and CSV3: read_pfr0() */
#define PFR1 F(2, 4)                   /* SSBS, with MRS and MSR */
#define DFR0                                                                                       \
	(F(6, 0) /* Armv8 debug */ | F(DEBUG_BREAKPOINTS - 1, 12) | F(DEBUG_WATCHPOINTS - 1, 20) | \
	 F(DEBUG_CONTEXT - 1, 28)) /* PMUVer: read_dfr0() */
#define ISAR0                                                                                      \
	(F(2, 4) /* AES, PMULL */ | F(1, 8) /* SHA1 */ | F(1, 12) /* SHA256 */ |                   \
	 F(1, 16) /* CRC32 */ | F(2, 20) /* LSE */ | F(1, 28) /* RDM */ | F(1, 44) /* DotProd */ | \
	 F(2, 56) /* TLB: OS and range */)
#define ISAR1 \
	(F(1, 0) /* DPB */ | F(1, 12) /* JSCVT */ | F(1, 16) /* FCMA */ | F(1, 20) /* LRCPC */)
#define MMFR0                                                                       \
	(F(5, 0) /* 48 bits */ | F(2, 4) /* 16-bit ASID */ | F(1, 8) /* BigEnd */ | \
	 F(1, 20) /* TGran16; TGran64 and TGran4: 0 is supported */)
/* ECBHB: no branch history outlives a context. */
#define MMFR1                                                                        \
	(F(2, 0) /* HAFDBS */ | F(1, 12) /* HPDS */ | F(2, 20) /* PAN, ATS1E1RP */ | \
	 F(1, 60) /* ECBHB */)
#define MMFR2 (F(1, 0) /* CnP */ | F(1, 4) /* UAO */ | F(1, 48) /* TTL */ | F(1, 60) /* E0PD */)

#define SCTLR_RESET (SCTLR_RES1 | SCTLR_SA | SCTLR_SA0 | SCTLR_NTWI | SCTLR_NTWE | SCTLR_SPAN)
#define CNTKCTL_RW  (BITS64(9, 0))
#define MDSCR_RW                                                                        \
	(MDSCR_SS | BIT64(6) /* ERR */ | MDSCR_TDCC | MDSCR_KDE | BIT64(14) /* HDE */ | \
	 MDSCR_MDE | BITS64(23, 22) | BITS64(27, 26) | BITS64(30, 29))

/* clang-format off */
/* Plain storage. */
#define PLAIN(enc, field, name, more)                                                              \
	{ enc, SLOT(sys.field), SR_PLAIN | SR_PLAIN_W | (more), name, 0, NULL, NULL, NULL, NULL, 0 }
/* Storage whose writes change the context. */
#define CONTEXT(enc, field, name, reset, mask)                                                     \
	{ enc, SLOT(sys.field), SR_PLAIN | SR_CONTEXT | USER, name, reset, NULL, NULL,             \
	  write_context, NULL, mask }
#define CONST(enc, name, value, flags)                                                             \
	{ enc, 0, (flags), name, value, NULL, NULL, NULL, NULL, 0 }
#define FUNC(enc, name, flags, rd, wr)                                                             \
	{ enc, 0, (flags), name, 0, NULL, rd, wr, NULL, 0 }
/* What the guest may do depends on more than the flags. */
#define GUARDED(enc, name, flags, access, rd, wr)                                                  \
	{ enc, 0, (flags), name, 0, access, rd, wr, NULL, 0 }
/* What only the VMM sees. */
#define VMM_ONLY(enc, field, name, reset)                                                          \
	{ enc, SLOT(sys.field), USER, name, reset, access_nobody, NULL, NULL, NULL, 0 }
#define IDREG(crm, op2, name, value) CONST(SYSREG(3, 0, 0, crm, op2), name, value, ID)
/* Of AArch32, which is not there: zero, and as on Linux the VMM may write what it likes. */
#define AA32_ID(crm, op2, name) CONST(SYSREG(3, 0, 0, crm, op2), name, 0, ID | SR_USER_WI)
#define RESERVED(crm, op2) IDREG(crm, op2, "ID_RES_" #crm "_" #op2, 0)
/* Reserved beside MIDR_EL1: reads as zero, not in ONE_REG. */
#define RESERVED0(op2) CONST(SYSREG(3, 0, 0, 0, op2), "ID_RES_0_" #op2, 0, SR_RO)

#define DEBUG(n)                                                                                   \
	CONTEXT(SYSREG(2, 0, 0, n, 4), dbgbvr[n], "DBGBVR" #n "_EL1", 0, 0),                       \
	CONTEXT(SYSREG(2, 0, 0, n, 5), dbgbcr[n], "DBGBCR" #n "_EL1", 0, 0),                       \
	CONTEXT(SYSREG(2, 0, 0, n, 6), dbgwvr[n], "DBGWVR" #n "_EL1", 0, 0),                       \
	CONTEXT(SYSREG(2, 0, 0, n, 7), dbgwcr[n], "DBGWCR" #n "_EL1", 0, 0)

#define PMU(enc, name, flags)                                                                      \
	{ enc, 0, SR_PMU | (flags), name, 0, access_pmu, read_pmu, write_pmu, set_pmu, 0 }
#define PMEVCNTR(n) PMU(SYSREG(3, 3, 14, 8 + (n) / 8, (n) % 8), "PMEVCNTR" #n "_EL0", EL0_RW | USER)
#define PMEVTYPER(n)                                                                               \
	PMU(SYSREG(3, 3, 14, 12 + (n) / 8, (n) % 8), "PMEVTYPER" #n "_EL0", EL0_RW | USER)
#define COUNTER(op2, name, rd)                                                                     \
	GUARDED(SYSREG(3, 3, 14, 0, op2), name, SR_RO | SR_EL0_R, access_counter, rd, NULL)
#define TIMER(crm, op2, name, what)                                                                \
	GUARDED(SYSREG(3, 3, 14, crm, op2), name, EL0_RW, access_timer, read_##what, write_##what)
#define EIGHT(M, a, b, c, d, e, f, g, h) M(a), M(b), M(c), M(d), M(e), M(f), M(g), M(h)

static const struct sysreg rows[] = {
	/* --- op0 = 2: debug --- */
	PLAIN(SYSREG(2, 0, 0, 0, 2), osdtrrx, "OSDTRRX_EL1", 0),
	DEBUG(0),
	DEBUG(1),
	PLAIN(SYSREG(2, 0, 0, 2, 0), mdccint, "MDCCINT_EL1", USER),
	CONTEXT(SYSREG(2, 0, 0, 2, 2), mdscr, "MDSCR_EL1", 0, MDSCR_RW),
	DEBUG(2),
	PLAIN(SYSREG(2, 0, 0, 3, 2), osdtrtx, "OSDTRTX_EL1", 0),
	DEBUG(3),
	DEBUG(4),
	DEBUG(5),
	PLAIN(SYSREG(2, 0, 0, 6, 2), oseccr, "OSECCR_EL1", 0),
	DEBUG(6),
	DEBUG(7),
	DEBUG(8),
	DEBUG(9),
	DEBUG(10),
	DEBUG(11),
	DEBUG(12),
	DEBUG(13),
	DEBUG(14),
	DEBUG(15),
	CONST(SYSREG(2, 0, 1, 0, 0), "MDRAR_EL1", 0, SR_RO),
	FUNC(SYSREG(2, 0, 1, 0, 4), "OSLAR_EL1", SR_WO | SR_CONTEXT, NULL, write_oslar),
	{ SYSREG(2, 0, 1, 1, 4), SLOT(sys.oslar), SR_RO | USER, "OSLSR_EL1", 0, NULL, read_oslsr,
	  NULL, set_oslsr, 0 },
	PLAIN(SYSREG(2, 0, 1, 3, 4), osdlr, "OSDLR_EL1", 0),
	FUNC(SYSREG(2, 0, 1, 4, 4), "DBGPRCR_EL1", 0, read_zero, write_ignored),
	FUNC(SYSREG(2, 0, 7, 8, 6), "DBGCLAIMSET_EL1", 0, read_claimset, write_claimset),
	{ SYSREG(2, 0, 7, 9, 6), SLOT(sys.dbgclaim), 0, "DBGCLAIMCLR_EL1", 0, NULL, NULL,
	  write_claimclr, NULL, 0 },
	CONST(SYSREG(2, 0, 7, 14, 6), "DBGAUTHSTATUS_EL1", DBGAUTH, SR_RO),
	GUARDED(SYSREG(2, 3, 0, 1, 0), "MDCCSR_EL0", SR_RO | SR_EL0_R, access_dcc, read_zero, NULL),
	GUARDED(SYSREG(2, 3, 0, 4, 0), "DBGDTR_EL0", EL0_RW, access_dcc, read_zero, write_ignored),
	GUARDED(SYSREG(2, 3, 0, 5, 0), "DBGDTRRX_EL0", EL0_RW,
		access_dcc, read_zero, write_ignored),
	VMM_ONLY(SYSREG(2, 4, 0, 7, 0), dbgvcr32, "DBGVCR32_EL2", 0),

	/* --- op0 = 3, op1 = 0 --- */
	CONST(SYSREG(3, 0, 0, 0, 0), "MIDR_EL1", MIDR, ID),
	RESERVED0(1),
	RESERVED0(2),
	RESERVED0(3),
	RESERVED0(4),
	{ SYSREG(3, 0, 0, 0, 5), 0, SR_RO | USER, "MPIDR_EL1", 0, NULL, read_mpidr, NULL, set_mpidr,
	  0 },
	CONST(SYSREG(3, 0, 0, 0, 6), "REVIDR_EL1", 0, ID),
	RESERVED0(7),
	/* No AArch32: its ID registers read as zero. The writable ones are those of Linux 6.1. */
	AA32_ID(1, 0, "ID_PFR0_EL1"),
	AA32_ID(1, 1, "ID_PFR1_EL1"),
	AA32_ID(1, 2, "ID_DFR0_EL1"),
	IDREG(1, 3, "ID_AFR0_EL1", 0),
	AA32_ID(1, 4, "ID_MMFR0_EL1"),
	AA32_ID(1, 5, "ID_MMFR1_EL1"),
	AA32_ID(1, 6, "ID_MMFR2_EL1"),
	AA32_ID(1, 7, "ID_MMFR3_EL1"),
	AA32_ID(2, 0, "ID_ISAR0_EL1"),
	AA32_ID(2, 1, "ID_ISAR1_EL1"),
	AA32_ID(2, 2, "ID_ISAR2_EL1"),
	AA32_ID(2, 3, "ID_ISAR3_EL1"),
	AA32_ID(2, 4, "ID_ISAR4_EL1"),
	AA32_ID(2, 5, "ID_ISAR5_EL1"),
	AA32_ID(2, 6, "ID_MMFR4_EL1"),
	AA32_ID(2, 7, "ID_ISAR6_EL1"),
	AA32_ID(3, 0, "MVFR0_EL1"),
	AA32_ID(3, 1, "MVFR1_EL1"),
	AA32_ID(3, 2, "MVFR2_EL1"),
	RESERVED(3, 3),
	AA32_ID(3, 4, "ID_PFR2_EL1"),
	IDREG(3, 5, "ID_DFR1_EL1", 0),
	AA32_ID(3, 6, "ID_MMFR5_EL1"),
	RESERVED(3, 7),
	{ SYSREG(3, 0, 0, 4, 0), 0, SR_RO | USER, "ID_AA64PFR0_EL1", PFR0, NULL, read_pfr0, NULL,
	  set_pfr0, 0 },
	IDREG(4, 1, "ID_AA64PFR1_EL1", PFR1),
	RESERVED(4, 2),
	RESERVED(4, 3),
	IDREG(4, 4, "ID_AA64ZFR0_EL1", 0),
	IDREG(4, 5, "ID_AA64SMFR0_EL1", 0),
	RESERVED(4, 6),
	RESERVED(4, 7),
	{ SYSREG(3, 0, 0, 5, 0), 0, ID, "ID_AA64DFR0_EL1", DFR0, NULL, read_dfr0, NULL, NULL, 0 },
	IDREG(5, 1, "ID_AA64DFR1_EL1", 0),
	RESERVED(5, 2),
	RESERVED(5, 3),
	IDREG(5, 4, "ID_AA64AFR0_EL1", 0),
	IDREG(5, 5, "ID_AA64AFR1_EL1", 0),
	RESERVED(5, 6),
	RESERVED(5, 7),
	IDREG(6, 0, "ID_AA64ISAR0_EL1", ISAR0),
	IDREG(6, 1, "ID_AA64ISAR1_EL1", ISAR1),
	IDREG(6, 2, "ID_AA64ISAR2_EL1", 0),
	RESERVED(6, 3),
	RESERVED(6, 4),
	RESERVED(6, 5),
	RESERVED(6, 6),
	RESERVED(6, 7),
	IDREG(7, 0, "ID_AA64MMFR0_EL1", MMFR0),
	IDREG(7, 1, "ID_AA64MMFR1_EL1", MMFR1),
	IDREG(7, 2, "ID_AA64MMFR2_EL1", MMFR2),
	RESERVED(7, 3),
	RESERVED(7, 4),
	RESERVED(7, 5),
	RESERVED(7, 6),
	RESERVED(7, 7),

	{ SYSREG(3, 0, 1, 0, 0), SLOT(sys.sctlr), SR_PLAIN | SR_CONTEXT | USER, "SCTLR_EL1",
	  SCTLR_RESET, NULL, NULL, write_sctlr, set_sctlr, 0 },
	{ SYSREG(3, 0, 1, 0, 1), SLOT(sys.actlr), SR_PLAIN | USER, "ACTLR_EL1", 0, NULL, NULL,
	  write_ignored, NULL, 0 },
	CONTEXT(SYSREG(3, 0, 1, 0, 2), cpacr, "CPACR_EL1", 0, CPACR_FPEN),
	CONTEXT(SYSREG(3, 0, 2, 0, 0), ttbr0, "TTBR0_EL1", 0, 0),
	CONTEXT(SYSREG(3, 0, 2, 0, 1), ttbr1, "TTBR1_EL1", 0, 0),
	CONTEXT(SYSREG(3, 0, 2, 0, 2), tcr, "TCR_EL1", 0, TCR_RW),
	PLAIN(SYSREG(3, 0, 4, 0, 0), spsr, "SPSR_EL1", 0),
	PLAIN(SYSREG(3, 0, 4, 0, 1), elr, "ELR_EL1", 0),
	{ SYSREG(3, 0, 4, 1, 0), SLOT(sp_el[0]), SR_PLAIN | SR_PLAIN_W, "SP_EL0", 0, access_sp_el0,
	  NULL, NULL, NULL, 0 },
	FUNC(SYSREG(3, 0, 4, 2, 0), "SPSel", SR_CONTEXT, read_spsel, write_spsel),
	FUNC(SYSREG(3, 0, 4, 2, 2), "CurrentEL", SR_RO, read_current_el, NULL),
	FUNC(SYSREG(3, 0, 4, 2, 3), "PAN", SR_CONTEXT, read_pan, write_pan),
	FUNC(SYSREG(3, 0, 4, 2, 4), "UAO", SR_CONTEXT, read_uao, write_uao),
	PLAIN(SYSREG(3, 0, 5, 1, 0), afsr0, "AFSR0_EL1", USER),
	PLAIN(SYSREG(3, 0, 5, 1, 1), afsr1, "AFSR1_EL1", USER),
	PLAIN(SYSREG(3, 0, 5, 2, 0), esr, "ESR_EL1", USER),
	PLAIN(SYSREG(3, 0, 6, 0, 0), far, "FAR_EL1", USER),
	PLAIN(SYSREG(3, 0, 7, 4, 0), par, "PAR_EL1", USER),
	PMU(SYSREG(3, 0, 9, 14, 1), "PMINTENSET_EL1", USER),
	PMU(SYSREG(3, 0, 9, 14, 2), "PMINTENCLR_EL1", USER),
	CONTEXT(SYSREG(3, 0, 10, 2, 0), mair, "MAIR_EL1", 0, 0),
	PLAIN(SYSREG(3, 0, 10, 3, 0), amair, "AMAIR_EL1", USER),
	{ SYSREG(3, 0, 12, 0, 0), SLOT(sys.vbar), SR_PLAIN | USER, "VBAR_EL1", 0, NULL, NULL, NULL,
	  NULL, BITS64(63, 11) },
	CONST(SYSREG(3, 0, 12, 0, 1), "RVBAR_EL1", 0, SR_RO),
	FUNC(SYSREG(3, 0, 12, 1, 0), "ISR_EL1", SR_RO, read_isr, NULL),
	VMM_ONLY(SYSREG(3, 0, 12, 1, 1), disr, "DISR_EL1", 0),
	PLAIN(SYSREG(3, 0, 13, 0, 1), contextidr, "CONTEXTIDR_EL1", USER),
	PLAIN(SYSREG(3, 0, 13, 0, 4), tpidr_el1, "TPIDR_EL1", USER),
	{ SYSREG(3, 0, 14, 1, 0), SLOT(sys.cntkctl), SR_PLAIN | USER, "CNTKCTL_EL1", 0, NULL, NULL,
	  write_cntkctl, NULL, CNTKCTL_RW },

	/* --- op1 = 1, 2: caches --- */
	FUNC(SYSREG(3, 1, 0, 0, 0), "CCSIDR_EL1", SR_RO, read_ccsidr, NULL),
	CONST(SYSREG(3, 1, 0, 0, 1), "CLIDR_EL1", CLIDR, ID),
	CONST(SYSREG(3, 1, 0, 0, 7), "AIDR_EL1", 0, ID),
	{ SYSREG(3, 2, 0, 0, 0), SLOT(sys.csselr), SR_PLAIN | USER, "CSSELR_EL1", 0, NULL, NULL,
	  write_csselr, NULL, 0 },

	/* --- op1 = 3: EL0 --- */
	{ SYSREG(3, 3, 0, 0, 1), 0, ID | SR_EL0_R, "CTR_EL0", CTR, access_ctr, NULL, NULL, NULL,
	  0 },
	{ SYSREG(3, 3, 0, 0, 7), 0, SR_RO | SR_EL0_R, "DCZID_EL0", DCZID, NULL, read_dczid, NULL,
	  NULL, 0 },
	FUNC(SYSREG(3, 3, 4, 2, 0), "NZCV", EL0_RW, read_nzcv, write_nzcv),
	GUARDED(SYSREG(3, 3, 4, 2, 1), "DAIF", EL0_RW | SR_CONTEXT, access_daif, read_daif,
		write_daif),
	FUNC(SYSREG(3, 3, 4, 2, 6), "SSBS", EL0_RW, read_ssbs, write_ssbs),
	GUARDED(SYSREG(3, 3, 4, 4, 0), "FPCR", EL0_RW | SR_CONTEXT, access_fp, read_fpcr,
		write_fpcr),
	GUARDED(SYSREG(3, 3, 4, 4, 1), "FPSR", EL0_RW, access_fp, read_fpsr, write_fpsr),
	PMU(SYSREG(3, 3, 9, 12, 0), "PMCR_EL0", EL0_RW | SR_CONTEXT | USER),
	PMU(SYSREG(3, 3, 9, 12, 1), "PMCNTENSET_EL0", EL0_RW | SR_CONTEXT | USER),
	PMU(SYSREG(3, 3, 9, 12, 2), "PMCNTENCLR_EL0", EL0_RW | SR_CONTEXT | USER),
	PMU(SYSREG(3, 3, 9, 12, 3), "PMOVSCLR_EL0", EL0_RW | SR_CONTEXT | USER),
	PMU(SYSREG(3, 3, 9, 12, 4), "PMSWINC_EL0", SR_EL0_W | SR_WO | SR_CONTEXT | USER),
	PMU(SYSREG(3, 3, 9, 12, 5), "PMSELR_EL0", EL0_RW | USER),
	PMU(SYSREG(3, 3, 9, 12, 6), "PMCEID0_EL0", SR_EL0_R | SR_RO),
	PMU(SYSREG(3, 3, 9, 12, 7), "PMCEID1_EL0", SR_EL0_R | SR_RO),
	PMU(SYSREG(3, 3, 9, 13, 0), "PMCCNTR_EL0", EL0_RW | SR_CONTEXT | USER),
	PMU(SYSREG(3, 3, 9, 13, 1), "PMXEVTYPER_EL0", EL0_RW | SR_CONTEXT),
	PMU(SYSREG(3, 3, 9, 13, 2), "PMXEVCNTR_EL0", EL0_RW | SR_CONTEXT),
	PMU(SYSREG(3, 3, 9, 14, 0), "PMUSERENR_EL0", SR_EL0_R | USER),
	PMU(SYSREG(3, 3, 9, 14, 3), "PMOVSSET_EL0", EL0_RW | SR_CONTEXT | USER),
	PLAIN(SYSREG(3, 3, 13, 0, 2), tpidr_el0, "TPIDR_EL0", EL0_RW | USER),
	PLAIN(SYSREG(3, 3, 13, 0, 3), tpidrro_el0, "TPIDRRO_EL0", SR_EL0_R | USER),
	COUNTER(0, "CNTFRQ_EL0", read_cntfrq),
	COUNTER(1, "CNTPCT_EL0", read_cntpct),
	COUNTER(2, "CNTVCT_EL0", read_cntvct),
	TIMER(2, 0, "CNTP_TVAL_EL0", tval),
	TIMER(2, 1, "CNTP_CTL_EL0", ctl),
	TIMER(2, 2, "CNTP_CVAL_EL0", cval),
	TIMER(3, 0, "CNTV_TVAL_EL0", tval),
	TIMER(3, 1, "CNTV_CTL_EL0", ctl),
	TIMER(3, 2, "CNTV_CVAL_EL0", cval),
	EIGHT(PMEVCNTR, 0, 1, 2, 3, 4, 5, 6, 7),
	EIGHT(PMEVCNTR, 8, 9, 10, 11, 12, 13, 14, 15),
	EIGHT(PMEVCNTR, 16, 17, 18, 19, 20, 21, 22, 23),
	PMEVCNTR(24),
	PMEVCNTR(25),
	PMEVCNTR(26),
	PMEVCNTR(27),
	PMEVCNTR(28),
	PMEVCNTR(29),
	PMEVCNTR(30),
	EIGHT(PMEVTYPER, 0, 1, 2, 3, 4, 5, 6, 7),
	EIGHT(PMEVTYPER, 8, 9, 10, 11, 12, 13, 14, 15),
	EIGHT(PMEVTYPER, 16, 17, 18, 19, 20, 21, 22, 23),
	PMEVTYPER(24),
	PMEVTYPER(25),
	PMEVTYPER(26),
	PMEVTYPER(27),
	PMEVTYPER(28),
	PMEVTYPER(29),
	PMEVTYPER(30),
	PMU(SYSREG(3, 3, 14, 15, 7), "PMCCFILTR_EL0", EL0_RW | SR_CONTEXT | USER),

	/* --- op1 = 4: AArch32 state in AArch64's clothes --- */
	VMM_ONLY(SYSREG(3, 4, 3, 0, 0), dacr32, "DACR32_EL2", 0),
	VMM_ONLY(SYSREG(3, 4, 5, 0, 1), ifsr32, "IFSR32_EL2", 0),
	VMM_ONLY(SYSREG(3, 4, 5, 3, 0), fpexc32, "FPEXC32_EL2", 0x700),
};

/* clang-format on */

const struct sysreg *sysreg_table(size_t *nr)
{
	*nr = sizeof(rows) / sizeof(rows[0]);
	return rows;
}
