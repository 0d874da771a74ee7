/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values: building them, looking into them, releasing them. */
#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "json_internal.h"
#include "utf8_internal.h"

enum { MIN_CAPACITY = 4 };

static bool is_container(const struct json *value)
{
	return value && (value->kind == JSON_KIND_ARRAY || value->kind == JSON_KIND_OBJECT);
}

void json_free(struct json *document)
{
	if (!document)
		return;

	if (document->kind == JSON_KIND_STRING)
		free(document->string.text);
	if (is_container(document)) {
		for (size_t i = 0; i < document->container.n_members; i++) {
			free(document->container.members[i].key);
			json_free(document->container.members[i].value);
		}
		free(document->container.members);
	}
	free(document);
}

void json_freep(struct json **document)
{
	json_free(*document);
}

static struct json_member *find_member(const struct json *object, const char *key)
{
	if (!json_is_object(object))
		return NULL;
	for (size_t i = 0; i < object->container.n_members; i++)
		if (strcmp(object->container.members[i].key, key) == 0)
			return &object->container.members[i];
	return NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
	const struct json_member *member = find_member(object, key);

	return member ? member->value : NULL;
}

const struct json *json_at(const struct json *array, size_t i)
{
	if (!json_is_array(array) || i >= array->container.n_members)
		return NULL;
	return array->container.members[i].value;
}

size_t json_length(const struct json *array_or_object)
{
	return is_container(array_or_object) ? array_or_object->container.n_members : 0;
}

bool json_is_object(const struct json *value)
{
	return value && value->kind == JSON_KIND_OBJECT;
}

bool json_is_array(const struct json *value)
{
	return value && value->kind == JSON_KIND_ARRAY;
}

bool json_is_null(const struct json *value)
{
	return value && value->kind == JSON_KIND_NULL;
}

const char *json_string(const struct json *value)
{
	if (!value || value->kind != JSON_KIND_STRING ||
		memchr(value->string.text, 0, value->string.size))
		return NULL;
	return value->string.text;
}

bool json_i64(const struct json *value, int64_t *out)
{
	if (!value || value->kind != JSON_KIND_INTEGER)
		return false;
	*out = value->integer;
	return true;
}

bool json_f64(const struct json *value, double *out)
{
	if (!value || (value->kind != JSON_KIND_REAL && value->kind != JSON_KIND_INTEGER))
		return false;
	*out = value->kind == JSON_KIND_REAL ? value->real : (double)value->integer;
	return true;
}

bool json_bool(const struct json *value, bool *out)
{
	if (!value || value->kind != JSON_KIND_BOOL)
		return false;
	*out = value->boolean;
	return true;
}

int json_each(const struct json *object,
	int (*each)(const char *key, const struct json *value, void *arg), void *arg)
{
	if (!json_is_object(object))
		return 0;
	for (size_t i = 0; i < object->container.n_members; i++) {
		const struct json_member *member = &object->container.members[i];
		int ret = each(member->key, member->value, arg);

		if (ret != 0)
			return ret;
	}
	return 0;
}

struct json *json_new(enum json_kind kind)
{
	struct json *value = calloc(1, sizeof(*value));

	if (value)
		value->kind = kind;
	return value;
}

struct json *json_new_object(void)
{
	return json_new(JSON_KIND_OBJECT);
}

struct json *json_new_array(void)
{
	return json_new(JSON_KIND_ARRAY);
}

struct json *json_new_i64(int64_t integer)
{
	struct json *value = json_new(JSON_KIND_INTEGER);

	if (value)
		value->integer = integer;
	return value;
}

struct json *json_new_f64(double real)
{
	struct json *value = json_new(isfinite(real) ? JSON_KIND_REAL : JSON_KIND_NULL);

	if (value)
		value->real = real;
	return value;
}

struct json *json_new_bool(bool boolean)
{
	struct json *value = json_new(JSON_KIND_BOOL);

	if (value)
		value->boolean = boolean;
	return value;
}

/* A copy of text in which every byte that belongs to no UTF-8 sequence is U+FFFD. */
static char *copy_as_utf8(const char *text, size_t *ret_size)
{
	static const char replacement[] = "\xef\xbf\xbd";
	CLEANUP(buffer_free) struct buffer copy = {0};
	size_t size = strlen(text);
	char *taken;
	int ret = buffer_reserve(&copy, size);

	for (size_t i = 0; ret == 0 && i < size;) {
		size_t length = utf8_sequence((const uint8_t *)text + i, size - i);

		ret = length > 0 ? buffer_append(&copy, text + i, length)
				 : buffer_append(&copy, replacement, sizeof(replacement) - 1);
		i += length > 0 ? length : 1;
	}
	if (ret < 0)
		return NULL;

	*ret_size = copy.size;
	taken = (char *)copy.data;
	copy.data = NULL;
	return taken;
}

struct json *json_new_text(const char *text, size_t size)
{
	struct json *value = json_new(JSON_KIND_STRING);

	if (!value)
		return NULL;
	value->string.text = malloc(size + 1);
	if (!value->string.text) {
		free(value);
		return NULL;
	}
	memcpy(value->string.text, text, size);
	value->string.text[size] = '\0';
	value->string.size = size;
	return value;
}

struct json *json_new_string(const char *text)
{
	struct json *value;

	if (!text)
		return json_new(JSON_KIND_NULL);
	value = json_new(JSON_KIND_STRING);
	if (!value)
		return NULL;
	value->string.text = copy_as_utf8(text, &value->string.size);
	if (!value->string.text) {
		free(value);
		return NULL;
	}
	return value;
}

int json_add_member(struct json *container, char *key, struct json *value)
{
	size_t capacity = container->container.capacity;

	if (container->container.n_members == capacity) {
		struct json_member *members;

		capacity = capacity ? 2 * capacity : MIN_CAPACITY;
		members = reallocarray(container->container.members, capacity, sizeof(*members));
		if (!members)
			return -ENOMEM;
		container->container.members = members;
		container->container.capacity = capacity;
	}
	container->container.members[container->container.n_members++] =
		(struct json_member){.key = key, .value = value};
	return 0;
}

/* Without memory the value is dropped and the container remembers. */
static void add_or_fail(struct json *container, char *key, struct json *value)
{
	if (json_add_member(container, key, value) < 0) {
		free(key);
		json_free(value);
		container->failed = true;
	}
}

void json_set(struct json *object, const char *key, struct json *value)
{
	struct json_member *present;
	size_t key_size;
	char *copy;

	/* NULL stands for an allocation that failed before. */
	assert(!object || object->kind == JSON_KIND_OBJECT);
	copy = object ? copy_as_utf8(key, &key_size) : NULL;
	if (!copy || !value) {
		if (object)
			object->failed = true;
		free(copy);
		json_free(value);
		return;
	}

	present = find_member(object, copy);
	if (!present) {
		add_or_fail(object, copy, value);
		return;
	}
	free(copy);
	json_free(present->value);
	present->value = value;
}

void json_append(struct json *array, struct json *value)
{
	assert(!array || array->kind == JSON_KIND_ARRAY);
	if (!array)
		json_free(value);
	else if (!value)
		array->failed = true;
	else
		add_or_fail(array, NULL, value);
}
