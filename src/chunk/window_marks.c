/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes of its window a deflate stream refers to: it is decoded twice with windows whose
 * bytes are numbers instead, and what comes out says which of them were copied. */
#include "window_marks_internal.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "chunk/span.h"

enum {
	RAW_WINDOW_BITS = -15,
	/* Byte i of the window is marked by two values that differ: FIRST_MARK + i / N_MARKS in one
	 * window, and the (i % N_MARKS)-th of the other 255 values in the other. Literals come out
	 * the same from both. */
	N_MARKS = 255,
	FIRST_MARK = 127,
};
_Static_assert((256 - FIRST_MARK) * N_MARKS >= SPAN_WINDOW_SIZE, "each byte has its marks");

/* One of the two decodings. */
struct marked_stream {
	z_stream zlib;
	size_t n_decoded;
	bool ended;
	uint8_t decoded[SPAN_WINDOW_SIZE]; /* nothing behind refers to the window directly */
};

struct window_marks {
	struct marked_stream coarse;
	struct marked_stream fine;
	bool ready; /* both streams were set up */
};

static uint8_t coarse_mark(size_t i)
{
	return (uint8_t)(FIRST_MARK + i / N_MARKS);
}

static uint8_t fine_mark(size_t i)
{
	size_t mark = i % N_MARKS;

	return (uint8_t)(mark < coarse_mark(i) ? mark : mark + 1);
}

static size_t position_of(uint8_t coarse, uint8_t fine)
{
	return (size_t)(coarse - FIRST_MARK) * N_MARKS + (fine < coarse ? fine : fine - 1u);
}

int window_marks_new(struct window_marks **out, struct error *err)
{
	CLEANUP(window_marks_freep) struct window_marks *marks = calloc(1, sizeof(*marks));

	if (!marks || inflateInit2(&marks->coarse.zlib, RAW_WINDOW_BITS) != Z_OK)
		return error_set(err, ERROR_NO_MEMORY, "no memory to look at windows");
	if (inflateInit2(&marks->fine.zlib, RAW_WINDOW_BITS) != Z_OK) {
		(void)inflateEnd(&marks->coarse.zlib);
		return error_set(err, ERROR_NO_MEMORY, "no memory to look at windows");
	}
	marks->ready = true;
	marks->coarse.ended = true;
	marks->fine.ended = true;
	*out = TAKE_PTR(marks);
	return 0;
}

void window_marks_free(struct window_marks *marks)
{
	if (!marks)
		return;
	if (marks->ready) {
		(void)inflateEnd(&marks->coarse.zlib);
		(void)inflateEnd(&marks->fine.zlib);
	}
	free(marks);
}

void window_marks_freep(struct window_marks **marks)
{
	window_marks_free(*marks);
	*marks = NULL;
}

static int begin(struct marked_stream *stream, uint8_t (*mark)(size_t i), size_t size,
	unsigned bits, uint8_t last_byte)
{
	uint8_t window[SPAN_WINDOW_SIZE];

	for (size_t i = 0; i < size; i++)
		window[i] = mark(i);
	stream->n_decoded = 0;
	stream->ended = false;
	if (inflateReset2(&stream->zlib, RAW_WINDOW_BITS) != Z_OK)
		return -1;
	if (bits > 0 && inflatePrime(&stream->zlib, (int)bits, last_byte >> (8 - bits)) != Z_OK)
		return -1;
	return inflateSetDictionary(&stream->zlib, window, (unsigned)size) == Z_OK ? 0 : -1;
}

int window_marks_begin(struct window_marks *marks, size_t size, unsigned bits, uint8_t last_byte,
	struct error *err)
{
	if (begin(&marks->coarse, coarse_mark, size, bits, last_byte) < 0 ||
		begin(&marks->fine, fine_mark, size, bits, last_byte) < 0)
		return error_set(err, ERROR_INTERNAL, "zlib cannot begin inside a member");
	return 0;
}

static void feed(struct marked_stream *stream, const uint8_t *in, size_t in_size)
{
	z_stream *zlib = &stream->zlib;
	int result;

	if (stream->ended)
		return;
	zlib->next_in = (z_const Bytef *)in;
	zlib->avail_in = (unsigned)in_size;
	zlib->next_out = stream->decoded + stream->n_decoded;
	zlib->avail_out = (unsigned)(sizeof(stream->decoded) - stream->n_decoded);
	result = inflate(zlib, Z_NO_FLUSH);
	stream->n_decoded = sizeof(stream->decoded) - zlib->avail_out;
	/* Errors are for who decodes the stream itself to report. */
	stream->ended = (result != Z_OK && result != Z_BUF_ERROR) || zlib->avail_out == 0;
}

void window_marks_feed(struct window_marks *marks, const uint8_t *in, size_t in_size)
{
	feed(&marks->coarse, in, in_size);
	feed(&marks->fine, in, in_size);
}

void window_marks_apply(struct window_marks *marks, uint8_t *window, size_t size)
{
	bool is_referred_to[SPAN_WINDOW_SIZE] = {false};

	for (size_t i = 0; i < marks->coarse.n_decoded; i++) {
		uint8_t coarse = marks->coarse.decoded[i];
		uint8_t fine = marks->fine.decoded[i];

		if (coarse != fine && coarse >= FIRST_MARK && position_of(coarse, fine) < size)
			is_referred_to[position_of(coarse, fine)] = true;
	}
	for (size_t i = 0; i < size; i++) {
		if (!is_referred_to[i])
			window[i] = 0;
	}
}
