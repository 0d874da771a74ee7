/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "format/tar.h"

enum {
	TAR_RECORD_SIZE = 512,
	/* One extension header, and all global ones together: what Go's archive/tar accepts. */
	TAR_MAX_EXTENSION = 1 << 20,
	TAR_MAX_SEGMENTS = 1 << 18, /* 6 MiB; Go's limit is about the same */
	TAR_MAX_HEADER_NAME = 256,  /* prefix, slash and name */
};

/* What a PAX record can say, as far as it matters here. */
enum tar_key {
	TAR_KEY_PATH,
	TAR_KEY_LINK_PATH,
	TAR_KEY_SIZE,
	TAR_KEY_UID,
	TAR_KEY_GID,
	TAR_KEY_MTIME,
	TAR_KEY_DEV_MAJOR,
	TAR_KEY_DEV_MINOR,
	/* Of one member only, never from a global header. */
	TAR_FIRST_SPARSE_KEY,
	TAR_KEY_SPARSE_MAJOR = TAR_FIRST_SPARSE_KEY,
	TAR_KEY_SPARSE_MINOR,
	TAR_KEY_SPARSE_NAME,
	TAR_KEY_SPARSE_SIZE,
	TAR_KEY_SPARSE_REAL_SIZE,
	TAR_KEY_SPARSE_N_PAIRS,
	TAR_KEY_SPARSE_MAP, /* without a value: the reader's map has it */
	TAR_N_KEYS,
};

struct tar_value {
	union {
		uint64_t number;
		int64_t seconds;
		size_t text_off; /* in the text of its tar_pax; NUL-terminated */
	};
	uint32_t nanoseconds;
};

/* Offsets in the text of its tar_pax. */
struct tar_pax_xattr {
	size_t name_off;
	size_t value_off;
	uint32_t value_size;
};

/* PAX records, of one member or global. Zero-initialise. */
struct tar_pax {
	struct buffer text; /* the records; each '=' and each newline at the end is NUL */
	unsigned present;   /* bits 1 << enum tar_key */
	unsigned erased;    /* an empty value takes back a global one */
	struct tar_value values[TAR_N_KEYS];
	struct tar_pax_xattr *xattrs; /* owned */
	size_t n_xattrs;
	size_t xattrs_capacity;
};

/* Where the data of a sparse file are. Zero-initialise. */
struct tar_map {
	struct tar_segment *segments; /* owned; payload_off from the first byte of data on */
	size_t n;
	size_t capacity;
	uint64_t n_pairs;   /* (offset, size) read so far, empty ones included */
	uint64_t end;       /* in the file */
	uint64_t data_size; /* all segments together */
	bool has_off;       /* the first half of a pair */
	uint64_t off;
};

/* Reading the decimal numbers in front of a payload: sparse format 1.0. */
struct tar_map_text {
	uint64_t number;
	unsigned n_digits;
	bool has_count;
	uint64_t n_numbers; /* still to come */
};

enum tar_state {
	TAR_STATE_HEADER,
	TAR_STATE_EXTENSION,     /* PAX records or a GNU long name */
	TAR_STATE_SPARSE_HEADER, /* the map of an old GNU sparse file goes on */
	TAR_STATE_SPARSE_TEXT,   /* the map of a sparse file, format 1.0 */
	TAR_STATE_PAYLOAD,
	TAR_STATE_ONE_ZERO, /* one record of zeros: half an end */
	TAR_STATE_END,
};

struct tar_reader {
	tar_entry_fn *each;
	tar_payload_fn *payload; /* NULL: not wanted */
	void *arg;
	enum tar_state state;
	uint64_t off; /* of the next byte in the archive */

	uint8_t record[TAR_RECORD_SIZE]; /* being filled */
	size_t record_size;

	struct buffer *extension; /* where it goes */
	size_t extension_start;   /* in there */
	char extension_type;
	uint64_t extension_size; /* still to come */

	/* Of the member whose headers are being read, or whose payload is. */
	struct tar_pax local;
	struct buffer long_name; /* GNU 'L'; its size 0: none */
	struct buffer long_link; /* GNU 'K' */
	struct tar_map map;
	struct tar_map_text map_text;
	char header_name[TAR_MAX_HEADER_NAME + 1];
	char header_link[101];
	struct toc_xattr *xattrs; /* owned */
	size_t xattrs_capacity;
	struct tar_entry entry;

	uint64_t payload_left;
	uint64_t padding_left; /* also behind extensions */
	size_t segment;        /* that payload is in */
	uint64_t segment_done;

	struct tar_pax global;
	struct buffer scratch;
};

/* tar.c */

/* "tar header at byte N: what", and -1. */
int tar_wrong(const struct tar_reader *reader, const char *what, struct error *err);
int tar_no_memory(struct error *err);

/* All that leads to the payload of reader->entry is read: 0 go on, 1 enough, -1. */
MUST_CHECK int tar_begin_payload(struct tar_reader *reader, struct error *err);

/* tar_header.c */

bool tar_is_zeros(const uint8_t *record);
bool tar_checksum_matches(const uint8_t *record);

/* Octal, or GNU's base-256; both may be negative only in the latter. False: no number. */
bool tar_parse_number(const uint8_t *field, size_t size, int64_t *out);

/* The size field. */
MUST_CHECK int tar_header_size(const struct tar_reader *reader, uint64_t *out, struct error *err);
char tar_header_type(const uint8_t *record);
bool tar_header_is_gnu(const uint8_t *record);

/* reader->record is the header of something with a payload: sets payload_left and padding_left. */
MUST_CHECK int tar_measure_payload(struct tar_reader *reader, struct error *err);

/* reader->record is the header of a member: does the same, and fills reader->entry, except for
 * where the payload is. */
MUST_CHECK int tar_decode_header(struct tar_reader *reader, struct error *err);

/* tar_pax.c */

/* Reads what was appended to the text since @start. */
MUST_CHECK int tar_pax_parse(
	struct tar_reader *reader, struct tar_pax *pax, size_t start, struct error *err);
/* What the member's own records say or else the global ones; NULL: neither. */
const struct tar_value *tar_pax_find(const struct tar_reader *reader, enum tar_key key);
/* The same, as text; NULL: neither. */
const char *tar_pax_text(const struct tar_reader *reader, enum tar_key key);
void tar_pax_reset(struct tar_pax *pax);
void tar_pax_free(struct tar_pax *pax);
/* The name of an xattr in the key of a record, NULL when it is something else; what is encoded is
 * decoded in place. Leaf function: -EINVAL for a value that cannot be decoded, -ENOMEM. */
MUST_CHECK int tar_pax_xattr(
	char *key, char *value, size_t *value_size, struct buffer *scratch, char **ret_name);
/* Digits only, at most 63 bits. */
bool tar_parse_decimal(const char *text, size_t size, uint64_t *out);
/* Sets reader->entry.xattrs. */
MUST_CHECK int tar_collect_xattrs(struct tar_reader *reader, struct error *err);

/* Makes room for @needed items of @item_size bytes in a malloc()ed array that grows by doubling:
 * 0, or -ENOMEM with the array as it was. */
MUST_CHECK int tar_grow(void *array_pointer, size_t *capacity, size_t needed, size_t item_size);

/* tar_sparse.c */

/* The next pair of a sparse map. */
MUST_CHECK int tar_map_add(
	struct tar_reader *reader, uint64_t file_off, uint64_t size, struct error *err);
/* "off,size,off,size": sparse format 0.1. */
MUST_CHECK int tar_map_parse(
	struct tar_reader *reader, const char *text, size_t size, struct error *err);
void tar_map_reset(struct tar_map *map);
/* After tar_decode_header() of anything with a payload: goes on to where the map is, or to the
 * payload. 0, 1, -1 as tar_reader_feed(). */
MUST_CHECK int tar_begin_file(struct tar_reader *reader, struct error *err);
/* A record of the map. As above. */
MUST_CHECK int tar_sparse_header(struct tar_reader *reader, struct error *err);
MUST_CHECK int tar_sparse_text(struct tar_reader *reader, struct error *err);
