/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian numbers, growing buffers, and the two text forms of bytes. */
#include "base/bytes.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { BUFFER_MIN_CAPACITY = 64 };

uint16_t le16_load(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

uint32_t le32_load(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

uint64_t le64_load(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

void le16_store(void *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

void le32_store(void *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

void le64_store(void *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

int buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t needed, capacity;
	uint8_t *data;

	/* One more than asked for: the terminating 0. */
	if (__builtin_add_overflow(buffer->size, more, &needed) ||
		__builtin_add_overflow(needed, 1, &needed))
		return -ENOMEM;
	if (needed <= buffer->capacity)
		return 0;

	capacity = buffer->capacity ? buffer->capacity : BUFFER_MIN_CAPACITY;
	if (capacity < needed && __builtin_mul_overflow(capacity, 2, &capacity))
		capacity = needed;
	if (capacity < needed)
		capacity = needed;
	data = realloc(buffer->data, capacity);
	if (!data)
		return -ENOMEM;

	data[buffer->size] = 0;
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	int ret = buffer_reserve(buffer, size);

	if (ret < 0)
		return ret;

	if (size > 0)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	buffer->data[buffer->size] = 0;
	return 0;
}

int buffer_printf(struct buffer *buffer, const char *fmt, ...)
{
	va_list ap, measure;
	int length, ret;

	va_start(ap, fmt);
	va_copy(measure, ap);
	length = vsnprintf(NULL, 0, fmt, measure);
	va_end(measure);

	/* vsnprintf() itself fails only for a result beyond INT_MAX. */
	ret = length < 0 ? -ENOMEM : buffer_reserve(buffer, (size_t)length);
	if (ret == 0) {
		(void)vsnprintf((char *)buffer->data + buffer->size, (size_t)length + 1, fmt, ap);
		buffer->size += (size_t)length;
	}
	va_end(ap);
	return ret;
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}

void hex_encode(const uint8_t *data, size_t size, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * size] = '\0';
}

/* One more than a digit's value; 0 for everything else. A table, because digits and letters come in
 * no order that a processor could predict. */
static const uint8_t hex_digits[256] = {
	['0'] = 1,
	['1'] = 2,
	['2'] = 3,
	['3'] = 4,
	['4'] = 5,
	['5'] = 6,
	['6'] = 7,
	['7'] = 8,
	['8'] = 9,
	['9'] = 10,
	['a'] = 11,
	['b'] = 12,
	['c'] = 13,
	['d'] = 14,
	['e'] = 15,
	['f'] = 16,
};

int hex_decode(const char *text, size_t text_size, uint8_t *out, size_t size)
{
	const uint8_t *digits = (const uint8_t *)text;

	if (text_size % 2 != 0 || text_size / 2 != size)
		return -EINVAL;

	/* Checked as a whole first: the output is written only on success. */
	for (size_t i = 0; i < text_size; i++)
		if (hex_digits[digits[i]] == 0)
			return -EINVAL;
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)((hex_digits[digits[2 * i]] - 1) << 4 |
				   (hex_digits[digits[2 * i + 1]] - 1));
	return 0;
}
