/* SPDX-License-Identifier: MIT */
/*
 * PL031: the real-time clock. It counts the host's seconds since 1970, from where the guest set it.
 *
 * Invariants: the counter is (host seconds + offset) modulo 2^32; the host timer is armed for the
 * next moment at which the counter equals the match register; the line is RTCRIS & RTCIMSC.
 */
#include "vmm/pl031.h"
#include "vmm/fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PL031_SIZE 0x1000

/* DDI 0224C, table 3-1. */
enum pl031_reg {
	RTCDR = 0x000,
	RTCMR = 0x004,
	RTCLR = 0x008,
	RTCCR = 0x00c,
	RTCIMSC = 0x010,
	RTCRIS = 0x014,
	RTCMIS = 0x018,
	RTCICR = 0x01c,
	RTC_ID = 0xfe0, /* RTCPeriphID0-3, RTCPCellID0-3 */
};

static const uint8_t pl031_id[] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

struct pl031 {
	struct vmm_device device;
	uint64_t base;
	struct vmm_line line;
	int timer_fd;
	pthread_mutex_t lock; /* of all below */
	uint32_t offset, match, load, imsc, ris;
	bool level;
};

static uint32_t host_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint32_t)ts.tv_sec;
}

static uint32_t counter(const struct pl031 *rtc)
{
	return host_seconds() + rtc->offset;
}

static void update_line(struct pl031 *rtc)
{
	const bool level = rtc->ris & rtc->imsc;

	if (level != rtc->level) {
		rtc->level = level;
		vmm_line_set(&rtc->line, level);
	}
}

/* Arms the host timer for the next match; one that is now has just been handled. */
static void arm(struct pl031 *rtc)
{
	struct itimerspec when = {0};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	/* The counter of the same moment, or a second that begins here would be lost. */
	when.it_value.tv_sec =
		now.tv_sec + (uint32_t)(rtc->match - ((uint32_t)now.tv_sec + rtc->offset));
	if (when.it_value.tv_sec == now.tv_sec) {
		/* The counter is there already: the comparator is up. */
		rtc->ris = 1;
		when.it_value.tv_sec = 0;
	}
	timerfd_settime(rtc->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void alarm_ready(void *opaque)
{
	struct pl031 *rtc = opaque;
	uint64_t expirations;

	if (read(rtc->timer_fd, &expirations, sizeof(expirations)) < 0)
		return;
	pthread_mutex_lock(&rtc->lock);
	rtc->ris = 1;
	update_line(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static uint32_t read_register(const struct pl031 *rtc, uint64_t offset)
{
	if (offset >= RTC_ID && offset < RTC_ID + 4 * sizeof(pl031_id))
		return pl031_id[(offset - RTC_ID) / 4];
	switch (offset) {
	case RTCDR:
		return counter(rtc);
	case RTCMR:
		return rtc->match;
	case RTCLR:
		return rtc->load;
	case RTCCR:
		return 1; /* always started */
	case RTCIMSC:
		return rtc->imsc;
	case RTCRIS:
		return rtc->ris;
	case RTCMIS:
		return rtc->ris & rtc->imsc;
	default:
		return 0;
	}
}

static void write_register(struct pl031 *rtc, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case RTCMR:
		rtc->match = value;
		arm(rtc);
		break;
	case RTCLR:
		rtc->load = value;
		rtc->offset = value - host_seconds();
		arm(rtc);
		break;
	case RTCIMSC:
		rtc->imsc = value & 1;
		break;
	case RTCICR:
		rtc->ris &= ~value;
		break;
	}
}

static uint64_t pl031_read(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size)
{
	struct pl031 *rtc = opaque;
	uint64_t value;

	pthread_mutex_lock(&rtc->lock);
	value = read_register(rtc, offset & ~3ull) >> 8 * (offset & 3);
	pthread_mutex_unlock(&rtc->lock);
	return size < 4 ? value & ((1ull << 8 * size) - 1) : value;
}

static void pl031_write(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size,
			uint64_t value)
{
	struct pl031 *rtc = opaque;

	if (offset & 3)
		return;
	pthread_mutex_lock(&rtc->lock);
	write_register(rtc, offset, (uint32_t)value);
	update_line(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

/* The time goes on over a reset, as with a battery. */
static void pl031_reset(struct vmm_device *device)
{
	struct pl031 *rtc = vmm_container_of(device, struct pl031, device);
	const struct itimerspec off = {0};

	pthread_mutex_lock(&rtc->lock);
	rtc->match = rtc->imsc = rtc->ris = 0;
	timerfd_settime(rtc->timer_fd, TFD_TIMER_ABSTIME, &off, NULL);
	update_line(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static int pl031_fdt(const struct vmm_device *device, void *fdt)
{
	const struct pl031 *rtc = vmm_container_of(device, struct pl031, device);
	static const char compatible[] = "arm,pl031\0arm,primecell";

	VMM_FDT_TRY(vmm_fdt_begin(fdt, "pl031", rtc->base, PL031_SIZE));
	VMM_FDT_TRY(fdt_property(fdt, "compatible", compatible, sizeof(compatible)));
	VMM_FDT_TRY(vmm_fdt_spi(fdt, rtc->line.intid));
	VMM_FDT_TRY(VMM_FDT_CELLS(fdt, "clocks", VMM_PHANDLE_CLOCK));
	VMM_FDT_TRY(fdt_property_string(fdt, "clock-names", "apb_pclk"));
	return fdt_end_node(fdt);
}

static void pl031_destroy(struct vmm_device *device)
{
	struct pl031 *rtc = vmm_container_of(device, struct pl031, device);

	close(rtc->timer_fd);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

int vmm_pl031_create(uint64_t base, const struct vmm_line *line, struct vmm_bus *bus,
		     struct vmm_loop *loop, struct vmm_device **device)
{
	struct pl031 *rtc = calloc(1, sizeof(*rtc));
	int err;

	if (!rtc)
		return -ENOMEM;
	rtc->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (rtc->timer_fd < 0) {
		err = -errno;
		free(rtc);
		return err;
	}
	rtc->base = base;
	rtc->line = *line;
	rtc->device.name = "pl031";
	rtc->device.reset = pl031_reset;
	rtc->device.fdt = pl031_fdt;
	rtc->device.destroy = pl031_destroy;
	pthread_mutex_init(&rtc->lock, NULL);
	err = vmm_bus_map(bus, &(struct vmm_region){.name = rtc->device.name,
						    .base = base,
						    .size = PL031_SIZE,
						    .opaque = rtc,
						    .read = pl031_read,
						    .write = pl031_write});
	if (!err)
		err = vmm_loop_add(loop, rtc->timer_fd, alarm_ready, rtc);
	if (err < 0) {
		pl031_destroy(&rtc->device);
		return err;
	}
	*device = &rtc->device;
	return 0;
}
