/* SPDX-License-Identifier: Apache-2.0 */
/* Index files: listed, counted, and evicted with their layers, but never while somebody looks for
 * them or has the layer open. */
#include "store/store_cache.h"

#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "index/image_index.h"
#include "store_fixture.h"

enum { MIB = 1 << 20, N_UNITS = 4 };

static struct layer_shape shape_of(unsigned seed)
{
	return (struct layer_shape){.seed = seed,
		.contents = seed,
		.n_units = N_UNITS,
		.unit_size = MIB,
		.zero_unit = 99};
}

/* A layer that is open. */
static void make(struct fixture *fixture, unsigned seed, bool full, struct test_layer *layer)
{
	const struct layer_shape shape = shape_of(seed);
	struct error err = {0};

	layer_make(fixture, &shape, layer);
	if (full)
		layer_put_all(layer);
	assert_int_equal(layer_store_sync(layer->store, &err), 0);
}

static void make_closed(struct fixture *fixture, unsigned seed, bool full, struct test_layer *layer)
{
	make(fixture, seed, full, layer);
	layer_leave(layer);
}

static bool has(const struct fixture *fixture, const struct test_layer *layer, const char *suffix)
{
	return access(fixture_path(fixture, "layers/%s%s", layer->name, suffix), F_OK) == 0;
}

static void write_file(const char *path)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "an index", 8), 8);
}

/* With a limit that nothing fits into. Returns what that made free. */
static uint64_t evict_all(struct fixture *fixture)
{
	struct cache_usage usage;
	struct error err = {0};
	uint64_t freed;

	fixture_close(fixture);
	fixture->options.quota_bytes = 1;
	fixture_open(fixture);
	if (cache_evict(fixture->store, &freed, &err) < 0)
		fail_msg("%s", err.message);
	/* Opening the store may have been faster. */
	assert_int_equal(cache_usage(fixture->store, &usage, &err), 0);
	return usage.evicted_bytes;
}

struct listed {
	unsigned n;
	struct cache_layer last;
};

static int list(void *arg, const struct cache_layer *layer)
{
	struct listed *listed = arg;

	listed->n++;
	listed->last = *layer;
	return 0;
}

static struct listed listed_in(struct fixture *fixture)
{
	struct listed listed = {0};
	struct error err = {0};

	assert_int_equal(cache_each_layer(fixture->store, list, &listed, &err), 0);
	return listed;
}

static void a_layer_of_which_nothing_was_fetched_is_listed(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	struct listed listed;

	make_closed(fixture, 3, false, &layer);
	fixture_close(fixture);
	fixture_open(fixture);
	listed = listed_in(fixture);
	assert_int_equal(listed.n, 1);
	assert_memory_equal(listed.last.key, layer.key, 32);
	assert_int_equal(listed.last.blob.bytes[0], 3);
	assert_int_equal(listed.last.blob_size, N_UNITS * MIB + 1);
	assert_int_equal(listed.last.n_units, N_UNITS);
	assert_int_equal(listed.last.size, N_UNITS * MIB);
	assert_int_equal(listed.last.n_present, 0);
	assert_int_equal(listed.last.present, 0);
	assert_true(listed.last.allocated > 0);
	assert_true(listed.last.used_s > 0);
	assert_false(listed.last.open);
	layer_enter(fixture, &layer);
	assert_true(listed_in(fixture).last.open);
	layer_leave(&layer);
}

static void an_index_that_does_not_open_is_not_listed(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;

	make_closed(fixture, 3, false, &layer);
	assert_int_equal(truncate(fixture_path(fixture, "layers/%s.units", layer.name), 40), 0);
	assert_int_equal(listed_in(fixture).n, 0);
}

static void an_index_is_evicted_with_its_layer_also_when_nothing_was_fetched(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer full, empty, in_use;

	make_closed(fixture, 1, true, &full);
	make_closed(fixture, 2, false, &empty);
	write_file(fixture_path(fixture, "layers/%s.erofs", full.name));
	assert_true(evict_all(fixture) > N_UNITS * MIB);
	assert_false(has(fixture, &full, ".data"));
	assert_false(has(fixture, &full, ".units"));
	assert_false(has(fixture, &full, ".erofs"));
	assert_false(has(fixture, &empty, ".units"));
	assert_int_equal(listed_in(fixture).n, 0);

	make(fixture, 3, true, &in_use);
	assert_true(has(fixture, &in_use, ".units"));
	layer_leave(&in_use);
}

static void an_index_stays_while_somebody_looks_for_it_or_uses_it(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer wanted, used;
	struct error err = {0};
	uint64_t freed;

	evict_all(fixture);
	make(fixture, 2, false, &used);
	store_hold_indexes(fixture->store);
	make_closed(fixture, 1, true, &wanted);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_false(has(fixture, &wanted, ".data"));
	assert_true(has(fixture, &wanted, ".units"));
	store_release_indexes(fixture->store);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_false(has(fixture, &wanted, ".units"));
	assert_true(has(fixture, &used, ".units"));
	layer_leave(&used);
}

/* An image of these layers, its index file, and its manifest, which is its reference. */
static void remember(struct fixture *fixture, const char *reference, struct test_layer *layers,
	size_t n_layers, char path[512])
{
	uint8_t keys[4][32], key[32];
	struct store_image image = {
		.reference = reference, .used_s = 7, .layers = keys, .n_layers = n_layers};
	struct store_ref ref = {.resolved_s = 7};
	struct error err = {0};
	char hex[65];

	for (size_t i = 0; i < n_layers; i++)
		memcpy(keys[i], layers[i].key, 32);
	assert_int_equal(
		digest_compute(DIGEST_SHA256, reference, strlen(reference), &image.manifest, &err),
		0);
	ref.digest = image.manifest;
	assert_int_equal(store_document_put(fixture->store, &image.manifest, "text/plain",
				 reference, strlen(reference), &err),
		0);
	assert_int_equal(store_ref_put(fixture->store, reference, &ref, &err), 0);
	assert_int_equal(store_image_put(fixture->store, &image, &err), 0);
	assert_int_equal(image_index_key_of(keys, n_layers, key, &err), 0);
	hex_encode(key, sizeof(key), hex);
	(void)snprintf(path, 512, "%s", fixture_path(fixture, "images/%s.erofs", hex));
	write_file(path);
}

static int count_image(void *arg, const struct store_image *image)
{
	(void)image;
	++*(unsigned *)arg;
	return 0;
}

static unsigned n_images(struct fixture *fixture)
{
	struct error err = {0};
	unsigned n = 0;

	assert_int_equal(store_image_each(fixture->store, count_image, &n, &err), 0);
	return n;
}

static bool is_known(struct fixture *fixture, const char *reference)
{
	CLEANUP(cleanup_free) uint8_t *data = NULL;
	struct error err = {0};
	struct digest digest;
	struct store_ref ref;
	char media_type[128];
	bool tag, document;
	size_t size;

	assert_int_equal(
		digest_compute(DIGEST_SHA256, reference, strlen(reference), &digest, &err), 0);
	assert_int_equal(store_ref_get(fixture->store, reference, &tag, &ref, &err), 0);
	assert_int_equal(store_document_get(fixture->store, &digest, &document, media_type, &data,
				 &size, &err),
		0);
	assert_int_equal(tag, document);
	return tag;
}

static void an_image_goes_with_the_last_of_its_layers(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layers[3];
	struct error err = {0};
	char whole[512], part[512], other[512];
	uint64_t freed;

	for (unsigned i = 0; i < 3; i++)
		make_closed(fixture, i + 1, false, &layers[i]);
	remember(fixture, "r.example/whole:1", layers, 2, whole);
	remember(fixture, "r.example/part:1", layers + 1, 1, part);
	remember(fixture, "r.example/other:1", layers + 2, 1, other);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_int_equal(freed, 0);
	assert_int_equal(n_images(fixture), 3);

	evict_all(fixture);
	assert_int_equal(n_images(fixture), 0);
	assert_int_not_equal(access(whole, F_OK), 0);
	assert_int_not_equal(access(part, F_OK), 0);
	assert_int_not_equal(access(other, F_OK), 0);
	assert_false(is_known(fixture, "r.example/whole:1"));
	assert_false(is_known(fixture, "r.example/part:1"));
}

static void an_image_in_use_keeps_its_index_while_others_lose_theirs(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layers[2];
	struct error err = {0};
	char whole[512], part[512];
	uint64_t freed;

	evict_all(fixture);
	make(fixture, 2, false, &layers[1]);
	store_hold_indexes(fixture->store);
	make(fixture, 1, false, &layers[0]);
	remember(fixture, "r.example/whole:1", layers, 2, whole);
	remember(fixture, "r.example/part:1", layers + 1, 1, part);
	store_release_indexes(fixture->store);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_int_equal(access(whole, F_OK), 0);
	assert_int_equal(access(part, F_OK), 0);

	layer_leave(&layers[0]);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_false(has(fixture, &layers[0], ".units"));
	assert_int_not_equal(access(whole, F_OK), 0);
	assert_int_equal(access(part, F_OK), 0);
	/* One of its layers is still here. */
	assert_int_equal(n_images(fixture), 2);
	assert_true(is_known(fixture, "r.example/whole:1"));
	layer_leave(&layers[1]);
}

static void an_index_of_an_image_that_nobody_names_is_evicted_when_nothing_is_open(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	struct error err = {0};
	char path[512];
	uint64_t freed;

	evict_all(fixture);
	make(fixture, 1, false, &layer);
	(void)snprintf(
		path, sizeof(path), "%s", fixture_path(fixture, "images/%s.erofs", layer.name));
	write_file(path);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_int_equal(access(path, F_OK), 0);
	layer_leave(&layer);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void repair_is_counted_in_a_store_that_nobody_owns(void **state)
{
	struct fixture *fixture = *state;
	const struct cache_verify_options options = {.repair = true};
	struct cache_verify_result result;
	struct test_layer layer;
	struct error err = {0};
	struct listed listed;

	make_closed(fixture, 1, true, &layer);
	layer_damage(fixture, &layer, 2);
	fixture_close(fixture);
	fixture_open(fixture);
	assert_int_equal(cache_verify(fixture->store, &options, &result, &err), 0);
	assert_int_equal(result.n_repaired, 1);
	fixture_close(fixture);
	fixture_open(fixture);
	listed = listed_in(fixture);
	assert_int_equal(listed.last.n_present, N_UNITS - 1);
	assert_int_equal(listed.last.present, (N_UNITS - 1) * MIB);
	assert_int_equal(cache_verify(fixture->store, &options, &result, &err), 0);
	assert_int_equal(result.n_checked, N_UNITS - 1);
	assert_int_equal(result.n_wrong, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_layer_of_which_nothing_was_fetched_is_listed),
		TEST(an_index_that_does_not_open_is_not_listed),
		TEST(an_index_is_evicted_with_its_layer_also_when_nothing_was_fetched),
		TEST(an_index_stays_while_somebody_looks_for_it_or_uses_it),
		TEST(an_image_goes_with_the_last_of_its_layers),
		TEST(an_image_in_use_keeps_its_index_while_others_lose_theirs),
		TEST(an_index_of_an_image_that_nobody_names_is_evicted_when_nothing_is_open),
		TEST(repair_is_counted_in_a_store_that_nobody_owns),
	};
	return cmocka_run_group_tests_name("store/indexes", tests, NULL, NULL);
}
