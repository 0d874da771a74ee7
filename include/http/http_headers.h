/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"

/* Header fields of a response, in the order they came. Zero-initialise; bounded by
 * HTTP_HEADERS_MAX_SIZE. */
struct http_headers {
	struct buffer text; /* private: name NUL value NUL, for each field */
};

#define HTTP_HEADERS_MAX_SIZE (64 * 1024)

/* Leaf function: 0, -ENOMEM, or -E2BIG beyond HTTP_HEADERS_MAX_SIZE. Copies both. */
MUST_CHECK int http_headers_add(struct http_headers *headers, const char *name, const char *value);

/* The value of the first field of this name (case does not matter), or NULL. Borrowed. */
const char *http_headers_get(const struct http_headers *headers, const char *name);

/* The value of the i-th field of this name, or NULL: WWW-Authenticate may come several times. */
const char *http_headers_at(const struct http_headers *headers, const char *name, size_t i);

/* Releases the fields and leaves the list empty. */
void http_headers_free(struct http_headers *headers);
