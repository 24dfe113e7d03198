/* SPDX-License-Identifier: MIT */
/* armature run: its options, checked before anything starts. */
#include "cli/commands.h"
#include "cli/options.h"
#include "vmm/vmm.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MEM (512ull << 20)

struct run_options {
	struct vmm_config config;
	struct vmm_disk_config disks[VMM_MAX_DISKS];
	char *owned[VMM_MAX_DISKS + 1]; /* names that were cut */
	unsigned int nr_owned;
	bool help;
};

/*
 * "NAME,flag": cuts the flag off a copy of the name. A name cannot have a comma in it: what is
 * behind one and is no flag is most likely a flag misspelt.
 */
static int split_flag(struct run_options *options, const char *option, const char *value,
		      const char *flag, const char **name, bool *set)
{
	const char *comma = strrchr(value, ',');
	char *copy;

	*set = false;
	*name = value;
	if (comma) {
		if (strcmp(comma + 1, flag))
			return complain("--%s '%s': after the comma only '%s' is known", option,
					value, flag);
		copy = strndup(value, (size_t)(comma - value));
		if (!copy)
			return complain("%s", strerror(errno));
		options->owned[options->nr_owned++] = copy;
		*name = copy;
		*set = true;
	}
	if (!**name)
		return complain("--%s '%s': the file's name is missing", option, value);
	return 0;
}

static int set_kernel(void *opaque, const char *value)
{
	struct run_options *options = opaque;

	if (options->config.kernel)
		return complain("--kernel is given twice");
	return split_flag(options, "kernel", value, "flat", &options->config.kernel,
			  &options->config.flat);
}

static int set_initrd(void *opaque, const char *value)
{
	((struct run_options *)opaque)->config.initrd = value;
	return 0;
}

static int set_append(void *opaque, const char *value)
{
	((struct run_options *)opaque)->config.append = value;
	return 0;
}

static int bad_mem(const char *value)
{
	return complain(
		"--mem '%s': give 16M to 255G, as in 512, 512M or 2G (without a letter: MiB)",
		value);
}

static int set_mem(void *opaque, const char *value)
{
	struct run_options *options = opaque;
	unsigned int shift = 20;
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(value, &end, 10);
	if (end == value || value[0] < '0' || value[0] > '9' || errno)
		return bad_mem(value);
	if (*end == 'G' || *end == 'g') {
		shift = 30;
		end++;
	} else if (*end == 'M' || *end == 'm') {
		end++;
	}
	if (*end || n > VMM_MAX_MEM >> shift || n << shift < VMM_MIN_MEM)
		return bad_mem(value);
	options->config.mem = (uint64_t)n << shift;
	return 0;
}

static int set_cpus(void *opaque, const char *value)
{
	struct run_options *options = opaque;
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (end == value || value[0] < '0' || value[0] > '9' || *end || errno || n < VMM_MIN_CPUS ||
	    n > VMM_MAX_CPUS)
		return complain("--cpus '%s': give %d to %d", value, VMM_MIN_CPUS, VMM_MAX_CPUS);
	options->config.cpus = (unsigned int)n;
	return 0;
}

static int set_disk(void *opaque, const char *value)
{
	struct run_options *options = opaque;
	struct vmm_disk_config *disk = &options->disks[options->config.nr_disks];

	if (options->config.nr_disks == VMM_MAX_DISKS)
		return complain("--disk '%s': at most %d disks", value, VMM_MAX_DISKS);
	if (split_flag(options, "disk", value, "ro", &disk->path, &disk->read_only))
		return -1;
	options->config.nr_disks++;
	return 0;
}

static int set_irqchip(void *opaque, const char *value)
{
	struct run_options *options = opaque;

	options->config.vgic = !strcmp(value, "kernel");
	if (options->config.vgic || !strcmp(value, "user"))
		return 0;
	return complain("--irqchip '%s': give user or kernel", value);
}

/* The library reads it when a VM is made. */
static int set_engine(void *opaque, const char *value)
{
	static const char *const names[] = {"auto", "x64", "portable"};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(value, names[i]))
			return setenv("ARMATURE_ENGINE", value, 1);
	return complain("--engine '%s': give auto, x64 or portable", value);
}

static int set_kvm(void *opaque, const char *value)
{
	if (!*value)
		return complain("--kvm '': give auto, soft or a path");
	((struct run_options *)opaque)->config.kvm = value;
	return 0;
}

static int set_dtb(void *opaque, const char *value)
{
	((struct run_options *)opaque)->config.dtb = value;
	return 0;
}

static int set_dump_dtb(void *opaque, const char *value)
{
	((struct run_options *)opaque)->config.dump_dtb = value;
	return 0;
}

static int set_stats(void *opaque, const char *value)
{
	((struct run_options *)opaque)->config.stats = true;
	return 0;
}

static int set_trace(void *opaque, const char *value)
{
	((struct run_options *)opaque)->config.trace = value;
	return 0;
}

static int set_help(void *opaque, const char *value)
{
	((struct run_options *)opaque)->help = true;
	return 0;
}

static const struct option_row rows[] = {
	{"kernel", 'k', "FILE", "arm64 Image, raw or gzip; FILE,flat for a bare binary",
	 set_kernel},
	{"initrd", 'i', "FILE", "initial RAM disk", set_initrd},
	{"append", 'a', "TEXT", "kernel command line", set_append},
	{"mem", 'm', "SIZE", "memory: 512, 512M or 2G; 16M to 255G (default 512M)", set_mem},
	{"cpus", 'c', "N", "vCPUs, 1 to 8 (default 1)", set_cpus},
	{"disk", 'd', "FILE[,ro]", "raw image as a virtio disk; may be given again", set_disk},
	{"irqchip", 0, "WHERE", "where the GIC is: user (the default) or kernel", set_irqchip},
	{"engine", 0, "NAME",
	 "what runs guest code in --kvm soft: auto (the default), x64, portable", set_engine},
	{"kvm", 0, "KVM", "auto (the default), soft, or a path such as /dev/kvm", set_kvm},
	{"dtb", 0, "FILE", "a device tree instead of the one made for the guest", set_dtb},
	{"dump-dtb", 0, "FILE", "write the guest's device tree; without --kernel only that",
	 set_dump_dtb},
	{"stats", 0, NULL, "long statistics at the end", set_stats},
	{"trace", 0, "FILE", "write one line an event, with its time", set_trace},
	{"help", 'h', NULL, "this help", set_help},
	{0},
};

static int print_help(void)
{
	printf("usage: armature run -k IMAGE [OPTION...]\n\n"
	       "Boots an arm64 guest with its interrupt controller in user space. The guest's "
	       "serial\n"
	       "port is standard input and output; on a terminal Ctrl-A x quits and Ctrl-A h "
	       "helps.\n\n"
	       "options:\n");
	options_print(rows);
	printf("\nexit status: 0 after power-off, 1 when the guest had to be stopped, 2 when it "
	       "could\n"
	       "not be started as asked. armature(1) tells more.\n");
	return EXIT_SUCCESS;
}

static int start(struct run_options *options)
{
	options->config.disks = options->disks;
	if (!options->config.kernel && !options->config.dump_dtb) {
		complain("--kernel is missing: armature run -k Image");
		return EXIT_USAGE;
	}
	return vmm_run(&options->config);
}

int command_run(int argc, char **argv)
{
	struct run_options options = {.config = {.mem = DEFAULT_MEM, .cpus = 1, .kvm = "auto"}};
	int status = EXIT_USAGE;

	if (!options_parse(rows, argc, argv, &options, NULL))
		status = options.help ? print_help() : start(&options);
	while (options.nr_owned)
		free(options.owned[--options.nr_owned]);
	return status;
}
