/* SPDX-License-Identifier: Apache-2.0 */
#include "index/image_index.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/layer_text.h"
#include "support/scratch.h"

enum { MAX_LAYERS = 4 };

/* Layers, lowest first, and the tree that unpacking one on another leaves. */
struct image_case {
	const char *layers[MAX_LAYERS];
	const char *tree;
};

struct image {
	struct layer_index *layers[MAX_LAYERS]; /* owned */
	size_t n;
	uint8_t key[INDEX_KEY_SIZE];
};

static const struct layer_index *const *layers_of(const struct image *image)
{
	return (const struct layer_index *const *)image->layers;
}

static void image_open(const struct scratch *scratch, const struct image_case *from, uint8_t number,
	struct image *out)
{
	*out = (struct image){0};
	for (; out->n < MAX_LAYERS && from->layers[out->n]; out->n++)
		out->layers[out->n] = layer_of_text(
			scratch->fd, (uint8_t)(number * MAX_LAYERS + out->n), from->layers[out->n]);
	assert_int_equal(image_index_key(layers_of(out), out->n, out->key, NULL), 0);
}

static void image_close(struct image *image)
{
	for (size_t i = 0; i < image->n; i++)
		layer_index_close(image->layers[i]);
}

static void check_image(
	const struct scratch *scratch, const struct image_case *from, uint8_t number)
{
	CLEANUP(image_close) struct image image = {0};
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;
	CLEANUP(cleanup_free) char *text = NULL;
	struct error err = {0};

	image_open(scratch, from, number, &image);
	if (image_index_build(scratch->fd, layers_of(&image), image.n, image.key, &err) < 0 ||
		image_index_open(
			scratch->fd, layers_of(&image), image.n, image.key, &reader, &err) < 0)
		fail_msg("%s: %s", from->tree, err.message);
	text = text_of_tree(reader);
	assert_string_equal(text, from->tree);
	assert_false(erofs_has_unresolved_links(reader));
}

static void check_all(void **state, const struct image_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_image(*state, &cases[i], (uint8_t)i);
}

#define CHECK_ALL(state, cases) check_all(state, cases, sizeof(cases) / sizeof((cases)[0]))

static void upper_layers_add_to_and_replace_what_is_below(void **state)
{
	static const struct image_case cases[] = {
		{{"d .\nd a\nf a/x 1", "d .\nd a\nf a/y 2\nf z 3"},
			"d .\nd a\nf a/x 1\nf a/y 2\nf z 3\n"},
		{{"d .\nf a 1", "d .\nf a 2"}, "d .\nf a 2\n"},
		{{"d .\nd a\nf a/x 1", "d .\nf a 2"}, "d .\nf a 2\n"},
		{{"d .\nf a 1", "d .\nd a\nf a/x 2"}, "d .\nd a\nf a/x 2\n"},
		{{"d .\nl a x", "d .\nd a\nf a/y 2"}, "d .\nd a\nf a/y 2\n"},
		{{"d .\nf a 1 xattr=user.x:1", "d .\nf a 2"}, "d .\nf a 2\n"},
		{{"d .", "d .", "d .\nf deep/er/x 1", "d .\nf deep/er/y 2"},
			"d .\nd deep\nd deep/er\nf deep/er/x 1\nf deep/er/y 2\n"},
	};

	CHECK_ALL(state, cases);
}

static void attributes_come_from_the_highest_layer_that_describes_a_directory(void **state)
{
	static const struct image_case cases[] = {
		{{"d .\nd a mode=700 uid=1 xattr=user.x:1", "d .\nd a mode=711 gid=2\nf a/x 1"},
			"d .\nd a mode=711 gid=2\nf a/x 1\n"},
		{{"d .\nd tmp mode=1777 uid=5 xattr=user.x:1", "d .\nf tmp/x 1"},
			"d .\nd tmp mode=1777 uid=5 xattr=user.x:1\nf tmp/x 1\n"},
		{{"d . mode=700 uid=9", "f x 1"}, "d . mode=700 uid=9\nf x 1\n"},
		{{"d . mode=700 uid=9", "d . mode=755 mtime=4"}, "d . mtime=4\n"},
		{{"f x 1", "f y 2"}, "d? .\nf x 1\nf y 2\n"},
	};

	CHECK_ALL(state, cases);
}

static void whiteouts_hide_lower_names_and_are_gone(void **state)
{
	static const struct image_case cases[] = {
		{{"d .\nf a 1\nf b 2", "d .\nf .wh.a 0"}, "d .\nf b 2\n"},
		{{"d .\nd d\nf d/a 1", "d .\nf .wh.d 0"}, "d .\n"},
		{{"d .\nf a 1", "d .\nf .wh.none 0"}, "d .\nf a 1\n"},
		{{"d .\nf a 1", "d .\nf .wh.a 0", "d .\nf a 3"}, "d .\nf a 3\n"},
		{{"d .\nf a 1", "d .\nf .wh.a 0\nf a 2"}, "d .\nf a 2\n"},
		{{"d .\nd d\nf d/old 1", "d .\nf .wh.d 0\nd d\nf d/new 2"},
			"d .\nd d\nf d/new 2\n"},
		{{"d .\nd d mode=700\nf d/old 1", "d .\nf .wh.d 0\nf d/new 2"},
			"d .\nd d\nf d/new 2\n"},
		{{"d .\nd d\nf d/x 1", "d .\nf d/.wh.x 0"}, "d .\nd d\n"},
		{{"d .\nf .wh.a 0"}, "d .\n"},
	};

	CHECK_ALL(state, cases);
}

static void opaque_directories_hide_all_below_and_lose_their_marks(void **state)
{
	static const struct image_case cases[] = {
		{{"d .\nd d\nf d/a 1\nd d/e\nf d/e/x 1",
			 "d .\nd d mode=700\nf d/.wh..wh..opq 0\nf d/b 2"},
			"d .\nd d mode=700\nf d/b 2\n"},
		{{"d .\nd d mode=711 xattr=user.x:1\nf d/a 1", "d .\nf d/.wh..wh..opq 0"},
			"d .\nd d mode=711 xattr=user.x:1\n"},
		{{"d . mode=700\nf a 1", "f .wh..wh..opq 0\nf b 2"}, "d . mode=700\nf b 2\n"},
		{{"d .\nf d 1", "d .\nd d\nf d/.wh..wh..opq 0\nf d/b 2"}, "d .\nd d\nf d/b 2\n"},
		{{"d .\nd d\nf d/.wh..wh..opq 0"}, "d .\nd d\n"},
	};

	CHECK_ALL(state, cases);
}

static void hard_links_keep_their_inode_and_count_the_names_that_are_left(void **state)
{
	static const struct image_case cases[] = {
		{{"d .\nf a 1\nh b a\nh c a", "d .\nf .wh.b 0"}, "d .\nf a 1 x2\nf c 1 x2\n"},
		{{"d .\nf a 1\nh b a", "d .\nf a 2"}, "d .\nf a 2\nf b 1\n"},
		{{"d .\nf a 1", "d .\nh b a"}, "d .\nf a 1 x2\nf b 1 x2\n"},
		{{"d .\nf a 1\nh b a", "d .\nh c b\nh d c"},
			"d .\nf a 1 x4\nf b 1 x4\nf c 1 x4\nf d 1 x4\n"},
		{{"d .\nf a 1", "d .\nd d\nh d/b a\nf .wh.a 0"}, "d .\nd d\nf d/b 1\n"},
		{{"d .\nf a 1", "d .\nf a 2", "d .\nh b a"}, "d .\nf a 2 x2\nf b 2 x2\n"},
		{{"d .\nd d\nf d/a 1\nl s d", "d .\nh b s/a"},
			"d .\nf b 1 x2\nd d\nf d/a 1 x2\nl s -> d\n"},
		{{"d .\nl a nowhere", "d .\nh b a"}, "d .\nl a -> nowhere x2\nl b -> nowhere x2\n"},
		{{"d .\nf x 1\nh y x", "d .\nf p 2\nh q p"},
			"d .\nf p 2 x2\nf q 2 x2\nf x 1 x2\nf y 1 x2\n"},
	};

	CHECK_ALL(state, cases);
}

/* As containerd and umoci do when they unpack one layer on another. */
static void an_implied_directory_over_a_symlink_is_where_that_leads(void **state)
{
	static const struct image_case cases[] = {
		{{"d .\nd usr\nd usr/lib mode=711\nl lib usr/lib", "d .\nf lib/x 1"},
			"d .\nl lib -> usr/lib\nd usr\nd usr/lib mode=711\nf usr/lib/x 1\n"},
		{{"d .\nd usr\nd usr/lib\nl lib usr/lib", "d .\nd lib\nf lib/x 1"},
			"d .\nd lib\nf lib/x 1\nd usr\nd usr/lib\n"},
		{{"d .\nl lib usr/lib", "d .\nf lib/x 1"},
			"d .\nl lib -> usr/lib\nd? usr\nd? usr/lib\nf usr/lib/x 1\n"},
		{{"d .\nd usr\nf usr/a 1\nl lib usr", "d .\nf lib/.wh.a 0"},
			"d .\nl lib -> usr\nd usr\n"},
		{{"d .\nd usr\nl lib usr", "d .\nf .wh.lib 0\nf lib/x 1"},
			"d .\nd lib\nf lib/x 1\nd usr\n"},
	};

	CHECK_ALL(state, cases);
}

static void files_stay_on_the_device_of_their_layer(void **state)
{
	const struct scratch *scratch = *state;
	static const struct image_case from = {
		{"d .\nf a 5000\nf gone 1", "d .\nf b 1\nf .wh.gone 0", "d .\nf c 9000\nh d a"},
		""};
	static const struct {
		const char *name;
		unsigned device;
	} files[] = {{"a", 0}, {"d", 0}, {"b", 1}, {"c", 2}};
	CLEANUP(erofs_closep) struct erofs_reader *reader = NULL;
	CLEANUP(image_close) struct image image = {0};

	image_open(scratch, &from, 0, &image);
	assert_int_equal(image_index_build(scratch->fd, layers_of(&image), 3, image.key, NULL), 0);
	assert_int_equal(
		image_index_open(scratch->fd, layers_of(&image), 3, image.key, &reader, NULL), 0);
	assert_int_equal(erofs_n_devices(reader), 3);
	assert_int_equal(erofs_device_size(reader, 0), 12288);
	assert_int_equal(erofs_device_size(reader, 2), 12288);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct erofs_extent extent;
		uint64_t nid;
		bool found;

		assert_int_equal(erofs_lookup(reader, erofs_root(reader), files[i].name, 1, &found,
					 &nid, NULL),
			0);
		assert_int_equal(erofs_extent(reader, nid, &extent, NULL), 0);
		assert_int_equal(extent.device, files[i].device);
	}
}

static void images_that_no_program_could_unpack_are_refused(void **state)
{
	const struct scratch *scratch = *state;
	static const struct image_case cases[] = {
		{{"d .\nf a 1", "d .\nd d\nh d/b none/x"},
			"layer 2 of 2: hard link 'd/b' to 'none/x', which no layer below it has"},
		{{"h b a", "f a 1"}, "layer 1 of 2: hard link 'b' to 'a', which no layer"},
		{{"d a", "h b a"}, "which is a directory"},
		{{"l a b\nl b a", "f a/x 1"}, "'a': more than 40 symlinks"},
		{{"f b 1\nl a b", "f a/x 1"}, "'a': 'b' on the way is not a directory"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP(image_close) struct image image = {0};
		struct error err = {0};

		image_open(scratch, &cases[i], (uint8_t)i, &image);
		assert_int_equal(
			image_index_build(scratch->fd, layers_of(&image), image.n, image.key, &err),
			-1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		if (!strstr(err.message, cases[i].tree))
			fail_msg("'%s' instead of '%s'", err.message, cases[i].tree);
	}
}

static void an_index_of_other_layers_is_refused(void **state)
{
	const struct scratch *scratch = *state;
	static const struct image_case from = {{"d .\nf a 5000", "d .\nf b 1"}, ""};
	struct erofs_reader *reader = NULL;
	CLEANUP(image_close) struct image image = {0};
	const struct layer_index *swapped[2];
	uint8_t key[INDEX_KEY_SIZE];
	struct error err = {0};

	image_open(scratch, &from, 0, &image);
	swapped[0] = image.layers[1];
	swapped[1] = image.layers[0];
	assert_int_equal(image_index_build(scratch->fd, layers_of(&image), 2, image.key, NULL), 0);
	assert_int_equal(image_index_key(swapped, 2, key, NULL), 0);
	assert_memory_not_equal(key, image.key, sizeof(key));
	assert_int_equal(image_index_open(scratch->fd, swapped, 2, image.key, &reader, &err), -1);
	assert_non_null(strstr(err.message, "its layer 0 is another one"));
	assert_int_equal(
		image_index_open(scratch->fd, layers_of(&image), 1, image.key, &reader, &err), -1);
	assert_non_null(strstr(err.message, "it has 2 layers and the image 1"));
	assert_int_equal(
		image_index_open(scratch->fd, layers_of(&image), 2, key, &reader, &err), -1);
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_int_equal(image_index_build(scratch->fd, layers_of(&image), 0, key, &err), -1);
	assert_int_equal(image_index_build(scratch->fd, layers_of(&image), 1025, key, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCRATCH(upper_layers_add_to_and_replace_what_is_below),
		IN_SCRATCH(attributes_come_from_the_highest_layer_that_describes_a_directory),
		IN_SCRATCH(whiteouts_hide_lower_names_and_are_gone),
		IN_SCRATCH(opaque_directories_hide_all_below_and_lose_their_marks),
		IN_SCRATCH(hard_links_keep_their_inode_and_count_the_names_that_are_left),
		IN_SCRATCH(an_implied_directory_over_a_symlink_is_where_that_leads),
		IN_SCRATCH(files_stay_on_the_device_of_their_layer),
		IN_SCRATCH(images_that_no_program_could_unpack_are_refused),
		IN_SCRATCH(an_index_of_other_layers_is_refused),
	};
	return cmocka_run_group_tests_name("index/image_index", tests, NULL, NULL);
}
