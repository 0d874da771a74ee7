/* SPDX-License-Identifier: Apache-2.0 */
#include "format/referrers.h"

#include "support/test.h"

#include <string.h>

#include "oci/manifest.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ENTRY(hex, more)                                                                           \
	"{\"mediaType\":\"" MEDIA_TYPE_OCI_MANIFEST "\",\"digest\":\"sha256:" hex                  \
	"\",\"size\":7" more "}"
#define LIST(entries)                                                                              \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[" entries  \
	"]}"

static const char two_types[] = LIST(ENTRY(HEX_A, ",\"artifactType\":\"a/x\"") "," ENTRY(
	HEX_B, ",\"artifactType\":\"b/x\",\"annotations\":{\"k\":\"v\"}"));

static struct referrers *parse(const char *text, const char *type)
{
	struct referrers *referrers = NULL;
	struct error err = {0};

	if (referrers_parse(text, strlen(text), type, &referrers, &err) < 0)
		fail_msg("%s", err.message);
	return referrers;
}

static void only_referrers_of_the_wanted_type_are_listed(void **state)
{
	(void)state;
	struct referrers *referrers = parse(two_types, "b/x");

	assert_int_equal(referrers->n, 1);
	assert_string_equal(referrers->list[0].artifact_type, "b/x");
	assert_string_equal(descriptor_annotation(&referrers->list[0].descriptor, "k"), "v");
	referrers_freep(&referrers);

	referrers = parse(two_types, NULL);
	assert_int_equal(referrers->n, 2);
	referrers_free(referrers);
	referrers = parse(two_types, "c/x");
	assert_int_equal(referrers->n, 0);
	referrers_free(referrers);
	referrers_free(NULL);
}

static void a_referrer_that_does_not_say_its_type_has_to_be_asked(void **state)
{
	(void)state;
	struct referrers *referrers = parse(LIST(ENTRY(HEX_A, "")), "b/x");

	assert_int_equal(referrers->n, 1);
	assert_null(referrers->list[0].artifact_type);
	referrers_free(referrers);
}

static void broken_entries_count_only_if_they_are_wanted(void **state)
{
	(void)state;
	static const char text[] = LIST("{\"artifactType\":\"a/x\",\"digest\":7}");
	struct referrers *referrers = parse(text, "b/x");
	struct error err = {0};

	assert_int_equal(referrers->n, 0);
	referrers_freep(&referrers);
	assert_int_equal(referrers_parse(text, strlen(text), "a/x", &referrers, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_non_null(strstr(err.message, "referrers: \"manifests\"[0]"));
}

static void what_is_no_index_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"[]",
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX "\",\"manifests\":7}",
		"{\"schemaVersion\":2,\"config\":{},\"layers\":[]}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct referrers *referrers = NULL;
		struct error err = {0};

		assert_int_equal(
			referrers_parse(texts[i], strlen(texts[i]), NULL, &referrers, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		assert_null(referrers);
	}
}

static void the_tag_of_a_digest_is_at_most_64_digits_long(void **state)
{
	(void)state;
	struct digest digest = {.algorithm = DIGEST_SHA256};
	char tag[REFERRERS_TAG_SIZE];

	memset(digest.bytes, 0xaa, 32);
	assert_string_equal(referrers_tag(&digest, tag), "sha256-" HEX_A);
	memset(digest.bytes, 0xbb, 64);
	digest.algorithm = DIGEST_SHA512;
	assert_string_equal(referrers_tag(&digest, tag), "sha512-" HEX_B);
}

static struct buffer add(const char *text, const char *type)
{
	struct annotation annotation = {(char *)"made", (char *)"by \"us\""};
	struct descriptor descriptor = {
		.media_type = (char *)MEDIA_TYPE_OCI_MANIFEST,
		.digest = {.algorithm = DIGEST_SHA256},
		.size = 1234,
		.annotations = &annotation,
		.n_annotations = 1,
	};
	struct buffer out = {0};
	struct error err = {0};

	memset(descriptor.digest.bytes, 0xbb, 32);
	if (referrers_add(text, text ? strlen(text) : 0, &descriptor, type, &out, &err) < 0)
		fail_msg("%s", err.message);
	return out;
}

static void a_referrer_is_added_to_an_index_that_is_not_there_yet(void **state)
{
	(void)state;
	struct buffer text = add(NULL, "b/x");
	struct referrers *referrers = parse((char *)text.data, "b/x");

	assert_int_equal(referrers->n, 1);
	assert_int_equal(referrers->list[0].descriptor.size, 1234);
	assert_string_equal(
		descriptor_annotation(&referrers->list[0].descriptor, "made"), "by \"us\"");
	assert_string_equal(referrers->list[0].descriptor.media_type, MEDIA_TYPE_OCI_MANIFEST);
	referrers_free(referrers);
	buffer_free(&text);
}

static void a_referrer_replaces_itself_and_leaves_everything_else(void **state)
{
	(void)state;
	static const char text[] = "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_TYPE_OCI_INDEX
				   "\",\"manifests\":[" ENTRY(HEX_B, "") "," ENTRY(HEX_A,
					   ",\"artifactType\":\"a/"
					   "x\",\"unknown\":[true,null,-3,1.5,"
					   "\"t\"]") "],\"annotations\":{"
						     "\"kept\":\"yes\"}}";
	struct buffer changed = add(text, "b/x");
	struct referrers *referrers = parse((char *)changed.data, NULL);

	assert_int_equal(referrers->n, 2);
	assert_string_equal(referrers->list[0].artifact_type, "a/x");
	assert_string_equal(referrers->list[1].artifact_type, "b/x");
	assert_int_equal(referrers->list[1].descriptor.size, 1234);
	assert_non_null(strstr((char *)changed.data, "\"unknown\":[true,null,-3,1.5,\"t\"]"));
	assert_non_null(strstr((char *)changed.data, "\"annotations\":{\"kept\":\"yes\"}"));
	referrers_free(referrers);
	buffer_free(&changed);
}

static void nothing_is_added_to_what_is_no_index(void **state)
{
	(void)state;
	struct descriptor descriptor = {.media_type = (char *)MEDIA_TYPE_OCI_MANIFEST,
		.digest = {.algorithm = DIGEST_SHA256}};
	struct buffer out = {0};
	struct error err = {0};

	assert_int_equal(referrers_add("{}", 2, &descriptor, "a/x", &out, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	assert_int_equal(out.size, 0);
}

static void two_lists_become_one_in_order(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer out = {0};
	CLEANUP(referrers_freep) struct referrers *referrers = NULL;
	const char *more = LIST(ENTRY(HEX_B, ""));
	struct error err = {0};

	assert_int_equal(referrers_join(NULL, 0, more, strlen(more), &out, &err), 0);
	assert_string_equal((const char *)out.data, more);
	out.size = 0;
	assert_int_equal(
		referrers_join(two_types, strlen(two_types), more, strlen(more), &out, &err), 0);
	referrers = parse((const char *)out.data, NULL);
	assert_int_equal(referrers->n, 3);
	assert_string_equal(referrers->list[0].artifact_type, "a/x");
	assert_null(referrers->list[2].artifact_type);
	assert_int_equal(referrers_join(NULL, 0, "{}", 2, &out, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
}

static void a_manifest_is_listed_if_its_subject_is_the_one(void **state)
{
	(void)state;
	static const char *const documents[] = {
		"{\"artifactType\":\"t\",\"subject\":{\"digest\":\"sha256:" HEX_A "\"}}",
		"{\"config\":{\"mediaType\":\"t\"},\"subject\":{\"digest\":\"sha256:" HEX_A "\"}}",
		"{\"artifactType\":\"t\",\"subject\":{\"digest\":\"sha256:" HEX_B "\"}}",
		"{\"artifactType\":\"t\"}",
		"[]",
	};
	struct descriptor descriptor = {.media_type = (char *)MEDIA_TYPE_OCI_MANIFEST, .size = 9};
	struct digest subject;
	struct error err = {0};

	assert_int_equal(digest_parse("sha256:" HEX_A, &subject, &err), 0);
	descriptor.digest = subject;
	for (size_t i = 0; i < 5; i++) {
		CLEANUP(buffer_free) struct buffer out = {0};
		struct buffer document = {
			.data = (uint8_t *)documents[i], .size = strlen(documents[i])};
		bool added;

		assert_int_equal(referrers_add_manifest(NULL, 0, &subject, &document, &descriptor,
					 &out, &added, &err),
			0);
		assert_int_equal(added, i < 2);
		if (added)
			assert_non_null(strstr((char *)out.data, "\"artifactType\":\"t\""));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_lists_become_one_in_order),
		cmocka_unit_test(a_manifest_is_listed_if_its_subject_is_the_one),
		cmocka_unit_test(only_referrers_of_the_wanted_type_are_listed),
		cmocka_unit_test(a_referrer_that_does_not_say_its_type_has_to_be_asked),
		cmocka_unit_test(broken_entries_count_only_if_they_are_wanted),
		cmocka_unit_test(what_is_no_index_is_refused),
		cmocka_unit_test(the_tag_of_a_digest_is_at_most_64_digits_long),
		cmocka_unit_test(a_referrer_is_added_to_an_index_that_is_not_there_yet),
		cmocka_unit_test(a_referrer_replaces_itself_and_leaves_everything_else),
		cmocka_unit_test(nothing_is_added_to_what_is_no_index),
	};
	return cmocka_run_group_tests_name("format/referrers", tests, NULL, NULL);
}
