/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The frames of a plain zstd blob, found without decoding them: where decoding can start, and what
 * can be decoded side by side. Spec: RFC 8878, section 3.1. */

/* A frame. All of it is a claim until somebody has decoded it. */
struct zstd_frame {
	uint64_t blob_off;
	uint64_t blob_size;
	uint64_t window_size;  /* memory that decoding it as a stream takes */
	uint64_t decoded_size; /* unless is_size_known, the most that its blocks can decode to */
	bool is_size_known;
	bool is_skippable; /* decodes to nothing: bookkeeping of whoever wrote it */
};

/* Follows a blob that arrives in pieces of any size. Zero-initialise; nothing is allocated. */
struct zstd_scanner {
	/* The frame under way, or the one that has just ended; sizes grow with it. */
	struct zstd_frame frame;

	struct {
		uint8_t bytes[18]; /* of the header that is being read; none is longer */
		uint8_t n_bytes;
		uint8_t state;
		bool has_checksum;
		bool is_last_block;
		uint64_t stated_size;
		uint64_t to_skip; /* payload until the next header */
	} scanner_private;
};

/**
 * zstd_scanner_feed() - look at the next bytes of the blob, up to the end of a frame.
 * @consumed: how many of them were looked at; the rest is to be given again.
 * @ended:    they end with the last byte of scanner->frame.
 * @err:      ERROR_FORMAT naming the offset of what is no frame, or cannot be what it says it is;
 *            ERROR_UNSUPPORTED for frames that need a dictionary and those from before version 1.0.
 *
 * After a failure the scanner is of no use.
 */
MUST_CHECK int zstd_scanner_feed(struct zstd_scanner *scanner, const void *data, size_t size,
	size_t *consumed, bool *ended, struct error *err);

/* The blob has ended: ERROR_FORMAT in the middle of a frame. */
MUST_CHECK int zstd_scanner_end(const struct zstd_scanner *scanner, struct error *err);

/* The seekable format: a table of all frames in a skippable frame at the end of the blob.
 * Spec: zstd, contrib/seekable_format/zstd_seekable_compression_format.md. */
enum {
	ZSTD_SEEK_TABLE_TAIL_SIZE = 9,        /* what tells that there is one */
	ZSTD_SEEK_TABLE_MAX_FRAMES = 1 << 20, /* more are refused */
};

/* Where it is. */
struct zstd_seek_table_place {
	uint64_t off;
	uint64_t size; /* at most 12 MiB */
};

/**
 * zstd_seek_table_find() - see whether a blob ends with a table.
 * @tail:  its last bytes, at least ZSTD_SEEK_TABLE_TAIL_SIZE where the blob has them.
 * @found: false for a blob without one, which is success.
 * @err:   ERROR_FORMAT when it cannot be there; ERROR_UNSUPPORTED for a variant that is not known
 *         or too large.
 */
MUST_CHECK int zstd_seek_table_find(const uint8_t *tail, size_t tail_size, uint64_t blob_size,
	bool *found, struct zstd_seek_table_place *out, struct error *err);

/**
 * zstd_seek_table_parse() - the frames that it lists.
 * @table: place->size bytes.
 * @out:   *n frames, which lie one behind the other from the first byte of the blob up to the
 *         table; free() them.
 */
MUST_CHECK int zstd_seek_table_parse(const uint8_t *table,
	const struct zstd_seek_table_place *place, struct zstd_frame **out, size_t *n,
	struct error *err);
