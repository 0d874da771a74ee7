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

/* Appends one gzip member or zstd frame. */
void encode_frame(enum codec codec, const void *data, size_t size, struct buffer *out);
/* A zstd frame that does not say how long it is, as streaming writers make. */
void encode_zstd_of_unknown_size(const void *data, size_t size, struct buffer *out);
