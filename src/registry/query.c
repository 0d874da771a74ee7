/* SPDX-License-Identifier: Apache-2.0 */
/* Query strings of URLs, and forms. */
#include "query_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

int query_escape(struct buffer *out, const char *text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		char escaped[3] = {'%', hex[c >> 4], hex[c & 15]};
		bool plain = isalnum(c) || strchr("-._~:", c);

		if (buffer_append(out, plain ? text : escaped, plain ? 1 : 3) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int append(struct buffer *out, const char *separator, const char *key, const char *value)
{
	size_t size = out->size;

	if (buffer_append(out, separator, strlen(separator)) < 0 || query_escape(out, key) < 0 ||
		buffer_append(out, "=", 1) < 0 || query_escape(out, value) < 0) {
		out->size = size;
		return -ENOMEM;
	}
	return 0;
}

int query_append(struct buffer *out, const char *key, const char *value)
{
	return append(
		out, out->size > 0 && memchr(out->data, '?', out->size) ? "&" : "?", key, value);
}

int form_append(struct buffer *out, const char *key, const char *value)
{
	return append(out, out->size > 0 ? "&" : "", key, value);
}
