/* SPDX-License-Identifier: Apache-2.0 */
#include "layer_fixture.h"

#include "support/test.h"

static void what_is_missing_is_fetched_and_then_answered_at_once(void **state)
{
	struct layer_fixture f;
	struct reading reading;
	struct layer_stats stats;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){0});
	assert_int_equal(fixture_read(&f, 3, 4), ERROR_NONE);
	assert_int_equal(atomic_load(&f.source.n_started), 1);
	reading_start(&reading, &f, 3, 4);
	/* Before start returned. */
	assert_int_equal(reading.n_done, 1);
	assert_int_equal(reading_join(&reading, &f), ERROR_NONE);
	layer_stats(f.layer, &stats);
	assert_int_equal(stats.n_reads, 2);
	assert_int_equal(stats.read_bytes, 8 * LAYER_UNIT_SIZE);
	assert_int_equal(stats.n_failed, 0);
	assert_int_equal(stats.store.n_present, 4);
	assert_int_equal(stats.fetch.fetched_bytes, 4 * LAYER_UNIT_SIZE);
	layer_fixture_close(&f);
}

static void without_prefetch_and_background_only_what_is_read_is_fetched(void **state)
{
	struct layer_fixture f;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){0});
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(fixture_read(&f, i, 1), ERROR_NONE);
	usleep(100000);
	assert_int_equal(atomic_load(&f.source.bytes_asked), 10 * LAYER_UNIT_SIZE);
	layer_fixture_close(&f);
}

static void a_read_cancelled_before_it_starts_is_answered_once(void **state)
{
	struct layer_fixture f;
	struct reading reading;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){0});
	reading_prepare(&reading, &f, 0, 1);
	layer_read_cancel(&reading.read);
	layer_read_start(&reading.read);
	assert_int_equal(reading_join(&reading, &f), ERROR_CANCELLED);
	assert_int_equal(atomic_load(&f.source.n_started), 0);
	layer_fixture_close(&f);
}

static void a_read_that_waits_for_a_stalled_source_is_cancelled_soon(void **state)
{
	struct layer_fixture f;
	struct reading reading;
	struct layer_failure failure;
	struct layer_stats stats;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){.deadline_ms = 60000});
	atomic_store(&f.source.stalls, true);
	reading_start(&reading, &f, 0, 1);
	wait_until(atomic_load(&f.source.n_started) == 1);
	layer_read_cancel(&reading.read);
	layer_read_cancel(&reading.read);
	assert_int_equal(reading_join(&reading, &f), ERROR_CANCELLED);
	/* That is no failure. */
	assert_int_equal(layer_failures(f.layer, &failure, 1), 0);
	layer_stats(f.layer, &stats);
	assert_int_equal(stats.n_failed, 0);
	layer_fixture_close(&f);
}

static void *cancel(void *arg)
{
	struct reading *reading = arg;

	usleep((useconds_t)(reading->read.off / LAYER_UNIT_SIZE * 7));
	layer_read_cancel(&reading->read);
	return NULL;
}

static void a_cancel_may_come_at_any_moment(void **state)
{
	struct layer_fixture f;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){.keeps_nothing = true});
	for (uint64_t round = 0; round < 300; round++) {
		/* What keeps nothing goes through several rounds of waiting. */
		struct reading *reading = malloc(sizeof(*reading));
		enum error_kind kind;
		pthread_t thread;

		assert_non_null(reading);
		reading_prepare(reading, &f, round % LAYER_N_UNITS, 1);
		assert_int_equal(pthread_create(&thread, NULL, cancel, reading), 0);
		layer_read_start(&reading->read);
		(void)pthread_join(thread, NULL);
		kind = reading_join(reading, &f);
		assert_true(
			kind == ERROR_NONE || kind == ERROR_CANCELLED || kind == ERROR_NO_SPACE);
		free(reading);
	}
	layer_fixture_close(&f);
}

static void a_failed_read_leaves_its_cause(void **state)
{
	struct layer_fixture f;
	struct layer_failure failures[LAYER_MAX_FAILURES];
	struct layer_stats stats;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){0});
	atomic_store(&f.source.forbids, true);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(fixture_read(&f, 10 + i, 1), ERROR_UNAUTHORIZED);
	assert_int_equal(layer_failures(f.layer, failures, LAYER_MAX_FAILURES), 3);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(failures[i].unit, 12 - i);
		assert_int_equal(failures[i].kind, ERROR_UNAUTHORIZED);
		assert_string_equal(failures[i].message, "the fake forbids");
		assert_string_equal(failures[i].origin, "https://registry.example.com");
		assert_true(failures[i].when_s > 0);
	}
	layer_stats(f.layer, &stats);
	assert_int_equal(stats.n_failed, 3);
	layer_fixture_close(&f);
}

static void who_tries_for_ever_does_not_drive_out_other_failures(void **state)
{
	struct layer_fixture f;
	struct layer_failure failures[LAYER_MAX_FAILURES];

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){0});
	atomic_store(&f.source.forbids, true);
	assert_int_equal(fixture_read(&f, 1, 1), ERROR_UNAUTHORIZED);
	for (int i = 0; i < 2 * LAYER_MAX_FAILURES; i++)
		assert_int_equal(fixture_read(&f, 2, 1), ERROR_UNAUTHORIZED);
	assert_int_equal(layer_failures(f.layer, failures, LAYER_MAX_FAILURES), 2);
	assert_int_equal(failures[0].unit, 2);
	assert_int_equal(failures[0].n_times, 2 * LAYER_MAX_FAILURES);
	assert_int_equal(failures[1].unit, 1);
	assert_int_equal(failures[1].n_times, 1);
	/* The oldest make room for others. */
	for (uint64_t i = 0; i < LAYER_MAX_FAILURES; i++)
		assert_int_equal(fixture_read(&f, 3 + i, 1), ERROR_UNAUTHORIZED);
	assert_int_equal(layer_failures(f.layer, failures, LAYER_MAX_FAILURES), LAYER_MAX_FAILURES);
	assert_int_equal(failures[0].unit, 2 + LAYER_MAX_FAILURES);
	assert_int_equal(failures[LAYER_MAX_FAILURES - 1].unit, 3);
	assert_int_equal(layer_failures(f.layer, failures, 1), 1);
	layer_fixture_close(&f);
}

static void bytes_that_cannot_be_kept_fail_with_a_record(void **state)
{
	struct layer_fixture f;
	struct layer_failure failure;
	enum error_kind kind;
	struct reading readings[20];
	size_t n_failed = 0;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){.keeps_nothing = true});
	/* Readers that happen to come one after another are all served. */
	for (int round = 0; round < 100 && n_failed == 0; round++) {
		for (uint64_t i = 0; i < 20; i++)
			reading_start(&readings[i], &f, i, 20);
		for (uint64_t i = 0; i < 20; i++) {
			kind = reading_join(&readings[i], &f);
			assert_true(kind == ERROR_NONE || kind == ERROR_NO_SPACE);
			n_failed += kind == ERROR_NO_SPACE;
		}
	}
	assert_true(n_failed > 0);
	assert_int_equal(layer_failures(f.layer, &failure, 1), 1);
	assert_int_equal(failure.kind, ERROR_NO_SPACE);
	layer_fixture_close(&f);
}

static void a_layer_that_cannot_be_opened_leaves_everything_to_the_caller(void **state)
{
	struct layer_fixture f;
	struct layer_fixture other;
	struct layer_options options;
	struct source *source;
	struct layer *layer = NULL;
	struct error err = {0};

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){0});
	layer_fixture_open(&other, &(struct layer_fixture_options){.no_layer = true, .seed = 1});
	/* Its units are not those that this key is open with. */
	options = layer_fixture_options_of(&other, &source);
	options.store = f.store;
	assert_int_equal(layer_open(&options, &layer, &err), -1);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_null(layer);
	assert_int_equal(atomic_load(&other.source.n_freed), 0);
	assert_int_equal(unit_table_header(other.index->units)->n_units, LAYER_N_UNITS);
	layer_fixture_close(&other);
	layer_fixture_close(&f);
}

static void a_layer_completes_in_quiet_moments_and_can_be_told_not_to(void **state)
{
	struct layer_fixture f;
	struct layer_stats stats;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){.background = true});
	layer_set_background(f.layer, false);
	usleep(800000);
	layer_stats(f.layer, &stats);
	assert_int_equal(stats.store.n_present, 0);
	assert_false(stats.fetch.background);
	layer_set_background(f.layer, true);
	wait_until(layer_store_is_complete(layer_store_of(f.layer)));
	assert_int_equal(fixture_read(&f, 0, LAYER_N_UNITS), ERROR_NONE);
	layer_fixture_close(&f);
}

static void a_layer_lives_as_long_as_its_last_reference(void **state)
{
	struct layer_fixture f;

	(void)state;
	layer_fixture_open(&f, &(struct layer_fixture_options){0});
	assert_ptr_equal(layer_ref(f.layer), f.layer);
	layer_unref(f.layer);
	assert_int_equal(atomic_load(&f.source.n_freed), 0);
	assert_int_equal(fixture_read(&f, 0, 1), ERROR_NONE);
	assert_true(digest_equal(&layer_descriptor(f.layer)->digest, &f.descriptor.digest));
	layer_unref(f.layer);
	f.layer = NULL;
	assert_int_equal(atomic_load(&f.source.n_freed), 1);
	layer_unref(NULL);
	layer_fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_missing_is_fetched_and_then_answered_at_once),
		cmocka_unit_test(without_prefetch_and_background_only_what_is_read_is_fetched),
		cmocka_unit_test(a_read_cancelled_before_it_starts_is_answered_once),
		cmocka_unit_test(a_read_that_waits_for_a_stalled_source_is_cancelled_soon),
		cmocka_unit_test(a_cancel_may_come_at_any_moment),
		cmocka_unit_test(a_failed_read_leaves_its_cause),
		cmocka_unit_test(who_tries_for_ever_does_not_drive_out_other_failures),
		cmocka_unit_test(bytes_that_cannot_be_kept_fail_with_a_record),
		cmocka_unit_test(a_layer_that_cannot_be_opened_leaves_everything_to_the_caller),
		cmocka_unit_test(a_layer_completes_in_quiet_moments_and_can_be_told_not_to),
		cmocka_unit_test(a_layer_lives_as_long_as_its_last_reference),
	};
	return cmocka_run_group_tests_name("layer/layer", tests, NULL, NULL);
}
