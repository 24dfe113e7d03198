/* SPDX-License-Identifier: MIT */
/* The back ends by name; the first one is the default. */
#include <string.h>

#include "engine/back/back.h"

static const struct backend *const backends[] = {
	&back_exec,
};

const struct backend *back_find(const char *name)
{
	if (!name || !*name)
		return backends[0];
	for (unsigned int i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	return NULL;
}
