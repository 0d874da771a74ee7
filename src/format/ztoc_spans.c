/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of a ztoc: checkpoints of zlib for gzip, pieces of equal size for plain archives, and
 * the digests of their bytes of the blob. */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "ztoc_internal.h"

enum {
	/* Layout of the checkpoints: a count and a span size, then points without padding. */
	COUNT_SIZE = 4,
	HEADER_SIZE = COUNT_SIZE + 8,
	POINT_IN = 0,
	POINT_OUT = 8,
	POINT_BITS = 16,
	POINT_WINDOW = 17,
	POINT_SIZE = POINT_WINDOW + SPAN_WINDOW_SIZE,
	/* The first point where it is left out: a gzip header without a name, and nothing decoded.
	 */
	FIRST_IN = 10,
	/* An uncompressed archive in the form without FlatBuffers: version, span size, size. */
	PLAIN_SIZE = 4 + 8 + 8,
};

/* Where decoding can start. */
struct point {
	uint64_t in; /* in the blob; the upper @bits bits of the byte before it belong to it, too */
	uint64_t out; /* in the archive */
	unsigned bits;
	const uint8_t *window; /* SPAN_WINDOW_SIZE bytes of the archive before @out; NULL: none */
};

struct points {
	const uint8_t *stored; /* of the first point that is stored */
	size_t n;
	bool has_first; /* is stored */
};

/* A vector of bytes looks like a string. */
static int open_points(const struct flat_table *compression, struct points *out, struct error *err)
{
	struct flat_bytes bytes;
	uint64_t n, points_size;

	if (flat_bytes(compression, COMPRESSION_CHECKPOINTS, &bytes) < 0)
		return ztoc_broken(err, "checkpoints");
	if (bytes.size < HEADER_SIZE)
		return error_set(err, ERROR_FORMAT, "checkpoints of %zu bytes", bytes.size);
	n = le32_load(bytes.data);
	points_size = bytes.size - HEADER_SIZE;
	if (n == 0 || n > SPAN_INDEX_MAX_SPANS)
		return error_set(err, ERROR_FORMAT, "%" PRIu64 " checkpoints; 1 to %d are possible",
			n, (int)SPAN_INDEX_MAX_SPANS);
	if (points_size != n * POINT_SIZE && points_size != (n - 1) * POINT_SIZE)
		return error_set(err, ERROR_FORMAT,
			"%" PRIu64
			" checkpoints in %zu bytes: neither all of them nor all but the first",
			n, bytes.size);
	*out = (struct points){
		.stored = (const uint8_t *)bytes.data + HEADER_SIZE,
		.n = (size_t)n,
		.has_first = points_size == n * POINT_SIZE,
	};
	return 0;
}

static struct point get_point(const struct points *points, size_t i)
{
	const uint8_t *stored = points->stored;

	if (!points->has_first && i == 0)
		return (struct point){.in = FIRST_IN};
	stored += (i - (points->has_first ? 0 : 1)) * POINT_SIZE;
	return (struct point){
		.in = le64_load(stored + POINT_IN),
		.out = le64_load(stored + POINT_OUT),
		.bits = stored[POINT_BITS],
		.window = stored + POINT_WINDOW,
	};
}

/* Digests are text: "sha256:...". */
static int get_digest(
	const struct flat_vector *digests, size_t i, uint8_t out[32], struct error *err)
{
	char copy[DIGEST_TEXT_SIZE];
	struct flat_bytes text;
	struct digest digest;

	if (flat_vector_bytes(digests, i, &text) < 0)
		return ztoc_broken(err, "span_digests");
	if (text.size >= sizeof(copy) || memchr(text.data, '\0', text.size))
		return error_set(err, ERROR_FORMAT, "its digest is none");
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	if (digest_parse(copy, &digest, err) < 0)
		return -1;
	if (digest.algorithm != DIGEST_SHA256)
		return error_set(err, ERROR_UNSUPPORTED, "its digest is not SHA-256");
	memcpy(out, digest.bytes, 32);
	return 0;
}

/* Before the 32 KiB of the archive that a window holds there may be less than 32 KiB. */
static int set_window(
	const struct point *point, struct buffer *packed, struct unit_span *span, struct error *err)
{
	size_t size = point->out < SPAN_WINDOW_SIZE ? (size_t)point->out : SPAN_WINDOW_SIZE;

	if (!point->window || size == 0)
		return 0;
	packed->size = 0;
	if (span_window_pack(point->window + SPAN_WINDOW_SIZE - size, size, packed, err) < 0)
		return -1;
	span->window = packed->size > 0 ? packed->data : NULL;
	span->window_size = packed->size;
	return 0;
}

static int check_points(const struct ztoc_reader *reader, const struct point *point,
	const struct point *next, struct error *err)
{
	if (point->in == 0 || point->bits > 7 || next->bits > 7 || next->in < point->in ||
		next->in > reader->index->blob_size || next->out < point->out)
		return error_set(err, ERROR_FORMAT,
			"it goes from %" PRIu64 " to %" PRIu64 " of the archive, from %" PRIu64
			" (%u bits) to %" PRIu64 " of the blob",
			point->out, next->out, point->in, point->bits, next->in);
	return 0;
}

/* From one point to the next. Points without anything between them make no span. */
static int add_gzip_span(struct ztoc_reader *reader, const struct point *point,
	const struct point *next, const uint8_t digest[32], struct buffer *packed,
	struct error *err)
{
	uint64_t shared = point->bits > 0 ? 1 : 0;
	struct unit_span span = {
		.blob_off = point->in - shared,
		.blob_size = next->in - point->in + shared,
		.decoded_size = next->out - point->out,
		.digest_kind = SPAN_DIGEST_ENCODED,
		.codec = CODEC_GZIP,
		.in_member = true,
		.bits = point->bits,
		.end_bits = next->bits > 0 ? 8 - next->bits : 0,
	};

	if (span.decoded_size == 0)
		return 0;
	memcpy(span.digest, digest, sizeof(span.digest));
	if (set_window(point, packed, &span, err) < 0)
		return -1;
	return span_index_add_span(reader->index, &span, err);
}

static int read_points(struct ztoc_reader *reader, const struct points *points,
	const struct flat_vector *digests, struct buffer *packed, struct error *err)
{
	struct point point = get_point(points, 0), next;

	if (point.out != 0)
		return error_set(err, ERROR_FORMAT,
			"the first span starts at %" PRIu64 " of the archive", point.out);
	for (size_t i = 0; i < points->n; i++, point = next) {
		uint8_t digest[32];

		if (i + 1 < points->n)
			next = get_point(points, i + 1);
		else
			next = (struct point){
				.in = reader->index->blob_size,
				/* What follows the end of the archive may have spans, too. */
				.out = point.out > reader->archive_size ? point.out
									: reader->archive_size,
			};
		if (check_points(reader, &point, &next, err) < 0 ||
			get_digest(digests, i, digest, err) < 0 ||
			add_gzip_span(reader, &point, &next, digest, packed, err) < 0)
			return error_prefix(err, "checkpoint %zu", i);
	}
	return 0;
}

static int check_count(const struct flat_table *compression, const struct flat_vector *digests,
	uint64_t n, struct error *err)
{
	uint64_t max_span;

	if (flat_number(compression, COMPRESSION_MAX_SPAN, 4, 0, &max_span) < 0)
		return ztoc_broken(err, "max_span_id");
	if (digests->n != n || max_span + 1 != n)
		return error_set(err, ERROR_FORMAT,
			"%" PRIu64 " spans, but %zu digests and %" PRIu64
			" as the number of the last",
			n, digests->n, max_span);
	return 0;
}

static int read_gzip(struct ztoc_reader *reader, const struct flat_table *compression,
	const struct flat_vector *digests, struct error *err)
{
	CLEANUP(buffer_free) struct buffer packed = {0};
	struct points points = {0};

	reader->index->codec = CODEC_GZIP;
	if (open_points(compression, &points, err) < 0 ||
		check_count(compression, digests, points.n, err) < 0)
		return -1;
	return read_points(reader, &points, digests, &packed, err);
}

/* The size of spans: from a table of its own, or from the same numbers without one. */
static int read_span_size(const struct flat_table *compression, uint64_t *span_size, uint64_t *size,
	struct error *err)
{
	struct flat_bytes bytes;
	struct flat_file file;
	struct flat_table table;

	if (flat_bytes(compression, COMPRESSION_CHECKPOINTS, &bytes) < 0)
		return ztoc_broken(err, "checkpoints");
	if (bytes.size == PLAIN_SIZE) {
		*span_size = le64_load(bytes.data + 4);
		*size = le64_load(bytes.data + 12);
		return 0;
	}
	file = (struct flat_file){.data = (const uint8_t *)bytes.data, .size = bytes.size};
	if (flat_root(&file, &table) < 0 ||
		flat_number(&table, TAR_SPAN_SIZE, 8, 0, span_size) < 0 ||
		flat_number(&table, TAR_SIZE, 8, 0, size) < 0)
		return ztoc_broken(err, "checkpoints");
	return 0;
}

static int read_plain(struct ztoc_reader *reader, const struct flat_table *compression,
	const struct flat_vector *digests, struct error *err)
{
	uint64_t blob_size = reader->index->blob_size;
	uint64_t span_size, size, n;

	reader->index->codec = CODEC_NONE;
	if (read_span_size(compression, &span_size, &size, err) < 0)
		return -1;
	if (size != blob_size || span_size == 0)
		return error_set(err, ERROR_FORMAT,
			"spans of %" PRIu64 " bytes of a blob of %" PRIu64 " instead of %" PRIu64,
			span_size, size, blob_size);
	n = size / span_size + (size % span_size > 0 ? 1 : 0);
	if (check_count(compression, digests, n, err) < 0)
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t off = i * span_size;
		struct unit_span span = {
			.blob_off = off,
			.blob_size = size - off < span_size ? size - off : span_size,
			.digest_kind = SPAN_DIGEST_ENCODED,
			.codec = CODEC_NONE,
		};

		span.decoded_size = span.blob_size;
		if (get_digest(digests, (size_t)i, span.digest, err) < 0 ||
			span_index_add_span(reader->index, &span, err) < 0)
			return error_prefix(err, "span %" PRIu64, i);
	}
	return 0;
}

int ztoc_read_spans(
	struct ztoc_reader *reader, const struct flat_table *compression, struct error *err)
{
	struct flat_vector digests;
	uint64_t algorithm;

	if (flat_number(compression, COMPRESSION_ALGORITHM, 1, ZTOC_GZIP, &algorithm) < 0)
		return ztoc_broken(err, "compression_algorithm");
	if (flat_vector(compression, COMPRESSION_DIGESTS, &digests) < 0)
		return ztoc_broken(err, "span_digests");
	switch (algorithm) {
	case ZTOC_GZIP:
		return read_gzip(reader, compression, &digests, err);
	case ZTOC_UNCOMPRESSED:
		return read_plain(reader, compression, &digests, err);
	default:
		return error_set(err, ERROR_UNSUPPORTED,
			"compression algorithm %" PRIu64 "; gzip and none are supported",
			algorithm);
	}
}
