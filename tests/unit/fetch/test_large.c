/* SPDX-License-Identifier: Apache-2.0 */
/* Units that are too large to be held in memory. */
#include "fetch_fixture.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define UNIT_SIZE ((UINT64_C(64) << 20) + 5000)

/* 8 MiB each, and the rest. */
enum { N_PIECES = 9 };

static void a_large_unit_is_fetched_in_pieces(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_units = 1, .unit_size = UNIT_SIZE});
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
	assert_unit_is_right(&f, 0);
	assert_int_equal(atomic_load(&f.sources[0].n_started), N_PIECES);
	assert_int_equal(atomic_load(&f.sources[0].bytes_asked), UNIT_SIZE);
	fixture_close(&f);
}

static void a_large_unit_that_cannot_be_kept_is_fetched_once(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, &(struct fixture_options){
				 .n_units = 1, .unit_size = UNIT_SIZE, .keeps_nothing = true});
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
	assert_int_equal(atomic_load(&f.sources[0].n_started), N_PIECES);
	fixture_close(&f);
}

static void without_a_place_for_it_a_large_unit_says_what_it_needs(void **state)
{
	struct fixture f;
	struct error err;

	(void)state;
	fixture_open(&f, &(struct fixture_options){.n_units = 1, .unit_size = UNIT_SIZE});
	/* As good as read-only, even for root: there is no such directory. */
	assert_int_equal(rename("store", "elsewhere"), 0);
	assert_int_not_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
	assert_int_equal(rename("elsewhere", "store"), 0);
	err = fixture_last_failure(&f);
	assert_non_null(strstr(err.message, "needs a store that can be written"));
	assert_int_equal(atomic_load(&f.n_failed), 1);
	/* Asking for more pieces, or again, would not help. */
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
	assert_unit_is_right(&f, 0);
	fixture_close(&f);
}

static void the_rest_of_a_large_unit_is_not_fetched_for_nobody(void **state)
{
	struct fixture f;
	struct waiter waiter;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.n_units = 1, .unit_size = UNIT_SIZE, .stalled = true});
	waiter_start(&waiter, &f, 0, 1);
	wait_until(atomic_load(&f.sources[0].n_started) == 1);
	fetch_wait_cancel(&waiter.wait);
	assert_int_equal(waiter_join(&waiter), ERROR_CANCELLED);
	atomic_store(&f.sources[0].stalls, false);
	usleep(500000);
	assert_int_equal(atomic_load(&f.sources[0].n_started), 1);
	assert_int_equal(atomic_load(&f.n_failed), 0);
	fixture_close(&f);
}

static void closing_ends_a_large_unit_wherever_it_is(void **state)
{
	(void)state;
	for (useconds_t round = 0; round < 6; round++) {
		struct fixture f;
		struct waiter waiter;

		fixture_open(
			&f, &(struct fixture_options){
				    .n_units = 1, .unit_size = UNIT_SIZE, .stalled = round == 0});
		waiter_start(&waiter, &f, 0, 1);
		wait_until(atomic_load(&f.sources[0].n_started) >= 1);
		usleep(round * 13000);
		fixture_close(&f);
		(void)waiter_join(&waiter);
	}
}

static void a_large_unit_is_tried_again(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f,
		&(struct fixture_options){.n_units = 1, .unit_size = UNIT_SIZE, .n_sources = 2});
	atomic_store(&f.sources[0].lies, true);
	atomic_store(&f.sources[1].n_fails, 1);
	assert_int_equal(fixture_fetch(&f, 0, 1), ERROR_NONE);
	assert_unit_is_right(&f, 0);
	assert_int_equal(atomic_load(&f.n_failed), 1);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_unit_is_fetched_in_pieces),
		cmocka_unit_test(a_large_unit_that_cannot_be_kept_is_fetched_once),
		cmocka_unit_test(without_a_place_for_it_a_large_unit_says_what_it_needs),
		cmocka_unit_test(the_rest_of_a_large_unit_is_not_fetched_for_nobody),
		cmocka_unit_test(closing_ends_a_large_unit_wherever_it_is),
		cmocka_unit_test(a_large_unit_is_tried_again),
	};
	return cmocka_run_group_tests_name("fetch/large", tests, NULL, NULL);
}
