/* SPDX-License-Identifier: Apache-2.0 */
/* Tar headers with their GNU and PAX extensions, from a stream. */
#include "format/tar.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum {
	RECORD_SIZE = 512,
	/* One PAX header or GNU long name: what Go's archive/tar accepts too. */
	MAX_EXTENSION = 1 << 20,
	MAX_NAME = 64 << 10,
};

/* Fields of a header record: offset and size. */
enum {
	NAME = 0,
	NAME_SIZE = 100,
	SIZE = 124,
	SIZE_SIZE = 12,
	CHECKSUM = 148,
	CHECKSUM_SIZE = 8,
	TYPE = 156,
	MAGIC = 257,
	PREFIX = 345,
	PREFIX_SIZE = 155,
};

enum state { STATE_HEADER, STATE_EXTENSION, STATE_SKIP, STATE_END };

struct tar_reader {
	tar_entry_fn *each;
	void *arg;
	enum state state;
	uint64_t off;  /* of the next byte in the archive */
	uint64_t left; /* bytes of the extension or of what is skipped, with padding */

	uint8_t record[RECORD_SIZE];
	size_t record_size;

	char extension_type;
	uint64_t extension_size;
	struct buffer extension;

	/* From extensions, for the next member. */
	struct buffer long_name; /* its size 0: none */
	bool has_size;
	uint64_t size;
};

int tar_reader_new(tar_entry_fn *each, void *arg, struct tar_reader **out, struct error *err)
{
	struct tar_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return error_set(err, ERROR_NO_MEMORY, "no memory for a tar reader");
	reader->each = each;
	reader->arg = arg;
	*out = reader;
	return 0;
}

void tar_reader_free(struct tar_reader *reader)
{
	if (!reader)
		return;
	buffer_free(&reader->extension);
	buffer_free(&reader->long_name);
	free(reader);
}

void tar_reader_freep(struct tar_reader **reader)
{
	tar_reader_free(*reader);
	*reader = NULL;
}

/* "  644 \0": spaces, octal digits, then only spaces and NULs. Empty is 0. */
static bool parse_octal(const uint8_t *field, size_t size, uint64_t *out)
{
	uint64_t value = 0;
	size_t i = 0;

	while (i < size && field[i] == ' ')
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
		if (value >> 61)
			return false;
		value = value << 3 | (uint64_t)(field[i] - '0');
	}
	for (; i < size; i++) {
		if (field[i] != ' ' && field[i] != '\0')
			return false;
	}
	*out = value;
	return true;
}

/* Octal, or GNU's base-256 with the highest bit set; negative and larger than 63 bits: false. */
static bool parse_number(const uint8_t *field, size_t size, uint64_t *out)
{
	uint64_t value;

	if (!(field[0] & 0x80))
		return parse_octal(field, size, out) && *out <= INT64_MAX;
	value = field[0] & 0x7f;
	for (size_t i = 1; i < size; i++) {
		if (value >> 55)
			return false;
		value = value << 8 | field[i];
	}
	*out = value;
	return true;
}

/* The sum of all bytes with the checksum field as spaces; some writers took bytes as signed. */
static bool checksum_matches(const uint8_t *record)
{
	uint64_t stored;
	int64_t as_unsigned = 0, as_signed = 0;

	if (!parse_octal(record + CHECKSUM, CHECKSUM_SIZE, &stored))
		return false;
	for (size_t i = 0; i < RECORD_SIZE; i++) {
		uint8_t byte = i >= CHECKSUM && i < CHECKSUM + CHECKSUM_SIZE ? ' ' : record[i];

		as_unsigned += byte;
		as_signed += (int8_t)byte;
	}
	return (int64_t)stored == as_unsigned || (int64_t)stored == as_signed;
}

static int wrong(const struct tar_reader *reader, const char *what, struct error *err)
{
	return error_set(
		err, ERROR_FORMAT, "tar header before byte %" PRIu64 ": %s", reader->off, what);
}

static int out_of_memory(struct error *err)
{
	return error_set(err, ERROR_NO_MEMORY, "no memory for a tar header");
}

/* A name from an extension: up to the first NUL for GNU, without any for PAX. */
static int set_long_name(
	struct tar_reader *reader, const uint8_t *name, size_t size, struct error *err)
{
	if (size == 0 || size > MAX_NAME)
		return wrong(reader, "name of impossible length", err);
	reader->long_name.size = 0;
	return buffer_append(&reader->long_name, name, size) < 0 ? out_of_memory(err) : 0;
}

static bool parse_decimal(const uint8_t *text, size_t size, uint64_t *out)
{
	uint64_t value = 0;

	if (size == 0)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9' || value > (INT64_MAX - 9) / 10)
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*out = value;
	return true;
}

static int apply_pax_record(struct tar_reader *reader, const uint8_t *key, size_t key_size,
	const uint8_t *value, size_t value_size, struct error *err)
{
	if (key_size == 4 && memcmp(key, "path", 4) == 0) {
		if (memchr(value, '\0', value_size))
			return wrong(reader, "PAX path with a zero byte", err);
		return set_long_name(reader, value, value_size, err);
	}
	if (key_size == 4 && memcmp(key, "size", 4) == 0) {
		if (!parse_decimal(value, value_size, &reader->size))
			return wrong(reader, "PAX size is no number", err);
		reader->has_size = true;
	}
	return 0;
}

/* Records "LENGTH KEY=VALUE\n", LENGTH counting the whole record. */
static int parse_pax(struct tar_reader *reader, struct error *err)
{
	const uint8_t *at = reader->extension.data;
	size_t left = reader->extension.size;

	while (left > 0) {
		const uint8_t *space = memchr(at, ' ', left < 20 ? left : 20);
		const uint8_t *equals;
		uint64_t length;
		size_t head;

		if (!space || !parse_decimal(at, (size_t)(space - at), &length) || length > left)
			return wrong(reader, "PAX record of wrong length", err);
		head = (size_t)(space - at) + 1;
		if (length <= head || at[length - 1] != '\n')
			return wrong(reader, "PAX record of wrong length", err);
		equals = memchr(at + head, '=', length - head);
		if (!equals)
			return wrong(reader, "PAX record without a value", err);
		if (apply_pax_record(reader, at + head, (size_t)(equals - at) - head, equals + 1,
			    (size_t)(at + length - 1 - (equals + 1)), err) < 0)
			return -1;
		at += length;
		left -= length;
	}
	return 0;
}

static int apply_extension(struct tar_reader *reader, struct error *err)
{
	const uint8_t *data = reader->extension.data;

	if (reader->extension_type == 'x')
		return parse_pax(reader, err);
	/* 'L': PAX wins where both are present. */
	if (reader->long_name.size > 0)
		return 0;
	return set_long_name(
		reader, data, strnlen((const char *)data, reader->extension.size), err);
}

/* Types whose size field, if any, describes no payload. */
static bool has_payload(char type)
{
	return !(type >= '1' && type <= '6');
}

static int begin_skip(struct tar_reader *reader, uint64_t size)
{
	reader->left = align_up(size, RECORD_SIZE);
	reader->state = reader->left > 0 ? STATE_SKIP : STATE_HEADER;
	return 0;
}

static int handle_entry(struct tar_reader *reader, uint64_t size, struct error *err)
{
	const uint8_t *record = reader->record;
	char name[PREFIX_SIZE + 1 + NAME_SIZE + 1] = "";
	char type = (char)record[TYPE];
	struct tar_entry entry = {
		.name = name,
		.size = reader->has_size ? reader->size : size,
		.payload_off = reader->off,
		.type = type == '\0' || type == '7' ? '0' : type,
	};
	int result;

	if (!has_payload(type))
		entry.size = 0;
	if (reader->long_name.size > 0) {
		entry.name = (const char *)reader->long_name.data;
	} else {
		size_t prefix = memcmp(record + MAGIC, "ustar", 6) == 0
					? strnlen((const char *)record + PREFIX, PREFIX_SIZE)
					: 0;

		memcpy(name, record + PREFIX, prefix);
		if (prefix > 0)
			name[prefix++] = '/';
		memcpy(name + prefix, record + NAME,
			strnlen((const char *)record + NAME, NAME_SIZE));
	}
	result = reader->each(reader->arg, &entry, err);
	reader->long_name.size = 0;
	reader->has_size = false;
	return result != 0 ? result : begin_skip(reader, entry.size);
}

static bool is_all_zeros(const uint8_t *record)
{
	return record[0] == 0 && memcmp(record, record + 1, RECORD_SIZE - 1) == 0;
}

static int handle_header(struct tar_reader *reader, struct error *err)
{
	const uint8_t *record = reader->record;
	char type = (char)record[TYPE];
	uint64_t size;

	if (is_all_zeros(record)) {
		reader->state = STATE_END;
		return 0;
	}
	if (!checksum_matches(record))
		return wrong(reader, "wrong checksum", err);
	if (!parse_number(record + SIZE, SIZE_SIZE, &size))
		return wrong(reader, "size is no number", err);

	switch (type) {
	case 'x': /* PAX */
	case 'L': /* GNU long name */
		if (size == 0 || size > MAX_EXTENSION)
			return wrong(reader, "extension of impossible length", err);
		reader->extension_type = type;
		reader->extension_size = size;
		reader->extension.size = 0;
		reader->left = align_up(size, RECORD_SIZE);
		reader->state = STATE_EXTENSION;
		return 0;
	case 'g': /* defaults for what is not read here */
	case 'K': /* GNU long link name */
		return begin_skip(reader, size);
	case 'S':
		return error_set(err, ERROR_UNSUPPORTED,
			"tar header before byte %" PRIu64 ": GNU sparse file", reader->off);
	default:
		return handle_entry(reader, size, err);
	}
}

/* Each takes some of the bytes; 0 go on, 1 enough, -1 failed. */
static int take_header(struct tar_reader *reader, const uint8_t *data, size_t size, size_t *taken,
	struct error *err)
{
	size_t missing = RECORD_SIZE - reader->record_size;

	*taken = size < missing ? size : missing;
	memcpy(reader->record + reader->record_size, data, *taken);
	reader->record_size += *taken;
	reader->off += *taken;
	if (reader->record_size < RECORD_SIZE)
		return 0;
	reader->record_size = 0;
	return handle_header(reader, err);
}

static int take_extension(struct tar_reader *reader, const uint8_t *data, size_t size,
	size_t *taken, struct error *err)
{
	uint64_t wanted = reader->extension_size - reader->extension.size;
	size_t n;

	*taken = size < reader->left ? size : (size_t)reader->left;
	n = *taken < wanted ? *taken : (size_t)wanted;
	if (buffer_append(&reader->extension, data, n) < 0)
		return out_of_memory(err);
	reader->off += *taken;
	reader->left -= *taken;
	if (reader->left > 0)
		return 0;
	reader->state = STATE_HEADER;
	return apply_extension(reader, err);
}

int tar_reader_feed(struct tar_reader *reader, const void *data, size_t size, struct error *err)
{
	const uint8_t *at = data;

	while (size > 0 && reader->state != STATE_END) {
		size_t taken;
		int result = 0;

		if (reader->state == STATE_HEADER) {
			result = take_header(reader, at, size, &taken, err);
		} else if (reader->state == STATE_EXTENSION) {
			result = take_extension(reader, at, size, &taken, err);
		} else {
			taken = size < reader->left ? size : (size_t)reader->left;
			reader->off += taken;
			reader->left -= taken;
			if (reader->left == 0)
				reader->state = STATE_HEADER;
		}
		if (result != 0)
			return result;
		at += taken;
		size -= taken;
	}
	return 0;
}
