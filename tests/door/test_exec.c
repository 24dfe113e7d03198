/* SPDX-License-Identifier: MIT */
/*
 * armature exec itself: programs that cannot have a door, each with one line and its exit status;
 * what becomes of the program's own status; and the log.
 *
 * Arguments: armature, and the client.
 */
#include "tests/cli/spawn.h"

#include <armature/kvm_arm64.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static struct result r;
static const char *client;

/* An ELF file that has its headers and a loader's name, which may be none. */
static void make_elf(const char *name, unsigned short machine, unsigned char class,
		     const char *loader)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segment[2];
		char loader[64];
	} elf = {
		.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, class, ELFDATA2LSB,
				       EV_CURRENT},
			   .e_type = ET_DYN,
			   .e_machine = machine,
			   .e_version = EV_CURRENT,
			   .e_phoff = sizeof(Elf64_Ehdr),
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phnum = loader ? 2 : 1},
		.segment = {{.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = sizeof(elf)},
			    {.p_type = PT_INTERP, .p_filesz = sizeof(elf.loader)}},
	};

	elf.segment[1].p_offset = (Elf64_Off)((char *)elf.loader - (char *)&elf);
	if (loader)
		snprintf(elf.loader, sizeof(elf.loader), "%s", loader);
	make_named(name, &elf, sizeof(elf));
	assert_int_equal(chmod(file_path(name), 0755), 0);
}

static void make_script(const char *name, const char *text, mode_t mode)
{
	make_named(name, text, strlen(text));
	assert_int_equal(chmod(file_path(name), mode), 0);
}

#ifdef __aarch64__
#define NATIVE  EM_AARCH64
#define FOREIGN EM_X86_64
#else
#define NATIVE  EM_X86_64
#define FOREIGN EM_RISCV
#endif

static int setup(void **state)
{
	make_files();
	make_elf("foreign", FOREIGN, ELFCLASS64, "/lib/ld.so.1");
	make_elf("static", NATIVE, ELFCLASS64, NULL);
	make_elf("musl", NATIVE, ELFCLASS64, "/lib/ld-musl-x86_64.so.1");
	make_elf("loaderless", NATIVE, ELFCLASS64, "/none/ld.so");
	make_elf("narrow", NATIVE, ELFCLASS32, "/lib/ld.so.1");
	make_elf("arm64", EM_AARCH64, ELFCLASS64, "/lib/ld-linux-aarch64.so.1");
	make_script("no-program", "just a text\n", 0755);
	make_script("not-executable", "#!/bin/sh\n", 0644);
	make_script("interpreter", "#!/none/interpreter\n", 0755);
	make_script("static-script", "#!", 0755);
	make_script("script", "#!/bin/sh\nexec \"$@\"\n", 0755);
	make_script("bad", "", 0755);
	return 0;
}

static int teardown(void **state)
{
	drop_files();
	return 0;
}

#define FILE_ "\1" /* stands for the folder of files */

static const struct {
	const char *args[6];
	int status;
	const char *part; /* of the message */
} table[] = {
	{{NULL}, 2, "a command is needed"},
	{{"--trap", "--"}, 2, "a command is needed"},
	{{"--frobnicate", "true"}, 2, "unknown option '--frobnicate'"},
	{{"--lgo", "x", "true"}, 2, "did you mean '--log'?"},
	{{"--log"}, 2, "'--log' needs a value"},
	{{"--log", "/none/log", "true"}, 2, "log '/none/log'"},
	{{"--kvm", "/none/kvm", "true"}, 2, "kvm '/none/kvm'"},
	{{"--door-dir", "/none", "true"}, 2, "'/none' has no libarmature-door.so"},
	{{"--door-dir=/", "true"}, 2, "'/' has no libarmature-door.so"},
	{{"armature-no-such-command"}, 127, "is not there"},
	{{FILE_ "missing"}, 127, "is not there"},
	{{"/"}, 126, "may not be executed"},
	{{FILE_ "not-executable"}, 126, "may not be executed"},
	{{FILE_ "no-program"}, 126, "is no program"},
	{{FILE_ "bad"}, 126, "is no program"},
	{{FILE_ "static-script"}, 126, "is no program"},
	{{FILE_ "interpreter"}, 127, "/none/interpreter"},
	{{FILE_ "foreign"}, 126, "another architecture"},
	{{FILE_ "narrow"}, 126, "32 bits"},
	{{FILE_ "loaderless"}, 126, "needs the loader '/none/ld.so'"},
	{{FILE_ "static"}, 2, "is linked statically"},
	{{FILE_ "musl"}, 2, "musl"},
};

/* Runs armature exec with FILE_ replaced. */
static void exec_args(const char *const args[])
{
	const char *full[MAX_ARGS] = {"exec"};
	char paths[MAX_ARGS][512];

	for (unsigned int i = 0; args[i]; i++) {
		full[i + 1] = args[i];
		if (args[i][0] == FILE_[0]) {
			snprintf(paths[i], sizeof(paths[i]), "%s", file_path(args[i] + 1));
			full[i + 1] = paths[i];
		}
	}
	run_args(&r, NULL, full);
}

#define EXEC(...) exec_args((const char *const[]){__VA_ARGS__, NULL})

static void bad_input(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
		exec_args(table[i].args);
		if (r.status != table[i].status)
			print_message("row %u: status %d, %s\n", i, r.status, r.err);
		assert_int_equal(r.status, table[i].status);
		assert_int_equal(lines(r.err), 1);
		has(r.err, "armature: ");
		has(r.err, table[i].part);
		assert_string_equal(r.out, "");
	}
}

/* The rights that a file gives, which take its preloads away. */
static void set_user_id(void **state)
{
	const char *copy = file_path("set-user-id");
	char command[1024];
	pid_t pid;

	if (geteuid()) {
		skip();
	}
	snprintf(command, sizeof(command), "cp '%s' '%s'", client, copy);
	assert_int_equal(system(command), 0);
	assert_int_equal(chown(copy, 1, 1), 0);
	assert_int_equal(chmod(copy, 04755), 0);
	EXEC(FILE_ "set-user-id", "version");
	assert_int_equal(r.status, 2);
	has(r.err, "is set-user-ID");
	assert_int_equal(chmod(copy, 02755), 0);
	EXEC(FILE_ "set-user-id", "version");
	assert_int_equal(r.status, 2);
	/* These bits mean nothing to a process that wants no new privileges. */
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		EXEC(FILE_ "set-user-id", "version");
		_exit(r.status);
	}
	assert_int_equal(wait_status(pid), 0);
	assert_int_equal(chmod(copy, 0755), 0);
	EXEC(FILE_ "set-user-id", "version");
	assert_int_equal(r.status, 0);
}

#define NO_ACCESS 70
#define OTHER     71 /* than one line with that part */

/* The status of armature exec for a user who is not root, and whose message has @part, if any. */
static int status_as_user(const char *name, const char *part)
{
	const char *path = file_path(name);
	pid_t pid = fork();

	if (!pid) {
		if (setgid(1) || setuid(1) || access(armature, X_OK) || access(client, R_OK))
			_exit(NO_ACCESS);
		run_args(&r, NULL, (const char *const[]){"exec", path, "version", NULL});
		if (part && (lines(r.err) != 1 || !strstr(r.err, part)))
			_exit(OTHER);
		_exit(r.status);
	}
	return wait_status(pid);
}

/* Capabilities of a file: user 1 gains them by executing it, root has them anyway. */
static void capabilities(void **state)
{
	static const struct vfs_ns_cap_data net_raw = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data[0] = {.permitted = 1u << CAP_NET_RAW},
	};
	const char *copy = file_path("capable");
	char command[1024];

	if (geteuid())
		skip();
	snprintf(command, sizeof(command), "cp '%s' '%s'", client, copy);
	assert_int_equal(system(command), 0);
	assert_int_equal(chmod(copy, 0755), 0);
	if (setxattr(copy, "security.capability", &net_raw, XATTR_CAPS_SZ_2, 0)) {
		print_message("skipped: files have no capabilities here\n");
		skip();
	}
	EXEC(FILE_ "capable", "version");
	assert_int_equal(r.status, 0);
	assert_int_equal(chmod(file_path(""), 0755), 0);
	if (status_as_user("capable", "has capabilities") == NO_ACCESS) {
		print_message("skipped: another user cannot reach %s\n", armature);
		skip();
	}
	assert_int_equal(status_as_user("capable", "has capabilities"), 2);
	assert_int_equal(removexattr(copy, "security.capability"), 0);
	assert_int_equal(status_as_user("capable", NULL), 0);
}

#ifndef __aarch64__
/* What an arm64 program takes here, and is not there. */
static void foreign_needs(void **state)
{
	char path[4096], *before = strdup(getenv("PATH"));

	setenv("PATH", "/none", 1);
	EXEC(FILE_ "arm64");
	assert_int_equal(r.status, 2);
	has(r.err, "takes qemu-aarch64");
	assert_int_equal(lines(r.err), 1);
	make_script("qemu-aarch64", "#!/bin/sh\necho \"$@\"\n", 0755);
	snprintf(path, sizeof(path), "%s", file_path("qemu-aarch64"));
	*strrchr(path, '/') = '\0';
	setenv("PATH", path, 1);
	EXEC("--door-dir", "/", FILE_ "arm64");
	assert_int_equal(r.status, 2);
	has(r.err, "has no libarmature-door.so");
	make_named("libarmature-door.so", "", 0);
	EXEC("--door-dir", path, "--sysroot", path, FILE_ "arm64");
	assert_int_equal(r.status, 126);
	has(r.err, "needs the loader");
	EXEC("--trap", "--door-dir", path, FILE_ "arm64");
	assert_int_equal(r.status, 2);
	has(r.err, "--trap");
	setenv("PATH", before, 1);
	free(before);
}
#endif

static void statuses(void **state)
{
	EXEC("sh", "-c", "exit 7");
	assert_int_equal(r.status, 7);
	EXEC("--", "sh", "-c", "kill -TERM $$");
	assert_int_equal(r.status, 128 + SIGTERM);
	EXEC("sh", "-c", "echo out; echo err >&2");
	assert_string_equal(r.out, "out\n");
	assert_string_equal(r.err, "err\n");
	EXEC("echo", "--log", "-h");
	assert_string_equal(r.out, "--log -h\n");
	EXEC("--help");
	assert_int_equal(r.status, 0);
	has(r.out, "--trap");
	/* What is preloaded already stays, and is first; a second door is none. */
	setenv("LD_PRELOAD", "libm.so.6", 1);
	EXEC("sh", "-c", "echo $LD_PRELOAD");
	unsetenv("LD_PRELOAD");
	assert_int_equal(strncmp(r.out, "libm.so.6:/", 11), 0);
	has(r.out, "/libarmature-door.so\n");
	EXEC(armature, "exec", "sh", "-c", "echo $LD_PRELOAD");
	assert_int_equal(r.out[0], '/');
	assert_null(strchr(r.out, ':'));
	EXEC(armature, "exec", client, "version");
	assert_int_equal(r.status, 0);
}

/* A script's child, by a script. */
static void scripts(void **state)
{
	EXEC(FILE_ "script", client, "opens");
	assert_string_equal(r.out, "");
	assert_int_equal(r.status, 0);
}

static char log_text[1 << 20];

static void read_log(void)
{
	FILE *f = fopen(file_path("log"), "r");

	assert_non_null(f);
	log_text[fread(log_text, 1, sizeof(log_text) - 1, f)] = '\0';
	fclose(f);
	unlink(file_path("log"));
}

static void logs(void **state)
{
	static const char *const parts[] = {
		" system:3 KVM_CREATE_VM(type=0) = 4 <",
		" vm:4 KVM_CREATE_VCPU(id=0) = 5 <",
		" vm:4 KVM_SET_USER_MEMORY_REGION(slot=0, flags=0, guest_phys_addr=0x40000000, ",
		", memory_size=0x1000, userspace_addr=0x",
		" vm:4 KVM_ARM_PREFERRED_TARGET(target=5, features[0]=0) = 0 <",
		" vcpu:5 KVM_SET_ONE_REG(id=regs.pc, size=8, value=0x0000000040000000) = 0 <",
		" vcpu:5 KVM_GET_ONE_REG(id=regs.pc, size=8, value=0x0000000040000000) = 0 <",
		" vm:4 KVM_ARM_SET_DEVICE_ADDR(id=0xffffffff, addr=0x40000000) = -1 ENODEV <",
		" vcpu:5 KVM_RUN() = -1 EINTR device_irq_level=0 <",
		" system:3 KVM_CHECK_EXTENSION(cap=KVM_CAP_ONE_REG) = 1 <",
	};

	EXEC("--log", FILE_ "log", client, "handlers");
	assert_int_equal(r.status, 0);
	read_log();
	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++)
		has(log_text, parts[i]);
	/* Whole lines, from threads and processes that race. */
	EXEC("--log", FILE_ "log", "sh", "-c", "$0 threads & $0 threads & wait", client);
	read_log();
	assert_int_equal(lines(log_text), 2 * 4 * 200 * 4);
	for (char *line = strtok(log_text, "\n"); line; line = strtok(NULL, "\n")) {
		assert_int_equal(line[2], ':');
		has(line, " KVM_");
		assert_string_equal(line + strlen(line) - 4, " us>");
	}
}

/* Over another KVM by its path: here a file that knows no request. */
static void logs_another_kvm(void **state)
{
	make_named("kvm", "", 0);
	EXEC("--kvm", FILE_ "kvm", "--log", FILE_ "log", client, "version");
	read_log();
	has(log_text, "system:3 KVM_GET_API_VERSION() = -1 ENOTTY <");
	assert_int_equal(lines(log_text), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_input),     cmocka_unit_test(set_user_id),
		cmocka_unit_test(capabilities),
#ifndef __aarch64__
		cmocka_unit_test(foreign_needs),
#endif
		cmocka_unit_test(statuses),      cmocka_unit_test(scripts),
		cmocka_unit_test(logs),          cmocka_unit_test(logs_another_kvm),
	};

	armature = argv[1];
	client = argv[2];
	return cmocka_run_group_tests(tests, setup, teardown);
}
