/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Without base/json.h: that and jansson.h both declare a json_string(). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INTEGER,
	JSON_KIND_REAL,
	JSON_KIND_STRING,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

struct json_member {
	char *key;          /* owned; NULL in an array */
	struct json *value; /* owned */
};

/* Our own tree rather than the library's, because a container has to remember that something could
 * not be added to it. */
struct json {
	enum json_kind kind;
	bool failed; /* a container that lacks something for want of memory */
	union {
		bool boolean;
		int64_t integer;
		double real;
		struct {
			char *text; /* owned, UTF-8, text[size] is 0 */
			size_t size;
		} string;
		struct {
			struct json_member *members; /* owned, in document order */
			size_t n_members;
			size_t capacity;
		} container;
	};
};

/* NULL without memory. */
struct json *json_new(enum json_kind kind);

/* A string of exactly these bytes, which are UTF-8 and may contain 0; NULL without memory. */
struct json *json_new_text(const char *text, size_t size);

/* As in base/json.h. */
void json_freep(struct json **document);

/* Appends a member without a look at the keys already there. Both key and value are owned by the
 * container on success, the caller's on failure. 0 or -ENOMEM. */
MUST_CHECK int json_add_member(struct json *container, char *key, struct json *value);

/* Reads a document that is known to respect the limits on depth and number of values. */
MUST_CHECK int json_load(const void *data, size_t size, struct json **out, struct error *err);

/* Appends a finite number with as many digits as it takes to read back the same, in every locale.
 * 0 or -ENOMEM. */
MUST_CHECK int json_put_real(double real, struct buffer *out);
