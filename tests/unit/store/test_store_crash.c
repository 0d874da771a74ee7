/* SPDX-License-Identifier: Apache-2.0 */
/* A process that puts units is killed at random moments: what the next one finds is right. */
#include "store/store_cache.h"

#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store_fixture.h"

enum { N_UNITS = 600, UNIT_SIZE = 20000 };

static const struct layer_shape shapes[2] = {
	{.seed = 1, .contents = 1, .n_units = N_UNITS, .unit_size = UNIT_SIZE, .zero_unit = 3},
	{.seed = 2,
		.contents = 1,
		.n_units = N_UNITS,
		.unit_size = UNIT_SIZE,
		.gap = 7,
		.zero_unit = 5,
		.shift = 1},
};

static void open_and_put(struct fixture *fixture, unsigned seed, int ready_fd)
{
	struct test_layer layers[2];
	struct error err = {0};

	fixture_open(fixture);
	for (unsigned i = 0; i < 2; i++)
		layer_make(fixture, &shapes[i], &layers[i]);
	if (write(ready_fd, "x", 1) != 1)
		_exit(1);
	for (;;) {
		struct test_layer *layer = &layers[rand_r(&seed) % 2];
		uint64_t i = (uint64_t)rand_r(&seed) % N_UNITS;
		unsigned what = (unsigned)rand_r(&seed) % 64;
		bool found;

		if (what == 0 && layer_store_sync(layer->store, &err) < 0)
			_exit(1);
		if (what == 1 && store_forget(layer->store, i, &err) < 0)
			_exit(1);
		if (what < 20 && store_copy(layer->store, i, &found, &err) < 0)
			_exit(1);
		layer_put_unit(layer, i);
	}
}

static void kill_one_that_puts(struct fixture *fixture, unsigned seed, long after_us)
{
	const struct timespec after = {.tv_nsec = after_us * 1000};
	int ready[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		open_and_put(fixture, seed, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	(void)nanosleep(&after, NULL);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Killed, not ended by an error of its own. */
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void print_finding(void *arg, const uint8_t key[32], uint64_t unit, const char *what)
{
	(void)arg;
	print_message("layer %02x, unit %ju: %s\n", key[0], (uintmax_t)unit, what);
}

static uint64_t verify(struct fixture *fixture)
{
	const struct cache_verify_options options = {.finding = print_finding};
	struct cache_verify_result result;
	struct error err = {0};

	fixture_open(fixture);
	assert_int_equal(cache_verify(fixture->store, &options, &result, &err), 0);
	assert_int_equal(result.n_wrong, 0);
	assert_int_equal(result.n_broken_indexes, 0);
	fixture_close(fixture);
	return result.n_checked;
}

static void no_unit_is_wrong_after_the_process_was_killed(void **state)
{
	struct fixture *fixture = *state;
	const char *rounds = getenv("VARVE_CRASH_ROUNDS");
	unsigned n_rounds = rounds ? (unsigned)strtoul(rounds, NULL, 10) : 8;
	unsigned seed = (unsigned)time(NULL);
	uint64_t n_checked = 0;

	print_message("seed %u, %u rounds\n", seed, n_rounds);
	fixture_close(fixture);
	for (unsigned i = 0; i < n_rounds; i++) {
		kill_one_that_puts(fixture, seed + i, 20000 + rand_r(&seed) % 380000);
		n_checked += verify(fixture);
	}
	assert_true(n_checked > 0);
	print_message("%ju units checked\n", (uintmax_t)n_checked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_unit_is_wrong_after_the_process_was_killed,
			fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests_name("store/crash", tests, NULL, NULL);
}
