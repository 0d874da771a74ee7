/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk/verify.h"

#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/encode.h"
#include "support/span_list.h"

enum { SIZE = 300000, SPAN = 100000, ZEROS = 285000 };

/* A gzip blob whose second span begins inside the member. */
struct sample {
	uint8_t plain[SIZE];
	struct buffer blob;
	struct span_list list;
	struct unit_span span;
	const uint8_t *encoded;
	const uint8_t *decoded;
};

static int setup(void **state)
{
	const struct gzip_style style = {.level = 6};
	struct sample *sample = calloc(1, sizeof(*sample));

	assert_non_null(sample);
	fill_text(sample->plain, SIZE, 3);
	memset(sample->plain + ZEROS, 0, 5000);
	encode_gzip_member(&style, sample->plain, SIZE, &sample->blob);
	assert_int_equal(span_list_index(&sample->list, sample->blob.data, sample->blob.size, SPAN,
				 sample->blob.size, NULL),
		0);
	assert_in_range(sample->list.n_spans, 2, 3);
	sample->span = sample->list.spans[1].span;
	assert_true(sample->span.in_member);
	sample->encoded = sample->blob.data + sample->span.blob_off;
	sample->decoded = sample->plain + sample->list.spans[1].out_off;
	*state = sample;
	return 0;
}

static int teardown(void **state)
{
	struct sample *sample = *state;

	span_list_free(&sample->list);
	buffer_free(&sample->blob);
	free(sample);
	return 0;
}

static void sha256(const void *data, size_t size, uint8_t out[32])
{
	struct digest digest;

	assert_int_equal(digest_compute(DIGEST_SHA256, data, size, &digest, NULL), 0);
	memcpy(out, digest.bytes, 32);
}

static void vouch(struct sample *sample, enum span_digest kind)
{
	sample->span.digest_kind = kind;
	if (kind == SPAN_DIGEST_DECODED)
		sha256(sample->decoded, sample->span.decoded_size, sample->span.digest);
	else if (kind == SPAN_DIGEST_ENCODED)
		sha256(sample->encoded, sample->span.blob_size, sample->span.digest);
}

static struct unit unit_at(const struct sample *sample, uint64_t off, uint64_t size)
{
	return (struct unit){
		.size = size,
		.blob_off = sample->span.blob_off,
		.blob_size = sample->span.blob_size,
		.inner_off = off,
		.codec = CODEC_GZIP,
		.flags = UNIT_IN_SPAN,
	};
}

static struct span_bytes *decode(const struct sample *sample, uint64_t skip, size_t size)
{
	struct span_bytes *bytes = NULL;
	struct error err = {0};

	if (span_bytes_decode(&sample->span, sample->encoded, sample->span.blob_size, skip, size,
		    &bytes, &err) < 0)
		fail_msg("%s", err.message);
	return bytes;
}

static void expect_chunk(
	const struct sample *sample, const struct span_bytes *bytes, uint64_t off, uint64_t size)
{
	struct unit unit = unit_at(sample, off, size);
	struct verified_chunk *chunk;
	struct error err = {0};
	uint8_t digest[32];

	if (chunk_verify_span(&unit, bytes, &chunk, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(chunk_size(chunk), size);
	assert_memory_equal(chunk_data(chunk), sample->decoded + off, size);
	sha256(sample->decoded + off, size, digest);
	assert_non_null(chunk_digest(chunk));
	assert_memory_equal(chunk_digest(chunk), digest, 32);
	chunk_unref(chunk);
}

static void units_of_a_span_of_the_right_digest_become_chunks_that_know_theirs(void **state)
{
	static const enum span_digest kinds[] = {SPAN_DIGEST_DECODED, SPAN_DIGEST_ENCODED};
	struct sample *sample = *state;

	for (int i = 0; i < 2; i++) {
		CLEANUP(span_bytes_freep) struct span_bytes *bytes = NULL;

		vouch(sample, kinds[i]);
		bytes = decode(sample, 0, sample->span.decoded_size);
		expect_chunk(sample, bytes, 0, 1);
		expect_chunk(sample, bytes, 1234, 10000);
		expect_chunk(sample, bytes, sample->span.decoded_size - 1, 1);
		expect_chunk(sample, bytes, 0, sample->span.decoded_size);
	}
}

static void a_part_is_decoded_where_that_is_enough(void **state)
{
	CLEANUP(span_bytes_freep) struct span_bytes *bytes = NULL;
	struct sample *sample = *state;
	struct verified_chunk *chunk = NULL;
	struct error err = {0};
	struct unit unit;

	vouch(sample, SPAN_DIGEST_ENCODED);
	bytes = decode(sample, 1000, 2000);
	expect_chunk(sample, bytes, 1000, 2000);
	for (uint64_t off = 999; off <= 1001; off += 2) {
		unit = unit_at(sample, off, 2000);
		assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, &err), -1);
		assert_int_equal(err.kind, ERROR_INTERNAL);
	}
	assert_null(chunk);
}

static void a_chunk_outlives_its_span(void **state)
{
	struct sample *sample = *state;
	struct verified_chunk *chunk;
	struct span_bytes *bytes;
	struct unit unit = unit_at(sample, 10, 20);

	vouch(sample, SPAN_DIGEST_DECODED);
	bytes = decode(sample, 10, 20);
	assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, NULL), 0);
	span_bytes_free(bytes);
	assert_memory_equal(chunk_data(chunk), sample->decoded + 10, 20);
	chunk_unref(chunk);
}

static void expect_mismatch(const struct sample *sample, const char *what)
{
	struct span_bytes *bytes = NULL;
	struct error err = {0};
	char name[64];

	assert_int_equal(span_bytes_decode(&sample->span, sample->encoded, sample->span.blob_size,
				 0, 1, &bytes, &err),
		-1);
	assert_null(bytes);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	(void)snprintf(name, sizeof(name),
		"span at byte %llu of the blob: ", (unsigned long long)sample->span.blob_off);
	assert_ptr_equal(strstr(err.message, name), err.message);
	if (!strstr(err.message, what))
		fail_msg("%s", err.message);
}

static void a_wrong_digest_is_refused_with_the_span_named(void **state)
{
	struct sample *sample = *state;

	vouch(sample, SPAN_DIGEST_DECODED);
	sample->span.digest[31] ^= 1;
	expect_mismatch(sample, "decoded bytes have digest sha256:");
	vouch(sample, SPAN_DIGEST_ENCODED);
	sample->span.digest[0] ^= 1;
	expect_mismatch(sample, "encoded bytes have digest sha256:");
}

static void wrong_encoded_bytes_are_found_before_they_are_decoded(void **state)
{
	struct sample *sample = *state;

	/* Decoding would fail otherwise. */
	vouch(sample, SPAN_DIGEST_ENCODED);
	memset(sample->blob.data + sample->span.blob_off, 0xff, 1000);
	expect_mismatch(sample, "encoded bytes have digest sha256:");
}

static void without_a_digest_of_the_span_each_unit_needs_its_own(void **state)
{
	CLEANUP(span_bytes_freep) struct span_bytes *bytes = NULL;
	struct sample *sample = *state;
	struct verified_chunk *chunk = NULL;
	struct unit unit = unit_at(sample, 700, 800);
	struct error err = {0};

	bytes = decode(sample, 0, 5000);
	assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	assert_non_null(strstr(err.message, "vouches for no chunk"));

	unit.flags = 0;
	assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	sha256(sample->decoded + 700, 800, unit.digest);
	assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, &err), 0);
	assert_memory_equal(chunk_data(chunk), sample->decoded + 700, 800);
	assert_memory_equal(chunk_digest(chunk), unit.digest, 32);
	chunk_unref(chunk);
}

/* A digest that vouches for the span says nothing of units with a digest of their own. */
static void a_units_own_digest_is_checked_in_any_span(void **state)
{
	CLEANUP(span_bytes_freep) struct span_bytes *bytes = NULL;
	struct sample *sample = *state;
	struct verified_chunk *chunk = NULL;
	struct unit unit = unit_at(sample, 700, 800);
	struct error err = {0};

	vouch(sample, SPAN_DIGEST_DECODED);
	bytes = decode(sample, 0, 5000);
	unit.flags = 0;
	assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
}

static void a_unit_of_another_span_is_not_vouched_for(void **state)
{
	CLEANUP(span_bytes_freep) struct span_bytes *bytes = NULL;
	struct sample *sample = *state;
	struct verified_chunk *chunk = NULL;
	struct unit unit = unit_at(sample, 700, 800);
	struct error err = {0};

	vouch(sample, SPAN_DIGEST_DECODED);
	bytes = decode(sample, 0, 5000);
	unit.blob_off++;
	assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	assert_null(chunk);
}

static void a_unit_without_a_digest_never_passes_alone(void **state)
{
	struct sample *sample = *state;
	struct verified_chunk *chunk = NULL;
	struct unit unit = unit_at(sample, 0, 1);
	struct decoded *decoded;
	struct error err = {0};
	int fd = memfd_create("unit", MFD_CLOEXEC);

	assert_int_equal(decoded_new(1, &decoded, NULL), 0);
	decoded_data(decoded)[0] = 0;
	assert_int_equal(write(fd, "", 1), 1);
	assert_int_equal(chunk_verify(&unit, decoded, 0, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	assert_int_equal(chunk_verify_file(&unit, fd, 0, &chunk, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	assert_int_equal(chunk_zeros(&unit, &chunk, &err), -1);
	assert_null(chunk);
	decoded_unref(decoded);
	close(fd);
}

static void a_span_in_a_file_is_verified_likewise(void **state)
{
	struct sample *sample = *state;
	uint64_t size = sample->span.decoded_size;
	struct unit unit = unit_at(sample, 3000, 4000);
	struct span_bytes *bytes = NULL;
	struct verified_chunk *chunk;
	struct error err = {0};
	uint8_t digest[32], data[4000];
	uint64_t off;
	int fd = memfd_create("span", MFD_CLOEXEC);

	assert_int_equal(write(fd, sample->decoded, size), size);
	vouch(sample, SPAN_DIGEST_DECODED);
	assert_int_equal(span_bytes_of_file(&sample->span, NULL, fd, 0, size, &bytes, &err), 0);
	assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, &err), 0);
	span_bytes_free(bytes);
	sha256(sample->decoded + 3000, 4000, digest);
	assert_memory_equal(chunk_digest(chunk), digest, 32);
	assert_int_equal(pread(chunk_fd(chunk, &off), data, sizeof(data), 3000), sizeof(data));
	assert_int_equal(off, 3000);
	assert_memory_equal(data, sample->decoded + 3000, sizeof(data));
	chunk_unref(chunk);

	assert_int_equal(pwrite(fd, "!", 1, (off_t)size - 1), 1);
	assert_int_equal(span_bytes_of_file(&sample->span, NULL, fd, 0, size, &bytes, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	/* A part of it does not verify it. */
	assert_int_equal(
		span_bytes_of_file(&sample->span, NULL, fd, 0, size - 1, &bytes, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	close(fd);
}

static void encoded_bytes_vouch_for_a_part_in_a_file(void **state)
{
	struct sample *sample = *state;
	struct unit unit = unit_at(sample, 3000, 4000);
	struct span_bytes *bytes = NULL;
	struct verified_chunk *chunk;
	struct digest digest;
	struct error err = {0};
	uint64_t off = 0;
	int fd = memfd_create("span", MFD_CLOEXEC);

	assert_int_equal(write(fd, sample->decoded + 2000, 9000), 9000);
	vouch(sample, SPAN_DIGEST_ENCODED);
	digest_from_sha256(sample->span.digest, &digest);
	assert_int_equal(
		span_bytes_of_file(&sample->span, &digest, fd, 2000, 9000, &bytes, &err), 0);
	assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, &err), 0);
	assert_true(chunk_fd(chunk, &off) >= 0);
	assert_int_equal(off, 1000);
	chunk_unref(chunk);
	span_bytes_freep(&bytes);

	assert_int_equal(span_bytes_of_file(&sample->span, NULL, fd, 2000, 9000, &bytes, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	digest.bytes[5] ^= 1;
	assert_int_equal(
		span_bytes_of_file(&sample->span, &digest, fd, 2000, 9000, &bytes, &err), -1);
	assert_int_equal(err.kind, ERROR_DIGEST_MISMATCH);
	close(fd);
}

static void zeros_in_a_span_have_a_digest_too(void **state)
{
	CLEANUP(span_bytes_freep) struct span_bytes *bytes = NULL;
	struct sample *sample = *state;
	uint64_t off = ZEROS - sample->list.spans[1].out_off;
	struct unit unit = unit_at(sample, off, 5000);
	struct verified_chunk *chunk;
	uint8_t digest[32];

	vouch(sample, SPAN_DIGEST_DECODED);
	bytes = decode(sample, 0, 1);
	assert_int_equal(chunk_verify_span(&unit, bytes, &chunk, NULL), 0);
	assert_true(chunk_is_zeros(chunk));
	assert_null(chunk_data(chunk));
	sha256(sample->decoded + off, 5000, digest);
	assert_memory_equal(chunk_digest(chunk), digest, 32);
	chunk_unref(chunk);
}

#define WITH_SAMPLE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SAMPLE(units_of_a_span_of_the_right_digest_become_chunks_that_know_theirs),
		WITH_SAMPLE(a_part_is_decoded_where_that_is_enough),
		WITH_SAMPLE(a_chunk_outlives_its_span),
		WITH_SAMPLE(a_wrong_digest_is_refused_with_the_span_named),
		WITH_SAMPLE(wrong_encoded_bytes_are_found_before_they_are_decoded),
		WITH_SAMPLE(without_a_digest_of_the_span_each_unit_needs_its_own),
		WITH_SAMPLE(a_units_own_digest_is_checked_in_any_span),
		WITH_SAMPLE(a_unit_of_another_span_is_not_vouched_for),
		WITH_SAMPLE(a_unit_without_a_digest_never_passes_alone),
		WITH_SAMPLE(a_span_in_a_file_is_verified_likewise),
		WITH_SAMPLE(encoded_bytes_vouch_for_a_part_in_a_file),
		WITH_SAMPLE(zeros_in_a_span_have_a_digest_too),
	};
	return cmocka_run_group_tests_name("chunk/verify_span", tests, NULL, NULL);
}
