/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes; array and inline table nesting; names in one dotted key. Larger is ERROR_INVALID. */
enum { TOML_LIMIT_SIZE = 256 << 10, TOML_LIMIT_NESTING = 32, TOML_LIMIT_KEY_NAMES = 16 };

/* A parsed document, immutable: any number of threads may read it. Every value, string and header
 * obtained from it is borrowed and lives as long as it does. */
struct toml_document;
struct toml_value;

enum toml_type {
	TOML_TYPE_NONE, /* no value: toml_type(NULL) */
	TOML_TYPE_TABLE,
	TOML_TYPE_ARRAY,
	TOML_TYPE_STRING,
	TOML_TYPE_INTEGER,
	TOML_TYPE_FLOAT,
	TOML_TYPE_BOOL,
	TOML_TYPE_DATETIME, /* dates and times of all sorts; only the type is known */
};

/* What brought a table into being. */
enum toml_form {
	TOML_FORM_NONE, /* not a table */
	TOML_FORM_ROOT,
	TOML_FORM_HEADER,  /* its own [name] or [[name]] line */
	TOML_FORM_IMPLIED, /* only as a parent: x in [x.y] */
	TOML_FORM_DOTTED,  /* x in x.y = 1 */
	TOML_FORM_INLINE,  /* {...} */
};

/* A [a.b] or [[a.b]] line. */
struct toml_header {
	const char *const *names; /* n_names of them, unquoted: "a", "b" */
	size_t n_names;
	bool is_array; /* [[...]] */
	unsigned line; /* from 1 */
	unsigned column;
	const struct toml_value *table; /* what the lines below it fill */
};

/**
 * toml_parse() - read a TOML 1.0 document.
 * @data: UTF-8 text of @size bytes; not needed afterwards.
 * @out:  set on success; release with toml_free().
 * @err:  ERROR_INVALID beginning with "line L, column C: ", or ERROR_NO_MEMORY. The caller puts the
 *        name of the file before it.
 *
 * U+0000 in strings and keys is refused, so that they are whole as C strings.
 */
MUST_CHECK int toml_parse(
	const void *data, size_t size, struct toml_document **out, struct error *err);
void toml_free(struct toml_document *document);
void toml_freep(struct toml_document **document);

/* The table of everything in the document. */
const struct toml_value *toml_root(const struct toml_document *document);

/* All header lines in the order of the file, *n_headers of them. */
const struct toml_header *toml_headers(const struct toml_document *document, size_t *n_headers);

/* All of these accept NULL (absent) and a value of another type, and say so by their result. */
enum toml_type toml_type(const struct toml_value *value);
enum toml_form toml_form(const struct toml_value *value);
const struct toml_value *toml_get(const struct toml_value *table, const char *key);
const struct toml_value *toml_at(const struct toml_value *array, size_t i);
size_t toml_length(const struct toml_value *table_or_array);
const char *toml_string(const struct toml_value *value); /* NULL unless a string */
bool toml_integer(const struct toml_value *value, int64_t *out);
bool toml_float(const struct toml_value *value, double *out); /* integers are not converted */
bool toml_bool(const struct toml_value *value, bool *out);

/* Where the value starts, from 1: a table at its header (an implied one at the first header that
 * implies it), key or brace. Columns count code points. 0 for NULL. */
unsigned toml_line(const struct toml_value *value);
unsigned toml_column(const struct toml_value *value);

/* Calls each(key, value, arg) for every member, in the order of their positions, until it returns
 * non-zero; returns that. */
int toml_each(const struct toml_value *table,
	int (*each)(const char *key, const struct toml_value *value, void *arg), void *arg);

/* "table", "string", ...: for messages. */
const char *toml_type_name(enum toml_type type);

#ifdef __cplusplus
}
#endif
