/* SPDX-License-Identifier: Apache-2.0 */
/* Units that have no digest of their own, but a span that vouched for them. */
#include "store/layer_store.h"

#include "support/test.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/store_cache.h"
#include "store_fixture.h"
#include "store_internal.h"
#include "store_unit_digests_internal.h"

enum { N_UNITS = 8, UNIT_SIZE = 70000 };

static struct layer_shape shape_of(unsigned seed, bool in_spans)
{
	return (struct layer_shape){
		.seed = seed,
		.contents = 7,
		.n_units = N_UNITS,
		.unit_size = UNIT_SIZE,
		.zero_unit = N_UNITS,
		.in_spans = in_spans,
	};
}

static void make_full(
	struct fixture *fixture, unsigned seed, bool in_spans, struct test_layer *layer)
{
	const struct layer_shape shape = shape_of(seed, in_spans);
	struct error err = {0};

	layer_make(fixture, &shape, layer);
	layer_put_all(layer);
	assert_int_equal(layer_store_sync(layer->store, &err), 0);
}

static void reopen(struct fixture *fixture)
{
	fixture_close(fixture);
	fixture_open(fixture);
}

struct findings {
	unsigned n;
	uint64_t unit;
	char what[200];
};

static void find(void *arg, const uint8_t key[32], uint64_t unit, const char *what)
{
	struct findings *findings = arg;

	(void)key;
	findings->n++;
	findings->unit = unit;
	(void)snprintf(findings->what, sizeof(findings->what), "%s", what);
}

static struct cache_verify_result verify(
	struct fixture *fixture, bool repair, struct findings *findings)
{
	const struct cache_verify_options options = {
		.repair = repair, .finding = find, .arg = findings};
	struct cache_verify_result result;
	struct error err = {0};

	*findings = (struct findings){0};
	if (cache_verify(fixture->store, &options, &result, &err) < 0)
		fail_msg("%s", err.message);
	return result;
}

static uint32_t number_of(const struct test_layer *layer)
{
	uint32_t number = atomic_load(&layer->store->state->number);

	assert_true(number > 0);
	return number;
}

static size_t n_digests(struct fixture *fixture)
{
	struct db_txn txn = {0};
	size_t n;

	assert_int_equal(db_read_begin(fixture->store->db, &txn, NULL), 0);
	assert_int_equal(db_count(&txn, DB_UNIT_DIGESTS, &n), 0);
	db_read_end(&txn);
	return n;
}

static void they_are_stored_and_read_like_all_others(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;

	make_full(fixture, 1, true, &layer);
	for (uint64_t i = 0; i < N_UNITS; i++)
		assert_true(layer_reads_unit(&layer, i));
	layer_leave(&layer);
	reopen(fixture);
	layer_enter(fixture, &layer);
	assert_true(layer_store_is_complete(layer.store));
	assert_true(layer_reads_unit(&layer, N_UNITS - 1));
	layer_leave(&layer);
}

static void verification_compares_them_with_the_digest_they_had(void **state)
{
	struct fixture *fixture = *state;
	struct cache_verify_result result;
	struct findings findings;
	struct test_layer layer;

	make_full(fixture, 1, true, &layer);
	result = verify(fixture, false, &findings);
	assert_int_equal(result.n_checked, N_UNITS);
	assert_int_equal(result.n_wrong, 0);
	layer_leave(&layer);

	reopen(fixture);
	layer_damage(fixture, &layer, 5);
	result = verify(fixture, true, &findings);
	assert_int_equal(result.n_checked, N_UNITS);
	assert_int_equal(result.n_wrong, 1);
	assert_int_equal(result.n_repaired, 1);
	assert_int_equal(findings.unit, 5);
	assert_non_null(strstr(findings.what, "expected sha256:"));

	layer_enter(fixture, &layer);
	assert_false(layer_store_has(layer.store, 5));
	layer_put_unit(&layer, 5);
	result = verify(fixture, false, &findings);
	assert_int_equal(result.n_checked, N_UNITS);
	assert_int_equal(result.n_wrong, 0);
	assert_true(layer_reads_unit(&layer, 5));
	layer_leave(&layer);
}

struct change {
	uint32_t number;
	uint32_t unit;
	size_t size; /* of the record that is put; 0: it is removed */
};

static int change_digest(struct db_txn *txn, void *arg)
{
	static const uint8_t bytes[64];
	const struct change *change = arg;
	uint8_t key[8];

	record_unit_key(change->number, change->unit, key);
	if (change->size == 0)
		return db_delete(txn, DB_UNIT_DIGESTS, key, sizeof(key));
	return db_put(txn, DB_UNIT_DIGESTS, key, sizeof(key), bytes, change->size);
}

static void without_the_record_of_its_digest_a_unit_is_wrong(void **state)
{
	struct fixture *fixture = *state;
	struct cache_verify_result result;
	struct findings findings;
	struct test_layer layer;

	make_full(fixture, 1, true, &layer);
	for (size_t size = 0; size <= 64; size += 32) {
		struct change change = {.number = number_of(&layer), .unit = 3, .size = size};

		assert_int_equal(
			db_write(fixture->store->db, change_digest, &change, "test", NULL), 0);
		result = verify(fixture, true, &findings);
		assert_int_equal(result.n_wrong, 1);
		assert_int_equal(findings.unit, 3);
		assert_non_null(strstr(findings.what,
			size == 32 ? "expected sha256:00000000" : "record of its digest"));
		assert_false(layer_store_has(layer.store, 3));
		layer_put_unit(&layer, 3);
		assert_int_equal(layer_store_sync(layer.store, NULL), 0);
	}
	assert_int_equal(verify(fixture, true, &findings).n_wrong, 0);
	layer_leave(&layer);
}

static bool copies(struct test_layer *layer, uint64_t i)
{
	struct error err = {0};
	bool found;

	if (store_copy(layer->store, i, &found, &err) < 0)
		fail_msg("%s", err.message);
	return found;
}

static void other_layers_copy_from_them(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer in_spans, plain;

	make_full(fixture, 1, true, &in_spans);
	layer_leave(&in_spans);
	reopen(fixture);
	layer_make(fixture,
		&(struct layer_shape){.seed = 2,
			.contents = 7,
			.n_units = N_UNITS,
			.unit_size = UNIT_SIZE,
			.zero_unit = N_UNITS},
		&plain);
	for (uint64_t i = 0; i < N_UNITS; i++) {
		assert_true(copies(&plain, i));
		assert_true(layer_reads_unit(&plain, i));
	}
	layer_leave(&plain);
}

static void a_copy_from_a_damaged_one_is_refused(void **state)
{
	struct fixture *fixture = *state;
	const struct layer_shape shape = shape_of(2, false);
	struct test_layer in_spans, plain;

	make_full(fixture, 1, true, &in_spans);
	layer_damage(fixture, &in_spans, 0);
	layer_make(fixture, &shape, &plain);
	assert_false(copies(&plain, 0));
	assert_false(layer_store_has(in_spans.store, 0));
	assert_true(copies(&plain, 1));
	layer_leave(&plain);
	layer_leave(&in_spans);
}

/* Nobody knows what to look for. */
static void they_themselves_are_not_copied(void **state)
{
	struct fixture *fixture = *state;
	const struct layer_shape shape = shape_of(2, true);
	struct test_layer plain, in_spans;

	make_full(fixture, 1, false, &plain);
	layer_make(fixture, &shape, &in_spans);
	assert_false(copies(&in_spans, 0));
	assert_false(layer_store_has(in_spans.store, 0));
	layer_leave(&in_spans);
	layer_leave(&plain);
}

/* Not flagged in the unit table: that they are zeros shows when they are here. */
static void zeros_are_holes_and_verified_too(void **state)
{
	struct fixture *fixture = *state;
	struct layer_shape shape = shape_of(1, true);
	struct cache_verify_result result;
	struct layer_store_stats stats;
	struct findings findings;
	struct test_layer layer;

	shape.n_units = 1;
	shape.zero_unit = 0;
	layer_make(fixture, &shape, &layer);
	layer_put_all(&layer);
	assert_int_equal(layer_store_sync(layer.store, NULL), 0);
	layer_store_stats(layer.store, &stats);
	assert_int_equal(stats.allocated, 0);
	assert_true(layer_reads_unit(&layer, 0));
	result = verify(fixture, false, &findings);
	assert_int_equal(result.n_checked, 1);
	assert_int_equal(result.n_wrong, 0);

	layer_damage(fixture, &layer, 0);
	assert_int_equal(verify(fixture, false, &findings).n_wrong, 1);
	layer_leave(&layer);
}

static void their_digests_go_when_the_layer_goes(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer kept, gone;
	struct findings findings;
	struct cache_usage usage;
	struct error err = {0};
	uint64_t freed;

	make_full(fixture, 1, true, &kept);
	make_full(fixture, 2, true, &gone);
	assert_int_equal(n_digests(fixture), 2 * N_UNITS);
	layer_leave(&gone);
	layer_leave(&kept);
	(void)usleep(1100000); /* a later use has another second */
	layer_enter(fixture, &kept);
	layer_leave(&kept);
	assert_int_equal(cache_usage(fixture->store, &usage, &err), 0);
	fixture_close(fixture);
	/* Room for one of them; opening the store may evict the other at once. */
	fixture->options.quota_bytes = usage.allocated - 100000;
	fixture_open(fixture);
	layer_enter(fixture, &kept);
	if (cache_evict(fixture->store, &freed, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(n_digests(fixture), N_UNITS);
	assert_int_equal(verify(fixture, false, &findings).n_checked, N_UNITS);
	layer_leave(&kept);
}

static void drop_table(struct fixture *fixture)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, N_DB_TABLES), 0);
	assert_int_equal(mdb_env_open(env, fixture_path(fixture, DB_NAME), MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, db_table_names[DB_UNIT_DIGESTS], 0, &dbi), 0);
	assert_int_equal(mdb_drop(txn, dbi, 1), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* The table came later than the first databases. */
static void a_database_without_the_table_is_opened_and_gets_it(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer plain, layer;
	struct findings findings;

	make_full(fixture, 1, false, &plain);
	layer_leave(&plain);
	fixture_close(fixture);
	drop_table(fixture);

	fixture_open(fixture);
	layer_enter(fixture, &plain);
	assert_true(layer_store_is_complete(plain.store));
	layer_leave(&plain);
	make_full(fixture, 2, true, &layer);
	assert_int_equal(n_digests(fixture), N_UNITS);
	assert_int_equal(verify(fixture, false, &findings).n_wrong, 0);
	layer_leave(&layer);
}

static void a_database_without_the_table_can_be_read(void **state)
{
	struct fixture *fixture = *state;
	struct db_options options = {.dir = fixture->path, .read_only = true};
	struct db_txn txn = {0};
	struct error err = {0};
	uint8_t digest[32];
	struct db *db;
	bool rebuilt;

	fixture_close(fixture);
	drop_table(fixture);
	options.dir_fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(options.dir_fd >= 0);
	if (db_open(&options, &db, &rebuilt, &err) < 0)
		fail_msg("%s", err.message);
	assert_false(rebuilt);
	assert_int_equal(db_read_begin(db, &txn, NULL), 0);
	assert_int_equal(unit_digest_get(&txn, 1, 0, digest), MDB_NOTFOUND);
	db_read_end(&txn);
	db_close(db);
	close(options.dir_fd);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(they_are_stored_and_read_like_all_others),
		WITH_STORE(verification_compares_them_with_the_digest_they_had),
		WITH_STORE(without_the_record_of_its_digest_a_unit_is_wrong),
		WITH_STORE(other_layers_copy_from_them),
		WITH_STORE(a_copy_from_a_damaged_one_is_refused),
		WITH_STORE(they_themselves_are_not_copied),
		WITH_STORE(zeros_are_holes_and_verified_too),
		WITH_STORE(their_digests_go_when_the_layer_goes),
		WITH_STORE(a_database_without_the_table_is_opened_and_gets_it),
		WITH_STORE(a_database_without_the_table_can_be_read),
	};
	return cmocka_run_group_tests_name("store/spans", tests, NULL, NULL);
}
