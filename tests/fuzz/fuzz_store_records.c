/* SPDX-License-Identifier: Apache-2.0 */
/* Every decoder of database records over the same bytes: what one accepts, its encoder writes as
 * the same bytes again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store_records_internal.h"

static void fixed_sizes(const uint8_t *data, size_t size)
{
	uint8_t bytes[RECORD_LAYER_SIZE];
	struct layer_record layer;
	struct chunk_record chunk;
	uint8_t key[RECORD_KEY_SIZE];
	uint32_t number;
	int64_t time_s;

	if (record_layer_decode(data, size, &layer)) {
		assert(layer.size <= layer.data_size && layer.n_present <= layer.n_units);
		record_layer_encode(&layer, bytes);
		assert(memcmp(bytes, data, size) == 0);
	}
	if (record_chunk_decode(data, size, &chunk)) {
		record_chunk_encode(&chunk, bytes);
		assert(memcmp(bytes, data, size) == 0);
	}
	if (record_key_decode(data, size, key))
		assert(memcmp(key, data, size) == 0);
	if (record_u32_decode(data, size, &number))
		assert(size == sizeof(number));
	if (record_time_decode(data, size, &time_s))
		assert(time_s >= 0);
}

static void pages(const uint8_t *data, size_t size)
{
	uint8_t bytes[RECORD_SUMMED_PAGE_SIZE];
	uint8_t bits[RECORD_PAGE_SIZE];

	for (uint32_t page = 0; page < 8; page++) {
		if (!record_page_decode(data, size, page / 2, page % 2, bits))
			continue;
		record_page_encode(page / 2, page % 2, bits, bytes);
		assert(memcmp(bytes, data, size) == 0);
	}
}

static void check_same(struct buffer *bytes, int result, const uint8_t *data, size_t size)
{
	if (result == 0)
		assert(bytes->size == size && memcmp(bytes->data, data, size) == 0);
	buffer_free(bytes);
}

static void open_sizes(const uint8_t *data, size_t size)
{
	struct document_record document;
	struct image_record image;
	struct ref_record ref;
	struct buffer bytes = {0};

	if (record_document_decode(data, size, &document))
		check_same(&bytes, record_document_encode(&document, &bytes), data, size);
	if (record_ref_decode(data, size, &ref))
		check_same(&bytes, record_ref_encode(&ref, &bytes), data, size);
	if (record_image_decode(data, size, &image))
		check_same(&bytes, record_image_encode(&image, &bytes), data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fixed_sizes(data, size);
	pages(data, size);
	open_sizes(data, size);
	return 0;
}
