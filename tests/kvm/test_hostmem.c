/* SPDX-License-Identifier: MIT */
/*
 * Memory that is not there, or not writable, behind a memslot: KVM_RUN gives -EFAULT with the
 * guest's state as it was before the instruction, and the guest goes on when the VMM has mended the
 * mapping. And the caller's own handling of SIGSEGV and SIGBUS stays its own.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define DATA       0x80000000ull  /* a slot of its own, over a file */
#define CODE       0xc0000000ull  /* the same, executable */
#define TREE       0x100000000ull /* a table is entered here */
#define DATA_PAGES 4u
#define DATA_BYTES (DATA_PAGES * PAGE)
#define AT         0x40u              /* in the page: where the accesses are */
#define TABLE      (RAM + 0x10000ull) /* level 1: 1 GiB an entry */
#define V(n)                                                    \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE | \
	 (offsetof(struct kvm_regs, fp_regs.vregs[n]) / sizeof(uint32_t)))

#define TCR_HA (1ull << 39)

#define NR_X 31

#define EXCHANGES 20000
#define FORKS     300

static _Atomic bool finished; /* what the threads that interfere look at */

/* What is made wrong with pages of the slot's memory, and mended. */
enum badness { UNMAPPED, NO_ACCESS, READ_ONLY, TRUNCATED, NR_BADNESS };

struct rig {
	struct machine_under_test *m;
	int fd;
	unsigned char *data;
};

static void fill(struct rig *r)
{
	for (unsigned int i = 0; i < DATA_BYTES; i++)
		r->data[i] = (unsigned char)(i * 7 + (i >> 8) + 1);
}

/*
 * Far from where the kernel puts mappings that ask for no place: what another thread or the C
 * library maps must not fill the hole that an unmapped page leaves, nor go when the page comes
 * back. (A hint: hosts with smaller address spaces ignore it.)
 */
#define FAR_AWAY ((void *)0x7e9000000000)

static void map_data(struct rig *r)
{
	void *p = mmap(r->data ? r->data : FAR_AWAY, DATA_BYTES, PROT_READ | PROT_WRITE,
		       MAP_SHARED | (r->data ? MAP_FIXED : 0), r->fd, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	r->data = p;
}

static void spoil(struct rig *r, enum badness how, unsigned int page, unsigned int pages)
{
	unsigned char *at = r->data + page * PAGE;

	switch (how) {
	case UNMAPPED:
		assert_int_equal(munmap(at, pages * PAGE), 0);
		break;
	case NO_ACCESS:
		assert_int_equal(mprotect(at, pages * PAGE, PROT_NONE), 0);
		break;
	case READ_ONLY:
		assert_int_equal(mprotect(at, pages * PAGE, PROT_READ), 0);
		break;
	default:
		assert_int_equal(ftruncate(r->fd, page * PAGE), 0);
		break;
	}
}

static void mend(struct rig *r)
{
	assert_int_equal(ftruncate(r->fd, DATA_BYTES), 0);
	map_data(r);
}

static void set_data_slot(struct rig *r)
{
	assert_int_equal(set_region(r->m->vm, 1, 0, DATA, DATA_BYTES, (uintptr_t)r->data), 0);
}

static int rig_set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	uint64_t *table;
	uint64_t cpacr = 3 << 20;

	set_up(state);
	r->m = *state;
	r->fd = memfd_create("data", 0);
	assert_true(r->fd >= 0);
	assert_int_equal(ftruncate(r->fd, DATA_BYTES), 0);
	map_data(r);
	set_data_slot(r);
	table = (uint64_t *)(r->m->ram + (TABLE - RAM));
	table[0] = BLOCK_DEVICE;
	table[1] = RAM | BLOCK_NORMAL;
	table[2] = DATA | BLOCK_NORMAL | 1 << 6; /* EL0, for LDTR */
	table[3] = DATA | BLOCK_NORMAL;
	mmu_on(r->m->vcpu, TABLE, TCR_TEST);
	assert_int_equal(set_u64(r->m->vcpu, ARM64_SYS_REG(3, 0, 1, 0, 2), cpacr), 0);
	*state = r;
	return 0;
}

static int rig_tear_down(void **state)
{
	struct rig *r = *state;
	void *m = r->m;

	tear_down(&m);
	munmap(r->data, DATA_BYTES);
	close(r->fd);
	free(r);
	return 0;
}

/* --- Each kind of access --- */

struct access {
	uint32_t insn;
	bool write;
	unsigned int at; /* of X0, in the data; 0: AT */
	uint32_t before; /* executed while all is well: opens the monitor */
	const char *name;
};

#define CROSSING (PAGE - 4) /* the second page is the bad one */

static const struct access accesses[] = {
	{0x39400001, false, 0, 0, "ldrb w1, [x0]"},
	{0x79400001, false, 0, 0, "ldrh w1, [x0]"},
	{0xb9400001, false, 0, 0, "ldr w1, [x0]"},
	{0xf9400001, false, 0, 0, "ldr x1, [x0]"},
	{0xf9400001, false, AT + 3, 0, "ldr x1, [x0], unaligned"},
	{0xf9400001, false, CROSSING, 0, "ldr x1, [x0], crossing"},
	{0xb9800001, false, 0, 0, "ldrsw x1, [x0]"},
	{0x39800001, false, 0, 0, "ldrsb x1, [x0]"},
	{0xf8408401, false, 0, 0, "ldr x1, [x0], #8"},
	{0xf8646801, false, 0, 0, "ldr x1, [x0, x4]"},
	{0x3dc00000, false, 0, 0, "ldr q0, [x0]"},
	{0x3dc00000, false, CROSSING, 0, "ldr q0, [x0], crossing"},
	{0xfd400000, false, 0, 0, "ldr d0, [x0]"},
	{0xa9400801, false, 0, 0, "ldp x1, x2, [x0]"},
	{0xa9400801, false, PAGE - 8, 0, "ldp x1, x2, [x0], crossing"},
	{0x29400801, false, 0, 0, "ldp w1, w2, [x0]"},
	{0x69400801, false, 0, 0, "ldpsw x1, x2, [x0]"},
	{0xad400400, false, 0, 0, "ldp q0, q1, [x0]"},
	{0xf8400801, false, 0, 0, "ldtr x1, [x0]"},
	{0xc8dffc01, false, 0, 0, "ldar x1, [x0]"},
	{0x08dffc01, false, 0, 0, "ldarb w1, [x0]"},
	{0xf8bfc001, false, 0, 0, "ldapr x1, [x0]"},
	{0xc85f7c01, false, 0, 0, "ldxr x1, [x0]"},
	{0x085ffc01, false, 0, 0, "ldaxrb w1, [x0]"},
	{0x887f0801, false, 0, 0, "ldxp w1, w2, [x0]"},
	{0xc87f8801, false, 0, 0, "ldaxp x1, x2, [x0]"},
	{0x4c40a000, false, 0, 0, "ld1 {v0.16b, v1.16b}, [x0]"},
	{0x4c40a000, false, PAGE - 16, 0, "ld1 {v0.16b, v1.16b}, [x0], crossing"},
	{0x4c400800, false, 0, 0, "ld4 {v0.4s-v3.4s}, [x0]"},
	{0x4d40c800, false, 0, 0, "ld1r {v0.4s}, [x0]"},
	{0x39000001, true, 0, 0, "strb w1, [x0]"},
	{0x79000001, true, 0, 0, "strh w1, [x0]"},
	{0xb9000001, true, 0, 0, "str w1, [x0]"},
	{0xf9000001, true, 0, 0, "str x1, [x0]"},
	{0xf9000001, true, AT + 3, 0, "str x1, [x0], unaligned"},
	{0xf9000001, true, CROSSING, 0, "str x1, [x0], crossing"},
	{0xf8008c01, true, 0, 0, "str x1, [x0, #8]!"},
	{0xf8246801, true, 0, 0, "str x1, [x0, x4]"},
	{0x3d800000, true, 0, 0, "str q0, [x0]"},
	{0xbd000000, true, 0, 0, "str s0, [x0]"},
	{0xa9000801, true, 0, 0, "stp x1, x2, [x0]"},
	{0xa9000801, true, PAGE - 8, 0, "stp x1, x2, [x0], crossing"},
	{0x29000801, true, 0, 0, "stp w1, w2, [x0]"},
	{0xad000400, true, 0, 0, "stp q0, q1, [x0]"},
	{0xf8000801, true, 0, 0, "sttr x1, [x0]"},
	{0xc89ffc01, true, 0, 0, "stlr x1, [x0]"},
	{0x489ffc01, true, 0, 0, "stlrh w1, [x0]"},
	{0x4c00a000, true, 0, 0, "st1 {v0.16b, v1.16b}, [x0]"},
	{0x4c00a000, true, PAGE - 16, 0, "st1 {v0.16b, v1.16b}, [x0], crossing"},
	{0x4c008400, true, 0, 0, "st2 {v0.8h, v1.8h}, [x0]"},
	{0xd50b7420, true, 0, 0, "dc zva, x0"},
	{0xf8210002, true, 0, 0, "ldadd x1, x2, [x0]"},
	{0x38210002, true, 0, 0, "ldaddb w1, w2, [x0]"},
	{0x78211002, true, 0, 0, "ldclrh w1, w2, [x0]"},
	{0xb8213002, true, 0, 0, "ldset w1, w2, [x0]"},
	{0xf8212002, true, 0, 0, "ldeor x1, x2, [x0]"},
	{0xf8214002, true, 0, 0, "ldsmax x1, x2, [x0]"},
	{0xb8217002, true, 0, 0, "ldumin w1, w2, [x0]"},
	{0xf8218002, true, 0, 0, "swp x1, x2, [x0]"},
	{0xf821001f, true, 0, 0, "stadd x1, [x0]"},
	{0xc8a17c02, true, 0, 0, "cas x1, x2, [x0]"},
	{0x08a17c02, true, 0, 0, "casb w1, w2, [x0]"},
	{0x48247c06, true, 0, 0, "casp x4, x5, x6, x7, [x0]"},
	{0x08247c06, true, 0, 0, "casp w4, w5, w6, w7, [x0]"},
	{0xc8037c02, true, 0, 0xc85f7c01, "stxr w3, x2, [x0]"},
	{0xc8230801, true, 0, 0xc87f8801, "stxp w3, x1, x2, [x0]"},
	{0x88230801, true, 0, 0x887f0801, "stxp w3, w1, w2, [x0]"},
	{0xd50b7a20, false, 0, 0, "dc cvac, x0"},
	{0xd50b7e20, false, 0, 0, "dc civac, x0"},
	{0xd50b7520, false, 0, 0, "ic ivau, x0"},
};

/* All registers that an instruction of the list could change. */
struct registers {
	uint64_t x[NR_X], pc, pstate;
	uint64_t v[4][2];
};

static void read_registers(int vcpu, struct registers *s)
{
	for (unsigned int i = 0; i < NR_X; i++)
		s->x[i] = get_u64(vcpu, X(i));
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(get_id(vcpu, V(i), s->v[i]), 0);
	s->pc = get_u64(vcpu, PC);
	s->pstate = get_u64(vcpu, CORE_ID(regs.pstate));
}

static void write_registers(int vcpu, unsigned int at)
{
	for (unsigned int i = 0; i < NR_X; i++)
		set_u64(vcpu, X(i), 0x0101010101010101ull * i);
	set_u64(vcpu, X(0), DATA + at);
	set_u64(vcpu, X(4), 0);
	set_u64(vcpu, X(10), MMIO);
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t v[2] = {0x1111111111111111ull * (i + 1), 0x2222222222222222ull * (i + 1)};

		assert_int_equal(set_id(vcpu, V(i), v), 0);
	}
	set_u64(vcpu, PC, RAM);
}

/* The store to the device is done; what comes after it is next. */
static void complete(struct machine_under_test *m)
{
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	m->run->immediate_exit = 0;
}

static void expect_device(struct machine_under_test *m)
{
	int ret = run_vcpu(m);

	if (ret || m->run->exit_reason != KVM_EXIT_MMIO)
		fail_msg("KVM_RUN: %d, reason %u, at %#llx", ret, m->run->exit_reason,
			 (unsigned long long)get_u64(m->vcpu, PC));
}

/* From the first instruction to where the access is next. */
static void lead_up(struct rig *r, const struct access *a)
{
	fill(r);
	write_registers(r->m->vcpu, a->at ? a->at : AT);
	if (!a->before)
		return;
	expect_device(r->m);
	complete(r->m);
}

static void one_access(struct rig *r, const struct access *a, enum badness how, bool warm)
{
	struct registers before, after, good;
	unsigned char stored[DATA_BYTES];
	bool faults = a->write || how != READ_ONLY;
	unsigned int page = (a->at ? a->at : AT) + 32 > PAGE;
	struct prog p = {0};

	if (a->before) {
		p.word[p.n++] = a->before;
		p.word[p.n++] = STR_X9_X10;
	}
	p.word[p.n++] = a->insn;
	p.word[p.n++] = STR_X9_X10;
	memcpy(r->m->ram, p.word, p.n * 4);
	/* The VM starts anew with this code, and with empty TLBs. */
	assert_int_equal(set_region(r->m->vm, 0, 0, 0, 0, 0), 0);
	assert_int_equal(set_region(r->m->vm, 0, 0, RAM, RAM_BYTES, (uintptr_t)r->m->ram), 0);

	/* As it should be. */
	lead_up(r, a);
	expect_device(r->m);
	read_registers(r->m->vcpu, &good);
	memcpy(stored, r->data, DATA_BYTES);
	complete(r->m);

	lead_up(r, a);
	if (!warm) {
		assert_int_equal(set_region(r->m->vm, 1, 0, 0, 0, 0), 0);
		set_data_slot(r);
	}
	read_registers(r->m->vcpu, &before);
	spoil(r, how, page, 1);
	if (faults) {
		/* As often as it is tried. */
		for (unsigned int i = 0; i < 2; i++) {
			int ret = run_vcpu(r->m);

			read_registers(r->m->vcpu, &after);
			if (ret != -EFAULT || memcmp(&before, &after, sizeof(before)))
				fail_msg("%s, badness %u, %s: %d, PC %#llx", a->name, how,
					 warm ? "warm" : "cold", ret, (unsigned long long)after.pc);
		}
		mend(r);
		fill(r);
	}
	expect_device(r->m);
	if (!faults)
		mend(r);
	read_registers(r->m->vcpu, &after);
	complete(r->m);
	if (memcmp(&good, &after, sizeof(good)) || memcmp(stored, r->data, DATA_BYTES))
		fail_msg("%s, badness %u, %s: not as if nothing had been", a->name, how,
			 warm ? "warm" : "cold");
}

static void each_access(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < COUNT(accesses); i++)
		for (unsigned int how = 0; how < NR_BADNESS; how++)
			for (unsigned int warm = 0; warm < 2; warm++)
				one_access(r, &accesses[i], (enum badness)how, warm);
}

/* The store exclusive that follows its load at once: it has not lost its mark. */
static void exclusive_goes_on(void **state)
{
	static const uint32_t words[] = {0xc85f7c01, 0xc8037c02, STR_X9_X10};
	struct rig *r = *state;

	memcpy(r->m->ram, words, sizeof(words));
	write_registers(r->m->vcpu, AT);
	fill(r);
	spoil(r, READ_ONLY, 0, 1);
	assert_int_equal(run_vcpu(r->m), -EFAULT);
	assert_int_equal(get_u64(r->m->vcpu, PC), RAM + 4);
	assert_int_equal(get_u64(r->m->vcpu, X(3)), 0x0303030303030303);
	assert_memory_equal(r->data + AT, &(uint64_t){get_u64(r->m->vcpu, X(1))}, 8);
	assert_int_equal(mprotect(r->data, PAGE, PROT_READ | PROT_WRITE), 0);
	expect_device(r->m);
	assert_int_equal(get_u64(r->m->vcpu, X(3)), 0);
	assert_memory_equal(r->data + AT, &(uint64_t){0x0202020202020202}, 8);
}

/* --- Walks and fetches --- */

/* The table of a data access is in the bad page. */
static void table_walk(void **state)
{
	static const uint32_t words[] = {0xf9400001, STR_X9_X10, 0xd508783e /* at s1e1w, x30 */,
					 STR_X9_X10};
	struct rig *r = *state;
	uint64_t *top = (uint64_t *)(r->m->ram + (TABLE - RAM)), *table = (uint64_t *)r->data;

	memcpy(r->m->ram, words, sizeof(words));
	top[4] = DATA | 3;
	for (unsigned int how = 0; how < NR_BADNESS; how++) {
		/* A block of 2 MiB, without the access flag: the walk is to set it. */
		bool update = how == READ_ONLY;

		table[0] = RAM | ((update ? 0x1ull : 0x401ull) | 1 << 2 | 3 << 8);
		mmu_on(r->m->vcpu, TABLE, TCR_TEST | TCR_HA);
		write_registers(r->m->vcpu, 0);
		set_u64(r->m->vcpu, X(0), TREE + 0x100);
		set_u64(r->m->vcpu, X(30), TREE + 0x100);
		assert_int_equal(set_region(r->m->vm, 1, 0, 0, 0, 0), 0);
		set_data_slot(r);
		spoil(r, how, 0, 1);
		assert_int_equal(run_vcpu(r->m), -EFAULT);
		assert_int_equal(run_vcpu(r->m), -EFAULT);
		assert_int_equal(get_u64(r->m->vcpu, PC), RAM);
		assert_int_equal(get_u64(r->m->vcpu, X(1)), 0x0101010101010101);
		mend(r);
		table[0] = RAM | ((update ? 0x1ull : 0x401ull) | 1 << 2 | 3 << 8);
		expect_device(r->m);
		assert_int_equal(table[0] & 0x400, 0x400);
		assert_memory_equal(r->m->ram + 0x100, &(uint64_t){get_u64(r->m->vcpu, X(1))}, 8);
		complete(r->m);
		/* AT reads the tables and writes nothing. */
		spoil(r, how, 0, 1);
		if (!update) {
			assert_int_equal(run_vcpu(r->m), -EFAULT);
			assert_int_equal(get_u64(r->m->vcpu, PC), RAM + 8);
		}
		mend(r);
		table[0] = RAM | (0x401ull | 1 << 2 | 3 << 8);
		expect_device(r->m);
		complete(r->m);
	}
}

/* Code in the bad page, and the table of the fetch. */
static void fetch(void **state)
{
	static const uint32_t words[] = {0xd503201f /* nop */, STR_X9_X10,
					 0xd508751f /* ic iallu */, 0xd61f0000 /* br x0 */};
	struct rig *r = *state;

	for (unsigned int how = 0; how < NR_BADNESS; how++) {
		memcpy(r->m->ram, words, sizeof(words));
		memcpy(r->data, words, sizeof(words));
		write_registers(r->m->vcpu, 0);
		set_u64(r->m->vcpu, PC, CODE);
		assert_int_equal(set_region(r->m->vm, 1, 0, 0, 0, 0), 0);
		set_data_slot(r);
		spoil(r, how, 0, 1);
		if (how != READ_ONLY) {
			assert_int_equal(run_vcpu(r->m), -EFAULT);
			assert_int_equal(run_vcpu(r->m), -EFAULT);
			assert_int_equal(get_u64(r->m->vcpu, PC), CODE);
			mend(r);
			memcpy(r->data, words, sizeof(words));
		}
		expect_device(r->m);
		complete(r->m);
		assert_int_equal(get_u64(r->m->vcpu, PC), CODE + 8);
		mend(r);
		/* What was translated is compared with memory by IC IALLU: it is gone. */
		set_u64(r->m->vcpu, PC, RAM + 8);
		set_u64(r->m->vcpu, X(0), CODE);
		spoil(r, how, 0, 1);
		if (how != READ_ONLY) {
			assert_int_equal(run_vcpu(r->m), -EFAULT);
			assert_int_equal(get_u64(r->m->vcpu, PC), CODE);
			mend(r);
			memcpy(r->data, words, sizeof(words));
		}
		expect_device(r->m);
		complete(r->m);
		mend(r);
		/* The whole translation regime. */
		((uint64_t *)r->data)[1] = RAM | BLOCK_NORMAL;
		((uint64_t *)r->data)[0] = BLOCK_DEVICE;
		set_u64(r->m->vcpu, PC, RAM);
		mmu_on(r->m->vcpu, DATA, TCR_TEST);
		spoil(r, how, 0, 1);
		if (how != READ_ONLY) {
			assert_int_equal(run_vcpu(r->m), -EFAULT);
			assert_int_equal(get_u64(r->m->vcpu, PC), RAM);
			mend(r);
			((uint64_t *)r->data)[1] = RAM | BLOCK_NORMAL;
			((uint64_t *)r->data)[0] = BLOCK_DEVICE;
		}
		expect_device(r->m);
		complete(r->m);
		mend(r);
		mmu_on(r->m->vcpu, TABLE, TCR_TEST);
	}
}

/* --- The caller's signals --- */

static sigjmp_buf back;
static volatile int theirs[2];
static void *volatile seen_address;
static volatile int seen_code;

static void first_handler(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	theirs[0]++;
	seen_address = info->si_addr;
	seen_code = info->si_code;
	siglongjmp(back, 1);
}

static void second_handler(int sig)
{
	theirs[1]++;
	siglongjmp(back, 1);
}

/* A fault of the caller's own. Not inlined: nothing of the caller's is lost by the jump back. */
static __attribute__((noinline)) void own_fault(volatile char *at)
{
	if (!sigsetjmp(back, 1))
		*at = 1;
}

static __attribute__((noinline)) void own_signal(void)
{
	if (!sigsetjmp(back, 1))
		raise(SIGSEGV);
}

static void guest_fault(struct rig *r)
{
	static const uint32_t words[] = {0xf9000001, STR_X9_X10};

	memcpy(r->m->ram, words, sizeof(words));
	write_registers(r->m->vcpu, AT);
	spoil(r, NO_ACCESS, 0, 1);
	assert_int_equal(run_vcpu(r->m), -EFAULT);
	mend(r);
	expect_device(r->m);
	complete(r->m);
}

static void handlers(void **state)
{
	struct rig *r = *state;
	struct sigaction sa = {.sa_sigaction = first_handler, .sa_flags = SA_SIGINFO}, old, first;
	char *none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	theirs[0] = theirs[1] = 0;
	assert_int_equal(sigaction(SIGSEGV, NULL, &old), 0);
	/* Again and again: each finds the fault in guest memory ours and the other theirs. */
	for (int round = 1; round <= 40; round++) {
		sa = (struct sigaction){.sa_sigaction = first_handler, .sa_flags = SA_SIGINFO};
		sigemptyset(&sa.sa_mask);
		assert_int_equal(sigaction(SIGSEGV, &sa, NULL), 0);
		own_fault(none);
		assert_int_equal(theirs[0], 4 * round - 3);
		guest_fault(r);
		/* Now ours is first. What it does not know goes on, whole. */
		seen_address = NULL;
		own_fault(none + 5);
		assert_int_equal(theirs[0], 4 * round - 2);
		assert_ptr_equal(seen_address, none + 5);
		assert_int_equal(seen_code, SEGV_ACCERR);
		/*
		 * Another of theirs in its place, and back to what the caller was told was there.
		 */
		sa = (struct sigaction){.sa_handler = second_handler, .sa_flags = SA_NODEFER};
		assert_int_equal(sigaction(SIGSEGV, &sa, &first), 0);
		guest_fault(r);
		own_fault(none);
		assert_int_equal(theirs[1], round);
		assert_int_equal(sigaction(SIGSEGV, &first, NULL), 0);
		guest_fault(r);
		own_fault(none);
		assert_int_equal(theirs[0], 4 * round - 1);
		assert_int_equal(theirs[1], round);
		own_signal();
		assert_int_equal(theirs[0], 4 * round);
		assert_int_equal(seen_code, SI_TKILL);
	}
	sigaction(SIGSEGV, &old, NULL);
	munmap(none, PAGE);
}

static void at_exchange(int sig)
{
	theirs[0] = theirs[1] + 1;
	siglongjmp(back, 1);
}

static void other_at_exchange(int sig)
{
	theirs[0] = theirs[1] + 2;
	siglongjmp(back, 1);
}

static _Atomic unsigned int exchanges; /* that may be made; made: one less */
static _Atomic unsigned int exchanged;

/* Install one handler and the other in turn, each time after the signal to go. */
static void *exchange(void *arg)
{
	struct sigaction sa = {0};

	for (unsigned int i = 1; i <= EXCHANGES; i++) {
		while (atomic_load(&exchanges) < i)
			;
		for (volatile unsigned int wait = i % 64 * 16; wait; wait--)
			;
		sa.sa_handler = i % 2 ? at_exchange : other_at_exchange;
		sigaction(SIGSEGV, &sa, NULL);
		atomic_store(&exchanged, i);
	}
	return NULL;
}

/*
 * A thread installs a handler just as another one enters the guest, which installs ours: whichever
 * comes first, theirs is behind ours then, or before it.
 */
static void expect_handler(unsigned int i, unsigned int which)
{
	theirs[0] = 0;
	theirs[1] = (int)i * 4;
	if (!sigsetjmp(back, 1))
		raise(SIGSEGV);
	assert_int_equal(theirs[0], i * 4 + which);
}

static void handlers_at_once(void **state)
{
	struct sigaction sa = {.sa_handler = second_handler}, old;
	struct rig *r = *state;
	pthread_t t;

	/* Their sigaction(2) does not read and replace in one step: QEMU's, ThreadSanitizer's. */
	if (getenv("MESON_EXE_WRAPPER") || UNDER_TSAN)
		skip();
	assert_int_equal(sigaction(SIGSEGV, NULL, &old), 0);
	atomic_store(&exchanges, 0);
	atomic_store(&exchanged, 0);
	assert_int_equal(pthread_create(&t, NULL, exchange, NULL), 0);
	r->m->run->immediate_exit = 1;
	for (unsigned int i = 1; i <= EXCHANGES; i++) {
		/* Whatever ours hands on to must not be what the thread installs now. */
		sigaction(SIGSEGV, &sa, NULL);
		atomic_store(&exchanges, i);
		assert_int_equal(run_vcpu(r->m), -EINTR);
		while (atomic_load(&exchanged) < i)
			;
		expect_handler(i, i % 2 ? 1 : 2);
	}
	pthread_join(t, NULL);
	sigaction(SIGSEGV, &old, NULL);
}

/* Install a handler and enter the guest, over and over. */
static void *install_and_enter(void *arg)
{
	struct sigaction sa = {.sa_handler = second_handler};
	struct rig *r = arg;

	while (!atomic_load(&finished)) {
		sigaction(SIGSEGV, &sa, NULL);
		run_vcpu(r->m);
	}
	return NULL;
}

/* A child that was made at any moment can run a VM of its own. */
static void fork_at_once(void **state)
{
	struct rig *r = *state;
	struct sigaction old;
	pthread_t t;
	int status;

	assert_int_equal(sigaction(SIGSEGV, NULL, &old), 0);
	atomic_store(&finished, false);
	r->m->run->immediate_exit = 1;
	assert_int_equal(pthread_create(&t, NULL, install_and_enter, r), 0);
	for (unsigned int i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct sigaction sa = {.sa_handler = at_exchange};
			void *own;

			sigaction(SIGSEGV, &sa, NULL);
			set_up(&own);
			((struct machine_under_test *)own)->run->immediate_exit = 1;
			_exit(run_vcpu(own) == -EINTR ? 0 : 1);
		}
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	}
	atomic_store(&finished, true);
	pthread_join(t, NULL);
	sigaction(SIGSEGV, &old, NULL);
}

/* KVM_RUN with the signals blocked: a fault in guest memory is no matter of the mask. */
static void blocked(void **state)
{
	struct rig *r = *state;
	sigset_t set, old, now;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	guest_fault(r);
	pthread_sigmask(SIG_SETMASK, &old, &now);
	assert_true(sigismember(&now, SIGSEGV) && sigismember(&now, SIGBUS));
}

/* How a child ends that has a VM of its own, with a fault in it behind it. */
static int child_status(void (*what)(void), void (*disposition)(int))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		struct rlimit none = {0, 0};
		void *state = NULL;

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, disposition);
		signal(SIGBUS, disposition);
		rig_set_up(&state);
		guest_fault(state);
		what();
		_exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void crash(void)
{
	volatile char *none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*none = 1;
}

static void bus_error(void)
{
	int fd = memfd_create("short", 0);
	volatile char *beyond = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	*beyond = 1;
}

static void send(void)
{
	kill(getpid(), SIGSEGV);
}

static void endings(void **state)
{
	int status = child_status(crash, SIG_DFL);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = child_status(bus_error, SIG_DFL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = child_status(send, SIG_DFL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	/* An ignored fault ends the process all the same; a signal that was sent is ignored. */
	status = child_status(crash, SIG_IGN);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = child_status(send, SIG_IGN);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* --- Threads --- */

#define ROUNDS 300

/* Protects and frees pages while vCPUs run over them. */
static void *come_and_go(void *arg)
{
	struct rig *r = arg;

	for (unsigned int i = 0; !atomic_load(&finished); i++) {
		mprotect(r->data, DATA_BYTES, i % 2 ? PROT_NONE : PROT_READ);
		usleep(20);
		mprotect(r->data, DATA_BYTES, PROT_READ | PROT_WRITE);
		usleep(100);
	}
	return NULL;
}

static void threads(void **state)
{
	static const uint32_t words[] = {
		0xf8210002, /* 1: ldadd x1, x2, [x0] */
		0xd1000463, /* sub x3, x3, #1 */
		0xb5ffffc3, /* cbnz x3, 1b */
		STR_X9_X10,
	};
	struct rig *r = *state;
	unsigned int faults = 0;
	pthread_t t;

	memcpy(r->m->ram, words, sizeof(words));
	memset(r->data, 0, DATA_BYTES);
	atomic_store(&finished, false);
	assert_int_equal(pthread_create(&t, NULL, come_and_go, r), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		int ret;

		write_registers(r->m->vcpu, AT);
		set_u64(r->m->vcpu, X(1), 1);
		set_u64(r->m->vcpu, X(3), 10000);
		while ((ret = run_vcpu(r->m)) == -EFAULT)
			faults++;
		assert_int_equal(ret, 0);
		assert_int_equal(r->m->run->exit_reason, KVM_EXIT_MMIO);
		complete(r->m);
	}
	atomic_store(&finished, true);
	pthread_join(t, NULL);
	/* Each was done once, however often it had to be started. */
	assert_memory_equal(r->data + AT, &(uint64_t){ROUNDS * 10000ull}, 8);
	assert_true(faults > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_access), TEST(exclusive_goes_on), TEST(table_walk),   TEST(fetch),
		TEST(handlers),    TEST(handlers_at_once),  TEST(fork_at_once), TEST(blocked),
		TEST(endings),     TEST(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
