/* SPDX-License-Identifier: MIT */
/* Eventfds that a VMM hands over, and what is made of them: see eventfd.c, ioeventfd.c, irqfd.c. */
#ifndef KVM_EVENTFD_H
#define KVM_EVENTFD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct vm;
struct kvm_ioeventfd;
struct kvm_irqfd;
struct kvm_irq_routing;
struct kvm_msi;

/* ---- eventfd.c ---- */

/**
 * struct event - An eventfd of the VMM's, which the library holds too.
 * @fd: the library's own descriptor of it
 * @id: names the eventfd itself, whatever its descriptors
 */
struct event {
	int fd;
	uint64_t id;
	bool may_block; /* its description had no O_NONBLOCK when it was taken */
};

/** event_id() - Which eventfd @fd is: 0; -EBADF; -EINVAL for another kind of file; -EMFILE. */
int event_id(int fd, uint64_t *id);

/** event_take() - Hold the eventfd @fd: as event_id(); the caller may close @fd then. */
int event_take(struct event *e, int fd);
void event_drop(struct event *e);

/** event_signal() - Add 1 to its counter, unless that is full. It does not block. Any thread. */
void event_signal(const struct event *e);

/** event_drain() - Read its counter. Return: whether it was above 0; it does not block for it. */
bool event_drain(const struct event *e);

/* ---- ioeventfd.c ---- */

struct ioeventfd;

struct ioeventfds {
	pthread_mutex_t lock; /* of the list */
	struct ioeventfd *list;
};

void ioeventfds_init(struct vm *vm);
/** ioeventfds_destroy() - When no vCPU runs any more. */
void ioeventfds_destroy(struct vm *vm);

/**
 * ioeventfd_request() - KVM_IOEVENTFD: a store of the guest signals an eventfd (api.rst 4.59).
 * @vm: the VM
 * @a:  flags, address, length (0: any), datamatch, descriptor
 *
 * As on Linux a store that matches is done then, without an exit; and with the flags of the buses
 * that arm64 does not have (PIO, VIRTIO_CCW_NOTIFY) the request is served but nothing ever matches.
 * When a deassignment returns, no vCPU is about to signal. Any thread.
 *
 * Return: 0; -EINVAL for a length, flag or range that is not allowed, or a descriptor that is no
 * eventfd's; -EBADF; -EEXIST when another would match what this one does; -ENOENT for a
 * deassignment of what is not there; -EMFILE, -ENOMEM.
 */
long ioeventfd_request(struct vm *vm, const struct kvm_ioeventfd *a);

/* ---- irqfd.c, routing.c ---- */

/**
 * struct irqchip - What irqfds ask of the interrupt controller inside the KVM.
 * @ready:   it is initialised
 * @set_irq: drive the line of an SPI: 0 or -errno. Any thread; irqfds.lock may be held
 * @set_eoi_notifier: from now on @notify is called when a level-sensitive SPI was deactivated; on
 *           the vCPU's thread, without a lock of the controller's: it calls @set_irq
 */
struct irqchip {
	bool (*ready)(const struct vm *vm);
	int (*set_irq)(struct vm *vm, unsigned int cpu, unsigned int intid, bool level);
	void (*set_eoi_notifier)(struct vm *vm, void (*notify)(struct vm *vm, unsigned int intid));
};

struct irqfd;
struct routing;

struct irqfds {
	const struct irqchip *_Atomic chip; /* NULL: none is inside the KVM. Written once */
	pthread_mutex_t lock;               /* of all that follows */
	struct routing *routing;            /* NULL: no GSI goes anywhere */
	struct irqfd **slot;                /* NULL where none is assigned */
	unsigned int nr_slots;
	_Atomic unsigned int nr_resample; /* of them */
	pthread_t thread;
	bool running;
	int epoll, stop;
};

void irqfds_init(struct vm *vm);
/** irqfds_destroy() - End the thread and let go of all eventfds. Before the irqchip ends. */
void irqfds_destroy(struct vm *vm);

/** irqfds_set_irqchip() - An interrupt controller was made in @vm. Once, under vm->lock. */
void irqfds_set_irqchip(struct vm *vm, const struct irqchip *chip);

/**
 * irqfd_request() - KVM_IRQFD: an eventfd raises an interrupt (api.rst 4.75).
 * @vm: the VM
 * @a:  flags, GSI, descriptors
 *
 * Each time that the eventfd's counter is above 0 it is read, and the line of the GSI rises and
 * falls. With KVM_IRQFD_FLAG_RESAMPLE the line stays high until the guest has deactivated the
 * interrupt: then it falls, and resamplefd is signalled, as are those of all other irqfds of the
 * GSI that have one. When a deassignment returns, no injection is under way. Any thread.
 *
 * Return: 0; -EINVAL for unknown flags and a descriptor that is no eventfd's; -EAGAIN before the
 * interrupt controller is initialised; -EBADF; -EBUSY for an eventfd that has an irqfd in this VM;
 * -EMFILE, -ENOMEM. To deassign what is not assigned is no error.
 */
long irqfd_request(struct vm *vm, const struct kvm_irqfd *a);

/**
 * routing_request() - KVM_SET_GSI_ROUTING: where GSIs go (api.rst 4.52).
 * @vm:      the VM
 * @r:       flags, and the number of entries
 * @entries: address of the first one, in the VMM's memory
 *
 * Return: 0; -EINVAL for flags, more than ROUTING_MAX entries, GSIs or pins beyond the last, kinds
 * of routes that arm64 has not, two routes of one GSI; -EFAULT; -ENOMEM: then nothing has changed.
 */
long routing_request(struct vm *vm, const struct kvm_irq_routing *r, uint64_t entries);

/**
 * routing_set_default() - GSI n is SPI n: when the interrupt controller is initialised.
 * @vm:      the VM
 * @nr_spis: that it has
 *
 * May be called under vm->lock. Return: 0 or -ENOMEM.
 */
int routing_set_default(struct vm *vm, unsigned int nr_spis);

/** routing_drive() - Drive the line that @gsi goes to, if any. Under irqfds.lock. */
void routing_drive(struct vm *vm, uint32_t gsi, bool level);

/** routing_gsi_of() - The GSI that goes to the SPI @intid, or -1. Under irqfds.lock. */
int64_t routing_gsi_of(const struct vm *vm, unsigned int intid);

void routing_destroy(struct vm *vm);

/**
 * msi_request() - KVM_SIGNAL_MSI: refused, as there is no ITS.
 *
 * Return: -EINVAL without an interrupt controller or for unknown flags; else -ENODEV.
 */
long msi_request(struct vm *vm, const struct kvm_msi *msi);

#define ROUTING_MAX 4096 /* KVM_CAP_IRQ_ROUTING: entries, and GSIs */

#endif
