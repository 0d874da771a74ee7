/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/manifest.h"

#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"

#define DIGEST "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982"
#define ENTRY_OF(type, digit, members)                                                             \
	"{\"mediaType\":\"" type "\",\"size\":500,\"digest\":\"" DIGEST digit "\"" members "}"
#define ENTRY(digit, members) ENTRY_OF(MEDIA_TYPE_OCI_MANIFEST, digit, members)
#define PLATFORM(os, architecture)                                                                 \
	",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" architecture "\"}"
#define VARIANT(architecture, variant)                                                             \
	",\"platform\":{\"os\":\"linux\",\"architecture\":\"" architecture                         \
	"\",\"variant\":\"" variant "\"}"
#define ATTESTATION ",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}"

/* An index of these entries, the last of which NULL follows. */
static struct manifest_index *parse(const char *const *entries)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	struct manifest_index *index = NULL;
	struct error err = {0};

	assert_int_equal(buffer_printf(&text, "{\"manifests\":["), 0);
	for (size_t i = 0; entries[i]; i++)
		assert_int_equal(buffer_printf(&text, "%s%s", i > 0 ? "," : "", entries[i]), 0);
	assert_int_equal(buffer_printf(&text, "]}"), 0);
	if (manifest_index_parse(text.data, text.size, &index, &err) < 0)
		fail_msg("%s", err.message);
	return index;
}

static const struct descriptor *select_for(
	const struct manifest_index *index, const char *platform, struct error *err)
{
	const struct descriptor *found = NULL;
	struct platform wanted;

	assert_int_equal(platform_parse(platform, &wanted, NULL), 0);
	return manifest_index_select(index, &wanted, &found, err) == 0 ? found : NULL;
}

/* The digit that ends the digest of the entry selected, '-' for none. */
static char selected(const struct manifest_index *index, const char *platform)
{
	struct error err = {0};
	const struct descriptor *found = select_for(index, platform, &err);
	char text[DIGEST_TEXT_SIZE];

	if (!found) {
		assert_int_equal(err.kind, ERROR_NOT_FOUND);
		return '-';
	}
	return digest_format(&found->digest, text)[strlen(DIGEST)];
}

static struct manifest_index *parse_file(const char *name)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	struct manifest_index *index = NULL;
	char path[512];

	assert_non_null(getenv("VARVE_TEST_MANIFESTS"));
	(void)snprintf(path, sizeof(path), "%s/%s", getenv("VARVE_TEST_MANIFESTS"), name);
	assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
	assert_int_equal(manifest_index_parse(text.data, text.size, &index, NULL), 0);
	return index;
}

static void an_oci_index_is_read_with_its_platforms(void **state)
{
	(void)state;
	CLEANUP(manifest_index_freep) struct manifest_index *index = parse_file("oci-index.json");
	char text[100];

	assert_string_equal(index->media_type, MEDIA_TYPE_OCI_INDEX);
	assert_int_equal(index->n_manifests, 6);
	assert_true(index->manifests[1].has_platform);
	assert_string_equal(platform_format(&index->manifests[1].platform, text), "linux/arm64");
	assert_ptr_equal(select_for(index, "linux/arm/v6", NULL), &index->manifests[3].descriptor);
}

static void a_docker_list_is_read_alike(void **state)
{
	(void)state;
	CLEANUP(manifest_index_freep) struct manifest_index *index = parse_file("docker-list.json");

	assert_string_equal(index->media_type, MEDIA_TYPE_DOCKER_LIST);
	assert_ptr_equal(select_for(index, "linux/386", NULL), &index->manifests[1].descriptor);
	assert_ptr_equal(select_for(index, "windows/amd64", NULL), &index->manifests[2].descriptor);
}

static void the_best_match_wins_and_the_first_among_equals(void **state)
{
	(void)state;
	static const char *const entries[] = {
		ENTRY("0", ""),
		ENTRY("1", VARIANT("arm", "v5")),
		ENTRY("2", VARIANT("arm", "v6")),
		ENTRY("3", VARIANT("arm", "v6")),
		ENTRY("4", VARIANT("amd64", "v2")),
		ENTRY("5", PLATFORM("linux", "amd64")),
		NULL,
	};
	CLEANUP(manifest_index_freep) struct manifest_index *index = parse(entries);

	assert_int_equal(selected(index, "linux/arm/v7"), '2');
	assert_int_equal(selected(index, "linux/arm/v5"), '1');
	assert_int_equal(selected(index, "linux/amd64"), '5');
	assert_int_equal(selected(index, "linux/amd64/v3"), '4');
}

static void an_entry_without_a_platform_is_the_last_resort(void **state)
{
	(void)state;
	static const char *const entries[] = {
		ENTRY("0", ",\"platform\":null"),
		ENTRY("1", PLATFORM("linux", "s390x")),
		ENTRY("2", PLATFORM("", "")),
		NULL,
	};
	CLEANUP(manifest_index_freep) struct manifest_index *index = parse(entries);

	assert_int_equal(selected(index, "linux/s390x"), '1');
	assert_int_equal(selected(index, "linux/amd64"), '0');
}

static void attestations_and_other_documents_are_never_selected(void **state)
{
	(void)state;
	static const char *const entries[] = {
		ENTRY("0", PLATFORM("unknown", "unknown")),
		ENTRY("1", PLATFORM("linux", "amd64") ATTESTATION),
		ENTRY("2", ATTESTATION),
		ENTRY_OF("application/vnd.example.sbom", "3", ""),
		ENTRY_OF("application/vnd.example.sbom", "4", PLATFORM("linux", "amd64")),
		NULL,
	};
	CLEANUP(manifest_index_freep) struct manifest_index *index = parse(entries);
	struct error err = {0};

	assert_int_equal(selected(index, "linux/amd64"), '-');
	assert_int_equal(selected(index, "unknown/unknown"), '-');
	assert_null(select_for(index, "linux/amd64", &err));
	assert_string_equal(
		err.message, "no image for linux/amd64 in the index, which offers no platform");
}

static void a_nested_index_may_be_selected(void **state)
{
	(void)state;
	static const char *const entries[] = {
		ENTRY_OF(MEDIA_TYPE_OCI_INDEX, "7", ""),
		NULL,
	};
	CLEANUP(manifest_index_freep) struct manifest_index *index = parse(entries);

	assert_int_equal(selected(index, "linux/amd64"), '7');
}

static void no_match_lists_what_there_is_once_each(void **state)
{
	(void)state;
	static const char *const entries[] = {
		ENTRY("0", PLATFORM("linux", "amd64")),
		ENTRY("1", VARIANT("arm", "v7")),
		ENTRY("2", PLATFORM("linux", "x86_64")),
		ENTRY("3", PLATFORM("unknown", "unknown")),
		NULL,
	};
	CLEANUP(manifest_index_freep) struct manifest_index *index = parse(entries);
	struct error err = {0};

	assert_null(select_for(index, "linux/arm64", &err));
	assert_string_equal(err.message,
		"no image for linux/arm64 in the index, which offers linux/amd64, linux/arm/v7");
}

static void a_long_list_of_platforms_is_cut(void **state)
{
	(void)state;
	char texts[50][256];
	const char *entries[51] = {NULL};
	CLEANUP(manifest_index_freep) struct manifest_index *index = NULL;
	struct error err = {0};

	for (int i = 0; i < 50; i++) {
		(void)snprintf(texts[i], sizeof(texts[i]),
			ENTRY("0", PLATFORM("linux", "made-up-machine-%d")), i);
		entries[i] = texts[i];
	}
	index = parse(entries);
	assert_null(select_for(index, "linux/amd64", &err));
	assert_non_null(strstr(err.message, "made-up-machine-0, "));
	assert_string_equal(err.message + strlen(err.message) - 5, ", ...");
}

static void an_empty_index_offers_nothing(void **state)
{
	(void)state;
	static const char *const entries[] = {
		NULL,
	};
	CLEANUP(manifest_index_freep) struct manifest_index *index = parse(entries);

	assert_int_equal(index->n_manifests, 0);
	assert_int_equal(selected(index, "linux/amd64"), '-');
}

static void a_wrong_member_is_named_with_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{"{\"manifests\":{}}", "\"manifests\" is not an array"},
		{"{\"manifests\":[" ENTRY("0", "") ",7]}", "\"manifests\"[1]: "},
		{"{\"manifests\":[" ENTRY("0", ",\"platform\":[]") "]}",
			"\"manifests\"[0]: \"platform\" is not an object"},
		{"{\"manifests\":[" ENTRY("0", ",\"platform\":{\"os\":\"linux\"}") "]}",
			"lacks \"os\" or \"architecture\""},
		{"{\"manifests\":[" ENTRY("0", PLATFORM("linux", "a/b")) "]}",
			"\"a/b\" is not an architecture"},
		{"{\"manifests\":[" ENTRY("0", ",\"platform\":{\"os\":\"linux\",\"architecture\":"
					       "\"arm\",\"variant\":7}") "]}",
			"not a string"},
		{"{\"layers\":[]}", "is an image manifest where"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct manifest_index *index = NULL;
		struct error err = {0};

		assert_int_equal(
			manifest_index_parse(cases[i].text, strlen(cases[i].text), &index, &err),
			-1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		if (!strstr(err.message, cases[i].why))
			fail_msg("%s", err.message);
	}
}

static void the_number_of_entries_is_limited(void **state)
{
	(void)state;
	CLEANUP(buffer_free) struct buffer text = {0};
	struct manifest_index *index = NULL;
	struct error err = {0};

	assert_int_equal(buffer_printf(&text, "{\"manifests\":[0"), 0);
	for (int i = 0; i < INDEX_MAX_MANIFESTS; i++)
		assert_int_equal(buffer_append(&text, ",0", 2), 0);
	assert_int_equal(buffer_append(&text, "]}", 2), 0);
	assert_int_equal(manifest_index_parse(text.data, text.size, &index, &err), -1);
	assert_non_null(strstr(err.message, "at most 4096"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_oci_index_is_read_with_its_platforms),
		cmocka_unit_test(a_docker_list_is_read_alike),
		cmocka_unit_test(the_best_match_wins_and_the_first_among_equals),
		cmocka_unit_test(an_entry_without_a_platform_is_the_last_resort),
		cmocka_unit_test(attestations_and_other_documents_are_never_selected),
		cmocka_unit_test(a_nested_index_may_be_selected),
		cmocka_unit_test(no_match_lists_what_there_is_once_each),
		cmocka_unit_test(a_long_list_of_platforms_is_cut),
		cmocka_unit_test(an_empty_index_offers_nothing),
		cmocka_unit_test(a_wrong_member_is_named_with_its_place),
		cmocka_unit_test(the_number_of_entries_is_limited),
	};
	return cmocka_run_group_tests_name("oci/manifest_index", tests, NULL, NULL);
}
