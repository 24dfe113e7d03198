/* SPDX-License-Identifier: MIT */
/*
 * The suite can fail: our KVM is broken in one way at a time (kvm/faults.c), and `conform` must
 * catch each, with the test that the fault's row names.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform/conform.h"
#include "kvm/faults.h"

#define SAID_MAX 65536

/* What becomes of `conform TEST` with row @f of the faults. */
enum verdict { PASSED, CAUGHT, BROKEN };

/* Caught is only what a check found, "# FILE:LINE: …"; a crash or a hang is not. */
static enum verdict verdict_of(int status, const char *said)
{
	const char *why = strstr(said, "\n# ");

	if (status == 0)
		return PASSED;
	return status == 1 && why && strstr(why, ".c:") ? CAUGHT : BROKEN;
}

static char said[SAID_MAX];

static enum verdict conform(unsigned int f, const char *test)
{
	char name[] = "conform", which[64];
	char *argv[] = {name, which, NULL};
	int file = memfd_create("said", MFD_CLOEXEC), out = dup(STDOUT_FILENO), status;
	ssize_t n;

	snprintf(which, sizeof(which), "%s", test);
	fflush(stdout);
	dup2(file, STDOUT_FILENO);
	fault_choose(f);
	status = conform_main(2, argv);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	n = pread(file, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(file);
	return verdict_of(status, said);
}

static int nr, failures;

static void result(bool ok, const char *what, const char *test)
{
	printf("%sok %d - %s (%s)\n", ok ? "" : "not ", ++nr, what, test);
	if (!ok)
		for (char *line = strtok(said, "\n"); line; line = strtok(NULL, "\n"))
			printf("# %s\n", line);
	fflush(stdout);
	failures += !ok;
}

int main(void)
{
	printf("TAP version 13\n1..%d\n", (int)(2 * (nr_faults - 1)));
	for (unsigned int i = 1; i < nr_faults; i++) {
		result(conform(i, faults[i].caught_by) == CAUGHT, faults[i].what,
		       faults[i].caught_by);
		result(conform(0, faults[i].caught_by) == PASSED, "… and it passes without that",
		       faults[i].caught_by);
	}
	return failures != 0;
}
