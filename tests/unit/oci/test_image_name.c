/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image_name.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void names_are_read_and_written(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum image_place place;
		const char *path;
		const char *tag;
		const char *full;
	} cases[] = {
		{"alpine", IMAGE_IN_REGISTRY, "", "", "docker.io/library/alpine:latest"},
		{"ocid:1", IMAGE_IN_REGISTRY, "", "", "docker.io/library/ocid:1"},
		{"example.com/oci:1", IMAGE_IN_REGISTRY, "", "", "example.com/oci:1"},
		{"oci:layout", IMAGE_IN_OCI_LAYOUT, "layout", "", "oci:layout"},
		{"oci:/a/b:1.2", IMAGE_IN_OCI_LAYOUT, "/a/b", "1.2", "oci:/a/b:1.2"},
		{"oci:/a:example.com:5000/app:1", IMAGE_IN_OCI_LAYOUT, "/a",
			"example.com:5000/app:1", "oci:/a:example.com:5000/app:1"},
		{"oci:/a@b:x@y", IMAGE_IN_OCI_LAYOUT, "/a@b", "x@y", "oci:/a@b:x@y"},
		{"oci:/a:@3", IMAGE_IN_OCI_LAYOUT, "/a", "@3", "oci:/a:@3"},
		{"oci:/a@" DIGEST, IMAGE_IN_OCI_LAYOUT, "/a", "", "oci:/a@" DIGEST},
		{"oci:/a:b@" DIGEST, IMAGE_IN_OCI_LAYOUT, "/a", "b", "oci:/a:b@" DIGEST},
		{"oci-archive:/a.tar", IMAGE_IN_OCI_ARCHIVE, "/a.tar", "", "oci-archive:/a.tar"},
		{"docker-archive:a.tar:app:1", IMAGE_IN_DOCKER_ARCHIVE, "a.tar", "app:1",
			"docker-archive:a.tar:app:1"},
		{"containerd:/c@" DIGEST, IMAGE_IN_CONTAINERD, "/c", "", "containerd:/c@" DIGEST},
		{"containerd:@" DIGEST, IMAGE_IN_CONTAINERD, CONTAINERD_CONTENT_DIR, "",
			"containerd:" CONTAINERD_CONTENT_DIR "@" DIGEST},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image_name name, again;
		char text[IMAGE_NAME_TEXT_SIZE], twice[IMAGE_NAME_TEXT_SIZE];

		assert_int_equal(image_name_parse(cases[i].text, &name, NULL), 0);
		assert_int_equal(name.place, cases[i].place);
		assert_string_equal(name.path, cases[i].path);
		assert_string_equal(name.tag, cases[i].tag);
		assert_int_equal(name.has_digest, strstr(cases[i].text, "@sha256:") != NULL);
		assert_string_equal(image_name_format(&name, text), cases[i].full);
		assert_int_equal(image_name_parse(text, &again, NULL), 0);
		assert_int_equal(again.place, name.place);
		assert_string_equal(again.path, name.path);
		assert_string_equal(again.tag, name.tag);
		assert_string_equal(image_name_format(&again, twice), text);
	}
}

static void the_tag_form_leaves_the_digest_out(void **state)
{
	(void)state;
	struct image_name name;
	char text[IMAGE_NAME_TEXT_SIZE];

	assert_int_equal(image_name_parse("oci:/a:b@" DIGEST, &name, NULL), 0);
	assert_string_equal(image_name_format_tag(&name, text), "oci:/a:b");
	assert_int_equal(image_name_parse("example.com/a:b@" DIGEST, &name, NULL), 0);
	assert_true(name.has_digest);
	assert_string_equal(image_name_format_tag(&name, text), "example.com/a:b");
}

static void what_is_wrong_is_said_with_the_form(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{"", "empty"},
		{"Oci:x", "upper-case"},
		{"oci:", "no path; write oci:DIR[:TAG]"},
		{"oci-archive::a", "no path; write oci-archive:FILE[:TAG]"},
		{"oci:/a:", "nothing follows"},
		{"oci:/a@sha256:12", "12"},
		{"containerd:/c", "digests only"},
		{"containerd:/c:tag@" DIGEST, "digests only"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image_name name;
		struct error err = {0};

		assert_int_equal(image_name_parse(cases[i].text, &name, &err), -1);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(err.message, cases[i].says))
			fail_msg("no \"%s\" in: %s", cases[i].says, err.message);
	}
}

static void a_name_that_no_record_can_hold_is_refused(void **state)
{
	(void)state;
	char text[IMAGE_NAME_TEXT_SIZE + 10] = "oci:";
	struct image_name name, short_name;
	struct error err;

	memset(text + 4, 'a', 800);
	assert_int_equal(image_name_parse(text, &name, NULL), 0);
	memset(text + 4, 'a', 950);
	assert_int_equal(image_name_parse(text, &name, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	memset(text + 4, 'a', sizeof(text) - 5);
	assert_int_equal(image_name_parse(text, &name, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);

	assert_int_equal(image_name_parse("oci:a:b", &short_name, NULL), 0);
	assert_int_equal(image_name_set_path(&short_name, text + 4, &err), -1);
	assert_int_equal(image_name_set_path(&short_name, "/x:y", &err), -1);
	assert_int_equal(image_name_set_path(&short_name, "/x/a", &err), 0);
	assert_string_equal(image_name_format(&short_name, text), "oci:/x/a:b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_read_and_written),
		cmocka_unit_test(the_tag_form_leaves_the_digest_out),
		cmocka_unit_test(what_is_wrong_is_said_with_the_form),
		cmocka_unit_test(a_name_that_no_record_can_hold_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
