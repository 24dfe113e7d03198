/* SPDX-License-Identifier: MIT */
/*
 * Memory for generated code: one code memory for each machine.
 *
 *              RX mapping                        RW mapping
 *   m->rx ─▶ ┌──────────────┐       m->rw ─▶ ┌──────────────┐    the same pages, at the constant
 *            │ fixed block  │                │              │    distance m->rw - m->rx; nothing
 *            ├──────────────┤   same pages   ├──────────────┤    is ever writable and executable
 *            │ block        │ ◀────────────▶ │ block        │    through one address
 *            │ free         │                │ free         │
 *            │ ...          │                │ ...          │
 *            ├╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤                ├╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤ ◀─ grown so far
 *            │ not touched  │                │              │
 *            └──────────────┘                └──────────────┘
 *
 * A block is a header (struct code_block), then the code, on a boundary of 16 bytes. Addresses that
 * the functions take and return are those of the RX mapping; who writes goes through
 * code_memory_rw(). The whole of a code memory is within reach of a rel32 displacement.
 *
 * The lookups are for the handler of a fault: they take no lock, allocate nothing, are bounded, and
 * are right for a thread that is executing at @pc, while other threads allocate, free, create and
 * destroy: the block and the memory that a thread runs in stay.
 */
#ifndef ENGINE_BACK_X64_MEMORY_H
#define ENGINE_BACK_X64_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define CODE_MEMORY_SIZE (128u << 20) /* what a machine gets unless it asks for another size */
#define CODE_MEMORY_MIN  (64u << 10)
#define CODE_MEMORY_MAX  (1u << 30)
#define CODE_BLOCK_MAX   (1u << 20) /* bytes of one block, header included: bounds the lookup */
#define CODE_GRANULE     16u        /* blocks begin and end on a multiple of it */

/* What a block begins with. Code is written behind it, through code_memory_rw(). */
struct code_block {
	void *owner;     /* the allocator's caller's; NULL until it sets it, through the alias */
	uint32_t size;   /* bytes of all of the block, a multiple of CODE_GRANULE */
	uint32_t before; /* memory.c: granules of the free segment in front of the block */
	uint8_t code[];
};

struct code_memory;

/**
 * code_memory_create() - Make the code memory of a machine.
 * @m:     set on success
 * @size:  bytes of address space, from CODE_MEMORY_MIN to CODE_MEMORY_MAX, rounded up to pages.
 *         Pages are touched only when blocks need them
 * @fixed: bytes of code in the fixed block, for stubs that are written once; at most half of @size
 *         and what a block may have. It is never freed; code_memory_fixed() returns it
 *
 * Return: 0; -EACCES or -EPERM where the host forbids executable memory (SELinux execmem, a seccomp
 * filter, memfds that must not be executed); -EINVAL, -ENOMEM, -EMFILE, -ENFILE, -EFBIG
 * (RLIMIT_FSIZE), -ENOSYS, -EAGAIN (RLIMIT_MEMLOCK, when everything is locked). A machine can do
 * without generated code after any of them. Any thread.
 */
int code_memory_create(struct code_memory **m, size_t size, size_t fixed);

/* No thread is in it or uses it. NULL: nothing. Blocks need not be freed before. Any thread. */
void code_memory_destroy(struct code_memory *m);

/**
 * code_memory_alloc() - A block for @size bytes of code.
 * @size: bytes without the header, from 1 to CODE_BLOCK_MAX - sizeof(struct code_block)
 *
 * Return: the block, in the RX mapping; what follows its header has any content. NULL: there is no
 * room (drop something and try again), or the host has no more memory. Any thread; takes the
 * memory's own lock, and no other.
 */
struct code_block *code_memory_alloc(struct code_memory *m, size_t size);

/* No thread is in @b or goes there any more. Its space is used again. NULL: nothing. Any thread. */
void code_memory_free(struct code_memory *m, struct code_block *b);

/* The block of @fixed bytes. */
struct code_block *code_memory_fixed(const struct code_memory *m);

/* Bytes in blocks now, headers and the fixed block included. Any thread. */
size_t code_memory_used(const struct code_memory *m);

/**
 * code_memory_block() - The block that holds a host address.
 * @pc: any address
 *
 * Return: the block (also the fixed one), or NULL if @pc is in none. Signal-safe and lock-free; at
 * most CODE_BLOCK_MAX / 1024 + 1 words are read to find it.
 */
struct code_block *code_memory_block(const struct code_memory *m, uintptr_t pc);

/**
 * code_memory_of() - The code memory, of whichever machine, that holds a host address.
 * @pc: any address
 *
 * Return: NULL if it is in none. Signal-safe and lock-free; time grows with the number of code
 * memories that the process had at once.
 */
struct code_memory *code_memory_of(uintptr_t pc);

/* The first members of a code memory: constant once it is there. */
struct code_memory_map {
	uint8_t *rx, *rw;
	size_t size; /* bytes of each mapping */
};

/* The writable alias of an address in the RX mapping. */
static inline void *code_memory_rw(const struct code_memory *m, const void *rx)
{
	const struct code_memory_map *map = (const struct code_memory_map *)m;

	return (uint8_t *)(uintptr_t)rx + (map->rw - map->rx);
}

#endif
