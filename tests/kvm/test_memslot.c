/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_USER_MEMORY_REGION: every error that Linux gives, and that memory is where the slots say.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define HVA(m, page) ((uintptr_t)(m)->ram + (page)*PAGE)
#define LOG          KVM_MEM_LOG_DIRTY_PAGES
#define RO           KVM_MEM_READONLY

struct row {
	uint32_t slot, flags;
	uint64_t gpa, size;
	int64_t host_offset; /* from the RAM's first byte */
	int ret;
};

/* Slot 0 is RAM, 0x100 pages at 0x40000000. */
static const struct row rows[] = {
	/* What is checked of the argument alone. */
	{1, 4, 0, PAGE, 0, -EINVAL},
	{1, 0, 0, 100, 0, -EINVAL},
	{1, 0, 100, PAGE, 0, -EINVAL},
	{1, 0, 0, PAGE, 100, -EINVAL},
	{32767, 0, 0, PAGE, 0, -EINVAL},
	{0xffff, 0, 0, PAGE, 0, -EINVAL},
	{1 << 16, 0, 0, PAGE, 0, -EINVAL},
	{1, 0, ~0xfffull, 2 * PAGE, 0, -EINVAL},
	{1, 0, 0, 1ull << 63, 0, -EINVAL},
	{1, 0, 0, 0, 0, -EINVAL},
	/* Of the slots. */
	{1, 0, RAM, PAGE, 0, -EEXIST},
	{1, 0, RAM + RAM_BYTES - PAGE, 2 * PAGE, 0, -EEXIST},
	{1, 0, RAM - PAGE, 2 * PAGE, 0, -EEXIST},
	{1, 0, 1ull << 40, PAGE, 0, -EFAULT},
	{1, 0, (1ull << 40) - PAGE, 2 * PAGE, 0, -EFAULT},
	{0, 0, RAM, RAM_BYTES / 2, 0, -EINVAL},
	{0, 0, RAM, RAM_BYTES, 0x1000, -EINVAL},
	{0, RO, RAM, RAM_BYTES, 0, -EINVAL},
	{0, 0, RAM, RAM_BYTES, 0, 0},
	/* Create next to it, move, change flags, delete. */
	{1, 0, RAM + RAM_BYTES, PAGE, 0, 0},
	{2, 0, RAM + RAM_BYTES, PAGE, 0, -EEXIST},
	{1, 0, RAM + RAM_BYTES + PAGE, PAGE, 0, 0},
	{2, RO, RAM + RAM_BYTES, PAGE, 0, 0},
	{1, 0, RAM + RAM_BYTES, PAGE, 0, -EEXIST},
	{1, LOG, RAM + RAM_BYTES + PAGE, PAGE, 0, 0},
	{1, LOG | RO, RAM + RAM_BYTES + PAGE, PAGE, 0, -EINVAL},
	{1, 0, RAM + RAM_BYTES + PAGE, PAGE, 0, 0},
	{2, 0, 0, 0, 0, 0},
	{2, 0, 0, 0, 0, -EINVAL},
	{1, 0, RAM + RAM_BYTES, PAGE, 0, 0},
	/* A moved slot may overlap its own old place. */
	{3, 0, 0x10000, 4 * PAGE, 0, 0},
	{3, 0, 0x11000, 4 * PAGE, 0, 0},
	{32766, 0, 0, PAGE, 0, 0},
	{32766, 0, 0, 0, 0, 0},
};

static void errors(void **state)
{
	struct machine_under_test *m = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *r = &rows[i];
		int ret = set_region(m->vm, r->slot, r->flags, r->gpa, r->size,
				     (uintptr_t)m->ram + (uint64_t)r->host_offset);

		if (ret != r->ret)
			fail_msg("row %zu: %d, should be %d", i, ret, r->ret);
	}
}

/* Run: load 8 bytes from X1 (or store to it), store them to X2. */
static void access_and_report(struct machine_under_test *m, uint64_t from, bool store)
{
	struct prog p = {0};

	if (store)
		a_str(&p, 3, 0, 1);
	else
		a_ldr(&p, 3, 0, 1);
	a_str(&p, 3, 0, 2);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[1]), from), 0);
	assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[2]), MMIO), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
}

static void load_and_report(struct machine_under_test *m, uint64_t from)
{
	access_and_report(m, from, false);
}

static void store_and_report(struct machine_under_test *m, uint64_t to)
{
	access_and_report(m, to, true);
}

/* Complete what waits, so that the next register writes count. */
static void settle(struct machine_under_test *m)
{
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	m->run->immediate_exit = 0;
}

/* The guest finds memory where the slots put it, also after a move and a deletion. */
static void memory_moves(void **state)
{
	struct machine_under_test *m = *state;
	uint64_t a = 0x1111222233334444, value;

	memcpy(m->ram + 16 * PAGE, &a, 8);
	assert_int_equal(set_region(m->vm, 1, 0, 0x10000000, PAGE, HVA(m, 16)), 0);
	load_and_report(m, 0x10000000);
	assert_int_equal(m->run->mmio.is_write, 1);
	memcpy(&value, m->run->mmio.data, 8);
	assert_int_equal(value, a);
	settle(m);
	assert_int_equal(set_region(m->vm, 1, 0, 0x20000000, PAGE, HVA(m, 16)), 0);
	load_and_report(m, 0x20000000);
	assert_int_equal(m->run->mmio.is_write, 1);
	settle(m);
	load_and_report(m, 0x10000000);
	assert_int_equal(m->run->mmio.is_write, 0);
	assert_int_equal(m->run->mmio.phys_addr, 0x10000000);
	settle(m);
	assert_int_equal(set_region(m->vm, 1, 0, 0, 0, 0), 0);
	load_and_report(m, 0x20000000);
	assert_int_equal(m->run->mmio.is_write, 0);
}

/* Code that was replaced by another slot is not executed from memory of it. */
static void code_is_replaced(void **state)
{
	struct machine_under_test *m = *state;
	struct prog p = {0};
	uint64_t value, i;

	for (i = 0; i < 2; i++) {
		p.n = 0;
		a_movi(&p, 0, 100 + i);
		a_str(&p, 3, 0, 2);
		memcpy(m->ram + (32 + i) * PAGE, p.word, p.n * 4);
		assert_int_equal(set_region(m->vm, 1, 0, 0x10000000, PAGE, HVA(m, 32 + i)), 0);
		assert_int_equal(set_u64(m->vcpu, PC, 0x10000000), 0);
		assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[2]), MMIO), 0);
		assert_int_equal(run_vcpu(m), 0);
		memcpy(&value, m->run->mmio.data, 8);
		assert_int_equal(value, 100 + i);
		settle(m);
		assert_int_equal(set_region(m->vm, 1, 0, 0, 0, 0), 0);
	}
}

static void readonly_store_exits(void **state)
{
	struct machine_under_test *m = *state;
	struct prog p = {0};

	memset(m->ram + 16 * PAGE, 0x55, 8);
	assert_int_equal(set_region(m->vm, 1, RO, 0x10000000, PAGE, HVA(m, 16)), 0);
	a_ldr(&p, 3, 0, 1);
	a_str(&p, 3, 2, 1);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[1]), 0x10000000), 0);
	assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[2]), 0x99), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(m->run->mmio.is_write, 1);
	assert_int_equal(m->run->mmio.phys_addr, 0x10000000);
	assert_int_equal(m->run->mmio.data[0], 0x99);
	assert_int_equal(m->ram[16 * PAGE], 0x55);
	assert_int_equal(get_u64(m->vcpu, CORE_ID(regs.regs[0])), 0x5555555555555555);
}

/* ---- The dirty log ---- */

#define LOGGED 0x10000000ull
#define PAGES  128

static int get_log(struct machine_under_test *m, uint32_t slot, uint64_t *bits)
{
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bits};

	return CALL_PTR(m->vm, KVM_GET_DIRTY_LOG, &log);
}

/* Let the guest store to page @page of the logged slot. */
static void touch(struct machine_under_test *m, unsigned int page, bool store)
{
	struct prog p = {0};

	a_ldr(&p, 3, 0, 1);
	if (store)
		a_str(&p, 3, 0, 1);
	a_str(&p, 3, 0, 2);
	/* The program lies elsewhere each time: no code is changed under the guest. */
	memcpy(m->ram + 4 * PAGE + page * 64 + store * 32, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM + 4 * PAGE + page * 64 + store * 32), 0);
	assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[1]), LOGGED + page * PAGE + 8), 0);
	assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[2]), MMIO), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(m->run->mmio.phys_addr, MMIO);
	settle(m);
}

static void dirty_log(void **state)
{
	struct machine_under_test *m = *state;
	uint64_t bits[PAGES / 64];

	assert_int_equal(get_log(m, 1, bits), -ENOENT);
	assert_int_equal(get_log(m, 0, bits), -ENOENT);
	assert_int_equal(get_log(m, 32767, bits), -EINVAL);
	assert_int_equal(set_region(m->vm, 1, 0, LOGGED, PAGES * PAGE, HVA(m, 64)), 0);
	touch(m, 3, true);
	assert_int_equal(set_region(m->vm, 1, LOG, LOGGED, PAGES * PAGE, HVA(m, 64)), 0);
	/* What was written before does not count; nor do loads. */
	touch(m, 5, false);
	assert_int_equal(get_log(m, 1, bits), 0);
	assert_int_equal(bits[0] | bits[1], 0);
	touch(m, 3, true);
	touch(m, 64, true);
	touch(m, 127, true);
	assert_int_equal(get_log(m, 1, bits), 0);
	assert_int_equal(bits[0], 1ull << 3);
	assert_int_equal(bits[1], 1ull | 1ull << 63);
	/* Taken and begun anew: a page that is written again shows again. */
	assert_int_equal(get_log(m, 1, bits), 0);
	assert_int_equal(bits[0] | bits[1], 0);
	touch(m, 3, true);
	touch(m, 3, true);
	assert_int_equal(get_log(m, 1, bits), 0);
	assert_int_equal(bits[0], 1ull << 3);
	assert_int_equal(get_log(m, 1, (uint64_t *)0x1000), -EFAULT);
	assert_int_equal(set_region(m->vm, 1, 0, LOGGED, PAGES * PAGE, HVA(m, 64)), 0);
	assert_int_equal(get_log(m, 1, bits), -ENOENT);
}

/* ---- Changes while a thread sets the vCPU's registers ---- */

#define TABLES    (RAM + 0x10000)
#define UPPER_VA  0xffffff8000000000ull
#define UPPER_PA  0x80000000ull
#define TTBR0_EL1 ARM64_SYS_REG(3, 0, 2, 0, 0)
#define ROUNDS    2000

/* Device at 0, RAM where it is; UPPER_VA is UPPER_PA, global: a line of it outlives a new TTBR0. */
static void tables_on(struct machine_under_test *m)
{
	uint64_t *lower = (uint64_t *)(m->ram + 0x10000), *upper = lower + 512;

	lower[0] = 0x401;
	lower[1] = RAM | 0x401 | 1 << 2 | 3 << 8;
	upper[0] = UPPER_PA | 0x401 | 1 << 2 | 3 << 8;
	assert_int_equal(set_u64(m->vcpu, ARM64_SYS_REG(3, 0, 2, 0, 1), TABLES + PAGE), 0);
	mmu_on(m->vcpu, TABLES, 25 | 25 << 16 | 2ull << 30 | 2ull << 32);
}

struct setter {
	struct machine_under_test *m;
	pthread_t thread;
	_Atomic unsigned int sets; /* of TTBR0 */
	_Atomic bool go, stop;
};

static void *set_ttbr0(void *arg)
{
	struct setter *s = arg;

	while (!s->stop) {
		if (!s->go) {
			sched_yield();
			continue;
		}
		/* CnP: the same tables, and the bank is chosen anew. */
		set_u64(s->m->vcpu, TTBR0_EL1, TABLES | (s->sets & 1));
		s->sets++;
	}
	return NULL;
}

/* Let @change happen while registers are set, at some moment that each round has another of. */
static void beside_setter(struct setter *s, unsigned int round,
			  void (*change)(struct machine_under_test *m))
{
	unsigned int before = s->sets;

	s->go = true;
	while (s->sets == before)
		sched_yield();
	for (volatile unsigned int spin = 0; spin < round % 97 * 20; spin++)
		;
	change(s->m);
	s->go = false;
}

static void with_setter(struct machine_under_test *m,
			void (*round)(struct setter *s, unsigned int i))
{
	struct setter s = {.m = m};

	tables_on(m);
	assert_int_equal(pthread_create(&s.thread, NULL, set_ttbr0, &s), 0);
	for (unsigned int i = 0; i < ROUNDS; i++)
		round(&s, i);
	s.stop = true;
	pthread_join(s.thread, NULL);
}

static void delete_slot(struct machine_under_test *m)
{
	assert_int_equal(set_region(m->vm, 1, 0, 0, 0, 0), 0);
}

/* Once the call has returned, the guest does not reach the memory of a deleted slot. */
static void deletion_round(struct setter *s, unsigned int i)
{
	struct machine_under_test *m = s->m;

	assert_int_equal(set_region(m->vm, 1, 0, UPPER_PA, PAGE, HVA(m, 64)), 0);
	load_and_report(m, UPPER_VA);
	assert_int_equal(m->run->mmio.is_write, 1);
	settle(m);
	beside_setter(s, i, delete_slot);
	load_and_report(m, UPPER_VA);
	if (m->run->mmio.is_write)
		fail_msg("round %u: the guest has read the memory of a slot that is gone", i);
	settle(m);
}

static void deletion_while_registers_are_set(void **state)
{
	with_setter(*state, deletion_round);
}

static void take_log(struct machine_under_test *m)
{
	uint64_t bits = 0;

	assert_int_equal(get_log(m, 1, &bits), 0);
	assert_int_equal(bits, 1);
}

/* A page that was in the log is in the next one when it is written again. */
static void log_round(struct setter *s, unsigned int i)
{
	struct machine_under_test *m = s->m;
	uint64_t bits = 0;

	store_and_report(m, UPPER_VA);
	settle(m);
	beside_setter(s, i, take_log);
	store_and_report(m, UPPER_VA);
	settle(m);
	assert_int_equal(get_log(m, 1, &bits), 0);
	if (bits != 1)
		fail_msg("round %u: a page was written, and the log does not have it", i);
	store_and_report(m, UPPER_VA);
	settle(m);
}

static void log_while_registers_are_set(void **state)
{
	struct machine_under_test *m = *state;

	assert_int_equal(set_region(m->vm, 1, LOG, UPPER_PA, PAGE, HVA(m, 64)), 0);
	with_setter(m, log_round);
}

/* As many slots as there can be, but for the RAM's: made, moved, found and deleted. */
#define MANY       32766u
#define BEFORE(i)  (0x80000000ull + (i)*2 * PAGE)
#define AFTER(i)   (0x4000000000ull - (i)*3 * PAGE)
#define ITS_HVA(i) HVA(m, 16 + (i) % 200)

static void many_slots(void **state)
{
	struct machine_under_test *m = *state;
	uint32_t i;

	for (i = 1; i <= MANY; i++)
		assert_int_equal(set_region(m->vm, i, 0, BEFORE(i), PAGE, ITS_HVA(i)), 0);
	/* The last number is in use, and so is each address; between them is nothing. */
	assert_int_equal(set_region(m->vm, MANY + 1, 0, 0, PAGE, HVA(m, 0)), -EINVAL);
	assert_int_equal(set_region(m->vm, 1, 0, BEFORE(2), PAGE, ITS_HVA(1)), -EEXIST);
	for (i = 1; i <= MANY; i += 997) {
		m->ram[(16 + i % 200) * PAGE] = (unsigned char)i;
		load_and_report(m, BEFORE(i));
		assert_int_equal(m->run->mmio.is_write, 1);
		assert_int_equal(m->run->mmio.data[0], (unsigned char)i);
		settle(m);
		load_and_report(m, BEFORE(i) + PAGE);
		assert_int_equal(m->run->mmio.is_write, 0);
		settle(m);
	}
	for (i = 1; i <= MANY; i++)
		assert_int_equal(set_region(m->vm, i, 0, AFTER(i), PAGE, ITS_HVA(i)), 0);
	for (i = 1; i <= MANY; i += 997) {
		load_and_report(m, AFTER(i));
		assert_int_equal(m->run->mmio.is_write, 1);
		settle(m);
		load_and_report(m, BEFORE(i));
		assert_int_equal(m->run->mmio.is_write, 0);
		settle(m);
	}
	for (i = 1; i <= MANY; i++)
		assert_int_equal(set_region(m->vm, i, 0, 0, 0, 0), 0);
	load_and_report(m, AFTER(1));
	assert_int_equal(m->run->mmio.is_write, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(errors),
		T(memory_moves),
		T(code_is_replaced),
		T(readonly_store_exits),
		T(dirty_log),
		T(many_slots),
		T(deletion_while_registers_are_set),
		T(log_while_registers_are_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
