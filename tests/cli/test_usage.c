/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with the command line or with its files: one line, exit status 2, nothing started.
 */
#include "spawn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT "this is a text, and it is no kernel at all; it is long enough for one"

static struct result r;

static int setup(void **state)
{
	static uint32_t image[1024] = {0x14000000};

	make_files();
	image[14] = 0x644d5241;
	((uint64_t *)image)[2] = 0x100000;
	make_named("Image", image, sizeof(image));
	make_named("short", image, 20);
	((uint64_t *)image)[2] = 1ull << 32;
	make_named("large", image, sizeof(image));
	make_named("text", TEXT, sizeof(TEXT) - 1);
	make_named("empty", "", 0);
	make_named("disk", image, 2048);
	assert_int_equal(mkfifo(file_path("fifo"), 0600), 0);
	return 0;
}

static int teardown(void **state)
{
	drop_files();
	return 0;
}

#define FILE_ "\1" /* stands for the folder of files */

static const struct {
	const char *args[10];
	const char *parts[2]; /* of the message */
} table[] = {
	{{NULL}, {"a command is needed", "--help"}},
	{{"ru"}, {"unknown command 'ru'", "did you mean 'run'?"}},
	{{"frobnicate"}, {"unknown command 'frobnicate'", "--help"}},
	{{"--verison"}, {"unknown option '--verison'", "--version"}},
	{{"run"}, {"--kernel is missing"}},
	{{"run", "--kernle", "x"}, {"unknown option '--kernle'", "did you mean '--kernel'?"}},
	{{"run", "--memory", "64"}, {"unknown option '--memory'", "did you mean '--mem'?"}},
	{{"run", "--cpu=2"}, {"unknown option '--cpu'", "did you mean '--cpus'?"}},
	{{"run", "--initramfs", "x"}, {"unknown option '--initramfs'"}},
	{{"run", "--xyzzy"}, {"unknown option '--xyzzy'", "--help lists them"}},
	{{"run", "-z"}, {"unknown option '-z'", "--help"}},
	{{"run", "Image"}, {"'Image' is no option"}},
	{{"run", "-k"}, {"'--kernel' needs a value"}},
	{{"run", "--stats=yes"}, {"'--stats' has no value"}},
	{{"run", "-k", FILE_ "Image", "-k", FILE_ "Image"}, {"--kernel is given twice"}},
	{{"run", "-k", FILE_ "Image,bad"}, {"after the comma only 'flat'"}},
	{{"run", "-k", ",flat"}, {"the file's name is missing"}},
	{{"run", "-k", FILE_ "missing"}, {"kernel '", "No such file"}},
	{{"run", "-k", "/"}, {"kernel '/'", "not a file"}},
	{{"run", "-k", FILE_ "text"}, {"not an arm64 Image", "magic"}},
	{{"run", "-k", FILE_ "short"}, {"truncated"}},
	{{"run", "-k", FILE_ "empty"}, {"kernel '", "empty"}},
	{{"run", "-k", FILE_ "empty,flat"}, {"kernel '", "empty"}},
	{{"run", "-k", FILE_ "fifo"}, {"kernel '", "not a file"}},
	{{"run", "-k", FILE_ "large"}, {"too large for the memory of 512 MiB", "--mem 4"}},
	{{"run", "-k", FILE_ "Image", "-i", FILE_ "missing"}, {"initrd '", "No such file"}},
	{{"run", "-k", FILE_ "Image", "-i", FILE_ "empty"}, {"initrd '", "empty"}},
	{{"run", "-k", FILE_ "Image", "-i", "/"}, {"initrd '/'", "not a file"}},
	{{"run", "-k", FILE_ "Image", "-d", "/"}, {"disk '/'", "directory"}},
	{{"run", "-k", FILE_ "Image", "-m", "0"}, {"--mem '0'", "16M to 255G"}},
	{{"run", "-k", FILE_ "Image", "-m", "15"}, {"--mem '15'", "16M to 255G"}},
	{{"run", "-k", FILE_ "Image", "-m", "256G"}, {"--mem '256G'", "16M to 255G"}},
	{{"run", "-k", FILE_ "Image", "-m", "99999999999999999999"}, {"--mem '"}},
	{{"run", "-k", FILE_ "Image", "-m", "-64"}, {"--mem '-64'"}},
	{{"run", "-k", FILE_ "Image", "-m", "lots"}, {"--mem 'lots'"}},
	{{"run", "-k", FILE_ "Image", "-m", "64T"}, {"--mem '64T'"}},
	{{"run", "-k", FILE_ "Image", "-m", ""}, {"--mem ''"}},
	{{"run", "-k", FILE_ "Image", "-c", "0"}, {"--cpus '0'", "1 to 8"}},
	{{"run", "-k", FILE_ "Image", "-c", "9"}, {"--cpus '9'", "1 to 8"}},
	{{"run", "-k", FILE_ "Image", "-c", "two"}, {"--cpus 'two'"}},
	{{"run", "-k", FILE_ "Image", "-c", "1x"}, {"--cpus '1x'"}},
	{{"run", "-k", FILE_ "Image", "-d", FILE_ "missing"}, {"disk '", "No such file"}},
	{{"run", "-k", FILE_ "Image", "-d", FILE_ "empty"}, {"disk '", "shorter than one sector"}},
	{{"run", "-k", FILE_ "Image", "-d", FILE_ "disk,rw"}, {"after the comma only 'ro'"}},
	{{"run", "-k", FILE_ "Image", "-d", ",ro"}, {"the file's name is missing"}},
	{{"run", "-k", FILE_ "Image", "-d", "/dev/null"}, {"neither a file nor a block device"}},
	{{"run", "-k", FILE_ "Image", "-d", FILE_ "disk", "-d", FILE_ "disk"}, {"in use"}},
	{{"run", "-k", FILE_ "Image", "--irqchip", "none"}, {"--irqchip 'none'", "user or kernel"}},
	{{"run", "-k", FILE_ "Image", "--kvm", ""}, {"--kvm ''"}},
	{{"run", "-k", FILE_ "Image", "--kvm", FILE_ "missing"},
	 {"is not there", "--kvm soft works everywhere"}},
	{{"run", "-k", FILE_ "Image", "--kvm", "/dev/null"},
	 {"is no KVM", "--kvm soft works everywhere"}},
	{{"run", "-k", FILE_ "Image", "--dtb", FILE_ "missing"}, {"dtb '", "No such file"}},
	{{"run", "-k", FILE_ "Image", "--dtb", FILE_ "text"}, {"not a device tree"}},
	{{"run", "-k", FILE_ "Image", "--dtb", FILE_ "empty"}, {"not a device tree"}},
	{{"run", "-k", FILE_ "Image", "--dtb", FILE_ "fifo"}, {"dtb '", "not a file"}},
	{{"run", "-k", FILE_ "Image", "--trace", "/nonexistent/t"}, {"--trace '", "No such file"}},
	{{"run", "-k", FILE_ "Image", "--trace", FILE_ "Image"}, {"--trace '", "give another"}},
	{{"run", "-k", FILE_ "Image", "-d", FILE_ "disk", "--trace", FILE_ "disk"},
	 {"--trace '", "give another"}},
	{{"run", "-k", FILE_ "Image", "--dump-dtb", FILE_ "Image"},
	 {"--dump-dtb '", "give another"}},
	/* What is wrong comes after the trace was opened: it keeps what it had. */
	{{"run", "-k", FILE_ "large", "--trace", FILE_ "text"}, {"too large"}},
	{{"run", "-k", FILE_ "Image", "--kvm", FILE_ "missing", "--trace", FILE_ "text"},
	 {"is not there"}},
	{{"--help", "run"}, {"after '--help' nothing is expected"}},
	{{"conform", "--kvm"}, {"a value is missing after '--kvm'"}},
	{{"conform", "--kvm", "auto"}, {"soft or a path", "'auto'"}},
	{{"conform", "--kvm", ""}, {"soft or a path"}},
	{{"conform", "--kvm", "/dev/null"}, {"/dev/null is no KVM", "'--kvm soft' works"}},
	{{"conform", "--kvm", FILE_ "missing"}, {"No such file", "'--kvm soft' works"}},
	{{"conform", "--lost"}, {"unknown option '--lost'"}},
	{{"conform", "--", "--list"}, {"no such test: '--list'"}},
	{{"conform", "nonesuch"}, {"no such test: 'nonesuch'"}},
};

static void kept(const char *name, const char *text)
{
	char now[256] = {0};
	int fd = open(file_path(name), O_RDONLY);

	assert_true(read(fd, now, sizeof(now) - 1) > 0);
	close(fd);
	assert_string_equal(now, text);
}

static void bad_input(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *args[ARRAY_SIZE(table[0].args)];
		unsigned int n = 0;

		for (; table[i].args[n]; n++)
			args[n] = table[i].args[n][0] == FILE_[0] ? file_path(table[i].args[n] + 1)
								  : table[i].args[n];
		args[n] = NULL;
		run_args(&r, NULL, args);
		if (r.status != 2 || lines(r.err) != 1 || r.out[0])
			fail_msg("row %zu: status %d, said: %s%s", i, r.status, r.err, r.out);
		has(r.err, "armature: ");
		for (unsigned int p = 0; p < 2 && table[i].parts[p]; p++)
			has(r.err, table[i].parts[p]);
	}
	kept("text", TEXT);
}

static void dump_goes_nowhere(void **state)
{
	RUN(&r, NULL, "run", "--kvm", "soft", "--dump-dtb", "/nonexistent/dtb");
	assert_int_equal(r.status, 2);
	has(r.err, "--dump-dtb '/nonexistent/dtb': No such file");
}

/* Results that cannot be written are an error. */
static void output_is_full(void **state)
{
	static const char *const commands[] = {"--help", "--version", "run --help",
					       "conform --list", "conform capability"};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char line[512];
		int status;

		snprintf(line, sizeof(line), "'%s' %s >/dev/full 2>'%s'", armature, commands[i],
			 file_path("said"));
		status = system(line);
		assert_int_equal(WEXITSTATUS(status), 2);
		kept("said", "armature: standard output: No space left on device\n");
	}
}

static void helps(void **state)
{
	static const char *const options[] = {"-k, --kernel", "-i, --initrd", "-a, --append",
					      "-m, --mem",    "-c, --cpus",   "-d, --disk",
					      "--irqchip",    "--kvm",        "--dtb",
					      "--dump-dtb",   "--stats",      "--trace"};

	RUN(&r, NULL, "--help");
	assert_int_equal(r.status, 0);
	assert_string_equal(r.err, "");
	has(r.out, "run ");
	RUN(&r, NULL, "run", "--help");
	assert_int_equal(r.status, 0);
	assert_string_equal(r.err, "");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		has(r.out, options[i]);
	RUN(&r, NULL, "--version");
	assert_int_equal(r.status, 0);
	has(r.out, "armature 0.");
	assert_int_equal(lines(r.out), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_input),
		cmocka_unit_test(dump_goes_nowhere),
		cmocka_unit_test(output_is_full),
		cmocka_unit_test(helps),
	};

	default_signals();
	armature = argv[1];
	return cmocka_run_group_tests_name("usage", tests, setup, teardown);
}
