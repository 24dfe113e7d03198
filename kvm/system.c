/* SPDX-License-Identifier: MIT */
/*
 * The calls of <armature/armature.h>, the tables' dispatcher, and the system descriptor.
 *
 * A request is looked up by its number in the table of its descriptor's kind; what the table says
 * about the argument is done here, once, so that handlers see a structure and not a pointer.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <armature/armature.h>
#include "engine/engine.h"
#include "kvm/kvm.h"

#define EXPORT __attribute__((visibility("default")))

const struct request *request_find(const struct request *table, size_t rows, unsigned int nr)
{
	const struct request *r;

	for (r = table; r < table + rows; r++)
		if (r->nr == nr)
			return r;
	return NULL;
}

long request_dispatch(const struct request *table, size_t rows, unsigned int nr, void *owner,
		      unsigned long raw)
{
	const struct request *r = request_find(table, rows, nr);
	_Alignas(16) unsigned char arg[REQ_ARG_MAX] = {0};
	long ret;

	if (!r)
		return -EINVAL;
	if ((r->flags & REQ_IN) && copy_in(arg, raw, _IOC_SIZE(nr)))
		return -EFAULT;
	ret = r->handle(owner, arg, raw);
	if (ret >= 0 && (r->flags & REQ_OUT) && copy_out(raw, arg, _IOC_SIZE(nr)))
		return -EFAULT;
	return ret;
}

static long sys_api_version(void *owner, void *arg, unsigned long raw)
{
	return raw ? -EINVAL : KVM_API_VERSION;
}

static long sys_create_vm(void *owner, void *arg, unsigned long raw)
{
	return vm_create(raw);
}

static long sys_check_extension(void *owner, void *arg, unsigned long raw)
{
	return vm_check_extension(NULL, raw);
}

static long sys_mmap_size(void *owner, void *arg, unsigned long raw)
{
	return raw ? -EINVAL : (long)KVM_PAGE_SIZE;
}

static const struct request system_requests[] = {
	{KVM_GET_API_VERSION, 0, sys_api_version},
	{KVM_CREATE_VM, 0, sys_create_vm},
	{KVM_CHECK_EXTENSION, 0, sys_check_extension},
	{KVM_GET_VCPU_MMAP_SIZE, 0, sys_mmap_size},
};

static void system_release(struct object *o)
{
	free(o);
}

/* A system descriptor, close-on-exec, or -errno. */
static int system_open(void)
{
	struct object *o = calloc(1, sizeof(*o));
	int fd;

	if (!o)
		return -ENOMEM;
	o->kind = OBJECT_SYSTEM;
	o->release = system_release;
	fd = object_publish(o, "armature-system");
	if (fd < 0)
		free(o);
	return fd;
}

EXPORT int armature_open_flags(int flags)
{
	int fd = -EINVAL;

	calls_begin();
	if ((flags & ~O_CLOEXEC) == O_RDWR)
		fd = system_open();
	calls_end();
	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	if (!(flags & O_CLOEXEC))
		fcntl(fd, F_SETFD, 0);
	return fd;
}

EXPORT int armature_open(void)
{
	return armature_open_flags(O_RDWR | O_CLOEXEC);
}

static bool is_dead(struct object *o)
{
	const struct vm *vm = NULL;

	if (o->kind == OBJECT_VM)
		vm = (struct vm *)((char *)o - offsetof(struct vm, object));
	else if (o->kind == OBJECT_VCPU)
		vm = ((struct vcpu *)((char *)o - offsetof(struct vcpu, object)))->vm;
	else if (o->kind == OBJECT_DEVICE)
		vm = ((struct device *)((char *)o - offsetof(struct device, object)))->vm;
	return vm && atomic_load_explicit(&vm->dead, memory_order_relaxed);
}

static long serve(struct object *o, unsigned int nr, unsigned long arg)
{
	/* Linux: a VM belongs to the memory that made it. */
	if (o->kind != OBJECT_SYSTEM && object_foreign(o))
		return -EIO;
	if (is_dead(o))
		return -EIO;
	switch (o->kind) {
	case OBJECT_SYSTEM:
		return request_dispatch(system_requests, ARRAY_SIZE(system_requests), nr, NULL,
					arg);
	case OBJECT_VM:
		return vm_request((struct vm *)((char *)o - offsetof(struct vm, object)), nr, arg);
	case OBJECT_VCPU:
		return vcpu_request((struct vcpu *)((char *)o - offsetof(struct vcpu, object)), nr,
				    arg);
	case OBJECT_DEVICE:
		return device_request(
			(struct device *)((char *)o - offsetof(struct device, object)), nr, arg);
	}
	return -EINVAL;
}

/* Requests that Linux serves for every file, before it asks the file's driver. */
static bool any_file(unsigned int nr)
{
	return nr == FIOCLEX || nr == FIONCLEX || nr == FIONBIO || nr == FIOASYNC;
}

EXPORT int armature_ioctl(int fd, unsigned long request, unsigned long arg)
{
	unsigned int nr = (unsigned int)request;
	struct object *o;
	long ret;

	/*
	 * From before the first lock is taken until the last one is free, so that handlers run when
	 * KVM_RUN is over, and may even jump away.
	 */
	signals_begin(nr == KVM_RUN);
	o = object_get(fd);
	if (!o) {
		ret = lseek(fd, 0, SEEK_CUR) < 0 && errno == EBADF ? -EBADF : -ENOTTY;
	} else if (any_file(nr)) {
		ret = ioctl(fd, nr, arg) < 0 ? -errno : 0;
	} else {
		ret = serve(o, nr, arg);
	}
	if (o)
		object_put(o);
	signals_end();
	if (ret < 0) {
		errno = (int)-ret;
		return -1;
	}
	return (int)ret;
}

EXPORT int armature_promise(unsigned int what)
{
	if (what & ~(ARMATURE_TELLS_SIGNALS | ARMATURE_TELLS_DESCRIPTORS)) {
		errno = EINVAL;
		return -1;
	}
	if (what & ARMATURE_TELLS_SIGNALS)
		handlers_promise();
	if (what & ARMATURE_TELLS_DESCRIPTORS)
		numbers_promise();
	return 0;
}

EXPORT int armature_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	return handlers_sigaction(sig, act, old);
}

EXPORT void armature_fds_begin(unsigned int first, unsigned int last)
{
	numbers_begin(first, last);
}

EXPORT void armature_fds_end(unsigned int first, unsigned int last)
{
	numbers_end(first, last);
}

EXPORT bool armature_knows(int fd)
{
	int saved = errno;
	struct object *o;

	calls_begin();
	o = object_get(fd);
	if (o)
		object_put(o);
	calls_end();
	errno = saved;
	return o;
}

EXPORT const char *armature_engine(int fd)
{
	const char *name = NULL;
	struct object *o;

	calls_begin();
	o = object_get(fd);
	if (o && o->kind == OBJECT_VM)
		name = engine_name(
			&((struct vm *)((char *)o - offsetof(struct vm, object)))->machine);
	if (o)
		object_put(o);
	calls_end();
	return name;
}

EXPORT int armature_close(int fd)
{
	int ret, saved;

	calls_begin();
	ret = number_close(fd);
	saved = errno;
	object_reap();
	calls_end();
	errno = saved;
	return ret;
}
