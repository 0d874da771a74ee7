/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the kernel's list of mounts. Whoever may mount chooses the paths in it. */
#include "daemon/mountinfo.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fdio.h"

/* 100,000 mounts with long paths; a node with that many has other worries. */
enum { MOUNTINFO_LIMIT = 64 << 20 };

static bool is_octal(char c, char most)
{
	return c >= '0' && c <= most;
}

/* The kernel writes space, tab, newline and backslash as \ooo; in place. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; out++) {
		if (in[0] == '\\' && is_octal(in[1], '3') && is_octal(in[2], '7') &&
			is_octal(in[3], '7')) {
			*out = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = 0;
}

/* Cuts the next field, as it stands, off the line; NULL when there is none. */
static char *next_field(char **line)
{
	char *field = *line;
	char *end;

	if (!field || !*field)
		return NULL;
	end = strchr(field, ' ');
	if (end)
		*end++ = 0;
	*line = end;
	return field;
}

static bool parse_number(const char *text, unsigned max, const char **end, unsigned *out)
{
	unsigned value = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9'; p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*end = p;
	*out = value;
	return p > text;
}

static bool parse_id(const char *text, int *out)
{
	const char *end;
	unsigned value;

	if (!text || !parse_number(text, INT32_MAX, &end, &value) || *end)
		return false;
	*out = (int)value;
	return true;
}

static bool parse_device(const char *text, unsigned *major, unsigned *minor)
{
	const char *end;

	return text && parse_number(text, UINT32_MAX, &end, major) && *end == ':' &&
	       parse_number(end + 1, UINT32_MAX, &end, minor) && !*end;
}

/* "36 35 98:0 /root /dir rw,noatime shared:1 - ext4 /dev/root rw" */
static bool parse_line(char *line, struct mountinfo_entry *out)
{
	char *fields[3];
	char *field;

	if (!parse_id(next_field(&line), &out->id) || !parse_id(next_field(&line), &out->parent) ||
		!parse_device(next_field(&line), &out->major, &out->minor))
		return false;
	for (size_t i = 0; i < 3; i++) {
		fields[i] = next_field(&line);
		if (!fields[i])
			return false;
	}
	/* Optional fields end with a single hyphen. */
	do {
		field = next_field(&line);
	} while (field && strcmp(field, "-") != 0);
	out->type = next_field(&line);
	if (!field || !out->type || !line)
		return false;

	/* An empty source leaves two spaces beside each other. */
	field = line;
	line = strchr(field, ' ');
	if (!line)
		return false;
	*line++ = 0;
	out->root = fields[0];
	out->dir = fields[1];
	out->options = fields[2];
	out->source = field;
	out->super_options = line;
	unescape(fields[0]);
	unescape(fields[1]);
	unescape(field);
	return true;
}

static size_t count_lines(const char *text, size_t size)
{
	size_t n = 0;

	for (const char *p = text; (p = memchr(p, '\n', size - (size_t)(p - text))); p++)
		n++;
	return n;
}

static int parse_lines(struct mountinfo *mounts, struct error *err)
{
	char *line = mounts->text;

	while (*line) {
		char *end = strchr(line, '\n');

		if (!end)
			return error_set(err, ERROR_FORMAT, "line %zu of the list of mounts is cut",
				mounts->n_entries + 1);
		*end = 0;
		if (!parse_line(line, &mounts->entries[mounts->n_entries]))
			return error_set(err, ERROR_FORMAT,
				"line %zu of the list of mounts is not in the format of proc(5)",
				mounts->n_entries + 1);
		mounts->n_entries++;
		line = end + 1;
	}
	return 0;
}

int mountinfo_parse(const void *data, size_t size, struct mountinfo *out, struct error *err)
{
	CLEANUP(mountinfo_clear) struct mountinfo mounts = {0};

	if (size == 0)
		data = "";
	if (memchr(data, 0, size))
		return error_set(err, ERROR_FORMAT, "a NUL byte in the list of mounts");
	mounts.text = strndup(data, size);
	mounts.entries = calloc(count_lines(data, size) + 1, sizeof(*mounts.entries));
	if (!mounts.text || !mounts.entries)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the list of mounts");
	if (parse_lines(&mounts, err) < 0)
		return -1;
	*out = mounts;
	mounts = (struct mountinfo){0};
	return 0;
}

int mountinfo_read(struct mountinfo *out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};

	if (file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_LIMIT, &text, err) < 0)
		return -1;
	return mountinfo_parse(text.data, text.size, out, err);
}

void mountinfo_clear(struct mountinfo *mounts)
{
	free(mounts->text);
	free(mounts->entries);
	*mounts = (struct mountinfo){0};
}

static bool is_covered(const struct mountinfo *mounts, const struct mountinfo_entry *entry)
{
	for (size_t i = 0; i < mounts->n_entries; i++) {
		const struct mountinfo_entry *other = &mounts->entries[i];

		if (other->parent == entry->id && other != entry &&
			strcmp(other->dir, entry->dir) == 0)
			return true;
	}
	return false;
}

const struct mountinfo_entry *mountinfo_at(const struct mountinfo *mounts, const char *dir)
{
	const struct mountinfo_entry *found = NULL;

	/* The last one that nothing covers: a mount hidden below another one of its parents keeps
	 * its path in the list. */
	for (size_t i = 0; i < mounts->n_entries; i++) {
		const struct mountinfo_entry *entry = &mounts->entries[i];

		if (strcmp(entry->dir, dir) == 0 && !is_covered(mounts, entry))
			found = entry;
	}
	return found;
}

const struct mountinfo_entry *mountinfo_with_id(const struct mountinfo *mounts, int id)
{
	for (size_t i = 0; i < mounts->n_entries; i++) {
		if (mounts->entries[i].id == id)
			return &mounts->entries[i];
	}
	return NULL;
}

const struct mountinfo_entry *mountinfo_with_device(
	const struct mountinfo *mounts, unsigned major, unsigned minor)
{
	for (size_t i = 0; i < mounts->n_entries; i++) {
		if (mounts->entries[i].major == major && mounts->entries[i].minor == minor)
			return &mounts->entries[i];
	}
	return NULL;
}

static bool holds(const char *dir, const char *path)
{
	size_t size = strlen(dir);

	if (size > 0 && dir[size - 1] == '/')
		size--;
	return strncmp(dir, path, size) == 0 && (path[size] == '/' || path[size] == 0);
}

const struct mountinfo_entry *mountinfo_holding(const struct mountinfo *mounts, const char *path)
{
	const struct mountinfo_entry *deepest = NULL;

	for (size_t i = 0; i < mounts->n_entries; i++) {
		const struct mountinfo_entry *entry = &mounts->entries[i];

		if (holds(entry->dir, path) &&
			(!deepest || strlen(entry->dir) > strlen(deepest->dir)))
			deepest = entry;
	}
	return deepest ? mountinfo_at(mounts, deepest->dir) : NULL;
}
