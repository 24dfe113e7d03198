/* SPDX-License-Identifier: MIT */
/*
 * Memory that a VMM's pointer names: copied like a kernel does, so that a bad pointer is -EFAULT
 * and not a crash.
 *
 * rt_sigprocmask() with a "how" that does not exist reads the 8 bytes that it is given, and then
 * refuses: the cheapest question whether an address can be read. With no new set it writes the
 * present mask: the same for writing, where the shape fits. Otherwise futex(FUTEX_WAKE_OP) is
 * asked to add 0 to a word and to wake nobody. All of them are there in sandboxes and under
 * emulators of user mode.
 */
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm/kvm.h"

#define NO_SUCH_HOW     99
#define LOWEST_ADDRESS  4096ull               /* nothing is mapped below */
#define HIGHEST_ADDRESS 0x0100000000000000ull /* of any host's user space */

static bool range_is_user(uint64_t user, size_t n)
{
	return user >= LOWEST_ADDRESS && user < HIGHEST_ADDRESS && n < HIGHEST_ADDRESS - user;
}

/* Can the word around @addr be accessed? It is on one page. */
static bool word_readable(uint64_t addr)
{
	syscall(SYS_rt_sigprocmask, NO_SUCH_HOW, addr & ~7ull, NULL, SIGSET_SIZE);
	return errno != EFAULT;
}

static bool word_writable(uint64_t addr)
{
	uint64_t word = addr & ~3ull;

	return syscall(SYS_futex, word, FUTEX_WAKE_OP_PRIVATE, 0, NULL, word,
		       FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0)) >= 0;
}

/* @accessible holds for each page of the range. errno is left as it was. */
static bool all_pages(uint64_t user, size_t n, bool (*accessible)(uint64_t addr))
{
	int saved = errno;
	bool ok = range_is_user(user, n);
	uint64_t a;

	for (a = user; ok && a < user + n; a = (a | (KVM_PAGE_SIZE - 1)) + 1)
		ok = accessible(a);
	errno = saved;
	return ok;
}

/* The same for a write, of the one shape that a signal mask has. */
static bool mask_writable(uint64_t addr)
{
	return !syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, addr, SIGSET_SIZE);
}

int copy_in(void *to, uint64_t user, size_t n)
{
	if (!all_pages(user, n, word_readable))
		return -EFAULT;
	memcpy(to, (const void *)(uintptr_t)user, n);
	return 0;
}

int copy_out(uint64_t user, const void *from, size_t n)
{
	bool is_mask = user % SIGSET_SIZE == 0 && n == SIGSET_SIZE;

	if (!all_pages(user, n, is_mask ? mask_writable : word_writable))
		return -EFAULT;
	memcpy((void *)(uintptr_t)user, from, n);
	return 0;
}
