/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of every format, honest and not. */
#include "image_fixture.h"

#include "support/test.h"

#define GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define TAR "application/vnd.oci.image.layer.v1.tar"

static const struct image_options strict = {.pull = PULL_MISSING};
static const struct image_options lenient = {.pull = PULL_MISSING, .allow_unverified = true};

static void push_one(struct image_fixture *f, const char *tag, const struct layer_text *layer)
{
	(void)image_push(f, "app", tag, layer, 1);
}

/* Reads all of a layer, and a file with content that is known. */
static void check_layer(const struct image *image, size_t noise_size)
{
	CLEANUP(buffer_free) struct buffer all = {0};
	CLEANUP(buffer_free) struct buffer noise = {0};
	CLEANUP(buffer_free) struct buffer again = {0};

	image_read_file(image->tree, "etc/noise", &noise);
	assert_int_equal(noise.size, noise_size);
	image_read_layer(image->tree, 0, &all);
	assert_true(layer_store_is_complete(layer_store_of(image->tree->layers[0])));
	image_read_file(image->tree, "etc/noise", &again);
	assert_memory_equal(noise.data, again.data, noise.size);
}

static void zstd_chunked_layers_of_every_writer_are_opened_and_read(void **state)
{
	struct image_fixture *f = *state;
	static const char *const names[] = {"skopeo", "ctr-remote", "ctr-remote-chunked",
		"containers", "containers-footer", "containers-short-footer",
		"containers-stargz-names", "stargz", "stargz-footer", "stargz-containers-names"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[128];
		const struct layer_text layer = {.blob = name};
		struct image image;

		(void)snprintf(name, sizeof(name), "zstd_chunked/%s", names[i]);
		push_one(f, names[i], &layer);
		(void)snprintf(name, sizeof(name), "app:%s", names[i]);
		image = image_must_open(f, name, &strict);
		assert_false(image.unverified);
		check_layer(&image, 3072);
	}
}

static void a_known_position_takes_one_request(void **state)
{
	struct image_fixture *f = *state;
	static const struct layer_text with[] = {
		{.blob = "zstd_chunked/skopeo"}, {.blob = "zstd_chunked/containers"}};

	for (unsigned i = 0; i < 2; i++) {
		unsigned before = image_n_requests(f);

		push_one(f, i ? "v1" : "v0", &with[i]);
		(void)image_must_open(f, i ? "app:v1" : "app:v0", &strict);
		/* Tag, manifest, table of contents with the tar-split behind it. */
		assert_int_equal(image_n_requests(f), before + 3);
		(void)image_must_open(f, i ? "app:v1" : "app:v0", &strict);
		assert_int_equal(image_n_requests(f), before + 3);
	}
}

static void zeros_are_not_fetched(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer holes = {0};
	const struct layer_text layer = {.blob = "zstd_chunked/skopeo"};
	const struct unit_table *units;
	struct image image;
	uint64_t n_zeros = 0;
	struct unit unit;
	unsigned n;

	push_one(f, "v1", &layer);
	image = image_must_open(f, "app:v1", &strict);
	units = layer_index_of(image.tree->layers[0])->units;
	n = image_n_requests(f);
	for (uint64_t i = 0; i < unit_table_header(units)->n_units; i++) {
		assert_int_equal(unit_table_get(units, i, &unit, NULL), 0);
		if (!(unit.flags & UNIT_ZEROS))
			continue;
		n_zeros += unit.size;
		image_read_data(image.tree, 0, unit.data_off, unit.size, &holes);
	}
	assert_int_equal(image_n_requests(f), n);
	assert_int_equal(n_zeros, 12000);
	assert_int_equal(holes.size, n_zeros);
	for (size_t i = 0; i < holes.size; i++)
		assert_int_equal(holes.data[i], 0);
}

static void a_table_that_nobody_vouches_for_needs_permission(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text without = {.blob = "zstd_chunked/containers", .toc = ""};
	const struct layer_text with = {.blob = "zstd_chunked/containers"};
	struct image unverified, verified, whole;

	push_one(f, "v1", &without);
	unverified = image_must_open(f, "app:v1", &lenient);
	assert_true(unverified.unverified);
	check_layer(&unverified, 3072);
	whole = image_must_open(f, "app:v1", &strict);
	assert_false(whole.unverified);
	assert_ptr_not_equal(whole.tree->layers[0], unverified.tree->layers[0]);
	push_one(f, "v2", &with);
	verified = image_must_open(f, "app:v2", &strict);
	assert_false(verified.unverified);
	assert_ptr_not_equal(verified.tree->layers[0], unverified.tree->layers[0]);
}

static void a_table_of_another_digest_is_refused(void **state)
{
	struct image_fixture *f = *state;
	static const char *const names[] = {
		"other-digest", "other-json", "other-tar-split", "other-tar-split-footer"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[128];
		const struct layer_text layer = {.blob = name};

		(void)snprintf(name, sizeof(name), "zstd_chunked/should-fail-%s", names[i]);
		push_one(f, names[i], &layer);
		(void)snprintf(name, sizeof(name), "app:%s", names[i]);
		image_must_fail(f, name, &strict, ERROR_DIGEST_MISMATCH, "layer sha256:");
		image_must_fail(f, name, &lenient, ERROR_DIGEST_MISMATCH, "layer sha256:");
	}
}

static void two_tables_for_one_layer_are_refused(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text both = {.blob = "zstd_chunked/containers",
		.extra = ", \"containerd.io/snapshot/stargz/toc.digest\": "
			 "\"sha256:"
			 "11111111111111111111111111111111111111111111111111111111111111"
			 "11\""};

	push_one(f, "v1", &both);
	image_must_fail(f, "app:v1", &lenient, ERROR_FORMAT, "two tables of contents");
}

static void media_types_that_lie_are_named_with_what_the_blob_is(void **state)
{
	struct image_fixture *f = *state;
	static const struct {
		struct layer_text layer;
		const char *blob_is;
	} cases[] = {
		{{.blob = "zstd_chunked/containers-footer", .media_type = GZIP}, "zstd:chunked"},
		{{.blob = "plain", .media_type = ZSTD}, "ends as eStargz"},
		{{.blob = "zstd_chunked/skopeo", .media_type = GZIP}, "zstd-chunked.manifest"},
		{{.blob = "plain", .media_type = TAR}, "toc.digest"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *media_type = cases[i].layer.media_type;
		char tag[16];
		char name[32];

		(void)snprintf(tag, sizeof(tag), "v%zu", i);
		push_one(f, tag, &cases[i].layer);
		(void)snprintf(name, sizeof(name), "app:%s", tag);
		image_must_fail(f, name, &lenient, ERROR_FORMAT, media_type);
		image_must_fail(f, name, &lenient, ERROR_FORMAT, cases[i].blob_is);
	}
}

static void a_broken_promise_is_told_with_what_the_blob_begins_with(void **state)
{
	struct image_fixture *f = *state;
	static const struct layer_text lying = {
		.blob = "zstd_chunked/containers-footer", .media_type = GZIP};
	static const struct layer_text cut = {.blob = "zstd_chunked/containers-footer"};
	struct digest digest;
	char text[DIGEST_TEXT_SIZE];
	struct object *blob;

	golden_digest(lying.blob, &digest);
	push_one(f, "lying", &lying);
	push_one(f, "cut", &cut);
	blob = image_object(f, "app", digest_format(&digest, text));
	blob->bytes.data[blob->bytes.size - 1] ^= 1;
	image_must_fail(f, "app:lying", &strict, ERROR_FORMAT, GZIP);
	image_must_fail(f, "app:lying", &strict, ERROR_FORMAT, "begins as zstd");
	image_must_fail(f, "app:cut", &strict, ERROR_FORMAT, "ends without the footer");
}

#define FORMAT_TEST(test) cmocka_unit_test_setup_teardown(test, image_setup, image_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FORMAT_TEST(zstd_chunked_layers_of_every_writer_are_opened_and_read),
		FORMAT_TEST(a_known_position_takes_one_request),
		FORMAT_TEST(zeros_are_not_fetched),
		FORMAT_TEST(a_table_that_nobody_vouches_for_needs_permission),
		FORMAT_TEST(a_table_of_another_digest_is_refused),
		FORMAT_TEST(two_tables_for_one_layer_are_refused),
		FORMAT_TEST(media_types_that_lie_are_named_with_what_the_blob_is),
		FORMAT_TEST(a_broken_promise_is_told_with_what_the_blob_begins_with),
	};
	return cmocka_run_group_tests_name("layer/image_formats", tests, NULL, NULL);
}
