/* SPDX-License-Identifier: MIT */
/*
 * armature exec: starts a program in which /dev/kvm is libarmature's.
 *
 * All there is to do is to find the door (libarmature-door.so), to look whether it can be preloaded
 * into the program, and to execute that in this process: no process stays in between, so the
 * program's exit status, its terminal and its signals are its own.
 */
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/program.h"
#include "door/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <armature/kvm_arm64.h>

#define DOOR_FILE       "libarmature-door.so"
#define DOORS           "/armature" /* the folder of doors, below the libraries' */
#define FOREIGN         "aarch64"
#define DOOR_DIR        "ARMATURE_DOOR_DIR"
#define EMULATOR        "qemu-aarch64"
#define EXIT_NO_PROGRAM 126 /* as a shell has it */
#define EXIT_NOT_FOUND  127

struct settings {
	bool trap, force, help;
	const char *kvm, *log, *door_dir, *sysroot;
};

static int set_trap(void *opaque, const char *value)
{
	((struct settings *)opaque)->trap = true;
	return 0;
}

static int set_force(void *opaque, const char *value)
{
	((struct settings *)opaque)->force = true;
	return 0;
}

static int set_kvm(void *opaque, const char *value)
{
	((struct settings *)opaque)->kvm = value;
	return 0;
}

static int set_log(void *opaque, const char *value)
{
	((struct settings *)opaque)->log = value;
	return 0;
}

static int set_door_dir(void *opaque, const char *value)
{
	((struct settings *)opaque)->door_dir = value;
	return 0;
}

static int set_sysroot(void *opaque, const char *value)
{
	((struct settings *)opaque)->sysroot = value;
	return 0;
}

static int set_help(void *opaque, const char *value)
{
	((struct settings *)opaque)->help = true;
	return 0;
}

static const struct option_row rows[] = {
	{"log", 'l', "FILE", "write each request to a KVM, a line each, to the end of FILE",
	 set_log},
	{"trap", 't', NULL, "also serve system calls that the program makes itself, as Go does",
	 set_trap},
	{"kvm", 0, "PATH", "use Linux's KVM by this path; for --log", set_kvm},
	{"force", 'f', NULL, "use armature's KVM though the host has one for arm64", set_force},
	{"sysroot", 0, "DIR", "where an arm64 program's loader and libraries are (qemu's -L)",
	 set_sysroot},
	{"door-dir", 0, "DIR", "where " DOOR_FILE " is", set_door_dir},
	{"help", 'h', NULL, "print this", set_help},
	{0},
};

static int help(void)
{
	printf("usage: armature exec [OPTION...] [--] COMMAND [ARGUMENT...]\n\n"
	       "Runs a program whose /dev/kvm is armature's KVM, and its children likewise.\n\n"
	       "options:\n");
	options_print(rows);
	return EXIT_SUCCESS;
}

/* How many of the arguments come before the command: options end at the first that is none. */
static int options_end(int argc, char **argv)
{
	int i;

	for (i = 0; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const struct option_row *row;
		const bool is_long = argv[i][1] == '-';

		if (!strcmp(argv[i], "--"))
			break;
		for (row = rows; row->name; row++) {
			/* A value that is an argument of its own is the option's. */
			if (row->value && (is_long ? !strcmp(argv[i] + 2, row->name)
						   : argv[i][1] == row->letter && !argv[i][2])) {
				i++;
				break;
			}
		}
	}
	return i < argc ? i : argc;
}

#ifdef __aarch64__
#define NATIVE "aarch64"
#else
#define NATIVE "x86_64"
#endif

/* Writes the path of a door in a folder. Return: whether it is there. */
static bool door_in(char *path, const char *folder, const char *platform)
{
	return snprintf(path, PATH_MAX, "%s/%s/" DOOR_FILE, folder, platform) < PATH_MAX &&
	       !access(path, R_OK);
}

/*
 * A folder of doors has one for each architecture, in a folder of the name that the loader puts for
 * $PLATFORM. Where all are there, a program's children of the other architecture find theirs.
 */
static bool doors_in(char *path, const char *folder, const char *platform)
{
	if (!door_in(path, folder, platform))
		return false;
	if (door_in(path, folder, NATIVE) && door_in(path, folder, FOREIGN))
		snprintf(path, PATH_MAX, "%s/$PLATFORM/" DOOR_FILE, folder);
	else
		door_in(path, folder, platform);
	return true;
}

/* In a folder that is named; it may hold the door itself, which children of others' cannot have. */
static int door_named(const char *folder, const char *platform, char *path)
{
	char real[PATH_MAX];

	if (!realpath(folder, real) ||
	    (!doors_in(path, real, platform) && !door_in(path, real, ".")))
		return complain("'%s' has no " DOOR_FILE, folder);
	return 0;
}

/*
 * Finds the door for an architecture: in the folder that is named, else in the build tree that this
 * program is in, else where it is installed.
 */
static int find_door(const struct settings *s, const char *platform, char *path)
{
	static const char *const below[] = {"/../door", "/" ARMATURE_BIN_TO_LIB DOORS};
	const char *named = s->door_dir ? s->door_dir : getenv(DOOR_DIR);
	char folder[PATH_MAX], place[2 * PATH_MAX], real[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", folder, sizeof(folder) - 1);

	if (named)
		return door_named(named, platform, path);
	folder[n < 0 ? 0 : n] = '\0';
	if (strrchr(folder, '/'))
		*strrchr(folder, '/') = '\0';
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		snprintf(place, sizeof(place), "%s%s", folder, below[i]);
		if (realpath(place, real) && doors_in(path, real, platform))
			return 0;
	}
	if (doors_in(path, ARMATURE_LIBDIR DOORS, platform))
		return 0;
	return !strcmp(platform, NATIVE)
		       ? complain(DOOR_FILE
				  " is missing: neither in %s/../door nor in " ARMATURE_LIBDIR DOORS
				  "; --door-dir says where it is",
				  folder)
		       : complain("the door of arm64 programs is missing: 'make arm64' in "
				  "armature's "
				  "sources builds it, and 'make install' then installs it; "
				  "--door-dir "
				  "says where it is");
}

/* This process has a door already, of an armature exec that it is a child of. */
static bool behind_a_door(void)
{
	const char *present = getenv("LD_PRELOAD");

	return present && strstr(present, DOOR_FILE);
}

/*
 * Of LD_PRELOAD: what the environment has already, but for a door, and then the door. Without it in
 * place of another a child of another architecture than its parent's would have the parent's.
 */
static int preload(const char *door, char **value)
{
	const char *present = getenv("LD_PRELOAD");
	char *list, *next;

	if (strpbrk(door, " :"))
		return complain("'%s': the loader cannot preload from a path with blanks or colons;"
				" --door-dir names another",
				door);
	list = strdup(present ? present : "");
	*value = calloc(1, (present ? strlen(present) : 0) + strlen(door) + 2);
	if (!list || !*value)
		return complain("%s", strerror(ENOMEM));
	for (char *object = strtok_r(list, " :", &next); object;
	     object = strtok_r(NULL, " :", &next)) {
		const char *name = strrchr(object, '/');

		if (!strcmp(name ? name + 1 : object, DOOR_FILE))
			continue;
		strcat(strcat(*value, object), ":");
	}
	strcat(*value, door);
	free(list);
	return 0;
}

/* Linux's KVM of an arm64 host serves arm64 guests better than ours. */
static bool host_has_kvm(void)
{
#ifdef __aarch64__
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	bool is = fd >= 0 && ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION;

	if (fd >= 0)
		close(fd);
	return is;
#else
	return false;
#endif
}

/* A path that holds wherever the program and its children go. */
static int set_absolute(const char *name, const char *path)
{
	char real[PATH_MAX];
	char *full = NULL;

	if (!path)
		return 0; /* as an armature exec around this one has it */
	if (path[0] == '/')
		return setenv(name, path, 1);
	if (!getcwd(real, sizeof(real)) || asprintf(&full, "%s/%s", real, path) < 0)
		return complain("'%s': %s", path, strerror(errno));
	setenv(name, full, 1);
	free(full);
	return 0;
}

static int check_log(const char *path)
{
	int fd;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return complain("log '%s': %s", path, strerror(errno));
	close(fd);
	return 0;
}

static int prepare(const struct settings *s)
{
	if (!s->kvm && !s->force && !behind_a_door() && host_has_kvm())
		return complain(
			"this host has a KVM for arm64 guests, /dev/kvm, which needs no armature; "
			"--force uses armature's all the same");
	if (s->kvm && access(s->kvm, F_OK))
		return complain("kvm '%s': %s", s->kvm, strerror(errno));
	if (check_log(s->log) || set_absolute(DOOR_LOG, s->log) || set_absolute(DOOR_KVM, s->kvm))
		return -1;
	return s->trap ? setenv(DOOR_TRAP, "1", 1) : 0;
}

/* In this process. Return: the exit status, when that fails. */
static int start(const char *path, char **argv)
{
	int err;

	execv(path, argv);
	err = errno;
	complain("'%s': %s", argv[0], strerror(err));
	return err == ENOENT ? EXIT_NOT_FOUND : EXIT_NO_PROGRAM;
}

static int start_native(const struct settings *s, const struct program *program, char **argv)
{
	char door[PATH_MAX];
	char *value;

	if (find_door(s, NATIVE, door) || preload(door, &value))
		return EXIT_USAGE;
	setenv("LD_PRELOAD", value, 1);
	return start(program->path, argv);
}

/*
 * An arm64 program elsewhere: the emulator's own environment is left alone, the program's gets the
 * door. Its children would need an emulator that the kernel knows of (binfmt_misc).
 */
static int start_emulated(const struct settings *s, const struct program *program, int argc,
			  char **argv)
{
	static const char *const names[] = {EMULATOR, EMULATOR "-static"};
	char door[PATH_MAX], emulator[PATH_MAX];
	char **args = calloc((size_t)argc + 8, sizeof(*args));
	char *value;
	int n = 0;

	if (program_search(names[0], emulator) && program_search(names[1], emulator)) {
		complain("'%s' is a program for arm64, which takes " EMULATOR
			 " here (Debian: qemu-user-static)",
			 argv[0]);
		return EXIT_USAGE;
	}
	if (find_door(s, FOREIGN, door))
		return EXIT_USAGE;
	if (s->trap || program->own_calls) {
		complain("'%s': an emulator cannot trap system calls; --trap takes a program for "
			 "this "
			 "machine",
			 argv[0]);
		return EXIT_USAGE;
	}
	if (!args || preload(door, &value) || asprintf(&value, "LD_PRELOAD=%s", value) < 0)
		return EXIT_USAGE;
	args[n++] = emulator;
	if (s->sysroot) {
		args[n++] = (char *)"-L";
		args[n++] = (char *)s->sysroot;
	}
	args[n++] = (char *)"-E";
	args[n++] = value;
	args[n++] = (char *)"-0";
	args[n++] = argv[0];
	args[n++] = (char *)program->path;
	for (int i = 1; i < argc; i++)
		args[n++] = argv[i];
	return start(emulator, args);
}

int command_exec(int argc, char **argv)
{
	struct settings s = {0};
	struct program program;
	int options = options_end(argc, argv), status;

	if (options_parse(rows, options, argv, &s, NULL))
		return EXIT_USAGE;
	if (s.help)
		return help();
	if (options < argc && !strcmp(argv[options], "--"))
		options++;
	argc -= options;
	argv += options;
	if (!argc) {
		complain(
			"a command is needed, as in 'armature exec cargo test'; --help tells more");
		return EXIT_USAGE;
	}
	status = program_examine(&program, argv[0], s.sysroot);
	if (status)
		return status;
	if (prepare(&s))
		return EXIT_USAGE;
	fflush(stdout);
	return program.arm64 && !program.native ? start_emulated(&s, &program, argc, argv)
						: start_native(&s, &program, argv);
}
