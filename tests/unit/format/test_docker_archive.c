/* SPDX-License-Identifier: Apache-2.0 */
#include "format/docker_archive.h"

#include "support/test.h"

#include <string.h>

#include "oci/manifest.h"

static const char two_images[] =
	"[{\"Config\": \"a.json\", \"RepoTags\": [\"app:1\", \"example.com:5000/team/app:1\"], "
	"\"Layers\": [\"x/layer.tar\", \"./y//layer.tar\"]},"
	" {\"Config\": \"b.json\", \"RepoTags\": null, \"Layers\": null, \"Parent\": \"\"}]";

static struct docker_archive *parse(const char *text)
{
	struct docker_archive *archive;
	struct error err = {0};

	if (docker_archive_parse(text, strlen(text), &archive, &err) < 0)
		fail_msg("%s", err.message);
	return archive;
}

static void assert_means(const char *text, const char *tag, const char *config)
{
	CLEANUP(docker_archive_freep) struct docker_archive *archive = parse(text);
	const struct docker_archive_image *image;
	struct error err = {0};

	if (docker_archive_select(archive, tag, &image, &err) < 0)
		fail_msg("%s: %s", tag, err.message);
	assert_string_equal(image->config, config);
}

static void assert_no_choice(
	const char *text, const char *tag, enum error_kind kind, const char *says)
{
	CLEANUP(docker_archive_freep) struct docker_archive *archive = parse(text);
	const struct docker_archive_image *image;
	struct error err = {0};

	assert_int_equal(docker_archive_select(archive, tag, &image, &err), -1);
	if (err.kind != kind || !strstr(err.message, says))
		fail_msg("kind %d, or no \"%s\" in: %s", (int)err.kind, says, err.message);
}

static void images_are_read_with_clean_paths(void **state)
{
	(void)state;
	CLEANUP(docker_archive_freep) struct docker_archive *archive = parse(two_images);

	assert_int_equal(archive->n_images, 2);
	assert_int_equal(archive->images[0].n_tags, 2);
	assert_int_equal(archive->images[0].n_layers, 2);
	assert_string_equal(archive->images[0].layers[0], "x/layer.tar");
	assert_string_equal(archive->images[0].layers[1], "y/layer.tar");
	assert_int_equal(archive->images[1].n_tags, 0);
	assert_int_equal(archive->images[1].n_layers, 0);
}

static void a_tag_is_found_in_any_form_of_its_reference(void **state)
{
	(void)state;
	assert_means(two_images, "app:1", "a.json");
	assert_means(two_images, "docker.io/library/app:1", "a.json");
	assert_means(two_images, "example.com:5000/team/app:1", "a.json");
	assert_means(two_images, "@1", "b.json");
	assert_means("[{\"Config\": \"a.json\", \"RepoTags\": [\"app\"]}]", "app:latest", "a.json");
	assert_means("[{\"Config\": \"a.json\"}]", "", "a.json");
	/* The same image twice. */
	assert_means("[{\"Config\": \"a.json\"}, {\"Config\": \"a.json\"}]", "", "a.json");
}

static void what_is_not_there_is_answered_with_what_is(void **state)
{
	(void)state;
	assert_no_choice(two_images, "app:2", ERROR_NOT_FOUND,
		"\"app:2\"; there is: app:1, example.com:5000/team/app:1, @1");
	assert_no_choice(two_images, "", ERROR_INVALID,
		"several images are in it, say which: app:1, example.com:5000/team/app:1, @1");
	assert_no_choice("[{\"Config\": \"a\", \"RepoTags\": [\"app:1\"]},"
			 " {\"Config\": \"b\", \"RepoTags\": [\"app:1\"]}]",
		"app:1", ERROR_INVALID, "are called \"app:1\" in it, say which: @0, @1");
	assert_no_choice("[]", "", ERROR_NOT_FOUND, "names no image");
}

static void what_breaks_the_form_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{"{}", "not an array"},
		{"", "line 1"},
		{"[1]", "[0]: it is not an object"},
		{"[{}]", "[0]: \"Config\": it is missing"},
		{"[{\"Config\": \"/\"}]", "[0]: \"Config\": \"/\" names no file"},
		{"[{\"Config\": \"a\", \"Layers\": {}}]", "\"Layers\" is not an array"},
		{"[{\"Config\": \"a\", \"Layers\": [\"b\", 1]}]", "\"Layers\"[1]"},
		{"[{\"Config\": \"a\", \"RepoTags\": [[]]}]", "\"RepoTags\"[0]"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct docker_archive *archive;
		struct error err = {0};

		assert_int_equal(
			docker_archive_parse(cases[i].text, strlen(cases[i].text), &archive, &err),
			-1);
		if (err.kind != ERROR_FORMAT || !strstr(err.message, cases[i].says))
			fail_msg("no \"%s\" in: %s", cases[i].says, err.message);
	}
}

static void layers_are_what_their_bytes_are(void **state)
{
	(void)state;
	assert_int_equal(docker_layer_detect("\x1f\x8b\x08", 3), DOCKER_LAYER_GZIP);
	assert_int_equal(docker_layer_detect("\x28\xb5\x2f\xfd", 4), DOCKER_LAYER_ZSTD);
	assert_int_equal(docker_layer_detect("\x28\xb5\x2f", 3), DOCKER_LAYER_TAR);
	assert_int_equal(docker_layer_detect("", 0), DOCKER_LAYER_TAR);
	assert_int_equal(docker_layer_detect("etc/", 4), DOCKER_LAYER_TAR);
}

static void the_manifest_that_is_made_is_one(void **state)
{
	(void)state;
	CLEANUP(manifest_freep) struct manifest *manifest = NULL;
	CLEANUP(buffer_free) struct buffer text = {0}, again = {0};
	struct docker_archive_blob config = {.media_type = DOCKER_CONFIG_MEDIA_TYPE, .size = 100};
	struct docker_archive_blob layers[2] = {
		{.media_type = docker_layer_media_type(DOCKER_LAYER_TAR), .size = 512},
		{.media_type = docker_layer_media_type(DOCKER_LAYER_GZIP), .size = 7},
	};
	struct error err = {0};

	assert_int_equal(digest_compute(DIGEST_SHA256, "c", 1, &config.digest, NULL), 0);
	assert_int_equal(digest_compute(DIGEST_SHA256, "l", 1, &layers[0].digest, NULL), 0);
	assert_int_equal(digest_compute(DIGEST_SHA512, "m", 1, &layers[1].digest, NULL), 0);
	assert_int_equal(docker_archive_manifest(&config, layers, 2, &text, &err), 0);
	assert_int_equal(docker_archive_manifest(&config, layers, 2, &again, &err), 0);
	assert_string_equal((const char *)text.data, (const char *)again.data);
	assert_int_equal(manifest_parse(text.data, text.size, &manifest, &err), 0);
	assert_string_equal(manifest->media_type, MEDIA_TYPE_DOCKER_MANIFEST);
	assert_true(digest_equal(&manifest->config.digest, &config.digest));
	assert_int_equal(manifest->n_layers, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(manifest->layers[i].media_type, layers[i].media_type);
		assert_true(digest_equal(&manifest->layers[i].digest, &layers[i].digest));
		assert_int_equal(manifest->layers[i].size, layers[i].size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_are_read_with_clean_paths),
		cmocka_unit_test(a_tag_is_found_in_any_form_of_its_reference),
		cmocka_unit_test(what_is_not_there_is_answered_with_what_is),
		cmocka_unit_test(what_breaks_the_form_is_named),
		cmocka_unit_test(layers_are_what_their_bytes_are),
		cmocka_unit_test(the_manifest_that_is_made_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
