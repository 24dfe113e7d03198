/* SPDX-License-Identifier: MIT */
/* A VM with an interrupt controller inside the KVM, and short calls for its attributes. */
#ifndef TESTS_KVM_VGIC_TEST_H
#define TESTS_KVM_VGIC_TEST_H

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define DIST_BASE 0x08000000ull
#define CPU_BASE  0x08010000ull
#define NR_IRQS   96

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

#define GICC_CTLR  0x000
#define GICC_PMR   0x004
#define GICC_BPR   0x008
#define GICC_IAR   0x00c
#define GICC_EOIR  0x010
#define GICC_RPR   0x014
#define GICC_HPPIR 0x018
#define GICC_ABPR  0x01c
#define GICC_AEOIR 0x024
#define GICC_APR0  0x0d0
#define GICC_IIDR  0x0fc
#define GICC_DIR   0x1000

#define MAX_CPUS 8

struct vgic_vm {
	int sys, vm, dev;
	unsigned int nr;
	int vcpu[MAX_CPUS];
	struct kvm_run *run[MAX_CPUS];
	unsigned char *ram;
};

/* A VM with RAM, without vCPUs; and its end, with what it has by then. */
struct vgic_vm *vgic_vm_bare(void);
void vgic_vm_end(struct vgic_vm *v);
/* The next vCPU, its descriptor mapped; initialised with @features. */
void vgic_vm_add_vcpu(struct vgic_vm *v, uint32_t features);
/* The device, 0 or -errno; it is v->dev. */
int vgic_vm_create(struct vgic_vm *v);
int vgic_set_base(struct vgic_vm *v, uint64_t type, uint64_t base);
/*
 * All of it: @nr vCPUs with @features, the vgic initialised, with addresses; GICD_CTLR, the CPU
 * interfaces and priority masks let everything through.
 */
struct vgic_vm *vgic_vm_new(unsigned int nr, uint32_t features);

int vgic_attr(struct vgic_vm *v, unsigned long request, uint32_t group, uint64_t attr, void *value);
int vcpu_attr(int vcpu, unsigned long request, uint32_t group, uint64_t attr, void *value);

uint32_t dist_get(struct vgic_vm *v, unsigned int cpu, uint32_t offset);
void dist_set(struct vgic_vm *v, unsigned int cpu, uint32_t offset, uint32_t value);
uint32_t cpu_get(struct vgic_vm *v, unsigned int cpu, uint32_t offset);
void cpu_set(struct vgic_vm *v, unsigned int cpu, uint32_t offset, uint32_t value);
/* Enable @intid; an SPI goes to @cpu. */
void enable_irq(struct vgic_vm *v, unsigned int cpu, unsigned int intid);
void set_edge(struct vgic_vm *v, unsigned int intid);

int irq_line(struct vgic_vm *v, unsigned int type, unsigned int cpu, unsigned int number,
	     unsigned int level);
#define SPI(v, n, level)      irq_line(v, KVM_ARM_IRQ_TYPE_SPI, 0, n, level)
#define PPI(v, cpu, n, level) irq_line(v, KVM_ARM_IRQ_TYPE_PPI, cpu, n, level)

#define VECTOR_IRQ 0x280
#define TEXT       0x400 /* where programs begin, behind the vectors */
/* Registers of programs: addresses. */
#define R_MMIO 20
#define R_IAR  21
#define R_EOIR 22
#define R_SGIR 23

/*
 * Load @p to RAM: vectors at 0, code from TEXT on, which vCPU @cpu is to begin with; interrupts are
 * masked.
 */
void vgic_load(struct vgic_vm *v, unsigned int cpu, const struct prog *p);
/* KVM_RUN until the guest stores to MMIO: the value. Any other return fails the test. */
uint64_t run_to_store(struct vgic_vm *v, unsigned int cpu);

#endif
