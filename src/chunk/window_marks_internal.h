/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Finds out which of the bytes before a place in a deflate stream the stream behind it refers to:
 * the rest need not be kept to begin decoding there. */
struct window_marks;

MUST_CHECK int window_marks_new(struct window_marks **out, struct error *err);
void window_marks_free(struct window_marks *marks);
void window_marks_freep(struct window_marks **marks);

/* From here on: @size bytes were decoded before, of which at most SPAN_WINDOW_SIZE can be referred
 * to, and the upper @bits (0 to 7) of @last_byte are still to be decoded. */
MUST_CHECK int window_marks_begin(struct window_marks *marks, size_t size, unsigned bits,
	uint8_t last_byte, struct error *err);

/* The encoded bytes that follow. */
void window_marks_feed(struct window_marks *marks, const uint8_t *in, size_t in_size);

/* Zeroes those of the @size bytes that nothing fed so far refers to. */
void window_marks_apply(struct window_marks *marks, uint8_t *window, size_t size);
