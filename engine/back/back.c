/* SPDX-License-Identifier: MIT */
/* The back ends, the best one first. */
#include <string.h>

#include "engine/back/back.h"

static const struct backend *const backends[] = {
#ifdef __x86_64__
	&back_x64,
#endif
	&back_exec,
};

#define NR_BACKENDS (sizeof(backends) / sizeof(backends[0]))

const struct backend *back_nth(unsigned int n)
{
	return n < NR_BACKENDS ? backends[n] : NULL;
}

/* What the portable executor was called once. */
static const char *now_called(const char *name)
{
	return strcmp(name, "exec") ? name : back_exec.name;
}

const struct backend *back_find(const char *name)
{
	for (unsigned int i = 0; i < NR_BACKENDS; i++)
		if (!strcmp(backends[i]->name, now_called(name)))
			return backends[i];
	return NULL;
}
