/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a blob of zstd frames: the same frames in whatever pieces it arrives, side by side
 * from its beginning to its end; what a decoder takes is never refused, and decodes to as much as
 * was said. */
#include <stdlib.h>

#include "base/bytes.h"
#include "chunk/codec.h"
#include "format/zstd_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_DECODED = 1 << 20 };

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

/* What a blob looked like. */
struct scan {
	int result;
	struct error err;
	uint64_t end;
	uint64_t decoded_size;
	uint64_t n_frames;
	bool are_sizes_known;
};

static void note(struct scan *scan, const struct zstd_frame *frame)
{
	require(frame->blob_off == scan->end && frame->blob_size >= 8);
	require(!frame->is_skippable || frame->decoded_size == 0);
	scan->end += frame->blob_size;
	scan->decoded_size += frame->decoded_size;
	scan->are_sizes_known &= frame->is_size_known;
	scan->n_frames++;
}

static struct scan scan_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
	struct scan scan = {.are_sizes_known = true};
	struct zstd_scanner scanner = {0};

	while (size > 0) {
		size_t given = size < piece ? size : piece;
		size_t consumed;
		bool ended;

		scan.result =
			zstd_scanner_feed(&scanner, data, given, &consumed, &ended, &scan.err);
		if (scan.result < 0)
			return scan;
		require(consumed > 0 && consumed <= given && (ended || consumed == given));
		if (ended)
			note(&scan, &scanner.frame);
		data += consumed;
		size -= consumed;
	}
	scan.result = zstd_scanner_end(&scanner, &scan.err);
	return scan;
}

/* Formats from before 1.0 are the decoder's alone. */
static void compare_with_decoder(const uint8_t *data, size_t size, const struct scan *scan)
{
	CLEANUP(buffer_free) struct buffer decoded = {0};

	if (codec_decode_all(CODEC_ZSTD, data, size, MAX_DECODED, &decoded, NULL) < 0)
		return;
	if (scan->result < 0) {
		require(scan->err.kind == ERROR_UNSUPPORTED);
		return;
	}
	require(scan->end == size && decoded.size <= scan->decoded_size);
	if (scan->are_sizes_known)
		require(decoded.size == scan->decoded_size);
}

static void read_seek_table(const uint8_t *data, size_t size)
{
	struct zstd_seek_table_place place;
	struct zstd_frame *frames = NULL;
	uint64_t end = 0;
	size_t n = 0;
	bool found;

	if (zstd_seek_table_find(data, size, UINT64_C(1) << 40, &found, &place, NULL) == 0 && found)
		require(range_within(place.off, place.size, UINT64_C(1) << 40));
	if (zstd_seek_table_find(data, size, size, &found, &place, NULL) < 0 || !found)
		return;
	require(range_within(place.off, place.size, size));
	if (zstd_seek_table_parse(data + place.off, &place, &frames, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		require(frames[i].blob_off == end && frames[i].blob_size > 0);
		end += frames[i].blob_size;
	}
	require(end == place.off);
	free(frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scan whole = scan_in_pieces(data, size, SIZE_MAX);
	struct scan bytes = scan_in_pieces(data, size, 1);

	require(whole.result == bytes.result && whole.end == bytes.end);
	require(whole.decoded_size == bytes.decoded_size && whole.n_frames == bytes.n_frames);
	compare_with_decoder(data, size, &whole);
	read_seek_table(data, size);
	return 0;
}
