/* SPDX-License-Identifier: MIT */
/*
 * Read-modify-write of guest memory: LSE atomics, compare-and-swap, store exclusive. All are host
 * atomics, under the exclusive monitor (cpu/monitor.h).
 *
 * What must hold: everything here acquires and releases on the host, whatever order the instruction
 * asks for.
 */
#include "cpu/access.h"
#include "cpu/access_place.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/host_rmw.h"
#include "cpu/mmu.h"
#include "cpu/monitor.h"

static uint64_t truncate(uint64_t v, unsigned int size_log2)
{
	return size_log2 < 3 ? v & (BIT64(8u << size_log2) - 1) : v;
}

/*
 * If @expect is at @host, store @value; else *expect becomes what is there: *done says which.
 * False: the host has nothing there.
 */
static bool host_cas(uint8_t *host, unsigned int size_log2, uint64_t *expect, uint64_t value,
		     bool *done)
{
#define CAS(bits)                                                                \
	({                                                                       \
		uint##bits##_t e = (uint##bits##_t) * expect;                    \
		bool ok = host_cas##bits(host, &e, (uint##bits##_t)value, done); \
		*expect = e;                                                     \
		ok;                                                              \
	})
	switch (size_log2) {
	case 0:
		return CAS(8);
	case 1:
		return CAS(16);
	case 2:
		return CAS(32);
	default:
		return CAS(64);
	}
#undef CAS
}

/*
 * The memory image of one element or a pair, as one or two host words: elements in memory order,
 * each in the guest's byte order. And back.
 */
static void to_image(const struct mem_desc *d, const uint64_t v[2], uint64_t image[2])
{
	unsigned int bits = 8u << d->size_log2;
	uint64_t e[2] = {0, 0};

	if (!d->pair && !d->be) {
		image[0] = truncate(v[0], d->size_log2);
		return;
	}
	for (unsigned int i = 0; i <= d->pair; i++) {
		e[i] = truncate(v[i], d->size_log2);
		if (d->be)
			e[i] = swap(e[i], d->size_log2);
	}
	image[0] = bits < 64 ? e[0] | e[1] << bits : e[0];
	image[1] = e[1];
}

static void from_image(const struct mem_desc *d, const uint64_t image[2], uint64_t v[2])
{
	unsigned int bits = 8u << d->size_log2;

	v[0] = truncate(image[0], d->size_log2);
	v[1] = 0;
	if (d->pair)
		v[1] = bits < 64 ? truncate(image[0] >> bits, d->size_log2) : image[1];
	for (unsigned int i = 0; d->be && i <= d->pair; i++)
		v[i] = swap(v[i], d->size_log2);
}

static bool image_cas(uint8_t *host, const struct mem_desc *d, uint64_t expect[2],
		      const uint64_t value[2], bool *done)
{
	if (d->size_log2 == 3 && d->pair)
		return host_cas128(host, expect, value, done);
	return host_cas(host, d->size_log2 + d->pair, &expect[0], value[0], done);
}

/* Alignment, translation for writing, and no MMIO: what every atomic starts with. */
static int place_atomic(struct cpu *cpu, uint64_t va, const struct mem_desc *d, struct place *p)
{
	struct place_req q = {.write = true, .unpriv = d->unpriv, .atomic = d->atomic};
	int err = access_check_align(cpu, va, d, true);

	if (err)
		return err;
	if (!d->atomic)
		q.iss = ISS_WNR;
	err = access_place(cpu, va, &q, p);
	if (!err)
		err = access_watch(cpu, va, (1ull << d->size_log2) << d->pair, d, true);
	if (!err && !p->host)
		err = access_no_syndrome(cpu, va, p->pa, true);
	return err;
}

int access_store_excl(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t in[2],
		      uint32_t *status)
{
	uint64_t total = (1ull << d->size_log2) << d->pair;
	uint64_t expect[2], value[2];
	struct monitor_hold hold;
	bool there, done = false;
	struct place p;
	int err = access_check_align(cpu, va, d, true);

	if (err)
		return err;
	if (cpu->excl_size != total || cpu->excl_addr != mmu_canonical(cpu, va)) {
		cpu->excl_size = 0;
		*status = 1;
		return CPU_EXIT_NONE;
	}
	err = place_atomic(cpu, va, d, &p);
	if (err)
		return err;
	to_image(d, cpu->excl_val, expect);
	to_image(d, in, value);
	if (monitor_claim(cpu, p.host, &hold)) {
		there = image_cas(p.host, d, expect, value, &done);
		monitor_release(&hold, there && done);
		if (!there)
			return access_gone(cpu);
	}
	*status = !done;
	cpu->excl_size = 0;
	return CPU_EXIT_NONE;
}

int access_cas(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t expect[2],
	       const uint64_t value[2], uint64_t old[2])
{
	uint64_t e[2], v[2];
	struct monitor_hold hold;
	bool there, done = false;
	struct place p;
	int err = place_atomic(cpu, va, d, &p);

	if (!err)
		err = monitor_hold(cpu, p.host, &hold);
	if (err)
		return err;
	to_image(d, expect, e);
	to_image(d, value, v);
	there = image_cas(p.host, d, e, v, &done);
	monitor_release(&hold, there && done);
	if (!there)
		return access_gone(cpu);
	from_image(d, e, old);
	return CPU_EXIT_NONE;
}

/* Big-endian: on the bytes as they are in memory, reversed. */
static bool reversed_rmw(uint8_t *host, unsigned int size_log2, enum mem_rmw op, uint64_t value,
			 uint64_t *old)
{
	uint64_t image = 0, now;
	bool done;

	do {
		*old = swap(image, size_log2);
		now = truncate(rmw_result(op, *old, value, size_log2), size_log2);
		if (!host_cas(host, size_log2, &image, swap(now, size_log2), &done))
			return false;
	} while (!done);
	return true;
}

static bool any_rmw(uint8_t *host, const struct mem_desc *d, enum mem_rmw op, uint64_t value,
		    uint64_t *old)
{
#define RMW(bits)                                                                \
	({                                                                       \
		uint##bits##_t was = 0;                                          \
		bool ok = host_rmw##bits(host, op, (uint##bits##_t)value, &was); \
		*old = was;                                                      \
		ok;                                                              \
	})
	if (d->be)
		return reversed_rmw(host, d->size_log2, op, value, old);
	switch (d->size_log2) {
	case 0:
		return RMW(8);
	case 1:
		return RMW(16);
	case 2:
		return RMW(32);
	default:
		return RMW(64);
	}
#undef RMW
}

int access_rmw(struct cpu *cpu, uint64_t va, const struct mem_desc *d, enum mem_rmw op,
	       uint64_t value, uint64_t *old)
{
	struct monitor_hold hold;
	struct place p;
	bool there;
	int err = place_atomic(cpu, va, d, &p);

	if (!err)
		err = monitor_hold(cpu, p.host, &hold);
	if (err)
		return err;
	there = any_rmw(p.host, d, op, value, old);
	monitor_release(&hold, there);
	return there ? CPU_EXIT_NONE : access_gone(cpu);
}
