/* SPDX-License-Identifier: MIT */
/* The main thread's event loop, on poll(2). */
#include "vmm/loop.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int vmm_loop_init(struct vmm_loop *loop)
{
	loop->nr = 0;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return loop->wake_fd < 0 ? -errno : 0;
}

void vmm_loop_destroy(struct vmm_loop *loop)
{
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	loop->wake_fd = -1;
}

int vmm_loop_add(struct vmm_loop *loop, int fd, void (*ready)(void *opaque), void *opaque)
{
	const unsigned int id = loop->nr;

	if (id == VMM_LOOP_SOURCES)
		return -ENOSPC;
	loop->sources[id].fd = fd;
	loop->sources[id].enabled = true;
	loop->sources[id].ready = ready;
	loop->sources[id].opaque = opaque;
	loop->nr++;
	return (int)id;
}

void vmm_loop_enable(struct vmm_loop *loop, int id, bool enabled)
{
	loop->sources[id].enabled = enabled;
}

void vmm_loop_wake(struct vmm_loop *loop)
{
	const uint64_t one = 1;
	const int saved = errno;

	/* It fails only when the counter is full, and then the loop is awake anyway. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		errno = saved;
}

void vmm_loop_once(struct vmm_loop *loop)
{
	struct pollfd fds[VMM_LOOP_SOURCES + 1];
	uint64_t count;

	for (unsigned int i = 0; i < loop->nr; i++) {
		fds[i].fd = loop->sources[i].enabled ? loop->sources[i].fd : -1;
		fds[i].events = POLLIN;
	}
	fds[loop->nr].fd = loop->wake_fd;
	fds[loop->nr].events = POLLIN;
	if (poll(fds, loop->nr + 1, -1) < 0)
		return;
	if (fds[loop->nr].revents && read(loop->wake_fd, &count, sizeof(count)) < 0)
		count = 0;
	for (unsigned int i = 0; i < loop->nr; i++) {
		if (fds[i].fd >= 0 && fds[i].revents)
			loop->sources[i].ready(loop->sources[i].opaque);
	}
}
