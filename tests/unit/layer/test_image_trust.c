/* SPDX-License-Identifier: Apache-2.0 */
/* What an image may claim, and what is made of it. */
#include "image_fixture.h"

#include "support/test.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"

static const struct image_options strict = {.pull = PULL_MISSING};
static const struct image_options lenient = {.pull = PULL_MISSING, .allow_unverified = true};

static void push_one(struct image_fixture *f, const char *tag, const struct layer_text *layer)
{
	(void)image_push(f, "app", tag, layer, 1);
}

static void a_table_without_a_digest_is_used_only_with_leniency(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer all = {0};
	const struct layer_text without = {.blob = "ctr-remote-plain", .toc = ""};
	const struct layer_text with = {.blob = "ctr-remote-plain"};
	struct image unverified;
	struct image verified;
	struct image whole;

	push_one(f, "v1", &without);
	unverified = image_must_open(f, "app:v1", &lenient);
	assert_true(unverified.unverified);
	image_read_layer(unverified.tree, 0, &all);
	/* What was accepted once is accepted by nobody else. */
	whole = image_must_open(f, "app:v1", &strict);
	assert_false(whole.unverified);
	assert_ptr_not_equal(whole.tree->layers[0], unverified.tree->layers[0]);
	assert_true(layer_store_is_complete(layer_store_of(whole.tree->layers[0])));
	push_one(f, "v2", &with);
	verified = image_must_open(f, "app:v2", &strict);
	assert_false(verified.unverified);
	assert_ptr_not_equal(verified.tree, unverified.tree);
	assert_ptr_not_equal(verified.tree->layers[0], unverified.tree->layers[0]);
	assert_memory_not_equal(layer_index_of(verified.tree->layers[0])->key,
		layer_index_of(unverified.tree->layers[0])->key, INDEX_KEY_SIZE);
}

static void leniency_changes_nothing_for_a_layer_that_can_be_verified(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layer = {.blob = "ctr-remote-plain"};
	struct image first;
	struct image second;

	push_one(f, "v1", &layer);
	first = image_must_open(f, "app:v1", &lenient);
	second = image_must_open(f, "app:v1", &strict);
	assert_false(first.unverified);
	assert_ptr_equal(first.tree, second.tree);
}

static void a_table_of_another_digest_is_refused_with_and_without_leniency(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layer = {.blob = "ctr-remote-plain", .toc = "ctr-remote-chunked"};

	push_one(f, "v1", &layer);
	image_must_fail(f, "app:v1", &strict, ERROR_DIGEST_MISMATCH, "layer sha256:");
	image_must_fail(f, "app:v1", &lenient, ERROR_DIGEST_MISMATCH, "layer sha256:");
}

/* A hostile image names the blob of another, with bytes and a table of its own. */
static void two_tables_for_one_blob_never_share_a_tree(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer honest_data = {0};
	CLEANUP(buffer_free) struct buffer evil_data = {0};
	const struct layer_text honest = {.blob = "ctr-remote-plain"};
	const struct layer_text evil = {
		.blob = "ctr-remote-chunked", .claimed = "ctr-remote-plain"};
	struct digest blob;
	const struct image_options layer = {.pull = PULL_MISSING, .layer = &blob};
	struct image images[4];

	golden_digest("ctr-remote-plain", &blob);
	(void)image_push(f, "evil", "v1", &evil, 1);
	(void)image_push(f, "app", "v1", &honest, 1);
	images[0] = image_must_open(f, "evil:v1", &strict);
	images[1] = image_must_open(f, "app:v1", &strict);
	images[2] = image_must_open(f, "evil:v1", &layer);
	images[3] = image_must_open(f, "app:v1", &layer);
	for (int i = 0; i < 4; i++) {
		for (int j = 0; j < i; j++) {
			assert_ptr_not_equal(images[i].tree, images[j].tree);
			assert_int_not_equal(images[i].tree->id, images[j].tree->id);
		}
	}
	assert_ptr_equal(images[0].tree->layers[0], images[2].tree->layers[0]);
	assert_ptr_not_equal(images[0].tree->layers[0], images[1].tree->layers[0]);
	image_read_file(images[1].tree, "etc/text", &honest_data);
	image_read_file(images[2].tree, "etc/text", &evil_data);
	assert_int_equal(honest_data.size, 10392);
	assert_int_equal(evil_data.size, 10392);
	assert_int_equal(
		unit_table_header(layer_index_of(images[1].tree->layers[0])->units)->n_units, 3);
	assert_int_equal(
		unit_table_header(layer_index_of(images[0].tree->layers[0])->units)->n_units, 10);
}

static void descriptors_of_impossible_sizes_are_refused(void **state)
{
	struct image_fixture *f = *state;
	static const struct {
		const char *size;
		enum error_kind kind;
	} cases[] = {
		{"0", ERROR_FORMAT},
		{"1", ERROR_FORMAT},
		{"46", ERROR_FORMAT},
		{"50", ERROR_FORMAT},
		{"51", ERROR_FORMAT},
		{"4611686018427387904", ERROR_FORMAT},
		{"9223372036854775807", ERROR_FORMAT},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct layer_text layer = {.blob = "ctr-remote-plain", .size = cases[i].size};

		push_one(f, "v1", &layer);
		image_must_fail(f, "app:v1", &(struct image_options){.pull = PULL_ALWAYS},
			cases[i].kind, "layer sha256:");
		image_must_fail(f, "app:v1",
			&(struct image_options){.pull = PULL_ALWAYS, .allow_unverified = true},
			cases[i].kind, "layer sha256:");
	}
}

static void layers_of_unknown_kinds_say_what_to_do(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text zip = {.blob = "ctr-remote-plain", .media_type = "application/zip"};
	const struct layer_text toc_missing = {.blob = "should-fail-cut-toc"};

	push_one(f, "v1", &zip);
	image_must_fail(f, "app:v1", &strict, ERROR_UNSUPPORTED, "application/zip");
	push_one(f, "v2", &toc_missing);
	image_must_fail(f, "app:v2", &strict, ERROR_FORMAT, "table of contents");
}

static void documents_that_are_no_manifests_are_refused(void **state)
{
	struct image_fixture *f = *state;
	static const struct {
		const char *media_type;
		const char *text;
		enum error_kind kind;
	} cases[] = {
		{MANIFEST_TYPE, "not JSON", ERROR_FORMAT},
		{MANIFEST_TYPE, "[]", ERROR_FORMAT},
		{MANIFEST_TYPE, "{}", ERROR_FORMAT},
		{MANIFEST_TYPE, "{\"schemaVersion\": 2, \"layers\": []}", ERROR_FORMAT},
		{MANIFEST_TYPE, "{\"schemaVersion\": 2, \"layers\": [], \"manifests\": []}",
			ERROR_FORMAT},
		{INDEX_TYPE, "{\"schemaVersion\": 2, \"manifests\": []}", ERROR_NOT_FOUND},
		{MANIFEST_TYPE, "{\"schemaVersion\": 1, \"fsLayers\": []}", ERROR_UNSUPPORTED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)image_push_document(f, "app", "v1", cases[i].media_type, cases[i].text);
		image_must_fail(f, "app:v1", &(struct image_options){.pull = PULL_ALWAYS},
			cases[i].kind, "image 127.0.0.1");
	}
}

static void an_image_without_layers_is_refused(void **state)
{
	struct image_fixture *f = *state;

	(void)image_push(f, "app", "v1", NULL, 0);
	image_must_fail(f, "app:v1", &strict, ERROR_UNSUPPORTED, "an image of 0 layers");
}

static void push_index(struct image_fixture *f, const char *tag, const struct digest *digest,
	const char *media_type, const char *architecture)
{
	char name[DIGEST_TEXT_SIZE];
	char text[1024];

	(void)snprintf(text, sizeof(text),
		"{\"schemaVersion\": 2, \"mediaType\": \"" INDEX_TYPE "\", \"manifests\": ["
		"{\"mediaType\": \"%s\", \"digest\": \"%s\", \"size\": 1000, "
		"\"platform\": {\"os\": \"linux\", \"architecture\": \"%s\"}}]}",
		media_type, digest_format(digest, name), architecture);
	(void)image_push_document(f, "app", tag, INDEX_TYPE, text);
}

static void an_index_leads_to_the_wanted_platform(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layer = {.blob = "ctr-remote-plain"};
	struct digest manifest = image_push(f, "app", "arm", &layer, 1);
	struct image_options options = {.pull = PULL_MISSING};
	struct platform arm;
	struct platform s390x;
	struct image image;
	unsigned n;

	assert_int_equal(platform_parse("linux/arm64", &arm, NULL), 0);
	assert_int_equal(platform_parse("linux/s390x", &s390x, NULL), 0);
	push_index(f, "v1", &manifest, MANIFEST_TYPE, "arm64");
	options.platform = &s390x;
	image_must_fail(f, "app:v1", &options, ERROR_NOT_FOUND, "linux/arm64");
	options.platform = &arm;
	image = image_must_open(f, "app:v1", &options);
	assert_true(digest_equal(&image.manifest, &manifest));
	/* Both documents are kept. */
	image_restart(f);
	n = image_n_requests(f);
	(void)image_must_open(f, "app:v1", &options);
	assert_int_equal(image_n_requests(f), n);
}

static void an_index_inside_an_index_is_followed_but_not_for_ever(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layer = {.blob = "ctr-remote-plain"};
	struct digest digest = image_push(f, "app", "arm", &layer, 1);
	struct platform arm;
	const struct image_options options = {.pull = PULL_MISSING, .platform = &arm};
	struct digest manifest;
	struct image image;

	assert_int_equal(platform_parse("linux/arm64", &arm, NULL), 0);
	manifest = digest;
	push_index(f, "1", &digest, MANIFEST_TYPE, "arm64");
	for (unsigned depth = 2; depth <= 5; depth++) {
		char inner[4], outer[4];

		(void)snprintf(inner, sizeof(inner), "%u", depth - 1);
		(void)snprintf(outer, sizeof(outer), "%u", depth);
		assert_int_equal(
			digest_parse(image_object(f, "app", inner)->digest, &digest, NULL), 0);
		push_index(f, outer, &digest, INDEX_TYPE, "arm64");
	}
	image = image_must_open(f, "app:4", &options);
	assert_true(digest_equal(&image.manifest, &manifest));
	image_must_fail(f, "app:5", &options, ERROR_UNSUPPORTED, "more than 4 indexes");
}

static void a_manifest_of_other_bytes_is_refused_and_not_kept(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layer = {.blob = "ctr-remote-plain"};
	struct digest digest = image_push(f, "app", "v1", &layer, 1);
	char text[DIGEST_TEXT_SIZE];
	char name[256];
	struct object *object = image_object(f, "app", digest_format(&digest, text));

	(void)snprintf(name, sizeof(name), "app@%s", text);
	object->bytes.data[object->bytes.size - 3] ^= 1;
	image_must_fail(f, name, &strict, ERROR_DIGEST_MISMATCH, text);
	object->bytes.data[object->bytes.size - 3] ^= 1;
	(void)image_must_open(f, name, &strict);
}

/* The store finds documents by digest, whoever they are from. */
static void a_type_that_one_registry_claims_is_not_kept_for_others(void **state)
{
	struct image_fixture *f = *state;
	const struct layer_text layer = {.blob = "ctr-remote-plain"};
	struct digest digest = image_push(f, "app", "v1", &layer, 1);
	char text[DIGEST_TEXT_SIZE];
	char name[256];

	(void)image_push(f, "evil", "v1", &layer, 1);
	(void)digest_format(&digest, text);
	(void)snprintf(image_object(f, "evil", text)->media_type, 128, "%s", INDEX_TYPE);
	(void)snprintf(name, sizeof(name), "evil@%s", text);
	image_must_fail(f, name, &strict, ERROR_FORMAT, "content type");
	(void)snprintf(name, sizeof(name), "app@%s", text);
	(void)image_must_open(f, name, &strict);
}

static void patch_file(struct image_fixture *f, const struct image *image, const char *suffix,
	off_t off, const void *data, size_t size)
{
	char path[700];
	char hex[INDEX_KEY_HEX];
	int fd;

	hex_encode(layer_index_of(image->tree->layers[0])->key, INDEX_KEY_SIZE, hex);
	(void)snprintf(path, sizeof(path), "%s/layers/%s.%s", f->store_dir, hex, suffix);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	if (size == 0)
		assert_int_equal(ftruncate(fd, off), 0);
	else
		assert_int_equal(pwrite(fd, data, size, off), size);
	(void)close(fd);
}

static void a_damaged_index_or_one_of_another_version_is_made_anew(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer all = {0};
	const struct layer_text layer = {.blob = "ctr-remote-plain"};
	static const uint8_t other_version[4] = {99};
	struct image image;

	push_one(f, "v1", &layer);
	for (int i = 0; i < 4; i++) {
		image = image_must_open(f, "app:v1", &strict);
		image_read_layer(image.tree, 0, &all);
		switch (i) {
		case 0:
			patch_file(f, &image, "units", 300, NULL, 0);
			break;
		case 1:
			patch_file(f, &image, "erofs", 5000, "x", 1);
			break;
		default:
			/* After the magic. */
			patch_file(f, &image, "units", 8, other_version, 4);
		}
		image_restart(f);
	}
}

static void an_external_table_is_found_by_the_tag(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer toc = golden("external", "toc");
	const struct layer_text layer = {.blob = "external"};
	struct digest digest = image_push(f, "app", "v1", &layer, 1);
	char text[DIGEST_TEXT_SIZE];
	char toc_text[DIGEST_TEXT_SIZE];
	char name[512];
	char manifest[2048];
	struct digest blob;
	struct digest toc_digest;

	(void)snprintf(name, sizeof(name), "app@%s", digest_format(&digest, text));
	image_must_fail(f, name, &strict, ERROR_NOT_FOUND, "mount it by name:tag");
	image_must_fail(f, "app:v1", &strict, ERROR_NOT_FOUND, "v1-esgztoc");

	golden_digest("external", &blob);
	assert_int_equal(digest_compute(DIGEST_SHA256, toc.data, toc.size, &toc_digest, NULL), 0);
	(void)snprintf(manifest, sizeof(manifest),
		"{\"schemaVersion\": 2, \"config\": {\"mediaType\": \"a/b\", \"digest\": \"%s\", "
		"\"size\": 2}, \"layers\": [{\"mediaType\": "
		"\"application/vnd.oci.image.layer.v1.tar+gzip\", \"digest\": \"%s\", \"size\": "
		"%zu, \"annotations\": {\"containerd.io/snapshot/stargz/layer.digest\": "
		"\"%s\"}}]}",
		text, digest_format(&toc_digest, toc_text), toc.size, digest_format(&blob, name));
	(void)image_push_document(f, "app", "v1-esgztoc", MANIFEST_TYPE, manifest);
	image_push_blob(f, "app", &toc);
	/* This blob has a hard link that leads out of it: so far it came. */
	image_must_fail(f, "app:v1", &strict, ERROR_FORMAT, "not/in/this/layer");
	(void)snprintf(name, sizeof(name), "app:v1@%s", text);
	image_must_fail(f, name, &strict, ERROR_FORMAT, "not/in/this/layer");
}

#define TRUST_TEST(test) cmocka_unit_test_setup_teardown(test, image_setup, image_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRUST_TEST(a_table_without_a_digest_is_used_only_with_leniency),
		TRUST_TEST(leniency_changes_nothing_for_a_layer_that_can_be_verified),
		TRUST_TEST(a_table_of_another_digest_is_refused_with_and_without_leniency),
		TRUST_TEST(two_tables_for_one_blob_never_share_a_tree),
		TRUST_TEST(descriptors_of_impossible_sizes_are_refused),
		TRUST_TEST(layers_of_unknown_kinds_say_what_to_do),
		TRUST_TEST(documents_that_are_no_manifests_are_refused),
		TRUST_TEST(an_image_without_layers_is_refused),
		TRUST_TEST(an_index_leads_to_the_wanted_platform),
		TRUST_TEST(an_index_inside_an_index_is_followed_but_not_for_ever),
		TRUST_TEST(a_manifest_of_other_bytes_is_refused_and_not_kept),
		TRUST_TEST(a_type_that_one_registry_claims_is_not_kept_for_others),
		TRUST_TEST(a_damaged_index_or_one_of_another_version_is_made_anew),
		TRUST_TEST(an_external_table_is_found_by_the_tag),
	};
	return cmocka_run_group_tests_name("layer/image_trust", tests, NULL, NULL);
}
