/* SPDX-License-Identifier: MIT */
/* armature exec --log: what is asked of a KVM, a line each. */
#ifndef DOOR_LOG_H
#define DOOR_LOG_H

#include <stdbool.h>

/* Whether there is a log. */
bool log_on(void);

/* The time, in nanoseconds, from which a request's duration counts. */
unsigned long log_start(void);

/**
 * log_request() - Writes the line of a request that is over.
 * @start:  log_start() from before it
 * @ret:    what ioctl() returned, errno beside it
 *
 * Lines of many threads and processes do not mix: each is one write(2) to the file's end. errno
 * stays as it is.
 */
void log_request(int fd, unsigned long request, unsigned long arg, unsigned long start, int ret);

#endif
