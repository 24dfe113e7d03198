/* SPDX-License-Identifier: MIT */
/*
 * Names of register fields and syndrome codes that several files of cpu/, kvm/ and the front end
 * use, from the descriptions of the System registers in the Arm ARM (DDI 0487).
 */
#ifndef CPU_ARCH_H
#define CPU_ARCH_H

#define BIT64(n)           (1ull << (n))
#define BITS64(hi, lo)     ((~0ull >> (63 - (hi))) & (~0ull << (lo)))
#define FIELD64(v, hi, lo) (((uint64_t)(v) >> (lo)) & (~0ull >> (63 - ((hi) - (lo)))))

/* SCTLR_EL1 */
#define SCTLR_M     BIT64(0)
#define SCTLR_A     BIT64(1)
#define SCTLR_C     BIT64(2)
#define SCTLR_SA    BIT64(3)
#define SCTLR_SA0   BIT64(4)
#define SCTLR_UMA   BIT64(9)
#define SCTLR_I     BIT64(12)
#define SCTLR_DZE   BIT64(14)
#define SCTLR_UCT   BIT64(15)
#define SCTLR_NTWI  BIT64(16)
#define SCTLR_NTWE  BIT64(18)
#define SCTLR_WXN   BIT64(19)
#define SCTLR_SPAN  BIT64(23)
#define SCTLR_E0E   BIT64(24)
#define SCTLR_EE    BIT64(25)
#define SCTLR_UCI   BIT64(26)
#define SCTLR_DSSBS BIT64(44)
/*
 * RES1 without AArch32 at EL0, IESB, ExS and LSMAOC: ITD (7), SED (8), EOS (11), TSCXT (20),
 * EIS (22), nTLSMD (28), LSMAOE (29).
 */
#define SCTLR_RES1 (BIT64(7) | BIT64(8) | BIT64(11) | BIT64(20) | BIT64(22) | BIT64(28) | BIT64(29))
#define SCTLR_RW                                                                                \
	(SCTLR_M | SCTLR_A | SCTLR_C | SCTLR_SA | SCTLR_SA0 | SCTLR_UMA | SCTLR_I | SCTLR_DZE | \
	 SCTLR_UCT | SCTLR_NTWI | SCTLR_NTWE | SCTLR_WXN | SCTLR_SPAN | SCTLR_E0E | SCTLR_EE |  \
	 SCTLR_UCI | SCTLR_DSSBS)
/* What the translation of addresses depends on. */
#define SCTLR_WALK (SCTLR_M | SCTLR_C | SCTLR_I | SCTLR_WXN | SCTLR_EE)

/* TCR_EL1 */
#define TCR_EPD0  BIT64(7)
#define TCR_A1    BIT64(22)
#define TCR_EPD1  BIT64(23)
#define TCR_AS    BIT64(36)
#define TCR_TBI0  BIT64(37)
#define TCR_TBI1  BIT64(38)
#define TCR_HA    BIT64(39)
#define TCR_HD    BIT64(40)
#define TCR_HPD0  BIT64(41)
#define TCR_HPD1  BIT64(42)
#define TCR_E0PD0 BIT64(55)
#define TCR_E0PD1 BIT64(56)
/*
 * The fields that exist: T0SZ (5:0); EPD0 to TG0, T1SZ, A1, EPD1 to TG1 and IPS (34:7); AS, TBI,
 * HA, HD and HPD (42:36); E0PD. HWU (50:43) is not there: it belongs to FEAT_HPDS2.
 */
#define TCR_RW (BITS64(5, 0) | BITS64(34, 7) | BITS64(42, 36) | TCR_E0PD0 | TCR_E0PD1)

#define TTBR_ASID_SHIFT 48
#define TTBR_BADDR      BITS64(47, 1)

/* CPACR_EL1 */
#define CPACR_FPEN BITS64(21, 20)

/* MDSCR_EL1, OSLSR_EL1 */
#define MDSCR_SS    BIT64(0)
#define MDSCR_TDCC  BIT64(12)
#define MDSCR_KDE   BIT64(13)
#define MDSCR_MDE   BIT64(15)
#define OSLSR_OSLM1 BIT64(3)
#define OSLSR_OSLK  BIT64(1)

/* SPSR_EL1 and PSTATE in its format */
#define SPSR_SP         BIT64(0)
#define SPSR_EL_SHIFT   2
#define SPSR_M          BITS64(4, 0) /* 0: EL0t, 4: EL1t, 5: EL1h */
#define SPSR_DAIF_SHIFT 6
#define SPSR_SSBS       BIT64(12)
#define SPSR_IL         BIT64(20)
#define SPSR_SS         BIT64(21)
#define SPSR_PAN        BIT64(22)
#define SPSR_UAO        BIT64(23)
#define SPSR_NZCV       BITS64(31, 28)
#define PSTATE_D        8u /* in ps.daif */
#define PSTATE_A        4u
#define PSTATE_I        2u
#define PSTATE_F        1u

/* The fields that exist: AHP, DN, FZ, RMode and FZ16; QC and the cumulative flags. */
#define FPCR_RW (BITS64(26, 22) | BIT64(19))
#define FPSR_RW (BIT64(27) | BIT64(7) | BITS64(4, 0))

/* The condition in the ISS of a trapped A64 instruction: CV = 1, COND = 0b1110 (ESR_EL1). */
#define ISS_COND_ALWAYS 0x1e00000u

/* ISS of a Software Step exception (ESR_EL1) */
#define STEP_ISV (1u << 24)
#define STEP_EX  (1u << 6)

/* ISS of aborts (ESR_EL1) */
#define ISS_WNR          (1u << 6)
#define ISS_CM           (1u << 8)
#define FSC_ADDRESS_SIZE 0x00u /* | level */
#define FSC_TRANSLATION  0x04u
#define FSC_ACCESS_FLAG  0x08u
#define FSC_PERMISSION   0x0cu
#define FSC_EXTERNAL     0x10u
#define FSC_ALIGNMENT    0x21u
#define FSC_DEBUG        0x22u

/* PAR_EL1 */
#define PAR_F          BIT64(0)
#define PAR_FST_SHIFT  1
#define PAR_SH_SHIFT   7
#define PAR_NS         BIT64(9)
#define PAR_RES1       BIT64(11)
#define PAR_ATTR_SHIFT 56

#define BLOCK_ZVA 64u /* bytes that DC ZVA zeroes; every cache line */
#define PA_BITS   48u /* ID_AA64MMFR0_EL1.PARange */

#endif
