/* SPDX-License-Identifier: MIT */
/*
 * The sub-commands. Each lives in a file of its own and has a row in the table of main.c.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#define EXIT_USAGE 2

/* @argv: the arguments after the command's name. Return: the exit status. */
int command_run(int argc, char **argv);
int command_conform(int argc, char **argv);
int command_exec(int argc, char **argv);

#endif
