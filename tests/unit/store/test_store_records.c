/* SPDX-License-Identifier: Apache-2.0 */
#include "store_records_internal.h"

#include "support/test.h"

#include <stdlib.h>
#include <string.h>

static const struct digest sha256 = {.algorithm = DIGEST_SHA256, .bytes = {1, 2, 3, [31] = 9}};
static const struct digest sha512 = {.algorithm = DIGEST_SHA512, .bytes = {4, [63] = 5}};

static struct layer_record example_layer(void)
{
	return (struct layer_record){
		.number = 77,
		.fingerprint = UINT64_C(0x123456789abcdef0),
		.blob_size = 1 << 20,
		.data_size = 8 << 20,
		.n_units = 9,
		.size = 7 << 20,
		.n_present = 3,
		.present = 1 << 20,
		.blob = sha512,
	};
}

static void layers_survive_encoding(void **state)
{
	(void)state;
	struct layer_record in = example_layer(), out;
	uint8_t bytes[RECORD_LAYER_SIZE];

	memset(&out, 0xee, sizeof(out));
	record_layer_encode(&in, bytes);
	assert_true(record_layer_decode(bytes, sizeof(bytes), &out));
	assert_int_equal(out.number, in.number);
	assert_int_equal(out.fingerprint, in.fingerprint);
	assert_int_equal(out.blob_size, in.blob_size);
	assert_int_equal(out.data_size, in.data_size);
	assert_int_equal(out.n_units, in.n_units);
	assert_int_equal(out.size, in.size);
	assert_int_equal(out.n_present, in.n_present);
	assert_int_equal(out.present, in.present);
	assert_true(digest_equal(&out.blob, &in.blob));
}

/* Each case breaks one rule of a record that is otherwise right. */
static void layers_that_contradict_themselves_are_refused(void **state)
{
	(void)state;
	struct layer_record cases[7];
	uint8_t bytes[RECORD_LAYER_SIZE + 1];
	struct layer_record out;

	for (unsigned i = 0; i < 7; i++)
		cases[i] = example_layer();
	cases[0].number = 0;
	cases[1].n_units = UINT32_MAX;
	cases[2].size = cases[2].data_size + 1;
	cases[3].n_present = cases[3].n_units + 1;
	cases[4].present = cases[4].size + 1;
	cases[5].data_size = UINT64_MAX;
	cases[6].blob_size = UINT64_MAX;
	for (unsigned i = 0; i < 7; i++) {
		record_layer_encode(&cases[i], bytes);
		assert_false(record_layer_decode(bytes, RECORD_LAYER_SIZE, &out));
	}

	cases[0] = example_layer();
	record_layer_encode(&cases[0], bytes);
	assert_false(record_layer_decode(bytes, RECORD_LAYER_SIZE - 1, &out));
	assert_false(record_layer_decode(bytes, RECORD_LAYER_SIZE + 1, &out));
	bytes[RECORD_LAYER_SIZE - RECORD_DIGEST_SIZE] = 3; /* no such algorithm */
	assert_false(record_layer_decode(bytes, RECORD_LAYER_SIZE, &out));
	cases[0].blob = sha256;
	record_layer_encode(&cases[0], bytes);
	bytes[RECORD_LAYER_SIZE - 1] = 1; /* behind the 32 bytes of a SHA-256 */
	assert_false(record_layer_decode(bytes, RECORD_LAYER_SIZE, &out));
}

static void chunks_survive_encoding_and_impossible_ones_are_refused(void **state)
{
	(void)state;
	struct chunk_record in = {.number = 5, .unit = 70000, .data_off = UINT64_C(1) << 40};
	uint8_t bytes[RECORD_CHUNK_SIZE];
	struct chunk_record out;

	record_chunk_encode(&in, bytes);
	assert_true(record_chunk_decode(bytes, sizeof(bytes), &out));
	assert_memory_equal(&in, &out, sizeof(in));
	assert_false(record_chunk_decode(bytes, sizeof(bytes) - 1, &out));
	in.data_off = UINT64_MAX;
	record_chunk_encode(&in, bytes);
	assert_false(record_chunk_decode(bytes, sizeof(bytes), &out));
	in = (struct chunk_record){.number = 0};
	record_chunk_encode(&in, bytes);
	assert_false(record_chunk_decode(bytes, sizeof(bytes), &out));
}

static void pages_of_bits_survive_encoding_and_no_bit_flips_unseen(void **state)
{
	(void)state;
	uint8_t bits[RECORD_PAGE_SIZE], out[RECORD_PAGE_SIZE];
	uint8_t bytes[RECORD_SUMMED_PAGE_SIZE + 1];

	for (unsigned i = 0; i < RECORD_PAGE_SIZE; i++)
		bits[i] = (uint8_t)(i * 37);
	record_page_encode(9, 3, bits, bytes);
	assert_true(record_page_decode(bytes, RECORD_SUMMED_PAGE_SIZE, 9, 3, out));
	assert_memory_equal(out, bits, sizeof(out));
	assert_false(record_page_decode(bytes, RECORD_SUMMED_PAGE_SIZE, 9, 4, out));
	assert_false(record_page_decode(bytes, RECORD_SUMMED_PAGE_SIZE, 8, 3, out));
	assert_false(record_page_decode(bytes, RECORD_SUMMED_PAGE_SIZE - 1, 9, 3, out));
	assert_false(record_page_decode(bytes, RECORD_SUMMED_PAGE_SIZE + 1, 9, 3, out));
	assert_false(record_page_decode(bytes, RECORD_PAGE_SIZE, 9, 3, out));
	for (unsigned i = 0; i < 8 * RECORD_SUMMED_PAGE_SIZE; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_false(record_page_decode(bytes, RECORD_SUMMED_PAGE_SIZE, 9, 3, out));
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

static void page_keys_sort_by_number_then_page(void **state)
{
	(void)state;
	uint8_t a[8], b[8];

	record_page_key(1, UINT32_MAX, a);
	record_page_key(2, 0, b);
	assert_true(memcmp(a, b, 8) < 0);
	record_page_key(255, 1, a);
	record_page_key(256, 0, b);
	assert_true(memcmp(a, b, 8) < 0);
	record_page_key(7, 255, a);
	record_page_key(7, 256, b);
	assert_true(memcmp(a, b, 8) < 0);
}

static void documents_survive_encoding(void **state)
{
	(void)state;
	const struct document_record in = {.media_type = "application/vnd.example",
		.media_type_size = 23,
		.data = (const uint8_t *)"{\"a\": 1}",
		.size = 8};
	struct document_record out;
	struct buffer bytes = {0};

	assert_int_equal(record_document_encode(&in, &bytes), 0);
	assert_true(record_document_decode(bytes.data, bytes.size, &out));
	assert_int_equal(out.media_type_size, 23);
	assert_memory_equal(out.media_type, in.media_type, 23);
	assert_int_equal(out.size, 8);
	assert_memory_equal(out.data, in.data, 8);
	assert_false(record_document_decode(bytes.data, 20, &out));
	assert_false(record_document_decode(bytes.data, 1, &out));
	bytes.data[5] = 0; /* in the media type */
	assert_false(record_document_decode(bytes.data, bytes.size, &out));
	le16_store(bytes.data, RECORD_MEDIA_TYPE_LIMIT + 1);
	assert_false(record_document_decode(bytes.data, bytes.size, &out));
	buffer_free(&bytes);
}

static void references_survive_encoding(void **state)
{
	(void)state;
	const struct ref_record in = {.digest = sha256,
		.resolved_s = 1700000000,
		.reference = "r.example/a:1",
		.reference_size = 13};
	struct buffer bytes = {0};
	struct ref_record out;

	assert_int_equal(record_ref_encode(&in, &bytes), 0);
	assert_true(record_ref_decode(bytes.data, bytes.size, &out));
	assert_true(digest_equal(&out.digest, &sha256));
	assert_int_equal(out.resolved_s, 1700000000);
	assert_int_equal(out.reference_size, 13);
	assert_memory_equal(out.reference, "r.example/a:1", 13);
	for (size_t size = 0; size <= bytes.size - 13; size++)
		assert_false(record_ref_decode(bytes.data, size, &out));
	memset(bytes.data + RECORD_DIGEST_SIZE, 0xff, 8);
	assert_false(record_ref_decode(bytes.data, bytes.size, &out));
	buffer_free(&bytes);
}

static void images_survive_encoding(void **state)
{
	(void)state;
	static const uint8_t layers[2][32] = {{1}, {2}};
	const struct image_record in = {.manifest = sha512,
		.used_s = 5,
		.layers = layers[0],
		.n_layers = 2,
		.reference = "x",
		.reference_size = 1};
	struct buffer bytes = {0};
	struct image_record out;

	assert_int_equal(record_image_encode(&in, &bytes), 0);
	assert_true(record_image_decode(bytes.data, bytes.size, &out));
	assert_int_equal(out.n_layers, 2);
	assert_memory_equal(out.layers, layers, sizeof(layers));
	assert_memory_equal(out.reference, "x", 1);
	for (size_t size = 0; size < bytes.size; size++)
		assert_false(record_image_decode(bytes.data, size, &out));
	/* A count that only the next 4 GiB could hold. */
	memset(bytes.data + RECORD_DIGEST_SIZE + 8, 0xff, 4);
	assert_false(record_image_decode(bytes.data, bytes.size, &out));
	buffer_free(&bytes);
}

static void numbers_and_keys_have_one_size_each(void **state)
{
	(void)state;
	const uint8_t bytes[33] = {1, 0, 0, 0, 0, 0, 0, 0};
	const uint8_t negative[8] = {[7] = 0x80};
	uint8_t key[32];
	uint32_t number;
	int64_t time_s;

	assert_true(record_u32_decode(bytes, 4, &number));
	assert_int_equal(number, 1);
	assert_false(record_u32_decode(bytes, 3, &number));
	assert_false(record_u32_decode(bytes, 5, &number));
	assert_true(record_time_decode(bytes, 8, &time_s));
	assert_int_equal(time_s, 1);
	assert_false(record_time_decode(bytes, 7, &time_s));
	assert_false(record_time_decode(negative, 8, &time_s));
	assert_true(record_key_decode(bytes, 32, key));
	assert_false(record_key_decode(bytes, 31, key));
	assert_false(record_key_decode(bytes, 33, key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_survive_encoding),
		cmocka_unit_test(layers_that_contradict_themselves_are_refused),
		cmocka_unit_test(chunks_survive_encoding_and_impossible_ones_are_refused),
		cmocka_unit_test(pages_of_bits_survive_encoding_and_no_bit_flips_unseen),
		cmocka_unit_test(page_keys_sort_by_number_then_page),
		cmocka_unit_test(documents_survive_encoding),
		cmocka_unit_test(references_survive_encoding),
		cmocka_unit_test(images_survive_encoding),
		cmocka_unit_test(numbers_and_keys_have_one_size_each),
	};
	return cmocka_run_group_tests_name("store/records", tests, NULL, NULL);
}
