/* SPDX-License-Identifier: MIT */
/* KVM_GET_STATS_FD: the file describes itself, and its counters follow the guest. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform/asm.h"
#include "tests/kvm/common.h"

#define NO_STAT UINT64_MAX

/* A counter by its name, as a VMM looks for it. */
static uint64_t stat(int fd, const char *name)
{
	struct kvm_stats_header h;
	uint64_t value = NO_STAT;

	assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
	for (unsigned int i = 0; i < h.num_desc; i++) {
		size_t size = sizeof(struct kvm_stats_desc) + h.name_size;
		struct kvm_stats_desc *d = malloc(size);

		assert_int_equal(pread(fd, d, size, (off_t)(h.desc_offset + i * size)), size);
		if (!strcmp(d->name, name)) {
			assert_int_equal(d->size, 1);
			assert_int_equal(pread(fd, &value, 8, h.data_offset + d->offset), 8);
		}
		free(d);
	}
	return value;
}

static void counts(void **state)
{
	struct machine_under_test *m = *state;
	struct prog p = {0};
	int fd = call(m->vcpu, KVM_GET_STATS_FD, 0);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(stat(fd, "instructions"), 0);
	assert_int_equal(stat(fd, "no such counter"), NO_STAT);
	a_nop(&p);
	a_hvc(&p, 0);
	a_str(&p, 3, 0, 10);
	memcpy(m->ram, p.word, p.n * 4);
	assert_int_equal(set_u64(m->vcpu, PC, RAM), 0);
	assert_int_equal(set_u64(m->vcpu, CORE_ID(regs.regs[10]), MMIO), 0);
	assert_int_equal(run_vcpu(m), 0);
	assert_int_equal(m->run->exit_reason, KVM_EXIT_MMIO);
	/* The store is not done before the VMM has done it. */
	assert_int_equal(stat(fd, "instructions"), 2);
	assert_int_equal(stat(fd, "hvc_exit_stat"), 1);
	assert_int_equal(stat(fd, "mmio_exit_user"), 1);
	assert_true(stat(fd, "exits") >= 2);
	m->run->immediate_exit = 1;
	assert_int_equal(run_vcpu(m), -EINTR);
	assert_int_equal(stat(fd, "instructions"), 3);

	int again = call(m->vcpu, KVM_GET_STATS_FD, 0);

	assert_int_equal(stat(again, "instructions"), 3);
	close(again);
	close(fd);
}

static void of_a_vm(void **state)
{
	struct machine_under_test *m = *state;
	struct kvm_stats_header h;
	int fd = call(m->vm, KVM_GET_STATS_FD, 0);

	assert_int_equal(call(m->vm, KVM_CHECK_EXTENSION, KVM_CAP_BINARY_STATS_FD), 1);
	assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(h.num_desc, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_a_vm, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
