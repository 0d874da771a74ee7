/* SPDX-License-Identifier: Apache-2.0 */
/* Real blobs, read as the layer code reads them; tests/golden/zstd_chunked/generate.py says what
 * they are. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "format/zstd_chunked.h"
#include "golden.h"

enum { MAX_ANNOTATIONS = 8 };

/* A layer whose descriptor has the annotations of a golden blob. */
struct layer {
	struct buffer text; /* owned; the annotations are in it */
	struct annotation annotations[MAX_ANNOTATIONS];
	struct descriptor descriptor;
};

static void layer_read(const char *name, uint64_t size, struct layer *layer)
{
	char *save = NULL;

	*layer = (struct layer){.text = golden_read(name, "annotations")};
	for (char *line = strtok_r((char *)layer->text.data, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		struct annotation *annotation =
			&layer->annotations[layer->descriptor.n_annotations++];

		assert_true(layer->descriptor.n_annotations <= MAX_ANNOTATIONS);
		annotation->key = line;
		annotation->value = strchr(line, ' ');
		assert_non_null(annotation->value);
		*annotation->value++ = '\0';
	}
	layer->descriptor.annotations = layer->annotations;
	layer->descriptor.size = size;
}

static int parse_blob(
	const char *name, const struct buffer *blob, struct toc **toc, struct error *err)
{
	struct zstd_chunked_options options = {0};
	struct zstd_chunked_promise promise;
	bool found = true;
	struct layer layer;
	int result;

	layer_read(name, blob->size, &layer);
	result = zstd_chunked_promise_parse(&layer.descriptor, &promise, err);
	buffer_free(&layer.text);
	if (result < 0)
		return -1;
	options.position = promise.position;
	options.manifest_digest = promise.has_manifest_digest ? &promise.manifest_digest : NULL;
	options.toc_digest = promise.has_toc_digest ? &promise.toc_digest : NULL;
	if (!promise.has_position && zstd_chunked_footer_parse(blob->data, blob->size, blob->size,
					     &found, &options.position, err) < 0)
		return -1;
	assert_true(found);
	return zstd_chunked_parse(blob->data + options.position.off, &options, toc, err);
}

static void check_good(const char *name)
{
	golden_check_good(name, parse_blob);
}

static void check_bad(const char *name)
{
	golden_check_bad(name, parse_blob);
}

static void every_golden_blob_reads_as_recorded_and_every_chunk_verifies(void **state)
{
	(void)state;
	golden_each(false, check_good);
}

static void every_blob_that_should_fail_does_so_with_its_reason(void **state)
{
	(void)state;
	golden_each(true, check_bad);
}

/* The footer says the same as the annotation, in blobs of every writer. */
static void check_footer(const char *name)
{
	struct buffer blob = golden_read(name, "blob");
	struct zstd_chunked_position position;
	struct zstd_chunked_promise promise;
	struct error err = {0};
	struct layer layer;
	bool found;

	layer_read(name, blob.size, &layer);
	assert_int_equal(zstd_chunked_promise_parse(&layer.descriptor, &promise, &err), 0);
	assert_int_equal(
		zstd_chunked_footer_parse(blob.data, blob.size, blob.size, &found, &position, &err),
		0);
	assert_true(found);
	/* stargz' names have none for it. */
	if (promise.has_position && promise.position.tar_split_size == 0)
		position.tar_split_off = position.tar_split_size = 0;
	if (promise.has_position)
		assert_memory_equal(&position, &promise.position, sizeof(position));
	buffer_free(&layer.text);
	buffer_free(&blob);
}

static void footer_and_annotation_agree(void **state)
{
	(void)state;
	golden_each(false, check_footer);
}

static void a_wrong_digest_is_a_digest_mismatch(void **state)
{
	(void)state;
	static const char *const names[] = {"should-fail-other-digest", "should-fail-other-json",
		"should-fail-other-tar-split", "should-fail-other-tar-split-footer"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buffer blob = golden_read(names[i], "blob");
		struct toc *toc = NULL;
		struct error err = {0};

		assert_int_equal(parse_blob(names[i], &blob, &toc, &err), -1);
		assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
		buffer_free(&blob);
	}
}

static void without_any_digest_permission_is_needed(void **state)
{
	(void)state;
	struct buffer blob = golden_read("containers", "blob");
	struct zstd_chunked_options options = {0};
	struct toc *toc = NULL;
	struct error err = {0};
	bool found;

	assert_int_equal(zstd_chunked_footer_parse(
				 blob.data, blob.size, blob.size, &found, &options.position, &err),
		0);
	assert_int_equal(
		zstd_chunked_parse(blob.data + options.position.off, &options, &toc, &err), -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.message, ZSTD_CHUNKED_CHECKSUM_ANNOTATION));
	options.allow_unverified = true;
	if (zstd_chunked_parse(blob.data + options.position.off, &options, &toc, &err) < 0)
		fail_msg("%s", err.message);
	golden_check_toc("containers", &blob, toc);
	toc_free(toc);
	buffer_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_golden_blob_reads_as_recorded_and_every_chunk_verifies),
		cmocka_unit_test(every_blob_that_should_fail_does_so_with_its_reason),
		cmocka_unit_test(footer_and_annotation_agree),
		cmocka_unit_test(a_wrong_digest_is_a_digest_mismatch),
		cmocka_unit_test(without_any_digest_permission_is_needed),
	};
	return cmocka_run_group_tests_name("format/zstd_chunked_golden", tests, NULL, NULL);
}
