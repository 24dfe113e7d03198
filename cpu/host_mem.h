/* SPDX-License-Identifier: MIT */
/*
 * Guest memory as the host has it: the only way to touch it.
 *
 * A memslot is a range of the caller's address space. The caller may take pages out of it, protect
 * them, or cut the file behind them, while the guest runs; Linux's KVM answers the next access with
 * -EFAULT. So does ours: every access to guest memory is one host instruction, listed with a place
 * to go on at in a table (section armature_faults), and the handler of SIGSEGV and SIGBUS
 * (cpu/host_fault.c) sends a thread that faulted at a listed instruction to that place. The
 * functions below then return false. Nothing else is listed: other faults are bugs, or the
 * caller's.
 *
 * One instruction for each access is what single-copy atomicity needs, too: an access of 1, 2, 4 or
 * 8 bytes that is aligned is seen whole or not at all (Arm ARM B2.2.1), and the compiler can
 * neither split nor join nor repeat it. An access of 16 bytes is atomic by its halves only;
 * host_cas128() is atomic as a whole.
 *
 * Loads and stores are not ordered here beyond what the host does by itself; read-modify-writes are
 * sequentially consistent on x86-64, acquire and release on arm64. Who needs more adds a fence.
 *
 * On hosts that are neither x86-64 nor arm64 the accesses are the compiler's atomics, and a page
 * that is not there is a crash.
 */
#ifndef CPU_HOST_MEM_H
#define CPU_HOST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HOST_INLINE static inline __attribute__((always_inline, unused))

/*
 * The functions, for n = 8, 16, 32, 64 bits. Loads and stores may be unaligned, but are not atomic
 * then; all else wants @host aligned. Each returns false if guest memory is not there on the host,
 * or not for writing; nothing was stored then, and results mean nothing. Any thread;
 * host_fault_arm() comes before the first one.
 *
 *   host_load<n>(host, &value)               also for 128
 *   host_store<n>(host, value)               also for 128
 *   host_swap<n>(host, value, &old)          old: what was there
 *   host_add<n>(host, value, &old)
 *   host_cas<n>(host, &expect, value, &done) done: expect was there, and value is now; otherwise
 *                                            expect becomes what was there
 *   host_cas128(host, expect, value, &done)  the same of two words, the low one first
 *
 *   host_copy_from(), host_copy_to(), host_same()   of any number of bytes, see below
 */

/* Sixteen bytes, in one register of the host. */
typedef uint64_t host_u128 __attribute__((vector_size(16)));

/* A row of the table: the instruction at local label 1 (or @at), and where it continues. */
#define HOST_ROW(at)                            \
	".pushsection armature_faults, \"a\"\n" \
	".balign 4\n"                           \
	".long " at " - ., %l[gone] - .\n"      \
	".popsection\n"

/*
 * The empty statement keeps gcc before 12.4 from discarding outputs of "asm goto" (its bug 113921).
 */
#define HOST_ASM(...)                               \
	do {                                        \
		__asm__ volatile goto(__VA_ARGS__); \
		__asm__ volatile("");               \
	} while (0)

#if defined(__x86_64__)

#define HOST_LOAD(bits, type, wide, load, constraint)                   \
	HOST_INLINE bool host_load##bits(const void *host, type *value) \
	{                                                               \
		const type *p = host;                                   \
		wide v;                                                 \
                                                                        \
		HOST_ASM("1: " load "\n" HOST_ROW("1b")                 \
			 : [v] constraint(v)                            \
			 : [m] "m"(*p)                                  \
			 :                                              \
			 : gone);                                       \
		*value = (type)v;                                       \
		return true;                                            \
	gone:                                                           \
		return false;                                           \
	}
HOST_LOAD(8, uint8_t, uint32_t, "movzbl %[m], %[v]", "=r")
HOST_LOAD(16, uint16_t, uint32_t, "movzwl %[m], %[v]", "=r")
HOST_LOAD(32, uint32_t, uint32_t, "movl %[m], %[v]", "=r")
HOST_LOAD(64, uint64_t, uint64_t, "movq %[m], %[v]", "=r")
HOST_LOAD(128, host_u128, host_u128, "movups %[m], %[v]", "=x")

#define HOST_STORE(bits, type, store, constraint)             \
	HOST_INLINE bool host_store##bits(void *host, type v) \
	{                                                     \
		type *p = host;                               \
                                                              \
		HOST_ASM("1: " store "\n" HOST_ROW("1b")      \
			 : [m] "=m"(*p)                       \
			 : [v] constraint(v)                  \
			 :                                    \
			 : gone);                             \
		return true;                                  \
	gone:                                                 \
		return false;                                 \
	}
HOST_STORE(8, uint8_t, "movb %b[v], %[m]", "r")
HOST_STORE(16, uint16_t, "movw %w[v], %[m]", "r")
HOST_STORE(32, uint32_t, "movl %k[v], %[m]", "r")
HOST_STORE(64, uint64_t, "movq %[v], %[m]", "r")
HOST_STORE(128, host_u128, "movups %[v], %[m]", "x")

#define HOST_ATOMIC(bits, type, s)                                                        \
	HOST_INLINE bool host_swap##bits(void *host, type v, type *old)                   \
	{                                                                                 \
		type *p = host;                                                           \
                                                                                          \
		HOST_ASM("1: xchg" s " %[v], %[m]\n" HOST_ROW("1b")                       \
			 : [v] "+r"(v), [m] "+m"(*p)                                      \
			 :                                                                \
			 : "memory"                                                       \
			 : gone);                                                         \
		*old = v;                                                                 \
		return true;                                                              \
	gone:                                                                             \
		return false;                                                             \
	}                                                                                 \
	HOST_INLINE bool host_add##bits(void *host, type v, type *old)                    \
	{                                                                                 \
		type *p = host;                                                           \
                                                                                          \
		HOST_ASM("1: lock xadd" s " %[v], %[m]\n" HOST_ROW("1b")                  \
			 : [v] "+r"(v), [m] "+m"(*p)                                      \
			 :                                                                \
			 : "memory", "cc"                                                 \
			 : gone);                                                         \
		*old = v;                                                                 \
		return true;                                                              \
	gone:                                                                             \
		return false;                                                             \
	}                                                                                 \
	HOST_INLINE bool host_cas##bits(void *host, type *expect, type value, bool *done) \
	{                                                                                 \
		type *p = host, e = *expect;                                              \
		uint8_t ok;                                                               \
                                                                                          \
		HOST_ASM("1: lock cmpxchg" s " %[v], %[m]\n sete %[ok]\n" HOST_ROW("1b")  \
			 : [ok] "=&q"(ok), [e] "+&a"(e), [m] "+m"(*p)                     \
			 : [v] "r"(value)                                                 \
			 : "memory", "cc"                                                 \
			 : gone);                                                         \
		*expect = e;                                                              \
		*done = ok;                                                               \
		return true;                                                              \
	gone:                                                                             \
		return false;                                                             \
	}
HOST_ATOMIC(8, uint8_t, "b")
HOST_ATOMIC(16, uint16_t, "w")
HOST_ATOMIC(32, uint32_t, "l")
HOST_ATOMIC(64, uint64_t, "q")

HOST_INLINE bool host_cas128(void *host, uint64_t expect[2], const uint64_t value[2], bool *done)
{
	unsigned __int128 *p = host;
	uint64_t lo = expect[0], hi = expect[1];
	uint8_t ok;

	HOST_ASM("1: lock cmpxchg16b %[m]\n sete %[ok]\n" HOST_ROW("1b")
		 : [ok] "=&q"(ok), "+&a"(lo), "+&d"(hi), [m] "+m"(*p)
		 : "b"(value[0]), "c"(value[1])
		 : "memory", "cc"
		 : gone);
	expect[0] = lo;
	expect[1] = hi;
	*done = ok;
	return true;
gone:
	return false;
}

#elif defined(__aarch64__)

#define HOST_LOAD(bits, type, wide, load, constraint)                   \
	HOST_INLINE bool host_load##bits(const void *host, type *value) \
	{                                                               \
		const type *p = host;                                   \
		wide v;                                                 \
                                                                        \
		HOST_ASM("1: " load "\n" HOST_ROW("1b")                 \
			 : [v] constraint(v)                            \
			 : [m] "Q"(*p)                                  \
			 :                                              \
			 : gone);                                       \
		*value = (type)v;                                       \
		return true;                                            \
	gone:                                                           \
		return false;                                           \
	}
HOST_LOAD(8, uint8_t, uint32_t, "ldrb %w[v], %[m]", "=r")
HOST_LOAD(16, uint16_t, uint32_t, "ldrh %w[v], %[m]", "=r")
HOST_LOAD(32, uint32_t, uint32_t, "ldr %w[v], %[m]", "=r")
HOST_LOAD(64, uint64_t, uint64_t, "ldr %x[v], %[m]", "=r")
HOST_LOAD(128, host_u128, host_u128, "ldr %q[v], %[m]", "=w")

#define HOST_STORE(bits, type, store, constraint)             \
	HOST_INLINE bool host_store##bits(void *host, type v) \
	{                                                     \
		type *p = host;                               \
                                                              \
		HOST_ASM("1: " store "\n" HOST_ROW("1b")      \
			 : [m] "=Q"(*p)                       \
			 : [v] constraint(v)                  \
			 :                                    \
			 : gone);                             \
		return true;                                  \
	gone:                                                 \
		return false;                                 \
	}
HOST_STORE(8, uint8_t, "strb %w[v], %[m]", "r")
HOST_STORE(16, uint16_t, "strh %w[v], %[m]", "r")
HOST_STORE(32, uint32_t, "str %w[v], %[m]", "r")
HOST_STORE(64, uint64_t, "str %x[v], %[m]", "r")
HOST_STORE(128, host_u128, "str %q[v], %[m]", "w")

/*
 * Without FEAT_LSE, which not every host has: the exclusives of ARMv8.0. As on x86-64 otherwise:
 * what differs is stored back, so that memory that cannot be written faults in any case.
 */
#define HOST_ATOMIC(bits, type, s, r)                                                        \
	HOST_INLINE bool host_cas##bits(void *host, type *expect, type value, bool *done)    \
	{                                                                                    \
		type *p = host;                                                              \
		uint64_t e = *expect, old, stored;                                           \
		uint32_t failed;                                                             \
                                                                                             \
		HOST_ASM("1: ldaxr" s " %" r "[old], %[m]\n"                                 \
			 "   cmp %[old], %[e]\n"                                             \
			 "   csel %[stored], %[v], %[old], eq\n"                             \
			 "2: stlxr" s " %w[failed], %" r "[stored], %[m]\n"                  \
			 "   cbnz %w[failed], 1b\n" HOST_ROW("1b") HOST_ROW("2b")            \
			 : [old] "=&r"(old), [stored] "=&r"(stored), [failed] "=&r"(failed), \
			   [m] "+Q"(*p)                                                      \
			 : [e] "r"(e), [v] "r"((uint64_t)value)                              \
			 : "memory", "cc"                                                    \
			 : gone);                                                            \
		*expect = (type)old;                                                         \
		*done = old == e;                                                            \
		return true;                                                                 \
	gone:                                                                                \
		return false;                                                                \
	}                                                                                    \
	HOST_INLINE bool host_swap##bits(void *host, type v, type *old)                      \
	{                                                                                    \
		bool done;                                                                   \
                                                                                             \
		*old = 0;                                                                    \
		do {                                                                         \
			if (!host_cas##bits(host, old, v, &done))                            \
				return false;                                                \
		} while (!done);                                                             \
		return true;                                                                 \
	}                                                                                    \
	HOST_INLINE bool host_add##bits(void *host, type v, type *old)                       \
	{                                                                                    \
		bool done;                                                                   \
                                                                                             \
		*old = 0;                                                                    \
		do {                                                                         \
			if (!host_cas##bits(host, old, (type)(*old + v), &done))             \
				return false;                                                \
		} while (!done);                                                             \
		return true;                                                                 \
	}
HOST_ATOMIC(8, uint8_t, "b", "w")
HOST_ATOMIC(16, uint16_t, "h", "w")
HOST_ATOMIC(32, uint32_t, "", "w")
HOST_ATOMIC(64, uint64_t, "", "x")

/* What was read counts only if the store succeeded: where it differs, it is stored back. */
HOST_INLINE bool host_cas128(void *host, uint64_t expect[2], const uint64_t value[2], bool *done)
{
	unsigned __int128 *p = host;
	uint64_t lo, hi, new_lo, new_hi;
	uint32_t failed;

	HOST_ASM("1: ldaxp %[lo], %[hi], %[m]\n"
		 "   cmp %[lo], %[e0]\n"
		 "   ccmp %[hi], %[e1], #0, eq\n"
		 "   csel %[n0], %[v0], %[lo], eq\n"
		 "   csel %[n1], %[v1], %[hi], eq\n"
		 "2: stlxp %w[failed], %[n0], %[n1], %[m]\n"
		 "   cbnz %w[failed], 1b\n" HOST_ROW("1b") HOST_ROW("2b")
		 : [lo] "=&r"(lo), [hi] "=&r"(hi), [n0] "=&r"(new_lo), [n1] "=&r"(new_hi),
		   [failed] "=&r"(failed), [m] "+Q"(*p)
		 : [e0] "r"(expect[0]), [e1] "r"(expect[1]), [v0] "r"(value[0]), [v1] "r"(value[1])
		 : "memory", "cc"
		 : gone);
	*done = lo == expect[0] && hi == expect[1];
	expect[0] = lo;
	expect[1] = hi;
	return true;
gone:
	return false;
}

#else
#define HOST_UNGUARDED 1

#define HOST_ACCESS(bits, type)                                                           \
	HOST_INLINE bool host_load##bits(const void *host, type *value)                   \
	{                                                                                 \
		if ((uintptr_t)host % sizeof(type))                                       \
			memcpy(value, host, sizeof(type));                                \
		else                                                                      \
			*value = __atomic_load_n((const type *)host, __ATOMIC_RELAXED);   \
		return true;                                                              \
	}                                                                                 \
	HOST_INLINE bool host_store##bits(void *host, type v)                             \
	{                                                                                 \
		if ((uintptr_t)host % sizeof(type))                                       \
			memcpy(host, &v, sizeof(type));                                   \
		else                                                                      \
			__atomic_store_n((type *)host, v, __ATOMIC_RELAXED);              \
		return true;                                                              \
	}                                                                                 \
	HOST_INLINE bool host_swap##bits(void *host, type v, type *old)                   \
	{                                                                                 \
		*old = __atomic_exchange_n((type *)host, v, __ATOMIC_SEQ_CST);            \
		return true;                                                              \
	}                                                                                 \
	HOST_INLINE bool host_add##bits(void *host, type v, type *old)                    \
	{                                                                                 \
		*old = __atomic_fetch_add((type *)host, v, __ATOMIC_SEQ_CST);             \
		return true;                                                              \
	}                                                                                 \
	HOST_INLINE bool host_cas##bits(void *host, type *expect, type value, bool *done) \
	{                                                                                 \
		*done = __atomic_compare_exchange_n((type *)host, expect, value, false,   \
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
		return true;                                                              \
	}
HOST_ACCESS(8, uint8_t)
HOST_ACCESS(16, uint16_t)
HOST_ACCESS(32, uint32_t)
HOST_ACCESS(64, uint64_t)

HOST_INLINE bool host_load128(const void *host, host_u128 *value)
{
	uint64_t lo, hi;

	host_load64(host, &lo);
	host_load64((const char *)host + 8, &hi);
	*value = (host_u128){lo, hi};
	return true;
}

HOST_INLINE bool host_store128(void *host, host_u128 v)
{
	return host_store64(host, v[0]) && host_store64((char *)host + 8, v[1]);
}

HOST_INLINE bool host_cas128(void *host, uint64_t expect[2], const uint64_t value[2], bool *done)
{
	unsigned __int128 e = (unsigned __int128)expect[1] << 64 | expect[0];
	unsigned __int128 v = (unsigned __int128)value[1] << 64 | value[0];
	unsigned __int128 was = __sync_val_compare_and_swap((unsigned __int128 *)host, e, v);

	*done = was == e;
	expect[0] = (uint64_t)was;
	expect[1] = (uint64_t)(was >> 64);
	return true;
}
#endif

/**
 * host_copy_from() - Read guest memory, by single accesses that are as large as fits.
 * @to:   receives the bytes
 * @host: guest memory, of any alignment
 * @n:    how many bytes
 *
 * Return: false if some are not there; those before them have been read.
 */
HOST_INLINE bool host_copy_from(void *to, const void *host, size_t n)
{
	const char *from = host;
	char *at = to;
	uint64_t v8;
	uint8_t v1;

	for (; n >= 8; n -= 8, from += 8, at += 8) {
		if (!host_load64(from, &v8))
			return false;
		memcpy(at, &v8, 8);
	}
	for (; n; n--, from++, at++) {
		if (!host_load8(from, &v1))
			return false;
		*at = (char)v1;
	}
	return true;
}

/** host_copy_to() - The reverse. False: some are not writable; those before them are written. */
HOST_INLINE bool host_copy_to(void *host, const void *from, size_t n)
{
	const char *at = from;
	char *to = host;
	uint64_t v8;

	for (; n >= 8; n -= 8, to += 8, at += 8) {
		memcpy(&v8, at, 8);
		if (!host_store64(to, v8))
			return false;
	}
	for (; n; n--, to++, at++) {
		if (!host_store8(to, (uint8_t)*at))
			return false;
	}
	return true;
}

/**
 * host_same() - Is guest memory the same as other bytes? Not if it is not there.
 * @host:  guest memory, of any alignment
 * @bytes: the others
 * @n:     how many
 *
 * KVM_RUN asks that of all code that it enters, so what is long is compared in large steps.
 */
HOST_INLINE bool host_same(const void *host, const void *bytes, size_t n)
{
	const char *from = host;
	const char *at = bytes;
	host_u128 v, w, want[2];
	uint64_t v8, want8;
	uint8_t v1;

	for (; n >= 32; n -= 32, from += 32, at += 32) {
		if (!host_load128(from, &v) || !host_load128(from + 16, &w))
			return false;
		memcpy(want, at, 32);
		v = (v ^ want[0]) | (w ^ want[1]);
		if (v[0] | v[1])
			return false;
	}
	for (; n >= 8; n -= 8, from += 8, at += 8) {
		memcpy(&want8, at, 8);
		if (!host_load64(from, &v8) || v8 != want8)
			return false;
	}
	for (; n; n--, from++, at++)
		if (!host_load8(from, &v1) || v1 != (uint8_t)*at)
			return false;
	return true;
}

#endif
