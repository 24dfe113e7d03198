/* SPDX-License-Identifier: MIT */
/*
 * Memory slots: what KVM_SET_USER_MEMORY_REGION makes, and the dirty log.
 *
 * vm->slots says, by number, what the VMM set; machine.mem.slots is the same, sorted by address, as
 * the CPU reads it without a lock. Both change under vm->slots_lock, the second only while the
 * machine is stopped; every change drops what the vCPUs know of the pages.
 *
 * Source: api.rst 4.35 and 4.8; errors as Linux 6.1 gives them.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/mem.h"
#include "cpu/tlb.h"
#include "engine/engine.h"
#include "kvm/kvm.h"

#define SLOT_FLAGS   (KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)
#define SLOT_ID_MASK 0xffffu
#define SLOT_AS(s)   ((s) >> 16) /* the address space; arm64 has one */

enum slot_change { SLOT_CREATE, SLOT_DELETE, SLOT_MOVE, SLOT_FLAGS_ONLY };

int memslot_init(struct vm *vm)
{
	vm->slots = calloc(KVM_NR_SLOTS, sizeof(*vm->slots));
	return vm->slots ? 0 : -ENOMEM;
}

static void slot_free(struct memslot *s)
{
	if (s)
		free((void *)s->dirty);
	free(s);
}

void memslot_destroy(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < KVM_NR_SLOTS; i++)
		slot_free(vm->slots[i]);
	free(vm->slots);
	free(vm->machine.mem.slots);
}

static size_t dirty_words(const struct memslot *s)
{
	return (s->size / KVM_PAGE_SIZE + 63) / 64;
}

/* What Linux checks before it looks at the slot itself. */
static int check_region(const struct kvm_userspace_memory_region *r)
{
	if (r->flags & ~SLOT_FLAGS)
		return -EINVAL;
	if ((r->memory_size | r->guest_phys_addr | r->userspace_addr) % KVM_PAGE_SIZE)
		return -EINVAL;
	if (r->userspace_addr + r->memory_size < r->userspace_addr ||
	    r->userspace_addr + r->memory_size > (uint64_t)INTPTR_MAX)
		return -EINVAL;
	if (SLOT_AS(r->slot) || (r->slot & SLOT_ID_MASK) >= KVM_NR_SLOTS)
		return -EINVAL;
	if (r->guest_phys_addr + r->memory_size < r->guest_phys_addr)
		return -EINVAL;
	if (r->memory_size / KVM_PAGE_SIZE > KVM_MAX_SLOT_PAGES)
		return -EINVAL;
	return 0;
}

static bool overlaps(struct vm *vm, const struct memslot *self, uint64_t gpa, uint64_t size)
{
	const struct mem_map *map = &vm->machine.mem;
	unsigned int i;

	for (i = 0; i < map->nr; i++) {
		const struct mem_slot *s = &map->slots[i];

		if (s->owner != self && gpa < s->gpa + s->size && s->gpa < gpa + size)
			return true;
	}
	return false;
}

static void map_remove(struct mem_map *map, const struct memslot *s)
{
	unsigned int i;

	for (i = 0; i < map->nr && map->slots[i].owner != s; i++)
		;
	if (i == map->nr)
		return;
	map->nr--;
	memmove(&map->slots[i], &map->slots[i + 1], (map->nr - i) * sizeof(map->slots[0]));
}

/* Room for it was made by map_reserve(). */
static void map_insert(struct mem_map *map, struct memslot *s)
{
	unsigned int i = map->nr;

	while (i && map->slots[i - 1].gpa > s->gpa)
		i--;
	memmove(&map->slots[i + 1], &map->slots[i], (map->nr - i) * sizeof(map->slots[0]));
	map->slots[i] = (struct mem_slot){
		.gpa = s->gpa,
		.size = s->size,
		.host = (uint8_t *)(uintptr_t)s->hva,
		.readonly = s->flags & KVM_MEM_READONLY,
		.dirty = s->dirty,
		.owner = s,
	};
	map->nr++;
}

/* A larger array with the same content, or NULL. */
static struct mem_slot *map_reserve(const struct mem_map *map)
{
	struct mem_slot *bigger = malloc((map->nr + 1) * sizeof(*bigger));

	if (bigger && map->nr)
		memcpy(bigger, map->slots, map->nr * sizeof(*bigger));
	return bigger;
}

/* A slot that stays logged keeps its log. */
static void take_over_log(struct memslot *new, struct memslot *old)
{
	if (!old || !new || !new->dirty || !old->dirty)
		return;
	free((void *)new->dirty);
	new->dirty = old->dirty;
	old->dirty = NULL;
}

/* Put @new (NULL: nothing) in the place of @old (NULL: nothing). */
static int replace(struct vm *vm, unsigned int id, struct memslot *old, struct memslot *new)
{
	struct mem_map *map = &vm->machine.mem;
	struct mem_slot *bigger = map_reserve(map), *unused;

	if (!bigger)
		return -ENOMEM;
	vm_stop(vm);
	take_over_log(new, old);
	unused = map->slots;
	map->slots = bigger;
	if (old)
		map_remove(map, old);
	if (new)
		map_insert(map, new);
	if (old)
		engine_memory_changed(&vm->machine, old->gpa, old->size);
	if (new && !(old && old->gpa == new->gpa))
		engine_memory_changed(&vm->machine, new->gpa, new->size);
	vm->slots[id] = new;
	vm_resume(vm);
	free(unused);
	slot_free(old);
	return 0;
}

static struct memslot *slot_make(const struct kvm_userspace_memory_region *r)
{
	struct memslot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->flags = r->flags;
	s->gpa = r->guest_phys_addr;
	s->size = r->memory_size;
	s->hva = r->userspace_addr;
	if (s->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		s->dirty = calloc(dirty_words(s), sizeof(*s->dirty));
		if (!s->dirty) {
			free(s);
			return NULL;
		}
	}
	return s;
}

static int set_slot(struct vm *vm, const struct kvm_userspace_memory_region *r)
{
	unsigned int id = r->slot & SLOT_ID_MASK;
	struct memslot *old = vm->slots[id], *new;
	uint64_t ipa_end = 1ull << vm->machine.mem.pa_bits;
	int ret;

	if (!r->memory_size)
		return old ? replace(vm, id, old, NULL) : -EINVAL;
	if (old) {
		if (r->userspace_addr != old->hva || r->memory_size != old->size ||
		    ((r->flags ^ old->flags) & KVM_MEM_READONLY))
			return -EINVAL;
		if (r->guest_phys_addr == old->gpa && r->flags == old->flags)
			return 0;
	}
	if (!(old && r->guest_phys_addr == old->gpa) &&
	    overlaps(vm, old, r->guest_phys_addr, r->memory_size))
		return -EEXIST;
	if (r->guest_phys_addr + r->memory_size > ipa_end)
		return -EFAULT;
	new = slot_make(r);
	if (!new)
		return -ENOMEM;
	ret = replace(vm, id, old, new);
	if (ret)
		slot_free(new);
	return ret;
}

/** memslot_set() - KVM_SET_USER_MEMORY_REGION: create, move, delete, or change the flags of a slot.
 */
int memslot_set(struct vm *vm, const struct kvm_userspace_memory_region *r)
{
	int ret = check_region(r);

	if (ret)
		return ret;
	pthread_mutex_lock(&vm->slots_lock);
	ret = set_slot(vm, r);
	pthread_mutex_unlock(&vm->slots_lock);
	return ret;
}

/* Take the log and start it again: the next write to each page must come by mem_mark_dirty(). */
static void take_log(struct vm *vm, struct memslot *s, uint64_t *to)
{
	size_t i, n = dirty_words(s);
	bool any = false;
	unsigned int v;

	vm_stop(vm);
	for (i = 0; i < n; i++) {
		to[i] = atomic_exchange(&s->dirty[i], 0);
		any |= to[i] != 0;
	}
	for (v = 0; any && v < vm->nr_vcpus; v++)
		tlb_flush_pa(vm->vcpus[v]->cpu, s->gpa, s->size);
	vm_resume(vm);
}

/** memslot_get_dirty_log() - KVM_GET_DIRTY_LOG: a bit for each page written since the last call. */
int memslot_get_dirty_log(struct vm *vm, const struct kvm_dirty_log *log)
{
	unsigned int id = log->slot & SLOT_ID_MASK;
	struct memslot *s;
	uint64_t *copy;
	int ret = -ENOENT;

	if (SLOT_AS(log->slot) || id >= KVM_NR_SLOTS)
		return -EINVAL;
	pthread_mutex_lock(&vm->slots_lock);
	s = vm->slots[id];
	if (s && s->dirty) {
		copy = malloc(dirty_words(s) * sizeof(*copy));
		ret = -ENOMEM;
		if (copy) {
			take_log(vm, s, copy);
			ret = copy_out((uintptr_t)log->dirty_bitmap, copy,
				       dirty_words(s) * sizeof(*copy));
		}
		free(copy);
	}
	pthread_mutex_unlock(&vm->slots_lock);
	return ret;
}
