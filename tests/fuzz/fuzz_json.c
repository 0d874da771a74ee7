/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a JSON document; what is accepted must be written and read back the same. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int visit_member(const char *key, const struct json *value, void *arg);

static void visit(const struct json *value, size_t depth)
{
	const char *text = json_string(value);
	int64_t integer;
	double real;

	if (!value || depth > JSON_MAX_DEPTH + 1 || json_length(value) > JSON_MAX_VALUES)
		__builtin_trap();
	if (text && strlen(text) > SIZE_MAX / 2)
		__builtin_trap();
	if (json_i64(value, &integer) && !json_f64(value, &real))
		__builtin_trap();
	if (json_is_array(value))
		for (size_t i = 0; i < json_length(value); i++)
			visit(json_at(value, i), depth + 1);
	if (json_each(value, visit_member, &depth) != 0 || json_at(value, json_length(value)))
		__builtin_trap();
}

static int visit_member(const char *key, const struct json *value, void *arg)
{
	const size_t *depth = arg;

	if (!key)
		__builtin_trap();
	visit(value, *depth + 1);
	return 0;
}

static void write_or_trap(const struct json *document, bool indent, struct buffer *out)
{
	if (json_write(document, indent, out, NULL) < 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_freep) struct json *document = NULL;
	CLEANUP(json_freep) struct json *again = NULL;
	CLEANUP(buffer_free) struct buffer first = {0};
	CLEANUP(buffer_free) struct buffer indented = {0};
	CLEANUP(buffer_free) struct buffer second = {0};
	struct error err = {0};

	if (json_parse(data, size, &document, &err) < 0) {
		if (err.kind == ERROR_NONE || !err.message[0])
			__builtin_trap();
		return 0;
	}
	visit(document, 0);
	write_or_trap(document, false, &first);
	write_or_trap(document, true, &indented);
	if (json_parse(indented.data, indented.size, &again, NULL) < 0)
		__builtin_trap();
	write_or_trap(again, false, &second);
	if (first.size != second.size || memcmp(first.data, second.data, first.size) != 0)
		__builtin_trap();
	return 0;
}
