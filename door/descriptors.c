/* SPDX-License-Identifier: MIT */
/*
 * The C library's functions that take descriptors: requests go to the KVM whose they are, and the
 * library is told of each number that is closed or stands for another file from now on.
 *
 * A number that a call makes anew (dup(), the results of fcntl()) is told of as well: the C library
 * closes descriptors by itself now and then (syslog(), forkpty()), and what was known of such a
 * number must not outlive the next call that makes it.
 */
#include "door/door.h"
#include "door/log.h"

#include <armature/armature.h>
#include <armature/kvm_arm64.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int pass_ioctl(int fd, unsigned long request, unsigned long arg)
{
	int ret;

	if (armature_knows(fd)) {
		ret = armature_ioctl(fd, request, arg);
		return request == KVM_GET_STATS_FD && ret >= 0 ? fresh(give_own(ret)) : ret;
	}
	ret = NEXT_AS(ioctl, int (*)(int, unsigned long, ...))(fd, request, arg);
	/* qemu-aarch64 knows no request of KVM, for any file; the library knows the errors. */
	if (ret < 0 && errno == ENOSYS && _IOC_TYPE(request) == KVMIO)
		return armature_ioctl(fd, request, arg);
	return ret;
}

int kvm_ioctl(int fd, unsigned long request, unsigned long arg)
{
	unsigned long start;
	int ret;

	if (!log_on() || _IOC_TYPE(request) != KVMIO)
		return pass_ioctl(fd, request, arg);
	start = log_start();
	ret = pass_ioctl(fd, request, arg);
	log_request(fd, request, arg, start, ret);
	return ret;
}

DOOR(int, ioctl, int fd, unsigned long request, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	return kvm_ioctl(fd, request, arg);
}

static int next_close(int fd)
{
	return NEXT_AS(close, int (*)(int))(fd);
}

int kvm_close(int fd)
{
	int ret;

	if (fd < 0)
		return next_close(fd);
	/* The program does not know that this number is taken. */
	if (is_own(fd)) {
		errno = EBADF;
		return -1;
	}
	/* What the descriptor stands for goes at once. */
	if (armature_knows(fd))
		return armature_close(fd);
	armature_fds_begin((unsigned int)fd, (unsigned int)fd);
	ret = next_close(fd);
	armature_fds_end((unsigned int)fd, (unsigned int)fd);
	return ret;
}

DOOR(int, close, int fd)
{
	return kvm_close(fd);
}

static int next_close_range(unsigned int first, unsigned int last, int flags)
{
	return NEXT_AS(close_range, int (*)(unsigned int, unsigned int, int))(first, last, flags);
}

/* The C library's close_range() of the numbers that are not the library's own. */
static int close_others(unsigned int first, unsigned int last, int flags)
{
	for (;;) {
		const unsigned int own = next_own(first);

		if (own > last || own == ~0u)
			return next_close_range(first, last, flags);
		if (own > first && next_close_range(first, own - 1, flags))
			return -1;
		if (own == last)
			return 0;
		first = own + 1;
	}
}

int kvm_close_range(unsigned int first, unsigned int last, int flags)
{
	int ret;

	/* Neither an error closes anything, nor CLOSE_RANGE_CLOEXEC; CLOSE_RANGE_UNSHARE does. */
	if (first > last || flags & ~CLOSE_RANGE_UNSHARE)
		return next_close_range(first, last, flags);
	armature_fds_begin(first, last);
	ret = close_others(first, last, flags);
	armature_fds_end(first, last);
	return ret;
}

DOOR(int, close_range, unsigned int first, unsigned int last, int flags)
{
	return kvm_close_range(first, last, flags);
}

DOOR(void, closefrom, int first)
{
	const unsigned int from = first < 0 ? 0 : (unsigned int)first;

	/* A kernel without close_range(2): the C library knows another way. */
	if (kvm_close_range(from, ~0u, 0))
		NEXT(closefrom)(first);
}

DOOR(int, dup, int fd)
{
	return fresh(NEXT(dup)(fd));
}

static bool onto_own(int fd)
{
	if (fd < 0 || !is_own(fd))
		return false;
	errno = EBUSY; /* as when another thread is opening the number */
	return true;
}

DOOR(int, dup2, int fd, int onto)
{
	int ret;

	if (onto_own(onto))
		return -1;
	armature_fds_begin((unsigned int)onto, (unsigned int)onto);
	ret = NEXT(dup2)(fd, onto);
	armature_fds_end((unsigned int)onto, (unsigned int)onto);
	return ret;
}

DOOR(int, dup3, int fd, int onto, int flags)
{
	int ret;

	if (onto_own(onto))
		return -1;
	armature_fds_begin((unsigned int)onto, (unsigned int)onto);
	ret = NEXT(dup3)(fd, onto, flags);
	armature_fds_end((unsigned int)onto, (unsigned int)onto);
	return ret;
}

static bool duplicates(int command)
{
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC;
}

#define FCNTL(name)                                                 \
	DOOR(int, name, int fd, int command, ...)                   \
	{                                                           \
		long arg;                                           \
		va_list ap;                                         \
                                                                    \
		va_start(ap, command);                              \
		arg = va_arg(ap, long);                             \
		va_end(ap);                                         \
		if (duplicates(command))                            \
			return fresh(NEXT(name)(fd, command, arg)); \
		return NEXT(name)(fd, command, arg);                \
	}

FCNTL(fcntl)
FCNTL(fcntl64)

/* Streams and directories close their descriptors inside the C library. */

DOOR(int, fclose, FILE *f)
{
	const int saved = errno, fd = fileno(f);
	int ret;

	errno = saved;
	if (fd < 0)
		return NEXT(fclose)(f);
	armature_fds_begin((unsigned int)fd, (unsigned int)fd);
	ret = NEXT(fclose)(f);
	armature_fds_end((unsigned int)fd, (unsigned int)fd);
	return ret;
}

DOOR(int, pclose, FILE *f)
{
	const int fd = fileno(f), ret = NEXT(pclose)(f);

	fresh(fd);
	return ret;
}

/* Both put another file onto the standard descriptors; login_tty() also closes the one it has. */

DOOR(int, daemon, int here, int open_streams)
{
	int ret;

	armature_fds_begin(STDIN_FILENO, STDERR_FILENO);
	ret = NEXT(daemon)(here, open_streams);
	armature_fds_end(STDIN_FILENO, STDERR_FILENO);
	return ret;
}

DOOR(int, login_tty, int fd)
{
	int ret;

	armature_fds_begin(STDIN_FILENO, STDERR_FILENO);
	ret = NEXT(login_tty)(fd);
	armature_fds_end(STDIN_FILENO, STDERR_FILENO);
	fresh(fd);
	return ret;
}

DOOR(int, closedir, DIR *directory)
{
	const int fd = dirfd(directory), ret = NEXT(closedir)(directory);

	fresh(fd);
	return ret;
}
