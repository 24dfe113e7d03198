/* SPDX-License-Identifier: MIT */
/* Links: see links.h. */
#include "engine/back/back.h"
#include "engine/code/links.h"

void link_exit(struct code_cache *c, struct exit *x, struct translation *to)
{
	cache_lock(c);
	if (atomic_load(&x->from->page) && atomic_load(&to->page) && !x->to) {
		x->to = to;
		x->next = to->incoming;
		x->prev = &to->incoming;
		if (x->next)
			x->next->prev = &x->next;
		to->incoming = x;
		c->back->link(x);
	}
	cache_unlock(c);
}

void unlink_exit(struct code_cache *c, struct exit *x)
{
	c->back->unlink(x);
	*x->prev = x->next;
	if (x->next)
		x->next->prev = x->prev;
	x->to = NULL;
	c->work++;
}
