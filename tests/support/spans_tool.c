/* SPDX-License-Identifier: Apache-2.0 */
/* Makes indexes of spans that lie, for tests: what they say is well-formed, and not so.
 *
 * spans_tool show FILE              print spans and entries
 * spans_tool LIE FILE NAME OUT      write FILE to OUT with one lie: name, mode, size, place or
 *                                   digest (of the span it begins in) of the entry NAME; blob,
 *                                   blob-size or diffid of the layer (NAME is not looked at) */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "format/span_index_file.h"

static int lie_name(struct span_index *index, size_t i, struct error *err)
{
	struct toc_entry *entry = &index->toc->entries[i];
	char name[TOC_MAX_NAME + 1];

	(void)snprintf(name, sizeof(name), "%s", entry->name);
	name[strlen(name) - 1] ^= 1;
	entry->name = toc_intern(index->toc, name, strlen(name));
	return entry->name ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for a name");
}

static int lie_mode(struct span_index *index, size_t i, struct error *err)
{
	(void)err;
	index->toc->entries[i].mode ^= 0111;
	return 0;
}

static int lie_size(struct span_index *index, size_t i, struct error *err)
{
	(void)err;
	index->toc->entries[i].size--;
	return 0;
}

/* Half a kilobyte later, as payloads begin there. */
static int lie_place(struct span_index *index, size_t i, struct error *err)
{
	(void)err;
	index->payloads[i].off += 512;
	index->toc->entries[i].size -= 512;
	return 0;
}

static int lie_digest(struct span_index *index, size_t i, struct error *err)
{
	uint64_t start;
	size_t span = span_index_find(index, index->payloads[i].off, &start);

	(void)err;
	index->spans[span].digest[0] ^= 1;
	return 0;
}

static int lie_blob(struct span_index *index, size_t i, struct error *err)
{
	(void)i;
	(void)err;
	index->blob.bytes[0] ^= 1;
	return 0;
}

static int lie_blob_size(struct span_index *index, size_t i, struct error *err)
{
	(void)i;
	(void)err;
	index->blob_size++;
	return 0;
}

static int lie_diff_id(struct span_index *index, size_t i, struct error *err)
{
	(void)i;
	(void)err;
	index->diff_id.bytes[0] ^= 1;
	return 0;
}

static const struct {
	const char *name;
	int (*lie)(struct span_index *index, size_t i, struct error *err);
} lies[] = {
	{"name", lie_name},
	{"mode", lie_mode},
	{"size", lie_size},
	{"place", lie_place},
	{"digest", lie_digest},
	{"blob", lie_blob},
	{"blob-size", lie_blob_size},
	{"diffid", lie_diff_id},
};

static int find_entry(
	const struct span_index *index, const char *name, size_t *out, struct error *err)
{
	for (*out = 0; *out < index->toc->n_entries; ++*out) {
		if (strcmp(index->toc->entries[*out].name, name) == 0)
			return 0;
	}
	return error_set(err, ERROR_NOT_FOUND, "it has no entry %s", name);
}

static int lie(struct span_index *index, char **arguments, struct error *err)
{
	CLEANUP(buffer_free) struct buffer out = {0};
	size_t i = 0;

	if (arguments[3][0] && find_entry(index, arguments[3], &i, err) < 0)
		return -1;
	for (size_t j = 0; j < sizeof(lies) / sizeof(lies[0]); j++) {
		if (strcmp(lies[j].name, arguments[1]) != 0)
			continue;
		if (lies[j].lie(index, i, err) < 0 || span_index_write(index, &out, NULL, err) < 0)
			return -1;
		return file_replace(AT_FDCWD, arguments[4], out.data, out.size, 0644, err);
	}
	return error_set(err, ERROR_INVALID, "no lie is called %s", arguments[1]);
}

static void show(const struct span_index *index)
{
	for (size_t i = 0; i < index->n_spans; i++)
		printf("span %" PRIu64 "+%" PRIu64 " decodes to %" PRIu64 "\n",
			index->spans[i].blob_off, index->spans[i].blob_size,
			index->spans[i].decoded_size);
	for (size_t i = 0; i < index->toc->n_entries; i++)
		printf("entry %" PRIu64 "+%" PRIu64 " %s\n", index->payloads[i].off,
			index->toc->entries[i].size, index->toc->entries[i].name);
}

static int run(int n, char **arguments, struct error *err)
{
	CLEANUP(span_index_freep) struct span_index *index = NULL;
	CLEANUP(buffer_free) struct buffer file = {0};

	if (file_read(AT_FDCWD, arguments[2], SPAN_INDEX_FILE_MAX_SIZE, &file, err) < 0 ||
		span_index_parse(file.data, file.size, &index, err) < 0)
		return -1;
	if (n == 5)
		return lie(index, arguments, err);
	show(index);
	return 0;
}

int main(int n, char **arguments)
{
	struct error err;

	if (n != 5 && !(n == 3 && strcmp(arguments[1], "show") == 0)) {
		(void)fprintf(stderr, "usage: spans_tool show FILE | LIE FILE NAME OUT\n");
		return 2;
	}
	if (run(n, arguments, &err) == 0)
		return 0;
	(void)fprintf(stderr, "spans_tool: %s\n", err.message);
	return 1;
}
