/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/descriptor.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define DIGEST "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define WITHOUT_SIZE                                                                               \
	"{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" DIGEST "\"" \
	","

static int parse(const char *text, struct descriptor *out, struct error *err)
{
	CLEANUP(json_freep) struct json *document = NULL;

	assert_int_equal(json_parse(text, strlen(text), &document, err), 0);
	return descriptor_parse(document, out, err);
}

static void every_member_is_read(void **state)
{
	(void)state;
	struct descriptor descriptor;
	char digest[DIGEST_TEXT_SIZE];

	assert_int_equal(parse("{\"mediaType\":\"Application/vnd.oci.image.layer.v1.tar+gzip; "
			       "charset=utf-8\",\"digest\":\"" DIGEST "\",\"size\":5,"
			       "\"urls\":[\"https://example.com/a\",\"https://example.com/b\"],"
			       "\"annotations\":{\"b\":\"2\",\"a\":\"\"},"
			       "\"data\":\"aGVsbG8=\",\"x-custom\":[1]}",
				 &descriptor, NULL),
		0);
	assert_string_equal(descriptor.media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
	assert_string_equal(digest_format(&descriptor.digest, digest), DIGEST);
	assert_int_equal(descriptor.size, 5);
	assert_int_equal(descriptor.n_urls, 2);
	assert_string_equal(descriptor.urls[1], "https://example.com/b");
	assert_int_equal(descriptor.n_annotations, 2);
	assert_string_equal(descriptor_annotation(&descriptor, "a"), "");
	assert_string_equal(descriptor_annotation(&descriptor, "b"), "2");
	assert_null(descriptor_annotation(&descriptor, "c"));
	descriptor_clear(&descriptor);
	assert_null(descriptor.media_type);
}

static void null_is_as_good_as_absent_for_what_is_optional(void **state)
{
	(void)state;
	struct descriptor descriptor;

	assert_int_equal(parse(WITHOUT_SIZE "\"size\":0,\"urls\":null,\"annotations\":null}",
				 &descriptor, NULL),
		0);
	assert_int_equal(descriptor.n_urls, 0);
	assert_int_equal(descriptor.n_annotations, 0);
	descriptor_clear(&descriptor);
}

static void a_size_may_be_as_large_as_a_file(void **state)
{
	(void)state;
	struct descriptor descriptor;

	assert_int_equal(parse(WITHOUT_SIZE "\"size\":9223372036854775807}", &descriptor, NULL), 0);
	assert_int_equal(descriptor.size, INT64_MAX);
	descriptor_clear(&descriptor);
}

static void a_refusal_names_the_member(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"[]", "not an object"},
		{"{}", "\"mediaType\" is missing"},
		{"{\"mediaType\":7,\"digest\":\"" DIGEST "\",\"size\":1}", "\"mediaType\""},
		{"{\"mediaType\":\"tar\",\"digest\":\"" DIGEST "\",\"size\":1}",
			"not a media type"},
		{"{\"mediaType\":\"a/b/c\",\"digest\":\"" DIGEST "\",\"size\":1}",
			"not a media type"},
		{"{\"mediaType\":\"a/\",\"digest\":\"" DIGEST "\",\"size\":1}", "not a media type"},
		{"{\"mediaType\":\"\",\"digest\":\"" DIGEST "\",\"size\":1}", "not a media type"},
		{"{\"mediaType\":\"a/b\",\"size\":1}", "\"digest\" is missing"},
		{"{\"mediaType\":\"a/b\",\"digest\":\"sha256:00\",\"size\":1}", "sha256:00"},
		{WITHOUT_SIZE "\"size\":-1}", "\"size\""},
		{WITHOUT_SIZE "\"size\":1.5}", "\"size\""},
		{WITHOUT_SIZE "\"size\":\"1\"}", "\"size\""},
		{WITHOUT_SIZE "\"annotations\":{}}", "\"size\""},
		{WITHOUT_SIZE "\"size\":1,\"urls\":\"https://example.com\"}", "\"urls\""},
		{WITHOUT_SIZE "\"size\":1,\"urls\":[\"a\",1]}", "\"urls\"[1]"},
		{WITHOUT_SIZE "\"size\":1,\"annotations\":[]}", "\"annotations\""},
		{WITHOUT_SIZE "\"size\":1,\"annotations\":{\"a\":\"1\",\"n\":1}}",
			"annotation \"n\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct descriptor descriptor;
		struct error err = {0};

		assert_int_equal(parse(cases[i].text, &descriptor, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		if (!strstr(err.message, cases[i].why))
			fail_msg("%s", err.message);
	}
}

static void an_absent_descriptor_is_an_error(void **state)
{
	(void)state;
	struct descriptor descriptor;
	struct error err = {0};

	assert_int_equal(descriptor_parse(NULL, &descriptor, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
}

/* A document whose n-th part is made by printf(format, n). */
static char *document_of(const char *start, const char *format, int n, const char *end)
{
	struct buffer buffer = {0};

	assert_int_equal(buffer_printf(&buffer, "%s", start), 0);
	for (int i = 0; i < n; i++) {
		char part[64];

		(void)snprintf(part, sizeof(part),
			strcmp(format, "url") == 0 ? "%s\"u%d\"" : "%s\"a%d\":\"v\"",
			i > 0 ? "," : "", i);
		assert_int_equal(buffer_append(&buffer, part, strlen(part)), 0);
	}
	assert_int_equal(buffer_printf(&buffer, "%s", end), 0);
	return (char *)buffer.data;
}

static void counts_and_lengths_are_limited(void **state)
{
	(void)state;
	CLEANUP(cleanup_free)
	char *annotations =
		document_of(WITHOUT_SIZE "\"size\":1,\"annotations\":{", "annotation", 1025, "}}");
	CLEANUP(cleanup_free)
	char *urls = document_of(WITHOUT_SIZE "\"size\":1,\"urls\":[", "url", 65, "]}");
	CLEANUP(cleanup_free)
	char *allowed =
		document_of(WITHOUT_SIZE "\"size\":1,\"annotations\":{", "annotation", 1024, "}}");
	CLEANUP(cleanup_free) char *value = malloc((256 << 10) + 2);
	CLEANUP(cleanup_free) char *text = malloc((256 << 10) + 512);
	struct descriptor descriptor;
	struct error err = {0};

	assert_int_equal(parse(annotations, &descriptor, &err), -1);
	assert_non_null(strstr(err.message, "1025 annotations"));
	assert_int_equal(parse(urls, &descriptor, &err), -1);
	assert_non_null(strstr(err.message, "at most 64"));
	assert_int_equal(parse(allowed, &descriptor, NULL), 0);
	assert_string_equal(descriptor_annotation(&descriptor, "a1023"), "v");
	descriptor_clear(&descriptor);

	assert_non_null(value);
	assert_non_null(text);
	memset(value, 'x', (256 << 10) + 1);
	value[(256 << 10) + 1] = '\0';
	sprintf(text, WITHOUT_SIZE "\"size\":1,\"annotations\":{\"long\":\"%s\"}}", value);
	assert_int_equal(parse(text, &descriptor, &err), -1);
	assert_non_null(strstr(err.message, "annotation \"long\" is longer"));
}

static void a_copy_outlives_the_original(void **state)
{
	(void)state;
	struct descriptor original, copy;

	assert_int_equal(parse(WITHOUT_SIZE "\"size\":5,\"urls\":[\"u\"],\"annotations\":{\"k\":"
					    "\"v\"}}",
				 &original, NULL),
		0);
	assert_int_equal(descriptor_copy(&original, &copy, NULL), 0);
	descriptor_clear(&original);
	assert_string_equal(copy.media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
	assert_int_equal(copy.size, 5);
	assert_string_equal(copy.urls[0], "u");
	assert_string_equal(descriptor_annotation(&copy, "k"), "v");
	descriptor_clear(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_member_is_read),
		cmocka_unit_test(null_is_as_good_as_absent_for_what_is_optional),
		cmocka_unit_test(a_size_may_be_as_large_as_a_file),
		cmocka_unit_test(a_refusal_names_the_member),
		cmocka_unit_test(an_absent_descriptor_is_an_error),
		cmocka_unit_test(counts_and_lengths_are_limited),
		cmocka_unit_test(a_copy_outlives_the_original),
	};
	return cmocka_run_group_tests_name("oci/descriptor", tests, NULL, NULL);
}
