/* SPDX-License-Identifier: MIT */
/*
 * KVM_IOEVENTFD: stores of the guest that signal an eventfd and are done by that, without an exit.
 *
 * Each is a point on the bus (bus.c). At one address there may be several, of which at most one
 * matches any store: either one of length 0, for stores of every size; or, for each size, one
 * without datamatch or any number whose datamatches differ. Loads match none.
 *
 * Locks: ioeventfds.lock, and inside it bus.lock. An access takes neither, so that a deassignment
 * may wait for accesses under the lock.
 */
#include <stdlib.h>

#include "kvm/bus.h"
#include "kvm/eventfd.h"
#include "kvm/kvm.h"

/* The flag of the bus that @flags name, of which arm64 has none: of both it is the first. Or 0. */
static uint32_t other_bus(uint32_t flags)
{
	if (flags & KVM_IOEVENTFD_FLAG_PIO)
		return KVM_IOEVENTFD_FLAG_PIO;
	return flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY;
}

struct ioeventfd {
	struct bus_range range;
	struct event event;
	uint32_t len; /* 0: any */
	uint32_t other_bus;
	bool wildcard; /* whatever the data */
	uint64_t datamatch;
	struct ioeventfd *next;
};

void ioeventfds_init(struct vm *vm)
{
	pthread_mutex_init(&vm->ioeventfds.lock, NULL);
}

static void ioeventfd_free(struct ioeventfd *p)
{
	event_drop(&p->event);
	free(p);
}

void ioeventfds_destroy(struct vm *vm)
{
	struct ioeventfd *p;

	while ((p = vm->ioeventfds.list)) {
		vm->ioeventfds.list = p->next;
		ioeventfd_free(p);
	}
	pthread_mutex_destroy(&vm->ioeventfds.lock);
}

static bool ioeventfd_access(struct bus_range *r, struct vcpu *vcpu, uint64_t offset,
			     unsigned int size, bool write, uint64_t *data)
{
	const struct ioeventfd *p = (const struct ioeventfd *)r;

	if (!write || (p->len && p->len != size))
		return false;
	if (!p->wildcard && p->datamatch != *data)
		return false;
	event_signal(&p->event);
	return true;
}

static struct ioeventfd *ioeventfd_make(const struct kvm_ioeventfd *a)
{
	struct ioeventfd *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->range = (struct bus_range){.base = a->addr, .access = ioeventfd_access};
	p->len = a->len;
	p->other_bus = other_bus(a->flags);
	p->wildcard = !(a->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	p->datamatch = p->wildcard ? 0 : a->datamatch;
	return p;
}

/* Some store would match both. */
static bool collide(const struct ioeventfd *p, const struct ioeventfd *q)
{
	if (p->range.base != q->range.base || p->other_bus != q->other_bus)
		return false;
	if (!p->len || !q->len)
		return true;
	return p->len == q->len && (p->wildcard || q->wildcard || p->datamatch == q->datamatch);
}

static int insert(struct vm *vm, struct ioeventfd *p)
{
	struct ioeventfds *all = &vm->ioeventfds;
	struct ioeventfd *q;
	int ret = 0;

	for (q = all->list; q; q = q->next)
		if (collide(p, q))
			return -EEXIST;
	if (!p->other_bus)
		ret = bus_add(vm, &p->range);
	if (ret)
		return ret;
	p->next = all->list;
	all->list = p;
	return 0;
}

/* What Linux checks before it looks at the descriptor. */
static bool is_valid(const struct kvm_ioeventfd *a)
{
	if (a->len & (a->len - 1) || a->len > 8)
		return false;
	if (a->addr + a->len < a->addr || a->flags & ~(uint32_t)KVM_IOEVENTFD_VALID_FLAG_MASK)
		return false;
	return a->len || !(a->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
}

static long assign(struct vm *vm, const struct kvm_ioeventfd *a)
{
	struct ioeventfd *p;
	int ret;

	if (!is_valid(a))
		return -EINVAL;
	p = ioeventfd_make(a);
	if (!p)
		return -ENOMEM;
	ret = event_take(&p->event, a->fd);
	if (ret) {
		free(p);
		return ret;
	}
	pthread_mutex_lock(&vm->ioeventfds.lock);
	ret = insert(vm, p);
	pthread_mutex_unlock(&vm->ioeventfds.lock);
	if (ret)
		ioeventfd_free(p);
	return ret;
}

static bool is_named(const struct ioeventfd *p, const struct kvm_ioeventfd *a, uint64_t id)
{
	if (p->event.id != id || p->range.base != a->addr || p->len != a->len ||
	    p->other_bus != other_bus(a->flags))
		return false;
	if (p->wildcard || !(a->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))
		return p->wildcard && !(a->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	return p->datamatch == a->datamatch;
}

static long deassign(struct vm *vm, const struct kvm_ioeventfd *a)
{
	struct ioeventfds *all = &vm->ioeventfds;
	struct ioeventfd **at, *p;
	uint64_t id;
	int ret = event_id(a->fd, &id);

	if (ret)
		return ret;
	pthread_mutex_lock(&all->lock);
	for (at = &all->list; *at && !is_named(*at, a, id);)
		at = &(*at)->next;
	p = *at;
	if (p) {
		*at = p->next;
		if (!p->other_bus)
			bus_remove(vm, &p->range);
	}
	pthread_mutex_unlock(&all->lock);
	if (!p)
		return -ENOENT;
	ioeventfd_free(p);
	return 0;
}

long ioeventfd_request(struct vm *vm, const struct kvm_ioeventfd *a)
{
	return a->flags & KVM_IOEVENTFD_FLAG_DEASSIGN ? deassign(vm, a) : assign(vm, a);
}
