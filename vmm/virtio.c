/* SPDX-License-Identifier: MIT */
/* The virtio-mmio transport, version 2. */
#include "vmm/virtio.h"
#include "vmm/fdt.h"
#include "vmm/loop.h"
#include "vmm/report.h"

#include <errno.h>
#include <libfdt.h>
#include <signal.h>
#include <string.h>

#define MAGIC   0x74726976u /* "virt" */
#define VERSION 2
#define VENDOR  0x554d5241u /* "ARMU" */

/* VIRTIO 1.2, table 4.1. */
enum virtio_mmio_reg {
	MAGIC_VALUE = 0x000,
	DEVICE_VERSION = 0x004,
	DEVICE_ID = 0x008,
	VENDOR_ID = 0x00c,
	DEVICE_FEATURES = 0x010,
	DEVICE_FEATURES_SEL = 0x014,
	DRIVER_FEATURES = 0x020,
	DRIVER_FEATURES_SEL = 0x024,
	QUEUE_SEL = 0x030,
	QUEUE_NUM_MAX = 0x034,
	QUEUE_NUM = 0x038,
	QUEUE_READY = 0x044,
	QUEUE_NOTIFY = 0x050,
	INTERRUPT_STATUS = 0x060,
	INTERRUPT_ACK = 0x064,
	STATUS = 0x070,
	QUEUE_DESC_LOW = 0x080,
	QUEUE_DESC_HIGH = 0x084,
	QUEUE_DRIVER_LOW = 0x090,
	QUEUE_DRIVER_HIGH = 0x094,
	QUEUE_DEVICE_LOW = 0x0a0,
	QUEUE_DEVICE_HIGH = 0x0a4,
	SHM_LEN_LOW = 0x0b0,
	SHM_LEN_HIGH = 0x0b4,
	SHM_BASE_LOW = 0x0b8,
	SHM_BASE_HIGH = 0x0bc,
	CONFIG_GENERATION = 0x0fc,
	CONFIG = 0x100,
};

#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_MASK        0xffu

#define INTERRUPT_USED   1u
#define INTERRUPT_CONFIG 2u

static void raise_interrupt(struct virtio *virtio, uint32_t why)
{
	virtio->interrupt |= why;
	if (!virtio->level) {
		virtio->level = true;
		vmm_line_set(&virtio->line, true);
	}
}

static void acknowledge(struct virtio *virtio, uint32_t what)
{
	virtio->interrupt &= ~what;
	if (virtio->level && !virtio->interrupt) {
		virtio->level = false;
		vmm_line_set(&virtio->line, false);
	}
}

static void tell_once(struct virtio *virtio, const char *why)
{
	for (unsigned int i = 0; i < virtio->nr_told; i++) {
		if (!strcmp(virtio->told[i], why))
			return;
	}
	if (virtio->nr_told == VIRTIO_MAX_TOLD)
		return;
	virtio->told[virtio->nr_told++] = why;
	vmm_report("%s: stopped until the guest resets it: %s (told once)", virtio->device.name,
		   why);
}

/* The driver did what no driver may: nothing more until it resets the device. */
static void broken(struct virtio *virtio, const char *why)
{
	if (virtio->status & STATUS_NEEDS_RESET)
		return;
	tell_once(virtio, why);
	virtio->status |= STATUS_NEEDS_RESET;
	if (virtio->status & STATUS_DRIVER_OK)
		raise_interrupt(virtio, INTERRUPT_CONFIG);
}

static bool runs(const struct virtio *virtio)
{
	return (virtio->status & STATUS_DRIVER_OK) && !(virtio->status & STATUS_NEEDS_RESET) &&
	       virtio->queue.ready;
}

static void wait_idle(struct virtio *virtio)
{
	while (virtio->busy)
		pthread_cond_wait(&virtio->idle, &virtio->lock);
}

/* Serves what waits. Lock held, but for the I/O; the queue cannot be reset while busy. */
static void serve_queue(struct virtio *virtio)
{
	struct virtqueue *queue = &virtio->queue;
	const char *error = NULL;
	int64_t written;
	int got;

	while (runs(virtio) && !virtio->quit) {
		got = virtqueue_pop(queue, virtio->mem, &virtio->chain);
		if (!got) {
			virtqueue_enable_notify(queue);
			got = virtqueue_pop(queue, virtio->mem, &virtio->chain);
		}
		if (got < 0)
			broken(virtio, queue->error);
		if (got <= 0)
			return;
		virtio->busy = true;
		pthread_mutex_unlock(&virtio->lock);
		written = virtio->class->serve(virtio, &virtio->chain, &error);
		pthread_mutex_lock(&virtio->lock);
		virtio->busy = false;
		if (written < 0) {
			broken(virtio, error);
		} else {
			virtqueue_push(queue, virtio->chain.head, (uint32_t)written);
			if (virtqueue_should_signal(queue))
				raise_interrupt(virtio, INTERRUPT_USED);
		}
		pthread_cond_broadcast(&virtio->idle);
		if (!(virtio->status & STATUS_DRIVER_OK) && virtio->device.loop)
			vmm_loop_wake(virtio->device.loop); /* see virtio_quiesce() */
	}
}

static void *virtio_thread(void *opaque)
{
	struct virtio *virtio = opaque;

	pthread_mutex_lock(&virtio->lock);
	while (!virtio->quit) {
		if (!virtio->kicked) {
			pthread_cond_wait(&virtio->work, &virtio->lock);
			continue;
		}
		virtio->kicked = false;
		serve_queue(virtio);
	}
	pthread_mutex_unlock(&virtio->lock);
	return NULL;
}

static void reset_device(struct virtio *virtio)
{
	virtio->status = 0; /* nothing new is begun */
	wait_idle(virtio);
	virtqueue_reset(&virtio->queue);
	virtio->driver_features = 0;
	virtio->features_sel = virtio->driver_features_sel = virtio->queue_sel = 0;
	virtio->kicked = false;
	acknowledge(virtio, UINT32_MAX);
}

static void write_status(struct virtio *virtio, uint32_t value)
{
	const uint32_t old = virtio->status;

	value &= STATUS_MASK;
	if (!value) {
		reset_device(virtio);
		return;
	}
	/* VIRTIO 1.2, 2.2.2: FEATURES_OK stays clear unless the device takes the features. */
	if (!(old & STATUS_FEATURES_OK) && (value & STATUS_FEATURES_OK) &&
	    ((virtio->driver_features & ~virtio->features) ||
	     !(virtio->driver_features & VIRTIO_F_VERSION_1)))
		value &= ~STATUS_FEATURES_OK;
	virtio->status = old | value; /* only a reset clears what is set */
	if (value & STATUS_DRIVER_OK) {
		virtio->kicked = true;
		pthread_cond_signal(&virtio->work);
	}
}

static void write_driver_features(struct virtio *virtio, uint32_t value)
{
	const unsigned int shift = 32 * virtio->driver_features_sel;

	if (virtio->driver_features_sel > 1 || (virtio->status & STATUS_FEATURES_OK))
		return;
	virtio->driver_features &= ~(0xffffffffull << shift);
	virtio->driver_features |= (uint64_t)value << shift;
}

static void write_queue_ready(struct virtio *virtio, uint32_t value)
{
	struct virtqueue *queue = &virtio->queue;

	if (!(value & 1)) {
		queue->ready = false;
		wait_idle(virtio);
		return;
	}
	if (queue->ready || (virtio->status & STATUS_NEEDS_RESET))
		return;
	queue->indirect = virtio->driver_features & VIRTIO_F_INDIRECT_DESC;
	queue->event_idx = virtio->driver_features & VIRTIO_F_EVENT_IDX;
	if (virtqueue_start(queue, virtio->mem))
		broken(virtio, queue->error);
}

static void set_low(uint64_t *value, uint32_t low)
{
	*value = (*value & ~0xffffffffull) | low;
}

static void set_high(uint64_t *value, uint32_t high)
{
	*value = (*value & 0xffffffffull) | (uint64_t)high << 32;
}

/* The registers of the selected queue. Only queue 0 exists, and it is not changed while ready. */
static void write_queue_register(struct virtio *virtio, uint64_t offset, uint32_t value)
{
	struct virtqueue *queue = &virtio->queue;

	if (virtio->queue_sel)
		return;
	if (offset == QUEUE_READY) {
		write_queue_ready(virtio, value);
		return;
	}
	if (queue->ready)
		return;
	switch (offset) {
	case QUEUE_NUM:
		queue->num = value;
		break;
	case QUEUE_DESC_LOW:
		set_low(&queue->desc_addr, value);
		break;
	case QUEUE_DESC_HIGH:
		set_high(&queue->desc_addr, value);
		break;
	case QUEUE_DRIVER_LOW:
		set_low(&queue->driver_addr, value);
		break;
	case QUEUE_DRIVER_HIGH:
		set_high(&queue->driver_addr, value);
		break;
	case QUEUE_DEVICE_LOW:
		set_low(&queue->device_addr, value);
		break;
	case QUEUE_DEVICE_HIGH:
		set_high(&queue->device_addr, value);
		break;
	}
}

static void write_register(struct virtio *virtio, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case DEVICE_FEATURES_SEL:
		virtio->features_sel = value;
		break;
	case DRIVER_FEATURES:
		write_driver_features(virtio, value);
		break;
	case DRIVER_FEATURES_SEL:
		virtio->driver_features_sel = value;
		break;
	case QUEUE_SEL:
		virtio->queue_sel = value;
		break;
	case QUEUE_NOTIFY:
		if (!value && runs(virtio)) {
			virtio->kicked = true;
			pthread_cond_signal(&virtio->work);
		}
		break;
	case INTERRUPT_ACK:
		acknowledge(virtio, value);
		break;
	case STATUS:
		write_status(virtio, value);
		break;
	default:
		write_queue_register(virtio, offset, value);
	}
}

static uint32_t read_register(const struct virtio *virtio, uint64_t offset)
{
	switch (offset) {
	case MAGIC_VALUE:
		return MAGIC;
	case DEVICE_VERSION:
		return VERSION;
	case DEVICE_ID:
		return virtio->class->device_id;
	case VENDOR_ID:
		return VENDOR;
	case DEVICE_FEATURES:
		return virtio->features_sel > 1
			       ? 0
			       : (uint32_t)(virtio->features >> 32 * virtio->features_sel);
	case QUEUE_NUM_MAX:
		return virtio->queue_sel ? 0 : VIRTQUEUE_MAX;
	case QUEUE_READY:
		return !virtio->queue_sel && virtio->queue.ready;
	case INTERRUPT_STATUS:
		return virtio->interrupt;
	case STATUS:
		return virtio->status;
	case SHM_LEN_LOW: /* there is no shared memory: length and base are -1 */
	case SHM_LEN_HIGH:
	case SHM_BASE_LOW:
	case SHM_BASE_HIGH:
		return UINT32_MAX;
	default: /* CONFIG_GENERATION too: the configuration never changes */
		return 0;
	}
}

static uint64_t virtio_read(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size)
{
	struct virtio *virtio = opaque;
	uint64_t value = 0;

	if (offset >= CONFIG) {
		const uint8_t *config = virtio->config;

		for (unsigned int i = 0; i < size; i++) {
			if (offset - CONFIG + i < virtio->class->config_size)
				value |= (uint64_t)config[offset - CONFIG + i] << 8 * i;
		}
		return value;
	}
	if (size != 4 || offset % 4)
		return 0; /* VIRTIO 1.2, 4.2.2.2: the registers have aligned 32-bit accesses only */
	pthread_mutex_lock(&virtio->lock);
	value = read_register(virtio, offset);
	pthread_mutex_unlock(&virtio->lock);
	return value;
}

static void virtio_write(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size,
			 uint64_t value)
{
	struct virtio *virtio = opaque;

	if (offset >= CONFIG || size != 4 || offset % 4)
		return;
	pthread_mutex_lock(&virtio->lock);
	write_register(virtio, offset, (uint32_t)value);
	pthread_mutex_unlock(&virtio->lock);
}

static bool virtio_quiesce(struct vmm_device *device)
{
	struct virtio *virtio = vmm_container_of(device, struct virtio, device);
	bool quiet;

	pthread_mutex_lock(&virtio->lock);
	virtio->status = 0; /* no vCPU runs that could see it */
	quiet = !virtio->busy;
	pthread_mutex_unlock(&virtio->lock);
	return quiet;
}

static void virtio_reset(struct vmm_device *device)
{
	struct virtio *virtio = vmm_container_of(device, struct virtio, device);

	pthread_mutex_lock(&virtio->lock);
	reset_device(virtio);
	pthread_mutex_unlock(&virtio->lock);
}

static int virtio_fdt(const struct vmm_device *device, void *fdt)
{
	const struct virtio *virtio = vmm_container_of(device, struct virtio, device);

	VMM_FDT_TRY(vmm_fdt_begin(fdt, "virtio_mmio", virtio->base, VIRTIO_MMIO_SIZE));
	VMM_FDT_TRY(fdt_property_string(fdt, "compatible", "virtio,mmio"));
	VMM_FDT_TRY(vmm_fdt_spi(fdt, virtio->line.intid));
	VMM_FDT_TRY(fdt_property(fdt, "dma-coherent", NULL, 0));
	return fdt_end_node(fdt);
}

/* Stops the thread and destroys what virtio_start() made. */
static void virtio_stop(struct virtio *virtio)
{
	if (virtio->has_thread) {
		pthread_mutex_lock(&virtio->lock);
		virtio->quit = true;
		pthread_cond_signal(&virtio->work);
		pthread_mutex_unlock(&virtio->lock);
		pthread_join(virtio->thread, NULL);
		virtio->has_thread = false;
	}
	pthread_cond_destroy(&virtio->idle);
	pthread_cond_destroy(&virtio->work);
	pthread_mutex_destroy(&virtio->lock);
}

static void virtio_destroy(struct vmm_device *device)
{
	struct virtio *virtio = vmm_container_of(device, struct virtio, device);

	virtio_stop(virtio);
	virtio->class->destroy(virtio);
}

/* Signals are the main thread's and the vCPUs'. */
static int start_thread(struct virtio *virtio)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&virtio->thread, NULL, virtio_thread, virtio);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	virtio->has_thread = !err;
	return err;
}

int virtio_start(struct virtio *virtio, struct vmm_bus *bus)
{
	int err;

	virtio->device.quiesce = virtio_quiesce;
	virtio->device.reset = virtio_reset;
	virtio->device.fdt = virtio_fdt;
	virtio->device.destroy = virtio_destroy;
	pthread_mutex_init(&virtio->lock, NULL);
	pthread_cond_init(&virtio->work, NULL);
	pthread_cond_init(&virtio->idle, NULL);
	err = start_thread(virtio);
	if (!err)
		err = vmm_bus_map(bus, &(struct vmm_region){.name = virtio->device.name,
							    .base = virtio->base,
							    .size = VIRTIO_MMIO_SIZE,
							    .opaque = virtio,
							    .read = virtio_read,
							    .write = virtio_write});
	if (err)
		virtio_stop(virtio);
	return err;
}
