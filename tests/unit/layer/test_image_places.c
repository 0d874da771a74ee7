/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are elsewhere than in a repository of a registry, all of them or some layers. */
#include "image_fixture.h"

#include "support/test.h"

#include "base/fdio.h"
#include "format/oci_layout.h"
#include "oci/image_name.h"

#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"

static const struct layer_text two_layers[] = {
	{.blob = "ctr-remote-plain"}, {.blob = "ctr-remote-chunked"}};
static const struct image_options usual = {.pull = PULL_ALWAYS};

static void put_file(struct image_fixture *f, const char *name, const void *data, size_t size)
{
	struct error err = {0};
	char path[600], parent[600];

	(void)snprintf(path, sizeof(path), "%s/layout/%s", f->scratch->path, name);
	(void)snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = '\0';
	assert_int_equal(directory_make(parent, 0755, &err), 0);
	assert_int_equal(file_replace(AT_FDCWD, path, data, size, 0644, &err), 0);
}

/* Takes what is in a repository and makes a layout of it; the tag there is the same. */
static void make_layout(struct image_fixture *f, const char *repository, const char *tag)
{
	CLEANUP(buffer_free) struct buffer index = {0};
	const struct object *manifest = image_object(f, repository, tag);

	for (size_t i = 0; i < f->n_objects; i++) {
		const struct object *object = &f->objects[i];
		char path[OCI_LAYOUT_BLOB_PATH_SIZE];
		struct digest digest;

		if (strcmp(object->repository, repository) != 0)
			continue;
		assert_int_equal(digest_parse(object->digest, &digest, NULL), 0);
		put_file(f, oci_layout_blob_path(&digest, path), object->bytes.data,
			object->bytes.size);
	}
	assert_int_equal(buffer_printf(&index,
				 "{\"schemaVersion\": 2, \"manifests\": [{\"mediaType\": \"%s\", "
				 "\"digest\": \"%s\", \"size\": %zu, \"annotations\": "
				 "{\"" OCI_LAYOUT_REF_NAME_ANNOTATION "\": \"%s\"}}]}",
				 manifest->media_type, manifest->digest, manifest->bytes.size, tag),
		0);
	put_file(f, "index.json", index.data, index.size);
	put_file(f, "oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}", 31);
}

static void remove_layout(struct image_fixture *f)
{
	char path[600];

	(void)snprintf(path, sizeof(path), "%s/layout", f->scratch->path);
	assert_int_equal(nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static int try_layout(struct image_fixture *f, const char *tag, const struct image_options *options,
	struct image *out, struct error *err)
{
	struct image_options all = *options;
	struct image_name name;
	char text[600];

	(void)snprintf(text, sizeof(text), "oci:%s/layout:%s", f->scratch->path, tag);
	assert_int_equal(image_name_parse(text, &name, err), 0);
	all.name = &name;
	return image_open(&f->context, &all, out, err);
}

static struct image must_open(
	struct image_fixture *f, const char *tag, const struct image_options *options)
{
	struct error err = {0};
	struct image image;

	if (try_layout(f, tag, options, &image, &err) < 0)
		fail_msg("%s", err.message);
	return image;
}

static void must_fail(struct image_fixture *f, const char *tag, const struct image_options *options,
	enum error_kind kind, const char *says)
{
	struct error err = {0};
	struct image image;

	assert_int_equal(try_layout(f, tag, options, &image, &err), -1);
	if (err.kind != kind || !strstr(err.message, says))
		fail_msg("kind %d, or no \"%s\" in: %s", (int)err.kind, says, err.message);
}

static void assert_readable(const struct image *image)
{
	CLEANUP(buffer_free) struct buffer file = {0}, all = {0};

	image_read_file(image->tree, "odd <&>\u00e9/one", &file);
	assert_int_equal(file.size, 1);
	for (size_t i = 0; i < image->n_layers; i++)
		image_read_layer(image->tree, i, &all);
}

static void an_image_in_a_layout_is_opened_without_a_registry(void **state)
{
	struct image_fixture *f = *state;
	struct digest manifest = image_push(f, "app", "v1", two_layers, 2);
	char text[600];
	struct image image;

	make_layout(f, "app", "v1");
	image = must_open(f, "v1", &usual);
	assert_true(digest_equal(&image.manifest, &manifest));
	(void)snprintf(text, sizeof(text), "oci:%s/layout:v1", f->scratch->path);
	assert_string_equal(image.reference, text);
	assert_int_equal(image.resolved_s, 0);
	assert_readable(&image);
	assert_int_equal(image_n_requests(f), 0);
}

static void the_same_image_from_two_places_is_one_tree(void **state)
{
	struct image_fixture *f = *state;
	struct image here, there;

	(void)image_push(f, "app", "v1", two_layers, 2);
	make_layout(f, "app", "v1");
	here = must_open(f, "v1", &usual);
	there = image_must_open(f, "app:v1", &usual);
	assert_ptr_equal(here.tree, there.tree);
}

static void a_layout_that_is_removed_does_not_hurt_who_has_it_open(void **state)
{
	struct image_fixture *f = *state;
	struct image image;

	(void)image_push(f, "app", "v1", two_layers, 2);
	make_layout(f, "app", "v1");
	image = must_open(f, "v1", &usual);
	remove_layout(f);
	assert_readable(&image);
}

static void a_layout_is_asked_whatever_was_known_before(void **state)
{
	struct image_fixture *f = *state;
	const struct image_options missing = {.pull = PULL_MISSING};
	const struct image_options never = {.pull = PULL_NEVER};
	struct digest first = image_push(f, "app", "v1", two_layers, 2);
	struct digest second;
	struct image image;

	make_layout(f, "app", "v1");
	image = must_open(f, "v1", &missing);
	assert_true(digest_equal(&image.manifest, &first));
	second = image_push(f, "app", "v1", two_layers, 1);
	make_layout(f, "app", "v1");
	image = must_open(f, "v1", &never);
	assert_true(digest_equal(&image.manifest, &first));
	image = must_open(f, "v1", &missing);
	assert_true(digest_equal(&image.manifest, &second));
}

static void without_its_layout_an_image_is_what_it_was_if_that_is_wanted(void **state)
{
	struct image_fixture *f = *state;
	const struct image_options missing = {.pull = PULL_MISSING};
	const struct image_options never = {.pull = PULL_NEVER};
	struct image image;

	(void)image_push(f, "app", "v1", two_layers, 2);
	make_layout(f, "app", "v1");
	image = must_open(f, "v1", &usual);
	assert_readable(&image);
	remove_layout(f);
	image_restart(f);
	must_fail(f, "v1", &usual, ERROR_NOT_FOUND, "layout");
	image = must_open(f, "v1", &never);
	assert_readable(&image);
	image = must_open(f, "v1", &missing);
	assert_true(image.resolved_s > 0);
	assert_readable(&image);
	must_fail(f, "v2", &missing, ERROR_NOT_FOUND, "layout");
	must_fail(f, "v2", &never, ERROR_NOT_FOUND, "never resolved");
}

static void a_wrong_blob_of_a_layout_is_found_out(void **state)
{
	struct image_fixture *f = *state;
	struct object *object;
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;

	(void)image_push(f, "app", "v1", two_layers, 1);
	golden_digest("ctr-remote-plain", &digest);
	object = image_object(f, "app", digest_format(&digest, text));
	/* In the table of contents. */
	object->bytes.data[object->bytes.size - 200] ^= 1;
	make_layout(f, "app", "v1");
	must_fail(f, "v1", &usual, ERROR_FORMAT, text);
	object->bytes.size -= 1;
	make_layout(f, "app", "v1");
	must_fail(f, "v1", &usual, ERROR_FORMAT, "the manifest says");
}

static void an_index_in_a_layout_leads_to_the_platform(void **state)
{
	struct image_fixture *f = *state;
	struct digest digest = image_push(f, "app", "arm", two_layers, 1);
	struct platform arm;
	const struct image_options options = {.pull = PULL_ALWAYS, .platform = &arm};
	char name[DIGEST_TEXT_SIZE], text[600];
	struct image image;

	assert_int_equal(platform_parse("linux/arm64", &arm, NULL), 0);
	(void)snprintf(text, sizeof(text),
		"{\"schemaVersion\": 2, \"mediaType\": \"" INDEX_TYPE
		"\", \"manifests\": [{\"mediaType\": "
		"\"application/vnd.oci.image.manifest.v1+json\", \"digest\": \"%s\", \"size\": 1, "
		"\"platform\": {\"os\": \"linux\", \"architecture\": \"arm64\"}}]}",
		digest_format(&digest, name));
	(void)image_push_document(f, "app", "v1", INDEX_TYPE, text);
	make_layout(f, "app", "v1");
	image = must_open(f, "v1", &options);
	assert_true(digest_equal(&image.manifest, &digest));
	must_fail(f, "v1",
		&(struct image_options){
			.pull = PULL_ALWAYS, .platform = &(struct platform){"linux", "s390x", ""}},
		ERROR_NOT_FOUND, "linux/arm64");
}

static void a_layer_that_may_not_be_distributed_comes_from_its_urls(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layers[] = {{.blob = "ctr-remote-plain"},
		{.blob = "ctr-remote-chunked",
			.elsewhere = "files",
			.media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}};
	struct image image;

	(void)image_push(f, "app", "v1", layers, 2);
	image = image_must_open(f, "app:v1", &usual);
	assert_readable(&image);
	/* A layout leaves it out, too. */
	image_restart(f);
	make_layout(f, "app", "v1");
	image = must_open(f, "v1", &usual);
	assert_readable(&image);
}

static void a_layer_that_is_nowhere_says_who_was_asked(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layers[] = {{.blob = "ctr-remote-plain", .elsewhere = "files"}};
	struct digest digest;
	char name[DIGEST_TEXT_SIZE];

	(void)image_push(f, "app", "v1", layers, 1);
	golden_digest("ctr-remote-plain", &digest);
	image_object(f, "files", digest_format(&digest, name))->repository[0] = 'g';
	image_must_fail(f, "app:v1", &usual, ERROR_NOT_FOUND, "from the urls in its descriptor");
}

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, image_setup, image_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(an_image_in_a_layout_is_opened_without_a_registry),
		PLACE_TEST(the_same_image_from_two_places_is_one_tree),
		PLACE_TEST(a_layout_that_is_removed_does_not_hurt_who_has_it_open),
		PLACE_TEST(a_layout_is_asked_whatever_was_known_before),
		PLACE_TEST(without_its_layout_an_image_is_what_it_was_if_that_is_wanted),
		PLACE_TEST(a_wrong_blob_of_a_layout_is_found_out),
		PLACE_TEST(an_index_in_a_layout_leads_to_the_platform),
		PLACE_TEST(a_layer_that_may_not_be_distributed_comes_from_its_urls),
		PLACE_TEST(a_layer_that_is_nowhere_says_who_was_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
