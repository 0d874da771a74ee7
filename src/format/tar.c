/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of a tar archive: headers, extensions and payloads in pieces of any size. */
#include "tar_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int tar_reader_new_with_payload(tar_entry_fn *each, tar_payload_fn *payload, void *arg,
	struct tar_reader **out, struct error *err)
{
	struct tar_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return tar_no_memory(err);
	reader->each = each;
	reader->payload = payload;
	reader->arg = arg;
	*out = reader;
	return 0;
}

int tar_reader_new(tar_entry_fn *each, void *arg, struct tar_reader **out, struct error *err)
{
	return tar_reader_new_with_payload(each, NULL, arg, out, err);
}

void tar_reader_free(struct tar_reader *reader)
{
	if (!reader)
		return;
	tar_pax_free(&reader->local);
	tar_pax_free(&reader->global);
	buffer_free(&reader->long_name);
	buffer_free(&reader->long_link);
	buffer_free(&reader->scratch);
	free(reader->map.segments);
	free(reader->xattrs);
	free(reader);
}

void tar_reader_freep(struct tar_reader **reader)
{
	tar_reader_free(*reader);
	*reader = NULL;
}

int tar_wrong(const struct tar_reader *reader, const char *what, struct error *err)
{
	return error_set(err, ERROR_FORMAT, "tar header at byte %" PRIu64 ": %s",
		reader->entry.header_off, what);
}

int tar_no_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory to read a tar archive");
}

static void begin_member(struct tar_reader *reader)
{
	tar_pax_reset(&reader->local);
	tar_map_reset(&reader->map);
	reader->long_name.size = 0;
	reader->long_link.size = 0;
	reader->entry = (struct tar_entry){.header_off = reader->off};
	reader->state = TAR_STATE_HEADER;
}

/* Whether some extension waits for the member it is about. */
static bool has_extension(const struct tar_reader *reader)
{
	return reader->entry.header_off != reader->off - reader->record_size;
}

int tar_begin_payload(struct tar_reader *reader, struct error *err)
{
	struct tar_entry *entry = &reader->entry;
	struct tar_map *map = &reader->map;
	int result;

	for (size_t i = 0; i < map->n; i++)
		map->segments[i].payload_off += reader->off;
	entry->segments = map->segments;
	entry->n_segments = map->n;
	entry->payload_off = reader->off;
	entry->payload_size = map->data_size;
	reader->segment = 0;
	reader->segment_done = 0;
	reader->state = TAR_STATE_PAYLOAD;

	result = reader->each(reader->arg, entry, err);
	if (reader->payload_left + reader->padding_left == 0)
		begin_member(reader);
	return result;
}

static int begin_extension(
	struct tar_reader *reader, char type, struct buffer *into, struct error *err)
{
	size_t kept = type == 'g' ? into->size : 0;
	uint64_t size;

	if (tar_header_size(reader, &size, err) < 0)
		return -1;
	if (size > TAR_MAX_EXTENSION - kept)
		return error_set(err, ERROR_FORMAT,
			"tar header at byte %" PRIu64 ": extension of %" PRIu64
			" bytes; at most %d are read",
			reader->entry.header_off, size, (int)TAR_MAX_EXTENSION);
	if (type == 'x') {
		/* A second one replaces the first. */
		tar_pax_reset(&reader->local);
		tar_map_reset(&reader->map);
	}
	into->size = kept;
	if (buffer_reserve(into, (size_t)size) < 0)
		return tar_no_memory(err);
	reader->extension = into;
	reader->extension_start = kept;
	reader->extension_type = type;
	reader->extension_size = size;
	reader->padding_left = align_up(size, TAR_RECORD_SIZE) - size;
	reader->state = size > 0 ? TAR_STATE_EXTENSION : TAR_STATE_HEADER;
	return 0;
}

/* What is no member of the tree, with all that extensions said about it. */
static void pass_over(struct tar_reader *reader)
{
	tar_map_reset(&reader->map);
	reader->state = TAR_STATE_PAYLOAD;
	if (reader->payload_left + reader->padding_left == 0)
		begin_member(reader);
}

static int handle_header(struct tar_reader *reader, struct error *err)
{
	const uint8_t *record = reader->record;

	if (tar_is_zeros(record)) {
		reader->state = TAR_STATE_ONE_ZERO;
		return 0;
	}
	if (!tar_checksum_matches(record))
		return tar_wrong(reader, "wrong checksum", err);

	switch (tar_header_type(record)) {
	case 'x':
	case 'X': /* Solaris, before POSIX */
		return begin_extension(reader, 'x', &reader->local.text, err);
	case 'g':
		return begin_extension(reader, 'g', &reader->global.text, err);
	case 'L':
		return begin_extension(reader, 'L', &reader->long_name, err);
	case 'K':
		return begin_extension(reader, 'K', &reader->long_link, err);
	case 'M':
		return error_set(err, ERROR_UNSUPPORTED,
			"tar header at byte %" PRIu64
			": the rest of a file that another volume of the archive begins",
			reader->entry.header_off);
	case 'N':
		return error_set(err, ERROR_UNSUPPORTED,
			"tar header at byte %" PRIu64
			": a list of long names of GNU tar before 1.11, which nothing reads",
			reader->entry.header_off);
	case 'V': /* GNU: the name of the archive */
		if (tar_measure_payload(reader, err) < 0)
			return -1;
		pass_over(reader);
		return 0;
	default:
		if (tar_decode_header(reader, err) < 0)
			return -1;
		return tar_begin_file(reader, err);
	}
}

static int handle_record(struct tar_reader *reader, struct error *err)
{
	switch (reader->state) {
	case TAR_STATE_HEADER:
		return handle_header(reader, err);
	case TAR_STATE_SPARSE_HEADER:
		return tar_sparse_header(reader, err);
	case TAR_STATE_SPARSE_TEXT:
		return tar_sparse_text(reader, err);
	default:
		if (!tar_is_zeros(reader->record))
			return tar_wrong(reader, "a single record of zeros and then more", err);
		reader->state = TAR_STATE_END;
		return 0;
	}
}

/* Each takes some of the bytes; 0 go on, 1 enough, -1 failed. */
static int take_record(struct tar_reader *reader, const uint8_t *data, size_t size, size_t *taken,
	struct error *err)
{
	size_t missing = TAR_RECORD_SIZE - reader->record_size;

	*taken = size < missing ? size : missing;
	memcpy(reader->record + reader->record_size, data, *taken);
	reader->record_size += *taken;
	reader->off += *taken;
	if (reader->record_size < TAR_RECORD_SIZE)
		return 0;
	reader->record_size = 0;
	return handle_record(reader, err);
}

static int end_extension(struct tar_reader *reader, struct error *err)
{
	struct buffer *text = reader->extension;

	reader->state = TAR_STATE_HEADER;
	if (reader->extension_type == 'x')
		return tar_pax_parse(reader, &reader->local, 0, err);
	if (reader->extension_type == 'g') {
		if (tar_pax_parse(reader, &reader->global, reader->extension_start, err) < 0)
			return -1;
		/* Not about the member that follows. */
		if (reader->local.text.size == 0 && reader->long_name.size == 0 &&
			reader->long_link.size == 0)
			reader->entry.header_off = reader->off;
		return 0;
	}
	text->size = strnlen((const char *)text->data, text->size);
	return 0;
}

static int take_extension(struct tar_reader *reader, const uint8_t *data, size_t size,
	size_t *taken, struct error *err)
{
	uint64_t left = reader->extension_size;

	*taken = size;
	if (left > 0) {
		*taken = size < left ? size : (size_t)left;
		if (buffer_append(reader->extension, data, *taken) < 0)
			return tar_no_memory(err);
		reader->extension_size -= *taken;
	} else {
		*taken = size < reader->padding_left ? size : (size_t)reader->padding_left;
		reader->padding_left -= *taken;
	}
	reader->off += *taken;
	if (reader->extension_size + reader->padding_left > 0)
		return 0;
	return end_extension(reader, err);
}

/* Payload or padding has been dealt with. */
static void pass(struct tar_reader *reader, uint64_t size)
{
	uint64_t of_payload = size < reader->payload_left ? size : reader->payload_left;

	reader->off += size;
	reader->payload_left -= of_payload;
	reader->padding_left -= size - of_payload;
	while (of_payload > 0 && reader->segment < reader->map.n) {
		uint64_t left = reader->map.segments[reader->segment].size - reader->segment_done;
		uint64_t step = of_payload < left ? of_payload : left;

		of_payload -= step;
		reader->segment_done += step;
		if (step == left) {
			reader->segment++;
			reader->segment_done = 0;
		}
	}
	if (reader->payload_left + reader->padding_left == 0)
		begin_member(reader);
}

static int take_payload(struct tar_reader *reader, const uint8_t *data, size_t size, size_t *taken,
	struct error *err)
{
	uint64_t left = reader->payload_left;
	int result = 0;

	/* A segment that is there is never exhausted. */
	if (reader->payload && reader->segment < reader->map.n) {
		const struct tar_segment *segment = &reader->map.segments[reader->segment];

		left = segment->size - reader->segment_done;
		*taken = size < left ? size : (size_t)left;
		result = reader->payload(reader->arg, &reader->entry,
			segment->file_off + reader->segment_done, data, *taken, err);
	} else {
		left += reader->padding_left;
		*taken = size < left ? size : (size_t)left;
	}
	pass(reader, *taken);
	return result;
}

int tar_reader_feed(struct tar_reader *reader, const void *data, size_t size, struct error *err)
{
	const uint8_t *at = data;

	while (size > 0) {
		size_t taken = size;
		int result = 0;

		if (reader->state == TAR_STATE_END)
			reader->off += size;
		else if (reader->state == TAR_STATE_PAYLOAD)
			result = take_payload(reader, at, size, &taken, err);
		else if (reader->state == TAR_STATE_EXTENSION)
			result = take_extension(reader, at, size, &taken, err);
		else
			result = take_record(reader, at, size, &taken, err);
		if (result != 0)
			return result;
		at += taken;
		size -= taken;
	}
	return 0;
}

uint64_t tar_reader_off(const struct tar_reader *reader)
{
	return reader->off;
}

uint64_t tar_reader_skip(struct tar_reader *reader, uint64_t most)
{
	uint64_t left = reader->payload_left + reader->padding_left;

	if (reader->state == TAR_STATE_END) {
		reader->off += most;
		return most;
	}
	if (reader->state != TAR_STATE_PAYLOAD)
		return 0;
	if (left > most)
		left = most;
	pass(reader, left);
	return left;
}

static int cut(const struct tar_reader *reader, const char *what, struct error *err)
{
	return error_set(err, ERROR_FORMAT,
		"the tar archive ends at byte %" PRIu64
		", inside %s of the member at byte %" PRIu64,
		reader->off, what, reader->entry.header_off);
}

int tar_reader_finish(const struct tar_reader *reader, struct error *err)
{
	switch (reader->state) {
	case TAR_STATE_END:
	case TAR_STATE_ONE_ZERO:
		return 0;
	case TAR_STATE_PAYLOAD:
		return reader->payload_left > 0 ? cut(reader, "the payload", err) : 0;
	case TAR_STATE_HEADER:
		for (size_t i = 0; i < reader->record_size; i++) {
			if (reader->record[i] != 0)
				return cut(reader, "a header", err);
		}
		return has_extension(reader) ? cut(reader, "the headers", err) : 0;
	default:
		return cut(reader, "the headers", err);
	}
}
