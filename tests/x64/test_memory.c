/* SPDX-License-Identifier: MIT */
/*
 * Memory for generated code: what is allocated against a model of it, lookups while others allocate
 * and free, and hosts that do not give it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/back/x64/memory.h"

#define KIB   1024u
#define MIB   (1024u * KIB)
#define FIXED 1000u

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* From 100 bytes to 64 KiB, small ones more often. */
static size_t random_size(uint64_t *seed)
{
	size_t most = 100u << next_random(seed) % 10;

	if (most > 64 * KIB)
		most = 64 * KIB;
	return 100 + next_random(seed) % (most - 99);
}

static struct code_memory *make(size_t size)
{
	struct code_memory *m = NULL;

	assert_int_equal(code_memory_create(&m, size, FIXED), 0);
	return m;
}

static struct code_block *writable(struct code_memory *m, struct code_block *b)
{
	return code_memory_rw(m, b);
}

static bool finds(struct code_memory *m, uintptr_t pc, struct code_block *b)
{
	return code_memory_block(m, pc) == b;
}

/* Mappings that are called as ours are; *both: some are writable and executable. */
static unsigned int mappings(bool *both)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned int found = 0;
	char line[4096], mode[5];

	*both = false;
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, "memfd:armature-code"))
			continue;
		found++;
		if (sscanf(line, "%*s %4s", mode) == 1 && mode[1] == 'w' && mode[2] == 'x')
			*both = true;
	}
	fclose(f);
	return found;
}

static void two_mappings(void **state)
{
	static const uint8_t words[] = {0xb8, 0x2a, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
	struct code_memory *m = make(256 * KIB);
	struct code_block *b = code_memory_alloc(m, sizeof(words));
	bool both;

	assert_non_null(b);
	memcpy(writable(m, b)->code, words, sizeof(words));
	assert_memory_equal(b->code, words, sizeof(words));
	assert_int_equal(((int (*)(void))(uintptr_t)b->code)(), 42);
	assert_int_equal(mappings(&both), 2);
	assert_false(both);
	code_memory_destroy(m);
	assert_int_equal(mappings(&both), 0);
	code_memory_destroy(NULL);
}

/* A process that lives under "never make what was writable executable" may have it, too. */
static void under_mdwe(void **state)
{
	struct code_memory *m = NULL;
	int status;
	pid_t pid = fork();

	if (!pid) {
#ifdef PR_SET_MDWE
		prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
#else
		prctl(65, 1, 0, 0, 0);
#endif
		_exit(code_memory_create(&m, MIB, 0) != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void blocks(void **state)
{
	struct code_memory *m = make(256 * KIB);
	struct code_block *fixed = code_memory_fixed(m), *a, *b;
	size_t before = code_memory_used(m);

	assert_true(before >= FIXED + sizeof(*fixed) && before < 2 * FIXED);
	assert_true(finds(m, (uintptr_t)fixed->code + FIXED - 1, fixed));
	assert_null(fixed->owner);

	a = code_memory_alloc(m, 1);
	b = code_memory_alloc(m, 300);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal((uintptr_t)a->code % 16, 0);
	assert_int_equal((uintptr_t)b->code % 16, 0);
	assert_int_equal(code_memory_used(m), before + a->size + b->size);
	assert_null(b->owner);
	writable(m, b)->owner = state;
	assert_ptr_equal(code_memory_block(m, (uintptr_t)b->code + 299)->owner, state);
	assert_true(finds(m, (uintptr_t)b, b));
	assert_true(finds(m, (uintptr_t)b - 1, a));
	assert_true(finds(m, (uintptr_t)a, a));
	assert_true(finds(m, (uintptr_t)a + a->size, b));
	assert_true(finds(m, (uintptr_t)b + b->size, NULL));

	code_memory_free(m, a);
	assert_true(finds(m, (uintptr_t)b - 1, NULL));
	assert_true(finds(m, (uintptr_t)fixed + fixed->size - 1, fixed));
	code_memory_free(m, b);
	assert_true(finds(m, (uintptr_t)b->code, NULL));
	code_memory_free(m, NULL);
	assert_int_equal(code_memory_used(m), before);

	assert_null(code_memory_alloc(m, 0));
	assert_null(code_memory_alloc(m, 256 * KIB));
	assert_null(code_memory_alloc(m, SIZE_MAX));
	assert_null(code_memory_alloc(m, CODE_BLOCK_MAX));
	code_memory_destroy(m);
}

/* A block in the place of another has no owner yet, whatever was there. */
static void no_owner_yet(void **state)
{
	struct code_memory *m = make(256 * KIB);
	struct code_block *b[4];

	for (unsigned int i = 0; i < 4; i++) {
		b[i] = code_memory_alloc(m, 300);
		assert_non_null(b[i]);
		writable(m, b[i])->owner = b;
	}
	code_memory_free(m, b[0]);
	code_memory_free(m, b[2]);
	for (unsigned int i = 0; i < 4; i += 2) {
		struct code_block *again = code_memory_alloc(m, 300);

		assert_true(again == b[0] || again == b[2]);
		assert_null(again->owner);
	}
	code_memory_destroy(m);
}

/* The largest block is found from its last byte, wherever it begins; and nothing far behind it. */
static void large_blocks(void **state)
{
	const size_t most = CODE_BLOCK_MAX - sizeof(struct code_block);
	struct code_memory *m = make(8 * MIB);

	for (unsigned int i = 0; i < 5; i++) {
		struct code_block *b = code_memory_alloc(m, most), *pad = code_memory_alloc(m, 100);
		uintptr_t end = (uintptr_t)b + CODE_BLOCK_MAX;

		assert_non_null(b);
		assert_non_null(pad);
		assert_int_equal(b->size, CODE_BLOCK_MAX);
		assert_true(finds(m, end - 1, b));
		assert_true(finds(m, end, pad));
		assert_true(finds(m, (uintptr_t)pad + pad->size + CODE_BLOCK_MAX + 2048, NULL));
	}
	code_memory_destroy(m);
}

static void sizes(void **state)
{
	struct code_memory *m = NULL;

	assert_int_equal(code_memory_create(&m, CODE_MEMORY_MIN - 1, 0), -EINVAL);
	assert_int_equal(code_memory_create(&m, (size_t)CODE_MEMORY_MAX + 1, 0), -EINVAL);
	assert_int_equal(code_memory_create(&m, 256 * KIB, 129 * KIB), -EINVAL);
	assert_int_equal(code_memory_create(&m, 64 * MIB, CODE_BLOCK_MAX), -EINVAL);
	assert_null(m);
	assert_int_equal(code_memory_create(&m, CODE_MEMORY_MAX, 0), 0);
	assert_non_null(code_memory_alloc(m, 64 * KIB));
	code_memory_destroy(m);
	assert_int_equal(code_memory_create(&m, CODE_MEMORY_MIN + 1, 0), 0);
	assert_non_null(code_memory_alloc(m, 60 * KIB));
	code_memory_destroy(m);
}

/* Only what was used is in the host's memory. */
static void touched(void **state)
{
	struct code_memory *m = make(CODE_MEMORY_SIZE);
	unsigned char in[CODE_MEMORY_SIZE / 4096];
	size_t resident = 0;

	assert_non_null(code_memory_alloc(m, 300 * KIB));
	assert_int_equal(mincore(code_memory_fixed(m), CODE_MEMORY_SIZE, in), 0);
	for (unsigned int i = 0; i < sizeof(in); i++)
		resident += in[i] & 1;
	assert_true(resident * 4 >= 300);
	assert_true(resident * 4 <= 2048);
	code_memory_destroy(m);
}

/* What is allocated, by granule: the number of the block, 0 for none. */
struct model {
	struct code_memory *m;
	uint8_t *base;
	uint32_t granules;
	uint16_t *map;
	struct code_block *held[0x10000];
	size_t used;
};

static void paint(struct model *o, unsigned int i, uint16_t from, uint16_t to)
{
	uint32_t at = (uint32_t)((uint8_t *)o->held[i] - o->base) / CODE_GRANULE;

	assert_true((size_t)at + o->held[i]->size / CODE_GRANULE <= o->granules);
	for (uint32_t g = at; g < at + o->held[i]->size / CODE_GRANULE; g++) {
		assert_int_equal(o->map[g], from);
		o->map[g] = to;
	}
}

static bool model_alloc(struct model *o, unsigned int i, size_t size)
{
	struct code_block *b = code_memory_alloc(o->m, size);

	if (!b)
		return false;
	assert_true(b->size >= size + sizeof(*b));
	o->held[i] = b;
	paint(o, i, 0, (uint16_t)i);
	writable(o->m, b)->owner = &o->held[i];
	o->used += b->size;
	return true;
}

static void model_free(struct model *o, unsigned int i)
{
	paint(o, i, (uint16_t)i, 0);
	assert_ptr_equal(o->held[i]->owner, &o->held[i]);
	o->used -= o->held[i]->size;
	code_memory_free(o->m, o->held[i]);
	o->held[i] = NULL;
}

/* Some address, whatever is there: looked up as the model has it. */
static void model_look(struct model *o, uint64_t random)
{
	size_t offset = random % ((size_t)o->granules * CODE_GRANULE);
	struct code_block *b = code_memory_block(o->m, (uintptr_t)o->base + offset);

	assert_ptr_equal(b, o->held[o->map[offset / CODE_GRANULE]]);
}

static struct model *model_create(size_t size)
{
	struct model *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->m = make(size);
	o->base = (uint8_t *)code_memory_fixed(o->m);
	o->granules = (uint32_t)(size / CODE_GRANULE);
	o->map = calloc(o->granules, sizeof(*o->map));
	assert_non_null(o->map);
	o->held[0xffff] = code_memory_fixed(o->m);
	paint(o, 0xffff, 0, 0xffff);
	o->used = o->held[0xffff]->size;
	return o;
}

static void model_destroy(struct model *o)
{
	code_memory_destroy(o->m);
	free(o->map);
	free(o);
}

/* Fill it, drop one by one in any order, and fill it again: no gap is lost. */
static void exhaustion(void **state)
{
	struct model *o = model_create(256 * KIB);
	const size_t rest = 256 * KIB - o->used;
	uint64_t seed = 1;

	for (unsigned int round = 0; round < 200; round++) {
		unsigned int n = 1;

		while (model_alloc(o, n, round % 2 ? random_size(&seed) : 100))
			n++;
		while (model_alloc(o, n, 100))
			n++;
		/* So little is left that no block of 100 bytes fits anywhere. */
		assert_true(n > 1);
		if (!(round % 2))
			assert_true(code_memory_used(o->m) + 112 + 16 > 256 * KIB);
		for (unsigned int i = 1; i < n; i++) {
			unsigned int other = i + next_random(&seed) % (n - i);
			struct code_block *b = o->held[other];

			/* The numbers go with the blocks. */
			if (other != i) {
				paint(o, other, (uint16_t)other, 0);
				paint(o, i, (uint16_t)i, (uint16_t)other);
				o->held[other] = o->held[i];
				o->held[i] = b;
				paint(o, i, 0, (uint16_t)i);
				writable(o->m, b)->owner = &o->held[i];
				writable(o->m, o->held[other])->owner = &o->held[other];
			}
			model_free(o, i);
			model_look(o, next_random(&seed));
		}
		assert_int_equal(code_memory_used(o->m), o->used);
		/* All in one piece again. */
		assert_true(model_alloc(o, 1, rest - sizeof(struct code_block)));
		assert_false(model_alloc(o, 2, 1));
		model_free(o, 1);
	}
	model_destroy(o);
}

/* When all is full, a block finds the hole that it just fits in, whatever its size. */
static void just_fits(void **state)
{
	for (size_t size = 100; size < 30 * KIB; size += size / 5) {
		struct code_memory *m = make(256 * KIB);
		struct code_block *hole;

		assert_non_null(code_memory_alloc(m, 5000));
		hole = code_memory_alloc(m, size);
		assert_non_null(hole);
		while (code_memory_alloc(m, 1))
			;
		assert_null(code_memory_alloc(m, size));
		code_memory_free(m, hole);
		assert_null(code_memory_alloc(m, size + 64));
		assert_ptr_equal(code_memory_alloc(m, size), hole);
		code_memory_destroy(m);
	}
}

/* Blocks live for any time, at the edge of what there is: is most in use when one finds no room? */
static void churn(void **state)
{
	struct model *o = model_create(8 * MIB);
	size_t least = SIZE_MAX;
	uint64_t seed = 7;

	for (unsigned int i = 0; i < 300000; i++) {
		unsigned int n = 1 + next_random(&seed) % 6000;

		if (o->held[n])
			model_free(o, n);
		else if (!model_alloc(o, n, random_size(&seed)) && o->used < least)
			least = o->used;
		model_look(o, next_random(&seed));
	}
	assert_int_equal(code_memory_used(o->m), o->used);
	print_message("least in use when there was no room: %zu %%\n", least / (8 * MIB / 100));
	assert_true(least < 8 * MIB && least > 8 * MIB / 10 * 7);
	model_destroy(o);
}

/* Eight threads allocate, look up and free; others make and destroy memories. */
#define THREADS 8
#define HELD    64

struct worker {
	struct code_memory *m;
	uint64_t seed;
	unsigned int failed, wrong;
	pthread_t thread;
};

static _Atomic bool stop;

static void *work(void *data)
{
	struct worker *w = data;
	struct code_block *held[HELD] = {NULL};

	for (unsigned int i = 0; i < 20000; i++) {
		struct code_block **b = &held[next_random(&w->seed) % HELD];

		if (!*b) {
			*b = code_memory_alloc(w->m, random_size(&w->seed));
			if (*b)
				((struct code_block *)code_memory_rw(w->m, *b))->owner = w;
			else
				w->failed++;
			continue;
		}
		for (unsigned int k = 0; k < 4; k++) {
			uintptr_t pc = (uintptr_t)*b + next_random(&w->seed) % (*b)->size;

			w->wrong += code_memory_of(pc) != w->m ||
				    code_memory_block(w->m, pc) != *b || (*b)->owner != w;
		}
		/* Anything, also what others free now: no crash, and nothing that cannot be. */
		code_memory_block(w->m, (uintptr_t)code_memory_fixed(w->m) +
						next_random(&w->seed) % (4 * MIB));
		if (next_random(&w->seed) & 1) {
			code_memory_free(w->m, *b);
			*b = NULL;
		}
	}
	for (unsigned int i = 0; i < HELD; i++)
		code_memory_free(w->m, held[i]);
	return NULL;
}

static void *come_and_go(void *data)
{
	struct worker *w = data;

	while (!atomic_load(&stop)) {
		struct code_memory *m = NULL;
		uintptr_t pc;

		if (code_memory_create(&m, 64 * KIB + next_random(&w->seed) % MIB, 100)) {
			w->wrong++;
			break;
		}
		pc = (uintptr_t)code_memory_fixed(m) + 64 * KIB - 1;
		w->wrong += code_memory_of(pc) != m;
		w->wrong += code_memory_of((uintptr_t)w) != NULL;
		code_memory_destroy(m);
	}
	return NULL;
}

static void storm(void **state)
{
	struct code_memory *m = make(4 * MIB);
	size_t before = code_memory_used(m);
	struct worker workers[THREADS + 2];

	for (unsigned int i = 0; i < THREADS + 2; i++) {
		workers[i] = (struct worker){.m = m, .seed = i + 1};
		assert_int_equal(pthread_create(&workers[i].thread, NULL,
						i < THREADS ? work : come_and_go, &workers[i]),
				 0);
	}
	for (unsigned int i = 0; i < THREADS + 2; i++) {
		if (i == THREADS)
			atomic_store(&stop, true);
		pthread_join(workers[i].thread, NULL);
	}
	for (unsigned int i = 0; i < THREADS + 2; i++)
		assert_int_equal(workers[i].wrong, 0);
	assert_int_equal(code_memory_used(m), before);
	assert_non_null(code_memory_alloc(m, CODE_BLOCK_MAX - sizeof(struct code_block)));
	code_memory_destroy(m);
}

static void registry(void **state)
{
	struct code_memory *m[40];

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 40; i++)
			m[i] = make(64 * KIB);
		for (unsigned int i = 0; i < 40; i++) {
			uintptr_t pc = (uintptr_t)code_memory_fixed(m[i]);

			assert_ptr_equal(code_memory_of(pc), m[i]);
			assert_ptr_equal(code_memory_of(pc + 64 * KIB - 1), m[i]);
			/* The writable alias is none. */
			assert_null(code_memory_of((uintptr_t)code_memory_rw(m[i], (void *)pc)));
		}
		for (unsigned int i = 0; i < 40; i++) {
			uintptr_t pc = (uintptr_t)code_memory_fixed(m[i]);

			code_memory_destroy(m[i]);
			assert_null(code_memory_of(pc));
		}
	}
	assert_null(code_memory_of(0));
	assert_null(code_memory_of(UINTPTR_MAX));
}

/* Hosts that refuse: a system call fails when two arguments, masked, have their values. */
static const struct host {
	uint32_t number;
	struct {
		uint32_t arg, mask, value; /* all 0: any */
	} when[2];
	int error;
	int expect; /* what code_memory_create() returns */
} hosts[] = {
	{SYS_mmap, {{2, PROT_EXEC, PROT_EXEC}}, EACCES, -EACCES},
	{SYS_mmap, {{2, PROT_EXEC, PROT_EXEC}}, EPERM, -EPERM},
	{SYS_mmap, {{2, PROT_WRITE, PROT_WRITE}, {3, 0xff, MAP_SHARED}}, ENOMEM, -ENOMEM},
	{SYS_mmap, {{2, PROT_EXEC, PROT_EXEC}, {2, PROT_WRITE, PROT_WRITE}}, EACCES, 0},
	{SYS_memfd_create, {{0}}, EPERM, -EPERM},
	{SYS_memfd_create, {{1, 16, 16}}, EINVAL, 0}, /* before Linux 6.3 */
	{SYS_memfd_create, {{1, 8, 0}}, EACCES, 0},   /* vm.memfd_noexec = 2 */
	{SYS_ftruncate, {{0}}, ENOSPC, -ENOSPC},
	{SYS_madvise, {{2, ~0u, 23}}, EINVAL, 0},       /* before Linux 5.14 */
	{SYS_madvise, {{2, ~0u, 23}}, ENOMEM, -ENOMEM}, /* no memory for the fixed block */
};

#define LOAD(field)      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IS(value, other) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, other)

static void become(const struct host *h)
{
	struct sock_filter rules[] = {
		LOAD(nr),
		IS(h->number, 7),
		LOAD(args[h->when[0].arg]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, h->when[0].mask),
		IS(h->when[0].value, 4),
		LOAD(args[h->when[1].arg]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, h->when[1].mask),
		IS(h->when[1].value, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)h->error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(100);
}

/* In a child: how creation ends, and that a failure leaves nothing. 0: as expected. */
static int try_host(int expect)
{
	struct code_memory *m = NULL;
	int fd = dup(0), rc, now;
	bool both;
	unsigned int before = mappings(&both);

	close(fd);
	rc = code_memory_create(&m, MIB, FIXED);
	now = dup(0);
	if (rc != expect)
		return 1;
	if (!rc && (!code_memory_alloc(m, 64 * KIB) || mappings(&both) != before + 2))
		return 2;
	if (rc && (m || mappings(&both) != before))
		return 3;
	return now == fd ? 0 : 4;
}

static void refusing_hosts(void **state)
{
	for (unsigned int i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			become(&hosts[i]);
			_exit(try_host(hosts[i].expect));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status)
			print_message("host %u\n", i);
		assert_int_equal(status, 0);
	}
}

/* A limit on files is an error, not a signal that ends the process. */
static void limited_files(void **state)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct rlimit limit = {.rlim_cur = 64 * KIB, .rlim_max = 64 * KIB};

		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(try_host(-EFBIG));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The host has no more memory when a block needs it: there is no room, and what there is stays. */
static void no_memory_later(void **state)
{
	static const struct host h = {SYS_madvise, {{2, ~0u, 23}}, ENOMEM, 0};
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct code_memory *m = make(4 * MIB);
		struct code_block *first = code_memory_alloc(m, 64 * KIB);

		become(&h);
		if (!first || code_memory_alloc(m, MIB / 2))
			_exit(1);
		code_memory_free(m, first);
		_exit(code_memory_alloc(m, 64 * KIB) != first);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_mappings),    cmocka_unit_test(under_mdwe),
		cmocka_unit_test(blocks),          cmocka_unit_test(no_owner_yet),
		cmocka_unit_test(large_blocks),    cmocka_unit_test(sizes),
		cmocka_unit_test(touched),         cmocka_unit_test(exhaustion),
		cmocka_unit_test(just_fits),       cmocka_unit_test(churn),
		cmocka_unit_test(storm),           cmocka_unit_test(registry),
		cmocka_unit_test(refusing_hosts),  cmocka_unit_test(limited_files),
		cmocka_unit_test(no_memory_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
