/* SPDX-License-Identifier: MIT */
/*
 * From inside the library: a number's object goes, and its handle becomes another's, between the
 * look at what the number stands for and the reference that is taken. The linker puts this test
 * into that gap (--wrap=number_entry).
 */
#include <fcntl.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "tests/kvm/common.h"

static void (*in_the_gap)(void);
static unsigned int looks;

uintptr_t __real_number_entry(int fd);
uintptr_t __wrap_number_entry(int fd);

uintptr_t __wrap_number_entry(int fd)
{
	uintptr_t entry = __real_number_entry(fd);
	void (*happens)(void) = in_the_gap;

	looks++;
	in_the_gap = NULL;
	if (happens)
		happens();
	return entry;
}

static int first, null, later;
static uintptr_t handle;

/* The number is closed, and becomes that of an ordinary file; the handle that of a third one. */
static void change_hands(void)
{
	armature_close(first);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	later = armature_open();
}

static void close_only(void)
{
	armature_close(first);
	later = armature_open();
}

static void open_known(void)
{
	first = armature_open();
	assert_true(first >= 0 && armature_knows(first));
	handle = __real_number_entry(first);
	assert_true(handle && !(handle & 1) && handle != NUMBER_OTHER);
}

static void another_object(void **state)
{
	for (unsigned int i = 0; i < 100; i++) {
		open_known();
		looks = 0;
		in_the_gap = change_hands;
		assert_int_equal(call(first, KVM_GET_API_VERSION, 0), -ENOTTY);
		assert_true(looks >= 2);
		assert_int_equal(null, first);
		assert_true(later != first && armature_knows(later));
		assert_int_equal(__real_number_entry(later), handle);
		assert_int_equal(call(later, KVM_GET_API_VERSION, 0), KVM_API_VERSION);
		/* What was taken was given back: the object goes, and its handle is free again. */
		armature_close(later);
		open_known();
		assert_int_equal(__real_number_entry(first), handle);
		armature_close(first);
		armature_fds_begin((unsigned int)null, (unsigned int)null);
		close(null);
		armature_fds_end((unsigned int)null, (unsigned int)null);
	}
}

/* The same number and the same handle for the next object: that is who is asked. */
static void same_number(void **state)
{
	open_known();
	in_the_gap = close_only;
	assert_int_equal(call(first, KVM_GET_API_VERSION, 0), KVM_API_VERSION);
	assert_int_equal(later, first);
	armature_close(later);
	assert_false(armature_knows(first));
}

/* A duplicate is left: the object stays, but the number is no longer its. */
static void a_duplicate(void **state)
{
	int other;

	open_known();
	other = dup(first);
	in_the_gap = change_hands;
	later = -1;
	assert_int_equal(call(first, KVM_GET_API_VERSION, 0), -ENOTTY);
	/* The duplicate keeps the first object. */
	assert_int_equal(call(other, KVM_GET_API_VERSION, 0), KVM_API_VERSION);
	assert_int_equal(call(later, KVM_GET_API_VERSION, 0), KVM_API_VERSION);
	armature_close(other);
	armature_close(later);
	armature_close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_object),
		cmocka_unit_test(same_number),
		cmocka_unit_test(a_duplicate),
	};

	if (armature_promise(ARMATURE_TELLS_DESCRIPTORS))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
