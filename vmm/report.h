/* SPDX-License-Identifier: MIT */
/*
 * Messages to people: one line each, on standard error, in one write so that the lines of several
 * threads never mix. Each says what was wrong, and what would be right where that is known.
 */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

/**
 * vmm_report() - Writes "armature: ", the text and a newline.
 * @fmt: as printf; no newline
 *
 * Thread-safe. Keeps errno.
 */
void vmm_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
