/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes gzip blobs front to back and finds where their spans begin. */
#include "chunk/gzip_indexer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

#include "span_sink_internal.h"
#include "window_marks_internal.h"

enum {
	GZIP_WINDOW_BITS = 15 + 16,
	ZLIB_MAX = 1 << 30,

	/* zlib's data_type after Z_BLOCK: how many bits are left of the last byte, and why it
	 * stopped. */
	DATA_TYPE_BITS = 7,
	DATA_TYPE_LAST = 64,
	DATA_TYPE_BORDER = 128,
};

enum phase {
	BETWEEN_MEMBERS,
	IN_MEMBER,
	PADDING, /* behind the last member */
};

struct gzip_indexer {
	struct span_sink sink;
	z_stream zlib;
	bool ready; /* zlib is set up */
	enum phase phase;
	uint8_t last_byte; /* the one before in_off */
	uint64_t in_off;   /* encoded bytes consumed */
	uint64_t member_off;
	uint64_t members_end; /* of the blob: behind the last member so far */
	uint64_t n_members;

	/* The span that is being decoded. */
	struct unit_span span;
	struct window_marks *marks; /* owned */
	uint8_t window[SPAN_WINDOW_SIZE];
	unsigned window_size;
};

int gzip_indexer_new(
	const struct gzip_indexer_options *options, struct gzip_indexer **out, struct error *err)
{
	CLEANUP(gzip_indexer_freep) struct gzip_indexer *indexer = calloc(1, sizeof(*indexer));

	if (!indexer)
		return error_set(err, ERROR_NO_MEMORY, "no memory to index a gzip stream");
	span_sink_init(&indexer->sink, options);
	indexer->span.codec = CODEC_GZIP;
	if (window_marks_new(&indexer->marks, err) < 0)
		return -1;
	if (inflateInit2(&indexer->zlib, GZIP_WINDOW_BITS) != Z_OK)
		return error_set(err, ERROR_NO_MEMORY, "no memory to index a gzip stream");
	indexer->ready = true;
	*out = TAKE_PTR(indexer);
	return 0;
}

void gzip_indexer_free(struct gzip_indexer *indexer)
{
	if (!indexer)
		return;
	if (indexer->ready)
		(void)inflateEnd(&indexer->zlib);
	window_marks_free(indexer->marks);
	span_sink_clear(&indexer->sink);
	free(indexer);
}

void gzip_indexer_freep(struct gzip_indexer **indexer)
{
	gzip_indexer_free(*indexer);
	*indexer = NULL;
}

/* The span ends at blob_end; nothing is told of one without bytes. */
static int end_span(
	struct gzip_indexer *indexer, uint64_t blob_end, unsigned end_bits, struct error *err)
{
	CLEANUP(buffer_free) struct buffer packed = {0};
	struct unit_span *span = &indexer->span;

	if (span_sink_decoded(&indexer->sink) == 0)
		return 0;
	if (span->in_member) {
		window_marks_apply(indexer->marks, indexer->window, indexer->window_size);
		if (span_window_pack(indexer->window, indexer->window_size, &packed, err) < 0)
			return -1;
	}
	span->window = packed.size > 0 ? packed.data : NULL;
	span->window_size = packed.size;
	span->blob_size = blob_end - span->blob_off;
	span->end_bits = end_bits;
	return span_sink_end_span(&indexer->sink, span, err);
}

static int begin_member_span(struct gzip_indexer *indexer, struct error *err)
{
	if (end_span(indexer, indexer->in_off, 0, err) < 0)
		return -1;
	indexer->span = (struct unit_span){.blob_off = indexer->in_off, .codec = CODEC_GZIP};
	return 0;
}

/* Here is a border between deflate blocks, with @bits of the last byte behind it. */
static int begin_block_span(struct gzip_indexer *indexer, unsigned bits, struct error *err)
{
	if (end_span(indexer, indexer->in_off, 8 - bits, err) < 0)
		return -1;
	indexer->span = (struct unit_span){
		.blob_off = bits > 0 ? indexer->in_off - 1 : indexer->in_off,
		.codec = CODEC_GZIP,
		.in_member = true,
		.bits = bits,
	};
	if (inflateGetDictionary(&indexer->zlib, indexer->window, &indexer->window_size) != Z_OK)
		return error_set(err, ERROR_INTERNAL, "zlib has no window");
	return window_marks_begin(
		indexer->marks, indexer->window_size, bits, indexer->last_byte, err);
}

static int begin_member(struct gzip_indexer *indexer, struct error *err)
{
	uint64_t decoded = span_sink_decoded(&indexer->sink);

	if (decoded > 0 && decoded >= indexer->sink.options.span_size / 2 &&
		begin_member_span(indexer, err) < 0)
		return -1;
	if (inflateReset(&indexer->zlib) != Z_OK)
		return error_set(err, ERROR_INTERNAL, "zlib cannot be reset");
	indexer->member_off = indexer->in_off;
	indexer->phase = IN_MEMBER;
	return 0;
}

static int inflate_failed(const struct gzip_indexer *indexer, int result, struct error *err)
{
	const char *why = indexer->zlib.msg ? indexer->zlib.msg : "damaged";

	if (result == Z_MEM_ERROR)
		return error_set(err, ERROR_NO_MEMORY, "no memory to decode gzip");
	if (indexer->n_members > 0 && indexer->in_off - indexer->member_off <= 2)
		return error_set(err, ERROR_FORMAT,
			"what follows the last gzip member at byte %" PRIu64
			" is neither another member nor zeros",
			indexer->member_off);
	return error_set(err, ERROR_FORMAT, "not valid gzip near byte %" PRIu64 ": %s",
		indexer->in_off, why);
}

/* Room for the next decoded bytes, up to where the span may end. *flush: whether to stop at a
 * border. */
static int prepare_room(struct gzip_indexer *indexer, int *flush, struct error *err)
{
	uint64_t decoded = span_sink_decoded(&indexer->sink);
	uint64_t span_size = indexer->sink.options.span_size;
	uint64_t left = decoded < span_size ? span_size - decoded : 0;
	uint8_t *room;
	size_t room_size;

	if (span_sink_room(&indexer->sink, &room, &room_size, err) < 0)
		return -1;
	*flush = left > 0 ? Z_NO_FLUSH : Z_BLOCK;
	if (left > 0 && left < room_size)
		room_size = (size_t)left;
	indexer->zlib.next_out = room;
	indexer->zlib.avail_out = (unsigned)room_size;
	return 0;
}

/* What inflate() has consumed and produced. */
static int account(struct gzip_indexer *indexer, const uint8_t *in, size_t n_in, size_t n_out,
	struct error *err)
{
	if (n_in > 0) {
		indexer->last_byte = in[n_in - 1];
		if (indexer->span.in_member)
			window_marks_feed(indexer->marks, in, n_in);
	}
	indexer->in_off += n_in;
	return span_sink_put(&indexer->sink, n_out, err);
}

/* One call of inflate(). *@starved: it needs more input. */
static int inflate_some(struct gzip_indexer *indexer, const uint8_t **in, size_t *in_size,
	bool *starved, struct error *err)
{
	z_stream *zlib = &indexer->zlib;
	unsigned given = *in_size < ZLIB_MAX ? (unsigned)*in_size : ZLIB_MAX;
	const uint8_t *before = *in;
	unsigned room;
	int flush, result;

	if (prepare_room(indexer, &flush, err) < 0)
		return -1;
	room = zlib->avail_out;
	zlib->next_in = (z_const Bytef *)before;
	zlib->avail_in = given;
	result = inflate(zlib, flush);
	*in += given - zlib->avail_in;
	*in_size -= given - zlib->avail_in;
	*starved = *in_size == 0 && zlib->avail_out > 0 && result != Z_STREAM_END;
	if (account(indexer, before, given - zlib->avail_in, room - zlib->avail_out, err) < 0)
		return -1;

	if (result == Z_STREAM_END) {
		indexer->n_members++;
		indexer->members_end = indexer->in_off;
		indexer->phase = BETWEEN_MEMBERS;
		return 0;
	}
	if (result != Z_OK && result != Z_BUF_ERROR)
		return inflate_failed(indexer, result, err);
	if (flush != Z_BLOCK || !(zlib->data_type & DATA_TYPE_BORDER) ||
		(zlib->data_type & DATA_TYPE_LAST))
		return 0;
	*starved = false;
	return begin_block_span(indexer, (unsigned)zlib->data_type & DATA_TYPE_BITS, err);
}

static int feed_member(
	struct gzip_indexer *indexer, const uint8_t **in, size_t *in_size, struct error *err)
{
	bool starved = false;

	while (!starved && indexer->phase == IN_MEMBER) {
		if (inflate_some(indexer, in, in_size, &starved, err) < 0)
			return -1;
	}
	return 0;
}

static int feed_padding(
	struct gzip_indexer *indexer, const uint8_t **in, size_t *in_size, struct error *err)
{
	for (size_t i = 0; i < *in_size; i++) {
		if ((*in)[i] != 0)
			return error_set(err, ERROR_FORMAT,
				"the zeros behind the last gzip member end at byte %" PRIu64
				", before the blob does",
				indexer->in_off + i);
	}
	indexer->in_off += *in_size;
	*in += *in_size;
	*in_size = 0;
	return 0;
}

int gzip_indexer_feed(
	struct gzip_indexer *indexer, const void *encoded, size_t encoded_size, struct error *err)
{
	const uint8_t *in = encoded;
	int result = 0;

	while (result == 0 && encoded_size > 0) {
		if (indexer->phase == IN_MEMBER)
			result = feed_member(indexer, &in, &encoded_size, err);
		else if (indexer->phase == PADDING)
			result = feed_padding(indexer, &in, &encoded_size, err);
		else if (*in == 0 && indexer->n_members > 0)
			indexer->phase = PADDING;
		else
			result = begin_member(indexer, err);
	}
	return result;
}

int gzip_indexer_end(
	struct gzip_indexer *indexer, struct gzip_indexer_summary *out, struct error *err)
{
	if (indexer->phase == IN_MEMBER)
		return error_set(err, ERROR_FORMAT,
			"the blob ends at byte %" PRIu64 ", in the middle of a gzip member",
			indexer->in_off);
	if (indexer->n_members == 0)
		return error_set(err, ERROR_FORMAT, "an empty blob is not gzip");
	if (end_span(indexer, indexer->members_end, 0, err) < 0)
		return -1;
	if (out)
		*out = (struct gzip_indexer_summary){
			.blob_size = indexer->in_off,
			.decoded_size = indexer->sink.out_off,
			.n_members = indexer->n_members,
			.n_spans = indexer->sink.span_i,
		};
	return 0;
}
