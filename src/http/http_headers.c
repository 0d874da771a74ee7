/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields as a bounded list of texts. */
#include "http/http_headers.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

int http_headers_add(struct http_headers *headers, const char *name, const char *value)
{
	size_t name_size = strlen(name) + 1;
	size_t value_size = strlen(value) + 1;
	int ret;

	if (name_size > HTTP_HEADERS_MAX_SIZE || value_size > HTTP_HEADERS_MAX_SIZE ||
		headers->text.size + name_size + value_size > HTTP_HEADERS_MAX_SIZE)
		return -E2BIG;
	ret = buffer_reserve(&headers->text, name_size + value_size);
	if (ret < 0)
		return ret;
	ret = buffer_append(&headers->text, name, name_size);
	if (ret < 0)
		return ret;
	return buffer_append(&headers->text, value, value_size);
}

const char *http_headers_at(const struct http_headers *headers, const char *name, size_t i)
{
	const char *at = (const char *)headers->text.data;
	const char *end = at + headers->text.size;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		if (strcasecmp(at, name) == 0 && i-- == 0)
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

const char *http_headers_get(const struct http_headers *headers, const char *name)
{
	return http_headers_at(headers, name, 0);
}

void http_headers_free(struct http_headers *headers)
{
	buffer_free(&headers->text);
}
