/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that are mounted with what somebody claims of them. */
#include "image_fixture.h"

#include "support/encode.h"
#include "support/tar_archive.h"
#include "support/test.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "format/referrers.h"
#include "format/span_index_file.h"

#define GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define INDEX "application/vnd.oci.image.index.v1+json"

static const struct image_options alone = {.pull = PULL_MISSING};
static const struct image_options lazy = {.pull = PULL_MISSING, .trust_indexes = true};
static const struct image_options offline = {.pull = PULL_NEVER, .trust_indexes = true};
static const struct image_options completing = {
	.pull = PULL_MISSING, .trust_indexes = true, .background = true};

enum { LARGE_SIZE = (9 << 20) + 12345, SMALL_SIZE = 70001 };

static uint8_t large[LARGE_SIZE];
static uint8_t small[SMALL_SIZE];

static void put_file(struct buffer *archive, const char *name, const void *data, size_t size)
{
	const struct tar_member member = {
		.type = '0', .name = name, .mode = 0644, .size = size, .mtime = 1};

	archive_put(archive, &member);
	archive_put_payload(archive, data, size);
}

static struct buffer make_blob(void)
{
	const struct tar_member link = {
		.type = '1', .name = "link", .link_name = "etc/small", .mode = 0644, .mtime = 1};
	CLEANUP(buffer_free) struct buffer archive = {0};
	struct buffer blob = {0};

	fill_mixture(large, sizeof(large), 1);
	fill_text(small, sizeof(small), 2);
	put_file(&archive, "etc/small", small, sizeof(small));
	put_file(&archive, "large", large, sizeof(large));
	put_file(&archive, "last", small + 1, 1);
	archive_put(&archive, &link);
	archive_put_end(&archive);
	encode_frame(CODEC_GZIP, archive.data, archive.size, &blob);
	return blob;
}

/* Calls each() for the files of layers/ that end so; returns how many there are. */
static unsigned each_file(struct image_fixture *f, const char *end,
	void (*each)(int dir_fd, const char *name, void *arg), void *arg)
{
	char path[1024];
	struct dirent *entry;
	unsigned n = 0;
	DIR *directory;

	(void)snprintf(path, sizeof(path), "%s/layers", f->store_dir);
	directory = opendir(path);
	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		size_t size = strlen(entry->d_name);

		if (entry->d_name[0] == '.' || size < strlen(end) ||
			strcmp(entry->d_name + size - strlen(end), end) != 0)
			continue;
		if (each)
			each(dirfd(directory), entry->d_name, arg);
		n++;
	}
	(void)closedir(directory);
	return n;
}

static void remove_file(int dir_fd, const char *name, void *arg)
{
	(void)arg;
	assert_int_equal(unlinkat(dir_fd, name, 0), 0);
}

static void take_file(int dir_fd, const char *name, void *arg)
{
	struct error err;

	if (file_read(dir_fd, name, SPAN_INDEX_FILE_MAX_SIZE, arg, &err) < 0)
		fail_msg("%s", err.message);
}

static struct digest push_image(struct image_fixture *f, const char *repository)
{
	CLEANUP(buffer_free) struct buffer blob = make_blob();
	const struct layer_text layer = {.bytes = &blob, .media_type = GZIP};

	return image_push(f, repository, "v1", &layer, 1);
}

/* What a pass over the layer leaves, and a store that has never seen it. */
static struct buffer make_index(struct image_fixture *f)
{
	struct buffer index = {0};

	(void)push_image(f, "maker");
	(void)image_must_open(f, "maker:v1", &alone);
	assert_int_equal(each_file(f, ".spans", take_file, &index), 1);
	image_close_context(f);
	(void)snprintf(f->store_dir + strlen(f->store_dir), 8, "-used");
	image_open_context(f);
	return index;
}

static void push_index(struct image_fixture *f, const char *repository, const struct digest *image,
	const struct buffer *index)
{
	CLEANUP(buffer_free) struct buffer blob = make_blob();
	CLEANUP(buffer_free) struct buffer text = {0};
	CLEANUP(buffer_free) struct buffer list = {0};
	struct digest layer, file, artifact;
	char digests[3][DIGEST_TEXT_SIZE], tag[REFERRERS_TAG_SIZE];

	image_push_blob(f, repository, index);
	image_push_blob(
		f, repository, &(struct buffer){.data = (uint8_t *)(uintptr_t) "{}", .size = 2});
	assert_int_equal(digest_compute(DIGEST_SHA256, blob.data, blob.size, &layer, NULL), 0);
	assert_int_equal(digest_compute(DIGEST_SHA256, index->data, index->size, &file, NULL), 0);
	assert_int_equal(digest_compute(DIGEST_SHA256, "{}", 2, &artifact, NULL), 0);
	assert_int_equal(
		buffer_printf(&text,
			"{\"schemaVersion\": 2, \"mediaType\": \"" MANIFEST "\","
			" \"artifactType\": \"" SPAN_INDEX_ARTIFACT_TYPE "\","
			" \"config\": {\"mediaType\": \"application/vnd.oci.empty.v1+json\","
			" \"digest\": \"%s\", \"size\": 2},"
			" \"subject\": {\"mediaType\": \"" MANIFEST "\","
			" \"digest\": \"%s\", \"size\": 1000},"
			" \"layers\": [{\"mediaType\": \"" SPAN_INDEX_MEDIA_TYPE "\","
			" \"digest\": \"%s\", \"size\": %zu, \"annotations\":"
			" {\"" SPAN_INDEX_LAYER_ANNOTATION "\": \"%s\"}}]}",
			digest_format(&artifact, digests[0]), digest_format(image, digests[1]),
			digest_format(&file, digests[2]), index->size,
			digest_format(&layer, (char[DIGEST_TEXT_SIZE]){0})),
		0);
	artifact = image_push_document(f, repository, "index", MANIFEST, (const char *)text.data);
	assert_int_equal(buffer_printf(&list,
				 "{\"schemaVersion\": 2, \"mediaType\": \"" INDEX "\","
				 " \"manifests\": [{\"mediaType\": \"" MANIFEST "\","
				 " \"artifactType\": \"" SPAN_INDEX_ARTIFACT_TYPE "\","
				 " \"digest\": \"%s\", \"size\": %zu}]}",
				 digest_format(&artifact, digests[0]), text.size),
		0);
	(void)image_push_document(
		f, repository, referrers_tag(image, tag), INDEX, (const char *)list.data);
}

static void change_mode(struct span_index *index)
{
	index->toc->entries[0].mode = 04755;
}

static void change_blob(struct span_index *index)
{
	index->blob.bytes[3] ^= 1;
}

static void change_blob_size(struct span_index *index)
{
	index->blob_size += 1;
}

static void change_diff_id(struct span_index *index)
{
	index->diff_id.bytes[3] ^= 1;
}

static void change_span(struct span_index *index)
{
	index->spans[index->n_spans - 1].digest[3] ^= 1;
}

static void change_link(struct span_index *index)
{
	index->toc->entries[index->toc->n_entries - 1].link_name = "etc/nothing";
}

/* The same index, but for one thing that is not so. */
static struct buffer lie(const struct buffer *index, void (*change)(struct span_index *index))
{
	CLEANUP(span_index_freep) struct span_index *parsed = NULL;
	struct buffer out = {0};
	struct error err = {0};

	if (span_index_parse(index->data, index->size, &parsed, &err) < 0)
		fail_msg("%s", err.message);
	change(parsed);
	if (span_index_write(parsed, &out, NULL, &err) < 0)
		fail_msg("%s", err.message);
	return out;
}

static struct layer *layer_of(const struct image *image)
{
	return image->tree->layers[0];
}

static void check_file(const struct image *image, const char *path, const void *data, size_t size)
{
	CLEANUP(buffer_free) struct buffer read = {0};

	image_read_file(image->tree, path, &read);
	assert_int_equal(read.size, size);
	assert_memory_equal(read.data, data, size);
}

static void check_files(const struct image *image)
{
	check_file(image, "etc/small", small, sizeof(small));
	check_file(image, "large", large, sizeof(large));
	check_file(image, "last", small + 1, 1);
}

static void wait_for_trust(const struct image *image, enum layer_trust trust)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	uint64_t patience_ns = clock_now_ns() + 60 * NS_PER_SECOND;

	while (layer_trust(layer_of(image)) != trust && clock_now_ns() < patience_ns)
		(void)nanosleep(&pause, NULL);
	assert_int_equal(layer_trust(layer_of(image)), trust);
}

static void a_claimed_index_is_used_before_the_layer_is_read(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer index = make_index(f);
	struct digest digest = push_image(f, "app");
	struct layer_trust_state trust;
	struct image image;

	push_index(f, "app", &digest, &index);
	image = image_must_open(f, "app:v1", &lazy);
	layer_trust_state(layer_of(&image), &trust);
	assert_int_equal(trust.trust, LAYER_REPOSITORY_TRUSTED);
	assert_int_equal(trust.by, LAYER_CLAIMED_BY_VARVE);
	check_file(&image, "etc/small", small, sizeof(small));
	assert_false(layer_store_is_complete(layer_store_of(layer_of(&image))));

	/* From then on nobody has to be asked for it. */
	image_registry_away(f);
	image_restart(f);
	image = image_must_open(f, "app:v1", &offline);
	assert_int_equal(layer_trust(layer_of(&image)), LAYER_REPOSITORY_TRUSTED);
	check_file(&image, "etc/small", small, sizeof(small));
}

static void a_claim_of_one_repository_says_nothing_in_another(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer index = make_index(f);
	struct digest digest = push_image(f, "app");
	struct image image;

	(void)push_image(f, "other");
	push_index(f, "app", &digest, &index);
	(void)image_must_open(f, "app:v1", &lazy);
	image_restart(f);
	image = image_must_open(f, "other:v1", &lazy);
	assert_int_equal(layer_trust(layer_of(&image)), LAYER_AUTHENTIC);
}

static void a_true_claim_is_authentic_when_the_layer_was_read(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer index = make_index(f);
	struct digest digest = push_image(f, "app");
	struct image image;

	push_index(f, "app", &digest, &index);
	image = image_must_open(f, "app:v1", &completing);
	check_file(&image, "etc/small", small, sizeof(small));
	wait_for_trust(&image, LAYER_AUTHENTIC);
	assert_true(layer_store_is_complete(layer_store_of(layer_of(&image))));
	check_files(&image);

	image_registry_away(f);
	image_restart(f);
	image = image_must_open(f, "app:v1", &offline);
	assert_int_equal(layer_trust(layer_of(&image)), LAYER_AUTHENTIC);
	assert_true(layer_store_is_complete(layer_store_of(layer_of(&image))));
	check_files(&image);
}

static void a_claim_is_checked_when_reads_have_completed_the_layer(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer index = make_index(f);
	struct digest digest = push_image(f, "app");
	struct image image;

	push_index(f, "app", &digest, &index);
	image = image_must_open(f, "app:v1", &lazy);
	check_files(&image);
	wait_for_trust(&image, LAYER_AUTHENTIC);
}

struct failed_read {
	struct layer_read read;
	enum error_kind kind;
	char message[480];
};

static void on_failed(struct layer_read *read, struct stored_range *range, const struct error *err)
{
	struct failed_read *failed = container_of(read, struct failed_read, read);

	assert_null(range);
	failed->kind = err->kind;
	(void)snprintf(failed->message, sizeof(failed->message), "%s", err->message);
}

static void on_contradicted(void *arg, struct layer *layer)
{
	assert_int_equal(layer_trust(layer), LAYER_CONTRADICTED);
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void check_that_a_lie_is_found_out(
	struct image_fixture *f, const struct buffer *index, const char *text)
{
	struct digest digest = push_image(f, "app");
	struct failed_read failed = {.read = {.size = 1000, .done = on_failed}};
	struct layer_failure failures[LAYER_MAX_FAILURES];
	struct layer_trust_state trust;
	struct image image;
	atomic_int heard = 0;

	push_index(f, "app", &digest, index);
	image = image_must_open(f, "app:v1", &completing);
	check_file(&image, "etc/small", small, sizeof(small));
	layer_on_contradicted(layer_of(&image), on_contradicted, &heard);
	wait_for_trust(&image, LAYER_CONTRADICTED);
	failed.read.layer = layer_of(&image);
	layer_read_start(&failed.read);
	assert_int_equal(failed.kind, ERROR_FORMAT);
	assert_non_null(strstr(failed.message, text));
	layer_trust_state(layer_of(&image), &trust);
	assert_non_null(strstr(trust.contradiction, text));
	assert_true(layer_failures(layer_of(&image), failures, LAYER_MAX_FAILURES) > 0);

	/* Waits until the verdict is through. */
	while (atomic_load(&heard) == 0) {
		layer_on_contradicted(layer_of(&image), NULL, NULL);
		if (atomic_load(&heard) == 0)
			layer_on_contradicted(layer_of(&image), on_contradicted, &heard);
	}
	assert_int_equal(each_file(f, "", NULL, NULL), 0);

	image_restart(f);
	image = image_must_open(f, "app:v1", &lazy);
	assert_int_equal(layer_trust(layer_of(&image)), LAYER_AUTHENTIC);
	check_files(&image);
}

static void a_lie_about_a_file_is_found_out(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer index = make_index(f);
	CLEANUP(buffer_free) struct buffer wrong = lie(&index, change_mode);

	check_that_a_lie_is_found_out(f, &wrong, "etc/small");
}

static void a_lie_about_what_a_span_decodes_to_is_found_out(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer index = make_index(f);
	CLEANUP(buffer_free) struct buffer wrong = lie(&index, change_span);

	check_that_a_lie_is_found_out(f, &wrong, "decode to");
}

static void an_index_that_cannot_be_of_the_layer_is_not_used(void **state)
{
	static void (*const changes[])(struct span_index * index) = {
		change_blob, change_blob_size, change_diff_id};
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer index = make_index(f);

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		CLEANUP(buffer_free) struct buffer wrong = lie(&index, changes[i]);
		struct digest digest = push_image(f, "app");
		struct image image;

		push_index(f, "app", &digest, &wrong);
		image = image_must_open(f, "app:v1", &lazy);
		assert_int_equal(layer_trust(layer_of(&image)), LAYER_AUTHENTIC);
		image_close_context(f);
		(void)each_file(f, "", remove_file, NULL);
		image_open_context(f);
	}
}

static void a_lie_that_makes_no_image_costs_a_pass(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer index = make_index(f);
	CLEANUP(buffer_free) struct buffer wrong = lie(&index, change_link);
	struct digest digest = push_image(f, "app");
	struct image image;

	push_index(f, "app", &digest, &wrong);
	image = image_must_open(f, "app:v1", &lazy);
	assert_int_equal(layer_trust(layer_of(&image)), LAYER_AUTHENTIC);
	check_files(&image);
	check_file(&image, "link", small, sizeof(small));

	/* What the pass has found is what counts from then on. */
	image_registry_away(f);
	image_restart(f);
	image = image_must_open(f, "app:v1", &offline);
	assert_int_equal(layer_trust(layer_of(&image)), LAYER_AUTHENTIC);
	check_files(&image);
}

static void an_answer_that_makes_no_sense_costs_a_pass(void **state)
{
	struct image_fixture *f = *state;
	struct digest digest = push_image(f, "app");
	char tag[REFERRERS_TAG_SIZE];
	struct image image;

	(void)image_push_document(
		f, "app", referrers_tag(&digest, tag), INDEX, "{\"manifests\": 7}");
	image = image_must_open(f, "app:v1", &lazy);
	assert_int_equal(layer_trust(layer_of(&image)), LAYER_AUTHENTIC);
	check_files(&image);
}

static void a_mount_that_ends_does_not_wait_for_the_check(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer index = make_index(f);
	struct digest digest = push_image(f, "app");

	push_index(f, "app", &digest, &index);
	for (int i = 0; i < 5; i++) {
		const struct timespec pause = {.tv_nsec = 150000000L * i};
		struct image image = image_must_open(f, "app:v1", &completing);

		assert_int_not_equal(layer_trust(layer_of(&image)), LAYER_CONTRADICTED);
		(void)nanosleep(&pause, NULL);
		image_restart(f);
	}
}

#define CLAIM_TEST(test) cmocka_unit_test_setup_teardown(test, image_setup, image_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAIM_TEST(a_claimed_index_is_used_before_the_layer_is_read),
		CLAIM_TEST(a_claim_of_one_repository_says_nothing_in_another),
		CLAIM_TEST(a_true_claim_is_authentic_when_the_layer_was_read),
		CLAIM_TEST(a_claim_is_checked_when_reads_have_completed_the_layer),
		CLAIM_TEST(a_lie_about_a_file_is_found_out),
		CLAIM_TEST(a_lie_about_what_a_span_decodes_to_is_found_out),
		CLAIM_TEST(an_index_that_cannot_be_of_the_layer_is_not_used),
		CLAIM_TEST(a_lie_that_makes_no_image_costs_a_pass),
		CLAIM_TEST(an_answer_that_makes_no_sense_costs_a_pass),
		CLAIM_TEST(a_mount_that_ends_does_not_wait_for_the_check),
	};
	return cmocka_run_group_tests_name("layer/image_claims", tests, NULL, NULL);
}
