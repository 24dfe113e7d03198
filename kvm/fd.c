/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that a kernel would have made.
 *
 * Each is a memfd, so that mmap(), dup(), fcntl(), SCM_RIGHTS and plain close() work on it. The
 * table below knows, for each of this process's memfds, what it stands for. Like the kernel's own
 * table of descriptors it belongs to the process: it is the one piece of state that VMs share, and
 * it holds nothing of a VM but a pointer.
 *
 * Finding the object of a descriptor. All duplicates of a descriptor share one file position, which
 * nothing else uses; it is set to a random cookie of 62 bits. One lseek() reads it, cheaper than
 * fstat(), and a number that was closed and used again for another file does not show the cookie.
 * If the VMM moved the position, the inode tells. A process that tells of its closes is spared the
 * question: numbers.c remembers the answer.
 *
 * Letting go. As in the kernel, an object goes when its last descriptor goes, duplicates, copies in
 * children, descriptors on their way through a socket, and mappings included. The kernel drops the
 * locks of an open file description at that very moment: each description carries an OFD lock, and
 * a second description of the same memfd, which the library keeps, can see it. Whoever uses
 * armature_close() gets that check at once; after a plain close(2) it is made by the next call that
 * makes or closes a descriptor.
 *
 * What must hold:
 *  - An object in the table keeps its inode alive (through its probe), so that (device, inode)
 *    names one object only.
 *  - A handle is never freed, only used again for another object: who has found one in numbers.c
 *    may try to take a reference, and looks again whether it was the right one.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm/kvm.h"

#define BUCKETS     64
#define COOKIE_MASK 0x3fffffffffffffff
#define COOKIE_BIT  0x2000000000000000 /* no ordinary file is read that far out */

struct handle {
	/* One for the object's descriptors, one for each request under way; 0: not in use. */
	_Atomic unsigned int refs;
	struct object *object;
	struct handle *next; /* free */
};

/*
 * The lock is a mutex, which a child may go on using after fork(): a rwlock would still count the
 * parent's threads that were waiting for it, and could be neither released nor made anew.
 */
static struct {
	pthread_mutex_t lock;
	struct object *bucket[BUCKETS]; /* by cookie */
	struct handle *handles;         /* that are free */
	uint64_t process;               /* changes in a child: what it inherits is not its own */
} table = {.lock = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP};

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
	pthread_mutex_lock(&table.lock);
}

static void fork_parent(void)
{
	pthread_mutex_unlock(&table.lock);
}

static void fork_child(void)
{
	table.process++;
	numbers_of_this_process();
	pthread_mutex_unlock(&table.lock);
}

static void watch_forks(void)
{
	numbers_of_this_process();
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static struct object **bucket_of(int64_t cookie)
{
	return &table.bucket[(uint64_t)cookie % BUCKETS];
}

/* The VMM's description (and with it all its duplicates and mappings) is closed. */
static bool description_gone(const struct object *o)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st;

	/* A VMM that closes what it does not know may have closed the probe: nobody knows then. */
	if (fstat(o->probe, &st) || st.st_dev != o->dev || st.st_ino != o->ino)
		return false;
	return !fcntl(o->probe, F_OFD_GETLK, &fl) && fl.l_type == F_UNLCK;
}

static int lock_description(int fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &fl) ? -errno : 0;
}

/* The memfd itself: one page, never longer or shorter. */
static int make_memfd(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ret;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, KVM_PAGE_SIZE) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)) {
		ret = -errno;
		number_close(fd);
		return ret;
	}
	return fd;
}

/* Another description of the same memfd. */
static int reopen(int fd)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

/* A handle of @o with one reference. */
static int make_handle(struct object *o)
{
	struct handle *h;

	pthread_mutex_lock(&table.lock);
	h = table.handles;
	if (h)
		table.handles = h->next;
	pthread_mutex_unlock(&table.lock);
	if (!h)
		h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->object = o;
	o->handle = h;
	atomic_store(&h->refs, 1);
	return 0;
}

static bool handle_take(struct handle *h)
{
	unsigned int refs = atomic_load_explicit(&h->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak(&h->refs, &refs, refs + 1))
			return true;
	return false;
}

static void handle_put(struct handle *h)
{
	struct object *o = h->object;
	void *page;
	int probe;

	if (atomic_fetch_sub(&h->refs, 1) != 1)
		return;
	page = o->page;
	probe = o->probe;
	o->release(o);
	munmap(page, KVM_PAGE_SIZE);
	number_close(probe);
	pthread_mutex_lock(&table.lock);
	h->next = table.handles;
	table.handles = h;
	pthread_mutex_unlock(&table.lock);
}

static int fill_object(struct object *o, int fd)
{
	struct stat st;
	int ret;

	o->probe = reopen(fd);
	if (o->probe < 0)
		return o->probe;
	o->page = mmap(NULL, KVM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, o->probe, 0);
	if (o->page == MAP_FAILED) {
		ret = -errno;
		number_close(o->probe);
		return ret;
	}
	if (getrandom(&o->cookie, sizeof(o->cookie), 0) != sizeof(o->cookie))
		o->cookie = (int64_t)((uintptr_t)o->page * 0x9e3779b97f4a7c15 + clock_now());
	o->cookie = (o->cookie & COOKIE_MASK) | COOKIE_BIT;
	if (fstat(fd, &st) || lseek(fd, o->cookie, SEEK_SET) != o->cookie) {
		ret = -errno;
		goto unmap;
	}
	o->dev = st.st_dev;
	o->ino = st.st_ino;
	ret = lock_description(fd);
	if (!ret)
		ret = make_handle(o);
	if (!ret)
		return 0;
unmap:
	munmap(o->page, KVM_PAGE_SIZE);
	number_close(o->probe);
	return ret;
}

int object_publish(struct object *o, const char *name)
{
	int fd, ret;

	pthread_once(&fork_once, watch_forks);
	object_reap();
	fd = make_memfd(name);
	if (fd < 0)
		return fd;
	ret = fill_object(o, fd);
	if (ret) {
		number_close(fd);
		return ret;
	}
	pthread_mutex_lock(&table.lock);
	o->process = table.process;
	o->next = *bucket_of(o->cookie);
	*bucket_of(o->cookie) = o;
	pthread_mutex_unlock(&table.lock);
	/* Somebody may have asked for the number since memfd_create(). */
	numbers_forget((unsigned int)fd, (unsigned int)fd);
	return fd;
}

static struct object *find_cookie(int64_t cookie)
{
	struct object *o;

	for (o = *bucket_of(cookie); o; o = o->next)
		if (o->cookie == cookie)
			break;
	return o;
}

static struct object *find_inode(dev_t dev, ino_t ino)
{
	struct object *o;
	int i;

	for (i = 0; i < BUCKETS; i++)
		for (o = table.bucket[i]; o; o = o->next)
			if (o->ino == ino && o->dev == dev)
				return o;
	return NULL;
}

/* The handle of @fd, with a reference, as the kernel says; NUMBER_OTHER; 0: it is not open. */
static uintptr_t search(int fd)
{
	int64_t cookie = lseek(fd, 0, SEEK_CUR);
	struct object *o = NULL;
	struct stat st;

	if (cookie < 0)
		return errno == EBADF ? 0 : NUMBER_OTHER;
	pthread_mutex_lock(&table.lock);
	if (cookie & COOKIE_BIT)
		o = find_cookie(cookie);
	if (!o && !fstat(fd, &st))
		o = find_inode(st.st_dev, st.st_ino);
	if (o)
		atomic_fetch_add(&o->handle->refs, 1);
	pthread_mutex_unlock(&table.lock);
	return o ? (uintptr_t)o->handle : NUMBER_OTHER;
}

static uintptr_t search_and_keep(int fd)
{
	uintptr_t ticket = number_ask(fd), found = search(fd);

	if (found)
		number_answer(fd, ticket, found);
	return found;
}

/* The handle of @fd, with a reference, as numbers.c has it; 0: it does not know. */
static uintptr_t look_up(int fd)
{
	uintptr_t entry = number_entry(fd);
	struct handle *h = (struct handle *)entry;

	if (entry == NUMBER_OTHER)
		return entry;
	if (!entry || entry & 1 || !handle_take(h))
		return 0;
	if (number_entry(fd) == entry)
		return entry;
	handle_put(h);
	return 0;
}

struct object *object_get(int fd)
{
	uintptr_t found;

	if (!numbers_told())
		found = search(fd);
	else if (!(found = look_up(fd)))
		found = search_and_keep(fd);
	return found && found != NUMBER_OTHER ? ((struct handle *)found)->object : NULL;
}

void object_put(struct object *o)
{
	handle_put(o->handle);
}

bool object_foreign(const struct object *o)
{
	return o->process != table.process;
}

void object_reap(void)
{
	struct object *gone = NULL, *o, **p;
	int i;

	pthread_mutex_lock(&table.lock);
	for (i = 0; i < BUCKETS; i++) {
		for (p = &table.bucket[i]; (o = *p);) {
			if (object_foreign(o) || !description_gone(o)) {
				p = &o->next;
				continue;
			}
			*p = o->next;
			o->next = gone;
			gone = o;
		}
	}
	pthread_mutex_unlock(&table.lock);
	while ((o = gone)) {
		gone = o->next;
		object_put(o);
	}
}
