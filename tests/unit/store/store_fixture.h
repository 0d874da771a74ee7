/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "chunk/verify.h"
#include "index/unit_table.h"
#include "store/layer_store.h"
#include "store/store.h"

/* A store in a directory of its own, and layers whose bytes follow from a seed. Every function
 * asserts that it worked. */
struct fixture {
	char path[256];
	struct store_options options; /* of fixture_open() */
	struct store *store;
};

/* cmocka setup and teardown: *state is the struct fixture, its store open. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

struct fixture *fixture_new(const char *parent);
void fixture_free(struct fixture *fixture);
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* The path of something in the store; valid until the next call on this thread. */
const char *fixture_path(const struct fixture *fixture, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What a layer of a test is made of. */
struct layer_shape {
	unsigned seed;     /* decides the key */
	unsigned contents; /* decides the bytes: unit i of equal contents and size is equal */
	uint64_t n_units;
	uint64_t unit_size;
	uint64_t gap;       /* bytes between units that belong to none */
	uint64_t zero_unit; /* this one is flagged as zeros; at least n_units: none */
	uint64_t shift;     /* unit i has the bytes that unit i + shift of another layer has */
	bool unverified;    /* no unit has a digest */
	bool in_spans;      /* every unit is one that only its span vouches for */
};

struct test_layer {
	struct layer_shape shape;
	uint8_t key[32];
	char name[65]; /* the key in hexadecimal: start of its files' names */
	struct unit_table *units;
	struct layer_store *store;
};

/* Writes the unit table and opens the layer. */
void layer_make(struct fixture *fixture, const struct layer_shape *shape, struct test_layer *out);
/* Opens the layer again, after layer_leave(). */
void layer_enter(struct fixture *fixture, struct test_layer *layer);
void layer_leave(struct test_layer *layer);

/* The right bytes of unit i, and of any range of the data space. */
void layer_bytes(const struct test_layer *layer, uint64_t i, uint8_t *out);
void layer_range(const struct test_layer *layer, uint64_t off, size_t size, uint8_t *out);

struct verified_chunk *layer_chunk(const struct test_layer *layer, uint64_t i);
void layer_put_unit(struct test_layer *layer, uint64_t i);
void layer_put_all(struct test_layer *layer);

/* Whether [off, off + size) is there; asserts that its bytes are right if it is. */
bool layer_reads(struct test_layer *layer, uint64_t off, size_t size);
bool layer_reads_unit(struct test_layer *layer, uint64_t i);

/* Overwrites bytes of the data file behind the store's back. */
void layer_damage(struct fixture *fixture, const struct test_layer *layer, uint64_t i);
