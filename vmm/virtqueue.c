/* SPDX-License-Identifier: MIT */
/* A split virtqueue, seen from the device. Both sides are little-endian (VIRTIO 1.2, 1.4). */
#include "vmm/virtqueue.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define DESC_F_NEXT     1
#define DESC_F_WRITE    2
#define DESC_F_INDIRECT 4

#define AVAIL_F_NO_INTERRUPT 1

#define DESC_ALIGN  16
#define AVAIL_ALIGN 2
#define USED_ALIGN  4

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct ring { /* the head of both rings */
	uint16_t flags;
	uint16_t idx;
};

struct used_elem {
	uint32_t id;
	uint32_t len;
};

static uint64_t avail_size(uint32_t num)
{
	return sizeof(struct ring) + num * sizeof(uint16_t) + sizeof(uint16_t);
}

static uint64_t used_size(uint32_t num)
{
	return sizeof(struct ring) + num * sizeof(struct used_elem) + sizeof(uint16_t);
}

static uint16_t *avail_entry(const struct virtqueue *queue, uint32_t index)
{
	return (uint16_t *)((uint8_t *)queue->avail + sizeof(struct ring)) + index;
}

/* The word after the available ring: when the driver wants its interrupt. */
static uint16_t *used_event(const struct virtqueue *queue)
{
	return avail_entry(queue, queue->num);
}

static struct used_elem *used_entry(const struct virtqueue *queue, uint32_t index)
{
	return (struct used_elem *)((uint8_t *)queue->used + sizeof(struct ring)) + index;
}

/* The word after the used ring: when the device wants its notification. */
static uint16_t *avail_event(const struct virtqueue *queue)
{
	return (uint16_t *)used_entry(queue, queue->num);
}

static uint16_t load16(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static void store16(uint16_t *p, uint16_t value)
{
	__atomic_store_n(p, htole16(value), __ATOMIC_RELEASE);
}

static int fail(struct virtqueue *queue, const char *error)
{
	queue->error = error;
	return -EINVAL;
}

void virtqueue_reset(struct virtqueue *queue)
{
	memset(queue, 0, sizeof(*queue));
}

int virtqueue_start(struct virtqueue *queue, const struct vmm_memory *mem)
{
	if (!queue->num || queue->num > VIRTQUEUE_MAX || (queue->num & (queue->num - 1)))
		return fail(queue, "the queue's size is not a power of two that the device has");
	if (queue->desc_addr % DESC_ALIGN || queue->driver_addr % AVAIL_ALIGN ||
	    queue->device_addr % USED_ALIGN)
		return fail(queue, "a part of the queue is not aligned");
	queue->desc = vmm_memory_at(mem, queue->desc_addr, queue->num * sizeof(struct desc));
	queue->avail = vmm_memory_at(mem, queue->driver_addr, avail_size(queue->num));
	queue->used = vmm_memory_at(mem, queue->device_addr, used_size(queue->num));
	if (!queue->desc || !queue->avail || !queue->used)
		return fail(queue, "the queue is outside memory");
	queue->last_avail = queue->used_idx = queue->signalled = 0;
	queue->ready = true;
	return 0;
}

/* One buffer of a chain. Those that the device writes come after those that it reads. */
static int add_buffer(struct virtqueue *queue, const struct vmm_memory *mem,
		      struct virtqueue_chain *chain, const struct desc *desc)
{
	const unsigned int n = chain->nr_in + chain->nr_out;
	void *host = vmm_memory_at(mem, desc->addr, desc->len);

	if (!desc->len)
		return fail(queue, "a descriptor of length 0");
	if (!host)
		return fail(queue, "a descriptor outside memory");
	if (n == VIRTQUEUE_MAX)
		return fail(queue, "a chain longer than the queue");
	if (desc->flags & DESC_F_WRITE)
		chain->nr_out++;
	else if (chain->nr_out)
		return fail(queue, "a readable descriptor after a writable one");
	else
		chain->nr_in++;
	chain->iov[n].iov_base = host;
	chain->iov[n].iov_len = desc->len;
	return 0;
}

static void load_desc(const struct desc *table, uint32_t index, struct desc *desc)
{
	struct desc raw;

	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* once: what is checked is what is used */
	memcpy(&raw, &table[index], sizeof(raw));
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	desc->addr = le64toh(raw.addr);
	desc->len = le32toh(raw.len);
	desc->flags = le16toh(raw.flags);
	desc->next = le16toh(raw.next);
}

/* Follows a chain through a table of @num descriptors; a loop is a chain longer than its table. */
static int walk(struct virtqueue *queue, const struct vmm_memory *mem,
		struct virtqueue_chain *chain, const struct desc *table, uint32_t num,
		uint32_t index, bool is_indirect)
{
	struct desc desc;
	int err;

	for (uint32_t length = 0; length < num; length++) {
		if (index >= num)
			return fail(queue, "a descriptor index outside its table");
		load_desc(table, index, &desc);
		if (desc.flags & DESC_F_INDIRECT) {
			void *host = vmm_memory_at(mem, desc.addr, desc.len);

			if (is_indirect || !queue->indirect)
				return fail(queue, "an indirect descriptor where none may be");
			if (desc.flags & DESC_F_NEXT)
				return fail(queue, "an indirect descriptor with a next one");
			if (!host || !desc.len || desc.len % sizeof(desc))
				return fail(queue, "an indirect table that is no table in memory");
			return walk(queue, mem, chain, host, desc.len / (uint32_t)sizeof(desc), 0,
				    true);
		}
		err = add_buffer(queue, mem, chain, &desc);
		if (err)
			return err;
		if (!(desc.flags & DESC_F_NEXT))
			return 0;
		index = desc.next;
	}
	return fail(queue, "a loop of descriptors");
}

int virtqueue_pop(struct virtqueue *queue, const struct vmm_memory *mem,
		  struct virtqueue_chain *chain)
{
	const uint16_t idx = load16(&((struct ring *)queue->avail)->idx);
	const uint16_t waiting = (uint16_t)(idx - queue->last_avail);
	int err;

	if (!waiting)
		return 0;
	if (waiting > queue->num)
		return fail(queue, "more requests than the queue has entries");
	chain->head = load16(avail_entry(queue, queue->last_avail & (queue->num - 1)));
	chain->nr_in = chain->nr_out = 0;
	err = walk(queue, mem, chain, queue->desc, queue->num, chain->head, false);
	if (err)
		return err;
	queue->last_avail++;
	return 1;
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	struct used_elem *elem = used_entry(queue, queue->used_idx & (queue->num - 1));

	elem->id = htole32(head);
	elem->len = htole32(written);
	queue->used_idx++;
	store16(&((struct ring *)queue->used)->idx, queue->used_idx);
}

/* VIRTIO 1.2, 2.7.7.2 and 2.7.10: with event_idx only when used_event has been passed. */
bool virtqueue_should_signal(struct virtqueue *queue)
{
	const uint16_t new = queue->used_idx, old = queue->signalled;

	if (new == old)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* the used index before what the driver says */
	queue->signalled = new;
	if (!queue->event_idx)
		return !(load16(&((struct ring *)queue->avail)->flags) & AVAIL_F_NO_INTERRUPT);
	return (uint16_t)(new - load16(used_event(queue)) - 1) < (uint16_t)(new - old);
}

void virtqueue_enable_notify(struct virtqueue *queue)
{
	if (queue->event_idx)
		store16(avail_event(queue), queue->last_avail);
	else
		store16(&((struct ring *)queue->used)->flags, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* before the available index is read again */
}
