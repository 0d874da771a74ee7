/* SPDX-License-Identifier: Apache-2.0 */
/* SOCI's indexes in a registry, of which version, and what becomes of layers that have none. */
#include "image_fixture.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define INDEX "application/vnd.oci.image.index.v1+json"

static const struct image_options trusting = {.pull = PULL_MISSING, .trust_indexes = true};
static const struct image_options v1 = {
	.pull = PULL_MISSING, .trust_indexes = true, .soci_v1 = true};
static const struct image_options v1_offline = {
	.pull = PULL_NEVER, .trust_indexes = true, .soci_v1 = true};
static const struct image_options offline = {.pull = PULL_NEVER, .trust_indexes = true};
static const struct image_options untrusting = {.pull = PULL_MISSING, .soci_v1 = true};

/* The layer of a golden ztoc, as an image; returns the digest of its manifest. */
static struct digest push_image(struct image_fixture *f, const char *blob)
{
	const struct layer_text layer = {.blob = blob, .media_type = GZIP, .toc = ""};

	return image_push(f, "app", "1", &layer, 1);
}

/* An index of version 1 of that image, with one ztoc; returns the digest of its manifest. */
static struct digest push_index(struct image_fixture *f, const struct digest *image,
	const char *blob, const struct buffer *ztoc)
{
	char subject[DIGEST_TEXT_SIZE], table[DIGEST_TEXT_SIZE], layer[DIGEST_TEXT_SIZE];
	struct digest ztoc_digest, layer_digest;
	char text[2048];

	golden_digest(blob, &layer_digest);
	assert_int_equal(
		digest_compute(DIGEST_SHA256, ztoc->data, ztoc->size, &ztoc_digest, NULL), 0);
	image_push_blob(f, "app", ztoc);
	(void)snprintf(text, sizeof(text),
		"{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST "\",\"config\":{\"mediaType\":"
		"\"application/vnd.amazon.soci.index.v1+json\",\"digest\":\"%s\",\"size\":2},"
		"\"layers\":[{\"mediaType\":\"application/octet-stream\",\"digest\":\"%s\","
		"\"size\":%zu,\"annotations\":{\"com.amazon.soci.image-layer-digest\":\"%s\"}}],"
		"\"subject\":{\"mediaType\":\"" MANIFEST "\",\"digest\":\"%s\",\"size\":1}}",
		digest_format(image, subject), digest_format(&ztoc_digest, table), ztoc->size,
		digest_format(&layer_digest, layer), subject);
	return image_push_document(f, "app", "soci", MANIFEST, text);
}

/* What stands in for a referrers API. */
static void push_referrer(
	struct image_fixture *f, const struct digest *image, const struct digest *index)
{
	char name[DIGEST_TEXT_SIZE], digest[DIGEST_TEXT_SIZE], text[1024];

	(void)digest_format(image, name);
	*strchr(name, ':') = '-';
	(void)snprintf(text, sizeof(text),
		"{\"schemaVersion\":2,\"mediaType\":\"" INDEX
		"\",\"manifests\":[{\"mediaType\":\"" MANIFEST
		"\",\"digest\":\"%s\",\"size\":1,\"artifactType\":"
		"\"application/vnd.amazon.soci.index.v1+json\"}]}",
		digest_format(index, digest));
	(void)image_push_document(f, "app", name, INDEX, text);
}

static struct digest push_all(struct image_fixture *f, const char *blob, const struct buffer *ztoc)
{
	struct digest image = push_image(f, blob);
	struct digest index = push_index(f, &image, blob, ztoc);

	push_referrer(f, &image, &index);
	return image;
}

static struct layer_trust_state trust_of(const struct image *image)
{
	struct layer_trust_state state;

	layer_trust_state(image->tree->layers[0], &state);
	return state;
}

static void check_file(const struct image *image)
{
	CLEANUP(buffer_free) struct buffer read = {0};

	image_read_file(image->tree, "etc/text", &read);
	assert_int_equal(read.size, 26137);
}

static void a_ztoc_makes_a_layer_lazy_where_it_is_allowed(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer ztoc = golden("ztoc/gzip", "ztoc");
	struct image image;

	(void)push_all(f, "ztoc/gzip", &ztoc);
	image = image_must_open(f, "app:1", &v1);
	assert_int_equal(trust_of(&image).trust, LAYER_REPOSITORY_TRUSTED);
	assert_int_equal(trust_of(&image).by, LAYER_CLAIMED_BY_SOCI);
	assert_false(layer_store_is_complete(layer_store_of(image.tree->layers[0])));
	check_file(&image);
	image_restart(f);
	/* What was allowed once is not for ever, and is remembered for who allows it. */
	image_must_fail(f, "app:1", &offline, ERROR_NOT_FOUND, "--pull=never forbids to ask");
	image = image_must_open(f, "app:1", &v1_offline);
	assert_int_equal(trust_of(&image).by, LAYER_CLAIMED_BY_SOCI);
	check_file(&image);
	image_restart(f);
	image = image_must_open(f, "app:1", &trusting);
	assert_int_equal(trust_of(&image).trust, LAYER_AUTHENTIC);
	check_file(&image);
}

static void nobody_is_asked_who_is_not_trusted(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer ztoc = golden("ztoc/gzip", "ztoc");
	struct image image;

	(void)push_all(f, "ztoc/gzip", &ztoc);
	image = image_must_open(f, "app:1", &untrusting);
	assert_int_equal(trust_of(&image).trust, LAYER_AUTHENTIC);
	check_file(&image);
}

static void expect_pass(struct image_fixture *f, const struct buffer *ztoc)
{
	struct image image;

	(void)push_all(f, "ztoc/gzip", ztoc);
	image = image_must_open(f, "app:1", &v1);
	assert_int_equal(trust_of(&image).trust, LAYER_AUTHENTIC);
	check_file(&image);
}

static void a_ztoc_of_another_layer_means_a_pass(void **state)
{
	CLEANUP(buffer_free) struct buffer ztoc = golden("ztoc/gzip-members", "ztoc");

	expect_pass(*state, &ztoc);
}

static void a_broken_ztoc_means_a_pass(void **state)
{
	CLEANUP(buffer_free) struct buffer ztoc = golden("ztoc/gzip", "ztoc");

	ztoc.size /= 2;
	expect_pass(*state, &ztoc);
}

static void an_index_of_another_image_is_not_used(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer ztoc = golden("ztoc/gzip", "ztoc");
	struct digest image_digest = push_image(f, "ztoc/gzip"), other = image_digest, index;
	struct image image;

	other.bytes[0] ^= 1;
	index = push_index(f, &other, "ztoc/gzip", &ztoc);
	push_referrer(f, &image_digest, &index);
	image = image_must_open(f, "app:1", &v1);
	assert_int_equal(trust_of(&image).trust, LAYER_AUTHENTIC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_ztoc_makes_a_layer_lazy_where_it_is_allowed, image_setup, image_teardown),
		cmocka_unit_test_setup_teardown(
			nobody_is_asked_who_is_not_trusted, image_setup, image_teardown),
		cmocka_unit_test_setup_teardown(
			a_ztoc_of_another_layer_means_a_pass, image_setup, image_teardown),
		cmocka_unit_test_setup_teardown(
			a_broken_ztoc_means_a_pass, image_setup, image_teardown),
		cmocka_unit_test_setup_teardown(
			an_index_of_another_image_is_not_used, image_setup, image_teardown),
	};
	return cmocka_run_group_tests_name("layer/image_soci", tests, NULL, NULL);
}
