/* SPDX-License-Identifier: MIT */
/*
 * KVM_IRQFD: eventfds that raise interrupts.
 *
 *     a device's thread, vhost … ── write() ──> eventfd ── epoll ──> the VM's thread ── routing.c
 *                                                                                          │
 *     resamplefd <── the line falls <── the guest deactivates <── irqchip <── the line rises
 *
 * One thread for each VM waits for all of its irqfds; it starts with the first.
 *
 * What must hold:
 *  - Whoever injects holds irqfds.lock, and so does whoever deassigns: when that returns, nothing
 *    is under way for the irqfd, and nothing will be.
 *  - What epoll says is a hint: the thread may have been told of a slot that is empty by now, or
 *    that another irqfd is in. An interrupt is injected only for a counter that was read and was
 *    not 0. So none is injected without a signal, and each signal is followed by an injection.
 *  - irqfds.lock is inside vm->lock and outside the locks of the irqchip.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kvm/eventfd.h"
#include "kvm/kvm.h"

#define EVENTS_AT_ONCE 16
#define SLOTS_AT_ONCE  16
#define STOP           UINT32_MAX /* the slot of irqfds.stop */

struct irqfd {
	struct event event;
	struct event resample; /* fd -1: none */
	uint32_t gsi;
};

void irqfds_init(struct vm *vm)
{
	pthread_mutex_init(&vm->irqfds.lock, NULL);
}

void irqfds_set_irqchip(struct vm *vm, const struct irqchip *chip)
{
	atomic_store(&vm->irqfds.chip, chip);
}

/* ---- Injection: under irqfds.lock ---- */

static void inject(struct vm *vm, const struct irqfd *p)
{
	routing_drive(vm, p->gsi, true);
	if (p->resample.fd < 0)
		routing_drive(vm, p->gsi, false);
}

static void look_at(struct vm *vm, uint32_t slot)
{
	const struct irqfd *p = slot < vm->irqfds.nr_slots ? vm->irqfds.slot[slot] : NULL;

	if (p && event_drain(&p->event))
		inject(vm, p);
}

static void *irqfd_thread(void *arg)
{
	struct vm *vm = arg;
	struct irqfds *all = &vm->irqfds;
	struct epoll_event e[EVENTS_AT_ONCE];
	bool stop = false;
	int i, n;

	thread_be_prompt();
	prctl(PR_SET_NAME, "armature-irqfd");
	while (!stop) {
		n = epoll_wait(all->epoll, e, EVENTS_AT_ONCE, -1);
		if (n < 0 && errno != EINTR)
			break; /* the VMM has closed what is not its own */
		pthread_mutex_lock(&all->lock);
		for (i = 0; i < n; i++) {
			stop |= e[i].data.u32 == STOP;
			look_at(vm, e[i].data.u32);
		}
		pthread_mutex_unlock(&all->lock);
	}
	return NULL;
}

/* ---- Resample ---- */

/*
 * The guest has deactivated an SPI. Its line falls once, and then all who share it are told: one
 * that asserts it again does so after the fall.
 */
static void deactivated(struct vm *vm, unsigned int intid)
{
	struct irqfds *all = &vm->irqfds;
	bool fallen = false;
	int64_t gsi;
	unsigned int i;

	if (!atomic_load(&all->nr_resample))
		return;
	pthread_mutex_lock(&all->lock);
	gsi = routing_gsi_of(vm, intid);
	for (i = 0; i < all->nr_slots; i++) {
		const struct irqfd *p = all->slot[i];

		if (!p || p->resample.fd < 0 || p->gsi != gsi)
			continue;
		if (!fallen)
			routing_drive(vm, p->gsi, false);
		fallen = true;
		event_signal(&p->resample);
	}
	pthread_mutex_unlock(&all->lock);
}

static bool shares_line(const struct irqfds *all, uint32_t gsi)
{
	unsigned int i;

	for (i = 0; i < all->nr_slots; i++)
		if (all->slot[i] && all->slot[i]->resample.fd >= 0 && all->slot[i]->gsi == gsi)
			return true;
	return false;
}

/* @p is assigned no more. The last of those that share a line lets go of it. */
static void end_resample(struct vm *vm, const struct irqfd *p)
{
	if (p->resample.fd < 0)
		return;
	atomic_fetch_sub(&vm->irqfds.nr_resample, 1);
	if (!shares_line(&vm->irqfds, p->gsi))
		routing_drive(vm, p->gsi, false);
}

/* ---- The thread's life: under irqfds.lock ---- */

static int watch(const struct irqfds *all, int fd, uint32_t slot)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u32 = slot};

	return epoll_ctl(all->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int start_thread(struct vm *vm)
{
	struct irqfds *all = &vm->irqfds;
	int ret;

	if (all->running)
		return 0;
	all->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (all->epoll < 0)
		return -errno;
	all->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (all->stop < 0) {
		ret = -errno;
		goto close_epoll;
	}
	ret = watch(all, all->stop, STOP);
	if (!ret)
		ret = thread_start(&all->thread, irqfd_thread, vm);
	if (ret)
		goto close_stop;
	atomic_load(&all->chip)->set_eoi_notifier(vm, deactivated);
	all->running = true;
	return 0;

close_stop:
	number_close(all->stop);
close_epoll:
	number_close(all->epoll);
	return ret;
}

static void irqfd_free(struct irqfd *p)
{
	if (p->event.fd >= 0)
		event_drop(&p->event);
	if (p->resample.fd >= 0)
		event_drop(&p->resample);
	free(p);
}

void irqfds_destroy(struct vm *vm)
{
	struct irqfds *all = &vm->irqfds;
	unsigned int i;

	if (all->running) {
		eventfd_write(all->stop, 1);
		pthread_join(all->thread, NULL);
		number_close(all->stop);
		number_close(all->epoll);
	}
	for (i = 0; i < all->nr_slots; i++)
		if (all->slot[i])
			irqfd_free(all->slot[i]);
	free(all->slot);
	routing_destroy(vm);
	pthread_mutex_destroy(&all->lock);
}

/* ---- Assignment ---- */

/* A slot that is empty, or -ENOMEM. */
static int64_t find_slot(struct irqfds *all)
{
	struct irqfd **more;
	unsigned int i;

	for (i = 0; i < all->nr_slots; i++)
		if (!all->slot[i])
			return i;
	more = realloc(all->slot, (all->nr_slots + SLOTS_AT_ONCE) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	all->slot = more;
	for (; i < all->nr_slots + SLOTS_AT_ONCE; i++)
		all->slot[i] = NULL;
	all->nr_slots = i;
	return i - SLOTS_AT_ONCE;
}

static bool is_assigned(const struct irqfds *all, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < all->nr_slots; i++)
		if (all->slot[i] && all->slot[i]->event.id == id)
			return true;
	return false;
}

/* What is signalled already, epoll shows at once. */
static int insert(struct vm *vm, struct irqfd *p)
{
	struct irqfds *all = &vm->irqfds;
	int64_t slot;
	int ret;

	if (is_assigned(all, p->event.id))
		return -EBUSY;
	ret = start_thread(vm);
	if (ret)
		return ret;
	slot = find_slot(all);
	if (slot < 0)
		return (int)slot;
	ret = watch(all, p->event.fd, (uint32_t)slot);
	if (ret)
		return ret;
	all->slot[slot] = p;
	atomic_fetch_add(&all->nr_resample, p->resample.fd >= 0);
	return 0;
}

static int take_events(struct irqfd *p, const struct kvm_irqfd *a)
{
	int ret = event_take(&p->event, (int)a->fd);

	if (ret) {
		p->event.fd = -1;
		return ret;
	}
	if (!(a->flags & KVM_IRQFD_FLAG_RESAMPLE))
		return 0;
	ret = event_take(&p->resample, (int)a->resamplefd);
	if (ret)
		p->resample.fd = -1;
	return ret;
}

static long assign(struct vm *vm, const struct kvm_irqfd *a)
{
	const struct irqchip *chip = atomic_load(&vm->irqfds.chip);
	struct irqfd *p;
	int ret;

	if (!chip || !chip->ready(vm))
		return -EAGAIN;
	p = malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct irqfd){.event.fd = -1, .resample.fd = -1, .gsi = a->gsi};
	ret = take_events(p, a);
	if (!ret) {
		pthread_mutex_lock(&vm->irqfds.lock);
		ret = insert(vm, p);
		pthread_mutex_unlock(&vm->irqfds.lock);
	}
	if (ret)
		irqfd_free(p);
	return ret;
}

/* What was signalled before is injected before: the thread may not have come to it yet. */
static void remove_slot(struct vm *vm, unsigned int slot)
{
	struct irqfd *p = vm->irqfds.slot[slot];

	look_at(vm, slot);
	epoll_ctl(vm->irqfds.epoll, EPOLL_CTL_DEL, p->event.fd, NULL);
	vm->irqfds.slot[slot] = NULL;
	end_resample(vm, p);
	irqfd_free(p);
}

static long deassign(struct vm *vm, const struct kvm_irqfd *a)
{
	struct irqfds *all = &vm->irqfds;
	unsigned int i;
	uint64_t id;
	int ret = event_id((int)a->fd, &id);

	if (ret)
		return ret;
	pthread_mutex_lock(&all->lock);
	for (i = 0; i < all->nr_slots; i++)
		if (all->slot[i] && all->slot[i]->event.id == id && all->slot[i]->gsi == a->gsi)
			remove_slot(vm, i);
	pthread_mutex_unlock(&all->lock);
	return 0;
}

long irqfd_request(struct vm *vm, const struct kvm_irqfd *a)
{
	if (a->flags & ~(uint32_t)(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	return a->flags & KVM_IRQFD_FLAG_DEASSIGN ? deassign(vm, a) : assign(vm, a);
}
