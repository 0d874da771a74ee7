/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/fake_source.h"
#include "support/test.h"

#include <pthread.h>

#include "fetch/fetcher.h"

/* A layer of raw units in a store of its own, a fetcher, and two sources. */
struct fixture {
	char dir[64];
	uint8_t *blob;
	size_t blob_size;
	uint64_t unit_size;
	uint64_t n_units;
	struct store *store;
	struct unit_table *units;
	struct layer_store *layer_store;
	struct loop *loop;
	struct workers *workers;
	struct fetcher *fetcher;
	struct fetch_layer *layer;
	struct fake_source sources[2];
	atomic_uint n_failed;
	atomic_uint n_completed;
	struct error last_failure;
};

struct fixture_options {
	uint64_t unit_size;   /* default 10000 */
	uint64_t n_units;     /* default 100 */
	size_t n_sources;     /* default 1 */
	uint64_t deadline_ms; /* default 10000 */
	uint64_t memory_limit;
	bool read_ahead;
	bool prefetch;
	bool background;
};

void fixture_open(struct fixture *fixture, const struct fixture_options *options);
void fixture_close(struct fixture *fixture);

/* A wait of a test's thread. */
struct waiter {
	struct fetch_wait wait;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	int n_done;
	struct error err; /* kind ERROR_NONE: success */
};

/* Asks for units [first, first + n). */
void waiter_start(struct waiter *waiter, struct fixture *fixture, uint64_t first, uint64_t n);
/* Waits for the answer; returns its kind. */
enum error_kind waiter_join(struct waiter *waiter);

/* start and join */
enum error_kind fixture_fetch(struct fixture *fixture, uint64_t first, uint64_t n);

/* Compares stored bytes of a unit with the blob. */
void assert_unit_is_right(struct fixture *fixture, uint64_t unit);

/* Up to 20 s for a condition that a test's threads make true. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int rounds_ = 0;                                                                   \
		while (!(condition) && rounds_++ < 20000)                                          \
			usleep(1000);                                                              \
		assert_true(condition);                                                            \
	} while (0)
