/* SPDX-License-Identifier: MIT */
/* The UART: registers, FIFOs, interrupts, and input that is never lost. Reference: DDI 0183G. */
#include "support.h"
#include "vmm/pl011.h"

#include <string.h>

#define BASE 0x9000000u
#define DR   (BASE + 0x00)
#define RSR  (BASE + 0x04)
#define FR   (BASE + 0x18)
#define IBRD (BASE + 0x24)
#define FBRD (BASE + 0x28)
#define LCRH (BASE + 0x2c)
#define CR   (BASE + 0x30)
#define IFLS (BASE + 0x34)
#define IMSC (BASE + 0x38)
#define RIS  (BASE + 0x3c)
#define MIS  (BASE + 0x40)
#define ICR  (BASE + 0x44)

#define RX 0x10u
#define TX 0x20u
#define RT 0x40u
#define OE 0x400u

struct fixture {
	struct vmm_bus bus;
	struct vmm_device *uart;
	struct test_line line;
	char sent[256];
	size_t nr_sent;
	unsigned int rooms, paces;
};

static struct fixture f;

/* The device's lock is not held: whoever waits here would keep everybody else out. */
static void pace(void *opaque)
{
	f.paces++;
	assert_int_equal(bus_read(&f.bus, FR, 4) & 0x80, 0x80);
}

static void transmit(void *opaque, uint8_t byte)
{
	assert_int_equal(f.paces, f.nr_sent + 1);
	f.sent[f.nr_sent++] = (char)byte;
}

static void room(void *opaque)
{
	f.rooms++;
}

static int setup(void **state)
{
	struct vmm_pl011_config config = {
		.base = BASE, .pace = pace, .transmit = transmit, .room = room};

	memset(&f, 0, sizeof(f));
	test_line_init(&f.line, 33);
	config.line = f.line.line;
	return vmm_pl011_create(&config, &f.bus, &f.uart);
}

static int teardown(void **state)
{
	f.uart->destroy(f.uart);
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

static size_t receive(const char *text)
{
	return vmm_pl011_receive(f.uart, (const uint8_t *)text, strlen(text));
}

/* As Linux's driver leaves it: enabled, FIFOs on, receive interrupts unmasked. */
static void open_port(void)
{
	wr(LCRH, 0x70);
	wr(CR, 0x301);
	wr(IMSC, RX | RT);
}

static void reset_values(void **state)
{
	static const struct {
		uint32_t addr, value;
	} table[] = {{RSR, 0},     {IBRD, 0}, {FBRD, 0}, {LCRH, 0}, {CR, 0x300},
		     {IFLS, 0x12}, {IMSC, 0}, {RIS, 0},  {MIS, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		assert_int_equal(rd(table[i].addr), table[i].value);
	assert_int_equal(rd(FR) & 0x98, 0x90); /* TXFE and RXFE, not BUSY */
	wr(IBRD, 0xfffff);
	wr(CR, 0xffffffff);
	wr(IMSC, 0xffffffff);
	assert_int_equal(rd(IBRD), 0xffff);
	assert_int_equal(rd(CR), 0xff87);
	assert_int_equal(rd(IMSC), 0x7ff);
	f.uart->reset(f.uart);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		assert_int_equal(rd(table[i].addr), table[i].value);
}

static void identification(void **state)
{
	static const uint8_t id[] = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(rd(BASE + 0xfe0 + 4 * i), id[i]);
	assert_int_equal(rd(BASE + 0x800), 0);
}

static void access_sizes(void **state)
{
	wr(IBRD, 0x1234);
	assert_int_equal(bus_read(&f.bus, IBRD, 1), 0x34);
	assert_int_equal(bus_read(&f.bus, IBRD + 1, 1), 0x12);
	assert_int_equal(bus_read(&f.bus, IBRD, 2), 0x1234);
	bus_write(&f.bus, DR, 1, 'x');
	bus_write(&f.bus, DR + 1, 1, 'y'); /* not the register's address */
	assert_int_equal(f.nr_sent, 1);
}

static void transmits(void **state)
{
	wr(DR, 'a'); /* an early console has not enabled anything */
	assert_int_equal(f.sent[0], 'a');
	assert_int_equal(rd(RIS), TX);
	assert_false(f.line.level);
	wr(IMSC, TX);
	assert_true(f.line.level);
	assert_int_equal(rd(MIS), TX);
	wr(ICR, TX);
	assert_false(f.line.level);
	wr(DR, 'b');
	assert_true(f.line.level);
	wr(IMSC, 0);
	assert_false(f.line.level);
	assert_int_equal(rd(RIS), TX);
}

static void receives(void **state)
{
	open_port();
	assert_int_equal(receive("hi"), 2);
	assert_true(f.line.level);
	assert_int_equal(rd(MIS), RT); /* below the trigger: the timeout interrupt */
	assert_int_equal(rd(FR) & 0x10, 0);
	assert_int_equal(rd(DR), 'h');
	assert_true(f.line.level);
	assert_int_equal(rd(DR), 'i');
	assert_false(f.line.level);
	assert_int_equal(rd(FR) & 0x10, 0x10);
	assert_int_equal(rd(DR), 0);
}

static void triggers_by_level(void **state)
{
	static const unsigned int levels[] = {4, 8, 16, 24, 28};
	static const char text[] = "0123456789abcdefghijklmnopqrstuv";

	for (uint32_t sel = 0; sel < ARRAY_SIZE(levels); sel++) {
		f.uart->reset(f.uart);
		open_port();
		wr(IFLS, sel << 3);
		for (unsigned int n = 1; n <= 32; n++) {
			assert_int_equal(
				vmm_pl011_receive(f.uart, (const uint8_t *)&text[n - 1], 1), 1);
			assert_int_equal(rd(RIS) & (RX | RT), n < levels[sel] ? RT : RX | RT);
		}
		for (unsigned int n = 32; n; n--) {
			assert_int_equal(rd(RIS) & RX, n >= levels[sel] ? RX : 0);
			assert_int_equal(rd(DR), text[32 - n]);
		}
		assert_int_equal(rd(RIS), 0);
	}
}

/* What does not fit waits with the host, and is asked for when there is room. */
static void loses_nothing(void **state)
{
	static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";

	assert_int_equal(receive(text), 0); /* not enabled */
	wr(LCRH, 0x70);
	wr(CR, 0x301);
	assert_int_equal(receive(text), 0); /* enabled, but nobody listens: Linux would drop it */
	assert_int_equal(f.rooms, 0);
	wr(IMSC, RX | RT);
	assert_int_equal(f.rooms, 1);
	assert_int_equal(receive(text), 32);
	assert_int_equal(rd(FR) & 0x40, 0x40);
	assert_int_equal(f.rooms, 1);
	assert_int_equal(rd(DR), '0');
	assert_int_equal(f.rooms, 2);
	assert_int_equal(receive(text + 32), 1);
	for (unsigned int i = 1; i < 33; i++)
		assert_int_equal(rd(DR), text[i]);
	assert_int_equal(f.rooms, 3);
}

/*
 * A driver clears its interrupts before it reads, or while the FIFO is full and without reading at
 * all: as long as there is input, it is told so.
 */
static void clearing_loses_no_input(void **state)
{
	static const uint32_t unmasked[] = {RX | RT, RX, RT};
	char text[100];

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ARRAY_SIZE(unmasked); i++) {
		unsigned int got = 0;
		size_t taken;

		f.uart->reset(f.uart);
		open_port();
		wr(IMSC, unmasked[i]);
		taken = vmm_pl011_receive(f.uart, (const uint8_t *)text, sizeof(text));
		assert_int_equal(taken, 32);
		wr(ICR, 0x7ff);
		/* An interrupt handler, for as long as it is called. */
		while (f.line.level) {
			wr(ICR, rd(MIS));
			for (unsigned int n = 0; n < 8 && !(rd(FR) & 0x10); n++, got++)
				assert_int_equal(rd(DR), 'x');
			wr(ICR, 0x7ff);
			taken += vmm_pl011_receive(f.uart, (const uint8_t *)text + taken,
						   sizeof(text) - taken);
		}
		/* With RX alone the last ones stay, as on hardware: they are below the trigger. */
		assert_int_equal(taken, sizeof(text));
		assert_true(unmasked[i] == RX ? got > sizeof(text) - 16 : got == sizeof(text));
		if (unmasked[i] == RT)
			continue;
		assert_int_equal(rd(RIS) & RX, 0);
	}
}

/* A guest without interrupts listens by polling. */
static void hears_a_poller(void **state)
{
	wr(CR, 0x301);
	assert_int_equal(receive("p"), 0);
	for (unsigned int i = 0; i < 100 && !f.rooms; i++)
		rd(FR);
	assert_int_equal(f.rooms, 1);
	assert_int_equal(receive("pq"), 1); /* FIFOs off: one holding register */
	assert_int_equal(rd(FR) & 0x50, 0x40);
	assert_int_equal(rd(DR), 'p');
}

/* A console that sends looks at UARTFR too, but for each byte only a few times. */
static void sender_is_no_poller(void **state)
{
	wr(CR, 0x301);
	for (unsigned int i = 0; i < 100; i++) {
		rd(FR);
		wr(DR, 'x');
		rd(FR);
	}
	assert_int_equal(receive("p"), 0);
}

static void loops_back(void **state)
{
	wr(LCRH, 0x70);
	wr(CR, 0x381);
	wr(DR, 'l');
	assert_int_equal(f.nr_sent, 0);
	assert_int_equal(rd(DR), 'l');
	for (unsigned int i = 0; i < 33; i++)
		wr(DR, i);
	assert_int_equal(rd(RIS) & OE, OE);
	assert_int_equal(rd(DR), 0x800); /* the first after it says so */
	assert_int_equal(rd(RSR), 8);
	wr(RSR, 0);
	assert_int_equal(rd(RSR), 0);
	assert_int_equal(rd(DR), 1);
	wr(ICR, OE);
	assert_int_equal(rd(RIS) & OE, 0);
}

static void switching_fifos_empties_them(void **state)
{
	open_port();
	receive("abc");
	wr(LCRH, 0x60);
	assert_int_equal(rd(FR) & 0x10, 0x10);
	assert_false(f.line.level);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reset_values, setup, teardown),
		cmocka_unit_test_setup_teardown(identification, setup, teardown),
		cmocka_unit_test_setup_teardown(access_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(transmits, setup, teardown),
		cmocka_unit_test_setup_teardown(receives, setup, teardown),
		cmocka_unit_test_setup_teardown(triggers_by_level, setup, teardown),
		cmocka_unit_test_setup_teardown(loses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(clearing_loses_no_input, setup, teardown),
		cmocka_unit_test_setup_teardown(hears_a_poller, setup, teardown),
		cmocka_unit_test_setup_teardown(sender_is_no_poller, setup, teardown),
		cmocka_unit_test_setup_teardown(loops_back, setup, teardown),
		cmocka_unit_test_setup_teardown(switching_fifos_empties_them, setup, teardown),
	};

	return cmocka_run_group_tests_name("pl011", tests, NULL, NULL);
}
