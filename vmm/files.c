/* SPDX-License-Identifier: MIT */
/* Opening what is named on the command line. */
#include "vmm/files.h"
#include "vmm/report.h"
#include "vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(int fd, const char *what, const char *path, const char *why, int err)
{
	vmm_report("%s '%s': %s", what, path, why);
	if (fd >= 0)
		close(fd);
	return err;
}

static int open_named(const char *what, const char *path, int flags, struct stat *st)
{
	const int fd = open(path, flags | O_CLOEXEC, 0666);

	if (fd < 0 || fstat(fd, st)) {
		const int err = -errno;

		return refuse(fd, what, path, strerror(-err), err);
	}
	return fd;
}

int vmm_input_open(const char *what, const char *path)
{
	struct stat st;
	/* O_NONBLOCK: opening a FIFO would wait for a writer. It means nothing for a file. */
	const int fd = open_named(what, path, O_RDONLY | O_NONBLOCK, &st);

	if (fd >= 0 && !S_ISREG(st.st_mode))
		return refuse(fd, what, path, "not a file", -EINVAL);
	return fd;
}

static bool is_same(const struct stat *a, const char *path)
{
	struct stat b;

	return path && !stat(path, &b) && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

static bool is_input(const struct stat *st, const struct vmm_config *config)
{
	bool same = is_same(st, config->kernel) || is_same(st, config->initrd) ||
		    is_same(st, config->dtb);

	for (unsigned int i = 0; !same && i < config->nr_disks; i++)
		same = is_same(st, config->disks[i].path);
	return same;
}

int vmm_output_open(const char *option, const char *path, const struct vmm_config *config)
{
	struct stat st;
	const int fd = open_named(option, path, O_WRONLY | O_CREAT, &st);

	if (fd >= 0 && is_input(&st, config))
		return refuse(fd, option, path, "the guest is made of this file; give another",
			      -EINVAL);
	return fd;
}

void vmm_output_begin(int fd)
{
	/* A pipe or a terminal cannot be emptied, and need not. */
	if (ftruncate(fd, 0))
		errno = 0;
}

int vmm_output_write(int fd, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len) {
		const ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}
