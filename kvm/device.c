/* SPDX-License-Identifier: MIT */
/*
 * Devices inside the KVM (Documentation/virt/kvm/devices): KVM_CREATE_DEVICE and the descriptors
 * that it returns.
 *
 * A device is of a type, and a type is a table of attributes with two functions. vm->device_types
 * lists the types that there are.
 *
 * As on Linux a device belongs to its VM: closing its descriptor lets go of the VM but does not end
 * the device. All devices end with the VM, before its vCPUs do.
 */
#include <stdlib.h>

#include "kvm/kvm.h"

static const struct device_type *const device_types[] = {
	&vgic_v2_type,
	NULL,
};

void devices_init(struct vm *vm)
{
	vm->device_types = device_types;
}

static void device_destroy(struct device *dev)
{
	if (dev->type->destroy)
		dev->type->destroy(dev);
	free(dev);
}

void devices_destroy(struct vm *vm)
{
	struct device *dev;

	while ((dev = vm->devices)) {
		vm->devices = dev->next;
		device_destroy(dev);
	}
}

static void device_release(struct object *o)
{
	vm_put(((struct device *)((char *)o - offsetof(struct device, object)))->vm);
}

static const struct device_type *find_type(struct vm *vm, uint32_t nr)
{
	const struct device_type *const *t;

	for (t = vm->device_types; *t; t++)
		if ((*t)->nr == nr)
			return *t;
	return NULL;
}

/* Under vm->lock: no vCPU and no other device is made meanwhile. */
static long make_device(struct vm *vm, const struct device_type *type)
{
	struct device *dev = calloc(1, sizeof(*dev));
	long ret;

	if (!dev)
		return -ENOMEM;
	dev->vm = vm;
	dev->type = type;
	dev->object.kind = OBJECT_DEVICE;
	dev->object.release = device_release;
	ret = type->create ? type->create(dev) : 0;
	if (ret) {
		free(dev);
		return ret;
	}
	atomic_fetch_add(&vm->refs, 1); /* before somebody can close it */
	ret = object_publish(&dev->object, type->name);
	if (ret < 0) {
		atomic_fetch_sub(&vm->refs, 1);
		device_destroy(dev);
		return ret;
	}
	dev->next = vm->devices;
	vm->devices = dev;
	return ret;
}

long device_create(struct vm *vm, struct kvm_create_device *cd)
{
	const struct device_type *type = find_type(vm, cd->type);
	long fd;

	if (!type)
		return -ENODEV;
	if (cd->flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	pthread_mutex_lock(&vm->lock);
	fd = make_device(vm, type);
	pthread_mutex_unlock(&vm->lock);
	if (fd < 0)
		return fd;
	cd->fd = (uint32_t)fd;
	return 0;
}

/* ---- Requests ---- */

static long device_set_attr(void *owner, void *arg, unsigned long raw)
{
	struct device *dev = owner;

	return attrs_set(dev->type->attrs, dev, arg);
}

static long device_get_attr(void *owner, void *arg, unsigned long raw)
{
	struct device *dev = owner;

	return attrs_get(dev->type->attrs, dev, arg);
}

static long device_has_attr(void *owner, void *arg, unsigned long raw)
{
	struct device *dev = owner;

	return attrs_has(dev->type->attrs, dev, arg);
}

static const struct request device_requests[] = {
	{KVM_SET_DEVICE_ATTR, REQ_IN, device_set_attr},
	{KVM_GET_DEVICE_ATTR, REQ_IN, device_get_attr},
	{KVM_HAS_DEVICE_ATTR, REQ_IN, device_has_attr},
};

long device_request(struct device *dev, unsigned int nr, unsigned long arg)
{
	if (!request_find(device_requests, ARRAY_SIZE(device_requests), nr))
		return -ENOTTY;
	return request_dispatch(device_requests, ARRAY_SIZE(device_requests), nr, dev, arg);
}
