/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON, for machines or for people. */
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "json_internal.h"

enum { INDENT_WIDTH = 2 };

struct writer {
	struct buffer *out;
	bool indent;
	size_t depth;
};

static int put(struct writer *writer, const char *text)
{
	return buffer_append(writer->out, text, strlen(text));
}

/* Beside what RFC 8259 section 7 demands, DEL and the C1 controls (c2 80..9f) are escaped: people
 * look at this on terminals. */
static size_t plain_length(const uint8_t *text, size_t size)
{
	size_t i = 0;

	while (i < size && text[i] >= 0x20 && text[i] != '"' && text[i] != '\\' &&
		text[i] != 0x7f && !(text[i] == 0xc2 && text[i + 1] < 0xa0))
		i++;
	return i;
}

static int put_escaped(struct writer *writer, unsigned character)
{
	switch (character) {
	case '"':
		return put(writer, "\\\"");
	case '\\':
		return put(writer, "\\\\");
	case '\n':
		return put(writer, "\\n");
	case '\t':
		return put(writer, "\\t");
	default:
		return buffer_printf(writer->out, "\\u%04x", character);
	}
}

static int put_string(struct writer *writer, const char *text, size_t size)
{
	const uint8_t *at = (const uint8_t *)text;
	const uint8_t *end = at + size;
	int ret = put(writer, "\"");

	while (ret == 0 && at < end) {
		size_t plain = plain_length(at, (size_t)(end - at));

		ret = buffer_append(writer->out, at, plain);
		at += plain;
		if (ret == 0 && at < end) {
			/* The text is UTF-8, so a c2 is never the last byte. */
			at += *at == 0xc2;
			ret = put_escaped(writer, *at++);
		}
	}
	return ret < 0 ? ret : put(writer, "\"");
}

static int put_line_break(struct writer *writer)
{
	int ret;

	if (!writer->indent)
		return 0;
	ret = put(writer, "\n");
	for (size_t i = 0; ret == 0 && i < writer->depth * INDENT_WIDTH; i++)
		ret = put(writer, " ");
	return ret;
}

static int put_value(struct writer *writer, const struct json *value);

static int put_member(struct writer *writer, const struct json_member *member, bool first)
{
	int ret = first ? 0 : put(writer, ",");

	if (ret == 0)
		ret = put_line_break(writer);
	if (ret == 0 && member->key)
		ret = put_string(writer, member->key, strlen(member->key));
	if (ret == 0 && member->key)
		ret = put(writer, writer->indent ? ": " : ":");
	return ret < 0 ? ret : put_value(writer, member->value);
}

static int put_container(struct writer *writer, const struct json *value)
{
	const bool object = value->kind == JSON_KIND_OBJECT;
	const size_t n_members = value->container.n_members;
	int ret = value->failed ? -ENOMEM : put(writer, object ? "{" : "[");

	writer->depth++;
	for (size_t i = 0; ret == 0 && i < n_members; i++)
		ret = put_member(writer, &value->container.members[i], i == 0);
	writer->depth--;
	if (ret == 0 && n_members > 0)
		ret = put_line_break(writer);
	return ret < 0 ? ret : put(writer, object ? "}" : "]");
}

static int put_value(struct writer *writer, const struct json *value)
{
	switch (value->kind) {
	case JSON_KIND_NULL:
		return put(writer, "null");
	case JSON_KIND_BOOL:
		return put(writer, value->boolean ? "true" : "false");
	case JSON_KIND_INTEGER:
		return buffer_printf(writer->out, "%" PRId64, value->integer);
	case JSON_KIND_REAL:
		return json_put_real(value->real, writer->out);
	case JSON_KIND_STRING:
		return put_string(writer, value->string.text, value->string.size);
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
		break;
	}
	return put_container(writer, value);
}

int json_write(const struct json *value, bool indent, struct buffer *out, struct error *err)
{
	struct writer writer = {.out = out, .indent = indent};
	size_t size_before = out->size;

	if (value && put_value(&writer, value) == 0)
		return 0;

	/* Every failure, here or while the document was built, is one of memory. */
	out->size = size_before;
	if (out->data)
		out->data[size_before] = 0;
	return error_set(err, ERROR_NO_MEMORY, "no memory to write a JSON document");
}
