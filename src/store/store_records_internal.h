/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "oci/digest.h"

/* How records of the database look. A disk may have changed them: every decoder takes any bytes,
 * checks sizes and ranges, and answers false for what no encoder wrote. Integers are little-endian
 * in values and big-endian in keys, so that keys sort by number. */

enum {
	RECORD_VERSION = 1,
	RECORD_KEY_SIZE = 32,
	RECORD_PAGE_UNITS = 4096, /* units whose presence is one record */
	RECORD_PAGE_SIZE = RECORD_PAGE_UNITS / 8,
	RECORD_SUMMED_PAGE_SIZE = RECORD_PAGE_SIZE + 8,
	RECORD_DIGEST_SIZE = 1 + DIGEST_MAX_SIZE,
	RECORD_LAYER_SIZE = 4 + 7 * 8 + RECORD_DIGEST_SIZE,
	RECORD_UNIT_DIGEST_SIZE = 32,
	RECORD_CHUNK_KEY_SIZE = 8, /* of the digest: what is found is hashed again anyway */
	RECORD_CHUNK_SIZE = 4 + 4 + 8,
	RECORD_DOCUMENT_LIMIT = 4 << 20,
	RECORD_MEDIA_TYPE_LIMIT = 127,
	RECORD_REFERENCE_LIMIT = 1024,
	RECORD_IMAGE_LAYERS = 1024,
	/* Tree ids below are the database's; the upper half is for trees it could not record. */
	RECORD_TREE_LIMIT = 1 << 23,
};

/* A data file with something in it. The number is never given to another file: a file that is
 * replaced gets a new one, and with it everything recorded under the old one is void. */
struct layer_record {
	uint32_t number; /* at least 1 */
	uint64_t fingerprint;
	uint64_t blob_size;
	uint64_t data_size;
	uint64_t n_units;
	uint64_t size;      /* bytes of all units */
	uint64_t n_present; /* for listings; the bitmap decides */
	uint64_t present;
	struct digest blob;
};

/* Where bytes of some digest are. */
struct chunk_record {
	uint32_t number;
	uint32_t unit;
	uint64_t data_off;
};

struct document_record {
	const char *media_type; /* not terminated */
	size_t media_type_size;
	const uint8_t *data;
	size_t size;
};

struct ref_record {
	struct digest digest;
	int64_t resolved_s;
	const char *reference; /* not terminated */
	size_t reference_size;
};

struct image_record {
	struct digest manifest;
	int64_t used_s;
	const uint8_t *layers; /* n_layers keys */
	size_t n_layers;
	const char *reference; /* not terminated */
	size_t reference_size;
};

void record_layer_encode(const struct layer_record *record, uint8_t out[RECORD_LAYER_SIZE]);
bool record_layer_decode(const void *data, size_t size, struct layer_record *out);

void record_chunk_encode(const struct chunk_record *record, uint8_t out[RECORD_CHUNK_SIZE]);
bool record_chunk_decode(const void *data, size_t size, struct chunk_record *out);

/* Sort by number, then page or unit. */
void record_page_key(uint32_t number, uint32_t page, uint8_t out[8]);
void record_unit_key(uint32_t number, uint32_t unit, uint8_t out[8]);
void record_number_key(uint32_t number, uint8_t out[4]);

/* Bits of units with a sum of them and of where they belong: a flipped bit would be a claim, and
 * the bytes it claims are not hashed when they are read. */
void record_page_encode(uint32_t number, uint32_t page, const uint8_t bits[RECORD_PAGE_SIZE],
	uint8_t out[RECORD_SUMMED_PAGE_SIZE]);
bool record_page_decode(const void *data, size_t size, uint32_t number, uint32_t page,
	uint8_t out[RECORD_PAGE_SIZE]);

bool record_u32_decode(const void *data, size_t size, uint32_t *out);
bool record_time_decode(const void *data, size_t size, int64_t *out);
bool record_key_decode(const void *data, size_t size, uint8_t out[RECORD_KEY_SIZE]);

/* Appended to out; 0 or -ENOMEM. Limits are the caller's to check. */
MUST_CHECK int record_document_encode(const struct document_record *record, struct buffer *out);
bool record_document_decode(const void *data, size_t size, struct document_record *out);
MUST_CHECK int record_ref_encode(const struct ref_record *record, struct buffer *out);
bool record_ref_decode(const void *data, size_t size, struct ref_record *out);
MUST_CHECK int record_image_encode(const struct image_record *record, struct buffer *out);
bool record_image_decode(const void *data, size_t size, struct image_record *out);
