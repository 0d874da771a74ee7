/* SPDX-License-Identifier: Apache-2.0 */
/* The front door for foreign JSON: limits first, then the library. */
#include "base/json.h"

#include "json_internal.h"

/* The library's own limit on nesting is fixed when it is built, and it has none on the number of
 * values, each of which takes some 30 times the two bytes it has in a hostile document. */
struct shape {
	size_t depth;
	size_t n_values;
};

static int refuse_at(
	const char *text, size_t off, const char *what, size_t limit, struct error *err)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < off; i++) {
		column = text[i] == '\n' ? 1 : column + 1;
		line += text[i] == '\n';
	}
	return error_set(
		err, ERROR_FORMAT, "JSON line %zu column %zu: %s %zu", line, column, what, limit);
}

/* The offset behind the string that begins before off; size when it does not end. */
static size_t skip_string(const char *text, size_t size, size_t off)
{
	while (off < size && text[off] != '"')
		off += text[off] == '\\' ? 2 : 1;
	return off < size ? off + 1 : size;
}

static int check_shape(const char *text, size_t size, struct error *err)
{
	struct shape shape = {.n_values = 1};

	for (size_t off = 0; off < size;) {
		char c = text[off++];

		if (c == '"')
			off = skip_string(text, size, off);
		if (c == ']' || c == '}')
			shape.depth -= shape.depth > 0;
		if (c == '[' || c == '{')
			shape.depth++;
		if (c == '[' || c == '{' || c == ',')
			shape.n_values++;
		if (shape.depth > JSON_MAX_DEPTH)
			return refuse_at(text, off - 1, "nested deeper than", JSON_MAX_DEPTH, err);
		if (shape.n_values > JSON_MAX_VALUES)
			return refuse_at(text, off - 1, "more values than", JSON_MAX_VALUES, err);
	}
	return 0;
}

int json_parse(const void *data, size_t size, struct json **out, struct error *err)
{
	if (size == 0)
		return error_set(err, ERROR_FORMAT, "JSON line 1 column 1: the document is empty");
	if (check_shape(data, size, err) < 0)
		return -1;
	return json_load(data, size, out, err);
}
