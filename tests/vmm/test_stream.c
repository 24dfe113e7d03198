/* SPDX-License-Identifier: MIT */
/*
 * Output streams, and what goes through them; and allocations that fail, each in its turn.
 */
#include "support.h"
#include "vmm/pl011.h"
#include "vmm/pl031.h"
#include "vmm/report.h"
#include "vmm/stream.h"
#include "vmm/trace.h"
#include "vmm/virtio_blk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define SIZE 4096u

/* ---- Allocations that fail -------------------------------------------------------------- */

static unsigned int fail_in; /* that many calloc() from now; 0: none does */

void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);

void *__wrap_calloc(size_t nr, size_t size)
{
	if (fail_in && !--fail_in) {
		errno = ENOMEM;
		return NULL;
	}
	return __real_calloc(nr, size);
}

static int make_trace(void)
{
	struct vmm_trace *trace;
	int err = vmm_trace_open(open("/dev/null", O_WRONLY), 0, &trace);

	if (err)
		return err;
	err = vmm_trace_begin(trace, NULL, NULL);
	vmm_trace_close(trace);
	return err;
}

static int make_report(void)
{
	const int err = vmm_report_start();

	vmm_report_stop();
	return err;
}

static int make_pl011(void)
{
	struct vmm_bus bus = {0};
	struct vmm_device *device;
	struct test_line line;
	const int err =
		(test_line_init(&line, 33),
		 vmm_pl011_create(&(struct vmm_pl011_config){.line = line.line}, &bus, &device));

	if (!err)
		device->destroy(device);
	return err;
}

static int make_pl031(void)
{
	struct vmm_loop loop;
	struct vmm_bus bus = {0};
	struct vmm_device *device;
	struct test_line line;
	int err = vmm_loop_init(&loop);

	test_line_init(&line, 34);
	err = vmm_pl031_create(0, &line.line, &bus, &loop, &device);
	if (!err)
		device->destroy(device);
	vmm_loop_destroy(&loop);
	return err;
}

static int make_disk(void)
{
	const struct vmm_disk disk = {.fd = open("/dev/null", O_RDWR), .sectors = 1};
	struct vmm_bus bus = {0};
	struct vmm_device *device;
	struct test_line line;
	struct vmm_memory mem = {0};
	int err;

	test_line_init(&line, 48);
	err = vmm_virtio_blk_create(0, 0, &line.line, &mem, &disk, &bus, &device);
	if (!err)
		device->destroy(device);
	return err;
}

static void no_memory(void **state)
{
	static const struct {
		const char *name;
		int (*make)(void);
		unsigned int allocations;
	} table[] = {
		{"trace", make_trace, 2}, {"report", make_report, 1}, {"pl011", make_pl011, 1},
		{"pl031", make_pl031, 1}, {"disk", make_disk, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		for (unsigned int n = 1; n <= table[i].allocations; n++) {
			int err;

			fail_in = n;
			capture_begin();
			err = table[i].make();
			capture_end();
			if (err != -ENOMEM || fail_in)
				fail_msg("%s, allocation %u: %d", table[i].name, n, err);
		}
		assert_int_equal(table[i].make(), 0);
	}
}

/* ---- Streams ---------------------------------------------------------------------------- */

static struct {
	int fds[2];
	struct vmm_stream *stream;
	unsigned int rooms; /* atomic */
} f;

static void room(void *opaque)
{
	__atomic_fetch_add(&f.rooms, 1, __ATOMIC_SEQ_CST);
}

static void open_stream(int fd, size_t batch)
{
	assert_int_equal(vmm_stream_open(
				 &(struct vmm_stream_config){
					 .fd = fd, .size = SIZE, .batch = batch, .room = room},
				 &f.stream),
			 0);
}

/* A pipe of one page, so that it is soon full. */
static void open_pipe(size_t batch)
{
	memset(&f, 0, sizeof(f));
	assert_int_equal(pipe(f.fds), 0);
	assert_true(fcntl(f.fds[1], F_SETPIPE_SZ, 4096) >= 4096);
	open_stream(f.fds[1], batch);
}

static void read_exactly(uint8_t *to, size_t len)
{
	while (len) {
		const ssize_t n = read(f.fds[0], to, len);

		assert_true(n > 0);
		to += n;
		len -= (size_t)n;
	}
}

static struct vmm_stream_end close_pipe(void)
{
	struct vmm_stream_end end;

	vmm_stream_close(f.stream, &end);
	close(f.fds[0]);
	close(f.fds[1]);
	return end;
}

/* Bytes come out as they went in, in pieces of every size, round the ring's end. */
static void keeps_the_order(void **state)
{
	uint8_t in[700], out[700], next = 0;

	open_pipe(1);
	for (unsigned int i = 0; i < sizeof(in); i++) {
		for (unsigned int n = 0; n < i; n++)
			in[n] = next++;
		assert_true(vmm_stream_put(f.stream, in, i));
		read_exactly(out, i);
		assert_memory_equal(in, out, i);
	}
	assert_int_equal(close_pipe().lost, 0);
}

static void *reader(void *opaque)
{
	uint64_t *count = opaque;
	uint8_t byte;

	while (read(f.fds[0], &byte, 1) == 1)
		(*count)++;
	return NULL;
}

static void *putter(void *opaque)
{
	uint64_t *count = opaque;

	while (*count < 20000)
		*count += vmm_stream_put(f.stream, "x", 1);
	return NULL;
}

/* Threads that put at once: all that was taken arrives, and what was not is counted. */
static void many_putters(void **state)
{
	uint64_t put[3] = {0}, got = 0;
	pthread_t threads[3], read_thread;
	struct vmm_stream_end end;

	open_pipe(1);
	pthread_create(&read_thread, NULL, reader, &got);
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_create(&threads[i], NULL, putter, &put[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	vmm_stream_close(f.stream, &end);
	close(f.fds[1]);
	pthread_join(read_thread, NULL);
	close(f.fds[0]);
	assert_int_equal(got, 60000);
	assert_int_equal(end.error, 0);
}

/* Nobody reads: nothing waits, room is told when it is there again, and nothing was lost. */
static void tells_of_room(void **state)
{
	uint8_t out[64];
	size_t in = 0, taken = 0;

	open_pipe(1);
	/* Until nothing moves any more: the pipe is full and the ring is. */
	for (unsigned int quiet = 0; quiet < 20; quiet++) {
		while (vmm_stream_has_room(f.stream) || quiet > 10) {
			if (!vmm_stream_put(f.stream, "y", 1))
				break;
			in++;
		}
		usleep(5000);
	}
	assert_false(vmm_stream_has_room(f.stream));
	assert_false(vmm_stream_put(f.stream, "y", 1));
	__atomic_store_n(&f.rooms, 0, __ATOMIC_SEQ_CST);
	while (taken < in) {
		const size_t len = in - taken < sizeof(out) ? in - taken : sizeof(out);

		read_exactly(out, len);
		taken += len;
	}
	while (!vmm_stream_has_room(f.stream) || !__atomic_load_n(&f.rooms, __ATOMIC_SEQ_CST))
		usleep(1000);
	assert_true(close_pipe().lost > 0); /* only what was refused */
}

/* A reader that takes nothing does not hold up the end; the rest is counted. */
static void gives_up(void **state)
{
	struct vmm_stream_end end;
	static const uint8_t bytes[SIZE];

	open_pipe(1);
	while (vmm_stream_put(f.stream, bytes, 1000))
		usleep(1000);
	end = close_pipe();
	assert_int_equal(end.error, 0);
	assert_true(end.lost > 1000);
}

static void *slow_reader(void *opaque)
{
	uint64_t *count = opaque;
	uint8_t bytes[256];
	ssize_t n;

	do {
		usleep(20000);
		n = read(f.fds[0], bytes, sizeof(bytes));
		*count += n > 0 ? (uint64_t)n : 0;
	} while (n > 0);
	return NULL;
}

/* One that is slow gets all. */
static void waits_for_a_slow_reader(void **state)
{
	static const uint8_t bytes[SIZE];
	struct vmm_stream_end end;
	uint64_t got = 0;
	pthread_t thread;

	open_pipe(SIZE);
	assert_true(vmm_stream_put(f.stream, bytes, SIZE));
	pthread_create(&thread, NULL, slow_reader, &got);
	vmm_stream_close(f.stream, &end);
	close(f.fds[1]);
	pthread_join(thread, NULL);
	close(f.fds[0]);
	assert_int_equal(end.lost, 0);
	assert_int_equal(got, SIZE);
}

/* Somebody else has made the descriptor non-blocking: it is written all the same. */
static void non_blocking_descriptor(void **state)
{
	uint8_t in[4000], out[8000];

	open_pipe(1);
	assert_int_equal(fcntl(f.fds[1], F_SETFL, O_NONBLOCK), 0);
	for (unsigned int i = 0; i < 2; i++) {
		memset(in, 'a' + (int)i, sizeof(in));
		while (!vmm_stream_put(f.stream, in, sizeof(in)))
			usleep(1000);
	}
	usleep(20000); /* the second half has found the pipe full */
	read_exactly(out, sizeof(out));
	assert_int_equal(out[0], 'a');
	assert_int_equal(out[3999], 'a');
	assert_memory_equal(out + 4000, in, sizeof(in));
	assert_true(fcntl(f.fds[1], F_GETFL) & O_NONBLOCK);
	close_pipe();
}

static void broken_descriptors(void **state)
{
	struct vmm_stream_end end;

	signal(SIGPIPE, SIG_IGN);
	open_stream(open("/dev/full", O_WRONLY), 1);
	assert_true(vmm_stream_put(f.stream, "lost", 4));
	vmm_stream_close(f.stream, &end);
	assert_int_equal(end.error, -ENOSPC);
	assert_int_equal(end.lost, 4);
	open_pipe(1);
	close(f.fds[0]);
	assert_true(vmm_stream_put(f.stream, "gone", 4));
	vmm_stream_close(f.stream, &end);
	close(f.fds[1]);
	assert_int_equal(end.error, -EPIPE);
	open_stream(-1, 1);
	assert_true(vmm_stream_put(f.stream, "none", 4));
	vmm_stream_close(f.stream, &end);
	assert_int_equal(end.error, -EBADF);
}

/* ---- Messages --------------------------------------------------------------------------- */

static void messages_are_limited(void **state)
{
	unsigned int told = 0, once = 0;
	const char *said;

	capture_begin();
	for (unsigned int i = 0; i < 100; i++) {
		vmm_report_limited(&told, 3, "message %u", i);
		vmm_report_limited(&once, 1, "once");
	}
	said = capture_end();
	assert_string_equal(said, "armature: message 0\narmature: once\narmature: message 1\n"
				  "armature: message 2; more of these are not told\n");
}

static void long_messages_are_cut(void **state)
{
	char text[3000];
	unsigned int told = 0;
	const char *said;

	memset(text, 'z', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	capture_begin();
	vmm_report("%s", text);
	vmm_report_limited(&told, 0, "%s", text);
	vmm_report("end");
	said = capture_end();
	assert_int_equal(count_lines(said), 2);
	assert_true(strlen(said) < 1100);
	assert_non_null(strstr(said, "z\narmature: end\n"));
}

/*
 * A standard error that takes nothing: no message waits, and later it is told how many are missing.
 */
static void messages_that_find_no_room(void **state)
{
	static char text[300000];
	int fds[2], saved = dup(STDERR_FILENO);
	size_t len = 0;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	assert_int_equal(vmm_report_start(), 0);
	for (unsigned int i = 0; i < 3000; i++)
		vmm_report("message %u, which is as long as messages are when nobody reads them",
			   i);
	while (!strstr(text, "message 2000")) {
		len += (size_t)read(fds[0], text + len, sizeof(text) - 1 - len);
		vmm_report("message 2000 again");
		usleep(1000);
	}
	vmm_report_stop();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[0]);
	close(fds[1]);
	assert_non_null(strstr(text, "messages are missing here: standard error was full"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_memory),
		cmocka_unit_test(keeps_the_order),
		cmocka_unit_test(many_putters),
		cmocka_unit_test(tells_of_room),
		cmocka_unit_test(gives_up),
		cmocka_unit_test(waits_for_a_slow_reader),
		cmocka_unit_test(non_blocking_descriptor),
		cmocka_unit_test(broken_descriptors),
		cmocka_unit_test(messages_are_limited),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(messages_that_find_no_room),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
