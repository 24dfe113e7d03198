/* SPDX-License-Identifier: MIT */
/* The suite as a program of its own, for the project's tests; users have `armature conform`. */
#include "conform/conform.h"

int main(int argc, char **argv)
{
	return conform_main(argc, argv);
}
