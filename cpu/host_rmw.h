/* SPDX-License-Identifier: MIT */
/*
 * What an LSE atomic does to memory: for its slow path (cpu/access_atomic.c) and for a back end's
 * fast one. In the guest's byte order only if that is little-endian.
 */
#ifndef CPU_HOST_RMW_H
#define CPU_HOST_RMW_H

#include "cpu/access.h"
#include "cpu/host_mem.h"

/* What LD<op> stores (Arm ARM, MemAtomic()); bits beyond the size are not zero in every case. */
static inline uint64_t rmw_result(enum mem_rmw op, uint64_t old, uint64_t value,
				  unsigned int size_log2)
{
	unsigned int unused = 64 - (8u << size_log2);
	int64_t so = (int64_t)(old << unused) >> unused, sv = (int64_t)(value << unused) >> unused;
	uint64_t uv = value << unused >> unused;

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

/* Addition and exchange are instructions of the host, all else is tried until nobody interferes. */
#define HOST_RMW(bits, size_log2)                                                          \
	HOST_INLINE bool host_rmw##bits(void *host, enum mem_rmw op, uint##bits##_t value, \
					uint##bits##_t *old)                               \
	{                                                                                  \
		uint##bits##_t was;                                                        \
		bool done;                                                                 \
                                                                                           \
		if (op == RMW_ADD)                                                         \
			return host_add##bits(host, value, old);                           \
		if (op == RMW_SWP)                                                         \
			return host_swap##bits(host, value, old);                          \
		if (!host_load##bits(host, &was))                                          \
			return false;                                                      \
		do {                                                                       \
			uint64_t now = rmw_result(op, was, value, size_log2);              \
                                                                                           \
			if (!host_cas##bits(host, &was, (uint##bits##_t)now, &done))       \
				return false;                                              \
		} while (!done);                                                           \
		*old = was;                                                                \
		return true;                                                               \
	}
HOST_RMW(8, 0)
HOST_RMW(16, 1)
HOST_RMW(32, 2)
HOST_RMW(64, 3)

#endif
