/* SPDX-License-Identifier: MIT */
/*
 * Matching of breakpoints and watchpoints (Arm ARM D2.8, D2.9, D2.10; shared pseudocode
 * aarch64/debug).
 *
 * What must hold: no EL2 and no Secure state, so HMC selects nothing and SSC only what Non-secure
 * state is part of.
 */
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/debug.h"

/* DBGBCR<n>_EL1 and DBGWCR<n>_EL1 */
#define CR_E         BIT64(0)
#define CR_P(cr)     FIELD64(cr, 2, 1) /* PMC, PAC: bit 0 EL1, bit 1 EL0 */
#define CR_HMC       BIT64(13)
#define CR_SSC(cr)   FIELD64(cr, 15, 14)
#define CR_LBN(cr)   FIELD64(cr, 19, 16)
#define BCR_BT(cr)   FIELD64(cr, 23, 20)
#define WCR_LSC(cr)  FIELD64(cr, 4, 3) /* bit 0 loads, bit 1 stores */
#define WCR_BAS(cr)  FIELD64(cr, 12, 5)
#define WCR_WT       BIT64(20)
#define WCR_MASK(cr) FIELD64(cr, 28, 24)

/* DBGBCR<n>_EL1.BT */
enum { BT_ADDRESS = 0, BT_ADDRESS_LINKED = 1, BT_CONTEXT = 2, BT_CONTEXT_LINKED = 3 };

#define VA_TOP 48 /* DBGBVR and DBGWVR hold VA[48:2] */

bool debug_exceptions_enabled(const struct cpu *cpu)
{
	if (cpu->sys.oslar & 1)
		return false;
	return cpu->ps.el == 0 || ((cpu->sys.mdscr & MDSCR_KDE) && !(cpu->ps.daif & PSTATE_D));
}

/* Is the breakpoint or watchpoint on, and for @el? */
static bool selects(uint64_t cr, unsigned int el)
{
	static const bool non_secure[4] = {true, true, false, false};

	if (!(cr & CR_E) || !(non_secure[CR_SSC(cr)] || (CR_SSC(cr) == 3 && (cr & CR_HMC))))
		return false;
	return CR_P(cr) & (el ? 1 : 2);
}

static bool monitor(const struct cpu *cpu)
{
	return (cpu->sys.mdscr & MDSCR_MDE) && debug_exceptions_enabled(cpu);
}

bool debug_breaking(const struct cpu *cpu)
{
	if (!monitor(cpu))
		return false;
	for (unsigned int n = 0; n < DEBUG_BREAKPOINTS; n++) {
		if (selects(cpu->sys.dbgbcr[n], cpu->ps.el))
			return true;
	}
	return false;
}

bool debug_watching(const struct cpu *cpu)
{
	if (!monitor(cpu))
		return false;
	for (unsigned int n = 0; n < DEBUG_WATCHPOINTS; n++) {
		uint64_t wcr = cpu->sys.dbgwcr[n];

		/* EL1 makes unprivileged accesses, too. */
		if (selects(wcr, cpu->ps.el) || selects(wcr, 0))
			return true;
	}
	return false;
}

/* Does context breakpoint @n (of the last DEBUG_CONTEXT) hold the present context ID? */
static bool context_matches(const struct cpu *cpu, unsigned int n, unsigned int bt)
{
	if (n < DEBUG_BREAKPOINTS - DEBUG_CONTEXT || n >= DEBUG_BREAKPOINTS)
		return false;
	return BCR_BT(cpu->sys.dbgbcr[n]) == bt &&
	       (uint32_t)cpu->sys.dbgbvr[n] == (uint32_t)cpu->sys.contextidr;
}

/* The breakpoint that @cr is linked to. */
static bool link_matches(const struct cpu *cpu, uint64_t cr)
{
	unsigned int n = CR_LBN(cr);

	return n < DEBUG_BREAKPOINTS && (cpu->sys.dbgbcr[n] & CR_E) &&
	       context_matches(cpu, n, BT_CONTEXT_LINKED);
}

bool debug_breakpoint(const struct cpu *cpu)
{
	for (unsigned int n = 0; n < DEBUG_BREAKPOINTS; n++) {
		uint64_t bcr = cpu->sys.dbgbcr[n];
		bool at = FIELD64(cpu->pc, VA_TOP, 2) == FIELD64(cpu->sys.dbgbvr[n], VA_TOP, 2);

		if (!selects(bcr, cpu->ps.el))
			continue;
		switch (BCR_BT(bcr)) {
		case BT_ADDRESS:
			if (at)
				return true;
			break;
		case BT_ADDRESS_LINKED:
			if (at && link_matches(cpu, bcr))
				return true;
			break;
		case BT_CONTEXT:
			if (context_matches(cpu, n, BT_CONTEXT))
				return true;
			break;
		}
	}
	return false;
}

/*
 * WatchpointByteMatch(): a range of 2^MASK bytes, or the bytes of a doubleword (word) that BAS
 * selects.
 */
static bool byte_matches(uint64_t wvr, uint64_t wcr, uint64_t va)
{
	unsigned int bottom = wvr & BIT64(2) ? 2 : 3;
	unsigned int mask = WCR_MASK(wcr);

	if (!(WCR_BAS(wcr) & BIT64(va & (BIT64(bottom) - 1))))
		return false;
	if (mask > bottom)
		bottom = mask;
	return FIELD64(va, VA_TOP, bottom) == FIELD64(wvr, VA_TOP, bottom);
}

bool debug_watchpoint(const struct cpu *cpu, uint64_t va, uint64_t len, unsigned int el, bool write,
		      uint64_t *first)
{
	uint64_t lowest = len;

	for (unsigned int n = 0; n < DEBUG_WATCHPOINTS; n++) {
		uint64_t wcr = cpu->sys.dbgwcr[n], i = 0;

		if (!selects(wcr, el) || !(WCR_LSC(wcr) & (write ? 2 : 1)) ||
		    ((wcr & WCR_WT) && !link_matches(cpu, wcr)))
			continue;
		while (i < lowest && !byte_matches(cpu->sys.dbgwvr[n], wcr, va + i))
			i++;
		lowest = i;
	}
	*first = lowest;
	return lowest < len;
}
