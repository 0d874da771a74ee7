/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_internal.h"

#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "chunk/codec.h"
#include "format/ztoc.h"

static const char *const names[] = {"gzip", "gzip-members", "gzip-one-span", "gzip-padded",
	"gzip-first-point-left-out", "plain", "empty", "gnu", "xattrs"};

enum { N_NAMES = sizeof(names) / sizeof(names[0]) };

/* A layer, what somebody else says of it, and what it decodes to. */
struct sample {
	struct buffer blob;
	struct buffer archive;
	struct span_index *index;
};

static struct buffer read_golden(const char *name, const char *suffix)
{
	struct buffer contents = {0};
	struct error err = {0};
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/ztoc/%s.%s", getenv("VARVE_GOLDEN"), name, suffix);
	if (file_read(AT_FDCWD, path, 16 << 20, &contents, &err) < 0)
		fail_msg("%s", err.message);
	return contents;
}

static struct sample sample_of(const char *name)
{
	struct sample sample = {.blob = read_golden(name, "blob")};
	CLEANUP(buffer_free) struct buffer ztoc = read_golden(name, "ztoc");
	struct ztoc_options options = {.blob_size = sample.blob.size};
	struct error err = {0};
	struct digest blob;
	int result;

	assert_int_equal(
		digest_compute(DIGEST_SHA256, sample.blob.data, sample.blob.size, &blob, NULL), 0);
	options.blob = &blob;
	if (ztoc_parse(ztoc.data, ztoc.size, &options, &sample.index, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	if (sample.index->codec == CODEC_NONE)
		result = buffer_append(&sample.archive, sample.blob.data, sample.blob.size);
	else
		result = codec_decode_all(CODEC_GZIP, sample.blob.data, sample.blob.size, 64 << 20,
			&sample.archive, &err);
	assert_int_equal(result, 0);
	return sample;
}

static void sample_clear(struct sample *sample)
{
	buffer_free(&sample->blob);
	buffer_free(&sample->archive);
	span_index_free(sample->index);
}

/* In pieces, as a pass has them. */
static int check(const struct sample *sample, struct error *err)
{
	CLEANUP(pass_claim_freep) struct pass_claim *claim = NULL;

	if (pass_claim_new(sample->index, &claim, err) < 0)
		return -1;
	for (size_t off = 0; off < sample->blob.size; off += 1009) {
		size_t left = sample->blob.size - off;

		assert_int_equal(pass_claim_feed_blob(claim, sample->blob.data + off,
					 left < 1009 ? left : 1009, err),
			0);
	}
	for (size_t off = 0; off < sample->archive.size; off += 7919) {
		size_t left = sample->archive.size - off;

		assert_int_equal(pass_claim_feed(claim, sample->archive.data + off,
					 left < 7919 ? left : 7919, err),
			0);
	}
	return pass_claim_end(claim, err);
}

static void must_be_false(const struct sample *sample, const char *text)
{
	struct error err = {0};

	assert_int_equal(check(sample, &err), -1);
	assert_int_equal(err.kind, ERROR_FORMAT);
	if (!strstr(err.message, text))
		fail_msg("no \"%s\" in: %s", text, err.message);
}

static void what_others_say_of_their_layers_is_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_NAMES; i++) {
		CLEANUP(sample_clear) struct sample sample = sample_of(names[i]);
		struct error err = {0};

		if (check(&sample, &err) < 0)
			fail_msg("%s: %s", names[i], err.message);
	}
}

/* The digest of the encoded bytes says nothing about the window. */
static void a_window_of_other_bytes_is_found_out(void **state)
{
	CLEANUP(sample_clear) struct sample sample = sample_of("gzip");
	CLEANUP(buffer_free) struct buffer packed = {0};
	struct span_index *index = sample.index;
	uint8_t window[SPAN_WINDOW_SIZE];
	struct error err = {0};
	size_t i = 0;

	(void)state;
	while (i < index->n_spans && index->spans[i].window_size == 0)
		i++;
	assert_true(i < index->n_spans);
	assert_int_equal(span_window_unpack(
				 index->spans[i].window, index->spans[i].window_size, window, &err),
		0);
	for (size_t j = 0; j < sizeof(window); j++)
		window[j] ^= 1;
	assert_int_equal(span_window_pack(window, sizeof(window), &packed, &err), 0);
	index->spans[i].window = packed.data;
	index->spans[i].window_size = packed.size;
	must_be_false(&sample, "decode to has the digest");
}

static void a_span_of_other_bytes_is_found_out(void **state)
{
	CLEANUP(sample_clear) struct sample sample = sample_of("gzip");

	(void)state;
	sample.index->spans[1].digest[5] ^= 1;
	must_be_false(&sample, "are no span as the index says");
}

static void bytes_that_the_archive_does_not_have_are_found_out(void **state)
{
	CLEANUP(sample_clear) struct sample sample = sample_of("gzip");

	(void)state;
	sample.archive.size /= 2;
	must_be_false(&sample, "ends before span");
}

static void an_archive_of_other_bytes_is_found_out(void **state)
{
	CLEANUP(sample_clear) struct sample sample = sample_of("plain");

	(void)state;
	sample.archive.data[700] ^= 1;
	must_be_false(&sample, "decode to has the digest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_others_say_of_their_layers_is_so),
		cmocka_unit_test(a_window_of_other_bytes_is_found_out),
		cmocka_unit_test(a_span_of_other_bytes_is_found_out),
		cmocka_unit_test(bytes_that_the_archive_does_not_have_are_found_out),
		cmocka_unit_test(an_archive_of_other_bytes_is_found_out),
	};
	return cmocka_run_group_tests_name("layer/pass_claim", tests, NULL, NULL);
}
