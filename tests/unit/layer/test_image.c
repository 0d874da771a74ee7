/* SPDX-License-Identifier: Apache-2.0 */
#include "image_fixture.h"

#include "support/test.h"

#include "base/clock.h"

static const struct layer_text two_layers[] = {
	{.blob = "ctr-remote-plain"}, {.blob = "ctr-remote-chunked"}};
static const struct image_options usual = {.pull = PULL_MISSING};

static int count_data(void *arg, uint32_t id, struct layer *layer)
{
	(void)id;
	(void)layer;
	++*(size_t *)arg;
	return 0;
}

static size_t n_shared_layers(struct image_fixture *f)
{
	size_t n = 0;

	(void)tree_table_each_data(f->trees, count_data, &n);
	return n;
}

static void an_image_is_opened_and_read(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer file = {0};
	CLEANUP(buffer_free) struct buffer all = {0};
	struct digest manifest = image_push(f, "app", "v1", two_layers, 2);
	struct image image = image_must_open(f, "app:v1", &usual);

	assert_true(digest_equal(&image.manifest, &manifest));
	assert_int_equal(image.n_layers, 2);
	assert_int_equal(image.tree->n_layers, 2);
	assert_int_equal(image.tree->kind, TREE_IMAGE);
	assert_false(image.unverified);
	assert_int_equal(image.resolved_s, 0);
	assert_int_equal(n_shared_layers(f), 2);
	image_read_file(image.tree, "odd <&>\u00e9/one", &file);
	assert_int_equal(file.size, 1);
	for (size_t i = 0; i < 2; i++) {
		image_read_layer(image.tree, i, &all);
		assert_true(layer_store_is_complete(layer_store_of(image.tree->layers[i])));
	}
}

static void the_same_image_again_is_the_same_tree_and_asks_nobody(void **state)
{
	struct image_fixture *f = *state;
	struct image first;
	struct image again;
	unsigned n;

	(void)image_push(f, "app", "v1", two_layers, 2);
	first = image_must_open(f, "app:v1", &usual);
	n = image_n_requests(f);
	again = image_must_open(f, "app:v1", &usual);
	assert_ptr_equal(first.tree, again.tree);
	assert_int_equal(image_n_requests(f), n);
	assert_int_equal(n_shared_layers(f), 2);
}

static void a_layer_has_a_tree_of_its_own(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer file = {0};
	struct digest digest;
	struct image_options options = {.pull = PULL_MISSING, .layer = &digest};
	char text[DIGEST_TEXT_SIZE];
	struct image image;

	golden_digest("ctr-remote-chunked", &digest);
	(void)image_push(f, "app", "v1", two_layers, 2);
	image = image_must_open(f, "app:v1", &options);
	assert_int_equal(image.tree->kind, TREE_LAYER);
	assert_int_equal(image.n_layers, 1);
	assert_string_equal(image.tree->name, digest_format(&digest, text));
	image_read_file(image.tree, "etc/text", &file);
	assert_int_equal(file.size, 10392);

	golden_digest("plain", &digest);
	image_must_fail(f, "app:v1", &options, ERROR_NOT_FOUND, "it has 2 layers");
}

static void a_layer_with_links_into_lower_ones_has_none(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layer = {.blob = "chunked"};
	struct digest digest;
	const struct image_options options = {.pull = PULL_MISSING, .layer = &digest};

	golden_digest("chunked", &digest);
	(void)image_push(f, "app", "v1", &layer, 1);
	image_must_fail(f, "app:v1", &options, ERROR_UNSUPPORTED, "without --layer");
	assert_int_equal(n_shared_layers(f), 0);
}

static void a_layer_that_an_image_has_twice_is_one(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layers[] = {two_layers[0], two_layers[1], two_layers[0]};
	struct image image;

	(void)image_push(f, "app", "v1", layers, 3);
	image = image_must_open(f, "app:v1", &usual);
	assert_int_equal(image.tree->n_layers, 3);
	assert_ptr_equal(image.tree->layers[0], image.tree->layers[2]);
	assert_ptr_not_equal(image.tree->layers[0], image.tree->layers[1]);
	assert_int_equal(n_shared_layers(f), 2);
}

static void layers_of_an_image_that_fails_are_not_kept(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layers[] = {two_layers[0], {.blob = "chunked"}};
	const struct image_options options = {
		.pull = PULL_MISSING, .background = true, .prefetch = true};

	(void)image_push(f, "app", "v1", layers, 2);
	/* Only the merge finds the hard link that leads nowhere. */
	image_must_fail(f, "app:v1", &options, ERROR_FORMAT, "not/in/this/layer");
	assert_int_equal(n_shared_layers(f), 0);
}

struct opening {
	pthread_t thread;
	struct image_fixture *fixture;
	struct tree *tree;
};

static void *open_one(void *arg)
{
	struct opening *opening = arg;
	struct image image;
	struct error err;

	if (image_try(opening->fixture, "app:v1", &usual, &image, &err) == 0)
		opening->tree = image.tree;
	return NULL;
}

static void an_image_opened_by_many_at_once_is_one(void **state)
{
	struct image_fixture *f = *state;
	struct opening openings[4];

	(void)image_push(f, "app", "v1", two_layers, 2);
	for (int i = 0; i < 4; i++) {
		openings[i] = (struct opening){.fixture = f};
		assert_int_equal(
			pthread_create(&openings[i].thread, NULL, open_one, &openings[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		(void)pthread_join(openings[i].thread, NULL);
	for (int i = 0; i < 4; i++) {
		assert_non_null(openings[i].tree);
		assert_ptr_equal(openings[i].tree, openings[0].tree);
	}
	assert_int_equal(n_shared_layers(f), 2);
}

static void a_second_mount_needs_no_registry(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer all = {0};
	struct image_options options = {.pull = PULL_MISSING};
	struct image image;

	(void)image_push(f, "app", "v1", two_layers, 2);
	image = image_must_open(f, "app:v1", &options);
	for (size_t i = 0; i < 2; i++)
		image_read_layer(image.tree, i, &all);
	image_registry_away(f);
	for (int policy = PULL_ALWAYS; policy <= PULL_NEVER; policy++) {
		image_restart(f);
		options.pull = (enum pull_policy)policy;
		image = image_must_open(f, "app:v1", &options);
		assert_true(image.resolved_s > 0);
		assert_true(clock_wall_s() - image.resolved_s < 60);
		for (size_t i = 0; i < 2; i++)
			image_read_layer(image.tree, i, &all);
	}
}

static void a_tag_is_asked_for_by_the_policy(void **state)
{
	struct image_fixture *f = *state;
	struct digest first = image_push(f, "app", "v1", two_layers, 1);
	struct image_options options = {.pull = PULL_MISSING};
	struct digest second;
	struct image image;

	image = image_must_open(f, "app:v1", &options);
	second = image_push(f, "app", "v1", two_layers, 2);
	image = image_must_open(f, "app:v1", &options);
	assert_true(digest_equal(&image.manifest, &first));
	options.pull = PULL_ALWAYS;
	image = image_must_open(f, "app:v1", &options);
	assert_true(digest_equal(&image.manifest, &second));
	assert_int_equal(image.resolved_s, 0);
	options.pull = PULL_NEVER;
	image = image_must_open(f, "app:v1", &options);
	assert_true(digest_equal(&image.manifest, &second));
}

static void with_pull_never_an_empty_store_asks_nobody(void **state)
{
	struct image_fixture *f = *state;
	const struct image_options options = {.pull = PULL_NEVER};
	struct digest digest = image_push(f, "app", "v1", two_layers, 2);
	char text[DIGEST_TEXT_SIZE];
	char name[256];

	image_must_fail(f, "app:v1", &options, ERROR_NOT_FOUND, "--pull=never");
	(void)snprintf(name, sizeof(name), "app@%s", digest_format(&digest, text));
	image_must_fail(f, name, &options, ERROR_NOT_FOUND, "--pull=never");
	assert_int_equal(image_n_requests(f), 0);
	/* With the documents there, the indexes are missing. */
	(void)snprintf(name, sizeof(name), "app:v1@%s", digest_format(&digest, text));
	golden_digest("plain", &digest);
	image_must_fail(f, name, &(struct image_options){.pull = PULL_MISSING, .layer = &digest},
		ERROR_NOT_FOUND, "it has 2 layers");
	image_must_fail(f, name, &options, ERROR_NOT_FOUND, "it has no index in this store");
}

static void a_registry_that_refuses_is_not_away(void **state)
{
	struct image_fixture *f = *state;
	struct image_options options = {.pull = PULL_ALWAYS};

	(void)image_push(f, "app", "v1", two_layers, 1);
	(void)image_must_open(f, "app:v1", &options);
	image_object(f, "app", "v1")->name[0] = 'x';
	image_must_fail(f, "app:v1", &options, ERROR_NOT_FOUND, "image 127.0.0.1");
}

static void a_store_whose_path_is_too_long_is_refused(void **state)
{
	struct image_fixture *f = *state;
	size_t used;

	(void)image_push(f, "app", "v1", two_layers, 1);
	image_close_context(f);
	used = strlen(f->store_dir);
	for (int i = 0; i < 3; i++) {
		f->store_dir[used++] = '/';
		memset(f->store_dir + used, 'a' + i, 150);
		used += 150;
	}
	f->store_dir[used] = '\0';
	image_open_context(f);
	image_must_fail(f, "app:v1", &usual, ERROR_INVALID, "the path of the store is too long");
}

struct steps {
	size_t n_indexed;
	size_t n_ready;
};

static void note_step(void *arg, enum image_step step, size_t n, size_t total)
{
	struct steps *steps = arg;

	if (step == IMAGE_INDEXING) {
		assert_int_equal(n, ++steps->n_indexed);
		assert_int_equal(total, 2);
	}
	steps->n_ready += step == IMAGE_READY;
}

static void progress_tells_every_layer(void **state)
{
	struct image_fixture *f = *state;
	struct steps steps = {0};
	const struct image_options options = {
		.pull = PULL_MISSING, .progress = note_step, .arg = &steps};

	(void)image_push(f, "app", "v1", two_layers, 2);
	(void)image_must_open(f, "app:v1", &options);
	assert_int_equal(steps.n_indexed, 2);
	assert_int_equal(steps.n_ready, 1);
}

#define IMAGE_TEST(test) cmocka_unit_test_setup_teardown(test, image_setup, image_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMAGE_TEST(an_image_is_opened_and_read),
		IMAGE_TEST(the_same_image_again_is_the_same_tree_and_asks_nobody),
		IMAGE_TEST(a_layer_has_a_tree_of_its_own),
		IMAGE_TEST(a_layer_with_links_into_lower_ones_has_none),
		IMAGE_TEST(a_layer_that_an_image_has_twice_is_one),
		IMAGE_TEST(layers_of_an_image_that_fails_are_not_kept),
		IMAGE_TEST(an_image_opened_by_many_at_once_is_one),
		IMAGE_TEST(a_second_mount_needs_no_registry),
		IMAGE_TEST(a_tag_is_asked_for_by_the_policy),
		IMAGE_TEST(with_pull_never_an_empty_store_asks_nobody),
		IMAGE_TEST(a_registry_that_refuses_is_not_away),
		IMAGE_TEST(a_store_whose_path_is_too_long_is_refused),
		IMAGE_TEST(progress_tells_every_layer),
	};
	return cmocka_run_group_tests_name("layer/image", tests, NULL, NULL);
}
