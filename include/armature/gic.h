/* SPDX-License-Identifier: MIT */
/*
 * libarmature-gic: a GICv2 (ARM IHI 0048B, "the specification") to embed in any VMM.
 *
 * Levels of interrupt lines go in, levels of the CPUs' IRQ and FIQ pins come out through a
 * callback, guest accesses to the two register frames come in with the number of the CPU that makes
 * them, and the whole state can be saved and restored. The library knows nothing of how guests run.
 *
 *	struct armature_gic_config config = {
 *		.nr_cpus = 2, .nr_irqs = 288, .set_pin = set_pin, .opaque = vm,
 *	};
 *	struct armature_gic *gic;
 *
 *	if (armature_gic_create(&config, &gic))
 *		...
 *	armature_gic_set_ppi(gic, 0, 27, true);		set_pin(vm, 0, IRQ, true)
 *	armature_gic_cpu_read(gic, 0, 0x00c, 4);	27, and set_pin(vm, 0, IRQ, false)
 *
 * Every function may be called from any thread at any time, except that destroy must be the last.
 * The callbacks run on the calling thread with the GIC's lock held: they must not call the library.
 *
 * What the guest sees, where the specification leaves a choice:
 *
 * Security Extensions:
 *	Absent (GICD_TYPER.SecurityExtn = 0), but interrupt groups are there: GICD_IGROUPR
 *	is RW, all interrupts are Group 0 after reset, and every access is what a Secure
 *	access is on a GIC that has the extensions.
 *
 * Priorities:
 *	5 bits, 32 levels: bits [2:0] of GICD_IPRIORITYR and GICC_PMR are RAZ/WI. The
 *	smallest GICC_BPR is 2 and the smallest GICC_ABPR is 3; both reset to that. 32 group
 *	priorities: GICC_APR0 has the active ones of Group 0, GICC_NSAPR0 those of Group 1;
 *	APR1 to 3 and NSAPR1 to 3 are RAZ/WI. The idle priority is 0xff.
 *
 * Equal priorities:
 *	The lowest INTID is taken first; of an SGI, the lowest source CPU.
 *
 * Group enables:
 *	GICD_CTLR's mask interrupts before the highest priority pending one is chosen,
 *	GICC_CTLR's after (IGNORE_GROUP_ENABLE is FALSE in the specification's pseudocode).
 *
 * SGIs:
 *	Their enables are programmable, and on after reset. An SGI has one active state on
 *	each CPU, whoever sent it; the source in GICC_EOIR and GICC_DIR is not compared.
 *
 * PPIs:
 *	All 16 are there, and programmable to edge or level as SPIs are. After reset PPIs
 *	and SPIs are level-sensitive. GICD_ICFGR bit [2n] is RAZ/WI.
 *
 * Changing GICD_ICFGR:
 *	Keeps the pending latch: a pending edge stays pending when made level-sensitive, and
 *	a level that is asserted is no edge when made edge-triggered.
 *
 * GICD_ITARGETSR:
 *	Bits of CPUs that do not exist are RAZ/WI; the first eight registers are read-only.
 *	With one CPU all interrupts go to it and all the registers are RAZ/WI (section 4.3.12).
 *
 * GICD_SGIR:
 *	Filter 0b11 and an empty target list do nothing; NSATT is ignored.
 *
 * GICC_CTLR:
 *	EnableGrp0, EnableGrp1, AckCtl, FIQEn, CBPR, EOImode and the four bypass-disable
 *	bits are RW. The bypassed (legacy) interrupt inputs are not connected: those four
 *	have no effect.
 *
 * GICC_EOIR, GICC_AEOIR:
 *	GICC_EOIR drops the highest active priority of either group whatever AckCtl is,
 *	GICC_AEOIR the highest of Group 1. An INTID that does not exist is ignored. With no
 *	active priority there is no drop, and the interrupt named is still deactivated.
 *
 * GICC_DIR:
 *	Is ignored while EOImode is 0, and for an interrupt that is not active.
 *
 * GICC_HPPIR, GICC_AHPPIR:
 *	1023 if GICC_CTLR disables the group; the priority mask and the running priority do
 *	not matter to them.
 *
 * Access sizes:
 *	Aligned 32-bit accesses everywhere; bytes too on GICD_IPRIORITYR, GICD_ITARGETSR,
 *	GICD_CPENDSGIR and GICD_SPENDSGIR. All else is RAZ/WI without side effect: other
 *	sizes, unaligned accesses, offsets without a register, bits of interrupts that do
 *	not exist, reads of what is write-only and writes of what is read-only.
 *
 * Identification:
 *	GICD_IIDR 0x4100043b, GICC_IIDR 0x0412043b, ICPIDR2 0x2b (architecture version 2).
 */
#ifndef ARMATURE_GIC_H
#define ARMATURE_GIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARMATURE_GIC_API
#define ARMATURE_GIC_API __attribute__((visibility("default")))
#endif

/* Sizes of the two register frames in bytes. */
#define ARMATURE_GIC_DIST_SIZE 0x1000
#define ARMATURE_GIC_CPU_SIZE  0x2000

/* A GICv2's registers have a byte for the set of an interrupt's CPUs (section 4.3.12). */
#define ARMATURE_GIC_MAX_CPUS 8
/* INTIDs 1020 to 1023 have special meanings (section 3.2.5). */
#define ARMATURE_GIC_MAX_IRQS 1020

struct armature_gic;

enum armature_gic_pin {
	ARMATURE_GIC_IRQ = 0,
	ARMATURE_GIC_FIQ = 1,
};

/**
 * enum armature_gic_event - What a CPU interface did, for tracing and statistics.
 * @ARMATURE_GIC_ACK:        an interrupt was acknowledged: a read of GICC_IAR or GICC_AIAR
 *                           returned an INTID below 1020
 * @ARMATURE_GIC_EOI:        a write of GICC_EOIR or GICC_AEOIR with an INTID that exists; while
 *                           EOImode is 0 that deactivates too, without an event of its own
 * @ARMATURE_GIC_DEACTIVATE: a write of GICC_DIR that deactivated an interrupt
 */
enum armature_gic_event {
	ARMATURE_GIC_ACK,
	ARMATURE_GIC_EOI,
	ARMATURE_GIC_DEACTIVATE,
};

/**
 * struct armature_gic_config - What a GIC is made of.
 * @nr_cpus: number of CPU interfaces, 1 to ARMATURE_GIC_MAX_CPUS
 * @nr_irqs: number of INTIDs, with the 32 private ones: 32, 64, ... 992, or 1020. With 1020,
 *           GICD_TYPER says 1024, of which the last four are never interrupts.
 * @set_pin: a pin of a CPU changes its level; called only on a change, with the GIC's lock held
 * @event:   a CPU interface did something to interrupt @intid (an SGI's without the source CPU);
 *           called with the GIC's lock held; may be NULL
 * @opaque:  handed to both
 *
 * All pins are low when the GIC is created.
 */
struct armature_gic_config {
	unsigned int nr_cpus;
	unsigned int nr_irqs;
	void (*set_pin)(void *opaque, unsigned int cpu, enum armature_gic_pin pin, bool level);
	void (*event)(void *opaque, unsigned int cpu, enum armature_gic_event event,
		      uint32_t intid);
	void *opaque;
};

/**
 * armature_gic_create() - Make a GIC, in the state after reset, all inputs low.
 * @config: what it is made of; copied
 * @gic:    receives the GIC
 *
 * Return: 0; -EINVAL for a number of CPUs or INTIDs out of range or a missing @set_pin; -ENOMEM.
 */
ARMATURE_GIC_API int armature_gic_create(const struct armature_gic_config *config,
					 struct armature_gic **gic);

/**
 * armature_gic_destroy() - Free a GIC. No pin changes.
 * @gic: the GIC, or NULL
 */
ARMATURE_GIC_API void armature_gic_destroy(struct armature_gic *gic);

/**
 * armature_gic_reset() - Put all registers in their state after reset.
 * @gic: the GIC
 *
 * Inputs belong to the devices: their levels stay. Pins that were high go low.
 */
ARMATURE_GIC_API void armature_gic_reset(struct armature_gic *gic);

/**
 * armature_gic_set_spi() - Drive the input of a shared peripheral interrupt.
 * @gic:   the GIC
 * @intid: 32 to nr_irqs - 1
 * @level: the level of the line; high is asserted, and a rise is an edge
 *
 * Return: 0, or -EINVAL for an INTID that is not an SPI of this GIC.
 */
ARMATURE_GIC_API int armature_gic_set_spi(struct armature_gic *gic, unsigned int intid, bool level);

/**
 * armature_gic_set_ppi() - Drive the input of a private peripheral interrupt.
 * @gic:   the GIC
 * @cpu:   whose, 0 to nr_cpus - 1
 * @intid: 16 to 31
 * @level: as in armature_gic_set_spi()
 *
 * Return: 0, or -EINVAL for a CPU that does not exist or an INTID that is not a PPI.
 */
ARMATURE_GIC_API int armature_gic_set_ppi(struct armature_gic *gic, unsigned int cpu,
					  unsigned int intid, bool level);

/**
 * armature_gic_dist_read() - A CPU reads from the Distributor's frame (section 4.3).
 * @gic:    the GIC
 * @cpu:    who reads
 * @offset: in the frame, 0 to ARMATURE_GIC_DIST_SIZE - 1
 * @size:   of the access in bytes: 1, 2, 4 or 8
 *
 * Return: the value read, zero-extended; 0 where nothing can be read.
 */
ARMATURE_GIC_API uint64_t armature_gic_dist_read(struct armature_gic *gic, unsigned int cpu,
						 uint64_t offset, unsigned int size);

/**
 * armature_gic_dist_write() - A CPU writes to the Distributor's frame (section 4.3).
 * @gic:    the GIC
 * @cpu:    who writes
 * @offset: in the frame, 0 to ARMATURE_GIC_DIST_SIZE - 1
 * @size:   of the access in bytes: 1, 2, 4 or 8
 * @value:  what is written; bits beyond @size are ignored
 */
ARMATURE_GIC_API void armature_gic_dist_write(struct armature_gic *gic, unsigned int cpu,
					      uint64_t offset, unsigned int size, uint64_t value);

/**
 * armature_gic_cpu_read() - A CPU reads from its CPU interface's frame (section 4.4).
 * @gic:    the GIC
 * @cpu:    who reads
 * @offset: in the frame, 0 to ARMATURE_GIC_CPU_SIZE - 1
 * @size:   of the access in bytes: 1, 2, 4 or 8
 *
 * Return: the value read, zero-extended; 0 where nothing can be read.
 */
ARMATURE_GIC_API uint64_t armature_gic_cpu_read(struct armature_gic *gic, unsigned int cpu,
						uint64_t offset, unsigned int size);

/**
 * armature_gic_cpu_write() - A CPU writes to its CPU interface's frame (section 4.4).
 * @gic:    the GIC
 * @cpu:    who writes
 * @offset: in the frame, 0 to ARMATURE_GIC_CPU_SIZE - 1
 * @size:   of the access in bytes: 1, 2, 4 or 8
 * @value:  what is written; bits beyond @size are ignored
 */
ARMATURE_GIC_API void armature_gic_cpu_write(struct armature_gic *gic, unsigned int cpu,
					     uint64_t offset, unsigned int size, uint64_t value);

/**
 * armature_gic_state_size() - The size of a saved state in bytes.
 * @gic: the GIC
 *
 * Return: the size; it depends on the configuration only.
 */
ARMATURE_GIC_API size_t armature_gic_state_size(const struct armature_gic *gic);

/**
 * armature_gic_save() - Save the whole state, the levels of the inputs too.
 * @gic:  the GIC
 * @buf:  receives it: flat, versioned, the same on every host
 * @size: of @buf; armature_gic_state_size()
 *
 * Return: 0, or -EINVAL for another size.
 */
ARMATURE_GIC_API int armature_gic_save(struct armature_gic *gic, void *buf, size_t size);

/**
 * armature_gic_restore() - Restore what armature_gic_save() saved, and drive the pins accordingly.
 * @gic:  a GIC of the same configuration as the saved one
 * @buf:  the saved state, trusted in nothing
 * @size: of @buf; armature_gic_state_size()
 *
 * Return: 0; or -EINVAL for another size, version or configuration, or a state that no GIC can be
 * in, and then the GIC is as before.
 */
ARMATURE_GIC_API int armature_gic_restore(struct armature_gic *gic, const void *buf, size_t size);

/**
 * armature_gic_pin() - The present level of a pin, as last told by the set_pin callback.
 * @gic: the GIC
 * @cpu: whose, 0 to nr_cpus - 1; the pins of other CPUs are low
 * @pin: which
 *
 * Return: true if it is high.
 */
ARMATURE_GIC_API bool armature_gic_pin(struct armature_gic *gic, unsigned int cpu,
				       enum armature_gic_pin pin);

#ifdef __cplusplus
}
#endif
#endif
