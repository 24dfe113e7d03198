/* SPDX-License-Identifier: MIT */
/*
 * The console: standard input and output, and the terminal that they may be.
 *
 * The process has one terminal, and a signal handler must find how it was: that is the one piece of
 * state here that is not in a struct.
 */
#include "vmm/console.h"
#include "vmm/kvm.h"
#include "vmm/pl011.h"
#include "vmm/report.h"
#include "vmm/stream.h"
#include "vmm/vm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_A      0x01
#define OUTPUT_SIZE (128u << 10)

static struct termios cooked;
static volatile sig_atomic_t is_raw;

void vmm_terminal_restore(void)
{
	if (!is_raw)
		return;
	is_raw = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
}

/* Signals that end the process in the middle of something. The others come to the loop. */
static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};

/* SA_RESETHAND: the second time it is the default action, with its core and its exit status. */
static void fatal(int sig)
{
	vmm_terminal_restore();
	raise(sig);
}

static void catch_fatal_signals(void)
{
	struct sigaction action = {.sa_handler = fatal, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
	struct sigaction old;

	for (size_t i = 0; i < sizeof(fatal_signals) / sizeof(fatal_signals[0]); i++) {
		/* A handler that somebody needs stays. */
		if (!vmm_sigaction(fatal_signals[i], NULL, &old) && old.sa_handler == SIG_DFL)
			vmm_sigaction(fatal_signals[i], &action, NULL);
	}
}

/* Output stays as it was, so that lines of our own look right. */
int vmm_terminal_raw(void)
{
	struct termios raw;

	if (is_raw)
		return 0;
	if (tcgetattr(STDIN_FILENO, &cooked))
		return -errno;
	raw = cooked;
	cfmakeraw(&raw);
	raw.c_oflag = cooked.c_oflag;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	is_raw = 1;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw)) {
		is_raw = 0;
		return -errno;
	}
	return 0;
}

static void help(void)
{
	static const char text[] = "\r\n"
				   "Ctrl-A x       end the guest at once and quit\r\n"
				   "Ctrl-A h       this help\r\n"
				   "Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

	vmm_report_text(text, sizeof(text) - 1);
}

static void to_guest(struct vmm_console *console, uint8_t byte)
{
	/* Typed into a guest that does not listen. The keys of our own still work. */
	if (console->count == VMM_CONSOLE_BUFFER)
		return;
	console->buffer[(console->head + console->count++) % VMM_CONSOLE_BUFFER] = byte;
}

static void from_terminal(struct vmm_console *console, uint8_t byte)
{
	if (!console->escape) {
		if (byte == CTRL_A)
			console->escape = true;
		else
			to_guest(console, byte);
		return;
	}
	console->escape = false;
	switch (byte) {
	case 'x':
		console->quit(console->opaque);
		break;
	case 'h':
	case '?':
		help();
		break;
	case CTRL_A:
		to_guest(console, CTRL_A);
		break;
	default: /* not ours: both keys are the guest's */
		to_guest(console, CTRL_A);
		to_guest(console, byte);
	}
}

static void input_ready(void *opaque)
{
	struct vmm_console *console = opaque;
	const size_t room = VMM_CONSOLE_BUFFER - console->count;
	uint8_t bytes[256];
	ssize_t n;

	n = read(STDIN_FILENO, bytes,
		 console->terminal || room > sizeof(bytes) ? sizeof(bytes) : room);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) { /* the end, or it was never open */
		vmm_loop_enable(console->loop, console->input_id, false);
		console->input_id = -1;
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (console->terminal)
			from_terminal(console, bytes[i]);
		else
			to_guest(console, bytes[i]);
	}
}

void vmm_console_serve(struct vmm_console *console)
{
	size_t taken = 1;

	while (console->count && taken) {
		const size_t to_end = VMM_CONSOLE_BUFFER - console->head;
		const size_t len = console->count < to_end ? console->count : to_end;

		taken = vmm_pl011_receive(console->uart, console->buffer + console->head, len);
		console->head = (console->head + taken) % VMM_CONSOLE_BUFFER;
		console->count -= taken;
	}
	/* A pipe waits until the guest listens; a terminal is always read, for our own keys. */
	if (console->input_id >= 0)
		vmm_loop_enable(console->loop, console->input_id,
				console->terminal || console->count < VMM_CONSOLE_BUFFER);
}

void vmm_console_room(void *opaque)
{
	struct vmm_console *console = opaque;

	vmm_loop_wake(console->loop);
}

static bool has_room(void *opaque)
{
	return vmm_stream_has_room(((struct vmm_console *)opaque)->output);
}

void vmm_console_pace(void *opaque)
{
	struct vmm_console *console = opaque;

	vmm_vm_wait(console->vm, has_room, console);
}

void vmm_console_transmit(void *opaque, uint8_t byte)
{
	struct vmm_console *console = opaque;

	__atomic_store_n(&console->printed, true, __ATOMIC_RELAXED);
	vmm_stream_put(console->output, &byte, 1);
}

static int start_output(struct vmm_console *console)
{
	return vmm_stream_open(&(struct vmm_stream_config){.fd = STDOUT_FILENO,
							   .size = OUTPUT_SIZE,
							   .batch = 1,
							   .room = vmm_vm_wake,
							   .opaque = console->vm},
			       &console->output);
}

int vmm_console_start(struct vmm_console *console)
{
	int err = start_output(console);

	console->input_id = -1;
	console->terminal = isatty(STDIN_FILENO);
	if (!err && console->terminal) {
		err = vmm_terminal_raw();
		if (!err) {
			atexit(vmm_terminal_restore);
			catch_fatal_signals();
		}
	}
	if (err)
		return err;
	console->input_id = vmm_loop_add(console->loop, STDIN_FILENO, input_ready, console);
	return console->input_id < 0 ? console->input_id : 0;
}

int vmm_console_stop(struct vmm_console *console)
{
	struct vmm_stream_end end;

	if (!console->output)
		return 0;
	vmm_stream_close(console->output, &end);
	console->output = NULL;
	/* Who closes a pipe, as head(1) does, has got what was wanted. */
	if (end.error == -EPIPE)
		return 0;
	if (end.lost)
		vmm_report("standard output: %s; %llu bytes that the guest sent are lost",
			   end.error ? strerror(-end.error) : "nobody reads it",
			   (unsigned long long)end.lost);
	return end.error;
}
