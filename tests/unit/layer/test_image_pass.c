/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that nobody has indexed: one pass over their blob, and what it leaves. */
#include "image_fixture.h"

#include "support/encode.h"
#include "support/tar_archive.h"
#include "support/test.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define DOCKER_GZIP "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
#define ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define TAR "application/vnd.oci.image.layer.v1.tar"

static const struct image_options strict = {.pull = PULL_MISSING};
static const struct image_options offline = {.pull = PULL_NEVER};

/* Files of an archive: text, noise over several spans, one that is replaced. */
enum { LARGE_SIZE = (11 << 20) + 12345, SMALL_SIZE = 70001 };

static uint8_t large[LARGE_SIZE];
static uint8_t small[SMALL_SIZE];

static void put_file(struct buffer *archive, const char *name, const void *data, size_t size)
{
	const struct tar_member member = {
		.type = '0', .name = name, .mode = 0644, .size = size, .mtime = 1};

	archive_put(archive, &member);
	archive_put_payload(archive, data, size);
}

static struct buffer make_archive(void)
{
	struct buffer archive = {0};

	fill_mixture(large, sizeof(large), 1);
	fill_text(small, sizeof(small), 2);
	put_file(&archive, "replaced", large, 20000);
	put_file(&archive, "etc/small", small, sizeof(small));
	put_file(&archive, "large", large, sizeof(large));
	put_file(&archive, "replaced", small, 999);
	put_file(&archive, "empty", "", 0);
	put_file(&archive, "last", small + 1, 1);
	archive_put_end(&archive);
	return archive;
}

static struct buffer encode(enum codec codec, const struct buffer *archive, size_t piece)
{
	struct buffer blob = {0};

	for (size_t off = 0; off < archive->size; off += piece) {
		size_t left = archive->size - off;

		if (codec == CODEC_NONE)
			assert_int_equal(buffer_append(&blob, archive->data, archive->size), 0);
		else
			encode_frame(
				codec, archive->data + off, left < piece ? left : piece, &blob);
	}
	return blob;
}

static void push(struct image_fixture *f, const char *tag, const struct layer_text *layer)
{
	(void)image_push(f, "app", tag, layer, 1);
}

static void check_file(const struct image *image, const char *path, const void *data, size_t size)
{
	CLEANUP(buffer_free) struct buffer read = {0};

	image_read_file(image->tree, path, &read);
	assert_int_equal(read.size, size);
	if (size > 0)
		assert_memory_equal(read.data, data, size);
}

static void check_files(const struct image *image)
{
	check_file(image, "etc/small", small, sizeof(small));
	check_file(image, "large", large, sizeof(large));
	check_file(image, "replaced", small, 999);
	check_file(image, "last", small + 1, 1);
}

static struct layer_store *store_of(const struct image *image)
{
	return layer_store_of(image->tree->layers[0]);
}

static void forget_all(const struct image *image)
{
	struct layer_store_stats stats;
	struct error err = {0};

	layer_store_stats(store_of(image), &stats);
	for (uint64_t i = 0; i < stats.n_units; i++)
		if (store_forget(store_of(image), i, &err) < 0)
			fail_msg("%s", err.message);
}

/* How many files of the store's layers/ end so; they are removed. */
static unsigned remove_files(struct image_fixture *f, const char *end)
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
		assert_int_equal(unlinkat(dirfd(directory), entry->d_name, 0), 0);
		n++;
	}
	(void)closedir(directory);
	return n;
}

static const struct way {
	const char *name;
	enum codec codec;
	size_t piece;
	const char *media_type;
} ways[] = {
	{"gzip", CODEC_GZIP, SIZE_MAX, GZIP},
	{"members", CODEC_GZIP, 300001, DOCKER_GZIP},
	{"zstd", CODEC_ZSTD, SIZE_MAX, ZSTD},
	{"frames", CODEC_ZSTD, 1 << 20, ZSTD},
	{"large-frames", CODEC_ZSTD, 9 << 20, ZSTD},
	{"tar", CODEC_NONE, SIZE_MAX, TAR},
};

enum { N_WAYS = sizeof(ways) / sizeof(ways[0]) };

static struct image push_and_open(struct image_fixture *f, const struct way *way)
{
	CLEANUP(buffer_free) struct buffer archive = make_archive();
	CLEANUP(buffer_free) struct buffer blob = {0};
	struct layer_text layer = {.bytes = &blob, .media_type = way->media_type};
	char name[64];

	blob = encode(way->codec, &archive, way->piece < archive.size ? way->piece : archive.size);
	push(f, way->name, &layer);
	(void)snprintf(name, sizeof(name), "app:%s", way->name);
	return image_must_open(f, name, &strict);
}

static void every_plain_layer_is_complete_after_one_pass(void **state)
{
	struct image_fixture *f = *state;

	for (size_t i = 0; i < N_WAYS; i++) {
		struct image image = push_and_open(f, &ways[i]);
		unsigned n = image_n_requests(f);

		assert_false(image.unverified);
		assert_true(layer_store_is_complete(store_of(&image)));
		check_files(&image);
		assert_int_equal(image_n_requests(f), n);
	}
}

static void the_next_mount_asks_nobody(void **state)
{
	struct image_fixture *f = *state;

	for (size_t i = 0; i < N_WAYS; i++)
		(void)push_and_open(f, &ways[i]);
	image_registry_away(f);
	image_restart(f);
	for (size_t i = 0; i < N_WAYS; i++) {
		char name[64];
		struct image image;

		(void)snprintf(name, sizeof(name), "app:%s", ways[i].name);
		image = image_must_open(f, name, &offline);
		assert_true(layer_store_is_complete(store_of(&image)));
		check_files(&image);
	}
}

static void what_was_evicted_is_fetched_span_by_span(void **state)
{
	struct image_fixture *f = *state;

	for (size_t i = 0; i < N_WAYS; i++) {
		struct image image = push_and_open(f, &ways[i]);

		forget_all(&image);
		check_files(&image);
		assert_true(layer_store_is_complete(store_of(&image)));
	}
}

static void an_index_that_was_evicted_is_built_without_another_pass(void **state)
{
	struct image_fixture *f = *state;

	for (size_t i = 0; i < N_WAYS; i++) {
		char name[64];
		struct image image;

		(void)push_and_open(f, &ways[i]);
		image_close_context(f);
		assert_int_equal(remove_files(f, ".units"), 1);
		assert_int_equal(remove_files(f, ".erofs"), 1);
		assert_int_equal(remove_files(f, ".data"), 1);
		image_open_context(f);
		(void)snprintf(name, sizeof(name), "app:%s", ways[i].name);
		image = image_must_open(f, name, &offline);
		assert_false(layer_store_is_complete(store_of(&image)));
		check_files(&image);
		image_close_context(f);
		(void)remove_files(f, "");
		image_open_context(f);
	}
}

static void must_fail(struct image_fixture *f, const char *tag, const struct layer_text *layer,
	enum error_kind kind, const char *text)
{
	char name[64];

	push(f, tag, layer);
	(void)snprintf(name, sizeof(name), "app:%s", tag);
	image_must_fail(f, name, &strict, kind, text);
	/* Nothing of it stays. */
	assert_int_equal(remove_files(f, ""), 0);
}

/* Somebody who opens an image while others do. */
struct opener {
	struct image_fixture *fixture;
	const char *name;
	struct image image;
	struct error err;
	int result;
	pthread_t thread;
};

static void *run_opener(void *arg)
{
	struct opener *opener = arg;

	opener->result =
		image_try(opener->fixture, opener->name, &strict, &opener->image, &opener->err);
	return NULL;
}

static void images_that_share_a_layer_are_opened_at_the_same_time(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer archive = make_archive();
	CLEANUP(buffer_free) struct buffer blob = encode(CODEC_GZIP, &archive, SIZE_MAX);
	CLEANUP(buffer_free) struct buffer own = {0};
	CLEANUP(buffer_free) struct buffer own_blob = {0};
	struct layer_text layers[2] = {
		{.bytes = &blob, .media_type = GZIP}, {.bytes = &own_blob, .media_type = GZIP}};
	struct opener openers[3] = {
		{.name = "app:one"}, {.name = "other:two"}, {.name = "app:one"}};

	put_file(&own, "own", small, SMALL_SIZE);
	archive_put_end(&own);
	own_blob = encode(CODEC_GZIP, &own, SIZE_MAX);
	(void)image_push(f, "app", "one", layers, 1);
	(void)image_push(f, "other", "two", layers, 2);
	for (size_t i = 0; i < 3; i++) {
		openers[i].fixture = f;
		assert_int_equal(
			pthread_create(&openers[i].thread, NULL, run_opener, &openers[i]), 0);
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(openers[i].thread, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		if (openers[i].result < 0)
			fail_msg("%s: %s", openers[i].name, openers[i].err.message);
		check_files(&openers[i].image);
	}
}

struct seen {
	size_t n;
	size_t total;
	bool backwards;
};

static void on_progress(void *arg, enum image_step step, size_t n, size_t total)
{
	struct seen *seen = arg;

	if (step != IMAGE_READING)
		return;
	seen->backwards |= n < seen->n || total < seen->total || n > total;
	seen->n = n;
	seen->total = total;
}

static void progress_is_of_all_layers_that_are_read(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer archive = make_archive();
	CLEANUP(buffer_free) struct buffer gzip = encode(CODEC_GZIP, &archive, SIZE_MAX);
	CLEANUP(buffer_free) struct buffer zstd = encode(CODEC_ZSTD, &archive, SIZE_MAX);
	const struct layer_text layers[] = {{.bytes = &gzip, .media_type = GZIP},
		{.bytes = &zstd, .media_type = ZSTD}, {.bytes = &archive, .media_type = TAR}};
	struct seen seen = {0};
	const struct image_options options = {
		.pull = PULL_MISSING, .progress = on_progress, .arg = &seen};

	(void)image_push(f, "app", "three", layers, 3);
	(void)image_must_open(f, "app:three", &options);
	assert_false(seen.backwards);
	assert_int_equal(seen.total, gzip.size + zstd.size + archive.size);
	assert_int_equal(seen.n, seen.total);
}

static void a_wrong_diff_id_is_refused(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer archive = make_archive();
	CLEANUP(buffer_free) struct buffer blob = encode(CODEC_GZIP, &archive, archive.size);
	const struct layer_text layer = {.bytes = &blob,
		.diff_id =
			"sha256:1111111111111111111111111111111111111111111111111111111111111111"};

	must_fail(f, "v1", &layer, ERROR_DIGEST_MISMATCH, "diffID");
	must_fail(f, "v1", &layer, ERROR_DIGEST_MISMATCH, "sha256:1111111");
}

static void a_wrong_blob_is_called_one_whatever_else_it_is(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer archive = make_archive();
	CLEANUP(buffer_free) struct buffer blob = encode(CODEC_GZIP, &archive, archive.size);
	CLEANUP(buffer_free) struct buffer noise = encode(CODEC_GZIP, &archive, archive.size);
	const struct layer_text other = {.bytes = &blob, .claimed = "plain"};
	const struct layer_text broken = {.bytes = &noise, .claimed = "plain"};

	memset(noise.data + 5000, 0xff, 3000);
	must_fail(f, "v1", &other, ERROR_DIGEST_MISMATCH, "the blob has the digest");
	must_fail(f, "v2", &broken, ERROR_DIGEST_MISMATCH, "the blob has the digest");
}

static void a_blob_that_ends_early_is_refused(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer archive = make_archive();
	CLEANUP(buffer_free) struct buffer blob = encode(CODEC_GZIP, &archive, archive.size);
	struct layer_text layer = {.bytes = &blob};

	blob.size -= 1000;
	must_fail(f, "v1", &layer, ERROR_FORMAT, "in the middle of a gzip member");
}

static void bytes_behind_the_layer_are_refused(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer archive = make_archive();

	for (size_t i = 0; i < 2; i++) {
		CLEANUP(buffer_free)
		struct buffer blob = encode(i ? CODEC_ZSTD : CODEC_GZIP, &archive, archive.size);
		const struct layer_text layer = {.bytes = &blob, .media_type = i ? ZSTD : GZIP};

		assert_int_equal(buffer_append(&blob, "garbage", 7), 0);
		must_fail(f, i ? "v1" : "v0", &layer, ERROR_FORMAT, i ? "zstd" : "gzip member");
	}
}

static void what_is_no_archive_is_refused(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer blob = {0};
	const struct layer_text layer = {.bytes = &blob};

	fill_text(small, sizeof(small), 3);
	encode_frame(CODEC_GZIP, small, sizeof(small), &blob);
	must_fail(f, "v1", &layer, ERROR_FORMAT, "layer sha256:");
}

static void a_media_type_that_lies_is_named_with_what_the_blob_is(void **state)
{
	struct image_fixture *f = *state;
	CLEANUP(buffer_free) struct buffer archive = make_archive();

	for (size_t i = 0; i < N_WAYS; i++) {
		static const char *const contents[] = {
			[CODEC_NONE] = "tar", [CODEC_GZIP] = "gzip", [CODEC_ZSTD] = "zstd"};
		CLEANUP(buffer_free)
		struct buffer blob = encode(ways[i].codec, &archive, archive.size);
		struct layer_text layer = {
			.bytes = &blob, .media_type = ways[(i + 2) % N_WAYS].media_type};

		if (ways[(i + 2) % N_WAYS].codec == ways[i].codec)
			continue;
		must_fail(f, ways[i].name, &layer, ERROR_FORMAT, layer.media_type);
		must_fail(f, ways[i].name, &layer, ERROR_FORMAT, contents[ways[i].codec]);
	}
}

#define PASS_TEST(test) cmocka_unit_test_setup_teardown(test, image_setup, image_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PASS_TEST(every_plain_layer_is_complete_after_one_pass),
		PASS_TEST(the_next_mount_asks_nobody),
		PASS_TEST(what_was_evicted_is_fetched_span_by_span),
		PASS_TEST(an_index_that_was_evicted_is_built_without_another_pass),
		PASS_TEST(images_that_share_a_layer_are_opened_at_the_same_time),
		PASS_TEST(progress_is_of_all_layers_that_are_read),
		PASS_TEST(a_wrong_diff_id_is_refused),
		PASS_TEST(a_wrong_blob_is_called_one_whatever_else_it_is),
		PASS_TEST(a_blob_that_ends_early_is_refused),
		PASS_TEST(bytes_behind_the_layer_are_refused),
		PASS_TEST(what_is_no_archive_is_refused),
		PASS_TEST(a_media_type_that_lies_is_named_with_what_the_blob_is),
	};
	return cmocka_run_group_tests_name("layer/image_pass", tests, NULL, NULL);
}
