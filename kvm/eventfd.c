/* SPDX-License-Identifier: MIT */
/*
 * Eventfds of the VMM's. The kernel's KVM holds the eventfd behind a descriptor; a library holds a
 * descriptor of its own, so that the VMM may close its one.
 *
 * Two descriptors may be of one eventfd; /proc/self/fdinfo has the name that the kernel gave it,
 * which belongs to nobody else while somebody holds it.
 *
 * Neither a vCPU that signals nor the thread that drains may block, whether the VMM's eventfd has
 * O_NONBLOCK or not; and as its descriptors share that flag, it is not ours to set.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kvm/eventfd.h"
#include "kvm/kvm.h"

#define ID_KEY "eventfd-id:"

int event_id(int fd, uint64_t *id)
{
	char path[40], text[512];
	const char *at;
	int info;
	ssize_t n;

	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return errno == ENOENT ? -EBADF : -errno;
	n = read(info, text, sizeof(text) - 1);
	number_close(info);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, ID_KEY);
	if (!at)
		return -EINVAL;
	*id = strtoull(at + strlen(ID_KEY), NULL, 10);
	return 0;
}

int event_take(struct event *e, int fd)
{
	int flags, ret;

	/* First what it is: a dup() of another kind of file might be noticed. */
	ret = event_id(fd, &e->id);
	if (ret)
		return ret;
	e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (e->fd < 0)
		return -errno;
	/* Another thread may have put another file there meanwhile. */
	ret = event_id(e->fd, &e->id);
	flags = fcntl(e->fd, F_GETFL);
	e->may_block = flags < 0 || !(flags & O_NONBLOCK);
	if (ret)
		number_close(e->fd);
	return ret;
}

void event_drop(struct event *e)
{
	number_close(e->fd);
	e->fd = -1;
}

static bool ready(const struct event *e, short what)
{
	struct pollfd p = {e->fd, what, 0};

	return poll(&p, 1, 0) == 1 && (p.revents & what);
}

void event_signal(const struct event *e)
{
	static const uint64_t one = 1;

	if (e->may_block && !ready(e, POLLOUT))
		return; /* full: whoever waits for it has been woken */
	if (write(e->fd, &one, sizeof(one)) < 0)
		return; /* likewise */
}

bool event_drain(const struct event *e)
{
	uint64_t count;
	struct iovec iov = {&count, sizeof(count)};

	if (!e->may_block)
		return read(e->fd, &count, sizeof(count)) == sizeof(count);
	if (preadv2(e->fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(count))
		return true;
	if (errno == EAGAIN)
		return false;
	/* An emulator of user mode, or a sandbox, that does not know the call. */
	return ready(e, POLLIN) && read(e->fd, &count, sizeof(count)) == sizeof(count);
}
