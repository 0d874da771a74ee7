/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

/* JSON documents of moderate size (manifests, tokens, control answers); large tables of contents
 * have their own reader in format/. A value belongs to the document it is in: everything obtained
 * by json_get/json_at is borrowed and lives as long as the document. */
struct json;

enum { JSON_MAX_DEPTH = 64, JSON_MAX_VALUES = 1 << 20 };

/* Parses size bytes, a value of any type. Duplicate keys, more depth or values than the limits
 * above, integers beyond 64 bits, text that is not UTF-8 and trailing bytes are ERROR_FORMAT; the
 * message has line and column. */
MUST_CHECK int json_parse(const void *data, size_t size, struct json **out, struct error *err);
void json_free(struct json *document);
void json_freep(struct json **document);

/* All of these accept NULL (absent) and a value of another type, and say so by their result. */
const struct json *json_get(const struct json *object, const char *key);
const struct json *json_at(const struct json *array, size_t i);
size_t json_length(const struct json *array_or_object);
bool json_is_object(const struct json *value);
bool json_is_array(const struct json *value);
bool json_is_null(const struct json *value);
const char *json_string(const struct json *value);     /* NULL unless a string without NUL bytes */
bool json_i64(const struct json *value, int64_t *out); /* false unless an integer */
bool json_f64(const struct json *value, double *out);  /* false unless a number */
bool json_bool(const struct json *value, bool *out);

/* Calls each(key, value, arg) for every member, in document order, until it returns non-zero;
 * returns that. */
int json_each(const struct json *object,
	int (*each)(const char *key, const struct json *value, void *arg), void *arg);

/* Building. A failed allocation is remembered in the document and reported by json_write(), so
 * building code needs no checks. Values given to set/append are moved into the container; their
 * address stays valid as long as it. Setting a key again replaces its value. */
struct json *json_new_object(void);
struct json *json_new_array(void);
/* Bytes that are not UTF-8 become U+FFFD; NULL becomes null. */
struct json *json_new_string(const char *text);
struct json *json_new_i64(int64_t value);
struct json *json_new_f64(double value); /* null unless finite */
struct json *json_new_bool(bool value);
void json_set(struct json *object, const char *key, struct json *value);
void json_append(struct json *array, struct json *value);

/* Compact, or indented by two for people. Appends to out. */
MUST_CHECK int json_write(
	const struct json *value, bool indent, struct buffer *out, struct error *err);
