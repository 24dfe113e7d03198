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

int vmm_input_open(const char *what, const char *path)
{
	/* O_NONBLOCK: opening a FIFO would wait for a writer. It means nothing for a file. */
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err = 0;

	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		vmm_report("%s '%s': %s", what, path, strerror(-err));
	} else if (!S_ISREG(st.st_mode)) {
		err = -EINVAL;
		vmm_report("%s '%s': not a file", what, path);
	}
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
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
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	struct stat st;
	int err = 0;

	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		vmm_report("%s '%s': %s", option, path, strerror(-err));
	} else if (is_input(&st, config)) {
		err = -EINVAL;
		vmm_report("%s '%s': the guest is made of this file; give another", option, path);
	}
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
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
