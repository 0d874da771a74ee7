/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes of a regular file are in the archive: the four forms in which GNU tar describes
 * sparse files, and the plain one. Spec: GNU tar manual, "Storing Sparse Files". */
#include "tar_internal.h"

#include <inttypes.h>
#include <string.h>

/* The old form: fields of a GNU header and of the records that follow it. */
enum {
	PAIRS = 386,
	N_PAIRS = 4,
	IS_EXTENDED = 482,
	REAL_SIZE = 483,
	MORE_N_PAIRS = 21,
	MORE_IS_EXTENDED = 504,
	FIELD_SIZE = 12,
};

void tar_map_reset(struct tar_map *map)
{
	map->n = 0;
	map->n_pairs = 0;
	map->end = 0;
	map->data_size = 0;
	map->has_off = false;
}

int tar_map_add(struct tar_reader *reader, uint64_t file_off, uint64_t size, struct error *err)
{
	struct tar_map *map = &reader->map;
	struct tar_segment *last = map->n > 0 ? &map->segments[map->n - 1] : NULL;

	if (map->n_pairs >= TAR_MAX_SEGMENTS)
		return error_set(err, ERROR_UNSUPPORTED,
			"tar header at byte %" PRIu64
			": a sparse file with more than %d parts is not supported",
			reader->entry.header_off, (int)TAR_MAX_SEGMENTS);
	if (file_off < map->end || file_off > INT64_MAX || size > INT64_MAX - file_off)
		return tar_wrong(reader, "parts of a sparse file overlap or are out of order", err);
	map->n_pairs++;
	map->end = file_off + size;
	if (size == 0)
		return 0;
	if (last && last->file_off + last->size == file_off) {
		last->size += size;
	} else {
		if (tar_grow(&map->segments, &map->capacity, map->n + 1, sizeof(*map->segments)) <
			0)
			return tar_no_memory(err);
		map->segments[map->n++] = (struct tar_segment){
			.file_off = file_off, .payload_off = map->data_size, .size = size};
	}
	map->data_size += size;
	return 0;
}

/* Numbers come as offset, size, offset, size. */
static int add_number(struct tar_reader *reader, uint64_t number, struct error *err)
{
	struct tar_map *map = &reader->map;

	map->has_off = !map->has_off;
	if (!map->has_off)
		return tar_map_add(reader, map->off, number, err);
	map->off = number;
	return 0;
}

int tar_map_parse(struct tar_reader *reader, const char *text, size_t size, struct error *err)
{
	tar_map_reset(&reader->map);
	for (size_t i = 0, end; i <= size; i = end + 1) {
		const char *comma = memchr(text + i, ',', size - i);
		uint64_t number;

		end = comma ? (size_t)(comma - text) : size;
		if (!tar_parse_decimal(text + i, end - i, &number))
			return tar_wrong(
				reader, "GNU.sparse.map has something else than numbers", err);
		if (add_number(reader, number, err) < 0)
			return -1;
	}
	if (reader->map.has_off)
		return tar_wrong(reader, "GNU.sparse.map ends with half a pair", err);
	return 0;
}

/* The map is complete; behind it, @size is right. */
static int begin_mapped(struct tar_reader *reader, uint64_t size, struct error *err)
{
	const struct tar_map *map = &reader->map;

	if (map->end > size)
		return error_set(err, ERROR_FORMAT,
			"tar header at byte %" PRIu64 ": a sparse file of %" PRIu64
			" bytes with data up to %" PRIu64,
			reader->entry.header_off, size, map->end);
	if (map->data_size != reader->payload_left)
		return error_set(err, ERROR_FORMAT,
			"tar header at byte %" PRIu64 ": a sparse file with %" PRIu64
			" bytes of data has a payload of %" PRIu64,
			reader->entry.header_off, map->data_size, reader->payload_left);
	reader->entry.size = size;
	return tar_begin_payload(reader, err);
}

static int add_fields(struct tar_reader *reader, const uint8_t *fields, size_t n, struct error *err)
{
	for (size_t i = 0; i < n && fields[0] != '\0'; i++, fields += 2 * FIELD_SIZE) {
		int64_t off, size;

		if (!tar_parse_number(fields, FIELD_SIZE, &off) || off < 0 ||
			!tar_parse_number(fields + FIELD_SIZE, FIELD_SIZE, &size) || size < 0)
			return tar_wrong(reader, "place of a sparse file's part is no number", err);
		if (tar_map_add(reader, (uint64_t)off, (uint64_t)size, err) < 0)
			return -1;
	}
	return 0;
}

static int go_on_if(struct tar_reader *reader, bool is_extended, struct error *err)
{
	if (!is_extended)
		return begin_mapped(reader, reader->entry.size, err);
	reader->state = TAR_STATE_SPARSE_HEADER;
	return 0;
}

int tar_sparse_header(struct tar_reader *reader, struct error *err)
{
	if (add_fields(reader, reader->record, MORE_N_PAIRS, err) < 0)
		return -1;
	return go_on_if(reader, reader->record[MORE_IS_EXTENDED] != 0, err);
}

static int begin_old(struct tar_reader *reader, struct error *err)
{
	const uint8_t *record = reader->record;
	int64_t size;

	if (!tar_header_is_gnu(record))
		return error_set(err, ERROR_UNSUPPORTED,
			"tar header at byte %" PRIu64
			": sparse files are supported as GNU tar writes them, not as star does",
			reader->entry.header_off);
	if (!tar_parse_number(record + REAL_SIZE, FIELD_SIZE, &size) || size < 0)
		return tar_wrong(reader, "size of a sparse file is no number", err);
	reader->entry.size = (uint64_t)size;
	tar_map_reset(&reader->map);
	if (add_fields(reader, record + PAIRS, N_PAIRS, err) < 0)
		return -1;
	return go_on_if(reader, record[IS_EXTENDED] != 0, err);
}

/* The size of the file, in both 0.x and 1.0. */
static uint64_t real_size(const struct tar_reader *reader)
{
	const struct tar_value *value = tar_pax_find(reader, TAR_KEY_SPARSE_SIZE);

	if (!value)
		value = tar_pax_find(reader, TAR_KEY_SPARSE_REAL_SIZE);
	return value ? value->number : reader->payload_left;
}

static int expect_text(struct tar_reader *reader, struct error *err)
{
	if (reader->payload_left < TAR_RECORD_SIZE)
		return tar_wrong(reader, "the map of a sparse file is cut off", err);
	reader->state = TAR_STATE_SPARSE_TEXT;
	return 0;
}

/* The number is complete: how many pairs there are, or half of one. */
static int end_number(struct tar_reader *reader, struct error *err)
{
	struct tar_map_text *text = &reader->map_text;
	uint64_t number = text->number;

	if (text->n_digits == 0)
		return tar_wrong(reader, "the map of a sparse file lacks a number", err);
	text->number = 0;
	text->n_digits = 0;
	if (text->has_count) {
		text->n_numbers--;
		return add_number(reader, number, err);
	}
	if (number > TAR_MAX_SEGMENTS)
		return error_set(err, ERROR_UNSUPPORTED,
			"tar header at byte %" PRIu64
			": a sparse file with more than %d parts is not supported",
			reader->entry.header_off, (int)TAR_MAX_SEGMENTS);
	text->has_count = true;
	text->n_numbers = 2 * number;
	return 0;
}

int tar_sparse_text(struct tar_reader *reader, struct error *err)
{
	enum { MAX_DIGITS = 18 };
	struct tar_map_text *text = &reader->map_text;

	reader->payload_left -= TAR_RECORD_SIZE;
	for (size_t i = 0; i < TAR_RECORD_SIZE; i++) {
		char c = (char)reader->record[i];

		if (c >= '0' && c <= '9' && text->n_digits < MAX_DIGITS) {
			text->number = text->number * 10 + (uint64_t)(c - '0');
			text->n_digits++;
			continue;
		}
		if (c != '\n')
			return tar_wrong(reader,
				"the map of a sparse file has something else than numbers", err);
		if (end_number(reader, err) < 0)
			return -1;
		if (text->n_numbers == 0)
			return begin_mapped(reader, real_size(reader), err);
	}
	return expect_text(reader, err);
}

/* 0.0, 0.1 and 1.0, which PAX records describe. */
static int begin_pax(struct tar_reader *reader, struct error *err)
{
	const struct tar_value *major = tar_pax_find(reader, TAR_KEY_SPARSE_MAJOR);
	const struct tar_value *minor = tar_pax_find(reader, TAR_KEY_SPARSE_MINOR);
	const struct tar_value *n_pairs = tar_pax_find(reader, TAR_KEY_SPARSE_N_PAIRS);
	const char *name = tar_pax_text(reader, TAR_KEY_SPARSE_NAME);
	uint64_t major_number = major ? major->number : 0;
	uint64_t minor_number = minor ? minor->number : 0;

	if (name)
		reader->entry.name = name;
	if (major_number > 1 || minor_number > 1 - major_number)
		return error_set(err, ERROR_UNSUPPORTED,
			"tar header at byte %" PRIu64 ": GNU's sparse format %" PRIu64 ".%" PRIu64
			" is not supported",
			reader->entry.header_off, major_number, minor_number);
	if (major_number == 1) {
		tar_map_reset(&reader->map);
		reader->map_text = (struct tar_map_text){0};
		return expect_text(reader, err);
	}
	if (n_pairs && n_pairs->number != reader->map.n_pairs)
		return tar_wrong(reader, "GNU.sparse.numblocks is not the number of parts", err);
	return begin_mapped(reader, real_size(reader), err);
}

int tar_begin_file(struct tar_reader *reader, struct error *err)
{
	unsigned sparse = 1U << TAR_KEY_SPARSE_MAJOR | 1U << TAR_KEY_SPARSE_MINOR |
			  1U << TAR_KEY_SPARSE_N_PAIRS | 1U << TAR_KEY_SPARSE_MAP;
	bool is_pax_sparse = reader->local.present & sparse;

	if (reader->entry.type != '0' && is_pax_sparse)
		return tar_wrong(reader, "sparse, and no regular file", err);
	if (tar_header_type(reader->record) == 'S')
		return begin_old(reader, err);
	if (is_pax_sparse)
		return begin_pax(reader, err);
	tar_map_reset(&reader->map);
	if (reader->entry.type == '0' && reader->payload_left > 0 &&
		tar_map_add(reader, 0, reader->payload_left, err) < 0)
		return -1;
	reader->entry.size = reader->map.data_size;
	return tar_begin_payload(reader, err);
}
