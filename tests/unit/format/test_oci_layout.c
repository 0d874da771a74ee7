/* SPDX-License-Identifier: Apache-2.0 */
#include "format/oci_layout.h"

#include "support/test.h"

#include <string.h>

/* A digest of one letter, as text. */
#define HEX8(c) c c c c c c c c
#define DIGEST(c) "sha256:" HEX8(HEX8(c))

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"

#define ENTRY(c, more)                                                                             \
	"{\"mediaType\": \"" MANIFEST "\", \"digest\": \"" DIGEST(c) "\", \"size\": 7" more "}"
#define NAMED(c, name)                                                                             \
	ENTRY(c, ", \"annotations\": {\"" OCI_LAYOUT_REF_NAME_ANNOTATION "\": \"" name "\"}")
#define CONTAINERD_NAMED(c, tag, name)                                                             \
	ENTRY(c, ", \"annotations\": {\"" OCI_LAYOUT_REF_NAME_ANNOTATION "\": \"" tag              \
		 "\", \"" OCI_LAYOUT_CONTAINERD_NAME_ANNOTATION "\": \"" name "\"}")
#define PLATFORM(c, name, architecture)                                                            \
	ENTRY(c, ", \"annotations\": {\"" OCI_LAYOUT_REF_NAME_ANNOTATION "\": \"" name             \
		 "\"}, \"platform\": {\"os\": \"linux\", \"architecture\": \"" architecture "\"}")
#define INDEX(entries) "{\"schemaVersion\": 2, \"manifests\": [" entries "]}"

static int select_from(
	const char *text, const char *tag, struct oci_layout_choice *out, struct error *err)
{
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;

	if (manifest_index_parse(text, strlen(text), &index, err) < 0)
		fail_msg("%s", err->message);
	return oci_layout_select(index, tag, out, err);
}

/* Fails the test unless the tag means this digest and nothing had to be made for it. */
static void assert_means(const char *index, const char *tag, const char *digest)
{
	struct oci_layout_choice choice = {0};
	struct error err = {0};
	char text[DIGEST_TEXT_SIZE];

	if (select_from(index, tag, &choice, &err) < 0)
		fail_msg("%s: %s", tag, err.message);
	assert_string_equal(digest_format(&choice.digest, text), digest);
	assert_int_equal(choice.document.size, 0);
}

static void assert_refused(
	const char *index, const char *tag, enum error_kind kind, const char *says)
{
	struct oci_layout_choice choice = {0};
	struct error err = {0};

	assert_int_equal(select_from(index, tag, &choice, &err), -1);
	if (err.kind != kind || !strstr(err.message, says))
		fail_msg("kind %d, or no \"%s\" in: %s", (int)err.kind, says, err.message);
	assert_null(choice.document.data);
}

static void only_version_one_of_the_layout_is_known(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum error_kind kind;
		const char *says;
	} cases[] = {
		{"{\"imageLayoutVersion\": \"1.0.0\"}", ERROR_NONE, ""},
		{"{\"imageLayoutVersion\": \"1.1.0\", \"more\": {}}\n", ERROR_NONE, ""},
		{"{\"imageLayoutVersion\": \"2.0.0\"}", ERROR_UNSUPPORTED, "version 2.0.0"},
		{"{\"imageLayoutVersion\": 1}", ERROR_FORMAT, "imageLayoutVersion"},
		{"{}", ERROR_FORMAT, "imageLayoutVersion"},
		{"1.0.0", ERROR_FORMAT, "oci-layout"},
		{"", ERROR_FORMAT, "oci-layout"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};
		int result = oci_layout_check(cases[i].text, strlen(cases[i].text), &err);

		assert_int_equal(result, cases[i].kind == ERROR_NONE ? 0 : -1);
		assert_int_equal(err.kind, cases[i].kind);
		assert_non_null(strstr(err.message, cases[i].says));
	}
}

static void blobs_lie_below_their_algorithm(void **state)
{
	(void)state;
	char path[OCI_LAYOUT_BLOB_PATH_SIZE];
	struct digest digest;

	assert_int_equal(digest_parse(DIGEST("a"), &digest, NULL), 0);
	assert_string_equal(oci_layout_blob_path(&digest, path), "blobs/sha256/" HEX8(HEX8("a")));
	assert_int_equal(digest_parse("sha512:" HEX8(HEX8("a")) HEX8(HEX8("b")), &digest, NULL), 0);
	assert_string_equal(oci_layout_blob_path(&digest, path),
		"blobs/sha512/" HEX8(HEX8("a")) HEX8(HEX8("b")));
}

static void a_tag_is_found_by_its_annotation(void **state)
{
	(void)state;
	const char *two = INDEX(NAMED("a", "one") ", " NAMED("b", "two"));
	const char *containerd = INDEX(CONTAINERD_NAMED("a", "1",
		"docker.io/library/app:1") ", " CONTAINERD_NAMED("b", "1", "example.com/app:1"));

	assert_means(two, "one", DIGEST("a"));
	assert_means(two, "two", DIGEST("b"));
	assert_means(two, "@1", DIGEST("b"));
	assert_means(INDEX(NAMED("a", "one")), "", DIGEST("a"));
	assert_means(INDEX(ENTRY("a", "")), "", DIGEST("a"));
	assert_means(containerd, "docker.io/library/app:1", DIGEST("a"));
	assert_means(containerd, "app:1", DIGEST("a"));
	assert_means(containerd, "example.com/app:1", DIGEST("b"));
}

static void one_image_under_several_names_is_one_image(void **state)
{
	(void)state;
	const char *index = INDEX(NAMED("a", "1") ", " NAMED("a", "latest"));

	assert_means(index, "", DIGEST("a"));
	assert_means(index, "latest", DIGEST("a"));
}

static void what_is_not_there_is_answered_with_what_is(void **state)
{
	(void)state;
	assert_refused(INDEX(NAMED("a", "one") ", " NAMED("b", "two")), "three", ERROR_NOT_FOUND,
		"\"three\"; there is: one, two");
	assert_refused(INDEX(ENTRY("a", "")), "x", ERROR_NOT_FOUND, "\"x\"; there is: @0");
	assert_refused(INDEX(""), "", ERROR_NOT_FOUND, "names no image");
	assert_refused(INDEX(NAMED("a", "one")), "@1", ERROR_NOT_FOUND, "there is: one");
}

static void what_could_mean_several_images_has_to_be_said(void **state)
{
	(void)state;
	assert_refused(INDEX(NAMED("a", "one") ", " NAMED("b", "two")), "", ERROR_INVALID,
		"2 images are in it, say which: one, two");
	assert_refused(INDEX(NAMED("a", "x") ", " NAMED("b", "x")), "x", ERROR_INVALID,
		"are called \"x\" in it, say which: @" DIGEST("a"));
	assert_refused(
		INDEX(CONTAINERD_NAMED("a", "1", "docker.io/library/app:1") ", " CONTAINERD_NAMED(
			"b", "1", "example.com/app:1")),
		"1", ERROR_INVALID, "docker.io/library/app:1, example.com/app:1");
	/* Different images of different platforms are not one image. */
	assert_refused(INDEX(PLATFORM("a", "x", "amd64") ", " PLATFORM("b", "y", "arm64")), "",
		ERROR_INVALID, "say which: x, y");
	/* The same platform twice. */
	assert_refused(INDEX(PLATFORM("a", "x", "amd64") ", " PLATFORM("b", "x", "amd64")), "x",
		ERROR_INVALID, "2 images");
}

static void several_platforms_become_an_index(void **state)
{
	(void)state;
	const char *text = INDEX(PLATFORM("a", "x", "amd64") ", " PLATFORM(
		"b", "x", "arm64") ", " PLATFORM("c", "y", "arm64"));
	const struct platform wanted = {.os = "linux", .architecture = "arm64"};
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;
	struct oci_layout_choice choice = {0}, again = {0};
	const struct descriptor *found;
	char digest[DIGEST_TEXT_SIZE];
	struct error err = {0};

	assert_int_equal(select_from(text, "x", &choice, &err), 0);
	assert_int_equal(
		digest_check(&choice.digest, choice.document.data, choice.document.size, NULL), 0);
	assert_int_equal(
		manifest_index_parse(choice.document.data, choice.document.size, &index, &err), 0);
	assert_int_equal(index->n_manifests, 2);
	assert_int_equal(manifest_index_select(index, &wanted, &found, &err), 0);
	assert_string_equal(digest_format(&found->digest, digest), DIGEST("b"));
	/* The same every time: the digest is remembered. */
	assert_int_equal(select_from(text, "x", &again, &err), 0);
	assert_true(digest_equal(&again.digest, &choice.digest));
	buffer_free(&choice.document);
	buffer_free(&again.document);
}

static void what_is_no_image_is_passed_over(void **state)
{
	(void)state;
	const char *index = INDEX(ENTRY("a",
		", \"annotations\": "
		"{\"vnd.docker.reference.type\": \"x\"}") ", "
							  "{\"mediaType\": \"application/json\", "
							  "\"digest\": \"" DIGEST(
								  "b") "\", \"size\": 1}"
								       ", " ENTRY("c",
									       ", "
									       "\"platform"
									       "\": "
									       "{\"os\": "
									       "\"unknown\""
									       ", "
									       "\"architect"
									       "ure\": "
									       "\"unknown\""
									       "}") ","
										    " " NAMED("d",
											    "app"));

	assert_means(index, "", DIGEST("d"));
	assert_means(index, "app", DIGEST("d"));
	assert_refused(index, "@0", ERROR_NOT_FOUND, "there is: app");
}

static void many_names_are_listed_as_far_as_there_is_room(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer text = {0};
	struct oci_layout_choice choice = {0};
	struct error err = {0};

	assert_int_equal(buffer_printf(&text, "{\"schemaVersion\": 2, \"manifests\": ["), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(buffer_printf(&text,
					 "%s{\"mediaType\": \"" MANIFEST
					 "\", \"digest\": \"sha256:%064u\", \"size\": 1, "
					 "\"annotations\": {\"" OCI_LAYOUT_REF_NAME_ANNOTATION
					 "\": \"name-%u\"}}",
					 i ? ", " : "", i, i),
			0);
	assert_int_equal(buffer_printf(&text, "]}"), 0);
	assert_int_equal(select_from((const char *)text.data, "x", &choice, &err), -1);
	assert_non_null(strstr(err.message, "name-0, name-1, name-2"));
	assert_non_null(strstr(err.message, ", ..."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_version_one_of_the_layout_is_known),
		cmocka_unit_test(blobs_lie_below_their_algorithm),
		cmocka_unit_test(a_tag_is_found_by_its_annotation),
		cmocka_unit_test(one_image_under_several_names_is_one_image),
		cmocka_unit_test(what_is_not_there_is_answered_with_what_is),
		cmocka_unit_test(what_could_mean_several_images_has_to_be_said),
		cmocka_unit_test(several_platforms_become_an_index),
		cmocka_unit_test(what_is_no_image_is_passed_over),
		cmocka_unit_test(many_names_are_listed_as_far_as_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
