/* SPDX-License-Identifier: MIT */
/*
 * GSI routing: which interrupt a GSI, the number that irqfds use, is (virt/kvm/devices, api.rst
 * 4.52).
 *
 *     irqfd ── GSI ── routing ──┬─> pin n of the irqchip: SPI n, INTID n + 32
 *                               ├─> an MSI: goes nowhere without an ITS, as on Linux
 *                               └─> no route: goes nowhere
 *
 * When the irqchip is initialised, GSI n is made SPI n. A table never changes; KVM_SET_GSI_ROUTING
 * makes a new one and puts it in the place of the old under irqfds.lock, which whoever injects
 * holds.
 */
#include <stdlib.h>

#include "kvm/eventfd.h"
#include "kvm/kvm.h"

#define FIRST_SPI 32
#define NR_PINS   (1020 - FIRST_SPI) /* KVM_IRQCHIP_NUM_PINS */
#define NOWHERE   -1
#define TO_MSI    -2

struct routing {
	int16_t pin_of[ROUTING_MAX]; /* by GSI: a pin, NOWHERE or TO_MSI */
	int16_t gsi_of[NR_PINS];     /* the last route to this pin, or NOWHERE */
};

static struct routing *routing_make(void)
{
	struct routing *t = malloc(sizeof(*t));
	unsigned int i;

	for (i = 0; t && i < ROUTING_MAX; i++)
		t->pin_of[i] = NOWHERE;
	for (i = 0; t && i < NR_PINS; i++)
		t->gsi_of[i] = NOWHERE;
	return t;
}

static void add_pin(struct routing *t, uint32_t gsi, uint32_t pin)
{
	t->pin_of[gsi] = (int16_t)pin;
	t->gsi_of[pin] = (int16_t)gsi;
}

/* false: an entry that Linux refuses. A GSI has one route, as there is one irqchip. */
static bool add_entry(struct routing *t, const struct kvm_irq_routing_entry *e)
{
	if (e->gsi >= ROUTING_MAX || t->pin_of[e->gsi] != NOWHERE)
		return false;
	if (e->type == KVM_IRQ_ROUTING_MSI && !(e->flags & ~KVM_MSI_VALID_DEVID)) {
		t->pin_of[e->gsi] = TO_MSI;
		return true;
	}
	if (e->type != KVM_IRQ_ROUTING_IRQCHIP || e->flags)
		return false;
	if (e->u.irqchip.irqchip >= KVM_NR_IRQCHIPS || e->u.irqchip.pin >= NR_PINS)
		return false;
	add_pin(t, e->gsi, e->u.irqchip.pin);
	return true;
}

static void replace(struct vm *vm, struct routing *new)
{
	struct routing *old;

	pthread_mutex_lock(&vm->irqfds.lock);
	old = vm->irqfds.routing;
	vm->irqfds.routing = new;
	pthread_mutex_unlock(&vm->irqfds.lock);
	free(old);
}

static int set_entries(struct vm *vm, const struct kvm_irq_routing_entry *e, unsigned int nr)
{
	struct routing *t = routing_make();
	unsigned int i;

	if (!t)
		return -ENOMEM;
	for (i = 0; i < nr && add_entry(t, e + i);)
		i++;
	if (i < nr) {
		free(t);
		return -EINVAL;
	}
	replace(vm, t);
	return 0;
}

long routing_request(struct vm *vm, const struct kvm_irq_routing *r, uint64_t entries)
{
	struct kvm_irq_routing_entry *copy;
	long ret;

	if (r->nr > ROUTING_MAX || r->flags)
		return -EINVAL;
	copy = malloc((r->nr ? r->nr : 1) * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	ret = r->nr ? copy_in(copy, entries, r->nr * sizeof(*copy)) : 0;
	if (!ret)
		ret = set_entries(vm, copy, r->nr);
	free(copy);
	return ret;
}

int routing_set_default(struct vm *vm, unsigned int nr_spis)
{
	struct routing *t = routing_make();
	unsigned int i;

	if (!t)
		return -ENOMEM;
	for (i = 0; i < nr_spis && i < NR_PINS; i++)
		add_pin(t, i, i);
	replace(vm, t);
	return 0;
}

void routing_drive(struct vm *vm, uint32_t gsi, bool level)
{
	const struct irqchip *chip = atomic_load(&vm->irqfds.chip);
	const struct routing *t = vm->irqfds.routing;

	/* What the irqchip refuses, an SPI that it has not, goes nowhere either. */
	if (t && gsi < ROUTING_MAX && t->pin_of[gsi] >= 0)
		chip->set_irq(vm, 0, FIRST_SPI + (unsigned int)t->pin_of[gsi], level);
}

int64_t routing_gsi_of(const struct vm *vm, unsigned int intid)
{
	const struct routing *t = vm->irqfds.routing;

	if (!t || intid < FIRST_SPI || intid - FIRST_SPI >= NR_PINS)
		return NOWHERE;
	return t->gsi_of[intid - FIRST_SPI];
}

void routing_destroy(struct vm *vm)
{
	free(vm->irqfds.routing);
}

long msi_request(struct vm *vm, const struct kvm_msi *msi)
{
	if (!atomic_load(&vm->irqfds.chip) || (msi->flags & ~KVM_MSI_VALID_DEVID))
		return -EINVAL;
	return -ENODEV;
}
