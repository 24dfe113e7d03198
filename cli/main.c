/* SPDX-License-Identifier: MIT */
/* armature: finds the sub-command. */
#include "cli/commands.h"
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"run", command_run, "boot an arm64 guest, its interrupt controller in user space"},
	{"exec", command_exec, "run a program whose /dev/kvm is armature's"},
	{"conform", command_conform,
	 "test a KVM against the user-space interrupt ABI, sentence by sentence"},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	printf("usage: armature COMMAND [OPTION...]\n"
	       "       armature --help | --version\n\n"
	       "KVM for arm64 guests in user space, with the interrupt controller in user space "
	       "too.\n"
	       "\ncommands:\n");
	for (unsigned int i = 0; i < NR_COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	printf("\n'armature COMMAND --help' tells more of each.\n");
	return EXIT_SUCCESS;
}

static const char *command_name(const void *names, unsigned int i)
{
	return ((const struct command *)names)[i].name;
}

static int unknown(const char *typed)
{
	const char *near = nearest_name(typed, NR_COMMANDS, command_name, commands);

	if (typed[0] == '-')
		complain("unknown option '%s'; --help and --version are known here", typed);
	else if (near)
		complain("unknown command '%s'; did you mean '%s'?", typed, near);
	else
		complain("unknown command '%s'; --help lists them", typed);
	return EXIT_USAGE;
}

static int command(int argc, char **argv)
{
	if (argc < 2) {
		complain("a command is needed, as in 'armature run -k Image'; --help lists them");
		return EXIT_USAGE;
	}
	if (argc > 2 && argv[1][0] == '-') {
		complain("after '%s' nothing is expected, not '%s'", argv[1], argv[2]);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help();
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("armature " ARMATURE_VERSION "\n");
		return EXIT_SUCCESS;
	}
	for (unsigned int i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].main(argc - 2, argv + 2);
	}
	return unknown(argv[1]);
}

int main(int argc, char **argv)
{
	int status = command(argc, argv);

	/* A result that nobody gets is none. */
	if ((fflush(stdout) || ferror(stdout)) && !status) {
		complain("standard output: %s", strerror(errno ? errno : EIO));
		status = EXIT_USAGE;
	}
	return status;
}
