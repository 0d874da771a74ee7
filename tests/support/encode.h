/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "chunk/unit.h"

/* Encoded test data. Everything aborts the test program on failure. */

/* Bytes that compress about as well as text does; the same seed gives the same bytes. */
void fill_text(uint8_t *data, size_t size, uint32_t seed);
/* Bytes that do not compress. */
void fill_random(uint8_t *data, size_t size, uint32_t seed);

/* Text, noise, zeros and bytes from up to 32 KiB before: what deflate has a kind of block for. */
void fill_mixture(uint8_t *data, size_t size, uint32_t seed);

/* Appends one gzip member or zstd frame. */
void encode_frame(enum codec codec, const void *data, size_t size, struct buffer *out);
/* A zstd frame that does not say how long it is, as streaming writers make. */
void encode_zstd_of_unknown_size(const void *data, size_t size, struct buffer *out);

/* How a gzip member is made; zlib's numbers. */
struct gzip_style {
	int level;
	int strategy;
	size_t flush_every; /* input bytes between full flushes, as parallel compressors make them
			     */
	const char *name;   /* for the header; NULL: none */
};
void encode_gzip_member(
	const struct gzip_style *style, const void *data, size_t size, struct buffer *out);

/* A gzip member with this deflate stream, whose CRC and length are right up to where it is damaged,
 * ends, or decodes to more than the limit; then what is behind it. */
void wrap_deflate(const uint8_t *deflate, size_t size, size_t limit, struct buffer *out);
