/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and bytes of one column of an index file. */
#include "span_index_columns_internal.h"

#include <string.h>

enum { MAX_NUMBER_SIZE = 10 }; /* 64 bits in groups of 7 */

void column_put_byte(struct column_writer *column, uint8_t value)
{
	column_put_bytes(column, &value, 1);
}

void column_put_number(struct column_writer *column, uint64_t value)
{
	uint8_t bytes[MAX_NUMBER_SIZE];
	size_t n = 0;

	while (value >= 0x80) {
		bytes[n++] = (uint8_t)value | 0x80;
		value >>= 7;
	}
	bytes[n++] = (uint8_t)value;
	column_put_bytes(column, bytes, n);
}

/* Small ones of either sign become small: 0, -1, 1, -2... */
void column_put_signed(struct column_writer *column, int64_t value)
{
	uint64_t sign = value < 0 ? UINT64_MAX : 0;

	column_put_number(column, (uint64_t)value << 1 ^ sign);
}

void column_put_bytes(struct column_writer *column, const void *data, size_t size)
{
	if (buffer_append(&column->bytes, data, size) < 0)
		column->is_broken = true;
}

uint8_t column_get_byte(struct column_reader *column)
{
	const uint8_t *byte = column_get_bytes(column, 1);

	return byte ? *byte : 0;
}

uint64_t column_get_number(struct column_reader *column)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && column->at < column->end; shift += 7) {
		uint8_t byte = *column->at++;

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	column->is_broken = true;
	column->at = column->end;
	return 0;
}

int64_t column_get_signed(struct column_reader *column)
{
	uint64_t value = column_get_number(column);
	uint64_t sign = value & 1 ? UINT64_MAX : 0;

	return (int64_t)(value >> 1 ^ sign);
}

const uint8_t *column_get_bytes(struct column_reader *column, uint64_t size)
{
	const uint8_t *bytes = column->at;

	if (size > (uint64_t)(column->end - column->at)) {
		column->is_broken = true;
		column->at = column->end;
		return NULL;
	}
	column->at += size;
	return bytes;
}

const char *column_get_text(struct column_reader *column, size_t *ret_size)
{
	const uint8_t *text = column->at;
	const uint8_t *end = memchr(text, '\0', (size_t)(column->end - text));

	*ret_size = 0;
	if (!end) {
		column->is_broken = true;
		column->at = column->end;
		return NULL;
	}
	column->at = end + 1;
	*ret_size = (size_t)(end - text);
	return (const char *)text;
}
