/* SPDX-License-Identifier: Apache-2.0 */
/* The table of frames at the end of a blob in zstd's seekable format. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "format/zstd_frames.h"

#define TABLE_MAGIC UINT32_C(0x184d2a5e) /* of its skippable frame */
#define FOOTER_MAGIC UINT32_C(0x8f92eab1)

enum {
	HEADER_SIZE = 8,
	ENTRY_SIZE = 8,          /* sizes of a frame: in the blob, decoded */
	ENTRY_CHECKSUM_SIZE = 4, /* of the decoded bytes, where there are any */
	HAS_CHECKSUMS = 0x80,    /* in the footer's descriptor */
	RESERVED = 0x7c,
	/* Offsets in the footer. */
	N_FRAMES = 0,
	DESCRIPTOR = 4,
	MAGIC = 5,
};

static uint64_t entry_size(uint8_t descriptor)
{
	return ENTRY_SIZE + (descriptor & HAS_CHECKSUMS ? ENTRY_CHECKSUM_SIZE : 0);
}

int zstd_seek_table_find(const uint8_t *tail, size_t tail_size, uint64_t blob_size, bool *found,
	struct zstd_seek_table_place *out, struct error *err)
{
	const uint8_t *footer;
	uint32_t n_frames;
	uint64_t size;

	*found = false;
	if (tail_size < ZSTD_SEEK_TABLE_TAIL_SIZE)
		return 0;
	footer = tail + tail_size - ZSTD_SEEK_TABLE_TAIL_SIZE;
	if (le32_load(footer + MAGIC) != FOOTER_MAGIC)
		return 0;
	n_frames = le32_load(footer + N_FRAMES);
	if (footer[DESCRIPTOR] & RESERVED)
		return error_set(err, ERROR_UNSUPPORTED,
			"zstd seek table: descriptor %02x has bits that are reserved",
			footer[DESCRIPTOR]);
	if (n_frames > ZSTD_SEEK_TABLE_MAX_FRAMES)
		return error_set(err, ERROR_UNSUPPORTED,
			"zstd seek table: %" PRIu32 " frames; at most %d are read", n_frames,
			(int)ZSTD_SEEK_TABLE_MAX_FRAMES);
	size = HEADER_SIZE + n_frames * entry_size(footer[DESCRIPTOR]) + ZSTD_SEEK_TABLE_TAIL_SIZE;
	if (size > blob_size)
		return error_set(err, ERROR_FORMAT,
			"zstd seek table: %" PRIu64 " bytes in a blob of %" PRIu64, size,
			blob_size);
	*out = (struct zstd_seek_table_place){.off = blob_size - size, .size = size};
	*found = true;
	return 0;
}

static int check_frame(
	const uint8_t *table, const struct zstd_seek_table_place *place, struct error *err)
{
	const uint8_t *footer = table + place->size - ZSTD_SEEK_TABLE_TAIL_SIZE;
	uint64_t entries = le32_load(footer + N_FRAMES) * entry_size(footer[DESCRIPTOR]);

	if (le32_load(table) != TABLE_MAGIC || le32_load(table + 4) != place->size - HEADER_SIZE)
		return error_set(err, ERROR_FORMAT,
			"zstd seek table: no skippable frame of %" PRIu64 " bytes at %" PRIu64,
			place->size, place->off);
	if (le32_load(footer + MAGIC) != FOOTER_MAGIC ||
		entries != place->size - HEADER_SIZE - ZSTD_SEEK_TABLE_TAIL_SIZE)
		return error_set(err, ERROR_FORMAT, "zstd seek table: its end has changed");
	return 0;
}

int zstd_seek_table_parse(const uint8_t *table, const struct zstd_seek_table_place *place,
	struct zstd_frame **out, size_t *n, struct error *err)
{
	const uint8_t *footer = table + place->size - ZSTD_SEEK_TABLE_TAIL_SIZE;
	CLEANUP(cleanup_free) struct zstd_frame *frames = NULL;
	const uint8_t *entry = table + HEADER_SIZE;
	uint64_t off = 0;
	size_t n_frames;

	if (check_frame(table, place, err) < 0)
		return -1;
	n_frames = le32_load(footer + N_FRAMES);
	frames = calloc(n_frames + 1, sizeof(*frames));
	if (!frames)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu zstd frames", n_frames);
	for (size_t i = 0; i < n_frames; i++, entry += entry_size(footer[DESCRIPTOR])) {
		frames[i] = (struct zstd_frame){
			.blob_off = off,
			.blob_size = le32_load(entry),
			.decoded_size = le32_load(entry + 4),
			.is_size_known = true,
		};
		if (frames[i].blob_size == 0 || frames[i].blob_size > place->off - off)
			return error_set(err, ERROR_FORMAT,
				"zstd seek table: frame %zu has %" PRIu64 " bytes at %" PRIu64
				" of %" PRIu64,
				i, frames[i].blob_size, off, place->off);
		off += frames[i].blob_size;
	}
	if (off != place->off)
		return error_set(err, ERROR_FORMAT,
			"zstd seek table: its frames end at %" PRIu64 " and not at %" PRIu64, off,
			place->off);
	*out = TAKE_PTR(frames);
	*n = n_frames;
	return 0;
}
