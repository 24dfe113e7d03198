/* SPDX-License-Identifier: MIT */
/*
 * PL011: the UART, revision r1p5 (FIFOs of 32).
 *
 * Time does not pass on the line: a byte written to UARTDR is gone at once, so the transmit FIFO is
 * always empty, and its interrupt rises with each byte sent. A host that takes no more bytes is not
 * shown by UARTFR.TXFF, since many a small guest never looks, and its bytes would be lost; instead
 * the vCPU that writes one waits, before the device's lock is taken. To the guest that is a slow
 * access, as on QEMU and kvmtool.
 *
 * What is received waits on the host's side until the guest listens, because Linux's driver throws
 * away what is in the FIFO when it opens the port, and piped input would lose its beginning there.
 * A guest listens when it has unmasked a receive interrupt, or polls UARTFR again and again.
 *
 * Invariant: after each call the line's level is (UARTRIS & UARTIMSC) != 0, and RT is set in
 * UARTRIS if and only if something is in the receive FIFO.
 */
#include "vmm/pl011.h"
#include "vmm/fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PL011_SIZE 0x1000

/* DDI 0183G, table 3-1. */
enum pl011_reg {
	UARTDR = 0x000,
	UARTRSR = 0x004,
	UARTFR = 0x018,
	UARTILPR = 0x020,
	UARTIBRD = 0x024,
	UARTFBRD = 0x028,
	UARTLCR_H = 0x02c,
	UARTCR = 0x030,
	UARTIFLS = 0x034,
	UARTIMSC = 0x038,
	UARTRIS = 0x03c,
	UARTMIS = 0x040,
	UARTICR = 0x044,
	UARTDMACR = 0x048,
	UART_ID = 0xfe0, /* UARTPeriphID0-3, UARTPCellID0-3 */
};

#define DR_OE  (1u << 11)
#define RSR_OE (1u << 3)

#define FR_CTS  (1u << 0)
#define FR_DSR  (1u << 1)
#define FR_DCD  (1u << 2)
#define FR_RXFE (1u << 4)
#define FR_RXFF (1u << 6)
#define FR_TXFE (1u << 7)

#define LCR_H_FEN (1u << 4)

#define CR_UARTEN (1u << 0)
#define CR_LBE    (1u << 7)
#define CR_TXE    (1u << 8)
#define CR_RXE    (1u << 9)
#define CR_MASK   0xff87u

#define INT_RX   (1u << 4)
#define INT_TX   (1u << 5)
#define INT_RT   (1u << 6)
#define INT_OE   (1u << 10)
#define INT_MASK 0x7ffu

#define IFLS_RESET        0x12u
#define IFLS_RX_SHIFT     3
#define FIFO_DEPTH        32
#define POLLS_THAT_LISTEN 16

static const uint8_t pl011_id[] = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

/* UARTIFLS.RXIFLSEL, in FIFO entries; the values above 4 are reserved. */
static const uint8_t rx_trigger[8] = {
	FIFO_DEPTH / 8,     FIFO_DEPTH / 4,     FIFO_DEPTH / 2,     FIFO_DEPTH * 3 / 4,
	FIFO_DEPTH * 7 / 8, FIFO_DEPTH * 7 / 8, FIFO_DEPTH * 7 / 8, FIFO_DEPTH * 7 / 8,
};

struct pl011 {
	struct vmm_device device;
	struct vmm_pl011_config config;
	pthread_mutex_t lock; /* of all below */
	uint32_t ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr, rsr;
	uint8_t fifo[FIFO_DEPTH];
	unsigned int head, count;
	unsigned int polls; /* reads of UARTFR in a row that showed nothing received */
	bool overrun;       /* the next byte read carries DR_OE */
	bool waiting;       /* receive() refused some */
	bool level;
};

static unsigned int fifo_depth(const struct pl011 *uart)
{
	return uart->lcr_h & LCR_H_FEN ? FIFO_DEPTH : 1;
}

static unsigned int rx_level(const struct pl011 *uart)
{
	return uart->lcr_h & LCR_H_FEN ? rx_trigger[uart->ifls >> IFLS_RX_SHIFT & 7] : 1;
}

static bool receiver_on(const struct pl011 *uart)
{
	return (uart->cr & (CR_UARTEN | CR_RXE)) == (CR_UARTEN | CR_RXE);
}

static bool listening(const struct pl011 *uart)
{
	return receiver_on(uart) && !(uart->cr & CR_LBE) &&
	       ((uart->imsc & (INT_RX | INT_RT)) || uart->polls >= POLLS_THAT_LISTEN);
}

static bool has_room(const struct pl011 *uart)
{
	return listening(uart) && uart->count < fifo_depth(uart);
}

/* Ends each entry point: drives the line, and asks for input that had to wait. */
static void pl011_update(struct pl011 *uart)
{
	const bool level = uart->ris & uart->imsc;

	if (level != uart->level) {
		uart->level = level;
		vmm_line_set(&uart->config.line, level);
	}
	if (uart->waiting && has_room(uart)) {
		uart->waiting = false;
		uart->config.room(uart->config.opaque);
	}
}

/*
 * RX is up from the trigger level; RT while anything waits and nothing more comes for a while,
 * which on this line is at once (DDI 0183G, 2.8). Both follow the FIFO and nothing else: were RX
 * the passing of the level, as on hardware, a driver that clears it in UARTICR while the FIFO is
 * full would wait for ever, since what is yet to come waits for room.
 */
static void rx_interrupts(struct pl011 *uart)
{
	uart->ris &= ~(INT_RX | INT_RT);
	if (uart->count >= rx_level(uart))
		uart->ris |= INT_RX;
	if (uart->count)
		uart->ris |= INT_RT;
}

static void rx_push(struct pl011 *uart, uint8_t byte)
{
	if (uart->count == fifo_depth(uart)) {
		uart->overrun = true;
		uart->ris |= INT_OE;
		return;
	}
	uart->fifo[(uart->head + uart->count++) % FIFO_DEPTH] = byte;
	rx_interrupts(uart);
}

static uint32_t read_dr(struct pl011 *uart)
{
	uint32_t value;

	uart->polls = 0;
	if (!uart->count)
		return 0;
	value = uart->fifo[uart->head];
	uart->head = (uart->head + 1) % FIFO_DEPTH;
	uart->count--;
	uart->rsr = 0;
	if (uart->overrun) {
		uart->overrun = false;
		value |= DR_OE;
		uart->rsr = RSR_OE;
	}
	rx_interrupts(uart);
	return value;
}

static void write_dr(struct pl011 *uart, uint8_t byte)
{
	uart->polls = 0;
	if (uart->cr & CR_LBE) {
		if (receiver_on(uart))
			rx_push(uart, byte);
	} else {
		/* Early consoles send without enabling; firmware would have done it for them. */
		uart->config.transmit(uart->config.opaque, byte);
	}
	uart->ris |= INT_TX;
}

static uint32_t read_fr(struct pl011 *uart)
{
	uint32_t value = FR_CTS | FR_DSR | FR_DCD | FR_TXFE;

	if (!uart->count) {
		value |= FR_RXFE;
		if (uart->polls < POLLS_THAT_LISTEN)
			uart->polls++;
	}
	if (uart->count == fifo_depth(uart))
		value |= FR_RXFF;
	return value;
}

/* The registers that are only kept, by offset / 4: their bits (0: not kept), and where they are. */
static const struct {
	uint32_t mask;
	uint32_t field;
} kept[] = {
	[UARTILPR / 4] = {0xff, offsetof(struct pl011, ilpr)},
	[UARTIBRD / 4] = {0xffff, offsetof(struct pl011, ibrd)},
	[UARTFBRD / 4] = {0x3f, offsetof(struct pl011, fbrd)},
	[UARTCR / 4] = {CR_MASK, offsetof(struct pl011, cr)},
	[UARTIFLS / 4] = {0x3f, offsetof(struct pl011, ifls)},
	[UARTIMSC / 4] = {INT_MASK, offsetof(struct pl011, imsc)},
	[UARTDMACR / 4] = {0x7, offsetof(struct pl011, dmacr)},
	[UARTLCR_H / 4] = {0xff, offsetof(struct pl011, lcr_h)},
};

/* @offset: a multiple of 4 */
static uint32_t *kept_register(struct pl011 *uart, uint64_t offset, uint32_t *mask)
{
	if (offset / 4 >= sizeof(kept) / sizeof(kept[0]) || !kept[offset / 4].mask)
		return NULL;
	*mask = kept[offset / 4].mask;
	return (uint32_t *)((char *)uart + kept[offset / 4].field);
}

static uint32_t read_register(struct pl011 *uart, uint64_t offset)
{
	uint32_t mask;
	const uint32_t *reg = kept_register(uart, offset, &mask);

	if (reg)
		return *reg;
	if (offset >= UART_ID && offset < UART_ID + 4 * sizeof(pl011_id))
		return pl011_id[(offset - UART_ID) / 4];
	switch (offset) {
	case UARTDR:
		return read_dr(uart);
	case UARTRSR:
		return uart->rsr;
	case UARTFR:
		return read_fr(uart);
	case UARTRIS:
		return uart->ris;
	case UARTMIS:
		return uart->ris & uart->imsc;
	default:
		return 0;
	}
}

static void write_register(struct pl011 *uart, uint64_t offset, uint32_t value)
{
	const uint32_t lcr_h = uart->lcr_h;
	uint32_t mask;
	uint32_t *reg = kept_register(uart, offset, &mask);

	if (reg) {
		*reg = value & mask;
		if ((lcr_h ^ uart->lcr_h) & LCR_H_FEN)
			uart->count = uart->head = 0; /* switching the FIFOs empties them */
		if (offset == UARTLCR_H || offset == UARTIFLS)
			rx_interrupts(uart);
		return;
	}
	switch (offset) {
	case UARTDR:
		write_dr(uart, (uint8_t)value);
		break;
	case UARTRSR: /* as UARTECR: any value clears the errors */
		uart->rsr = 0;
		break;
	case UARTICR:
		uart->ris &= ~(value & INT_MASK);
		rx_interrupts(uart);
		break;
	}
}

/* Narrow reads give the bytes that they ask for; the registers are 32 bits wide. */
static uint64_t pl011_read(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size)
{
	struct pl011 *uart = opaque;
	uint64_t value;

	pthread_mutex_lock(&uart->lock);
	value = read_register(uart, offset & ~3ull) >> 8 * (offset & 3);
	pl011_update(uart);
	pthread_mutex_unlock(&uart->lock);
	return size < 4 ? value & ((1ull << 8 * size) - 1) : value;
}

static void pl011_write(void *opaque, unsigned int cpu, uint64_t offset, unsigned int size,
			uint64_t value)
{
	struct pl011 *uart = opaque;

	if (offset & 3)
		return;
	if (offset == UARTDR && uart->config.pace)
		uart->config.pace(uart->config.opaque);
	pthread_mutex_lock(&uart->lock);
	write_register(uart, offset, (uint32_t)value);
	pl011_update(uart);
	pthread_mutex_unlock(&uart->lock);
}

size_t vmm_pl011_receive(struct vmm_device *device, const uint8_t *bytes, size_t len)
{
	struct pl011 *uart = vmm_container_of(device, struct pl011, device);
	size_t taken = 0;

	pthread_mutex_lock(&uart->lock);
	while (taken < len && has_room(uart))
		rx_push(uart, bytes[taken++]);
	uart->waiting = taken < len;
	pl011_update(uart);
	pthread_mutex_unlock(&uart->lock);
	return taken;
}

static void pl011_reset(struct vmm_device *device)
{
	struct pl011 *uart = vmm_container_of(device, struct pl011, device);

	pthread_mutex_lock(&uart->lock);
	uart->ilpr = uart->ibrd = uart->fbrd = uart->lcr_h = 0;
	uart->imsc = uart->ris = uart->dmacr = uart->rsr = 0;
	uart->cr = CR_TXE | CR_RXE;
	uart->ifls = IFLS_RESET;
	uart->head = uart->count = uart->polls = 0;
	uart->overrun = false;
	pl011_update(uart);
	pthread_mutex_unlock(&uart->lock);
}

static int pl011_fdt(const struct vmm_device *device, void *fdt)
{
	const struct pl011 *uart = vmm_container_of(device, struct pl011, device);
	static const char compatible[] = "arm,pl011\0arm,primecell";
	static const char clocks[] = "uartclk\0apb_pclk";

	VMM_FDT_TRY(vmm_fdt_begin(fdt, "pl011", uart->config.base, PL011_SIZE));
	VMM_FDT_TRY(fdt_property(fdt, "compatible", compatible, sizeof(compatible)));
	VMM_FDT_TRY(vmm_fdt_spi(fdt, uart->config.line.intid));
	VMM_FDT_TRY(VMM_FDT_CELLS(fdt, "clocks", VMM_PHANDLE_CLOCK, VMM_PHANDLE_CLOCK));
	VMM_FDT_TRY(fdt_property(fdt, "clock-names", clocks, sizeof(clocks)));
	return fdt_end_node(fdt);
}

static void pl011_destroy(struct vmm_device *device)
{
	struct pl011 *uart = vmm_container_of(device, struct pl011, device);

	pthread_mutex_destroy(&uart->lock);
	free(uart);
}

int vmm_pl011_create(const struct vmm_pl011_config *config, struct vmm_bus *bus,
		     struct vmm_device **device)
{
	struct pl011 *uart = calloc(1, sizeof(*uart));
	int err;

	if (!uart)
		return -ENOMEM;
	uart->config = *config;
	uart->device.name = "pl011";
	uart->device.reset = pl011_reset;
	uart->device.fdt = pl011_fdt;
	uart->device.destroy = pl011_destroy;
	pthread_mutex_init(&uart->lock, NULL);
	pl011_reset(&uart->device);
	err = vmm_bus_map(bus, &(struct vmm_region){.name = uart->device.name,
						    .base = config->base,
						    .size = PL011_SIZE,
						    .opaque = uart,
						    .read = pl011_read,
						    .write = pl011_write});
	if (err) {
		pl011_destroy(&uart->device);
		return err;
	}
	*device = &uart->device;
	return 0;
}
