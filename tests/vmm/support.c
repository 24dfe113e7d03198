/* SPDX-License-Identifier: MIT */
/* What the VMM's tests share. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int captured = -1, real_stderr = -1;

void capture_begin(void)
{
	captured = memfd_create("stderr", 0);
	real_stderr = dup(STDERR_FILENO);
	assert_true(captured >= 0 && real_stderr >= 0);
	fflush(stderr);
	dup2(captured, STDERR_FILENO);
}

const char *capture_end(void)
{
	static char text[8192];
	ssize_t n;

	fflush(stderr);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	n = pread(captured, text, sizeof(text) - 1, 0);
	close(captured);
	assert_true(n >= 0);
	text[n] = 0;
	return text;
}

unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void set_test_line(void *opaque, unsigned int intid, bool level)
{
	struct test_line *line = opaque;

	assert_int_equal(intid, line->line.intid);
	assert_int_not_equal(level, line->level); /* only changes are told */
	line->level = level;
	line->changes++;
}

void test_line_init(struct test_line *line, unsigned int intid)
{
	memset(line, 0, sizeof(*line));
	line->line = (struct vmm_line){.set = set_test_line, .opaque = line, .intid = intid};
}

uint64_t bus_read(const struct vmm_bus *bus, uint64_t addr, unsigned int size)
{
	const int i = vmm_bus_find(bus, addr, size);

	assert_true(i >= 0);
	return bus->regions[i].read(bus->regions[i].opaque, 0, addr - bus->regions[i].base, size);
}

void bus_write(const struct vmm_bus *bus, uint64_t addr, unsigned int size, uint64_t value)
{
	const int i = vmm_bus_find(bus, addr, size);

	assert_true(i >= 0);
	bus->regions[i].write(bus->regions[i].opaque, 0, addr - bus->regions[i].base, size, value);
}

char *make_file(const void *bytes, size_t len)
{
	char *path = strdup("/tmp/armature-test-XXXXXX");
	const int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
	return path;
}

void drop_file(char *path)
{
	unlink(path);
	free(path);
}
