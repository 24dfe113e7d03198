/* SPDX-License-Identifier: MIT */
/*
 * Every transition of an interrupt's state machine (ARM IHI 0048B, section 3.2.4).
 *
 * A state is written in three letters: the input (H or L), the latch of an edge or of GICD_ISPENDR
 * (+ or -), active (A or .). Level-sensitive: pending is H or +; edge-triggered: pending is +. The
 * tables give, for each of the eight states, the state after each of the nine things that can
 * happen.
 */
#include <stdio.h>
#include <string.h>
#include "tests/gic/gic_test.h"

enum action { ASSERT, DEASSERT, ISPENDR, ICPENDR, ISACTIVER, ICACTIVER, ACK, EOI, DIR, NR_ACTIONS };

struct row {
	const char *from;
	const char *to[NR_ACTIONS];
};

static const struct row level_rows[] = {
	/*        assert deass. ISPEND ICPEND ISACT  ICACT  IAR    EOIR   DIR */
	{"L-.", {"H-.", "L-.", "L+.", "L-.", "L-A", "L-.", "L-.", "L-.", "L-."}},
	{"L+.", {"H+.", "L+.", "L+.", "L-.", "L+A", "L+.", "L-A", "L+.", "L+."}},
	{"H-.", {"H-.", "L-.", "H+.", "H-.", "H-A", "H-.", "H-A", "H-.", "H-."}},
	{"H+.", {"H+.", "L+.", "H+.", "H-.", "H+A", "H+.", "H-A", "H+.", "H+."}},
	{"L-A", {"H-A", "L-A", "L+A", "L-A", "L-A", "L-.", "L-A", "L-.", "L-."}},
	{"L+A", {"H+A", "L+A", "L+A", "L-A", "L+A", "L+.", "L+A", "L+.", "L+."}},
	{"H-A", {"H-A", "L-A", "H+A", "H-A", "H-A", "H-.", "H-A", "H-.", "H-."}},
	{"H+A", {"H+A", "L+A", "H+A", "H-A", "H+A", "H+.", "H+A", "H+.", "H+."}},
};

static const struct row edge_rows[] = {
	/*        assert deass. ISPEND ICPEND ISACT  ICACT  IAR    EOIR   DIR */
	{"L-.", {"H+.", "L-.", "L+.", "L-.", "L-A", "L-.", "L-.", "L-.", "L-."}},
	{"L+.", {"H+.", "L+.", "L+.", "L-.", "L+A", "L+.", "L-A", "L+.", "L+."}},
	{"H-.", {"H-.", "L-.", "H+.", "H-.", "H-A", "H-.", "H-.", "H-.", "H-."}},
	{"H+.", {"H+.", "L+.", "H+.", "H-.", "H+A", "H+.", "H-A", "H+.", "H+."}},
	{"L-A", {"H+A", "L-A", "L+A", "L-A", "L-A", "L-.", "L-A", "L-.", "L-."}},
	{"L+A", {"H+A", "L+A", "L+A", "L-A", "L+A", "L+.", "L+A", "L+.", "L+."}},
	{"H-A", {"H-A", "L-A", "H+A", "H-A", "H-A", "H-.", "H-A", "H-.", "H-."}},
	{"H+A", {"H+A", "L+A", "H+A", "H-A", "H+A", "H+.", "H+A", "H+.", "H+."}},
};

#define CPU 1

static bool pending_in(const char *state, bool edge)
{
	return state[1] == '+' || (!edge && state[0] == 'H');
}

static bool active_in(const char *state)
{
	return state[2] == 'A';
}

/* Active comes about by an acknowledge, or, the second way, by GICD_ISACTIVER. */
static void enter(struct bench *b, unsigned int intid, const char *state, bool by_iar)
{
	if (active_in(state) && by_iar) {
		dist_set_bit(b, CPU, GICD_ISPENDR, intid);
		assert_int_equal(cpu_read(b, CPU, GICC_IAR), intid);
	} else if (active_in(state)) {
		dist_set_bit(b, CPU, GICD_ISACTIVER, intid);
	}
	set_line(b, CPU, intid, state[0] == 'H');
	dist_set_bit(b, CPU, state[1] == '+' ? GICD_ISPENDR : GICD_ICPENDR, intid);
}

static void act(struct bench *b, unsigned int intid, enum action action, uint32_t expected_iar)
{
	switch (action) {
	case ASSERT:
	case DEASSERT:
		set_line(b, CPU, intid, action == ASSERT);
		break;
	case ISPENDR:
		dist_set_bit(b, CPU, GICD_ISPENDR, intid);
		break;
	case ICPENDR:
		dist_set_bit(b, CPU, GICD_ICPENDR, intid);
		break;
	case ISACTIVER:
		dist_set_bit(b, CPU, GICD_ISACTIVER, intid);
		break;
	case ICACTIVER:
		dist_set_bit(b, CPU, GICD_ICACTIVER, intid);
		break;
	case ACK:
		assert_int_equal(cpu_read(b, CPU, GICC_IAR), expected_iar);
		break;
	case EOI:
		cpu_write(b, CPU, GICC_EOIR, intid);
		break;
	default:
		cpu_write(b, CPU, GICC_CTLR, GICC_GRP0 | GICC_EOIMODE);
		cpu_write(b, CPU, GICC_DIR, intid);
	}
}

static void check_visible(struct bench *b, unsigned int intid, const char *state, bool edge)
{
	assert_int_equal(dist_bit(b, CPU, GICD_ISPENDR, intid), pending_in(state, edge));
	assert_int_equal(dist_bit(b, CPU, GICD_ICPENDR, intid), pending_in(state, edge));
	assert_int_equal(dist_bit(b, CPU, GICD_ISACTIVER, intid), active_in(state));
	assert_int_equal(dist_bit(b, CPU, GICD_ICACTIVER, intid), active_in(state));
}

/* Also what cannot be read: the input, which only an edge or its absence shows, and the latch. */
static void check(struct bench *b, unsigned int intid, const char *state, bool edge)
{
	bool signalled = pending_in(state, edge) && !active_in(state);

	check_visible(b, intid, state, edge);
	/* Nothing runs now, so that the pin depends on the state only. */
	cpu_write(b, CPU, GICC_APR0, 0);
	assert_int_equal(b->pin[CPU][ARMATURE_GIC_IRQ], signalled);
	assert_int_equal(cpu_read(b, CPU, GICC_HPPIR), signalled ? intid : SPURIOUS);

	/* As level-sensitive with the input low, pending is the latch. */
	set_edge(b, CPU, intid, false);
	assert_int_equal(dist_bit(b, CPU, GICD_ISPENDR, intid), state[0] == 'H' || state[1] == '+');
	set_line(b, CPU, intid, false);
	assert_int_equal(dist_bit(b, CPU, GICD_ISPENDR, intid), state[1] == '+');
}

static void run_case(unsigned int intid, bool edge, const struct row *row, enum action action,
		     bool by_iar)
{
	const char *to = row->to[action];
	struct bench b;
	bool acks = pending_in(row->from, edge) && !active_in(row->from);

	bench_make(&b, 2, 1020);
	bench_enable(&b);
	cpu_write(&b, CPU, GICC_CTLR, GICC_GRP0);
	if (intid >= 32)
		dist_write8(&b, 0, GICD_ITARGETSR + intid, 1u << CPU);
	set_edge(&b, CPU, intid, edge);
	enter(&b, intid, row->from, by_iar);
	check_visible(&b, intid, row->from, edge);
	act(&b, intid, action, acks ? intid : SPURIOUS);
	check(&b, intid, to, edge);
	bench_free(&b);
}

static void run_table(unsigned int intid, bool edge, const struct row *rows)
{
	unsigned int i, action;

	for (i = 0; i < 8; i++) {
		for (action = 0; action < NR_ACTIONS; action++) {
			run_case(intid, edge, &rows[i], action, true);
			run_case(intid, edge, &rows[i], action, false);
		}
	}
}

static const unsigned int intids[] = {16, 27, 31, 32, 63, 64, 1019};

static void level_table(void **unused)
{
	unsigned int i;

	for (i = 0; i < sizeof(intids) / sizeof(intids[0]); i++)
		run_table(intids[i], false, level_rows);
}

static void edge_table(void **unused)
{
	unsigned int i;

	for (i = 0; i < sizeof(intids) / sizeof(intids[0]); i++)
		run_table(intids[i], true, edge_rows);
}

/*
 * SGIs: a state is the set of sources that are pending, and active. Sources are CPUs 0 and 2 of
 * three; the SGI is CPU 1's.
 */
enum sgi_action {
	SEND_0,
	SEND_2,
	SPEND_0,
	SPEND_2,
	CPEND_0,
	CPEND_2,
	SGI_ISPENDR,
	SGI_ICPENDR,
	SGI_ISACTIVER,
	SGI_ICACTIVER,
	SGI_ACK,
	SGI_EOI,
	SGI_DIR,
	NR_SGI_ACTIONS
};

/* Three characters for each action: the sources as a digit, A if active, a space. */
static const struct sgi_row {
	const char *from;
	const char *to;
} sgi_rows[] = {
	/*     SGIR  SPEND CPEND ISP ICP ISA ICA IAR EOIR DIR */
	{"0.", "1. 4. 1. 4. 0. 0. 0. 0. 0A 0. 0. 0. 0."},
	{"1.", "1. 5. 1. 5. 0. 1. 1. 1. 1A 1. 0A 1. 1."},
	{"4.", "5. 4. 5. 4. 4. 0. 4. 4. 4A 4. 0A 4. 4."},
	{"5.", "5. 5. 5. 5. 4. 1. 5. 5. 5A 5. 4A 5. 5."},
	{"0A", "1A 4A 1A 4A 0A 0A 0A 0A 0A 0. 0A 0. 0."},
	{"1A", "1A 5A 1A 5A 0A 1A 1A 1A 1A 1. 1A 1. 1."},
	{"4A", "5A 4A 5A 4A 4A 0A 4A 4A 4A 4. 4A 4. 4."},
	{"5A", "5A 5A 5A 5A 4A 1A 5A 5A 5A 5. 5A 5. 5."},
};

/* What GICC_IAR or GICC_HPPIR names: the lowest source. */
static uint32_t sgi_named(uint8_t sources, bool active, unsigned int intid)
{
	if (!sources || active)
		return SPURIOUS;
	return intid | (sources & 1 ? 0 : 2) << 10;
}

static void sgi_act(struct bench *b, unsigned int intid, enum sgi_action action, uint32_t iar)
{
	switch (action) {
	case SEND_0:
	case SEND_2:
		dist_write(b, action == SEND_0 ? 0 : 2, GICD_SGIR, 1u << (16 + CPU) | intid);
		break;
	case SPEND_0:
	case SPEND_2:
		dist_write8(b, CPU, GICD_SPENDSGIR + intid, action == SPEND_0 ? 1 : 4);
		break;
	case CPEND_0:
	case CPEND_2:
		dist_write8(b, CPU, GICD_CPENDSGIR + intid, action == CPEND_0 ? 1 : 4);
		break;
	case SGI_ISPENDR:
		dist_set_bit(b, CPU, GICD_ISPENDR, intid);
		break;
	case SGI_ICPENDR:
		dist_set_bit(b, CPU, GICD_ICPENDR, intid);
		break;
	case SGI_ISACTIVER:
		dist_set_bit(b, CPU, GICD_ISACTIVER, intid);
		break;
	case SGI_ICACTIVER:
		dist_set_bit(b, CPU, GICD_ICACTIVER, intid);
		break;
	case SGI_ACK:
		assert_int_equal(cpu_read(b, CPU, GICC_IAR), iar);
		break;
	case SGI_EOI:
		cpu_write(b, CPU, GICC_EOIR, intid | 2 << 10);
		break;
	default:
		cpu_write(b, CPU, GICC_CTLR, GICC_GRP0 | GICC_EOIMODE);
		cpu_write(b, CPU, GICC_DIR, intid | 2 << 10);
	}
}

static void sgi_case(unsigned int intid, const struct sgi_row *row, enum sgi_action action)
{
	uint8_t from = row->from[0] - '0';
	uint8_t sources = row->to[3 * action] - '0';
	bool active = row->to[3 * action + 1] == 'A';
	struct bench b;

	bench_make(&b, 3, 64);
	bench_enable(&b);
	dist_write8(&b, CPU, GICD_SPENDSGIR + intid, from);
	if (row->from[1] == 'A')
		dist_set_bit(&b, CPU, GICD_ISACTIVER, intid);
	sgi_act(&b, intid, action, sgi_named(from, row->from[1] == 'A', intid));

	assert_int_equal(dist_read8(&b, CPU, GICD_SPENDSGIR + intid), sources);
	assert_int_equal(dist_read8(&b, CPU, GICD_CPENDSGIR + intid), sources);
	assert_int_equal(dist_bit(&b, CPU, GICD_ISPENDR, intid), sources != 0);
	assert_int_equal(dist_bit(&b, CPU, GICD_ISACTIVER, intid), active);
	cpu_write(&b, CPU, GICC_APR0, 0);
	assert_int_equal(cpu_read(&b, CPU, GICC_HPPIR), sgi_named(sources, active, intid));
	assert_int_equal(b.pin[CPU][ARMATURE_GIC_IRQ], sources && !active);
	/* No other CPU has seen anything of it. */
	assert_int_equal(dist_read(&b, 0, GICD_ISPENDR), 0);
	assert_int_equal(dist_read(&b, 2, GICD_ISPENDR), 0);
	bench_free(&b);
}

static void sgi_table(void **unused)
{
	static const unsigned int sgis[] = {0, 7, 15};
	unsigned int i, n, action;

	for (n = 0; n < sizeof(sgis) / sizeof(sgis[0]); n++) {
		for (i = 0; i < sizeof(sgi_rows) / sizeof(sgi_rows[0]); i++) {
			for (action = 0; action < NR_SGI_ACTIONS; action++)
				sgi_case(sgis[n], &sgi_rows[i], action);
		}
	}
}

/* Disabling an interrupt stops its delivery, not its state machine (section 3.2.2). */
static void disabled_keeps_state(void **unused)
{
	struct bench b;

	bench_make(&b, 1, 64);
	bench_enable(&b);
	set_edge(&b, 0, 40, true);
	dist_set_bit(&b, 0, GICD_ICENABLER, 40);
	set_line(&b, 0, 40, true);
	set_line(&b, 0, 40, false);
	assert_true(dist_bit(&b, 0, GICD_ISPENDR, 40));
	assert_false(b.pin[0][ARMATURE_GIC_IRQ]);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), SPURIOUS);
	dist_set_bit(&b, 0, GICD_ISENABLER, 40);
	assert_true(b.pin[0][ARMATURE_GIC_IRQ]);
	assert_int_equal(cpu_read(&b, 0, GICC_IAR), 40);
	/* An active interrupt is ended whether enabled or not. */
	dist_set_bit(&b, 0, GICD_ICENABLER, 40);
	cpu_write(&b, 0, GICC_EOIR, 40);
	assert_false(dist_bit(&b, 0, GICD_ISACTIVER, 40));
	bench_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(level_table),
		cmocka_unit_test(edge_table),
		cmocka_unit_test(sgi_table),
		cmocka_unit_test(disabled_keeps_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
