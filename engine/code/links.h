/* SPDX-License-Identifier: MIT */
/*
 * Links: an exit that has been taken remembers the translation that it led to.
 *
 * The exits that lead to a translation are a doubly linked list, so that one exit is taken out of
 * it in one step, however many others lead to the same place: a guest decides how many.
 */
#ifndef ENGINE_LINKS_H
#define ENGINE_LINKS_H

#include "engine/code/cache.h"

/*
 * Remember that @x leads to @to, unless @to or the exit's own translation was invalidated, or it is
 * linked already. Takes the lock.
 */
void link_exit(struct code_cache *c, struct exit *x, struct translation *to);

/* Undo it. Under the lock; @x is linked. */
void unlink_exit(struct code_cache *c, struct exit *x);

#endif
