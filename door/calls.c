/* SPDX-License-Identifier: MIT */
/*
 * System calls by their numbers: those that syscall(2) makes, and those that are trapped. Each does
 * what the C library's function of that name does at the door.
 */
#include "door/door.h"
#include "door/trap.h"

#include <armature/armature.h>
#include <armature/kvm_arm64.h>
#include <errno.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_SIGSET 8

static long result(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* The system call as it is. */
static long pass(const struct call *c)
{
	const unsigned long *a = c->arg;

	return result(
		NEXT_AS(syscall, long (*)(long, ...))(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]));
}

static const char *text(unsigned long arg)
{
	return (const char *)arg;
}

static long open_at(const struct call *c, int dirfd, unsigned long path, unsigned long flags)
{
	if (!(flags & O_PATH) && is_kvm(dirfd, text(path)))
		return result(kvm_open((int)flags));
	return pass(c);
}

#ifdef SYS_open
static long call_open(const struct call *c)
{
	return open_at(c, AT_FDCWD, c->arg[0], c->arg[1]);
}
#endif

static long call_openat(const struct call *c)
{
	return open_at(c, (int)c->arg[0], c->arg[1], c->arg[2]);
}

#ifdef SYS_openat2
static long call_openat2(const struct call *c)
{
	const struct open_how *how = (const struct open_how *)c->arg[2];

	return open_at(c, (int)c->arg[0], c->arg[1], how ? how->flags : 0);
}
#endif

static long call_ioctl(const struct call *c)
{
	return result(kvm_ioctl((int)c->arg[0], c->arg[1], c->arg[2]));
}

static long call_close(const struct call *c)
{
	return result(kvm_close((int)c->arg[0]));
}

static long call_close_range(const struct call *c)
{
	return result(
		kvm_close_range((unsigned int)c->arg[0], (unsigned int)c->arg[1], (int)c->arg[2]));
}

/* dup2() and dup3(): a number stands for another file. */
static long call_dup2(const struct call *c)
{
	const unsigned int onto = (unsigned int)c->arg[1];
	long ret;

	if ((int)onto >= 0 && is_own((int)onto))
		return -EBUSY;
	armature_fds_begin(onto, onto);
	ret = pass(c);
	armature_fds_end(onto, onto);
	return ret;
}

static long show(unsigned long to)
{
	if (!to)
		return -EFAULT;
	kvm_stat((struct stat *)to);
	return 0;
}

#ifdef SYS_stat
static long call_stat(const struct call *c)
{
	return is_kvm(AT_FDCWD, text(c->arg[0])) ? show(c->arg[1]) : pass(c);
}
#endif

static long call_fstat(const struct call *c)
{
	return is_kvm_descriptor((int)c->arg[0]) ? show(c->arg[1]) : pass(c);
}

static bool names(const struct call *c, unsigned long flags)
{
	const char *path = text(c->arg[1]);

	if (flags & AT_EMPTY_PATH && (!path || !*path))
		return is_kvm_descriptor((int)c->arg[0]);
	return is_kvm((int)c->arg[0], path);
}

static long call_fstatat(const struct call *c)
{
	return names(c, c->arg[3]) ? show(c->arg[2]) : pass(c);
}

static long call_statx(const struct call *c)
{
	if (!names(c, c->arg[2]))
		return pass(c);
	if (!c->arg[4])
		return -EFAULT;
	kvm_statx((struct statx *)c->arg[4]);
	return 0;
}

#ifdef SYS_access
static long call_access(const struct call *c)
{
	return is_kvm(AT_FDCWD, text(c->arg[0])) ? result(kvm_access((int)c->arg[1])) : pass(c);
}
#endif

static long call_faccessat(const struct call *c)
{
	const unsigned long flags = c->nr == SYS_faccessat ? 0 : c->arg[3];

	return names(c, flags) ? result(kvm_access((int)c->arg[2])) : pass(c);
}

#ifdef SYS_readlink
static long call_readlink(const struct call *c)
{
	return is_kvm(AT_FDCWD, text(c->arg[0])) ? -EINVAL : pass(c);
}
#endif

static long call_readlinkat(const struct call *c)
{
	return is_kvm((int)c->arg[0], text(c->arg[1])) ? -EINVAL : pass(c);
}

/* The kernel's struct sigaction, which is not the C library's. */
struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};

static long call_sigaction(const struct call *c)
{
	const struct kernel_sigaction *act = (const struct kernel_sigaction *)c->arg[1];
	struct kernel_sigaction *old = (struct kernel_sigaction *)c->arg[2];
	const int sig = (int)c->arg[0];
	struct sigaction mine = {0}, before = {0};

	/* The C library's own two signals it would refuse to itself. */
	if (sig == 32 || sig == 33 || c->arg[3] != KERNEL_SIGSET)
		return pass(c);
	if (act) {
		mine.sa_handler = act->handler;
		mine.sa_flags = (int)act->flags;
		mine.sa_restorer = act->restorer;
		memcpy(&mine.sa_mask, &act->mask, sizeof(act->mask));
	}
	if (sig < 1 || sig >= NSIG)
		return -EINVAL;
	if (trap_program_sigaction(sig, act ? &mine : NULL, &before))
		return -errno;
	if (old) {
		old->handler = before.sa_handler;
		old->flags = (unsigned int)before.sa_flags;
		old->restorer = before.sa_restorer;
		memcpy(&old->mask, &before.sa_mask, sizeof(old->mask));
	}
	return 0;
}

/* Of a trapped call the mask is the one that the handler's return sets. SIGSYS stays open. */
static long call_sigprocmask(const struct call *c)
{
	const unsigned long *set = (const unsigned long *)c->arg[1];
	unsigned long *old = (unsigned long *)c->arg[2], mask, change;

	if (!c->mask || c->arg[3] != KERNEL_SIGSET)
		return pass(c);
	memcpy(&mask, c->mask, sizeof(mask));
	change = set ? *set : 0;
	if (old)
		*old = mask;
	if (!set)
		return 0;
	if (c->arg[0] == SIG_BLOCK)
		mask |= change;
	else if (c->arg[0] == SIG_UNBLOCK)
		mask &= ~change;
	else if (c->arg[0] == SIG_SETMASK)
		mask = change;
	else
		return -EINVAL;
	mask &= ~(1ul << (SIGSYS - 1));
	memcpy(c->mask, &mask, sizeof(mask));
	return 0;
}

static const struct row {
	long nr;
	long (*serve)(const struct call *call);
} rows[] = {
#ifdef SYS_open
	{SYS_open, call_open},
	{SYS_stat, call_stat},
	{SYS_lstat, call_stat},
	{SYS_access, call_access},
	{SYS_readlink, call_readlink},
	{SYS_dup2, call_dup2},
#endif
#ifdef SYS_openat2
	{SYS_openat2, call_openat2},
#endif
	{SYS_ioctl, call_ioctl},
	{SYS_openat, call_openat},
	{SYS_close, call_close},
	{SYS_close_range, call_close_range},
	{SYS_dup3, call_dup2},
	{SYS_fstat, call_fstat},
	{SYS_newfstatat, call_fstatat},
	{SYS_statx, call_statx},
	{SYS_faccessat, call_faccessat},
#ifdef SYS_faccessat2
	{SYS_faccessat2, call_faccessat},
#endif
	{SYS_readlinkat, call_readlinkat},
	{SYS_rt_sigaction, call_sigaction},
	{SYS_rt_sigprocmask, call_sigprocmask},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct row *find(long nr)
{
	for (const struct row *r = rows; r < rows + ROWS; r++)
		if (r->nr == nr)
			return r;
	return NULL;
}

bool call_known(long nr)
{
	return find(nr);
}

long call_serve(const struct call *call)
{
	const struct row *r = find(call->nr);

	return r ? r->serve(call) : pass(call);
}

bool call_is_deep(const struct call *c)
{
	switch (c->nr) {
	case SYS_ioctl:
	case SYS_close:
		return armature_knows((int)c->arg[0]);
	case SYS_openat:
		return is_kvm((int)c->arg[0], text(c->arg[1]));
#ifdef SYS_open
	case SYS_open:
		return is_kvm(AT_FDCWD, text(c->arg[0]));
#endif
	case SYS_openat2:
	case SYS_close_range:
	case SYS_rt_sigaction:
		return true;
	}
	return false;
}

unsigned int call_numbers(long *numbers)
{
	for (unsigned int i = 0; i < ROWS; i++)
		numbers[i] = rows[i].nr;
	return ROWS;
}

/* syscall(2), which Rust's and others' libraries use for what the C library has no function for. */
DOOR(long, syscall, long nr, ...)
{
	struct call call = {.nr = nr};
	va_list ap;
	long ret;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		call.arg[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (!call_known(nr))
		return NEXT(syscall)(nr, call.arg[0], call.arg[1], call.arg[2], call.arg[3],
				     call.arg[4], call.arg[5]);
	ret = call_serve(&call);
	if (ret < 0) {
		errno = (int)-ret;
		return -1;
	}
	return ret;
}
