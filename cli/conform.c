/* SPDX-License-Identifier: MIT */
/* armature conform: the suite of conform/ as a sub-command. */
#include "cli/commands.h"
#include "conform/conform.h"

int command_conform(int argc, char **argv)
{
	/* It takes its own name as the first argument, as a program does. */
	return conform_main(argc + 1, argv - 1);
}
