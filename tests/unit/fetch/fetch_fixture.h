/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/fake_source.h"
#include "support/test.h"

#include <pthread.h>

#include "fetch/fetcher.h"

/* A layer in a store of its own, a fetcher, and two sources. Without a blob of its own: raw units
 * of one size. */
struct fixture {
	char dir[64];
	uint8_t *blob; /* encoded */
	size_t blob_size;
	uint8_t *data; /* the data space, decoded */
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
	atomic_uint n_contradicted;
	pthread_mutex_t lock;
	struct error last_failure; /* guarded by lock */
	uint64_t last_unit;        /* guarded by lock */
	bool shares;               /* everything but the layer is another fixture's */
};

/* A blob that a test made: all of it becomes the fixture's. */
struct fixture_blob {
	uint8_t *blob;
	size_t blob_size;
	uint8_t *data;
	uint64_t data_size;
	struct unit *units;
	uint64_t n_units;
	struct unit_span *spans; /* the test's */
	size_t n_spans;
};

struct fixture_options {
	uint64_t unit_size;              /* default 10000 */
	uint64_t n_units;                /* default 100 */
	const struct fixture_blob *blob; /* instead of those */
	struct span_headers *headers;    /* the test's */
	size_t n_sources;                /* default 1 */
	uint64_t deadline_ms;            /* default 10000 */
	uint64_t memory_limit;
	uint64_t background_bytes_per_s;
	unsigned max_requests;
	bool read_ahead;
	bool prefetch;
	bool background;
	bool keeps_nothing; /* neither the disk nor memory has room */
	bool stalled;       /* the first source, from the start */
};

void fixture_open(struct fixture *fixture, const struct fixture_options *options);
/* Another layer of the same store and fetcher, with the same units unless options say otherwise.
 * It is closed first. */
void fixture_open_beside(
	struct fixture *fixture, struct fixture *first, const struct fixture_options *options);
/* As in a later life of the store: the layer is opened again, with the same units. */
void fixture_reopen_layer(struct fixture *fixture, const struct fixture_options *options);
void fixture_close(struct fixture *fixture);

/* A wait of a test's thread. */
struct waiter {
	struct fetch_wait wait;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	int n_done;
	struct error err; /* kind ERROR_NONE: success */
};

/* waiter_start() without the start. */
void waiter_prepare(struct waiter *waiter, struct fixture *fixture, uint64_t first, uint64_t n);
/* Asks for units [first, first + n). */
void waiter_start(struct waiter *waiter, struct fixture *fixture, uint64_t first, uint64_t n);
/* Waits for the answer; returns its kind. */
enum error_kind waiter_join(struct waiter *waiter);

/* start and join */
enum error_kind fixture_fetch(struct fixture *fixture, uint64_t first, uint64_t n);

/* Compares stored bytes of a unit with the data space. */
void assert_unit_is_right(struct fixture *fixture, uint64_t unit);

/* How many units are in the store. */
uint64_t fixture_count(struct fixture *fixture);

/* The newest record of a failure. */
struct error fixture_last_failure(struct fixture *fixture);

/* Runs fn on the net loop and waits for it. */
void fixture_on_loop(struct fixture *fixture, void (*fn)(void *arg), void *arg);

/* Up to 20 s for a condition that a test's threads make true. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int rounds_ = 0;                                                                   \
		while (!(condition) && rounds_++ < 20000)                                          \
			usleep(1000);                                                              \
		assert_true(condition);                                                            \
	} while (0)
