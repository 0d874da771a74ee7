/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded reading of FlatBuffers files. By hand, because a schema compiler and a C++ library would
 * be more code than the five tables of a ztoc need. */
#include "flatbuffer_internal.h"

#include <errno.h>

#include "base/bytes.h"

enum {
	OFFSET_SIZE = 4,
	ELEMENT_SIZE = OFFSET_SIZE, /* strings and tables are stored elsewhere */
	VTABLE_HEADER_SIZE = 4,
	FIELD_SIZE = 2,
};

/* Offsets to strings, vectors and tables count from where they are stored. */
static int follow(const struct flat_file *file, size_t at, size_t *out)
{
	uint64_t target;

	if (!range_within(at, OFFSET_SIZE, file->size))
		return -EINVAL;
	target = (uint64_t)at + le32_load(file->data + at);
	if (!range_within(target, OFFSET_SIZE, file->size))
		return -EINVAL;
	*out = (size_t)target;
	return 0;
}

static int open_table(const struct flat_file *file, size_t at, struct flat_table *out)
{
	int64_t vtable;
	size_t vtable_size, size;

	if (!range_within(at, OFFSET_SIZE, file->size))
		return -EINVAL;
	vtable = (int64_t)at - (int32_t)le32_load(file->data + at);
	if (vtable < 0 || !range_within((uint64_t)vtable, VTABLE_HEADER_SIZE, file->size))
		return -EINVAL;
	vtable_size = le16_load(file->data + vtable);
	size = le16_load(file->data + vtable + 2);
	if (vtable_size < VTABLE_HEADER_SIZE || vtable_size % FIELD_SIZE != 0 ||
		!range_within((uint64_t)vtable, vtable_size, file->size) || size < OFFSET_SIZE ||
		!range_within(at, size, file->size))
		return -EINVAL;
	*out = (struct flat_table){
		.file = file,
		.at = at,
		.size = size,
		.fields = (size_t)vtable + VTABLE_HEADER_SIZE,
		.n_fields = (vtable_size - VTABLE_HEADER_SIZE) / FIELD_SIZE,
	};
	return 0;
}

/* Where a field of @width bytes is; 0 when it is absent. */
static int find_field(const struct flat_table *table, unsigned slot, size_t width, size_t *out)
{
	size_t off;

	*out = 0;
	if (slot >= table->n_fields)
		return 0;
	off = le16_load(table->file->data + table->fields + slot * FIELD_SIZE);
	if (off == 0)
		return 0;
	if (off < OFFSET_SIZE || !range_within(off, width, table->size))
		return -EINVAL;
	*out = table->at + off;
	return 0;
}

/* Where what a field refers to is stored; 0 when it is absent. */
static int find_target(const struct flat_table *table, unsigned slot, size_t *out)
{
	size_t at;

	*out = 0;
	if (find_field(table, slot, OFFSET_SIZE, &at) < 0)
		return -EINVAL;
	return at == 0 ? 0 : follow(table->file, at, out);
}

/* The elements behind a count at @at. */
static int open_elements(
	const struct flat_file *file, size_t at, size_t element_size, size_t *ret_n)
{
	size_t n = le32_load(file->data + at);

	if (n > (file->size - at - OFFSET_SIZE) / element_size)
		return -EINVAL;
	*ret_n = n;
	return 0;
}

static int open_bytes(const struct flat_file *file, size_t at, struct flat_bytes *out)
{
	size_t n;

	if (open_elements(file, at, 1, &n) < 0)
		return -EINVAL;
	out->data = (const char *)file->data + at + OFFSET_SIZE;
	out->size = n;
	return 0;
}

int flat_root(const struct flat_file *file, struct flat_table *out)
{
	size_t at;

	if (follow(file, 0, &at) < 0)
		return -EINVAL;
	return open_table(file, at, out);
}

int flat_number(
	const struct flat_table *table, unsigned slot, size_t width, uint64_t absent, uint64_t *out)
{
	const uint8_t *field;
	size_t at;

	if (find_field(table, slot, width, &at) < 0)
		return -EINVAL;
	if (at == 0) {
		*out = absent;
		return 0;
	}
	field = table->file->data + at;
	*out = width == 1 ? *field : width == 4 ? le32_load(field) : le64_load(field);
	return 0;
}

int flat_bytes(const struct flat_table *table, unsigned slot, struct flat_bytes *out)
{
	size_t at;

	*out = (struct flat_bytes){0};
	if (find_target(table, slot, &at) < 0)
		return -EINVAL;
	return at == 0 ? 0 : open_bytes(table->file, at, out);
}

int flat_table(const struct flat_table *table, unsigned slot, struct flat_table *out)
{
	size_t at;

	if (find_target(table, slot, &at) < 0)
		return -EINVAL;
	if (at != 0)
		return open_table(table->file, at, out);
	*out = (struct flat_table){.file = table->file};
	return 0;
}

int flat_vector(const struct flat_table *table, unsigned slot, struct flat_vector *out)
{
	size_t at;

	*out = (struct flat_vector){.file = table->file};
	if (find_target(table, slot, &at) < 0)
		return -EINVAL;
	if (at == 0)
		return 0;
	out->at = at + OFFSET_SIZE;
	return open_elements(table->file, at, ELEMENT_SIZE, &out->n);
}

int flat_vector_bytes(const struct flat_vector *vector, size_t i, struct flat_bytes *out)
{
	size_t at;

	if (follow(vector->file, vector->at + i * ELEMENT_SIZE, &at) < 0)
		return -EINVAL;
	return open_bytes(vector->file, at, out);
}

int flat_vector_table(const struct flat_vector *vector, size_t i, struct flat_table *out)
{
	size_t at;

	if (follow(vector->file, vector->at + i * ELEMENT_SIZE, &at) < 0)
		return -EINVAL;
	return open_table(vector->file, at, out);
}
