/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 section 4), for credentials and annotations. */
#include "base/bytes.h"

#include <errno.h>

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}

/* Sets the number of digits in front of the padding; -EINVAL for a length that no encoder makes. */
static int base64_unpadded(const char *text, size_t text_size, size_t *out)
{
	size_t n_digits = text_size;

	while (n_digits > 0 && text_size - n_digits < 2 && text[n_digits - 1] == '=')
		n_digits--;
	if (n_digits % 4 == 1 || (n_digits != text_size && text_size % 4 != 0))
		return -EINVAL;
	*out = n_digits;
	return 0;
}

int base64_decode(const char *text, size_t text_size, struct buffer *out)
{
	size_t n_digits, size;
	uint32_t bits = 0;
	int ret;

	ret = base64_unpadded(text, text_size, &n_digits);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < n_digits; i++)
		if (base64_digit(text[i]) < 0)
			return -EINVAL;

	size = n_digits / 4 * 3 + (n_digits % 4 ? n_digits % 4 - 1 : 0);
	ret = buffer_reserve(out, size);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < n_digits; i++) {
		size_t in_group = i % 4;

		bits = bits << 6 | (uint32_t)base64_digit(text[i]);
		if (in_group > 0)
			out->data[out->size++] = (uint8_t)(bits >> (6 - 2 * in_group));
	}
	out->data[out->size] = 0;
	return 0;
}

int base64_encode(const void *data, size_t size, struct buffer *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *in = data;
	size_t n_groups = size / 3 + (size % 3 != 0);
	int ret;

	if (n_groups > SIZE_MAX / 4)
		return -ENOMEM;
	ret = buffer_reserve(out, n_groups * 4);
	if (ret < 0)
		return ret;

	for (size_t i = 0; i < size; i += 3) {
		size_t left = size - i;
		uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
				(left > 2 ? in[i + 2] : 0);
		uint8_t *group = out->data + out->size;

		group[0] = (uint8_t)digits[bits >> 18];
		group[1] = (uint8_t)digits[bits >> 12 & 63];
		group[2] = (uint8_t)(left > 1 ? digits[bits >> 6 & 63] : '=');
		group[3] = (uint8_t)(left > 2 ? digits[bits & 63] : '=');
		out->size += 4;
	}
	out->data[out->size] = 0;
	return 0;
}
