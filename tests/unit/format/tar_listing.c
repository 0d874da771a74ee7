/* SPDX-License-Identifier: Apache-2.0 */
#include "tar_listing.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/tar.h"

static const size_t pieces[] = {SIZE_MAX, 1, 511, 513, 700};

#define PRINT(text, ...) assert_int_equal(buffer_printf(text, __VA_ARGS__), 0)

static void list_xattr(const struct toc_xattr *xattr, struct buffer *text)
{
	char *hex = malloc(2 * (size_t)xattr->value_size + 1);

	assert_non_null(hex);
	hex_encode(xattr->value, xattr->value_size, hex);
	PRINT(text, " xattr %s=%s", xattr->name, hex);
	free(hex);
}

static int list(void *arg, const struct tar_entry *entry, struct error *err)
{
	struct buffer *text = arg;

	(void)err;
	PRINT(text, "%c %s", entry->type, entry->name);
	if (entry->type == '0')
		PRINT(text, " %" PRIu64, entry->size);
	for (size_t i = 0; i < entry->n_segments; i++)
		PRINT(text, " [%" PRIu64 "+%" PRIu64 " at %" PRIu64 "]",
			entry->segments[i].file_off, entry->segments[i].size,
			entry->segments[i].payload_off);
	if (entry->link_name)
		PRINT(text, " -> %s", entry->link_name);
	if (entry->dev_major || entry->dev_minor)
		PRINT(text, " dev %" PRIu64 ":%" PRIu64, entry->dev_major, entry->dev_minor);
	if (entry->mode)
		PRINT(text, " mode %o", entry->mode);
	if (entry->uid || entry->gid)
		PRINT(text, " owner %u:%u", entry->uid, entry->gid);
	if (entry->mtime_s || entry->mtime_ns)
		PRINT(text, " mtime %" PRId64, entry->mtime_s);
	if (entry->mtime_ns)
		PRINT(text, ".%09u", entry->mtime_ns);
	for (size_t i = 0; i < entry->n_xattrs; i++)
		list_xattr(&entry->xattrs[i], text);
	PRINT(text, "\n");
	return 0;
}

/* Payload and padding are not even looked at where @skips. */
static int read_in_pieces(const struct buffer *archive, size_t piece, bool skips,
	struct buffer *text, struct error *err)
{
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;

	assert_int_equal(buffer_append(text, "", 0), 0);
	assert_int_equal(tar_reader_new(list, text, &reader, err), 0);
	for (size_t off = 0, size; off < archive->size; off += size) {
		size = archive->size - off;
		if (skips) {
			uint64_t skipped = tar_reader_skip(reader, size);

			assert_true(skipped <= size);
			size = skipped > 0 ? (size_t)skipped : 1;
			if (skipped > 0)
				continue;
		}
		size = size < piece ? size : piece;
		if (tar_reader_feed(reader, archive->data + off, size, err) < 0)
			return -1;
	}
	assert_int_equal(tar_reader_off(reader), archive->size);
	return tar_reader_finish(reader, err);
}

void assert_lists(const struct buffer *archive, const char *expected)
{
	for (size_t i = 0; i < 2 * sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buffer text = {0};
		struct error err = {0};

		if (read_in_pieces(archive, pieces[i / 2], i % 2 == 1, &text, &err) < 0)
			fail_msg("%s", err.message);
		assert_string_equal((const char *)text.data, expected);
		buffer_free(&text);
	}
}

void assert_refused(struct buffer *archive, enum error_kind kind, const char *words)
{
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buffer text = {0};
		struct error err = {0};

		assert_int_equal(read_in_pieces(archive, pieces[i], false, &text, &err), -1);
		assert_int_equal(err.kind, kind);
		if (!strstr(err.message, words))
			fail_msg("\"%s\" lacks \"%s\"", err.message, words);
		buffer_free(&text);
	}
	archive->size = 0;
}
