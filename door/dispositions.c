/* SPDX-License-Identifier: MIT */
/*
 * The C library's functions that change what a signal does. All of them come down to sigaction(2),
 * of which libarmature is told: it has handlers run when the call that they interrupt is over.
 */
#include "door/door.h"
#include "door/trap.h"

#include <armature/armature.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

#define SIGHOLD ((sighandler_t)2) /* SIG_HOLD of sigset(3) */

int kvm_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction open_for_traps;

	if (!trap_on())
		return armature_sigaction(sig, act, old);
	if (sig == SIGSYS)
		return trap_sigaction(act, old);
	if (act) {
		open_for_traps = *act;
		sigdelset(&open_for_traps.sa_mask, SIGSYS);
	}
	return armature_sigaction(sig, act ? &open_for_traps : NULL, old);
}

DOOR(int, sigaction, int sig, const struct sigaction *act, struct sigaction *old)
{
	return kvm_sigaction(sig, act, old);
}

DOOR(int, __sigaction, int sig, const struct sigaction *act, struct sigaction *old)
{
	return kvm_sigaction(sig, act, old);
}

/* Where system calls are trapped, one that comes while SIGSYS is blocked would end the process. */
static const sigset_t *open_sigsys(int how, const sigset_t *set, sigset_t *copy)
{
	if (!set || how == SIG_UNBLOCK || !trap_on())
		return set;
	*copy = *set;
	sigdelset(copy, SIGSYS);
	return copy;
}

DOOR(int, pthread_sigmask, int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	return NEXT(pthread_sigmask)(how, open_sigsys(how, set, &copy), old);
}

DOOR(int, sigprocmask, int how, const sigset_t *set, sigset_t *old)
{
	sigset_t copy;

	return NEXT(sigprocmask)(how, open_sigsys(how, set, &copy), old);
}

/* A handler that ends a wait runs with the wait's mask, too, and a thread with what it begins. */

DOOR(int, sigsuspend, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(sigsuspend)(open_sigsys(SIG_SETMASK, set, &copy));
}

DOOR(int, ppoll, struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(ppoll)(fds, n, time, open_sigsys(SIG_SETMASK, set, &copy));
}

DOOR(int, __ppoll_chk, struct pollfd *fds, nfds_t n, const struct timespec *time,
     const sigset_t *set, size_t size)
{
	sigset_t copy;

	return NEXT(__ppoll_chk)(fds, n, time, open_sigsys(SIG_SETMASK, set, &copy), size);
}

DOOR(int, pselect, int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *time,
     const sigset_t *set)
{
	sigset_t copy;

	return NEXT(pselect)(n, in, out, except, time, open_sigsys(SIG_SETMASK, set, &copy));
}

DOOR(int, epoll_pwait, int fd, struct epoll_event *events, int n, int time, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(epoll_pwait)(fd, events, n, time, open_sigsys(SIG_SETMASK, set, &copy));
}

DOOR(int, epoll_pwait2, int fd, struct epoll_event *events, int n, const struct timespec *time,
     const sigset_t *set)
{
	sigset_t copy;

	return NEXT(epoll_pwait2)(fd, events, n, time, open_sigsys(SIG_SETMASK, set, &copy));
}

DOOR(int, pthread_attr_setsigmask_np, pthread_attr_t *attr, const sigset_t *set)
{
	sigset_t copy;

	return NEXT(pthread_attr_setsigmask_np)(attr, open_sigsys(SIG_SETMASK, set, &copy));
}

/* The signals that siginterrupt() makes interrupt system calls, a bit each. */
static _Atomic unsigned long interrupting;

#define SIGBIT(sig) (1ul << ((sig)-1))

static bool is_signal(int sig)
{
	if (sig > 0 && sig < NSIG)
		return true;
	errno = EINVAL;
	return false;
}

static sighandler_t install(int sig, sighandler_t handler, int flags, bool mask_itself)
{
	struct sigaction act = {.sa_handler = handler, .sa_flags = flags}, old;

	if (handler == SIG_ERR || !is_signal(sig)) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (mask_itself)
		sigaddset(&act.sa_mask, sig);
	return kvm_sigaction(sig, &act, &old) ? SIG_ERR : old.sa_handler;
}

static sighandler_t bsd_signal_(int sig, sighandler_t handler)
{
	const bool restart = !(sig > 0 && sig < NSIG && interrupting & SIGBIT(sig));

	return install(sig, handler, restart ? SA_RESTART : 0, true);
}

static sighandler_t sysv_signal_(int sig, sighandler_t handler)
{
	return install(sig, handler, (int)SA_RESETHAND | SA_NODEFER, false);
}

DOOR(sighandler_t, signal, int sig, sighandler_t handler)
{
	return bsd_signal_(sig, handler);
}

DOOR(sighandler_t, bsd_signal, int sig, sighandler_t handler)
{
	return bsd_signal_(sig, handler);
}

DOOR(sighandler_t, ssignal, int sig, sighandler_t handler)
{
	return bsd_signal_(sig, handler);
}

DOOR(sighandler_t, sysv_signal, int sig, sighandler_t handler)
{
	return sysv_signal_(sig, handler);
}

DOOR(sighandler_t, __sysv_signal, int sig, sighandler_t handler)
{
	return sysv_signal_(sig, handler);
}

DOOR(int, siginterrupt, int sig, int interrupts)
{
	struct sigaction act;

	if (!is_signal(sig) || kvm_sigaction(sig, NULL, &act))
		return -1;
	if (interrupts) {
		interrupting |= SIGBIT(sig);
		act.sa_flags &= ~SA_RESTART;
	} else {
		interrupting &= ~SIGBIT(sig);
		act.sa_flags |= SA_RESTART;
	}
	return kvm_sigaction(sig, &act, NULL);
}

DOOR(int, sigignore, int sig)
{
	return install(sig, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
}

/* sigset(3): the disposition and the thread's mask in one. */
DOOR(sighandler_t, sigset, int sig, sighandler_t handler)
{
	struct sigaction present;
	sigset_t set, before;
	sighandler_t old;

	if (!is_signal(sig))
		return SIG_ERR;
	sigemptyset(&set);
	sigaddset(&set, sig);
	if (handler == SIGHOLD) {
		if (kvm_sigaction(sig, NULL, &present))
			return SIG_ERR;
		old = present.sa_handler;
		door_sigprocmask(SIG_BLOCK, &set, &before);
	} else {
		old = install(sig, handler, 0, false);
		if (old == SIG_ERR)
			return old;
		door_sigprocmask(SIG_UNBLOCK, &set, &before);
	}
	return sigismember(&before, sig) ? SIGHOLD : old;
}
