/* SPDX-License-Identifier: MIT */
/*
 * The disk as a driver sees it, a well-behaved one and those that no machine allows. The driver
 * here builds its rings by hand in guest memory. Reference: VIRTIO 1.2, 2.7, 4.2 and 5.2.
 */
#include "support.h"
#include "vmm/loop.h"
#include "vmm/virtio_blk.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BASE    0xa000000u
#define RAM     0x40000000u
#define RAM_LEN 0x100000u
#define SECTORS 64u

/* Where the driver keeps things in guest memory. */
#define DESC     (RAM + 0x1000)
#define AVAIL    (RAM + 0x2000)
#define USED     (RAM + 0x3000)
#define HEADER   (RAM + 0x4000)
#define STATUS   (RAM + 0x4100)
#define INDIRECT (RAM + 0x5000)
#define DATA     (RAM + 0x10000)
#define NUM      8u

#define R_NEXT     1
#define R_WRITE    2
#define R_INDIRECT 4

#define NEEDS_RESET 64u
#define DRIVER_OK   15u /* ACKNOWLEDGE, DRIVER, DRIVER_OK and FEATURES_OK */

#define F_RO        (1u << 5)
#define F_FLUSH     (1u << 9)
#define F_INDIRECT  (1u << 28)
#define F_EVENT_IDX (1u << 29)

struct vdesc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static struct {
	struct vmm_bus bus;
	struct vmm_memory mem;
	struct vmm_device *dev;
	struct test_line line;
	char *path;
	uint16_t avail;
} f;

static uint32_t rd(uint32_t offset)
{
	return (uint32_t)bus_read(&f.bus, BASE + offset, 4);
}

static void wr(uint32_t offset, uint32_t value)
{
	bus_write(&f.bus, BASE + offset, 4, value);
}

static void *at(uint64_t addr)
{
	void *p = vmm_memory_at(&f.mem, addr, 1);

	assert_non_null(p);
	return p;
}

static struct vdesc *desc(unsigned int i)
{
	return (struct vdesc *)at(DESC) + i;
}

static uint16_t *avail(unsigned int i)
{
	return (uint16_t *)at(AVAIL) + i; /* flags, idx, ring[NUM], used_event */
}

static uint16_t *used16(unsigned int i)
{
	return (uint16_t *)at(USED) + i; /* flags, idx */
}

static uint32_t used_len(unsigned int i)
{
	return ((uint32_t *)at(USED))[1 + 2 * i + 1];
}

static int make(bool read_only)
{
	uint8_t image[SECTORS * 512];
	struct vmm_disk disk;

	memset(&f, 0, sizeof(f));
	for (unsigned int i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i / 512 + i);
	f.path = make_file(image, sizeof(image));
	test_line_init(&f.line, 48);
	if (vmm_memory_create(&f.mem, RAM, RAM_LEN) || vmm_disk_open(&disk, f.path, read_only))
		return -1;
	return vmm_virtio_blk_create(0, BASE, &f.line.line, &f.mem, &disk, &f.bus, &f.dev);
}

static int setup(void **state)
{
	return make(false);
}

static int setup_ro(void **state)
{
	return make(true);
}

static int teardown(void **state)
{
	f.dev->destroy(f.dev);
	vmm_memory_destroy(&f.mem);
	drop_file(f.path);
	return 0;
}

static void set_features(uint32_t low)
{
	wr(0x024, 0);
	wr(0x020, low);
	wr(0x024, 1);
	wr(0x020, 1); /* VERSION_1 */
}

static void start_queue(uint32_t num, uint64_t desc_addr, uint64_t avail_addr, uint64_t used_addr)
{
	wr(0x030, 0);
	wr(0x038, num);
	wr(0x080, (uint32_t)desc_addr);
	wr(0x084, (uint32_t)(desc_addr >> 32));
	wr(0x090, (uint32_t)avail_addr);
	wr(0x094, (uint32_t)(avail_addr >> 32));
	wr(0x0a0, (uint32_t)used_addr);
	wr(0x0a4, (uint32_t)(used_addr >> 32));
	wr(0x044, 1);
}

static void start_driver(uint32_t features)
{
	wr(0x070, 0);
	wr(0x070, 3);
	set_features(features);
	wr(0x070, 11);
	assert_int_equal(rd(0x070), 11);
	memset(at(DESC), 0, 0x3000);
	f.avail = 0;
	start_queue(NUM, DESC, AVAIL, USED);
	wr(0x070, DRIVER_OK);
}

static void header(uint32_t type, uint64_t sector)
{
	uint32_t *h = at(HEADER);

	h[0] = type;
	h[1] = 0;
	memcpy(h + 2, &sector, sizeof(sector));
	*(uint8_t *)at(STATUS) = 0xaa;
}

static void set_desc(unsigned int i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*desc(i) = (struct vdesc){addr, len, flags, next};
}

/* Header, data, status in descriptors 0, 1, 2. */
static void request(uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
	header(type, sector);
	set_desc(0, HEADER, 16, R_NEXT, len ? 1 : 2);
	set_desc(1, DATA, len, R_NEXT | (device_writes ? R_WRITE : 0), 2);
	set_desc(2, STATUS, 1, R_WRITE, 0);
}

static void submit(uint16_t head)
{
	*avail(2 + f.avail++ % NUM) = head;
	__atomic_store_n(avail(1), f.avail, __ATOMIC_RELEASE);
	wr(0x050, 0);
}

/* Waits until something happens to the interrupt status. */
static uint32_t wait_interrupt(void)
{
	for (unsigned int i = 0; i < 5000; i++) {
		const uint32_t status = rd(0x060);

		if (status)
			return status;
		usleep(1000);
	}
	fail_msg("no interrupt");
	return 0;
}

static uint8_t run_request(void)
{
	const uint16_t before = *used16(1);

	submit(0);
	assert_int_equal(wait_interrupt(), 1);
	assert_true(f.line.level);
	wr(0x064, 1);
	assert_false(f.line.level);
	assert_int_equal(*used16(1), (uint16_t)(before + 1));
	return *(uint8_t *)at(STATUS);
}

static void registers(void **state)
{
	assert_int_equal(rd(0x000), 0x74726976);
	assert_int_equal(rd(0x004), 2);
	assert_int_equal(rd(0x008), 2);
	assert_int_equal(rd(0x034), 256);
	wr(0x030, 1);
	assert_int_equal(rd(0x034), 0);
	assert_int_equal(rd(0x044), 0);
	assert_int_equal(rd(0x0b0), 0xffffffff);
	assert_int_equal(bus_read(&f.bus, BASE, 1), 0); /* 32-bit accesses only */
	assert_int_equal(bus_read(&f.bus, BASE + 0x100, 4), SECTORS);
	assert_int_equal(bus_read(&f.bus, BASE + 0x100, 1), SECTORS);
	assert_int_equal(bus_read(&f.bus, BASE + 0x10c, 4), 254);
	assert_int_equal(bus_read(&f.bus, BASE + 0x114, 2), 512);
	assert_int_equal(bus_read(&f.bus, BASE + 0x1f8, 8), 0);
}

static void features_are_negotiated(void **state)
{
	wr(0x014, 0);
	assert_int_equal(rd(0x010), F_INDIRECT | F_EVENT_IDX | F_FLUSH | 1u << 6 | 1u << 2);
	wr(0x014, 1);
	assert_int_equal(rd(0x010), 1);
	wr(0x014, 2);
	assert_int_equal(rd(0x010), 0);
	wr(0x070, 3);
	set_features(1u << 11); /* not offered */
	wr(0x070, 11);
	assert_int_equal(rd(0x070), 3);
	wr(0x070, 0);
	wr(0x070, 3);
	wr(0x070, 11); /* no VERSION_1 */
	assert_int_equal(rd(0x070), 3);
	set_features(F_FLUSH);
	wr(0x070, 11);
	assert_int_equal(rd(0x070), 11);
	wr(0x070, 0);
	assert_int_equal(rd(0x070), 0);
}

static void reads_and_writes(void **state)
{
	uint8_t *data = at(DATA), file[1024];
	int fd;

	start_driver(F_FLUSH);
	request(0, 3, 1024, true);
	assert_int_equal(run_request(), 0);
	assert_int_equal(used_len(0), 1025);
	for (unsigned int i = 0; i < 1024; i++)
		assert_int_equal(data[i], (uint8_t)(3 + i / 512 + i));
	memset(data, 0x5a, 1024);
	request(1, SECTORS - 2, 1024, false);
	assert_int_equal(run_request(), 0);
	assert_int_equal(used_len(1), 1);
	request(4, 0, 0, false);
	assert_int_equal(run_request(), 0);
	fd = open(f.path, O_RDONLY);
	assert_int_equal(pread(fd, file, 1024, (SECTORS - 2) * 512), 1024);
	close(fd);
	assert_memory_equal(file, data, 1024);
}

/* What a correct driver may ask for and cannot have: the device goes on. */
static void requests_that_fail(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t len;
		bool device_writes;
		uint8_t status;
	} table[] = {
		{0, SECTORS, 512, true, 1},     {0, SECTORS - 1, 1024, true, 1},
		{1, UINT64_MAX, 512, false, 1}, {1, UINT64_MAX / 512, 512, false, 1},
		{0, 0, 100, true, 1},           {1, 0, 513, false, 1},
		{11, 0, 512, false, 2},         {99, 0, 0, false, 2},
		{0, 0, 512, true, 0}, /* and still works */
	};

	start_driver(F_FLUSH);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		request(table[i].type, table[i].sector, table[i].len, table[i].device_writes);
		assert_int_equal(run_request(), table[i].status);
		assert_int_equal(rd(0x070), DRIVER_OK);
	}
}

static void tells_its_serial(void **state)
{
	start_driver(0);
	request(8, 0, 20, true);
	assert_int_equal(run_request(), 0);
	assert_string_equal(at(DATA), "armature-disk0");
	assert_int_equal(used_len(0), 21);
}

static void read_only_refuses_writes(void **state)
{
	assert_true(rd(0x010) & F_RO);
	start_driver(F_RO);
	request(1, 0, 512, false);
	assert_int_equal(run_request(), 1);
	request(0, 0, 512, true);
	assert_int_equal(run_request(), 0);
	request(4, 0, 0, false);
	assert_int_equal(run_request(), 0);
}

/* The cuts between descriptors mean nothing: header in three, data with the status in one. */
static void any_layout(void **state)
{
	uint8_t *data = at(DATA);

	start_driver(0);
	header(0, 1);
	set_desc(0, HEADER, 5, R_NEXT, 4);
	set_desc(4, HEADER + 5, 1, R_NEXT, 3);
	set_desc(3, HEADER + 6, 10, R_NEXT, 6);
	set_desc(6, DATA, 100, R_NEXT | R_WRITE, 7);
	set_desc(7, DATA + 100, 413, R_WRITE, 0);
	submit(0);
	assert_int_equal(wait_interrupt(), 1);
	assert_int_equal(data[512], 0);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(data[i], (uint8_t)(1 + i));
}

static void indirect_tables(void **state)
{
	struct vdesc *table;

	start_driver(F_INDIRECT);
	request(0, 2, 512, true);
	table = at(INDIRECT);
	memcpy(table, at(DESC), 3 * sizeof(*table));
	set_desc(0, INDIRECT, 3 * sizeof(*table), R_INDIRECT, 0);
	assert_int_equal(run_request(), 0);
	assert_int_equal(*(uint8_t *)at(DATA), 2);
}

static void wait_used(uint16_t idx)
{
	for (unsigned int i = 0; i < 5000 && __atomic_load_n(used16(1), __ATOMIC_ACQUIRE) != idx;
	     i++)
		usleep(1000);
	assert_int_equal(*used16(1), idx);
	usleep(2000); /* an interrupt would come now */
}

static void interrupts_can_be_off(void **state)
{
	start_driver(0);
	*avail(0) = 1; /* NO_INTERRUPT */
	request(0, 0, 512, true);
	submit(0);
	wait_used(1);
	assert_int_equal(rd(0x060), 0);
	*avail(0) = 0;
	assert_int_equal(run_request(), 0);
}

static void event_index(void **state)
{
	start_driver(F_EVENT_IDX);
	*avail(2 + NUM) = 1; /* used_event: interrupt with the second */
	request(0, 0, 512, true);
	submit(0);
	wait_used(1);
	assert_int_equal(rd(0x060), 0);
	assert_int_equal(run_request(), 0);
	/* avail_event follows what was taken: the next request is told again */
	assert_int_equal(((uint16_t *)((uint32_t *)at(USED) + 1 + 2 * NUM))[0], 2);
}

/* Both indices run over 65535; four unknown requests at a time, of a header and a status each. */
static void indices_wrap(void **state)
{
	start_driver(F_FLUSH);
	*avail(0) = 1; /* NO_INTERRUPT */
	header(99, 0);
	for (unsigned int i = 0; i < NUM; i += 2) {
		set_desc(i, HEADER, 16, R_NEXT, (uint16_t)(i + 1));
		set_desc(i + 1, STATUS, 1, R_WRITE, 0);
	}
	for (unsigned int round = 0; round < 0x10000 / 4 + 8; round++) {
		for (unsigned int i = 0; i < 4; i++)
			*avail(2 + f.avail++ % NUM) = (uint16_t)(2 * i);
		__atomic_store_n(avail(1), f.avail, __ATOMIC_RELEASE);
		wr(0x050, 0);
		for (unsigned int i = 0; __atomic_load_n(used16(1), __ATOMIC_ACQUIRE) != f.avail;
		     i++)
			assert_true(i < 1000000 && !sched_yield());
	}
	assert_int_equal(f.avail, 32);
	assert_int_equal(rd(0x070), DRIVER_OK);
	assert_int_equal(used_len(0), 1);
}

static void reset_forgets(void **state)
{
	start_driver(0);
	request(0, 0, 512, true);
	submit(0);
	wait_interrupt();
	assert_true(f.line.level);
	wr(0x070, 0);
	assert_false(f.line.level);
	assert_int_equal(rd(0x070), 0);
	assert_int_equal(rd(0x044), 0);
	start_driver(0);
	assert_int_equal((request(0, 5, 512, true), run_request()), 0);
	f.dev->reset(f.dev);
	assert_int_equal(rd(0x070), 0);
}

/* ---- Reset in the middle of a request --------------------------------------------------- */

static struct {
	struct virtio virtio;
	bool begun, release, done; /* atomic */
	bool reset_over;           /* atomic */
} slow;

static int64_t slow_serve(struct virtio *virtio, const struct virtqueue_chain *chain,
			  const char **error)
{
	__atomic_store_n(&slow.begun, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&slow.release, __ATOMIC_SEQ_CST))
		usleep(1000);
	__atomic_store_n(&slow.done, true, __ATOMIC_SEQ_CST);
	return 0;
}

static void slow_destroy(struct virtio *virtio)
{
}

static void *reset_thread(void *opaque)
{
	wr(0x070, 0);
	assert_true(__atomic_load_n(&slow.done, __ATOMIC_SEQ_CST));
	__atomic_store_n(&slow.reset_over, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* This device in place of the disk, with a request under way. */
static void start_slow(struct vmm_loop *loop)
{
	static const struct virtio_class class = {.serve = slow_serve, .destroy = slow_destroy};

	memset(&slow, 0, sizeof(slow));
	f.bus.nr = 0;
	slow.virtio.device.name = "slow";
	slow.virtio.device.loop = loop;
	slow.virtio.class = &class;
	slow.virtio.mem = &f.mem;
	slow.virtio.base = BASE;
	slow.virtio.line = f.line.line;
	slow.virtio.features = VIRTIO_F_VERSION_1;
	assert_int_equal(virtio_start(&slow.virtio, &f.bus), 0);
	start_driver(0);
	request(0, 0, 512, true);
	submit(0);
	while (!__atomic_load_n(&slow.begun, __ATOMIC_SEQ_CST))
		usleep(1000);
}

/* The driver may use its memory for something else once the reset is over, and not before. */
static void reset_waits_for_the_request(void **state)
{
	pthread_t thread;

	start_slow(NULL);
	pthread_create(&thread, NULL, reset_thread, NULL);
	usleep(20000);
	assert_false(__atomic_load_n(&slow.reset_over, __ATOMIC_SEQ_CST));
	__atomic_store_n(&slow.release, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	assert_true(slow.reset_over);
	assert_int_equal(rd(0x060), 0);
	slow.virtio.device.destroy(&slow.virtio.device);
}

/* The VM asks for quiet without waiting for it; when it is there, the loop is woken. */
static void quiet_wakes_the_loop(void **state)
{
	struct vmm_device *device = &slow.virtio.device;
	struct vmm_loop loop;

	assert_int_equal(vmm_loop_init(&loop), 0);
	start_slow(&loop);
	assert_false(device->quiesce(device));
	assert_false(device->quiesce(device));
	__atomic_store_n(&slow.release, true, __ATOMIC_SEQ_CST);
	vmm_loop_once(&loop);
	assert_true(device->quiesce(device));
	assert_true(slow.done);
	device->reset(device);
	device->destroy(device);
	vmm_loop_destroy(&loop);
}

/* ---- Drivers that no machine allows ----------------------------------------------------- */

static void bad_outside(void)
{
	desc(1)->addr = RAM + RAM_LEN - 100;
}

static void bad_far_outside(void)
{
	desc(1)->addr = UINT64_MAX - 100;
}

static void bad_below(void)
{
	desc(0)->addr = RAM - 16;
}

static void bad_loop(void)
{
	desc(1)->next = 0;
}

static void bad_self_loop(void)
{
	desc(2)->flags |= R_NEXT;
	desc(2)->next = 2;
}

static void bad_next(void)
{
	desc(1)->next = NUM;
}

static void bad_next_far(void)
{
	desc(0)->next = 0xffff;
}

static void bad_zero_length(void)
{
	desc(1)->len = 0;
}

static void bad_order(void)
{
	desc(1)->flags |= R_WRITE;
	desc(2)->flags = 0;
}

static void bad_short_header(void)
{
	desc(0)->len = 15;
	desc(0)->next = 2;
}

static void bad_no_status(void)
{
	desc(1)->flags = 0;
}

static void bad_indirect_off(void)
{
	set_desc(0, INDIRECT, 48, R_INDIRECT, 0);
}

static const struct {
	const char *name;
	void (*spoil)(void);
	const char *text;
} bad_chains[] = {
	{"outside memory", bad_outside, "outside memory"},
	{"far outside memory", bad_far_outside, "outside memory"},
	{"below memory", bad_below, "outside memory"},
	{"loop", bad_loop, NULL},
	{"loop of one", bad_self_loop, NULL},
	{"next outside the table", bad_next, "index outside"},
	{"next far outside the table", bad_next_far, "index outside"},
	{"length 0", bad_zero_length, "length 0"},
	{"readable after writable", bad_order, "readable descriptor after"},
	{"short header", bad_short_header, "shorter than its header"},
	{"no status", bad_no_status, "without room for its status"},
	{"indirect not negotiated", bad_indirect_off, "indirect"},
};

/*
 * One message, NEEDS_RESET, a configuration interrupt; nothing more until a reset, then all is
 * well.
 */
static void expect_broken(const char *text)
{
	const char *said;

	assert_int_equal(wait_interrupt() & 2, 2);
	assert_int_equal(rd(0x070) & NEEDS_RESET, NEEDS_RESET);
	submit(0);
	usleep(2000);
	said = capture_end();
	assert_int_equal(count_lines(said), 1);
	assert_non_null(strstr(said, "disk0: stopped until the guest resets it: "));
	if (text)
		assert_non_null(strstr(said, text));
	start_driver(F_INDIRECT);
	assert_int_equal(rd(0x070), DRIVER_OK);
	request(0, 7, 512, true);
	assert_int_equal(run_request(), 0);
	assert_int_equal(*(uint8_t *)at(DATA), 7);
}

/* A device that has told nothing yet. */
static void fresh_driver(uint32_t features)
{
	teardown(NULL);
	assert_int_equal(make(false), 0);
	start_driver(features);
}

static void malicious_chains(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_chains); i++) {
		print_message("    %s\n", bad_chains[i].name);
		fresh_driver(0);
		request(0, 0, 512, true);
		bad_chains[i].spoil();
		capture_begin();
		submit(0);
		expect_broken(bad_chains[i].text);
	}
}

static void malicious_heads(void **state)
{
	fresh_driver(0);
	capture_begin();
	submit(NUM);
	expect_broken("index outside");
	fresh_driver(0);
	capture_begin();
	/* More than there are entries. The device's thread may be reading it. */
	__atomic_store_n(avail(1), NUM + 1, __ATOMIC_RELEASE);
	wr(0x050, 0);
	expect_broken("more requests");
}

static void malicious_indirect(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
	} table[] = {
		{INDIRECT, 0, R_INDIRECT},            /* no table */
		{INDIRECT, 17, R_INDIRECT},           /* half a descriptor */
		{RAM + RAM_LEN - 16, 48, R_INDIRECT}, /* reaches out of memory */
		{INDIRECT, 48, R_INDIRECT | R_NEXT},  /* goes on */
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		fresh_driver(F_INDIRECT);
		set_desc(0, table[i].addr, table[i].len, table[i].flags, 1);
		capture_begin();
		submit(0);
		expect_broken("indirect");
	}
	/* a table within a table, and a loop within one */
	fresh_driver(F_INDIRECT);
	*(struct vdesc *)at(INDIRECT) = (struct vdesc){INDIRECT, 16, R_INDIRECT, 0};
	set_desc(0, INDIRECT, 16, R_INDIRECT, 0);
	capture_begin();
	submit(0);
	expect_broken("indirect");
	fresh_driver(F_INDIRECT);
	*(struct vdesc *)at(INDIRECT) = (struct vdesc){DATA, 16, R_NEXT, 0};
	set_desc(0, INDIRECT, 16, R_INDIRECT, 0);
	capture_begin();
	submit(0);
	expect_broken("loop");
}

/* A table larger than the queue's longest chain. */
static void malicious_long_chain(void **state)
{
	struct vdesc *table;

	fresh_driver(F_INDIRECT);
	table = at(INDIRECT);
	for (unsigned int i = 0; i < 300; i++)
		table[i] = (struct vdesc){DATA, 16, R_NEXT, (uint16_t)(i + 1)};
	set_desc(0, INDIRECT, 300 * sizeof(*table), R_INDIRECT, 0);
	capture_begin();
	submit(0);
	expect_broken("longer than the queue");
}

static void malicious_queues(void **state)
{
	static const struct {
		uint32_t num;
		uint64_t desc, avail, used;
	} table[] = {
		{0, DESC, AVAIL, USED},
		{3, DESC, AVAIL, USED},
		{512, DESC, AVAIL, USED},
		{0xffffffff, DESC, AVAIL, USED},
		{8, RAM - 16, AVAIL, USED},
		{8, DESC, RAM + RAM_LEN - 4, USED},
		{8, DESC, AVAIL, 0},
		{8, DESC + 8, AVAIL, USED},
		{8, DESC, AVAIL + 1, USED},
		{8, DESC, AVAIL, USED + 2},
		{8, UINT64_MAX - 15, AVAIL, USED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *said;

		teardown(NULL);
		assert_int_equal(make(false), 0);
		wr(0x070, 3);
		set_features(0);
		wr(0x070, 11);
		capture_begin();
		start_queue(table[i].num, table[i].desc, table[i].avail, table[i].used);
		wr(0x070, DRIVER_OK);
		wr(0x050, 0);
		said = capture_end();
		assert_int_equal(count_lines(said), 1);
		assert_non_null(strstr(said, "told once"));
		assert_int_equal(rd(0x044), 0);
		assert_int_equal(rd(0x070) & NEEDS_RESET, NEEDS_RESET);
	}
}

/* Registers with nothing behind them: a driver that forgot everything does no harm. */
static void notify_without_queue(void **state)
{
	wr(0x050, 0);
	wr(0x070, DRIVER_OK);
	wr(0x050, 0);
	wr(0x050, 7);
	usleep(1000);
	assert_int_equal(rd(0x060), 0);
	start_driver(0);
	assert_int_equal((request(0, 0, 512, true), run_request()), 0);
}

/* Garbage in all of the rings, many times: stops or not, but never harms. */
static void garbage(void **state)
{
	unsigned int seed = 12345;

	capture_begin();
	for (unsigned int round = 0; round < 300; round++) {
		uint8_t *p;

		start_driver(F_INDIRECT | (round & 1 ? F_EVENT_IDX : 0));
		p = at(DESC);
		for (unsigned int i = 0; i < NUM * 16; i++)
			p[i] = rand_r(&seed) % 4 ? (uint8_t)rand_r(&seed) : 0;
		for (unsigned int i = 0; i < NUM; i++) {
			desc(i)->addr = RAM + rand_r(&seed) % (RAM_LEN + 0x1000);
			desc(i)->len %= 0x2000;
			desc(i)->next %= NUM + 1;
			*avail(2 + i) = (uint16_t)(rand_r(&seed) % (NUM + 1));
		}
		/* The device may look before it is told to. */
		__atomic_store_n(avail(1), (uint16_t)(rand_r(&seed) % (NUM + 2)), __ATOMIC_RELEASE);
		wr(0x050, 0);
		wr(0x070, 0); /* waits for what is in the works */
		memset(at(RAM + 0x1000), 0, 0x3000);
	}
	assert_true(count_lines(capture_end()) <= VIRTIO_MAX_TOLD);
	start_driver(0);
	assert_int_equal((request(0, 9, 512, true), run_request()), 0);
}

/* A guest that breaks the rules and resets the device for ever fills no log. */
static void broken_in_a_loop(void **state)
{
	const char *said;

	capture_begin();
	for (unsigned int i = 0; i < 200; i++) {
		start_driver(0);
		request(0, 0, 512, true);
		if (i % 2)
			bad_zero_length();
		else
			bad_outside();
		submit(0);
		assert_int_equal(wait_interrupt() & 2, 2);
		if (i % 3 == 0)
			f.dev->reset(f.dev);
	}
	said = capture_end();
	assert_int_equal(count_lines(said), 2);
	assert_non_null(strstr(said, "outside memory"));
	assert_non_null(strstr(said, "length 0"));
}

/* A host whose disk is full says so, once; the guest hears of it each time. */
static void full_host(void **state)
{
	const struct vmm_disk disk = {.fd = open("/dev/full", O_RDWR), .sectors = SECTORS};
	const char *said;

	assert_true(disk.fd >= 0);
	f.dev->destroy(f.dev);
	f.bus.nr = 0;
	assert_int_equal(
		vmm_virtio_blk_create(0, BASE, &f.line.line, &f.mem, &disk, &f.bus, &f.dev), 0);
	start_driver(F_FLUSH);
	capture_begin();
	for (unsigned int i = 0; i < 20; i++) {
		request(1, i % SECTORS, 512, false);
		assert_int_equal(run_request(), 1);
	}
	said = capture_end();
	assert_int_equal(count_lines(said), 1);
	assert_non_null(strstr(said, "disk0: the host cannot write the image: No space left"));
}

/* An image that somebody cuts while the guest has it. */
static void cut_image(void **state)
{
	const char *said;

	start_driver(F_FLUSH);
	assert_int_equal(truncate(f.path, 512), 0);
	capture_begin();
	for (unsigned int i = 0; i < 20; i++) {
		request(0, 3, 512, true);
		assert_int_equal(run_request(), 1);
	}
	said = capture_end();
	assert_int_equal(count_lines(said), 1);
	assert_non_null(
		strstr(said, "disk0: the host cannot read the image: it has become shorter"));
}

static void images_that_are_none(void **state)
{
	static const char bytes[100];
	char *path = make_file(bytes, sizeof(bytes));
	struct vmm_disk disk, second;
	const char *said;

	capture_begin();
	assert_int_equal(vmm_disk_open(&disk, "/nonexistent/disk", false), -2);
	said = capture_end();
	assert_string_equal(said,
			    "armature: disk '/nonexistent/disk': No such file or directory\n");
	capture_begin();
	assert_true(vmm_disk_open(&disk, path, false) < 0);
	assert_non_null(strstr(capture_end(), "shorter than one sector"));
	capture_begin();
	assert_true(vmm_disk_open(&disk, "/dev/null", false) < 0);
	assert_non_null(strstr(capture_end(), "neither a file nor a block device"));
	assert_int_equal(truncate(path, 1000), 0);
	capture_begin();
	assert_int_equal(vmm_disk_open(&disk, path, false), 0);
	assert_int_equal(disk.sectors, 1);
	assert_non_null(strstr(capture_end(), "left out"));
	capture_begin();
	assert_true(vmm_disk_open(&second, path, false) < 0); /* a second writer */
	assert_true(vmm_disk_open(&second, path, true) < 0);
	assert_non_null(strstr(capture_end(), "in use"));
	close(disk.fd);
	capture_begin();
	assert_int_equal(vmm_disk_open(&disk, path, true), 0);
	assert_int_equal(vmm_disk_open(&second, path, true), 0); /* two readers */
	capture_end();
	close(disk.fd);
	close(second.fd);
	drop_file(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers),
		TEST(features_are_negotiated),
		TEST(reads_and_writes),
		TEST(requests_that_fail),
		TEST(tells_its_serial),
		cmocka_unit_test_setup_teardown(read_only_refuses_writes, setup_ro, teardown),
		TEST(any_layout),
		TEST(indirect_tables),
		TEST(interrupts_can_be_off),
		TEST(event_index),
		TEST(indices_wrap),
		TEST(reset_forgets),
		TEST(reset_waits_for_the_request),
		TEST(quiet_wakes_the_loop),
		TEST(malicious_chains),
		TEST(malicious_heads),
		TEST(malicious_indirect),
		TEST(malicious_long_chain),
		TEST(malicious_queues),
		TEST(notify_without_queue),
		TEST(garbage),
		TEST(broken_in_a_loop),
		TEST(full_host),
		TEST(cut_image),
		cmocka_unit_test(images_that_are_none),
	};

	return cmocka_run_group_tests_name("virtio", tests, NULL, NULL);
}
