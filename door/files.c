/* SPDX-License-Identifier: MIT */
/*
 * The C library's functions that take a path: open(), fopen(), stat(), access() and their like.
 *
 * Two tests tell whether a path is /dev/kvm: its last component is "kvm", which few paths' is, and
 * then, the directory before it is the one that "/dev" names. So "//dev/kvm", "/dev/../dev/kvm" and
 * "kvm" beside a descriptor of /dev are all found, and other paths cost a look at their end.
 */
#include "door/door.h"

#include <armature/armature.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define KVM_MAJOR 10 /* misc */
#define KVM_MINOR 232
#define KVM_PATH  "/dev/kvm"
#define KVM_NAME  "kvm"

#define DOOR_SYSTEM "/memfd:armature-system"

/* The next object's, from a file that has its own by these names: they cannot be wrapped here. */

static int next_stat(const char *path, struct stat *st)
{
	return NEXT_AS(stat, int (*)(const char *, struct stat *))(path, st);
}

static int next_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	return NEXT_AS(fstatat, int (*)(int, const char *, struct stat *, int))(dirfd, path, st,
										flags);
}

static ssize_t next_readlink(const char *path, char *buffer, size_t size)
{
	return NEXT_AS(readlink, ssize_t(*)(const char *, char *, size_t))(path, buffer, size);
}

static int next_open(const char *path, int flags)
{
	return NEXT_AS(open, int (*)(const char *, int, ...))(path, flags, 0);
}

/* The directory in which a path's last component lies, "" being @dirfd's own. */
static bool is_dev(int dirfd, const char *path, size_t length)
{
	char directory[PATH_MAX];
	struct stat given, dev;

	if (length >= sizeof(directory))
		return false;
	memcpy(directory, path, length);
	directory[length] = '\0';
	return !next_stat("/dev", &dev) &&
	       !next_fstatat(dirfd, length ? directory : ".", &given, 0) &&
	       given.st_dev == dev.st_dev && given.st_ino == dev.st_ino;
}

bool is_kvm(int dirfd, const char *path)
{
	int saved = errno;
	size_t length = path ? strlen(path) : 0, before;
	bool is;

	if (length < strlen(KVM_NAME))
		return false;
	before = length - strlen(KVM_NAME);
	if (strcmp(path + before, KVM_NAME) || (before && path[before - 1] != '/'))
		return false;
	is = !strcmp(path, KVM_PATH) || is_dev(dirfd, path, before);
	errno = saved;
	return is;
}

void kvm_stat(struct stat *st)
{
	struct stat dev;

	memset(st, 0, sizeof(*st));
	if (!next_stat("/dev", &dev)) {
		st->st_dev = dev.st_dev;
		st->st_atim = dev.st_atim;
		st->st_mtim = dev.st_mtim;
		st->st_ctim = dev.st_ctim;
	}
	st->st_ino = KVM_MINOR;
	st->st_mode = S_IFCHR | 0666;
	st->st_nlink = 1;
	st->st_rdev = makedev(KVM_MAJOR, KVM_MINOR);
	st->st_blksize = 4096;
}

bool is_kvm_descriptor(int fd)
{
	char path[32], name[sizeof(DOOR_SYSTEM)];
	int saved = errno;
	ssize_t n;

	if (!armature_knows(fd))
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = next_readlink(path, name, sizeof(name) - 1);
	errno = saved;
	return n == (ssize_t)sizeof(name) - 1 && !memcmp(name, DOOR_SYSTEM, sizeof(name) - 1);
}

#define HEAP_PIECE (100u << 10) /* below what is mapped by itself; two are given back */

/* A thread's heap shrinks. */
static void *shrink_heap(void *unused)
{
	void *volatile low = malloc(HEAP_PIECE), *volatile high = malloc(HEAP_PIECE);

	free(high);
	free(low);
	return NULL;
}

/*
 * The C library's malloc() opens two files, once each: when the ninth thread allocates, the one
 * that tells how many processors there are, for the number of heaps; and when the heap of a thread
 * first shrinks, /proc/sys/vm/overcommit_memory. That thread may be a vCPU's, and the program's own
 * filter forbid it to open files by then. So the number is set now, to the same one, unless the
 * user has set another; and a heap shrinks now, which the next thread then gets.
 */
static void settle_heaps(void)
{
	const char *tunables = getenv("GLIBC_TUNABLES");
	sigset_t all, old;
	pthread_t thread;

	if (!getenv("MALLOC_ARENA_MAX") && (!tunables || !strstr(tunables, "arena_max")))
		mallopt(M_ARENA_MAX, 8 * get_nprocs());
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!pthread_create(&thread, NULL, shrink_heap, NULL))
		pthread_join(thread, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* From the first descriptor of the KVM on the library is told of everything. */
static void promise_once(void)
{
	static bool done;

	if (__atomic_exchange_n(&done, true, __ATOMIC_ACQ_REL))
		return;
	settle_heaps();
	armature_promise(ARMATURE_TELLS_SIGNALS | ARMATURE_TELLS_DESCRIPTORS);
}

/*
 * A new number: whatever the library knew of it is over, also where the C library closed it by
 * itself, untold.
 */
int fresh(int fd)
{
	if (fd >= 0) {
		armature_fds_begin((unsigned int)fd, (unsigned int)fd);
		armature_fds_end((unsigned int)fd, (unsigned int)fd);
	}
	return fd;
}

/* As Linux opens a character device: any access mode is good, and most flags mean nothing to it. */
int kvm_open(int flags)
{
	const char *path = getenv(DOOR_KVM);
	int fd;

	if (path)
		return fresh(next_open(path, flags));
	if (flags & O_DIRECTORY) {
		errno = ENOTDIR;
		return -1;
	}
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
		errno = EEXIST;
		return -1;
	}
	if (flags & O_DIRECT) {
		errno = EINVAL;
		return -1;
	}
	promise_once();
	fd = armature_open_flags(O_RDWR | (flags & O_CLOEXEC));
	if (fd >= 0 && flags & (O_NONBLOCK | O_APPEND))
		fcntl(fd, F_SETFL, flags & (O_NONBLOCK | O_APPEND));
	return fd;
}

static bool opens_kvm(int dirfd, const char *path, int flags)
{
	return !(flags & O_PATH) && is_kvm(dirfd, path);
}

static mode_t open_mode(int flags, va_list ap)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

#define OPEN(name)                                           \
	DOOR(int, name, const char *path, int flags, ...)    \
	{                                                    \
		mode_t mode;                                 \
		va_list ap;                                  \
                                                             \
		va_start(ap, flags);                         \
		mode = open_mode(flags, ap);                 \
		va_end(ap);                                  \
		if (opens_kvm(AT_FDCWD, path, flags))        \
			return kvm_open(flags);              \
		return fresh(NEXT(name)(path, flags, mode)); \
	}

#define OPENAT(name)                                                 \
	DOOR(int, name, int dirfd, const char *path, int flags, ...) \
	{                                                            \
		mode_t mode;                                         \
		va_list ap;                                          \
                                                                     \
		va_start(ap, flags);                                 \
		mode = open_mode(flags, ap);                         \
		va_end(ap);                                          \
		if (opens_kvm(dirfd, path, flags))                   \
			return kvm_open(flags);                      \
		return fresh(NEXT(name)(dirfd, path, flags, mode));  \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* What _FORTIFY_SOURCE makes of an open() without a mode. */
#define OPEN_2(name)                                   \
	DOOR(int, name, const char *path, int flags)   \
	{                                              \
		if (opens_kvm(AT_FDCWD, path, flags))  \
			return kvm_open(flags);        \
		return fresh(NEXT(name)(path, flags)); \
	}

#define OPENAT_2(name)                                          \
	DOOR(int, name, int dirfd, const char *path, int flags) \
	{                                                       \
		if (opens_kvm(dirfd, path, flags))              \
			return kvm_open(flags);                 \
		return fresh(NEXT(name)(dirfd, path, flags));   \
	}

OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

/* The flags of a mode of fopen(3), or -1. */
static int stream_flags(const char *mode)
{
	int flags = strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;

	if (!strchr("rwa", *mode))
		return -1;
	if (*mode != 'r')
		flags |= O_CREAT;
	return flags | (strchr(mode, 'e') ? O_CLOEXEC : 0) | (strchr(mode, 'x') ? O_EXCL : 0);
}

static FILE *kvm_stream(const char *mode)
{
	int flags = stream_flags(mode), fd;
	FILE *f;

	if (flags < 0) {
		errno = EINVAL;
		return NULL;
	}
	fd = kvm_open(flags);
	f = fd < 0 ? NULL : fdopen(fd, mode);
	if (fd >= 0 && !f)
		armature_close(fd);
	return f;
}

#define FOPEN(name)                                            \
	DOOR(FILE *, name, const char *path, const char *mode) \
	{                                                      \
		FILE *f;                                       \
                                                               \
		if (is_kvm(AT_FDCWD, path))                    \
			return kvm_stream(mode);               \
		f = NEXT(name)(path, mode);                    \
		if (f)                                         \
			fresh(fileno(f));                      \
		return f;                                      \
	}

FOPEN(fopen)
FOPEN(fopen64)

/*
 * freopen() of the path: the C library gives the stream some other file, and its number is then the
 * KVM's. A failure closes the stream. Without a path it is the stream's own file, opened anew.
 */
static FILE *kvm_reopen(const char *mode, FILE *f,
			FILE *(*next)(const char *, const char *, FILE *))
{
	const int flags = stream_flags(mode), fd = flags < 0 ? -1 : kvm_open(flags);
	const int saved = flags < 0 ? EINVAL : errno;
	FILE *again = fd < 0 ? NULL : next("/dev/null", mode, f);

	if (fd < 0) {
		fclose(f);
		errno = saved;
	} else if (!again || dup3(fd, fileno(again), flags & O_CLOEXEC) < 0) {
		armature_close(fd);
		return NULL;
	} else if (fd != fileno(again)) {
		armature_close(fd);
	}
	return again;
}

#define FREOPEN(name)                                                                      \
	DOOR(FILE *, name, const char *path, const char *mode, FILE *f)                    \
	{                                                                                  \
		const int saved = errno, fd = fileno(f);                                   \
		const bool kvm = path ? is_kvm(AT_FDCWD, path) : is_kvm_descriptor(fd);    \
		FILE *again;                                                               \
                                                                                           \
		errno = saved;                                                             \
		if (fd >= 0)                                                               \
			armature_fds_begin((unsigned int)fd, (unsigned int)fd);            \
		again = kvm ? kvm_reopen(mode, f, NEXT(name)) : NEXT(name)(path, mode, f); \
		if (fd >= 0)                                                               \
			armature_fds_end((unsigned int)fd, (unsigned int)fd);              \
		if (again)                                                                 \
			fresh(fileno(again));                                              \
		return again;                                                              \
	}

FREOPEN(freopen)
FREOPEN(freopen64)

/* The two layouts of struct stat are one where long has 64 bits. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "a 64-bit system");

static int show(struct stat *st)
{
	kvm_stat(st);
	return 0;
}

#define STAT(name)                                                               \
	DOOR(int, name, const char *path, struct stat *st)                       \
	{                                                                        \
		return is_kvm(AT_FDCWD, path) ? show(st) : NEXT(name)(path, st); \
	}

STAT(stat)
STAT(stat64)
STAT(lstat)
STAT(lstat64)

#define FSTAT(name)                                                           \
	DOOR(int, name, int fd, struct stat *st)                              \
	{                                                                     \
		return is_kvm_descriptor(fd) ? show(st) : NEXT(name)(fd, st); \
	}

FSTAT(fstat)
FSTAT(fstat64)

/* What the *at() calls may name: a path, or with AT_EMPTY_PATH the descriptor itself. */
static bool names_kvm(int dirfd, const char *path, int flags)
{
	if (flags & AT_EMPTY_PATH && (!path || !*path))
		return is_kvm_descriptor(dirfd);
	return is_kvm(dirfd, path);
}

#define FSTATAT(name)                                                            \
	DOOR(int, name, int dirfd, const char *path, struct stat *st, int flags) \
	{                                                                        \
		if (names_kvm(dirfd, path, flags))                               \
			return show(st);                                         \
		return NEXT(name)(dirfd, path, st, flags);                       \
	}

FSTATAT(fstatat)
FSTATAT(fstatat64)

/*
 * Programs from before glibc 2.33 have the version of struct stat as the first argument. What is
 * behind the door may not offer these functions to new callers any more, but the system call shows
 * the one layout that 64-bit systems ever had.
 */
static int old_stat(int dirfd, const char *path, struct stat *st, int flags)
{
	if (names_kvm(dirfd, path, flags))
		return show(st);
	return next_fstatat(dirfd, path, st, flags);
}

#define XSTAT(name, flags)                                              \
	DOOR(int, name, int version, const char *path, struct stat *st) \
	{                                                               \
		return old_stat(AT_FDCWD, path, st, flags);             \
	}

XSTAT(__xstat, 0)
XSTAT(__xstat64, 0)
XSTAT(__lxstat, AT_SYMLINK_NOFOLLOW)
XSTAT(__lxstat64, AT_SYMLINK_NOFOLLOW)

#define FXSTAT(name)                                          \
	DOOR(int, name, int version, int fd, struct stat *st) \
	{                                                     \
		return old_stat(fd, "", st, AT_EMPTY_PATH);   \
	}

FXSTAT(__fxstat)
FXSTAT(__fxstat64)

#define FXSTATAT(name)                                                                        \
	DOOR(int, name, int version, int dirfd, const char *path, struct stat *st, int flags) \
	{                                                                                     \
		return old_stat(dirfd, path, st, flags);                                      \
	}

FXSTATAT(__fxstatat)
FXSTATAT(__fxstatat64)

static struct statx_timestamp timestamp(struct timespec t)
{
	return (struct statx_timestamp){.tv_sec = t.tv_sec, .tv_nsec = (unsigned int)t.tv_nsec};
}

void kvm_statx(struct statx *stx)
{
	struct stat st;

	kvm_stat(&st);
	*stx = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = (unsigned int)st.st_blksize,
		.stx_nlink = (unsigned int)st.st_nlink,
		.stx_mode = (unsigned short)st.st_mode,
		.stx_ino = st.st_ino,
		.stx_atime = timestamp(st.st_atim),
		.stx_mtime = timestamp(st.st_mtim),
		.stx_ctime = timestamp(st.st_ctim),
		.stx_rdev_major = major(st.st_rdev),
		.stx_rdev_minor = minor(st.st_rdev),
		.stx_dev_major = major(st.st_dev),
		.stx_dev_minor = minor(st.st_dev),
	};
}

DOOR(int, statx, int dirfd, const char *path, int flags, unsigned int mask, struct statx *stx)
{
	if (!names_kvm(dirfd, path, flags))
		return NEXT(statx)(dirfd, path, flags, mask, stx);
	kvm_statx(stx);
	return 0;
}

/* Everybody may read and write it, and nobody execute it. */
int kvm_access(int mode)
{
	if (mode & ~(R_OK | W_OK | X_OK)) {
		errno = EINVAL;
		return -1;
	}
	if (mode & X_OK) {
		errno = EACCES;
		return -1;
	}
	return 0;
}

#define ACCESS(name)                                                                       \
	DOOR(int, name, const char *path, int mode)                                        \
	{                                                                                  \
		return is_kvm(AT_FDCWD, path) ? kvm_access(mode) : NEXT(name)(path, mode); \
	}

ACCESS(access)
ACCESS(euidaccess)
ACCESS(eaccess)

DOOR(int, faccessat, int dirfd, const char *path, int mode, int flags)
{
	if (names_kvm(dirfd, path, flags))
		return kvm_access(mode);
	return NEXT(faccessat)(dirfd, path, mode, flags);
}

/* A device is no link. */
DOOR(ssize_t, readlink, const char *path, char *buffer, size_t size)
{
	if (!is_kvm(AT_FDCWD, path))
		return NEXT(readlink)(path, buffer, size);
	errno = EINVAL;
	return -1;
}

DOOR(ssize_t, readlinkat, int dirfd, const char *path, char *buffer, size_t size)
{
	if (!is_kvm(dirfd, path))
		return NEXT(readlinkat)(dirfd, path, buffer, size);
	errno = EINVAL;
	return -1;
}

/* The name that every spelling of the path has, where the host need not have the file. */
static char *kvm_realpath(char *resolved)
{
	return resolved ? strcpy(resolved, KVM_PATH) : strdup(KVM_PATH);
}

DOOR(char *, realpath, const char *path, char *resolved)
{
	return is_kvm(AT_FDCWD, path) ? kvm_realpath(resolved) : NEXT(realpath)(path, resolved);
}

DOOR(char *, __realpath_chk, const char *path, char *resolved, size_t size)
{
	if (is_kvm(AT_FDCWD, path) && size > strlen(KVM_PATH))
		return kvm_realpath(resolved);
	return NEXT(__realpath_chk)(path, resolved, size);
}

DOOR(char *, canonicalize_file_name, const char *path)
{
	return is_kvm(AT_FDCWD, path) ? kvm_realpath(NULL) : NEXT(canonicalize_file_name)(path);
}
