/* SPDX-License-Identifier: MIT */
/*
 * KVM_SET_USER_MEMORY_REGION: every error that Linux gives, and that memory is where the slots say.
 */
#include <string.h>
#include <sys/mman.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define PAGE         4096ull
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

/* Run: load 8 bytes from X1, store them to X2. */
static void load_and_report(struct machine_under_test *m, uint64_t from)
{
	struct prog p = {0};

	a_ldr(&p, 3, 0, 1);
	a_str(&p, 3, 0, 2);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[1]), from), 0);
	assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[2]), MMIO), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
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

/* Many slots: found, and quick enough. */
static void many_slots(void **state)
{
	struct machine_under_test *m = *state;
	uint32_t i;

	for (i = 1; i < 2000; i++)
		assert_int_equal(set_region(m->vm, i, 0, 0x80000000ull + i * 2 * PAGE, PAGE,
					    HVA(m, i % 200)),
				 0);
	m->ram[77 * PAGE] = 0x42;
	load_and_report(m, 0x80000000ull + 277 * 2 * PAGE);
	assert_int_equal(m->run->mmio.is_write, 1);
	assert_int_equal(m->run->mmio.data[0], 0x42);
	for (i = 1; i < 2000; i++)
		assert_int_equal(set_region(m->vm, i, 0, 0, 0, 0), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(errors),    T(memory_moves), T(code_is_replaced), T(readonly_store_exits),
		T(dirty_log), T(many_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
