/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "store_fixture.h"

static struct digest digest_of(enum digest_algorithm algorithm, const void *data, size_t size)
{
	struct digest digest;
	struct error err = {0};

	assert_int_equal(digest_compute(algorithm, data, size, &digest, &err), 0);
	return digest;
}

static void expect_document(struct fixture *fixture, const struct digest *digest,
	const char *expected_type, const void *expected, size_t expected_size)
{
	char media_type[128] = "unset";
	struct error err = {0};
	uint8_t *data = NULL;
	size_t size = 0;
	bool found;

	assert_int_equal(
		store_document_get(fixture->store, digest, &found, media_type, &data, &size, &err),
		0);
	assert_true(found);
	assert_string_equal(media_type, expected_type);
	assert_int_equal(size, expected_size);
	assert_memory_equal(data, expected, size);
	free(data);
}

static bool has_document(struct fixture *fixture, const struct digest *digest)
{
	char media_type[128];
	struct error err = {0};
	uint8_t *data = NULL;
	size_t size;
	bool found;

	assert_int_equal(
		store_document_get(fixture->store, digest, &found, media_type, &data, &size, &err),
		0);
	free(data);
	return found;
}

static void documents_come_back_as_they_were_put_also_later(void **state)
{
	struct fixture *fixture = *state;
	static const char text[] = "{\"schemaVersion\": 2}";
	struct digest long_digest = digest_of(DIGEST_SHA512, text, sizeof(text) - 1);
	struct digest digest = digest_of(DIGEST_SHA256, text, sizeof(text) - 1);
	struct digest empty = digest_of(DIGEST_SHA256, "", 0);
	struct error err = {0};

	assert_false(has_document(fixture, &digest));
	assert_int_equal(store_document_put(fixture->store, &digest, "application/a", text,
				 sizeof(text) - 1, &err),
		0);
	assert_int_equal(store_document_put(fixture->store, &long_digest, "application/b", text,
				 sizeof(text) - 1, &err),
		0);
	assert_int_equal(store_document_put(fixture->store, &empty, "", "", 0, &err), 0);
	for (int round = 0; round < 2; round++) {
		expect_document(fixture, &digest, "application/a", text, sizeof(text) - 1);
		expect_document(fixture, &long_digest, "application/b", text, sizeof(text) - 1);
		expect_document(fixture, &empty, "", "", 0);
		fixture_close(fixture);
		fixture_open(fixture);
	}
}

static void a_document_with_another_digest_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct digest digest = digest_of(DIGEST_SHA256, "a", 1);
	struct error err = {0};

	assert_int_equal(
		store_document_put(fixture->store, &digest, "text/plain", "b", 1, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	assert_false(has_document(fixture, &digest));
}

static void a_document_that_is_too_large_is_refused(void **state)
{
	struct fixture *fixture = *state;
	size_t size = (4 << 20) + 1;
	uint8_t *data = calloc(1, size);
	struct digest digest = digest_of(DIGEST_SHA256, data, size);
	struct error err = {0};

	assert_int_equal(store_document_put(fixture->store, &digest, "a", data, size, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	digest = digest_of(DIGEST_SHA256, data, size - 1);
	assert_int_equal(store_document_put(fixture->store, &digest, "a", data, size - 1, &err), 0);
	expect_document(fixture, &digest, "a", data, size - 1);
	free(data);
}

static void the_database_grows_when_its_map_is_full(void **state)
{
	enum { N_DOCUMENTS = 40, SIZE = 4 << 20 };
	struct fixture *fixture = *state;
	struct digest digests[N_DOCUMENTS];
	uint8_t *data = calloc(1, SIZE);
	struct error err = {0};

	for (uint8_t i = 0; i < N_DOCUMENTS; i++) {
		data[0] = i;
		digests[i] = digest_of(DIGEST_SHA256, data, SIZE);
		assert_int_equal(
			store_document_put(fixture->store, &digests[i], "a", data, SIZE, &err), 0);
	}
	for (uint8_t i = 0; i < N_DOCUMENTS; i++) {
		data[0] = i;
		expect_document(fixture, &digests[i], "a", data, SIZE);
	}
	free(data);
}

static void a_tag_is_what_it_was_last(void **state)
{
	struct fixture *fixture = *state;
	struct store_ref ref = {.digest = digest_of(DIGEST_SHA256, "1", 1), .resolved_s = 100};
	struct store_ref out;
	struct error err = {0};
	char longest[1026];
	bool found;

	assert_int_equal(store_ref_get(fixture->store, "r.example/a:1", &found, &out, &err), 0);
	assert_false(found);
	assert_int_equal(store_ref_put(fixture->store, "r.example/a:1", &ref, &err), 0);
	ref = (struct store_ref){.digest = digest_of(DIGEST_SHA512, "2", 1), .resolved_s = 200};
	assert_int_equal(store_ref_put(fixture->store, "r.example/a:1", &ref, &err), 0);
	fixture_close(fixture);
	fixture_open(fixture);
	assert_int_equal(store_ref_get(fixture->store, "r.example/a:1", &found, &out, &err), 0);
	assert_true(found);
	assert_true(digest_equal(&out.digest, &ref.digest));
	assert_int_equal(out.resolved_s, 200);
	assert_int_equal(store_ref_get(fixture->store, "r.example/a:2", &found, &out, &err), 0);
	assert_false(found);

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(store_ref_put(fixture->store, longest, &ref, &err), -1);
	assert_int_equal(err.kind, ERROR_INVALID);
	longest[1024] = '\0';
	assert_int_equal(store_ref_put(fixture->store, longest, &ref, &err), 0);
}

struct seen {
	unsigned n;
	unsigned stop_after;
	struct store_image last;
	uint8_t layers[2][32];
	char reference[64];
};

static int see(void *arg, const struct store_image *image)
{
	struct seen *seen = arg;

	seen->n++;
	seen->last = *image;
	(void)strncpy(seen->reference, image->reference, sizeof(seen->reference) - 1);
	if (image->n_layers == 2)
		memcpy(seen->layers, image->layers, sizeof(seen->layers));
	return seen->n == seen->stop_after;
}

static void images_are_listed_once_for_each_reference(void **state)
{
	struct fixture *fixture = *state;
	uint8_t layers[2][32] = {{1, 2}, {3, 4}};
	struct store_image image = {.reference = "r.example/a:1",
		.manifest = digest_of(DIGEST_SHA256, "m", 1),
		.used_s = 50,
		.layers = layers,
		.n_layers = 2};
	struct error err = {0};
	struct seen seen = {0};

	assert_int_equal(store_image_each(fixture->store, see, &seen, &err), 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(store_image_put(fixture->store, &image, &err), 0);
	image.used_s = 60;
	assert_int_equal(store_image_put(fixture->store, &image, &err), 0);
	assert_int_equal(store_image_each(fixture->store, see, &seen, &err), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last.used_s, 60);
	assert_int_equal(seen.last.n_layers, 2);
	assert_memory_equal(seen.layers, layers, sizeof(layers));
	assert_string_equal(seen.reference, "r.example/a:1");
	assert_true(digest_equal(&seen.last.manifest, &image.manifest));

	image.reference = "r.example/b";
	image.n_layers = 0;
	assert_int_equal(store_image_put(fixture->store, &image, &err), 0);
	seen = (struct seen){0};
	assert_int_equal(store_image_each(fixture->store, see, &seen, &err), 0);
	assert_int_equal(seen.n, 2);
	seen = (struct seen){.stop_after = 1};
	assert_int_equal(store_image_each(fixture->store, see, &seen, &err), 0);
	assert_int_equal(seen.n, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(documents_come_back_as_they_were_put_also_later),
		TEST(a_document_with_another_digest_is_refused),
		TEST(a_document_that_is_too_large_is_refused),
		TEST(the_database_grows_when_its_map_is_full),
		TEST(a_tag_is_what_it_was_last),
		TEST(images_are_listed_once_for_each_reference),
	};
	return cmocka_run_group_tests_name("store/documents", tests, NULL, NULL);
}
