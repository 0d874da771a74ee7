/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layer_artifact.h"

#include "support/test.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "store/store_cache.h"
#include "store_fixture.h"
#include "store_internal.h"

static const char artifact[] = "what an index was built from";

static struct digest digest_of(const void *data, size_t size)
{
	struct digest digest;

	assert_int_equal(digest_compute(DIGEST_SHA256, data, size, &digest, NULL), 0);
	return digest;
}

static void put(struct fixture *fixture, const struct digest *blob, const uint8_t *key)
{
	const struct digest digest = digest_of(artifact, sizeof(artifact));
	struct error err = {0};

	if (layer_artifact_put(fixture->store, blob, "gzip", key, &digest, artifact,
		    sizeof(artifact), &err) < 0)
		fail_msg("%s", err.message);
}

static bool find(struct fixture *fixture, const struct digest *blob, const char *format)
{
	const struct digest expected = digest_of(artifact, sizeof(artifact));
	struct error err = {0};
	struct digest found_digest;
	bool found;

	if (layer_artifact_find(fixture->store, blob, format, &found, &found_digest, &err) < 0)
		fail_msg("%s", err.message);
	if (found)
		assert_true(digest_equal(&found_digest, &expected));
	return found;
}

static bool is_readable(struct fixture *fixture, const uint8_t *key)
{
	const struct digest digest = digest_of(artifact, sizeof(artifact));
	CLEANUP(buffer_free) struct buffer read = {0};
	struct error err = {0};
	bool found;

	if (layer_artifact_read(fixture->store, key, &digest, &found, &read, &err) < 0)
		fail_msg("%s", err.message);
	if (found) {
		assert_int_equal(read.size, sizeof(artifact));
		assert_memory_equal(read.data, artifact, sizeof(artifact));
	}
	return found;
}

static void an_artifact_is_found_by_blob_and_format_after_a_restart(void **state)
{
	struct fixture *fixture = *state;
	const struct digest blob = digest_of("blob", 4), other = digest_of("other", 5);
	const uint8_t key[32] = {1}, no_key[32] = {2};

	assert_false(find(fixture, &blob, "gzip"));
	put(fixture, &blob, key);
	fixture_close(fixture);
	fixture_open(fixture);
	assert_true(find(fixture, &blob, "gzip"));
	assert_false(find(fixture, &blob, "zstd"));
	assert_false(find(fixture, &other, "gzip"));
	assert_true(is_readable(fixture, key));
	assert_false(is_readable(fixture, no_key));
}

static void a_damaged_artifact_is_as_none(void **state)
{
	struct fixture *fixture = *state;
	const struct digest blob = digest_of("blob", 4);
	const uint8_t key[32] = {1};
	const char *path;

	put(fixture, &blob, key);
	path = fixture_path(fixture, "layers/01%062d.spans", 0);
	assert_int_equal(truncate(path, 5), 0);
	assert_false(is_readable(fixture, key));
	assert_true(find(fixture, &blob, "gzip"));
}

static void artifacts_go_only_when_layers_were_not_enough(void **state)
{
	struct fixture *fixture = *state;
	static const struct layer_shape shape = {
		.seed = 1, .contents = 1, .n_units = 40, .unit_size = 5000, .zero_unit = 40};
	const struct digest blob = digest_of("blob", 4);
	struct cache_usage usage;
	struct test_layer layer;
	struct error err = {0};
	uint64_t freed;

	layer_make(fixture, &shape, &layer);
	layer_put_all(&layer);
	put(fixture, &blob, layer.key);
	assert_int_equal(layer_store_sync(layer.store, &err), 0);
	layer_leave(&layer);
	assert_int_equal(cache_usage(fixture->store, &usage, &err), 0);
	fixture_close(fixture);
	fixture->options.quota_bytes = usage.allocated - 100000;
	fixture_open(fixture);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_int_not_equal(access(fixture_path(fixture, "layers/%s.data", layer.name), F_OK), 0);
	assert_true(is_readable(fixture, layer.key));
	fixture_close(fixture);
	fixture->options.quota_bytes = 1;
	fixture_open(fixture);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_false(is_readable(fixture, layer.key));
}

static bool has_file(const struct fixture *fixture, const struct test_layer *layer, const char *end)
{
	return access(fixture_path(fixture, "layers/%s%s", layer->name, end), F_OK) == 0;
}

static void nothing_of_a_discarded_layer_stays(void **state)
{
	struct fixture *fixture = *state;
	struct layer_shape shape = {.seed = 4, .contents = 4, .n_units = 20, .unit_size = 5000};
	struct test_layer layer, other;
	struct error err = {0};

	layer_make(fixture, &shape, &layer);
	shape.seed = 5;
	layer_make(fixture, &shape, &other);
	layer_put_all(&layer);
	layer_put_all(&other);
	assert_int_equal(layer_artifact_keep(fixture->store, layer.key, "index", 5, &err), 0);
	if (layer_store_discard(layer.store, &err) < 0)
		fail_msg("%s", err.message);
	assert_false(layer_store_has(layer.store, 0));
	assert_false(layer_reads_unit(&layer, 7));
	assert_false(has_file(fixture, &layer, ".data"));
	assert_false(has_file(fixture, &layer, ".units"));
	assert_false(has_file(fixture, &layer, ".spans"));
	assert_true(layer_reads_unit(&other, 7));
	layer_leave(&layer);
	layer_leave(&other);
	fixture_close(fixture);
	fixture_open(fixture);
	assert_false(has_file(fixture, &layer, ".data"));
	layer_enter(fixture, &other);
	assert_true(layer_store_is_complete(other.store));
	layer_leave(&other);
}

#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(an_artifact_is_found_by_blob_and_format_after_a_restart),
		STORE_TEST(a_damaged_artifact_is_as_none),
		STORE_TEST(artifacts_go_only_when_layers_were_not_enough),
		STORE_TEST(nothing_of_a_discarded_layer_stays),
	};
	return cmocka_run_group_tests_name("store/layer_artifact", tests, NULL, NULL);
}
