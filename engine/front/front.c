/* SPDX-License-Identifier: MIT */
/* Which front end a mode has: all guest code is A64 today. */
#include "engine/front/front.h"

const struct front *front_of(uint32_t mode)
{
	return &front_a64;
}
