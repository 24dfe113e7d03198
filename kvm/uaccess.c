/* SPDX-License-Identifier: MIT */
/*
 * Memory that a VMM's pointer names: copied like a kernel does, so that a bad pointer is -EFAULT
 * and not a crash.
 *
 * rt_sigprocmask() with a "how" that does not exist reads the 8 bytes that it is given, and then
 * refuses: the cheapest question whether an address can be read. With no new set it writes the
 * present mask: the same for writing. Other shapes go through process_vm_writev(), which fails on
 * its own where the address is bad.
 */
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kvm/kvm.h"

#define SIGSET_SIZE     8
#define NO_SUCH_HOW     99
#define LOWEST_ADDRESS  4096ull               /* nothing is mapped below */
#define HIGHEST_ADDRESS 0x0100000000000000ull /* of any host's user space */

static bool range_is_user(uint64_t user, size_t n)
{
	return user >= LOWEST_ADDRESS && user < HIGHEST_ADDRESS && n < HIGHEST_ADDRESS - user;
}

/* The aligned 8 bytes around @addr can be read. They are on one page. */
static bool word_readable(uint64_t addr)
{
	syscall(SYS_rt_sigprocmask, NO_SUCH_HOW, addr & ~7ull, NULL, SIGSET_SIZE);
	return errno != EFAULT;
}

int copy_in(void *to, uint64_t user, size_t n)
{
	int saved = errno;
	bool ok = range_is_user(user, n);
	uint64_t a;

	for (a = user; ok && a < user + n; a = (a | (KVM_PAGE_SIZE - 1)) + 1)
		ok = word_readable(a);
	errno = saved;
	if (!ok)
		return -EFAULT;
	memcpy(to, (const void *)(uintptr_t)user, n);
	return 0;
}

static int write_foreign(uint64_t user, const void *from, size_t n)
{
	struct iovec local = {(void *)(uintptr_t)from, n}, remote = {(void *)(uintptr_t)user, n};
	ssize_t ret = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);

	if (ret == (ssize_t)n)
		return 0;
	if (ret >= 0 || errno == EFAULT)
		return -EFAULT;
	/* Not allowed here (a sandbox): trust the pointer, as any function of a library does. */
	memcpy((void *)(uintptr_t)user, from, n);
	return 0;
}

int copy_out(uint64_t user, const void *from, size_t n)
{
	int saved = errno;
	int ret;

	if (!range_is_user(user, n))
		return -EFAULT;
	if (user % 8 == 0 && n >= 8 && n <= 64 && user % KVM_PAGE_SIZE <= KVM_PAGE_SIZE - n) {
		ret = syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, user, SIGSET_SIZE) ? -EFAULT : 0;
		if (!ret)
			memcpy((void *)(uintptr_t)user, from, n);
	} else {
		ret = write_foreign(user, from, n);
	}
	errno = saved;
	return ret;
}
