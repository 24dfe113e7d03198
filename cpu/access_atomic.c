/* SPDX-License-Identifier: MIT */
/*
 * Read-modify-write of guest memory: LSE atomics, compare-and-swap, store exclusive. All are host
 * atomics.
 *
 * What must hold: everything here is sequentially consistent on the host, whatever order the
 * instruction asks for.
 */
#include <string.h>

#include "cpu/access.h"
#include "cpu/access_place.h"
#include "cpu/arch.h"
#include "cpu/cpu.h"
#include "cpu/mmu.h"

static uint64_t swap(uint64_t v, unsigned int size_log2)
{
	return __builtin_bswap64(v) >> (64 - (8u << size_log2));
}

static uint64_t truncate(uint64_t v, unsigned int size_log2)
{
	return size_log2 < 3 ? v & (BIT64(8u << size_log2) - 1) : v;
}

/* If *host == *expect, store @value; else *expect becomes what is there. */
static bool host_cas(uint8_t *host, unsigned int size_log2, uint64_t *expect, uint64_t value)
{
#define CAS(type)                                                                           \
	({                                                                                  \
		type e = (type)*expect;                                                     \
		bool ok = __atomic_compare_exchange_n((type *)host, &e, (type)value, false, \
						      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
		*expect = e;                                                                \
		ok;                                                                         \
	})
	switch (size_log2) {
	case 0:
		return CAS(uint8_t);
	case 1:
		return CAS(uint16_t);
	case 2:
		return CAS(uint32_t);
	default:
		return CAS(uint64_t);
	}
#undef CAS
}

/* The same for 16 bytes, aligned. */
static bool host_cas128(uint8_t *host, uint64_t expect[2], const uint64_t value[2])
{
#if defined(__x86_64__)
	bool ok;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(ok), "+m"(*(unsigned __int128 *)host), "+a"(expect[0]),
			   "+d"(expect[1])
			 : "b"(value[0]), "c"(value[1])
			 : "memory");
	return ok;
#else
	unsigned __int128 e = (unsigned __int128)expect[1] << 64 | expect[0];
	unsigned __int128 v = (unsigned __int128)value[1] << 64 | value[0];
	unsigned __int128 was = __sync_val_compare_and_swap((unsigned __int128 *)host, e, v);

	expect[0] = (uint64_t)was;
	expect[1] = (uint64_t)(was >> 64);
	return was == e;
#endif
}

/*
 * The memory image of one element or a pair, as one or two host words: elements in memory order,
 * each in the guest's byte order. And back.
 */
static void to_image(const struct mem_desc *d, const uint64_t v[2], uint64_t image[2])
{
	unsigned int bits = 8u << d->size_log2;
	uint64_t e[2] = {0, 0};

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
		      const uint64_t value[2])
{
	if (d->size_log2 == 3 && d->pair)
		return host_cas128(host, expect, value);
	return host_cas(host, d->size_log2 + d->pair, &expect[0], value[0]);
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
	*status = !image_cas(p.host, d, expect, value);
	cpu->excl_size = 0;
	return CPU_EXIT_NONE;
}

int access_cas(struct cpu *cpu, uint64_t va, const struct mem_desc *d, const uint64_t expect[2],
	       const uint64_t value[2], uint64_t old[2])
{
	uint64_t e[2], v[2];
	struct place p;
	int err = place_atomic(cpu, va, d, &p);

	if (err)
		return err;
	to_image(d, expect, e);
	to_image(d, value, v);
	image_cas(p.host, d, e, v);
	from_image(d, e, old);
	return CPU_EXIT_NONE;
}

static uint64_t rmw_result(enum mem_rmw op, uint64_t old, uint64_t value, unsigned int size_log2)
{
	unsigned int unused = 64 - (8u << size_log2);
	int64_t so = (int64_t)(old << unused) >> unused, sv = (int64_t)(value << unused) >> unused;
	uint64_t uv = truncate(value, size_log2);

	switch (op) {
	case RMW_ADD:
		return old + value;
	case RMW_CLR:
		return old & ~value;
	case RMW_EOR:
		return old ^ value;
	case RMW_SET:
		return old | value;
	case RMW_SMAX:
		return so > sv ? old : uv;
	case RMW_SMIN:
		return so < sv ? old : uv;
	case RMW_UMAX:
		return old > uv ? old : uv;
	case RMW_UMIN:
		return old < uv ? old : uv;
	case RMW_SWP:
		return uv;
	}
	return old;
}

/* What the host does in one instruction; false: not this one. */
static bool host_rmw(uint8_t *host, unsigned int size_log2, enum mem_rmw op, uint64_t value,
		     uint64_t *old)
{
#define RMW(type)                                                                                  \
	(*old = op == RMW_ADD   ? __atomic_fetch_add((type *)host, (type)value, __ATOMIC_SEQ_CST)  \
		: op == RMW_SWP ? __atomic_exchange_n((type *)host, (type)value, __ATOMIC_SEQ_CST) \
				: 0)
	if (op != RMW_ADD && op != RMW_SWP)
		return false;
	switch (size_log2) {
	case 0:
		RMW(uint8_t);
		break;
	case 1:
		RMW(uint16_t);
		break;
	case 2:
		RMW(uint32_t);
		break;
	default:
		RMW(uint64_t);
		break;
	}
	return true;
#undef RMW
}

int access_rmw(struct cpu *cpu, uint64_t va, const struct mem_desc *d, enum mem_rmw op,
	       uint64_t value, uint64_t *old)
{
	uint64_t image;
	struct place p;
	int err = place_atomic(cpu, va, d, &p);

	if (err)
		return err;
	if (!d->be && host_rmw(p.host, d->size_log2, op, value, old))
		return CPU_EXIT_NONE;
	image = 0;
	do {
		uint64_t was = d->be ? swap(image, d->size_log2) : image;
		uint64_t now = truncate(rmw_result(op, was, value, d->size_log2), d->size_log2);

		*old = was;
		if (host_cas(p.host, d->size_log2, &image, d->be ? swap(now, d->size_log2) : now))
			break;
	} while (true);
	return CPU_EXIT_NONE;
}
