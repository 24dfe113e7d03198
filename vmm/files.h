/* SPDX-License-Identifier: MIT */
/* The files that a person names: opened so that nothing hangs and nothing is lost. */
#ifndef VMM_FILES_H
#define VMM_FILES_H

#include <stddef.h>

struct vmm_config;

/**
 * vmm_input_open() - Opens a file that the guest is made of, to be read. Complains itself.
 * @what: what to call it: kernel, initrd, dtb
 *
 * It must be a regular file: it is read again at each reboot, and a FIFO would have the caller
 * wait.
 *
 * Return: the descriptor, or negative errno.
 */
int vmm_input_open(const char *what, const char *path);

/**
 * vmm_output_open() - Opens a file to be written, and creates it. Complains itself.
 * @option: the option that named it
 * @config: whose kernel, initrd, dtb and disks it must not be
 *
 * What is in it stays until vmm_output_begin(): something may be wrong with the rest yet.
 *
 * Return: the descriptor, or negative errno.
 */
int vmm_output_open(const char *option, const char *path, const struct vmm_config *config);

/** vmm_output_begin() - Empties it, if it is of a kind that keeps what is written. */
void vmm_output_begin(int fd);

/**
 * vmm_output_write() - Writes all of @len bytes.
 * Return: 0 or negative errno.
 */
int vmm_output_write(int fd, const void *bytes, size_t len);

#endif
