/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes and decodes the records of the database; every decoder takes hostile bytes. */
#include "store_records_internal.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"

/* Bytes not yet read of a record; a read beyond them is remembered instead of done. */
struct record_reader {
	const uint8_t *data;
	size_t size;
	bool failed;
};

static const uint8_t *take(struct record_reader *reader, size_t size)
{
	const uint8_t *data = reader->data;

	if (reader->failed || size > reader->size) {
		reader->failed = true;
		return NULL;
	}
	reader->data += size;
	reader->size -= size;
	return data;
}

static uint16_t take_u16(struct record_reader *reader)
{
	const uint8_t *data = take(reader, 2);

	return data ? le16_load(data) : 0;
}

static uint32_t take_u32(struct record_reader *reader)
{
	const uint8_t *data = take(reader, 4);

	return data ? le32_load(data) : 0;
}

static uint64_t take_u64(struct record_reader *reader)
{
	const uint8_t *data = take(reader, 8);

	return data ? le64_load(data) : 0;
}

static void digest_encode(const struct digest *digest, uint8_t out[RECORD_DIGEST_SIZE])
{
	out[0] = (uint8_t)digest->algorithm;
	memcpy(out + 1, digest->bytes, DIGEST_MAX_SIZE);
}

static bool take_digest(struct record_reader *reader, struct digest *out)
{
	static const uint8_t zeros[DIGEST_MAX_SIZE];
	const uint8_t *data = take(reader, RECORD_DIGEST_SIZE);

	if (!data)
		return false;
	if (data[0] != DIGEST_SHA256 && data[0] != DIGEST_SHA512)
		return false;
	memset(out, 0, sizeof(*out));
	out->algorithm = (enum digest_algorithm)data[0];
	memcpy(out->bytes, data + 1, DIGEST_MAX_SIZE);
	return memcmp(out->bytes + digest_size(out), zeros, DIGEST_MAX_SIZE - digest_size(out)) ==
	       0;
}

void record_layer_encode(const struct layer_record *record, uint8_t out[RECORD_LAYER_SIZE])
{
	le32_store(out, record->number);
	le64_store(out + 4, record->fingerprint);
	le64_store(out + 12, record->blob_size);
	le64_store(out + 20, record->data_size);
	le64_store(out + 28, record->n_units);
	le64_store(out + 36, record->size);
	le64_store(out + 44, record->n_present);
	le64_store(out + 52, record->present);
	digest_encode(&record->blob, out + 60);
}

bool record_layer_decode(const void *data, size_t size, struct layer_record *out)
{
	struct record_reader reader = {.data = data, .size = size};

	if (size != RECORD_LAYER_SIZE)
		return false;
	out->number = take_u32(&reader);
	out->fingerprint = take_u64(&reader);
	out->blob_size = take_u64(&reader);
	out->data_size = take_u64(&reader);
	out->n_units = take_u64(&reader);
	out->size = take_u64(&reader);
	out->n_present = take_u64(&reader);
	out->present = take_u64(&reader);
	if (!take_digest(&reader, &out->blob))
		return false;
	return out->number > 0 && out->n_units < UINT32_MAX && out->size <= out->data_size &&
	       out->data_size <= INT64_MAX && out->blob_size <= INT64_MAX &&
	       out->n_present <= out->n_units && out->present <= out->size;
}

void record_chunk_encode(const struct chunk_record *record, uint8_t out[RECORD_CHUNK_SIZE])
{
	le32_store(out, record->number);
	le32_store(out + 4, record->unit);
	le64_store(out + 8, record->data_off);
}

bool record_chunk_decode(const void *data, size_t size, struct chunk_record *out)
{
	struct record_reader reader = {.data = data, .size = size};

	if (size != RECORD_CHUNK_SIZE)
		return false;
	out->number = take_u32(&reader);
	out->unit = take_u32(&reader);
	out->data_off = take_u64(&reader);
	return out->number > 0 && out->data_off <= INT64_MAX;
}

void record_number_key(uint32_t number, uint8_t out[4])
{
	out[0] = (uint8_t)(number >> 24);
	out[1] = (uint8_t)(number >> 16);
	out[2] = (uint8_t)(number >> 8);
	out[3] = (uint8_t)number;
}

void record_page_key(uint32_t number, uint32_t page, uint8_t out[8])
{
	record_number_key(number, out);
	record_number_key(page, out + 4);
}

void record_unit_key(uint32_t number, uint32_t unit, uint8_t out[8])
{
	record_page_key(number, unit, out);
}

static uint64_t page_sum(uint32_t number, uint32_t page, const uint8_t bits[RECORD_PAGE_SIZE])
{
	uint64_t sum = (uint64_t)number << 32 | page;

	for (size_t i = 0; i < RECORD_PAGE_SIZE; i += 8) {
		sum = (sum ^ le64_load(bits + i)) * UINT64_C(0x9e3779b97f4a7c15);
		sum ^= sum >> 29;
	}
	return sum;
}

void record_page_encode(uint32_t number, uint32_t page, const uint8_t bits[RECORD_PAGE_SIZE],
	uint8_t out[RECORD_SUMMED_PAGE_SIZE])
{
	memcpy(out, bits, RECORD_PAGE_SIZE);
	le64_store(out + RECORD_PAGE_SIZE, page_sum(number, page, bits));
}

bool record_page_decode(const void *data, size_t size, uint32_t number, uint32_t page,
	uint8_t out[RECORD_PAGE_SIZE])
{
	const uint8_t *bits = data;

	if (size != RECORD_SUMMED_PAGE_SIZE ||
		le64_load(bits + RECORD_PAGE_SIZE) != page_sum(number, page, bits))
		return false;
	memcpy(out, bits, RECORD_PAGE_SIZE);
	return true;
}

bool record_u32_decode(const void *data, size_t size, uint32_t *out)
{
	if (size != 4)
		return false;
	*out = le32_load(data);
	return true;
}

bool record_time_decode(const void *data, size_t size, int64_t *out)
{
	if (size != 8)
		return false;
	*out = (int64_t)le64_load(data);
	return *out >= 0;
}

bool record_key_decode(const void *data, size_t size, uint8_t out[RECORD_KEY_SIZE])
{
	if (size != RECORD_KEY_SIZE)
		return false;
	memcpy(out, data, RECORD_KEY_SIZE);
	return true;
}

int record_document_encode(const struct document_record *record, struct buffer *out)
{
	uint8_t head[2];

	le16_store(head, (uint16_t)record->media_type_size);
	if (buffer_append(out, head, sizeof(head)) < 0 ||
		buffer_append(out, record->media_type, record->media_type_size) < 0)
		return -ENOMEM;
	return buffer_append(out, record->data, record->size);
}

bool record_document_decode(const void *data, size_t size, struct document_record *out)
{
	struct record_reader reader = {.data = data, .size = size};

	out->media_type_size = take_u16(&reader);
	out->media_type = (const char *)take(&reader, out->media_type_size);
	out->size = reader.size;
	out->data = reader.data;
	if (reader.failed || out->size > RECORD_DOCUMENT_LIMIT)
		return false;
	return out->media_type_size <= RECORD_MEDIA_TYPE_LIMIT &&
	       !memchr(out->media_type, 0, out->media_type_size);
}

/* What is left of the record, as text. */
static bool take_reference(struct record_reader *reader, const char **out, size_t *out_size)
{
	*out_size = reader->size;
	*out = (const char *)reader->data;
	return !reader->failed && *out_size > 0 && *out_size <= RECORD_REFERENCE_LIMIT &&
	       !memchr(*out, 0, *out_size);
}

int record_ref_encode(const struct ref_record *record, struct buffer *out)
{
	uint8_t head[RECORD_DIGEST_SIZE + 8];

	digest_encode(&record->digest, head);
	le64_store(head + RECORD_DIGEST_SIZE, (uint64_t)record->resolved_s);
	if (buffer_append(out, head, sizeof(head)) < 0)
		return -ENOMEM;
	return buffer_append(out, record->reference, record->reference_size);
}

bool record_ref_decode(const void *data, size_t size, struct ref_record *out)
{
	struct record_reader reader = {.data = data, .size = size};

	if (!take_digest(&reader, &out->digest))
		return false;
	out->resolved_s = (int64_t)take_u64(&reader);
	return take_reference(&reader, &out->reference, &out->reference_size) &&
	       out->resolved_s >= 0;
}

int record_image_encode(const struct image_record *record, struct buffer *out)
{
	uint8_t head[RECORD_DIGEST_SIZE + 8 + 4];

	digest_encode(&record->manifest, head);
	le64_store(head + RECORD_DIGEST_SIZE, (uint64_t)record->used_s);
	le32_store(head + RECORD_DIGEST_SIZE + 8, (uint32_t)record->n_layers);
	if (buffer_append(out, head, sizeof(head)) < 0 ||
		buffer_append(out, record->layers, record->n_layers * RECORD_KEY_SIZE) < 0)
		return -ENOMEM;
	return buffer_append(out, record->reference, record->reference_size);
}

bool record_image_decode(const void *data, size_t size, struct image_record *out)
{
	struct record_reader reader = {.data = data, .size = size};

	if (!take_digest(&reader, &out->manifest))
		return false;
	out->used_s = (int64_t)take_u64(&reader);
	out->n_layers = take_u32(&reader);
	if (out->n_layers > RECORD_IMAGE_LAYERS)
		return false;
	out->layers = take(&reader, out->n_layers * RECORD_KEY_SIZE);
	return take_reference(&reader, &out->reference, &out->reference_size) && out->used_s >= 0;
}
