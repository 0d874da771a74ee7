/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk/codec.h"

#include "support/test.h"

#include <string.h>

#include "codec_internal.h"
#include "support/encode.h"
#include "support/span_list.h"

enum { SIZE = 1500000, SPAN = 200000 };

static uint8_t plain[SIZE];

static int decode(const struct unit_span *span, const struct buffer *encoded, uint64_t skip,
	size_t size, struct decoded **out, struct error *err)
{
	/* Memory of its own: reading too far would be found. */
	CLEANUP(cleanup_free) uint8_t *copy = malloc(encoded->size + 1);

	assert_non_null(copy);
	if (encoded->size > 0)
		memcpy(copy, encoded->data, encoded->size);
	return codec_decode_span(span, copy, encoded->size, skip, size, out, err);
}

static void expect(const struct unit_span *span, const struct buffer *encoded)
{
	static const struct {
		uint64_t skip;
		size_t size;
	} parts[] = {{0, SIZE}, {0, 1}, {0, 100000}, {SIZE - 1, 1}, {1234, 5678}, {700000, 700000}};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct decoded *decoded = NULL;
		struct error err = {0};

		if (decode(span, encoded, parts[i].skip, parts[i].size, &decoded, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(decoded_size(decoded), parts[i].size);
		assert_memory_equal(decoded_data(decoded), plain + parts[i].skip, parts[i].size);
		decoded_unref(decoded);
	}
}

static void refuse(const struct unit_span *span, const struct buffer *encoded, uint64_t skip,
	size_t size, enum error_kind kind, const char *why)
{
	struct decoded *decoded = NULL;
	struct error err = {0};

	assert_int_equal(decode(span, encoded, skip, size, &decoded, &err), -1);
	assert_null(decoded);
	assert_int_equal(err.kind, kind);
	if (!strstr(err.message, why))
		fail_msg("'%s' is not in '%s'", why, err.message);
}

static struct unit_span whole_span(enum codec codec, const struct buffer *encoded)
{
	return (struct unit_span){.blob_size = encoded->size, .decoded_size = SIZE, .codec = codec};
}

static void add_skippable_frame(struct buffer *out, size_t size)
{
	uint8_t head[8];
	CLEANUP(cleanup_free) uint8_t *content = calloc(1, size + 1);

	le32_store(head, 0x184d2a50 + (uint32_t)(size % 16));
	le32_store(head + 4, (uint32_t)size);
	assert_int_equal(buffer_append(out, head, sizeof(head)), 0);
	assert_int_equal(buffer_append(out, content, size), 0);
}

static void a_zstd_span_is_a_run_of_frames(void **state)
{
	(void)state;
	struct buffer encoded = {0};
	struct unit_span span;

	add_skippable_frame(&encoded, 0);
	encode_frame(CODEC_ZSTD, plain, 400000, &encoded);
	encode_frame(CODEC_ZSTD, plain, 0, &encoded);
	add_skippable_frame(&encoded, 1000);
	encode_zstd_of_unknown_size(plain + 400000, 600000, &encoded);
	encode_frame(CODEC_ZSTD, plain + 1000000, 500000, &encoded);
	add_skippable_frame(&encoded, 77);
	span = whole_span(CODEC_ZSTD, &encoded);
	expect(&span, &encoded);
	buffer_free(&encoded);
}

static void a_zstd_span_may_say_less_than_its_frames_hold(void **state)
{
	(void)state;
	struct buffer encoded = {0};
	struct decoded *decoded;
	struct unit_span span;

	encode_frame(CODEC_ZSTD, plain, SIZE, &encoded);
	span = whole_span(CODEC_ZSTD, &encoded);
	span.decoded_size = 1000;
	assert_int_equal(decode(&span, &encoded, 0, 1000, &decoded, NULL), 0);
	assert_memory_equal(decoded_data(decoded), plain, 1000);
	decoded_unref(decoded);
	span.decoded_size = SIZE + 1;
	refuse(&span, &encoded, 1, SIZE, ERROR_FORMAT, "end after 1500000 decoded bytes");
	buffer_free(&encoded);
}

static void a_span_may_be_of_bytes_as_they_are(void **state)
{
	(void)state;
	struct buffer encoded = {0};
	struct unit_span span;

	assert_int_equal(buffer_append(&encoded, plain, SIZE), 0);
	span = whole_span(CODEC_NONE, &encoded);
	expect(&span, &encoded);
	encoded.size = SIZE - 1;
	refuse(&span, &encoded, SIZE - 10, 10, ERROR_FORMAT, "end after");
	buffer_free(&encoded);
}

static void a_gzip_span_may_be_a_run_of_members(void **state)
{
	(void)state;
	static const size_t cuts[] = {0, 1, 1, 500000, 900000, 900000, SIZE};
	const struct gzip_style style = {.level = 6, .name = "name"};
	struct buffer encoded = {0};
	struct unit_span span;

	for (size_t i = 0; i + 1 < sizeof(cuts) / sizeof(cuts[0]); i++)
		encode_gzip_member(&style, plain + cuts[i], cuts[i + 1] - cuts[i], &encoded);
	span = whole_span(CODEC_GZIP, &encoded);
	expect(&span, &encoded);

	/* What begins with a member is checked with it. */
	encoded.data[encoded.size - 5] ^= 1;
	refuse(&span, &encoded, 0, SIZE, ERROR_FORMAT, "incorrect data check");
	buffer_free(&encoded);
}

/* Spans in the middle of a member, and the blob they are of. */
struct sample {
	struct buffer blob;
	struct span_list list;
};

static void make_sample(struct sample *sample)
{
	const struct gzip_style style = {.level = 6};
	struct error err = {0};

	*sample = (struct sample){0};
	encode_gzip_member(&style, plain, SIZE, &sample->blob);
	if (span_list_index(&sample->list, sample->blob.data, sample->blob.size, SPAN,
		    sample->blob.size, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(sample->list.n_spans >= 4);
}

static void free_sample(struct sample *sample)
{
	span_list_free(&sample->list);
	buffer_free(&sample->blob);
}

/* The encoded bytes of a span, cut off or not; not owned. */
static struct buffer encoded_of(const struct sample *sample, const struct unit_span *span)
{
	return (struct buffer){
		.data = sample->blob.data + span->blob_off, .size = (size_t)span->blob_size};
}

/* Otherwise the stream decoder would hide that they never are. */
static void spans_between_borders_of_blocks_are_decoded_as_a_whole(void **state)
{
	(void)state;
	struct sample sample;
	unsigned seen_bits = 0;

	make_sample(&sample);
	for (size_t i = 1; i + 1 < sample.list.n_spans; i++) {
		const struct found_span *found = &sample.list.spans[i];
		struct buffer encoded = encoded_of(&sample, &found->span);
		struct span_call call = {
			.span = &found->span,
			.encoded = encoded.data,
			.encoded_size = encoded.size,
			.skip = 5,
			.size = (size_t)found->span.decoded_size - 6,
		};
		struct decoded *decoded = NULL;

		assert_true(found->span.in_member);
		seen_bits |= 1u << found->span.bits;
		assert_int_equal(thread_context_get(&call.context, NULL), 0);
		assert_int_equal(span_decode_whole(&call, &decoded, NULL), 0);
		assert_non_null(decoded);
		assert_memory_equal(decoded_data(decoded), plain + found->out_off + 5, call.size);
		decoded_unref(decoded);
	}
	/* Several, so that bits were moved. */
	assert_true((seen_bits & (seen_bits - 1)) != 0);
	free_sample(&sample);
}

static void a_damaged_window_is_the_fault_of_the_index(void **state)
{
	(void)state;
	struct sample sample;
	struct unit_span span;
	struct codec_stream *stream = NULL;
	struct buffer encoded;
	struct error err = {0};

	make_sample(&sample);
	span = sample.list.spans[1].span;
	encoded = encoded_of(&sample, &span);
	span.window = (const uint8_t *)"no packed window";
	span.window_size = 16;
	refuse(&span, &encoded, 0, 1, ERROR_IO, "the index of the layer is damaged");
	refuse(&span, &encoded, 0, (size_t)span.decoded_size, ERROR_IO, "index of the layer");
	assert_int_equal(codec_stream_new_span(&span, &stream, &err), -1);
	assert_int_equal(err.kind, ERROR_IO);
	assert_null(stream);
	free_sample(&sample);
}

static void a_span_that_is_cut_off_is_refused(void **state)
{
	(void)state;
	struct sample sample;

	make_sample(&sample);
	for (size_t i = 0; i < sample.list.n_spans; i++) {
		const struct unit_span *span = &sample.list.spans[i].span;
		struct buffer encoded = encoded_of(&sample, span);

		for (size_t cut = 20; cut < encoded.size; cut += encoded.size / 5) {
			struct buffer part = {.data = encoded.data, .size = encoded.size - cut};

			refuse(span, &part, 0, (size_t)span->decoded_size, ERROR_FORMAT,
				"encoded bytes end after");
		}
		encoded.size = 0;
		refuse(span, &encoded, 0, 1, ERROR_FORMAT, "encoded bytes end after 0");
	}
	free_sample(&sample);
}

/* Bits, borders and windows that are not those of the span make errors or other bytes. */
static void a_span_that_begins_elsewhere_does_no_harm(void **state)
{
	(void)state;
	struct sample sample;

	make_sample(&sample);
	for (unsigned bits = 0; bits < 8; bits++) {
		for (uint64_t off = 0; off < 40; off++) {
			struct unit_span span = sample.list.spans[1].span;
			struct decoded *decoded = NULL;
			struct buffer encoded;

			span.bits = bits;
			span.blob_off += off;
			span.blob_size -= off;
			encoded = encoded_of(&sample, &span);
			(void)(decode(&span, &encoded, 0, (size_t)span.decoded_size, &decoded,
				       NULL) < 0);
			decoded_unref(decoded);
		}
	}
	free_sample(&sample);
}

/* The trailer of the member it begins in belongs to it, and to be cut off there is too early only
 * when more is wanted. */
static void a_span_goes_over_the_end_of_its_member(void **state)
{
	(void)state;
	const struct gzip_style style = {.level = 6};
	struct sample sample = {0};
	const struct found_span *last;
	struct unit_span span;
	struct buffer encoded;
	size_t rest;

	encode_gzip_member(&style, plain, 1000000, &sample.blob);
	assert_int_equal(span_list_index(&sample.list, sample.blob.data, sample.blob.size, SPAN,
				 sample.blob.size, NULL),
		0);
	last = &sample.list.spans[sample.list.n_spans - 1];
	rest = 1000000 - (size_t)last->out_off;
	encode_gzip_member(&style, plain + 1000000, 0, &sample.blob);
	encode_gzip_member(&style, plain + 1000000, 500000, &sample.blob);
	span = last->span;
	span.blob_size = sample.blob.size - span.blob_off;
	span.decoded_size = SIZE - last->out_off;
	encoded = encoded_of(&sample, &span);
	for (size_t size = rest - 1; size <= rest + 1; size++) {
		struct decoded *decoded;

		assert_int_equal(decode(&span, &encoded, 0, size, &decoded, NULL), 0);
		assert_memory_equal(decoded_data(decoded), plain + last->out_off, size);
		decoded_unref(decoded);
	}
	for (size_t cut = 1; cut < 9; cut++) {
		struct buffer part = {
			.data = encoded.data, .size = (size_t)last->span.blob_size - cut};
		struct decoded *decoded;

		assert_int_equal(decode(&span, &part, 0, rest, &decoded, NULL), 0);
		decoded_unref(decoded);
		refuse(&span, &part, 0, rest + 1, ERROR_FORMAT, "encoded bytes end after");
	}
	free_sample(&sample);
}

static void impossible_spans_are_mistakes_of_the_caller(void **state)
{
	(void)state;
	static const struct unit_span spans[] = {
		{.blob_size = 0, .decoded_size = 1},
		{.blob_size = 1, .decoded_size = 0},
		{.blob_size = 1, .decoded_size = 10, .codec = CODEC_GZIP, .bits = 3},
		{.blob_size = 1, .decoded_size = 10, .codec = CODEC_ZSTD, .in_member = true},
		{.blob_size = 1,
			.decoded_size = 10,
			.codec = CODEC_GZIP,
			.in_member = true,
			.bits = 8},
	};
	struct buffer encoded = {.data = plain, .size = 1};
	struct unit_span span = {.blob_size = 1, .decoded_size = 10};

	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		refuse(&spans[i], &encoded, 0, 1, ERROR_INTERNAL, "span at 0 ");
	refuse(&span, &encoded, 0, 0, ERROR_INTERNAL, "of a span of 10");
	refuse(&span, &encoded, 5, 6, ERROR_INTERNAL, "of a span of 10");
	refuse(&span, &encoded, UINT64_MAX, 1, ERROR_INTERNAL, "of a span of 10");
}

static void windows_are_packed_and_unpacked(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 1000, SPAN_WINDOW_SIZE};
	uint8_t window[SPAN_WINDOW_SIZE];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		static const uint8_t zeros[SPAN_WINDOW_SIZE];
		size_t before = SPAN_WINDOW_SIZE - sizes[i];
		struct buffer packed = {0};

		assert_int_equal(span_window_pack(plain + 500000, sizes[i], &packed, NULL), 0);
		assert_int_equal(packed.size > 0, sizes[i] > 0);
		assert_in_range(packed.size, 0, SPAN_MAX_PACKED_WINDOW);
		memset(window, 0xaa, sizeof(window));
		assert_int_equal(span_window_unpack(packed.data, packed.size, window, NULL), 0);
		assert_memory_equal(window, zeros, before);
		assert_memory_equal(window + before, plain + 500000, sizes[i]);
		buffer_free(&packed);
	}
}

static void noise_and_zeros_are_windows_too(void **state)
{
	(void)state;
	uint8_t noise[SPAN_WINDOW_SIZE], window[SPAN_WINDOW_SIZE] = {0};
	struct buffer packed = {0};
	struct error err = {0};

	assert_int_equal(span_window_pack(window, sizeof(window), &packed, NULL), 0);
	assert_int_equal(packed.size, 0);
	fill_random(noise, sizeof(noise), 1);
	assert_int_equal(span_window_pack(noise, sizeof(noise), &packed, NULL), 0);
	assert_in_range(packed.size, sizeof(noise), SPAN_MAX_PACKED_WINDOW);
	assert_int_equal(span_window_unpack(packed.data, packed.size, window, NULL), 0);
	assert_memory_equal(window, noise, sizeof(noise));
	for (size_t size = 1; size < packed.size; size += 1000) {
		assert_int_equal(span_window_unpack(packed.data, size, window, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
	}
	assert_int_equal(span_window_pack(plain, SPAN_WINDOW_SIZE + 1, &packed, &err), -1);
	assert_int_equal(err.kind, ERROR_INTERNAL);
	buffer_free(&packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_zstd_span_is_a_run_of_frames),
		cmocka_unit_test(a_zstd_span_may_say_less_than_its_frames_hold),
		cmocka_unit_test(a_span_may_be_of_bytes_as_they_are),
		cmocka_unit_test(a_gzip_span_may_be_a_run_of_members),
		cmocka_unit_test(spans_between_borders_of_blocks_are_decoded_as_a_whole),
		cmocka_unit_test(a_damaged_window_is_the_fault_of_the_index),
		cmocka_unit_test(a_span_that_is_cut_off_is_refused),
		cmocka_unit_test(a_span_that_begins_elsewhere_does_no_harm),
		cmocka_unit_test(a_span_goes_over_the_end_of_its_member),
		cmocka_unit_test(impossible_spans_are_mistakes_of_the_caller),
		cmocka_unit_test(windows_are_packed_and_unpacked),
		cmocka_unit_test(noise_and_zeros_are_windows_too),
	};

	fill_mixture(plain, sizeof(plain), 23);
	return cmocka_run_group_tests_name("chunk/codec_span", tests, NULL, NULL);
}
