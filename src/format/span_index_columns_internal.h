/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

/* What is alike lies together, so that it packs well. Adding or changing one is a new version. */
enum span_index_column {
	COLUMN_LAYER,      /* codec, blob size, number of entries and spans, both digests */
	COLUMN_TYPES,      /* of each entry: a byte, enum toc_type, and ENTRY_IS_SPARSE */
	COLUMN_SHARED,     /* of each: how many bytes its name has in common with that before it */
	COLUMN_NAMES,      /* of each: the rest of its name, with a NUL */
	COLUMN_LINKS,      /* of each symlink and hard link: link name, with a NUL */
	COLUMN_MODES,      /* of each */
	COLUMN_OWNERS,     /* of each: uid, gid */
	COLUMN_TIMES,      /* of each: seconds after the one before it, signed */
	COLUMN_FRACTIONS,  /* of each: nanoseconds */
	COLUMN_DEVICES,    /* of each device: major, minor */
	COLUMN_XATTRS,     /* of each: number of xattrs; of each of those: size of the value */
	COLUMN_XATTR_TEXT, /* of each xattr: name with a NUL, value */
	COLUMN_SIZES,      /* of each regular file */
	COLUMN_GAPS,       /* of each: units of 512 bytes from the payload before it to its own */
	COLUMN_EXTENTS, /* of each sparse file: number of extents; of each: gap before it, size */
	COLUMN_SPANS, /* of each span: bytes after the one before it, signed; size; decoded size */
	COLUMN_SPAN_BITS, /* of each: a byte, SPAN_BITS_* */
	COLUMN_DIGESTS,   /* of each: 32 bytes */
	COLUMN_WINDOWS,   /* of each: size of the packed window, window */
	COLUMN_COUNT,
};

enum { ENTRY_TYPE_MASK = 0x0f, ENTRY_IS_SPARSE = 0x10 };

/* bits 0 to 2: unit_span.bits; 3 to 6: end_bits; 7: in_member */
enum {
	SPAN_BITS_MASK = 7,
	SPAN_END_BITS_SHIFT = 3,
	SPAN_END_BITS_MASK = 15,
	SPAN_IN_MEMBER = 0x80
};

/* Writing. A failed allocation is remembered, so that only the end has to be checked. */
struct column_writer {
	struct buffer bytes;
	bool is_broken;
};

void column_put_byte(struct column_writer *column, uint8_t value);
void column_put_number(struct column_writer *column, uint64_t value);
void column_put_signed(struct column_writer *column, int64_t value);
void column_put_bytes(struct column_writer *column, const void *data, size_t size);

/* Reading. What is beyond the end reads as 0 or nothing and is remembered, too. */
struct column_reader {
	const uint8_t *at;
	const uint8_t *end;
	bool is_broken;
};

uint8_t column_get_byte(struct column_reader *column);
uint64_t column_get_number(struct column_reader *column);
int64_t column_get_signed(struct column_reader *column);
/* The next @size bytes, or NULL. */
const uint8_t *column_get_bytes(struct column_reader *column, uint64_t size);
/* The text before the next NUL, or NULL. */
const char *column_get_text(struct column_reader *column, size_t *ret_size);
