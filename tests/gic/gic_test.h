/* SPDX-License-Identifier: MIT */
/*
 * What the GIC's tests share: the register map in the specification's names, and a bench: a GIC
 * with its pins and events recorded. Every change of a pin that is no change fails the test at
 * once.
 */
#ifndef TESTS_GIC_TEST_H
#define TESTS_GIC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <armature/gic.h>

/* Distributor, section 4.1.2 */
#define GICD_CTLR       0x000
#define GICD_TYPER      0x004
#define GICD_IIDR       0x008
#define GICD_IGROUPR    0x080
#define GICD_ISENABLER  0x100
#define GICD_ICENABLER  0x180
#define GICD_ISPENDR    0x200
#define GICD_ICPENDR    0x280
#define GICD_ISACTIVER  0x300
#define GICD_ICACTIVER  0x380
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR  0x800
#define GICD_ICFGR      0xc00
#define GICD_SGIR       0xf00
#define GICD_CPENDSGIR  0xf10
#define GICD_SPENDSGIR  0xf20
#define GICD_ICPIDR2    0xfe8

#define GICD_GRP0 0x1
#define GICD_GRP1 0x2

/* CPU interface, section 4.1.3 */
#define GICC_CTLR   0x0000
#define GICC_PMR    0x0004
#define GICC_BPR    0x0008
#define GICC_IAR    0x000c
#define GICC_EOIR   0x0010
#define GICC_RPR    0x0014
#define GICC_HPPIR  0x0018
#define GICC_ABPR   0x001c
#define GICC_AIAR   0x0020
#define GICC_AEOIR  0x0024
#define GICC_AHPPIR 0x0028
#define GICC_APR0   0x00d0
#define GICC_NSAPR0 0x00e0
#define GICC_IIDR   0x00fc
#define GICC_DIR    0x1000

#define GICC_GRP0    0x001
#define GICC_GRP1    0x002
#define GICC_ACKCTL  0x004
#define GICC_FIQEN   0x008
#define GICC_CBPR    0x010
#define GICC_EOIMODE 0x200

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define SPURIOUS      1023
#define SPURIOUS_GRP1 1022
#define IDLE_PRIORITY 0xff
#define MAX_CPUS      ARMATURE_GIC_MAX_CPUS
#define BENCH_EVENTS  16

struct bench {
	struct armature_gic *gic;
	unsigned int nr_cpus;
	unsigned int nr_irqs;
	bool pin[MAX_CPUS][2];
	unsigned int pin_changes;
	unsigned int nr_events;
	struct {
		unsigned int cpu;
		enum armature_gic_event event;
		uint32_t intid;
	} events[BENCH_EVENTS]; /* the first ones */
};

/* A GIC as after reset; bench_free() ends it. */
void bench_make(struct bench *b, unsigned int nr_cpus, unsigned int nr_irqs);
void bench_free(struct bench *b);
/* Everything on: both groups everywhere, lowest priority mask, SPIs enabled and to CPU 0. */
void bench_enable(struct bench *b);

/* 32-bit accesses, then bytes. */
uint32_t dist_read(struct bench *b, unsigned int cpu, unsigned int offset);
void dist_write(struct bench *b, unsigned int cpu, unsigned int offset, uint32_t value);
uint32_t cpu_read(struct bench *b, unsigned int cpu, unsigned int offset);
void cpu_write(struct bench *b, unsigned int cpu, unsigned int offset, uint32_t value);
uint8_t dist_read8(struct bench *b, unsigned int cpu, unsigned int offset);
void dist_write8(struct bench *b, unsigned int cpu, unsigned int offset, uint8_t value);

/* An interrupt's bit in an array of one bit an interrupt. */
bool dist_bit(struct bench *b, unsigned int cpu, unsigned int array, unsigned int intid);
void dist_set_bit(struct bench *b, unsigned int cpu, unsigned int array, unsigned int intid);
void dist_assign_bit(struct bench *b, unsigned int cpu, unsigned int array, unsigned int intid,
		     bool value);
void set_edge(struct bench *b, unsigned int cpu, unsigned int intid, bool edge);
void set_line(struct bench *b, unsigned int cpu, unsigned int intid, bool level);

/* Random numbers, the same in each run: xorshift64*. */
struct random {
	uint64_t state;
};
uint32_t random_u32(struct random *r);
uint32_t random_below(struct random *r, uint32_t n);

#endif
