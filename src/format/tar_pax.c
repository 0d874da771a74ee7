/* SPDX-License-Identifier: Apache-2.0 */
/* The records of PAX extension headers: "LENGTH KEY=VALUE\n". */
#include "tar_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How the value of a key is read. */
enum form { FORM_TEXT, FORM_NUMBER, FORM_TIME, FORM_MAP, FORM_MAP_OFF, FORM_MAP_SIZE };

static const struct {
	const char *name;
	enum tar_key key;
	enum form form;
} known_keys[] = {
	{"path", TAR_KEY_PATH, FORM_TEXT},
	{"linkpath", TAR_KEY_LINK_PATH, FORM_TEXT},
	{"size", TAR_KEY_SIZE, FORM_NUMBER},
	{"uid", TAR_KEY_UID, FORM_NUMBER},
	{"gid", TAR_KEY_GID, FORM_NUMBER},
	{"mtime", TAR_KEY_MTIME, FORM_TIME},
	{"SCHILY.devmajor", TAR_KEY_DEV_MAJOR, FORM_NUMBER},
	{"SCHILY.devminor", TAR_KEY_DEV_MINOR, FORM_NUMBER},
	{"GNU.sparse.major", TAR_KEY_SPARSE_MAJOR, FORM_NUMBER},
	{"GNU.sparse.minor", TAR_KEY_SPARSE_MINOR, FORM_NUMBER},
	{"GNU.sparse.name", TAR_KEY_SPARSE_NAME, FORM_TEXT},
	{"GNU.sparse.size", TAR_KEY_SPARSE_SIZE, FORM_NUMBER},
	{"GNU.sparse.realsize", TAR_KEY_SPARSE_REAL_SIZE, FORM_NUMBER},
	{"GNU.sparse.numblocks", TAR_KEY_SPARSE_N_PAIRS, FORM_NUMBER},
	{"GNU.sparse.map", TAR_KEY_SPARSE_MAP, FORM_MAP},
	{"GNU.sparse.offset", TAR_KEY_SPARSE_MAP, FORM_MAP_OFF},
	{"GNU.sparse.numbytes", TAR_KEY_SPARSE_MAP, FORM_MAP_SIZE},
};

static const char schily_xattr[] = "SCHILY.xattr.";
static const char libarchive_xattr[] = "LIBARCHIVE.xattr.";

/* A record, in the text of its tar_pax. */
struct record {
	char *key; /* NUL-terminated */
	char *value;
	size_t value_size; /* a NUL follows */
	size_t size;       /* of the whole record */
};

bool tar_parse_decimal(const char *text, size_t size, uint64_t *out)
{
	uint64_t value = 0;

	if (size == 0)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9' || value > (INT64_MAX - 9) / 10)
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*out = value;
	return true;
}

/* "-12.345": the fraction counts away from zero; digits beyond nanoseconds are cut off. */
static bool parse_time(const char *text, size_t size, struct tar_value *out)
{
	const char *point = memchr(text, '.', size);
	size_t whole_size = point ? (size_t)(point - text) : size;
	bool is_negative = whole_size > 0 && text[0] == '-';
	uint32_t nanoseconds = 0, scale = 100000000;
	uint64_t seconds;

	if (!tar_parse_decimal(text + is_negative, whole_size - is_negative, &seconds))
		return false;
	for (size_t i = whole_size + 1; i < size; i++, scale /= 10) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		nanoseconds += (uint32_t)(text[i] - '0') * scale;
	}
	out->seconds = is_negative ? -(int64_t)seconds : (int64_t)seconds;
	out->nanoseconds = nanoseconds;
	if (is_negative && nanoseconds > 0) {
		out->seconds--;
		out->nanoseconds = 1000000000 - nanoseconds;
	}
	return true;
}

static int wrong_value(
	const struct tar_reader *reader, const struct record *record, struct error *err)
{
	return error_set(err, ERROR_FORMAT,
		"tar header at byte %" PRIu64 ": PAX record %.100s has a value it cannot have",
		reader->entry.header_off, record->key);
}

/* Sparse format 0.0: pairs of records. */
static int add_half_pair(
	struct tar_reader *reader, enum form form, const struct record *record, struct error *err)
{
	struct tar_map *map = &reader->map;
	uint64_t number;

	if (!tar_parse_decimal(record->value, record->value_size, &number) ||
		map->has_off != (form == FORM_MAP_SIZE))
		return wrong_value(reader, record, err);
	map->has_off = !map->has_off;
	if (form == FORM_MAP_SIZE)
		return tar_map_add(reader, map->off, number, err);
	map->off = number;
	return 0;
}

static int parse_value(struct tar_reader *reader, struct tar_pax *pax, enum form form,
	const struct record *record, struct tar_value *out, struct error *err)
{
	switch (form) {
	case FORM_TEXT:
		if (memchr(record->value, '\0', record->value_size))
			return wrong_value(reader, record, err);
		out->text_off = (size_t)(record->value - (char *)pax->text.data);
		return 0;
	case FORM_NUMBER:
		if (!tar_parse_decimal(record->value, record->value_size, &out->number))
			return wrong_value(reader, record, err);
		return 0;
	case FORM_TIME:
		if (!parse_time(record->value, record->value_size, out))
			return wrong_value(reader, record, err);
		return 0;
	case FORM_MAP:
		return tar_map_parse(reader, record->value, record->value_size, err);
	default:
		return add_half_pair(reader, form, record, err);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "%41" is A; a per cent sign that begins no such thing is itself. In place. */
static void decode_percents(char *text)
{
	char *to = text;

	for (; *text; text++) {
		int high = *text == '%' ? hex_value(text[1]) : -1;
		int low = high >= 0 ? hex_value(text[2]) : -1;

		if (low >= 0) {
			*to++ = (char)(high << 4 | low);
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* libarchive's own form: names like in a URL, values in base64. Go does not know it; bsdtar writes
 * it beside that of SCHILY, but not all versions did. */
static int decode_libarchive(char *name, char *value, size_t *value_size, struct buffer *scratch)
{
	int result;

	decode_percents(name);
	scratch->size = 0;
	result = base64_decode(value, *value_size, scratch);
	if (result < 0)
		return result;
	*value_size = scratch->size;
	if (scratch->size > 0)
		memcpy(value, scratch->data, scratch->size);
	return 0;
}

int tar_pax_xattr(
	char *key, char *value, size_t *value_size, struct buffer *scratch, char **ret_name)
{
	size_t schily_size = sizeof(schily_xattr) - 1;
	size_t libarchive_size = sizeof(libarchive_xattr) - 1;

	*ret_name = NULL;
	if (strncmp(key, schily_xattr, schily_size) == 0) {
		*ret_name = key + schily_size;
	} else if (strncmp(key, libarchive_xattr, libarchive_size) == 0) {
		*ret_name = key + libarchive_size;
		return decode_libarchive(*ret_name, value, value_size, scratch);
	}
	return 0;
}

/* An empty value is an xattr without bytes, as containerd and GNU tar have it. Names are as they
 * are stored: what GNU tar does to '%' and '=' in them, no container runtime undoes. */
static int add_xattr(struct tar_reader *reader, struct tar_pax *pax, const char *name,
	const struct record *record, struct error *err)
{
	const char *text = (const char *)pax->text.data;

	if (pax->n_xattrs >= TOC_MAX_XATTRS)
		return tar_wrong(reader, "more xattrs than a file can have", err);
	if (tar_grow(&pax->xattrs, &pax->xattrs_capacity, pax->n_xattrs + 1, sizeof(*pax->xattrs)) <
		0)
		return tar_no_memory(err);
	pax->xattrs[pax->n_xattrs++] = (struct tar_pax_xattr){
		.name_off = (size_t)(name - text),
		.value_off = (size_t)(record->value - text),
		.value_size = (uint32_t)record->value_size,
	};
	return 0;
}

static int apply_known(struct tar_reader *reader, struct tar_pax *pax, size_t i,
	const struct record *record, struct error *err)
{
	enum tar_key key = known_keys[i].key;

	if (key >= TAR_FIRST_SPARSE_KEY && pax == &reader->global)
		return 0;
	if (record->value_size == 0) {
		pax->present &= ~(1U << key);
		pax->erased |= 1U << key;
		return 0;
	}
	if (parse_value(reader, pax, known_keys[i].form, record, &pax->values[key], err) < 0)
		return -1;
	pax->present |= 1U << key;
	return 0;
}

static int apply_record(
	struct tar_reader *reader, struct tar_pax *pax, struct record *record, struct error *err)
{
	char *xattr;
	int result;

	for (size_t i = 0; i < sizeof(known_keys) / sizeof(known_keys[0]); i++) {
		if (strcmp(record->key, known_keys[i].name) == 0)
			return apply_known(reader, pax, i, record, err);
	}
	result = tar_pax_xattr(
		record->key, record->value, &record->value_size, &reader->scratch, &xattr);
	if (result == -ENOMEM)
		return tar_no_memory(err);
	if (result < 0)
		return wrong_value(reader, record, err);
	return xattr ? add_xattr(reader, pax, xattr, record, err) : 0;
}

/* Splits the record at text[0, left). */
static int split(const struct tar_reader *reader, char *text, size_t left, struct record *out,
	struct error *err)
{
	char *space = memchr(text, ' ', left < 20 ? left : 20);
	uint64_t size;
	char *equals;
	size_t head;

	if (!space || !tar_parse_decimal(text, (size_t)(space - text), &size) || size > left)
		return tar_wrong(reader, "PAX record of wrong length", err);
	head = (size_t)(space - text) + 1;
	if (size <= head || text[size - 1] != '\n')
		return tar_wrong(reader, "PAX record of wrong length", err);
	out->key = space + 1;
	equals = memchr(out->key, '=', size - head);
	if (!equals)
		return tar_wrong(reader, "PAX record without a value", err);
	out->value = equals + 1;
	out->value_size = (size_t)(text + size - 1 - out->value);
	*equals = '\0';
	text[size - 1] = '\0';
	if (strlen(out->key) != (size_t)(equals - out->key))
		return tar_wrong(reader, "PAX key with a zero byte", err);
	out->size = (size_t)size;
	return 0;
}

int tar_pax_parse(struct tar_reader *reader, struct tar_pax *pax, size_t start, struct error *err)
{
	char *text = (char *)pax->text.data;
	size_t off = start;

	while (off < pax->text.size) {
		struct record record;

		if (split(reader, text + off, pax->text.size - off, &record, err) < 0 ||
			apply_record(reader, pax, &record, err) < 0)
			return -1;
		off += record.size;
	}
	if (pax == &reader->local && reader->map.has_off)
		return tar_wrong(reader, "GNU.sparse.offset without GNU.sparse.numbytes", err);
	return 0;
}

static const struct tar_pax *find_owner(const struct tar_reader *reader, enum tar_key key)
{
	unsigned bit = 1U << key;

	if (reader->local.present & bit)
		return &reader->local;
	if (!(reader->local.erased & bit) && (reader->global.present & bit))
		return &reader->global;
	return NULL;
}

/* As POSIX, GNU tar and libarchive have it; Go leaves global records to programs, and those that
 * unpack images ignore them. */
const struct tar_value *tar_pax_find(const struct tar_reader *reader, enum tar_key key)
{
	const struct tar_pax *pax = find_owner(reader, key);

	return pax ? &pax->values[key] : NULL;
}

const char *tar_pax_text(const struct tar_reader *reader, enum tar_key key)
{
	const struct tar_pax *pax = find_owner(reader, key);

	return pax ? (const char *)pax->text.data + pax->values[key].text_off : NULL;
}

static void collect(const struct tar_pax *pax, struct toc_xattr *out)
{
	for (size_t i = 0; i < pax->n_xattrs; i++) {
		const struct tar_pax_xattr *xattr = &pax->xattrs[i];

		out[i] = (struct toc_xattr){
			.name = (const char *)pax->text.data + xattr->name_off,
			.value = pax->text.data + xattr->value_off,
			.value_size = xattr->value_size,
		};
	}
}

int tar_collect_xattrs(struct tar_reader *reader, struct error *err)
{
	size_t n = reader->global.n_xattrs + reader->local.n_xattrs;

	if (n > TOC_MAX_XATTRS)
		return tar_wrong(reader, "more xattrs than a file can have", err);
	if (tar_grow(&reader->xattrs, &reader->xattrs_capacity, n, sizeof(*reader->xattrs)) < 0)
		return tar_no_memory(err);
	collect(&reader->global, reader->xattrs);
	if (n > 0)
		collect(&reader->local, reader->xattrs + reader->global.n_xattrs);
	reader->entry.xattrs = reader->xattrs;
	reader->entry.n_xattrs = n;
	return 0;
}

void tar_pax_reset(struct tar_pax *pax)
{
	pax->text.size = 0;
	pax->present = 0;
	pax->erased = 0;
	pax->n_xattrs = 0;
}

void tar_pax_free(struct tar_pax *pax)
{
	buffer_free(&pax->text);
	free(pax->xattrs);
}

int tar_grow(void *array_pointer, size_t *capacity, size_t needed, size_t item_size)
{
	size_t n = *capacity > 0 ? *capacity : 16;
	void *array;

	if (needed <= *capacity)
		return 0;
	while (n < needed)
		n *= 2;
	memcpy(&array, array_pointer, sizeof(array));
	array = reallocarray(array, n, item_size);
	if (!array)
		return -ENOMEM;
	memcpy(array_pointer, &array, sizeof(array));
	*capacity = n;
	return 0;
}
