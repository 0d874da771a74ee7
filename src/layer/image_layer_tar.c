/* SPDX-License-Identifier: Apache-2.0 */
/* Plain tar of which only the headers are read: the bodies of files are skipped, and come when they
 * are read. Nothing vouches for such a file alone, so this is for who has allowed that. */
#include "image_internal.h"

#include <stdlib.h>

#include "format/detect.h"
#include "format/tar.h"
#include "format/tar_toc.h"

enum {
	FIRST_WINDOW = 16 << 10,
	/* Where headers follow one another, a request has as many as a round trip is worth. */
	MAX_WINDOW = 1 << 20,
	PIECE_SIZE = 4 << 20, /* of a file, at most: what one read brings here */
};

/* Reading the headers of a layer. */
struct headers {
	const struct layer_blob *blob;
	struct tar_reader *reader;    /* owned */
	struct tar_toc *tar_toc;      /* owned */
	struct digest_hasher *hasher; /* owned; of all bytes that were looked at */
};

static void headers_clear(struct headers *headers)
{
	tar_reader_free(headers->reader);
	tar_toc_free(headers->tar_toc);
	digest_hasher_free(headers->hasher);
}

static size_t pieces_of(const struct tar_segment *segments, size_t n)
{
	size_t n_pieces = 0;

	for (size_t i = 0; i < n; i++)
		n_pieces += (size_t)((segments[i].size + PIECE_SIZE - 1) / PIECE_SIZE);
	return n_pieces;
}

static size_t cut_segment(const struct tar_segment *segment, struct toc_chunk *out)
{
	size_t n = 0;

	for (uint64_t off = 0; off < segment->size; off += PIECE_SIZE) {
		uint64_t left = segment->size - off;
		uint64_t size = left < PIECE_SIZE ? left : PIECE_SIZE;

		out[n++] = (struct toc_chunk){
			.file_off = segment->file_off + off,
			.size = size,
			.blob_off = segment->payload_off + off,
			.blob_size = size,
			.codec = CODEC_NONE,
			.flags = UNIT_UNVERIFIED,
		};
	}
	return n;
}

static int add_member(void *arg, const struct tar_entry *entry, struct error *err)
{
	struct headers *headers = arg;
	CLEANUP(cleanup_free) struct toc_chunk *chunks = NULL;
	const struct tar_segment *segments;
	uint64_t blob_size = headers->blob->descriptor->size;
	size_t n_segments, index, n = 0;

	if (entry->payload_off > blob_size || entry->payload_size > blob_size - entry->payload_off)
		return error_set(err, ERROR_FORMAT,
			"entry '%.200s' ends behind the end of the layer", entry->name);
	if (tar_toc_add(headers->tar_toc, entry, &index, err) < 0)
		return -1;
	segments = tar_toc_segments(headers->tar_toc, index, &n_segments);
	if (n_segments == 0)
		return 0;
	chunks = calloc(pieces_of(segments, n_segments), sizeof(*chunks));
	if (!chunks)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a table of contents");
	for (size_t i = 0; i < n_segments; i++)
		n += cut_segment(&segments[i], chunks + n);
	return tar_toc_set_chunks(headers->tar_toc, index, chunks, n, err);
}

/* Feeds [off, off + size) of the blob, but for what can be skipped. */
static int feed(
	struct headers *headers, uint64_t off, const struct buffer *window, struct error *err)
{
	struct tar_reader *reader = headers->reader;
	uint64_t blob_size = headers->blob->descriptor->size;
	uint64_t at;

	while ((at = tar_reader_off(reader)) < off + window->size) {
		if (tar_reader_skip(reader, blob_size - at) > 0)
			continue;
		/* One record: the reader may skip behind each. */
		uint64_t left = off + window->size - at;
		size_t size = left < 512 ? (size_t)left : 512;

		if (tar_reader_feed(reader, window->data + (at - off), size, err) < 0)
			return -1;
	}
	return 0;
}

static int read_headers(struct headers *headers, struct error *err)
{
	uint64_t blob_size = headers->blob->descriptor->size;
	uint64_t off, window_size = FIRST_WINDOW, last_end = 0;

	while ((off = tar_reader_off(headers->reader)) < blob_size) {
		CLEANUP(buffer_free) struct buffer window = {0};
		uint64_t size = blob_size - off;

		if (off != last_end)
			window_size = FIRST_WINDOW;
		else if (off > 0 && window_size < MAX_WINDOW)
			window_size *= 2;
		size = size < window_size ? size : window_size;
		if (layer_blob_read(headers->blob, off, size, &window, err) < 0)
			return -1;
		if (window.size != size)
			return error_set(err, ERROR_FORMAT,
				"%zu bytes of the layer came where %ju were asked for", window.size,
				(uintmax_t)size);
		if (off == 0 && detect_content(headers->blob->descriptor, window.data, window.size,
					err) < 0)
			return -1;
		if (digest_hasher_update(headers->hasher, window.data, window.size, err) < 0 ||
			feed(headers, off, &window, err) < 0)
			return -1;
		last_end = off + window.size;
	}
	return tar_reader_finish(headers->reader, err);
}

int image_layer_tar(
	const struct layer_blob *blob, struct toc **out, struct digest *digest, struct error *err)
{
	CLEANUP(headers_clear) struct headers headers = {.blob = blob};

	if (tar_toc_new(&headers.tar_toc, err) < 0 ||
		tar_reader_new(add_member, &headers, &headers.reader, err) < 0 ||
		digest_hasher_new(DIGEST_SHA256, &headers.hasher, err) < 0 ||
		read_headers(&headers, err) < 0 ||
		digest_hasher_final(headers.hasher, digest, err) < 0)
		return -1;
	return tar_toc_finish(headers.tar_toc, out, err);
}
