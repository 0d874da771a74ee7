/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

static const struct layer_shape small = {
	.seed = 1, .contents = 1, .n_units = 10, .unit_size = 3000, .zero_unit = 99};

/* A process that owns the store until its standard input, the returned descriptor, is closed. */
static pid_t own_elsewhere(struct fixture *fixture, const char *owner, int *release_fd)
{
	int ready[2], release[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(release), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store_options options = {.dir = fixture->path, .owner = owner};
		struct store *store;

		close(release[1]);
		if (store_open(&options, &store, NULL) < 0)
			_exit(1);
		if (write(ready[1], "x", 1) != 1 || read(release[0], &byte, 1) < 0)
			_exit(2);
		store_close(store);
		_exit(0);
	}
	close(ready[1]);
	close(release[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*release_fd = release[1];
	return pid;
}

static void a_second_owner_is_told_who_the_first_is_and_what_to_do(void **state)
{
	struct fixture *fixture = *state;
	char expected[1024], text[512];
	struct error err = {0};
	int release_fd, status;
	bool owned;
	pid_t pid;

	fixture_close(fixture);
	pid = own_elsewhere(fixture, "varve mount r.example/a on /mnt", &release_fd);
	(void)snprintf(expected, sizeof(expected),
		"store %s is in use by pid %d: varve mount r.example/a on /mnt; use \"varve status "
		"--store %s\", unmount it, or choose another --store",
		fixture->path, (int)pid, fixture->path);
	assert_int_equal(store_open(&fixture->options, &fixture->store, &err), -1);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_string_equal(err.message, expected);

	assert_int_equal(store_owner(fixture->path, &owned, text, sizeof(text), &err), 0);
	assert_true(owned);
	(void)snprintf(
		expected, sizeof(expected), "pid %d: varve mount r.example/a on /mnt", (int)pid);
	assert_string_equal(text, expected);

	close(release_fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(store_owner(fixture->path, &owned, text, sizeof(text), &err), 0);
	assert_false(owned);
	fixture_open(fixture);
}

static void an_owner_that_was_killed_owns_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct error err = {0};
	int release_fd, status;
	char text[64];
	bool owned;
	pid_t pid;

	fixture_close(fixture);
	pid = own_elsewhere(fixture, "to be killed", &release_fd);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(release_fd);
	assert_int_equal(store_owner(fixture->path, &owned, text, sizeof(text), &err), 0);
	assert_false(owned);
	fixture_open(fixture);
}

static void an_owner_can_say_something_else_and_nothing_can_be_forged(void **state)
{
	struct fixture *fixture = *state;
	struct error err = {0};
	char text[256], expected[64];
	bool owned;

	assert_int_equal(store_set_owner(fixture->store, "longer than what was before", &err), 0);
	assert_int_equal(store_set_owner(fixture->store, "two\nlines \x1b[2J", &err), 0);
	assert_int_equal(store_owner(fixture->path, &owned, text, sizeof(text), &err), 0);
	assert_true(owned);
	(void)snprintf(expected, sizeof(expected), "pid %d: two", (int)getpid());
	assert_string_equal(text, expected);
	assert_int_equal(store_set_owner(fixture->store, "clears \x1b[2J", &err), 0);
	assert_int_equal(store_owner(fixture->path, &owned, text, sizeof(text), &err), 0);
	assert_null(strchr(text, '\x1b'));
}

static void a_directory_without_a_store_has_no_owner(void **state)
{
	struct fixture *fixture = *state;
	struct error err = {0};
	char text[64];
	bool owned = true;

	assert_int_equal(
		store_owner(fixture_path(fixture, "images"), &owned, text, sizeof(text), &err), 0);
	assert_false(owned);
	owned = true;
	assert_int_equal(
		store_owner(fixture_path(fixture, "nowhere"), &owned, text, sizeof(text), &err), 0);
	assert_false(owned);
}

static void a_store_is_made_with_its_parents_and_for_its_owner_only(void **state)
{
	struct fixture *fixture = *state;
	struct store_options options = fixture->options;
	char path[512];
	struct store *store;
	struct error err = {0};
	struct stat status;

	(void)snprintf(path, sizeof(path), "%s", fixture_path(fixture, "images/a/b"));
	options.dir = path;
	assert_int_equal(store_open(&options, &store, &err), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_string_equal(store_dir(store), path);
	assert_true(store_caching(store, NULL, 0));
	store_close(store);
	store_close(NULL);
}

static void tree_ids_are_bound_to_contents_for_ever(void **state)
{
	struct fixture *fixture = *state;
	uint8_t content[32] = {0};
	uint32_t ids[600], again;
	struct error err = {0};

	for (unsigned i = 0; i < 600; i++) {
		content[0] = (uint8_t)i;
		content[1] = (uint8_t)(i >> 8);
		if (i == 300) {
			fixture_close(fixture);
			fixture_open(fixture);
		}
		assert_int_equal(store_tree_id(fixture->store, content, &ids[i], &err), 0);
		assert_true(ids[i] >= 1 && ids[i] < 1 << 24);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(ids[j], ids[i]);
	}
	for (unsigned i = 0; i < 600; i += 7) {
		content[0] = (uint8_t)i;
		content[1] = (uint8_t)(i >> 8);
		assert_int_equal(store_tree_id(fixture->store, content, &again, &err), 0);
		assert_int_equal(again, ids[i]);
	}
}

/* Writes over part of a file of the store that is not open. */
static void overwrite(const struct fixture *fixture, const char *name, off_t off, size_t size)
{
	int fd = open(fixture_path(fixture, "%s", name), O_WRONLY | O_CLOEXEC);
	uint8_t *wrong = malloc(size);

	assert_true(fd >= 0);
	assert_non_null(wrong);
	memset(wrong, 0xa5, size);
	assert_int_equal(pwrite(fd, wrong, size, off), size);
	free(wrong);
	close(fd);
}

static unsigned n_set_aside(const struct fixture *fixture)
{
	DIR *directory = opendir(fixture->path);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory)))
		n += strncmp(entry->d_name, "index.mdb.damaged-", 18) == 0;
	closedir(directory);
	return n;
}

/* Something of everything, so that a damage anywhere hits something. */
static uint32_t fill_and_close(struct fixture *fixture, struct test_layer *layer)
{
	const uint8_t content[32] = {7};
	struct error err = {0};
	uint32_t id;

	layer_make(fixture, &small, layer);
	layer_put_all(layer);
	layer_leave(layer);
	assert_int_equal(store_tree_id(fixture->store, content, &id, &err), 0);
	fixture_close(fixture);
	return id;
}

static void expect_rebuilt(struct fixture *fixture, struct test_layer *layer, uint32_t old_id)
{
	const uint8_t content[32] = {8};
	struct error err = {0};
	uint32_t id;

	fixture_open(fixture);
	assert_int_equal(n_set_aside(fixture), 1);
	layer_enter(fixture, layer);
	for (uint64_t i = 0; i < small.n_units; i++)
		assert_false(layer_store_has(layer->store, i));
	layer_put_all(layer);
	assert_true(layer_reads(layer, 0, 20000));
	layer_leave(layer);
	/* Another tree than before: it must not get an id that the lost database gave. */
	assert_int_equal(store_tree_id(fixture->store, content, &id, &err), 0);
	assert_true(id > old_id);
}

static void a_database_that_is_none_is_set_aside_and_nothing_is_claimed(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	uint32_t id = fill_and_close(fixture, &layer);

	overwrite(fixture, "index.mdb", 0, 8192);
	expect_rebuilt(fixture, &layer, id);
}

static void a_database_that_was_cut_is_set_aside(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	uint32_t id = fill_and_close(fixture, &layer);

	assert_int_equal(truncate(fixture_path(fixture, "index.mdb"), 3 * 4096), 0);
	expect_rebuilt(fixture, &layer, id);
}

static void damage_inside_is_found_after_an_owner_died(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	uint32_t id = fill_and_close(fixture, &layer);
	struct stat status;
	int fd;

	assert_int_equal(stat(fixture_path(fixture, "index.mdb"), &status), 0);
	overwrite(fixture, "index.mdb", 8192, (size_t)status.st_size - 8192);
	/* A lock file with an owner in it: he did not close the store. */
	fd = open(fixture_path(fixture, "lock"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "pid 1: gone\n", 12), 12);
	close(fd);
	expect_rebuilt(fixture, &layer, id);
}

static void damage_that_an_owner_met_is_set_aside_by_the_next(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	uint32_t id = fill_and_close(fixture, &layer);
	struct stat status;
	int fd;

	assert_int_equal(stat(fixture_path(fixture, "index.mdb"), &status), 0);
	overwrite(fixture, "index.mdb", 8192, (size_t)status.st_size - 8192);
	fd = open(fixture_path(fixture, "index.mdb.suspect"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	expect_rebuilt(fixture, &layer, id);
	assert_int_equal(access(fixture_path(fixture, "index.mdb.suspect"), F_OK), -1);
}

static void a_sound_database_of_an_owner_that_died_is_kept(void **state)
{
	struct fixture *fixture = *state;
	struct test_layer layer;
	int fd;

	(void)fill_and_close(fixture, &layer);
	fd = open(fixture_path(fixture, "lock"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "pid 1: gone\n", 12), 12);
	close(fd);
	fixture_open(fixture);
	assert_int_equal(n_set_aside(fixture), 0);
	layer_enter(fixture, &layer);
	for (uint64_t i = 0; i < small.n_units; i++)
		assert_true(layer_reads_unit(&layer, i));
	layer_leave(&layer);
}

static void tree_ids_do_not_start_again_when_even_their_bound_is_lost(void **state)
{
	struct fixture *fixture = *state;
	const uint8_t content[32] = {8};
	struct test_layer layer;
	struct error err = {0};
	uint32_t id;

	(void)fill_and_close(fixture, &layer);
	overwrite(fixture, "index.mdb", 0, 8192);
	overwrite(fixture, "tree-ids", 0, 3);
	fixture_open(fixture);
	assert_int_equal(store_tree_id(fixture->store, content, &id, &err), 0);
	/* Random: one in four million is 1 by chance. */
	assert_true(id > 1);
}

static void what_nobody_recorded_is_removed(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {
		"layers/.new-0123456789abcdef",
		"images/.new-0123456789abcdef",
		".new-0123456789abcdef",
		"layers/0000000000000000000000000000000000000000000000000000000000000000.data",
	};
	struct test_layer layer;

	(void)fill_and_close(fixture, &layer);
	for (unsigned i = 0; i < 4; i++) {
		int fd = open(fixture_path(fixture, "%s", names[i]), O_WRONLY | O_CREAT | O_CLOEXEC,
			0600);

		assert_true(fd >= 0);
		close(fd);
	}
	fixture_open(fixture);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(access(fixture_path(fixture, "%s", names[i]), F_OK), -1);
	assert_int_equal(access(fixture_path(fixture, "layers/%s.data", layer.name), F_OK), 0);
	assert_int_equal(access(fixture_path(fixture, "layers/%s.units", layer.name), F_OK), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_second_owner_is_told_who_the_first_is_and_what_to_do),
		TEST(an_owner_that_was_killed_owns_nothing),
		TEST(an_owner_can_say_something_else_and_nothing_can_be_forged),
		TEST(a_directory_without_a_store_has_no_owner),
		TEST(a_store_is_made_with_its_parents_and_for_its_owner_only),
		TEST(tree_ids_are_bound_to_contents_for_ever),
		TEST(a_database_that_is_none_is_set_aside_and_nothing_is_claimed),
		TEST(a_database_that_was_cut_is_set_aside),
		TEST(damage_inside_is_found_after_an_owner_died),
		TEST(damage_that_an_owner_met_is_set_aside_by_the_next),
		TEST(a_sound_database_of_an_owner_that_died_is_kept),
		TEST(tree_ids_do_not_start_again_when_even_their_bound_is_lost),
		TEST(what_nobody_recorded_is_removed),
	};
	return cmocka_run_group_tests_name("store/store", tests, NULL, NULL);
}
