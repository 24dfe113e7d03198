/* SPDX-License-Identifier: MIT */
/*
 * What the numbers of descriptors stand for, in a process that tells when they change
 * (ARMATURE_TELLS_DESCRIPTORS): a table in place of a system call for each request.
 *
 * A number's entry is one of
 *
 *     0           not known: the kernel is asked
 *     a ticket    (odd) somebody is asking the kernel
 *     OTHER       an open file that is none of the library's
 *     a handle    that of its object (fd.c)
 *
 * and goes back to 0 when the number is to be closed or replaced. An entry that is there is right:
 *  - Who closes first counts itself in closing[] and then empties the entries (numbers_begin()).
 *  - Who fills an entry puts a ticket there first, then looks at closing[], then asks the kernel,
 *    and replaces its own ticket, and nothing else, by the answer. If a close began in between, the
 *    ticket is gone; if it began before and is not over, closing[] says so; if it is over, the
 *    kernel's answer is the new one. All of these are sequentially consistent.
 *  - Who reads a handle takes a reference and reads the entry again (fd.c): a handle's memory stays
 *    a handle's, so that this may be tried on one whose object has gone.
 *
 * The table is the process's. A child of vfork() has its own numbers, but this memory: what it asks
 * is not kept, and what it closes is merely asked anew by its parent.
 *
 * No lock is taken and nothing is allocated, for armature_fds_begin() may be called in a handler.
 * Many numbers share a count of closing[]: while one of them is closed, the others that are not
 * known yet have to ask the kernel.
 */
#include <unistd.h>

#include "kvm/kvm.h"

#define NUMBERS (1u << 16) /* the kernel is asked for what is above */
#define CLASSES 64u

static _Atomic uintptr_t entries[NUMBERS];
static _Atomic uint32_t closing[CLASSES];
static _Atomic unsigned int highest; /* that has ever had an entry */
static _Atomic uintptr_t tickets;
static _Atomic bool told;
static _Atomic pid_t process; /* whose numbers these are */

void numbers_promise(void)
{
	atomic_store(&told, true);
}

bool numbers_told(void)
{
	return atomic_load_explicit(&told, memory_order_relaxed);
}

void numbers_of_this_process(void)
{
	atomic_store_explicit(&process, getpid(), memory_order_relaxed);
}

uintptr_t number_entry(int fd)
{
	return (unsigned int)fd < NUMBERS ? atomic_load(&entries[fd]) : 0;
}

static void raise_highest(unsigned int n)
{
	unsigned int old = atomic_load(&highest);

	while (old < n && !atomic_compare_exchange_weak(&highest, &old, n))
		;
}

uintptr_t number_ask(int fd)
{
	uintptr_t old, ticket;

	if ((unsigned int)fd >= NUMBERS ||
	    getpid() != atomic_load_explicit(&process, memory_order_relaxed))
		return 0;
	raise_highest((unsigned int)fd);
	old = atomic_load(&entries[fd]);
	ticket = atomic_fetch_add(&tickets, 2) | 1;
	/* A ticket of somebody else's may be replaced: that one's answer is then not taken. */
	if ((old && !(old & 1)) || !atomic_compare_exchange_strong(&entries[fd], &old, ticket))
		return 0;
	return atomic_load(&closing[(unsigned int)fd % CLASSES]) ? 0 : ticket;
}

void number_answer(int fd, uintptr_t ticket, uintptr_t entry)
{
	if (ticket)
		atomic_compare_exchange_strong(&entries[fd], &ticket, entry);
}

void numbers_forget(unsigned int first, unsigned int last)
{
	unsigned int high = atomic_load(&highest);

	for (unsigned int n = first; n <= last && n <= high; n++)
		if (atomic_load(&entries[n]))
			atomic_store(&entries[n], 0);
}

static void count(unsigned int first, unsigned int last, uint32_t change)
{
	unsigned int n = last - first < CLASSES - 1 ? last - first + 1 : CLASSES;

	for (unsigned int i = 0; i < n; i++)
		atomic_fetch_add(&closing[(first + i) % CLASSES], change);
}

void numbers_begin(unsigned int first, unsigned int last)
{
	if (first > last)
		return;
	count(first, last, 1);
	numbers_forget(first, last);
}

void numbers_end(unsigned int first, unsigned int last)
{
	if (first <= last)
		count(first, last, (uint32_t)-1);
}

int number_close(int fd)
{
	int ret;

	numbers_begin((unsigned int)fd, (unsigned int)fd);
	ret = close(fd);
	numbers_end((unsigned int)fd, (unsigned int)fd);
	return ret;
}
