/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/fake_source.h"
#include "support/scratch.h"

#include <pthread.h>
#include <unistd.h>

#include "fetch/fetcher.h"
#include "layer/layer.h"
#include "store/store.h"

enum { LAYER_N_UNITS = 50, LAYER_UNIT_SIZE = 8192 };

/* A layer of one file, its store, and a source that serves its blob. */
struct layer_fixture {
	struct scratch *scratch;
	uint8_t *blob; /* also the data space */
	struct store *store;
	struct loop *loop;
	struct workers *workers;
	struct fetcher *fetcher;
	struct fake_source source;
	struct layer_index *index; /* until a layer has it */
	struct descriptor descriptor;
	struct layer *layer;
};

/* How a fixture differs from the usual one. */
struct layer_fixture_options {
	uint64_t deadline_ms; /* default 10 s */
	bool keeps_nothing;   /* neither the disk nor memory has room */
	bool no_layer;
	uint32_t seed; /* of other contents */
	bool background;
};

void layer_fixture_open(struct layer_fixture *fixture, const struct layer_fixture_options *options);
void layer_fixture_close(struct layer_fixture *fixture);
/* What layer_open() takes; the index and the source become the layer's. */
struct layer_options layer_fixture_options_of(
	struct layer_fixture *fixture, struct source **source);

/* A read that a test's thread follows. */
struct reading {
	struct layer_read read;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int n_done;
	struct stored_range *range;
	struct error err;
};

/* Of units [first, first + n). */
void reading_prepare(
	struct reading *reading, struct layer_fixture *fixture, uint64_t first, uint64_t n);
void reading_start(
	struct reading *reading, struct layer_fixture *fixture, uint64_t first, uint64_t n);
/* Waits; fails the test when the bytes are wrong or it was answered twice. */
enum error_kind reading_join(struct reading *reading, struct layer_fixture *fixture);
enum error_kind fixture_read(struct layer_fixture *fixture, uint64_t first, uint64_t n);

/* Up to 20 s for a condition that another thread makes true. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int rounds_ = 0;                                                                   \
		while (!(condition) && rounds_++ < 20000)                                          \
			usleep(1000);                                                              \
		assert_true(condition);                                                            \
	} while (0)
