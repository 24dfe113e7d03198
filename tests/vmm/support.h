/* SPDX-License-Identifier: MIT */
/* What the VMM's tests share: captured messages, counted interrupt lines, temporary files. */
#ifndef TESTS_VMM_SUPPORT_H
#define TESTS_VMM_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/bus.h"
#include "vmm/device.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Standard error goes to memory from begin to end; end gives what was said (a static buffer). */
void capture_begin(void);
const char *capture_end(void);

unsigned int count_lines(const char *text);

/* A line that remembers. */
struct test_line {
	bool level;
	unsigned int changes;
	struct vmm_line line;
};

void test_line_init(struct test_line *line, unsigned int intid);

/* Accesses through a bus, by address; the address must be somebody's. */
uint64_t bus_read(const struct vmm_bus *bus, uint64_t addr, unsigned int size);
void bus_write(const struct vmm_bus *bus, uint64_t addr, unsigned int size, uint64_t value);

/* A temporary file with the bytes given. Return: its path, to be unlinked and freed. */
char *make_file(const void *bytes, size_t len);
void drop_file(char *path);

#endif
