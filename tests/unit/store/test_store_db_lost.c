/* SPDX-License-Identifier: Apache-2.0 */
/* A database whose pages the disk does not give back: the process stays, and so does what it has.
 * Each store runs in a child, which leaves what LMDB had in use behind. */
#include "store/store_cache.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk_fixture.h"
#include "support/sigbus.h"

enum { N_UNITS = 40, DOCUMENT_SIZE = 2 << 20 };

static const struct layer_shape shapes[3] = {
	{.seed = 1, .contents = 1, .n_units = N_UNITS, .unit_size = 20000, .zero_unit = 3},
	{.seed = 2, .contents = 2, .n_units = N_UNITS, .unit_size = 20000, .zero_unit = 99},
	{.seed = 3, .contents = 3, .n_units = N_UNITS, .unit_size = 20000, .zero_unit = 99},
};

/* A store with three layers, of which the first is there, and a document that no read-ahead of the
 * kernel covers. */
struct lab {
	struct fixture *fixture;
	struct test_layer layers[3];
	struct digest document;
	uint8_t *data;
};

static void fill(struct lab *lab, struct fixture *fixture)
{
	struct error err = {0};

	*lab = (struct lab){.fixture = fixture, .data = calloc(1, DOCUMENT_SIZE)};
	assert_non_null(lab->data);
	assert_int_equal(
		digest_compute(DIGEST_SHA256, lab->data, DOCUMENT_SIZE, &lab->document, &err), 0);
	assert_int_equal(store_document_put(fixture->store, &lab->document, "text/plain", lab->data,
				 DOCUMENT_SIZE, &err),
		0);
	for (int i = 0; i < 3; i++)
		layer_make(fixture, &shapes[i], &lab->layers[i]);
	layer_put_all(&lab->layers[0]);
	for (int i = 0; i < 3; i++)
		layer_leave(&lab->layers[i]);
	fixture_close(fixture);
}

static void lab_free(struct lab *lab)
{
	for (int i = 0; i < 3; i++)
		unit_table_close(lab->layers[i].units);
	free(lab->data);
}

/* Whether the answer is there; -1 when it cannot be told. */
static int has_document(const struct lab *lab)
{
	CLEANUP(cleanup_free) uint8_t *data = NULL;
	char media_type[128];
	struct error err = {0};
	size_t size;
	bool found;

	if (store_document_get(lab->fixture->store, &lab->document, &found, media_type, &data,
		    &size, &err) < 0) {
		assert_int_equal(err.kind, ERROR_IO);
		assert_non_null(strstr(err.message, "index.mdb"));
		return -1;
	}
	return found;
}

/* What works without a database. */
static void live_on(struct lab *lab)
{
	struct store *store = lab->fixture->store;
	uint8_t content[32] = {1};
	struct error err = {0};
	char why[256] = "";
	uint32_t id, again;
	bool found;

	assert_false(store_caching(store, why, sizeof(why)));
	assert_non_null(strstr(why, "index.mdb"));
	assert_int_equal(has_document(lab), 0);
	assert_int_equal(store_tree_id(store, content, &id, &err), 0);
	assert_int_equal(store_tree_id(store, content, &again, &err), 0);
	assert_int_equal(id, again);

	for (int i = 1; i < 3; i++) {
		layer_put_unit(&lab->layers[i], 7);
		assert_true(layer_reads_unit(&lab->layers[i], 7));
		assert_false(layer_reads_unit(&lab->layers[i], 8));
		assert_int_equal(store_copy(lab->layers[i].store, 9, &found, &err), 0);
		assert_false(found);
		assert_int_equal(store_forget(lab->layers[i].store, 7, &err), 0);
		assert_false(layer_reads_unit(&lab->layers[i], 7));
	}
}

static void cut_database(struct lab *lab)
{
	/* The meta pages stay: LMDB looks at them all the time. */
	assert_int_equal(truncate(fixture_path(lab->fixture, "index.mdb"), 8192), 0);
}

static void lose_it_by_a_read(struct lab *lab)
{
	layer_enter(lab->fixture, &lab->layers[2]);
	cut_database(lab);
	assert_int_equal(has_document(lab), -1);
	live_on(lab);
	for (uint64_t i = 0; i < N_UNITS; i++)
		assert_true(layer_reads_unit(&lab->layers[0], i));
}

static void lose_it_by_a_commit(struct lab *lab)
{
	struct error err = {0};

	layer_enter(lab->fixture, &lab->layers[2]);
	cut_database(lab);
	for (uint64_t i = 0; i < 5; i++)
		layer_put_unit(&lab->layers[1], i);
	assert_int_equal(layer_store_sync(lab->layers[1].store, &err), -1);
	assert_int_equal(err.kind, ERROR_IO);
	live_on(lab);
	for (uint64_t i = 0; i < 5; i++)
		assert_true(layer_reads_unit(&lab->layers[1], i));
}

static void lose_it_by_opening_a_layer(struct lab *lab)
{
	cut_database(lab);
	layer_enter(lab->fixture, &lab->layers[2]);
	live_on(lab);
}

static void lose_it_with_its_disk(struct lab *lab)
{
	const char *image = getenv("VARVE_TEST_IMAGE");

	layer_enter(lab->fixture, &lab->layers[2]);
	assert_int_equal(truncate(image, 0), 0);
	assert_int_equal(has_document(lab), -1);
	live_on(lab);
}

static void run_child(struct lab *lab, void (*lose)(struct lab *lab))
{
	sigbus_claim();
	fixture_open(lab->fixture);
	layer_enter(lab->fixture, &lab->layers[0]);
	layer_enter(lab->fixture, &lab->layers[1]);
	lose(lab);
	for (int i = 0; i < 3; i++)
		layer_leave(&lab->layers[i]);
	fixture_close(lab->fixture);
	_exit(0);
}

static void expect_child_to_live(struct lab *lab, void (*lose)(struct lab *lab))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		run_child(lab, lose);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The next owner finds a database that lacks pages, and starts a new one. */
static void lose_and_open_again(struct fixture *fixture, void (*lose)(struct lab *lab))
{
	struct lab lab;

	fill(&lab, fixture);
	expect_child_to_live(&lab, lose);
	fixture_open(fixture);
	assert_true(store_caching(fixture->store, NULL, 0));
	assert_int_equal(has_document(&lab), 0);
	layer_enter(fixture, &lab.layers[0]);
	layer_put_all(&lab.layers[0]);
	assert_true(layer_reads_unit(&lab.layers[0], 1));
	layer_leave(&lab.layers[0]);
	lab_free(&lab);
}

static void a_page_lost_under_a_look_up_ends_the_database_and_not_the_process(void **state)
{
	lose_and_open_again(*state, lose_it_by_a_read);
}

static void a_page_lost_under_a_commit_loses_nothing_that_is_here(void **state)
{
	lose_and_open_again(*state, lose_it_by_a_commit);
}

static void a_layer_opens_and_lives_in_memory_when_its_record_is_lost(void **state)
{
	lose_and_open_again(*state, lose_it_by_opening_a_layer);
}

static void a_disk_that_fails_ends_the_database_and_not_the_process(void **state)
{
	(void)state;
	struct disk *disk = disk_make(DISK_EXT4);
	struct lab lab;

	fixture_open(disk->fixture);
	fill(&lab, disk->fixture);
	/* Nothing of it is in memory but what opening the store reads. */
	disk_unmount(disk);
	disk_mount(disk);
	assert_int_equal(setenv("VARVE_TEST_IMAGE", disk->image, 1), 0);
	expect_child_to_live(&lab, lose_it_with_its_disk);
	lab_free(&lab);
	disk_remove(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_page_lost_under_a_look_up_ends_the_database_and_not_the_process,
			fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(
			a_page_lost_under_a_commit_loses_nothing_that_is_here, fixture_setup,
			fixture_teardown),
		cmocka_unit_test_setup_teardown(
			a_layer_opens_and_lives_in_memory_when_its_record_is_lost, fixture_setup,
			fixture_teardown),
		cmocka_unit_test(a_disk_that_fails_ends_the_database_and_not_the_process),
	};

	sigbus_claim();
	return cmocka_run_group_tests_name("store/db_lost", tests, NULL, NULL);
}
