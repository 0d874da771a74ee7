/* SPDX-License-Identifier: Apache-2.0 */
/* Walks from frame to frame of a zstd blob by the headers of frames and blocks. */
#include "format/zstd_frames.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"

/* RFC 8878 sections 3.1.1 and 3.1.2; the lowest four bits of the second are free. */
#define FRAME_MAGIC UINT32_C(0xfd2fb528)
#define SKIPPABLE_MAGIC UINT32_C(0x184d2a50)
/* Formats that were in use before 1.0: the last digit of their magics is 2 to 7. */
#define LEGACY_MAGIC UINT32_C(0xfd2fb520)

enum {
	MAGIC_SIZE = 4,
	SKIPPABLE_HEADER_SIZE = 8,
	DESCRIPTOR = MAGIC_SIZE, /* of a frame's header: what else is in it */
	BLOCK_HEADER_SIZE = 3,
	CHECKSUM_SIZE = 4,
	MAX_BLOCK_SIZE = 128 << 10, /* decoded, of a compressed block */
};

/* What comes next. */
enum state { MAGIC, SKIPPABLE_HEADER, DESCRIPTOR_BYTE, HEADER, BLOCK_HEADER, PAYLOAD, CHECKSUM };

enum block_type { BLOCK_RAW, BLOCK_RLE, BLOCK_COMPRESSED };

/* The bytes of one call. */
struct cursor {
	const uint8_t *at;
	size_t size; /* left */
};

static int broken(const struct zstd_scanner *scanner, const char *why, struct error *err)
{
	return error_set(
		err, ERROR_FORMAT, "zstd frame at %" PRIu64 " %s", scanner->frame.blob_off, why);
}

static void advance(struct zstd_scanner *scanner, struct cursor *cursor, size_t size)
{
	cursor->at += size;
	cursor->size -= size;
	scanner->frame.blob_size += size;
}

/* Collects bytes of a header until there are so many; false when more are needed. */
static bool collect(struct zstd_scanner *scanner, struct cursor *cursor, size_t wanted)
{
	size_t missing = wanted - scanner->scanner_private.n_bytes;
	size_t size = cursor->size < missing ? cursor->size : missing;

	memcpy(scanner->scanner_private.bytes + scanner->scanner_private.n_bytes, cursor->at, size);
	scanner->scanner_private.n_bytes += (uint8_t)size;
	advance(scanner, cursor, size);
	return size == missing;
}

static void expect(struct zstd_scanner *scanner, enum state state)
{
	scanner->scanner_private.state = (uint8_t)state;
	scanner->scanner_private.n_bytes = 0;
}

static int read_magic(struct zstd_scanner *scanner, struct error *err)
{
	uint32_t magic = le32_load(scanner->scanner_private.bytes);

	if (magic == FRAME_MAGIC) {
		scanner->scanner_private.state = DESCRIPTOR_BYTE;
		return 0;
	}
	if ((magic & ~UINT32_C(15)) == SKIPPABLE_MAGIC) {
		scanner->scanner_private.state = SKIPPABLE_HEADER;
		scanner->frame.is_skippable = true;
		scanner->frame.is_size_known = true;
		return 0;
	}
	if (magic >= LEGACY_MAGIC + 2 && magic <= LEGACY_MAGIC + 7)
		return error_set(err, ERROR_UNSUPPORTED,
			"zstd frame at %" PRIu64 " is of a format from before version 1.0",
			scanner->frame.blob_off);
	return error_set(err, ERROR_FORMAT,
		"no zstd frame at %" PRIu64 ", but bytes that begin with %08" PRIx32,
		scanner->frame.blob_off, magic);
}

/* RFC 8878 section 3.1.1.1.1: the fields that follow the descriptor. */
struct header_layout {
	bool is_single_segment;
	size_t dictionary; /* offset */
	size_t dictionary_size;
	size_t content_size; /* offset */
	size_t content_size_size;
	size_t size;
};

static struct header_layout header_layout(uint8_t descriptor)
{
	static const uint8_t dictionary_sizes[] = {0, 1, 2, 4};
	static const uint8_t content_sizes[] = {0, 2, 4, 8};
	struct header_layout layout = {
		.is_single_segment = descriptor & 0x20,
		.dictionary_size = dictionary_sizes[descriptor & 3],
		.content_size_size = content_sizes[descriptor >> 6],
	};

	if (layout.is_single_segment && layout.content_size_size == 0)
		layout.content_size_size = 1;
	layout.dictionary = DESCRIPTOR + 1 + (layout.is_single_segment ? 0 : 1);
	layout.content_size = layout.dictionary + layout.dictionary_size;
	layout.size = layout.content_size + layout.content_size_size;
	return layout;
}

static uint64_t load(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	while (size > 0)
		value = value << 8 | bytes[--size];
	return value;
}

static int read_header(
	struct zstd_scanner *scanner, const struct header_layout *layout, struct error *err)
{
	const uint8_t *bytes = scanner->scanner_private.bytes;
	uint8_t window = bytes[DESCRIPTOR + 1];
	uint64_t base = UINT64_C(1) << (10 + (window >> 3));
	uint64_t size = load(bytes + layout->content_size, layout->content_size_size);

	if (bytes[DESCRIPTOR] & 8)
		return error_set(err, ERROR_UNSUPPORTED,
			"zstd frame at %" PRIu64 " uses what version 1 of the format reserves",
			scanner->frame.blob_off);
	if (load(bytes + layout->dictionary, layout->dictionary_size) != 0)
		return error_set(err, ERROR_UNSUPPORTED,
			"zstd frame at %" PRIu64 " needs a dictionary", scanner->frame.blob_off);
	if (layout->content_size_size == 2)
		size += 256;
	scanner->frame.is_size_known = layout->content_size_size > 0;
	scanner->frame.window_size =
		layout->is_single_segment ? size : base + base / 8 * (window & 7);
	scanner->scanner_private.stated_size = size;
	scanner->scanner_private.has_checksum = bytes[DESCRIPTOR] & 4;
	return 0;
}

static int read_block_header(struct zstd_scanner *scanner, struct error *err)
{
	uint32_t header = (uint32_t)load(scanner->scanner_private.bytes, BLOCK_HEADER_SIZE);
	uint32_t size = header >> 3;

	scanner->scanner_private.is_last_block = header & 1;
	scanner->scanner_private.to_skip = size;
	switch (header >> 1 & 3) {
	case BLOCK_RAW:
		scanner->frame.decoded_size += size;
		break;
	case BLOCK_RLE:
		scanner->frame.decoded_size += size;
		scanner->scanner_private.to_skip = 1;
		break;
	case BLOCK_COMPRESSED:
		scanner->frame.decoded_size += MAX_BLOCK_SIZE;
		break;
	default:
		return broken(scanner, "has a block of a reserved type", err);
	}
	return 0;
}

/* All of the frame was seen. */
static int finish(struct zstd_scanner *scanner, bool *ended, struct error *err)
{
	struct zstd_frame *frame = &scanner->frame;

	if (frame->is_size_known && !frame->is_skippable) {
		if (scanner->scanner_private.stated_size > frame->decoded_size)
			return broken(scanner, "says that it decodes to more than it can", err);
		frame->decoded_size = scanner->scanner_private.stated_size;
	}
	expect(scanner, MAGIC);
	*ended = true;
	return 0;
}

static int end_block(struct zstd_scanner *scanner, bool *ended, struct error *err)
{
	if (scanner->frame.is_skippable)
		return finish(scanner, ended, err);
	if (!scanner->scanner_private.is_last_block) {
		expect(scanner, BLOCK_HEADER);
		return 0;
	}
	if (!scanner->scanner_private.has_checksum)
		return finish(scanner, ended, err);
	expect(scanner, CHECKSUM);
	return 0;
}

static int skip_payload(
	struct zstd_scanner *scanner, struct cursor *cursor, bool *ended, struct error *err)
{
	uint64_t left = scanner->scanner_private.to_skip;
	size_t size = cursor->size < left ? cursor->size : (size_t)left;

	advance(scanner, cursor, size);
	scanner->scanner_private.to_skip -= size;
	return scanner->scanner_private.to_skip > 0 ? 0 : end_block(scanner, ended, err);
}

/* One state's worth of bytes. */
static int step(struct zstd_scanner *scanner, struct cursor *cursor, bool *ended, struct error *err)
{
	const uint8_t *bytes = scanner->scanner_private.bytes;
	struct header_layout layout;

	switch ((enum state)scanner->scanner_private.state) {
	case MAGIC:
		return collect(scanner, cursor, MAGIC_SIZE) ? read_magic(scanner, err) : 0;
	case SKIPPABLE_HEADER:
		if (!collect(scanner, cursor, SKIPPABLE_HEADER_SIZE))
			return 0;
		scanner->scanner_private.to_skip = le32_load(bytes + MAGIC_SIZE);
		expect(scanner, PAYLOAD);
		break;
	case DESCRIPTOR_BYTE:
		if (collect(scanner, cursor, DESCRIPTOR + 1))
			scanner->scanner_private.state = HEADER;
		return 0;
	case HEADER:
		layout = header_layout(bytes[DESCRIPTOR]);
		if (!collect(scanner, cursor, layout.size))
			return 0;
		if (read_header(scanner, &layout, err) < 0)
			return -1;
		expect(scanner, BLOCK_HEADER);
		return 0;
	case BLOCK_HEADER:
		if (!collect(scanner, cursor, BLOCK_HEADER_SIZE))
			return 0;
		if (read_block_header(scanner, err) < 0)
			return -1;
		expect(scanner, PAYLOAD);
		break;
	case PAYLOAD:
		break;
	case CHECKSUM:
		return collect(scanner, cursor, CHECKSUM_SIZE) ? finish(scanner, ended, err) : 0;
	}
	/* Also a payload of no bytes, for which no more may come. */
	return skip_payload(scanner, cursor, ended, err);
}

int zstd_scanner_feed(struct zstd_scanner *scanner, const void *data, size_t size, size_t *consumed,
	bool *ended, struct error *err)
{
	struct cursor cursor = {.at = data, .size = size};
	struct zstd_frame *frame = &scanner->frame;

	*ended = false;
	if (size > 0 && scanner->scanner_private.state == MAGIC &&
		scanner->scanner_private.n_bytes == 0)
		*frame = (struct zstd_frame){.blob_off = frame->blob_off + frame->blob_size};
	while (cursor.size > 0 && !*ended) {
		if (step(scanner, &cursor, ended, err) < 0)
			return -1;
	}
	*consumed = size - cursor.size;
	return 0;
}

int zstd_scanner_end(const struct zstd_scanner *scanner, struct error *err)
{
	if (scanner->scanner_private.state == MAGIC && scanner->scanner_private.n_bytes == 0)
		return 0;
	return broken(scanner, "is not complete: the blob ends in it", err);
}
