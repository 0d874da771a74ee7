/* SPDX-License-Identifier: Apache-2.0 */
/* All that is used of jansson: its parser, and its way of writing doubles. */
#include <errno.h>
#include <jansson.h>

#include "json_internal.h"

static struct json *convert(const json_t *source);

static int convert_member(struct json *container, const char *key, const json_t *source)
{
	CLEANUP(json_freep) struct json *value = convert(source);
	CLEANUP(cleanup_free) char *copy = key ? strdup(key) : NULL;

	if (!value || (key && !copy) || json_add_member(container, copy, value) < 0)
		return -ENOMEM;
	(void)TAKE_PTR(copy);
	(void)TAKE_PTR(value);
	return 0;
}

static struct json *convert_array(const json_t *source)
{
	CLEANUP(json_freep) struct json *array = json_new(JSON_KIND_ARRAY);

	for (size_t i = 0; array && i < json_array_size(source); i++)
		if (convert_member(array, NULL, json_array_get(source, i)) < 0)
			return NULL;
	return TAKE_PTR(array);
}

static struct json *convert_object(const json_t *source)
{
	CLEANUP(json_freep) struct json *object = json_new(JSON_KIND_OBJECT);
	json_t *members = (json_t *)source; /* iterating does not change it */

	for (void *at = json_object_iter(members); object && at;
		at = json_object_iter_next(members, at))
		if (convert_member(object, json_object_iter_key(at), json_object_iter_value(at)) <
			0)
			return NULL;
	return TAKE_PTR(object);
}

static struct json *convert_integer(int64_t integer)
{
	struct json *value = json_new(JSON_KIND_INTEGER);

	if (value)
		value->integer = integer;
	return value;
}

static struct json *convert_real(double real)
{
	struct json *value = json_new(JSON_KIND_REAL);

	if (value)
		value->real = real;
	return value;
}

static struct json *convert_bool(bool boolean)
{
	struct json *value = json_new(JSON_KIND_BOOL);

	if (value)
		value->boolean = boolean;
	return value;
}

/* Recursion as deep as JSON_MAX_DEPTH. NULL without memory. */
static struct json *convert(const json_t *source)
{
	switch (json_typeof(source)) {
	case JSON_OBJECT:
		return convert_object(source);
	case JSON_ARRAY:
		return convert_array(source);
	case JSON_STRING:
		return json_new_text(json_string_value(source), json_string_length(source));
	case JSON_INTEGER:
		return convert_integer(json_integer_value(source));
	case JSON_REAL:
		return convert_real(json_real_value(source));
	case JSON_TRUE:
	case JSON_FALSE:
		return convert_bool(json_is_true(source));
	case JSON_NULL:
		break;
	}
	return json_new(JSON_KIND_NULL);
}

int json_load(const void *data, size_t size, struct json **out, struct error *err)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_error_t failure;
	struct json *document;
	json_t *source;

	source = json_loadb(data, size, flags, &failure);
	if (!source && json_error_code(&failure) == json_error_out_of_memory)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu bytes of JSON", size);
	if (!source)
		return error_set(err, ERROR_FORMAT, "JSON line %d column %d: %s", failure.line,
			failure.column, failure.text);

	document = convert(source);
	json_decref(source);
	if (!document)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %zu bytes of JSON", size);
	*out = document;
	return 0;
}

static bool reads_back_as(double real, const char *text, size_t size)
{
	json_t *value = json_loadb(text, size, JSON_DECODE_ANY, NULL);
	bool same = value && json_real_value(value) == real;

	json_decref(value);
	return same;
}

int json_put_real(double real, struct buffer *out)
{
	enum { FEWEST_DIGITS = 15, MOST_DIGITS = 17 }; /* what every double survives, and needs */
	json_t *value = json_real(real);
	char text[64];
	size_t size = 0;

	if (!value)
		return -ENOMEM;
	for (size_t digits = FEWEST_DIGITS; digits <= MOST_DIGITS; digits++) {
		size = json_dumpb(
			value, text, sizeof(text), JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
		if (size == 0 || size > sizeof(text) || reads_back_as(real, text, size))
			break;
	}
	json_decref(value);
	return size == 0 || size > sizeof(text) ? -ENOMEM : buffer_append(out, text, size);
}
