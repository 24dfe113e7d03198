/* SPDX-License-Identifier: MIT */
/*
 * The bus: which accesses outside memory the KVM serves itself, without a return to the VMM.
 *
 *     the guest's access ── machine_ops.mmio ── bus_access() ──┬─> an ioeventfd: ioeventfd.c
 *                                                              ├─> a register frame of a device
 *                                                              └─> nobody: CPU_EXIT_MMIO
 *
 * Readers (vCPUs, at each access) take no lock. What is on the bus is a map that never changes: a
 * writer makes a new one, publishes it, and lets go of the old one when nobody can be in it.
 *
 *     a vCPU                                a writer, with bus->lock
 *     (1) says that it is on the bus        (1) publishes the new map
 *     (2) takes the map, calls access()     (2) waits for each vCPU that says so
 *     (3) says that it is not               (3) frees the old map
 *
 * Between (1) and (2) of both stands a full barrier. So either the writer sees the vCPU, and waits
 * for it, or the vCPU sees the new map. A vCPU that enters the bus again and again may keep a
 * writer waiting that never happens to look in between: each entry is a number of its own, and the
 * writer waits only for the entry that it saw first.
 *
 * Whoever adds a range does not wait, so that it may hold any lock: the old map is retired, and
 * freed when nobody is in it. The map that was retired last is kept: it has room for all ranges but
 * one, so that a removal, which cannot fail, needs no memory.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/bus.h"
#include "kvm/kvm.h"

/* What a vCPU that is on the bus says: odd, and another one each time. */
#define ON_BUS 1u

struct bus_entry {
	uint64_t base;
	struct bus_range *range;
};

/* First the points, then the other ranges, each sorted by base. Points of one base: as added. */
struct bus_map {
	struct bus_map *next; /* of those that are retired */
	unsigned int nr, nr_points;
	struct bus_entry entry[];
};

void bus_init(struct vm *vm)
{
	pthread_mutex_init(&vm->bus.lock, NULL);
}

static void free_maps(struct bus_map *map)
{
	while (map) {
		struct bus_map *next = map->next;

		free(map);
		map = next;
	}
}

void bus_destroy(struct vm *vm)
{
	free(atomic_load(&vm->bus.map));
	free_maps(vm->bus.retired);
	pthread_mutex_destroy(&vm->bus.lock);
}

/* ---- Readers ---- */

/* The first of entry[i..end) whose base is above @pa, or @end. */
static unsigned int above(const struct bus_map *map, unsigned int i, unsigned int end, uint64_t pa)
{
	while (i < end) {
		unsigned int middle = (i + end) / 2;

		if (map->entry[middle].base <= pa)
			i = middle + 1;
		else
			end = middle;
	}
	return i;
}

static bool ask_points(const struct bus_map *map, struct vcpu *vcpu, uint64_t pa, unsigned int size,
		       bool write, uint64_t *data)
{
	unsigned int i = pa ? above(map, 0, map->nr_points, pa - 1) : 0;

	for (; i < map->nr_points && map->entry[i].base == pa; i++) {
		struct bus_range *r = map->entry[i].range;

		if (r->access(r, vcpu, 0, size, write, data))
			return true;
	}
	return false;
}

static bool ask_range(const struct bus_map *map, struct vcpu *vcpu, uint64_t pa, unsigned int size,
		      bool write, uint64_t *data)
{
	unsigned int i = above(map, map->nr_points, map->nr, pa);
	struct bus_range *r;

	if (i == map->nr_points)
		return false;
	r = map->entry[i - 1].range;
	if (pa - r->base >= r->size || size > r->size - (pa - r->base))
		return false;
	return r->access(r, vcpu, pa - r->base, size, write, data);
}

bool bus_access(struct vcpu *vcpu, uint64_t pa, unsigned int size, bool write, uint64_t *data)
{
	struct bus *bus = &vcpu->vm->bus;
	const struct bus_map *map;
	uint32_t entry;
	bool done;

	if (!atomic_load_explicit(&bus->map, memory_order_relaxed))
		return false; /* nobody ever put a range here that this vCPU could know of */
	entry = atomic_load_explicit(&vcpu->on_bus, memory_order_relaxed) + ON_BUS;
	atomic_store(&vcpu->on_bus, entry);
	map = atomic_load(&bus->map);
	done = map && (ask_points(map, vcpu, pa, size, write, data) ||
		       ask_range(map, vcpu, pa, size, write, data));
	atomic_store_explicit(&vcpu->on_bus, entry + ON_BUS, memory_order_release);
	return done;
}

/* ---- Writers: under bus->lock ---- */

/* @vcpu is where it was when it said @entry. */
static bool still_there(struct vcpu *vcpu, uint32_t entry)
{
	return (entry & ON_BUS) && atomic_load(&vcpu->on_bus) == entry;
}

/* No vCPU is in a map that was published before; with @wait, until it is so. */
static bool readers_gone(struct vm *vm, bool wait)
{
	unsigned int i, n = atomic_load(&vm->nr_vcpus);

	for (i = 0; i < n; i++) {
		uint32_t entry = atomic_load(&vm->vcpus[i]->on_bus);

		while (still_there(vm->vcpus[i], entry)) {
			if (!wait)
				return false;
			sched_yield();
		}
	}
	return true;
}

static void publish(struct vm *vm, struct bus_map *map, bool wait)
{
	struct bus *bus = &vm->bus;
	struct bus_map *old = atomic_exchange(&bus->map, map);

	if (old) {
		old->next = bus->retired;
		bus->retired = old;
	}
	if (readers_gone(vm, wait) && bus->retired) {
		free_maps(bus->retired->next);
		bus->retired->next = NULL;
	}
}

static struct bus_map *make_map(unsigned int nr)
{
	return calloc(1, sizeof(struct bus_map) + nr * sizeof(struct bus_entry));
}

/* @r does not overlap its neighbours: the one before entry[at], and the one there. */
static bool fits(const struct bus_map *map, unsigned int at, const struct bus_range *r)
{
	if (at > map->nr_points) {
		const struct bus_range *before = map->entry[at - 1].range;

		if (r->base - before->base < before->size)
			return false;
	}
	return at == map->nr || map->entry[at].base - r->base >= r->size;
}

static int add(struct vm *vm, struct bus_range *r)
{
	static const struct bus_map empty;
	const struct bus_map *old = atomic_load(&vm->bus.map);
	struct bus_map *new;
	unsigned int at;

	if (!old)
		old = &empty;
	at = r->size ? above(old, old->nr_points, old->nr, r->base)
		     : above(old, 0, old->nr_points, r->base);
	if (r->size && !fits(old, at, r))
		return -EEXIST;
	new = make_map(old->nr + 1);
	if (!new)
		return -ENOMEM;
	new->nr = old->nr + 1;
	new->nr_points = old->nr_points + !r->size;
	memcpy(new->entry, old->entry, at * sizeof(old->entry[0]));
	new->entry[at] = (struct bus_entry){r->base, r};
	memcpy(new->entry + at + 1, old->entry + at, (old->nr - at) * sizeof(old->entry[0]));
	publish(vm, new, false);
	return 0;
}

int bus_add(struct vm *vm, struct bus_range *r)
{
	int ret;

	if (r->size && r->base + (r->size - 1) < r->base)
		return -EINVAL;
	pthread_mutex_lock(&vm->bus.lock);
	ret = add(vm, r);
	pthread_mutex_unlock(&vm->bus.lock);
	return ret;
}

/* Where @r is; it is there. */
static unsigned int find(const struct bus_map *map, const struct bus_range *r)
{
	unsigned int i = r->size ? map->nr_points : 0;

	while (map->entry[i].range != r)
		i++;
	return i;
}

/* The map that was retired last, with what is on the bus but for @r. */
static struct bus_map *without(struct bus *bus, const struct bus_range *r)
{
	const struct bus_map *old = atomic_load(&bus->map);
	struct bus_map *new = bus->retired;
	unsigned int at = find(old, r);

	if (old->nr == 1)
		return NULL;
	bus->retired = new->next;
	new->nr = old->nr - 1;
	new->nr_points = old->nr_points - !r->size;
	memcpy(new->entry, old->entry, at * sizeof(old->entry[0]));
	memcpy(new->entry + at, old->entry + at + 1, (new->nr - at) * sizeof(old->entry[0]));
	return new;
}

void bus_remove(struct vm *vm, struct bus_range *r)
{
	pthread_mutex_lock(&vm->bus.lock);
	readers_gone(vm, true); /* from the retired maps */
	publish(vm, without(&vm->bus, r), true);
	pthread_mutex_unlock(&vm->bus.lock);
}
