/* SPDX-License-Identifier: MIT */
/*
 * vmm_run(): from what the command line asked for to the end of the guest.
 *
 * Everything that can be wrong with what was given is found before the guest's first instruction
 * and before the terminal is touched; what is made is undone in the opposite order at one place.
 */
#include "vmm/board.h"
#include "vmm/console.h"
#include "vmm/counters.h"
#include "vmm/fdt.h"
#include "vmm/files.h"
#include "vmm/kvm.h"
#include "vmm/report.h"
#include "vmm/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
	const struct vmm_config *config;
	const struct vmm_kvm *kvm;
	int system_fd, signal_fd, dump_fd;
	struct vmm_memory memory;
	struct vmm_boot boot;
	struct vmm_disk disks[VMM_MAX_DISKS];
	unsigned int nr_disks; /* open and not yet the board's */
	struct vmm_loop loop;
	struct vmm_trace *trace;
	struct vmm_vm vm;
	bool has_vm;
	struct vmm_board board;
	struct vmm_console console;
	void *dtb; /* VMM_FDT_MAX bytes */
	uint64_t started;
	sigset_t signals; /* that come to the loop */
	int signal;       /* that asked for the end, or 0 */
};

/* While they are let in, those that end a program end this one, as they do by default. */
static void let_signals_in(struct run *run, bool in)
{
	pthread_sigmask(in ? SIG_UNBLOCK : SIG_BLOCK, &run->signals, NULL);
}

/* ---- The device tree -------------------------------------------------------------------- */

static int read_dtb(struct run *run, const char *path)
{
	const int fd = vmm_input_open("dtb", path);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, run->dtb, VMM_FDT_MAX);
	close(fd);
	if (n < (ssize_t)sizeof(struct fdt_header) || fdt_check_full(run->dtb, (size_t)n)) {
		vmm_report("dtb '%s': not a device tree blob", path);
		return -EINVAL;
	}
	return 0;
}

static int write_dtb(struct run *run)
{
	int err;

	vmm_output_begin(run->dump_fd);
	let_signals_in(run, true); /* a FIFO may wait for its reader for ever */
	err = vmm_output_write(run->dump_fd, run->dtb, fdt_totalsize(run->dtb));
	let_signals_in(run, false);
	if (close(run->dump_fd) && !err)
		err = -errno;
	run->dump_fd = -1;
	if (err)
		vmm_report("--dump-dtb '%s': %s", run->config->dump_dtb, strerror(-err));
	return err;
}

/* The seeds are new for each boot, so the tree is made for each. */
static int make_dtb(struct run *run)
{
	const struct vmm_board_tree tree = {
		.append = run->config->append,
		.initrd_start = run->boot.initrd_start,
		.initrd_end = run->boot.initrd_end,
	};
	int err;

	if (run->config->dtb) {
		err = read_dtb(run, run->config->dtb);
		if (err)
			return err;
		err = vmm_board_patch_fdt(&run->vm, &tree, run->dtb, VMM_FDT_MAX);
	} else {
		err = vmm_board_fdt(&run->vm, &tree, run->dtb, VMM_FDT_SIZE);
	}
	if (err) {
		vmm_report("the device tree cannot be made: %s%s", fdt_strerror(err),
			   run->config->append ? " (is --append too long?)" : "");
		return -EINVAL;
	}
	return 0;
}

static void place_dtb(struct run *run)
{
	const size_t size = fdt_totalsize(run->dtb);

	memcpy(vmm_memory_at(&run->memory, run->boot.dtb, size), run->dtb, size);
	if (size <= run->boot.dtb_copy_max)
		memcpy(vmm_memory_at(&run->memory, run->boot.dtb_copy, size), run->dtb, size);
	run->vm.entry = run->boot.entry;
	run->vm.dtb = run->boot.dtb;
}

/* For a reboot. */
static int reload(void *opaque)
{
	struct run *run = opaque;
	int err = vmm_boot_load(&run->boot, &run->memory);

	if (!err)
		err = make_dtb(run);
	if (!err)
		place_dtb(run);
	return err;
}

/* ---- The user's end, and signals -------------------------------------------------------- */

static void quit(void *opaque)
{
	struct run *run = opaque;

	vmm_vm_request(&run->vm, VMM_REQUEST_QUIT);
}

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
/* A pipe without a reader, a terminal of others, a file at its limit: as errors, please. */
static const int ignored_signals[] = {SIGPIPE, SIGTTOU, SIGXFSZ};

/* As a shell expects of a program that has changed its terminal. */
static void stop_and_continue(struct run *run)
{
	vmm_terminal_restore();
	raise(SIGSTOP);
	if (run->console.terminal)
		vmm_terminal_raw();
}

static void signal_ready(void *opaque)
{
	struct run *run = opaque;
	struct signalfd_siginfo info;

	if (read(run->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP) {
		stop_and_continue(run);
		return;
	}
	run->signal = (int)info.ssi_signo;
	quit(run);
}

/* Before any thread is made, so that none gets a signal but those that ask for it. */
static int take_signals(struct run *run)
{
	static const struct sigaction ignore = {.sa_handler = SIG_IGN};
	int err;

	sigemptyset(&run->signals);
	for (size_t i = 0; i < sizeof(ending_signals) / sizeof(ending_signals[0]); i++) {
		struct sigaction old;

		/* What the parent chose to ignore (nohup) stays ignored. */
		if (!vmm_sigaction(ending_signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(&run->signals, ending_signals[i]);
	}
	sigaddset(&run->signals, SIGTSTP);
	err = -pthread_sigmask(SIG_BLOCK, &run->signals, NULL);
	if (err)
		return err;
	for (size_t i = 0; i < sizeof(ignored_signals) / sizeof(ignored_signals[0]); i++)
		vmm_sigaction(ignored_signals[i], &ignore, NULL);
	run->signal_fd = signalfd(-1, &run->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		return -errno;
	err = vmm_loop_add(&run->loop, run->signal_fd, signal_ready, run);
	return err < 0 ? err : 0;
}

/* ---- From start to end ------------------------------------------------------------------ */

static int open_files(struct run *run)
{
	const struct vmm_config *config = run->config;
	int err = vmm_boot_open(&run->boot, config->kernel, config->flat, config->initrd);

	if (!err && config->dtb)
		err = read_dtb(run, config->dtb);
	while (!err && run->nr_disks < config->nr_disks) {
		const struct vmm_disk_config *disk = &config->disks[run->nr_disks];

		err = vmm_disk_open(&run->disks[run->nr_disks], disk->path, disk->read_only);
		run->nr_disks += !err;
	}
	if (!err && config->dump_dtb) {
		run->dump_fd = vmm_output_open("--dump-dtb", config->dump_dtb, config);
		err = run->dump_fd < 0 ? run->dump_fd : 0;
	}
	if (!err && config->trace) {
		const int fd = vmm_output_open("--trace", config->trace, config);

		err = fd < 0 ? fd : vmm_trace_open(fd, run->started, &run->trace);
	}
	return err;
}

static int load(struct run *run)
{
	const int err = vmm_memory_create(&run->memory, BOARD_RAM, run->config->mem);

	if (err) {
		vmm_report("--mem: the host does not give %llu MiB: %s",
			   (unsigned long long)(run->config->mem >> 20), strerror(-err));
		return err;
	}
	return vmm_boot_load(&run->boot, &run->memory);
}

static int build(struct run *run)
{
	const unsigned int nr_disks = run->nr_disks;
	int err;

	run->kvm = vmm_kvm_choose(run->config->kvm, &run->system_fd);
	if (!run->kvm)
		return -ENODEV;
	run->has_vm = true;
	run->vm.vgic = run->config->vgic;
	err = vmm_vm_create(&run->vm, run->kvm, run->system_fd, &run->memory, run->config->cpus,
			    &run->loop, run->trace);
	if (err)
		return err;
	if (run->config->stats && run->kvm->engine)
		vmm_report("engine: %s", run->kvm->engine(run->vm.fd));
	run->nr_disks = 0;
	err = vmm_board_create(&run->board, &run->vm,
			       &(struct vmm_board_console){.pace = vmm_console_pace,
							   .transmit = vmm_console_transmit,
							   .room = vmm_console_room,
							   .opaque = &run->console},
			       run->disks, nr_disks);
	if (err)
		return err;
	run->vm.reload = reload;
	run->vm.reload_opaque = run;
	err = make_dtb(run);
	if (!err)
		place_dtb(run);
	if (!err && run->config->dump_dtb)
		err = write_dtb(run);
	if (!err && run->trace)
		err = vmm_trace_begin(run->trace, vmm_vm_wake, &run->vm);
	return err;
}

/* Everything up to the point where the guest could start. */
static int prepare(struct run *run)
{
	int err = vmm_loop_init(&run->loop);

	run->dtb = calloc(1, VMM_FDT_MAX);
	if (!run->dtb)
		err = -ENOMEM;
	/* While a FIFO to write to waits for its reader, signals still end the program. */
	if (!err) {
		err = open_files(run);
		if (err)
			return err;
		err = take_signals(run);
	}
	if (!err)
		err = vmm_report_start();
	if (err) {
		vmm_report("%s", strerror(-err));
		return err;
	}
	err = load(run);
	return err ? err : build(run);
}

static enum vmm_request run_guest(struct run *run)
{
	enum vmm_request end = VMM_REQUEST_NONE;
	int err;

	run->console.loop = &run->loop;
	run->console.vm = &run->vm;
	run->console.uart = run->board.uart;
	run->console.quit = quit;
	run->console.opaque = run;
	err = vmm_console_start(&run->console);
	if (err)
		vmm_report("the terminal cannot be used: %s", strerror(-err));
	else
		err = vmm_vm_start(&run->vm);
	if (err)
		return VMM_REQUEST_ERROR;
	while (end == VMM_REQUEST_NONE) {
		vmm_console_serve(&run->console);
		vmm_loop_once(&run->loop);
		end = vmm_vm_serve(&run->vm);
	}
	return end;
}

static const char *const endings[] = {
	[VMM_REQUEST_POWEROFF] = "powered off",
	[VMM_REQUEST_QUIT] = "ended",
	[VMM_REQUEST_ERROR] = "stopped by an error",
};

static void summarise(const struct run *run, enum vmm_request end, uint64_t wall_ns)
{
	const struct vmm_vcpu_stats *vcpus[VMM_MAX_CPUS];
	struct vmm_kvm_counts counts = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	if (!to) {
		vmm_report("%s", endings[end]);
		return;
	}
	for (unsigned int i = 0; i < run->vm.nr_vcpus; i++) {
		const int fd = run->vm.vcpus[i].counters_fd;
		uint64_t value = 0;

		vcpus[i] = &run->vm.vcpus[i].stats;
		if (vmm_counters_read(fd, "exits", &value))
			counts.exits += value;
		if (vmm_counters_read(fd, "instructions", &value))
			counts.instructions += value;
	}
	vmm_stats_print(to,
			&(struct vmm_summary){.vcpus = vcpus,
					      .nr_vcpus = run->vm.nr_vcpus,
					      .bus = &run->vm.bus,
					      .irqchip = &run->vm.irqchip,
					      .counts = counts,
					      .wall_ns = wall_ns,
					      .boots = run->vm.boots,
					      .ending = endings[end]},
			run->config->stats);
	if (!fclose(to))
		vmm_report_text(text, len);
	free(text);
}

/*
 * A kernel that dies before its console works computes for ever, or sleeps, and says nothing.
 * Whoever ends it then is told how to hear it; flat binaries are not Linux.
 */
static void hint(const struct run *run, enum vmm_request end)
{
	const char *append = run->config->append;

	if (end == VMM_REQUEST_POWEROFF || run->config->flat ||
	    __atomic_load_n(&run->console.printed, __ATOMIC_RELAXED) ||
	    (append && strstr(append, "earlycon")))
		return;
	vmm_report("the guest has sent nothing to its serial port; with 'earlycon' on its command "
		   "line (-a) a Linux kernel tells also what happens before its console works");
}

/* The trace ends after the last device, and before the VM, whose vCPUs may have waited for it. */
static int clean_up(struct run *run)
{
	int err;

	if (run->has_vm)
		vmm_vm_remove_devices(&run->vm);
	err = vmm_trace_close(run->trace);
	if (err)
		vmm_report("--trace '%s': %s", run->config->trace,
			   err == -ETIMEDOUT ? "its reader takes no more" : strerror(-err));
	if (run->has_vm)
		vmm_vm_destroy(&run->vm);
	if (run->kvm && run->system_fd >= 0)
		run->kvm->close(run->system_fd);
	while (run->nr_disks)
		close(run->disks[--run->nr_disks].fd);
	vmm_boot_close(&run->boot);
	vmm_memory_destroy(&run->memory);
	if (run->signal_fd >= 0)
		close(run->signal_fd);
	if (run->dump_fd >= 0)
		close(run->dump_fd);
	vmm_loop_destroy(&run->loop);
	free(run->dtb);
	vmm_report_stop();
	return err;
}

/*
 * The host keeps a thread of ours, which may use everything once it comes back. So nothing is
 * undone; the process ends with what it has.
 */
static _Noreturn void abandon(struct run *run)
{
	vmm_stream_finish(run->console.output);
	vmm_trace_finish(run->trace);
	vmm_report_finish();
	if (run->signal)
		raise(run->signal); /* has been let in */
	_exit(VMM_FAILED);
}

/*
 * From the first entry to the summary. Once the vCPUs have ended, only output is left to be waited
 * for: for as long as its readers take it, and from then on whoever is tired of that can end the
 * program by any signal.
 */
static int run_to_the_end(struct run *run)
{
	const uint64_t entered = vmm_now();
	const enum vmm_request end = run_guest(run);
	int status = end == VMM_REQUEST_ERROR ? VMM_FAILED : VMM_OK;
	const int stuck = vmm_vm_stop(&run->vm);
	const uint64_t wall_ns = vmm_now() - entered;

	vmm_terminal_restore();
	let_signals_in(run, true);
	if (stuck)
		abandon(run);
	if (vmm_console_stop(&run->console))
		status = VMM_FAILED;
	summarise(run, end, wall_ns);
	hint(run, end);
	return status;
}

int vmm_run(const struct vmm_config *config)
{
	struct run *run = calloc(1, sizeof(*run));
	int status = VMM_USAGE, ended_by;

	if (!run) {
		vmm_report("%s", strerror(ENOMEM));
		return VMM_USAGE;
	}
	*run = (struct run){.config = config,
			    .system_fd = -1,
			    .signal_fd = -1,
			    .dump_fd = -1,
			    .loop.wake_fd = -1,
			    .boot = {.kernel_fd = -1, .initrd_fd = -1},
			    .vm.fd = -1,
			    .started = vmm_now()};
	if (!prepare(run))
		status = config->kernel ? run_to_the_end(run) : VMM_OK; /* or only --dump-dtb */
	if (clean_up(run) && status == VMM_OK)
		status = VMM_FAILED;
	ended_by = run->signal;
	free(run);
	if (ended_by)
		raise(ended_by); /* has been let in */
	return status;
}
