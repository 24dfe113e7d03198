/* SPDX-License-Identifier: MIT */
/*
 * Messages to people: one line each, on standard error, whole, so that the lines of several threads
 * never mix. Each says what was wrong, and what would be right where that is known.
 *
 * While a guest runs they go through a stream (stream.h): a standard error that nobody reads stops
 * no thread, and any lock may be held. What does not fit then is counted, and told when it does.
 */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

#include <stddef.h>

/**
 * vmm_report() - Writes "armature: ", the text and a newline.
 * @fmt: as printf; no newline
 *
 * Thread-safe. Keeps errno.
 */
void vmm_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * vmm_report_limited() - As vmm_report(), for what a guest can cause as often as it likes.
 * @told: how many of this kind were told; zero at first, and counted here, atomically
 * @max:  how many are told; the last one says that there will be no more, if @max is above 1
 */
void vmm_report_limited(unsigned int *told, unsigned int max, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Writes text of several lines as it is. Thread-safe. */
void vmm_report_text(const char *text, size_t len);

/**
 * vmm_report_start() - From here on no message waits for standard error.
 *
 * Before other threads report. Return: 0 or -errno.
 */
int vmm_report_start(void);

/* Writes what waits, as far as it is taken, and ends that. After all other threads have ended. */
void vmm_report_stop(void);

/* The same where threads may still report; nothing that is reported later is written. */
void vmm_report_finish(void);

#endif
