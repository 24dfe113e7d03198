/* SPDX-License-Identifier: MIT */
/*
 * The way past the door: what libarmature and the door themselves call, and how the next object's
 * functions are found.
 *
 * The names here are those of door/meson.build's list, which the linker wraps: references to them,
 * but for those from the very file that defines the door's function of that name. There it is
 * NEXT().
 */
#include "door/door.h"
#include "door/trap.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

extern struct next __start_door_next[] __attribute__((visibility("hidden")));
extern struct next __stop_door_next[] __attribute__((visibility("hidden")));

static long missing(void)
{
	errno = ENOSYS;
	return -1;
}

void *next_function(struct next *next)
{
	void *function = __atomic_load_n(&next->function, __ATOMIC_RELAXED);

	if (!function) {
		function = dlsym(RTLD_NEXT, next->name);
		if (!function)
			function = missing;
		__atomic_store_n(&next->function, function, __ATOMIC_RELAXED);
	}
	return function;
}

/* All of them, early: dlsym() is no function for signal handlers. */
__attribute__((constructor(101))) static void find_all(void)
{
	for (struct next *next = __start_door_next; next < __stop_door_next; next++)
		next_function(next);
}

/*
 * A bit for each descriptor that the library made for itself, which are the files that it opened,
 * eventfds and signalfds. What the program gets is a memfd, but for the file of statistics, which
 * give_own() makes the program's.
 */
#define OWN_MAX  65536u
#define OWN_HIGH 256 /* so many below the limit of numbers they begin */
#define WORD     64u

static _Atomic unsigned long own[OWN_MAX / WORD];

bool is_own(int fd)
{
	const unsigned int n = (unsigned int)fd;

	return n < OWN_MAX && own[n / WORD] >> n % WORD & 1;
}

unsigned int next_own(unsigned int from)
{
	for (unsigned int n = from; n < OWN_MAX; n++) {
		if (!(own[n / WORD] >> n % WORD))
			n |= WORD - 1;
		else if (own[n / WORD] >> n % WORD & 1)
			return n;
	}
	return ~0u;
}

static int next_fcntl(int fd, int command, long arg)
{
	return NEXT_AS(fcntl64, int (*)(int, int, ...))(fd, command, arg);
}

/* Gives a descriptor a high number, and notes it. */
static int keep(int fd)
{
	struct rlimit limit;
	int saved = errno, high = -1;

	if (fd < 0)
		return fd;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur > 2 * OWN_HIGH) {
		const rlim_t top = limit.rlim_cur < OWN_MAX ? limit.rlim_cur : OWN_MAX;

		high = next_fcntl(fd, F_DUPFD_CLOEXEC, (long)top - OWN_HIGH);
	}
	if (high >= 0) {
		NEXT_AS(close, int (*)(int))(fd);
		fd = high;
	}
	errno = saved;
	if ((unsigned int)fd < OWN_MAX)
		atomic_fetch_or(&own[(unsigned int)fd / WORD], 1ul << (unsigned int)fd % WORD);
	return fd;
}

WRAP(int, close, int fd)
{
	if (fd >= 0 && is_own(fd))
		atomic_fetch_and(&own[(unsigned int)fd / WORD], ~(1ul << (unsigned int)fd % WORD));
	return NEXT_AS(close, int (*)(int))(fd);
}

int give_own(int fd)
{
	const int given = next_fcntl(fd, F_DUPFD_CLOEXEC, 0), saved = errno;

	__wrap_close(fd);
	errno = saved;
	return given;
}

WRAP(int, open64, const char *path, int flags, mode_t mode)
{
	return keep(NEXT_AS(open64, int (*)(const char *, int, ...))(path, flags, mode));
}

WRAP(int, eventfd, unsigned int count, int flags)
{
	return keep(NEXT_AS(eventfd, int (*)(unsigned int, int))(count, flags));
}

WRAP(int, signalfd, int fd, const sigset_t *set, int flags)
{
	const int made = NEXT_AS(signalfd, int (*)(int, const sigset_t *, int))(fd, set, flags);

	return fd < 0 ? keep(made) : made;
}

WRAP(int, fcntl64, int fd, int command, long arg)
{
	return next_fcntl(fd, command, arg);
}

WRAP(int, ioctl, int fd, unsigned long request, unsigned long arg)
{
	return NEXT_AS(ioctl, int (*)(int, unsigned long, ...))(fd, request, arg);
}

WRAP(int, fstat64, int fd, struct stat *st)
{
	return NEXT_AS(fstat64, int (*)(int, struct stat *))(fd, st);
}

WRAP(int, ppoll, struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *set)
{
	return NEXT_AS(ppoll, int (*)(struct pollfd *, nfds_t, const struct timespec *,
				      const sigset_t *))(fds, n, time, set);
}

WRAP(int, sigaction, int sig, const struct sigaction *act, struct sigaction *old)
{
	return trap_library_sigaction(sig, act, old);
}

WRAP(long, syscall, long nr, long a, long b, long c, long d, long e, long f)
{
	return NEXT_AS(syscall, long (*)(long, ...))(nr, a, b, c, d, e, f);
}
