/* SPDX-License-Identifier: MIT */
/*
 * The console: standard input and output, and the terminal that they may be.
 *
 * A terminal on standard input is put into raw mode, so that the guest gets every key, and is put
 * back on every way out: at the end, by exit(), by a signal that ends the process, also by a crash.
 * Ctrl-A is then ours: Ctrl-A x quits, Ctrl-A h helps, Ctrl-A Ctrl-A sends one. Input that is no
 * terminal goes to the guest as it is; its end only ends the input.
 *
 * Output goes through a stream (stream.h). While its reader does not keep up, vCPUs that send wait
 * before they do, with no lock held; what they wait for is room, or the VM's pause. Nothing is lost
 * then, unless the machine is reset tens of thousands of times meanwhile: each reset lets one byte
 * of each vCPU through.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include "vmm/device.h"
#include "vmm/loop.h"

#include <stddef.h>

#define VMM_CONSOLE_BUFFER 4096

struct vmm_console {
	struct vmm_loop *loop;
	struct vmm_device *uart;
	void (*quit)(void *opaque); /* Ctrl-A x */
	void *opaque;
	struct vmm_vm *vm;
	struct vmm_stream *output; /* standard output */
	bool printed;              /* atomic: the guest has sent something */
	int input_id;              /* of the loop's source, or -1 */
	bool terminal, escape;
	uint8_t buffer[VMM_CONSOLE_BUFFER]; /* input that the UART did not take yet */
	size_t head, count;
};

/* Puts a terminal on standard input into raw mode. Return: 0 or -errno. */
int vmm_terminal_raw(void);

/* Puts it back, if it was. Async-signal-safe; may be called again. */
void vmm_terminal_restore(void);

/**
 * vmm_console_start() - Joins standard input and output to the UART.
 * @console: zeroed, with loop, vm, uart, quit and opaque set
 * Return: 0 or -errno; vmm_console_stop() is due in either case.
 */
int vmm_console_start(struct vmm_console *console);

/**
 * vmm_console_stop() - Writes the output that waits, as far as it is taken (vmm_stream_close()).
 *
 * After the vCPUs have ended. Says so when output was lost, unless its reader has gone.
 *
 * Return: 0, or -errno when the host could not keep what the guest had sent.
 */
int vmm_console_stop(struct vmm_console *console);

/* The UART's side, as in struct vmm_pl011_config. @opaque is the console. */
void vmm_console_pace(void *opaque);
void vmm_console_transmit(void *opaque, uint8_t byte);
void vmm_console_room(void *opaque);

/* Gives the UART what waits for it. On the loop's thread, each time round. */
void vmm_console_serve(struct vmm_console *console);

#endif
