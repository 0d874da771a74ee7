/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/node.h"

#include "support/scratch.h"
#include "support/test.h"

#include <dirent.h>

#include "store/store.h"

struct place {
	struct scratch *scratch;
	char store[300];
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	assert_int_equal(scratch_setup((void **)&place->scratch), 0);
	(void)snprintf(place->store, sizeof(place->store), "%s/store", place->scratch->path);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;

	(void)scratch_teardown((void **)&place->scratch);
	free(place);
	return 0;
}

static size_t count_entries(const char *path)
{
	DIR *directory = opendir(path);
	size_t n = 0;

	assert_non_null(directory);
	while (readdir(directory))
		n++;
	(void)closedir(directory);
	return n;
}

static struct node *must_start(const struct node_options *options)
{
	struct node *node = NULL;
	struct error err = {0};

	if (node_new(options, &node, &err) < 0)
		fail_msg("%s", err.message);
	return node;
}

/* A thread that was joined leaves /proc a moment later. */
static void assert_n_threads(size_t n)
{
	for (int i = 0; i < 2000 && count_entries("/proc/self/task") > n; i++)
		usleep(1000);
	assert_int_equal(count_entries("/proc/self/task"), n);
}

static void a_node_starts_and_leaves_nothing_running(void **state)
{
	struct place *place = *state;
	const struct node_options options = {
		.store_dir = place->store, .owner = "a test", .hosts_dirs = ""};
	struct error err = {0};
	size_t n_threads;
	size_t n_files;

	/* The first one may leave threads and descriptors of libraries behind. */
	node_free(must_start(&options));
	usleep(100000);
	n_threads = count_entries("/proc/self/task");
	n_files = count_entries("/proc/self/fd");
	for (int i = 0; i < 3; i++) {
		struct node *node = must_start(&options);
		char owner[256];
		bool owned = false;

		assert_non_null(node_images(node)->trees);
		assert_non_null(node_images(node)->registry);
		assert_int_equal(store_owner(place->store, &owned, owner, sizeof(owner), &err), 0);
		assert_true(owned);
		assert_non_null(strstr(owner, "a test"));
		assert_true(count_entries("/proc/self/task") > n_threads);
		node_free(node);
		assert_int_equal(store_owner(place->store, &owned, owner, sizeof(owner), &err), 0);
		assert_false(owned);
		assert_n_threads(n_threads);
		assert_int_equal(count_entries("/proc/self/fd"), n_files);
	}
	node_free(NULL);
}

static void a_node_whose_store_is_taken_says_by_whom(void **state)
{
	struct place *place = *state;
	const struct node_options options = {
		.store_dir = place->store, .owner = "the first", .hosts_dirs = ""};
	struct node *first = NULL;
	struct node *second = NULL;
	struct error err = {0};

	assert_int_equal(node_new(&options, &first, &err), 0);
	assert_int_equal(node_new(&options, &second, &err), -1);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_non_null(strstr(err.message, "the first"));
	assert_null(second);
	node_free(first);
	assert_int_equal(node_new(&options, &second, &err), 0);
	node_free(second);
}

static void a_store_that_cannot_be_made_stops_what_was_started(void **state)
{
	struct place *place = *state;
	struct node_options options = {.owner = "a test", .hosts_dirs = ""};
	size_t n_threads = count_entries("/proc/self/task");
	struct node *node = NULL;
	struct error err = {0};
	char path[320];

	assert_int_equal(close(open(place->store, O_CREAT | O_RDWR | O_CLOEXEC, 0600)), 0);
	(void)snprintf(path, sizeof(path), "%s/below-a-file", place->store);
	options.store_dir = path;
	assert_int_equal(node_new(&options, &node, &err), -1);
	assert_non_null(strstr(err.message, path));
	assert_null(node);
	assert_n_threads(n_threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_node_starts_and_leaves_nothing_running, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_node_whose_store_is_taken_says_by_whom, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_store_that_cannot_be_made_stops_what_was_started, setup, teardown),
	};
	return cmocka_run_group_tests_name("daemon/node", tests, NULL, NULL);
}
