/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_staging.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/store_cache.h"
#include "store_fixture.h"
#include "store_internal.h"

/* Between its units are bytes that belong to none. */
static const struct layer_shape shape = {
	.seed = 1, .contents = 1, .n_units = 40, .unit_size = 5000, .gap = 9000, .zero_unit = 7};

static struct layer_staging *stage(struct fixture *fixture)
{
	struct layer_staging *staging = NULL;
	struct error err = {0};

	if (layer_staging_new(fixture->store, &staging, &err) < 0)
		fail_msg("%s", err.message);
	return staging;
}

static void stage_unit(struct layer_staging *staging, const struct test_layer *layer, uint64_t i)
{
	uint8_t bytes[5000];
	struct error err = {0};
	struct unit unit;

	assert_int_equal(unit_table_get(layer->units, i, &unit, NULL), 0);
	assert_int_equal(unit.size, sizeof(bytes));
	layer_bytes(layer, i, bytes);
	if (layer_staging_write(staging, unit.data_off, bytes, sizeof(bytes), &err) < 0)
		fail_msg("%s", err.message);
}

static void stage_all(struct layer_staging *staging, const struct test_layer *layer)
{
	for (uint64_t i = 0; i < layer->shape.n_units; i++)
		stage_unit(staging, layer, layer->shape.n_units - 1 - i);
}

static bool adopt(struct layer_staging *staging, const struct test_layer *layer)
{
	struct error err = {0};
	bool adopted = false;

	if (layer_staging_adopt(staging, layer->key, layer->units, &adopted, &err) < 0)
		fail_msg("%s", err.message);
	return adopted;
}

static bool is_complete(struct fixture *fixture, struct test_layer *layer)
{
	bool complete;

	layer_enter(fixture, layer);
	complete = layer_store_is_complete(layer->store);
	if (complete)
		assert_true(layer_reads(layer, 0, 40 * 14000));
	layer_leave(layer);
	return complete;
}

static void staged_bytes_are_the_layers_after_a_restart(void **state)
{
	struct fixture *fixture = *state;
	struct layer_staging *staging;
	struct test_layer layer;

	layer_make(fixture, &shape, &layer);
	staging = stage(fixture);
	stage_all(staging, &layer);
	assert_true(adopt(staging, &layer));
	layer_staging_free(staging);
	layer_leave(&layer);
	assert_true(is_complete(fixture, &layer));
	fixture_close(fixture);
	fixture_open(fixture);
	assert_true(is_complete(fixture, &layer));
}

static void staged_bytes_are_verified_like_all_others(void **state)
{
	struct fixture *fixture = *state;
	const struct cache_verify_options options = {0};
	struct cache_verify_result result;
	struct layer_staging *staging;
	struct test_layer layer;
	struct error err = {0};

	layer_make(fixture, &shape, &layer);
	staging = stage(fixture);
	stage_all(staging, &layer);
	assert_true(adopt(staging, &layer));
	layer_staging_free(staging);
	assert_int_equal(cache_verify(fixture->store, &options, &result, &err), 0);
	assert_int_equal(result.n_checked, shape.n_units);
	assert_int_equal(result.n_wrong, 0);
	layer_damage(fixture, &layer, 5);
	assert_int_equal(cache_verify(fixture->store, &options, &result, &err), 0);
	assert_int_equal(result.n_wrong, 1);
	layer_leave(&layer);
}

static void bytes_of_no_unit_become_zeros(void **state)
{
	struct fixture *fixture = *state;
	struct layer_staging *staging;
	uint8_t noise[9000];
	struct test_layer layer;
	struct error err = {0};

	layer_make(fixture, &shape, &layer);
	memset(noise, 0xa5, sizeof(noise));
	staging = stage(fixture);
	/* Of a file that was replaced: it has pages of its own. */
	assert_int_equal(layer_staging_write(staging, 0, noise, 4096, &err), 0);
	assert_int_equal(layer_staging_write(staging, 12288, noise, 4096, &err), 0);
	stage_all(staging, &layer);
	assert_true(adopt(staging, &layer));
	layer_staging_free(staging);
	layer_leave(&layer);
	assert_true(is_complete(fixture, &layer));
}

static void what_was_not_adopted_leaves_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct layer_staging *staging;
	struct cache_usage before, after;
	struct test_layer layer;
	struct stat status;
	struct error err = {0};

	layer_make(fixture, &shape, &layer);
	assert_int_equal(cache_usage(fixture->store, &before, &err), 0);
	staging = stage(fixture);
	stage_all(staging, &layer);
	assert_int_equal(cache_usage(fixture->store, &after, &err), 0);
	assert_true(after.allocated >= before.allocated + 39 * 5000);
	layer_staging_free(staging);
	assert_int_equal(cache_usage(fixture->store, &after, &err), 0);
	assert_int_equal(after.allocated, before.allocated);
	assert_int_not_equal(stat(fixture_path(fixture, "layers/%s.data", layer.name), &status), 0);
	layer_leave(&layer);
	assert_false(is_complete(fixture, &layer));
}

static void a_layer_that_has_bytes_keeps_its_own(void **state)
{
	struct fixture *fixture = *state;
	struct layer_staging *staging;
	struct test_layer layer;

	layer_make(fixture, &shape, &layer);
	layer_put_unit(&layer, 3);
	staging = stage(fixture);
	stage_all(staging, &layer);
	assert_false(adopt(staging, &layer));
	layer_staging_free(staging);
	assert_true(layer_reads_unit(&layer, 3));
	assert_false(layer_reads_unit(&layer, 4));
	layer_leave(&layer);
}

static void a_quota_that_is_used_up_keeps_nothing_and_fails_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct layer_staging *staging;
	struct test_layer layer;
	struct cache_usage usage;
	struct error err = {0};
	char why[256] = "";

	assert_int_equal(cache_usage(fixture->store, &usage, &err), 0);
	fixture_close(fixture);
	fixture->options.quota_bytes = usage.allocated + 20 * 5000;
	fixture_open(fixture);
	layer_make(fixture, &shape, &layer);
	staging = stage(fixture);
	/* The first look at the quota is the writer's. */
	assert_int_equal(cache_evict(fixture->store, &usage.evicted_bytes, &err), 0);
	for (int round = 0; round < 400 && layer_staging_is_kept(staging, why, sizeof(why));
		round++)
		stage_all(staging, &layer);
	assert_false(layer_staging_is_kept(staging, why, sizeof(why)));
	assert_int_not_equal(strlen(why), 0);
	assert_false(adopt(staging, &layer));
	layer_staging_free(staging);
	layer_leave(&layer);
	assert_int_equal(atomic_load(&fixture->store->space.staged), 0);
}

#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

/* As a layer that somebody claims has some units when a pass over it has staged all of them. */
static void fills_what_an_open_layer_lacks(void **state)
{
	struct fixture *fixture = *state;
	const struct cache_verify_options options = {0};
	struct layer_shape in_spans = shape;
	struct layer_staging *staging = stage(fixture);
	struct cache_verify_result result;
	struct test_layer layer;
	struct error err = {0};

	in_spans.in_spans = true;
	layer_make(fixture, &in_spans, &layer);
	layer_put_unit(&layer, 3);
	stage_all(staging, &layer);
	if (layer_staging_fill(staging, layer.store, &err) < 0)
		fail_msg("%s", err.message);
	layer_staging_free(staging);
	assert_true(layer_store_is_complete(layer.store));
	assert_true(layer_reads(&layer, 0, 40 * 14000));
	layer_leave(&layer);
	fixture_close(fixture);
	fixture_open(fixture);
	assert_true(is_complete(fixture, &layer));
	assert_int_equal(cache_verify(fixture->store, &options, &result, &err), 0);
	assert_int_equal(result.n_checked, shape.n_units);
	assert_int_equal(result.n_wrong, 0);
}

static void fills_nothing_that_was_not_kept(void **state)
{
	struct fixture *fixture = *state;
	struct layer_staging *staging;
	struct test_layer layer;
	struct error err = {0};

	fixture_close(fixture);
	fixture->options.quota_bytes = 150000;
	fixture_open(fixture);
	layer_make(fixture, &shape, &layer);
	staging = stage(fixture);
	stage_all(staging, &layer);
	assert_false(layer_staging_is_kept(staging, (char[256]){0}, 256));
	assert_int_equal(layer_staging_fill(staging, layer.store, &err), 0);
	assert_false(layer_store_is_complete(layer.store));
	layer_staging_free(staging);
	layer_leave(&layer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(staged_bytes_are_the_layers_after_a_restart),
		STORE_TEST(staged_bytes_are_verified_like_all_others),
		STORE_TEST(bytes_of_no_unit_become_zeros),
		STORE_TEST(what_was_not_adopted_leaves_nothing),
		STORE_TEST(a_layer_that_has_bytes_keeps_its_own),
		STORE_TEST(fills_what_an_open_layer_lacks),
		STORE_TEST(fills_nothing_that_was_not_kept),
		STORE_TEST(a_quota_that_is_used_up_keeps_nothing_and_fails_nothing),
	};
	return cmocka_run_group_tests_name("store/layer_staging", tests, NULL, NULL);
}
