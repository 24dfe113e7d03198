/* SPDX-License-Identifier: MIT */
/*
 * The suite can fail: our KVM is broken in one way at a time (kvm/faults.c), and `conform` must
 * catch each, with the test that the fault's row names.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "conform/conform.h"
#include "kvm/faults.h"

/* Exit status of `conform TEST` with @f in force, its output thrown away. */
static int conform(unsigned int f, const char *test)
{
	char name[] = "conform", which[64];
	char *argv[] = {name, which, NULL};
	int null = open("/dev/null", O_WRONLY), out = dup(STDOUT_FILENO), status;

	snprintf(which, sizeof(which), "%s", test);
	fflush(stdout);
	dup2(null, STDOUT_FILENO);
	fault_choose(f);
	status = conform_main(2, argv);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(null);
	close(out);
	return status;
}

static int nr, failures;

static void result(bool ok, const char *what, const char *test)
{
	printf("%sok %d - %s (%s)\n", ok ? "" : "not ", ++nr, what, test);
	fflush(stdout);
	failures += !ok;
}

int main(void)
{
	printf("TAP version 13\n1..%d\n", (int)(2 * (nr_faults - 1)));
	for (unsigned int i = 1; i < nr_faults; i++) {
		result(conform(i, faults[i].caught_by) == 1, faults[i].what, faults[i].caught_by);
		result(conform(0, faults[i].caught_by) == 0, "… and it passes without that",
		       faults[i].caught_by);
	}
	return failures != 0;
}
