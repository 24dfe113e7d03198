/* SPDX-License-Identifier: MIT */
/* The clock: time, setting it, the alarm. Reference: DDI 0224C. */
#include "support.h"
#include "vmm/pl031.h"

#include <string.h>
#include <time.h>

#define BASE 0x9010000u
#define DR   (BASE + 0x00)
#define MR   (BASE + 0x04)
#define LR   (BASE + 0x08)
#define CR   (BASE + 0x0c)
#define IMSC (BASE + 0x10)
#define RIS  (BASE + 0x14)
#define MIS  (BASE + 0x18)
#define ICR  (BASE + 0x1c)

static struct {
	struct vmm_bus bus;
	struct vmm_loop loop;
	struct vmm_device *rtc;
	struct test_line line;
} f;

static int setup(void **state)
{
	memset(&f, 0, sizeof(f));
	test_line_init(&f.line, 34);
	if (vmm_loop_init(&f.loop))
		return -1;
	return vmm_pl031_create(BASE, &f.line.line, &f.bus, &f.loop, &f.rtc);
}

static int teardown(void **state)
{
	f.rtc->destroy(f.rtc);
	vmm_loop_destroy(&f.loop);
	return 0;
}

static uint32_t rd(uint32_t addr)
{
	return (uint32_t)bus_read(&f.bus, addr, 4);
}

static void wr(uint32_t addr, uint32_t value)
{
	bus_write(&f.bus, addr, 4, value);
}

static void tells_the_time(void **state)
{
	const uint32_t before = (uint32_t)time(NULL);
	const uint32_t got = rd(DR);

	assert_in_range(got, before, before + 2);
	assert_int_equal(rd(CR), 1);
	wr(DR, 5); /* read-only */
	wr(CR, 0);
	assert_in_range(rd(DR), before, before + 2);
	assert_int_equal(rd(CR), 1);
}

static void can_be_set(void **state)
{
	wr(LR, 1000);
	assert_in_range(rd(DR), 1000, 1002);
	assert_int_equal(rd(LR), 1000);
	f.rtc->reset(f.rtc);
	assert_in_range(rd(DR), 1000, 1002); /* there is a battery */
}

static void identification(void **state)
{
	static const uint8_t id[] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(rd(BASE + 0xfe0 + 4 * i), id[i]);
}

static void alarm_rings(void **state)
{
	wr(IMSC, 1);
	wr(MR, rd(DR) + 1);
	assert_int_equal(rd(RIS), 0);
	assert_false(f.line.level);
	vmm_loop_once(&f.loop); /* within a second */
	assert_int_equal(rd(RIS), 1);
	assert_int_equal(rd(MIS), 1);
	assert_true(f.line.level);
	wr(IMSC, 0);
	assert_false(f.line.level);
	assert_int_equal(rd(MIS), 0);
	wr(IMSC, 1);
	wr(ICR, 1);
	assert_int_equal(rd(RIS), 0);
	assert_false(f.line.level);
}

static void alarm_of_now(void **state)
{
	wr(IMSC, 1);
	wr(LR, 77);
	wr(MR, 77);
	assert_true(f.line.level);
	f.rtc->reset(f.rtc);
	assert_false(f.line.level);
	assert_int_equal(rd(MR), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells_the_time, setup, teardown),
		cmocka_unit_test_setup_teardown(can_be_set, setup, teardown),
		cmocka_unit_test_setup_teardown(identification, setup, teardown),
		cmocka_unit_test_setup_teardown(alarm_rings, setup, teardown),
		cmocka_unit_test_setup_teardown(alarm_of_now, setup, teardown),
	};

	return cmocka_run_group_tests_name("pl031", tests, NULL, NULL);
}
