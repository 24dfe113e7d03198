/* SPDX-License-Identifier: MIT */
/* Output streams: a ring of bytes, and a thread that writes them. */
#include "vmm/stream.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Interrupts the thread's write() at the end. */
#define END_SIGNAL SIGUSR2

/*
 * One write() has few bytes, so that a slow reader is seen to take something: a serial line of 9600
 * baud takes half a second for them.
 */
#define PIECE 512

/*
 * After a piece the thread lingers before it sleeps: what follows at once is then written together,
 * and whoever puts it wakes nobody. The first byte after a pause is written when it comes.
 */
#define LINGER_NS 1000000L

#define PATIENCE_NS 3000000000ull
#define RETRY_NS    10000000ull

struct vmm_stream {
	struct vmm_stream_config config;
	pthread_t thread;
	pthread_mutex_t lock;  /* of all below */
	pthread_cond_t work;   /* for the thread: there may be something to do */
	pthread_cond_t change; /* for who closes: bytes were taken, or the thread has ended */
	size_t head;
	size_t count;  /* also read without the lock, atomically */
	bool sleeping; /* the thread waits for work */
	bool flushing; /* nothing more will be put: write what is there, and end */
	bool giving_up;
	bool ended;
	struct vmm_stream_end end;
	uint8_t ring[];
};

static void set_count(struct vmm_stream *stream, size_t count)
{
	__atomic_store_n(&stream->count, count, __ATOMIC_RELEASE);
}

bool vmm_stream_has_room(struct vmm_stream *stream)
{
	return __atomic_load_n(&stream->count, __ATOMIC_ACQUIRE) < stream->config.size / 2;
}

bool vmm_stream_put(struct vmm_stream *stream, const void *bytes, size_t len)
{
	const size_t size = stream->config.size;
	bool fits;

	pthread_mutex_lock(&stream->lock);
	fits = len <= size - stream->count;
	if (fits) {
		const size_t tail = (stream->head + stream->count) % size;
		const size_t first = len < size - tail ? len : size - tail;

		memcpy(stream->ring + tail, bytes, first);
		memcpy(stream->ring, (const uint8_t *)bytes + first, len - first);
		set_count(stream, stream->count + len);
		if (stream->sleeping && stream->count >= stream->config.batch)
			pthread_cond_signal(&stream->work);
	} else {
		stream->end.lost += len;
	}
	pthread_mutex_unlock(&stream->lock);
	return fits;
}

/* Return: bytes written; 0 to look again, after a signal or a wait for room; or -errno. */
static ssize_t write_piece(int fd, const uint8_t *bytes, size_t len)
{
	struct pollfd output = {.fd = fd, .events = POLLOUT};
	const ssize_t n = write(fd, bytes, len);

	if (n > 0)
		return n;
	if (!n)
		return -EIO;
	if (errno == EAGAIN) { /* somebody else has made it non-blocking */
		poll(&output, 1, -1);
		return 0;
	}
	return errno == EINTR ? 0 : -errno;
}

/* Writes one piece, or finds that it cannot be written and drops it. Lock held, but for write(). */
static void serve(struct vmm_stream *stream)
{
	const size_t size = stream->config.size;
	const size_t to_end = size - stream->head;
	size_t len = stream->count < to_end ? stream->count : to_end;
	bool had_room;
	ssize_t n;

	if (len > PIECE)
		len = PIECE;
	pthread_mutex_unlock(&stream->lock);
	n = write_piece(stream->config.fd, stream->ring + stream->head, len);
	pthread_mutex_lock(&stream->lock);
	if (n < 0) {
		if (!stream->end.error)
			stream->end.error = (int)n;
		stream->end.lost += len;
		n = (ssize_t)len;
	}
	if (!n)
		return;
	had_room = vmm_stream_has_room(stream); /* not before write(): much may have come since */
	stream->head = (stream->head + (size_t)n) % size;
	set_count(stream, stream->count - (size_t)n);
	pthread_cond_signal(&stream->change);
	if (!had_room && vmm_stream_has_room(stream) && stream->config.room) {
		pthread_mutex_unlock(&stream->lock);
		stream->config.room(stream->config.opaque);
		pthread_mutex_lock(&stream->lock);
	}
}

static void *stream_thread(void *opaque)
{
	const struct timespec linger = {.tv_nsec = LINGER_NS};
	struct vmm_stream *stream = opaque;
	bool wrote = false;
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, END_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &end, NULL);
	pthread_mutex_lock(&stream->lock);
	while (!stream->giving_up && (stream->count || !stream->flushing)) {
		if (stream->count && (stream->flushing || stream->count >= stream->config.batch)) {
			serve(stream);
			wrote = true;
		} else if (wrote) {
			pthread_mutex_unlock(&stream->lock);
			nanosleep(&linger, NULL);
			pthread_mutex_lock(&stream->lock);
			wrote = false;
		} else {
			stream->sleeping = true;
			pthread_cond_wait(&stream->work, &stream->lock);
			stream->sleeping = false;
		}
	}
	stream->ended = true;
	pthread_cond_signal(&stream->change);
	pthread_mutex_unlock(&stream->lock);
	return NULL;
}

static void interrupted(int sig)
{
}

/* All other signals are the main thread's and the vCPUs'. */
static int start_thread(struct vmm_stream *stream)
{
	struct sigaction action = {.sa_handler = interrupted}; /* no SA_RESTART: write() returns */
	sigset_t all, old;
	int err;

	sigemptyset(&action.sa_mask);
	if (sigaction(END_SIGNAL, &action, NULL))
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&stream->thread, NULL, stream_thread, stream);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static void destroy(struct vmm_stream *stream)
{
	pthread_cond_destroy(&stream->change);
	pthread_cond_destroy(&stream->work);
	pthread_mutex_destroy(&stream->lock);
	free(stream);
}

int vmm_stream_open(const struct vmm_stream_config *config, struct vmm_stream **out)
{
	struct vmm_stream *stream = calloc(1, sizeof(*stream) + config->size);
	pthread_condattr_t monotonic;
	int err;

	if (!stream)
		return -ENOMEM;
	stream->config = *config;
	pthread_mutex_init(&stream->lock, NULL);
	pthread_cond_init(&stream->work, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&stream->change, &monotonic);
	pthread_condattr_destroy(&monotonic);
	err = start_thread(stream);
	if (err) {
		destroy(stream);
		return err;
	}
	*out = stream;
	return 0;
}

/* Return: whether nothing changed for that long. Lock held. */
static bool wait_change(struct vmm_stream *stream, uint64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	ns += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(ns / 1000000000ull);
	until.tv_nsec = (long)(ns % 1000000000ull);
	return pthread_cond_timedwait(&stream->change, &stream->lock, &until) == ETIMEDOUT;
}

void vmm_stream_finish(struct vmm_stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	stream->flushing = true;
	pthread_cond_signal(&stream->work);
	while (!stream->ended && !stream->giving_up) {
		const size_t before = stream->count;

		stream->giving_up = wait_change(stream, PATIENCE_NS) && stream->count == before;
	}
	/* A signal that comes just before write() does nothing: so it is sent again. */
	while (!stream->ended) {
		pthread_kill(stream->thread, END_SIGNAL);
		wait_change(stream, RETRY_NS);
	}
	pthread_mutex_unlock(&stream->lock);
	pthread_join(stream->thread, NULL);
}

void vmm_stream_close(struct vmm_stream *stream, struct vmm_stream_end *end)
{
	vmm_stream_finish(stream);
	stream->end.lost += stream->count;
	if (end)
		*end = stream->end;
	destroy(stream);
}
