/* SPDX-License-Identifier: MIT */
/*
 * Memory slots: what KVM_SET_USER_MEMORY_REGION makes, and the dirty log.
 *
 * vm->slots has them by number, machine.mem by address, as the CPU reads it without a lock. Both
 * change under vm->slots_lock, the second only while the machine is stopped. Every change that
 * takes something away has each vCPU forget the pages before it runs again; its TLB is its own
 * thread's, which may be at work on it outside the guest (tlb_post()). A change costs O(log n) of n
 * slots.
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

int memslot_init(struct vm *vm)
{
	vm->slots = calloc(KVM_NR_SLOTS, sizeof(*vm->slots));
	return vm->slots ? 0 : -ENOMEM;
}

static void slot_free(struct memslot *s)
{
	if (s)
		free((void *)s->mem.dirty);
	free(s);
}

void memslot_destroy(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < KVM_NR_SLOTS; i++)
		slot_free(vm->slots[i]);
	free(vm->slots);
}

static size_t dirty_words(const struct memslot *s)
{
	return (s->mem.size / KVM_PAGE_SIZE + 63) / 64;
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

/* Does [gpa, gpa + size) overlap a slot other than @self? */
static bool overlaps(struct vm *vm, const struct memslot *self, uint64_t gpa, uint64_t size)
{
	const struct mem_map *map = &vm->machine.mem;
	const struct mem_slot *s = mem_next(map, gpa);

	if (s && self && s == &self->mem)
		s = mem_next(map, mem_slot_end(s));
	return s && s->gpa < gpa + size;
}

/* A slot that stays logged keeps its log. */
static void take_over_log(struct memslot *new, struct memslot *old)
{
	if (!old || !new || !new->mem.dirty || !old->mem.dirty)
		return;
	free((void *)new->mem.dirty);
	new->mem.dirty = old->mem.dirty;
	old->mem.dirty = NULL;
}

/*
 * @new (NULL: nothing) takes the place of @old. No vCPU may reach memory that is not there any
 * more, nor find its translations; where only the flags change, a store has to be seen.
 */
static void forget(struct vm *vm, const struct memslot *old, const struct memslot *new)
{
	const struct mem_slot *s = &old->mem;

	if (!new)
		engine_memory_changed(&vm->machine, s->gpa, s->size);
	else if (new->mem.gpa != s->gpa)
		tlb_post(&vm->machine, &(struct tlb_op){.kind = TLB_OP_ALL});
	else
		tlb_post(&vm->machine,
			 &(struct tlb_op){.kind = TLB_OP_CLEAN, .va = s->gpa, .len = s->size});
}

/*
 * Put @new (NULL: nothing) in the place of @old (NULL: nothing). A slot that is new needs no more:
 * nobody remembers that there was no memory.
 */
static void replace(struct vm *vm, unsigned int id, struct memslot *old, struct memslot *new)
{
	struct mem_map *map = &vm->machine.mem;

	vm_stop(vm);
	take_over_log(new, old);
	if (old) {
		forget(vm, old, new);
		mem_remove(map, &old->mem);
	}
	if (new)
		mem_insert(map, &new->mem);
	vm->slots[id] = new;
	vm_resume(vm);
	slot_free(old);
}

static struct memslot *slot_make(const struct kvm_userspace_memory_region *r)
{
	struct memslot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->flags = r->flags;
	s->mem.gpa = r->guest_phys_addr;
	s->mem.size = r->memory_size;
	s->mem.host = (uint8_t *)(uintptr_t)r->userspace_addr;
	s->mem.readonly = r->flags & KVM_MEM_READONLY;
	if (s->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		s->mem.dirty = calloc(dirty_words(s), sizeof(*s->mem.dirty));
		if (!s->mem.dirty) {
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
	bool stays = old && r->guest_phys_addr == old->mem.gpa;

	if (!r->memory_size) {
		if (!old)
			return -EINVAL;
		replace(vm, id, old, NULL);
		return 0;
	}
	if (old) {
		if (r->userspace_addr != (uintptr_t)old->mem.host ||
		    r->memory_size != old->mem.size || ((r->flags ^ old->flags) & KVM_MEM_READONLY))
			return -EINVAL;
		if (stays && r->flags == old->flags)
			return 0;
	}
	if (!stays && overlaps(vm, old, r->guest_phys_addr, r->memory_size))
		return -EEXIST;
	if (r->guest_phys_addr + r->memory_size > ipa_end)
		return -EFAULT;
	new = slot_make(r);
	if (!new)
		return -ENOMEM;
	replace(vm, id, old, new);
	return 0;
}

/* KVM_SET_USER_MEMORY_REGION: create, move or delete a slot, or change its flags. */
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

/*
 * Take the log and start it again: the next write to each page must come by mem_mark_dirty(). No
 * store is under way while the machine is stopped: what was written is in this log, and what will
 * be is in the next, as each vCPU drops its write tags before it runs again.
 */
static void take_log(struct vm *vm, struct memslot *s, uint64_t *to)
{
	size_t i, n = dirty_words(s);
	bool any = false;

	vm_stop(vm);
	for (i = 0; i < n; i++) {
		to[i] = atomic_exchange(&s->mem.dirty[i], 0);
		any |= to[i] != 0;
	}
	if (any)
		tlb_post(&vm->machine, &(struct tlb_op){.kind = TLB_OP_CLEAN,
							.va = s->mem.gpa,
							.len = s->mem.size});
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
	if (s && s->mem.dirty) {
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
