/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controller inside the KVM: a GICv2 (Documentation/virt/kvm/devices/arm-vgic.rst).
 *
 *     KVM_IRQ_LINE, irqfd ──── vgic_set_irq() ────┐
 *     timers, PMU ── lines.c ── line_level() ─────┤
 *                                                 ▼
 *     the guest's accesses ── bus.c ── frames ──> GIC (gic/) ── pins ──> vcpu_set_pin()
 *                                                 ▲
 *     DIST_REGS, CPU_REGS ── vgic_attr.c ─────────┘
 *
 * The GIC is libarmature-gic, as the VMM has it. Its life has four steps, as on Linux:
 *
 *     created      KVM_CREATE_DEVICE or KVM_CREATE_IRQCHIP: no vCPU has run
 *     initialised  the vCPUs and INTIDs are counted, no vCPU can be added: by KVM_DEV_ARM_VGIC_
 *                  CTRL_INIT, or when somebody first needs it: an attribute, a line, a KVM_RUN
 *     ready        a vCPU runs for the first time: the frames are on the bus
 *     gone         with its VM; nothing resets it but the VMM, by its registers
 *
 * CPU n of the GIC is the vCPU with the creation index n.
 *
 * Locks: what the VMM sets up is under vm->lock. The GIC has a lock of its own, which comes after
 * all of kvm.h but is taken by no function that waits for anything; pins change within it.
 */
#include <stdlib.h>

#include "gic/for_kvm.h"
#include "kvm/kvm.h"

#define DEFAULT_NR_IRQS 256 /* as Linux: VGIC_NR_IRQS_LEGACY */

static const uint64_t frame_size[VGIC_NR_FRAMES] = {
	[VGIC_DIST] = KVM_VGIC_V2_DIST_SIZE,
	[VGIC_CPU] = KVM_VGIC_V2_CPU_SIZE,
};

static struct vgic *vgic_of(const struct vm *vm)
{
	return atomic_load_explicit(&vm->vgic, memory_order_acquire);
}

static struct armature_gic *gic_of(const struct vgic *vgic)
{
	return atomic_load_explicit(&vgic->gic, memory_order_acquire);
}

bool vgic_exists(const struct vm *vm)
{
	return vgic_of(vm);
}

bool vgic_ready(const struct vm *vm)
{
	const struct vgic *vgic = vgic_of(vm);

	return vgic && gic_of(vgic);
}

/* ---- Pins and ends: the GIC's callbacks, with its lock held ---- */

static void set_pin(void *opaque, unsigned int cpu, enum armature_gic_pin pin, bool level)
{
	const struct vgic *vgic = opaque;

	vcpu_set_pin(vgic->vm->vcpus[cpu], pin == ARMATURE_GIC_FIQ ? CPU_PIN_FIQ : CPU_PIN_IRQ,
		     level);
}

/* The notifier may not be called here, so the vCPU's own access does it when it is over. */
static void event(void *opaque, unsigned int cpu, enum armature_gic_event event, uint32_t intid)
{
	const struct vgic *vgic = opaque;

	if (event != ARMATURE_GIC_ACK && intid >= VGIC_NR_PRIVATE &&
	    agic_take_end(gic_of(vgic), cpu, intid))
		vgic->vm->vcpus[cpu]->ended_spi = intid;
}

/* ---- The guest's accesses ---- */

static bool dist_access(struct bus_range *r, struct vcpu *vcpu, uint64_t offset, unsigned int size,
			bool write, uint64_t *data)
{
	struct armature_gic *gic = gic_of(vgic_of(vcpu->vm));

	if (write)
		armature_gic_dist_write(gic, vcpu->index, offset, size, *data);
	else
		*data = armature_gic_dist_read(gic, vcpu->index, offset, size);
	return true;
}

static void notify_end(struct vgic *vgic, struct vcpu *vcpu)
{
	void (*notify)(struct vm * vm, unsigned int intid) = atomic_load(&vgic->notify);
	unsigned int intid = vcpu->ended_spi;

	vcpu->ended_spi = 0;
	if (notify)
		notify(vgic->vm, intid);
}

static bool cpu_access(struct bus_range *r, struct vcpu *vcpu, uint64_t offset, unsigned int size,
		       bool write, uint64_t *data)
{
	struct vgic *vgic = vgic_of(vcpu->vm);
	struct armature_gic *gic = gic_of(vgic);

	if (write)
		armature_gic_cpu_write(gic, vcpu->index, offset, size, *data);
	else
		*data = armature_gic_cpu_read(gic, vcpu->index, offset, size);
	if (vcpu->ended_spi)
		notify_end(vgic, vcpu);
	return true;
}

/* ---- The devices' lines ---- */

static void line_level(struct vcpu *vcpu, unsigned int line, bool level)
{
	agic_drive(gic_of(vgic_of(vcpu->vm)), vcpu->index, vcpu->line_intid[line], level);
}

static void line_edge(struct vcpu *vcpu, unsigned int line)
{
	line_level(vcpu, line, true);
	line_level(vcpu, line, false);
}

static const struct irqchip irqchip = {vgic_ready, vgic_set_irq, vgic_set_eoi_notifier};

static const struct irq_sink sink = {.level = line_level, .edge = line_edge};

/* ---- Life ---- */

int vgic_create(struct vm *vm)
{
	struct vgic *vgic;
	int ret;

	if (vgic_exists(vm))
		return -EEXIST;
	if (vm->nr_creating > VGIC_MAX_VCPUS)
		return atomic_load(&vm->has_run) ? -EBUSY : -E2BIG;
	vgic = calloc(1, sizeof(*vgic));
	if (!vgic)
		return -ENOMEM;
	vgic->vm = vm;
	vgic->base[VGIC_DIST] = vgic->base[VGIC_CPU] = VGIC_UNSET;
	ret = vm_set_irqchip(vm, &sink, NULL);
	if (ret) {
		free(vgic);
		return ret;
	}
	atomic_store(&vm->vgic, vgic);
	irqfds_set_irqchip(vm, &irqchip);
	return 0;
}

void vgic_destroy(struct vm *vm)
{
	struct vgic *vgic = vgic_of(vm);

	if (vgic)
		armature_gic_destroy(gic_of(vgic));
	free(vgic);
}

int vgic_init(struct vm *vm)
{
	struct vgic *vgic = vgic_of(vm);
	struct armature_gic_config config = {
		.nr_cpus = vm->nr_vcpus, .set_pin = set_pin, .event = event, .opaque = vgic};
	struct armature_gic *gic;
	int ret;

	if (gic_of(vgic))
		return 0;
	if (vm->nr_creating != vm->nr_vcpus)
		return -EBUSY;
	if (!vm->nr_vcpus)
		return -ENODEV;
	config.nr_irqs = vgic->nr_irqs ? vgic->nr_irqs : DEFAULT_NR_IRQS;
	ret = routing_set_default(vgic->vm, config.nr_irqs - VGIC_NR_PRIVATE);
	if (!ret)
		ret = armature_gic_create(&config, &gic);
	if (ret)
		return ret;
	vgic->nr_irqs = config.nr_irqs;
	atomic_store(&vgic->gic, gic);
	return 0;
}

int vgic_set_addr(struct vm *vm, enum vgic_frame frame, uint64_t addr)
{
	struct vgic *vgic = vgic_of(vm);
	uint64_t end = addr + frame_size[frame];

	if (vgic->base[frame] != VGIC_UNSET)
		return -EEXIST;
	if (addr % KVM_PAGE_SIZE || end < addr)
		return -EINVAL;
	if (end > 1ull << vm->machine.mem.pa_bits)
		return -E2BIG;
	vgic->base[frame] = addr;
	return 0;
}

static bool frames_overlap(const struct vgic *vgic)
{
	const uint64_t dist = vgic->base[VGIC_DIST], cpu = vgic->base[VGIC_CPU];

	return dist < cpu + frame_size[VGIC_CPU] && cpu < dist + frame_size[VGIC_DIST];
}

/* Put the frames on the bus; a second vCPU finds them there. */
static int map_frames(struct vgic *vgic)
{
	int ret, i;

	if (atomic_load(&vgic->ready))
		return 0;
	if (vgic->base[VGIC_DIST] == VGIC_UNSET || vgic->base[VGIC_CPU] == VGIC_UNSET)
		return -ENXIO;
	if (frames_overlap(vgic))
		return -EINVAL;
	ret = vgic_init(vgic->vm);
	for (i = 0; !ret && i < VGIC_NR_FRAMES; i++) {
		vgic->range[i] = (struct bus_range){
			.base = vgic->base[i],
			.size = frame_size[i],
			.access = i == VGIC_DIST ? dist_access : cpu_access,
		};
		ret = bus_add(vgic->vm, &vgic->range[i]);
	}
	if (!ret)
		atomic_store(&vgic->ready, true);
	return ret;
}

/* ---- Whose line is whose ---- */

static bool is_owned(struct vgic *vgic, unsigned int cpu, unsigned int intid)
{
	if (intid < VGIC_NR_PRIVATE)
		return atomic_load(&vgic->owned_private[cpu]) & 1u << intid;
	return atomic_load(&vgic->owned[intid / 64]) & 1ull << intid % 64;
}

int vgic_claim(struct vcpu *vcpu, unsigned int intid)
{
	struct vgic *vgic = vgic_of(vcpu->vm);

	if (!INTID_IS_PPI(intid) && !INTID_IS_SPI(intid))
		return -EINVAL;
	if (intid >= vgic->nr_irqs)
		return -EINVAL;
	if (is_owned(vgic, vcpu->index, intid))
		return -EEXIST;
	if (intid < VGIC_NR_PRIVATE)
		atomic_fetch_or(&vgic->owned_private[vcpu->index], 1u << intid);
	else
		atomic_fetch_or(&vgic->owned[intid / 64], 1ull << intid % 64);
	return 0;
}

static bool timers_fit(struct vcpu *vcpu)
{
	struct vgic *vgic = vgic_of(vcpu->vm);
	const unsigned int virt = vcpu->vm->timer_ppi[0], phys = vcpu->vm->timer_ppi[1];

	return virt != phys && !is_owned(vgic, vcpu->index, virt) &&
	       !is_owned(vgic, vcpu->index, phys);
}

int vgic_first_run(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int ret;

	if (!vgic_exists(vm))
		return 0;
	ret = map_frames(vgic_of(vm));
	if (ret) {
		/* As on Linux a VM whose vgic cannot be mapped is of no use any more. */
		atomic_store(&vm->dead, true);
		return ret;
	}
	return timers_fit(vcpu) ? 0 : -EINVAL;
}

void vgic_wire(struct vcpu *vcpu)
{
	const uint32_t virt = vcpu->vm->timer_ppi[0], phys = vcpu->vm->timer_ppi[1];

	if (!vgic_exists(vcpu->vm))
		return;
	vgic_claim(vcpu, virt);
	vgic_claim(vcpu, phys);
	vcpu->line_intid[LINE_VTIMER] = virt;
	vcpu->line_intid[LINE_PTIMER] = phys;
	vcpu->line_intid[LINE_PMU] = vcpu->pmu_irq;
}

/* ---- Lines that are driven from outside ---- */

/* The GIC of @vgic, which is initialised if it was not. */
static int get_gic(struct vgic *vgic, struct armature_gic **gic)
{
	int ret = 0;

	*gic = gic_of(vgic);
	if (*gic)
		return 0;
	pthread_mutex_lock(&vgic->vm->lock);
	ret = vgic_init(vgic->vm);
	pthread_mutex_unlock(&vgic->vm->lock);
	*gic = gic_of(vgic);
	return ret;
}

int vgic_set_irq(struct vm *vm, unsigned int cpu, unsigned int intid, bool level)
{
	struct vgic *vgic = vgic_of(vm);
	struct armature_gic *gic;
	int ret;

	if (!vgic)
		return -ENXIO;
	ret = get_gic(vgic, &gic);
	if (ret)
		return ret;
	if (intid >= vgic->nr_irqs || (intid < VGIC_NR_PRIVATE && cpu >= vm->nr_vcpus))
		return -EINVAL;
	if (is_owned(vgic, cpu, intid))
		return 0;
	return agic_drive(gic, cpu, intid, level);
}

void vgic_set_eoi_notifier(struct vm *vm, void (*notify)(struct vm *vm, unsigned int intid))
{
	atomic_store(&vgic_of(vm)->notify, notify);
}
