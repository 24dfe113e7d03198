/* SPDX-License-Identifier: MIT */
/*
 * Micro-benchmarks for a guest: one line each, "name value unit". The same source runs in the guest
 * and, compiled for the host, on the bare machine. Values are the best of several rounds, so that a
 * busy host disturbs little.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5
#define MIB    (1u << 20)

static volatile uint64_t sink;
static uint8_t *arena;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void integer(unsigned long n)
{
	uint64_t a = 1, b = 7;

	for (unsigned long i = 0; i < n; i++) {
		a = a * 3 + b;
		b ^= a >> 7;
		if (a & 16)
			b += i;
	}
	sink = a + b;
}

static void sieve(unsigned long n)
{
	static uint8_t composite[1 << 16];

	for (unsigned long r = 0; r < n; r++) {
		memset(composite, 0, sizeof(composite));
		for (unsigned int i = 2; i < sizeof(composite); i++)
			for (unsigned int k = 2 * i; !composite[i] && k < sizeof(composite); k += i)
				composite[k] = 1;
		sink += composite[65521];
	}
}

static __attribute__((noinline)) uint64_t fib(unsigned int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static void calls(unsigned long n)
{
	while (n--)
		sink += fib(20);
}

static void floating(unsigned long n)
{
	double x = 1.0, y = 0.5, z = 0.25;

	for (unsigned long i = 0; i < n; i++) {
		x = x * 0.4999999 + y;
		y = y * 0.2500001 + z;
		z = (x + y) / 3.0 - z * 0.5;
	}
	sink = (uint64_t)(x + y + z);
}

/* memcpy between two buffers of 1 MiB that begin @apart bytes from each other */
static void copy(unsigned long n, size_t apart)
{
	while (n--)
		memcpy(arena + apart, arena, MIB);
}

static void copy_4m(unsigned long n)
{
	copy(n, 4 * MIB);
}

static void copy_4m_64k(unsigned long n)
{
	copy(n, 4 * MIB + 65536);
}

static void system_call(unsigned long n)
{
	while (n--)
		sink += (uint64_t)syscall(SYS_getppid);
}

static void pipe_round_trip(unsigned long n)
{
	int there[2], back[2];
	char c = 0;

	if (pipe(there) || pipe(back))
		exit(1);
	pid_t pid = fork();

	if (!pid) {
		while (n--)
			if (read(there[0], &c, 1) != 1 || write(back[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	while (n--)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			exit(1);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
}

static void fork_exit(unsigned long n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void page_fault(unsigned long n)
{
	while (n--) {
		uint8_t *p = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (int i = 0; i < 64; i++)
			p[i * 4096] = 1;
		munmap(p, 64 * 4096);
	}
}

static const struct {
	const char *name, *unit;
	void (*fn)(unsigned long n);
	unsigned long n;
	double per; /* operations in one of n */
} tests[] = {
	{"integer", "ns/iteration", integer, 2000000, 1},
	{"sieve", "us/round", sieve, 4, 1000},
	{"calls", "us/fib(20)", calls, 20, 1000},
	{"double", "ns/iteration", floating, 500000, 1},
	{"memcpy-4M-apart", "us/MiB", copy_4m, 20, 1000},
	{"memcpy-4M+64K-apart", "us/MiB", copy_4m_64k, 20, 1000},
	{"syscall", "ns", system_call, 20000, 1},
	{"pipe", "us/round-trip", pipe_round_trip, 500, 1000},
	{"fork", "us/fork+exit", fork_exit, 20, 1000},
	{"fault", "ns/page", page_fault, 20, 64},
};

int main(void)
{
	arena = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(arena, 1, 8 * MIB);
	for (unsigned int i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		double best = 1e300;

		for (int r = 0; r < ROUNDS; r++) {
			double start = now();

			tests[i].fn(tests[i].n);
			double each = (now() - start) / (double)tests[i].n / tests[i].per;

			if (each < best)
				best = each;
		}
		printf("bench %s %.2f %s\n", tests[i].name, best, tests[i].unit);
		fflush(stdout);
	}
	return 0;
}
