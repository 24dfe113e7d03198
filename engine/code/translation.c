/* SPDX-License-Identifier: MIT */
/* Making translations: see translation.h. */
#include <stdlib.h>
#include <string.h>

#include "engine/code/translation.h"

struct translation *translation_create(const struct ir_block *b, const uint8_t *guest, size_t own,
				       unsigned int nr_exits)
{
	size_t exits = (own + _Alignof(struct exit) - 1) & ~(_Alignof(struct exit) - 1);
	size_t bytes = exits + nr_exits * sizeof(struct exit);
	uint16_t guest_size = b->guest_size;
	struct translation *t = calloc(1, bytes + guest_size);

	if (!t)
		return NULL;
	t->mode = b->mode;
	t->size = (uint32_t)(bytes + guest_size);
	t->offset = (uint16_t)b->pc_offset;
	t->first = (uint16_t)((int64_t)b->pc_offset + b->guest_first);
	t->guest_size = guest_size;
	t->nr_insns = b->nr_insns;
	t->nr_exits = (uint16_t)nr_exits;
	t->exits = (struct exit *)((char *)t + exits);
	t->guest = (uint8_t *)t + bytes;
	for (unsigned int i = 0; i < nr_exits; i++)
		t->exits[i].from = t;
	memcpy(t->guest, guest + b->guest_first, guest_size);
	return t;
}
