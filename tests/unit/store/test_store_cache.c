/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_cache.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void make_full(struct fixture *fixture, unsigned seed, struct test_layer *layer)
{
	const struct layer_shape shape = shape_of(seed);
	struct error err = {0};

	layer_make(fixture, &shape, layer);
	layer_put_all(layer);
	assert_int_equal(layer_store_sync(layer->store, &err), 0);
}

static void reopen(struct fixture *fixture, uint64_t quota_bytes)
{
	fixture_close(fixture);
	fixture->options.quota_bytes = quota_bytes;
	fixture_open(fixture);
}

static bool has_data(const struct fixture *fixture, const struct test_layer *layer)
{
	return access(fixture_path(fixture, "layers/%s.data", layer->name), F_OK) == 0;
}

/* Uses a layer and waits until a later use has another second. */
static void use(struct fixture *fixture, struct test_layer *layer)
{
	layer_enter(fixture, layer);
	layer_leave(layer);
	(void)usleep(1100000);
}

static void the_layers_used_longest_ago_are_evicted_until_the_quota_holds(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layers[3];
	struct cache_usage usage;
	struct error err = {0};
	uint64_t freed;

	for (unsigned i = 0; i < 3; i++) {
		make_full(fixture, i + 1, &layers[i]);
		layer_leave(&layers[i]);
	}
	use(fixture, &layers[1]);
	use(fixture, &layers[0]);
	use(fixture, &layers[2]);
	assert_int_equal(cache_usage(fixture->store, &usage, &err), 0);
	assert_int_equal(usage.quota, 0);
	assert_true(usage.allocated >= 12 * MIB);

	reopen(fixture, 14 * MIB);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_false(has_data(fixture, &layers[1]));
	assert_true(has_data(fixture, &layers[0]));
	assert_true(has_data(fixture, &layers[2]));
	assert_int_equal(cache_usage(fixture->store, &usage, &err), 0);
	assert_true(usage.allocated <= 14 * MIB);
	assert_int_equal(usage.quota, 14 * MIB);
	assert_int_equal(usage.evicted_layers, 1);
	assert_true(usage.evicted_bytes >= 4 * MIB);

	/* An evicted layer is a layer that has nothing yet. */
	layer_enter(fixture, &layers[1]);
	assert_false(layer_store_has(layers[1].store, 0));
	layer_put_unit(&layers[1], 2);
	assert_true(layer_reads_unit(&layers[1], 2));
	layer_leave(&layers[1]);
}

static void open_layers_are_never_evicted_and_reads_go_on_when_they_fill_the_quota(void **state)
{
	struct fixture *fixture = *state;
	const struct layer_shape shape = shape_of(2);
	struct test_layer open_layer, next;
	struct error err = {0};
	char why[200];
	uint64_t freed;

	make_full(fixture, 1, &open_layer);
	layer_leave(&open_layer);
	reopen(fixture, 6 * MIB);
	/* Opening races with the check at the start of the store; afterwards nothing may go. */
	layer_enter(fixture, &open_layer);
	layer_put_all(&open_layer);
	assert_int_equal(layer_store_sync(open_layer.store, &err), 0);
	assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
	assert_int_equal(freed, 0);
	for (uint64_t i = 0; i < N_UNITS; i++)
		assert_true(layer_reads_unit(&open_layer, i));

	for (unsigned i = 0; i < 500 && store_caching(fixture->store, why, sizeof(why)); i++)
		(void)usleep(10000);
	assert_false(store_caching(fixture->store, why, sizeof(why)));
	assert_non_null(strstr(why, "quota"));

	layer_make(fixture, &shape, &next);
	layer_put_all(&next);
	for (uint64_t i = 0; i < N_UNITS; i++)
		assert_true(layer_reads_unit(&next, i));
	assert_true(layer_reads(&next, 5000, MIB));
	assert_false(has_data(fixture, &next));
	layer_leave(&next);
	layer_enter(fixture, &next);
	assert_false(layer_store_has(next.store, 0));
	layer_leave(&next);

	/* Room comes back with the layer that took it. */
	layer_leave(&open_layer);
	for (unsigned i = 0; i < 1000 && !store_caching(fixture->store, why, sizeof(why)); i++) {
		assert_int_equal(cache_evict(fixture->store, &freed, &err), 0);
		(void)usleep(10000);
	}
	assert_true(store_caching(fixture->store, why, sizeof(why)));
	assert_false(has_data(fixture, &open_layer));
	layer_enter(fixture, &next);
	layer_put_unit(&next, 0);
	assert_int_equal(layer_store_sync(next.store, &err), 0);
	assert_true(has_data(fixture, &next));
	layer_leave(&next);
}

static void memory_for_chunks_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	const struct layer_shape big = {
		.seed = 4, .contents = 4, .n_units = 16, .unit_size = MIB, .zero_unit = 99};
	struct test_layer layer, filler;
	unsigned n_kept = 0;
	char why[200];

	fixture->options.chunk_memory = 5 * MIB;
	reopen(fixture, 1);
	make_full(fixture, 1, &filler);
	for (unsigned i = 0; i < 500 && store_caching(fixture->store, why, sizeof(why)); i++)
		(void)usleep(10000);
	assert_false(store_caching(fixture->store, why, sizeof(why)));
	layer_make(fixture, &big, &layer);
	layer_put_all(&layer);
	for (uint64_t i = 0; i < big.n_units; i++)
		n_kept += layer_store_has(layer.store, i);
	assert_int_equal(n_kept, 5);
	assert_true(layer_reads_unit(&layer, 15));
	assert_false(layer_reads_unit(&layer, 10));
	layer_leave(&layer);
	layer_leave(&filler);
}

struct listed {
	unsigned n;
	struct cache_layer layers[4];
};

static int list(void *arg, const struct cache_layer *layer)
{
	struct listed *listed = arg;

	assert_true(listed->n < 4);
	listed->layers[listed->n++] = *layer;
	return 0;
}

static void layers_are_listed_with_what_they_have(void **state)
{
	struct fixture *fixture = *state;
	const struct layer_shape shape = shape_of(2);
	struct test_layer full, part;
	struct listed listed = {0};
	struct error err = {0};
	const struct cache_layer *of_part;

	make_full(fixture, 1, &full);
	layer_leave(&full);
	layer_make(fixture, &shape, &part);
	layer_put_unit(&part, 1);
	assert_int_equal(layer_store_sync(part.store, &err), 0);
	layer_put_unit(&part, 2);
	assert_int_equal(cache_each_layer(fixture->store, list, &listed, &err), 0);
	assert_int_equal(listed.n, 2);
	of_part = &listed.layers[memcmp(listed.layers[0].key, part.key, 32) == 0 ? 0 : 1];
	assert_memory_equal(of_part->key, part.key, 32);
	assert_int_equal(of_part->n_units, N_UNITS);
	assert_int_equal(of_part->n_present, 2);
	assert_int_equal(of_part->size, N_UNITS * MIB);
	assert_int_equal(of_part->present, 2 * MIB);
	assert_int_equal(of_part->blob.bytes[0], 2);
	assert_int_equal(of_part->blob_size, N_UNITS * MIB + 1);
	assert_true(of_part->allocated >= 2 * MIB);
	assert_true(of_part->used_s > 0);
	assert_true(of_part->open);
	layer_leave(&part);

	reopen(fixture, 0);
	listed.n = 0;
	assert_int_equal(cache_each_layer(fixture->store, list, &listed, &err), 0);
	assert_int_equal(listed.n, 2);
	assert_false(listed.layers[0].open);
	assert_int_equal(listed.layers[0].n_present + listed.layers[1].n_present, N_UNITS + 2);
}

struct findings {
	unsigned n;
	uint64_t unit;
	uint8_t key[32];
	char what[200];
	unsigned n_progress;
	unsigned stop_after;
};

static void find(void *arg, const uint8_t key[32], uint64_t unit, const char *what)
{
	struct findings *findings = arg;

	findings->n++;
	findings->unit = unit;
	memcpy(findings->key, key, sizeof(findings->key));
	(void)strncpy(findings->what, what, sizeof(findings->what) - 1);
}

static int progress(void *arg, uint64_t checked_bytes, uint64_t total_bytes)
{
	struct findings *findings = arg;

	assert_true(checked_bytes <= total_bytes);
	return ++findings->n_progress == findings->stop_after;
}

static struct cache_verify_result verify(
	struct fixture *fixture, bool repair, struct findings *findings)
{
	const struct cache_verify_options options = {
		.repair = repair, .progress = progress, .finding = find, .arg = findings};
	struct cache_verify_result result;
	struct error err = {0};

	if (cache_verify(fixture->store, &options, &result, &err) < 0)
		fail_msg("%s", err.message);
	return result;
}

static void verification_finds_what_is_wrong_and_repair_forgets_it(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer open_layer, closed;
	struct cache_verify_result result;
	struct findings findings = {0};

	make_full(fixture, 1, &closed);
	layer_leave(&closed);
	reopen(fixture, 0);
	make_full(fixture, 2, &open_layer);
	result = verify(fixture, false, &findings);
	assert_int_equal(result.n_layers, 2);
	assert_int_equal(result.n_checked, 2 * N_UNITS);
	assert_int_equal(result.checked_bytes, 2 * N_UNITS * MIB);
	assert_int_equal(result.n_wrong, 0);
	assert_int_equal(findings.n, 0);
	assert_int_equal(findings.n_progress, 2 * N_UNITS);

	layer_damage(fixture, &closed, 2);
	result = verify(fixture, false, &findings);
	assert_int_equal(result.n_wrong, 1);
	assert_int_equal(result.n_repaired, 0);
	assert_int_equal(findings.unit, 2);
	assert_memory_equal(findings.key, closed.key, 32);
	assert_non_null(strstr(findings.what, "digest"));

	layer_damage(fixture, &open_layer, 0);
	result = verify(fixture, true, &findings);
	assert_int_equal(result.n_wrong, 2);
	assert_int_equal(result.n_repaired, 2);
	result = verify(fixture, false, &findings);
	assert_int_equal(result.n_checked, 2 * N_UNITS - 2);
	assert_int_equal(result.n_wrong, 0);
	assert_false(layer_store_has(open_layer.store, 0));
	layer_leave(&open_layer);
	layer_enter(fixture, &closed);
	assert_false(layer_store_has(closed.store, 2));
	assert_true(layer_reads_unit(&closed, 1));
	layer_leave(&closed);
}

static void verification_finds_files_that_are_cut_and_indexes_that_do_not_open(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer cut, no_index;
	struct cache_verify_result result;
	struct findings findings = {0};

	make_full(fixture, 1, &cut);
	make_full(fixture, 2, &no_index);
	assert_int_equal(truncate(fixture_path(fixture, "layers/%s.data", cut.name), 2 * MIB), 0);
	result = verify(fixture, false, &findings);
	assert_int_equal(result.n_wrong, 3);
	assert_int_equal(result.n_checked, 2 * N_UNITS);
	layer_leave(&cut);
	layer_leave(&no_index);

	reopen(fixture, 0);
	assert_int_equal(truncate(fixture_path(fixture, "layers/%s.units", no_index.name), 50), 0);
	findings = (struct findings){0};
	result = verify(fixture, false, &findings);
	assert_int_equal(result.n_broken_indexes, 2);
	assert_int_equal(result.n_checked, 0);
	assert_int_equal(findings.n, 2);
	assert_true(has_data(fixture, &cut));
	(void)verify(fixture, true, &findings);
	assert_false(has_data(fixture, &cut));
	assert_false(has_data(fixture, &no_index));
	result = verify(fixture, false, &findings);
	assert_int_equal(result.n_layers, 0);
}

static void bytes_without_a_digest_are_not_counted_as_checked(void **state)
{
	struct fixture *fixture = *state;
	struct layer_shape shape = shape_of(1);
	struct findings findings = {0};
	struct test_layer layer;

	shape.unverified = true;
	layer_make(fixture, &shape, &layer);
	layer_put_all(&layer);
	assert_int_equal(verify(fixture, true, &findings).n_checked, 0);
	assert_int_equal(findings.n, 0);
	assert_true(layer_reads_unit(&layer, 0));
	layer_leave(&layer);
}

static void verification_stops_when_it_is_told_to(void **state)
{
	struct fixture *fixture = *state;
	struct findings findings = {.stop_after = 2};
	struct test_layer layer;

	make_full(fixture, 1, &layer);
	assert_int_equal(verify(fixture, false, &findings).n_checked, 2);
	layer_leave(&layer);
}

static void a_quota_can_be_a_share_of_the_file_system(void **state)
{
	struct fixture *fixture = *state;
	struct cache_usage usage, whole;
	struct error err = {0};

	fixture_close(fixture);
	fixture->options.quota_percent = 100;
	fixture_open(fixture);
	assert_int_equal(cache_usage(fixture->store, &whole, &err), 0);
	assert_true(whole.quota > whole.file_system_free);
	fixture_close(fixture);
	fixture->options.quota_percent = 10;
	fixture_open(fixture);
	assert_int_equal(cache_usage(fixture->store, &usage, &err), 0);
	assert_true(usage.quota <= whole.quota / 10);
	assert_true(usage.quota > whole.quota / 11);
	fixture_close(fixture);
	fixture->options.quota_bytes = MIB;
	fixture_open(fixture);
	assert_int_equal(cache_usage(fixture->store, &usage, &err), 0);
	assert_int_equal(usage.quota, MIB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_layers_used_longest_ago_are_evicted_until_the_quota_holds),
		TEST(open_layers_are_never_evicted_and_reads_go_on_when_they_fill_the_quota),
		TEST(memory_for_chunks_is_bounded),
		TEST(layers_are_listed_with_what_they_have),
		TEST(verification_finds_what_is_wrong_and_repair_forgets_it),
		TEST(verification_finds_files_that_are_cut_and_indexes_that_do_not_open),
		TEST(bytes_without_a_digest_are_not_counted_as_checked),
		TEST(verification_stops_when_it_is_told_to),
		TEST(a_quota_can_be_a_share_of_the_file_system),
	};
	return cmocka_run_group_tests_name("store/cache", tests, NULL, NULL);
}
